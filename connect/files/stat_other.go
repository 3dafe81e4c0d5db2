//go:build !unix

package files

import (
	"hash/fnv"
	"os"
	"path/filepath"
)

// statPath gives the state of what a path leads to; false: it is no plain file. Where the system has no inodes the path
// stands for one.
func statPath(path string) (state, bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return state{}, false, err
	}
	return stateOf(path, info), info.Mode().IsRegular(), nil
}

// statFile gives the state of an open file.
func statFile(f *os.File) (state, error) {
	info, err := f.Stat()
	if err != nil {
		return state{}, err
	}
	return stateOf(f.Name(), info), nil
}

func stateOf(path string, info os.FileInfo) state {
	h := fnv.New64a()
	_, _ = h.Write([]byte(filepath.Clean(path))) // never fails
	return state{id: ID{Inode: h.Sum64()}, size: info.Size(), links: 1, mtime: info.ModTime().UnixNano()}
}

func tooMany(error) bool { return false }
