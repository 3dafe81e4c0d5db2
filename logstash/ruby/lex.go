package ruby

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A kind is a kind of token.
type kind uint8

const (
	tEOF kind = iota
	tNewline
	tIdent
	tConst
	tKeyword
	tOp     // and punctuation
	tNumber // value
	tNode   // a literal that is read as a whole: strings, symbols, regular expressions, %w
	tLabel  // name:
	tVar    // @name, @@name, $name
)

// A token is the smallest part of code. Ruby's tokens depend on what is before them, so they are read one by one as the parser
// asks for them.
type token struct {
	kind    kind
	text    string
	node    node // of tNumber, tNode
	at, end int
	space   bool // white space is before it
	newline bool // a line ends before it, or it begins the code
	// value says that it ends a value, so that / is a division behind it; command that it may be a method whose arguments
	// have no parentheses.
	value, command bool
}

func (t token) is(text string) bool { return (t.kind == tOp || t.kind == tKeyword) && t.text == text }

var keywords = map[string]bool{
	"alias": true, "and": true, "begin": true, "break": true, "case": true, "class": true, "def": true, "defined?": true, "do": true,
	"else": true, "elsif": true, "end": true, "ensure": true, "false": true, "for": true, "if": true, "in": true, "module": true,
	"next": true, "nil": true, "not": true, "or": true, "redo": true, "rescue": true, "retry": true, "return": true, "self": true,
	"super": true, "then": true, "true": true, "undef": true, "unless": true, "until": true, "when": true, "while": true, "yield": true,
	"__FILE__": true, "__LINE__": true, "__method__": true, "BEGIN": true, "END": true,
}

// operators, longest first.
var operators = []string{
	"**=", "<=>", "===", "...", "<<=", ">>=", "&&=", "||=",
	"**", "==", "!=", ">=", "<=", "&&", "||", "=~", "!~", "..", "::", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", ">>", "=>", "->", "&.",
	"+", "-", "*", "/", "%", "=", "<", ">", "!", "&", "|", "^", "~", "?", ":", ",", ".", "(", ")", "[", "]", "{", "}", ";",
}

func isIdentStart(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || r >= 0x80 && r != utf8.RuneError
}
func isIdent(r rune) bool { return isIdentStart(r) || r >= '0' && r <= '9' }

func (p *parser) byteAt(i int) byte {
	if i < len(p.src) {
		return p.src[i]
	}
	return 0
}

// next reads the token behind the current one.
func (p *parser) next() {
	p.prev = p.tok
	p.tok = p.scan()
}

func (p *parser) scan() token {
	var t token
	start := p.off
	for p.off < len(p.src) {
		c := p.src[p.off]
		switch {
		case c == '\n':
			at := p.off
			p.off++
			if p.heredocEnd > p.off {
				p.off = p.heredocEnd
			}
			p.heredocEnd = 0
			t.newline, t.space = true, true
			if p.tok.kind != tNewline && p.endsLine() && !p.continues() {
				return token{kind: tNewline, text: "\n", at: at, end: at + 1, newline: true}
			}
			if strings.HasPrefix(p.src[p.off:], "=begin") {
				i := strings.Index(p.src[p.off:], "\n=end")
				if i < 0 {
					p.fail(p.off, "=begin has no =end", "")
				}
				p.off += i + len("\n=end")
				for p.off < len(p.src) && p.src[p.off] != '\n' {
					p.off++
				}
			}
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			p.off++
			t.space = true
			continue
		case c == '\\' && (p.byteAt(p.off+1) == '\n' || p.byteAt(p.off+1) == '\r' && p.byteAt(p.off+2) == '\n'):
			p.off += 1 + strings.IndexByte(p.src[p.off:], '\n')
			t.space = true
			continue
		case c == '#':
			for p.off < len(p.src) && p.src[p.off] != '\n' {
				p.off++
			}
			continue
		}
		break
	}
	t.at = p.off
	if p.off > start {
		t.space = true
	}
	if p.off >= len(p.src) {
		t.kind, t.end = tEOF, p.off
		return t
	}
	p.token(&t)
	t.end = p.off
	return t
}

// endsLine says whether a line end behind the current token ends a statement.
func (p *parser) endsLine() bool {
	switch p.tok.kind {
	case tEOF, tNewline:
		return false
	case tOp:
		return p.tok.value
	case tKeyword:
		switch p.tok.text {
		case "and", "or", "not", "defined?":
			return false
		}
		return true
	case tLabel:
		return false
	}
	return true
}

