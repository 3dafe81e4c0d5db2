package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/flow"
)

// runner runs a flow, and again each time that the carry was paused and resumed, from wherever.
type runner struct {
	*common
	progress atomic.Pointer[flow.Progress] // of the run under way
	opened   atomic.Pointer[connect.Opened]
}

func newRunner(c *common) *runner {
	r := &runner{common: c}
	r.progress.Store(new(flow.Progress))
	return r
}

// snapshot gives the progress of the run under way.
func (r *runner) snapshot() flow.Snapshot { return r.progress.Load().Snapshot() }

// held says why the target is sent nothing for now; "": it is not so.
func (r *runner) held() string {
	if o := r.opened.Load(); o != nil && o.State != nil {
		return o.State().Held
	}
	return ""
}

func (r *runner) run(ctx context.Context, opened *connect.Opened, o flow.Options) (flow.Report, error) {
	interrupt := o.Drain
	r.opened.Store(opened)
	for {
		o.Progress = r.progress.Load()
		if opened.Shared == nil {
			return flow.Run(ctx, opened.Flow, o)
		}
		paused := opened.Shared.Paused()
		drain, stop := either(interrupt, paused)
		o.Drain = drain
		report, err := flow.Run(ctx, opened.Flow, o)
		stop()
		if rerr := keepReport(ctx, opened, &report); rerr != nil {
			o.Log.Warn("the ledger does not take this run's report", "err", rerr)
		}
		if errors.Is(err, flow.ErrUndrained) && !closed(interrupt) { // a pause: what was given up is carried again when it ends
			o.Log.Warn("not all that was on its way could be saved", "err", err)
			err, report.Drained = nil, true
		}
		if err != nil || !report.Drained || !closed(paused) || closed(interrupt) {
			return report, err
		}
		fmt.Fprintln(r.Stderr, "paused: what was on its way is saved; naru resume lets it go on")
		waiting, stop := until(ctx, interrupt)
		err = opened.Shared.AwaitResume(waiting)
		stop()
		if closed(interrupt) || ctx.Err() != nil || err != nil {
			if closed(interrupt) || errors.Is(err, context.Canceled) {
				err = nil
			}
			return report, err
		}
		fmt.Fprintln(r.Stderr, "resumed")
		r.progress.Store(new(flow.Progress))
	}
}

// reportTimeout bounds what a run that has ended still waits for.
const reportTimeout = 3 * time.Second

// keepReport keeps a run's report in the ledger, unless the cluster takes too long or the run was stopped at once.
func keepReport(ctx context.Context, opened *connect.Opened, report *flow.Report) error {
	if errors.Is(context.Cause(ctx), errStopped) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	return opened.Shared.Report(ctx, report)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// either gives a channel that is closed when a or b is.
func either(a, b <-chan struct{}) (c <-chan struct{}, stop func()) {
	out, over := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-a:
			close(out)
		case <-b:
			close(out)
		case <-over:
		}
	})
	return out, func() {
		close(over)
		wg.Wait()
	}
}
