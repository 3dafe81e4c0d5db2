package kafka

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A Routing has a Group take part in the route of its group. The brokers' own assignment (protocol consumer) and assignors other than
// cooperative-sticky do not go with it.
type Routing struct {
	Hash  string        // of the version that this process is
	Every time.Duration // how often Kafka is asked for the route; 0: each second
}

// A RouteWatch looks again and again at the route of a group, keeps it from expiring, and remembers it when it is lost.
type RouteWatch struct {
	group  string
	adm    *kadm.Client
	log    *slog.Logger
	missed int // looks in a row that found no route, after one was known
	failed int // looks in a row that failed
	known  *Route
	kept   int64     // version that was looked after last
	keptAt time.Time // when
	jitter time.Duration
}

const (
	lostAfter = 3                // looks; a broker that has just become coordinator, or permissions that are changed, are not a loss
	keepAfter = 10 * time.Minute // a copy is written again; offsets are kept for seven days unless the brokers are told otherwise
)

func newRouteWatch(group string, adm *kadm.Client, log *slog.Logger) *RouteWatch {
	return &RouteWatch{group: group, adm: adm, log: log, jitter: rand.N(time.Minute)} //nolint:gosec // spreads members, keeps no secret
}

// WatchRoute gives a watch. It is used by one goroutine.
func (a *Admin) WatchRoute(group string, log *slog.Logger) *RouteWatch {
	return newRouteWatch(group, a.adm, log)
}

// Look asks once, and gives the route that counts. After an error it is the one that was known.
func (w *RouteWatch) Look(ctx context.Context) (*Route, error) {
	f, err := fetchRoute(ctx, w.adm, w.group)
	if err != nil {
		return w.known, err
	}
	r := f.route()
	if r == nil {
		if w.known == nil {
			return nil, nil //nolint:nilnil // no route is no error
		}
		if w.missed++; w.missed == lostAfter {
			w.known = w.known.lost()
			w.log.Warn("the route is lost: it has expired, or its group was removed; its stable version has everything now", "group", w.group, "stable", w.known.Stable)
		}
		return w.known, nil
	}
	w.missed = 0
	w.known = newer(w.known, r)
	w.keep(ctx, &f)
	return w.known, nil
}

// keep writes a copy of the route if there is none, or an old one. It looks some time after a change, at another time than other
// members do, and then now and again.
func (w *RouteWatch) keep(ctx context.Context, f *foundRoute) {
	now := time.Now()
	switch {
	case w.kept != w.known.Version && now.Sub(w.known.At) >= w.jitter && now.Sub(w.keptAt) >= w.jitter:
	case now.Sub(w.keptAt) >= keepAfter+w.jitter:
	default:
		return
	}
	w.kept, w.keptAt = w.known.Version, now
	has, err := fetchStored(ctx, w.adm, w.group, keptGroup(w.group))
	if err == nil && has.storedRoute != nil && has.Version >= w.known.Version && now.Sub(has.Kept) < keepAfter {
		return // another member did
	}
	if err := writeRoute(ctx, w.adm, keptGroup(w.group), f.topic, &storedRoute{Route: *w.known, Kept: now.UTC().Truncate(time.Second)}); err != nil {
		w.log.Warn("the route cannot be kept from expiring", "group", w.group, "error", err)
	}
}

// routed makes the balancers of a Group with a route. It waits until the brokers have said what the route is: whoever joins
// without knowing it would be given what is not its part.
func (g *Group) routed(ctx context.Context, log *slog.Logger) (*routeBalancer, error) {
	b := &routeBalancer{hash: g.Route.Hash, applied: -1}
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 15*time.Second) {
		var err error
		if b.known, err = g.askRoute(ctx, log); err == nil {
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		log.Error("the route cannot be read; it is tried again", "error", err)
		sleep(ctx, wait)
	}
}

func (g *Group) askRoute(ctx context.Context, log *slog.Logger) (*Route, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	admin, err := g.Admin(ctx)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	return admin.WatchRoute(g.Group, log).Look(ctx)
}

// asks has the leader ask Kafka by a client.
func (b *routeBalancer) asks(client *kgo.Client, group string) {
	adm := kadm.NewClient(client)
	ask := func(ctx context.Context) (*Route, error) {
		f, err := fetchRoute(ctx, adm, group)
		return f.route(), err
	}
	b.ask.Store(&ask)
}

// follow keeps the balancer's route as Kafka has it, and has the member join anew when it has changed, until ctx is done.
func (m *member) follow(ctx context.Context, b *routeBalancer) {
	watch := newRouteWatch(m.g.Group, kadm.NewClient(m.client), m.log)
	tick := time.NewTicker(orElse(m.g.Route.Every, time.Second))
	defer tick.Stop()
	var forced int64 // the version that was last joined anew for
	var at time.Time
	for {
		asking, cancel := context.WithTimeout(ctx, 10*time.Second)
		r, err := watch.Look(asking)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if watch.failed++; watch.failed%30 == 3 { // once is a broker that restarts
				m.log.Warn("the route cannot be read; what was known of it counts", "error", err)
			}
		default:
			watch.failed = 0
			b.learn(r)
		}
		known, applied := b.state()
		if known != nil && !applied && (forced != known.Version || b.routes() && time.Since(at) > rejoinAgain) {
			forced, at = known.Version, time.Now()
			m.log.Info("the route of the group has changed: partitions are divided anew", "version", known.Version, "stable", known.Stable,
				"canary", known.Canary, "weight", known.Weight, "role", known.Role(b.hash))
			m.client.ForceRebalance()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// rejoinAgain is after how long a member joins again whose assignment is still by an older route.
const rejoinAgain = 10 * time.Second

// routes reports that the last assignment was made by a member that knows routes.
func (b *routeBalancer) routes() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.applied >= 0
}
