package ruby

import (
	"math"
	"slices"
	"strings"
)

// items gives what a value enumerates: the elements of an array (not a copy), the pairs of a hash, the values of a range, what
// an enumerator calls its block with.
func (x *exec) items(v any) []any {
	switch v := v.(type) {
	case *array:
		return v.v
	case *hash:
		out := x.room(len(v.list))
		for _, e := range v.list {
			out = append(out, x.array([]any{e.key, e.value}))
		}
		return out
	case *rng:
		return x.rangeItems(v)
	case *enumerator:
		var out []any
		v.each(x, &proc{native: func(x *exec, args []any) any {
			x.alloc(16)
			switch len(args) {
			case 0:
				out = append(out, nil)
			case 1:
				out = append(out, args[0])
			default:
				out = append(out, x.array(slices.Clone(args)))
			}
			return nil
		}})
		return out
	}
	x.noMethod("each", v)
	return nil
}

// each calls the method that an enumerator waits with.
func (e *enumerator) each(x *exec, b *proc) any { return e.fn.fn(x, e.recv, e.args, b) }

// list makes a method of a function of the elements.
func list(min, max int, enum bool, f func(x *exec, v []any, a []any, b *proc) any) builtin {
	return builtin{min, max, func(x *exec, s any, a []any, b *proc) any {
		v := x.items(s)
		x.step(len(v) / 4)
		return f(x, v, a, b)
	}, enum}
}

// holds says whether a test of any?, all? and so on holds for an element.
func (x *exec) holds(e any, a []any, b *proc) bool {
	switch {
	case len(a) > 0:
		return x.caseEqual(a[0], e)
	case b != nil:
		return truthy(x.call1(b, e))
	}
	return truthy(e)
}

// sorted sorts a copy.
func (x *exec) sorted(v []any, compare func(a, b any) int) []any {
	x.alloc(16 * len(v))
	out := slices.Clone(v)
	slices.SortStableFunc(out, compare)
	return out
}

// byBlock compares by what a block gives.
func (x *exec) byBlock(b *proc) func(a, c any) int {
	if b == nil {
		return func(a, c any) int { x.step(0); return x.order(a, c) }
	}
	return func(a, c any) int {
		v := x.call2(b, a, c)
		if v == nil {
			x.raise(classArgumentError, "comparison of "+className(a)+" with "+className(c)+" failed")
		}
		return x.integer(v)
	}
}

type keyed struct{ key, value any }

// keys calls a block for each element.
func (x *exec) keys(v []any, b *proc) []keyed {
	x.alloc(32 * len(v))
	out := make([]keyed, len(v))
	for i, e := range v {
		out[i] = keyed{x.call1(b, e), e}
	}
	return out
}

// extreme finds the least or greatest element, or the first n.
func extreme(sign int, by bool) builtin {
	return list(0, 1, by, func(x *exec, v []any, a []any, b *proc) any {
		var order []keyed
		if by {
			order = x.keys(v, b)
		} else {
			for _, e := range v {
				order = append(order, keyed{e, e})
			}
		}
		compare := x.byBlock(nil)
		if !by && b != nil {
			compare = x.byBlock(b)
		}
		if len(a) > 0 && a[0] != nil {
			slices.SortStableFunc(order, func(p, q keyed) int { return sign * compare(p.key, q.key) })
			n := min(max(0, x.integer(a[0])), len(order))
			out := x.room(n)
			for _, k := range order[:n] {
				out = append(out, k.value)
			}
			return &array{v: out}
		}
		if len(order) == 0 {
			return nil
		}
		best := order[0]
		for _, k := range order[1:] {
			if sign*compare(k.key, best.key) < 0 {
				best = k
			}
		}
		return best.value
	})
}

func filter(want bool) builtin {
	return list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		out := x.room(0)
		for _, e := range v {
			if truthy(x.call1(b, e)) == want {
				x.alloc(16)
				out = append(out, e)
			}
		}
		return &array{v: out}
	})
}

