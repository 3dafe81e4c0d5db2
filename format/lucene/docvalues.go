package lucene

import (
	"errors"
	"slices"
	"strings"
)

// docsWithValue yields the documents that have a value in a numeric doc-values field, in blocks of 65536.
// An update (DocValuesGen ≠ -1) replaces the whole column and stands outside of a compound file.
func (s *Segment) docsWithValue(field *FieldInfo, yield func(block int, docs *[1024]uint64)) error {
	if field.DocValues != docValuesNumeric {
		return fileError(s.Name, corruptf("field %s has doc values of type %d, not numbers", field.Name, field.DocValues))
	}
	var meta, data string
	dir := s.files
	if field.DocValuesGen != -1 {
		dir = s.dir
		for _, f := range s.DocValues[field.Number] {
			switch {
			case strings.HasSuffix(f, ".dvm"):
				meta = f
			case strings.HasSuffix(f, ".dvd"):
				data = f
			}
		}
		if meta == "" || data == "" {
			return fileError(s.Name, corruptf("the commit names no doc-values files for field %s", field.Name))
		}
	} else {
		base := s.Name
		if format := field.Attributes["PerFieldDocValuesFormat.format"]; format != "" {
			base += "_" + format + "_" + field.Attributes["PerFieldDocValuesFormat.suffix"]
		}
		meta, data = base+".dvm", base+".dvd"
	}
	in, h, err := readSmall(dir, meta)
	if err != nil {
		return err
	}
	column, err := in.numericColumn(h, s.Fields, field.Number, s.ID)
	if err != nil {
		return fileError(meta, err)
	}
	switch column.off {
	case -2: // no document
		return nil
	case -1: // every document
		for block := 0; block<<16 < s.Info.MaxDoc; block++ {
			var docs [1024]uint64
			for d := range min(65536, s.Info.MaxDoc-block<<16) {
				docs[d>>6] |= 1 << (d & 63)
			}
			yield(block, &docs)
		}
		return nil
	}
	f, err := dir.Open(data)
	if err != nil {
		return fileError(data, err)
	}
	if err := s.checker.Check(data, f); err != nil {
		return err
	}
	if column.off < 0 || column.n < 0 || column.off > f.Size() || column.n > f.Size()-column.off {
		return fileError(meta, corruptf("documents at %d, %d bytes, are outside of the %d bytes of %s", column.off, column.n, f.Size(), data))
	}
	return fileError(data, indexedDISI(f, column.off, column.n, in.le, column.rankPower, s.Info.MaxDoc, yield))
}

// column says where the documents of a column stand in the .dvd file.
type column struct {
	off, n    int64
	rankPower int8
}

// numericColumn finds a column in a .dvm file. Layout (Lucene70DocValuesFormat and Lucene80…, big-endian;
// Lucene90…, little-endian; the class DocValuesProducer beside each):
//
//	index header; { int field (-1: end); byte type; [field has a skip index: 40 bytes, from 90 version 2 on 44]; entry }; footer
//	numeric:        docs; long values; int t, t>0: long×t; byte bits; long min, gcd, offset, length; [≥80: long]
//	binary:         long offset, length; docs; int docs, min, max; [min<max: addresses(docs+1)]
//	sorted:         70, 80: docs; int docs; byte bits; long offset, length; terms — 90: numeric; terms
//	sorted set:     byte 0: sorted — 1: 70, 80: docs; byte bits; long offset, length; int docs;
//	                addresses(docs+1); terms — 90: sorted numeric; terms
//	sorted numeric: numeric; int docs; [docs ≠ values: addresses(docs+1)]
//	docs:           long offset (-2: none, -1: all), length; [≥80: short jumps, byte rank power]
//	addresses(n):   long offset; vInt shift; monotonic(n, shift); long length
//	monotonic(n,s): ⌈n/2^s⌉ × 21 bytes
//	terms:          vLong size; [70, 80: int block shift]; int shift; monotonic; int; [compressed: int]; long×4;
//	                int index shift; monotonic; long×4
func (in *input) numericColumn(h Header, fields *FieldInfos, number int, id ID) (column, error) {
	d := docValuesMeta{input: in, fields: fields, version: h.Version}
	hi := int32(0)
	switch h.Codec {
	case "Lucene70DocValuesMetadata":
		d.format = 70
	case "Lucene80DocValuesMetadata":
		d.format, hi = 80, 2
	case "Lucene90DocValuesMetadata":
		d.format, in.le, hi = 90, true, 2
	default:
		return column{}, unsupportedf("doc values format %q", h.Codec)
	}
	if err := h.check(h.Codec, 0, hi, id); err != nil {
		return column{}, err
	}
	for in.err == nil {
		n := int(in.i32())
		if n == -1 {
			return column{}, corruptf("field %d has no doc values here", number)
		}
		f := fields.field(n)
		if f == nil && in.err == nil {
			return column{}, corruptf("doc values of field %d, which does not exist", n)
		}
		kind := in.byte()
		if in.err == nil && f.SkipIndex != 0 {
			in.take(40)
			if d.format >= 90 && h.Version >= 2 {
				in.take(4)
			}
		}
		if in.err == nil && n == number && kind == 0 {
			c := d.docs()
			return c, in.err
		}
		d.entry(kind, f)
	}
	return column{}, in.err
}

