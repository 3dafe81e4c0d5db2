package syntax

import (
	"strings"
)

// Print gives the configuration as text, indented by two spaces, without its comments. Reading it gives an equal tree
// but for the positions.
func (c *Config) Print() string {
	var p printer
	for i, s := range c.Sections {
		if i > 0 {
			p.WriteByte('\n')
		}
		p.WriteString(string(s.Kind) + " {")
		p.body(s.Body)
		p.WriteString("}\n")
	}
	return p.String()
}

// Print gives a node as text: a Statement, a Value, a Cond or an *Attribute.
func Print(node interface{ At() Pos }) string {
	var p printer
	switch n := node.(type) {
	case *Plugin:
		p.plugin(n)
	case *Attribute:
		p.attribute(n)
	case Statement:
		p.statement(n)
	case Value:
		p.value(n)
	case Cond:
		p.cond(n)
	}
	return p.String()
}

// At gives the place where the node begins.
func (n *Attribute) At() Pos { return n.Pos }

// Quote puts a string into quotes without escapes, as it is written where config.support_escapes is not set. It is not ok
// if there is no way to write it: it has quotes of both kinds, or a backslash at its end.
func Quote(s string) (raw string, ok bool) {
	for _, q := range []byte{'"', '\''} {
		raw = string(q) + s + string(q)
		p := parser{src: raw}
		if p.quoted() && p.pos == len(raw) {
			return raw, true
		}
	}
	return `"` + s + `"`, false
}

type printer struct {
	strings.Builder
	depth int
}

func (p *printer) line() {
	p.WriteByte('\n')
	for range p.depth {
		p.WriteString("  ")
	}
}

// body writes what stands between two braces, up to the closing one.
func (p *printer) body(body []Statement) {
	if len(body) == 0 {
		return
	}
	p.depth++
	for _, s := range body {
		p.line()
		p.statement(s)
	}
	p.depth--
	p.line()
}

func (p *printer) statement(s Statement) {
	switch s := s.(type) {
	case *Plugin:
		p.plugin(s)
	case *Branch:
		for i, arm := range s.Arms {
			if i > 0 {
				p.WriteString(" else ")
			}
			p.WriteString("if ")
			p.cond(arm.Cond)
			p.WriteString(" {")
			p.body(arm.Body)
			p.WriteByte('}')
		}
		if s.Else != nil {
			p.WriteString(" else {")
			p.body(s.Else.Body)
			p.WriteByte('}')
		}
	}
}

func (p *printer) plugin(n *Plugin) {
	p.WriteString(n.Name + " {")
	if len(n.Attributes) > 0 {
		p.depth++
		for _, a := range n.Attributes {
			p.line()
			p.attribute(a)
		}
		p.depth--
		p.line()
	}
	p.WriteByte('}')
}

func (p *printer) attribute(a *Attribute) {
	if a.Quoted {
		raw, _ := Quote(a.Name)
		p.WriteString(raw)
	} else {
		p.WriteString(a.Name)
	}
	p.WriteString(" => ")
	p.value(a.Value)
}

func (p *printer) value(v Value) {
	switch v := v.(type) {
	case *Plugin:
		p.plugin(v)
	case *Bareword:
		p.WriteString(v.Text)
	case *String:
		raw := v.Raw
		if raw == "" {
			raw, _ = Quote(v.Value)
		}
		p.WriteString(raw)
	case *Number:
		p.WriteString(v.Raw)
	case *Selector:
		p.WriteString(v.Text)
	case *Regexp:
		p.WriteString("/" + v.Pattern + "/")
	case *Array:
		p.WriteByte('[')
		p.list(v.Values)
		p.WriteByte(']')
	case *Call:
		p.WriteString(v.Name + "(")
		p.list(v.Args)
		p.WriteByte(')')
	case *Hash:
		p.hash(v)
	}
}

func (p *printer) list(values []Value) {
	for i, v := range values {
		if i > 0 {
			p.WriteString(", ")
		}
		p.value(v)
	}
}

func (p *printer) hash(h *Hash) {
	if len(h.Entries) == 0 {
		p.WriteString("{}")
		return
	}
	p.WriteByte('{')
	p.depth++
	for _, e := range h.Entries {
		p.line()
		p.value(e.Key)
		p.WriteString(" => ")
		p.value(e.Value)
	}
	p.depth--
	p.line()
	p.WriteByte('}')
}

func (p *printer) cond(c Cond) {
	switch c := c.(type) {
	case *Logic:
		p.logic(c)
	case *Not:
		p.WriteByte('!')
		if t, ok := c.Cond.(*Truth); ok {
			if s, ok := t.Value.(*Selector); ok {
				p.value(s)
				return
			}
		}
		p.group(c.Cond)
	case *Compare:
		p.value(c.Left)
		p.WriteString(" " + string(c.Op) + " ")
		p.value(c.Right)
	case *In:
		p.value(c.Item)
		if c.Negated {
			p.WriteString(" not in ")
		} else {
			p.WriteString(" in ")
		}
		p.value(c.List)
	case *Match:
		p.value(c.Left)
		if c.Negated {
			p.WriteString(" !~ ")
		} else {
			p.WriteString(" =~ ")
		}
		p.value(c.Pattern)
	case *Truth:
		p.value(c.Value)
	}
}

func (p *printer) group(c Cond) {
	p.WriteByte('(')
	p.cond(c)
	p.WriteByte(')')
}

// logic writes a chain of conditions without parentheses if it is read as the same tree.
func (p *printer) logic(l *Logic) {
	operands, ops := flatten(l, nil, nil)
	if sameShape(join(operands, ops), l) && canChain(ops) {
		for i, c := range operands {
			if i > 0 {
				p.WriteString(" " + string(ops[i-1].op) + " ")
			}
			p.cond(c)
		}
		return
	}
	p.side(l.Left)
	p.WriteString(" " + string(l.Op) + " ")
	p.side(l.Right)
}

func (p *printer) side(c Cond) {
	if _, ok := c.(*Logic); ok {
		p.group(c)
		return
	}
	p.cond(c)
}

func flatten(c Cond, operands []Cond, ops []operator) ([]Cond, []operator) {
	l, ok := c.(*Logic)
	if !ok {
		return append(operands, c), ops
	}
	operands, ops = flatten(l.Left, operands, ops)
	return flatten(l.Right, operands, append(ops, operator{op: l.Op}))
}

func canChain(ops []operator) bool {
	for _, o := range ops {
		if (o.op == Xor || o.op == Nand) && len(ops) > 1 {
			return false
		}
	}
	return true
}

func sameShape(a, b Cond) bool {
	la, aOK := a.(*Logic)
	lb, bOK := b.(*Logic)
	if !aOK || !bOK {
		return aOK == bOK
	}
	return la.Op == lb.Op && sameShape(la.Left, lb.Left) && sameShape(la.Right, lb.Right)
}
