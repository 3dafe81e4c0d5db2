package graft

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/format/tree"
)

// A View is the rewritten repository as a store that nothing is written for: data are passed through, and metadata are
// rewritten when they are asked for. It cannot be listed, and has what restoring reads.
type View struct {
	plan        *Plan
	latest      []byte
	index       []byte // index-N
	indexN      string
	byBlob      map[string]*keep  // index metadata by the name of their blob
	shards      map[string]inside // by the directories of shards that are kept
	byUUID      map[string]*snapshot.Chosen
	generations map[string][]any

	mu    sync.Mutex
	sizes map[string]map[string]int64 // directory → data blob → bytes, of the shards asked for last; guarded by mu
}

// inside is a shard of a kept index.
type inside struct {
	u *usedIndex
	n int
}

var _ blob.Store = (*View)(nil)

// View prepares a view. It is valid until the plan is closed.
func (p *Plan) View(ctx context.Context) (*View, error) {
	raw, err := p.readIndex(ctx)
	if err != nil {
		return nil, err
	}
	data, err := p.repositoryData(raw)
	if err != nil {
		return nil, err
	}
	v := &View{
		plan: p, indexN: "index-" + strconv.FormatInt(p.Generation, 10), latest: latest(p.Generation), generations: shardGenerations(raw),
		byBlob: make(map[string]*keep), shards: make(map[string]inside), byUUID: make(map[string]*snapshot.Chosen),
		sizes: make(map[string]map[string]int64),
	}
	if v.index, err = tree.AppendJSON(nil, data); err != nil {
		return nil, err
	}
	for i := range p.chosen {
		s := &p.chosen[i]
		v.byUUID[s.Ref.UUID] = s
		for _, k := range p.kept[s.Ref.UUID] {
			v.byBlob[metaBlob(k.from, k.ref)] = k
		}
	}
	used := p.used()
	for i := range used {
		for n := range used[i].shards {
			v.shards[path.Join("indices", used[i].ref.ID, strconv.Itoa(n))] = inside{&used[i], n}
		}
	}
	return v, nil
}

// readIndex reads index-N as it is.
func (p *Plan) readIndex(ctx context.Context) (tree.Object, error) {
	name := "index-" + strconv.FormatInt(p.Generation, 10)
	raw, err := blob.ReadAll(ctx, p.repo.Store, name, maxRepositoryData)
	if err != nil {
		return nil, err
	}
	o, err := tree.ObjectFromJSON(raw)
	if err != nil {
		return nil, &snapshot.BlobError{Blob: name, Err: err}
	}
	return o, nil
}

func latest(generation int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(generation)) }

// String names the view.
func (v *View) String() string {
	return v.plan.repo.Store.String() + " for OpenSearch " + v.plan.Target
}

// List implements blob.Store.
func (v *View) List(context.Context, string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) { yield(blob.Entry{}, blob.ErrNoListing) }
}

// Open implements blob.Store.
func (v *View) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if isData(name) {
		if _, err := v.size(ctx, name); err != nil {
			return nil, err
		}
		return v.plan.repo.Store.Open(ctx, name, off, n)
	}
	b, err := v.metadata(ctx, name)
	if err != nil {
		return nil, err
	}
	b = b[min(max(off, 0), int64(len(b))):]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// isData reports that a blob has the name of one that holds data.
func isData(name string) bool { return strings.HasPrefix(path.Base(name), "__") }

// size is how many bytes a data blob has that a kept snapshot uses; fs.ErrNotExist for any other.
func (v *View) size(ctx context.Context, name string) (int64, error) {
	dir := path.Dir(name)
	at, ok := v.shards[dir]
	if !ok {
		return 0, absent(name)
	}
	v.mu.Lock()
	sizes := v.sizes[dir]
	v.mu.Unlock()
	if sizes == nil {
		data, _, _, err := v.data(ctx, at.u, at.n)
		if err != nil {
			return 0, err
		}
		sizes = make(map[string]int64, len(data))
		for _, d := range data {
			sizes[d.name] = d.size
		}
		v.mu.Lock()
		for old := range v.sizes {
			if len(v.sizes) < mostSizes {
				break
			}
			delete(v.sizes, old)
		}
		v.sizes[dir] = sizes
		v.mu.Unlock()
	}
	n, ok := sizes[name]
	if !ok {
		return 0, absent(name)
	}
	return n, nil
}

// mostSizes bounds the shards whose sizes are remembered.
const mostSizes = 64

func absent(name string) error { return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} }

