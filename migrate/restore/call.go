package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// A caller sends requests again while their failures may pass.
type caller struct {
	client   *opensearch.Client
	pause    time.Duration // the longest between two tries is thirty times this
	patience time.Duration // after which it gives up
	log      *slog.Logger
}

// call sends a request that may be sent twice.
func (c *caller) call(ctx context.Context, method, path string, in, out any) error {
	return c.insist(ctx, func() error { return c.client.JSON(ctx, method, path, in, out) })
}

func (c *caller) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// insist does something until it works, cannot work, or has not worked for too long.
func (c *caller) insist(ctx context.Context, do func() error) error {
	began := time.Now()
	pause := max(c.pause/4, time.Millisecond)
	for {
		err := do()
		if err == nil || !passing(ctx, err) {
			return err
		}
		if time.Since(began)+pause > c.patience {
			return fmt.Errorf("given up after %v: %w", c.patience, err)
		}
		c.log.Debug("trying again", "err", err, "pause", pause)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 30*c.pause)
	}
}

// passing reports that a failure may pass: the cluster says so, or did not answer.
func passing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if s, ok := errors.AsType[*opensearch.StatusError](err); ok {
		return s.Temporary()
	}
	return true
}

// statusOf gives the HTTP status of an answer that says no, or 0.
func statusOf(err error) int {
	if s, ok := errors.AsType[*opensearch.StatusError](err); ok {
		return s.Status
	}
	return 0
}

// denied reports that the cluster does not do that, or not for this user.
func denied(err error) bool {
	s := statusOf(err)
	return s >= 400 && s < 500 && s != http.StatusTooManyRequests && s != http.StatusRequestTimeout
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
