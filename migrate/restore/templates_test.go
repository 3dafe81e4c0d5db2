package restore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/format/tree"
	"github.com/narudata/naru/migrate/restore"
)

// metadata are a cluster's, in the forms that versions have written.
const metadata = `{"meta-data":{"version":1,
"templates":{
 "five":{"order":1,"template":"a-*","settings":{"index.number_of_replicas":"0"},"mappings":[{"doc":{"properties":{"x":{"type":"keyword"}}}},{"_default_":{"dynamic":true}}],"aliases":{}},
 "seven":{"order":3,"index_patterns":["b-*"],"settings":{"index":{"refresh_interval":"30s"}},"mappings":{"_doc":{"properties":{"x":{"type":"keyword"}}}},"aliases":{"x":{}}},
 "two-types":{"index_patterns":["c-*"],"mappings":[{"p":{"properties":{}}},{"q":{"properties":{}}}]},
 ".monitoring":{"index_patterns":[".m-*"]}},
"component_template":{"component_template":{"base":{"template":{"settings":{"index":{"number_of_replicas":"0"}}}}}},
"index_template":{"index_template":{
 "logs":{"index_patterns":["logs-*-*"],"_meta":{"managed":true}},
 "mine":{"index_patterns":["d-*"],"composed_of":["base"],"template":{"mappings":{"properties":{"v":{"type":"float"}}}},"priority":5},
 "lost":{"index_patterns":["e-*"],"composed_of":["nowhere"]}}},
"ingest":{"pipeline":[{"id":"tidy","config":{"description":"x","processors":[{"set":{"field":"a","value":1}}]}}]},
"stored_scripts":{"top":{"lang":"painless","source":"1"}}}}`

func TestTemplatesArePutOnceAndOthersStay(t *testing.T) {
	cluster, err := tree.ObjectFromJSON([]byte(metadata))
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, osfake.Options{})
	b.must(t, "PUT", "/_template/seven", `{"index_patterns":["mine"]}`)
	b.fake.SetHook(osfake.Sometimes(7, 0.2, osfake.Passing))
	fates := func() map[string]restore.Fate {
		placed, err := restore.Templates(t.Context(), b.client, cluster, quick)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]restore.Fate{}
		for _, p := range placed {
			all[p.Name] = p.Fate
			if (p.Fate == restore.Refused || p.Fate == restore.Left) == (p.Why == "") {
				t.Errorf("%s", told(p))
			}
		}
		return all
	}
	want := map[string]restore.Fate{
		"five": restore.Put, "seven": restore.Left, "two-types": restore.Refused, ".monitoring": restore.BuiltIn, "base": restore.Put,
		"logs": restore.BuiltIn, "mine": restore.Put, "lost": restore.Refused, "tidy": restore.Put, "top": restore.Put,
	}
	if diff := cmp.Diff(want, fates()); diff != "" {
		t.Error(diff)
	}
	for name, fate := range want {
		if fate == restore.Put {
			want[name] = restore.Same
		}
	}
	if diff := cmp.Diff(want, fates()); diff != "" {
		t.Errorf("a second time:\n%s", diff)
	}
}
