// Package grok turns grok patterns into regular expressions whose groups name fields.
//
// A pattern is a regular expression with references to others: "%{IP:client} %{WORD:verb}". Sets of such are shipped
// with Logstash; both are here.
//
// Source: jls-grok (grok-pure.rb), the grok filter 4.4 and logstash-patterns-core 4.3.
//
// Differences from the original: an expression may have up to 256 KiB.
package grok

import (
	"errors"
	"fmt"
	"strings"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// Cast says what becomes of a captured text.
type Cast uint8

// The casts.
const (
	Text  Cast = iota
	Int        // as String#to_i of Ruby
	Float      // as String#to_f
)

// A Capture is a group whose text goes to a field.
type Capture struct {
	Field string // as it stands in the pattern: a field reference, or a pattern's name
	Group int
	Cast  Cast
}

// A Pattern is a compiled grok pattern. It may be used concurrently.
type Pattern struct {
	Source   string
	Regexp   *regex.Regexp
	Captures []Capture // in the order in which they are to be applied
}

// Options are settings of a pattern.
type Options struct {
	NamedOnly bool // references without a field do not capture
	Steps     int  // the budget of a match: regex.Options.Steps
}

// Compile compiles a pattern. The dot matches line ends too.
func (s *Set) Compile(pattern string, o Options) (*Pattern, error) {
	expanded, err := s.Expand(pattern, o.NamedOnly)
	if err != nil {
		return nil, err
	}
	re, err := compiled.get(expanded, o.Steps)
	if err != nil {
		e, ok := errors.AsType[*regex.SyntaxError](err)
		switch {
		case !ok:
			return nil, fmt.Errorf("grok pattern %q: %w", short(pattern), err)
		case expanded == pattern:
			return nil, fmt.Errorf("grok pattern %q: %s (at byte %d)", short(pattern), e.Reason, e.Offset)
		}
		return nil, fmt.Errorf("grok pattern %q: %s near %q", short(pattern), e.Reason, near(expanded, e.Offset))
	}
	return &Pattern{Source: pattern, Regexp: re, Captures: captures(re)}, nil
}

// near gives the part of an expression that an error is about.
func near(expanded string, offset int) string {
	offset = min(max(offset, 0), len(expanded))
	return strings.ToValidUTF8(expanded[max(0, offset-20):min(len(expanded), offset+20)], "")
}

// captures lists the captures of named groups: NAME, NAME:field or NAME:field:cast. Of several groups that share a name,
// only the first is cast, as in the original.
func captures(re *regex.Regexp) []Capture {
	var out []Capture
	for _, n := range re.Names() {
		parts := strings.Split(n.Name, ":")
		for len(parts) > 1 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
		field := parts[0]
		if len(parts) > 1 {
			field = parts[1]
		}
		cast := Text
		if len(parts) > 2 {
			switch parts[2] {
			case "int":
				cast = Int
			case "float":
				cast = Float
			}
		}
		for _, g := range n.Groups {
			out = append(out, Capture{field, g, cast})
			cast = Text
		}
	}
	return out
}
