package flowtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
)

// World is where Chaos reigns.
type World struct {
	Feed *Feed
	// Open opens the sink and its ledger, the first time and after each crash; dead letters are nil if the
	// sink has its own.
	Open func(t *testing.T) (flow.Sink, flow.Ledger, flow.DeadLetters)
	// Crash leaves them as the death of the process does.
	Crash func(t *testing.T, s flow.Sink, l flow.Ledger)
	// Records gives what is in the sink, Dead the dead letters; after Crash.
	Records, Dead func(t *testing.T) []flow.Record
	// Once says that the sink is transactional: each record must be there exactly once, and whenever the
	// process dies exactly those must be there that the checkpoints account for. Else: at least once.
	Once bool
	// Stages that drop or change nothing, if any.
	Stages []flow.Stage
}

// Chaos runs a flow again and again, with failures at every call, drains and kills at random moments, until
// it is complete. Then nothing may be lost, nothing doubled but as the sink's grade allows, and the books
// must add up. It prints its seed.
func Chaos(t *testing.T, w World) {
	seed := Seed(t)
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test that can be repeated
	const mostRuns = 300
	for n := range mostRuns {
		rate := 0.02 + 0.1*rng.Float64()
		if n > 40 {
			rate = 0 // it must come to an end
		}
		trouble := NewTrouble(rng.Uint64(), rate)
		trouble.Slow = time.Duration(1+rng.IntN(1000)) * time.Microsecond
		trouble.Ambiguous = rng.IntN(2) == 0
		o := flow.Options{
			Workers: 1 + rng.IntN(4), InFlight: 1 + rng.IntN(4), BatchRecords: 1 + rng.IntN(60), MemoryBytes: 1 << (10 + rng.IntN(12)),
			SaveInterval: time.Duration(1+rng.IntN(20)) * time.Millisecond,
			Retry:        flow.Retry{Attempts: 4, First: time.Millisecond, Max: 4 * time.Millisecond},
		}
		ctx, cancel := context.WithCancel(t.Context())
		after := time.Duration(rng.IntN(10_000*(1+n))) * time.Microsecond
		var timer *time.Timer
		switch rng.IntN(5) {
		case 0, 1:
			timer = time.AfterFunc(after, cancel)
		case 2, 3:
			drain := make(chan struct{})
			o.Drain = drain
			timer = time.AfterFunc(after, func() { close(drain) })
		}
		sink, ledger, dead := w.Open(t)
		report, err := flow.Run(ctx, flow.Flow{
			Source: trouble.Source(w.Feed), Stages: w.Stages, Sink: trouble.Sink(sink), Ledger: trouble.Ledger(ledger), DeadLetters: dead,
		}, o)
		if timer != nil {
			timer.Stop()
		}
		cancel()
		if err != nil && !errors.Is(err, ErrTrouble) && !errors.Is(err, context.Canceled) {
			t.Fatalf("run %d: %v", n, err)
		}
		if _, open := w.Feed.Readers(); open != 0 {
			t.Fatalf("run %d left %d readers open", n, open)
		}
		kept := ledger.(interface{ Checkpoints() []flow.Checkpoint }).Checkpoints()
		w.Crash(t, sink, ledger)
		w.check(t, n, &report, kept)
		if t.Failed() {
			return
		}
		if err == nil && report.Complete() {
			t.Logf("complete after %d runs", n+1)
			w.checkComplete(t, &report)
			return
		}
	}
	t.Fatalf("not complete after %d runs", mostRuns)
}

// check compares what a run says with what outlasted it.
func (w *World) check(t *testing.T, n int, report *flow.Report, kept []flow.Checkpoint) {
	t.Helper()
	var saved flow.Tally
	for _, cp := range kept {
		saved.Add(cp.Tally)
		if cp.Tally.Read != cp.Tally.Delivered+cp.Tally.Dead+cp.Tally.Dropped {
			t.Errorf("run %d: the books of part %s do not add up: %+v", n, cp.Part, cp.Tally)
		}
	}
	if report.Total.Tally.Read > saved.Read {
		t.Errorf("run %d claims %d records of which %d are saved", n, report.Total.Tally.Read, saved.Read)
	}
	if !w.Once {
		return
	}
	got := w.Records(t)
	if d := Digest(got); d != saved.Digest || int64(len(got)) != saved.Delivered {
		t.Errorf("run %d: %d records with digest %v are there, %d with %v are accounted for", n, len(got), d, saved.Delivered, saved.Digest)
	}
	if dead := w.Dead(t); int64(len(dead)) != saved.Dead {
		t.Errorf("run %d: %d dead letters are there, %d are accounted for", n, len(dead), saved.Dead)
	}
}

func (w *World) checkComplete(t *testing.T, report *flow.Report) {
	t.Helper()
	var want, refused []flow.Record
	for _, r := range w.Feed.All() {
		if Refuses(&r) {
			refused = append(refused, r)
		} else {
			want = append(want, r)
		}
	}
	got, dead := w.Records(t), w.Dead(t)
	if !w.Once {
		got, dead = unique(got), unique(dead)
	}
	if diff := Diff(want, got); diff != "" {
		t.Errorf("records: %s", diff)
	}
	if diff := Diff(refused, dead); diff != "" {
		t.Errorf("dead letters: %s", diff)
	}
	total := report.Total.Tally
	if total.Read != int64(len(want)+len(refused)) || total.Delivered != int64(len(want)) || total.Dead != int64(len(refused)) ||
		total.Dropped != 0 || total.Digest != Digest(want) {
		t.Errorf("the books say %+v; want %d delivered, %d dead, digest %v", total, len(want), len(refused), Digest(want))
	}
}

// unique leaves one of equal records.
func unique(recs []flow.Record) []flow.Record {
	seen := make(map[string]bool)
	var out []flow.Record
	for i := range recs {
		if text := show(&recs[i]); !seen[text] {
			seen[text] = true
			out = append(out, recs[i])
		}
	}
	return out
}
