package recordio

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// Values are nil, bool, int64, *big.Int, float64, string, []any, Map, Decimal or Timestamp.
type (
	// Map has its members in the order of the bytes.
	Map []Member
	// Decimal is a number as text: digits, point, exponent.
	Decimal string
	// Timestamp is a time as ISO 8601.
	Timestamp string
)

// A Member is one of a Map.
type Member struct {
	Key   string
	Value any
}

// Get gives the value of a key; nil: there is none.
func (m Map) Get(key string) any {
	for i := range m {
		if m[i].Key == key {
			return m[i].Value
		}
	}
	return nil
}

// deepest bounds how deep values are nested.
const deepest = 500

// A decoder reads CBOR (RFC 8949) as Jackson writes it with default typing: a value is a plain text, boolean, integer or
// floating-point number, or an array of two, the name of its class and the value without it; of a collection, each element is
// such a value again, of a map each value. Texts and bytes may be references to earlier ones (tags 256 and 25,
// http://cbor.schmorp.de/stringref).
//
// Source: org.logstash.ObjectMappers, com.fasterxml.jackson.dataformat.cbor.CBORGenerator.
type decoder struct {
	b     []byte
	at    int
	texts []string // that can be referred to
	refs  bool
}

type item struct {
	major byte
	info  byte
	n     uint64
}

func (i item) indefinite() bool { return i.info == 31 }

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: an event in CBOR: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

func parseTyped(b []byte) (any, error) {
	d := &decoder{b: b}
	v, err := d.typed(0)
	if err == nil && d.at != len(b) {
		err = corrupt("%d bytes follow it", len(b)-d.at)
	}
	return v, err
}

// head reads the first bytes of an item.
func (d *decoder) head() (item, error) {
	if d.at >= len(d.b) {
		return item{}, corrupt("it ends too early")
	}
	c := d.b[d.at]
	d.at++
	i := item{major: c >> 5, info: c & 31}
	switch {
	case i.info < 24:
		i.n = uint64(i.info)
	case i.info < 28:
		size := 1 << (i.info - 24)
		if len(d.b)-d.at < size {
			return item{}, corrupt("it ends too early")
		}
		for _, c := range d.b[d.at : d.at+size] {
			i.n = i.n<<8 | uint64(c)
		}
		d.at += size
	case i.info < 31:
		return item{}, corrupt("no item begins with %#x", c)
	}
	return i, nil
}

// stops reports that a collection ends, after so many elements, and takes what says so.
func (d *decoder) stops(i item, elements uint64) bool {
	if !i.indefinite() {
		return elements == i.n
	}
	if d.at < len(d.b) && d.b[d.at] == 0xff {
		d.at++
		return true
	}
	return false
}

// typed reads a value with its class, if it has one.
func (d *decoder) typed(depth int) (any, error) {
	i, err := d.head()
	if err != nil {
		return nil, err
	}
	if i.major == 6 && i.n == 256 {
		d.refs, d.texts = true, nil
		return d.typed(depth + 1)
	}
	if i.major != 4 {
		return d.value(i, depth)
	}
	if depth > deepest {
		return nil, corrupt("it is nested too deep")
	}
	if d.stops(i, 0) {
		return nil, corrupt("a value without a class")
	}
	name, err := d.text()
	if err != nil {
		return nil, err
	}
	of, err := d.head()
	if err != nil {
		return nil, err
	}
	v, err := d.value(of, depth+1)
	if err != nil {
		return nil, err
	}
	if !d.stops(i, 2) {
		return nil, corrupt("more than a value of the class %.100q", name)
	}
	if s, ok := v.(string); ok && name == "org.logstash.Timestamp" {
		return Timestamp(s), nil
	}
	return v, nil
}

// text reads a text.
func (d *decoder) text() (string, error) {
	i, err := d.head()
	if err != nil {
		return "", err
	}
	v, err := d.value(i, 0)
	s, ok := v.(string)
	if err == nil && !ok {
		err = corrupt("expected a text, found %T", v)
	}
	return s, err
}

