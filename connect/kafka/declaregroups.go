package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/narudata/naru/flow"
)

// A GroupState is where a group stands.
type GroupState struct {
	Members int
	Topics  map[string]map[int32]Committed
}

// Committed is an offset of a group in a partition, with what was written beside it.
type Committed struct {
	At       int64
	Metadata string
}

// GroupStates gives the named groups. One that is not there has no members and no offsets.
func (a *Admin) GroupStates(ctx context.Context, names ...string) (map[string]*GroupState, error) {
	states := map[string]*GroupState{}
	if len(names) == 0 {
		return states, nil
	}
	fetched, err := a.fetchOffsets(ctx, names)
	if err != nil {
		return nil, err
	}
	for name, r := range fetched {
		s := &GroupState{Topics: map[string]map[int32]Committed{}}
		if r.Err != nil && !errors.Is(r.Err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("offsets of group %s: %s", name, because(r.Err))
		}
		for topic, partitions := range r.Fetched {
			for p, o := range partitions {
				if o.Err != nil {
					return nil, fmt.Errorf("offset of group %s in topic %s, partition %d: %s", name, topic, p, because(o.Err))
				}
				if o.At < 0 {
					continue
				}
				if s.Topics[topic] == nil {
					s.Topics[topic] = map[int32]Committed{}
				}
				s.Topics[topic][p] = Committed{o.At, o.Metadata}
			}
		}
		states[name] = s
	}
	notes := new(Notes)
	groups, err := a.groups(ctx, &look{notes: notes}, Which{Patterns: flow.Patterns(names), Internal: true})
	if err != nil && !errors.Is(err, errNoGroup) {
		return nil, err
	}
	for i := range groups {
		if s := states[groups[i].Name]; s != nil {
			if groups[i].Error != "" {
				return nil, fmt.Errorf("members of group %s: %s", groups[i].Name, groups[i].Error)
			}
			s.Members = len(groups[i].Members)
		}
	}
	return states, nil
}

// fetchOffsets asks for offsets, and again while coordinators are not up: a new cluster makes their topic when it is first asked.
func (a *Admin) fetchOffsets(ctx context.Context, names []string) (kadm.FetchOffsetsResponses, error) {
	const patience = 20 * time.Second
	for until := time.Now().Add(patience); ; {
		fetched := a.adm.FetchManyOffsets(ctx, names...)
		away := false
		for _, r := range fetched {
			away = away || kerr.IsRetriable(r.Err)
		}
		if !away || time.Now().After(until) {
			return fetched, nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// TopicPartitions counts the partitions of all topics.
func (a *Admin) TopicPartitions(ctx context.Context) (map[string]int, error) {
	ctx = fresh(ctx)
	meta, err := a.adm.Metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %s", because(err))
	}
	out := map[string]int{}
	for name, t := range meta.Topics {
		if t.Err == nil {
			out[name] = len(t.Partitions)
		}
	}
	return out, nil
}

// A Beginning is a place in a topic where a group begins: one of its fields, the earliest record if none is set.
type Beginning struct {
	Latest bool      // after the newest record
	At     time.Time // the first record of that time or later, the end where there is none
	Group  string    // where that group stands; the earliest record where it does not
}

// Begin gives the offset of each partition of a topic at a place.
func (a *Admin) Begin(ctx context.Context, topic string, b Beginning) (map[int32]int64, error) {
	ctx = fresh(ctx)
	if !b.At.IsZero() {
		return a.offsetsAfter(ctx, topic, b.At)
	}
	list := a.adm.ListStartOffsets
	if b.Latest {
		list = a.adm.ListEndOffsets
	}
	listed, err := list(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("offsets of topic %s: %s", topic, because(err))
	}
	out := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err != nil {
			err = fmt.Errorf("offsets of topic %s, partition %d: %s", topic, o.Partition, because(o.Err))
			return
		}
		out[o.Partition] = o.Offset
	})
	if err != nil || b.Group == "" {
		return out, err
	}
	states, err := a.GroupStates(ctx, b.Group)
	if err != nil {
		return nil, err
	}
	for p, c := range states[b.Group].Topics[topic] {
		if _, there := out[p]; there {
			out[p] = c.At
		}
	}
	return out, nil
}

// CommitOffsets sets offsets of a group that has no members; the coordinator refuses if it has some.
func (a *Admin) CommitOffsets(ctx context.Context, group string, topics map[string]map[int32]Committed) error {
	offsets := kadm.Offsets{}
	for topic, partitions := range topics {
		for p, c := range partitions {
			offsets.Add(kadm.Offset{Topic: topic, Partition: p, At: c.At, LeaderEpoch: -1, Metadata: c.Metadata})
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	return ofGroup(group, a.adm.CommitAllOffsets(ctx, group, offsets))
}

// ForgetOffsets takes offsets of a group away. It has no members that read these topics, or the coordinator refuses.
func (a *Admin) ForgetOffsets(ctx context.Context, group string, topics map[string][]int32) error {
	set := kadm.TopicsSet{}
	for topic, partitions := range topics {
		set.Add(topic, partitions...)
	}
	if len(set) == 0 {
		return nil
	}
	responses, err := a.adm.DeleteOffsets(ctx, group, set)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil
	}
	if err == nil {
		err = responses.Error()
	}
	return ofGroup(group, err)
}

func ofGroup(group string, err error) error {
	busy := []error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.NonEmptyGroup, kerr.GroupSubscribedToTopic, kerr.RebalanceInProgress}
	if slices.ContainsFunc(busy, func(b error) bool { return errors.Is(err, b) }) {
		return &RefusedError{fmt.Sprintf("group %s has members; its offsets can be set once they have stopped", group)}
	}
	if k, ok := errors.AsType[*kerr.Error](err); ok {
		return fmt.Errorf("offsets of group %s: %w", group, refused(k, ""))
	}
	return err
}
