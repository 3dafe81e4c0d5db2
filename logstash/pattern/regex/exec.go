package regex

import (
	"bytes"
	"unicode/utf8"
)

// entry is a way back, or a slot's old value. A way back has the instruction and the position to go on with, and a
// run's lower end. A slot's old value has the slot's complement for pc, and the value for pos.
type entry struct{ pc, pos, aux int32 }

// maxStack bounds the ways back that are open at a time: 192 MiB of them.
const maxStack = 16 << 20

// outcome of an attempt at one position.
type outcome uint8

const (
	failed outcome = iota
	matched
	exhausted // the budget of steps is spent
)

// grow makes room for more entries.
func (m *Match) grow() bool {
	if len(m.stack) >= maxStack {
		return false
	}
	stack := make([]entry, max(256, 2*len(m.stack)))
	copy(stack, m.stack)
	m.stack = stack
	return true
}

// run tries to match at pos. It leaves the places of groups in m.slots, and counts down m.left at each failure.
func (p *program) run(in []byte, pos int, m *Match) outcome {
	var (
		code  = p.code
		slots = m.slots
		stack = m.stack
		sp    = 0
		pc    = p.start
		aux   int32
	)
	for {
		i := &code[pc]
		switch i.op {
		case opMatch:
			slots[1] = int32(pos)
			return matched
		case opJump:
			pc = i.next
			continue
		case opChar:
			if pos < len(in) && in[pos] == i.b {
				pos++
				pc = i.next
				continue
			}
		case opText:
			if text := i.more.text; len(in)-pos >= len(text) && string(in[pos:pos+len(text)]) == text {
				pos += len(text)
				pc = i.next
				continue
			}
		case opSet:
			if pos < len(in) {
				switch i.table[in[pos]] {
				case single:
					pos++
					pc = i.next
					continue
				case decode:
					if w := i.class.width(in[pos:]); w > 0 {
						pos += w
						pc = i.next
						continue
					}
				}
			}
		case opRun:
			if end := i.span(in, pos); end >= 0 {
				pos = end
				pc = i.next
				continue
			}
		case opMaybe:
			if pos < len(in) && i.table[in[pos]] == single {
				if i.table2[in[pos]] != 0 {
					if uint(sp) >= uint(len(stack)) {
						if !m.grow() {
							return exhausted
						}
						stack = m.stack
					}
					stack[sp] = entry{i.next, int32(pos), 0}
					sp++
				}
				pos++
			}
			pc = i.next
			continue
		case opGreedy:
			end := i.span(in, pos)
			if end < 0 {
				break
			}
			low := i.skip(in, pos, int(i.min))
			if end < len(in) && i.table2[in[end]] == 0 || end == len(in) && !i.end {
				if end = i.giveBack(in, low, end); end < 0 {
					break
				}
			}
			if end > low {
				if uint(sp) >= uint(len(stack)) {
					if !m.grow() {
						return exhausted
					}
					stack = m.stack
				}
				stack[sp] = entry{i.alt, int32(end), int32(low)}
				sp++
			}
			pos = end
			pc = i.next
			continue
		case opGiveBack:
			low := int(aux)
			end := i.giveBack(in, low, pos)
			if end < 0 {
				break
			}
			if end > low {
				if uint(sp) >= uint(len(stack)) {
					if !m.grow() {
						return exhausted
					}
					stack = m.stack
				}
				stack[sp] = entry{pc, int32(end), aux}
				sp++
			}
			pos = end
			pc = i.next
			continue
		case opLazy:
			end := i.atLeast(in, pos)
			if end < 0 {
				break
			}
			if end = i.until(in, end); end < 0 {
				break
			}
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{i.alt, int32(end), 0}
			sp++
			pos = end
			pc = i.next
			continue
		case opTakeMore:
			end := i.one(in, pos)
			if end < 0 {
				break
			}
			if end = i.until(in, end); end < 0 {
				break
			}
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{pc, int32(end), 0}
			sp++
			pos = end
			pc = i.next
			continue
		case opFork:
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{i.alt, int32(pos), 0}
			sp++
			pc = i.next
			continue
		case opDispatch:
			t := int32(0)
			if pos < len(in) {
				t = i.targets[in[pos]]
			} else {
				t = i.targets[atEnd]
			}
			if t != 0 {
				pos += int(t & 1)
				pc = t >> 1
				continue
			}
		case opMark:
			slots[i.n] = int32(pos)
			pc = i.next
			continue
		case opMarkUndo:
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{^i.n, slots[i.n], 0}
			sp++
			slots[i.n] = int32(pos)
			pc = i.next
			continue
		case opClear:
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{^i.n, slots[i.n], 0}
			sp++
			slots[i.n] = -1
			pc = i.next
			continue
		case opLineStart:
			if pos == 0 || pos < len(in) && in[pos-1] == '\n' {
				pc = i.next
				continue
			}
		case opLineEnd:
			if pos == len(in) || in[pos] == '\n' {
				pc = i.next
				continue
			}
		case opTextStart:
			if pos == 0 {
				pc = i.next
				continue
			}
		case opTextEnd:
			if pos == len(in) {
				pc = i.next
				continue
			}
		case opTextEndLine:
			if pos == len(in) || pos == len(in)-1 && in[pos] == '\n' {
				pc = i.next
				continue
			}
		case opSearchStart:
			if pos == m.from {
				pc = i.next
				continue
			}
		case opWordEdge, opNoWordEdge:
			before, after := uint8(outside), uint8(outside)
			if pos > 0 {
				before = wordTable[in[pos-1]]
			}
			if pos < len(in) {
				after = wordTable[in[pos]]
			}
			edge := before != after
			if before|after >= decode {
				edge = atWordEdge(in, pos)
			}
			if edge == (i.op == opWordEdge) {
				pc = i.next
				continue
			}
		case opAsciiWordEdge, opAsciiNoWordEdge:
			before := pos > 0 && wordTable[in[pos-1]] == single
			after := pos < len(in) && wordTable[in[pos]] == single
			if (before != after) == (i.op == opAsciiWordEdge) {
				pc = i.next
				continue
			}
		case opBackref, opBackrefFold:
			if n := i.backref(in, pos, slots); n >= 0 {
				pos += n
				pc = i.next
				continue
			}
		case opCond:
			if pc = i.alt; slots[2*i.n+1] >= 0 {
				pc = i.next
			}
			if pc != 0 {
				continue
			}
		case opEmptyStart:
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{^i.n, slots[i.n], 0}
			sp++
			slots[i.n] = int32(pos)
			pc = i.next
			continue
		case opEmptyEnd:
			if slots[i.n] == int32(pos) {
				pc = i.alt
			} else {
				pc = i.next
			}
			if pc != 0 {
				continue
			}
		case opEmptyStartGroups:
			for sp+2*len(i.more.refs) > len(stack) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			sp = i.keepGroups(slots, stack, sp)
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{^i.n, slots[i.n], 0}
			sp++
			slots[i.n] = int32(pos)
			pc = i.next
			continue
		case opEmptyEndGroups:
			again, ok := true, true
			if slots[i.n] == int32(pos) {
				again, ok = i.groupsMoved(slots, int32(pos))
			}
			if !ok {
				break
			}
			if pc = i.alt; again {
				pc = i.next
			}
			if pc != 0 {
				continue
			}
		case opCountStart:
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{^i.n, slots[i.n], 0}
			sp++
			slots[i.n] = 0
			pc = i.next
			continue
		case opCount:
			count := slots[i.n]
			switch {
			case count < i.min:
				pc = i.next
			case i.max >= 0 && count >= i.max:
				pc = i.alt
			case i.flag:
				if uint(sp) >= uint(len(stack)) {
					if !m.grow() {
						return exhausted
					}
					stack = m.stack
				}
				stack[sp] = entry{i.next, int32(pos), 0}
				sp++
				pc = i.alt
			default:
				if uint(sp) >= uint(len(stack)) {
					if !m.grow() {
						return exhausted
					}
					stack = m.stack
				}
				stack[sp] = entry{i.alt, int32(pos), 0}
				sp++
				pc = i.next
			}
			continue
		case opCountMore:
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{^i.n, slots[i.n], 0}
			sp++
			slots[i.n]++
			pc = i.next
			continue
		case opAtomicStart:
			slots[i.n] = int32(sp)
			pc = i.next
			continue
		case opAtomicEnd:
			sp = cut(stack, int(slots[i.n]), sp, i.flag)
			pc = i.next
			continue
		case opAheadStart:
			slots[i.n], slots[i.n+1] = int32(sp), int32(pos)
			pc = i.next
			continue
		case opAheadEnd:
			sp = cut(stack, int(slots[i.n]), sp, i.flag)
			pos = int(slots[i.n+1])
			pc = i.next
			continue
		case opNotStart:
			slots[i.n] = int32(sp)
			if uint(sp) >= uint(len(stack)) {
				if !m.grow() {
					return exhausted
				}
				stack = m.stack
			}
			stack[sp] = entry{i.alt, int32(pos), 0}
			sp++
			pc = i.next
			continue
		case opNotEnd:
			for low := int(slots[i.n]); sp > low; {
				sp--
				if e := stack[sp]; e.pc < 0 {
					slots[^e.pc] = e.pos
				}
			}
		case opBack:
			if back := stepBack(in, pos, int(i.n)); back >= 0 {
				pos = back
				pc = i.next
				continue
			}
		case opAheadIs:
			if i.isNext(in, pos) != i.flag {
				pc = i.next
				continue
			}
		case opBehindIs:
			is := false
			if pos > 0 {
				if b := in[pos-1]; b < utf8.RuneSelf {
					is = i.table[b] == single
				} else {
					is = i.isLast(in, pos)
				}
			}
			if is != i.flag {
				pc = i.next
				continue
			}
		case opFew:
			end, table := pos, i.table
			for limit := min(len(in), pos+int(i.max)); end < limit && table[in[end]] != outside; {
				end++
			}
			if end-pos >= int(i.min) {
				pos = end
				pc = i.next
				continue
			}
		case opGreedySpan:
			end, table := pos, i.table
			for end < len(in) && table[in[end]] != outside {
				end++
			}
			low := pos + int(i.min)
			if i.min > 0 && pos < len(in) && in[pos] >= utf8.RuneSelf {
				low = pos + width(in, pos)
			}
			if end < low {
				break
			}
			if end < len(in) && i.table2[in[end]] == 0 || end == len(in) && !i.end {
				if end = i.giveBack(in, low, end); end < 0 {
					break
				}
			}
			if end > low {
				if uint(sp) >= uint(len(stack)) {
					if !m.grow() {
						return exhausted
					}
					stack = m.stack
				}
				stack[sp] = entry{i.alt, int32(end), int32(low)}
				sp++
			}
			pos = end
			pc = i.next
			continue
		case opSpanUntil2:
			if end := until2(in, pos, i.b, byte(i.max)); end-pos >= int(i.min) {
				pos = end
				pc = i.next
				continue
			}
		case opSpan:
			end, table := pos, i.table
			for end < len(in) && table[in[end]] != outside {
				end++
			}
			if end-pos >= int(i.min) {
				pos = end
				pc = i.next
				continue
			}
		case opSpanMarks:
			end, table := pos, i.table
			for end < len(in) && table[in[end]] != outside {
				end++
			}
			if end-pos >= int(i.min) {
				slots[i.n], slots[i.alt] = int32(pos), int32(end)
				pos = end
				pc = i.next
				continue
			}
		case opSpanUntil, opUntilMarks:
			end := bytes.IndexByte(in[pos:], i.b)
			if end < 0 {
				end = len(in) - pos
			}
			if end >= int(i.min) {
				if i.op == opUntilMarks {
					slots[i.n], slots[i.alt] = int32(pos), int32(pos+end)
				}
				pos += end
				pc = i.next
				continue
			}
		case opCharMark:
			if pos < len(in) && in[pos] == i.b {
				pos++
				slots[i.n] = int32(pos)
				pc = i.next
				continue
			}
		case opMarkChar:
			if pos < len(in) && in[pos] == i.b {
				slots[i.n] = int32(pos)
				pos++
				pc = i.next
				continue
			}
		case opMarkCharMark:
			if pos < len(in) && in[pos] == i.b {
				slots[i.n] = int32(pos)
				pos++
				slots[i.alt] = int32(pos)
				pc = i.next
				continue
			}
		case opMarkTextMark:
			if text := i.more.text; len(in)-pos >= len(text) && string(in[pos:pos+len(text)]) == text {
				slots[i.n] = int32(pos)
				pos += len(text)
				slots[i.alt] = int32(pos)
				pc = i.next
				continue
			}
		case opPair:
			if pos+1 < len(in) && i.table[in[pos]] == single && i.table2[in[pos+1]] == single {
				pos += 2
				pc = i.next
				continue
			}
		}
		// What was tried failed: go back.
		if m.left--; m.left < 0 {
			return exhausted
		}
		for {
			if sp == 0 {
				return failed
			}
			sp--
			e := &stack[sp]
			if e.pc >= 0 {
				pc, pos, aux = e.pc, int(e.pos), e.aux
				break
			}
			slots[^e.pc] = e.pos
		}
	}
}

