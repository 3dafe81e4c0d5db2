package files

import (
	"errors"
	"os"

	"github.com/narudata/naru/internal/filelock"
)

// lock takes the file for this process; ErrInUse: another one has it. Where the system has no such locks it does nothing.
func lock(f *os.File) error {
	switch err := filelock.Exclusive(f); {
	case errors.Is(err, filelock.ErrHeld):
		return ErrInUse
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	default:
		return err
	}
}
