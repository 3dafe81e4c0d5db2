package output

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
)

// Kafka writes events to topics. A batch is delivered when the brokers have acknowledged all of it. Writes are idempotent with
// acks all: what is sent again after a broken connection is there once. Records of a partition keep the order in which their
// events reached the output.
//
// An event whose field [@metadata][kafka][tombstone] is true, as the input sets it, is written without a value: it deletes its
// key.
//
// Differences:
//   - acks is all where it is not given; the original's 1 loses what a broker has not copied yet when it dies.
//   - Keys go to the partitions where the Java client puts them (murmur2). uniform_sticky is known beside round_robin.
//   - What brokers never take (too large, no such name of a topic) is a dead letter; the original drops it.
//   - retries bounds attempts of a request, never of an event: an event waits until it is written, where the original drops it.
//   - A topic that does not exist is waited for. Brokers that make topics by themselves are asked to.
//   - Events have a timestamp in Kafka: when they are written, as in the original.
//   - Kerberos (GSSAPI), and keystores in Java's own format with private keys, are errors.
//
// Source: LogStash::Outputs::Kafka of logstash-integration-kafka 11.8 and 12.1.
type Kafka struct {
	Options
	input.KafkaClient
	TopicID              *event.Format `ls:"topic_id,required" doc:"the topic; it may have references to fields"`
	MessageKey           *event.Format `ls:"message_key" doc:"the key, which decides on the partition; it may have references to fields. Without it, records have none"`
	MessageHeaders       option.Hash   `ls:"message_headers" doc:"headers: names, and values that may have references to fields"`
	Acks                 *string       `ls:"acks" enum:"0|1|all" doc:"whose word makes a record safe: all (if not given: all replicas in sync), 1 (the leader's) or 0 (nobody's: records can be lost)"`
	CompressionType      string        `ls:"compression_type" enum:"none|gzip|snappy|lz4|zstd" default:"none" doc:"how batches are compressed; every consumer of the topic must know it, and KafkaJS knows gzip only"`
	Partitioner          string        `ls:"partitioner" doc:"which partition: by key (default, if not given), round_robin or uniform_sticky, whatever the key"`
	BatchSize            int64         `ls:"batch_size" default:"16384" doc:"has no effect: batches are as large as they get within linger_ms, up to max_request_size"`
	BufferMemory         int64         `ls:"buffer_memory" default:"33554432" doc:"most bytes on their way"`
	LingerMS             int64         `ls:"linger_ms" default:"5" doc:"how many milliseconds a partition waits for more records before it sends some"`
	MaxRequestSize       int64         `ls:"max_request_size" default:"1048576" doc:"the size of the largest record, and batch of records, in bytes before compression"`
	MetadataFetchTimeout int64         `ls:"metadata_fetch_timeout_ms" default:"60000" doc:"has no effect: topics are waited for"`
	Retries              *int64        `ls:"retries" doc:"has no effect: an event is tried again until it is written"`
	KeySerializer        string        `ls:"key_serializer" default:"org.apache.kafka.common.serialization.StringSerializer" doc:"has no effect: keys are texts"`
	ValueSerializer      string        `ls:"value_serializer" default:"org.apache.kafka.common.serialization.StringSerializer" doc:"that of strings or of bytes, which are the same here: the codec decides"`
}

// DefaultCodec implements Plugin.
func (*Kafka) DefaultCodec() string { return "plain" }

