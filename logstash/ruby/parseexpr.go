package ruby

import (
	"strings"
)

// precedence of binary operators, from weak to strong.
var precedence = map[string]int{
	"..": 2, "...": 2,
	"||": 3, "&&": 4,
	"<=>": 6, "==": 6, "===": 6, "!=": 6, "=~": 6, "!~": 6,
	"<": 7, ">": 7, "<=": 7, ">=": 7,
	"|": 8, "^": 8, "&": 9, "<<": 10, ">>": 10,
	"+": 11, "-": 11, "*": 12, "/": 12, "%": 12,
	"**": 14,
}

var opAssigns = map[string]string{
	"+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%", "**=": "**", "||=": "||", "&&=": "&&", "|=": "|", "&=": "&", "^=": "^",
	"<<=": "<<", ">>=": ">>",
}

// expression reads an assignment or what is below it.
func (p *parser) expression() node {
	p.depth++
	p.deep(p.tok.at)
	defer func() { p.depth-- }()
	begin := p.tok.at
	n := p.ternaryExpression()
	switch {
	case p.tok.is("="):
		to := p.target(n)
		p.next()
		p.skipLines()
		return &assign{at(begin), to, p.rightSide()}
	case p.tok.kind == tOp && opAssigns[p.tok.text] != "":
		op := opAssigns[p.tok.text]
		to := p.target(n)
		p.next()
		p.skipLines()
		return &opAssign{at(begin), to, op, p.rightSide()}
	}
	return n
}

func (p *parser) ternaryExpression() node {
	begin := p.tok.at
	cond := p.binaryExpression(2)
	if !p.tok.is("?") {
		return cond
	}
	p.ternary++
	p.next()
	p.skipLines()
	then := p.expression()
	p.ternary--
	p.skipLines()
	if p.tok.kind == tLabel { // a ? b : c where b was read as a label cannot be
		p.unexpected(`":"`)
	}
	p.expect(":")
	p.skipLines()
	return &ifNode{at: at(begin), cond: cond, then: then, otherwise: p.expression()}
}

func (p *parser) binaryExpression(least int) node {
	p.depth++
	p.deep(p.tok.at)
	defer func() { p.depth-- }()
	left := p.unaryExpression()
	for p.tok.kind == tOp {
		op := p.tok.text
		prec, ok := precedence[op]
		if !ok || prec < least {
			return left
		}
		begin := p.tok.at
		p.next()
		p.skipLines()
		switch op {
		case "..", "...":
			r := &rangeLit{at: at(begin), from: left, exclusive: op == "..."}
			if p.beginsValue() {
				r.to = p.binaryExpression(prec + 1)
			}
			left = r
		case "&&", "||":
			var right node
			if p.tok.kind == tKeyword && (p.tok.text == "return" || p.tok.text == "next" || p.tok.text == "break") || p.tok.is("not") {
				right = p.notExpression()
			} else {
				right = p.binaryExpression(prec + 1)
			}
			if p.tok.is("=") || p.tok.kind == tOp && opAssigns[p.tok.text] != "" { // a && b = c
				right = p.assignTo(right)
			}
			left = &logic{at: at(begin), or: op == "||", left: left, right: right}
		case "**":
			right := p.binaryExpression(13)
			if l, ok := left.(*literal); ok && p.src[l.pos()] == '-' {
				left = &unary{l.at, "-", &binaryNode{at(begin), op, p.negated(l), right}}
			} else {
				left = &binaryNode{at(begin), op, left, right}
			}
		case "!=":
			left = &not{at(begin), &binaryNode{at(begin), "==", left, p.binaryExpression(prec + 1)}}
		case "!~":
			left = &not{at(begin), &binaryNode{at(begin), "=~", left, p.binaryExpression(prec + 1)}}
		default:
			b := &binaryNode{at(begin), op, left, p.binaryExpression(prec + 1)}
			if re, ok := left.(*regexpLit); ok && op == "=~" && re.re != nil { // named groups become variables
				for _, name := range re.re.Names() {
					depth, slot, ok := p.scope.find(name.Name)
					if !ok {
						slot = p.scope.declare(name.Name)
					}
					re.names = append(re.names, &local{re.at, name.Name, depth, slot})
				}
			}
			left = b
		}
	}
	return left
}

func (p *parser) assignTo(n node) node {
	begin := p.tok.at
	op := opAssigns[p.tok.text]
	to := p.target(n)
	p.next()
	p.skipLines()
	if op != "" {
		return &opAssign{at(begin), to, op, p.expression()}
	}
	return &assign{at(begin), to, p.expression()}
}

