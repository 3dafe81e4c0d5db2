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
	"github.com/narudata/naru/flow/ledger"
)

func TestAFatalErrorStopsTheFlowAndTheNextRunGoesOn(t *testing.T) {
	expired := errors.New("the credentials have expired")
	broken := map[string]func(h *hooks){
		"reading": func(h *hooks) {
			h.read = func(_ context.Context, p flow.Part, b *flow.Batch, read func() error) error {
				err := read()
				if p.ID == "index-1/0" && len(b.Records) > 0 && string(b.Records[0].Key) == "1-30" {
					return fmt.Errorf("segment _7k: %w", flow.Fatal(expired))
				}
				return err
			}
		},
		"opening": func(h *hooks) {
			h.open = func(p flow.Part, _ flow.Position) error {
				if p.ID == "index-1/0" {
					return flow.Fatal(expired)
				}
				return nil
			}
		},
		"planning": func(h *hooks) { h.Pieces[1].Broken = flow.Fatal(expired) },
	}
	for name, broken := range broken {
		for _, commits := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, commits %t", name, commits), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					source := &hooks{Feed: flowtest.NewFeed(6, 3, 100)}
					all := source.All()
					broken(source)
					vault, shelf := flowtest.NewVault(), new(flowtest.Shelf)
					f := flow.Flow{Source: source, Sink: vault, Ledger: vault}
					if !commits {
						f.Sink, f.Ledger = shelf, new(ledger.Memory)
					}
					// One write at a time: of several, a later one may be done when the flow stops in the middle of an
					// earlier one, and is done again by the next run if nothing commits it.
					o := flow.Options{BatchRecords: 10, Workers: 1, InFlight: 1, SaveInterval: time.Hour}
					started := time.Now()
					report, err := flow.Run(t.Context(), f, o)
					if !errors.Is(err, expired) || !strings.Contains(err.Error(), "index-1/0") || report.Total.Failed != 0 || report.Complete() {
						t.Errorf("%v, report %+v", err, report)
					}
					if d := time.Since(started); d > 0 {
						t.Errorf("it took %v to stop", d)
					}
					if opened, open := source.Readers(); open != 0 {
						t.Errorf("%d of %d readers are left open", open, opened)
					}
					if n := report.Total.Run.Delivered; name == "reading" && n != 130 { // the part before, and what was read of this one
						t.Errorf("%d records are saved", n)
					}
					again := flow.Flow{Source: flowtest.NewFeed(6, 3, 100), Sink: f.Sink, Ledger: f.Ledger}
					if commits {
						vault = vault.Crash() // what is not committed is lost
						again.Sink, again.Ledger = vault, vault
					}
					if report := run(t, again, o); !report.Complete() {
						t.Errorf("the next run: %+v", report)
					}
					if commits {
						wantRecords(t, all, vault.Records())
					} else {
						wantRecords(t, all, shelf.Records())
					}
				})
			})
		}
	}
}
