package ruby

import (
	"strings"
	"unicode/utf8"
)

// A parser reads code into a tree, by recursive descent. It stops at the first mistake.
type parser struct {
	src        string
	off        int   // where the next token begins
	tok, prev  token // the current token, and the one before
	heredocEnd int   // where the lines of heredocs end that begin on this line; 0: there are none
	ternary    int   // how many ? wait for their colon
	noDo       int   // above 0: do belongs to while, until, for or a command further out
	depth      int
	scope      *scope
	found      *tree // methods and constants so far
}

const mostNesting = 200

// stop is what the parser panics with; parse recovers it.
type stop struct{ err *Error }

// fail ends the parser.
func (p *parser) fail(offset int, reason, hint string) {
	panic(stop{errorAt(p.src, offset, reason, hint)})
}

func errorAt(src string, offset int, reason, hint string) *Error {
	before := src[:min(offset, len(src))]
	line := strings.LastIndexByte(before, '\n') + 1
	return &Error{
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[line:]) + 1,
		Reason: reason, Hint: hint,
	}
}

// deep guards the parser's own stack.
func (p *parser) deep(offset int) {
	if p.depth > mostNesting {
		p.fail(offset, "the code is nested too deeply", "")
	}
}

// A tree is a parsed program.
type tree struct {
	scope     *scope
	body      node
	defs      []*define // everywhere in the program
	constants []string  // that it sets
}

func parse(src string, params []string) (t *tree, err error) {
	p := &parser{src: src, scope: newScope(nil), found: &tree{}}
	for _, name := range params {
		p.scope.declare(name)
	}
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(stop)
			if !ok {
				panic(r)
			}
			err = s.err
		}
	}()
	p.next()
	body := p.statements()
	if p.tok.kind != tEOF {
		p.unexpected("")
	}
	p.found.scope, p.found.body = p.scope, body
	return p.found, nil
}

// unexpected complains of the current token.
func (p *parser) unexpected(expected string) {
	if r, ok := refusedKeywords[p.tok.text]; ok && p.tok.kind == tKeyword {
		p.fail(p.tok.at, r.reason, r.hint)
	}
	found := `"` + p.tok.text + `"`
	switch p.tok.kind {
	case tEOF:
		found = "the end of the code"
	case tNewline:
		found = "the end of the line"
	case tNumber, tNode:
		found = `"` + firstLine(p.src[p.tok.at:p.tok.end]) + `"`
	}
	if expected == "" {
		p.fail(p.tok.at, found+" is not expected here", "")
	}
	p.fail(p.tok.at, "expected "+expected+", found "+found, "")
}

// accept takes a token if it is there.
func (p *parser) accept(text string) bool {
	if p.tok.is(text) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.unexpected(`"` + text + `"`)
	}
}

func (p *parser) skipLines() {
	for p.tok.kind == tNewline {
		p.next()
	}
}

// statements reads statements up to one of the words, which it does not take, or the end.
func (p *parser) statements(until ...string) node {
	s := &seq{at: at(p.tok.at)}
	for {
		p.skipLines()
		if p.tok.kind == tEOF {
			break
		}
		for _, w := range until {
			if p.tok.is(w) {
				return s.simple()
			}
		}
		s.list = append(s.list, p.statement())
		if p.tok.kind == tNewline || p.tok.kind == tEOF {
			continue
		}
		ends := false
		for _, w := range until {
			ends = ends || p.tok.is(w)
		}
		if !ends {
			p.unexpected("")
		}
	}
	return s.simple()
}

func (s *seq) simple() node {
	if len(s.list) == 1 {
		return s.list[0]
	}
	return s
}