// metadata gives a blob of metadata, rewritten.
func (v *View) metadata(ctx context.Context, name string) ([]byte, error) {
	p := v.plan
	switch name {
	case v.indexN:
		return v.index, nil
	case "index.latest":
		return v.latest, nil
	}
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if k := v.byBlob[name]; k != nil {
		return p.indexMetadata(ctx, k)
	}
	uuid, isSnap := between(base, "snap-", ".dat")
	switch {
	case dir == "" && isSnap && v.byUUID[uuid] != nil:
		return p.snapshotInfo(ctx, v.byUUID[uuid], edition{})
	case dir == "":
		uuid, isMeta := between(base, "meta-", ".dat")
		if !isMeta || v.byUUID[uuid] == nil {
			return nil, absent(name)
		}
		b, _, err := p.clusterMetadata(ctx, v.byUUID[uuid])
		if err != nil {
			return nil, err
		}
		return b.Encode()
	case isSnap && v.shards[dir].u != nil && p.kept[uuid] != nil:
		return p.shardInfo(ctx, dir, uuid, edition{})
	}
	return nil, absent(name)
}

func between(s, prefix, suffix string) (string, bool) {
	if len(s) < len(prefix)+len(suffix) || !strings.HasPrefix(s, prefix) || !strings.HasSuffix(s, suffix) {
		return "", false
	}
	return s[len(prefix) : len(s)-len(suffix)], true
}

// A shardWork is all that there is to write for a shard of a kept index.
type shardWork struct {
	data     []dataBlob
	metadata []string // names of blobs that the view has
	index    []byte   // the shard's index of snapshots, nil: there is none
	indexAt  string
}

// data lists the data blobs of shard n of an index, its blobs of metadata, and the names of the snapshots that have it.
func (v *View) data(ctx context.Context, u *usedIndex, n int) (data []dataBlob, metadata []string, in map[string]bool, err error) {
	p := v.plan
	dir := path.Join("indices", u.ref.ID, strconv.Itoa(n))
	seen := make(map[string]bool)
	in = make(map[string]bool)
	for i := range p.chosen {
		s := &p.chosen[i]
		k := u.in[s.Ref.UUID]
		if k == nil || n >= k.shards || slices.Contains(k.missing, n) {
			continue
		}
		sh, err := p.repo.Shard(ctx, &s.Selected, u.ref, n)
		if err != nil {
			return nil, nil, nil, err
		}
		for _, b := range dataBlobs(dir, sh.Files) {
			if !seen[b.name] {
				seen[b.name] = true
				data = append(data, b)
			}
		}
		metadata = append(metadata, path.Join(dir, "snap-"+s.Ref.UUID+".dat"))
		in[s.Snapshot.Name] = true
	}
	return data, metadata, in, nil
}

// shard says what there is to write for shard n of an index.
func (v *View) shard(ctx context.Context, u *usedIndex, n int) (shardWork, error) {
	var w shardWork
	var in map[string]bool
	var err error
	if w.data, w.metadata, in, err = v.data(ctx, u, n); err != nil || len(in) == 0 {
		return w, err
	}
	x, err := v.plan.shardIndex(ctx, u.ref, n, v.generations)
	if err != nil || x == nil {
		return w, err
	}
	dir := path.Join("indices", u.ref.ID, strconv.Itoa(n))
	if err := v.plan.rewriteShardIndex(x.blob, in); err != nil {
		return w, fmt.Errorf("%s/%s: %w", dir, x.name, err)
	}
	w.indexAt = path.Join(dir, x.name)
	w.index, err = x.blob.Encode()
	return w, err
}

// rootMetadata names the blobs at the root, those first that others refer to; without index-N and index.latest.
func (v *View) rootMetadata(ctx context.Context) ([]string, error) {
	var names []string
	for i := range v.plan.chosen {
		s := &v.plan.chosen[i]
		meta := "meta-" + s.Ref.UUID + ".dat"
		switch _, err := v.plan.readBlob(ctx, meta); {
		case err == nil:
			names = append(names, meta)
		case !errors.Is(err, fs.ErrNotExist) || s.Snapshot.GlobalState:
			return nil, err
		}
	}
	for i := range v.plan.chosen {
		names = append(names, "snap-"+v.plan.chosen[i].Ref.UUID+".dat")
	}
	return names, nil
}

// read gives a blob of metadata, for writing; the error names it.
func (v *View) read(ctx context.Context, name string) ([]byte, error) {
	b, err := v.metadata(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("rewrite %s: %w", name, err)
	}
	return b, nil
}
