package ruby

import (
	"slices"
	"strings"
)

// at gives an element; a negative place counts from the end.
func (a *array) at(i int64) any {
	if i < 0 {
		i += int64(len(a.v))
	}
	if i < 0 || i >= int64(len(a.v)) {
		return nil
	}
	return a.v[i]
}

// other gives an argument that has to be an array.
func (x *exec) other(v any) []any {
	a, ok := v.(*array)
	if !ok {
		x.raise(classTypeError, "no implicit conversion of "+implicit(v)+" into Array")
	}
	return a.v
}

func (x *exec) keySet(v []any) map[hashKey]bool {
	x.alloc(48 * len(v))
	set := make(map[hashKey]bool, len(v))
	for _, e := range v {
		set[x.key(e)] = true
	}
	return set
}

func (x *exec) flatten(v []any, depth, level int) []any {
	if level > mostLevels {
		x.raise(classArgumentError, "tried to flatten recursive array")
	}
	var out []any
	for _, e := range v {
		a, ok := e.(*array)
		switch {
		case ok && depth != 0:
			out = append(out, x.flatten(a.v, depth-1, level+1)...)
		default:
			x.alloc(16)
			out = append(out, e)
		}
	}
	return out
}

// slice is array[…] with a range or a length.
func (x *exec) slice(v []any, args []any) (from, to int, ok bool) {
	n := 0
	if r, isRange := args[0].(*rng); isRange {
		if from, n, ok = x.span(r, len(v)); !ok {
			return 0, 0, false
		}
	} else {
		from, n = x.integer(args[0]), x.integer(args[1])
		if from < 0 {
			from += len(v)
		}
	}
	if from < 0 || from > len(v) || n < 0 {
		return 0, 0, false
	}
	return from, min(len(v), from+n), true
}

// change makes a method that puts a result into its array; with nilIfSame it gives nil if there is no change.
func changing(name string, nilIfSame bool) builtin {
	f := arrayOrEnumerable(name)
	return builtin{f.min, f.max, func(x *exec, s any, a []any, b *proc) any {
		self := s.(*array)
		x.unfrozen(self)
		v := f.fn(x, s, a, b).(*array).v
		same := len(v) == len(self.v)
		self.v = slices.Clone(v)
		if same && nilIfSame {
			return nil
		}
		return s
	}, f.enum}
}

func arrayOrEnumerable(name string) builtin {
	if b, ok := arrayBasics[name]; ok {
		return b
	}
	return enumerableMethods[name]
}

var arrayMethods = arrayTable()

func arrayTable() table {
	t := table{}
	for name, b := range arrayBasics {
		t[name] = b
	}
	for name, nilIfSame := range map[string]bool{"uniq": true, "compact": true, "flatten": true, "select": true, "reject": true, "filter": true,
		"map": false, "collect": false, "sort": false, "sort_by": false, "reverse": false, "rotate": false} {
		t[name+"!"] = changing(name, nilIfSame)
	}
	t["keep_if"] = changing("select", false)
	t["delete_if"] = changing("reject", false)
	return t
}

