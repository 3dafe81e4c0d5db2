package opensearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func connect(t testing.TB, fake *osfake.Server) *opensearch.Client {
	t.Helper()
	c, err := opensearch.Target{URLs: fake.URLs}.Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newSink(t testing.TB, fake *osfake.Server, o opensearch.Options) *opensearch.Sink {
	t.Helper()
	o.Wait = 2 * time.Millisecond
	s := opensearch.NewSink(connect(t, fake), o)
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestASinkKeepsTheContract(t *testing.T) {
	flowtest.Sink(t, func(t *testing.T) (flow.Sink, func(t *testing.T) []flow.Record) {
		fake := osfake.Start(t, osfake.Options{})
		indices := map[string]bool{}
		s := &noting{Sink: newSink(t, fake, opensearch.Options{}), indices: indices}
		return s, func(*testing.T) []flow.Record {
			var recs []flow.Record
			for index := range indices {
				for id, d := range fake.Documents(index) {
					r := flow.Record{Index: index, Key: []byte(id), Body: d.Source}
					if d.Routing != "" {
						r.Routing = []byte(d.Routing)
					}
					recs = append(recs, r)
				}
			}
			return recs
		}
	})
}

// noting notes which indices are written.
type noting struct {
	*opensearch.Sink
	mu      sync.Mutex
	indices map[string]bool // guarded by mu
}

func (n *noting) Write(ctx context.Context, recs []flow.Record) error {
	n.mu.Lock()
	for i := range recs {
		n.indices[recs[i].Index] = true
	}
	n.mu.Unlock()
	return n.Sink.Write(ctx, recs)
}

func TestAKnownVersionReplacesOlderDocumentsAndSparesNewerOnes(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	s := newSink(t, fake, opensearch.Options{})
	write := func(version int64, body string) error {
		return s.Write(t.Context(), []flow.Record{{Index: "a", Key: []byte("1"), Version: version, Body: []byte(body)}})
	}
	for _, step := range []struct {
		version int64
		body    string
		there   bool
		want    string
	}{
		{5, `{"v":5}`, false, `{"v":5}`}, {5, `{"v":5}`, false, `{"v":5}`}, {4, `{"v":4}`, true, `{"v":5}`}, {6, `{"v":6}`, false, `{"v":6}`},
	} {
		err := write(step.version, step.body)
		if there := err != nil && errors.Is(err.(flow.Failures)[0].Err, flow.ErrThere); there != step.there || err != nil && !there {
			t.Errorf("version %d: %v", step.version, err)
		}
		if got := string(fake.Documents("a")["1"].Source); got != step.want {
			t.Errorf("after version %d it is %s, want %s", step.version, got, step.want)
		}
	}
}

func records(n, size int) []flow.Record {
	recs := make([]flow.Record, n)
	for i := range recs {
		recs[i] = flow.Record{Index: "a", Key: fmt.Appendf(nil, "%d", i), Body: fmt.Appendf(nil, `{"n":%d,"x":%q}`, i, strings.Repeat("x", size))}
	}
	return recs
}

func TestARecordThatIsTooLargeIsNamedAndTheRestArrives(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: osfake.Above(100_000)})
	s := newSink(t, fake, opensearch.Options{})
	recs := records(50, 5_000)
	recs[17].Body = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("y", 200_000))
	fs, ok := errors.AsType[flow.Failures](s.Write(t.Context(), recs))
	if !ok || len(fs) != 1 || fs[0].Index != 17 || !flow.IsPermanent(fs[0].Err) {
		t.Errorf("%v", fs)
	}
	if n := len(fake.Documents("a")); n != 49 {
		t.Errorf("%d documents arrived, not 49", n)
	}
}

