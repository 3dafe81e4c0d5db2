package estate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

// many declares n pipelines, p00 and so on.
func (b *bench) many(n int) {
	b.t.Helper()
	for i := range n {
		b.file(fmt.Sprintf("base/ingest-pipelines/p%02d.json", i), `{"processors": []}`)
	}
}

// watch puts a door before the cluster, which sees what is asked. before is called before a request is let through, and its answer
// after it was answered.
func (b *bench) watch(before func(r *http.Request) (after func())) {
	b.t.Helper()
	to, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after := before(r)
		proxy.ServeHTTP(w, r)
		after()
	}))
	b.t.Cleanup(s.Close)
	if b.client, err = (opensearch.Target{URLs: []string{s.URL}}).Connect(b.t.Context(), noEnv); err != nil {
		b.t.Fatal(err)
	}
}

// pipelines are those that the cluster has, as JSON.
func (b *bench) pipelines() string {
	b.t.Helper()
	text, err := b.client.Do(b.t.Context(), opensearch.Request{Method: http.MethodGet, Path: "/_ingest/pipeline"})
	if e, ok := errors.AsType[*opensearch.StatusError](err); ok && e.Status == http.StatusNotFound {
		return "{}" // so it says that there is none
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func TestObjectsOfALevelAreAppliedAtOnceAndThoseThatTheyCallBefore(t *testing.T) {
	b := newBench(t)
	b.many(20)
	for i := range 4 { // a chain, whose names are the wrong way round
		b.file(fmt.Sprintf("base/ingest-pipelines/chain%d.json", i), fmt.Sprintf(`{"processors": [{"pipeline": {"name": "chain%d"}}]}`, i+1))
		b.file(fmt.Sprintf("base/roles/r%d.yaml", i), "cluster_permissions: [x]\n")
		b.file(fmt.Sprintf("base/index-templates/t%d.json", i), fmt.Sprintf(`{"index_patterns": ["t%d-*"], "composed_of": ["c%d"]}`, i, i))
		b.file(fmt.Sprintf("base/component-templates/c%d.json", i), `{"template": {}}`)
	}
	b.file("base/ingest-pipelines/chain4.json", `{"processors": []}`)
	var mu sync.Mutex // guards those below
	under, most := map[string]int{}, map[string]int{}
	var ended []string
	wave := make(chan struct{}) // closed once two pipelines are under way
	b.watch(func(r *http.Request) func() {
		path := strings.TrimPrefix(r.URL.Path, "/_plugins/_security/api")
		kind, name := filepath.Split(path)
		if r.Method != http.MethodPut || strings.HasPrefix(path, "/"+estate.RecordIndex) {
			return func() {}
		}
		mu.Lock()
		under[kind]++
		most[kind] = max(most[kind], under[kind])
		if kind == "/_ingest/pipeline/" && under[kind] == 2 {
			select {
			case <-wave:
			default:
				close(wave)
			}
		}
		mu.Unlock()
		if name == "p00" { // waits for company; if it never came, this would be what it came to
			select {
			case <-wave:
			case <-t.Context().Done():
			}
		}
		return func() {
			mu.Lock()
			defer mu.Unlock()
			under[kind]--
			ended = append(ended, name)
		}
	})
	p := b.plan()
	var told []string
	a := estate.Applier{Target: b.target(), By: "tester", Now: time.Now, Step: func(done int, ch *estate.Change) {
		if told = append(told, ch.Key.String()); done != len(told) {
			t.Errorf("step %d is said to be the %dth", len(told), done)
		}
	}}
	if _, err := a.Apply(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	b.wants(b.plan())
	var planned []string
	for i := range p.Changes {
		planned = append(planned, p.Changes[i].Key.String())
	}
	slices.Sort(planned)
	if slices.Sort(told); !slices.Equal(told, planned) {
		t.Errorf("told of %q, which are not those of the plan", told)
	}
	if n := most["/_ingest/pipeline/"]; n < 2 || n > 8 {
		t.Errorf("%d pipelines at once", n)
	}
	if n := most["/roles/"]; n != 1 {
		t.Errorf("%d roles at once, which are all in one document", n)
	}
	at := func(name string) int { return slices.Index(ended, name) }
	for i := range 4 {
		if at(fmt.Sprintf("chain%d", i)) < at(fmt.Sprintf("chain%d", i+1)) || at(fmt.Sprintf("t%d", i)) < at("c3") {
			t.Errorf("what is called was not there before: %q", ended)
		}
	}
}

// TestWhoDiesAmidManyChangesLeavesNoObjectWithoutAnOwner cuts the connection for good at each request in turn, while several are under
// way. What is there then is the estate's: it goes when it is declared no more.
func TestWhoDiesAmidManyChangesLeavesNoObjectWithoutAnOwner(t *testing.T) {
	for _, cut := range []osfake.Cut{osfake.CutBefore, osfake.CutAfter} {
		for at := 0; ; at += 3 {
			b := newBench(t)
			b.many(70) // records are written amid them
			p := b.plan()
			n := 0
			b.fake.SetHook(func(*osfake.Request) osfake.Fault {
				switch n++; {
				case n == at+1:
					return osfake.Fault{Cut: cut}
				case n > at:
					return osfake.Fault{Cut: osfake.CutBefore}
				}
				return osfake.Fault{}
			})
			run, err := b.try(t.Context(), p)
			b.fake.SetHook(nil)
			if err == nil {
				return
			}
			if at%2 == 0 {
				b.apply(b.plan()) // the rest
				b.wants(b.plan())
				if d := b.drift(); len(d) > 0 {
					t.Errorf("%v at request %d: drift: %q", cut, at, d)
				}
			}
			if err := os.RemoveAll(filepath.Join(b.dir, "base")); err != nil {
				t.Fatal(err)
			}
			b.apply(b.plan())
			if left := b.pipelines(); left != "{}" {
				t.Fatalf("%v at request %d (%+v): pipelines outlived that they were declared: %s", cut, at, run, left)
			}
			b.wants(b.plan())
		}
	}
}

func TestAnApplyWaitsForAClusterThatIsTooBusyNow(t *testing.T) {
	b := newBench(t)
	b.many(30)
	p := b.plan()
	n := 0
	pressed := osfake.Pressed(7, 0.1)
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if n++; n%7 == 0 {
			return osfake.Busy
		}
		return pressed(r)
	})
	run := b.apply(p)
	b.fake.SetHook(nil)
	if run.Done != 30 {
		t.Errorf("%+v", run)
	}
	b.wants(b.plan())
}

func TestAClusterThatStaysTooBusyEndsAnApplyOnce(t *testing.T) {
	b := newBench(t)
	b.many(30)
	p := b.plan()
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.Method == http.MethodPut && strings.HasPrefix(r.Path, "/_ingest") {
			return osfake.FloodStage // of those, the one that waiting does not help
		}
		return osfake.Fault{}
	})
	run, err := b.try(t.Context(), p)
	b.fake.SetHook(nil)
	if err == nil || run == nil || run.Done != 0 || !strings.Contains(err.Error(), "flood-stage") || !strings.Contains(err.Error(), "0 of 30 changes done") {
		t.Errorf("%+v, %v", run, err)
	}
	b.apply(b.plan())
	b.wants(b.plan())
}

