package agent

import (
	"fmt"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// Kafka is the output to topics.
type Kafka struct {
	Sink    kafka.Sink
	Topic   selector
	Key     *Format // nil: no key
	Codec   Codec
	TLS     *TLS
	Headers []kafka.Header
	BulkMax int
	Backoff flow.Retry
}

func (o *Kafka) form(dst []byte, r *flow.Record, e *Event, _ *Input) ([]byte, error) {
	topic, err := o.Topic.of(e)
	if err != nil {
		return dst, err
	}
	if topic == "" {
		return dst, fmt.Errorf("output.kafka: no topic fits the event")
	}
	r.Index, r.Time = topic, e.Time
	if o.Key != nil {
		if key, err := o.Key.Of(e); err == nil && key != "" {
			r.Key = []byte(key)
		}
	}
	r.Meta = nil
	if len(o.Headers) > 0 {
		r.Meta = kafka.AppendHeaders(nil, o.Headers)
	}
	return o.Codec.append(dst, e, e.metadata(beatName))
}

func (o *Kafka) open(x *Options) (stream.Sink, error) {
	s := o.Sink
	s.Log = x.Log
	if o.TLS != nil {
		t := &kafka.TLS{Insecure: o.TLS.Mode == "none", InsecureServerName: o.TLS.Mode == "certificate"}
		var err error
		if t.CAPEM, err = o.TLS.authorities(); err != nil {
			return stream.Sink{}, err
		}
		if t.CertPEM, err = o.TLS.identity(); err != nil {
			return stream.Sink{}, err
		}
		s.TLS = t
	}
	p, err := s.Open()
	if err != nil {
		return stream.Sink{}, err
	}
	return stream.Sink{Sink: p, InOrder: true, MaxRecords: o.BulkMax, Retry: o.Backoff}, nil
}
