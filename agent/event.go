package agent

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/format/tree"
)

// An Event is what becomes of a line, or of several. Values are those of a tree: tree.Object, []any, string, bool, nil, int64,
// float64, json.Number. What it was given may be shared with other events: put copies what it changes.
type Event struct {
	Time   time.Time
	Fields tree.Object // but @timestamp
	Meta   tree.Object // @metadata
}

// Get gives the value of a field, whose name has dots for fields within fields.
func (e *Event) Get(name string) (any, bool) {
	if name == "@timestamp" {
		return stamp(e.Time), true
	}
	if rest, ok := strings.CutPrefix(name, "@metadata."); ok {
		return get(e.Meta, rest)
	}
	return get(e.Fields, name)
}

// Put sets a field. Values that are in the way of the fields above it are replaced.
func (e *Event) Put(name string, v any) {
	switch rest, meta := strings.CutPrefix(name, "@metadata."); {
	case name == "@timestamp":
		if s, ok := v.(string); ok {
			if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
				e.Time = t
			}
		}
	case meta:
		e.Meta = put(e.Meta, rest, v)
	default:
		e.Fields = put(e.Fields, name, v)
	}
}

// Delete removes a field; false: it was not there.
func (e *Event) Delete(name string) bool {
	into := &e.Fields
	if rest, ok := strings.CutPrefix(name, "@metadata."); ok {
		into, name = &e.Meta, rest
	}
	if name == "@timestamp" {
		return false // an event has one
	}
	out, ok := remove(*into, name)
	if ok {
		*into = out
	}
	return ok
}

// Text gives a field as a text; "": there is none.
func (e *Event) Text(name string) string {
	v, _ := e.Get(name)
	return tree.Text(v)
}

// stamp is how Beats write times.
func stamp(t time.Time) string {
	return string(appendStamp(nil, t))
}

func appendStamp(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}

func get(o tree.Object, name string) (any, bool) {
	for {
		if v, ok := o.Get(name); ok {
			return v, true // also a name with dots
		}
		first, rest, more := strings.Cut(name, ".")
		if !more {
			return nil, false
		}
		v, _ := o.Get(first)
		under, ok := v.(tree.Object)
		if !ok {
			return nil, false
		}
		o, name = under, rest
	}
}

// put gives o with a field set; o itself stays as it is.
func put(o tree.Object, name string, v any) tree.Object {
	first, rest, more := strings.Cut(name, ".")
	if more && !o.Has(name) {
		under, _ := o.Get(first)
		inner, _ := under.(tree.Object)
		v = put(inner, rest, v)
		name = first
	}
	for i := range o {
		if o[i].Name == name {
			out := make(tree.Object, len(o), len(o)+2)
			copy(out, o)
			out[i].Value = v
			return out
		}
	}
	return append(o[:len(o):len(o)], tree.Member{Name: name, Value: v})
}

func remove(o tree.Object, name string) (tree.Object, bool) {
	for i := range o {
		if o[i].Name == name {
			out := make(tree.Object, 0, len(o))
			return append(append(out, o[:i]...), o[i+1:]...), true
		}
	}
	first, rest, more := strings.Cut(name, ".")
	if !more {
		return o, false
	}
	for i := range o {
		under, ok := o[i].Value.(tree.Object)
		if o[i].Name != first || !ok {
			continue
		}
		inner, ok := remove(under, rest)
		if !ok {
			return o, false
		}
		return put(o, first, inner), true
	}
	return o, false
}

// merge puts all of from into o, maps into maps; over: what is there is replaced.
func merge(o, from tree.Object, over bool) tree.Object {
	for _, m := range from {
		old, there := o.Get(m.Name)
		inner, isMap := m.Value.(tree.Object)
		if outer, ok := old.(tree.Object); ok && isMap {
			o = put1(o, m.Name, merge(outer, inner, over))
			continue
		}
		if !there || over {
			o = put1(o, m.Name, m.Value)
		}
	}
	return o
}

// put1 is put for a name whose dots mean nothing.
func put1(o tree.Object, name string, v any) tree.Object {
	for i := range o {
		if o[i].Name == name {
			out := make(tree.Object, len(o), len(o)+2)
			copy(out, o)
			out[i].Value = v
			return out
		}
	}
	return append(o[:len(o):len(o)], tree.Member{Name: name, Value: v})
}

// AppendJSON appends the event as an object: @timestamp, @metadata unless it is empty, and the fields.
func (e *Event) AppendJSON(dst []byte, meta tree.Object) ([]byte, error) {
	dst = append(dst, `{"@timestamp":"`...)
	dst = appendStamp(dst, e.Time)
	dst = append(dst, '"')
	var err error
	if len(meta) > 0 {
		dst = append(dst, `,"@metadata":`...)
		if dst, err = tree.AppendJSON(dst, meta); err != nil {
			return dst, err
		}
	}
	for _, m := range e.Fields {
		if m.Name == "@timestamp" || m.Name == "@metadata" {
			continue
		}
		dst = append(dst, ',')
		if dst, err = tree.AppendJSON(dst, m.Name); err != nil {
			return dst, err
		}
		dst = append(dst, ':')
		if dst, err = tree.AppendJSON(dst, m.Value); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// number gives a value as a number.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !math.IsNaN(f)
	}
	return 0, false
}

// toTree makes a value of a tree of one of a configuration.
func toTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := tree.Object{}
		for _, k := range sortedKeys(v) {
			o = append(o, tree.Member{Name: k, Value: toTree(v[k])})
		}
		return o
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = toTree(v[i])
		}
		return out
	}
	return v
}
