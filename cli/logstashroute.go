package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/monitor"
	"github.com/narudata/naru/logstash/output"
	"github.com/narudata/naru/logstash/witness"
)

// routeHashVariable names the version that this process is.
const routeHashVariable = "NARU_ROUTE_HASH"

// A logstashRoute is the part that this process has in the route of its pipelines' consumer group.
type logstashRoute struct {
	hash  string
	group kafka.Group
	log   *slog.Logger
	now   atomic.Pointer[kafka.Route] // nil: there is none
	made  witness.Witness

	sweepers []output.Sweeper // what shadows may have left something with
	changed  chan struct{}    // the route has; has room for one
}

// routeLogstash runs pipelines in the role that the route has for this process, and anew in another one when it changes, until
// interrupted.
func (c *common) routeLogstash(ctx context.Context, f *logstashFlags, load func() ([]logstashPipeline, error)) error {
	r := &logstashRoute{hash: c.Getenv(routeHashVariable), log: c.log(), changed: make(chan struct{}, 1)}
	if r.hash == "" {
		return fmt.Errorf("--route needs to know which version this process is: set %s, on Kubernetes from the label rollouts-pod-template-hash (Downward API)", routeHashVariable)
	}
	if err := kafka.CheckRouteHash(r.hash); err != nil {
		return fmt.Errorf("%s: %w", routeHashVariable, err)
	}
	first, err := load()
	if err != nil {
		return err
	}
	if err := c.routedGroup(first, r); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	looked := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { r.watch(watching, looked) })
	if !f.keepShadow {
		all.Go(func() { r.sweep(watching) })
	}
	defer func() {
		stop()
		all.Wait()
	}()
	<-looked // Kafka has been asked; if it did not answer it is asked again, and meanwhile there is no role to begin with
	f.api.route = r
	interval := min(f.interval, time.Second)
	return c.reloadLogstash(ctx, &f.api, func() ([]logstashPipeline, error) {
		specs := first
		if f.reload {
			var err error
			if specs, err = load(); err != nil {
				return nil, err
			}
		}
		return r.roles(specs), nil
	}, interval)
}

// roles gives pipelines the role that this process has.
func (r *logstashRoute) roles(specs []logstashPipeline) []logstashPipeline {
	out := slices.Clone(specs)
	shadow := r.now.Load().Role(r.hash) == kafka.RouteShadow
	for i := range out {
		out[i].role = &input.Role{Group: r.group.Group, Hash: r.hash, Shadow: shadow, Witness: &r.made}
	}
	return out
}

// routedGroup finds the consumer group that pipelines are members of.
func (c *common) routedGroup(specs []logstashPipeline, r *logstashRoute) error {
	compiled, err := c.compileLogstash((&logstashRoute{hash: r.hash}).roles(specs))
	if err != nil {
		return err
	}
	found := ""
	for i, p := range compiled {
		g, ok := p.Route()
		if !ok {
			continue
		}
		if found != "" && (g.Group != r.group.Group || !slices.Equal(g.Brokers, r.group.Brokers)) {
			err = fmt.Errorf("--route is for pipelines of one consumer group: %s is a member of %s, and %s of %s", found, r.group.Group, specs[i].id, g.Group)
			break
		}
		found, r.group = specs[i].id, g
		r.sweepers = append(r.sweepers, p.Sweepers()...)
		if effects := p.SideEffects(); len(effects) > 0 {
			r.log.Warn("filters ask others while they work: a shadow asks them, too", "pipeline", specs[i].id, "filters", strings.Join(effects, ", "))
		}
	}
	if err == nil && found == "" {
		err = errors.New("--route: no input is kafka: there is no consumer group whose partitions could be shared")
	}
	return errors.Join(err, closePipelines(compiled))
}

// watch looks at the route each second until ctx is done; looked is closed when the first look has been answered, or ctx is done.
func (r *logstashRoute) watch(ctx context.Context, looked chan<- struct{}) {
	const every = time.Second
	first := true
	answered := func() {
		if first {
			first = false
			close(looked)
		}
	}
	defer answered()
	for wait := every; ctx.Err() == nil; wait = min(2*wait, 15*time.Second) {
		err := r.follow(ctx, every, answered)
		if ctx.Err() != nil {
			return
		}
		r.log.Error("the route cannot be read; what was known of it counts", "group", r.group.Group, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// follow looks by one connection until it fails for long.
func (r *logstashRoute) follow(ctx context.Context, every time.Duration, answered func()) error {
	connecting, cancel := context.WithTimeout(ctx, 30*time.Second)
	admin, err := r.group.Admin(connecting)
	cancel()
	if err != nil {
		return err
	}
	defer admin.Close()
	watch := admin.WatchRoute(r.group.Group, r.log)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for failures := 0; ; {
		looking, cancel := context.WithTimeout(ctx, 10*time.Second)
		route, err := watch.Look(looking)
		cancel()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			if failures++; failures == 5 {
				return err
			}
		default:
			failures = 0
			r.take(route)
			answered()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take notes the route of now.
func (r *logstashRoute) take(route *kafka.Route) {
	before := r.now.Swap(route)
	was, is := before.Role(r.hash), route.Role(r.hash)
	if before == nil || route == nil || before.Version != route.Version {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}
	// Both versions keep what they make while they read the same.
	r.made.Keep(route.Compares() && (is == kafka.RouteStable || is == kafka.RouteShadow))
	if was != is {
		r.log.Info("the route has another role for this process", "group", r.group.Group, "version", r.hash, "role", is, "before", was)
	}
	if was != is && is == kafka.RouteWaits {
		r.log.Warn("the route names neither this version as stable nor as canary: it reads nothing until it does; naru kafka route clear lets all members read",
			"group", r.group.Group, "version", r.hash, "stable", route.Stable, "canary", route.Canary)
	}
}

// monitored is what the API tells of the route; nil if there is none.
func (r *logstashRoute) monitored() *monitor.Route {
	if r == nil {
		return nil
	}
	m := &monitor.Route{Group: r.group.Group, Hash: r.hash}
	route := r.now.Load()
	m.Role = string(route.Role(r.hash))
	if route != nil {
		m.Version, m.Canary, m.Stable, m.Weight = route.Version, route.Canary, route.Stable, route.Weight
	}
	return m
}

// witness keeps what outputs make; nil if there is no route.
func (r *logstashRoute) witness() *witness.Witness {
	if r == nil {
		return nil
	}
	return &r.made
}

// checkRouteFlags says what does not go with --route.
func (f *logstashFlags) checkRouteFlags() error {
	switch {
	case f.transact != "":
		return errors.New("--route does not go with --kafka.transactional.id: a shadow would take part in the running version's transactions")
	case f.text != "" && f.reload:
		return errors.New("-r looks at files: it does not go with -e")
	case f.interval <= 0:
		return fmt.Errorf("--config.reload.interval must be more than 0, not %v", f.interval)
	}
	return nil
}
