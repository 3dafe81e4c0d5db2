package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/narudata/naru/flow"
)

// A Source reads an archive. Its parts are the files, its groups the indices; a position is the number of
// records before it, in decimal digits. Dead letters are not read.
//
// Before the first record of a file its checksum is compared; a file that is not what the manifest says is a
// Permanent error. A reader needs the memory of the longest record beside that of the batch.
type Source struct {
	root     *os.Root
	manifest *Manifest
	files    map[string]*File
	verified sync.Map // path of a file → true
}

var (
	_ flow.Source    = (*Source)(nil)
	_ flow.Describer = (*Source)(nil)
)

// OpenSource opens a complete archive. ErrIncomplete: it has no manifest yet.
func OpenSource(ctx context.Context, dir string) (*Source, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	m, err := readManifest(root)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open archive: %w", err), root.Close())
	}
	return newSource(root, m), nil
}

// OpenCommitted opens what is committed of an archive that need not be complete: the records are right, but
// there may be more to come, and nothing is known of mappings.
func OpenCommitted(ctx context.Context, dir string) (*Source, error) {
	h, err := readJournal(filepath.Join(dir, filepath.FromSlash(journalName)))
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", dir, err)
	}
	if h.seq == 0 {
		return nil, fmt.Errorf("open archive %s: there is no %s", dir, journalName)
	}
	for i := range h.files {
		if err := checkFile(&h.files[i]); err != nil {
			return nil, fmt.Errorf("open archive %s: %w", dir, err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	return newSource(root, newManifest(h, nil)), nil
}

func newSource(root *os.Root, m *Manifest) *Source {
	s := &Source{root: root, manifest: m, files: map[string]*File{}}
	for i := range m.Indices {
		for j := range m.Indices[i].Files {
			f := &m.Indices[i].Files[j]
			s.files[f.Path] = f
		}
	}
	return s
}

// Manifest is what the archive says of itself. It must not be changed.
func (s *Source) Manifest() *Manifest { return s.manifest }

// Close gives the directory free. Readers that are open stay usable.
func (s *Source) Close() error { return s.root.Close() }

func (s *Source) String() string { return s.root.Name() }

// Groups implements flow.Describer.
func (s *Source) Groups(ctx context.Context) ([]flow.Group, error) {
	groups := make([]flow.Group, 0, len(s.manifest.Indices))
	for i := range s.manifest.Indices {
		x := &s.manifest.Indices[i]
		groups = append(groups, flow.Group{
			Name: x.Name, Records: x.Records, Bytes: x.Bytes, Grade: x.Grade, Why: x.Why, Meta: x.Meta,
		})
	}
	return groups, nil
}

// Parts implements flow.Source.
func (s *Source) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for i := range s.manifest.Indices {
			x := &s.manifest.Indices[i]
			for j := range x.Files {
				if err := ctx.Err(); err != nil {
					yield(flow.Part{}, err)
					return
				}
				f := &x.Files[j]
				if !yield(flow.Part{ID: f.Path, Group: x.Name, Records: f.Records, Bytes: f.Bytes}, nil) {
					return
				}
			}
		}
	}
}

// Open implements flow.Source.
func (s *Source) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	book := s.files[p.ID]
	if book == nil {
		return nil, flow.Permanent(fmt.Errorf("archive %s has no file %q", s, p.ID))
	}
	skip := int64(0)
	if len(from) > 0 {
		var err error
		if skip, err = strconv.ParseInt(string(from), 10, 64); err != nil || skip < 0 || skip > book.Records {
			return nil, flow.Permanent(fmt.Errorf("%s: position %.40q is none of its %d records", p.ID, from, book.Records))
		}
	}
	f, err := s.root.Open(filepath.FromSlash(book.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, flow.Permanent(fmt.Errorf("%w: %s: a file that its manifest names is missing: %w", ErrDamaged, s, err))
	}
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", s, err)
	}
	if err := s.verify(ctx, f, book); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var rows rowReader
	if path.Ext(book.Path) == parquetSuffix {
		rows, err = openParquetRows(f, book.Bytes)
	} else {
		rows, err = openLines(f)
	}
	if err == nil {
		r := &reader{rows: rows, book: book, f: f}
		if err = r.skip(ctx, skip); err == nil {
			return r, nil
		}
		rows.close()
	}
	return nil, errors.Join(flow.Permanent(fmt.Errorf("%w: %s: %w", ErrDamaged, p.ID, err)), f.Close())
}

// verify compares the checksum of a file, once in the life of s.
func (s *Source) verify(ctx context.Context, f *os.File, book *File) error {
	if _, done := s.verified.Load(book.Path); done {
		return nil
	}
	h := sha256.New()
	buf := make([]byte, 1<<20)
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", book.Path, err)
		}
	}
	if size != book.Bytes {
		return flow.Permanent(fmt.Errorf("%w: %s has %d bytes, written were %d", ErrDamaged, book.Path, size, book.Bytes))
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != book.SHA256 {
		return flow.Permanent(fmt.Errorf("%w: %s: its SHA-256 is %s, written was %s", ErrDamaged, book.Path, sum, book.SHA256))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", book.Path, err)
	}
	s.verified.Store(book.Path, true)
	return nil
}

// A rowReader reads a file of some format.
type rowReader interface {
	// read appends the next record to b, its bytes in b's arena. io.EOF: there is none.
	read(b *flow.Batch) error
	// skip passes over n records.
	skip(ctx context.Context, n int64) error
	close()
}

type reader struct {
	rows rowReader
	book *File
	f    *os.File
	at   int64 // records before the next
}

func (r *reader) skip(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	r.at = n
	return r.rows.skip(ctx, n)
}

// Read implements flow.Reader.
func (r *reader) Read(ctx context.Context, b *flow.Batch) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.at == r.book.Records {
			b.Next = strconv.AppendInt(nil, r.at, 10)
			return io.EOF
		}
		if b.Full() {
			b.Next = strconv.AppendInt(nil, r.at, 10)
			return nil
		}
		if err := r.rows.read(b); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("it ends after %d records of %d", r.at, r.book.Records)
			}
			return flow.Permanent(fmt.Errorf("%w: %s: record %d: %w", ErrDamaged, r.book.Path, r.at, err))
		}
		r.at++
	}
}

// Ack implements flow.Reader.
func (r *reader) Ack(ctx context.Context, next flow.Position) error { return nil }

// Close implements flow.Reader.
func (r *reader) Close() error {
	if r.f == nil {
		return nil
	}
	r.rows.close()
	err := r.f.Close()
	r.f = nil
	return err
}

// A name turns the bytes of names that repeat into strings, without making each anew.
type name struct{ last string }

func (n *name) of(b []byte) string {
	if string(b) != n.last {
		n.last = string(b)
	}
	return n.last
}
