package filter

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/narudata/naru/logstash/pattern/number"
)

// A decimal is a java.math.BigDecimal: unscaled × 10^-scale.
type decimal struct {
	unscaled *big.Int
	scale    int64
}

// mostDigits bounds numbers that are written out, so that 1e999999999 does not fill the memory.
const mostDigits = number.MostDigits

// parseDecimal reads a number as the constructor of BigDecimal does: an optional sign, digits with at most one point, and an
// optional exponent.
func parseDecimal(s string) (decimal, bool) {
	mantissa, exponent := s, int64(0)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.ParseInt(s[i+1:], 10, 32)
		if err != nil {
			return decimal{}, false
		}
		mantissa, exponent = s[:i], e
	}
	digits, sign := mantissa, ""
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		digits, sign = digits[1:], strings.TrimPrefix(digits[:1], "+")
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = whole + fraction
	if digits == "" || len(digits) > mostDigits || strings.Trim(digits, "0123456789") != "" {
		return decimal{}, false
	}
	n, ok := new(big.Int).SetString(sign+digits, 10)
	return decimal{n, int64(len(fraction)) - exponent}, ok
}

// integer is toBigInteger: what is behind the point is cut off. It is false for a number of too many digits.
func (d decimal) integer() (*big.Int, bool) {
	switch {
	case d.unscaled.Sign() == 0:
		return d.unscaled, true
	case d.scale < -mostDigits:
		return nil, false
	case d.scale <= 0:
		return new(big.Int).Mul(d.unscaled, power(-d.scale)), true
	case d.scale > mostDigits:
		return new(big.Int), true // fewer digits than that before the point
	}
	return new(big.Int).Quo(d.unscaled, power(d.scale)), true
}

func power(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// String is toString: 15, 1.50, 1E+3.
func (d decimal) String() string {
	digits := new(big.Int).Abs(d.unscaled).String()
	sign := ""
	if d.unscaled.Sign() < 0 {
		sign = "-"
	}
	exponent := int64(len(digits)) - 1 - d.scale
	switch {
	case d.scale == 0:
		return sign + digits
	case d.scale > 0 && exponent >= -6:
		if point := int64(len(digits)) - d.scale; point > 0 {
			return sign + digits[:point] + "." + digits[point:]
		}
		return sign + "0." + strings.Repeat("0", int(d.scale)-len(digits)) + digits
	}
	text := sign + digits[:1]
	if len(digits) > 1 {
		text += "." + digits[1:]
	}
	text += "E"
	if exponent > 0 {
		text += "+"
	}
	return text + strconv.FormatInt(exponent, 10)
}
