package ruby

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// mostWidth is how wide a directive of format may be.
const mostWidth = 100_000

// A directive is one of format: %-08.3f.
type directive struct {
	minus, zero, plus, space, alt bool
	width, precision              int // precision -1: none
}

// format is sprintf.
func (x *exec) format(f string, args []any) string {
	var b strings.Builder
	used := 0
	next := func() any {
		if used >= len(args) {
			x.raise(classArgumentError, "too few arguments")
		}
		used++
		return args[used-1]
	}
	named := func(name string) any {
		if len(args) != 1 {
			x.raise(classArgumentError, "one hash required")
		}
		h, ok := args[0].(*hash)
		if !ok {
			x.raise(classArgumentError, "one hash required")
		}
		v, ok := h.get(x, symbol(name))
		if !ok {
			x.raise(classKeyError, "key<"+name+"> not found")
		}
		return v
	}
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		i++
		d := directive{precision: -1}
		var value any
		has := false
		for ; i < len(f); i++ {
			switch c := f[i]; {
			case c == '-':
				d.minus = true
			case c == '0':
				d.zero = true
			case c == '+':
				d.plus = true
			case c == ' ':
				d.space = true
			case c == '#':
				d.alt = true
			case c == '*':
				if d.width = x.integer(next()); d.width < 0 {
					d.minus, d.width = true, -d.width
				}
			case c >= '1' && c <= '9':
				for ; i < len(f) && f[i] >= '0' && f[i] <= '9'; i++ {
					d.width = min(d.width*10+int(f[i]-'0'), mostWidth+1)
				}
				i--
			case c == '.':
				d.precision = 0
				for i++; i < len(f) && f[i] >= '0' && f[i] <= '9'; i++ {
					d.precision = min(d.precision*10+int(f[i]-'0'), mostWidth+1)
				}
				i--
			case c == '<' || c == '{':
				end := strings.IndexByte(f[i:], map[byte]byte{'<': '>', '{': '}'}[c])
				if end < 0 {
					x.raise(classArgumentError, "malformed name - unmatched parenthesis")
				}
				value, has = named(f[i+1:i+end]), true
				i += end
				if c == '{' {
					b.WriteString(d.pad(x.toS(value)))
					goto done
				}
			default:
				goto verb
			}
		}
	verb:
		if d.width > mostWidth || d.precision > mostWidth {
			x.raise(classArgumentError, "width too big")
		}
		x.alloc(d.width + max(d.precision, 0) + 32)
		if i >= len(f) {
			x.raise(classArgumentError, "incomplete format specifier; use %% (double %) instead")
		}
		if f[i] == '%' {
			b.WriteByte('%')
			continue
		}
		if f[i] == '\n' || f[i] == 0 {
			b.WriteByte('%')
			b.WriteByte(f[i])
			continue
		}
		if !has {
			value = next()
		}
		b.WriteString(x.directive(d, f[i], value))
	done:
	}
	return b.String()
}

// pad fills a text to the width, on its left or right.
func (d *directive) pad(s string) string {
	n := d.width - chars(s)
	if n <= 0 {
		return s
	}
	if d.minus {
		return s + strings.Repeat(" ", n)
	}
	return strings.Repeat(" ", n) + s
}

// number puts sign, prefix and zeros before digits.
func (d *directive) number(negative bool, prefix, digits string) string {
	sign := prefix
	switch {
	case negative:
		sign = "-" + prefix
	case d.plus:
		sign = "+" + prefix
	case d.space:
		sign = " " + prefix
	}
	if n := d.width - len(sign) - len(digits); d.zero && !d.minus && n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	return d.pad(sign + digits)
}

func (x *exec) directive(d directive, verb byte, v any) string {
	switch verb {
	case 's', 'p':
		s := ""
		if verb == 's' {
			s = x.toS(v)
		} else {
			s = x.inspect(v)
		}
		if d.precision >= 0 {
			if n, ok := byteOffset(s, d.precision); ok {
				s = s[:n]
			}
		}
		return d.pad(s)
	case 'c':
		if n, ok := v.(int64); ok {
			return d.pad(string(rune(n)))
		}
		s := x.text(v)
		return d.pad(s[:min(len(s), width(s, 0))])
	case 'd', 'i', 'u', 'x', 'X', 'o', 'b', 'B':
		return x.formatInteger(d, verb, v)
	case 'f', 'e', 'E', 'g', 'G':
		if _, ok := v.(*str); ok || v == nil {
			v = x.toFloatStrict(v)
		}
		f := floatOf(x.number(v, 0.0))
		negative := math.Signbit(f) && !math.IsNaN(f)
		f = math.Abs(f)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			d.zero = false
			return d.number(negative, "", strings.TrimPrefix(strings.Replace(strconv.FormatFloat(f, 'f', -1, 64), "+", "", 1), "-"))
		}
		if d.precision < 0 {
			d.precision = 6
		}
		if verb == 'g' || verb == 'G' {
			return d.number(negative, "", general(f, verb, d))
		}
		return d.number(negative, "", strconv.FormatFloat(f, verb, d.precision, 64))
	}
	x.raise(classArgumentError, "malformed format string - %"+string(verb))
	return ""
}

// general is %g: without zeros at the end.
func general(f float64, verb byte, d directive) string {
	precision := max(d.precision, 1)
	exponent := 0
	if f != 0 {
		_, e, _ := strings.Cut(strconv.FormatFloat(f, 'e', precision-1, 64), "e")
		exponent, _ = strconv.Atoi(e)
	}
	if exponent < -4 || exponent >= precision {
		mantissa, e, _ := strings.Cut(strconv.FormatFloat(f, 'e', precision-1, 64), "e")
		if strings.Contains(mantissa, ".") && !d.alt {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return mantissa + string(verb-2) + e
	}
	s := strconv.FormatFloat(f, 'f', precision-1-exponent, 64)
	if strings.Contains(s, ".") && !d.alt {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func (x *exec) formatInteger(d directive, verb byte, v any) string {
	switch w := v.(type) {
	case *str:
		v = x.toIntegerStrict(w, nil)
	case float64:
		v = x.whole(math.Floor(w))
	default:
		v = x.toIntegerStrict(v, nil)
	}
	n := bigOf(v)
	base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2, 'B': 2}[verb]
	if base == 0 {
		base = 10
	}
	digits := new(big.Int).Abs(n).Text(base)
	negative := n.Sign() < 0
	if negative && base != 10 && !d.plus && !d.space { // two's complement, with dots before
		bitsPer := map[int]uint{16: 4, 8: 3, 2: 1}[base]
		count := uint(len(digits)) + 1
		digits = new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), count*bitsPer), n).Text(base)
		top := map[int]string{16: "f", 8: "7", 2: "1"}[base]
		digits = ".." + top + strings.TrimLeft(digits, top)
		negative = false
	}
	prefix := ""
	if d.alt && n.Sign() != 0 {
		prefix = map[byte]string{'x': "0x", 'X': "0X", 'o': "0", 'b': "0b", 'B': "0B"}[verb]
	}
	if verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if d.precision >= 0 {
		if n := d.precision - len(digits); n > 0 {
			digits = strings.Repeat("0", n) + digits
		}
		d.zero = false
	}
	return d.number(negative, prefix, digits)
}
