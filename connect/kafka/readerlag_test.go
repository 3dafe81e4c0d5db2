package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// lagBed is a member of a group in a topic of one partition, whose records a test takes by hand.
type lagBed struct {
	*testing.T
	brokers []string
	client  *kgo.Client
	lag     *Lag
	stream  stream.Stream
}

// lagging starts a member. Records are produced before it with produce.
func lagging(t *testing.T, c *kfake.Cluster, g *Group) *lagBed {
	t.Helper()
	g.Lag = &Lag{}
	b := &lagBed{T: t, brokers: c.ListenAddrs(), client: newClient(t, c.ListenAddrs()), lag: g.Lag}
	if u := g.Lag.Unread(time.Now()); len(u) > 0 {
		t.Errorf("a lag is known before anything was read: %v", u)
	}
	ctx, cancel := context.WithCancel(t.Context())
	streams, ended := make(chan stream.Stream, 1), make(chan error, 1)
	go func() { ended <- g.Run(ctx, func(s stream.Stream) { streams <- s }) }()
	b.stream = <-streams
	t.Cleanup(func() {
		cancel()
		if err := b.stream.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if u := g.Lag.Unread(time.Now()); len(u) > 0 {
			t.Errorf("the lag of a reader that has ended is known: %v", u)
		}
	})
	return b
}

// produce writes records that are so old.
func produceAged(t *testing.T, client *kgo.Client, n int, age time.Duration) {
	t.Helper()
	for range n {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v"), Timestamp: time.Now().Add(-age)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits until so many records are unread, of which the first is as old as age, or some seconds older; nothing is as old as 0.
func (b *lagBed) until(records int64, age time.Duration) {
	b.Helper()
	const slow = 20 * time.Second // of a machine with much to do
	what := ""
	for deadline := time.Now().Add(slow); time.Now().Before(deadline); {
		all := b.lag.Unread(time.Now())
		what = "nothing is known"
		if len(all) == 1 {
			u := all[0]
			late := "not known"
			if u.Late != nil {
				late = u.Late.String()
			}
			what = fmt.Sprintf("%s/%s: %d records, %s", u.Group, u.Topic, u.Records, late)
			if u.Group == "g" && u.Topic == "t" && u.Records == records && u.Late != nil && *u.Late >= age-time.Millisecond && *u.Late < age+slow && (age > 0 || records > 0 || *u.Late == 0) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatalf("%d records of %v are to be unread, but %s", records, age, what)
}

// take reads and acknowledges up to most records.
func (b *lagBed) take(most int) {
	b.Helper()
	if err := b.stream.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	batch := flow.Batch{MaxRecords: most, MaxBytes: 1 << 20}
	if err := b.stream.Read(b.Context(), &batch); err != nil {
		b.Fatal(err)
	}
	if err := b.stream.Ack(b.Context(), batch.Next); err != nil {
		b.Fatal(err)
	}
}

func TestTheLagIsWhatIsNotAcknowledged(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	client := newClient(t, c.ListenAddrs())
	produceAged(t, client, 2, 2*time.Hour)
	produceAged(t, client, 3, time.Hour)
	b := lagging(t, c, quick(c.ListenAddrs(), "t"))
	b.until(5, 2*time.Hour)
	b.take(1)
	b.until(4, 2*time.Hour)
	b.take(1)
	b.until(3, time.Hour) // the first that is not acknowledged counts, not the one that was read last
	b.take(10)
	b.until(0, 0)
	produceAged(t, client, 4, time.Minute)
	b.until(4, time.Minute)
	b.take(10)
	b.until(0, 0)
}

func TestTheLagOfATopicWhereNothingComesIsNone(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	client := newClient(t, c.ListenAddrs())
	produceAged(t, client, 3, time.Hour)
	commits := kadm.Offsets{}
	commits.AddOffset("t", 0, 3, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), "g", commits); err != nil {
		t.Fatal(err)
	}
	b := lagging(t, c, quick(c.ListenAddrs(), "t"))
	b.until(0, 0)
	produceAged(t, client, 1, 0)
	b.until(1, 0) // and it is not as old as the record before it
	if late := *b.lag.Unread(time.Now())[0].Late; late > time.Minute {
		t.Errorf("what came just now is %v late", late)
	}
}

func TestTheLagGrowsWhileAPipelineIsHeldUp(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	client := newClient(t, c.ListenAddrs())
	produceAged(t, client, 5, time.Hour)
	g := quick(c.ListenAddrs(), "t")
	g.MemoryBytes, g.endsInterval = 1, 20*time.Millisecond
	b := lagging(t, c, g)
	b.until(5, time.Hour)
	produceAged(t, client, 1000, 0) // nothing of it is fetched: there is no room
	b.until(1005, time.Hour)
}

func TestMarkersOfTransactionsAreNoLag(t *testing.T) {
	for _, uncommitted := range []bool{false, true} {
		t.Run(fmt.Sprintf("uncommitted=%t", uncommitted), func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, "t"))
			client := newClient(t, c.ListenAddrs(), kgo.TransactionalID("x"))
			transaction := func(n int) {
				t.Helper()
				if err := client.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
				produceAged(t, client, n, time.Hour)
			}
			transaction(3)
			if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			g := quick(c.ListenAddrs(), "t")
			g.ReadUncommitted, g.endsInterval = uncommitted, 20*time.Millisecond
			b := lagging(t, c, g)
			b.until(4, time.Hour) // the marker is counted as long as there are records before it
			b.take(10)
			b.until(0, 0)
			transaction(2) // which is open
			if uncommitted {
				b.until(3, time.Hour)
			} else {
				b.until(0, 0)
			}
			if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			b.until(4, time.Hour)
			b.take(10)
			b.until(0, 0)
		})
	}
}
