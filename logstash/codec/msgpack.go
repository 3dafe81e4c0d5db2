package codec

import (
	"github.com/narudata/naru/logstash/event"
)

// Msgpack takes a message for a map in MessagePack, and writes events as such maps. What is no such map becomes the message of
// an event with the tag _msgpackparsefailure. Messages are whole: a stream needs something that says where they end.
//
// Source: msgpack.rb of logstash-codec-msgpack 3.1.
//
// Differences:
//   - Times inside of events are written as text, numbers beyond 64 bits as floating-point numbers; the original fails.
//   - Bytes (bin) that are not UTF-8 are read as Ruby inspects them (\xE9).
//   - Extension types, a timestamp among them, are not read: the message is tagged, as it is in the original.
type Msgpack struct {
	common
	Format *event.Format `ls:"format" doc:"what the message of an event is that has none"`
	Target *event.Ref    `ls:"target" doc:"the field that gets what was decoded; without it, that is the event"`
}

// Setup implements Plugin.
func (m *Msgpack) Setup(*Setup) (Codec, error) { return m, nil }

// Delimiter implements Decoder.
func (m *Msgpack) Delimiter() string { return "" }

// Decode implements Decoder.
func (m *Msgpack) Decode(x *Context, message []byte) {
	v, err := parseMsgpack(message)
	if err == nil && (v.Kind() != event.Map || badMetadata(v.Map())) {
		err = errMsgpackMap
	}
	if err != nil {
		x.Log.Warn("this is no map in MessagePack and becomes the event's message", "error", err)
		failed(x, (*charset)(nil).text(message), "_msgpackparsefailure")
		return
	}
	e := x.New()
	if m.Target != nil {
		into(x, e, m.Target, v)
	} else {
		for _, f := range v.Map().Entries() {
			e.Fields().Set(f.Key, f.Value)
		}
		e.Complete(x.Now)
	}
	if m.Format != nil && e.GetField("message").Nil() {
		text, err := m.Format.Text(e)
		if err == nil {
			err = e.SetField("message", event.StringValue(text))
		}
		if err != nil {
			x.Log.Warn("the format of msgpack cannot be used for an event", "error", err)
		}
	}
	x.Emit(e)
}

// Encode implements Encoder.
func (m *Msgpack) Encode(dst []byte, e *event.Event) []byte {
	return appendMsgpackMap(dst, e.Fields().Entries(), 0)
}
