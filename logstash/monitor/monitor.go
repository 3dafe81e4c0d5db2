// Package monitor shows pipelines that run: by the API that Logstash 8.19 has at port 9600, so that dashboards and exporters
// that know Logstash go on working, as metrics for Prometheus, and by samples of events at a plugin.
//
// It asks for the pipelines with each request, and keeps nothing of them but samples of their counters, from which it tells
// rates.
//
// Differences from Logstash:
//   - What its API says of the JVM is of Go's runtime (host.go says what is what); threads are goroutines.
//   - Plugins work in batches: how long a filter took is estimated from one batch of 32.
//   - worker_concurrency and worker_utilization are of filters alone; outputs write beside the workers. So duration_in_millis of a
//     pipeline is the workers' time and that of all writes, added up.
//   - A memory queue has no events: there is none between inputs and workers.
//   - Beside what Logstash has there are /ready, /metrics, /naru/figures and /naru/tap.
//
// Source: logstash-core/lib/logstash/api, docs/static/spec/openapi/logstash-api.yaml, and answers of a Logstash 8.
package monitor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/narudata/naru/flow/queue"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/witness"
)

// LogstashVersion is the version of Logstash whose API this is.
const LogstashVersion = "8.19.0"

// A Node is what there is to see now.
type Node struct {
	Pipelines []Pipeline // by their ids
	// Past are the events of runs that are over and no more among Pipelines.
	Past    Events
	Reloads Reloads // of all pipelines
	Route   *Route  // nil: the process takes part in none
	Witness *witness.Witness
}

// A Pipeline is one that runs or has run.
type Pipeline struct {
	ID         string
	Run        string // another one for each run
	Hash       string // of its configuration
	Workers    int
	BatchSize  int
	Reloadable bool
	Reloads    Reloads
	State      State
	Of         *logstash.Pipeline
	Now        *logstash.Running // nil: it has not begun
	Dead       string            // the folder of its dead letters; "" if they are elsewhere
}

// A State is what has become of a pipeline.
type State string

// States, by Logstash's names.
const (
	Loading    State = "LOADING"
	Running    State = "RUNNING"
	Finished   State = "FINISHED"   // its inputs have ended
	Terminated State = "TERMINATED" // it has failed
)

// Reloads are how often a configuration was loaded anew.
type Reloads struct {
	Successes, Failures      int64
	LastSuccess, LastFailure time.Time // zero: never
	LastError                string
}

// Events are the counters of a pipeline that Logstash has.
type Events struct {
	In, Filtered, Out int64
	Busy              time.Duration // of workers and of writes, added up
	Blocked           time.Duration // of inputs, added up
}

// EventsOf gives the counters of a pipeline.
func EventsOf(f *logstash.Figures) Events {
	e := Events{In: f.In, Filtered: f.Filtered, Out: f.Out, Busy: f.Busy}
	for i := range f.Inputs {
		e.Blocked += f.Inputs[i].Blocked
	}
	for i := range f.Outputs {
		e.Busy += f.Outputs[i].Time
	}
	return e
}

// Plus adds events.
func (e Events) Plus(o Events) Events {
	return Events{e.In + o.In, e.Filtered + o.Filtered, e.Out + o.Out, e.Busy + o.Busy, e.Blocked + o.Blocked}
}

// Options say what is shown. List must be given.
type Options struct {
	// List gives what there is. It is called concurrently.
	List func() Node
	// Address is where the API is reached, as it says itself.
	Address string
	Name    string // of the node; "" is the host's
	Data    string // the folder of the node's data, by which it is told from others of the host
	Build   Build
	Plugins []string // names of all that there are: logstash-input-beats
	Log     *slog.Logger
	Now     func() time.Time // nil: the system's clock
	Root    fs.FS            // of the file system, for what Linux says of the process; nil: the system's
}

// Build says which naru this is.
type Build struct {
	Version  string
	Revision string
	Time     string
}

// A Monitor answers requests.
type Monitor struct {
	o         Options
	host      string
	id        string
	ephemeral string
	began     time.Time
	history   *history
	machine   *machine
	mux       *http.ServeMux
	tapping   chan struct{} // has an element for each tap
}

