package archive

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/narudata/naru/flow"
)

// The benchmarks count bytes of bodies; a branch is one worker, so that MB/s are those of one core (but for
// what the garbage collector does beside it).

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
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				for at := 0; at < len(recs); at += 1000 {
					must(b, w.Write(b.Context(), recs[at:at+1000]))
				}
				n += len(recs)
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(n), "allocs/record")
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
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
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
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(n), "allocs/record")
		})
	}
}
