package event

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"

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
	dst = append(dst, '"')
	plain := plainBytes(s)
	dst = append(dst, s[:plain]...)
	if plain < len(s) {
		dst = appendEscaped(dst, s[plain:])
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= 0x80:
			n, ok := validRune(s[i:])
			if !ok {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		case c < 0x20 || c == '"' || c == '\\':
			dst = jackson.AppendEscape(append(dst, s[from:i]...), c)
			from = i + 1
		}
		i++
	}
	return append(dst, s[from:]...)
}

// plainBytes counts the bytes at the beginning of s that stand for themselves in a JSON string, whatever follows them: ASCII
// without quotes, backslashes and control characters.
func plainBytes(s string) int {
	b := bytesOf(s)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if m := (special(x) | x) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// special sets the highest bit of each byte of x that is a quote, a backslash or a control character. Bytes above the lowest
// such one may be wrong.
func special(x uint64) uint64 {
	quote := x ^ ones*'"'
	slash := x ^ ones*'\\'
	return (x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash
}
