package logstash

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/syntax"
)

// An Explanation says what a pipeline did with what it was given.
type Explanation struct {
	Events []ExplainedEvent `json:"events"`
	Steps  []Step           `json:"steps"`
}

// An ExplainedEvent is an event that came in, or that a filter made.
type ExplainedEvent struct {
	Number  int             `json:"number"` // from 1
	From    string          `json:"from"`   // the id of the input, or of the filter that made it
	Before  json.RawMessage `json:"before"`
	After   json.RawMessage `json:"after,omitempty"` // nothing if the event was dropped
	Dropped string          `json:"dropped_at,omitempty"`
	Outputs []string        `json:"outputs"` // the ids of those that got it
}

// A Step is a condition that was evaluated, or a plugin that ran, for one event.
type Step struct {
	Event int    `json:"event,omitempty"` // its number; 0: a filter was asked at the end for what it holds
	At    string `json:"at"`              // file:line:column
	Depth int    `json:"depth"`           // how many branches it is in
	Kind  string `json:"kind"`            // if, else if, filter, flush, output

	Condition string `json:"condition,omitempty"`
	Holds     *bool  `json:"holds,omitempty"` // of a condition

	Plugin   string         `json:"plugin,omitempty"`
	ID       string         `json:"id,omitempty"` // if the configuration gives one
	Patterns []ExplainedTry `json:"patterns,omitempty"`
	Changes  []Change       `json:"changes,omitempty"`
	Tags     *ChangedTags   `json:"tags,omitempty"`
	Makes    []int          `json:"makes,omitempty"` // numbers of events
	Drops    bool           `json:"drops,omitempty"`
	Notes    []string       `json:"notes,omitempty"` // what was logged
	Took     time.Duration  `json:"nanoseconds"`
}

// An ExplainedTry is a pattern that a filter tried.
type ExplainedTry struct {
	Field   string        `json:"field"`
	Pattern string        `json:"pattern"`
	Result  string        `json:"result"` // matched, no match, skipped, or why it was given up
	Took    time.Duration `json:"nanoseconds"`
}

