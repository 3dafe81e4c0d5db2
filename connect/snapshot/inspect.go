package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lucene"
	"github.com/narudata/naru/internal/ahead"
)

// IndexInfo is what the metadata of an index tell, without reading a document.
type IndexInfo struct {
	Name     string          `json:"name"`
	Snapshot string          `json:"snapshot"`          // name
	Created  string          `json:"created,omitempty"` // version that created the index
	Closed   bool            `json:"closed,omitempty"`
	Shards   int             `json:"shards"`
	Segments int             `json:"segments"`
	Live     int64           `json:"live"`    // Lucene documents
	Deleted  int64           `json:"deleted"` // and deleted ones that still take room
	Nested   bool            `json:"nested,omitempty"`
	Bytes    int64           `json:"bytes"`            // of all files
	Codecs   []string        `json:"codecs,omitempty"` // as the segments name them, with the mode of their stored fields
	Lucene   []string        `json:"lucene,omitempty"` // versions that wrote the segments
	Grade    flow.Grade      `json:"grade"`
	Why      string          `json:"why,omitempty"`
	Meta     json.RawMessage `json:"-"` // {"mappings":…,"settings":…,"aliases":…}
}

// Inspect describes the chosen indices in the order of their names, from metadata alone.
func (s *Source) Inspect(ctx context.Context) iter.Seq2[IndexInfo, error] {
	return ahead.Each(ctx, pointers(s.indices), s.inspect)
}

// Groups implements flow.Describer. What is read for it is read once.
func (s *Source) Groups(ctx context.Context) ([]flow.Group, error) {
	s.described.Lock()
	defer s.described.Unlock()
	if s.groups == nil {
		groups, err := s.describe(ctx)
		if err != nil {
			return nil, err
		}
		s.groups = groups
	}
	return slices.Clone(s.groups), nil
}

func (s *Source) describe(ctx context.Context) ([]flow.Group, error) {
	groups := make([]flow.Group, 0, len(s.indices))
	for info, err := range s.Inspect(ctx) {
		if err != nil {
			return nil, err
		}
		g := flow.Group{Name: info.Name, Records: info.Live, Bytes: info.Bytes, Grade: info.Grade, Why: info.Why, Meta: info.Meta}
		if info.Nested {
			g.Records = -1 // children are among the live documents
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// inspect never fails for what is wrong with the index, which is its grade: only for what is wrong with the
// repository.
func (s *Source) inspect(ctx context.Context, of *index) (IndexInfo, error) {
	info := IndexInfo{Name: of.Name, Snapshot: of.from.Snapshot.Name, Grade: flow.Lossless}
	worse := func(grade flow.Grade, format string, args ...any) {
		rank := []flow.Grade{flow.Lossless, flow.Partial, flow.Unreadable}
		if slices.Index(rank, grade) > slices.Index(rank, info.Grade) {
			info.Grade, info.Why = grade, fmt.Sprintf(format, args...)
		}
	}
	meta, err := s.metadata(ctx, of)
	if err != nil {
		if ctx.Err() != nil {
			return info, ctx.Err()
		}
		if blob.Refused(err) {
			return info, err
		}
		worse(flow.Unreadable, "metadata: %v", err)
		return info, nil
	}
	info.Created, info.Closed, info.Shards, info.Nested = meta.CreatedVersion(), meta.Closed, meta.Shards, meta.Nested
	if info.Meta, err = meta.Meta(); err != nil {
		return info, err
	}
	if source := meta.Source; !source.Kept {
		worse(flow.Unreadable, "%s", source.Why)
	} else if source.Filtered {
		worse(flow.Partial, "%s", source.Why)
	}
	codecs, versions := map[string]bool{}, map[string]bool{}
	for n := range meta.Shards {
		if err := s.inspectShard(ctx, of, n, &info, codecs, versions); err != nil {
			if ctx.Err() != nil {
				return info, ctx.Err()
			}
			if blob.Refused(err) {
				return info, err
			}
			worse(flow.Partial, "%v", err)
		}
	}
	info.Codecs, info.Lucene = slices.Sorted(maps.Keys(codecs)), slices.Sorted(maps.Keys(versions))
	for _, codec := range info.Codecs {
		if err := s.codecs.verdict(codec); err != nil {
			worse(flow.Unreadable, "%v", err)
		}
	}
	return info, nil
}

func (s *Source) inspectShard(ctx context.Context, of *index, n int, info *IndexInfo, codecs, versions map[string]bool) error {
	dir, err := shardDir(of, n)
	if err != nil {
		return err
	}
	sh, err := s.shards.get(ctx, s.repo.Store, dir, of.from.Ref.UUID)
	if err != nil {
		return err
	}
	for i := range sh.order {
		info.Bytes += sh.order[i].Length
	}
	for _, cs := range sh.commit.Segments {
		si, err := lucene.OpenSegmentInfo(sh.at(ctx), cs)
		if err != nil {
			return sh.blame(cs.Name+".si", err)
		}
		info.Segments++
		live := int64(cs.Live(si.MaxDoc))
		info.Live += live
		info.Deleted += int64(si.MaxDoc) - live
		versions[si.Lucene] = true
		codec := codecName(cs, si)
		codecs[codec] = true
		if live > 0 {
			s.codecs.check(codec, func() error {
				seg, err := lucene.OpenSegment(sh.at(ctx), cs, &sh.checker)
				if err == nil {
					_, err = seg.OpenStoredFields()
				}
				return err
			})
		}
	}
	return nil
}

// codecName is the segment's codec, and how it says its stored fields are compressed if not for speed.
func codecName(cs lucene.CommitSegment, si *lucene.SegmentInfo) string {
	for _, key := range slices.Sorted(maps.Keys(si.Attributes)) {
		if mode := si.Attributes[key]; strings.Contains(key, "StoredFieldsFormat") && mode != "BEST_SPEED" {
			return cs.Codec + " " + strings.ToLower(mode)
		}
	}
	return cs.Codec
}

// codecVerdicts remembers, for each codec met, whether the stored fields inside can be read: it takes opening one
// segment of each. Its zero value is ready.
type codecVerdicts struct {
	mu   sync.Mutex
	seen map[string]error // guarded by mu
}

func (c *codecVerdicts) check(codec string, open func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = make(map[string]error)
	}
	if _, ok := c.seen[codec]; ok {
		return
	}
	// Damage of this one segment, or a read that fails, says nothing about the codec.
	if err := open(); err == nil || errors.Is(err, lucene.ErrUnsupported) {
		c.seen[codec] = err
	}
}

func (c *codecVerdicts) verdict(codec string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[codec]
}

// List gives all snapshots of a repository, the newest first.
func (r *Repository) List(ctx context.Context) ([]Selected, error) {
	if len(r.Snapshots) == 0 {
		return nil, nil
	}
	return r.Select(ctx, "*")
}
