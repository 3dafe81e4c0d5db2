package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
)

// Terraform's state, as it is kept (version 4; OpenTofu writes the same) and as `terraform show -json` prints it.
// Source: hashicorp/terraform, internal/states/statefile/version4.go, internal/command/jsonstate and jsonformat.

// isState reports that the document is a state in one of the two forms.
func isState(o map[string]any) bool {
	_, kept := o["lineage"]
	_, shown := o["format_version"]
	_, written := o["terraform_version"]
	return kept || shown || written && o["kind"] == nil
}

// A resource is an instance of one.
type resource struct {
	address  string // module.a.opensearch_role.r["x"]
	block    string // the same without the instance's key: what a removed block names
	typ      string
	name     string // r, or r-x
	provider string // registry.terraform.io/opensearch-project/opensearch; may be ""
	values   map[string]any
	secret   map[string]bool // attributes that are sensitive, or have something that is
	tainted  bool

	used map[string]bool // attributes that were looked at
}

func (r *resource) get(attribute string) any {
	r.used[attribute] = true
	return r.values[attribute]
}

func (r *resource) text(attribute string) string {
	s, _ := r.get(attribute).(string)
	return s
}

// handedOver is what a state has of the objects that are declared now.
type handedOver struct {
	file  string
	taken map[string]map[string]bool // by block: addresses of instances
	rest  map[string]bool            // blocks with instances that stay Terraform's
}

// state takes a state.
func (b *Batch) state(at string, o map[string]any) {
	resources, err := resourcesOf(o)
	if err != nil {
		b.fail("%s: %w", at, err)
		return
	}
	h := &handedOver{file: at, taken: map[string]map[string]bool{}, rest: map[string]bool{}}
	others := map[string]int{}
	for _, r := range resources {
		k, known := terraformTypes[r.typ]
		switch {
		case known && k.take != nil:
			t := &tale{}
			if b.take(t, k, r) {
				if h.taken[r.block] == nil {
					h.taken[r.block] = map[string]bool{}
				}
				h.taken[r.block][r.address] = true
				continue
			}
			if err := t.err(); err != nil {
				b.fail("%s: %s: %w", at, r.address, err)
			}
		case known:
			b.leave(NoHome, r.address, "%s", k.why)
		case slices.ContainsFunc(searchPrefixes, func(p string) bool { return strings.HasPrefix(r.typ, p) }):
			b.leave(NoHome, r.address, "no kind of object that is declared is like %s", r.typ)
		default:
			others[r.typ]++
		}
		h.rest[r.block] = true
	}
	for _, typ := range slices.Sorted(maps.Keys(others)) {
		b.left = append(b.left, Left{What: typ, Count: others[typ], Why: "stays Terraform's: it is no object of OpenSearch or Kafka", Cause: Elsewhere})
	}
	if len(h.taken) > 0 {
		b.states = append(b.states, h)
	}
}

// searchPrefixes are those of resources that are this package's business, with a home or without.
var searchPrefixes = []string{"opensearch_", "elasticsearch_", "elasticstack_", "kafka_"}

// take converts one resource, and reports that its object is the one that is declared now, so that Terraform can let it go.
func (b *Batch) take(t *tale, k terraformType, r *resource) bool {
	r.used = map[string]bool{"id": true}
	adding := &Batch{Options: b.Options}
	k.take(adding, t, r)
	if len(t.errs) > 0 {
		return false
	}
	allowed := slices.ContainsFunc(b.Allow, func(p string) bool { ok, err := path.Match(p, r.address); return err == nil && ok || p == r.address })
	for _, a := range slices.Sorted(maps.Keys(r.used)) {
		if r.secret[a] && !allowed {
			b.leave(Secret, r.address, "its %s is sensitive, and files hold no secrets; if it is none, allow %s", a, r.address)
			return false
		}
	}
	for _, a := range slices.Sorted(maps.Keys(r.values)) {
		if !k.part && !r.used[a] && !slices.Contains(k.ignored, a) && !slices.Contains(alwaysIgnored, a) && !isZero(r.values[a]) {
			t.note(a, "not taken over: nothing that is declared is like it")
		}
	}
	if r.tainted {
		t.note("tainted", "Terraform takes it for broken, and would make it anew")
	}
	for _, key := range slices.SortedFunc(maps.Keys(adding.objects), estate.CompareKeys) {
		o := adding.objects[key]
		b.add(key, o.Body, r.address, slices.Concat(o.Notes, t.notes)...)
	}
	b.left = append(b.left, adding.left...)
	b.errs = append(b.errs, adding.errs...)
	moves := false
	for name, indices := range adding.aliases {
		for index, entry := range indices {
			b.alias(name, index, entry, r.address)
			moves = moves || entry["is_write_index"] == true
		}
	}
	b.acls = append(b.acls, adding.acls...)
	return len(adding.objects)+len(adding.aliases)+len(adding.acls) > 0 && len(adding.errs) == 0 && !k.other && !moves
}

// alwaysIgnored are attributes of the providers' own.
var alwaysIgnored = []string{"timeouts", "elasticsearch_connection", "last_updated"}

