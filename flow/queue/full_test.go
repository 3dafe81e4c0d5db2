package queue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// readSlowly reads and acknowledges n events, with pauses.
func readSlowly(t *testing.T, s stream.Stream, n int, pause time.Duration) []flow.Record {
	var got []flow.Record
	for len(got) < n {
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := &flow.Batch{MaxRecords: 20}
		if err := s.Read(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if len(b.Records) == 0 {
			t.Fatal("nothing was read")
		}
		got = append(got, b.Records...)
		time.Sleep(pause)
		if err := s.Ack(t.Context(), b.Next); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestAFullQueueHoldsItsSourcesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logged{}
		d := newMemory()
		q := opened(t, d, Options{MaxBytes: 4000, Log: slog.New(log)})
		var appended []flow.Record
		const n = 1000
		var all sync.WaitGroup
		all.Go(func() {
			for i := range n {
				if err := q.Append(t.Context(), events(i, i+1)); err != nil {
					t.Error(err)
				}
				appended = append(appended, event(i))
			}
		})
		synctest.Wait()
		st := q.Stats()
		if !st.Waiting || st.Why != errFull.Error() || st.Bytes > 4000 || len(appended) > 100 || len(appended) < 40 {
			t.Errorf("%d were appended: %+v", len(appended), st)
		}
		time.Sleep(time.Hour)
		if q.Stats().WaitedFor < time.Hour {
			t.Errorf("%+v", q.Stats())
		}
		if w := log.warnings(); len(w) < 100 || len(w) > 130 || !strings.Contains(w[0], "queue is full") {
			t.Errorf("%d warnings in an hour: %.5q", len(w), w)
		}
		s, done := streamOf(t, q)
		same(t, readSlowly(t, s, n, time.Second), events(0, n))
		all.Wait()
		if st := q.Stats(); st.Waiting || st.Events != 0 || st.Bytes > 4000 {
			t.Errorf("%+v", st)
		}
		done()
		_ = q.Close()
	})
}

func TestAFullDiskHoldsItsSourcesUpAndLosesNothing(t *testing.T) {
	for _, room := range []int64{4700, 4701, 4733, 4790, 5000, 6111, 9999} { // the checkpoint has 4128 of it
		for _, segment := range []int64{0, 300} {
			synctest.Test(t, func(t *testing.T) {
				log := &logged{}
				d := newMemory()
				d.room = room
				q := opened(t, d, Options{SegmentBytes: segment, Log: slog.New(log)})
				const n = 300
				var all sync.WaitGroup
				all.Go(func() {
					for i := 0; i < n; i += 3 {
						if err := q.Append(t.Context(), events(i, i+3)); err != nil {
							t.Error(err)
						}
					}
				})
				synctest.Wait()
				if st := q.Stats(); !st.Waiting || !strings.Contains(st.Why, syscall.ENOSPC.Error()) {
					t.Errorf("%+v", st)
				}
				time.Sleep(10 * time.Minute)
				if w := log.warnings(); len(w) < 15 || len(w) > 25 {
					t.Errorf("%d warnings: %q", len(w), w)
				}
				d.mu.Lock()
				crashed := d.copy()
				d.mu.Unlock()
				s, done := streamOf(t, q)
				same(t, readSlowly(t, s, n, time.Second), events(0, n))
				all.Wait()
				done()
				if st := q.Stats(); st.Waiting || st.Events != 0 || st.DamagedBytes != 0 || st.LostEvents != 0 {
					t.Errorf("%+v", st)
				}
				if err := q.Close(); err != nil {
					t.Error(err)
				}
				// Nothing that is torn stays on a full disk.
				after := opened(t, crashed, Options{})
				if st := after.Stats(); st.TornBytes != 0 || st.DamagedBytes != 0 || st.Events == 0 || st.Events%3 != 0 {
					t.Errorf("%+v", st)
				}
				_ = after.Close()
			})
		}
	}
}

// A disk that fails now and then, by any step, loses nothing and doubles nothing.
func TestADiskThatFailsNowAndThenLosesNothing(t *testing.T) {
	for _, op := range []string{"write", "sync", "truncate", "create", "syncdir", "remove", "open"} {
		for every := 2; every < 7; every++ {
			synctest.Test(t, func(t *testing.T) {
				d := newMemory()
				log := &logged{}
				q := opened(t, d, Options{SegmentBytes: 250, MaxBytes: 1500, Log: slog.New(log)})
				calls := 0
				rng := rand.New(rand.NewPCG(uint64(every), 7))
				d.mu.Lock()
				d.fault = func(o, name string) error {
					if strings.HasPrefix(name, "checkpoint") || o != op && (op != "truncate" || o != "write") {
						return nil
					}
					if calls++; rng.IntN(every) == 0 {
						return errIO
					}
					return nil
				}
				d.mu.Unlock()
				const n = 200
				var all sync.WaitGroup
				all.Go(func() {
					for i := range n {
						if err := q.Append(t.Context(), events(i, i+1)); err != nil {
							t.Error(err)
						}
					}
				})
				var got []flow.Record
				all.Go(func() {
					// As an engine does: a stream that fails is closed, and another one comes.
					err := q.Run(t.Context(), func(s stream.Stream) {
						all.Go(func() {
							defer s.Close()
							for len(got) < n {
								if err := s.Wait(t.Context()); err != nil {
									t.Error(err)
									return
								}
								b := &flow.Batch{MaxRecords: 20}
								err := s.Read(t.Context(), b)
								got = append(got, b.Records...)
								if b.Next != nil {
									_ = s.Ack(t.Context(), b.Next) // it tells of segments that cannot be deleted
								}
								if err != nil {
									return
								}
							}
						})
					})
					if err != nil {
						t.Error(err)
					}
				})
				all.Wait()
				same(t, got, events(0, n))
				if st := q.Stats(); st.LostEvents != 0 || st.DamagedBytes != 0 || calls < every {
					t.Errorf("%s every %d: %+v", op, every, st)
				}
				d.mu.Lock()
				d.fault = nil
				d.mu.Unlock()
				if err := q.Append(t.Context(), events(n, n+2)); err != nil {
					t.Error(err)
				}
				if err := q.Close(); err != nil {
					t.Error(err)
				}
				q = opened(t, d.copy(), Options{})
				s, done := streamOf(t, q)
				got, _ = readAll(t, s)
				same(t, got, events(n, n+2))
				if st := q.Stats(); st.LostEvents != 0 || st.DamagedBytes != 0 {
					t.Errorf("%s every %d: %+v", op, every, st)
				}
				done()
				_ = q.Close()
			})
		}
	}
}

func TestAFailedSyncIsNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemory()
		q := opened(t, d, Options{})
		if err := q.Append(t.Context(), events(0, 2)); err != nil {
			t.Fatal(err)
		}
		first := segmentsOf(d)[0]
		fails := true
		d.fault = func(op, name string) error {
			if fails && name == first && (op == "sync" || op == "truncate") {
				return errIO // and what was written cannot be taken back
			}
			return nil
		}
		if err := q.Append(t.Context(), events(2, 5)); err != nil {
			t.Fatal(err)
		}
		if len(segmentsOf(d)) != 2 {
			t.Error(segmentsOf(d))
		}
		fails = false
		if err := q.Append(t.Context(), events(5, 6)); err != nil {
			t.Fatal(err)
		}
		// The events are there twice, and are given once.
		s, done := streamOf(t, q)
		got, _ := readAll(t, s)
		same(t, got, events(0, 6))
		done()
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = opened(t, d.copy(), Options{})
		s, done = streamOf(t, q)
		got, _ = readAll(t, s)
		same(t, got, events(0, 6))
		done()
		_ = q.Close()
	})
}

func TestClosingAFullQueueDoesNotWait(t *testing.T) {
	d := newMemory()
	q := opened(t, d, Options{MaxBytes: 500})
	failed := make(chan error, 1)
	safe := 0
	go func() {
		for i := 0; ; i++ {
			if err := q.Append(context.Background(), events(i, i+1)); err != nil {
				failed <- err
				return
			}
			safe++
		}
	}()
	for !q.Stats().Waiting {
		time.Sleep(time.Millisecond)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	q = opened(t, d.copy(), Options{})
	s, done := streamOf(t, q)
	defer done()
	got, _ := readAll(t, s)
	same(t, got, events(0, safe))
}

func TestDamageThatCannotBeMovedAsideKeepsItsFile(t *testing.T) {
	d := newMemory()
	o := Options{SegmentBytes: 200}
	q := opened(t, d, o)
	for i := range 20 {
		if err := q.Append(t.Context(), events(i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	name := segmentsOf(d)[1]
	d.files[name].now[60] ^= 1
	bytes := string(d.files[name].now)
	q = opened(t, d, o)
	d.fault = func(op, name string) error {
		if op == "create" && strings.HasSuffix(name, damagedSuffix) {
			return syscall.ENOSPC
		}
		return nil
	}
	s, done := streamOf(t, q)
	defer done()
	got, next := readAll(t, s)
	if err := s.Ack(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if st := q.Stats(); len(got) != 19 || st.LostEvents != 1 || d.files[name+damagedSuffix] == nil || string(d.files[name+damagedSuffix].now) != bytes {
		t.Errorf("%d events, %+v, %v", len(got), st, segmentsOf(d))
	}
}

func TestARealDiskThatIsFullIsWaitedFor(t *testing.T) {
	// A limit on the size of files fails like a full disk does: in the middle of a write.
	if os.Getenv("NARU_TEST_LIMITED") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestARealDiskThatIsFullIsWaitedFor$", "-test.v")
		cmd.Env = append(os.Environ(), "NARU_TEST_LIMITED=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	q, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	limitFiles(t, 100_000)
	const n = 3000
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; i < n; i += 100 {
			recs := events(i, i+100)
			for j := range recs {
				recs[j].Meta = make([]byte, 60)
			}
			if err := q.Append(t.Context(), recs); err != nil {
				t.Error(err)
			}
		}
	})
	for !q.Stats().Waiting {
		time.Sleep(time.Millisecond)
	}
	s, done := streamOf(t, q)
	got := readSlowly(t, s, n, 0)
	for i, r := range got {
		if string(r.Body) != string(event(i).Body) || len(r.Meta) != 60 {
			t.Fatalf("event %d is %q", i, r.Body)
		}
	}
	all.Wait()
	done()
	if st := q.Stats(); st.LostEvents != 0 || st.DamagedBytes != 0 || st.Events != 0 {
		t.Errorf("%+v", st)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}
