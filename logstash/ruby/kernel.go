package ruby

import (
	"math"
	"math/big"
)

func raiseMethod(x *exec, _ any, a []any, _ *proc) any {
	if len(a) == 0 {
		if x.err != nil {
			panic(&raised{x.err})
		}
		x.raise(classRuntimeError, "unhandled exception")
	}
	switch v := a[0].(type) {
	case *exception:
		panic(&raised{v})
	case *class:
		if isSubclass(v, classException) {
			e := &exception{class: v}
			if len(a) > 1 {
				e.message = a[1]
			}
			panic(&raised{e})
		}
	case *str:
		x.raise(classRuntimeError, v.s)
	}
	x.raise(classTypeError, "exception class/object expected")
	return nil
}

func isSubclass(k, of *class) bool {
	for ; k != nil; k = k.super {
		if k == of {
			return true
		}
	}
	return false
}

func formatMethod(x *exec, _ any, a []any, _ *proc) any { return x.str(x.format(x.text(a[0]), a[1:])) }

func say(x *exec, _ any, a []any, _ *proc) any {
	x.logLine("info", a)
	return nil
}

// randomNumber is rand.
func randomNumber(x *exec, _ any, a []any, _ *proc) any {
	if len(a) == 0 || a[0] == nil {
		return random.Float64()
	}
	switch v := a[0].(type) {
	case *rng:
		if from, ok := v.from.(int64); ok {
			to, ok := x.limit(v)
			if !ok || to < from {
				return nil
			}
			if to-from < 0 || to-from == math.MaxInt64 {
				x.raise(classRangeError, "the range is too large")
			}
			return from + random.Int64N(to-from+1)
		}
		return floatOf(v.from) + random.Float64()*(floatOf(v.to)-floatOf(v.from))
	case float64:
		if v != 0 {
			return random.Float64() * v
		}
	case int64:
		if v != 0 && v != math.MinInt64 {
			return random.Int64N(max(v, -v))
		}
	case *big.Int:
		return random.Int64()
	}
	return random.Float64()
}

// optional makes a conversion give nil instead of raising with exception: false.
func (x *exec) optional(a []any, f func() any) any {
	if len(a) > 1 {
		if h, ok := a[len(a)-1].(*hash); ok {
			if v, ok := h.get(x, symbol("exception")); ok && !truthy(v) {
				v, _ := x.try(func(*exec) any { return f() })
				return v
			}
		}
	}
	return f()
}

// kernelMethods are called without a receiver.
var kernelMethods = table{
	"raise": {0, 3, raiseMethod, false}, "fail": {0, 3, raiseMethod, false},
	"format": {1, -1, formatMethod, false}, "sprintf": {1, -1, formatMethod, false},
	"puts": {0, -1, say, false}, "print": {0, -1, say, false}, "warn": {0, -1, say, false},
	"p": {0, -1, func(x *exec, _ any, a []any, _ *proc) any {
		var parts []any
		for _, v := range a {
			parts = append(parts, x.str(x.inspect(v)))
		}
		x.logLine("info", parts)
		if len(a) == 1 {
			return a[0]
		}
		return nil
	}, false},
	"rand":  {0, 1, randomNumber, false},
	"srand": {0, 1, func(_ *exec, _ any, _ []any, _ *proc) any { return int64(0) }, false},
	"Integer": {1, 3, func(x *exec, _ any, a []any, _ *proc) any {
		return x.optional(a, func() any {
			if len(a) > 1 && kindOf(a[1]) == kInt {
				return x.toIntegerStrict(a[0], a[1:2])
			}
			return x.toIntegerStrict(a[0], nil)
		})
	}, false},
	"Float": {1, 2, func(x *exec, _ any, a []any, _ *proc) any {
		return x.optional(a, func() any { return x.toFloatStrict(a[0]) })
	}, false},
	"String": {1, 1, func(x *exec, _ any, a []any, _ *proc) any { return x.str(x.toS(a[0])) }, false},
	"Array": {1, 1, func(x *exec, _ any, a []any, _ *proc) any {
		if v, ok := a[0].(*array); ok {
			return v
		}
		return x.array(x.splat(a[0]))
	}, false},
	"Hash": {1, 1, func(x *exec, _ any, a []any, _ *proc) any {
		if h, ok := a[0].(*hash); ok {
			return h
		}
		return &hash{}
	}, false},
	"BigDecimal": {1, 2, func(x *exec, _ any, a []any, _ *proc) any { return x.decimalOf(a[0]) }, false},
	"logger":     {0, 0, func(_ *exec, _ any, _ []any, _ *proc) any { return logger{} }, false},
	"id":         {0, 0, func(_ *exec, _ any, _ []any, _ *proc) any { return nil }, false},
}
