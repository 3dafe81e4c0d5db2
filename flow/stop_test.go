package flow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

// slowly is a Shelf.Before that takes its time.
func slowly(d time.Duration) func(context.Context, []flow.Record) error {
	return func(ctx context.Context, _ []flow.Record) error { return sleep(ctx, d) }
}

func TestADrainDeliversAndSavesWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := flowtest.NewFeed(4, 2, 1000)
		shelf := &flowtest.Shelf{Before: slowly(time.Second)}
		books := new(flowtest.Books)
		drain := make(chan struct{})
		time.AfterFunc(2500*time.Millisecond, func() { close(drain) })
		o := flow.Options{Workers: 2, InFlight: 3, BatchRecords: 10, Drain: drain}
		f := flow.Flow{Source: feed, Sink: shelf, Ledger: books}
		began := time.Now()
		report := run(t, f, o)
		if took := time.Since(began); took > 4500*time.Millisecond {
			t.Errorf("draining took until %v", took)
		}
		if !report.Drained || report.Complete() || report.Total.Failed != 0 {
			t.Errorf("report %+v", report)
		}
		n := int64(len(shelf.Records()))
		if n == 0 || n == 4000 || report.Total.Run.Delivered != n || int64(feed.Acknowledged()) != n {
			t.Errorf("%d written, %d reported, %d acknowledged", n, report.Total.Run.Delivered, feed.Acknowledged())
		}
		o.Drain = nil
		report = run(t, f, o)
		if !report.Complete() || report.Total.Run.Delivered != 4000-n || report.Total.Tally.Delivered != 4000 {
			t.Errorf("second run: %+v", report)
		}
		wantRecords(t, feed.All(), shelf.Records()) // each exactly once: nothing was written and not saved
	})
}

func TestADrainEndsWaitingForTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := flowtest.NewFeed(1, 1, 100)
		source := &hooks{Feed: feed}
		reads := 0
		source.read = func(ctx context.Context, _ flow.Part, _ *flow.Batch, read func() error) error {
			if reads++; reads > 3 {
				<-ctx.Done() // there is nothing to read any more
				return ctx.Err()
			}
			return read()
		}
		drain := make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(drain) })
		shelf := new(flowtest.Shelf)
		report := run(t, flow.Flow{Source: source, Sink: shelf}, flow.Options{BatchRecords: 10, Drain: drain})
		if !report.Drained || report.Total.Run.Delivered != 30 || report.Total.Failed != 0 {
			t.Errorf("report %+v", report)
		}
	})
}

func TestADrainBeforeTheStartReadsNothing(t *testing.T) {
	drain := make(chan struct{})
	close(drain)
	feed, shelf := flowtest.NewFeed(2, 1, 10), new(flowtest.Shelf)
	report := run(t, flow.Flow{Source: feed, Sink: shelf}, flow.Options{Drain: drain})
	if opened, _ := feed.Readers(); opened != 0 || !report.Drained || report.Complete() {
		t.Errorf("%d readers opened, report %+v", opened, report)
	}
}

func TestAHardStopReturnsAtOnceAndClaimsOnlyWhatIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := flowtest.NewFeed(3, 1, 1000)
		shelf := &flowtest.Shelf{Before: slowly(time.Second)}
		books := &diary{Ledger: new(flowtest.Books)}
		why := errors.New("second interrupt")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10500*time.Millisecond, func() { cancel(why) })
		began := time.Now()
		report, err := flow.Run(ctx, flow.Flow{Source: feed, Sink: shelf, Ledger: books},
			flow.Options{Workers: 1, InFlight: 1, BatchRecords: 10, SaveInterval: 4 * time.Second})
		if took := time.Since(began); took != 10500*time.Millisecond {
			t.Errorf("returned after %v", took)
		}
		if !errors.Is(err, why) || report.Drained || report.Complete() {
			t.Errorf("report %+v, %v", report, err)
		}
		saves := books.all()
		last := saves[len(saves)-1].cs[0].Tally
		if len(saves) != 2 || report.Total.Run != last || last.Delivered == 0 || last.Delivered >= int64(len(shelf.Records())) {
			t.Errorf("%d saves; reported %+v, saved %+v, written %d", len(saves), report.Total.Run, last, len(shelf.Records()))
		}
		if _, open := feed.Readers(); open != 0 {
			t.Errorf("%d readers are open", open)
		}
	})
}

