package cost

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/kafka"
)

// Kafka is what was seen of a Kafka cluster.
type Kafka struct {
	Cluster string   `json:"cluster"`
	Brokers []Broker `json:"brokers"`
	Topics  []Topic  `json:"topics"`
	Notes   []string `json:"notes,omitempty"`
}

// A Broker is one of a cluster. Sizes that are not known are 0.
type Broker struct {
	ID     int32 `json:"id"`
	Disk   Bytes `json:"disk"`
	Stored Bytes `json:"stored"`
	Copies int   `json:"copies"` // of partitions
}

// A Topic is one of a cluster.
type Topic struct {
	Name       string   `json:"topic"`
	Partitions int      `json:"partitions"`
	Replicas   int      `json:"replicas"`
	Stored     Bytes    `json:"stored_bytes"` // of all copies
	Records    int64    `json:"records"`
	Compacted  bool     `json:"compacted,omitempty"`
	Days       float64  `json:"retention_days"`  // 0: for ever
	Most       Bytes    `json:"retention_bytes"` // of a partition; 0: no bound
	Groups     []string `json:"groups"`          // that have offsets in it
	// In is how many bytes of one copy come in each second: what is there by the time between its oldest and its newest record.
	// 0: not known.
	In     float64   `json:"bytes_per_second"`
	Span   float64   `json:"span_days"`
	Newest time.Time `json:"newest,omitzero"`
}

