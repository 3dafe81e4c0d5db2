package logstash

import (
	"slices"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// A Worker runs events through a pipeline's filters. It is not safe for concurrent use; a pipeline has one for each
// goroutine.
type Worker struct {
	p       *Pipeline
	filters []filter.Filter
	x       filter.Context

	arena   event.Arena    // of the maps and lists of the batch's events
	pool    []*event.Event // events of the batch, the first used of them are taken
	used    int
	waiting []waiting      // events that were emitted, the next one last
	emitted []*event.Event // by the filter that is running

	counts tally
	timed  bool                                             // this batch is measured
	taps   []*Tap                                           // those who look at it
	lose   func(e *event.Event, at *instruction, why error) // nil: nobody keeps what conditions lose

	failed   error // of the condition that is being evaluated
	failures []int // of each condition, how many events it lost
	gaveUp   int   // matches of conditions that took too many steps
	found    regex.Match
	text     []byte
}

// waiting is an event that goes on at an instruction.
type waiting struct {
	e  *event.Event
	at int
}

// spoil makes workers overwrite the events of a batch when it ends: for tests, which see what was kept longer.
var spoil = false

// keptEvents is how many events a worker keeps over a batch.
const keptEvents = 4096

// NewWorker makes a worker.
func (p *Pipeline) NewWorker() *Worker {
	w := &Worker{p: p, filters: make([]filter.Filter, len(p.Plugins)), failures: make([]int, branchesOf(p.filters, p.outputs))}
	for i := range p.Plugins {
		f := p.Plugins[i].Filter
		if forker, ok := f.(filter.Forker); ok {
			f = forker.Fork()
		}
		w.filters[i] = f
	}
	w.counts, w.arena.Spoil = p.newTally(), spoil
	w.x = filter.Context{
		Emit: func(e *event.Event) { w.emitted = append(w.emitted, e) },
		New:  w.New,
		Now:  p.o.Now,
		Log:  p.o.Log,
		Refs: event.Refs{Style: p.o.EscapeStyle},
	}
	return w
}

func branchesOf(programs ...program) int {
	n := 0
	for _, p := range programs {
		for i := range p {
			if p[i].do == branch {
				n = max(n, p[i].where+1)
			}
		}
	}
	return n
}

// New gives an event with @timestamp and @version, which is the worker's again with the next EndBatch.
func (w *Worker) New() *event.Event {
	e := w.empty()
	e.Complete(w.x.Now())
	return e
}

// empty gives an event without fields.
func (w *Worker) empty() *event.Event {
	if w.used == len(w.pool) {
		w.pool = append(w.pool, w.arena.Event())
	} else {
		w.pool[w.used].Reset()
	}
	w.used++
	return w.pool[w.used-1]
}

// EndBatch takes back all events that New gave, with their maps and lists: nothing refers to them any more.
func (w *Worker) EndBatch() {
	if w.arena.Spoil {
		for _, e := range w.pool[:w.used] {
			e.Spoil()
		}
		w.pool, w.used = nil, 0
	}
	w.arena.Release()
	if w.used > keptEvents {
		clear(w.pool[keptEvents:])
		w.pool = w.pool[:keptEvents]
	}
	w.used = 0
	w.p.counts.add(&w.counts)
}

// measuredOf is how many batches there are for each that is measured.
const measuredOf = 32

// beginBatch decides whether a batch is measured: asking for the time twice costs as much as a small filter. It looks who taps
// the pipeline, too.
func (w *Worker) beginBatch() {
	w.taps = w.p.taps.look()
	w.counts.batches++
	w.timed = w.counts.batches%measuredOf == 1
}

// Run takes an event through the filters, and gives out what comes of it: the event, unless it was cancelled, and behind it
// those that filters made of it.
//
// An event goes to its end; then those that filters emitted for it, the ones of the last filter first, each with those that
// come of it in turn: the order in which Logstash's lists have them.
func (w *Worker) Run(e *event.Event, out func(*event.Event)) {
	w.walk(e, 0)
	if !e.Cancelled() {
		out(e)
	}
	w.drain(out)
}

// drain takes the waiting events through the filters.
func (w *Worker) drain(out func(*event.Event)) {
	for n := len(w.waiting); n > 0; n = len(w.waiting) {
		next := w.waiting[n-1]
		w.waiting = w.waiting[:n-1]
		w.walk(next.e, next.at)
		if !next.e.Cancelled() {
			out(next.e)
		}
	}
}

// walk takes one event through the filters.
func (w *Worker) walk(e *event.Event, at int) {
	filters := w.p.filters
	for at < len(filters) && !e.Cancelled() {
		i := &filters[at]
		switch i.do {
		case call:
			at++
			w.call(i.plugin, e)
			if len(w.emitted) > 0 {
				w.counts.plugins[i.plugin].made += int64(len(w.emitted))
				w.queue(at)
			}
		case branch:
			if w.holds(i, e) {
				at++
			} else {
				at = i.to
			}
		case jump:
			at = i.to
		}
	}
}

// call runs a filter on an event.
func (w *Worker) call(plugin int, e *event.Event) {
	c := &w.counts.plugins[plugin]
	c.in++
	switch {
	case w.taps != nil:
		w.tapFilter(plugin, e)
	case w.timed:
		began := time.Now()
		w.filters[plugin].Filter(&w.x, e)
		c.nanos += int64(time.Since(began))
		c.measured++
	default:
		w.filters[plugin].Filter(&w.x, e)
	}
	if e.Cancelled() {
		c.dropped++
	}
}

// queue lets the emitted events wait, so that the first is the next to be taken.
func (w *Worker) queue(at int) {
	for _, e := range slices.Backward(w.emitted) {
		w.waiting = append(w.waiting, waiting{e, at})
	}
	clear(w.emitted)
	w.emitted = w.emitted[:0]
}

// holds evaluates a condition. An event for which that fails is cancelled, as in Logstash.
func (w *Worker) holds(i *instruction, e *event.Event) bool {
	yes := i.cond(w, e)
	if w.failed == nil {
		return yes
	}
	err := w.failed
	w.failed = nil
	if w.lose != nil {
		w.lose(e, i, err)
	}
	e.Cancel()
	w.failures[i.where]++
	if n := w.failures[i.where]; n&(n-1) == 0 { // the first, the second, the fourth …
		w.p.o.Log.Error("a condition cannot be evaluated and the event is no more: ask for the field first, if [field] and [field] > 1",
			"condition", i.pos.String(), "error", err, "events", n)
	}
	return false
}

// slow notes a match of a condition that was given up.
func (w *Worker) slow(re *regex.Regexp, err error) {
	w.gaveUp++
	if n := w.gaveUp; n&(n-1) == 0 {
		w.p.o.Log.Warn("a regular expression of a condition was given up and does not match", "pattern", re.String(), "error", err, "times", n)
	}
}

// Flush lets filters give events of their own, which go on behind them. Filters that all workers share are flushed only if
// shared is set: by one worker. It must not be called for two workers of a pipeline at a time.
func (w *Worker) Flush(final, shared bool, out func(*event.Event)) {
	for at := range w.p.filters {
		i := &w.p.filters[at]
		if i.do != call {
			continue
		}
		flusher, ok := w.filters[i.plugin].(filter.Flusher)
		if !ok || !shared && w.filters[i.plugin] == w.p.Plugins[i.plugin].Filter {
			continue
		}
		flusher.Flush(&w.x, final)
		w.counts.plugins[i.plugin].made += int64(len(w.emitted))
		if w.taps != nil && len(w.emitted) > 0 {
			w.tapFlush(i.plugin)
		}
		w.queue(at + 1)
		w.drain(out)
	}
}

// FlushInterval is how often Flush is due.
const FlushInterval = 5 * time.Second
