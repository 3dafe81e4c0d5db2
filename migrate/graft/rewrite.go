package graft

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/format/lucene"
	format "github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/format/tree"
	"github.com/narudata/naru/migrate/graft/rules"
)

// OpenSearch 2.0.0, as metadata name it: what snapshots and indices of Elasticsearch 8 are said to be of, and
// all that OpenSearch 3 is to restore. Version 2.0.0 is the first that marks nested documents as Elasticsearch 8 does,
// and below 2.9, from which on a geo_shape is expected to have doc values.
const (
	claimedVersion   = "2.0.0"
	claimedVersionID = 2_000_099 ^ openSearchMask
)

// openSearchMask is what OpenSearch flips in the ids of its versions: they are larger than any of Elasticsearch's.
const openSearchMask = 0x08000000

// An edition is under which names rewritten metadata appear.
type edition struct{ suffix string } // "": the same names

// name names a snapshot.
func (e edition) name(s string) string { return s + e.suffix }

// id names what an id or UUID of the source becomes: always the same, so that writing can be resumed.
func (e edition) id(s string) string {
	if e.suffix == "" {
		return s
	}
	sum := sha256.Sum256([]byte("naru graft\x00" + e.suffix + "\x00" + s))
	return base64.RawURLEncoding.EncodeToString(sum[:16]) // as long as the servers' own
}

// claims reports that what a server writes of its version is replaced by claimedVersion.
func (p *Plan) claims(s *snapshot.Selected) bool {
	const eight = 8_000_000
	return p.target.Major >= 3 || p.target.Major == 2 && s.Snapshot.VersionID >= eight && s.Snapshot.VersionID < openSearchMask
}

// repositoryData is the rewritten index-N. Source: org.opensearch.repositories.RepositoryData#snapshotsFromXContent,
// which refuses uuid and cluster_id, and needs the snapshots before the indices.
func (p *Plan) repositoryData(raw tree.Object) (tree.Object, error) {
	o := slices.Clone(raw)
	foreign(&o)
	var snapshots []any
	identifiers := make(map[string]bool)
	for _, v := range raw.List("snapshots") {
		s, ok := v.(tree.Object)
		if !ok || p.kept[s.Text("uuid")] == nil {
			continue
		}
		s = slices.Clone(s)
		p.claim(&s, s.Text("uuid"))
		if s.Has("index_metadata_lookup") {
			var lookup tree.Object
			for _, m := range s.Object("index_metadata_lookup") {
				if p.keeps(s.Text("uuid"), m.Name) {
					lookup = append(lookup, m)
					identifiers[tree.Text(m.Value)] = true
				}
			}
			s.Set("index_metadata_lookup", lookup)
		}
		snapshots = append(snapshots, s)
	}
	if len(snapshots) != len(p.chosen) {
		return nil, fmt.Errorf("%w: index-%d lists %d of %d snapshots", format.ErrCorrupt, p.Generation, len(snapshots), len(p.chosen))
	}
	o.Set("snapshots", snapshots)
	var indices tree.Object
	for _, m := range raw.Object("indices") {
		index, ok := m.Value.(tree.Object)
		if !ok {
			continue
		}
		var in []any
		for _, v := range index.List("snapshots") {
			if p.keeps(uuidOf(v), index.Text("id")) {
				in = append(in, v)
			}
		}
		if len(in) > 0 {
			index = slices.Clone(index)
			index.Set("snapshots", in)
			indices = append(indices, tree.Member{Name: m.Name, Value: index})
		}
	}
	o.Set("indices", indices)
	if o.Has("index_metadata_identifiers") {
		o.Set("index_metadata_identifiers", slices.DeleteFunc(slices.Clone(o.Object("index_metadata_identifiers")),
			func(m tree.Member) bool { return !identifiers[m.Name] }))
	}
	return o, nil
}

// foreign takes out of index-N what only Elasticsearch knows.
func foreign(o *tree.Object) {
	for _, name := range []string{"uuid", "cluster_id", "min_version"} {
		o.Delete(name)
	}
}

// claim replaces the version of a snapshot in index-N.
func (p *Plan) claim(s *tree.Object, uuid string) {
	for i := range p.chosen {
		if c := &p.chosen[i].Selected; c.Ref.UUID == uuid && s.Has("version") && p.claims(c) {
			s.Set("version", claimedVersion)
		}
	}
}

// keeps reports that the index with the id is kept of the snapshot.
func (p *Plan) keeps(uuid, id string) bool {
	return p.ids[uuid][id]
}

// uuidOf reads a reference to a snapshot: its UUID, or for a while {"name":…,"uuid":…}.
func uuidOf(v any) string {
	if o, ok := v.(tree.Object); ok {
		return o.Text("uuid")
	}
	return tree.Text(v)
}

