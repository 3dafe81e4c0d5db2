package ruby

import (
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// Values are nil, bool, int64, *big.Int (beyond 64 bits only), float64, symbol, and pointers to the types here.
type (
	symbol string

	// A str is a string that can change. One that was read from an event is shared with it: what changes it in the same run
	// changes the event, as in Logstash.
	str struct {
		s      string
		buf    []byte       // the bytes of s with room behind, after it was appended to
		field  *event.Value // where it was read from
		run    uint64
		frozen bool
	}
	array struct {
		v      []any
		frozen bool
	}
	rng struct {
		from, to  any
		exclusive bool
	}
	regexpValue struct {
		source string
		opts   regex.Options
		re     *regex.Regexp
	}
	matchData struct {
		in     string
		re     *regexpValue
		groups []int // begin and end of each; -1: took no part
	}
	class struct {
		name      string
		super     *class
		singleton table
	}
	exception struct {
		class   *class
		message any
	}
	eventObject struct{ e *event.Event }
	mainObject  struct{}
	logger      struct{}
	// An enumerator is a method that waits for its block.
	enumerator struct {
		recv any
		name string
		fn   *builtin
		args []any
	}
	// A proc is a block, a lambda, or a method of Go.
	proc struct {
		code   *blockCode
		frame  *frame // where it was made
		native func(x *exec, args []any) any
		lambda bool
		cached *frame
		busy   bool
	}
)

// A kind of value has a table of methods.
const (
	kNil = iota
	kBool
	kInt
	kFloat
	kDecimal
	kString
	kSymbol
	kArray
	kHash
	kRange
	kRegexp
	kMatch
	kTime
	kTimestamp
	kEvent
	kProc
	kClass
	kException
	kEnumerator
	kLogger
	kElement
	kMain
	kinds
)

func kindOf(v any) int {
	switch v.(type) {
	case nil:
		return kNil
	case bool:
		return kBool
	case int64, *big.Int:
		return kInt
	case float64:
		return kFloat
	case *decimal:
		return kDecimal
	case *str:
		return kString
	case symbol:
		return kSymbol
	case *array:
		return kArray
	case *hash:
		return kHash
	case *rng:
		return kRange
	case *regexpValue:
		return kRegexp
	case *matchData:
		return kMatch
	case *timeValue:
		return kTime
	case *timestamp:
		return kTimestamp
	case *eventObject:
		return kEvent
	case *proc:
		return kProc
	case *class:
		return kClass
	case *exception:
		return kException
	case *enumerator:
		return kEnumerator
	case logger:
		return kLogger
	case *Element:
		return kElement
	default:
		return kMain
	}
}

func newClass(name string, super *class) *class { return &class{name: name, super: super} }

// The classes. Their singleton methods are in classes.go.
var (
	classObject     = newClass("Object", nil)
	classComparable = newClass("Comparable", nil)
	classEnumerable = newClass("Enumerable", nil)
	classNil        = newClass("NilClass", classObject)
	classTrue       = newClass("TrueClass", classObject)
	classFalse      = newClass("FalseClass", classObject)
	classNumeric    = newClass("Numeric", classObject)
	classInteger    = newClass("Integer", classNumeric)
	classFloat      = newClass("Float", classNumeric)
	classDecimal    = newClass("BigDecimal", classNumeric)
	classString     = newClass("String", classObject)
	classSymbol     = newClass("Symbol", classObject)
	classArray      = newClass("Array", classObject)
	classHash       = newClass("Hash", classObject)
	classRange      = newClass("Range", classObject)
	classRegexp     = newClass("Regexp", classObject)
	classMatch      = newClass("MatchData", classObject)
	classTime       = newClass("Time", classObject)
	classTimestamp  = newClass("LogStash::Timestamp", classObject)
	classEvent      = newClass("LogStash::Event", classObject)
	classProc       = newClass("Proc", classObject)
	classClass      = newClass("Class", classObject)
	classEnumerator = newClass("Enumerator", classObject)
	classMain       = newClass("LogStash::Filters::Ruby", classObject)

	classException        = newClass("Exception", classObject)
	classSystemStack      = newClass("SystemStackError", classException)
	classStandardError    = newClass("StandardError", classException)
	classArgumentError    = newClass("ArgumentError", classStandardError)
	classTypeError        = newClass("TypeError", classStandardError)
	classNameError        = newClass("NameError", classStandardError)
	classNoMethodError    = newClass("NoMethodError", classNameError)
	classZeroDivision     = newClass("ZeroDivisionError", classStandardError)
	classIndexError       = newClass("IndexError", classStandardError)
	classKeyError         = newClass("KeyError", classIndexError)
	classStopIteration    = newClass("StopIteration", classIndexError)
	classRangeError       = newClass("RangeError", classStandardError)
	classFloatDomainError = newClass("FloatDomainError", classRangeError)
	classRuntimeError     = newClass("RuntimeError", classStandardError)
	classFrozenError      = newClass("FrozenError", classRuntimeError)
	classRegexpError      = newClass("RegexpError", classStandardError)
	classLocalJumpError   = newClass("LocalJumpError", classStandardError)
	classJSONError        = newClass("JSON::ParserError", classStandardError)
	classStampError       = newClass("LogStash::TimestampParserError", classStandardError)
	classConverterError   = newClass("Java::OrgLogstash::MissingConverterException", classStandardError)
	classBudget           = newClass(ErrBudget, nil)
)

func classOf(v any) *class {
	switch v := v.(type) {
	case nil:
		return classNil
	case bool:
		if v {
			return classTrue
		}
		return classFalse
	case *exception:
		return v.class
	}
	return [...]*class{kInt: classInteger, kFloat: classFloat, kDecimal: classDecimal, kString: classString, kSymbol: classSymbol,
		kArray: classArray, kHash: classHash, kRange: classRange, kRegexp: classRegexp, kMatch: classMatch, kTime: classTime,
		kTimestamp: classTimestamp, kEvent: classEvent, kProc: classProc, kClass: classClass, kEnumerator: classEnumerator,
		kLogger: classObject, kElement: classObject, kMain: classMain}[kindOf(v)]
}

func className(v any) string { return classOf(v).name }

// isA says whether v is an instance of c.
func isA(v any, c *class) bool {
	switch c {
	case classComparable:
		switch kindOf(v) {
		case kInt, kFloat, kDecimal, kString, kTime:
			return true
		}
		return false
	case classEnumerable:
		switch kindOf(v) {
		case kArray, kHash, kRange, kEnumerator:
			return true
		}
		return false
	}
	for k := classOf(v); k != nil; k = k.super {
		if k == c {
			return true
		}
	}
	return false
}

func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	}
	return true
}

