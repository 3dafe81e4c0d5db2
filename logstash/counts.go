package logstash

import (
	"time"

	"github.com/narudata/naru/flow/stream"
)

// pluginTally is what a filter has done in one batch.
type pluginTally struct{ in, dropped, made, measured, nanos int64 }

// tally is what a worker has done in one batch.
type tally struct {
	batches                      int64 // of all time
	in, filtered, lost, unrouted int64
	outputs                      []int64
	plugins                      []pluginTally
}

// counts are what all workers of a pipeline have done.
type counts struct {
	in, filtered, lost, unrouted stream.Counter
	outputs                      []stream.Counter
	plugins                      []pluginCounts
}

type pluginCounts struct{ in, dropped, made, measured, nanos stream.Counter }

// add takes over what a worker did, and empties its tally.
func (c *counts) add(t *tally) {
	if len(c.plugins) != len(t.plugins) || len(c.outputs) != len(t.outputs) {
		return
	}
	c.in.Add(t.in)
	c.filtered.Add(t.filtered)
	c.lost.Add(t.lost)
	c.unrouted.Add(t.unrouted)
	t.in, t.filtered, t.lost, t.unrouted = 0, 0, 0, 0
	for i := range t.outputs {
		if t.outputs[i] > 0 {
			c.outputs[i].Add(t.outputs[i])
			t.outputs[i] = 0
		}
	}
	for i := range t.plugins {
		p, of := &t.plugins[i], &c.plugins[i]
		if p.in == 0 && p.made == 0 {
			continue
		}
		of.in.Add(p.in)
		of.dropped.Add(p.dropped)
		of.made.Add(p.made)
		of.measured.Add(p.measured)
		of.nanos.Add(p.nanos)
		*p = pluginTally{}
	}
}

// Figures are what a pipeline has done since it was compiled.
type Figures struct {
	In       int64           `json:"in"`       // events that inputs made
	Made     int64           `json:"made"`     // by filters: split, clone, what they give from time to time
	Dropped  int64           `json:"dropped"`  // by filters
	Lost     int64           `json:"lost"`     // dead letters, as a condition could not be evaluated
	Filtered int64           `json:"filtered"` // that came past all conditions of the outputs: In + Made = Dropped + Lost + Filtered
	Unrouted int64           `json:"unrouted"` // of these, events that no output took
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

// OutputFigures are those of an output. In the end Events = Delivered + Dead, but for the events that gave nothing to write.
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
	Failures  int64         `json:"failures"`
	Waiting   int64         `json:"waiting"`
	Time      time.Duration `json:"time_ns"` // of all writes, added up
}

// Figures gives the figures; run are those of the run that goes on, or the last one.
func (p *Pipeline) Figures(run *stream.Stats) Figures {
	c := &p.counts
	f := Figures{
		In: c.in.Get(), Filtered: c.filtered.Get(), Lost: c.lost.Get(), Unrouted: c.unrouted.Get(), Started: run.Started,
		Inputs: make([]InputFigures, len(p.Inputs)), Filters: make([]FilterFigures, len(p.Plugins)), Outputs: make([]OutputFigures, len(p.Outputs)),
	}
	for i, in := range p.Inputs {
		f.Inputs[i] = InputFigures{ID: in.ID, Name: in.Name}
		if i < len(run.Inputs) {
			s := &run.Inputs[i]
			f.Inputs[i].Streams, f.Inputs[i].Messages, f.Inputs[i].Bytes = s.Streams.Get(), s.Records.Get(), s.Bytes.Get()
			f.Inputs[i].Acknowledged = s.Acknowledged.Get()
		}
	}
	for i := range p.Plugins {
		s := &c.plugins[i]
		x := FilterFigures{ID: p.Plugins[i].ID, Name: p.Plugins[i].Name, In: s.in.Get(), Dropped: s.dropped.Get(), Made: s.made.Get()}
		x.Out = x.In - x.Dropped + x.Made
		if n := s.measured.Get(); n > 0 {
			x.Time = time.Duration(float64(s.nanos.Get()) / float64(n) * float64(x.In))
		}
		f.Filters[i] = x
		f.Dropped += x.Dropped
		f.Made += x.Made
	}
	for i, out := range p.Outputs {
		x := OutputFigures{ID: out.ID, Name: out.Name, Events: c.outputs[i].Get()}
		if i < len(run.Outputs) {
			s := &run.Outputs[i]
			x.Records, x.Bytes, x.Delivered, x.There, x.Dead = s.Records.Get(), s.Bytes.Get(), s.Delivered.Get(), s.There.Get(), s.Dead.Get()
			x.Retries, x.Failures, x.Waiting, x.Time = s.Retries.Get(), s.Failures.Get(), s.Waiting.Get(), time.Duration(s.Nanos.Get())
		}
		f.Outputs[i] = x
	}
	return f
}
