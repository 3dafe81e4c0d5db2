package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/format/lucene"
	format "github.com/narudata/naru/format/snapshot"
)

// shard is one shard of an index in a snapshot: its files, wherever they are.
type shard struct {
	store   blob.Store
	dir     string // of its blobs: indices/I/n
	files   map[string]*format.File
	order   []format.File
	checker lucene.Checker
	commit  *lucene.Commit
}

// openShard reads which files a shard has in a snapshot, and its commit.
func openShard(ctx context.Context, store blob.Store, dir, uuid string) (*shard, error) {
	data, err := decode(ctx, store, path.Join(dir, "snap-"+uuid+".dat"), format.ReadShard)
	if err != nil {
		return nil, err
	}
	s := &shard{store: store, dir: dir, order: data.Files, files: make(map[string]*format.File, len(data.Files))}
	var commit *format.File
	for i := range s.order {
		f := &s.order[i]
		s.files[f.Physical] = f
		if strings.HasPrefix(f.Physical, "segments_") {
			if commit != nil {
				return nil, &BlobError{path.Join(dir, "snap-"+uuid+".dat"), fmt.Errorf("%w: two commits, %s and %s", format.ErrCorrupt, commit.Physical, f.Physical)}
			}
			commit = f
		}
	}
	if commit == nil {
		return nil, &BlobError{path.Join(dir, "snap-"+uuid+".dat"), fmt.Errorf("%w: no commit among %d files", format.ErrCorrupt, len(s.order))}
	}
	s.commit, err = s.readCommit(ctx, commit)
	return s, err
}

const maxCommit = 64 << 20

func (s *shard) readCommit(ctx context.Context, commit *format.File) (*lucene.Commit, error) {
	if commit.Length > maxCommit {
		return nil, s.blame(commit.Physical, fmt.Errorf("%w: a commit of %d bytes", format.ErrUnsupported, commit.Length))
	}
	f := s.at(ctx).file(commit)
	b := make([]byte, commit.Length)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, s.blame(commit.Physical, err)
	}
	sum, err := lucene.Checksum(f)
	if err == nil && commit.Checksum != "" && sum != commit.Checksum {
		err = fmt.Errorf("%w: checksum is %s, should be %s", lucene.ErrCorrupt, sum, commit.Checksum)
	}
	if err != nil {
		return nil, s.blame(commit.Physical, err)
	}
	c, err := lucene.ReadCommit(commit.Physical, b)
	return c, s.blame(commit.Physical, err)
}

// segmentBytes is how long all files of a segment are together.
func (s *shard) segmentBytes(name string) int64 {
	var n int64
	for i := range s.order {
		if p := s.order[i].Physical; strings.HasPrefix(p, name+".") || strings.HasPrefix(p, name+"_") {
			n += s.order[i].Length
		}
	}
	return n
}

// beginnings names the blobs of a segment whose beginnings are read when its documents are.
func (s *shard) beginnings(segment string) []string {
	var names []string
	for i := range s.order {
		f := &s.order[i]
		name, ext, _ := strings.Cut(f.Physical, ".")
		of := name == segment || strings.HasPrefix(name, segment+"_")
		if of && !f.Inline() && slices.Contains([]string{"cfe", "cfs", "fdm", "fdt", "fdx", "fnm", "liv", "si"}, ext) {
			names = append(names, path.Join(s.dir, f.Part(0)))
		}
	}
	return names
}

// blame adds to an error the blob that holds the file it is about.
func (s *shard) blame(physical string, err error) error {
	if err == nil {
		return nil
	}
	var known *BlobError
	if errors.As(err, &known) {
		return err
	}
	var about *lucene.FileError
	if errors.As(err, &about) {
		// A member of a compound file is called segment.cfs/member by some, and member by others.
		physical, _, _ = strings.Cut(about.File, "/")
	}
	file := s.files[physical]
	if file == nil {
		if segment, _, ok := strings.Cut(physical, "."); ok {
			segment, _, _ = strings.Cut(segment[min(1, len(segment)):], "_")
			file = s.files["_"+segment+".cfs"]
		}
	}
	if file == nil || strings.HasPrefix(file.Name, "v__") {
		return &BlobError{path.Join(s.dir, "snap-*.dat"), err}
	}
	return &BlobError{path.Join(s.dir, file.Name), err}
}

// at gives the shard's files as a Lucene directory, whose reads are under ctx.
func (s *shard) at(ctx context.Context) *directory {
	return &directory{shard: s, store: s.store, ctx: ctx}
}

// directory is a shard's files under a context.
type directory struct {
	*shard
	store blob.Store // through which they are read
	mu    sync.Mutex
	ctx   context.Context // guarded by mu; that of the call under way
}

// within sets the context that reads are under from now on.
func (d *directory) within(ctx context.Context) {
	d.mu.Lock()
	d.ctx = ctx
	d.mu.Unlock()
}

func (d *directory) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ctx
}

// Open implements lucene.Directory.
func (d *directory) Open(name string) (lucene.File, error) {
	f := d.files[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return d.file(f), nil
}

func (d *directory) file(f *format.File) lucene.File { return &file{d, f} }

// file is one file of a shard: in memory, in a blob, or in several.
type file struct {
	dir *directory
	*format.File
}

func (f *file) Size() int64 { return f.Length }

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off > f.Length {
		return 0, io.EOF
	}
	short := false
	if rest := f.Length - off; int64(len(p)) > rest {
		p, short = p[:rest], true
	}
	if f.Inline() {
		n = copy(p, f.Meta[off:])
	}
	ctx := f.dir.context()
	for n < len(p) {
		k, within := (off+int64(n))/f.PartSize, (off+int64(n))%f.PartSize
		part := p[n:]
		if rest := f.PartSize - within; int64(len(part)) > rest {
			part = part[:rest]
		}
		name := path.Join(f.dir.dir, f.Part(k))
		if err := blob.ReadAt(ctx, f.dir.store, name, part, within); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("%w: shorter than the %d bytes it should have", lucene.ErrCorrupt, f.Length)
			} else if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w: the blob is missing: %v", lucene.ErrCorrupt, err) //nolint:errorlint // it is no optional file that is absent
			}
			return n, &BlobError{name, err}
		}
		n += len(part)
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}