var arrayBasics = table{
	"length": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(len(s.(*array).v)) }, false},
	"size":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(len(s.(*array).v)) }, false},
	"empty?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return len(s.(*array).v) == 0 }, false},
	"to_a":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"to_ary": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"each": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		self := s.(*array)
		for i := 0; i < len(self.v); i++ { //nolint:intrange // the block may change its length
			x.call1(b, self.v[i])
		}
		return s
	}, true},
	"[]": {1, 2, func(x *exec, s any, a []any, _ *proc) any {
		self := s.(*array)
		if _, ok := a[0].(*rng); !ok && len(a) == 1 {
			return self.at(int64(x.integer(a[0])))
		}
		from, to, ok := x.slice(self.v, a)
		if !ok {
			return nil
		}
		return x.array(slices.Clone(self.v[from:to]))
	}, false},
	"slice": {1, 2, func(x *exec, s any, a []any, _ *proc) any { return x.method("[]", s, a...) }, false},
	"at":    {1, 1, func(x *exec, s any, a []any, _ *proc) any { return s.(*array).at(int64(x.integer(a[0]))) }, false},
	"dig":   {1, -1, func(x *exec, s any, a []any, _ *proc) any { return x.dig(s.(*array).at(int64(x.integer(a[0]))), a[1:]) }, false},
	"fetch": {1, 2, func(x *exec, s any, a []any, b *proc) any {
		self, i := s.(*array), x.integer(a[0])
		if i < len(self.v) && i >= -len(self.v) {
			return self.at(int64(i))
		}
		switch {
		case b != nil:
			return x.call1(b, a[0])
		case len(a) > 1:
			return a[1]
		}
		x.raisef(classIndexError, "index %d out of array", i)
		return nil
	}, false},
	"values_at": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		out := x.room(len(a))
		for _, i := range a {
			out = append(out, s.(*array).at(int64(x.integer(i))))
		}
		return &array{v: out}
	}, false},
	"[]=": {2, 3, func(x *exec, s any, a []any, _ *proc) any {
		self, v := s.(*array), a[len(a)-1]
		x.unfrozen(self)
		if _, isRange := a[0].(*rng); isRange || len(a) == 3 {
			from, to, ok := x.slice(self.v, a[:len(a)-1])
			if !ok {
				x.raise(classIndexError, "index out of range")
			}
			x.alloc(16 * len(self.v))
			self.v = slices.Replace(slices.Clone(self.v), from, to, x.splat(v)...)
			return v
		}
		i := x.integer(a[0])
		if i < 0 {
			if i += len(self.v); i < 0 {
				x.raisef(classIndexError, "index %d too small for array; minimum: -%d", i-len(self.v), len(self.v))
			}
		}
		if grow := i + 1 - len(self.v); grow > 0 {
			x.alloc(16 * grow)
			self.v = append(self.v, make([]any, grow)...)
		}
		self.v[i] = v
		return v
	}, false},
	"<<":     {1, 1, push, false},
	"push":   {0, -1, push, false},
	"append": {0, -1, push, false},
	"pop": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		self := s.(*array)
		x.unfrozen(self)
		if len(a) > 0 {
			n := min(max(0, x.integer(a[0])), len(self.v))
			out := x.array(slices.Clone(self.v[len(self.v)-n:]))
			self.v = self.v[:len(self.v)-n]
			return out
		}
		if len(self.v) == 0 {
			return nil
		}
		v := self.v[len(self.v)-1]
		self.v = self.v[:len(self.v)-1]
		return v
	}, false},
	"shift": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		self := s.(*array)
		x.unfrozen(self)
		if len(a) > 0 {
			n := min(max(0, x.integer(a[0])), len(self.v))
			out := x.array(slices.Clone(self.v[:n]))
			self.v = self.v[n:]
			return out
		}
		if len(self.v) == 0 {
			return nil
		}
		v := self.v[0]
		self.v = self.v[1:]
		return v
	}, false},
	"unshift": {0, -1, unshift, false},
	"prepend": {0, -1, unshift, false},
	"insert": {1, -1, func(x *exec, s any, a []any, _ *proc) any {
		self, i := s.(*array), x.integer(a[0])
		x.unfrozen(self)
		if i < 0 {
			i += len(self.v) + 1
		}
		if i < 0 {
			x.raise(classIndexError, "index too small for array")
		}
		x.alloc(16 * (max(0, i-len(self.v)) + len(self.v) + len(a)))
		for len(self.v) < i {
			self.v = append(self.v, nil)
		}
		self.v = slices.Insert(slices.Clone(self.v), i, a[1:]...)
		return s
	}, false},
	"concat": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		self := s.(*array)
		x.unfrozen(self)
		for _, v := range a {
			more := slices.Clone(x.other(v))
			x.alloc(16 * len(more))
			self.v = append(self.v, more...)
		}
		return s
	}, false},
	"replace": {1, 1, func(x *exec, s any, a []any, _ *proc) any { s.(*array).v = slices.Clone(x.other(a[0])); return s }, false},
	"clear":   {0, 0, func(x *exec, s any, _ []any, _ *proc) any { x.unfrozen(s.(*array)); s.(*array).v = nil; return s }, false},
	"delete": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		self := s.(*array)
		x.unfrozen(self)
		var found any
		var out []any
		for _, e := range self.v {
			if x.equal(e, a[0]) {
				found = e
			} else {
				out = append(out, e)
			}
		}
		self.v = out
		return found
	}, false},
	"delete_at": {1, 1, deleteAt, false},
	"slice!": {1, 2, func(x *exec, s any, a []any, b *proc) any {
		self := s.(*array)
		if _, ok := a[0].(*rng); !ok && len(a) == 1 {
			return deleteAt(x, s, a, b)
		}
		from, to, ok := x.slice(self.v, a)
		if !ok {
			return nil
		}
		cut := x.array(slices.Clone(self.v[from:to]))
		self.v = append(slices.Clone(self.v[:from]), self.v[to:]...)
		return cut
	}, false},
	"last": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		self := s.(*array)
		if len(a) == 0 {
			return self.at(-1)
		}
		n := x.integer(a[0])
		if n < 0 {
			x.raise(classArgumentError, "negative array size")
		}
		return x.array(slices.Clone(self.v[len(self.v)-min(n, len(self.v)):]))
	}, false},
	"+": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		other := x.other(a[0])
		return x.array(slices.Concat(s.(*array).v, other))
	}, false},
	"-":          {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.without(s.(*array).v, a) }, false},
	"difference": {0, -1, func(x *exec, s any, a []any, _ *proc) any { return x.without(s.(*array).v, a) }, false},
	"&": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		set := x.keySet(x.other(a[0]))
		var out []any
		for _, e := range x.uniq(s.(*array).v, nil) {
			if set[x.key(e)] {
				out = append(out, e)
			}
		}
		return x.array(out)
	}, false},
	"|": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		return x.array(x.uniq(slices.Concat(s.(*array).v, x.other(a[0])), nil))
	}, false},
	"union": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		all := slices.Clone(s.(*array).v)
		for _, v := range a {
			all = append(all, x.other(v)...)
		}
		return x.array(x.uniq(all, nil))
	}, false},
	"*": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if sep, ok := a[0].(*str); ok {
			return x.method("join", s, sep)
		}
		n := x.integer(a[0])
		if n < 0 {
			x.raise(classArgumentError, "argument must be non-negative")
		}
		if n > 0 && len(s.(*array).v) > x.memory/16/n {
			x.raise(classBudget, "the code takes too much memory")
		}
		return x.array(slices.Repeat(s.(*array).v, n))
	}, false},
	"join": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		sep := ""
		if len(a) > 0 && a[0] != nil {
			sep = x.text(a[0])
		}
		var b strings.Builder
		x.joined(&b, s.(*array).v, sep, 0)
		return newStr(b.String())
	}, false},
	"reverse": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := slices.Clone(s.(*array).v)
		slices.Reverse(out)
		return x.array(out)
	}, false},
	"rotate": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		v, n := s.(*array).v, 1
		if len(a) > 0 {
			n = x.integer(a[0])
		}
		if len(v) == 0 {
			return x.array(nil)
		}
		n = (n%len(v) + len(v)) % len(v)
		return x.array(slices.Concat(v[n:], v[:n]))
	}, false},
	"compact": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := x.room(len(s.(*array).v))
		for _, e := range s.(*array).v {
			if e != nil {
				out = append(out, e)
			}
		}
		return &array{v: out}
	}, false},
	"flatten": {0, 1, func(x *exec, s any, a []any, _ *proc) any {
		depth := -1
		if len(a) > 0 && a[0] != nil {
			depth = x.integer(a[0])
		}
		return &array{v: x.flatten(s.(*array).v, depth, 0)}
	}, false},
	"index": list(0, 1, false, findIndex),
	"rindex": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		v := s.(*array).v
		for i := len(v) - 1; i >= 0; i-- {
			if x.equal(v[i], a[0]) {
				return int64(i)
			}
		}
		return nil
	}, false},
	"transpose": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		var out []any
		for i, row := range s.(*array).v {
			values := x.other(row)
			if i == 0 {
				for range values {
					out = append(out, x.array(nil))
				}
			}
			if len(values) != len(out) {
				x.raisef(classIndexError, "element size differs (%d should be %d)", len(values), len(out))
			}
			for j, v := range values {
				x.alloc(16)
				out[j].(*array).v = append(out[j].(*array).v, v)
			}
		}
		return x.array(out)
	}, false},
	"assoc": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		for _, e := range s.(*array).v {
			if p, ok := e.(*array); ok && len(p.v) > 0 && x.equal(p.v[0], a[0]) {
				return p
			}
		}
		return nil
	}, false},
	"sample": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		v := s.(*array).v
		if len(v) == 0 {
			return nil
		}
		return v[random.IntN(len(v))]
	}, false},
	"shuffle": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := slices.Clone(s.(*array).v)
		random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return x.array(out)
	}, false},
	"pack": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.str(x.pack(s.(*array).v, x.text(a[0]))) }, false},
	"product": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		var out []any
		for _, e := range s.(*array).v {
			for _, f := range x.other(a[0]) {
				out = append(out, x.array([]any{e, f}))
			}
		}
		return x.array(out)
	}, false},
	"combination": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		v, n := s.(*array).v, x.integer(a[0])
		var pick func(from int, chosen []any)
		pick = func(from int, chosen []any) {
			if len(chosen) == n {
				x.call1(b, x.array(slices.Clone(chosen)))
				return
			}
			for i := from; i < len(v); i++ {
				x.step(0)
				pick(i+1, append(chosen, v[i]))
			}
		}
		if n >= 0 && n <= min(len(v), mostLevels) {
			pick(0, nil)
		}
		return s
	}, true},
}

