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
	var parts []part
	var room []flow.Record
	for {
		parts = o.gather(parts[:0])
		if len(parts) == 0 {
			return
		}
		recs := parts[0].recs
		if len(parts) > 1 {
			room = room[:0]
			for _, p := range parts {
				room = append(room, p.recs...)
			}
			recs = room
		}
		o.stats.Records.add(int64(len(recs)))
		o.stats.Bytes.add(int64(bodies(recs)))
		if !o.write(recs) {
			continue // the pipe stops: nothing is settled any more
		}
		for _, p := range parts {
			o.settle(p.j)
		}
		clear(room)
		clear(parts)
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

// write writes until every record is delivered or dead; it reports false if the pipe stops before.
func (o *outlet) write(recs []flow.Record) bool {
	o.stats.Waiting.add(int64(len(recs)))
	defer o.stats.Waiting.add(-int64(len(recs)))
	owned := false
	for failures := 1; ; failures++ {
		o.stats.Writing.add(1)
		began := time.Now()
		err := o.Write(o.ctx, recs)
		o.stats.Nanos.add(int64(time.Since(began)))
		o.stats.Writing.add(-1)
		o.stats.Writes.add(1)
		if err == nil {
			o.stats.Delivered.add(int64(len(recs)))
			return true
		}
		if o.ctx.Err() != nil {
			return false
		}
		o.stats.Failures.add(1)
		some, ok := errors.AsType[flow.Failures](err)
		switch {
		case ok:
			o.stats.Partly.add(1)
			if !owned {
				recs = append([]flow.Record(nil), recs...) // the batch's own stay as they are
				owned = true
			}
			if recs, ok = o.sort(recs, some); !ok {
				return false
			}
			if len(recs) == 0 {
				return true
			}
			err = left(some)
		case flow.IsPermanent(err) || flow.IsFatal(err):
			o.stop(fmt.Errorf("output %s: %w", o.Sinks[o.port].ID, err))
			return false
		}
		o.stats.Retries.add(int64(len(recs)))
		o.complain(failures, "an output cannot write, trying again", "output", o.Sinks[o.port].ID, "records", len(recs), "error", err)
		if o.Retry.Wait(o.ctx, failures) != nil {
			return false
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

// sort keeps what is to be written again, in place; what is refused for good becomes dead letters.
func (o *outlet) sort(recs []flow.Record, some flow.Failures) ([]flow.Record, bool) {
	why := make([]error, len(recs))
	failed := 0
	for _, f := range some {
		if f.Index < 0 || f.Index >= len(recs) {
			o.stop(fmt.Errorf("output %s: a failure of record %d of %d: %w", o.Sinks[o.port].ID, f.Index, len(recs), f.Err))
			return nil, false
		}
		if why[f.Index] == nil {
			failed++
		}
		if why[f.Index] = f.Err; f.Err == nil {
			why[f.Index] = errNoReason
		}
	}
	o.stats.Delivered.add(int64(len(recs) - failed))
	var dead []flow.Record
	var reasons []error
	again := recs[:0]
	for i, err := range why {
		switch {
		case err == nil:
		case errors.Is(err, flow.ErrThere):
			o.stats.Delivered.add(1)
			o.stats.There.add(1)
		case flow.IsPermanent(err):
			r := recs[i]
			if o.Sink.Dead != nil {
				r = o.Sink.Dead(r)
			}
			dead, reasons = append(dead, r), append(reasons, err)
		default:
			again = append(again, recs[i])
		}
	}
	if len(dead) > 0 {
		if !o.bury(o, dead, reasons) {
			return nil, false
		}
		o.stats.Dead.add(int64(len(dead)))
	}
	return again, true
}

var errNoReason = errors.New("no reason was given")
