package ruby

import "github.com/narudata/naru/logstash/pattern/regex"

// A node is a part of the tree. at is the offset of its first byte in the code.
type node interface{ pos() int }

type at int

func (a at) pos() int { return int(a) }

type (
	literal struct { // nil, true, false, a number, a symbol
		at
		value any
	}
	text struct { // a string with what is interpolated
		at
		parts  []node // literals of strings, and expressions
		symbol bool
	}
	regexpLit struct {
		at
		parts  []node
		opts   regex.Options
		source string // without parts that are expressions
		re     *regex.Regexp
		names  []*local // variables of the named groups
	}
	arrayLit struct {
		at
		items []node // or splats
	}
	hashLit struct {
		at
		pairs [][2]node // the key is nil for **value
		bare  bool      // arguments without braces
	}
	rangeLit struct {
		at
		from, to  node // nil: open
		exclusive bool
	}
	splat struct {
		at
		value node
	}
	local struct {
		at
		name        string
		depth, slot int
	}
	slotVar struct { // @name, @@name, $name
		at
		name string
	}
	matchVar struct { // $~, $1, $&
		at
		group int // -1: $~
	}
	lastError struct{ at } // $!
	self      struct{ at }
	constant  struct {
		at
		name string // "LogStash::Timestamp"
	}
	call struct {
		at
		recv  node // nil: none was written
		name  string
		args  []node // the last may be a hashLit
		pass  node   // &block
		block *blockNode
		safe  bool // &.
		paren bool
	}
	yieldNode struct {
		at
		args []node
	}
	assign struct {
		at
		to    node // local, slotVar, call (an attribute), index, multi
		value node
	}
	opAssign struct {
		at
		to    node
		op    string // "+", "||", "&&"
		value node
	}
	index struct {
		at
		recv node
		args []node
	}
	multi struct { // a, (b, c), *d
		at
		targets []node // locals, slotVars, calls, indexes, multis, splats of these
	}
	logic struct {
		at
		or          bool
		left, right node
	}
	not struct {
		at
		value node
	}
	binaryNode struct {
		at
		op          string
		left, right node
	}
	unary struct {
		at
		op    string // "-", "+", "~"
		value node
	}
	seq struct {
		at
		list []node
	}
	ifNode struct {
		at
		cond, then, otherwise node
	}
	caseNode struct {
		at
		subject   node
		whens     []when
		otherwise node
	}
	whileNode struct {
		at
		cond  node
		body  node
		until bool
		after bool // begin … end while
	}
	forNode struct {
		at
		target node
		in     node
		body   node
	}
	beginNode struct {
		at
		body      node
		rescues   []rescue
		otherwise node
		ensure    node
	}
	jump struct {
		at
		kind  jumpKind
		value node
	}
	define struct {
		at
		name  string
		block *blockNode
	}
	defined struct {
		at
		value node
	}
	lambda struct {
		at
		block *blockNode
	}
	blockNode struct {
		at
		params []param
		scope  *scope
		body   node
		isDef  bool
	}
)

type when struct {
	tests []node
	body  node
}

type rescue struct {
	classes []node
	into    node
	body    node
}

// A param is a parameter of a block or method. Its variables are the first of the scope.
type param struct {
	name     string
	slot     int
	rest     bool   // *rest
	block    bool   // &block
	keyword  bool   // name: or name: default
	required bool   // a keyword without default
	into     *multi // (a, b)
	def      node   // the default
}

// A jumpKind is how control leaves a statement.
type jumpKind uint8

const (
	jumpNone jumpKind = iota
	jumpNext
	jumpBreak
	jumpReturn
	jumpRetry
)

func (j jumpKind) String() string {
	return [...]string{"", "next", "break", "return", "retry"}[j]
}

// A scope holds local variables: of the program, a method, or a block, which sees those of what it stands in.
type scope struct {
	up     *scope // of a block
	names  map[string]int
	size   int
	closes bool // a block is inside
}

func newScope(up *scope) *scope {
	if up != nil {
		up.closes = true
	}
	return &scope{up: up, names: map[string]int{}}
}

func (s *scope) declare(name string) int {
	if i, ok := s.names[name]; ok {
		return i
	}
	i := s.size
	s.size++
	s.names[name] = i
	return i
}

// hidden makes a variable without a name.
func (s *scope) hidden() int {
	s.size++
	return s.size - 1
}

func (s *scope) find(name string) (depth, slot int, ok bool) {
	for ; s != nil; s = s.up {
		if i, ok := s.names[name]; ok {
			return depth, i, true
		}
		depth++
	}
	return 0, 0, false
}
