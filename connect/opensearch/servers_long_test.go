//go:build servers

package opensearch_test

import (
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

// TestServersAreReadByteForByte is the long test of this package: each of the servers that a Source reads is filled with a
// random corpus and read back. NARU_SEED repeats a corpus.
func TestServersAreReadByteForByte(t *testing.T) {
	for _, name := range testbed.Asked("es710", "es717", "es8", "os13", "os29", "os219", "os3") {
		t.Run(name, func(t *testing.T) {
			readsWhatIsThere(t, name, testbed.Recipe{Indices: 12, Rounds: 4, Documents: 250, Large: 8})
		})
	}
}

// TestServersTakeEveryKindOfOperation writes events to each of the servers that a pipeline may write to, and kills it meanwhile.
func TestServersTakeEveryKindOfOperation(t *testing.T) {
	for _, name := range testbed.Asked("os3", "os219", "es8", "es717") {
		t.Run(name, func(t *testing.T) { takesEveryKindOfOperation(t, name, true) })
	}
}
