//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Exclusive locks f for its holder alone. ErrHeld: another has it, shared or not; errors.ErrUnsupported: the system has no such
// locks.
func Exclusive(f *os.File) error { return flock(f, syscall.LOCK_EX) }

// Shared locks f beside others that do so. ErrHeld: one has it for itself; otherwise as Exclusive.
func Shared(f *os.File) error { return flock(f, syscall.LOCK_SH) }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrHeld
		default:
			return err
		}
	}
}
