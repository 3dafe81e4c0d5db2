package opensearch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

func TestARealServerTakesEveryKindOfOperation(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	takesEveryKindOfOperation(t, "os219", false)
}

func takesEveryKindOfOperation(t *testing.T, name string, crash bool) {
	ok, missing := testbed.CanStart(t, name)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, name, testbed.Options{HeapMB: 512})
	node.Call(t, "PUT", "/a", map[string]any{"settings": map[string]any{"number_of_replicas": 0}, "mappings": map[string]any{"properties": map[string]any{"n": map[string]any{"type": "long"}}}})
	s := dialEvents(t, opensearch.Endpoint{URLs: []string{node.URL}}, opensearch.EventsOptions{Compression: 1})
	recs := lines(
		`{"index":{"_index":"a","_id":"1"}}`+"\n"+`{"n":1}`,
		`{"create":{"_index":"a","_id":"2","routing":"r"}}`+"\n"+`{"n":2}`,
		`{"update":{"_index":"a","_id":"1","retry_on_conflict":1}}`+"\n"+`{"doc":{"m":1}}`,
		`{"update":{"_index":"a","_id":"3"}}`+"\n"+`{"doc":{"n":3},"doc_as_upsert":true}`,
		`{"update":{"_index":"a","_id":"4"}}`+"\n"+`{"doc":{"n":3},"upsert":{"n":4}}`,
		`{"index":{"_index":"a","_id":"5"}}`+"\n"+`{"n":5}`,
		`{"delete":{"_index":"a","_id":"5"}}`,
		`{"delete":{"_index":"a","_id":"not there"}}`,
		`{"create":{"_index":"a","_id":"2","routing":"r"}}`+"\n"+`{"n":9}`,
		`{"update":{"_index":"a","_id":"not there"}}`+"\n"+`{"doc":{"n":1}}`,
		`{"index":{"_index":"a","_id":"6","version":7,"version_type":"external"}}`+"\n"+`{"n":7}`,
		`{"index":{"_index":"a","_id":"6","version":6,"version_type":"external"}}`+"\n"+`{"n":6}`,
		`{"index":{"_index":"a","_id":"7"}}`+"\n"+`{"n":"no number"}`,
		`{"index":{"_index":"Not An Index","_id":"7"}}`+"\n"+`{"n":1}`,
		`{"index":{"_index":"a","_id":""}}`+"\n"+`{"n":1}`,
		`{"index":{"_index":"a","_id":"8","pipeline":"there is none"}}`+"\n"+`{"n":1}`,
	)
	dead, there, _ := deliver(t, s, recs)
	if diff := cmp.Diff([]int{8, 11}, there); diff != "" {
		t.Error(diff)
	}
	for _, i := range []int{9, 12, 13, 14, 15} {
		if dead[i] == nil {
			t.Errorf("%s is no dead letter", recs[i].Body)
		}
		t.Logf("%d: %v", i, dead[i])
	}
	if len(dead) != 5 {
		t.Errorf("dead: %v", dead)
	}
	got := documentsOf(t, node, "a")
	want := map[string]string{"1": `{"m":1,"n":1}`, "2": `{"n":2}`, "3": `{"n":3}`, "4": `{"n":4}`, "6": `{"n":7}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	t.Run("a line that cannot be read", func(t *testing.T) {
		recs := creates(200)
		for i := range recs {
			recs[i].Body = []byte(strings.ReplaceAll(string(recs[i].Body), `"a"`, `"b"`))
		}
		recs[77].Body = []byte(`{"index":{"_index":"b","_id":"x","version":"one"}}` + "\n{}\n")
		recs[78].Body = []byte(`{"index":{"_index":"b","_id":"x","no such":1}}` + "\n{}\n")
		dead, _, _ := deliver(t, s, recs)
		if len(dead) != 2 || dead[77] == nil || dead[78] == nil {
			t.Errorf("%v", dead)
		}
		if n := len(documentsOf(t, node, "b")); n != 198 {
			t.Errorf("%d documents arrived, not 198", n)
		}
	})

	t.Run("an index that is blocked is waited for", func(t *testing.T) {
		node.Call(t, "PUT", "/a/_settings", map[string]any{"index.blocks.read_only_allow_delete": true})
		recs := lines(`{"index":{"_index":"a","_id":"blocked"}}`+"\n"+`{"n":1}`, `{"index":{"_index":"c","_id":"1"}}`+"\n"+`{"n":1}`)
		fs, _ := errors.AsType[flow.Failures](s.Write(t.Context(), recs))
		if len(fs) != 1 || fs[0].Index != 0 || flow.IsPermanent(fs[0].Err) {
			t.Errorf("%v", fs)
		}
		node.Call(t, "PUT", "/a/_settings", map[string]any{"index.blocks.read_only_allow_delete": nil})
		if err := s.Write(t.Context(), recs[:1]); err != nil {
			t.Error(err)
		}
	})

	t.Run("a query gives every document once", func(t *testing.T) {
		recs := make([]flow.Record, 1500)
		for i := range recs {
			recs[i].Body = fmt.Appendf(nil, `{"create":{"_index":"q-%d","_id":"%d"}}`+"\n"+`{"n":%d,"same":%d}`+"\n", i%3, i, i, i%2)
		}
		if dead, _, _ := deliver(t, s, recs); len(dead) > 0 {
			t.Fatal(dead)
		}
		node.Call(t, "POST", "/q-*/_refresh", nil)
		for _, body := range []string{`{"sort":["_doc"]}`, `{}`, `{"query":{"range":{"n":{"gte":0}}},"sort":[{"same":"asc"}]}`} {
			for _, slices := range []int{1, 2} {
				for _, after := range []bool{false, true} {
					got, metas, err := asked(t, t.Context(), []string{node.URL}, opensearch.QueryOptions{
						Index: "q-*", Body: body, Size: 100, Slices: slices, SearchAfter: after, Members: []string{"_index"},
					})
					unique := map[string]bool{}
					for _, text := range got {
						unique[text] = true
					}
					if err != nil || len(got) != 1500 || len(unique) != 1500 || !strings.HasPrefix(metas[0], `{"_index":"q-`) {
						t.Errorf("%s, %d slices, search_after %t: %d hits, %d of them once, %v", body, slices, after, len(got), len(unique), err)
					}
				}
			}
		}
		got, _, err := asked(t, t.Context(), []string{node.URL}, opensearch.QueryOptions{Index: "q-*", Body: `{"aggs":{"most":{"max":{"field":"n"}}}}`, Aggregations: true})
		if err != nil || len(got) != 1 || got[0] != `{"most":{"value":1499.0}}` {
			t.Errorf("%q %v", got, err)
		}
	})

	if crash {
		t.Run("a crash under load loses nothing and doubles nothing", func(t *testing.T) { survivesACrash(t, node, s) })
	}
}

