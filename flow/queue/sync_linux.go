package queue

import (
	"errors"
	"os"
	"syscall"
)

// Sync implements file: times that a file was changed at need not be durable.
func (f onDisk) Sync() error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
