package argo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"

	"github.com/narudata/naru/connect/kafka"
)

// Routing is the configuration of the traffic router: spec.strategy.canary.trafficRouting.plugins.
type Routing struct {
	Group      string `json:"group"`                // the pipelines' consumer group
	Topic      string `json:"topic"`                // that it reads; it carries the route
	Partitions int    `json:"partitions,omitempty"` // if given, more replicas than that are refused
	Kafka      Kafka  `json:"kafka"`
}

func routingOf(ro *v1alpha1.Rollout) (*Routing, error) {
	var raw json.RawMessage
	if c := ro.Spec.Strategy.Canary; c != nil && c.TrafficRouting != nil {
		raw = c.TrafficRouting.Plugins[Name]
	}
	r := &Routing{}
	if err := decode(raw, r); err != nil {
		return nil, err
	}
	switch {
	case r.Group == "" || r.Topic == "":
		return nil, fmt.Errorf("configuration of %s: give group and topic", Name)
	case r.Partitions > 0 && ro.Spec.Replicas != nil && int(*ro.Spec.Replicas) > r.Partitions:
		return nil, fmt.Errorf("there are %d replicas for %d partitions: some would have nothing to read", *ro.Spec.Replicas, r.Partitions)
	}
	return r, nil
}

// A router sets the route of a consumer group as a Rollout's steps say. The controller calls it several times a second, with the same
// things again and again: it asks Kafka at most once a second for each group, and writes only what has changed.
//
// What is to be is derived from the Rollout each time, and nothing is remembered but for that second: the plugin may be killed at any time,
// and two controllers would agree.
type router struct {
	*platform
	mu     sync.Mutex // guards what follows
	groups map[string]*routed
}

// routed is what is known of a group. Its lock is held while Kafka is asked, so that calls of one Rollout come one after another.
type routed struct {
	mu     sync.Mutex
	route  *kafka.Route
	read   time.Time
	status *kafka.RouteStatus
	looked time.Time
	err    error // of the last call that failed
	failed time.Time
}

// fails reports that Kafka has just not answered: it is not asked again for a while, so that a cluster that is away does not keep the
// controller's workers from the Rollouts of others.
func (g *routed) fails() bool { return g.err != nil && time.Since(g.failed) < failuresStay }

// note remembers how a call ended.
func (g *routed) note(err error) {
	if g.err = err; errors.Is(err, kafka.ErrRouteMoved) {
		g.err = nil // that can be tried again at once
	}
	g.failed = time.Now()
}

var _ types.RpcTrafficRoutingReconciler = (*router)(nil)

const (
	staysKnown = time.Second
	callTakes  = 10 * time.Second
)

func newRouter(p *platform) *router { return &router{platform: p, groups: map[string]*routed{}} }

// InitPlugin implements rpc.TrafficRouterPlugin.
func (*router) InitPlugin() types.RpcError { return types.RpcError{} }

// Type implements types.RpcTrafficRoutingReconciler.
func (*router) Type() string { return Name }

// group gives what is known of a group, locked.
func (r *router) group(namespace string, o *Routing) *routed {
	key := fmt.Sprint(namespace, "/", o.Kafka.Brokers, o.Kafka.SecretRef, "/", o.Group)
	r.mu.Lock()
	g := r.groups[key]
	if g == nil {
		g = &routed{}
		r.groups[key] = g
	}
	r.mu.Unlock()
	g.mu.Lock()
	return g
}