// continues says whether the next line goes on with a method call.
func (p *parser) continues() bool {
	i := p.off
	for i < len(p.src) {
		switch p.src[i] {
		case ' ', '\t', '\r', '\n':
			i++
		case '#':
			for i < len(p.src) && p.src[i] != '\n' {
				i++
			}
		case '.':
			return p.byteAt(i+1) != '.'
		case '&':
			return p.byteAt(i+1) == '.'
		default:
			return false
		}
	}
	return false
}

// operand says whether the token t may begin a value, be it an argument of a command.
func (p *parser) operand(t *token, width int) bool {
	if !p.tok.value {
		return true
	}
	next := p.byteAt(p.off + width)
	return p.tok.command && t.space && next != ' ' && next != '\t' && next != '\n' && next != '=' && next != 0
}

func (p *parser) token(t *token) {
	c := p.src[p.off]
	r, _ := utf8.DecodeRuneInString(p.src[p.off:])
	afterDot := p.tok.is(".") || p.tok.is("&.")
	switch {
	case isIdentStart(r):
		p.word(t, afterDot)
	case c >= '0' && c <= '9':
		p.number(t, "")
	case c == '-' && p.byteAt(p.off+1) >= '0' && p.byteAt(p.off+1) <= '9' && p.operand(t, 1):
		p.off++
		p.number(t, "-")
	case c == '"' || c == '`':
		if c == '`' {
			p.fail(p.off, "commands of the system cannot be run", "")
		}
		p.off++
		p.stringToken(t, '"', '"', true)
	case c == '\'':
		p.off++
		p.stringToken(t, '\'', '\'', false)
	case c == '/' && p.operand(t, 1):
		p.off++
		p.regexpToken(t, '/', '/')
	case c == '%' && p.operand(t, 1) && p.percent(t):
	case c == '<' && p.heredoc(t):
	case c == ':' && p.symbol(t):
	case c == '?' && !p.tok.value && isIdentStart(rune(p.byteAt(p.off+1))) && !isIdent(rune(p.byteAt(p.off+2))):
		t.kind, t.value, t.node = tNode, true, &text{at: at(p.off), parts: []node{&literal{at(p.off), p.src[p.off+1 : p.off+2]}}}
		p.off += 2
	case c == '@' || c == '$':
		p.variable(t)
	default:
		p.operator(t)
	}
}

