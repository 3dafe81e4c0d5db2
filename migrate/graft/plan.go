// Package graft makes of a snapshot repository that Elasticsearch wrote one that OpenSearch restores by itself. Only
// metadata are rewritten, a few kilobytes for each shard: OpenSearch refuses the repository for fields of these that it
// does not know, and not for the data, which are Lucene's files. Those stay as they are, and are linked, copied by
// the store, or passed on.
//
// A Plan says for each index of each snapshot whether that can be, and why not, from metadata alone; package
// rules holds what is known about versions of OpenSearch. What is not known to work is refused. A View shows the
// rewritten repository without writing it; Write writes it elsewhere, Twin adds it to the same repository beside what is
// there, and Handler serves it over HTTP.
package graft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
	format "github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/internal/ahead"
	"github.com/narudata/naru/migrate/graft/rules"
)

// Config says what is to be grafted, and for whom.
type Config struct {
	Snapshot string        // name, "latest" (the default), or a pattern: each snapshot that matches is kept
	Indices  flow.Patterns // which indices, or data streams; none: all but system indices
	Target   rules.Target
	// TwoHop allows what bypasses a guard of Lucene's: see rules.Index.
	TwoHop bool
	// Progress is told how many of how many indices are looked at. It is called from one goroutine.
	Progress func(done, of int)
}

// A Lane is how an index gets to the target.
type Lane string

// The lanes, the cheapest first.
const (
	Graft   Lane = "graft"          // the target restores it
	Repair  Lane = "graft + repair" // and some of its fields are indexed anew afterwards
	Reindex Lane = "reindex"        // its documents are read and written anew, as `naru carry` does
	Blocked Lane = "blocked"        // neither can be
	Left    Lane = "left out"       // a system index that nobody asked for
)

// Grafted reports that the target restores the index.
func (l Lane) Grafted() bool { return l == Graft || l == Repair }

// A Plan is what can be done with a repository. It is made from metadata alone.
type Plan struct {
	From       string     `json:"from"`
	UUID       string     `json:"uuid,omitempty"` // of the repository
	Generation int64      `json:"generation"`
	Target     string     `json:"target"`
	TwoHop     bool       `json:"two_hop,omitempty"`
	Snapshots  []Snapshot `json:"snapshots"` // the newest first
	Indices    []Index    `json:"indices"`   // by name, each as of the newest snapshot first

	repo   *snapshot.Repository
	target rules.Target
	chosen []snapshot.Chosen           // as Snapshots
	kept   map[string]map[string]*keep // snapshot's UUID → index's name
	ids    map[string]map[string]bool  // snapshot's UUID → ids of the indices in kept
}

// A Snapshot is a snapshot in a plan.
type Snapshot struct {
	Name    string    `json:"name"`
	UUID    string    `json:"uuid"`
	State   string    `json:"state"`
	Version string    `json:"version"`
	Start   time.Time `json:"start"`
	Indices int       `json:"indices"` // that were chosen
	Grafted int       `json:"grafted"` // of these
	// Cluster says what of the cluster's metadata (templates, data streams, pipelines) changes.
	Cluster []rules.Change `json:"cluster_changes,omitempty"`
}

// An Index is an index of a snapshot in a plan.
type Index struct {
	Name     string   `json:"name"`
	Snapshot string   `json:"snapshot"`
	Lane     Lane     `json:"lane"`
	Created  string   `json:"created,omitempty"` // version that created the index
	Lucene   []string `json:"lucene,omitempty"`  // versions that wrote the segments
	Codecs   []string `json:"codecs,omitempty"`
	Shards   int      `json:"shards"`
	Missing  []int    `json:"missing_shards,omitempty"` // not in the snapshot
	Segments int      `json:"segments"`
	Live     int64    `json:"live"` // Lucene documents, children of nested ones among them
	Deleted  int64    `json:"deleted"`
	Bytes    int64    `json:"bytes"`
	Closed   bool     `json:"closed,omitempty"`
	Date     int64    `json:"creation_date,omitempty"` // in milliseconds
	// Source says what the documents' sources are to who reads them: the grade of reindexing and of comparing.
	Source     flow.Grade `json:"source,omitempty"`
	DataStream string     `json:"data_stream,omitempty"`
	Nested     []string   `json:"nested,omitempty"` // paths of nested fields

	rules.Verdict
}

