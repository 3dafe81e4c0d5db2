package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"
)

// The binary form of an event keeps the kinds of all values, which JSON does not: what one pipeline gives another one.
//
//	event: map of the fields, map of the metadata, each without its kind
//	value: kind, one byte, then
//	  Null                   nothing
//	  Bool                   one byte, 0 or 1
//	  Int                    zig-zag varint
//	  Float                  8 bytes, little-endian
//	  BigInt Decimal String  varint of the length in bytes, and the bytes: digits, or UTF-8
//	  Time                   zig-zag varint of the second, varint of the nanosecond
//	  List                   varint of the number, and values
//	  Map                    varint of the number, and a string without its kind and a value for each

// ErrBinary says that bytes are not the binary form of an event.
var ErrBinary = errors.New("no binary event")

// AppendBinary appends the event in a form that ParseBinary reads.
func (e *Event) AppendBinary(dst []byte) []byte {
	dst = appendBinaryFields(dst, e.Fields())
	return appendBinaryFields(dst, e.Metadata())
}

func appendBinaryFields(dst []byte, f *Fields) []byte {
	entries := f.Entries()
	n := 0
	for i := range entries {
		if entries[i].Value.Is() {
			n++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for i := range entries {
		if entries[i].Value.Is() {
			dst = appendSized(dst, entries[i].Key)
			dst = appendBinary(dst, entries[i].Value)
		}
	}
	return dst
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBinary(dst []byte, v Value) []byte {
	k := v.Kind()
	if k == Absent {
		k = Null
	}
	dst = append(dst, byte(k))
	switch k {
	case Absent, Null:
	case Bool:
		b := byte(0)
		if v.Bool() {
			b = 1
		}
		dst = append(dst, b)
	case Int:
		dst = binary.AppendVarint(dst, v.Int())
	case Float:
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case BigInt:
		dst = appendSized(dst, v.Big().String())
	case Decimal:
		dst = appendSized(dst, v.s)
	case String:
		dst = appendSized(dst, v.Str())
	case Time:
		t := v.Time()
		dst = binary.AppendVarint(dst, t.Unix())
		dst = binary.AppendUvarint(dst, uint64(t.Nanosecond()))
	case List:
		list := v.List()
		dst = binary.AppendUvarint(dst, uint64(len(list)))
		for i := range list {
			dst = appendBinary(dst, list[i])
		}
	case Map:
		dst = appendBinaryFields(dst, v.Map())
	}
	return dst
}

// ParseBinary makes the event what AppendBinary wrote. Its strings are parts of b, which must not be changed as long as they are
// in use.
func (e *Event) ParseBinary(b []byte) error {
	e.Reset()
	p := binaryReader{rest: b}
	p.fields(e.Fields(), 0)
	p.fields(e.Metadata(), 0)
	if p.err == nil && len(p.rest) > 0 {
		p.err = fmt.Errorf("%w: %d bytes follow it", ErrBinary, len(p.rest))
	}
	return p.err
}

type binaryReader struct {
	rest []byte
	err  error
}

func (p *binaryReader) fail(why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", ErrBinary, why)
	}
	p.rest = nil
}

// length reads a varint that cannot be more than the bytes that are left: every element has at least one.
func (p *binaryReader) length() int {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 {
		p.fail("a length is cut off")
		return 0
	}
	p.rest = p.rest[size:]
	if n > uint64(len(p.rest)) {
		p.fail("a length goes past the end")
		return 0
	}
	return int(n) //nolint:gosec // less than a slice's length
}

func (p *binaryReader) take(n int) []byte {
	if n > len(p.rest) {
		p.fail("a value is cut off")
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

func (p *binaryReader) varint() int64 {
	n, size := binary.Varint(p.rest)
	if size <= 0 {
		p.fail("a number is cut off")
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

func (p *binaryReader) fields(f *Fields, depth int) {
	for range p.length() {
		key := textOf(p.take(p.length()))
		v := p.value(depth + 1)
		if p.err != nil {
			return
		}
		f.Set(key, v)
	}
}

func (p *binaryReader) value(depth int) Value {
	if depth > MaxDepth {
		p.fail("it is too deep")
		return Value{}
	}
	kind := p.take(1)
	if kind == nil {
		return Value{}
	}
	switch Kind(kind[0]) {
	case Null:
		return NullValue
	case Bool:
		b := p.take(1)
		return BoolValue(b != nil && b[0] == 1)
	case Int:
		return IntValue(p.varint())
	case Float:
		if b := p.take(8); b != nil {
			return FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		return Value{}
	case BigInt:
		digits := p.take(p.length())
		if len(digits) <= MaxNumber {
			if n, ok := new(big.Int).SetString(string(digits), 10); ok {
				return BigValue(n)
			}
		}
		p.fail("a number is none")
		return Value{}
	case Decimal:
		return DecimalValue(textOf(p.take(p.length())))
	case String:
		return StringValue(textOf(p.take(p.length())))
	case Time:
		second := p.varint()
		nanos, size := binary.Uvarint(p.rest)
		if size <= 0 || nanos >= 1e9 {
			p.fail("a time is none")
			return Value{}
		}
		p.rest = p.rest[size:]
		return TimeValue(time.Unix(second, int64(nanos)).UTC()) //nolint:gosec // below 1e9
	case List:
		n := p.length()
		list := make([]Value, 0, min(n, 64))
		for range n {
			list = append(list, p.value(depth+1))
			if p.err != nil {
				return Value{}
			}
		}
		return ListValue(list)
	case Map:
		m := MapValue()
		p.fields(m.Map(), depth)
		return m
	case Absent:
	}
	p.fail("a kind is unknown")
	return Value{}
}
