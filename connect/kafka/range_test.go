package kafka

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// timed writes values 0 to n-1 to one partition, a second apart from t0 on.
func timed(t testing.TB, brokers []string, topic string, n int) (t0 time.Time) {
	t.Helper()
	t0 = time.UnixMilli(1_700_000_000_000).UTC()
	c := newClient(t, brokers, kgo.ProducerBatchMaxBytes(512))
	for i := range n {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, i), Timestamp: t0.Add(time.Duration(i) * time.Second)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return t0
}

func TestARangeGivesWhatIsBetweenItsBounds(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	t0 := timed(t, c.ListenAddrs(), "t", 100)
	for _, x := range []struct {
		from, to    Bound
		first, last int
	}{
		{Bound{}, Bound{}, 0, 99},
		{Earliest, Latest, 0, 99},
		{Offset(10), Offset(20), 10, 19},
		{At(t0.Add(30 * time.Second)), At(t0.Add(40 * time.Second)), 30, 39},
		{Offset(95), Offset(1000), 95, 99},
		{Latest, Bound{}, 0, -1},
		{At(t0.Add(time.Hour)), Bound{}, 0, -1},
	} {
		var mu sync.Mutex
		var acked int64
		r := &Range{Config: Config{Brokers: c.ListenAddrs()}, Topics: []string{"t"}, From: x.from, To: x.to, Acked: func(_ string, _ int32, next int64) {
			mu.Lock()
			defer mu.Unlock()
			acked = next
		}}
		books := &ledger{}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := (&engine{to: books, maxRecords: 7}).run(ctx, r); err != nil {
			t.Fatal(err)
		}
		if ctx.Err() != nil {
			t.Errorf("%v to %v does not end", x.from, x.to)
		}
		cancel()
		want := map[string]int{}
		for i := x.first; i <= x.last; i++ {
			want[fmt.Sprint(i)] = 1
		}
		got := books.seen
		if got == nil {
			got = map[string]int{}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v to %v: %s", x.from, x.to, d)
		}
		if len(want) > 0 && acked != int64(x.last)+1 {
			t.Errorf("%v to %v: acknowledged up to %d", x.from, x.to, acked)
		}
	}
	if groups, err := kadm.NewClient(newClient(t, c.ListenAddrs())).ListGroups(t.Context()); err != nil || len(groups) > 0 {
		t.Errorf("groups %v, %v", groups, err)
	}
}

func TestARangeEndsBehindTransactionsThatWereAborted(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	client := newClient(t, c.ListenAddrs(), kgo.TransactionalID("x"))
	n := 0
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			value := []byte("aborted")
			if commit == kgo.TryCommit {
				value = fmt.Append(nil, n)
				n++
			}
			if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	books := &ledger{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := &Range{Config: Config{Brokers: c.ListenAddrs()}, Pattern: "t"}
	if err := (&engine{to: books, maxRecords: 7}).run(ctx, r); err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	books.check(t, 10)
}

func TestARangeWhoseRecordsAreDeletedMeanwhileEnds(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	timed(t, c.ListenAddrs(), "t", 50)
	admin := kadm.NewClient(newClient(t, c.ListenAddrs()))
	r := &Range{Config: Config{Brokers: c.ListenAddrs()}, Topics: []string{"t"}}
	books := &ledger{}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	slow := &engine{to: books, maxRecords: 1, delay: func() time.Duration {
		var o kadm.Offsets
		o.AddOffset("t", 0, 50, -1)
		if _, err := admin.DeleteRecords(ctx, o); err != nil {
			t.Error(err)
		}
		return 0
	}}
	r.FetchMaxBytes = 200
	if err := slow.run(ctx, r); err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
}

func TestASourceThatIsToldToStopEndsItsStreams(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(3, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 3000)
	books := &ledger{}
	m := start(&engine{to: books, maxRecords: 10, delay: func() time.Duration { return 5 * time.Millisecond }},
		&Range{Config: Config{Brokers: c.ListenAddrs()}, Topics: []string{"t"}})
	books.waitFor(t, 50, 10*time.Second)
	m.end(t)
	if n := books.len(); n == 3000 {
		t.Error("it read everything, so nothing was stopped")
	}
}
