package kafka

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed/proc"
)

// benchRecords is how many records a round has, of benchBytes each.
const (
	benchRecords = 100_000
	benchBytes   = 300
)

func benchSet() []flow.Record {
	recs := make([]flow.Record, benchRecords)
	for i := range recs {
		recs[i] = flow.Record{Key: fmt.Append(nil, "key-", i%5000), Body: fmt.Appendf(nil, "%0*d", benchBytes, i)}
	}
	return recs
}

// BenchmarkConsume reads by a group and acknowledges. The CPU time has that of the broker in it, which is in the process.
func BenchmarkConsume(b *testing.B) {
	c := newCluster(b, kfake.SeedTopics(6, "t"))
	p := newProducer(b, c.ListenAddrs(), Writing{Topic: "t"})
	if err := p.Write(b.Context(), benchSet()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchRecords * benchBytes)
	before, rounds := proc.CPU(), 0
	for b.Loop() {
		g := quick(c.ListenAddrs(), "t")
		g.Group = fmt.Sprint("g", rounds)
		rounds++
		ctx, cancel := context.WithCancel(b.Context())
		left := make(chan int, 64)
		go func() {
			for n := benchRecords; n > 0; {
				n -= <-left
			}
			cancel()
		}()
		if err := g.Run(ctx, func(s stream.Stream) { go drain(ctx, s, left) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rounds*benchRecords)/(proc.CPU()-before).Seconds(), "records/CPU-s")
}

func drain(ctx context.Context, s stream.Stream, left chan<- int) {
	var batch flow.Batch
	batch.MaxRecords = 1000
	for s.Wait(ctx) == nil {
		batch.Reset()
		err := s.Read(ctx, &batch)
		if len(batch.Next) > 0 && s.Ack(ctx, batch.Next) != nil || err != nil {
			break
		}
		left <- len(batch.Records)
	}
	_ = s.Close()
}

// BenchmarkProduce writes batches of 10 000. The CPU time has that of the broker in it.
func BenchmarkProduce(b *testing.B) {
	for _, codec := range []Codec{CodecNone, CodecGzip, CodecLZ4, CodecZstd} {
		b.Run(string(codec), func(b *testing.B) {
			c := newCluster(b, kfake.SeedTopics(6, "t"))
			p := newProducer(b, c.ListenAddrs(), Writing{Topic: "t", Compression: codec})
			recs := benchSet()
			b.SetBytes(benchRecords * benchBytes)
			before, rounds := proc.CPU(), 0
			for b.Loop() {
				rounds++
				for from := 0; from < len(recs); from += 10_000 {
					if err := p.Write(b.Context(), recs[from:from+10_000]); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(rounds*benchRecords)/(proc.CPU()-before).Seconds(), "records/CPU-s")
		})
	}
}
