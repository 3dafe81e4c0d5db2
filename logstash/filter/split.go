package filter

import (
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Split makes an event of each line of a text, or of each element of a list. The original event is dropped, and the new ones
// have all of its other fields. Empty parts and null make no event; a text of one part only stays as it is, without the common
// options. What is neither a text nor a list gets the tag _split_type_failure.
//
// Source: logstash-filter-split 3.1.
//
// Differences:
//   - a field that is no reference is an error of the configuration; Logstash finds it with the first event.
type Split struct {
	option.Common
	Terminator string     `ls:"terminator" default:"\n" doc:"what ends a part of a text; a space is any blanks"`
	Field      *event.Ref `ls:"field" default:"message" doc:"the field that is split"`
	Target     *event.Ref `ls:"target" doc:"the field that gets the part; the one that is split if there is none"`
}

type split struct {
	*Split
	where string
}

// Setup implements Plugin.
func (p *Split) Setup(s *Setup) (Filter, error) { return &split{p, s.Where}, nil }

// Filter implements Filter.
func (f *split) Filter(x *Context, e *event.Event) {
	v := e.Get(f.Field)
	switch v.Kind() {
	case event.String:
		if f.single(v.Str()) {
			return
		}
		f.text(x, e, v.Str())
	case event.List:
		if f.Target == nil {
			e.Remove(f.Field)
		}
		for _, element := range v.List() {
			f.emit(x, e, element)
		}
	default:
		x.Log.Warn("split can only take texts and lists apart", "filter", f.where, "field", f.Field.String(), "found", v.Kind().String())
		e.Tag("_split_type_failure")
		return
	}
	e.Cancel()
}

// single reports that a text is one part.
func (f *split) single(text string) bool {
	switch f.Terminator {
	case "":
		return false
	case " ":
		return text != "" && strings.IndexFunc(strings.TrimLeftFunc(text, isBlank), isBlank) < 0
	}
	return text != "" && !strings.Contains(text, f.Terminator)
}

func (f *split) text(x *Context, e *event.Event, text string) {
	if f.Terminator == "" || f.Terminator == " " {
		for _, part := range rubySplit(text, f.Terminator) {
			f.emit(x, e, part)
		}
		return
	}
	for part := range strings.SplitSeq(text, f.Terminator) {
		f.emit(x, e, event.StringValue(part))
	}
}

// emit makes an event of a part.
func (f *split) emit(x *Context, e *event.Event, part event.Value) {
	if part.Nil() || part.Kind() == event.String && part.Str() == "" {
		return
	}
	target := f.Target
	if target == nil {
		target = f.Field
	}
	made := x.New()
	e.CopyTo(made)
	set(x, f.where, made, target, part)
	succeed(x, f.where, &f.Common, made)
	x.Emit(made)
}

// isBlank is white space of Ruby, which is that of ASCII.
func isBlank(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }
