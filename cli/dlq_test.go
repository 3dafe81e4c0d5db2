package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
)

// TestDeadLetters runs testdata/dlq, each script beside a cluster ($CLUSTER) that refuses some documents until the
// script says mend.
func TestDeadLetters(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "os29"), "main")
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/dlq",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			refused := func(id string) bool { return strings.Contains(id, "7") && len(id) < 40 } // those of the ledger are longer
			fake := osfake.Start(t, osfake.Options{Hook: osfake.Poison(refused)})
			e.Values["fake"] = fake
			e.Setenv("CLUSTER", fake.URL())
			e.Setenv("REPO", repo)
			e.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"mend": func(ts *testscript.TestScript, _ bool, _ []string) {
				fake, ok := ts.Value("fake").(*osfake.Server)
				if !ok {
					ts.Fatalf("there is no cluster")
				}
				fake.SetHook(nil)
			},
		},
	})
}
