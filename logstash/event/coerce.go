package event

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unsafe"

	"github.com/narudata/naru/internal/jackson"
)

// AppendText appends v as %{field} prints it: numbers as Java (1.0E7), a list joined with commas, in which a map is {k=v} and
// null is empty, a map as JSON. Null and Absent are empty.
//
// The members of a map are in the order of a java.util.HashMap, which depends on their keys only.
func (v Value) AppendText(dst []byte) []byte {
	switch v.kind {
	case List:
		return appendJoined(dst, v.node.list)
	case Map:
		return appendHashJSON(dst, v)
	default:
		return v.appendScalar(dst)
	}
}

// Text is AppendText as a string. That of a String is v's own.
func (v Value) Text() string {
	switch v.kind {
	case String, Decimal:
		return v.s
	case Absent, Null:
		return ""
	default:
		return string(v.AppendText(nil))
	}
}

func (v Value) appendScalar(dst []byte) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(dst, v.n == 1)
	case Int:
		return strconv.AppendInt(dst, int64(v.n), 10)
	case Float:
		return appendJavaFloat(dst, math.Float64frombits(v.n))
	case BigInt:
		return v.node.big.Append(dst, 10)
	case String, Decimal:
		return append(dst, v.s...)
	case Time:
		return appendTime(dst, int64(v.n), v.nanos)
	default:
		return dst
	}
}

// appendJavaFloat appends a number as Double.toString prints it.
func appendJavaFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return jackson.AppendFloat64(dst, f)
}

// appendJoined is KeyNode.join: lists in the list are joined as well.
func appendJoined(dst []byte, list []Value) []byte {
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if list[i].kind == List {
			dst = appendJoined(dst, list[i].node.list)
		} else {
			dst = list[i].appendJava(dst)
		}
	}
	return dst
}

// appendJava appends toString of a value inside of a list; null is empty there.
func (v Value) appendJava(dst []byte) []byte {
	switch v.kind {
	case List:
		dst = append(dst, '[')
		for i := range v.node.list {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = v.node.list[i].appendJavaMember(dst)
		}
		return append(dst, ']')
	case Map:
		dst = append(dst, '{')
		for i, e := range hashOrder(&v.node.m) {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(append(dst, e.Key...), '=')
			dst = e.Value.appendJavaMember(dst)
		}
		return append(dst, '}')
	default:
		return v.appendScalar(dst)
	}
}

func (v Value) appendJavaMember(dst []byte) []byte {
	if v.Nil() {
		return append(dst, "null"...)
	}
	return v.appendJava(dst)
}

// appendHashJSON is AppendJSON with the members of maps in the order of a HashMap.
func appendHashJSON(dst []byte, v Value) []byte {
	switch v.kind {
	case List:
		dst = append(dst, '[')
		for i := range v.node.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendHashJSON(dst, v.node.list[i])
		}
		return append(dst, ']')
	case Map:
		dst = append(dst, '{')
		for i, e := range hashOrder(&v.node.m) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, e.Key), ':')
			dst = appendHashJSON(dst, e.Value)
		}
		return append(dst, '}')
	default:
		return AppendJSON(dst, v)
	}
}

// hashOrder gives the members of a map in the order in which a java.util.HashMap that was made for their number has them: by
// the lower bits of the hash, then as they were set.
func hashOrder(f *Fields) []Entry {
	if len(f.entries) < 2 {
		return f.entries
	}
	room := 1
	for room < len(f.entries) {
		room *= 2
	}
	if 4*len(f.entries) > 3*room {
		room *= 2
	}
	type placed struct {
		bucket uint32
		entry  int
	}
	order := make([]placed, len(f.entries))
	for i := range f.entries {
		h := javaHash(f.entries[i].Key)
		order[i] = placed{(h ^ h>>16) & uint32(room-1), i}
	}
	slices.SortStableFunc(order, func(a, b placed) int { return int(a.bucket) - int(b.bucket) })
	out := make([]Entry, len(order))
	for i, p := range order {
		out[i] = f.entries[p.entry]
	}
	return out
}

// javaHash is String.hashCode, over units of UTF-16.
func javaHash(s string) uint32 {
	var h uint32
	for _, r := range s {
		if r >= 0x10000 {
			high, low := utf16.EncodeRune(r)
			h = (h*31+uint32(high))*31 + uint32(low)
		} else {
			h = h*31 + uint32(r)
		}
	}
	return h
}

// Truthy is the meaning of `if [field]`: neither absent nor null, and its text neither empty nor "false".
func (v Value) Truthy() bool {
	switch v.kind {
	case Absent, Null:
		return false
	case Bool:
		return v.n == 1
	case String:
		return v.s != "" && v.s != "false"
	default:
		return true
	}
}

// bytesOf gives the bytes of s, which must not be changed.
func bytesOf(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // read only
}
