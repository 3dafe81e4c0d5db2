package logstash

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/output"
)

// A Stage is a pipeline between inputs and outputs. A record that comes in is a message that an input read; its port is the
// input's number. What comes out is what an output is to write; its port is the output's number.
//
// Bytes of incoming records must stay as they are until what comes out is written.
type Stage struct {
	p          *Pipeline
	w          *Worker
	x          codec.Context
	decoders   []codec.Decoder   // of each input; those that hold messages back are forked once more, for each identity
	describers []input.Describer // of each input; nil: its source says nothing
	formers    []output.Former
	held       map[uint64]*holding // of each stream

	record *flow.Record  // that is being decoded
	input  *Input        // of it
	took   int           // events of it
	inside time.Duration // of a batch that is measured: what came of events while their codec ran
	began  time.Time     // of the batch
	key    []byte        // of a holder

	batch    *flow.Batch
	out      []flow.Record
	failures flow.Failures
	room     []byte // free bytes of the batch's arena
	run      func(*event.Event)
	first    bool
	flushed  time.Time // when the filters last were
}

var _ stream.Stage = (*Stage)(nil)

// holding is what is held back of a stream.
type holding struct {
	calls int // of Process
	by    map[string]*holder
}

// A holder is a decoder of messages that belong together.
type holder struct {
	decoder codec.Decoder
	input   *Input
	last    flow.Record // the last message, without its body
	since   int         // the call that brought the oldest message that is held back; 0: none is
}

// NewStage makes a stage for one worker. The first of a pipeline also flushes the filters that all workers share.
func (p *Pipeline) NewStage(first bool) *Stage {
	s := &Stage{p: p, w: p.NewWorker(), first: first, held: map[uint64]*holding{}, flushed: p.o.Now()}
	for _, in := range p.Inputs {
		s.decoders = append(s.decoders, forked(in.Decoder))
		describer := in.describer
		if forker, ok := describer.(input.DescriberForker); ok {
			describer = forker.ForkDescriber()
		}
		s.describers = append(s.describers, describer)
	}
	for _, o := range p.Outputs {
		e := o.Encoder
		if forker, ok := e.(codec.Forker); ok {
			if own, ok := forker.Fork().(codec.Encoder); ok {
				e = own
			}
		}
		s.formers = append(s.formers, o.made.Former(e))
	}
	s.run = s.output
	s.w.lose = s.lose
	s.x = codec.Context{New: s.w.empty, Emit: s.take, Log: p.o.Log}
	return s
}

func forked(d codec.Decoder) codec.Decoder {
	if forker, ok := d.(codec.Forker); ok {
		if own, ok := forker.Fork().(codec.Decoder); ok {
			return own
		}
	}
	return d
}

// Process implements stream.Stage. Its failures are events that a condition could not be evaluated for, and those that an
// output cannot write.
func (s *Stage) Process(_ context.Context, b *flow.Batch, number uint64) error {
	s.begin(b)
	var h *holding
	for i := range b.Records {
		r := &b.Records[i]
		if r.Port < 0 || int(r.Port) >= len(s.decoders) {
			continue // of no input
		}
		s.input, s.record = s.p.Inputs[r.Port], r
		if !holds(s.decoders[r.Port]) {
			s.decode(s.decoders[r.Port], r)
			continue
		}
		if h == nil {
			h = s.holding(number)
		}
		s.hold(h, r)
	}
	return s.end(b)
}

// holds reports that a decoder keeps messages back.
func holds(d codec.Decoder) bool {
	_, ok := d.(codec.Holder)
	return ok
}

// decode makes events of a message.
func (s *Stage) decode(d codec.Decoder, r *flow.Record) {
	c := &s.w.counts.inputs[r.Port]
	c.in++
	if !s.w.timed {
		d.Decode(&s.x, r.Body)
		return
	}
	began, inside := time.Now(), s.inside
	d.Decode(&s.x, r.Body)
	c.nanos += int64(time.Since(began) - (s.inside - inside))
	c.measured++
}

