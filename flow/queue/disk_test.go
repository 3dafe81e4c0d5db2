package queue

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// memory is a disk that can be full, fail, and lose what was not synced.
type memory struct {
	mu      sync.Mutex
	files   map[string]*contents
	durable map[string]*contents // by the names that were synced
	room    int64                // bytes that can still be written; negative: any
	fault   func(op, name string) error
	before  func() // called before each change, with mu held
}

type contents struct{ now, synced []byte }

func newMemory() *memory {
	return &memory{files: map[string]*contents{}, durable: map[string]*contents{}, room: -1}
}

func (m *memory) step(op, name string) error {
	if m.before != nil && op != "open" {
		m.before()
	}
	if m.fault != nil {
		return m.fault(op, name)
	}
	return nil
}

func (m *memory) list() (map[string]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sizes := map[string]int64{}
	for name, c := range m.files {
		sizes[name] = int64(len(c.now))
	}
	return sizes, nil
}

func (m *memory) create(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("create", name); err != nil {
		return nil, err
	}
	if m.files[name] != nil {
		return nil, fs.ErrExist
	}
	m.files[name] = &contents{}
	return &memFile{m, name, m.files[name]}, nil
}

func (m *memory) open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("open", name); err != nil {
		return nil, err
	}
	if m.files[name] == nil {
		return nil, fs.ErrNotExist
	}
	return &memFile{m, name, m.files[name]}, nil
}

func (m *memory) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("remove", name); err != nil {
		return err
	}
	if m.files[name] == nil {
		return fs.ErrNotExist
	}
	if m.room >= 0 {
		m.room += int64(len(m.files[name].now))
	}
	delete(m.files, name)
	return nil
}

func (m *memory) rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("rename", from); err != nil {
		return err
	}
	m.files[to] = m.files[from]
	delete(m.files, from)
	return nil
}

func (m *memory) sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step("syncdir", ""); err != nil {
		return err
	}
	m.durable = maps.Clone(m.files)
	return nil
}

type memFile struct {
	m    *memory
	name string
	c    *contents
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off >= int64(len(f.c.now)) {
		return 0, io.EOF
	}
	n := copy(p, f.c.now[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.m.step("write", f.name); err != nil {
		return 0, err
	}
	var err error
	if grows := off + int64(len(p)) - int64(len(f.c.now)); grows > 0 && f.m.room >= 0 {
		if grows > f.m.room {
			p = p[:max(0, int64(len(p))-(grows-f.m.room))]
			grows, err = f.m.room, syscall.ENOSPC
		}
		f.m.room -= grows
	}
	if need := int(off) + len(p) - len(f.c.now); need > 0 {
		f.c.now = append(f.c.now, make([]byte, need)...)
	}
	return copy(f.c.now[off:], p), err
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.m.step("truncate", f.name); err != nil {
		return err
	}
	if size < int64(len(f.c.now)) {
		if f.m.room >= 0 {
			f.m.room += int64(len(f.c.now)) - size
		}
		f.c.now = slices.Clone(f.c.now[:size])
	}
	return nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.m.step("sync", f.name); err != nil {
		return err
	}
	f.c.synced = slices.Clone(f.c.now)
	return nil
}

func (f *memFile) Close() error { return nil }

// copy is the disk as another process would see it now. mu is held or not needed.
func (m *memory) copy() *memory {
	n := newMemory()
	for name, c := range m.files {
		n.files[name] = &contents{slices.Clone(c.now), slices.Clone(c.synced)}
	}
	for name, c := range m.durable {
		if n.files[name] != nil && m.files[name] == c {
			n.durable[name] = n.files[name]
		}
	}
	return n
}

const sector = 512

// cut is the disk after a power cut: of what was not synced, anything may be there or not.
func (m *memory) cut(rng *rand.Rand) *memory {
	n := newMemory()
	all := maps.Clone(m.durable)
	maps.Copy(all, m.files)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		now, durable := m.files[name] == c, m.durable[name] == c
		if now != durable && rng.IntN(2) == 0 {
			continue
		}
		size := len(c.synced)
		switch rng.IntN(3) {
		case 0:
			size = len(c.now)
		case 1:
			low, high := min(len(c.now), size), max(len(c.now), size)
			size = low + rng.IntN(high-low+1)
		}
		data := make([]byte, size)
		for at := 0; at < size; at += sector {
			end := min(at+sector, size)
			from := c.synced
			if rng.IntN(2) == 0 {
				from = c.now
			}
			if at < len(from) {
				copy(data[at:end], from[at:])
			}
		}
		n.files[name] = &contents{data, slices.Clone(data)}
	}
	n.durable = maps.Clone(n.files)
	return n
}

// opened opens a queue on a disk, closed at the end.
func opened(t testing.TB, d disk, o Options) *Queue {
	t.Helper()
	q, err := open(d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// streamOf runs q and gives its stream. done closes the stream, and waits for Run.
func streamOf(t testing.TB, q *Queue) (s stream.Stream, done func()) {
	t.Helper()
	opened := make(chan stream.Stream, 1)
	ended := make(chan error, 1)
	go func() { ended <- q.Run(context.Background(), func(s stream.Stream) { opened <- s }) }()
	s = <-opened
	return s, func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// readAll reads what is there now. next is nil if there was nothing.
func readAll(t testing.TB, s stream.Stream) (recs []flow.Record, next flow.Position) {
	t.Helper()
	b := batches.Get().(*flow.Batch)
	defer batches.Put(b)
	for {
		b.Reset()
		if err := s.Read(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		if b.Next == nil {
			return recs, next
		}
		for _, r := range b.Records {
			r.Key, r.Routing, r.Body, r.Meta = slices.Clone(r.Key), slices.Clone(r.Routing), slices.Clone(r.Body), slices.Clone(r.Meta)
			recs = append(recs, r)
		}
		next = b.Next
	}
}

var batches = sync.Pool{New: func() any { return &flow.Batch{MaxRecords: 7, MaxBytes: 1 << 20} }}

// logged collects messages.
type logged struct {
	mu   sync.Mutex
	text []string
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.text = append(l.text, r.Level.String()+" "+text)
	return nil
}
func (l *logged) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logged) WithGroup(string) slog.Handler      { return l }

func (l *logged) warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.text), func(s string) bool { return s[:4] != "WARN" && s[:4] != "ERRO" })
}

var errIO = errors.New("input/output error")

// q0 is a time.
var q0 = time.Unix(1_700_000_000, 123).UTC()
