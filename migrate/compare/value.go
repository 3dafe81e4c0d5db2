package compare

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/document"
)

// A kind is what a value is in JSON.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

func (k kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "list", "object"}[k]
}

// A node is a value. Its bytes are those of the document it was read from.
type node struct {
	kind    kind
	raw     []byte   // as it is written; nil: an object that dotted names made
	items   []*node  // of a list
	members []member // of an object: by name, each name once
	dotted  bool     // it stood under a name with dots, like {"a.b": 1}, which is the same field as {"a": {"b": 1}}
}

type member struct {
	name string
	node *node
}

// get gives a member; nil if there is none.
func (n *node) get(name string) *node {
	i, ok := slices.BinarySearchFunc(n.members, name, func(m member, name string) int { return strings.Compare(m.name, name) })
	if !ok {
		return nil
	}
	return n.members[i].node
}

// at gives what stands at a path of names with dots between them; nil if there is nothing.
func (n *node) at(path string) *node {
	if n.kind != object {
		return nil
	}
	if found := n.get(path); found != nil {
		return found
	}
	for i := range len(path) {
		if path[i] != '.' {
			continue
		}
		if inner := n.get(path[:i]); inner != nil {
			if found := inner.at(path[i+1:]); found != nil {
				return found
			}
		}
	}
	return nil
}

