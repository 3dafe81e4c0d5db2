package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// newCluster gives a Kafka cluster in the process.
func newCluster(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// newClient gives a client of brokers.
func newClient(t testing.TB, brokers []string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseAllowingRebalance)
	return c
}

// produce writes values "0" to "n-1" behind first, round the partitions.
func produce(t testing.TB, brokers []string, topic string, first, n int) {
	t.Helper()
	c := newClient(t, brokers, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for i := first; i < first+n; i++ {
		c.Produce(t.Context(), &kgo.Record{Topic: topic, Key: fmt.Append(nil, "k", i), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ledger is what was delivered, by all engines of a test.
type ledger struct {
	mu   sync.Mutex
	seen map[string]int // value → how often
	all  []flow.Record
	keep bool
}

func (l *ledger) deliver(recs []flow.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	for i := range recs {
		l.seen[string(recs[i].Body)]++
		if l.keep {
			r := recs[i]
			r.Body, r.Key, r.Meta = slices.Clone(r.Body), slices.Clone(r.Key), slices.Clone(r.Meta)
			l.all = append(l.all, r)
		}
	}
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// check fails the test unless 0 to n-1 were delivered, and gives how many were more than once.
func (l *ledger) check(t testing.TB, n int) (doubled int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := 0
	for i := range n {
		switch k := l.seen[fmt.Sprint(i)]; {
		case k == 0:
			missing++
		case k > 1:
			doubled++
		}
	}
	if missing > 0 || len(l.seen) > n {
		t.Errorf("%d of %d records are missing; %d different ones came", missing, n, len(l.seen))
	}
	return doubled
}

func (l *ledger) waitFor(t testing.TB, n int, patience time.Duration) {
	t.Helper()
	for end := time.Now().Add(patience); l.len() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %d of %d records came within %v", l.len(), n, patience)
		}
	}
}

// engine does with streams what the runner of pipelines does: reads each in a goroutine of its own, delivers batches
// elsewhere, acknowledges in order, and closes what has ended.
type engine struct {
	to         *ledger
	delay      func() time.Duration // of a delivery
	maxRecords int
	inFlight   int  // batches of a stream between Read and Ack
	hold       bool // deliver, but never acknowledge
	errs       sync.Map
}

// run runs a source until ctx is done and all is delivered.
func (e *engine) run(ctx context.Context, s stream.Source) error {
	var streams sync.WaitGroup
	err := s.Run(ctx, func(st stream.Stream) { streams.Go(func() { e.drive(st) }) })
	streams.Wait()
	return err
}

type batchOf struct {
	recs []flow.Record
	next flow.Position
}

func (e *engine) drive(s stream.Stream) {
	flying := make(chan batchOf, max(e.inFlight, 1))
	var delivery sync.WaitGroup
	delivery.Go(func() {
		for b := range flying {
			if e.delay != nil {
				time.Sleep(e.delay())
			}
			e.to.deliver(b.recs)
			if e.hold || b.next == nil {
				continue
			}
			if err := s.Ack(context.Background(), b.next); err != nil {
				e.errs.Store("ack: "+err.Error(), true)
			}
		}
	})
	for {
		err := s.Wait(context.Background())
		var b flow.Batch
		b.MaxRecords = max(e.maxRecords, 1)
		if err == nil {
			err = s.Read(context.Background(), &b)
		}
		if len(b.Records) > 0 {
			flying <- batchOf{b.Records, b.Next}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				e.errs.Store("read: "+err.Error(), true)
			}
			break
		}
	}
	close(flying)
	delivery.Wait()
	if err := s.Close(); err != nil {
		e.errs.Store("close: "+err.Error(), true)
	}
}

func (e *engine) complaints() []string {
	all := map[string]bool{}
	e.errs.Range(func(k, _ any) bool { s, _ := k.(string); all[s] = true; return true })
	return slices.Sorted(maps.Keys(all))
}

// running is a member that can be stopped.
type running struct {
	stop context.CancelFunc
	done chan error
}

func start(e *engine, s stream.Source) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan error, 1)}
	go func() { r.done <- e.run(ctx, s) }()
	return r
}

func (r *running) end(t testing.TB) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("the source ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the source does not end")
	}
}

// shuffle lets members of a group come and go at random while records are written, and checks that each record was delivered
// exactly once.
func shuffle(t *testing.T, brokers []string, group func() *Group, topic string, rounds, perRound int) {
	t.Helper()
	if doubled := comeAndGo(t, brokers, group, topic, rounds, perRound); doubled > 0 {
		t.Errorf("%d of %d records were delivered more than once", doubled, rounds*perRound)
	}
}

// comeAndGo is shuffle where records may be delivered more than once: it gives how many were.
func comeAndGo(t *testing.T, brokers []string, group func() *Group, topic string, rounds, perRound int) (doubled int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	books := &ledger{}
	var mu sync.Mutex
	e := &engine{to: books, maxRecords: 50, inFlight: 3, delay: func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(random.IntN(8)) * time.Millisecond
	}}
	members := []*running{start(e, group())}
	total := 0
	for range rounds {
		produce(t, brokers, topic, total, perRound)
		total += perRound
		mu.Lock()
		join := len(members) < 2 || len(members) < 3 && random.IntN(2) == 0
		i := random.IntN(len(members))
		pause := time.Duration(random.IntN(300)) * time.Millisecond
		mu.Unlock()
		if join {
			members = append(members, start(e, group()))
		} else {
			members[i].end(t)
			members = slices.Delete(members, i, i+1)
		}
		time.Sleep(pause)
	}
	books.waitFor(t, total, time.Minute)
	for _, m := range members {
		m.end(t)
	}
	if c := e.complaints(); len(c) > 0 {
		t.Error(c)
	}
	return books.check(t, total)
}
