package regex

import (
	"bytes"
	"unicode/utf8"
)

// backref gives the length of what the first of the groups that has matched took, if it stands at pos again; -1 if not.
func (i *instruction) backref(in []byte, pos int, slots []int32) int {
	for _, g := range i.more.refs {
		begin, end := slots[2*g], slots[2*g+1]
		if end < 0 || begin < 0 {
			continue
		}
		n := int(end - begin)
		if n > len(in)-pos {
			continue
		}
		was, is := in[begin:end], in[pos:pos+n]
		if i.op == opBackrefFold && bytes.EqualFold(was, is) || bytes.Equal(was, is) {
			return n
		}
	}
	return -1
}

// keepGroups copies where the groups are to the slots behind n, with the old values of those pushed.
func (i *instruction) keepGroups(slots []int32, stack []entry, sp int) int {
	to := i.n + 1
	for _, g := range i.more.refs {
		for _, from := range [2]int32{2 * g, 2*g + 1} {
			stack[sp] = entry{^to, slots[to], 0}
			sp++
			slots[to] = slots[from]
			to++
		}
	}
	return sp
}

// groupsMoved tells whether a loop goes on although a round took nothing: it does where a group matched for the first
// time, or was not empty before. Where a group was empty elsewhere, the round fails (STACK_NULL_CHECK_MEMST).
func (i *instruction) groupsMoved(slots []int32, pos int32) (again, ok bool) {
	ok = true
	for k, g := range i.more.refs {
		begin, end := slots[i.n+1+int32(2*k)], slots[i.n+2+int32(2*k)]
		if slots[2*g+1] < 0 || slots[2*g] == begin && slots[2*g+1] == end && begin != pos {
			continue // it took no part in this round
		}
		switch {
		case end < 0 || begin != end:
			return true, true
		case end != pos:
			ok = false
		}
	}
	return false, ok
}

// stepBack goes back n characters; -1 if there are fewer.
func stepBack(in []byte, pos, n int) int {
	for ; n > 0; n-- {
		if pos == 0 {
			return -1
		}
		if pos--; in[pos] >= utf8.RuneSelf {
			_, w := utf8.DecodeLastRune(in[:pos+1])
			pos -= w - 1
		}
	}
	return pos
}

// isNext tells whether the character at pos is of the class.
func (i *instruction) isNext(in []byte, pos int) bool {
	if pos == len(in) {
		return false
	}
	switch i.table[in[pos]] {
	case single:
		return true
	case decode:
		return i.more.class.width(in[pos:]) > 0
	}
	return false
}

// isLast tells whether the character before pos, which is not of ASCII, is of the class.
func (i *instruction) isLast(in []byte, pos int) bool {
	_, w := utf8.DecodeLastRune(in[:pos])
	return i.isNext(in[:pos], pos-w)
}

// wordTable is by the byte what belongs to a word; decode for what is beyond ASCII.
var wordTable = func() (t [256]uint8) {
	for b := range 256 {
		switch {
		case b >= utf8.RuneSelf:
			t[b] = decode
		case asciiWord.has(rune(b)):
			t[b] = single
		}
	}
	return t
}()

// atWordEdge tells whether one of the characters around pos belongs to a word, and the other does not.
func atWordEdge(in []byte, pos int) bool {
	var before, after bool
	if pos > 0 {
		if t := wordTable[in[pos-1]]; t != decode {
			before = t == single
		} else {
			r, _ := utf8.DecodeLastRune(in[:pos])
			before = wordSet().has(r)
		}
	}
	if pos < len(in) {
		if t := wordTable[in[pos]]; t != decode {
			after = t == single
		} else {
			r, _ := utf8.DecodeRune(in[pos:])
			after = wordSet().has(r)
		}
	}
	return before != after
}
