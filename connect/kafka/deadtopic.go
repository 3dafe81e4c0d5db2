package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/narudata/naru/flow"
)

// Headers of records in a dead-letter topic. The record is as it was: key, value (a record without one has none), timestamp
// and its own headers, which stand before these.
const (
	DeadReason    = "naru.dead.reason"    // why it could not be delivered
	DeadTopic     = "naru.dead.topic"     // where it was
	DeadPartition = "naru.dead.partition" // decimal
	DeadOffset    = "naru.dead.offset"    // decimal
	DeadCluster   = "naru.dead.cluster"   // id of its cluster
	DeadIndex     = "naru.dead.index"     // where it was to go
	DeadPipeline  = "naru.dead.pipeline"  // what could not deliver it
	DeadTime      = "naru.dead.time"      // when it died, RFC 3339
	DeadCount     = "naru.dead.count"     // how many times it has, decimal: so that it does not go round for ever
)

const deadPrefix = "naru.dead."

// longestReason bounds a reason in bytes: headers count for the size of a record.
const longestReason = 2000

// A DeadTopicConfig says which topic dead letters go to.
type DeadTopicConfig struct {
	Config
	Topic    string `json:"topic" doc:"topic for records that cannot be delivered; it must exist"`
	Pipeline string `json:"pipeline,omitempty" doc:"what the headers say could not deliver them"`
}

// A DeadLetterTopic keeps dead letters in a topic.
type DeadLetterTopic struct {
	out      *Producer
	topic    string
	pipeline string
	now      func() time.Time
}

var _ flow.DeadLetters = (*DeadLetterTopic)(nil)

// Open looks whether the topic exists, and opens it.
func (c *DeadTopicConfig) Open(ctx context.Context) (*DeadLetterTopic, error) {
	if !validTopic(c.Topic) {
		return nil, fmt.Errorf("dead-letter topic %q: want the name of a topic", c.Topic)
	}
	client, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	meta, err := kadm.NewClient(client).Metadata(ctx, c.Topic)
	if err == nil {
		err = meta.Topics[c.Topic].Err
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil, fmt.Errorf("dead-letter topic %s does not exist; make it, with a retention that gives you time to look: kafka-topics.sh --create --topic %s --config retention.ms=2419200000", c.Topic, c.Topic)
	}
	if err != nil {
		return nil, fmt.Errorf("dead-letter topic %s: %s", c.Topic, because(err))
	}
	// Records may be as large as their own topic allows; what this one allows, the broker says.
	out, err := (&Sink{Config: c.Config, Writing: Writing{Topic: c.Topic, BatchBytes: 64 << 20}}).Open()
	if err != nil {
		return nil, err
	}
	return &DeadLetterTopic{out: out, topic: c.Topic, pipeline: c.Pipeline, now: time.Now}, nil
}

// Bury implements flow.DeadLetters. It returns when the letters are safe. A letter that the topic refuses for good is a
// Permanent error: nothing is dropped.
func (d *DeadLetterTopic) Bury(ctx context.Context, recs []flow.Record, why []error) error {
	letters := make([]flow.Record, len(recs))
	for i := range recs {
		letters[i] = d.letter(&recs[i], why[i])
	}
	return unburied(d.out.Write(ctx, letters), d.topic)
}

// unburied makes one error of those of some letters.
func unburied(err error, topic string) error {
	failures, ok := errors.AsType[flow.Failures](err)
	if !ok {
		return err
	}
	first := error(nil)
	for _, f := range failures {
		if !flow.IsPermanent(f.Err) {
			return fmt.Errorf("write dead letters to %s: %w", topic, f.Err) // tried again, all of them: one may be there twice
		}
		if first == nil {
			first = f.Err
		}
	}
	return flow.Permanent(fmt.Errorf("write dead letters to %s: %w", topic, first))
}

// letter is a record as the topic has it.
func (d *DeadLetterTopic) letter(r *flow.Record, why error) flow.Record {
	var headers []Header
	count := 0
	add := func(name, value string) { headers = append(headers, Header{name, []byte(value)}) }
	m, err := ParseMeta(r.Meta)
	if err == nil {
		for h := range m.Headers() {
			if h.Name == DeadCount {
				count = deadCount(h.Value)
			}
			if !strings.HasPrefix(h.Name, deadPrefix) {
				headers = append(headers, h)
			}
		}
	}
	add(DeadReason, cutReason(why.Error()))
	if err == nil && m.Topic != "" {
		add(DeadTopic, m.Topic)
		add(DeadPartition, strconv.Itoa(int(m.Partition)))
		add(DeadOffset, strconv.FormatInt(m.Offset, 10))
		add(DeadCluster, m.Cluster)
	}
	if r.Index != "" && (err != nil || r.Index != m.Topic) {
		add(DeadIndex, r.Index)
	}
	if d.pipeline != "" {
		add(DeadPipeline, d.pipeline)
	}
	add(DeadTime, d.now().UTC().Format(time.RFC3339Nano))
	add(DeadCount, strconv.Itoa(count+1))
	out := flow.Record{Index: d.topic, Key: r.Key, Body: r.Body, Time: r.Time, Meta: AppendHeaders(nil, headers)}
	if err == nil && m.Topic != "" {
		out.Key = m.Key // as the topic had it, whatever became the id
	}
	return out
}

func deadCount(b []byte) int {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func cutReason(s string) string {
	if len(s) <= longestReason {
		return s
	}
	return strings.ToValidUTF8(s[:longestReason], "") + "…"
}

// Close closes the topic.
func (d *DeadLetterTopic) Close() error { return d.out.Close(context.Background()) }
