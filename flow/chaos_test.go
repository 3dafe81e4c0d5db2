package flow_test

import (
	"testing"
	"testing/synctest"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func TestChaosLosesNothingInAPlainSink(t *testing.T) {
	for range 8 {
		synctest.Test(t, func(t *testing.T) {
			shelf, books := new(flowtest.Shelf), new(flowtest.Books)
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
				Stages: []flow.Stage{&hoarder{keep: 40, lags: true}},
			})
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
				Stages:  []flow.Stage{&hoarder{keep: i * 10}, &hoarder{keep: 3, lags: true}},
			})
		})
	}
}
