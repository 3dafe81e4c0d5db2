package input

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Heartbeat gives an event from time to time.
//
// Source: LogStash::Inputs::Heartbeat of logstash-input-heartbeat 3.1.
//
// Differences:
//   - Threads has no meaning: the original makes the same beat several times.
type Heartbeat struct {
	Options
	Message          string  `ls:"message" default:"ok" doc:"the message; without the schema, epoch and sequence are what the option of that name says, and there is no message"`
	Interval         float64 `ls:"interval" default:"60" doc:"seconds between two events"`
	Count            int64   `ls:"count" default:"-1" doc:"how many events there are; 0 or less: without an end"`
	Sequence         string  `ls:"sequence" enum:"none|epoch|sequence" doc:"what the field clock, or [event][sequence] with the schema, gets: nothing, the seconds since 1970, a number from 1 on"`
	Threads          int64   `ls:"threads" default:"1" doc:"it has no meaning here"`
	ECSCompatibility string  `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*Heartbeat) Traits() Traits { return Traits{Codec: "plain"} }

// Setup implements Plugin.
func (h *Heartbeat) Setup(s *Setup) (Input, error) {
	if !(h.Interval >= 0 && h.Interval < 1e9) {
		return nil, option.Errorf("interval", "expected seconds, found %v", h.Interval)
	}
	schema := s.schema(h.ECSCompatibility)
	in := &heartbeat{
		Heartbeat: h, now: s.Now, kind: h.Sequence, hasMessage: true,
		clock: named(schema, "clock", "[event][sequence]"), host: named(schema, "host", "[host][name]"),
	}
	if in.now == nil {
		in.now = time.Now
	}
	if name, err := os.Hostname(); err == nil {
		in.name = name
	}
	if h.Sequence == "" && (h.Message == "epoch" || h.Message == "sequence") {
		s.Log.Warn("message says what the sequence is: use the option sequence for it", "input", s.Where)
		if !schema {
			in.kind, in.hasMessage = h.Message, false
		}
	}
	return in, nil
}

type heartbeat struct {
	*Heartbeat
	now         func() time.Time
	kind        string
	hasMessage  bool
	clock, host *event.Ref
	name        string
}

// Decoder implements Decoder: the codec has no part in it, as in the original.
func (h *heartbeat) Decoder(of codec.Decoder) codec.Decoder { return beat{of, h} }

// beat makes an event of a beat.
type beat struct {
	codec.Decoder
	h *heartbeat
}

// Decode implements codec.Decoder.
func (b beat) Decode(x *codec.Context, message []byte) {
	e := x.New()
	if b.h.hasMessage {
		e.Fields().Set("message", event.StringValue(string(message)))
	}
	e.Complete(x.Now)
	x.Emit(e)
}

// Describe implements Describer.
func (h *heartbeat) Describe(e *event.Event, r *flow.Record) {
	setField(e, h.host, event.StringValue(h.name))
	switch h.kind {
	case "epoch":
		setField(e, h.clock, event.IntValue(r.Time.Unix()))
	case "sequence":
		setField(e, h.clock, event.IntValue(r.Version))
	}
}

// Open implements Input.
func (h *heartbeat) Open(r *Run) (stream.Source, error) {
	return one{func() stream.Stream { return &beats{h: h, port: r.Port} }}, nil
}

// beats is the stream of a heartbeat.
type beats struct {
	h    *heartbeat
	port int32
	n    int64
	next time.Time
}

// Wait implements stream.Stream.
func (b *beats) Wait(ctx context.Context) error {
	if b.h.Count > 0 && b.n >= b.h.Count {
		return io.EOF
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.next.IsZero() {
		return nil
	}
	t := time.NewTimer(time.Until(b.next))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Read implements stream.Stream.
func (b *beats) Read(_ context.Context, batch *flow.Batch) error {
	b.n++
	b.next = time.Now().Add(time.Duration(b.h.Interval * float64(time.Second)))
	batch.Records = append(batch.Records, flow.Record{Port: b.port, Body: batch.Copy([]byte(b.h.Message)), Version: b.n, Time: b.h.now()})
	return nil
}

// Ack implements stream.Stream.
func (*beats) Ack(context.Context, flow.Position) error { return nil }

// Close implements stream.Stream.
func (*beats) Close() error { return nil }

var (
	_ Describer = (*heartbeat)(nil)
	_ Decoder   = (*heartbeat)(nil)
)
