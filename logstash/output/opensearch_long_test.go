//go:build servers

package output

import (
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

// TestServersDoWhatTheOptionsSay is the long test of the outputs opensearch and elasticsearch: every server that they write to.
func TestServersDoWhatTheOptionsSay(t *testing.T) {
	for _, name := range testbed.Asked("os219", "os3", "es8", "es717") {
		t.Run(name, func(t *testing.T) { doesWhatTheOptionsSay(t, name) })
	}
}
