package regex

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// op is what an instruction does.
type op uint8

const (
	opFail      op = iota
	opMatch        // the whole pattern has matched
	opJump         // goes on at next
	opChar         // the byte b
	opText         // the bytes of text
	opSet          // one character of class
	opRun          // min to max characters of class, none given back
	opMaybe        // one character of class or none; given back where table2 has its byte
	opGreedy       // like opRun, giving back where what follows can begin (table2, end); alt is its opGiveBack
	opGiveBack     // where a greedy run goes on after a failure; alt is itself
	opLazy         // min characters of class and as many more as needed; alt is its opTakeMore
	opTakeMore     // where a lazy run goes on after a failure; alt is itself
	opFork         // tries next, then alt
	opDispatch     // goes on where targets has the byte ahead
	opMark         // slot n is the position
	opMarkUndo     // the same; the old value comes back on the way back
	opClear        // slot n is unset; the old value comes back
	opUnset        // the groups refs are unset
	opLineStart    // the places of assert
	opLineEnd
	opTextStart
	opTextEnd
	opTextEndLine
	opSearchStart
	opWordEdge
	opNoWordEdge
	opAsciiWordEdge
	opAsciiNoWordEdge
	opBackref     // what a group of refs took
	opBackrefFold // the same, whatever its case
	opCond        // next if group n has matched, else alt
	opEmptyStart  // remembers where a round of a loop began, in slot n
	opEmptyEnd    // next, or alt if the round took nothing
	opEmptyStartGroups
	opEmptyEndGroups // the same where the loop has groups: refs
	opCountStart     // slot n counts rounds from 0
	opCount          // another round (next) or no more (alt), by min and max; flag: lazy
	opCountMore      // counts a round
	opAtomicStart    // remembers the height of the stack in slot n
	opAtomicEnd      // forgets the ways back since then
	opAheadStart     // slot n as above, n+1 for the position
	opAheadEnd
	opNotStart // if what follows fails: alt
	opNotEnd   // fails, with the ways back to the opNotStart gone
	opBack     // goes back n characters
	opAheadIs  // whether the next character is of class, not if flag
	opBehindIs // whether the last character is of class, not if flag

	// What fuse makes of several.
	opFew          // opRun whose table decides by bytes alone, with an upper limit
	opSpan         // opRun whose table decides by bytes alone, without an upper limit
	opSpanUntil    // the same where all bytes but b are in
	opSpanUntil2   // the same where all bytes but b and max are in
	opSpanMarks    // opMark n, opSpan, opMark alt
	opUntilMarks   // opMark n, opSpanUntil, opMark alt
	opCharMark     // opChar, opMark n
	opMarkChar     // opMark n, opChar
	opMarkCharMark // opMark n, opChar, opMark alt
	opMarkTextMark // opMark n, opText, opMark alt
	opGreedySpan   // opGreedy whose table decides by bytes alone, without an upper limit
	opPair         // two bytes, of table and of table2
)

// instruction is one step; all instructions name the next one. Which fields count, op says. It is as large as a line
// of a processor's cache.
type instruction struct {
	op       op
	b        byte
	flag     bool // see the ops; opAtomicEnd, opAheadEnd: old values of slots must stay
	ascii    bool // class has nothing beyond ASCII
	end      bool // what follows can begin at the end of the input
	n        int32
	next     int32
	alt      int32
	min, max int32
	table    *[256]uint8 // of class, for runs or for one character
	table2   *[256]uint8 // what can begin behind a run: 1
	targets  *[257]int32 // opDispatch: twice the instruction, and one more if the byte is taken
	more     *operands
}

// operands are the larger ones, and those that are rarely looked at.
type operands struct {
	text  string
	refs  []int32
	class *class
}

// program is a pattern ready to run.
type program struct {
	code   []instruction
	start  int32
	groups int
	slots  int     // 2 for each group and the whole match, then those of loops and look-arounds
	loose  []int32 // groups that a match may leave out
	first  symbols // what a match can begin with
}

// compiler makes a program from its end to its start, so that each node knows what can follow it.
type compiler struct {
	code     []instruction
	ahead    []symbols // by instruction: what it can go on with
	sure     []bool    // by instruction: it gets to the end of the pattern, or of the atomic group or look-around it is in
	slots    int
	loose    map[int]bool // groups under an alternative or a quantifier
	refd     map[int]bool // groups that are referred to
	unset    map[int]bool // groups that are unset by the ways that leave them out
	classes  map[string]*class
	tooLarge bool
}

