package monitor

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/syntax"
)

var update = flag.Bool("update", false, "write the goldens")

const shown = `
input { stdin { id => "in" codec => json { } } }
filter {
  if [n] == 3 { drop { id => "three" } }
  mutate { id => "mark" add_tag => "seen" }
  clone { id => "twice" clones => ["copy"] }
  if [n] == 4 and [nothing] > 1 { mutate { } }
}
output { if [n] == 1 { null { id => "none" } } else { stdout { id => "out" codec => line { format => "%{n}" } } } }
`

// machineFiles are what Linux says of a process.
var machineFiles = fstest.MapFS{
	"proc/self/stat":            {Data: []byte("7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 1 1 1\n")},
	"proc/self/limits":          {Data: []byte("Limit  Soft Limit\nMax open files            1024                 4096                 files\n")},
	"proc/self/status":          {Data: []byte("Name:\tx\nVmSize:\t    2048 kB\n")},
	"proc/self/fd/0":            {},
	"proc/self/fd/1":            {},
	"proc/loadavg":              {Data: []byte("1.50 0.75 0.25 1/2 3\n")},
	"proc/meminfo":              {Data: []byte("MemTotal:       1000 kB\n")},
	"proc/sys/kernel/osrelease": {Data: []byte("6.1\n")},
	"proc/self/cgroup":          {Data: []byte("0::/pod/a\n")},
	"sys/fs/cgroup/cpu.stat":    {Data: []byte("usage_usec 5000\nuser_usec 1\nnr_periods 7\nnr_throttled 2\nthrottled_usec 3\n")},
	"sys/fs/cgroup/cpu.max":     {Data: []byte("50000 100000\n")},
	"sys/fs/cgroup/memory.max":  {Data: []byte("max\n")},
}

// compiled compiles a configuration.
func compiled(t *testing.T, text string) *logstash.Pipeline {
	t.Helper()
	p, problems := logstash.Read([]syntax.File{{Name: "a.conf", Text: []byte(text)}}, syntax.Options{}, logstash.Options{})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// ran gives a monitor of a pipeline that has worked off four events, ten seconds after it began.
func ran(t *testing.T) *Monitor {
	t.Helper()
	p := Pipeline{ID: "main", Run: "run-1", Hash: "abc", Workers: 2, BatchSize: 125, State: Running, Of: compiled(t, shown)}
	in := "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n"
	o := logstash.RunOptions{Stdin: strings.NewReader(in), Stdout: io.Discard, Data: t.TempDir(), Running: func(now logstash.Running) { p.Now = &now }}
	if _, err := p.Of.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	p.Dead = p.Now.Dead
	p.Reloads = Reloads{Successes: 2, Failures: 1, LastSuccess: time.Unix(1_800_000_000, 0), LastError: "no"}
	at := p.Now.Stats.Started.Add(10 * time.Second)
	m := New(Options{
		List: func() Node {
			return Node{Pipelines: []Pipeline{p}, Past: Events{In: 100, Filtered: 90, Out: 90}, Reloads: p.Reloads}
		},
		Now: func() time.Time { return at }, Root: machineFiles, Address: "127.0.0.1:9600", Name: "node",
		Build: Build{Version: "v1", Revision: "abcd", Time: "2026-01-01T00:00:00Z"}, Plugins: []string{"logstash-input-stdin", "logstash-filter-grok"},
	})
	m.began = p.Now.Stats.Started
	return m
}

// get asks for a path.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Host = "localhost:9600"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// still replaces what is another in each run.
func still(text string) string {
	for _, x := range []struct{ from, to string }{
		{`("(?:queue_size_in_bytes|duration_in_millis|queue_push_duration_in_millis|collection_time_in_millis|collection_count|count|peak_count|pid|start_time_in_millis|[a-z_]*heap[a-z_]*in_bytes|heap_used_percent|committed_in_bytes|peak_used_in_bytes|used_in_bytes|available_processors)": )-?[0-9]+`, `${1}0`},
		{`("(?:ephemeral_id|host|id)": )"[0-9a-f-]{36}"`, `${1}"ID"`},
		{`("host": )"[^"]*"`, `${1}"HOST"`},
		{`("timestamp": )"[^"]*"`, `${1}"TIME"`},
		{`("(?:vm_)?version": )"(?:go)?1\.[^"]*"`, `${1}"GO"`},
		{`("(?:worker_utilization|worker_concurrency|worker_millis_per_event)": )\{[^}]*\}`, `${1}{}`},
		{`("dead_letter_queue_path": )"[^"]*"`, `${1}"DEAD"`},
		{`("arch": |"name": )"(?:amd64|arm64|linux|darwin)"`, `${1}"HERE"`},
	} {
		text = regexp.MustCompile(x.from).ReplaceAllString(text, x.to)
	}
	return text + "\n"
}

func TestTheAnswersAreThoseOfLogstash(t *testing.T) {
	m := ran(t)
	for name, path := range map[string]string{
		"root": "/?pretty", "node": "/_node?pretty", "pipelines": "/_node/pipelines/main?pretty", "plugins": "/_node/plugins/?pretty",
		"stats": "/_node/stats?pretty", "stats-pipeline": "/_node/stats/pipelines/main?pretty", "health": "/_health_report?pretty",
		"missing": "/_node/stats/pipelines/none?pretty",
	} {
		w := get(t, m, path)
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: %s", path, got)
		}
		file := filepath.Join("testdata", name+".golden")
		got := still(w.Body.String())
		if *update {
			if err := os.MkdirAll("testdata", 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-update writes it):\n%s", path, diff)
		}
	}
}

