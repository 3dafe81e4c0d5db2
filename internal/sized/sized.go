// Package sized reads and writes the small binary notes that records carry as their Meta, and records in a queue: varints, and
// texts and bytes with their length before them (an uvarint).
package sized

import (
	"encoding/binary"
	"unsafe"
)

// Append appends a length and a text or bytes.
func Append[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// A Reader takes things off the front of what is Left. Once something is not there in whole, it is Short, and gives zero values.
type Reader struct {
	Left  []byte
	Short bool
}

func (r *Reader) fail() {
	r.Short, r.Left = true, nil
}

// Done reports that everything was there and nothing is left.
func (r *Reader) Done() bool { return !r.Short && len(r.Left) == 0 }

// Uvarint takes an unsigned number.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.Left)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.Left = r.Left[n:]
	return v
}

// Varint takes a signed number.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.Left)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.Left = r.Left[n:]
	return v
}

// Uint16 takes two bytes in big endian order.
func (r *Reader) Uint16() uint16 {
	b := r.Bytes(2)
	if r.Short {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

// Bytes takes n bytes, which are a part of what is read. It is nil only if they are not there.
func (r *Reader) Bytes(n uint64) []byte {
	if r.Short || n > uint64(len(r.Left)) {
		r.fail()
		return nil
	}
	b := r.Left[:n:n]
	r.Left = r.Left[n:]
	if b == nil {
		b = []byte{}
	}
	return b
}

// Sized takes a length and as many bytes, as Bytes gives them.
func (r *Reader) Sized() []byte { return r.Bytes(r.Uvarint()) }

// Text takes a length and a text, which is a part of what is read: it changes with that.
func (r *Reader) Text() string {
	b := r.Sized()
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // as the comment says
}
