package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/connect"
)

// LargestFile is the most bytes that an input may have.
const LargestFile = 256 << 20

const (
	deepest   = 200       // levels of a document
	mostNodes = 4_000_000 // values of a file, aliases followed
)

// Read takes one file: Terraform's state, what `terraform show -json` prints, or manifests as YAML or JSON, one or many.
// name is what it is called in what is said of it.
func (b *Batch) Read(name string, data []byte) {
	if len(data) > LargestFile {
		b.fail("%s has more than %d bytes", name, LargestFile)
		return
	}
	docs, err := documents(data)
	if err != nil {
		b.fail("%s: %w", name, err)
		return
	}
	for i, doc := range docs {
		at := name
		if len(docs) > 1 {
			at = fmt.Sprintf("%s, document %d", name, i+1)
		}
		o, ok := doc.(map[string]any)
		switch {
		case doc == nil:
		case !ok:
			b.fail("%s: want a manifest or a state, keys with values; found %s", at, what(doc))
		case isState(o):
			b.state(at, o)
		default:
			b.manifest(at, o)
		}
	}
	if len(docs) == 0 {
		b.fail("%s is empty", name)
	}
}

// documents decodes JSON values, or a stream of YAML documents. Numbers stay as they are written.
func documents(data []byte) ([]any, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		if docs, err := jsonDocuments(trimmed); err == nil {
			return docs, nil
		} else if trimmed[0] == '{' && bytes.HasPrefix(bytes.TrimLeft(trimmed[1:], " \t\r\n"), []byte{'"'}) {
			return nil, err // JSON with a mistake, which YAML would describe worse
		}
	}
	return yamlDocuments(data)
}

func jsonDocuments(data []byte) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var out []any
	for {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("not JSON, at byte %d: %w", d.InputOffset(), err)
		}
		out = append(out, v)
	}
}

func yamlDocuments(data []byte) ([]any, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var out []any
	budget := mostNodes
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			why := strings.TrimPrefix(err.Error(), "yaml: ")
			if bytes.Contains(data, []byte("{{")) {
				why += " (it looks like a template: render it first, with helm template, say)"
			}
			return nil, errors.New(why)
		}
		v, err := yamlValue(&doc, 0, &budget)
		if err != nil && bytes.Contains(data, []byte("{{")) {
			return nil, fmt.Errorf("%w (it looks like a template: render it first, with helm template, say)", err)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

// yamlValue is a node as JSON has it. Aliases are followed, as far as the budget goes.
func yamlValue(n *yaml.Node, depth int, budget *int) (any, error) {
	if *budget--; *budget < 0 || depth > deepest {
		return nil, fmt.Errorf("line %d: too large: more than %d values, or %d levels", n.Line, mostNodes, deepest)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil
		}
		return yamlValue(n.Content[0], depth, budget)
	case yaml.AliasNode:
		return yamlValue(n.Alias, depth+1, budget)
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			var err error
			if out[i], err = yamlValue(c, depth+1, budget); err != nil {
				return nil, err
			}
		}
		return out, nil
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if _, twice := out[key.Value]; twice || key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				return nil, fmt.Errorf("line %d: the key %q stands twice, or is none that JSON has", key.Line, key.Value)
			}
			var err error
			if out[key.Value], err = yamlValue(n.Content[i+1], depth+1, budget); err != nil {
				return nil, err
			}
		}
		return out, nil
	case yaml.ScalarNode:
		return yamlScalar(n)
	}
	return nil, fmt.Errorf("line %d: no value", n.Line)
}

func yamlScalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
		return v, nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s is no number that JSON has", n.Line, n.Value)
		}
		return json.Number(text), nil
	case "!!binary":
		return nil, fmt.Errorf("line %d: JSON has no binary values", n.Line)
	}
	return n.Value, nil
}

// groups are the API groups of the operator's kinds, the older one first.
var groups = []string{"opensearch.opster.io/v1", "opensearch.org/v1"}

