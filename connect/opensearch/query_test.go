package opensearch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// asked runs a query as the engine does: each stream in a goroutine, acknowledged after each batch. It gives the bodies, sorted, and
// the metas.
func asked(t *testing.T, ctx context.Context, url []string, o opensearch.QueryOptions) (bodies, metas []string, err error) {
	t.Helper()
	c, err := opensearch.Endpoint{URLs: url, Resurrect: time.Millisecond, Timeout: 5 * time.Second}.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := opensearch.NewQuery(c, o)
	q.Patience = 5 * time.Second
	var mu sync.Mutex
	var feeds sync.WaitGroup
	err = q.Run(ctx, func(s stream.Stream) {
		feeds.Go(func() {
			defer s.Close() //nolint:errcheck // it only gives back
			for err := error(nil); err == nil; {
				if err = s.Wait(ctx); err != nil {
					return
				}
				b := flow.Batch{MaxRecords: 37}
				err = s.Read(ctx, &b)
				mu.Lock()
				for _, r := range b.Records {
					bodies, metas = append(bodies, string(r.Body)), append(metas, string(r.Meta))
					if !o.Aggregations && (r.Index == "" || len(r.Key) == 0) {
						t.Errorf("%s has no place", r.Body)
					}
				}
				mu.Unlock()
				if len(b.Next) > 0 {
					if err := s.Ack(ctx, b.Next); err != nil {
						t.Error(err)
					}
				}
			}
		})
	})
	feeds.Wait()
	slices.Sort(bodies)
	return bodies, metas, err
}

// filled starts a fake with n documents in two indices.
func filled(t *testing.T, n int, o osfake.Options) *osfake.Server {
	t.Helper()
	fake := osfake.Start(t, o)
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{})
	recs := make([]flow.Record, n)
	for i := range recs {
		recs[i].Body = fmt.Appendf(nil, `{"create":{"_index":"logs-%d","_id":"%d"}}`+"\n"+`{"n":%d,"at":"2026-01-01T00:00:%02dZ"}`+"\n", i%2, i, i, i%7)
	}
	if dead, _, _ := deliver(t, s, recs); len(dead) > 0 {
		t.Fatal(dead)
	}
	refresh(t, fake)
	return fake
}