// statement reads an expression with its modifiers.
func (p *parser) statement() node {
	p.depth++
	p.deep(p.tok.at)
	defer func() { p.depth-- }()
	n := p.expressionStatement()
	for p.tok.kind == tKeyword {
		begin := p.tok.at
		switch p.tok.text {
		case "if":
			p.next()
			n = &ifNode{at: at(begin), cond: p.condition(), then: n}
		case "unless":
			p.next()
			n = &ifNode{at: at(begin), cond: &not{at(begin), p.condition()}, then: n}
		case "while", "until":
			until := p.tok.text == "until"
			p.next()
			_, after := n.(*beginNode)
			n = &whileNode{at: at(begin), cond: p.condition(), body: n, until: until, after: after}
		case "rescue":
			p.next()
			n = &beginNode{at: at(begin), body: n, rescues: []rescue{{body: p.expressionStatement()}}}
		default:
			return n
		}
	}
	return n
}

// condition reads what a condition is; a regular expression alone is no condition here.
func (p *parser) condition() node { return p.expressionStatement() }

// expressionStatement reads an expression with not, and, or.
func (p *parser) expressionStatement() node {
	left := p.notExpression()
	for p.tok.is("and") || p.tok.is("or") {
		l := &logic{at: at(p.tok.at), or: p.tok.is("or"), left: left}
		p.next()
		p.skipLines()
		l.right = p.notExpression()
		left = l
	}
	return left
}

func (p *parser) notExpression() node {
	if p.tok.is("not") {
		begin := p.tok.at
		p.next()
		return &not{at(begin), p.notExpression()}
	}
	if n := p.multipleAssignment(); n != nil {
		return n
	}
	return p.expression()
}

// multipleAssignment reads a, b = …; nil if there is none.
func (p *parser) multipleAssignment() node {
	if p.tok.kind != tIdent && p.tok.kind != tVar && !p.tok.is("*") && !p.tok.is("(") || !p.looksMultiple() {
		return nil
	}
	begin := p.tok.at
	m := p.targets("=")
	p.expect("=")
	p.skipLines()
	return &assign{at(begin), m, p.rightSide()}
}

// looksMultiple looks ahead for targets that are separated by commas, and an equals sign.
func (p *parser) looksMultiple() bool {
	depth, comma := 0, false
	quote := byte(0)
	for i := p.tok.at; i < len(p.src); i++ {
		c := p.src[i]
		switch {
		case quote != 0:
			switch c {
			case '\\':
				i++
			case quote:
				quote = 0
			}
		case c == '"' || c == '\'':
			if depth == 0 {
				return false
			}
			quote = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
			if depth < 0 {
				return false
			}
		case depth > 0:
		case c == ',':
			comma = true
		case c == '=':
			next := p.byteAt(i + 1)
			return (comma || p.src[p.tok.at] == '*') && next != '=' && next != '~' && next != '>'
		case c == ' ' && !comma && p.tok.kind == tIdent && p.tok.command && i+1 < len(p.src) && p.src[i+1] != ',' && p.src[i+1] != '=':
			return false
		case isIdent(rune(c)) || c >= 0x80 || strings.IndexByte(" \t@$*.", c) >= 0:
		default:
			return false
		}
	}
	return false
}

// targets reads what is assigned to, up to the token end.
func (p *parser) targets(end string) *multi {
	m := &multi{at: at(p.tok.at)}
	for !p.tok.is(end) {
		begin := p.tok.at
		switch {
		case p.accept("*"):
			s := &splat{at: at(begin)}
			if !p.tok.is(end) && !p.tok.is(",") {
				s.value = p.target(p.primary())
			}
			m.targets = append(m.targets, s)
		case p.accept("("):
			m.targets = append(m.targets, p.targets(")"))
			p.expect(")")
		default:
			m.targets = append(m.targets, p.target(p.primary()))
		}
		if !p.accept(",") {
			break
		}
	}
	return m
}

