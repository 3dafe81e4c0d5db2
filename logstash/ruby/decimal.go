package ruby

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// A decimal is a BigDecimal: coef × 10^exp.
type decimal struct {
	coef *big.Int
	exp  int
	text string // as Java printed it where it came from; "" for results
}

func newDecimal(coef *big.Int, exp int) *decimal { return &decimal{coef: coef, exp: exp} }

// mostScale is how many digits before or behind the point there are at most.
const mostScale = 5000

// parseDecimal reads a number as JSON writes it.
func parseDecimal(s string) (*decimal, bool) {
	mantissa, exponent, hasExp := strings.Cut(strings.ToLower(s), "e")
	exp := 0
	if hasExp {
		var err error
		if exp, err = strconv.Atoi(exponent); err != nil || exp > mostScale || exp < -mostScale {
			return nil, false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if len(whole)+len(fraction) > mostScale {
		return nil, false
	}
	digits := whole + fraction
	coef, ok := new(big.Int).SetString(strings.TrimPrefix(digits, "+"), 10)
	return &decimal{coef: coef, exp: exp - len(fraction), text: s}, ok
}

func (d *decimal) float() float64 {
	f, _ := strconv.ParseFloat(d.coef.String()+"e"+strconv.Itoa(d.exp), 64)
	return f
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func (d *decimal) rat() *big.Rat {
	if d.exp >= 0 {
		return new(big.Rat).SetInt(new(big.Int).Mul(d.coef, pow10(d.exp)))
	}
	return new(big.Rat).SetFrac(d.coef, pow10(-d.exp))
}

func (d *decimal) integer() *big.Int {
	r := d.rat()
	return new(big.Int).Quo(r.Num(), r.Denom())
}

// java prints it as java.math.BigDecimal does.
func (d *decimal) java() string {
	if d.text != "" {
		return d.text
	}
	digits := new(big.Int).Abs(d.coef).String()
	sign := ""
	if d.coef.Sign() < 0 {
		sign = "-"
	}
	adjusted := d.exp + len(digits) - 1
	switch {
	case d.exp == 0:
		return sign + digits
	case d.exp < 0 && adjusted >= -6:
		if n := len(digits) + d.exp; n > 0 {
			return sign + digits[:n] + "." + digits[n:]
		}
		return sign + "0." + strings.Repeat("0", -d.exp-len(digits)) + digits
	}
	if len(digits) > 1 {
		digits = digits[:1] + "." + digits[1:]
	}
	exponent := strconv.Itoa(adjusted)
	if adjusted >= 0 {
		exponent = "+" + exponent
	}
	return sign + digits + "E" + exponent
}

// ruby prints it as BigDecimal#to_s does: 0.15e1.
func (d *decimal) ruby() string {
	if d.coef.Sign() == 0 {
		return "0.0"
	}
	digits := new(big.Int).Abs(d.coef).String()
	exp := d.exp + len(digits)
	sign := ""
	if d.coef.Sign() < 0 {
		sign = "-"
	}
	return sign + "0." + strings.TrimRight(digits, "0") + "e" + strconv.Itoa(exp)
}

// plainText prints it without an exponent.
func (d *decimal) plainText() string {
	s := d.rat().FloatString(max(0, -d.exp))
	if strings.Contains(s, ".") {
		s = strings.TrimRight(s, "0")
		if strings.HasSuffix(s, ".") {
			s += "0"
		}
		return s
	}
	return s + ".0"
}

func (x *exec) decimalOf(v any) *decimal {
	switch v := v.(type) {
	case *decimal:
		return v
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			if d, ok := parseDecimal(strconv.FormatFloat(v, 'e', -1, 64)); ok {
				return newDecimal(d.coef, d.exp)
			}
		}
		x.raise(classFloatDomainError, floatText(v))
	case *str:
		d, ok := parseDecimal(strings.TrimSpace(v.s))
		if !ok {
			x.raise(classArgumentError, "invalid value for BigDecimal(): "+x.inspect(v))
		}
		return newDecimal(d.coef, d.exp)
	}
	return newDecimal(bigOf(v), 0)
}

func (x *exec) decimalArithmetic(op byte, av, bv any) any {
	for _, v := range []any{av, bv} {
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return x.floatArithmetic(op, floatOf(av), floatOf(bv))
		}
	}
	a, b := x.decimalOf(av), x.decimalOf(bv)
	x.step((a.coef.BitLen() + b.coef.BitLen()) / 64)
	if a.exp > mostScale || a.exp < -mostScale || b.exp > mostScale || b.exp < -mostScale || a.coef.BitLen()+b.coef.BitLen() > mostBits {
		x.raise(classRangeError, "the number is too large")
	}
	switch op {
	case '*':
		return newDecimal(new(big.Int).Mul(a.coef, b.coef), a.exp+b.exp)
	case '+', '-':
		exp := min(a.exp, b.exp)
		ac := new(big.Int).Mul(a.coef, pow10(a.exp-exp))
		bc := new(big.Int).Mul(b.coef, pow10(b.exp-exp))
		if op == '-' {
			bc.Neg(bc)
		}
		return newDecimal(ac.Add(ac, bc), exp)
	case '/':
		if b.coef.Sign() == 0 {
			x.raise(classZeroDivision, "divided by 0")
		}
	}
	f, _ := x.floatArithmetic(op, a.float(), b.float()).(float64)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	return x.decimalOf(f)
}

var decimalMethods = table{
	"to_s": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		d := s.(*decimal)
		if len(a) > 0 {
			if f, ok := a[0].(*str); ok && strings.EqualFold(f.s, "f") {
				return x.str(d.plainText())
			}
		}
		return x.str(d.ruby())
	}, false},
}