// text gives the message of an exception.
func (e *exception) text() string {
	switch m := e.message.(type) {
	case nil:
		return e.class.name
	case *str:
		return m.s
	default:
		return new(exec).inspect(m)
	}
}

// mostLevels is how deep values may be nested in each other.
const mostLevels = 100

// equal is ==.
func (x *exec) equal(a, b any) bool { return x.equalDeep(a, b, 0) }

func (x *exec) equalDeep(a, b any, level int) bool {
	if level > mostLevels {
		x.raise(classArgumentError, "values are nested too deeply")
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		bb, ok := b.(bool)
		return ok && a == bb
	case symbol:
		bb, ok := b.(symbol)
		return ok && a == bb
	case *str:
		bb, ok := b.(*str)
		return ok && a.s == bb.s
	case int64:
		if bb, ok := b.(int64); ok {
			return a == bb
		}
	case *array:
		bb, ok := b.(*array)
		if !ok || len(a.v) != len(bb.v) {
			return false
		}
		x.step(len(a.v))
		for i := range a.v {
			if !x.equalDeep(a.v[i], bb.v[i], level+1) {
				return false
			}
		}
		return true
	case *hash:
		bb, ok := b.(*hash)
		if !ok || len(a.list) != len(bb.list) {
			return false
		}
		x.step(len(a.list))
		for _, e := range a.list {
			v, ok := bb.get(x, e.key)
			if !ok || !x.equalDeep(e.value, v, level+1) {
				return false
			}
		}
		return true
	case *rng:
		bb, ok := b.(*rng)
		return ok && a.exclusive == bb.exclusive && x.equalDeep(a.from, bb.from, level+1) && x.equalDeep(a.to, bb.to, level+1)
	case *regexpValue:
		bb, ok := b.(*regexpValue)
		return ok && a.source == bb.source && a.opts == bb.opts
	case *timeValue:
		bb, ok := b.(*timeValue)
		return ok && a.t.Equal(bb.t)
	case *timestamp:
		bb, ok := b.(*timestamp)
		return ok && a.t.Equal(bb.t)
	case *eventObject:
		bb, ok := b.(*eventObject)
		return ok && a.e == bb.e
	}
	if isNumber(a) {
		if !isNumber(b) {
			return false
		}
		c, ok := compareNumbers(a, b)
		return ok && c == 0
	}
	return a == b
}

// eql is equality as keys of hashes: 1 is not 1.0.
func (x *exec) eql(a, b any) bool {
	if isNumber(a) && isNumber(b) && kindOf(a) != kindOf(b) {
		return false
	}
	if aa, ok := a.(*array); ok {
		bb, ok := b.(*array)
		return ok && slices.EqualFunc(aa.v, bb.v, x.eql)
	}
	return x.equal(a, b)
}

// compare is <=>; false where it gives nil.
func (x *exec) compare(a, b any) (int, bool) { return x.compareDeep(a, b, 0) }

