package archive

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
)

// The columns of each record, before those of the mapping: _index and _id are required, the others null when
// the record has none. All are UTF-8 strings; _source is the body as text, byte for byte.
var baseColumns = []string{"_index", "_type", "_id", "_routing", "_source"}

const (
	colIndex = iota
	colType
	colID
	colRouting
	colSource
)

const (
	rowGroupBytes = 32 << 20 // a row group is ended when its pages are as large, compressed
	rowGroupRows  = 1 << 20
	chunkRows     = 64 // rows that are handed to the columns at once
	chunkBytes    = 256 << 10
	keywordBytes  = 32766    // a keyword longer than a term can be is not searchable, and no column's business
	dictBytes     = 1 << 20  // a column whose distinct values take more is written without a dictionary
	pagesBytes    = 16 << 20 // what the open pages of all columns may hold together, and a quarter of the dictionaries
)

var errText = errors.New("the id, a name or the body is not valid UTF-8, which Parquet asks of text")

// A parquetFile writes records as rows.
type parquetFile struct {
	f       *file
	w       *parquet.GenericWriter[any]
	columns []*parquet.ColumnWriter
	typed   []column
	finder  *finder
	limit   int64 // of a row group

	rows       [][]parquet.Value // by column, the rows not yet handed over
	n          int               // rows in there
	bytes      int               // of their bodies
	strings    []byte            // strings that had escapes; rows point into it
	index      []byte            // the one index of the file
	validIndex bool              // it is UTF-8
	typ        string
	typText    []byte // typ, for rows to point to
	grouped    int64  // rows in the row group
}

// An orderedGroup is a schema in which the columns keep their order.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

type namedNode struct {
	parquet.Field // of a group of its own
}

func schemaOf(c *columns) *parquet.Schema {
	group := orderedGroup{Group: parquet.Group{}}
	add := func(name string, n parquet.Node) {
		group.Group[name] = n
		group.fields = append(group.fields, namedNode{parquet.Group{name: n}.Fields()[0]})
	}
	text := parquet.Encoded(parquet.String(), &parquet.Plain)
	words := parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	add(baseColumns[colIndex], words)
	add(baseColumns[colType], parquet.Optional(words))
	add(baseColumns[colID], text)
	add(baseColumns[colRouting], parquet.Optional(words))
	add(baseColumns[colSource], parquet.Optional(text))
	for i := range c.list {
		var n parquet.Node
		switch c.list[i].kind {
		case kindText:
			n = text
		case kindKeyword:
			n = words
		case kindLong:
			n = parquet.Encoded(parquet.Int(64), &parquet.DeltaBinaryPacked)
		case kindUnsigned:
			n = parquet.Encoded(parquet.Uint(64), &parquet.Plain)
		case kindDouble:
			n = parquet.Encoded(parquet.Leaf(parquet.DoubleType), &parquet.Plain)
		case kindBoolean:
			n = parquet.Leaf(parquet.BooleanType)
		case kindDate:
			n = parquet.Encoded(parquet.Timestamp(parquet.Millisecond), &parquet.DeltaBinaryPacked)
		case kindNanos:
			n = parquet.Encoded(parquet.Timestamp(parquet.Nanosecond), &parquet.DeltaBinaryPacked)
		}
		add(c.list[i].name, parquet.Optional(n))
	}
	return parquet.NewSchema("record", group)
}

func newParquetFile(f *file, index string, cfg *Config, c columns) *parquetFile {
	schema := schemaOf(&c)
	total := len(baseColumns) + len(c.list)
	w := &parquetFile{
		f: f, index: []byte(index), validIndex: utf8.ValidString(index), typed: c.list, finder: newFinder(&c),
		limit: min(rowGroupBytes, cfg.FileBytes),
		rows:  make([][]parquet.Value, total),
	}
	options := []parquet.WriterOption{
		schema,
		parquet.CreatedBy("naru", "", ""),
		parquet.Compression(&zstd.Codec{Level: cfg.zstdLevel()}),
		parquet.PageBufferSize(min(max(pagesBytes/total, 8<<10), 256<<10)),
		parquet.DictionaryMaxBytes(min(int64(4*pagesBytes/total), dictBytes)),
		parquet.SkipPageBounds(baseColumns[colSource]),
		parquet.SkipPageStatistics(baseColumns[colSource]),
	}
	for i := range c.list {
		if c.list[i].kind == kindText {
			options = append(options, parquet.SkipPageBounds(c.list[i].name), parquet.SkipPageStatistics(c.list[i].name))
		}
	}
	w.w = parquet.NewGenericWriter[any](f, options...)
	w.columns = w.w.ColumnWriters()
	return w
}

