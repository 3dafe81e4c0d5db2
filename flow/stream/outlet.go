package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
)

// A part is what one job has for one sink.
type part struct {
	j    *job
	recs []flow.Record
}

// An outlet writes to one sink: what waits is written together.
type outlet struct {
	*run
	Sink
	port    int
	stats   *OutputStats
	queue   chan part
	writers sync.WaitGroup

	turn chan struct{} // has room for one: whose turn it is to gather
	kept *part         // guarded by turn: taken from the queue, and too large to be written together with what was before it
}

// newOutlet starts the writers of a sink.
func newOutlet(r *run, port int) *outlet {
	o := &outlet{run: r, turn: make(chan struct{}, 1), Sink: r.Sinks[port].Sink, port: port, stats: &r.o.Stats.Outputs[port]}
	writers, waiting := cmp.Or(o.InFlight, 4), mostJobs
	if o.InOrder {
		writers, waiting = 1, 4
	}
	o.MaxRecords, o.MaxBytes = cmp.Or(o.MaxRecords, 4096), cmp.Or(o.MaxBytes, 4<<20)
	o.queue = make(chan part, waiting)
	for range writers {
		o.writers.Go(o.work)
	}
	return o
}

// close waits until all is written, and closes the sink.
func (o *outlet) close() error {
	o.writers.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), closeTimeout)
	defer cancel()
	if err := o.Close(ctx); err != nil {
		return fmt.Errorf("output %s: %w", o.Sinks[o.port].ID, err)
	}
	return nil
}

// closeTimeout bounds what a sink does when the pipe is over.
const closeTimeout = 30 * time.Second

func (o *outlet) work() {
	w := &writing{outlet: o}
	for {
		w.parts = o.gather(w.parts[:0])
		if len(w.parts) == 0 {
			return
		}
		w.begin()
		w.write()
		w.end()
	}
}

// A writing is what is written together. Parts are settled one by one, each when nothing of it is left to write.
type writing struct {
	*outlet
	parts []part
	recs  []flow.Record // what is left to write
	of    []int         // of each of recs, which part it is of
	open  []int         // of each part, how many records are left
	room  []flow.Record
}

func (w *writing) begin() {
	w.of, w.open, w.room = w.of[:0], w.open[:0], w.room[:0]
	for i, p := range w.parts {
		w.open = append(w.open, len(p.recs))
		for range p.recs {
			w.of = append(w.of, i)
		}
	}
	w.recs = w.parts[0].recs
	if len(w.parts) > 1 {
		for _, p := range w.parts {
			w.room = append(w.room, p.recs...)
		}
		w.recs = w.room
	}
	w.stats.Records.add(int64(len(w.recs)))
	w.stats.Bytes.add(int64(bodies(w.recs)))
	w.stats.Waiting.add(int64(len(w.recs)))
}

func (w *writing) end() {
	w.stats.Waiting.add(-int64(len(w.recs)))
	clear(w.room)
	clear(w.parts)
	w.recs = nil
}

// done notes that nothing is left to do for n records of a part.
func (w *writing) done(of, n int) {
	if w.open[of] -= n; w.open[of] == 0 {
		w.settle(w.parts[of].j)
	}
}

// all notes that everything is written.
func (w *writing) all() {
	w.stats.Delivered.add(int64(len(w.recs)))
	w.stats.Waiting.add(-int64(len(w.recs)))
	w.recs = nil
	for i, n := range w.open {
		if n > 0 {
			w.done(i, n)
		}
	}
}

// gather takes a part, waiting for it, and whatever waits behind it within the bounds. It gives none when there will be none.
func (o *outlet) gather(parts []part) []part {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	records, bytes := 0, 0
	add := func(p part) bool {
		n := bodies(p.recs)
		if len(parts) > 0 && (records+len(p.recs) > o.MaxRecords || bytes+n > o.MaxBytes) {
			o.kept = &p
			return false
		}
		parts = append(parts, p)
		records, bytes = records+len(p.recs), bytes+n
		return true
	}
	if o.kept != nil {
		p := *o.kept
		o.kept = nil
		add(p)
	} else {
		p, ok := <-o.queue
		if !ok {
			return parts
		}
		add(p)
	}
	for {
		select {
		case p, ok := <-o.queue:
			if !ok || !add(p) {
				return parts
			}
		default:
			return parts
		}
	}
}

