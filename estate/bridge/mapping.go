package bridge

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/connect"
)

// A Mapping says which output of Terraform is called what, and who needs it. The zero value knows no names.
type Mapping struct {
	Names map[string]Name `yaml:"values"`
	// Spread names outputs that are objects, whose members count as outputs of their own.
	Spread struct {
		Annotations []string `yaml:"annotations"`
		Labels      []string `yaml:"labels"` // members become labels
	} `yaml:"spread"`
	LeaveOut []string `yaml:"leaveOut"` // patterns of outputs
	Unknown  string   `yaml:"unknown"`  // what becomes of other outputs: Annotate, LeaveOut or Refuse
	Prefix   string   `yaml:"prefix"`   // of the annotations of such
}

// What becomes of outputs that a mapping does not know.
const (
	Annotate = "annotate"
	LeaveOut = "leaveOut"
	Refuse   = "refuse"
)

// A Name is what an Environment calls a value.
type Name struct {
	About      string    `yaml:"about"`
	Type       Type      `yaml:"type"`
	From       []string  `yaml:"from"`
	Annotation string    `yaml:"annotation"`
	Label      string    `yaml:"label"`
	Needed     []Purpose `yaml:"needed"`
	MayBeEmpty bool      `yaml:"mayBeEmpty"`
}

// A Purpose is what values are needed for.
type Purpose string

// The purposes.
const (
	ForApplicationSets Purpose = "applicationsets"
	ForEnvironment     Purpose = "environment"
	ForFlows           Purpose = "flows"
)

// Purposes lists them.
var Purposes = []Purpose{ForApplicationSets, ForEnvironment, ForFlows}

//go:embed mapping.yaml
var defaultMapping []byte

// DefaultText is the default mapping with its comments.
func DefaultText() []byte { return bytes.Clone(defaultMapping) }

// Default is the mapping that is used unless another is asked for.
func Default() *Mapping {
	m := &Mapping{Names: map[string]Name{}}
	if err := m.overlay("mapping.yaml", defaultMapping); err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

// ParseMapping lays a file over the default mapping: names field by field, where null takes a name away, and all other
// keys as a whole. Errors begin with file:line.
func ParseMapping(file string, data []byte) (*Mapping, error) {
	m := Default()
	if len(data) > LargestFile {
		return nil, fmt.Errorf("%s has %d bytes; a mapping has at most %d", file, len(data), LargestFile)
	}
	return m, m.overlay(file, data)
}

var (
	mappingKeys = []string{"values", "spread", "leaveOut", "unknown", "prefix"}
	nameKeys    = []string{"about", "type", "from", "annotation", "label", "needed", "mayBeEmpty"}
	spreadKeys  = []string{"annotations", "labels"}
	variable    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

func (m *Mapping) overlay(file string, data []byte) error {
	root, err := document(file, data)
	if err != nil {
		return err
	}
	if err := keysOf(file, root, mappingKeys); err != nil {
		return err
	}
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i].Value, root.Content[i+1]
		switch key {
		case "values":
			errs = append(errs, m.names(file, node))
			continue
		case "spread":
			errs = append(errs, keysOf(file, node, spreadKeys), decodeNode(file, node, &m.Spread))
		case "leaveOut":
			m.LeaveOut = nil
			errs = append(errs, decodeNode(file, node, &m.LeaveOut))
			for _, p := range m.LeaveOut {
				if _, err := path.Match(p, ""); err != nil {
					errs = append(errs, fmt.Errorf("%s:%d: leaveOut: %q is no pattern; * and ? stand for others", file, node.Line, p))
				}
			}
		case "unknown":
			errs = append(errs, decodeNode(file, node, &m.Unknown))
			if !slices.Contains([]string{Annotate, LeaveOut, Refuse}, m.Unknown) {
				errs = append(errs, fmt.Errorf("%s:%d: unknown: %q; want annotate, leaveOut or refuse", file, node.Line, m.Unknown))
			}
		case "prefix":
			errs = append(errs, decodeNode(file, node, &m.Prefix))
		}
	}
	return errors.Join(append(errs, m.check(file))...)
}

