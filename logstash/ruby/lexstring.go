package ruby

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// A quoted text is being read.
type quoted struct {
	open, close byte // open is 0 or other than close where they nest
	interpolate bool
	regexp      bool // escapes stay as they are
	limit       int  // of a heredoc: where it ends; else the end of the code
	indent      int  // of a heredoc: how much white space is cut from each line
	heredoc     bool
	words       bool // %w: only its delimiters and spaces are escaped
}

// stringToken reads a string behind its opening quote.
func (p *parser) stringToken(t *token, open, close byte, interpolate bool) {
	q := quoted{open: open, close: close, interpolate: interpolate, limit: len(p.src)}
	if open == close {
		q.open = 0
	}
	t.kind, t.value = tNode, true
	t.node = &text{at: at(t.at), parts: p.parts(t.at, q)}
}

// parts reads to the end of a quoted text.
func (p *parser) parts(begin int, q quoted) []node {
	var parts []node
	var b strings.Builder
	from := p.off
	flush := func() {
		if b.Len() > 0 {
			parts = append(parts, &literal{at(from), b.String()})
			b.Reset()
		}
	}
	depth := 0
	lineStart := q.heredoc
	for {
		if p.off >= q.limit {
			if q.heredoc {
				break
			}
			p.fail(begin, "this string has no end", "")
		}
		if lineStart {
			for n := 0; n < q.indent && p.off < q.limit && (p.src[p.off] == ' ' || p.src[p.off] == '\t'); n++ {
				p.off++
			}
			lineStart = false
			continue
		}
		c := p.src[p.off]
		switch {
		case !q.heredoc && c == q.close && depth == 0:
			p.off++
			flush()
			return parts
		case !q.heredoc && c == q.close:
			depth--
		case !q.heredoc && q.open != 0 && c == q.open:
			depth++
		case c == '\\' && p.off+1 < q.limit:
			p.escape(&b, q)
			continue
		case c == '#' && q.interpolate && p.byteAt(p.off+1) == '{':
			flush()
			parts = append(parts, p.interpolation())
			from = p.off
			continue
		case c == '#' && q.interpolate && p.byteAt(p.off+1) == '@':
			flush()
			var v token
			p.off++
			v.at = p.off
			p.variable(&v)
			parts = append(parts, &slotVar{at(v.at), v.text})
			from = p.off
			continue
		case c == '\n' && q.heredoc:
			lineStart = true
		}
		b.WriteByte(c)
		p.off++
	}
	flush()
	return parts
}

// interpolation reads #{ … }.
func (p *parser) interpolation() node {
	saved := *p
	p.depth++
	p.deep(p.off)
	p.off += 2
	p.tok, p.prev, p.ternary, p.noDo, p.heredocEnd = token{}, token{}, 0, 0, 0
	begin := p.off
	p.next()
	body := p.statements("}")
	if !p.tok.is("}") {
		p.fail(begin, `"}" is missing behind "#{"`, "")
	}
	end := p.tok.end
	*p = saved
	p.off = end
	return body
}

// escape reads a backslash and what belongs to it.
func (p *parser) escape(b *strings.Builder, q quoted) {
	c := p.src[p.off+1]
	switch {
	case q.regexp:
		if c != q.close || c != '/' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		p.off += 2
		return
	case q.words:
		if c != ' ' && c != '\n' && c != q.close && c != q.open && c != '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		p.off += 2
		return
	case !q.interpolate:
		if q.heredoc || c != '\\' && c != q.close && (q.open == 0 || c != q.open) {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		p.off += 2
		return
	}
	p.off += 2
	switch c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 's':
		b.WriteByte(' ')
	case 'e':
		b.WriteByte(0x1b)
	case 'a':
		b.WriteByte(7)
	case 'b':
		b.WriteByte(8)
	case 'f':
		b.WriteByte('\f')
	case 'v':
		b.WriteByte('\v')
	case '\n':
	case 'x':
		b.WriteByte(byte(p.digits(16, 2, "\\x")))
	case 'u':
		if p.byteAt(p.off) != '{' {
			b.WriteRune(rune(p.digits(16, 4, "\\u")))
			return
		}
		p.off++
		for p.byteAt(p.off) != '}' {
			for p.byteAt(p.off) == ' ' {
				p.off++
			}
			b.WriteRune(rune(p.digits(16, 6, "\\u")))
		}
		p.off++
	case '0', '1', '2', '3', '4', '5', '6', '7':
		p.off--
		b.WriteByte(byte(p.digits(8, 3, "\\")))
	default:
		b.WriteByte(c)
	}
}

// digits reads one to most digits.
func (p *parser) digits(base, most int, what string) uint64 {
	from := p.off
	for p.off < len(p.src) && p.off < from+most {
		if _, err := strconv.ParseUint(p.src[p.off:p.off+1], base, 8); err != nil {
			break
		}
		p.off++
	}
	n, err := strconv.ParseUint(p.src[from:p.off], base, 32)
	if err != nil {
		p.fail(from, "digits are missing behind "+what, "")
	}
	return n
}

