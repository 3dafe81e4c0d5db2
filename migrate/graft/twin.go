package graft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/blob"
	format "github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/format/tree"
)

// TwinSuffix is what the names of snapshots end with that Twin adds.
const TwinSuffix = "-opensearch"

// Twin adds to the repository itself, for each snapshot of the plan, one of another name that OpenSearch restores. No
// blob that is there is changed or removed, but for index.latest: the new snapshots share the data, and have metadata of
// their own. A new index-N lists the old snapshots and the new ones, so that Elasticsearch goes on restoring the old
// ones, and keeps the data of the new ones when an old one is deleted. Undo takes it all back.
//
// OpenSearch must register the repository as read-only. Elasticsearch must be told to look at it anew (by
// registering it again) before it takes the next snapshot; until then it refuses to.
func (p *Plan) Twin(ctx context.Context, to blob.Writer) (Written, error) {
	var out Written
	raw, err := p.readIndex(ctx)
	if err != nil {
		return out, err
	}
	mark, err := readMarker(ctx, to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		mark = marker{From: p.From, UUID: p.UUID, Generation: p.Generation, Target: p.Target, Published: -1, Next: p.Generation + 1}
	case err != nil:
		return out, err
	case mark.Published >= 0 && mark.Published == p.Generation:
		if mark.Target != p.Target || !p.hasTwins() {
			return out, fmt.Errorf("%s has been added to already, for OpenSearch %s and perhaps other indices; `naru graft --undo` takes that back", to, mark.Target)
		}
		return Written{Generation: p.Generation, Nothing: true}, nil
	case mark.Next == p.Generation && mark.Target == p.Target && p.hasTwins(): // the last run died before it noted so
		if err := to.Replace(ctx, "index.latest", latest(mark.Next)); err != nil {
			return out, err
		}
		mark.Published = mark.Next
		return Written{Generation: p.Generation}, saveMarker(ctx, to, &mark)
	case mark.Generation != p.Generation || mark.Next != p.Generation+1:
		return out, fmt.Errorf("%s: an earlier run began to add to index-%d, and the newest is index-%d now; `naru graft --undo` takes that back",
			to, mark.Generation, p.Generation)
	}
	if mark.Target != p.Target {
		return out, fmt.Errorf("%s: an earlier run began to add to it for OpenSearch %s; `naru graft --undo` takes that back", to, mark.Target)
	}
	t := &twin{plan: p, to: to, raw: raw, e: edition{TwinSuffix}, before: shardGenerations(raw),
		added: make(map[string][]byte), generations: make(map[string]map[int]string)}
	if err := t.make(ctx); err != nil {
		return out, err
	}
	mark.Added = slices.Sorted(maps.Keys(t.added))
	if err := saveMarker(ctx, to, &mark); err != nil {
		return out, err
	}
	w := &writer{plan: p, to: to, mark: mark}
	for _, name := range mark.Added {
		if err := w.put(ctx, name, t.added[name]); err != nil {
			return out, err
		}
	}
	w.view = &View{index: t.index}
	if err := w.publishTwin(ctx); err != nil {
		return out, err
	}
	w.tell(&out)
	return out, nil
}

// hasTwins reports that the repository lists a twin of all that the plan keeps.
func (p *Plan) hasTwins() bool {
	e := edition{TwinSuffix}
	for i := range p.chosen {
		uuid := p.chosen[i].Ref.UUID
		for _, k := range p.kept[uuid] {
			if !k.ref.In(e.id(uuid)) {
				return false
			}
		}
	}
	return true
}

// publishTwin makes the new index-N visible. It must not be there: then somebody else has written meanwhile.
func (w *writer) publishTwin(ctx context.Context) error {
	if err := w.to.Sync(ctx); err != nil {
		return err
	}
	name := indexName(w.mark.Next)
	if err := w.to.Put(ctx, name, w.view.index); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w: somebody else, perhaps Elasticsearch, writes into the repository; nothing of it was changed; "+
				"`naru graft --undo` removes what was added", name, err)
		}
		return err
	}
	w.meta.add(int64(len(w.view.index)))
	if err := w.to.Replace(ctx, "index.latest", latest(w.mark.Next)); err != nil {
		return err
	}
	w.mark.Published = w.mark.Next
	return w.saveMarker(ctx)
}

