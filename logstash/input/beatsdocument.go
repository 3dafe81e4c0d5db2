package input

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
)

// documents decodes the JSON objects that Beats send: the text of an event goes through the codec, and what else the event has
// joins what that makes of it. Each worker has its own.
//
// Source: LogStash::Inputs::Beats::MessageListener, DecodedEventTransform, RawEventTransform.
type documents struct {
	codec.Decoder              // of the text
	applied, raw  string       // tags for events with and without a text; empty: none
	plain         *codec.Plain // the codec, if it makes the text a message and does nothing to it

	inner codec.Context
	made  []*event.Event // by the codec, of one text
}

// A beat's text, and a lumberjack's.
const (
	fieldMessage   = "message"
	fieldLine      = "line"
	fieldTimestamp = "@timestamp"
	fieldMetadata  = "@metadata"
)

func newDocuments(of codec.Decoder, applied, raw string) *documents {
	d := &documents{Decoder: of, applied: applied, raw: raw}
	if p, ok := of.(*codec.Plain); ok && strings.EqualFold(p.Charset, "UTF-8") {
		d.plain = p
	}
	d.inner.Emit = func(e *event.Event) { d.made = append(d.made, e) }
	return d
}

var (
	_ codec.Forker  = (*documents)(nil)
	_ codec.Ordered = (*documents)(nil)
)

// Fork implements codec.Forker.
func (d *documents) Fork() codec.Codec {
	of := d.Decoder
	if f, ok := of.(codec.Forker); ok {
		if own, ok := f.Fork().(codec.Decoder); ok {
			of = own
		}
	}
	return newDocuments(of, d.applied, d.raw)
}

// Alone implements codec.Ordered.
func (d *documents) Alone() bool {
	o, ok := d.Decoder.(codec.Ordered)
	return ok && o.Alone()
}

// Decode implements codec.Decoder.
func (d *documents) Decode(x *codec.Context, document []byte) {
	e := x.New()
	f := e.Fields()
	err := e.ParseJSON(document, event.JSONOptions{Trailing: true})
	if meta := f.Get(fieldMetadata); err != nil || !meta.Nil() && meta.Kind() != event.Map {
		x.Log.Warn("a document of a beat is no JSON object and becomes an event's message", "error", err)
		e.Reset()
		f.Set(fieldMessage, event.StringValue(strings.ToValidUTF8(textOf(document), "\uFFFD")))
		e.Complete(x.Now)
		e.Tag("_jsonparsefailure")
		x.Emit(e)
		return
	}
	field, text := fieldMessage, f.Get(fieldMessage)
	if text.Nil() {
		field, text = fieldLine, f.Get(fieldLine)
	}
	switch {
	case text.Nil():
		e.Complete(x.Now)
		d.emit(x, e, d.raw)
	case d.plain != nil && field == fieldMessage && text.Kind() == event.String && utf8.ValidString(text.Str()):
		d.timestamp(x, f)
		e.Complete(x.Now)
		d.plain.SetOriginal(e, text)
		d.emit(x, e, d.applied)
	default:
		f.Delete(field)
		d.decode(x, f, text)
	}
}

func (d *documents) emit(x *codec.Context, e *event.Event, tag string) {
	if tag != "" {
		e.Tag(tag)
	}
	x.Emit(e)
}

// timestamp makes a time of the document's @timestamp; what is none is as if it were not there.
func (d *documents) timestamp(x *codec.Context, f *event.Fields) {
	at := f.At(fieldTimestamp)
	if at == nil {
		return
	}
	if at.Kind() == event.String {
		if t, ok := event.ParseTimestamp(at.Str()); ok {
			*at = event.TimeValue(t)
			return
		}
	}
	if !at.Nil() {
		x.Log.Warn("the @timestamp of a beat's event is no time: the event gets the current one", "value", string(event.AppendJSON(nil, *at)))
	}
	f.Delete(fieldTimestamp)
}

// decode takes the text of a document through the codec.
func (d *documents) decode(x *codec.Context, document *event.Fields, text event.Value) {
	d.inner.New, d.inner.Now, d.inner.Log = x.New, x.Now, x.Log
	message := text.Str()
	if text.Kind() != event.String {
		message = string(text.AppendText(nil))
	}
	d.Decoder.Decode(&d.inner, unsafe.Slice(unsafe.StringData(message), len(message))) //nolint:gosec // nobody changes it
	d.timestamp(x, document)
	made := d.made
	d.made = nil
	for i, e := range made {
		for _, m := range document.Entries() {
			v := m.Value
			if i < len(made)-1 {
				v = v.Clone()
			}
			d.join(x, e, m.Key, v)
		}
		d.emit(x, e, d.applied)
	}
	clear(made)
	d.made = made[:0]
}

// join gives an event that the codec made a field of the document. Maps of both become one.
func (d *documents) join(x *codec.Context, e *event.Event, name string, v event.Value) {
	into := e.GetField(name)
	if into.Kind() == event.Map && v.Kind() == event.Map {
		for _, m := range v.Map().Entries() {
			into.Map().Set(m.Key, m.Value)
		}
		return
	}
	if name == fieldMetadata {
		return // null
	}
	if err := e.SetField(name, v); err != nil { // tags that are none, as Complete has them
		x.Log.Warn("a field of a beat's event cannot be set", "field", name, "error", err)
		e.Fields().Set("_"+name, event.ListValue([]event.Value{v}))
		e.Tag("_tagsparsefailure")
	}
}

// textOf gives bytes that do not change as a text, without a copy.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } //nolint:gosec // see above
