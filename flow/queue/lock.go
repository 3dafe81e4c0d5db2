package queue

import (
	"errors"
	"fmt"
	"os"

	"github.com/narudata/naru/internal/filelock"
)

// lock takes the lock at path for as long as the file is open; it ends with the process in any case.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err = filelock.Exclusive(f); {
	case errors.Is(err, filelock.ErrHeld):
		err = ErrInUse
	case errors.Is(err, errors.ErrUnsupported):
		err = fmt.Errorf("queues need file locks: %w", err)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
