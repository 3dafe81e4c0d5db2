package regex

import (
	"strings"
	"unicode/utf8"
)

// classState is where in a class the parser stands: a range needs a value before its hyphen, and && begins anew.
type classState uint8

const (
	classStart classState = iota
	classValue            // a character is held back: a range may follow
	classRange            // a character and a hyphen
	classDone             // behind a range or a set
)

// class reads a bracket expression behind its [. Its case is folded as a whole, before it is negated.
func (p *parser) class(start int) runeSet {
	p.inClass = true
	b := p.classBody(start)
	p.inClass = false
	if p.err != nil {
		return nil
	}
	s := b.set
	if p.modes.fold {
		s = s.folded(b.wide)
	}
	if b.not {
		s = s.not()
	}
	return s
}

// bracket is what stands in a bracket expression. wide is the part whose case may fold across the end of ASCII: all
// but \w and the POSIX brackets word and ascii.
type bracket struct {
	set, wide runeSet
	not       bool
}

// classBody reads a bracket expression behind its [. Sets in it join, && cuts.
func (p *parser) classBody(start int) bracket {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		p.fail(start, "classes nested deeper than %d", maxDepth)
		return bracket{}
	}
	var (
		out    = bracket{not: p.take("^")}
		before *bracket // what stands before an &&
		pairs  []rune
		sets   bracket
		state  classState
		held   rune
		isSet  bool // what was read last was a set, not a character
	)
	flush := func() {
		if state == classValue && !isSet {
			pairs = append(pairs, held, held)
		}
	}
	value := func(r rune, at int) {
		if state == classRange {
			if held > r {
				p.fail(at, "empty range in a character class")
				return
			}
			pairs = append(pairs, held, r)
			state = classDone
			return
		}
		flush()
		held, state, isSet = r, classValue, false
	}
	add := func(s runeSet, wide bool, at int) {
		if state == classRange {
			p.fail(at, "a set at the end of a range in a character class")
			return
		}
		flush()
		sets.set = sets.set.or(s)
		if wide {
			sets.wide = sets.wide.or(s)
		}
		state, isSet = classValue, true
	}
	whole := func() bracket { // what was read since the last &&
		flush() // a range without its end is lost, as in the original: [a-[b]] is [b]
		s := normal(pairs)
		now := bracket{set: s.or(sets.set), wide: s.or(sets.wide)}
		if before != nil {
			now.set, now.wide = before.set.and(now.set), before.wide.and(now.wide)
		}
		return now
	}
	for first := true; ; first = false {
		if !p.more() {
			p.fail(start, "premature end of a character class")
			return out
		}
		at := p.pos
		c := p.next()
		switch {
		case c == ']' && first && !p.closesLater():
			p.fail(start, "empty character class")
		case c == ']' && !first:
			now := whole()
			out.set, out.wide = now.set, now.wide
			return out
		case c == '[' && p.at(":") && p.posix(at, add):
		case c == '[':
			if b := p.classBody(at); b.not {
				sets.set, sets.wide = sets.set.or(b.set.not()), sets.wide.or(b.wide.not())
			} else {
				sets.set, sets.wide = sets.set.or(b.set), sets.wide.or(b.wide)
			}
		case c == '&' && p.take("&"):
			now := whole()
			before = &now
			pairs, sets, state, isSet = nil, bracket{}, classStart, false
		case c == '-':
			p.hyphen(&state, isSet, value, at)
		case c == '\\':
			if !p.more() {
				p.fail(at, "end of pattern at escape")
				break
			}
			letter := p.src[p.pos] | 0x20
			if s, ok := p.classEscape(at); ok {
				add(s, letter != 'w', at)
			} else {
				value(p.classChar(at), at)
			}
		default:
			value(c, at)
		}
		if p.err != nil {
			return out
		}
	}
}

// hyphen reads a - in a class: the sign of a range, or itself.
func (p *parser) hyphen(state *classState, set bool, value func(rune, int), at int) {
	switch *state {
	case classValue:
		if p.at("]") || p.at("&&") {
			value('-', at)
			return
		}
		if set {
			p.fail(at, "unmatched range specifier in a character class")
			return
		}
		*state = classRange
	default: // at the start, behind a range, or as a range's end it is itself
		value('-', at)
	}
}

// classChar reads a character's escape; \b is a backspace here.
func (p *parser) classChar(at int) rune {
	if p.take("b") {
		return '\b'
	}
	return p.charEscape(at)
}

// closesLater tells whether another ] follows, so that the first one is itself.
func (p *parser) closesLater() bool {
	for i := p.pos; i < len(p.src); i++ {
		switch p.src[i] {
		case '\\':
			i++
		case ']':
			return true
		}
	}
	return false
}

// posix reads [:name:] behind its [; it takes nothing if it is none.
func (p *parser) posix(at int, add func(runeSet, bool, int)) bool {
	rest := p.src[p.pos+1:]
	not := strings.HasPrefix(rest, "^")
	name := strings.TrimPrefix(rest, "^")
	i := strings.Index(name, ":]")
	if i < 0 || strings.ContainsAny(name[:i], "]") {
		return false
	}
	s, ok := posixSet(name[:i], p.modes.asciiPosix)
	if !ok {
		if i <= 20 && isName(name[:i]) {
			p.fail(at, "invalid POSIX bracket type [:%s:]", name[:i])
			return true
		}
		return false
	}
	p.pos += 1 + i + 2
	if not {
		p.pos++
		s = s.not()
	}
	add(s, name[:i] != "word" && name[:i] != "ascii" && !p.modes.asciiPosix, at)
	return true
}

func isName(s string) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf || c == '\\' {
			return false
		}
	}
	return true
}
