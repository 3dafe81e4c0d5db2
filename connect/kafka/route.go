package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// A Route says how two versions of a pipeline share one consumer group. Each version is named by a hash, which all of its
// processes have and know: on Kubernetes that of the pod template.
//
// The route is kept in Kafka itself, as the metadata of a committed offset of the group that RouteGroup names, for partition 0 of the
// routed topic, or of any that exists: so it needs no other service, and is as durable as the offsets that it is about. The offset
// itself has no meaning: it is the version of the route. Only SetRoute writes there.
//
// Members keep a copy in one more group (.kept), which they write again before the brokers' offsets.retention.minutes would end it. It
// counts when the first one has expired. So a member that copies an old route while a new one is set does no harm.
//
// Who has which part:
//
//   - No route, or one without Stable: all members are alike. So a group that was never routed is a usual one.
//   - The stable version has what the canary does not have. It has everything while the canary has no members.
//   - The canary has Weight % of the partitions, and everything while the stable version has no members and Weight > 0. With
//     Weight 0 it has none, ever.
//   - Other versions have none: they wait until the route names them.
//   - A route that was there and is lost (expired, or its group deleted): members that knew it give everything to its Stable. When
//     nobody is left who knew it, there is no route.
type Route struct {
	Version int64     `json:"version"`
	Canary  string    `json:"canary,omitempty"`
	Stable  string    `json:"stable,omitempty"`
	Weight  int       `json:"weight"`           // of the canary, in percent
	Mirror  bool      `json:"mirror,omitempty"` // the canary reads everything in shadow, while Weight is 0
	Ended   bool      `json:"ended,omitempty"`  // the canary was given up: what it made in shadow is of no use any more
	At      time.Time `json:"at"`               // when this version was written
}

// routeSuffix is what the group that keeps a route has behind the name of the routed one.
const routeSuffix = ".naru-route"

// RouteGroup is the group that keeps the route of a group.
func RouteGroup(group string) string { return group + routeSuffix }

// ShadowGroup is the group that a version of a pipeline reads with in shadow.
func ShadowGroup(group, hash string) string { return group + ".shadow-" + hash }

// keptGroup is the group that keeps a copy.
func keptGroup(group string) string { return RouteGroup(group) + ".kept" }

// mostRoute bounds the metadata of a route, in bytes. The brokers' offset.metadata.max.bytes is 4096 unless it is changed.
const mostRoute = 4096

var routeHash = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckRouteHash says what is wrong with the name of a version.
func CheckRouteHash(hash string) error {
	if !routeHash.MatchString(hash) {
		return fmt.Errorf("the version %q: want up to 63 lower-case letters, digits and hyphens, as pod-template hashes have", hash)
	}
	return nil
}

// Validate says what is wrong with r.
func (r *Route) Validate() error {
	var errs []error
	for _, h := range []string{r.Canary, r.Stable} {
		if h != "" {
			errs = append(errs, CheckRouteHash(h))
		}
	}
	if r.Ended && (r.Weight > 0 || r.Mirror) {
		errs = append(errs, errors.New("a canary that was given up has no weight and no mirror"))
	}
	if r.Weight < 0 || r.Weight > 100 {
		errs = append(errs, fmt.Errorf("a weight of %d: want 0 to 100", r.Weight))
	}
	if r.Version < 0 {
		errs = append(errs, fmt.Errorf("a version of %d", r.Version))
	}
	return errors.Join(errs...)
}

// A RouteRole is what a version of a pipeline does under a route.
type RouteRole string

// Roles.
const (
	RouteAlone  RouteRole = "alone"  // there is no route: it shares the group with everybody
	RouteStable RouteRole = "stable" // it has what the canary does not have
	RouteCanary RouteRole = "canary" // it has a share, which may be nothing
	RouteShadow RouteRole = "shadow" // it reads everything by a group of its own, and writes beside
	RouteWaits  RouteRole = "waits"  // the route does not name it: it has no partitions
)

// Role says what the version hash does. A nil route is none.
func (r *Route) Role(hash string) RouteRole {
	switch {
	case r.free():
		return RouteAlone
	case hash == r.Stable:
		return RouteStable
	case hash != r.Canary:
		return RouteWaits
	case r.Mirror && r.Weight == 0:
		return RouteShadow
	}
	return RouteCanary
}

