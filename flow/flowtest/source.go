package flowtest

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
)

// promptly is how long a call may take that is to return at once.
const promptly = 10 * time.Second

// Source tests a bounded source whose content does not change. open opens it, several times; what it returns
// is closed if it is an io.Closer. want is every record of all parts that can be read, in any order.
func Source(t *testing.T, open func(t *testing.T) flow.Source, want []flow.Record) {
	fresh := func(t *testing.T) flow.Source {
		s := open(t)
		if c, ok := s.(io.Closer); ok {
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		return s
	}

	t.Run("PartsAreStableAndUnique", func(t *testing.T) {
		first, second := partsOf(t, fresh(t)), partsOf(t, fresh(t))
		if diff := unlike(first, second); diff != "" {
			t.Errorf("parts differ from call to call:\n%s", diff)
		}
		for i, p := range first {
			if p.ID == "" {
				t.Errorf("a part of group %q has no id", p.Group)
			}
			if i > 0 && p.ID == first[i-1].ID {
				t.Errorf("part %q comes twice", p.ID)
			}
		}
	})
	t.Run("PartsBelongToDescribedGroups", func(t *testing.T) {
		s := fresh(t)
		d, ok := s.(flow.Describer)
		if !ok {
			t.Skip("the source is no Describer")
		}
		groups, err := d.Groups(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		named := make(map[string]bool)
		for _, g := range groups {
			if named[g.Name] {
				t.Errorf("group %q is described twice", g.Name)
			}
			named[g.Name] = true
		}
		for _, p := range partsOf(t, s) {
			if !named[p.Group] {
				t.Errorf("part %q is of group %q, which is not described", p.ID, p.Group)
			}
		}
	})
	t.Run("EveryRecordIsReadOnce", func(t *testing.T) {
		s := fresh(t)
		var got []flow.Record
		for _, p := range partsOf(t, s) {
			got = append(got, readPart(t, s, p, nil, flow.Batch{}).records...)
		}
		if diff := Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("ReadingGoesOnAtEveryBoundary", func(t *testing.T) {
		s := fresh(t)
		for _, p := range partsOf(t, s) {
			for _, bound := range []int{1, 7} {
				whole := readPart(t, s, p, nil, flow.Batch{MaxRecords: bound})
				const most = 24 // boundaries tried of each part
				step := max(1, len(whole.ends)/most)
				for i := 0; i < len(whole.ends); i += step {
					end := whole.ends[i]
					rest := readPart(t, s, p, end.next, flow.Batch{MaxRecords: bound + 1})
					if diff := Diff(whole.records[end.records:], rest.records); diff != "" {
						t.Fatalf("part %s from after record %d on: %s", p.ID, end.records, diff)
					}
				}
			}
		}
	})
	t.Run("BoundsChangeNothingButBatches", func(t *testing.T) {
		s := fresh(t)
		for _, p := range partsOf(t, s) {
			whole := readPart(t, s, p, nil, flow.Batch{})
			for _, bounds := range []flow.Batch{{MaxRecords: 1}, {MaxRecords: 3}, {MaxBytes: 1}, {MaxBytes: 5000}, {MaxRecords: 100, MaxBytes: 100}} {
				part := readPart(t, s, p, nil, bounds)
				if !slices.EqualFunc(whole.records, part.records, equal) {
					t.Fatalf("part %s in batches of %d records and %d bytes: %s", p.ID, bounds.MaxRecords, bounds.MaxBytes,
						orElse(Diff(whole.records, part.records), "the order differs"))
				}
			}
		}
	})
	t.Run("ABatchDoesNotChangeWhileTheNextIsRead", func(t *testing.T) {
		s := fresh(t)
		for _, p := range partsOf(t, s) {
			r, err := s.Open(t.Context(), p, nil)
			if err != nil {
				t.Fatal(err)
			}
			var kept, copies [][]flow.Record
			for len(kept) < 8 {
				b := flow.Batch{MaxRecords: 5}
				err := r.Read(t.Context(), &b)
				kept, copies = append(kept, b.Records), append(copies, clones(b.Records))
				if err == io.EOF { //nolint:errorlint // a reader returns it unwrapped
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			for i := range kept {
				if !slices.EqualFunc(kept[i], copies[i], equal) {
					t.Fatalf("part %s: batch %d has changed: %s", p.ID, i, Diff(copies[i], kept[i]))
				}
			}
		}
	})
	t.Run("PartsAreReadAtTheSameTime", func(t *testing.T) {
		s := fresh(t)
		var mu sync.Mutex // guards got
		var got []flow.Record
		var wg sync.WaitGroup
		for i, p := range partsOf(t, s) {
			wg.Go(func() {
				part, err := tryPart(t.Context(), s, p, nil, flow.Batch{MaxRecords: 1 + i%20})
				if err != nil {
					t.Errorf("part %s: %v", p.ID, err)
				}
				mu.Lock()
				defer mu.Unlock()
				got = append(got, part.records...)
			})
			if i%8 == 7 {
				wg.Wait()
			}
		}
		wg.Wait()
		if diff := Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("AnEndedContextEndsReading", func(t *testing.T) {
		s := fresh(t)
		parts := partsOf(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "Parts", func() {
			for _, err := range s.Parts(ctx) {
				if err != nil {
					break
				}
			}
		})
		for _, p := range parts {
			within(t, "Open and Read", func() {
				r, err := s.Open(t.Context(), p, nil)
				if err != nil {
					t.Errorf("open %s: %v", p.ID, err)
					return
				}
				if err := r.Read(ctx, new(flow.Batch)); !errors.Is(err, context.Canceled) {
					t.Errorf("part %s: read gives %v, want the context's error", p.ID, err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Run("AReaderIsClosedTwiceWithoutHarm", func(t *testing.T) {
		s := fresh(t)
		for _, p := range partsOf(t, s) {
			r, err := s.Open(t.Context(), p, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := r.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		}
	})
	t.Run("AForeignPositionIsAnError", func(t *testing.T) {
		s := fresh(t)
		for _, p := range partsOf(t, s) {
			for _, from := range []string{"\xff", "no position of this source's", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
				if _, err := tryPart(t.Context(), s, p, flow.Position(from), flow.Batch{}); err == nil {
					t.Errorf("part %s at position %q: no error", p.ID, from)
				}
			}
		}
	})
}

// part is what was read of one.
type part struct {
	records []flow.Record
	ends    []end
}

// end is where a batch ended.
type end struct {
	records int // up to there
	next    flow.Position
}

func partsOf(t *testing.T, s flow.Source) []flow.Part {
	t.Helper()
	var parts []flow.Part
	for p, err := range s.Parts(t.Context()) {
		if err != nil {
			if p.ID == "" && p.Group == "" {
				t.Fatalf("parts: %v", err)
			}
			continue // damaged
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b flow.Part) int {
		switch {
		case a.ID < b.ID:
			return -1
		case a.ID > b.ID:
			return 1
		}
		return 0
	})
	return parts
}

func readPart(t *testing.T, s flow.Source, p flow.Part, from flow.Position, bounds flow.Batch) part {
	t.Helper()
	got, err := tryPart(t.Context(), s, p, from, bounds)
	if err != nil {
		t.Fatalf("part %s: %v", p.ID, err)
	}
	return got
}

// tryPart reads a part from a position to its end.
func tryPart(ctx context.Context, s flow.Source, p flow.Part, from flow.Position, bounds flow.Batch) (got part, err error) {
	r, err := s.Open(ctx, p, from)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b := bounds
	for {
		err := r.Read(ctx, &b)
		if err != nil && err != io.EOF { //nolint:errorlint // a reader returns it unwrapped
			return got, err
		}
		if err == nil && len(b.Records) > 0 && len(b.Next) == 0 {
			return got, errors.New("a batch has no position after it")
		}
		got.records = append(got.records, clones(b.Records)...)
		if len(b.Next) > 0 {
			got.ends = append(got.ends, end{len(got.records), slices.Clone(b.Next)})
			if err := r.Ack(ctx, b.Next); err != nil {
				return got, err
			}
		}
		if err == io.EOF { //nolint:errorlint // a reader returns it unwrapped
			return got, nil
		}
		poison(b.Records)
		b.Reset()
	}
}

func equal(a, b flow.Record) bool { return show(&a) == show(&b) }

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// within fails the test when f does not return promptly.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(promptly):
		t.Fatalf("%s has not returned after %v", what, promptly)
	}
}
