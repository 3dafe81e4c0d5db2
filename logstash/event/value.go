// Package event is Logstash's event: a map of fields, metadata beside it, references to fields, the coercions between
// types, and references inside of texts (%{field}).
//
// Source: org.logstash.Event, ConvertedMap, Valuifier, FieldReference, Accessors, Timestamp and StringInterpolation of
// logstash-core 8.19. What is said here to be "as Ruby" or "as Java" was recorded from it.
//
// Strings of an event may be parts of the input it was read from, without a copy: they are valid as long as the batch
// that the event is of. Whoever keeps one longer clones it (strings.Clone). Events, maps and lists are not safe for
// concurrent use.
package event

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"time"
)

// A Kind says what a Value is.
type Kind uint8

// The kinds. Absent is the zero Value: no value at all, other than Null.
const (
	Absent  Kind = iota
	Null         // nil in Ruby
	Bool         // true or false
	Int          // java.lang.Long
	Float        // java.lang.Double
	BigInt       // java.math.BigInteger: beyond 64 bits
	Decimal      // java.math.BigDecimal: its text counts
	String       // UTF-8
	Time         // org.logstash.Timestamp: an instant, to the nanosecond
	List         // java.util.List
	Map          // java.util.Map, with keys in the order they were set
)

// String names the kind.
func (k Kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "an integer", "a float", "a big integer", "a decimal", "a string",
		"a timestamp", "a list", "a map"}[k]
}

// A Value is what a field holds. The zero Value is Absent. Values are small and copied; lists and maps are shared by
// copies, until Clone.
type Value struct {
	kind  Kind
	nanos uint32 // of Time
	n     uint64 // Bool, Int, Float; seconds of Time
	s     string // String; the digits of Decimal
	node  *node
}

// A node is what does not fit into a Value.
type node struct {
	list    []Value
	m       Fields
	big     *big.Int
	foreign bool // the room of list belongs to who gave it
}

// Kind says what v is.
func (v Value) Kind() Kind { return v.kind }

// Is reports that v is there, be it null.
func (v Value) Is() bool { return v.kind != Absent }

// Nil reports that v is null or absent: nil in Ruby.
func (v Value) Nil() bool { return v.kind <= Null }

// NullValue is null.
var NullValue = Value{kind: Null}

// hole is what a list is filled up with when an element is set behind its end: null to everyone, but a reference through
// it may make a map of it, as if there was nothing (Java's null, where NullValue is Ruby's nil).
var hole = Value{kind: Null, n: 1}

// there reports that v is a value, be it null, and no hole.
func (v *Value) there() bool { return v.kind > Null || v.kind == Null && v.n != hole.n }

// IsNumber reports that v is Int, Float, BigInt or Decimal.
func (v Value) IsNumber() bool { return v.kind >= Int && v.kind <= Decimal }

// StringValue is a text.
func StringValue(s string) Value { return Value{kind: String, s: s} }

// BoolValue is true or false.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, n: 1}
	}
	return Value{kind: Bool}
}

// IntValue is an integer.
func IntValue(n int64) Value { return Value{kind: Int, n: uint64(n)} }

// FloatValue is a floating-point number.
func FloatValue(f float64) Value { return Value{kind: Float, n: math.Float64bits(f)} }

// BigValue is an integer of any size: Int if it fits.
func BigValue(b *big.Int) Value {
	if b.IsInt64() {
		return IntValue(b.Int64())
	}
	return Value{kind: BigInt, node: &node{big: b}}
}

// DecimalValue is a decimal number with its text as java.math.BigDecimal prints it ("1.10", "1E+3").
func DecimalValue(text string) Value { return Value{kind: Decimal, s: text} }

// TimeValue is an instant.
func TimeValue(t time.Time) Value {
	return Value{kind: Time, n: uint64(t.Unix()), nanos: uint32(t.Nanosecond())}
}

// ListValue is a list; it takes over the slice.
func ListValue(list []Value) Value { return Value{kind: List, node: &node{list: list}} }

// StringsValue is a list of texts.
func StringsValue(texts ...string) Value {
	list := make([]Value, len(texts))
	for i, s := range texts {
		list[i] = StringValue(s)
	}
	return ListValue(list)
}

// MapValue is an empty map.
func MapValue() Value { return Value{kind: Map, node: &node{}} }

// Bool of a Bool; false for others.
func (v Value) Bool() bool { return v.kind == Bool && v.n == 1 }

// Int of an Int; 0 for others.
func (v Value) Int() int64 {
	if v.kind != Int {
		return 0
	}
	return int64(v.n)
}

// Float of a Float; 0 for others.
func (v Value) Float() float64 {
	if v.kind != Float {
		return 0
	}
	return math.Float64frombits(v.n)
}

// Big of a BigInt; nil for others. It must not be changed.
func (v Value) Big() *big.Int {
	if v.kind != BigInt {
		return nil
	}
	return v.node.big
}

// Str of a String; "" for others. Text gives any value as text.
func (v Value) Str() string {
	if v.kind != String {
		return ""
	}
	return v.s
}

// Time of a Time, in UTC; the zero time for others.
func (v Value) Time() time.Time {
	if v.kind != Time {
		return time.Time{}
	}
	return time.Unix(int64(v.n), int64(v.nanos)).UTC()
}

// List gives the elements of a List, nil for others. They may be changed in place.
func (v Value) List() []Value {
	if v.kind != List {
		return nil
	}
	return v.node.list
}

// Append appends to a List in place: all copies of v see it.
func (v Value) Append(more ...Value) { v.node.list = append(v.node.list, more...) }

// SetList replaces the elements of a List in place.
func (v Value) SetList(list []Value) { v.node.list, v.node.foreign = list, true }

// Map gives the members of a Map, nil for others. What is set in them is set for all copies of v.
func (v Value) Map() *Fields {
	if v.kind != Map {
		return nil
	}
	return &v.node.m
}

// Clone gives a copy that shares nothing that can be changed.
func (v Value) Clone() Value { return v.clone(nil) }

// clone is Clone in an arena.
func (v Value) clone(in *Arena) Value {
	switch v.kind {
	case List:
		n := in.node()
		n.list = slices.Grow(n.list, len(v.node.list))
		for i := range v.node.list {
			n.list = append(n.list, v.node.list[i].clone(in))
		}
		v.node = n
	case Map:
		n := in.node()
		v.node.m.copyTo(&n.m, in)
		v.node = n
	default:
	}
	return v
}

// Own gives a copy of v that keeps nothing of the input that v was read from.
func (v Value) Own() Value {
	v.s = strings.Clone(v.s)
	switch v.kind {
	case List:
		list := make([]Value, len(v.node.list))
		for i, e := range v.node.list {
			list[i] = e.Own()
		}
		v.node = &node{list: list}
	case Map:
		owned := &node{}
		for _, e := range v.node.m.entries {
			owned.m.Set(strings.Clone(e.Key), e.Value.Own())
		}
		v.node = owned
	default:
	}
	return v
}
