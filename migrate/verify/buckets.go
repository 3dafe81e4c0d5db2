package verify

import (
	"context"
	"sync"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/narudata/naru/flow"
)

// A comparison is one at work.
type comparison struct {
	o      *Options
	passes int

	mu     sync.Mutex // guards what follows; taken before a group's own
	groups map[string]*group
	bits   int // a group's table has 2^bits buckets
	tables int // groups that have one
	failed []Failure
}

// A group is what is known about a group of records.
type group struct {
	name  string
	known [2]bool // the side has it; written while planning only

	mu      sync.Mutex // guards what follows
	broken  bool       // a part could not be read: the sums are not all
	blind   bool       // a part could not be read again
	refused int64
	sum     [2]Sum
	bits    int
	buckets [2][]bucket // by the first bits of the hash of the id; nil: none

	examined   bool
	found      map[Kind]*difference
	unexamined int64
}

// A bucket is the records of one side whose ids have hashes within a range.
type bucket struct {
	records int64
	digest  flow.Digest
	ids     int64 // bytes
}

const (
	bucketBytes = int64(unsafe.Sizeof(bucket{}))
	mostBits    = 12 // 4096 buckets for a group
	refinedBits = 16
)

func newComparison(o *Options) *comparison {
	o.defaults()
	return &comparison{o: o, groups: map[string]*group{}, bits: mostBits}
}

// group gives the group called name.
func (c *comparison) group(name string) *group {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[name]
	if g == nil {
		g = &group{name: name, found: map[Kind]*difference{}}
		c.groups[name] = g
	}
	return g
}

func (g *group) state() State {
	switch {
	case g.broken:
		return Unread
	case g.sum[A].Records == g.sum[B].Records && g.sum[A].Digest == g.sum[B].Digest:
		return Equal
	case g.sum[B].Records == 0 && !g.known[B]:
		return OnlyInA
	case g.sum[A].Records == 0 && !g.known[A]:
		return OnlyInB
	}
	return Differ
}

// state is the group's, in the light of what was examined.
func (c *comparison) state(g *group) State {
	s := g.state()
	if c.o.Extra != IgnoreExtra {
		return s
	}
	if s == OnlyInB {
		return Within
	}
	if s != Differ || !g.examined || g.unexamined > 0 {
		return s
	}
	for k := range g.found {
		if !c.ignored(k) {
			return s
		}
	}
	return Within
}

// ignored reports differences that are none, as it is B that has more.
func (c *comparison) ignored(k Kind) bool {
	return c.o.Extra == IgnoreExtra && (k == MissingInA || k == FewerInA)
}

// tally reads the groups (nil: all) and sums up their records, in total and by bucket.
func (c *comparison) tally(ctx context.Context, sides []*reading, choose map[*group]bool) error {
	for g := range choose {
		g.buckets, g.bits = [2][]bucket{}, 0
	}
	t := &tallying{c: c, first: choose == nil, scratch: make([]scratch, c.o.Workers)}
	return c.scan(ctx, sides, choose, t)
}

// A tallying is a visitor that fills the tables.
type tallying struct {
	c       *comparison
	first   bool // sums, too
	scratch []scratch
}

type scratch struct {
	hasher  flow.Hasher
	digests []flow.Digest
	ids     []uint64
}

func (t *tallying) visit(worker int, side Side, g *group, recs []flow.Record) {
	s := &t.scratch[worker]
	s.digests, s.ids = s.digests[:0], s.ids[:0]
	sum := Sum{Records: int64(len(recs))}
	for i := range recs {
		r := &recs[i]
		d := s.hasher.Hash(r)
		sum.Bytes += int64(len(r.Body))
		sum.Digest.Merge(d)
		s.digests = append(s.digests, d)
		s.ids = append(s.ids, xxh3.Hash(r.Key))
	}
	t.c.table(g)
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.first {
		g.sum[side].add(sum)
	}
	if g.buckets[side] == nil {
		return
	}
	for i, id := range s.ids {
		b := &g.buckets[side][id>>(64-g.bits)]
		b.records++
		b.digest.Merge(s.digests[i])
		b.ids += int64(len(recs[i].Key))
	}
}

// table sees to it that the group has its buckets. When those of all groups would take more than a quarter of
// the memory, every table is folded to half its size.
func (c *comparison) table(g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g.mu.Lock()
	has := g.buckets[A] != nil
	g.mu.Unlock()
	if has || c.bits == 0 {
		return
	}
	c.tables++
	before := c.bits
	for c.bits > 0 && int64(c.tables)*(2*bucketBytes<<c.bits) > c.o.MemoryBytes/4 {
		c.bits--
	}
	if c.bits < before {
		for _, o := range c.groups {
			o.mu.Lock()
			o.fold(c.bits)
			o.mu.Unlock()
		}
	}
	if c.bits == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bits = c.bits
	g.buckets = [2][]bucket{make([]bucket, 1<<g.bits), make([]bucket, 1<<g.bits)}
}

// fold brings a table down to 2^bits buckets; of one, only the sums are left.
func (g *group) fold(bits int) {
	if g.buckets[A] == nil || bits >= g.bits {
		return
	}
	if bits == 0 {
		g.buckets, g.bits = [2][]bucket{}, 0
		return
	}
	for side, from := range g.buckets {
		to := make([]bucket, 1<<bits)
		for i, b := range from {
			into := &to[i>>(g.bits-bits)]
			into.records += b.records
			into.digest.Merge(b.digest)
			into.ids += b.ids
		}
		g.buckets[side] = to
	}
	g.bits = bits
}
