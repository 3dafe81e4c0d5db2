// Package jackson prints JSON as the servers do, whose generator is Jackson's: the same escapes, the same
// digits of a floating-point number, the same base64. It appends to a buffer and never fails.
package jackson

import (
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
	"unicode/utf16"
)

const hexDigits = "0123456789ABCDEF"

// AppendString appends s, which must be UTF-8, as a JSON string. The quotation mark, the backslash and control
// characters are escaped, those without a short form as \u00XX with upper-case digits; characters beyond
// U+FFFF as two surrogates.
func AppendString[S []byte | string](dst []byte, s S) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c < 0xf0 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		if c < 0xf0 || len(s)-i < 4 {
			dst = AppendEscape(dst, c)
			from = i + 1
			continue
		}
		r := rune(c&7)<<18 | rune(s[i+1]&0x3f)<<12 | rune(s[i+2]&0x3f)<<6 | rune(s[i+3]&0x3f)
		hi, lo := utf16.EncodeRune(r)
		dst = appendUnit(appendUnit(dst, hi), lo)
		i += 3
		from = i + 1
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func appendUnit(dst []byte, u rune) []byte {
	return append(dst, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// AppendEscape appends the escape sequence of an ASCII character.
func AppendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// AppendBase64 appends b as a JSON string in base64 with padding and no line feeds.
func AppendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendFloat64 appends f as Java's Double.toString prints it (the shortest form that reads back as f, the
// rule of Java 19; older ones sometimes print a digit more). What is no number is a string: "NaN", "Infinity".
func AppendFloat64(dst []byte, f float64) []byte { return appendFloat(dst, f, 64) }

// AppendFloat32 appends f as Java's Float.toString prints it.
func AppendFloat32(dst []byte, f float32) []byte { return appendFloat(dst, float64(f), 32) }

func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	if math.Signbit(f) {
		dst = append(dst, '-')
		f = -f
	}
	if f == 0 {
		return append(dst, "0.0"...)
	}
	var room [32]byte
	text := strconv.AppendFloat(room[:0], f, 'e', -1, bits) // d[.ddd]e±dd
	if text[1] == 'e' {
		// Java prints two digits at least, and of these the ones nearest to f: 4.9E-324, not 5.0E-324.
		var two [32]byte
		t := strconv.AppendFloat(two[:0], f, 'e', 1, bits)
		if back, err := strconv.ParseFloat(string(t), bits); err == nil && back == f {
			text = append(room[:0], t...)
		}
	}
	var digits [24]byte
	n, i := 0, 0
	for ; text[i] != 'e'; i++ {
		if text[i] != '.' {
			digits[n] = text[i]
			n++
		}
	}
	exp := 0
	for _, c := range text[i+2:] {
		exp = exp*10 + int(c-'0')
	}
	if text[i+1] == '-' {
		exp = -exp
	}
	d := digits[:n]
	for len(d) > 1 && d[len(d)-1] == '0' {
		d = d[:len(d)-1]
	}
	switch {
	case exp >= 0 && exp < 7: // ddd.ddd
		for k := 0; k <= exp; k++ {
			dst = append(dst, digitAt(d, k))
		}
		dst = append(dst, '.')
		if len(d) <= exp+1 {
			return append(dst, '0')
		}
		return append(dst, d[exp+1:]...)
	case exp < 0 && exp >= -3: // 0.00ddd
		dst = append(dst, '0', '.')
		for k := exp + 1; k < 0; k++ {
			dst = append(dst, '0')
		}
		return append(dst, d...)
	}
	dst = append(dst, d[0], '.')
	if len(d) == 1 {
		dst = append(dst, '0')
	} else {
		dst = append(dst, d[1:]...)
	}
	dst = append(dst, 'E')
	return strconv.AppendInt(dst, int64(exp), 10)
}

func digitAt(d []byte, k int) byte {
	if k < len(d) {
		return d[k]
	}
	return '0'
}

// AppendDecimal appends unscaled × 10^-scale as Java's BigDecimal.toString prints it. A number that is not in
// scientific form has at most five zeros more than unscaled has digits.
func AppendDecimal(dst []byte, unscaled *big.Int, scale int32) []byte {
	digits := new(big.Int).Abs(unscaled).String()
	if unscaled.Sign() < 0 {
		dst = append(dst, '-')
	}
	if scale == 0 {
		return append(dst, digits...)
	}
	adjusted := int64(len(digits)-1) - int64(scale)
	if scale > 0 && adjusted >= -6 {
		if whole := len(digits) - int(scale); whole > 0 {
			dst = append(dst, digits[:whole]...)
			dst = append(dst, '.')
			return append(dst, digits[whole:]...)
		}
		dst = append(dst, '0', '.')
		for range int(scale) - len(digits) {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(dst, '.')
		dst = append(dst, digits[1:]...)
	}
	if adjusted == 0 {
		return dst
	}
	dst = append(dst, 'E')
	if adjusted > 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, adjusted, 10)
}
