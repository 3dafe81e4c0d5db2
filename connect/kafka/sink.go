package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

// Writing says how records are written. The zero value works, but for the topic of records that have none.
type Writing struct {
	Topic string `json:"topic,omitempty" doc:"where records go that have no topic of their own"`
	// No compression unless it is chosen: what the default of a library is decides which consumers of the topic die.
	Compression     Codec         `json:"compression,omitempty" doc:"none (the default), gzip, snappy, lz4 or zstd; every client reads none and gzip, KafkaJS nothing else by itself"`
	Acks            string        `json:"acks,omitempty" doc:"whose word makes a record safe: all (the default: all replicas in sync), leader, or none (nobody's: records can be lost)"`
	NotIdempotent   bool          `json:"notIdempotent,omitempty" doc:"do not let brokers recognise records that are sent again after a broken connection; for clusters where naru may not do that"`
	Partitioner     string        `json:"partitioner,omitempty" doc:"which partition: murmur2 (the default: by key as the Java client does it), crc32 (by key as librdkafka does it), roundrobin or sticky (whatever the key)"`
	Linger          time.Duration `json:"linger,omitempty" doc:"how long a partition waits for more records before it sends some; the default is 5ms"`
	BatchBytes      int           `json:"batchBytes,omitempty" doc:"most bytes of one batch of a partition before compression, and thus of a record; the default is 1000000. Topics have a bound, too (max.message.bytes)"`
	MaxBufferBytes  int           `json:"maxBufferBytes,omitempty" doc:"most bytes on their way; the default is 64 MiB"`
	DeliveryTimeout time.Duration `json:"deliveryTimeout,omitempty" doc:"how long a record may be on its way before that is said and it is tried anew; the default is 2m"`
	ReplicaTimeout  time.Duration `json:"replicaTimeout,omitempty" doc:"how long a broker may wait for replicas; the default is 10s"`
	CreateTopics    bool          `json:"createTopics,omitempty" doc:"let brokers make topics that do not exist, if they do that"`
	UnknownTopic    string        `json:"unknownTopic,omitempty" doc:"what becomes of records whose topic does not exist: retry (the default: they wait until it does) or dead (they are dead letters)"`
}

// A Sink writes records to Kafka: Index is the topic, Key the key (nil: none), Body the value (nil: none, a tombstone), Time
// the timestamp (zero: now); headers are those of a Meta that AppendHeaders made or a Group gave. Write returns when all of
// them are safe. Records of one Write keep their order in each partition; with one Write at a time, all do.
type Sink struct {
	Config
	Writing
}

// Validate says what is wrong with s.
func (s *Sink) Validate() error {
	_, err := s.options()
	return errors.Join(s.Config.Validate(), err)
}

