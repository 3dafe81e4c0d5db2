package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TopicsOptions say what is asked of topics.
type TopicsOptions struct {
	Which
	For time.Duration // between the two samples of the ends, for rates; 0: no rates
}

// A TopicsReport is the topics of a cluster.
type TopicsReport struct {
	Cluster ClusterReport `json:"cluster"`
	Topics  []TopicReport `json:"topics"`
	Notes   []string      `json:"notes,omitempty"` // what could not be found out, and why
}

// A TopicReport is one of them, and how it is. A number of -1 is not known, or not set.
type TopicReport struct {
	Name            string            `json:"topic"`
	Internal        bool              `json:"internal,omitempty"`
	Partitions      int               `json:"partitions"`
	Replicas        int               `json:"replicas"` // the least that a partition has
	MinISR          int64             `json:"min_insync_replicas"`
	UnderReplicated []int32           `json:"under_replicated,omitempty"` // partitions with fewer copies in sync than there should be
	Offline         []int32           `json:"offline,omitempty"`          // partitions that nobody leads
	NotPreferred    []int32           `json:"not_preferred,omitempty"`    // partitions led by another replica than their first
	Leaders         []LeaderOf        `json:"leaders"`                    // how many partitions each broker leads
	LeaderSkew      float64           `json:"leader_skew"`                // most partitions of a broker, by what an even spread would give it; 1 is even
	Bytes           int64             `json:"bytes"`                      // of all copies
	Records         int64             `json:"records"`                    // end less start of the partitions; of compacted and transactional topics fewer are there
	RetentionMs     int64             `json:"retention_ms"`               // -1: for ever
	RetentionBytes  int64             `json:"retention_bytes"`            // of a partition; -1: no bound
	CleanupPolicy   string            `json:"cleanup_policy"`
	TimestampType   string            `json:"timestamp_type"`
	SegmentBytes    int64             `json:"segment_bytes"`
	SegmentMs       int64             `json:"segment_ms"`
	UncleanElection bool              `json:"unclean_leader_election,omitempty"`
	CompressionType string            `json:"compression_type"` // what the broker does: producer is nothing
	Oldest          time.Time         `json:"oldest,omitzero"`  // timestamp of the oldest record
	Newest          time.Time         `json:"newest,omitzero"`  // the greatest timestamp
	PerSecond       float64           `json:"records_per_second"`
	Codecs          []string          `json:"codecs"`     // of the newest batch of each partition
	Idempotent      *bool             `json:"idempotent"` // whether these came from idempotent producers; null: not known
	Detail          []PartitionReport `json:"partition_details"`
	Error           string            `json:"error,omitempty"`
}

// LeaderOf says how many partitions a broker leads.
type LeaderOf struct {
	Broker     int32 `json:"broker"`
	Partitions int   `json:"partitions"`
}

// A PartitionReport is one of a topic. A number of -1 is not known.
type PartitionReport struct {
	Partition int32     `json:"partition"`
	Leader    int32     `json:"leader"` // -1: nobody
	Replicas  []int32   `json:"replicas"`
	InSync    []int32   `json:"in_sync"`
	Start     int64     `json:"start"`
	End       int64     `json:"end"`
	Bytes     int64     `json:"bytes"` // of the leader's copy
	Newest    time.Time `json:"newest,omitzero"`
	PerSecond float64   `json:"records_per_second"`
	Codec     string    `json:"codec,omitempty"` // of its newest batch
	Error     string    `json:"error,omitempty"`
}

// Topics looks at the chosen topics.
func (a *Admin) Topics(ctx context.Context, o TopicsOptions) (*TopicsReport, error) {
	notes := new(Notes)
	l, err := a.look(ctx, o.Which, notes)
	if err != nil {
		return nil, err
	}
	t, err := a.topics(ctx, l, o.For)
	if err != nil {
		return nil, err
	}
	return &TopicsReport{Cluster: l.cluster(), Topics: t, Notes: notes.Lines()}, nil
}

