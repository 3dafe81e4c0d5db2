package monitor

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// A history has samples of counters: close together for the last minute, further apart for the time before.
type history struct {
	mu   sync.Mutex // guards runs
	runs map[string][]counters
}

func newHistory() *history { return &history{runs: map[string][]counters{}} }

// counters are those of a run, or of all, at one time.
type counters struct {
	at          time.Time
	events      Events
	workers     time.Duration // that they were busy
	queueBytes  int64
	queueEvents int64
	waiting     bool // events wait for outputs
	inputs      []int64
	filters     []worked
	outputs     []worked
}

// worked is what a plugin has done.
type worked struct {
	events int64
	time   time.Duration
}

// tiers say how far apart samples are kept, by their age.
var tiers = []struct{ age, apart time.Duration }{
	{70 * time.Second, 0}, {16 * time.Minute, 15 * time.Second}, {65 * time.Minute, time.Minute}, {25 * time.Hour, 15 * time.Minute},
}

// all is the key of the sums.
const all = ""

func (v *view) counters(id string) counters {
	if id == all {
		c := counters{at: v.at, events: v.total}
		for _, p := range v.pipelines {
			c.workers += p.figures.Busy
		}
		return c
	}
	for _, p := range v.pipelines {
		if p.Run == id {
			return p.counters(v.at)
		}
	}
	return counters{at: v.at}
}

func (p *seen) counters(at time.Time) counters {
	q := p.queued()
	c := counters{at: at, events: p.events, workers: p.figures.Busy, queueBytes: q.Bytes, queueEvents: q.Events}
	for i := range p.figures.Inputs {
		c.inputs = append(c.inputs, p.figures.Inputs[i].Events)
	}
	for i := range p.figures.Filters {
		f := &p.figures.Filters[i]
		c.filters = append(c.filters, worked{f.In, f.Time})
	}
	for i := range p.figures.Outputs {
		o := &p.figures.Outputs[i]
		c.waiting = c.waiting || o.Waiting > 0
		c.outputs = append(c.outputs, worked{o.Events - o.Waiting, o.Time})
	}
	return c
}

// add keeps what a view shows, and forgets runs that are no more.
func (h *history) add(v *view) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := map[string][]counters{all: thin(append(h.runs[all], v.counters(all)))}
	for _, p := range v.pipelines {
		if p.Now != nil {
			next[p.Run] = thin(append(h.runs[p.Run], p.counters(v.at)))
		}
	}
	h.runs = next
}

// thin removes samples that lie too close together for their age.
func thin(list []counters) []counters {
	now := list[len(list)-1].at
	out := list[:0]
	for _, c := range list {
		apart := time.Duration(-1)
		for _, t := range tiers {
			if now.Sub(c.at) <= t.age {
				apart = t.apart
				break
			}
		}
		if apart < 0 || len(out) > 0 && c.at.Sub(out[len(out)-1].at) < apart {
			continue
		}
		out = append(out, c)
	}
	clear(list[len(out):])
	return out
}

// before gives the newest sample that is at least so old.
func (h *history) before(id string, now time.Time, age time.Duration) (counters, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.runs[id]
	for i := len(list) - 1; i >= 0; i-- {
		if now.Sub(list[i].at) >= age {
			return list[i], true
		}
	}
	return counters{}, false
}

// windows are the spans of time that rates are told for.
var windows = []struct {
	name string
	span time.Duration
}{
	{"current", 10 * time.Second}, {"last_1_minute", time.Minute}, {"last_5_minutes", 5 * time.Minute},
	{"last_15_minutes", 15 * time.Minute}, {"last_1_hour", time.Hour}, {"last_24_hours", 24 * time.Hour},
}

// A rate is a number for each window that there is enough history for, and one for the lifetime.
type rate map[string]number

// A number is one with four significant digits, as Logstash tells them.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(n), 'g', 4, 64), 64)
	if err != nil {
		return nil, err
	}
	return strconv.AppendFloat(nil, v, 'f', -1, 64), nil
}

// span is the change from one sample to another.
type span struct{ from, to counters }

func (s *span) seconds() float64 { return s.to.at.Sub(s.from.at).Seconds() }

// spans gives the change in each window.
func (h *history) spans(id string, started time.Time, now counters) map[string]span {
	out := map[string]span{"lifetime": {counters{at: started}, now}}
	for _, w := range windows {
		if c, ok := h.before(id, now.at, w.span); ok {
			out[w.name] = span{c, now}
		} else if w.name == "current" {
			out[w.name] = out["lifetime"] // it is not older than that
		}
	}
	return out
}

// rates divides the change of one thing by that of another in each window; those where that makes no sense are left out.
func rates(spans map[string]span, of func(s *span) (part, whole float64)) rate {
	out := rate{}
	for name, s := range spans {
		part, whole := of(&s)
		if v := part / whole; !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[name] = number(v)
		}
	}
	return out
}

// each gives events per second.
func each(spans map[string]span, of func(c *counters) int64) rate {
	return rates(spans, func(s *span) (float64, float64) { return float64(of(&s.to) - of(&s.from)), s.seconds() })
}

// share gives seconds per second.
func share(spans map[string]span, of func(c *counters) time.Duration) rate {
	return rates(spans, func(s *span) (float64, float64) { return (of(&s.to) - of(&s.from)).Seconds(), s.seconds() })
}

// at gives an element; the zero value where there is none: the first sample of a run has none.
func at[T any](list []T, i int) T {
	if i < len(list) {
		return list[i]
	}
	var none T
	return none
}

// flow gives the rates of a pipeline or of all.
func flow(spans map[string]span) map[string]rate {
	return map[string]rate{
		"input_throughput":   each(spans, func(c *counters) int64 { return c.events.In }),
		"filter_throughput":  each(spans, func(c *counters) int64 { return c.events.Filtered }),
		"output_throughput":  each(spans, func(c *counters) int64 { return c.events.Out }),
		"queue_backpressure": share(spans, func(c *counters) time.Duration { return c.events.Blocked }),
		"worker_concurrency": share(spans, func(c *counters) time.Duration { return c.workers }),
	}
}

// pluginFlow gives the rates of a filter or an output.
func pluginFlow(spans map[string]span, workers int, of func(c *counters) worked) map[string]rate {
	took := func(s *span) time.Duration { return of(&s.to).time - of(&s.from).time }
	return map[string]rate{
		"worker_utilization": rates(spans, func(s *span) (float64, float64) {
			return 100 * took(s).Seconds(), s.seconds() * float64(max(workers, 1))
		}),
		"worker_millis_per_event": rates(spans, func(s *span) (float64, float64) {
			return 1000 * took(s).Seconds(), float64(of(&s.to).events - of(&s.from).events)
		}),
	}
}