func TestAChangeThatFailsAmidOthersLetsThoseUnderWayEndAndNoMoreBegin(t *testing.T) {
	b := newBench(t)
	b.many(99)
	p := b.plan()
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.Path, "/p10") {
			return osfake.Fault{Status: http.StatusBadRequest, Type: "parse_exception", Reason: "no such processor"}
		}
		return osfake.Fault{}
	})
	var told []string
	a := estate.Applier{Target: b.target(), By: "tester", Now: time.Now, Step: func(_ int, ch *estate.Change) { told = append(told, ch.Name) }}
	run, err := a.Apply(t.Context(), p)
	b.fake.SetHook(nil)
	if err == nil || run == nil {
		t.Fatalf("%+v, %v", run, err)
	}
	want := fmt.Sprintf("create ingest-pipelines/p10: PUT /_ingest/pipeline/p10: parse_exception: no such processor (HTTP status 400); %d of 99 changes done, the next plan has the rest", run.Done)
	if err.Error() != want || run.Failed != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if run.Done < 3 || run.Done > 97 || len(told) != run.Done || slices.Contains(told, "p10") {
		t.Errorf("%d done, told of %q", run.Done, told)
	}
	if rest := b.plan(); rest.Count(estate.Create) != 99-run.Done || rest.Unchanged != run.Done {
		t.Errorf("%d done: %s", run.Done, rest.Summary())
	}
	b.apply(b.plan())
	b.wants(b.plan())
}

