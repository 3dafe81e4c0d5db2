package flowtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/narudata/naru/flow"
)

// Transactional is a sink whose Commit (or its branches') makes records visible together with checkpoints,
// and which is the ledger of these.
type Transactional struct {
	// Open opens the sink in dir, which begins empty, and gives it and its ledger. It is called again for the
	// same dir after Abandon or Close.
	Open func(t *testing.T, dir string) (flow.Sink, flow.Ledger)
	// Abandon leaves what Open gave as the death of the process does: without Close, but with its locks
	// gone. Nil: nothing need be done.
	Abandon func(t *testing.T, s flow.Sink)
	// Records reads what is visible in dir while no sink is open there.
	Records func(t *testing.T, dir string) []flow.Record
}

// Committer tests a transactional sink.
func Committer(t *testing.T, x Transactional) {
	abandon := func(t *testing.T, s flow.Sink) {
		if x.Abandon != nil {
			x.Abandon(t, s)
		}
	}
	closeSink := func(t *testing.T, s flow.Sink) {
		t.Helper()
		if err := s.Close(t.Context()); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	open := func(t *testing.T, dir string) (flow.Sink, flow.Ledger) {
		s, l := x.Open(t, dir)
		if p, ok := s.(flow.Preparer); ok {
			if err := p.Prepare(t.Context(), nil); err != nil {
				t.Fatalf("prepare: %v", err)
			}
		}
		return s, l
	}
	branch := func(t *testing.T, s flow.Sink) flow.Committer {
		t.Helper()
		if b, ok := s.(flow.Brancher); ok {
			var err error
			if s, err = b.Branch(t.Context()); err != nil {
				t.Fatalf("branch: %v", err)
			}
		}
		c, ok := s.(flow.Committer)
		if !ok {
			t.Fatalf("%T is no Committer", s)
		}
		return c
	}
	same := func(t *testing.T, dir string, want []flow.Record) {
		t.Helper()
		if diff := Diff(want, x.Records(t, dir)); diff != "" {
			t.Error(diff)
		}
	}
	recs := Samples(60)
	a, b := flow.Part{ID: "sample/0/a", Group: "sample"}, flow.Part{ID: "sample/0/b", Group: "sample"}
	at := func(p flow.Part, n int, done bool) flow.Checkpoint {
		return flow.Checkpoint{
			Part: p.ID, Group: p.Group, Position: fmt.Appendf(nil, "after %d", n), Done: done,
			Tally: flow.Tally{Read: int64(n), Delivered: int64(n), Digest: Digest(recs[:n])},
		}
	}

	t.Run("WhatIsWrittenAndNotCommittedIsAsIfItHadNeverBeenWritten", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		claim(t, l, a)
		write(t, branch(t, s), recs)
		abandon(t, s)
		same(t, dir, nil)
		s, l = open(t, dir)
		if cp := claim(t, l, a); len(cp.Position) != 0 || cp.Tally != (flow.Tally{}) {
			t.Errorf("claim gives %+v", cp)
		}
		abandon(t, s)
	})
	t.Run("ACommitCoversExactlyWhatWasWritten", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		claim(t, l, a)
		c := branch(t, s)
		write(t, c, recs[:20])
		commit(t, c, at(a, 20, false))
		write(t, c, recs[20:40])
		abandon(t, s)
		same(t, dir, recs[:20])

		s, l = open(t, dir)
		if diff := unlike(at(a, 20, false), claim(t, l, a)); diff != "" {
			t.Error(diff)
		}
		c = branch(t, s)
		write(t, c, recs[20:40])
		commit(t, c, at(a, 40, false))
		write(t, c, recs[40:])
		commit(t, c, at(a, 60, true))
		abandon(t, s)
		same(t, dir, recs)

		s, l = open(t, dir)
		if cp, err := l.Claim(t.Context(), a); !errors.Is(err, flow.ErrDone) || unlike(at(a, 60, true), cp) != "" {
			t.Errorf("claim of a done part: %+v, %v", cp, err)
		}
		abandon(t, s)
	})
	t.Run("BranchesCommitApart", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		if _, ok := s.(flow.Brancher); !ok {
			t.Skip("the sink is no Brancher")
		}
		claim(t, l, a)
		claim(t, l, b)
		ca, cb := branch(t, s), branch(t, s)
		write(t, ca, recs[:30])
		write(t, cb, recs[30:])
		commit(t, ca, at(a, 30, true))
		abandon(t, s)
		same(t, dir, recs[:30])
		s, l = open(t, dir)
		if cp := claim(t, l, b); len(cp.Position) != 0 {
			t.Errorf("the other branch's part: %+v", cp)
		}
		abandon(t, s)
	})
	t.Run("BranchesWorkAtTheSameTime", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		if _, ok := s.(flow.Brancher); !ok {
			t.Skip("the sink is no Brancher")
		}
		all := Samples(400)
		var wg sync.WaitGroup
		for w := range 4 {
			c := branch(t, s)
			p := flow.Part{ID: fmt.Sprintf("p/%d", w), Group: "p"}
			claim(t, l, p)
			wg.Go(func() {
				for i := range 10 {
					from := w*100 + i*10
					if err := c.Write(t.Context(), clones(all[from:from+10])); err != nil {
						t.Errorf("write: %v", err)
					}
					if err := c.Commit(t.Context(), []flow.Checkpoint{at(p, i+1, i == 9)}); err != nil {
						t.Errorf("commit: %v", err)
					}
				}
				if err := c.Close(t.Context()); err != nil {
					t.Errorf("close a branch: %v", err)
				}
			})
		}
		wg.Wait()
		abandon(t, s)
		same(t, dir, all)
	})
	t.Run("SeveralPartsAreCommittedInOneStep", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		claim(t, l, a)
		claim(t, l, b)
		c := branch(t, s)
		write(t, c, recs[:10])
		write(t, c, recs[10:30])
		commit(t, c, at(a, 10, true), at(b, 20, false))
		abandon(t, s)
		same(t, dir, recs[:30])
		s, l = open(t, dir)
		if _, err := l.Claim(t.Context(), a); !errors.Is(err, flow.ErrDone) {
			t.Errorf("claim: %v", err)
		}
		if diff := unlike(at(b, 20, false), claim(t, l, b)); diff != "" {
			t.Error(diff)
		}
		abandon(t, s)
	})
	t.Run("CheckpointsAreCommittedAlsoWithoutRecords", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		claim(t, l, a)
		commit(t, branch(t, s), at(a, 0, true))
		abandon(t, s)
		s, l = open(t, dir)
		if _, err := l.Claim(t.Context(), a); !errors.Is(err, flow.ErrDone) {
			t.Errorf("claim: %v", err)
		}
		abandon(t, s)
	})
	t.Run("CloseCommitsNothing", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		claim(t, l, a)
		c := branch(t, s)
		write(t, c, recs[:10])
		commit(t, c, at(a, 10, false))
		write(t, c, recs[10:])
		if _, ok := s.(flow.Brancher); ok {
			if err := c.Close(t.Context()); err != nil {
				t.Errorf("close a branch: %v", err)
			}
		}
		closeSink(t, s)
		same(t, dir, recs[:10])
	})
	t.Run("AnEndedContextCommitsNothing", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		claim(t, l, a)
		c := branch(t, s)
		write(t, c, recs)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "Commit", func() {
			if err := c.Commit(ctx, []flow.Checkpoint{at(a, 60, true)}); !errors.Is(err, context.Canceled) {
				t.Errorf("commit gives %v, want the context's error", err)
			}
		})
		abandon(t, s)
		same(t, dir, nil)
	})
	t.Run("TheCallersRecordsAreNeitherKeptNorChanged", func(t *testing.T) {
		dir := t.TempDir()
		s, l := open(t, dir)
		claim(t, l, a)
		c := branch(t, s)
		lent := clones(recs)
		if err := c.Write(t.Context(), lent); err != nil {
			t.Fatal(err)
		}
		if diff := Diff(recs, lent); diff != "" {
			t.Errorf("changed: %s", diff)
		}
		poison(lent)
		commit(t, c, at(a, 60, true))
		abandon(t, s)
		same(t, dir, recs)
	})
}

func write(t *testing.T, s flow.Sink, recs []flow.Record) {
	t.Helper()
	if err := s.Write(t.Context(), clones(recs)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func commit(t *testing.T, c flow.Committer, cs ...flow.Checkpoint) {
	t.Helper()
	if err := c.Commit(t.Context(), cs); err != nil {
		t.Fatalf("commit: %v", err)
	}
}
