package estate

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// pauses are how long is waited before a request that was refused for now is sent again: ten seconds in all.
var pauses = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second}

// busy reports that a cluster did nothing of what it was asked, because it has too much to do right now. A block of an index has the
// same status, and does not pass by waiting.
func busy(err error) bool {
	e, said := errors.AsType[*opensearch.StatusError](err)
	return said && e.Status == http.StatusTooManyRequests && e.Type != "cluster_block_exception"
}

// patiently does what f does, and again for a while as long as a cluster is too busy for it.
func patiently(ctx context.Context, f func() error) error {
	for _, pause := range pauses {
		err := f()
		if !busy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
	return f()
}

// send sends a request, patiently.
func send(ctx context.Context, c *opensearch.Client, r opensearch.Request) (answer []byte, err error) {
	err = patiently(ctx, func() error {
		answer, err = c.Do(ctx, r)
		return err
	})
	return answer, err
}

// sendJSON sends in, if it is not nil, patiently, and decodes the answer into out, if it is not nil.
func sendJSON(ctx context.Context, c *opensearch.Client, method, path string, in, out any) error {
	return patiently(ctx, func() error { return c.JSON(ctx, method, path, in, out) })
}