func (w *parquetFile) write(r *flow.Record) (refused, err error) {
	if !utf8.Valid(r.Key) || !utf8.Valid(r.Routing) || !utf8.Valid(r.Body) || !utf8.ValidString(r.Type) ||
		!w.validIndex {
		return errText, nil
	}
	if r.Body == nil {
		clear(w.finder.values)
	} else if err := w.finder.find(r.Body); err != nil {
		return err, nil
	}
	if r.Type != w.typ {
		w.typ, w.typText = r.Type, []byte(r.Type)
	}
	w.addString(colIndex, w.index, true, 0)
	w.addString(colType, w.typText, r.Type != "", 1)
	w.addString(colID, r.Key, true, 0)
	w.addString(colRouting, r.Routing, r.Routing != nil, 1)
	w.addString(colSource, r.Body, r.Body != nil, 1)
	for i, raw := range w.finder.values {
		at := len(baseColumns) + i
		v, ok := parquet.Value{}, false
		if raw != nil {
			v, ok = w.value(&w.typed[i], raw)
		}
		if ok {
			w.rows[at] = append(w.rows[at], v.Level(0, 1, at))
		} else {
			w.rows[at] = append(w.rows[at], parquet.Value{}.Level(0, 0, at))
		}
	}
	w.n++
	w.bytes += len(r.Body)
	if w.n >= chunkRows || w.bytes >= chunkBytes {
		return nil, w.settle()
	}
	return nil, nil
}

// addString appends to a string column whose values, when present, have the definition level that is given.
func (w *parquetFile) addString(at int, s []byte, present bool, level int) {
	v := parquet.Value{}.Level(0, 0, at)
	if present {
		v = parquet.ByteArrayValue(s).Level(0, level, at)
	}
	w.rows[at] = append(w.rows[at], v)
}

// value converts a scalar, as it stands in a document, to what the column holds; ok is false when it does not
// fit. Numbers and booleans within strings count as what they say, as the mapping takes them.
func (w *parquetFile) value(c *column, raw []byte) (v parquet.Value, ok bool) {
	quoted := raw[0] == '"'
	if quoted {
		raw = raw[1 : len(raw)-1]
		start := len(w.strings)
		for _, b := range raw {
			if b == '\\' {
				if w.strings, ok = document.Unescape(w.strings, raw); !ok {
					return v, false
				}
				raw = w.strings[start:]
				break
			}
		}
	}
	switch c.kind {
	case kindText:
		return parquet.ByteArrayValue(raw), true
	case kindKeyword:
		return parquet.ByteArrayValue(raw), len(raw) <= keywordBytes
	case kindLong:
		n, ok := parseLong(raw)
		return parquet.Int64Value(n), ok
	case kindUnsigned:
		n, err := strconv.ParseUint(string(raw), 10, 64)
		return parquet.Int64Value(int64(n)), err == nil // the column is unsigned, its storage is not
	case kindDouble:
		for _, b := range raw {
			if !isNumeric(b) {
				return v, false
			}
		}
		x, err := strconv.ParseFloat(string(raw), 64)
		return parquet.DoubleValue(x), err == nil
	case kindBoolean:
		switch string(raw) {
		case "true":
			return parquet.BooleanValue(true), true
		case "false":
			return parquet.BooleanValue(false), true
		}
	case kindDate:
		t, ok := c.dates.parse(raw)
		return parquet.Int64Value(t.UnixMilli()), ok
	case kindNanos:
		t, ok := c.dates.parse(raw)
		n := t.UnixNano()
		ok = ok && n/1e9 == t.Unix() && n >= 0
		return parquet.Int64Value(n), ok
	}
	return v, false
}

func isNumeric(b byte) bool {
	return b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.' || b == 'e' || b == 'E'
}

// parseLong reads a whole number; zeros after a point are no fraction.
func parseLong(s []byte) (n int64, ok bool) {
	for i, b := range s {
		if b != '.' {
			continue
		}
		for _, b := range s[i+1:] {
			if b != '0' {
				return 0, false
			}
		}
		if i == 0 || i+1 == len(s) {
			return 0, false
		}
		s = s[:i]
		break
	}
	n, err := strconv.ParseInt(string(s), 10, 64)
	return n, err == nil
}

// settle hands the rows over to the columns, which copy them.
func (w *parquetFile) settle() error {
	if w.n == 0 {
		return nil
	}
	for i, c := range w.columns {
		if _, err := c.WriteRowValues(w.rows[i]); err != nil {
			return err
		}
		clear(w.rows[i])
		w.rows[i] = w.rows[i][:0]
	}
	w.grouped += int64(w.n)
	w.n, w.bytes = 0, 0
	if cap(w.strings) > 1<<20 {
		w.strings = nil
	}
	w.strings = w.strings[:0]
	if w.grouped >= rowGroupRows || w.held() >= w.limit {
		return w.flush()
	}
	return nil
}

func (w *parquetFile) held() int64 { return w.w.Size() - w.f.size }

// flush ends the row group.
func (w *parquetFile) flush() error {
	if err := w.settle(); err != nil || w.grouped == 0 {
		return err
	}
	w.grouped = 0
	return w.w.Flush()
}

func (w *parquetFile) finish() error {
	if err := w.settle(); err != nil {
		return err
	}
	return w.w.Close()
}
