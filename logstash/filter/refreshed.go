package filter

import (
	"sync"
	"sync/atomic"
	"time"
)

// refreshed is what is read from a file, and read again from time to time by the worker that finds that it is time.
type refreshed[T any] struct {
	every time.Duration // 0 and less: never again
	load  func(old *T) (*T, error)
	now   atomic.Pointer[T]
	due   atomic.Int64 // in nanoseconds since 1970
	mu    sync.Mutex   // held by who reads
}

// first reads the file for the first time.
func (r *refreshed[T]) first(now time.Time) error {
	v, err := r.load(nil)
	if err != nil {
		return err
	}
	r.now.Store(v)
	r.due.Store(now.Add(r.every).UnixNano())
	return nil
}

// get gives what was read last. If the file cannot be read again, that is what was read before.
func (r *refreshed[T]) get(x *Context, where string) *T {
	if r.every <= 0 || x.Now().UnixNano() < r.due.Load() || !r.mu.TryLock() {
		return r.now.Load()
	}
	defer r.mu.Unlock()
	now := x.Now()
	if now.UnixNano() < r.due.Load() {
		return r.now.Load()
	}
	r.due.Store(now.Add(r.every).UnixNano())
	v, err := r.load(r.now.Load())
	if err != nil {
		x.Log.Warn("a file cannot be read again: what was read before is used", "filter", where, "error", err)
		return r.now.Load()
	}
	r.now.Store(v)
	return v
}

// seconds gives a number of seconds as a duration.
func seconds(n float64) time.Duration {
	return time.Duration(max(0, min(n, 1e9)) * float64(time.Second))
}
