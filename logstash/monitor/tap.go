package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/flow/queue"
	"github.com/narudata/naru/logstash"
)

// Report is the answer of /naru/figures: all figures, as they are counted.
type Report struct {
	Time      time.Time        `json:"time"`
	Version   string           `json:"version"` // of naru
	Address   string           `json:"address"`
	Began     time.Time        `json:"began"`
	Pipelines []PipelineReport `json:"pipelines"`
}

// PipelineReport is a pipeline.
type PipelineReport struct {
	ID      string                    `json:"id"`
	Run     string                    `json:"run"` // another one for each run
	State   State                     `json:"state"`
	Status  string                    `json:"status"` // green, yellow or red
	Reasons []string                  `json:"reasons,omitempty"`
	Workers int                       `json:"workers"`
	Reloads int64                     `json:"reloads"`
	Figures logstash.Figures          `json:"figures"`
	Queues  map[string]queue.Stats    `json:"queues,omitempty"` // by the inputs' ids
	Lags    map[string]int64          `json:"lags,omitempty"`   // by the inputs' ids: records that are still to be read
	Topics  map[string][]logstash.Lag `json:"topics,omitempty"` // by the inputs' ids: the same by topic, with ages
}

func (m *Monitor) figures(w http.ResponseWriter, r *http.Request) {
	v := m.look()
	out := Report{Time: v.at, Version: m.o.Build.Version, Address: m.o.Address, Began: m.began, Pipelines: []PipelineReport{}}
	for _, p := range v.pipelines {
		found := m.findings(v, p)
		one := PipelineReport{
			ID: p.ID, Run: p.Run, State: p.State, Status: worstOf(found), Workers: p.Workers, Reloads: p.Reloads.Successes,
			Figures: p.figures, Queues: p.queues, Lags: p.unread(), Topics: p.lags,
		}
		for _, f := range found {
			one.Reasons = append(one.Reasons, f.cause)
		}
		out.Pipelines = append(out.Pipelines, one)
	}
	answer(w, r, http.StatusOK, out)
}

// unread counts the records that inputs have still to read, where that is known.
func (p *seen) unread() map[string]int64 {
	out := make(map[string]int64, len(p.lags))
	for id, lags := range p.lags {
		for _, l := range lags {
			out[id] += l.Records
		}
	}
	return out
}

// A TapLine is one of the lines that /naru/tap answers with.
type TapLine struct {
	Pipeline string `json:"pipeline"`
	// Missed is how many samples the reader was too slow for.
	Missed int64 `json:"missed,omitempty"`
	logstash.Sample
}

// Bounds of taps.
const (
	mostTaps     = 8                      // at a time
	tapPatience  = 10 * time.Second       // for a reader that does not read
	tapLookAgain = 250 * time.Millisecond // whether the pipeline runs
)

// tap answers /naru/tap?pipeline=ID&at=PLUGIN&n=10&rate=100 with a line for each sample, as they come. It goes on with the next
// run when the pipeline is loaded anew, and ends with the pipeline, or after n samples.
func (m *Monitor) tap(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n, rate := 0, 0
	for name, to := range map[string]*int{"n": &n, "rate": &rate} {
		if text := q.Get(name); text != "" {
			v, err := strconv.Atoi(text)
			if err != nil || v < 1 {
				fail(w, r, http.StatusBadRequest, name+" must be a number from 1 on, not "+strconv.Quote(text))
				return
			}
			*to = v
		}
	}
	p, err := m.chosen(q.Get("pipeline"))
	if err != nil {
		fail(w, r, http.StatusNotFound, err.Error())
		return
	}
	select {
	case m.tapping <- struct{}{}:
		defer func() { <-m.tapping }()
	default:
		fail(w, r, http.StatusTooManyRequests, fmt.Sprintf("there are %d taps already", mostTaps))
		return
	}
	t, err := p.Of.Tap(q.Get("at"), rate)
	if err != nil {
		fail(w, r, http.StatusNotFound, err.Error())
		return
	}
	defer func() { t.Close() }()
	out := lines{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if out.flush() != nil {
		return
	}
	again := time.NewTicker(tapLookAgain)
	defer again.Stop()
	for given := 0; ; {
		select {
		case s := <-t.Samples:
			if out.write(TapLine{p.ID, t.Missed(), s}) != nil {
				return
			}
			if given++; n > 0 && given >= n {
				return
			}
		case <-again.C:
			if len(t.Samples) > 0 {
				continue // first what was seen
			}
			next, err := m.chosen(p.ID)
			if err != nil || next.State == Finished || next.State == Terminated {
				return
			}
			if next.Run == p.Run {
				continue
			}
			other, err := next.Of.Tap(q.Get("at"), rate)
			if err != nil {
				return // the plugin is no more
			}
			t.Close()
			p, t = next, other
		case <-r.Context().Done():
			return
		}
	}
}

// chosen gives the pipeline of an id; of "", the only one.
func (m *Monitor) chosen(id string) (*Pipeline, error) {
	list := m.o.List().Pipelines
	var ids []string
	for i := range list {
		if list[i].ID == id || id == "" && len(list) == 1 {
			return &list[i], nil
		}
		ids = append(ids, list[i].ID)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("no pipeline runs")
	case id == "":
		return nil, fmt.Errorf("there are several pipelines: say which one: %s", strings.Join(ids, ", "))
	}
	return nil, fmt.Errorf("there is no pipeline %q: there are %s", id, strings.Join(ids, ", "))
}

// lines writes values, each at once.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (l *lines) write(v any) error {
	if err := l.control.SetWriteDeadline(time.Now().Add(tapPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	e := json.NewEncoder(l.w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return l.flush()
}

func (l *lines) flush() error { return l.control.Flush() }
