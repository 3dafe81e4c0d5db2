package input

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"sync"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Generator gives the same messages again and again.
//
// Source: LogStash::Inputs::Generator of logstash-input-generator 3.1.
//
// Differences:
//   - The host is not set.
type Generator struct {
	Options
	Message          string   `ls:"message" default:"Hello world!" doc:"the message; stdin reads it once from standard input"`
	Lines            []string `ls:"lines" doc:"messages to give in turn, instead of message"`
	Count            int64    `ls:"count" default:"0" doc:"how often; 0 goes on for ever"`
	Threads          int64    `ls:"threads" default:"1" doc:"how many threads give all of it"`
	ECSCompatibility string   `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*Generator) Traits() Traits { return Traits{Codec: "plain"} }

// Setup implements Plugin.
func (g *Generator) Setup(*Setup) (Input, error) {
	if g.Count < 0 {
		return nil, option.Errorf("count", "expected 0 or more, found %d", g.Count)
	}
	if g.Threads < 1 {
		return nil, option.Errorf("threads", "expected 1 or more, found %d", g.Threads)
	}
	return g, nil
}

// Describe implements Describer.
func (*Generator) Describe(e *event.Event, r *flow.Record) {
	e.Fields().Set("sequence", event.IntValue(r.Version-1))
}

// generatedBatch is how many messages are a batch.
const generatedBatch = 1000

// Open implements Input.
func (g *Generator) Open(r *Run) (stream.Source, error) {
	lines := g.Lines
	if len(lines) == 0 {
		lines = []string{g.Message}
		if g.Message == "stdin" && r.Stdin != nil {
			text, err := io.ReadAll(r.Stdin)
			if err != nil {
				return nil, err
			}
			lines[0] = string(bytes.TrimRight(text, "\n"))
		}
	}
	s := &generating{g: g, r: r}
	for _, l := range lines {
		s.messages = append(s.messages, []byte(l))
	}
	return s, nil
}

// generating is the source of a generator: a stream for each thread.
type generating struct {
	g        *Generator
	r        *Run
	messages [][]byte
}

// Run implements stream.Source.
func (g *generating) Run(_ context.Context, open func(stream.Stream)) error {
	var all sync.WaitGroup
	for range g.g.Threads {
		s := newClosing(&generated{of: g, count: g.g.Count})
		all.Go(func() { <-s.closed })
		open(s)
	}
	all.Wait()
	return nil
}

type generated struct {
	of    *generating
	count int64
	given int64 // rounds
}

// Wait implements stream.Stream.
func (g *generated) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if g.count > 0 && g.given == g.count {
		return io.EOF
	}
	return nil
}

// Read implements stream.Stream.
func (g *generated) Read(_ context.Context, b *flow.Batch) error {
	most := cmp.Or(g.of.r.BatchSize, generatedBatch)
	for len(b.Records) < most && (g.count == 0 || g.given < g.count) {
		g.given++
		for _, m := range g.of.messages {
			b.Records = append(b.Records, flow.Record{Port: g.of.r.Port, Body: m, Version: g.given})
		}
	}
	return nil
}

// Ack implements stream.Stream.
func (*generated) Ack(context.Context, flow.Position) error { return nil }

// Close implements stream.Stream.
func (*generated) Close() error { return nil }
