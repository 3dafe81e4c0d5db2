package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestTheBudgetIsNeverExceededByWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{limit: 100}
		var used, most atomic.Int64
		var wg sync.WaitGroup
		for w := range 20 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(w), 0))
				for range 50 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(300))*time.Millisecond)
					n, err := b.acquire(ctx, int64(1+rng.IntN(150)))
					if err == nil {
						now := used.Add(n)
						for {
							m := most.Load()
							if now <= m || most.CompareAndSwap(m, now) {
								break
							}
						}
						time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
						used.Add(-n)
						b.charge(-n)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		if b.used != 0 || len(b.queue) != 0 || most.Load() > 100 || most.Load() < 90 {
			t.Errorf("%d used, %d wait, at most %d at a time", b.used, len(b.queue), most.Load())
		}
	})
}

func TestWhatIsChargedWithoutAskingKeepsOthersWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{limit: 100}
		b.charge(500)
		granted := false
		go func() {
			if _, err := b.acquire(t.Context(), 1); err == nil {
				granted = true
			}
		}()
		synctest.Wait()
		if granted {
			t.Error("granted beside a batch larger than the budget")
		}
		b.charge(-500)
		synctest.Wait()
		if !granted {
			t.Error("not granted")
		}
	})
}

func TestWaitsDoubleUpToTheirBoundAndAreRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := Retry{First: time.Second, Max: 10 * time.Second}
		for failures, bound := range map[int]int{1: 1, 2: 2, 3: 4, 4: 8, 5: 10, 6: 10, 1000: 10} {
			seen := make(map[time.Duration]bool)
			for range 200 {
				began := time.Now()
				if err := r.Wait(t.Context(), failures); err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				if took > time.Duration(bound)*time.Second {
					t.Fatalf("after %d failures: waited %v", failures, took)
				}
				seen[took] = true
			}
			if len(seen) < 100 {
				t.Errorf("after %d failures: only %d different waits", failures, len(seen))
			}
		}
	})
}

func TestTheZeroRetryGivesUpAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries := time.Now(), 0
		err := Retry{}.do(t.Context(), func(error) {}, func() error { tries++; return errors.New("no") })
		if took := time.Since(began); err == nil || tries != 13 || took > 5*time.Minute || took < time.Second {
			t.Errorf("%d tries in %v, %v", tries, took, err)
		}
		tries = 0
		if err := (Retry{Attempts: -1}).do(t.Context(), func(error) {}, func() error { tries++; return errors.New("no") }); err == nil || tries != 1 {
			t.Errorf("%d tries, %v", tries, err)
		}
		for _, err := range []error{Permanent(errors.New("x")), fmt.Errorf("part: %w", ErrTaken), ErrDone, ErrLost} {
			tries = 0
			if got := (Retry{}).do(t.Context(), func(error) {}, func() error { tries++; return err }); !errors.Is(got, err) || tries != 1 {
				t.Errorf("%v: %d tries, %v", err, tries, got)
			}
		}
	})
}

func TestReasonsAreGroupedAndBounded(t *testing.T) {
	var r reasons
	for i := range 1000 {
		rec := Record{Index: "logs", Key: fmt.Appendf(nil, "AV%dx", i)}
		r.add(&rec, fmt.Errorf("failed to parse field [size] of type [long] in document with id 'AV%dx'. Preview: '%d MB'", i, i))
		r.add(&rec, fmt.Errorf("document AV%dx is %d bytes", i, i))
		r.add(&rec, errors.New("kind "+strings.Repeat("a", i)))
		r.add(&rec, errors.New(strings.Repeat("나루 ", 500)))
	}
	list := r.list()
	if len(list) != mostReasons+1 {
		t.Errorf("%d reasons", len(list))
	}
	total := int64(0)
	for i, reason := range list {
		total += reason.Count
		if len(reason.Message) > longestReason+len("…") || len(reason.Sample) > longestSample+len("…") {
			t.Errorf("%d bytes: %s", len(reason.Message), reason.Message)
		}
		if i > 0 && reason.Count > list[i-1].Count {
			t.Error("not the most frequent first")
		}
	}
	if total != 4000 {
		t.Errorf("%d counted", total)
	}
	want := Reason{
		Message: "failed to parse field [size] of type [long] in document with id '…'. Preview: '…'", Count: 1000,
		SampleIndex: "logs", SampleID: "AV0x", Sample: "failed to parse field [size] of type [long] in document with id 'AV0x'. Preview: '0 MB'",
	}
	if list[1] != want && list[2] != want && list[0] != want {
		t.Errorf("reasons %+v", list[:3])
	}
}

func TestAnApostropheIsNoQuotation(t *testing.T) {
	const message = "failed to parse field [request] of type [integer] in document with id 'n2Y'. Preview of field's value: '/goods/8' (HTTP status 400)"
	const want = "failed to parse field [request] of type [integer] in document with id '…'. Preview of field's value: '…' (HTTP status N)"
	if got := ReasonOf(message, "n2Y"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := ReasonOf(strings.ReplaceAll(message, "/goods/8", "it's 7"), "n2Y"); !strings.HasPrefix(got, want[:len(want)-30]) {
		t.Errorf("got %s", got)
	}
}

func TestTruncationKeepsCharactersWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "s"), rapid.IntRange(0, 20).Draw(t, "n")
		got := truncate(s, n)
		if len(got) > n+len("…") || !strings.HasPrefix(s, strings.TrimSuffix(got, "…")) || strings.ToValidUTF8(got, "?") != got {
			t.Fatalf("%q cut to %d is %q", s, n, got)
		}
	})
}