func TestSectionsAreGivenByThemselvesAndWhatIsNotThereIsNotFound(t *testing.T) {
	m := ran(t)
	for path, want := range map[string][]string{
		"/_node/stats/jvm":          {"jvm"},
		"/_node/stats/events, flow": {"events", "flow"},
		"/_node/stats/":             {"jvm", "process", "events", "flow", "pipelines", "reloads", "os", "queue"},
		"/_node/os,jvm":             {"jvm", "os"},
		"/_node/hot_threads":        {"hot_threads"},
	} {
		var got map[string]json.RawMessage
		w := get(t, m, strings.ReplaceAll(path, " ", "%20"))
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %v", path, w.Code, err)
		}
		for _, name := range want {
			if got[name] == nil {
				t.Errorf("%s has no %s", path, name)
			}
		}
		const metadata = 9
		if len(got) != metadata+len(want) {
			t.Errorf("%s: %d members: %s", path, len(got), w.Body)
		}
	}
	for _, path := range []string{"/nothing", "/_node/nothing", "/_node/stats/nothing", "/_node/pipelines/other", "/_node/stats/pipelines/other"} {
		w := get(t, m, path)
		want := `{"error":{"message":"Not Found"},"path":"` + path + `","status":404}`
		if w.Code != http.StatusNotFound || w.Body.String() != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/_node/stats", nil)
	w := httptest.NewRecorder()
	if m.ServeHTTP(w, r); w.Code != http.StatusNotFound {
		t.Errorf("PUT: %d", w.Code)
	}
}

