package codec

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/twmb/avro"

	"github.com/narudata/naru/logstash/event"
)

var errAvroRecord = errors.New("it is no record or map, and there is no target")

// An avroForm reads and writes values of one schema.
type avroForm struct {
	schema *avro.Schema
	root   *avro.SchemaNode
	named  map[string]*avro.SchemaNode // by full names, and by the short ones
}

// newAvroForm reads a schema. Of logical types only times count, as the gem knows no others that fields can have.
func newAvroForm(text string) (*avroForm, error) {
	all, err := avro.Parse(text)
	if err != nil {
		return nil, err
	}
	f := &avroForm{root: all.Root(), named: map[string]*avro.SchemaNode{}}
	f.simplify(f.root)
	if f.schema, err = f.root.Schema(); err != nil {
		return nil, err
	}
	return f, nil
}

// simplify takes logical types away but for those of points in time, and notes named types.
func (f *avroForm) simplify(n *avro.SchemaNode) {
	if n == nil {
		return
	}
	if n.LogicalType != "timestamp-millis" && n.LogicalType != "timestamp-micros" {
		n.LogicalType, n.Precision, n.Scale = "", 0, 0
	}
	if n.Name != "" {
		f.named[n.Name] = n
		if n.Namespace != "" {
			f.named[n.Namespace+"."+n.Name] = n
		}
	}
	for i := range n.Fields {
		f.simplify(&n.Fields[i].Type)
	}
	for i := range n.Branches {
		f.simplify(&n.Branches[i])
	}
	f.simplify(n.Items)
	f.simplify(n.Values)
}

// decode reads a value. What stands behind it is left alone, as in the gem.
func (f *avroForm) decode(payload []byte) (event.Value, error) {
	var v any
	if _, err := f.schema.Decode(payload, &v); err != nil {
		return event.Value{}, err
	}
	return f.value(v, f.root, 0)
}

// value makes a value of what was read. n says in which order a record has its fields; nil: that is not known.
func (f *avroForm) value(v any, n *avro.SchemaNode, depth int) (event.Value, error) {
	if depth > event.MaxDepth {
		return event.Value{}, fmt.Errorf("more than %d lists and records inside of each other", event.MaxDepth)
	}
	switch v := v.(type) {
	case nil:
		return event.NullValue, nil
	case bool:
		return event.BoolValue(v), nil
	case int32:
		return event.IntValue(int64(v)), nil
	case int64:
		return event.IntValue(v), nil
	case float32:
		return event.FloatValue(float64(v)), nil
	case float64:
		return event.FloatValue(v), nil
	case string:
		return event.StringValue((*charset)(nil).text([]byte(v))), nil
	case []byte:
		return event.StringValue((*charset)(nil).text(v)), nil
	case time.Time:
		return event.TimeValue(v), nil
	case []any:
		n = f.branch(n, "array", nil)
		list := make([]event.Value, len(v))
		for i := range v {
			var err error
			if list[i], err = f.value(v[i], items(n), depth+1); err != nil {
				return event.Value{}, err
			}
		}
		return event.ListValue(list), nil
	case map[string]any:
		return f.members(v, n, depth)
	}
	return event.Value{}, fmt.Errorf("a value of the type %T cannot be in an event", v)
}

func items(n *avro.SchemaNode) *avro.SchemaNode {
	if n == nil {
		return nil
	}
	return n.Items
}

// members makes a map of a record in the order of its fields, or of a map in that of its keys.
func (f *avroForm) members(v map[string]any, n *avro.SchemaNode, depth int) (event.Value, error) {
	out := event.MapValue()
	set := func(key string, of *avro.SchemaNode) error {
		member, err := f.value(v[key], of, depth+1)
		if err == nil {
			out.Map().Set(key, member)
		}
		return err
	}
	if record := f.branch(n, "record", v); record != nil {
		for i := range record.Fields {
			if err := set(record.Fields[i].Name, &record.Fields[i].Type); err != nil {
				return event.Value{}, err
			}
		}
		return out, nil
	}
	var values *avro.SchemaNode
	if m := f.branch(n, "map", nil); m != nil {
		values = m.Values
	}
	for _, key := range slices.Sorted(maps.Keys(v)) {
		if err := set(key, values); err != nil {
			return event.Value{}, err
		}
	}
	return out, nil
}

