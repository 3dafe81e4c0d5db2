package graft

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/internal/ahead"
)

// markerName is a blob of naru's own at the root of what it writes: whose repository it is, and how far it has got.
// The servers leave alone what they do not know there.
const markerName = "naru-graft.json"

// A marker is what is in it.
type marker struct {
	From       string `json:"from"`           // the source
	UUID       string `json:"uuid,omitempty"` // its UUID
	Generation int64  `json:"generation"`     // of the source
	Target     string `json:"target"`
	// Published is the generation that readers see, -1 if none yet; Next the one that is being written.
	Published int64 `json:"published"`
	Next      int64 `json:"next"`
	// Added are the blobs that Twin added, to be removed by Undo.
	Added []string `json:"added,omitempty"`
}

// Options say how a repository is written. The zero value works.
type Options struct {
	Workers  int           // shards at a time; 0: 8
	Progress func(Written) // told after each shard, from one goroutine
}

// Written says what was written.
type Written struct {
	Shards        int   `json:"shards"`
	OfShards      int   `json:"of_shards"`
	Kept          Count `json:"kept"`   // were there already
	Linked        Count `json:"linked"` // no byte was written
	CopiedThere   Count `json:"copied_by_the_server"`
	Streamed      Count `json:"streamed"`
	Metadata      Count `json:"metadata"`       // blobs rewritten
	MetadataThere Count `json:"metadata_there"` // of an earlier run, the same
	Generation    int64 `json:"generation"`
	Nothing       bool  `json:"nothing_to_do"` // all was there already
}

// Bytes is how many bytes were written in all: links and copies by the server cost none.
func (w *Written) Bytes() int64 { return w.Streamed.Bytes + w.Metadata.Bytes }

// A Count is a number of blobs.
type Count struct {
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

type counter struct{ blobs, bytes atomic.Int64 }

func (c *counter) add(bytes int64) {
	c.blobs.Add(1)
	c.bytes.Add(bytes)
}

func (c *counter) count() Count { return Count{c.blobs.Load(), c.bytes.Load()} }

// ErrOthers says that the place to write to belongs to somebody else.
var ErrOthers = errors.New("naru did not write what is there")

// Write writes the rewritten repository to a place of its own: data first, then what refers to them, and
// index-N, by which readers find everything, last. So a reader sees the whole repository or none; Write can be
// interrupted anywhere and run again, and it adds what an earlier run for the same source did not have.
func (p *Plan) Write(ctx context.Context, to blob.Writer, o Options) (Written, error) {
	v, err := p.View(ctx)
	if err != nil {
		return Written{}, err
	}
	if v.plan.repo.Store.String() == to.String() {
		return Written{}, fmt.Errorf("%s: the source and the place to write to are the same; in place, a repository is only added to", to)
	}
	w := &writer{plan: p, view: v, to: to, o: o}
	return w.write(ctx)
}

// A writer is one call of Write.
type writer struct {
	plan *Plan
	view *View
	to   blob.Writer
	o    Options
	mark marker
	by   [4]counter // by blob.How
	meta counter
	same counter
}

func (w *writer) write(ctx context.Context) (Written, error) {
	var out Written
	if err := w.begin(ctx); err != nil {
		return out, err
	}
	type at struct {
		u *usedIndex
		n int
	}
	used := w.plan.used()
	var shards []at
	for i := range used {
		for n := range used[i].shards {
			shards = append(shards, at{&used[i], n})
		}
	}
	out.OfShards = len(shards)
	for _, err := range ahead.Each(ctx, shards, func(ctx context.Context, a at) (struct{}, error) {
		err := w.shard(ctx, a.u, a.n)
		if err != nil {
			err = fmt.Errorf("index %s, shard %d: %w", a.u.name, a.n, err)
		}
		return struct{}{}, err
	}) {
		if err != nil {
			return out, err
		}
		out.Shards++
		w.tell(&out)
		if w.o.Progress != nil {
			w.o.Progress(out)
		}
	}
	if err := w.to.Sync(ctx); err != nil {
		return out, err
	}
	for i := range used {
		done := make(map[string]bool)
		for _, k := range used[i].in {
			if name := metaBlob(k.from, k.ref); !done[name] {
				done[name] = true
				if err := w.metadata(ctx, name); err != nil {
					return out, err
				}
			}
		}
	}
	root, err := w.view.rootMetadata(ctx)
	if err != nil {
		return out, err
	}
	for _, name := range root {
		if err := w.metadata(ctx, name); err != nil {
			return out, err
		}
	}
	err = w.publish(ctx)
	w.tell(&out)
	out.Nothing = err == nil && out.Metadata.Blobs == 0 && out.Linked.Blobs+out.CopiedThere.Blobs+out.Streamed.Blobs == 0
	return out, err
}

func (w *writer) tell(out *Written) {
	out.Kept, out.Linked = w.by[blob.Kept].count(), w.by[blob.Linked].count()
	out.CopiedThere, out.Streamed = w.by[blob.CopiedThere].count(), w.by[blob.Streamed].count()
	out.Metadata, out.MetadataThere = w.meta.count(), w.same.count()
	out.Generation = w.mark.Published
}

// begin looks at what is there, and marks it as this plan's.
func (w *writer) begin(ctx context.Context) error {
	p := w.plan
	found, err := generations(ctx, w.to)
	if err != nil {
		return err
	}
	newest := int64(-1)
	if len(found) > 0 {
		newest = found[len(found)-1]
	}
	mark, err := readMarker(ctx, w.to)
	switch {
	case errors.Is(err, fs.ErrNotExist) && newest >= 0:
		return fmt.Errorf("%s: %w: it is a snapshot repository already; give another place, or one that is empty", w.to, ErrOthers)
	case errors.Is(err, fs.ErrNotExist):
		mark = marker{Published: -1}
	case err != nil:
		return err
	case mark.UUID != p.UUID || p.UUID == "" && mark.From != p.From:
		return fmt.Errorf("%s: %w for this source, but for %s; give another place", w.to, ErrOthers, mark.From)
	case mark.Target != p.Target:
		return fmt.Errorf("%s was written for OpenSearch %s; give another place for %s", w.to, mark.Target, p.Target)
	case len(mark.Added) > 0:
		return fmt.Errorf("%s: %w: it was added to in place; `naru graft --undo` takes that back", w.to, ErrOthers)
	case newest > max(mark.Published, mark.Next):
		return fmt.Errorf("%s: %w: index-%d is newer than what naru wrote, so a server writes into it; give another place", w.to, ErrOthers, newest)
	}
	if newest == mark.Next {
		mark.Published = mark.Next // the last run died between the two
	}
	mark.From, mark.UUID, mark.Generation, mark.Target = p.From, p.UUID, p.Generation, p.Target
	mark.Next = mark.Published
	if mark.Published < 0 {
		mark.Next = p.Generation
	} else {
		there, err := blob.ReadAll(ctx, w.to, indexName(mark.Published), maxRepositoryData)
		if err != nil {
			return err
		}
		if !bytes.Equal(there, w.view.index) {
			mark.Next = max(mark.Published+1, p.Generation)
		}
	}
	w.mark = mark
	return w.saveMarker(ctx)
}

func (w *writer) saveMarker(ctx context.Context) error { return saveMarker(ctx, w.to, &w.mark) }

func saveMarker(ctx context.Context, to blob.Writer, m *marker) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if there, err := blob.ReadAll(ctx, to, markerName, maxMarker); err == nil && bytes.Equal(there, b) {
		return nil
	}
	return to.Replace(ctx, markerName, b)
}

