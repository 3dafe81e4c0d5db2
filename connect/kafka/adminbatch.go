package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A batchHead is what the head of a record batch says of it. It is there even if the rest of the batch is cut off.
type batchHead struct {
	Offset     int64
	LastOffset int64
	Codec      string
	AppendTime bool // the broker's clock, not the producer's
	Control    bool // a marker of a transaction
	First, Max time.Time
	ProducerID int64 // -1: not idempotent
	Records    int
}

// codecs by the three lowest bits of a batch's attributes.
var codecs = [8]string{"none", "gzip", "snappy", "lz4", "zstd", "codec 5", "codec 6", "codec 7"}

// readHead decodes the head of the first batch in b. ok is false if there is not enough of it. The layout is that of
// clients/…/record/DefaultRecordBatch.java (magic 2) and LegacyRecord.java (magic 0 and 1):
//
//	magic 2                          magic 0 and 1
//	 0  base offset        8          0  offset        8
//	 8  length             4          8  size          4
//	12  leader epoch       4         12  crc           4
//	16  magic              1         16  magic         1
//	17  crc                4         17  attributes    1
//	21  attributes         2         18  timestamp     8   (magic 1)
//	23  last offset delta  4
//	27  first timestamp    8
//	35  max timestamp      8
//	43  producer id        8
//	51  producer epoch     2
//	53  base sequence      4
//	57  records            4
func readHead(b []byte) (h batchHead, ok bool) {
	const magicAt, headV1, headV2 = 16, 26, 61
	if len(b) < headV1 {
		return h, false
	}
	h.Offset = int64(binary.BigEndian.Uint64(b))
	switch b[magicAt] {
	case 0, 1:
		attributes := b[17]
		h.LastOffset, h.Codec, h.AppendTime, h.ProducerID, h.Records = h.Offset, codecs[attributes&7], attributes&8 != 0, -1, 1
		if b[magicAt] == 1 {
			h.First = timeOfMillis(int64(binary.BigEndian.Uint64(b[18:])))
			h.Max = h.First
		}
		return h, true
	case 2:
		if len(b) < headV2 {
			return h, false
		}
		attributes := binary.BigEndian.Uint16(b[21:])
		h.LastOffset = h.Offset + int64(binary.BigEndian.Uint32(b[23:]))
		h.Codec, h.AppendTime, h.Control = codecs[attributes&7], attributes&8 != 0, attributes&0x20 != 0
		h.First, h.Max = timeOfMillis(int64(binary.BigEndian.Uint64(b[27:]))), timeOfMillis(int64(binary.BigEndian.Uint64(b[35:])))
		h.ProducerID = int64(binary.BigEndian.Uint64(b[43:]))
		h.Records = int(int32(binary.BigEndian.Uint32(b[57:])))
		return h, true
	}
	return h, false
}

// A spot is a place in a topic.
type spot struct {
	topic     string
	partition int32
}

// A glimpse is what is found at a spot.
type glimpse struct {
	head    batchHead
	records []*kgo.Record // from the offset that was asked for; may be empty where the batch is too large
	start   int64         // of the log
	err     error
}

// timestamp is that of the first record at or behind the offset asked for; zero: not known.
func (g *glimpse) timestamp() time.Time {
	if len(g.records) > 0 {
		return g.records[0].Timestamp
	}
	if g.head.AppendTime {
		return g.head.Max
	}
	return g.head.First
}

// errNoRecord says that there is no record at an offset.
var errNoRecord = errors.New("no record there")

// glimpse fetches at each spot's offset what bytes hold, at least the head of a batch. Whoever leads the partition is
// asked, by a plain request: no session, no group.
func (a *Admin) glimpse(ctx context.Context, l *look, at map[spot]int64, bytes int32) map[spot]*glimpse {
	byLeader := map[int32][]spot{}
	found := make(map[spot]*glimpse, len(at))
	for s := range at {
		p, ok := l.meta.Topics[s.topic].Partitions[s.partition]
		if !ok || p.Leader < 0 {
			found[s] = &glimpse{err: kerr.LeaderNotAvailable}
			continue
		}
		byLeader[p.Leader] = append(byLeader[p.Leader], s)
	}
	// A request of many partitions is answered with a whole batch of the first and what the bound leaves of the others.
	const mostAtOnce = 64
	var mu sync.Mutex // guards found
	var wg sync.WaitGroup
	for leader, spots := range byLeader {
		wg.Go(func() {
			slices.SortFunc(spots, func(a, b spot) int {
				if c := strings.Compare(a.topic, b.topic); c != 0 {
					return c
				}
				return int(a.partition) - int(b.partition)
			})
			for some := range slices.Chunk(spots, mostAtOnce) {
				answers := a.fetch(ctx, l, leader, some, at, bytes)
				mu.Lock()
				for s, g := range answers {
					found[s] = g
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return found
}

func (a *Admin) fetch(ctx context.Context, l *look, leader int32, spots []spot, at map[spot]int64, bytes int32) map[spot]*glimpse {
	found := make(map[spot]*glimpse, len(spots))
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 500, 0, 64<<20, -1
	names := map[[16]byte]string{}
	for _, s := range spots {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != s.topic {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = s.topic, l.meta.Topics[s.topic].ID
			names[t.TopicID] = s.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = s.partition, at[s], bytes
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	fail := func(err error) map[spot]*glimpse {
		for _, s := range spots {
			if found[s] == nil {
				found[s] = &glimpse{err: err}
			}
		}
		return found
	}
	answer, err := a.client.Broker(int(leader)).RetriableRequest(ctx, req)
	if err != nil {
		return fail(fmt.Errorf("fetch from broker %d: %w", leader, err))
	}
	resp, ok := answer.(*kmsg.FetchResponse)
	if !ok {
		return fail(fmt.Errorf("fetch from broker %d: an answer of another kind", leader))
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fail(err)
	}
	for _, t := range resp.Topics {
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			s := spot{name, p.Partition}
			offset, asked := at[s]
			if !asked {
				continue
			}
			found[s] = newGlimpse(s, offset, p)
		}
	}
	return fail(errNoRecord)
}

// newGlimpse decodes what a broker gave.
func newGlimpse(s spot, offset int64, p *kmsg.FetchResponseTopicPartition) *glimpse {
	g := &glimpse{start: p.LogStartOffset}
	if g.err = kerr.ErrorForCode(p.ErrorCode); g.err != nil {
		return g
	}
	var ok bool
	if g.head, ok = readHead(p.RecordBatches); !ok {
		g.err = errNoRecord
		return g
	}
	decoded, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: offset, Topic: s.topic, Partition: s.partition}, p, kgo.DefaultDecompressor(), nil)
	g.records = decoded.Records
	return g
}
