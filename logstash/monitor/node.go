package monitor

import (
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// metadata is what stands in front of every answer.
func (m *Monitor) metadata(v *view) object {
	out := m.basic()
	workers, batch := runtime.GOMAXPROCS(0), 0
	for _, p := range v.pipelines {
		workers, batch = p.Workers, p.BatchSize
		break
	}
	out["status"] = m.status(v)
	out["pipeline"] = object{"workers": workers, "batch_size": batch, "batch_delay": batchDelay}
	return out
}

func (m *Monitor) basic() object {
	return object{
		"host": m.host, "version": LogstashVersion, "http_address": m.o.Address, "id": m.id, "name": m.o.Name,
		"ephemeral_id": m.ephemeral, "snapshot": false,
	}
}

// How long a request may wait for a status, at most.
const mostWait = 5 * time.Minute

// root answers /, at once or when the status is as good as is asked for.
//
// Source: logstash-core/lib/logstash/api/modules/root.rb.
func (m *Monitor) root(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	wanted, text := strings.ToLower(q.Get("wait_for_status")), q.Get("timeout")
	timeout, err := timeOf(text)
	switch {
	case wanted != "" && !slices.Contains(grades, wanted):
		fail(w, r, http.StatusBadRequest, "Invalid status '"+q.Get("wait_for_status")+"' provided. The valid statuses are: green, yellow, red.")
		return
	case text != "" && err != nil:
		fail(w, r, http.StatusBadRequest, "Invalid timeout '"+text+"' provided.")
		return
	case wanted != "" && text == "":
		fail(w, r, http.StatusBadRequest, "A timeout must be provided along with a status.")
		return
	}
	v := m.look()
	over := time.After(min(timeout, mostWait))
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for wanted != "" && grade(m.status(v)) > grade(wanted) {
		select {
		case <-tick.C:
			v = m.look()
		case <-over:
			fail(w, r, http.StatusRequestTimeout, "Timed out waiting for status '"+wanted+"'.")
			return
		case <-r.Context().Done():
			return
		}
	}
	out := m.metadata(v)
	out["build_date"], out["build_sha"], out["build_snapshot"] = m.o.Build.Time, m.o.Build.Revision, false
	out["naru"] = object{"version": m.o.Build.Version}
	answer(w, r, http.StatusOK, out)
}

// timeOf reads a time as Logstash writes it: 30s, 1m, 500ms.
func timeOf(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * float64(24*time.Hour)), err
	}
	return time.ParseDuration(strings.Replace(text, "micros", "us", 1))
}

// node answers /_node and its sections.
func (m *Monitor) node(w http.ResponseWriter, r *http.Request) {
	v := m.look()
	sections := map[string]func() any{
		"pipelines": func() any {
			out := object{}
			for _, p := range v.pipelines {
				out[p.ID] = p.settings()
			}
			return out
		},
		"os": func() any {
			return object{
				"name": runtime.GOOS, "arch": runtime.GOARCH, "version": m.machine.kernel(), "available_processors": runtime.GOMAXPROCS(0),
			}
		},
		"jvm": func() any { return m.machine.runtime(m.began) },
	}
	wanted := sectionsOf(r, slices.Collect(maps.Keys(sections)))
	if len(wanted) == 0 {
		notFound(w, r)
		return
	}
	out := m.metadata(v)
	for _, name := range wanted {
		out[name] = sections[name]()
	}
	answer(w, r, http.StatusOK, out)
}

func (m *Monitor) nodePipeline(w http.ResponseWriter, r *http.Request) {
	v := m.look()
	p := v.find(r.PathValue("id"))
	if p == nil {
		notFound(w, r)
		return
	}
	out := m.metadata(v)
	out["pipelines"] = object{p.ID: p.settings()}
	answer(w, r, http.StatusOK, out)
}

func (p *seen) settings() object {
	out := object{
		"ephemeral_id": p.Run, "hash": p.Hash, "workers": p.Workers, "batch_size": p.BatchSize, "batch_delay": batchDelay,
		"config_reload_automatic": p.Reloadable, "dead_letter_queue_enabled": p.Dead != "",
	}
	if p.Dead != "" {
		out["dead_letter_queue_path"] = p.Dead
	}
	return out
}

func (m *Monitor) plugins(w http.ResponseWriter, r *http.Request) {
	list := []object{}
	for _, name := range slices.Sorted(slices.Values(m.o.Plugins)) {
		list = append(list, object{"name": name, "version": m.o.Build.Version})
	}
	out := m.metadata(m.look())
	out["total"], out["plugins"] = len(list), list
	answer(w, r, http.StatusOK, out)
}

// pid is the process's number.
func pid() int { return os.Getpid() }