func TestAPermanentErrorForAllStopsTheFlowAndSavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int64
		shelf := &flowtest.Shelf{Before: func(ctx context.Context, _ []flow.Record) error {
			if writes.Add(1) == 6 {
				return flow.Permanent(errors.New("no such cluster"))
			}
			return sleep(ctx, time.Second)
		}}
		books := new(flowtest.Books)
		report, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(1, 1, 1000), Sink: shelf, Ledger: books},
			flow.Options{InFlight: 1, BatchRecords: 10})
		if err == nil || !flow.IsPermanent(err) {
			t.Fatalf("error %v", err)
		}
		if report.Total.Run.Delivered != 50 || report.Complete() || books.Checkpoints()[0].Tally.Delivered != 50 {
			t.Errorf("report %+v", report)
		}
	})
}

func TestAWriteIsTriedAgainWithinItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		shelf := &flowtest.Shelf{Before: func(context.Context, []flow.Record) error {
			tries = append(tries, time.Now())
			return errors.New("busy")
		}}
		retry := flow.Retry{Attempts: 5, First: time.Second, Max: 3 * time.Second}
		_, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(1, 1, 10), Sink: shelf}, flow.Options{InFlight: 1, Retry: retry})
		if err == nil || len(tries) != 6 {
			t.Fatalf("%d tries, %v", len(tries), err)
		}
		waited := false
		for i, most := range []int{1, 2, 3, 3, 3} {
			wait := tries[i+1].Sub(tries[i])
			waited = waited || wait > 0
			if wait > time.Duration(most)*time.Second {
				t.Errorf("wait %d took %v", i, wait)
			}
		}
		if !waited {
			t.Error("never waited")
		}
	})
}

func TestAWriteThatSucceedsLaterIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		shelf := &flowtest.Shelf{Before: func(context.Context, []flow.Record) error {
			if n.Add(1)%3 != 0 {
				return errors.New("busy")
			}
			return nil
		}}
		feed := flowtest.NewFeed(3, 1, 100)
		report := run(t, flow.Flow{Source: feed, Sink: shelf}, flow.Options{BatchRecords: 7})
		wantRecords(t, feed.All(), shelf.Records())
		if report.Total.Run.Delivered != 300 {
			t.Errorf("report %+v", report)
		}
	})
}

func TestASinkThatTakesLittleAtATimeIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := &flowtest.Shelf{Before: func(_ context.Context, recs []flow.Record) error {
			var fs flow.Failures
			for i := range recs[1:] {
				fs = append(fs, flow.Failure{Index: i + 1, Err: errors.New("queue full")})
			}
			return fs
		}}
		feed := flowtest.NewFeed(1, 1, 20)
		run(t, flow.Flow{Source: feed, Sink: shelf}, flow.Options{Retry: flow.Retry{Attempts: 1}})
		wantRecords(t, feed.All(), shelf.Records())
	})
}

func TestOnlyRecordsThatFailedAreWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		shelf := new(flowtest.Shelf)
		shelf.Before = func(_ context.Context, recs []flow.Record) error {
			sizes = append(sizes, len(recs))
			if len(recs) == 1 {
				return nil
			}
			var fs flow.Failures
			for i := range recs {
				switch {
				case i%5 == 0:
					fs = append(fs, flow.Failure{Index: i, Err: flow.Permanent(fmt.Errorf("field %q of document %d is no date", recs[i].Key, i))})
				case i%2 == 0:
					fs = append(fs, flow.Failure{Index: i, Err: errors.New("queue full")})
				}
			}
			return fmt.Errorf("bulk: %w", fs)
		}
		feed := flowtest.NewFeed(1, 1, 20)
		f := flow.Flow{Source: feed, Sink: sole{shelf}, DeadLetters: shelf}
		report := run(t, f, flow.Options{})
		if !slices.Equal(sizes, []int{20, 8, 3, 1}) {
			t.Errorf("wrote %v records", sizes)
		}
		dead, why := shelf.Dead()
		wantRecords(t, feed.All(), append(shelf.Records(), dead...))
		if len(dead) != 4+2+1 || !flow.IsPermanent(why[0]) {
			t.Errorf("%d dead letters, %v", len(dead), why)
		}
		total := report.Total.Run
		if total.Read != 20 || total.Delivered != 13 || total.Dead != 7 || total.Digest != flowtest.Digest(shelf.Records()) {
			t.Errorf("report %+v", total)
		}
		if len(report.Reasons) != 1 || report.Reasons[0].Count != 7 || report.Reasons[0].SampleID != "0-0" ||
			report.Reasons[0].Message != "field '…' of document N is no date" {
			t.Errorf("reasons %+v", report.Reasons)
		}
	})
}

