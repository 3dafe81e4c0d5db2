package regex

import (
	"bytes"
	"unicode/utf8"
)

// searcher knows where a match can begin, and what it must contain.
type searcher struct {
	literal  []byte // every match contains it
	prefix   []byte // every match begins with it
	first    [256]bool
	empty    bool // a match can begin at the end of the input
	anyByte  bool // a match can begin with any byte
	textOnly bool // a match begins at the start of the text, if at all
	lineOnly bool // a match begins at the start of a line, if at all
	fromOnly bool // if there is no match where the search begins there is none
}

func newSearcher(root *node, p *program) searcher {
	s := searcher{anyByte: true}
	s.literal = required(root)
	s.prefix = leading(root)
	for b := range 256 {
		s.first[b] = p.first.has(b)
		s.anyByte = s.anyByte && s.first[b]
	}
	s.empty = p.first.has(atEnd)
	switch anchor := head(root); {
	case anchor == nil:
	case anchor.kind == nAssert && anchor.assert == textStart:
		s.textOnly = true
	case anchor.kind == nAssert && anchor.assert == lineStart:
		s.lineOnly = true
	case anchor.kind == nAssert && anchor.assert == searchStart:
		s.fromOnly = true
	case anchor.kind == nRepeat && anchor.min == 0 && anchor.max == noLimit:
		// .* goes everywhere at once, unless something looks behind it.
		set, ok := anchor.sub().simple()
		s.fromOnly = ok && len(set) == 2 && set[0] == 0 && set[1] == lastRune && !root.any(func(n *node) bool {
			return n.kind == nBackref || n.kind == nCond || n.kind == nAtomic && n.any(func(m *node) bool { return m == anchor })
		})
	}
	return s
}

// head gives the node that every match begins with.
func head(n *node) *node {
	switch n.kind {
	case nCat, nCapture, nAtomic:
		return head(n.subs[0])
	default: // the other nodes
	}
	return n
}

// leading gives the text that every match begins with.
func leading(n *node) []byte {
	if h := head(n); h.kind == nChar {
		return h.text
	}
	return nil
}

// required gives the longest text that every match contains.
func required(n *node) []byte {
	switch n.kind {
	case nChar:
		return n.text
	case nCapture, nAtomic:
		return required(n.sub())
	case nRepeat:
		if n.min > 0 {
			return required(n.sub())
		}
	case nCat:
		var best []byte
		for _, s := range n.subs {
			if t := required(s); len(t) > len(best) {
				best = t
			}
		}
		return best
	default: // the other nodes
	}
	return nil
}

// firstTry is how many steps a match may take before the text is searched for what it must contain.
const firstTry = 100

// find tries the places at or after from where a match can begin.
func (re *Regexp) find(in []byte, from int, m *Match) outcome {
	s, p := &re.search, re.prog
	for pos, unsure := from, len(s.literal) > 0; ; {
		if pos = s.next(in, pos, from); pos < 0 {
			return failed
		}
		m.slots[0] = int32(pos)
		if unsure { // a short try first: most texts match at once, and need not be searched for the literal
			budget := m.left
			m.left = min(budget, firstTry)
			out := p.run(in, pos, m)
			m.left += budget - min(budget, firstTry)
			if out == matched {
				return out
			}
			if !bytes.Contains(in[pos:], s.literal) {
				return failed
			}
			unsure = false
			if out == exhausted {
				m.clear() // it was given up halfway
				continue
			}
		} else if out := p.run(in, pos, m); out != failed {
			return out
		}
		if s.fromOnly || s.textOnly || pos >= len(in) {
			return failed
		}
		pos += width(in, pos)
	}
}

// next gives the first place at or after pos, which is the start of a character, where a match can begin; -1 if there
// is none.
func (s *searcher) next(in []byte, pos, from int) int {
	switch {
	case s.textOnly:
		if pos > 0 {
			return -1
		}
		return pos
	case s.fromOnly:
		return from
	case s.lineOnly:
		if pos > 0 && in[pos-1] != '\n' {
			i := bytes.IndexByte(in[pos:], '\n')
			if i < 0 {
				return -1
			}
			pos += i + 1
		}
		if pos == len(in) && pos > 0 {
			return -1
		}
		return pos
	case len(s.prefix) > 0:
		i := bytes.Index(in[pos:], s.prefix)
		if i < 0 {
			return -1
		}
		return pos + i
	case s.anyByte:
	default:
		for pos < len(in) && !s.first[in[pos]] {
			pos += width(in, pos)
		}
	}
	if pos == len(in) && !s.empty {
		return -1
	}
	return pos
}

// width gives the length of the character at pos, 1 at the end of the input.
func width(in []byte, pos int) int {
	if pos >= len(in) || in[pos] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(in[pos:])
	return n
}
