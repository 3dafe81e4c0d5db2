package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Behind counts the unread records of each of the chosen groups that have committed offsets: a few requests, cheap enough to be asked
// every few seconds. Lag says more, and takes longer. Groups that hold the state of a route read nothing, and are left out, as
// are share groups, which have no offsets.
func (a *Admin) Behind(ctx context.Context, which Which) (map[string]int64, error) {
	listed, err := a.adm.ListGroups(ctx)
	if err != nil && len(listed) == 0 {
		return nil, fmt.Errorf("list groups: %s", because(err))
	}
	var names []string
	for name := range listed {
		if which.match(name, false) && !strings.HasSuffix(name, ".naru-route") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	committed := map[string]map[spot]int64{}
	topics := map[string]bool{}
	var refused error
	for name, r := range a.adm.FetchManyOffsets(ctx, names...) {
		if r.Err != nil {
			refused = fmt.Errorf("group %s: %s", name, because(r.Err))
			continue
		}
		committed[name] = map[spot]int64{}
		for topic, partitions := range r.Fetched {
			for p, o := range partitions {
				if o.Err == nil && o.At >= 0 {
					committed[name][spot{topic, p}] = o.At
					topics[topic] = true
				}
			}
		}
	}
	if len(committed) == 0 && refused != nil {
		return nil, refused
	}
	of := make([]string, 0, len(topics))
	for t := range topics {
		of = append(of, t)
	}
	unread := make(map[string]int64, len(committed))
	if len(of) == 0 {
		for name := range committed {
			unread[name] = 0
		}
		return unread, nil
	}
	starts, err := a.adm.ListStartOffsets(ctx, of...)
	ends, endsErr := a.adm.ListEndOffsets(ctx, of...)
	if err = errors.Join(err, endsErr); err != nil && (len(starts) == 0 || len(ends) == 0) {
		return nil, fmt.Errorf("list offsets: %s", because(err))
	}
	for name, at := range committed {
		unread[name] = 0
		for s, offset := range at {
			end := listedOffset(ends, s.topic, s.partition)
			unread[name] += max(0, end-max(offset, listedOffset(starts, s.topic, s.partition)))
		}
	}
	return unread, nil
}
