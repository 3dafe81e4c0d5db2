package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
)

// Dir is a Writer over a directory. No name reaches outside of it, not by "..", nor by a symbolic link.
type Dir struct {
	root *os.Root
	path string

	mu        sync.Mutex
	unsettled map[string]bool // guarded by mu: directories whose entries may not be durable
}

// OpenDir opens the directory at path.
func OpenDir(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Dir{root: root, path: path}, nil
}

// Open implements Store.
func (d *Dir) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, info, err := d.file(name)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > info.Size()-off {
		n = max(0, info.Size()-off)
	}
	return section{io.NewSectionReader(f, off, n), f}, nil
}

// file opens the file of a blob.
func (d *Dir) file(name string) (*os.File, fs.FileInfo, error) {
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", d.path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s/%s is not a regular file", d.path, name)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

type section struct {
	io.Reader
	io.Closer
}

// List implements Store.
func (d *Dir) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		entries, err := fs.ReadDir(d.root.FS(), filepath.ToSlash(filepath.Clean(dir)))
		if err != nil {
			yield(Entry{}, fmt.Errorf("%s: %w", d.path, err))
			return
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, err)
				return
			}
			entry := Entry{Name: e.Name(), Dir: e.IsDir()}
			if !entry.Dir {
				info, err := e.Info()
				if errors.Is(err, fs.ErrNotExist) {
					continue // gone since the listing
				}
				if err != nil {
					yield(Entry{}, fmt.Errorf("%s: %w", d.path, err))
					return
				}
				entry.Size = info.Size()
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// Close releases the directory. Readers that are open stay usable.
func (d *Dir) Close() error { return d.root.Close() }

func (d *Dir) String() string { return d.path }
