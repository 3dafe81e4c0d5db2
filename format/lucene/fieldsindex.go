package lucene

import (
	"math"
	"strings"
)

// Split gives where to cut the file into pieces of about pieceBytes each: the first chunk of each piece. It
// reads the index beside the documents (.fdx, .fdm).
func (sf *StoredFields) Split(pieceBytes int64) ([]ChunkAt, error) {
	cuts := []ChunkAt{sf.First()}
	if sf.end-sf.start <= pieceBytes {
		return cuts, nil
	}
	index, err := sf.readIndex()
	if err != nil {
		return nil, err
	}
	maxDoc := int64(sf.seg.Info.MaxDoc)
	last := ChunkAt{-1, -1}
	for at := range index {
		if at.Doc <= last.Doc || at.Offset <= last.Offset || int64(at.Doc) >= maxDoc || at.Offset >= sf.end ||
			last.Doc < 0 && at != sf.First() {
			return nil, fileError(sf.seg.Name+".fdx", corruptf("chunk of document %d at %d after that of %d at %d", at.Doc, at.Offset, last.Doc, last.Offset))
		}
		last = at
		if at.Offset-cuts[len(cuts)-1].Offset >= pieceBytes {
			cuts = append(cuts, at)
		}
	}
	return cuts, nil
}

// chunks yields where the chunks begin, in order.
type chunks func(yield func(ChunkAt) bool)

func (sf *StoredFields) readIndex() (chunks, error) {
	s := sf.seg
	name := s.Name + ".fdx"
	in, h, err := readSmall(s.files, name)
	if err != nil {
		return nil, err
	}
	if err := h.checkID(s.ID); err != nil {
		return nil, fileError(name, err)
	}
	var index chunks
	switch {
	case sf.packed && sf.Version < 2:
		index, err = in.blockIndex()
	default:
		if !strings.HasSuffix(h.Codec, "FieldsIndexIdx") {
			return nil, fileError(name, unsupportedf("fields index format %q", h.Codec))
		}
		in.le = !sf.packed
		meta, _, merr := readSmall(s.files, s.Name+".fdm")
		if merr != nil {
			return nil, merr
		}
		meta.le = in.le
		if !(sf.packed && sf.Version < 3) {
			meta.vint() // chunk size
			if sf.packed {
				meta.vint()
			}
		}
		index, err = monotonicIndex(&meta, &in)
	}
	if err != nil {
		return nil, fileError(name, err)
	}
	return index, nil
}

// blockIndex decodes the .fdx file of stored fields version 1 (CompressingStoredFieldsIndexWriter):
//
//	vInt version of packed ints; blocks: vInt chunks (0: end)
//	  vInt first document; vInt average documents; vInt bits; packed deltas
//	  vLong first offset; vLong average bytes; vInt bits; packed deltas
//
// A chunk's document is first + average·i + unzigzag(delta i); offsets likewise.
func (in *input) blockIndex() (chunks, error) {
	in.vint()
	var all []ChunkAt
	for in.err == nil {
		n := in.vint()
		if n == 0 {
			break
		}
		if n > 1<<16 { // the writer's blocks have 1024 chunks
			return nil, corruptf("a block of %d chunks", n)
		}
		start := len(all)
		all = append(all, make([]ChunkAt, n)...)
		doc, average := int64(in.vint()), int64(in.vint())
		in.packedLongs(n, func(i int, delta int64) { all[start+i].Doc = int(doc + average*int64(i) + delta) })
		offset, average := in.vlong(), in.vlong()
		in.packedLongs(n, func(i int, delta int64) { all[start+i].Offset = offset + average*int64(i) + delta })
	}
	if in.err != nil {
		return nil, in.err
	}
	return func(yield func(ChunkAt) bool) {
		for _, at := range all {
			if !yield(at) {
				return
			}
		}
	}, nil
}

