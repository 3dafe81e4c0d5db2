package ruby

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

func isNumber(v any) bool {
	switch v.(type) {
	case int64, float64, *big.Int, *decimal:
		return true
	}
	return false
}

// normal gives an integer its usual form.
func normal(n *big.Int) any {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func bigOf(v any) *big.Int {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v)
	case *big.Int:
		return v
	}
	return new(big.Int)
}

func floatOf(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f
	case *decimal:
		return v.float()
	}
	return math.NaN()
}

// mostBits is how large an integer can become.
const mostBits = 1 << 20

// compareNumbers compares by value; false for NaN.
func compareNumbers(a, b any) (int, bool) {
	if ai, ok := a.(int64); ok {
		if bi, ok := b.(int64); ok {
			switch {
			case ai < bi:
				return -1, true
			case ai > bi:
				return 1, true
			}
			return 0, true
		}
	}
	fa, aFloat := a.(float64)
	fb, bFloat := b.(float64)
	switch {
	case aFloat && math.IsNaN(fa) || bFloat && math.IsNaN(fb):
		return 0, false
	case aFloat && bFloat, aFloat && math.IsInf(fa, 0), bFloat && math.IsInf(fb, 0):
		fa, fb = floatOf(a), floatOf(b)
		switch {
		case fa < fb:
			return -1, true
		case fa > fb:
			return 1, true
		}
		return 0, true
	}
	return ratOf(a).Cmp(ratOf(b)), true
}

func ratOf(v any) *big.Rat {
	switch v := v.(type) {
	case float64:
		r := new(big.Rat)
		r.SetFloat64(v)
		return r
	case *decimal:
		return v.rat()
	}
	return new(big.Rat).SetInt(bigOf(v))
}

func (x *exec) negate(v any) any {
	switch v := v.(type) {
	case int64:
		if v == math.MinInt64 {
			return normal(new(big.Int).Neg(big.NewInt(v)))
		}
		return -v
	case *big.Int:
		return normal(new(big.Int).Neg(v))
	case float64:
		return -v
	case *decimal:
		return newDecimal(new(big.Int).Neg(v.coef), v.exp)
	}
	return nil
}

// number gives the other side of an arithmetic operator.
func (x *exec) number(v any, self any) any {
	if isNumber(v) {
		return v
	}
	what := x.shown(v)
	x.raise(classTypeError, what+" can't be coerced into "+className(self))
	return nil
}

// integer gives an argument as an int, as Ruby converts it silently.
func (x *exec) integer(v any) int {
	switch v := v.(type) {
	case int64:
		if v > math.MaxInt32 || v < math.MinInt32 {
			if v > 0 {
				return math.MaxInt32
			}
			return math.MinInt32
		}
		return int(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			x.raise(classFloatDomainError, floatText(v))
		}
		return int(max(math.MinInt32, min(math.MaxInt32, v)))
	case *big.Int:
		x.raise(classRangeError, "bignum too big to convert into `long'")
	case *decimal:
		return x.integer(v.float())
	case nil:
		x.raise(classTypeError, "no implicit conversion from nil to integer")
	}
	x.raise(classTypeError, "no implicit conversion of "+implicit(v)+" into Integer")
	return 0
}

// implicit names a value in messages of conversions.
func implicit(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		return strconv.FormatBool(v)
	}
	return className(v)
}

// arithmetic does a op b for + - * / % ** of numbers.
func (x *exec) arithmetic(op byte, a, b any) any {
	b = x.number(b, a)
	if _, ok := a.(*decimal); ok {
		return x.decimalArithmetic(op, a, b)
	}
	if _, ok := b.(*decimal); ok {
		return x.decimalArithmetic(op, a, b)
	}
	_, aFloat := a.(float64)
	_, bFloat := b.(float64)
	if aFloat || bFloat {
		return x.floatArithmetic(op, floatOf(a), floatOf(b))
	}
	if ai, ok := a.(int64); ok {
		if bi, ok := b.(int64); ok {
			if v, ok := smallArithmetic(op, ai, bi); ok {
				return v
			}
		}
	}
	ba, bb := bigOf(a), bigOf(b)
	x.alloc((ba.BitLen() + bb.BitLen()) / 4)
	r := new(big.Int)
	switch op {
	case '+':
		r.Add(ba, bb)
	case '-':
		r.Sub(ba, bb)
	case '*':
		if ba.BitLen()+bb.BitLen() > mostBits {
			x.raise(classRangeError, "the number is too large")
		}
		x.step((ba.BitLen() >> 6) * (bb.BitLen() >> 6))
		r.Mul(ba, bb)
	case '/', '%':
		if bb.Sign() == 0 {
			x.raise(classZeroDivision, "divided by 0")
		}
		x.step((ba.BitLen() >> 6) * (bb.BitLen() >> 6))
		m := new(big.Int)
		r.QuoRem(ba, bb, m)
		if m.Sign() != 0 && m.Sign() != bb.Sign() { // towards minus infinity
			r.Sub(r, big.NewInt(1))
			m.Add(m, bb)
		}
		if op == '%' {
			r = m
		}
	case '^':
		return x.power(ba, bb)
	}
	return normal(r)
}