func refresh(t *testing.T, fake *osfake.Server) {
	t.Helper()
	resp, err := http.Post(fake.URL()+"/logs-*/_refresh", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func wantAll(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"n":%d,"at":"2026-01-01T00:00:%02dZ"}`, i, i%7)
	}
	slices.Sort(all)
	return all
}

func TestAQueryGivesEveryHitOnce(t *testing.T) {
	for _, v := range []osfake.Version{osfake.OpenSearch2, osfake.OpenSearch3, osfake.Elasticsearch7, osfake.Elasticsearch8} {
		fake := filled(t, 503, osfake.Options{Version: v})
		for _, body := range []string{`{"sort":["_doc"]}`, `{}`, `{"query":{"match_all":{}},"sort":[{"at":"asc"}]}`} {
			for _, slices := range []int{1, 3} {
				for _, after := range []bool{false, true} {
					got, _, err := asked(t, t.Context(), fake.URLs, opensearch.QueryOptions{Index: "logs-*", Body: body, Size: 50, Slices: slices, SearchAfter: after})
					if err != nil || !equalTexts(got, wantAll(503)) {
						t.Errorf("%s %s, %d slices, search_after %t: %d hits, %v", v.Number, body, slices, after, len(got), err)
					}
				}
			}
		}
	}
}

func equalTexts(a, b []string) bool { return slices.Equal(a, b) }

func TestWhatAQueryAsksForIsGivenBack(t *testing.T) {
	for _, v := range []osfake.Version{osfake.OpenSearch2, osfake.OpenSearch3, osfake.Elasticsearch8} {
		fake := filled(t, 20, osfake.Options{Version: v})
		if _, _, err := asked(t, t.Context(), fake.URLs, opensearch.QueryOptions{Index: "logs-*", Body: `{}`, Size: 5, SearchAfter: true}); err != nil {
			t.Error(err)
		}
		if opened, closed := fake.Count("open_pit"), fake.Count("close_pit"); opened != closed {
			t.Errorf("%s: %d points in time, %d closed", v.Number, opened, closed)
		}
		if fake.Count("open_pit") == 0 && fake.Count("clear_scroll") != 1 {
			t.Errorf("%s: the scroll is not closed", v.Number)
		}
	}
}

func TestAPageThatIsLostIsAskedForAgainInAPointInTime(t *testing.T) {
	for seed := range uint64(3) {
		fake := filled(t, 400, osfake.Options{Version: osfake.Elasticsearch8})
		fake.SetHook(osfake.Sometimes(seed, 0.4, []osfake.Fault{osfake.Unavailable, osfake.LostAnswer, osfake.TornAnswer, osfake.Busy}, "search", "open_pit", "info"))
		got, _, err := asked(t, t.Context(), fake.URLs, opensearch.QueryOptions{Index: "logs-*", Body: `{}`, Size: 25, Slices: 2, SearchAfter: true})
		if err != nil || !equalTexts(got, wantAll(400)) {
			t.Errorf("seed %d: %d hits, %v", seed, len(got), err)
		}
	}
}

func TestAScrollThatIsLostIsBegunAnewAsOftenAsIsAllowed(t *testing.T) {
	fake := filled(t, 60, osfake.Options{})
	lost := 1
	fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "scroll" && lost > 0 {
			lost--
			return osfake.Fault{Status: 404, Type: "search_context_missing_exception", Reason: "No search context found"}
		}
		return osfake.Fault{}
	})
	o := opensearch.QueryOptions{Index: "logs-*", Body: `{}`, Size: 20}
	if got, _, err := asked(t, t.Context(), fake.URLs, o); err == nil || !strings.Contains(err.Error(), "search_context_missing") || len(got) != 20 {
		t.Errorf("%d hits, %v", len(got), err)
	}
	lost, o.Retries = 1, 1
	got, _, err := asked(t, t.Context(), fake.URLs, o)
	if err != nil || !equalTexts(slices.Compact(got), wantAll(60)) {
		t.Errorf("%d hits, %v", len(got), err)
	}
}

func TestMembersOfHitsComeWithARecord(t *testing.T) {
	fake := filled(t, 2, osfake.Options{Version: osfake.Elasticsearch8})
	_, metas, err := asked(t, t.Context(), fake.URLs, opensearch.QueryOptions{
		Index: "logs-0", Body: `{"version":true}`, Members: []string{"_id", "_index", "_version", "no such"}, SearchAfter: true,
	})
	if err != nil || len(metas) != 1 || metas[0] != `{"_id":"0","_index":"logs-0","_version":1}` {
		t.Errorf("%q %v", metas, err)
	}
}

func TestAggregationsAreOneRecord(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, _ = io.WriteString(w, `{"version":{"number":"8.17.3"}}`)
			return
		}
		if r.URL.Path != "/logs-*/_search" || r.URL.RawQuery != "size=0" {
			t.Errorf("asked for %s", r.URL.RequestURI())
		}
		_, _ = io.WriteString(w, `{"took":1,"_shards":{"failed":0},"hits":{"total":{"value":3},"hits":[]},"aggregations":{"a":{"value":3}}}`)
	})
	got, _, err := asked(t, t.Context(), []string{url}, opensearch.QueryOptions{Index: "logs-*", Body: `{"aggs":{}}`, Slices: 4, Aggregations: true})
	if err != nil || len(got) != 1 || got[0] != `{"a":{"value":3}}` {
		t.Errorf("%q %v", got, err)
	}
}

func TestAQueryThatIsRunAgainGoesOnWhereItWas(t *testing.T) {
	fake := filled(t, 30, osfake.Options{Version: osfake.Elasticsearch8})
	file := filepath.Join(t.TempDir(), "a", "last")
	runs := 0
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := opensearch.QueryOptions{
		Index: "logs-*", Body: `{"query":{"range":{"n":{"gt":":last_value"}}},"sort":[{"n":"asc"}]}`, Size: 4, SearchAfter: true,
		Cursor: &opensearch.Cursor{File: file, Field: []string{"n"}, Seed: "9"},
		Next: func(after time.Time) time.Time {
			if runs++; runs == 2 {
				s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{})
				deliver(t, s, lines(`{"create":{"_index":"logs-0","_id":"late"}}`+"\n"+`{"n":100}`))
				refresh(t, fake)
			}
			if runs > 3 {
				return time.Time{}
			}
			return after.Add(time.Millisecond)
		},
	}
	got, _, err := asked(t, ctx, fake.URLs, o)
	if err != nil || len(got) != 21 {
		t.Errorf("%d hits, not 21: %v", len(got), err)
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != "100" {
		t.Errorf("%q %v", kept, err)
	}
}

func TestAQueryEndsWithItsPipeline(t *testing.T) {
	fake := filled(t, 300, osfake.Options{})
	fake.SetHook(func(r *osfake.Request) osfake.Fault { return osfake.Fault{Latency: 50 * time.Millisecond} })
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	for _, next := range []func(time.Time) time.Time{nil, func(after time.Time) time.Time { return after.Add(time.Hour) }} {
		began := time.Now()
		if _, _, err := asked(t, ctx, fake.URLs, opensearch.QueryOptions{Index: "logs-*", Body: `{}`, Size: 1, Next: next}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	}
}
