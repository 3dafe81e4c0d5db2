//go:build !linux

package blob

import (
	"errors"
	"os"
)

// link gives an open file another name in the directory. Without a way to link the very file that is open, a name
// that changes meanwhile could lead out of its directory: blobs are copied.
func (d *Dir) link(*os.File, string) error { return errors.ErrUnsupported }
