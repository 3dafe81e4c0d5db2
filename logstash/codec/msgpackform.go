package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/narudata/naru/logstash/event"
)

// MessagePack is a byte that says what follows, and what follows, in big endian order.
//
//	0xxxxxxx  integer 0…127              1000xxxx  map of x pairs           1001xxxx  list of x
//	101xxxxx  text of x bytes            c0 nil   c2 false   c3 true        111xxxxx  integer −32…−1
//	c4 c5 c6  bytes, length in 8, 16, 32 bits      c7 c8 c9 d4…d8  extensions
//	ca cb     float of 32, 64 bits                 cc cd ce cf  unsigned of 8…64 bits
//	d0…d3     signed of 8…64 bits                  d9 da db     text, length in 8, 16, 32 bits
//	dc dd     list, length in 16, 32 bits          de df        map, length in 16, 32 bits
//
// Source: the specification of MessagePack (github.com/msgpack/msgpack, spec.md).

var (
	errMsgpackEnd  = errors.New("it ends too early")
	errMsgpackMap  = errors.New("it is no map")
	errMsgpackMore = errors.New("something follows the value")
	errMsgpackDeep = fmt.Errorf("more than %d lists and maps inside of each other", event.MaxDepth)
)

type msgpackReader struct {
	in []byte
	at int
}

// parseMsgpack reads one value, which must be all there is.
func parseMsgpack(in []byte) (event.Value, error) {
	r := &msgpackReader{in: in}
	v, err := r.value(0)
	if err == nil && r.at < len(in) {
		err = errMsgpackMore
	}
	if err != nil {
		return event.Value{}, fmt.Errorf("byte %d: %w", r.at, err)
	}
	return v, nil
}

// take gives the next n bytes.
func (r *msgpackReader) take(n int) ([]byte, error) {
	if n < 0 || n > len(r.in)-r.at {
		return nil, errMsgpackEnd
	}
	out := r.in[r.at : r.at+n]
	r.at += n
	return out, nil
}

// number gives an unsigned number of 1, 2, 4 or 8 bytes.
func (r *msgpackReader) number(size int) (uint64, error) {
	b, err := r.take(size)
	if err != nil {
		return 0, err
	}
	var room [8]byte
	copy(room[8-size:], b)
	return binary.BigEndian.Uint64(room[:]), nil
}

// length gives a length of 1, 2 or 4 bytes; it cannot be more than the bytes that are left.
func (r *msgpackReader) length(size int) (int, error) {
	n, err := r.number(size)
	if err != nil {
		return 0, err
	}
	if n > uint64(len(r.in)-r.at) { //nolint:gosec // never negative
		return 0, errMsgpackEnd
	}
	return int(n), nil //nolint:gosec // not more than there is
}

func (r *msgpackReader) value(depth int) (event.Value, error) {
	head, err := r.take(1)
	if err != nil {
		return event.Value{}, err
	}
	switch c := head[0]; {
	case c <= 0x7f:
		return event.IntValue(int64(c)), nil
	case c <= 0x8f:
		return r.pairs(int(c&0x0f), depth)
	case c <= 0x9f:
		return r.list(int(c&0x0f), depth)
	case c <= 0xbf:
		return r.text(int(c & 0x1f))
	case c == 0xc0:
		return event.NullValue, nil
	case c == 0xc2 || c == 0xc3:
		return event.BoolValue(c == 0xc3), nil
	case c >= 0xc4 && c <= 0xc6:
		return r.sized(1<<(c-0xc4), func(n int) (event.Value, error) { return r.text(n) })
	case c == 0xca:
		n, err := r.number(4)
		return event.FloatValue(float64(math.Float32frombits(uint32(n)))), err //nolint:gosec // of four bytes
	case c == 0xcb:
		n, err := r.number(8)
		return event.FloatValue(math.Float64frombits(n)), err
	case c >= 0xcc && c <= 0xcf:
		n, err := r.number(1 << (c - 0xcc))
		return event.BigValue(new(big.Int).SetUint64(n)), err
	case c >= 0xd0 && c <= 0xd3:
		size := 1 << (c - 0xd0)
		n, err := r.number(size)
		unused := 64 - 8*size
		return event.IntValue(int64(n<<unused) >> unused), err //nolint:gosec // the sign is that of the bytes
	case c >= 0xd9 && c <= 0xdb:
		return r.sized(1<<(c-0xd9), func(n int) (event.Value, error) { return r.text(n) })
	case c == 0xdc || c == 0xdd:
		return r.sized(2<<(c-0xdc), func(n int) (event.Value, error) { return r.list(n, depth) })
	case c == 0xde || c == 0xdf:
		return r.sized(2<<(c-0xde), func(n int) (event.Value, error) { return r.pairs(n, depth) })
	case c >= 0xe0:
		return event.IntValue(int64(int8(c))), nil //nolint:gosec // a negative number
	default:
		return event.Value{}, fmt.Errorf("the type %#x is not known", c)
	}
}