// until2 gives the first place of a or b at or after pos, or the end. It looks ahead for a by blocks only, as b may
// stand right at pos each time.
func until2(in []byte, pos int, a, b byte) int {
	const block = 128
	for pos < len(in) {
		part := in[pos:min(pos+block, len(in))]
		n := len(part)
		if i := bytes.IndexByte(part, a); i >= 0 {
			n = i
		}
		if i := bytes.IndexByte(part[:n], b); i >= 0 {
			return pos + i
		}
		pos += n
		if n < len(part) {
			return pos
		}
	}
	return pos
}

// cut drops the ways back above low, and keeps the old values of slots if there may be any.
func cut(stack []entry, low, sp int, undo bool) int {
	if !undo {
		return low
	}
	kept := low
	for _, e := range stack[low:sp] {
		if e.pc < 0 {
			stack[kept] = e
			kept++
		}
	}
	return kept
}

// span gives the end of the longest run at pos, up to max characters; -1 if there are less than min.
func (i *instruction) span(in []byte, pos int) int {
	p, table := pos, i.table
	if i.max < 0 {
		for {
			for p < len(in) && table[in[p]] == single {
				p++
			}
			if p == len(in) || table[in[p]] == outside {
				break
			}
			w := i.class.width(in[p:])
			if w == 0 {
				break
			}
			p += w
		}
		if n := int(i.min); n > 0 && (p-pos < n || n > 1 && !i.ascii && utf8.RuneCount(in[pos:p]) < n) {
			return -1
		}
		return p
	}
	left := int(i.max)
	for left > 0 && p < len(in) {
		switch table[in[p]] {
		case single:
			p++
			left--
			continue
		case decode:
			if w := i.class.width(in[p:]); w > 0 {
				p += w
				left--
				continue
			}
		}
		break
	}
	if int(i.max)-left < int(i.min) {
		return -1
	}
	return p
}

