package flowtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/narudata/naru/flow"
)

// A Vault is a transactional sink in memory: a Brancher whose branches are Committers and DeadLetters, and the
// ledger that their commits write to.
type Vault struct {
	// DueAfter has a branch ask for a commit after that many records; 0: never.
	DueAfter int
	// BeforeCommit, if set, may refuse a commit.
	BeforeCommit func(cs []flow.Checkpoint) error
	// BeforeWrite is as Shelf.Before.
	BeforeWrite func(ctx context.Context, recs []flow.Record) error

	kept *kept

	mu        sync.Mutex // guards what follows
	claimed   map[string]bool
	abandoned bool
	finished  bool
}

// kept is what outlasts a crash.
type kept struct {
	mu          sync.Mutex // guards what follows
	recs, dead  []flow.Record
	checkpoints map[string]flow.Checkpoint
	commits     int
}

var (
	_ flow.Brancher    = (*Vault)(nil)
	_ flow.Finisher    = (*Vault)(nil)
	_ flow.Ledger      = (*Vault)(nil)
	_ flow.Committer   = (*vaultBranch)(nil)
	_ flow.DeadLetters = (*vaultBranch)(nil)
)

// NewVault makes an empty vault.
func NewVault() *Vault {
	return &Vault{kept: &kept{checkpoints: make(map[string]flow.Checkpoint)}, claimed: make(map[string]bool)}
}

// Crash gives the vault as it is opened after a crash. The old one can do nothing any more.
func (v *Vault) Crash() *Vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.abandoned = true
	return &Vault{DueAfter: v.DueAfter, BeforeCommit: v.BeforeCommit, BeforeWrite: v.BeforeWrite, kept: v.kept, claimed: make(map[string]bool)}
}

// Records gives what is visible.
func (v *Vault) Records() []flow.Record {
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	return slices.Clone(v.kept.recs)
}

// Dead gives the dead letters that are visible.
func (v *Vault) Dead() []flow.Record {
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	return slices.Clone(v.kept.dead)
}

// Checkpoints gives those committed.
func (v *Vault) Checkpoints() []flow.Checkpoint {
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	return slices.Collect(maps.Values(v.kept.checkpoints))
}

// Commits gives the number of commits.
func (v *Vault) Commits() int {
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	return v.kept.commits
}

// Finished reports whether Finish was called.
func (v *Vault) Finished() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.finished
}

// Finish implements flow.Finisher.
func (v *Vault) Finish(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.finished = true
	return nil
}

// Write implements flow.Sink; a vault is written to by its branches only.
func (v *Vault) Write(context.Context, []flow.Record) error {
	return flow.Permanent(errors.New("a vault is written to by its branches"))
}

// Close implements flow.Sink.
func (v *Vault) Close(context.Context) error { return nil }

// Claim implements flow.Ledger.
func (v *Vault) Claim(_ context.Context, p flow.Part) (flow.Checkpoint, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	cp := v.kept.checkpoints[p.ID]
	switch {
	case cp.Done:
		return cp, flow.ErrDone
	case v.claimed[p.ID]:
		return flow.Checkpoint{}, flow.ErrTaken
	}
	v.claimed[p.ID] = true
	return cp, nil
}

// Save implements flow.Ledger; a vault's checkpoints come with its commits.
func (v *Vault) Save(context.Context, ...flow.Checkpoint) error {
	return flow.Permanent(errors.New("the checkpoints of a vault are saved by its commits"))
}

// Branch implements flow.Brancher.
func (v *Vault) Branch(context.Context) (flow.Sink, error) { return &vaultBranch{vault: v}, nil }

type vaultBranch struct {
	vault   *Vault
	busy    sync.Mutex // never waited for: a branch is used by one worker
	pending Shelf
	closed  bool
}

func (b *vaultBranch) alone() func() {
	if !b.busy.TryLock() {
		panic("BUG: two calls of a branch at the same time")
	}
	return b.busy.Unlock
}

func (b *vaultBranch) Write(ctx context.Context, recs []flow.Record) error {
	defer b.alone()()
	if b.closed {
		return errors.New("write to a closed branch")
	}
	b.pending.Before = b.vault.BeforeWrite
	return b.pending.Write(ctx, recs)
}

func (b *vaultBranch) Bury(ctx context.Context, recs []flow.Record, why []error) error {
	defer b.alone()()
	return b.pending.Bury(ctx, recs, why)
}

func (b *vaultBranch) Due() bool {
	defer b.alone()()
	return b.vault.DueAfter > 0 && len(b.pending.recs) >= b.vault.DueAfter
}

func (b *vaultBranch) Commit(ctx context.Context, cs []flow.Checkpoint) error {
	defer b.alone()()
	if err := ctx.Err(); err != nil {
		return err
	}
	if f := b.vault.BeforeCommit; f != nil {
		if err := f(cs); err != nil {
			return err
		}
	}
	v := b.vault
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.abandoned || b.closed {
		return errors.New("commit to a vault that is gone")
	}
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	for _, cp := range cs {
		if !v.claimed[cp.Part] {
			return fmt.Errorf("part %s: %w", cp.Part, flow.ErrLost)
		}
	}
	for _, cp := range cs {
		v.kept.checkpoints[cp.Part] = cp
		if cp.Done {
			delete(v.claimed, cp.Part)
		}
	}
	v.kept.recs = append(v.kept.recs, b.pending.recs...)
	v.kept.dead = append(v.kept.dead, b.pending.dead...)
	v.kept.commits++
	b.pending = Shelf{}
	return nil
}

func (b *vaultBranch) Close(context.Context) error {
	defer b.alone()()
	b.closed = true
	return nil
}
