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
	ECSCompatibility string        `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether event.original is set (v1, v8); that of the pipeline if not given"`

	charset   *charset
	original  bool
	delimiter string
	ending    string
}

// Setup implements Plugin.
func (p *Plain) Setup(s *Setup) (Codec, error) {
	var err error
	p.original = s.setsOriginal(p.ECSCompatibility)
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
	ECSCompatibility string        `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether event.original is set (v1, v8); that of the pipeline if not given"`
}

// Setup implements Plugin.
func (l *Line) Setup(s *Setup) (Codec, error) {
	p := &Plain{Charset: l.Charset, Format: l.Format, ECSCompatibility: l.ECSCompatibility}
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
	text := event.StringValue(p.charset.text(message))
	e.Fields().Set("message", text)
	e.Complete(x.Now)
	p.SetOriginal(e, text)
	x.Emit(e)
}

// SetOriginal sets [event][original] to a message, unless it is there or something is in its way: for inputs that decode messages
// themselves as this codec does. With ecs_compatibility disabled it does nothing.
func (p *Plain) SetOriginal(e *event.Event, message event.Value) {
	if !p.original {
		return
	}
	if at := e.Place(refOriginal); at != nil && !at.Is() {
		*at = message
	}
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
