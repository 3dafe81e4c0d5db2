package lucene

import (
	"encoding/binary"
	"math/bits"
)

// inflater decodes DEFLATE (RFC 1951) from memory to memory, where the length of the output is known, as in
// stored fields. It is several times faster than a decoder of streams, after the design of libdeflate: 64 bits
// are buffered, one table lookup gives a whole symbol with the number of its extra bits, and up to three literals
// are taken before the buffer is filled again. The zero value is ready.
type inflater struct {
	literals  [2342]uint32 // the most that 288 symbols of up to 15 bits need with 11 bits in the first table
	distances [402]uint32  // and 32 symbols with 8 bits
	lengths   [128]uint32  // and 19 symbols of up to 7 bits with 7 bits
	fixed     bool         // the tables are those of fixed codes
	sizes     [288 + 32]uint8
	sorted    [288]uint16
}

// An entry of a table:
//
//	bits 0-7    bits to take: those of the code, and extra ones
//	bits 8-11   bits of the code alone; of a pointer: bits of the second table
//	bits 12-15  what it is
//	bits 16-31  literal, base of length or distance, start of the second table
//
// A zero entry is a code that does not exist.
const (
	entryLiteral = 1 << 15
	entryEnd     = 1 << 14
	entryTable   = 1 << 13 // a pointer to a second table
	entryOther   = 1 << 12 // neither literal nor length nor distance
)

const (
	literalBits  = 11
	distanceBits = 8
	lengthBits   = 7
)

var (
	literalSymbols  = newLiteralSymbols()
	distanceSymbols = newDistanceSymbols()
	lengthSymbols   = newLengthSymbols()
)

func newLiteralSymbols() (s [288]uint32) {
	for i := range 256 {
		s[i] = uint32(i)<<16 | entryLiteral
	}
	s[256] = entryOther | entryEnd
	base := 3
	for i := range 28 {
		extra := max(0, i/4-1)
		s[257+i] = uint32(base)<<16 | uint32(extra)
		base += 1 << extra
	}
	s[285] = 258 << 16
	s[286], s[287] = entryOther, entryOther
	return s
}

func newDistanceSymbols() (s [32]uint32) {
	base := 1
	for i := range 30 {
		extra := max(0, i/2-1)
		s[i] = uint32(base)<<16 | uint32(extra)
		base += 1 << extra
	}
	s[30], s[31] = entryOther, entryOther
	return s
}

func newLengthSymbols() (s [19]uint32) {
	for i := range s {
		s[i] = uint32(i) << 16
	}
	return s
}

// build fills a table for the canonical Huffman code whose symbols have codes of the given sizes in bits.
func (z *inflater) build(table []uint32, tableBits int, sizes []uint8, symbols []uint32) error {
	var counts [16]int
	for _, n := range sizes {
		counts[n]++
	}
	space := 0
	var offsets [17]int
	for n := 1; n <= 15; n++ {
		offsets[n+1] = offsets[n] + counts[n]
		space = space<<1 + counts[n]
	}
	for symbol, n := range sizes {
		if n != 0 {
			z.sorted[offsets[n]] = uint16(symbol)
			offsets[n]++
		}
	}
	used := len(sizes) - counts[0]
	if space != 1<<15 {
		// Complete codes only, but for none at all, and a single one of one bit.
		if used > 1 || used == 1 && counts[1] != 1 {
			return corruptf("DEFLATE: codes that are not a prefix code")
		}
		clear(table[:1<<tableBits])
		if used == 1 {
			for i := 0; i < 1<<tableBits; i += 2 {
				table[i] = symbols[z.sorted[0]] + 1<<8 + 1
			}
		}
		return nil
	}
	next := 0 // in sorted
	size := 1
	for counts[size] == 0 {
		size++
	}
	count := counts[size]
	code := 0 // its bits reversed, as the stream has them
	end := 1 << size
	// advance gives the next code of the same size, and false after the last.
	advance := func(all int) bool {
		if code == all {
			return false
		}
		bit := 1 << (bits.Len(uint(code^all)) - 1)
		code = code&(bit-1) | bit
		return true
	}
	for size <= tableBits {
		for ; count > 0; count-- {
			table[code] = symbols[z.sorted[next]] + uint32(size<<8+size)
			next++
			if !advance(end - 1) {
				for ; size < tableBits; size++ {
					copy(table[end:2*end], table[:end])
					end <<= 1
				}
				return nil
			}
		}
		for {
			if size++; size <= tableBits {
				copy(table[end:2*end], table[:end])
				end <<= 1
			}
			if count = counts[size]; count > 0 {
				break
			}
		}
	}
	end = 1 << tableBits
	prefix, start := -1, 0
	for {
		if p := code & (1<<tableBits - 1); p != prefix {
			prefix, start = p, end
			second := size - tableBits
			for space := count; space < 1<<second; {
				second++
				space = space<<1 + counts[tableBits+second]
			}
			end = start + 1<<second
			table[prefix] = uint32(start<<16|second<<8|tableBits) | entryOther | entryTable
		}
		entry := symbols[z.sorted[next]] + uint32((size-tableBits)<<8+(size-tableBits))
		next++
		for i := start + code>>tableBits; i < end; i += 1 << (size - tableBits) {
			table[i] = entry
		}
		if !advance(1<<size - 1) {
			return nil
		}
		for count--; count == 0; {
			size++
			count = counts[size]
		}
	}
}

