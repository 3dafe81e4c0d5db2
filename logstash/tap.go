package logstash

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/output"
	"github.com/narudata/naru/logstash/syntax"
)

// taps are those who look at a pipeline's events. Workers look once for each batch whether there are any.
type taps struct {
	mu  sync.Mutex // guards changes of all
	all atomic.Pointer[[]*Tap]
}

// look gives them; nil: there are none.
func (t *taps) look() []*Tap {
	if all := t.all.Load(); all != nil {
		return *all
	}
	return nil
}

// change replaces the list.
func (t *taps) change(with func([]*Tap) []*Tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := with(slices.Clone(t.look()))
	if len(next) == 0 {
		t.all.Store(nil)
		return
	}
	t.all.Store(&next)
}

// A Tap looks at some of the events that come to a plugin, before and after it. It never holds them up: what is not taken out
// of Samples in time is counted as missed.
type Tap struct {
	Kind syntax.Kind // input, filter or output
	ID   string      // of the plugin
	Name string
	// Samples are what was seen. It is never closed.
	Samples <-chan Sample

	of       *Pipeline
	n        int // of the plugin among those of its kind
	samples  chan Sample
	allowed  atomic.Int64 // samples that may be taken until it is filled up again
	missed   atomic.Int64
	stop     chan struct{}
	stopping sync.Once
	stopped  chan struct{}
}

// A Sample is an event at a plugin. Events are JSON objects with all fields, @metadata among them; one of more than a MiB is
// a text that says so instead.
type Sample struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Plugin string    `json:"plugin"` // its id
	Name   string    `json:"name"`

	Message *string           `json:"message,omitempty"` // input: what the codec made the event of, as far as it was in one message; up to 64 KiB of it
	Before  json.RawMessage   `json:"before,omitempty"`  // filter: the event as it came; nothing for one that comes of no event. Output: the event
	After   json.RawMessage   `json:"after,omitempty"`   // input, filter: the event as it went on
	Dropped bool              `json:"dropped,omitempty"` // by the filter: it does not go on
	Emitted []json.RawMessage `json:"emitted,omitempty"` // events that the filter made beside it
	Record  *SampleRecord     `json:"record,omitempty"`  // output: what is written
	Error   string            `json:"error,omitempty"`   // output: why it cannot be written: it is a dead letter
	Took    time.Duration     `json:"took_ns,omitempty"` // filter: how long it took
}

// SampleRecord is what an output writes of an event.
type SampleRecord struct {
	Index   string `json:"index,omitempty"`
	ID      string `json:"id,omitempty"`
	Routing string `json:"routing,omitempty"`
	Version int64  `json:"version,omitempty"`
	Body    string `json:"body"` // up to 64 KiB of it
}

// Bounds of what a Tap takes.
const (
	tapPerSecond  = 100     // samples, unless told otherwise
	tapMost       = 1000    // samples per second
	tapWaiting    = 64      // samples that wait to be taken
	tapEventBytes = 1 << 20 // of an event
	tapTextBytes  = 64 << 10
)

// Tap begins to look at the plugin at: its id, or its name if there is one of that name only. perSecond bounds how many
// samples are taken; 0: 100, at most 1000. Close ends it.
func (p *Pipeline) Tap(at string, perSecond int) (*Tap, error) {
	t, err := p.find(at)
	if err != nil {
		return nil, err
	}
	if perSecond <= 0 {
		perSecond = tapPerSecond
	}
	t.of, t.samples, t.stop, t.stopped = p, make(chan Sample, tapWaiting), make(chan struct{}), make(chan struct{})
	t.Samples = t.samples
	go t.fill(min(perSecond, tapMost))
	p.taps.change(func(all []*Tap) []*Tap { return append(all, t) })
	return t, nil
}

// Missed is how many samples were not taken in time.
func (t *Tap) Missed() int64 { return t.missed.Load() }

// Close ends the tap.
func (t *Tap) Close() {
	t.stopping.Do(func() {
		t.of.taps.change(func(all []*Tap) []*Tap {
			return slices.DeleteFunc(all, func(other *Tap) bool { return other == t })
		})
		close(t.stop)
	})
	<-t.stopped
}

// fill allows samples at a rate, a tenth of a second's at a time.
func (t *Tap) fill(perSecond int) {
	defer close(t.stopped)
	every, n := 100*time.Millisecond, int64(perSecond/10)
	if n == 0 {
		every, n = time.Second/time.Duration(perSecond), 1
	}
	t.allowed.Store(n)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.allowed.Store(n)
		case <-t.stop:
			t.allowed.Store(0)
			return
		}
	}
}

// find looks for a plugin.
func (p *Pipeline) find(at string) (*Tap, error) {
	var all []*Tap
	for i, in := range p.Inputs {
		all = append(all, &Tap{Kind: syntax.Input, ID: in.ID, Name: in.Name, n: i})
	}
	for i := range p.Plugins {
		all = append(all, &Tap{Kind: syntax.Filter, ID: p.Plugins[i].ID, Name: p.Plugins[i].Name, n: i})
	}
	for i, out := range p.Outputs {
		all = append(all, &Tap{Kind: syntax.Output, ID: out.ID, Name: out.Name, n: i})
	}
	var named []*Tap
	var ids []string
	for _, t := range all {
		if t.ID == at {
			return t, nil
		}
		if t.Name == at {
			named = append(named, t)
		}
		ids = append(ids, t.ID)
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1:
		ids = ids[:0]
		for _, t := range named {
			ids = append(ids, t.ID)
		}
		return nil, fmt.Errorf("%w: there are several %s: say which one by its id: %s", ErrNoPlugin, at, strings.Join(ids, ", "))
	}
	if near := connect.Nearest(at, ids); near != "" {
		return nil, fmt.Errorf("%w %q: did you mean %q?", ErrNoPlugin, at, near)
	}
	return nil, fmt.Errorf("%w %q: there are %s", ErrNoPlugin, at, strings.Join(ids, ", "))
}

