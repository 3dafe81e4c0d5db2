package regex

import (
	"strings"
	"unicode/utf8"
)

// escape reads what stands behind a backslash outside of a class.
func (p *parser) escape(start int) *node {
	if !p.more() {
		p.fail(start, "end of pattern at escape")
		return &node{kind: nEmpty}
	}
	place := func(a assert) *node { return &node{kind: nAssert, assert: a, offset: start} }
	switch c := p.src[p.pos]; c {
	case 'A':
		p.pos++
		return place(textStart)
	case 'Z':
		p.pos++
		return place(textEndLine)
	case 'z':
		p.pos++
		return place(textEnd)
	case 'G':
		p.pos++
		return place(searchStart)
	case 'b', 'B':
		p.pos++
		a := wordEdge
		if c == 'B' {
			a = noWordEdge
		}
		if p.modes.asciiEdge {
			a += asciiWordEdge - wordEdge
		}
		return place(a)
	case 'K':
		p.pos++
		return &node{kind: nKeep, offset: start}
	case 'R':
		p.pos++
		crlf := &node{kind: nChar, text: []byte("\r\n"), offset: start}
		one := &node{kind: nSet, set: setOf('\n', '\r', 0x85, 0x85, 0x2028, 0x2029), offset: start}
		return &node{kind: nAtomic, offset: start, subs: []*node{{kind: nAlt, subs: []*node{crlf, one}}}}
	case 'X':
		p.fail(start, "grapheme clusters (\\X) are not supported")
		return &node{kind: nEmpty}
	case 'k':
		if open := p.src[p.pos+1:]; strings.HasPrefix(open, "<") || strings.HasPrefix(open, "'") {
			return p.namedBackref(start)
		}
	case 'g':
		if open := p.src[p.pos+1:]; strings.HasPrefix(open, "<") || strings.HasPrefix(open, "'") {
			return p.call(start)
		}
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if n := p.numberedBackref(start); n != nil {
			return n
		}
	}
	if set, ok := p.classEscape(start); ok {
		return &node{kind: nSet, set: set, offset: start}
	}
	return p.char(p.charEscape(start), start)
}

func (p *parser) namedBackref(start int) *node {
	end := rune('>')
	if p.src[p.pos+1] == '\'' {
		end = '\''
	}
	p.pos += 2
	n := &node{kind: nBackref, fold: p.modes.fold, offset: start}
	n.refs, n.byName = p.reference(p.name(start, end), start)
	return n
}

// numberedBackref reads \1 and so on. A number above 9 that no group before it has is an octal escape.
func (p *parser) numberedBackref(start int) *node {
	before := p.pos
	n := 0
	for p.more() && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		n = min(n*10+int(p.src[p.pos]-'0'), maxGroups+1)
		p.pos++
	}
	if n <= 9 || n <= p.groups {
		return &node{kind: nBackref, refs: []int{n}, fold: p.modes.fold, offset: start}
	}
	p.pos = before
	return nil
}

// call reads \g<name>, \g<1>, \g<-1>.
func (p *parser) call(start int) *node {
	end := rune('>')
	if p.src[p.pos+1] == '\'' {
		end = '\''
	}
	p.pos += 2
	name := p.name(start, end)
	n := &node{kind: nCall, offset: start}
	switch {
	case p.err != nil:
	case name == "0":
		p.fail(start, "recursion (\\g<0>) is not supported")
	case strings.HasPrefix(name, "+"):
		groups, _ := p.reference(name[1:], start)
		if p.err == nil {
			n.refs = []int{p.groups + groups[0]}
		}
	case name[0] == '-' || name[0] >= '0' && name[0] <= '9':
		n.refs, _ = p.reference(name, start)
	default:
		n.byName = true
		n.text = []byte(name) // a group may stand behind its call
	}
	return n
}

// classEscape reads the escapes that stand for a set, in and outside of classes.
func (p *parser) classEscape(start int) (runeSet, bool) {
	c := p.src[p.pos]
	var s runeSet
	switch c {
	case 'w', 'W':
		s = asciiWord
		if !p.modes.asciiClass {
			s = wordSet()
		}
	case 'd', 'D':
		s = asciiDigit
		if !p.modes.asciiClass {
			s = posixSets["digit"]()
		}
	case 's', 'S':
		s = asciiSpace
		if !p.modes.asciiClass {
			s = posixSets["space"]()
		}
	case 'h', 'H':
		s = asciiHex
	case 'p', 'P':
		if !strings.HasPrefix(p.src[p.pos+1:], "{") {
			p.fail(start, "invalid character property: expected { behind \\%c", c)
			return nil, true
		}
		return p.property(start, c == 'P'), true
	default:
		return nil, false
	}
	p.pos++
	if c < 'a' {
		s = s.not()
	}
	return s, true
}