// bitReader is a buffer of up to 64 bits of src.
type bitReader struct {
	src  []byte
	p    int // next byte
	bits uint64
	n    uint // bits in the buffer
}

// fill fills the buffer to at least 56 bits, or to the end of src.
func (r *bitReader) fill() {
	if r.p+8 <= len(r.src) {
		r.bits |= binary.LittleEndian.Uint64(r.src[r.p:]) << (r.n & 63)
		r.p += int((63 - r.n) >> 3)
		r.n |= 56
		return
	}
	for r.n <= 56 && r.p < len(r.src) {
		r.bits |= uint64(r.src[r.p]) << r.n
		r.p++
		r.n += 8
	}
}

// take takes up to 32 bits.
func (r *bitReader) take(n uint) (uint32, error) {
	if r.n < n {
		if r.fill(); r.n < n {
			return 0, errCut
		}
	}
	v := uint32(r.bits & (1<<n - 1))
	r.bits >>= n
	r.n -= n
	return v, nil
}

var (
	errCut     = corruptf("DEFLATE: the data end in the middle")
	errTooMany = corruptf("DEFLATE: more bytes than expected")
	errBadCode = corruptf("DEFLATE: a code that does not exist")
	errTooFar  = corruptf("DEFLATE: a match from before the beginning")
)

// inflate decodes src, all of it, into dst[start:end], all of it. Matches may reach back to dst[base].
func (z *inflater) inflate(dst []byte, base, start, end int, src []byte) error {
	dst = dst[:end]
	r := bitReader{src: src}
	d := start
	for last := uint32(0); last == 0; {
		kind, err := r.take(3)
		if err != nil {
			return err
		}
		last = kind & 1
		switch kind >> 1 {
		case 0:
			if d, err = r.stored(dst, d); err != nil {
				return err
			}
			continue
		case 1:
			err = z.fixedCodes()
		case 2:
			err = z.dynamicCodes(&r)
		default:
			err = corruptf("DEFLATE: a block of unknown kind")
		}
		if err == nil {
			d, err = z.block(&r, dst, base, d)
		}
		if err != nil {
			return err
		}
	}
	if d != end {
		return corruptf("DEFLATE: %d bytes, should be %d", d-start, end-start)
	}
	if left := len(src) - r.p + int(r.n/8); left != 0 {
		return corruptf("DEFLATE: %d bytes after the end", left)
	}
	return nil
}

// stored copies a block that is not compressed.
func (r *bitReader) stored(dst []byte, d int) (int, error) {
	r.bits >>= r.n & 7
	r.n &^= 7
	lengths, err := r.take(32)
	if err != nil {
		return 0, err
	}
	n := int(lengths & 0xffff)
	if n != int(^lengths>>16) {
		return 0, corruptf("DEFLATE: a stored block of two lengths")
	}
	r.p -= int(r.n / 8)
	r.bits, r.n = 0, 0
	if n > len(r.src)-r.p {
		return 0, errCut
	}
	if n > len(dst)-d {
		return 0, errTooMany
	}
	copy(dst[d:], r.src[r.p:r.p+n])
	r.p += n
	return d + n, nil
}

