package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
)

// Resources of the providers opensearch-project/opensearch and phillbaker/elasticsearch, which have the same attributes: most
// carry a body as JSON. Source: their docs/resources and schemas.

type terraformType struct {
	take    func(b *Batch, t *tale, r *resource)
	why     string   // take is nil: why it is not converted
	ignored []string // attributes that say nothing of the object
	part    bool     // only a part of it is taken, and the rest of it is Terraform's
	other   bool     // what is declared is not the object that Terraform has, and does not replace it
}

const noPasswords = "users have passwords, which stay out of files: the cluster keeps the user as it is"

// terraformTypes are the resources that are known.
var terraformTypes = merged(
	both("component_template", terraformType{take: takeBody(estate.ComponentTemplates, "name", "")}),
	both("composable_index_template", terraformType{take: takeBody(estate.IndexTemplates, "name", "")}),
	both("ingest_pipeline", terraformType{take: takeBody(estate.IngestPipelines, "name", "")}),
	both("cluster_settings", terraformType{take: takeSettings, ignored: []string{"reset_settings_on_delete"}}),
	both("index", terraformType{take: takeIndexAliases, part: true, other: true}),
	both("index_template", terraformType{why: "a legacy template (_template), which composable ones take the place of: write it as an index template with a priority, and delete it once that is applied"}),
	both("snapshot_repository", terraformType{why: "repositories of snapshots are not declared: their settings have secrets of the storage; the cluster keeps it as it is"}),
	both("data_stream", terraformType{why: "a data stream holds data; its index template makes it by itself"}),
	both("script", terraformType{why: "stored scripts are not declared"}),
	secured("ism_policy", terraformType{take: takeBody(estate.ISMPolicies, "policy_id", "policy"), ignored: []string{"seq_no", "primary_term"}}),
	secured("ism_policy_mapping", terraformType{why: "gives a policy to indices that are there; a policy's ism_template does it for new ones, and the indices keep what they have"}),
	secured("sm_policy", terraformType{take: takeBody(estate.SnapshotPolicies, "policy_name", "sm_policy"), ignored: []string{"seq_no", "primary_term"}}),
	secured("role", terraformType{take: takeRole}),
	secured("roles_mapping", terraformType{take: takeMapping}),
	secured("dashboard_tenant", terraformType{take: takeTenant, ignored: []string{"index"}}),
	secured("kibana_tenant", terraformType{take: takeTenant, ignored: []string{"index"}}),
	secured("user", terraformType{why: noPasswords}),
	map[string]terraformType{
		"opensearch_dashboard_object": {take: takeSaved}, "elasticsearch_kibana_object": {take: takeSaved},
	},
	map[string]terraformType{
		"elasticsearch_xpack_user":                   {why: noPasswords},
		"elasticsearch_xpack_index_lifecycle_policy": {take: takeLifecycleBody, other: true},
		"elasticsearch_xpack_role":                   {why: "roles of X-Pack have other privileges than those of OpenSearch: write it anew"},
		"elasticsearch_xpack_role_mapping":           {why: "mappings of X-Pack have rules that OpenSearch does not: write it anew"},
	},
	elasticstackTypes,
	kafkaTypes,
)

