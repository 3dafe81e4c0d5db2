// Package ledger keeps the checkpoints of flows: in memory, or in a file.
package ledger

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/narudata/naru/flow"
)

// Memory is a ledger that lasts as long as the process. The zero value is ready.
type Memory struct {
	mu sync.Mutex // guards the table
	table
}

var (
	_ flow.Ledger   = (*Memory)(nil)
	_ flow.Releaser = (*Memory)(nil)
)

// Claim implements flow.Ledger.
func (m *Memory) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return flow.Checkpoint{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.claim(p)
}

// Save implements flow.Ledger.
func (m *Memory) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(cs); err != nil {
		return err
	}
	m.apply(cs)
	return nil
}

// Release implements flow.Releaser.
func (m *Memory) Release(_ context.Context, part string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.claimed, part)
	return nil
}

// Checkpoints gives the last one of each part, by group and part.
func (m *Memory) Checkpoints() []flow.Checkpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list()
}

// A table is what a ledger knows.
type table struct {
	last    map[string]flow.Checkpoint // by part
	claimed map[string]bool
}

func (t *table) claim(p flow.Part) (flow.Checkpoint, error) {
	cp, ok := t.last[p.ID]
	switch {
	case cp.Done:
		return clone(cp), flow.ErrDone
	case t.claimed[p.ID]:
		return flow.Checkpoint{}, flow.ErrTaken
	case !ok:
		cp = flow.Checkpoint{Part: p.ID, Group: p.Group}
	}
	if t.claimed == nil {
		t.claimed = make(map[string]bool)
	}
	t.claimed[p.ID] = true
	return clone(cp), nil
}

// check reports whether every part of cs is claimed.
func (t *table) check(cs []flow.Checkpoint) error {
	for _, cp := range cs {
		if !t.claimed[cp.Part] {
			return fmt.Errorf("part %s is not claimed: %w", cp.Part, flow.ErrLost)
		}
	}
	return nil
}

func (t *table) apply(cs []flow.Checkpoint) {
	if t.last == nil {
		t.last = make(map[string]flow.Checkpoint)
	}
	for _, cp := range cs {
		t.last[cp.Part] = clone(cp)
		if cp.Done {
			delete(t.claimed, cp.Part)
		}
	}
}

func (t *table) list() []flow.Checkpoint {
	return slices.SortedFunc(maps.Values(t.last), func(a, b flow.Checkpoint) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Part, b.Part))
	})
}

func clone(cp flow.Checkpoint) flow.Checkpoint {
	cp.Position = slices.Clone(cp.Position)
	return cp
}
