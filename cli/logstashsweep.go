package cli

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/narudata/naru/connect/kafka"
)

const (
	sweepAgain = 10 * time.Second // while a shadow that is over has members still, or something could not be removed
	sweepTakes = time.Minute
)

// sweep removes what canaries have left that were promoted or given up: their indices, templates and groups, each marked as a shadow's
// of this consumer group. Processes of the stable version do so, whenever the route has changed and when they start: what one
// that died has left undone, the next one does.
func (r *logstashRoute) sweep(ctx context.Context) {
	var again <-chan time.Time
	said := "" // of an error: once is enough
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		case <-again:
		}
		again = nil
		if r.now.Load().Role(r.hash) != kafka.RouteStable {
			continue
		}
		select {
		case <-time.After(rand.N(time.Second)): //nolint:gosec // spreads processes, keeps no secret
		case <-ctx.Done():
			return
		}
		waits, err := r.sweepOnce(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			r.log.Warn("what canaries have left in shadow cannot be removed; it is tried again", "group", r.group.Group, "error", err)
		}
		if waits || err != nil {
			again = time.After(sweepAgain)
		}
	}
}

// sweepOnce removes what can be removed; waits says that there is a shadow whose members have not left yet.
func (r *logstashRoute) sweepOnce(ctx context.Context) (waits bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTakes)
	defer cancel()
	admin, err := r.group.Admin(ctx)
	if err != nil {
		return false, err
	}
	defer admin.Close()
	route, err := admin.Route(ctx, r.group.Group)
	if err != nil || route == nil || route.Stable == "" {
		return false, err
	}
	var errs []error
	known := map[string]bool{}
	over := func(hash string) bool {
		if hash == route.Canary && !route.Ended {
			return false // it is still being tried
		}
		is, ok := known[hash]
		if !ok {
			readers, err := admin.ShadowReaders(ctx, r.group.Group, hash)
			if err != nil {
				errs = append(errs, err)
			}
			is = err == nil && readers == 0
			waits = waits || err == nil && readers > 0
			known[hash] = is
		}
		return is
	}
	var removed []string
	for _, s := range r.sweepers {
		gone, err := s.Sweep(ctx, r.group.Group, over)
		removed, errs = append(removed, gone...), append(errs, err)
	}
	gone, err := admin.RemoveShadows(ctx, r.group.Group, over)
	for _, name := range gone {
		removed = append(removed, "group "+name)
	}
	if len(removed) > 0 {
		r.log.Info("removed what canaries have made in shadow", "group", r.group.Group, "removed", strings.Join(removed, ", "))
	}
	return waits, errors.Join(append(errs, err)...)
}