func TestWithoutDeadLettersTheFirstRefusalStopsTheFlow(t *testing.T) {
	refuse := func(context.Context, []flow.Record) error {
		return flow.Failures{{Index: 1, Err: flow.Permanent(errors.New("too long"))}}
	}
	feed := flowtest.NewFeed(1, 1, 10)
	report, err := flow.Run(t.Context(), flow.Flow{Source: feed, Sink: sole{&flowtest.Shelf{Before: refuse}}}, flow.Options{})
	if err == nil || report.Total.Run.Read != 0 || report.Complete() {
		t.Errorf("report %+v, %v", report, err)
	}
}

// undertaker is DeadLetters that cannot bury.
type undertaker struct {
	flow.Sink
	calls int
}

func (u *undertaker) Bury(context.Context, []flow.Record, []error) error {
	u.calls++
	return errors.New("the ground is frozen")
}

func TestDeadLettersThatCannotBeBuriedStopTheFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := &flowtest.Shelf{Before: func(context.Context, []flow.Record) error {
			return flow.Failures{{Index: 0, Err: flow.Permanent(errors.New("too long"))}}
		}}
		u := &undertaker{Sink: shelf}
		report, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(1, 1, 10), Sink: u}, flow.Options{Retry: flow.Retry{Attempts: 2}})
		if err == nil || u.calls != 3 || report.Total.Run.Read != 0 || len(report.Reasons) != 0 {
			t.Errorf("%d calls, report %+v, %v", u.calls, report, err)
		}
	})
}

func TestFailuresOfNoRecordStopTheFlow(t *testing.T) {
	for _, index := range []int{-1, 10} {
		shelf := &flowtest.Shelf{Before: func(context.Context, []flow.Record) error {
			return flow.Failures{{Index: index, Err: flow.Permanent(errors.New("odd"))}}
		}}
		if report, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(1, 1, 10), Sink: shelf}, flow.Options{}); err == nil {
			t.Errorf("index %d: %+v", index, report)
		}
	}
}

// hung is a Shelf.Before that never comes back by itself.
func hung(ctx context.Context, _ []flow.Record) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestADrainGivesUpWhatNoLongerGetsOn(t *testing.T) {
	const second = time.Second
	refused := errors.New("connection refused")
	for _, gone := range []struct {
		name        string
		write       func(context.Context, []flow.Record) error // from three seconds on
		save        error
		least, most time.Duration // when it ends
	}{
		{"writes hang", hung, nil, 10 * second, 12 * second},
		{"writes fail", func(context.Context, []flow.Record) error { return refused }, nil, 6 * second, 9 * second},
		{"saves fail", nil, refused, 6 * second, 9 * second},
		{"both fail", hung, refused, 6 * second, 9 * second},
	} {
		t.Run(gone.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				away := func() bool { return time.Since(began) > 3*time.Second }
				shelf := &flowtest.Shelf{Before: func(ctx context.Context, recs []flow.Record) error {
					if gone.write != nil && away() {
						return gone.write(ctx, recs)
					}
					return sleep(ctx, 500*time.Millisecond)
				}}
				books := new(flowtest.Books)
				ledger := &diary{Ledger: books, fail: func([]flow.Checkpoint) error {
					if away() {
						return gone.save
					}
					return nil
				}}
				drain := make(chan struct{})
				time.AfterFunc(4*time.Second, func() { close(drain) })
				feed := flowtest.NewFeed(3, 1, 1000)
				f := flow.Flow{Source: feed, Sink: shelf, Ledger: ledger}
				o := flow.Options{
					Workers: 2, BatchRecords: 10, SaveInterval: time.Second, Drain: drain,
					DrainPatience: 6 * time.Second, LedgerPatience: time.Hour, Retry: flow.Retry{Attempts: 1000, Max: time.Second},
				}
				report, err := flow.Run(t.Context(), f, o)
				if !errors.Is(err, flow.ErrUndrained) || report.Complete() {
					t.Errorf("report %+v, %v", report.Total, err)
				}
				if took := time.Since(began); took < gone.least || took > gone.most {
					t.Errorf("ended after %v", took)
				}
				saved := books.Checkpoints()
				if len(saved) != 2 || report.Total.Run.Delivered != saved[0].Tally.Delivered+saved[1].Tally.Delivered || report.Total.Run.Delivered == 0 {
					t.Errorf("reported %+v, saved %+v", report.Total.Run, saved)
				}
				f.Sink, f.Ledger, o.Drain = sole{shelf}, books, nil
				shelf.Before = nil
				if report = run(t, f, o); !report.Complete() || report.Total.Tally.Delivered != 3000 {
					t.Errorf("the next run: %+v", report.Total)
				}
				seen := map[string]bool{}
				for _, r := range shelf.Records() {
					seen[r.Index+"/"+string(r.Key)] = true
				}
				if len(seen) != 3000 {
					t.Errorf("%d of 3000 records have arrived", len(seen))
				}
			})
		})
	}
}

func TestADrainThatGetsOnSlowlyIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := new(flowtest.Shelf)
		turn := make(chan struct{}, 1)
		shelf.Before = func(ctx context.Context, _ []flow.Record) error { // one after the other, 8 s each
			turn <- struct{}{}
			defer func() { <-turn }()
			return sleep(ctx, 8*time.Second)
		}
		drain := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(drain) })
		books := new(flowtest.Books)
		began := time.Now()
		report := run(t, flow.Flow{Source: flowtest.NewFeed(2, 1, 1000), Sink: shelf, Ledger: books},
			flow.Options{Workers: 2, InFlight: 4, BatchRecords: 10, Drain: drain, SaveInterval: time.Second})
		if took := time.Since(began); took < 60*time.Second {
			t.Errorf("ended after %v", took)
		}
		if n := int64(len(shelf.Records())); !report.Drained || report.Total.Run.Delivered != n || n < 80 {
			t.Errorf("%d delivered, report %+v", n, report.Total)
		}
	})
}

// prepared is a sink whose preparation and end are functions.
type prepared struct {
	flow.Sink
	prepare, finish func(context.Context) error
}

func (p *prepared) Prepare(ctx context.Context, _ []flow.Group) error { return p.prepare(ctx) }
func (p *prepared) Finish(ctx context.Context) error                  { return p.finish(ctx) }

func TestADrainEndsAPreparationAndGivesTheEndAWhile(t *testing.T) {
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	fine := func(context.Context) error { return nil }
	synctest.Test(t, func(t *testing.T) {
		drain := make(chan struct{})
		time.AfterFunc(time.Minute, func() { close(drain) })
		feed, shelf := flowtest.NewFeed(2, 1, 10), new(flowtest.Shelf)
		began := time.Now()
		report := run(t, flow.Flow{Source: feed, Sink: &prepared{shelf, wait, fine}}, flow.Options{Drain: drain})
		if opened, _ := feed.Readers(); opened != 0 || !report.Drained || report.Complete() || time.Since(began) != time.Minute {
			t.Errorf("%d readers opened, report %+v, after %v", opened, report, time.Since(began))
		}

		again := make(chan struct{})
		time.AfterFunc(time.Minute, func() { close(again) })
		began = time.Now()
		report, err := flow.Run(t.Context(), flow.Flow{Source: feed, Sink: &prepared{shelf, fine, wait}}, flow.Options{Drain: again})
		if !errors.Is(err, flow.ErrUndrained) || report.Total.Run.Delivered != 20 || time.Since(began) != 70*time.Second {
			t.Errorf("report %+v, %v, after %v", report, err, time.Since(began))
		}

		// An end that a drain does not hold up is none of its business.
		report, err = flow.Run(t.Context(), flow.Flow{Source: feed, Sink: &prepared{shelf, fine, fine}}, flow.Options{})
		if err != nil || !report.Complete() {
			t.Errorf("report %+v, %v", report, err)
		}
	})
}

func TestALedgerIsWaitedForAsLongAsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		books := &diary{Ledger: new(flowtest.Books), fail: func([]flow.Checkpoint) error {
			if at := time.Since(began); at > 5*time.Second && at < 20*time.Minute {
				return errors.New("connection refused")
			}
			return nil
		}}
		o := flow.Options{Workers: 1, InFlight: 1, BatchRecords: 10, LedgerPatience: 30 * time.Minute}
		f := flow.Flow{Source: flowtest.NewFeed(1, 1, 100), Sink: &flowtest.Shelf{Before: slowly(time.Second)}, Ledger: books}
		if report := run(t, f, o); !report.Complete() {
			t.Errorf("report %+v", report)
		}
		began = time.Now()
		o.LedgerPatience = 10 * time.Minute
		f.Ledger = &diary{Ledger: new(flowtest.Books), fail: books.fail}
		if _, err := flow.Run(t.Context(), f, o); err == nil || time.Since(began) < 10*time.Minute || time.Since(began) > 12*time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
