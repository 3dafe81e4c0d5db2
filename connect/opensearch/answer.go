package opensearch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
)

// An answer is the answer to a search, read as it comes:
//
//	{"pit_id":"…","took":3,"timed_out":false,"_shards":{…},"hits":{"total":…,"hits":[HIT,HIT,…]}}
//	HIT: {"_index":"logs","_id":"1","_version":1,"_score":null,"_routing":"r","_source":{…},"sort":[0]}
//
// The server copies a _source that is JSON as it was sent, white space and comments included; so it is cut out by
// structure: strings end and brackets balance, and nothing is decoded. What stands between the colon and the comma
// or brace after it is the source. No more than one hit is held, and what the network brought with it.
type answer struct {
	r     io.Reader
	buf   []byte // unread is buf[pos:]
	pos   int
	read  int64 // bytes of the answer so far
	ended error // of r

	context string // the id of the point in time or scroll that the answer names
	total   int64  // hits in all; -1: not said
	shards  shardsOf
	state   answerState
}

type answerState int

const (
	beforeHits answerState = iota
	atFirstHit
	afterHit
	afterHits
)

type shardsOf struct {
	Total, Failed int
	Failures      []struct {
		Reason reason `json:"reason"`
	}
}

// A hit is one document of an answer. Its bytes are valid until the next is read.
type hit struct {
	index, typ, id, routing []byte // decoded; routing is nil if there is none
	version                 int64  // 0: not said
	source                  []byte // as the server holds it; nil: none
	sort                    []byte // JSON: what to ask for next with search_after

	wanted []string // members that are kept in others
	others [][]byte // JSON, by the index in wanted; nil: there is none
}

// errAnswer marks answers that are not what a search gives.
var errAnswer = errors.New("not the answer to a search")

const (
	answerBuffer = 256 << 10
	// hitLimit bounds a hit, for a length that no document has.
	hitLimit = 1<<31 - 1
)

func newAnswer(r io.Reader) *answer {
	return &answer{r: r, buf: make([]byte, 0, answerBuffer), total: -1}
}

// fill reads more behind what is unread. It gives false at the end of the answer, or when it cannot be read.
func (a *answer) fill() (bool, error) {
	if a.ended != nil {
		if a.ended == io.EOF { //nolint:errorlint // as io.Reader says
			return false, nil
		}
		return false, a.ended
	}
	unread := len(a.buf) - a.pos
	switch {
	case unread >= hitLimit:
		return false, fmt.Errorf("a hit of more than %d bytes", hitLimit)
	case unread == cap(a.buf):
		a.buf = append(make([]byte, 0, 2*cap(a.buf)), a.buf[a.pos:]...)
	case unread < answerBuffer/2 && cap(a.buf) > 8<<20: // one large hit does not pin its memory
		a.buf = append(make([]byte, 0, answerBuffer), a.buf[a.pos:]...)
	case a.pos > 0:
		copy(a.buf[:unread], a.buf[a.pos:])
		a.buf = a.buf[:unread]
	}
	a.pos = 0
	// A value that did not fit is looked at again from its beginning, so much must come at a time.
	want := min(cap(a.buf), max(2*unread, unread+1))
	for len(a.buf) < want && a.ended == nil {
		var n int
		n, a.ended = a.r.Read(a.buf[len(a.buf):cap(a.buf)])
		a.buf = a.buf[:len(a.buf)+n]
		a.read += int64(n)
	}
	return len(a.buf) > unread, nil
}

// whole has scan look at what is unread, with more of it as long as scan gives needMore, and moves on by what
// scan gives.
func (a *answer) whole(scan func(b []byte) int) ([]byte, error) {
	for {
		n := scan(a.buf[a.pos:])
		if n >= 0 {
			b := a.buf[a.pos : a.pos+n]
			a.pos += n
			return b, nil
		}
		if n == malformed {
			return nil, fmt.Errorf("%w: near byte %d", errAnswer, a.read-int64(len(a.buf)-a.pos))
		}
		more, err := a.fill()
		if err != nil {
			return nil, err
		}
		if !more {
			return nil, io.ErrUnexpectedEOF
		}
	}
}

