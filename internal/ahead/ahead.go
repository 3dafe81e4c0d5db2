// Package ahead does many small things that wait for others, some of them at a time, and gives the results in order.
package ahead

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// lookups is how many small reads are under way at a time: they wait for the store more than for a processor.
func lookups() int { return max(8, 4*runtime.GOMAXPROCS(0)) }

// All applies f to all of in, and gives the results in order. The first error stops it.
func All[T, U any](ctx context.Context, in []T, f func(context.Context, T) (U, error)) ([]U, error) {
	out := make([]U, 0, len(in))
	for v, err := range Each(ctx, in, f) {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Each applies f to each of in and yields the results in order, working ahead of who takes them by a bounded
// number.
func Each[T, U any](ctx context.Context, in []T, f func(context.Context, T) (U, error)) iter.Seq2[U, error] {
	type result struct {
		v   U
		err error
	}
	return func(yield func(U, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		pending := make([]chan result, 0, lookups())
		next := 0
		for next < len(in) || len(pending) > 0 {
			for next < len(in) && len(pending) < cap(pending) {
				done := make(chan result, 1)
				v := in[next]
				wg.Go(func() {
					u, err := f(ctx, v)
					done <- result{u, err}
				})
				pending = append(pending, done)
				next++
			}
			r := <-pending[0]
			copy(pending, pending[1:])
			pending = pending[:len(pending)-1]
			if !yield(r.v, r.err) {
				return
			}
		}
	}
}
