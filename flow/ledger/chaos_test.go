package ledger_test

import (
	"path/filepath"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/flow/ledger"
)

func TestChaosLosesNothingWithALedgerInAFile(t *testing.T) {
	for range 3 {
		path := filepath.Join(t.TempDir(), "ledger")
		shelf := new(flowtest.Shelf)
		flowtest.Chaos(t, flowtest.World{
			Feed: flowtest.NewFeed(10, 3, 80),
			Open: func(t *testing.T) (flow.Sink, flow.Ledger, flow.DeadLetters) {
				l, err := ledger.Open(path, "")
				if err != nil {
					t.Fatal(err)
				}
				return shelf, l, nil
			},
			Crash: func(t *testing.T, _ flow.Sink, l flow.Ledger) {
				if err := l.(*ledger.File).Close(); err != nil {
					t.Fatal(err)
				}
			},
			Records: func(*testing.T) []flow.Record { return shelf.Records() },
			Dead: func(*testing.T) []flow.Record {
				dead, _ := shelf.Dead()
				return dead
			},
		})
	}
}
