// Package blob is one small interface over places that hold named blobs: directories and S3. Blobs appear
// whole or not at all, and but for the few that are replaced whole, they are never changed.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Store gives read access to named blobs. Names are slash-separated and relative; "." is the root. Its
// methods are called concurrently. An absent blob is fs.ErrNotExist.
type Store interface {
	// Open reads n bytes of the blob from off on; n < 0: to its end. A range past the end is cut short.
	Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// List yields what is directly in dir, in no given order. ErrNoListing: this store cannot.
	List(ctx context.Context, dir string) iter.Seq2[Entry, error]
	// String names the store for people, as a URL or path without secrets.
	String() string
}

// An Entry is a blob or a directory in a listing.
type Entry struct {
	Name string // the last element
	Dir  bool
	Size int64 // of a blob, in bytes
}

// ErrNoListing says that a store cannot be listed.
var ErrNoListing = errors.New("the store cannot be listed")

// What is wrong with a whole store: see Refused.
var (
	// ErrDenied says that the store does not let these credentials read, or write.
	ErrDenied = errors.New("access denied")
	// ErrExpired says that the credentials are valid no more, or cannot be had. After they are renewed, reading
	// goes on.
	ErrExpired = errors.New("the credentials are not valid any more")
	// ErrNoBucket says that there is no such bucket.
	ErrNoBucket = errors.New("there is no such bucket")
)

// Refused reports that err is about the store as a whole (ErrDenied, ErrExpired, ErrNoBucket): every other blob
// would meet it too, and trying again is of no use before somebody has done something about it.
func Refused(err error) bool {
	return errors.Is(err, ErrDenied) || errors.Is(err, ErrExpired) || errors.Is(err, ErrNoBucket)
}

// What is wrong with one blob, beside fs.ErrNotExist.
var (
	// ErrChanged says that a blob was overwritten while it was read.
	ErrChanged = errors.New("the blob was changed while it was read")
	// ErrArchived says that a blob is in a storage class that cannot be read before it is restored.
	ErrArchived = errors.New("the blob is archived and cannot be read before it is restored")
)

// ErrTooLarge says that a blob is larger than the caller allows.
var ErrTooLarge = errors.New("larger than allowed")

// ReadAll reads a whole blob of at most limit bytes.
func ReadAll(ctx context.Context, s Store, name string, limit int64) ([]byte, error) {
	r, err := s.Open(ctx, name, 0, limit+1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: %w (%d bytes)", name, ErrTooLarge, limit)
	}
	return data, nil
}

// ReadAt fills p from off on. io.ErrUnexpectedEOF: the blob ends before.
func ReadAt(ctx context.Context, s Store, name string, p []byte, off int64) error {
	r, err := s.Open(ctx, name, off, int64(len(p)))
	if err != nil {
		return err
	}
	_, err = io.ReadFull(r, p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("read %s at %d: %w", name, off, err)
	}
	return nil
}
