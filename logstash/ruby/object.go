package ruby

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// random is what rand and shuffle use.
var random = rand.New(lockedSource{}) //nolint:gosec // no secrets are made of it

// lockedSource is the source of the runtime, which may be used concurrently.
type lockedSource struct{}

func (lockedSource) Uint64() uint64 { return rand.Uint64() } //nolint:gosec // no secrets are made of it

var newRegexpOptions regex.Options

// copyOf is dup and clone.
func (x *exec) copyOf(v any) any {
	switch v := v.(type) {
	case *str:
		return x.str(v.s)
	case *array:
		return x.array(slices.Clone(v.v))
	case *hash:
		return x.copyHash(v)
	case *timeValue:
		return &timeValue{v.t}
	}
	return v
}

func freeze(_ *exec, s any, _ []any, _ *proc) any {
	switch v := s.(type) {
	case *str:
		v.frozen = true
	case *array:
		v.frozen = true
	case *hash:
		v.frozen = true
	}
	return s
}

func isFrozen(v any) bool {
	switch v := v.(type) {
	case *str:
		return v.frozen
	case *array:
		return v.frozen
	case *hash:
		return v.frozen
	case *timeValue:
		return false
	}
	return true
}

func ordered(name string, f func(c int) bool) builtin {
	return builtin{1, 1, func(x *exec, s any, a []any, _ *proc) any {
		switch s.(type) {
		case int64, float64, *str, *timeValue, *timestamp:
		default:
			if !isNumber(s) {
				x.noMethod(name, s)
			}
		}
		if isNumber(s) && isNumber(a[0]) {
			c, ok := compareNumbers(s, a[0])
			return ok && f(c)
		}
		return f(x.order(s, a[0]))
	}, false}
}

func isInstance(x *exec, s any, a []any, _ *proc) any {
	k, ok := a[0].(*class)
	if !ok {
		x.raise(classTypeError, "class or module required")
	}
	return isA(s, k)
}

func copied(x *exec, s any, _ []any, _ *proc) any { return x.copyOf(s) }

// objectMethods are those of every value.
var objectMethods = table{
	"nil?":  {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s == nil }, false},
	"is_a?": {1, 1, isInstance, false}, "kind_of?": {1, 1, isInstance, false},
	"instance_of?": {1, 1, func(_ *exec, s any, a []any, _ *proc) any { return any(classOf(s)) == a[0] }, false},
	"class":        {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return classOf(s) }, false},
	"respond_to?": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		name, _ := textValue(a[0])
		return lookUp(kindOf(s), name) != nil
	}, false},
	"to_s":    {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(x.toS(s)) }, false},
	"inspect": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(x.inspect(s)) }, false},
	"to_json": {0, -1, func(x *exec, s any, _ []any, _ *proc) any { return x.str(x.jsonText(s)) }, false},
	"==":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.equal(s, a[0]) }, false},
	"!=":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return !x.equal(s, a[0]) }, false},
	"===":     {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.caseEqual(s, a[0]) }, false},
	"eql?":    {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.eql(s, a[0]) }, false},
	"equal?":  {1, 1, func(x *exec, s any, a []any, _ *proc) any { return s == a[0] }, false},
	"!":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return !truthy(s) }, false},
	"=~":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.matches(s, a[0]) }, false},
	"<=>": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if c, ok := x.compare(s, a[0]); ok {
			return int64(c)
		}
		return nil
	}, false},
	"<": ordered("<", func(c int) bool { return c < 0 }), ">": ordered(">", func(c int) bool { return c > 0 }),
	"<=": ordered("<=", func(c int) bool { return c <= 0 }), ">=": ordered(">=", func(c int) bool { return c >= 0 }),
	"between?": {2, 2, func(x *exec, s any, a []any, _ *proc) any { return x.order(s, a[0]) >= 0 && x.order(s, a[1]) <= 0 }, false},
	"clamp": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		low, high := a[0], a[len(a)-1]
		if r, ok := a[0].(*rng); ok {
			low, high = r.from, r.to
		}
		if low != nil && x.order(s, low) < 0 {
			return low
		}
		if high != nil && x.order(s, high) > 0 {
			return high
		}
		return s
	}, false},
	"dup": {0, 0, copied, false}, "clone": {0, -1, copied, false}, "+@": {0, 0, copied, false}, "deep_dup": {0, 0, copied, false},
	"freeze": {0, 0, freeze, false}, "frozen?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return isFrozen(s) }, false},
	"itself":     {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"tap":        {0, 0, func(x *exec, s any, _ []any, b *proc) any { x.call1(b, s); return s }, true},
	"then":       {0, 0, func(x *exec, s any, _ []any, b *proc) any { return x.call1(b, s) }, true},
	"yield_self": {0, 0, func(x *exec, s any, _ []any, b *proc) any { return x.call1(b, s) }, true},
	"hash": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		k := x.key(s)
		return int64((hashText(k.s) ^ k.n*1099511628211 ^ uint64(k.kind)) >> 2)
	}, false},
	"object_id":                  {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return int64(hashText(fmt.Sprintf("%p", s)) >> 2) }, false},
	"instance_variable_defined?": {1, 1, func(_ *exec, _ any, _ []any, _ *proc) any { return false }, false},
}