// New makes a Monitor.
func New(o Options) *Monitor {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Root == nil {
		o.Root = os.DirFS("/")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if o.Name == "" {
		o.Name = host
	}
	m := &Monitor{
		o: o, host: host, id: identity(host, o.Name, o.Data), began: o.Now(), history: newHistory(), machine: newMachine(o.Root),
		mux: http.NewServeMux(), tapping: make(chan struct{}, mostTaps),
	}
	m.ephemeral = identity(m.id, m.began.String(), fmt.Sprint(os.Getpid()))
	m.routes()
	return m
}

// identity makes a UUID of texts. The same texts give the same one.
func identity(of ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(of, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8: made by a way of one's own
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// sampleEvery is how often counters are sampled for rates.
const sampleEvery = 5 * time.Second

// Run samples counters until ctx is done.
func (m *Monitor) Run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		m.sample()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sample keeps the counters of now.
func (m *Monitor) sample() {
	m.history.add(m.look())
	m.machine.sample(m.o.Now())
}

// ServeHTTP implements http.Handler.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notFound(w, r)
		return
	}
	if len(r.URL.Path) > 1 && strings.HasSuffix(r.URL.Path, "/") {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = "/"+strings.Trim(r.URL.Path, "/"), ""
	}
	m.mux.ServeHTTP(w, r)
}

func (m *Monitor) routes() {
	m.mux.HandleFunc("/", notFound)
	m.mux.HandleFunc("/{$}", m.root)
	m.mux.HandleFunc("/_node", m.node)
	m.mux.HandleFunc("/_node/{section}", m.node)
	m.mux.HandleFunc("/_node/pipelines/{id}", m.nodePipeline)
	m.mux.HandleFunc("/_node/plugins", m.plugins)
	m.mux.HandleFunc("/_node/hot_threads", m.hotThreads)
	m.mux.HandleFunc("/_node/stats", m.stats)
	m.mux.HandleFunc("/_node/stats/{section}", m.stats)
	m.mux.HandleFunc("/_node/stats/pipelines/{id}", m.statsPipeline)
	m.mux.HandleFunc("/_health_report", m.health)
	m.mux.HandleFunc(readyPath, m.ready)
	m.mux.Handle("/metrics", m.metrics())
	m.mux.HandleFunc("/naru/figures", m.figures)
	m.mux.HandleFunc("/naru/tap", m.tap)
	m.mux.HandleFunc(witness.Path, m.made)
}

// A view is what there is at one moment.
type view struct {
	at        time.Time
	node      Node
	pipelines []*seen
	total     Events
}

// seen is a pipeline with its figures.
type seen struct {
	Pipeline
	figures logstash.Figures
	events  Events
	queues  map[string]queue.Stats    // by the inputs' ids
	lags    map[string][]logstash.Lag // by the inputs' ids: how far they are behind
}

// look looks at all pipelines.
func (m *Monitor) look() *view {
	v := &view{node: m.o.List()}
	v.total = v.node.Past
	for i := range v.node.Pipelines {
		p := &seen{Pipeline: v.node.Pipelines[i], queues: map[string]queue.Stats{}}
		var stats *stream.Stats
		if p.Now != nil {
			stats = p.Now.Stats
			for id, q := range p.Now.Queues {
				p.queues[id] = q.Stats()
			}
			if p.Now.Lags != nil {
				p.lags = p.Now.Lags()
			}
		}
		p.figures = p.Of.Figures(stats)
		p.events = EventsOf(&p.figures)
		v.total = v.total.Plus(p.events)
		v.pipelines = append(v.pipelines, p)
	}
	v.at = m.o.Now() // after all is counted: rates are not too high
	return v
}

func (v *view) find(id string) *seen {
	for _, p := range v.pipelines {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// queued adds up the queues of a pipeline.
func (p *seen) queued() (sum queue.Stats) {
	for _, q := range p.queues {
		sum.Bytes += q.Bytes
		sum.MaxBytes += q.MaxBytes
		sum.Events += q.Events
	}
	return sum
}

// object is a JSON object. Its keys are written in the order of the alphabet.
type object = map[string]any

// answer writes a value as JSON.
func answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if _, pretty := r.URL.Query()["pretty"]; pretty {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n"))) // a client that is gone is no matter
}

// fail answers with an error in Logstash's form.
func fail(w http.ResponseWriter, r *http.Request, status int, message string) {
	answer(w, r, status, object{"path": r.URL.Path, "status": status, "error": object{"message": message}})
}

func notFound(w http.ResponseWriter, r *http.Request) { fail(w, r, http.StatusNotFound, "Not Found") }

// boolean reads a parameter as Logstash does; ok says that it makes sense.
func boolean(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "t", "yes", "y", "1":
		return true, true
	case "false", "f", "no", "n", "0", "":
		return false, true
	}
	return false, false
}