func TestARecordThatSpoilsARequestIsFoundByHalving(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if r.API == "bulk" && (bytes.Contains(r.Body, []byte(`"_id":"33"`)) || bytes.Contains(r.Body, []byte(`"_id":"71"`))) {
			return osfake.Fault{Status: http.StatusBadRequest, Type: "illegal_argument_exception", Reason: "Malformed action/metadata line"}
		}
		return osfake.Fault{}
	}})
	s := newSink(t, fake, opensearch.Options{})
	fs, ok := errors.AsType[flow.Failures](s.Write(t.Context(), records(100, 10)))
	if !ok || len(fs) != 2 {
		t.Fatalf("%v", fs)
	}
	for _, f := range fs {
		if f.Index != 33 && f.Index != 71 || !flow.IsPermanent(f.Err) || !strings.Contains(f.Err.Error(), "Malformed action") {
			t.Errorf("record %d: %v", f.Index, f.Err)
		}
	}
	if n := len(fake.Documents("a")); n != 98 {
		t.Errorf("%d documents arrived, not 98", n)
	}
}

func TestRejectedRecordsAreNamedWithTheirReasons(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: osfake.Poison(func(id string) bool { return id == "7" })})
	s := newSink(t, fake, opensearch.Options{})
	recs := append(records(20, 10), flow.Record{Index: "a", Key: []byte("bodiless")})
	fs, _ := errors.AsType[flow.Failures](s.Write(t.Context(), recs))
	if len(fs) != 2 {
		t.Fatalf("%v", fs)
	}
	for _, f := range fs {
		if f.Index != 7 && f.Index != 20 || !flow.IsPermanent(f.Err) {
			t.Errorf("record %d: %v", f.Index, f.Err)
		}
	}
}

func TestATargetThatRefusesThisUserStopsTheFlow(t *testing.T) {
	for _, fault := range []osfake.Fault{osfake.Unauthorized, osfake.Forbidden} {
		fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
			if r.API == "bulk" {
				return fault
			}
			return osfake.Fault{}
		}})
		err := newSink(t, fake, opensearch.Options{}).Write(t.Context(), records(3, 10))
		if _, some := errors.AsType[flow.Failures](err); some || !flow.IsPermanent(err) {
			t.Errorf("%d: %v", fault.Status, err)
		}
	}
}

func TestPatienceWithATargetThatTakesNothingEnds(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if r.API == "bulk" {
			return osfake.FloodStage
		}
		return osfake.Fault{}
	}})
	err := newSink(t, fake, opensearch.Options{Patience: 300 * time.Millisecond}).Write(t.Context(), records(3, 10))
	if !flow.IsPermanent(err) || !strings.Contains(err.Error(), "flood-stage") {
		t.Errorf("%v", err)
	}
}

func TestABlockedIndexIsWaitedForUntilItIsFree(t *testing.T) {
	blocked := 5
	fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if r.API == "bulk" && blocked > 0 {
			blocked--
			return osfake.ReadOnly
		}
		return osfake.Fault{}
	}})
	if err := newSink(t, fake, opensearch.Options{}).Write(t.Context(), records(10, 10)); err != nil {
		t.Error(err)
	}
	if n := len(fake.Documents("a")); n != 10 {
		t.Errorf("%d documents", n)
	}
}

// settingsOf asks the fake for the settings and the mapping of an index.
func settingsOf(t *testing.T, fake *osfake.Server, index string) (settings map[string]any, mapping map[string]any) {
	t.Helper()
	get := func(path string) map[string]map[string]map[string]any {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fake.URLs[0]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s %v", path, resp.StatusCode, b, err)
		}
		var answer map[string]map[string]map[string]any
		if err := json.Unmarshal(b, &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	return get("/" + index + "/_settings?flat_settings=true")[index]["settings"], get("/" + index + "/_mapping")[index]["mappings"]
}

var shop = flow.Group{Name: "shop", Meta: json.RawMessage(`{
	"settings": {"index.number_of_shards": "3", "index.number_of_replicas": "2", "index.refresh_interval": "30s", "index.uuid": "x",
		"index.lifecycle.name": "hot-warm", "index.mapping.total_fields.limit": "2000", "index.version.created": "7172999"},
	"mappings": {"_doc": {"_meta": {"owner": "team-a"}, "dynamic": "strict", "properties": {"n": {"type": "integer"}, "f": {"type": "flattened"}}}},
	"aliases": {"all-shops": {}}}`)}

func TestIndicesAreLoadedWithoutReplicasAndRefreshAndGetThemBack(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{RefusedTypes: []string{"flattened"}})
	s := newSink(t, fake, opensearch.Options{})
	if err := s.Prepare(t.Context(), []flow.Group{shop}); err != nil {
		t.Fatal(err)
	}
	want := func(when, replicas, refresh string, promised bool) {
		t.Helper()
		settings, mapping := settingsOf(t, fake, "shop")
		meta, _ := mapping["_meta"].(map[string]any)
		if settings["index.number_of_replicas"] != replicas || settings["index.refresh_interval"] != refresh || settings["index.number_of_shards"] != "3" ||
			settings["index.mapping.total_fields.limit"] != "2000" || meta["owner"] != "team-a" || (meta["naru"] != nil) != promised {
			t.Errorf("%s: settings %v, mapping %v", when, settings, mapping)
		}
	}
	want("while it is loaded", "0", "-1", true)
	p := s.Prepared()
	if len(p) != 1 || !p[0].Created || len(p[0].LeftOut) != 2 || !strings.Contains(p[0].LeftOut[0], "index.lifecycle.name") || !strings.Contains(p[0].LeftOut[1], "field f") {
		t.Errorf("%+v", p)
	}
	if err := s.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("when all is done", "2", "30s", false)
}

