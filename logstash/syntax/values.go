package syntax

import (
	"strconv"
	"strings"
)

// value reads plugin / bareword / string / number / array / hash. What a plugin's name and an opening brace begin with
// can be nothing else.
func (p *parser) value() (Value, bool) {
	start := p.pos
	if start == len(p.src) {
		p.fail(start, wantValue)
		return nil, false
	}
	switch c := p.src[start]; {
	case c == '[':
		return p.array()
	case c == '{':
		return p.hash()
	case !isName(c) && c != '"' && c != '\'', !p.name(wantValue):
		p.fail(start, wantValue)
		return nil, false
	}
	end := p.pos
	p.blank()
	if p.literal("{", wantCodec) {
		return p.pluginBody(start, end)
	}
	p.pos = start
	switch c := p.src[start]; {
	case isLetter(c):
		return p.bareword()
	case c == '"' || c == '\'':
		p.pos = end
		return p.stringNode(start), true
	}
	return p.number()
}

// bareword reads a word of at least two characters.
func (p *parser) bareword() (*Bareword, bool) {
	start := p.pos
	if !p.word() {
		return nil, false
	}
	return &Bareword{Pos: p.at(start), Text: p.src[start:p.pos]}, true
}

// word goes over a bareword.
func (p *parser) word() bool {
	end := p.pos
	if end == len(p.src) || !isLetter(p.src[end]) {
		return false
	}
	for end < len(p.src) && isWord(p.src[end]) {
		end++
	}
	if end-p.pos < 2 {
		p.fail(end, wantWordRest)
		return false
	}
	p.pos = end
	return true
}

// quoted goes over a string. A backslash before a quote like the one that opened it keeps it open, whatever is before
// the backslash.
func (p *parser) quoted() bool {
	start := p.pos
	if start == len(p.src) || p.src[start] != '"' && p.src[start] != '\'' {
		return false
	}
	return p.delimited(p.src[start], wantQuote)
}

// delimited goes over what stands between two equal characters. It is not ok if the second one is missing.
func (p *parser) delimited(c byte, want expect) bool {
	start := p.pos
	for end := start + 1; ; end++ {
		n := strings.IndexByte(p.src[end:], c)
		if n < 0 {
			if p.unclosed < 0 {
				p.unclosed = start
			}
			p.fail(len(p.src), want)
			return false
		}
		end += n
		if end > start+1 && p.src[end-1] == '\\' {
			continue
		}
		p.pos = end + 1
		return true
	}
}

// stringNode makes the node of the string from start to here.
func (p *parser) stringNode(start int) *String {
	raw := p.src[start:p.pos]
	s := &String{Pos: p.at(start), Raw: raw, Value: raw[1 : len(raw)-1]}
	if strings.IndexByte(raw, '\n') >= 0 {
		p.multiline = span{start, p.pos}
	}
	if i := strings.IndexByte(raw, '\\'); i >= 0 && strings.IndexByte(raw[i:len(raw)-1], raw[0]) >= 0 {
		p.escaped = span{start, p.pos}
	}
	if p.escapes {
		s.Value = unescape(s.Value)
	}
	return s
}

// unescape does what config.support_escapes asks for; other escapes stay as they are. It follows
// logstash-core/lib/logstash/config/string_escape.rb.
func unescape(s string) string {
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s
	}
	var out strings.Builder
	for at >= 0 && at+1 < len(s) {
		out.WriteString(s[:at])
		switch c := s[at+1]; c {
		case '"', '\'', '\\':
			out.WriteByte(c)
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 't':
			out.WriteByte('\t')
		case '0':
			out.WriteByte(0)
		default:
			out.WriteString(s[at : at+2])
		}
		s = s[at+2:]
		at = strings.IndexByte(s, '\\')
	}
	out.WriteString(s)
	return out.String()
}

