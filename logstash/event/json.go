package event

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/narudata/naru/internal/jackson"
)

// AppendJSON appends v as JSON, as Jackson prints it: quotes, backslashes and control characters are escaped and nothing else,
// numbers are Java's (1.0E7), an infinity is a string, timestamps are ISO 8601. Absent is null. What is not UTF-8 becomes
// U+FFFD. Members of maps are in the order they were set.
func AppendJSON(dst []byte, v Value) []byte {
	switch v.kind {
	case String:
		return appendString(dst, v.s)
	case Int:
		return strconv.AppendInt(dst, int64(v.n), 10)
	case Bool:
		return strconv.AppendBool(dst, v.n == 1)
	case Float:
		return jackson.AppendFloat64(dst, math.Float64frombits(v.n))
	case BigInt:
		return v.node.big.Append(dst, 10)
	case Decimal:
		return append(dst, v.s...)
	case Time:
		dst = appendTime(append(dst, '"'), int64(v.n), v.nanos)
		return append(dst, '"')
	case List:
		dst = append(dst, '[')
		for i := range v.node.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, v.node.list[i])
		}
		return append(dst, ']')
	case Map:
		return appendFields(dst, &v.node.m)
	default:
		return append(dst, "null"...)
	}
}

func appendFields(dst []byte, f *Fields) []byte {
	dst = append(dst, '{')
	for i := range f.entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		e := &f.entries[i]
		dst = append(appendString(dst, e.Key), ':')
		if e.Value.kind == String {
			dst = appendString(dst, e.Value.s)
		} else {
			dst = AppendJSON(dst, e.Value)
		}
	}
	return append(dst, '}')
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	from := len(dst)
	if cap(dst)-from < len(s)+2 {
		dst = slices.Grow(dst, len(s)+2)
	}
	out := dst[from : from+len(s)+2]
	out[0] = '"'
	if n := copyPlain(out[1:len(out)-1], bytesOf(s)); n < len(s) {
		return append(appendEscaped(dst[:from+1+n], s, n), '"')
	}
	out[len(out)-1] = '"'
	return dst[:from+len(out)]
}

// copyPlain copies bytes of src to dst, which has the same length, as long as they stand for themselves in a JSON string,
// whatever follows them: ASCII without quotes, backslashes and control characters. It gives how many these are, or fewer; not
// fewer if they are all.
func copyPlain(dst, src []byte) int {
	n := len(src)
	dst = dst[:n]
	switch {
	case n >= 8:
		i := 0
		for ; i+8 <= n; i += 8 {
			x := binary.LittleEndian.Uint64(src[i:])
			binary.LittleEndian.PutUint64(dst[i:], x)
			if (special(x)|x)&highs != 0 {
				return i
			}
		}
		x := binary.LittleEndian.Uint64(src[n-8:])
		binary.LittleEndian.PutUint64(dst[n-8:], x)
		if (special(x)|x)&highs != 0 {
			return i
		}
	case n >= 4:
		first, last := binary.LittleEndian.Uint32(src), binary.LittleEndian.Uint32(src[n-4:])
		x := uint64(first) | uint64(last)<<32
		binary.LittleEndian.PutUint32(dst, first)
		binary.LittleEndian.PutUint32(dst[n-4:], last)
		if (special(x)|x)&highs != 0 {
			return 0
		}
	case n > 0:
		first, middle, last := src[0], src[n>>1], src[n-1]
		x := uint64(first) | uint64(middle)<<8 | uint64(last)<<16 | ones&^0xffffff*' '
		dst[0], dst[n>>1], dst[n-1] = first, middle, last
		if (special(x)|x)&highs != 0 {
			return 0
		}
	}
	return n
}

// appendEscaped appends what stands for s inside of a JSON string, to dst that ends with its first bytes, which are plain.
func appendEscaped(dst []byte, s string, plain int) []byte {
	from, src := len(dst)-plain, bytesOf(s[plain:])
	var beyond uint64 // has a high bit if there is a byte beyond ASCII
	for len(src) >= 8 {
		at := len(dst)
		if cap(dst)-at < len(src)+16 {
			dst = slices.Grow(dst, len(src)+len(src)/8+64)
		}
		out := dst[at : at+16]
		x := binary.LittleEndian.Uint64(src)
		beyond |= x
		binary.LittleEndian.PutUint64(out, x)
		m := special(x) &^ x & highs
		if m == 0 {
			dst, src = dst[:at+8], src[8:]
			continue
		}
		plain := bits.TrailingZeros64(m) >> 3
		if c := src[plain]; c == '"' || c == '\\' {
			out[plain], out[plain+1] = '\\', c
			dst = dst[:at+plain+2]
		} else {
			dst = jackson.AppendEscape(dst[:at+plain], c)
		}
		src = src[plain+1:]
	}
	for _, c := range src {
		beyond |= uint64(c)
		if c < 0x20 || c == '"' || c == '\\' {
			dst = jackson.AppendEscape(dst, c)
		} else {
			dst = append(dst, c)
		}
	}
	if beyond&highs != 0 && !utf8.ValidString(s) {
		return appendEscaped(dst[:from], string([]rune(s)), 0) // what is not UTF-8 becomes U+FFFD, each byte for itself
	}
	return dst
}

// plainBytes counts the bytes in front of the first quote, backslash or control character.
func plainBytes(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if m := special(x) &^ x & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// special sets the highest bit of each byte of x that is a quote, a backslash or a control character. Bytes above the lowest
// such one may be wrong, and those of x that have this bit themselves.
func special(x uint64) uint64 {
	// A quote with another second bit is the blank, the one character below 0x21 that is none of control.
	return ((x ^ ones*0x02) - ones*0x21) | ((x ^ ones*'\\') - ones)
}
