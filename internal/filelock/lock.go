// Package filelock locks files for a process, so that two do not work on the same data. A lock is the open file's: it ends when
// that is closed, and with the process in any case. Nobody waits for one.
package filelock

import "errors"

// ErrHeld says that another open file has the lock.
var ErrHeld = errors.New("the file is locked by another")
