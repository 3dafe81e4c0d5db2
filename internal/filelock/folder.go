package filelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// folderLock is the file by which a folder is locked. It stays: removed, it could be locked by one process and made anew by another.
const folderLock = ".naru.lock"

// A HeldFolder is the error of Folder where another process has the folder.
type HeldFolder struct {
	Dir string
	By  string // "process 4711 on web-1"; "another process" where that is not known
}

// Error says who has it.
func (h *HeldFolder) Error() string {
	return fmt.Sprintf("%s is in use by %s: give each process a folder of its own, or stop that one", h.Dir, h.By)
}

// Unwrap gives ErrHeld.
func (*HeldFolder) Unwrap() error { return ErrHeld }

// Folder takes a folder for this process, and makes it if it is not there. The lock ends with release, and with the process: what
// one has left that died is no obstacle. *HeldFolder: another has it. Where the system has no such locks nothing is locked.
func Folder(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, folderLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err = Exclusive(f); {
	case errors.Is(err, errors.ErrUnsupported):
		err = nil
	case errors.Is(err, ErrHeld):
		err = &HeldFolder{dir, holder(f)}
	case err == nil:
		_ = sign(f) // the name is for messages; a full disk must not keep anybody out
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// sign writes who has the lock.
func sign(f *os.File) error {
	host, _ := os.Hostname()
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), host), 0)
	return err
}

// holder reads who has the lock.
func holder(f *os.File) string {
	b := make([]byte, 300)
	n, _ := f.ReadAt(b, 0)
	pid, host, _ := strings.Cut(strings.TrimSpace(string(b[:n])), " ")
	switch {
	case pid == "":
		return "another process"
	case host == "":
		return "process " + pid
	}
	return "process " + pid + " on " + host
}
