package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A worker carries one part after the other. It has an outlet of its own if the sink is a Brancher.
type worker struct {
	*run
	out *outlet // nil until there is something to carry

	finished  []*carriage // whose last records are not committed
	committed time.Time   // when it last was, or could have been
}

func newWorker(r *run) *worker { return &worker{run: r} }

func (w *worker) work() {
	defer w.close()
	for {
		p, ok := w.take()
		if !ok {
			break
		}
		if w.reading.Err() != nil {
			w.cut.Store(true)
			w.await.carried()
			break
		}
		w.carry(p)
		w.await.carried()
	}
	if w.ctx.Err() == nil {
		w.commit(nil)
	}
}

// take waits for a part, and commits at the interval meanwhile.
func (w *worker) take() (Part, bool) {
	for {
		var due <-chan time.Time
		if len(w.finished) > 0 {
			t := time.NewTimer(w.o.SaveInterval - time.Since(w.committed))
			defer t.Stop()
			due = t.C
		}
		select {
		case p, ok := <-w.parts:
			return p, ok
		case <-due:
			if !w.commit(nil) {
				return Part{}, false
			}
		}
	}
}

// carry takes a part from its last checkpoint as far as it goes.
func (w *worker) carry(p Part) {
	counters := w.o.Progress.group(p.Group)
	var cp Checkpoint
	again := func(err error) { w.log.Warn("claim failed, trying again", "part", p.ID, "err", err) }
	err := w.ledgerRetry().do(w.reading, again, func() (err error) {
		cp, err = w.Ledger.Claim(w.ctx, p)
		return err
	})
	switch {
	case errors.Is(err, ErrTaken):
		w.log.Info("part is taken", "part", p.ID)
		counters.taken.Add(1)
		if w.o.AwaitTaken {
			w.await.later(p)
		} else {
			w.books.settle(&p, Tally{}, Tally{}, outcomeTaken)
		}
		return
	case errors.Is(err, ErrDone), err == nil && cp.Done:
		counters.earlier(&p, &cp)
		counters.done.Add(1)
		w.books.settle(&p, cp.Tally, Tally{}, outcomeEarlier)
		return
	case err != nil && w.reading.Err() != nil:
		w.cut.Store(true)
		return
	case err != nil:
		w.stop(fmt.Errorf("claim part %s: %w", p.ID, err))
		return
	}
	if w.out == nil {
		if w.out, err = w.open(); err != nil {
			w.stop(err)
			w.release(&p)
			return
		}
	}
	counters.earlier(&p, &cp)
	newCarriage(w, p, cp, counters).carry()
}

// ledgerRetry is how patiently the ledger is asked.
func (r *run) ledgerRetry() Retry {
	retry := r.o.Retry
	retry.patience = r.o.LedgerPatience
	return retry
}

// open makes the worker's outlet.
func (w *worker) open() (*outlet, error) {
	out := &outlet{run: w.run, sink: w.Sink}
	if b, ok := w.Sink.(Brancher); ok {
		branch, err := b.Branch(w.ctx)
		if err != nil {
			return nil, fmt.Errorf("open a branch of the sink: %w", err)
		}
		out.sink, out.own, out.inline = branch, true, true
	}
	if c, ok := out.sink.(Committer); ok {
		out.committer, out.inline = c, true
		w.drain.commits.Store(true)
	}
	if d, ok := out.sink.(DeadLetters); ok {
		out.dead = d
	} else {
		out.dead = w.DeadLetters
	}
	w.committed = time.Now()
	return out, nil
}

// due reports that it is time to commit.
func (w *worker) due() bool {
	return w.out.committer.Due() || time.Since(w.committed) >= w.o.SaveInterval || len(w.finished) >= mostUncommitted
}

// commit makes all that the worker has written visible, with the checkpoints of the parts it finished and of
// the current one, if there is one. It reports that the flow goes on; when a commit fails, nobody knows what
// it did, and the flow stops.
func (w *worker) commit(current *carriage) bool {
	if w.out == nil || w.out.committer == nil {
		return true
	}
	parts := slices.Clone(w.finished)
	if current != nil && current.unsaved() {
		parts = append(parts, current)
	}
	w.committed = time.Now()
	if len(parts) == 0 {
		return true
	}
	cs := make([]Checkpoint, len(parts))
	marks := make([]mark, len(parts))
	for i, c := range parts {
		marks[i] = c.reached()
		cs[i] = c.checkpoint(marks[i])
	}
	if err := w.out.committer.Commit(w.ctx, cs); err != nil {
		w.stop(fmt.Errorf("commit %d checkpoints: %w", len(cs), err))
		return false
	}
	w.committed = time.Now()
	for i, c := range parts {
		c.setSaved(marks[i])
	}
	for _, c := range w.finished {
		c.finish()
	}
	clear(w.finished)
	w.finished = w.finished[:0]
	return w.ctx.Err() == nil
}

// release gives back the claim of a part that is not done.
func (w *worker) release(p *Part) {
	r, ok := w.Ledger.(Releaser)
	if !ok {
		return
	}
	most := closeTimeout
	if w.parent.Err() != nil { // there is hardly any time
		most = time.Second
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), most)
	defer cancel()
	if err := r.Release(ctx, p.ID); err != nil {
		w.log.Warn("claim not released", "part", p.ID, "err", err)
	}
}

// closeTimeout bounds what is done after the flow has stopped.
const closeTimeout = 5 * time.Second

// close ends what the worker has begun: after an error or a hard stop, without saving.
func (w *worker) close() {
	for _, c := range w.finished {
		c.settle()
	}
	w.finished = nil
	if w.out == nil || !w.out.own {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), closeTimeout)
	defer cancel()
	if err := w.out.sink.Close(ctx); err != nil {
		w.stop(fmt.Errorf("close a branch of the sink: %w", err))
	}
}
