// Package cbor prints CBOR (RFC 8949) as JSON the way Elasticsearch and OpenSearch do, which keep a document
// as the client sent it and print it as JSON when asked.
//
//	byte  3 bits major type, 5 bits n: 0-23 the argument itself; 24 25 26 27: 1, 2, 4, 8 bytes of argument
//	      follow, big-endian; 31: of indefinite length, ended by FF
//	0 / 1    the argument / -1 - the argument
//	2 / 3    binary / UTF-8 of as many bytes; indefinite: chunks of the same type
//	4 / 5    array of as many values / map of as many pairs
//	6        tag of the value that follows
//	7        20 21 22 23: false true null undefined; 25 26 27: float of 16, 32, 64 bits; else a simple value
package cbor

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/narudata/naru/internal/jackson"
)

// ErrCorrupt marks every error about the content.
var ErrCorrupt = errors.New("corrupt cbor")

const (
	maxDepth  = 1000
	maxNumber = 16 << 10 // bytes of a big number: its digits take more than linear time
)

const (
	majorUint = iota
	majorNegative
	majorBinary
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

const (
	tagPositive = 2 // binary is the magnitude of an integer
	tagNegative = 3 // likewise, of -1 - n; but see bigInt
	tagDecimal  = 4 // [exponent of ten, mantissa]

	indefinite = 31
	breakCode  = 0xff
)

// AppendJSON appends the value as JSON, in the order of the content: binary in base64, undefined as null,
// other simple values as numbers, integers and binary that are keys as text, and tags left out but for those
// of big integers and decimal fractions. A key of any other type is an error.
func AppendJSON(dst, data []byte) ([]byte, error) {
	d := decoder{data: data}
	out, err := d.value(dst, 0)
	if err == nil && d.pos < len(data) {
		d.start = d.pos
		err = d.corrupt("%d bytes after the value", len(data)-d.pos)
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

type decoder struct {
	data  []byte
	pos   int
	start int // of the item at hand, for errors
	room  []byte
}

// head reads the first bytes of an item. n is 31 for indefinite lengths and the break.
func (d *decoder) head() (major byte, n byte, arg uint64, err error) {
	d.start = d.pos
	if d.pos >= len(d.data) {
		return 0, 0, 0, d.corrupt("the content ends where a value should begin")
	}
	c := d.data[d.pos]
	d.pos++
	major, n = c>>5, c&31
	switch {
	case n < 24:
		return major, n, uint64(n), nil
	case n == indefinite:
		if major == majorUint || major == majorNegative || major == majorTag {
			return 0, 0, 0, d.corrupt("byte %#02x where a value should begin", c)
		}
		return major, n, 0, nil
	case n > 27:
		return 0, 0, 0, d.corrupt("byte %#02x is reserved", c)
	}
	width := 1 << (n - 24)
	if len(d.data)-d.pos < width {
		return 0, 0, 0, d.corrupt("the content ends within the head of a value")
	}
	for _, c := range d.data[d.pos : d.pos+width] {
		arg = arg<<8 | uint64(c)
	}
	d.pos += width
	return major, n, arg, nil
}

func (d *decoder) value(dst []byte, depth int) ([]byte, error) {
	major, n, arg, err := d.head()
	tag := uint64(math.MaxUint64)
	for err == nil && major == majorTag {
		tag = arg
		major, n, arg, err = d.head()
	}
	if err != nil {
		return nil, err
	}
	switch major {
	case majorUint:
		return strconv.AppendUint(dst, arg, 10), nil
	case majorNegative:
		return appendNegative(dst, arg), nil
	case majorBinary:
		raw, err := d.bytes(major, n, arg)
		if err != nil {
			return nil, err
		}
		if tag == tagPositive || tag == tagNegative {
			i, err := d.bigInt(raw, tag)
			if err != nil {
				return nil, err
			}
			return i.Append(dst, 10), nil
		}
		return jackson.AppendBase64(dst, raw), nil
	case majorText:
		text, err := d.text(n, arg)
		if err != nil {
			return nil, err
		}
		return jackson.AppendString(dst, text), nil
	case majorArray:
		if tag == tagDecimal && n != indefinite && arg == 2 {
			return d.decimal(dst)
		}
		return d.array(dst, n, arg, depth+1)
	case majorMap:
		return d.object(dst, n, arg, depth+1)
	}
	return d.simple(dst, n, arg)
}

func (d *decoder) simple(dst []byte, n byte, arg uint64) ([]byte, error) {
	switch n {
	case 20:
		return append(dst, "false"...), nil
	case 21:
		return append(dst, "true"...), nil
	case 22, 23:
		return append(dst, "null"...), nil
	case 24:
		if arg < 32 {
			return nil, d.corrupt("simple value %d in two bytes", arg)
		}
	case 25:
		return jackson.AppendFloat32(dst, halfFloat(uint16(arg))), nil
	case 26:
		return jackson.AppendFloat32(dst, math.Float32frombits(uint32(arg))), nil
	case 27:
		return jackson.AppendFloat64(dst, math.Float64frombits(arg)), nil
	case indefinite:
		return nil, d.corrupt("an end of nothing")
	}
	return strconv.AppendUint(dst, arg, 10), nil
}

func halfFloat(bits uint16) float32 {
	exp, frac := int(bits>>10&31), float64(bits&0x3ff)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		f = math.Inf(1)
		if frac != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(frac+1024, exp-25)
	}
	if bits>>15 != 0 {
		f = -f
	}
	return float32(f)
}

func (d *decoder) array(dst []byte, n byte, count uint64, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, d.corrupt("nested deeper than %d", maxDepth)
	}
	dst = append(dst, '[')
	for i := uint64(0); ; i++ {
		done, err := d.done(n, i, count)
		if err != nil {
			return nil, err
		}
		if done {
			return append(dst, ']'), nil
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = d.value(dst, depth); err != nil {
			return nil, err
		}
	}
}

func (d *decoder) object(dst []byte, n byte, count uint64, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, d.corrupt("nested deeper than %d", maxDepth)
	}
	dst = append(dst, '{')
	for i := uint64(0); ; i++ {
		done, err := d.done(n, i, count)
		if err != nil {
			return nil, err
		}
		if done {
			return append(dst, '}'), nil
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = d.key(dst); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		if dst, err = d.value(dst, depth); err != nil {
			return nil, err
		}
	}
}

// done says whether i values of an array or pairs of a map are all, and consumes the end of one of
// indefinite length.
func (d *decoder) done(n byte, i, count uint64) (bool, error) {
	if n != indefinite {
		return i == count, nil
	}
	if d.pos >= len(d.data) {
		return false, d.corrupt("the content ends within an array or a map")
	}
	if d.data[d.pos] != breakCode {
		return false, nil
	}
	d.pos++
	return true, nil
}

func (d *decoder) key(dst []byte) ([]byte, error) {
	major, n, arg, err := d.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case majorUint:
		dst = append(dst, '"')
		dst = strconv.AppendUint(dst, arg, 10)
		return append(dst, '"'), nil
	case majorNegative:
		dst = append(dst, '"')
		dst = appendNegative(dst, arg)
		return append(dst, '"'), nil
	case majorText:
		text, err := d.text(n, arg)
		if err != nil {
			return nil, err
		}
		return jackson.AppendString(dst, text), nil
	case majorBinary:
		raw, err := d.bytes(major, n, arg)
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(raw) {
			return nil, d.corrupt("a key that is not UTF-8")
		}
		return jackson.AppendString(dst, raw), nil
	}
	return nil, d.corrupt("a key of major type %d, JSON has only text", major)
}

// bytes gives the content of text or binary; valid until the next call.
func (d *decoder) bytes(major, n byte, length uint64) ([]byte, error) {
	if n != indefinite {
		return d.take(length)
	}
	d.room = d.room[:0]
	for {
		m, n, length, err := d.head()
		if err != nil {
			return nil, err
		}
		if m == majorSimple && n == indefinite {
			return d.room, nil
		}
		if m != major || n == indefinite {
			return nil, d.corrupt("a chunk of another type")
		}
		chunk, err := d.take(length)
		if err != nil {
			return nil, err
		}
		d.room = append(d.room, chunk...)
	}
}

func (d *decoder) text(n byte, length uint64) ([]byte, error) {
	text, err := d.bytes(majorText, n, length)
	if err == nil && !utf8.Valid(text) {
		err = d.corrupt("text is not UTF-8")
	}
	return text, err
}

func (d *decoder) take(length uint64) ([]byte, error) {
	if left := len(d.data) - d.pos; length > uint64(left) {
		return nil, d.corrupt("%d bytes of content, %d are left", length, left)
	}
	b := d.data[d.pos : d.pos+int(length)]
	d.pos += len(b)
	return b, nil
}

// bigInt reads tag 3 as Jackson does by default: as -n, where RFC 8949 has -1 - n. The servers index and print
// -n, and what Jackson wrote means it.
func (d *decoder) bigInt(raw []byte, tag uint64) (*big.Int, error) {
	if len(raw) > maxNumber {
		return nil, d.corrupt("an integer of %d bytes, at most %d are read", len(raw), maxNumber)
	}
	i := new(big.Int).SetBytes(raw)
	if tag == tagNegative {
		i.Neg(i)
	}
	return i, nil
}

// decimal reads the two integers of a decimal fraction.
func (d *decoder) decimal(dst []byte) ([]byte, error) {
	exponent, err := d.integer()
	if err != nil {
		return nil, err
	}
	if !exponent.IsInt64() || exponent.Int64() > math.MaxInt32 || exponent.Int64() < -math.MaxInt32 {
		return nil, d.corrupt("a decimal fraction with exponent %.20s", exponent)
	}
	mantissa, err := d.integer()
	if err != nil {
		return nil, err
	}
	return jackson.AppendDecimal(dst, mantissa, int32(-exponent.Int64())), nil
}

func (d *decoder) integer() (*big.Int, error) {
	major, n, arg, err := d.head()
	if err != nil {
		return nil, err
	}
	tag := uint64(math.MaxUint64)
	if major == majorTag {
		tag = arg
		if major, n, arg, err = d.head(); err != nil {
			return nil, err
		}
	}
	switch {
	case major == majorUint:
		return new(big.Int).SetUint64(arg), nil
	case major == majorNegative:
		i := new(big.Int).SetUint64(arg)
		return i.Not(i), nil
	case major == majorBinary && (tag == tagPositive || tag == tagNegative):
		raw, err := d.bytes(major, n, arg)
		if err != nil {
			return nil, err
		}
		return d.bigInt(raw, tag)
	}
	return nil, d.corrupt("a decimal fraction of something other than integers")
}

func appendNegative(dst []byte, arg uint64) []byte {
	if arg <= math.MaxInt64 {
		return strconv.AppendInt(dst, ^int64(arg), 10)
	}
	i := new(big.Int).SetUint64(arg)
	return i.Not(i).Append(dst, 10)
}

func (d *decoder) corrupt(format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", ErrCorrupt, d.start, fmt.Sprintf(format, args...))
}
