// Package compare says how the records of two sources differ, field by field: what a new version of a pipeline makes of the
// same events, say.
//
// Records are brought together by a key. Each side is read once; its records are sorted by their keys, in bounded memory with
// what does not fit in temporary files, and the two orders are merged. So the result does not depend on the order in which
// records come, and the size of the sides does not matter, but for the files: they take about a quarter of the JSON read.
//
// A key may be there several times on a side. Equal records are paired first, then the others in the order of their bytes;
// what is left is on one side only. A record without a key is paired by its whole content.
package compare

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"

	"github.com/narudata/naru/flow"
)

// Keys that are no fields of documents.
const (
	KeyID    = "_id"    // of the document
	KeyIndex = "_index" // that it is in
	KeyLine  = "_line"  // of a file: its number, see Lines
)

// Options say what is compared. The zero value compares all records by their ids.
type Options struct {
	Key       []string // fields whose values make up the key: names with dots, [references], or one of the above; none: _id
	Ignore    []string // fields, and what is in them, that are not compared; * stands for anything
	Sample    float64  // the share of the keys that is compared, the same keys in each run and on each side; 0: all
	Window    Window   // of TimeField; records without such a time are outside of any
	TimeField string   // "": @timestamp

	MemoryBytes int    // for records that are sorted; 0: 256 MiB
	Dir         string // for temporary files; "": the system's
	Examples    int    // of each difference; 0: 3

	Progress func(s Side, records, bytes int) // called concurrently
}

// A Side is one of the two sources.
type Side int

// The sides.
const (
	A Side = iota
	B
)

func (s Side) String() string { return [...]string{"A", "B"}[s] }

// A Report says how two sides differ.
type Report struct {
	Key    []string `json:"key"`
	Ignore []string `json:"ignored,omitempty"`
	A      Sum      `json:"a"`
	B      Sum      `json:"b"`

	Equal     int64 `json:"equal"`     // pairs
	Different int64 `json:"different"` // pairs
	OnlyA     int64 `json:"only_a"`
	OnlyB     int64 `json:"only_b"`

	Moves    []Move    `json:"moves"`   // fields of other names
	Changes  []Change  `json:"changes"` // what Moves do not explain, most frequent first
	Patterns []Pattern `json:"patterns"`
	Hidden   bool      `json:"hidden,omitempty"` // there are more different changes than are told apart

	ExamplesA []Single `json:"examples_a,omitempty"` // records that only A has
	ExamplesB []Single `json:"examples_b,omitempty"`
}

// Same reports that there is no difference.
func (r *Report) Same() bool { return r.Different == 0 && r.OnlyA == 0 && r.OnlyB == 0 }

// Pairs is how many records have a partner.
func (r *Report) Pairs() int64 { return r.Equal + r.Different }

// A Sum is what was read of a side.
type Sum struct {
	Read     int64 `json:"read"`
	Compared int64 `json:"compared"`           // of them
	Outside  int64 `json:"outside,omitempty"`  // of the window, and so not compared
	NoKey    int64 `json:"no_key,omitempty"`   // compared by their content
	NoJSON   int64 `json:"no_json,omitempty"`  // whose bytes are no JSON object, of those that were looked into
	NoBody   int64 `json:"no_body,omitempty"`  // that have no content
	Repeated int64 `json:"repeated,omitempty"` // whose key another one had before
}

// A Change is one way in which a field differs.
type Change struct {
	Field     string    `json:"field"` // names with dots between them; [] behind a list in whose elements it is
	Kind      Kind      `json:"kind"`
	Class     string    `json:"class,omitempty"`
	Documents int64     `json:"documents"`
	Share     float64   `json:"share"` // of all pairs
	Examples  []Example `json:"examples"`
}

// What says what changed, with the field.
func (c *Change) What() string { return changeKey{c.Field, c.Kind, c.Class}.String() }

// A Move is a field of B that has the value of a field of A with another name, wherever it is new, or nearly.
type Move struct {
	From      string    `json:"from"`
	To        string    `json:"to"`
	Copied    bool      `json:"copied"`    // From is still there
	Converted bool      `json:"converted"` // the type is another one, of some at least
	Documents int64     `json:"documents"`
	Share     float64   `json:"share"`
	Examples  []Example `json:"examples"`
}

