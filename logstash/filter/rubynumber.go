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

// strictFloat is Float("…") of Ruby as JRuby reads it: an error for anything that is no number as a whole. Blanks may be
// around it.
func strictFloat(s string) (float64, error) {
	s = strings.Trim(s, " \t\n\f\r")
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

// hexFloat reads 0x1a and 0x1.8p3: a point needs an exponent, as in JRuby.
func hexFloat(s string) (float64, error) {
	if !strings.ContainsAny(s, "pP") {
		v, err := strictInt(s)
		if f := approximate(v); f != 0 || s[0] != '-' {
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

// strictInt is Integer("…") of Ruby: a sign, a prefix of the base (0x 0b 0o 0d, 0 for octal), digits with single underscores
// between them, blanks around.
func strictInt(s string) (event.Value, error) {
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

// scientificInt is BigDecimal("1e3").to_i as JRuby reads it: one character behind the number is let be (1e3k), more are an
// error (twelve).
//
// Source: RubyBigDecimal.newInstance of JRuby 9.4.
func scientificInt(s string) (event.Value, error) {
	bad := func() (event.Value, error) { return event.Value{}, fmt.Errorf("%.60q is no number", s) }
	text := []rune(strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }))
	leading := len(text) > 0 && text[0] == '_'
	end, removed, ok := cutDecimal(text)
	if !ok || leading {
		return bad()
	}
	rest := end
	for rest < len(text) && isBlank(text[rest]) {
		rest++
	}
	if rest+1 < len(text) {
		return bad()
	}
	end = max(0, end-removed)
	number := string(text[:end])
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(number), "e")
	switch {
	case scientific && (exponent == "" || exponent == "-" || exponent == "+"):
		return bad()
	case !scientific:
		if i := strings.LastIndexAny(number, "+-"); i > 0 {
			number = number[:i]
		}
	}
	if scientific && exponentTooLarge(exponent) {
		if strings.Trim(mantissa, "0") == "" || exponent[0] == '-' {
			return event.IntValue(0), nil
		}
		return event.Value{}, fmt.Errorf("%.60q is infinite", s)
	}
	d, ok := parseDecimal(number)
	if !ok {
		return bad()
	}
	n, ok := d.integer()
	if !ok {
		return event.Value{}, fmt.Errorf("%.60q has too many digits", s)
	}
	return event.BigValue(n), nil
}

// exponentTooLarge reports that an exponent does not fit into 32 bits; one with a sign or a point inside does not, either.
func exponentTooLarge(s string) bool {
	if strings.ContainsAny(s[1:], "+-.") {
		return true
	}
	_, err := strconv.ParseInt(s, 10, 32)
	return errors.Is(err, strconv.ErrRange)
}

// cutDecimal finds where a number ends. It moves what is behind underscores to the front: removed is how many there were.
func cutDecimal(text []rune) (end, removed int, ok bool) {
	digit := func(i int) bool { return i < len(text) && text[i] >= '0' && text[i] <= '9' }
	point, scientific := false, false
	end = len(text)
	at := 0
	for at+removed < end {
		from := at + removed
		switch c := text[from]; {
		case digit(from), c == '-', c == '+':
		case c == '_':
			if from+1 < end && !digit(from+1) {
				return 0, 0, false
			}
			removed++
			continue
		case c == '.':
			if point || from+1 < end && !digit(from+1) {
				return from, removed, true
			}
			point = true
		case c == 'e' || c == 'E' || c == 'd' || c == 'D':
			if scientific {
				return at, removed, true
			}
			scientific = true
			if c|0x20 == 'e' && from+1 < end && !digit(from+1) && text[from+1] != '-' && text[from+1] != '+' {
				return from, removed, true
			}
			text[from] = 'e'
		default:
			return at, removed, true
		}
		text[at] = text[from]
		at++
	}
	return end, removed, true
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
