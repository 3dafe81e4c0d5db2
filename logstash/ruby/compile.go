package ruby

import (
	"slices"
	"strings"
)

// A compiler makes closures of a tree. It goes on after a mistake, so that all are reported.
type compiler struct {
	src    string
	params []string
	state  *State
	keeps  bool // the program uses variables that outlive a run
	errs   []*Error
	within []*context
}

// A context is what a jump jumps out of.
type context struct {
	loop    bool       // while, until, for
	block   *blockCode // a block, lambda or method; nil: a loop or the program
	lambda  bool       // or a method
	returns bool       // the program: a block returns from it
}

// blockCode is a compiled block or method.
type blockCode struct {
	body     code
	vars     int
	params   []paramCode
	simple   int // how many parameters, if all are plain; -1: some are not
	required int
	optional int
	rest     bool
	keywords bool
	closes   bool // a block inside may outlive a call
	breaks   bool // it leaves its call with break
	returns  bool // a block inside returns from it
	arity    int
}

type paramCode struct {
	name                           string
	slot                           int
	rest, block, keyword, required bool
	def                            code
	into                           func(x *exec, v any)
}

// A method is one that the program defines.
type method struct{ code *blockCode }

func (c *compiler) fail(n node, reason, hint string) code {
	c.errs = append(c.errs, errorAt(c.src, n.pos(), reason, hint))
	return func(*exec) any { return nil }
}

func (c *compiler) program(t *tree) code {
	for _, d := range t.defs {
		c.state.methods[d.name] = &method{}
	}
	for _, name := range t.constants {
		c.state.slot(name)
	}
	ctx := &context{}
	c.within = append(c.within, ctx)
	body := c.compile(t.body)
	if !ctx.returns {
		return body
	}
	return func(x *exec) any { return x.catchReturn(x.frame, body) }
}

// value compiles what must give a value, and cannot jump.
func (c *compiler) value(n node) code {
	if j := jumpIn(n); j != nil {
		c.fail(j, j.kind.String()+" inside of another expression", "make it a statement of its own (with if or unless)")
	}
	return c.compile(n)
}

func (c *compiler) values(list []node) []code {
	out := make([]code, len(list))
	for i, n := range list {
		out[i] = c.value(n)
	}
	return out
}

// jumpIn finds a jump that leaves n.
func jumpIn(n node) *jump {
	switch n := n.(type) {
	case *jump:
		return n
	case *seq:
		for _, s := range n.list {
			if j := jumpIn(s); j != nil {
				return j
			}
		}
	case *ifNode:
		return firstJump(n.cond, n.then, n.otherwise)
	case *logic:
		return firstJump(n.left, n.right)
	case *assign:
		return firstJump(n.value)
	case *opAssign:
		return firstJump(n.value)
	case *caseNode:
		for _, w := range n.whens {
			if j := jumpIn(w.body); j != nil {
				return j
			}
		}
		return firstJump(n.otherwise)
	case *beginNode:
		for _, r := range n.rescues {
			if j := jumpIn(r.body); j != nil {
				return j
			}
		}
		return firstJump(n.body, n.otherwise, n.ensure)
	case *whileNode:
		if j := jumpIn(n.body); j != nil && j.kind == jumpReturn {
			return j
		}
	}
	return nil
}

func firstJump(list ...node) *jump {
	for _, n := range list {
		if n != nil {
			if j := jumpIn(n); j != nil {
				return j
			}
		}
	}
	return nil
}

func (c *compiler) optional(n node) code {
	if n == nil {
		return func(*exec) any { return nil }
	}
	return c.compile(n)
}

