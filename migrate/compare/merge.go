package compare

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"
)

// Bounds of what is held of one key: a key that has more is compared piece by piece.
const (
	mostOfKey      = 1000
	mostOfKeyBytes = 16 << 20
)

// merger goes through both orders.
type merger struct {
	*comparison
	r      *Report
	t      *tally
	w      walk
	number int64
	sides  [2]*merged
	more   [2]bool // the side is at a record
	group  [2]group
	last   [2][]byte // the key of the group before
}

// A group is the records of one key on one side.
type group struct {
	bytes []byte
	ends  []int
	recs  []kept
}

func (c *comparison) merge(ctx context.Context) (*Report, error) {
	m := &merger{
		comparison: c, t: newTally(c.o.Examples), w: walk{skip: remembering(c.skip)},
		r: &Report{Key: c.o.Key, Ignore: c.o.Ignore, Moves: []Move{}, Changes: []Change{}, Patterns: []Pattern{}},
	}
	for i := range m.sides {
		var err error
		if m.sides[i], err = c.sorter[i].sorted(); err != nil {
			return nil, err
		}
		m.more[i] = m.sides[i].next()
	}
	for n := 0; m.more[A] || m.more[B]; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var order int
		switch {
		case !m.more[A]:
			order = 1
		case !m.more[B]:
			order = -1
		default:
			order = bytes.Compare(m.sides[A].item.key, m.sides[B].item.key)
		}
		var key []byte
		if order <= 0 {
			key = slices.Clone(m.sides[A].item.key)
		} else {
			key = slices.Clone(m.sides[B].item.key)
		}
		m.collect(A, key, order <= 0)
		m.collect(B, key, order >= 0)
		m.compare(key)
	}
	for _, s := range m.sides {
		if s.err != nil {
			return nil, s.err
		}
	}
	m.t.report(m.r)
	m.r.A, m.r.B = c.sums[A].sum(), c.sums[B].sum()
	return m.r, nil
}

// collect takes the records of a key.
func (m *merger) collect(side Side, key []byte, has bool) {
	g := &m.group[side]
	g.bytes, g.ends, g.recs = g.bytes[:0], g.ends[:0], g.recs[:0]
	if cap(g.bytes) > mostOfKeyBytes {
		g.bytes = nil
	}
	for has && m.more[side] && bytes.Equal(m.sides[side].item.key, key) {
		if len(g.ends) == mostOfKey || len(g.ends) > 0 && len(g.bytes) > mostOfKeyBytes {
			break
		}
		g.bytes = append(g.bytes, m.sides[side].item.rest...)
		g.ends = append(g.ends, len(g.bytes))
		m.more[side] = m.sides[side].next()
	}
	from := 0
	for _, end := range g.ends {
		g.recs = append(g.recs, unpack(g.bytes[from:end:end]))
		from = end
	}
	if n := len(g.recs); n > 0 {
		if !bytes.Equal(m.last[side], key) {
			n--
		}
		m.sums[side].repeated.Add(int64(n))
		m.last[side] = key
	}
}

// compare pairs the records of a key.
func (m *merger) compare(key []byte) {
	a, b := m.group[A].recs, m.group[B].recs
	if len(a) > 1 || len(b) > 1 {
		a, b = m.withoutEqual(a, b)
	}
	n := min(len(a), len(b))
	for i := range n {
		m.pair(key, &a[i], &b[i])
	}
	for i := n; i < len(a); i++ {
		m.r.OnlyA++
		m.r.ExamplesA = m.single(m.r.ExamplesA, key, &a[i])
	}
	for i := n; i < len(b); i++ {
		m.r.OnlyB++
		m.r.ExamplesB = m.single(m.r.ExamplesB, key, &b[i])
	}
}

func (m *merger) single(to []Single, key []byte, k *kept) []Single {
	if len(to) >= m.o.Examples {
		return to
	}
	return append(to, Single{shown(key), excerpt(k.body, documentSize)})
}

// withoutEqual counts the records that are equal, and gives the others.
func (m *merger) withoutEqual(a, b []kept) (restA, restB []kept) {
	count := map[[16]byte]int{}
	sum := func(k *kept) [16]byte {
		h := m.hash(k.body)
		if k.routing == nil || m.skip(routingField) {
			return h
		}
		return xxh3.Hash128(append(h[:], k.routing...)).Bytes()
	}
	for i := range a {
		count[sum(&a[i])]++
	}
	for i := range b {
		if h := sum(&b[i]); count[h] > 0 {
			count[h]--
			m.r.Equal++
		} else {
			restB = append(restB, b[i])
		}
	}
	for i := range a {
		if h := sum(&a[i]); count[h] > 0 {
			count[h]--
			restA = append(restA, a[i])
		}
	}
	return restA, restB
}

// pair compares two records.
func (m *merger) pair(key []byte, a, b *kept) {
	if bytes.Equal(a.rest, b.rest) {
		m.r.Equal++
		return
	}
	docA, docB := m.document(a, &m.sums[A]), m.document(b, &m.sums[B])
	found := m.w.documents(docA, docB)
	if len(found) == 0 {
		m.r.Equal++
		return
	}
	m.r.Different++
	m.number++
	m.t.add(m.number, shown(key), found, docA)
}

// parseMillis reads milliseconds since 1970.
func parseMillis(s string) (time.Time, error) {
	ms, err := strconv.ParseInt(s, 10, 64)
	return time.UnixMilli(ms), err
}
