package monitor

import (
	"encoding/json"
	"testing"
	"time"
)

// seenAt is a view of one run that has made n events.
func seenAt(at time.Time, n, out int64) *view {
	p := &seen{Pipeline: Pipeline{ID: "a", Run: "r", Workers: 2, Now: nowRunning}, events: Events{In: n, Out: out}}
	p.figures.Busy = at.Sub(epoch) / 2
	p.figures.Outputs = outputsOf(n, out)
	return &view{at: at, pipelines: []*seen{p}, total: Events{In: n, Out: out}}
}

var epoch = time.Unix(1_800_000_000, 0)

func TestRatesAreToldForEachWindowThatHasPassed(t *testing.T) {
	h := newHistory()
	// For a day, ten events a second; in the last five minutes twenty.
	const day = 24 * 3600
	n := int64(0)
	var v *view
	for s := 0; s <= day+600; s += 5 {
		if s > 0 {
			n += 50
			if s > day+300 {
				n += 50
			}
		}
		v = seenAt(epoch.Add(time.Duration(s)*time.Second), n, n)
		h.add(v)
		if s == 30 {
			if got := each(h.spans("r", epoch, v.counters("r")), in); len(got) != 2 || got["current"] != 10 || got["lifetime"] != 10 {
				t.Errorf("after half a minute: %v", got)
			}
		}
	}
	got := each(h.spans("r", epoch, v.counters("r")), in)
	for window, want := range map[string]float64{"current": 20, "last_1_minute": 20, "last_5_minutes": 20, "last_15_minutes": 13.3, "last_1_hour": 10.8, "last_24_hours": 10, "lifetime": 10} {
		if diff := float64(got[window]) - want; diff < -0.3 || diff > 0.3 {
			t.Errorf("%s: %v, want %v", window, got[window], want)
		}
	}
	if kept := len(h.runs["r"]); kept > 300 {
		t.Errorf("%d samples are kept", kept)
	}
	if u := utilization(h.spans("r", epoch, v.counters("r")), 2)["last_1_minute"]; u < 24.9 || u > 25.1 {
		t.Errorf("the workers are busy %v %%", u)
	}
	h.add(&view{at: v.at.Add(5 * time.Second)})
	if len(h.runs) != 1 {
		t.Errorf("runs that are no more are kept: %d", len(h.runs))
	}
}

func in(c *counters) int64 { return c.events.In }

func TestARateIsLeftOutWhereItMakesNoSense(t *testing.T) {
	spans := map[string]span{"lifetime": {counters{at: epoch}, counters{at: epoch.Add(time.Second)}}}
	if got := pluginFlow(spans, 2, func(*counters) worked { return worked{} }); len(got["worker_millis_per_event"]) != 0 || len(got["worker_utilization"]) != 1 {
		t.Errorf("%v", got)
	}
	spans["lifetime"] = span{counters{at: epoch}, counters{at: epoch}}
	if got := each(spans, in); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestNumbersHaveFourDigits(t *testing.T) {
	for n, want := range map[number]string{0: "0", 0.1: "0.1", 1.0 / 3: "0.3333", 123456: "123500", 2e-5 / 3: "0.000006667"} {
		if got, err := json.Marshal(n); err != nil || string(got) != want {
			t.Errorf("%v: %s %v", float64(n), got, err)
		}
	}
}

func TestAPipelineWhoseOutputsTakeNothingIsUnhealthy(t *testing.T) {
	m := New(Options{List: func() Node { return Node{} }, Root: machineFiles})
	for _, c := range []struct {
		stuck time.Duration
		want  string
	}{{30 * time.Second, "green"}, {90 * time.Second, "yellow"}, {6 * time.Minute, "red"}} {
		m.history = newHistory()
		var v *view
		for s := time.Duration(0); s <= 10*time.Minute; s += 5 * time.Second {
			out := int64(min(s, 10*time.Minute-c.stuck) / time.Second)
			v = seenAt(epoch.Add(s), 1000, out)
			v.pipelines[0].State = Running
			m.history.add(v)
		}
		if got := m.status(v); got != c.want {
			t.Errorf("stuck for %v: %s", c.stuck, got)
		}
		// One that waits for nothing is idle.
		v.pipelines[0].figures.Outputs[0].Waiting = 0
		if got := m.status(v); got != "green" {
			t.Errorf("idle: %s", got)
		}
	}
}
