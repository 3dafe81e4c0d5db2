package regex

import "unicode/utf8"

// before is what can stand right before a place of a pattern. Places where the answer is always the same are no instructions:
// the \b of "\bcat\b" behind a blank, the look-behind of :(?<![0-9]).
type before struct {
	last symbols // the byte; atEnd stands for the start of the text
	word bool    // it can only be a character of a word
}

var anyBefore = before{last: anySymbol()}

func (b before) or(c before) before { return before{b.last.or(c.last), b.word && c.word} }

// maxLoops bounds the loops in loops that are looked at twice.
const maxLoops = 3

// lookBack tells n and the nodes below it what can stand before them, and gives what can stand behind n. A node that is
// compiled at several places is told of all.
func (n *node) lookBack(b before, loops int) before {
	if n.before == nil {
		n.before = &before{word: true}
	}
	*n.before = n.before.or(b)
	switch n.kind {
	case nChar:
		r, _ := utf8.DecodeLastRune(n.text)
		return before{symbolsOf(int(n.text[len(n.text)-1])), wordSet().has(r)}
	case nSet:
		return behindSet(n.set)
	case nCat:
		for i, s := range n.subs {
			if s.kind == nAssert {
				s.wordAhead = beginsWord(n.subs[i+1:])
			}
			b = s.lookBack(b, loops)
		}
		return b
	case nAlt, nCond:
		out := before{word: true}
		for _, s := range n.subs {
			out = out.or(s.lookBack(b, loops))
		}
		return out
	case nRepeat:
		if n.max == 0 {
			return b
		}
		if n.max != 1 && loops >= maxLoops {
			b = anyBefore
		}
		out := n.sub().lookBack(b, loops+1)
		if n.max != 1 && loops < maxLoops {
			out = n.sub().lookBack(b.or(out), loops+1)
		}
		if n.min == 0 {
			out = out.or(b)
		}
		return out
	case nCapture, nAtomic:
		return n.sub().lookBack(b, loops)
	case nAhead:
		n.sub().lookBack(b, loops)
		return b
	case nBehind:
		n.sub().lookBack(anyBefore, loops)
		return b
	case nFail:
		return before{word: true}
	case nBackref, nCall:
		return anyBefore
	default: // places
	}
	return b
}

// behindSet is what can stand behind a character of a set.
func behindSet(s runeSet) before {
	out := before{s.firstBytes(), s.inWords()}
	if len(s) > 0 && s[len(s)-1] >= utf8.RuneSelf {
		out.last = out.last.or(beyondASCII)
	}
	return out
}

// inWords tells whether s has characters of words only.
func (s runeSet) inWords() bool {
	words := wordSet()
	at := 0
	for i := 0; i < len(s); i += 2 {
		for at < len(words) && words[at+1] < s[i] {
			at += 2
		}
		if at == len(words) || s[i] < words[at] || s[i+1] > words[at+1] {
			return false
		}
	}
	return len(s) > 0
}

// beginsWord tells whether what nodes match begins with a character of a word.
func beginsWord(nodes []*node) bool {
	for _, n := range nodes {
		switch n.kind {
		case nEmpty, nAssert:
			continue
		case nChar:
			r, _ := utf8.DecodeRune(n.text)
			return wordSet().has(r)
		case nSet:
			return n.set.inWords()
		case nCat:
			return beginsWord(n.subs)
		case nCapture, nAtomic:
			return beginsWord(n.subs)
		case nRepeat:
			return n.min > 0 && beginsWord(n.subs)
		default: // the other nodes
		}
		return false
	}
	return false
}

var (
	beyondASCII = func() (s symbols) {
		for b := utf8.RuneSelf; b < atEnd; b++ {
			s.add(b)
		}
		return s
	}()
	wordBytes = func() (s symbols) {
		for b := range utf8.RuneSelf {
			if asciiWord.has(rune(b)) {
				s.add(b)
			}
		}
		return s
	}()
)

// within tells whether all symbols of s are in t.
func (s symbols) within(t symbols) bool { return s.without(t) == symbols{} }

// isEdge tells whether the place of an nAssert node, before what ahead begins, is the edge of a word (\b); known is false if
// that is not always the same.
func (n *node) isEdge(ahead symbols) (is, known bool) {
	b := n.before
	if b == nil {
		return false, false
	}
	inWord := wordBytes.or(beyondASCII)
	wordBehind, wordAhead := b.word, n.wordAhead || ahead.within(wordBytes)
	noneBehind, noneAhead := b.last.disjoint(inWord), ahead.disjoint(inWord)
	return wordBehind != wordAhead, (wordBehind || noneBehind) && (wordAhead || noneAhead)
}

// alwaysBehind tells whether an nBehind node for one character of a set always holds.
func (n *node) alwaysBehind(set runeSet) bool {
	if n.before == nil {
		return false
	}
	last, bytes := n.before.last, set.firstBytes()
	if n.not {
		if set[len(set)-1] >= utf8.RuneSelf {
			bytes = bytes.or(beyondASCII)
		}
		return last.disjoint(bytes)
	}
	return last.disjoint(beyondASCII) && last.within(bytes) && !last.has(atEnd)
}

// neverAhead tells whether the pattern of an nAhead node cannot match where what ahead begins.
func (n *node) neverAhead(ahead symbols) bool {
	return !n.sub().nullable() && firstOf(n.sub(), symbols{}, 0).disjoint(ahead)
}
