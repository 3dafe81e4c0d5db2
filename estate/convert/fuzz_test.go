package convert_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/convert"
)

// readable wants that what came of any input can be read back as it was.
func readable(t *testing.T, r *convert.Result) {
	t.Helper()
	files, err := r.Files("base")
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"overlays/e/env.yaml": {Data: []byte("target: {urls: [http://x]}\nkafka: {brokers: [\"x:9092\"]}\ndashboards: {url: http://x}\n")}}
	for _, f := range files {
		fsys[f.Path] = &fstest.MapFile{Data: f.Data}
	}
	d, err := estate.ReadFS(t.Context(), fsys, "e", noEnv)
	if err != nil {
		if strings.Contains(err.Error(), ".yaml:") { // a place: the file is not what was meant
			t.Fatalf("%v", err)
		}
		return // a body that the kind does not take, which the input had
	}
	for _, o := range r.Objects {
		if got := d.Objects[o.Key]; got == nil || !estate.Same(o.Key, got.Body, o.Body) || o.Kind != estate.SavedObjects && !same(got.Body, o.Body) {
			t.Errorf("%s was %v and is %v", o.Key, o.Body, got)
		}
	}
}

func FuzzManifests(f *testing.F) {
	f.Add([]byte("apiVersion: opensearch.org/v1\nkind: OpensearchRole\nmetadata: {name: r}\nspec: {clusterPermissions: ['${a}', \"x\\u0000\", '', 'null', '1e3', 'yes', '# c', \"a\\nb \"]}\n"))
	f.Add([]byte(ism("{rollover: {minIndexAge: 1d}}, {allocation: {require: '{\"a\":\"b\"}'}}")))
	f.Add([]byte("apiVersion: opensearch.org/v1\nkind: OpensearchIndexTemplate\nmetadata: {name: r}\nspec: {indexPatterns: [a], priority: 1, _meta: {a: [1.0, -0, 1e400, true, null, {}], '${k}': 1}, template: {settings: {a: {b: 1}}}}\n"))
	f.Add([]byte("a: &a [x]\nb: [*a, *a]\n"))
	f.Add([]byte(`{"kind":"OpensearchRoleList","apiVersion":"opensearch.org/v1","items":[{"metadata":{"name":"\ud83d\ude00"},"spec":{}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b convert.Batch
		b.Read("in", data)
		if r, err := b.Result(); err == nil {
			readable(t, r)
		}
	})
}

func FuzzStates(f *testing.F) {
	state, err := os.ReadFile("testdata/terraform.tfstate")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	f.Add([]byte(`{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "opensearch_ingest_pipeline", "name": "x", "instances": [{"attributes": {"name": "p", "body": "{\"processors\":[{\"set\":{\"value\":\"hunter2\"}}]}"}, "sensitive_attributes": [[{"type":"get_attr","value":"body"}]]}]}]}`))
	f.Add([]byte(`{"format_version": "1.0", "values": {"root_module": {"child_modules": [{"resources": [{"address": "a.b", "type": "kafka_topic", "mode": "managed", "values": {"name": "t", "partitions": 1}, "sensitive_values": {"config": true}}]}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b convert.Batch
		b.Read("in", data)
		if r, err := b.Result(); err == nil {
			readable(t, r)
		}
	})
}