func (x *exec) compareDeep(a, b any, level int) (int, bool) {
	if level > mostLevels {
		x.raise(classArgumentError, "values are nested too deeply")
	}
	switch a := a.(type) {
	case *str:
		if b, ok := b.(*str); ok {
			return strings.Compare(a.s, b.s), true
		}
		return 0, false
	case symbol:
		if b, ok := b.(symbol); ok {
			return strings.Compare(string(a), string(b)), true
		}
		return 0, false
	case *array:
		bb, ok := b.(*array)
		if !ok {
			return 0, false
		}
		x.step(min(len(a.v), len(bb.v)))
		for i := range min(len(a.v), len(bb.v)) {
			if c, ok := x.compareDeep(a.v[i], bb.v[i], level+1); !ok || c != 0 {
				return c, ok
			}
		}
		return min(1, max(-1, len(a.v)-len(bb.v))), true
	case *timeValue:
		if b, ok := b.(*timeValue); ok {
			return a.t.Compare(b.t), true
		}
		return 0, false
	case *timestamp:
		if b, ok := b.(*timestamp); ok {
			return a.t.Compare(b.t), true
		}
		return 0, false
	}
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b)
	}
	if x.equal(a, b) {
		return 0, true
	}
	return 0, false
}

// order is compare, and an exception where there is no order.
func (x *exec) order(a, b any) int {
	c, ok := x.compare(a, b)
	if !ok {
		x.raise(classArgumentError, "comparison of "+className(a)+" with "+x.shown(b)+" failed")
	}
	return c
}

// shown names a value in messages of exceptions: special values by their text, others by their class.
func (x *exec) shown(v any) string {
	switch v.(type) {
	case nil, bool, int64, float64:
		return x.inspect(v)
	}
	return className(v)
}

// A hashKey is what values are found by in a hash.
type hashKey struct {
	kind byte
	n    uint64
	s    string
}

func (x *exec) key(v any) hashKey {
	switch v := v.(type) {
	case *str:
		return hashKey{kind: kString, s: v.s}
	case symbol:
		return hashKey{kind: kSymbol, s: string(v)}
	case int64:
		return hashKey{kind: kInt, n: uint64(v)}
	case float64:
		return hashKey{kind: kFloat, n: math.Float64bits(v)}
	case bool:
		if v {
			return hashKey{kind: kBool, n: 1}
		}
		return hashKey{kind: kBool}
	case nil:
		return hashKey{}
	case *timeValue:
		return hashKey{kind: kTime, n: uint64(v.t.UnixNano())}
	case *timestamp:
		return hashKey{kind: kTimestamp, n: uint64(v.t.UnixNano())}
	}
	return hashKey{kind: byte(kindOf(v)), s: x.inspect(v)}
}

// A hash keeps its members in the order they were set.
type hash struct {
	list   []entry
	index  map[hashKey]int // of a hash with more than fewEntries; nil: to be made
	def    any
	block  *proc // Hash.new { |h, k| … }
	frozen bool
}

type entry struct{ key, value any }

const fewEntries = 8

// A Map is a hash of a filter, kept between runs. It is not safe for concurrent use.
type Map struct{ hash *hash }

// NewMap gives an empty Map.
func NewMap() *Map { return &Map{hash: &hash{}} }

func (h *hash) find(x *exec, k any) int {
	if len(h.list) <= fewEntries {
		if s, ok := k.(*str); ok {
			for i := range h.list {
				if o, ok := h.list[i].key.(*str); ok && o.s == s.s {
					return i
				}
			}
			return -1
		}
		if len(h.list) == 0 {
			return -1
		}
		key := x.key(k)
		for i := range h.list {
			if x.key(h.list[i].key) == key {
				return i
			}
		}
		return -1
	}
	if h.index == nil {
		x.step(len(h.list))
		h.index = make(map[hashKey]int, 2*len(h.list))
		for i := range h.list {
			h.index[x.key(h.list[i].key)] = i
		}
	}
	if i, ok := h.index[x.key(k)]; ok {
		return i
	}
	return -1
}

func (h *hash) get(x *exec, k any) (any, bool) {
	if i := h.find(x, k); i >= 0 {
		return h.list[i].value, true
	}
	return nil, false
}

// fetch gives a member, or what the hash gives instead.
func (h *hash) fetch(x *exec, k any) any {
	if i := h.find(x, k); i >= 0 {
		return h.list[i].value
	}
	if h.block != nil {
		return x.call2(h.block, h, k)
	}
	return h.def
}

func (h *hash) set(x *exec, k, v any) {
	if h.frozen {
		x.raise(classFrozenError, "can't modify frozen Hash")
	}
	if i := h.find(x, k); i >= 0 {
		h.list[i].value = v
		return
	}
	if s, ok := k.(*str); ok && !s.frozen {
		k = &str{s: s.s, frozen: true}
	}
	x.alloc(64)
	h.list = append(h.list, entry{k, v})
	if h.index != nil {
		h.index[x.key(k)] = len(h.list) - 1
	}
}

func (h *hash) delete(x *exec, k any) (any, bool) {
	i := h.find(x, k)
	if i < 0 {
		return nil, false
	}
	v := h.list[i].value
	if i == len(h.list)-1 && h.index != nil {
		delete(h.index, x.key(k))
	} else {
		h.index = nil
		x.step(len(h.list) / 8)
	}
	h.list = append(h.list[:i], h.list[i+1:]...)
	return v, true
}

func (h *hash) clone() *hash {
	return &hash{list: append([]entry(nil), h.list...), def: h.def, block: h.block}
}
