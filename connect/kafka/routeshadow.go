package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// shadows reports that the canary reads in shadow.
func (r *Route) shadows() bool { return r != nil && r.Canary != "" && r.Role(r.Canary) == RouteShadow }

// Compares reports that two versions read the same records: the canary reads in shadow.
func (r *Route) Compares() bool { return r.shadows() }

// dropShadow removes the group of an earlier mirror. One that is in use stays: its members have gone on reading.
func (a *Admin) dropShadow(ctx context.Context, group, hash string) error {
	shadow := ShadowGroup(group, hash)
	for _, name := range []string{shadow, shadowFrom(shadow)} {
		_, err := a.adm.DeleteGroup(ctx, name)
		switch {
		case errors.Is(err, kerr.NonEmptyGroup):
			return nil
		case err == nil, errors.Is(err, kerr.GroupIDNotFound):
		default:
			return fmt.Errorf("remove group %s, of an earlier mirror: %s", name, because(err))
		}
	}
	return nil
}

// BeginShadow gives the group that a canary reads with in shadow the offsets that the live group has now, unless it has offsets
// already: then another process of the canary has done so, or this one before it was started again. It gives the group's name.
// Partitions that the live group never read begin where the pipeline says. Where the shadow began stays known, as the offsets of
// another group: see ShadowSpan.
func (a *Admin) BeginShadow(ctx context.Context, group, hash string, topics []string) (string, error) {
	shadow := ShadowGroup(group, hash)
	has, err := a.adm.FetchOffsets(ctx, shadow)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return shadow, fmt.Errorf("offsets of group %s: %s", shadow, because(err))
	}
	if len(committedTopics(has)) > 0 {
		return shadow, nil
	}
	// The offsets that came to be written first count, for both groups, whoever dies in between.
	for _, copied := range [][2]string{{group, shadowFrom(shadow)}, {shadowFrom(shadow), shadow}} {
		_, err = a.CopyOffsets(ctx, copied[0], copied[1], CopyOptions{Topics: topics, Note: shadowNote(group)})
		if errors.Is(err, errNoOffsets) {
			return shadow, nil // the live group has read nothing so far
		}
		if err != nil && !errors.Is(err, ErrGroupInUse) { // another process was faster
			return shadow, err
		}
	}
	return shadow, nil
}

// shadowNote is the metadata that the offsets of where a shadow began have: so the groups of a shadow are told from others whose names
// look like theirs.
func shadowNote(group string) string { return "naru: where a shadow of " + group + " began" }

// ShadowReaders counts the members that a version has in shadow.
func (a *Admin) ShadowReaders(ctx context.Context, group, hash string) (int, error) {
	name := ShadowGroup(group, hash)
	described, err := a.adm.DescribeGroups(ctx, name)
	if err == nil {
		err = described[name].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("group %s: %s", name, because(err))
	}
	return len(described[name].Members), nil
}

// RemoveShadows removes the groups that versions have read with in shadow: those of which over says so. Only what BeginShadow has
// made is removed. It gives the names. Errors of one do not keep it from the others.
func (a *Admin) RemoveShadows(ctx context.Context, group string, over func(hash string) bool) (removed []string, err error) {
	listed, err := a.adm.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("groups: %s", because(err))
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		hash, is := strings.CutPrefix(name, ShadowGroup(group, ""))
		if is {
			hash, is = strings.CutSuffix(hash, shadowFrom(""))
		}
		if !is || CheckRouteHash(hash) != nil || !over(hash) {
			continue
		}
		offsets, err := a.adm.FetchOffsets(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("offsets of group %s: %s", name, because(err)))
			continue
		}
		ours := len(offsets) > 0
		offsets.Each(func(r kadm.OffsetResponse) { ours = ours && r.Err == nil && r.Metadata == shadowNote(group) })
		if !ours {
			continue
		}
		// What says that the two are a shadow's goes last: who dies in between leaves what the next one finds.
		for _, name := range []string{ShadowGroup(group, hash), name} {
			_, err := a.adm.DeleteGroup(ctx, name)
			if errors.Is(err, kerr.GroupIDNotFound) {
				continue
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("remove group %s: %s", name, because(err)))
				break
			}
			removed = append(removed, name)
		}
	}
	return removed, errors.Join(errs...)
}

// shadowFrom is the group whose offsets say where a shadow began.
func shadowFrom(shadow string) string { return shadow + ".from" }

// An OffsetSpan is a range of offsets of a partition: from From on, before To.
type OffsetSpan struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
}

// ShadowSpan gives the records that the live group and the shadow of a version have both delivered since the shadow began, at most so
// many, the newest ones of each partition. Partitions whose beginning is not known, as the live group had not read them, are left
// out. Empty: there is none so far.
func (a *Admin) ShadowSpan(ctx context.Context, group, hash string, most int64) ([]OffsetSpan, error) {
	shadow := ShadowGroup(group, hash)
	var of [3]kadm.OffsetResponses
	for i, name := range []string{shadowFrom(shadow), group, shadow} {
		var err error
		if of[i], err = a.adm.FetchOffsets(ctx, name); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("offsets of group %s: %s", name, because(err))
		}
	}
	var spans []OffsetSpan
	of[0].Each(func(from kadm.OffsetResponse) {
		live, ok := of[1].Lookup(from.Topic, from.Partition)
		beside, both := of[2].Lookup(from.Topic, from.Partition)
		if from.Err != nil || !ok || !both || live.Err != nil || beside.Err != nil {
			return
		}
		if to := min(live.At, beside.At); to > from.At && from.At >= 0 {
			spans = append(spans, OffsetSpan{from.Topic, from.Partition, from.At, to})
		}
	})
	slices.SortFunc(spans, func(a, b OffsetSpan) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for left, i := most, 0; i < len(spans); i++ {
		s := &spans[i]
		each := left / int64(len(spans)-i)
		s.From = max(s.From, s.To-each)
		left -= s.To - s.From
	}
	return slices.DeleteFunc(spans, func(s OffsetSpan) bool { return s.From >= s.To }), nil
}

// CameSince reports that one of partitions has a record whose time is not before a moment: by the clocks of those who write, or of
// the brokers, as the topic says.
func (a *Admin) CameSince(ctx context.Context, partitions map[string][]int32, since time.Time) (bool, error) {
	topics := slices.Collect(maps.Keys(partitions))
	if len(topics) == 0 {
		return false, nil
	}
	ends, err := a.adm.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return false, fmt.Errorf("ends of %s: %s", strings.Join(topics, ", "), because(err))
	}
	after, err := a.adm.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topics...)
	if err == nil {
		err = after.Error()
	}
	if err != nil {
		return false, fmt.Errorf("records of %s since %s: %s", strings.Join(topics, ", "), since.Format(time.RFC3339), because(err))
	}
	for topic, list := range partitions {
		for _, n := range list {
			end, ok := ends.Lookup(topic, n)
			first, ok2 := after.Lookup(topic, n) // the end, if there is none
			if ok && ok2 && first.Offset < end.Offset {
				return true, nil
			}
		}
	}
	return false, nil
}

// isRouteGroup reports that a group keeps a route, or where a shadow began: it reads nothing.
func isRouteGroup(name string) bool {
	return strings.HasSuffix(name, routeSuffix) || strings.HasSuffix(name, routeSuffix+".kept") || strings.Contains(name, ".shadow-") && strings.HasSuffix(name, ".from")
}
