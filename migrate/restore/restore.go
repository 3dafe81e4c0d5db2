// Package restore restores indices out of a snapshot repository into a live OpenSearch or Elasticsearch cluster, with that
// cluster's own _restore, and proves that they are there. It is told what to restore; how the repository came to be readable
// for the cluster is not its business.
//
// Each index, or data stream, is a restore of its own, so that one that the cluster refuses does not fail the others. What
// has the name of one already is never touched: the restore API would replace a closed index, and the list of indices of a
// data stream, so names are looked at first. An index that was restored before is known by what the cluster says of its
// recovery (type SNAPSHOT, with repository, snapshot and index; gone when the index was closed or its node started again),
// by its creation date, which a restore keeps, and, if it had repairs, by _meta.naru in its mapping. So the same
// command can be given again until all is there, and then adds nothing.
//
// Blocks (index.blocks.*), aliases and all other settings are restored as they are in the snapshot. A restore always opens
// indices; those that were closed are closed again when they have been checked.
package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// A Repository is where snapshots are, as the cluster's nodes reach it.
type Repository struct {
	Name     string         `json:"name"`     // what it is, or will be, registered as
	Type     string         `json:"type"`     // fs, url, s3, …
	Settings map[string]any `json:"settings"` // location, url, bucket, …; readonly is true unless it is here
}

// An Index is one to restore.
type Index struct {
	Name       string   `json:"name"`
	Snapshot   string   `json:"snapshot"` // its name
	Shards     int      `json:"shards"`   // 0: not known
	Bytes      int64    `json:"bytes"`    // of its files in the snapshot
	Created    int64    `json:"created"`  // index.creation_date, in milliseconds; 0: not known
	Closed     bool     `json:"closed"`   // it was, and is to be
	DataStream string   `json:"dataStream,omitempty"`
	Plugins    []string `json:"plugins,omitempty"` // that the nodes must have, by the names they are installed under
	Repairs    []Repair `json:"repairs,omitempty"`
	Live       int64    `json:"live"`             // documents of its segments that are not deleted, nested ones too; -1: not known
	Nested     []string `json:"nested,omitempty"` // full paths of all nested fields
	// Missing are the shards that the snapshot does not have (it is PARTIAL): they can only be restored as empty ones.
	Missing []int `json:"missing,omitempty"`
}

// UpdateByQuery is the kind of repair that indexes documents again out of their source.
const UpdateByQuery = "update_by_query"

// A Repair is what an index needs after its restore. It must come to the same when it is done twice.
type Repair struct {
	Kind  string `json:"kind"`            // UpdateByQuery
	Field string `json:"field,omitempty"` // documents that have it, as an exists query finds them; "": all
	Why   string `json:"why,omitempty"`
}

// Existing says what happens when the cluster has an index, or data stream, of a name, that this did not restore.
type Existing string

// What may happen.
const (
	Skip   Existing = "skip"   // that one is left out
	Refuse Existing = "refuse" // nothing is restored at all
)

// Options say how to restore. The zero value works.
type Options struct {
	Replicas *int // of each index; nil: as in the snapshot
	// CheckOnStartup has Lucene's CheckIndex read all of each shard. The index is then closed once, for only then can the
	// setting for it be taken back. Not done with data streams: the index that one writes to cannot be closed.
	CheckOnStartup bool
	Rename         func(name string) string // nil: names stay. Indices of data streams cannot be renamed
	Concurrency    int                      // restores at a time; 0: 4
	Existing       Existing                 // "": Skip
	Partial        bool                     // restore indices of which shards are missing, without these; else they fail
	IgnoreSettings []string                 // settings that are not restored: names, with * for any part of them
	KeepFailed     bool                     // leave an index whose shards could not be restored; else it is deleted
	IgnoreDisk     bool                     // begin even if the disks seem to be too small
	Unregister     bool                     // take the repository away afterwards, if this registered it and nothing is under way
	MaxBytesPerSec int64                    // each node; of a repository that this registers; 0: the cluster's own limits only
	RepairRate     int                      // documents a second and index that a repair may take; 0: as fast as it goes
	Poll           time.Duration            // longest time between two looks at the cluster; 0: 1 s
	Patience       time.Duration            // how long to wait for a cluster that does not answer or a restore that does not move; 0: 10 min
	Log            *slog.Logger             // nil: nothing is logged
	Progress       func(Progress)           // not called concurrently; must not block
}

