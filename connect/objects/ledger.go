package objects

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/blob"
)

// A ledger says which objects are done. It is two files: one with a time, as Logstash's sincedb has it ("2026-01-02 03:04:05 UTC"):
// all objects that were changed until then are done; and one, whose name has .done at its end, with a line of JSON for every other
// object that is done. An object whose version (ETag) is another one is not done.
//
// Objects can appear with a time that is long past: that of an upload in parts is the time it was begun. So the time is never
// later than a day ago.
type ledger struct {
	path string

	mu      sync.Mutex // guards what follows
	until   time.Time
	entries map[string]entry
	file    *os.File  // entries are appended to it
	held    time.Time // the oldest object that is not done, of the listing that is going on; zero: none
	seen    map[string]bool
}

// An entry is an object that is done.
type entry struct {
	Name     string    `json:"name"`
	ETag     string    `json:"etag"`
	Modified time.Time `json:"modified"`
	Damaged  bool      `json:"damaged,omitempty"` // it could not be read to its end
	Here     bool      `json:"here,omitempty"`    // it is still to be put away
}

// lag is how long an object may take to appear.
const lag = 24 * time.Hour

// timeForms are what Ruby prints and reads.
var timeForms = []string{"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", time.RFC3339Nano}

func openLedger(path string) (*ledger, error) {
	l := &ledger{path: path, entries: map[string]entry{}}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path) //nolint:gosec // the configuration names it
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if line := strings.TrimSpace(string(text)); line != "" {
		for _, form := range timeForms {
			if l.until, err = time.Parse(form, line); err == nil {
				break
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: expected a time like 2026-01-02 03:04:05 UTC, found %.40q", path, line)
		}
	}
	done, err := os.ReadFile(path + ".done")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(done))
	lines.Buffer(nil, 1<<20)
	whole := 0
	for lines.Scan() {
		if whole += len(lines.Bytes()) + 1; whole > len(done) {
			break // a line that a crash cut off
		}
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Name != "" {
			l.entries[e.Name] = e
		}
	}
	if l.file, err = os.OpenFile(path+".done", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil { //nolint:gosec // see above
		return nil, err
	}
	if n := len(done); n > 0 && done[n-1] != '\n' {
		_, err = l.file.WriteString("\n")
	}
	return l, err
}

func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close()
}

func (l *ledger) isDone(o *blob.Object) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen != nil {
		l.seen[o.Name] = true
	}
	if e, ok := l.entries[o.Name]; ok {
		return e.ETag == o.ETag && e.Modified.Equal(o.Modified)
	}
	return !l.until.IsZero() && !o.Modified.Truncate(time.Second).After(l.until)
}

// isHere reports that an object is done, and still to be put away.
func (l *ledger) isHere(o *blob.Object) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[o.Name].Here
}

// done notes an object, on the disk.
func (l *ledger) done(o *blob.Object, damaged, here bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := entry{o.Name, o.ETag, o.Modified, damaged, here}
	if old, ok := l.entries[o.Name]; ok && old == e {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	before, err := l.file.Stat()
	if err != nil {
		return err
	}
	if _, err = l.file.Write(append(line, '\n')); err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return errors.Join(err, l.file.Truncate(before.Size()))
	}
	l.entries[o.Name] = e
	return nil
}

// begin begins a listing, whose objects are asked for by isDone and held by hold.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.seen = time.Time{}, map[string]bool{}
}

// hold says that there is an object of that time that is not done.
func (l *ledger) hold(modified time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held.IsZero() || modified.Before(l.held) {
		l.held = modified
	}
}

// mostEntries is how many entries there are before the time takes the place of those that it can.
const mostEntries = 1000

// forget ends a listing that was begun then: entries of objects that are gone are not needed any more, nor are those that the time
// can stand for.
func (l *ledger) forget(began time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := began.Add(-lag)
	if !l.held.IsZero() && !until.Before(l.held) {
		until = l.held.Add(-time.Second)
	}
	until = until.UTC().Truncate(time.Second)
	keep := map[string]entry{}
	for name, e := range l.entries {
		if l.seen[name] || !e.Modified.Before(began.Add(-lag)) {
			keep[name] = e
		}
	}
	if len(keep) < mostEntries {
		until = l.until
	}
	for name, e := range keep {
		// A damaged one, and one that is to be put away, are known by their entries.
		if !e.Damaged && !e.Here && e.Modified.Before(until) {
			delete(keep, name)
		}
	}
	if len(l.entries)-len(keep) < mostEntries/2 {
		return nil
	}
	if until.After(l.until) {
		if err := replace(l.path, []byte(until.Format(timeForms[0])+"\n")); err != nil {
			return err
		}
		l.until = until
	}
	var text bytes.Buffer
	for _, e := range keep {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	if err := replace(l.path+".done", text.Bytes()); err != nil {
		return err
	}
	file, err := os.OpenFile(l.path+".done", os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // the configuration names it
	if err != nil {
		return err
	}
	_ = l.file.Close()
	l.file, l.entries = file, keep
	return nil
}

// replace writes a file whole or not at all.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".naru-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