// keep is what rewriting an index of a snapshot needs.
type keep struct {
	ref      *format.IndexRef
	from     *snapshot.Selected
	shards   int
	missing  []int
	segments []rules.Segment
	stream   string
}

// Rules that this package itself refuses by.
const (
	ruleUnreadable   = "metadata-unreadable"
	ruleNoSource     = "no-source"
	ruleStreamBroken = "data-stream-incomplete"
	ruleInline       = "segment-info-not-inline"
)

// Rules lists the rules of this package, beside those of package rules.
func Rules() []rules.Rule {
	return append(rules.All(),
		rules.Rule{ID: ruleUnreadable, Title: "metadata cannot be read", Why: "a blob is damaged or missing, or of a format that is not known"},
		rules.Rule{ID: ruleNoSource, Title: "no stored documents", Why: "an index that keeps no `_source` can be restored or left, but not written anew"},
		rules.Rule{ID: ruleStreamBroken, Title: "a data stream with an index that cannot be grafted",
			Why: "a data stream is restored with all of its indices or not at all: without one of them it would be silently short of data"},
		rules.Rule{ID: ruleInline, Title: "segment infos outside of the metadata",
			Why: "the two-hop way rewrites segment infos, and data blobs are never changed"})
}

// Open plans for the repository at a path, a file:// URL or an s3:// URL. The plan is to be closed.
func (c Config) Open(ctx context.Context, url string) (*Plan, error) {
	repo, err := snapshot.OpenRepository(ctx, url)
	if err != nil {
		return nil, err
	}
	p, err := c.Plan(ctx, repo)
	if err != nil {
		if closer, ok := repo.Store.(blob.Closer); ok {
			err = errors.Join(err, closer.Close())
		}
		return nil, err
	}
	return p, nil
}