// survivesACrash kills the node while events are written, and counts what is there afterwards.
func survivesACrash(t *testing.T, node *testbed.Node, s *opensearch.Events) {
	const workers, batch = 3, 50
	var all sync.WaitGroup
	var written [workers]int
	done := make(chan struct{})
	for w := range workers {
		all.Go(func() {
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				recs := make([]flow.Record, batch)
				for i := range recs {
					id := fmt.Sprintf("%d-%d", w, written[w]+i)
					recs[i].Body = fmt.Appendf(nil, `{"create":{"_index":"load","_id":%q}}`+"\n"+`{"n":%d}`+"\n", id, i)
				}
				if !writeAll(t, s, recs) {
					return
				}
				written[w] += batch
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	time.Sleep(time.Second)
	node.Kill(t)
	node.Restart(t)
	close(done)
	all.Wait()
	want := 0
	for _, n := range written {
		want += n
	}
	if n := len(documentsOf(t, node, "load")); n != want || n >= 10000 {
		t.Errorf("%d documents, not %d", n, want)
	}
}

// writeAll writes until nothing is left, for two minutes at most.
func writeAll(t *testing.T, s flow.Sink, recs []flow.Record) bool {
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := s.Write(t.Context(), recs)
		if err == nil {
			return true
		}
		if time.Since(began) > 2*time.Minute {
			t.Errorf("still not written: %v", err)
			return false
		}
		fs, some := errors.AsType[flow.Failures](err)
		if !some {
			continue
		}
		var again []flow.Record
		for _, f := range fs {
			switch {
			case flow.IsPermanent(f.Err):
				t.Errorf("given up: %v", f.Err)
			case !errors.Is(f.Err, flow.ErrThere):
				again = append(again, recs[f.Index])
			}
		}
		if recs = again; len(recs) == 0 {
			return true
		}
	}
}

// documentsOf gives the documents of an index by id, their members in order.
func documentsOf(t *testing.T, node *testbed.Node, index string) map[string]string {
	t.Helper()
	node.Call(t, "POST", "/"+index+"/_refresh", nil)
	var answer struct {
		Hits struct {
			Hits []struct {
				ID     string         `json:"_id"`
				Source map[string]any `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := json.Unmarshal(node.Call(t, "GET", "/"+index+"/_search?size=10000", nil), &answer); err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, h := range answer.Hits.Hits {
		text, err := json.Marshal(h.Source)
		if err != nil {
			t.Fatal(err)
		}
		docs[h.ID] = string(text)
	}
	return docs
}
