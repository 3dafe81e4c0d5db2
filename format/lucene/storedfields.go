package lucene

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// StoredFields is a segment's .fdt file: the documents themselves, compressed in chunks.
//
// It is known by the codec name in its own header, whatever codec wraps it:
//
//	codec name                   version  data                  ints        chunk size in   written by
//	Lucene50StoredFieldsFast…    1, 2     LZ4                   packed      .fdt            ES 5 to 7.9
//	Lucene50StoredFieldsHigh…    1, 2     DEFLATE               packed      .fdt            ES 5 to 7.9
//	Lucene50…, Lucene87…Fast…    3, 4     LZ4, dictionary (87)  packed      .fdm            ES 7.10 on, OpenSearch 1
//	Lucene50…, Lucene87…High…    3, 4     DEFLATE, dictionary   packed      .fdm            ES 7.10 on, OpenSearch 1
//	Lucene90StoredFieldsFast…    1        LZ4, dictionary       interleaved .fdm            ES 8, OpenSearch 2 and 3
//	Lucene90StoredFieldsHigh…    1        DEFLATE, dictionary   interleaved .fdm            ES 8, OpenSearch 2 and 3
//	ZstdStoredFields814          1        zstd                  interleaved .fdm            ES 8.16 on
//	CustomStoredFieldsZstd       1        zstd, dictionary      interleaved .fdm            OpenSearch 2.9 on
//	CustomStoredFieldsZstdNoDict 1        zstd in blocks        interleaved .fdm            OpenSearch 2.9 on
//
// Layout (Lucene50StoredFieldsFormat, Lucene90…; CompressingStoredFieldsWriter):
//
//	index header; [version <3: vInt chunk size, vInt version of packed ints]
//	chunks, each:
//	  vInt first document; vInt t: bit 0 sliced, then [interleaved, or version 4: bit 1 dirty] documents
//	  one document: vInt fields, vInt length; more: ints fields, ints lengths
//	  data; sliced: of as many bytes as a chunk may have at a time, one after the other
//	[version <3: vLong chunks, vLong dirty chunks]; footer
type StoredFields struct {
	Codec   string // name of the format in the file's header
	Version int32

	seg       *Segment
	name      string
	file      File
	start     int64 // of the first chunk
	end       int64 // of the chunks, where the trailer or the footer begins
	chunkSize int   // length of a slice of a sliced chunk, before compression
	trailer   bool  // two vLongs before the footer
	packed    bool  // ints are packed, not interleaved
	shift     uint  // of the count of documents in a chunk's token
	newData   func() decompressor
	fields    wanted
	held      []byte // the whole file, if it is small and was checked
}

// maxChunk bounds what a chunk that is not sliced, and a slice, may hold. Lucene's own are below 1.2 MB.
const maxChunk = 64 << 20

// dataFormats are the known formats by the name in a file's header.
var dataFormats = map[string]struct {
	packed  bool
	lo, hi  int32
	newData func() decompressor
}{
	"Lucene50StoredFieldsFastData": {true, 1, 4, func() decompressor { return lz4Plain{} }},
	"Lucene50StoredFieldsHighData": {true, 1, 4, func() decompressor { return new(deflate) }},
	"Lucene87StoredFieldsFastData": {true, 3, 4, func() decompressor { return new(lz4Dict) }},
	"Lucene87StoredFieldsHighData": {true, 3, 4, func() decompressor { return new(deflateDict) }},
	"Lucene90StoredFieldsFastData": {false, 1, 1, func() decompressor { return new(lz4Dict) }},
	"Lucene90StoredFieldsHighData": {false, 1, 1, func() decompressor { return new(deflateDict) }},
	"ZstdStoredFields814":          {false, 1, 1, func() decompressor { return new(zstdOne) }},
	"CustomStoredFieldsZstd":       {false, 1, 1, func() decompressor { return new(zstdDict) }},
	"CustomStoredFieldsZstdNoDict": {false, 1, 1, func() decompressor { return new(zstdBlocks) }},
}

// OpenStoredFields opens the segment's .fdt file. It reads its header and its .fdm file, not the documents.
func (s *Segment) OpenStoredFields() (*StoredFields, error) {
	f, name, err := s.open(".fdt")
	if err != nil {
		return nil, err
	}
	sf, err := s.openStoredFields(f, name)
	return sf, fileError(name, err)
}

