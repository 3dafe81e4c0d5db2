package filter

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/dissect"
)

// Dissect cuts fields at fixed texts, and makes fields of what is between them.
//
// Each mapping counts for itself: the common options are run for each that matches, and the tags of failures are added for
// each that does not. A missing field is no failure, an empty one is.
//
// Source: org.logstash.dissect.JavaDissectorLibrary and fields.* of logstash-filter-dissect 1.3.
//
// Differences:
//   - convert_datatype to int takes numbers of up to 10,000 digits; larger ones cannot be converted.
type Dissect struct {
	option.Common
	Mapping         option.Hash `ls:"mapping" doc:"how which field is cut: %{name} between the texts that separate the parts; %{}, %{?name} is skipped, %{+name} and %{+name/2} is appended, %{&name} is named by the value of name, %{name->} may be followed by its separator several times"`
	ConvertDatatype option.Hash `ls:"convert_datatype" doc:"which field becomes a number: int or float"`
	TagOnFailure    []string    `ls:"tag_on_failure" default:"_dissectfailure" doc:"the tags of an event that a mapping does not match"`
}

type dissectFilter struct {
	*Dissect
	mappings    []dissectMapping
	conversions []dissectConversion
	where       string

	room textRoom
}

type dissectMapping struct {
	source  *event.Ref
	program *dissect.Program
	fields  []dissectField // those to save, in order
}

type dissectField struct {
	dissect.Field
	at  int // which value
	ref *event.Ref
	err error // why there is no ref
}

type dissectConversion struct {
	ref         *event.Ref
	float       bool
	null, wrong string // tags
}

// Setup implements Plugin.
func (d *Dissect) Setup(s *Setup) (Filter, error) {
	f := &dissectFilter{Dissect: d, where: s.Where}
	var mappings, conversions problems
	for _, m := range d.Mapping {
		text := option.Text(m.Value)
		if text == "" {
			continue // as in the original
		}
		source, err := s.Style.Parse(m.Key)
		if err != nil {
			mappings = append(mappings, err)
			continue
		}
		p, err := dissect.Compile(text)
		if err != nil {
			mappings = append(mappings, err)
			continue
		}
		f.mappings = append(f.mappings, dissectMapping{source, p, saved(s, p)})
	}
	for _, c := range d.ConvertDatatype {
		kind := option.Text(c.Value)
		ref, err := s.Style.Parse(c.Key)
		if err != nil {
			conversions = append(conversions, err)
			continue
		}
		upper := strings.ToUpper(kind)
		if upper != "INT" && upper != "FLOAT" {
			conversions = append(conversions, fmt.Errorf("%s: expected int or float, found %q", c.Key, kind))
			continue
		}
		suffix := "_" + c.Key + "_" + kind
		f.conversions = append(f.conversions, dissectConversion{ref, upper == "FLOAT", "_dataconversionnullvalue" + suffix, "_dataconversionuncoercible" + suffix})
	}
	if err := errors.Join(mappings.of("mapping"), conversions.of("convert_datatype")); err != nil {
		return nil, err
	}
	return f, nil
}

// saved gives the fields of a mapping that are set.
func saved(s *Setup, p *dissect.Program) []dissectField {
	var out []dissectField
	for _, at := range p.Order() {
		field := dissectField{Field: p.Fields()[at], at: at}
		if field.ref, field.err = s.Style.Parse(field.Name); field.err != nil {
			s.Log.Warn("a name in a dissect mapping is no field reference: what it matches fails", "filter", s.Where, "error", field.err)
		}
		out = append(out, field)
	}
	return out
}

// Fork implements Forker.
func (f *dissectFilter) Fork() Filter {
	own := *f
	own.room = textRoom{}
	return &own
}

// Filter implements Filter.
func (f *dissectFilter) Filter(x *Context, e *event.Event) {
	if err := f.filter(x, e); err != nil {
		x.Log.Error("dissect cannot set what it found", "filter", f.where, "error", err)
		f.fail(e)
	}
}

func (f *dissectFilter) fail(e *event.Event) {
	for _, tag := range f.TagOnFailure {
		e.Tag(tag)
	}
}

func (f *dissectFilter) filter(x *Context, e *event.Event) error {
	for i := range f.mappings {
		m := &f.mappings[i]
		v := e.Get(m.source)
		if !v.Is() {
			continue
		}
		var room [16]string
		values, ok := m.program.Cut(room[:0], rubyText(v))
		if !ok {
			f.fail(e)
			continue
		}
		for j := range m.fields {
			if err := m.fields[j].save(x, e, m.program, values, &f.room); err != nil {
				return err
			}
		}
		if err := f.Matched(e); err != nil {
			return err
		}
	}
	for i := range f.conversions {
		if err := f.conversions[i].convert(e); err != nil {
			return err
		}
	}
	return nil
}

var errNullAppend = errors.New("cannot append to null")

// save sets a field to its value.
func (d *dissectField) save(x *Context, e *event.Event, p *dissect.Program, values []string, room *textRoom) error {
	if d.err != nil {
		return d.err
	}
	value := values[d.at]
	switch d.Kind {
	case dissect.Skip, dissect.Normal:
	case dissect.Append:
		if !e.Includes(d.ref) {
			break
		}
		old := e.Get(d.ref)
		if old.Nil() {
			return errNullAppend
		}
		x.Buf = appendJavaText(x.Buf[:0], old)
		x.Buf = append(append(x.Buf, d.Join...), value...)
		value = room.keep(x.Buf)
	case dissect.Indirect:
		name := other(p, values, d)
		if e.Includes(d.ref) {
			x.Buf = appendJavaText(x.Buf[:0], e.Get(d.ref))
			name = room.keep(x.Buf)
		}
		if name == "" {
			return nil
		}
		return setNamed(x, e, name, event.StringValue(value))
	}
	return e.Set(d.ref, event.StringValue(value))
}

// other gives the value of another field of that name; "" if there is none.
func other(p *dissect.Program, values []string, d *dissectField) string {
	for i, field := range p.Fields() {
		if i != d.at && field.Name == d.Name {
			return values[i]
		}
	}
	return ""
}

// convert makes a number of a field.
func (c *dissectConversion) convert(e *event.Event) error {
	v := e.Get(c.ref)
	if v.Nil() {
		e.Tag(c.null)
		return nil
	}
	var number decimal
	ok := false
	switch v.Kind() {
	case event.String:
		number, ok = parseDecimal(v.Str())
	case event.Int:
		number, ok = decimal{unscaled: big.NewInt(v.Int())}, true
	case event.Float, event.BigInt, event.Decimal:
		number, ok = parseDecimal(v.Text())
	default: // no number
	}
	if ok && !c.float {
		if whole, fits := number.integer(); fits {
			return e.Set(c.ref, event.BigValue(whole))
		}
		ok = false
	}
	if !ok {
		e.Tag(c.wrong)
		return nil
	}
	return e.Set(c.ref, event.DecimalValue(number.String()))
}

// appendJavaText is String.valueOf of Java.
func appendJavaText(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.Absent, event.Null:
		return append(dst, "null"...)
	case event.List:
		dst = append(dst, '[')
		for i, e := range v.List() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendJavaText(dst, e)
		}
		return append(dst, ']')
	case event.Map:
		dst = append(dst, '{')
		for i, e := range v.Map().Entries() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(append(dst, e.Key...), '=')
			dst = appendJavaText(dst, e.Value)
		}
		return append(dst, '}')
	default:
		return v.AppendText(dst)
	}
}