// snapshotInfo is a snapshot's own blob, rewritten. Source: org.opensearch.snapshots.SnapshotInfo.
func (p *Plan) snapshotInfo(ctx context.Context, s *snapshot.Chosen, e edition) ([]byte, error) {
	b, err := p.openBlob(ctx, "snap-"+s.Ref.UUID+".dat", format.SnapshotCodec)
	if err != nil {
		return nil, err
	}
	o := b.Body.Object("snapshot")
	if o == nil {
		return nil, fmt.Errorf("snap-%s.dat: %w: it describes no snapshot", s.Ref.UUID, format.ErrCorrupt)
	}
	o.Set("name", e.name(s.Snapshot.Name))
	o.Set("uuid", e.id(s.Ref.UUID))
	if p.claims(&s.Selected) {
		o.Set("version_id", int64(claimedVersionID))
	}
	kept := p.kept[s.Ref.UUID]
	of := func(v any) bool { return kept[tree.Text(v)] != nil }
	o.Set("indices", filter(o.List("indices"), of))
	if o.Has("data_streams") {
		whole := p.keptStreams(s)
		o.Set("data_streams", filter(o.List("data_streams"), func(v any) bool { return whole[tree.Text(v)] }))
	}
	o.Set("failures", filter(o.List("failures"), func(v any) bool {
		failure, ok := v.(tree.Object)
		return ok && kept[failure.Text("index")] != nil
	}))
	var total, missing int64
	for _, k := range kept {
		total += int64(k.shards)
		missing += int64(len(k.missing))
	}
	o.Set("total_shards", total)
	o.Set("successful_shards", total-missing)
	for _, name := range []string{"index_details", "feature_states"} { // only Elasticsearch knows them
		o.Delete(name)
	}
	b.Body.Set("snapshot", o)
	return b.Encode()
}

