package opensearch_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
)

func TestAFieldThatTheTargetDoesNotKnowIsKeptInTheDocumentsAndNotMadeUpFromThem(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{RefusedTypes: []string{"join", "flattened"}})
	s := newSink(t, fake, opensearch.Options{})
	group := flow.Group{Name: "joined", Meta: json.RawMessage(`{"mappings":{"_doc":{"properties":{
		"j":{"type":"join","relations":{"question":"answer"}},
		"f":{"type":"keyword"},
		"o":{"properties":{"f":{"type":"flattened"},"n":{"type":"long"}}},
		"t":{"type":"text","fields":{"raw":{"type":"flattened"}}}}}}}`)}
	if err := s.Prepare(t.Context(), []flow.Group{group}); err != nil {
		t.Fatal(err)
	}
	var recs []flow.Record
	for id, body := range map[string]string{"1": `{"j":"question","o":{"f":{"a":1}}}`, "2": `{"j":{"name":"answer","parent":"1"},"o":{"f":7}}`, "3": `{"j":["x",1],"t":"x"}`} {
		recs = append(recs, flow.Record{Index: "joined", Key: []byte(id), Body: []byte(body)})
	}
	if err := s.Write(t.Context(), recs); err != nil {
		t.Error(err)
	}
	_, mapping := settingsOf(t, fake, "joined")
	kept := map[string]any{"type": "object", "enabled": false}
	want := map[string]any{
		"j": kept,
		"f": map[string]any{"type": "keyword"}, // that o.f has the same last name is no reason
		"o": map[string]any{"properties": map[string]any{"f": kept, "n": map[string]any{"type": "long"}}},
		"t": map[string]any{"type": "text"},
	}
	if diff := cmp.Diff(want, mapping["properties"]); diff != "" {
		t.Error(diff)
	}
	left := strings.Join(s.Prepared()[0].LeftOut, "\n")
	for _, said := range []string{"index of field j, which is kept in the documents and cannot be searched: ", "field t.raw: ", "index of field o.f"} {
		if !strings.Contains(left, said) {
			t.Errorf("%q is not said in\n%s", said, left)
		}
	}
}

func TestATargetThatIsAwayWhileIndicesArePreparedOrRestoredIsWaitedFor(t *testing.T) {
	var calls atomic.Int32 // from 1 on once there is trouble
	fake := osfake.Start(t, osfake.Options{RefusedTypes: []string{"flattened"}, Hook: func(*osfake.Request) osfake.Fault {
		if calls.Load() == 0 {
			return osfake.Fault{}
		}
		switch calls.Add(1) % 4 {
		case 0:
			return osfake.Fault{Status: http.StatusServiceUnavailable}
		case 1:
			return osfake.Fault{Cut: osfake.CutBefore}
		case 2:
			return osfake.Fault{Cut: osfake.CutAfter}
		}
		return osfake.Fault{}
	}})
	s := newSink(t, fake, opensearch.Options{Guard: opensearch.Guard{Off: true}})
	calls.Store(1)
	if err := s.Prepare(t.Context(), []flow.Group{shop}); err != nil {
		t.Fatal(err)
	}
	if left := s.Prepared()[0].LeftOut; len(left) != 2 || !strings.Contains(left[1], "field f") {
		t.Errorf("left out: %q", left)
	}
	if err := s.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls.Store(0)
	settings, mapping := settingsOf(t, fake, "shop")
	meta, _ := mapping["_meta"].(map[string]any)
	if settings["index.number_of_replicas"] != "2" || settings["index.refresh_interval"] != "30s" || meta["naru"] != nil || meta["owner"] != "team-a" {
		t.Errorf("settings %v, mapping %v", settings, mapping)
	}
}
