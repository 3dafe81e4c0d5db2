package event

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Equal is the meaning of `==`. Values of different kinds are never equal: 5 is not 5.0, null is not what is missing.
// Decimals are equal by value, lists element by element, maps by their members in any order.
//
// Source: EventCondition.eq.
func Equal(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case Absent, Null:
		return true
	case Float:
		return math.Float64frombits(a.n) == math.Float64frombits(b.n)
	case String:
		return a.s == b.s
	case BigInt:
		return a.node.big.Cmp(b.node.big) == 0
	case Decimal:
		return digitsOf(a).compare(digitsOf(b)) == 0
	case Time:
		return a.n == b.n && a.nanos == b.nanos
	case List:
		if len(a.node.list) != len(b.node.list) {
			return false
		}
		for i := range a.node.list {
			if !Equal(a.node.list[i], b.node.list[i]) {
				return false
			}
		}
		return true
	case Map:
		if a.node.m.Len() != b.node.m.Len() {
			return false
		}
		for i := range a.node.m.entries {
			e := &a.node.m.entries[i]
			at := b.node.m.At(e.Key)
			if at == nil || !Equal(e.Value, *at) {
				return false
			}
		}
		return true
	default:
		return a.n == b.n
	}
}

// ErrOrder says that two values have no order.
var ErrOrder = errors.New("values cannot be compared")

// Compare is the meaning of `<`, `>`, `<=` and `>=`: negative if a, which is a field mostly, is less than b. Numbers are
// compared by value, where there is a Float as Doubles (-0.0 is less than 0), strings by their bytes, times by their instants.
// Null and booleans on the left are taken for equal to whatever there is on the right (so `<` is false and `<=` is true), which
// is what Ruby's objects do that have no order. Otherwise it is an ErrOrder: a missing value, a list, a map, kinds that do not
// fit. In Logstash that cancels the event.
//
// Source: EventCondition.compare, org.jruby.RubyBasicObject.compareTo.
func Compare(a, b Value) (int, error) {
	switch {
	case a.kind == Absent || b.kind == Absent:
	case a.kind == Null || a.kind == Bool:
		return 0, nil
	case a.kind == Int && b.kind == Int:
		return order(int64(a.n), int64(b.n)), nil
	case a.kind == String && b.kind == String:
		return strings.Compare(a.s, b.s), nil
	case a.kind == Float && b.kind <= BigInt && b.IsNumber(), b.kind == Float && a.kind <= BigInt && a.IsNumber():
		return compareFloats(a.double(), b.double()), nil
	case a.IsNumber() && b.IsNumber():
		return compareNumbers(a, b), nil
	case a.kind == Time:
		if b.kind != Time {
			return 0, nil
		}
		return a.Time().Compare(b.Time()), nil
	}
	return 0, fmt.Errorf("%s with %s: %w", a.kind, b.kind, ErrOrder)
}

func order(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// double gives a number as a Double, rounded if need be.
func (v Value) double() float64 {
	switch v.kind {
	case Int:
		return float64(int64(v.n))
	case BigInt:
		f, _ := new(big.Float).SetInt(v.node.big).Float64()
		return f
	default:
		return v.Float()
	}
}

// compareFloats is Double.compare: -0.0 is less than 0.0, NaN greater than all others.
func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b && a != 0:
		return 0
	}
	return order(floatRank(a), floatRank(b))
}

func floatRank(f float64) int64 {
	switch {
	case math.IsNaN(f):
		return 2
	case f != 0:
		return 1 // with a NaN
	case math.Signbit(f):
		return -1
	}
	return 0
}

// compareNumbers compares what is not rounded: a decimal with any number, integers of any size.
func compareNumbers(a, b Value) int {
	if isInfinite(a) || isInfinite(b) {
		return compareFloats(a.double(), b.double()) // what is finite counts as zero if it is a decimal
	}
	return digitsOf(a).compare(digitsOf(b))
}

func isInfinite(v Value) bool {
	return v.kind == Float && (math.IsInf(v.Float(), 0) || math.IsNaN(v.Float()))
}

// decimal is a number without rounding: 0.digits × 10^exponent.
type decimal struct {
	negative bool
	digits   string // without zeros at either end; "" is zero
	exponent int64
}

// digitsOf gives any number as a decimal; a Float as the shortest that reads back as it.
func digitsOf(v Value) decimal {
	var room [32]byte
	var text string
	switch v.kind {
	case Float:
		text = string(strconv.AppendFloat(room[:0], v.Float(), 'e', -1, 64))
	default:
		text = string(v.appendScalar(room[:0]))
	}
	return parseDecimal(text)
}

// parseDecimal reads a number as JSON writes it. Exponents beyond 18 digits are cut.
func parseDecimal(s string) decimal {
	var d decimal
	if strings.HasPrefix(s, "-") {
		d.negative, s = true, s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		d.exponent = parseExponent(s[i+1:])
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	d.digits = whole + fraction
	d.exponent += int64(len(whole))
	trimmed := strings.TrimLeft(d.digits, "0")
	d.exponent -= int64(len(d.digits) - len(trimmed))
	d.digits = strings.TrimRight(trimmed, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}

func parseExponent(s string) int64 {
	const most = 1e18
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && strings.HasPrefix(s, "-") {
		return -most
	} else if err != nil {
		return most
	}
	return max(-most, min(most, n))
}

func (d decimal) compare(o decimal) int {
	switch {
	case d.digits == "" && o.digits == "":
		return 0
	case d.digits == "":
		return sign(!o.negative) * -1
	case o.digits == "", d.negative != o.negative:
		return sign(!d.negative)
	}
	c := order(d.exponent, o.exponent)
	if c == 0 {
		c = strings.Compare(d.digits, o.digits)
	}
	if d.negative {
		return -c
	}
	return c
}

func sign(positive bool) int {
	if positive {
		return 1
	}
	return -1
}
