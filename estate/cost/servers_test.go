//go:build servers

package cost_test

import (
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

func TestServersShowWhatTheyHave(t *testing.T) {
	for _, name := range testbed.Asked("os219", "os3") {
		t.Run(name, func(t *testing.T) {
			ok, missing := testbed.CanStart(t, name)
			testbed.Need(t, ok, missing)
			sees(t, looked(t, connect(t, testbed.Start(t, name, testbed.Options{}).URL)))
		})
	}
}