var (
	mapMethod = list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		out := x.room(len(v))
		for _, e := range v {
			out = append(out, x.call1(b, e))
		}
		return &array{v: out}
	})
	flatMap = list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		var out []any
		for _, e := range v {
			if r, ok := x.call1(b, e).(*array); ok {
				x.alloc(16 * len(r.v))
				out = append(out, r.v...)
			} else {
				x.alloc(16)
				out = append(out, r)
			}
		}
		return &array{v: out}
	})
	findMethod = list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		for _, e := range v {
			if truthy(x.call1(b, e)) {
				return e
			}
		}
		return nil
	})
	injectMethod = list(0, 2, false, func(x *exec, v []any, a []any, b *proc) any {
		var do func(acc, e any) any
		if b != nil {
			do = func(acc, e any) any { return x.call2(b, acc, e) }
		} else {
			if len(a) == 0 {
				x.raise(classLocalJumpError, "no block given")
			}
			name, ok := textValue(a[len(a)-1])
			if !ok {
				x.raise(classTypeError, x.inspect(a[len(a)-1])+" is not a symbol nor a string")
			}
			a = a[:len(a)-1]
			op := operator(name)
			do = func(acc, e any) any { return op(x, acc, e) }
		}
		if len(a) == 0 {
			if len(v) == 0 {
				return nil
			}
			a, v = v[:1], v[1:]
		}
		acc := a[0]
		for _, e := range v {
			acc = do(acc, e)
		}
		return acc
	})
	includes = list(1, 1, false, func(x *exec, v []any, a []any, _ *proc) any {
		return slices.ContainsFunc(v, func(e any) bool { return x.equal(e, a[0]) })
	})
	toArray = list(0, 0, false, func(x *exec, v []any, _ []any, _ *proc) any { return x.array(slices.Clone(v)) })
)

