package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// EnvironmentYAML writes the values as the variables of an environment's env.yaml:
//
//	variables:
//	  opensearch_url: "https://…"
//	  kafka_brokers: ["…", "…"]
//
// A text of a value that would itself be taken for a reference is written so that it is not.
func (vs Values) EnvironmentYAML() ([]byte, error) {
	var errs []error
	for _, v := range vs {
		if o, ok := v.Value.(map[string]any); ok && len(o) == 1 {
			if _, ok := o["env"].(string); ok {
				errs = append(errs, fmt.Errorf("%s is an object with the one key env, which env.yaml takes for a variable of the process", v.Name))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(vs) == 0 {
		return []byte("variables: {}\n"), nil
	}
	return append([]byte("variables:\n"), vs.lines("  ", unreferenced)...), nil
}

// YAML writes the values by name, each on a line, with numbers as they were written.
func (vs Values) YAML() []byte {
	if len(vs) == 0 {
		return []byte("{}\n")
	}
	return vs.lines("", func(s string) string { return s })
}

func (vs Values) lines(indent string, text func(string) string) []byte {
	var b []byte
	for _, v := range vs {
		b = fmt.Appendf(b, "%s%s: %s\n", indent, key(v.Name), flowed(v.Value, text))
	}
	return b
}

// longestSimpleKey is below what YAML lets a key have without a question mark before it, 1,024 characters.
const longestSimpleKey = 500

// flowed writes a value on one line of YAML, with texts that text has changed.
func flowed(v any, text func(string) string) string {
	switch v := v.(type) {
	case string:
		return quoted(text(v))
	case []any:
		items := make([]string, len(v))
		for i, x := range v {
			items[i] = flowed(x, text)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		items := make([]string, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			name := quoted(text(k))
			if len(name) > longestSimpleKey {
				name = "? " + name
			}
			items = append(items, name+" : "+flowed(v[k], text))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	if n, ok := v.(json.Number); ok {
		if _, err := n.Float64(); err != nil {
			return "!!float " + n.String() // readers take 1e999 for a text
		}
	}
	return texted(v)
}

// unreferenced writes ${x} as $${x}, and $${x} as $$${x}: an environment's files take one $ away.
func unreferenced(s string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string { return "$" + ref })
}
