//go:build servers

package testbed_test

import (
	"flag"
	"slices"
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

var update = flag.Bool("update", false, "write testdata/snapshots/graft* anew")

// TestServersFillGraftFixtures has the servers write the graft corpus; with -update it becomes the fixtures:
// `go test -tags servers -run TestServersFillGraftFixtures ./internal/testbed -update`
func TestServersFillGraftFixtures(t *testing.T) {
	for i, name := range testbed.GraftServers {
		if !slices.Contains(testbed.Asked(testbed.GraftServers...), name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ok, missing := testbed.CanStart(t, name)
			testbed.Need(t, ok, missing)
			node := testbed.Start(t, name, testbed.Options{HeapMB: 768})
			corpus := testbed.FillGraft(t, node)
			if all := corpus.Snapshots["snap-2"].Indices; len(all["types"].Answers) < 100 || len(all["types"].Documents) != 66 {
				t.Errorf("types: %d answers, %d documents", len(all["types"].Answers), len(all["types"].Documents))
			}
			if *update {
				testbed.WriteGraftFixture(t, node, corpus, testbed.GraftFixtures[i])
			}
		})
	}
}
