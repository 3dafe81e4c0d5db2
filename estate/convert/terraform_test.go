package convert_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/convert"
	"github.com/narudata/naru/internal/testbed"
)

// asProviders puts the objects of testdata/terraform.tfstate into the cluster, as the providers make them: the bodies as they stand in
// the state, and for what has attributes the requests of the providers' sources, written out.
func asProviders(c *cluster) {
	c.send("PUT", "/_component_template/common", `{"template":{"settings":{"index":{"refresh_interval":"30s"}},"mappings":{"properties":{"trace":{"type":"keyword"}}}}}`)
	c.send("PUT", "/_index_template/web", `{"index_patterns":["web-*"],"priority":50,"composed_of":["common"],"template":{"settings":{"number_of_shards":3},"aliases":{"all":{}}}}`)
	c.send("PUT", "/_ingest/pipeline/web", `{"description":"web","processors":[{"set":{"field":"a","value":"${kept}"}}]}`)
	c.send("PUT", "/_plugins/_ism/policies/hot", `{"policy":{"description":"d","default_state":"hot","states":[{"name":"hot","actions":[{"rollover":{"min_size":"50gb"}}],"transitions":[{"state_name":"gone","conditions":{"min_index_age":"30d"}}]},{"name":"gone","actions":[{"delete":{}}]}],"ism_template":[{"index_patterns":["web-*"],"priority":1}]}}`)
	c.send("POST", "/_plugins/_sm/policies/daily", `{"creation":{"schedule":{"cron":{"expression":"0 8 * * *","timezone":"UTC"}}},"snapshot_config":{"repository":"r"}}`)
	c.send("PUT", "/_plugins/_security/api/roles/reader", `{"description": "", "cluster_permissions": ["b", "a"],
 "index_permissions": [{"index_patterns": ["web-*"], "dls": "{\"term\": {\"public\": true}}", "fls": ["~secret"], "masked_fields": [], "allowed_actions": ["read"]}],
 "tenant_permissions": [{"tenant_patterns": ["shop"], "allowed_actions": ["kibana_all_read"]}]}`)
	c.send("PUT", "/_plugins/_security/api/roles/writer", `{"description": "", "cluster_permissions": ["w"]}`)
	c.send("PUT", "/_plugins/_security/api/rolesmapping/reader", `{"backend_roles": ["staff"], "hosts": [], "users": ["bob", "ann"], "description": "who reads", "and_backend_roles": []}`)
	c.send("PUT", "/_plugins/_security/api/tenants/shop", `{"description": "the shop's"}`)
	c.send("PUT", "/_cluster/settings", `{"persistent": {"cluster.max_shards_per_node": 1500, "action.destructive_requires_name": true, "cluster.routing.allocation.disk.watermark.low": "85%", "cluster.routing.allocation.awareness.force.zone.values": ["a", "b"]}}`)
	c.send("PUT", "/logs-1", `{"aliases": {"logs": {"filter": {"term": {"a": 1}}, "routing": "r"}, "rolling": {"is_write_index": true}}}`)
}

var fromState = []string{
	"cluster-settings/global", "ingest-pipelines/web", "component-templates/common", "ism-policies/hot", "index-templates/web", "aliases/logs",
	"snapshot-policies/daily", "tenants/shop", "roles/reader", "roles/writer", "role-mappings/reader",
	"kafka-topics/orders", "kafka-acls/orders", "kafka-quotas/client-id-orders",
}

func TestWhatTerraformMadeIsAdoptedWithoutAChange(t *testing.T) {
	r := converted(t, convert.Options{}, testdata(t, "terraform.tfstate"))
	wants(t, keys(r), fromState...)
	wants(t, left(r), "noHome kafka_user_scram_credential.orders", "noHome opensearch_index.first", "noHome opensearch_index_template.old",
		"noHome opensearch_monitor.errors", "noHome opensearch_snapshot_repository.r", "noHome opensearch_user.ann", "secret opensearch_ingest_pipeline.hidden",
		"elsewhere alias rolling", "elsewhere aws_subnet", "elsewhere aws_vpc")
	all, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.Files("base")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		all = append(all, f.Data...)
	}
	if strings.Contains(string(all), "hunter2") {
		t.Error("a secret is in the result")
	}
	c := newCluster(t)
	asProviders(c)
	c.withKafka()
	c.adopts(r)
}

