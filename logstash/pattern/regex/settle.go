package regex

// settleGroups applies Ruby's rule that plain groups do not capture beside named ones, checks references and puts
// groups in the place of their calls.
func (p *parser) settleGroups(root *node) *node {
	if p.named > 0 {
		root.walk(func(n *node) {
			if (n.kind == nBackref || n.kind == nCall || n.kind == nCond) && !n.byName {
				p.fail(n.offset, "numbered reference or call is not allowed beside named groups: use the name")
			}
		})
		if p.named < p.groups {
			root = p.dropPlainGroups(root)
		}
	}
	byNumber := map[int]*node{}
	root.walk(func(n *node) {
		if n.kind == nCapture {
			byNumber[n.group] = n
		}
	})
	root.walk(func(n *node) {
		for _, r := range n.refs {
			if p.err == nil && byNumber[r] == nil {
				p.fail(n.offset, "invalid reference to group %d", r)
			}
		}
	})
	if p.err == nil && root.any(func(n *node) bool { return n.kind == nCall }) {
		p.inline(root, byNumber, nil)
	}
	return root
}

func (p *parser) dropPlainGroups(root *node) *node {
	root = withoutPlainGroups(root)
	renumbered, count := map[int]int{}, 0
	root.walk(func(n *node) {
		if n.kind == nCapture {
			count++
			renumbered[n.group] = count
			n.group = count
		}
	})
	root.walk(func(n *node) {
		for i, r := range n.refs {
			n.refs[i] = renumbered[r]
		}
	})
	for _, groups := range p.names {
		for i, g := range groups {
			groups[i] = renumbered[g]
		}
	}
	p.groups = count
	return root
}

// withoutPlainGroups takes plain groups out; where that leaves a quantifier on a quantifier they become one.
func withoutPlainGroups(n *node) *node {
	for n.kind == nCapture && !n.named {
		n = n.sub()
	}
	for i, s := range n.subs {
		n.subs[i] = withoutPlainGroups(s)
		if n.kind == nRepeat && n.subs[i] != s {
			reduceRepeats(n)
		}
	}
	return n
}

// maxInlined bounds what calls may make of a pattern.
const maxInlined = 20000

// inline replaces each call by the group that it calls; open are the groups around n.
func (p *parser) inline(n *node, byNumber map[int]*node, open []int) {
	if p.inlined++; p.inlined > maxInlined {
		p.fail(n.offset, "pattern is too large with its calls in place")
	}
	if p.err != nil {
		return
	}
	if n.kind == nCall {
		if n.byName {
			groups := p.names[string(n.text)]
			switch len(groups) {
			case 0:
				p.fail(n.offset, "undefined name <%s> call", n.text)
				return
			case 1:
				n.refs = groups
			default:
				p.fail(n.offset, "multiplex definition name <%s> call", n.text)
				return
			}
		}
		for _, g := range open {
			if g == n.refs[0] {
				p.fail(n.offset, "recursion (a call of the group around it) is not supported")
				return
			}
		}
		*n = *byNumber[n.refs[0]].clone()
	}
	if n.kind == nCapture {
		open = append(open[:len(open):len(open)], n.group)
	}
	for _, s := range n.subs {
		p.inline(s, byNumber, open)
	}
}

func (n *node) clone() *node {
	c := *n
	c.refs = append([]int(nil), n.refs...)
	c.subs = make([]*node, len(n.subs))
	for i, s := range n.subs {
		c.subs[i] = s.clone()
	}
	return &c
}

// settleBehind works out how far each look-behind goes back. Alternatives of different lengths are looked behind
// one by one; anything else must have one length.
func (p *parser) settleBehind(n *node) *node {
	for i, s := range n.subs {
		n.subs[i] = p.settleBehind(s)
	}
	if n.kind != nBehind {
		return n
	}
	body := n.sub()
	if bad := p.badInBehind(body, n.not); bad != "" {
		p.fail(n.offset, "invalid pattern in look-behind: %s", bad)
		return n
	}
	if w, ok := body.length(); ok {
		n.width = w
		return n
	}
	for body.kind == nCat && len(body.subs) == 1 {
		body = body.subs[0]
	}
	if body.kind != nAlt {
		p.fail(n.offset, "invalid pattern in look-behind: its length varies")
		return n
	}
	out := &node{kind: nAlt, offset: n.offset}
	if n.not {
		out.kind = nCat
	}
	for _, branch := range body.subs {
		w, ok := branch.length()
		if !ok {
			p.fail(n.offset, "invalid pattern in look-behind: its length varies")
			return n
		}
		out.subs = append(out.subs, &node{kind: nBehind, not: n.not, width: w, subs: []*node{branch}, offset: n.offset})
	}
	return out
}

// badInBehind names what the original refuses in a look-behind.
func (p *parser) badInBehind(body *node, not bool) (bad string) {
	body.walk(func(n *node) {
		switch {
		case n.kind == nAhead:
			bad = "a look-ahead"
		case n.kind == nAtomic:
			bad = "an atomic group"
		case n.kind == nCapture && not:
			bad = "a group that captures, in a negative one"
		case n.kind == nCond:
			bad = "a condition"
		case n.kind == nBackref:
			bad = "a back-reference"
		case n.kind == nAssert && (n.assert == textEnd || n.assert == textEndLine):
			bad = "the end of the text"
		}
	})
	return bad
}

// length gives the number of characters that n takes, if it is always the same.
func (n *node) length() (chars int, ok bool) {
	switch n.kind {
	case nChar:
		for _, b := range n.text {
			if b&0xC0 != 0x80 {
				chars++
			}
		}
		return chars, true
	case nSet:
		return 1, true
	case nCat:
		for _, s := range n.subs {
			c, ok := s.length()
			if !ok {
				return 0, false
			}
			chars += c
		}
		return chars, true
	case nAlt:
		for i, s := range n.subs {
			c, ok := s.length()
			if !ok || i > 0 && c != chars {
				return 0, false
			}
			chars = c
		}
		return chars, true
	case nRepeat:
		c, ok := n.sub().length()
		if !ok || n.min != n.max {
			return 0, false
		}
		return c * n.min, true
	case nCapture, nAtomic:
		return n.sub().length()
	case nBackref, nCond, nCall:
		return 0, false
	default: // the other nodes
	}
	return 0, true
}
