//go:build servers

package restore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/migrate/restore"
)

// TestServersRestoreTheirOwn is the long test of this package: each of the servers restores what a server of its version
// has written, with CheckIndex, and a second run adds nothing.
func TestServersRestoreTheirOwn(t *testing.T) {
	for _, name := range testbed.Asked("es717", "es8", "os13", "os29", "os219", "os3") {
		t.Run(name, func(t *testing.T) { restoresItsOwn(t, name) })
	}
}

func restoresItsOwn(t *testing.T, name string) {
	ok, missing := testbed.CanStart(t, name)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, name, testbed.Options{})
	c, err := opensearch.Target{URLs: []string{node.URL}}.Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	p := takePlace(t, node, name, "own")
	for index, x := range p.indices {
		x.Repairs = nil
		if index == "kitchen" && name != "es8" { // that node has no module for it
			x.Repairs = []restore.Repair{{Kind: restore.UpdateByQuery, Field: "title"}}
		}
		p.indices[index] = x
	}
	o := restore.Options{Poll: 200 * time.Millisecond, Patience: 30 * time.Second, CheckOnStartup: true}
	for run, state := range []restore.State{restore.Restored, restore.WasThere} {
		report, err := restore.Run(t.Context(), c, p.repo, p.all(), o)
		if err != nil {
			t.Fatal(err)
		}
		var open []string
		for index, out := range outcomes(&report) {
			if out.State != state || !out.Right() || run == 0 && p.indices[index].DataStream == "" && !strings.Contains(told(out.Checks), "CheckIndex found nothing") {
				t.Errorf("run %d, %s: %s", run+1, index, told(out))
			}
			if index == "kitchen" && name != "es8" && (len(out.Repaired) != 1 || out.Repaired[0].Before != (run == 1)) {
				t.Errorf("run %d: %s", run+1, told(out))
			}
			if !p.indices[index].Closed && index != "synthetic" {
				open = append(open, index)
			}
		}
		slices.Sort(open)
		p.equal(t, c, "", open)
	}
}