// target makes what can be assigned to of an expression.
func (p *parser) target(n node) node {
	switch n := n.(type) {
	case *local, *slotVar, *index:
		return n
	case *constant:
		if strings.Contains(n.name, "::") {
			p.fail(n.pos(), "constants of others cannot be set", "")
		}
		p.found.constants = append(p.found.constants, n.name)
		return &slotVar{n.at, n.name}
	case *call:
		switch {
		case n.recv == nil && len(n.args) == 0 && n.block == nil && !n.paren:
			if last := n.name[len(n.name)-1]; last != '?' && last != '!' {
				return &local{at: n.at, name: n.name, slot: p.scope.declare(n.name)}
			}
		case n.recv != nil && len(n.args) == 0 && n.block == nil:
			return n
		}
	}
	p.fail(n.pos(), "this cannot be assigned to", "")
	return nil
}

// rightSide reads the value of an assignment: several make an array.
func (p *parser) rightSide() node {
	begin := p.tok.at
	var first node
	if p.accept("*") {
		first = &splat{at(begin), p.ternaryExpression()}
	} else {
		first = p.expression()
	}
	_, isSplat := first.(*splat)
	if !p.tok.is(",") && !isSplat {
		if p.tok.is("rescue") {
			at0 := p.tok.at
			p.next()
			return &beginNode{at: at(at0), body: first, rescues: []rescue{{body: p.expression()}}}
		}
		return first
	}
	list := &arrayLit{at: at(begin), items: []node{first}}
	for p.accept(",") {
		p.skipLines()
		if b := p.tok.at; p.accept("*") {
			list.items = append(list.items, &splat{at(b), p.ternaryExpression()})
		} else {
			list.items = append(list.items, p.ternaryExpression())
		}
	}
	return list
}

// then reads what stands between a condition and its statements.
func (p *parser) then() {
	if p.tok.kind == tNewline {
		p.skipLines()
		p.accept("then")
		return
	}
	if !p.accept("then") {
		p.unexpected(`"then" or the end of the line`)
	}
}

func (p *parser) ifStatement(begin int) node {
	n := &ifNode{at: at(begin), cond: p.condition()}
	p.then()
	n.then = p.statements("elsif", "else", "end")
	switch b := p.tok.at; {
	case p.accept("elsif"):
		n.otherwise = p.ifStatement(b)
		return n
	case p.accept("else"):
		n.otherwise = p.statements("end")
	}
	p.endOf("if", begin)
	return n
}

// endOf takes the end of a statement that began at an offset.
func (p *parser) endOf(what string, begin int) {
	if p.tok.kind == tEOF {
		e := errorAt(p.src, begin, "", "")
		p.fail(p.tok.at, `"end" is missing: that of "`+what+`" at `+position(e), "")
	}
	p.expect("end")
}

func position(e *Error) string {
	full := (&Error{Line: e.Line, Column: e.Column}).Error()
	return strings.TrimSuffix(full, ": ")
}

func (p *parser) unlessStatement(begin int) node {
	n := &ifNode{at: at(begin), cond: &not{at(begin), p.condition()}}
	p.then()
	n.then = p.statements("else", "end")
	if p.accept("else") {
		n.otherwise = p.statements("end")
	}
	p.endOf("unless", begin)
	return n
}

func (p *parser) loop(begin int, until bool) node {
	p.noDo++
	n := &whileNode{at: at(begin), cond: p.condition(), until: until}
	p.noDo--
	if !p.accept("do") && p.tok.kind != tNewline {
		p.unexpected(`"do" or the end of the line`)
	}
	n.body = p.statements("end")
	p.endOf("while", begin)
	return n
}

func (p *parser) forStatement(begin int) node {
	m := p.targets("in")
	n := &forNode{at: at(begin), target: m}
	if len(m.targets) == 1 {
		n.target = m.targets[0]
	}
	p.expect("in")
	p.noDo++
	n.in = p.expressionStatement()
	p.noDo--
	if !p.accept("do") && p.tok.kind != tNewline {
		p.unexpected(`"do" or the end of the line`)
	}
	n.body = p.statements("end")
	p.endOf("for", begin)
	return n
}

