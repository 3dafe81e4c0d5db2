//go:build servers

package opensearch

import (
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

// TestServersKeepALedger is the long test: each of the servers keeps one.
func TestServersKeepALedger(t *testing.T) {
	for _, name := range testbed.Asked("es717", "es8", "os219", "os3") {
		t.Run(name, func(t *testing.T) { keepsALedger(t, name) })
	}
}
