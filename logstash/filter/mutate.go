package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// Mutate renames, replaces, converts and changes fields.
//
// Whatever order they are written in, operations run in this one: coerce, rename, update, replace, convert, gsub, uppercase,
// capitalize, lowercase, strip, split, join, merge, copy, and the common options after all of them. Within an operation the
// order is that of the configuration. The first operation that fails ends the filter: the event gets the tag of
// tag_on_failure, what was done before stays, and the common options are not run.
//
// Source: logstash-filter-mutate 3.5.9, as Logstash 8.19 has it.
//
// Differences:
//   - the entries of a hash run in the order they are written; Logstash runs them in the order of a Java HashMap;
//   - gsub reads bytes that are not UTF-8 as the character U+FFFD; Logstash refuses such texts with _mutate_error;
//   - a match of gsub that takes more than 50 million steps fails with _mutate_error; Logstash searches on;
//   - convert to integer refuses numbers of more than 10,000 digits (1e99999), which Logstash writes out.
type Mutate struct {
	option.Common
	Coerce       option.Hash `ls:"coerce" doc:"which field gets which value if it is there and null"`
	Rename       option.Hash `ls:"rename" doc:"which field gets which other name; a field of that name is replaced, a missing one is passed over"`
	Update       option.Hash `ls:"update" doc:"which field gets which value if it is there"`
	Replace      option.Hash `ls:"replace" doc:"which field gets which value, be it there or not"`
	Convert      option.Hash `ls:"convert" doc:"which field becomes which type: integer, float, integer_eu and float_eu (1.234,5), string or boolean; the elements of lists are converted, maps are let be"`
	Gsub         []string    `ls:"gsub" doc:"groups of three: a field, a regular expression, and what its matches are replaced by (\\1, \\0 and \\k<name> are groups); both texts may refer to fields"`
	Uppercase    []string    `ls:"uppercase" doc:"the fields whose letters become upper case"`
	Lowercase    []string    `ls:"lowercase" doc:"the fields whose letters become lower case"`
	Capitalize   []string    `ls:"capitalize" doc:"the fields whose first letter becomes upper case, and all others lower case"`
	Split        option.Hash `ls:"split" doc:"which text is split at which separator into a list; empty texts at the end are left out, and a space is any blanks"`
	Join         option.Hash `ls:"join" doc:"which list is joined into a text with which separator"`
	Strip        []string    `ls:"strip" doc:"the fields that blanks are cut off from, at both ends"`
	Merge        option.Hash `ls:"merge" doc:"which field gets which other field (or fields) added: lists and texts become a list, the members of a map go into a map"`
	Copy         option.Hash `ls:"copy" doc:"which field is copied to which other one"`
	TagOnFailure string      `ls:"tag_on_failure" default:"_mutate_error" doc:"the tag of an event that an operation failed for"`
}

// A mutation is a Mutate that is set up: a list of operations.
type mutation struct {
	*Mutate
	ops   []mutateOp
	where string
	style event.EscapeStyle
	own   *mutationOwn
}

// mutationOwn is what each worker has for itself.
type mutationOwn struct {
	room    textRoom
	match   regex.Match
	needles map[string]*needle // those made at run time
}

// A mutateOp is one operation on one field.
type mutateOp func(m *mutation, x *Context, e *event.Event) error

// conversions are the types of convert, in the order in which messages name them.
var conversions = []string{"string", "integer", "float", "boolean", "integer_eu", "float_eu"}

