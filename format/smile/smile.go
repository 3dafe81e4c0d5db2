// Package smile reads and writes SMILE, the binary JSON in which Elasticsearch and OpenSearch keep the metadata of
// snapshots, and documents that a client sent so.
//
// Source: https://github.com/FasterXML/smile-format-specification (version 1.0.6), and Jackson's encoder
// where the two differ.
//
//	header  3A 29 0A  flags        ":)\n"; bit 0 shared names, 1 shared values, 2 raw binary; 4-7 version 0
//	value   01-1F                  string, reference to shared value 0-30
//	        20 21 22 23            "" null false true
//	        24 / 25  vint          int32 / int64, zigzag
//	        26  vint n, 7-bit      big integer: n bytes, two's complement, big-endian
//	        28 / 29  5 / 10 bytes  float32 / float64, big-endian, 7 bits a byte, right-aligned
//	        2A  vint, vint n, 7-bit  big decimal: scale (zigzag), unscaled value as in 26
//	        40-7F                  string, ASCII, 1-64 bytes
//	        80-BF                  string, UTF-8, 2-65 bytes
//	        C0-DF                  -16 to 15, zigzag
//	        E0 / E4 … FC           string of any length, ASCII / UTF-8
//	        E8  vint n, 7-bit      binary
//	        EC-EF  byte            string, reference to shared value, 10 bits
//	        F8 values F9           array
//	        FA (key value)* FB     object
//	        FD  vint n, n bytes    binary
//	key     20                     ""
//	        30-33  byte            reference to shared name, 10 bits
//	        34 … FC                name of any length
//	        40-7F                  reference to shared name 0-63
//	        80-BF                  ASCII, 1-64 bytes
//	        C0-F7                  UTF-8, 2-57 bytes
//	FF after the value             end of content
//
// A vint has its most significant group first; the last byte has bit 7 set and 6 bits of data, the others 7.
//
// Every name that is spelt out takes the next place in the table of shared names, also one of 34, whatever
// its length (the specification's limit of 64 bytes is not what Jackson does). The values of 40-BF take places
// in the table of shared values. A table that holds 1024 is emptied before the next is added.
package smile

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/narudata/naru/format/tree"
	"github.com/narudata/naru/internal/jackson"
)

// ErrCorrupt marks every error about the content.
var ErrCorrupt = errors.New("corrupt smile")

// Header is what SMILE content begins with; a byte of flags follows.
const Header = ":)\n"

// maxDepth bounds nesting. Elasticsearch refuses mappings far below, and JSON below 1000.
const maxDepth = 1000

// An object of more bytes than these as JSON is refused: references that stand for long names or values
// would otherwise make a small input a huge one. A reference costs one byte and stands for 65.
const (
	maxGrowth = 72
	maxFree   = 16 << 20
)

// Decode gives the value: map[string]any, []any, string, []byte (a copy), bool, nil, int64, *big.Int,
// float32, float64, or json.Number for a big decimal. Lists and maps are never nil. Of equal keys in an object the last wins.
func Decode(data []byte) (any, error) {
	d, err := newDecoder(data)
	if err != nil {
		return nil, err
	}
	return d.whole()
}

// DecodeTree gives the value as Decode does, but objects are tree.Object: members in the order of the content,
// equal keys as often as they occur.
func DecodeTree(data []byte) (any, error) {
	d, err := newDecoder(data)
	if err != nil {
		return nil, err
	}
	d.ordered = true
	return d.whole()
}

