package measure

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// A Window is what the samples of a while say.
type Window struct {
	From    time.Time            `json:"from"`
	To      time.Time            `json:"to"`
	Every   float64              `json:"every_seconds"`
	Samples int                  `json:"samples"`
	Failed  int                  `json:"failed,omitempty"` // samples that could not be taken
	Cut     bool                 `json:"cut,omitempty"`    // it was stopped before its end
	Idle    bool                 `json:"idle,omitempty"`   // nothing was indexed or searched; it ended early
	Gaps    []string             `json:"gaps,omitempty"`   // why values are missing
	Values  map[string][]float64 `json:"values"`           // by metric, in order
	Levels  Levels               `json:"levels"`           // at its end
}

// Levels are what is there, rather than what happens: they grow and shrink with what is written and deleted, so no test says
// whether a change moved them.
type Levels struct {
	Documents int64   `json:"documents"`
	Stored    int64   `json:"stored_bytes"` // of all copies
	Nodes     int     `json:"nodes"`
	Monthly   float64 `json:"monthly,omitempty"`
	Currency  string  `json:"currency,omitempty"`
}

const mostGaps = 5 // reasons that are kept

func (w *Window) gap(why string) {
	if len(why) > 300 {
		why = why[:300]
	}
	if len(w.Gaps) < mostGaps && !slices.Contains(w.Gaps, why) {
		w.Gaps = append(w.Gaps, why)
	}
}

// A metric is one way to see how a cluster is doing.
type metric struct {
	name, unit string
	about      string
	better     int     // 1: more is better, -1: less is, 0: it is neither
	floor      float64 // a difference below it, in the unit, is none
	value      func(a, b *Sample, seconds float64) float64
}

// rate makes a metric of a counter, per second.
func rate(of func(*Node) int64) func(a, b *Sample, seconds float64) float64 {
	return func(a, b *Sample, seconds float64) float64 { return (b.sum(of) - a.sum(of)) / seconds }
}

// each makes a metric of two counters: how much of one there is for each of the other.
func each(time, total func(*Node) int64) func(a, b *Sample, seconds float64) float64 {
	return func(a, b *Sample, _ float64) float64 {
		n := b.sum(total) - a.sum(total)
		if n <= 0 {
			return math.NaN()
		}
		return (b.sum(time) - a.sum(time)) / n
	}
}

// metrics are what is measured, in the order of tables.
func metrics() []metric {
	return []metric{
		{"ingest", "docs/s", "documents that primaries took", 1, 1, func(a, b *Sample, s float64) float64 { return float64(b.indexed(a)) / s }},
		{"indexing time", "ms", "of a document, on each copy", -1, 0.005, each(
			func(n *Node) int64 { return n.Indices.Indexing.Time }, func(n *Node) int64 { return n.Indices.Indexing.Total })},
		{"bulk time", "ms", "of a bulk request on a shard, where the cluster counts them", -1, 0.5, each(
			func(n *Node) int64 { return n.Indices.Bulk.Time }, func(n *Node) int64 { return n.Indices.Bulk.Total })},
		{"search rate", "1/s", "queries of shards", 0, 0.5, rate(func(n *Node) int64 { return n.Indices.Search.Queries })},
		{"query time", "ms", "of a query on a shard", -1, 0.2, each(
			func(n *Node) int64 { return n.Indices.Search.Time }, func(n *Node) int64 { return n.Indices.Search.Queries })},
		{"search time", "ms", "of a whole search, where the cluster counts them", -1, 0.5, each(
			func(n *Node) int64 { return n.Indices.Search.Request.Took.Time }, func(n *Node) int64 { return n.Indices.Search.Request.Took.Total })},
		{"rejected", "1/s", "requests sent back because there was too much to do", -1, 0.01, rate((*Node).rejected)},
		{"failed", "1/s", "documents that could not be indexed", -1, 0.01, rate(func(n *Node) int64 { return n.Indices.Indexing.Failed })},
		{"lag", "records", "of all consumer groups, unread", -1, 10, func(a, b *Sample, _ float64) float64 {
			if b.Lag == nil {
				return math.NaN()
			}
			return b.unread()
		}},
		{"heap", "%", "of the nodes' heaps that is in use", -1, 2, func(_, b *Sample, _ float64) float64 { return b.heap() }},
		{"gc", "ms/s", "of collecting garbage, all nodes together", -1, 1, rate((*Node).gc)},
		{"cpu", "%", "of the nodes' processors, in the mean", -1, 2, func(_, b *Sample, _ float64) float64 { return b.cpu() }},
		{"refresh", "ms/s", "of making documents searchable, all shards together", 0, 1, rate(func(n *Node) int64 { return n.Indices.Refresh.Time })},
		{"merge", "ms/s", "of merging segments, all shards together", 0, 5, rate(func(n *Node) int64 { return n.Indices.Merges.Time })},
		{"segments", "", "of all copies", -1, 2, func(_, b *Sample, _ float64) float64 {
			return b.sum(func(n *Node) int64 { return n.Indices.Segments.Count })
		}},
		{"size", "B/doc", "of all copies, by the documents there are", -1, 1, func(_, b *Sample, _ float64) float64 {
			if b.Documents == 0 {
				return math.NaN()
			}
			return float64(b.Stored) / float64(b.Documents)
		}},
	}
}

// take makes the values of samples; nil is one that could not be taken.
func (w *Window) take(samples []*Sample, cost func(*Sample) (float64, string)) {
	w.Values = map[string][]float64{}
	all := metrics()
	var before *Sample
	for _, x := range samples {
		if x == nil {
			before = nil
			continue
		}
		w.Samples++
		for _, missing := range x.Missing {
			w.gap(missing)
		}
		if w.Levels = (Levels{Documents: x.Documents, Stored: x.Stored, Nodes: len(x.Nodes)}); cost != nil {
			w.Levels.Monthly, w.Levels.Currency = cost(x)
		}
		if before != nil {
			seconds := x.At.Sub(before.At).Seconds()
			switch why := x.follows(before); {
			case why != "":
				w.gap(why)
			case seconds > 0:
				for _, m := range all {
					if v := m.value(before, x, seconds); !math.IsNaN(v) && !math.IsInf(v, 0) {
						w.Values[m.name] = append(w.Values[m.name], short(v))
					}
				}
			}
		}
		before = x
	}
}

// short is v in as many digits as anybody reads, so that records stay small.
func short(v float64) float64 {
	n, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	if err != nil {
		return v
	}
	return n
}
