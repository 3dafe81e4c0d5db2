// Package lucene reads what a migration needs of Lucene indices, straight from their files: commits, segments,
// live documents and stored fields, as Elasticsearch 5 to 8 and OpenSearch 1 to 3 write them (Lucene 6 to 10).
//
// Every file says by its own header which format it has, and that alone decides how it is read: never the
// server's version or the codec's name, for an upgraded index mixes formats. The layouts are those of the
// classes named above each decoder (org.apache.lucene.codecs). All lengths are checked before memory is
// taken; damaged files give ErrCorrupt, and formats this package does not know ErrUnsupported.
package lucene

import (
	"errors"
	"fmt"
	"io"
)

// Markers for errors.Is.
var (
	ErrCorrupt     = errors.New("corrupt")
	ErrUnsupported = errors.New("unsupported")
)

// A Directory holds the files of one shard. An absent file is fs.ErrNotExist.
type Directory interface {
	Open(name string) (File, error)
}

// A File is random access to one file. Its methods are called concurrently.
type File interface {
	io.ReaderAt
	Size() int64
}

// A FileError says which file an error is about.
type FileError struct {
	File string
	Err  error
}

func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

func fileError(name string, err error) error {
	if err == nil {
		return nil
	}
	var have *FileError
	if errors.As(err, &have) {
		return err
	}
	return &FileError{name, err}
}

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}

func unsupportedf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsupported, fmt.Errorf(format, args...))
}

// section is a part of a file as a file: a member of a compound file.
type section struct {
	f      File
	off, n int64
}

func (s section) Size() int64 { return s.n }

func (s section) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.n {
		return 0, io.EOF
	}
	if rest := s.n - off; int64(len(p)) > rest {
		n, err := s.f.ReadAt(p[:rest], s.off+off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return s.f.ReadAt(p, s.off+off)
}

// readFull reads n bytes at off.
func readFull(f File, off int64, p []byte) error {
	if off < 0 || off+int64(len(p)) > f.Size() {
		return corruptf("%d bytes wanted at %d of %d", len(p), off, f.Size())
	}
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return corruptf("the file ends at %d of %d", off+int64(n), f.Size())
	}
	return err
}
