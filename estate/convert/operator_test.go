package convert_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/convert"
)

// asOperator puts the objects of testdata/operator.yaml into the cluster as the operator makes them: by its own requests, which
// are written out here from its source (opensearch-gateway/requests), not made by what is tested.
func asOperator(c *cluster) {
	c.send("PUT", "/_plugins/_ism/policies/web-logs", `{"policy": {"default_state": "hot", "description": "web logs",
 "error_notification": {"destination": {"slack": {"url": "https://hooks.example/x"}}, "message_template": {"source": "it failed", "lang": "mustache"}},
 "ism_template": [{"index_patterns": ["web-*", "shop-*"], "priority": 10}],
 "states": [
  {"actions": [
    {"retry": {"backoff": "constant", "count": 5, "delay": "10m"}, "rollover": {"min_doc_count": 1000000, "min_index_age": "1d", "min_primary_shard_size": "30gb", "min_size": "50gb"}, "timeout": "1h"},
    {"index_priority": {"priority": 100}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"alias": {"actions": [{"add": {"aliases": ["web"]}}, {"remove": {"index": "{{ctx.index}}", "aliases": ["old"]}}]}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}}],
   "name": "hot", "transitions": [{"conditions": {"min_rollover_age": "2d"}, "state_name": "warm"},
    {"conditions": {"cron": {"cron": {"expression": "0 5 * * *", "timezone": "Europe/Berlin"}}}, "state_name": "gone"}]},
  {"actions": [
    {"replica_count": {"number_of_replicas": 0}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"force_merge": {"max_num_segments": 1}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"read_only": {}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"shrink": {"force_unsafe": true, "num_new_shards": 1}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"snapshot": {"repository": "backup", "snapshot": "web"}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"read_write": {}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"close": {}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}},
    {"open": {}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}}],
   "name": "warm", "transitions": [{"conditions": {"min_doc_count": 1, "min_index_age": "30d", "min_size": "1gb"}, "state_name": "gone"}, {"conditions": {}, "state_name": "hot"}]},
  {"actions": [{"delete": {}, "retry": {"backoff": "exponential", "count": 3, "delay": "1m"}}], "name": "gone"}]}}`)
	c.send("PUT", "/_component_template/common", `{"template": {"settings": {"index": {"refresh_interval": "30s", "number_of_shards": 2}}, "mappings": {"properties": {"trace": {"properties": {"id": {"type": "keyword"}}}}}}, "_meta": {"owner": "ann"}}`)
	c.send("PUT", "/_index_template/web-template", `{"index_patterns": ["web-*"], "data_stream": {"timestamp_field": {"name": "@timestamp"}}, "template": {"settings": {"number_of_replicas": 1}, "aliases": {"all": {"filter": {"term": {"a": 1}}, "routing": "1"}}}, "composed_of": ["common"], "priority": 50, "version": 3}`)
	c.send("POST", "/_plugins/_sm/policies/daily-all", `{"name": "daily-all", "description": "all of it", "enabled": true,
 "snapshot_config": {"date_format": "yyyy-MM-dd", "date_format_timezone": "UTC", "indices": "*", "repository": "backup", "ignore_unavailable": true, "include_global_state": false, "partial": true, "metadata": {"by": "operator"}},
 "creation": {"schedule": {"cron": {"expression": "0 8 * * *", "timezone": "UTC"}}, "time_limit": "1h"},
 "deletion": {"schedule": {"cron": {"expression": "0 9 * * *", "timezone": "UTC"}}, "condition": {"max_count": 21, "max_age": "7d", "min_count": 7}},
 "notification": {"channel": {"id": "NC_1"}, "conditions": {"creation": true, "deletion": false, "failure": true}}}`)
	c.send("PUT", "/_plugins/_security/api/actiongroups/looks", `{"allowed_actions": ["indices:data/read/search", "get"], "type": "index"}`)
	c.send("PUT", "/_plugins/_security/api/tenants/shop", `{"description": ""}`)
	c.send("PUT", "/_plugins/_security/api/roles/reader", `{"cluster_permissions": ["cluster_composite_ops"],
 "index_permissions": [{"index_patterns": ["web-*"], "dls": "{\"term\": {\"public\": true}}", "fls": ["~secret"], "allowed_actions": ["looks"], "masked_fields": ["email"]}],
 "tenant_permissions": [{"tenant_patterns": ["shop"], "allowed_actions": ["kibana_all_read"]}]}`)
	c.send("PUT", "/_plugins/_security/api/rolesmapping/reader", `{"backend_roles": ["staff"], "users": ["ann", "bob", "eve"]}`)
	c.send("PUT", "/_plugins/_security/api/rolesmapping/kibana_user", `{"users": ["bob", "eve"]}`)
}

