package ruby

import (
	"math/big"
	"slices"
)

// setter compiles a target of an assignment.
func (c *compiler) setter(n node) func(x *exec, v any) {
	switch n := n.(type) {
	case *local:
		slot, depth := n.slot, n.depth
		return func(x *exec, v any) {
			f := x.frame
			for range depth {
				f = f.up
			}
			f.vars[slot] = v
		}
	case *slotVar:
		slot := c.slot(n.name)
		return func(x *exec, v any) { x.state.vars[slot] = v }
	case *index:
		c.noEventIndex(n)
		recv, args := c.value(n.recv), c.arguments(n.args)
		return func(x *exec, v any) {
			r := recv(x)
			base := len(x.stack)
			list := append(slices.Clone(args(x)), v)
			x.stack = x.stack[:base]
			x.setIndex(r, list)
		}
	case *call:
		s := newSite(n.name + "=")
		if !s.found() {
			c.fail(n, "the attribute "+n.name+" cannot be set", "")
		}
		recv, safe := c.value(n.recv), n.safe
		return func(x *exec, v any) {
			r := recv(x)
			if safe && r == nil {
				return
			}
			x.send(s, r, []any{v}, nil)
		}
	case *multi:
		return c.multiSetter(n)
	}
	c.fail(n, "this cannot be assigned to", "")
	return func(*exec, any) {}
}

func (c *compiler) noEventIndex(n *index) {
	if l, ok := n.recv.(*local); ok && l.name == "event" && slices.Contains(c.params, "event") {
		hint := "write event.set(…, …)"
		if name, ok := onlyText(n.args); ok {
			hint = `write event.set("` + name + `", …)`
		}
		c.fail(n, "event[…] = … was removed in Logstash 5", hint)
	}
}

func (x *exec) setIndex(recv any, args []any) {
	if h, ok := recv.(*hash); ok && len(args) == 2 {
		x.step(0)
		h.set(x, args[0], args[1])
		return
	}
	x.send(indexSetSite, recv, args, nil)
}

func (c *compiler) multiSetter(n *multi) func(x *exec, v any) {
	setters := make([]func(x *exec, v any), len(n.targets))
	rest := -1
	for i, t := range n.targets {
		if s, ok := t.(*splat); ok {
			rest = i
			setters[i] = func(*exec, any) {}
			if s.value != nil {
				setters[i] = c.setter(s.value)
			}
			continue
		}
		setters[i] = c.setter(t)
	}
	return func(x *exec, v any) {
		list := []any{v}
		if a, ok := v.(*array); ok {
			list = slices.Clone(a.v)
		}
		at := func(i int) any {
			if i < len(list) {
				return list[i]
			}
			return nil
		}
		if rest < 0 {
			for i, set := range setters {
				set(x, at(i))
			}
			return
		}
		after := len(setters) - rest - 1
		end := max(rest, len(list)-after)
		for i, set := range setters {
			switch {
			case i < rest:
				set(x, at(i))
			case i == rest:
				var some []any
				if rest < len(list) {
					some = slices.Clone(list[rest:min(end, len(list))])
				}
				set(x, x.array(some))
			default:
				set(x, at(end+i-rest-1))
			}
		}
	}
}

func (c *compiler) assign(n *assign) code {
	value := c.compile(n.value)
	if l, ok := n.to.(*local); ok && l.depth == 0 {
		slot := l.slot
		return func(x *exec) any {
			v := value(x)
			if x.jump == jumpNone {
				x.frame.vars[slot] = v
			}
			return v
		}
	}
	if m, ok := n.to.(*multi); ok {
		set := c.multiSetter(m)
		return func(x *exec) any {
			v := value(x)
			if x.jump == jumpNone {
				set(x, v)
			}
			return v
		}
	}
	switch to := n.to.(type) { // the receiver is evaluated before the value
	case *index:
		c.noEventIndex(to)
		recv, args := c.value(to.recv), c.arguments(to.args)
		return func(x *exec) any {
			r := recv(x)
			base := len(x.stack)
			list := slices.Clone(args(x))
			x.stack = x.stack[:base]
			v := value(x)
			if x.jump == jumpNone {
				x.setIndex(r, append(list, v))
			}
			return v
		}
	case *call:
		s := newSite(to.name + "=")
		if !s.found() {
			return c.fail(to, "the attribute "+to.name+" cannot be set", "")
		}
		recv, safe := c.value(to.recv), to.safe
		return func(x *exec) any {
			r := recv(x)
			if safe && r == nil {
				return nil
			}
			v := value(x)
			if x.jump == jumpNone {
				x.send(s, r, []any{v}, nil)
			}
			return v
		}
	}
	set := c.setter(n.to)
	return func(x *exec) any {
		v := value(x)
		if x.jump == jumpNone {
			set(x, v)
		}
		return v
	}
}