func (s *Segment) openStoredFields(f File, name string) (*StoredFields, error) {
	head := make([]byte, min(f.Size(), 512))
	if err := readFull(f, 0, head); err != nil {
		return nil, err
	}
	in := input{b: head}
	h := in.indexHeader()
	if in.err != nil {
		return nil, in.err
	}
	format, ok := dataFormats[h.Codec]
	if !ok {
		return nil, unsupportedf("stored fields format %q (codec %s)", h.Codec, s.Codec)
	}
	if err := h.check(h.Codec, format.lo, format.hi, s.ID); err != nil {
		return nil, err
	}
	sf := &StoredFields{
		Codec: h.Codec, Version: h.Version,
		seg: s, name: name, file: f, packed: format.packed, shift: 1, newData: format.newData, fields: wantedFields(s.Fields),
	}
	if !format.packed || h.Version >= 4 {
		sf.shift = 2
	}
	if format.packed && h.Version < 3 {
		sf.chunkSize = in.vint()
		in.vint()
		sf.trailer = true
	} else {
		meta, mh, err := readSmall(s.files, s.Name+".fdm")
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(mh.Codec, "FieldsIndexMeta") {
			return nil, fileError(s.Name+".fdm", unsupportedf("fields index format %q", mh.Codec))
		}
		if err := mh.checkID(s.ID); err != nil {
			return nil, fileError(s.Name+".fdm", err)
		}
		sf.chunkSize = meta.vint()
		if meta.err != nil {
			return nil, fileError(s.Name+".fdm", meta.err)
		}
	}
	if in.err != nil {
		return nil, in.err
	}
	sf.start, sf.end = int64(in.p), f.Size()-footerLength
	if sf.chunkSize < 1 || sf.chunkSize > maxChunk || sf.end < sf.start {
		return nil, corruptf("chunks of %d bytes, from %d to %d", sf.chunkSize, sf.start, sf.end)
	}
	return sf, nil
}

// Size is the length of the .fdt file in bytes.
func (sf *StoredFields) Size() int64 { return sf.file.Size() }

// Name is the name of the file.
func (sf *StoredFields) Name() string { return sf.name }

// heldFile is how large a file may be to be read once and kept, instead of once for its checksum and once for its
// documents.
const heldFile = 8 << 20

// Check checks the file's checksum, by the segment's Checker unless it is small. Do so before giving documents away: no
// other checksum stands between a flipped bit and a wrong document. Scans that begin later read what was checked.
func (sf *StoredFields) Check() error {
	if sf.file.Size() > heldFile {
		return sf.seg.checker.Check(sf.name, sf.file)
	}
	b := make([]byte, sf.file.Size())
	if err := readFull(sf.file, 0, b); err != nil {
		return fileError(sf.name, err)
	}
	if _, err := CheckBytes(b); err != nil {
		return fileError(sf.name, err)
	}
	sf.held = b
	return nil
}

// A ChunkAt is where a chunk begins. Scans start and stop at chunks.
type ChunkAt struct {
	Doc    int   // its first document
	Offset int64 // in the file
}

// First is where the first chunk begins.
func (sf *StoredFields) First() ChunkAt { return ChunkAt{0, sf.start} }

// A Chunk is a run of documents, decompressed. It is valid until the next call of Scanner.Next, but for its
// data, which the caller gave.
type Chunk struct {
	Doc  int     // number of the first document
	Next ChunkAt // the chunk after it

	data    []byte
	fields  []int32 // stored fields of each document
	offsets []int32 // of each document in data; one more than documents
}

// Len is how many documents there are.
func (c *Chunk) Len() int { return len(c.fields) }

// A Scanner reads chunks in order. It is not safe for concurrent use.
type Scanner struct {
	sf    *StoredFields
	chunk Chunk
	toDoc int
	in    window
	data  decompressor
}

// Scan reads from a chunk on, up to the document to, which must begin a chunk or be the segment's MaxDoc.
// window is how many bytes are read at a time.
func (sf *StoredFields) Scan(from ChunkAt, to int, windowBytes int) (*Scanner, error) {
	if from.Doc < 0 || from.Doc > to || to > sf.seg.Info.MaxDoc || from.Offset < sf.start || from.Offset > sf.end {
		return nil, fileError(sf.name, corruptf("no chunk begins with document %d at %d", from.Doc, from.Offset))
	}
	sc := &Scanner{sf: sf, toDoc: to, data: sf.newData()}
	sc.chunk.Next = from
	sc.in = window{f: sf.file, off: from.Offset, end: sf.end, size: windowBytes}
	if sf.held != nil {
		sc.in.off, sc.in.buf = sf.end, sf.held[from.Offset:sf.end]
	}
	return sc, nil
}

