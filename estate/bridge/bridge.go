// Package bridge carries what Terraform knows of an environment (endpoints, brokers, buckets, roles) to Kubernetes and
// back, by the GitOps Bridge pattern: labels and annotations of the secret that Argo CD keeps a cluster in. ApplicationSets
// read them there, and so does an Environment.
//
//	terraform output -json          ReadOutputs
//	  -> values, each with a name   Mapping.Values
//	  -> the cluster secret         NewSecret, Secret.YAML
//	  -> the same values            Mapping.Read, Need
//
// One Mapping says which output has which name, and who needs it. What was written with one mapping is read without it:
// the annotation naru.dev/bridge says of each value what it is called, where it stands and its type, so that values come
// back as they went, a list as a list and the text "[]" as a text.
package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Type is how a value is written as text, and read back.
type Type string

// The types. Text and URL are written as they are, all others as JSON.
const (
	Text   Type = "text"
	URL    Type = "url" // a text; https:// is put before a host
	List   Type = "list"
	Number Type = "number"
	Bool   Type = "bool"
	Object Type = "object"
	Any    Type = "any" // whichever the value has
)

var types = []Type{Text, URL, List, Number, Bool, Object, Any}

// A Value is one thing that is known of an environment.
type Value struct {
	Name       string // what an Environment calls it: ${name}
	Value      any    // string, bool, json.Number, []any or map[string]any
	Type       Type   // never URL or Any
	Annotation string // "": it is in the label only
	Label      string // "": it has no label
	Output     string // what it was made of: an output, or OBJECT.MEMBER; "" after Read
}

// Text is the value as it is written.
func (v Value) Text() string { return texted(v.Value) }

// Values are sorted by name, and no two have the same.
type Values []Value

// Get gives the value called name.
func (vs Values) Get(name string) (Value, bool) {
	i, ok := slices.BinarySearchFunc(vs, name, func(v Value, name string) int { return strings.Compare(v.Name, name) })
	if !ok {
		return Value{}, false
	}
	return vs[i], true
}

// Map gives the values by name, as variables of an environment.
func (vs Values) Map() map[string]any {
	out := make(map[string]any, len(vs))
	for _, v := range vs {
		out[v.Name] = v.Value
	}
	return out
}

func sortedValues(byName map[string]Value) Values {
	out := make(Values, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// typeOf names the type of a decoded value; "" for null and what JSON does not have.
func typeOf(v any) Type {
	switch v.(type) {
	case string:
		return Text
	case bool:
		return Bool
	case json.Number:
		return Number
	case []any:
		return List
	case map[string]any:
		return Object
	}
	return ""
}

// texted writes a value as the text of a label or an annotation: JSON as Terraform's jsonencode writes it, with sorted keys.
func texted(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error()) // it came from JSON
	}
	return string(b)
}

// untexted reads what texted wrote.
func untexted(s string, t Type) (any, error) {
	if t == Text || t == URL {
		return s, nil
	}
	v, err := decode([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("want JSON of the type %s: %w", t, err)
	}
	if t == Any && v != nil {
		return v, nil
	}
	if got := typeOf(v); got != t {
		if got == "" {
			return nil, fmt.Errorf("want %s, found null", t)
		}
		return nil, fmt.Errorf("want %s, found %s", t, got)
	}
	return v, nil
}

// as makes of v what the mapping says that it is.
func as(v any, t Type) (any, error) {
	got := typeOf(v)
	s, isText := v.(string)
	switch {
	case got == "":
		return nil, errors.New("null is no value")
	case t == Any || got == t:
		return v, nil
	case t == URL && isText:
		if s != "" && !strings.Contains(s, "://") {
			s = "https://" + s
		}
		return s, nil
	case t == Text && (got == Number || got == Bool):
		return texted(v), nil
	case t == List && isText:
		return listOf(s)
	case (t == Number || t == Bool || t == Object) && isText:
		return untexted(s, t)
	}
	return nil, fmt.Errorf("want %s, found %s", t, got)
}

// listOf reads a list that somebody wrote as a text: as JSON, or with commas, as MSK gives its brokers.
func listOf(s string) (any, error) {
	if strings.HasPrefix(strings.TrimSpace(s), "[") {
		return untexted(s, List)
	}
	list := []any{}
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list, nil
}

// empty reports that there is nothing in a value.
func empty(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return v == nil
}