func smallArithmetic(op byte, a, b int64) (any, bool) {
	switch op {
	case '+':
		sum := a + b
		return sum, (sum > a) == (b > 0)
	case '-':
		d := a - b
		return d, (d < a) == (b > 0)
	case '*':
		if a == 0 || b == 0 {
			return int64(0), true
		}
		p := a * b
		return p, p/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64)
	case '/', '%':
		if b == 0 || a == math.MinInt64 && b == -1 {
			return nil, false
		}
		q, m := a/b, a%b
		if m != 0 && (m < 0) != (b < 0) {
			q--
			m += b
		}
		if op == '%' {
			return m, true
		}
		return q, true
	}
	return nil, false
}

func (x *exec) power(a, b *big.Int) any {
	if b.Sign() < 0 {
		return math.Pow(floatOf(normal(a)), floatOf(normal(b)))
	}
	if a.BitLen() > 1 && (!b.IsInt64() || b.Int64()*int64(a.BitLen()) > mostBits) {
		return math.Inf(1)
	}
	if !b.IsInt64() { // of 0, 1 or -1
		b = new(big.Int).And(b, big.NewInt(3))
	}
	x.step(a.BitLen() * int(b.Int64()&mostBits) >> 6)
	return normal(new(big.Int).Exp(a, b, nil))
}

func (x *exec) floatArithmetic(op byte, a, b float64) any {
	switch op {
	case '+':
		return a + b
	case '-':
		return a - b
	case '*':
		return a * b
	case '/':
		return a / b
	case '%':
		return floatModulo(a, b)
	default:
		return math.Pow(a, b)
	}
}

func floatModulo(a, b float64) float64 {
	if math.IsInf(b, 0) && !math.IsInf(a, 0) && !math.IsNaN(a) {
		if a == 0 || (a < 0) == (b < 0) {
			return a
		}
		return b
	}
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}

// floatText is Float#to_s.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		if math.Signbit(f) {
			return "-0.0"
		}
		return "0.0"
	}
	if a := math.Abs(f); a >= 1e-4 && a < 1e19 { // as JRuby; Ruby itself ends at 1e16
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	return mantissa + "e" + exponent
}

// whole gives a float as an integer, without its fraction.
func (x *exec) whole(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		x.raise(classFloatDomainError, floatText(f))
	}
	if math.Abs(f) < 1<<62 {
		return int64(f)
	}
	n, _ := new(big.Float).SetFloat64(f).Int(nil)
	return normal(n)
}

// roundTo rounds to digits behind the point, with a rule for integers.
func (x *exec) roundTo(self any, args []any, rule func(float64) float64) any {
	digits := 0
	if len(args) > 0 {
		if _, ok := args[0].(*hash); !ok {
			digits = x.integer(args[0])
		}
	}
	switch v := self.(type) {
	case *decimal:
		self = v.float()
	case int64, *big.Int:
		if digits >= 0 {
			return v
		}
		if digits < -400 {
			return int64(0)
		}
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-digits)), nil)
		q := new(big.Rat).SetFrac(bigOf(v), unit)
		f, _ := q.Float64()
		n := bigOf(x.whole(rule(f)))
		return normal(n.Mul(n, unit))
	}
	f := self.(float64)
	switch {
	case digits > 0:
		if digits > 15 || math.IsNaN(f) || math.IsInf(f, 0) {
			return f
		}
		scale := math.Pow(10, float64(digits))
		r := rule(f*scale) / scale
		if math.IsInf(r, 0) || math.IsNaN(r) {
			return f
		}
		if rule(0.5) == 1 && rule(0.4) == 0 { // round: as the decimal text says
			if t, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64); err == nil && math.Abs(f*scale-math.Trunc(f*scale)-0.5) > 1e-9 {
				return t
			}
		}
		return r
	case digits < 0:
		return x.roundTo(x.whole(f), []any{int64(digits)}, rule)
	}
	return x.whole(rule(f))
}

