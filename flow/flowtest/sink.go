package flowtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/narudata/naru/flow"
)

// Sink tests a sink that is no Committer. open makes an empty one and gives a function that tells, also after
// Close, what records it has.
func Sink(t *testing.T, open func(t *testing.T) (flow.Sink, func(t *testing.T) []flow.Record)) {
	type written struct {
		flow.Sink
		records func(t *testing.T) []flow.Record
	}
	fresh := func(t *testing.T) written {
		s, records := open(t)
		if p, ok := s.(flow.Preparer); ok {
			if err := p.Prepare(t.Context(), nil); err != nil {
				t.Fatalf("prepare: %v", err)
			}
		}
		return written{s, records}
	}
	closed := func(t *testing.T, s written) []flow.Record {
		if err := s.Close(t.Context()); err != nil {
			t.Fatalf("close: %v", err)
		}
		return s.records(t)
	}

	t.Run("WhatIsWrittenIsThere", func(t *testing.T) {
		s := fresh(t)
		want := Samples(100)
		for i := 0; i < len(want); i += 10 {
			if err := s.Write(t.Context(), clones(want[i:i+10])); err != nil {
				t.Fatal(err)
			}
		}
		if diff := Diff(want, closed(t, s)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("NothingIsWrittenOfNothing", func(t *testing.T) {
		s := fresh(t)
		if err := s.Write(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if got := closed(t, s); len(got) != 0 {
			t.Errorf("%d records", len(got))
		}
	})
	t.Run("TheCallersRecordsAreNeitherKeptNorChanged", func(t *testing.T) {
		s := fresh(t)
		want := Samples(50)
		lent := clones(want)
		if err := s.Write(t.Context(), lent); err != nil {
			t.Fatal(err)
		}
		if diff := Diff(want, lent); diff != "" {
			t.Errorf("changed: %s", diff)
		}
		poison(lent)
		clear(lent)
		if diff := Diff(want, closed(t, s)); diff != "" {
			t.Errorf("kept: %s", diff)
		}
	})
	t.Run("ManyWriteAtOnce", func(t *testing.T) {
		s := fresh(t)
		want := Samples(400)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				sink := s.Sink
				if b, ok := s.Sink.(flow.Brancher); ok {
					branch, err := b.Branch(t.Context())
					if err != nil {
						t.Errorf("branch: %v", err)
						return
					}
					defer func() {
						if err := branch.Close(t.Context()); err != nil {
							t.Errorf("close a branch: %v", err)
						}
					}()
					sink = branch
				}
				for i := range 5 {
					at := w*50 + i*10
					if err := sink.Write(t.Context(), clones(want[at:at+10])); err != nil {
						t.Errorf("write: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if diff := Diff(want, closed(t, s)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("AnEndedContextEndsWriting", func(t *testing.T) {
		s := fresh(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "Write", func() {
			if err := s.Write(ctx, Samples(10)); !errors.Is(err, context.Canceled) {
				t.Errorf("write gives %v, want the context's error", err)
			}
		})
		closed(t, s)
	})
	t.Run("AFlowArrives", func(t *testing.T) {
		s := fresh(t)
		feed := NewFeed(6, 2, 200)
		report, err := flow.Run(t.Context(), flow.Flow{Source: feed, Sink: s.Sink}, flow.Options{Workers: 3, BatchRecords: 17})
		if err != nil || !report.Complete() {
			t.Fatalf("%+v, %v", report, err)
		}
		if diff := Diff(feed.All(), closed(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}
