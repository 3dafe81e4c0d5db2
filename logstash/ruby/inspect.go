package ruby

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// toS is to_s.
func (x *exec) toS(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case *str:
		return v.s
	case symbol:
		return string(v)
	case *exception:
		return v.text()
	case *decimal:
		return v.ruby()
	case *timeValue:
		return v.String()
	case *rng:
		dots := ".."
		if v.exclusive {
			dots = "..."
		}
		return x.toS(v.from) + dots + x.toS(v.to)
	case *matchData:
		return v.in[v.groups[0]:v.groups[1]]
	case *regexpValue:
		return v.embedded()
	}
	return x.inspect(v)
}

// inspect is inspect.
func (x *exec) inspect(v any) string {
	var b strings.Builder
	x.inspectTo(&b, v, 0)
	return b.String()
}

func (x *exec) inspectTo(b *strings.Builder, v any, level int) {
	if level > mostLevels {
		b.WriteString("...")
		return
	}
	if x.state != nil {
		x.step(1)
		x.alloc(8)
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("nil")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case *big.Int:
		b.WriteString(v.String())
	case float64:
		b.WriteString(floatText(v))
	case *decimal:
		b.WriteString(v.ruby())
	case *str:
		if x.state != nil {
			x.alloc(2 * len(v.s))
		}
		b.WriteString(quote(v.s))
	case symbol:
		b.WriteString(":" + symbolText(string(v)))
	case *array:
		b.WriteByte('[')
		for i, e := range v.v {
			if i > 0 {
				b.WriteString(", ")
			}
			x.inspectTo(b, e, level+1)
		}
		b.WriteByte(']')
	case *hash:
		b.WriteByte('{')
		for i, e := range v.list {
			if i > 0 {
				b.WriteString(", ")
			}
			x.inspectTo(b, e.key, level+1)
			b.WriteString("=>")
			x.inspectTo(b, e.value, level+1)
		}
		b.WriteByte('}')
	case *rng:
		if v.from != nil {
			x.inspectTo(b, v.from, level+1)
		}
		b.WriteString("..")
		if v.exclusive {
			b.WriteByte('.')
		}
		if v.to != nil {
			x.inspectTo(b, v.to, level+1)
		}
	case *regexpValue:
		b.WriteString("/" + v.source + "/" + v.flags())
	case *matchData:
		b.WriteString("#<MatchData " + quote(x.toS(v)))
		names := v.groupNames()
		for i := 1; 2*i < len(v.groups); i++ {
			b.WriteByte(' ')
			if names[i] != "" {
				b.WriteString(names[i])
			} else {
				b.WriteString(strconv.Itoa(i))
			}
			b.WriteByte(':')
			x.inspectTo(b, v.group(x, i), level+1)
		}
		b.WriteByte('>')
	case *timeValue:
		b.WriteString(v.inspect())
	case *timestamp:
		b.WriteString(v.String())
	case *class:
		b.WriteString(v.name)
	case *exception:
		b.WriteString("#<" + v.class.name + ": " + v.text() + ">")
	case *eventObject:
		b.WriteString("#<LogStash::Event>")
	case *proc:
		b.WriteString("#<Proc>")
	case *enumerator:
		b.WriteString("#<Enumerator: ")
		x.inspectTo(b, v.recv, level+1)
		b.WriteString(":" + v.name + ">")
	case string:
		b.WriteString(v)
	default:
		fmt.Fprintf(b, "#<%s>", className(v))
	}
}

// quote is String#inspect.
func quote(s string) string {
	var b strings.Builder
	unicodeForm := !isASCII(s) // control characters are \u0000 beside others than ASCII
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "\\x%02X", s[i])
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '#' && i+1 < len(s) && (s[i+1] == '{' || s[i+1] == '$' || s[i+1] == '@'):
			b.WriteString("\\#")
		case r == '\n':
			b.WriteString("\\n")
		case r == '\t':
			b.WriteString("\\t")
		case r == '\r':
			b.WriteString("\\r")
		case r == 0x1b:
			b.WriteString("\\e")
		case r == 7:
			b.WriteString("\\a")
		case r == 8:
			b.WriteString("\\b")
		case r == '\v':
			b.WriteString("\\v")
		case r == '\f':
			b.WriteString("\\f")
		case r < 0x20 || r == 0x7f:
			if unicodeForm {
				fmt.Fprintf(&b, "\\u%04X", r)
			} else {
				fmt.Fprintf(&b, "\\x%02X", r)
			}
		case r >= 0x80 && !unicode.IsPrint(r):
			if r > 0xffff {
				fmt.Fprintf(&b, "\\u{%X}", r)
			} else {
				fmt.Fprintf(&b, "\\u%04X", r)
			}
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	b.WriteByte('"')
	return b.String()
}

func isPlainName(s string) bool {
	if s == "" || !isIdentStart(firstRune(s)) {
		return false
	}
	for i, r := range s {
		if !isIdent(r) && !(i == len(s)-1 && (r == '?' || r == '!')) {
			return false
		}
	}
	return true
}

func symbolText(s string) string {
	t := strings.TrimSuffix(strings.TrimLeft(s, "@$"), "=")
	if isPlainName(t) {
		return s
	}
	switch s {
	case "[]", "[]=", "+", "-", "*", "/", "%", "**", "==", "<=>", "<", ">", "<=", ">=", "<<", ">>", "!", "&", "|", "^", "=~", "===":
		return s
	}
	return quote(s)
}