func TestAnApplyThatIsToldToStopAmidManyEndsThoseUnderWay(t *testing.T) {
	b := newBench(t)
	b.many(40)
	stop := make(chan struct{})
	a := estate.Applier{Target: b.target(), By: "tester", Now: time.Now, Stop: stop, Step: func(done int, _ *estate.Change) {
		if done == 5 {
			close(stop)
		}
	}}
	run, err := a.Apply(t.Context(), b.plan())
	if !errors.Is(err, estate.ErrStopped) || run.Done < 5 || run.Done > 5+7 {
		t.Fatalf("%+v, %v", run, err)
	}
	if rest := b.plan(); rest.Count(estate.Create) != 40-run.Done || rest.Unchanged != run.Done || len(rest.Changes) != 40-run.Done {
		t.Errorf("%d done: %s", run.Done, rest.Summary())
	}
}

func TestAnApplyThatIsCancelledAmidManySaysSoOnceAndItsRecordsAreWritten(t *testing.T) {
	b := newBench(t)
	b.many(40)
	ctx, cancel := context.WithCancel(t.Context())
	a := estate.Applier{Target: b.target(), By: "tester", Now: time.Now, Step: func(done int, _ *estate.Change) {
		if done == 5 {
			cancel()
		}
	}}
	run, err := a.Apply(ctx, b.plan())
	if !errors.Is(err, context.Canceled) || run == nil || strings.Count(err.Error(), "context canceled") != 1 {
		t.Fatalf("%+v, %v", run, err)
	}
	d, o := b.observe()
	if n := o.Records[estate.Key{Kind: estate.IngestPipelines, Name: "p00"}]; n == nil || n.Pending != nil || n.Apply != run.ID {
		t.Errorf("the record of what is done: %+v", n)
	}
	history, err := estate.History(t.Context(), b.target(), d)
	if err != nil || len(history) != 1 || history[0].Done != run.Done || history[0].Finished.IsZero() {
		t.Errorf("%+v, %v", history, err)
	}
	b.apply(b.plan())
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift: %q", d)
	}
}

func TestWhatSomebodyElseChangesAmidAnApplyIsLeftToThem(t *testing.T) {
	b := newBench(t)
	b.many(40)
	a := estate.Applier{Target: b.target(), By: "tester", Now: time.Now, Step: func(done int, _ *estate.Change) {
		if done == 1 {
			b.send("PUT", "/_ingest/pipeline/p39", `{"description": "theirs", "processors": []}`)
		}
	}}
	run, err := a.Apply(t.Context(), b.plan())
	if err == nil || !strings.Contains(err.Error(), "create ingest-pipelines/p39: somebody else changed it since") || run.Done != 39 {
		t.Errorf("%+v, %v", run, err)
	}
	if text := b.get("/_ingest/pipeline/p39"); !strings.Contains(text, "theirs") {
		t.Errorf("it was written over: %s", text)
	}
}