// skip goes past n characters that are known to be of the class.
func (i *instruction) skip(in []byte, pos, n int) int {
	if i.ascii {
		return pos + n
	}
	for ; n > 0; n-- {
		if in[pos] < utf8.RuneSelf {
			pos++
			continue
		}
		_, w := utf8.DecodeRune(in[pos:])
		pos += w
	}
	return pos
}

// giveBack gives the last place before end, and not before low, where what follows can begin; -1 if there is none.
func (i *instruction) giveBack(in []byte, low, end int) int {
	for end > low {
		if end--; in[end] >= utf8.RuneSelf && !i.ascii {
			_, w := utf8.DecodeLastRune(in[low : end+1])
			end -= w - 1
		}
		if i.table2[in[end]] != 0 {
			return end
		}
	}
	return -1
}

// one gives the end of the character at pos if it is of the class, else -1.
func (i *instruction) one(in []byte, pos int) int {
	if pos < len(in) {
		switch i.class.table[in[pos]] {
		case single:
			return pos + 1
		case decode:
			if w := i.class.width(in[pos:]); w > 0 {
				return pos + w
			}
		}
	}
	return -1
}

// atLeast goes past min characters of the class; -1 if there are fewer.
func (i *instruction) atLeast(in []byte, pos int) int {
	for range i.min {
		if pos = i.one(in, pos); pos < 0 {
			return -1
		}
	}
	return pos
}

