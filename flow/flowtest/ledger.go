package flowtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/narudata/naru/flow"
)

// Ledger tests a ledger. open opens the ledger in dir, which begins empty; what it returns is closed before
// it is opened again if it is an io.Closer. A ledger that outlasts the process is called with the same dir
// several times and must know what was saved; one in memory says lasting false.
func Ledger(t *testing.T, lasting bool, open func(t *testing.T, dir string) flow.Ledger) {
	shut := func(t *testing.T, l flow.Ledger) {
		if c, ok := l.(io.Closer); ok {
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
	fresh := func(t *testing.T) (flow.Ledger, string) {
		dir := t.TempDir()
		l := open(t, dir)
		t.Cleanup(func() { shut(t, l) })
		return l, dir
	}
	part := flow.Part{ID: "index-0/3/_7k", Group: "index-0", Records: 10, Bytes: 100}
	checkpoint := flow.Checkpoint{
		Part: part.ID, Group: part.Group, Position: flow.Position("\x00\xff here\n"),
		Tally: flow.Tally{Read: 7, Delivered: 4, Dead: 2, Dropped: 1, Bodiless: 1, Bytes: 99, Digest: flow.Digest{Hi: 1 << 63, Lo: 5}},
	}

	t.Run("ANewPartBeginsAtItsBeginning", func(t *testing.T) {
		l, _ := fresh(t)
		cp, err := l.Claim(t.Context(), part)
		if err != nil || len(cp.Position) != 0 || cp.Done || cp.Tally != (flow.Tally{}) {
			t.Errorf("claim gives %+v, %v", cp, err)
		}
	})
	t.Run("APartIsLentToOneWorkerOnly", func(t *testing.T) {
		l, _ := fresh(t)
		var got, taken atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				switch _, err := l.Claim(t.Context(), part); {
				case err == nil:
					got.Add(1)
				case errors.Is(err, flow.ErrTaken):
					taken.Add(1)
				default:
					t.Errorf("claim: %v", err)
				}
			})
		}
		wg.Wait()
		if got.Load() != 1 || taken.Load() != 7 {
			t.Errorf("%d got it, %d were told that it is taken", got.Load(), taken.Load())
		}
	})
	t.Run("AReleasedPartCanBeClaimedWithItsCheckpoint", func(t *testing.T) {
		l, _ := fresh(t)
		r, ok := l.(flow.Releaser)
		if !ok {
			t.Skip("the ledger is no Releaser")
		}
		claim(t, l, part)
		save(t, l, checkpoint)
		if err := r.Release(t.Context(), part.ID); err != nil {
			t.Fatal(err)
		}
		if diff := unlike(checkpoint, claim(t, l, part)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("ADonePartIsGivenToNobodyAndItsBooksToAll", func(t *testing.T) {
		l, _ := fresh(t)
		claim(t, l, part)
		done := checkpoint
		done.Done = true
		save(t, l, checkpoint)
		save(t, l, done)
		for range 2 {
			cp, err := l.Claim(t.Context(), part)
			if !errors.Is(err, flow.ErrDone) {
				t.Errorf("claim: %v, want ErrDone", err)
			}
			if diff := unlike(done, cp); diff != "" {
				t.Error(diff)
			}
		}
	})
	t.Run("WhoHasNoClaimCannotSave", func(t *testing.T) {
		l, _ := fresh(t)
		if err := l.Save(t.Context(), checkpoint); !errors.Is(err, flow.ErrLost) {
			t.Errorf("save: %v, want ErrLost", err)
		}
		other := flow.Part{ID: "other"}
		claim(t, l, other)
		if err := l.Save(t.Context(), flow.Checkpoint{Part: "other", Position: flow.Position("x")}, checkpoint); !errors.Is(err, flow.ErrLost) {
			t.Errorf("save: %v, want ErrLost", err)
		}
		if r, ok := l.(flow.Releaser); ok {
			if err := r.Release(t.Context(), "other"); err != nil {
				t.Fatal(err)
			}
			if cp := claim(t, l, other); len(cp.Position) != 0 {
				t.Errorf("half of a save took place: %+v", cp)
			}
		}
	})
	t.Run("TheCallersBytesAreNotKept", func(t *testing.T) {
		l, _ := fresh(t)
		r, ok := l.(flow.Releaser)
		if !ok {
			t.Skip("the ledger is no Releaser")
		}
		claim(t, l, part)
		cp := checkpoint
		cp.Position = flow.Position("before")
		save(t, l, cp)
		copy(cp.Position, "after!")
		if err := r.Release(t.Context(), part.ID); err != nil {
			t.Fatal(err)
		}
		if got := claim(t, l, part).Position; string(got) != "before" {
			t.Errorf("position is %q, want %q", got, "before")
		}
	})
	t.Run("AnEndedContextIsHeeded", func(t *testing.T) {
		l, _ := fresh(t)
		claim(t, l, part)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Save(ctx, checkpoint); !errors.Is(err, context.Canceled) {
			t.Errorf("save: %v", err)
		}
	})
	t.Run("ManyWorkersSaveAtOnce", func(t *testing.T) {
		l, dir := fresh(t)
		const workers, saves = 8, 25
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				p := flow.Part{ID: fmt.Sprintf("part-%d", w), Group: "g"}
				if _, err := l.Claim(t.Context(), p); err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				for n := range saves {
					cp := flow.Checkpoint{Part: p.ID, Group: "g", Position: fmt.Appendf(nil, "%d", n), Done: n == saves-1, Tally: flow.Tally{Read: int64(n)}}
					if err := l.Save(t.Context(), cp); err != nil {
						t.Errorf("save: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if lasting {
			shut(t, l)
			l = open(t, dir)
			defer shut(t, l)
		}
		for w := range workers {
			cp, err := l.Claim(t.Context(), flow.Part{ID: fmt.Sprintf("part-%d", w)})
			if !errors.Is(err, flow.ErrDone) || cp.Tally.Read != saves-1 {
				t.Errorf("worker %d: %+v, %v", w, cp, err)
			}
		}
	})
	if !lasting {
		return
	}
	t.Run("WhatIsSavedOutlastsTheProcess", func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, dir)
		claim(t, l, part)
		save(t, l, flow.Checkpoint{Part: part.ID, Group: part.Group, Position: flow.Position("earlier")})
		save(t, l, checkpoint)
		two := flow.Part{ID: "two", Group: "g"}
		claim(t, l, two)
		done := flow.Checkpoint{Part: "two", Group: "g", Done: true}
		save(t, l, done)
		shut(t, l)
		for range 2 {
			l = open(t, dir)
			if diff := unlike(checkpoint, claim(t, l, part)); diff != "" {
				t.Error(diff)
			}
			if cp, err := l.Claim(t.Context(), two); !errors.Is(err, flow.ErrDone) || unlike(done, cp) != "" {
				t.Errorf("claim of a done part: %+v, %v", cp, err)
			}
			shut(t, l)
		}
	})
}

func claim(t *testing.T, l flow.Ledger, p flow.Part) flow.Checkpoint {
	t.Helper()
	cp, err := l.Claim(t.Context(), p)
	if err != nil {
		t.Fatalf("claim %s: %v", p.ID, err)
	}
	return cp
}

func save(t *testing.T, l flow.Ledger, cs ...flow.Checkpoint) {
	t.Helper()
	if err := l.Save(t.Context(), cs...); err != nil {
		t.Fatalf("save: %v", err)
	}
}
