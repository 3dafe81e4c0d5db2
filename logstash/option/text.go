package option

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Text gives a raw value as Ruby's to_s: what %{…} and texts are made of where an option has another value.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return rubyFloat(v)
	case nil:
		return ""
	case Codec:
		return v.Name
	default:
		return inspect(v)
	}
}

// inspect gives a value as Ruby's inspect.
func inspect(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case nil:
		return "nil"
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(inspect(e))
		}
		b.WriteByte(']')
		return b.String()
	case Hash:
		b.WriteByte('{')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s=>%s", strconv.Quote(e.Key), inspect(e.Value))
		}
		b.WriteByte('}')
		return b.String()
	default:
		return Text(v)
	}
}

// rubyFloat is Float#to_s: a point always, an exponent below 1e-4 and from 1e16 on.
func rubyFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case math.IsNaN(f):
		return "NaN"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "e")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		return mantissa + "e" + exponent
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// number reads a text as a number where Ruby would print the number as the same text again.
func number(s string) (any, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return n, true
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && rubyFloat(f) == s && strings.Contains(s, ".") {
		return f, true
	}
	return nil, false
}

// ParseBytes reads a size as options have them: "10 MiB".
func ParseBytes(s string) (Bytes, error) {
	n, ok := size(s)
	if !ok {
		return 0, fmt.Errorf("expected a size like 64mb, found %q", s)
	}
	return Bytes(n), nil
}

// size reads a size. Units are those of the gem filesize: kB is 1000 bytes, KiB 1024, and so on.
func size(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 0, 64); err == nil {
		return n, true
	}
	lower := strings.ToLower(s)
	rest, ok := strings.CutSuffix(lower, "b")
	if !ok {
		return 0, false
	}
	base := 1000.0
	if short, binary := strings.CutSuffix(rest, "i"); binary {
		rest, base = short, 1024
	}
	power := 0
	if n := len(rest); n > 0 {
		if p := strings.IndexByte("kmgtpezy", rest[n-1]); p >= 0 {
			power, rest = p+1, rest[:n-1]
		} else if base == 1024 {
			return 0, false
		}
	}
	rest = strings.TrimSuffix(rest, " ")
	f, err := strconv.ParseFloat(rest, 64)
	if err != nil || strings.ContainsAny(rest, "+-ex_") {
		return 0, false
	}
	bytes := f * math.Pow(base, float64(power))
	if bytes >= math.MaxInt64 {
		return 0, false
	}
	return int64(bytes), true
}
