package regex

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// group reads what stands behind an opening parenthesis.
func (p *parser) group(start int) (n *node, rest bool) {
	if !p.take("?") {
		p.groups++
		if p.groups > maxGroups {
			p.fail(start, "too many groups")
		}
		n = &node{kind: nCapture, group: p.groups, offset: start}
		n.subs = []*node{p.body(start)}
		return n, false
	}
	inside := func(n *node) (*node, bool) {
		n.offset = start
		n.subs = []*node{p.body(start)}
		return n, false
	}
	switch {
	case !p.more():
		p.fail(start, "end of pattern in a group")
		return &node{kind: nEmpty}, false
	case p.take(":"):
		return p.body(start), false
	case p.take("="):
		return inside(&node{kind: nAhead})
	case p.take("!"):
		return inside(&node{kind: nAhead, not: true})
	case p.take(">"):
		return inside(&node{kind: nAtomic})
	case p.take("<="):
		return inside(&node{kind: nBehind})
	case p.take("<!"):
		return inside(&node{kind: nBehind, not: true})
	case p.take("<"):
		return p.namedGroup(start, '>'), false
	case p.take("'"):
		return p.namedGroup(start, '\''), false
	case p.take("("):
		return p.condition(start), false
	case p.at("~"):
		p.fail(start, "the absent operator (?~…) is not supported")
		return &node{kind: nEmpty}, false
	}
	return p.option(start)
}

// body reads a group's content and its closing parenthesis.
func (p *parser) body(start int) *node {
	before := p.modes
	n := p.alternatives()
	p.modes = before
	if !p.take(")") {
		p.fail(start, "end of pattern with unmatched parenthesis")
	}
	return n
}

func (p *parser) namedGroup(start int, end rune) *node {
	name := p.name(start, end)
	r, _ := utf8.DecodeRuneInString(name)
	if p.err == nil && (unicode.IsDigit(r) || r == '-') {
		p.fail(start, "invalid group name <%s>", name)
	}
	p.groups++
	p.named++
	if _, ok := p.names[name]; !ok {
		p.order = append(p.order, name)
	}
	p.names[name] = append(p.names[name], p.groups)
	n := &node{kind: nCapture, group: p.groups, named: true, offset: start}
	n.subs = []*node{p.body(start)}
	return n
}

// name reads up to end, which it goes past.
func (p *parser) name(start int, end rune) string {
	i := strings.IndexRune(p.src[p.pos:], end)
	if i < 0 {
		p.fail(start, "group name without its end %q", end)
		return ""
	}
	name := p.src[p.pos : p.pos+i]
	switch {
	case name == "":
		p.fail(start, "group name is empty")
	case strings.ContainsRune(name, ')'):
		p.fail(start, "invalid group name <%s>", name)
	default:
		p.pos += i + 1
	}
	return name
}

// condition reads (?(1)yes|no), (?(<name>)yes|no).
func (p *parser) condition(start int) *node {
	n := &node{kind: nCond, offset: start}
	if p.take("<") || p.take("'") {
		end := rune('>')
		if p.src[p.pos-1] == '\'' {
			end = '\''
		}
		n.refs, n.byName = p.reference(p.name(start, end), start)
		if len(n.refs) > 1 {
			n.refs = n.refs[:1]
		}
	} else {
		number, ok := p.number()
		if !ok || number == 0 {
			p.fail(start, "invalid condition: expected a group's number or <name>")
		}
		n.refs = []int{number}
	}
	if p.err == nil && !p.take(")") {
		p.fail(start, "invalid condition: expected ) behind the group")
	}
	body := p.body(start)
	if body.kind != nAlt {
		n.subs = []*node{body, {kind: nEmpty}}
		return n
	}
	if len(body.subs) > 2 {
		p.fail(start, "invalid condition: more than two alternatives")
	}
	n.subs = body.subs
	return n
}

// option reads (?imx-imx) and (?imx-imx:…).
func (p *parser) option(start int) (n *node, rest bool) {
	before, off := p.modes, false
	for p.more() {
		switch c := p.next(); c {
		case '-':
			off = true
		case 'i':
			p.modes.fold = !off
		case 'm':
			p.modes.dotAll = !off
		case 'x':
			p.modes.extended = !off
		case 'a', 'u', 'd':
			if off {
				p.fail(start, "undefined group option -%c", c)
			}
			p.modes.asciiClass, p.modes.asciiPosix, p.modes.asciiEdge = c != 'u', c == 'a', c == 'a'
		case ':':
			n = p.alternatives()
			if !p.take(")") {
				p.fail(start, "end of pattern with unmatched parenthesis")
			}
			p.modes = before
			return &node{kind: nCat, subs: []*node{n}, offset: start}, false
		case ')':
			n = p.alternatives()
			p.modes = before
			return &node{kind: nCat, subs: []*node{n}, offset: start}, true
		default:
			p.fail(start, "undefined group option %q", c)
		}
	}
	p.fail(start, "end of pattern in a group")
	return &node{kind: nEmpty}, false
}

// reference resolves what stands in \k<…> or a condition: a number, a relative number or a name.
func (p *parser) reference(name string, start int) (groups []int, byName bool) {
	if p.err != nil || name == "" {
		return nil, false
	}
	digits, sign := name, 1
	if digits[0] == '-' {
		digits, sign = digits[1:], -1
	}
	if digits != "" && digits[0] >= '0' && digits[0] <= '9' || sign < 0 {
		number := 0
		for _, c := range []byte(digits) {
			if c < '0' || c > '9' {
				p.fail(start, "invalid group name <%s> (references with a level are not supported)", name)
				return nil, false
			}
			number = min(number*10+int(c-'0'), maxGroups+1)
		}
		if sign < 0 {
			number = p.groups + 1 - number
		}
		if number <= 0 || digits == "" {
			p.fail(start, "invalid group name <%s>", name)
			return nil, false
		}
		return []int{number}, false
	}
	groups, ok := p.names[name]
	if !ok {
		if i := strings.LastIndexAny(name, "+-"); i > 0 && p.names[name[:i]] != nil {
			p.fail(start, "references with a level (\\k<%s>) are not supported", name)
		} else {
			p.fail(start, "undefined name <%s> reference", name)
		}
		return nil, false
	}
	return append([]int(nil), groups...), true
}