// negated turns a negative number around.
func (p *parser) negated(l *literal) node {
	x := &exec{}
	return &literal{l.at, x.negate(l.value)}
}

func (p *parser) unaryExpression() node {
	begin := p.tok.at
	switch {
	case p.tok.is("!"):
		p.next()
		return &not{at(begin), p.unaryExpression()}
	case p.tok.is("-"), p.tok.is("+"), p.tok.is("~"):
		op := p.tok.text
		p.depth++
		p.deep(begin)
		defer func() { p.depth-- }()
		p.next()
		return &unary{at(begin), op, p.binaryExpression(14)}
	case p.tok.is("&"):
		p.unexpected("a value")
	case p.tok.is("defined?"):
		p.next()
		paren := p.accept("(")
		d := &defined{at(begin), p.expression()}
		if paren {
			p.expect(")")
		}
		return d
	case p.tok.is("..") || p.tok.is("..."):
		r := &rangeLit{at: at(begin), exclusive: p.tok.is("...")}
		p.next()
		r.to = p.binaryExpression(3)
		return r
	}
	return p.primary()
}

// beginsValue says whether the current token can begin a value.
func (p *parser) beginsValue() bool {
	switch p.tok.kind {
	case tIdent, tConst, tNumber, tNode, tVar:
		return true
	case tOp:
		switch p.tok.text {
		case "(", "[", "-", "+", "!", "~", "->", "{", "::":
			return true
		}
	case tKeyword:
		switch p.tok.text {
		case "nil", "true", "false", "self", "not", "defined?", "case", "if", "unless", "begin", "yield", "while", "until":
			return true
		}
	}
	return false
}

// beginsCommandArgument says whether arguments without parentheses follow the name p.prev.
func (p *parser) beginsCommandArgument() bool {
	if !p.prev.command {
		return false
	}
	last := p.prev.text[len(p.prev.text)-1]
	if !p.tok.space && last != '?' && last != '!' {
		return p.tok.kind == tNode && p.prev.kind == tIdent && p.src[p.tok.at] != '['
	}
	adjacent := p.byteAt(p.tok.end) != ' ' && p.byteAt(p.tok.end) != '\n'
	switch p.tok.kind {
	case tIdent, tConst, tNumber, tNode, tVar, tLabel:
		return true
	case tOp:
		switch p.tok.text {
		case "[":
			return p.tok.space
		case "->", "!", "~":
			return p.tok.space
		case "-", "*", "&", "**", "::":
			return p.tok.space && adjacent
		case "(":
			return p.tok.space
		}
	case tKeyword:
		switch p.tok.text {
		case "nil", "true", "false", "self", "not", "defined?", "case", "yield":
			return true
		}
	}
	return false
}

// primary reads a value with what is called on it.
func (p *parser) primary() node {
	n := p.atom()
	for {
		begin := p.tok.at
		switch {
		case p.tok.is(".") || p.tok.is("&."):
			safe := p.tok.is("&.")
			p.next()
			n = p.method(n, safe)
		case p.tok.is("::"):
			p.next()
			if c, ok := n.(*constant); ok && p.tok.kind == tConst && p.byteAt(p.tok.end) != '(' {
				n = &constant{c.at, c.name + "::" + p.tok.text}
				p.next()
				continue
			}
			n = p.method(n, false)
		case p.tok.is("[") && (!p.tok.space || !p.prev.command) && !p.tok.newline:
			p.next()
			n = &index{at: at(begin), recv: n, args: p.arguments("]")}
		case p.tok.is("{") && p.takesBlock(n):
			p.addBlock(n, p.block())
		case p.tok.is("do") && p.noDo == 0 && p.takesBlock(n):
			p.addBlock(n, p.block())
		default:
			return n
		}
	}
}

func (p *parser) takesBlock(n node) bool {
	switch n := n.(type) {
	case *call:
		return n.block == nil && n.pass == nil
	case *constant:
		return false
	}
	return false
}

func (p *parser) addBlock(n node, b *blockNode) { n.(*call).block = b }