// manifest takes one, or a list of them.
func (b *Batch) manifest(at string, m map[string]any) {
	kind, _ := m["kind"].(string)
	group, _ := m["apiVersion"].(string)
	if kind == "" || group == "" {
		b.fail("%s: neither a manifest, which has apiVersion and kind, nor Terraform's state, which has version and resources", at)
		return
	}
	if items, ok := m["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		for i, x := range items {
			item, ok := x.(map[string]any)
			if !ok {
				b.fail("%s: items[%d]: want a manifest, found %s", at, i, what(x))
				continue
			}
			if item["kind"] == nil { // lists of one kind need not repeat it
				item = maps.Clone(item)
				item["kind"], item["apiVersion"] = strings.TrimSuffix(kind, "List"), group
			}
			b.manifest(fmt.Sprintf("%s, items[%d]", at, i), item)
		}
		return
	}
	k, known := operatorKinds[kind]
	if !known || !slices.Contains(groups, group) {
		if near := connect.Nearest(kind, slices.Sorted(maps.Keys(operatorKinds))); slices.Contains(groups, group) && near != "" && kind != "OpenSearchCluster" {
			b.fail("%s: %s has no kind %s; did you mean %s?", at, group, kind, near)
			return
		}
		b.leave(Elsewhere, group+" "+kind, "no kind of object that is declared")
		return
	}
	t := &tale{}
	r := manifestOf(t, group, kind, m)
	if err := t.err(); err != nil {
		b.fail("%s: %s: %w", at, r, err)
		return
	}
	if !b.mine(r) {
		b.leave(Elsewhere, r.String(), "of the cluster %s", r.cluster)
		return
	}
	k.take(b, t, r)
	if err := t.err(); err != nil {
		b.fail("%s: %s: %w", at, r, err)
	}
}

// A resource of the operator.
type operated struct {
	group, kind, plural, namespace, name string
	cluster                              string // NAMESPACE/NAME or NAME of the OpenSearchCluster
	spec                                 map[string]any
	existed                              bool // the operator found the object in the cluster, and left it alone
}

func (r operated) String() string {
	if r.namespace == "" {
		return r.kind + " " + r.name
	}
	return r.kind + " " + r.namespace + "/" + r.name
}

// manifestOf takes a manifest apart.
func manifestOf(t *tale, group, kind string, m map[string]any) operated {
	api, _, _ := strings.Cut(group, "/")
	r := operated{group: group, kind: kind, plural: operatorKinds[kind].plural + "." + api}
	meta, _ := m["metadata"].(map[string]any)
	r.name, _ = meta["name"].(string)
	r.namespace, _ = meta["namespace"].(string)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "spec", "status"}, k) {
			t.fail(k, "unknown field")
		}
	}
	if r.name == "" {
		t.fail("metadata.name", "it is missing; a generated name is known only in the cluster: take what kubectl get -o yaml prints")
	}
	if r.spec, _ = m["spec"].(map[string]any); r.spec == nil {
		t.fail("spec", "want keys with values, found %s", what(m["spec"]))
	}
	ref, _ := r.spec["opensearchCluster"].(map[string]any)
	if r.cluster, _ = ref["name"].(string); r.cluster != "" && r.namespace != "" {
		r.cluster = r.namespace + "/" + r.cluster
	}
	status, _ := m["status"].(map[string]any)
	for k, v := range status {
		r.existed = r.existed || strings.HasPrefix(k, "existing") && v == true
	}
	return r
}

// mine reports that the manifest is for the cluster that was asked for, and notes for which it is.
func (b *Batch) mine(r operated) bool {
	if b.Cluster != "" {
		_, name, _ := strings.Cut(r.cluster, "/")
		return r.cluster == b.Cluster || name == b.Cluster || r.cluster == ""
	}
	if r.cluster != "" {
		if b.clusters == nil {
			b.clusters = map[string]string{}
		}
		b.clusters[r.cluster] = r.String()
	}
	return true
}

// oneCluster refuses manifests of several clusters: their objects would be mixed.
func (b *Batch) oneCluster() {
	if len(b.clusters) < 2 {
		return
	}
	var all []string
	for _, c := range slices.Sorted(maps.Keys(b.clusters)) {
		all = append(all, fmt.Sprintf("%s (%s)", c, b.clusters[c]))
	}
	b.fail("the manifests are for several clusters: %s; choose one of them, and convert each into a folder of its own", strings.Join(all, ", "))
	b.clusters = nil
}
