package syntax

import "strings"

// condition reads expression (cs boolean_operator cs expression)*.
func (p *parser) condition() (Cond, bool) {
	if !p.enter() {
		return nil, false
	}
	defer p.leave()
	start := p.pos
	first, ok := p.expression()
	if !ok {
		p.pos = start
		return nil, false
	}
	operands := []Cond{first}
	var ops []operator
	for {
		end := p.pos
		p.blank()
		op, ok := p.logicOp()
		if !ok {
			p.pos = end
			break
		}
		p.blank()
		c, ok := p.expression()
		if !ok {
			p.pos = end
			break
		}
		operands, ops = append(operands, c), append(ops, op)
	}
	if len(ops) > 1 {
		p.checkOperators(ops)
	}
	return join(operands, ops), true
}

// operator is an and, or, xor or nand at its place.
type operator struct {
	op     LogicOp
	pos    Pos
	offset int
}

func (p *parser) logicOp() (operator, bool) {
	for _, op := range []LogicOp{And, Or, Xor, Nand} {
		if strings.HasPrefix(p.src[p.pos:], string(op)) {
			o := operator{op, p.at(p.pos), p.pos}
			p.pos += len(op)
			return o, true
		}
	}
	p.fail(p.pos, wantLogic)
	return operator{}, false
}

// checkOperators notes what Logstash cannot compile, and warns of what it compiles other than one reads it.
func (p *parser) checkOperators(ops []operator) {
	for _, o := range ops {
		if o.op == Xor || o.op == Nand {
			p.errorf(o.offset, "%s cannot stand beside another operator: put it and its two sides in parentheses", o.op)
			return
		}
	}
	for i := 2; i < len(ops); i++ {
		if ops[i].op == Or && ops[i-1].op == And && ops[i-2].op == And {
			p.warnf(ops[i].offset, "this or belongs to the last and only: Logstash reads a and b and c or d as a and ((b and c) or d); write parentheses")
			return
		}
	}
}

// join makes a tree of operands with operators between them, in the way of Logstash's Condition#join_conditions
// (logstash-core/lib/logstash/compiler/lscl.rb): and binds tighter than or, and equal operators group from the right.
// But an or takes only one and off the stack, so that "a and b and c or d" is a and ((b and c) or d). Since results
// differ, this is kept.
func join(operands []Cond, ops []operator) Cond {
	out := operands[:1:1]
	var stack []operator
	apply := func(o operator) {
		n := len(out)
		l := &Logic{Pos: out[n-2].At(), OpPos: o.pos, Op: o.op, Left: out[n-2], Right: out[n-1]}
		out = append(out[:n-2], l)
	}
	for i, o := range ops {
		if n := len(stack); n > 0 && stack[n-1].op == And && o.op == Or {
			apply(stack[n-1])
			stack = stack[:n-1]
		}
		stack = append(stack, o)
		out = append(out, operands[i+1])
	}
	for i := len(stack) - 1; i >= 0; i-- {
		apply(stack[i])
	}
	return out[0]
}

// expression reads a condition in parentheses, a negation, a comparison of some kind, or a single value.
func (p *parser) expression() (Cond, bool) {
	start := p.pos
	if start == len(p.src) {
		p.fail(start, wantCondition)
		return nil, false
	}
	switch p.src[start] {
	case '(':
		return p.group()
	case '!':
		p.pos++
		p.blank()
		if p.pos < len(p.src) && p.src[p.pos] == '(' {
			if c, ok := p.group(); ok {
				return &Not{Pos: p.at(start), Cond: c}, true
			}
			return nil, false
		}
		p.fail(p.pos, wantParen)
		if s, ok := p.selector(); ok {
			return &Not{Pos: p.at(start), Cond: &Truth{Pos: s.Pos, Value: s}}, true
		}
		return nil, false
	}
	left, ok := p.operand(wantCondition)
	if !ok {
		return nil, false
	}
	end := p.pos
	p.blank()
	if c := p.comparison(left); c != nil {
		return c, true
	}
	p.pos = end
	return &Truth{Pos: left.At(), Value: left}, true
}

// group reads "(" cs condition cs ")".
func (p *parser) group() (Cond, bool) {
	p.pos++
	p.blank()
	c, ok := p.condition()
	if !ok {
		return nil, false
	}
	p.blank()
	return c, p.literal(")", wantEndParen)
}

// compareOps are the operators between two values, each before those that it begins with.
var compareOps = []CompareOp{Equal, NotEqual, LessOrEqual, GreaterOrEqual, Less, Greater}

