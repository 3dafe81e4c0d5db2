package queue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed/proc"
)

// senders is a source of streams that give events of 300 bytes, so many at a time, n in all.
type senders struct {
	streams, per, n int
	alone           bool // wait for the acknowledgement before the next batch, as an agent does
}

func (s *senders) Run(_ context.Context, open func(stream.Stream)) error {
	var all sync.WaitGroup
	for i := range s.streams {
		all.Add(1)
		open(&sender{s: s, left: s.n/s.streams + min(1, max(0, s.n%s.streams-i)), acked: make(chan struct{}, 1), all: &all})
	}
	all.Wait()
	return nil
}

type sender struct {
	s     *senders
	left  int
	acked chan struct{}
	began bool
	all   *sync.WaitGroup
}

// bodies are log lines of 300 bytes, which compress to about a third.
var bodies = func() (all [][]byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		b := fmt.Appendf(nil, `<134>1 2026-11-24T10:15:%02d.%03dZ web-%d.example.com nginx %d - - 10.%d.%d.%d "GET /api/v1/items/%x HTTP/1.1" %d %d "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" trace=%016x%016x`,
			rng.IntN(60), rng.IntN(1000), rng.IntN(20), rng.IntN(30000), rng.IntN(256), rng.IntN(256), rng.IntN(256), rng.Uint32(),
			200+rng.IntN(5)*100, rng.IntN(100_000), rng.Uint64(), rng.Uint64())
		all = append(all, append(b, bytes.Repeat([]byte{' '}, max(0, 300-len(b)))...)[:300])
	}
	return all
}()

func (s *sender) Wait(context.Context) error {
	if s.s.alone && s.began {
		<-s.acked
	}
	if s.left == 0 {
		return io.EOF
	}
	return nil
}

func (s *sender) Read(_ context.Context, b *flow.Batch) error {
	s.began = true
	for n := 0; n < s.s.per && s.left > 0; n++ {
		b.Records = append(b.Records, flow.Record{Body: bodies[s.left%len(bodies)], Meta: bodies[0][:16]})
		s.left--
	}
	b.Next = flow.Position("next")
	return nil
}

func (s *sender) Ack(context.Context, flow.Position) error {
	select {
	case s.acked <- struct{}{}:
	default:
	}
	return nil
}
func (s *sender) Close() error { s.all.Done(); return nil }

// BenchmarkQueue feeds streams into a queue on the disk, and reads and acknowledges at the same time.
func BenchmarkQueue(b *testing.B) {
	for _, c := range []Compression{Uncompressed, S2, Zstd} {
		for _, per := range []int{1, 100} {
			for _, streams := range []int{1, 16, 256} {
				if c != Uncompressed && (per == 1 || streams != 16) {
					continue
				}
				for _, alone := range []bool{true, false} {
					name := fmt.Sprintf("compression=%s/batch=%d/streams=%d/waiting=%t", c, per, streams, alone)
					b.Run(name, func(b *testing.B) { benchmarkQueue(b, c, &senders{streams: streams, per: per, n: b.N, alone: alone}) })
				}
			}
		}
	}
}

func benchmarkQueue(b *testing.B, c Compression, src *senders) {
	q, err := Open(b.TempDir(), Options{Compression: c})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(316)
	b.ResetTimer()
	used := proc.CPU()
	read := 0
	var reader sync.WaitGroup
	err = q.Before(src).Run(b.Context(), func(s stream.Stream) {
		reader.Go(func() {
			defer s.Close()
			batch := &flow.Batch{MaxRecords: 4096, MaxBytes: 4 << 20}
			for s.Wait(b.Context()) == nil {
				batch.Reset()
				if err := s.Read(b.Context(), batch); err != nil {
					b.Error(err)
					return
				}
				read += len(batch.Records)
				if batch.Next != nil {
					if err := s.Ack(b.Context(), batch.Next); err != nil {
						b.Error(err)
					}
				}
			}
		})
	})
	reader.Wait()
	if err != nil || read != b.N {
		b.Fatal(err, read)
	}
	b.ReportMetric(float64(proc.CPU()-used)/float64(b.N), "cpu-ns/event")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(q.Stats().Syncs)/b.Elapsed().Seconds(), "syncs/s")
	if err := q.Close(); err != nil {
		b.Fatal(err)
	}
}