// punctuation passes over white space and one character of set, and gives it.
func (a *answer) punctuation(set string) (byte, error) {
	b, err := a.whole(func(b []byte) int {
		i := skipSpace(b, 0)
		switch {
		case i < 0:
			return i
		case i >= len(b):
			return needMore
		case bytes.IndexByte([]byte(set), b[i]) < 0:
			return malformed
		}
		return i + 1
	})
	if err != nil {
		return 0, err
	}
	return b[len(b)-1], nil
}

// value reads a value that is small enough to be held.
func (a *answer) value() ([]byte, error) {
	return a.whole(func(b []byte) int { return skipValueAfterSpace(b, 0, true) })
}

// key reads a member's name and colon.
func (a *answer) key() (string, error) {
	raw, err := a.value()
	if err != nil {
		return "", err
	}
	key := string(bytes.TrimSpace(raw))
	_, err = a.punctuation(":")
	return key, err
}

// members reads those of an object, whose brace is read, up to its end or until member says that it stops there.
func (a *answer) members(member func(key string) (stop bool, err error)) (stopped bool, err error) {
	b, err := a.whole(func(b []byte) int { // an empty one
		i := skipSpace(b, 0)
		switch {
		case i < 0:
			return i
		case i >= len(b):
			return needMore
		case b[i] == '}':
			return i + 1
		}
		return 0
	})
	if err != nil || len(b) > 0 {
		return false, err
	}
	for {
		key, err := a.key()
		if err != nil {
			return false, err
		}
		if stop, err := member(key); stop || err != nil {
			return stop, err
		}
		c, err := a.punctuation(",}")
		if err != nil || c == '}' {
			return false, err
		}
	}
}

// rest goes on with members after one that stopped.
func (a *answer) rest(member func(key string) (stop bool, err error)) error {
	c, err := a.punctuation(",}")
	for err == nil && c == ',' {
		var key string
		if key, err = a.key(); err != nil {
			break
		}
		if _, err = member(key); err != nil {
			break
		}
		c, err = a.punctuation(",}")
	}
	return err
}

func (a *answer) outer(key string) (stop bool, err error) {
	if key == `"hits"` {
		if a.state != beforeHits {
			return false, fmt.Errorf("%w: hits are there twice", errAnswer)
		}
		if _, err := a.punctuation("{"); err != nil {
			return false, err
		}
		stopped, err := a.members(a.inner)
		if err == nil && !stopped {
			err = fmt.Errorf("%w: there are no hits.hits", errAnswer)
		}
		return true, err
	}
	raw, err := a.value()
	if err != nil {
		return false, err
	}
	switch key {
	case `"pit_id"`, `"_scroll_id"`:
		err = json.Unmarshal(raw, &a.context)
	case `"_shards"`:
		err = json.Unmarshal(raw, &a.shards)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", errAnswer, key, err)
	}
	return false, nil
}

func (a *answer) inner(key string) (stop bool, err error) {
	if key == `"hits"` {
		if a.state != beforeHits {
			return false, fmt.Errorf("%w: hits.hits are there twice", errAnswer)
		}
		_, err := a.punctuation("[")
		a.state = atFirstHit
		return true, err
	}
	raw, err := a.value()
	if err != nil || key != `"total"` {
		return false, err
	}
	var object struct{ Value int64 }
	if json.Unmarshal(raw, &object) == nil {
		a.total = object.Value
	} else if n, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64); err == nil {
		a.total = n
	}
	return false, nil
}

// begin reads up to the first hit.
func (a *answer) begin() error {
	if a.state != beforeHits {
		return nil
	}
	if _, err := a.punctuation("{"); err != nil {
		return err
	}
	stopped, err := a.members(a.outer)
	if err == nil && !stopped {
		err = fmt.Errorf("%w: there are no hits", errAnswer)
	}
	return err
}