var enumerableMethods = table{
	"map": mapMethod, "collect": mapMethod, "flat_map": flatMap, "collect_concat": flatMap,
	"select": filter(true), "filter": filter(true), "find_all": filter(true), "reject": filter(false),
	"find": findMethod, "detect": findMethod, "inject": injectMethod, "reduce": injectMethod,
	"include?": includes, "member?": includes, "to_a": toArray, "entries": toArray,
	"min": extreme(1, false), "max": extreme(-1, false), "min_by": extreme(1, true), "max_by": extreme(-1, true),
	"each_entry": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		for _, e := range v {
			x.call1(b, e)
		}
		return nil
	}),
	"each_with_index": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		for i, e := range x.items(s) {
			x.call2(b, e, int64(i))
		}
		return s
	}, true},
	"each_with_object": list(1, 1, true, func(x *exec, v []any, a []any, b *proc) any {
		into := a[0]
		for _, e := range v {
			x.call2(b, e, into)
		}
		return into
	}),
	"reverse_each": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		v := slices.Clone(x.items(s))
		for i := len(v) - 1; i >= 0; i-- {
			x.call1(b, v[i])
		}
		return s
	}, true},
	"filter_map": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		out := x.room(0)
		for _, e := range v {
			if r := x.call1(b, e); truthy(r) {
				x.alloc(16)
				out = append(out, r)
			}
		}
		return &array{v: out}
	}),
	"partition": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		var yes, no []any
		for _, e := range v {
			if truthy(x.call1(b, e)) {
				yes = append(yes, e)
			} else {
				no = append(no, e)
			}
		}
		return x.array([]any{x.array(yes), x.array(no)})
	}),
	"group_by": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		h := &hash{}
		for _, e := range v {
			k := x.call1(b, e)
			x.alloc(16)
			if list, ok := h.get(x, k); ok {
				list.(*array).v = append(list.(*array).v, e)
			} else {
				h.set(x, k, &array{v: []any{e}})
			}
		}
		return h
	}),
	"tally": list(0, 0, false, func(x *exec, v []any, _ []any, _ *proc) any {
		h := &hash{}
		for _, e := range v {
			n, _ := h.get(x, e)
			count, _ := n.(int64)
			h.set(x, e, count+1)
		}
		return h
	}),
	"any?": list(0, 1, false, func(x *exec, v []any, a []any, b *proc) any {
		return slices.ContainsFunc(v, func(e any) bool { return x.holds(e, a, b) })
	}),
	"all?": list(0, 1, false, func(x *exec, v []any, a []any, b *proc) any {
		return !slices.ContainsFunc(v, func(e any) bool { return !x.holds(e, a, b) })
	}),
	"none?": list(0, 1, false, func(x *exec, v []any, a []any, b *proc) any {
		return !slices.ContainsFunc(v, func(e any) bool { return x.holds(e, a, b) })
	}),
	"one?": list(0, 1, false, func(x *exec, v []any, a []any, b *proc) any {
		n := 0
		for _, e := range v {
			if x.holds(e, a, b) {
				n++
			}
		}
		return n == 1
	}),
	"count": list(0, 1, false, func(x *exec, v []any, a []any, b *proc) any {
		n := int64(0)
		for _, e := range v {
			if len(a) > 0 && x.equal(e, a[0]) || len(a) == 0 && (b == nil || truthy(x.call1(b, e))) {
				n++
			}
		}
		return n
	}),
	"sum": list(0, 1, false, func(x *exec, v []any, a []any, b *proc) any {
		acc := any(int64(0))
		if len(a) > 0 {
			acc = a[0]
		}
		add := operator("+")
		carry, float := 0.0, false // floats are summed exactly, as Kahan and Babuška do
		for _, e := range v {
			if b != nil {
				e = x.call1(b, e)
			}
			f, isFloat := acc.(float64)
			if isFloat && isNumber(e) && !math.IsInf(f, 0) && !math.IsNaN(f) {
				n := floatOf(e)
				t := f + n
				if math.Abs(f) >= math.Abs(n) {
					carry += f - t + n
				} else {
					carry += n - t + f
				}
				acc, float = t, true
				continue
			}
			acc = add(x, acc, e)
		}
		if f, ok := acc.(float64); ok && float && !math.IsNaN(carry) && !math.IsInf(carry, 0) {
			return f + carry
		}
		return acc
	}),
	"sort":    list(0, 0, false, func(x *exec, v []any, _ []any, b *proc) any { return &array{v: x.sorted(v, x.byBlock(b))} }),
	"sort_by": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any { return &array{v: x.sortedBy(v, b)} }),
	"minmax": list(0, 0, false, func(x *exec, v []any, _ []any, b *proc) any {
		s := x.sorted(v, x.byBlock(b))
		if len(s) == 0 {
			return x.array([]any{nil, nil})
		}
		return x.array([]any{s[0], s[len(s)-1]})
	}),
	"uniq": list(0, 0, false, func(x *exec, v []any, _ []any, b *proc) any { return &array{v: x.uniq(v, b)} }),
	"to_h": list(0, 0, false, func(x *exec, v []any, _ []any, b *proc) any {
		h := &hash{}
		for _, e := range v {
			if b != nil {
				e = x.call1(b, e)
			}
			p, ok := e.(*array)
			if !ok {
				x.raise(classTypeError, "wrong element type "+className(e)+" (expected array)")
			}
			if len(p.v) != 2 {
				x.raisef(classArgumentError, "element has wrong array length (expected 2, was %d)", len(p.v))
			}
			h.set(x, p.v[0], p.v[1])
		}
		return h
	}),
	"first": list(0, 1, false, func(x *exec, v []any, a []any, _ *proc) any {
		if len(a) == 0 {
			if len(v) == 0 {
				return nil
			}
			return v[0]
		}
		n := x.integer(a[0])
		if n < 0 {
			x.raise(classArgumentError, "attempt to take negative size")
		}
		return x.array(slices.Clone(v[:min(n, len(v))]))
	}),
	"take": list(1, 1, false, func(x *exec, v []any, a []any, _ *proc) any {
		n := x.integer(a[0])
		if n < 0 {
			x.raise(classArgumentError, "attempt to take negative size")
		}
		return x.array(slices.Clone(v[:min(n, len(v))]))
	}),
	"drop": list(1, 1, false, func(x *exec, v []any, a []any, _ *proc) any {
		n := x.integer(a[0])
		if n < 0 {
			x.raise(classArgumentError, "attempt to drop negative size")
		}
		return x.array(slices.Clone(v[min(n, len(v)):]))
	}),
	"take_while": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		n := 0
		for n < len(v) && truthy(x.call1(b, v[n])) {
			n++
		}
		return x.array(slices.Clone(v[:n]))
	}),
	"drop_while": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		n := 0
		for n < len(v) && truthy(x.call1(b, v[n])) {
			n++
		}
		return x.array(slices.Clone(v[n:]))
	}),
	"find_index": list(0, 1, false, findIndex),
	"each_slice": list(1, 1, true, func(x *exec, v []any, a []any, b *proc) any {
		n := x.integer(a[0])
		if n <= 0 {
			x.raise(classArgumentError, "invalid slice size")
		}
		for i := 0; i < len(v); i += n {
			x.call1(b, x.array(slices.Clone(v[i:min(len(v), i+n)])))
		}
		return nil
	}),
	"each_cons": list(1, 1, true, func(x *exec, v []any, a []any, b *proc) any {
		n := x.integer(a[0])
		if n <= 0 {
			x.raise(classArgumentError, "invalid size")
		}
		for i := 0; i+n <= len(v); i++ {
			x.call1(b, x.array(slices.Clone(v[i:i+n])))
		}
		return nil
	}),
	"zip": list(0, -1, false, func(x *exec, v []any, a []any, b *proc) any {
		out := x.room(len(v))
		for i, e := range v {
			row := []any{e}
			for _, other := range a {
				o := x.items(other)
				if i < len(o) {
					row = append(row, o[i])
				} else {
					row = append(row, nil)
				}
			}
			out = append(out, x.array(row))
		}
		return &array{v: out}
	}),
	"each_index": list(0, 0, true, func(x *exec, v []any, _ []any, b *proc) any {
		for i := range v {
			x.call1(b, int64(i))
		}
		return nil
	}),
	"lazy":   {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.array(slices.Clone(x.items(s))) }, false},
	"grep":   list(1, 1, false, func(x *exec, v []any, a []any, b *proc) any { return x.grep(v, a[0], b, true) }),
	"grep_v": list(1, 1, false, func(x *exec, v []any, a []any, b *proc) any { return x.grep(v, a[0], b, false) }),
	"chunk_while": list(0, 0, false, func(x *exec, v []any, _ []any, b *proc) any {
		var out []any
		for i, e := range v {
			if i > 0 && truthy(x.call2(b, v[i-1], e)) {
				last := out[len(out)-1].(*array)
				last.v = append(last.v, e)
				continue
			}
			out = append(out, x.array([]any{e}))
		}
		return x.array(out)
	}),
}

