package output

import (
	"context"
	"errors"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
)

// Pipeline sends events to other pipelines of the process, by their addresses. They are delivered when all of those have
// delivered them.
//
// Source: LogStash::Plugins::Builtin::Pipeline::Output, org.logstash.plugins.pipeline.AbstractPipelineBus.
type Pipeline struct {
	Options
	SendTo         []string `ls:"send_to,required" doc:"the addresses that inputs called pipeline have"`
	EnsureDelivery bool     `ls:"ensure_delivery" default:"true" doc:"whether events wait while nobody has an address; without it they are dead letters then"`
}

// DefaultCodec implements Plugin.
func (*Pipeline) DefaultCodec() string { return "plain" }

// Setup implements Plugin.
func (p *Pipeline) Setup(*Setup) (Output, error) {
	if len(p.SendTo) == 0 {
		return nil, option.Errorf("send_to", "expected an address, found none")
	}
	return p, nil
}

// Former implements Output: events are sent as they are, whatever the codec.
func (*Pipeline) Former(codec.Encoder) Former { return sent{} }

type sent struct{}

// Form implements Former.
func (sent) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	start := len(dst)
	dst = e.AppendBinary(dst)
	r.Body = dst[start:len(dst):len(dst)]
	return dst, nil
}

// Open implements Output.
func (p *Pipeline) Open(r *Run) (stream.Sink, error) {
	if r.Addresses == nil {
		return stream.Sink{}, errors.New("there are no other pipelines to send to")
	}
	return stream.Sink{
		Sink: &sending{p: p, to: r.Addresses}, InOrder: r.Ordered,
		Retry: patience,
		Dead:  asJSON,
	}, nil
}

// patience is how often an address is tried again.
var patience = flow.Retry{First: 100 * time.Millisecond, Max: time.Second}

// asJSON makes the dead letter of an event in its binary form.
func asJSON(r flow.Record) flow.Record {
	e := event.New()
	if err := e.ParseBinary(r.Body); err == nil {
		r.Body = e.AppendJSON(nil)
	}
	return r
}

// sending is the sink. What one address has taken it is not sent again when another one was missing.
type sending struct {
	p  *Pipeline
	to *input.Addresses
}

// Write implements flow.Sink.
func (s *sending) Write(ctx context.Context, recs []flow.Record) error {
	if len(s.p.SendTo) == 1 {
		return s.send(ctx, s.p.SendTo[0], recs)
	}
	// Each address is sent to until it has taken the records: were the whole write tried again, the others had them twice.
	failed := make(chan error, len(s.p.SendTo))
	for _, name := range s.p.SendTo {
		go func() {
			err := s.send(ctx, name, recs)
			for failures := 1; err != nil && !errors.As(err, new(flow.Failures)); failures++ {
				if patience.Wait(ctx, failures) != nil {
					break
				}
				err = s.send(ctx, name, recs)
			}
			failed <- err
		}()
	}
	var first error
	for range s.p.SendTo {
		if err := <-failed; first == nil {
			first = err
		}
	}
	return first
}

func (s *sending) send(ctx context.Context, name string, recs []flow.Record) error {
	err := s.to.Send(ctx, name, recs)
	if errors.Is(err, input.ErrNobody) && !s.p.EnsureDelivery {
		failures := make(flow.Failures, len(recs))
		for i := range recs {
			failures[i] = flow.Failure{Index: i, Err: flow.Permanent(err)}
		}
		return failures
	}
	return err
}

// Close implements flow.Sink.
func (*sending) Close(context.Context) error { return nil }
