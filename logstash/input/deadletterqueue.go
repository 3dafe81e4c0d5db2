package input

import (
	"crypto/md5" //nolint:gosec // as Logstash
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/narudata/naru/connect/deadletters"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/recordio"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// DeadLetterQueue gives the events that a pipeline of a Logstash could not deliver, with the reason and what said so in
// [@metadata][dead_letter_queue].
//
// Source: LogStash::Inputs::DeadLetterQueue of logstash-input-dead_letter_queue 2.0, org.logstash.common.io.DeadLetterQueueReader.
//
// Differences:
//   - The position is saved once events are delivered, and not only when the pipeline ends; segments are deleted after that.
//   - Damaged bytes do not stop the input: they are logged, and the next block is read.
//   - An entry that cannot be read is an event with the tag _deadletterqueueparsefailure.
//   - The lock file dlq_reader.lock is not taken: let no Logstash read the queue at the same time.
//   - The format is tested with what a program of the tests and Jackson itself have written, not with files of a Logstash.
type DeadLetterQueue struct {
	Options
	Path           string `ls:"path,required" doc:"the directory of dead letters, path.dead_letter_queue of the Logstash that wrote them"`
	PipelineID     string `ls:"pipeline_id" default:"main" doc:"the pipeline whose events are read"`
	CleanConsumed  bool   `ls:"clean_consumed" default:"false" doc:"whether segments are deleted when everything in them is delivered; only with commit_offsets"`
	SincedbPath    string `ls:"sincedb_path" doc:"the file that keeps how far the queue is read; without it, one under path.data"`
	CommitOffsets  bool   `ls:"commit_offsets" default:"true" doc:"whether the position is kept"`
	StartTimestamp string `ls:"start_timestamp" doc:"the time, as ISO 8601, of the first event to read; the position that was kept has no say then"`
}

// Traits implements Plugin.
func (*DeadLetterQueue) Traits() Traits { return Traits{Codec: "plain"} }

// Setup implements Plugin.
func (d *DeadLetterQueue) Setup(s *Setup) (Input, error) {
	in := &deadLetterQueue{DeadLetterQueue: d, dir: d.Path, sincedb: d.SincedbPath}
	for _, path := range []*string{&in.dir, &in.sincedb} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(s.Dir, *path)
		}
	}
	if d.CleanConsumed && !d.CommitOffsets {
		return nil, option.Errorf("clean_consumed", "it needs commit_offsets: without it, what was deleted would not be known")
	}
	if d.StartTimestamp != "" {
		t, ok := event.ParseTimestamp(d.StartTimestamp)
		if !ok {
			return nil, option.Errorf("start_timestamp", "expected a time like 2017-04-04T23:40:37, found %q", d.StartTimestamp)
		}
		in.start = t
	}
	if in.sincedb != "" {
		if info, err := os.Stat(in.sincedb); err == nil && info.IsDir() {
			return nil, option.Errorf("sincedb_path", "expected a file, found the directory %s", in.sincedb)
		}
	}
	return in, nil
}

type deadLetterQueue struct {
	*DeadLetterQueue
	dir, sincedb string
	start        time.Time
}

// Inspect implements Inspector.
func (d *deadLetterQueue) Inspect(in *Inspection) {
	if info, err := os.Stat(d.dir); err == nil && !info.IsDir() {
		in.Report(option.Errorf("path", "%s is no folder", d.Path))
	}
	if d.CommitOffsets {
		in.File("sincedb_path", d.sincedb, true)
	}
}

// Open implements Input.
func (d *deadLetterQueue) Open(r *Run) (stream.Source, error) {
	c := deadletters.Config{Dir: filepath.Join(d.dir, d.PipelineID), Start: d.start, Clean: d.CleanConsumed, Port: r.Port, Log: r.Log}
	if d.CommitOffsets {
		if c.Sincedb = d.sincedb; c.Sincedb == "" {
			sum := md5.Sum([]byte(d.Path)) //nolint:gosec // as Logstash
			c.Sincedb = filepath.Join(r.Data, "plugins", "inputs", "dead_letter_queue", d.PipelineID, ".sincedb_"+hex.EncodeToString(sum[:]))
		}
	}
	return deadletters.New(c), nil
}

// Decoder implements Decoder: what is read are events, whatever the codec.
func (*deadLetterQueue) Decoder(of codec.Decoder) codec.Decoder { return deadLetters{of} }

// deadLetters decodes entries.
type deadLetters struct{ codec.Decoder }

// Decode implements codec.Decoder.
func (deadLetters) Decode(x *codec.Context, message []byte) {
	e := x.New()
	entry, err := recordio.ParseEntry(message)
	if err != nil {
		x.Log.Error("entry of the dead letter queue cannot be read", "err", err)
		e.Complete(x.Now)
		e.Tag("_deadletterqueueparsefailure")
		x.Emit(e)
		return
	}
	for _, m := range entry.Data {
		e.Fields().Set(m.Key, deadValue(m.Value))
	}
	for _, m := range entry.Meta {
		e.Metadata().Set(m.Key, deadValue(m.Value))
	}
	why := event.MapValue()
	why.Map().Set("plugin_type", event.StringValue(entry.PluginType))
	why.Map().Set("plugin_id", event.StringValue(entry.PluginID))
	why.Map().Set("reason", event.StringValue(entry.Reason))
	why.Map().Set("entry_time", deadValue(recordio.Timestamp(entry.Time)))
	e.Metadata().Set("dead_letter_queue", why)
	e.Complete(x.Now)
	x.Emit(e)
}

// deadValue makes a value of one of an entry.
func deadValue(v any) event.Value {
	switch v := v.(type) {
	case bool:
		return event.BoolValue(v)
	case int64:
		return event.IntValue(v)
	case *big.Int:
		return event.BigValue(v)
	case float64:
		return event.FloatValue(v)
	case string:
		return event.StringValue(v)
	case recordio.Decimal:
		return event.DecimalValue(string(v))
	case recordio.Timestamp:
		if t, ok := event.ParseTimestamp(string(v)); ok {
			return event.TimeValue(t)
		}
		return event.StringValue(string(v))
	case []any:
		list := make([]event.Value, len(v))
		for i := range v {
			list[i] = deadValue(v[i])
		}
		return event.ListValue(list)
	case recordio.Map:
		m := event.MapValue()
		for _, e := range v {
			m.Map().Set(e.Key, deadValue(e.Value))
		}
		return m
	}
	return event.NullValue
}
