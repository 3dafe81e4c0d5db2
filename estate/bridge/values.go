package bridge

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Choices is what a caller adds to a mapping.
type Choices struct {
	Set    map[string]string // values by name, before those of outputs
	Enable []string          // labels enable_NAME that are true
	Allow  []string          // outputs that are no secrets, whatever they look like
}

// A LeftOut is an output that is not in the secret.
type LeftOut struct {
	Output string `json:"output"`
	Why    string `json:"why"`
}

// candidate is an output, or a member of one that is spread.
type candidate struct {
	path      string // OUTPUT or OUTPUT.MEMBER
	value     any
	sensitive bool
	member    bool
	label     bool // a member of one whose members become labels
}

// Values gives each output its name. All that is wrong is reported at once: outputs that are sensitive, or seem to be
// secrets, values of the wrong type, and outputs that the mapping refuses.
func (m *Mapping) Values(outputs Outputs, c Choices) (Values, []LeftOut, error) {
	g := gathering{m: m, found: map[string]candidate{}, byName: map[string]Value{}, allow: map[string]bool{}}
	for _, name := range c.Allow {
		g.allow[name] = false
	}
	g.gather(outputs, c)
	for _, name := range slices.Sorted(maps.Keys(m.Names)) {
		g.known(name)
	}
	for _, name := range slices.Sorted(maps.Keys(g.found)) {
		g.other(name, g.found[name])
	}
	g.keys()
	if len(g.secrets) > 0 {
		g.errs = append(g.errs, fmt.Errorf("annotations are no place for secrets: %s; keep them in a Secret of their own, and give its name (opensearch_secret, kafka_secret), "+
			"to which a flow's secretRef points; if one is no secret, --allow its name; leaveOut in the mapping leaves it out", strings.Join(g.secrets, "; ")))
	}
	for _, name := range slices.Sorted(maps.Keys(g.allow)) {
		if !g.allow[name] {
			g.errs = append(g.errs, fmt.Errorf("--allow %s: no such output was refused", name))
		}
	}
	if len(g.errs) > 0 {
		return nil, nil, errors.Join(g.errs...)
	}
	return sortedValues(g.byName), g.left, nil
}

type gathering struct {
	m       *Mapping
	found   map[string]candidate // what has no name yet
	byName  map[string]Value
	allow   map[string]bool // names of --allow, and whether it was needed
	left    []LeftOut
	secrets []string
	errs    []error
}

// gather lists the outputs, and the members of those that are spread.
func (g *gathering) gather(outputs Outputs, c Choices) {
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		o := outputs[name]
		members, isObject := o.Value.(map[string]any)
		labels := slices.Contains(g.m.Spread.Labels, name)
		if !isObject || !labels && !slices.Contains(g.m.Spread.Annotations, name) {
			g.add(name, candidate{path: name, value: o.Value, sensitive: o.Sensitive})
			continue
		}
		for _, member := range slices.Sorted(maps.Keys(members)) {
			g.add(member, candidate{path: name + "." + member, value: members[member], sensitive: o.Sensitive, member: true, label: labels})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		if !utf8.ValidString(c.Set[name]) {
			g.errs = append(g.errs, fmt.Errorf("--set %s: it is not UTF-8", name))
		}
		g.found[name] = candidate{path: "--set " + name, value: c.Set[name], member: true}
	}
	for _, name := range c.Enable {
		name = "enable_" + strings.TrimPrefix(name, "enable_")
		g.found[name] = candidate{path: "--enable", value: true, member: true}
	}
}

func (g *gathering) add(name string, c candidate) {
	if c.value == nil {
		g.left = append(g.left, LeftOut{c.path, "it is null"})
		return
	}
	if other, twice := g.found[name]; twice {
		if !reflect.DeepEqual(other.value, c.value) {
			g.errs = append(g.errs, fmt.Errorf("%s and %s are both called %s, and differ", other.path, c.path, name))
		}
		c.sensitive = c.sensitive || other.sensitive
		c.path = other.path
	}
	g.found[name] = c
}

// known gives a name of the mapping its value: the first of its outputs that is not empty, else the first.
func (g *gathering) known(name string) {
	n := g.m.Names[name]
	chosen := ""
	for _, output := range append([]string{name}, n.From...) {
		c, ok := g.found[output]
		if ok && (chosen == "" || !empty(c.value)) {
			chosen = output
			if !empty(c.value) {
				break
			}
		}
	}
	if chosen == "" {
		return
	}
	c := g.found[chosen]
	delete(g.found, chosen)
	delete(g.found, name) // it is empty
	if g.refuses(name, chosen, c) {
		return
	}
	v, err := as(c.value, n.Type)
	if err != nil {
		g.errs = append(g.errs, fmt.Errorf("%s, as %s: %w", c.path, name, err))
		return
	}
	g.byName[name] = Value{Name: name, Value: v, Type: typeOf(v), Annotation: g.m.annotation(name), Label: n.Label, Output: c.path}
}

// other gives an output that the mapping does not know a name.
func (g *gathering) other(name string, c candidate) {
	v := Value{Name: name, Value: c.value, Type: typeOf(c.value), Output: c.path}
	switch {
	case strings.HasPrefix(name, "enable_"):
		b, err := as(c.value, Bool)
		if err != nil {
			g.errs = append(g.errs, fmt.Errorf("%s: a label enable_* is true or false: %w", c.path, err))
			return
		}
		v.Value, v.Type, v.Label = b, Bool, name
	case c.label:
		v.Label = name
	case g.m.leftOut(name):
		g.left = append(g.left, LeftOut{c.path, "leaveOut names it"})
		return
	case c.member:
		v.Annotation = name
	case g.m.Unknown == LeaveOut:
		g.left = append(g.left, LeftOut{c.path, "the mapping does not know it"})
		return
	case g.m.Unknown == Refuse:
		g.errs = append(g.errs, fmt.Errorf("the mapping does not know the output %s: give it a name under values, or leave it out (leaveOut)", c.path))
		return
	default:
		v.Annotation = g.m.Prefix + name
	}
	if !variable.MatchString(name) {
		g.errs = append(g.errs, fmt.Errorf("output %s: no name for a variable, which has letters, digits, and _ . - inside: give it another under values, or leave it out (leaveOut)", c.path))
		return
	}
	if !g.refuses(name, name, c) {
		g.byName[name] = v
	}
}

// refuses notes what must not be written.
func (g *gathering) refuses(name, output string, c candidate) bool {
	why := g.m.secretIn(name, c.path, c.value)
	if c.sensitive {
		why = c.path + " is sensitive"
	}
	if why == "" {
		return false
	}
	whole, _, _ := strings.Cut(c.path, ".")
	for _, allowed := range []string{output, c.path, whole} {
		if _, ok := g.allow[allowed]; ok {
			g.allow[allowed] = true
			return false
		}
	}
	g.secrets = append(g.secrets, why)
	return true
}

// keys reports two values in one place.
func (g *gathering) keys() {
	seen := map[string]string{}
	for _, v := range sortedValues(g.byName) {
		for _, key := range []string{"annotation " + v.Annotation, "label " + v.Label} {
			if strings.HasSuffix(key, " ") {
				continue
			}
			if other, twice := seen[key]; twice {
				g.errs = append(g.errs, fmt.Errorf("%s and %s are both the %s", other, v.Output, key))
			}
			seen[key] = v.Output
		}
	}
}