// resourcesOf lists what is managed.
func resourcesOf(o map[string]any) ([]*resource, error) {
	if _, shown := o["format_version"]; shown {
		values, ok := o["values"].(map[string]any)
		if !ok {
			if _, plan := o["planned_values"]; plan {
				return nil, fmt.Errorf("this is a plan; give what `terraform show -json` prints without a plan's file")
			}
			return nil, nil // an empty state has no values
		}
		root, _ := values["root_module"].(map[string]any)
		return shownModule(root, 0)
	}
	if v, _ := o["version"].(json.Number); v != "4" {
		return nil, fmt.Errorf("a state of version %v; only 4 is read, which Terraform has written since 0.12 (terraform show -json prints any)", o["version"])
	}
	return keptResources(o)
}

func shownModule(m map[string]any, depth int) ([]*resource, error) {
	if depth > deepest {
		return nil, fmt.Errorf("modules nested deeper than %d", deepest)
	}
	var out []*resource
	list, _ := m["resources"].([]any)
	for i, x := range list {
		e, _ := x.(map[string]any)
		address, _ := e["address"].(string)
		typ, _ := e["type"].(string)
		name, _ := e["name"].(string)
		mode, _ := e["mode"].(string)
		if address == "" || typ == "" {
			return nil, fmt.Errorf("resources[%d]: no address or no type", i)
		}
		if mode != "managed" || e["deposed_key"] != nil {
			continue
		}
		r := &resource{address: address, block: address, typ: typ, name: name, secret: map[string]bool{}}
		r.provider, _ = e["provider_name"].(string)
		r.values, _ = e["values"].(map[string]any)
		r.tainted = e["tainted"] == true
		if key := instanceKey(e["index"]); key != "" {
			r.block, r.name = strings.TrimSuffix(address, key), instanceName(name, e["index"])
		}
		hidden, _ := e["sensitive_values"].(map[string]any)
		for a, v := range hidden {
			r.secret[a] = anyTrue(v, 0)
		}
		out = append(out, r)
	}
	children, _ := m["child_modules"].([]any)
	for _, x := range children {
		child, _ := x.(map[string]any)
		more, err := shownModule(child, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func anyTrue(v any, depth int) bool {
	if depth > deepest {
		return true
	}
	switch v := v.(type) {
	case bool:
		return v
	case map[string]any:
		for _, x := range v {
			if anyTrue(x, depth+1) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return anyTrue(x, depth+1) })
	}
	return false
}

func keptResources(o map[string]any) ([]*resource, error) {
	var out []*resource
	list, _ := o["resources"].([]any)
	for i, x := range list {
		e, _ := x.(map[string]any)
		typ, _ := e["type"].(string)
		name, _ := e["name"].(string)
		if mode, _ := e["mode"].(string); mode != "managed" {
			continue
		}
		if typ == "" || name == "" {
			return nil, fmt.Errorf("resources[%d]: no type or no name", i)
		}
		block := typ + "." + name
		if module, _ := e["module"].(string); module != "" {
			block = module + "." + block
		}
		provider, _ := e["provider"].(string)
		instances, _ := e["instances"].([]any)
		for _, y := range instances {
			in, _ := y.(map[string]any)
			if in["deposed"] != nil {
				continue // what a replacement has not deleted yet; its successor stands beside it
			}
			r := &resource{
				address: block + instanceKey(in["index_key"]), block: block, typ: typ, name: instanceName(name, in["index_key"]),
				provider: providerIn(provider), secret: map[string]bool{}, tainted: in["status"] == "tainted",
			}
			r.values, _ = in["attributes"].(map[string]any)
			if r.values == nil {
				return nil, fmt.Errorf("%s: no attributes; it is in a form of before Terraform 0.12", r.address)
			}
			paths, _ := in["sensitive_attributes"].([]any)
			for _, p := range paths {
				if a, ok := firstStep(p); ok {
					r.secret[a] = true
				} else {
					return nil, fmt.Errorf("%s: sensitive_attributes has a path that is not understood, so that nothing of it can be given away", r.address)
				}
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// firstStep is the attribute that a path of sensitive_attributes begins with.
func firstStep(p any) (string, bool) {
	steps, _ := p.([]any)
	if len(steps) == 0 {
		return "", false
	}
	switch s := steps[0].(type) {
	case map[string]any:
		a, ok := s["value"].(string)
		return a, ok
	case string:
		return s, true
	}
	return "", false
}

// providerIn takes what stands in provider["…"].
func providerIn(s string) string {
	if _, rest, ok := strings.Cut(s, `["`); ok {
		name, _, _ := strings.Cut(rest, `"]`)
		return name
	}
	return s
}

// instanceKey is the key of count or for_each as an address has it.
func instanceKey(key any) string {
	switch k := key.(type) {
	case json.Number:
		return "[" + k.String() + "]"
	case string:
		return "[" + hclText(k) + "]"
	}
	return ""
}

// hclText quotes a text as Terraform's language does: as JSON, and the beginnings of templates twice.
func hclText(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("BUG: " + err.Error()) // a text is JSON
	}
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strings.TrimSuffix(b.String(), "\n"))
}

func instanceName(name string, key any) string {
	if key == nil {
		return name
	}
	return fmt.Sprintf("%s-%v", name, key)
}