func (x *exec) grep(v []any, pattern any, b *proc, want bool) any {
	out := x.room(0)
	for _, e := range v {
		if x.caseEqual(pattern, e) != want {
			continue
		}
		if b != nil {
			e = x.call1(b, e)
		}
		x.alloc(16)
		out = append(out, e)
	}
	return &array{v: out}
}

func findIndex(x *exec, v []any, a []any, b *proc) any {
	for i, e := range v {
		if len(a) > 0 && x.equal(e, a[0]) || len(a) == 0 && b != nil && truthy(x.call1(b, e)) {
			return int64(i)
		}
	}
	return nil
}

func (x *exec) sortedBy(v []any, b *proc) []any {
	order := x.keys(v, b)
	slices.SortStableFunc(order, func(p, q keyed) int { x.step(0); return x.order(p.key, q.key) })
	out := x.room(len(order))
	for _, k := range order {
		out = append(out, k.value)
	}
	return out
}

func (x *exec) uniq(v []any, b *proc) []any {
	x.alloc(48 * len(v))
	seen := make(map[hashKey]bool, len(v))
	var out []any
	for _, e := range v {
		k := e
		if b != nil {
			k = x.call1(b, e)
		}
		if key := x.key(k); !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}

// rangeItems gives the values of a range.
func (x *exec) rangeItems(r *rng) []any {
	switch from := r.from.(type) {
	case int64:
		if r.to == nil {
			x.raise(classRangeError, "cannot convert endless range to an array")
		}
		to, ok := x.limit(r)
		if !ok || to < from {
			return nil
		}
		n := to - from + 1
		if n <= 0 || n > int64(x.memory/16) {
			x.raise(classBudget, "the code takes too much memory")
		}
		out := x.room(int(n))
		for i := from; ; i++ {
			out = append(out, i)
			if i == to {
				return out
			}
		}
	case *str:
		to, ok := r.to.(*str)
		if !ok {
			break
		}
		var out []any
		for s := from.s; len(s) <= len(to.s); s = successor(s) {
			if s == to.s && r.exclusive {
				break
			}
			x.step(0)
			out = append(out, x.str(s))
			if s == to.s || s == "" {
				break
			}
		}
		return out
	}
	x.raise(classTypeError, "can't iterate from "+className(r.from))
	return nil
}

// limit gives the last integer of a range.
func (x *exec) limit(r *rng) (int64, bool) {
	switch to := r.to.(type) {
	case int64:
		if r.exclusive {
			if to == math.MinInt64 {
				return 0, false
			}
			to--
		}
		return to, true
	case float64:
		if math.IsInf(to, 1) {
			x.raise(classRangeError, "cannot convert endless range to an array")
		}
		f := math.Floor(to)
		if r.exclusive && f == to {
			f--
		}
		return int64(f), !math.IsNaN(to) && math.Abs(f) < 1<<62
	}
	return 0, false
}

func (x *exec) newRange(from, to any, exclusive bool) any {
	if from != nil && to != nil {
		if _, ok := x.compare(from, to); !ok {
			x.raise(classArgumentError, "bad value for range")
		}
	}
	return &rng{from, to, exclusive}
}

// covers says whether a value lies within a range.
func (x *exec) covers(r *rng, v any) bool {
	if r.from != nil {
		if c, ok := x.compare(r.from, v); !ok || c > 0 {
			return false
		}
	}
	if r.to != nil {
		c, ok := x.compare(v, r.to)
		return ok && (c < 0 || c == 0 && !r.exclusive)
	}
	return true
}

var rangeMethods = table{
	"each": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		r := s.(*rng)
		from, ok := r.from.(int64)
		if !ok {
			for _, v := range x.rangeItems(r) {
				x.call1(b, v)
			}
			return s
		}
		to := int64(math.MaxInt64)
		if r.to != nil {
			if f, isFloat := r.to.(float64); !isFloat || !math.IsInf(f, 1) {
				if to, ok = x.limit(r); !ok {
					return s
				}
			}
		}
		for i := from; i <= to; i++ {
			x.call1(b, i)
		}
		return s
	}, true},
	"step": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		r := s.(*rng)
		if c, _ := compareNumbers(x.number(a[0], int64(0)), int64(0)); c <= 0 {
			x.raise(classArgumentError, "step can't be 0")
		}
		for i := r.from; x.covers(r, i); i = x.arithmetic('+', i, a[0]) {
			x.call1(b, i)
		}
		return s
	}, true},
	"include?": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.covers(s.(*rng), a[0]) }, false},
	"member?":  {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.covers(s.(*rng), a[0]) }, false},
	"cover?":   {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.covers(s.(*rng), a[0]) }, false},
	"===":      {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.covers(s.(*rng), a[0]) }, false},
	"begin":    {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*rng).from }, false},
	"end":      {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*rng).to }, false},
	"last": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		if len(a) == 0 {
			return s.(*rng).to
		}
		return x.method("last", x.array(x.items(s)), a...)
	}, false},
	"exclude_end?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*rng).exclusive }, false},
	"size": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		r := s.(*rng)
		from, ok := r.from.(int64)
		if !ok {
			return nil
		}
		to, ok := x.limit(r)
		if !ok {
			return int64(0)
		}
		return max(0, to-from+1)
	}, false},
}