// Setup implements Plugin.
func (k *Kafka) Setup(s *Setup) (Output, error) {
	out := &kafkaOutput{o: k, log: s.Log}
	var err error
	if out.sink.Config, err = k.Kafka(s.Dir, s.Getenv); err != nil {
		return nil, err
	}
	switch strings.TrimPrefix(k.ValueSerializer, "org.apache.kafka.common.serialization.") {
	case "StringSerializer", "ByteArraySerializer":
	default:
		return nil, option.Errorf("value_serializer", "expected that of strings or of bytes, found %s", k.ValueSerializer)
	}
	w := &out.sink.Writing
	w.Compression = kafka.Codec(k.CompressionType)
	if k.Acks != nil {
		w.Acks = map[string]string{"0": "none", "1": "leader", "all": "all"}[*k.Acks]
	}
	switch strings.TrimPrefix(k.Partitioner, "org.apache.kafka.clients.producer.") {
	case "", "default", "internals.DefaultPartitioner":
	case "round_robin", "RoundRobinPartitioner":
		w.Partitioner = "roundrobin"
	case "uniform_sticky", "UniformStickyPartitioner":
		w.Partitioner = "sticky"
	default:
		return nil, option.Errorf("partitioner", "expected default, round_robin or uniform_sticky, found %q", k.Partitioner)
	}
	if k.Retries != nil && *k.Retries < 0 {
		return nil, option.Errorf("retries", "expected 0 or more, found %d", *k.Retries)
	}
	const most = 1 << 30
	for name, n := range map[string]int64{"linger_ms": k.LingerMS, "buffer_memory": k.BufferMemory, "batch_size": k.BatchSize} {
		if n < 0 || n > most {
			return nil, option.Errorf(name, "expected 0 to %d, found %d", most, n)
		}
	}
	if k.MaxRequestSize < 512 || k.MaxRequestSize > most {
		return nil, option.Errorf("max_request_size", "expected 512 to %d, found %d", most, k.MaxRequestSize)
	}
	w.Linger, w.BatchBytes, w.MaxBufferBytes = time.Duration(k.LingerMS)*time.Millisecond, int(k.MaxRequestSize), int(k.BufferMemory)
	w.CreateTopics = true
	for _, h := range k.MessageHeaders {
		f := s.Style.ParseFormat(option.Text(h.Value))
		if err := f.Err(); err != nil {
			return nil, option.Errorf("message_headers", "%s: %w", h.Key, err)
		}
		out.headers = append(out.headers, kafkaHeader{h.Key, f})
	}
	if topic, ok := k.TopicID.Static(); ok {
		if err := input.CheckTopic(topic); err != nil {
			return nil, option.Errorf("topic_id", "%w", err)
		}
		out.topic = topic
	}
	return out, out.sink.Validate()
}

// kafkaHeader is one of message_headers.
type kafkaHeader struct {
	name  string
	value *event.Format
}

// kafkaOutput is a Kafka that is set up.
type kafkaOutput struct {
	o       *Kafka
	log     *slog.Logger
	sink    kafka.Sink
	headers []kafkaHeader
	topic   string // "": it depends on the event
}

// Former implements Output.
func (k *kafkaOutput) Former(e codec.Encoder) Former {
	return &toTopic{Encoded: Encoded{e}, of: k, names: map[string]string{}}
}

// toTopic makes records for topics.
type toTopic struct {
	Encoded
	of      *kafkaOutput
	names   map[string]string // of topics, as strings that are kept
	headers []kafka.Header
	scratch []byte
}

// mostNames bounds how many topics a worker remembers.
const mostNames = 10_000

