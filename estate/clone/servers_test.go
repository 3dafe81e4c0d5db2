//go:build servers

package clone_test

import (
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

// TestServersACloneIsWhatItShouldBeWithRealClusters has two nodes of OpenSearch, without ISM.
func TestServersACloneIsWhatItShouldBeWithRealClusters(t *testing.T) {
	for _, name := range testbed.Asked("os219") {
		ok, missing := testbed.CanStart(t, name)
		testbed.Need(t, ok, missing)
		b := benchAt(t, testbed.Start(t, name, testbed.Options{}).URL, testbed.Start(t, name, testbed.Options{Settings: map[string]string{"cluster.name": "other"}}).URL)
		b.fill(2000)
		b.send(b.from, "POST", "/events/_rollover", ``)
		checkClone(t, b)
		if left := b.removed(); left != 0 {
			t.Errorf("%d indices are left", left)
		}
	}
}
