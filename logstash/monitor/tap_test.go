package monitor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/logstash"
)

var nowRunning = &logstash.Running{}

func outputsOf(n, out int64) []logstash.OutputFigures {
	return []logstash.OutputFigures{{Events: n, Delivered: out, Waiting: n - out}}
}

// nodes is a list of pipelines that changes.
type nodes struct {
	mu   sync.Mutex // guards list
	list []Pipeline
}

func (n *nodes) set(list ...Pipeline) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = list
}

func (n *nodes) get() Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Node{Pipelines: append([]Pipeline(nil), n.list...)}
}

// endless runs a pipeline until the test ends.
func endless(t *testing.T, run, tag string) Pipeline {
	t.Helper()
	p := Pipeline{ID: "main", Run: run, State: Running, Of: compiled(t, fmt.Sprintf(`
		input { generator { id => "in" message => "a" } }
		filter { mutate { id => "mark" add_tag => "%s" } }
		output { null { id => "out" } }`, tag))}
	ctx, cancel := context.WithCancel(context.Background())
	begun, ended := make(chan logstash.Running, 1), make(chan error)
	go func() {
		_, err := p.Of.Run(ctx, logstash.RunOptions{Data: t.TempDir(), Running: func(now logstash.Running) { begun <- now }})
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	now := <-begun
	p.Now = &now
	return p
}

func serving(t *testing.T, n *nodes) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(New(Options{List: n.get, Root: machineFiles}))
	t.Cleanup(s.Close)
	return s
}

func ask(t *testing.T, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestATapGivesAsManySamplesAsAreAskedFor(t *testing.T) {
	var n nodes
	n.set(endless(t, "1", "x"))
	resp := ask(t, serving(t, &n).URL+"/naru/tap?pipeline=main&at=mark&n=7")
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatal(err, resp.Header)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 7 {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	var s TapLine
	if err := json.Unmarshal([]byte(lines[6]), &s); err != nil {
		t.Fatal(err)
	}
	if s.Pipeline != "main" || s.Plugin != "mark" || strings.Contains(string(s.Before), "tags") || !strings.Contains(string(s.After), `"tags":["x"]`) {
		t.Errorf("%s", lines[6])
	}
}

func TestATapGoesOnWhenAPipelineIsLoadedAnewAndEndsWithIt(t *testing.T) {
	var n nodes
	n.set(endless(t, "1", "old"))
	lines := bufio.NewScanner(ask(t, serving(t, &n).URL+"/naru/tap?at=mark&rate=20").Body)
	until := func(tag string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), tag) {
				return
			}
		}
		t.Fatalf("%s never comes: %v", tag, lines.Err())
	}
	until("old")
	next := endless(t, "2", "new")
	n.set(next)
	until("new")
	next.State = Finished
	n.set(next)
	for lines.Scan() {
		continue
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
}

func TestATapThatMakesNoSenseIsRefused(t *testing.T) {
	var n nodes
	a := endless(t, "1", "x")
	b := a
	b.ID, b.Run = "other", "2"
	n.set(a, b)
	url := serving(t, &n).URL
	for query, want := range map[string]int{
		"at=mark": http.StatusNotFound, "pipeline=none&at=mark": http.StatusNotFound, "pipeline=main&at=nope": http.StatusNotFound,
		"pipeline=main&at=mark&n=0": http.StatusBadRequest, "pipeline=main&at=mark&rate=x": http.StatusBadRequest,
	} {
		resp := ask(t, url+"/naru/tap?"+query)
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want || !strings.Contains(string(text), `"message"`) {
			t.Errorf("%s: %d %s", query, resp.StatusCode, text)
		}
	}
	for range mostTaps {
		if resp := ask(t, url+"/naru/tap?pipeline=main&at=mark"); resp.StatusCode != http.StatusOK {
			t.Fatalf("%d", resp.StatusCode)
		}
	}
	if resp := ask(t, url+"/naru/tap?pipeline=main&at=mark"); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("%d", resp.StatusCode)
	}
}

// TestATapWhoseReaderIsStuckHoldsNothingUp lets a reader take nothing while the pipeline runs: it goes on, and what others ask
// for is answered.
func TestATapWhoseReaderIsStuckHoldsNothingUp(t *testing.T) {
	var n nodes
	p := endless(t, "1", strings.Repeat("x", 200_000))
	n.set(p)
	url := serving(t, &n).URL
	_ = ask(t, url+"/naru/tap?at=mark&rate=1000") // its body is never read
	count := func() int64 {
		f := p.Of.Figures(p.Now.Stats)
		return f.In
	}
	deadline := time.Now().Add(20 * time.Second)
	for range 5 {
		before := count()
		for count() < before+5000 {
			if time.Now().After(deadline) {
				t.Fatal("the pipeline does not go on")
			}
			time.Sleep(time.Millisecond)
		}
	}
	var r Report
	if err := json.NewDecoder(ask(t, url+"/naru/figures").Body).Decode(&r); err != nil || len(r.Pipelines) != 1 || r.Pipelines[0].Figures.In == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOnlyThoseThatMayAreAnswered(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, c := range []struct {
		access           Access
		host, user, pass string
		want             int
	}{
		{Access{}, "localhost:9600", "", "", http.StatusNoContent},
		{Access{}, "127.0.0.1:9600", "", "", http.StatusNoContent},
		{Access{}, "127.1.2.3", "", "", http.StatusNoContent},
		{Access{}, "[::1]:9600", "", "", http.StatusNoContent},
		{Access{}, "LOCALHOST.", "", "", http.StatusNoContent},
		{Access{}, "evil.example:9600", "", "", http.StatusForbidden},
		{Access{}, "localhost.evil.example", "", "", http.StatusForbidden},
		{Access{}, "127.0.0.1.evil.example", "", "", http.StatusForbidden},
		{Access{}, "", "", "", http.StatusForbidden},
		{Access{}, "10.0.0.1", "a", "b", http.StatusForbidden},
		{Access{"a", "b"}, "10.0.0.1", "a", "b", http.StatusNoContent},
		{Access{"a", "b"}, "localhost", "", "", http.StatusUnauthorized},
		{Access{"a", "b"}, "localhost", "a", "", http.StatusUnauthorized},
		{Access{"a", "b"}, "localhost", "b", "b", http.StatusUnauthorized},
		{Access{"a", ""}, "localhost", "", "", http.StatusUnauthorized},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/_node/stats", nil)
		r.Host = c.host
		if c.user != "" {
			r.SetBasicAuth(c.user, c.pass)
		}
		w := httptest.NewRecorder()
		Guard(ok, c.access).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
		if w.Code == http.StatusUnauthorized && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%+v: %v", c, w.Header())
		}
	}
}
