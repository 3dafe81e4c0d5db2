package operator

import (
	"encoding/json"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/measure"
	stages "github.com/narudata/naru/flow/stage"
	"github.com/narudata/naru/operator/v1alpha1"
)

// TestWhatIsRenderedIsDeclaredAsTheDirectoryDeclaresIt holds `naru env render` against what the operator makes of its output.
func TestWhatIsRenderedIsDeclaredAsTheDirectoryDeclaresIt(t *testing.T) {
	directory := fstest.MapFS{}
	for name, text := range map[string]string{
		"base/env.yaml": "estate: shop\nvariables: {shards: 3, region: eu}\n",
		"overlays/prod/env.yaml": "target: {urls: ['https://search:9200']}\ndrift: {repair: [ingest-pipelines]}\n" +
			"dashboards: {url: 'https://dash:5601', tenant: shop}\nretention: {'logs-*': 36h, 'web-*': 30d}\nsampling: {rate: 1%, by: trace.id}\n" +
			"masking: {fields: [user.email, '$${not}.a'], keyFile: /keys/mask}\nism: {changeManaged: true}\nmeasure: {before: 1m30s, after: 2m, 'off': true}\n",
		"base/index-templates/web.json":                `{"index_patterns": ["web-*"], "template": {"settings": {"index.number_of_shards": "${shards}"}}}`,
		"overlays/prod/index-templates/web.patch.json": `{"priority": 12345678901234567}`,
		"base/ingest-pipelines/odd.name.yaml":          "processors: [{set: {field: a, value: '$${not} $$${one} ${region} <&>'}}]",
		"base/aliases/logs.yaml":                       `indices: {"logs-*": {filter: {range: {n: {gte: 1.50}}}}}`,
		"base/cluster-settings/limits.json":            `{"persistent": {"action.auto_create_index": "logs-*,-x"}}`,
	} {
		directory[name] = &fstest.MapFile{Data: []byte(text)}
	}
	want, err := estate.ReadFS(t.Context(), directory, "prod", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := want.Manifests(estate.ManifestOptions{Namespace: envNamespace})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(manifests[0])
	if err != nil {
		t.Fatal(err)
	}
	var e v1alpha1.Environment
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	b := newEnvBed(t)
	d, err := b.r.declare(t.Context(), &e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.desired(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bodies := func(d *estate.Desired) map[string]any {
		out := map[string]any{}
		for _, o := range d.List() {
			out[o.Key.String()] = o.Body
		}
		return out
	}
	if d := cmp.Diff(bodies(want), bodies(got)); d != "" {
		t.Errorf("objects, -directory +operator:\n%s", d)
	}
	type sections struct {
		Retention     map[string]time.Duration
		Sampling      *stages.Sample
		Masking       *stages.Mask
		ChangeManaged bool
		Measure       measure.Settings
		Tenant        string
	}
	of := func(d *estate.Desired) sections {
		return sections{d.Retention, d.Sampling, d.Masking, d.ChangeManaged, d.Measure, d.Dashboards.Tenant}
	}
	if d := cmp.Diff(of(want), of(got)); d != "" || want.Masking == nil || want.Dashboards.Tenant != "shop" {
		t.Errorf("sections, -directory +operator:\n%s", d)
	}
	if got.Estate != want.Estate || got.Environment != want.Environment || !cmp.Equal(got.Repair, want.Repair) || !cmp.Equal(got.Target.URLs, want.Target.URLs) {
		t.Errorf("got %+v", got)
	}
}
