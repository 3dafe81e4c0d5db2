package measure

import (
	"hash/fnv"
	"math"
	"slices"
)

// A Verdict is what the numbers allow to be said.
type Verdict string

// The verdicts.
const (
	Better   Verdict = "better"
	Worse    Verdict = "worse"
	Higher   Verdict = "higher" // of what is neither good nor bad
	Lower    Verdict = "lower"
	NoChange Verdict = "no change"       // none that is larger than Tolerance is likely
	Noisy    Verdict = "too noisy"       // there may be one or not
	TooFew   Verdict = "too few samples" // to say anything
)

// How verdicts are reached.
const (
	Significance = 0.05 // of p values, corrected for their number
	LeastEffect  = 0.05 // of the value before: smaller differences are no change, however sure
	Tolerance    = 0.10 // of the value before: where the interval lies within, there is no change
	fewest       = 6    // values of a window
)

// A Summary is the values of a metric in a window.
type Summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

// A Comparison is one metric before and after.
type Comparison struct {
	Metric  string  `json:"metric"`
	Unit    string  `json:"unit,omitempty"`
	About   string  `json:"about"`
	Better  int     `json:"better"` // 1: more is better, -1: less is, 0: it is neither
	Before  Summary `json:"before"`
	After   Summary `json:"after"`
	Change  float64 `json:"change"` // of the medians, in the unit
	Low     float64 `json:"low"`    // the 95 % interval of the change
	High    float64 `json:"high"`
	Percent *Span   `json:"percent,omitempty"` // the same of the median before; nil where that is zero
	Auto    float64 `json:"autocorrelation"`
	P       float64 `json:"p"`
	Q       float64 `json:"p_corrected"` // for the number of metrics
	Verdict Verdict `json:"verdict"`
}

// A Span is a change in percent, and its interval.
type Span struct {
	Change float64 `json:"change"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Judge compares two windows, metric by metric. The result depends on the windows and the seed alone.
func Judge(before, after *Window, seed string) []Comparison {
	out := []Comparison{}
	var p []float64
	var tested []int
	var floors []float64
	for _, m := range metrics() {
		x, y := before.Values[m.name], after.Values[m.name]
		if len(x) == 0 && len(y) == 0 {
			continue
		}
		c := Comparison{Metric: m.name, Unit: m.unit, About: m.about, Better: m.better, Before: summary(x), After: summary(y), P: 1, Q: 1}
		switch {
		case len(x) < fewest || len(y) < fewest:
			c.Verdict = TooFew
		case constant(x) && constant(y) && x[0] == y[0]:
			c.Verdict = NoChange
		default:
			c.compare(x, y, seedOf(seed, m.name))
			p, tested = append(p, c.P), append(tested, len(out))
		}
		if len(x) > 0 && len(y) > 0 {
			c.percent()
		}
		out, floors = append(out, c), append(floors, m.floor)
	}
	for i, q := range adjusted(p) {
		c := &out[tested[i]]
		c.Q = short(q)
		c.decide(floors[tested[i]], before.Values[c.Metric], after.Values[c.Metric])
	}
	return out
}

func summary(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	s := slices.Sorted(slices.Values(values))
	return Summary{len(s), short(quantile(s, 0.5)), short(quantile(s, 0.95))}
}

func constant(values []float64) bool { return slices.Max(values) == slices.Min(values) }

func seedOf(seed, name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed + "\x00" + name)) // it does not fail
	return h.Sum64()
}

func (c *Comparison) compare(x, y []float64, seed uint64) {
	rho := autocorrelation(x, y)
	i := bootstrap(x, y, rho, seed)
	c.Low, c.High, c.Auto = short(i.low), short(i.high), short(rho)
	if c.P = mannWhitney(x, y, rho); constant(x) && constant(y) {
		// One step is one observation: it could as well have stood between any two other samples.
		c.P = max(c.P, 1/float64(len(x)+len(y)-1))
	}
	c.P = short(c.P)
}

func (c *Comparison) percent() {
	c.Change = short(c.After.Median - c.Before.Median)
	if c.Before.Median != 0 {
		of := 100 / math.Abs(c.Before.Median)
		c.Percent = &Span{short(c.Change * of), short(c.Low * of), short(c.High * of)}
	}
}

// decide reaches the verdict: there is a change if the test says so, the interval has no zero in it, and it is large enough to
// matter; there is none if the interval is so narrow that a change which matters lies outside.
func (c *Comparison) decide(floor float64, x, y []float64) {
	scale := math.Abs(c.Before.Median)
	sure := c.Q < Significance && (c.Low > 0 || c.High < 0)
	large := math.Abs(c.Change) >= max(floor, LeastEffect*scale)
	bound := max(floor, Tolerance*scale)
	switch {
	case sure && large && c.Better == 0:
		c.Verdict = map[bool]Verdict{true: Higher, false: Lower}[c.Change > 0]
	case sure && large:
		c.Verdict = map[bool]Verdict{true: Better, false: Worse}[(c.Change > 0) == (c.Better > 0)]
	case sure, c.Low >= -bound && c.High <= bound:
		c.Verdict = NoChange
	case constant(x) && constant(y):
		c.Verdict = TooFew
	default:
		c.Verdict = Noisy
	}
}
