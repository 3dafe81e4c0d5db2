package event

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/narudata/naru/internal/jackson"
)

// ErrJSON says that a text is no JSON. The error that wraps it says where.
var ErrJSON = errors.New("invalid JSON")

// JSONOptions say how JSON is read.
type JSONOptions struct {
	Decimals bool // numbers with a fraction or an exponent are Decimals instead of Floats
	Trailing bool // what follows the value is let be, as Jackson does unless told otherwise

	// Arena is where lists and maps are; nil: each has room of its own. See Event.Arena.
	Arena *Arena
}

// Limits of JSON that is read. Those of Logstash are in jvm.options.
const (
	MaxDepth  = 1000   // of lists and maps inside of each other
	MaxNumber = 10_000 // bytes of a number
)

// ParseJSON reads a value. Strings without escapes are parts of in, which must not be changed as long as they are used.
//
// It takes what Jackson takes: no comments, no single quotes, no NaN. Of members with the same name the last one counts, in the
// place of the first. Half of a surrogate pair, which UTF-8 cannot express, becomes a question mark. Strings that are not UTF-8
// are taken as they are.
func ParseJSON(in []byte, o JSONOptions) (Value, error) {
	p := newParser(in, o)
	p.space()
	v := p.value(0)
	p.end()
	p.release()
	if p.err != nil {
		return Value{}, p.err
	}
	return v, nil
}

// ParseJSON reads an object into f, whose members are removed before. If it fails, f has what was read until then.
func (f *Fields) ParseJSON(in []byte, o JSONOptions) error {
	f.Reset()
	p := newParser(in, o)
	defer p.release()
	p.space()
	if p.at == len(in) || in[p.at] != '{' {
		p.fail("expected an object")
		return p.err
	}
	p.at++
	p.object(f, 1)
	p.end()
	return p.err
}

// ParseJSON is ParseJSON of the fields; lists and maps are in the arena of e.
func (e *Event) ParseJSON(in []byte, o JSONOptions) error {
	o.Arena = e.arena
	return e.data.ParseJSON(in, o)
}

// textOf gives bytes as a text without a copy: it changes when they do.
func textOf(in []byte) string {
	return unsafe.String(unsafe.SliceData(in), len(in)) //nolint:gosec // the contract of ParseJSON: in does not change
}

type parser struct {
	in   []byte
	text string // the same bytes
	at   int
	err  error
	buf  []byte // strings with escapes, one behind another; what is in it is not changed
	JSONOptions
}

func newParser(in []byte, o JSONOptions) parser {
	p := parser{in: in, text: textOf(in), JSONOptions: o}
	if o.Arena != nil {
		p.buf = o.Arena.text
	}
	return p
}

// release gives the room for strings back to the arena.
func (p *parser) release() {
	if p.Arena != nil {
		p.Arena.text = p.buf
	}
}

// fail keeps the first error and ends the reading.
func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%w at byte %d: %s", ErrJSON, p.at, fmt.Sprintf(format, args...))
	}
	p.at = len(p.in)
}

func (p *parser) failChar(expected string) {
	if p.at >= len(p.in) {
		p.fail("the text ends where %s is expected", expected)
		return
	}
	p.fail("found %q where %s is expected", p.text[p.at:p.at+1], expected)
}

func (p *parser) space() {
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) end() {
	if p.err != nil || p.Trailing {
		return
	}
	p.space()
	if p.at < len(p.in) {
		p.failChar("the end")
	}
}

func (p *parser) value(depth int) Value {
	if p.at >= len(p.in) {
		p.failChar("a value")
		return Value{}
	}
	switch c := p.in[p.at]; c {
	case '"':
		p.at++
		return StringValue(p.string())
	case '{', '[':
		if depth >= MaxDepth {
			p.fail("more than %d lists and objects inside of each other", MaxDepth)
			return Value{}
		}
		p.at++
		if c == '[' {
			return p.list(depth + 1)
		}
		v := p.Arena.mapValue()
		p.object(&v.node.m, depth+1)
		return v
	case 't':
		return p.word("true", BoolValue(true), depth)
	case 'f':
		return p.word("false", BoolValue(false), depth)
	case 'n':
		return p.word("null", NullValue, depth)
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return p.number(depth)
		}
		p.failChar("a value")
		return Value{}
	}
}