// Progress is how far an index is.
type Progress struct {
	Index      string `json:"index"` // as in the snapshot
	Step       Step   `json:"step"`
	Shards     int    `json:"shards"`     // that are there
	AllShards  int    `json:"allShards"`  // 0: not known
	Bytes      int64  `json:"bytes"`      // copied
	AllBytes   int64  `json:"allBytes"`   // 0: not known
	Documents  int64  `json:"documents"`  // repaired
	AllToMend  int64  `json:"allToMend"`  // to be repaired; 0: not known
	FinalState State  `json:"finalState"` // in the last one of an index
}

// A Step is what is being done with an index.
type Step string

// The steps.
const (
	Copying   Step = "copying"
	Repairing Step = "repairing"
	Checking  Step = "checking"
	Over      Step = "over"
)

// A State is what became of an index.
type State string

// The states.
const (
	Restored State = "restored"
	WasThere State = "was there" // restored by an earlier run, as Notes say how that is known
	Failed   State = "failed"
	Skipped  State = "skipped"   // the name is taken
	UnderWay State = "under way" // interrupted; the cluster goes on with it
	NotBegun State = "not begun" // interrupted before
)

// An Outcome is what became of an index.
type Outcome struct {
	Index    string        `json:"index"`  // as in the snapshot
	Target   string        `json:"target"` // in the cluster
	Snapshot string        `json:"snapshot"`
	Stream   string        `json:"dataStream,omitempty"`
	State    State         `json:"state"`
	Why      string        `json:"why,omitempty"`
	Deleted  bool          `json:"deleted,omitempty"` // its restore failed and it was taken away again
	Bytes    int64         `json:"bytes"`             // that the cluster copied
	Aliases  []string      `json:"aliases,omitempty"`
	Repaired []Repaired    `json:"repaired,omitempty"`
	Checks   []Check       `json:"checks,omitempty"`
	Notes    []string      `json:"notes,omitempty"`
	Took     time.Duration `json:"took"` // nanoseconds

	uuid string // of the index that this run has created; "": none
}

// Right reports that the index is there, repaired, and that no check found a difference.
func (o *Outcome) Right() bool {
	return (o.State == Restored || o.State == WasThere) &&
		!slices.ContainsFunc(o.Repaired, func(r Repaired) bool { return !r.Done }) &&
		!slices.ContainsFunc(o.Checks, func(c Check) bool { return c.Result == Differs })
}

// Repaired is what a repair did.
type Repaired struct {
	Repair
	Done      bool   `json:"done"`
	Before    bool   `json:"before,omitempty"` // by an earlier run
	Documents int64  `json:"documents"`        // that it found
	Updated   int64  `json:"updated"`
	Conflicts int64  `json:"conflicts,omitempty"` // written by others meanwhile, hence repaired
	Failures  int    `json:"failures,omitempty"`
	Problem   string `json:"problem,omitempty"` // why it is not done, or the first failure
}

// A Result is what a check found.
type Result string

// The results.
const (
	Holds   Result = "holds"
	Differs Result = "differs"
	Unknown Result = "unknown" // it cannot be said
)

// A Check is one thing that must be so of a restored index.
type Check struct {
	Name   string `json:"name"` // health, documents, count, nested, segments
	Result Result `json:"result"`
	Found  string `json:"found"`
}

// A Report is what became of all indices.
type Report struct {
	Cluster      string    `json:"cluster"` // "OpenSearch 2.19.5"
	Repository   string    `json:"repository"`
	Registered   bool      `json:"registered"`   // by this run
	Unregistered bool      `json:"unregistered"` // by this run
	Notes        []string  `json:"notes,omitempty"`
	Indices      []Outcome `json:"indices"` // in the order that they were given
}

// Count gives how many indices are in a state.
func (r *Report) Count(s State) int {
	n := 0
	for i := range r.Indices {
		if r.Indices[i].State == s {
			n++
		}
	}
	return n
}

// Right reports that all indices are.
func (r *Report) Right() bool {
	return !slices.ContainsFunc(r.Indices, func(o Outcome) bool { return !o.Right() })
}

// runner is one Run.
type runner struct {
	client *opensearch.Client
	repo   Repository
	o      Options
	caller
	cluster state // as it was before

	mu sync.Mutex // guards calls of o.Progress, and notes
	r  *Report
}

// A unit is what one call of _restore restores: an index, or a data stream with its indices.
type unit struct {
	snapshot, stream string
	indices          []Index
	outcomes         []*Outcome
}

func (u *unit) targets() []string {
	names := make([]string, 0, len(u.outcomes))
	for _, o := range u.outcomes {
		names = append(names, o.Target)
	}
	return names
}