// ends are the bounds of partitions.
type ends struct {
	at         time.Time
	start, end kadm.ListedOffsets
}

func (a *Admin) ends(ctx context.Context, l *look) (e ends, err error) {
	if len(l.topics) == 0 {
		return ends{at: time.Now()}, nil
	}
	e.start, err = a.adm.ListStartOffsets(ctx, l.topics...)
	l.notes.unlisted("first offsets are not known", err)
	e.at = time.Now()
	e.end, err = a.adm.ListEndOffsets(ctx, l.topics...)
	l.notes.unlisted("last offsets are not known", err)
	return e, ctx.Err()
}

// listedOffset gives a listed offset; -1: not known.
func listedOffset(o kadm.ListedOffsets, topic string, partition int32) int64 {
	if x, ok := o.Lookup(topic, partition); ok && x.Err == nil {
		return x.Offset
	}
	return -1
}

// perSecond is how fast an offset moves. An offset that is not known does not.
func perSecond(before, now int64, d time.Duration) float64 {
	if before < 0 || now < before || d <= 0 {
		return 0
	}
	return float64(now-before) / d.Seconds()
}

func (a *Admin) topics(ctx context.Context, l *look, interval time.Duration) ([]TopicReport, error) {
	first, err := a.ends(ctx, l)
	if err != nil {
		return nil, err
	}
	second := first
	if interval > 0 {
		if err := pause(ctx, interval-time.Since(first.at)); err != nil {
			return nil, err
		}
		if second, err = a.ends(ctx, l); err != nil {
			return nil, err
		}
	}
	oldest, newest := a.times(ctx, l)
	last := make(map[spot]int64)
	for _, name := range l.topics {
		for _, p := range l.partitions(name) {
			if end, start := listedOffset(second.end, name, p.Partition), listedOffset(second.start, name, p.Partition); end > 0 && end > start {
				last[spot{name, p.Partition}] = end - 1
			}
		}
	}
	const headBytes = 4 << 10 // a head is enough here
	batches := a.glimpse(ctx, l, last, headBytes)
	topics := make([]TopicReport, 0, len(l.topics))
	for _, name := range l.topics {
		t := l.topic(name)
		for i := range t.Detail {
			p := &t.Detail[i]
			p.Start, p.End = listedOffset(second.start, name, p.Partition), listedOffset(second.end, name, p.Partition)
			if p.End >= 0 && p.Start >= 0 {
				t.Records += p.End - p.Start
			}
			p.PerSecond = perSecond(listedOffset(first.end, name, p.Partition), p.End, second.at.Sub(first.at))
			t.PerSecond += p.PerSecond
			if x, ok := oldest.Lookup(name, p.Partition); ok && x.Err == nil && x.Timestamp >= 0 {
				if at := timeOfMillis(x.Timestamp); t.Oldest.IsZero() || at.Before(t.Oldest) {
					t.Oldest = at
				}
			}
			if x, ok := newest.Lookup(name, p.Partition); ok && x.Err == nil {
				p.Newest = timeOfMillis(x.Timestamp)
			}
			if g := batches[spot{name, p.Partition}]; g != nil && g.err == nil {
				p.Codec = g.head.Codec
				if g.head.Control { // a marker of a transaction says nothing of the producer's codec
					p.Codec = ""
				} else {
					idempotent := g.head.ProducerID >= 0 && (t.Idempotent == nil || *t.Idempotent)
					t.Idempotent = &idempotent
				}
				if newest == nil {
					p.Newest = g.head.Max
				}
			} else if g != nil && p.Leader >= 0 && !errors.Is(g.err, errNoRecord) { // it may be gone by now
				l.notes.add("newest batch of "+name+" is not known", g.err)
			}
			if p.Newest.After(t.Newest) {
				t.Newest = p.Newest
			}
			if p.Codec != "" && !slices.Contains(t.Codecs, p.Codec) {
				t.Codecs = append(t.Codecs, p.Codec)
			}
		}
		slices.Sort(t.Codecs)
		topics = append(topics, t)
	}
	return topics, nil
}

