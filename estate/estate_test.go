package estate_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

// A bench is a declared directory and a cluster.
type bench struct {
	t      *testing.T
	dir    string
	url    string
	fake   *osfake.Server // nil: a real one
	client *opensearch.Client
	kafka  *kafka.Admin

	dashboards *estate.Dashboards
	flows      estate.Flows
	now        time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := osfake.Start(t, osfake.Options{Plugins: []string{osfake.IndexManagement, osfake.Security}})
	b := benchAt(t, s.URL())
	b.fake = s
	return b
}

func benchAt(t *testing.T, url string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), url: url, now: time.Now()}
	var err error
	if b.client, err = (opensearch.Target{URLs: []string{url}}).Connect(t.Context(), noEnv); err != nil {
		t.Fatal(err)
	}
	b.file("overlays/prod/env.yaml", "estate: shop\ntarget: {urls: [\""+url+"\"]}\nvariables: {shards: 3, age: 30d}\ndrift: {repair: [ingest-pipelines, index-templates/web*]}\n")
	return b
}

func (b *bench) target() *estate.Target {
	return &estate.Target{Search: b.client, Kafka: b.kafka, Dashboards: b.dashboards, Flows: b.flows}
}

func noEnv(string) string { return "" }

// file writes a declared file; "" removes it.
func (b *bench) file(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	if content == "" {
		if err := os.Remove(path); err != nil {
			b.t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// send calls the cluster as somebody else does.
func (b *bench) send(method, path, body string) {
	b.t.Helper()
	if _, err := b.client.Do(b.t.Context(), opensearch.Request{Method: method, Path: path, Body: []byte(body)}); err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (b *bench) get(path string) string {
	b.t.Helper()
	text, err := b.client.Do(b.t.Context(), opensearch.Request{Method: http.MethodGet, Path: path})
	if err != nil {
		b.t.Fatalf("GET %s: %v", path, err)
	}
	return string(text)
}

func (b *bench) observe() (*estate.Desired, *estate.Observed) {
	b.t.Helper()
	d, err := estate.Read(b.t.Context(), b.dir, "prod", noEnv)
	if err != nil {
		b.t.Fatal(err)
	}
	o, err := estate.Observe(b.t.Context(), b.target(), d)
	if err != nil {
		b.t.Fatal(err)
	}
	return d, o
}

func (b *bench) plan() *estate.Plan {
	b.t.Helper()
	d, o := b.observe()
	p, err := estate.NewPlan(b.t.Context(), b.target(), d, o, false, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) try(ctx context.Context, p *estate.Plan) (*estate.Applied, error) {
	return (&estate.Applier{Target: b.target(), By: "tester", Now: time.Now}).Apply(ctx, p)
}

func (b *bench) apply(p *estate.Plan) *estate.Applied {
	b.t.Helper()
	run, err := b.try(b.t.Context(), p)
	if err != nil {
		b.t.Fatal(err)
	}
	return run
}

// wants checks what a plan does: "create ingest-pipelines/a" and so on, in order.
func (b *bench) wants(p *estate.Plan, want ...string) {
	b.t.Helper()
	var got []string
	for i := range p.Changes {
		ch := &p.Changes[i]
		got = append(got, string(ch.Action)+" "+ch.Key.String())
		if ch.Problem != "" {
			got[i] += ": " + ch.Problem
		}
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("the plan: %s\nwanted:  %s\n%s", strings.Join(got, "; "), strings.Join(want, "; "), fields(p))
	}
}

func fields(p *estate.Plan) string {
	var out strings.Builder
	for i := range p.Changes {
		for _, f := range p.Changes[i].Fields {
			out.WriteString(p.Changes[i].Key.String() + " " + f.Path + ": " + string(f.From) + " -> " + string(f.To) + "\n")
		}
	}
	return out.String()
}

func (b *bench) drift() []string {
	b.t.Helper()
	d, o := b.observe()
	var out []string
	for _, x := range estate.FindDrift(d, o) {
		line := x.Key.String()
		if x.Gone {
			line += " gone"
		}
		for _, f := range x.Fields {
			line += " " + f.Path
		}
		out = append(out, line)
	}
	return out
}

// everything declares an object of each kind that needs no plugin, then of those that do.
func (b *bench) everything(plugins bool) []string {
	b.file("base/component-templates/common.yaml", "template:\n  settings: {refresh_interval: 30s, index.codec: best_compression}\n  mappings: {properties: {trace: {properties: {id: {type: keyword}}}}}\n")
	b.file("base/index-templates/web.json", `{"index_patterns": "web-*", "composed_of": ["common"], "priority": 50, "data_stream": {},
 "template": {"settings": {"number_of_shards": 1, "index": {"default_pipeline": "web"}}, "aliases": {"all": {"routing": 1}},
  "mappings": {"properties": {"msg": {"type": "text", "norms": true}}}}}`)
	b.file("overlays/prod/index-templates/web.patch.json", `{"data_stream": null, "template": {"settings": {"number_of_shards": "${shards}"}}}`)
	b.file("base/ingest-pipelines/web.json", `{"description": "web", "processors": [{"pipeline": {"name": "zz"}}]}`)
	b.file("base/ingest-pipelines/zz.json", `{"processors": [{"set": {"field": "a", "value": "$${kept}"}}]}`)
	b.file("base/aliases/logs.yaml", "indices: {logs-*: {filter: {term: {a: 1}}, routing: r}}\n")
	b.file("base/cluster-settings/limits.json", `{"persistent": {"cluster": {"max_shards_per_node": 1500}, "action.destructive_requires_name": true}}`)
	keys := []string{"cluster-settings/limits", "ingest-pipelines/zz", "ingest-pipelines/web", "component-templates/common"}
	if plugins {
		b.file("base/ism-policies/logs.json", `{"policy": {"description": "x", "default_state": "hot",
  "states": [{"name": "hot", "actions": [{"rollover": {"min_size": "50gb"}}], "transitions": [{"state_name": "del", "conditions": {"min_index_age": "${age}"}}]},
   {"name": "del", "actions": [{"delete": {}}]}],
  "ism_template": {"index_patterns": ["logs-*"]}}}`)
		b.file("base/snapshot-policies/daily.yaml", "creation: {schedule: {cron: {expression: 0 8 * * *, timezone: UTC}}}\ndeletion: {condition: {max_age: 7d}}\nsnapshot_config: {repository: r, ignore_unavailable: true}\n")
		b.file("base/roles/reader.yaml", "cluster_permissions: [b, a]\nindex_permissions: [{index_patterns: [web-*], allowed_actions: [read]}]\n")
		b.file("base/role-mappings/reader.json", `{"users": ["u"], "backend_roles": []}`)
		b.file("base/action-groups/looks.yaml", "allowed_actions: [indices:data/read/search, get]\ntype: index\n")
		b.file("base/tenants/shop.yaml", "description: what the shop looks at\n")
		return append(keys, "ism-policies/logs", "index-templates/web", "aliases/logs", "snapshot-policies/daily", "action-groups/looks", "tenants/shop", "roles/reader", "role-mappings/reader")
	}
	return append(keys, "index-templates/web", "aliases/logs")
}

func prefixed(prefix string, keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = prefix + k
	}
	return out
}

func TestWhatIsAppliedIsNoDifferenceAnyMore(t *testing.T) {
	b := newBench(t)
	b.send("PUT", "/logs-1", `{}`)
	lifecycle(t, b, b.everything(true))
}

// lifecycle creates, changes, undoes and deletes what is declared.
func lifecycle(t *testing.T, b *bench, keys []string) {
	t.Helper()
	p := b.plan()
	b.wants(p, prefixed("create ", keys)...)
	first := b.apply(p)
	if p := b.plan(); len(p.Changes) > 0 || p.Unchanged != len(keys) {
		t.Errorf("after all is applied: %s\n%s", p.Summary(), fields(p))
	}
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift of what nobody touched: %q", d)
	}

	b.file("overlays/prod/index-templates/web.patch.json", `{"data_stream": null, "template": {"settings": {"number_of_shards": 5}, "mappings": {"properties": {"msg": {"type": "keyword", "norms": null}, "n": {"type": "long"}}}}}`)
	b.file("base/ingest-pipelines/zz.json", `{"processors": [{"set": {"field": "a", "value": "other"}}]}`)
	b.file("base/cluster-settings/limits.json", `{"persistent": {"cluster": {"max_shards_per_node": 1600}}}`)
	p = b.plan()
	b.wants(p, "change cluster-settings/limits", "change ingest-pipelines/zz", "change index-templates/web")
	second := b.apply(p)
	b.wants(b.plan())
	if text := b.get("/_cluster/settings?flat_settings=true"); strings.Contains(text, "destructive") || !strings.Contains(text, `"1600"`) {
		t.Errorf("settings that are declared no more are still there: %s", text)
	}

	d, _ := b.observe()
	undo, err := estate.NewUndo(t.Context(), b.target(), d, second.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.wants(undo, "change cluster-settings/limits", "change ingest-pipelines/zz", "change index-templates/web")
	b.apply(undo)
	if text := b.get("/_cluster/settings?flat_settings=true"); !strings.Contains(text, `"action.destructive_requires_name":"true"`) || !strings.Contains(text, `"1500"`) {
		t.Errorf("after the undo: %s", text)
	}
	b.wants(b.plan(), "change cluster-settings/limits", "change ingest-pipelines/zz", "change index-templates/web")

	undo, err = estate.NewUndo(t.Context(), b.target(), d, first.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	backwards := slices.Clone(keys)
	slices.Reverse(backwards)
	got := map[string]bool{}
	for i := range undo.Changes {
		got[string(undo.Changes[i].Action)+" "+undo.Changes[i].Key.String()] = true
	}
	for _, want := range prefixed("delete ", backwards) {
		if !got[want] {
			t.Errorf("the undo of the first apply does not %s", want)
		}
	}
	b.apply(undo)
	if text := b.get("/_index_template"); strings.Contains(text, `"web"`) {
		t.Errorf("a template outlived its undo: %s", text)
	}
	b.wants(b.plan(), prefixed("create ", keys)...)

	b.apply(b.plan())
	if err := os.RemoveAll(filepath.Join(b.dir, "base")); err != nil {
		t.Fatal(err)
	}
	b.file("overlays/prod/index-templates/web.patch.json", "")
	p = b.plan()
	if p.Count(estate.Delete) != len(keys) || len(p.Changes) != len(keys) {
		t.Errorf("nothing is declared any more: %s", p.Summary())
	}
	b.apply(p)
	b.wants(b.plan())
	history, err := estate.History(t.Context(), b.target(), d)
	if err != nil || len(history) != 6 || history[5].ID != first.ID || history[3].Undoes != second.ID {
		t.Errorf("history: %+v, %v", history, err)
	}
}

// TestWhatTheSystemRewritesIsNoDifference has what makes other tools show a difference for ever.
func TestWhatTheSystemRewritesIsNoDifference(t *testing.T) {
	for _, c := range []struct{ key, declared, live string }{
		{"index-templates/a", `{"index_patterns": "x-*"}`, `{"index_patterns": ["x-*"], "composed_of": []}`},
		{"index-templates/a", `{"index_patterns": ["b", "a"], "template": {}}`, `{"index_patterns": ["a", "b"]}`},
		{"index-templates/a", `{"index_patterns": ["a"], "template": {"settings": {"number_of_shards": 1, "index.codec": "x", "index": {"sort.field": ["a", "b"], "hidden": true}}}}`,
			`{"index_patterns": ["a"], "template": {"settings": {"index": {"number_of_shards": "1", "codec": "x", "sort": {"field": ["a", "b"]}, "hidden": "true"}}}}`},
		{"index-templates/a", `{"index_patterns": ["a"], "data_stream": {}, "priority": 5, "version": 1.0}`, `{"index_patterns": ["a"], "data_stream": {"timestamp_field": {"name": "@timestamp"}}, "priority": 5, "version": 1}`},
		{"component-templates/a", `{"template": {"aliases": {"x": {"routing": 1}}, "settings": {}}}`, `{"template": {"aliases": {"x": {"index_routing": "1", "search_routing": "1"}}}}`},
		{"ism-policies/a", `{"policy": {"description": "d", "default_state": "s", "states": [{"name": "s", "actions": [{"rollover": {"min_doc_count": 5}}]}], "ism_template": {"index_patterns": ["b-*", "a-*"]}}}`,
			`{"policy_id": "a", "description": "d", "last_updated_time": 1577990761311, "schema_version": 21, "error_notification": null, "default_state": "s",
			  "states": [{"name": "s", "actions": [{"retry": {"count": 3, "backoff": "exponential", "delay": "1m"}, "rollover": {"min_doc_count": 5, "copy_alias": false}}], "transitions": []}],
			  "ism_template": [{"index_patterns": ["a-*", "b-*"], "priority": 0, "last_updated_time": 1577990761311}], "user": {"name": "x"}}`},
		{"ism-policies/a", `{"default_state": "s", "states": [{"name": "s", "actions": [{"retry": {"count": 1}, "replica_count": {"number_of_replicas": "2"}}], "transitions": []}]}`,
			`{"policy_id": "a", "default_state": "s", "states": [{"name": "s", "actions": [{"retry": {"count": 1, "backoff": "exponential", "delay": "1m"}, "replica_count": {"number_of_replicas": 2}}], "transitions": []}]}`},
		{"snapshot-policies/a", `{"creation": {"schedule": {"cron": {"expression": "0 8 * * *", "timezone": "UTC"}}}, "deletion": {"condition": {"max_count": 21}}, "snapshot_config": {"repository": "r", "partial": "true"}}`,
			`{"name": "a", "schema_version": 21, "creation": {"schedule": {"cron": {"expression": "0 8 * * *", "timezone": "UTC"}}},
			  "deletion": {"schedule": {"cron": {"expression": "0 8 * * *", "timezone": "UTC"}}, "condition": {"max_count": 21, "min_count": 1}}, "snapshot_config": {"repository": "r", "partial": true},
			  "schedule": {"interval": {"start_time": 1, "period": 1, "unit": "Minutes"}}, "enabled": true, "last_updated_time": 2, "enabled_time": 2}`},
		{"roles/a", `{"cluster_permissions": ["b", "a"], "index_permissions": [{"index_patterns": ["x"], "allowed_actions": ["read"]}]}`,
			`{"reserved": false, "hidden": false, "static": false, "cluster_permissions": ["a", "b"], "tenant_permissions": [],
			  "index_permissions": [{"index_patterns": ["x"], "dls": null, "fls": [], "masked_fields": [], "allowed_actions": ["read"]}]}`},
		{"role-mappings/a", `{"users": ["b", "a"]}`, `{"hosts": [], "users": ["a", "b"], "reserved": false, "hidden": false, "backend_roles": [], "and_backend_roles": []}`},
		{"cluster-settings/a", `{"persistent": {"cluster": {"max_shards_per_node": 5}, "a.b": true, "c": null}}`, `{"persistent": {"cluster.max_shards_per_node": "5", "a": {"b": "true"}}}`},
		{"aliases/a", `{"indices": {"i": {"routing": "r", "filter": {}}}}`, `{"indices": {"i": {"index_routing": "r", "search_routing": "r"}}}`},
		{"ingest-pipelines/a", `{"processors": [], "version": 3}`, `{"processors": [], "version": 3.0}`},
	} {
		kind, name, _ := strings.Cut(c.key, "/")
		key := estate.Key{Kind: estate.Kind(kind), Name: name}
		if fields := estate.Differ(key, body(t, c.declared), body(t, c.live)); len(fields) > 0 {
			t.Errorf("%s %s\n%+v", c.key, c.declared, fields)
		}
		for _, text := range []string{c.declared, c.live} { // what is canonical stays so
			once := estate.Canonical(key, body(t, text))
			if diff := cmp.Diff(once, estate.Canonical(key, once)); diff != "" {
				t.Errorf("%s: canonical twice is something else: %s", c.key, diff)
			}
		}
	}
}

func body(t *testing.T, text string) estate.Body {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v estate.Body
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestWhatTheSystemAddsIsLearnedFromWhatItMadeOfTheLastApply(t *testing.T) {
	b := newBench(t)
	b.file("base/ingest-pipelines/a.json", `{"processors": [{"set": {"field": "a", "value": 1}}]}`)
	b.apply(b.plan())
	// As a later version of a server might: it wrote down a field of its own right when it was given the pipeline.
	p := b.plan()
	b.wants(p)
	fields := estate.Compare(
		body(t, `{"a": 1, "list": [{"name": "x", "v": "1m"}]}`), body(t, `{"a": 1, "added": "by the server", "list": [{"name": "x", "v": "60s"}]}`),
		body(t, `{"a": 1, "list": [{"name": "x", "v": "1m"}]}`), body(t, `{"a": 1, "added": "by the server", "list": [{"name": "x", "v": "60s"}]}`))
	if len(fields) > 0 {
		t.Errorf("the server's own: %+v", fields)
	}
	fields = estate.Compare(body(t, `{"a": 1}`), body(t, `{"a": 1, "added": "by somebody", "removed": 1}`), body(t, `{"a": 1, "removed": 1}`), body(t, `{"a": 1, "removed": 1}`))
	if len(fields) != 2 || fields[0].Path != "added" || !fields[0].Outside || fields[1].Path != "removed" || fields[1].Outside {
		t.Errorf("what somebody added, and what Git removed: %+v", fields)
	}
}

func TestAnObjectThatIsThereIsAdoptedAsItIsFirst(t *testing.T) {
	b := newBench(t)
	b.send("PUT", "/_ingest/pipeline/a", `{"description": "by hand", "processors": []}`)
	b.send("PUT", "/_ingest/pipeline/theirs", `{"processors": []}`)
	b.file("base/ingest-pipelines/a.json", `{"description": "declared", "processors": []}`)
	p := b.plan()
	b.wants(p, "adopt ingest-pipelines/a")
	run := b.apply(p)
	if text := b.get("/_ingest/pipeline/a"); !strings.Contains(text, "by hand") {
		t.Errorf("adopting changed it: %s", text)
	}
	p = b.plan()
	b.wants(p, "change ingest-pipelines/a")
	if f := p.Changes[0].Fields; len(f) != 1 || string(f[0].From) != `"by hand"` {
		t.Errorf("%+v", f)
	}
	d, _ := b.observe()
	undo, err := estate.NewUndo(t.Context(), b.target(), d, run.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.wants(undo, "forget ingest-pipelines/a")
	b.apply(undo)
	b.file("base/ingest-pipelines/a.json", "")
	b.wants(b.plan()) // it is nobody's: not declared, not deleted
	if text := b.get("/_ingest/pipeline"); !strings.Contains(text, "by hand") || !strings.Contains(text, "theirs") {
		t.Errorf("what is not naru's is gone: %s", text)
	}
}

func TestAnApplyRefusesWhenTheClusterMoved(t *testing.T) {
	b := newBench(t)
	keys := b.everything(true)
	b.send("PUT", "/logs-1", `{}`)
	b.apply(b.plan())
	b.file("overlays/prod/env.yaml", "estate: shop\ntarget: {urls: [\""+b.url+"\"]}\nvariables: {shards: 4, age: 20d}\n")
	b.file("base/ingest-pipelines/zz.json", `{"processors": [{"set": {"field": "a", "value": "other"}}]}`)
	p := b.plan()
	b.wants(p, "change ingest-pipelines/zz", "change ism-policies/logs", "change index-templates/web")
	b.send("PUT", "/_ingest/pipeline/zz", `{"processors": [], "description": "meanwhile"}`)
	before := b.get("/_plugins/_ism/policies/logs")
	if _, err := b.try(t.Context(), p); err == nil || !strings.Contains(err.Error(), "ingest-pipelines/zz changed") {
		t.Errorf("%v", err)
	}
	if after := b.get("/_plugins/_ism/policies/logs"); after != before {
		t.Error("a refused apply changed something")
	}
	if d := b.drift(); len(d) != 1 || !strings.HasPrefix(d[0], "ingest-pipelines/zz description processors") {
		t.Errorf("drift: %q", d)
	}
	_ = keys
}

func TestAPlanIsForOneClusterAndForOneState(t *testing.T) {
	b := newBench(t)
	b.file("base/ingest-pipelines/a.json", `{"processors": []}`)
	p := b.plan()
	file := filepath.Join(t.TempDir(), "plan")
	write := func(p *estate.Plan) {
		text, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(p)
	read, err := estate.ReadPlan(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := *read
	changed.Environment = "dev"
	write(&changed)
	if _, err := estate.ReadPlan(file); err == nil || !strings.Contains(err.Error(), "make it anew") {
		t.Errorf("a plan that was changed: %v", err)
	}
	other := *read
	other.Cluster.UUID = "another"
	if _, err := b.try(t.Context(), &other); err == nil || !strings.Contains(err.Error(), "the plan is for the cluster") {
		t.Errorf("%v", err)
	}
	b.apply(read)
	if _, err := b.try(t.Context(), read); err == nil || !strings.Contains(err.Error(), "moved") {
		t.Errorf("the same plan twice: %v", err)
	}
}

// TestAnApplyThatIsCutShortHasItsRestInTheNextPlan cuts the connection at each request in turn, before and after its
// effect, then plans and applies again.
func TestAnApplyThatIsCutShortHasItsRestInTheNextPlan(t *testing.T) {
	for _, cut := range []osfake.Cut{osfake.CutBefore, osfake.CutAfter} {
		for at := 0; ; at++ {
			b := newBench(t)
			b.send("PUT", "/logs-1", `{}`)
			b.send("PUT", "/_ingest/pipeline/adopted", `{"processors": []}`)
			b.everything(true)
			b.file("base/ingest-pipelines/adopted.json", `{"processors": []}`)
			b.file("base/ingest-pipelines/old.json", `{"processors": []}`)
			b.apply(b.plan())
			b.file("base/ingest-pipelines/old.json", "")
			b.file("base/roles/reader.yaml", "")
			b.file("base/roles/writer.yaml", "cluster_permissions: [a]\n")
			b.file("overlays/prod/env.yaml", "estate: shop\ntarget: {urls: [\""+b.url+"\"]}\nvariables: {shards: 4, age: 20d}\n")
			p := b.plan()
			n := 0
			b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
				if n++; n > at { // from then on: the process is dead
					if n == at+1 {
						return osfake.Fault{Cut: cut}
					}
					return osfake.Fault{Cut: osfake.CutBefore}
				}
				return osfake.Fault{}
			})
			run, err := b.try(t.Context(), p)
			b.fake.SetHook(nil)
			if err == nil {
				if at < 20 {
					t.Fatalf("an apply of %d requests", at)
				}
				return
			}
			d, _ := b.observe()
			if at%2 == 0 && run != nil { // undone
				undo, err := estate.NewUndo(t.Context(), b.target(), d, run.ID, b.now)
				if err != nil {
					if !strings.Contains(err.Error(), "no apply") {
						t.Fatalf("%v at request %d: undo: %v", cut, at, err)
					}
				} else {
					b.apply(undo)
				}
			}
			b.apply(b.plan())
			b.wants(b.plan())
			if d := b.drift(); len(d) > 0 {
				t.Errorf("%v at request %d: drift: %q", cut, at, d)
			}
			if text := b.get("/_ingest/pipeline") + b.get("/_plugins/_security/api/roles"); strings.Contains(text, `"old"`) || strings.Contains(text, "reader") || !strings.Contains(text, "writer") {
				t.Errorf("%v at request %d: %s", cut, at, text)
			}
			if t.Failed() {
				t.Fatalf("%v at request %d", cut, at)
			}
		}
	}
}

func TestTwoAppliesAtOnceDoNotBothGoOn(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		b.file("base/ingest-pipelines/"+name+".json", `{"processors": []}`)
	}
	p := b.plan()
	type result struct {
		run *estate.Applied
		err error
	}
	results := make(chan result)
	for range 2 {
		go func() {
			run, err := b.try(t.Context(), p)
			results <- result{run, err}
		}()
	}
	failed, done := 0, 0
	for range 2 {
		r := <-results
		if r.err != nil {
			failed++
		}
		if r.run != nil {
			done += r.run.Done
		}
	}
	if failed == 0 || done > 4 {
		t.Errorf("%d failed, %d changes done", failed, done)
	}
	b.apply(b.plan())
	b.wants(b.plan())
}

func TestDriftIsWhatSomebodyElseDidAndOnlyWhatIsMarkedIsPutBack(t *testing.T) {
	b := newBench(t)
	b.send("PUT", "/logs-1", `{}`)
	b.everything(true)
	b.apply(b.plan())
	b.file("base/ingest-pipelines/zz.json", `{"processors": [{"set": {"field": "a", "value": "Git has moved on"}}]}`)
	b.send("PUT", "/_ingest/pipeline/zz", `{"processors": [], "description": "by hand"}`)
	b.send("DELETE", "/_ingest/pipeline/web", ``)
	b.send("PUT", "/_cluster/settings", `{"persistent": {"cluster.max_shards_per_node": 9, "cluster.routing.allocation.enable": "all"}}`)
	b.send("PUT", "/logs-2", `{"aliases": {"logs": {"is_write_index": true}}}`) // a rollover
	want := []string{"cluster-settings/limits persistent.cluster.max_shards_per_node", "ingest-pipelines/web gone", "ingest-pipelines/zz description processors"}
	if got := b.drift(); !slices.Equal(got, want) {
		t.Errorf("drift: %q, want %q", got, want)
	}
	d, o := b.observe()
	repair := estate.NewRepair(d, o, estate.FindDrift(d, o), b.now)
	b.wants(repair, "change ingest-pipelines/zz", "create ingest-pipelines/web") // web calls zz
	b.apply(repair)
	if got := b.drift(); !slices.Equal(got, want[:1]) {
		t.Errorf("drift after the repair: %q", got)
	}
	if text := b.get("/_ingest/pipeline/zz"); strings.Contains(text, "moved on") || !strings.Contains(text, "${kept}") {
		t.Errorf("a repair brings what was applied, not what Git says now: %s", text)
	}
}

func TestAShorterRetentionSaysWhatItDeletes(t *testing.T) {
	b := newBench(t)
	b.everything(true)
	days := map[string]int{"logs-1": 40, "logs-2": 25, "logs-3": 21, "logs-4": 5, "other": 25}
	for name, age := range days {
		b.send("PUT", "/"+name, `{}`)
		b.fake.Set(name, "index.creation_date", fmtMillis(b.now.Add(-time.Duration(age)*24*time.Hour)))
		if name != "other" {
			b.fake.Set(name, "index.plugins.index_state_management.policy_id", "logs")
		}
	}
	b.apply(b.plan())
	b.file("overlays/prod/env.yaml", "estate: shop\ntarget: {urls: [\""+b.url+"\"]}\nvariables: {shards: 3, age: 20d}\n")
	p := b.plan()
	b.wants(p, "change ism-policies/logs")
	ch := p.Changes[0]
	text := strings.Join(ch.Effects, "\n")
	if !strings.Contains(text, "deletes indices 20 days old, not 30 days: 2 indices of 416 B now") || ch.Risk != estate.High || ch.Irreversible == "" {
		t.Errorf("risk %s, irreversible %q, %s", ch.Risk, ch.Irreversible, text)
	}
	if f := ch.Fields; len(f) != 1 || f[0].Path != "states[hot].transitions[0].conditions.min_index_age" {
		t.Errorf("%+v", f)
	}
}

func fmtMillis(t time.Time) string { return string(mustJSON(t.UnixMilli())) }

func timeNow() time.Time { return time.Now() }

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func TestOneObjectHasOneOwner(t *testing.T) {
	b := newBench(t)
	b.file("base/ingest-pipelines/a.json", `{"processors": []}`)
	b.apply(b.plan())
	b.file("overlays/prod/env.yaml", "estate: other\ntarget: {urls: [\""+b.url+"\"]}\n")
	p := b.plan()
	if p.Problems() != 1 || !strings.Contains(p.Changes[0].Problem, "the environment prod of the estate shop") {
		t.Errorf("%+v", p.Changes)
	}
	if _, err := b.try(t.Context(), p); err == nil {
		t.Error("a plan with a problem was applied")
	}
	b.file("base/ingest-pipelines/a.json", "")
	b.file("base/roles/all_access.json", `{"cluster_permissions": ["*"]}`)
	p = b.plan()
	if p.Problems() != 1 || !strings.Contains(p.Changes[0].Problem, "reserved") {
		t.Errorf("%+v", p.Changes)
	}
}

func TestAPlanSaysWhatTheClusterWouldRefuse(t *testing.T) {
	b := newBench(t)
	b.file("base/index-templates/a.json", `{"index_patterns": ["a-*"], "template": {"settings": {"index.no_such": 1}}}`)
	b.file("base/ingest-pipelines/a.json", `{"description": "nothing to do"}`)
	p := b.plan()
	if p.Problems() != 2 || !strings.Contains(p.Changes[1].Problem, "unknown setting [index.no_such]") {
		t.Errorf("%+v", p.Changes)
	}
}

func TestTwoTemplatesOfOnePriorityDoNotOverlap(t *testing.T) {
	b := newBench(t)
	b.send("PUT", "/_index_template/theirs", `{"index_patterns": ["a-*"], "priority": 3}`)
	b.file("base/index-templates/mine.json", `{"index_patterns": ["*-b"], "priority": 3}`)
	b.file("base/index-templates/other.json", `{"index_patterns": ["a-*"], "priority": 4}`)
	p := b.plan()
	if p.Problems() != 1 || !strings.Contains(p.Changes[0].Problem, "index template theirs has the same priority, 3, and the pattern a-*, which overlaps with *-b") {
		t.Errorf("%+v", p.Changes)
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"a", "a", true}, {"a", "b", false}, {"a*", "*b", true}, {"a-*", "b-*", false}, {"*", "", true}, {"*x*y", "x-z", false}, {"*x*y", "axby*", true}, {"a*c", "ab*", true}, {"**", "*", true}} {
		if estate.Overlap(c.a, c.b) != c.want || estate.Overlap(c.b, c.a) != c.want {
			t.Errorf("%q and %q", c.a, c.b)
		}
	}
}

func TestAClusterWithoutThePluginIsSaidSo(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	b := benchAt(t, s.URL())
	b.file("base/ism-policies/a.json", `{"policy": {"default_state": "a", "states": [{"name": "a"}]}}`)
	d, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := estate.Observe(t.Context(), b.target(), d); err == nil || !strings.Contains(err.Error(), "base/ism-policies/a.json: the cluster does not have it") {
		t.Errorf("%v", err)
	}
}

func TestMistakesAreSaidWithTheirPlace(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"an unknown variable", map[string]string{"base/roles/a.yaml": "x:\n  - ${shard}\n"}, "base/roles/a.yaml:2:5: no variable ${shard}; did you mean ${shards}?"},
		{"one in JSON", map[string]string{"base/roles/a.json": "{\n \"x\": \"a-${nope}\"}\n"}, "base/roles/a.json:2:"},
		{"a duplicate key", map[string]string{"base/roles/a.json": "{\"x\": 1,\n \"x\": 2}\n"}, `base/roles/a.json:2:5: the key "x" stands twice`},
		{"a syntax error", map[string]string{"base/roles/a.json": "{\"x\": 1,\n \"y\" 2}\n"}, "base/roles/a.json:2:5: invalid character"},
		{"more after the end", map[string]string{"base/roles/a.json": "{} {}"}, "more after the end"},
		{"an anchor", map[string]string{"base/roles/a.yaml": "a: &x 1\nb: *x\n"}, "base/roles/a.yaml:1:4: anchors"},
		{"an unknown kind", map[string]string{"base/index-template/a.json": "{}"}, `base/index-template is no kind of object; did you mean "index-templates"?`},
		{"a stray file", map[string]string{"base/roles/a.txt": "{}"}, "base/roles/a.txt: an object is a file NAME.json"},
		{"two files", map[string]string{"base/roles/a.json": "{}", "base/roles/a.yaml": "{}"}, "a.json stands beside it"},
		{"a patch of nothing", map[string]string{"overlays/prod/roles/a.patch.json": "{}"}, "patches roles/a, which the base does not have"},
		{"a patch in the base", map[string]string{"base/roles/a.patch.json": "{}"}, "a patch stands in an overlay"},
		{"null that is no patch", map[string]string{"base/roles/a.json": "null"}, "call it a.patch.json"},
		{"an empty file", map[string]string{"base/roles/a.yaml": "# nothing\n"}, "base/roles/a.yaml: the file is empty"},
		{"transient settings", map[string]string{"base/cluster-settings/a.json": `{"transient": {}}`}, "transient ones are gone after a restart"},
		{"a setting twice", map[string]string{"base/cluster-settings/a.json": `{"persistent": {"a.b": 1}}`, "base/cluster-settings/b.json": `{"persistent": {"a": {"b": 2}}}`}, "base/cluster-settings/a.json has the setting a.b too"},
		{"an alias without indices", map[string]string{"base/aliases/a.json": `{"filter": {}}`}, "an alias is"},
		{"an unknown key of env.yaml", map[string]string{"base/env.yaml": "target:\n  url: x\n"}, `base/env.yaml:2:3: unknown key "url"`},
		{"an environment variable that is not set", map[string]string{"base/env.yaml": "variables:\n  r: {env: NARU_NOT_SET}\n"}, "base/env.yaml:2:6: variable r comes from the environment variable NARU_NOT_SET"},
		{"a repair of nothing", map[string]string{"base/env.yaml": "drift: {repair: [nothing/x]}\n", "overlays/prod/env.yaml": "target: {urls: [\"http://x:1\"]}\n"}, `"nothing/x" is not KIND or KIND/NAME`},
		{"a deep value", map[string]string{"base/roles/a.json": strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300)}, "nested deeper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{t: t, dir: t.TempDir()}
			b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\nvariables: {shards: 3}\n")
			for _, name := range slices.Sorted(maps.Keys(c.files)) {
				b.file(name, c.files[name])
			}
			_, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestOverlaysReplacePatchAndRemove(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	b.file("base/env.yaml", "estate: shop\nvariables: {n: 1, s: text, l: [a, b], flag: true, from: {env: FROM}}\n")
	b.file("overlays/prod/env.yaml", "target: {urls: [\"https://${s}:9200\"]}\nvariables: {n: 2}\n")
	b.file("base/roles/replaced.json", `{"a": 1}`)
	b.file("overlays/prod/roles/replaced.yaml", "b: ${n}\n")
	b.file("base/roles/patched.yaml", "a: {b: 1, c: [1, 2], gone: x}\nt: x-${n}-${s}-${flag}\nplain: $${n} ${ n }\n\"k-${s}\": ${l}\n")
	b.file("overlays/prod/roles/patched.patch.yaml", "a: {c: [3], gone: null, d: {e: null, f: \"${from}\"}}\n")
	b.file("base/roles/removed.json", `{"a": 1}`)
	b.file("overlays/prod/roles/removed.patch.json", `null`)
	d, err := estate.Read(t.Context(), b.dir, "prod", func(name string) string { return map[string]string{"FROM": "outside"}[name] })
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for _, o := range d.List() {
		got[o.Name] = o.Body
	}
	want := map[string]any{
		"replaced": map[string]any{"b": json.Number("2")},
		"patched": map[string]any{
			"a": map[string]any{"b": json.Number("1"), "c": []any{json.Number("3")}, "d": map[string]any{"f": "outside"}},
			"t": "x-2-text-true", "plain": "${n} ${ n }", "k-text": []any{"a", "b"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d.Target.URLs[0] != "https://text:9200" || d.Estate != "shop" {
		t.Errorf("%+v", d)
	}
	if _, err := estate.Read(t.Context(), b.dir, "prdo", noEnv); err == nil || !strings.Contains(err.Error(), `did you mean "prod"?`) {
		t.Errorf("%v", err)
	}
}

func TestAnEnvironmentIsReadFromAnyFileSystem(t *testing.T) {
	files := fstest.MapFS{
		"base/env.yaml":                  {Data: []byte("kafka: {tls: {caFile: /ca.pem}, requestTimeout: 5s}\n")},
		"base/roles/a.json":              {Data: []byte(`{"a": "${environment}"}`)},
		"overlays/prod/env.yaml":         {Data: []byte("target: {urls: [\"http://x:1\"]}\nkafka: {brokers: [\"k:9092\"], requestTimeout: 7s}\n")},
		"overlays/dev/env.yaml":          {Data: []byte("target: {urls: [\"http://x:1\"]}\nkafka: null\n")},
		"overlays/incomplete/env.yaml":   {Data: []byte("target: {urls: [\"http://x:1\"]}\n")},
		"overlays/misspelled/env.yaml":   {Data: []byte("target: {urls: [\"http://x:1\"]}\nkafka:\n  brokres: [x]\n")},
		"overlays/prod/roles/b.json":     {Data: []byte(`{}`)},
		"overlays/dev/roles/a.patch.yml": {Data: []byte("null\n")},
	}
	d, err := estate.ReadFS(t.Context(), files, "prod", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Objects) != 2 || d.Objects[estate.Key{Kind: estate.Roles, Name: "a"}].Body["a"] != "prod" {
		t.Errorf("%+v", d.Objects)
	}
	if k := d.Kafka; k == nil || k.Brokers[0] != "k:9092" || k.TLS.CAFile != "/ca.pem" || k.RequestTimeout != 7*time.Second {
		t.Errorf("%+v", k)
	}
	if d, err := estate.ReadFS(t.Context(), files, "dev", noEnv); err != nil || d.Kafka != nil || len(d.Objects) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := estate.ReadFS(t.Context(), files, "incomplete", noEnv); err == nil || !strings.Contains(err.Error(), "overlays/incomplete/env.yaml: kafka: brokers is missing") {
		t.Errorf("%v", err)
	}
	if _, err := estate.ReadFS(t.Context(), files, "misspelled", noEnv); err == nil || !strings.Contains(err.Error(), `overlays/misspelled/env.yaml:3:3: kafka: unknown key "brokres"; did you mean "brokers"?`) {
		t.Errorf("%v", err)
	}
}
