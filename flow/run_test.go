package flow_test

import (
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func TestEveryRecordOfEveryPartArrives(t *testing.T) {
	feed := flowtest.NewFeed(20, 3, 1000)
	shelf := new(flowtest.Shelf)
	progress := new(flow.Progress)
	report, err := flow.Run(t.Context(), flow.Flow{Source: feed, Sink: shelf}, flow.Options{BatchRecords: 64, Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Complete() {
		t.Errorf("not complete: %+v", report)
	}
	want := flowtest.Digest(feed.All())
	if got := flowtest.Digest(shelf.Records()); got != want || report.Total.Run.Digest != want || report.Total.Tally.Digest != want {
		t.Errorf("digest of the source %v, of the sink %v, of the report %v", want, got, report.Total.Run.Digest)
	}
	if got := report.Total.Run; got.Read != 20_000 || got.Delivered != 20_000 || len(report.Groups) != 3 {
		t.Errorf("report %+v", report)
	}
	if s := progress.Snapshot(); !s.Planned || s.Total.Parts != 20 || s.Total.Done != 20 || s.Total.Records != 20_000 ||
		s.Total.ExpectedRecords != 20_000 || s.Total.Bytes != 2_000_000 || s.Total.ExpectedBytes != 2_000_000 {
		t.Errorf("progress %+v", s)
	}
	if opened, open := feed.Readers(); opened != 20 || open != 0 || feed.Acknowledged() != 20_000 {
		t.Errorf("%d readers opened, %d open, %d records acknowledged", opened, open, feed.Acknowledged())
	}
}

func TestASinkMayBeAnyValue(t *testing.T) {
	shelf := new(flowtest.Shelf)
	sink := struct {
		flow.Sink
		uncomparable []int
	}{shelf, nil}
	feed := flowtest.NewFeed(3, 1, 10)
	if report := run(t, flow.Flow{Source: feed, Sink: sink}, flow.Options{}); !report.Complete() {
		t.Errorf("report %+v", report)
	}
	wantRecords(t, feed.All(), shelf.Records())
}

func TestAFlowNeedsASourceAndASink(t *testing.T) {
	for _, f := range []flow.Flow{{Source: flowtest.NewFeed(1, 1, 1)}, {Sink: new(flowtest.Shelf)}} {
		if _, err := flow.Run(t.Context(), f, flow.Options{}); err == nil {
			t.Errorf("%+v runs", f)
		}
	}
}