// Form implements Former.
func (f *toTopic) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	dst, err := f.Encoded.Form(dst, r, e)
	if err != nil {
		return dst, err
	}
	r.Key, r.Meta = nil, nil
	r.Time = time.Time{}
	if r.Index = f.of.topic; r.Index == "" {
		if f.scratch, err = f.of.o.TopicID.Append(f.scratch[:0], e); err != nil {
			return dst, fmt.Errorf("topic_id: %w", err)
		}
		name, ok := f.names[string(f.scratch)]
		if !ok {
			if len(f.names) >= mostNames {
				clear(f.names)
			}
			name = string(f.scratch)
			f.names[name] = name
		}
		r.Index = name
	}
	if f.of.o.MessageKey != nil {
		start := len(dst)
		if dst, err = f.of.o.MessageKey.Append(dst, e); err != nil {
			return dst, fmt.Errorf("message_key: %w", err)
		}
		r.Key = dst[start:len(dst):len(dst)]
	}
	if under := e.Metadata().Get("kafka"); under.Kind() == event.Map && under.Map().Get("tombstone").Bool() {
		r.Body = nil
	}
	if len(f.of.headers) == 0 {
		return dst, nil
	}
	f.headers, f.scratch = f.headers[:0], f.scratch[:0]
	for _, h := range f.of.headers {
		start := len(f.scratch)
		if f.scratch, err = h.value.Append(f.scratch, e); err != nil {
			return dst, fmt.Errorf("message_headers: %s: %w", h.name, err)
		}
		f.headers = append(f.headers, kafka.Header{Name: h.name, Value: f.scratch[start:len(f.scratch):len(f.scratch)]})
	}
	start := len(dst)
	dst = kafka.AppendHeaders(dst, f.headers)
	r.Meta = dst[start:len(dst):len(dst)]
	return dst, nil
}

// Inspect implements input.Inspector.
func (k *kafkaOutput) Inspect(in *input.Inspection) {
	in.InspectTLS(k.sink.TLS, "ssl_truststore_location", "ssl_keystore_location")
}

// Writer gives how the output writes, for whoever does so in transactions.
func (k *kafkaOutput) Writer() kafka.Sink { return k.sink }

// Open implements Output.
func (k *kafkaOutput) Open(r *Run) (stream.Sink, error) {
	s := k.sink // each run has its own
	s.Log = r.Log
	producer, err := s.Open()
	if err != nil {
		return stream.Sink{}, err
	}
	var sink flow.Sink = producer
	if s.Compression.Unread(kafka.LibraryKafkaJS) != "" {
		sink = &warning{Sink: sink, of: &s, log: r.Log, asked: map[string]bool{}}
	}
	return stream.Sink{
		Sink: sink, InOrder: true, MaxRecords: 16 << 10,
		Retry: flow.Retry{First: max(time.Duration(k.o.RetryBackoffMS)*time.Millisecond, 10*time.Millisecond)},
	}, nil
}

// warning looks, before it writes to a topic for the first time, whether a group reads it whose clients may not know the codec:
// some stop for good at the first batch that they cannot decompress. It is used by one goroutine at a time.
type warning struct {
	flow.Sink
	of    *kafka.Sink
	log   *slog.Logger
	asked map[string]bool
}

const (
	mostAsked     = 100             // topics that are looked at
	askingMayTake = 5 * time.Second // for all topics of a write
)

// Write implements flow.Sink.
func (w *warning) Write(ctx context.Context, recs []flow.Record) error {
	var topics []string
	for i := range recs {
		if topic := recs[i].Index; !w.asked[topic] && len(w.asked) < mostAsked {
			w.asked[topic] = true
			topics = append(topics, topic)
		}
	}
	if len(topics) > 0 {
		w.ask(ctx, topics)
	}
	return w.Sink.Write(ctx, recs)
}

func (w *warning) ask(ctx context.Context, topics []string) {
	ctx, cancel := context.WithTimeout(ctx, askingMayTake)
	defer cancel()
	admin, err := w.of.Admin(ctx)
	if err != nil {
		w.log.Warn("who reads the topics cannot be asked: whether all their clients know the codec is not known", "codec", w.of.Compression, "error", err)
		return
	}
	defer admin.Close()
	for _, topic := range topics {
		lines, err := admin.Unread(ctx, topic, w.of.Compression)
		if err != nil {
			w.log.Warn("who reads a topic cannot be asked: whether all its clients know the codec is not known", "topic", topic, "codec", w.of.Compression, "error", err)
			continue
		}
		for _, line := range lines {
			w.log.Warn("a group may not be able to read what is written", "topic", topic, "codec", w.of.Compression, "group", line)
		}
	}
}