// branch gives the schema of a kind that a value has: n, what it refers to, or the branch of a union that fits; nil if there is none.
// A record fits that has exactly the fields of v.
func (f *avroForm) branch(n *avro.SchemaNode, kind string, v map[string]any) *avro.SchemaNode {
	if n == nil {
		return nil
	}
	if of, ok := f.named[n.Type]; ok {
		n = of
	}
	if n.Type == "union" || len(n.Branches) > 0 {
		for i := range n.Branches {
			if b := f.branch(&n.Branches[i], kind, v); b != nil {
				return b
			}
		}
		return nil
	}
	if n.Type != kind && (kind != "record" || n.Type != "error") {
		return nil
	}
	if kind == "record" {
		for i := range n.Fields {
			if _, ok := v[n.Fields[i].Name]; !ok {
				return nil
			}
		}
		if len(n.Fields) != len(v) {
			return nil
		}
	}
	return n
}

// encode appends an event.
func (f *avroForm) encode(dst []byte, e *event.Event) ([]byte, error) {
	v := map[string]any{}
	for _, m := range e.Fields().Entries() {
		v[m.Key] = plain(m.Value)
	}
	out, err := f.schema.AppendEncode(dst, f.complete(v, f.root, 0))
	if err != nil {
		return dst, err
	}
	return out, nil
}

// complete gives records null for the fields that they lack and that have no default, and leaves those out that they do not have.
func (f *avroForm) complete(v any, n *avro.SchemaNode, depth int) any {
	if n == nil || depth > event.MaxDepth {
		return v
	}
	if of, ok := f.named[n.Type]; ok {
		n = of
	}
	switch v := v.(type) {
	case map[string]any:
		record := f.recordOf(n)
		if record == nil {
			if m := f.branch(n, "map", nil); m != nil {
				for key := range v {
					v[key] = f.complete(v[key], m.Values, depth+1)
				}
			}
			return v
		}
		out := map[string]any{}
		for i := range record.Fields {
			field := &record.Fields[i]
			member, ok := v[field.Name]
			if ok {
				out[field.Name] = f.complete(member, &field.Type, depth+1)
			} else if !field.HasDefault {
				out[field.Name] = nil
			}
		}
		return out
	case []any:
		if list := f.branch(n, "array", nil); list != nil {
			for i := range v {
				v[i] = f.complete(v[i], list.Items, depth+1)
			}
		}
	}
	return v
}

// recordOf gives the record that a schema is, or the only one that it may be.
func (f *avroForm) recordOf(n *avro.SchemaNode) *avro.SchemaNode {
	if of, ok := f.named[n.Type]; ok {
		n = of
	}
	if n.Type == "record" || n.Type == "error" {
		return n
	}
	var only *avro.SchemaNode
	for i := range n.Branches {
		if b := f.recordOf(&n.Branches[i]); b != nil {
			if only != nil {
				return nil
			}
			only = b
		}
	}
	return only
}

// plain gives a value as the library takes it.
func plain(v event.Value) any {
	switch v.Kind() {
	case event.Bool:
		return v.Bool()
	case event.Int:
		return v.Int()
	case event.Float:
		return v.Float()
	case event.String:
		return v.Str()
	case event.Time:
		return v.Time()
	case event.List:
		list := make([]any, len(v.List()))
		for i, e := range v.List() {
			list[i] = plain(e)
		}
		return list
	case event.Map:
		m := map[string]any{}
		for _, e := range v.Map().Entries() {
			m[e.Key] = plain(e.Value)
		}
		return m
	case event.Absent, event.Null:
		return nil
	default: // numbers beyond 64 bits
		text := string(v.AppendText(nil))
		if n, ok := new(big.Float).SetString(text); ok {
			f, _ := n.Float64()
			return f
		}
		return text
	}
}
