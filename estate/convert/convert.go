// Package convert turns what others declare, or what a cluster has, into the files that package estate reads: the
// configuration kinds of the OpenSearch operator, Terraform's state, the objects of a live cluster.
//
// A Batch takes any number of inputs; Result says what came of them: Objects with the bodies that their systems' APIs
// take, Left with what has no home here, each with a reason, and how whoever had the objects before lets them go
// without deleting them. Nothing is dropped silently: what is on neither list is an error.
package convert

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
)

// Object is one object to be declared.
type Object struct {
	estate.Key
	Body  estate.Body `json:"body"`
	From  []string    `json:"from"`            // where it stood: a manifest, an address of Terraform, a cluster
	Notes []string    `json:"notes,omitempty"` // what of it was lost, or means something else now
}

// Left is something that was not converted.
type Left struct {
	What  string `json:"what"`            // "OpensearchUser shop/ann", "opensearch_monitor.errors"
	Count int    `json:"count,omitempty"` // of how many this speaks, if of more than one
	Why   string `json:"why"`
	Cause Cause  `json:"cause"`
}

// A Cause says why something was not converted.
type Cause string

// The causes.
const (
	NoHome    Cause = "noHome"    // it is configuration of these systems, but no kind of object that can be declared
	Elsewhere Cause = "elsewhere" // it is none of this package's business: a Deployment, a VPC
	System    Cause = "system"    // it belongs to the cluster itself
	Secret    Cause = "secret"    // its body is, or has, a secret
)

// Result is what came of the inputs.
type Result struct {
	Objects  []Object `json:"objects"`
	Left     []Left   `json:"left"`
	Handover []Step   `json:"handover"`
}

// Complete reports that nothing was lost: all that is configuration is an object, and no object has a note.
func (r *Result) Complete() bool {
	return !slices.ContainsFunc(r.Left, func(l Left) bool { return l.Cause == NoHome || l.Cause == Secret }) &&
		!slices.ContainsFunc(r.Objects, func(o Object) bool { return len(o.Notes) > 0 })
}

// Options are what a user may choose.
type Options struct {
	// Cluster is the OpenSearchCluster whose manifests are meant, NAME or NAMESPACE/NAME. "": there is only one.
	Cluster string
	// Allow are patterns of addresses, like opensearch_ingest_pipeline.*, of resources that Terraform calls sensitive
	// and that are no secrets.
	Allow []string
}

// A Batch collects what inputs have. Its zero value is ready.
type Batch struct {
	Options

	objects  map[estate.Key]*Object
	left     []Left
	bindings map[string]*binding
	aliases  map[string]map[string]map[string]any // by alias and index
	aliased  map[string][]string                  // where an alias stood
	acls     []bound
	clusters map[string]string // OpenSearchClusters that manifests name, with one that does
	operator []operated
	states   []*handedOver
	errs     []error
}

// Result gives what all inputs have, or all that is wrong with them.
func (b *Batch) Result() (*Result, error) {
	b.oneCluster()
	b.bind()
	b.bindAliases()
	b.bindACLs()
	if err := errors.Join(b.errs...); err != nil {
		return nil, err
	}
	r := &Result{Objects: []Object{}, Left: []Left{}, Handover: []Step{}}
	for _, o := range b.objects {
		r.Objects = append(r.Objects, *o)
	}
	slices.SortFunc(r.Objects, func(x, y Object) int { return estate.CompareKeys(x.Key, y.Key) })
	r.Left = append(r.Left, grouped(b.left)...)
	r.Handover = append(r.Handover, b.handover(r)...)
	return r, nil
}

// grouped puts what is alike in one line.
func grouped(left []Left) []Left {
	var out []Left
	seen := map[Left]int{}
	for _, l := range left {
		if i, ok := seen[l]; ok {
			out[i].Count = max(out[i].Count, 1) + 1
			continue
		}
		seen[l] = len(out)
		out = append(out, l)
	}
	order := []Cause{NoHome, Secret, Elsewhere, System}
	slices.SortStableFunc(out, func(x, y Left) int {
		return cmp.Or(cmp.Compare(slices.Index(order, x.Cause), slices.Index(order, y.Cause)), strings.Compare(x.What, y.What))
	})
	return out
}

