package flow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func TestStagesDropAddAlterAndRejectAndTheBooksAddUp(t *testing.T) {
	drop := stage(func(_ context.Context, b *flow.Batch) error {
		kept := b.Records[:0]
		for _, r := range b.Records {
			if !strings.HasSuffix(string(r.Key), "1") {
				kept = append(kept, r)
			}
		}
		b.Records = kept
		return nil
	})
	reject := stage(func(_ context.Context, b *flow.Batch) error {
		var fs flow.Failures
		for i, r := range b.Records {
			if strings.HasSuffix(string(r.Key), "2") {
				fs = append(fs, flow.Failure{Index: i, Err: fmt.Errorf("%s is no JSON", r.Key)})
			}
		}
		if fs == nil {
			return nil
		}
		return fs
	})
	double := stage(func(_ context.Context, b *flow.Batch) error {
		for _, r := range b.Records {
			r.Key = b.Copy(append([]byte("copy-"), r.Key...))
			r.Body = nil
			b.Records = append(b.Records, r)
		}
		return nil
	})
	feed, shelf, books := flowtest.NewFeed(3, 1, 100), new(flowtest.Shelf), new(flowtest.Books)
	report := run(t, flow.Flow{Source: feed, Stages: []flow.Stage{drop, reject, double}, Sink: shelf, Ledger: books}, flow.Options{BatchRecords: 7})
	dead, why := shelf.Dead()
	got := report.Total.Run
	if got.Read != 300 || got.Delivered != 480 || got.Dead != 30 || got.Dropped != 30-240 || got.Bodiless != 240 || got.Digest != flowtest.Digest(shelf.Records()) {
		t.Errorf("report %+v", got)
	}
	if len(shelf.Records()) != 480 || len(dead) != 30 || !strings.HasSuffix(why[0].Error(), "is no JSON") || string(dead[0].Body) == "" {
		t.Errorf("%d records, %d dead letters", len(shelf.Records()), len(dead))
	}
	if len(report.Reasons) != 1 || report.Reasons[0].Message != "… is no JSON" || report.Reasons[0].Count != 30 {
		t.Errorf("reasons %+v", report.Reasons)
	}
}

func TestAStageThatFailsStopsTheFlow(t *testing.T) {
	odd := errors.New("no key is set")
	for name, s := range map[string]flow.Stage{
		"for all":              stage(func(context.Context, *flow.Batch) error { return odd }),
		"for a record too far": stage(func(context.Context, *flow.Batch) error { return flow.Failures{{Index: 10, Err: odd}} }),
	} {
		shelf := new(flowtest.Shelf)
		report, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(1, 1, 10), Stages: []flow.Stage{s}, Sink: shelf}, flow.Options{})
		if !errors.Is(err, odd) || report.Total.Run.Read != 0 || len(shelf.Records()) != 0 {
			t.Errorf("%s: report %+v, %v", name, report, err)
		}
	}
}

func TestNoPositionIsSavedWhileAStageHoldsRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := flowtest.NewFeed(1, 1, 100)
		shelf := &flowtest.Shelf{Before: slowly(time.Second)}
		source := &hooks{Feed: feed, read: func(ctx context.Context, _ flow.Part, _ *flow.Batch, read func() error) error {
			if err := sleep(ctx, time.Second); err != nil {
				return err
			}
			return read()
		}}
		books := &diary{Ledger: new(flowtest.Books)}
		f := flow.Flow{Source: source, Stages: []flow.Stage{&hoarder{keep: 35}}, Sink: shelf, Ledger: books}
		run(t, f, flow.Options{BatchRecords: 10, SaveInterval: time.Second})
		for _, e := range books.all() {
			// 40 records go on at a time; the last 20 are flushed.
			if tally := e.cs[0].Tally; tally.Read%40 != 0 && tally.Read != 100 || tally.Read != tally.Delivered || tally.Dropped != 0 {
				t.Errorf("saved %+v", tally)
			}
		}
		wantRecords(t, feed.All(), shelf.Records())
	})
}

func TestADrainFlushesWhatStagesHold(t *testing.T) {
	for _, sink := range []string{"plain", "transactional"} {
		synctest.Test(t, func(t *testing.T) {
			feed := flowtest.NewFeed(1, 1, 100)
			source := &hooks{Feed: feed, read: func(ctx context.Context, _ flow.Part, _ *flow.Batch, read func() error) error {
				if err := sleep(ctx, time.Second); err != nil {
					return err
				}
				return read()
			}}
			shelf, vault := new(flowtest.Shelf), flowtest.NewVault()
			f := flow.Flow{Source: source, Stages: []flow.Stage{&hoarder{keep: 1000}}, Sink: shelf, Ledger: new(flowtest.Books)}
			there := shelf.Records
			if sink == "transactional" {
				f.Sink, f.Ledger, there = vault, vault, vault.Records
			}
			drain := make(chan struct{})
			time.AfterFunc(5500*time.Millisecond, func() { close(drain) })
			report := run(t, f, flow.Options{BatchRecords: 10, Drain: drain})
			if !report.Drained || report.Total.Run.Delivered != 50 || len(there()) != 50 {
				t.Errorf("%s: %d records, report %+v", sink, len(there()), report)
			}
			if sink == "transactional" {
				vault = vault.Crash()
				f.Sink, f.Ledger, there = vault, vault, vault.Records
			}
			run(t, f, flow.Options{BatchRecords: 10})
			wantRecords(t, feed.All(), there())
		})
	}
}

// miser is a stage that does not let go.
type miser struct{ hoarder }

func (*miser) Fork() flow.Stage                         { return &miser{hoarder{keep: 1000}} }
func (*miser) Flush(context.Context, *flow.Batch) error { return nil }

func TestAStageThatDoesNotLetGoStopsTheFlow(t *testing.T) {
	report, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(1, 1, 10), Stages: []flow.Stage{new(miser)}, Sink: new(flowtest.Shelf)}, flow.Options{})
	if err == nil || !strings.Contains(err.Error(), "still holds 10 records") || report.Complete() {
		t.Errorf("report %+v, %v", report, err)
	}
}

// unforked hides Fork.
type unforked struct{ flow.Flusher }

func TestAStageThatHoldsRecordsMustBeForked(t *testing.T) {
	_, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(1, 1, 10), Stages: []flow.Stage{unforked{new(hoarder)}}, Sink: new(flowtest.Shelf)}, flow.Options{})
	if err == nil || !strings.Contains(err.Error(), "forked") {
		t.Errorf("error %v", err)
	}
}
