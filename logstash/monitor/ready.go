package monitor

import (
	"net/http"
	"strconv"
)

// A Route is the part that a process has in the route of a consumer group (kafka.Route).
type Route struct {
	Group   string `json:"group"`
	Hash    string `json:"hash"` // the version that the process is
	Role    string `json:"role"` // alone, stable, canary, shadow, waits
	Version int64  `json:"version"`
	Stable  string `json:"stable,omitempty"`
	Canary  string `json:"canary,omitempty"`
	Weight  int    `json:"weight"`
}

// readyPath is answered to everybody who reaches the API: probes of Kubernetes have no password.
const readyPath = "/ready"

// ready answers /ready: 200 if no pipeline has failed or is still to begin, else 503. While a pipeline is loaded anew, or takes another
// role in a route, the process stays ready: it goes on from where it was.
func (m *Monitor) ready(w http.ResponseWriter, r *http.Request) {
	n := m.o.List()
	ready := len(n.Pipelines) > 0 || n.Reloads.Successes > 0
	pipelines := object{}
	for i := range n.Pipelines {
		p := &n.Pipelines[i]
		pipelines[p.ID] = p.State
		if p.State == Terminated || p.State == Loading && p.Reloads.Successes == 0 {
			ready = false
		}
	}
	out := object{"ready": ready, "pipelines": pipelines}
	if n.Route != nil {
		out["route"] = n.Route
	}
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	answer(w, r, status, out)
}

// made answers /naru/made?bytes=N: what outputs have made of records that two versions of a pipeline read, in about so many bytes.
func (m *Monitor) made(w http.ResponseWriter, r *http.Request) {
	n := m.o.List()
	if n.Route == nil || n.Witness == nil {
		fail(w, r, http.StatusNotFound, "this process takes part in no route: nothing is kept to be compared")
		return
	}
	most := 0
	if text := r.URL.Query().Get("bytes"); text != "" {
		v, err := strconv.Atoi(text)
		if err != nil || v < 1 {
			fail(w, r, http.StatusBadRequest, "bytes must be a number from 1 on, not "+strconv.Quote(text))
			return
		}
		most = v
	}
	answer(w, r, http.StatusOK, n.Witness.Report(n.Route.Hash, most))
}
