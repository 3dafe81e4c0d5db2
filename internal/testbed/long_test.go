//go:build servers

package testbed_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

// TestServers is the long test: each server, or those that NARU_SERVERS lists by comma, writes repositories
// of a random corpus. NARU_SEED repeats a corpus.
func TestServers(t *testing.T) {
	names := os.Getenv("NARU_SERVERS")
	servers := strings.Split(names, ",")
	if names == "" || names == "all" {
		servers = slices.Concat(testbed.Servers, testbed.OlderServers)
	}
	for _, name := range servers {
		t.Run(name, func(t *testing.T) {
			readsWhatIsWritten(t, name, testbed.Recipe{Indices: 12, Rounds: 5, Documents: 250, Large: 12})
		})
	}
}
