package flow_test

import (
	"context"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

// hasSome is a sink that has every third record already.
type hasSome struct{ written, there int }

func (s *hasSome) Write(_ context.Context, recs []flow.Record) error {
	var fs flow.Failures
	for i := range recs {
		if (s.written+i)%3 == 0 {
			fs = append(fs, flow.Failure{Index: i, Err: flow.ErrThere})
		}
	}
	s.written += len(recs)
	s.there += len(fs)
	if fs != nil {
		return fs
	}
	return nil
}

func (*hasSome) Close(context.Context) error { return nil }

func TestARecordThatIsThereAlreadyIsDeliveredAndCountedSo(t *testing.T) {
	sink := &hasSome{}
	report, err := flow.Run(t.Context(), flow.Flow{Source: flowtest.NewFeed(3, 1, 200), Sink: sink}, flow.Options{Workers: 1, InFlight: 1, BatchRecords: 7})
	if err != nil {
		t.Fatal(err)
	}
	var all flow.Tally
	for _, g := range report.Groups {
		all.Add(g.Tally)
	}
	if all.Delivered != 600 || all.There != int64(sink.there) || sink.there != 200 || all.Dead != 0 {
		t.Errorf("%d delivered, %d of them there before (the sink says %d), %d dead", all.Delivered, all.There, sink.there, all.Dead)
	}
}
