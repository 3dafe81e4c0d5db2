package estate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/estate"
)

// flowsFake is a place for flows that fills in defaults and counts generations, as an API server does.
type flowsFake struct {
	flows map[string]*estate.Live
}

func (f *flowsFake) List(context.Context) (map[string]*estate.Live, error) {
	out := map[string]*estate.Live{}
	for name := range f.flows {
		out[name] = f.copied(name)
	}
	return out, nil
}

func (f *flowsFake) copied(name string) *estate.Live {
	l := *f.flows[name]
	text, err := json.Marshal(l.Body)
	if err != nil {
		panic(err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	l.Body = nil
	if err := d.Decode(&l.Body); err != nil {
		panic(err)
	}
	return &l
}

func (f *flowsFake) Get(_ context.Context, name string) (*estate.Live, error) {
	if f.flows[name] == nil {
		return nil, nil
	}
	return f.copied(name), nil
}

func (f *flowsFake) Put(_ context.Context, name string, body estate.Body, live *estate.Live) error {
	was := f.flows[name]
	if (was == nil) != (live == nil) || was != nil && was.SeqNo != live.SeqNo {
		return errors.New("moved")
	}
	out := estate.Body{"replicas": json.Number("1"), "workload": "Deployment"}
	generation := int64(1)
	if was != nil {
		out["replicas"], generation = was.Body["replicas"], was.SeqNo+1
	}
	for k, v := range body {
		out[k] = v
	}
	f.flows[name] = &estate.Live{Body: out, SeqNo: generation, Term: 1}
	return nil
}

func (f *flowsFake) Remove(_ context.Context, name string, _ *estate.Live) error {
	delete(f.flows, name)
	return nil
}

const webPipeline = `input { kafka { topics => ["${topic}"] bootstrap_servers => "${KAFKA:localhost:9092}" group_id => "web" } }
filter { mutate { add_field => { "env" => "${environment}" "host" => "${HOSTNAME}" } } }
output { elasticsearch { hosts => ["https://${ES_HOST}:9200"] index => "web-%{+YYYY.MM.dd}" user => "u" password => "${ES_PASSWORD}" } }
`

func TestFlowsAndPipelinesGoToThePlaceWhereTheyRun(t *testing.T) {
	b := newBench(t)
	f := &flowsFake{flows: map[string]*estate.Live{}}
	b.flows = f
	b.file("base/env.yaml", "variables: {topic: weblogs}\n")
	b.file("base/pipelines/web.conf", webPipeline)
	b.file("base/flows/history.yaml", "flow: {source: {archive: {path: /a}}, sink: {opensearch: {urls: [\"http://x:1\"]}}}\nreplicas: 3\n")
	p := b.plan()
	b.wants(p, "create pipelines/web", "create flows/history")
	b.apply(p)
	b.wants(b.plan())
	config, _ := f.flows["web"].Body["pipeline"].(map[string]any)["config"].(string)
	if want := strings.NewReplacer("${topic}", "weblogs", "${environment}", "prod").Replace(webPipeline); config != want {
		t.Errorf("only variables of env.yaml are replaced:\n%s", cmp.Diff(want, config))
	}
	f.flows["web"].Body["replicas"] = json.Number("7") // an autoscaler
	f.flows["web"].SeqNo++
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift: %q", d)
	}
	f.flows["history"].Body["replicas"] = json.Number("7") // declared
	b.wants(b.plan(), "change flows/history")

	b.file("overlays/prod/pipelines/web.patch.yaml", "pipeline: {settings: {pipeline.workers: 4}}\nreplicas: 2\n")
	b.file("base/flows/history.yaml", "flow: {source: {archive: {path: /a}}, sink: {opensearch: {urls: [\"http://x:1\"]}}}\nreplicas: 7\n")
	p = b.plan()
	b.wants(p, "change pipelines/web", "adopt flows/history")
	run := b.apply(p)
	b.wants(b.plan())
	d, _ := b.observe()
	undo, err := estate.NewUndo(t.Context(), b.target(), d, run.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.wants(undo, "change pipelines/web", "adopt flows/history")

	// The same flow in the other folder is the same flow.
	b.file("overlays/prod/pipelines/web.patch.yaml", "")
	b.file("base/pipelines/web.conf", "")
	text, err := json.Marshal(map[string]any{"pipeline": map[string]any{"config": strings.ReplaceAll(webPipeline, "${HOSTNAME}", "$${HOSTNAME}")}})
	if err != nil {
		t.Fatal(err)
	}
	b.file("base/flows/web.json", strings.NewReplacer("${ES_HOST}", "$${ES_HOST}", "${ES_PASSWORD}", "$${ES_PASSWORD}").Replace(string(text)))
	p = b.plan()
	b.wants(p, "adopt flows/web", "forget pipelines/web")
	b.apply(p)
	if f.flows["web"] == nil {
		t.Error("the flow is gone")
	}
	b.file("base/flows/web.json", `{"flow": {"source": {}, "sink": {}}}`)
	if p := b.plan(); p.Problems() != 1 || !strings.Contains(p.Changes[0].Problem, "a pipeline cannot become a flow") {
		t.Errorf("%+v", p.Changes)
	}
	b.file("base/flows/web.json", "")
	b.file("base/flows/history.yaml", "")
	b.apply(b.plan())
	if len(f.flows) > 0 {
		t.Errorf("%v", f.flows)
	}
}

func TestWithoutAPlaceForFlowsAPlanSaysWhoRunsThem(t *testing.T) {
	b := newBench(t)
	b.file("base/pipelines/web.conf", webPipeline)
	b.file("base/flows/history.yaml", "flow: {source: {archive: {path: /a}}, sink: {opensearch: {urls: [\"http://x:1\"]}}}\n")
	b.file("base/ingest-pipelines/a.json", `{"processors": []}`)
	p := b.plan()
	b.wants(p, "create ingest-pipelines/a")
	if !slices.ContainsFunc(p.Notes, func(n string) bool {
		return strings.HasPrefix(n, "2 flows and pipelines are declared, and nothing here runs such")
	}) {
		t.Errorf("%q", p.Notes)
	}
	b.apply(p)
	b.wants(b.plan())
}

func TestMistakesInPipelinesAreSaidWithTheirLine(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"pipelines/a.conf", "input { stdin {} }\nfilter { mutat { } }\noutput { stdout {} }\n", "base/pipelines/a.conf:2:10: "},
		{"pipelines/a.conf", "input { stdin {} }\nfilter { mutate { rename => { \"a\" } } }\n", "base/pipelines/a.conf:2:"},
		{"pipelines/a.conf", "filter { mutate { uppercase => [\"a\"] } }\n", "base/pipelines/a.conf: the pipeline has no input"},
		{"pipelines/a.conf", "  \n", "base/pipelines/a.conf: the file is empty"},
		{"pipelines/A_b.conf", webPipeline, "a flow's name has small letters"},
		{"flows/a.yaml", "pipeline: {config: \"input { stdin {} }\"}\nflow: {source: {}, sink: {}}\n", "want exactly one of pipeline"},
		{"flows/a.yaml", "flow: {source: {archive: {path: /a}}}\n", "flow.sink is missing"},
		{"flows/a.yaml", "pipeline: {config: \"input { nothing {} }\"}\n", "base/flows/a.yaml (pipeline.config):1:9"},
	} {
		b := &bench{t: t, dir: t.TempDir()}
		b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\nvariables: {topic: x}\n")
		b.file("base/"+c.file, c.content)
		if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.content, err, c.want)
		}
	}
	b := &bench{t: t, dir: t.TempDir()}
	b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\nvariables: {topic: x}\n")
	b.file("base/pipelines/a.conf", strings.ReplaceAll(webPipeline, "${topic}", "${topik}")+"filter { translate { source => \"aa\" target => \"bb\" dictionary_path => \"/etc/words.yml\" } }\n")
	d, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	if err != nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "${topik} is no variable of env.yaml, and is left as it is; did you mean ${topic}?") {
		t.Errorf("%v %q", err, d.Notes)
	}
	b.file("base/flows/a.yaml", "flow: {source: {a: {}}, sink: {b: {}}}\n")
	if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), "base/pipelines/a.conf: base/flows/a.yaml is a flow of the same name") {
		t.Errorf("%v", err)
	}
}

