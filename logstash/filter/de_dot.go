package filter

import (
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// DeDot renames fields that have dots in their names: the dots become a separator, or fields inside of others. It is costly;
// it looks at the fields at the top unless fields are named.
//
// Source: logstash-filter-de_dot 1.1; its tag on failure is that of 1.2.
//
// Differences:
//   - a field that cannot be renamed gets the event a tag, as in version 1.2; version 1.1 stops the pipeline.
type DeDot struct {
	option.Common
	Separator    string   `ls:"separator" default:"_" doc:"what a dot is replaced by"`
	Nested       bool     `ls:"nested" default:"false" doc:"whether a dot makes a field inside of another instead: a.b becomes [a][b]"`
	Recursive    bool     `ls:"recursive" default:"false" doc:"whether the fields inside of fields are renamed, too"`
	Fields       []string `ls:"fields" doc:"the fields that are renamed; all at the top if there are none"`
	TagOnFailure string   `ls:"tag_on_failure" default:"_de_dot_error" doc:"the tag of an event with a field that cannot be renamed"`
}

type deDot struct {
	*DeDot
	where     string
	separator string
	names     []string // scratch; each worker has its own
}

// Setup implements Plugin.
func (d *DeDot) Setup(s *Setup) (Filter, error) {
	if strings.Contains(d.Separator, ".") {
		return nil, option.Errorf("separator", "it must not have a dot, found %q", d.Separator)
	}
	f := &deDot{DeDot: d, where: s.Where, separator: d.Separator}
	if d.Nested {
		f.separator = "]["
	}
	return f, nil
}

// Fork implements Forker.
func (f *deDot) Fork() Filter {
	own := *f
	own.names = nil
	return &own
}

// Filter implements Filter.
func (f *deDot) Filter(x *Context, e *event.Event) {
	err := f.rename(x, e)
	if err == nil {
		err = f.Matched(e)
	}
	if err != nil {
		x.Log.Warn("de_dot failed", "filter", f.where, "error", err)
		e.Tag(f.TagOnFailure)
	}
}

func (f *deDot) rename(x *Context, e *event.Event) error {
	fields := f.Fields
	if fields == nil {
		f.names = f.names[:0]
		for _, m := range e.Fields().Entries() {
			f.names = append(f.names, m.Key)
		}
		fields = f.names
	}
	for _, name := range fields {
		if !f.Recursive && !strings.Contains(name, ".") {
			continue
		}
		r, err := x.Refs.Get(name)
		if err != nil {
			return err
		}
		if !e.Includes(r) {
			continue
		}
		if err := f.field(x, e, name); err != nil {
			return err
		}
	}
	return nil
}

// field renames one field, and what is inside of it.
func (f *deDot) field(x *Context, e *event.Event, name string) error {
	if f.separator == "][" || f.Recursive {
		if !strings.HasPrefix(name, "[") {
			name = "[" + name
		}
		if !strings.HasSuffix(name, "]") {
			name += "]"
		}
	}
	if strings.Contains(name, ".") {
		renamed := strings.ReplaceAll(name, ".", f.separator)
		if err := move(x, e, name, renamed); err != nil {
			return err
		}
		name = renamed
	}
	if !f.Recursive {
		return nil
	}
	r, err := x.Refs.Get(name)
	if err != nil {
		return err
	}
	v := e.Get(r)
	if v.Kind() != event.Map {
		return nil
	}
	var keys []string
	for _, m := range v.Map().Entries() {
		keys = append(keys, m.Key)
	}
	for _, key := range keys {
		if err := f.field(x, e, name+"["+key+"]"); err != nil {
			return err
		}
	}
	return nil
}

// move sets a field to the value of another, and removes what of the other's way has a dot.
func move(x *Context, e *event.Event, from, to string) error {
	source, err := x.Refs.Get(from)
	if err != nil {
		return err
	}
	target, err := x.Refs.Get(to)
	if err != nil {
		return err
	}
	if err := e.Set(target, e.Get(source)); err != nil {
		return err
	}
	dotted, err := x.Refs.Get(toDot(from))
	if err != nil {
		return err
	}
	e.Remove(dotted)
	return nil
}

// toDot gives the first parts of a reference, up to the one that has a dot.
func toDot(name string) string {
	var way strings.Builder
	for part := range strings.SplitSeq(strings.ReplaceAll(name, "[", ""), "]") {
		way.WriteString("[" + part + "]")
		if strings.Contains(part, ".") {
			break
		}
	}
	return way.String()
}