// times asks for the oldest and the greatest timestamp of each partition; newest is nil where brokers do not tell it.
func (a *Admin) times(ctx context.Context, l *look) (oldest, newest kadm.ListedOffsets) {
	if len(l.topics) == 0 {
		return nil, nil
	}
	oldest, err := a.adm.ListOffsetsAfterMilli(ctx, 0, l.topics...)
	l.notes.unlisted("timestamps of the oldest records are not known", err)
	newest, err = a.adm.ListMaxTimestampOffsets(ctx, l.topics...) // Kafka 3.0
	if err != nil {
		return oldest, nil
	}
	for _, partitions := range newest {
		for _, p := range partitions {
			if p.Err == nil {
				return oldest, newest
			}
		}
	}
	return oldest, nil
}

// topic is what the metadata and configurations say of a topic.
func (l *look) topic(name string) TopicReport {
	d := l.meta.Topics[name]
	t := TopicReport{
		Name: name, Internal: d.IsInternal, Partitions: len(d.Partitions), Leaders: []LeaderOf{}, Codecs: []string{}, Detail: []PartitionReport{},
		MinISR: l.number(name, "min.insync.replicas"), RetentionMs: l.number(name, "retention.ms"), RetentionBytes: l.number(name, "retention.bytes"),
		CleanupPolicy: l.configs[name]["cleanup.policy"], TimestampType: l.configs[name]["message.timestamp.type"],
		SegmentBytes: l.number(name, "segment.bytes"), SegmentMs: l.number(name, "segment.ms"), CompressionType: l.configs[name]["compression.type"],
		UncleanElection: l.configs[name]["unclean.leader.election.enable"] == "true",
	}
	if d.Err != nil {
		t.Error = because(d.Err)
	}
	if len(l.dirs) == 0 {
		t.Bytes = -1
	}
	leaders := map[int32]int{}
	for _, p := range l.partitions(name) {
		x := PartitionReport{Partition: p.Partition, Leader: p.Leader, Replicas: p.Replicas, InSync: p.ISR, Start: -1, End: -1, Bytes: -1}
		if p.Err != nil {
			x.Error = because(p.Err)
		}
		if t.Replicas == 0 || len(p.Replicas) < t.Replicas {
			t.Replicas = len(p.Replicas)
		}
		if len(p.ISR) < len(p.Replicas) && p.Leader >= 0 {
			t.UnderReplicated = append(t.UnderReplicated, p.Partition)
		}
		if p.Leader < 0 {
			t.Offline = append(t.Offline, p.Partition)
		} else {
			leaders[p.Leader]++
			if len(p.Replicas) > 0 && p.Replicas[0] != p.Leader {
				t.NotPreferred = append(t.NotPreferred, p.Partition)
			}
		}
		sizes := l.sizes(name, p.Partition)
		for _, n := range sizes {
			t.Bytes += n
		}
		if n, ok := sizes[p.Leader]; ok {
			x.Bytes = n
		}
		t.Detail = append(t.Detail, x)
	}
	most := 0
	for _, b := range slices.Sorted(maps.Keys(leaders)) {
		t.Leaders = append(t.Leaders, LeaderOf{b, leaders[b]})
		most = max(most, leaders[b])
	}
	if brokers := len(l.meta.Brokers); brokers > 0 && t.Partitions > 0 {
		even := max(1, (t.Partitions+brokers-1)/brokers)
		t.LeaderSkew = float64(most) / float64(even)
	}
	return t
}

// Health says in a word or two what is wrong with the copies of a topic; "ok": nothing.
func (t *TopicReport) Health() string {
	var ill []string
	if t.Error != "" {
		return t.Error
	}
	if n := len(t.Offline); n > 0 {
		ill = append(ill, fmt.Sprintf("%d offline", n))
	}
	if n := len(t.UnderReplicated); n > 0 {
		ill = append(ill, fmt.Sprintf("%d under-replicated", n))
	}
	if len(ill) == 0 {
		return "ok"
	}
	return strings.Join(ill, ", ")
}
