package connect

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Decode reads one YAML document into the struct that into points to. The keys are the fields' json names. It
// is strict: a key that the struct does not have, a key given twice, a value of another type, an alias and a
// second document are errors that begin with file:line:column. A value with a method Validate() error is
// asked once it is filled; its complaint gets the line where the value stands.
func Decode(file string, data []byte, into any) error {
	d := decoder{file}
	y := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := y.Decode(&doc); errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the file is empty", file)
	} else if err != nil {
		return d.syntax(err)
	}
	var more yaml.Node
	if err := y.Decode(&more); err == nil {
		return d.at(&more, "a second document; a file holds one")
	} else if !errors.Is(err, io.EOF) {
		return d.syntax(err)
	}
	return d.value(doc.Content[0], reflect.ValueOf(into).Elem(), "")
}

type decoder struct{ file string }

func (d decoder) at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %w", d.file, n.Line, n.Column, fmt.Errorf(format, args...))
}

// syntax turns "yaml: line 3: …" into "file:3: …".
func (d decoder) syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		return fmt.Errorf("%s:%s", d.file, rest)
	}
	return fmt.Errorf("%s: %s", d.file, text)
}

// value decodes n into v; where is the path of keys to it, for messages.
func (d decoder) value(n *yaml.Node, v reflect.Value, where string) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return d.at(n, "anchors and aliases are not allowed; write the value out")
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		if err := d.value(n, p.Elem(), where); err != nil {
			return err
		}
		v.Set(p)
		return nil
	}
	if err := d.fill(n, v, where); err != nil {
		return err
	}
	if c, ok := v.Addr().Interface().(interface{ Validate() error }); ok {
		if err := c.Validate(); err != nil {
			return d.at(n, "%s%w", prefix(where), err)
		}
	}
	return nil
}

func (d decoder) fill(n *yaml.Node, v reflect.Value, where string) error {
	null := n.Kind == yaml.ScalarNode && n.Tag == "!!null"
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if n.Kind != yaml.ScalarNode || null {
			return d.at(n, "%swant %s, found %s", prefix(where), kindOf(v.Type()), found(n))
		}
		if err := t.UnmarshalText([]byte(n.Value)); err != nil {
			return d.at(n, "%s%w", prefix(where), err)
		}
		return nil
	}
	if v.Kind() == reflect.Struct {
		if null {
			return nil // `ndjson:` with nothing under it: all defaults
		}
		return d.object(n, v, where)
	}
	if v.Kind() == reflect.Slice {
		return d.list(n, v, where)
	}
	if n.Kind != yaml.ScalarNode || null {
		return d.at(n, "%swant %s, found %s", prefix(where), kindOf(v.Type()), found(n))
	}
	if err := scalar(n, v); err != nil {
		return d.at(n, "%swant %s, found %q", prefix(where), kindOf(v.Type()), n.Value)
	}
	return nil
}

func (d decoder) object(n *yaml.Node, v reflect.Value, where string) error {
	if n.Kind != yaml.MappingNode {
		return d.at(n, "%swant keys with values, found %s", prefix(where), found(n))
	}
	fields := Fields(v.Type())
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if slices.Contains(seen, key.Value) {
			return d.at(key, "%sthe key %q stands twice", prefix(where), key.Value)
		}
		seen = append(seen, key.Value)
		f := slices.IndexFunc(fields, func(f Field) bool { return f.Name == key.Value })
		if f < 0 {
			return d.at(key, "%sunknown key %q; %s", prefix(where), key.Value, didYouMean(key.Value, fields))
		}
		path := key.Value
		if where != "" {
			path = where + "." + path
		}
		if err := d.value(value, v.FieldByIndex(fields[f].Index), path); err != nil {
			return err
		}
	}
	return nil
}

func (d decoder) list(n *yaml.Node, v reflect.Value, where string) error {
	if n.Kind != yaml.SequenceNode {
		return d.at(n, "%swant a list, found %s", prefix(where), found(n))
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		if err := d.value(c, list.Index(i), fmt.Sprintf("%s[%d]", where, i)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// scalar sets v, of a basic kind, to the value of n.
func scalar(n *yaml.Node, v reflect.Value) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		t, err := time.ParseDuration(n.Value)
		v.SetInt(int64(t))
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		v.SetBool(b)
		return err
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		v.SetInt(i)
		return err
	case reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(n.Value, 10, v.Type().Bits())
		v.SetUint(u)
		return err
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		v.SetFloat(f)
		return err
	default:
		panic("BUG: a configuration has a field of type " + v.Type().String())
	}
}

// A Field is one key of a configuration.
type Field struct {
	Name  string
	Index []int // for reflect's FieldByIndex
	Type  reflect.Type
	Doc   string // the tag `doc`
}

// Fields lists the keys of a configuration's struct in the order of its fields. A field without a json name is
// none of the configuration's.
func Fields(t reflect.Type) []Field {
	var out []Field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" && f.IsExported() {
			out = append(out, Field{name, f.Index, f.Type, f.Tag.Get("doc")})
		}
	}
	return out
}

func didYouMean(key string, fields []Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	if near := Nearest(key, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "the keys here are " + strings.Join(names, ", ")
}

// Nearest is the one of known that a mistyped name was most likely meant to be; "" when none is near.
func Nearest(name string, known []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		n := distance(strings.ToLower(name), strings.ToLower(k))
		if len(name) >= 3 && strings.HasPrefix(k, name) {
			n = 1
		}
		if n < least && n < len(k) {
			best, least = k, n
		}
	}
	return best
}

// distance counts the letters to insert, remove, change or swap with the next to make a into b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before, last, row []int
	row = make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before, last, row = last, row, make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			change := last[j]
			if x[i] != y[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(y)]
}

func prefix(where string) string {
	if where == "" {
		return ""
	}
	return where + ": "
}

func found(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return strconv.Quote(n.Value)
}

// kindOf says what a value of type t is written as.
func kindOf(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration like 30s"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "keys with values"
	}
	return "a text"
}
