package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"unicode/utf8"

	"github.com/narudata/naru/flow"
)

// File is a ledger in a file that one process uses at a time. What Save has returned nil for outlasts a
// crash of the machine.
type File struct {
	path    string
	subject string

	writing sync.Mutex // held by who writes to the file; guards what follows
	file    disk
	size    int64 // of the whole lines
	broken  error // the file is in a state nobody knows

	patience int64 // no compaction below this size, as one failed

	mu     sync.Mutex // guards what follows; taken after writing
	next   *entry     // collects what is saved while somebody writes; nil: nothing
	live   int64      // about the size of the file if it were compacted
	lines  map[string]int
	closed bool
	table
}

var (
	_ flow.Ledger   = (*File)(nil)
	_ flow.Releaser = (*File)(nil)
)

// ErrInUse says that another process (or another File of this one) has the file open.
var ErrInUse = errors.New("the ledger is in use by another process")

// disk is what a File needs of an os.File.
type disk interface {
	io.Writer
	io.Seeker
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// An entry is one line to be, and who waits for it share it.
type entry struct {
	cs  []flow.Checkpoint
	err error
	end bool // written, or failed
}

// Open opens the ledger at path, and makes it if there is none. The subject says what it is about (a flow's
// source and sink, say): a file that was made for another subject is refused, unless either is empty.
func Open(path, subject string) (*File, error) {
	f, err := openLocked(path)
	if err != nil {
		return nil, err
	}
	l := &File{path: path, subject: subject, file: f, lines: make(map[string]int)}
	if err := l.load(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// Read gives the checkpoints in the ledger at path, by group and part, also while another process writes it.
func Read(path string) ([]flow.Checkpoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var t table
	_, _, err = replay(f, path, func(cs []flow.Checkpoint, _ int) { t.apply(cs) })
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return t.list(), nil
}

// openLocked opens and locks the file at path. The lock is the file's, not the name's: a file that was
// replaced by its compacted self in between is let go of.
func openLocked(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), f.Close())
		}
		mine, err := f.Stat()
		if err == nil {
			var named os.FileInfo
			if named, err = os.Stat(path); err == nil && os.SameFile(mine, named) {
				return f, nil
			}
		}
		if cerr := f.Close(); cerr != nil || err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, cerr)
		}
	}
}

// load reads the file, cuts off a torn last line and writes the header of a new one.
func (l *File) load(f *os.File) error {
	h, good, err := replay(f, l.path, l.account)
	if err != nil {
		return err
	}
	if l.subject != "" && h.Subject != "" && l.subject != h.Subject {
		return fmt.Errorf("the ledger %s is about %q, not %q; give each flow a ledger of its own", l.path, h.Subject, l.subject)
	}
	if err := f.Truncate(good); err != nil {
		return fmt.Errorf("cut a torn line off %s: %w", l.path, err)
	}
	if _, err := f.Seek(good, io.SeekStart); err != nil {
		return err
	}
	l.size = good
	if good > 0 {
		l.subject = h.Subject
		return nil
	}
	line, err := appendLine(nil, header{magic, version, l.subject})
	if err != nil {
		return err
	}
	if err := l.append(line); err != nil {
		return err
	}
	return syncDir(filepath.Dir(l.path))
}

// account enters checkpoints that are in the file, in a line of that size.
func (l *File) account(cs []flow.Checkpoint, size int) {
	l.apply(cs)
	for _, cp := range cs {
		each := size/len(cs) + 12 // as a line of its own
		l.live += int64(each - l.lines[cp.Part])
		l.lines[cp.Part] = each
	}
}

// Claim implements flow.Ledger.
func (l *File) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return flow.Checkpoint{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return flow.Checkpoint{}, errClosed
	case !utf8.ValidString(p.ID) || !utf8.ValidString(p.Group): // JSON would change it
		return flow.Checkpoint{}, flow.Permanent(fmt.Errorf("part %q of %q: a name in a ledger must be UTF-8", p.ID, p.Group))
	}
	return l.claim(p)
}

var errClosed = flow.Permanent(errors.New("the ledger is closed"))

// Release implements flow.Releaser.
func (l *File) Release(_ context.Context, part string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.claimed, part)
	return nil
}

// Checkpoints gives the last one of each part, by group and part.
func (l *File) Checkpoints() []flow.Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list()
}

// Save implements flow.Ledger. What several workers save while the disk is busy becomes one line.
func (l *File) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if err := ctx.Err(); err != nil || len(cs) == 0 {
		return err
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errClosed
	}
	if err := l.check(cs); err != nil {
		l.mu.Unlock()
		return err
	}
	if l.known(cs) {
		l.mu.Unlock()
		return nil
	}
	if l.next == nil {
		l.next = new(entry)
	}
	mine := l.next
	mine.cs = append(mine.cs, cs...)
	l.mu.Unlock()

	l.writing.Lock()
	defer l.writing.Unlock()
	if !mine.end { // else another has written it along with its own
		l.mu.Lock()
		l.next = nil
		l.mu.Unlock()
		mine.err = l.write(mine.cs)
		mine.end = true
	}
	return mine.err
}

// known reports that the table has cs already. l.mu is held.
func (l *File) known(cs []flow.Checkpoint) bool {
	for _, cp := range cs {
		last, ok := l.last[cp.Part]
		if !ok || string(last.Position) != string(cp.Position) || last.Done != cp.Done || last.Tally != cp.Tally || last.Group != cp.Group {
			return false
		}
	}
	return true
}

// write makes cs durable as one line. l.writing is held.
func (l *File) write(cs []flow.Checkpoint) error {
	line, err := appendLine(nil, cs)
	if err != nil {
		return fmt.Errorf("save to %s: %w", l.path, err)
	}
	if err := l.append(line); err != nil {
		return err
	}
	l.mu.Lock()
	l.account(cs, len(line))
	grown := l.size > max(compactAt, l.patience) && l.size > 4*l.live
	l.mu.Unlock()
	if grown {
		l.compact() // the line is safe whatever comes of it
	}
	return nil
}

// append writes a line and syncs it, or leaves the file as it was. l.writing is held.
func (l *File) append(line []byte) error {
	if l.broken != nil {
		return l.broken
	}
	_, err := l.file.Write(line)
	if err != nil {
		// Half a line may be there: later lines must not be appended to it.
		if terr := l.rewind(); terr != nil {
			l.broken = flow.Permanent(fmt.Errorf("save to %s: %w", l.path, errors.Join(err, terr)))
			return l.broken
		}
		return fmt.Errorf("save to %s: %w", l.path, err)
	}
	if err := l.file.Sync(); err != nil {
		// What a failed sync has left on the disk cannot be known, not even by another sync.
		l.broken = flow.Permanent(fmt.Errorf("save to %s: %w", l.path, errors.Join(err, l.rewind())))
		return l.broken
	}
	l.size += int64(len(line))
	return nil
}

// rewind cuts the file back to its whole lines.
func (l *File) rewind() error {
	if err := l.file.Truncate(l.size); err != nil {
		return err
	}
	_, err := l.file.Seek(l.size, io.SeekStart)
	return err
}

// Close lets go of the file. Nothing is lost by not calling it.
func (l *File) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.broken = errClosed
	return l.file.Close()
}
