package lucene

import "fmt"

// A FieldInfo is a field of a segment.
type FieldInfo struct {
	Name         string
	Number       int
	Index        IndexOptions
	NoNorms      bool // norms are omitted
	DocValues    byte // docValuesNone, …
	SkipIndex    byte // of doc values; 0: none
	DocValuesGen int64
	SoftDeletes  bool // the soft-deletes field
	Points       int  // dimensions; 0: none
	Vectors      int  // dimensions; 0: none
	Attributes   map[string]string
}

// IndexOptions says what a field's terms are indexed with (org.apache.lucene.index.IndexOptions).
type IndexOptions byte

// Index options; each has what those before it have.
const (
	NotIndexed IndexOptions = iota
	IndexedDocs
	IndexedFreqs
	IndexedPositions
	IndexedOffsets
)

// Types of doc values, as field infos name them.
const (
	docValuesNone = iota
	docValuesNumeric
	docValuesBinary
	docValuesSorted
	docValuesSortedSet
	docValuesSortedNumeric
)

// FieldInfos are the fields of a segment.
type FieldInfos struct {
	Format   string
	Fields   []FieldInfo
	byNumber map[int]int
	byName   map[string]int
}

// Number gives the number of the field called name, or -1.
func (fi *FieldInfos) Number(name string) int {
	if i, ok := fi.byName[name]; ok {
		return fi.Fields[i].Number
	}
	return -1
}

func (fi *FieldInfos) field(number int) *FieldInfo {
	if i, ok := fi.byNumber[number]; ok {
		return &fi.Fields[i]
	}
	return nil
}

// readFieldInfos decodes a .fnm file. Layout (Lucene50FieldInfosFormat, Lucene60…, and little-endian
// Lucene90…, Lucene94…):
//
//	index header; vInt n × {
//	  string name; vInt number; byte bits (2: norms omitted, 8: soft-deletes field); byte index options; byte doc-values type
//	  [94 ≥v2: byte skip index]; long doc-values generation; map attributes
//	  [≥60: vInt point dimensions, if not 0: [60 ≥v2, 90, 94: vInt index dimensions] vInt bytes]
//	  [90: vInt vector dimension, byte similarity]; [94: vInt vector dimension, byte encoding, byte similarity]
//	}; footer
func readFieldInfos(dir Directory, file string, id ID) (*FieldInfos, error) {
	in, h, err := readSmall(dir, file)
	if err != nil {
		return nil, err
	}
	fi, err := in.fieldInfos(h, id)
	if err != nil {
		return nil, fileError(file, err)
	}
	return fi, nil
}

func (in *input) fieldInfos(h Header, id ID) (*FieldInfos, error) {
	var lo, hi int32
	switch h.Codec {
	case "Lucene50FieldInfos":
		lo, hi = 1, 1
	case "Lucene60FieldInfos":
		hi = 2
	case "Lucene90FieldInfos":
		in.le, hi = true, 1
	case "Lucene94FieldInfos":
		in.le, hi = true, 2
	default:
		return nil, unsupportedf("field infos format %q", h.Codec)
	}
	if err := h.check(h.Codec, lo, hi, id); err != nil {
		return nil, err
	}
	points := h.Codec != "Lucene50FieldInfos"
	indexDimensions := in.le || h.Version >= 2
	n := in.count(10)
	fi := &FieldInfos{
		Format:   fmt.Sprintf("%s/%d", h.Codec, h.Version),
		Fields:   make([]FieldInfo, 0, n),
		byNumber: make(map[int]int, n),
		byName:   make(map[string]int, n),
	}
	for range n {
		f := FieldInfo{Name: in.string(), Number: in.vint()}
		bits := in.byte()
		f.NoNorms, f.SoftDeletes = bits&2 != 0, bits&8 != 0
		f.Index = IndexOptions(in.byte())
		f.DocValues = in.byte()
		if h.Codec == "Lucene94FieldInfos" && h.Version >= 2 {
			f.SkipIndex = in.byte()
		}
		f.DocValuesGen = in.i64()
		f.Attributes = in.stringMap()
		if points {
			f.Points = in.vint()
		}
		if f.Points != 0 {
			if indexDimensions {
				in.vint()
			}
			in.vint()
		}
		switch h.Codec {
		case "Lucene90FieldInfos":
			f.Vectors = in.vint()
			in.byte()
		case "Lucene94FieldInfos":
			f.Vectors = in.vint()
			in.take(2)
		}
		if in.err != nil {
			return nil, in.err
		}
		if f.DocValues > docValuesSortedNumeric {
			return nil, corruptf("field %q has doc values of type %d", f.Name, f.DocValues)
		}
		if f.Index > IndexedOffsets {
			return nil, corruptf("field %q has index options %d", f.Name, f.Index)
		}
		_, sameName := fi.byName[f.Name]
		_, sameNumber := fi.byNumber[f.Number]
		if sameName || sameNumber {
			return nil, corruptf("field %q (number %d) is there twice", f.Name, f.Number)
		}
		fi.byName[f.Name], fi.byNumber[f.Number] = len(fi.Fields), len(fi.Fields)
		fi.Fields = append(fi.Fields, f)
	}
	if in.err == nil && in.left() > 0 {
		in.fail(corruptf("%d bytes more than expected", in.left()))
	}
	return fi, in.err
}
