package snapshot

import (
	"context"
	"errors"
	"slices"

	"github.com/narudata/naru/format/lucene"
	format "github.com/narudata/naru/format/snapshot"
)

// A Shard is a shard of an index as of a snapshot: which files it has, and where.
type Shard struct {
	Dir   string // of its blobs: indices/I/n
	Files []format.File

	shard *shard
}

// ErrNotThere says that a shard is not in the snapshot: taking it failed.
var ErrNotThere = errNotThere

// Shard reads which files shard n of an index has in a snapshot, and its commit, which is checked.
func (r *Repository) Shard(ctx context.Context, from *Selected, ref *format.IndexRef, n int) (*Shard, error) {
	dir, err := shardDir(&index{IndexRef: ref, from: from}, n)
	if err != nil {
		return nil, err
	}
	s, err := openShard(ctx, r.Store, dir, from.Ref.UUID)
	if err != nil {
		return nil, err
	}
	return &Shard{dir, s.order, s}, nil
}

// Commit is the shard's commit.
func (s *Shard) Commit() *lucene.Commit { return s.shard.commit }

// Segment opens a segment of the shard's commit, reading what describes it (.si, .cfe, .fnm) and no data.
func (s *Shard) Segment(ctx context.Context, cs lucene.CommitSegment) (*lucene.Segment, error) {
	seg, err := lucene.OpenSegment(s.shard.at(ctx), cs, &s.shard.checker)
	return seg, s.shard.blame(cs.Name+".si", err)
}

// Chosen gives the snapshots that a name means and, for each, its indices that match, by name. The repository's
// list must agree with what the snapshots say of themselves.
func (r *Repository) Chosen(ctx context.Context, c Config) ([]Chosen, error) {
	if err := c.Indices.Validate(); err != nil {
		return nil, err
	}
	selected, err := r.Select(ctx, c.Snapshot)
	if err != nil {
		return nil, err
	}
	s := &Source{config: c, repo: r}
	for i := range r.Indices {
		if c.Indices.Match(r.Indices[i].Name) {
			s.indices = append(s.indices, index{IndexRef: &r.Indices[i]})
		}
	}
	if err := s.agree(selected); err != nil {
		return nil, err
	}
	chosen := make([]Chosen, len(selected))
	found := false
	for i := range selected {
		chosen[i].Selected = selected[i]
		for _, index := range s.indices {
			if index.In(selected[i].Ref.UUID) {
				chosen[i].Indices = append(chosen[i].Indices, index.IndexRef)
				found = true
			}
		}
	}
	if !found && len(c.Indices) > 0 {
		return nil, errors.New(nothingMatches(r, &selected[0], c.Indices))
	}
	return slices.Clip(chosen), nil
}

// Chosen are a snapshot and indices of it.
type Chosen struct {
	Selected
	Indices []*format.IndexRef
}