func (c *compiler) compile(n node) code {
	switch n := n.(type) {
	case *literal:
		v := n.value
		return func(*exec) any { return v }
	case *text:
		return c.text(n)
	case *regexpLit:
		return c.regexp(n)
	case *arrayLit:
		items := c.items(n.items)
		return func(x *exec) any { return x.array(items(x)) }
	case *hashLit:
		return c.hash(n)
	case *rangeLit:
		from, to, exclusive := c.optionalValue(n.from), c.optionalValue(n.to), n.exclusive
		return func(x *exec) any { return x.newRange(from(x), to(x), exclusive) }
	case *local:
		return c.local(n)
	case *slotVar:
		slot := c.slot(n.name)
		return func(x *exec) any { return x.state.vars[slot] }
	case *constant:
		return c.constant(n)
	case *matchVar:
		group := n.group
		return func(x *exec) any {
			if x.match == nil {
				return nil
			}
			if group < 0 {
				return x.match
			}
			return x.match.group(x, group)
		}
	case *lastError:
		return func(x *exec) any {
			if x.err == nil {
				return nil
			}
			return x.err
		}
	case *self:
		return func(*exec) any { return mainObject{} }
	case *call:
		return c.call(n)
	case *yieldNode:
		return c.yield(n)
	case *index:
		return c.index(n)
	case *assign:
		return c.assign(n)
	case *opAssign:
		return c.opAssign(n)
	case *logic:
		left, right := c.compile(n.left), c.compile(n.right)
		if n.or {
			return func(x *exec) any {
				if v := left(x); x.jump != jumpNone || truthy(v) {
					return v
				}
				return right(x)
			}
		}
		return func(x *exec) any {
			if v := left(x); x.jump != jumpNone || !truthy(v) {
				return v
			}
			return right(x)
		}
	case *not:
		value := c.value(n.value)
		return func(x *exec) any { return !truthy(value(x)) }
	case *binaryNode:
		return c.binary(n)
	case *unary:
		return c.unary(n)
	case *seq:
		return c.seq(n)
	case *ifNode:
		return c.ifNode(n)
	case *caseNode:
		return c.caseNode(n)
	case *whileNode:
		return c.while(n)
	case *forNode:
		return c.forNode(n)
	case *beginNode:
		return c.begin(n)
	case *jump:
		return c.jump(n)
	case *define:
		return c.define(n)
	case *defined:
		return c.defined(n)
	case *lambda:
		b := c.block(n.block, true)
		return func(x *exec) any { return &proc{code: b, frame: x.frame, lambda: true} }
	case *splat:
		return c.fail(n, "* is not expected here", "")
	}
	return c.fail(n, "this is not understood", "")
}

func (c *compiler) optionalValue(n node) code {
	if n == nil {
		return func(*exec) any { return nil }
	}
	return c.value(n)
}

func (c *compiler) slot(name string) int {
	c.keeps = true
	return c.state.slot(name)
}

func (c *compiler) text(n *text) code {
	if s, ok := plain(n); ok {
		return func(x *exec) any { return x.str(s) }
	}
	parts := c.values(n.parts)
	isSymbol := n.symbol
	return func(x *exec) any {
		var b strings.Builder
		for _, p := range parts {
			switch v := p(x).(type) {
			case string:
				b.WriteString(v)
			case *str:
				b.WriteString(v.s)
			default:
				b.WriteString(x.toS(v))
			}
			x.alloc(b.Len() / 2)
		}
		if isSymbol {
			return symbol(b.String())
		}
		return x.str(b.String())
	}
}

func (c *compiler) local(n *local) code {
	slot := n.slot
	switch n.depth {
	case 0:
		return func(x *exec) any { return x.frame.vars[slot] }
	case 1:
		return func(x *exec) any { return x.frame.up.vars[slot] }
	}
	depth := n.depth
	return func(x *exec) any {
		f := x.frame
		for range depth {
			f = f.up
		}
		return f.vars[slot]
	}
}

// items compiles values among which may be splats.
func (c *compiler) items(list []node) func(x *exec) []any {
	if !slices.ContainsFunc(list, func(n node) bool { _, ok := n.(*splat); return ok }) {
		codes := c.values(list)
		return func(x *exec) []any {
			out := make([]any, len(codes))
			for i, f := range codes {
				out[i] = f(x)
			}
			return out
		}
	}
	codes := make([]code, len(list))
	splats := make([]bool, len(list))
	for i, n := range list {
		if s, ok := n.(*splat); ok {
			codes[i], splats[i] = c.value(s.value), true
		} else {
			codes[i] = c.value(n)
		}
	}
	return func(x *exec) []any {
		var out []any
		for i, f := range codes {
			v := f(x)
			if !splats[i] {
				out = append(out, v)
				continue
			}
			more := x.splat(v)
			x.alloc(16 * len(more))
			out = append(out, more...)
		}
		return out
	}
}

