package queue

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/narudata/naru/flow"
)

func numbered(n uint64, size int) flow.Record {
	return flow.Record{Key: binary.BigEndian.AppendUint64(nil, n), Body: make([]byte, size)}
}

// A story is what a queue was told, by the numbers of events.
type story struct {
	next  uint64          // of the next event
	safe  map[uint64]bool // Append has returned
	asked map[uint64]bool // acknowledging was begun
	acked map[uint64]bool // Ack has returned
}

func (s *story) clone() *story {
	c := &story{s.next, map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}}
	for from, to := range map[*map[uint64]bool]map[uint64]bool{&s.safe: c.safe, &s.asked: c.asked, &s.acked: c.acked} {
		for n := range *from {
			to[n] = true
		}
	}
	return c
}

// TestNothingSafeIsLostWhereverItCrashes writes, reads and acknowledges; at any step of the disk the process is killed or the
// power fails, and it goes on with what is left.
func TestNothingSafeIsLostWhereverItCrashes(t *testing.T) {
	crashes, torn := 0, int64(0)
	// A hundred runs tear something in 19 of 20 cases.
	for range 20 {
		if rapid.Check(t, func(rt *rapid.T) { crashSometimes(t, rt, &crashes, &torn) }); torn > 0 || t.Failed() {
			break
		}
	}
	if crashes == 0 || torn == 0 {
		t.Errorf("%d crashes, %d torn bytes: nothing was tested", crashes, torn)
	}
}

// crashSometimes writes, reads and acknowledges in four generations, of which each may crash at a step.
func crashSometimes(t *testing.T, rt *rapid.T, crashes *int, torn *int64) {
	d := newMemory()
	told := &story{0, map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}}
	dark := false // the power failed
	for generation := range 4 {
		at := rapid.IntRange(0, 60).Draw(rt, "crash at step")
		power := rapid.Bool().Draw(rt, "power fails")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		var after *memory
		var then *story
		var mu sync.Mutex // guards told and d.before's work
		steps := 0
		live := d
		live.before = func() {
			if steps++; steps != at+1 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			then = told.clone()
			if power {
				after = live.cut(rng)
			} else {
				after = live.copy()
			}
		}
		q, err := open(live, Options{
			SegmentBytes: rapid.Int64Range(100, 4000).Draw(rt, "segment"),
			Compression:  rapid.SampledFrom([]Compression{Uncompressed, S2, Zstd}).Draw(rt, "compression"),
		})
		if err != nil {
			rt.Fatalf("generation %d: %v", generation, err)
		}
		s, done := streamOf(t, q)
		got, next := readAll(t, s)
		check(rt, told, got)
		var read []uint64
		for _, r := range got {
			read = append(read, binary.BigEndian.Uint64(r.Key))
		}
		ack := func() {
			if next == nil {
				return
			}
			mu.Lock()
			for _, n := range read {
				told.asked[n] = true
			}
			mu.Unlock()
			if err := s.Ack(t.Context(), next); err != nil {
				rt.Fatal(err)
			}
			mu.Lock()
			for _, n := range read {
				told.acked[n] = true
			}
			mu.Unlock()
			read, next = nil, nil
		}
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "what") {
			case 0:
				var recs []flow.Record
				mu.Lock()
				for range rapid.IntRange(1, 5).Draw(rt, "events") {
					recs = append(recs, numbered(told.next, rapid.IntRange(0, 700).Draw(rt, "size")))
					told.next++
				}
				mu.Unlock()
				if err := q.Append(t.Context(), recs); err != nil {
					rt.Fatal(err)
				}
				mu.Lock()
				for _, r := range recs {
					told.safe[binary.BigEndian.Uint64(r.Key)] = true
				}
				mu.Unlock()
			case 1:
				recs, n := readAll(t, s)
				for _, r := range recs {
					read = append(read, binary.BigEndian.Uint64(r.Key))
				}
				if n != nil {
					next = n
				}
			case 2:
				ack()
			}
		}
		// What was being written when the power failed may look like damage.
		if st := q.Stats(); !dark && (st.LostEvents != 0 || st.DamagedBytes != 0) {
			rt.Fatalf("generation %d: %+v", generation, st)
		}
		*torn += q.Stats().TornBytes
		done()
		if err := q.Close(); err != nil {
			rt.Fatal(err)
		}
		if after == nil {
			d = d.copy() // it was closed before
			continue
		}
		*crashes++
		dark = dark || power
		d, told = after, then
		told.next += 100 // those that were being written
		if !power {
			continue
		}
		told.acked = map[uint64]bool{} // some may come again
	}
}

