package files

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// A RegistryFile is a registry in one file, which is appended to and rewritten when most of it is old. What Save has
// returned nil for outlasts a crash of the machine. A lock file beside it (".lock") keeps others out.
type RegistryFile struct {
	path string
	log  *slog.Logger

	lock    *os.File
	file    *os.File
	size    int64 // of the whole groups
	entries map[uint64]Entry
	live    int64 // what a rewritten file would have, about
	broken  bool  // what is behind size cannot be cut off: rewrite
	fresh   bool  // nothing was ever saved
	line    []byte
}

var _ Registry = (*RegistryFile)(nil)

// compactFrom is the size in bytes below which a registry is not rewritten.
const compactFrom = 1 << 20

// NewRegistryFile gives the registry at path, which need not exist yet. Nothing is opened before Load.
func NewRegistryFile(path string, log *slog.Logger) *RegistryFile {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &RegistryFile{path: path, log: log}
}

// ReadRegistry gives the entries of the registry at path, also while another process writes it.
func ReadRegistry(path string) ([]Entry, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := parseRegistry(text)
	if err != nil {
		return nil, fmt.Errorf("registry %s: %w", path, err)
	}
	m := Memory{entries: p.entries}
	return m.list(), nil
}

// Load implements Registry. ErrInUse: another process has it.
func (r *RegistryFile) Load() (entries []Entry, fresh bool, err error) {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o750); err != nil {
		return nil, false, err
	}
	if r.lock, err = os.OpenFile(r.path+".lock", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, false, err
	}
	if err := lock(r.lock); err != nil {
		return nil, false, errors.Join(fmt.Errorf("open registry %s: %w", r.path, err), r.Close())
	}
	if err := r.load(&fresh); err != nil {
		return nil, false, errors.Join(err, r.Close())
	}
	m := Memory{entries: r.entries}
	return m.list(), fresh, nil
}

func (r *RegistryFile) load(fresh *bool) error {
	var err error
	if r.file, err = os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	text, err := io.ReadAll(r.file)
	if err != nil {
		return fmt.Errorf("read registry %s: %w", r.path, err)
	}
	p, err := parseRegistry(text)
	if err != nil {
		return fmt.Errorf("registry %s: %w", r.path, err)
	}
	r.entries, r.size, r.fresh = p.entries, p.good, p.groups == 0 && p.damaged == 0
	*fresh = r.fresh
	for _, e := range r.entries {
		r.live += weight(&e)
	}
	if p.damaged > 0 {
		r.log.Warn("parts of the registry of files are damaged: what they said is read again", "registry", r.path, "parts", p.damaged)
	}
	if p.good == 0 || p.damaged > 0 {
		return r.rewrite()
	}
	if err := r.file.Truncate(p.good); err != nil {
		return fmt.Errorf("cut a torn end off registry %s: %w", r.path, err)
	}
	return nil
}

// weight is about how many bytes an entry takes.
func weight(e *Entry) int64 { return int64(len(e.Path)) + 220 }

// Save implements Registry.
func (r *RegistryFile) Save(changed []Entry, gone []uint64) error {
	if r.file == nil {
		return fmt.Errorf("registry %s: %w", r.path, os.ErrClosed)
	}
	r.line = r.line[:0]
	for i := range changed {
		e := changed[i]
		e.Seen = e.Seen.Truncate(time.Second)
		old, there := r.entries[e.Key]
		if !there || old.ID != e.ID || old.Path != e.Path || old.Head != e.Head || old.Archive != e.Archive || old.Imported != e.Imported {
			r.line = e.appendFile(r.line)
		}
		r.line = e.appendPosition(r.line)
	}
	for _, key := range gone {
		r.line = appendGone(r.line, key)
	}
	if len(r.line) == 0 && !r.fresh {
		return nil
	}
	r.line = endGroup(r.line, 0)
	if err := r.append(r.line); err != nil {
		return fmt.Errorf("save registry %s: %w", r.path, err)
	}
	r.fresh = false
	for i := range changed {
		e := &changed[i]
		if old, there := r.entries[e.Key]; there {
			r.live -= weight(&old)
		}
		r.entries[e.Key] = *e
		r.live += weight(e)
	}
	for _, key := range gone {
		if old, there := r.entries[key]; there {
			r.live -= weight(&old)
			delete(r.entries, key)
		}
	}
	if r.size > compactFrom && r.size > 4*r.live {
		if err := r.rewrite(); err != nil {
			// All is safe in the file as it is.
			r.log.Warn("the registry of files cannot be made smaller", "registry", r.path, "error", err)
		}
	}
	if cap(r.line) > 8<<20 {
		r.line = nil
	}
	return nil
}

// append adds a group. If it fails, the file is as long as it was, or will be rewritten before anything is added.
func (r *RegistryFile) append(group []byte) error {
	if r.broken {
		if err := r.rewrite(); err != nil {
			return err
		}
	}
	_, err := r.file.WriteAt(group, r.size)
	if err == nil {
		err = r.file.Sync()
	}
	if err != nil {
		// After a failed sync nobody knows what is on the disk: only a new file will do.
		r.broken = true
		return errors.Join(err, r.file.Truncate(r.size))
	}
	r.size += int64(len(group))
	return nil
}

// rewrite makes a new file of the entries, and puts it in the place of the old one.
func (r *RegistryFile) rewrite() (err error) {
	text := []byte(registryMagic)
	from := len(text)
	for _, e := range r.entries {
		text = e.appendPosition(e.appendFile(text))
	}
	if !r.fresh {
		text = endGroup(text, from)
	}
	temporary := r.path + ".new"
	f, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(temporary))
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(temporary, r.path); err != nil {
		return err
	}
	old := r.file
	r.file, r.size, r.broken = f, int64(len(text)), false
	if err := old.Close(); err != nil {
		r.log.Warn("the old registry of files cannot be closed", "registry", r.path, "error", err)
	}
	if serr := syncDir(filepath.Dir(r.path)); serr != nil {
		r.log.Warn("the folder of the registry of files cannot be synced", "registry", r.path, "error", serr)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close implements Registry. It gives the lock back.
func (r *RegistryFile) Close() error {
	var all []error
	if r.file != nil {
		all = append(all, r.file.Close())
		r.file = nil
	}
	if r.lock != nil {
		all = append(all, r.lock.Close())
		r.lock = nil
	}
	return errors.Join(all...)
}
