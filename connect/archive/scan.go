package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

// This file finds the pieces of JSON texts without decoding them. It checks structure, not grammar: strings
// end, brackets balance, members have a key and a value. What it accepts it delimits as any parser would.

var errJSON = errors.New("not well-formed JSON")

// skipSpace returns the first offset from i on that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the offset after the string that begins at i, or -1.
func skipString(b []byte, i int) int {
	i++
	for i+8 <= len(b) { // eight bytes at a time, up to a quote or a backslash
		x := binary.LittleEndian.Uint64(b[i:])
		m := zeroBytes(x^(ones*'"')) | zeroBytes(x^(ones*'\\'))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) / 8
		if b[i] == '"' {
			return i + 1
		}
		i += 2
	}
	for i < len(b) {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
		i++
	}
	return -1
}

const ones = 0x0101010101010101

// zeroBytes has the high bit of the lowest byte of x that is zero set, and none below it.
func zeroBytes(x uint64) uint64 { return (x - ones) &^ x & (ones << 7) }

// structural marks the bytes at which skipValue stops within an object or array.
var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true}

// skipValue returns the offset after the value that begins at i (no white space before it), or -1.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			c := b[i]
			if !structural[c] {
				i++
				continue
			}
			switch c {
			case '"':
				if i = skipString(b, i); i < 0 {
					return -1
				}
				continue
			case '{', '[':
				depth++
			default:
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return -1
	default:
		start := i
		for i < len(b) && isScalar(b[i]) {
			i++
		}
		if i == start {
			return -1
		}
		return i
	}
}

// isScalar reports bytes that numbers, true, false and null are made of.
func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// isOneValue reports that b is one JSON value on one line, but for white space around it.
func isOneValue(b []byte) bool {
	if !oneLine(b) {
		return false
	}
	end := skipValue(b, skipSpace(b, 0))
	return end >= 0 && skipSpace(b, end) == len(b)
}

// eachMember walks the members of the object that begins at i and returns the offset after it, or -1. key is
// as it stands between its quotes; the value is b[start:end]. member may return an offset that it has found
// the value to end at, or -1 for skipValue to look.
func eachMember(b []byte, i int, member func(key []byte, start int) (end int, err error)) (int, error) {
	if i >= len(b) || b[i] != '{' {
		return -1, errJSON
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1, errJSON
		}
		end := skipString(b, i)
		if end < 0 {
			return -1, errJSON
		}
		key := b[i+1 : end-1]
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ':' {
			return -1, errJSON
		}
		start := i + 1
		end, err := member(key, start)
		if err != nil {
			return -1, err
		}
		if end < 0 {
			if end = skipValue(b, skipSpace(b, start)); end < 0 {
				return -1, errJSON
			}
		}
		i = skipSpace(b, end)
		if i >= len(b) {
			return -1, errJSON
		}
		switch b[i] {
		case '}':
			return i + 1, nil
		case ',':
			i = skipSpace(b, i+1)
		default:
			return -1, errJSON
		}
	}
}

// oneLine reports that b has no line break.
func oneLine(b []byte) bool { return bytes.IndexByte(b, '\n') < 0 }
