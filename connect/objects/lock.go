package objects

import (
	"errors"
	"os"

	"github.com/narudata/naru/internal/filelock"
)

// lock locks a file for this process, until it is closed; it fails if another one has it. Where the system has no such locks a
// folder must be of one process.
func lock(f *os.File) error {
	if err := filelock.Exclusive(f); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
