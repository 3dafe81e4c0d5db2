package kafka

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

func TestASliceOfAClassHasRoomForAllThatAskForIt(t *testing.T) {
	last := -1
	for n := range 5000 {
		c := classFor(n)
		if sizeOf(c) < n || c < last || c > 0 && sizeOf(c-1) >= max(n, 4) {
			t.Fatalf("%d is of class %d, of size %d, after class %d", n, c, sizeOf(c), last)
		}
		last = c
		if back := classOf(n); back >= 0 && (sizeOf(back) > n || sizeOf(back+1) <= n) {
			t.Fatalf("a slice with room for %d comes back as one of class %d, of size %d", n, back, sizeOf(back))
		}
	}
	if c := classFor(mostGuessed); c >= sizeClasses {
		t.Errorf("the largest guess is of class %d of %d", c, sizeClasses)
	}
}

func TestRecordsStayAsTheyAreWhenTheirMemoryIsUsedAgain(t *testing.T) {
	for name, codec := range map[string]kgo.CompressionCodec{"lz4": kgo.Lz4Compression(), "gzip": kgo.GzipCompression(), "zstd": kgo.ZstdCompression(), "snappy": kgo.SnappyCompression(), "none": kgo.NoCompression()} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, "t"))
			client := newClient(t, c.ListenAddrs(), kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(32<<10))
			const all = 20_000
			value := func(i int) string { return fmt.Sprint(i, strings.Repeat(" value", i%40)) }
			for i := range all {
				client.Produce(t.Context(), &kgo.Record{Topic: "t", Key: fmt.Append(nil, i), Value: []byte(value(i))}, nil)
			}
			if err := client.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			g := quick(c.ListenAddrs(), "t")
			g.MemoryBytes = 256 << 10
			r := newReader(&g.Reading, "c", nil)
			p := newPartition(r, tp{"t", 0})
			r.opened(p)
			options, err := g.Options()
			if err != nil {
				t.Fatal(err)
			}
			r.client, err = kgo.NewClient(append(append(options, g.bounds()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart()}}))...)
			if err != nil {
				t.Fatal(err)
			}
			defer r.client.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- r.poll(ctx) }()
			var batches []*flow.Batch
			for n := 0; n < all; {
				if err := p.Wait(ctx); err != nil {
					t.Fatalf("after %d records: %v", n, err)
				}
				b := &flow.Batch{MaxRecords: 300}
				if err := p.Read(ctx, b); err != nil {
					t.Fatal(err)
				}
				n += len(b.Records)
				batches = append(batches, b)
			}
			cancel()
			<-done
			i := 0
			for _, b := range batches {
				for _, rec := range b.Records {
					if string(rec.Body) != value(i) || string(rec.Key) != fmt.Sprint(i) {
						t.Fatalf("record %d is %q, with the key %q", i, rec.Body, rec.Key)
					}
					i++
				}
			}
		})
	}
}

func TestAnswersAreSmallWhileThereIsSomethingLeftToRead(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	g := quick(c.ListenAddrs(), "t")
	r := newReader(&g.Reading, "c", nil)
	r.client = newClient(t, c.ListenAddrs())
	limit := int(g.memory())
	for _, c := range []struct {
		name    string
		less    int
		got     int
		starved bool
		want    int
	}{
		{"a reader that waits gets more at a time", 2, limit / 8, true, 1},
		{"there is no more than the whole", 0, limit / 8, true, 0},
		{"one that does not wait gets less", 2, limit / 6, false, 3},
		{"what suits stays", 2, limit / 16, false, 2},
		{"what is nearly all the memory is halved even for one that waits", 0, limit/2 + 1, true, 1},
		{"an idle topic changes nothing", 2, 100, true, 2},
		{"after bombs it grows again", 8, 100, false, 7},
	} {
		s := sizing{r: r, less: c.less}
		if s.fit(c.got, c.starved); s.less != c.want {
			t.Errorf("%s: halved %d times, wanted %d", c.name, s.less, c.want)
		}
	}
}
