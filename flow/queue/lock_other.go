//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package queue

import (
	"errors"
	"fmt"
	"os"
)

// lock cannot keep other processes out here.
func lock(string) (*os.File, error) {
	return nil, fmt.Errorf("queues need file locks: %w", errors.ErrUnsupported)
}
