package flow_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
)

// spring is a source that makes up its records as they are read, and counts the batches' bytes that are
// alive.
type spring struct {
	parts, records, size int
	giant                int // size of each part's record in the middle; 0: as the others
}

func (s *spring) Parts(context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for i := range s.parts {
			if !yield(flow.Part{ID: fmt.Sprint(i), Group: "spring", Records: int64(s.records), Bytes: int64(s.records * s.size)}, nil) {
				return
			}
		}
	}
}

func (s *spring) Open(_ context.Context, _ flow.Part, from flow.Position) (flow.Reader, error) {
	r := &springReader{spring: s}
	if len(from) > 0 {
		r.at = int(binary.BigEndian.Uint64(from))
	}
	return r, nil
}

type springReader struct {
	*spring
	at   int
	next [8]byte
}

func (r *springReader) Read(_ context.Context, b *flow.Batch) error {
	for r.at < r.records && !b.Full() {
		size := r.size
		if r.giant > 0 && r.at == r.records/2 {
			size = r.giant
		}
		key, body := b.Alloc(8), b.Alloc(size)
		binary.BigEndian.PutUint64(key, uint64(r.at))
		body[0], body[size-1] = '{', '}'
		b.Records = append(b.Records, flow.Record{Index: "spring", Key: key, Body: body})
		r.at++
	}
	binary.BigEndian.PutUint64(r.next[:], uint64(r.at))
	b.Next = r.next[:]
	if r.at == r.records {
		return io.EOF
	}
	return nil
}

func (*springReader) Ack(context.Context, flow.Position) error { return nil }
func (*springReader) Close() error                             { return nil }

// drip is a slow sink that looks at the memory.
type drip struct {
	wait time.Duration
	heap atomic.Uint64 // the most that was live
	n    atomic.Int64
}

func (d *drip) Write(ctx context.Context, _ []flow.Record) error {
	if d.n.Add(1)%8 == 0 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		for {
			most := d.heap.Load()
			if m.HeapAlloc <= most || d.heap.CompareAndSwap(most, m.HeapAlloc) {
				break
			}
		}
	}
	return sleep(ctx, d.wait)
}

func (d *drip) Close(context.Context) error { return nil }

func TestMemoryStaysWithinTheBudgetHoweverSlowTheSinkIs(t *testing.T) {
	const budget = 16 << 20
	runtime.GC()
	runtime.GC() // pools let go at the second
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	sink := &drip{wait: 2 * time.Millisecond}
	// 256 MiB go through; without a budget 8 parts with 64 writes each would hold 8*64 MiB.
	report := run(t, flow.Flow{Source: &spring{parts: 8, records: 4 << 10, size: 8 << 10}, Sink: sink},
		flow.Options{Workers: 8, InFlight: 64, BatchBytes: 1 << 20, MemoryBytes: budget})
	if !report.Complete() {
		t.Fatalf("report %+v", report)
	}
	most := int64(sink.heap.Load()) - int64(before.HeapAlloc)
	t.Logf("at most %.1f MiB live for a budget of %d MiB", float64(most)/(1<<20), budget>>20)
	if most < budget/2 {
		t.Error("the test has not filled the budget")
	}
	if most > budget*5/4+(4<<20) { // blocks are not filled to their ends, and the engine needs a little
		t.Errorf("%d bytes live", most)
	}
}

func TestARecordLargerThanTheBudgetGetsThrough(t *testing.T) {
	sink := &drip{}
	source := &spring{parts: 4, records: 101, size: 100, giant: 3 << 20}
	report := run(t, flow.Flow{Source: source, Sink: sink}, flow.Options{Workers: 4, BatchBytes: 4 << 10, MemoryBytes: 64 << 10})
	if !report.Complete() || report.Total.Run.Bytes != 4*(100*100+3<<20) {
		t.Errorf("report %+v", report.Total)
	}
}

func BenchmarkRun(b *testing.B) {
	for _, bodyBytes := range []int{100, 1000} {
		b.Run(fmt.Sprintf("%dB", bodyBytes), func(b *testing.B) {
			const parts, records = 8, 50_000
			source := &spring{parts: parts, records: records, size: bodyBytes}
			b.ReportAllocs()
			b.SetBytes(parts * records * int64(bodyBytes))
			for b.Loop() {
				report, err := flow.Run(b.Context(), flow.Flow{Source: source, Sink: nowhere{}}, flow.Options{})
				if err != nil || report.Total.Run.Delivered != parts*records {
					b.Fatalf("report %+v, %v", report, err)
				}
			}
			b.ReportMetric(float64(b.N)*parts*records/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// nowhere is a sink that touches what it is given and forgets it.
type nowhere struct{}

func (nowhere) Write(_ context.Context, recs []flow.Record) error {
	for i := range recs {
		if !bytes.HasPrefix(recs[i].Body, []byte("{")) {
			return flow.Permanent(fmt.Errorf("record %d is not what was read", i))
		}
	}
	return nil
}

func (nowhere) Close(context.Context) error { return nil }
