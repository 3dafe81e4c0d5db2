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
)

// Dir is a Store over a directory. No name reaches outside of it, not by "..", nor by a symbolic link.
type Dir struct {
	root *os.Root
	path string
}

var _ Store = (*Dir)(nil)

// OpenDir opens the directory at path.
func OpenDir(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Dir{root, path}, nil
}

// Open implements Store.
func (d *Dir) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s/%s is not a regular file", d.path, name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if n < 0 || n > info.Size()-off {
		n = max(0, info.Size()-off)
	}
	return section{io.NewSectionReader(f, off, n), f}, nil
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