// splat gives the values that *v stands for.
func (x *exec) splat(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case *array:
		return v.v
	case *hash, *rng, *enumerator:
		return x.items(v)
	}
	return []any{v}
}

func (c *compiler) hash(n *hashLit) code {
	type pair struct{ key, value code }
	pairs := make([]pair, len(n.pairs))
	for i, p := range n.pairs {
		if p[0] != nil {
			pairs[i].key = c.value(p[0])
		}
		pairs[i].value = c.value(p[1])
	}
	return func(x *exec) any {
		h := &hash{}
		x.alloc(64)
		for _, p := range pairs {
			if p.key != nil {
				k := p.key(x)
				h.set(x, k, p.value(x))
				continue
			}
			switch more := p.value(x).(type) {
			case nil:
			case *hash:
				for _, e := range more.list {
					h.set(x, e.key, e.value)
				}
			default:
				x.raise(classTypeError, "no implicit conversion of "+className(more)+" into Hash")
			}
		}
		return h
	}
}

func (c *compiler) constant(n *constant) code {
	if k, ok := classes[n.name]; ok {
		return func(*exec) any { return k }
	}
	if v, ok := constants[n.name]; ok {
		return func(*exec) any { return v }
	}
	if _, ok := c.state.names[n.name]; ok {
		slot := c.slot(n.name)
		return func(x *exec) any { return x.state.vars[slot] }
	}
	first, _, _ := strings.Cut(n.name, "::")
	for _, name := range []string{n.name, first} {
		if r, ok := refusedConstants[name]; ok {
			return c.fail(n, n.name+": "+r.reason, r.hint)
		}
	}
	return c.fail(n, "the constant "+n.name+" is not known", "")
}

func (c *compiler) seq(n *seq) code {
	list := make([]code, len(n.list))
	for i, s := range n.list {
		list[i] = c.compile(s)
	}
	switch len(list) {
	case 0:
		return func(*exec) any { return nil }
	case 2:
		a, b := list[0], list[1]
		return func(x *exec) any {
			if v := a(x); x.jump != jumpNone {
				return v
			}
			return b(x)
		}
	}
	return func(x *exec) any {
		var v any
		for _, s := range list {
			if v = s(x); x.jump != jumpNone {
				return v
			}
		}
		return v
	}
}

func (c *compiler) ifNode(n *ifNode) code {
	cond := n.cond
	negate := false
	if not, ok := cond.(*not); ok {
		cond, negate = not.value, true
	}
	test, then, otherwise := c.value(cond), c.optional(n.then), c.optional(n.otherwise)
	return func(x *exec) any {
		if truthy(test(x)) != negate {
			return then(x)
		}
		return otherwise(x)
	}
}

func (c *compiler) caseNode(n *caseNode) code {
	type whenCode struct {
		tests func(x *exec, subject any) bool
		body  code
	}
	var whens []whenCode
	hasSubject := n.subject != nil
	for _, w := range n.whens {
		codes := make([]code, len(w.tests))
		splats := make([]bool, len(w.tests))
		for i, t := range w.tests {
			if s, ok := t.(*splat); ok {
				t, splats[i] = s.value, true
			}
			codes[i] = c.value(t)
		}
		tests := func(x *exec, subject any) bool {
			holds := func(v any) bool {
				if hasSubject {
					return x.caseEqual(v, subject)
				}
				return truthy(v)
			}
			for i, f := range codes {
				v := f(x)
				if !splats[i] {
					if holds(v) {
						return true
					}
				} else if slices.ContainsFunc(x.splat(v), holds) {
					return true
				}
			}
			return false
		}
		whens = append(whens, whenCode{tests, c.compile(w.body)})
	}
	subject, otherwise := c.optionalValue(n.subject), c.optional(n.otherwise)
	return func(x *exec) any {
		v := subject(x)
		for _, w := range whens {
			if w.tests(x, v) {
				return w.body(x)
			}
		}
		return otherwise(x)
	}
}

