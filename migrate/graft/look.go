package graft

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lucene"
	format "github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/format/tree"
	"github.com/narudata/naru/migrate/graft/rules"
)

// task is an index of a snapshot to be looked at.
type task struct {
	s      *snapshot.Chosen
	ref    *format.IndexRef
	stream string
	left   bool
}

// planned is what came of it.
type planned struct {
	Index
	keep *keep
	t    task
}

// A looker looks at indices, concurrently. Segments that several snapshots share are looked at once.
type looker struct {
	*Plan
	mu    sync.Mutex
	known map[segmentKey]segment    // guarded by mu
	kinds map[string]*rules.Segment // what is alike is kept once; guarded by mu
}

// segmentKey tells segments apart: the id is random, and the field infos change with doc values.
type segmentKey struct {
	dir, name string
	id        lucene.ID
	fields    int64
}

// A segment is what is known of one.
type segment struct {
	*rules.Segment        // shared with all that are alike
	kind           string // of Segment: the rules need not look at two of one kind
	maxDoc         int
}

// look never fails for what is wrong with the index, which is in its verdict: only for what is wrong with the repository.
func (l *looker) look(ctx context.Context, t task) (planned, error) {
	out := planned{Index: Index{Name: t.ref.Name, Snapshot: t.s.Snapshot.Name, DataStream: t.stream}, t: t}
	if t.left {
		out.Lane = Left
		return out, nil
	}
	k, source, err := l.read(ctx, t, &out.Index)
	if err != nil {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if blob.Refused(err) {
			return out, err
		}
		out.Lane = Blocked
		out.Refusals = []rules.Refusal{{Rule: ruleUnreadable, Where: t.ref.Name, Why: err.Error()}}
		return out, nil
	}
	out.keep = k
	switch {
	case len(out.Refusals) > 0 && !source.Kept:
		out.Lane = Blocked
		out.Refusals = append(out.Refusals, rules.Refusal{Rule: ruleNoSource, Where: "_source",
			Why: "the documents cannot be written anew either: " + source.Why})
	case len(out.Refusals) > 0:
		out.Lane = Reindex
	case len(out.Repairs) > 0:
		out.Lane = Repair
	default:
		out.Lane = Graft
	}
	return out, nil
}

