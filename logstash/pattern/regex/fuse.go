package regex

// fuse makes one instruction of several that often stand together, and lets none go on at a jump. It gives the new
// start. The instructions that are joined stay, as others may go on at them.
func fuse(code []instruction, start int32) int32 {
	through := func(pc int32) int32 {
		for range code { // a loop of jumps ends too
			if code[pc].op != opJump {
				break
			}
			pc = code[pc].next
		}
		return pc
	}
	for at := range code {
		i := &code[at]
		i.next = through(i.next)
		if usesAlt(i.op) {
			i.alt = through(i.alt)
		}
		if i.targets != nil {
			for sym, t := range i.targets {
				i.targets[sym] = through(t)
			}
		}
	}
	for at := range code {
		fuseRun(&code[at])
	}
	for at := range code {
		if code[at].op == opDispatch {
			takeByte(code, code[at].targets)
		}
	}
	for at := range code { // from the end of the pattern: what stands behind is fused already
		code[at] = fused(code, code[at])
	}
	return through(start)
}

// usesAlt tells whether alt is an instruction.
func usesAlt(o op) bool {
	switch o {
	case opGreedy, opGreedySpan, opLazy, opFork, opCond, opEmptyEnd, opEmptyEndGroups, opCount, opNotStart:
		return true
	default: // the other instructions
	}
	return false
}

// noBytes is what follows a run that gives nothing back.
var noBytes [256]uint8

// fuseRun turns a run into one that needs to look at bytes only.
func fuseRun(i *instruction) {
	if i.op != opRun && i.op != opGreedy {
		return
	}
	if i.op == opRun && i.ascii && i.max >= 0 {
		i.op = opFew
		if i.min == 0 && i.max == 1 {
			i.op, i.table2 = opMaybe, &noBytes
		}
		return
	}
	if i.max >= 0 || i.min > 1 {
		return
	}
	var out []int
	for b, t := range i.table {
		switch t {
		case decode:
			return
		case outside:
			out = append(out, b)
		}
	}
	switch {
	case i.op == opGreedy:
		i.op = opGreedySpan
	case len(out) == 1:
		i.op, i.b = opSpanUntil, byte(out[0])
	case len(out) == 2:
		i.op, i.b, i.max = opSpanUntil2, byte(out[0]), int32(out[1])
	default:
		i.op = opSpan
	}
}

// takeByte lets a dispatch go past the byte that it has looked at, where that is all that is to be done. It makes the
// targets what instruction says they are.
func takeByte(code []instruction, targets *[257]int32) {
	for sym, t := range targets {
		taken := int32(0)
		if sym < atEnd {
			if i := &code[t]; i.op == opChar && i.b == byte(sym) || i.op == opSet && i.table[sym] == single {
				t, taken = i.next, 1
			}
		}
		targets[sym] = t<<1 | taken
	}
}

// fused gives what i and the instructions behind it become.
func fused(code []instruction, i instruction) instruction {
	next := func(i instruction) instruction { return code[i.next] }
	switch i.op {
	case opMark:
		switch a := next(i); a.op {
		case opChar:
			return instruction{op: opMarkChar, n: i.n, b: a.b, next: a.next}
		case opCharMark:
			return instruction{op: opMarkCharMark, n: i.n, b: a.b, alt: a.n, next: a.next}
		case opText:
			if b := next(a); b.op == opMark {
				return instruction{op: opMarkTextMark, n: i.n, more: a.more, alt: b.n, next: b.next}
			}
		case opSpan, opSpanUntil:
			if b := next(a); b.op == opMark {
				o := opSpanMarks
				if a.op == opSpanUntil {
					o = opUntilMarks
				}
				return instruction{op: o, n: i.n, b: a.b, min: a.min, table: a.table, alt: b.n, next: b.next}
			}
		default: // the others stay as they are
		}
	case opChar:
		if a := next(i); a.op == opMark {
			return instruction{op: opCharMark, n: a.n, b: i.b, next: a.next}
		}
	case opSet:
		if a := next(i); a.op == opSet && i.more.class.ascii() && a.more.class.ascii() {
			return instruction{op: opPair, table: i.table, table2: a.table, next: a.next}
		}
	default: // the other instructions
	}
	return i
}

func (c *class) ascii() bool { return c.set[len(c.set)-1] < 0x80 }
