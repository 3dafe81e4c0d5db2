package ruby

import (
	"fmt"
	"unsafe"

	"github.com/narudata/naru/logstash/event"
)

// code is a compiled part of a program. When it returns with x.jump set, control leaves the statement it is in.
type code func(x *exec) any

// An exec is one run of a program.
//
// Exceptions, and break and return out of blocks, are panics inside of the package, of *raised and *unwind; runWith recovers
// them. Other jumps are x.jump.
type exec struct {
	Env
	refs   event.Refs
	state  *State
	vars   []any // of the program
	frame  *frame
	block  *proc
	stack  []any // arguments of calls
	steps  int
	memory int
	keeps  bool
	run    uint64
	depth  int
	jump   jumpKind
	result any // what is jumped with
	match  *matchData
	scan   scanner
	err    *exception // $!
}

// A frame holds the local variables of a run of a program, method or block.
type frame struct {
	vars   []any
	up     *frame
	method *frame // the frame of the method that it is in, itself mostly
	block  *proc  // that the method was given
}

// raised is the panic of an exception.
type raised struct{ exc *exception }

// unwind is the panic of break and return out of a block.
type unwind struct {
	frame *frame     // return: the method's
	block *blockCode // break: the block's
	value any
}

func (x *exec) raise(c *class, message string) {
	panic(&raised{&exception{class: c, message: newStr(message)}})
}

func (x *exec) raisef(c *class, format string, args ...any) { x.raise(c, fmt.Sprintf(format, args...)) }

// step takes n steps of the budget.
func (x *exec) step(n int) {
	if x.steps -= n + 1; x.steps < 0 {
		x.raise(classBudget, "the code takes too many steps")
	}
}

// alloc takes n bytes of the budget. It is called before they are allocated.
func (x *exec) alloc(n int) {
	if x.memory -= n; n < 0 || x.memory < 0 {
		x.raise(classBudget, "the code takes too much memory")
	}
}

func newStr(s string) *str { return &str{s: s} }

// str makes a string, and accounts for it.
func (x *exec) str(s string) *str {
	x.alloc(len(s) + 32)
	return &str{s: s}
}

// array makes an array of a slice that it takes over, and accounts for it.
func (x *exec) array(v []any) *array {
	x.alloc(16*len(v) + 32)
	return &array{v: v}
}

// room accounts for a slice of n values, and makes it.
func (x *exec) room(n int) []any {
	x.alloc(16 * n)
	return make([]any, 0, n)
}

// change gives a string another text, here and in the event that shares it.
func (x *exec) change(s *str, text string) {
	if s.frozen {
		x.raise(classFrozenError, "can't modify frozen String")
	}
	x.alloc(len(text))
	x.setText(s, text)
	s.buf = nil
}

// grow appends to a string, mostly without copying it.
func (x *exec) grow(s *str, more string) {
	if s.frozen {
		x.change(s, s.s+more)
	}
	if len(s.s)+len(more) > cap(s.buf) {
		x.alloc(2 * (len(s.s) + len(more)))
		s.buf = append(make([]byte, 0, 2*(len(s.s)+len(more))), s.s...)
	}
	s.buf = append(s.buf, more...)
	x.setText(s, unsafe.String(unsafe.SliceData(s.buf), len(s.buf)))
}

func (x *exec) setText(s *str, text string) {
	if s.field != nil && s.run == x.run && s.field.Kind() == event.String && s.field.Str() == s.s {
		*s.field = event.StringValue(text)
	}
	s.s = text
}

func (x *exec) unfrozen(a *array) {
	if a.frozen {
		x.raise(classFrozenError, "can't modify frozen Array: "+x.inspect(a))
	}
}

// enter makes the frame of a call of a block.
func (x *exec) enter(b *proc) *frame {
	x.step(0)
	x.depth++
	if x.depth > mostDepth {
		x.depth = 0
		x.raise(classSystemStack, "stack level too deep")
	}
	c := b.code
	if !c.closes && !b.busy && !b.lambda {
		if b.cached == nil {
			b.cached = &frame{vars: make([]any, c.vars), up: b.frame, method: b.frame.method}
		} else {
			clear(b.cached.vars)
		}
		b.busy = true
		return b.cached
	}
	x.alloc(64 + 16*c.vars)
	f := &frame{vars: make([]any, c.vars), up: b.frame, method: b.frame.method}
	if b.lambda {
		f.method = f
		f.block = b.frame.method.block
	}
	return f
}

// perform runs the body of a block whose parameters are set.
func (x *exec) perform(b *proc, f *frame) any {
	outer, depth := x.frame, x.depth
	x.frame = f
	var v any
	if b.lambda && b.code.returns {
		v = x.catchReturn(f, b.code.body)
	} else {
		v = b.code.body(x)
	}
	x.frame, x.depth = outer, depth-1
	if f == b.cached {
		b.busy = false
	}
	if x.jump != jumpNone {
		v, x.jump, x.result = x.result, jumpNone, nil
	}
	return v
}

// call1 calls a block with one value, which is taken apart if the block has several parameters.
func (x *exec) call1(b *proc, v any) any {
	if b.native != nil {
		x.step(0)
		args := [1]any{v}
		return b.native(x, args[:])
	}
	c := b.code
	f := x.enter(b)
	switch {
	case c.simple == 1:
		f.vars[0] = v
	case c.simple == 0:
	case c.simple > 1:
		if a, ok := v.(*array); ok && !b.lambda {
			copy(f.vars[:c.simple], a.v)
		} else {
			if b.lambda {
				x.arity(1, c.simple)
			}
			f.vars[0] = v
		}
	default:
		args := [1]any{v}
		x.bind(c, f, args[:], b.lambda)
	}
	return x.perform(b, f)
}