var nilMethods = table{
	"to_a": {0, 0, func(x *exec, _ any, _ []any, _ *proc) any { return x.array(nil) }, false},
	"to_h": {0, 0, func(_ *exec, _ any, _ []any, _ *proc) any { return &hash{} }, false},
	"to_i": {0, 0, func(_ *exec, _ any, _ []any, _ *proc) any { return int64(0) }, false},
	"to_f": {0, 0, func(_ *exec, _ any, _ []any, _ *proc) any { return 0.0 }, false},
	"&":    {1, 1, func(_ *exec, _ any, _ []any, _ *proc) any { return false }, false},
	"|":    {1, 1, func(_ *exec, _ any, a []any, _ *proc) any { return truthy(a[0]) }, false},
}

var boolMethods = table{
	"&": {1, 1, func(_ *exec, s any, a []any, _ *proc) any { return s.(bool) && truthy(a[0]) }, false},
	"|": {1, 1, func(_ *exec, s any, a []any, _ *proc) any { return s.(bool) || truthy(a[0]) }, false},
	"^": {1, 1, func(_ *exec, s any, a []any, _ *proc) any { return s.(bool) != truthy(a[0]) }, false},
}

// ofText makes a method of symbols of one of strings.
func ofText(name string, back bool) builtin {
	b := stringMethods[name]
	return builtin{b.min, b.max, func(x *exec, s any, a []any, p *proc) any {
		v := b.fn(x, newStr(string(s.(symbol))), a, p)
		if t, ok := v.(*str); ok && back {
			return symbol(t.s)
		}
		return v
	}, false}
}

var symbolMethods = table{
	"to_sym":  {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"to_proc": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return symbolProc(newSite(string(s.(symbol)))) }, false},
	"id2name": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(string(s.(symbol))) }, false},
	"length":  ofText("length", false), "size": ofText("size", false), "empty?": ofText("empty?", false),
	"upcase": ofText("upcase", true), "downcase": ofText("downcase", true), "capitalize": ofText("capitalize", true),
	"start_with?": ofText("start_with?", false), "end_with?": ofText("end_with?", false), "[]": ofText("[]", false),
	"match?": ofText("match?", false), "succ": ofText("succ", true),
}

func callProc(x *exec, s any, a []any, _ *proc) any { return x.callN(s.(*proc), slices.Clone(a)) }

var procMethods = table{
	"call": {0, -1, callProc, false}, "()": {0, -1, callProc, false}, "yield": {0, -1, callProc, false}, "[]": {0, -1, callProc, false},
	"===": {0, -1, callProc, false}, "to_proc": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"lambda?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*proc).lambda }, false},
	"arity": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any {
		if c := s.(*proc).code; c != nil {
			return int64(c.arity)
		}
		return int64(-1)
	}, false},
}

var exceptionMethods = table{
	"message":      {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*exception).text()) }, false},
	"full_message": {0, -1, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*exception).text()) }, false},
	"backtrace":    {0, 0, func(x *exec, _ any, _ []any, _ *proc) any { return x.array(nil) }, false},
	"cause":        {0, 0, func(_ *exec, _ any, _ []any, _ *proc) any { return nil }, false},
}

// logLine logs the arguments of logger.info and so on, and of puts.
func (x *exec) logLine(level string, args []any) {
	if x.Log == nil {
		return
	}
	var parts []string
	for _, a := range args {
		parts = append(parts, x.toS(a))
	}
	text := strings.Join(parts, " ")
	switch level {
	case "debug", "trace":
		x.Log.Debug("ruby", "text", text)
	case "info":
		x.Log.Info("ruby", "text", text)
	case "warn":
		x.Log.Warn("ruby", "text", text)
	default:
		x.Log.Error("ruby", "text", text)
	}
}

func logs(level string) builtin {
	return builtin{0, -1, func(x *exec, _ any, a []any, _ *proc) any { x.logLine(level, a); return true }, false}
}

func isLogging(on bool) builtin {
	return builtin{0, 0, func(_ *exec, _ any, _ []any, _ *proc) any { return on }, false}
}

var loggerMethods = table{
	"trace": logs("trace"), "debug": logs("debug"), "info": logs("info"), "warn": logs("warn"), "error": logs("error"), "fatal": logs("error"),
	"debug?": isLogging(false), "info?": isLogging(true), "warn?": isLogging(true), "error?": isLogging(true),
}