// maxCode bounds the instructions of a program, maxUnroll those that a repetition is written out to.
const (
	maxCode   = 200000
	maxUnroll = 2000
)

func compileProgram(root *node, groups int) (*program, bool) {
	c := &compiler{slots: 2 * (groups + 1), loose: map[int]bool{}, refd: map[int]bool{}, classes: map[string]*class{}}
	findLoose(root, false, c.loose)
	root.walk(func(n *node) {
		if n.kind == nBackref || n.kind == nCond {
			for _, r := range n.refs {
				c.refd[r] = true
			}
		}
	})
	c.unset = findUnset(root, c.loose, c.refd)
	root.lookBack(anyBefore, 0)
	c.add(instruction{op: opFail}, symbols{})
	end := c.add(instruction{op: opMatch}, anySymbol())
	start := c.emit(root, end)
	first := c.ahead[start]
	if c.tooLarge {
		return nil, false
	}
	start = fuse(c.code, start)
	p := &program{code: c.code, start: start, groups: groups, slots: c.slots, first: first}
	for g := 1; g <= groups; g++ {
		if c.loose[g] {
			p.loose = append(p.loose, int32(g))
		}
	}
	return p, true
}

// findLoose lists the groups that a match may go without. Their marks must come back on the way back; the others
// are written again before the next match is complete.
func findLoose(n *node, loose bool, out map[int]bool) {
	switch n.kind {
	case nCapture:
		if loose {
			out[n.group] = true
		}
	case nAlt, nCond, nBehind:
		loose = true
	case nRepeat:
		loose = true
	case nAhead:
		loose = true
	default: // the other nodes
	}
	for _, s := range n.subs {
		findLoose(s, loose, out)
	}
}

func (c *compiler) add(i instruction, ahead symbols) int32 {
	if len(c.code) >= maxCode {
		c.tooLarge = true
		return 0
	}
	c.code = append(c.code, i)
	c.ahead = append(c.ahead, ahead)
	c.sure = append(c.sure, c.isSure(i))
	return int32(len(c.code) - 1)
}

// isSure tells whether i cannot fail. What comes before it then needs no way back.
func (c *compiler) isSure(i instruction) bool {
	switch i.op {
	case opMatch, opAtomicEnd, opAheadEnd, opNotEnd:
		return true
	case opMark, opMarkUndo, opClear, opUnset, opEmptyStart:
		return c.sure[i.next]
	case opRun, opGreedy, opMaybe:
		return i.min == 0 && c.sure[i.next]
	case opFork:
		return c.sure[i.next] || c.sure[i.alt]
	case opDispatch:
		for _, t := range i.targets {
			if t == 0 || !c.sure[t] {
				return false
			}
		}
		return true
	default: // the other instructions
	}
	return false
}

func (c *compiler) slot() int32 {
	c.slots++
	return int32(c.slots - 1)
}

func (c *compiler) class(s runeSet) *class {
	key := keyOf(s)
	cl, ok := c.classes[key]
	if !ok {
		cl = newClass(s)
		c.classes[key] = cl
	}
	return cl
}

// keyOf makes a key for a map of numbers.
func keyOf(numbers []int32) string {
	key := make([]byte, 0, 4*len(numbers))
	for _, n := range numbers {
		key = binary.LittleEndian.AppendUint32(key, uint32(n))
	}
	return string(key)
}