// ErrNoPlugin says that a pipeline has no such plugin.
var ErrNoPlugin = errors.New("there is no plugin")

// wants reports that the tap looks at a plugin, and takes another sample now.
func (t *Tap) wants(kind syntax.Kind, n int) bool {
	if t.n != n || t.Kind != kind || t.allowed.Load() <= 0 || t.allowed.Add(-1) < 0 {
		return false
	}
	if len(t.samples) == cap(t.samples) {
		t.missed.Add(1)
		return false
	}
	return true
}

// give gives a sample, if there is room for it.
func (t *Tap) give(s Sample) {
	s.Kind, s.Plugin, s.Name = string(t.Kind), t.ID, t.Name
	select {
	case t.samples <- s:
	default:
		t.missed.Add(1)
	}
}

// wanting gives the taps that want a sample.
func wanting(all []*Tap, kind syntax.Kind, n int) []*Tap {
	var some []*Tap
	for _, t := range all {
		if t.wants(kind, n) {
			some = append(some, t)
		}
	}
	return some
}

// tapFilter runs a filter, and shows it to those who look at it.
func (w *Worker) tapFilter(plugin int, e *event.Event) {
	some := wanting(w.taps, syntax.Filter, plugin)
	if some == nil {
		w.filters[plugin].Filter(&w.x, e)
		return
	}
	s := Sample{Time: w.x.Now(), Before: sampled(e)}
	began := time.Now()
	w.filters[plugin].Filter(&w.x, e)
	s.Took = time.Since(began)
	if s.Dropped = e.Cancelled(); !s.Dropped {
		s.After = sampled(e)
	}
	s.Emitted = w.sampledEmitted()
	for _, t := range some {
		t.give(s)
	}
}

// tapFlush shows what a filter gives from time to time.
func (w *Worker) tapFlush(plugin int) {
	for _, t := range wanting(w.taps, syntax.Filter, plugin) {
		t.give(Sample{Time: w.x.Now(), Emitted: w.sampledEmitted()})
	}
}

// mostEmitted is how many events of one event a sample has.
const mostEmitted = 20

func (w *Worker) sampledEmitted() []json.RawMessage {
	var out []json.RawMessage
	for _, e := range w.emitted[:min(len(w.emitted), mostEmitted)] {
		out = append(out, sampled(e))
	}
	return out
}

// tapInput shows what a codec made.
func (s *Stage) tapInput(e *event.Event) {
	if s.record == nil {
		return
	}
	for _, t := range wanting(s.w.taps, syntax.Input, int(s.record.Port)) {
		sample := Sample{Time: s.x.Now, After: sampled(e)}
		if s.record.Body != nil {
			text := sampledText(s.record.Body)
			sample.Message = &text
		}
		t.give(sample)
	}
}

// tapOutput shows what an output makes of an event.
func (s *Stage) tapOutput(n int, e *event.Event, r *flow.Record, why error) {
	for _, t := range wanting(s.w.taps, syntax.Output, n) {
		sample := Sample{Time: s.x.Now, Before: sampled(e)}
		switch {
		case why == nil:
			sample.Record = &SampleRecord{
				Index: r.Index, ID: sampledText(r.Key), Routing: sampledText(r.Routing), Version: r.Version, Body: sampledText(r.Body),
			}
		case !errors.Is(why, output.ErrNothing):
			sample.Error = why.Error()
		}
		t.give(sample)
	}
}

// sampled gives an event as JSON.
func sampled(e *event.Event) json.RawMessage {
	out := e.AppendJSON(nil)
	if meta := e.Metadata(); meta.Len() > 0 {
		v := event.MapValue()
		for _, f := range meta.Entries() {
			v.Map().Set(f.Key, f.Value)
		}
		if out = out[:len(out)-1]; len(out) > 1 {
			out = append(out, ',')
		}
		out = event.AppendJSON(append(out, `"@metadata":`...), v)
		out = append(out, '}')
	}
	if len(out) > tapEventBytes {
		return json.RawMessage(fmt.Sprintf(`"an event of %d bytes: too large to be shown"`, len(out)))
	}
	return out
}

// sampledText gives bytes as a text.
func sampledText(b []byte) string {
	cut := b[:min(len(b), tapTextBytes)]
	for n := 0; len(cut) < len(b) && n < utf8.UTFMax && len(cut) > 0; n++ {
		if r, size := utf8.DecodeLastRune(cut); r != utf8.RuneError || size > 1 {
			break
		}
		cut = cut[:len(cut)-1]
	}
	text := strings.ToValidUTF8(string(cut), "\ufffd")
	if len(cut) < len(b) {
		text += "…"
	}
	return text
}
