package flow

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// awaiting keeps the parts that other workers have, to come back to: their worker may die, or may be done with them.
type awaiting struct {
	mu      sync.Mutex
	parts   []Part        // guarded by mu
	open    int           // parts given to this run's workers and not yet carried; guarded by mu
	changed chan struct{} // closed and renewed whenever one of the two changes; guarded by mu
}

func (a *awaiting) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}

// later keeps a part that another worker has.
func (a *awaiting) later(p Part) { a.change(func() { a.parts = append(a.parts, p) }) }

func (a *awaiting) given()   { a.change(func() { a.open++ }) }
func (a *awaiting) carried() { a.change(func() { a.open-- }) }

// state gives how many parts wait, how many are being carried, and what is closed when that changes.
func (a *awaiting) state() (waiting, open int, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed == nil {
		a.changed = make(chan struct{})
	}
	return len(a.parts), a.open, a.changed
}

// takeAll gives the parts that wait.
func (a *awaiting) takeAll() []Part {
	a.mu.Lock()
	defer a.mu.Unlock()
	parts := slices.Clone(a.parts)
	a.parts = nil
	return parts
}

// comeBack gives the parts that other workers had to this run's workers again, and again, until nobody else has any.
func (r *run) comeBack() {
	for {
		waiting, open, changed := r.await.state()
		switch {
		case r.reading.Err() != nil:
			for _, p := range r.await.takeAll() {
				r.cut.Store(true)
				r.books.settle(&p, Tally{}, Tally{}, outcomeTaken)
			}
			if open == 0 {
				return
			}
			<-changed
			continue
		case waiting == 0 && open == 0:
			return
		case waiting == 0:
			select {
			case <-changed:
			case <-r.reading.Done():
			}
			continue
		}
		pause := time.NewTimer(r.o.TakenPause/2 + rand.N(r.o.TakenPause)) //nolint:gosec // spreads workers, keeps no secret
		select {
		case <-pause.C:
		case <-r.reading.Done():
			pause.Stop()
			continue
		}
		parts := r.await.takeAll()
		for i, p := range parts {
			r.o.Progress.group(p.Group).taken.Add(-1)
			if !r.give(p) {
				for _, p := range parts[i:] {
					r.await.later(p)
				}
				break
			}
		}
	}
}

// give hands a part to a worker. It reports false when the flow drains or stops before one takes it.
func (r *run) give(p Part) bool {
	r.await.given()
	select {
	case r.parts <- p:
		return true
	case <-r.reading.Done():
		r.await.carried()
		r.cut.Store(true)
		return false
	}
}
