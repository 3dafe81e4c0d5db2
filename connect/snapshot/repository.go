package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/blob"
	format "github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/internal/ahead"
)

// Bounds of what is read whole, in bytes.
const (
	maxRepositoryData = 1 << 30 // index-N of tens of thousands of snapshots
	maxMetadataBlob   = 512 << 20
)

// ErrNoRepository says that there is no snapshot repository where one was looked for.
var ErrNoRepository = errors.New("not a snapshot repository")

// A Repository is an open snapshot repository.
type Repository struct {
	Store      blob.Store
	Generation int64 // the N of index-N
	*format.Repository
}

// OpenRepository opens the repository at a path, a file:// URL or an s3:// URL.
func OpenRepository(ctx context.Context, url string) (*Repository, error) {
	if blob.Remote(url) {
		store, err := blob.Open(ctx, url)
		if err != nil {
			return nil, err
		}
		return readOrClose(ctx, store)
	}
	dir, ok := strings.CutPrefix(url, "file://")
	if !ok && strings.Contains(url, "://") {
		return nil, fmt.Errorf("%s: repositories are read from directories and S3; give a path, a file:// URL or an s3:// URL", url)
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w: it is a file; give the directory that holds index.latest", dir, ErrNoRepository)
	}
	dir, err := filepath.Abs(dir) // the same from wherever naru is started: the source is known by it
	if err != nil {
		return nil, err
	}
	store, err := blob.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return readOrClose(ctx, store)
}

func readOrClose(ctx context.Context, store blob.Closer) (*Repository, error) {
	r, err := ReadRepository(ctx, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return r, nil
}

// ReadRepository reads the newest index-N of a store: by listing it, or by index.latest where that cannot be.
func ReadRepository(ctx context.Context, store blob.Store) (*Repository, error) {
	n, err := newest(ctx, store)
	if err != nil {
		return nil, err
	}
	name := "index-" + strconv.FormatInt(n, 10)
	b, err := blob.ReadAll(ctx, store, name, maxRepositoryData)
	if err != nil {
		return nil, err
	}
	data, err := format.ReadRepository(b)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", store, name, err)
	}
	return &Repository{store, n, data}, nil
}

func newest(ctx context.Context, store blob.Store) (int64, error) {
	n := int64(-1)
	var listed error
	for entry, err := range store.List(ctx, ".") {
		if err != nil {
			listed = err
			break
		}
		if digits, ok := strings.CutPrefix(entry.Name, "index-"); ok && !entry.Dir {
			if k, err := strconv.ParseInt(digits, 10, 64); err == nil {
				n = max(n, k)
			}
		}
	}
	if listed != nil && !errors.Is(listed, blob.ErrNoListing) {
		return 0, listed
	}
	if listed == nil {
		if n < 0 {
			return 0, fmt.Errorf("%s: %w: there is no index-N file; a repository's directory holds index-N, index.latest, snap-*.dat and indices/",
				store, ErrNoRepository)
		}
		return n, nil
	}
	b, err := blob.ReadAll(ctx, store, "index.latest", 64)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s: %w: it cannot be listed, and has no index.latest", store, ErrNoRepository)
	}
	if err != nil {
		return 0, err
	}
	if n, err = format.ReadLatest(b); err != nil {
		return 0, fmt.Errorf("%s: %w", store, err)
	}
	return n, nil
}

// Snapshot reads a snapshot's own metadata.
func (r *Repository) Snapshot(ctx context.Context, ref *format.Ref) (*format.Snapshot, error) {
	name := "snap-" + ref.UUID + ".dat"
	return decode(ctx, r.Store, name, format.ReadSnapshot)
}

// Index reads an index's metadata as of a snapshot.
func (r *Repository) Index(ctx context.Context, ref *format.Ref, index *format.IndexRef) (*format.Index, error) {
	name := path.Join("indices", index.ID, "meta-"+ref.MetaID(index)+".dat")
	return decode(ctx, r.Store, name, func(b []byte) (*format.Index, error) { return format.ReadIndex(b, index.Name) })
}

// decode reads a metadata blob and decodes it; errors name the blob.
func decode[T any](ctx context.Context, store blob.Store, name string, read func([]byte) (T, error)) (T, error) {
	var zero T
	b, err := blob.ReadAll(ctx, store, name, maxMetadataBlob)
	if err != nil {
		return zero, err
	}
	v, err := read(b)
	if err != nil {
		return zero, &BlobError{name, err}
	}
	return v, nil
}

// A BlobError says which blob an error is about.
type BlobError struct {
	Blob string
	Err  error
}

func (e *BlobError) Error() string { return "blob " + e.Blob + ": " + e.Err.Error() }
func (e *BlobError) Unwrap() error { return e.Err }

// Latest is the name that stands for the newest snapshot.
const Latest = "latest"

// Select gives the snapshots that a name means, the newest first: the snapshot of that name, the newest that did
// not fail for "latest" or "", or those whose names match a pattern with * and ?.
func (r *Repository) Select(ctx context.Context, name string) ([]Selected, error) {
	if name == "" {
		name = Latest
	}
	var refs []*format.Ref
	for i := range r.Snapshots {
		ref := &r.Snapshots[i]
		match := ref.Name == name || name == Latest
		if strings.ContainsAny(name, "*?[") {
			var err error
			if match, err = path.Match(name, ref.Name); err != nil {
				return nil, fmt.Errorf("snapshot pattern %q: %w", name, err)
			}
		}
		if match {
			refs = append(refs, ref)
		}
	}
	if len(refs) == 0 {
		return nil, r.unknown(name)
	}
	selected, err := ahead.All(ctx, refs, func(ctx context.Context, ref *format.Ref) (Selected, error) {
		s, err := r.Snapshot(ctx, ref)
		return Selected{ref, s}, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(selected, func(a, b Selected) int { return b.Snapshot.Start.Compare(a.Snapshot.Start) })
	if name != Latest {
		return selected, nil
	}
	for _, s := range selected {
		if s.Snapshot.State != "FAILED" {
			return []Selected{s}, nil
		}
	}
	return nil, fmt.Errorf("%s: all %d snapshots failed", r.Store, len(selected))
}

// Selected is a snapshot and what it says of itself.
type Selected struct {
	Ref      *format.Ref
	Snapshot *format.Snapshot
}

// unknown says that there is no such snapshot, and which there are.
func (r *Repository) unknown(name string) error {
	if len(r.Snapshots) == 0 {
		return fmt.Errorf("%s has no snapshots", r.Store)
	}
	names := make([]string, 0, len(r.Snapshots))
	for _, s := range r.Snapshots {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	more := ""
	if n := len(names) - 20; n > 0 {
		names, more = names[:20], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%s has no snapshot %q; it has %s%s", r.Store, name, strings.Join(names, ", "), more)
}
