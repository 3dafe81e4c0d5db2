package lucene

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// A decompressor decodes the data of one chunk, or of one slice of a chunk. It is not safe for concurrent use.
type decompressor interface {
	// decode puts n bytes into dst[:n] and returns how much of src it took; errShort: src is too short.
	decode(dst []byte, n int, src []byte) (int, error)
}

// uvarint decodes a vInt at p of src: its value and the place after it, or an error.
func uvarint(src []byte, p int) (int, int, error) {
	v := 0
	for i := range 5 {
		if p+i >= len(src) {
			return 0, 0, errShort
		}
		c := src[p+i]
		v |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			if v > 1<<31-1 {
				break
			}
			return v, p + i + 1, nil
		}
	}
	return 0, 0, corruptf("vInt out of range")
}

// lz4Plain is org.apache.lucene.codecs.compressing.CompressionMode.FAST: one LZ4 block.
type lz4Plain struct{}

func (lz4Plain) decode(dst []byte, n int, src []byte) (int, error) {
	return lz4Decode(dst, 0, 0, n, src)
}

// lz4Dict is LZ4WithPresetDictCompressionMode:
//
//	vInt d; vInt b; vInt compressed length of the dictionary; vInt×⌈(n-d)/b⌉ compressed lengths
//	LZ4 block of the first d bytes, which are the dictionary of all that follow
//	LZ4 blocks of b bytes each
type lz4Dict struct{ lengths []int }

func (z *lz4Dict) decode(dst []byte, n int, src []byte) (int, error) {
	dictLength, blockLength, p, err := presetHeader(n, src)
	if err != nil {
		return 0, err
	}
	z.lengths = z.lengths[:0]
	for total := 0; ; total += blockLength {
		var length int
		if length, p, err = uvarint(src, p); err != nil {
			return 0, err
		}
		z.lengths = append(z.lengths, length)
		if dictLength+total >= n {
			break
		}
	}
	end := p
	for _, length := range z.lengths {
		if length > len(src)-end {
			return 0, errShort
		}
		end += length
	}
	q := end
	return end, presetBlocks(dst, dictLength, blockLength, n, len(z.lengths), func(i, base, start, end int) error {
		if i == 0 {
			return lz4Exact(dst, base, start, end, src[p:p+z.lengths[0]])
		}
		q -= z.lengths[i]
		return lz4Exact(dst, base, start, end, src[q:q+z.lengths[i]])
	})
}

// presetBlocks decodes the dictionary, and then the blocks from the last to the first: each finds the dictionary
// right before it, where the block before it will be.
func presetBlocks(dst []byte, dictLength, blockLength, n, count int, one func(i, base, start, end int) error) error {
	if count > 2 && blockLength < dictLength {
		return corruptf("a dictionary of %d bytes for blocks of %d", dictLength, blockLength)
	}
	if err := one(0, 0, 0, dictLength); err != nil {
		return err
	}
	for i := count - 1; i > 0; i-- {
		start := dictLength + (i-1)*blockLength
		base := start - dictLength
		if i > 1 {
			copy(dst[base:start], dst[:dictLength])
		}
		if err := one(i, base, start, min(n, start+blockLength)); err != nil {
			return err
		}
	}
	return nil
}

// lz4Exact decodes a block that takes all of src.
func lz4Exact(dst []byte, base, start, end int, src []byte) error {
	took, err := lz4Decode(dst, base, start, end, src)
	if errors.Is(err, errShort) || err == nil && took != len(src) {
		return corruptf("LZ4: a block of %d bytes takes %d", len(src), took)
	}
	return err
}

// presetHeader reads what the modes with a preset dictionary begin with.
func presetHeader(n int, src []byte) (dictLength, blockLength, p int, err error) {
	if dictLength, p, err = uvarint(src, 0); err != nil {
		return 0, 0, 0, err
	}
	if blockLength, p, err = uvarint(src, p); err != nil {
		return 0, 0, 0, err
	}
	if dictLength > n || blockLength == 0 && dictLength < n {
		return 0, 0, 0, corruptf("a dictionary of %d and blocks of %d bytes for %d bytes", dictLength, blockLength, n)
	}
	return dictLength, blockLength, p, nil
}

// A block is compressed bytes with their length before them. one decodes a single block into all of dst[:n];
// without bytes there is no output either.
func block(dst []byte, start, end, p int, src []byte, one func(dst, src []byte) error) (int, error) {
	length, p, err := uvarint(src, p)
	if err != nil {
		return 0, err
	}
	if length > len(src)-p {
		return 0, errShort
	}
	if length == 0 {
		if end != start {
			return 0, corruptf("no bytes for a block of %d bytes", end-start)
		}
		return p, nil
	}
	return p + length, one(dst[start:end:end], src[p:p+length])
}