// free reports that all members are alike.
func (r *Route) free() bool { return r == nil || r.Stable == "" }

// CanaryShare is how many of all partitions the canary has: Weight % of them, rounded, but at least one, and not the last one, if
// Weight is neither 0 nor 100. A single partition goes over at 50.
func (r *Route) CanaryShare(all int) int {
	switch {
	case r.free() || r.Canary == "" || r.Canary == r.Stable || r.Weight <= 0 || all <= 0:
		return 0
	case r.Weight >= 100:
		return all
	}
	n := (all*r.Weight + 50) / 100
	if all == 1 {
		return n
	}
	return min(max(n, 1), all-1)
}

// same reports that two routes ask for the same.
func (r *Route) same(o *Route) bool {
	return r.Canary == o.Canary && r.Stable == o.Stable && r.Weight == o.Weight && r.Mirror == o.Mirror && r.Ended == o.Ended
}

// newer gives the newer of two routes; either may be nil.
func newer(a, b *Route) *Route {
	if a == nil || b != nil && b.Version > a.Version {
		return b
	}
	return a
}

// lost is what counts when a route that was known is not there any more.
func (r *Route) lost() *Route {
	if r == nil || r.Stable == "" {
		return r
	}
	return &Route{Version: r.Version + 1, Stable: r.Stable, At: r.At} // the same for all who knew it, and older than any that is set later
}

// storedRoute is the metadata of an offset.
type storedRoute struct {
	Route
	Kept time.Time `json:"kept,omitzero"` // of a copy: when it was written
}

func (s *storedRoute) encode() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(b)
}

// errRoute is why metadata are no route.
var errRoute = errors.New("this is no route")

// parseRoute reads the metadata of an offset. Members that it does not know are passed over.
func parseRoute(metadata string) (storedRoute, error) {
	var s storedRoute
	if len(metadata) > mostRoute {
		return s, fmt.Errorf("%w: %d bytes", errRoute, len(metadata))
	}
	if err := json.Unmarshal([]byte(metadata), &s); err != nil {
		return storedRoute{}, fmt.Errorf("%w: %w", errRoute, err)
	}
	if err := s.Validate(); err != nil {
		return storedRoute{}, fmt.Errorf("%w: %w", errRoute, err)
	}
	return s, nil
}

// foundRoute is what Kafka has of a route.
type foundRoute struct {
	*storedRoute        // nil: there is none
	topic        string // that carries it
	copied       bool   // it is a copy: what it is of has expired
}

// route gives the route; nil: there is none.
func (f *foundRoute) route() *Route {
	if f.storedRoute == nil {
		return nil
	}
	return &f.Route
}

// fetchRoute asks for the route of a group: one small request to one broker, while the route has not expired.
func fetchRoute(ctx context.Context, adm *kadm.Client, group string) (foundRoute, error) {
	f, err := fetchStored(ctx, adm, group, RouteGroup(group))
	if err == nil && f.storedRoute == nil {
		f, err = fetchStored(ctx, adm, group, keptGroup(group))
		f.copied = true
	}
	return f, err
}

// fetchStored asks for what is stored in the offsets of a group.
func fetchStored(ctx context.Context, adm *kadm.Client, group, in string) (foundRoute, error) {
	var f foundRoute
	var offsets kadm.OffsetResponses
	err := coordinated(ctx, func() (err error) {
		offsets, err = adm.FetchOffsets(ctx, in)
		return err
	})
	if errors.Is(err, kerr.GroupIDNotFound) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("the route of group %s: %s", group, because(err))
	}
	var wrong error
	offsets.Each(func(r kadm.OffsetResponse) {
		if r.Err != nil || r.At < 0 || r.Metadata == "" {
			if r.Err != nil {
				wrong = fmt.Errorf("the route of group %s: %s", group, because(r.Err))
			}
			return
		}
		s, err := parseRoute(r.Metadata)
		if err != nil {
			wrong = fmt.Errorf("the route of group %s (offset metadata of group %s, topic %s partition %d): %w", group, in, r.Topic, r.Partition, err)
			return
		}
		if f.storedRoute == nil || f.Version < s.Version { // the carrier may have been another topic before
			f.storedRoute, f.topic = &s, r.Topic
		}
	})
	if f.storedRoute == nil {
		return f, wrong
	}
	return f, nil
}

