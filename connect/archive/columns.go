package archive

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/narudata/naru/document"
)

// A kind is the type of a column made from a mapping.
type kind int

const (
	kindText kind = iota // a string of any length, without statistics
	kindKeyword
	kindLong
	kindUnsigned
	kindDouble
	kindBoolean
	kindDate  // milliseconds
	kindNanos // nanoseconds
)

// kinds are those of the mapping's types. Types that are not here have no column: what they hold is no single
// plain value (nested, geo_point, ranges, join, …) or is not what the source has (alias, token_count).
var kinds = map[string]kind{
	"text": kindText, "match_only_text": kindText, "annotated_text": kindText, "search_as_you_type": kindText,
	"string": kindText,

	"keyword": kindKeyword, "constant_keyword": kindKeyword, "wildcard": kindKeyword, "ip": kindKeyword,
	"version": kindKeyword, "icu_collation_keyword": kindKeyword,

	"long": kindLong, "integer": kindLong, "short": kindLong, "byte": kindLong,
	"unsigned_long": kindUnsigned,
	"double":        kindDouble, "float": kindDouble, "half_float": kindDouble, "scaled_float": kindDouble,
	"boolean": kindBoolean,
	"date":    kindDate, "date_nanos": kindNanos,
}

// A column is a leaf field of a mapping.
type column struct {
	name  string // dotted path
	kind  kind
	dates dateFormat // of kindDate and kindNanos
}

// A columns is what a mapping gives, and the tree by which it is found in a document.
type columns struct {
	list    []column // by name
	omitted int      // fields that were left out, for there were too many or two of one name
	root    *field
	fields  int // ids given out in the tree
}

// A field is a node of the tree. Names are split at dots, since a.b and a:{b} are the same to the mapping.
type field struct {
	id       int
	column   int // in columns.list, -1: none
	children map[string]*field
}

// columnsOf reads {"mappings":…} of a group: {"properties":…} or, before types were removed, the same per
// type; fields of several types are put together. Meta that are absent, or something else, give no columns.
func columnsOf(meta json.RawMessage, limit int) columns {
	c := columns{root: &field{column: -1}, fields: 1}
	found := map[string]column{}
	mapping := object(object(meta)["mappings"])
	if properties := object(mapping["properties"]); properties != nil {
		collect(found, "", properties)
	} else {
		for _, typ := range slices.Sorted(maps.Keys(mapping)) {
			collect(found, "", object(object(mapping[typ])["properties"]))
		}
	}
	// Column names are compared without regard to case by many readers: of several the first by name stays,
	// the five columns of each record before all.
	taken := map[string]bool{}
	for _, name := range baseColumns {
		taken[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		folded := strings.ToLower(name)
		if len(c.list) >= limit || taken[folded] {
			c.omitted++
			continue
		}
		taken[folded] = true
		c.insert(name)
		c.list = append(c.list, found[name])
	}
	return c
}

// object decodes one level of an object; nil if b is none.
func object(b json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if len(b) == 0 || json.Unmarshal(b, &m) != nil {
		return nil
	}
	return m
}

func collect(found map[string]column, prefix string, properties map[string]json.RawMessage) {
	for name, raw := range properties {
		var p struct {
			Type       string          `json:"type"`
			Format     string          `json:"format"`
			Enabled    any             `json:"enabled"`
			Index      any             `json:"index"`
			DocValues  any             `json:"doc_values"`
			Properties json.RawMessage `json:"properties"`
		}
		if json.Unmarshal(raw, &p) != nil || isOff(p.Enabled) {
			continue
		}
		name = prefix + name
		if p.Type == "" || p.Type == "object" || p.Type == "passthrough" {
			collect(found, name+".", object(p.Properties))
			continue
		}
		k, ok := kinds[p.Type]
		if !ok {
			continue
		}
		if k == kindKeyword && isOff(p.Index) && isOff(p.DocValues) {
			k = kindText // it makes no term, whose length would be bounded
		}
		col := column{name: name, kind: k}
		if k == kindDate || k == kindNanos {
			if col.dates, ok = parseDateFormat(p.Format); !ok {
				col.kind = kindKeyword
			}
		}
		if other, dup := found[name]; dup && other.kind != col.kind {
			col = column{name: name, kind: kindText} // two types of one index disagree
		}
		found[name] = col
	}
}

// isOff reports false, which older versions also wrote as a string.
func isOff(setting any) bool { return setting == false || setting == "false" }

func (c *columns) insert(name string) {
	n := c.root
	for part := range strings.SplitSeq(name, ".") {
		child := n.children[part]
		if child == nil {
			child = &field{id: c.fields, column: -1}
			c.fields++
			if n.children == nil {
				n.children = map[string]*field{}
			}
			n.children[part] = child
		}
		n = child
	}
	n.column = len(c.list)
}

// find goes down from n by a key, which may be a dotted path.
func (n *field) find(key []byte) *field {
	if child := n.children[string(key)]; child != nil {
		return child
	}
	for i, c := range key {
		if c == '.' {
			if child := n.children[string(key[:i])]; child != nil {
				return child.find(key[i+1:])
			}
			return nil
		}
	}
	return nil
}

// A finder finds the values of columns in documents, in one pass and without decoding what it passes over.
type finder struct {
	columns *columns
	values  [][]byte // of each column, as it stands in the document; nil: absent, null, an array or an object
	seen    []uint32 // by field id: the document in which the field was last seen
	turn    uint32
	scratch []byte
}

func newFinder(c *columns) *finder {
	return &finder{columns: c, values: make([][]byte, len(c.list)), seen: make([]uint32, c.fields)}
}

// find fills values from a document, which they point into. Of a repeated key the last counts. A document
// that is not one line of JSON is an error.
func (f *finder) find(doc []byte) error {
	f.turn++
	if f.turn == 0 { // has wrapped
		clear(f.seen)
		f.turn = 1
	}
	clear(f.values)
	start := skipSpace(doc, 0)
	if len(f.values) == 0 || start >= len(doc) || doc[start] != '{' {
		if !isOneValue(doc) {
			return errBody
		}
		return nil
	}
	end, err := f.object(f.columns.root, doc, start)
	if err != nil || skipSpace(doc, end) != len(doc) || !oneLine(doc) {
		return errBody
	}
	return nil
}

func (f *finder) object(n *field, doc []byte, start int) (end int, err error) {
	return eachMember(doc, start, func(key []byte, start int) (int, error) {
		for _, c := range key {
			if c == '\\' {
				var ok bool
				if f.scratch, ok = document.Unescape(f.scratch[:0], key); !ok {
					return -1, errJSON
				}
				key = f.scratch
				break
			}
		}
		child := n.find(key)
		if child == nil {
			return -1, nil
		}
		if f.seen[child.id] == f.turn {
			f.forget(child)
		}
		f.seen[child.id] = f.turn
		start = skipSpace(doc, start)
		if start >= len(doc) {
			return -1, errJSON
		}
		switch doc[start] {
		case '{':
			if child.children != nil {
				return f.object(child, doc, start)
			}
			return -1, nil
		case '[', 'n':
			return -1, nil
		}
		end := skipValue(doc, start)
		if end < 0 {
			return -1, errJSON
		}
		if child.column >= 0 {
			f.values[child.column] = doc[start:end:end]
		}
		return end, nil
	})
}

// forget empties the columns at and under a field that comes again.
func (f *finder) forget(n *field) {
	if n.column >= 0 {
		f.values[n.column] = nil
	}
	for _, child := range n.children {
		f.forget(child)
	}
}
