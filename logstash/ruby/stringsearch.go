package ruby

import (
	"strings"
)

var stringSearch = table{
	"include?": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return strings.Contains(s.(*str).s, x.text(a[0])) }, false},
	"start_with?": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		for _, v := range a {
			if re, ok := v.(*regexpValue); ok {
				if m := x.find(re, s.(*str).s, 0); m != nil && m.groups[0] == 0 {
					x.match = m
					return true
				}
			} else if strings.HasPrefix(s.(*str).s, x.text(v)) {
				return true
			}
		}
		return false
	}, false},
	"end_with?": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		for _, v := range a {
			if strings.HasSuffix(s.(*str).s, x.text(v)) {
				return true
			}
		}
		return false
	}, false},
	"delete_prefix": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.str(strings.TrimPrefix(s.(*str).s, x.text(a[0]))) }, false},
	"delete_suffix": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.str(strings.TrimSuffix(s.(*str).s, x.text(a[0]))) }, false},
	"=~":            {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.matches(s, a[0]) }, false},
	"match":         {1, 2, func(x *exec, s any, a []any, b *proc) any { return x.matchMethod(x.asRegexp(a[0]), s, b) }, false},
	"match?":        {1, 2, func(x *exec, s any, a []any, _ *proc) any { return x.tests(x.asRegexp(a[0]), s.(*str).s) }, false},
	"index": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		in, from := s.(*str).s, 0
		x.step(len(in) / 32)
		if len(a) > 1 {
			n := x.integer(a[1])
			if n < 0 {
				n += chars(in)
			}
			var ok bool
			if from, ok = byteOffset(in, max(n, 0)); !ok || n < 0 {
				return nil
			}
		}
		re, text := x.pattern(a[0])
		if re == nil {
			i := strings.Index(in[from:], text)
			if i < 0 {
				return nil
			}
			return int64(chars(in[:from+i]))
		}
		x.match = x.find(re, in, from)
		if x.match == nil {
			return nil
		}
		return int64(chars(in[:x.match.groups[0]]))
	}, false},
	"rindex": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		in := s.(*str).s
		re, text := x.pattern(a[0])
		end := len(in)
		if len(a) > 1 {
			n := x.integer(a[1])
			if n < 0 {
				n += chars(in)
			}
			if n < 0 {
				return nil
			}
			end, _ = byteOffset(in, n)
		}
		found := -1
		if re == nil {
			found = strings.LastIndex(in[:min(len(in), end+len(text))], text)
		} else {
			for i := min(end, len(in)); i >= 0 && found < 0; i-- {
				if m := x.find(re, in, i); m != nil && m.groups[0] == i {
					x.match, found = m, i
				}
			}
		}
		if found < 0 {
			return nil
		}
		return int64(chars(in[:found]))
	}, false},
	"count": {1, -1, func(x *exec, s any, a []any, _ *proc) any {
		n := int64(0)
		in := x.charSet(a)
		for _, r := range s.(*str).s {
			if in(r) {
				n++
			}
		}
		return n
	}, false},
	"delete": {1, -1, func(x *exec, s any, a []any, _ *proc) any {
		in := x.charSet(a)
		return x.str(strings.Map(func(r rune) rune {
			if in(r) {
				return -1
			}
			return r
		}, s.(*str).s))
	}, false},
	"squeeze": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		in := func(rune) bool { return true }
		if len(a) > 0 {
			in = x.charSet(a)
		}
		var b strings.Builder
		last := rune(-1)
		for _, r := range s.(*str).s {
			if r != last || !in(r) {
				b.WriteRune(r)
			}
			last = r
		}
		return x.str(b.String())
	}, false},
	"tr": {2, 2, func(x *exec, s any, a []any, _ *proc) any {
		from, negated := expandSet(x.text(a[0]))
		to, _ := expandSet(x.text(a[1]))
		x.step(len(s.(*str).s))
		return x.str(strings.Map(func(r rune) rune {
			i := strings.IndexRune(string(from), r)
			at := -1
			if i >= 0 {
				at = chars(string(from)[:i])
			}
			switch {
			case negated && at < 0:
				if len(to) == 0 {
					return -1
				}
				return to[len(to)-1]
			case negated || at < 0:
				return r
			case len(to) == 0:
				return -1
			}
			return to[min(at, len(to)-1)]
		}, s.(*str).s))
	}, false},
	"tr_s": {2, 2, func(x *exec, s any, a []any, _ *proc) any {
		return x.method("squeeze", x.method("tr", s, a...), a[1])
	}, false},
	"gsub": {1, 2, func(x *exec, s any, a []any, b *proc) any { return x.replace(s.(*str).s, a, b, true) }, false},
	"sub":  {1, 2, func(x *exec, s any, a []any, b *proc) any { return x.replace(s.(*str).s, a, b, false) }, false},
	"scan": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		out := &array{}
		re := x.literalRegexp(a[0])
		x.each(re, s.(*str).s, func(m *matchData) bool {
			x.match = m
			v := m.group(x, 0)
			if len(m.groups) > 2 {
				v = m.list(x, 1)
			}
			if b != nil {
				x.call1(b, v)
			} else {
				x.alloc(16)
				out.v = append(out.v, v)
			}
			return true
		})
		if b != nil {
			return s
		}
		return out
	}, false},
	"split": {0, 2, func(x *exec, s any, a []any, b *proc) any {
		list := x.split(s.(*str).s, a)
		if b != nil {
			for _, v := range list.v {
				x.call1(b, v)
			}
			return s
		}
		return list
	}, false},
	"partition": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		in := s.(*str).s
		begin, end, ok := x.place(in, a)
		if !ok {
			return x.array([]any{x.str(in), x.str(""), x.str("")})
		}
		return x.array([]any{x.str(in[:begin]), x.str(in[begin:end]), x.str(in[end:])})
	}, false},
	"rpartition": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		in := s.(*str).s
		text := x.text(a[0])
		i := strings.LastIndex(in, text)
		if i < 0 {
			return x.array([]any{x.str(""), x.str(""), x.str(in)})
		}
		return x.array([]any{x.str(in[:i]), x.str(text), x.str(in[i+len(text):])})
	}, false},
	"chars": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.chars(s.(*str).s) }, false},
	"each_char": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		for _, c := range x.chars(s.(*str).s).v {
			x.call1(b, c)
		}
		return s
	}, true},
	"bytes": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := x.room(len(s.(*str).s))
		for _, c := range bytesOf(s.(*str).s) {
			out = append(out, int64(c))
		}
		return &array{v: out}
	}, false},
	"each_byte": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		for _, c := range bytesOf(s.(*str).s) {
			x.call1(b, int64(c))
		}
		return s
	}, true},
	"codepoints": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := x.room(len(s.(*str).s))
		for _, r := range s.(*str).s {
			out = append(out, int64(r))
		}
		return &array{v: out}
	}, false},
	"lines": {0, 1, func(x *exec, s any, _ []any, _ *proc) any { return x.lines(s.(*str).s) }, false},
	"each_line": {0, 1, func(x *exec, s any, _ []any, b *proc) any {
		for _, l := range x.lines(s.(*str).s).v {
			x.call1(b, l)
		}
		return s
	}, true},
}