func TestADigestIsWhatItWasAfterAddingAndRemoving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Digest{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		b := Digest{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		sum := a
		sum.Merge(b)
		other := b
		other.Merge(a)
		if sum != other {
			t.Fatalf("%v + %v depends on the order", a, b)
		}
		sum.remove(b)
		if sum != a {
			t.Fatalf("%v + %v - %v = %v", a, b, b, sum)
		}
	})
}

func TestABatchIsReusedWithoutMixingItsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Batch
		for range 4 {
			sizes := rapid.SliceOfN(rapid.IntRange(0, 600<<10), 0, 20).Draw(t, "sizes")
			var got [][]byte
			sum := 0
			for i, n := range sizes {
				p := b.Alloc(n)
				if len(p) != n || cap(p) != n {
					t.Fatalf("%d of %d bytes", len(p), cap(p))
				}
				for j := range p {
					p[j] = byte(i)
				}
				got = append(got, p)
				sum += n
			}
			if b.Bytes() != sum {
				t.Fatalf("%d bytes, want %d", b.Bytes(), sum)
			}
			for i, p := range got {
				if bytes.Count(p, []byte{byte(i)}) != len(p) {
					t.Fatalf("request %d was overwritten", i)
				}
			}
			b.Reset()
			kept := 0
			for _, block := range b.free {
				kept += cap(block)
			}
			if kept > keepBytes || b.Bytes() != 0 {
				t.Fatalf("%d bytes kept", kept)
			}
		}
	})
}

func TestAReusedBatchAllocatesNothing(t *testing.T) {
	var b Batch
	fill := func() {
		for range 1000 {
			b.Records = append(b.Records, Record{Body: b.Alloc(3000)})
		}
		b.Reset()
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAPartsShareOfTheWorkGrowsWithItsRecords(t *testing.T) {
	p := &Part{Records: 1000, Bytes: 1 << 50}
	for read, want := range map[int64]int64{0: 0, 500: 1 << 49, 1000: 1 << 50, 5000: 1 << 50} {
		if got := share(p, read); got != want {
			t.Errorf("%d records: %d, want %d", read, got, want)
		}
	}
	if got := share(&Part{Bytes: 100}, 5); got != 0 {
		t.Errorf("of an unknown number: %d", got)
	}
}

func TestExpectationsComeFromTheSourceOrThePartsSeen(t *testing.T) {
	var p Progress
	p.describe([]Group{{Name: "described", Records: 100, Bytes: 1000}, {Name: "unknown", Records: -1}, {Name: "partly", Records: -1}})
	p.group("partly").seen(&Part{Records: 7, Bytes: 70})
	p.group("described").seen(&Part{Records: 7, Bytes: 70})
	s := p.Snapshot()
	var got []string
	for _, g := range append(s.Groups, s.Total) {
		got = append(got, fmt.Sprintf("%s %d records %d bytes %d parts", g.Name, g.ExpectedRecords, g.ExpectedBytes, g.Parts))
	}
	want := "described 100 records 1000 bytes 1 parts, unknown -1 records 0 bytes 0 parts, partly 7 records 70 bytes 1 parts,  -1 records 1070 bytes 2 parts"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestAReportIsJSON(t *testing.T) {
	var b books
	b.describe([]Group{{Name: "b", Records: 3, Grade: Partial, Why: "source excludes"}, {Name: "a", Records: 0, Grade: Lossless}})
	part := &Part{ID: "b/0", Group: "b"}
	b.seen(part)
	b.settle(part, Tally{Read: 1, Delivered: 1}, Tally{Read: 2, Dead: 2}, outcomeFailed)
	b.fail(part, errors.New("disk"))
	b.buried([]Record{{Index: "b", Key: []byte("x1")}}, []error{errors.New("too long")})
	report := b.report()
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"groups":[` +
		`{"name":"a","grade":"lossless","expected":0,"parts":0,"done":0,"tally":{"read":0,"delivered":0,"bytes":0,"digest":"00000000000000000000000000000000"},"run":{"read":0,"delivered":0,"bytes":0,"digest":"00000000000000000000000000000000"}},` +
		`{"name":"b","grade":"partial","why":"source excludes","expected":3,"parts":1,"done":0,"failed":1,"tally":{"read":3,"delivered":1,"dead":2,"bytes":0,"digest":"00000000000000000000000000000000"},"run":{"read":2,"delivered":0,"dead":2,"bytes":0,"digest":"00000000000000000000000000000000"}}],` +
		`"total":{"expected":3,"parts":1,"done":0,"failed":1,"tally":{"read":3,"delivered":1,"dead":2,"bytes":0,"digest":"00000000000000000000000000000000"},"run":{"read":2,"delivered":0,"dead":2,"bytes":0,"digest":"00000000000000000000000000000000"}},` +
		`"failed":[{"part":"b/0","group":"b","error":"disk"}],` +
		`"dead_letters":[{"message":"too long","count":1,"sample_index":"b","sample_id":"x1","sample":"too long"}],"planned":false,"elapsed_ns":0}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
