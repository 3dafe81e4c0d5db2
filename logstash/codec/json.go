package codec

import (
	"bytes"
	"unsafe"

	"github.com/narudata/naru/logstash/event"
)

// JSON takes a message for an object, or for a list of objects. What is no JSON becomes the message of an event with the tag
// _jsonparsefailure. With ecs_compatibility, [event][original] is the message, unless it is a list of several or has the field
// itself.
//
// Source: LogStash::Codecs::JSON of logstash-codec-json 3.1, org.logstash.Event.fromJson.
type JSON struct {
	common
	Charset          string     `ls:"charset" default:"UTF-8" doc:"what the bytes of messages mean"`
	Target           *event.Ref `ls:"target" doc:"the field that gets what was decoded; without it, that is the event"`
	ECSCompatibility string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether event.original is set (v1, v8); that of the pipeline if not given"`

	charset   *charset
	original  bool
	delimiter string
	ending    string
}

// Setup implements Plugin.
func (j *JSON) Setup(s *Setup) (Codec, error) {
	var err error
	j.original = s.setsOriginal(j.ECSCompatibility)
	if j.charset, err = charsetOf(j.Charset); err != nil {
		return nil, err
	}
	if s.Stream {
		j.delimiter = "\n"
	}
	return j, nil
}

// JSONLines takes every line for JSON.
//
// Source: LogStash::Codecs::JSONLines of logstash-codec-json_lines 3.2.
type JSONLines struct {
	common
	Charset          string     `ls:"charset" default:"UTF-8" doc:"what the bytes of messages mean"`
	Delimiter        string     `ls:"delimiter" default:"\n" doc:"what lines end in"`
	Target           *event.Ref `ls:"target" doc:"the field that gets what was decoded; without it, that is the event"`
	DecodeSizeLimit  int64      `ls:"decode_size_limit_bytes" default:"536870912" doc:"lines that are longer are not decoded"`
	ECSCompatibility string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"it changes nothing but a warning in the original"`
}

// Setup implements Plugin.
func (l *JSONLines) Setup(s *Setup) (Codec, error) {
	j := &JSON{Charset: l.Charset, Target: l.Target}
	if _, err := j.Setup(s); err != nil {
		return nil, err
	}
	j.delimiter, j.ending, j.original = l.Delimiter, l.Delimiter, false
	return j, nil
}

// Delimiter implements Decoder.
func (j *JSON) Delimiter() string { return j.delimiter }

// Decode implements Decoder.
func (j *JSON) Decode(x *Context, message []byte) {
	text := j.charset.text(message)
	in := unsafe.Slice(unsafe.StringData(text), len(text))
	trimmed := bytes.TrimLeft(in, " \t\r\n")
	if len(trimmed) == 0 {
		return
	}
	if trimmed[0] != '{' {
		j.list(x, text, in)
		return
	}
	e := x.New()
	if err := e.ParseJSON(in, event.JSONOptions{Trailing: true}); err != nil || badMetadata(e.Fields()) {
		x.Log.Warn("this is no JSON and becomes the event's message", "error", err)
		failed(x, text, "_jsonparsefailure")
		return
	}
	j.emit(x, e, text)
}

// badMetadata reports a @metadata that is no map, for which the original fails.
func badMetadata(f *event.Fields) bool {
	v := f.Get("@metadata")
	return v.Is() && v.Kind() != event.Map
}

// emit emits an event with the fields that were decoded of a message; "" if there are several of it.
func (j *JSON) emit(x *Context, e *event.Event, message string) {
	if j.Target == nil {
		e.Complete(x.Now)
		j.finish(x, e, message)
		return
	}
	decoded := event.MapValue()
	for _, f := range e.Fields().Entries() {
		decoded.Map().Set(f.Key, f.Value)
	}
	e.Reset()
	into(x, e, j.Target, decoded)
	j.finish(x, e, message)
}

func (j *JSON) finish(x *Context, e *event.Event, message string) {
	if j.original && message != "" {
		at := e.Place(refOriginal)
		if at == nil && !e.Includes(refOriginal) {
			x.Log.Warn("a field is in the way of event.original: the text becomes the event's message", "field", "event")
			failed(x, message, "_jsonparsefailure")
			return
		}
		if at != nil && !at.Is() {
			*at = event.StringValue(message)
		}
	}
	x.Emit(e)
}

// list decodes a list of objects.
func (j *JSON) list(x *Context, text string, in []byte) {
	v, err := event.ParseJSON(in, event.JSONOptions{Trailing: true})
	objects := err == nil && v.Kind() == event.List
	for _, o := range v.List() {
		objects = objects && o.Kind() == event.Map && !badMetadata(o.Map())
	}
	if !objects {
		x.Log.Warn("this is no object and no list of objects and becomes the event's message", "error", err)
		failed(x, text, "_jsonparsefailure")
		return
	}
	for _, o := range v.List() {
		e := x.New()
		for _, f := range o.Map().Entries() {
			e.Fields().Set(f.Key, f.Value)
		}
		if len(v.List()) > 1 {
			text = ""
		}
		j.emit(x, e, text)
	}
}

// Encode implements Encoder.
func (j *JSON) Encode(dst []byte, e *event.Event) []byte {
	return append(e.AppendJSON(dst), j.ending...)
}
