package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sync/errgroup"
)

var _ Writer = (*Dir)(nil)

// CreateDir opens the directory at path, and makes it, and those above it, if it is absent.
func CreateDir(path string) (*Dir, error) {
	var above []string // that get an entry
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			break
		}
		above = append(above, filepath.Dir(p))
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	for _, p := range above {
		f, err := os.Open(p)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(settle(f), f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	return OpenDir(path)
}

// Put implements Writer.
func (d *Dir) Put(ctx context.Context, name string, b []byte) error {
	return d.put(ctx, "put", name, b, d.publish)
}

// Replace implements Writer.
func (d *Dir) Replace(ctx context.Context, name string, b []byte) error {
	return d.put(ctx, "replace", name, b, d.root.Rename)
}

func (d *Dir) put(ctx context.Context, op, name string, b []byte, publish func(written, name string) error) error {
	if err := checkName(op, name); err != nil {
		return err
	}
	err := d.write(name, publish, func(f *os.File) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := f.Write(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", d.path, op, name, err)
	}
	return d.syncDirs(ctx, upwards(path.Dir(name)))
}

// write has fill write a file, makes its contents durable, and publishes it under its name.
func (d *Dir) write(name string, publish func(written, name string) error, fill func(*os.File) error) error {
	local, err := filepath.Localize(name)
	if err != nil {
		return err
	}
	dir, base := filepath.Split(local)
	written := dir + pending + base[:min(len(base), 200)] + "-" + rand.Text()
	var f *os.File
	err = d.inDir(dir, func() (err error) {
		f, err = d.root.OpenFile(written, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = publish(written, local)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, d.root.Remove(written))
}

// inDir does what needs a directory, and makes it if it is absent. Another may remove it while it is empty.
func (d *Dir) inDir(dir string, do func() error) error {
	err := do()
	for range 10 {
		if !errors.Is(err, fs.ErrNotExist) || dir == "" {
			break
		}
		if err := d.root.MkdirAll(filepath.Clean(dir), 0o777); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err = do()
	}
	return err
}

// publish gives a file its name unless that is taken (fs.ErrExist).
func (d *Dir) publish(written, name string) error {
	err := d.root.Link(written, name)
	if err == nil {
		_ = d.root.Remove(written) // the blob is there; a pending name beside it is harmless
		return nil
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EMLINK) {
		return d.move(written, name)
	}
	return err
}

// move is publish for file systems without hard links, where a file that another process makes between two system
// calls is overwritten.
func (d *Dir) move(written, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return d.root.Rename(written, name)
	}
	if err == nil {
		err = &fs.PathError{Op: "rename", Path: name, Err: fs.ErrExist}
	}
	return err
}

// Take implements Writer. From another Dir on the same file system the blob is a hard link, where that is allowed
// (see protected_hardlinks in proc(5)). Its contents are durable at once, its name after Sync.
func (d *Dir) Take(ctx context.Context, from Store, name string, size int64) (How, error) {
	if err := checkTake(name, size); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	how, err := d.kept(ctx, name, size)
	if !errors.Is(err, fs.ErrNotExist) {
		return how, err
	}
	how, err = d.take(ctx, from, name, size)
	switch {
	case errors.Is(err, fs.ErrExist): // since we looked
		if how, kerr := d.kept(ctx, name, size); !errors.Is(kerr, fs.ErrNotExist) {
			return how, kerr
		}
		return 0, fmt.Errorf("%s: take %s: %w", d.path, name, err) // a directory has the name
	case err != nil:
		return 0, fmt.Errorf("%s: take %s: %w", d.path, name, err)
	}
	d.unsettle(path.Dir(name))
	return how, nil
}

// kept is what Take says of a blob that is there; fs.ErrNotExist: it is not.
func (d *Dir) kept(ctx context.Context, name string, size int64) (How, error) {
	has, err := d.Stat(ctx, name)
	if err != nil {
		return 0, err
	}
	d.unsettle(path.Dir(name)) // whoever made it may have been interrupted
	return keep(d, name, has, size)
}

func (d *Dir) take(ctx context.Context, from Store, name string, size int64) (How, error) {
	var r io.ReadCloser
	if s, ok := beneath(from).(*Dir); ok {
		f, info, err := s.file(name)
		if err != nil {
			return 0, err
		}
		if r = f; info.Size() != size {
			return 0, errors.Join(sizeError(from, name, info.Size(), size), f.Close())
		}
		local, err := filepath.Localize(name)
		if err == nil {
			err = d.inDir(filepath.Dir(local), func() error { return d.link(f, local) })
		}
		if err == nil || errors.Is(err, fs.ErrExist) {
			return Linked, errors.Join(err, f.Close())
		}
	} else {
		var err error
		if r, err = from.Open(ctx, name, 0, -1); err != nil {
			return 0, err
		}
	}
	err := d.write(name, d.publish, func(f *os.File) error { return copyWhole(ctx, f, r, from, name, size) })
	return Streamed, errors.Join(err, r.Close())
}

// copyBytes is how much is copied before the context is looked at.
const copyBytes = 64 << 20

// copyWhole copies a blob that must have a size. Between files the kernel does it, and may share the blocks.
func copyWhole(ctx context.Context, f *os.File, r io.Reader, from Store, name string, size int64) error {
	if s, ok := r.(interface{ Size() int64 }); ok && s.Size() >= 0 && s.Size() != size {
		return sizeError(from, name, s.Size(), size)
	}
	for done := int64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(f, r, min(size-done, copyBytes))
		done += n
		if errors.Is(err, io.EOF) {
			return sizeError(from, name, done, size)
		}
		if err != nil {
			return err
		}
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%s: %s: %w: it has more than %d bytes", from, name, ErrSize, size)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// Remove implements Writer.
func (d *Dir) Remove(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := checkName("remove", name); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.remove(name); err != nil {
			return fmt.Errorf("%s: remove %s: %w", d.path, name, err)
		}
	}
	return nil
}

func (d *Dir) remove(name string) error {
	local, err := filepath.Localize(name)
	if err != nil {
		return err
	}
	info, err := d.root.Lstat(local)
	if err == nil && info.IsDir() {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.EISDIR}
	}
	if err == nil {
		err = d.root.Remove(local)
	}
	if err != nil && !absent(err) {
		return err
	}
	dir := path.Dir(name)
	for ; dir != "."; dir = path.Dir(dir) {
		local, err := filepath.Localize(dir)
		if err != nil {
			return err
		}
		// A symbolic link to a directory stays.
		if info, err := d.root.Lstat(local); err != nil && !absent(err) || err == nil && !info.IsDir() {
			break
		}
		if err := d.root.Remove(local); err != nil && !absent(err) {
			break // it is not empty
		}
	}
	d.unsettle(dir)
	return nil
}

// absent reports that a file is not there, nor perhaps what is above it.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// Stat implements Writer. A directory is no blob.
func (d *Dir) Stat(ctx context.Context, name string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := checkName("stat", name); err != nil {
		return 0, err
	}
	info, err := d.root.Stat(filepath.FromSlash(name))
	switch {
	case err == nil && info.IsDir(), errors.Is(err, syscall.ENOTDIR):
		err = &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.path, err)
	}
	return info.Size(), nil
}

// Sync implements Writer.
func (d *Dir) Sync(ctx context.Context) error {
	d.mu.Lock()
	dirs := slices.Sorted(maps.Keys(d.unsettled))
	clear(d.unsettled)
	d.mu.Unlock()
	err := d.syncDirs(ctx, dirs)
	if err != nil {
		for _, dir := range dirs {
			d.unsettle(dir)
		}
	}
	return err
}

// unsettle notes that entries of a directory, and those that lead to it, may not be durable.
func (d *Dir) unsettle(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dir := range upwards(dir) {
		if d.unsettled[dir] {
			return
		}
		if d.unsettled == nil {
			d.unsettled = make(map[string]bool)
		}
		d.unsettled[dir] = true
	}
}

// upwards is a directory and those above it, up to the root.
func upwards(dir string) []string {
	out := []string{dir}
	for ; dir != "."; out = append(out, dir) {
		dir = path.Dir(dir)
	}
	return out
}

// syncDirs makes the entries of directories durable.
func (d *Dir) syncDirs(ctx context.Context, dirs []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16) // the file system settles together what comes together
	for _, dir := range dirs {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f, err := d.root.Open(filepath.FromSlash(dir))
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it was removed, which those above it settle
			}
			if err == nil {
				err = errors.Join(settle(f), f.Close())
			}
			if err != nil {
				return fmt.Errorf("%s: sync %s: %w", d.path, dir, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// settle makes a directory durable, on file systems that know of that.
func settle(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}
