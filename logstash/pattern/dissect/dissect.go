// Package dissect cuts texts at delimiters, as the mapping of Logstash's dissect filter says: "%{ts} [%{level}] %{text}".
//
// Source: org.logstash.dissect.Dissector, Delimiter and fields.* of logstash-filter-dissect 1.3.
package dissect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Kind says what is done with the value of a field.
type Kind uint8

// The kinds.
const (
	Skip     Kind = iota // %{} and %{?name}: nothing
	Normal               // %{name}: it is set
	Append               // %{+name}: it is appended to what is there
	Indirect             // %{&name}: it is set under the name that is the value of name
)

// A Field is one of a mapping.
type Field struct {
	Kind Kind
	Name string
	Join string // what stands between an appended value and what was there
}

// A Program is a compiled mapping. It may be used concurrently.
type Program struct {
	mapping string
	fields  []Field
	save    []int
	first   string // the text in front of the first field
	steps   []step // what ends each field but the last
}

// A step is a delimiter between two fields.
type step struct {
	text   string
	repeat bool // it may stand several times: %{name->}
}

// Errors of mappings.
var (
	errNoField = errors.New("it has no field")
	errNoName  = errors.New("a field has a prefix (+ or &) and no name")
)

// Compile compiles a mapping.
func Compile(mapping string) (*Program, error) {
	p := &Program{mapping: mapping}
	rest := mapping
	for {
		open := strings.Index(rest, "%{")
		if open < 0 {
			break
		}
		length := strings.IndexByte(rest[open:], '}')
		if length < 0 {
			break
		}
		if err := p.add(rest[:open], rest[open+2:open+length]); err != nil {
			return nil, fmt.Errorf("dissect mapping %q: %w", mapping, err)
		}
		rest = rest[open+length+1:]
	}
	// What stands behind the last field is a delimiter in front of one that is skipped.
	if last := mapping[strings.LastIndexByte(mapping, '}')+1:]; last != "" {
		if len(p.fields) == 0 {
			return nil, fmt.Errorf("dissect mapping %q: %w", mapping, errNoField)
		}
		if err := p.add(last, "?auto_added_skip"); err != nil {
			return nil, fmt.Errorf("dissect mapping %q: %w", mapping, err)
		}
	}
	p.sort()
	return p, nil
}

// add adds the field that stands behind a delimiter.
func (p *Program) add(delimiter, field string) error {
	f := Field{Kind: Normal, Join: delimiter}
	if delimiter == "" {
		f.Join = " "
	}
	switch {
	case field == "":
		f.Kind = Skip
	case strings.HasPrefix(field, "+&"), strings.HasPrefix(field, "&+"):
		return fmt.Errorf("field %q cannot both be appended (+) and have its name in another field (&)", field)
	case field[0] == '?':
		f.Kind, field = Skip, field[1:]
	case field[0] == '+':
		f.Kind, field = Append, field[1:]
	case field[0] == '&':
		f.Kind, field = Indirect, field[1:]
	}
	name, suffix := cutSuffix(field)
	if name == "" && (f.Kind == Append || f.Kind == Indirect) {
		return errNoName
	}
	f.Name = name
	if len(p.fields) == 0 {
		p.first = delimiter
	} else {
		last := &p.steps[len(p.steps)-1]
		last.text = delimiter
	}
	p.fields = append(p.fields, f)
	// Whether it repeats stands in the field before a delimiter.
	p.steps = append(p.steps, step{repeat: strings.Contains(suffix, "->")})
	p.save = append(p.save, rank(f.Kind, suffix))
	return nil
}

// cutSuffix parts /N, -> or both, in any order, from the end of a name. N has one digit or two.
func cutSuffix(field string) (name, suffix string) {
	name = field
	arrow := strings.HasSuffix(name, "->")
	name = strings.TrimSuffix(name, "->")
	numbered := false
	if i := strings.LastIndexByte(name, '/'); i >= 0 && len(name)-i-1 >= 1 && len(name)-i-1 <= 2 && digits(name[i+1:]) {
		name, numbered = name[:i], true
	}
	if numbered && !arrow {
		name = strings.TrimSuffix(name, "->")
	}
	if strings.ContainsAny(name, "\n\r\u0085\u2028\u2029") {
		return field, "" // . of the original's expression matches no line end
	}
	return name, field[len(name):]
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// rank orders what is saved: normal fields, appended ones by their number, those with names in others.
func rank(k Kind, suffix string) int {
	switch k {
	case Skip:
		return 0
	case Normal:
		return 1
	case Append:
		n := 0
		for _, c := range []byte(suffix) {
			if c >= '0' && c <= '9' {
				n = 10*n + int(c-'0')
			}
		}
		return 100 + n
	case Indirect:
		return 1000
	}
	return 0
}

// sort puts into save the places of the fields, in the order in which they are saved.
func (p *Program) sort() {
	ranks := p.save
	p.save = nil
	for i, r := range ranks {
		if r > 0 {
			p.save = append(p.save, i)
		}
	}
	slices.SortStableFunc(p.save, func(a, b int) int { return ranks[a] - ranks[b] })
	p.steps = p.steps[:max(len(p.steps)-1, 0)]
}

// String gives the mapping.
func (p *Program) String() string { return p.mapping }

// Fields are the fields in the order of the mapping. The caller must not change them.
func (p *Program) Fields() []Field { return p.fields }

// Order gives the places of those fields that are not skipped, in the order in which they are to be saved. The caller must
// not change it.
func (p *Program) Order() []int { return p.save }

// Cut cuts a text into the values of all fields, which are parts of it, and gives them in dst, which is grown if need be.
// It is false if a delimiter is missing, or the text is empty.
func (p *Program) Cut(dst []string, text string) ([]string, bool) {
	dst = dst[:0]
	if text == "" || len(p.fields) == 0 || !strings.HasPrefix(text, p.first) {
		return dst, false
	}
	left := len(p.first)
	for _, s := range p.steps {
		if s.text == "" {
			return dst, false // fields without anything between them never match
		}
		at := index(text[left:], s.text)
		if at < 0 {
			return dst, false
		}
		dst = append(dst, text[left:left+at])
		// A delimiter at the very start of the text ends a field, and is not passed: the next field begins with it.
		if left+at > 0 {
			left += at + len(s.text)
		}
		for s.repeat && strings.HasPrefix(text[left:], s.text) {
			left += len(s.text)
		}
	}
	return append(dst, text[left:]), true
}

func index(s, delimiter string) int {
	if len(delimiter) == 1 {
		return strings.IndexByte(s, delimiter[0])
	}
	return strings.Index(s, delimiter)
}
