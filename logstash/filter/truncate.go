package filter

import (
	"unicode/utf8"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Truncate cuts texts to a length in bytes, before the first character that would not be whole. The elements of lists and the
// members of maps are cut, too, but no lists and maps inside of lists. The common options are run if something was cut.
//
// Source: logstash-filter-truncate 1.0.
//
// Differences:
//   - a field that is no reference is an error of the configuration; Logstash finds it with the first event;
//   - a map in a field whose name is not in brackets is cut; Logstash fails for it.
type Truncate struct {
	option.Common
	Fields      []*event.Ref `ls:"fields" doc:"the fields that are cut; all if there are none"`
	LengthBytes int64        `ls:"length_bytes,required" doc:"how many bytes a text may have"`
}

type truncate struct {
	*Truncate
	where string
	most  int
}

// Setup implements Plugin.
func (t *Truncate) Setup(s *Setup) (Filter, error) {
	const room = 1 << 31
	return &truncate{t, s.Where, int(max(-1, min(t.LengthBytes, room)))}, nil
}

// Filter implements Filter.
func (f *truncate) Filter(x *Context, e *event.Event) {
	cut := false
	if f.Fields == nil {
		entries := e.Fields().Entries()
		for i := range entries {
			if f.cut(&entries[i].Value) {
				cut = true
			}
		}
	}
	for _, r := range f.Fields {
		if v := e.Get(r); f.cut(&v) && set(x, f.where, e, r, v) {
			cut = true
		}
	}
	if cut {
		succeed(x, f.where, &f.Common, e)
	}
}

// cut cuts a value, and reports that it is another one now.
func (f *truncate) cut(v *event.Value) bool {
	cut := false
	switch v.Kind() {
	case event.String:
		return f.cutText(v)
	case event.List:
		list := v.List()
		for i := range list {
			if list[i].Kind() == event.String && f.cutText(&list[i]) {
				cut = true
			}
		}
	case event.Map:
		entries := v.Map().Entries()
		for i := range entries {
			if f.cut(&entries[i].Value) {
				cut = true
			}
		}
	}
	return cut
}

func (f *truncate) cutText(v *event.Value) bool {
	s := v.Str()
	if len(s) <= f.most {
		return false
	}
	if f.most < 0 {
		*v = event.NullValue
		return true
	}
	n := f.most
	for n > 0 {
		if r, size := utf8.DecodeLastRuneInString(s[:n]); r != utf8.RuneError || size > 1 {
			break
		}
		n--
	}
	*v = event.StringValue(s[:n])
	return true
}