var numericMethods = table{
	"+":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('+', s, a[0]) }, false},
	"-":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('-', s, a[0]) }, false},
	"*":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('*', s, a[0]) }, false},
	"/":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('/', s, a[0]) }, false},
	"%":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('%', s, a[0]) }, false},
	"**":     {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('^', s, a[0]) }, false},
	"modulo": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('%', s, a[0]) }, false},
	"pow":    {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.arithmetic('^', s, a[0]) }, false},
	"-@":     {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.negate(s) }, false},
	"fdiv":   {1, 1, func(x *exec, s any, a []any, _ *proc) any { return floatOf(s) / floatOf(x.number(a[0], s)) }, false},
	"div": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if compareZero(x.number(a[0], s)) {
			x.raise(classZeroDivision, "divided by 0")
		}
		v := x.arithmetic('/', s, a[0])
		if f, ok := v.(float64); ok {
			return x.whole(math.Floor(f))
		}
		return v
	}, false},
	"divmod": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if compareZero(x.number(a[0], s)) {
			x.raise(classZeroDivision, "divided by 0")
		}
		q := x.arithmetic('/', s, a[0])
		if f, ok := q.(float64); ok {
			q = x.whole(math.Floor(f))
		}
		return x.array([]any{q, x.arithmetic('%', s, a[0])})
	}, false},
	"remainder": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if f, ok := s.(float64); ok {
			return math.Mod(f, floatOf(a[0]))
		}
		m := x.arithmetic('%', s, a[0])
		if !compareZero(m) && (floatOf(s) < 0) != (floatOf(a[0]) < 0) {
			return x.arithmetic('-', m, a[0])
		}
		return m
	}, false},
	"to_i":     {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.toInteger(s) }, false},
	"to_int":   {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.toInteger(s) }, false},
	"truncate": {0, 1, func(x *exec, s any, a []any, _ *proc) any { return x.roundTo(s, a, math.Trunc) }, false},
	"to_f":     {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return floatOf(s) }, false},
	"to_d":     {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.decimalOf(s) }, false},
	"round":    {0, 2, func(x *exec, s any, a []any, _ *proc) any { return x.roundTo(s, a, math.Round) }, false},
	"floor":    {0, 1, func(x *exec, s any, a []any, _ *proc) any { return x.roundTo(s, a, math.Floor) }, false},
	"ceil":     {0, 1, func(x *exec, s any, a []any, _ *proc) any { return x.roundTo(s, a, math.Ceil) }, false},
	"abs": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		if c, ok := compareNumbers(s, int64(0)); ok && c < 0 {
			return x.negate(s)
		}
		return s
	}, false},
	"zero?":     {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return compareZero(s) }, false},
	"positive?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { c, _ := compareNumbers(s, int64(0)); return c > 0 }, false},
	"negative?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { c, _ := compareNumbers(s, int64(0)); return c < 0 }, false},
	"nonzero?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any {
		if compareZero(s) {
			return nil
		}
		return s
	}, false},
	"integer?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return kindOf(s) == kInt }, false},
	"finite?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any {
		f := floatOf(s)
		return kindOf(s) == kInt || !math.IsInf(f, 0) && !math.IsNaN(f)
	}, false},
	"nan?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return math.IsNaN(floatOf(s)) }, false},
	"infinite?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any {
		f, ok := s.(float64)
		switch {
		case ok && math.IsInf(f, 1):
			return int64(1)
		case ok && math.IsInf(f, -1):
			return int64(-1)
		}
		return nil
	}, false},
	"step": {1, 2, func(x *exec, s any, a []any, b *proc) any {
		by := any(int64(1))
		if len(a) > 1 {
			by = x.number(a[1], s)
		}
		sign, _ := compareNumbers(by, int64(0))
		if sign == 0 {
			x.raise(classArgumentError, "step can't be 0")
		}
		for i := s; ; i = x.arithmetic('+', i, by) {
			if c, ok := compareNumbers(i, x.number(a[0], s)); !ok || c*sign > 0 {
				return s
			}
			x.call1(b, i)
		}
	}, true},
}

