//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package input

import (
	"errors"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// writable asks the system whether this process may write a file, or make files in a folder.
func writable(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

func isNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
