// Package verify says whether two sources hold the same records, and which ones differ.
//
// Records are the same when their index, id, routing and body are, byte for byte; their order does not
// matter, and a record that is there twice must be there twice. Reading once gives the counts and digests of
// each group (index). The records of groups that differ are spread over buckets by the hash of their id, each
// with a count and a digest of its own, kept from that first reading; the groups that differ are read again,
// and only the records of buckets that differ are held, to be compared one by one. Where these do not fit into
// memory, it is done in several passes.
package verify

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"slices"

	"github.com/narudata/naru/flow"
)

// Options say what is compared and at what cost. The zero value compares everything.
type Options struct {
	Indices flow.Patterns // groups that are compared; none: all
	Extra   Extra         // what records are that only B has
	Stages  []flow.Stage  // what the records of A go through first, as they did on their way to B

	Workers     int   // parts read at a time; 0: one for each CPU
	MemoryBytes int64 // for buckets and records that are compared, beside a batch for each worker; 0: 256 MiB
	MaxPasses   int   // readings of the groups that differ to find out in what; 0: 8; below 0: none
	Examples    int   // ids listed for each kind of difference in a group; 0: 10

	Progress func(Progress) // called concurrently, once for each batch
	Log      *slog.Logger   // nil: nothing is logged
}

// Extra says what it means that B has records, or whole groups, that A has not.
type Extra int

// The meanings.
const (
	ReportExtra Extra = iota // a difference
	IgnoreExtra              // nothing: the question is whether all of A is in B, equal
)

// A Side is one of the two sources.
type Side int

// The sides.
const (
	A Side = iota
	B
)

func (s Side) String() string { return [...]string{"A", "B"}[s] }

// MarshalText writes A or B.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Progress is what a worker has just read.
type Progress struct {
	Pass    int // 1: every group; later ones: only groups that differ
	Side    Side
	Group   string
	Part    string
	Records int
	Bytes   int  // of bodies
	End     bool // the part has ended
}

// A Report is what a comparison found.
type Report struct {
	Groups   []Group   `json:"groups"`   // by name
	Equal    bool      `json:"equal"`    // every group is, or within B; so is nothing, if there is none
	Complete bool      `json:"complete"` // all of both sides was read
	A        Sum       `json:"a"`
	B        Sum       `json:"b"`
	Failed   []Failure `json:"failed,omitempty"` // what could not be read; the report is then not complete
	Passes   int       `json:"passes"`
}

// A Group is what was found about one group of records, an index.
type Group struct {
	Name        string       `json:"name"`
	State       State        `json:"state"`
	A           Sum          `json:"a"`
	B           Sum          `json:"b"`
	Refused     int64        `json:"refused,omitempty"` // records of A that a stage refused; they are in neither sum
	Differences []Difference `json:"differences,omitempty"`
	// Unexamined is the number of records, of both sides, that lie in buckets that differ and were not
	// compared one by one: Differences are then not all.
	Unexamined int64 `json:"unexamined,omitempty"`
}

// A Sum is how many records there are, and what they come to.
type Sum struct {
	Records int64       `json:"records"`
	Bytes   int64       `json:"bytes"` // of bodies
	Digest  flow.Digest `json:"digest"`
}

func (s *Sum) add(o Sum) {
	s.Records += o.Records
	s.Bytes += o.Bytes
	s.Digest.Merge(o.Digest)
}

// A State is what there is to say about a group.
type State string

// The states.
const (
	Equal   State = "equal"
	Differ  State = "differ"
	OnlyInA State = "only in A"
	OnlyInB State = "only in B"
	Within  State = "in B"   // all of A is in B, equal, and B has more; with IgnoreExtra only
	Unread  State = "unread" // not all of it could be read, so that nothing can be said
)

// A Difference is a number of records of a group that differ in the same way.
type Difference struct {
	Kind    Kind     `json:"kind"`
	Records int64    `json:"records"`
	IDs     []string `json:"ids"` // some of them, sorted
}

// A Kind is how records differ. Records are brought together by their id.
type Kind string

