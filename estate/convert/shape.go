package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/narudata/naru/connect"
)

// A shape says what a typed value may be, and writes it as the API has it. path is where it stands, for errors and
// notes. What a value may not be is an error; what the API has no place for is a note.
type shape interface {
	write(t *tale, path string, v any) any
}

// A tale collects what is to be said of one manifest or resource.
type tale struct {
	errs  []error
	notes []string
}

func (t *tale) fail(path, format string, args ...any) {
	t.errs = append(t.errs, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (t *tale) note(path, format string, args ...any) {
	t.notes = append(t.notes, path+": "+fmt.Sprintf(format, args...))
}

func (t *tale) err() error { return errors.Join(t.errs...) }

// absent is what a shape gives for a value that is not to be written.
type absent struct{}

// text, whole and flag are scalars; free is any JSON.
type (
	textShape  struct{}
	wholeShape struct{}
	flagShape  struct{}
	freeShape  struct{}
)

var (
	text  textShape
	whole wholeShape
	flag  flagShape
	free  freeShape
)

func (textShape) write(t *tale, path string, v any) any {
	if s, ok := v.(string); ok {
		return s
	}
	t.fail(path, "want a text, found %s", what(v))
	return absent{}
}

func (wholeShape) write(t *tale, path string, v any) any {
	if n, ok := v.(json.Number); ok {
		if _, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
			return n
		}
	}
	t.fail(path, "want a whole number, found %s", what(v))
	return absent{}
}

func (flagShape) write(t *tale, path string, v any) any {
	if b, ok := v.(bool); ok {
		return b
	}
	t.fail(path, "want true or false, found %s", what(v))
	return absent{}
}

func (freeShape) write(_ *tale, _ string, v any) any { return v }

// list is a list of values of one shape.
type list struct{ of shape }

func (l list) write(t *tale, path string, v any) any {
	in, ok := v.([]any)
	if !ok {
		t.fail(path, "want a list, found %s", what(v))
		return absent{}
	}
	out := []any{}
	for i, x := range in {
		if y := l.of.write(t, fmt.Sprintf("%s[%d]", path, i), x); y != any(absent{}) {
			out = append(out, y)
		}
	}
	return out
}

// table has any keys, with values of one shape.
type table struct{ of shape }

func (m table) write(t *tale, path string, v any) any {
	in, ok := v.(map[string]any)
	if !ok {
		t.fail(path, "want keys with values, found %s", what(v))
		return absent{}
	}
	out := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(in)) {
		if y := m.of.write(t, path+"."+k, in[k]); y != any(absent{}) {
			out[k] = y
		}
	}
	return out
}

// record has the keys that it names, and no others. after may change what was written, in being what it was.
type record struct {
	keys  map[string]member
	after func(t *tale, path string, in, out map[string]any) any
}

// A member is one key of a record.
type member struct {
	as       string // what the API calls it; "": it is not written, whoever wrote the record takes care of it
	of       shape
	required bool
	// zero: a value of "", 0, false or nothing in it is not sent, as Go leaves it out with omitempty.
	zero bool
}

func (r record) write(t *tale, path string, v any) any {
	in, ok := v.(map[string]any)
	if !ok {
		t.fail(path, "want keys with values, found %s", what(v))
		return absent{}
	}
	out := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(in)) {
		m, known := r.keys[k]
		at := path + "." + k
		switch {
		case !known:
			t.fail(at, "unknown field%s", r.near(k))
			continue
		case in[k] == nil:
			continue // the API server drops nulls
		}
		y := m.of.write(t, at, in[k])
		if y != any(absent{}) && m.as != "" && !(m.zero && isZero(y)) {
			out[m.as] = y
		}
	}
	for _, k := range slices.Sorted(maps.Keys(r.keys)) {
		if r.keys[k].required && in[k] == nil {
			t.fail(path, "%s is missing", k)
		}
	}
	if r.after != nil {
		return r.after(t, path, in, out)
	}
	return out
}

func (r record) near(key string) string {
	if near := connect.Nearest(key, slices.Sorted(maps.Keys(r.keys))); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func isZero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		f, err := v.Float64()
		return err == nil && f == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// what names the type of a value, for errors.
func what(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the text %q", cut(v))
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		return v.String()
	case []any:
		return "a list"
	}
	return "keys with values"
}

func cut(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