// inLoop compiles the body of a loop.
func (c *compiler) inLoop(n node) code {
	c.within = append(c.within, &context{loop: true})
	body := c.compile(n)
	c.within = c.within[:len(c.within)-1]
	return body
}

// looped looks at the jump that a loop's body ended with: done ends the loop, with its value.
func (x *exec) looped() (v any, done bool) {
	switch x.jump {
	case jumpNone:
		return nil, false
	case jumpNext:
		x.jump, x.result = jumpNone, nil
		return nil, false
	case jumpBreak:
		v, x.jump, x.result = x.result, jumpNone, nil
		return v, true
	}
	return nil, true
}

func (c *compiler) while(n *whileNode) code {
	test, body, until, after := c.value(n.cond), c.inLoop(n.body), n.until, n.after
	return func(x *exec) any {
		for first := true; ; first = false {
			x.step(0)
			if !(first && after) && truthy(test(x)) == until {
				return nil
			}
			body(x)
			if v, done := x.looped(); done {
				return v
			}
		}
	}
}

func (c *compiler) forNode(n *forNode) code {
	in, set, body := c.value(n.in), c.setter(n.target), c.inLoop(n.body)
	return func(x *exec) any {
		over := in(x)
		for _, item := range slices.Clone(x.items(over)) {
			x.step(0)
			set(x, item)
			body(x)
			if v, done := x.looped(); done {
				return v
			}
		}
		return over
	}
}

func (c *compiler) jump(n *jump) code {
	kind := n.kind
	value := c.optionalValue(n.value)
	top := c.within[len(c.within)-1]
	if kind == jumpRetry {
		return c.fail(n, "retry is not supported", "use a loop")
	}
	if kind == jumpReturn || kind == jumpBreak && !top.loop {
		owner := top
		for i := len(c.within) - 1; i >= 0; i-- {
			owner = c.within[i]
			if kind == jumpBreak || !owner.loop && (owner.lambda || owner.block == nil) {
				break
			}
			if owner.block != nil && !owner.lambda && kind == jumpReturn { // out of a block
				for ; i >= 0; i-- {
					if o := c.within[i]; !o.loop && (o.lambda || o.block == nil) {
						o.returns = true
						if o.block != nil {
							o.block.returns = true
						}
						break
					}
				}
				return func(x *exec) any { panic(&unwind{frame: x.frame.method, value: value(x)}) }
			}
		}
		if kind == jumpBreak && owner.block != nil && !owner.lambda {
			b := owner.block
			b.breaks = true
			return func(x *exec) any { panic(&unwind{block: b, value: value(x)}) }
		}
		kind = jumpReturn
	}
	return func(x *exec) any {
		x.result = value(x)
		x.jump = kind
		return x.result
	}
}