func TestSamplingAndMaskingAreStagesOfFlowsAndRetentionIsHeldAgainstPolicies(t *testing.T) {
	b := newBench(t)
	b.everything(true) // logs-* are deleted after ${age}
	b.file("base/env.yaml", "retention: {\"logs-*\": 30d, \"audit-*\": 400d}\nsampling: {rate: 1%}\nmasking: {fields: [user.email]}\n")
	b.file("overlays/prod/env.yaml", fmt.Sprintf("target: {urls: [%q]}\nvariables: {shards: 3, age: 20d}\nsampling: {by: trace.id}\nretention: {\"metrics-*\": 7d}\n", b.url))
	b.file("base/flows/a.yaml", "flow: {source: {x: {}}, sink: {y: {}}, stages: [{mask: {fields: [own]}}]}\n")
	b.file("base/flows/b.yaml", "flow: {source: {x: {}}, sink: {y: {}}}\n")
	d, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	stages := func(name string) string {
		flow, _ := d.Objects[estate.Key{Kind: estate.FlowSpecs, Name: name}].Body["flow"].(map[string]any)
		return string(mustJSON(flow["stages"]))
	}
	if got, want := stages("a"), `[{"sample":{"by":"trace.id","rate":"1%"}},{"mask":{"fields":["own"]}}]`; got != want {
		t.Errorf("%s", got)
	}
	if got, want := stages("b"), `[{"sample":{"by":"trace.id","rate":"1%"}},{"mask":{"fields":["user.email"]}}]`; got != want {
		t.Errorf("%s", got)
	}
	want := []string{
		"retention of audit-* is 400 days, and no ISM policy that is declared manages such indices",
		"retention of logs-* is 30 days, and ism-policies/logs deletes such indices at 20 days",
		"retention of metrics-* is 7 days, and no ISM policy that is declared manages such indices",
	}
	if diff := cmp.Diff(want, d.Notes); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"sampling: {rate: 7}":        "sampling: rate",
		"sampling: {rat: 1%}":        `sampling: unknown key "rat"; did you mean "rate"?`,
		"masking: {fields: []}":      "masking: mask: fields is missing",
		"retention: {\"a\": always}": `retention: "always" for a: want a time like 30d`,
	} {
		b.file("overlays/prod/env.yaml", fmt.Sprintf("target: {urls: [%q]}\nvariables: {shards: 3, age: 20d}\n%s\n", b.url, text))
		if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestManifestsSayWhatTheDirectorySays reads an Environment back as the operator does.
func TestManifestsSayWhatTheDirectorySays(t *testing.T) {
	b := newBench(t)
	b.everything(true)
	b.file("base/pipelines/web.conf", webPipeline)
	b.file("base/dashboards/web.ndjson", webBundle)
	b.file("base/ingest-pipelines/odd.yaml", "processors: [{set: {field: a, value: \"$${x} $$$${y} ${shards} $x ${ z }\"}}]\nversion: 3\n_meta: {\"$${key}\": yes, half: 0.5, big: 12345678901234567890}\n")
	b.file("base/kafka-topics/t.yaml", "partitions: 3\n")
	b.file("base/flows/b.yaml", "flow: {source: {x: {}}, sink: {y: {}}}\n")
	b.file("overlays/prod/env.yaml", fmt.Sprintf("estate: shop\ntarget: {urls: [%q], tls: {caFile: /ca.pem}, auth: {username: u}}\nkafka: {brokers: [\"k:9092\"], sasl: {mechanism: SCRAM-SHA-512}}\ndashboards: {url: %q}\nvariables: {shards: 3, age: 20d, topic: t, prefix: web}\nlimits: {shards: 900}\ndrift: {repair: [roles]}\nsampling: {rate: 5%%}\n", b.url, b.url))
	d, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Manifests(estate.ManifestOptions{}); err == nil || !strings.Contains(err.Error(), "--ca-secret") || !strings.Contains(err.Error(), "--search-secret") || !strings.Contains(err.Error(), "--kafka-secret") {
		t.Errorf("%v", err)
	}
	o := estate.ManifestOptions{Namespace: "shop", SearchSecret: "s", KafkaSecret: "k", CASecret: "c"}
	all, err := d.Manifests(o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.Manifests(o)
	if err != nil || string(mustJSON(all)) != string(mustJSON(again)) {
		t.Error("twice the same directory, and not the same manifests")
	}
	var names []string
	for _, m := range all {
		names = append(names, fmt.Sprint(m["kind"], "/", m["metadata"].(map[string]any)["name"]))
	}
	if diff := cmp.Diff([]string{"Environment/prod", "Flow/web", "Flow/b"}, names); diff != "" {
		t.Error(diff)
	}
	text := string(mustJSON(all[0]))
	for _, want := range []string{`"environment":"prod"`, `"estate":"shop"`, `"caSecretRef":{"key":"ca.crt","name":"c"}`, `"secretRef":{"name":"s"}`, `"limits":{"shards":900}`, `"drift":{"repair":["roles"]}`, `"namespace":"shop"`, `"mechanism":"SCRAM-SHA-512"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	spec, _ := all[0]["spec"].(estate.Body)
	files := fstest.MapFS{"overlays/prod/env.yaml": {Data: []byte("target: {urls: [\"http://x:1\"]}\nkafka: {brokers: [\"k:9092\"]}\ndashboards: {url: \"http://x:1\"}\n")}}
	for kind, byName := range spec["objects"].(map[string]any) {
		for name, body := range byName.(map[string]any) {
			files[path.Join("overlays/prod", kind, name+".json")] = &fstest.MapFile{Data: mustJSON(body)}
		}
	}
	back, err := estate.ReadFS(t.Context(), files, "prod", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range d.List() {
		if obj.Kind == estate.Pipelines || obj.Kind == estate.FlowSpecs {
			continue
		}
		got := back.Objects[obj.Key]
		if got == nil {
			t.Errorf("%s is not there", obj.Key)
		} else if diff := cmp.Diff(obj.Body, got.Body); diff != "" {
			t.Errorf("%s: %s", obj.Key, diff)
		}
	}
	flow, _ := all[1]["spec"].(estate.Body)
	if config := fmt.Sprint(flow["pipeline"]); !strings.Contains(config, "${ES_PASSWORD}") || strings.Contains(config, "$${") {
		t.Errorf("what is Logstash's own stays in a Flow: %s", config)
	}
}