func (p *parser) property(start int, not bool) runeSet {
	p.pos += 2
	if p.take("^") {
		not = !not
	}
	i := strings.IndexByte(p.src[p.pos:], '}')
	if i < 0 {
		p.fail(start, "character property without its end }")
		return nil
	}
	name := p.src[p.pos : p.pos+i]
	s, ok := propertySet(name)
	if !ok {
		p.fail(start, "invalid character property name {%s}", name)
		return nil
	}
	p.pos += i + 1
	if p.modes.fold && !p.inClass {
		s = s.folded(s)
	}
	if not {
		s = s.not()
	}
	return s
}

// charEscape reads the escapes that stand for one character, in and outside of classes.
func (p *parser) charEscape(start int) rune {
	c := p.next()
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'v':
		return '\v'
	case 'f':
		return '\f'
	case 'r':
		return '\r'
	case 'a':
		return '\a'
	case 'e':
		return 0x1b
	case '0', '1', '2', '3', '4', '5', '6', '7':
		p.pos--
		return p.bytesEscape(start)
	case 'x':
		if !p.at("{") {
			p.pos--
			return p.bytesEscape(start)
		}
		if r, ok := p.braced(8); ok {
			return p.valid(r, start)
		}
		return 0 // \x without digits is NUL; the brace is text
	case 'u':
		if p.at("{") {
			r, ok := p.braced(6)
			if !ok {
				p.fail(start, "invalid Unicode escape: expected \\u{…}")
			}
			return p.valid(r, start)
		}
		r, n := p.hex(4)
		if n < 4 {
			p.fail(start, "invalid Unicode escape: expected four hexadecimal digits")
		}
		return p.valid(r, start)
	case 'c', 'C', 'M':
		return p.controlEscape(c, start)
	}
	return c
}

// controlEscape reads the rest of \cx, \C-x and \M-x.
func (p *parser) controlEscape(c rune, start int) rune {
	if c != 'c' && !p.take("-") {
		p.fail(start, "invalid control-code syntax: expected - behind \\%c", c)
		return 0
	}
	if !p.more() {
		p.fail(start, "end of pattern at control")
		return 0
	}
	r := p.next()
	if r == '\\' && p.more() {
		r = p.charEscape(start)
	} else if r == '?' && c != 'M' {
		return 0x7f
	}
	if c == 'M' {
		p.fail(start, "meta escapes (\\M-x) are no characters of UTF-8")
		return 0
	}
	return r & 0x9f
}

// bytesEscape reads \xHH and \ooo, which are bytes: several together may be one character.
func (p *parser) bytesEscape(start int) rune {
	var bytes []byte
	for first := true; first || len(bytes) < utf8.UTFMax && !utf8.FullRune(bytes); first = false {
		if !first && !p.take("\\") {
			break
		}
		before := p.pos
		b, ok := p.byteEscape()
		if !ok {
			p.pos = before - 1
			break
		}
		bytes = append(bytes, b)
	}
	r, n := utf8.DecodeRune(bytes)
	if r == utf8.RuneError && n <= 1 || n < len(bytes) {
		p.fail(start, "too short multibyte string: the bytes are not valid UTF-8")
	}
	return r
}

func (p *parser) byteEscape() (byte, bool) {
	if p.take("x") {
		r, _ := p.hex(2)
		return byte(r), true
	}
	v, n := 0, 0
	for n < 3 && p.more() && p.src[p.pos] >= '0' && p.src[p.pos] <= '7' {
		v = v*8 + int(p.src[p.pos]-'0')
		p.pos++
		n++
	}
	if v > 0xff {
		p.fail(p.pos-n, "too big a number in an octal escape")
	}
	return byte(v), n > 0
}

// braced reads {hex digits}; if there are none it takes nothing.
func (p *parser) braced(most int) (rune, bool) {
	before := p.pos
	p.pos++
	r, n := p.hex(most)
	if n == 0 || !p.take("}") {
		p.pos = before
		return 0, false
	}
	return r, true
}

func (p *parser) hex(most int) (r rune, n int) {
	for n < most && p.more() {
		d := strings.IndexByte("0123456789abcdef", p.src[p.pos]|0x20)
		if d < 0 || p.src[p.pos] < '0' {
			break
		}
		r = r<<4 | rune(d)
		p.pos++
		n++
	}
	return r, n
}

func (p *parser) valid(r rune, start int) rune {
	if !utf8.ValidRune(r) {
		p.fail(start, "invalid code point value %#x", uint32(r))
		return 0
	}
	return r
}
