// Package snapshot reads the documents of snapshot repositories: no cluster, no restore, no copy on disk. A part is
// a segment of a shard, or a range of its documents if it is large, so that any worker can read any part with
// a few range reads.
package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lucene"
	format "github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/internal/ahead"
)

// Config says what to read.
type Config struct {
	URL       string        // path, file:// URL or s3:// URL of the repository
	Snapshot  string        // name, "latest" (the default), or a pattern: each index as of the newest that has it
	Indices   flow.Patterns // which indices; none: all
	PartBytes int64         // how large the stored fields of a part may be; 0: 64 MiB
	Window    int           // how many bytes are read at a time; 0: 1 MiB
}

const (
	defaultPartBytes = 64 << 20
	defaultWindow    = 1 << 20
)

// A Source gives the documents of the chosen indices. It implements flow.Source and flow.Describer.
type Source struct {
	config  Config
	repo    *Repository
	indices []index // by name
	shards  shardCache
	codecs  codecVerdicts

	described sync.Mutex
	groups    []flow.Group // guarded by described; nil: not yet described
}

var (
	_ flow.Source    = (*Source)(nil)
	_ flow.Describer = (*Source)(nil)
)

// index is an index as of the snapshot it is read from.
type index struct {
	*format.IndexRef
	from  *Selected
	shape *atomic.Pointer[shape]
}

// shape is what planning needs of an index's metadata, which are large and are read once.
type shape struct {
	shards int
	typ    string // of documents that do not say
}

// shapeOf gives an index's shape, out of its metadata if they were not read before.
func (s *Source) shapeOf(ctx context.Context, of *index) (*shape, error) {
	if known := of.shape.Load(); known != nil {
		return known, nil
	}
	_, err := s.metadata(ctx, of)
	return of.shape.Load(), err
}

// metadata reads an index's metadata, and remembers its shape.
func (s *Source) metadata(ctx context.Context, of *index) (*format.Index, error) {
	meta, err := s.repo.Index(ctx, of.from.Ref, of.IndexRef)
	if err == nil {
		of.shape.Store(&shape{meta.Shards, meta.Type()})
	}
	return meta, err
}

// Open opens the repository and finds out which indices are in which snapshot.
func (c Config) Open(ctx context.Context) (*Source, error) {
	if err := c.Indices.Validate(); err != nil {
		return nil, err
	}
	repo, err := OpenRepository(ctx, c.URL)
	if err != nil {
		return nil, err
	}
	return c.Read(ctx, repo)
}

// Read is Open for a repository that is open already.
func (c Config) Read(ctx context.Context, repo *Repository) (*Source, error) {
	if c.PartBytes == 0 {
		c.PartBytes = defaultPartBytes
	}
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	selected, err := repo.Select(ctx, c.Snapshot)
	if err != nil {
		return nil, err
	}
	s := &Source{config: c, repo: repo}
	for i := range repo.Indices {
		ref := &repo.Indices[i]
		if !c.Indices.Match(ref.Name) {
			continue
		}
		newest := slices.IndexFunc(selected, func(s Selected) bool { return ref.In(s.Ref.UUID) })
		if newest >= 0 {
			s.indices = append(s.indices, index{ref, &selected[newest], new(atomic.Pointer[shape])})
		}
	}
	if err := s.agree(selected); err != nil {
		return nil, err
	}
	if len(s.indices) == 0 && len(c.Indices) > 0 {
		return nil, errors.New(nothingMatches(repo, &selected[0], c.Indices))
	}
	return s, nil
}

func nothingMatches(r *Repository, from *Selected, indices flow.Patterns) string {
	return fmt.Sprintf("%s: no index of snapshot %s matches %s", r.Store, from.Snapshot.Name, strings.Join(indices, " "))
}

// agree checks that the repository's list, which has no checksum, says of the snapshots what they say of
// themselves: no chosen index is missing from it.
func (s *Source) agree(selected []Selected) error {
	name := fmt.Sprintf("index-%d", s.repo.Generation)
	listed := make(map[string]*index, len(s.indices))
	for i := range s.indices {
		listed[s.indices[i].Name] = &s.indices[i]
	}
	for _, from := range selected {
		if from.Snapshot.Name != from.Ref.Name || from.Snapshot.UUID != "" && from.Snapshot.UUID != from.Ref.UUID {
			return &BlobError{name, fmt.Errorf("%w: snapshot %s (%s) calls itself %s (%s)", format.ErrCorrupt,
				from.Ref.Name, from.Ref.UUID, from.Snapshot.Name, from.Snapshot.UUID)}
		}
		for _, index := range from.Snapshot.Indices {
			if i := listed[index]; s.config.Indices.Match(index) && (i == nil || !i.In(from.Ref.UUID)) {
				return &BlobError{name, fmt.Errorf("%w: it does not list index %s of snapshot %s", format.ErrCorrupt, index, from.Ref.Name)}
			}
		}
	}
	return nil
}

