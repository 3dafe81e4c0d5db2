package compare

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
)

// Bounds of what is told apart, so that documents with ever new field names do not fill the memory.
const (
	mostChanges  = 20_000
	mostPatterns = 10_000
	mostPairs    = 50_000
	mostWords    = 32  // of a list: classes that name elements
	mostSources  = 32  // fields whose value an added field may have
	excerptBytes = 240 // of a value in an example
	documentSize = 1000
	longValue    = 4 // bytes of a value that is no coincidence
)

// otherFields stands for the fields behind the bound.
const otherFields = "(other fields)"

// A tally counts the differences of pairs, given in the order of their keys.
type tally struct {
	examples int
	changes  map[changeKey]*change
	order    []*change
	words    map[string]int // of lists: classes that name elements
	pairs    map[pairKey]*movement
	patterns map[string]*Pattern
	hidden   bool // some bound was met
	seed     maphash.Seed

	ids    []int // of one document
	values map[string][]origin
}

type changeKey struct {
	path  string
	kind  Kind
	class string
}

type change struct {
	changeKey
	id     int
	n      int64
	last   int64 // number of the last document, so that none counts twice
	plain  []Example
	paired []Example // of documents in which the field may have another name
}

// origin is a field of A with some value.
type origin struct {
	path    string
	node    *node
	removed bool
}

type pairKey struct {
	from, to string
	removed  bool
}

type movement struct {
	n         int64
	converted int64 // of these, the value has another type
	first     uint64
	varied    bool // several values
	long      bool // a value that is no coincidence
	examples  []Example
}

func newTally(examples int) *tally {
	return &tally{
		examples: examples, changes: map[changeKey]*change{}, words: map[string]int{}, pairs: map[pairKey]*movement{},
		patterns: map[string]*Pattern{}, seed: maphash.MakeSeed(), values: map[string][]origin{},
	}
}

// add counts the differences of one pair; number is another one for each.
func (t *tally) add(number int64, key string, found []difference, a *node) {
	from := t.origins(found, a)
	t.ids = t.ids[:0]
	for i := range found {
		d := &found[i]
		c := t.change(d)
		t.ids = append(t.ids, c.id)
		if c.last == number {
			continue // another element of a list
		}
		c.last = number
		c.n++
		into := &c.plain
		if from[i] {
			into = &c.paired
		}
		if len(*into) < t.examples {
			*into = append(*into, newExample(key, d))
		}
	}
	t.pattern(key)
	t.movements(key, found)
}

func newExample(key string, d *difference) Example {
	e := Example{Key: key}
	if d.before != nil {
		e.Before = excerpt(d.before.shown(), excerptBytes)
	}
	if d.after != nil {
		e.After = excerpt(d.after.shown(), excerptBytes)
	}
	return e
}

// shown is a value as it is written, if it is.
func (n *node) shown() []byte {
	if n.raw != nil {
		return n.raw
	}
	return n.json()
}

func (t *tally) change(d *difference) *change {
	k := changeKey{d.path, d.kind, d.class}
	if c := t.changes[k]; c != nil {
		return c
	}
	if strings.HasPrefix(k.class, classHas) { // and classHasNot
		if t.words[k.path] >= mostWords {
			k.class = classElements
		} else {
			t.words[k.path]++
		}
	}
	if len(t.order) >= mostChanges {
		t.hidden = true
		k.path, k.class = otherFields, ""
	}
	c := t.changes[k]
	if c == nil {
		c = &change{changeKey: k, id: len(t.order), last: -1}
		t.changes[k] = c
		t.order = append(t.order, c)
	}
	return c
}

// pattern counts the document for all that changed in it, taken together.
func (t *tally) pattern(key string) {
	slices.Sort(t.ids)
	t.ids = slices.Compact(t.ids)
	var sum []byte
	for _, id := range t.ids {
		sum = binary.AppendUvarint(sum, uint64(id)) //nolint:gosec // not negative
	}
	p := t.patterns[string(sum)]
	if p == nil {
		if len(t.patterns) >= mostPatterns {
			t.hidden = true
			return
		}
		p = &Pattern{Example: key, ids: slices.Clone(t.ids)}
		t.patterns[string(sum)] = p
	}
	p.Documents++
}

// telling reports that two fields with this value may be the same field.
func telling(n *node) bool {
	return n != nil && (n.kind == text || n.kind == number) && len(n.raw) > 0 && (n.kind == number || len(n.raw) > 2)
}

// origins indexes the fields of A that an added one may come from, if there is one, and says of each difference whether it
// may be half of a movement.
func (t *tally) origins(found []difference, a *node) []bool {
	half := make([]bool, len(found))
	clear(t.values)
	added := false
	for i := range found {
		added = added || found[i].kind == Added && telling(found[i].after)
	}
	if !added {
		return half
	}
	gone := map[string]int{}
	for i := range found {
		if d := &found[i]; d.kind == Removed && telling(d.before) {
			gone[d.path] = i
			if v := d.before.text(); len(t.values[v]) < mostSources {
				t.values[v] = append(t.values[v], origin{d.path, d.before, true})
			}
		}
	}
	t.leaves(a, "", gone)
	for i := range found {
		d := &found[i]
		if d.kind != Added || !telling(d.after) {
			continue
		}
		for _, o := range t.values[d.after.text()] {
			half[i] = true
			if o.removed {
				half[gone[o.path]] = true
			}
		}
	}
	return half
}

// leaves adds the fields that were not removed.
func (t *tally) leaves(n *node, path string, gone map[string]int) {
	if n.kind == object {
		for _, m := range n.members {
			t.leaves(m.node, join(path, m.name), gone)
		}
		return
	}
	if !telling(n) || len(n.text()) < longValue {
		return
	}
	if _, removed := gone[path]; removed {
		return
	}
	v := n.text()
	if len(t.values[v]) < mostSources {
		t.values[v] = append(t.values[v], origin{path, n, false})
	}
}

