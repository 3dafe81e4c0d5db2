package flow_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/flow/ledger"
)

func TestChaosLosesNothingInAPlainSink(t *testing.T) {
	for range 8 {
		synctest.Test(t, func(t *testing.T) {
			shelf, books := new(flowtest.Shelf), new(ledger.Memory)
			flowtest.Chaos(t, flowtest.World{
				Feed: flowtest.NewFeed(12, 3, 150),
				Open: func(*testing.T) (flow.Sink, flow.Ledger, flow.DeadLetters) { return sole{shelf}, books, shelf },
				Crash: func(*testing.T, flow.Sink, flow.Ledger) {
				},
				Records: func(*testing.T) []flow.Record { return shelf.Records() },
				Dead: func(*testing.T) []flow.Record {
					dead, _ := shelf.Dead()
					return dead
				},
				Stages: []flow.Stage{&hoarder{keep: 40}},
			})
		})
	}
}

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

func TestChaosDoublesNothingInATransactionalSink(t *testing.T) {
	for i := range 8 {
		synctest.Test(t, func(t *testing.T) {
			vault := flowtest.NewVault()
			vault.DueAfter = i * 50
			flowtest.Chaos(t, flowtest.World{
				Feed: flowtest.NewFeed(12, 3, 150),
				Open: func(*testing.T) (flow.Sink, flow.Ledger, flow.DeadLetters) { return vault, vault, nil },
				Crash: func(*testing.T, flow.Sink, flow.Ledger) {
					vault = vault.Crash()
				},
				Records: func(*testing.T) []flow.Record { return vault.Records() },
				Dead:    func(*testing.T) []flow.Record { return vault.Dead() },
				Once:    true,
				Stages:  []flow.Stage{&hoarder{keep: i * 10}, &hoarder{keep: 3}},
			})
		})
	}
}