// text gives what a string says; a scalar of another kind as it is written.
func (n *node) text() string {
	if n.kind != text {
		return string(n.raw)
	}
	inner := n.raw[1 : len(n.raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	out, ok := document.Unescape(nil, inner)
	if !ok {
		return string(inner)
	}
	return string(out)
}

// scalar reports that n has nothing inside.
func (n *node) scalar() bool { return n.kind < list }

var errJSON = errors.New("no JSON object")

// deepest is how many lists and objects may be in each other.
const deepest = 500

// parse reads a document: one JSON object. Of a member that is there twice the last one counts.
func parse(doc []byte) (*node, error) {
	p := parser{in: doc}
	p.space()
	n, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.i != len(p.in) {
		return nil, p.wrong("something follows the document")
	}
	if n.kind != object {
		return nil, p.wrong("it is a " + n.kind.String())
	}
	return n, nil
}

type parser struct {
	in []byte
	i  int
}

func (p *parser) wrong(what string) error {
	return fmt.Errorf("%w: byte %d: %s", errJSON, p.i, what)
}

func (p *parser) space() {
	for p.i < len(p.in) && (p.in[p.i] == ' ' || p.in[p.i] == '\t' || p.in[p.i] == '\n' || p.in[p.i] == '\r') {
		p.i++
	}
}

func (p *parser) value(depth int) (*node, error) {
	if depth > deepest {
		return nil, p.wrong("too many lists and objects in each other")
	}
	if p.i >= len(p.in) {
		return nil, p.wrong("it ends early")
	}
	start := p.i
	n := &node{}
	var err error
	switch c := p.in[p.i]; {
	case c == '{':
		n.kind = object
		err = p.object(n, depth)
	case c == '[':
		n.kind = list
		err = p.list(n, depth)
	case c == '"':
		n.kind = text
		err = p.text()
	case c == '-' || c >= '0' && c <= '9':
		n.kind = number
		err = p.number()
	default:
		err = p.word(n)
	}
	n.raw = p.in[start:p.i:p.i]
	return n, err
}

func (p *parser) word(n *node) error {
	n.kind = boolean
	switch rest := p.in[p.i:]; {
	case bytes.HasPrefix(rest, []byte("null")):
		n.kind = null
		p.i += len("null")
	case bytes.HasPrefix(rest, []byte("true")):
		p.i += len("true")
	case bytes.HasPrefix(rest, []byte("false")):
		p.i += len("false")
	default:
		return p.wrong("no value")
	}
	return nil
}

func (p *parser) number() error {
	digits := func() bool {
		from := p.i
		for p.i < len(p.in) && p.in[p.i] >= '0' && p.in[p.i] <= '9' {
			p.i++
		}
		return p.i > from
	}
	if p.in[p.i] == '-' {
		p.i++
	}
	ok := digits()
	if p.i < len(p.in) && p.in[p.i] == '.' {
		p.i++
		ok = digits() && ok
	}
	if p.i < len(p.in) && (p.in[p.i] == 'e' || p.in[p.i] == 'E') {
		p.i++
		if p.i < len(p.in) && (p.in[p.i] == '+' || p.in[p.i] == '-') {
			p.i++
		}
		ok = digits() && ok
	}
	if !ok {
		return p.wrong("no number")
	}
	return nil
}

// text passes a string by.
func (p *parser) text() error {
	for p.i++; p.i < len(p.in); p.i++ {
		switch p.in[p.i] {
		case '\\':
			p.i++
		case '"':
			p.i++
			return nil
		}
	}
	p.i = len(p.in)
	return p.wrong("a string does not end")
}

func (p *parser) list(n *node, depth int) error {
	p.i++
	for first := true; ; first = false {
		p.space()
		if p.i < len(p.in) && p.in[p.i] == ']' {
			p.i++
			return nil
		}
		if !first {
			if p.i >= len(p.in) || p.in[p.i] != ',' {
				return p.wrong("a comma or ] is missing")
			}
			p.i++
			p.space()
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
}

func (p *parser) object(n *node, depth int) error {
	p.i++
	dots := false
	for first := true; ; first = false {
		p.space()
		if p.i < len(p.in) && p.in[p.i] == '}' {
			p.i++
			break
		}
		if !first {
			if p.i >= len(p.in) || p.in[p.i] != ',' {
				return p.wrong("a comma or } is missing")
			}
			p.i++
			p.space()
		}
		if p.i >= len(p.in) || p.in[p.i] != '"' {
			return p.wrong("a name is missing")
		}
		start := p.i
		if err := p.text(); err != nil {
			return err
		}
		name := (&node{kind: text, raw: p.in[start:p.i]}).text()
		p.space()
		if p.i >= len(p.in) || p.in[p.i] != ':' {
			return p.wrong("a colon is missing")
		}
		p.i++
		p.space()
		value, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		dots = dots || strings.IndexByte(name, '.') >= 0
		n.members = append(n.members, member{name, value})
	}
	n.members = ordered(n.members)
	if dots {
		n.undot()
	}
	return nil
}

// ordered sorts members by name and keeps the last one of each.
func ordered(ms []member) []member {
	sorted := slices.IsSortedFunc(ms, func(a, b member) int { return strings.Compare(a.name, b.name) })
	if !sorted {
		slices.SortStableFunc(ms, func(a, b member) int { return strings.Compare(a.name, b.name) })
	}
	out := ms[:0]
	for i, m := range ms {
		if i+1 < len(ms) && ms[i+1].name == m.name {
			continue
		}
		out = append(out, m)
	}
	return out
}

// undot puts members with dots in their names where the index has them: {"a.b": 1} is the field b of a. Where something else
// is in the way, they stay.
func (n *node) undot() {
	var dotted []member
	kept := n.members[:0]
	for _, m := range n.members {
		if parts := strings.Split(m.name, "."); len(parts) > 1 && !slices.Contains(parts, "") {
			dotted = append(dotted, m)
		} else {
			kept = append(kept, m)
		}
	}
	n.members = kept
	for _, m := range dotted {
		if !n.put(strings.Split(m.name, "."), m.node) {
			n.set(m.name, m.node)
		}
	}
}

func (n *node) put(way []string, value *node) bool {
	if n.kind != object {
		return false
	}
	there := n.get(way[0])
	if len(way) == 1 {
		if there != nil {
			return false
		}
		value.dotted = true
		n.set(way[0], value)
		n.raw = nil
		return true
	}
	if there == nil {
		there = &node{kind: object}
		if !there.put(way[1:], value) {
			return false
		}
		n.set(way[0], there)
		n.raw = nil
		return true
	}
	if !there.put(way[1:], value) {
		return false
	}
	n.raw = nil
	return true
}

func (n *node) set(name string, value *node) {
	i, ok := slices.BinarySearchFunc(n.members, name, func(m member, name string) int { return strings.Compare(m.name, name) })
	if ok {
		n.members[i].node = value
		return
	}
	n.members = slices.Insert(n.members, i, member{name, value})
}

// appendJSON appends a value with the members of objects by name and no white space: the same for values that do not differ.
// skip leaves out what stands at a path; nil: nothing.
func (n *node) appendJSON(dst []byte, path string, skip func(path string) bool) []byte {
	switch n.kind {
	case object:
		dst = append(dst, '{')
		first := true
		for _, m := range n.members {
			inner := join(path, m.name)
			if skip != nil && skip(inner) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendQuoted(dst, m.name)
			dst = append(dst, ':')
			dst = m.node.appendJSON(dst, inner, skip)
		}
		return append(dst, '}')
	case list:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst, path+"[]", skip)
		}
		return append(dst, ']')
	case text:
		if bytes.IndexByte(n.raw, '\\') < 0 {
			return append(dst, n.raw...)
		}
		return appendQuoted(dst, n.text())
	case null, boolean, number:
	}
	return append(dst, n.raw...)
}

// json is appendJSON of the whole value.
func (n *node) json() []byte { return n.appendJSON(nil, "", nil) }

// join is the path of a member.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// appendQuoted appends a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// excerpt is JSON of at most most bytes, for people: what is cut off is an ellipsis.
func excerpt(b []byte, most int) string {
	if len(b) > most {
		b = b[:most]
		for len(b) > 0 && !utf8.RuneStart(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		if len(b) > 0 && b[len(b)-1] >= utf8.RuneSelf {
			b = b[:len(b)-1]
		}
		return strings.ToValidUTF8(string(b), "\uFFFD") + "…"
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
