package measure_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate/measure"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files are what a node of OpenSearch 2.19.5 answered to the two requests of a sample.
func TestWhatARealNodeAnsweredIsRead(t *testing.T) {
	x, err := measure.Decode(read(t, "nodes-2.19.5.json"), read(t, "indices-2.19.5.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := slices.Collect(maps.Values(x.Nodes))[0]
	if n.Name != "n1" || n.Indices.Indexing.Total != 6000 || n.Indices.Indexing.Time != 2104 || n.Indices.Search.Queries != 6 || n.Indices.Search.Request.Took.Time != 423 ||
		n.JVM.Mem.Max != 518979584 || n.JVM.GC.Collectors["old"].Time != 276 || n.OS.CPU.Percent == 0 || n.Indices.Segments.Count != 7 || n.Indices.Refresh.Time == 0 {
		t.Errorf("%+v", n)
	}
	if want := map[string]int64{"logs-2026.11.20": 2000, "logs-2026.11.21": 2000, "logs-2026.11.22": 2000}; x.Documents != 6000 || x.Stored != 317632 || !cmp.Equal(x.Indexed, want) {
		t.Errorf("%+v", x)
	}
}

// TestTheFakeAnswersWhatARealNodeDoes holds the fake against the recording: whatever the real node says, it says too.
func TestTheFakeAnswersWhatARealNodeDoes(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	c := connect(t, s.URL())
	for path, file := range map[string]string{measure.NodesPath: "nodes-2.19.5.json", measure.IndicesPath: "indices-2.19.5.json"} {
		write(t, c, "logs-2026.11.20", 1)
		b, err := c.Do(t.Context(), opensearch.Request{Method: http.MethodGet, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		has := leaves(t, b)
		for leaf := range leaves(t, read(t, file)) {
			if !has[leaf] && !strings.Contains(leaf, "thread_pool.get") {
				t.Errorf("%s: the fake does not say %s", file, leaf)
			}
		}
	}
}

// leaves are the paths of an answer; ids of nodes and names of indices are all the same.
func leaves(t *testing.T, b []byte) map[string]bool {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		o, ok := v.(map[string]any)
		if !ok {
			out[path] = true
		}
		for name, x := range o {
			if path == ".nodes" || path == ".indices" {
				name = "*"
			}
			walk(path+"."+name, x)
		}
	}
	walk("", v)
	return out
}

func connect(t testing.TB, url string) *opensearch.Client {
	t.Helper()
	c, err := (opensearch.Target{URLs: []string{url}}).Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t testing.TB, c *opensearch.Client, index string, n int) {
	t.Helper()
	if err := writeTo(t.Context(), c, index, n); err != nil {
		t.Fatal(err)
	}
}

func writeTo(ctx context.Context, c *opensearch.Client, index string, n int) error {
	body := strings.Repeat("{\"index\":{}}\n{\"a\":1}\n", n)
	_, err := c.Do(ctx, opensearch.Request{Method: http.MethodPost, Path: "/" + index + "/_bulk?refresh=true", Type: "application/x-ndjson", Body: []byte(body)})
	return err
}

// busy makes work on the fake until the test ends.
func busy(t *testing.T, c *opensearch.Client) {
	ctx := context.WithoutCancel(t.Context())
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			_, err := c.Do(ctx, opensearch.Request{Method: http.MethodPost, Path: "/logs/_search?ignore_unavailable=true", Body: []byte(`{}`)})
			if err = errors.Join(writeTo(ctx, c, "logs", 5), err); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
	write(t, c, "logs", 1)
}

// cluster is a sample of nodes that have indexed and searched so much, since up.
type cluster struct {
	seconds int
	nodes   map[string][3]int64 // uptime in seconds, documents on this node, queries
	indexed map[string]int64
}

func (c cluster) sample() *measure.Sample {
	x := &measure.Sample{At: time.Unix(int64(c.seconds), 0), Nodes: map[string]*measure.Node{}, Indexed: c.indexed, Documents: 100, Stored: 1000}
	for name, v := range c.nodes {
		n := &measure.Node{Name: name}
		n.JVM.Uptime, n.Indices.Indexing.Total, n.Indices.Search.Queries = v[0]*1000, v[1], v[2]
		x.Nodes[name] = n
	}
	return x
}

func TestRatesSurviveRestartsAndNodesThatComeAndGo(t *testing.T) {
	base := func(at int) cluster {
		n := int64(at)
		return cluster{at, map[string][3]int64{"a": {1000 + n, 1000 * n, 10 * n}, "b": {500 + n, 1000 * n, 20 * n}}, map[string]int64{"logs": 1000 * n}}
	}
	with := func(c cluster, name string, v [3]int64) cluster {
		c.nodes[name] = v
		return c
	}
	without := func(c cluster, name string) cluster {
		delete(c.nodes, name)
		return c
	}
	for name, c := range map[string]struct {
		samples []cluster
		lost    int
		gap     string
	}{
		"nothing happens":     {[]cluster{base(1), base(2), base(3), base(4), base(5)}, 0, ""},
		"a node is restarted": {[]cluster{base(1), base(2), with(base(3), "b", [3]int64{0, 7, 7}), with(base(4), "b", [3]int64{1, 1007, 27}), with(base(5), "b", [3]int64{2, 2007, 47})}, 1, "node b was restarted"},
		"a node leaves":       {[]cluster{base(1), base(2), without(base(3), "b"), without(base(4), "b"), without(base(5), "b")}, 1, "node b left"},
		"a node joins":        {[]cluster{base(1), base(2), with(base(3), "c", [3]int64{9000, 1 << 40, 1 << 30}), with(base(4), "c", [3]int64{9001, 1 << 40, 1 << 30}), with(base(5), "c", [3]int64{9002, 1 << 40, 1 << 30})}, 1, "node c joined"},
		"a counter goes back": {[]cluster{base(1), base(2), with(base(3), "a", [3]int64{2000, 5, 5}), with(base(4), "a", [3]int64{2001, 1005, 15}), with(base(5), "a", [3]int64{2002, 2005, 25})}, 1, "counters of node a went back"},
		"a primary is moved":  {[]cluster{base(1), base(2), {3, base(3).nodes, map[string]int64{"logs": 0}}, {4, base(4).nodes, map[string]int64{"logs": 1000}}, {5, base(5).nodes, map[string]int64{"logs": 2000}}}, 1, "a primary shard of logs moved"},
		"an index is new":     {[]cluster{base(1), base(2), {3, base(3).nodes, map[string]int64{"logs": 2500, "new": 500}}, {4, base(4).nodes, map[string]int64{"logs": 3000, "new": 1000}}, {5, base(5).nodes, map[string]int64{"logs": 3500, "new": 1500}}}, 0, ""},
		"an index is deleted": {[]cluster{{1, base(1).nodes, map[string]int64{"logs": 1000, "old": 1 << 40}}, base(2), base(3), base(4), base(5)}, 0, ""},
	} {
		var samples []*measure.Sample
		for _, s := range c.samples {
			samples = append(samples, s.sample())
		}
		w := measure.Of(samples...)
		if len(w.Values["ingest"]) != 4-c.lost || len(w.Values["search rate"]) != 4-c.lost {
			t.Errorf("%s: %v", name, w.Values)
		}
		for i, v := range w.Values["ingest"] {
			if v != 1000 {
				t.Errorf("%s: rate %d is %v", name, i, v)
			}
		}
		if got := strings.Join(w.Gaps, "; "); got != c.gap {
			t.Errorf("%s: gaps %q, not %q", name, got, c.gap)
		}
	}
}

func TestASampleThatFailsIsAGapAndNoZero(t *testing.T) {
	at := func(n int) *measure.Sample {
		return cluster{n, map[string][3]int64{"a": {1000 + int64(n), 1000 * int64(n), 10}}, map[string]int64{"logs": 1000 * int64(n)}}.sample()
	}
	w := measure.Of(at(1), at(2), nil, at(4), at(5))
	if got := w.Values["ingest"]; !cmp.Equal(got, []float64{1000, 1000}) {
		t.Errorf("%v", got)
	}
	if got := w.Values["query time"]; len(got) > 0 { // there were no queries
		t.Errorf("a time of nothing: %v", got)
	}
}

func TestAWindowTakesSamplesOfABusyCluster(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	s.SetStats(osfake.Stats{HeapPercent: 40, CPUPercent: 10})
	c := connect(t, s.URL())
	busy(t, c)
	lag := int64(0)
	src := measure.Source{Search: c, Lag: func(context.Context) (map[string]int64, error) { lag += 10; return map[string]int64{"g": lag}, nil },
		Cost: func(x *measure.Sample) (float64, string) { return float64(len(x.Nodes)) * 100, "EUR" }}
	steps := 0
	w, err := measure.Take(t.Context(), src, measure.Options{For: time.Second, Every: 100 * time.Millisecond, Step: func(int, int) { steps++ }})
	if err != nil {
		t.Fatal(err)
	}
	if w.Samples < 4 || w.Idle || w.Cut || w.Failed > 0 || steps != w.Samples {
		t.Errorf("%+v, %d steps", w, steps)
	}
	for _, name := range []string{"ingest", "search rate", "query time", "indexing time", "heap", "lag"} {
		if len(w.Values[name]) != w.Samples-1 {
			t.Errorf("%s: %v of %d samples", name, w.Values[name], w.Samples)
		}
	}
	if slices.Min(w.Values["ingest"]) < 10 || math.Abs(w.Values["heap"][0]-40) > 0.1 || w.Levels.Monthly != 100 || w.Levels.Nodes != 1 {
		t.Errorf("%+v", w)
	}
	if asked := s.Count("nodes_stats") + s.Count("stats"); asked != 2*w.Samples {
		t.Errorf("%d requests for %d samples", asked, w.Samples)
	}
}

func TestSlowSamplesAreTakenLessOften(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		usual, window time.Duration
		took          []time.Duration
		want          time.Duration
	}{
		{2 * time.Second, 30 * time.Second, []time.Duration{20 * ms}, 2 * time.Second},
		{2 * time.Second, 10 * time.Minute, []time.Duration{500 * ms}, 10 * time.Second},                          // a twentieth of the time
		{2 * time.Second, 30 * time.Second, []time.Duration{500 * ms}, 2 * time.Second},                           // fifteen there shall be
		{2 * time.Second, 30 * time.Second, []time.Duration{time.Second}, 3 * time.Second},                        // but never more than a third of the time
		{2 * time.Second, 10 * time.Minute, []time.Duration{20 * ms, 30 * time.Second, 20 * ms}, 2 * time.Second}, // one that was slow
	} {
		if got := measure.Pace(c.usual, c.window, c.took); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestAnIdleClusterIsNotMeasuredForLong(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	c := connect(t, s.URL())
	write(t, c, "logs", 5)
	w, err := measure.Take(t.Context(), measure.Source{Search: c}, measure.Options{For: 10 * time.Second, Every: 10 * time.Millisecond})
	if err != nil || !w.Idle {
		t.Fatalf("%+v, %v", w, err)
	}
}

func TestAWindowThatIsStoppedKeepsWhatThereIs(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	c := connect(t, s.URL())
	busy(t, c)
	stop := make(chan struct{})
	w, err := measure.Take(t.Context(), measure.Source{Search: c}, measure.Options{For: time.Minute, Every: 50 * time.Millisecond, Stop: stop, Whole: true, Step: func(taken, _ int) {
		if taken == 4 {
			close(stop)
		}
	}})
	if err != nil || !w.Cut || w.Samples < 4 || len(w.Values["ingest"]) < 3 {
		t.Fatalf("%+v, %v", w, err)
	}
	closed := make(chan struct{})
	close(closed)
	if _, err := measure.Take(t.Context(), measure.Source{Search: c}, measure.Options{Stop: closed}); err != nil && !errors.Is(err, measure.ErrStopped) {
		t.Errorf("%v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := measure.Take(cancelled, measure.Source{Search: c}, measure.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAClusterThatCannotAnswerIsNotMeasuredForLong(t *testing.T) {
	var fail atomic.Bool
	s := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if fail.Load() && r.API == "nodes_stats" {
			return osfake.Fault{Status: http.StatusForbidden}
		}
		return osfake.Fault{}
	}})
	c := connect(t, s.URL())
	fail.Store(true)
	began := time.Now()
	if w, err := measure.Take(t.Context(), measure.Source{Search: c}, measure.Options{For: time.Minute, Every: 20 * time.Millisecond}); err == nil || time.Since(began) > 30*time.Second {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestTheLagThatMayNotBeAskedIsSaid(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	c := connect(t, s.URL())
	busy(t, c)
	src := measure.Source{Search: c, Lag: func(context.Context) (map[string]int64, error) { return nil, errors.New("not allowed") }}
	w, err := measure.Take(t.Context(), src, measure.Options{For: 300 * time.Millisecond, Every: 50 * time.Millisecond, Whole: true})
	if err != nil || len(w.Values["lag"]) > 0 || len(w.Values["ingest"]) == 0 || !slices.Contains(w.Gaps, "the lag of consumer groups: not allowed") {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestLaterLooksAreCompared(t *testing.T) {
	n := &measure.Numbers{}
	if _, err := n.Add(&measure.Window{}, time.Now(), "x"); err == nil {
		t.Error("compared with nothing")
	}
	values := func(level float64) map[string][]float64 {
		v := map[string][]float64{}
		for i := range 30 {
			v["query time"] = append(v["query time"], level+float64(i%7)/10)
		}
		return v
	}
	finished := time.Now()
	n.Before = &measure.Window{Values: values(10)}
	for i := range 9 {
		w := &measure.Window{From: finished.Add(time.Duration(i) * time.Hour), Values: values(10 + float64(5*i))}
		if _, err := n.Add(w, finished, "x"); err != nil {
			t.Fatal(err)
		}
	}
	var at []string
	for _, l := range n.Looks {
		at = append(at, fmt.Sprint(time.Duration(l.After).Hours(), " ", l.Comparisons[0].Verdict))
	}
	if want := []string{"0 no change", "4 worse", "5 worse", "6 worse", "7 worse", "8 worse"}; !cmp.Equal(at, want) {
		t.Error(cmp.Diff(at, want))
	}
	if s := n.Summary(); !strings.Contains(s, "query time +388 % (worse)") {
		t.Error(s)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(read(f, "nodes-2.19.5.json"), read(f, "indices-2.19.5.json"))
	f.Add([]byte(`{"nodes":{"a":null}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, nodes, indices []byte) {
		x, err := measure.Decode(nodes, indices)
		if err != nil {
			return
		}
		y, _ := measure.Decode(nodes, indices)
		y.At = x.At.Add(time.Second)
		w := measure.Of(x, y)
		for name, values := range w.Values {
			for _, v := range values {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("%s is %v", name, v)
				}
			}
		}
		measure.Judge(w, w, "x")
	})
}

func TestARecordStaysSmall(t *testing.T) {
	names := []string{"ingest", "indexing time", "bulk time", "search rate", "query time", "search time", "rejected", "failed", "lag", "heap", "gc", "cpu", "refresh", "merge", "segments", "size"}
	window := func() *measure.Window {
		w := &measure.Window{Values: map[string][]float64{}}
		for _, name := range names {
			for i := range 120 { // as many as a window can have, in five digits
				w.Values[name] = append(w.Values[name], 10001+float64(i*7919%89998))
			}
		}
		return w
	}
	n := &measure.Numbers{Before: window()}
	for range 10 {
		if _, err := n.Add(window(), time.Now(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(n)
	if err != nil || len(b) > 200_000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
