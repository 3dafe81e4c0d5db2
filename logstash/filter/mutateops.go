package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// textOf gives bytes as a text without a copy: they must not be changed as long as it is used.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// mostNeedles is how many patterns of gsub that refer to fields a worker keeps compiled.
const mostNeedles = 256

// addGsub adds a replacement of matches.
func (m *mutation) addGsub(s *Setup, field, pattern, with string) error {
	var fixed *needle
	var dynamic *event.Format
	if strings.Contains(pattern, "%{") {
		dynamic = s.Style.ParseFormat(pattern)
	} else {
		var err error
		if fixed, err = compileNeedle(pattern); err != nil {
			return fmt.Errorf("pattern of %s: %w", field, err)
		}
	}
	r, ok := m.ref(s, "gsub", field)
	if !ok {
		return nil
	}
	text := newMutateText(s.Style, with)
	m.add(func(m *mutation, x *Context, e *event.Event) error {
		v := e.Get(r)
		if k := v.Kind(); k != event.String && k != event.List {
			return nil
		}
		n := fixed
		var err error
		if dynamic != nil {
			if n, err = m.needle(x, e, dynamic); err != nil {
				return err
			}
		}
		with, err := m.value(x, e, text)
		if err != nil {
			return err
		}
		if v.Kind() == event.String {
			if v, err = m.replaced(x, v, n, with.Str()); err != nil {
				return err
			}
			return e.Set(r, v)
		}
		list := slices.Clone(v.List())
		for i := range list {
			if list[i].Kind() != event.String {
				continue
			}
			if list[i], err = m.replaced(x, list[i], n, with.Str()); err != nil {
				return err
			}
		}
		return e.Set(r, event.ListValue(list))
	})
	return nil
}

// replaced gives a text with its matches replaced.
func (m *mutation) replaced(x *Context, v event.Value, n *needle, with string) (event.Value, error) {
	out, found, err := n.replaceAll(x.Buf[:0], v.Str(), with, &m.own.match)
	x.Buf = out[:0]
	if err != nil || !found {
		return v, err
	}
	return event.StringValue(m.own.room.keep(out)), nil
}

// needle compiles a pattern that refers to fields, unless it was compiled before.
func (m *mutation) needle(x *Context, e *event.Event, f *event.Format) (*needle, error) {
	var err error
	if x.Buf, err = f.Append(x.Buf[:0], e); err != nil {
		return nil, err
	}
	if n, ok := m.own.needles[textOf(x.Buf)]; ok {
		return n, nil
	}
	pattern := string(x.Buf)
	n, err := compileNeedle(pattern)
	if err != nil {
		return nil, err
	}
	if m.own.needles == nil || len(m.own.needles) >= mostNeedles {
		m.own.needles = map[string]*needle{}
	}
	m.own.needles[pattern] = n
	return n, nil
}

// addCases adds changes of upper and lower case.
func (m *mutation) addCases(s *Setup, operation string, fields []string, change func(dst []byte, s string) []byte) {
	for _, field := range fields {
		m.addField(s, operation, field, func(m *mutation, x *Context, e *event.Event, r *event.Ref) error {
			v := e.Get(r)
			switch v.Kind() {
			case event.Absent, event.Null:
				return nil
			case event.String:
				v = m.changed(x, v, change)
			case event.List:
				list := v.List()
				for i := range list {
					if list[i].Kind() == event.String {
						list[i] = m.changed(x, list[i], change)
					}
				}
			}
			return e.Set(r, v)
		})
	}
}

func (m *mutation) changed(x *Context, v event.Value, change func(dst []byte, s string) []byte) event.Value {
	x.Buf = change(x.Buf[:0], v.Str())
	if string(x.Buf) == v.Str() {
		return v
	}
	return event.StringValue(m.own.room.keep(x.Buf))
}

func stripField(_ *mutation, _ *Context, e *event.Event, r *event.Ref) error {
	v := e.Get(r)
	switch v.Kind() {
	case event.String:
		return e.Set(r, event.StringValue(rubyStrip(v.Str())))
	case event.List:
		list := v.List()
		for i := range list {
			if list[i].Kind() != event.String {
				return fmt.Errorf("strip %s: element %d is %s", r, i, list[i].Kind())
			}
		}
		for i := range list {
			list[i] = event.StringValue(rubyStrip(list[i].Str()))
		}
		return e.Set(r, v)
	default:
		return nil
	}
}

type separatedOp func(m *mutation, x *Context, e *event.Event, r *event.Ref, separator string) error

var errSeparator = errors.New("the separator is no text")

