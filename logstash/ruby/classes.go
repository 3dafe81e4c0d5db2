package ruby

import (
	"crypto/md5" //nolint:gosec // Digest::MD5
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // Digest::SHA1
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// static makes a method of a class.
func static(min, max int, f func(x *exec, a []any, b *proc) any) builtin {
	return builtin{min, max, func(x *exec, _ any, a []any, b *proc) any { return f(x, a, b) }, false}
}

func digest(sum func(in []byte) []byte) *class {
	return &class{super: classObject, singleton: table{
		"hexdigest": static(1, 1, func(x *exec, a []any, _ *proc) any {
			x.step(len(x.text(a[0])) / 4)
			return x.str(hex.EncodeToString(sum([]byte(x.text(a[0])))))
		}),
		"digest": static(1, 1, func(x *exec, a []any, _ *proc) any { return x.str(string(sum([]byte(x.text(a[0]))))) }),
		"base64digest": static(1, 1, func(x *exec, a []any, _ *proc) any {
			return x.str(base64.StdEncoding.EncodeToString(sum([]byte(x.text(a[0])))))
		}),
	}}
}

func textFunction(f func(s string) (string, error)) builtin {
	return static(1, -1, func(x *exec, a []any, _ *proc) any {
		s := x.text(a[0])
		x.step(len(s) / 8)
		x.alloc(3 * len(s))
		out, err := f(s)
		if err != nil {
			x.raise(classArgumentError, err.Error())
		}
		return x.str(out)
	})
}

func total(f func(s string) string) builtin {
	return textFunction(func(s string) (string, error) { return f(s), nil })
}

func mathFunction(name string, f func(v float64) float64) builtin {
	return static(1, 1, func(x *exec, a []any, _ *proc) any {
		v := x.mathValue(a[0])
		r := f(v)
		if math.IsNaN(r) && !math.IsNaN(v) {
			panic(&raised{&exception{class: classes["Math::DomainError"], message: newStr(`Numerical argument is out of domain - "` + name + `"`)}})
		}
		return r
	})
}

func (x *exec) mathValue(v any) float64 {
	if !isNumber(v) {
		x.raise(classTypeError, "can't convert "+implicit(v)+" into Float")
	}
	return floatOf(v)
}

func hexRandom(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// decode64 reads what can be read, as unpack("m") does.
func decode64(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/' {
			return r
		}
		return -1
	}, s)
	out, err := base64.RawStdEncoding.DecodeString(clean)
	if err != nil && len(clean)%4 == 1 {
		out, _ = base64.RawStdEncoding.DecodeString(clean[:len(clean)-1])
	}
	return string(out)
}

// encode64 breaks lines after 60 characters.
func encode64(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := min(45, len(s))
		b.WriteString(base64.StdEncoding.EncodeToString([]byte(s[:n])) + "\n")
		s = s[n:]
	}
	return b.String()
}

func stampOf(x *exec, v any) any {
	switch v := v.(type) {
	case *timestamp:
		return v
	case *timeValue:
		return &timestamp{v.t}
	case *str:
		t, ok := event.ParseTimestamp(v.s)
		if !ok {
			x.raise(classStampError, "invalid timestamp string format "+v.s)
		}
		return &timestamp{t}
	}
	return nil
}

func parseJSONMethod(x *exec, a []any, _ *proc) any {
	symbols := false
	if len(a) > 1 {
		if h, ok := a[1].(*hash); ok {
			v, _ := h.get(x, symbol("symbolize_names"))
			symbols = truthy(v)
		}
	}
	if a[0] == nil {
		x.raise(classTypeError, "no implicit conversion of nil into String")
	}
	return x.parseJSON(x.text(a[0]), symbols)
}

func generateJSON(x *exec, a []any, _ *proc) any { return x.str(x.jsonText(a[0])) }

