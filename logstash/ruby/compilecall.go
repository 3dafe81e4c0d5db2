package ruby

import (
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// A builtin is a method of Go.
type builtin struct {
	min, max int // how many arguments; max -1: any number
	fn       func(x *exec, self any, args []any, b *proc) any
	enum     bool // without its block it gives an enumerator
}

// A table holds the methods of a class.
type table map[string]builtin

// A site is a place where a method is called.
type site struct {
	name string
	fns  [kinds]*builtin
}

// found says whether any class has a method.
func (s *site) found() bool {
	if slices.ContainsFunc(s.fns[:], func(b *builtin) bool { return b != nil }) {
		return true
	}
	for _, k := range classes {
		if _, ok := k.singleton[s.name]; ok {
			return true
		}
	}
	return false
}

func newSite(name string) *site {
	s := &site{name: name}
	for k := range kinds {
		s.fns[k] = lookUp(k, name)
	}
	return s
}

// lookUp finds the method of a kind of values.
func lookUp(k int, name string) *builtin {
	for _, t := range searched[k] {
		if b, ok := t[name]; ok {
			return &b
		}
	}
	return nil
}

// send calls a method.
func (x *exec) send(s *site, self any, args []any, b *proc) any {
	x.step(0)
	fn := s.fns[kindOf(self)]
	if k, ok := self.(*class); ok {
		for c := k; c != nil; c = c.super {
			if own, ok := c.singleton[s.name]; ok {
				fn = &own
				break
			}
		}
	}
	if fn == nil {
		x.noMethod(s.name, self)
	}
	return x.apply(s.name, fn, self, args, b)
}

// apply calls a builtin with arguments that are counted first.
func (x *exec) apply(name string, fn *builtin, self any, args []any, b *proc) any {
	if len(args) < fn.min || fn.max >= 0 && len(args) > fn.max {
		switch {
		case fn.max < 0:
			x.raisef(classArgumentError, "wrong number of arguments (given %d, expected %d+)", len(args), fn.min)
		case fn.max > fn.min:
			x.raisef(classArgumentError, "wrong number of arguments (given %d, expected %d..%d)", len(args), fn.min, fn.max)
		}
		x.arity(len(args), fn.min)
	}
	if b == nil && fn.enum {
		return &enumerator{recv: self, name: name, fn: fn, args: slices.Clone(args)}
	}
	return fn.fn(x, self, args, b)
}

// method calls a method by its name.
func (x *exec) method(name string, self any, args ...any) any {
	fn := lookUp(kindOf(self), name)
	if fn == nil {
		x.noMethod(name, self)
	}
	return x.apply(name, fn, self, args, nil)
}

func (x *exec) noMethod(name string, self any) {
	what := className(self)
	switch v := self.(type) {
	case nil:
		what = "nil:NilClass"
	case bool:
		what = x.inspect(v) + ":" + what
	case *class:
		what = v.name + ":Class"
	default:
		text := x.inspect(self)
		if len(text) > 65 {
			text = "#<" + what + ">"
		}
		what = text + ":" + what
	}
	x.raise(classNoMethodError, "undefined method `"+name+"' for "+what)
}

// arguments compiles the arguments of a call. What it gives is valid until the call returns.
func (c *compiler) arguments(list []node) func(x *exec) []any {
	if slices.ContainsFunc(list, func(n node) bool { _, ok := n.(*splat); return ok }) {
		return c.items(list)
	}
	codes := c.values(list)
	switch len(codes) {
	case 0:
		return func(*exec) []any { return nil }
	}
	return func(x *exec) []any {
		base := len(x.stack)
		for _, f := range codes {
			v := f(x)
			x.stack = append(x.stack, v)
		}
		args := x.stack[base:len(x.stack):len(x.stack)]
		return args
	}
}

// passed compiles the block of a call; nil if there is none.
func (c *compiler) passed(n *call) (make func(x *exec) *proc, b *blockCode) {
	if n.block != nil {
		b = c.block(n.block, false)
		return func(x *exec) *proc { return &proc{code: b, frame: x.frame} }, b
	}
	if n.pass == nil {
		return nil, nil
	}
	if l, ok := n.pass.(*literal); ok {
		if name, ok := l.value.(symbol); ok {
			return c.symbolBlock(n, string(name)), nil
		}
	}
	if m, ok := n.pass.(*call); ok && m.name == "method" && m.recv == nil && len(m.args) == 1 {
		if l, ok := m.args[0].(*literal); ok {
			if name, ok := l.value.(symbol); ok {
				if own := c.state.methods[string(name)]; own != nil {
					c.keeps = true // it may use variables that do
					return func(*exec) *proc {
						return &proc{native: func(x *exec, args []any) any { return x.invoke(own, args, nil) }}
					}, nil
				}
			}
		}
	}
	value := c.value(n.pass)
	return func(x *exec) *proc {
		switch v := value(x).(type) {
		case nil:
			return nil
		case *proc:
			return v
		case symbol:
			return symbolProc(newSite(string(v)))
		default:
			x.raise(classTypeError, "wrong argument type "+className(v)+" (expected Proc)")
			return nil
		}
	}, nil
}

// symbolBlock is &:name.
func (c *compiler) symbolBlock(n node, name string) func(x *exec) *proc {
	s := newSite(name)
	if !s.found() {
		c.unknown(n, name)
	}
	p := symbolProc(s)
	return func(*exec) *proc { return p }
}

func symbolProc(s *site) *proc {
	return &proc{native: func(x *exec, args []any) any {
		if len(args) == 0 {
			x.raise(classArgumentError, "no receiver given")
		}
		return x.send(s, args[0], args[1:], nil)
	}}
}

func (c *compiler) unknown(n node, name string) code {
	if r, ok := refusedNames[name]; ok {
		return c.fail(n, name+": "+r.reason, r.hint)
	}
	hint := ""
	if near := nearest(name); near != "" {
		hint = "did you mean " + near + "?"
	}
	return c.fail(n, "the method "+name+" is not known", hint)
}

func (c *compiler) call(n *call) code {
	if _, isSelf := n.recv.(*self); isSelf || n.recv == nil {
		return c.function(n)
	}
	if n.name == "method" {
		return c.fail(n, "objects of methods are not supported", "write a block")
	}
	if k, ok := n.recv.(*constant); ok && classes[k.name] == nil {
		if before := len(c.errs); c.constant(k) != nil && len(c.errs) > before {
			return func(*exec) any { return nil }
		}
	}
	s := newSite(n.name)
	if !s.found() {
		return c.unknown(n, n.name)
	}
	if r, ok := refusedNames[n.name]; ok && s.fns[kEvent] == nil && s.fns[kArray] == nil {
		return c.fail(n, n.name+": "+r.reason, r.hint)
	}
	if k, ok := n.recv.(*constant); ok {
		if class := classes[k.name]; class != nil && s.fns[kClass] == nil && !class.has(n.name) {
			return c.fail(n, k.name+"."+n.name+" is not known", "")
		}
	}
	recv, args := c.value(n.recv), c.arguments(n.args)
	block, b := c.passed(n)
	safe := n.safe
	var do code
	switch {
	case block == nil && len(n.args) == 0:
		do = func(x *exec) any {
			v := recv(x)
			if safe && v == nil {
				return nil
			}
			return x.send(s, v, nil, nil)
		}
	default:
		do = func(x *exec) any {
			v := recv(x)
			if safe && v == nil {
				return nil
			}
			base := len(x.stack)
			list := args(x)
			var p *proc
			if block != nil {
				p = block(x)
			}
			v = x.send(s, v, list, p)
			x.stack = x.stack[:base]
			return v
		}
	}
	return breakable(do, b)
}

// has says whether a class has a singleton method.
func (k *class) has(name string) bool {
	for ; k != nil; k = k.super {
		if _, ok := k.singleton[name]; ok {
			return true
		}
	}
	return false
}

// breakable makes a call catch the break of its block.
func breakable(do code, b *blockCode) code {
	if b == nil || !b.breaks {
		return do
	}
	return func(x *exec) any { return x.catchBreak(b, do) }
}

// function compiles a call without receiver.
func (c *compiler) function(n *call) code {
	if own := c.state.methods[n.name]; own != nil {
		c.keeps = true // it may use variables that do
		args := c.arguments(n.args)
		block, b := c.passed(n)
		return breakable(func(x *exec) any {
			base := len(x.stack)
			list := args(x)
			var p *proc
			if block != nil {
				p = block(x)
			}
			v := x.invoke(own, list, p)
			x.stack = x.stack[:base]
			return v
		}, b)
	}
	switch n.name {
	case "lambda", "proc":
		if n.block != nil {
			b := c.block(n.block, n.name == "lambda")
			isLambda := n.name == "lambda"
			return func(x *exec) any { return &proc{code: b, frame: x.frame, lambda: isLambda} }
		}
	case "loop":
		if n.block != nil {
			b := c.block(n.block, false)
			return breakable(func(x *exec) any {
				p := &proc{code: b, frame: x.frame}
				for {
					x.callN(p, nil)
				}
			}, b)
		}
	case "require":
		if name, ok := onlyText(n.args); ok {
			if libraries[name] {
				return func(*exec) any { return false }
			}
			return c.fail(n, "the library "+name+" is not there", "")
		}
	case "block_given?":
		return func(x *exec) any { return x.frame.method.block != nil }
	case "super":
		return c.fail(n, "super is not supported", "")
	}
	fn, ok := kernelMethods[n.name]
	if !ok {
		if r, ok := refusedNames[n.name]; ok {
			return c.fail(n, n.name+": "+r.reason, r.hint)
		}
		if fn, ok = objectMethods[n.name]; !ok {
			hint := ""
			if near := nearestOf(n.name, slices.Concat(c.params, keysOf(c.state.methods), keysOf(kernelMethods))); near != "" {
				hint = "did you mean " + near + "?"
			}
			if len(n.args) > 0 || n.paren {
				return c.fail(n, "the method "+n.name+" is not known", hint)
			}
			return c.fail(n, "there is no variable and no method "+n.name, hint)
		}
	}
	args := c.arguments(n.args)
	block, b := c.passed(n)
	name := n.name
	return breakable(func(x *exec) any {
		base := len(x.stack)
		list := args(x)
		var p *proc
		if block != nil {
			p = block(x)
		}
		x.step(0)
		v := x.apply(name, &fn, mainObject{}, list, p)
		x.stack = x.stack[:base]
		return v
	}, b)
}

func onlyText(args []node) (string, bool) {
	if len(args) != 1 {
		return "", false
	}
	return plain(args[0])
}

func (c *compiler) yield(n *yieldNode) code {
	inMethod := false
	for _, w := range c.within {
		inMethod = inMethod || w.block != nil && w.lambda
	}
	if !inMethod {
		return c.fail(n, "yield outside of a method", "new_event_block.call(event) gives a new event to the pipeline")
	}
	args := c.arguments(n.args)
	return func(x *exec) any {
		b := x.frame.method.block
		if b == nil {
			x.raise(classLocalJumpError, "no block given (yield)")
		}
		base := len(x.stack)
		v := x.callN(b, args(x))
		x.stack = x.stack[:base]
		return v
	}
}

func (c *compiler) index(n *index) code {
	if l, ok := n.recv.(*local); ok && l.name == "event" && slices.Contains(c.params, "event") {
		if name, ok := onlyText(n.args); ok {
			return c.fail(n, `event["`+name+`"] was removed in Logstash 5`, `write event.get("`+name+`")`)
		}
		return c.fail(n, "event[…] was removed in Logstash 5", "write event.get(…)")
	}
	recv, args := c.value(n.recv), c.arguments(n.args)
	if len(n.args) == 1 {
		if _, isSplat := n.args[0].(*splat); !isSplat {
			arg := c.value(n.args[0])
			return func(x *exec) any {
				v := recv(x)
				k := arg(x)
				switch v := v.(type) {
				case *hash:
					return v.fetch(x, k)
				case *array:
					if i, ok := k.(int64); ok {
						return v.at(i)
					}
				}
				base := len(x.stack)
				x.stack = append(x.stack, k)
				v = x.send(indexSite, v, x.stack[base:], nil)
				x.stack = x.stack[:base]
				return v
			}
		}
	}
	return func(x *exec) any {
		v := recv(x)
		base := len(x.stack)
		v = x.send(indexSite, v, args(x), nil)
		x.stack = x.stack[:base]
		return v
	}
}

func (c *compiler) regexp(n *regexpLit) code {
	if n.re != nil {
		v := &regexpValue{source: n.source, opts: n.opts, re: n.re}
		return func(*exec) any { return v }
	}
	parts, opts := c.values(n.parts), n.opts
	return func(x *exec) any {
		var b strings.Builder
		for _, p := range parts {
			switch v := p(x).(type) {
			case string:
				b.WriteString(v)
			case *regexpValue:
				b.WriteString(v.embedded())
			default:
				b.WriteString(x.toS(v))
			}
		}
		return x.newRegexp(b.String(), opts)
	}
}

// newRegexp compiles a pattern at run time.
func (x *exec) newRegexp(source string, opts regex.Options) *regexpValue {
	x.step(len(source))
	x.alloc(64 * len(source))
	opts.Steps = matchSteps
	re, err := regex.Compile(source, opts)
	if err != nil {
		x.raise(classRegexpError, err.Error())
	}
	return &regexpValue{source: source, opts: opts, re: re}
}
