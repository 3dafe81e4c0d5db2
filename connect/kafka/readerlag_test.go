package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

func TestTheLagIsWhatIsNotAcknowledged(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	client := newClient(t, c.ListenAddrs())
	produce := func(n int) {
		t.Helper()
		for range n {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(5)
	g := quick(c.ListenAddrs(), "t")
	g.Lag = &Lag{}
	if _, ok := g.Lag.Records(); ok {
		t.Error("a lag is known before anything was read")
	}
	until := func(want int64) {
		t.Helper()
		var n int64
		var ok bool
		for range 1000 {
			if n, ok = g.Lag.Records(); ok && n == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("the lag is %d (known: %t), not %d", n, ok, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	streams, ended := make(chan stream.Stream, 1), make(chan error, 1)
	go func() { ended <- g.Run(ctx, func(s stream.Stream) { streams <- s }) }()
	s := <-streams
	until(5)
	take := func(most int) {
		t.Helper()
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := flow.Batch{MaxRecords: most, MaxBytes: 1 << 20}
		if err := s.Read(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if err := s.Ack(t.Context(), b.Next); err != nil {
			t.Fatal(err)
		}
	}
	take(2)
	until(3)
	take(10)
	until(0)
	produce(4)
	until(4)
	take(10)
	until(0)
	cancel()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, ok := g.Lag.Records(); ok {
		t.Error("the lag of a reader that has ended is known")
	}
}
