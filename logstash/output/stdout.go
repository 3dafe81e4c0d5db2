package output

import (
	"context"
	"io"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
)

// Stdout writes to standard output.
//
// Source: LogStash::Outputs::Stdout of logstash-output-stdout 3.1.
type Stdout struct{ Options }

// DefaultCodec implements Plugin.
func (*Stdout) DefaultCodec() string { return "rubydebug" }

// Setup implements Plugin.
func (o *Stdout) Setup(*Setup) (Output, error) { return o, nil }

// Former implements Output.
func (*Stdout) Former(e codec.Encoder) Former { return Encoded{e} }

// Open implements Output.
func (*Stdout) Open(r *Run) (stream.Sink, error) {
	to := r.Stdout
	if to == nil {
		to = io.Discard
	}
	return stream.Sink{Sink: &printing{to: to}, InOrder: true}, nil
}

// printing writes bodies.
type printing struct {
	to   io.Writer
	room []byte
}

// Write implements flow.Sink. An error is for good: nobody reads the output any more.
func (p *printing) Write(_ context.Context, recs []flow.Record) error {
	p.room = p.room[:0]
	for i := range recs {
		p.room = append(p.room, recs[i].Body...)
	}
	if len(p.room) == 0 {
		return nil
	}
	if _, err := p.to.Write(p.room); err != nil {
		return flow.Permanent(err)
	}
	return nil
}

// Close implements flow.Sink.
func (*printing) Close(context.Context) error { return nil }
