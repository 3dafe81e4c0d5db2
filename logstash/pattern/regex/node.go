package regex

import "unicode/utf8"

// kind tells the nodes of a parsed pattern apart.
type kind uint8

const (
	nEmpty   kind = iota
	nChar         // one character of text, or several joined: text
	nSet          // one character of a set: set
	nCat          // subs one after the other
	nAlt          // the first of subs that leads to a match
	nRepeat       // sub min to max times (max < 0: no limit); lazy
	nCapture      // sub, whose place is group
	nAtomic       // sub, without going back into it
	nAhead        // whether sub matches here; not
	nBehind       // whether sub, which is width characters long, matches right before; not
	nAssert       // a place: assert
	nBackref      // what one of the groups refs matched; fold
	nKeep         // \K: the match begins here
	nCond         // subs[0] if group refs[0] has matched, else subs[1]
	nCall         // \g<…>: group refs[0] again
	nFail         // never matches
)

// assert is a place that an nAssert node stands for.
type assert uint8

const (
	lineStart   assert = iota // ^
	lineEnd                   // $
	textStart                 // \A
	textEnd                   // \z
	textEndLine               // \Z: the end, or before the last newline
	searchStart               // \G
	wordEdge                  // \b
	noWordEdge                // \B
	asciiWordEdge
	asciiNoWordEdge
)

type node struct {
	kind   kind
	lazy   bool // nRepeat
	not    bool // nAhead, nBehind
	fold   bool // nBackref
	byName bool // nBackref, nCond, nCall
	named  bool // nCapture
	assert assert
	min    int
	max    int // < 0: no limit
	group  int
	width  int    // nBehind, in characters
	offset int    // where it stands in the pattern
	text   []byte // nChar
	set    runeSet
	first  *symbols // of nSet, once it was asked for
	before *before  // what can stand right before it
	// nAssert: what comes next in the pattern begins with a character of a word.
	wordAhead bool
	refs      []int
	subs      []*node
}

const noLimit = -1

func (n *node) sub() *node { return n.subs[0] }

// walk calls f for n and every node below it.
func (n *node) walk(f func(*node)) {
	f(n)
	for _, s := range n.subs {
		s.walk(f)
	}
}

// any tells whether f holds for n or a node below it.
func (n *node) any(f func(*node) bool) bool {
	if f(n) {
		return true
	}
	for _, s := range n.subs {
		if s.any(f) {
			return true
		}
	}
	return false
}

func cat(subs ...*node) *node {
	if len(subs) == 1 {
		return subs[0]
	}
	return &node{kind: nCat, subs: subs}
}

// simple tells whether n is one character of a set, which runs are made of.
func (n *node) simple() (runeSet, bool) {
	switch n.kind {
	case nSet:
		return n.set, true
	case nChar:
		if r, size := utf8.DecodeRune(n.text); size == len(n.text) {
			return runeSet{r, r}, true
		}
	default: // the other nodes
	}
	return nil, false
}

// nullable tells whether n can match without taking a character. Back-references count as if they could.
func (n *node) nullable() bool {
	switch n.kind {
	case nChar, nSet, nFail:
		return false
	case nCat:
		for _, s := range n.subs {
			if !s.nullable() {
				return false
			}
		}
		return true
	case nAlt, nCond:
		for _, s := range n.subs {
			if s.nullable() {
				return true
			}
		}
		return false
	case nRepeat:
		return n.min == 0 || n.sub().nullable()
	case nCapture, nAtomic:
		return n.sub().nullable()
	default: // the other nodes
	}
	return true
}

// reduceRepeats joins a quantifier and the quantifier right below it, as the original does: (?:a+)? is a*, but
// (?:a?)+? is a*?, which is not what the two would do one in the other. pnum and cnum follow QuantifierNode.
func reduceRepeats(outer *node) {
	inner := outer.sub()
	if inner.kind != nRepeat {
		return
	}
	p, c := outer.popular(), inner.popular()
	if c >= 0 && p < 0 && (c == 1 || c == 2) && outer.max > 1 && !outer.lazy {
		outer.max = max(outer.min, 1)
		return
	}
	if p < 0 || c < 0 {
		return
	}
	become := func(lo, hi int, lazy bool) {
		outer.min, outer.max, outer.lazy, outer.subs = lo, hi, lazy, inner.subs
	}
	switch reductions[c][p] {
	case 'd':
		become(inner.min, inner.max, inner.lazy)
	case 'a':
		become(0, noLimit, false)
	case 'A':
		become(0, noLimit, true)
	case 'q':
		become(0, 1, true)
	case 'p': // (?:a+)??
		outer.min, outer.max, outer.lazy = 0, 1, true
		inner.min, inner.max, inner.lazy = 1, noLimit, false
	}
}

// reductions by the inner and the outer quantifier, each one of ? * + ?? *? +?: d is the inner one alone, a is *,
// A is *?, q is ??, p is +)??, and a blank leaves both.
var reductions = [6]string{"daaqA ", "dddppd", "aad pd", "dAAdAA", "dddddd", "   AAd"}

// popular numbers the common quantifiers, the rest is -1.
func (n *node) popular() int {
	base := 0
	if n.lazy {
		base = 3
	}
	switch {
	case n.min == 0 && n.max == 1:
		return base
	case n.min == 0 && n.max == noLimit:
		return base + 1
	case n.min == 1 && n.max == noLimit:
		return base + 2
	}
	return -1
}