func TestAStatusIsWaitedFor(t *testing.T) {
	m := ran(t)
	for path, want := range map[string]int{
		"/?wait_for_status=green&timeout=1s":  http.StatusOK,
		"/?wait_for_status=GREEN&timeout=1d":  http.StatusOK,
		"/?wait_for_status=green":             http.StatusBadRequest,
		"/?wait_for_status=blue&timeout=1s":   http.StatusBadRequest,
		"/?wait_for_status=green&timeout=one": http.StatusBadRequest,
	} {
		if w := get(t, m, path); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	list := m.o.List
	m.o.List = func() Node {
		n := list()
		n.Pipelines[0].State = Terminated
		return n
	}
	began := time.Now()
	if w := get(t, m, "/?wait_for_status=yellow&timeout=300ms"); w.Code != http.StatusRequestTimeout || time.Since(began) < 300*time.Millisecond {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(t, m, "/_health_report"); !strings.Contains(w.Body.String(), `"status":"red"`) || !strings.Contains(w.Body.String(), "TERMINATED") {
		t.Errorf("%s", w.Body)
	}
}

// exporter is what a known exporter reads of /_node/stats, by its types.
type exporter struct {
	Version string `json:"version"`
	Status  string `json:"status"`
	Jvm     struct {
		Threads struct {
			Count     int `json:"count"`
			PeakCount int `json:"peak_count"`
		} `json:"threads"`
		Mem struct {
			HeapUsedPercent int   `json:"heap_used_percent"`
			HeapMaxInBytes  int64 `json:"heap_max_in_bytes"`
			HeapUsedInBytes int64 `json:"heap_used_in_bytes"`
			NonHeapUsed     int64 `json:"non_heap_used_in_bytes"`
			Pools           map[string]struct {
				PeakMax   int64 `json:"peak_max_in_bytes"`
				Max       int64 `json:"max_in_bytes"`
				Committed int64 `json:"committed_in_bytes"`
				PeakUsed  int64 `json:"peak_used_in_bytes"`
				Used      int64 `json:"used_in_bytes"`
			} `json:"pools"`
		} `json:"mem"`
		Gc struct {
			Collectors map[string]struct {
				Count  int `json:"collection_count"`
				Millis int `json:"collection_time_in_millis"`
			} `json:"collectors"`
		} `json:"gc"`
		UptimeInMillis int `json:"uptime_in_millis"`
	} `json:"jvm"`
	Process struct {
		Open int64 `json:"open_file_descriptors"`
		Max  int64 `json:"max_file_descriptors"`
		Mem  struct {
			Total int64 `json:"total_virtual_in_bytes"`
		} `json:"mem"`
		CPU struct {
			Total   int64              `json:"total_in_millis"`
			Percent int                `json:"percent"`
			Load    map[string]float64 `json:"load_average"`
		} `json:"cpu"`
	} `json:"process"`
	Events exporterEvents            `json:"events"`
	Flow   map[string]exporterWindow `json:"flow"`
	Os     struct {
		Cgroup struct {
			CPU struct {
				Period int64 `json:"cfs_period_micros"`
				Quota  int64 `json:"cfs_quota_micros"`
				Stat   struct {
					Throttled int64 `json:"time_throttled_nanos"`
					Times     int64 `json:"number_of_times_throttled"`
					Periods   int64 `json:"number_of_elapsed_periods"`
				} `json:"stat"`
			} `json:"cpu"`
			Cpuacct struct {
				Usage int64  `json:"usage_nanos"`
				Group string `json:"control_group"`
			} `json:"cpuacct"`
		} `json:"cgroup"`
	} `json:"os"`
	Queue struct {
		EventsCount int `json:"events_count"`
	} `json:"queue"`
	Pipelines map[string]struct {
		Events  exporterEvents            `json:"events"`
		Flow    map[string]exporterWindow `json:"flow"`
		Plugins struct {
			Inputs []struct {
				ID, Name string
				Events   struct {
					Out  int `json:"out"`
					Push int `json:"queue_push_duration_in_millis"`
				}
			}
			Codecs []struct {
				ID, Name string
				Decode   struct {
					Out      int `json:"out"`
					WritesIn int `json:"writes_in"`
				}
				Encode struct {
					WritesIn int `json:"writes_in"`
				}
			}
			Filters, Outputs []struct {
				ID, Name string
				Events   struct {
					In, Out          int
					DurationInMillis int `json:"duration_in_millis"`
				}
				Flow map[string]exporterWindow
			}
		} `json:"plugins"`
		Reloads struct {
			LastSuccess *time.Time `json:"last_success_timestamp"`
			LastFailure *time.Time `json:"last_failure_timestamp"`
			Successes   int        `json:"successes"`
			Failures    int        `json:"failures"`
			LastError   struct {
				Message   string   `json:"message"`
				Backtrace []string `json:"backtrace"`
			} `json:"last_error"`
		} `json:"reloads"`
		Queue struct {
			Type string `json:"type"`
			Max  int64  `json:"max_queue_size_in_bytes"`
		} `json:"queue"`
		DeadLetterQueue struct {
			Size   int64  `json:"queue_size_in_bytes"`
			Policy string `json:"storage_policy"`
		} `json:"dead_letter_queue"`
		Hash        string `json:"hash"`
		EphemeralID string `json:"ephemeral_id"`
	} `json:"pipelines"`
}

type exporterEvents struct {
	In       int64 `json:"in"`
	Filtered int64 `json:"filtered"`
	Out      int64 `json:"out"`
	Duration int64 `json:"duration_in_millis"`
	Push     int64 `json:"queue_push_duration_in_millis"`
}

type exporterWindow struct {
	Current  *float64 `json:"current"`
	Lifetime *float64 `json:"lifetime"`
}

func TestAnExporterUnderstandsTheAnswer(t *testing.T) {
	var x exporter
	if err := json.Unmarshal(get(t, ran(t), "/_node/stats").Body.Bytes(), &x); err != nil {
		t.Fatal(err)
	}
	if x.Version != LogstashVersion || x.Status != "green" || x.Jvm.Mem.HeapUsedInBytes <= 0 || x.Jvm.Threads.Count <= 0 || len(x.Jvm.Gc.Collectors) != 2 ||
		len(x.Jvm.Mem.Pools) != 3 || x.Jvm.UptimeInMillis != 10_000 {
		t.Errorf("%+v", x.Jvm)
	}
	if x.Process.Open != 2 || x.Process.Max != 1024 || x.Process.Mem.Total != 2048<<10 || x.Process.CPU.Total != 3000 || x.Process.CPU.Load["5m"] != 0.75 {
		t.Errorf("%+v", x.Process)
	}
	if c := x.Os.Cgroup; c.CPU.Quota != 50000 || c.CPU.Period != 100000 || c.CPU.Stat.Throttled != 3000 || c.CPU.Stat.Times != 2 || c.Cpuacct.Usage != 5_000_000 || c.Cpuacct.Group != "/pod/a" {
		t.Errorf("%+v", c)
	}
	// n=3 is dropped, n=4 twice lost, n=1 and n=2 come twice.
	if want := (exporterEvents{In: 104, Filtered: 94, Out: 94}); x.Events.In != want.In || x.Events.Filtered != want.Filtered || x.Events.Out != want.Out {
		t.Errorf("%+v", x.Events)
	}
	p := x.Pipelines["main"]
	if p.Events.In != 4 || p.Events.Filtered != 4 || p.Events.Out != 4 || p.Hash != "abc" || p.EphemeralID != "run-1" || p.Queue.Type != "memory" || p.Reloads.Successes != 2 ||
		p.Reloads.LastSuccess == nil || p.Reloads.LastFailure != nil || p.Reloads.LastError.Message != "no" {
		t.Errorf("%+v", p)
	}
	for _, name := range []string{"input_throughput", "filter_throughput", "output_throughput", "queue_backpressure", "worker_concurrency", "worker_utilization"} {
		if w := p.Flow[name]; w.Current == nil || w.Lifetime == nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
	if r := p.Flow["input_throughput"].Lifetime; r == nil || *r != 0.4 {
		t.Errorf("%v events per second", r)
	}
	if in := p.Plugins.Inputs[0]; in.ID != "in" || in.Name != "stdin" || in.Events.Out != 4 {
		t.Errorf("%+v", in)
	}
	if f := p.Plugins.Filters[0]; f.ID != "three" || f.Events.In != 1 || f.Events.Out != 0 {
		t.Errorf("%+v", f)
	}
	if f := p.Plugins.Filters[2]; f.ID != "twice" || f.Events.In != 3 || f.Events.Out != 6 {
		t.Errorf("%+v", f)
	}
	if o := p.Plugins.Outputs; o[0].ID != "none" || o[0].Events.In != 2 || o[0].Events.Out != 2 || o[1].Events.In != 2 || o[1].Events.Out != 2 {
		t.Errorf("%+v", o)
	}
	if c := p.Plugins.Codecs; len(c) != 3 || c[0].Name != "json" || c[0].Decode.WritesIn != 4 || c[0].Decode.Out != 4 || c[2].Encode.WritesIn != 2 {
		t.Errorf("%+v", c)
	}
	if d := p.DeadLetterQueue; d.Size <= 0 || d.Policy != "drop_newer" {
		t.Errorf("%+v", d)
	}
}

func TestMetricsKeepPrometheusConventionsAndAddUp(t *testing.T) {
	body := get(t, ran(t), "/metrics").Body.String()
	var own strings.Builder
	for line := range strings.Lines(body) {
		if strings.Contains(line, "naru_") {
			own.WriteString(line)
		}
	}
	problems, err := promlint.New(strings.NewReader(own.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{
		`naru_pipeline_events_in_total{pipeline="main"} 4`, `naru_pipeline_events_made_total{pipeline="main"} 3`,
		`naru_pipeline_events_dropped_total{pipeline="main"} 1`, `naru_pipeline_events_lost_total{pipeline="main"} 2`,
		`naru_pipeline_events_filtered_total{pipeline="main"} 4`, `naru_pipeline_reloads_total{pipeline="main",result="failure"} 1`,
		`naru_filter_events_made_total{name="clone",pipeline="main",plugin="twice"} 3`,
		`naru_output_delivered_total{name="stdout",pipeline="main",plugin="out"} 2`, `naru_pipeline_up{pipeline="main"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	for _, want := range []string{"go_goroutines", "process_start_time_seconds"} {
		if !strings.Contains(body, want) {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestGoroutinesWithTheSameStackAreOne(t *testing.T) {
	const text = `goroutine 1 [running]:
main.work(0x1)
	/a.go:1 +0x10

goroutine 2 [chan receive, 5 minutes]:
main.wait(0xc0001)
	/a.go:2 +0x20

goroutine 3 [chan receive]:
main.wait(0xc0002)
	/a.go:2 +0x20

nonsense
`
	all := parseGoroutines(text, false)
	if len(all) != 2 || all[0].state != "running" || all[1].count != 2 || all[1].stack[0] != "main.wait(0xc0001)" {
		t.Errorf("%+v", all)
	}
	if busy := parseGoroutines(text, true); len(busy) != 1 || busy[0].id != 1 {
		t.Errorf("%+v", busy)
	}
	m := ran(t)
	if w := get(t, m, "/_node/hot_threads?human=true&threads=1"); !strings.HasPrefix(w.Body.String(), "::: {") || w.Header().Get("Content-Type") != "text/plain" {
		t.Errorf("%s", w.Body)
	}
	if w := get(t, m, "/_node/hot_threads?threads=x"); w.Code != http.StatusBadRequest {
		t.Errorf("%d", w.Code)
	}
}