// AppendJSON appends the value as JSON, in the order of the content, as the servers print it: binary in
// base64, equal keys as often as they occur.
func AppendJSON(dst, data []byte) ([]byte, error) {
	d, err := newDecoder(data)
	if err != nil {
		return dst, err
	}
	d.limit = len(dst) + maxFree + maxGrowth*len(data)
	out, err := d.appendValue(dst, 0)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// whole reads the value and the end of the content.
func (d *decoder) whole() (any, error) {
	v, err := d.value(0)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (d *decoder) value(depth int) (any, error) {
	kind, err := d.token()
	if err != nil {
		return nil, err
	}
	switch kind {
	case kindNull:
		return nil, nil
	case kindFalse, kindTrue:
		return kind == kindTrue, nil
	case kindInt:
		return d.int, nil
	case kindFloat32:
		return float32(d.float), nil
	case kindFloat64:
		return d.float, nil
	case kindBigInt:
		return d.big, nil
	case kindDecimal:
		return json.Number(jackson.AppendDecimal(nil, d.big, d.scale)), nil
	case kindString:
		return string(d.bytes), nil
	case kindShared:
		return d.values.text(d.ref), nil
	case kindBinary:
		return append([]byte{}, d.bytes...), nil
	case kindArray:
		return d.array(depth + 1)
	default:
		return d.object(depth + 1)
	}
}

func (d *decoder) array(depth int) (any, error) {
	if depth > maxDepth {
		return nil, d.corrupt("nested deeper than %d", maxDepth)
	}
	list := []any{}
	for {
		if done, err := d.endOfArray(); err != nil || done {
			return list, err
		}
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

func (d *decoder) object(depth int) (any, error) {
	if depth > maxDepth {
		return nil, d.corrupt("nested deeper than %d", maxDepth)
	}
	var m map[string]any
	o := tree.Object{}
	if !d.ordered {
		m = map[string]any{}
	}
	for {
		kind, err := d.key()
		if err != nil {
			return nil, err
		}
		var name string
		switch kind {
		case keyEnd:
			if d.ordered {
				return o, nil
			}
			return m, nil
		case keyShared:
			name = d.names.text(d.ref)
		default:
			name = string(d.bytes)
		}
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		if d.ordered {
			o = append(o, tree.Member{Name: name, Value: v})
		} else {
			m[name] = v
		}
	}
}

func (d *decoder) appendValue(dst []byte, depth int) ([]byte, error) {
	kind, err := d.token()
	if err != nil {
		return nil, err
	}
	switch kind {
	case kindNull:
		return append(dst, "null"...), nil
	case kindFalse:
		return append(dst, "false"...), nil
	case kindTrue:
		return append(dst, "true"...), nil
	case kindInt:
		return strconv.AppendInt(dst, d.int, 10), nil
	case kindFloat32:
		return jackson.AppendFloat32(dst, float32(d.float)), nil
	case kindFloat64:
		return jackson.AppendFloat64(dst, d.float), nil
	case kindBigInt:
		return d.big.Append(dst, 10), nil
	case kindDecimal:
		return jackson.AppendDecimal(dst, d.big, d.scale), nil
	case kindString:
		return jackson.AppendString(dst, d.bytes), nil
	case kindShared:
		return d.bounded(jackson.AppendString(dst, d.values.at[d.ref].raw))
	case kindBinary:
		return jackson.AppendBase64(dst, d.bytes), nil
	case kindArray:
		return d.appendArray(dst, depth+1)
	default:
		return d.appendObject(dst, depth+1)
	}
}

func (d *decoder) appendArray(dst []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, d.corrupt("nested deeper than %d", maxDepth)
	}
	dst = append(dst, '[')
	for first := true; ; first = false {
		done, err := d.endOfArray()
		if err != nil {
			return nil, err
		}
		if done {
			return append(dst, ']'), nil
		}
		if !first {
			dst = append(dst, ',')
		}
		if dst, err = d.appendValue(dst, depth); err != nil {
			return nil, err
		}
	}
}

func (d *decoder) appendObject(dst []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, d.corrupt("nested deeper than %d", maxDepth)
	}
	dst = append(dst, '{')
	for first := true; ; first = false {
		kind, err := d.key()
		if err != nil {
			return nil, err
		}
		if kind == keyEnd {
			return append(dst, '}'), nil
		}
		if !first {
			dst = append(dst, ',')
		}
		name := d.bytes
		if kind == keyShared {
			name = d.names.at[d.ref].raw
		}
		if dst, err = d.bounded(jackson.AppendString(dst, name)); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		if dst, err = d.appendValue(dst, depth); err != nil {
			return nil, err
		}
	}
}

// bounded refuses output that has outgrown its input.
func (d *decoder) bounded(dst []byte) ([]byte, error) {
	if len(dst) > d.limit {
		return nil, d.corrupt("references make it larger than %d bytes", d.limit)
	}
	return dst, nil
}

func (d *decoder) corrupt(format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", ErrCorrupt, d.start, fmt.Sprintf(format, args...))
}

func (d *decoder) readBig() error {
	raw, err := d.sevenBit("number", maxNumber)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		d.scale = 0 // Jackson reads a number without digits as 0, whatever its scale
	}
	d.big = new(big.Int).SetBytes(raw)
	if len(raw) > 0 && raw[0] >= 0x80 {
		one := big.NewInt(1)
		d.big.Sub(d.big, one.Lsh(one, uint(8*len(raw))))
	}
	return nil
}

func (d *decoder) readFloat(width int) (uint64, error) {
	if len(d.data)-d.pos < width {
		return 0, d.cut("a floating-point number")
	}
	var bits uint64
	for _, c := range d.data[d.pos : d.pos+width] {
		if c >= 0x80 {
			return 0, d.corrupt("floating-point number with byte %#02x", c)
		}
		bits = bits<<7 | uint64(c)
	}
	d.pos += width
	return bits, nil
}

func (d *decoder) readFloat32() error {
	bits, err := d.readFloat(5) // the bits above 32 repeat the sign
	d.float = float64(math.Float32frombits(uint32(bits)))
	return err
}

func (d *decoder) readFloat64() error {
	bits, err := d.readFloat(10)
	d.float = math.Float64frombits(bits)
	return err
}
