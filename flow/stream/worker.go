package stream

import (
	"errors"
	"slices"
	"time"

	"github.com/narudata/naru/flow"
)

// A worker takes batches through a stage of its own.
type worker struct {
	*run
	s     Stage
	calls map[uint64][]*token // of each stream: what is not free of what is held back, the oldest first
}

func newWorker(r *run, s Stage) *worker { return &worker{run: r, s: s, calls: map[uint64][]*token{}} }

// work takes jobs until there are none, and flushes the stage from time to time.
func (w *worker) work() {
	tick := time.NewTicker(w.o.FlushEvery)
	defer tick.Stop()
	var last *token // of the last flush
	for {
		select {
		case j, ok := <-w.todo:
			if !ok {
				return
			}
			w.process(j)
			j.processed <- struct{}{}
		case <-tick.C:
			if w.s.Flushes() && (last == nil || last.done()) {
				last = newToken(nil)
				w.flush(w.s, false, last)
			}
		}
	}
}

func (w *worker) process(j *job) {
	if j.ended {
		w.processed(j, w.s.End(&j.batch, j.stream))
	} else {
		w.o.Stats.Processed.add(int64(len(j.batch.Records)))
		w.processed(j, w.s.Process(w.ctx, &j.batch, j.stream))
	}
	if w.holds {
		w.hold(j)
	}
}

// processed takes over what a stage made.
func (r *run) processed(j *job, err error) {
	if err != nil {
		failures, ok := errors.AsType[flow.Failures](err)
		if !ok {
			r.stop(err)
			return
		}
		j.fail(failures)
	}
	r.o.Stats.Made.add(int64(len(j.batch.Records)))
	r.o.Stats.Failed.add(int64(len(j.failed)))
}

// fail takes records that the stage could not make out of the batch.
func (j *job) fail(failures flow.Failures) {
	slices.SortFunc(failures, func(a, b flow.Failure) int { return b.Index - a.Index })
	for _, f := range failures {
		if f.Index < 0 || f.Index >= len(j.batch.Records) {
			continue
		}
		j.failed, j.why = append(j.failed, j.batch.Records[f.Index]), append(j.why, f.Err)
		j.batch.Records = slices.Delete(j.batch.Records, f.Index, f.Index+1)
	}
	slices.Reverse(j.failed)
	slices.Reverse(j.why)
}

// hold sees to it that a batch is not acknowledged as long as something of it is held back.
func (w *worker) hold(j *job) {
	n := w.s.Held(j.stream)
	tokens := w.calls[j.stream]
	if !j.ended {
		tokens = append(tokens, j.token)
		if n > 0 {
			j.token.waits.add(1)
		}
	}
	free := len(tokens) - n
	for i, t := range tokens[:max(free, 0)] {
		if i < len(tokens)-1 || j.ended {
			j.frees = append(j.frees, t) // the batch has the last of what was held of it
		}
	}
	if free > 0 {
		tokens = slices.Delete(tokens, 0, free)
	}
	if len(tokens) == 0 {
		delete(w.calls, j.stream)
	} else {
		w.calls[j.stream] = tokens
	}
}