func (p *parser) word(t *token, afterDot bool) {
	for p.off < len(p.src) {
		r, n := utf8.DecodeRuneInString(p.src[p.off:])
		if !isIdent(r) {
			break
		}
		p.off += n
	}
	if c := p.byteAt(p.off); c == '?' || c == '!' {
		if n := p.byteAt(p.off + 1); n != '=' || p.byteAt(p.off+2) == '=' || p.byteAt(p.off+2) == '~' || p.byteAt(p.off+2) == '>' {
			p.off++
		}
	}
	t.text = p.src[t.at:p.off]
	name := strings.TrimRight(t.text, "?!")
	if p.byteAt(p.off) == ':' && p.byteAt(p.off+1) != ':' && !afterDot && !p.tok.is("?") {
		p.off++
		t.kind = tLabel
		return
	}
	switch {
	case afterDot || p.tok.is("def"):
		t.kind, t.value, t.command = tIdent, true, true
	case keywords[t.text]:
		t.kind = tKeyword
		switch t.text {
		case "end", "self", "true", "false", "nil", "__FILE__", "__LINE__", "__method__", "redo", "retry":
			t.value = true
		}
	case keywords[name] && name != t.text:
		p.fail(t.at, "the name "+t.text+" is not understood", "")
	case unicode.IsUpper(firstRune(t.text)):
		t.kind, t.value, t.command = tConst, true, t.text == "Integer" || t.text == "Float" || t.text == "String" || t.text == "Array"
	default:
		t.kind, t.value = tIdent, true
		_, _, isLocal := p.scope.find(t.text)
		t.command = !isLocal
	}
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func (p *parser) number(t *token, sign string) {
	begin := p.off
	base := 10
	if p.src[p.off] == '0' && p.off+1 < len(p.src) {
		switch p.src[p.off+1] {
		case 'x', 'X':
			base, p.off = 16, p.off+2
		case 'b', 'B':
			base, p.off = 2, p.off+2
		case 'o', 'O':
			base, p.off = 8, p.off+2
		default:
			if c := p.src[p.off+1]; c >= '0' && c <= '7' || c == '_' {
				base, p.off = 8, p.off+1
			}
		}
	}
	digits := p.off
	isDigit := func(c byte) bool {
		return c >= '0' && c <= '9' || c == '_' || base == 16 && (c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F')
	}
	for isDigit(p.byteAt(p.off)) {
		p.off++
	}
	float := false
	if base == 10 {
		if p.byteAt(p.off) == '.' && p.byteAt(p.off+1) >= '0' && p.byteAt(p.off+1) <= '9' {
			float = true
			p.off++
			for isDigit(p.byteAt(p.off)) {
				p.off++
			}
		}
		if c := p.byteAt(p.off); c == 'e' || c == 'E' {
			i := p.off + 1
			if s := p.byteAt(i); s == '+' || s == '-' {
				i++
			}
			if d := p.byteAt(i); d >= '0' && d <= '9' {
				float = true
				for isDigit(p.byteAt(i)) {
					i++
				}
				p.off = i
			}
		}
	}
	if isIdentStart(rune(p.byteAt(p.off))) {
		p.fail(begin, "this number is not understood", "rational and imaginary numbers are not supported")
	}
	t.kind, t.value = tNumber, true
	s := strings.ReplaceAll(p.src[digits:p.off], "_", "")
	if float {
		f, err := strconv.ParseFloat(sign+s, 64)
		if err != nil && f == 0 {
			p.fail(begin, "this number is not understood", "")
		}
		t.node = &literal{at(t.at), f}
		return
	}
	n, ok := new(big.Int).SetString(sign+s, base)
	if !ok {
		p.fail(begin, "this number is not understood", "")
	}
	t.node = &literal{at(t.at), normal(n)}
}

func (p *parser) variable(t *token) {
	c := p.src[p.off]
	p.off++
	if c == '@' && p.byteAt(p.off) == '@' {
		p.off++
	}
	from := p.off
	for p.off < len(p.src) {
		r, n := utf8.DecodeRuneInString(p.src[p.off:])
		if !isIdent(r) {
			break
		}
		p.off += n
	}
	t.kind, t.value = tVar, true
	if p.off == from {
		if next := p.byteAt(p.off); c == '$' && next != 0 && strings.IndexByte("~!&", next) >= 0 {
			p.off++
		} else {
			p.fail(t.at, "a variable has no such name", "")
		}
	}
	t.text = p.src[t.at:p.off]
}

func (p *parser) operator(t *token) {
	rest := p.src[p.off:]
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			p.off += len(op)
			t.kind, t.text = tOp, op
			if op == ";" {
				t.kind = tNewline
			}
			t.value = op == ")" || op == "]" || op == "}"
			return
		}
	}
	if rest[0] == '\\' {
		p.fail(p.off, "a backslash outside of a string",
			"strings of a configuration keep their backslashes: put the code in the other kind of quotes, and use these here without a backslash")
	}
	r, _ := utf8.DecodeRuneInString(rest)
	p.fail(p.off, "the character "+strconv.QuoteRune(r)+" is not understood", "")
}

// symbol reads :name, :"name" and :+; false if the colon is an operator.
func (p *parser) symbol(t *token) bool {
	next := p.byteAt(p.off + 1)
	if next == ':' || p.tok.value && !p.operand(t, 1) {
		return false
	}
	if next == '"' || next == '\'' {
		p.off += 2
		p.stringToken(t, next, next, next == '"')
		if s, ok := t.node.(*text); ok {
			s.symbol = true
		}
		return true
	}
	i := p.off + 1
	for i < len(p.src) {
		r, n := utf8.DecodeRuneInString(p.src[i:])
		if !isIdent(r) && !(i == p.off+1 && (r == '@' || r == '$')) {
			break
		}
		i += n
	}
	if i == p.off+1 {
		for _, op := range []string{"[]=", "[]", "<=>", "===", "==", "=~", "**", "<<", ">>", "<=", ">=", "!=", "+", "-", "*", "/", "%", "<", ">", "!", "&", "|", "^"} {
			if strings.HasPrefix(p.src[i:], op) {
				i += len(op)
				break
			}
		}
		if i == p.off+1 {
			return false
		}
	} else if c := p.byteAt(i); (c == '?' || c == '!' || c == '=') && p.byteAt(i+1) != '=' && p.byteAt(i+1) != '>' && p.byteAt(i+1) != '~' && !(c == '?' && p.ternary > 0 && p.byteAt(i+1) == ' ') {
		i++
	}
	t.kind, t.value = tNode, true
	t.node = &literal{at(p.off), symbol(p.src[p.off+1 : i])}
	p.off = i
	return true
}