// Next reads and decompresses the next chunk. alloc gives memory for its data. io.EOF: the scan is at its end.
func (sc *Scanner) Next(alloc func(n int) []byte) (*Chunk, error) {
	if sc.chunk.Next.Doc >= sc.toDoc {
		if err := sc.atEnd(); err != nil {
			return nil, sc.error(err)
		}
		return nil, io.EOF
	}
	if err := sc.next(alloc); err != nil {
		return nil, sc.error(err)
	}
	return &sc.chunk, nil
}

func (sc *Scanner) error(err error) error {
	return fileError(sc.sf.name, fmt.Errorf("chunk of document %d at %d: %w", sc.chunk.Next.Doc, sc.chunk.Next.Offset, err))
}

// atEnd checks that the chunks end where the documents do.
func (sc *Scanner) atEnd() error {
	at := sc.chunk.Next
	if at.Doc > sc.toDoc {
		return corruptf("goes on to document %d, not %d", at.Doc, sc.toDoc)
	}
	if at.Doc != sc.sf.seg.Info.MaxDoc {
		return nil
	}
	if sc.sf.trailer {
		rest, err := sc.in.peek(min(20, int(sc.sf.end-at.Offset)))
		if err != nil {
			return err
		}
		in := input{b: rest}
		in.vlong()
		in.vlong()
		if in.err != nil {
			return in.err
		}
		at.Offset += int64(in.p)
	}
	if at.Offset != sc.sf.end {
		return corruptf("the last chunk ends at %d, not %d", at.Offset, sc.sf.end)
	}
	return nil
}

func (sc *Scanner) next(alloc func(n int) []byte) error {
	at := sc.chunk.Next
	took, total, sliced, err := sc.head(at)
	if err != nil {
		return err
	}
	sc.in.skip(took)
	offset := at.Offset + int64(took)

	chunkSize := sc.sf.chunkSize
	switch {
	case !sliced && total > maxChunk:
		return corruptf("%d bytes in a chunk that is not sliced", total)
	case !sliced:
		sc.chunk.data = alloc(total)
		if took, err = sc.decode(sc.chunk.data, total); err != nil {
			return err
		}
		offset += int64(took)
	case total <= maxChunk:
		sc.chunk.data = alloc(total)
		for done := 0; done < total; done += chunkSize {
			if took, err = sc.decode(sc.chunk.data[done:], min(chunkSize, total-done)); err != nil {
				return err
			}
			offset += int64(took)
		}
	default:
		// A giant document. Its length is believed only as far as bytes come for it.
		data := make([]byte, 0, maxChunk)
		for len(data) < total {
			n := min(chunkSize, total-len(data))
			if cap(data)-len(data) < n {
				grown := make([]byte, len(data), min(2*cap(data), total))
				copy(grown, data)
				data = grown
			}
			if took, err = sc.decode(data[len(data):len(data)+n], n); err != nil {
				return err
			}
			data = data[:len(data)+n]
			offset += int64(took)
		}
		sc.chunk.data = alloc(total)
		copy(sc.chunk.data, data)
	}
	sc.chunk.Doc = at.Doc
	sc.chunk.Next = ChunkAt{at.Doc + len(sc.chunk.fields), offset}
	return nil
}

// decode decodes n bytes of data at the window's place, asking for more input until it is enough.
func (sc *Scanner) decode(dst []byte, n int) (int, error) {
	for want := lookahead; ; want *= 2 {
		src, err := sc.in.peek(want)
		if err != nil {
			return 0, err
		}
		took, err := sc.data.decode(dst, n, src)
		if errors.Is(err, errShort) {
			if len(src) < want {
				return 0, corruptf("the file ends in the middle of its data")
			}
			continue
		}
		if err == nil {
			sc.in.skip(took)
		}
		return took, err
	}
}

// head reads the part of a chunk before its data into sc.chunk: how long it is, and the data's length.
func (sc *Scanner) head(at ChunkAt) (took, total int, sliced bool, err error) {
	for want := lookahead; ; want *= 2 {
		src, err := sc.in.peek(want)
		if err != nil {
			return 0, 0, false, err
		}
		took, total, sliced, err = sc.parseHead(at, src)
		if errors.Is(err, errShort) && len(src) == want {
			continue
		}
		if errors.Is(err, errShort) {
			err = corruptf("the file ends in the middle of a chunk's head")
		}
		return took, total, sliced, err
	}
}