func (s *Stage) holding(number uint64) *holding {
	h := s.held[number]
	if h == nil {
		h = &holding{by: map[string]*holder{}}
		s.held[number] = h
	}
	h.calls++
	return h
}

// hold decodes a message that others may belong to.
func (s *Stage) hold(h *holding, r *flow.Record) {
	identity := r.Meta
	if s.input.identity != nil {
		identity = s.input.identity.Identity(r)
	}
	s.key = append(append(s.key[:0], byte(r.Port), byte(r.Port>>8)), identity...)
	d := h.by[string(s.key)]
	if d == nil {
		d = &holder{decoder: forked(s.input.Decoder), input: s.input}
		h.by[string(s.key)] = d
	}
	before := s.took
	s.decode(d.decoder, r)
	switch d.note(r); {
	case !d.decoder.(codec.Holder).Holds():
		d.since = 0
		if len(h.by) > mostHolders {
			delete(h.by, string(s.key))
		}
	case d.since == 0 || s.took > before:
		d.since = h.calls
	}
}

// mostHolders is how many identities of a stream keep their decoder while they hold nothing back.
const mostHolders = 1000

// note keeps what the source says of a message.
func (d *holder) note(r *flow.Record) {
	key, meta := append(d.last.Key[:0], r.Key...), append(d.last.Meta[:0], r.Meta...)
	d.last = *r
	d.last.Key, d.last.Meta, d.last.Body, d.last.Routing = key, meta, nil, bytes.Clone(r.Routing)
}

// Held implements stream.Stage.
func (s *Stage) Held(number uint64) int {
	h := s.held[number]
	if h == nil {
		return 0
	}
	oldest := 0
	for _, d := range h.by {
		if d.since > 0 && (oldest == 0 || d.since < oldest) {
			oldest = d.since
		}
	}
	if oldest == 0 {
		return 0
	}
	return h.calls - oldest + 1
}

// Holds implements stream.Stage.
func (s *Stage) Holds() bool { return slices.ContainsFunc(s.decoders, holds) }

// End implements stream.Stage.
func (s *Stage) End(b *flow.Batch, number uint64) error {
	s.begin(b)
	if h := s.held[number]; h != nil {
		for _, d := range h.by {
			s.release(d)
		}
		delete(s.held, number)
	}
	return s.end(b)
}

// release emits what is held back.
func (s *Stage) release(d *holder) {
	if flusher, ok := d.decoder.(codec.Flusher); ok {
		s.input, s.record = d.input, &d.last
		flusher.Flush(&s.x)
	}
	d.since = 0
}

// Flush implements stream.Stage.
func (s *Stage) Flush(b *flow.Batch, final bool) error {
	s.begin(b)
	for _, h := range s.held {
		for _, d := range h.by {
			if due, ok := d.decoder.(codec.Due); d.since > 0 && (final || ok && due.Due(s.x.Now)) {
				s.release(d)
			}
		}
	}
	if now := s.x.Now; final || now.Sub(s.flushed) >= FlushInterval {
		s.flushed = now
		s.w.Flush(final, s.first, s.run)
	}
	return s.end(b)
}

// Flushes implements stream.Stage.
func (s *Stage) Flushes() bool {
	return s.Holds() || slices.ContainsFunc(s.w.filters, func(f filter.Filter) bool {
		_, ok := f.(filter.Flusher)
		return ok
	})
}

func (s *Stage) begin(b *flow.Batch) {
	s.batch, s.out, s.room, s.failures = b, s.out[:0], nil, s.failures[:0]
	s.x.Now, s.began = s.w.x.Now(), time.Now()
	s.w.beginBatch()
}