// value reads a value without its class; the values in it have theirs.
func (d *decoder) value(i item, depth int) (any, error) {
	if depth > deepest {
		return nil, corrupt("it is nested too deep")
	}
	switch i.major {
	case 0, 1:
		if i.indefinite() {
			return nil, corrupt("a number without an end")
		}
		return integer(i), nil
	case 2, 3:
		return d.bytes(i)
	case 4:
		list := []any{}
		for n := uint64(0); !d.stops(i, n); n++ {
			v, err := d.typed(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case 5:
		m := Map{}
		for n := uint64(0); !d.stops(i, n); n++ {
			key, err := d.text()
			if err != nil {
				return nil, err
			}
			v, err := d.typed(depth + 1)
			if err != nil {
				return nil, err
			}
			m = append(m, Member{key, v})
		}
		return m, nil
	case 6:
		return d.tagged(i, depth)
	}
	switch i.info {
	case 20, 21:
		return i.info == 21, nil
	case 22, 23:
		return nil, nil
	case 25:
		return half(uint16(i.n)), nil
	case 26:
		return float64(math.Float32frombits(uint32(i.n))), nil
	case 27:
		return math.Float64frombits(i.n), nil
	}
	return nil, corrupt("no simple value %d", i.n)
}

func integer(i item) any {
	if i.n <= math.MaxInt64 {
		if i.major == 1 {
			return -1 - int64(i.n)
		}
		return int64(i.n)
	}
	n := new(big.Int).SetUint64(i.n)
	if i.major == 1 {
		n.Not(n)
	}
	return n
}

// half is a floating-point number of 16 bits.
func half(b uint16) float64 {
	sign, exponent, fraction := 1-2*float64(b>>15), int(b>>10&31), float64(b&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// bytes reads texts, and bytes, which are given as texts.
func (d *decoder) bytes(i item) (string, error) {
	if !i.indefinite() {
		if i.n > uint64(len(d.b)-d.at) {
			return "", corrupt("a text of %d bytes where %d are left", i.n, len(d.b)-d.at)
		}
		s := string(d.b[d.at : d.at+int(i.n)])
		d.at += int(i.n)
		if i.major == 3 && !utf8.ValidString(s) {
			return "", corrupt("a text that is not UTF-8")
		}
		if d.refs && len(s) >= shortest(len(d.texts)) {
			d.texts = append(d.texts, s)
		}
		return s, nil
	}
	var s []byte
	for !d.stops(i, 0) {
		part, err := d.head()
		if err != nil {
			return "", err
		}
		if part.major != i.major || part.indefinite() || part.n > uint64(len(d.b)-d.at) {
			return "", corrupt("a text has a part that is none")
		}
		s = append(s, d.b[d.at:d.at+int(part.n)]...)
		d.at += int(part.n)
	}
	if i.major == 3 && !utf8.Valid(s) {
		return "", corrupt("a text that is not UTF-8")
	}
	return string(s), nil
}

// shortest is the length from which on a text is referred to, when there are so many before it: a reference must be shorter.
func shortest(before int) int {
	switch {
	case before < 24:
		return 3
	case before < 256:
		return 4
	case before < 65536:
		return 5
	}
	return 7
}

// tagged reads what follows a tag.
func (d *decoder) tagged(tag item, depth int) (any, error) {
	switch tag.n {
	case 25:
		i, err := d.head()
		if err != nil {
			return nil, err
		}
		if i.major != 0 || i.n >= uint64(len(d.texts)) {
			return nil, corrupt("a reference to a text that is not there")
		}
		return d.texts[i.n], nil
	case 2, 3:
		i, err := d.head()
		if err != nil {
			return nil, err
		}
		if i.major != 2 && i.major != 6 {
			return nil, corrupt("a number that has no bytes")
		}
		v, err := d.value(i, depth+1)
		if err != nil {
			return nil, err
		}
		s, ok := v.(string)
		if !ok {
			return nil, corrupt("a number that has no bytes")
		}
		n := new(big.Int).SetBytes([]byte(s))
		if tag.n == 3 {
			n.Neg(n) // and not -1-n, as the standard has it
		}
		if n.IsInt64() {
			return n.Int64(), nil
		}
		return n, nil
	case 4:
		return d.decimal(depth)
	}
	i, err := d.head()
	if err != nil {
		return nil, err
	}
	return d.value(i, depth+1) // tags that only say what a value means
}

// decimal reads an exponent and digits.
func (d *decoder) decimal(depth int) (any, error) {
	array, err := d.head()
	if err != nil {
		return nil, err
	}
	var parts [2]any
	if array.major != 4 || array.n != 2 {
		return nil, corrupt("a decimal is no array of two")
	}
	for n := range parts {
		i, err := d.head()
		if err != nil {
			return nil, err
		}
		if i.major > 1 && i.major != 6 {
			return nil, corrupt("a part of a decimal is no integer")
		}
		if parts[n], err = d.value(i, depth+1); err != nil {
			return nil, err
		}
	}
	exponent, ok := parts[0].(int64)
	if !ok || exponent != int64(int32(exponent)) {
		return nil, corrupt("a decimal has the exponent %v", parts[0])
	}
	var digits string
	switch n := parts[1].(type) {
	case int64:
		digits = strconv.FormatInt(n, 10)
	case *big.Int:
		digits = n.String()
	default:
		return nil, corrupt("the digits of a decimal are no integer")
	}
	return Decimal(plain(digits, int(exponent))), nil
}

// plain writes digits with a point where that is short, or with an exponent.
func plain(digits string, exponent int) string {
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	switch point := len(digits) + exponent; {
	case exponent == 0:
		return sign + digits
	case exponent < 0 && point > 0:
		return sign + digits[:point] + "." + digits[point:]
	case exponent < 0 && point > -6:
		return sign + "0." + "00000"[:-point] + digits
	}
	return sign + digits + "E" + strconv.Itoa(exponent)
}
