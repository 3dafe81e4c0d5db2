package ruby

import (
	"errors"
	"strings"
	"unsafe"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// matchSteps is the budget of one match.
const matchSteps = 2_000_000

// scanner is what matches are found with.
type scanner struct{ m regex.Match }

func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// find looks for a match at or after a byte, and gives it; nil if there is none.
func (x *exec) find(re *regexpValue, in string, from int) *matchData {
	x.step(len(in) / 32)
	ok, err := re.re.Match(bytesOf(in), from, &x.scan.m)
	if err != nil {
		if errors.Is(err, regex.ErrBudget) {
			x.raise(classBudget, err.Error())
		}
		x.raise(classRegexpError, err.Error())
	}
	if !ok {
		return nil
	}
	n := re.re.NumGroups() + 1
	x.alloc(16*n + 64)
	m := &matchData{in: in, re: re, groups: make([]int, 2*n)}
	for i := range n {
		begin, end, ok := x.scan.m.Group(i)
		if !ok {
			begin, end = -1, -1
		}
		m.groups[2*i], m.groups[2*i+1] = begin, end
	}
	return m
}

// tests says whether there is a match, and remembers nothing.
func (x *exec) tests(re *regexpValue, in string) bool {
	x.step(len(in) / 32)
	ok, err := re.re.Match(bytesOf(in), 0, &x.scan.m)
	if err != nil {
		x.raise(classBudget, err.Error())
	}
	return ok
}

// each calls f for each match from left to right, until it gives false.
func (x *exec) each(re *regexpValue, in string, f func(m *matchData) bool) {
	for from := 0; from <= len(in); {
		m := x.find(re, in, from)
		if m == nil || !f(m) {
			return
		}
		from = m.groups[1]
		if m.groups[0] == m.groups[1] {
			from += width(in, from)
		}
	}
}

// matches is =~: the place of the match in characters, or nil.
func (x *exec) matches(a, b any) any {
	if _, ok := b.(*regexpValue); ok {
		a, b = b, a
	}
	re, ok := a.(*regexpValue)
	if !ok {
		if _, isString := a.(*str); isString {
			if _, both := b.(*str); both {
				x.raise(classTypeError, "wrong argument type String (expected Regexp)")
			}
		}
		return nil
	}
	in, ok := textValue(b)
	if !ok {
		x.match = nil
		return nil
	}
	x.match = x.find(re, in, 0)
	if x.match == nil {
		return nil
	}
	return int64(chars(in[:x.match.groups[0]]))
}

// textValue gives the text of a string or symbol.
func textValue(v any) (string, bool) {
	switch v := v.(type) {
	case *str:
		return v.s, true
	case symbol:
		return string(v), true
	}
	return "", false
}

func (m *matchData) group(x *exec, i int) any {
	if i < 0 {
		i += len(m.groups) / 2
	}
	if i < 0 || 2*i >= len(m.groups) || m.groups[2*i] < 0 {
		return nil
	}
	return x.str(m.in[m.groups[2*i]:m.groups[2*i+1]])
}

// place finds a group by its name; the last one that took part counts.
func (m *matchData) place(name string) (int, bool) {
	for _, n := range m.re.re.Names() {
		if n.Name != name {
			continue
		}
		found := n.Groups[len(n.Groups)-1]
		for _, g := range n.Groups {
			if m.groups[2*g] >= 0 {
				found = g
			}
		}
		return found, true
	}
	return 0, false
}

func (m *matchData) named(x *exec, name string) any {
	i, ok := m.place(name)
	if !ok {
		x.raise(classIndexError, "undefined group name reference: "+name)
	}
	return m.group(x, i)
}

func (m *matchData) groupNames() []string {
	names := make([]string, len(m.groups)/2)
	for _, n := range m.re.re.Names() {
		for _, g := range n.Groups {
			names[g] = n.Name
		}
	}
	return names
}

// index gives a group by its number or name.
func (m *matchData) index(x *exec, v any) any {
	if name, ok := textValue(v); ok {
		return m.named(x, name)
	}
	return m.group(x, x.integer(v))
}

func (r *regexpValue) flags() string {
	flags := ""
	if r.opts.Multiline {
		flags += "m"
	}
	if r.opts.IgnoreCase {
		flags += "i"
	}
	if r.opts.Extended {
		flags += "x"
	}
	return flags
}

// embedded is Regexp#to_s.
func (r *regexpValue) embedded() string {
	off := ""
	for _, f := range "mix" {
		if !strings.ContainsRune(r.flags(), f) {
			off += string(f)
		}
	}
	if off != "" {
		off = "-" + off
	}
	return "(?" + r.flags() + off + ":" + r.source + ")"
}

// pattern gives what a method is to look for: a regular expression, or a text as it is.
func (x *exec) pattern(v any) (re *regexpValue, text string) {
	switch v := v.(type) {
	case *regexpValue:
		return v, ""
	case *str:
		return nil, v.s
	}
	x.raise(classTypeError, "wrong argument type "+className(v)+" (expected Regexp)")
	return nil, ""
}

func escapeRegexp(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch r {
		case '\n':
			b.WriteString(`\n`)
		case '\t':
			b.WriteString(`\t`)
		case '\r':
			b.WriteString(`\r`)
		case '\f':
			b.WriteString(`\f`)
		case '\v':
			b.WriteString(`\v`)
		case ' ', '.', '*', '?', '+', '^', '$', '|', '\\', '(', ')', '[', ']', '{', '}', '-', '#':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

var regexpMethods = table{
	"match": {1, 2, func(x *exec, s any, a []any, b *proc) any { return x.matchMethod(s.(*regexpValue), a[0], b) }, false},
	"match?": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		in, ok := textValue(a[0])
		return ok && x.tests(s.(*regexpValue), in)
	}, false},
	"=~":     {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.matches(s, a[0]) }, false},
	"===":    {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.caseEqual(s, a[0]) }, false},
	"source": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*regexpValue).source) }, false},
	"names": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		var out []any
		for _, n := range s.(*regexpValue).re.Names() {
			out = append(out, x.str(n.Name))
		}
		return x.array(out)
	}, false},
}

