//go:build unix

package objects

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks a file for this process, until it is closed; it fails if another one has it.
func lock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) //nolint:gosec // descriptors are small
}