func (m *Mapping) names(file string, node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: values: want names with their from, type, label, annotation and needed", file, node.Line)
	}
	var errs []error
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if value.Tag == "!!null" {
			delete(m.Names, key.Value)
			continue
		}
		if !variable.MatchString(key.Value) {
			errs = append(errs, fmt.Errorf("%s:%d: %q: a name has letters, digits, and _ . - inside", file, key.Line, key.Value))
		}
		n := m.Names[key.Value]
		if err := errors.Join(keysOf(file, value, nameKeys), decodeNode(file, value, &n)); err != nil {
			errs = append(errs, err)
			continue
		}
		if n.Type == "" {
			n.Type = Any
		}
		if !slices.Contains(types, n.Type) {
			errs = append(errs, fmt.Errorf("%s:%d: %s: type %q; want one of %s", file, value.Line, key.Value, n.Type, joined(types)))
		}
		for _, p := range n.Needed {
			if !slices.Contains(Purposes, p) {
				errs = append(errs, fmt.Errorf("%s:%d: %s: needed: %q; want one of %s", file, value.Line, key.Value, p, joined(Purposes)))
			}
		}
		m.Names[key.Value] = n
	}
	return errors.Join(errs...)
}

// check says where two names want the same place.
func (m *Mapping) check(file string) error {
	var errs []error
	annotations, labels := map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m.Names)) {
		key := m.annotation(name)
		if other, twice := annotations[key]; twice {
			errs = append(errs, fmt.Errorf("%s: %s and %s are both the annotation %s", file, other, name, key))
		}
		annotations[key] = name
		if label := m.Names[name].Label; label != "" {
			if other, twice := labels[label]; twice {
				errs = append(errs, fmt.Errorf("%s: %s and %s are both the label %s", file, other, name, label))
			}
			labels[label] = name
		}
	}
	return errors.Join(errs...)
}

// annotation is the key that the name's value stands under.
func (m *Mapping) annotation(name string) string {
	if key := m.Names[name].Annotation; key != "" {
		return key
	}
	return name
}

// leftOut reports that an output is left out.
func (m *Mapping) leftOut(output string) bool {
	return slices.ContainsFunc(m.LeaveOut, func(p string) bool {
		ok, err := path.Match(p, output)
		return err == nil && ok
	})
}

// document gives the one mapping of keys in a YAML or JSON file.
func document(file string, data []byte) (*yaml.Node, error) {
	if json.Valid(data) {
		var err error
		if data, err = asYAML(data); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: the file is empty", file)
	case err != nil:
		return nil, yamlError(file, err)
	}
	if err := d.Decode(&more); err == nil {
		return nil, fmt.Errorf("%s:%d: a second document; want one", file, more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(file, err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want keys with values", file, root.Line)
	}
	return root, nil
}

// asYAML writes JSON so that YAML reads it as the same: the two differ in characters that must be escaped, in pairs of
// surrogates and in tabs. Lines are those of kubectl, whatever they were.
func asYAML(data []byte) ([]byte, error) {
	v, err := decode(data)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	var out []byte
	for _, r := range b.String() {
		if r >= 0x7f && escaped(r) {
			out = fmt.Appendf(out, `\U%08x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out, nil
}

// yamlError turns "yaml: line 3: …" into "file:3: …".
func yamlError(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		return fmt.Errorf("%s:%s", file, rest)
	}
	return fmt.Errorf("%s: %s", file, text)
}

func decodeNode(file string, n *yaml.Node, into any) error {
	if err := n.Decode(into); err != nil {
		return yamlError(file, err)
	}
	return nil
}

// keysOf reports keys that are not known, or stand twice.
func keysOf(file string, n *yaml.Node, known []string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: want keys with values: %s", file, n.Line, joined(known))
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !slices.Contains(known, key.Value) {
			hint := "the keys are " + joined(known)
			if near := connect.Nearest(key.Value, known); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			errs = append(errs, fmt.Errorf("%s:%d: unknown key %q; %s", file, key.Line, key.Value, hint))
		}
	}
	return errors.Join(errs...)
}

func joined[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}
