package flow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUndrained says that a flow was told to drain and gave up what was on its way, because for a while nothing of it
// could be delivered or saved. The next run carries it again, from the last checkpoint.
var ErrUndrained = errors.New("what was on its way is given up, and is carried again from the last checkpoint")

// draining is what a drain looks at to see whether the flow still gets on.
type draining struct {
	steps   atomic.Int64 // batches delivered and checkpoints saved
	commits atomic.Bool  // the sink is a Committer, which may take its time

	mu       sync.Mutex // guards what follows
	trouble  error      // the last there was
	troubles int
}

// step notes that the flow has got on.
func (d *draining) step() { d.steps.Add(1) }

// hindered notes what keeps the flow from getting on.
func (d *draining) hindered(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = err
	d.troubles++
}

// met gives how often something kept the flow from getting on.
func (d *draining) met() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.troubles
}

// undrained is the error of a drain that got nowhere for so long.
func (d *draining) undrained(waited time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trouble != nil {
		return fmt.Errorf("nothing got on for %v after the flow was told to stop (%w): %w", waited, d.trouble, ErrUndrained)
	}
	return fmt.Errorf("nothing got on for %v after the flow was told to stop: %w", waited, ErrUndrained)
}

// drained reports that the flow was told to drain.
func (r *run) drained() bool { return r.reading.Err() != nil && r.ctx.Err() == nil }

// heedDrain waits until the flow is told to drain and stops reading then. After that it stops the flow if it no longer
// gets on. It returns when the flow is over.
func (r *run) heedDrain(stopReading context.CancelFunc, over <-chan struct{}) {
	select {
	case <-r.o.Drain:
	case <-r.ctx.Done():
		return
	case <-over:
		return
	}
	r.log.Info("draining")
	stopReading()
	if waited := r.standstill(over); waited > 0 {
		r.stop(r.drain.undrained(waited))
	}
}

// standstill watches a drain until it is over, or as soon as nothing has got on for too long, gives how long. What fails
// is waited for a third of the time that is given to what is only slow.
func (r *run) standstill(over <-chan struct{}) time.Duration {
	t := time.NewTicker(r.o.DrainPatience / 10)
	defer t.Stop()
	since, steps, troubles := time.Now(), r.drain.steps.Load(), r.drain.met()
	for {
		select {
		case <-t.C:
		case <-r.ctx.Done():
			return 0
		case <-over:
			return 0
		}
		if now := r.drain.steps.Load(); now != steps || r.drain.commits.Load() {
			since, steps, troubles = time.Now(), now, r.drain.met()
			continue
		}
		most := r.o.DrainPatience
		if r.drain.met() > troubles {
			most /= 3
		}
		if waited := time.Since(since); waited >= most {
			return waited.Round(time.Second)
		}
	}
}

// finish tells the sink that all is done. A drain gives it a while, and the next run finishes it.
func (r *run) finish(f Finisher) error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-r.o.Drain:
		case <-over:
			return
		}
		t := time.NewTimer(r.o.DrainPatience)
		defer t.Stop()
		select {
		case <-t.C:
			cancel(r.drain.undrained(r.o.DrainPatience))
		case <-over:
		}
	})
	err := f.Finish(ctx)
	close(over)
	watch.Wait()
	switch cause := context.Cause(ctx); {
	case err == nil:
		return nil
	case errors.Is(cause, ErrUndrained):
		return fmt.Errorf("finish: %w: %w", err, cause)
	}
	return fmt.Errorf("finish: %w", err)
}
