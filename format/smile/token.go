package smile

import (
	"bytes"
	"math"
	"math/big"
	"unicode/utf8"
)

// kind is what a value token is.
type kind uint8

const (
	kindNull kind = iota
	kindFalse
	kindTrue
	kindInt     // int
	kindFloat32 // float
	kindFloat64 // float
	kindBigInt  // big
	kindDecimal // big, scale
	kindString  // bytes
	kindShared  // values.at[ref]
	kindBinary  // bytes
	kindArray
	kindObject
)

// keyKind is what a key token is.
type keyKind uint8

const (
	keyLiteral keyKind = iota // bytes
	keyShared                 // names.at[ref]
	keyEnd
)

// maxNumber bounds big numbers in bytes: turning one into decimal digits takes more than linear time. Their
// writers stop far below.
const maxNumber = 16 << 10

// endOfContent is the marker that may follow the value.
const endOfContent = 0xff

// endOfText ends a text of any length. No byte of UTF-8 is like it.
const endOfText = 0xfc

type decoder struct {
	data  []byte
	pos   int
	start int // of the token at hand, for errors
	limit int // of the output in bytes

	ordered bool // objects are tree.Object

	names, values table

	// The token's payload.
	bytes []byte // within data, or in room
	int   int64
	float float64
	big   *big.Int
	scale int32
	ref   int
	room  []byte
}

// A table holds what may be referred to.
type table struct {
	on bool
	at []shared
}

type shared struct {
	raw  []byte
	text string // of raw once asked for
}

const tableSize = 1024

func (t *table) add(raw []byte) {
	if !t.on {
		return
	}
	if len(t.at) == tableSize {
		t.at = t.at[:0]
	}
	t.at = append(t.at, shared{raw: raw})
}

// text gives an entry as a string that all references share.
func (t *table) text(i int) string {
	s := &t.at[i]
	if s.text == "" {
		s.text = string(s.raw)
	}
	return s.text
}

func newDecoder(data []byte) (*decoder, error) {
	d := &decoder{data: data}
	if len(data) < len(Header)+1 || string(data[:len(Header)]) != Header {
		return nil, d.corrupt("no header")
	}
	flags := data[len(Header)]
	d.start = len(Header)
	if flags>>4 != 0 {
		return nil, d.corrupt("version %d, only 0 is known", flags>>4)
	}
	d.names.on = flags&1 != 0
	d.values.on = flags&2 != 0
	d.pos = len(Header) + 1
	return d, nil
}

// end checks that nothing follows the value.
func (d *decoder) end() error {
	d.start = d.pos
	if d.pos < len(d.data) && d.data[d.pos] != endOfContent {
		return d.corrupt("%d bytes after the value", len(d.data)-d.pos)
	}
	return nil
}

// token reads a value token; of an array or object, the beginning.
func (d *decoder) token() (kind, error) {
	d.start = d.pos
	if d.pos >= len(d.data) {
		return 0, d.cut("a value")
	}
	t := d.data[d.pos]
	d.pos++
	switch t >> 5 {
	case 0:
		if t == 0 {
			break
		}
		return kindShared, d.refer(&d.values, int(t)-1, "value")
	case 1:
		return d.literal(t)
	case 2, 3:
		return kindString, d.shortText(int(t-0x40)+1, true, &d.values)
	case 4, 5:
		return kindString, d.shortText(int(t-0x80)+2, false, &d.values)
	case 6:
		d.int = unzigzag(uint64(t & 0x1f))
		return kindInt, nil
	case 7:
		switch t {
		case 0xe0, 0xe4:
			return kindString, d.longText(t == 0xe0)
		case 0xe8:
			raw, err := d.sevenBit("binary", math.MaxInt32)
			d.bytes = raw
			return kindBinary, err
		case 0xec, 0xed, 0xee, 0xef:
			return kindShared, d.longRef(&d.values, t, "value")
		case 0xf8:
			return kindArray, nil
		case 0xfa:
			return kindObject, nil
		case 0xfd:
			n, err := d.vint(math.MaxInt32)
			if err != nil {
				return 0, err
			}
			return kindBinary, d.take(int(n), "binary")
		}
	}
	return 0, d.corrupt("byte %#02x where a value should begin", t)
}

func (d *decoder) literal(t byte) (kind, error) {
	switch t {
	case 0x20:
		d.bytes = nil
		return kindString, nil
	case 0x21:
		return kindNull, nil
	case 0x22:
		return kindFalse, nil
	case 0x23:
		return kindTrue, nil
	case 0x24:
		v, err := d.vint(math.MaxUint32)
		d.int = unzigzag(v)
		return kindInt, err
	case 0x25:
		v, err := d.vint(math.MaxUint64)
		d.int = unzigzag(v)
		return kindInt, err
	case 0x26:
		return kindBigInt, d.readBig()
	case 0x28:
		return kindFloat32, d.readFloat32()
	case 0x29:
		return kindFloat64, d.readFloat64()
	case 0x2a:
		scale, err := d.vint(math.MaxUint32)
		if err != nil {
			return 0, err
		}
		d.scale = int32(unzigzag(scale))
		return kindDecimal, d.readBig()
	}
	return 0, d.corrupt("byte %#02x where a value should begin", t)
}

// endOfArray consumes the end of an array when it is next.
func (d *decoder) endOfArray() (bool, error) {
	if d.pos >= len(d.data) {
		d.start = d.pos
		return false, d.cut("an array")
	}
	if d.data[d.pos] != 0xf9 {
		return false, nil
	}
	d.pos++
	return true, nil
}