type docValuesMeta struct {
	*input
	fields  *FieldInfos
	format  int // 70, 80, 90
	version int32
}

func (d *docValuesMeta) docs() column {
	c := column{off: d.i64(), n: d.i64(), rankPower: -1}
	if d.format >= 80 {
		d.u16()
		c.rankPower = int8(d.byte())
	}
	return c
}

func (d *docValuesMeta) entry(kind byte, f *FieldInfo) {
	switch kind {
	case 0:
		d.numeric()
	case 1:
		d.binary(f)
	case 2:
		d.sorted()
	case 3:
		switch d.byte() {
		case 0:
			d.sorted()
		case 1:
			if d.format >= 90 {
				d.sortedNumeric()
			} else {
				d.docs()
				d.take(1 + 16)
				d.addresses(int64(d.i32()) + 1)
			}
			d.terms()
		default:
			d.fail(corruptf("sorted set of unknown kind before %d", d.p))
		}
	case 4:
		d.sortedNumeric()
	default:
		d.fail(corruptf("doc values of type %d before %d", kind, d.p))
	}
}

// numeric returns how many values there are.
func (d *docValuesMeta) numeric() int64 {
	d.docs()
	values := d.i64()
	if table := d.i32(); table > 0 {
		if table > 256 {
			d.fail(corruptf("table of %d values before %d", table, d.p))
		}
		d.take(8 * int(table))
	}
	d.take(1 + 4*8)
	if d.format >= 80 {
		d.take(8)
	}
	return values
}

func (d *docValuesMeta) binary(f *FieldInfo) {
	d.take(16)
	d.docs()
	docs, lo, hi := d.i32(), d.i32(), d.i32()
	compressed := false
	if d.format == 80 {
		compressed = d.version == 1 || d.version >= 2 && f != nil && f.Attributes["Lucene80DocValuesFormat.mode"] == "BEST_COMPRESSION"
	}
	switch {
	case compressed && docs > 0:
		d.take(8)
		chunks := d.vint()
		d.vint()
		d.vint()
		d.monotonic(int64(chunks), d.vint())
		d.take(8)
	case lo < hi:
		d.addresses(int64(docs) + 1)
	}
}

func (d *docValuesMeta) sorted() {
	if d.format >= 90 {
		d.numeric()
	} else {
		d.docs()
		d.take(4 + 1 + 16)
	}
	d.terms()
}

func (d *docValuesMeta) sortedNumeric() {
	values := d.numeric()
	if docs := int64(d.i32()); docs != values {
		d.addresses(docs + 1)
	}
}

func (d *docValuesMeta) addresses(n int64) {
	d.take(8)
	d.monotonic(n, d.vint())
	d.take(8)
}

func (d *docValuesMeta) monotonic(n int64, shift int) {
	if shift < 1 || shift > 30 || n < 0 {
		d.fail(corruptf("%d addresses in blocks of 2^%d before %d", n, shift, d.p))
		return
	}
	blocks := (n + 1<<shift - 1) >> shift
	if blocks > int64(d.left()/21) {
		d.fail(corruptf("%d blocks of addresses before %d, %d bytes left", blocks, d.p, d.left()))
		return
	}
	d.take(21 * int(blocks))
}

func (d *docValuesMeta) terms() {
	size := d.vlong()
	blockShift, compressed := 6, true // Lucene90: blocks of 64, always compressed
	if d.format < 90 {
		// TERMS_DICT_BLOCK_LZ4_CODE = TERMS_DICT_BLOCK_LZ4_SHIFT << 16 | 1, with a shift of 6
		code := int(d.i32())
		if compressed = code == 6<<16|1; !compressed {
			blockShift = code
		}
	}
	shift := int(d.i32())
	if d.err != nil || blockShift < 0 || blockShift > 30 || size > 1<<40 {
		d.fail(corruptf("%d terms in blocks of 2^%d before %d", size, blockShift, d.p))
		return
	}
	d.monotonic((size+1<<blockShift-1)>>blockShift, shift)
	d.take(4)
	if compressed {
		d.take(4)
	}
	d.take(4 * 8)
	indexShift := int(d.i32())
	if indexShift < 0 || indexShift > 30 {
		d.fail(corruptf("index of terms in blocks of 2^%d before %d", indexShift, d.p))
		return
	}
	d.monotonic(1+(size+1<<indexShift-1)>>indexShift, shift)
	d.take(4 * 8)
}

// isVerdict reports whether an error is about the file's contents, so that reading it again is no use.
func isVerdict(err error) bool {
	return slices.ContainsFunc([]error{ErrCorrupt, ErrUnsupported}, func(mark error) bool { return errors.Is(err, mark) })
}
