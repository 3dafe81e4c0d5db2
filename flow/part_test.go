package flow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func TestADamagedPartFailsAndTheRestGoesOn(t *testing.T) {
	damage := flow.Permanent(errors.New("segment _7k: checksum does not match"))
	for name, source := range map[string]*hooks{
		"reading": {read: func(_ context.Context, p flow.Part, b *flow.Batch, read func() error) error {
			err := read()
			if p.ID == "index-1/0" && string(b.Records[0].Key) == "1-30" {
				return damage
			}
			return err
		}},
		"opening at a position": {open: func(p flow.Part, from flow.Position) error {
			if p.ID == "index-1/0" && len(from) > 0 {
				return damage
			}
			return nil
		}, read: func(_ context.Context, p flow.Part, b *flow.Batch, read func() error) error {
			err := read()
			if p.ID == "index-1/0" && string(b.Records[0].Key) == "1-30" {
				return errors.New("connection reset")
			}
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source.Feed = flowtest.NewFeed(6, 3, 100)
				source.EndWithLast = true
				vault := flowtest.NewVault()
				report := run(t, flow.Flow{Source: source, Sink: vault, Ledger: vault}, flow.Options{BatchRecords: 10})
				if len(report.Failed) != 1 || report.Failed[0].Part != "index-1/0" || report.Failed[0].Group != "index-1" ||
					!errors.Is(report.Failed[0].Err, damage) || !strings.Contains(report.Failed[0].Error, "checksum") {
					t.Errorf("failures %+v", report.Failed)
				}
				if report.Complete() || vault.Finished() || report.Total.Done != 5 || report.Total.Failed != 1 || report.Groups[1].Failed != 1 {
					t.Errorf("report %+v", report)
				}
				if got := report.Total.Run; got.Delivered != 530 || len(vault.Records()) != 530 {
					t.Errorf("%d delivered, %d there", got.Delivered, len(vault.Records()))
				}
				// Another run goes on behind what was read, once the damage is mended.
				mended := vault.Crash()
				report = run(t, flow.Flow{Source: source.Feed, Sink: mended, Ledger: mended}, flow.Options{})
				if !report.Complete() || !mended.Finished() || report.Total.Run.Read != 70 || report.Total.Earlier != 5 {
					t.Errorf("second run %+v", report.Total)
				}
				wantRecords(t, source.All(), mended.Records())
			})
		})
	}
}

func TestAReaderThatFailsForNowIsReopenedWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		source := &hooks{Feed: flowtest.NewFeed(1, 1, 100), read: func(_ context.Context, _ flow.Part, b *flow.Batch, read func() error) error {
			err := read()
			if n++; n%2 == 0 {
				if n%4 == 0 {
					return fmt.Errorf("connection broke: %w", io.EOF) // no end
				}
				return errors.New("connection reset")
			}
			return err
		}}
		shelf := new(flowtest.Shelf)
		report := run(t, flow.Flow{Source: source, Sink: shelf}, flow.Options{BatchRecords: 9, Retry: flow.Retry{Attempts: 1}})
		if !report.Complete() {
			t.Errorf("report %+v", report)
		}
		wantRecords(t, source.All(), shelf.Records())
		if opened, open := source.Readers(); opened < 10 || open != 0 {
			t.Errorf("%d readers opened, %d open", opened, open)
		}
	})
}

func TestAReaderThatKeepsFailingFailsItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opens := 0
		source := &hooks{Feed: flowtest.NewFeed(2, 1, 10), open: func(p flow.Part, _ flow.Position) error {
			if p.ID == "index-0/1" {
				opens++
				return errors.New("host unreachable")
			}
			return nil
		}}
		report := run(t, flow.Flow{Source: source, Sink: new(flowtest.Shelf)}, flow.Options{Retry: flow.Retry{Attempts: 3}})
		if opens != 4 || report.Total.Failed != 1 || report.Total.Done != 1 {
			t.Errorf("%d opens, report %+v", opens, report)
		}
	})
}

func TestRecordsWithoutAPositionFailTheirPart(t *testing.T) {
	source := &hooks{Feed: flowtest.NewFeed(1, 1, 10), read: func(_ context.Context, _ flow.Part, b *flow.Batch, read func() error) error {
		err := read()
		b.Next = nil
		return err
	}}
	report := run(t, flow.Flow{Source: source, Sink: new(flowtest.Shelf)}, flow.Options{BatchRecords: 3})
	if report.Total.Failed != 1 || report.Total.Run.Read != 0 {
		t.Errorf("report %+v", report)
	}
}

func TestAPartThatCannotBePlannedFails(t *testing.T) {
	feed := flowtest.NewFeed(3, 3, 10)
	feed.Pieces[1].Broken = errors.New("shard 0 has no metadata")
	progress := new(flow.Progress)
	report := run(t, flow.Flow{Source: feed, Sink: new(flowtest.Shelf)}, flow.Options{Progress: progress})
	if report.Total.Parts != 3 || report.Total.Done != 2 || report.Total.Failed != 1 || len(report.Failed) != 1 || report.Complete() {
		t.Errorf("report %+v", report)
	}
	if s := progress.Snapshot(); s.Total.Failed != 1 || !s.Planned {
		t.Errorf("progress %+v", s)
	}
}