// movements counts which added fields have the value of which fields of A.
func (t *tally) movements(key string, found []difference) {
	if len(t.values) == 0 {
		return
	}
	for i := range found {
		d := &found[i]
		if d.kind != Added || !telling(d.after) {
			continue
		}
		for _, o := range t.values[d.after.text()] {
			k := pairKey{o.path, d.path, o.removed}
			m := t.pairs[k]
			v := d.after.text()
			h := maphash.String(t.seed, v)
			if m == nil {
				if len(t.pairs) >= mostPairs {
					t.hidden = true
					continue
				}
				m = &movement{first: h}
				t.pairs[k] = m
			}
			m.n++
			m.varied = m.varied || h != m.first
			m.long = m.long || len(v) >= longValue
			if o.node.kind != d.after.kind {
				m.converted++
			}
			if len(m.examples) < t.examples {
				m.examples = append(m.examples, Example{Key: key, Before: excerpt(o.node.raw, excerptBytes), After: excerpt(d.after.raw, excerptBytes)})
			}
		}
	}
}

// report says what was counted.
func (t *tally) report(r *Report) {
	moved := t.settle(r)
	for _, c := range t.order {
		n := c.n
		if c.class == "" && (c.kind == Removed || c.kind == Added) {
			n -= moved[changeKey{c.path, c.kind, ""}]
		}
		if n <= 0 {
			continue
		}
		examples := c.plain
		if n == c.n {
			examples = append(slices.Clone(examples), c.paired...)
			slices.SortFunc(examples, func(a, b Example) int { return cmp.Compare(a.Key, b.Key) })
		}
		r.Changes = append(r.Changes, Change{Field: c.path, Kind: c.kind, Class: c.class, Documents: n, Share: share(n, r.Pairs()), Examples: examples[:min(len(examples), t.examples)]})
	}
	slices.SortStableFunc(r.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Documents, a.Documents), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Class, b.Class))
	})
	merged := map[string]*Pattern{}
	for _, p := range t.patterns {
		p.Changes = t.sentences(p.ids, r.Moves)
		k := strings.Join(p.Changes, "\n")
		if there := merged[k]; there != nil {
			there.Documents += p.Documents
			there.Example = min(there.Example, p.Example)
			continue
		}
		merged[k] = p
	}
	for _, p := range merged {
		p.Share = share(p.Documents, r.Pairs())
		r.Patterns = append(r.Patterns, *p)
	}
	slices.SortFunc(r.Patterns, func(a, b Pattern) int {
		return cmp.Or(cmp.Compare(b.Documents, a.Documents), slices.Compare(a.Changes, b.Changes))
	})
	r.Patterns = r.Patterns[:min(len(r.Patterns), mostShownPatterns)]
	r.Hidden = t.hidden
}

// mostShownPatterns is how many patterns a report has.
const mostShownPatterns = 50

// nearly reports that n is nine tenths of all at least; mostly, that it is half.
func nearly(n, all int64) bool { return n*10 >= all*9 }
func mostly(n, all int64) bool { return n*2 >= all }

// settle decides which fields have another name, or a copy, and says of how many documents that explains the differences.
func (t *tally) settle(r *Report) map[changeKey]int64 {
	type candidate struct {
		pairKey
		*movement
	}
	var candidates []candidate
	for k, m := range t.pairs {
		if m.long || m.varied {
			candidates = append(candidates, candidate{k, m})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		if a.removed != b.removed {
			if a.removed {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(common(b.from, b.to), common(a.from, a.to)), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	count := func(path string, k Kind) int64 {
		if c := t.changes[changeKey{path, k, ""}]; c != nil {
			return c.n
		}
		return 0
	}
	moved := map[changeKey]int64{}
	taken := map[string]bool{}
	for _, c := range candidates {
		added := changeKey{c.to, Added, ""}
		removed := changeKey{c.from, Removed, ""}
		if moved[added] > 0 || !nearly(c.n, count(c.to, Added)) {
			continue
		}
		if c.removed {
			if taken[c.from] || !mostly(c.n, count(c.from, Removed)) {
				continue
			}
			taken[c.from] = true
			moved[removed] = c.n
		}
		moved[added] = c.n
		r.Moves = append(r.Moves, Move{From: c.from, To: c.to, Copied: !c.removed, Converted: c.converted > 0, Documents: c.n, Share: share(c.n, r.Pairs()), Examples: c.examples})
	}
	return moved
}

// common is how many letters two paths have in common at their ends.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// sentences say what changed in the documents of a pattern, movements first.
func (t *tally) sentences(ids []int, moves []Move) []string {
	in := map[changeKey]bool{}
	for _, id := range ids {
		in[t.order[id].changeKey] = true
	}
	var out []string
	for _, m := range moves {
		added, removed := changeKey{m.To, Added, ""}, changeKey{m.From, Removed, ""}
		if !in[added] || !m.Copied && !in[removed] {
			continue
		}
		delete(in, added)
		if m.Copied {
			out = append(out, m.To+" is a copy of "+m.From)
			continue
		}
		delete(in, removed)
		out = append(out, m.From+" is now "+m.To)
	}
	for _, id := range ids {
		if k := t.order[id].changeKey; in[k] {
			out = append(out, k.String())
		}
	}
	return out
}

// String says what changed.
func (k changeKey) String() string {
	s := k.path + ": " + string(k.kind)
	switch {
	case k.kind == Type || k.kind == Changed && k.class != "":
		s = k.path + ": " + k.class
	case k.class != "":
		s += " (" + k.class + ")"
	}
	return s
}