// LookKafka asks a Kafka cluster what it has.
func LookKafka(ctx context.Context, a *kafka.Admin) (*Kafka, error) {
	topics, err := a.Topics(ctx, kafka.TopicsOptions{Which: kafka.Which{Internal: true}})
	if err != nil {
		return nil, fmt.Errorf("topics of kafka: %w", err)
	}
	k := &Kafka{Cluster: topics.Cluster.ID, Notes: topics.Notes}
	readers := map[string][]string{}
	groups, err := a.Groups(ctx, kafka.Which{})
	if err != nil {
		k.Notes = append(k.Notes, "which groups read a topic is not known: "+err.Error())
	} else {
		for i := range groups.Groups {
			g := &groups.Groups[i]
			for _, t := range g.Topics {
				if !strings.HasSuffix(g.Name, ".naru-route") {
					readers[t] = append(readers[t], g.Name)
				}
			}
		}
	}
	for _, b := range topics.Cluster.Brokers {
		k.Brokers = append(k.Brokers, Broker{b.ID, Bytes(max(0, b.DiskBytes)), Bytes(max(0, b.Bytes)), b.Replicas})
	}
	for i := range topics.Topics {
		t := &topics.Topics[i]
		x := Topic{
			Name: t.Name, Partitions: t.Partitions, Replicas: max(1, t.Replicas), Stored: Bytes(max(0, t.Bytes)), Records: max(0, t.Records), Compacted: strings.Contains(t.CleanupPolicy, "compact"),
			Groups: readers[t.Name], Newest: t.Newest,
		}
		if t.RetentionMs > 0 {
			x.Days = float64(t.RetentionMs) / 86400000
		}
		if t.RetentionBytes > 0 {
			x.Most = Bytes(t.RetentionBytes)
		}
		if span := t.Newest.Sub(t.Oldest); !t.Oldest.IsZero() && span > time.Minute && !x.Compacted {
			x.Span = span.Hours() / 24
			x.In = float64(x.Stored) / float64(x.Replicas) / span.Seconds()
		}
		k.Topics = append(k.Topics, x)
	}
	slices.SortFunc(k.Topics, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return k, nil
}

// steady is what all copies take once the topic is as full as its retention lets it be; what is there, where that is not known or
// has no end.
func (t *Topic) steady() Bytes {
	if t.In == 0 || t.Days == 0 && t.Most == 0 {
		return t.Stored
	}
	one := math.Inf(1)
	if t.Days > 0 {
		one = t.In * t.Days * 86400
	}
	if t.Most > 0 {
		one = min(one, float64(t.Most)*float64(t.Partitions))
	}
	return Bytes(one * float64(t.Replicas))
}

// BrokerNeed is how many brokers a Kafka cluster needs, and why.
type BrokerNeed struct {
	Brokers int      `json:"brokers"`
	Disk    Bytes    `json:"disk"` // of all of them
	Parts   []Reason `json:"parts"`
}

// A Reason is one of the numbers of which the largest counts.
type Reason struct {
	What string  `json:"what"`
	Need float64 `json:"need"`
	How  string  `json:"how"`
}

// BrokersFor sizes a cluster: mean and peak of what comes in and is read, in MiB/s, copies of partitions, hours of retention and
// copies of each topic.
func BrokersFor(in, peakIn, out, peakOut float64, partitions int, stored Bytes, k *Constants) *BrokerNeed {
	fanOut := 0.0
	if peakIn > 0 {
		fanOut = peakOut / peakIn
	} else if in > 0 {
		fanOut = out / in
	}
	disk, network := k.of(brokerDisk)/k.of(brokerDiskFactor), k.of(brokerNetwork)/(fanOut*k.of(brokerFanOutFactor)+k.of(brokerNetworkFactor))
	capacity := min(disk, network) * k.of(brokerUse)
	n := &BrokerNeed{Disk: Bytes(float64(stored) * k.of(brokerHeadroom))}
	n.Parts = []Reason{
		{"ingress", peakIn / capacity, fmt.Sprintf("%.4g MiB/s at the peak / %.4g MiB/s a broker: min(disk %g / %g, network %g / (fan-out %.3g × %g + %g)) × %g",
			peakIn, capacity, k.of(brokerDisk), k.of(brokerDiskFactor), k.of(brokerNetwork), fanOut, k.of(brokerFanOutFactor), k.of(brokerNetworkFactor), k.of(brokerUse))},
		{"partitions", float64(partitions) / k.of(brokerPartitions), fmt.Sprintf("%d copies / %g a broker", partitions, k.of(brokerPartitions))},
		{"disk", float64(n.Disk) / k.bytes(brokerDiskMost), fmt.Sprintf("%s × %g / %s a broker", stored, k.of(brokerHeadroom), Bytes(k.bytes(brokerDiskMost)))},
	}
	if fanOut > 0 {
		n.Parts = append(n.Parts, Reason{"egress", peakOut / (capacity * fanOut), fmt.Sprintf("%.4g MiB/s at the peak / (%.4g × fan-out %.3g)", peakOut, capacity, fanOut)})
	}
	most := 0.0
	for _, p := range n.Parts {
		most = max(most, p.Need)
	}
	zones := max(1, k.of(brokerZones))
	n.Brokers = int(max(1, math.Ceil(most/zones-1e-9)) * zones)
	return n
}

// under gives the topics as they are once those that objects declare are as declared. Of a new one nobody knows what will come in.
func (c *Kafka) under(objects *Objects) []Topic {
	out := slices.Clone(c.Topics)
	if objects == nil {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(objects.all[KafkaTopics])) {
		body := objects.all[KafkaTopics][name]
		i := slices.IndexFunc(out, func(t Topic) bool { return t.Name == name })
		if i < 0 {
			out = append(out, Topic{Name: name, Replicas: 1})
			i = len(out) - 1
		}
		t := &out[i]
		one := float64(t.Stored) / float64(max(1, t.Replicas))
		t.Partitions = max(t.Partitions, whole(body["partitions"], t.Partitions))
		t.Replicas = max(1, whole(body["replicationFactor"], t.Replicas))
		t.Stored = Bytes(one * float64(t.Replicas))
		configs, _ := body["configs"].(map[string]any)
		if v, ok := number(configs["retention.ms"]); ok {
			t.Days = max(0, v/86400000)
		}
		if v, ok := number(configs["retention.bytes"]); ok {
			t.Most = Bytes(max(0, v))
		}
	}
	return out
}

func number(v any) (float64, bool) {
	if v == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	return n, err == nil && !math.IsNaN(n) && math.Abs(n) < 1e18
}

// A KafkaState is what topics take.
type KafkaState struct {
	Topics  int         `json:"topics"`
	Copies  int         `json:"copies"`  // of partitions
	Stored  Bytes       `json:"bytes"`   // of all copies
	Brokers int         `json:"brokers"` // that the need asks for
	Need    *BrokerNeed `json:"need"`
}

// state sizes a cluster for topics, as they are, or as full as their retention lets them be.
func (c *Kafka) state(topics []Topic, steady bool, k *Constants) *KafkaState {
	var in, out float64
	s := &KafkaState{Topics: len(topics)}
	for i := range topics {
		t := &topics[i]
		rate := t.In / float64(MiB)
		in += rate
		out += rate * float64(len(t.Groups))
		if steady {
			s.Stored += t.steady()
		} else {
			s.Stored += t.Stored
		}
		s.Copies += t.Partitions * t.Replicas
	}
	peak := k.of(peakFactor)
	s.Need = BrokersFor(in, in*peak, out, out*peak, s.Copies, s.Stored, k)
	if len(c.Brokers) < int(k.of(brokerZones)) { // it is not spread over zones
		most := 1.0
		for _, p := range s.Need.Parts {
			most = max(most, math.Ceil(p.Need))
		}
		for i := range topics {
			most = max(most, float64(topics[i].Replicas))
		}
		s.Need.Brokers = int(most)
	}
	s.Brokers = s.Need.Brokers
	return s
}
