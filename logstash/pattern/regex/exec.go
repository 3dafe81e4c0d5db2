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

// stepBytes is how many bytes of a run count as a step, so that long texts are bounded too.
const stepBytes = 32

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

// run tries to match at pos. It leaves the places of groups in m.slots, and counts down m.left at each failure and along runs.
func (p *program) run(in []byte, pos int, m *Match) outcome {
	// What few instructions need is in m, not in variables: there are not enough registers, and all that is in none has to be
	// saved at each instruction.
	code, pc := p.code, p.start
	m.height = 0
	for {
		i := &code[pc]
		switch i.op {
		case opMatch:
			m.slots[1] = int32(pos)
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
					if w := i.more.class.width(in[pos:]); w > 0 {
						pos += w
						pc = i.next
						continue
					}
				}
			}
		case opRun:
			if end := i.span(in, pos); end >= 0 {
				m.left -= (end - pos) / stepBytes
				pos = end
				pc = i.next
				continue
			}
		case opMaybe:
			if pos < len(in) && i.table[in[pos]] == single {
				pc = i.next
				if pos++; i.table2[in[pos-1]] != 0 {
					m.pushed = entry{i.next, int32(pos - 1), 0}
					goto push
				}
				continue
			}
			pc = i.next
			continue
		case opGreedy:
			end := i.span(in, pos)
			if end < 0 {
				break
			}
			m.left -= (end - pos) / stepBytes
			low := i.skip(in, pos, int(i.min))
			if end < len(in) && i.table2[in[end]] == 0 || end == len(in) && !i.end {
				if end = i.giveBack(in, low, end); end < 0 {
					break
				}
			}
			m.pushed = entry{i.alt, int32(end), int32(low)}
			pos = end
			pc = i.next
			if end > low {
				goto push
			}
			continue
		case opGiveBack:
			low := int(m.low)
			end := i.giveBack(in, low, pos)
			if end < 0 {
				m.left -= (pos - low) / stepBytes
				break
			}
			m.left -= (pos - end) / stepBytes
			m.pushed = entry{i.alt, int32(end), m.low}
			pos = end
			pc = i.next
			if end > low {
				goto push
			}
			continue
		case opLazy:
			end := i.atLeast(in, pos)
			if end < 0 {
				break
			}
			if end = i.until(in, end); end < 0 {
				m.left -= (len(in) - pos) / stepBytes
				break
			}
			m.left -= (end - pos) / stepBytes
			m.pushed = entry{i.alt, int32(end), 0}
			pos = end
			pc = i.next
			goto push
		case opTakeMore:
			end := i.one(in, pos)
			if end < 0 {
				break
			}
			if end = i.until(in, end); end < 0 {
				m.left -= (len(in) - pos) / stepBytes
				break
			}
			m.left -= (end - pos) / stepBytes
			m.pushed = entry{i.alt, int32(end), 0}
			pos = end
			pc = i.next
			goto push
		case opFork:
			m.pushed = entry{i.alt, int32(pos), 0}
			pc = i.next
			goto push
		case opDispatch:
			var t int32
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
			m.slots[i.n] = int32(pos)
			pc = i.next
			continue
		case opMarkUndo:
			m.pushed = entry{^i.n, m.slots[i.n], 0}
			m.slots[i.n] = int32(pos)
			pc = i.next
			goto push
		case opClear:
			m.pushed = entry{^i.n, m.slots[i.n], 0}
			m.slots[i.n] = -1
			pc = i.next
			goto push
		case opUnset:
			for _, g := range i.more.refs {
				m.slots[2*g+1] = -1
			}
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
			if n := i.backref(in, pos, m.slots); n >= 0 {
				pos += n
				pc = i.next
				continue
			}
		case opCond:
			if pc = i.alt; m.slots[2*i.n+1] >= 0 {
				pc = i.next
			}
			if pc != 0 {
				continue
			}
		case opEmptyStart:
			m.pushed = entry{^i.n, m.slots[i.n], 0}
			m.slots[i.n] = int32(pos)
			pc = i.next
			goto push
		case opEmptyEnd:
			if m.slots[i.n] == int32(pos) {
				pc = i.alt
			} else {
				pc = i.next
			}
			if pc != 0 {
				continue
			}
		case opEmptyStartGroups:
			for m.height+2*len(i.more.refs) > len(m.stack) {
				if !m.grow() {
					return exhausted
				}
			}
			m.height = i.keepGroups(m.slots, m.stack, m.height)
			m.pushed = entry{^i.n, m.slots[i.n], 0}
			m.slots[i.n] = int32(pos)
			pc = i.next
			goto push
		case opEmptyEndGroups:
			again, ok := true, true
			if m.slots[i.n] == int32(pos) {
				again, ok = i.groupsMoved(m.slots, int32(pos))
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
			m.pushed = entry{^i.n, m.slots[i.n], 0}
			m.slots[i.n] = 0
			pc = i.next
			goto push
		case opCount:
			count := m.slots[i.n]
			switch {
			case count < i.min:
				pc = i.next
				continue
			case i.max >= 0 && count >= i.max:
				pc = i.alt
				continue
			case i.flag:
				m.pushed = entry{i.next, int32(pos), 0}
				pc = i.alt
			default:
				m.pushed = entry{i.alt, int32(pos), 0}
				pc = i.next
			}
			goto push
		case opCountMore:
			m.pushed = entry{^i.n, m.slots[i.n], 0}
			m.slots[i.n]++
			pc = i.next
			goto push
		case opAtomicStart:
			m.slots[i.n] = int32(m.height)
			pc = i.next
			continue
		case opAtomicEnd:
			m.height = cut(m.stack, int(m.slots[i.n]), m.height, i.flag)
			pc = i.next
			continue
		case opAheadStart:
			m.slots[i.n], m.slots[i.n+1] = int32(m.height), int32(pos)
			pc = i.next
			continue
		case opAheadEnd:
			m.height = cut(m.stack, int(m.slots[i.n]), m.height, i.flag)
			pos = int(m.slots[i.n+1])
			pc = i.next
			continue
		case opNotStart:
			m.slots[i.n] = int32(m.height)
			m.pushed = entry{i.alt, int32(pos), 0}
			pc = i.next
			goto push
		case opNotEnd:
			for low := int(m.slots[i.n]); m.height > low; {
				m.height--
				if e := m.stack[m.height]; e.pc < 0 {
					m.slots[^e.pc] = e.pos
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
			if n := end - pos; n > stepBytes {
				m.left -= n / stepBytes
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
			m.pushed = entry{i.alt, int32(end), int32(low)}
			pos = end
			pc = i.next
			if end > low {
				goto push
			}
			continue
		case opSpanUntil2:
			if end := until2(in, pos, i.b, byte(i.max)); end-pos >= int(i.min) {
				m.left -= (end - pos) / (8 * stepBytes)
				pos = end
				pc = i.next
				continue
			}
		case opSpan:
			end, table := pos, i.table
			for end < len(in) && table[in[end]] != outside {
				end++
			}
			if n := end - pos; n > stepBytes {
				m.left -= n / stepBytes
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
			if n := end - pos; n > stepBytes {
				m.left -= n / stepBytes
			}
			if end-pos >= int(i.min) {
				m.slots[i.n], m.slots[i.alt] = int32(pos), int32(end)
				pos = end
				pc = i.next
				continue
			}
		case opSpanUntil, opUntilMarks:
			end := bytes.IndexByte(in[pos:], i.b)
			if end < 0 {
				end = len(in) - pos
			}
			if end > stepBytes {
				m.left -= end / (8 * stepBytes) // by vectors
			}
			if end >= int(i.min) {
				if i.op == opUntilMarks {
					m.slots[i.n], m.slots[i.alt] = int32(pos), int32(pos+end)
				}
				pos += end
				pc = i.next
				continue
			}
		case opCharMark:
			if pos < len(in) && in[pos] == i.b {
				pos++
				m.slots[i.n] = int32(pos)
				pc = i.next
				continue
			}
		case opMarkChar:
			if pos < len(in) && in[pos] == i.b {
				m.slots[i.n] = int32(pos)
				pos++
				pc = i.next
				continue
			}
		case opMarkCharMark:
			if pos < len(in) && in[pos] == i.b {
				m.slots[i.n] = int32(pos)
				pos++
				m.slots[i.alt] = int32(pos)
				pc = i.next
				continue
			}
		case opMarkTextMark:
			if text := i.more.text; len(in)-pos >= len(text) && string(in[pos:pos+len(text)]) == text {
				m.slots[i.n] = int32(pos)
				pos += len(text)
				m.slots[i.alt] = int32(pos)
				pc = i.next
				continue
			}
		case opPair:
			if pos+1 < len(in) && i.table[in[pos]] == single && i.table2[in[pos+1]] == single {
				pos += 2
				pc = i.next
				continue
			}
		default: // opFail
		}
		// What was tried failed: go back.
		if m.left--; m.left < 0 {
			return exhausted
		}
		for {
			if m.height == 0 {
				return failed
			}
			m.height--
			e := &m.stack[m.height]
			if e.pc >= 0 {
				pc, pos, m.low = e.pc, int(e.pos), e.aux
				break
			}
			m.slots[^e.pc] = e.pos
		}
		continue
	push:
		if uint(m.height) >= uint(len(m.stack)) && !m.grow() {
			return exhausted
		}
		m.stack[m.height] = m.pushed
		m.height++
	}
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