var enumeratorMethods = table{
	"each": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		if b == nil {
			return s
		}
		return s.(*enumerator).each(x, b)
	}, false},
	"with_index": {0, 1, func(x *exec, s any, a []any, b *proc) any {
		i := int64(0)
		if len(a) > 0 && a[0] != nil {
			i = int64(x.integer(a[0]))
		}
		return s.(*enumerator).each(x, &proc{native: func(x *exec, args []any) any {
			v := x.callN(b, []any{packed(x, args), i})
			i++
			return v
		}})
	}, true},
	"each_with_index": {0, 0, func(x *exec, s any, a []any, b *proc) any { return enumeratorWithIndex(x, s, b) }, true},
	"with_object": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		into := a[0]
		s.(*enumerator).each(x, &proc{native: func(x *exec, args []any) any {
			return x.callN(b, []any{packed(x, args), into})
		}})
		return into
	}, true},
	"size": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return int64(len(x.items(s))) }, false},
	"next": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		x.raise(classStopIteration, "enumerators have no next here: use each, or an index")
		return nil
	}, false},
}

func enumeratorWithIndex(x *exec, s any, b *proc) any {
	i := int64(0)
	return s.(*enumerator).each(x, &proc{native: func(x *exec, args []any) any {
		v := x.callN(b, []any{packed(x, args), i})
		i++
		return v
	}})
}

func packed(x *exec, args []any) any {
	if len(args) == 1 {
		return args[0]
	}
	return x.array(slices.Clone(args))
}

// joined is Array#join.
func (x *exec) joined(b *strings.Builder, v []any, sep string, level int) {
	if level > mostLevels {
		x.raise(classArgumentError, "recursive array join")
	}
	for i, e := range v {
		if i > 0 {
			b.WriteString(sep)
		}
		if a, ok := e.(*array); ok {
			x.joined(b, a.v, sep, level+1)
			continue
		}
		s := x.toS(e)
		x.alloc(len(s) + len(sep))
		b.WriteString(s)
	}
}
