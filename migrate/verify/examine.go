package verify

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/narudata/naru/flow"
)

// A span is the records of a group whose ids have hashes from lo to hi.
type span struct {
	g       *group
	lo, hi  uint64
	records [2]int64
	bytes   int64 // what comparing them takes
}

func (s *span) both() int64 { return s.records[A] + s.records[B] }

// An entry stands for one record.
type entry struct {
	id            uint64 // hash of key
	routing, body uint64 // hashes; 0: none
	key           []byte
}

const entryBytes = int64(unsafe.Sizeof(entry{}))

// examine finds out how the records of groups that differ do.
func (c *comparison) examine(ctx context.Context, sides []*reading) error {
	if c.o.MaxPasses < 0 {
		return nil
	}
	spans := c.differing()
	room := c.o.MemoryBytes - c.o.MemoryBytes/4
	if cost(spans) > room && c.refinable(spans) {
		// There is memory for finer tables now that fewer groups have one.
		if err := c.refine(ctx, sides, spans); err != nil {
			return err
		}
		spans = c.differing()
	}
	spans = split(spans, room)
	for pass := 0; len(spans) > 0; pass++ {
		if pass == c.o.MaxPasses {
			for _, s := range spans {
				s.g.unexamined += s.both()
			}
			break
		}
		n, used := 0, int64(0)
		for n < len(spans) && (n == 0 || used+spans[n].bytes <= room) {
			used += spans[n].bytes
			n++
		}
		if err := c.compareSpans(ctx, sides, spans[:n], room); err != nil {
			return err
		}
		spans = spans[n:]
	}
	for _, g := range c.groups {
		g.examined = true
		if c.o.Extra == IgnoreExtra {
			continue
		}
		if g.state() == Differ && len(g.found) == 0 && g.unexamined == 0 {
			g.found[IndexOrElse] = &difference{records: max(g.sum[A].Records, g.sum[B].Records), most: c.o.Examples}
		}
	}
	return nil
}

// differing gives the buckets that differ, by group and hash.
func (c *comparison) differing() []span {
	var spans []span
	for _, name := range slices.Sorted(maps.Keys(c.groups)) {
		g := c.groups[name]
		if g.state() != Differ {
			continue
		}
		if g.blind {
			g.unexamined = g.sum[A].Records + g.sum[B].Records
			continue
		}
		if g.buckets[A] == nil {
			const guess = 32 // bytes of an id
			s := span{g, 0, ^uint64(0), [2]int64{g.sum[A].Records, g.sum[B].Records}, 0}
			s.bytes = s.both() * (entryBytes + guess)
			spans = append(spans, s)
			continue
		}
		for i := range g.buckets[A] {
			a, b := &g.buckets[A][i], &g.buckets[B][i]
			if a.records == b.records && a.digest == b.digest || a.records == 0 && c.o.Extra == IgnoreExtra {
				continue
			}
			lo := uint64(i) << (64 - g.bits)
			hi := lo + (1<<(64-g.bits) - 1)
			s := span{g, lo, hi, [2]int64{a.records, b.records}, a.ids + b.ids}
			s.bytes += s.both() * entryBytes
			spans = append(spans, s)
		}
	}
	return spans
}

func cost(spans []span) int64 {
	var sum int64
	for _, s := range spans {
		sum += s.bytes
	}
	return sum
}

// refinable reports that the groups of spans can have at least four times as many buckets as they have.
func (c *comparison) refinable(spans []span) bool {
	return c.finest(groupsOf(spans)) >= spans[0].g.bits+2
}

func (c *comparison) finest(groups map[*group]bool) int {
	bits := refinedBits
	for bits > 0 && int64(len(groups))*(2*bucketBytes<<bits) > c.o.MemoryBytes/4 {
		bits--
	}
	return bits
}