// method reads the name and the arguments of a call, behind the dot.
func (p *parser) method(recv node, safe bool) node {
	c := &call{at: at(p.tok.at), recv: recv, safe: safe}
	switch {
	case p.tok.is("("): // .( calls a proc
		c.name = "call"
		p.next()
		p.callArguments(c, ")")
		c.paren = true
		return c
	case p.tok.kind == tIdent || p.tok.kind == tConst:
		c.name = p.tok.text
	case p.tok.kind == tKeyword:
		c.name = p.tok.text
		p.tok.value, p.tok.command = true, true
	case p.tok.kind == tOp && precedence[p.tok.text] > 4:
		c.name = p.tok.text
		p.tok.command = true
	default:
		p.unexpected("the name of a method")
	}
	p.next()
	p.afterName(c)
	return c
}

// afterName reads the arguments that follow the name of a method.
func (p *parser) afterName(c *call) {
	switch {
	case p.tok.is("(") && !p.tok.space && !p.tok.newline:
		c.paren = true
		p.next()
		p.callArguments(c, ")")
	case p.tok.newline && p.tok.kind != tNewline:
	case p.beginsCommandArgument():
		p.commandArguments(c)
	}
}

func (p *parser) commandArguments(c *call) {
	p.noDo++
	p.callList(c, "")
	p.noDo--
	if p.tok.is("do") && p.noDo == 0 {
		c.block = p.block()
	}
}

// callArguments reads arguments in parentheses, and the closing one.
func (p *parser) callArguments(c *call, end string) {
	noDo, ternary := p.noDo, p.ternary
	p.noDo, p.ternary = 0, 0
	p.callList(c, end)
	p.noDo, p.ternary = noDo, ternary
	p.expect(end)
}

func (p *parser) callList(c *call, end string) {
	var hash *hashLit
	for {
		if end != "" {
			p.skipLines()
			if p.tok.is(end) {
				break
			}
		}
		begin := p.tok.at
		switch {
		case p.accept("&"):
			c.pass = p.ternaryExpression()
		case p.tok.is("*"):
			p.next()
			c.args = append(c.args, &splat{at(begin), p.ternaryExpression()})
		default:
			key, value := p.pair()
			switch {
			case value == nil && key != nil:
				if hash != nil {
					p.fail(begin, "an argument behind name: value", "")
				}
				c.args = append(c.args, key)
			default:
				if hash == nil {
					hash = &hashLit{at: at(begin), bare: true}
					c.args = append(c.args, hash)
				}
				hash.pairs = append(hash.pairs, [2]node{key, value})
			}
		}
		if end != "" {
			p.skipLines()
		}
		if !p.accept(",") {
			break
		}
		p.skipLines()
	}
}

// pair reads name: value, "name": value, key => value, **hash (the key is nil), or a value alone, which is then the key.
func (p *parser) pair() (key, value node) {
	begin := p.tok.at
	switch {
	case p.tok.kind == tLabel:
		name := strings.TrimSuffix(p.tok.text, ":")
		key = &literal{at(begin), symbol(name)}
		p.next()
		p.skipLines()
		if p.tok.is(",") || p.tok.is("}") || p.tok.is(")") {
			p.fail(begin, "a value is missing behind "+name+":", "")
		}
		return key, p.noMulti()
	case p.accept("**"):
		return nil, p.ternaryExpression()
	case p.tok.kind == tNode && p.ternary == 0 && p.byteAt(p.tok.end) == ':' && p.byteAt(p.tok.end+1) != ':':
		if t, ok := p.tok.node.(*text); ok && p.src[begin] == '"' || ok && p.src[begin] == '\'' {
			t.symbol = true
			p.off++
			p.tok.value = false
			p.next()
			p.skipLines()
			return t, p.noMulti()
		}
	}
	key = p.noMulti()
	if p.accept("=>") {
		p.skipLines()
		return key, p.noMulti()
	}
	return key, nil
}

func (p *parser) noMulti() node {
	if p.tok.is("not") {
		return p.notExpression()
	}
	return p.argument()
}

// argument reads an assignment, whose right side ends at a comma, or a value.
func (p *parser) argument() node {
	begin := p.tok.at
	n := p.ternaryExpression()
	if p.tok.is("=") || p.tok.kind == tOp && opAssigns[p.tok.text] != "" {
		op := opAssigns[p.tok.text]
		to := p.target(n)
		p.next()
		p.skipLines()
		if op != "" {
			return &opAssign{at(begin), to, op, p.argument()}
		}
		return &assign{at(begin), to, p.argument()}
	}
	return n
}

// arguments reads the items of an array or index up to end, and takes it.
func (p *parser) arguments(end string) []node {
	c := &call{}
	p.callArguments(c, end)
	if c.pass != nil {
		p.fail(c.pass.pos(), "a block cannot be passed here", "")
	}
	return c.args
}