const maxMarker = 1 << 30

func readMarker(ctx context.Context, s blob.Store) (marker, error) {
	b, err := blob.ReadAll(ctx, s, markerName, maxMarker)
	if err != nil {
		return marker{}, err
	}
	m := marker{Published: -1}
	if err := json.Unmarshal(b, &m); err != nil {
		return marker{}, fmt.Errorf("%s/%s: %w", s, markerName, err)
	}
	return m, nil
}

func indexName(generation int64) string { return "index-" + strconv.FormatInt(generation, 10) }

// generations lists the N of all index-N, ascending.
func generations(ctx context.Context, s blob.Store) ([]int64, error) {
	var out []int64
	for entry, err := range s.List(ctx, ".") {
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: what is there must be known before anything is written: %w", s, err)
		}
		digits, ok := strings.CutPrefix(entry.Name, "index-")
		if n, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && !entry.Dir {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// shard takes a shard's data, then writes what refers to them.
func (w *writer) shard(ctx context.Context, u *usedIndex, n int) error {
	work, err := w.view.shard(ctx, u, n)
	if err != nil {
		return err
	}
	var failed error
	var mu sync.Mutex
	var wait sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, d := range work.data {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			mu.Lock()
			stop := failed != nil
			mu.Unlock()
			if stop || ctx.Err() != nil {
				return
			}
			how, err := w.to.Take(ctx, w.plan.repo.Store, d.name, d.size)
			if err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
				return
			}
			w.by[how].add(d.size)
		})
	}
	wait.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil {
		return failed
	}
	for _, name := range work.metadata {
		if err := w.metadata(ctx, name); err != nil {
			return err
		}
	}
	if work.index != nil {
		return w.put(ctx, work.indexAt, work.index)
	}
	return nil
}

// metadata writes a blob of the view.
func (w *writer) metadata(ctx context.Context, name string) error {
	b, err := w.view.read(ctx, name)
	if err != nil {
		return err
	}
	return w.put(ctx, name, b)
}

// put writes a blob of metadata, unless it is there. A different one is of an earlier run, for fewer indices or
// snapshots, or by another version of naru.
func (w *writer) put(ctx context.Context, name string, b []byte) error {
	there, err := blob.ReadAll(ctx, w.to, name, maxRepositoryData)
	switch {
	case err == nil && bytes.Equal(there, b):
		w.same.add(int64(len(b)))
		return nil
	case err == nil:
		err = w.to.Replace(ctx, name, b)
	case errors.Is(err, fs.ErrNotExist):
		err = w.to.Put(ctx, name, b)
	}
	if err != nil {
		return err
	}
	w.meta.add(int64(len(b)))
	return nil
}

// publish makes the repository visible.
func (w *writer) publish(ctx context.Context) error {
	if err := w.to.Sync(ctx); err != nil {
		return err
	}
	before := w.mark.Published
	if err := w.put(ctx, indexName(w.mark.Next), w.view.index); err != nil {
		return err
	}
	if err := w.put(ctx, "index.latest", latest(w.mark.Next)); err != nil {
		return err
	}
	w.mark.Published = w.mark.Next
	if err := w.saveMarker(ctx); err != nil {
		return err
	}
	if before >= 0 && before != w.mark.Next {
		return w.to.Remove(ctx, indexName(before))
	}
	return nil
}
