package argo

import (
	"context"
	"fmt"
	"time"

	"github.com/narudata/naru/connect/kafka"
)

// lag measures how far the versions are behind. Where no record has come since the canary has its part, there is nothing to judge by.
func (p *provider) lag(ctx context.Context, namespace, canary string, m *Metric) (*measured, error) {
	admin, err := p.admin(ctx, namespace, m.Kafka)
	if err != nil {
		return nil, err
	}
	got, err := lagOf(ctx, admin, m.Group, canary)
	if err != nil {
		return nil, err
	}
	if got.result["canaryRecords"] > 0 {
		return got.measured, nil
	}
	came, err := admin.CameSince(ctx, got.parts, got.since)
	if err != nil {
		return nil, err
	}
	if !came {
		return nil, noData("nothing was written to the partitions of the canary %s since it has them (%s): that it is not behind says nothing",
			got.details["canary"], got.since.Format(time.RFC3339))
	}
	return got.measured, nil
}

// lagResult is a lag, with where it was measured.
type lagResult struct {
	*measured
	parts map[string][]int32 // the canary's
	since time.Time          // when it got its part
}

// lagOf measures the lag of the canary and the stable version: of the partitions that each has, and in shadow of the canary's own group.
// Its unit is the seconds that the oldest unread record is older than now, or than the newest one: whichever is more, as clocks of those who
// write may be ahead of this one.
func lagOf(ctx context.Context, admin *kafka.Admin, group, canary string) (*lagResult, error) {
	s, err := admin.RouteStatus(ctx, group)
	if err != nil {
		return nil, err
	}
	if err := isCanary(s.Route, group, canary); err != nil {
		return nil, err
	}
	shadow := s.Route.Role(s.Route.Canary) == kafka.RouteShadow
	groups := []string{group}
	if shadow {
		if s.Shadow == 0 {
			return nil, noData("the canary %s does not read in shadow yet", s.Route.Canary)
		}
		groups = append(groups, kafka.ShadowGroup(group, s.Route.Canary))
	}
	roles := map[string]map[int32]kafka.RouteRole{}
	for _, m := range s.Members {
		for topic, partitions := range m.Assigned {
			if roles[topic] == nil {
				roles[topic] = map[int32]kafka.RouteRole{}
			}
			for _, n := range partitions {
				roles[topic][n] = m.Role
			}
		}
	}
	report, err := admin.Lag(ctx, kafka.LagOptions{Which: kafka.Which{Patterns: groups, Internal: true}, For: time.Second})
	if err != nil {
		return nil, err
	}
	r := result{}
	out := &lagResult{parts: map[string][]int32{}, since: s.Route.At}
	unknown := map[string]string{} // why the lag of a version is not known
	add := func(who, topic string, l *kafka.PartitionLag) {
		r[who+"Records"] += float64(max(0, l.Lag))
		r[who] = max(r[who], 0)
		if who == "canary" {
			out.parts[topic] = append(out.parts[topic], l.Partition)
		}
		switch {
		case l.Committed < 0 && l.End > l.Start:
			unknown[who] = fmt.Sprintf("has committed nothing yet of %s/%d, which has %d records", topic, l.Partition, l.End-l.Start)
		case l.Lag > 0 && l.Late == nil:
			unknown[who] = fmt.Sprintf("is %d records behind in %s/%d, and how old they are is not known", l.Lag, topic, l.Partition)
		case l.Lag > 0:
			r[who] = max(r[who], *l.Late)
			if l.Behind != nil {
				r[who] = max(r[who], *l.Behind)
			}
		}
	}
	for i := range report.Lags {
		t := &report.Lags[i]
		for j := range t.Partitions {
			l := &t.Partitions[j]
			switch role := roles[t.Topic][l.Partition]; {
			case t.Group != group:
				add("canary", t.Topic, l)
			case role == kafka.RouteStable:
				add("stable", t.Topic, l)
			case role == kafka.RouteCanary:
				add("canary", t.Topic, l)
			}
		}
	}
	if _, ok := r["canary"]; !ok {
		return nil, noData("the canary %s has no partitions, or has committed nothing yet", s.Route.Canary)
	}
	if why := unknown["canary"]; why != "" {
		return nil, noData("the canary %s %s", s.Route.Canary, why)
	}
	if unknown["stable"] != "" {
		delete(r, "stable") // a condition that asks for it cannot be evaluated
	}
	out.measured = &measured{r, map[string]string{"canary": s.Route.Canary, "stable": s.Route.Stable, "records": fmt.Sprintf("canary %s, stable %s", number(r["canaryRecords"]), number(r["stableRecords"]))}}
	return out, nil
}
