package flow

import (
	"encoding/hex"
	"fmt"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// A Digest is an order-independent fingerprint of a set of records: the sum, modulo 2^128, of the XXH3-128
// hashes of their (index, id, routing, body). Two sets with equal digests and counts are, but for an
// accident of one in 2^128, equal. It is no defence against forgery.
type Digest struct{ Hi, Lo uint64 }

// A Hasher adds records to a digest. It is not safe for concurrent use.
type Hasher struct {
	Sum Digest
	buf []byte
	h   *xxh3.Hasher
}

// Hash gives the fingerprint of one record. Each component is preceded by its length, so that no two
// different records are the same bytes; an absent routing or body differs from an empty one.
func (h *Hasher) Hash(r *Record) Digest {
	if h.h == nil {
		h.h = xxh3.New()
	}
	h.buf = append(h.buf[:0], 'r')
	h.buf = appendComponent(h.buf, r.Index, true)
	h.buf = appendComponent(h.buf, r.Key, true)
	h.buf = appendComponent(h.buf, r.Routing, r.Routing != nil)
	h.buf = appendComponent(h.buf, "", r.Body != nil)
	const small = 4 << 10
	if len(r.Body) <= small {
		h.buf = append(h.buf, r.Body...)
		u := xxh3.Hash128(h.buf)
		return Digest{u.Hi, u.Lo}
	}
	h.h.Reset()
	h.h.Write(h.buf)
	h.h.Write(r.Body)
	u := h.h.Sum128()
	return Digest{u.Hi, u.Lo}
}

// Add adds the record to the sum.
func (h *Hasher) Add(r *Record) { h.Sum.Merge(h.Hash(r)) }

func appendComponent[T string | []byte](b []byte, p T, present bool) []byte {
	if !present {
		return append(b, 0xff)
	}
	n := uint32(len(p))
	b = append(b, 0, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	return append(b, p...)
}

// Merge adds o to d.
func (d *Digest) Merge(o Digest) {
	var carry uint64
	d.Lo, carry = bits.Add64(d.Lo, o.Lo, 0)
	d.Hi, _ = bits.Add64(d.Hi, o.Hi, carry)
}

// remove takes o out of d again.
func (d *Digest) remove(o Digest) {
	var borrow uint64
	d.Lo, borrow = bits.Sub64(d.Lo, o.Lo, 0)
	d.Hi, _ = bits.Sub64(d.Hi, o.Hi, borrow)
}

func (d Digest) String() string { return fmt.Sprintf("%016x%016x", d.Hi, d.Lo) }

// MarshalText writes 32 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 32 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	var raw [16]byte
	if n, err := hex.Decode(raw[:], text[:min(len(text), 32)]); err != nil || n != 16 || len(text) != 32 {
		return fmt.Errorf("digest %.40q: want 32 hexadecimal digits", text)
	}
	d.Hi, d.Lo = 0, 0
	for i := range 8 {
		d.Hi = d.Hi<<8 | uint64(raw[i])
		d.Lo = d.Lo<<8 | uint64(raw[8+i])
	}
	return nil
}