// until goes on in the class up to where what follows can begin; -1 if it cannot.
func (i *instruction) until(in []byte, pos int) int {
	for pos < len(in) {
		b := in[pos]
		if i.table2[b] != 0 {
			return pos
		}
		switch i.table[b] {
		case outside:
			return -1
		case single:
			pos++
		default:
			w := i.class.width(in[pos:])
			if w == 0 {
				return -1
			}
			pos += w
		}
	}
	if i.end {
		return pos
	}
	return -1
}

// backref gives the length of what the first of the groups that has matched took, if it stands at pos again; -1 if not.
func (i *instruction) backref(in []byte, pos int, slots []int32) int {
	for _, g := range i.more.refs {
		begin, end := slots[2*g], slots[2*g+1]
		if end < 0 || begin < 0 {
			continue
		}
		n := int(end - begin)
		if n > len(in)-pos {
			continue
		}
		was, is := in[begin:end], in[pos:pos+n]
		if i.op == opBackrefFold && bytes.EqualFold(was, is) || bytes.Equal(was, is) {
			return n
		}
	}
	return -1
}

// keepGroups copies where the groups are to the slots behind n, with the old values of those pushed.
func (i *instruction) keepGroups(slots []int32, stack []entry, sp int) int {
	to := i.n + 1
	for _, g := range i.more.refs {
		for _, from := range [2]int32{2 * g, 2*g + 1} {
			stack[sp] = entry{^to, slots[to], 0}
			sp++
			slots[to] = slots[from]
			to++
		}
	}
	return sp
}

