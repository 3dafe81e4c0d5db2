package opensearch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
)

// sharing is an index of two types.
var sharing = flow.Group{Name: "shop", Meta: json.RawMessage(`{"mappings":{
	"_default_":{"dynamic":"strict"},
	"user":{"_routing":{"required":true},"dynamic":"false","properties":{"name":{"type":"keyword"},"n":{"type":"long"}}},
	"order":{"dynamic":"false","properties":{"sum":{"type":"double"},"n":{"type":"keyword"}}}},"settings":{"index.number_of_shards":"2"}}`)}

// written is what Write says of each record: "", "there", or why it is refused.
func written(t *testing.T, s *opensearch.Sink, recs []flow.Record) []string {
	t.Helper()
	out := make([]string, len(recs))
	err := s.Write(t.Context(), recs)
	failures, ok := errors.AsType[flow.Failures](err)
	if err != nil && !ok {
		t.Fatal(err)
	}
	for _, f := range failures {
		switch {
		case errors.Is(f.Err, flow.ErrThere):
			out[f.Index] = "there"
		case flow.IsPermanent(f.Err):
			out[f.Index] = f.Err.Error()
		default:
			t.Errorf("record %d is to be tried again: %v", f.Index, f.Err)
		}
	}
	return out
}

func TestDocumentsOfSeveralTypesThatShareAnIDAreNotTakenForEachOther(t *testing.T) {
	var looks atomic.Int32
	fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if strings.Contains(r.Path, "_mget") && looks.Add(1)%2 == 1 {
			return osfake.Fault{Status: http.StatusServiceUnavailable}
		}
		return osfake.Fault{}
	}})
	s := newSink(t, fake, opensearch.Options{Wait: 1})
	if err := s.Prepare(t.Context(), []flow.Group{sharing}); err != nil {
		t.Fatal(err)
	}
	var recs []flow.Record
	for i := range 200 {
		recs = append(recs, flow.Record{Index: "shop", Type: "user", Key: fmt.Appendf(nil, "%d", i), Routing: []byte("r"), Body: fmt.Appendf(nil, `{"name":"user %d"}`, i)})
	}
	orders := flow.Record{Index: "shop", Type: "order", Key: []byte("7"), Routing: []byte("r"), Body: []byte(`{"sum":7}`)}
	elsewhere := orders
	elsewhere.Key = []byte("200")
	recs = append(recs, orders, elsewhere)
	const shared = "another document of the index has this id already: in the source they are of different mapping types, which the target does not have"
	want := make([]string, 202)
	want[200] = shared
	if diff := cmp.Diff(want, written(t, s, recs)); diff != "" {
		t.Errorf("the first time: %s", diff)
	}
	for i := range want {
		want[i] = "there"
	}
	want[200] = shared
	if diff := cmp.Diff(want, written(t, s, recs)); diff != "" {
		t.Errorf("again: %s", diff)
	}
	if got := fake.Documents("shop")["7"]; string(got.Source) != `{"name":"user 7"}` || got.Version != 1 {
		t.Errorf("%+v", got)
	}
}

func TestOfSeveralTypesOnlyWhatAllAgreeOnIsKeptAndTheRestIsSaid(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	s := newSink(t, fake, opensearch.Options{})
	if err := s.Prepare(t.Context(), []flow.Group{sharing}); err != nil {
		t.Fatal(err)
	}
	left := s.Prepared()[0].LeftOut
	want := []string{
		"mapping types: order, user are one",
		"mapping of field n of type user: another type of the index has another",
		"mapping parameter _routing of type user: other types of the index have another",
	}
	if len(left) != len(want) {
		t.Errorf("left out: %s", cmp.Diff(want, left))
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(left, "\n"), w) {
			t.Errorf("%q is not among %q", w, left)
		}
	}
	_, mapping := settingsOf(t, fake, "shop")
	if mapping["dynamic"] != "false" || mapping["_routing"] != nil {
		t.Errorf("mapping %v", mapping)
	}
}
