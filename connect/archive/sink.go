package archive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/narudata/naru/flow"
)

// A Sink writes an archive. Workers write through branches; the methods of flow.Sink, flow.Committer and
// flow.DeadLetters on the Sink itself go to one branch of its own, under a lock. Its ledger is the journal:
// parts are lent within this process, and no other process can write the archive at the same time.
type Sink struct {
	cfg  Config
	d    *disk
	lock *os.File
	mark string
	next atomic.Int64 // number of the next file

	mu       sync.Mutex // guards what follows
	journal  *journal
	history  *history
	taken    map[string]bool
	dirs     map[string]bool // directories that exist durably
	finished bool            // the manifest is there and says what the journal says
	closed   bool

	groups []flow.Group               // set by Prepare, before any branch
	metas  map[string]json.RawMessage // of the groups, by name

	ownMu sync.Mutex // guards own
	own   *Branch    // of the methods of Sink itself; nil until one is called
}

var (
	_ flow.Brancher    = (*Sink)(nil)
	_ flow.Committer   = (*Sink)(nil)
	_ flow.DeadLetters = (*Sink)(nil)
	_ flow.Ledger      = (*Sink)(nil)
	_ flow.Releaser    = (*Sink)(nil)
	_ flow.Preparer    = (*Sink)(nil)
	_ flow.Finisher    = (*Sink)(nil)
)

// OpenSink begins an archive, or goes on with one: files that no commit names are removed. Errors are
// ErrForeign, ErrLocked, ErrOtherFlow, ErrDamaged, or those of the file system.
func OpenSink(cfg Config) (*Sink, error) { return openSink(cfg, &disk{root: cfg.Dir}) }

func openSink(cfg Config, d *disk) (_ *Sink, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Sink{
		cfg: cfg.withDefaults(), d: d,
		taken: map[string]bool{}, dirs: map[string]bool{},
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open archive %s: %w", cfg.Dir, errors.Join(err, s.release()))
		}
	}()
	if err := s.claimDir(); err != nil {
		return nil, err
	}
	if s.lock, err = lock(d.path(lockName)); err != nil {
		return nil, err
	}
	if s.history, err = readJournal(d.path(journalName)); err != nil {
		return nil, err
	}
	if s.finished, err = exists(d.path(manifestName)); err != nil {
		return nil, err
	}
	if s.finished && (s.history.torn || s.history.seq == 0) {
		return nil, fmt.Errorf("%w: there is a manifest, but the end of %s is missing", ErrDamaged, journalName)
	}
	if s.journal, err = openJournal(d, s.history); err != nil {
		return nil, err
	}
	if s.history.seq == 0 {
		err = s.begin()
	} else {
		err = s.resume()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// claimDir makes the directory an archive's, unless it is something else's.
func (s *Sink) claimDir() error {
	entries, err := os.ReadDir(s.d.root)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(s.d.root, 0o755); err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(s.d.root)); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	begun, err := exists(s.d.path(journalName))
	if err != nil {
		return err
	}
	if !begun {
		for _, e := range entries {
			if e.Name() != stateDir && e.Name() != "lost+found" {
				return fmt.Errorf("%w: it holds %q: name a new or an empty directory", ErrForeign, e.Name())
			}
		}
	}
	for _, dir := range []string{stateDir, tmpDir} {
		if err := s.d.mkdir(dir); err != nil {
			return err
		}
	}
	if err := s.d.syncDir("."); err != nil {
		return err
	}
	return s.d.syncDir(stateDir)
}

// begin writes the header of a new archive.
func (s *Sink) begin() error {
	var mark [4]byte
	rand.Read(mark[:])
	h := header{Version: version, Mark: hex.EncodeToString(mark[:]), Format: s.cfg.Format, Flow: s.cfg.Flow, Created: now()}
	e := &entry{Header: &h}
	if err := s.journal.append(e); err != nil {
		return err
	}
	if err := s.d.syncDir(stateDir); err != nil {
		return err
	}
	s.history.header = h
	s.history.add(e)
	s.mark = h.Mark
	return nil
}