func compareZero(v any) bool {
	c, ok := compareNumbers(v, int64(0))
	return ok && c == 0
}

func (x *exec) toInteger(v any) any {
	switch v := v.(type) {
	case float64:
		return x.whole(v)
	case *decimal:
		return normal(v.integer())
	}
	return v
}

// bits does a bitwise operator of integers.
func (x *exec) bits(op byte, s, v any) any {
	if kindOf(v) != kInt {
		if f, ok := v.(float64); ok && op != '<' && op != '>' {
			x.raise(classTypeError, "can't convert "+floatText(f)+" into Integer for bitwise operation")
		}
		if op == '<' || op == '>' {
			v = int64(x.integer(v))
		} else {
			x.raise(classTypeError, x.shown(v)+" can't be coerced into Integer")
		}
	}
	a, b := bigOf(s), bigOf(v)
	r := new(big.Int)
	switch op {
	case '&':
		r.And(a, b)
	case '|':
		r.Or(a, b)
	case '^':
		r.Xor(a, b)
	case '<', '>':
		n := x.integer(v)
		if op == '>' {
			n = -n
		}
		if n >= 0 {
			if n+a.BitLen() > mostBits {
				x.raise(classRangeError, "shift width too big")
			}
			x.alloc(n / 4)
			r.Lsh(a, uint(n))
		} else {
			r.Rsh(a, uint(-n))
		}
	}
	return normal(r)
}

func (x *exec) radix(args []any) int {
	if len(args) == 0 {
		return 10
	}
	base := x.integer(args[0])
	if base < 2 || base > 36 {
		x.raisef(classArgumentError, "invalid radix %d", base)
	}
	return base
}

var integerMethods = table{
	"&":  {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.bits('&', s, a[0]) }, false},
	"|":  {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.bits('|', s, a[0]) }, false},
	"^":  {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.bits('^', s, a[0]) }, false},
	"<<": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.bits('<', s, a[0]) }, false},
	">>": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.bits('>', s, a[0]) }, false},
	"~":  {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return normal(new(big.Int).Not(bigOf(s))) }, false},
	"[]": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		n := x.integer(a[0])
		v := bigOf(s)
		if n < 0 {
			return int64(0)
		}
		if v.Sign() < 0 {
			return int64(1 - new(big.Int).Not(v).Bit(n))
		}
		return int64(v.Bit(n))
	}, false},
	"to_s":       {0, 1, func(x *exec, s any, a []any, _ *proc) any { return x.str(bigOf(s).Text(x.radix(a))) }, false},
	"even?":      {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return bigOf(s).Bit(0) == 0 }, false},
	"odd?":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return bigOf(s).Bit(0) == 1 }, false},
	"succ":       {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.arithmetic('+', s, int64(1)) }, false},
	"next":       {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.arithmetic('+', s, int64(1)) }, false},
	"pred":       {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.arithmetic('-', s, int64(1)) }, false},
	"bit_length": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(bigOf(s).BitLen()) }, false},
	"gcd": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		b := bigOf(x.number(a[0], s))
		return normal(new(big.Int).GCD(nil, nil, new(big.Int).Abs(bigOf(s)), new(big.Int).Abs(b)))
	}, false},
	"digits": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		text := bigOf(s).String()
		if text[0] == '-' {
			x.raise(classArgumentError, "out of domain")
		}
		out := x.room(len(text))
		for i := len(text) - 1; i >= 0; i-- {
			out = append(out, int64(text[i]-'0'))
		}
		return &array{v: out}
	}, false},
	"chr": {0, 1, func(x *exec, s any, _ []any, _ *proc) any {
		n, ok := s.(int64)
		if !ok || n < 0 || n > 0x10ffff {
			x.raise(classRangeError, x.inspect(s)+" out of char range")
		}
		if n < 0x80 {
			return x.str(string([]byte{byte(n)}))
		}
		return x.str(string(rune(n)))
	}, false},
	"ord": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"times": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		n, _ := s.(int64)
		for i := range n {
			x.call1(b, i)
		}
		return s
	}, true},
	"upto": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		for i := s; x.order(i, a[0]) <= 0; i = x.arithmetic('+', i, int64(1)) {
			x.call1(b, i)
		}
		return s
	}, true},
	"downto": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		for i := s; x.order(i, a[0]) >= 0; i = x.arithmetic('-', i, int64(1)) {
			x.call1(b, i)
		}
		return s
	}, true},
}
