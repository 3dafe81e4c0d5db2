package opensearch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAWindowIsOpenByTheClockOnTheWall(t *testing.T) {
	for _, c := range []struct {
		window, at string
		open       bool
		next       string
	}{
		{"22:00-06:00 Asia/Seoul", "2026-03-10T13:00:00Z", true, ""}, // 22:00 in Seoul
		{"22:00-06:00 Asia/Seoul", "2026-03-10T20:59:59Z", true, ""},
		{"22:00-06:00 Asia/Seoul", "2026-03-10T21:00:00Z", false, "2026-03-11T13:00:00Z"},
		{"22:00-06:00 Asia/Seoul", "2026-03-10T12:59:59Z", false, "2026-03-10T13:00:00Z"},
		{"09:00-17:30 UTC", "2026-03-10T08:59:00Z", false, "2026-03-10T09:00:00Z"},
		{"09:00-17:30 UTC", "2026-03-10T17:30:00Z", false, "2026-03-11T09:00:00Z"},
		{"09:00-17:30 UTC", "2026-03-10T12:00:00Z", true, ""},
		// The night in which Berlin's clocks go forward at 02:00.
		{"23:00-05:00 Europe/Berlin", "2026-03-29T03:00:00Z", false, "2026-03-29T21:00:00Z"},
	} {
		w, err := ParseWindow(c.window)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		open, next := w.Open(at)
		if open != c.open || !open && next.UTC().Format(time.RFC3339) != c.next {
			t.Errorf("%s at %s: open %v, next %s; want %v, %s", c.window, c.at, open, next.UTC().Format(time.RFC3339), c.open, c.next)
		}
	}
	if open, _ := (Window{}).Open(time.Now()); !open {
		t.Error("no window is not always")
	}
}

func TestMalformedRatesAndWindowsAreTold(t *testing.T) {
	for _, s := range []string{"", "22-6", "22:00", "25:00-06:00", "22:00-22:00", "22:00-06:00 Asia/Nowhere"} {
		if _, err := ParseWindow(s); err == nil {
			t.Errorf("window %q: no error", s)
		}
	}
	for _, s := range []string{"", "0", "-5/s", "fast", "5k/h", "NaN"} {
		if r, err := ParseRate(s); err == nil {
			t.Errorf("rate %q is %v", s, r)
		}
	}
	for s, want := range map[string]float64{"5k/s": 5000, "2500/s": 2500, "1.5k": 1500, "2M/s": 2e6, "0.5": 0.5} {
		if got, err := ParseRate(s); err != nil || got != want {
			t.Errorf("rate %q is %v, %v", s, got, err)
		}
	}
}

func TestARateIsKeptOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(1000)
		start := time.Now()
		for range 50 {
			if err := b.take(t.Context(), 200); err != nil {
				t.Fatal(err)
			}
		}
		// The first records need not wait for themselves.
		if took := time.Since(start); took != 49*200*time.Millisecond {
			t.Errorf("10,000 records at 1,000 a second took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := b.take(ctx, 1); err == nil {
			t.Error("waiting does not heed its context")
		}
	})
}

func TestThePaceGrowsByStepsAndIsHalvedWhenItIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(16, 8<<20)
		round := func(o outcome, n int) {
			for range n {
				size, err := p.acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
				p.release(o, size, 100*time.Millisecond)
			}
		}
		// One at a time never uses what it may, so there is no reason for more.
		round(went, 50)
		if s := p.state(); s.Limit > 2 || s.Size != 8<<20 {
			t.Errorf("after 50 quick requests, one at a time: %+v", s)
		}
		// Used to the full, it grows.
		for range 200 {
			n := p.state().Limit
			for range n {
				if _, err := p.acquire(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(100 * time.Millisecond)
			for range n {
				p.release(went, 1<<20, 100*time.Millisecond)
			}
		}
		if s := p.state(); s.Limit != 16 {
			t.Errorf("used to the full: %+v", s)
		}
		round(refused, 1)
		if s := p.state(); s.Limit != 8 {
			t.Errorf("refused once: %+v", s)
		}
		round(refused, 10)
		if s := p.state(); s.Limit != 1 || s.Size >= 8<<20 {
			t.Errorf("refused again and again: %+v", s)
		}
		p.release(tooLarge, 1<<20, 0)
		if s := p.state(); s.Size > 1<<19 {
			t.Errorf("1 MiB was too large: %+v", s)
		}
		round(went, 100)
		if s := p.state(); s.Size > 1<<19 {
			t.Errorf("what is too large is not tried again: %+v", s)
		}
	})
}

func TestNoMoreRequestsAreUnderWayThanTheTargetWorksOn(t *testing.T) {
	for _, target := range []struct{ works, least, most int }{{2, 3, 6}, {6, 7, 11}, {64, 16, 16}} {
		p := newPace(16, 8<<20)
		for range 300 { // rounds in which the target works on so many at a time, and the others wait
			n := p.state().Limit
			for range n {
				if _, err := p.acquire(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			took := 100 * time.Millisecond * time.Duration(max(n, target.works)) / time.Duration(target.works)
			for range n {
				p.release(went, 1<<20, took)
			}
		}
		if s := p.state(); s.Limit < target.least || s.Limit > target.most {
			t.Errorf("a target that works on %d at a time: %+v", target.works, s)
		}
	}
}

func TestAHeldPaceLetsNothingThroughUntilItIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(4, 1<<20)
		p.hold("the window is closed")
		got := make(chan error, 1)
		go func() {
			_, err := p.acquire(t.Context())
			got <- err
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("a place was given")
		default:
		}
		p.hold("")
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}
