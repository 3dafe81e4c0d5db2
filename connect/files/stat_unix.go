//go:build unix

package files

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// statPath gives the state of what a path leads to; false: it is no plain file.
func statPath(path string) (state, bool, error) {
	var st syscall.Stat_t
	for {
		err := syscall.Stat(path, &st)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return state{}, false, &os.PathError{Op: "stat", Path: path, Err: err}
		}
		return stateOf(&st), st.Mode&syscall.S_IFMT == syscall.S_IFREG, nil
	}
}

// statFile gives the state of an open file.
func statFile(f *os.File) (state, error) {
	info, err := f.Stat()
	if err != nil {
		return state{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return state{}, errors.New("the system does not say which file it is")
	}
	return stateOf(st), nil
}

func stateOf(st *syscall.Stat_t) state {
	//nolint:unconvert // the types differ from system to system
	return state{
		id: ID{Device: uint64(st.Dev), Inode: uint64(st.Ino)}, size: st.Size, links: uint64(st.Nlink),
		mtime: time.Unix(0, syscall.TimespecToNsec(mtimeOf(st))).UnixNano(),
	}
}

// tooMany reports that no more files can be open.
func tooMany(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }
