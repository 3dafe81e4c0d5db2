package output

import (
	"context"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
)

// Null writes nothing.
//
// Source: LogStash::Outputs::Null of logstash-output-null 3.0.
type Null struct{ Options }

// DefaultCodec implements Plugin.
func (*Null) DefaultCodec() string { return "plain" }

// Setup implements Plugin.
func (o *Null) Setup(*Setup) (Output, error) { return o, nil }

// Former implements Output.
func (*Null) Former(codec.Encoder) Former { return nothing{} }

// Open implements Output.
func (*Null) Open(*Run) (stream.Sink, error) { return stream.Sink{Sink: nothing{}}, nil }

// nothing forms and writes nothing.
type nothing struct{}

// Form implements Former.
func (nothing) Form(dst []byte, _ *flow.Record, _ *event.Event) ([]byte, error) {
	return dst, ErrNothing
}

// Write implements flow.Sink.
func (nothing) Write(context.Context, []flow.Record) error { return nil }

// Close implements flow.Sink.
func (nothing) Close(context.Context) error { return nil }