func (s *Stage) end(b *flow.Batch) error {
	b.Records, s.out = append(b.Records[:0], s.out...), s.out[:0]
	s.batch, s.room, s.record = nil, nil, nil
	s.w.counts.busy += time.Since(s.began)
	s.w.EndBatch()
	if len(s.failures) > 0 {
		return s.failures
	}
	return nil
}

// take takes an event that a codec made.
func (s *Stage) take(e *event.Event) {
	s.took++
	s.w.counts.in++
	if s.record != nil {
		s.w.counts.inputs[s.record.Port].made++
	}
	if s.record != nil {
		if d := s.describers[s.record.Port]; d != nil {
			d.Describe(e, s.record)
		}
	}
	if err := s.input.Decorate(e); err != nil {
		s.p.o.Log.Warn("what an input adds cannot be set", "input", s.input.ID, "error", err)
	}
	if s.w.taps != nil {
		s.tapInput(e)
	}
	if !s.w.timed {
		s.w.Run(e, s.run)
		return
	}
	began := time.Now()
	s.w.Run(e, s.run)
	s.inside += time.Since(began)
}

// output gives an event to the outputs whose conditions hold.
func (s *Stage) output(e *event.Event) {
	outputs := s.p.outputs
	routed := false
	for at := 0; at < len(outputs); {
		i := &outputs[at]
		switch i.do {
		case call:
			at++
			s.form(i.plugin, e)
			routed = true
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
	s.w.counts.filtered++
	if !routed {
		s.w.counts.unrouted++
	}
}

// roomBytes is how much of a batch's arena is taken at a time.
const roomBytes = 64 << 10

func (s *Stage) space() []byte {
	if cap(s.room)-len(s.room) < roomBytes/16 {
		s.room = s.batch.Alloc(roomBytes)[:0]
	}
	return s.room
}

// form makes the record that an output is to write of an event.
func (s *Stage) form(n int, e *event.Event) {
	c := &s.w.counts.outputs[n]
	c.in++
	s.out = append(s.out, flow.Record{Port: int32(n)}) //nolint:gosec // outputs are few
	last := len(s.out) - 1
	r := &s.out[last] // no variable: it would be on the heap, for every event
	if t, ok := e.Timestamp(); ok {
		r.Time = t
	}
	var err error
	if s.w.timed {
		began := time.Now()
		s.room, err = s.formers[n].Form(s.space(), r, e)
		c.nanos += int64(time.Since(began))
		c.measured++
	} else {
		s.room, err = s.formers[n].Form(s.space(), r, e)
	}
	if s.w.taps != nil {
		s.tapOutput(n, e, r, err)
	}
	switch {
	case err == nil:
		c.made++
	case errors.Is(err, output.ErrNothing):
		s.out = s.out[:last]
	default:
		c.failed++
		failed := *r
		s.out = s.out[:last]
		s.fail(failed, e, err)
	}
}

// fail makes a dead letter.
func (s *Stage) fail(r flow.Record, e *event.Event, why error) {
	if r.Body == nil {
		room := s.space()
		start := len(room)
		room = e.AppendJSON(room)
		r.Body, s.room = room[start:len(room):len(room)], room
	}
	s.failures = append(s.failures, flow.Failure{Index: len(s.out), Err: why})
	s.out = append(s.out, r)
}

// lose makes a dead letter of an event that a condition could not be evaluated for.
func (s *Stage) lose(e *event.Event, at *instruction, why error) {
	s.w.counts.lost++
	if s.batch == nil {
		return
	}
	t, _ := e.Timestamp()
	s.fail(flow.Record{Index: "conditions", Time: t}, e, conditionError{at, why})
}

// conditionError says which condition could not be evaluated.
type conditionError struct {
	at  *instruction
	why error
}

// Error implements error.
func (c conditionError) Error() string {
	return "the condition at " + c.at.pos.String() + " cannot be evaluated: " + c.why.Error()
}

// Unwrap gives the reason.
func (c conditionError) Unwrap() error { return c.why }