func (c *compiler) opAssign(n *opAssign) code {
	value := c.compile(n.value)
	var combine func(x *exec, old any) (v any, set bool)
	switch n.op {
	case "||":
		combine = func(x *exec, old any) (any, bool) {
			if truthy(old) {
				return old, false
			}
			return value(x), x.jump == jumpNone
		}
	case "&&":
		combine = func(x *exec, old any) (any, bool) {
			if !truthy(old) {
				return old, false
			}
			return value(x), x.jump == jumpNone
		}
	default:
		op := operator(n.op)
		combine = func(x *exec, old any) (any, bool) {
			v := value(x)
			if x.jump != jumpNone {
				return nil, false
			}
			return op(x, old, v), true
		}
	}
	switch to := n.to.(type) {
	case *index:
		c.noEventIndex(to)
		recv, args := c.value(to.recv), c.arguments(to.args)
		return func(x *exec) any {
			r := recv(x)
			base := len(x.stack)
			list := slices.Clone(args(x))
			x.stack = x.stack[:base]
			if r == nil {
				x.noMethod("[]", nil)
			}
			v, set := combine(x, x.send(indexSite, r, list, nil))
			if set {
				x.setIndex(r, append(list, v))
			}
			return v
		}
	case *call:
		get, put := newSite(to.name), newSite(to.name+"=")
		if !get.found() || !put.found() {
			return c.fail(to, "the attribute "+to.name+" cannot be set", "")
		}
		recv, safe := c.value(to.recv), to.safe
		return func(x *exec) any {
			r := recv(x)
			if safe && r == nil {
				return nil
			}
			v, set := combine(x, x.send(get, r, nil, nil))
			if set {
				x.send(put, r, []any{v}, nil)
			}
			return v
		}
	}
	get, set := c.compile(n.to), c.setter(n.to)
	return func(x *exec) any {
		v, store := combine(x, get(x))
		if store {
			set(x, v)
		}
		return v
	}
}

// operator gives a binary operator, with short ways for numbers and strings.
func operator(op string) func(x *exec, a, b any) any {
	s := newSite(op)
	send := func(x *exec, a, b any) any {
		base := len(x.stack)
		x.stack = append(x.stack, b)
		v := x.send(s, a, x.stack[base:], nil)
		x.stack = x.stack[:base]
		return v
	}
	switch op {
	case "==":
		return func(x *exec, a, b any) any { return x.equal(a, b) }
	case "===":
		return func(x *exec, a, b any) any { return x.caseEqual(a, b) }
	case "+":
		return func(x *exec, a, b any) any {
			switch a := a.(type) {
			case int64:
				if b, ok := b.(int64); ok {
					if sum := a + b; (sum > a) == (b > 0) {
						return sum
					}
				}
			case float64:
				if b, ok := b.(float64); ok {
					return a + b
				}
			case *str:
				if b, ok := b.(*str); ok {
					x.alloc(len(a.s) + len(b.s) + 32)
					return newStr(a.s + b.s)
				}
			}
			return send(x, a, b)
		}
	case "-":
		return func(x *exec, a, b any) any {
			if a, ok := a.(int64); ok {
				if b, ok := b.(int64); ok {
					if d := a - b; (d < a) == (b > 0) {
						return d
					}
				}
			}
			return send(x, a, b)
		}
	case "<", ">", "<=", ">=":
		holds := map[string]func(c int) bool{
			"<": func(c int) bool { return c < 0 }, ">": func(c int) bool { return c > 0 },
			"<=": func(c int) bool { return c <= 0 }, ">=": func(c int) bool { return c >= 0 },
		}[op]
		return func(x *exec, a, b any) any {
			if a, ok := a.(int64); ok {
				if b, ok := b.(int64); ok {
					switch {
					case a < b:
						return holds(-1)
					case a > b:
						return holds(1)
					}
					return holds(0)
				}
			}
			return send(x, a, b)
		}
	}
	return send
}

func (c *compiler) binary(n *binaryNode) code {
	left, right := c.value(n.left), c.value(n.right)
	if n.op == "=~" {
		return c.match(n, left, right)
	}
	op := operator(n.op)
	return func(x *exec) any {
		a := left(x)
		return op(x, a, right(x))
	}
}

// match compiles =~; the named groups of a regular expression on the left become variables.
func (c *compiler) match(n *binaryNode, left, right code) code {
	type variable struct {
		name string
		set  func(x *exec, v any)
	}
	var vars []variable
	if re, ok := n.left.(*regexpLit); ok {
		for _, v := range re.names {
			vars = append(vars, variable{v.name, c.setter(v)})
		}
	}
	return func(x *exec) any {
		a := left(x)
		v := x.matches(a, right(x))
		for _, g := range vars {
			if x.match == nil || v == nil {
				g.set(x, nil)
			} else {
				g.set(x, x.match.named(x, g.name))
			}
		}
		return v
	}
}

func (c *compiler) unary(n *unary) code {
	value := c.value(n.value)
	switch n.op {
	case "-":
		site := newSite("-@")
		return func(x *exec) any {
			v := value(x)
			switch v := v.(type) {
			case int64, *big.Int, float64:
				return x.negate(v)
			}
			return x.send(site, v, nil, nil)
		}
	case "+":
		return value
	}
	site := newSite("~")
	return func(x *exec) any { return x.send(site, value(x), nil, nil) }
}