// An Example is a value before and after, as JSON of which the end may be missing; "": there is none.
type Example struct {
	Key    string `json:"key"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// A Pattern is a number of pairs in which the same things changed.
type Pattern struct {
	Changes   []string `json:"changes"`
	Documents int64    `json:"documents"`
	Share     float64  `json:"share"`
	Example   string   `json:"example"` // a key

	ids []int
}

// A Single is a record that only one side has; its end may be missing.
type Single struct {
	Key      string `json:"key"`
	Document string `json:"document"`
}

func share(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// ParseField reads a field: a name with dots, or a reference like [kafka][topic].
func ParseField(s string) (string, error) {
	s = strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", fmt.Errorf("%s: a ] is missing at the end", s)
		}
		s = strings.ReplaceAll(inner, "][", ".")
	}
	if s == "" || strings.ContainsAny(s, "[]") {
		return "", fmt.Errorf("%q names no field", s)
	}
	return s, nil
}

func parseFields(list []string) ([]string, error) {
	out := make([]string, 0, len(list))
	for _, s := range list {
		f, err := ParseField(s)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

type comparison struct {
	o      Options
	limit  uint64                 // hashes of keys below are in the sample; 0: all
	whole  bool                   // documents are read for more than their id
	skip   func(path string) bool // which fields are not compared; called concurrently
	sums   [2]counters
	sorter [2]*sorter
}

// counters are a Sum that grows.
type counters struct{ read, compared, outside, noKey, noJSON, noBody, repeated atomic.Int64 }

func (c *counters) sum() Sum {
	return Sum{
		Read: c.read.Load(), Compared: c.compared.Load(), Outside: c.outside.Load(), NoKey: c.noKey.Load(), NoJSON: c.noJSON.Load(),
		NoBody: c.noBody.Load(), Repeated: c.repeated.Load(),
	}
}

// Compare reads a and b, at the same time, and compares them. An error means that there is no report: one of them could not be
// read to its end, or there is no room for the files.
func Compare(ctx context.Context, a, b Source, o Options) (r *Report, err error) {
	c, err := newComparison(o)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(c.o.Dir, "naru-diff-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for i := range c.sorter {
		c.sorter[i] = newSorter(dir, c.o.MemoryBytes/2)
		defer func() { err = errors.Join(err, c.sorter[i].close()) }()
	}
	if err := c.read(ctx, a, b); err != nil {
		return nil, err
	}
	return c.merge(ctx)
}

func newComparison(o Options) (*comparison, error) {
	var err error
	if o.Key, err = parseFields(o.Key); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if o.Ignore, err = parseFields(o.Ignore); err != nil {
		return nil, fmt.Errorf("ignore: %w", err)
	}
	if len(o.Key) == 0 {
		o.Key = []string{KeyID}
	}
	if o.Sample < 0 || o.Sample > 1 || math.IsNaN(o.Sample) {
		return nil, fmt.Errorf("a sample of %v: want a share of at most 1", o.Sample)
	}
	o.TimeField = cmp.Or(o.TimeField, "@timestamp")
	o.MemoryBytes, o.Examples = cmp.Or(o.MemoryBytes, 256<<20), cmp.Or(o.Examples, 3)
	c := &comparison{o: o, skip: ignoring(o.Ignore), whole: !o.Window.IsZero()}
	if o.Sample > 0 && o.Sample < 1 {
		c.limit = uint64(math.Ldexp(o.Sample, 64))
	}
	for _, k := range o.Key {
		c.whole = c.whole || k != KeyID && k != KeyIndex && k != KeyLine
	}
	return c, nil
}

// ignoring gives a function that says which paths are not compared.
func ignoring(fields []string) func(path string) bool {
	if len(fields) == 0 {
		return func(string) bool { return false }
	}
	return func(path string) bool {
		plain := strings.ReplaceAll(path, "[]", "")
		return slices.ContainsFunc(fields, func(f string) bool { return matches(f, plain) })
	}
}

// remembering keeps what skip said of paths. It must not be called concurrently.
func remembering(skip func(path string) bool) func(path string) bool {
	const most = 50_000
	known := map[string]bool{}
	return func(path string) bool {
		if is, ok := known[path]; ok {
			return is
		}
		if len(known) >= most {
			clear(known)
		}
		is := skip(path)
		known[path] = is
		return is
	}
}

// matches reports that a pattern, in which * stands for anything, matches a path.
func matches(pattern, path string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == path
	}
	path, ok := strings.CutPrefix(path, head)
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	for i := range len(path) + 1 {
		if matches(rest, path[i:]) {
			return true
		}
	}
	return false
}

// read reads both sides into their sorters.
func (c *comparison) read(ctx context.Context, a, b Source) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sides sync.WaitGroup
	for i, source := range []Source{a, b} {
		sides.Go(func() {
			side := Side(i)
			err := source.Read(ctx, func(recs []flow.Record) error { return c.take(side, recs) })
			if err != nil {
				cancel(fmt.Errorf("read %s: %w", side, err))
			}
		})
	}
	sides.Wait()
	return context.Cause(ctx)
}

// take gives records to the sorter of their side.
func (c *comparison) take(side Side, recs []flow.Record) error {
	sum := &c.sums[side]
	total := 0
	var key, head []byte
	for i := range recs {
		r := &recs[i]
		sum.read.Add(1)
		total += len(r.Body)
		var ok bool
		key, ok = c.key(key[:0], sum, r)
		if !ok {
			continue
		}
		if c.limit > 0 && xxh3.Hash(key) >= c.limit {
			continue
		}
		sum.compared.Add(1)
		if r.Body == nil {
			sum.noBody.Add(1)
		}
		head = appendHead(head[:0], r)
		if err := c.sorter[side].add(key, head, r.Body); err != nil {
			return err
		}
	}
	if c.o.Progress != nil {
		c.o.Progress(side, len(recs), total)
	}
	return nil
}

// What the first byte of a key says.
const (
	byContent = 0
	byKey     = 1
)

// separator stands between the values of several fields in a key.
const separator = 0

// key appends the key of a record; false: it is outside of the window.
func (c *comparison) key(dst []byte, sum *counters, r *flow.Record) ([]byte, bool) {
	var doc *node
	if c.whole && r.Body != nil {
		var err error
		if doc, err = parse(r.Body); err != nil {
			doc = nil
			sum.noJSON.Add(1)
		}
	}
	if !c.o.Window.IsZero() {
		var at *node
		if doc != nil {
			at = doc.at(c.o.TimeField)
		}
		if at == nil || !c.within(at) {
			sum.outside.Add(1)
			return dst, false
		}
	}
	dst = append(dst, byKey)
	for i, name := range c.o.Key {
		if i > 0 {
			dst = append(dst, separator)
		}
		before := len(dst)
		switch name {
		case KeyID:
			dst = append(dst, r.Key...)
		case KeyIndex:
			dst = append(dst, r.Index...)
		case KeyLine:
			dst = append(dst, r.Meta...)
		default:
			if doc == nil {
				break
			}
			if n := doc.at(name); n != nil && n.kind != null {
				if n.scalar() {
					dst = append(dst, n.text()...)
				} else {
					dst = n.appendJSON(dst, "", nil)
				}
			}
		}
		if len(dst) == before {
			sum.noKey.Add(1)
			return c.content(dst[:0], r), true
		}
	}
	return dst, true
}

// content is the key of a record that has none.
func (c *comparison) content(dst []byte, r *flow.Record) []byte {
	h := c.hash(r.Body)
	return append(append(dst, byContent), h[:]...)
}

// hash is the same for documents that do not differ.
func (c *comparison) hash(body []byte) [16]byte {
	if doc, err := parse(body); err == nil {
		body = doc.appendJSON(nil, "", c.skip)
	}
	return xxh3.Hash128(body).Bytes()
}

// within reports that a time is in the window: ISO 8601, or milliseconds since 1970.
func (c *comparison) within(n *node) bool {
	t, _, ok := readTime(n.text())
	if !ok {
		ms, err := parseMillis(n.text())
		if err != nil {
			return false
		}
		t = ms
	}
	return c.o.Window.has(t)
}

// The rest of a record, behind its key:
//
//	0, or length of the routing + 1 (uvarint) | routing | 1 if there is a body, else 0 | body
func appendHead(dst []byte, r *flow.Record) []byte {
	if r.Routing == nil {
		dst = append(dst, 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(r.Routing))+1)
		dst = append(dst, r.Routing...)
	}
	if r.Body == nil {
		return append(dst, 0)
	}
	return append(dst, 1)
}

// A kept record is what appendHead and the body make.
type kept struct {
	rest    []byte
	routing []byte
	body    []byte // nil: none
}

func unpack(rest []byte) kept {
	k := kept{rest: rest}
	n, used := binary.Uvarint(rest)
	rest = rest[max(used, 0):]
	if n > 0 && n-1 <= uint64(len(rest)) {
		k.routing, rest = rest[:n-1:n-1], rest[n-1:]
	}
	if len(rest) > 0 && rest[0] == 1 {
		k.body = rest[1:]
	}
	return k
}

// Names of what is compared as if it were a field.
const (
	routingField = "_routing"
	bytesField   = "(no JSON)"
)

// document gives what is compared of a record: its fields, and the routing as one. What is no JSON is a text.
func (c *comparison) document(k *kept, sum *counters) *node {
	doc := &node{kind: object}
	if k.body != nil {
		parsed, err := parse(k.body)
		switch {
		case err == nil:
			doc = parsed
		case !c.whole: // else it was counted when it was read
			sum.noJSON.Add(1)
			fallthrough
		default:
			doc.members = []member{{bytesField, &node{kind: text, raw: appendQuoted(nil, string(k.body))}}}
		}
	}
	if k.routing != nil {
		doc.set(routingField, &node{kind: text, raw: appendQuoted(nil, string(k.routing))})
		doc.raw = nil
	}
	return doc
}

// shown is a key for people.
func shown(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	if key[0] == byContent {
		return "without a key, content " + hex.EncodeToString(key[1:min(len(key), 7)])
	}
	s := strings.ToValidUTF8(string(bytes.ReplaceAll(key[1:], []byte{separator}, []byte(" "))), "\uFFFD")
	if len(s) > 512 {
		return excerpt([]byte(s), 512)
	}
	return s
}