// A twin is one call of Twin.
type twin struct {
	plan        *Plan
	to          blob.Writer
	raw         tree.Object
	e           edition
	added       map[string][]byte
	index       []byte
	before      map[string][]any          // index id → generations of its shards
	generations map[string]map[int]string // index id → shard → its new generation
}

// make makes all blobs in memory: a few kilobytes for each shard and snapshot.
func (t *twin) make(ctx context.Context) error {
	p := t.plan
	for i := range p.chosen {
		s := &p.chosen[i]
		for _, r := range p.repo.Snapshots {
			if r.Name == t.e.name(s.Snapshot.Name) {
				return fmt.Errorf("there is a snapshot %s already", r.Name)
			}
		}
		b, _, err := p.clusterMetadata(ctx, s)
		if err == nil {
			if err := t.add("meta-"+t.e.id(s.Ref.UUID)+".dat", b); err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrNotExist) || s.Snapshot.GlobalState {
			return err
		}
		if t.added["snap-"+t.e.id(s.Ref.UUID)+".dat"], err = p.snapshotInfo(ctx, s, t.e); err != nil {
			return err
		}
	}
	used := p.used()
	for i := range used {
		u := &used[i]
		for _, k := range u.in {
			name := path.Join("indices", u.ref.ID, "meta-"+t.e.id(k.from.Ref.MetaID(k.ref))+".dat")
			if t.added[name] != nil {
				continue
			}
			var err error
			if t.added[name], err = p.indexMetadata(ctx, k); err != nil {
				return err
			}
		}
		for n := range u.shards {
			if err := t.shard(ctx, u, n); err != nil {
				return fmt.Errorf("index %s, shard %d: %w", u.name, n, err)
			}
		}
	}
	data := t.repositoryData()
	var err error
	t.index, err = tree.AppendJSON(nil, data)
	return err
}

func (t *twin) add(name string, b *format.Blob) (err error) {
	t.added[name], err = b.Encode()
	return err
}

// shard adds what a shard's new snapshots need, and to its index of snapshots.
func (t *twin) shard(ctx context.Context, u *usedIndex, n int) error {
	p := t.plan
	dir := path.Join("indices", u.ref.ID, strconv.Itoa(n))
	names := make(map[string]string)
	for i := range p.chosen {
		s := &p.chosen[i]
		k := u.in[s.Ref.UUID]
		if k == nil || n >= k.shards || slices.Contains(k.missing, n) {
			continue
		}
		b, err := p.shardInfo(ctx, dir, s.Ref.UUID, t.e)
		if err != nil {
			return err
		}
		t.added[path.Join(dir, "snap-"+t.e.id(s.Ref.UUID)+".dat")] = b
		names[s.Snapshot.Name] = t.e.name(s.Snapshot.Name)
	}
	if len(names) == 0 {
		return nil
	}
	x, err := p.shardIndex(ctx, u.ref, n, t.before)
	if err != nil {
		return err
	}
	if x == nil {
		return errors.New("its index of snapshots cannot be found, by which the data of the new snapshot are kept from being deleted; " +
			"write the rewritten repository elsewhere")
	}
	old := x.blob.Body.Object("snapshots")
	snapshots := slices.Clone(old)
	for _, m := range old {
		if name, ok := names[m.Name]; ok {
			v := m.Value
			if o, ok := v.(tree.Object); ok && o.Has("shard_state_id") {
				o = slices.Clone(o)
				o.Delete("shard_state_id") // Elasticsearch takes the shard's state for unchanged by it
				v = o
			}
			snapshots = append(snapshots, tree.Member{Name: name, Value: v})
		}
	}
	x.blob.Body.Set("snapshots", snapshots)
	generation := t.e.id(strings.TrimPrefix(x.name, "index-"))
	if _, err := strconv.ParseInt(strings.TrimPrefix(x.name, "index-"), 10, 64); err == nil {
		return errors.New("the repository numbers its shards' indices of snapshots, as servers before 7.6 do; write the rewritten repository elsewhere")
	}
	if t.generations[u.ref.ID] == nil {
		t.generations[u.ref.ID] = make(map[int]string)
	}
	t.generations[u.ref.ID][n] = generation
	return t.add(path.Join(dir, "index-"+generation), x.blob)
}