func (z *inflater) fixedCodes() error {
	if z.fixed {
		return nil
	}
	s := z.sizes[:]
	for i := range s {
		switch {
		case i < 144:
			s[i] = 8
		case i < 256:
			s[i] = 9
		case i < 280:
			s[i] = 7
		case i < 288:
			s[i] = 8
		default:
			s[i] = 5
		}
	}
	z.fixed = true
	if err := z.build(z.literals[:], literalBits, s[:288], literalSymbols[:]); err != nil {
		return err
	}
	return z.build(z.distances[:], distanceBits, s[288:], distanceSymbols[:])
}

// lengthOrder is the order in which the sizes of the codes for sizes stand.
var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (z *inflater) dynamicCodes(r *bitReader) error {
	z.fixed = false
	head, err := r.take(14)
	if err != nil {
		return err
	}
	literals, distances, lengths := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if literals > 286 || distances > 30 {
		return corruptf("DEFLATE: %d literals and %d distances", literals, distances)
	}
	var sizes [19]uint8
	for _, i := range lengthOrder[:lengths] {
		n, err := r.take(3)
		if err != nil {
			return err
		}
		sizes[i] = uint8(n)
	}
	if err := z.build(z.lengths[:], lengthBits, sizes[:], lengthSymbols[:]); err != nil {
		return err
	}
	s := z.sizes[:literals+distances]
	for i := 0; i < len(s); {
		r.fill()
		entry := z.lengths[r.bits&(1<<lengthBits-1)]
		n := uint(entry & 0xff)
		if n == 0 {
			return errBadCode
		}
		if r.n < n {
			return errCut
		}
		r.bits >>= n
		r.n -= n
		symbol := entry >> 16
		if symbol < 16 {
			s[i] = uint8(symbol)
			i++
			continue
		}
		extra, repeat, size := uint(2), 3, uint8(0)
		switch symbol {
		case 16:
			if i == 0 {
				return corruptf("DEFLATE: a repetition of nothing")
			}
			size = s[i-1]
		case 17:
			extra = 3
		case 18:
			extra, repeat = 7, 11
		}
		more, err := r.take(extra)
		if err != nil {
			return err
		}
		if repeat += int(more); repeat > len(s)-i {
			return corruptf("DEFLATE: sizes of more codes than there are")
		}
		for ; repeat > 0; repeat-- {
			s[i] = size
			i++
		}
	}
	if s[256] == 0 {
		return corruptf("DEFLATE: a block that cannot end")
	}
	if err := z.build(z.literals[:], literalBits, s[:literals], literalSymbols[:]); err != nil {
		return err
	}
	return z.build(z.distances[:], distanceBits, s[literals:], distanceSymbols[:])
}

// block decodes the symbols of a block from dst[d] on, and returns where it ends.
func (z *inflater) block(r *bitReader, dst []byte, base, d int) (int, error) {
	d, end, err := z.fastBlock(r, dst, base, d)
	if end || err != nil {
		return d, err
	}
	// Near the end of the input or output, with care.
	for {
		r.fill()
		entry := z.literals[r.bits&(1<<literalBits-1)]
		if entry&entryTable != 0 {
			if r.n < literalBits {
				return 0, errCut
			}
			r.bits >>= literalBits
			r.n -= literalBits
			entry = z.literals[entry>>16+uint32(r.bits)&(1<<(entry>>8&15)-1)]
		}
		n := uint(entry & 0xff)
		if entry == 0 || entry&(entryOther|entryEnd) == entryOther {
			return 0, errBadCode
		}
		if r.n < n {
			return 0, errCut
		}
		extra := uint32(r.bits&(1<<n-1)) >> (entry >> 8 & 15)
		r.bits >>= n
		r.n -= n
		switch {
		case entry&entryLiteral != 0:
			if d >= len(dst) {
				return 0, errTooMany
			}
			dst[d] = byte(entry >> 16)
			d++
			continue
		case entry&entryEnd != 0:
			return d, nil
		}
		length := int(entry>>16 + extra)

		r.fill()
		entry = z.distances[r.bits&(1<<distanceBits-1)]
		if entry&entryTable != 0 {
			if r.n < distanceBits {
				return 0, errCut
			}
			r.bits >>= distanceBits
			r.n -= distanceBits
			entry = z.distances[entry>>16+uint32(r.bits)&(1<<(entry>>8&15)-1)]
		}
		n = uint(entry & 0xff)
		if entry == 0 || entry&entryOther != 0 {
			return 0, errBadCode
		}
		if r.n < n {
			return 0, errCut
		}
		extra = uint32(r.bits&(1<<n-1)) >> (entry >> 8 & 15)
		r.bits >>= n
		r.n -= n
		from := d - int(entry>>16+extra)
		if from < base {
			return 0, errTooFar
		}
		if length > len(dst)-d {
			return 0, errTooMany
		}
		for length > 0 { // a match that overlaps itself repeats, in twice as long pieces each time
			k := copy(dst[d:d+length], dst[from:d])
			d += k
			length -= k
		}
	}
}

