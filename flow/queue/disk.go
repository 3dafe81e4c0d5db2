package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// A disk is the directory of a queue: all that the queue does to the file system but for its lock.
type disk interface {
	// list gives the sizes of the files by name.
	list() (map[string]int64, error)
	// create makes a file that must not be there.
	create(name string) (file, error)
	// open opens a file for reading and writing.
	open(name string) (file, error)
	remove(name string) error
	rename(from, to string) error
	// sync makes the names in the directory durable.
	sync() error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync makes the contents durable, and the size.
	Sync() error
}

// folder is a disk that is one.
type folder string

func (d folder) path(name string) string { return filepath.Join(string(d), name) }

func (d folder) list() (map[string]int64, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int64, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			sizes[e.Name()] = info.Size()
		}
	}
	return sizes, nil
}

func (d folder) create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return onDisk{f}, nil
}

func (d folder) open(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return onDisk{f}, nil
}

func (d folder) remove(name string) error     { return os.Remove(d.path(name)) }
func (d folder) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d folder) sync() error                  { return syncDir(string(d)) }

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// makeDir makes a directory, durably, with those that it stands in.
func makeDir(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// onDisk is a file of a folder.
type onDisk struct{ *os.File }
