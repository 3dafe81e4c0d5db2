package ruby

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

var stringConversions = table{
	"to_s":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"to_str": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"to_sym": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return symbol(strings.Clone(s.(*str).s)) }, false},
	"intern": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return symbol(strings.Clone(s.(*str).s)) }, false},
	"to_i":   {0, 1, func(x *exec, s any, a []any, _ *proc) any { return x.leadingInteger(s.(*str).s, x.radix(a)) }, false},
	"to_f":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return leadingFloat(s.(*str).s) }, false},
	"to_d": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		if d, ok := parseDecimal(strings.TrimSpace(s.(*str).s)); ok {
			return newDecimal(d.coef, d.exp)
		}
		return x.decimalOf(leadingFloat(s.(*str).s))
	}, false},
	"hex": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.leadingInteger(s.(*str).s, 16) }, false},
	"oct": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.leadingInteger(s.(*str).s, 8) }, false},
	"upto": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		for _, v := range x.items(&rng{from: s, to: a[0]}) {
			x.call1(b, v)
		}
		return s
	}, true},
}

// leadingInteger is to_i: the digits that the text begins with.
func (x *exec) leadingInteger(s string, base int) any {
	s = strings.TrimLeft(s, space)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	prefix := map[int]string{16: "0x", 2: "0b", 8: "0o"}[base]
	if prefix != "" && len(s) > 2 && strings.EqualFold(s[:2], prefix) {
		s = s[2:]
	}
	digits := make([]byte, 0, 20)
	for i := range len(s) {
		if s[i] == '_' && len(digits) > 0 && s[i-1] != '_' {
			continue
		}
		if digitValue(s[i]) >= base {
			break
		}
		digits = append(digits, s[i])
	}
	if len(digits) == 0 {
		return int64(0)
	}
	return x.bigText(sign+string(digits), base)
}

func digitValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	}
	return 99
}

// bigText reads digits that were checked.
func (x *exec) bigText(s string, base int) any {
	if n, err := strconv.ParseInt(s, base, 64); err == nil {
		return n
	}
	if len(s) > mostBits/6 {
		x.raise(classRangeError, "the number is too large")
	}
	x.step(len(s) * len(s) / 1024)
	n, _ := new(big.Int).SetString(s, base)
	if n == nil {
		return int64(0)
	}
	return normal(n)
}

// floatPrefix gives the length of the number that a text begins with.
func floatPrefix(s string) int {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := func() bool {
		from := i
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '_' && i > from && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9') {
			i++
		}
		return i > from
	}
	if !digits() && !(i+1 < len(s) && s[i] == '.') {
		return 0
	}
	end := i
	if i < len(s) && s[i] == '.' {
		i++
		if digits() {
			end = i
		} else {
			return end
		}
	}
	if i = end; i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '-' || s[i] == '+') {
			i++
		}
		if digits() {
			end = i
		}
	}
	return end
}

func leadingFloat(s string) float64 {
	s = strings.TrimLeft(s, space)
	f, err := strconv.ParseFloat(strings.ReplaceAll(s[:floatPrefix(s)], "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0
	}
	return f
}

// toIntegerStrict is Integer(v).
func (x *exec) toIntegerStrict(v any, args []any) any {
	switch v := v.(type) {
	case nil:
		x.raise(classTypeError, "can't convert nil into Integer")
	case int64, *big.Int, float64, *decimal:
		return x.toInteger(v)
	case *timeValue:
		return v.t.Unix()
	case *timestamp:
		return v.t.Unix()
	case *str:
		base := 0
		if len(args) > 0 {
			base = x.integer(args[0])
		}
		s := strings.Trim(v.s, space)
		bad := func() { x.raise(classArgumentError, "invalid value for Integer(): "+quote(v.s)) }
		sign := ""
		if s != "" && (s[0] == '-' || s[0] == '+') {
			sign, s = strings.TrimPrefix(s[:1], "+"), s[1:]
		}
		lower := strings.ToLower(s)
		for prefix, b := range map[string]int{"0x": 16, "0b": 2, "0o": 8} {
			if strings.HasPrefix(lower, prefix) && (base == 0 || base == b) {
				base, s = b, s[2:]
				break
			}
		}
		if base == 0 {
			base = 10
			if len(s) > 1 && s[0] == '0' {
				base = 8
			}
		}
		if s == "" || s[0] == '_' || s[len(s)-1] == '_' || strings.Contains(s, "__") {
			bad()
		}
		s = strings.ReplaceAll(s, "_", "")
		for i := range len(s) {
			if digitValue(s[i]) >= base {
				bad()
			}
		}
		return x.bigText(sign+s, base)
	}
	x.raise(classTypeError, "can't convert "+implicit(v)+" into Integer")
	return nil
}

// toFloatStrict is Float(v).
func (x *exec) toFloatStrict(v any) any {
	switch v := v.(type) {
	case nil:
		x.raise(classTypeError, "can't convert nil into Float")
	case int64, *big.Int, float64, *decimal:
		return floatOf(v)
	case *str:
		s := strings.Trim(v.s, space)
		if lower := strings.ToLower(s); strings.HasPrefix(lower, "0x") {
			return floatOf(x.toIntegerStrict(v, nil))
		}
		if s == "" || floatPrefix(s) != len(s) {
			x.raise(classArgumentError, "invalid value for Float(): "+quote(v.s))
		}
		return leadingFloat(s)
	}
	x.raise(classTypeError, "can't convert "+implicit(v)+" into Float")
	return nil
}