// comparison reads an operator and what stands on its right; nil if there is none.
func (p *parser) comparison(left Value) Cond {
	start := p.pos
	rest := p.src[start:]
	switch {
	case strings.HasPrefix(rest, "in"):
		p.pos += len("in")
		return p.in(left, start, false)
	case strings.HasPrefix(rest, "not "):
		p.pos += len("not ")
		p.blank()
		if p.literal("in", wantIn) {
			return p.in(left, start, true)
		}
		return nil
	case strings.HasPrefix(rest, "=~"), strings.HasPrefix(rest, "!~"):
		p.pos += len("=~")
		p.blank()
		if pattern, ok := p.pattern(); ok {
			return &Match{Pos: left.At(), OpPos: p.at(start), Negated: rest[0] == '!', Left: left, Pattern: pattern}
		}
		return nil
	}
	for _, op := range compareOps {
		if !strings.HasPrefix(rest, string(op)) {
			continue
		}
		p.pos += len(op)
		p.blank()
		if right, ok := p.operand(wantOperand); ok {
			return &Compare{Pos: left.At(), OpPos: p.at(start), Op: op, Left: left, Right: right}
		}
		return nil
	}
	p.fail(start, wantCompare)
	return nil
}

func (p *parser) in(item Value, op int, negated bool) Cond {
	p.blank()
	start := p.pos
	list, ok := p.operand(wantOperand)
	if !ok {
		return nil
	}
	if s, ok := list.(*Selector); ok {
		if inner := strings.TrimSpace(s.Text[1 : len(s.Text)-1]); inner != "" && (inner[0] == '"' || inner[0] == '\'') {
			p.warnf(start, "%s is read as a field, not as a list with one element; compare with == or add an element", s.Text)
		}
	}
	return &In{Pos: item.At(), OpPos: p.at(op), Negated: negated, Item: item, List: list}
}

// pattern reads the right side of =~ and !~.
func (p *parser) pattern() (Value, bool) {
	start := p.pos
	switch {
	case p.quoted():
		return p.stringNode(start), true
	case p.regexp():
		return &Regexp{Pos: p.at(start), Pattern: p.src[start+1 : p.pos-1]}, true
	}
	p.fail(start, wantPattern)
	return nil, false
}

// regexp goes over a regular expression.
func (p *parser) regexp() bool {
	return p.pos < len(p.src) && p.src[p.pos] == '/' && p.delimited('/', wantSlash)
}

// operand reads string / number / selector / array / method_call / regexp: the grammar's rule rvalue.
func (p *parser) operand(want expect) (Value, bool) {
	start := p.pos
	if start == len(p.src) {
		p.fail(start, want)
		return nil, false
	}
	switch c := p.src[start]; {
	case c == '"' || c == '\'':
		if p.quoted() {
			return p.stringNode(start), true
		}
		return nil, false
	case c == '-' || isDigit(c):
		return p.number()
	case c == '[':
		if s, ok := p.selector(); ok {
			return s, true
		}
		return p.array()
	case c == '/':
		if p.regexp() {
			return &Regexp{Pos: p.at(start), Pattern: p.src[start+1 : p.pos-1]}, true
		}
		return nil, false
	case isLetter(c):
		return p.call()
	}
	p.fail(start, want)
	return nil, false
}

// selector reads ("[" [^\]\[,]+ "]")+.
func (p *parser) selector() (*Selector, bool) {
	start := p.pos
	if start == len(p.src) || p.src[start] != '[' {
		p.fail(start, wantField)
		return nil, false
	}
	for p.pos < len(p.src) && p.src[p.pos] == '[' {
		n := strings.IndexAny(p.src[p.pos+1:], "[],")
		if n < 0 {
			n = len(p.src) - p.pos - 1
		}
		end := p.pos + 1 + n
		if n == 0 || end == len(p.src) || p.src[end] != ']' {
			p.fail(end, wantEndSelector)
			break
		}
		p.pos = end + 1
	}
	if p.pos == start {
		return nil, false
	}
	return &Selector{Pos: p.at(start), Text: p.src[start:p.pos]}, true
}

// call reads method cs "(" cs (rvalue (cs "," cs rvalue)*)? cs ")".
func (p *parser) call() (Value, bool) {
	start := p.pos
	if !p.enter() {
		return nil, false
	}
	defer p.leave()
	if !p.word() {
		return nil, false
	}
	c := &Call{Pos: p.at(start), Name: p.src[start:p.pos]}
	p.blank()
	if !p.literal("(", wantParen) {
		p.pos = start
		return nil, false
	}
	p.blank()
	for {
		v, ok := p.operand(wantOperand)
		if !ok {
			break
		}
		c.Args = append(c.Args, v)
		p.blank()
		if !p.literal(",", wantComma) {
			return c, p.literal(")", wantEndParen)
		}
		p.blank()
	}
	if p.stop || len(c.Args) > 0 || !p.literal(")", wantEndParen) {
		p.pos = start
		return nil, false
	}
	return c, true
}