// check that got is what a queue must give.
func check(rt *rapid.T, told *story, got []flow.Record) {
	seen := map[uint64]bool{}
	last := int64(-1)
	for _, r := range got {
		n := binary.BigEndian.Uint64(r.Key)
		if int64(n) <= last || n >= told.next {
			rt.Fatalf("event %d comes after %d; there are %d", n, last, told.next)
		}
		last = int64(n)
		seen[n] = true
		if told.acked[n] {
			rt.Fatalf("event %d was acknowledged", n)
		}
	}
	for n := range told.safe {
		if !seen[n] && !told.asked[n] {
			rt.Fatalf("event %d is lost", n)
		}
	}
}

// The process that TestAKilledProcessLosesNothingSafe kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("NARU_TEST_QUEUE"); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Println("error:", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendForEver appends events by several goroutines, and prints what is safe.
func appendForEver(dir string) error {
	q, err := Open(dir, Options{SegmentBytes: 100_000, Compression: Compression(os.Getenv("NARU_TEST_COMPRESSION"))})
	if err != nil {
		return err
	}
	from, err := strconv.ParseUint(os.Getenv("NARU_TEST_FROM"), 10, 64)
	if err != nil {
		return err
	}
	const writers = 8
	var all sync.WaitGroup
	for w := range uint64(writers) {
		all.Go(func() {
			for n := from + w; ; n += writers {
				if err := q.Append(context.Background(), []flow.Record{numbered(n, int(n%3000))}); err != nil {
					fmt.Println("error:", err)
					return
				}
				fmt.Printf("%d\n", n)
			}
		})
	}
	all.Wait()
	return nil
}

func TestAKilledProcessLosesNothingSafe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "q")
	safe := map[uint64]bool{}
	from := uint64(0)
	for round := range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "NARU_TEST_QUEUE="+dir, fmt.Sprintf("NARU_TEST_FROM=%d", from),
			"NARU_TEST_COMPRESSION="+[]string{"", "s2", "zstd"}[round%3])
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		kill := 50 + round*137
		for n := 0; lines.Scan(); n++ {
			if n == kill {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			v, err := strconv.ParseUint(strings.TrimSpace(lines.Text()), 10, 64)
			if err != nil {
				t.Fatal(lines.Text())
			}
			safe[v] = true
			from = max(from, v+1)
		}
		_ = cmd.Wait() // it was killed
		from += 1000

		q, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, done := streamOf(t, q)
		b := &flow.Batch{}
		seen := map[uint64]bool{}
		for {
			b.Reset()
			if err := s.Read(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if b.Next == nil {
				break
			}
			for _, r := range b.Records {
				n := binary.BigEndian.Uint64(r.Key)
				if len(r.Body) != int(n%3000) || seen[n] {
					t.Errorf("event %d has %d bytes; seen before: %t", n, len(r.Body), seen[n])
				}
				seen[n] = true
				delete(safe, n)
			}
			if err := s.Ack(t.Context(), b.Next); err != nil {
				t.Fatal(err)
			}
		}
		if len(safe) > 0 {
			t.Fatalf("round %d: %d events are lost", round, len(safe))
		}
		done()
		if st := q.Stats(); st.LostEvents != 0 {
			t.Errorf("%+v", st)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOldestSaysHowLongEventsWait(t *testing.T) {
	var a ages
	at := time.Unix(1000, 0)
	for i := range 10_000 {
		a.add(uint64(i+1), at.Add(time.Duration(i)*10*time.Millisecond))
	}
	a.forget(5000)
	if got := a.oldest(); got.Sub(at).Round(time.Second) != 50*time.Second || len(a) > 60 {
		t.Errorf("%v, %d marks", got.Sub(at), len(a))
	}
}