// groupsMoved tells whether a loop goes on although a round took nothing: it does where a group matched for the first
// time, or was not empty before. Where a group was empty elsewhere, the round fails (STACK_NULL_CHECK_MEMST).
func (i *instruction) groupsMoved(slots []int32, pos int32) (again, ok bool) {
	ok = true
	for k, g := range i.more.refs {
		begin, end := slots[i.n+1+int32(2*k)], slots[i.n+2+int32(2*k)]
		if slots[2*g+1] < 0 || slots[2*g] == begin && slots[2*g+1] == end && begin != pos {
			continue // it took no part in this round
		}
		switch {
		case end < 0 || begin != end:
			return true, true
		case end != pos:
			ok = false
		}
	}
	return false, ok
}

// stepBack goes back n characters; -1 if there are fewer.
func stepBack(in []byte, pos, n int) int {
	for ; n > 0; n-- {
		if pos == 0 {
			return -1
		}
		if pos--; in[pos] >= utf8.RuneSelf {
			_, w := utf8.DecodeLastRune(in[:pos+1])
			pos -= w - 1
		}
	}
	return pos
}

// isNext tells whether the character at pos is of the class.
func (i *instruction) isNext(in []byte, pos int) bool {
	if pos == len(in) {
		return false
	}
	switch i.table[in[pos]] {
	case single:
		return true
	case decode:
		return i.class.width(in[pos:]) > 0
	}
	return false
}

// isLast tells whether the character before pos, which is not of ASCII, is of the class.
func (i *instruction) isLast(in []byte, pos int) bool {
	_, w := utf8.DecodeLastRune(in[:pos])
	return i.isNext(in[:pos], pos-w)
}

// wordTable is by the byte what belongs to a word; decode for what is beyond ASCII.
var wordTable = func() (t [256]uint8) {
	for b := range 256 {
		switch {
		case b >= utf8.RuneSelf:
			t[b] = decode
		case asciiWord.has(rune(b)):
			t[b] = single
		}
	}
	return t
}()

// atWordEdge tells whether one of the characters around pos belongs to a word, and the other does not.
func atWordEdge(in []byte, pos int) bool {
	var before, after bool
	if pos > 0 {
		if t := wordTable[in[pos-1]]; t != decode {
			before = t == single
		} else {
			r, _ := utf8.DecodeLastRune(in[:pos])
			before = wordSet().has(r)
		}
	}
	if pos < len(in) {
		if t := wordTable[in[pos]]; t != decode {
			after = t == single
		} else {
			r, _ := utf8.DecodeRune(in[pos:])
			after = wordSet().has(r)
		}
	}
	return before != after
}