// Setup implements Plugin.
func (p *Mutate) Setup(s *Setup) (Filter, error) {
	m := &mutation{Mutate: p, where: s.Where, style: s.Style, own: &mutationOwn{}}
	var problems []error
	for _, c := range p.Convert {
		if kind := option.Text(c.Value); !slices.Contains(conversions, kind) {
			problems = append(problems, option.Errorf("convert", "invalid conversion type %q of %s: expected one of %s", kind, c.Key, strings.Join(conversions, ", ")))
		}
	}
	if len(p.Gsub)%3 != 0 {
		problems = append(problems, option.Errorf("gsub", "expected groups of three (field, pattern, replacement), found %d elements", len(p.Gsub)))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	m.addTexts(s, "coerce", p.Coerce, coerceField)
	m.addRenames(p.Rename)
	m.addTexts(s, "update", p.Update, updateField)
	m.addTexts(s, "replace", p.Replace, replaceField)
	for _, c := range p.Convert {
		m.addConversion(s, c)
	}
	for g := range slices.Chunk(p.Gsub, 3) {
		if err := m.addGsub(s, g[0], g[1], g[2]); err != nil {
			return nil, option.Errorf("gsub", "%w", err)
		}
	}
	m.addCases(s, "uppercase", p.Uppercase, appendUpper)
	m.addCases(s, "capitalize", p.Capitalize, appendCapitalized)
	m.addCases(s, "lowercase", p.Lowercase, appendLower)
	for _, field := range p.Strip {
		m.addField(s, "strip", field, stripField)
	}
	for _, c := range p.Split {
		m.addSeparated(s, "split", c, splitField)
	}
	for _, c := range p.Join {
		m.addSeparated(s, "join", c, joinField)
	}
	for _, c := range p.Merge {
		m.addMerge(s, c)
	}
	for _, c := range p.Copy {
		m.addCopy(s, c)
	}
	return m, nil
}

// Fork implements Forker.
func (m *mutation) Fork() Filter {
	f := *m
	f.own = &mutationOwn{}
	return &f
}

// Filter implements Filter.
func (m *mutation) Filter(x *Context, e *event.Event) {
	for _, op := range m.ops {
		if err := op(m, x, e); err != nil {
			m.fail(x, e, err)
			return
		}
	}
	if err := m.Matched(e); err != nil {
		m.fail(x, e, err)
	}
}

func (m *mutation) fail(x *Context, e *event.Event, err error) {
	x.Log.Warn("mutate failed", "filter", m.where, "error", err)
	e.Tag(m.TagOnFailure)
}

func (m *mutation) add(op mutateOp) { m.ops = append(m.ops, op) }

// ref parses the field of an operation. As in the original an illegal reference fails for every event, and the pipeline
// starts; ok is false then.
func (m *mutation) ref(s *Setup, operation, field string) (r *event.Ref, ok bool) {
	r, err := s.Style.Parse(field)
	if err != nil {
		s.Log.Warn("a field of mutate is no field reference: it fails for every event", "filter", s.Where, "operation", operation, "error", err)
		m.add(func(*mutation, *Context, *event.Event) error { return fmt.Errorf("%s: %w", operation, err) })
		return nil, false
	}
	return r, true
}

// addField adds an operation that needs nothing but a field.
func (m *mutation) addField(s *Setup, operation, field string, op func(m *mutation, x *Context, e *event.Event, r *event.Ref) error) {
	if r, ok := m.ref(s, operation, field); ok {
		m.add(func(m *mutation, x *Context, e *event.Event) error { return op(m, x, e, r) })
	}
}

// A mutateText is a text that may refer to fields.
type mutateText struct {
	format *event.Format
	static event.Value // Absent: not the same for all events
}

func newMutateText(style event.EscapeStyle, text string) *mutateText {
	t := &mutateText{format: style.ParseFormat(text)}
	if static, ok := t.format.Static(); ok {
		t.static = event.StringValue(static)
	}
	return t
}

// value gives the text for an event.
func (m *mutation) value(x *Context, e *event.Event, t *mutateText) (event.Value, error) {
	if t.static.Is() {
		return t.static, nil
	}
	var err error
	if x.Buf, err = t.format.Append(x.Buf[:0], e); err != nil {
		return event.Value{}, err
	}
	return event.StringValue(m.own.room.keep(x.Buf)), nil
}

type textOp func(m *mutation, x *Context, e *event.Event, r *event.Ref, t *mutateText) error

func (m *mutation) addTexts(s *Setup, operation string, entries option.Hash, op textOp) {
	for _, c := range entries {
		if r, ok := m.ref(s, operation, c.Key); ok {
			t := newMutateText(s.Style, option.Text(c.Value))
			m.add(func(m *mutation, x *Context, e *event.Event) error { return op(m, x, e, r, t) })
		}
	}
}

func coerceField(m *mutation, x *Context, e *event.Event, r *event.Ref, t *mutateText) error {
	if !e.Includes(r) || !e.Get(r).Nil() {
		return nil
	}
	return replaceField(m, x, e, r, t)
}

func updateField(m *mutation, x *Context, e *event.Event, r *event.Ref, t *mutateText) error {
	if !e.Includes(r) {
		return nil
	}
	return replaceField(m, x, e, r, t)
}

func replaceField(m *mutation, x *Context, e *event.Event, r *event.Ref, t *mutateText) error {
	v, err := m.value(x, e, t)
	if err != nil {
		return err
	}
	return e.Set(r, v)
}

// A mutateName is a reference whose parts may be the values of fields.
type mutateName struct {
	ref    *event.Ref
	err    error
	format *event.Format // nil: ref and err are the same for all events
}

func newMutateName(style event.EscapeStyle, text string) mutateName {
	f := style.ParseFormat(text)
	if static, ok := f.Static(); ok {
		r, err := style.Parse(static)
		return mutateName{ref: r, err: err}
	}
	return mutateName{format: f}
}

func (n *mutateName) get(x *Context, e *event.Event) (*event.Ref, error) {
	if n.format == nil {
		return n.ref, n.err
	}
	var err error
	if x.Buf, err = n.format.Append(x.Buf[:0], e); err != nil {
		return nil, err
	}
	return x.Refs.Get(textOf(x.Buf))
}

func (m *mutation) addRenames(entries option.Hash) {
	for _, c := range entries {
		from, to := newMutateName(m.style, c.Key), newMutateName(m.style, option.Text(c.Value))
		m.add(func(_ *mutation, x *Context, e *event.Event) error {
			old, err := from.get(x, e)
			there := err == nil && old != nil && e.Includes(old)
			if err == nil && !there && from.format == nil && to.format == nil {
				return nil // the usual case, without a look at the new name
			}
			renamed, toErr := to.get(x, e)
			switch {
			case err != nil:
				return err
			case toErr != nil && to.format != nil && to.format.Err() != nil:
				return toErr
			case !there:
				return nil
			}
			v := e.Remove(old)
			if toErr != nil {
				return toErr // the value is lost, as in the original
			}
			return e.Set(renamed, v)
		})
	}
}

func (m *mutation) addCopy(s *Setup, c option.Pair) {
	from, ok := m.ref(s, "copy", c.Key)
	if !ok {
		return
	}
	name, isText := c.Value.(string)
	to, err := s.Style.Parse(name)
	if !isText {
		err = fmt.Errorf("copy %s: expected one field, found %s", c.Key, option.Text(c.Value))
	}
	m.add(func(_ *mutation, _ *Context, e *event.Event) error {
		v := e.Get(from)
		if v.Nil() {
			return nil
		}
		if err != nil {
			return err
		}
		return e.Set(to, v.Clone())
	})
}
