package regex

import (
	"slices"
	"unicode/utf8"
)

// optimize joins what can be joined without a change of meaning: sequences in sequences, text next to text,
// alternatives of single characters.
func optimize(n *node) *node {
	for i, s := range n.subs {
		n.subs[i] = optimize(s)
	}
	switch n.kind {
	case nSet:
		if r, ok := n.set.one(); ok && utf8.ValidRune(r) && r != utf8.RuneError {
			return &node{kind: nChar, text: utf8.AppendRune(nil, r), offset: n.offset}
		}
	case nCat:
		return joined(n)
	case nAlt:
		return merged(n)
	case nRepeat:
		if n.min == 1 && n.max == 1 {
			return n.sub()
		}
	case nAtomic:
		if k := n.sub().kind; k == nChar || k == nSet || k == nEmpty || endsAtomic(n.sub()) {
			return n.sub()
		}
	default: // the other nodes
	}
	return n
}

// endsAtomic tells whether n is an atomic group, perhaps behind places and looks at one character, so that there is no way back
// into n.
func endsAtomic(n *node) bool {
	if n.kind == nAtomic {
		return true
	}
	if n.kind != nCat || n.subs[len(n.subs)-1].kind != nAtomic {
		return false
	}
	for _, s := range n.subs[:len(n.subs)-1] {
		switch s.kind {
		case nAssert:
		case nAhead, nBehind:
			if _, simple := s.sub().simple(); !simple {
				return false
			}
		default: // the other nodes
			return false
		}
	}
	return true
}

func joined(n *node) *node {
	var out []*node
	for _, s := range n.subs {
		subs := []*node{s}
		if s.kind == nCat {
			subs = s.subs
		}
		for _, s := range subs {
			if s.kind == nEmpty {
				continue
			}
			if last := len(out) - 1; last >= 0 && s.kind == nChar && out[last].kind == nChar {
				text := slices.Concat(out[last].text, s.text)
				out[last] = &node{kind: nChar, text: text, offset: out[last].offset}
				continue
			}
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return &node{kind: nEmpty, offset: n.offset}
	}
	return cat(out...)
}

func merged(n *node) *node {
	var out []*node
	for _, s := range n.subs {
		subs := []*node{s}
		if s.kind == nAlt {
			subs = s.subs
		}
		for _, s := range subs {
			if last := len(out) - 1; last >= 0 {
				a, ok := out[last].simple()
				b, also := s.simple()
				if ok && also {
					out[last] = &node{kind: nSet, set: a.or(b), offset: out[last].offset}
					continue
				}
			}
			out = append(out, s)
		}
	}
	if out = factor(out); len(out) == 1 {
		return out[0]
	}
	return &node{kind: nAlt, subs: out, offset: n.offset}
}
