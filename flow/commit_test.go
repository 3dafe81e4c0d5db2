package flow_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func TestAWorkerCommitsWhenItsBranchAsksForIt(t *testing.T) {
	vault := flowtest.NewVault()
	vault.DueAfter = 100
	feed := flowtest.NewFeed(10, 2, 50)
	feed.EndWithLast = true
	report := run(t, flow.Flow{Source: feed, Sink: vault, Ledger: vault}, flow.Options{Workers: 1, BatchRecords: 10})
	if !report.Complete() || !vault.Finished() || vault.Commits() != 5 {
		t.Errorf("%d commits, finished %t, report %+v", vault.Commits(), vault.Finished(), report)
	}
	wantRecords(t, feed.All(), vault.Records())
	if feed.Acknowledged() != 500 {
		t.Errorf("%d acknowledged", feed.Acknowledged())
	}
}

func TestAWorkerCommitsAtIntervalsAlsoBetweenParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := flowtest.NewVault()
		began := time.Now()
		var mu sync.Mutex // guards the slice
		var commits []time.Duration
		vault.BeforeCommit = func([]flow.Checkpoint) error {
			mu.Lock()
			defer mu.Unlock()
			commits = append(commits, time.Since(began))
			return nil
		}
		source := slowToPlan{flowtest.NewFeed(2, 1, 50)}
		source.EndWithLast = true
		run(t, flow.Flow{Source: source, Sink: vault, Ledger: vault}, flow.Options{Workers: 1, SaveInterval: time.Minute})
		if len(commits) != 2 || commits[0] != time.Minute || commits[1] != time.Hour {
			t.Errorf("commits after %v", commits)
		}
	})
}

// slowToPlan is a source that takes an hour from one part to the next.
type slowToPlan struct{ *flowtest.Feed }

func (s slowToPlan) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for p, err := range s.Feed.Parts(ctx) {
			if !yield(p, err) || sleep(ctx, time.Hour) != nil {
				return
			}
		}
	}
}

func TestAWorkerDoesNotKeepManyFinishedPartsOpen(t *testing.T) {
	vault := flowtest.NewVault()
	feed := flowtest.NewFeed(500, 5, 1)
	most := 0
	source := &hooks{Feed: feed, open: func(flow.Part, flow.Position) error {
		_, open := feed.Readers()
		most = max(most, open)
		return nil
	}}
	run(t, flow.Flow{Source: source, Sink: vault, Ledger: vault}, flow.Options{Workers: 1, SaveInterval: time.Hour})
	if most > 64 || vault.Commits() < 7 || vault.Commits() > 10 {
		t.Errorf("up to %d readers open, %d commits", most, vault.Commits())
	}
}

func TestAFailedCommitStopsTheFlowAndCountsForNothing(t *testing.T) {
	vault := flowtest.NewVault()
	vault.DueAfter = 20
	torn := errors.New("rename: input/output error")
	n := 0
	vault.BeforeCommit = func([]flow.Checkpoint) error {
		if n++; n == 3 {
			return torn
		}
		return nil
	}
	feed := flowtest.NewFeed(2, 1, 50)
	report, err := flow.Run(t.Context(), flow.Flow{Source: feed, Sink: vault, Ledger: vault}, flow.Options{Workers: 1, BatchRecords: 10})
	if !errors.Is(err, torn) || n != 3 || report.Complete() || vault.Finished() {
		t.Errorf("%d commits, report %+v, %v", n, report, err)
	}
	if got := report.Total.Run; got.Delivered != 40 || len(vault.Records()) != 40 || feed.Acknowledged() != 40 || got.Digest != flowtest.Digest(vault.Records()) {
		t.Errorf("%d there, %d acknowledged, report %+v", len(vault.Records()), feed.Acknowledged(), got)
	}
	if _, open := feed.Readers(); open != 0 {
		t.Errorf("%d readers are open", open)
	}
}

// shared is a Committer that is no Brancher.
type shared struct {
	flow.Committer
	busy atomic.Int64
	most atomic.Int64
}

func (s *shared) Write(ctx context.Context, recs []flow.Record) error {
	s.most.Store(max(s.most.Load(), s.busy.Add(1)))
	defer s.busy.Add(-1)
	time.Sleep(time.Millisecond)
	return s.Committer.Write(ctx, recs)
}

func TestACommitterThatIsNoBrancherHasOneWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := flowtest.NewVault()
		branch, err := vault.Branch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := &shared{Committer: branch.(flow.Committer)}
		feed := flowtest.NewFeed(5, 1, 50)
		report := run(t, flow.Flow{Source: feed, Sink: s, Ledger: vault}, flow.Options{Workers: 4, InFlight: 4, BatchRecords: 10})
		if !report.Complete() || s.most.Load() != 1 {
			t.Errorf("up to %d writes at a time, report %+v", s.most.Load(), report)
		}
		wantRecords(t, feed.All(), vault.Records())
	})
}

func TestNothingFinishesAFlowThatIsNotComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := flowtest.NewVault()
		vault.BeforeWrite = slowly(time.Second)
		drain := make(chan struct{})
		time.AfterFunc(1500*time.Millisecond, func() { close(drain) })
		feed := flowtest.NewFeed(1, 1, 50)
		report := run(t, flow.Flow{Source: feed, Sink: vault, Ledger: vault}, flow.Options{BatchRecords: 10, Drain: drain})
		if vault.Finished() || report.Total.Run.Delivered != 20 || len(vault.Records()) != 20 {
			t.Errorf("finished %t, report %+v", vault.Finished(), report)
		}
	})
}