// emit adds the instructions of n, which go on at next, and gives the first of them.
func (c *compiler) emit(n *node, next int32) int32 {
	if c.tooLarge {
		return 0
	}
	ahead := firstOf(n, c.ahead[next], 0)
	switch n.kind {
	case nEmpty:
		return next
	case nFail:
		return 0
	case nChar:
		if len(n.text) == 1 {
			return c.add(instruction{op: opChar, b: n.text[0], next: next}, ahead)
		}
		return c.add(instruction{op: opText, more: &operands{text: string(n.text)}, next: next}, ahead)
	case nSet:
		if len(n.set) == 0 {
			return 0
		}
		cl := c.class(n.set)
		return c.add(instruction{op: opSet, more: &cl.as, table: &cl.table, next: next}, ahead)
	case nCat:
		for i := len(n.subs) - 1; i >= 0; i-- {
			next = c.emit(n.subs[i], next)
		}
		return next
	case nAlt:
		choices := make([]choice, len(n.subs))
		for i, s := range n.subs {
			choices[i] = choice{firstOf(s, c.ahead[next], 0), c.unsetOf(n.subs, i, c.emit(s, next))}
		}
		return c.dispatch(choices)
	case nRepeat:
		return c.repeat(n, next)
	case nCapture:
		return c.capture(n, next)
	case nAtomic:
		if r := n.sub(); r.kind == nRepeat && !r.lazy {
			if set, ok := r.sub().simple(); ok && len(set) > 0 {
				return c.possessive(r, set, next)
			}
		}
		s := c.slot()
		// What is in it does not know what follows: it must not choose by that.
		end := c.add(instruction{op: opAtomicEnd, n: s, next: next}, anySymbol())
		body := c.emit(n.sub(), end)
		if c.tooLarge {
			return 0
		}
		if !slices.ContainsFunc(c.code[end+1:], leavesWayBack) {
			c.code[end] = instruction{op: opJump, next: next}
			return c.add(instruction{op: opJump, next: body}, ahead) // which is not sure, as what is in the group may be
		}
		c.code[end].flag = slices.ContainsFunc(c.code[end+1:], leavesOldValue)
		return c.add(instruction{op: opAtomicStart, n: s, next: body}, ahead)
	case nAhead:
		return c.lookAhead(n, next, ahead)
	case nBehind:
		return c.lookBehind(n, next, ahead)
	case nAssert:
		if n.assert == wordEdge || n.assert == noWordEdge {
			if is, known := n.isEdge(c.ahead[next]); known && is == (n.assert == wordEdge) {
				return next
			}
		}
		return c.add(instruction{op: opLineStart + op(n.assert), next: next}, ahead)
	case nKeep:
		return c.add(instruction{op: opMarkUndo, n: 0, next: next}, ahead)
	case nBackref:
		refs := make([]int32, len(n.refs))
		for i, r := range n.refs {
			refs[len(refs)-1-i] = int32(r) // the last group of a name comes first
		}
		o := opBackref
		if n.fold {
			o = opBackrefFold
		}
		return c.add(instruction{op: o, more: &operands{refs: refs}, next: next}, ahead)
	case nCond:
		yes, no := c.emit(n.subs[0], next), c.emit(n.subs[1], next)
		return c.add(instruction{op: opCond, n: int32(n.refs[0]), next: yes, alt: no}, ahead)
	default: // the other nodes
	}
	panic("BUG: a node that cannot be compiled")
}

func (c *compiler) capture(n *node, next int32) int32 {
	begin, end := int32(2*n.group), int32(2*n.group+1)
	mark := opMark
	if c.loose[n.group] && !c.unset[n.group] || c.refd[n.group] {
		mark = opMarkUndo
	}
	next = c.add(instruction{op: mark, n: end, next: next}, c.ahead[next])
	next = c.emit(n.sub(), next)
	if c.refd[n.group] { // while it is open it has not matched
		next = c.add(instruction{op: opClear, n: end, next: next}, c.ahead[next])
	}
	return c.add(instruction{op: mark, n: begin, next: next}, c.ahead[next])
}

func (c *compiler) lookAhead(n *node, next int32, ahead symbols) int32 {
	if n.not && n.neverAhead(c.ahead[next]) {
		return next
	}
	if set, ok := n.sub().simple(); ok && len(set) > 0 {
		cl := c.class(set)
		return c.add(instruction{op: opAheadIs, more: &cl.as, table: &cl.table, flag: n.not, next: next}, ahead)
	}
	s := c.slot()
	if n.not {
		end := c.add(instruction{op: opNotEnd, n: s}, anySymbol())
		return c.add(instruction{op: opNotStart, n: s, next: c.emit(n.sub(), end), alt: next}, ahead)
	}
	c.slot()
	end := c.add(instruction{op: opAheadEnd, n: s, next: next}, anySymbol())
	body := c.emit(n.sub(), end)
	if c.tooLarge {
		return 0
	}
	c.code[end].flag = slices.ContainsFunc(c.code[end+1:], leavesOldValue)
	return c.add(instruction{op: opAheadStart, n: s, next: body}, ahead)
}

func (c *compiler) lookBehind(n *node, next int32, ahead symbols) int32 {
	if set, ok := n.sub().simple(); ok && len(set) > 0 {
		if n.alwaysBehind(set) {
			return next
		}
		cl := c.class(set)
		return c.add(instruction{op: opBehindIs, more: &cl.as, table: &cl.table, flag: n.not, next: next}, ahead)
	}
	width := int32(n.width)
	if n.not {
		s := c.slot()
		end := c.add(instruction{op: opNotEnd, n: s}, anySymbol())
		back := c.add(instruction{op: opBack, n: width, next: c.emit(n.sub(), end)}, anySymbol())
		return c.add(instruction{op: opNotStart, n: s, next: back, alt: next}, ahead)
	}
	// What is looked at ends where it began, so the pattern simply goes on; the symbols ahead are those of next.
	hidden := c.add(instruction{op: opJump, next: next}, anySymbol())
	return c.add(instruction{op: opBack, n: width, next: c.emit(n.sub(), hidden)}, ahead)
}