func (c *compiler) begin(n *beginNode) code {
	body, otherwise := c.compile(n.body), code(nil)
	if n.otherwise != nil {
		otherwise = c.compile(n.otherwise)
	}
	type clause struct {
		classes func(x *exec) []any
		into    func(x *exec, v any)
		body    code
	}
	var clauses []clause
	for _, r := range n.rescues {
		var k clause
		if len(r.classes) > 0 {
			k.classes = c.items(r.classes)
		}
		if r.into != nil {
			k.into = c.setter(r.into)
		}
		k.body = c.compile(r.body)
		clauses = append(clauses, k)
	}
	rescued := func(x *exec) any {
		v, exc := x.try(body)
		if exc == nil {
			if otherwise != nil && x.jump == jumpNone {
				return otherwise(x)
			}
			return v
		}
		for _, k := range clauses {
			matches := k.classes == nil && isA(exc, classStandardError)
			if k.classes != nil {
				for _, class := range k.classes(x) {
					matches = matches || x.caseEqual(class, exc)
				}
			}
			if matches {
				x.err = exc
				if k.into != nil {
					k.into(x, exc)
				}
				v := k.body(x)
				x.err = nil
				return v
			}
		}
		panic(&raised{exc})
	}
	if len(clauses) == 0 {
		rescued = body
	}
	if n.ensure == nil {
		return rescued
	}
	ensure := c.compile(n.ensure)
	return func(x *exec) (v any) {
		outer, stack := x.frame, len(x.stack)
		defer func() {
			jump, result := x.jump, x.result
			inner, deep := x.frame, x.depth
			x.frame, x.jump, x.stack = outer, jumpNone, x.stack[:stack]
			ensure(x)
			x.frame, x.depth = inner, deep
			if x.jump == jumpNone {
				x.jump, x.result = jump, result
			}
		}()
		return rescued(x)
	}
}

// try runs body and gives the exception that it raised, unless the budget is spent.
func (x *exec) try(body code) (v any, exc *exception) {
	outer, depth, stack := x.frame, x.depth, len(x.stack)
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*raised)
			if !ok || e.exc.class == classBudget {
				panic(r)
			}
			exc = e.exc
			x.frame, x.depth, x.stack, x.jump = outer, depth, x.stack[:stack], jumpNone
		}
	}()
	return body(x), nil
}

func (c *compiler) define(n *define) code {
	m := c.state.methods[n.name]
	if m == nil {
		m = &method{}
		c.state.methods[n.name] = m
	}
	m.code = c.block(n.block, true)
	name := symbol(n.name)
	return func(*exec) any { return name }
}

func (c *compiler) defined(n *defined) code {
	switch v := n.value.(type) {
	case *slotVar:
		get := c.compile(v)
		what := "instance-variable"
		if v.name[0] == '$' {
			what = "global-variable"
		}
		return func(x *exec) any {
			if get(x) == nil {
				return nil
			}
			return x.str(what)
		}
	case *local:
		return func(x *exec) any { return x.str("local-variable") }
	case *call:
		if v.recv == nil && len(v.args) == 0 {
			if c.state.methods[v.name] == nil && kernelMethods[v.name].fn == nil {
				return func(*exec) any { return nil }
			}
			return func(x *exec) any { return x.str("method") }
		}
	case *constant:
		if classes[v.name] == nil {
			return func(*exec) any { return nil }
		}
		return func(x *exec) any { return x.str("constant") }
	}
	get := c.value(n.value)
	return func(x *exec) any {
		if _, exc := x.try(get); exc != nil {
			return nil
		}
		return x.str("expression")
	}
}

// block compiles a block, or a method or lambda.
func (c *compiler) block(n *blockNode, lambda bool) *blockCode {
	b := &blockCode{}
	ctx := &context{block: b, lambda: lambda}
	outer := c.within
	if n.isDef {
		c.within = nil
	}
	c.within = append(c.within, ctx)
	for i := range n.params {
		p := &n.params[i]
		pc := paramCode{name: p.name, slot: p.slot, rest: p.rest, block: p.block, keyword: p.keyword, required: p.required}
		if p.def != nil {
			pc.def = c.value(p.def)
		}
		if p.into != nil {
			pc.into = c.setter(p.into)
		}
		switch {
		case p.rest:
			b.rest = true
		case p.keyword:
			b.keywords = true
		case p.block:
		case p.def != nil:
			b.optional++
		default:
			b.required++
			if p.into == nil && p.slot == i {
				b.simple++
			}
		}
		b.params = append(b.params, pc)
	}
	if b.simple != len(b.params) {
		b.simple = -1
	}
	b.arity = b.required
	if b.rest || b.optional > 0 && lambda {
		b.arity = -b.required - 1
	}
	b.body = c.compile(n.body)
	b.vars = n.scope.size
	b.closes = n.scope.closes
	c.within = outer
	return b
}
