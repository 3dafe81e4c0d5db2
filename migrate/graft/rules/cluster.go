package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/format/tree"
)

var clusterRules = []Rule{
	{"cluster-part", "What Elasticsearch keeps for itself in a cluster's metadata is dropped", "Policies of lifecycles and snapshots, watches, licences, machine learning, tasks and the like have no reader in OpenSearch, which refuses what it does not know."},
	{"cluster-setting", "Persistent settings that are on no list, or belong to the source's machines, are dropped", "OpenSearch refuses unknown ones; those that name nodes or other clusters would be wrong."},
	{"template-managed", "Templates and pipelines that belong to Elasticsearch itself are dropped", "They serve its own products."},
	{"template-refused", "A template that has what the target cannot have is dropped", "OpenSearch would refuse it; no index depends on it."},
	{"template-component", "A template is dropped with a component that it is composed of", "It would make other indices than before, or be refused."},
	{"template-key", "A key of a template that OpenSearch does not know is dropped", "OpenSearch would refuse the template."},
	{"data-stream-key", "Of a data stream the name, timestamp field, indices and generation are kept", "OpenSearch refuses other keys."},
	{"data-stream-aliases", "Aliases of data streams are dropped", "OpenSearch has none; its backing indices may be given them."},
	{"pipeline-processor", "A pipeline with a processor or parameter that OpenSearch does not have is dropped", "OpenSearch would refuse it, and documents sent through it."},
	{"pipeline-key", "A key of a pipeline that OpenSearch does not know is dropped", "OpenSearch would refuse the pipeline."},
	{"stored-script", "A stored script in a language that OpenSearch does not have is dropped", "OpenSearch has painless, mustache and expression."},
}

// clusterParts are kept as they are; what has rules of its own is in Cluster.
var clusterParts = set("version cluster_uuid cluster_uuid_committed cluster_coordination index-graveyard search_pipeline")

// Cluster judges and rewrites the metadata of a cluster: what stands under "meta-data". It refuses nothing: what
// cannot be kept is dropped, with a Change. It expects what Elasticsearch wrote; of OpenSearch's it keeps what it knows.
func (t Target) Cluster(meta *tree.Object) Verdict {
	var v Verdict
	if meta == nil {
		return v
	}
	components, removed := tree.Object(nil), map[string]bool{}
	if part := meta.Object("component_template"); part != nil { // before the templates that are composed of them
		components = t.templates(part.Object("component_template"), "component template", &v, t.component)
		for _, c := range part.Object("component_template") {
			removed[c.Name] = !components.Has(c.Name)
		}
	}
	out := make(tree.Object, 0, len(*meta))
	for _, m := range *meta {
		o, _ := m.Value.(tree.Object)
		switch m.Name {
		case "settings":
			m.Value = clusterSettings(o, &v)
		case "templates":
			m.Value = t.templates(o, "template", &v, t.legacy)
		case "component_template":
			m.Value = tree.Object{{Name: m.Name, Value: components}}
		case "index_template":
			m.Value = tree.Object{{Name: m.Name, Value: t.templates(o.Object(m.Name), "index template", &v, func(o tree.Object, where string, v *Verdict) (tree.Object, string) {
				return t.composable(o, where, components, removed, v)
			})}}
		case "data_stream":
			m.Value = tree.Object{{Name: m.Name, Value: dataStreams(o, &v)}}
		case "ingest":
			m.Value = tree.Object{{Name: "pipeline", Value: t.pipelines(o.List("pipeline"), &v)}}
		case "stored_scripts":
			m.Value = scripts(o, &v)
		default:
			if !clusterParts[m.Name] {
				v.change("cluster-part", "cluster "+m.Name, "dropped", "OpenSearch does not read it")
				continue
			}
		}
		out = append(out, m)
	}
	*meta = out
	return v
}