// read reads an index's metadata and what describes its segments, and has the rules judge.
func (l *looker) read(ctx context.Context, t task, x *Index) (*keep, format.SourceMode, error) {
	name := metaBlob(&t.s.Selected, t.ref)
	raw, err := l.readBlob(ctx, name)
	if err != nil {
		return nil, format.SourceMode{}, err
	}
	meta, err := format.ReadIndex(raw, t.ref.Name)
	if err != nil {
		return nil, format.SourceMode{}, &snapshot.BlobError{Blob: name, Err: err}
	}
	x.Created, x.Closed, x.Shards = meta.CreatedVersion(), meta.Closed, meta.Shards
	x.Date, _ = strconv.ParseInt(fmt.Sprint(meta.Settings["index.creation_date"]), 10, 64) //nolint:errcheck // 0: not known
	switch {
	case !meta.Source.Kept:
		x.Source = flow.Unreadable
	case meta.Source.Filtered:
		x.Source = flow.Partial
	default:
		x.Source = flow.Lossless
	}
	k := &keep{ref: t.ref, from: &t.s.Selected, shards: meta.Shards, stream: t.stream}
	seen := &seen{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	inline := true
	for n := range meta.Shards {
		sh, err := l.repo.Shard(ctx, &t.s.Selected, t.ref, n)
		if errors.Is(err, snapshot.ErrNotThere) {
			x.Missing = append(x.Missing, n)
			continue
		}
		if err != nil {
			return nil, meta.Source, err
		}
		for i := range sh.Files {
			f := &sh.Files[i]
			x.Bytes += f.Length
			if rewritten(f.Physical) {
				inline = inline && f.Virtual()
			}
		}
		if err := l.segments(ctx, sh, n, x, k, seen); err != nil {
			return nil, meta.Source, err
		}
	}
	k.missing = x.Missing
	x.Codecs, x.Lucene = slices.Sorted(maps.Keys(seen.codecs)), slices.Sorted(maps.Keys(seen.lucene))
	slices.SortFunc(x.Lucene, compareVersions)
	b, err := format.OpenBlob(format.IndexCodec, raw)
	if err != nil {
		return nil, meta.Source, &snapshot.BlobError{Blob: name, Err: err}
	}
	verdict, mappings, err := l.judge(&b.Body, k)
	if err != nil {
		return nil, meta.Source, &snapshot.BlobError{Blob: name, Err: err}
	}
	x.Verdict = verdict
	x.Nested = nestedPaths(mappings)
	if l.TwoHop && !inline {
		x.Refusals = append(x.Refusals, rules.Refusal{Rule: ruleInline, Where: "segments",
			Why: "the repository keeps segment infos as data, which are never changed"})
	}
	return k, meta.Source, nil
}

// judge applies the rules to an index's metadata, which it rewrites in place.
func (p *Plan) judge(body *tree.Object, k *keep) (rules.Verdict, tree.Object, error) {
	index := body.Object(k.ref.Name)
	if index == nil {
		return rules.Verdict{}, nil, fmt.Errorf("%w: metadata of another index than %q", format.ErrCorrupt, k.ref.Name)
	}
	mappings, err := format.Mappings(index)
	if err != nil {
		return rules.Verdict{}, nil, err
	}
	mappings, _ = tree.Clone(mappings).(tree.Object) // the rules change it in place
	before, err := tree.AppendJSON(nil, mappings)
	if err != nil {
		return rules.Verdict{}, nil, err
	}
	verdict := p.target.Index(&rules.Index{
		Name: k.ref.Name, Body: &index, Mappings: &mappings, Segments: k.segments, DataStream: k.stream, TwoHop: p.TwoHop,
		OpenSearch: k.from.Snapshot.VersionID >= openSearchMask,
	})
	after, err := tree.AppendJSON(nil, mappings)
	if err != nil {
		return rules.Verdict{}, nil, err
	}
	if string(before) != string(after) {
		format.SetMappings(&index, mappings)
	}
	body.Set(k.ref.Name, index)
	return verdict, mappings, nil
}

// segments looks at the segments of shard n.
func (l *looker) segments(ctx context.Context, sh *snapshot.Shard, n int, x *Index, k *keep, seen *seen) error {
	created := sh.Commit().Created
	for _, cs := range sh.Commit().Segments {
		s, err := l.segment(ctx, sh, cs)
		if err != nil {
			return err
		}
		live := int64(cs.Live(s.maxDoc))
		x.Segments++
		x.Live += live
		x.Deleted += int64(s.maxDoc) - live
		seen.codecs[s.Codec] = true
		seen.lucene[s.Lucene] = true
		kind := fmt.Sprintf("%d %s", created, s.kind)
		if !seen.kinds[kind] {
			seen.kinds[kind] = true
			one := *s.Segment
			one.Name = fmt.Sprintf("shard %d, segment %s", n, cs.Name)
			one.Created = created
			k.segments = append(k.segments, one)
		}
	}
	return nil
}

// seen is what the segments of an index have.
type seen struct{ codecs, lucene, kinds map[string]bool }

// segment gives what is known of a segment, looking at it if nobody has.
func (l *looker) segment(ctx context.Context, sh *snapshot.Shard, cs lucene.CommitSegment) (segment, error) {
	key := segmentKey{sh.Dir, cs.Name, cs.ID, cs.FieldInfosGen}
	if cs.ID != (lucene.ID{}) {
		l.mu.Lock()
		s, ok := l.known[key]
		l.mu.Unlock()
		if ok {
			return s, nil
		}
	}
	opened, err := sh.Segment(ctx, cs)
	if err != nil {
		return segment{}, err
	}
	f := opened.Formats()
	found := ruleSegment(&f)
	raw, err := json.Marshal(&found)
	if err != nil {
		return segment{}, err
	}
	sum := sha256.Sum256(raw)
	s := segment{kind: string(sum[:]), maxDoc: f.MaxDoc}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Segment = l.kinds[s.kind]; s.Segment == nil {
		s.Segment = &found
		l.kinds[s.kind] = s.Segment
	}
	l.known[key] = s
	return s, nil
}

// ruleSegment is what the rules look at of a segment's formats.
func ruleSegment(f *lucene.Formats) rules.Segment {
	s := rules.Segment{
		Codec: f.Codec, Lucene: f.Lucene, MinVersion: f.MinVersion, Postings: f.Postings, DocValues: f.DocValues, Vectors: f.Vectors,
		Sort: f.Sort, Fields: make([]rules.Field, 0, len(f.Fields)),
	}
	if f.SortErr != nil {
		s.Sort = append(slices.Clone(s.Sort), "one that cannot be read: "+f.SortErr.Error())
	}
	for i := range f.Fields {
		x := &f.Fields[i]
		s.Fields = append(s.Fields, rules.Field{
			Name: x.Name, Indexed: x.Index != lucene.NotIndexed, DocValues: x.DocValues, Points: x.Points > 0, Vectors: x.Vectors > 0,
		})
	}
	return s
}

// nestedPaths gives the paths of nested fields, sorted.
func nestedPaths(types tree.Object) []string {
	var out []string
	var walk func(fields tree.Object, prefix string)
	walk = func(fields tree.Object, prefix string) {
		for _, m := range fields {
			field, ok := m.Value.(tree.Object)
			if !ok {
				continue
			}
			name := prefix + m.Name
			if field.Text("type") == "nested" {
				out = append(out, name)
			}
			walk(field.Object("properties"), name+".")
		}
	}
	for _, t := range types {
		if mapping, ok := t.Value.(tree.Object); ok {
			walk(mapping.Object("properties"), "")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// streams are the data streams of a snapshot.
type streams struct {
	of      map[string]string   // index → data stream
	indices map[string][]string // data stream → indices
}

// streams reads which data streams there are. Only the cluster's metadata say.
func (p *Plan) streams(ctx context.Context, s *snapshot.Chosen) (streams, error) {
	out := streams{map[string]string{}, map[string][]string{}}
	if len(s.Snapshot.DataStreams) == 0 {
		return out, nil
	}
	b, err := p.cluster(ctx, s)
	if err != nil {
		return out, err
	}
	for _, m := range b.Body.Object("meta-data").Object("data_stream").Object("data_stream") {
		stream, ok := m.Value.(tree.Object)
		if !ok || !slices.Contains(s.Snapshot.DataStreams, m.Name) {
			continue
		}
		for _, v := range stream.List("indices") {
			if index, ok := v.(tree.Object); ok {
				name := index.Text("index_name")
				out.of[name] = m.Name
				out.indices[m.Name] = append(out.indices[m.Name], name)
			}
		}
	}
	return out, nil
}

// cluster reads the cluster's metadata as of a snapshot.
func (p *Plan) cluster(ctx context.Context, s *snapshot.Chosen) (*format.Blob, error) {
	return p.openBlob(ctx, "meta-"+s.Ref.UUID+".dat", format.MetadataCodec)
}

// Bounds of what is read whole, in bytes.
const (
	maxRepositoryData = 1 << 30
	maxBlob           = 512 << 20
)

func (p *Plan) readBlob(ctx context.Context, name string) ([]byte, error) {
	return blob.ReadAll(ctx, p.repo.Store, name, maxBlob)
}

// openBlob reads a metadata blob; errors name it.
func (p *Plan) openBlob(ctx context.Context, name, codec string) (*format.Blob, error) {
	raw, err := p.readBlob(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := format.OpenBlob(codec, raw)
	if err != nil {
		return nil, &snapshot.BlobError{Blob: name, Err: err}
	}
	return b, nil
}

// metaBlob names an index's metadata blob as of a snapshot.
func metaBlob(s *snapshot.Selected, ref *format.IndexRef) string {
	return path.Join("indices", ref.ID, "meta-"+s.Ref.MetaID(ref)+".dat")
}

// compareVersions orders versions of Lucene.
func compareVersions(a, b string) int {
	pa, pb := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(pa), len(pb)) {
		var x, y string
		if i < len(pa) {
			x = pa[i]
		}
		if i < len(pb) {
			y = pb[i]
		}
		if c := len(x) - len(y); c != 0 {
			return c
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}
