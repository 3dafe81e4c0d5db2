package regex

import "unicode/utf8"

// repeat adds a quantifier's instructions.
func (c *compiler) repeat(n *node, next int32) int32 {
	body := n.sub()
	if n.max == 0 || body.kind == nEmpty {
		return next
	}
	if set, ok := body.simple(); ok && len(set) > 0 && (!n.lazy || n.max == noLimit) {
		return c.run(n, set, next)
	}
	size := body.size()
	copies := n.max
	if n.max == noLimit {
		copies = n.min + 1
	}
	if copies > 1 && size*copies > maxUnroll && !(n.max == noLimit && n.min <= 1) {
		return c.counted(n, next)
	}
	switch {
	case n.max == noLimit && n.min == 1 && !(body.nullable() && size <= 50):
		return c.oneOrMore(n, next)
	case n.max == noLimit:
		next = c.loop(n, next)
	default:
		exit := next
		if n.max == 1 {
			exit = c.unsetOf(n.subs, -1, exit)
		}
		for range n.max - n.min {
			next = c.either(n, choice{firstOf(body, c.ahead[next], 0), c.emit(body, next)}, choice{c.ahead[exit], exit})
		}
	}
	for range n.min {
		next = c.emit(body, next)
	}
	return next
}

// either tries another round first, or leaving if n is lazy.
func (c *compiler) either(n *node, again, leave choice) int32 {
	if n.lazy {
		return c.dispatch([]choice{leave, again})
	}
	return c.dispatch([]choice{again, leave})
}

// loop adds x*: a fork that x comes back to.
func (c *compiler) loop(n *node, exit int32) int32 {
	body := n.sub()
	ahead := firstOf(&node{kind: nRepeat, max: noLimit, subs: n.subs}, c.ahead[exit], 0)
	head := c.add(instruction{op: opJump}, ahead)
	first := firstOf(body, ahead, 0)
	round := c.round(n, head, exit)
	c.fill(head, c.either(n, choice{first, round}, choice{c.ahead[exit], exit}))
	return head
}

// oneOrMore adds x+: x, then a fork back to it.
func (c *compiler) oneOrMore(n *node, exit int32) int32 {
	body := n.sub()
	ahead := firstOf(&node{kind: nRepeat, max: noLimit, subs: n.subs}, c.ahead[exit], 0)
	foot := c.add(instruction{op: opJump}, ahead)
	first := firstOf(body, ahead, 0)
	round := c.round(n, foot, exit)
	c.fill(foot, c.either(n, choice{first, round}, choice{c.ahead[exit], exit}))
	return round
}

// fill makes the instruction at, which stood for what was not known yet, go on at pc.
func (c *compiler) fill(at, pc int32) {
	if c.tooLarge {
		return
	}
	ahead := c.ahead[at]
	if pc != at {
		c.code[at] = instruction{op: opJump, next: pc}
	}
	c.ahead[at] = ahead
}

// round adds one round of a loop. One that takes nothing ends the loop, as in the original.
func (c *compiler) round(n *node, again, exit int32) int32 {
	body := n.sub()
	if !body.nullable() {
		return c.emit(body, again)
	}
	var groups []int32
	body.walk(func(n *node) {
		if n.kind == nCapture {
			groups = append(groups, int32(n.group))
		}
	})
	s := c.slot()
	start, end := opEmptyStart, opEmptyEnd
	if len(groups) > 0 {
		start, end = opEmptyStartGroups, opEmptyEndGroups
		c.slots += 2 * len(groups) // where the groups were before the round
	}
	ahead := c.ahead[again].or(c.ahead[exit])
	foot := c.add(instruction{op: end, n: s, more: &operands{refs: groups}, next: again, alt: exit}, ahead)
	return c.add(instruction{op: start, n: s, more: &operands{refs: groups}, next: c.emit(body, foot)}, firstOf(body, ahead, 0))
}

// counted adds a repetition that is too large to be written out.
func (c *compiler) counted(n *node, exit int32) int32 {
	body := n.sub()
	s := c.slot()
	ahead := firstOf(n, c.ahead[exit], 0)
	any := firstOf(body, anySymbol(), 0).or(c.ahead[exit])
	head := c.add(instruction{op: opCount, n: s, min: int32(n.min), max: int32(n.max), flag: n.lazy, alt: exit}, any)
	round := c.round(n, head, exit)
	if c.tooLarge {
		return 0
	}
	c.code[head].next = c.add(instruction{op: opCountMore, n: s, next: round}, any)
	return c.add(instruction{op: opCountStart, n: s, next: head}, ahead)
}

// run adds a repetition of one character.
func (c *compiler) run(n *node, set runeSet, next int32) int32 {
	follow := c.ahead[next]
	if n.min == n.max || !n.lazy && (firstOf(n.sub(), symbols{}, 0).disjoint(follow) || c.sure[next]) {
		return c.possessive(n, set, next)
	}
	ahead := firstOf(n, follow, 0)
	i := c.runOf(n, set, next)
	i.op = opGreedy
	more := opGiveBack
	if n.lazy {
		i.op, more = opLazy, opTakeMore
	}
	i.b, i.flag = follow.onlyByte()
	i.table2 = new([256]uint8)
	for b := range i.table2 {
		if follow.has(b) {
			i.table2[b] = 1
		}
	}
	i.end = follow.has(atEnd)
	if n.min == 0 && n.max == 1 && i.ascii && !n.lazy {
		i.op = opMaybe
		return c.add(i, ahead)
	}
	back := i
	back.op = more
	i.alt = c.add(back, ahead)
	if !c.tooLarge {
		c.code[i.alt].alt = i.alt
	}
	return c.add(i, ahead)
}

// possessive adds a run that gives nothing back.
func (c *compiler) possessive(n *node, set runeSet, next int32) int32 {
	return c.add(c.runOf(n, set, next), firstOf(n, c.ahead[next], 0))
}

func (c *compiler) runOf(n *node, set runeSet, next int32) instruction {
	cl := c.class(set)
	i := instruction{op: opRun, more: &cl.as, table: &cl.table, next: next, min: int32(n.min), max: int32(n.max)}
	i.ascii = set[len(set)-1] < utf8.RuneSelf
	if n.max == noLimit {
		i.table = &cl.run
	}
	return i
}

// size estimates how many instructions n needs.
func (n *node) size() int {
	if n.kind == nRepeat {
		if _, ok := n.sub().simple(); ok {
			return 2
		}
		copies := n.max
		if n.max == noLimit {
			copies = n.min + 1
		}
		s := n.sub().size()
		if s*copies > maxUnroll {
			return s + 4
		}
		return s * copies
	}
	total := 1
	for _, s := range n.subs {
		total += s.size()
	}
	return total
}
