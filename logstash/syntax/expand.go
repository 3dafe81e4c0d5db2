package syntax

import (
	"fmt"
	"strings"
)

// UndefinedError says that a variable has no value and its reference no default.
type UndefinedError struct {
	Name      string
	Reference string // as written: ${NAME}
}

// Error names the variable and what to do.
func (e *UndefinedError) Error() string {
	return fmt.Sprintf("cannot evaluate %s: %s is neither in the keystore nor in the environment, and there is no default; write ${%s:default} to give one", e.Reference, e.Name, e.Name)
}

// Expand replaces each ${NAME} and ${NAME:default} in s by what lookup knows of the name, or else by the default, which
// may be empty. What lookup gives is not expanded again. A name begins with a letter, "_" or ".", and has digits, too;
// other text with a dollar sign stays. The first variable without a value and a default is an *UndefinedError.
//
// It follows logstash-core/lib/logstash/util/substitution_variables.rb, whose expression is
// \${(?<name>[a-zA-Z_.][a-zA-Z0-9_.]*)(:(?<default>[^}]*))?}
func Expand(s string, lookup func(name string) (string, bool)) (string, error) {
	at := strings.Index(s, "${")
	if at < 0 {
		return s, nil
	}
	var out strings.Builder
	for at >= 0 {
		out.WriteString(s[:at])
		s = s[at:]
		end := strings.IndexByte(s, '}')
		if end < 0 {
			break // no reference from here on
		}
		name, fallback, hasDefault := strings.Cut(s[len("${"):end], ":")
		if !isVariable(name) {
			out.WriteString("${")
			s = s[len("${"):]
			at = strings.Index(s, "${")
			continue
		}
		value, ok := lookup(name)
		switch {
		case ok:
			out.WriteString(value)
		case hasDefault:
			out.WriteString(fallback)
		default:
			return "", &UndefinedError{Name: name, Reference: s[:end+1]}
		}
		s = s[end+1:]
		at = strings.Index(s, "${")
	}
	out.WriteString(s)
	return out.String(), nil
}

func isVariable(name string) bool {
	if name == "" || isDigit(name[0]) {
		return false
	}
	for i := range len(name) {
		if !isWord(name[i]) && name[i] != '.' {
			return false
		}
	}
	return true
}