// unlisted is a source whose parts cannot be listed to their end.
type unlisted struct{ *flowtest.Feed }

func (u unlisted) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for p, err := range u.Feed.Parts(ctx) {
			if !yield(p, err) {
				return
			}
		}
		yield(flow.Part{}, errors.New("listing: access denied"))
	}
}

func TestPartsThatCannotBeListedStopTheFlow(t *testing.T) {
	report, err := flow.Run(t.Context(), flow.Flow{Source: unlisted{flowtest.NewFeed(2, 1, 10)}, Sink: new(flowtest.Shelf)}, flow.Options{})
	if err == nil || !strings.Contains(err.Error(), "access denied") || report.Complete() || report.Planned {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestDoneAndTakenPartsAreBooked(t *testing.T) {
	feed := flowtest.NewFeed(4, 2, 50)
	books := new(flowtest.Books)
	shelf := new(flowtest.Shelf)
	one := &flowtest.Feed{Pieces: feed.Pieces[:1]}
	run(t, flow.Flow{Source: one, Sink: shelf, Ledger: books}, flow.Options{})
	if _, err := books.Claim(t.Context(), feed.Pieces[1].Part); err != nil { // by another worker
		t.Fatal(err)
	}
	progress := new(flow.Progress)
	f := flow.Flow{Source: feed, Sink: shelf, Ledger: books}
	report := run(t, f, flow.Options{Progress: progress})
	if got := report.Total; got.Parts != 4 || got.Done != 3 || got.Earlier != 1 || got.Taken != 1 || report.Complete() ||
		got.Tally.Read != 150 || got.Run.Read != 100 || got.Run.Digest == got.Tally.Digest {
		t.Errorf("report %+v", report)
	}
	got := progress.Snapshot().Total
	if got.Done != 3 || got.Taken != 1 || got.Records != 150 || got.EarlierRecords != 50 || got.Bytes != 15000 || got.EarlierBytes != 5000 {
		t.Errorf("progress %+v", got)
	}
	if err := books.Release(t.Context(), feed.Pieces[1].ID); err != nil {
		t.Fatal(err)
	}
	report = run(t, f, flow.Options{})
	if got := report.Total; !report.Complete() || got.Earlier != 3 || got.Run.Read != 50 || got.Tally.Digest != flowtest.Digest(feed.All()) {
		t.Errorf("last run %+v", report)
	}
	wantRecords(t, feed.All(), shelf.Records())
}

func TestTheSourceIsToldAfterTheLedgerAndTheLedgerAfterTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards the counts
		written, saved := map[string]int64{}, map[string]int64{}
		shelf := &flowtest.Shelf{Before: func(ctx context.Context, recs []flow.Record) error {
			if err := sleep(ctx, 30*time.Millisecond); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			written[recs[0].Index] += int64(len(recs))
			return nil
		}}
		books := &diary{Ledger: new(flowtest.Books)}
		books.fail = func(cs []flow.Checkpoint) error {
			mu.Lock()
			defer mu.Unlock()
			for _, cp := range cs {
				if cp.Tally.Delivered > written[cp.Group] {
					t.Errorf("saved %d of %s, of which %d are written", cp.Tally.Delivered, cp.Group, written[cp.Group])
				}
				saved[cp.Group] = cp.Tally.Delivered
			}
			return nil
		}
		acks := 0
		source := &hooks{Feed: flowtest.NewFeed(3, 3, 500)}
		source.ack = func(p flow.Part, next flow.Position) error {
			mu.Lock()
			defer mu.Unlock()
			acks++
			if n := int64(next[6])<<8 | int64(next[7]); n > saved[p.Group] {
				t.Errorf("acknowledged %d of %s, of which %d are saved", n, p.Group, saved[p.Group])
			}
			return nil
		}
		run(t, flow.Flow{Source: source, Sink: shelf, Ledger: books}, flow.Options{BatchRecords: 10, SaveInterval: 100 * time.Millisecond})
		if acks < 10 || source.Acknowledged() != 1500 {
			t.Errorf("%d acknowledgements up to %d", acks, source.Acknowledged())
		}
	})
}

func TestCheckpointsAreSavedAtIntervalsAlsoWhileTheSourceWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		source := &hooks{Feed: flowtest.NewFeed(1, 1, 100), read: func(ctx context.Context, _ flow.Part, _ *flow.Batch, read func() error) error {
			if reads++; reads == 3 {
				if err := sleep(ctx, time.Hour); err != nil {
					return err
				}
			}
			return read()
		}}
		books := &diary{Ledger: new(flowtest.Books)}
		began := time.Now()
		run(t, flow.Flow{Source: source, Sink: new(flowtest.Shelf), Ledger: books}, flow.Options{BatchRecords: 10, SaveInterval: time.Minute})
		saves := books.all()
		if first := saves[0]; first.at.Sub(began) != time.Minute || first.cs[0].Tally.Delivered != 20 || first.cs[0].Done {
			t.Errorf("first save after %v: %+v", first.at.Sub(began), first.cs)
		}
		for i := range saves[1:] {
			if gap := saves[i+1].at.Sub(saves[i].at); gap > time.Minute {
				t.Errorf("%v between saves", gap)
			}
		}
		if last := saves[len(saves)-1].cs[0]; !last.Done || last.Tally.Delivered != 100 {
			t.Errorf("last save %+v", last)
		}
	})
}

