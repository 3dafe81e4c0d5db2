package logstash

import (
	"slices"
	"sync"
	"time"

	"github.com/narudata/naru/flow/stream"
)

// pluginTally is what a filter has done in one batch.
type pluginTally struct{ in, dropped, made, measured, nanos int64 }

func (p *pluginTally) add(o *pluginTally) {
	p.in += o.in
	p.dropped += o.dropped
	p.made += o.made
	p.measured += o.measured
	p.nanos += o.nanos
}

// endTally is what a codec has done in one batch: that of an input with messages, that of an output with events. made are the
// events or the records; failed, of an output, the events that cannot be written.
type endTally struct{ in, made, failed, measured, nanos int64 }

func (t *endTally) add(o *endTally) {
	t.in += o.in
	t.made += o.made
	t.failed += o.failed
	t.measured += o.measured
	t.nanos += o.nanos
}

// estimated estimates what all of it took from what was measured.
func estimated(nanos, measured, all int64) time.Duration {
	if measured <= 0 {
		return 0
	}
	return time.Duration(float64(nanos) / float64(measured) * float64(all))
}

// tally is what a worker has done in one batch.
type tally struct {
	batches                      int64 // of all time
	in, filtered, lost, unrouted int64
	busy                         time.Duration
	inputs, outputs              []endTally
	plugins                      []pluginTally
}

// newTally makes one for a pipeline.
func (p *Pipeline) newTally() tally {
	return tally{inputs: make([]endTally, len(p.Inputs)), outputs: make([]endTally, len(p.Outputs)), plugins: make([]pluginTally, len(p.Plugins))}
}

// counts are what all workers of a pipeline have done. What they say of a batch comes at once, so sums are always right.
type counts struct {
	mu  sync.Mutex // guards all
	all tally
}

// add takes over what a worker did, and empties its tally.
func (c *counts) add(t *tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := &c.all
	if len(all.plugins) != len(t.plugins) || len(all.outputs) != len(t.outputs) || len(all.inputs) != len(t.inputs) {
		return
	}
	all.in += t.in
	all.filtered += t.filtered
	all.lost += t.lost
	all.unrouted += t.unrouted
	all.busy += t.busy
	t.in, t.filtered, t.lost, t.unrouted, t.busy = 0, 0, 0, 0, 0
	for i := range t.inputs {
		all.inputs[i].add(&t.inputs[i])
	}
	for i := range t.outputs {
		all.outputs[i].add(&t.outputs[i])
	}
	for i := range t.plugins {
		all.plugins[i].add(&t.plugins[i])
	}
	clear(t.inputs)
	clear(t.outputs)
	clear(t.plugins)
}

// get gives a copy.
func (c *counts) get() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.all
	t.inputs, t.outputs, t.plugins = slices.Clone(t.inputs), slices.Clone(t.outputs), slices.Clone(t.plugins)
	return t
}

// Figures are what a pipeline has done since it was compiled.
type Figures struct {
	In       int64           `json:"in"`       // events that inputs made
	Made     int64           `json:"made"`     // by filters: split, clone, what they give from time to time
	Dropped  int64           `json:"dropped"`  // by filters
	Lost     int64           `json:"lost"`     // dead letters, as a condition could not be evaluated
	Filtered int64           `json:"filtered"` // that came past all conditions of the outputs: In + Made = Dropped + Lost + Filtered
	Unrouted int64           `json:"unrouted"` // of these, events that no output took
	Out      int64           `json:"out"`      // of these, events that are safe in all outputs that take them
	Busy     time.Duration   `json:"busy_ns"`  // of the workers, added up
	Inputs   []InputFigures  `json:"inputs"`
	Filters  []FilterFigures `json:"filters"`
	Outputs  []OutputFigures `json:"outputs"`
	Started  time.Time       `json:"started"`
}

// InputFigures are those of an input.
type InputFigures struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Streams      int64  `json:"streams"` // connections, partitions, files that are open
	Messages     int64  `json:"messages"`
	Bytes        int64  `json:"bytes"`
	Acknowledged int64  `json:"acknowledged"` // of the messages: delivered, or kept on the disk
	Events       int64  `json:"events"`       // that the codec made of messages
	// Blocked is how long at least one stream had something to give and there was no room for it.
	Blocked time.Duration `json:"blocked_ns"`
	Codec   time.Duration `json:"codec_ns"` // estimated from one batch of 32
}

