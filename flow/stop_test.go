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
