package verify

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/narudata/naru/flow"
)

// made is a source that makes its records as they are read and holds none.
type made struct {
	groups, parts, records int // records of each part
	body                   string
	less                   int // records that the first part of each group lacks
}

func (m *made) Parts(context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for g := range m.groups {
			for p := range m.parts {
				if !yield(flow.Part{ID: fmt.Sprintf("%d/%d", g, p), Group: fmt.Sprintf("logs-%d", g)}, nil) {
					return
				}
			}
		}
	}
}

func (m *made) Open(_ context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r := &madeReader{m: m, part: p}
	if len(from) > 0 {
		r.next, _ = strconv.Atoi(string(from))
	}
	if p.ID[len(p.ID)-1] == '0' {
		r.less = m.less
	}
	return r, nil
}

type madeReader struct {
	m          *made
	part       flow.Part
	next, less int
}

func (r *madeReader) Read(_ context.Context, b *flow.Batch) error {
	for ; r.next < r.m.records-r.less; r.next++ {
		if b.Full() {
			b.Next = strconv.AppendInt(nil, int64(r.next), 10)
			return nil
		}
		key := strconv.AppendInt(append(b.Alloc(40)[:0], r.part.ID...), int64(r.next), 10)
		b.Records = append(b.Records, flow.Record{Index: r.part.Group, Key: key, Body: b.Copy([]byte(r.m.body))})
	}
	return io.EOF
}

func (*madeReader) Ack(context.Context, flow.Position) error { return nil }
func (*madeReader) Close() error                             { return nil }

func TestMemoryStaysWithinItsBound(t *testing.T) {
	const memory = 2 << 20
	for _, c := range []struct {
		what   string
		a, b   *made
		differ int64
	}{
		{"one record of two hundred thousand", &made{1, 4, 50_000, `{"a":1}`, 0}, &made{1, 4, 50_000, `{"a":1}`, 1}, 1},
		{"every record", &made{1, 4, 20_000, `{"a":1}`, 0}, &made{1, 4, 20_000, `{"a":2}`, 0}, 80_000},
		{"many groups", &made{400, 1, 100, `{"a":1}`, 0}, &made{400, 1, 100, `{"a":1}`, 1}, 400},
	} {
		var highest atomic.Uint64
		var batches atomic.Int64
		base := heap()
		r, err := Compare(t.Context(), c.a, c.b, Options{Workers: 2, MemoryBytes: memory, MaxPasses: 100, Progress: func(Progress) {
			if n := batches.Add(1); n%40 == 0 {
				highest.Store(max(highest.Load(), heap()))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		found := int64(0)
		for _, g := range r.Groups {
			for _, d := range g.Differences {
				found += d.Records
			}
			if g.State != Differ || g.Unexamined != 0 {
				t.Errorf("%s: %+v", c.what, g)
			}
		}
		if found != c.differ {
			t.Errorf("%s: %d differences, want %d", c.what, found, c.differ)
		}
		// The batches of two workers are some hundred kilobytes each; groups and the report are not counted.
		if used := int64(highest.Load()) - int64(base); used > 2*memory {
			t.Errorf("%s: %d bytes, the bound is %d", c.what, used, memory)
		}
		t.Logf("%s: %d passes, %d KiB", c.what, r.Passes, (int64(highest.Load())-int64(base))>>10)
	}
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func BenchmarkTally(b *testing.B) {
	m := &made{1, 4, 25_000, `{"message":"GET /index.html HTTP/1.1","status":200,"bytes":1234,"host":"web-1"}`, 0}
	b.ReportAllocs()
	for b.Loop() {
		r, err := Compare(b.Context(), m, m, Options{})
		if err != nil || !r.Equal {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(200_000*b.N)/b.Elapsed().Seconds(), "records/s")
}
