//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package queue

import (
	"syscall"
	"testing"
)

// limitFiles makes writes beyond so many bytes of a file fail, in this process.
func limitFiles(t *testing.T, bytes uint64) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = bytes
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}