func (p *parser) word(word string, v Value, depth int) Value {
	if !strings.HasPrefix(p.text[p.at:], word) {
		p.failChar(word)
		return Value{}
	}
	p.at += len(word)
	p.separated(depth)
	return v
}

// separated fails if a number or word at the root runs into what follows it; inside of lists and objects they see themselves.
func (p *parser) separated(depth int) {
	if depth > 0 || p.at == len(p.in) {
		return
	}
	switch p.in[p.at] {
	case ' ', '\t', '\n', '\r':
	default:
		p.failChar("a space or the end")
	}
}

// object reads the members of an object, behind its bracket.
func (p *parser) object(f *Fields, depth int) {
	p.space()
	if p.at < len(p.in) && p.in[p.at] == '}' {
		p.at++
		return
	}
	for {
		if p.at >= len(p.in) || p.in[p.at] != '"' {
			p.failChar(`a member's name in quotes`)
			return
		}
		p.at++
		key := p.string()
		p.space()
		if p.at >= len(p.in) || p.in[p.at] != ':' {
			p.failChar(`":"`)
			return
		}
		p.at++
		p.space()
		v := p.value(depth)
		if p.err != nil {
			return
		}
		if cap(f.entries) == 0 {
			f.entries = make([]Entry, 0, firstMembers(depth))
		}
		*f.place(key, mark(key)) = v
		p.space()
		if p.at >= len(p.in) {
			p.failChar(`"," or "}"`)
			return
		}
		switch p.in[p.at] {
		case ',':
			p.at++
			p.space()
		case '}':
			p.at++
			return
		default:
			p.failChar(`"," or "}"`)
			return
		}
	}
}

// firstMembers is how many members an object gets room for: events are at the top, and have more than what is in them.
func firstMembers(depth int) int {
	if depth == 1 {
		return 16
	}
	return 4
}

// list reads the elements of a list, behind its bracket.
func (p *parser) list(depth int) Value {
	n := p.Arena.node()
	p.space()
	if p.at < len(p.in) && p.in[p.at] == ']' {
		p.at++
		return Value{kind: List, node: n}
	}
	for {
		v := p.value(depth)
		if p.err != nil {
			return Value{}
		}
		n.list = append(n.list, v)
		p.space()
		if p.at >= len(p.in) {
			p.failChar(`"," or "]"`)
			return Value{}
		}
		switch p.in[p.at] {
		case ',':
			p.at++
			p.space()
		case ']':
			p.at++
			return Value{kind: List, node: n}
		default:
			p.failChar(`"," or "]"`)
			return Value{}
		}
	}
}

// string reads a string behind its quote.
func (p *parser) string() string {
	start := p.at
	p.at = start + plainBytes(p.in[start:])
	if p.at < len(p.in) && p.in[p.at] == '"' {
		p.at++
		return p.text[start : p.at-1]
	}
	return p.escaped(start)
}

// Room for strings with escapes is made for several at once.
const (
	escapedRoom  = 1024
	escapedLeast = 64
	escapedMost  = 4096 // of a string that is thought of
)

// roomForText makes room for a string of which there are no more than left bytes.
func (p *parser) roomForText(left int) {
	room := cap(p.buf) - len(p.buf)
	switch {
	case p.Arena == nil:
		if room < escapedLeast {
			p.buf = make([]byte, 0, min(escapedRoom, left))
		}
	case room < min(left, escapedMost):
		p.buf = make([]byte, 0, min(max(2*cap(p.buf), firstText), keptText))
	}
}

// escaped reads on at the first backslash of a string.
func (p *parser) escaped(start int) string {
	p.roomForText(len(p.in) - start)
	from := len(p.buf)
	p.buf = append(p.buf, p.text[start:p.at]...)
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case '"':
			p.at++
			return textOf(p.buf[from:])
		case '\\':
			p.at++
			p.escape()
		default:
			p.failChar("an escaped control character")
			return ""
		}
		end := p.at + plainBytes(p.in[p.at:])
		p.buf = append(p.buf, p.text[p.at:end]...)
		p.at = end
	}
	p.failChar("the end of a string")
	return ""
}

