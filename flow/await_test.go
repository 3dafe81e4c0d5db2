package flow_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/flow/ledger"
)

// slow is a sink that takes its time and counts.
type slow struct {
	mu sync.Mutex
	n  map[string]int // guarded by mu
}

func (s *slow) Write(ctx context.Context, recs []flow.Record) error {
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range recs {
		s.n[recs[i].Index+"/"+string(recs[i].Key)]++
	}
	return nil
}

func (*slow) Close(context.Context) error { return nil }

func TestRunsSideBySideShareThePartsAndAllSeeTheEnd(t *testing.T) {
	books := new(ledger.Memory)
	sink := &slow{n: map[string]int{}}
	var all sync.WaitGroup
	reports := make([]flow.Report, 3)
	for i := range reports {
		all.Go(func() {
			var err error
			reports[i], err = flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(20, 4, 60), Sink: sink, Ledger: books},
				flow.Options{Workers: 2, InFlight: 2, BatchRecords: 7, AwaitTaken: true, TakenPause: 5 * time.Millisecond})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var run flow.Tally
	for i := range reports {
		r := &reports[i]
		if !r.Complete() || r.Total.Taken != 0 || r.Total.Tally.Delivered != 20*60 {
			t.Errorf("run %d: complete %v, %d taken, %d delivered in all", i, r.Complete(), r.Total.Taken, r.Total.Tally.Delivered)
		}
		run.Add(r.Total.Run)
	}
	if run.Delivered != 20*60 || len(sink.n) != 20*60 {
		t.Errorf("%d records delivered by all runs, %d different ones", run.Delivered, len(sink.n))
	}
	for id, n := range sink.n {
		if n != 1 {
			t.Errorf("record %s was written %d times", id, n)
		}
	}
}

// held is a ledger in which a worker that died has some parts, until its lease ends.
type held struct {
	ledger.Memory
	until time.Time
}

func (h *held) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	if time.Now().Before(h.until) && p.ID[len(p.ID)-1]%2 == 0 {
		return flow.Checkpoint{}, flow.ErrTaken
	}
	return h.Memory.Claim(ctx, p)
}

func TestPartsOfADeadWorkerAreTakenOver(t *testing.T) {
	for _, await := range []bool{true, false} {
		books := &held{until: time.Now().Add(60 * time.Millisecond)}
		r, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(10, 2, 20), Sink: &slow{n: map[string]int{}}, Ledger: books},
			flow.Options{Workers: 2, AwaitTaken: await, TakenPause: 5 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if await != r.Complete() || await == (r.Total.Taken > 0) {
			t.Errorf("awaiting %v: complete %v, %d taken", await, r.Complete(), r.Total.Taken)
		}
	}
}

func TestADrainDoesNotWaitForPartsOfOthers(t *testing.T) {
	drain := make(chan struct{})
	books := &held{until: time.Now().Add(time.Hour)}
	time.AfterFunc(30*time.Millisecond, func() { close(drain) })
	r, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(10, 2, 20), Sink: &slow{n: map[string]int{}}, Ledger: books},
		flow.Options{Workers: 2, AwaitTaken: true, TakenPause: time.Minute, Drain: drain})
	if err != nil || !r.Drained || r.Total.Taken == 0 || r.Total.Done == 0 {
		t.Errorf("%v, drained %v, %d done, %d taken", err, r.Drained, r.Total.Done, r.Total.Taken)
	}
}

func TestAHardStopDoesNotWaitForPartsOfOthers(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, stop)
	_, err := flow.Run(ctx, flow.Flow{Source: flowtest.NewFeed(10, 2, 20), Sink: &slow{n: map[string]int{}}, Ledger: &held{until: time.Now().Add(time.Hour)}},
		flow.Options{Workers: 2, AwaitTaken: true, TakenPause: time.Minute})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
