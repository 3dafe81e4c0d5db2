package estate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Field is one difference.
type Field struct {
	Path  string          `json:"path"`
	From  json.RawMessage `json:"from,omitempty"` // none: it was not there
	To    json.RawMessage `json:"to,omitempty"`   // none: it will not be there
	Means string          `json:"means,omitempty"`
	Risk  Risk            `json:"risk,omitempty"`
	// Outside: the live value is not what was applied last; somebody else set it.
	Outside bool `json:"outside,omitempty"`
}

// absent is a value that is not there; nil is null.
type absent struct{}

// versions are the four that a difference is made of. lastDeclared and lastObserved are absent if nothing was applied.
type versions struct {
	declared, live, lastDeclared, lastObserved any
	recorded                                   bool // there is a last
}

// compare gives what has to change for live to be what is declared. What the system added by itself to what was applied
// last, and what nobody changed since, is no difference.
func compare(declared, live, lastDeclared, lastObserved Body) []Field {
	v := versions{declared: declared, live: live, lastDeclared: absent{}, lastObserved: absent{}}
	if lastObserved != nil {
		v.lastDeclared, v.lastObserved, v.recorded = lastDeclared, lastObserved, true
	}
	var out []Field
	v.walk("", &out)
	return out
}

func (v versions) walk(path string, out *[]Field) {
	d, dOK := v.declared.(map[string]any)
	l, lOK := v.live.(map[string]any)
	if dOK && lOK {
		ld, _ := v.lastDeclared.(map[string]any)
		lo, _ := v.lastObserved.(map[string]any)
		names := maps.Clone(d)
		for k := range l {
			names[k] = nil
		}
		for _, k := range slices.Sorted(maps.Keys(names)) {
			v.member(member(d, k), member(l, k), member(ld, k), member(lo, k)).walk(join(path, k), out)
		}
		return
	}
	if list, live, ok := v.alike(); ok {
		lastD, _ := v.lastDeclared.([]any)
		lastO, _ := v.lastObserved.([]any)
		for i := range max(len(list), len(live)) {
			v.member(element(list, i), element(live, i), element(lastD, i), element(lastO, i)).walk(path+"["+labelOf(list, live, i)+"]", out)
		}
		return
	}
	switch {
	case equal(v.declared, v.live):
		return
	case v.declared == any(absent{}) && v.recorded && v.lastDeclared == any(absent{}) && equal(v.lastObserved, v.live):
		return // the system's own
	case v.recorded && equal(v.declared, v.lastDeclared) && equal(v.live, v.lastObserved):
		return // the system writes it in another way
	}
	*out = append(*out, Field{
		Path: path, From: value(v.live), To: value(v.declared), Outside: v.recorded && !equal(v.live, v.lastObserved),
	})
}

func (v versions) member(declared, live, lastDeclared, lastObserved any) versions {
	return versions{declared, live, lastDeclared, lastObserved, v.recorded}
}

// alike gives the two lists if they are lists of objects of the same length, or of such that have names: then they are
// compared one by one.
func (v versions) alike() (declared, live []any, ok bool) {
	d, dOK := v.declared.([]any)
	l, lOK := v.live.([]any)
	if !dOK || !lOK || len(d) != len(l) {
		return nil, nil, false
	}
	for i := range d {
		a, aOK := d[i].(map[string]any)
		b, bOK := l[i].(map[string]any)
		if !aOK || !bOK || nameOf(a) != nameOf(b) {
			return nil, nil, false
		}
	}
	return d, l, true
}

// nameOf is what an object in a list is called: its name, or the one thing that it is.
func nameOf(o map[string]any) string {
	if s, ok := o["name"].(string); ok {
		return s
	}
	if len(o) == 1 {
		for k := range o {
			return k
		}
	}
	return ""
}

func labelOf(list, live []any, i int) string {
	for _, l := range [][]any{list, live} {
		if i < len(l) {
			if o, ok := l[i].(map[string]any); ok && o["name"] != nil {
				return nameOf(o)
			}
		}
	}
	return fmt.Sprint(i)
}

func member(o map[string]any, name string) any {
	if v, ok := o[name]; ok {
		return v
	}
	return absent{}
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func value(v any) json.RawMessage {
	if v == any(absent{}) {
		return nil
	}
	return text(v)
}

// under reports that path is one of the prefixes or below it.
func under(path string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		rest, ok := strings.CutPrefix(path, p)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}
