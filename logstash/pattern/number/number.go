// Package number reads numbers as Ruby does, which is stricter than what is converted by to_i and to_f.
//
// Source: Kernel#Integer and Kernel#Float of JRuby 9.4.
package number

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/narudata/naru/logstash/event"
)

// MostDigits bounds numbers that are written out, so that none of them fills the memory.
const MostDigits = 10_000

// Float is Kernel#Float of Ruby as JRuby reads it: an error for anything that is no number as a whole. Blanks may be
// around it.
func Float(s string) (float64, error) {
	s = strings.Trim(s, " \t\n\f\r")
	bad := func() (float64, error) { return 0, fmt.Errorf("%.60q is no number", s) }
	if IsHex(s) {
		return Hex(s)
	}
	rest := s
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	whole := LeadingDigits(rest)
	rest = rest[len(whole):]
	fraction := ""
	if strings.HasPrefix(rest, ".") {
		if fraction = LeadingDigits(rest[1:]); fraction == "" {
			return bad()
		}
		rest = rest[1+len(fraction):]
	}
	if whole == "" && fraction == "" {
		return bad()
	}
	text := s[:len(s)-len(rest)]
	if rest != "" {
		if rest[0]|0x20 != 'e' || len(rest) == 1 {
			return bad()
		}
		exponent := rest[1:]
		sign := ""
		if exponent[0] == '-' || exponent[0] == '+' {
			sign, exponent = exponent[:1], exponent[1:]
		}
		if digits := LeadingDigits(exponent); digits != exponent {
			return bad()
		}
		if exponent != "" { // 1e+ is 1
			text += "e" + sign + exponent
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return bad()
	}
	return f, nil
}

// IsHex reports that s begins as a hexadecimal number does.
func IsHex(s string) bool {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	return len(s) >= 2 && s[0] == '0' && s[1]|0x20 == 'x'
}

// Hex reads 0x1a and 0x1.8p3: a point needs an exponent, as in JRuby.
func Hex(s string) (float64, error) {
	if !strings.ContainsAny(s, "pP") {
		v, err := Integer(s)
		if f := Approximate(v); f != 0 || s[0] != '-' {
			return f, err
		}
		return math.Copysign(0, -1), err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.Contains(s, "_") {
		return 0, fmt.Errorf("%.60q is no hexadecimal number", s)
	}
	return f, nil
}

// Integer is Kernel#Integer of Ruby: a sign, a prefix of the base (0x 0b 0o 0d, 0 for octal), digits with single underscores
// between them, blanks around.
func Integer(s string) (event.Value, error) {
	bad := func() (event.Value, error) { return event.Value{}, fmt.Errorf("%.60q is no integer", s) }
	if len(s) > 0 && len(s) < 19 && s[0] >= '1' && s[0] <= '9' {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return event.IntValue(n), nil // the usual case
		}
	}
	text := strings.Trim(s, " \t\n\v\f\r")
	negative := false
	if text != "" && (text[0] == '-' || text[0] == '+') {
		negative, text = text[0] == '-', text[1:]
	}
	base := 10
	if len(text) > 1 && text[0] == '0' {
		prefix := 2
		switch text[1] | 0x20 {
		case 'x':
			base = 16
		case 'b':
			base = 2
		case 'o':
			base = 8
		case 'd':
			base = 10
		default:
			base, prefix = 8, 1
			if text[1] == '_' {
				prefix = 2
			}
		}
		text = text[prefix:]
	}
	if text == "" || text[0] == '_' || text[len(text)-1] == '_' || strings.Contains(text, "__") || len(text) > MostDigits {
		return bad()
	}
	if text[0] == '-' || text[0] == '+' {
		return bad()
	}
	n, ok := new(big.Int).SetString(strings.ReplaceAll(text, "_", ""), base)
	if !ok {
		return bad()
	}
	if negative {
		n.Neg(n)
	}
	return event.BigValue(n), nil
}

// LeadingDigits gives the digits that s begins with, with single underscores between them.
func LeadingDigits(s string) string {
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '_' && n > 0 && s[n-1] != '_' && n+1 < len(s) && s[n+1] >= '0' && s[n+1] <= '9') {
		n++
	}
	return s[:n]
}

// Approximate gives a number as a float.
func Approximate(v event.Value) float64 {
	switch v.Kind() {
	case event.Int:
		return float64(v.Int())
	case event.Float:
		return v.Float()
	default:
		f, _ := strconv.ParseFloat(v.Text(), 64) // beyond the range it is infinite, as in Java
		return f
	}
}
