package agent

import "regexp"

// Multiline says which lines belong together.
type Multiline struct {
	Kind     string         // pattern, count, while_pattern
	Pattern  *regexp.Regexp // not with count
	Negate   bool
	Before   bool           // a line that matches goes before the next one, not after the one before
	Flush    *regexp.Regexp // ends what it matches; nil: none
	MaxLines int            // what comes after so many is left out; with count: how many there are
	Bare     bool           // no line feeds between them
}

func (m *Multiline) matches(text []byte) bool { return m.Pattern.Match(text) != m.Negate }

// A verdict says what a line is to those that are held back.
type verdict uint8

const (
	begins  verdict = iota // it is the first of others; those before are complete
	goesOn                 // it belongs to those before, and more may
	ends                   // it belongs to those before, or begins, and nothing more comes
	isAlone                // it is by itself; those before are complete
)

// judge says what a line is. n is how many are held back, and last what was said of the last one of them: whether it matched.
func (m *Multiline) judge(text []byte, n int, last bool) (v verdict, matched bool) {
	switch m.Kind {
	case "count":
		v = goesOn
		if n+1 >= m.MaxLines {
			v = ends
		}
		return v, false
	case "while_pattern":
		matched = m.matches(text)
		switch {
		case !matched:
			return isAlone, false
		case n == 0:
			return begins, true
		}
		return goesOn, true
	}
	matched = m.matches(text)
	v = begins
	if n > 0 && (m.Before && last || !m.Before && matched) {
		v = goesOn
	}
	if m.Flush != nil && m.Flush.Match(text) && v == goesOn {
		v = ends
	}
	return v, matched
}
