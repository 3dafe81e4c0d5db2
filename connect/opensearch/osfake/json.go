package osfake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An object is a JSON object whose fields keep their order.
type object []field

type field struct {
	name  string
	value any // nil, bool, string, number, int, int64, float64, []any, object, map[string]any, raw
}

// number is a JSON number as it was written; raw is JSON as it was written.
type (
	number string
	raw    []byte
)

func (o object) get(name string) any {
	for _, f := range o {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

func (o object) has(name string) bool {
	return slices.ContainsFunc(o, func(f field) bool { return f.name == name })
}

func (o object) with(name string, v any) object {
	for i := range o {
		if o[i].name == name {
			o = slices.Clone(o)
			o[i].value = v
			return o
		}
	}
	return append(slices.Clip(o), field{name, v})
}

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v)
	case number:
		return append(b, v...)
	case raw:
		return append(b, v...)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		text := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return append(b, text...)
	case object:
		b = append(b, '{')
		for i, f := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, f.name), ':')
			b = appendJSON(b, f.value)
		}
		return append(b, '}')
	case map[string]any:
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendJSON(b, v[k])
		}
		return append(b, '}')
	case []string:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, e)
		}
		return append(b, ']')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	}
	panic(fmt.Sprintf("BUG: %T in an answer", v))
}

func appendString(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] != '"' && s[i] != '\\' && s[i] < 0x7f
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("BUG: " + err.Error())
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

// A jsonError says what is wrong with a text that should be JSON, in Jackson's words where they are short.
type jsonError struct {
	end    bool // it ends too early
	reason string
	at     int // byte
}

func (e *jsonError) Error() string { return e.reason }

// parse decodes one JSON value. As the servers do, it refuses a name that is twice in an object, control characters in
// strings, what is not UTF-8, and anything after the value.
func parse(b []byte) (any, error) {
	p := parser{b: b}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(b) {
		return nil, p.unexpected()
	}
	return v, nil
}

type parser struct {
	b  []byte
	at int
}

const maxDepth = 1000

func (p *parser) space() {
	for p.at < len(p.b) && (p.b[p.at] == ' ' || p.b[p.at] == '\t' || p.b[p.at] == '\n' || p.b[p.at] == '\r') {
		p.at++
	}
}

func (p *parser) unexpected() error {
	if p.at >= len(p.b) {
		return &jsonError{true, "Unexpected end-of-input", p.at}
	}
	rest := p.b[p.at:]
	if c := rest[0]; c|0x20 >= 'a' && c|0x20 <= 'z' {
		n := 0
		for n < len(rest) && (rest[n]|0x20 >= 'a' && rest[n]|0x20 <= 'z' || rest[n] >= '0' && rest[n] <= '9') {
			n++
		}
		return &jsonError{false, fmt.Sprintf("Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')", rest[:n]), p.at}
	}
	r, _ := utf8.DecodeRune(rest)
	return &jsonError{false, fmt.Sprintf("Unexpected character ('%c' (code %d))", r, r), p.at}
}

func (p *parser) value(depth int) (any, error) {
	p.space()
	if p.at >= len(p.b) || depth > maxDepth {
		return nil, p.unexpected()
	}
	switch c := p.b[p.at]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.text()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for word, v := range map[string]any{"true": true, "false": false, "null": nil} {
		if rest, ok := bytes.CutPrefix(p.b[p.at:], []byte(word)); ok && (len(rest) == 0 || rest[0]|0x20 < 'a' || rest[0]|0x20 > 'z') {
			p.at += len(word)
			return v, nil
		}
	}
	return nil, p.unexpected()
}

