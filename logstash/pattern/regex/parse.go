package regex

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError says where and why a pattern is not valid, or not supported.
type SyntaxError struct {
	Pattern string
	Offset  int // in bytes
	Reason  string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("regular expression: at offset %d: %s", e.Offset, e.Reason)
}

const (
	maxDepth  = 250    // of groups in groups
	maxRepeat = 100000 // of a number in {n,m}, as in the original
	maxGroups = 32767

	maxQuantifiers = 100 // one behind the other
)

// modes are the options that (?imx-imx) changes within a pattern.
type modes struct {
	fold, dotAll, extended bool
	asciiClass             bool // \w \d \s \h
	asciiPosix             bool // [[:alpha:]]
	asciiEdge              bool // \b
}

type parser struct {
	src     string
	pos     int
	modes   modes
	depth   int
	groups  int // how many there are so far
	named   int
	names   map[string][]int
	order   []string // of names, by the first place
	inClass bool
	inlined int // nodes, with calls in place
	err     *SyntaxError
}

// fail keeps the first error and moves to the end of the pattern, where all of the parser's loops end.
func (p *parser) fail(offset int, format string, args ...any) {
	if p.err == nil {
		p.err = &SyntaxError{Pattern: p.src, Offset: offset, Reason: fmt.Sprintf(format, args...)}
	}
	p.pos = len(p.src)
}

// parse reads a pattern in the syntax of Ruby (Onigmo's SyntaxRuby).
func parse(src string, o Options) (*parser, *node, error) {
	p := &parser{src: src, names: map[string][]int{}}
	p.modes = modes{fold: o.IgnoreCase, dotAll: o.Multiline, extended: o.Extended, asciiClass: true}
	if i := invalidUTF8(src); i >= 0 {
		p.fail(i, "the pattern is not valid UTF-8")
		return nil, nil, p.err
	}
	root := p.alternatives()
	if p.err == nil && p.pos < len(src) {
		p.fail(p.pos, "unmatched )")
	}
	if p.err == nil {
		root = p.settleGroups(root)
	}
	if p.err == nil {
		root = p.settleBehind(root)
	}
	if p.err != nil {
		return nil, nil, p.err
	}
	return p, root, nil
}

func invalidUTF8(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func (p *parser) more() bool { return p.pos < len(p.src) }

// at tells whether the rest begins with s.
func (p *parser) at(s string) bool { return strings.HasPrefix(p.src[p.pos:], s) }

// take goes past s if the rest begins with it.
func (p *parser) take(s string) bool {
	if p.at(s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) next() rune {
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return r
}

// alternatives reads up to the end of the pattern or of the group.
func (p *parser) alternatives() *node {
	start := p.pos
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		p.fail(start, "groups nested deeper than %d", maxDepth)
		return &node{kind: nEmpty}
	}
	branches := []*node{p.branch()}
	for p.take("|") {
		branches = append(branches, p.branch())
	}
	if len(branches) == 1 {
		return branches[0]
	}
	return &node{kind: nAlt, subs: branches, offset: start}
}

func (p *parser) branch() *node {
	var items []*node
	start := p.pos
	for {
		p.skipBlanks()
		if !p.more() || p.at("|") || p.at(")") {
			break
		}
		n, rest := p.atom()
		if rest { // (?i) without a colon takes all that is left, alternatives included
			items = append(items, n)
			break
		}
		items = append(items, p.quantified(n))
	}
	if len(items) == 0 {
		return &node{kind: nEmpty, offset: start}
	}
	return cat(items...)
}

// skipBlanks goes past comments, and in extended mode past blanks.
func (p *parser) skipBlanks() {
	for p.more() {
		switch {
		case p.at("(?#"):
			p.skipComment()
		case p.modes.extended && strings.IndexByte(" \t\n\r\f", p.src[p.pos]) >= 0:
			p.pos++
		case p.modes.extended && p.src[p.pos] == '#':
			if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
				p.pos += i + 1
			} else {
				p.pos = len(p.src)
			}
		default:
			return
		}
	}
}

