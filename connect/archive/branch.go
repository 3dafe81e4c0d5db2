package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/flow"
)

// A Branch is one worker's way into an archive: it has one file open per index, and its own dead letters. Its
// methods must not be called concurrently. After an error other than flow.Failures it is unusable, since part
// of what it was given may be in its files: what it has not committed is lost with it, and is read again from
// the last checkpoint.
type Branch struct {
	s      *Sink
	open   map[string]*output // by index
	dead   *output            // nil until there is one
	closed []closedFile       // complete, in tmp, waiting for the commit
	held   int64              // bytes in memory, of all outputs
	err    error

	columns      columns // of the index columnsIndex
	columnsIndex string

	touched []*output
	zstd    *zstd.Encoder
	packed  []byte   // a compressed frame, on its way to the disk
	spare   [][]byte // frame buffers
}

var (
	_ flow.Committer   = (*Branch)(nil)
	_ flow.DeadLetters = (*Branch)(nil)
)

// Bounds on what a branch has open before it asks to be committed, and on its file handles.
const (
	maxOpen    = 256
	maxHandles = 128
)

// An output is a file of one index being written.
type output struct {
	book    File // the books so far
	f       *file
	w       recordWriter
	hasher  flow.Hasher
	held    int64
	touched bool
}

// A recordWriter is a format.
type recordWriter interface {
	// write takes r. refused: r cannot be kept in this format, and was not taken.
	write(r *flow.Record) (refused, err error)
	// settle ends the use of the bytes of all records taken.
	settle() error
	// held is how much memory is in use, in bytes; flush brings what is in it to the disk and lets it go.
	held() int64
	flush() error
	// finish completes the file.
	finish() error
}

type closedFile struct {
	tmp  string
	book File
}

func (s *Sink) branch() (*Branch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(s.cfg.zstdLevel()), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowBytes), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	return &Branch{s: s, open: map[string]*output{}, zstd: enc}, nil
}

// Write implements flow.Sink. A record that the format cannot keep is a Permanent failure: one whose body is
// not one line of JSON and, in Parquet, one whose id, names or body are not valid UTF-8.
func (b *Branch) Write(ctx context.Context, recs []flow.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.err != nil {
		return b.err
	}
	var failures flow.Failures
	var out *output
	for i := range recs {
		r := &recs[i]
		if out == nil || out.book.Index != r.Index {
			var err error
			if out, err = b.output(r.Index); err != nil {
				return b.fail(err)
			}
		}
		refused, err := out.w.write(r)
		if err != nil {
			return b.fail(err)
		}
		if refused != nil {
			failures = append(failures, flow.Failure{Index: i, Err: flow.Permanent(refused)})
			continue
		}
		out.count(r)
		if out.f.size >= b.s.cfg.FileBytes {
			if err := b.closeOutput(out); err != nil {
				return b.fail(err)
			}
			delete(b.open, r.Index)
			out = nil
		}
	}
	if err := b.settle(); err != nil {
		return b.fail(err)
	}
	if failures != nil {
		return failures
	}
	return nil
}

func (o *output) count(r *flow.Record) {
	o.book.Records++
	o.book.BodyBytes += int64(len(r.Body))
	if r.Body == nil {
		o.book.Bodiless++
	}
	o.hasher.Add(r)
}

// output gives the open file of an index.
func (b *Branch) output(index string) (*output, error) {
	o := b.open[index]
	if o == nil {
		suffix := ndjsonSuffix
		if b.s.cfg.Format == Parquet {
			suffix = parquetSuffix
		}
		var err error
		if o, err = b.create(DirName(index), suffix); err != nil {
			return nil, err
		}
		o.book.Index = index
		if b.s.cfg.Format == Parquet {
			o.w = newParquetFile(o.f, index, &b.s.cfg, b.columnsOf(index))
		} else {
			o.w = &ndjsonFile{b: b, f: o.f}
		}
		b.open[index] = o
	}
	if !o.touched {
		o.touched = true
		b.touched = append(b.touched, o)
	}
	return o, nil
}

// columnsOf gives the columns of an index. Those of the last one are kept: there may be very many indices, and
// a worker mostly writes one after the other.
func (b *Branch) columnsOf(index string) columns {
	if b.columns.root == nil || b.columnsIndex != index {
		b.columnsIndex, b.columns = index, columnsOf(b.s.metas[index], b.s.cfg.Columns)
	}
	return b.columns
}

// create begins a file that a commit will bring into dir.
func (b *Branch) create(dir, suffix string) (*output, error) {
	if len(b.open) >= maxHandles {
		for _, o := range b.open {
			if err := o.f.park(); err != nil {
				return nil, err
			}
		}
	}
	name := b.s.fileName(b.s.next.Add(1)-1, suffix)
	f, err := b.s.d.create(path.Join(tmpDir, name))
	if err != nil {
		return nil, err
	}
	return &output{f: f, book: File{Path: path.Join(dir, name)}}, nil
}

