package filter

import (
	"errors"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// A pairScanner finds key and value pairs as the kv filter does, whose meaning is that of one regular expression:
//
//	(key)  *splitter *  ("value" | 'value' | (value) | [value] | <value> | value)?  (field splitter | end of line)
//
// where the blanks round the splitter are those of lenient white space, and a backslash takes the next character with it
// in keys and values. The expression is there for what may have to be given back after it was taken. If the splitters are
// sets of ASCII characters, that are only keys and quotations with a backslash that are not followed by what has to follow;
// all else is done by hand, with the same results.
type pairScanner struct {
	expression *regex.Regexp

	byHand   bool
	lenient  bool
	brackets bool
	stop     byteSet // what ends a key
	split    byteSet // value_split
	field    byteSet // field_split
	one      int     // the only byte of field, or -1
}

// A byteSet has the ASCII characters of a class.
type byteSet [256]bool

// A pair is what one match gives; of the text, to its end at.
type pair struct {
	key, value string
	end        int
}

// splitting are the options that say what a pair is.
type splitting struct {
	field, value               string  // characters of a class
	fieldPattern, valuePattern *string // instead of these
	lenient, brackets          bool
	steps                      int
}

func newPairScanner(o splitting) (*pairScanner, error) {
	s := &pairScanner{lenient: o.lenient, brackets: o.brackets}
	fieldSplit, valueSplit := "["+o.field+"]", "["+o.value+"]"
	fieldName, valueName := "field_split", "value_split"
	if o.fieldPattern != nil {
		fieldName, fieldSplit = "field_split_pattern", *o.fieldPattern
	}
	if o.valuePattern != nil {
		valueName, valueSplit = "value_split_pattern", *o.valuePattern
	}
	for _, p := range [][2]string{{fieldName, fieldSplit}, {valueName, valueSplit}} {
		if _, err := regex.Compile(p[1], regex.Options{}); err != nil {
			return nil, option.Errorf(p[0], "%w", err)
		}
	}
	if o.lenient {
		valueSplit = "(?: *)" + kvGroup(valueSplit) + "(?: *)"
	}
	key := kvUntilClass(o.value + o.field)
	if o.fieldPattern != nil || o.valuePattern != nil {
		key = kvUntilPattern(kvGroup(valueSplit) + "|" + kvGroup(fieldSplit))
	}
	values := []string{kvQuoted(`"`, `"`), kvQuoted("'", "'")}
	if o.brackets {
		values = append(values, kvQuoted(`\(`, `\)`), kvQuoted(`\[`, `\]`), kvQuoted("<", ">"))
	}
	if o.fieldPattern != nil {
		values = append(values, kvUntilPattern(fieldSplit))
	} else {
		values = append(values, kvUntilClass(o.field))
	}
	whole := kvGroup(key) + kvGroup(valueSplit) + kvGroup(strings.Join(values, "|")) + "?" + kvGroup(kvGroup(fieldSplit)+"|(?:$)")
	var err error
	if s.expression, err = regex.Compile(whole, regex.Options{Steps: o.steps}); err != nil {
		return nil, option.Errorf(fieldName, "together with %s: %w", valueName, err)
	}
	if o.fieldPattern == nil && o.valuePattern == nil {
		s.byHand = s.classes(o)
	}
	return s, nil
}

func kvGroup(pattern string) string { return "(?-mix:" + pattern + ")" }

func kvUntilClass(class string) string { return `((?:\\.|[^` + class + `])+)` }

func kvUntilPattern(pattern string) string {
	return "((?:(?!" + kvGroup(pattern) + `)(?:\\.|.))+)`
}

func kvQuoted(open, end string) string {
	return kvGroup(open) + kvGroup(kvUntilClass(end)) + "?" + kvGroup(end)
}

// classes finds out what the splitters have, and whether texts without backslashes can be cut by hand.
func (s *pairScanner) classes(o splitting) bool {
	var ok [3]bool
	s.stop, ok[0] = asciiClass(o.value + o.field)
	s.split, ok[1] = asciiClass(o.value)
	s.field, ok[2] = asciiClass(o.field)
	if ok != [3]bool{true, true, true} || s.lenient && s.split[' '] {
		return false
	}
	s.one = -1
	n := 0
	for b := range s.stop {
		if s.stop[b] != (s.split[b] || s.field[b]) {
			return false // put together the two mean something else: a range, say
		}
		if s.field[b] {
			s.one, n = b, n+1
		}
	}
	if n != 1 {
		s.one = -1
	}
	return true
}

// asciiClass gives the characters that a class of Ruby has, if it can have no others than ASCII.
func asciiClass(class string) (byteSet, bool) {
	var set byteSet
	if class == "" || class[0] == '^' || strings.Contains(class, "&&") {
		return set, false
	}
	for i := 0; i < len(class); i++ {
		switch c := class[i]; {
		case c >= 0x80 || c == '[' || c == ']':
			return set, false
		case c == '\\':
			if i++; i == len(class) {
				return set, false
			}
			c = class[i]
			letter := c|0x20 >= 'a' && c|0x20 <= 'z'
			if c >= 0x80 || c >= '0' && c <= '9' || letter && strings.IndexByte("ntrfvaesdwh", c) < 0 {
				return set, false
			}
		}
	}
	re, err := regex.Compile("["+class+"]", regex.Options{})
	if err != nil {
		return set, false
	}
	var m regex.Match
	for b := range 0x80 {
		matched, err := re.Match([]byte{byte(b)}, 0, &m)
		if err != nil {
			return set, false
		}
		set[b] = matched
	}
	return set, true
}

// A pairScan goes through a text.
type pairScan struct {
	*pairScanner
	text   string
	match  *regex.Match
	at     int
	byHand bool
	escape bool      // there are backslashes
	until  time.Time // when it is given up; zero for never
}

// errSlow says that many matches took too long together.
var errSlow = errors.New("too many matches that take long")

// scan begins to look for the pairs of a text.
func (s *pairScanner) scan(text string, m *regex.Match, limit time.Duration) pairScan {
	c := pairScan{pairScanner: s, text: text, match: m}
	c.escape = strings.IndexByte(text, '\\') >= 0
	c.byHand = s.byHand && !(c.escape && s.stop['\\'])
	if limit > 0 && (!c.byHand || c.escape) {
		c.until = time.Now().Add(limit)
	}
	return c
}

// next gives the next pair; false at the end.
func (c *pairScan) next() (pair, bool, error) {
	if c.byHand {
		p, what := c.cut()
		if what != unclear {
			c.at = p.end
			return p, what == found, nil
		}
	}
	if c.at > len(c.text) {
		return pair{}, false, nil
	}
	if !c.until.IsZero() && time.Now().After(c.until) {
		return pair{}, false, errSlow
	}
	ok, err := c.expression.Match(bytesOf(c.text), c.at, c.match)
	if !ok || err != nil {
		return pair{}, false, err
	}
	p := pair{}
	begin, end, _ := c.match.Group(0)
	p.end = max(end, begin)
	if p.end == c.at && begin == end {
		p.end++ // patterns of the user may match nothing
	}
	if b, e, ok := c.match.Group(1); ok {
		p.key = c.text[b:e]
	}
	for g := 2; g <= c.expression.NumGroups(); g++ {
		if b, e, ok := c.match.Group(g); ok {
			p.value = c.text[b:e]
			break
		}
	}
	c.at = p.end
	return p, true, nil
}

// outcome says what became of a pair that is cut by hand.
type outcome uint8

const (
	missing outcome = iota // there is none
	found
	unclear // what was taken with a backslash may have to be given back: the expression decides
)

// cut finds the next pair by hand. Where that is unclear, c.at is moved to where the expression is to begin.
func (c *pairScan) cut() (pair, outcome) {
	text, at, n := c.text, c.at, len(c.text)
	for {
		for at < n && c.stop[text[at]] {
			at++
		}
		if at == n {
			return pair{end: n}, missing
		}
		begin := at
		var escaped bool
		at, escaped = c.run(&c.stop, at)
		p := pair{key: text[begin:at]}
		end := at
		if c.lenient {
			at = skipBlanks(text, at)
		}
		if at == n || !c.split[text[at]] {
			if escaped {
				c.at = begin
				return p, unclear
			}
			at = end // no other beginning of this key fares better
			continue
		}
		at++
		if c.lenient {
			at = skipBlanks(text, at)
		}
		var clear bool
		if p.value, p.end, clear = c.value(at); !clear {
			c.at = begin
			return p, unclear
		}
		return p, found
	}
}

// run gives the end of what begins at a place and has no characters of a set, but for those behind a backslash.
func (c *pairScan) run(set *byteSet, at int) (end int, escaped bool) {
	text := c.text
	if !c.escape {
		for at < len(text) && !set[text[at]] {
			at++
		}
		return at, false
	}
	for at < len(text) && !set[text[at]] {
		if text[at] == '\\' {
			escaped = true
			if at+1 < len(text) && text[at+1] != '\n' {
				at++
			}
		}
		at++
	}
	return at, escaped
}

// value gives the value at a place, and the end of the pair; false if that is unclear.
func (c *pairScan) value(at int) (value string, end int, clear bool) {
	text, n := c.text, len(c.text)
	if at == n {
		return "", n, true
	}
	if closing := c.closing(text[at]); closing != 0 {
		end, escaped := c.quoteEnd(at+1, closing)
		switch {
		case end == n:
		case end+1 == n || text[end+1] == '\n' && !c.field['\n']:
			return text[at+1 : end], end + 1, true
		case c.field[text[end+1]]:
			return text[at+1 : end], end + 2, true
		}
		if escaped {
			return "", 0, false
		}
	}
	if c.one >= 0 && !c.escape {
		end = n
		if i := strings.IndexByte(text[at:], byte(c.one)); i >= 0 {
			end = at + i
		}
	} else {
		end, _ = c.run(&c.field, at)
	}
	return text[at:end], min(end+1, n), true
}

// quoteEnd gives the place of what closes a quotation, the end of the text if nothing does.
func (c *pairScan) quoteEnd(at int, closing byte) (end int, escaped bool) {
	if !c.escape {
		if i := strings.IndexByte(c.text[at:], closing); i >= 0 {
			return at + i, false
		}
		return len(c.text), false
	}
	for at < len(c.text) && c.text[at] != closing {
		if c.text[at] == '\\' {
			escaped = true
			if at+1 < len(c.text) && c.text[at+1] != '\n' {
				at++
			}
		}
		at++
	}
	return min(at, len(c.text)), escaped
}

// closing gives what closes a value that begins with b, 0 if it is not quoted.
func (s *pairScanner) closing(b byte) byte {
	switch b {
	case '"', '\'':
		return b
	case '(':
		b = ')'
	case '[':
		b = ']'
	case '<':
		b = '>'
	default:
		return 0
	}
	if !s.brackets {
		return 0
	}
	return b
}

func skipBlanks(text string, at int) int {
	for at < len(text) && text[at] == ' ' {
		at++
	}
	return at
}
