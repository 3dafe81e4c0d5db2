package joda

import (
	"math"
	"unicode"
	"unicode/utf8"
)

// number reads up to most digits, with a sign before them when signed; end is -1 when there is none.
func number(text []byte, pos, most int, signed bool) (value int32, end int) {
	if pos >= len(text) {
		return 0, -1
	}
	negative := false
	if c := text[pos]; c-'0' > 9 {
		if !signed || c != '-' && c != '+' || most < 2 {
			return 0, -1
		}
		negative = c == '-'
		pos++
	}
	limit := min(len(text), pos+most)
	n := int64(0)
	i := pos
	for ; i < limit; i++ {
		d := text[i] - '0'
		if d > 9 {
			break
		}
		if n = n*10 + int64(d); n > math.MaxInt32+1 {
			return 0, -1
		}
	}
	if i == pos {
		return 0, -1
	}
	if negative {
		n = -n
	}
	if n != int64(int32(n)) {
		return 0, -1
	}
	return int32(n), i
}

// twoDigitYear reads two digits as one of the hundred years around the pivot.  When lenient, any other number of digits,
// and digits behind a sign, are the year itself.
func twoDigitYear(text []byte, pos int, pivot int32, lenient bool) (int32, int) {
	if lenient {
		start := pos
		for pos < len(text) && text[pos] == '+' {
			pos++
		}
		if pos < len(text) && text[pos] == '-' {
			if pos+1 < len(text) && text[pos+1]-'0' > 9 {
				// Joda-Time takes the character behind a lone minus for a digit, without passing it.
				r, _ := utf8.DecodeRune(text[pos+1:])
				return '0' - min(r, 0xffff), pos + 1
			}
			return number(text, pos, len(text), true)
		}
		if n := digits(text, pos, len(text)); n != 2 || pos > start {
			return number(text, pos, max(n, 1), false)
		}
	}
	if len(text)-pos < 2 || text[pos]-'0' > 9 || text[pos+1]-'0' > 9 {
		return 0, -1
	}
	year := twoDigits(text, pos)
	low := pivot - 50
	t := int32(floorMod(int64(low), 100))
	if year < t {
		year += 100
	}
	return year + low - t, pos + 2
}

// fraction reads digits behind the decimal point of a unit and gives them in whole milliseconds.
func fraction(text []byte, pos, most int, unit int64) (int32, int) {
	limit := min(len(text), pos+most)
	value, n := int64(0), unit*10
	i := pos
	for ; i < limit; i++ {
		d := text[i] - '0'
		if d > 9 {
			break
		}
		n /= 10
		value += int64(d) * n
	}
	if i == pos {
		return 0, -1
	}
	return int32(value / 10), i
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// sameByte compares one ASCII character in either case with a lower-case one.
func sameByte(text []byte, pos int, lit byte) bool {
	c := text[pos]
	return c == lit || lower(c) == lit
}

// matchFold compares literal text character by character, in either case, and gives the position behind it or -1.
func matchFold(text []byte, pos int, lit string) int {
	if len(text)-pos >= len(lit) && string(text[pos:pos+len(lit)]) == lit {
		return pos + len(lit)
	}
	for _, want := range lit {
		if pos >= len(text) {
			return -1
		}
		got, n := utf8.DecodeRune(text[pos:])
		if !sameFold(got, want) {
			return -1
		}
		pos += n
	}
	return pos
}

// sameFold compares as Joda-Time does: Java knows no case beyond the 16 bits of one char.
func sameFold(a, b rune) bool {
	if a == b {
		return true
	}
	if a > 0xffff || b > 0xffff {
		return false
	}
	return unicode.ToUpper(a) == unicode.ToUpper(b) || unicode.ToLower(a) == unicode.ToLower(b)
}

// readOffset reads a Z when that is allowed, or a sign, two digits of hours and optional minutes, seconds and milliseconds, with or without colons.
func (z *zoneFound) readOffset(text []byte, pos int, zero bool) int {
	if zero && pos < len(text) && lower(text[pos]) == 'z' {
		z.offset, z.hasOffset = 0, true
		return pos + 1
	}
	if len(text)-pos < 3 {
		return -1
	}
	sign := text[pos]
	if sign != '-' && sign != '+' {
		return -1
	}
	if len(text)-pos == 5 { // +hhmm at the end
		a, b, c, d := text[pos+1]-'0', text[pos+2]-'0', text[pos+3]-'0', text[pos+4]-'0'
		if hours, minutes := int32(a)*10+int32(b), int32(c)*10+int32(d); a <= 9 && b <= 9 && c <= 9 && d <= 9 && hours <= 23 && minutes <= 59 {
			z.offset, z.hasOffset = hours*msHour+minutes*msMinute, true
			if sign == '-' {
				z.offset = -z.offset
			}
			return pos + 5
		}
	}
	value, end := offsetValue(text, pos+1)
	if end < 0 {
		return -1
	}
	if sign == '-' {
		value = -value
	}
	z.offset, z.hasOffset = value, true
	return end
}

// digits counts digits, up to most.
func digits(text []byte, pos, most int) int {
	n := 0
	for n < most && pos+n < len(text) && text[pos+n]-'0' <= 9 {
		n++
	}
	return n
}

func twoDigits(text []byte, pos int) int32 { return int32(text[pos]-'0')*10 + int32(text[pos+1]-'0') }

// offsetValue reads an offset behind its sign.
func offsetValue(text []byte, pos int) (int32, int) {
	if digits(text, pos, 2) < 2 {
		return 0, -1
	}
	hours := twoDigits(text, pos)
	if hours > 23 {
		return 0, -1
	}
	pos += 2
	value := hours * msHour
	if pos >= len(text) {
		return value, pos
	}
	colons := text[pos] == ':'
	if colons {
		pos++
	} else if text[pos]-'0' > 9 {
		return value, pos
	}
	for _, unit := range [2]int32{msMinute, msSecond} {
		n := digits(text, pos, 2)
		if n == 0 && !colons {
			return value, pos
		}
		if n < 2 {
			return 0, -1
		}
		part := twoDigits(text, pos)
		if part > 59 {
			return 0, -1
		}
		value += part * unit
		pos += 2
		if pos >= len(text) {
			return value, pos
		}
		if colons {
			if c := text[pos]; unit == msMinute && c != ':' || unit == msSecond && c != '.' && c != ',' {
				return value, pos
			}
			pos++
		}
	}
	n := digits(text, pos, 3)
	if n == 0 {
		if colons {
			return 0, -1
		}
		return value, pos
	}
	for i, unit := 0, int32(100); i < n; i, unit = i+1, unit/10 {
		value += int32(text[pos+i]-'0') * unit
	}
	return value, pos + n
}