// repositoryData is index-N with the new snapshots beside the old ones.
func (t *twin) repositoryData() tree.Object {
	p := t.plan
	o := slices.Clone(t.raw)
	foreign(&o)
	var snapshots []any
	identifiers := slices.Clone(t.raw.Object("index_metadata_identifiers"))
	ids := make(map[string]string, len(identifiers))
	for _, m := range identifiers {
		ids[m.Name] = tree.Text(m.Value)
	}
	twins := make(map[string]bool)
	for _, v := range t.raw.List("snapshots") {
		snapshots = append(snapshots, v)
		s, ok := v.(tree.Object)
		uuid := s.Text("uuid")
		if !ok || p.kept[uuid] == nil {
			continue
		}
		s = slices.Clone(s)
		s.Set("name", t.e.name(s.Text("name")))
		s.Set("uuid", t.e.id(uuid))
		// Its version stays: by the oldest one Elasticsearch decides how to write index-N, and would fall back to a form
		// that cannot say where a twin's metadata are.
		if s.Has("index_metadata_lookup") {
			var lookup tree.Object
			for _, m := range s.Object("index_metadata_lookup") {
				if !p.keeps(uuid, m.Name) {
					continue
				}
				key := tree.Text(m.Value)
				lookup = append(lookup, tree.Member{Name: m.Name, Value: key + t.e.suffix})
				if !twins[key] {
					twins[key] = true
					identifiers = append(identifiers, tree.Member{Name: key + t.e.suffix, Value: t.e.id(ids[key])})
				}
			}
			s.Set("index_metadata_lookup", lookup)
		}
		snapshots = append(snapshots, s)
	}
	o.Set("snapshots", snapshots)
	var indices tree.Object
	for _, m := range t.raw.Object("indices") {
		index, ok := m.Value.(tree.Object)
		if ok {
			index = slices.Clone(index)
			in := slices.Clone(index.List("snapshots"))
			for _, v := range index.List("snapshots") {
				if uuid := uuidOf(v); p.keeps(uuid, index.Text("id")) {
					in = append(in, t.e.id(uuid))
				}
			}
			index.Set("snapshots", in)
			if fresh := t.generations[index.Text("id")]; fresh != nil {
				generations := slices.Clone(index.List("shard_generations"))
				for n, g := range fresh {
					if n < len(generations) {
						generations[n] = g
					}
				}
				index.Set("shard_generations", generations)
			}
			m.Value = index
		}
		indices = append(indices, m)
	}
	o.Set("indices", indices)
	if identifiers != nil {
		o.Set("index_metadata_identifiers", identifiers)
	}
	return o
}

// Undo takes back what Twin added. It refuses when somebody has written a newer index-N since.
func Undo(ctx context.Context, to blob.Writer) (removed int, err error) {
	mark, err := readMarker(ctx, to)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s: nothing was added to it in place, or that has been taken back", to)
	}
	if err != nil {
		return 0, err
	}
	if len(mark.Added) == 0 {
		return 0, fmt.Errorf("%s was written by naru as a whole: nothing was there before", to)
	}
	found, err := generations(ctx, to)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("%s: there is no index-N; nothing was removed", to)
	}
	name := indexName(mark.Next)
	switch newest := found[len(found)-1]; {
	case newest > mark.Next:
		return 0, fmt.Errorf("%s: index-%d was written after naru's index-%d, by a server; it lists the added snapshots, which that server can delete",
			to, newest, mark.Next)
	case newest == mark.Next && mark.Published != mark.Next:
		// Whose it is tells its content: naru's lists what it added.
		ours, err := lists(ctx, to, name, TwinSuffix)
		if err != nil {
			return 0, err
		}
		if !ours {
			name = ""
		}
	case newest == mark.Generation:
		name = ""
	}
	if name != "" {
		if err := to.Replace(ctx, "index.latest", latest(mark.Generation)); err != nil {
			return 0, err
		}
		if err := to.Remove(ctx, name); err != nil {
			return 0, err
		}
		removed++
		if err := to.Sync(ctx); err != nil { // nobody must see index-N without what it lists
			return removed, err
		}
	}
	if err := to.Remove(ctx, mark.Added...); err != nil {
		return removed, err
	}
	removed += len(mark.Added)
	if err := to.Sync(ctx); err != nil {
		return removed, err
	}
	return removed, to.Remove(ctx, markerName)
}

// lists reports that a repository's index lists a snapshot whose name ends so.
func lists(ctx context.Context, s blob.Store, name, suffix string) (bool, error) {
	b, err := blob.ReadAll(ctx, s, name, maxRepositoryData)
	if err != nil {
		return false, err
	}
	return bytes.Contains(b, []byte(suffix+`"`)), nil
}