func (p *parser) caseStatement(begin int) node {
	n := &caseNode{at: at(begin)}
	if p.tok.kind != tNewline && !p.tok.is("when") {
		n.subject = p.expressionStatement()
	}
	p.skipLines()
	for p.accept("when") {
		var w when
		for {
			p.skipLines()
			if b := p.tok.at; p.accept("*") {
				w.tests = append(w.tests, &splat{at(b), p.ternaryExpression()})
			} else {
				w.tests = append(w.tests, p.ternaryExpression())
			}
			if !p.accept(",") {
				break
			}
		}
		p.then()
		w.body = p.statements("when", "else", "end")
		n.whens = append(n.whens, w)
	}
	if len(n.whens) == 0 {
		p.unexpected(`"when"`)
	}
	if p.accept("else") {
		n.otherwise = p.statements("end")
	}
	p.endOf("case", begin)
	return n
}

// bodyWithRescue reads statements with rescue, else and ensure, up to end, which it does not take.
func (p *parser) bodyWithRescue(begin int) node {
	body := p.statements("rescue", "else", "ensure", "end")
	if p.tok.is("end") || p.tok.kind == tEOF {
		return body
	}
	b := &beginNode{at: at(begin), body: body}
	for p.accept("rescue") {
		var r rescue
		for p.tok.kind != tNewline && !p.tok.is("then") && !p.tok.is("=>") {
			if s := p.tok.at; p.accept("*") {
				r.classes = append(r.classes, &splat{at(s), p.ternaryExpression()})
			} else {
				r.classes = append(r.classes, p.ternaryExpression())
			}
			if !p.accept(",") {
				break
			}
		}
		if p.accept("=>") {
			r.into = p.target(p.primary())
		}
		p.then()
		r.body = p.statements("rescue", "else", "ensure", "end")
		b.rescues = append(b.rescues, r)
	}
	if p.accept("else") {
		b.otherwise = p.statements("ensure", "end")
	}
	if p.accept("ensure") {
		b.ensure = p.statements("end")
	}
	return b
}

func (p *parser) beginStatement(begin int) node {
	body := p.bodyWithRescue(begin)
	p.endOf("begin", begin)
	if b, ok := body.(*beginNode); ok {
		return b
	}
	return &beginNode{at: at(begin), body: body}
}

func (p *parser) definition(begin int) node {
	name := p.tok.text
	switch {
	case p.tok.kind == tLabel, p.tok.kind != tIdent && p.tok.kind != tConst:
		p.unexpected("the name of a method")
	}
	if name == "self" {
		p.next()
		p.expect(".")
		name = p.tok.text
	}
	b := &blockNode{at: at(begin), isDef: true}
	outer := p.scope
	p.scope = newScope(nil)
	b.scope = p.scope
	noDo, ternary := p.noDo, p.ternary
	p.noDo, p.ternary = 0, 0
	p.tok.command = false
	p.next()
	if p.tok.is("(") {
		p.next()
		b.params = p.parameters(")")
		p.expect(")")
	} else if p.tok.kind != tNewline {
		b.params = p.parameters("")
	}
	if p.accept("=") {
		b.body = p.statement()
	} else {
		b.body = p.bodyWithRescue(begin)
		p.noDo, p.ternary = noDo, ternary
		p.endOf("def", begin)
	}
	p.noDo, p.ternary = noDo, ternary
	p.scope = outer
	d := &define{at(begin), name, b}
	p.found.defs = append(p.found.defs, d)
	return d
}