func (b *Batch) fail(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

func (b *Batch) leave(cause Cause, what, format string, args ...any) {
	b.left = append(b.left, Left{What: what, Why: fmt.Sprintf(format, args...), Cause: cause})
}

// add takes an object, and reports that it is declared. One that is there already, from another place, must be the same.
func (b *Batch) add(key estate.Key, body estate.Body, from string, notes ...string) bool {
	if why := estate.UnfitName(key.Name); why != "" {
		b.leave(NoHome, from, "%s cannot stand in a file: %s", key, why)
		return false
	}
	if b.objects == nil {
		b.objects = map[estate.Key]*Object{}
	}
	o := b.objects[key]
	switch {
	case o == nil:
		b.objects[key] = &Object{Key: key, Body: body, From: []string{from}, Notes: notes}
	case estate.Same(key, o.Body, body):
		if !slices.Contains(o.From, from) {
			o.From = append(o.From, from)
		}
		for _, n := range notes {
			if !slices.Contains(o.Notes, n) {
				o.Notes = append(o.Notes, n)
			}
		}
	default:
		b.fail("%s comes from %s and from %s, and they differ; convert them one by one, into folders of their own", key, strings.Join(o.From, ", "), from)
	}
	return true
}

// binding is what UserRoleBindings give one role.
type binding struct {
	users, backendRoles map[string]bool
	from                []string
}

// bind makes one mapping for each role, of all bindings that name it.
func (b *Batch) bind() {
	for _, role := range slices.Sorted(maps.Keys(b.bindings)) {
		x := b.bindings[role]
		body := estate.Body{}
		for name, set := range map[string]map[string]bool{"users": x.users, "backend_roles": x.backendRoles} {
			if len(set) > 0 {
				body[name] = listOf(slices.Sorted(maps.Keys(set)))
			}
		}
		b.add(estate.Key{Kind: estate.RoleMappings, Name: role}, body, x.from[0])
		if o := b.objects[estate.Key{Kind: estate.RoleMappings, Name: role}]; o != nil {
			o.From = slices.Compact(slices.Concat(o.From, x.from))
		}
	}
	b.bindings = nil
}

// alias takes what one index has of an alias.
func (b *Batch) alias(name, index string, entry map[string]any, from string) {
	if b.aliases == nil {
		b.aliases, b.aliased = map[string]map[string]map[string]any{}, map[string][]string{}
	}
	if b.aliases[name] == nil {
		b.aliases[name] = map[string]map[string]any{}
	}
	kept := map[string]any{}
	for k, v := range entry {
		if !isZero(v) { // is_hidden: false is no more than nothing
			kept[k] = v
		}
	}
	b.aliases[name][index] = kept
	if !slices.Contains(b.aliased[name], from) {
		b.aliased[name] = append(b.aliased[name], from)
	}
}

// bindAliases makes an object of each alias. One with a write index is moved by rollovers: declared, it would be moved back.
func (b *Batch) bindAliases() {
	for _, name := range slices.Sorted(maps.Keys(b.aliases)) {
		indices := map[string]any{}
		rolls := false
		for index, entry := range b.aliases[name] {
			indices[index] = entry
			rolls = rolls || entry["is_write_index"] == true
		}
		from := b.aliased[name]
		if rolls {
			b.leave(Elsewhere, "alias "+name, "it has a write index, which rollovers move, and the indices that they make: a template or a policy's rollover keeps it")
			continue
		}
		b.add(estate.Key{Kind: estate.Aliases, Name: name}, estate.Body{"indices": indices}, from[0])
		if o := b.objects[estate.Key{Kind: estate.Aliases, Name: name}]; o != nil {
			o.From = slices.Compact(slices.Concat(o.From, from[1:]))
		}
	}
	b.aliases = nil
}

func listOf(texts []string) []any {
	out := make([]any, len(texts))
	for i, s := range texts {
		out[i] = s
	}
	return out
}