// The kinds, in the order in which they are reported.
const (
	MissingInB     Kind = "missing in B"        // the id is in A only
	MissingInA     Kind = "missing in A"        // the id is in B only
	FewerInB       Kind = "fewer in B"          // the id is in both, and more often in A
	FewerInA       Kind = "fewer in A"          // the id is in both, and more often in B
	BodyDiffers    Kind = "other body"          // and the same routing
	RoutingDiffers Kind = "other routing"       // and the same body
	BothDiffer     Kind = "other body, routing" // neither is the same
	IndexOrElse    Kind = "other index"         // id, routing and body are the same, so it is the index they are of
)

var kinds = []Kind{MissingInB, MissingInA, FewerInB, FewerInA, BodyDiffers, RoutingDiffers, BothDiffer, IndexOrElse}

// A Failure is a part that could not be read to its end.
type Failure struct {
	Side  Side   `json:"side"`
	Group string `json:"group"`
	Part  string `json:"part"`
	Error string `json:"error"`
	Err   error  `json:"-"`
}

// Compare compares the records of a, after the stages, with those of b. The sources are read several times
// when they differ, so they must be bounded and should not change. An error means that there is no report: the
// context has ended, a source cannot say what it holds, or a stage failed.
func Compare(ctx context.Context, a, b flow.Source, o Options) (Report, error) {
	c := newComparison(&o)
	sides := []*reading{{side: A, source: a, stages: o.Stages}, {side: B, source: b}}
	for _, r := range sides {
		if err := c.know(ctx, r); err != nil {
			return Report{}, err
		}
	}
	if err := c.tally(ctx, sides, nil); err != nil {
		return Report{}, err
	}
	if err := c.examine(ctx, sides); err != nil {
		return Report{}, err
	}
	return c.report(), nil
}

// CompareTallies compares what a flow delivered, by group, with the records of b. It reads b once and lists no
// ids. The tallies are right only for a flow that is complete. What B has beside is always reported, as it cannot be
// told apart from the rest: see CompareCarried.
func CompareTallies(ctx context.Context, want map[string]flow.Tally, b flow.Source, o Options) (Report, error) {
	o.MemoryBytes = 1 // no buckets: there is nothing to compare them with
	c := newComparison(&o)
	for name, t := range want {
		if !o.Indices.Match(name) {
			continue
		}
		g := c.group(name)
		g.known[A] = true
		g.sum[A] = Sum{Records: t.Delivered, Bytes: t.Bytes, Digest: t.Digest}
	}
	sides := []*reading{{side: B, source: b}}
	if err := c.know(ctx, sides[0]); err != nil {
		return Report{}, err
	}
	if err := c.tally(ctx, sides, nil); err != nil {
		return Report{}, err
	}
	return c.report(), nil
}

func (o *Options) defaults() {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = 256 << 20
	}
	if o.MaxPasses == 0 {
		o.MaxPasses = 8
	}
	if o.Examples <= 0 {
		o.Examples = 10
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// know notes the groups that a source describes, also those without a part.
func (c *comparison) know(ctx context.Context, r *reading) error {
	d, ok := r.source.(flow.Describer)
	if !ok {
		return nil
	}
	groups, err := d.Groups(ctx)
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	for _, g := range groups {
		if c.o.Indices.Match(g.Name) {
			c.group(g.Name).known[r.side] = true
		}
	}
	return nil
}

func (c *comparison) report() Report {
	r := Report{Groups: []Group{}, Equal: true, Complete: true, Failed: c.failed, Passes: c.passes}
	slices.SortFunc(r.Failed, compareFailures)
	for _, name := range slices.Sorted(maps.Keys(c.groups)) {
		g := c.groups[name]
		out := Group{Name: name, State: c.state(g), A: g.sum[A], B: g.sum[B], Refused: g.refused, Unexamined: g.unexamined}
		for _, k := range kinds {
			if d := g.found[k]; d != nil && !c.ignored(k) {
				out.Differences = append(out.Differences, d.difference(k))
			}
		}
		r.Groups = append(r.Groups, out)
		r.A.add(out.A)
		r.B.add(out.B)
		r.Equal = r.Equal && (out.State == Equal || out.State == Within)
		r.Complete = r.Complete && out.State != Unread
	}
	if len(r.Failed) > 0 {
		r.Equal, r.Complete = false, false
	}
	return r
}
