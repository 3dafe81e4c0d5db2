package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TopicFacts are what a change of a topic may touch: what is in it and who reads it.
type TopicFacts struct {
	Records int64   // end less start of the partitions; of compacted topics fewer are there
	Bytes   int64   // of all copies; -1: not known
	Copies  int64   // bytes of one copy of each partition: the leaders'; -1: not known
	Largest []int64 // bytes of each partition, of one copy
	Groups  []TopicReader
	Unknown string // why it is not known which groups read it; "": it is
}

// A TopicReader is a group that has read a topic, or reads it.
type TopicReader struct {
	Group   string
	Members int
	Library string // a guess at what its members are; "": none
	Because string // what the guess rests on
}

// TopicFacts looks at topics. What it may not ask is not known, and no error; names that are not there are left out.
func (a *Admin) TopicFacts(ctx context.Context, names []string) (map[string]*TopicFacts, error) {
	ctx = fresh(ctx)
	facts := map[string]*TopicFacts{}
	if len(names) == 0 {
		return facts, nil
	}
	notes := new(Notes)
	l, err := a.look(ctx, Which{Internal: true}, notes)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if t, ok := l.meta.Topics[name]; ok && t.Err == nil {
			facts[name] = &TopicFacts{Bytes: -1, Copies: -1}
		}
	}
	there := slices.Sorted(maps.Keys(facts))
	if len(there) == 0 {
		return facts, nil
	}
	starts, err := a.adm.ListStartOffsets(ctx, there...)
	notes.unlisted("start offsets", err)
	ends, err := a.adm.ListEndOffsets(ctx, there...)
	notes.unlisted("end offsets", err)
	for name, f := range facts {
		for _, p := range l.partitions(name) {
			start, end := listedOffset(starts, name, p.Partition), listedOffset(ends, name, p.Partition)
			if start >= 0 && end > start {
				f.Records += end - start
			}
			sizes := l.sizes(name, p.Partition)
			if sizes == nil {
				continue
			}
			f.Bytes, f.Copies = max(f.Bytes, 0), max(f.Copies, 0)
			one := sizes[p.Leader]
			for _, n := range sizes {
				f.Bytes += n
			}
			f.Copies += one
			f.Largest = append(f.Largest, one)
		}
	}
	notes = new(Notes)
	l.notes = notes
	groups, err := a.groups(ctx, l, Which{Internal: true})
	if err != nil {
		notes.add("groups", err)
	}
	commits := a.commits(ctx, groups, notes)
	for i := range groups {
		g := &groups[i]
		if strings.HasSuffix(g.Name, ".naru-route") {
			continue // it keeps a state, and reads nothing
		}
		g.count(l, commits[g.Name])
		for _, topic := range g.Topics {
			if f := facts[topic]; f != nil {
				f.Groups = append(f.Groups, g.reads(topic))
			}
		}
	}
	for _, f := range facts {
		f.Unknown = strings.Join(notes.Lines(), "; ")
	}
	return facts, ctx.Err()
}

// reads says how the group reads the topic.
func (g *GroupReport) reads(topic string) TopicReader {
	r := TopicReader{Group: g.Name}
	for _, m := range g.Members {
		if len(m.Assigned[topic]) > 0 || slices.Contains(m.Topics, topic) {
			r.Members++
			if r.Library == "" {
				r.Library, r.Because = m.Library, m.Because
			}
		}
	}
	return r
}

// Older counts the records of a topic that come before the first one of time t or later: about those that retention by time
// deletes with that bound.
func (a *Admin) Older(ctx context.Context, topic string, t time.Time) (int64, error) {
	ctx = fresh(ctx)
	starts, err := a.adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("offsets of topic %s: %s", topic, because(err))
	}
	at, err := a.offsetsAfter(ctx, topic, t)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	starts.Each(func(o kadm.ListedOffset) {
		if o.Err == nil && at[o.Partition] > o.Offset {
			n += at[o.Partition] - o.Offset
		}
	})
	return n, nil
}

// offsetsAfter gives the offset of the first record of each partition that is of time t or later; the end where there is none.
func (a *Admin) offsetsAfter(ctx context.Context, topic string, t time.Time) (map[int32]int64, error) {
	listed, err := a.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topic)
	if err != nil {
		return nil, fmt.Errorf("offsets of topic %s: %s", topic, because(err))
	}
	out := map[int32]int64{}
	err = nil
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err != nil {
			err = fmt.Errorf("offsets of topic %s, partition %d: %s", topic, o.Partition, because(o.Err))
		}
		out[o.Partition] = o.Offset
	})
	return out, err
}
