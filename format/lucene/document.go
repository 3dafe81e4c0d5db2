package lucene

import (
	"encoding/base64"
	"unicode/utf8"
)

// A Document is what Elasticsearch and OpenSearch store of a document. Its bytes are those of the chunk.
type Document struct {
	ID       []byte // as stored in the field _id, encoded; see AppendID
	PlainID  []byte // as stored in the field _id as text: Elasticsearch 5 with one type
	UID      []byte // as stored in the field _uid: type#id
	Source   []byte // _source; nil: not stored
	Recovery []byte // _recovery_source: the whole source where _source keeps a part of it, until a merge drops it
	Routing  []byte // _routing; nil: none
	Parent   []byte // _parent; nil: none
}

// HasID reports whether the document has an id. One without is a nested child of the document after it.
func (d *Document) HasID() bool { return d.ID != nil || d.UID != nil || d.PlainID != nil }

// wanted are the numbers of the fields that a Document has, in a segment; -1: not there.
type wanted struct{ id, uid, source, recovery, routing, parent int }

func wantedFields(f *FieldInfos) wanted {
	return wanted{
		f.Number("_id"), f.Number("_uid"), f.Number("_source"),
		f.Number("_recovery_source"), f.Number("_routing"), f.Number("_parent"),
	}
}

// Types of stored values (CompressingStoredFieldsWriter).
const (
	storedString = iota
	storedBytes
	storedInt    // zigzag vInt
	storedFloat  // zFloat
	storedLong   // tLong
	storedDouble // zDouble
)

// Document decodes the i-th document of a chunk of sf's into d. Layout: as many times as the chunk says, vLong
// field number<<3 | type, value; strings and bytes are vInt length and bytes.
func (sf *StoredFields) Document(c *Chunk, i int, d *Document) error {
	*d = Document{}
	if err := sf.document(c.data[c.offsets[i]:c.offsets[i+1]], int(c.fields[i]), d); err != nil {
		return fileError(sf.name, corruptf("document %d: %w", c.Doc+i, err))
	}
	return nil
}

func (sf *StoredFields) document(b []byte, fields int, d *Document) error {
	w := &sf.fields
	p := 0
	for range fields {
		// Field numbers and lengths mostly fit in one byte or two.
		var key int
		if p < len(b) && b[p] < 0x80 {
			key = int(b[p])
			p++
		} else {
			var err error
			if key, p, err = uvarint(b, p); err != nil {
				return corruptf("ends in the middle")
			}
		}
		kind := key & 7
		if kind > storedBytes {
			n, err := skipNumber(b[p:], kind)
			if err != nil {
				return err
			}
			p += n
			continue
		}
		var n int
		if p+1 < len(b) && b[p] < 0x80 {
			n = int(b[p])
			p++
		} else {
			var err error
			if n, p, err = uvarint(b, p); err != nil {
				return corruptf("ends in the middle")
			}
		}
		if n > len(b)-p {
			return corruptf("a value of %d bytes, %d left", n, len(b)-p)
		}
		v := b[p : p+n : p+n]
		p += n
		switch key >> 3 {
		case w.source:
			d.Source = v
		case w.id:
			if kind == storedString {
				d.PlainID = v
			} else {
				d.ID = v
			}
		case w.routing:
			d.Routing = v
		case w.uid:
			d.UID = v
		case w.recovery:
			d.Recovery = v
		case w.parent:
			d.Parent = v
		}
	}
	if p != len(b) {
		return corruptf("%d bytes more than its fields", len(b)-p)
	}
	return nil
}

// skipNumber returns how long a stored number is (CompressingStoredFieldsWriter.writeZInt, writeZFloat,
// writeTLong, writeZDouble).
func skipNumber(b []byte, kind int) (int, error) {
	if len(b) == 0 {
		return 0, corruptf("ends in the middle")
	}
	n := 1
	first := b[0]
	switch kind {
	case storedInt:
		n = varintLength(b)
	case storedFloat:
		switch {
		case first == 0xff:
			n = 5
		case first&0x80 == 0:
			n = 4
		}
	case storedLong:
		if first&0x20 != 0 {
			n = 1 + varintLength(b[1:])
		}
	case storedDouble:
		switch {
		case first == 0xff:
			n = 9
		case first == 0xfe:
			n = 5
		case first&0x80 == 0:
			n = 8
		}
	default:
		return 0, corruptf("a value of type %d", kind)
	}
	if n > len(b) {
		return 0, corruptf("ends in the middle")
	}
	return n, nil
}

func varintLength(b []byte) int {
	for i, c := range b {
		if c < 0x80 {
			return i + 1
		}
	}
	return len(b) + 1
}

// AppendID appends the id that the bytes of an _id field stand for (org.elasticsearch.index.mapper.Uid):
//
//	0xFF bytes          the bytes, UTF-8
//	0xFE digits         two decimal digits a byte, the higher half first; 15 ends an odd number of them
//	0xFD bytes          like the next, for bytes that begin with 0xFD or higher
//	bytes               the base64url form of the bytes, without padding
func AppendID(dst, id []byte) ([]byte, error) {
	if len(id) == 0 {
		return dst, corruptf("an empty _id")
	}
	switch id[0] {
	case 0xff:
		if !utf8.Valid(id[1:]) {
			return dst, corruptf("_id %x is not UTF-8", id)
		}
		return append(dst, id[1:]...), nil
	case 0xfe:
		for i, c := range id[1:] {
			hi, lo := c>>4, c&15
			if hi > 9 || lo > 9 && (lo != 15 || i != len(id)-2) {
				return dst, corruptf("_id %x is not decimal", id)
			}
			dst = append(dst, '0'+hi)
			if lo != 15 {
				dst = append(dst, '0'+lo)
			}
		}
		return dst, nil
	case 0xfd:
		id = id[1:]
	}
	return base64.RawURLEncoding.AppendEncode(dst, id), nil
}
