package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// A Writer is a Store that can be written. Whatever happens, no name ever shows half a blob. Its methods are called
// concurrently. *Dir and *S3 are Writers.
type Writer interface {
	Store
	// Put makes a blob in one step: afterwards it is there, whole and durable, or not at all. fs.ErrExist: the name is
	// taken.
	Put(ctx context.Context, name string, b []byte) error
	// Replace is Put for a name that may be taken: whoever reads sees the old or the new blob.
	Replace(ctx context.Context, name string, b []byte) error
	// Take makes the blob called name in from appear here under the same name, unchanged, by the cheapest way there
	// is. size is what it must have: ErrSize if from has another. A blob of that size that is there already is left as
	// it is (Kept); one of another size is fs.ErrExist.
	Take(ctx context.Context, from Store, name string, size int64) (How, error)
	// Remove removes blobs; those that are absent are no error. In a directory, those above them that become empty
	// go too, but for the root.
	Remove(ctx context.Context, names ...string) error
	// Stat gives a blob's size in bytes; fs.ErrNotExist.
	Stat(ctx context.Context, name string) (int64, error)
	// Sync makes all that was taken or removed durable; it belongs before something is put that refers to what was
	// taken.
	Sync(ctx context.Context) error
	Close() error
}

// How a blob was taken.
type How int

const (
	Kept        How = iota // it was there
	Linked                 // by a hard link: no byte was written, both names are the same file
	CopiedThere            // by the server: no byte came through here
	Streamed               // read and written
)

func (h How) String() string {
	switch h {
	case Kept:
		return "kept"
	case Linked:
		return "linked"
	case CopiedThere:
		return "copied by the server"
	case Streamed:
		return "streamed"
	}
	return fmt.Sprintf("How(%d)", int(h))
}

// ErrSize says that the blob that was to be taken does not have the size that it must have.
var ErrSize = errors.New("the blob does not have the expected size")

// pending begins the names of files that are being written. Elasticsearch and OpenSearch use it too (FsBlobContainer,
// TEMP_FILE_PREFIX), and remove such files when they clean up.
const pending = "pending-"

// Pending reports that a name is that of a blob in a directory that was not written to its end: nobody refers to it,
// and it may be removed once nobody writes.
func Pending(name string) bool {
	return strings.HasPrefix(name[strings.LastIndexByte(name, '/')+1:], pending)
}

// Create opens a place (see Open) for writing. It makes a directory that is absent; of S3 it checks that the bucket is
// there.
func Create(ctx context.Context, place string) (Writer, error) {
	if Remote(place) {
		c, err := ParseS3(place)
		if err != nil {
			return nil, err
		}
		s, err := c.Open(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.checkBucket(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	path, err := localPath(place)
	if err != nil {
		return nil, err
	}
	return CreateDir(path)
}

// checkTake is what every Take asks of its arguments.
func checkTake(name string, size int64) error {
	if err := checkName("take", name); err != nil {
		return err
	}
	if size < 0 {
		return &fs.PathError{Op: "take", Path: name, Err: fmt.Errorf("%w: size %d", fs.ErrInvalid, size)}
	}
	return nil
}

// checkName refuses what is no name of a blob.
func checkName(op, name string) error {
	if !fs.ValidPath(name) || name == "." {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

func sizeError(from Store, name string, has, want int64) error {
	return fmt.Errorf("%s: %s: %w: it has %d bytes, not %d", from, name, ErrSize, has, want)
}

// keep decides about a blob that is there already.
func keep(s Store, name string, has, want int64) (How, error) {
	if has == want {
		return Kept, nil
	}
	return 0, fmt.Errorf("%s: %s has %d bytes, and one of %d bytes was to be taken: %w", s, name, has, want, fs.ErrExist)
}

// beneath is the store that a store reads from, if it only reads ahead; else the store itself.
func beneath(s Store) Store {
	for {
		switch w := s.(type) {
		case *Ahead:
			s = w.Store
		case *inOrder:
			s = w.Store
		case plain:
			s = w.Store
		default:
			return s
		}
	}
}