// keptSettings are persistent settings that say how a cluster is to behave, whatever its machines; one that ends in a dot stands
// for all that begin so. Source: those of ClusterSettings.BUILT_IN_CLUSTER_SETTINGS that are dynamic in OpenSearch 1.3.14 and 3.8.0.
var keptSettings = set(`action.auto_create_index action.destructive_requires_name action.search.shard_count.limit
	cluster.auto_shrink_voting_configuration cluster.indices.close.enable cluster.info.update.interval
	cluster.info.update.timeout cluster.max_shards_per_node cluster.metadata. cluster.routing.allocation.allow_rebalance
	cluster.routing.allocation.balance.index cluster.routing.allocation.balance.shard cluster.routing.allocation.balance.threshold
	cluster.routing.allocation.cluster_concurrent_rebalance cluster.routing.allocation.disk.include_relocations
	cluster.routing.allocation.disk.reroute_interval cluster.routing.allocation.disk.threshold_enabled
	cluster.routing.allocation.disk.watermark.flood_stage cluster.routing.allocation.disk.watermark.high
	cluster.routing.allocation.disk.watermark.low cluster.routing.allocation.enable
	cluster.routing.allocation.node_concurrent_incoming_recoveries cluster.routing.allocation.node_concurrent_outgoing_recoveries
	cluster.routing.allocation.node_concurrent_recoveries cluster.routing.allocation.node_initial_primaries_recoveries
	cluster.routing.allocation.same_shard.host cluster.routing.allocation.total_shards_per_node cluster.routing.rebalance.enable
	cluster.routing.use_adaptive_replica_selection indices.breaker.fielddata.limit indices.breaker.fielddata.overhead
	indices.breaker.request.limit indices.breaker.request.overhead indices.breaker.total.limit indices.id_field_data.enabled
	indices.mapping.dynamic_timeout indices.recovery.internal_action_long_timeout indices.recovery.internal_action_timeout
	indices.recovery.max_bytes_per_sec indices.recovery.max_concurrent_file_chunks indices.recovery.max_concurrent_operations
	indices.recovery.recovery_activity_timeout indices.recovery.retry_delay_network indices.recovery.retry_delay_state_sync
	network.breaker.inflight_requests.limit network.breaker.inflight_requests.overhead script.max_compilations_rate
	script.max_size_in_bytes search.allow_expensive_queries search.default_allow_partial_results search.default_keep_alive
	search.default_search_timeout search.low_level_cancellation search.max_buckets search.max_keep_alive
	search.max_open_scroll_context snapshot.max_concurrent_operations`)

func clusterSettings(settings tree.Object, v *Verdict) tree.Object {
	out := make(tree.Object, 0, len(settings))
	for _, s := range settings {
		if keptSettings[s.Name] || strings.HasPrefix(s.Name, "cluster.metadata.") {
			out = append(out, s)
			continue
		}
		v.change("cluster-setting", "cluster setting "+s.Name, "dropped", "OpenSearch does not know it, or it belongs to the source's machines")
	}
	return out
}

// templates rewrites templates of a kind, and drops those for which rewrite says why.
func (t Target) templates(all tree.Object, kind string, v *Verdict, rewrite func(o tree.Object, where string, v *Verdict) (tree.Object, string)) tree.Object {
	out := make(tree.Object, 0, len(all))
	for _, m := range all {
		where := kind + " " + m.Name
		o, _ := m.Value.(tree.Object)
		if o.Object("_meta").Text("managed") == "true" || builtInTemplate(o) {
			v.change("template-managed", where, "dropped", "it belongs to Elasticsearch itself")
			continue
		}
		var own Verdict
		rewritten, why := rewrite(slices.Clone(o), where, &own)
		if why == "" && !own.OK() {
			v.change("template-refused", where, "dropped", own.Refusals[0].Where+": "+own.Refusals[0].Why)
			continue
		}
		if why != "" {
			v.change("template-component", where, "dropped", why)
			continue
		}
		v.Changes = append(v.Changes, own.Changes...)
		for _, p := range own.Plugins {
			v.plugin(p)
		}
		out = append(out, tree.Member{Name: m.Name, Value: rewritten})
	}
	return out
}

// ownPatterns begin the names of indices that Elasticsearch keeps for itself.
var ownPatterns = []string{".monitoring-", ".ml-", ".watch", ".triggered_watches", ".logstash-management", ".management-beats", ".slm-history",
	".transform-", ".deprecation-", ".security", ".fleet-", ".logs-deprecation", ".alerts-", ".lists-", ".items-", ".siem-", ".apm-", ".geoip", ".async-search", ".ds-ilm-history", "ilm-history-"}

// builtInTemplate reports whether a template is for Elasticsearch's own indices only.
func builtInTemplate(o tree.Object) bool {
	patterns := o.List("index_patterns")
	return len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p any) bool {
		return !slices.ContainsFunc(ownPatterns, func(own string) bool { return strings.HasPrefix(tree.Text(p), own) })
	})
}

// only keeps known keys.
func only(o tree.Object, keys, where, rule string, v *Verdict) tree.Object {
	known := set(keys)
	return slices.DeleteFunc(o, func(m tree.Member) bool {
		if !known[m.Name] {
			v.change(rule, where+": "+m.Name, "dropped", "OpenSearch does not know it")
		}
		return !known[m.Name]
	})
}

// legacy rewrites a template of the old kind, whose mappings are by type.
func (t Target) legacy(o tree.Object, where string, v *Verdict) (tree.Object, string) {
	o = only(o, "order index_patterns settings mappings aliases version", where, "template-key", v)
	t.templateSettings(&o, where, v)
	types, err := snapshot.Mappings(o)
	if err != nil {
		v.refuse("mapping-shape", where, err.Error(), "")
		return o, ""
	}
	if len(types) > 1 {
		v.refuse("mapping-types", where, "it has several types", "")
		return o, ""
	}
	for n, typ := range types {
		root, ok := typ.Value.(tree.Object)
		if !ok {
			v.refuse("mapping-shape", where, "its mapping is no object", "")
			return o, ""
		}
		if t.Major >= 2 && typ.Name != "_doc" {
			v.change("mapping-type", where, fmt.Sprintf("the type %q becomes _doc", typ.Name), "OpenSearch "+t.String()+" has no types")
			types[n].Name = "_doc"
		}
		types[n].Value = t.templateMapping(root, where, v)
	}
	if len(types) > 0 {
		snapshot.SetMappings(&o, types)
	}
	return o, ""
}

