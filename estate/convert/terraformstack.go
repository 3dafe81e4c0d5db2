package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
)

// Resources of the provider elastic/elasticstack, as far as OpenSearch has what they declare. Their blocks are lists of one in
// older states, objects in newer ones. Source: its docs/resources.

var elasticstackTypes = map[string]terraformType{
	"elasticstack_elasticsearch_component_template": {take: takeStackComponent},
	"elasticstack_elasticsearch_index_template":     {take: takeStackTemplate},
	"elasticstack_elasticsearch_ingest_pipeline":    {take: takeStackPipeline},
	"elasticstack_elasticsearch_cluster_settings":   {take: takeStackSettings},
	"elasticstack_elasticsearch_index_alias":        {take: takeStackAlias},
	"elasticstack_elasticsearch_index":              {take: takeStackIndex, part: true, other: true},
	"elasticstack_elasticsearch_index_lifecycle":    {take: takeStackLifecycle, ignored: []string{"modified_date", "force_destroy"}, other: true},
	"elasticstack_elasticsearch_security_user":      {why: noPasswords},
	"elasticstack_elasticsearch_security_role":      {why: "roles of Elasticsearch have other privileges than those of OpenSearch: write it anew"},
}

// block gives a block, however it is kept; nil: there is none.
func block(v any) map[string]any {
	if l, ok := v.([]any); ok && len(l) > 0 {
		v = l[0]
	}
	o, _ := v.(map[string]any)
	return o
}

