package stream

import (
	"maps"
	"slices"
	"time"
)

// A grave is what is still to be said of the dead letters of an output, or of the filters.
type grave struct {
	untold  int64
	why     error // of the first of those
	quietly time.Time
}

// tellEvery is how often dead letters of an output are logged.
const tellEvery = 30 * time.Second

// mourn logs that there are dead letters: the first at once, then how many there were since, but not all the time.
func (r *run) mourn(name string, n int, why error) {
	r.dead.Lock()
	defer r.dead.Unlock()
	g := r.graves[name]
	if g == nil {
		if r.graves == nil {
			r.graves = map[string]*grave{}
		}
		g = &grave{}
		r.graves[name] = g
	}
	if g.untold == 0 {
		g.why = why
	}
	g.untold += int64(n)
	if now := time.Now(); !now.Before(g.quietly) {
		g.quietly = now.Add(tellEvery)
		r.tell(name, g)
	}
}

// tell logs what is untold.
func (r *run) tell(name string, g *grave) {
	if g.untold > 0 {
		r.o.Log.Warn("records cannot be delivered and are dead letters", "output", name, "records", g.untold, "error", g.why)
		g.untold = 0
	}
}

// tellAll logs what is untold when the run is over.
func (r *run) tellAll() {
	r.dead.Lock()
	defer r.dead.Unlock()
	for _, name := range slices.Sorted(maps.Keys(r.graves)) {
		r.tell(name, r.graves[name])
	}
}
