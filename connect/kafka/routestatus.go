package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// A RouteStatus is how far a group is with its route.
type RouteStatus struct {
	Group      string        `json:"group"`
	Topic      string        `json:"topic,omitempty"` // that carries the route
	Route      *Route        `json:"route"`           // nil: there is none
	State      string        `json:"state"`           // of the group
	Protocol   string        `json:"protocol,omitempty"`
	Partitions int           `json:"partitions"` // that members could have
	Canary     int           `json:"canary"`     // of these, that the canary's members have
	Stable     int           `json:"stable"`
	Others     int           `json:"others"` // that members of other versions have, or of all if there is no route
	Share      int           `json:"share"`  // partitions that the canary should have
	Shadow     int           `json:"shadow"` // members of the canary's shadow group
	Members    []RouteReader `json:"members"`
	Settled    bool          `json:"settled"`       // the group is divided as the route says
	Why        string        `json:"why,omitempty"` // it is not
}

// A RouteReader is a member of a routed group.
type RouteReader struct {
	ID         string    `json:"id"`
	ClientID   string    `json:"client_id"`
	Host       string    `json:"host"`
	Hash       string    `json:"hash,omitempty"` // "": it does not know routes
	Role       RouteRole `json:"role"`
	Version    int64     `json:"version"` // of the route that its partitions are by
	Partitions int       `json:"partitions"`

	Assigned map[string][]int32 `json:"assigned"` // by topic
}

// count counts members of a version.
func (s *RouteStatus) count(hash string) (n int) {
	for i := range s.Members {
		if s.Members[i].Hash == hash {
			n++
		}
	}
	return n
}

// RouteStatus looks how a group is divided. A group that does not exist has no members.
func (a *Admin) RouteStatus(ctx context.Context, group string) (*RouteStatus, error) {
	f, err := fetchRoute(ctx, a.adm, group)
	if err != nil {
		return nil, err
	}
	s := &RouteStatus{Group: group, Topic: f.topic, Route: f.route(), State: "Dead", Members: []RouteReader{}}
	ask := []string{group}
	if s.Route != nil && s.Route.Canary != "" {
		ask = append(ask, ShadowGroup(group, s.Route.Canary))
	}
	described, err := a.adm.DescribeGroups(ctx, ask...)
	if err != nil {
		return nil, fmt.Errorf("group %s: %s", group, because(err))
	}
	if len(ask) > 1 {
		s.Shadow = len(described[ask[1]].Members)
	}
	d := described[group]
	if errors.Is(d.Err, kerr.GroupIDNotFound) {
		s.Why = "the group has no members"
		return s, nil
	}
	if d.Err != nil {
		return nil, fmt.Errorf("group %s: %s", group, because(d.Err))
	}
	s.State, s.Protocol = d.State, d.Protocol
	readers := map[string]map[string]bool{} // by topic: versions that read it
	given := map[tp]int{}
	for _, m := range d.Members {
		r := RouteReader{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Assigned: map[string][]int32{}}
		if join, ok := m.Join.AsConsumer(); ok {
			if n, ok := parseNote(join.UserData); ok {
				r.Hash = n.Hash
			}
			for _, t := range join.Topics {
				if readers[t] == nil {
					readers[t] = map[string]bool{}
				}
				readers[t][r.Hash] = true
			}
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			if n, ok := parseNote(assigned.UserData); ok && n.Route != nil {
				r.Version = n.Route.Version
			}
			for _, t := range assigned.Topics {
				r.Partitions += len(t.Partitions)
				r.Assigned[t.Topic] = t.Partitions
				for _, p := range t.Partitions {
					given[tp{t.Topic, p}]++
				}
			}
		}
		if r.Role = s.Route.Role(r.Hash); r.Role == RouteShadow {
			r.Role = RouteCanary // it has not left the live group yet
		}
		switch r.Role {
		case RouteStable:
			s.Stable += r.Partitions
		case RouteCanary:
			s.Canary += r.Partitions
		case RouteAlone, RouteWaits, RouteShadow:
			s.Others += r.Partitions
		}
		s.Members = append(s.Members, r)
	}
	if err := a.expect(ctx, s, readers); err != nil {
		return nil, err
	}
	s.judge(given)
	s.Settled = s.Why == ""
	return s, nil
}

// expect says how many partitions there are for whom.
func (a *Admin) expect(ctx context.Context, s *RouteStatus, readers map[string]map[string]bool) error {
	if len(readers) == 0 {
		return nil
	}
	meta, err := a.adm.Metadata(ctx, slices.Sorted(maps.Keys(readers))...)
	if err != nil {
		return fmt.Errorf("partitions of %s: %s", strings.Join(slices.Sorted(maps.Keys(readers)), ", "), because(err))
	}
	shared := 0
	for topic, versions := range readers {
		n := len(meta.Topics[topic].Partitions)
		if s.Route.free() {
			s.Partitions += n
			continue
		}
		canary := s.Route.Canary != s.Route.Stable && versions[s.Route.Canary] && s.Route.Weight > 0
		switch stable := versions[s.Route.Stable]; {
		case stable && canary:
			shared += n
		case canary:
			s.Share += n
		case !stable:
			continue // nobody may have them
		}
		s.Partitions += n
	}
	s.Share += s.Route.CanaryShare(shared)
	return nil
}

// judge says why the group is not divided as the route says.
func (s *RouteStatus) judge(given map[tp]int) {
	twice := 0
	for _, n := range given {
		if n > 1 {
			twice++
		}
	}
	old, unknowing := 0, 0
	for i := range s.Members {
		if s.Members[i].Hash == "" {
			unknowing++
		}
		if s.Route != nil && s.Members[i].Version < s.Route.Version {
			old++
		}
	}
	r := s.Route
	switch {
	case len(s.Members) == 0:
		s.Why = "the group has no members"
	case s.State != "Stable":
		s.Why = "the group is being divided anew (" + s.State + ")"
	case r == nil:
		if len(given) < s.Partitions {
			s.Why = fmt.Sprintf("%d of %d partitions have no member", s.Partitions-len(given), s.Partitions)
		}
	case s.Protocol != routeProtocol:
		s.Why = fmt.Sprintf("the group divides by %s, as %d of its members do not know routes (naru logstash --route)", s.Protocol, unknowing)
	case old > 0:
		s.Why = fmt.Sprintf("%d of %d members are still on an older route", old, len(s.Members))
	case twice > 0:
		s.Why = fmt.Sprintf("%d partitions are with two members", twice)
	case !r.free() && r.Weight > 0 && r.Canary != "" && r.Canary != r.Stable && s.count(r.Canary) == 0:
		s.Why = "the canary " + r.Canary + " has no members"
	case !r.free() && r.Weight < 100 && s.count(r.Stable) == 0:
		s.Why = "the stable version " + r.Stable + " has no members"
	case s.Canary != s.Share && !r.free():
		s.Why = fmt.Sprintf("the canary has %d partitions, and should have %d", s.Canary, s.Share)
	case len(given) < s.Partitions:
		s.Why = fmt.Sprintf("%d of %d partitions have no member", s.Partitions-len(given), s.Partitions)
	case r.shadows() && s.Shadow == 0:
		s.Why = "the canary " + r.Canary + " does not read in shadow yet"
	}
}

// ClusterID is the cluster's id, as records' ids begin with it.
func (a *Admin) ClusterID(ctx context.Context) (string, error) {
	meta, err := a.adm.BrokerMetadata(ctx)
	if err != nil {
		return "", fmt.Errorf("the cluster's id: %s", because(err))
	}
	return meta.Cluster, nil
}
