package smile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/format/tree"
)

// Lengths up to which Jackson writes the short forms, in bytes. Its reader takes one more of those with UTF-8.
const (
	maxShortText    = 64 // values, and names in ASCII
	maxShortUnicode = 56 // names in UTF-8
)

// Append appends a header and the value, which is one of a tree (see package tree), so that Jackson reads it
// whatever its features are: no name and no value is shared, and bytes are written with seven bits each.
//
//   - int64 takes the smallest of the forms of integers, as Jackson does, and *big.Int stays a big integer.
//   - A json.Number without fraction and exponent is an int64 if it fits, else a big integer; one with them is a
//     float64 if that stands for the same number in its shortest decimal form, as in "0.10", else a big decimal of
//     the same digits. One that is no JSON number is an error.
//   - Text must be UTF-8, a big number have at most 16 KiB, and nesting stay within 1000 levels, for DecodeTree
//     refuses anything else.
//
// On an error dst is returned as it was.
func Append(dst []byte, v any) ([]byte, error) {
	out := append(dst, Header...)
	out, err := appendTree(append(out, 0), v, 0)
	if err != nil {
		return dst, fmt.Errorf("write smile: %w", err)
	}
	return out, nil
}

func appendTree(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, 0x21), nil
	case bool:
		if v {
			return append(dst, 0x23), nil
		}
		return append(dst, 0x22), nil
	case string:
		return appendText(dst, v)
	case []byte:
		dst = appendVint(append(dst, 0xe8), uint64(len(v)))
		return appendSevenBit(dst, v), nil
	case int64:
		return appendInt(dst, v), nil
	case *big.Int:
		return appendBig(append(dst, 0x26), v)
	case float32:
		return appendFloat(append(dst, 0x28), uint64(int64(int32(math.Float32bits(v)))), 5), nil
	case float64:
		return appendFloat(append(dst, 0x29), math.Float64bits(v), 10), nil
	case json.Number:
		return appendNumber(dst, v.String())
	case []any:
		if depth >= maxDepth {
			return nil, fmt.Errorf("nested deeper than %d", maxDepth)
		}
		dst = append(dst, 0xf8)
		var err error
		for i := range v {
			if dst, err = appendTree(dst, v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, 0xf9), nil
	case tree.Object:
		if depth >= maxDepth {
			return nil, fmt.Errorf("nested deeper than %d", maxDepth)
		}
		dst = append(dst, 0xfa)
		var err error
		for _, m := range v {
			if dst, err = appendName(dst, m.Name); err != nil {
				return nil, err
			}
			if dst, err = appendTree(dst, m.Value, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, 0xfb), nil
	default:
		return nil, fmt.Errorf("BUG: a %T is no value of a tree", v)
	}
}

// textKind says whether a string is ASCII. One that is not UTF-8 is an error.
func textKind(s string) (ascii bool, err error) {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			if !utf8.ValidString(s) {
				return false, fmt.Errorf("text is not UTF-8: %.40q", s)
			}
			return false, nil
		}
	}
	return true, nil
}

func appendText(dst []byte, s string) ([]byte, error) {
	ascii, err := textKind(s)
	if err != nil {
		return nil, err
	}
	switch n := len(s); {
	case n == 0:
		return append(dst, 0x20), nil
	case n <= maxShortText && ascii:
		return append(append(dst, byte(0x40+n-1)), s...), nil
	case n <= maxShortText:
		return append(append(dst, byte(0x80+n-2)), s...), nil
	case ascii:
		dst = append(dst, 0xe0)
	default:
		dst = append(dst, 0xe4)
	}
	return append(append(dst, s...), endOfText), nil
}

func appendName(dst []byte, s string) ([]byte, error) {
	ascii, err := textKind(s)
	if err != nil {
		return nil, err
	}
	switch n := len(s); {
	case n == 0:
		return append(dst, 0x20), nil
	case n <= maxShortText && ascii:
		return append(append(dst, byte(0x80+n-1)), s...), nil
	case n <= maxShortUnicode && !ascii:
		return append(append(dst, byte(0xc0+n-2)), s...), nil
	}
	return append(append(append(dst, 0x34), s...), endOfText), nil
}

func appendInt(dst []byte, v int64) []byte {
	z := uint64(v<<1) ^ uint64(v>>63)
	switch {
	case v >= -16 && v <= 15:
		return append(dst, byte(0xc0+z))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		return appendVint(append(dst, 0x24), z)
	default:
		return appendVint(append(dst, 0x25), z)
	}
}

// appendVint appends v, the most significant bits first.
func appendVint(dst []byte, v uint64) []byte {
	var room [10]byte
	i := len(room) - 1
	room[i] = byte(v&0x3f) | 0x80
	for v >>= 6; v > 0; v >>= 7 {
		i--
		room[i] = byte(v & 0x7f)
	}
	return append(dst, room[i:]...)
}