// resume checks that the archive is this flow's and sound, and removes what was not committed.
func (s *Sink) resume() error {
	h := s.history.header
	if h.Flow != s.cfg.Flow {
		return fmt.Errorf("%w: it was begun by %q, and this is %q: use another directory", ErrOtherFlow, h.Flow, s.cfg.Flow)
	}
	if h.Format != s.cfg.Format {
		return fmt.Errorf("%w: it is %s, and this flow writes %s: use another directory", ErrOtherFlow, h.Format, s.cfg.Format)
	}
	s.mark = h.Mark
	for i := range s.history.files {
		f := &s.history.files[i]
		info, err := os.Stat(s.d.path(f.Path))
		if err != nil {
			return fmt.Errorf("%w: a committed file is missing: %w", ErrDamaged, err)
		}
		if info.Size() != f.Bytes {
			return fmt.Errorf("%w: %s has %d bytes, committed were %d", ErrDamaged, f.Path, info.Size(), f.Bytes)
		}
		if n, ok := s.ownFile(path.Base(f.Path)); ok && n >= s.next.Load() {
			s.next.Store(n + 1)
		}
	}
	return s.sweep()
}

// fileName gives the name of the n-th file of the archive.
func (s *Sink) fileName(n int64, suffix string) string {
	return fmt.Sprintf("%08d-%s%s", n, s.mark, suffix)
}

// ownFile reports whether fileName gives this name, and for which number.
func (s *Sink) ownFile(name string) (n int64, ok bool) {
	digits, rest, found := strings.Cut(name, "-"+s.mark)
	if !found || rest != ndjsonSuffix && rest != parquetSuffix {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && s.fileName(n, rest) == name
}

// sweep removes the files of this archive that are not committed. No branch may be open.
func (s *Sink) sweep() error {
	committed := make(map[string]bool, len(s.history.files))
	for i := range s.history.files {
		committed[s.history.files[i].Path] = true
	}
	if err := s.sweepDir(tmpDir, committed); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.d.root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != stateDir {
			if err := s.sweepDir(e.Name(), committed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Sink) sweepDir(dir string, committed map[string]bool) error {
	entries, err := os.ReadDir(s.d.path(dir))
	if err != nil {
		return err
	}
	removed := 0
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		_, own := s.ownFile(e.Name())
		switch {
		case e.IsDir() && strings.HasSuffix(dir, more):
			if err := s.sweepDir(name, committed); err != nil {
				return err
			}
		case e.Type().IsRegular() && !committed[name] && (own || name == manifestTmp):
			if err := s.d.remove(name); err != nil {
				return err
			}
			removed++
		}
	}
	if removed > 0 && removed == len(entries) && dir != tmpDir {
		return s.d.remove(dir)
	}
	return nil
}

// makeDir makes a directory of the archive, durably.
func (s *Sink) makeDir(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		if part := dir[:i]; !s.dirs[part] {
			if err := s.d.mkdir(part); err != nil {
				return err
			}
			if err := s.d.syncDir(path.Dir(part)); err != nil {
				return err
			}
			s.dirs[part] = true
		}
	}
	return nil
}

// commit is the moment at which files, all in place and durable, and checkpoints count.
func (s *Sink) commit(files []File, cs []flow.Checkpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commitLocked(files, cs)
}

func (s *Sink) commitLocked(files []File, cs []flow.Checkpoint) error {
	if s.closed {
		return errClosed
	}
	cs = slices.DeleteFunc(slices.Clone(cs), func(c flow.Checkpoint) bool {
		old, ok := s.history.checkpoints[c.Part]
		return ok && sameCheckpoint(&old, &c)
	})
	for i := range cs {
		cs[i].Position = slices.Clone(cs[i].Position)
	}
	if len(files) == 0 && len(cs) == 0 {
		return nil
	}
	if s.finished {
		// There is more to come than the manifest says: until the next Finish, the archive is not complete.
		if err := s.d.remove(manifestName); err != nil {
			return err
		}
		if err := s.d.syncDir("."); err != nil {
			return err
		}
		s.finished = false
	}
	e := &entry{Time: now(), Files: files, Checkpoints: cs}
	if err := s.journal.append(e); err != nil {
		return err
	}
	s.history.add(e)
	return nil
}

func sameCheckpoint(a, b *flow.Checkpoint) bool {
	return a.Part == b.Part && a.Group == b.Group && string(a.Position) == string(b.Position) && a.Done == b.Done && a.Tally == b.Tally
}

// Claim implements flow.Ledger. A part stays lent until it is released, or this process ends.
func (s *Sink) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return flow.Checkpoint{}, err
	}
	if !utf8.ValidString(p.ID) || !utf8.ValidString(p.Group) { // JSON would change it
		return flow.Checkpoint{}, flow.Permanent(fmt.Errorf("part %q of %q: a name in the journal must be UTF-8", p.ID, p.Group))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.history.checkpoints[p.ID]
	c.Position = slices.Clone(c.Position)
	switch {
	case s.closed:
		return flow.Checkpoint{}, errClosed
	case c.Done:
		return c, flow.ErrDone
	case s.taken[p.ID]:
		return flow.Checkpoint{}, flow.ErrTaken
	}
	s.taken[p.ID] = true
	return c, nil
}

