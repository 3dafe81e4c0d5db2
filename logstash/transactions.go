package logstash

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
)

// What inputs and outputs of Kafka tell of themselves for transactions.
type (
	kafkaReader interface {
		Group(log *slog.Logger) (kafka.Group, error)
	}
	kafkaWriter interface{ Writer() kafka.Sink }
)

// Transactions gives the pipeline as a carry from topics to topics of one cluster: what its filters make of a batch and the
// offsets behind it become visible in one transaction. It needs one input and one or more outputs, all kafka, of the same brokers.
// What cannot be processed or written goes to deadTopic; without one it ends the carry.
func (p *Pipeline) Transactions(id, deadTopic string) (*kafka.Carry, error) {
	if len(p.Inputs) != 1 {
		return nil, fmt.Errorf("transactions need one input, kafka: there are %d", len(p.Inputs))
	}
	reader, ok := p.Inputs[0].made.(kafkaReader)
	if !ok {
		return nil, fmt.Errorf("transactions are for the input kafka, not %s (%s)", p.Inputs[0].Name, p.Inputs[0].Pos)
	}
	from, err := reader.Group(p.o.Log)
	if err != nil {
		return nil, fmt.Errorf("kafka input %s: %w", p.Inputs[0].ID, err)
	}
	from.ReadUncommitted = false // whatever isolation_level says: what is not committed may never have been
	var to kafka.Writing
	for i, out := range p.Outputs {
		writer, ok := out.made.(kafkaWriter)
		if !ok {
			return nil, fmt.Errorf("transactions are for outputs kafka, not %s (%s): it cannot take part in one", out.Name, out.Pos)
		}
		sink := writer.Writer()
		if !slices.Equal(slices.Sorted(slices.Values(sink.Brokers)), slices.Sorted(slices.Values(from.Brokers))) {
			return nil, fmt.Errorf("transactions are within one cluster: %s has other bootstrap_servers than the input", out.Pos)
		}
		if i == 0 {
			to = sink.Writing
		} else if w := sink.Writing; w.Compression != to.Compression || w.Partitioner != to.Partitioner {
			return nil, fmt.Errorf("transactions have one producer: compression_type and partitioner at %s differ from those of the first output", out.Pos)
		}
	}
	stage := p.NewStage(true)
	if stage.Holds() || stage.Flushes() {
		return nil, errors.New("transactions are for pipelines that make events of one message at a time: a codec or filter of this one keeps some for later")
	}
	to.Topic = "" // every record has its own
	return &kafka.Carry{From: from, To: to, ID: id, DeadTopic: deadTopic, Stages: []flow.Stage{transacted{stage}}}, nil
}

// transacted is a pipeline as a stage of a carry.
type transacted struct{ *Stage }

// Process implements flow.Stage.
func (s transacted) Process(ctx context.Context, b *flow.Batch) error {
	for i := range b.Records {
		b.Records[i].Port = 0
	}
	return s.Stage.Process(ctx, b, 1)
}

// DeadTopic opens a topic for the pipeline's dead letters, in the cluster of its first input or output kafka.
func (p *Pipeline) DeadTopic(ctx context.Context, topic, pipeline string) (*kafka.DeadLetterTopic, error) {
	c := kafka.DeadTopicConfig{Topic: topic, Pipeline: pipeline}
	found := false
	for _, in := range p.Inputs {
		if reader, ok := in.made.(kafkaReader); ok && !found {
			group, err := reader.Group(p.o.Log)
			if err != nil {
				return nil, fmt.Errorf("kafka input %s: %w", in.ID, err)
			}
			c.Config, found = group.Config, true
		}
	}
	for _, out := range p.Outputs {
		if writer, ok := out.made.(kafkaWriter); ok && !found {
			c.Config, found = writer.Writer().Config, true
		}
	}
	if !found {
		return nil, errors.New("a dead-letter topic is for pipelines with an input or output kafka: its cluster has the topic")
	}
	return c.Open(ctx)
}