// addSeparated adds an operation that needs a separator. One that is no text fails for every event, as in the original.
func (m *mutation) addSeparated(s *Setup, operation string, c option.Pair, op separatedOp) {
	separator, isText := c.Value.(string)
	m.addField(s, operation, c.Key, func(m *mutation, x *Context, e *event.Event, r *event.Ref) error {
		if !isText {
			want := map[string]event.Kind{"split": event.String, "join": event.List}[operation]
			if e.Get(r).Kind() == want {
				return fmt.Errorf("%s %s: %w", operation, r, errSeparator)
			}
			return nil
		}
		return op(m, x, e, r, separator)
	})
}

func splitField(_ *mutation, _ *Context, e *event.Event, r *event.Ref, separator string) error {
	v := e.Get(r)
	if v.Kind() != event.String {
		return nil
	}
	return e.Set(r, event.ListValue(rubySplit(v.Str(), separator)))
}

// rubySplit is String#split: texts that are empty at the end are left out; a space splits at any blanks; without a separator
// each character is a text.
func rubySplit(s, separator string) []event.Value {
	var list []event.Value
	switch separator {
	case " ":
		for part := range strings.FieldsFuncSeq(s, isBlank) {
			list = append(list, event.StringValue(part))
		}
		return list
	case "":
		for i := 0; i < len(s); {
			_, n := utf8.DecodeRuneInString(s[i:])
			list = append(list, event.StringValue(s[i:i+n]))
			i += n
		}
		return list
	}
	list = make([]event.Value, 0, strings.Count(s, separator)+1)
	for part := range strings.SplitSeq(s, separator) {
		list = append(list, event.StringValue(part))
	}
	for len(list) > 0 && list[len(list)-1].Str() == "" {
		list = list[:len(list)-1]
	}
	return list
}

func joinField(m *mutation, x *Context, e *event.Event, r *event.Ref, separator string) error {
	v := e.Get(r)
	if v.Kind() != event.List {
		return nil
	}
	x.Buf = appendRubyJoined(x.Buf[:0], v.List(), separator)
	return e.Set(r, event.StringValue(m.own.room.keep(x.Buf)))
}

// appendRubyJoined is Array#join.
func appendRubyJoined(dst []byte, list []event.Value, separator string) []byte {
	for i, v := range list {
		if i > 0 {
			dst = append(dst, separator...)
		}
		switch v.Kind() {
		case event.List:
			dst = appendRubyJoined(dst, v.List(), separator)
		case event.String:
			dst = append(dst, v.Str()...)
		case event.Absent, event.Null:
		default:
			dst = appendInspected(dst, v)
		}
	}
	return dst
}

// addMerge adds the fields that one field gets.
func (m *mutation) addMerge(s *Setup, c option.Pair) {
	to, ok := m.ref(s, "merge", c.Key)
	if !ok {
		return
	}
	names, isList := c.Value.([]any)
	if !isList {
		names = []any{c.Value}
	}
	var from []*event.Ref
	var bad error // of the field behind those in from
	for _, name := range names {
		r, err := s.Style.Parse(option.Text(name))
		if err != nil {
			s.Log.Warn("a field of mutate is no field reference: it fails for every event", "filter", s.Where, "operation", "merge", "error", err)
			bad = err
			break
		}
		from = append(from, r)
	}
	m.add(func(m *mutation, x *Context, e *event.Event) error {
		into := e.Get(to)
		for _, r := range from {
			var err error
			if into, err = m.merge(x, e, to, into, r); err != nil {
				return err
			}
		}
		return bad
	})
}

// merge adds the value of a field to another, and gives what the next one is added to: a list or a map that has grown, but of
// anything else what it was before, as in the original.
func (m *mutation) merge(x *Context, e *event.Event, to *event.Ref, into event.Value, from *event.Ref) (event.Value, error) {
	added := e.Get(from)
	if (into.Kind() == event.Map) != (added.Kind() == event.Map) {
		x.Log.Error("mutate cannot merge a map with something else", "filter", m.where, "into", to.String(), "from", from.String())
		return into, nil
	}
	added = added.Clone()
	if into.Kind() == event.Map {
		for _, member := range added.Map().Entries() {
			into.Map().Set(member.Key, member.Value)
		}
		return into, e.Set(to, into)
	}
	list := listOf(into)
	list = append(list[:len(list):len(list)], listOf(added)...)
	grown := event.ListValue(list)
	if into.Kind() != event.List {
		return into, e.Set(to, grown)
	}
	return grown, e.Set(to, grown)
}

// listOf is Array(v) of Ruby, for what is no map.
func listOf(v event.Value) []event.Value {
	switch v.Kind() {
	case event.Absent, event.Null:
		return nil
	case event.List:
		return v.List()
	}
	return []event.Value{v}
}
