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
