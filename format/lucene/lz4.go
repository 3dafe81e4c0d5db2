package lucene

import "errors"

// errShort says that a decoder needs more input than it was given.
var errShort = errors.New("input ends in the middle")

// slack is how many bytes after the output a decoder may overwrite, so that it can copy in whole words.
const slack = 32

// lz4Decode decodes an LZ4 block, as Lucene writes it (org.apache.lucene.util.compress.LZ4), into
// dst[start:end] and returns how much of src it took. The block has no length and no end mark of its own: it
// ends when the output is full. Matches may reach back into dict, which comes before the output but may
// stand elsewhere. dst must have slack bytes after end.
//
//	sequence: token (high half: literals, low half: match length-4; 15: further bytes are added, up to one
//	that is not 255), literals, [short offset, little-endian; the last sequence has none]
func lz4Decode(dst []byte, start, end int, dict, src []byte) (int, error) {
	d, s := start, 0
	if end < start || len(dst) < end+slack {
		panic("BUG: no room after the output")
	}
	for {
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
		if n <= 16 && s+16 <= len(src) {
			*(*[16]byte)(dst[d:]) = *(*[16]byte)(src[s:])
		} else {
			if s+n > len(src) {
				return 0, errShort
			}
			copy(dst[d:d+n], src[s:])
		}
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
		if off > d-start {
			// The match begins in the dictionary, and may go on into the output.
			back := off - (d - start)
			if back > len(dict) {
				return 0, corruptf("LZ4: a match %d bytes back, of %d", off, d-start+len(dict))
			}
			k := copy(dst[d:d+n], dict[len(dict)-back:])
			d += k
			for n -= k; n > 0; n-- { // may overlap itself
				dst[d] = dst[d-off]
				d++
			}
			if d >= end {
				return s, nil
			}
			continue
		}
		m := d - off
		switch {
		case off >= 16:
			for e := d + n; ; {
				*(*[16]byte)(dst[d:]) = *(*[16]byte)(dst[m:])
				d += 16
				m += 16
				if d >= e {
					d = e
					break
				}
			}
		case off >= 8:
			for e := d + n; ; {
				*(*[8]byte)(dst[d:]) = *(*[8]byte)(dst[m:])
				d += 8
				m += 8
				if d >= e {
					d = e
					break
				}
			}
		case off == 0:
			return 0, corruptf("LZ4: a match 0 bytes back")
		default:
			for e := d + n; d < e; d++ {
				dst[d] = dst[d-off]
			}
		}
		if d >= end {
			return s, nil
		}
	}
}
