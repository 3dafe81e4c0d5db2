package restore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/format/tree"
)

// A Kind is one of things that a cluster has beside its indices.
type Kind string

// The kinds, in the order in which they are put: what names others comes after them.
const (
	Pipeline          Kind = "ingest pipeline"
	Script            Kind = "stored script"
	ComponentTemplate Kind = "component template"
	IndexTemplate     Kind = "index template"
	LegacyTemplate    Kind = "legacy template"
)

// A Fate is what became of one of them.
type Fate string

// The fates.
const (
	Put     Fate = "put"       // the cluster did not have it
	Same    Fate = "was there" // the cluster has it
	Left    Fate = "left"      // the cluster has another one of that name, which stays
	BuiltIn Fate = "built in"  // servers and their plugins have these of their own; skipped
	Refused Fate = "refused"   // by the cluster
)

// A Placed is a template, pipeline or script, and what became of it.
type Placed struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	Fate Fate   `json:"fate"`
	Why  string `json:"why,omitempty"`
}

// Templates puts the templates, ingest pipelines and stored scripts of a snapshot's cluster metadata (the body of a blob of
// codec snapshot.MetadataCodec, or its member meta-data), as they are there, into a cluster that does not have them. One
// that the cluster refuses does not keep the others from being put. The error says that the cluster could not be asked at
// all, or that ctx ended; then what was done before is still given. Of o, Poll, Patience and Log count.
func Templates(ctx context.Context, client *opensearch.Client, cluster tree.Object, o Options) ([]Placed, error) {
	o.fill()
	if inner := cluster.Object("meta-data"); inner != nil {
		cluster = inner
	}
	t := templates{caller{client, o.Poll, o.Patience, o.Log}}
	var all []Placed
	for _, k := range kinds {
		wanted := k.of(cluster)
		if len(wanted) == 0 {
			continue
		}
		have, err := k.have(ctx, t, wanted)
		if err != nil {
			return all, fmt.Errorf("list what the cluster has of kind %s: %w", k.kind, err)
		}
		for _, w := range wanted {
			p, err := t.put(ctx, &k, w, have)
			if err != nil {
				return all, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

type templates struct{ caller }

// wanted is one in the snapshot.
type wanted struct {
	name    string
	body    tree.Object
	refused string // why it cannot be put; "": it can
}

type kind struct {
	kind Kind
	path string
	of   func(cluster tree.Object) []wanted
	have lister
}

var kinds = []kind{
	{Pipeline, "/_ingest/pipeline/", pipelines, named("/_ingest/pipeline")},
	{Script, "/_scripts/", scripts, eachScript},
	{ComponentTemplate, "/_component_template/", composable("component_template"), listed("/_component_template", "component_templates", "component_template")},
	{IndexTemplate, "/_index_template/", composable("index_template"), listed("/_index_template", "index_templates", "index_template")},
	{LegacyTemplate, "/_template/", legacy, named("/_template")},
}

func (t templates) put(ctx context.Context, k *kind, w wanted, have map[string]tree.Object) (Placed, error) {
	p := Placed{Kind: k.kind, Name: w.name, Fate: Put}
	old, there := have[w.name]
	switch {
	case builtIn(w.name, w.body):
		p.Fate = BuiltIn
		return p, nil
	case w.refused != "":
		p.Fate, p.Why = Refused, w.refused
		return p, nil
	case there && canonical(old, false) == canonical(w.body, false):
		p.Fate = Same
		return p, nil
	case there:
		p.Fate, p.Why = Left, "the cluster has another one of that name, which stays"
		return p, nil
	}
	body, err := tree.AppendJSON(nil, w.body)
	if err == nil {
		err = t.call(ctx, http.MethodPut, k.path+url.PathEscape(w.name), json.RawMessage(body), nil)
	}
	if ctx.Err() != nil {
		return p, fmt.Errorf("put %s %s: %w", k.kind, w.name, err)
	}
	if err != nil {
		p.Fate, p.Why = Refused, err.Error()
	}
	return p, nil
}

// builtIn reports that a server or plugin put it there by itself.
func builtIn(name string, body tree.Object) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "xpack_") || body.Object("_meta").Text("managed") == "true"
}

func (t templates) object(ctx context.Context, path string) (tree.Object, error) {
	var answer json.RawMessage
	err := t.get(ctx, path, &answer)
	if statusOf(err) == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return tree.ObjectFromJSON(answer)
}

// A lister gives those of its kind that a cluster has, by name.
type lister func(ctx context.Context, t templates, wanted []wanted) (map[string]tree.Object, error)

// named lists what is answered as {"name":{…}}.
func named(path string) lister {
	return func(ctx context.Context, t templates, _ []wanted) (map[string]tree.Object, error) {
		answer, err := t.object(ctx, path)
		have := map[string]tree.Object{}
		for _, m := range answer {
			have[m.Name], _ = m.Value.(tree.Object)
		}
		return have, err
	}
}

// listed lists what is answered as {"LIST":[{"name":…,"ONE":{…}}]}.
func listed(path, list, one string) lister {
	return func(ctx context.Context, t templates, _ []wanted) (map[string]tree.Object, error) {
		answer, err := t.object(ctx, path)
		have := map[string]tree.Object{}
		for _, v := range answer.List(list) {
			if o, ok := v.(tree.Object); ok {
				have[o.Text("name")] = o.Object(one)
			}
		}
		return have, err
	}
}

// eachScript asks for each, for there is no list of them.
func eachScript(ctx context.Context, t templates, wanted []wanted) (map[string]tree.Object, error) {
	have := map[string]tree.Object{}
	for _, w := range wanted {
		answer, err := t.object(ctx, "/_scripts/"+url.PathEscape(w.name))
		if err != nil {
			return nil, err
		}
		if script := answer.Object("script"); script != nil {
			have[w.name] = tree.Object{{Name: "script", Value: script}}
		}
	}
	return have, nil
}

func pipelines(cluster tree.Object) []wanted {
	var all []wanted
	for _, v := range cluster.Object("ingest").List("pipeline") {
		if o, ok := v.(tree.Object); ok {
			w := wanted{name: o.Text("id"), body: o.Object("config")}
			if w.body == nil {
				w.refused = "its configuration is not in the metadata as an object"
			}
			all = append(all, w)
		}
	}
	return all
}

func scripts(cluster tree.Object) []wanted {
	var all []wanted
	for _, m := range cluster.Object("stored_scripts") {
		if o, ok := m.Value.(tree.Object); ok {
			all = append(all, wanted{name: m.Name, body: tree.Object{{Name: "script", Value: o}}})
		}
	}
	return all
}

// composable gives component and index templates: {"KIND":{"KIND":{"name":{…}}}}.
func composable(kind string) func(tree.Object) []wanted {
	return func(cluster tree.Object) []wanted {
		var all []wanted
		for _, m := range cluster.Object(kind).Object(kind) {
			o, ok := m.Value.(tree.Object)
			if !ok {
				continue
			}
			w := wanted{name: m.Name, body: o}
			if inner := o.Object("template"); inner != nil {
				if mappings, has := inner.Get("mappings"); has {
					one, err := untyped(mappings)
					if err != nil {
						w.refused = err.Error()
					} else {
						w.body, _ = tree.Clone(o).(tree.Object)
						inner, _ := tree.Clone(inner).(tree.Object)
						inner.Set("mappings", one)
						w.body.Set("template", inner)
					}
				}
			}
			all = append(all, w)
		}
		return all
	}
}

// legacy gives templates as they were before composable ones. Elasticsearch 5 has one pattern, as "template".
func legacy(cluster tree.Object) []wanted {
	var all []wanted
	for _, m := range cluster.Object("templates") {
		o, ok := tree.Clone(m.Value).(tree.Object)
		if !ok {
			continue
		}
		w := wanted{name: m.Name}
		if pattern := o.Text("template"); pattern != "" && !o.Has("index_patterns") {
			o.Set("index_patterns", []any{pattern})
		}
		o.Delete("template")
		if mappings, has := o.Get("mappings"); has {
			one, err := untyped(mappings)
			if err != nil {
				w.refused = err.Error()
			} else {
				o.Set("mappings", one)
			}
		}
		w.body = o
		all = append(all, w)
	}
	return all
}

// untyped gives mappings without the name of their type, whatever form they have.
func untyped(v any) (tree.Object, error) {
	if o, ok := v.(tree.Object); ok {
		known := slices.ContainsFunc(o, func(m tree.Member) bool {
			return slices.Contains([]string{"properties", "dynamic", "dynamic_templates", "_source", "_routing", "_meta", "date_detection", "numeric_detection", "dynamic_date_formats"}, m.Name)
		})
		if known || len(o) == 0 {
			return o, nil
		}
	}
	types, err := snapshot.Mappings(tree.Object{{Name: "mappings", Value: v}})
	if err != nil {
		return nil, fmt.Errorf("mappings: %w", err)
	}
	types.Delete("_default_")
	switch len(types) {
	case 0:
		return tree.Object{}, nil
	case 1:
		one, _ := types[0].Value.(tree.Object)
		return one, nil
	}
	return nil, fmt.Errorf("it has mappings of %d types: clusters of today know one", len(types))
}

// canonical is a text that two bodies have in common which say the same: members sorted, settings flat, numbers and booleans
// as text, and nothing that is empty.
func canonical(v any, settings bool) string {
	switch v := v.(type) {
	case tree.Object:
		if settings {
			flat := map[string]string{}
			flatten(v, "", flat)
			var lines []string
			for name, text := range flat {
				lines = append(lines, fmt.Sprintf("%q:%s", name, text))
			}
			slices.Sort(lines)
			return "{" + strings.Join(lines, ",") + "}"
		}
		var members []string
		for _, m := range v {
			text := canonical(m.Value, m.Name == "settings")
			if text != "" && text != "{}" && text != "[]" {
				members = append(members, fmt.Sprintf("%q:%s", m.Name, text))
			}
		}
		slices.Sort(members)
		return "{" + strings.Join(members, ",") + "}"
	case []any:
		var elements []string
		for _, e := range v {
			elements = append(elements, canonical(e, false))
		}
		return "[" + strings.Join(elements, ",") + "]"
	case nil:
		return ""
	}
	return fmt.Sprintf("%q", tree.Text(v))
}

func flatten(o tree.Object, prefix string, flat map[string]string) {
	for _, m := range o {
		name := prefix + m.Name
		if below, ok := m.Value.(tree.Object); ok {
			flatten(below, name+".", flat)
			continue
		}
		if !strings.HasPrefix(name, "index.") {
			name = "index." + name
		}
		if text := canonical(m.Value, false); text != "" {
			flat[name] = text
		}
	}
}