// Identity says what exactly is read: the repository and snapshots, however they were named.
func (s *Source) Identity() string {
	var b strings.Builder
	fmt.Fprintf(&b, "snapshot repository %s", s.repo.Store)
	if s.repo.UUID != "" {
		fmt.Fprintf(&b, " (%s)", s.repo.UUID)
	}
	for i, snap := range s.Snapshots() {
		if i == 0 {
			b.WriteString(", snapshot")
		}
		fmt.Fprintf(&b, " %s (%s)", snap.Snapshot.Name, snap.Ref.UUID)
	}
	if len(s.config.Indices) > 0 {
		fmt.Fprintf(&b, ", indices %s", strings.Join(s.config.Indices, " "))
	}
	return b.String()
}

// Snapshots are the snapshots that something is read from, the newest first.
func (s *Source) Snapshots() []Selected {
	var used []Selected
	for i := range s.indices {
		if from := *s.indices[i].from; !slices.ContainsFunc(used, func(u Selected) bool { return u.Ref == from.Ref }) {
			used = append(used, from)
		}
	}
	slices.SortStableFunc(used, func(a, b Selected) int { return b.Snapshot.Start.Compare(a.Snapshot.Start) })
	return used
}

// Close releases the repository.
func (s *Source) Close() error {
	if c, ok := s.repo.Store.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// spec is a part's own description: all that Open needs.
type spec struct {
	Index    string         `json:"index"`
	Type     string         `json:"type,omitempty"` // of documents that do not say
	Dir      string         `json:"dir"`            // of the shard's blobs
	Snapshot string         `json:"snapshot"`       // UUID
	Segment  string         `json:"segment"`
	From     lucene.ChunkAt `json:"from,omitzero"` // zero: the first chunk
	To       int            `json:"to,omitempty"`  // document; 0: all
}

// Parts implements flow.Source. Indices come in the order of their names. An index or shard whose metadata
// cannot be read is a part with an error.
func (s *Source) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	type place struct {
		of    *index
		shape *shape
		shard int
	}
	type planned struct {
		parts []flow.Part
		err   error
		place place
	}
	return func(yield func(flow.Part, error) bool) {
		plan := func(ctx context.Context, at place) (planned, error) { //nolint:unparam // for ahead
			parts, err := s.planShard(ctx, at.of, at.shape, at.shard)
			return planned{parts, err, at}, nil
		}
		type described struct {
			of    *index
			shape *shape
			err   error
		}
		describe := func(ctx context.Context, of *index) (described, error) {
			shape, err := s.shapeOf(ctx, of)
			return described{of, shape, err}, nil
		}
		for d := range ahead.Each(ctx, pointers(s.indices), describe) { //nolint:errcheck // the errors are in the results
			if d.err != nil {
				if !yield(flow.Part{ID: d.of.Name, Group: d.of.Name}, classify(d.err)) {
					return
				}
				continue
			}
			places := make([]place, d.shape.shards)
			for n := range places {
				places[n] = place{d.of, d.shape, n}
			}
			for p := range ahead.Each(ctx, places, plan) { //nolint:errcheck // the errors are in the results
				for _, part := range p.parts {
					if !yield(part, nil) {
						return
					}
				}
				if p.err != nil {
					id := p.place.of.Name + "/" + strconv.Itoa(p.place.shard)
					if !yield(flow.Part{ID: id, Group: p.place.of.Name}, classify(p.err)) {
						return
					}
				}
			}
		}
	}
}

func pointers[T any](s []T) []*T {
	p := make([]*T, len(s))
	for i := range s {
		p[i] = &s[i]
	}
	return p
}