// Room that the fast loop needs in front of it: bytes of input for two refills, bytes of output for three
// literals and the longest match, copied in whole words.
const (
	fastInput  = 24
	fastOutput = 3 + 258 + 16
)

// fastBlock is block as long as there is room to read and write too much. end: the block ended.
func (z *inflater) fastBlock(r *bitReader, dst []byte, base, d int) (_ int, end bool, err error) {
	src, p, buf, n := r.src, r.p, r.bits, r.n
	for p+fastInput <= len(src) && d+fastOutput <= len(dst) {
		buf |= binary.LittleEndian.Uint64(src[p:]) << (n & 63)
		p += int((63 - n) >> 3)
		n |= 56
		entry := z.literals[buf&(1<<literalBits-1)]
		if entry&entryLiteral != 0 {
			buf >>= entry & 63
			n -= uint(entry & 63)
			out := dst[d : d+3 : d+3]
			out[0] = byte(entry >> 16)
			d++
			entry = z.literals[buf&(1<<literalBits-1)]
			if entry&entryLiteral != 0 {
				buf >>= entry & 63
				n -= uint(entry & 63)
				out[1] = byte(entry >> 16)
				d++
				entry = z.literals[buf&(1<<literalBits-1)]
				if entry&entryLiteral != 0 {
					buf >>= entry & 63
					n -= uint(entry & 63)
					out[2] = byte(entry >> 16)
					d++
					continue
				}
			}
		}
		if entry&entryOther != 0 || entry == 0 {
			if entry&entryTable != 0 {
				buf >>= literalBits
				n -= literalBits
				entry = z.literals[entry>>16+uint32(buf)&(1<<(entry>>8&15)-1)]
			}
			switch {
			case entry&entryLiteral != 0:
				buf >>= entry & 63
				n -= uint(entry & 63)
				dst[d] = byte(entry >> 16)
				d++
				continue
			case entry&entryEnd != 0:
				buf >>= entry & 63
				n -= uint(entry & 63)
				r.p, r.bits, r.n = p, buf, n
				return d, true, nil
			case entry == 0 || entry&entryOther != 0:
				return 0, false, errBadCode
			}
		}
		// At most 2 literals, 15 bits of code and 5 extra bits so far, of 56.
		length := int(entry>>16) + int(uint32(buf&(1<<(entry&63)-1))>>(entry>>8&15))
		buf >>= entry & 63
		n -= uint(entry & 63)

		buf |= binary.LittleEndian.Uint64(src[p:]) << (n & 63)
		p += int((63 - n) >> 3)
		n |= 56
		entry = z.distances[buf&(1<<distanceBits-1)]
		if entry&entryOther != 0 || entry == 0 {
			if entry&entryTable != 0 {
				buf >>= distanceBits
				n -= distanceBits
				entry = z.distances[entry>>16+uint32(buf)&(1<<(entry>>8&15)-1)]
			}
			if entry == 0 || entry&entryOther != 0 {
				return 0, false, errBadCode
			}
		}
		off := int(entry>>16) + int(uint32(buf&(1<<(entry&63)-1))>>(entry>>8&15))
		buf >>= entry & 63
		n -= uint(entry & 63)

		from := d - off
		if from < base {
			return 0, false, errTooFar
		}
		e := d + length
		if off >= 16 {
			*(*[16]byte)(dst[d:]) = *(*[16]byte)(dst[from:])
			for length > 16 { // few are
				d, from, length = d+16, from+16, length-16
				*(*[16]byte)(dst[d:]) = *(*[16]byte)(dst[from:])
			}
			d = e
			continue
		}
		for d < e { // repeats itself, in twice as long pieces each time
			d += copy(dst[d:e], dst[from:d])
		}
	}
	r.p, r.bits, r.n = p, buf, n
	return d, false, nil
}