func (sc *Scanner) parseHead(at ChunkAt, src []byte) (took, total int, sliced bool, err error) {
	doc, p, err := uvarint(src, 0)
	if err != nil {
		return 0, 0, false, err
	}
	token, p, err := uvarint(src, p)
	if err != nil {
		return 0, 0, false, err
	}
	n := token >> sc.sf.shift
	if doc != at.Doc || n == 0 || n > sc.sf.seg.Info.MaxDoc-doc {
		return 0, 0, false, corruptf("a chunk of %d documents from %d on, of %d", n, doc, sc.sf.seg.Info.MaxDoc)
	}
	c := &sc.chunk
	c.fields = grow(c.fields, n)
	c.offsets = grow(c.offsets, n+1)
	switch {
	case n == 1:
		var v int
		if v, p, err = uvarint(src, p); err != nil {
			return 0, 0, false, err
		}
		c.fields[0] = int32(v)
		if v, p, err = uvarint(src, p); err != nil {
			return 0, 0, false, err
		}
		c.offsets[1] = int32(v)
	case sc.sf.packed:
		if p, err = packedInts(c.fields, src, p); err == nil {
			p, err = packedInts(c.offsets[1:], src, p)
		}
	default:
		if p, err = interleavedInts(c.fields, src, p); err == nil {
			p, err = interleavedInts(c.offsets[1:], src, p)
		}
	}
	if err != nil {
		return 0, 0, false, err
	}
	c.offsets[0] = 0
	for i, fields := range c.fields {
		length := int(c.offsets[i+1])
		if fields < 0 || length < 0 || (fields == 0) != (length == 0) || int(fields) > length {
			return 0, 0, false, corruptf("document %d has %d fields in %d bytes", doc+i, fields, length)
		}
		if total += length; total > 1<<31-1-maxChunk {
			return 0, 0, false, corruptf("more than %d bytes in a chunk", total)
		}
		c.offsets[i+1] = int32(total)
	}
	return p, total, token&1 != 0, nil
}

func grow(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n, max(n, 2*cap(s)))
	}
	return s[:n]
}

// packedInts reads what CompressingStoredFieldsWriter.saveInts wrote: vInt bits; 0: a vInt that all are equal
// to; else each in so many bits, big-endian without gaps, to a full byte (PackedInts.Format.PACKED).
func packedInts(dst []int32, src []byte, p int) (int, error) {
	bits, p, err := uvarint(src, p)
	if err != nil {
		return 0, err
	}
	if bits == 0 {
		v, p, err := uvarint(src, p)
		for i := range dst {
			dst[i] = int32(v)
		}
		return p, err
	}
	if bits > 31 {
		return 0, corruptf("packed integers of %d bits", bits)
	}
	end := p + (len(dst)*bits+7)/8
	if end > len(src) {
		return 0, errShort
	}
	var have int
	var acc uint64
	for i := range dst {
		for have < bits {
			acc = acc<<8 | uint64(src[p])
			p++
			have += 8
		}
		have -= bits
		dst[i] = int32(acc >> have & (1<<bits - 1))
	}
	return end, nil
}

// interleavedInts reads what org.apache.lucene.codecs.lucene90.compressing.StoredFieldsInts wrote: byte bits;
// 0: a vInt that all are equal to; 8, 16, 32: blocks of 128 values in little-endian longs, where value k of a
// block stands in long k mod n (n = 16, 32, 64 longs) in lane ⌊k/n⌋ from the top; the rest one by one.
func interleavedInts(dst []int32, src []byte, p int) (int, error) {
	if p >= len(src) {
		return 0, errShort
	}
	bits := int(src[p])
	p++
	if bits == 0 {
		v, p, err := uvarint(src, p)
		for i := range dst {
			dst[i] = int32(v)
		}
		return p, err
	}
	if bits != 8 && bits != 16 && bits != 32 {
		return 0, corruptf("interleaved integers of %d bits", bits)
	}
	width := bits / 8
	if len(dst)*width > len(src)-p {
		return 0, errShort
	}
	for ; len(dst) >= 128; dst = dst[128:] {
		longs := 128 * width / 8
		for i := range longs {
			for lane := range 8 / width {
				// Lane 0 is the highest part of a little-endian long: its last bytes.
				dst[lane*longs+i] = littleEndian(src[p+8*i+8-(lane+1)*width:], width)
			}
		}
		p += 128 * width
	}
	for i := range dst {
		dst[i] = littleEndian(src[p:], width)
		p += width
	}
	return p, nil
}

func littleEndian(b []byte, width int) int32 {
	switch width {
	case 1:
		return int32(b[0])
	case 2:
		return int32(b[0]) | int32(b[1])<<8
	}
	return int32(b[0]) | int32(b[1])<<8 | int32(b[2])<<16 | int32(b[3])<<24
}