func (x *exec) matchMethod(re *regexpValue, v any, b *proc) any {
	if v == nil {
		x.match = nil
		return nil
	}
	in, ok := textValue(v)
	if !ok {
		x.raise(classTypeError, "no implicit conversion of "+implicit(v)+" into String")
	}
	x.match = x.find(re, in, 0)
	if x.match == nil {
		return nil
	}
	if b != nil {
		return x.call1(b, x.match)
	}
	return x.match
}

// groups gives the groups from a number on as an array.
func (m *matchData) list(x *exec, from int) *array {
	out := x.room(len(m.groups) / 2)
	for i := from; 2*i < len(m.groups); i++ {
		out = append(out, m.group(x, i))
	}
	return &array{v: out}
}

var matchMethods = table{
	"[]":       {1, 1, func(x *exec, s any, a []any, _ *proc) any { return s.(*matchData).index(x, a[0]) }, false},
	"captures": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return s.(*matchData).list(x, 1) }, false},
	"to_a":     {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return s.(*matchData).list(x, 0) }, false},
	"named_captures": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		m, h := s.(*matchData), &hash{}
		for _, n := range m.re.re.Names() {
			h.set(x, newStr(n.Name), m.named(x, n.Name))
		}
		return h
	}, false},
	"names": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		return regexpMethods["names"].fn(x, s.(*matchData).re, nil, b)
	}, false},
	"pre_match":  {0, 0, func(x *exec, s any, _ []any, _ *proc) any { m := s.(*matchData); return x.str(m.in[:m.groups[0]]) }, false},
	"post_match": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { m := s.(*matchData); return x.str(m.in[m.groups[1]:]) }, false},
	"begin":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return s.(*matchData).offset(x, a[0], 0) }, false},
	"end":        {1, 1, func(x *exec, s any, a []any, _ *proc) any { return s.(*matchData).offset(x, a[0], 1) }, false},
	"size":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(len(s.(*matchData).groups) / 2) }, false},
	"length":     {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(len(s.(*matchData).groups) / 2) }, false},
	"string":     {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*matchData).in) }, false},
	"values_at": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		out := x.room(len(a))
		for _, i := range a {
			out = append(out, s.(*matchData).index(x, i))
		}
		return &array{v: out}
	}, false},
}

func (m *matchData) offset(x *exec, v any, side int) any {
	i := x.integer(v)
	if i < 0 || 2*i >= len(m.groups) {
		x.raisef(classIndexError, "index %d out of matches", i)
	}
	if m.groups[2*i] < 0 {
		return nil
	}
	return int64(chars(m.in[:m.groups[2*i+side]]))
}

// caseEqual is ===.
func (x *exec) caseEqual(a, b any) bool {
	switch a := a.(type) {
	case *regexpValue:
		in, ok := textValue(b)
		if !ok {
			return false
		}
		x.match = x.find(a, in, 0)
		return x.match != nil
	case *class:
		return isA(b, a)
	case *rng:
		return x.covers(a, b)
	case *proc:
		return truthy(x.callN(a, []any{b}))
	}
	return x.equal(a, b)
}