// elements gives the objects of a list or set.
func elements(v any) []map[string]any {
	var out []map[string]any
	list, _ := v.([]any)
	for _, x := range list {
		if o, ok := x.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

// putJSON sets what stands as JSON in a text.
func putJSON(t *tale, o map[string]any, name, path string, v any) {
	if s, ok := v.(string); ok && s != "" {
		put(o, name, jsonIn(t, path, s))
	}
}

func stackTemplate(t *tale, body map[string]any, v any) {
	in := block(v)
	if in == nil {
		return
	}
	out := map[string]any{}
	putJSON(t, out, "settings", "template.settings", in["settings"])
	putJSON(t, out, "mappings", "template.mappings", in["mappings"])
	aliases := map[string]any{}
	for _, a := range elements(in["alias"]) {
		name, _ := a["name"].(string)
		aliases[name] = stackAlias(t, "template.alias", a)
	}
	put(out, "aliases", aliases)
	for _, k := range []string{"data_stream_options", "lifecycle"} {
		if !isZero(block(in[k])) {
			t.note("template."+k, "not taken over: OpenSearch has nothing like it; an ISM policy deletes backing indices")
		}
	}
	put(body, "template", out)
	lifecycleSettings(t, body)
}

func stackAlias(t *tale, path string, a map[string]any) map[string]any {
	out := map[string]any{}
	putJSON(t, out, "filter", path+".filter", a["filter"])
	for _, k := range []string{"index_routing", "search_routing", "routing", "is_write_index", "is_hidden"} {
		put(out, k, a[k])
	}
	return out
}

func takeStackComponent(b *Batch, t *tale, r *resource) {
	body := estate.Body{"template": map[string]any{}}
	stackTemplate(t, body, r.get("template"))
	putJSON(t, body, "_meta", "metadata", r.get("metadata"))
	put(body, "version", r.get("version"))
	b.add(estate.Key{Kind: estate.ComponentTemplates, Name: r.text("name")}, body, r.address)
}

func takeStackTemplate(b *Batch, t *tale, r *resource) {
	body := estate.Body{"index_patterns": names(r.get("index_patterns"))}
	stackTemplate(t, body, r.get("template"))
	putJSON(t, body, "_meta", "metadata", r.get("metadata"))
	put(body, "version", r.get("version"))
	put(body, "composed_of", r.get("composed_of"))
	if p, ok := r.get("priority").(json.Number); ok {
		body["priority"] = p
	}
	if v := r.get("data_stream"); block(v) != nil {
		body["data_stream"] = map[string]any{}
		for _, k := range []string{"hidden", "allow_custom_routing"} {
			if block(v)[k] == true {
				t.note("data_stream."+k, "not taken over: OpenSearch has nothing like it")
			}
		}
	} else if l, ok := v.([]any); ok && len(l) > 0 { // an empty block is null in the list
		body["data_stream"] = map[string]any{}
	}
	b.add(estate.Key{Kind: estate.IndexTemplates, Name: r.text("name")}, body, r.address)
}

func takeStackPipeline(b *Batch, t *tale, r *resource) {
	body := estate.Body{}
	put(body, "description", r.get("description"))
	for _, k := range []string{"processors", "on_failure"} {
		list, _ := r.get(k).([]any)
		out := []any{}
		for i, p := range list {
			if o := jsonIn(t, fmt.Sprintf("%s[%d]", k, i), p); o != nil {
				out = append(out, o)
			}
		}
		if len(out) > 0 || k == "processors" {
			body[k] = out
		}
	}
	if s := r.text("metadata"); s != "" {
		t.note("metadata", "not taken over: OpenSearch keeps no _meta of pipelines")
	}
	b.add(estate.Key{Kind: estate.IngestPipelines, Name: r.text("name")}, body, r.address)
}

func takeStackSettings(b *Batch, t *tale, r *resource) {
	persistent := map[string]any{}
	for _, s := range elements(block(r.get("persistent"))["setting"]) {
		name, _ := s["name"].(string)
		if v, _ := s["value"].(string); v != "" {
			persistent[name] = v
		} else if l, _ := s["value_list"].([]any); len(l) > 0 {
			persistent[name] = l
		}
	}
	if len(elements(block(r.get("transient"))["setting"])) > 0 {
		t.note("transient", "not taken over: transient settings are gone after a restart, and are not declared")
	}
	if len(persistent) == 0 {
		b.leave(NoHome, r.address, "it sets nothing that stays")
		return
	}
	b.add(estate.Key{Kind: estate.ClusterSettings, Name: r.name}, estate.Body{"persistent": persistent}, r.address)
}

func takeStackAlias(b *Batch, t *tale, r *resource) {
	name := r.text("name")
	for _, e := range elements(r.get("read_indices")) {
		index, _ := e["name"].(string)
		b.alias(name, index, stackAlias(t, "read_indices", e), r.address)
	}
	if w := block(r.get("write_index")); w != nil {
		index, _ := w["name"].(string)
		entry := stackAlias(t, "write_index", w)
		entry["is_write_index"] = true
		b.alias(name, index, entry, r.address)
	}
}

func takeStackIndex(b *Batch, t *tale, r *resource) {
	name := r.text("name")
	for _, a := range elements(r.get("alias")) {
		alias, _ := a["name"].(string)
		b.alias(alias, name, stackAlias(t, "alias", a), r.address)
	}
	b.leave(NoHome, r.address, "an index holds data, and stays Terraform's; what it has of aliases is declared: have Terraform ignore them (lifecycle.ignore_changes)")
}

// takeStackLifecycle writes the blocks as the API has the policy, and converts that.
func takeStackLifecycle(b *Batch, t *tale, r *resource) {
	phases := map[string]any{}
	for _, name := range phaseNames {
		p := block(r.get(name))
		if p == nil {
			continue
		}
		actions := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(p)) {
			a := block(p[k])
			if a == nil || a["enabled"] == false {
				continue
			}
			a = maps.Clone(a)
			delete(a, "enabled")
			for _, attributes := range []string{"include", "exclude", "require"} {
				if s, ok := a[attributes].(string); ok {
					delete(a, attributes)
					putJSON(t, a, attributes, name+"."+k+"."+attributes, s)
				}
			}
			for x, v := range a {
				if isZero(v) && x != "priority" && x != "number_of_replicas" || v == nil {
					delete(a, x)
				}
			}
			actions[k] = a
		}
		phase := map[string]any{"actions": actions}
		put(phase, "min_age", p["min_age"])
		phases[name] = phase
	}
	if s := r.text("metadata"); s != "" {
		t.note("metadata", "not taken over: an ISM policy has a description only")
	}
	lifecycle(b, t, r.text("name"), r.address, phases)
}

// takeLifecycleBody converts a policy that stands as JSON in the attribute body.
func takeLifecycleBody(b *Batch, t *tale, r *resource) {
	body := jsonIn(t, "body", r.get("body"))
	if p, ok := body["policy"].(map[string]any); ok {
		body = p
	}
	phases, ok := body["phases"].(map[string]any)
	if !ok {
		t.fail("body", "there are no phases in it")
		return
	}
	lifecycle(b, t, r.text("name"), r.address, phases)
}

var phaseNames = strings.Fields("hot warm cold frozen delete")