// Plan plans for a repository that is open.
func (c Config) Plan(ctx context.Context, repo *snapshot.Repository) (*Plan, error) {
	if err := c.Indices.Validate(); err != nil {
		return nil, err
	}
	chosen, err := repo.Chosen(ctx, snapshot.Config{Snapshot: c.Snapshot})
	if err != nil {
		return nil, err
	}
	chosen = slices.DeleteFunc(chosen, func(s snapshot.Chosen) bool { return isTwin(repo, s.Snapshot.Name) })
	p := &Plan{
		From: repo.Store.String(), UUID: repo.UUID, Generation: repo.Generation, Target: c.Target.String(), TwoHop: c.TwoHop,
		repo: repo, target: c.Target, chosen: chosen, kept: make(map[string]map[string]*keep),
	}
	l := looker{Plan: p, known: make(map[segmentKey]segment), kinds: make(map[string]*rules.Segment)}
	var tasks []task
	for i := range chosen {
		s := &chosen[i]
		streams, err := p.streams(ctx, s)
		if err != nil {
			return nil, err
		}
		row := Snapshot{Name: s.Snapshot.Name, UUID: s.Ref.UUID, State: s.Snapshot.State, Version: s.Snapshot.ServerVersion(), Start: s.Snapshot.Start}
		for _, ref := range s.Indices {
			t := task{s: s, ref: ref, stream: streams.of[ref.Name]}
			switch {
			case c.Indices.Match(ref.Name) || t.stream != "" && (c.Indices.Match(t.stream) || c.matches(streams.indices[t.stream])):
				t.left = system(ref.Name) && t.stream == "" && !c.named(ref.Name)
				tasks = append(tasks, t)
				row.Indices++
			}
		}
		p.Snapshots = append(p.Snapshots, row)
		p.kept[s.Ref.UUID] = make(map[string]*keep)
	}
	if len(tasks) == 0 && len(c.Indices) > 0 {
		return nil, fmt.Errorf("%s: no index of snapshot %s matches %s", repo.Store, cmp.Or(c.Snapshot, snapshot.Latest), strings.Join(c.Indices, " "))
	}
	done := 0
	for planned, err := range ahead.Each(ctx, tasks, l.look) {
		if err != nil {
			return nil, err
		}
		if done++; c.Progress != nil {
			c.Progress(done, len(tasks))
		}
		p.Indices = append(p.Indices, planned.Index)
		if planned.Lane.Grafted() {
			p.kept[planned.t.s.Ref.UUID][planned.Name] = planned.keep
		}
	}
	p.wholeStreams()
	p.ids = make(map[string]map[string]bool, len(p.kept))
	for uuid, kept := range p.kept {
		p.ids[uuid] = make(map[string]bool, len(kept))
		for _, k := range kept {
			p.ids[uuid][k.ref.ID] = true
		}
	}
	age := make(map[string]int, len(p.Snapshots))
	for i := range p.Snapshots {
		age[p.Snapshots[i].Name] = i
		p.Snapshots[i].Grafted = len(p.kept[p.Snapshots[i].UUID])
	}
	slices.SortStableFunc(p.Indices, func(a, b Index) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(age[a.Snapshot], age[b.Snapshot]))
	})
	for i := range chosen {
		if p.Snapshots[i].Cluster, err = p.clusterChanges(ctx, &chosen[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// isTwin reports that a snapshot is one that Twin added, and its original is there.
func isTwin(repo *snapshot.Repository, name string) bool {
	original, ok := strings.CutSuffix(name, TwinSuffix)
	return ok && slices.ContainsFunc(repo.Snapshots, func(r format.Ref) bool { return r.Name == original })
}

// Close closes the repository.
func (p *Plan) Close() error {
	if c, ok := p.repo.Store.(blob.Closer); ok {
		return c.Close()
	}
	return nil
}

// Newest gives of each index the row of the newest snapshot that has it, by name.
func (p *Plan) Newest() []Index {
	return slices.CompactFunc(slices.Clone(p.Indices), func(a, b Index) bool { return a.Name == b.Name })
}

// Grafts is how many rows of the plan are grafted.
func (p *Plan) Grafts() int {
	n := 0
	for _, k := range p.kept {
		n += len(k)
	}
	return n
}

// system reports that the name is one of an index that a server keeps for itself.
func system(name string) bool { return strings.HasPrefix(name, ".") }

// named reports that somebody asked for system indices like this one.
func (c *Config) named(name string) bool {
	var dotted flow.Patterns
	for _, p := range c.Indices {
		if strings.HasPrefix(strings.TrimLeft(p, "-!"), ".") {
			dotted = append(dotted, p)
		}
	}
	return len(dotted) > 0 && dotted.Match(name)
}

// matches reports that one of the names was asked for by itself.
func (c *Config) matches(names []string) bool {
	return slices.ContainsFunc(names, c.Indices.Match)
}

// wholeStreams refuses data streams of which an index cannot be grafted.
func (p *Plan) wholeStreams() {
	type stream struct{ snapshot, name string }
	broken := make(map[stream][]string)
	for i := range p.Indices {
		x := &p.Indices[i]
		if x.DataStream != "" && !x.Lane.Grafted() {
			at := stream{x.Snapshot, x.DataStream}
			broken[at] = append(broken[at], x.Name)
		}
	}
	uuids := make(map[string]string, len(p.Snapshots))
	for _, s := range p.Snapshots {
		uuids[s.Name] = s.UUID
	}
	for i := range p.Indices {
		x := &p.Indices[i]
		names := broken[stream{x.Snapshot, x.DataStream}]
		if x.DataStream == "" || len(names) == 0 || !x.Lane.Grafted() {
			continue
		}
		x.Refusals = append(x.Refusals, rules.Refusal{
			Rule: ruleStreamBroken, Where: x.DataStream,
			Why: fmt.Sprintf("data stream %s cannot be restored whole: %s cannot be grafted", x.DataStream, strings.Join(names, ", ")),
		})
		x.Lane = Reindex
		delete(p.kept[uuids[x.Snapshot]], x.Name)
	}
}

// used gives the names of the plan's kept indices over all snapshots, sorted, each with what is kept of it by
// the snapshot's UUID.
func (p *Plan) used() []usedIndex {
	by := make(map[string]*usedIndex)
	for i := range p.chosen {
		uuid := p.chosen[i].Ref.UUID
		for name, k := range p.kept[uuid] {
			u := by[k.ref.ID]
			if u == nil {
				u = &usedIndex{name: name, ref: k.ref, in: make(map[string]*keep)}
				by[k.ref.ID] = u
			}
			u.in[uuid] = k
			u.shards = max(u.shards, k.shards)
		}
	}
	out := make([]usedIndex, 0, len(by))
	for _, id := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[id])
	}
	return out
}

// A usedIndex is an index that is kept of some snapshot.
type usedIndex struct {
	name   string
	ref    *format.IndexRef
	shards int
	in     map[string]*keep // by the snapshot's UUID
}