// A Change is a field that a filter changed, in JSON. Without Before it is new, without After it is gone.
type Change struct {
	Field  string          `json:"field"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// ChangedTags are tags that came and went.
type ChangedTags struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// An Explainer takes events through a pipeline and notes every step. It is not safe for concurrent use, and slower than a
// worker: every filter that shares nothing between events runs a first time on a copy, so that the time of a step is not that
// of making programs of its patterns.
type Explainer struct {
	i      *Isolated
	w      *Worker
	in     *Input
	feed   *feed
	out    Explanation
	number map[*event.Event]int
	tries  []ExplainedTry
	notes  []string
	spare  event.Event
}

// Explainer makes an explainer whose lines are read as the input with an id or a name reads them; "" is the first one.
func (i *Isolated) Explainer(input string) (*Explainer, error) {
	in, err := i.input(input)
	if err != nil {
		return nil, err
	}
	x := &Explainer{i: i, in: in, w: i.Pipeline.NewWorker(), number: map[*event.Event]int{}}
	x.w.x.Log = slog.New(noteHandler{x: x})
	for _, f := range x.w.filters {
		if o, ok := f.(filter.PatternObserver); ok {
			o.Observe(x.tried)
		}
	}
	from := in.ID
	if p := i.plugins[in.Pos].plugin; p != nil && p.Attribute("id") == nil {
		from = p.Name
	}
	x.feed = i.newFeed(x.w, in, func(e *event.Event) { x.run(e, from) })
	return x, nil
}

// Line takes a line through the pipeline. Its explanation is added to the others.
func (x *Explainer) Line(text string) error {
	if err := x.i.readable(x.in); err != nil {
		return err
	}
	x.feed.line([]byte(text))
	x.endBatch()
	return nil
}

// Event takes an event through the pipeline, a JSON object, past the codec of the input.
func (x *Explainer) Event(object string) error {
	if err := x.feed.object([]byte(object)); err != nil {
		return fmt.Errorf("read the event: %w", err)
	}
	x.endBatch()
	return nil
}

func (x *Explainer) endBatch() {
	x.w.EndBatch()
	clear(x.number)
}

// End asks the codec and the filters for what they hold, as at the end of all inputs, and gives the explanation of all.
func (x *Explainer) End() Explanation {
	x.feed.flush()
	for at := range x.w.p.filters {
		in := &x.w.p.filters[at]
		if in.do != call {
			continue
		}
		if flusher, ok := x.w.filters[in.plugin].(filter.Flusher); ok {
			x.flush(flusher, in, at)
		}
	}
	x.endBatch()
	return x.out
}

// flush asks one filter for what it holds.
func (x *Explainer) flush(f filter.Flusher, in *instruction, at int) {
	start := time.Now()
	f.Flush(&x.w.x, true)
	took := time.Since(start)
	if len(x.w.emitted) == 0 {
		return
	}
	s := x.pluginStep("flush", in.pos)
	s.Took, s.Notes = took, taken(&x.notes)
	s.Makes = x.made(s)
	x.out.Steps = append(x.out.Steps, *s)
	x.w.queue(at + 1)
	x.drain()
}

// run takes an event through filters and outputs, and then those that were made of it, in the order of Worker.Run.
func (x *Explainer) run(e *event.Event, from string) {
	x.begin(e, from)
	x.walk(e, 0)
	x.drain()
}

func (x *Explainer) drain() {
	for n := len(x.w.waiting); n > 0; n = len(x.w.waiting) {
		next := x.w.waiting[n-1]
		x.w.waiting = x.w.waiting[:n-1]
		x.walk(next.e, next.at)
	}
}

// begin gives an event its number.
func (x *Explainer) begin(e *event.Event, from string) int {
	n := len(x.out.Events) + 1
	x.number[e] = n
	x.out.Events = append(x.out.Events, ExplainedEvent{Number: n, From: from, Before: whole(e), Outputs: []string{}})
	return n
}

func (x *Explainer) walk(e *event.Event, at int) {
	n := x.number[e]
	x.program(x.w.p.filters, at, e, x.filter)
	if !e.Cancelled() {
		x.out.Events[n-1].After = whole(e)
		x.program(x.w.p.outputs, 0, e, x.output)
	}
	if e.Cancelled() {
		x.out.Events[n-1].After = nil
		x.out.Events[n-1].Dropped = x.out.Steps[len(x.out.Steps)-1].At
	}
}

// program takes an event through a program.
func (x *Explainer) program(p program, at int, e *event.Event, plugin func(in *instruction, at int, e *event.Event)) {
	for at < len(p) && !e.Cancelled() {
		in := &p[at]
		switch in.do {
		case call:
			at++
			plugin(in, at, e)
		case branch:
			if x.condition(in, e) {
				at++
			} else {
				at = in.to
			}
		case jump:
			at = in.to
		}
	}
}

// condition evaluates a condition.
func (x *Explainer) condition(in *instruction, e *event.Event) bool {
	of := x.i.arms[in.pos]
	s := Step{Event: x.number[e], At: in.pos.String(), Depth: of.depth, Kind: of.word, Condition: of.cond}
	in.cond(x.w, e) // a first time, for programs of patterns
	x.w.failed = nil
	start := time.Now()
	holds := in.cond(x.w, e)
	s.Took = time.Since(start)
	if err := x.w.failed; err != nil {
		x.w.failed = nil
		holds = false
		e.Cancel()
		s.Drops = true
		s.Notes = append(s.Notes, err.Error()+": the event is lost")
	}
	s.Holds = &holds
	x.out.Steps = append(x.out.Steps, s)
	return holds
}

func (x *Explainer) pluginStep(kind string, pos syntax.Pos) *Step {
	of := x.i.plugins[pos]
	s := &Step{At: pos.String(), Depth: of.depth, Kind: kind}
	if of.plugin != nil {
		s.Plugin = of.plugin.Name
	}
	return s
}

// filter runs one filter.
func (x *Explainer) filter(in *instruction, at int, e *event.Event) {
	s := x.pluginStep("filter", in.pos)
	s.Event = x.number[e]
	plugin := &x.w.p.Plugins[in.plugin]
	if p := x.i.plugins[in.pos].plugin; p != nil && p.Attribute("id") != nil {
		s.ID = plugin.ID
	}
	f := x.w.filters[in.plugin]
	before := copied(e)
	if warms(plugin) {
		x.spare = *copied(e)
		f.Filter(&x.w.x, &x.spare)
		clear(x.w.emitted)
		x.w.emitted = x.w.emitted[:0]
	}
	x.tries, x.notes = nil, nil
	start := time.Now()
	f.Filter(&x.w.x, e)
	s.Took = time.Since(start)
	s.Patterns, s.Notes = taken(&x.tries), taken(&x.notes)
	s.Changes, s.Tags = changes(before, e)
	s.Drops = e.Cancelled()
	s.Makes = x.made(s)
	x.out.Steps = append(x.out.Steps, *s)
	x.w.queue(at)
}

// warms reports that a filter may run twice for an event, and nobody notices.
func warms(p *Plugin) bool {
	_, flushes := p.Filter.(filter.Flusher)
	return !p.Alone && !flushes && !slices.Contains([]string{"ruby", "dns"}, p.Name)
}

// made gives numbers to the events that the filter has just emitted.
func (x *Explainer) made(s *Step) []int {
	var out []int
	for _, e := range x.w.emitted {
		from := s.ID
		if from == "" {
			from = s.Plugin
		}
		out = append(out, x.begin(e, from))
	}
	return out
}

// output notes that an output gets the event.
func (x *Explainer) output(in *instruction, _ int, e *event.Event) {
	o := x.i.Pipeline.Outputs[in.plugin]
	s := x.pluginStep("output", in.pos)
	if s.Plugin == "" {
		return // there is none: naru stands in with standard output
	}
	s.Event = x.number[e]
	if p := x.i.plugins[in.pos].plugin; p.Attribute("id") != nil {
		s.ID = o.ID
	}
	ev := &x.out.Events[s.Event-1]
	ev.Outputs = append(ev.Outputs, x.i.outputID(o))
	x.out.Steps = append(x.out.Steps, *s)
}

// tried is told of the patterns that a filter tries.
func (x *Explainer) tried(t filter.PatternTry) {
	out := ExplainedTry{Field: t.Field, Pattern: t.Pattern, Result: "no match", Took: t.Took}
	switch {
	case t.Err != nil:
		out.Result = t.Err.Error()
	case t.Skipped:
		out.Result = "skipped: a text that every match has is not there"
	case t.Matched:
		out.Result = "matched"
	}
	x.tries = append(x.tries, out)
}

// taken gives what is in a list, and empties it.
func taken[T any](list *[]T) []T {
	out := *list
	*list = nil
	return out
}

// copied gives an event with the same fields and nothing that e does not have.
func copied(e *event.Event) *event.Event {
	c := new(event.Event)
	*c.Fields(), *c.Metadata() = e.Fields().Clone(), e.Metadata().Clone()
	return c
}

// whole gives an event as JSON, with its metadata if there are any.
func whole(e *event.Event) json.RawMessage {
	out := e.AppendJSON(nil)
	if m := e.Metadata(); m.Len() > 0 && len(out) > 1 {
		meta := event.MapValue()
		*meta.Map() = m.Clone()
		sep := ","
		if len(out) == 2 {
			sep = ""
		}
		out = append(append(out[:len(out)-1], sep+`"@metadata":`...), event.AppendJSON(nil, meta)...)
		out = append(out, '}')
	}
	return out
}

// oneLine puts text on one line, with single spaces.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
