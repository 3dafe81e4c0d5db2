//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package queue

import "testing"

// limitFiles skips: this system has no bound of the size of files for a process.
func limitFiles(t *testing.T, _ uint64) {
	t.Helper()
	t.Skip("this system does not bound the size of files")
}