// Release implements flow.Releaser.
func (s *Sink) Release(ctx context.Context, part string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, part)
	return nil
}

// Save implements flow.Ledger, for checkpoints that come without records.
func (s *Sink) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range cs {
		if !s.taken[cs[i].Part] {
			return fmt.Errorf("save %s: %w", cs[i].Part, flow.ErrLost)
		}
	}
	return s.commitLocked(nil, cs)
}

// Prepare implements flow.Preparer: the mappings of the groups give Parquet files their columns, and all that
// is known of the groups goes into the manifest.
func (s *Sink) Prepare(ctx context.Context, groups []flow.Group) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = slices.Clone(groups)
	s.metas = make(map[string]json.RawMessage, len(groups))
	for i := range groups {
		g := &groups[i]
		if len(g.Meta) > 0 && !json.Valid(g.Meta) {
			return flow.Permanent(fmt.Errorf("archive %s: what is known of %q is not JSON: %.100q", s.cfg.Dir, g.Name, g.Meta))
		}
		s.metas[g.Name] = g.Meta
	}
	return nil
}

// Branch implements flow.Brancher.
func (s *Sink) Branch(ctx context.Context) (flow.Sink, error) { return s.branch() }

var errClosed = errors.New("the archive is closed")

// withOwn calls f with the Sink's own branch.
func (s *Sink) withOwn(f func(b *Branch) error) error {
	s.ownMu.Lock()
	defer s.ownMu.Unlock()
	if s.own == nil {
		b, err := s.branch()
		if err != nil {
			return err
		}
		s.own = b
	}
	return f(s.own)
}

// Write implements flow.Sink.
func (s *Sink) Write(ctx context.Context, recs []flow.Record) error {
	return s.withOwn(func(b *Branch) error { return b.Write(ctx, recs) })
}

// Bury implements flow.DeadLetters.
func (s *Sink) Bury(ctx context.Context, recs []flow.Record, why []error) error {
	return s.withOwn(func(b *Branch) error { return b.Bury(ctx, recs, why) })
}

// Commit implements flow.Committer.
func (s *Sink) Commit(ctx context.Context, cs []flow.Checkpoint) error {
	return s.withOwn(func(b *Branch) error { return b.Commit(ctx, cs) })
}

// Due implements flow.Committer.
func (s *Sink) Due() bool {
	s.ownMu.Lock()
	defer s.ownMu.Unlock()
	return s.own != nil && s.own.Due()
}

// Finish implements flow.Finisher: it writes the manifest. On an archive that is complete already it does
// nothing. Branches must be closed or committed.
func (s *Sink) Finish(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.finished {
		return nil
	}
	if err := s.sweep(); err != nil {
		return fmt.Errorf("finish archive %s: %w", s.cfg.Dir, err)
	}
	if err := writeManifest(s.d, s.newManifest()); err != nil {
		return fmt.Errorf("finish archive %s: %w", s.cfg.Dir, err)
	}
	s.finished = true
	return nil
}

func (s *Sink) newManifest() *Manifest {
	m := newManifest(s.history, s.groups)
	if s.cfg.Format == Parquet {
		for i := range m.Indices {
			x := &m.Indices[i]
			x.OmittedColumns = columnsOf(x.Meta, s.cfg.Columns).omitted
		}
	}
	return m
}

// Close gives the archive free. What was not committed is discarded.
func (s *Sink) Close(ctx context.Context) error {
	s.ownMu.Lock()
	var err error
	if s.own != nil {
		err = s.own.Close(ctx)
	}
	s.ownMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(err, s.release())
}

func (s *Sink) release() error {
	var errs []error
	if s.journal != nil {
		errs = append(errs, s.journal.f.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
