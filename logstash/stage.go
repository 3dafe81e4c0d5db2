package logstash

import (
	"context"
	"slices"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
)

// A Stage is a pipeline between inputs and outputs as a stage of a flow. A record that comes in is a message that an input
// read; its Index is the input's number, see InputIndex. What comes out is what an output is to write; its Index is the
// output's number, and its Key the name of the file for a file output.
//
// Bytes of incoming records must stay as they are until Process returns.
type Stage struct {
	p        *Pipeline
	w        *Worker
	x        codec.Context
	decoders []codec.Decoder
	encoders []codec.Encoder

	input    *Input // of the record that is being decoded
	sequence int64
	batch    *flow.Batch
	out      []flow.Record
	room     []byte // free bytes of the batch's arena
	run      func(*event.Event)
	first    bool
}

var (
	_ flow.Stage  = (*Stage)(nil)
	_ flow.Forker = (*Stage)(nil)
)

// indices are the texts of the first numbers, so that none is made for a record.
const indices = "0123456789"

// InputIndex is the Index of records that an input of a pipeline read: the first one is 0.
func InputIndex(n int) string { return index(n) }

func index(n int) string {
	if n < len(indices) {
		return indices[n : n+1]
	}
	return string(rune(n + beyond))
}

// beyond is where the characters begin that stand for the numbers that have no digit.
const beyond = 0x100

// number is the reverse of index.
func number(s string) int {
	if len(s) == 1 && s[0] >= '0' && s[0] <= '9' {
		return int(s[0] - '0')
	}
	for _, r := range s {
		return int(r) - beyond
	}
	return -1
}

// NewStage makes a stage for one worker. The first of a pipeline also flushes the filters that all workers share.
func (p *Pipeline) NewStage(first bool) *Stage {
	s := &Stage{p: p, w: p.NewWorker(), first: first}
	for _, in := range p.Inputs {
		d := in.Decoder
		if forker, ok := d.(codec.Forker); ok {
			if own, ok := forker.Fork().(codec.Decoder); ok {
				d = own
			}
		}
		s.decoders = append(s.decoders, d)
	}
	for _, o := range p.Outputs {
		e := o.Encoder
		if forker, ok := e.(codec.Forker); ok {
			if own, ok := forker.Fork().(codec.Encoder); ok {
				e = own
			}
		}
		s.encoders = append(s.encoders, e)
	}
	s.run = s.output
	s.x = codec.Context{New: s.w.empty, Emit: s.take, Log: p.o.Log}
	return s
}

// Fork implements flow.Forker.
func (s *Stage) Fork() flow.Stage { return s.p.NewStage(false) }

// Process implements flow.Stage: it replaces the records of inputs by records for outputs. It never fails.
func (s *Stage) Process(_ context.Context, b *flow.Batch) error {
	s.begin(b)
	for i := range b.Records {
		r := &b.Records[i]
		n := number(r.Index)
		if n < 0 || n >= len(s.decoders) {
			continue // of no input
		}
		s.input, s.sequence = s.p.Inputs[n], r.Version-1
		s.decoders[n].Decode(&s.x, r.Body)
	}
	s.end(b)
	return nil
}

// Flush appends what codecs and filters hold back, and what filters make from time to time, to a batch without records.
func (s *Stage) Flush(b *flow.Batch, final bool) {
	s.begin(b)
	if final {
		for n, d := range s.decoders {
			if flusher, ok := d.(codec.Flusher); ok {
				s.input, s.sequence = s.p.Inputs[n], -1
				flusher.Flush(&s.x)
			}
		}
	}
	s.w.Flush(final, s.first, s.run)
	s.end(b)
}

// flushes reports that there is something to flush before the end.
func (s *Stage) flushes() bool {
	return slices.ContainsFunc(s.w.filters, func(f filter.Filter) bool {
		_, ok := f.(filter.Flusher)
		return ok
	})
}

func (s *Stage) begin(b *flow.Batch) {
	s.batch, s.out, s.room = b, s.out[:0], nil
	s.x.Now = s.w.x.Now()
}

func (s *Stage) end(b *flow.Batch) {
	b.Records, s.out = append(b.Records[:0], s.out...), s.out[:0]
	s.batch, s.room = nil, nil
	s.w.EndBatch()
}

// take takes an event that a codec made.
func (s *Stage) take(e *event.Event) {
	if g, ok := s.input.Options.(*Generator); ok && g != nil && s.sequence >= 0 {
		e.Fields().Set("sequence", event.IntValue(s.sequence))
	}
	if err := s.input.Decorate(e); err != nil {
		s.p.o.Log.Warn("what an input adds cannot be set", "input", s.input.ID, "error", err)
	}
	s.w.Run(e, s.run)
}

// output gives an event to the outputs whose conditions hold.
func (s *Stage) output(e *event.Event) {
	outputs := s.p.outputs
	for at := 0; at < len(outputs); {
		i := &outputs[at]
		switch i.do {
		case call:
			at++
			s.encode(i.plugin, e)
		case branch:
			if s.w.holds(i, e) {
				at++
			} else if at = i.to; e.Cancelled() {
				return
			}
		case jump:
			at = i.to
		}
	}
}

// roomBytes is how much of a batch's arena is taken at a time.
const roomBytes = 64 << 10

// encode makes the record that an output is to write of an event.
func (s *Stage) encode(n int, e *event.Event) {
	o := s.p.Outputs[n]
	if _, ok := o.Options.(*Null); ok {
		return
	}
	if cap(s.room)-len(s.room) < roomBytes/16 {
		s.room = s.batch.Alloc(roomBytes)[:0]
	}
	start := len(s.room)
	s.room = s.encoders[n].Encode(s.room, e)
	r := flow.Record{Index: index(n), Body: s.room[start:len(s.room):len(s.room)]}
	if f, ok := o.Options.(*File); ok {
		start = len(s.room)
		if named, err := f.Path.Append(s.room, e); err == nil {
			s.room = named
			r.Key = s.room[start:len(s.room):len(s.room)]
		}
	}
	if t, ok := e.Timestamp(); ok {
		r.Time = t
	} else {
		r.Time = time.Time{}
	}
	s.out = append(s.out, r)
}
