package objects

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// file is a file that becomes an object. It is locked as long as it is written.
type file struct {
	root   string // the folder of all files
	name   string // below it: a folder of its own, then the object's name
	prefix string
	made   time.Time
	file   *os.File
	zip    *gzip.Writer // nil without compression
	size   int64        // that is settled
	fresh  bool         // nothing is settled yet
}

func newFile(root, name string, zip bool) (*file, error) {
	full := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640) //nolint:gosec // the folder is the configuration's
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	out := &file{root: root, name: name, file: f, fresh: true}
	if zip {
		out.zip = gzip.NewWriter(f)
	}
	return out, nil
}

func (f *file) write(b []byte) error {
	if f.zip != nil {
		_, err := f.zip.Write(b)
		return err
	}
	_, err := f.file.Write(b)
	return err
}

// sync brings what was written to the disk, so that it can be read after a crash.
func (f *file) sync() error {
	if f.zip != nil {
		if err := f.zip.Flush(); err != nil {
			return err
		}
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	if !f.fresh {
		return nil
	}
	// The names on the way to it, too.
	for dir := path.Dir(f.name); ; dir = path.Dir(dir) {
		if err := syncDir(filepath.Join(f.root, filepath.FromSlash(dir))); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

func syncDir(name string) error {
	d, err := os.Open(name) //nolint:gosec // the folder is the configuration's
	if err != nil {
		return err
	}
	if err = d.Sync(); errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// settle notes that all that was written stays.
func (f *file) settle() {
	f.fresh = false
	if n, err := f.file.Seek(0, io.SeekCurrent); err == nil {
		f.size = n
	}
}

// rollBack takes back what was written since settle. A compressed file goes on with another member.
func (f *file) rollBack() error {
	if err := f.file.Truncate(f.size); err != nil {
		return err
	}
	if _, err := f.file.Seek(f.size, io.SeekStart); err != nil {
		return err
	}
	if f.zip == nil {
		return nil
	}
	if f.size == 0 {
		f.zip.Reset(f.file)
		return nil
	}
	return errRest // what was settled is in the middle of a member: the next run repairs it
}

var errRest = errors.New("a compressed file cannot be gone on with")

// abandon leaves the file to the next run.
func (f *file) abandon() error { return f.file.Close() }

// finish ends the file and gives its name; "" if there was nothing in it.
func (f *file) finish() (string, error) {
	if f.size == 0 {
		err := f.file.Close()
		remove(f.root, f.name)
		return "", err
	}
	if f.zip != nil {
		if err := f.zip.Close(); err != nil {
			return "", errors.Join(err, f.file.Close())
		}
		if err := f.file.Sync(); err != nil {
			return "", errors.Join(err, f.file.Close())
		}
	}
	return f.name, f.file.Close()
}

// remove removes a file, and folders above it that become empty.
func remove(root, name string) {
	for ; name != "."; name = path.Dir(name) {
		if os.Remove(filepath.Join(root, filepath.FromSlash(name))) != nil {
			return
		}
	}
}

// left gives the names of files that another run has left, repaired. Files of runs that are still there are locked. The folders are
// like those of Logstash: what it left is found, too.
func (s *Files) left() ([]string, error) {
	var names []string
	err := filepath.WalkDir(s.c.Dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(s.c.Dir, full)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !strings.Contains(name, "/") || strings.HasPrefix(d.Name(), ".naru-") {
			return nil
		}
		ok, err := repair(full)
		if err != nil {
			s.c.Log.Error("a file that was left cannot be repaired: it stays", "file", name, "error", err)
			return nil
		}
		if ok {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// repair sees to it that a file ends with a whole record, as far as that can be known: one that was written when the crash came
// was not taken, and comes again. It reports false for a file that is in use, or has nothing in it.
func repair(full string) (bool, error) {
	f, err := os.OpenFile(full, os.O_RDWR, 0) //nolint:gosec // the folder is the configuration's
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	if err := lock(f); err != nil {
		return false, nil //nolint:nilerr // somebody writes it
	}
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, errors.Join(err, os.Remove(full))
	}
	if strings.HasSuffix(full, ".gz") {
		return repairZip(f, full)
	}
	tail := make([]byte, min(info.Size(), 64<<20))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return false, err
	}
	if i := bytes.LastIndexByte(tail, '\n'); i >= 0 && i < len(tail)-1 {
		return true, errors.Join(f.Truncate(info.Size()-int64(len(tail)-1-i)), f.Sync())
	}
	return true, nil
}

// repairZip writes a compressed file anew that has no end, up to the last line that can be read.
func repairZip(f *os.File, full string) (bool, error) {
	z, err := gzip.NewReader(f)
	if err == nil {
		if _, err = io.Copy(io.Discard, z); err == nil { //nolint:gosec // the file is one that naru wrote, and nothing of it is kept
			return true, nil
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	if z, err = gzip.NewReader(f); err != nil {
		return false, err
	}
	out, err := os.CreateTemp(filepath.Dir(full), ".naru-*")
	if err != nil {
		return false, err
	}
	w := gzip.NewWriter(out)
	wrote := false
	var rest []byte // behind the last line feed
	room := make([]byte, 64<<10)
	for {
		n, rerr := z.Read(room)
		part := room[:n]
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			wrote = true
			_, err = w.Write(append(rest, part[:i+1]...))
			rest, part = rest[:0], part[i+1:]
		}
		rest = append(rest, part...)
		if err != nil || rerr != nil || len(rest) > 64<<20 {
			break
		}
	}
	if err == nil && !wrote {
		_, err = w.Write(rest) // there are no lines
	}
	err = errors.Join(err, w.Close(), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), full)
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return false, err
	}
	return true, nil
}