func TestWhatWasPromisedIsKeptByALaterRunHoweverTheFirstOneEnded(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	killed := opensearch.NewSink(connect(t, fake), opensearch.Options{}) // never closed
	if err := killed.Prepare(t.Context(), []flow.Group{shop}); err != nil {
		t.Fatal(err)
	}
	next := newSink(t, fake, opensearch.Options{})
	if err := next.Prepare(t.Context(), []flow.Group{shop}); err != nil {
		t.Fatal(err)
	}
	if settings, _ := settingsOf(t, fake, "shop"); settings["index.refresh_interval"] != "-1" {
		t.Errorf("the second run loads with %v", settings)
	}
	if err := next.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if settings, _ := settingsOf(t, fake, "shop"); settings["index.number_of_replicas"] != "2" || settings["index.refresh_interval"] != "30s" {
		t.Errorf("%v", settings)
	}
}

func TestAnInterruptedLoadLeavesTheIndexSearchable(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	s := opensearch.NewSink(connect(t, fake), opensearch.Options{})
	if err := s.Prepare(t.Context(), []flow.Group{shop}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings, mapping := settingsOf(t, fake, "shop")
	meta, _ := mapping["_meta"].(map[string]any)
	if settings["index.number_of_replicas"] != "2" || settings["index.refresh_interval"] != "30s" || meta["naru"] == nil {
		t.Errorf("%v, %v", settings, mapping)
	}
}

func TestAnIndexThatIsNotNarusIsLeftAsItIs(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	c := connect(t, fake)
	if err := c.JSON(t.Context(), http.MethodPut, "/shop", map[string]any{"settings": map[string]any{"index.number_of_replicas": "1", "index.refresh_interval": "7s"}}, nil); err != nil {
		t.Fatal(err)
	}
	s := newSink(t, fake, opensearch.Options{})
	if err := s.Prepare(t.Context(), []flow.Group{shop}); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if settings, _ := settingsOf(t, fake, "shop"); settings["index.refresh_interval"] != "7s" || settings["index.number_of_replicas"] != "1" {
		t.Errorf("%v", settings)
	}
	if p := s.Prepared(); p[0].Created {
		t.Errorf("%+v", p)
	}
}

func TestTLSIsVerifiedByDefault(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{TLS: true, Username: "u", Password: "p"})
	none := func(string) string { return "" }
	if _, err := (opensearch.Target{URLs: fake.URLs}).Connect(t.Context(), none); err == nil || !strings.Contains(err.Error(), "caFile") {
		t.Errorf("an unknown authority: %v", err)
	}
	target := opensearch.Target{URLs: fake.URLs, TLS: opensearch.TLS{CAFile: fake.CAFile}}
	if _, err := target.Connect(t.Context(), none); err == nil || !strings.Contains(err.Error(), "NARU_PASSWORD") {
		t.Errorf("no name: %v", err)
	}
	env := map[string]string{"NARU_USERNAME": "u", "NARU_PASSWORD": "p"}
	if _, err := target.Connect(t.Context(), func(k string) string { return env[k] }); err != nil {
		t.Error(err)
	}
}