// parameters reads those of a block or method, and declares them. The token end is not taken.
func (p *parser) parameters(end string) []param {
	var params []param
	for !(end != "" && p.tok.is(end)) && !(end == "" && p.tok.kind == tNewline) {
		if end == ")" {
			p.skipLines()
		}
		var q param
		switch {
		case p.accept("*"):
			q.rest = true
		case p.accept("**"):
			p.fail(p.tok.at, "**parameters are not supported", "take a hash")
		case p.accept("&"):
			q.block = true
		case p.tok.is("("):
			p.next()
			q.slot = p.scope.hidden()
			into := p.blockTargets()
			p.expect(")")
			params = append(params, param{slot: q.slot, into: into})
			if !p.accept(",") {
				return params
			}
			continue
		case p.tok.kind == tNewline && p.tok.text == ";": // |a; b|: variables of the block
			p.next()
			for p.tok.kind == tIdent {
				p.scope.declare(p.tok.text)
				p.next()
				p.accept(",")
			}
			return params
		}
		switch p.tok.kind {
		case tIdent:
			q.name = p.tok.text
			p.tok.command = false
			p.next()
		case tLabel:
			q.name, q.keyword, q.required = strings.TrimSuffix(p.tok.text, ":"), true, true
			p.next()
		default:
			if !q.rest {
				p.unexpected("the name of a parameter")
			}
		}
		if _, taken := p.scope.names[q.name]; taken || q.name == "" {
			q.slot = p.scope.hidden()
			p.scope.names[q.name] = q.slot
		} else {
			q.slot = p.scope.declare(q.name)
		}
		switch {
		case q.keyword && !p.tok.is(",") && !p.tok.is(end) && p.tok.kind != tNewline:
			q.required = false
			q.def = p.ternaryExpression()
		case !q.keyword && p.accept("="):
			q.def = p.paramDefault()
		}
		params = append(params, q)
		if !p.accept(",") {
			if end == ")" {
				p.skipLines()
			}
			if p.tok.kind == tNewline && p.tok.text == ";" && end == "|" {
				continue
			}
			return params
		}
		if end == "|" && p.tok.is("|") { // |a,|
			return append(params, param{slot: p.scope.hidden(), rest: true})
		}
	}
	return params
}

// paramDefault reads a default; | ends it.
func (p *parser) paramDefault() node { return p.binaryExpression(precedence["|"] + 1) }

// blockTargets reads (a, (b, c)) in parameters.
func (p *parser) blockTargets() *multi {
	m := &multi{at: at(p.tok.at)}
	for !p.tok.is(")") {
		switch b := p.tok.at; {
		case p.accept("("):
			m.targets = append(m.targets, p.blockTargets())
			p.expect(")")
		case p.accept("*"):
			s := &splat{at: at(b)}
			if p.tok.kind == tIdent {
				s.value = &local{at: at(p.tok.at), name: p.tok.text, slot: p.scope.declare(p.tok.text)}
				p.next()
			}
			m.targets = append(m.targets, s)
		case p.tok.kind == tIdent:
			m.targets = append(m.targets, &local{at: at(b), name: p.tok.text, slot: p.scope.declare(p.tok.text)})
			p.next()
		default:
			p.unexpected("the name of a parameter")
		}
		if !p.accept(",") {
			break
		}
	}
	return m
}

// block reads {…} or do…end behind a call.
func (p *parser) block() *blockNode {
	begin := p.tok.at
	end := "end"
	if p.tok.is("{") {
		end = "}"
	}
	b := &blockNode{at: at(begin), scope: newScope(p.scope)}
	p.blockBody(b, end, begin)
	return b
}

func (p *parser) blockBody(b *blockNode, end string, begin int) {
	outer, noDo, ternary := p.scope, p.noDo, p.ternary
	p.scope, p.noDo, p.ternary = b.scope, 0, 0
	p.depth++
	p.deep(begin)
	p.next()
	switch {
	case p.accept("|"):
		b.params = p.parameters("|")
		if !p.tok.is("|") {
			p.unexpected(`"|"`)
		}
		p.tok.value = false
		p.next()
	case p.tok.is("||"):
		p.next()
	}
	if end == "end" {
		b.body = p.bodyWithRescue(begin)
	} else {
		b.body = p.statements("}")
	}
	if p.tok.kind == tEOF {
		p.fail(p.tok.at, `"`+end+`" is missing: that of the block at `+position(errorAt(p.src, begin, "", "")), "")
	}
	p.depth--
	p.scope, p.noDo, p.ternary = outer, noDo, ternary
	p.expect(end)
}