func (p *parser) skipComment() {
	start := p.pos
	for p.pos += 3; p.more(); p.pos++ {
		switch p.src[p.pos] {
		case '\\':
			p.pos++
		case ')':
			p.pos++
			return
		}
	}
	p.fail(start, "comment (?# without its end")
}

// quantified reads the quantifiers behind n.
func (p *parser) quantified(n *node) *node {
	for count := 0; ; count++ {
		p.skipBlanks()
		start := p.pos
		lo, hi, fixed, ok := p.quantifier()
		if !ok {
			return n
		}
		if count == maxQuantifiers {
			p.fail(start, "more than %d quantifiers in a row", maxQuantifiers)
			return n
		}
		byNumber := p.src[start] == '{'
		r := &node{kind: nRepeat, min: lo, max: hi, subs: []*node{n}, offset: start}
		switch {
		case !fixed && p.take("?"):
			r.lazy = true
		case !byNumber && p.take("+"):
			n = p.repeat(r)
			n = &node{kind: nAtomic, subs: []*node{n}, offset: start}
			continue
		}
		n = p.repeat(r)
	}
}

func (p *parser) repeat(r *node) *node {
	if r.min == 1 && r.max == 1 {
		return r.sub()
	}
	reduceRepeats(r)
	return r
}

// quantifier reads ?, *, + or an interval. An interval that is not one is text, as in the original.
func (p *parser) quantifier() (lo, hi int, fixed, ok bool) {
	switch {
	case p.take("?"):
		return 0, 1, false, true
	case p.take("*"):
		return 0, noLimit, false, true
	case p.take("+"):
		return 1, noLimit, false, true
	case !p.at("{"):
		return 0, 0, false, false
	}
	start := p.pos
	p.pos++
	lo, hasLo := p.number()
	comma := p.take(",")
	hi, hasHi := lo, hasLo
	if comma {
		hi, hasHi = p.number()
	}
	if !p.take("}") || !hasLo && (!comma || !hasHi) {
		if p.err == nil {
			p.pos = start
		}
		return 0, 0, false, false
	}
	if comma && !hasHi {
		hi = noLimit
	}
	if hi != noLimit && lo > hi {
		p.fail(start, "upper is smaller than lower in a repeat range")
	}
	return lo, hi, !comma, true
}

// number reads decimal digits.
func (p *parser) number() (n int, ok bool) {
	start := p.pos
	for p.more() && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		n = n*10 + int(p.src[p.pos]-'0')
		p.pos++
		if n > maxRepeat {
			p.fail(start, "too big a number: more than %d", maxRepeat)
			return 0, false
		}
	}
	return n, p.pos > start
}

// atom reads what a quantifier can stand behind. rest is true for an option without a colon, which took all up to the
// end of the group.
func (p *parser) atom() (n *node, rest bool) {
	start := p.pos
	switch c := p.next(); c {
	case '(':
		return p.group(start)
	case '[':
		set := p.class(start)
		return &node{kind: nSet, set: set, offset: start}, false
	case '.':
		return &node{kind: nSet, set: p.dot(), offset: start}, false
	case '^':
		return &node{kind: nAssert, assert: lineStart, offset: start}, false
	case '$':
		return &node{kind: nAssert, assert: lineEnd, offset: start}, false
	case '\\':
		return p.escape(start), false
	case '*', '+', '?':
		p.fail(start, "target of repeat operator is not specified")
		return &node{kind: nEmpty}, false
	case '{':
		p.pos = start
		if _, _, _, ok := p.quantifier(); ok {
			p.fail(start, "target of repeat operator is not specified")
			return &node{kind: nEmpty}, false
		}
		if p.err == nil {
			p.pos = start + 1
		}
		return p.char(c, start), false
	default:
		return p.char(c, start), false
	}
}

func (p *parser) dot() runeSet {
	if p.modes.dotAll {
		return runeSet{0, lastRune}
	}
	return setOf('\n', '\n').not()
}

// char is the node of one literal character.
func (p *parser) char(r rune, offset int) *node {
	if p.modes.fold {
		if s := foldOrbit(r); len(s) > 2 || s[0] != s[1] {
			return &node{kind: nSet, set: s, offset: offset}
		}
	}
	return &node{kind: nChar, text: utf8.AppendRune(nil, r), offset: offset}
}