// regexpToken reads a regular expression behind its opening delimiter.
func (p *parser) regexpToken(t *token, open, close byte) {
	q := quoted{open: open, close: close, interpolate: true, regexp: true, limit: len(p.src)}
	if open == close {
		q.open = 0
	}
	r := &regexpLit{at: at(t.at), parts: p.parts(t.at, q)}
	t.kind, t.value, t.node = tNode, true, r
	for {
		switch c := p.byteAt(p.off); c {
		case 'i':
			r.opts.IgnoreCase = true
		case 'm':
			r.opts.Multiline = true
		case 'x':
			r.opts.Extended = true
		case 'o', 'u', 'n':
		default:
			if isIdentStart(rune(c)) {
				p.fail(p.off, "the option "+string(c)+" of a regular expression is not known", "there are i, m and x")
			}
			p.staticRegexp(r)
			return
		}
		p.off++
	}
}

// staticRegexp compiles a pattern in which nothing is interpolated.
func (p *parser) staticRegexp(r *regexpLit) {
	for _, part := range r.parts {
		l, ok := part.(*literal)
		if !ok {
			return
		}
		s, ok := l.value.(string)
		if !ok {
			return
		}
		r.source += s
	}
	re, err := regex.Compile(r.source, r.opts)
	if err != nil {
		p.fail(r.pos(), "the regular expression is not valid: "+err.Error(), "")
	}
	r.re = re
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}', '<': '>'}

// percent reads %w[…], %i[…], %q(…), %Q(…), %(…), %r{…}; false if the sign is an operator.
func (p *parser) percent(t *token) bool {
	i := p.off + 1
	form := byte('Q')
	if c := p.byteAt(i); c != 0 && strings.IndexByte("wWiIqQrs", c) >= 0 {
		form = c
		i++
	}
	open := p.byteAt(i)
	if open == 0 || open >= utf8.RuneSelf || isIdent(rune(open)) || open == ' ' || open == '\n' || open == '=' && p.tok.value {
		return false
	}
	if form == 'Q' && i == p.off+1 && closing[open] == 0 && strings.IndexByte("|!/", open) < 0 {
		return false
	}
	end, ok := closing[open]
	if !ok {
		end = open
	}
	p.off = i + 1
	switch form {
	case 'r':
		p.regexpToken(t, open, end)
	case 'w', 'W', 'i', 'I':
		p.wordsToken(t, open, end, form == 'i' || form == 'I')
	default:
		p.stringToken(t, open, end, form == 'Q')
		if s, ok := t.node.(*text); ok && form == 's' {
			s.symbol = true
		}
	}
	return true
}

func (p *parser) wordsToken(t *token, open, end byte, symbols bool) {
	q := quoted{open: open, close: end, words: true, limit: len(p.src)}
	if open == end {
		q.open = 0
	}
	list := &arrayLit{at: at(t.at)}
	for _, part := range p.parts(t.at, q) {
		l := part.(*literal)
		for _, w := range strings.Fields(l.value.(string)) {
			if symbols {
				list.items = append(list.items, &literal{l.at, symbol(w)})
			} else {
				list.items = append(list.items, &text{at: l.at, parts: []node{&literal{l.at, w}}})
			}
		}
	}
	t.kind, t.value, t.node = tNode, true, list
}

// heredoc reads <<~NAME, <<-NAME and <<NAME with the lines that follow; false if the sign is an operator.
func (p *parser) heredoc(t *token) bool {
	i := p.off + 2
	if p.byteAt(p.off+1) != '<' || p.tok.value && !p.operand(t, 2) {
		return false
	}
	squiggly, dash := false, false
	switch p.byteAt(i) {
	case '~':
		squiggly, i = true, i+1
	case '-':
		dash, i = true, i+1
	}
	quote := byte(0)
	if c := p.byteAt(i); c == '"' || c == '\'' {
		quote, i = c, i+1
	}
	from := i
	for isIdent(rune(p.byteAt(i))) {
		i++
	}
	name := p.src[from:i]
	if name == "" || p.tok.value && !squiggly && !dash {
		return false
	}
	if quote != 0 {
		if p.byteAt(i) != quote {
			return false
		}
		i++
	}
	nl := strings.IndexByte(p.src[i:], '\n')
	if p.heredocEnd > 0 {
		nl = p.heredocEnd - i - 1
	}
	if nl < 0 {
		p.fail(p.off, "the text of "+p.src[p.off:i]+" is missing", "")
	}
	begin := i + nl + 1
	end, after, indent := begin, -1, -1
	for at := begin; at < len(p.src); {
		line := p.src[at:]
		next := len(p.src)
		if n := strings.IndexByte(line, '\n'); n >= 0 {
			line, next = line[:n], at+n+1
		}
		trimmed := strings.TrimLeft(line, " \t")
		if strings.TrimRight(trimmed, "\r") == name && (squiggly || dash || len(trimmed) == len(line)) {
			end, after = at, next
			break
		}
		if strings.TrimSpace(line) != "" && (indent < 0 || len(line)-len(trimmed) < indent) {
			indent = len(line) - len(trimmed)
		}
		at = next
	}
	if after < 0 {
		p.fail(p.off, "the end of "+p.src[p.off:i]+" is missing: a line with "+name+" alone", "")
	}
	if !squiggly {
		indent = 0
	}
	p.off = begin
	t.kind, t.value = tNode, true
	t.node = &text{at: at(t.at), parts: p.parts(t.at, quoted{interpolate: quote != '\'', limit: end, indent: max(indent, 0), heredoc: true})}
	p.off = i
	p.heredocEnd = after
	return true
}
