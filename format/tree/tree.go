// Package tree holds JSON-like values whose objects keep the order of their members, so that what is read, changed
// in one place and written again differs in that place only. Some readers of the servers' metadata need the
// order: a repository's index-N must list its snapshots before the indices that refer to them.
//
// A value is an Object, []any, string, []byte, bool, nil, int64, *big.Int, float32, float64 or json.Number.
package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"

	"github.com/narudata/naru/internal/jackson"
)

// ErrCorrupt marks input that is not JSON.
var ErrCorrupt = errors.New("corrupt JSON")

// maxDepth bounds nesting.
const maxDepth = 1000

// An Object is a list of members. Names should differ; where they do not, the last one counts.
type Object []Member

// A Member is a name and its value.
type Member struct {
	Name  string
	Value any
}

// Get gives the value called name.
func (o Object) Get(name string) (v any, ok bool) {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].Name == name {
			return o[i].Value, true
		}
	}
	return nil, false
}

// Has reports whether there is a member called name.
func (o Object) Has(name string) bool {
	_, ok := o.Get(name)
	return ok
}

// Object gives the object called name, or nil if there is none.
func (o Object) Object(name string) Object {
	v, _ := o.Get(name)
	child, _ := v.(Object)
	return child
}

// List gives the list called name, or nil if there is none.
func (o Object) List(name string) []any {
	v, _ := o.Get(name)
	list, _ := v.([]any)
	return list
}

// Text gives the value called name as text if it is a string, a number or a boolean, else "".
func (o Object) Text(name string) string {
	v, _ := o.Get(name)
	return Text(v)
}

// Text gives a string, number or boolean as text, else "".
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case json.Number:
		return v.String()
	case float32, float64:
		return fmt.Sprint(v)
	case *big.Int:
		return v.String()
	default:
		return ""
	}
}

// Set gives the member called name a value, in its place, or adds it at the end.
func (o *Object) Set(name string, v any) {
	for i := len(*o) - 1; i >= 0; i-- {
		if (*o)[i].Name == name {
			(*o)[i].Value = v
			return
		}
	}
	*o = append(*o, Member{name, v})
}

// Delete removes all members called name, and reports whether there was one.
func (o *Object) Delete(name string) bool {
	before := len(*o)
	*o = slices.DeleteFunc(*o, func(m Member) bool { return m.Name == name })
	return len(*o) < before
}

// Clone gives a copy that shares nothing that can be changed.
func Clone(v any) any {
	switch v := v.(type) {
	case Object:
		c := make(Object, len(v))
		for i, m := range v {
			c[i] = Member{m.Name, Clone(m.Value)}
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i := range v {
			c[i] = Clone(v[i])
		}
		return c
	case []byte:
		return bytes.Clone(v)
	default:
		return v
	}
}

// FromJSON decodes one JSON value. Numbers are json.Number.
func FromJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := value(d, 0)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return v, nil
		}
		if err == nil {
			err = errors.New("something follows the value")
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// ObjectFromJSON decodes a JSON object.
func ObjectFromJSON(b []byte) (Object, error) {
	v, err := FromJSON(b)
	if err != nil {
		return nil, err
	}
	o, ok := v.(Object)
	if !ok {
		return nil, fmt.Errorf("%w: %T, not an object", ErrCorrupt, v)
	}
	return o, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	o := Object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		v, err := value(d, depth+1)
		if err != nil {
			return nil, err
		}
		o = append(o, Member{name, v})
	}
	_, err = d.Token()
	return o, err
}

// AppendJSON appends a value as JSON, without white space; bytes are base64.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return jackson.AppendString(dst, []byte(v)), nil
	case []byte:
		return jackson.AppendBase64(dst, v), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float32:
		return jackson.AppendFloat32(dst, v), nil
	case float64:
		return jackson.AppendFloat64(dst, v), nil
	case json.Number:
		return append(dst, v...), nil
	case *big.Int:
		return v.Append(dst, 10), nil
	case []any:
		dst = append(dst, '[')
		for i := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = AppendJSON(dst, v[i]); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case Object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jackson.AppendString(dst, []byte(m.Name)), ':')
			if dst, err = AppendJSON(dst, m.Value); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	default:
		return dst, fmt.Errorf("BUG: a %T is no value of a tree", v)
	}
}