// constants are those that are no classes.
var constants = map[string]any{
	"Math::PI": math.Pi, "Math::E": math.E,
	"Float::INFINITY": math.Inf(1), "Float::NAN": math.NaN(), "Float::MAX": math.MaxFloat64, "Float::EPSILON": 2.220446049250313e-16,
	"Regexp::IGNORECASE": int64(1), "Regexp::EXTENDED": int64(2), "Regexp::MULTILINE": int64(4),
	"RUBY_VERSION":    symbol("3.1.7"),
	"Encoding::UTF_8": symbol("UTF-8"), "Encoding::ASCII_8BIT": symbol("BINARY"), "Encoding::BINARY": symbol("BINARY"), "Encoding::ISO_8859_1": symbol("ISO-8859-1"),
}

// classTable gives the classes that a program can name, with their methods.
func classTable() map[string]*class {
	domain := newClass("Math::DomainError", classArgumentError)
	t := map[string]*class{
		"Math::DomainError": domain, "JSON::ParserError": classJSONError, "LogStash::Json::ParserError": classJSONError,
		"LogStash::Event": classEvent, "LogStash::Timestamp": classTimestamp, "LogStash::TimestampParserError": classStampError,
		"Fixnum": classInteger, "Bignum": classInteger, "Object": classObject, "BasicObject": classObject,
		"Digest::MD5":    digest(func(in []byte) []byte { s := md5.Sum(in); return s[:] }),  //nolint:gosec // as asked for
		"Digest::SHA1":   digest(func(in []byte) []byte { s := sha1.Sum(in); return s[:] }), //nolint:gosec // as asked for
		"Digest::SHA256": digest(func(in []byte) []byte { s := sha256.Sum256(in); return s[:] }),
		"Digest::SHA2":   digest(func(in []byte) []byte { s := sha256.Sum256(in); return s[:] }),
		"Digest::SHA384": digest(func(in []byte) []byte { s := sha512.Sum384(in); return s[:] }),
		"Digest::SHA512": digest(func(in []byte) []byte { s := sha512.Sum512(in); return s[:] }),
		"Base64": {super: classObject, singleton: table{
			"decode64": total(decode64), "encode64": total(encode64),
			"strict_encode64":  total(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
			"urlsafe_encode64": total(func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }),
			"strict_decode64": textFunction(func(s string) (string, error) {
				out, err := base64.StdEncoding.DecodeString(s)
				return string(out), err
			}),
			"urlsafe_decode64": textFunction(func(s string) (string, error) {
				out, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
				return string(out), err
			}),
		}},
		"CGI": {super: classObject, singleton: table{
			"unescape": textFunction(url.QueryUnescape), "escape": total(url.QueryEscape),
		}},
		"URI": {super: classObject, singleton: table{
			"decode_www_form_component": textFunction(url.QueryUnescape), "encode_www_form_component": total(url.QueryEscape),
			"decode": textFunction(url.PathUnescape), "unescape": textFunction(url.PathUnescape),
		}},
		"SecureRandom": {super: classObject, singleton: table{
			"uuid": static(0, 0, func(x *exec, _ []any, _ *proc) any {
				h := []byte(hexRandom(16))
				h[12], h[16] = '4', "89ab"[h[16]&3]
				return x.str(string(h[:8]) + "-" + string(h[8:12]) + "-" + string(h[12:16]) + "-" + string(h[16:20]) + "-" + string(h[20:]))
			}),
			"hex": static(0, 1, func(x *exec, a []any, _ *proc) any {
				n := 16
				if len(a) > 0 {
					n = min(1<<16, max(0, x.integer(a[0])))
				}
				return x.str(hexRandom(n))
			}),
		}},
		"Random": {super: classObject, singleton: table{
			"rand": static(0, 1, func(x *exec, a []any, _ *proc) any { return randomNumber(x, nil, a, nil) }),
		}},
		"Math": {super: classObject, singleton: table{
			"sqrt": mathFunction("sqrt", math.Sqrt), "log2": mathFunction("log2", math.Log2), "log10": mathFunction("log10", math.Log10), "exp": mathFunction("exp", math.Exp),
			"sin": mathFunction("sin", math.Sin), "cos": mathFunction("cos", math.Cos), "tan": mathFunction("tan", math.Tan), "atan": mathFunction("atan", math.Atan),
			"asin": mathFunction("asin", math.Asin), "acos": mathFunction("acos", math.Acos), "cbrt": mathFunction("cbrt", math.Cbrt),
			"pow":   static(2, 2, func(x *exec, a []any, _ *proc) any { return math.Pow(x.mathValue(a[0]), x.mathValue(a[1])) }),
			"hypot": static(2, 2, func(x *exec, a []any, _ *proc) any { return math.Hypot(x.mathValue(a[0]), x.mathValue(a[1])) }),
			"atan2": static(2, 2, func(x *exec, a []any, _ *proc) any { return math.Atan2(x.mathValue(a[0]), x.mathValue(a[1])) }),
			"log": static(1, 2, func(x *exec, a []any, _ *proc) any {
				v := x.mathValue(a[0])
				if v < 0 {
					panic(&raised{&exception{class: domain, message: newStr(`Numerical argument is out of domain - "log"`)}})
				}
				if len(a) > 1 {
					return math.Log(v) / math.Log(x.mathValue(a[1]))
				}
				return math.Log(v)
			}),
		}},
		"JSON": {super: classObject, singleton: table{
			"parse": static(1, 2, parseJSONMethod), "load": static(1, 2, parseJSONMethod), "parse!": static(1, 2, parseJSONMethod),
			"generate": static(1, 2, generateJSON), "dump": static(1, 2, generateJSON),
		}},
		"LogStash::Json": {super: classObject, singleton: table{
			"load": static(1, 2, parseJSONMethod), "dump": static(1, 2, generateJSON),
		}},
	}
	for _, k := range []*class{classComparable, classEnumerable, classNil, classTrue, classFalse, classNumeric, classInteger, classFloat, classDecimal,
		classString, classSymbol, classArray, classHash, classRange, classRegexp, classMatch, classTime, classProc, classClass, classEnumerator,
		classException, classSystemStack, classStandardError, classArgumentError, classTypeError, classNameError, classNoMethodError, classZeroDivision,
		classIndexError, classKeyError, classStopIteration, classRangeError, classFloatDomainError, classRuntimeError, classFrozenError, classRegexpError,
		classLocalJumpError} {
		t[k.name] = k
	}
	for name, k := range t {
		if k.name == "" {
			k.name = name
		}
	}
	t["Module"] = classClass
	classTime.singleton = timeStatics
	classTimestamp.singleton = timestampStatics
	classEvent.singleton = table{"new": static(0, 1, func(x *exec, a []any, _ *proc) any { return x.newEvent(a) })}
	classException.singleton = table{"exception": {0, 1, newException, false}, "new": {0, 1, newException, false}}
	classRegexp.singleton = regexpStatics
	classString.singleton = table{"new": static(0, -1, func(x *exec, a []any, _ *proc) any {
		if len(a) > 0 {
			if s, ok := a[0].(*str); ok {
				return x.str(s.s)
			}
		}
		return x.str("")
	})}
	classArray.singleton = table{"new": static(0, 2, newArray)}
	classHash.singleton = table{
		"new": static(0, 1, func(x *exec, a []any, b *proc) any {
			h := &hash{block: b}
			if len(a) > 0 {
				h.def = a[0]
			}
			return h
		}),
		"[]": static(1, 1, func(x *exec, a []any, _ *proc) any {
			if h, ok := a[0].(*hash); ok {
				return x.copyHash(h)
			}
			return x.method("to_h", a[0])
		}),
	}
	return t
}

