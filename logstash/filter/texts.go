package filter

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/number"
)

// bytesOf gives the bytes of s, which must not be changed.
func bytesOf(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // read only
}

// optionValue is the value of an option as one of an event.
func optionValue(v any) event.Value {
	switch v := v.(type) {
	case string:
		return event.StringValue(v)
	case int64:
		return event.IntValue(v)
	case float64:
		return event.FloatValue(v)
	case []any:
		list := make([]event.Value, len(v))
		for i, e := range v {
			list[i] = optionValue(e)
		}
		return event.ListValue(list)
	case option.Hash:
		m := event.MapValue()
		for _, p := range v {
			m.Map().Set(p.Key, optionValue(p.Value))
		}
		return m
	default:
		return event.StringValue(option.Text(v))
	}
}

// rubyText is to_s of Ruby: null is empty, lists and maps are printed as inspect prints them.
func rubyText(v event.Value) string {
	if v.Kind() == event.String {
		return v.Str()
	}
	if v.Nil() {
		return ""
	}
	return string(appendInspected(nil, v))
}

// appendInspected is inspect of Ruby.
func appendInspected(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.Absent, event.Null:
		return append(dst, "nil"...)
	case event.String:
		return appendQuoted(dst, v.Str())
	case event.Float:
		return appendRubyFloat(dst, v.Float())
	case event.Decimal:
		return appendRubyDecimal(dst, v.Text())
	case event.List:
		dst = append(dst, '[')
		for i, e := range v.List() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendInspected(dst, e)
		}
		return append(dst, ']')
	case event.Map:
		dst = append(dst, '{')
		for i, e := range v.Map().Entries() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendQuoted(dst, e.Key)
			dst = append(dst, "=>"...)
			dst = appendInspected(dst, e.Value)
		}
		return append(dst, '}')
	default: // Bool, Int, BigInt, Time
		return v.AppendText(dst)
	}
}

// appendRubyFloat is Float#to_s.
func appendRubyFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		text := strconv.FormatFloat(f, 'e', -1, 64)
		digits, exponent, _ := strings.Cut(text, "e")
		dst = append(dst, digits...)
		if !strings.Contains(digits, ".") {
			dst = append(dst, ".0"...)
		}
		return append(append(dst, 'e'), exponent...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if !strings.Contains(string(dst[start:]), ".") {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendRubyDecimal is BigDecimal#to_s: 0.15e1.
func appendRubyDecimal(dst []byte, text string) []byte {
	d, ok := parseDecimal(text)
	if !ok {
		return append(dst, text...)
	}
	if d.unscaled.Sign() == 0 {
		return append(dst, "0.0"...)
	}
	if d.unscaled.Sign() < 0 {
		dst = append(dst, '-')
	}
	digits := new(big.Int).Abs(d.unscaled).String()
	exponent := int64(len(digits)) - d.scale
	dst = append(dst, "0."...)
	dst = append(dst, strings.TrimRight(digits, "0")...)
	return strconv.AppendInt(append(dst, 'e'), exponent, 10)
}

// appendQuoted is String#inspect.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '#' && i+1 < len(s) && strings.IndexByte("{$@", s[i+1]) >= 0:
			dst = append(dst, `\#`...)
		case r < 0x20 && strings.IndexByte("\a\b\t\n\v\f\r\x1b", byte(r)) >= 0:
			dst = append(dst, '\\', "abtnvfre"[strings.IndexByte("\a\b\t\n\v\f\r\x1b", byte(r))])
		case r == utf8.RuneError && n == 1:
			dst = append(dst, `\x`...)
			dst = append(dst, strings.ToUpper(strconv.FormatInt(int64(s[i]), 16))...)
		case !unicode.IsPrint(r) && !unicode.In(r, unicode.Cf, unicode.Co, unicode.Zs) && r != 0x85:
			hex := strings.ToUpper(strconv.FormatInt(int64(r), 16))
			if len(hex) > 4 {
				dst = append(append(append(dst, `\u{`...), hex...), '}')
			} else {
				dst = append(append(append(dst, `\u`...), "0000"[len(hex):]...), hex...)
			}
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}

// rubyInt is String#to_i: digits at the start, with single underscores between them; anything else is 0.
func rubyInt(s string) event.Value {
	s, negative := signed(s)
	digits := leadingDigits(s)
	if len(digits) == 0 {
		return event.IntValue(0)
	}
	text := strings.ReplaceAll(digits, "_", "")
	if negative {
		text = "-" + text
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return event.IntValue(n)
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return event.IntValue(0)
	}
	return event.BigValue(n)
}

// rubyFloat is String#to_f: the number at the start; anything else is 0.
func rubyFloat(s string) event.Value {
	s, negative := signed(s)
	whole := leadingDigits(s)
	text, rest := whole, s[len(whole):]
	if strings.HasPrefix(rest, ".") {
		if fraction := leadingDigits(rest[1:]); fraction != "" {
			text, rest = text+"."+fraction, rest[1+len(fraction):]
		}
	}
	if text == "" {
		return event.FloatValue(0)
	}
	if rest != "" && rest[0]|0x20 == 'e' {
		exponent, down := rest[1:], false
		if exponent != "" && (exponent[0] == '-' || exponent[0] == '+') {
			exponent, down = exponent[1:], exponent[0] == '-'
		}
		if digits := leadingDigits(exponent); digits != "" {
			text += "e"
			if down {
				text += "-"
			}
			text += digits
		}
	}
	f, _ := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64) // beyond the range it is infinite, as in Ruby
	if negative {
		f = -f
	}
	return event.FloatValue(f)
}

// signed cuts blanks and a sign from the start of a number.
func signed(s string) (rest string, negative bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[1:], s[0] == '-'
	}
	return s, false
}

// leadingDigits gives the digits that s begins with, with single underscores between them.
func leadingDigits(s string) string { return number.LeadingDigits(s) }