// settle ends the use of the records of a Write, and bounds the memory.
func (b *Branch) settle() error {
	for _, o := range b.touched {
		if err := o.w.settle(); err != nil {
			return err
		}
		held := o.w.held()
		b.held += held - o.held
		o.held = held
		o.touched = false
	}
	b.touched = b.touched[:0]
	if b.held <= b.s.cfg.BufferBytes {
		return nil
	}
	for _, o := range b.open {
		if err := o.w.flush(); err != nil {
			return err
		}
		held := o.w.held()
		b.held += held - o.held
		o.held = held
	}
	return nil
}

// closeOutput completes a file, durably, for the next commit.
func (b *Branch) closeOutput(o *output) error {
	if err := o.w.finish(); err != nil {
		return err
	}
	b.held -= o.held
	o.held = 0
	if o.touched { // it holds nothing any more that settle would have to see
		b.touched = slices.DeleteFunc(b.touched, func(t *output) bool { return t == o })
	}
	if o.book.Records == 0 {
		return errors.Join(o.f.close(), b.s.d.remove(o.f.name)) // all were refused
	}
	if err := o.f.sync(); err != nil {
		return err
	}
	if err := o.f.close(); err != nil {
		return err
	}
	o.book.Bytes = o.f.size
	o.book.Digest = o.hasher.Sum
	o.book.SHA256 = o.f.sum()
	b.closed = append(b.closed, closedFile{tmp: o.f.name, book: o.book})
	return nil
}

// Due implements flow.Committer.
func (b *Branch) Due() bool {
	return len(b.closed) > 0 || len(b.open) >= maxOpen || b.held >= b.s.cfg.BufferBytes/4*3
}

// Bury implements flow.DeadLetters. A body that is not one line of JSON is kept in base64.
func (b *Branch) Bury(ctx context.Context, recs []flow.Record, why []error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.err != nil {
		return b.err
	}
	if b.dead == nil {
		o, err := b.create(deadDir, ndjsonSuffix)
		if err != nil {
			return b.fail(err)
		}
		o.book.Dead = true
		o.w = &ndjsonFile{b: b, f: o.f}
		b.dead = o
	}
	w, ok := b.dead.w.(*ndjsonFile)
	if !ok {
		panic("BUG: dead letters are lines")
	}
	for i := range recs {
		reason := "unknown"
		if i < len(why) && why[i] != nil {
			reason = why[i].Error()
		}
		if err := w.writeDead(&recs[i], reason); err != nil {
			return b.fail(err)
		}
		b.dead.count(&recs[i])
	}
	return nil
}

// Commit implements flow.Committer.
func (b *Branch) Commit(ctx context.Context, cs []flow.Checkpoint) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.err != nil {
		return b.err
	}
	for _, index := range slices.Sorted(maps.Keys(b.open)) {
		if err := b.closeOutput(b.open[index]); err != nil {
			return b.fail(err)
		}
		delete(b.open, index)
	}
	if b.dead != nil {
		if err := b.closeOutput(b.dead); err != nil {
			return b.fail(err)
		}
		b.dead = nil
	}
	files := make([]File, 0, len(b.closed))
	synced := map[string]bool{}
	for _, c := range b.closed {
		dir := path.Dir(c.book.Path)
		if err := b.s.makeDir(dir); err != nil {
			return b.fail(err)
		}
		if err := b.s.d.rename(c.tmp, c.book.Path); err != nil {
			return b.fail(err)
		}
		files = append(files, c.book)
		synced[dir] = false
	}
	for _, f := range files {
		if dir := path.Dir(f.Path); !synced[dir] {
			if err := b.s.d.syncDir(dir); err != nil {
				return b.fail(err)
			}
			synced[dir] = true
		}
	}
	if err := b.s.commit(files, cs); err != nil {
		return b.fail(err)
	}
	b.closed = b.closed[:0]
	return nil
}

// fail makes b unusable.
func (b *Branch) fail(err error) error {
	b.err = flow.Permanent(fmt.Errorf("write archive %s: %w", b.s.cfg.Dir, err))
	return b.err
}

// Close implements flow.Sink. What was not committed is discarded.
func (b *Branch) Close(ctx context.Context) error {
	if errors.Is(b.err, errClosed) {
		return nil
	}
	var errs []error
	discard := func(o *output) {
		errs = append(errs, o.f.close(), b.s.d.remove(o.f.name))
	}
	for _, o := range b.open {
		discard(o)
	}
	if b.dead != nil {
		discard(b.dead)
	}
	// A failed commit may have brought files into place; without their line in the journal they are nothing.
	// When the journal is in doubt they stay for the next opening to judge.
	if b.s.undoubted() {
		for _, c := range b.closed {
			errs = append(errs, b.s.d.remove(c.tmp), b.s.d.remove(c.book.Path))
		}
	}
	b.open, b.dead, b.closed, b.err = nil, nil, nil, errClosed
	return errors.Join(append(errs, b.zstd.Close())...)
}

// undoubted reports that the journal on disk is known to be what this process thinks.
func (s *Sink) undoubted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.err == nil
}