// options gives the client's options for writing.
func (w *Writing) options() ([]kgo.Opt, error) {
	codec, err := w.Compression.codec()
	if err != nil {
		return nil, err
	}
	batch := orElse(w.BatchBytes, 1_000_000)
	if batch < 512 || batch > 1<<30 {
		return nil, fmt.Errorf("batchBytes %d: want 512 to %d", batch, 1<<30)
	}
	if w.Linger < 0 || w.MaxBufferBytes < 0 || w.DeliveryTimeout < 0 || w.ReplicaTimeout < 0 {
		return nil, errors.New("sizes and times of writing must not be negative")
	}
	if w.UnknownTopic != "" && w.UnknownTopic != "retry" && w.UnknownTopic != "dead" {
		return nil, fmt.Errorf("unknownTopic %q: want retry or dead", w.UnknownTopic)
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(orElse(w.Linger, 5*time.Millisecond)),
		kgo.ProducerBatchMaxBytes(int32(batch)),                           //nolint:gosec // checked
		kgo.BrokerMaxWriteBytes(int32(min(max(100<<20, 2*batch), 1<<30))), //nolint:gosec // bounded
		kgo.MaxBufferedBytes(max(orElse(w.MaxBufferBytes, 64<<20), batch)),
		kgo.MaxBufferedRecords(100_000),
		kgo.ProduceRequestTimeout(max(orElse(w.ReplicaTimeout, 10*time.Second), 100*time.Millisecond)),
		kgo.UnknownTopicRetries(4),
	}
	switch w.Acks {
	case "", "all":
	case "leader":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "none":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, fmt.Errorf("acks %q: want all, leader or none", w.Acks)
	}
	if w.NotIdempotent && (w.Acks == "" || w.Acks == "all") {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if w.CreateTopics {
		options = append(options, kgo.AllowAutoTopicCreation())
	}
	p, err := partitioner(w.Partitioner)
	if err != nil {
		return nil, err
	}
	return append(options, kgo.RecordPartitioner(p)), nil
}

// uniformBytes is how much goes to one partition before another has its turn, for records without keys. As in Java (KIP-794).
const uniformBytes = 64 << 10

func partitioner(name string) (kgo.Partitioner, error) {
	switch name {
	case "", "murmur2":
		return kgo.UniformBytesPartitioner(uniformBytes, true, true, nil), nil
	case "crc32":
		return kgo.UniformBytesPartitioner(uniformBytes, true, true, func(key []byte, n int) int {
			return int(crc32.ChecksumIEEE(key) % uint32(n)) //nolint:gosec // a count of partitions
		}), nil
	case "roundrobin":
		return kgo.RoundRobinPartitioner(), nil
	case "sticky":
		return kgo.UniformBytesPartitioner(uniformBytes, true, false, nil), nil
	}
	return nil, fmt.Errorf("partitioner %q: want murmur2, crc32, roundrobin or sticky", name)
}

// Open makes the client. It does not connect: brokers that are not there now are errors of Write.
func (s *Sink) Open() (*Producer, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	options, err := s.Options()
	if err != nil {
		return nil, err
	}
	more, err := s.options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Producer{client: client, w: &s.Writing, log: log}, nil
}

// A Producer is an open Sink.
type Producer struct {
	client *kgo.Client
	w      *Writing
	log    *slog.Logger
	closed sync.Once
}

var _ flow.Sink = (*Producer)(nil)

// record makes the client's record of r, whose bytes it has.
func (w *Writing) record(r *flow.Record) (*kgo.Record, error) {
	out := &kgo.Record{Topic: r.Index, Key: r.Key, Value: r.Body, Timestamp: r.Time}
	if out.Topic == "" {
		out.Topic = w.Topic
	}
	switch {
	case out.Topic == "":
		return nil, flow.Permanent(errors.New("the record has no topic, and topic is not set"))
	case !validTopic(out.Topic):
		return nil, flow.Permanent(fmt.Errorf("topic %.300q: a name has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'", out.Topic))
	}
	if len(r.Meta) >= len(metaMagic) && string(r.Meta[:len(metaMagic)]) == metaMagic {
		m, err := ParseMeta(r.Meta)
		if err != nil {
			return nil, flow.Permanent(err)
		}
		for h := range m.Headers() {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
	}
	return out, nil
}

// validTopic reports that a topic can have the name.
//
// Source: org.apache.kafka.common.internals.Topic.
func validTopic(name string) bool {
	if name == "" || len(name) > 249 || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// Write implements flow.Sink. When ctx is done, answers that are on their way are waited for, up to stopPatience: what was sent
// should not be said to be lost.
func (p *Producer) Write(ctx context.Context, recs []flow.Record) error {
	errs := make([]error, len(recs))
	sent := make([]*kgo.Record, len(recs))
	var left atomic.Int64
	left.Store(1)
	done := make(chan struct{})
	// The client's own time-out counts from a record's timestamp, which may be old.
	limited, cancel := context.WithTimeout(ctx, orElse(p.w.DeliveryTimeout, 2*time.Minute))
	defer cancel()
	finish := func() {
		if left.Add(-1) == 0 {
			close(done)
		}
	}
	for i := range recs {
		r, err := p.w.record(&recs[i])
		if err != nil {
			errs[i] = err
			continue
		}
		sent[i] = r
		left.Add(1)
		p.client.Produce(limited, r, func(_ *kgo.Record, err error) {
			errs[i] = err
			finish()
		})
	}
	finish()
	p.wait(ctx, done)
	p.split(ctx, sent, errs)
	var failures flow.Failures
	for i, err := range errs {
		if err != nil {
			failures = append(failures, flow.Failure{Index: i, Err: p.w.classify(err, sent[i])})
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return failures
}

// stopPatience is how long answers are waited for when there is no more time.
const stopPatience = 5 * time.Second

// wait waits until done. The bytes of records are in use until then, so it may not return before; the client is made to give
// up what it cannot get an answer to.
func (p *Producer) wait(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	t := time.NewTimer(stopPatience)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		p.log.Warn("kafka does not answer, and there is no more time: it is not known whether what was sent is written")
		p.client.UnsafeAbortBufferedRecords()
		<-done
	}
}

// split sends records one by one that a broker found to be too much together: a topic's bound is of batches, and may be
// lower than batchBytes. What is too large alone stays so.
func (p *Producer) split(ctx context.Context, sent []*kgo.Record, errs []error) {
	for i, err := range errs {
		if sent[i] == nil || !errors.Is(err, kerr.MessageTooLarge) || len(sent[i].Value) > orElse(p.w.BatchBytes, 1_000_000) {
			continue
		}
		errs[i] = p.client.ProduceSync(ctx, sent[i]).FirstErr()
	}
}

// classify says whether trying again is of use, and what to do.
func (w *Writing) classify(err error, r *kgo.Record) error {
	var topic string
	if r != nil {
		topic = r.Topic
	}
	switch {
	case flow.IsPermanent(err):
		return err
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return flow.Permanent(fmt.Errorf("topic %s: the record of %d bytes is larger than batchBytes or the topic's max.message.bytes allows: %w", topic, len(r.Key)+len(r.Value), err))
	case errors.Is(err, kerr.InvalidTopicException):
		return flow.Permanent(fmt.Errorf("topic %s may not be written to: %w", topic, err))
	case errors.Is(err, kerr.InvalidRecord), errors.Is(err, kerr.InvalidTimestamp), errors.Is(err, kerr.UnsupportedForMessageFormat):
		return flow.Permanent(fmt.Errorf("topic %s: the brokers refuse the record (a compacted topic takes none without a key): %w", topic, err))
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		err = fmt.Errorf("topic %s does not exist, or may not be seen: make it, or set createTopics: %w", topic, err)
		if w.UnknownTopic == "dead" {
			return flow.Permanent(err)
		}
		return err
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("topic %s may not be written to: %w", topic, err)
	case errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return fmt.Errorf("naru may not write so that brokers recognise what is sent again: allow IdempotentWrite, or set notIdempotent: %w", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the brokers did not take the record in time")
	}
	return fmt.Errorf("topic %s: %w", topic, err)
}

// Close implements flow.Sink.
func (p *Producer) Close(context.Context) error {
	p.closed.Do(p.client.Close)
	return nil
}
