package codec

import (
	"github.com/narudata/naru/logstash/event"
)

// Plain takes a message for a text as it is.
//
// Source: LogStash::Codecs::Plain of logstash-codec-plain 3.1.
type Plain struct {
	common
	Charset          string        `ls:"charset" default:"UTF-8" doc:"what the bytes of messages mean"`
	Format           *event.Format `ls:"format" doc:"what an event is written as; without it, its time, host and message"`
	ECSCompatibility string        `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`

	charset   *charset
	delimiter string
	ending    string
}

// Setup implements Plugin.
func (p *Plain) Setup(s *Setup) (Codec, error) {
	var err error
	if p.charset, err = charsetOf(p.Charset); err != nil {
		return nil, err
	}
	if s.Stream {
		p.delimiter = "\n"
	}
	return p, nil
}

// Line takes every line for a text.
//
// Source: LogStash::Codecs::Line of logstash-codec-line 3.1.
type Line struct {
	common
	Charset          string        `ls:"charset" default:"UTF-8" doc:"what the bytes of messages mean"`
	Format           *event.Format `ls:"format" doc:"what an event is written as; without it, its time, host and message"`
	Delimiter        string        `ls:"delimiter" default:"\n" doc:"what lines end in"`
	ECSCompatibility string        `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Setup implements Plugin.
func (l *Line) Setup(s *Setup) (Codec, error) {
	p := &Plain{Charset: l.Charset, Format: l.Format}
	if _, err := p.Setup(s); err != nil {
		return nil, err
	}
	p.delimiter, p.ending = l.Delimiter, l.Delimiter
	return p, nil
}

// Delimiter implements Decoder.
func (p *Plain) Delimiter() string { return p.delimiter }

// Decode implements Decoder.
func (p *Plain) Decode(x *Context, message []byte) {
	e := x.New()
	e.Fields().Set("message", event.StringValue(p.charset.text(message)))
	e.Complete(x.Now)
	x.Emit(e)
}

// Encode implements Encoder. A format that fails for an event writes the event without it.
func (p *Plain) Encode(dst []byte, e *event.Event) []byte {
	if p.Format != nil {
		if out, err := p.Format.Append(dst, e); err == nil {
			return append(out, p.ending...)
		}
	}
	return append(appendString(dst, e), p.ending...)
}

// appendString appends an event as its toString: time, host and message.
func appendString(dst []byte, e *event.Event) []byte {
	if t, ok := e.Timestamp(); ok {
		dst = append(event.AppendTime(dst, t), ' ')
	}
	for i, name := range []string{"host", "message"} {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if v := e.GetField(name); v.Is() {
			dst = v.AppendText(dst)
		} else {
			dst = append(append(append(dst, "%{"...), name...), '}')
		}
	}
	return dst
}

// Dots writes a dot for every event.
//
// Source: LogStash::Codecs::Dots of logstash-codec-dots 3.0.
type Dots struct{ common }

// Setup implements Plugin.
func (d *Dots) Setup(*Setup) (Codec, error) { return d, nil }

// Encode implements Encoder.
func (d *Dots) Encode(dst []byte, _ *event.Event) []byte { return append(dst, '.') }