// deflate is CompressionMode.HIGH_COMPRESSION: vInt length, raw DEFLATE stream.
type deflate struct{ inflater }

func (z *deflate) decode(dst []byte, n int, src []byte) (int, error) {
	return block(dst, 0, n, 0, src, func(dst, src []byte) error { return z.inflate(dst, 0, 0, len(dst), src) })
}

// deflateDict is DeflateWithPresetDictCompressionMode: vInt d, vInt b, {vInt length, raw DEFLATE stream} of the
// first d bytes, and then of blocks of b bytes, with those d bytes as their preset dictionary.
type deflateDict struct {
	inflater
	streams []span
}

type span struct{ from, to int }

func (z *deflateDict) decode(dst []byte, n int, src []byte) (int, error) {
	dictLength, blockLength, p, err := presetHeader(n, src)
	if err != nil {
		return 0, err
	}
	z.streams = z.streams[:0]
	for total := dictLength; ; total += blockLength {
		var length int
		if length, p, err = uvarint(src, p); err != nil {
			return 0, err
		}
		if length > len(src)-p {
			return 0, errShort
		}
		z.streams = append(z.streams, span{p, p + length})
		p += length
		if total >= n {
			break
		}
	}
	return p, presetBlocks(dst, dictLength, blockLength, n, len(z.streams), func(i, base, start, end int) error {
		stream := src[z.streams[i].from:z.streams[i].to]
		if len(stream) == 0 && start == end {
			return nil // nothing is written as nothing
		}
		return z.inflate(dst, base, start, end, stream)
	})
}

// zstdOne is org.elasticsearch.index.codec.zstd.Zstd814StoredFieldsFormat: vInt length, a zstd frame; nothing at all for
// empty output, as of a chunk of nested children alone.
type zstdOne struct{ unzstd }

func (z *zstdOne) decode(dst []byte, n int, src []byte) (int, error) {
	if n == 0 {
		return 0, nil
	}
	return block(dst, 0, n, 0, src, z.frame)
}

// zstdBlocks is OpenSearch's ZstdNoDictCompressionMode: vInt b, {vInt length, zstd frame} of b bytes each.
type zstdBlocks struct{ unzstd }

func (z *zstdBlocks) decode(dst []byte, n int, src []byte) (int, error) {
	blockLength, p, err := uvarint(src, 0)
	if err == nil && blockLength == 0 && n > 0 {
		err = corruptf("blocks of 0 bytes for %d bytes", n)
	}
	for start := 0; start < n && err == nil; start += blockLength {
		p, err = block(dst, start, min(n, start+blockLength), p, src, z.frame)
	}
	return p, err
}

// zstdDict is OpenSearch's ZstdCompressionMode: vInt d, vInt b, {vInt length, zstd frame} of the first d bytes,
// and then of blocks of b bytes, with those d bytes as raw-content dictionary.
type zstdDict struct{ unzstd }

func (z *zstdDict) decode(dst []byte, n int, src []byte) (int, error) {
	dictLength, blockLength, p, err := presetHeader(n, src)
	if err != nil {
		return 0, err
	}
	p, err = block(dst, 0, dictLength, p, src, z.frame)
	if err != nil || dictLength == n {
		return p, err
	}
	with := &z.unzstd
	if dictLength > 0 {
		// A decoder keeps its dictionary, and each chunk has its own.
		with = new(unzstd)
		if err := with.open(zstd.WithDecoderDictRaw(0, dst[:dictLength])); err != nil {
			return 0, err
		}
	}
	for start := dictLength; start < n && err == nil; start += blockLength {
		p, err = block(dst, start, min(n, start+blockLength), p, src, with.frame)
	}
	return p, err
}

type unzstd struct{ d *zstd.Decoder }

func (z *unzstd) open(options ...zstd.DOption) (err error) {
	options = append(options, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk))
	if z.d, err = zstd.NewReader(nil, options...); err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	return nil
}

// frame decodes a zstd frame of exactly len(dst) bytes.
func (z *unzstd) frame(dst, src []byte) error {
	if z.d == nil {
		if err := z.open(); err != nil {
			return err
		}
	}
	out, err := z.d.DecodeAll(src, dst[:0])
	if err != nil {
		return corruptf("zstd: %w", err)
	}
	if len(out) != len(dst) {
		return corruptf("zstd: %d bytes, should be %d", len(out), len(dst))
	}
	if len(out) > 0 && &out[0] != &dst[0] {
		copy(dst, out)
	}
	return nil
}
