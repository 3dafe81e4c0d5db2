package lucene

import (
	"encoding/binary"
	"errors"
)

// errShort says that a decoder needs more input than it was given.
var errShort = errors.New("input ends in the middle")

// lz4Decode decodes an LZ4 block, as Lucene writes it (org.apache.lucene.util.compress.LZ4), into
// dst[start:end] and returns how much of src it took. The block has no length and no end mark of its own: it
// ends when the output is full. Matches may reach back to dst[base]. Nothing is written outside of
// dst[start:end].
//
//	sequence: token (high half: literals, low half: match length-4; 15: further bytes are added, up to one
//	that is not 255), literals, [short offset, little-endian; the last sequence has none]
func lz4Decode(dst []byte, base, start, end int, src []byte) (int, error) {
	dst = dst[:end]
	d, s := start, 0
	for {
		// Most sequences have few literals, and a match that is far enough back. They are copied in whole
		// words, without branches that depend on short lengths, as long as there is room to copy too much.
		for d+64 <= len(dst) && s+20 <= len(src) {
			token := uint(src[s])
			literals, match := token>>4, int(token&15)
			if literals == 15 {
				break
			}
			// A window of fixed size each, so that one check of bounds is enough.
			in := src[s : s+20 : s+20]
			out := dst[d : d+48 : d+48]
			binary.LittleEndian.PutUint64(out, binary.LittleEndian.Uint64(in[1:]))
			binary.LittleEndian.PutUint64(out[8:], binary.LittleEndian.Uint64(in[9:]))
			off := int(binary.LittleEndian.Uint16(in[1+literals:]))
			to := d + int(literals)
			from := to - off
			if off < 8 || from < base {
				break
			}
			if match == 15 {
				// Few are longer than one more byte can say.
				c := int(in[3+literals])
				match += c + 4
				if off < 16 || c == 255 || to+match+16 > len(dst) {
					break
				}
				s += int(literals) + 4
				for d = to + match; to < d; to, from = to+16, from+16 {
					*(*[16]byte)(dst[to:]) = *(*[16]byte)(dst[from:])
				}
				continue
			}
			out = dst[to : to+24 : to+24]
			in = dst[from:]
			_ = in[23]
			binary.LittleEndian.PutUint64(out, binary.LittleEndian.Uint64(in))
			binary.LittleEndian.PutUint64(out[8:], binary.LittleEndian.Uint64(in[8:]))
			binary.LittleEndian.PutUint64(out[16:], binary.LittleEndian.Uint64(in[16:]))
			s += int(literals) + 3
			d = to + match + 4
		}

		if s >= len(src) {
			return 0, errShort
		}
		token := int(src[s])
		s++
		n := token >> 4
		if n == 15 {
			for {
				if s >= len(src) {
					return 0, errShort
				}
				c := src[s]
				s++
				n += int(c)
				if c != 255 {
					break
				}
			}
		}
		if n > end-d {
			return 0, corruptf("LZ4: %d literals, room for %d", n, end-d)
		}
		if s+n > len(src) {
			return 0, errShort
		}
		copy(dst[d:], src[s:s+n])
		d += n
		s += n
		if d >= end {
			return s, nil
		}

		if s+2 > len(src) {
			return 0, errShort
		}
		off := int(src[s]) | int(src[s+1])<<8
		s += 2
		n = token & 15
		if n == 15 {
			for {
				if s >= len(src) {
					return 0, errShort
				}
				c := src[s]
				s++
				n += int(c)
				if c != 255 {
					break
				}
			}
		}
		n += 4
		if n > end-d {
			return 0, corruptf("LZ4: a match of %d bytes, room for %d", n, end-d)
		}
		if off == 0 || off > d-base {
			return 0, corruptf("LZ4: a match %d bytes back, of %d", off, d-base)
		}
		from := d - off
		if off >= n {
			d += copy(dst[d:d+n], dst[from:])
		} else {
			// The match overlaps itself: what is copied repeats every off bytes, so each copy can be
			// twice as long as the one before.
			for n > 0 {
				k := copy(dst[d:d+n], dst[from:d])
				d += k
				n -= k
			}
		}
		if d >= end {
			return s, nil
		}
	}
}
