package flow

import (
	"context"
	"math/rand/v2"
	"time"
)

// Retry says how often and how patiently something that failed for now is tried again. Waits are random
// between nothing and a bound that doubles (full jitter), so that workers do not come back all at once. The
// zero value waits for a minute and a half, more or less, before it gives up.
type Retry struct {
	Attempts int           // tries after the first that bring nothing; 0: 12; negative: none
	First    time.Duration // bound of the first wait; 0: 200 ms
	Max      time.Duration // bound of any wait; 0: 30 s

	// patience: do goes on for at least so long, however many tries that takes.
	patience time.Duration
}

// spent reports that no try is left after that many failures in a row.
func (r Retry) spent(failures int) bool {
	attempts := r.Attempts
	if attempts == 0 {
		attempts = 12
	}
	return failures > attempts
}

// Wait sleeps before the next try, after that many failures in a row (1, 2, …), or until ctx is done: then it returns why.
func (r Retry) Wait(ctx context.Context, failures int) error {
	bound, most := r.First, r.Max
	if bound <= 0 {
		bound = 200 * time.Millisecond
	}
	if most <= 0 {
		most = 30 * time.Second
	}
	for i := 1; i < failures && bound < most; i++ {
		bound *= 2
	}
	t := time.NewTimer(rand.N(min(bound, most) + 1)) //nolint:gosec // spreads workers, keeps no secret
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// do calls f until it succeeds, fails for good, no try is left or ctx is done, and returns f's last error.
// Before each further try it calls again.
func (r Retry) do(ctx context.Context, again func(err error), f func() error) error {
	began := time.Now()
	for failures := 1; ; failures++ {
		err := f()
		if err == nil || final(err) || ctx.Err() != nil || r.spent(failures) && time.Since(began) >= r.patience {
			return err
		}
		again(err)
		if r.Wait(ctx, failures) != nil {
			return err
		}
	}
}