// packedLongs reads vInt bits and n values of so many bits each, zigzag-encoded.
func (in *input) packedLongs(n int, yield func(i int, v int64)) {
	bits := in.vint()
	if bits > 64 {
		in.fail(corruptf("packed integers of %d bits", bits))
		return
	}
	p := in.take((n*bits + 7) / 8)
	if in.err != nil {
		return
	}
	for i := range n {
		yield(i, zigzag(bitsAt(p, i*bits, bits, false)))
	}
}

// bitsAt reads bits at a bit offset: big-endian without gaps, or little-endian without gaps.
func bitsAt(p []byte, at, bits int, le bool) uint64 {
	var v uint64
	for i := range bits {
		b := p[(at+i)>>3]
		if le {
			v |= uint64(b>>((at+i)&7)&1) << i
		} else {
			v = v<<1 | uint64(b>>(7-(at+i)&7)&1)
		}
	}
	return v
}

// monotonicIndex decodes the index of stored fields from version 2 on (FieldsIndexWriter): out of the .fdm file,
// after what comes first in it,
//
//	int maxDoc; int block shift; int chunks+1; long offset of documents in .fdx; monotonic meta
//	long offset of offsets; monotonic meta; long their end; long end of the chunks
//
// where monotonic meta (org.apache.lucene.util.packed.DirectMonotonicReader) are, for each block of 2^shift
// values, long minimum, float average increase, long offset in .fdx, byte bits; a value is minimum + average·i +
// the i-th of so many bits there.
func monotonicIndex(meta, data *input) (chunks, error) {
	meta.i32()
	shift := int(meta.i32())
	n := int(meta.i32())
	if meta.err != nil {
		return nil, meta.err
	}
	if shift < 2 || shift > 22 || n < 1 || n > 21*len(data.b)+1<<22 {
		return nil, corruptf("%d chunks in blocks of 2^%d", n, shift)
	}
	docs := monotonic{shift: shift}
	docs.start = meta.i64()
	docs.read(meta, n)
	offsets := monotonic{shift: shift}
	offsets.start = meta.i64()
	offsets.read(meta, n)
	meta.i64()
	meta.i64()
	if meta.err != nil {
		return nil, meta.err
	}
	if err := docs.check(data, n); err != nil {
		return nil, err
	}
	if err := offsets.check(data, n); err != nil {
		return nil, err
	}
	return func(yield func(ChunkAt) bool) {
		for i := range n - 1 { // the last is the end
			if !yield(ChunkAt{int(docs.at(data, i)), offsets.at(data, i)}) {
				return
			}
		}
	}, nil
}

type monotonic struct {
	start  int64
	shift  int
	blocks []monotonicBlock
}

type monotonicBlock struct {
	min     int64
	average float32
	offset  int64
	bits    int
}

func (m *monotonic) read(meta *input, n int) {
	blocks := (n + 1<<m.shift - 1) >> m.shift
	if blocks > meta.left()/21 {
		meta.fail(corruptf("%d blocks of chunks, %d bytes left", blocks, meta.left()))
		return
	}
	for range blocks {
		m.blocks = append(m.blocks, monotonicBlock{
			meta.i64(), math.Float32frombits(uint32(meta.i32())), meta.i64(), int(meta.byte()),
		})
	}
}

// check makes at safe: all blocks are inside of the data.
func (m *monotonic) check(data *input, n int) error {
	size := int64(len(data.b))
	for i, b := range m.blocks {
		values := int64(min(n-i<<m.shift, 1<<m.shift))
		bytes := (values*int64(b.bits) + 7) / 8
		if b.bits > 64 || m.start < 0 || m.start > size || b.offset < 0 || b.offset > size || m.start+b.offset+bytes > size {
			return corruptf("block of %d values of %d bits at %d+%d, of %d bytes", values, b.bits, m.start, b.offset, size)
		}
	}
	return nil
}

func (m *monotonic) at(data *input, i int) int64 {
	b := &m.blocks[i>>m.shift]
	k := i & (1<<m.shift - 1)
	v := b.min + int64(b.average*float32(k))
	return v + int64(bitsAt(data.b[m.start+b.offset:], k*b.bits, b.bits, data.le))
}
