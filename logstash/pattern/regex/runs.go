package regex

import (
	"bytes"
	"unicode/utf8"
)

// until2 gives the first place of a or b at or after pos, or the end. It looks ahead for a by blocks only, as b may
// stand right at pos each time.
func until2(in []byte, pos int, a, b byte) int {
	const block = 128
	for pos < len(in) {
		part := in[pos:min(pos+block, len(in))]
		n := len(part)
		if i := bytes.IndexByte(part, a); i >= 0 {
			n = i
		}
		if i := bytes.IndexByte(part[:n], b); i >= 0 {
			return pos + i
		}
		pos += n
		if n < len(part) {
			return pos
		}
	}
	return pos
}

// span gives the end of the longest run at pos, up to max characters; -1 if there are less than min.
func (i *instruction) span(in []byte, pos int) int {
	p, table := pos, i.table
	if i.max < 0 {
		for {
			for p < len(in) && table[in[p]] == single {
				p++
			}
			if p == len(in) || table[in[p]] == outside {
				break
			}
			w := i.more.class.width(in[p:])
			if w == 0 {
				break
			}
			p += w
		}
		if n := int(i.min); n > 0 && (p-pos < n || n > 1 && !i.ascii && utf8.RuneCount(in[pos:p]) < n) {
			return -1
		}
		return p
	}
	left := int(i.max)
	for left > 0 && p < len(in) {
		switch table[in[p]] {
		case single:
			p++
			left--
			continue
		case decode:
			if w := i.more.class.width(in[p:]); w > 0 {
				p += w
				left--
				continue
			}
		}
		break
	}
	if int(i.max)-left < int(i.min) {
		return -1
	}
	return p
}

// skip goes past n characters that are known to be of the class.
func (i *instruction) skip(in []byte, pos, n int) int {
	if i.ascii {
		return pos + n
	}
	for ; n > 0; n-- {
		if in[pos] < utf8.RuneSelf {
			pos++
			continue
		}
		_, w := utf8.DecodeRune(in[pos:])
		pos += w
	}
	return pos
}

// giveBack gives the last place before end, and not before low, where what follows can begin; -1 if there is none.
func (i *instruction) giveBack(in []byte, low, end int) int {
	for end > low {
		if end--; in[end] >= utf8.RuneSelf && !i.ascii {
			_, w := utf8.DecodeLastRune(in[low : end+1])
			end -= w - 1
		}
		if i.table2[in[end]] != 0 {
			return end
		}
	}
	return -1
}

// one gives the end of the character at pos if it is of the class, else -1.
func (i *instruction) one(in []byte, pos int) int {
	if pos < len(in) {
		switch i.more.class.table[in[pos]] {
		case single:
			return pos + 1
		case decode:
			if w := i.more.class.width(in[pos:]); w > 0 {
				return pos + w
			}
		}
	}
	return -1
}

// atLeast goes past min characters of the class; -1 if there are fewer.
func (i *instruction) atLeast(in []byte, pos int) int {
	for range i.min {
		if pos = i.one(in, pos); pos < 0 {
			return -1
		}
	}
	return pos
}

// until goes on in the class up to where what follows can begin; -1 if it cannot.
func (i *instruction) until(in []byte, pos int) int {
	for pos < len(in) {
		b := in[pos]
		if i.table2[b] != 0 {
			return pos
		}
		switch i.table[b] {
		case outside:
			return -1
		case single:
			pos++
		default:
			w := i.more.class.width(in[pos:])
			if w == 0 {
				return -1
			}
			pos += w
		}
	}
	if i.end {
		return pos
	}
	return -1
}
