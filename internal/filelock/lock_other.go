//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package filelock

import (
	"errors"
	"os"
)

// Exclusive gives errors.ErrUnsupported: this system has no lock that ends with its process.
func Exclusive(*os.File) error { return errors.ErrUnsupported }

// Shared gives the same.
func Shared(*os.File) error { return errors.ErrUnsupported }
