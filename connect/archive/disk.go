package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
)

// An op is a step that changes what is on disk.
type op string

const (
	opCreate   op = "create"
	opWrite    op = "write"
	opSync     op = "sync"
	opRename   op = "rename"
	opRemove   op = "remove"
	opMkdir    op = "mkdir"
	opTruncate op = "truncate"
	opSyncDir  op = "sync directory"
)

// A disk is all that the writing side does to the file system, under one directory. Names are relative to
// it and slash-separated. Methods may be called concurrently.
type disk struct {
	root string
	// fault, when set, is asked before each step; tests fail or stop there. Of a write it may let the first
	// n bytes through.
	fault func(o op, name string) (n int, err error)
	// after, when set, is told of each step that succeeded.
	after func(o op, name, to string)
}

func (d *disk) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

func (d *disk) step(o op, name, to string, do func() error) error {
	if d.fault != nil {
		if _, err := d.fault(o, name); err != nil {
			return fmt.Errorf("%s %s: %w", o, d.path(name), err)
		}
	}
	if err := do(); err != nil {
		return err // names the step and the path
	}
	if d.after != nil {
		d.after(o, name, to)
	}
	return nil
}

func (d *disk) rename(from, to string) error {
	return d.step(opRename, from, to, func() error { return os.Rename(d.path(from), d.path(to)) })
}

// remove removes a file or an empty directory; an absent one is no error.
func (d *disk) remove(name string) error {
	return d.step(opRemove, name, "", func() error {
		if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// mkdir makes a directory; one that exists is no error.
func (d *disk) mkdir(name string) error {
	return d.step(opMkdir, name, "", func() error {
		err := os.Mkdir(d.path(name), 0o755)
		if errors.Is(err, fs.ErrExist) {
			info, serr := os.Stat(d.path(name))
			if serr == nil && info.IsDir() {
				return nil
			}
		}
		return err
	})
}

func (d *disk) syncDir(name string) error {
	return d.step(opSyncDir, name, "", func() error { return syncDir(d.path(name)) })
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// A file is open for appending. Its methods are not called concurrently.
type file struct {
	d    *disk
	name string
	size int64
	hash hash.Hash // of what was written; nil: none wanted
	f    *os.File  // nil while parked
}

// create makes a new file whose contents are hashed.
func (d *disk) create(name string) (*file, error) {
	f := &file{d: d, name: name, hash: sha256.New()}
	err := d.step(opCreate, name, "", func() (err error) {
		f.f, err = os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644) //nolint:gosec // G302: archives are for people to read
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// park closes the handle until the next use; the file is written to disk before, so that no error is lost.
func (f *file) park() error {
	if f.f == nil {
		return nil
	}
	if err := f.sync(); err != nil {
		return err
	}
	err := f.f.Close()
	f.f = nil
	return err
}

func (f *file) unpark() (err error) {
	if f.f == nil {
		f.f, err = os.OpenFile(f.d.path(f.name), os.O_WRONLY|os.O_APPEND, 0)
	}
	return err
}

func (f *file) Write(p []byte) (int, error) {
	if err := f.unpark(); err != nil {
		return 0, err
	}
	if f.d.fault != nil {
		if n, err := f.d.fault(opWrite, f.name); err != nil {
			n, werr := f.f.Write(p[:min(n, len(p))])
			f.size += int64(n)
			return n, errors.Join(fmt.Errorf("write %s: %w", f.d.path(f.name), err), werr)
		}
	}
	n, err := f.f.Write(p)
	f.size += int64(n)
	if f.hash != nil {
		f.hash.Write(p[:n])
	}
	if err == nil && f.d.after != nil {
		f.d.after(opWrite, f.name, "")
	}
	return n, err
}

func (f *file) sync() error {
	if err := f.unpark(); err != nil {
		return err
	}
	return f.d.step(opSync, f.name, "", f.f.Sync)
}

func (f *file) truncate(size int64) error {
	if err := f.unpark(); err != nil {
		return err
	}
	err := f.d.step(opTruncate, f.name, "", func() error { return f.f.Truncate(size) })
	if err == nil {
		f.size = size
	}
	return err
}

func (f *file) close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}

// sum is the SHA-256 of what was written.
func (f *file) sum() string { return hex.EncodeToString(f.hash.Sum(nil)) }
