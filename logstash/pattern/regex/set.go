package regex

import (
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// runeSet is a set of code points: sorted pairs of first and last, neither touching nor overlapping.
type runeSet []rune

const lastRune = unicode.MaxRune

func setOf(pairs ...rune) runeSet { return normal(pairs) }

// normal sorts pairs and joins those that touch.
func normal(pairs []rune) runeSet {
	type span struct{ lo, hi rune }
	spans := make([]span, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] <= pairs[i+1] {
			spans = append(spans, span{pairs[i], pairs[i+1]})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.lo - b.lo) })
	out := make(runeSet, 0, 2*len(spans))
	for _, s := range spans {
		if n := len(out); n > 0 && s.lo <= out[n-1]+1 {
			out[n-1] = max(out[n-1], s.hi)
		} else {
			out = append(out, s.lo, s.hi)
		}
	}
	return out
}

func (s runeSet) or(t runeSet) runeSet { return normal(slices.Concat(s, t)) }

func (s runeSet) not() runeSet {
	out := make(runeSet, 0, len(s)+2)
	next := rune(0)
	for i := 0; i < len(s); i += 2 {
		if next < s[i] {
			out = append(out, next, s[i]-1)
		}
		next = s[i+1] + 1
	}
	if next <= lastRune {
		out = append(out, next, lastRune)
	}
	return out
}

func (s runeSet) and(t runeSet) runeSet { return s.not().or(t.not()).not() }

func (s runeSet) has(r rune) bool {
	lo, hi := 0, len(s)/2
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch {
		case r < s[2*mid]:
			hi = mid
		case r > s[2*mid+1]:
			lo = mid + 1
		default:
			return true
		}
	}
	return false
}

// one gives the only member of the set.
func (s runeSet) one() (rune, bool) {
	if len(s) == 2 && s[0] == s[1] {
		return s[0], true
	}
	return 0, false
}

// folded adds to a set what differs from a member by case only. Only the members in wide fold between ASCII and what
// is beyond it (k and the Kelvin sign).
func (s runeSet) folded(wide runeSet) runeSet {
	more := slices.Clone(s)
	for _, p := range foldPairs() {
		if s.has(p[0]) && !s.has(p[1]) && (p[0] < utf8.RuneSelf == (p[1] < utf8.RuneSelf) || wide.has(p[0])) {
			more = append(more, p[1], p[1])
		}
	}
	return normal(more)
}

// foldOrbit gives r and what differs from it by case only.
func foldOrbit(r rune) runeSet {
	pairs := []rune{r, r}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		pairs = append(pairs, f, f)
	}
	return normal(pairs)
}

// fromTable turns a table of package unicode into a set.
func fromTable(tables ...*unicode.RangeTable) runeSet {
	var pairs []rune
	for _, t := range tables {
		for _, r := range t.R16 {
			pairs = appendStrided(pairs, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			pairs = appendStrided(pairs, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return normal(pairs)
}

func appendStrided(pairs []rune, lo, hi, stride rune) []rune {
	if stride == 1 {
		return append(pairs, lo, hi)
	}
	for r := lo; r <= hi; r += stride {
		pairs = append(pairs, r, r)
	}
	return pairs
}

// symbols is a set of what may stand at a position: one of 256 bytes, or the end of the input (atEnd).
type symbols [5]uint64

const atEnd = 256

func (s *symbols) add(c int)      { s[c>>6] |= 1 << (c & 63) }
func (s *symbols) has(c int) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s symbols) or(t symbols) symbols {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

func (s symbols) and(t symbols) symbols {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

func (s symbols) without(t symbols) symbols {
	for i := range s {
		s[i] &^= t[i]
	}
	return s
}

func (s symbols) disjoint(t symbols) bool { return s.and(t) == symbols{} }

// onlyByte gives the byte if s has one symbol only, and that is a byte.
func (s symbols) onlyByte() (byte, bool) {
	found := -1
	for c := range atEnd + 1 {
		if s.has(c) {
			if found >= 0 {
				return 0, false
			}
			found = c
		}
	}
	return byte(found), found >= 0 && found < atEnd
}

func anySymbol() symbols { return symbols{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), 1} }

func symbolsOf(cs ...int) (s symbols) {
	for _, c := range cs {
		s.add(c)
	}
	return s
}

// firstBytes gives the bytes that a character of s can begin with. A byte that is no part of valid UTF-8 is a
// character by itself, and belongs to the sets that have U+FFFD.
func (s runeSet) firstBytes() (out symbols) {
	for i := 0; i < len(s); i += 2 {
		lo, hi := s[i], s[i+1]
		for c := lo; c <= hi && c < utf8.RuneSelf; c++ {
			out.add(int(c))
		}
		if hi < utf8.RuneSelf {
			continue
		}
		for c, last := leadByte(max(lo, utf8.RuneSelf)), leadByte(hi); c <= last; c++ {
			out.add(c)
		}
	}
	if s.has(utf8.RuneError) {
		for c := 0x80; c < 0x100; c++ {
			out.add(c)
		}
	}
	return out
}

// leadByte gives the first byte of r, which is beyond ASCII, in UTF-8. Surrogates, which have no encoding, count as
// their neighbours.
func leadByte(r rune) int {
	switch {
	case r < 0x800:
		return 0xC0 | int(r>>6)
	case r < 0x10000:
		return 0xE0 | int(r>>12)
	}
	return 0xF0 | int(r>>18)
}

// The values of class.table.
const (
	outside = iota // the byte begins no member
	single         // the byte is a member, or one of a member's bytes in a class that has all beyond ASCII
	decode         // the byte may begin a member: look at the character
)

// class is a set ready to be matched.
type class struct {
	set   runeSet
	table [256]uint8 // by the first byte of a character
	run   [256]uint8 // the same for runs without a limit, which may go byte by byte if all beyond ASCII is in
	all   bool       // has every character beyond ASCII
	as    operands   // of an instruction
}

func newClass(s runeSet) *class {
	c := &class{set: s}
	c.as.class = c
	beyond := s.and(runeSet{utf8.RuneSelf, lastRune})
	c.all = len(beyond) == 2 && beyond[0] == utf8.RuneSelf && beyond[1] == lastRune
	first := s.firstBytes()
	for b := range 256 {
		switch {
		case !first.has(b):
		case b < utf8.RuneSelf:
			c.table[b], c.run[b] = single, single
		default:
			c.table[b], c.run[b] = decode, decode
			if c.all {
				c.run[b] = single
			}
		}
	}
	return c
}

// width gives the length in bytes of the character at the head of in, which begins with a byte whose table value is
// decode, if it belongs to the class, else 0.
func (c *class) width(in []byte) int {
	r, n := utf8.DecodeRune(in)
	if c.all || c.set.has(r) {
		return n
	}
	return 0
}

// foldPairs lists the pairs of code points that differ by case only, both ways.
var foldPairs = sync.OnceValue(func() (pairs [][2]rune) {
	cased := fromTable(unicode.L, unicode.Nl, unicode.So, unicode.Mn)
	for i := 0; i < len(cased); i += 2 {
		for r := cased[i]; r <= cased[i+1]; r++ {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				pairs = append(pairs, [2]rune{r, f})
			}
		}
	}
	return pairs
})