// call2 calls a block with two values.
func (x *exec) call2(b *proc, v, w any) any {
	args := [2]any{v, w}
	return x.callN(b, args[:])
}

// pair calls a block with a key and a value, as each of a hash does: one parameter gets both as an array.
func (x *exec) pair(b *proc, k, v any) any {
	if b.native == nil && b.code.simple >= 2 {
		f := x.enter(b)
		f.vars[0], f.vars[1] = k, v
		return x.perform(b, f)
	}
	if b.lambda && b.native == nil && b.code.simple == 2 {
		return x.call2(b, k, v)
	}
	return x.call1(b, x.array([]any{k, v}))
}

// callN calls a proc with arguments.
func (x *exec) callN(b *proc, args []any) any {
	if b.native != nil {
		x.step(0)
		return b.native(x, args)
	}
	if len(args) == 1 && !b.lambda {
		return x.call1(b, args[0])
	}
	c := b.code
	f := x.enter(b)
	if c.simple >= 0 {
		if b.lambda && len(args) != c.simple {
			x.arity(len(args), c.simple)
		}
		copy(f.vars[:c.simple], args)
	} else {
		x.bind(c, f, args, b.lambda)
	}
	return x.perform(b, f)
}

func (x *exec) arity(given, expected int) {
	x.raisef(classArgumentError, "wrong number of arguments (given %d, expected %d)", given, expected)
}

// bind sets the parameters of a block or method.
func (x *exec) bind(c *blockCode, f *frame, args []any, strict bool) {
	var keywords *hash
	if c.keywords && len(args) > 0 {
		if h, ok := args[len(args)-1].(*hash); ok {
			keywords, args = h, args[:len(args)-1]
		}
	}
	if !strict && len(args) == 1 && c.required+c.optional > 1 || !strict && len(args) == 1 && c.required == 1 && c.rest {
		if a, ok := args[0].(*array); ok {
			args = a.v
		}
	}
	if strict && (len(args) < c.required || !c.rest && len(args) > c.required+c.optional) {
		switch {
		case c.rest:
			x.raisef(classArgumentError, "wrong number of arguments (given %d, expected %d+)", len(args), c.required)
		case c.optional > 0:
			x.raisef(classArgumentError, "wrong number of arguments (given %d, expected %d..%d)", len(args), c.required, c.required+c.optional)
		}
		x.arity(len(args), c.required)
	}
	spare := max(0, len(args)-c.required) // for optional ones and the rest
	outer := x.frame
	x.frame = f
	defer func() { x.frame = outer }()
	take := func() any {
		if len(args) == 0 {
			return nil
		}
		v := args[0]
		args = args[1:]
		return v
	}
	for i := range c.params {
		p := &c.params[i]
		switch {
		case p.block:
			if f.block != nil {
				f.vars[p.slot] = f.block
			}
		case p.keyword:
			v, ok := any(nil), false
			if keywords != nil {
				v, ok = keywords.get(x, symbol(p.name))
			}
			if !ok && p.def != nil {
				v = p.def(x)
			} else if !ok && p.required {
				x.raise(classArgumentError, "missing keyword: :"+p.name)
			}
			f.vars[p.slot] = v
		case p.rest:
			n := min(max(0, spare), len(args))
			f.vars[p.slot] = x.array(append([]any(nil), args[:n]...))
			args, spare = args[n:], 0
		case p.def != nil:
			if spare > 0 {
				spare--
				f.vars[p.slot] = take()
			} else {
				f.vars[p.slot] = p.def(x)
			}
		default:
			v := take()
			f.vars[p.slot] = v
			if p.into != nil {
				p.into(x, v)
			}
		}
	}
}

// invoke calls a method that the program defined.
func (x *exec) invoke(m *method, args []any, block *proc) any {
	x.step(0)
	x.depth++
	if x.depth > mostDepth {
		x.depth = 0
		x.raise(classSystemStack, "stack level too deep")
	}
	c := m.code
	x.alloc(64 + 16*c.vars)
	f := &frame{vars: make([]any, c.vars), block: block}
	f.method = f
	if c.simple >= 0 {
		if len(args) != c.simple {
			x.arity(len(args), c.simple)
		}
		copy(f.vars, args)
	} else {
		x.bind(c, f, args, true)
	}
	outer, depth := x.frame, x.depth
	x.frame = f
	var v any
	if c.returns {
		v = x.catchReturn(f, c.body)
	} else {
		v = c.body(x)
	}
	x.frame, x.depth = outer, depth-1
	if x.jump != jumpNone {
		v, x.jump, x.result = x.result, jumpNone, nil
	}
	return v
}

// catchReturn runs a body that a block inside may return from.
func (x *exec) catchReturn(f *frame, body code) (v any) {
	outer, depth, stack := x.frame, x.depth, len(x.stack)
	defer func() {
		if r := recover(); r != nil {
			if u, ok := r.(*unwind); ok && u.frame == f {
				v = u.value
				x.frame, x.depth, x.stack = outer, depth, x.stack[:stack]
				return
			}
			panic(r)
		}
	}()
	return body(x)
}

// catchBreak runs a call whose block may break.
func (x *exec) catchBreak(b *blockCode, call code) (v any) {
	outer, depth, stack := x.frame, x.depth, len(x.stack)
	defer func() {
		if r := recover(); r != nil {
			if u, ok := r.(*unwind); ok && u.block == b {
				v = u.value
				x.frame, x.depth, x.stack = outer, depth, x.stack[:stack]
				return
			}
			panic(r)
		}
	}()
	return call(x)
}