// next reads a hit. After the last one the rest of the answer is read, and the error is io.EOF.
func (a *answer) next(h *hit) error {
	if err := a.begin(); err != nil {
		return err
	}
	if a.state == afterHits {
		return io.EOF
	}
	ends := false
	_, err := a.whole(func(b []byte) int {
		i := skipSpace(b, 0)
		if i < 0 {
			return i
		}
		if i >= len(b) {
			return needMore
		}
		if b[i] == ']' {
			ends = true
			return i + 1
		}
		if a.state == afterHit {
			if b[i] != ',' {
				return malformed
			}
			if i = skipSpace(b, i+1); i < 0 {
				return i
			}
		}
		return h.parse(b, i)
	})
	if err != nil {
		return err
	}
	if !ends {
		a.state = afterHit
		return nil
	}
	a.state = afterHits
	if err := a.rest(a.inner); err != nil {
		return err
	}
	if err := a.rest(a.outer); err != nil {
		return err
	}
	return io.EOF
}

// parse reads the hit that begins at b[i] and gives the place after it.
func (h *hit) parse(b []byte, i int) int {
	h.index, h.typ, h.id, h.routing = h.index[:0], h.typ[:0], h.id[:0], nil
	h.version, h.source, h.sort = 0, nil, nil
	hasID := false
	clear(h.others)
	end := eachMember(b, i, func(key []byte, at int) (end int) {
		if len(h.wanted) > 0 {
			defer func() { h.keep(b, key, at, end) }()
		}
		switch string(key) {
		case "_source":
			end = skipValueAfterSpace(b, at, true)
			if end < 0 {
				return end
			}
			if end = skipSpaceStrictly(b, end); end < 0 {
				return end
			}
			if v := trimSpace(b[at:end]); len(v) > 0 && v[0] != '{' && v[0] != '/' {
				if string(v) != "null" {
					return malformed // a document is an object
				}
				return end
			}
			h.source = b[at:end:end]
			return end
		case "_index", "_type", "_id", "_routing":
			end = skipValueAfterSpace(b, at, false)
			if end < 0 {
				return end
			}
			raw := trimSpace(b[at:end])
			if len(raw) < 2 || raw[0] != '"' {
				return malformed
			}
			var ok bool
			switch string(key) {
			case "_index":
				h.index, ok = unquote(h.index[:0], raw)
			case "_type":
				h.typ, ok = unquote(h.typ[:0], raw)
			case "_id":
				h.id, ok = unquote(h.id[:0], raw)
				hasID = true
			default:
				h.routing, ok = unquote([]byte{}, raw)
			}
			if !ok {
				return malformed
			}
			return end
		}
		end = skipValueAfterSpace(b, at, false)
		if end < 0 {
			return end
		}
		switch string(key) {
		case "_version":
			n, err := strconv.ParseInt(string(trimSpace(b[at:end])), 10, 64)
			if err != nil {
				return malformed
			}
			h.version = n
		case "sort":
			h.sort = trimSpace(b[at:end:end])
		}
		return end
	})
	if end >= 0 && (!hasID || len(h.index) == 0) {
		return malformed
	}
	return end
}

// keep keeps a member that is wanted.
func (h *hit) keep(b, key []byte, at, end int) {
	for i, name := range h.wanted {
		if end >= 0 && name == string(key) {
			h.others[i] = trimSpace(b[at:end:end])
		}
	}
}

// unquote appends what a JSON string stands for.
func unquote(dst, raw []byte) ([]byte, bool) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return append(dst, raw[1:len(raw)-1]...), true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return dst, false
	}
	return append(dst, s...), true
}

// What looking at bytes gives when it gives no place in them.
const (
	needMore  = -1 // they end in the middle
	malformed = -2
)

func trimSpace(b []byte) []byte { return bytes.Trim(b, " \n\t\r") }

// skipSpace gives the place after white space, comments and byte order marks, which sources may have.
func skipSpace(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ' ', '\n', '\t', '\r':
			i++
		case 0xef:
			if len(b)-i < 3 {
				return needMore
			}
			if b[i+1] != 0xbb || b[i+2] != 0xbf {
				return malformed
			}
			i += 3
		case '/':
			if i = skipComment(b, i); i < 0 {
				return i
			}
		default:
			return i
		}
	}
	return i
}

