package event

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrSyntax says that a text is no reference to a field.
var ErrSyntax = errors.New("no valid field reference")

// A Ref is a parsed field reference: "name" for a field at the top, whatever characters it has but brackets, "[a][b]"
// for one inside of others, "[[a][b]][c]" for the same with brackets around a part of the way. It is safe for concurrent use.
//
// Source: org.logstash.FieldReference, StrictTokenizer.
type Ref struct {
	path  []part // the way to the last part; without @metadata
	last  part
	where where
	text  string // as it was written
}

// A part names a member of a map, or an element of a list.
type part struct {
	key   string
	mark  uint8
	index int // of a list
	isInt bool
}

// where says what a reference begins at, and what is special of it.
type where uint8

const (
	atTop         where = iota // a field at the top of the event
	atTimestamp                // @timestamp
	atTags                     // tags
	belowTop                   // inside of fields
	belowTags                  // inside of tags, where nothing can be set
	atMetadata                 // all of @metadata
	belowMetadata              // inside of @metadata
	belowMetaTags              // inside of [@metadata][tags]: the original takes it for tags
)

// Names of fields and tags that the event itself knows.
const (
	fieldTimestamp  = "@timestamp"
	fieldVersion    = "@version"
	fieldMetadata   = "@metadata"
	fieldTags       = "tags"
	fieldBadTags    = "_tags"
	fieldBadTime    = "_@timestamp"
	tagBadTags      = "_tagsparsefailure"
	tagBadTimestamp = "_timestampparsefailure"
)

// ParseRef parses a reference. An illegal one is an ErrSyntax.
func ParseRef(s string) (*Ref, error) { return None.Parse(s) }

// Parse parses a reference whose parts are escaped. An illegal one is an ErrSyntax.
func (s EscapeStyle) Parse(text string) (*Ref, error) {
	keys, err := tokens(text)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if keys[i], err = s.unescape(keys[i]); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrSyntax, text, err)
		}
	}
	return newRef(text, keys), nil
}

func newRef(text string, keys []string) *Ref {
	r := &Ref{text: text}
	if len(keys) == 1 {
		r.last = newPart(keys[0])
		switch keys[0] {
		case fieldTimestamp:
			r.where = atTimestamp
		case fieldTags:
			r.where = atTags
		case fieldMetadata:
			r.where = atMetadata
		}
		return r
	}
	r.where = belowTop
	if keys[0] == fieldMetadata {
		r.where = belowMetadata
		keys = keys[1:]
	}
	n := len(keys) - 1
	r.last = newPart(keys[n])
	for _, key := range keys[:n] {
		r.path = append(r.path, newPart(key))
	}
	if n > 0 && keys[0] == fieldTags {
		if r.where == belowTop {
			r.where = belowTags
		} else {
			r.where = belowMetaTags
		}
	}
	return r
}

func newPart(key string) part {
	p := part{key: key, mark: mark(key)}
	if i, err := strconv.ParseInt(key, 10, 32); err == nil {
		p.index, p.isInt = int(i), true
	}
	return p
}

// tokens cuts a reference into its parts.
func tokens(s string) ([]string, error) {
	if !strings.ContainsAny(s, "[]") {
		return []string{s}, nil
	}
	var keys []string
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			if start != i {
				return nil, fmt.Errorf(`%w: %q: "[" at byte %d follows text that is in no brackets of its own`, ErrSyntax, s, i)
			}
			depth++
			start = i + 1
		case ']':
			switch {
			case depth == 0:
				return nil, fmt.Errorf(`%w: %q: "]" at byte %d closes nothing`, ErrSyntax, s, i)
			case start == i && s[i-1] != ']':
				return nil, fmt.Errorf("%w: %q: nothing between the brackets at byte %d", ErrSyntax, s, i)
			case start < i:
				keys = append(keys, s[start:i])
			}
			depth--
			start = i + 1
		default:
			if i > 0 && s[i-1] == ']' {
				return nil, fmt.Errorf("%w: %q: text at byte %d is in no brackets", ErrSyntax, s, i)
			}
		}
	}
	if depth > 0 {
		return nil, fmt.Errorf(`%w: %q: "]" is missing`, ErrSyntax, s)
	}
	return keys, nil
}

// String gives the reference with brackets: "[a][b]", "[a]".
func (r *Ref) String() string {
	var b strings.Builder
	if r.where == belowMetadata || r.where == belowMetaTags {
		b.WriteString("[@metadata]")
	}
	for i := range r.path {
		b.WriteString("[" + r.path[i].key + "]")
	}
	b.WriteString("[" + r.last.key + "]")
	return b.String()
}

// Source gives the reference as it was written.
func (r *Ref) Source() string { return r.text }

// Name gives the last part.
func (r *Ref) Name() string { return r.last.key }

// Top reports that r is a field at the top of the event; GetField and SetField take its Name.
func (r *Ref) Top() bool { return r.where <= atTags }

// Metadata reports that r is @metadata or inside of it.
func (r *Ref) Metadata() bool { return r.where >= atMetadata }

// Keys gives all parts, @metadata among them.
func (r *Ref) Keys() []string {
	var keys []string
	if r.where == belowMetadata || r.where == belowMetaTags {
		keys = append(keys, fieldMetadata)
	}
	for i := range r.path {
		keys = append(keys, r.path[i].key)
	}
	return append(keys, r.last.key)
}

// Refs keeps references that are made at run time ("%{name}"), so that each is parsed once. The zero Refs are ready, for
// references without escapes. It is not safe for concurrent use: each worker has its own.
type Refs struct {
	Style EscapeStyle
	known map[string]*Ref
}

// mostRefs is how many references are kept.
const mostRefs = 10_000

// Get gives the reference that s is. An illegal one is an ErrSyntax.
func (c *Refs) Get(s string) (*Ref, error) {
	if r, ok := c.known[s]; ok {
		return r, nil
	}
	s = strings.Clone(s) // it may be a part of the input
	r, err := c.Style.Parse(s)
	if err != nil {
		return nil, err
	}
	if c.known == nil {
		c.known = map[string]*Ref{}
	}
	if len(c.known) < mostRefs {
		c.known[s] = r
	}
	return r, nil
}
