package archive

import (
	"errors"
	"fmt"
	"os"

	"github.com/narudata/naru/internal/filelock"
)

// lock takes the lock at path for as long as the file is open; it ends with the process in any case. Where the system has no
// such locks it is upon the user to write an archive with one process at a time.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err = filelock.Exclusive(f); {
	case errors.Is(err, filelock.ErrHeld):
		err = ErrLocked
	case errors.Is(err, errors.ErrUnsupported):
		err = nil
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