// classify marks what reading again cannot mend, and what is wrong with the whole repository.
func classify(err error) error {
	if blob.Refused(err) {
		return flow.Fatal(err)
	}
	for _, mark := range []error{blob.ErrArchived, format.ErrCorrupt, format.ErrUnsupported, lucene.ErrCorrupt, lucene.ErrUnsupported, errNotThere} {
		if errors.Is(err, mark) {
			return flow.Permanent(err)
		}
	}
	return err
}

// errNotThere marks shards that the snapshot does not have.
var errNotThere = errors.New("not in the snapshot")

// shardDir says where a shard's blobs are, or that they are nowhere.
func shardDir(of *index, n int) (string, error) {
	if of.PathType != 0 {
		return "", fmt.Errorf("%w: the repository spreads its shards over hashed paths (shard_path_type %d)", format.ErrUnsupported, of.PathType)
	}
	if of.from.Snapshot.Shallow {
		return "", fmt.Errorf("%w: the snapshot is shallow, its segments are on a remote store", format.ErrUnsupported)
	}
	for _, f := range of.from.Snapshot.Failures {
		if f.Index == of.Name && f.Shard == n {
			return "", fmt.Errorf("shard %d is %w: it failed when the snapshot was taken: %s", n, errNotThere, oneLine(f.Reason))
		}
	}
	return path.Join("indices", of.ID, strconv.Itoa(n)), nil
}

// oneLine cuts a Java exception to what fits in a message.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// planShard gives the parts of a shard, and an error for what of it cannot be planned.
func (s *Source) planShard(ctx context.Context, of *index, shape *shape, n int) ([]flow.Part, error) {
	dir, err := shardDir(of, n)
	if err != nil {
		return nil, err
	}
	sh, err := s.shards.get(ctx, s.repo.Store, dir, of.from.Ref.UUID)
	if err != nil {
		return nil, err
	}
	var parts []flow.Part
	for _, cs := range sh.commit.Segments {
		base := spec{Index: of.Name, Type: shape.typ, Dir: dir, Snapshot: of.from.Ref.UUID, Segment: cs.Name}
		id := of.Name + "/" + strconv.Itoa(n) + "/" + cs.Name
		some, err := s.planSegment(ctx, sh, cs, base, id)
		if err != nil {
			// Whoever opens the part meets the same error and says so; here the segment is left in one piece.
			if err := ctx.Err(); err != nil {
				return parts, err
			}
			some = []flow.Part{part(id, base, 0, sh.segmentBytes(cs.Name))}
		}
		parts = append(parts, some...)
	}
	return parts, nil
}

func part(id string, sp spec, records, bytes int64) flow.Part {
	raw, err := json.Marshal(sp)
	if err != nil {
		panic("BUG: a part's description is not JSON: " + err.Error())
	}
	return flow.Part{ID: id, Group: sp.Index, Spec: raw, Records: records, Bytes: bytes}
}

// planSegment gives the parts of one segment: one, or ranges of it.
func (s *Source) planSegment(ctx context.Context, sh *shard, cs lucene.CommitSegment, base spec, id string) ([]flow.Part, error) {
	size := sh.segmentBytes(cs.Name)
	if size <= s.config.PartBytes {
		// Small enough whatever is in it: its .si file says how many documents there are.
		si, err := lucene.OpenSegmentInfo(sh.at(ctx), cs)
		if err != nil {
			return nil, err
		}
		if cs.Live(si.MaxDoc) == 0 {
			return nil, nil
		}
		return []flow.Part{part(id, base, int64(cs.Live(si.MaxDoc)), size)}, nil
	}
	seg, err := lucene.OpenSegment(sh.at(ctx), cs, &sh.checker)
	if err != nil {
		return nil, err
	}
	live := int64(seg.Live())
	if live == 0 {
		return nil, nil
	}
	sf, err := seg.OpenStoredFields()
	if err != nil {
		return nil, err
	}
	cuts, err := sf.Split(s.config.PartBytes)
	if err != nil {
		return nil, err
	}
	parts := make([]flow.Part, 0, len(cuts))
	for i, from := range cuts {
		sp, pid := base, id
		to := seg.Info.MaxDoc
		if i+1 < len(cuts) {
			to = cuts[i+1].Doc
		}
		if len(cuts) > 1 {
			sp.From, sp.To = from, to
			pid = fmt.Sprintf("%s@%d", id, from.Doc)
		}
		share := float64(to-from.Doc) / float64(seg.Info.MaxDoc)
		parts = append(parts, part(pid, sp, int64(float64(live)*share), int64(float64(size)*share)))
	}
	return parts, nil
}
