package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// CopyOptions say which offsets of a group another one gets.
type CopyOptions struct {
	Topics    []string // none: all that the group has offsets of
	Overwrite bool     // the other group may have offsets, which are lost
	Plan      bool     // nothing is committed
	Note      string   // the metadata of the other group's offsets; "": that of those which are copied
}

// A CopyReport says which offsets a group got.
type CopyReport struct {
	From       string            `json:"from"`
	To         string            `json:"to"`
	Committed  bool              `json:"committed"`
	Partitions []CopiedPartition `json:"partitions"`
}

// A CopiedPartition is one of them. -1 stands for what is not there, or not known.
type CopiedPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"` // of the next record that is read
	Before    int64  `json:"before"` // that the other group had
	End       int64  `json:"end"`    // of the partition
	Deleted   int64  `json:"deleted,omitempty"`
}

// ErrGroupInUse says that offsets of a group cannot be set without harm.
var ErrGroupInUse = errors.New("the group is in use")

// errNoOffsets says that there is nothing to copy.
var errNoOffsets = errors.New("has no offsets")

// CopyOffsets gives the group to the offsets of the group from, as they are now. That group is not touched, and may be
// reading. The other one must have no members, and no offsets unless o says so: otherwise it is ErrGroupInUse, and nothing is
// committed. Should a member join meanwhile, the brokers refuse.
func (a *Admin) CopyOffsets(ctx context.Context, from, to string, o CopyOptions) (*CopyReport, error) {
	if from == to {
		return nil, errors.New("the two groups are the same")
	}
	if err := a.unused(ctx, to); err != nil {
		return nil, err
	}
	offsets, err := a.adm.FetchOffsets(ctx, from)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("offsets of group %s: %s", from, because(err))
	}
	before, err := a.adm.FetchOffsets(ctx, to)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("offsets of group %s: %s", to, because(err))
	}
	commit := kadm.Offsets{}
	offsets.Each(func(r kadm.OffsetResponse) {
		if r.At >= 0 && (len(o.Topics) == 0 || slices.Contains(o.Topics, r.Topic)) {
			of := r.Offset
			of.Metadata = cmp.Or(o.Note, of.Metadata)
			commit.Add(of)
		}
	})
	if len(commit) == 0 {
		return nil, fmt.Errorf("group %s %w%s, or does not exist", from, errNoOffsets, ofTopics(o.Topics))
	}
	if there := committedTopics(before); len(there) > 0 && !o.Overwrite {
		return nil, fmt.Errorf("%w: %s has offsets of %s, which would be lost; choose another name, or say that they may be (--overwrite)", ErrGroupInUse, to, strings.Join(there, ", "))
	}
	r := &CopyReport{From: from, To: to}
	starts, ends, err := a.bounds(ctx, commit)
	if err != nil {
		return nil, err
	}
	commit.Each(func(c kadm.Offset) {
		p := CopiedPartition{Topic: c.Topic, Partition: c.Partition, Offset: c.At, Before: -1, End: -1}
		if had, ok := before.Lookup(c.Topic, c.Partition); ok && had.Err == nil {
			p.Before = had.At
		}
		if end, ok := ends.Lookup(c.Topic, c.Partition); ok && end.Err == nil {
			p.End = end.Offset
		}
		if start, ok := starts.Lookup(c.Topic, c.Partition); ok && start.Err == nil {
			p.Deleted = max(0, start.Offset-c.At)
		}
		r.Partitions = append(r.Partitions, p)
	})
	slices.SortFunc(r.Partitions, func(a, b CopiedPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	if o.Plan {
		return r, nil
	}
	if err := a.adm.CommitAllOffsets(ctx, to, commit); err != nil {
		return nil, fmt.Errorf("commit offsets of group %s: %s", to, because(err))
	}
	r.Committed = true
	return r, nil
}

func ofTopics(topics []string) string {
	if len(topics) == 0 {
		return ""
	}
	return " of " + strings.Join(topics, ", ")
}

// committedTopics are the topics that offsets are of.
func committedTopics(offsets kadm.OffsetResponses) (topics []string) {
	offsets.Each(func(r kadm.OffsetResponse) {
		if r.Err == nil && r.At >= 0 && !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	})
	slices.Sort(topics)
	return topics
}

// bounds asks where the partitions of offsets begin and end.
func (a *Admin) bounds(ctx context.Context, of kadm.Offsets) (starts, ends kadm.ListedOffsets, err error) {
	var topics []string
	for t := range of {
		topics = append(topics, t)
	}
	if starts, err = a.adm.ListStartOffsets(ctx, topics...); err != nil {
		return nil, nil, fmt.Errorf("starts of topics: %s", because(err))
	}
	if ends, err = a.adm.ListEndOffsets(ctx, topics...); err != nil {
		return nil, nil, fmt.Errorf("ends of topics: %s", because(err))
	}
	return starts, ends, nil
}

// unused says that a group has members, or is no group that commits offsets.
func (a *Admin) unused(ctx context.Context, name string) error {
	groups, err := a.adm.ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("list groups: %s", because(err))
	}
	if _, there := groups[name]; !there {
		return nil
	}
	all, err := a.Groups(ctx, Which{Internal: true})
	if err != nil {
		return err
	}
	for i := range all.Groups {
		g := &all.Groups[i]
		switch {
		case g.Name != name:
		case g.Kind == ShareGroup || g.Kind == StreamsGroup:
			return fmt.Errorf("%w: %s is a %s group, whose offsets the brokers keep", ErrGroupInUse, name, g.Kind)
		case len(g.Members) > 0 || g.State != EmptyGroup && g.State != "Dead":
			return fmt.Errorf("%w: %s is %s and has %d members; stop them first, or choose another name", ErrGroupInUse, name, g.State, len(g.Members))
		}
	}
	return nil
}
