package kafka

import (
	"bytes"
	"cmp"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A recycler has the memory of what was fetched for what is fetched next: the decompressed bytes of producers' batches, and the
// records that point into them. A batch's memory comes back when each of its records has been given back (kgo.Record.Recycle);
// what is never given back is collected like anything else. Memory that nobody wants for a while is collected, too.
type recycler struct {
	bytes   [sizeClasses]sync.Pool // of *[]byte, by capacity
	records [sizeClasses]sync.Pool // of *[]kgo.Record, by capacity
	growth  atomic.Int64           // how many bytes 16 compressed ones become, lately
}

var (
	_ kgo.PoolDecompressBytes = (*recycler)(nil)
	_ kgo.PoolRecords         = (*recycler)(nil)
	_ kgo.HookFetchBatchRead  = (*recycler)(nil)
)

// sizeClasses are the sizes that slices are told apart by, four to a power of two. What is larger is not kept.
const sizeClasses = 4*20 + 1

// sizeOf is the size of a class: 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 …
func sizeOf(class int) int { return (4 + class&3) << (class >> 2) }

// classFor is the first class with room for n.
func classFor(n int) int {
	n = max(n, 4)
	shift := bits.Len(uint(n)) - 3 //nolint:gosec // positive
	class := shift<<2 + n>>shift - 4
	if sizeOf(class) < n {
		class++
	}
	return class
}

// classOf is the last class that a slice with a capacity is enough for; -1: it is for none.
func classOf(capacity int) int {
	if capacity < 4 {
		return -1
	}
	shift := bits.Len(uint(capacity)) - 3 //nolint:gosec // positive
	return shift<<2 + capacity>>shift - 4
}

// OnFetchBatchRead implements kgo.HookFetchBatchRead.
func (r *recycler) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	if m.CompressionType == 0 || m.CompressedBytes <= 0 {
		return
	}
	was, now := r.growth.Load(), min(16*int64(m.UncompressedBytes)/int64(m.CompressedBytes)+2, 1<<16)
	if was > 0 {
		now = max(was-was/8, now) // what is a little too large costs less than what has to grow
	}
	r.growth.Store(now)
}

// mostGuessed is the largest slice that is made on a guess.
const mostGuessed = 4 << 20

// GetDecompressBytes gives a slice that is about as large as what src becomes.
func (r *recycler) GetDecompressBytes(src []byte, _ kgo.CompressionCodecType) []byte {
	want := len(src)*int(cmp.Or(r.growth.Load(), 64))/16 + bytes.MinRead // readers want that much behind the last byte
	if want > mostGuessed {
		return nil
	}
	c := classFor(want)
	if p, ok := r.bytes[c].Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 0, sizeOf(c))
}

// PutDecompressBytes takes a slice back.
func (r *recycler) PutDecompressBytes(b []byte) {
	if c := classOf(cap(b)); c >= 0 && c < sizeClasses {
		b = b[:0]
		r.bytes[c].Put(&b)
	}
}

// GetRecords gives a slice with room for n records.
func (r *recycler) GetRecords(n int) []kgo.Record {
	c := classFor(n)
	if c >= sizeClasses {
		return nil
	}
	if p, ok := r.records[c].Get().(*[]kgo.Record); ok {
		return *p
	}
	return make([]kgo.Record, 0, sizeOf(c))
}

// PutRecords takes a slice back.
func (r *recycler) PutRecords(recs []kgo.Record) {
	if c := classOf(cap(recs)); c >= 0 && c < sizeClasses {
		recs = recs[:0]
		r.records[c].Put(&recs)
	}
}