// key reads a name or the end of an object.
func (d *decoder) key() (keyKind, error) {
	d.start = d.pos
	if d.pos >= len(d.data) {
		return 0, d.cut("an object")
	}
	t := d.data[d.pos]
	d.pos++
	switch {
	case t == 0x20:
		d.bytes = nil
		return keyLiteral, nil
	case t >= 0x30 && t <= 0x33:
		return keyShared, d.longRef(&d.names, t, "name")
	case t == 0x34:
		err := d.longText(false)
		if err == nil {
			d.names.add(d.bytes)
		}
		return keyLiteral, err
	case t >= 0x40 && t <= 0x7f:
		return keyShared, d.refer(&d.names, int(t&0x3f), "name")
	case t >= 0x80 && t <= 0xbf:
		return keyLiteral, d.shortText(int(t&0x3f)+1, true, &d.names)
	case t >= 0xc0 && t <= 0xf7:
		return keyLiteral, d.shortText(int(t-0xc0)+2, false, &d.names)
	case t == 0xfb:
		return keyEnd, nil
	}
	return 0, d.corrupt("byte %#02x where a name should begin", t)
}

func (d *decoder) longRef(t *table, token byte, what string) error {
	if d.pos >= len(d.data) {
		return d.cut("a reference")
	}
	low := d.data[d.pos]
	d.pos++
	return d.refer(t, int(token&3)<<8|int(low), what)
}

func (d *decoder) refer(t *table, i int, what string) error {
	if i >= len(t.at) {
		return d.corrupt("reference to shared %s %d, there are %d", what, i, len(t.at))
	}
	d.ref = i
	return nil
}

func (d *decoder) shortText(n int, ascii bool, t *table) error {
	if err := d.take(n, "text"); err != nil {
		return err
	}
	if err := d.checkText(ascii); err != nil {
		return err
	}
	t.add(d.bytes)
	return nil
}

func (d *decoder) longText(ascii bool) error {

	n := bytes.IndexByte(d.data[d.pos:], endOfText)
	if n < 0 {
		return d.corrupt("text without an end")
	}
	d.bytes = d.data[d.pos : d.pos+n]
	d.pos += n + 1
	return d.checkText(ascii)
}

func (d *decoder) checkText(ascii bool) error {
	if !ascii {
		if !utf8.Valid(d.bytes) {
			return d.corrupt("text is not UTF-8")
		}
		return nil
	}
	var or byte
	for _, c := range d.bytes {
		or |= c
	}
	if or >= utf8.RuneSelf {
		return d.corrupt("text is not ASCII")
	}
	return nil
}

func (d *decoder) take(n int, what string) error {
	if n > len(d.data)-d.pos {
		return d.corrupt("%s of %d bytes, %d are left", what, n, len(d.data)-d.pos)
	}
	d.bytes = d.data[d.pos : d.pos+n]
	d.pos += n
	return nil
}

// vint reads an unsigned number up to limit.
func (d *decoder) vint(limit uint64) (uint64, error) {
	var v uint64
	for ; d.pos < len(d.data); d.pos++ {
		c := d.data[d.pos]
		if c&0x80 == 0 {
			if v > math.MaxUint64>>7 {
				return 0, d.corrupt("integer of more than 64 bits")
			}
			v = v<<7 | uint64(c)
			continue
		}
		if c&0x40 != 0 {
			return 0, d.corrupt("integer with byte %#02x", c)
		}
		d.pos++
		if v > math.MaxUint64>>6 {
			return 0, d.corrupt("integer of more than 64 bits")
		}
		if v = v<<6 | uint64(c&0x3f); v > limit {
			return 0, d.corrupt("integer %d, at most %d may stand here", v, limit)
		}
		return v, nil
	}
	return 0, d.cut("an integer")
}

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// sevenBit reads a length and as many bytes, of which each seven are written as eight of seven bits. The last
// byte of a shorter group holds its bits on the right. The result is valid until the next call.
func (d *decoder) sevenBit(what string, limit uint64) ([]byte, error) {
	length, err := d.vint(limit)
	if err != nil {
		return nil, err
	}
	n := int(length)
	written := n / 7 * 8
	if n%7 > 0 {
		written += n%7 + 1
	}
	if err := d.take(written, what); err != nil {
		return nil, err
	}
	in := d.bytes
	var or byte
	for _, c := range in {
		or |= c
	}
	if or >= 0x80 {
		return nil, d.corrupt("%s with a byte of eight bits", what)
	}
	out := d.room[:0]
	if cap(out) < n {
		out = make([]byte, 0, n)
	}
	for len(in) >= 8 {
		v := uint64(0)
		for _, c := range in[:8] {
			v = v<<7 | uint64(c)
		}
		out = append(out, byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
		in = in[8:]
	}
	if rest := len(in) - 1; rest > 0 {
		v := uint64(0)
		for _, c := range in[:rest] {
			v = v<<7 | uint64(c)
		}
		v = v<<rest | uint64(in[rest])&(1<<rest-1)
		for shift := 8 * (rest - 1); shift >= 0; shift -= 8 {
			out = append(out, byte(v>>shift))
		}
	}
	d.room = out
	return out, nil
}

func (d *decoder) cut(what string) error { return d.corrupt("the content ends within %s", what) }