// asRegexp gives a pattern; a text is the source of one.
func (x *exec) asRegexp(v any) *regexpValue {
	re, text := x.pattern(v)
	if re == nil {
		return x.newRegexp(text, newRegexpOptions)
	}
	return re
}

// literalRegexp gives a pattern; a text matches itself.
func (x *exec) literalRegexp(v any) *regexpValue {
	re, text := x.pattern(v)
	if re == nil {
		return x.newRegexp(escapeRegexp(text), newRegexpOptions)
	}
	return re
}

func (x *exec) chars(s string) *array {
	out := x.room(chars(s))
	for len(s) > 0 {
		n := width(s, 0)
		out = append(out, x.str(s[:n]))
		s = s[n:]
	}
	return &array{v: out}
}

func (x *exec) lines(s string) *array {
	out := x.room(strings.Count(s, "\n") + 1)
	for len(s) > 0 {
		n := strings.IndexByte(s, '\n') + 1
		if n == 0 {
			n = len(s)
		}
		out = append(out, x.str(s[:n]))
		s = s[n:]
	}
	return &array{v: out}
}

// expandSet reads a set of characters as tr does: ranges, and ^ for all others.
func expandSet(s string) (set []rune, negated bool) {
	in := []rune(s)
	if len(in) > 1 && in[0] == '^' {
		negated, in = true, in[1:]
	}
	for i := 0; i < len(in); i++ {
		c := in[i]
		if c == '\\' && i+1 < len(in) {
			i++
			c = in[i]
		} else if i+2 < len(in) && in[i+1] == '-' && in[i+2] >= c && in[i+2]-c < 0x10000 {
			for r := c; r <= in[i+2]; r++ {
				set = append(set, r)
			}
			i += 2
			continue
		}
		set = append(set, c)
	}
	return set, negated
}

// charSet gives the characters that are in all sets.
func (x *exec) charSet(sets []any) func(r rune) bool {
	var all []func(r rune) bool
	for _, v := range sets {
		set, negated := expandSet(x.text(v))
		x.step(len(set))
		has := map[rune]bool{}
		for _, r := range set {
			has[r] = true
		}
		all = append(all, func(r rune) bool { return has[r] != negated })
	}
	return func(r rune) bool {
		for _, in := range all {
			if !in(r) {
				return false
			}
		}
		return true
	}
}