// escape reads an escape behind its backslash.
func (p *parser) escape() {
	if p.at >= len(p.in) {
		p.failChar("an escape")
		return
	}
	c := p.in[p.at]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		p.at++
		p.unicode()
		return
	default:
		p.failChar("an escape")
		return
	}
	p.buf = append(p.buf, c)
	p.at++
}

// unicode reads \uXXXX behind the u, and a second one that makes a pair with it.
func (p *parser) unicode() {
	r := p.hex4()
	if utf16.IsSurrogate(r) {
		if r < 0xDC00 && strings.HasPrefix(p.text[p.at:], `\u`) {
			second := p.at
			p.at += 2
			low := p.hex4()
			if p.err != nil {
				return
			}
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				p.buf = utf8.AppendRune(p.buf, pair)
				return
			}
			p.at = second // it is read again, by itself
		}
		p.buf = append(p.buf, '?')
		return
	}
	p.buf = utf8.AppendRune(p.buf, r)
}

func (p *parser) hex4() rune {
	var r rune
	for range 4 {
		if p.at >= len(p.in) {
			p.failChar("a hexadecimal digit")
			return 0
		}
		c := p.in[p.at]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			p.failChar("a hexadecimal digit")
			return 0
		}
		p.at++
	}
	return r
}

func (p *parser) digits() int {
	from := p.at
	for p.at < len(p.in) && p.in[p.at] >= '0' && p.in[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}

func (p *parser) number(depth int) Value {
	start := p.at
	if p.in[p.at] == '-' {
		p.at++
	}
	first := p.at
	switch n := p.digits(); {
	case n == 0:
		p.failChar("a digit")
		return Value{}
	case n > 1 && p.in[first] == '0':
		p.at = first
		p.fail("a number begins with 0")
		return Value{}
	}
	whole := true
	if p.at < len(p.in) && p.in[p.at] == '.' {
		whole = false
		p.at++
		if p.digits() == 0 {
			p.failChar("a digit")
			return Value{}
		}
	}
	if p.at < len(p.in) && p.in[p.at]|0x20 == 'e' {
		whole = false
		p.at++
		if p.at < len(p.in) && (p.in[p.at] == '+' || p.in[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			p.failChar("a digit")
			return Value{}
		}
	}
	text := p.text[start:p.at]
	if len(text) > MaxNumber {
		p.fail("a number has more than %d bytes", MaxNumber)
		return Value{}
	}
	p.separated(depth)
	switch {
	case whole:
		return parseInt(text)
	case p.Decimals:
		v, err := ParseDecimal(text)
		if err != nil {
			p.at = start
			p.fail("%v", err)
		}
		return v
	}
	f, _ := strconv.ParseFloat(text, 64) // beyond its range it is an infinity, as in Java
	return FloatValue(f)
}

func parseInt(text string) Value {
	if len(text) <= 18 {
		var n int64
		for _, c := range bytesOf(strings.TrimPrefix(text, "-")) {
			n = n*10 + int64(c-'0')
		}
		if text[0] == '-' {
			n = -n
		}
		return IntValue(n)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return IntValue(n)
	}
	n, _ := new(big.Int).SetString(text, 10)
	return BigValue(n)
}

// ParseDecimal gives a Decimal of a number as JSON writes it, with the text that java.math.BigDecimal prints: it keeps zeros at
// the end (1.10) and writes an exponent its own way (1E+3). An exponent that does not fit into 32 bits is an error.
func ParseDecimal(text string) (Value, error) {
	mantissa := text
	var exponent int64
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		exponent = parseExponent(text[i+1:])
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	scale := int64(len(fraction)) - exponent
	if scale != int64(int32(scale)) {
		return Value{}, fmt.Errorf("the exponent of %.40s is out of range", text)
	}
	if len(mantissa) == len(text) && (text[0] >= '1' || text[0] == '0' && scale <= 6) {
		return DecimalValue(text), nil // what it prints is what it read
	}
	unscaled, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return Value{}, fmt.Errorf("%.40q is no number", text)
	}
	return DecimalValue(string(jackson.AppendDecimal(nil, unscaled, int32(scale)))), nil
}
