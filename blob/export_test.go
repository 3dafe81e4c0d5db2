package blob

import (
	"context"
	"time"
)

// Age makes the store's credentials older than credentials are tried for.
func Age(s *S3) {
	c := *s.client.Load()
	c.made = time.Now().Add(-2 * renewed)
	s.client.Store(&c)
}

// PagesMade is how many pages exist.
func PagesMade(a *Ahead) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made
}

// PagesIdle is how many of them nobody uses.
func PagesIdle(a *Ahead) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.idle)
}

// PutUnlinked is Put as on a file system without hard links.
func PutUnlinked(ctx context.Context, d *Dir, name string, b []byte) error {
	return d.put(ctx, "put", name, b, d.move)
}