func merged(all ...map[string]terraformType) map[string]terraformType {
	out := map[string]terraformType{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// both is a resource that is called alike by both providers.
func both(name string, t terraformType) map[string]terraformType {
	return map[string]terraformType{"opensearch_" + name: t, "elasticsearch_" + name: t}
}

// secured is one of what only OpenSearch has; the older provider kept these under two names.
func secured(name string, t terraformType) map[string]terraformType {
	return map[string]terraformType{"opensearch_" + name: t, "elasticsearch_opensearch_" + name: t, "elasticsearch_opendistro_" + name: t}
}

// takeBody makes an object of the JSON in the attribute body, which may be wrapped in member.
func takeBody(kind estate.Kind, nameOf, member string) func(*Batch, *tale, *resource) {
	return func(b *Batch, t *tale, r *resource) {
		name, body := r.text(nameOf), jsonIn(t, "body", r.get("body"))
		if name == "" {
			t.fail(nameOf, "it is missing")
		}
		if inner, ok := body[member].(map[string]any); ok && len(body) == 1 {
			body = inner
		}
		if body != nil && name != "" {
			lifecycleSettings(t, body)
			b.add(estate.Key{Kind: kind, Name: name}, body, r.address)
		}
	}
}

// jsonIn reads an object that stands as a text in an attribute.
func jsonIn(t *tale, path string, v any) map[string]any {
	s, ok := v.(string)
	if !ok {
		t.fail(path, "want JSON as a text, found %s", kindOf(v))
		return nil
	}
	docs, err := jsonDocuments([]byte(s))
	if err != nil || len(docs) != 1 {
		t.fail(path, "its text is not JSON")
		return nil
	}
	o, ok := docs[0].(map[string]any)
	if !ok {
		t.fail(path, "want JSON with keys and values, found %s", kindOf(docs[0]))
		return nil
	}
	return o
}

// kindOf names a type without the value: attributes may be secret.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "a text"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	}
	return "keys with values"
}

// lifecycleSettings notes settings of Elasticsearch's lifecycles in a template, which OpenSearch does not know.
func lifecycleSettings(t *tale, body map[string]any) {
	template, _ := body["template"].(map[string]any)
	settings, _ := template["settings"].(map[string]any)
	index, _ := settings["index"].(map[string]any)
	named := settings["lifecycle"] != nil || index["lifecycle"] != nil
	for k := range settings {
		named = named || strings.HasPrefix(k, "index.lifecycle.") || strings.HasPrefix(k, "lifecycle.")
	}
	if named {
		t.note("template.settings", "index.lifecycle.* is Elasticsearch's, and OpenSearch refuses it: a policy's ism_template names the indices, and index.plugins.index_state_management.rollover_alias the alias")
	}
}

// names gives the texts of a set, which is a list in the state.
func names(v any) []any {
	out := textsOf(v)
	slices.Sort(out)
	return listOf(out)
}

func takeRole(b *Batch, t *tale, r *resource) {
	body := estate.Body{}
	put(body, "description", r.text("description"))
	put(body, "cluster_permissions", names(r.get("cluster_permissions")))
	permissions := func(attribute string, as map[string]string) {
		list, _ := r.get(attribute).([]any)
		out := []any{}
		for i, x := range list {
			p, ok := x.(map[string]any)
			if !ok {
				t.fail(fmt.Sprintf("%s[%d]", attribute, i), "want a block, found %s", kindOf(x))
				continue
			}
			entry := map[string]any{}
			for _, k := range slices.Sorted(maps.Keys(p)) {
				switch to := as[k]; {
				case to == "dls":
					s, _ := p[k].(string)
					put(entry, to, s)
				case to != "":
					put(entry, to, names(p[k]))
				case !isZero(p[k]):
					t.note(fmt.Sprintf("%s[%d].%s", attribute, i, k), "not taken over: a role has nothing like it")
				}
			}
			out = append(out, entry)
		}
		put(body, attribute, out)
	}
	permissions("index_permissions", map[string]string{
		"index_patterns": "index_patterns", "document_level_security": "dls", "field_level_security": "fls", "masked_fields": "masked_fields", "allowed_actions": "allowed_actions",
	})
	permissions("tenant_permissions", map[string]string{"tenant_patterns": "tenant_patterns", "allowed_actions": "allowed_actions"})
	b.add(estate.Key{Kind: estate.Roles, Name: r.text("role_name")}, body, r.address)
}

// put sets what is not empty.
func put(o map[string]any, name string, v any) {
	if !isZero(v) {
		o[name] = v
	}
}

func takeMapping(b *Batch, _ *tale, r *resource) {
	body := estate.Body{}
	put(body, "description", r.text("description"))
	for _, a := range []string{"backend_roles", "hosts", "users", "and_backend_roles"} {
		put(body, a, names(r.get(a)))
	}
	b.add(estate.Key{Kind: estate.RoleMappings, Name: r.text("role_name")}, body, r.address)
}

func takeTenant(b *Batch, _ *tale, r *resource) {
	b.add(estate.Key{Kind: estate.Tenants, Name: r.text("tenant_name")}, estate.Body{"description": r.text("description")}, r.address)
}

// settingNames are the cluster settings that the providers have attributes for, where the dots became underscores.
var settingNames = strings.Fields(`
	action.auto_create_index action.destructive_requires_name
	cluster.blocks.read_only cluster.blocks.read_only_allow_delete cluster.indices.close.enable cluster.info.update.interval
	cluster.max_shards_per_node cluster.max_shards_per_node.frozen cluster.no_master_block
	cluster.persistent_tasks.allocation.enable cluster.persistent_tasks.allocation.recheck_interval
	cluster.routing.allocation.allow_rebalance cluster.routing.allocation.awareness.attributes cluster.routing.allocation.awareness.force.zone.values
	cluster.routing.allocation.balance.index cluster.routing.allocation.balance.shard cluster.routing.allocation.balance.threshold
	cluster.routing.allocation.cluster_concurrent_rebalance cluster.routing.allocation.disk.include_relocations
	cluster.routing.allocation.disk.threshold_enabled cluster.routing.allocation.disk.watermark.high cluster.routing.allocation.disk.watermark.low
	cluster.routing.allocation.enable cluster.routing.allocation.node_concurrent_incoming_recoveries
	cluster.routing.allocation.node_concurrent_outgoing_recoveries cluster.routing.allocation.node_concurrent_recoveries
	cluster.routing.allocation.node_initial_primaries_recoveries cluster.routing.allocation.same_shard.host
	cluster.routing.allocation.total_shards_per_node cluster.routing.rebalance.enable
	cluster.search.request.slowlog.level cluster.search.request.slowlog.threshold.debug cluster.search.request.slowlog.threshold.info
	cluster.search.request.slowlog.threshold.trace cluster.search.request.slowlog.threshold.warn
	indices.breaker.fielddata.limit indices.breaker.fielddata.overhead indices.breaker.request.limit indices.breaker.request.overhead
	indices.breaker.total.limit indices.recovery.max_bytes_per_sec
	network.breaker.inflight_requests.limit network.breaker.inflight_requests.overhead
	script.max_compilations_rate search.default_search_timeout
`)

// takeSettings makes one object of the settings that are set; the providers do not send false, 0 and "".
func takeSettings(b *Batch, _ *tale, r *resource) {
	persistent := map[string]any{}
	for _, name := range settingNames {
		put(persistent, name, r.get(strings.ReplaceAll(name, ".", "_")))
	}
	if len(persistent) == 0 {
		b.leave(NoHome, r.address, "it sets nothing")
		return
	}
	b.add(estate.Key{Kind: estate.ClusterSettings, Name: r.name}, estate.Body{"persistent": persistent}, r.address)
}

// takeIndexAliases takes the aliases of an index. The index itself has data.
func takeIndexAliases(b *Batch, t *tale, r *resource) {
	name, s := r.text("name"), r.text("aliases")
	if s == "" {
		b.leave(NoHome, r.address, "an index holds data, and is not declared: it stays Terraform's")
		return
	}
	for alias, entry := range jsonIn(t, "aliases", s) {
		o, _ := entry.(map[string]any)
		b.alias(alias, name, o, r.address)
	}
	b.leave(NoHome, r.address, "an index holds data, and stays Terraform's; its aliases are declared: have Terraform ignore them (lifecycle.ignore_changes)")
}

// takeSaved makes a bundle of what a resource has of saved objects, which it writes into the index of Dashboards as they stand
// there: _id is TYPE:ID, _source has the attributes under the type's name.
func takeSaved(b *Batch, t *tale, r *resource) {
	if tenant := r.text("tenant_name"); tenant != "" {
		b.leave(NoHome, r.address, "its objects are those of the tenant %s: export them from there, and declare them for an environment whose dashboards have that tenant", tenant)
		return
	}
	if index := r.text("index"); index != "" && index != ".kibana" && index != ".opensearch_dashboards" {
		b.leave(NoHome, r.address, "its objects are in the index %s of their own: export them from Dashboards", index)
		return
	}
	docs, err := jsonDocuments([]byte(r.text("body")))
	if err != nil || len(docs) != 1 {
		t.fail("body", "its text is not JSON")
		return
	}
	objects := map[string]any{}
	for i, e := range elements(docs[0]) {
		id, _ := e["_id"].(string)
		source, _ := e["_source"].(map[string]any)
		typ, _ := source["type"].(string)
		attributes, ok := source[typ].(map[string]any)
		name, fits := strings.CutPrefix(id, typ+":")
		if !ok || !fits || typ == "" {
			t.fail(fmt.Sprintf("body[%d]", i), "want an _id TYPE:ID, and a _source with type and the attributes under the type's name")
			continue
		}
		o := map[string]any{"attributes": attributes, "references": []any{}}
		put(o, "references", source["references"])
		objects[typ+"/"+name] = o
	}
	if len(objects) == 0 && len(t.errs) == 0 {
		b.leave(NoHome, r.address, "there is no saved object in it")
		return
	}
	b.add(estate.Key{Kind: estate.SavedObjects, Name: r.name}, estate.Body{"objects": objects}, r.address)
}