// FilterFigures are those of a filter.
type FilterFigures struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	In      int64         `json:"in"`
	Out     int64         `json:"out"`
	Dropped int64         `json:"dropped"`
	Made    int64         `json:"made"`
	Time    time.Duration `json:"time_ns"` // estimated from one batch of 32
}

// OutputFigures are those of an output. In the end Events = Delivered + Dead, but for the events
// that gave nothing to write.
type OutputFigures struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Events    int64         `json:"events"`
	Records   int64         `json:"records"`
	Bytes     int64         `json:"bytes"`
	Delivered int64         `json:"delivered"`
	There     int64         `json:"there"`
	Dead      int64         `json:"dead"`
	Retries   int64         `json:"retries"`
	Writes    int64         `json:"writes"`
	Failures  int64         `json:"failures"` // of the writes
	Partly    int64         `json:"partly"`   // of these, of a part only
	Writing   int64         `json:"writing"`  // writes on their way now
	Waiting   int64         `json:"waiting"`  // events that are not safe yet
	Time      time.Duration `json:"time_ns"`  // of all writes, added up
	Codec     time.Duration `json:"codec_ns"` // of making records, estimated from one batch of 32
}

// Figures gives the figures; run are those of the run that goes on, or the last one; nil: it has not begun. What is counted up
// never gets less from one call to the next.
func (p *Pipeline) Figures(run *stream.Stats) Figures {
	if run == nil {
		run = &stream.Stats{}
	}
	f := Figures{
		Started: run.Started,
		Inputs:  make([]InputFigures, len(p.Inputs)), Filters: make([]FilterFigures, len(p.Plugins)), Outputs: make([]OutputFigures, len(p.Outputs)),
	}
	// What outputs have done first: it is never more than what workers are then seen to have given them.
	for i, out := range p.Outputs {
		f.Outputs[i] = outputFigures(out, run, i)
	}
	c := p.counts.get()
	f.In, f.Filtered, f.Lost, f.Unrouted, f.Busy = c.in, c.filtered, c.lost, c.unrouted, c.busy
	for i, in := range p.Inputs {
		f.Inputs[i] = inputFigures(in, run, i, &c.inputs[i])
	}
	for i := range p.Plugins {
		s := &c.plugins[i]
		x := FilterFigures{ID: p.Plugins[i].ID, Name: p.Plugins[i].Name, In: s.in, Dropped: s.dropped, Made: s.made, Time: estimated(s.nanos, s.measured, s.in)}
		x.Out = x.In - x.Dropped + x.Made
		f.Filters[i] = x
		f.Dropped += x.Dropped
		f.Made += x.Made
	}
	behind := int64(0)
	for i := range f.Outputs {
		x, s := &f.Outputs[i], &c.outputs[i]
		x.Events, x.Codec = s.in, estimated(s.nanos, s.measured, s.in)
		x.Waiting = max(s.made-x.Delivered-x.Dead, 0)
		x.Dead += s.failed
		behind = max(behind, x.Waiting)
	}
	f.Out = max(f.Filtered-behind, 0)
	return f
}

func inputFigures(in *Input, run *stream.Stats, n int, c *endTally) InputFigures {
	x := InputFigures{ID: in.ID, Name: in.Name, Events: c.made, Codec: estimated(c.nanos, c.measured, c.in)}
	if n < len(run.Inputs) {
		s := &run.Inputs[n]
		x.Acknowledged, x.Messages, x.Bytes = s.Acknowledged.Get(), s.Records.Get(), s.Bytes.Get()
		x.Streams, x.Blocked = s.Streams.Get(), s.Blocked.Get()
	}
	return x
}

func outputFigures(out *Output, run *stream.Stats, n int) OutputFigures {
	x := OutputFigures{ID: out.ID, Name: out.Name}
	if n < len(run.Outputs) {
		s := &run.Outputs[n]
		x.Delivered, x.There, x.Dead = s.Delivered.Get(), s.There.Get(), s.Dead.Get()
		x.Partly, x.Failures, x.Writes = s.Partly.Get(), s.Failures.Get(), s.Writes.Get()
		x.Records, x.Bytes, x.Retries = s.Records.Get(), s.Bytes.Get(), s.Retries.Get()
		x.Writing, x.Time = s.Writing.Get(), time.Duration(s.Nanos.Get())
	}
	return x
}
