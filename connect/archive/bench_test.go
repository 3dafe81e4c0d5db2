//go:build unix

package archive

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed/proc"
)

// The benchmarks count bytes of bodies. MB/cpu-s divides them by the processor time that the whole process
// took, so that neither other work on the machine nor the garbage collector on another core counts as speed.

type meter struct {
	b      *testing.B
	cpu    time.Duration
	allocs uint64
}

func startMeter(b *testing.B) *meter {
	m := &meter{b: b}
	m.cpu, m.allocs = m.now()
	return m
}

func (m *meter) now() (time.Duration, uint64) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return proc.CPU(), stats.Mallocs
}

func (m *meter) report(records int, bytes int64) {
	cpu, allocs := m.now()
	m.b.ReportMetric(float64(allocs-m.allocs)/float64(records), "allocs/record")
	m.b.ReportMetric(float64(bytes)/1e6/(cpu-m.cpu).Seconds(), "MB/cpu-s")
}

func bodyBytes(recs []flow.Record) (n int64) {
	for i := range recs {
		n += int64(len(recs[i].Body))
	}
	return n
}

func BenchmarkWrite(b *testing.B) {
	recs := records(logs(50_000))
	for _, format := range []string{NDJSON, Parquet} {
		b.Run(format, func(b *testing.B) {
			s := openTest(b, Config{Dir: b.TempDir(), Format: format})
			must(b, s.Prepare(b.Context(), []flow.Group{{Name: "logs-2019", Meta: json.RawMessage(logMeta)}}))
			w, err := s.Branch(b.Context())
			must(b, err)
			b.SetBytes(bodyBytes(recs))
			n := 0
			m := startMeter(b)
			for b.Loop() {
				for at := 0; at < len(recs); at += 1000 {
					must(b, w.Write(b.Context(), recs[at:at+1000]))
				}
				n += len(recs)
			}
			m.report(n, int64(n/len(recs))*bodyBytes(recs))
			must(b, w.Close(context.Background()))
		})
	}
}

func BenchmarkRead(b *testing.B) {
	recs := records(logs(50_000))
	for _, format := range []string{NDJSON, Parquet} {
		b.Run(format, func(b *testing.B) {
			dir := b.TempDir()
			s := openTest(b, Config{Dir: dir, Format: format})
			must(b, s.Write(b.Context(), recs))
			must(b, s.Commit(b.Context(), nil))
			must(b, s.Finish(b.Context()))
			src, err := OpenSource(b.Context(), dir)
			must(b, err)
			defer src.Close()
			batch := &flow.Batch{MaxRecords: 1000}
			b.SetBytes(bodyBytes(recs))
			n := 0
			m := startMeter(b)
			for b.Loop() {
				for p := range src.Parts(b.Context()) {
					r, err := src.Open(b.Context(), p, nil)
					must(b, err)
					for !errors.Is(err, io.EOF) {
						batch.Reset()
						if err = r.Read(b.Context(), batch); err != nil && !errors.Is(err, io.EOF) {
							b.Fatal(err)
						}
						n += len(batch.Records)
					}
					must(b, r.Close())
				}
			}
			m.report(n, int64(n/len(recs))*bodyBytes(recs))
		})
	}
}