func push(x *exec, s any, a []any, _ *proc) any {
	self := s.(*array)
	x.unfrozen(self)
	x.alloc(16 * len(a))
	self.v = append(self.v, a...)
	return s
}

func unshift(x *exec, s any, a []any, _ *proc) any {
	self := s.(*array)
	x.unfrozen(self)
	x.alloc(16 * (len(a) + len(self.v)))
	self.v = slices.Concat(a, self.v)
	return s
}

func (x *exec) without(v []any, others []any) any {
	var not []any
	for _, o := range others {
		not = append(not, x.other(o)...)
	}
	set := x.keySet(not)
	var out []any
	for _, e := range v {
		if !set[x.key(e)] {
			out = append(out, e)
		}
	}
	return x.array(out)
}

// dig follows keys and places into a value.
func (x *exec) dig(v any, path []any) any {
	for _, k := range path {
		switch c := v.(type) {
		case nil:
			return nil
		case *hash:
			v = c.fetch(x, k)
		case *array:
			v = c.at(int64(x.integer(k)))
		default:
			x.raise(classTypeError, className(v)+" does not have #dig method")
		}
	}
	return v
}

func deleteAt(x *exec, s any, a []any, _ *proc) any {
	self, i := s.(*array), x.integer(a[0])
	x.unfrozen(self)
	if i < 0 {
		i += len(self.v)
	}
	if i < 0 || i >= len(self.v) {
		return nil
	}
	v := self.v[i]
	self.v = append(slices.Clone(self.v[:i]), self.v[i+1:]...)
	return v
}
