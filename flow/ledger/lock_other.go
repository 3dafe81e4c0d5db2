//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package ledger

import (
	"errors"
	"fmt"
	"os"
)

// lock cannot keep other processes out here.
func lock(*os.File) error {
	return fmt.Errorf("ledger files need file locks: %w", errors.ErrUnsupported)
}