func TestWhatTheOperatorMadeIsAdoptedWithoutAChange(t *testing.T) {
	c := newCluster(t)
	asOperator(c)
	r := converted(t, convert.Options{}, testdata(t, "operator.yaml"))
	wants(t, keys(r), "component-templates/common", "ism-policies/web-logs", "index-templates/web-template", "snapshot-policies/daily-all",
		"action-groups/looks", "tenants/shop", "roles/reader", "role-mappings/kibana_user", "role-mappings/reader")
	wants(t, left(r), "noHome OpensearchUser shop/ann")
	if why := r.Left[0].Why; !strings.Contains(why, "ann-password (key password)") || !strings.Contains(why, "backend roles staff; 1 attribute") {
		t.Errorf("%s", why)
	}
	c.adopts(r)
}

func TestTheNewGroupIsReadLikeTheOldOne(t *testing.T) {
	old := testdata(t, "operator.yaml")
	a, b := converted(t, convert.Options{}, old), converted(t, convert.Options{}, strings.ReplaceAll(old, "opensearch.opster.io/v1", "opensearch.org/v1"))
	x, _ := json.Marshal(a.Objects)
	y, _ := json.Marshal(b.Objects)
	if string(x) != string(y) || len(a.Objects) == 0 {
		t.Errorf("%s\n%s", x, y)
	}
}

// ism is a policy with one state of one action.
func ism(action string) string {
	return "apiVersion: opensearch.org/v1\nkind: OpenSearchISMPolicy\nmetadata: {name: p, namespace: n}\nspec: {defaultState: a, description: d, states: [{name: a, actions: [" + action + "]}]}\n"
}

func TestAFieldThatNobodyKnowsIsAnErrorWithItsPlace(t *testing.T) {
	refused(t, "kind: List\napiVersion: v1\nitems: ["+strings.ReplaceAll(strings.TrimSpace(`{apiVersion: opensearch.org/v1, kind: OpensearchRole, metadata: {name: r}, spec: {indexPermissions: [{}, {allowedAction: [x]}]}}`), "\n", "")+"]\n",
		"a.yaml, items[0]", "OpensearchRole r", "spec.indexPermissions[1].allowedAction: unknown field", `did you mean "allowedActions"`)
	refused(t, ism("{rollover: {minIndexAge: 1d, maxAge: 1d}}"), "spec.states[0].actions[0].rollover.maxAge: unknown field")
	refused(t, ism("{convertIndexToRemote: {}}"), "spec.states[0].actions[0].convertIndexToRemote: unknown field")
	refused(t, ism("{delete: {}, close: {}}"), "has 2 actions")
	refused(t, ism("{forceMerge: {maxNumSegments: one}}"), `want a whole number, found the text "one"`)
	refused(t, ism("{allocation: {waitFor: perhaps}}"), "want true or false")
	refused(t, "apiVersion: opensearch.org/v1\nkind: OpensearchRole\nmetadata: {name: r}\nspecs: {}\nspec: {}\n", "specs: unknown field")
	refused(t, "apiVersion: opensearch.org/v1\nkind: OpensearchRoles\nmetadata: {name: r}\nspec: {}\n", "did you mean OpensearchRole?")
	refused(t, "apiVersion: opensearch.org/v1\nkind: OpensearchRole\nmetadata: {generateName: r-}\nspec: {}\n", "metadata.name")
	refused(t, "apiVersion: opensearch.org/v1\nkind: OpensearchIndexTemplate\nmetadata: {name: r}\nspec: {}\n", "indexPatterns is missing")
	refused(t, "a: {{ .Values.x }}\n", "render it first")
	refused(t, "a: [1\n", "a.yaml")
	refused(t, `{"apiVersion": "v1", }`, "not JSON, at byte")
	refused(t, "", "is empty")
	refused(t, "just text", "want a manifest or a state")
	refused(t, "a: 1", "neither a manifest")
	refused(t, "a: &x [1]\nb: {<<: *x}\n", "stands twice, or is none that JSON has")
}

func TestWhatTheOperatorNeverSentIsANote(t *testing.T) {
	r := converted(t, convert.Options{}, ism("{notification: {destination: x, messageTemplate: {source: y}}}, {rollup: {}}, {allocation: {require: hot, include: '{\"temp\": \"warm\"}', exclude: '', waitFor: 'true'}}, {shrink: {numNewShards: 1, targetIndexNameTemplate: 'x-{{ctx.index}}'}}"))
	o := r.Objects[0]
	got, _ := json.Marshal(o.Body["states"])
	const want = `[{"actions":[{"allocation":{"include":{"temp":"warm"},"wait_for":true}},{"shrink":{"num_new_shards":1,"target_index_name_template":{"lang":"mustache","source":"x-{{ctx.index}}"}}}],"name":"a"}]`
	if string(got) != want {
		t.Errorf("%s", got)
	}
	notes := strings.Join(o.Notes, "\n")
	for _, want := range []string{"actions[0].notification", "actions[1].rollup", "actions[2].allocation.require", "actions[2].allocation.include", "actions[3].shrink.targetIndexNameTemplate"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note of %s in\n%s", want, notes)
		}
	}
	if r.Complete() {
		t.Error("with notes it is not complete")
	}
	files, err := r.Files("base")
	if err != nil || !strings.HasPrefix(string(files[0].Data), "# spec.states[0].actions[0].notification: left out") {
		t.Errorf("%s, %v", files[0].Data, err)
	}
}