func (c *comparison) refine(ctx context.Context, sides []*reading, spans []span) error {
	chosen := groupsOf(spans)
	for _, g := range c.groups {
		g.buckets, g.bits = [2][]bucket{}, 0
	}
	c.tables, c.bits = 0, c.finest(chosen)
	return c.tally(ctx, sides, chosen)
}

func groupsOf(spans []span) map[*group]bool {
	groups := map[*group]bool{}
	for _, s := range spans {
		groups[s.g] = true
	}
	return groups
}

// split cuts spans that take more than room into equal parts that do not.
func split(spans []span, room int64) []span {
	var out []span
	for _, s := range spans {
		n := uint64(1)
		for s.bytes/int64(n) > room/2 && s.bytes > room && n < 1<<20 {
			n *= 2
		}
		width := (s.hi-s.lo)/n + 1 // 2^64 / n when the span is everything
		for i := range n {
			part := s
			part.bytes = s.bytes / int64(n)
			if n > 1 {
				part.lo = s.lo + i*width
				part.hi = part.lo + (width - 1)
				for side := range part.records { // so that the sum stays
					part.records[side] = s.records[side]*int64(i+1)/int64(n) - s.records[side]*int64(i)/int64(n)
				}
			}
			out = append(out, part)
		}
	}
	return out
}

// A collecting is a visitor that holds the records of spans.
type collecting struct {
	spans map[*group][]span // by hash
	held  map[*group]*[2]held
	used  atomic.Int64
	most  int64
	full  atomic.Bool
	// indices has records of another index than their group's differ: where B has more, the digests do not show it.
	indices bool
}

type held struct {
	entries []entry
	block   []byte // room for keys
}

func (c *comparison) compareSpans(ctx context.Context, sides []*reading, spans []span, room int64) error {
	v := &collecting{spans: map[*group][]span{}, held: map[*group]*[2]held{}, most: room + room/4, indices: c.o.Extra == IgnoreExtra}
	for _, s := range spans {
		v.spans[s.g] = append(v.spans[s.g], s)
	}
	for g, spans := range v.spans {
		h := new([2]held)
		for side := range h {
			n := int64(0)
			for _, s := range spans {
				n += s.records[side]
			}
			h[side].entries = make([]entry, 0, n)
		}
		v.held[g] = h
	}
	if err := c.scan(ctx, sides, groupsOf(spans), v); err != nil {
		return err
	}
	for g, h := range v.held {
		if v.full.Load() || g.blind {
			for _, s := range v.spans[g] {
				g.unexamined += s.both()
			}
			continue
		}
		c.compareEntries(g, h[A].entries, h[B].entries)
	}
	return nil
}

func (v *collecting) visit(_ int, side Side, g *group, recs []flow.Record) {
	spans := v.spans[g]
	for i := range recs {
		if v.full.Load() {
			return
		}
		r := &recs[i]
		id := xxh3.Hash(r.Key)
		if _, ok := slices.BinarySearchFunc(spans, id, func(s span, id uint64) int {
			switch {
			case s.hi < id:
				return -1
			case s.lo > id:
				return 1
			}
			return 0
		}); !ok {
			continue
		}
		// The buckets have said what to expect; more than that comes only out of a source that has changed, or
		// of one id that is there without end.
		if v.used.Add(entryBytes+int64(len(r.Key))) > v.most {
			v.full.Store(true)
			return
		}
		e := entry{id: id, routing: hashOf(r.Routing), body: hashOf(r.Body)}
		if v.indices && r.Index != g.name {
			e.body ^= xxh3.HashString(r.Index)
		}
		g.mu.Lock()
		h := &v.held[g][side]
		e.key = h.keep(r.Key)
		h.entries = append(h.entries, e)
		g.mu.Unlock()
	}
}

func hashOf(b []byte) uint64 {
	if b == nil {
		return 0
	}
	return max(xxh3.Hash(b), 1)
}

