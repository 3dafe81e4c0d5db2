package filter

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/narudata/naru/logstash/event"
)

// rubyStrip is String#strip: blanks and NUL at both ends.
func rubyStrip(s string) string { return strings.Trim(s, "\x00\t\n\v\f\r ") }

// strictFloat is Float("…") of Ruby as JRuby reads it: an error for anything that is no number as a whole. s has no blanks
// around it.
func strictFloat(s string) (float64, error) {
	bad := func() (float64, error) { return 0, fmt.Errorf("%.60q is no number", s) }
	if isHex(s) {
		return hexFloat(s)
	}
	rest := s
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	whole := leadingDigits(rest)
	rest = rest[len(whole):]
	fraction := ""
	if strings.HasPrefix(rest, ".") {
		if fraction = leadingDigits(rest[1:]); fraction == "" {
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
		if digits := leadingDigits(exponent); digits != exponent {
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

// isHex reports that s begins as a hexadecimal number does.
func isHex(s string) bool {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	return len(s) >= 2 && s[0] == '0' && s[1]|0x20 == 'x'
}

// hexFloat reads 0x1a, 0x1.8, 0x1.8p3.
func hexFloat(s string) (float64, error) {
	text := s
	if !strings.ContainsAny(text, "pP") {
		text += "p0"
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.Contains(s, "_") {
		return 0, fmt.Errorf("%.60q is no hexadecimal number", s)
	}
	return f, nil
}

// strictInt is Integer("…") of Ruby: a sign, a prefix of the base (0x 0b 0o 0d, 0 for octal), digits with single underscores
// between them, blanks around.
func strictInt(s string) (event.Value, error) {
	bad := func() (event.Value, error) { return event.Value{}, fmt.Errorf("%.60q is no integer", s) }
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
	if text == "" || text[0] == '_' || text[len(text)-1] == '_' || strings.Contains(text, "__") || len(text) > mostDigits {
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

// floatInt is Integer of a number with a fraction: it is cut off.
func floatInt(f float64) (event.Value, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return event.Value{}, fmt.Errorf("%v is no integer", f)
	}
	if f = math.Trunc(f); f >= -1<<62 && f <= 1<<62 {
		return event.IntValue(int64(f)), nil
	}
	n, _ := new(big.Float).SetFloat64(f).Int(nil)
	return event.BigValue(n), nil
}

// scientificInt is BigDecimal("1e3").to_i.
func scientificInt(s string) (event.Value, error) {
	text := s
	if strings.Contains(s, "_") {
		if strings.HasPrefix(s, "_") || strings.Contains(s, "__") {
			return event.Value{}, fmt.Errorf("%.60q is no number", s)
		}
		text = strings.ReplaceAll(s, "_", "")
	}
	if i := strings.IndexByte(text, '.'); i >= 0 && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') {
		return event.Value{}, fmt.Errorf("%.60q is no number", s)
	}
	d, ok := parseDecimal(text)
	if !ok {
		return event.Value{}, fmt.Errorf("%.60q is no number", s)
	}
	n, ok := d.integer()
	if !ok {
		return event.Value{}, fmt.Errorf("%.60q has too many digits", s)
	}
	return event.BigValue(n), nil
}

// approximate gives a number as a float.
func approximate(v event.Value) float64 {
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