func filter(list []any, keep func(any) bool) []any {
	out := make([]any, 0, len(list))
	for _, v := range list {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

// keptStreams are the data streams of a snapshot of which indices are kept: then all are.
func (p *Plan) keptStreams(s *snapshot.Chosen) map[string]bool {
	whole := make(map[string]bool)
	for _, k := range p.kept[s.Ref.UUID] {
		if k.stream != "" {
			whole[k.stream] = true
		}
	}
	return whole
}

// clusterMetadata is the cluster's metadata of a snapshot, rewritten.
func (p *Plan) clusterMetadata(ctx context.Context, s *snapshot.Chosen) (*format.Blob, rules.Verdict, error) {
	b, err := p.cluster(ctx, s)
	if err != nil {
		return nil, rules.Verdict{}, err
	}
	meta := b.Body.Object("meta-data")
	if meta == nil {
		return nil, rules.Verdict{}, fmt.Errorf("meta-%s.dat: %w: there are no metadata", s.Ref.UUID, format.ErrCorrupt)
	}
	verdict := p.target.Cluster(&meta)
	if outer := meta.Object("data_stream"); outer != nil {
		whole := p.keptStreams(s)
		outer = slices.Clone(outer)
		outer.Set("data_stream", slices.DeleteFunc(slices.Clone(outer.Object("data_stream")),
			func(m tree.Member) bool { return !whole[m.Name] }))
		meta.Set("data_stream", outer)
	}
	b.Body.Set("meta-data", meta)
	return b, verdict, nil
}

func (p *Plan) clusterChanges(ctx context.Context, s *snapshot.Chosen) ([]rules.Change, error) {
	_, verdict, err := p.clusterMetadata(ctx, s)
	if errors.Is(err, fs.ErrNotExist) && !s.Snapshot.GlobalState {
		return nil, nil // old snapshots without the global state have none
	}
	return verdict.Changes, err
}

// Cluster gives the cluster's metadata as the newest snapshot has them, rewritten: templates, data streams,
// pipelines. nil: the snapshot was taken without the global state.
func (p *Plan) Cluster(ctx context.Context) (tree.Object, []rules.Change, error) {
	if len(p.chosen) == 0 || !p.chosen[0].Snapshot.GlobalState {
		return nil, nil, nil
	}
	b, verdict, err := p.clusterMetadata(ctx, &p.chosen[0])
	if err != nil {
		return nil, nil, err
	}
	return b.Body.Object("meta-data"), verdict.Changes, nil
}

// indexMetadata is an index's metadata blob, rewritten.
func (p *Plan) indexMetadata(ctx context.Context, k *keep) ([]byte, error) {
	b, err := p.openBlob(ctx, metaBlob(k.from, k.ref), format.IndexCodec)
	if err != nil {
		return nil, err
	}
	verdict, _, err := p.judge(&b.Body, k)
	if err != nil {
		return nil, err
	}
	if len(verdict.Refusals) > 0 {
		return nil, fmt.Errorf("index %s was to be grafted when it was planned, and is refused now: %s", k.ref.Name, verdict.Refusals[0].Why)
	}
	return b.Encode()
}

// rewritten reports that a file of Lucene's is among those that the two-hop way rewrites.
func rewritten(physical string) bool {
	return path.Ext(physical) == ".si" || strings.HasPrefix(physical, "segments_")
}

// shardInfo is the blob that says which files a shard has in a snapshot, rewritten. Source:
// org.opensearch.index.snapshots.blobstore.BlobStoreIndexShardSnapshot, which refuses writer_uuid.
func (p *Plan) shardInfo(ctx context.Context, dir, uuid string, e edition) ([]byte, error) {
	b, err := p.openBlob(ctx, path.Join(dir, "snap-"+uuid+".dat"), format.SnapshotCodec)
	if err != nil {
		return nil, err
	}
	b.Body.Set("name", e.name(b.Body.Text("name")))
	if err := p.rewriteFiles(b.Body); err != nil {
		return nil, fmt.Errorf("%s/snap-%s.dat: %w", dir, uuid, err)
	}
	return b.Encode()
}

// rewriteFiles rewrites the files in a shard's metadata.
func (p *Plan) rewriteFiles(shard tree.Object) error {
	return format.EditFiles(shard, func(f format.File, element *tree.Object) error {
		element.Delete("writer_uuid")
		if !p.TwoHop || !rewritten(f.Physical) {
			return nil
		}
		if err := hop(&f, element); err != nil {
			return fmt.Errorf("%s: %w", f.Physical, err)
		}
		return nil
	})
}

// What the two-hop way has Lucene 10 believe of segments that Lucene 9 wrote whole, out of an index that Lucene 8
// created.
const (
	hopMinVersion = "9.0.0"
	hopMajor      = 9
)

// hop rewrites an inlined .si or segments_N file.
func hop(f *format.File, element *tree.Object) (err error) {
	contents := f.Meta
	if path.Ext(f.Physical) == ".si" {
		contents, err = lucene.SetMinVersion(contents, hopMinVersion)
	} else {
		contents, err = lucene.SetCreatedMajor(contents, hopMajor)
	}
	if err != nil {
		return err
	}
	sum, err := lucene.ChecksumBytes(contents)
	if err != nil {
		return err
	}
	return format.SetContents(element, contents, sum)
}

// A shardIndex is the blob of a shard that lists the files of all its snapshots, by which files are shared and
// deleted. Restoring does not read it. Source: org.opensearch.index.snapshots.blobstore.BlobStoreIndexShardSnapshots.
type shardIndex struct {
	name string // index-G
	blob *format.Blob
}

// shardGenerations gives the shard generations of each index by its id, as index-N has them.
func shardGenerations(raw tree.Object) map[string][]any {
	out := make(map[string][]any)
	for _, m := range raw.Object("indices") {
		if index, ok := m.Value.(tree.Object); ok {
			out[index.Text("id")] = index.List("shard_generations")
		}
	}
	return out
}

// shardIndex reads it; nil: there is none, or which one counts cannot be told.
func (p *Plan) shardIndex(ctx context.Context, ref *format.IndexRef, n int, generations map[string][]any) (*shardIndex, error) {
	dir := path.Join("indices", ref.ID, strconv.Itoa(n))
	name := ""
	if of := generations[ref.ID]; n < len(of) {
		if g, ok := of[n].(string); ok {
			name = "index-" + g
		}
	}
	if name == "" { // before 7.6 they are numbered
		newest := int64(-1)
		for entry, err := range p.repo.Store.List(ctx, dir) {
			if errors.Is(err, blob.ErrNoListing) || errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			digits, ok := strings.CutPrefix(entry.Name, "index-")
			if k, err := strconv.ParseInt(digits, 10, 64); ok && err == nil {
				newest = max(newest, k)
			}
		}
		if newest < 0 {
			return nil, nil
		}
		name = "index-" + strconv.FormatInt(newest, 10)
	}
	b, err := p.openBlob(ctx, path.Join(dir, name), format.ShardsCodec)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // "_new", say: a shard that was never written
	}
	if err != nil {
		return nil, err
	}
	return &shardIndex{name, b}, nil
}

// rewrite keeps the named snapshots, and the files that they use.
func (p *Plan) rewriteShardIndex(b *format.Blob, keep map[string]bool) error {
	used := make(map[string]bool)
	var snapshots tree.Object
	for _, m := range b.Body.Object("snapshots") {
		if !keep[m.Name] {
			continue
		}
		snapshots = append(snapshots, m)
		if s, ok := m.Value.(tree.Object); ok {
			for _, f := range s.List("files") {
				used[tree.Text(f)] = true
			}
		}
	}
	files := filter(b.Body.List("files"), func(v any) bool {
		f, ok := v.(tree.Object)
		return ok && used[f.Text("name")]
	})
	b.Body.Set("files", files)
	b.Body.Set("snapshots", snapshots)
	return p.rewriteFiles(b.Body)
}

// dataBlobs lists the blobs that hold a shard's files, with their sizes.
func dataBlobs(dir string, files []format.File) []dataBlob {
	var out []dataBlob
	for i := range files {
		f := &files[i]
		if f.Virtual() {
			continue
		}
		rest := f.Length
		for k := range f.Parts() {
			size := min(rest, f.PartSize)
			if f.PartSize == math.MaxInt64 {
				size = f.Length
			}
			rest -= size
			out = append(out, dataBlob{path.Join(dir, f.Part(k)), size})
		}
	}
	return out
}

type dataBlob struct {
	name string
	size int64
}
