package blob

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// link gives an open file another name in the directory: that very file, whatever has happened to its first name, as
// described for AT_SYMLINK_FOLLOW in link(2).
func (d *Dir) link(f *os.File, name string) error {
	dir, err := d.root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	opened := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if err = unix.Linkat(unix.AT_FDCWD, opened, int(dir.Fd()), filepath.Base(name), unix.AT_SYMLINK_FOLLOW); err != nil {
		err = &os.LinkError{Op: "linkat", Old: f.Name(), New: name, Err: err}
	}
	return errors.Join(err, dir.Close())
}