func (p *parser) object(depth int) (any, error) {
	o := object{}
	var seen map[string]bool
	p.at++
	for {
		p.space()
		if p.at < len(p.b) && p.b[p.at] == '}' && len(o) == 0 {
			p.at++
			return o, nil
		}
		if p.at >= len(p.b) || p.b[p.at] != '"' {
			return nil, p.unexpected()
		}
		name, err := p.text()
		if err != nil {
			return nil, err
		}
		if len(o) == 8 {
			seen = make(map[string]bool)
			for _, f := range o {
				seen[f.name] = true
			}
		}
		if seen == nil && o.has(name) || seen[name] {
			return nil, &jsonError{false, fmt.Sprintf("Duplicate field '%s'", name), p.at}
		}
		if seen != nil {
			seen[name] = true
		}
		p.space()
		if p.at >= len(p.b) || p.b[p.at] != ':' {
			return nil, p.unexpected()
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, field{name, v})
		if more, err := p.more('}'); !more {
			return o, err
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	list := []any{}
	p.at++
	p.space()
	if p.at < len(p.b) && p.b[p.at] == ']' {
		p.at++
		return list, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if more, err := p.more(']'); !more {
			return list, err
		}
	}
}

func (p *parser) more(end byte) (bool, error) {
	p.space()
	switch {
	case p.at < len(p.b) && p.b[p.at] == ',':
		p.at++
		return true, nil
	case p.at < len(p.b) && p.b[p.at] == end:
		p.at++
		return false, nil
	}
	return false, p.unexpected()
}

func (p *parser) text() (string, error) {
	start := p.at
	for p.at++; p.at < len(p.b); p.at++ {
		switch c := p.b[p.at]; {
		case c == '\\':
			p.at++
		case c < ' ':
			return "", &jsonError{false, fmt.Sprintf("Illegal unquoted character ((CTRL-CHAR, code %d)): has to be escaped using backslash to be included in string value", c), p.at}
		case c == '"':
			p.at++
			quoted := p.b[start:p.at]
			if !utf8.Valid(quoted) {
				return "", &jsonError{false, "Invalid UTF-8", start}
			}
			if bytes.IndexByte(quoted, '\\') < 0 {
				return string(quoted[1 : len(quoted)-1]), nil
			}
			var s string
			if json.Unmarshal(quoted, &s) != nil {
				return "", &jsonError{false, "Unrecognized character escape", start}
			}
			return s, nil
		}
	}
	return "", &jsonError{true, "Unexpected end-of-input in VALUE_STRING", len(p.b)}
}

func (p *parser) number() (any, error) {
	start := p.at
	for p.at < len(p.b) && strings.IndexByte("+-.eE0123456789", p.b[p.at]) >= 0 {
		p.at++
	}
	text := p.b[start:p.at]
	if !json.Valid(text) {
		p.at = start
		return nil, p.unexpected()
	}
	return number(text), nil
}

// filter keeps of an answer what the paths of filter_path name.
func filter(v any, paths [][]string) (any, bool) {
	for _, p := range paths {
		if len(p) == 0 {
			return v, true
		}
	}
	switch v := v.(type) {
	case map[string]any:
		var o object
		for _, k := range slices.Sorted(maps.Keys(v)) {
			o = append(o, field{k, v[k]})
		}
		return filter(o, paths)
	case object:
		var kept object
		for _, f := range v {
			var below [][]string
			for _, p := range paths {
				if p[0] == "**" {
					below = append(below, p)
					if len(p) > 1 && matches(p[1], f.name) {
						below = append(below, p[2:])
					}
				} else if matches(p[0], f.name) {
					below = append(below, p[1:])
				}
			}
			if len(below) == 0 {
				continue
			}
			if sub, ok := filter(f.value, below); ok {
				kept = append(kept, field{f.name, sub})
			}
		}
		return kept, len(kept) > 0
	case []any:
		var kept []any
		for _, e := range v {
			if sub, ok := filter(e, paths); ok {
				kept = append(kept, sub)
			}
		}
		return kept, len(kept) > 0
	}
	return nil, false
}

// matches reports that a name fits a pattern with `*`.
func matches(pattern, name string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	if !strings.HasPrefix(name, before) {
		return false
	}
	for rest := name[len(before):]; ; rest = rest[1:] {
		if matches(after, rest) {
			return true
		}
		if rest == "" {
			return false
		}
	}
}
