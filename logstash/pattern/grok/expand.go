package grok

import (
	"fmt"
	"strings"

	"github.com/narudata/naru/connect"
)

// An UnknownError says that a pattern refers to one that the set does not have.
type UnknownError struct {
	Reference string // as it stands in the pattern: %{NAME:field}
	Name      string
	Nearest   string // the known name that was most likely meant, or ""
}

func (e *UnknownError) Error() string {
	if e.Nearest == "" {
		return fmt.Sprintf("grok pattern %s is not defined", e.Reference)
	}
	return fmt.Sprintf("grok pattern %s is not defined: did you mean %q?", e.Reference, e.Nearest)
}

const (
	// maxReferences is how many references are replaced in one pattern, as in the original.
	maxReferences = 10_000
	// maxExpanded bounds the regular expression that a pattern becomes, in bytes.
	maxExpanded = 1 << 18
)

// Expand replaces references by the patterns that they name, until none is left, and gives a regular expression.
//
// A reference is %{NAME}, %{NAME:field} or %{NAME:field=definition}. The last defines NAME from there on. With a field it
// becomes a group of the name "NAME:field"; without one a group of the name "NAME", or none if namedOnly. What stands
// between these and the closing brace has no meaning.
func (s *Set) Expand(pattern string, namedOnly bool) (string, error) {
	defined := s
	var done strings.Builder
	for rest, n := pattern, 0; ; n++ {
		r, ok := findReference(rest)
		if !ok {
			done.WriteString(rest)
			return done.String(), nil
		}
		if n == maxReferences {
			return "", fmt.Errorf("grok pattern %q refers to others more than %d times: does one contain itself?", short(pattern), maxReferences)
		}
		if r.defined {
			if defined == s {
				defined = s.Extend()
			}
			defined.names[r.name] = r.definition
		}
		body, ok := defined.Get(r.name)
		if !ok {
			return "", &UnknownError{rest[r.begin:r.end], r.name, connect.Nearest(r.name, defined.Names())}
		}
		open := "(?<" + r.group + ">"
		if namedOnly && !strings.Contains(r.group, ":") {
			open = "(?:"
		}
		done.WriteString(rest[:r.begin])
		// Nothing in front of a reference becomes one by its replacement, which begins with a parenthesis; what it
		// ends with may continue in the text behind it.
		if done.Len()+len(rest)+len(body) > maxExpanded {
			return "", fmt.Errorf("grok pattern %q becomes longer than %d bytes: does one contain itself?", short(pattern), maxExpanded)
		}
		rest = open + body + ")" + rest[r.end:]
	}
}

func short(pattern string) string {
	if len(pattern) > 200 {
		return pattern[:200] + "…"
	}
	return pattern
}

// A reference is one to a pattern, within a text.
type reference struct {
	begin, end int
	group      string // NAME or NAME:field
	name       string
	definition string
	defined    bool
}

// findReference finds the first reference. It matches what this expression of jls-grok does (grok-pure.rb, PATTERN_RE),
// of which definition and what may stand behind are the two that can give back:
//
//	%\{ (?<name> (?<pattern>[A-z0-9]+) (?::(?<subname>[@\[\]A-z0-9_:.-]+))? )
//	    (?:= (?<definition> (?: (?:[^{}\\]+|\\.+)+ | (?<curly>\{(?:[^{}]+|\g<curly>)*\})+ )+ ))?
//	    [^}]* \}
func findReference(s string) (reference, bool) {
	last := strings.LastIndexByte(s, '}')
	for from := 0; ; {
		i := strings.Index(s[from:], "%{")
		if i < 0 || from+i > last {
			return reference{}, false
		}
		begin := from + i
		from = begin + 2
		at := from
		for at < len(s) && isName(s[at]) {
			at++
		}
		if at == from {
			continue
		}
		r := reference{begin: begin, name: s[from:at]}
		if at+1 < len(s) && s[at] == ':' && isField(s[at+1]) {
			at++
			for at < len(s) && isField(s[at]) {
				at++
			}
		}
		if at > last {
			return reference{}, false // no brace closes this one, nor any behind it
		}
		r.group = s[from:at]
		if s[at] == '=' {
			if end := definition(s, at+1, last); end > at+1 {
				r.definition, r.defined, at = s[at+1:end], true, end
			}
		}
		r.end = at + strings.IndexByte(s[at:], '}') + 1
		return r, true
	}
}

// isName reports what is in [A-z0-9]: letters, and also [ \ ] ^ _ and `.
func isName(b byte) bool { return b >= 'A' && b <= 'z' || b >= '0' && b <= '9' }

func isField(b byte) bool { return isName(b) || b == '@' || b == ':' || b == '.' || b == '-' }

// definition gives the end of the definition that begins at the place at, or at itself if there is none. last is the place
// of the last closing brace, which the definition cannot contain.
//
// A backslash takes all to the end of its line, and gives back up to the last closing brace: so a definition with one ends
// at the last brace of its line, and not at its own.
func definition(s string, at, last int) int {
	for at < len(s) {
		switch s[at] {
		case '}':
			return at
		case '\\':
			end := len(s)
			if i := strings.IndexByte(s[at:], '\n'); i >= 0 {
				end = at + i
			}
			end = min(end, last)
			if end < at+2 {
				return at
			}
			at = end
		case '{':
			end := balanced(s, at)
			if end < 0 || end > last {
				return at
			}
			at = end
		default:
			i := strings.IndexAny(s[at:], `{}\`)
			if i < 0 {
				return at // cannot be: last is behind
			}
			at += i
		}
	}
	return at
}

// balanced gives the end of the braces that open at a place, -1 if they do not close.
func balanced(s string, at int) int {
	depth := 0
	for ; at < len(s); at++ {
		switch s[at] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return -1
}