func TestAFailingLedgerIsTriedAgainAndThenStopsTheFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left on device")
		fails := 2
		books := &diary{Ledger: new(flowtest.Books), fail: func([]flow.Checkpoint) error {
			if fails--; fails >= 0 {
				return full
			}
			return nil
		}}
		f := flow.Flow{Source: flowtest.NewFeed(1, 1, 10), Sink: new(flowtest.Shelf), Ledger: books}
		if report := run(t, f, flow.Options{}); !report.Complete() {
			t.Errorf("report %+v", report)
		}
		fails = 1000
		f.Ledger = &diary{Ledger: new(flowtest.Books), fail: books.fail}
		report, err := flow.Run(t.Context(), f, flow.Options{})
		if !errors.Is(err, full) || report.Complete() || report.Total.Run.Read != 0 {
			t.Errorf("report %+v, %v", report, err)
		}
	})
}

func TestALostPartIsDroppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		books := &diary{Ledger: new(flowtest.Books), fail: func(cs []flow.Checkpoint) error {
			if cs[0].Part == "index-0/0" && cs[0].Tally.Read > 0 {
				return fmt.Errorf("lease expired: %w", flow.ErrLost)
			}
			return nil
		}}
		shelf := &flowtest.Shelf{Before: slowly(time.Second)}
		feed := flowtest.NewFeed(2, 1, 1000)
		report := run(t, flow.Flow{Source: feed, Sink: shelf, Ledger: books},
			flow.Options{Workers: 2, InFlight: 1, BatchRecords: 10, SaveInterval: 5 * time.Second})
		if report.Total.Taken != 1 || report.Total.Done != 1 || report.Total.Failed != 0 || report.Complete() {
			t.Errorf("report %+v", report.Total)
		}
		lost := 0
		for _, r := range shelf.Records() {
			if strings.HasPrefix(string(r.Key), "0-") {
				lost++
			}
		}
		if lost == 0 || lost > 60 {
			t.Errorf("%d records of the lost part were written", lost)
		}
	})
}

func TestBooksThatDoNotAddUpStopTheFlow(t *testing.T) {
	books := new(flowtest.Books)
	feed := flowtest.NewFeed(1, 1, 10)
	p := feed.Pieces[0].Part
	if _, err := books.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := books.Save(t.Context(), flow.Checkpoint{Part: p.ID, Group: p.Group, Tally: flow.Tally{Read: 5, Delivered: 4}}); err != nil {
		t.Fatal(err)
	}
	if err := books.Release(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	report, err := flow.Run(t.Context(), flow.Flow{Source: feed, Sink: new(flowtest.Shelf), Ledger: books}, flow.Options{})
	if err == nil || !strings.Contains(err.Error(), "do not add up: 15 records read, 14 delivered") || report.Complete() {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestAnAcknowledgementThatFailsForNowIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		source := &hooks{Feed: flowtest.NewFeed(2, 1, 100), ack: func(flow.Part, flow.Position) error {
			if n++; n%3 != 0 {
				return errors.New("coordinator is moving")
			}
			return nil
		}}
		shelf := &flowtest.Shelf{Before: slowly(10 * time.Millisecond)}
		report := run(t, flow.Flow{Source: source, Sink: shelf}, flow.Options{Workers: 1, InFlight: 1, BatchRecords: 10, SaveInterval: 15 * time.Millisecond})
		if !report.Complete() || source.Acknowledged() != 200 {
			t.Errorf("%d acknowledged, report %+v", source.Acknowledged(), report)
		}
		wantRecords(t, source.All(), shelf.Records())
	})
}

func TestAnAcknowledgementThatKeepsFailingFailsThePart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &hooks{Feed: flowtest.NewFeed(1, 1, 10), ack: func(flow.Part, flow.Position) error { return errors.New("not allowed") }}
		books := new(flowtest.Books)
		report := run(t, flow.Flow{Source: source, Sink: new(flowtest.Shelf), Ledger: books}, flow.Options{Retry: flow.Retry{Attempts: 2}})
		if len(report.Failed) != 1 || !strings.Contains(report.Failed[0].Error, "acknowledge: not allowed") {
			t.Errorf("report %+v", report)
		}
		if cs := books.Checkpoints(); !slices.ContainsFunc(cs, func(cp flow.Checkpoint) bool { return cp.Done }) {
			t.Errorf("the sink has all, the ledger says %+v", cs)
		}
	})
}
