package ruby

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// width gives the bytes of the character at a place; 1 at the end.
func width(s string, i int) int {
	if i >= len(s) {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return n
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// chars counts characters; a byte that is not UTF-8 is one.
func chars(s string) int { return utf8.RuneCountInString(s) }

// byteOffset gives the place of character n; false if there are fewer.
func byteOffset(s string, n int) (int, bool) {
	if isASCII(s) {
		return n, n <= len(s)
	}
	i := 0
	for ; n > 0; n-- {
		if i >= len(s) {
			return i, false
		}
		i += width(s, i)
	}
	return i, true
}

// sub cuts length characters from a place, which counts from the end if it is negative; false if it is outside.
func sub(s string, from, length int) (begin, end int, ok bool) {
	if length < 0 {
		return 0, 0, false
	}
	if from < 0 {
		from += chars(s)
	}
	if from < 0 {
		return 0, 0, false
	}
	begin, ok = byteOffset(s, from)
	if !ok {
		return 0, 0, false
	}
	n, ok := byteOffset(s[begin:], length)
	if !ok {
		return begin, len(s), true
	}
	return begin, begin + n, true
}

// span gives a range as a place and a length, in something of a size.
func (x *exec) span(r *rng, size int) (from, length int, ok bool) {
	to := size - 1
	if r.from != nil {
		from = x.integer(r.from)
	}
	if r.to != nil {
		if to = x.integer(r.to); to < 0 {
			to += size
		}
		if r.exclusive {
			to--
		}
	}
	if from < 0 {
		from += size
	}
	if from < 0 || from > size {
		return 0, 0, false
	}
	return from, max(0, min(to, size-1)-from+1), true
}

// place finds what str[args] means, in bytes.
func (x *exec) place(s string, args []any) (begin, end int, ok bool) {
	x.step(len(s) / 32)
	switch a := args[0].(type) {
	case *str:
		i := strings.Index(s, a.s)
		return i, i + len(a.s), i >= 0
	case *regexpValue:
		m := x.find(a, s, 0)
		x.match = m
		if m == nil {
			return 0, 0, false
		}
		g := 0
		if len(args) > 1 {
			if name, isName := textValue(args[1]); isName {
				if g, ok = m.place(name); !ok {
					x.raise(classIndexError, "undefined group name reference: "+name)
				}
			} else if g = x.integer(args[1]); g < 0 {
				g += len(m.groups) / 2
			}
		}
		if g < 0 || 2*g >= len(m.groups) || m.groups[2*g] < 0 {
			return 0, 0, false
		}
		return m.groups[2*g], m.groups[2*g+1], true
	case *rng:
		from, n, ok := x.span(a, chars(s))
		if !ok {
			return 0, 0, false
		}
		return sub(s, from, n)
	}
	from := x.integer(args[0])
	if len(args) > 1 {
		return sub(s, from, x.integer(args[1]))
	}
	begin, end, ok = sub(s, from, 1)
	return begin, end, ok && begin < end
}

// text gives an argument that has to be a string.
func (x *exec) text(v any) string {
	s, ok := v.(*str)
	if !ok {
		x.raise(classTypeError, "no implicit conversion of "+implicit(v)+" into String")
	}
	return s.s
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

const space = "\t\n\v\f\r "

func strip(s string) string {
	return strings.TrimRight(strings.TrimLeft(s, space+"\x00"), space+"\x00")
}
func lstrip(s string) string { return strings.TrimLeft(s, space+"\x00") }
func rstrip(s string) string { return strings.TrimRight(s, space+"\x00") }

func chomp(s string) string {
	if strings.HasSuffix(s, "\r\n") {
		return s[:len(s)-2]
	}
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

func chop(s string) string {
	if strings.HasSuffix(s, "\r\n") {
		return s[:len(s)-2]
	}
	_, n := utf8.DecodeLastRuneInString(s)
	return s[:len(s)-n]
}

func reverse(s string) string {
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		_, n := utf8.DecodeLastRuneInString(s)
		out = append(out, s[len(s)-n:]...)
		s = s[:len(s)-n]
	}
	return string(out)
}

// successor is String#succ: the last letter or digit counts up, with a carry to the left.
func successor(s string) string {
	b := []byte(s)
	alnum := func(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	last := -1
	for i := len(b) - 1; i >= 0; i-- {
		if alnum(b[i]) {
			last = i
			break
		}
	}
	if last < 0 {
		if len(b) > 0 {
			b[len(b)-1]++
		}
		return string(b)
	}
	for i := last; ; {
		switch b[i] {
		case '9':
			b[i] = '0'
		case 'z':
			b[i] = 'a'
		case 'Z':
			b[i] = 'A'
		default:
			b[i]++
			return string(b)
		}
		next := i - 1
		if next < 0 || !alnum(b[next]) {
			first := map[byte]byte{'0': '1', 'a': 'a', 'A': 'A'}[b[i]]
			return string(b[:i]) + string(first) + string(b[i:])
		}
		i = next
	}
}

// simple makes a method of a function of text.
func simple(f func(string) string) builtin {
	return builtin{0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		in := s.(*str).s
		x.step(len(in) / 16)
		x.alloc(len(in) + 32)
		return newStr(f(in))
	}, false}
}

// bang makes a method that changes its string; it gives nil if nothing changes.
func bang(f builtin) builtin {
	return builtin{f.min, f.max, func(x *exec, s any, a []any, b *proc) any {
		self := s.(*str)
		v := f.fn(x, s, a, b).(*str)
		if v.s == self.s {
			if self.frozen {
				x.change(self, v.s)
			}
			return nil
		}
		x.change(self, v.s)
		return self
	}, false}
}

func predicate(f func(s string) bool) builtin {
	return builtin{0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		x.step(len(s.(*str).s) / 32)
		return f(s.(*str).s)
	}, false}
}

var stringMethods = stringTable()

func stringTable() table {
	t := table{}
	for _, more := range []table{stringBasics, stringSearch, stringConversions} {
		for name, b := range more {
			t[name] = b
		}
	}
	for _, name := range []string{"upcase", "downcase", "capitalize", "swapcase", "strip", "lstrip", "rstrip", "chomp", "chop", "reverse",
		"squeeze", "gsub", "sub", "tr", "tr_s", "delete", "delete_prefix", "delete_suffix", "succ", "next", "scrub", "unicode_normalize"} {
		t[name+"!"] = bang(t[name])
	}
	return t
}

var stringBasics = table{
	"upcase":            {0, -1, simple(strings.ToUpper).fn, false},
	"downcase":          {0, -1, simple(strings.ToLower).fn, false},
	"capitalize":        {0, -1, simple(capitalize).fn, false},
	"swapcase":          simple(swapCase),
	"strip":             simple(strip),
	"lstrip":            simple(lstrip),
	"rstrip":            simple(rstrip),
	"chop":              simple(chop),
	"reverse":           simple(reverse),
	"succ":              simple(successor),
	"next":              simple(successor),
	"unicode_normalize": {0, 1, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*str).s) }, false},
	"chomp": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		if len(a) == 1 {
			return x.str(strings.TrimSuffix(s.(*str).s, x.text(a[0])))
		}
		return x.str(chomp(s.(*str).s))
	}, false},
	"length":          {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(chars(s.(*str).s)) }, false},
	"size":            {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(chars(s.(*str).s)) }, false},
	"bytesize":        {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(len(s.(*str).s)) }, false},
	"empty?":          predicate(func(s string) bool { return s == "" }),
	"ascii_only?":     predicate(isASCII),
	"valid_encoding?": predicate(utf8.ValidString),
	"+": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		other := x.text(a[0])
		x.alloc(len(other) + len(s.(*str).s))
		return newStr(s.(*str).s + other)
	}, false},
	"*": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		n := x.integer(a[0])
		if n < 0 {
			x.raise(classArgumentError, "argument must be non-negative")
		}
		if n > 0 && len(s.(*str).s) > x.memory/n {
			x.raise(classBudget, "the code takes too much memory")
		}
		x.alloc(n * len(s.(*str).s))
		return newStr(strings.Repeat(s.(*str).s, n))
	}, false},
	"%": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if list, ok := a[0].(*array); ok {
			return x.str(x.format(s.(*str).s, list.v))
		}
		return x.str(x.format(s.(*str).s, []any{a[0]}))
	}, false},
	"<<":     {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.appendTo(s.(*str), a) }, false},
	"concat": {0, -1, func(x *exec, s any, a []any, _ *proc) any { return x.appendTo(s.(*str), a) }, false},
	"prepend": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		text := ""
		for _, v := range a {
			text += x.text(v)
		}
		x.change(s.(*str), text+s.(*str).s)
		return s
	}, false},
	"insert": {2, 2, func(x *exec, s any, a []any, _ *proc) any {
		self, i := s.(*str), x.integer(a[0])
		if i < 0 {
			i += chars(self.s) + 1
		}
		at, ok := byteOffset(self.s, max(i, 0))
		if !ok || i < 0 {
			x.raisef(classIndexError, "index %d out of string", x.integer(a[0]))
		}
		x.change(self, self.s[:at]+x.text(a[1])+self.s[at:])
		return s
	}, false},
	"replace": {1, 1, func(x *exec, s any, a []any, _ *proc) any { x.change(s.(*str), x.text(a[0])); return s }, false},
	"clear":   {0, 0, func(x *exec, s any, _ []any, _ *proc) any { x.change(s.(*str), ""); return s }, false},
	"[]": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		in := s.(*str).s
		begin, end, ok := x.place(in, a)
		if !ok {
			return nil
		}
		return x.str(in[begin:end])
	}, false},
	"slice": {1, 2, func(x *exec, s any, a []any, b *proc) any { return x.method("[]", s, a...) }, false},
	"byteslice": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		in := s.(*str).s
		from, n := 0, 1
		if r, ok := a[0].(*rng); ok {
			if from, n, ok = x.span(r, len(in)); !ok {
				return nil
			}
		} else if from = x.integer(a[0]); len(a) > 1 {
			n = x.integer(a[1])
		}
		if from < 0 {
			from += len(in)
		}
		if from < 0 || from > len(in) || n < 0 {
			return nil
		}
		return x.str(in[from:min(len(in), from+n)])
	}, false},
	"slice!": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		self := s.(*str)
		begin, end, ok := x.place(self.s, a)
		if !ok {
			return nil
		}
		cut := x.str(self.s[begin:end])
		x.change(self, self.s[:begin]+self.s[end:])
		return cut
	}, false},
	"[]=": {2, 3, func(x *exec, s any, a []any, _ *proc) any {
		self, v := s.(*str), a[len(a)-1]
		begin, end, ok := x.place(self.s, a[:len(a)-1])
		if !ok {
			switch k := a[0].(type) {
			case *str:
				x.raise(classIndexError, "string not matched")
			case *regexpValue:
				x.raise(classIndexError, "regexp not matched")
			case *rng:
				x.raise(classRangeError, x.inspect(k)+" out of range")
			}
			x.raise(classIndexError, "index "+x.inspect(a[0])+" out of string")
		}
		x.change(self, self.s[:begin]+x.text(v)+self.s[end:])
		return v
	}, false},
	"ord": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		if s.(*str).s == "" {
			x.raise(classArgumentError, "empty string")
		}
		return int64(firstRune(s.(*str).s))
	}, false},
	"chr": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		in := s.(*str).s
		return x.str(in[:min(len(in), width(in, 0))])
	}, false},
	"hash": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(hashText(s.(*str).s) >> 2) }, false},
	"<":    {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.order(s, a[0]) < 0 }, false},
	"casecmp": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		o, ok := a[0].(*str)
		if !ok {
			x.text(a[0])
		}
		return int64(strings.Compare(strings.ToLower(s.(*str).s), strings.ToLower(o.s)))
	}, false},
	"casecmp?": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return strings.EqualFold(s.(*str).s, x.text(a[0])) }, false},
	"rjust": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		return x.justify(s.(*str).s, a, func(n int) (int, int) { return n, 0 })
	}, false},
	"ljust": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		return x.justify(s.(*str).s, a, func(n int) (int, int) { return 0, n })
	}, false},
	"center": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		return x.justify(s.(*str).s, a, func(n int) (int, int) { return n / 2, n - n/2 })
	}, false},
	"force_encoding": {1, 1, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"encoding":       {0, 0, func(x *exec, _ any, _ []any, _ *proc) any { return x.str("UTF-8") }, false},
	"unpack":         {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.unpack(s.(*str).s, x.text(a[0])) }, false},
	"unpack1":        {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.unpack(s.(*str).s, x.text(a[0])).at(0) }, false},
	"scrub": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		by := "\uFFFD"
		if len(a) > 0 {
			by = x.text(a[0])
		}
		return x.str(strings.ToValidUTF8(s.(*str).s, by))
	}, false},
	"encode": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		by := "\uFFFD"
		if len(a) > 0 {
			if h, ok := a[len(a)-1].(*hash); ok {
				if r, ok := h.get(x, symbol("replace")); ok {
					by = x.text(r)
				}
			}
		}
		return x.str(strings.ToValidUTF8(s.(*str).s, by))
	}, false},
	"unicode_normalized?": {0, 1, func(_ *exec, _ any, _ []any, _ *proc) any { return true }, false},
}

func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func (x *exec) appendTo(s *str, args []any) any {
	for _, v := range args {
		switch v := v.(type) {
		case *str:
			x.grow(s, v.s)
		case int64:
			if v < 0 || v > utf8.MaxRune {
				x.raisef(classRangeError, "%d out of char range", v)
			}
			x.grow(s, string(rune(v)))
		default:
			x.text(v)
		}
	}
	return s
}

func (x *exec) justify(s string, args []any, split func(n int) (left, right int)) any {
	pad := " "
	if len(args) > 1 {
		if pad = x.text(args[1]); pad == "" {
			x.raise(classArgumentError, "zero width padding")
		}
	}
	n := x.integer(args[0]) - chars(s)
	if n <= 0 {
		return x.str(s)
	}
	x.alloc(n*4 + len(s))
	left, right := split(n)
	fill := func(n int) string {
		var b strings.Builder
		for n > 0 {
			for _, r := range pad {
				if n == 0 {
					break
				}
				b.WriteRune(r)
				n--
			}
		}
		return b.String()
	}
	return newStr(fill(left) + s + fill(right))
}
