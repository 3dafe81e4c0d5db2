package ruby

import "strings"

// atom reads what begins a value: a literal, a variable, a call without receiver, a statement in parentheses or with an end of
// its own.
func (p *parser) atom() node {
	p.depth++
	p.deep(p.tok.at)
	defer func() { p.depth-- }()
	t := p.tok
	begin := t.at
	switch t.kind {
	case tNumber:
		p.next()
		return t.node
	case tNode:
		p.next()
		s, ok := t.node.(*text)
		for ok && p.tok.kind == tNode && !p.tok.newline { // "a" "b"
			more, isText := p.tok.node.(*text)
			if !isText || more.symbol {
				break
			}
			s.parts = append(s.parts, more.parts...)
			p.next()
		}
		return t.node
	case tVar:
		p.next()
		switch name := t.text; {
		case name == "$~":
			return &matchVar{at(begin), -1}
		case name == "$&":
			return &matchVar{at(begin), 0}
		case name == "$!":
			return &lastError{at(begin)}
		case len(name) == 2 && name[0] == '$' && name[1] >= '1' && name[1] <= '9':
			return &matchVar{at(begin), int(name[1] - '0')}
		default:
			return &slotVar{at(begin), name}
		}
	case tConst:
		return p.constant(t)
	case tIdent:
		return p.identifier(t)
	case tLabel:
		p.fail(begin, `"`+t.text+`" is not expected here`, "a hash needs { }")
	case tKeyword:
		return p.keyword(t)
	case tOp:
		switch t.text {
		case "(":
			noDo, ternary := p.noDo, p.ternary
			p.noDo, p.ternary = 0, 0
			p.next()
			n := p.statements(")")
			p.noDo, p.ternary = noDo, ternary
			p.expect(")")
			if s, ok := n.(*seq); ok && len(s.list) == 0 {
				return &literal{at(begin), nil}
			}
			return n
		case "[":
			p.next()
			return &arrayLit{at(begin), p.arguments("]")}
		case "{":
			return p.hash(begin)
		case "->":
			return p.arrow(begin)
		case "::":
			p.next()
			if p.tok.kind == tConst {
				return p.constant(p.tok)
			}
		}
	}
	p.unexpected("a value")
	return nil
}

func (p *parser) constant(t token) node {
	p.next()
	if p.tok.is("(") && !p.tok.space || p.beginsCommandArgument() && t.command && p.tok.kind != tLabel {
		c := &call{at: at(t.at), name: t.text}
		p.afterName(c)
		return c
	}
	return &constant{at(t.at), t.text}
}

func (p *parser) identifier(t token) node {
	if depth, slot, ok := p.scope.find(t.text); ok {
		p.next()
		if !(p.tok.is("(") && !p.tok.space) {
			return &local{at(t.at), t.text, depth, slot}
		}
		c := &call{at: at(t.at), name: t.text}
		p.afterName(c)
		return c
	}
	p.next()
	c := &call{at: at(t.at), name: t.text}
	p.afterName(c)
	return c
}

func (p *parser) hash(begin int) node {
	noDo, ternary := p.noDo, p.ternary
	p.noDo, p.ternary = 0, 0
	p.next()
	h := &hashLit{at: at(begin)}
	for {
		p.skipLines()
		if p.tok.is("}") {
			break
		}
		key, value := p.pair()
		if value == nil {
			p.unexpected(`"=>"`)
		}
		h.pairs = append(h.pairs, [2]node{key, value})
		p.skipLines()
		if !p.accept(",") {
			break
		}
	}
	p.noDo, p.ternary = noDo, ternary
	p.expect("}")
	return h
}

// arrow reads ->(a, b) { … }.
func (p *parser) arrow(begin int) node {
	b := &blockNode{at: at(begin), scope: newScope(p.scope)}
	outer := p.scope
	p.scope = b.scope
	p.next()
	if p.accept("(") {
		b.params = p.parameters(")")
		p.expect(")")
	} else if p.tok.kind == tIdent {
		for {
			b.params = append(b.params, param{name: p.tok.text, slot: p.scope.declare(p.tok.text)})
			p.next()
			if !p.accept(",") || p.tok.kind != tIdent {
				break
			}
		}
	}
	p.scope = outer
	switch {
	case p.tok.is("{"):
		p.blockBody(b, "}", begin)
	case p.tok.is("do"):
		p.blockBody(b, "end", begin)
	default:
		p.unexpected(`"{" or "do"`)
	}
	return &lambda{at(begin), b}
}

func (p *parser) keyword(t token) node {
	begin := t.at
	noDo, ternary := p.noDo, p.ternary
	own := func(read func() node) node { // a statement with an end of its own
		p.noDo, p.ternary = 0, 0
		n := read()
		p.noDo, p.ternary = noDo, ternary
		return n
	}
	switch t.text {
	case "nil":
		p.next()
		return &literal{at(begin), nil}
	case "true", "false":
		p.next()
		return &literal{at(begin), t.text == "true"}
	case "self":
		p.next()
		return &self{at(begin)}
	case "if":
		p.next()
		return own(func() node { return p.ifStatement(begin) })
	case "unless":
		p.next()
		return own(func() node { return p.unlessStatement(begin) })
	case "while", "until":
		p.next()
		return own(func() node { return p.loop(begin, t.text == "until") })
	case "for":
		p.next()
		return own(func() node { return p.forStatement(begin) })
	case "case":
		p.next()
		return own(func() node { return p.caseStatement(begin) })
	case "begin":
		p.next()
		return own(func() node { return p.beginStatement(begin) })
	case "def":
		p.next()
		return own(func() node { return p.definition(begin) })
	case "return", "next", "break", "retry":
		return p.jumpStatement(begin, t.text)
	case "yield":
		p.next()
		c := &call{at: at(begin)}
		switch {
		case p.tok.is("(") && !p.tok.space:
			p.next()
			p.callArguments(c, ")")
		case p.beginsValue() && !p.tok.is("["):
			p.callList(c, "")
		}
		return &yieldNode{at(begin), c.args}
	case "not":
		return p.notExpression()
	}
	if r, ok := refusedKeywords[t.text]; ok {
		p.fail(begin, r.reason, r.hint)
	}
	p.unexpected("a value")
	return nil
}

func (p *parser) jumpStatement(begin int, word string) node {
	kinds := map[string]jumpKind{"return": jumpReturn, "next": jumpNext, "break": jumpBreak, "retry": jumpRetry}
	j := &jump{at: at(begin), kind: kinds[word]}
	p.next()
	if word != "retry" && (p.beginsValue() && !p.tok.is("if") && !p.tok.is("unless") && !p.tok.is("while") && !p.tok.is("until") || p.tok.is("*")) {
		j.value = p.rightSide()
	}
	return j
}

// plain gives the text of a string in which nothing is interpolated.
func plain(n node) (string, bool) {
	t, ok := n.(*text)
	if !ok || t.symbol {
		return "", false
	}
	var b strings.Builder
	for _, part := range t.parts {
		l, ok := part.(*literal)
		if !ok {
			return "", false
		}
		s, ok := l.value.(string)
		if !ok {
			return "", false
		}
		b.WriteString(s)
	}
	return b.String(), true
}