func (t Target) templateMapping(root tree.Object, where string, v *Verdict) tree.Object {
	m := t.newMapper(nil, created{}, v)
	m.at = where + ", "
	return m.rewrite(root)
}

func (t Target) templateSettings(o *tree.Object, where string, v *Verdict) {
	settings, ok := (*o).Get("settings")
	if !ok {
		return
	}
	own, ok := settings.(tree.Object)
	if !ok {
		v.refuse("index-shape", where+", settings", "they are no object", "")
		return
	}
	before := flat(own)
	changes := len(v.Changes)
	after := t.rewriteSettings(before, where+", ", v)
	t.analysis(after, created{}, where+", ", v)
	if len(v.Changes) > changes {
		o.Set("settings", after)
	}
}

func (t Target) component(o tree.Object, where string, v *Verdict) (tree.Object, string) {
	o = only(o, "template version _meta", where, "template-key", v)
	t.inner(&o, where, v)
	return o, ""
}

// inner rewrites what an index template or a component holds for indices.
func (t Target) inner(o *tree.Object, where string, v *Verdict) {
	value, ok := (*o).Get("template")
	if !ok {
		return
	}
	body, ok := value.(tree.Object)
	if !ok {
		v.refuse("index-shape", where+", template", "it is no object", "")
		return
	}
	body = only(slices.Clone(body), "settings mappings aliases", where, "template-key", v)
	t.templateSettings(&body, where, v)
	if mappings, ok := body.Get("mappings"); ok {
		root, ok := mappings.(tree.Object)
		typed := ok && len(root) == 1 && root[0].Name == "_doc"
		if typed {
			root, ok = root[0].Value.(tree.Object)
		}
		if !ok {
			v.refuse("mapping-shape", where, "its mapping is no object", "")
			return
		}
		root = t.templateMapping(root, where, v)
		if typed {
			root = tree.Object{{Name: "_doc", Value: root}}
		}
		body.Set("mappings", root)
	}
	o.Set("template", body)
}

// composable rewrites an index template; why: it is to be dropped for the sake of a component.
func (t Target) composable(o tree.Object, where string, components tree.Object, removed map[string]bool, v *Verdict) (_ tree.Object, why string) {
	optional := o.List("ignore_missing_component_templates")
	o = only(o, "index_patterns template composed_of priority version _meta data_stream", where, "template-key", v)
	if list := o.List("composed_of"); list != nil {
		kept := make([]any, 0, len(list))
		for _, c := range list {
			name := tree.Text(c)
			switch {
			case components.Has(name):
				kept = append(kept, c)
			case removed[name]:
				return o, fmt.Sprintf("the component template %q is dropped", name)
			case !slices.Contains(optional, c):
				return o, fmt.Sprintf("there is no component template %q", name)
			}
		}
		if len(kept) < len(list) {
			v.change("template-key", where+": composed_of", "component templates that are not there are left out", "OpenSearch wants all of them")
			o.Set("composed_of", kept)
		}
	}
	if stream, ok := o.Get("data_stream"); ok {
		own, _ := stream.(tree.Object)
		if mode := own.Text("index_mode"); mode != "" && mode != "standard" {
			v.refuse("index-mode", where, fmt.Sprintf("it makes data streams of the mode %q", mode), "")
		}
		o.Set("data_stream", only(slices.Clone(own), "timestamp_field", where+", data_stream", "template-key", v))
	}
	t.inner(&o, where, v)
	return o, ""
}

// dataStreams keeps of data streams what OpenSearch reads.
func dataStreams(part tree.Object, v *Verdict) tree.Object {
	for _, m := range part {
		if m.Name == "data_stream_aliases" {
			aliases, _ := m.Value.(tree.Object)
			for _, a := range aliases {
				v.change("data-stream-aliases", "data stream alias "+a.Name, "dropped", "OpenSearch has no aliases of data streams")
			}
		}
	}
	streams := slices.Clone(part.Object("data_stream"))
	for n, s := range streams {
		own, _ := s.Value.(tree.Object)
		streams[n].Value = only(slices.Clone(own), "name timestamp_field indices generation", "data stream "+s.Name, "data-stream-key", v)
	}
	if streams == nil {
		streams = tree.Object{}
	}
	return streams
}

func scripts(all tree.Object, v *Verdict) tree.Object {
	languages := set("painless mustache expression")
	return slices.DeleteFunc(slices.Clone(all), func(m tree.Member) bool {
		o, _ := m.Value.(tree.Object)
		if lang := o.Text("lang"); !languages[lang] {
			v.change("stored-script", "stored script "+m.Name, "dropped", fmt.Sprintf("OpenSearch has no language %q", lang))
			return true
		}
		return false
	})
}