func newException(_ *exec, s any, a []any, _ *proc) any {
	e := &exception{class: s.(*class)}
	if len(a) > 0 {
		e.message = a[0]
	}
	return e
}

func newArray(x *exec, a []any, b *proc) any {
	if len(a) == 0 {
		return x.array(nil)
	}
	if v, ok := a[0].(*array); ok {
		return x.copyOf(v)
	}
	n := x.integer(a[0])
	if n < 0 {
		x.raise(classArgumentError, "negative array size")
	}
	out := x.room(n)
	for i := range n {
		switch {
		case b != nil:
			out = append(out, x.call1(b, int64(i)))
		case len(a) > 1:
			out = append(out, a[1])
		default:
			out = append(out, nil)
		}
	}
	return &array{v: out}
}

func dated(loc func() *time.Location) builtin {
	return static(1, 7, func(x *exec, a []any, _ *proc) any { return x.newTime(a, loc()) })
}

func localZone() *time.Location { return time.Local }
func utcZone() *time.Location   { return time.UTC }

var timeStatics = table{
	"now": static(0, 1, func(x *exec, a []any, _ *proc) any { return &timeValue{x.now().Local()} }),
	"new": static(0, 7, func(x *exec, a []any, _ *proc) any {
		if len(a) == 0 {
			return &timeValue{x.now().Local()}
		}
		return x.newTime(a, time.Local)
	}),
	"at":    static(1, 4, func(x *exec, a []any, _ *proc) any { return &timeValue{x.timeAt(a)} }),
	"local": dated(localZone), "mktime": dated(localZone), "utc": dated(utcZone), "gm": dated(utcZone),
	"parse":    static(1, 2, func(x *exec, a []any, _ *proc) any { return x.parseTime(x.text(a[0])) }),
	"iso8601":  static(1, 1, func(x *exec, a []any, _ *proc) any { return x.parseTime(x.text(a[0])) }),
	"strptime": static(2, 2, func(x *exec, a []any, _ *proc) any { return x.strptime(x.text(a[0]), x.text(a[1])) }),
}

