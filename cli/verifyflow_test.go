package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
)

func TestVerifyOfAFlowFileAsksTheLedgerWhatWasCarriedIntoACluster(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	repository, gone := filepath.Join(testbed.Fixture(t, "os29"), "main"), testbed.Truth(t, "os29", "snap-3")["best"][0]
	t.Chdir(t.TempDir()) // dead letters
	write := func(name, indices string) string {
		file := filepath.Join(t.TempDir(), name)
		text := "source: {snapshot: {url: " + repository + ", indices: [" + indices + "]}}\nsink: {opensearch: {urls: ['" + s.URL() + "']}}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	flow, other := write("flow.yaml", "best"), write("other.yaml", "joined")
	expect := func(want int, text string, args ...string) {
		t.Helper()
		stdout, stderr, code := run(t, nil, args...)
		if code != want || !strings.Contains(stdout+stderr, text) {
			t.Errorf("%v: status %d, want %d with %q\n%s%s", args, code, want, text, stdout, stderr)
		}
	}
	expect(exitFailed, "was not carried into", "verify", flow)
	expect(exitOK, "Done", "run", flow, "--verify=false")
	expect(exitOK, "Equal: 600 documents in 1 index", "verify", flow)
	expect(exitFailed, "was not carried into", "verify", other)

	client, err := opensearch.Target{URLs: s.URLs}.Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if err := client.JSON(t.Context(), http.MethodPut, "/best/_doc/more?refresh=true", map[string]any{"x": 1}, nil); err != nil {
		t.Fatal(err)
	}
	expect(exitOK, "B has more", "verify", flow) // somebody else writes there, too
	if _, err := client.Do(t.Context(), opensearch.Request{Method: http.MethodDelete, Path: "/best/_doc/" + gone.ID + "?refresh=true&routing=" + gone.Routing}); err != nil {
		t.Fatal(err)
	}
	expect(exitMismatch, "missing in B: 1 document", "verify", flow)
}
