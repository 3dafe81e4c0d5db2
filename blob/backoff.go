package blob

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff says how often and how patiently a request is made again. Waits are random between nothing and a bound
// that doubles (full jitter), so that clients do not come back all at once.
type backoff struct {
	attempts   int           // after the first that bring nothing
	first, max time.Duration // bounds of the first wait, and of any
}

// spent reports that no attempt is left after that many failures in a row.
func (b backoff) spent(failures int) bool { return failures > b.attempts }

// wait sleeps before the next attempt, after that many failures in a row (1, 2, …), or until ctx is done.
func (b backoff) wait(ctx context.Context, failures int) error {
	bound := b.first
	for i := 1; i < failures && bound < b.max; i++ {
		bound *= 2
	}
	t := time.NewTimer(rand.N(min(bound, b.max) + 1)) //nolint:gosec // spreads clients, keeps no secret
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