// keep copies a key into a block.
func (h *held) keep(key []byte) []byte {
	if cap(h.block)-len(h.block) < len(key) {
		h.block = make([]byte, 0, max(len(key), min(2*cap(h.block), 64<<10)))
	}
	from := len(h.block)
	h.block = append(h.block, key...)
	return h.block[from:len(h.block):len(h.block)]
}

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.id, b.id), bytes.Compare(a.key, b.key), cmp.Compare(a.routing, b.routing), cmp.Compare(a.body, b.body))
}

// compareEntries finds the differences of the two sides, id by id.
func (c *comparison) compareEntries(g *group, a, b []entry) {
	slices.SortFunc(a, compareEntries)
	slices.SortFunc(b, compareEntries)
	for len(a) > 0 || len(b) > 0 {
		var first *entry
		if len(b) == 0 || len(a) > 0 && cmp.Or(cmp.Compare(a[0].id, b[0].id), bytes.Compare(a[0].key, b[0].key)) <= 0 {
			first = &a[0]
		} else {
			first = &b[0]
		}
		n, m := run(a, first), run(b, first)
		c.compareID(g, first.key, a[:n], b[:m])
		a, b = a[n:], b[m:]
	}
}

// run is how many of the first entries have the id of e.
func run(entries []entry, e *entry) int {
	n := 0
	for n < len(entries) && entries[n].id == e.id && bytes.Equal(entries[n].key, e.key) {
		n++
	}
	return n
}

// compareID finds the differences of the records of one id; both sides are sorted.
func (c *comparison) compareID(g *group, key []byte, a, b []entry) {
	inA, inB := len(a) > 0, len(b) > 0
	a, b = without(a, b)
	pair := func(k Kind, alike func(x, y entry) bool) {
		for i := 0; i < len(a); i++ {
			if j := slices.IndexFunc(b, func(y entry) bool { return alike(a[i], y) }); j >= 0 {
				g.note(k, key, 1, c.o.Examples)
				a, b = slices.Delete(a, i, i+1), slices.Delete(b, j, j+1)
				i--
			}
		}
	}
	if len(a) > 0 && len(b) > 0 && len(a)*len(b) <= mostPairs {
		pair(RoutingDiffers, func(x, y entry) bool { return x.body == y.body })
		pair(BodyDiffers, func(x, y entry) bool { return x.routing == y.routing })
	}
	both := min(len(a), len(b))
	g.note(BothDiffer, key, both, c.o.Examples)
	a, b = a[both:], b[both:]
	switch {
	case !inB:
		g.note(MissingInB, key, len(a), c.o.Examples)
	case !inA:
		g.note(MissingInA, key, len(b), c.o.Examples)
	default:
		g.note(FewerInB, key, len(a), c.o.Examples)
		g.note(FewerInA, key, len(b), c.o.Examples)
	}
}

// mostPairs bounds the work on an id that very many records share.
const mostPairs = 1 << 20

// without gives what each side has and the other has not.
func without(a, b []entry) (restA, restB []entry) {
	for len(a) > 0 && len(b) > 0 {
		switch n := compareEntries(a[0], b[0]); {
		case n < 0:
			restA, a = append(restA, a[0]), a[1:]
		case n > 0:
			restB, b = append(restB, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return append(restA, a...), append(restB, b...)
}

// A difference collects what becomes a Difference.
type difference struct {
	records int64
	most    int
	ids     []string
}

func (g *group) note(k Kind, key []byte, records, most int) {
	if records == 0 {
		return
	}
	d := g.found[k]
	if d == nil {
		d = &difference{most: most}
		g.found[k] = d
	}
	d.records += int64(records)
	if len(d.ids) < most {
		d.ids = append(d.ids, strings.ToValidUTF8(string(key), "\uFFFD"))
	}
}

func (d *difference) difference(k Kind) Difference {
	ids := slices.Clone(d.ids)
	slices.Sort(ids)
	return Difference{Kind: k, Records: d.records, IDs: append([]string{}, ids...)}
}
