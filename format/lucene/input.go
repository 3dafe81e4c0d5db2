package lucene

import (
	"encoding/binary"
	"unicode/utf8"
)

// An input decodes Lucene's primitive types (org.apache.lucene.store.DataInput) out of bytes in memory. The
// first failure sticks, and all later reads give zero.
//
// Fixed-size integers are big-endian up to Lucene 8 and little-endian from Lucene 9 on: le says which.
type input struct {
	b   []byte
	p   int
	le  bool
	err error
}

func (in *input) fail(err error) {
	if in.err == nil {
		in.err = err
	}
	in.p = len(in.b)
}

func (in *input) left() int { return len(in.b) - in.p }

func (in *input) take(n int) []byte {
	if n < 0 || n > in.left() {
		in.fail(corruptf("%d bytes wanted at %d, %d left", n, in.p, in.left()))
		return nil
	}
	p := in.b[in.p : in.p+n : in.p+n]
	in.p += n
	return p
}

func (in *input) byte() byte {
	if in.p >= len(in.b) {
		in.fail(corruptf("ends at %d", in.p))
		return 0
	}
	c := in.b[in.p]
	in.p++
	return c
}

func (in *input) u16() uint16 {
	p := in.take(2)
	switch {
	case p == nil:
		return 0
	case in.le:
		return binary.LittleEndian.Uint16(p)
	}
	return binary.BigEndian.Uint16(p)
}

func (in *input) i32() int32 {
	p := in.take(4)
	switch {
	case p == nil:
		return 0
	case in.le:
		return int32(binary.LittleEndian.Uint32(p))
	}
	return int32(binary.BigEndian.Uint32(p))
}

func (in *input) i64() int64 {
	p := in.take(8)
	switch {
	case p == nil:
		return 0
	case in.le:
		return int64(binary.LittleEndian.Uint64(p))
	}
	return int64(binary.BigEndian.Uint64(p))
}

// vint reads a vInt: seven bits a byte, the lowest first, at most five bytes. Counts and lengths are never
// negative, so a negative one is an error.
func (in *input) vint() int {
	v := in.uvarint(5)
	if v > 1<<31-1 {
		in.fail(corruptf("vInt out of range before %d", in.p))
		return 0
	}
	return int(v)
}

// vlong reads a vLong that is not negative.
func (in *input) vlong() int64 {
	v := in.uvarint(9)
	if v > 1<<63-1 {
		in.fail(corruptf("vLong out of range before %d", in.p))
		return 0
	}
	return int64(v)
}

func (in *input) uvarint(maxBytes int) uint64 {
	var v uint64
	for i := range maxBytes {
		c := in.byte()
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v
		}
	}
	in.fail(corruptf("variable-length integer too long before %d", in.p))
	return 0
}

func (in *input) string() string {
	p := in.take(in.vint())
	if !utf8.Valid(p) {
		in.fail(corruptf("string is not UTF-8 before %d", in.p))
		return ""
	}
	return string(p)
}

// count reads a vInt that announces so many elements of at least minBytes each.
func (in *input) count(minBytes int) int {
	n := in.vint()
	if n > in.left()/minBytes {
		in.fail(corruptf("%d elements announced before %d, %d bytes left", n, in.p, in.left()))
		return 0
	}
	return n
}

func (in *input) stringSet() []string {
	n := in.count(1)
	if n == 0 {
		return nil
	}
	s := make([]string, 0, n)
	for range n {
		s = append(s, in.string())
	}
	return s
}

func (in *input) stringMap() map[string]string {
	n := in.count(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := in.string()
		m[k] = in.string()
	}
	return m
}

// zigzag is org.apache.lucene.util.BitUtil.zigZagDecode.
func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
