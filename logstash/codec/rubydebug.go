package codec

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// RubyDebug writes events for people to read, over several lines.
//
// Source: LogStash::Codecs::RubyDebug of logstash-codec-rubydebug 3.1; the layout is that of the gem amazing_print.
type RubyDebug struct {
	common
	Metadata bool `ls:"metadata" default:"false" doc:"whether @metadata are written, too"`
}

// Setup implements Plugin.
func (r *RubyDebug) Setup(*Setup) (Codec, error) { return r, nil }

// Encode implements Encoder.
func (r *RubyDebug) Encode(dst []byte, e *event.Event) []byte {
	entries := e.Fields().Entries()
	if m := e.GetField("@metadata"); r.Metadata && m.Map().Len() > 0 {
		entries = append(entries[:len(entries):len(entries)], event.Entry{Key: "@metadata", Value: m})
	}
	return append(appendEntries(dst, entries, step), '\n')
}

// step is how much each level is indented.
const step = 4

// appendEntries appends a map whose members are at an indentation. Their keys are aligned at the right.
func appendEntries(dst []byte, entries []event.Entry, indent int) []byte {
	if len(entries) == 0 {
		return append(dst, "{}"...)
	}
	width := 0
	for i := range entries {
		width = max(width, utf8.RuneCountInString(Inspect(entries[i].Key)))
	}
	dst = append(dst, "{\n"...)
	for i := range entries {
		if i > 0 {
			dst = append(dst, ",\n"...)
		}
		key := Inspect(entries[i].Key)
		dst = appendBlanks(dst, indent+width-utf8.RuneCountInString(key))
		dst = append(append(dst, key...), " => "...)
		dst = appendValue(dst, entries[i].Value, indent+step)
	}
	return append(appendBlanks(append(dst, '\n'), indent-step), '}')
}

func appendList(dst []byte, list []event.Value, indent int) []byte {
	if len(list) == 0 {
		return append(dst, "[]"...)
	}
	width := len(strconv.Itoa(len(list) - 1))
	dst = append(dst, "[\n"...)
	for i := range list {
		if i > 0 {
			dst = append(dst, ",\n"...)
		}
		index := strconv.Itoa(i)
		dst = append(appendBlanks(dst, indent), '[')
		dst = append(appendBlanks(dst, width-len(index)), index...)
		dst = appendValue(append(dst, "] "...), list[i], indent+step)
	}
	return append(appendBlanks(append(dst, '\n'), indent-step), ']')
}

func appendValue(dst []byte, v event.Value, indent int) []byte {
	switch v.Kind() {
	case event.Map:
		return appendEntries(dst, v.Map().Entries(), indent)
	case event.List:
		return appendList(dst, v.List(), indent)
	case event.String:
		return appendInspect(dst, v.Str())
	case event.Null, event.Absent:
		return append(dst, "nil"...)
	case event.Float:
		return append(dst, option.Text(v.Float())...)
	default:
		return v.AppendText(dst)
	}
}

func appendBlanks(dst []byte, n int) []byte {
	return append(dst, strings.Repeat(" ", max(n, 0))...)
}