// skipSpaceStrictly is skipSpace after a source. A comment to the end of the line is refused there: if the source
// has no line break after it, the comment goes on over what the server wrote behind.
func skipSpaceStrictly(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ' ', '\n', '\t', '\r':
			i++
		case '/':
			if i+1 < len(b) && b[i+1] == '/' {
				return malformed
			}
			if i = skipComment(b, i); i < 0 {
				return i
			}
		default:
			return i
		}
	}
	return needMore
}

func skipComment(b []byte, i int) int {
	if i+1 >= len(b) {
		return needMore
	}
	switch b[i+1] {
	case '/':
		if n := bytes.IndexAny(b[i:], "\r\n"); n >= 0 {
			return i + n
		}
		return needMore
	case '*':
		if n := bytes.Index(b[i+2:], []byte("*/")); n >= 0 {
			return i + 2 + n + 2
		}
		return needMore
	}
	return malformed
}

const ones = 0x0101010101010101

// skipString gives the place after the string that begins at i.
func skipString(b []byte, i int) int {
	i++
	for i < len(b) {
		for i+8 <= len(b) { // eight bytes at a time, up to a quote or a backslash
			x := binary.LittleEndian.Uint64(b[i:])
			q, s := x^(ones*'"'), x^(ones*'\\')
			m := ((q - ones) &^ q & (ones << 7)) | ((s - ones) &^ s & (ones << 7))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
			break
		}
		if i >= len(b) {
			break
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
		i++
	}
	return needMore
}

// structural marks the bytes at which skipValueAfterSpace looks within an object or array.
var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true, '/': true}

// skipValueAfterSpace gives the place after the value that comes after white space. At the end of b a number, true,
// false or null may go on, so more is wanted then.
func skipValueAfterSpace(b []byte, i int, comments bool) int {
	if i = skipSpace(b, i); i < 0 {
		return i
	}
	if i >= len(b) {
		return needMore
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i, comments)
	}
	start := i
	for i < len(b) && isScalar(b[i]) {
		i++
	}
	switch {
	case i == len(b):
		return needMore
	case i == start:
		return malformed
	}
	return i
}

// skipNested gives the place after the object or array that begins at i.
func skipNested(b []byte, i int, comments bool) int {
	depth := 0
	for i < len(b) {
		c := b[i]
		if !structural[c] {
			i++
			continue
		}
		switch c {
		case '"':
			if i = skipString(b, i); i < 0 {
				return i
			}
			continue
		case '/':
			if !comments {
				return malformed
			}
			if i = skipComment(b, i); i < 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		default:
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return needMore
}

// isScalar reports bytes that numbers, true, false and null are made of.
func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// eachMember walks the object that begins at b[i] and gives the place after it. member gives the place after the
// value that begins at b[at].
func eachMember(b []byte, i int, member func(key []byte, at int) int) int {
	if i >= len(b) {
		return needMore
	}
	if b[i] != '{' {
		return malformed
	}
	next := func(i int) int { // the place of the next character
		if i = skipSpace(b, i); i >= len(b) {
			return needMore
		}
		return i
	}
	if i = next(i + 1); i < 0 {
		return i
	}
	if b[i] == '}' {
		return i + 1
	}
	for {
		if b[i] != '"' {
			return malformed
		}
		end := skipString(b, i)
		if end < 0 {
			return end
		}
		key := b[i+1 : end-1]
		if i = next(end); i < 0 {
			return i
		}
		if b[i] != ':' {
			return malformed
		}
		if end = member(key, i+1); end < 0 {
			return end
		}
		if i = next(end); i < 0 {
			return i
		}
		switch b[i] {
		case '}':
			return i + 1
		case ',':
			if i = next(i + 1); i < 0 {
				return i
			}
		default:
			return malformed
		}
	}
}