func TestNotificationsHaveADestinationOrAChannel(t *testing.T) {
	spec := func(n string) string {
		return "apiVersion: opensearch.org/v1\nkind: OpenSearchISMPolicy\nmetadata: {name: p}\nspec: {defaultState: a, description: d, states: [], errorNotification: " + n + "}\n"
	}
	for in, want := range map[string]string{
		"{channel: c, messageTemplate: {source: s}}":                                         `{"channel":{"id":"c"},"message_template":{"lang":"mustache","source":"s"}}`,
		"{destination: {customWebhook: {url: u}}, messageTemplate: {source: s}, channel: c}": `{"destination":{"custom_webhook":{"url":"u"}},"message_template":{"lang":"mustache","source":"s"}}`,
		"{destination: {chime: {url: u}}}":                                                   `null`,
		"{destination: {amazon: {url: u}}, messageTemplate: {source: s}}":                    `null`,
	} {
		r := converted(t, convert.Options{}, spec(in))
		if got, _ := json.Marshal(r.Objects[0].Body["error_notification"]); string(got) != want || len(r.Objects[0].Notes) == 0 {
			t.Errorf("%s: %s, %q", in, got, r.Objects[0].Notes)
		}
	}
}

func TestManifestsOfSeveralClustersAreNotMixed(t *testing.T) {
	const role = "---\napiVersion: opensearch.org/v1\nkind: OpensearchRole\nmetadata: {name: NAME, namespace: NS}\nspec: {opensearchCluster: {name: CLUSTER}}\n"
	both := strings.NewReplacer("NAME", "a", "NS", "x", "CLUSTER", "one").Replace(role) + strings.NewReplacer("NAME", "a", "NS", "y", "CLUSTER", "two").Replace(role)
	var b convert.Batch
	b.Read("f", []byte(both))
	if _, err := b.Result(); err == nil || !strings.Contains(err.Error(), "x/one (OpensearchRole x/a), y/two (OpensearchRole y/a)") {
		t.Errorf("%v", err)
	}
	for _, chosen := range []string{"two", "y/two"} {
		r := converted(t, convert.Options{Cluster: chosen}, both)
		wants(t, keys(r), "roles/a")
		wants(t, left(r), "elsewhere OpensearchRole x/a")
		if r.Objects[0].From[0] != "OpensearchRole y/a" || !r.Complete() {
			t.Errorf("%+v", r)
		}
	}
}

func TestOtherManifestsAreCounted(t *testing.T) {
	const other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n"
	r := converted(t, convert.Options{}, other+other+"# nothing\n---\napiVersion: opensearch.org/v1\nkind: OpenSearchCluster\nmetadata: {name: logs}\nspec: {general: {}}\n")
	wants(t, left(r), "elsewhere apps/v1 Deployment", "elsewhere opensearch.org/v1 OpenSearchCluster")
	if r.Left[0].Count != 2 || !r.Complete() || len(r.Handover) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestTheOperatorLetsGoWithoutDeleting(t *testing.T) {
	r := converted(t, convert.Options{}, testdata(t, "operator.yaml"))
	var all []string
	for _, s := range r.Handover {
		all = append(all, s.Commands...)
	}
	text := strings.Join(all, "\n")
	order := []string{
		"naru apply", "--replicas=0",
		`kubectl patch -n shop opensearchroles.opensearch.opster.io reader --type=merge -p '{"metadata":{"finalizers":null}}'`,
		"kubectl delete -n shop opensearchroles.opensearch.opster.io reader", "--replicas=1", "naru plan -f DIR -e ENV",
	}
	at := 0
	for _, want := range order {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q does not come next in\n%s", want, text)
		}
		at += i
	}
	if strings.Contains(text, "opensearchusers") {
		t.Error("users are not declared, and stay the operator's")
	}
}

func TestWhatTheOperatorFoundIsSaid(t *testing.T) {
	r := converted(t, convert.Options{}, "apiVersion: opensearch.org/v1\nkind: OpensearchTenant\nmetadata: {name: t}\nspec: {description: x}\nstatus: {state: IGNORED, existingTenant: true}\n")
	if o := r.Objects[0]; len(o.Notes) != 1 || !strings.Contains(o.Notes[0], "left it alone") || o.Key != (estate.Key{Kind: estate.Tenants, Name: "t"}) {
		t.Errorf("%+v", o)
	}
}
