package kafka

import (
	"bytes"
	"context"
	"hash/crc32"
	"hash/fnv"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitioners that spread records by their keys. Clients of one topic that use different ones put the same key into
// different partitions, and its records are no longer in order.
const (
	Murmur2 = "murmur2" // Java, franz-go, KafkaJS, confluent-kafka-javascript, kafka-python, aiokafka
	CRC32   = "crc32"   // librdkafka and what is made of it: consistent_random, its default
	FNV1a   = "fnv1a"   // sarama
)

// partitionOf says where partitioners put a key among n partitions, by their names.
func partitionOf(key []byte, n int) map[string]int {
	return map[string]int{Murmur2: murmur2Of(key, n), CRC32: int(crc32.ChecksumIEEE(key) % uint32(n)), FNV1a: fnv1aOf(key, n)} //nolint:gosec // a number of partitions
}

// byMurmur2 is the partitioner of the Java client.
var byMurmur2 = kgo.StickyKeyPartitioner(nil)

func murmur2Of(key []byte, n int) int {
	if key == nil {
		key = []byte{}
	}
	return byMurmur2.ForTopic("").Partition(&kgo.Record{Key: key}, n)
}

// fnv1aOf is sarama's NewHashPartitioner: the hash is signed, and made positive after the division.
func fnv1aOf(key []byte, n int) int {
	h := fnv.New32a()
	h.Write(key)                     //nolint:errcheck,gosec // it cannot fail
	p := int32(h.Sum32()) % int32(n) //nolint:gosec // as it is there
	if p < 0 {
		p = -p
	}
	return int(p)
}

// A KeySpread says which partitioners the records of a topic seem to come from.
type KeySpread struct {
	Sampled   int                `json:"sampled"`   // records with a key
	Keyless   int                `json:"keyless"`   // records without one
	Shares    map[string]float64 `json:"shares"`    // of the sampled ones, by the partitioner that would have put them there
	Neither   float64            `json:"neither"`   // of the sampled ones, that none of them would have put there
	Scattered int                `json:"scattered"` // keys that were seen in more than one partition
	Example   string             `json:"example,omitempty"`
	Where     []int32            `json:"where,omitempty"` // the partitions of the example
}

// Bounds of a sample.
const (
	keysAtLeast  = 50 // records, for shares to say anything
	keySpreadMax = 1 << 20
)

// keySpread samples the newest records of a topic's partitions.
func (a *Admin) keySpread(ctx context.Context, l *look, t *TopicReport) KeySpread {
	const back = 500 // records of each partition, at most
	at := map[spot]int64{}
	for _, p := range t.Detail {
		if p.End > p.Start && p.Start >= 0 {
			at[spot{t.Name, p.Partition}] = max(p.Start, p.End-back)
		}
	}
	var records []*kgo.Record
	for _, g := range a.glimpse(ctx, l, at, keySpreadMax) {
		records = append(records, g.records...)
	}
	return spreadOf(records, t.Partitions)
}

// spreadOf counts which partitioners agree with where records of a topic of n partitions are. A record that several of them
// would have put there says nothing and is divided among those that explain more of the others.
func spreadOf(records []*kgo.Record, n int) KeySpread {
	s := KeySpread{Shares: map[string]float64{}}
	if n < 2 {
		return s
	}
	sole := map[string]int{} // records that only this one would have put there
	partitions := map[string]map[int32]bool{}
	none := 0
	for _, r := range records {
		if r.Key == nil {
			s.Keyless++
			continue
		}
		s.Sampled++
		at := partitions[string(r.Key)]
		if at == nil {
			at = map[int32]bool{}
			partitions[string(r.Key)] = at
		}
		at[r.Partition] = true
		var agree []string
		for name, p := range partitionOf(r.Key, n) {
			if p == int(r.Partition) {
				agree = append(agree, name)
			}
		}
		switch len(agree) {
		case 0:
			none++
		case 1:
			sole[agree[0]]++
		}
	}
	for key, at := range partitions {
		if len(at) > 1 {
			s.Scattered++
			if s.Example == "" || key < s.Example {
				s.Example, s.Where = key, sorted(at)
			}
		}
	}
	s.Example = printableKey(s.Example)
	told := none
	for _, k := range sole {
		told += k
	}
	if told == 0 {
		return s
	}
	for name, k := range sole {
		s.Shares[name] = float64(k) / float64(told)
	}
	s.Neither = float64(none) / float64(told)
	return s
}

func sorted(m map[int32]bool) []int32 {
	var out []int32
	for p := range m {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// printableKey is a key as a report has it.
func printableKey(key string) string {
	const most = 60
	b := bytes.ToValidUTF8([]byte(key), []byte("\uFFFD"))
	if r := []rune(string(b)); len(r) > most {
		return string(r[:most]) + "…"
	}
	return string(b)
}