// coordinated asks again while a group has no coordinator, as for some seconds after brokers have started.
func coordinated(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		err := ask()
		switch {
		case errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, kerr.CoordinatorLoadInProgress), errors.Is(err, kerr.NotCoordinator):
		default:
			return err
		}
		if pause(ctx, 250*time.Millisecond) != nil {
			return err
		}
	}
}

// writeRoute commits a route to the offsets of the group in.
func writeRoute(ctx context.Context, adm *kadm.Client, in, topic string, s *storedRoute) error {
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: s.Version, LeaderEpoch: -1, Metadata: s.encode()})
	if err := coordinated(ctx, func() error { return adm.CommitAllOffsets(ctx, in, offsets) }); err != nil {
		if errors.Is(err, kerr.GroupAuthorizationFailed) {
			return fmt.Errorf("write the route to the group %s: not allowed: it takes Read on that group, and on the topic %s", in, topic)
		}
		return fmt.Errorf("write the route to the group %s: %s", in, because(err))
	}
	return nil
}

// Route gives the route of a group; nil: there is none.
func (a *Admin) Route(ctx context.Context, group string) (*Route, error) {
	f, err := fetchRoute(ctx, a.adm, group)
	if err != nil {
		return nil, err
	}
	return f.route(), nil
}

// ErrRouteMoved says that somebody else set the route meanwhile.
var ErrRouteMoved = errors.New("the route was set by somebody else meanwhile")

// SetRoute changes the route of a group: change gets a copy of what there is (or a zero Route), and the result is written if it
// asks for something else. topic carries it; "" is the one that has carried it so far. It gives what then counts. Kafka has no
// compare-and-swap for offsets: of two who write at the same moment one is told ErrRouteMoved, and may try again.
//
// What is there and is no route is written over.
//
// When a canary's mirror begins, the group that it read with in an earlier mirror is removed, so that it begins where the stable
// version is now.
func (a *Admin) SetRoute(ctx context.Context, group, topic string, change func(*Route)) (*Route, error) {
	f, err := fetchRoute(ctx, a.adm, group)
	if err != nil && !errors.Is(err, errRoute) {
		return nil, err
	}
	before := f.route()
	var next Route
	if before != nil {
		next = *before
	}
	change(&next)
	if err := next.Validate(); err != nil {
		return nil, err
	}
	if before != nil && next.same(before) && !f.copied {
		return before, nil
	}
	if topic == "" {
		topic = f.topic
	}
	if topic == "" {
		return nil, fmt.Errorf("group %s has no route yet: say which topic is to carry it", group)
	}
	if next.shadows() && !(before.shadows() && before.Canary == next.Canary) {
		if err := a.dropShadow(ctx, group, next.Canary); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	next.Version, next.At = now.UnixMicro(), now.UTC().Truncate(time.Millisecond)
	if before != nil {
		next.Version = max(next.Version, before.Version+1)
	} else {
		// A route that was lost is followed by one that members who knew it take for newer, however far the clock of who set it was ahead.
		s, err := a.RouteStatus(ctx, group)
		if err != nil {
			return nil, err
		}
		for i := range s.Members {
			next.Version = max(next.Version, s.Members[i].Version+2) // one more is what they call the loss
		}
	}
	if err := writeRoute(ctx, a.adm, RouteGroup(group), topic, &storedRoute{Route: next}); err != nil {
		return nil, err
	}
	is, err := a.Route(ctx, group)
	if err != nil {
		return nil, err
	}
	if is == nil || is.Version != next.Version || !is.same(&next) {
		return nil, fmt.Errorf("group %s: %w", group, ErrRouteMoved)
	}
	return is, nil
}

// ClearRoute removes the route of a group: all of its members are alike then, those that know the route, too.
func (a *Admin) ClearRoute(ctx context.Context, group string) error {
	f, err := fetchRoute(ctx, a.adm, group)
	if errors.Is(err, errRoute) { // nobody has understood it
		for _, name := range []string{RouteGroup(group), keptGroup(group)} {
			if _, err := a.adm.DeleteGroup(ctx, name); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
				return fmt.Errorf("remove group %s: %s", name, because(err))
			}
		}
		return nil
	}
	if err != nil || f.route() == nil {
		return err
	}
	_, err = a.SetRoute(ctx, group, f.topic, func(r *Route) { *r = Route{} })
	return err
}
