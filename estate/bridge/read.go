package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Read gives the values of a secret. One that NewSecret made gives exactly what it was made of, whatever the mapping. In one
// that another wrote, the gitops-bridge module, say, the mapping says which annotations and labels are values and of
// which type; labels enable_* are values too. Annotations that nobody declared are others', and are left alone.
func (m *Mapping) Read(s *Secret) (Values, error) {
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	byName := map[string]Value{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(records)) {
		v, err := s.recorded(name, records[name])
		errs = append(errs, err)
		byName[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(m.Names)) {
		if _, ok := byName[name]; ok {
			continue
		}
		v, ok, err := m.found(s, name)
		if err != nil {
			errs = append(errs, err)
		} else if ok {
			byName[name] = v
		}
	}
	for _, label := range slices.Sorted(maps.Keys(s.Labels)) {
		if _, ok := byName[label]; ok || records != nil || !strings.HasPrefix(label, "enable_") {
			continue
		}
		if b, err := as(s.Labels[label], Bool); err == nil { // another value is another's
			byName[label] = Value{Name: label, Value: b, Type: Bool, Label: label}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return sortedValues(byName), nil
}

// records reads how the secret was written; nil: not by the bridge.
func (s *Secret) records() (map[string]record, error) {
	text, ok := s.Annotations[RecordAnnotation]
	if !ok {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	records := map[string]record{}
	if err := d.Decode(&records); err != nil {
		return nil, fmt.Errorf("the annotation %s is not what this naru wrote: %w; write the secret again with `naru bridge`", RecordAnnotation, err)
	}
	if records == nil {
		return nil, fmt.Errorf("the annotation %s is null; write the secret again with `naru bridge`", RecordAnnotation)
	}
	for name, r := range records {
		if !slices.Contains(types, r.Type) || r.Type == URL || r.Type == Any {
			return nil, fmt.Errorf("the annotation %s: %s is of the type %q, which this naru does not know", RecordAnnotation, name, r.Type)
		}
	}
	return records, nil
}

// recorded reads a value that the secret says it has.
func (s *Secret) recorded(name string, r record) (Value, error) {
	if r.Annotation == "" && r.Label == "" {
		r.Annotation = name
	}
	v := Value{Name: name, Type: r.Type, Annotation: r.Annotation, Label: r.Label}
	what, key := "annotation", r.Annotation
	text, ok := s.Annotations[key]
	if key == "" {
		what, key = "label", r.Label
		text, ok = s.Labels[key]
	}
	if !ok {
		return v, fmt.Errorf("%s: the %s %s, which `naru bridge` wrote, is gone", name, what, key)
	}
	if label, labelled := s.Labels[r.Label]; r.Annotation != "" && r.Label != "" && (!labelled || label != text) {
		return v, fmt.Errorf("%s: the annotation %s is %q, and the label %s is %q: somebody changed one of them", name, r.Annotation, text, r.Label, label)
	}
	var err error
	if v.Value, err = untexted(text, r.Type); err != nil {
		return v, fmt.Errorf("%s: the %s %s: %w", name, what, key, err)
	}
	return v, nil
}

// found looks for a name of the mapping that the secret does not say it has.
func (m *Mapping) found(s *Secret, name string) (Value, bool, error) {
	n := m.Names[name]
	key := m.annotation(name)
	text, ok := s.Annotations[key]
	v := Value{Name: name, Annotation: key, Label: n.Label}
	if _, has := s.Labels[n.Label]; n.Label == "" || !has {
		v.Label = ""
	}
	if !ok && v.Label != "" {
		text, ok, v.Annotation = s.Labels[n.Label], true, ""
	}
	if !ok {
		return v, false, nil
	}
	value, err := as(text, n.Type)
	if err != nil {
		return v, false, fmt.Errorf("%s: the annotation %s: %w", name, key, err)
	}
	v.Value, v.Type = value, typeOf(value)
	return v, true, nil
}

// A Change is one difference between two secrets.
type Change struct {
	Place string  `json:"place"` // label, annotation or data
	Key   string  `json:"key"`
	Was   *string `json:"was,omitempty"` // nil: it is new. What is in data is not told, but for name and server
	Is    *string `json:"is,omitempty"`  // nil: it goes
}

// Diff says what `kubectl apply --server-side` of want would change. What current has beside, and is not said to be the
// bridge's, stays. JSON is compared by its values.
func Diff(current, want *Secret) ([]Change, error) {
	old, err := current.records()
	if err != nil {
		return nil, err
	}
	var changes []Change
	ours := map[string]map[string]bool{"label": {}, "annotation": {}}
	for name, r := range old {
		if r.Annotation == "" && r.Label == "" {
			r.Annotation = name
		}
		ours["label"][r.Label], ours["annotation"][r.Annotation] = true, true
	}
	compare := func(place string, was, is map[string]string) {
		keys := slices.Collect(maps.Keys(is))
		for k := range was {
			if _, ok := is[k]; !ok && ours[place][k] {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			before, had := was[k]
			after, has := is[k]
			c := Change{Place: place, Key: k}
			if had {
				c.Was = &before
			}
			if has {
				c.Is = &after
			}
			if !had || !has || before != after && !sameJSON(before, after) {
				changes = append(changes, c)
			}
		}
	}
	compare("label", current.Labels, want.Labels)
	compare("annotation", current.Annotations, want.Annotations)
	compare("data", shown(current.Data, want.Data), shown(want.Data, current.Data))
	return changes, nil
}

// shown gives the data as texts that may be told: those of other keys than name and server only say whether they are as in other.
func shown(data, other map[string][]byte) map[string]string {
	out := map[string]string{}
	for k, v := range data {
		text := string(v)
		if k == "server" {
			text = strings.TrimRight(text, "/") // as Argo CD keeps it
		}
		if k != "name" && k != "server" {
			text = "(not shown)"
			if o, ok := other[k]; ok && !bytes.Equal(v, o) && !sameJSON(string(v), string(o)) {
				text = fmt.Sprintf("(not shown, %d bytes, differs)", len(v))
			}
		}
		out[k] = text
	}
	return out
}

// sameJSON reports that both are objects or lists, with the same in them.
func sameJSON(a, b string) bool {
	x, errX := decode([]byte(a))
	y, errY := decode([]byte(b))
	if errX != nil || errY != nil || typeOf(x) != List && typeOf(x) != Object {
		return false
	}
	return texted(x) == texted(y)
}