func bodies(recs []flow.Record) int {
	n := 0
	for i := range recs {
		n += len(recs[i].Body)
	}
	return n
}

// write writes until every record is delivered or dead, or the pipe stops.
func (w *writing) write() {
	began := time.Now()
	for failures := 1; ; failures++ {
		w.stats.Writing.add(1)
		tried := time.Now()
		err := w.Write(w.ctx, w.recs)
		w.stats.Nanos.add(int64(time.Since(tried)))
		w.stats.Writing.add(-1)
		w.stats.Writes.add(1)
		if err == nil {
			if failures > 1 {
				w.o.Log.Warn("an output writes again", "output", w.Sinks[w.port].ID, "records", len(w.recs), "after", time.Since(began).Round(time.Millisecond))
			}
			w.all()
			return
		}
		if w.ctx.Err() != nil {
			return
		}
		w.stats.Failures.add(1)
		some, ok := errors.AsType[flow.Failures](err)
		switch {
		case ok:
			w.stats.Partly.add(1)
			before := len(w.recs)
			if !w.sort(some) || len(w.recs) == 0 {
				return
			}
			if len(w.recs) < before {
				failures = 1 // it goes on
			}
			err = left(some)
		case flow.IsPermanent(err) || flow.IsFatal(err):
			w.stop(fmt.Errorf("output %s: %w", w.Sinks[w.port].ID, err))
			return
		}
		w.stats.Retries.add(int64(len(w.recs)))
		w.complain(failures, "an output cannot write, trying again", "output", w.Sinks[w.port].ID, "records", len(w.recs), "error", err)
		if w.Retry.Wait(w.ctx, failures) != nil {
			return
		}
	}
}

// left gives the first failure that is to be tried again.
func left(some flow.Failures) error {
	for _, f := range some {
		if f.Err != nil && !flow.IsPermanent(f.Err) && !errors.Is(f.Err, flow.ErrThere) {
			return f.Err
		}
	}
	return some
}

// sort keeps what is to be written again; what is refused for good becomes dead letters. It reports false if the pipe stops.
func (w *writing) sort(some flow.Failures) bool {
	why := make([]error, len(w.recs))
	for _, f := range some {
		if f.Index < 0 || f.Index >= len(w.recs) {
			w.stop(fmt.Errorf("output %s: a failure of record %d of %d: %w", w.Sinks[w.port].ID, f.Index, len(w.recs), f.Err))
			return false
		}
		if why[f.Index] = f.Err; f.Err == nil {
			why[f.Index] = errNoReason
		}
	}
	var dead, again []flow.Record
	var reasons []error
	var of, ended []int
	delivered, there := 0, 0
	for i, err := range why {
		switch {
		case err == nil:
			delivered++
		case errors.Is(err, flow.ErrThere):
			delivered, there = delivered+1, there+1
		case flow.IsPermanent(err):
			r := w.recs[i]
			if w.Sink.Dead != nil {
				r = w.Sink.Dead(r)
			}
			dead, reasons = append(dead, r), append(reasons, err)
		default:
			again, of = append(again, w.recs[i]), append(of, w.of[i])
			continue
		}
		ended = append(ended, w.of[i])
	}
	if len(dead) > 0 && !w.bury(w.outlet, dead, reasons) {
		return false
	}
	w.stats.Delivered.add(int64(delivered))
	w.stats.There.add(int64(there))
	w.stats.Dead.add(int64(len(dead)))
	w.stats.Waiting.add(-int64(len(ended)))
	w.recs, w.of = again, of
	for _, i := range ended {
		w.done(i, 1)
	}
	return true
}

var errNoReason = errors.New("no reason was given")