// split is String#split.
func (x *exec) split(s string, args []any) *array {
	limit := 0
	if len(args) > 1 {
		limit = x.integer(args[1])
	}
	out := &array{}
	add := func(text string) {
		x.alloc(16)
		out.v = append(out.v, x.str(text))
	}
	full := func() bool { return limit > 0 && len(out.v) == limit-1 }
	x.step(len(s) / 32)
	var re *regexpValue
	sep := " "
	if len(args) > 0 && args[0] != nil {
		re, sep = x.pattern(args[0])
	}
	if s == "" {
		return out
	}
	if limit == 1 {
		add(s)
		return out
	}
	rest := s
	switch {
	case re != nil:
		from := 0
		x.each(re, s, func(m *matchData) bool {
			begin, end := m.groups[0], m.groups[1]
			if full() || begin == len(s) && begin == end {
				return false
			}
			if begin == end {
				if begin == from {
					if begin == 0 && width(s, 0) >= len(s) {
						return false
					}
					if begin == 0 {
						return true
					}
				}
				add(s[from:begin])
				from = begin
			} else {
				add(s[from:begin])
				from = end
			}
			for g := 1; 2*g < len(m.groups); g++ {
				if m.groups[2*g] >= 0 {
					add(s[m.groups[2*g]:m.groups[2*g+1]])
				}
			}
			return true
		})
		rest = s[from:]
	case sep == " ":
		rest = strings.TrimLeft(rest, space)
		for rest != "" && !full() {
			i := strings.IndexAny(rest, space)
			if i < 0 {
				break
			}
			add(rest[:i])
			rest = strings.TrimLeft(rest[i:], space)
			if rest == "" && limit == 0 {
				return out
			}
		}
	case sep == "":
		for len(rest) > 0 && !full() {
			n := width(rest, 0)
			add(rest[:n])
			rest = rest[n:]
		}
		if rest == "" && limit == 0 {
			return out
		}
	default:
		for !full() {
			i := strings.Index(rest, sep)
			if i < 0 {
				break
			}
			add(rest[:i])
			rest = rest[i+len(sep):]
		}
	}
	add(rest)
	if limit == 0 {
		for len(out.v) > 0 && out.v[len(out.v)-1].(*str).s == "" {
			out.v = out.v[:len(out.v)-1]
		}
	}
	return out
}

// replace is sub and gsub.
func (x *exec) replace(in string, args []any, b *proc, all bool) any {
	name := "sub"
	if all {
		name = "gsub"
	}
	if len(args) == 1 && b == nil {
		if all {
			return &enumerator{recv: x.str(in), name: name, args: []any{args[0]}, fn: lookUp(kString, "gsub")}
		}
		x.arity(1, 2)
	}
	var by func(out []byte, m *matchData) []byte
	if len(args) == 1 {
		by = func(out []byte, m *matchData) []byte {
			x.match = m
			return append(out, x.toS(x.call1(b, m.group(x, 0)))...)
		}
	} else if h, ok := args[1].(*hash); ok {
		by = func(out []byte, m *matchData) []byte {
			return append(out, x.toS(h.fetch(x, m.group(x, 0)))...)
		}
	} else {
		text := x.text(args[1])
		re, plain := x.pattern(args[0])
		if re == nil && !strings.Contains(text, `\`) { // the usual way
			n := 1
			if all {
				n = strings.Count(in, plain)
			}
			x.step(len(in) / 32)
			x.alloc(len(in) + n*len(text))
			if !all {
				return newStr(strings.Replace(in, plain, text, 1))
			}
			return newStr(strings.ReplaceAll(in, plain, text))
		}
		by = func(out []byte, m *matchData) []byte { return x.template(out, text, m) }
	}
	re := x.literalRegexp(args[0])
	var out []byte
	from, found := 0, false
	x.each(re, in, func(m *matchData) bool {
		found = true
		out = append(out, in[from:m.groups[0]]...)
		before := len(out)
		out = by(out, m)
		x.alloc(len(out) - before + m.groups[0] - from)
		from = m.groups[1]
		x.match = m
		return all
	})
	if !found {
		return x.str(in)
	}
	return x.str(string(append(out, in[from:]...)))
}

// template appends a replacement with \1, \k<name>, \0, \&, \\.
func (x *exec) template(out []byte, text string, m *matchData) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			out = append(out, c)
			continue
		}
		i++
		var group int
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			group = int(c - '0')
		case c == '&':
			group = 0
		case c == '`':
			out = append(out, m.in[:m.groups[0]]...)
			continue
		case c == '\'':
			out = append(out, m.in[m.groups[1]:]...)
			continue
		case c == 'k' && i+1 < len(text) && text[i+1] == '<':
			end := strings.IndexByte(text[i:], '>')
			if end < 0 {
				out = append(out, '\\', 'k')
				continue
			}
			name := text[i+2 : i+end]
			i += end
			g, ok := m.place(name)
			if !ok {
				x.raise(classIndexError, "undefined group name reference: "+name)
			}
			group = g
		case c == '\\':
			out = append(out, '\\')
			continue
		default:
			out = append(out, '\\', c)
			continue
		}
		if 2*group < len(m.groups) && m.groups[2*group] >= 0 {
			out = append(out, m.in[m.groups[2*group]:m.groups[2*group+1]]...)
		}
	}
	return out
}
