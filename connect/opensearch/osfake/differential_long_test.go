//go:build servers

package osfake_test

import (
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

// TestServersAnswerLikeTheFake is the long test of this package: the fake is compared with each of the servers.
func TestServersAnswerLikeTheFake(t *testing.T) {
	for _, name := range testbed.Asked("es717", "es8", "os219", "os3") {
		t.Run(name, func(t *testing.T) { answersLike(t, name) })
	}
}
