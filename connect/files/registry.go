package files

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// An Entry is what a registry keeps of a file: how it is known again, and up to where it is delivered. One without an ID is
// known by its Head; one without either, by its Path.
type Entry struct {
	Key  uint64 `json:"key"` // within the registry, from 1 on; never used again for another file
	ID   ID     `json:"id"`
	Path string `json:"path"` // the last one that led to it
	Head Head   `json:"head"`

	Position `json:"position"`
	Seen     time.Time `json:"seen"`               // when it was last there, or last delivered from
	Done     bool      `json:"done,omitempty"`     // it was complete, and all of it is delivered
	Noted    bool      `json:"noted,omitempty"`    // Options.Completed was told
	Archive  bool      `json:"archive,omitempty"`  // it is compressed: the position is one in what it holds
	Size     int64     `json:"size,omitempty"`     // of an archive, in bytes of the file, when it was Done
	Imported bool      `json:"imported,omitempty"` // it was taken over from another program's registry
}

// maxPath bounds paths, in bytes; systems have less.
const maxPath = 64 << 10

// sound reports that an entry can be kept.
func (e *Entry) sound() bool {
	return e.Offset >= 0 && e.Size >= 0 && e.Head.From >= 0 && e.Head.Bytes >= 0 && e.Head.Bytes <= maxHead && e.Before.Bytes >= 0 && e.Before.Bytes <= tailBytes && len(e.Path) <= maxPath
}

// A Registry keeps how far files were read, beyond the life of the process. Its methods are not called concurrently.
type Registry interface {
	// Load gives all entries. It is called before anything else, again if it fails with ErrInUse; fresh says that nothing was ever saved, not even
	// nothing.
	Load() (entries []Entry, fresh bool, err error)
	// Save makes changed entries durable, and forgets others, in one step; changed has a key once. If it fails, the same comes again with the next one.
	Save(changed []Entry, gone []uint64) error
	// Close is called once, after the last Save.
	Close() error
}

// ErrInUse says that another process, or another source of this one, uses the registry.
var ErrInUse = errors.New("the registry is in use by another process or input: give each one its own")

// Memory is a registry that keeps nothing beyond the process: a source that takes it over goes on where another one was.
// The zero value is ready.
type Memory struct {
	mu      sync.Mutex // guards entries
	entries map[uint64]Entry
}

var _ Registry = (*Memory)(nil)

// Load implements Registry.
func (m *Memory) Load() ([]Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh := m.entries == nil
	return m.list(), fresh, nil
}

func (m *Memory) list() []Entry {
	return slices.SortedFunc(maps.Values(m.entries), func(a, b Entry) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
}

// Entries gives all entries, by key.
func (m *Memory) Entries() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list()
}

// Save implements Registry.
func (m *Memory) Save(changed []Entry, gone []uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[uint64]Entry{}
	}
	for _, e := range changed {
		m.entries[e.Key] = e
	}
	for _, key := range gone {
		delete(m.entries, key)
	}
	return nil
}

// Close implements Registry.
func (*Memory) Close() error { return nil }