// change changes the route of a Rollout's group, if change changes it.
func (r *router) change(ro *v1alpha1.Rollout, change func(*kafka.Route)) types.RpcError {
	o, err := routingOf(ro)
	if err != nil {
		return failed(err)
	}
	g := r.group(ro.Namespace, o)
	defer g.mu.Unlock()
	if g.route != nil && time.Since(g.read) < staysKnown {
		next := *g.route
		if change(&next); next == *g.route {
			return types.RpcError{}
		}
	}
	if g.fails() {
		return failed(g.err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTakes)
	defer cancel()
	admin, err := r.admin(ctx, ro.Namespace, o.Kafka)
	if err != nil {
		return failed(err)
	}
	is, err := admin.SetRoute(ctx, o.Group, o.Topic, change)
	g.note(err)
	if errors.Is(err, kafka.ErrRouteMoved) { // by hand, say: the next call sees what there is
		g.route = nil
	}
	if err != nil {
		return failed(err)
	}
	if g.route == nil || g.route.Version != is.Version {
		g.status = nil
	}
	g.route, g.read = is, time.Now()
	return types.RpcError{}
}

func failed(err error) types.RpcError { return types.RpcError{ErrorString: err.Error()} }

// UpdateHash implements types.RpcTrafficRoutingReconciler. A canary that was not there begins with nothing; a promotion, when the
// stable version is the canary, gives everything to it.
func (r *router) UpdateHash(ro *v1alpha1.Rollout, canary, stable string, _ []v1alpha1.WeightDestination) types.RpcError {
	if canary == stable {
		canary = ""
	}
	return r.change(ro, func(to *kafka.Route) {
		if to.Canary != canary {
			to.Canary, to.Weight, to.Mirror = canary, 0, canary != "" && mirrors(ro)
		}
		to.Stable = stable
		givenUp(ro, to)
	})
}

// SetWeight implements types.RpcTrafficRoutingReconciler.
func (r *router) SetWeight(ro *v1alpha1.Rollout, weight int32, _ []v1alpha1.WeightDestination) types.RpcError {
	return r.change(ro, func(to *kafka.Route) {
		if to.Weight = percent(ro, weight); to.Canary == "" {
			to.Weight = 0
		}
		to.Mirror = to.Weight == 0 && to.Canary != "" && mirrors(ro)
		givenUp(ro, to)
	})
}

// percent is a weight in percent. What is more than nothing stays so, and what is less than all, too.
func percent(ro *v1alpha1.Rollout, weight int32) int {
	most := int32(100)
	if c := ro.Spec.Strategy.Canary; c != nil && c.TrafficRouting != nil && c.TrafficRouting.MaxTrafficWeight != nil && *c.TrafficRouting.MaxTrafficWeight > 0 {
		most = *c.TrafficRouting.MaxTrafficWeight
	}
	switch {
	case weight <= 0:
		return 0
	case weight >= most:
		return 100
	}
	return min(max((int(weight)*100+int(most)/2)/int(most), 1), 99)
}

// SetMirrorRoute implements types.RpcTrafficRoutingReconciler. A mirror is of all records: a percentage of more than nothing is 100.
func (r *router) SetMirrorRoute(ro *v1alpha1.Rollout, _ *v1alpha1.SetMirrorRoute) types.RpcError {
	return r.mirror(ro)
}

// RemoveManagedRoutes implements types.RpcTrafficRoutingReconciler. The controller calls it whenever the canary has no pod that is
// ready, too; a mirror goes on then as soon as it has one.
func (r *router) RemoveManagedRoutes(ro *v1alpha1.Rollout) types.RpcError { return r.mirror(ro) }

func (r *router) mirror(ro *v1alpha1.Rollout) types.RpcError {
	return r.change(ro, func(to *kafka.Route) {
		to.Mirror = to.Canary != "" && to.Weight == 0 && mirrors(ro)
		givenUp(ro, to)
	})
}

// givenUp says in the route whether the canary was: a Rollout is aborted, and its canary has nothing any more.
func givenUp(ro *v1alpha1.Rollout, to *kafka.Route) {
	to.Ended = ro.Status.Abort && to.Canary != "" && to.Weight == 0 && !to.Mirror
}

// mirrors reports that a Rollout is at a step at which its canary reads in shadow: the last setMirrorRoute up to it has a match and
// no percentage of 0.
func mirrors(ro *v1alpha1.Rollout) bool {
	c, at := ro.Spec.Strategy.Canary, ro.Status.CurrentStepIndex
	if c == nil || at == nil || ro.Status.Abort || ro.Status.PromoteFull {
		return false
	}
	on := false
	for i := range c.Steps {
		if i > int(*at) {
			break
		}
		if m := c.Steps[i].SetMirrorRoute; m != nil {
			on = len(m.Match) > 0 && (m.Percentage == nil || *m.Percentage > 0)
		}
	}
	return on
}

// SetHeaderRoute implements types.RpcTrafficRoutingReconciler.
func (*router) SetHeaderRoute(_ *v1alpha1.Rollout, h *v1alpha1.SetHeaderRoute) types.RpcError {
	if h == nil || len(h.Match) == 0 {
		return types.RpcError{}
	}
	return types.RpcError{ErrorString: "setHeaderRoute: records of a topic are divided by partitions, not by headers"}
}

// VerifyWeight implements types.RpcTrafficRoutingReconciler: whether the group is divided as the route says, and every partition is with
// exactly one member.
func (r *router) VerifyWeight(ro *v1alpha1.Rollout, weight int32, _ []v1alpha1.WeightDestination) (types.RpcVerified, types.RpcError) {
	o, err := routingOf(ro)
	if err != nil {
		return types.NotVerified, failed(err)
	}
	g := r.group(ro.Namespace, o)
	defer g.mu.Unlock()
	if g.status == nil || time.Since(g.looked) >= staysKnown {
		if g.fails() {
			return types.NotVerified, failed(g.err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), callTakes)
		defer cancel()
		admin, err := r.admin(ctx, ro.Namespace, o.Kafka)
		if err != nil {
			return types.NotVerified, failed(err)
		}
		g.status, err = admin.RouteStatus(ctx, o.Group)
		if g.note(err); err != nil {
			g.status = nil
			return types.NotVerified, failed(err)
		}
		g.looked = time.Now()
	}
	s := g.status
	// A route that was changed by hand meanwhile may have the same weight for another version.
	other := s.Route != nil && s.Route.Canary != "" && ro.Status.CurrentPodHash != "" && s.Route.Canary != ro.Status.CurrentPodHash
	if s.Route == nil || !s.Settled || other || s.Route.Canary != "" && s.Route.Weight != percent(ro, weight) {
		return types.NotVerified, types.RpcError{}
	}
	return types.Verified, types.RpcError{}
}