func TestASensitiveBodyIsWrittenOnlyIfItIsAllowed(t *testing.T) {
	r := converted(t, convert.Options{Allow: []string{"opensearch_ingest_pipeline.*"}}, testdata(t, "terraform.tfstate"))
	if !slices.Contains(keys(r), "ingest-pipelines/hidden") || slices.ContainsFunc(r.Left, func(l convert.Left) bool { return l.Cause == convert.Secret }) {
		t.Errorf("%q %q", keys(r), left(r))
	}
}

// shown writes a state in the other form, as terraform show -json does; everything of modules is in child_modules.
func shown(t *testing.T, state string) string {
	t.Helper()
	var kept struct {
		Resources []struct {
			Module, Mode, Type, Name, Provider string
			Instances                          []struct {
				IndexKey   any                        `json:"index_key"`
				Attributes map[string]any             `json:"attributes"`
				Sensitive  [][]struct{ Value string } `json:"sensitive_attributes"`
			}
		}
	}
	if err := json.Unmarshal([]byte(state), &kept); err != nil {
		t.Fatal(err)
	}
	root := map[string]any{"resources": []any{}}
	child := map[string]any{"address": `module.logs["eu"]`, "resources": []any{}}
	root["child_modules"] = []any{child}
	for _, r := range kept.Resources {
		for _, i := range r.Instances {
			address, module := r.Type+"."+r.Name, root
			if r.Module != "" {
				address, module = r.Module+"."+address, child
			}
			e := map[string]any{"mode": r.Mode, "type": r.Type, "name": r.Name, "values": i.Attributes}
			switch k := i.IndexKey.(type) {
			case string:
				address += `["` + k + `"]`
				e["index"] = k
			case float64:
				address += "[0]"
				e["index"] = 0
			}
			hidden := map[string]any{"backend_roles": []any{false}}
			for _, path := range i.Sensitive {
				hidden[path[0].Value] = true
			}
			e["address"], e["sensitive_values"] = address, hidden
			module["resources"] = append(module["resources"].([]any), e)
		}
	}
	out, err := json.Marshal(map[string]any{"format_version": "1.0", "terraform_version": "1.11.4", "values": map[string]any{"root_module": root}})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestWhatTerraformShowsGivesTheSameAsItsState(t *testing.T) {
	state := testdata(t, "terraform.tfstate")
	x, y := converted(t, convert.Options{}, state), converted(t, convert.Options{}, shown(t, state))
	for _, r := range []*convert.Result{x, y} {
		for i := range r.Handover {
			r.Handover[i].What = ""
		}
	}
	a, _ := json.MarshalIndent(x, "", " ")
	b, _ := json.MarshalIndent(y, "", " ")
	if string(a) != string(b) {
		t.Errorf("%s\n---\n%s", a, b)
	}
	if r := converted(t, convert.Options{}, `{"format_version": "1.0"}`); len(r.Objects) != 0 {
		t.Errorf("an empty state has %v", r.Objects)
	}
}

func TestStatesThatAreNoneAreErrors(t *testing.T) {
	refused(t, `{"format_version": "1.2", "planned_values": {}}`, "this is a plan")
	refused(t, `{"version": 3, "lineage": "x"}`, "only 4 is read")
	refused(t, `{"version": 4, "lineage": "x", "resources": [{"mode": "managed"}]}`, "no type or no name")
	refused(t, `{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "kafka_topic", "name": "x", "instances": [{"attributes": {}, "sensitive_attributes": [7]}]}]}`, "not understood")
	refused(t, `{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "opensearch_role", "name": "x", "instances": [{"attributes_flat": {}}]}]}`, "before Terraform 0.12")
	// What is wrong with a value is said without the value: it may be secret.
	refused(t, `{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "opensearch_ism_policy", "name": "x", "instances": [{"attributes": {"policy_id": "p", "body": "hunter2"}}]}]}`, "opensearch_ism_policy.x: body: its text is not JSON")
}

// one gives what comes of one resource.
func one(t *testing.T, typ, attributes string) *convert.Result {
	t.Helper()
	return converted(t, convert.Options{}, `{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "`+typ+`", "name": "r", "instances": [{"attributes": `+attributes+`}]}]}`)
}

// body is the one object's, as JSON.
func body(t *testing.T, r *convert.Result) string {
	t.Helper()
	if len(r.Objects) != 1 {
		t.Fatalf("%+v", r)
	}
	b, err := json.Marshal(r.Objects[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAttributesThatHaveNoHomeAreNoted(t *testing.T) {
	r := one(t, "opensearch_roles_mapping", `{"role_name": "r", "users": ["a"], "brand_new": "x", "empty_new": ""}`)
	if n := r.Objects[0].Notes; len(n) != 1 || !strings.Contains(n[0], "brand_new") {
		t.Errorf("%q", n)
	}
}

func TestElasticstackHasTheSameObjectsInBlocks(t *testing.T) {
	for _, c := range []struct{ typ, in, want, key, note string }{
		{
			"elasticstack_elasticsearch_component_template",
			`{"name": "c", "version": 2, "metadata": "{\"a\":1}", "template": [{"alias": [{"name": "x", "filter": "{\"term\":{\"a\":1}}", "is_write_index": false, "routing": "", "index_routing": "1"}], "mappings": "{\"properties\":{}}", "settings": "{\"number_of_shards\":\"3\"}"}]}`,
			`{"_meta":{"a":1},"template":{"aliases":{"x":{"filter":{"term":{"a":1}},"index_routing":"1"}},"mappings":{"properties":{}},"settings":{"number_of_shards":"3"}},"version":2}`,
			"component-templates/c", "",
		},
		{
			"elasticstack_elasticsearch_index_template",
			`{"name": "t", "index_patterns": ["b", "a"], "priority": 7, "composed_of": ["c"], "data_stream": [{"hidden": false}], "template": {"settings": "{\"index.lifecycle.name\":\"p\"}", "lifecycle": {"data_retention": "7d"}}}`,
			`{"composed_of":["c"],"data_stream":{},"index_patterns":["a","b"],"priority":7,"template":{"settings":{"index.lifecycle.name":"p"}}}`,
			"index-templates/t", "index.lifecycle.* is Elasticsearch's",
		},
		{
			"elasticstack_elasticsearch_ingest_pipeline", `{"name": "p", "processors": ["{\"set\":{\"field\":\"a\",\"value\":1}}"], "on_failure": ["{\"drop\":{}}"], "metadata": "{}"}`,
			`{"on_failure":[{"drop":{}}],"processors":[{"set":{"field":"a","value":1}}]}`, "ingest-pipelines/p", "_meta of pipelines",
		},
		{
			"elasticstack_elasticsearch_cluster_settings", `{"id": "x", "persistent": [{"setting": [{"name": "a.b", "value": "1", "value_list": null}, {"name": "c", "value": "", "value_list": ["x"]}]}], "transient": [{"setting": [{"name": "t", "value": "1"}]}]}`,
			`{"persistent":{"a.b":"1","c":["x"]}}`, "cluster-settings/r", "transient settings are gone",
		},
		{
			"elasticstack_elasticsearch_index_alias", `{"name": "al", "read_indices": [{"name": "i1", "filter": "{\"term\":{\"a\":1}}"}, {"name": "i2"}], "write_index": null}`,
			`{"indices":{"i1":{"filter":{"term":{"a":1}}},"i2":{}}}`, "aliases/al", "",
		},
		{"confluent_kafka_topic", `{"topic_name": "t", "partitions_count": 6, "config": {"retention.ms": "1"}, "kafka_cluster": [{"id": "lkc"}], "rest_endpoint": "https://x", "credentials": [{"key": "k", "secret": "hunter2"}]}`, `{"configs":{"retention.ms":"1"},"partitions":6}`, "kafka-topics/t", ""},
		{"aws_msk_topic", `{"name": "t", "partition_count": 6, "replication_factor": 3, "configs": "{\"retention.ms\":\"1\"}", "cluster_arn": "arn"}`, `{"configs":{"retention.ms":"1"},"partitions":6,"replicationFactor":3}`, "kafka-topics/t", ""},
	} {
		r := one(t, c.typ, c.in)
		if got := body(t, r); got != c.want || keys(r)[0] != c.key {
			t.Errorf("%s: %s %s", c.typ, keys(r)[0], got)
		}
		if notes := strings.Join(r.Objects[0].Notes, "\n"); !strings.Contains(notes, c.note) || (c.note == "") != (notes == "") {
			t.Errorf("%s: notes %q", c.typ, notes)
		}
	}
	if r := one(t, "elasticstack_elasticsearch_index_alias", `{"name": "al", "read_indices": [], "write_index": {"name": "i-000001"}}`); len(r.Objects) != 0 || len(r.Left) != 1 || len(r.Handover) != 0 {
		t.Errorf("a rolling alias: %+v", r)
	}
}

func TestALifecycleOfElasticsearchBecomesAPolicy(t *testing.T) {
	const want = `{"default_state":"hot","description":"from the lifecycle policy logs","states":[` +
		`{"actions":[{"index_priority":{"priority":100}},{"rollover":{"min_index_age":"1d","min_primary_shard_size":"50gb"}}],"name":"hot","transitions":[{"conditions":{"min_rollover_age":"2d"},"state_name":"warm"}]},` +
		`{"actions":[{"read_only":{}},{"shrink":{"num_new_shards":1}},{"force_merge":{"max_num_segments":1}},{"replica_count":{"number_of_replicas":0}},{"allocation":{"require":{"box":"warm"}}}],"name":"warm","transitions":[{"conditions":{"min_rollover_age":"30d"},"state_name":"delete"}]},` +
		`{"actions":[{"delete":{}}],"name":"delete"}]}`
	api := `{"policy": {"phases": {"hot": {"min_age": "0ms", "actions": {"rollover": {"max_primary_shard_size": "50gb", "max_age": "1d", "min_docs": 1}, "set_priority": {"priority": 100}}},
 "warm": {"min_age": "2d", "actions": {"allocate": {"number_of_replicas": 0, "require": {"box": "warm"}}, "readonly": {}, "shrink": {"number_of_shards": 1}, "forcemerge": {"max_num_segments": 1}, "migrate": {"enabled": true}}},
 "delete": {"min_age": "30d", "actions": {"delete": {"delete_searchable_snapshot": true}}}}}}`
	text, _ := json.Marshal(api)
	r := one(t, "elasticsearch_xpack_index_lifecycle_policy", `{"name": "logs", "body": `+string(text)+`}`)
	if got := body(t, r); got != want {
		t.Errorf("%s", got)
	}
	notes := strings.Join(r.Objects[0].Notes, "\n")
	for _, n := range []string{"rollover.min_docs", "migrate", "ism_template", "NAME_shrunken"} {
		if !strings.Contains(notes, n) {
			t.Errorf("no note of %s in\n%s", n, notes)
		}
	}
	stack := one(t, "elasticstack_elasticsearch_index_lifecycle", `{"name": "logs", "hot": [{"min_age": "", "rollover": [{"max_primary_shard_size": "50gb", "max_age": "1d", "max_docs": null, "min_docs": 0}], "set_priority": [{"priority": 100}], "readonly": [{"enabled": false}]}],
 "warm": {"min_age": "2d", "allocate": [{"number_of_replicas": 0, "require": "{\"box\":\"warm\"}", "include": "{}", "exclude": ""}], "readonly": {"enabled": true}, "shrink": {"number_of_shards": 1}, "forcemerge": {"max_num_segments": 1, "index_codec": ""}},
 "delete": {"min_age": "30d", "delete": {"delete_searchable_snapshot": true}}}`)
	if got := body(t, stack); got != want {
		t.Errorf("of blocks: %s", got)
	}
	if len(r.Handover) != 0 {
		t.Error("the lifecycle policy is Elasticsearch's, and stays")
	}
	for in, why := range map[string]string{
		`{"phases": {"delete": {"min_age": "1d", "actions": {"wait_for_snapshot": {"policy": "p"}, "delete": {}}}}}`: "a snapshot has",
		`{"phases": {"hot": {"actions": {"rollover": {"max_primary_shard_docs": 5}}}}}`:                              "roll over at once",
		`{"phases": {}}`: "no phases",
	} {
		text, _ := json.Marshal(in)
		if r := one(t, "elasticsearch_xpack_index_lifecycle_policy", `{"name": "logs", "body": `+string(text)+`}`); len(r.Objects) != 0 || !strings.Contains(r.Left[0].Why, why) {
			t.Errorf("%s: %+v", in, r)
		}
	}
	late := one(t, "elasticsearch_xpack_index_lifecycle_policy", `{"name": "l", "body": "{\"phases\": {\"delete\": {\"min_age\": \"10d\", \"actions\": {\"delete\": {}}}}}"}`)
	if got := body(t, late); !strings.Contains(got, `"default_state":"new"`) || !strings.Contains(got, `{"actions":[],"name":"new","transitions":[{"conditions":{"min_index_age":"10d"},"state_name":"delete"}]}`) {
		t.Errorf("an index would be deleted at once: %s", got)
	}
}

// TestTerraformLetsGoByThePrintedCommands runs them, by the terraform command, on a copy of the state.
func TestTerraformLetsGoByThePrintedCommands(t *testing.T) {
	_, err := exec.LookPath("terraform")
	testbed.Need(t, err == nil, "terraform is not there")
	r := converted(t, convert.Options{}, testdata(t, "terraform.tfstate"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "terraform.tfstate"), []byte(testdata(t, "terraform.tfstate")), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(command string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = dir
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", command, err, out, &stderr)
		}
		return string(out)
	}
	var blocks string
	for _, s := range r.Handover {
		blocks += s.Removed
		for _, c := range s.Commands {
			if strings.HasPrefix(c, "terraform ") {
				run(c)
			}
		}
	}
	rest := strings.Fields(run("terraform state list"))
	want := []string{"data.aws_caller_identity.me", "aws_subnet.a[0]", "aws_vpc.main", "kafka_user_scram_credential.orders", "opensearch_index.first", "opensearch_index_template.old",
		"opensearch_ingest_pipeline.hidden", "opensearch_monitor.errors", "opensearch_snapshot_repository.r", "opensearch_user.ann"}
	slices.Sort(rest)
	slices.Sort(want)
	wants(t, rest, want...)
	if err := os.WriteFile(filepath.Join(dir, "removed.tf"), []byte(blocks), 0o600); err != nil {
		t.Fatal(err)
	}
	run("terraform fmt -check -diff removed.tf")
	if !strings.Contains(blocks, "from = opensearch_role.reader\n") || strings.Contains(blocks, "hidden") || strings.Contains(blocks, `["`) {
		t.Errorf("%s", blocks)
	}
}

func TestKeysOfInstancesAreQuotedForTerraformAndTheShell(t *testing.T) {
	r := converted(t, convert.Options{}, `{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "opensearch_dashboard_tenant", "name": "r", "instances": [
 {"index_key": "it's ${a} \"b\" <", "attributes": {"tenant_name": "t1", "description": "d"}}, {"index_key": 3, "attributes": {"tenant_name": "t2"}}]}]}`)
	var commands []string
	for _, s := range r.Handover[1:] {
		commands = append(commands, s.Commands...)
	}
	slices.Sort(commands)
	wants(t, commands, `terraform state rm 'opensearch_dashboard_tenant.r["it'\''s $${a} \"b\" <"]'`, "terraform state rm 'opensearch_dashboard_tenant.r[3]'")
}

func TestSavedObjectsBecomeAnExport(t *testing.T) {
	body, _ := json.Marshal(`[{"_id": "index-pattern:logs", "_source": {"type": "index-pattern", "index-pattern": {"title": "logs-*", "fields": "[]"}, "migrationVersion": {}}},
 {"_id": "search:s", "_source": {"type": "search", "search": {"title": "<s>"}, "references": [{"id": "logs", "name": "x", "type": "index-pattern"}]}}]`)
	r := one(t, "opensearch_dashboard_object", `{"body": `+string(body)+`, "index": "", "tenant_name": ""}`)
	files, err := r.Files("base")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"attributes":{"fields":"[]","title":"logs-*"},"id":"logs","references":[],"type":"index-pattern"}
{"attributes":{"title":"<s>"},"id":"s","references":[{"id":"logs","name":"x","type":"index-pattern"}],"type":"search"}
`
	if files[0].Path != "base/dashboards/r.ndjson" || string(files[0].Data) != want {
		t.Errorf("%s\n%s", files[0].Path, files[0].Data)
	}
	env := "target: {urls: [http://x]}\ndashboards: {url: \"http://x:5601\"}\n"
	d, err := estate.ReadFS(t.Context(), fstest.MapFS{files[0].Path: {Data: files[0].Data}, "overlays/e/env.yaml": {Data: []byte(env)}}, "e", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if o := d.Objects[r.Objects[0].Key]; o == nil || !estate.Same(o.Key, o.Body, r.Objects[0].Body) {
		t.Errorf("%v", o)
	}
	if r := one(t, "opensearch_dashboard_object", `{"body": "[]", "tenant_name": "shop"}`); len(r.Objects) != 0 || !strings.Contains(r.Left[0].Why, "tenant shop") {
		t.Errorf("%+v", r)
	}
	refused(t, `{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "opensearch_dashboard_object", "name": "r", "instances": [{"attributes": {"body": "[{}]"}}]}]}`, "body[0]: want an _id TYPE:ID")
}