var timestampStatics = table{
	"new": static(0, 1, func(x *exec, a []any, _ *proc) any {
		if len(a) == 0 || a[0] == nil {
			return &timestamp{x.now()}
		}
		if _, ok := a[0].(*timestamp); ok {
			x.raise(classTypeError, "wrong argument type LogStash::Timestamp (expected Time)")
		}
		v := stampOf(x, a[0])
		if v == nil {
			x.raise(classTypeError, "wrong argument type "+className(a[0])+" (expected Time)")
		}
		return v
	}),
	"now":           static(0, 0, func(x *exec, _ []any, _ *proc) any { return &timestamp{x.now()} }),
	"at":            static(1, 2, func(x *exec, a []any, _ *proc) any { return &timestamp{x.timeAt(a)} }),
	"coerce":        static(1, 1, func(x *exec, a []any, _ *proc) any { return stampOf(x, a[0]) }),
	"parse_iso8601": static(1, 1, func(x *exec, a []any, _ *proc) any { return stampOf(x, newStr(x.text(a[0]))) }),
}

func newRegexpMethod(x *exec, a []any, _ *proc) any {
	if re, ok := a[0].(*regexpValue); ok {
		return re
	}
	var o regex.Options
	if len(a) > 1 {
		if n, ok := a[1].(int64); ok {
			o.IgnoreCase, o.Extended, o.Multiline = n&1 != 0, n&2 != 0, n&4 != 0
		} else {
			o.IgnoreCase = truthy(a[1])
		}
	}
	return x.newRegexp(x.text(a[0]), o)
}

var regexpStatics = table{
	"new": static(1, 2, newRegexpMethod), "compile": static(1, 2, newRegexpMethod),
	"escape": total(escapeRegexp), "quote": total(escapeRegexp),
	"union": static(0, -1, func(x *exec, a []any, _ *proc) any {
		if len(a) == 1 {
			a = x.splat(a[0])
		}
		var parts []string
		for _, v := range a {
			re, text := x.pattern(v)
			if re != nil {
				text = re.embedded()
			} else {
				text = escapeRegexp(text)
			}
			parts = append(parts, text)
		}
		return x.newRegexp(strings.Join(parts, "|"), newRegexpOptions)
	}),
	"last_match": static(0, 1, func(x *exec, a []any, _ *proc) any {
		if x.match == nil {
			return nil
		}
		if len(a) > 0 {
			return x.match.index(x, a[0])
		}
		return x.match
	}),
}