// end gives all indices of u a state.
func (u *unit) end(s State, why string) {
	for _, o := range u.outcomes {
		o.State, o.Why = s, why
	}
}

// passedOver notes that nobody got round to u.
func (u *unit) passedOver() {
	why := ""
	if u.outcomes[0].State == WasThere {
		why = "an earlier run restored it; interrupted before it was looked at"
	}
	u.end(NotBegun, why)
}

// Run restores indices out of repo. The error says why nothing could be begun, or that ctx ended: then the report still
// tells what was done, and what the cluster goes on doing. What happened to single indices is in the report only.
func Run(ctx context.Context, client *opensearch.Client, repo Repository, indices []Index, o Options) (Report, error) {
	o.fill()
	report := Report{Cluster: client.Info().String(), Repository: repo.Name, Indices: make([]Outcome, len(indices))}
	r := &runner{client: client, repo: repo, o: o, r: &report, caller: caller{client, o.Poll, o.Patience, o.Log}}
	units, err := r.units(indices)
	if err != nil {
		return report, err
	}
	if err := r.register(ctx); err != nil {
		return report, err
	}
	todo, err := r.preflight(ctx, units)
	if err != nil {
		return report, errors.Join(err, r.unregister(ctx, r.r.Registered))
	}
	r.all(ctx, todo)
	if err := context.Cause(ctx); err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	return report, r.unregister(ctx, o.Unregister && r.r.Registered)
}

func (o *Options) fill() {
	if o.Concurrency <= 0 {
		o.Concurrency = 4
	}
	if o.Existing == "" {
		o.Existing = Skip
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rename == nil {
		o.Rename = func(name string) string { return name }
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
}

// units groups indices by what restores them, and sets up their outcomes.
func (r *runner) units(indices []Index) ([]*unit, error) {
	var units []*unit
	streams, targets := map[string]*unit{}, map[string]string{}
	for i, x := range indices {
		out := &r.r.Indices[i]
		*out = Outcome{Index: x.Name, Target: r.o.Rename(x.Name), Snapshot: x.Snapshot, Stream: x.DataStream, State: NotBegun}
		if err := plainName(x.Name); err != nil {
			return nil, err
		}
		if err := plainName(out.Target); err != nil {
			return nil, err
		}
		if other, twice := targets[out.Target]; twice {
			return nil, fmt.Errorf("%s and %s would both be restored as %s", other, x.Name, out.Target)
		}
		targets[out.Target] = x.Name
		for _, repair := range x.Repairs {
			if repair.Kind != UpdateByQuery {
				return nil, fmt.Errorf("index %s: unknown kind of repair %q", x.Name, repair.Kind)
			}
		}
		u := streams[x.DataStream]
		switch {
		case x.DataStream == "":
			u = nil
		case out.Target != x.Name:
			return nil, fmt.Errorf("%s is of the data stream %s: its indices cannot be renamed", x.Name, x.DataStream)
		case u != nil && u.snapshot != x.Snapshot:
			return nil, fmt.Errorf("the data stream %s cannot be restored out of two snapshots, %s and %s", x.DataStream, u.snapshot, x.Snapshot)
		}
		if u == nil {
			u = &unit{snapshot: x.Snapshot, stream: x.DataStream}
			units = append(units, u)
			if x.DataStream != "" {
				streams[x.DataStream] = u
			}
		}
		u.indices, u.outcomes = append(u.indices, x), append(u.outcomes, out)
	}
	return units, nil
}

// plainName refuses what the API would take for a pattern or a list.
func plainName(name string) error {
	if name == "" || strings.ContainsAny(name, "*?,<>|\"\\/ #") || strings.ContainsRune("-_+", rune(name[0])) {
		return fmt.Errorf("%q is no name of an index", name)
	}
	return nil
}

// all restores the units, a few at a time.
func (r *runner) all(ctx context.Context, todo []*unit) {
	next := make(chan *unit)
	var workers sync.WaitGroup
	for range min(r.o.Concurrency, len(todo)) {
		workers.Go(func() {
			for u := range next {
				r.one(ctx, u)
			}
		})
	}
	for _, u := range todo {
		if ctx.Err() != nil {
			u.passedOver()
			continue
		}
		next <- u // a worker takes it: none ends before next is closed
	}
	close(next)
	workers.Wait()
}

func (r *runner) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.Notes = append(r.r.Notes, fmt.Sprintf(format, args...))
}

func (r *runner) progress(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.o.Progress(p)
}
