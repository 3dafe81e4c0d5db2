package filter

import (
	"encoding/binary"
	"math/bits"
)

// murmur32 is MurmurHash3_x86_32 with the seed 0.
//
// Source: MurmurHash3.cpp of smhasher.
func murmur32(in []byte) uint32 {
	mix := func(k uint32) uint32 { return bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593 }
	var h uint32
	length := uint32(len(in))
	for ; len(in) >= 4; in = in[4:] {
		h = bits.RotateLeft32(h^mix(binary.LittleEndian.Uint32(in)), 13)*5 + 0xe6546b64
	}
	if len(in) > 0 {
		var tail [4]byte
		copy(tail[:], in)
		h ^= mix(binary.LittleEndian.Uint32(tail[:]))
	}
	h ^= length
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// murmur128 is MurmurHash3_x64_128, its two halves as little-endian bytes.
func murmur128(in []byte, seed uint64) [16]byte {
	const c1, c2 = 0x87c37b91114253d5, 0x4cf5ad432745937f
	mix1 := func(k uint64) uint64 { return bits.RotateLeft64(k*c1, 31) * c2 }
	mix2 := func(k uint64) uint64 { return bits.RotateLeft64(k*c2, 33) * c1 }
	final := func(h uint64) uint64 {
		h = (h ^ h>>33) * 0xff51afd7ed558ccd
		h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
		return h ^ h>>33
	}
	h1, h2 := seed, seed
	length := uint64(len(in))
	for ; len(in) >= 16; in = in[16:] {
		h1 = bits.RotateLeft64(h1^mix1(binary.LittleEndian.Uint64(in)), 27)
		h1 = (h1+h2)*5 + 0x52dce729
		h2 = bits.RotateLeft64(h2^mix2(binary.LittleEndian.Uint64(in[8:])), 31)
		h2 = (h2+h1)*5 + 0x38495ab5
	}
	var tail [16]byte
	copy(tail[:], in) // zeros mix to zero
	h1 ^= mix1(binary.LittleEndian.Uint64(tail[:]))
	h2 ^= mix2(binary.LittleEndian.Uint64(tail[8:]))
	h1, h2 = h1^length, h2^length
	h1 += h2
	h2 += h1
	h1, h2 = final(h1), final(h2)
	h1 += h2
	h2 += h1
	var out [16]byte
	binary.LittleEndian.PutUint64(out[:], h1)
	binary.LittleEndian.PutUint64(out[8:], h2)
	return out
}
