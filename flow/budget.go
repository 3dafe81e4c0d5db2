package flow

import (
	"context"
	"slices"
	"sync"
)

// A budget bounds the bytes of all batches alive. A batch's size is known only once it is read, so room is
// acquired for a full one beforehand and corrected after: what a last, large record takes beyond that is
// charged without asking, and keeps the next batches waiting until it is gone.
type budget struct {
	limit int64

	mu    sync.Mutex // guards what follows
	used  int64
	queue []*claimant // first come, first served
}

type claimant struct {
	n       int64
	granted chan struct{}
}

// acquire waits for room for n bytes; more than the limit is the limit, so that anything gets through alone.
// It returns what it took.
func (b *budget) acquire(ctx context.Context, n int64) (int64, error) {
	n = min(n, b.limit)
	b.mu.Lock()
	if len(b.queue) == 0 && b.used+n <= b.limit {
		b.used += n
		b.mu.Unlock()
		return n, nil
	}
	c := &claimant{n, make(chan struct{})}
	b.queue = append(b.queue, c)
	b.mu.Unlock()
	select {
	case <-c.granted:
		return n, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, c); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	} else {
		b.used -= n // granted in the meantime
	}
	b.grant()
	return 0, context.Cause(ctx)
}

// charge adds n, which may be negative, without asking.
func (b *budget) charge(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	b.grant()
}

// grant lets in who is next, as long as there is room. b.mu is held.
func (b *budget) grant() {
	for len(b.queue) > 0 && b.used+b.queue[0].n <= b.limit {
		b.used += b.queue[0].n
		close(b.queue[0].granted)
		b.queue = slices.Delete(b.queue, 0, 1)
	}
}