// leavesWayBack tells whether i pushes an entry that may outlive it.
func leavesWayBack(i instruction) bool {
	switch i.op {
	case opMaybe, opGreedy, opLazy, opFork:
		return true
	default: // the other instructions
	}
	return leavesOldValue(i)
}

// leavesOldValue tells whether i pushes a slot's old value, which must outlive the ways back around it.
func leavesOldValue(i instruction) bool {
	switch i.op {
	case opMarkUndo, opClear, opEmptyStart, opEmptyStartGroups, opCountStart, opCount, opCountMore:
		return true
	default: // the other instructions
	}
	return false
}

// choice is a way to go on, and what it can begin with.
type choice struct {
	first symbols
	pc    int32
}

// dispatch adds what chooses among ways, the first one first, by the next byte.
func (c *compiler) dispatch(choices []choice) int32 {
	targets := new([257]int32)
	chains := map[[2]int32]int32{}
	only, same := int32(-1), true
	for sym := range 257 {
		var list []int32
		for _, ch := range choices {
			if ch.first.has(sym) && ch.pc != 0 {
				list = append(list, ch.pc)
			}
		}
		t := c.chain(list, chains)
		targets[sym] = t
		if t != 0 {
			if only >= 0 && only != t {
				same = false
			}
			only = t
		}
	}
	switch {
	case only < 0:
		return 0
	case same: // where the way cannot begin it fails by itself
		return only
	}
	var ahead symbols
	for _, ch := range choices {
		ahead = ahead.or(ch.first)
	}
	return c.add(instruction{op: opDispatch, targets: targets}, ahead)
}

// chain adds forks that try the ways of list one after the other.
func (c *compiler) chain(list []int32, known map[[2]int32]int32) int32 {
	if len(list) == 0 {
		return 0
	}
	for i, pc := range list {
		if c.sure[pc] { // none behind it is ever tried
			list = list[:i+1]
			break
		}
	}
	last := len(list) - 1
	rest := list[last]
	for i := last - 1; i >= 0; i-- {
		key := [2]int32{list[i], rest}
		pc, ok := known[key]
		if !ok {
			pc = c.add(instruction{op: opFork, next: list[i], alt: rest}, c.ahead[list[i]].or(c.ahead[rest]))
			known[key] = pc
		}
		rest = pc
	}
	return rest
}

// firstOf gives the symbols that n can begin with where follow comes behind it. A place that n asks for narrows them.
func firstOf(n *node, follow symbols, depth int) symbols {
	switch n.kind {
	case nFail:
		return symbols{}
	case nChar:
		return symbolsOf(int(n.text[0]))
	case nSet:
		if n.first == nil {
			first := n.set.firstBytes()
			n.first = &first
		}
		return *n.first
	case nCat:
		for i := len(n.subs) - 1; i >= 0; i-- {
			follow = firstOf(n.subs[i], follow, depth)
		}
		return follow
	case nAlt:
		var out symbols
		for _, s := range n.subs {
			out = out.or(firstOf(s, follow, depth))
		}
		return out
	case nRepeat:
		if n.max == 0 {
			return follow
		}
		if !n.sub().nullable() {
			out := firstOf(n.sub(), symbols{}, depth+1)
			if n.min == 0 {
				out = out.or(follow)
			}
			return out
		}
		if depth > 3 {
			return anySymbol()
		}
		return firstOf(n.sub(), anySymbol(), depth+1).or(follow)
	case nCapture, nAtomic:
		return firstOf(n.sub(), follow, depth)
	case nAhead:
		if n.not {
			if set, ok := n.sub().simple(); ok && len(set) > 0 && set[len(set)-1] < utf8.RuneSelf {
				return follow.without(set.firstBytes())
			}
			return follow
		}
		return follow.and(firstOf(n.sub(), anySymbol(), depth+1))
	case nAssert:
		switch n.assert {
		case lineEnd, textEndLine:
			return follow.and(symbolsOf('\n', atEnd))
		case textEnd:
			return follow.and(symbolsOf(atEnd))
		default: // the other places ask nothing of what follows
		}
		return follow
	case nBackref, nCond:
		return anySymbol()
	default: // the other nodes
	}
	return follow
}