// appendFloat appends the lowest 7×width bits.
func appendFloat(dst []byte, bits uint64, width int) []byte {
	for i := width - 1; i >= 0; i-- {
		dst = append(dst, byte(bits>>(7*i))&0x7f)
	}
	return dst
}

// appendSevenBit appends b as decoder.sevenBit reads it.
func appendSevenBit(dst, b []byte) []byte {
	for len(b) >= 7 {
		v := uint64(0)
		for _, c := range b[:7] {
			v = v<<8 | uint64(c)
		}
		for shift := 49; shift >= 0; shift -= 7 {
			dst = append(dst, byte(v>>shift)&0x7f)
		}
		b = b[7:]
	}
	if n := len(b); n > 0 {
		v := uint64(0)
		for _, c := range b {
			v = v<<8 | uint64(c)
		}
		for k := 1; k <= n; k++ {
			dst = append(dst, byte(v>>(8*n-7*k))&0x7f)
		}
		dst = append(dst, byte(v)&(1<<n-1))
	}
	return dst
}

// appendBig appends the length and the bytes of a number in two's complement, the fewest that hold its sign.
func appendBig(dst []byte, v *big.Int) ([]byte, error) {
	if v == nil {
		return nil, errors.New("BUG: a big integer that is nil")
	}
	magnitude := v
	if v.Sign() < 0 {
		magnitude = new(big.Int).Not(v) // -v-1, which has as many bits as v needs beside its sign
	}
	n := magnitude.BitLen()/8 + 1
	if n > maxNumber {
		return nil, fmt.Errorf("a number of %d bytes, at most %d may be written", n, maxNumber)
	}
	raw := magnitude.FillBytes(make([]byte, n))
	if v.Sign() < 0 {
		for i := range raw {
			raw[i] = ^raw[i]
		}
	}
	return appendSevenBit(appendVint(dst, uint64(n)), raw), nil
}

func appendNumber(dst []byte, text string) ([]byte, error) {
	if len(text) > 4*maxNumber {
		return nil, fmt.Errorf("a number of %d characters", len(text))
	}
	d, ok := parseDecimal(text)
	if !ok {
		return nil, fmt.Errorf("%.40q is no number", text)
	}
	if d.integer {
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return appendInt(dst, v), nil
		}
		v, _ := new(big.Int).SetString(text, 10)
		return appendBig(append(dst, 0x26), v)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err == nil {
		if shortest, ok := parseDecimal(strconv.FormatFloat(f, 'e', -1, 64)); ok && shortest.same(d) {
			return appendFloat(append(dst, 0x29), math.Float64bits(f), 10), nil
		}
	}
	if d.scale < math.MinInt32 || d.scale > math.MaxInt32 {
		return nil, fmt.Errorf("the exponent of %.40q is too large", text)
	}
	unscaled, _ := new(big.Int).SetString(d.digits, 10)
	if d.negative {
		unscaled.Neg(unscaled)
	}
	scale := d.scale
	dst = appendVint(append(dst, 0x2a), uint64(uint32(scale<<1)^uint32(scale>>63)))
	return appendBig(dst, unscaled)
}

// A decimal is digits × 10^-scale.
type decimal struct {
	negative bool
	digits   string // not empty
	scale    int64
	integer  bool // written without fraction and exponent
}

// parseDecimal reads a number as JSON has it.
func parseDecimal(text string) (d decimal, ok bool) {
	rest, negative := strings.CutPrefix(text, "-")
	whole, rest := leadingDigits(rest)
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return d, false
	}
	d = decimal{negative: negative, digits: whole, integer: rest == ""}
	if after, found := strings.CutPrefix(rest, "."); found {
		var fraction string
		if fraction, rest = leadingDigits(after); fraction == "" {
			return d, false
		}
		d.digits += fraction
		d.scale = int64(len(fraction))
	}
	if rest == "" {
		return d, true
	}
	if rest[0] != 'e' && rest[0] != 'E' {
		return d, false
	}
	sign := strings.TrimLeft(rest[1:], "+-")
	if exponent, end := leadingDigits(sign); exponent == "" || end != "" || len(rest)-1-len(sign) > 1 {
		return d, false
	}
	exponent, err := strconv.ParseInt(rest[1:], 10, 64)
	if err != nil || exponent > math.MaxInt32 || exponent < math.MinInt32 {
		exponent = int64(cmp.Compare(exponent, 0)) * math.MaxInt32 * 4 // far outside of every scale
	}
	d.scale -= exponent
	return d, true
}

func leadingDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// same reports whether two decimals are the same number with the same sign.
func (d decimal) same(other decimal) bool {
	d, other = d.normal(), other.normal()
	return d.negative == other.negative && d.digits == other.digits && d.scale == other.scale
}

// normal gives the same number without zeros at either end.
func (d decimal) normal() decimal {
	d.digits = strings.TrimLeft(d.digits, "0")
	if d.digits == "" {
		d.scale = 0
	}
	trimmed := strings.TrimRight(d.digits, "0")
	d.scale -= int64(len(d.digits) - len(trimmed))
	d.digits = trimmed
	return d
}