// number reads a number. It becomes an integer or a float as Ruby's Integer and Float make one of the text: a leading
// zero means octal, a decimal point needs a digit after it.
func (p *parser) number() (*Number, bool) {
	start := p.pos
	end := start
	if p.src[end] == '-' {
		end++
	}
	digits := end
	for end < len(p.src) && isDigit(p.src[end]) {
		end++
	}
	if end == digits {
		p.fail(end, wantDigit)
		return nil, false
	}
	n := &Number{Pos: p.at(start)}
	if end < len(p.src) && p.src[end] == '.' {
		n.IsFloat = true
		point := end
		end++
		for end < len(p.src) && isDigit(p.src[end]) {
			end++
		}
		if end == point+1 {
			p.errorf(start, "%s is no number: a digit is missing after the point", p.src[start:end])
		}
	}
	p.pos = end
	n.Raw = p.src[start:end]
	if n.IsFloat {
		n.Float, _ = strconv.ParseFloat(n.Raw, 64) // out of range is an infinity, as it is in Ruby
		return n, true
	}
	base := 10
	if p.src[digits] == '0' && end > digits+1 {
		base = 8
	}
	var err error
	if n.Int, err = strconv.ParseInt(n.Raw, base, 64); err != nil {
		if base == 8 && strings.ContainsAny(n.Raw, "89") {
			p.errorf(start, "%s is no number: a leading zero means octal; remove it or put the number in quotes", n.Raw)
		} else {
			p.errorf(start, "the number %s does not fit in 64 bits; put it in quotes to keep its text", n.Raw)
		}
	}
	return n, true
}

// array reads "[" cs (value (cs "," cs value)*)? cs "]".
func (p *parser) array() (*Array, bool) {
	start := p.pos
	if !p.enter() {
		return nil, false
	}
	defer p.leave()
	p.pos++
	a := &Array{Pos: p.at(start)}
	p.blank()
	for {
		v, ok := p.value()
		if !ok {
			break
		}
		a.Values = append(a.Values, v)
		p.blank()
		if !p.literal(",", wantComma) {
			return a, p.literal("]", wantEndArray)
		}
		p.blank()
	}
	// There is no comma before the end.
	if p.stop || len(a.Values) > 0 || !p.literal("]", wantEndArray) {
		p.pos = start
		return nil, false
	}
	return a, true
}

// hash reads "{" cs (entry (cs entry)*)? cs "}".
func (p *parser) hash() (*Hash, bool) {
	start := p.pos
	if !p.enter() {
		return nil, false
	}
	defer p.leave()
	p.open = append(p.open, opened{"this hash", start})
	defer func() { p.open = p.open[:len(p.open)-1] }()
	p.pos++
	h := &Hash{Pos: p.at(start)}
	seen := map[string]int{}
	p.blank()
	for {
		from := p.pos
		e, ok := p.entry()
		if !ok {
			break
		}
		// Logstash compares the keys as they are written, with their quotes.
		key := p.src[from : from+keyLength(e.Key)]
		if seen[key]++; seen[key] == 2 {
			p.errorf(from, "the key %s is in this hash twice; the hash begins at %d:%d", key, h.Pos.Line, h.Pos.Column)
		}
		h.Entries = append(h.Entries, e)
		p.blank()
	}
	if p.stop || !p.literal("}", wantClose) {
		p.pos = start
		return nil, false
	}
	return h, true
}

func keyLength(key Value) int {
	switch k := key.(type) {
	case *String:
		return len(k.Raw)
	case *Bareword:
		return len(k.Text)
	case *Number:
		return len(k.Raw)
	}
	return 0
}

// entry reads (number / bareword / string) cs "=>" cs value.
func (p *parser) entry() (*Entry, bool) {
	start := p.pos
	if start == len(p.src) {
		p.fail(start, wantKey)
		return nil, false
	}
	e := &Entry{}
	switch c := p.src[start]; {
	case isLetter(c):
		k, ok := p.bareword()
		if !ok {
			return nil, false
		}
		e.Key = k
	case c == '"' || c == '\'':
		if !p.quoted() {
			return nil, false
		}
		e.Key = p.stringNode(start)
	case c == '-' || isDigit(c):
		k, ok := p.number()
		if !ok {
			return nil, false
		}
		e.Key = k
		p.errorf(start, "a number cannot be a key: write \"%s\"", k.Raw)
	default:
		p.fail(start, wantKey)
		return nil, false
	}
	e.Pos = e.Key.At()
	p.blank()
	if p.literal("=>", wantArrow) {
		p.blank()
		var ok bool
		if e.Value, ok = p.value(); ok {
			return e, true
		}
	}
	p.pos = start
	return nil, false
}
