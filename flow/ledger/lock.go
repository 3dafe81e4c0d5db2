package ledger

import (
	"errors"
	"fmt"
	"os"

	"github.com/narudata/naru/internal/filelock"
)

// lock takes f for this process (or, rather, this open file), until it is closed.
func lock(f *os.File) error {
	switch err := filelock.Exclusive(f); {
	case errors.Is(err, filelock.ErrHeld):
		return ErrInUse
	case errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("ledger files need file locks: %w", err)
	default:
		return err
	}
}