func (r *msgpackReader) sized(size int, read func(n int) (event.Value, error)) (event.Value, error) {
	n, err := r.length(size)
	if err != nil {
		return event.Value{}, err
	}
	return read(n)
}

func (r *msgpackReader) text(n int) (event.Value, error) {
	b, err := r.take(n)
	return event.StringValue((*charset)(nil).text(b)), err
}

func (r *msgpackReader) list(n, depth int) (event.Value, error) {
	if depth >= event.MaxDepth {
		return event.Value{}, errMsgpackDeep
	}
	if n > len(r.in)-r.at {
		return event.Value{}, errMsgpackEnd
	}
	list := make([]event.Value, n)
	for i := range list {
		var err error
		if list[i], err = r.value(depth + 1); err != nil {
			return event.Value{}, err
		}
	}
	return event.ListValue(list), nil
}

func (r *msgpackReader) pairs(n, depth int) (event.Value, error) {
	if depth >= event.MaxDepth {
		return event.Value{}, errMsgpackDeep
	}
	v := event.MapValue()
	for range n {
		key, err := r.value(depth + 1)
		if err != nil {
			return event.Value{}, err
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return event.Value{}, err
		}
		v.Map().Set(key.Text(), value)
	}
	return v, nil
}

// appendMsgpack appends a value in its shortest form.
func appendMsgpack(dst []byte, v event.Value, depth int) []byte {
	if depth > event.MaxDepth {
		return append(dst, 0xc0) // no event that was read is so deep
	}
	switch v.Kind() {
	case event.Bool:
		if v.Bool() {
			return append(dst, 0xc3)
		}
		return append(dst, 0xc2)
	case event.Int:
		return appendMsgpackInt(dst, v.Int())
	case event.BigInt:
		if v.Big().IsUint64() {
			return binary.BigEndian.AppendUint64(append(dst, 0xcf), v.Big().Uint64())
		}
		f, _ := new(big.Float).SetInt(v.Big()).Float64()
		return appendMsgpackFloat(dst, f)
	case event.Float:
		return appendMsgpackFloat(dst, v.Float())
	case event.Decimal:
		f, err := strconv.ParseFloat(v.Text(), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return append(dst, 0xc0)
		}
		return appendMsgpackFloat(dst, f)
	case event.String:
		return appendMsgpackText(dst, v.Str())
	case event.Time:
		return appendMsgpackTime(dst, v.Time())
	case event.List:
		list := v.List()
		dst = appendMsgpackLength(dst, len(list), 0x90, 0xdc)
		for i := range list {
			dst = appendMsgpack(dst, list[i], depth+1)
		}
		return dst
	case event.Map:
		return appendMsgpackMap(dst, v.Map().Entries(), depth)
	default:
		return append(dst, 0xc0)
	}
}

func appendMsgpackMap(dst []byte, entries []event.Entry, depth int) []byte {
	dst = appendMsgpackLength(dst, len(entries), 0x80, 0xde)
	for i := range entries {
		dst = appendMsgpackText(dst, entries[i].Key)
		dst = appendMsgpack(dst, entries[i].Value, depth+1)
	}
	return dst
}

// appendMsgpackLength begins a list or map: short has four bits of room, long is followed by 16 bits, long+1 by 32.
func appendMsgpackLength(dst []byte, n int, short, long byte) []byte {
	switch {
	case n < 16:
		return append(dst, short|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, long), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, long+1), uint32(n)) //nolint:gosec // no event has more
}

func appendMsgpackText(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n)) //nolint:gosec // no text is longer
	}
	return append(dst, s...)
}

func appendMsgpackTime(dst []byte, t time.Time) []byte {
	var room [40]byte
	return appendMsgpackText(dst, string(event.AppendTime(room[:0], t)))
}

func appendMsgpackFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

func appendMsgpackInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0 && n <= 0x7f || n < 0 && n >= -32:
		return append(dst, byte(n)) //nolint:gosec // two's complement
	case n >= 0 && n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n >= 0 && n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n >= 0 && n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	case n >= 0:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), uint64(n))
	case n >= math.MinInt8:
		return append(dst, 0xd0, byte(n)) //nolint:gosec // two's complement
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(n)) //nolint:gosec // two's complement
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n)) //nolint:gosec // two's complement
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n)) //nolint:gosec // two's complement
}
