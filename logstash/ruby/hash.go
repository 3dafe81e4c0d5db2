package ruby

import "slices"

func (x *exec) thaw(v any) *hash {
	h := v.(*hash)
	if h.frozen {
		x.raise(classFrozenError, "can't modify frozen Hash")
	}
	return h
}

// filtered gives the members for which the block holds.
func (x *exec) filtered(h *hash, b *proc, want bool) *hash {
	out := &hash{}
	for _, e := range slices.Clone(h.list) {
		if truthy(x.pair(b, e.key, e.value)) == want {
			out.set(x, e.key, e.value)
		}
	}
	return out
}

func (x *exec) merge(into *hash, args []any, b *proc) *hash {
	for _, a := range args {
		other, ok := a.(*hash)
		if !ok {
			x.raise(classTypeError, "no implicit conversion of "+implicit(a)+" into Hash")
		}
		for _, e := range slices.Clone(other.list) {
			v := e.value
			if b != nil {
				if old, ok := into.get(x, e.key); ok {
					v = x.callN(b, []any{e.key, old, v})
				}
			}
			into.set(x, e.key, v)
		}
	}
	return into
}

// replaceWith puts the members of another hash into h.
func (h *hash) replaceWith(o *hash) { h.list, h.index = o.list, nil }

// narrowing makes a method that keeps the members for which its block holds.
func narrowing(want, bang bool) builtin {
	return builtin{0, 0, func(x *exec, s any, _ []any, b *proc) any {
		h := x.thaw(s)
		kept := x.filtered(h, b, want)
		same := len(kept.list) == len(h.list)
		h.replaceWith(kept)
		if bang && same {
			return nil
		}
		return s
	}, true}
}

func (x *exec) copyHash(h *hash) *hash {
	x.alloc(32 * len(h.list))
	return h.clone()
}

func selecting(want bool) builtin {
	return builtin{0, 0, func(x *exec, s any, _ []any, b *proc) any { return x.filtered(s.(*hash), b, want) }, true}
}

func eachPair(x *exec, s any, _ []any, b *proc) any {
	h := s.(*hash)
	for i := 0; i < len(h.list); i++ {
		e := h.list[i]
		x.pair(b, e.key, e.value)
		if i < len(h.list) && h.list[i].key != e.key { // it was deleted
			i--
		}
	}
	return s
}

func hasKey(x *exec, s any, a []any, _ *proc) any { _, ok := s.(*hash).get(x, a[0]); return ok }

func hasValue(x *exec, s any, a []any, _ *proc) any {
	return slices.ContainsFunc(s.(*hash).list, func(e entry) bool { return x.equal(e.value, a[0]) })
}

func storeMember(x *exec, s any, a []any, _ *proc) any {
	s.(*hash).set(x, a[0], a[1])
	return a[1]
}

var hashMethods = table{
	"[]":  {1, 1, func(x *exec, s any, a []any, _ *proc) any { return s.(*hash).fetch(x, a[0]) }, false},
	"[]=": {2, 2, storeMember, false}, "store": {2, 2, storeMember, false},
	"fetch": {1, 2, func(x *exec, s any, a []any, b *proc) any {
		if v, ok := s.(*hash).get(x, a[0]); ok {
			return v
		}
		switch {
		case b != nil:
			return x.call1(b, a[0])
		case len(a) > 1:
			return a[1]
		}
		x.raise(classKeyError, "key not found: "+x.inspect(a[0]))
		return nil
	}, false},
	"dig":  {1, -1, func(x *exec, s any, a []any, _ *proc) any { return x.dig(s.(*hash).fetch(x, a[0]), a[1:]) }, false},
	"key?": {1, 1, hasKey, false}, "has_key?": {1, 1, hasKey, false}, "include?": {1, 1, hasKey, false}, "member?": {1, 1, hasKey, false},
	"value?": {1, 1, hasValue, false}, "has_value?": {1, 1, hasValue, false},
	"key": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		for _, e := range s.(*hash).list {
			if x.equal(e.value, a[0]) {
				return e.key
			}
		}
		return nil
	}, false},
	"keys": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := x.room(len(s.(*hash).list))
		for _, e := range s.(*hash).list {
			out = append(out, e.key)
		}
		return &array{v: out}
	}, false},
	"values": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := x.room(len(s.(*hash).list))
		for _, e := range s.(*hash).list {
			out = append(out, e.value)
		}
		return &array{v: out}
	}, false},
	"values_at": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		out := x.room(len(a))
		for _, k := range a {
			out = append(out, s.(*hash).fetch(x, k))
		}
		return &array{v: out}
	}, false},
	"length": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(len(s.(*hash).list)) }, false},
	"size":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(len(s.(*hash).list)) }, false},
	"empty?": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return len(s.(*hash).list) == 0 }, false},
	"each":   {0, 0, eachPair, true}, "each_pair": {0, 0, eachPair, true},
	"each_key": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		for _, e := range slices.Clone(s.(*hash).list) {
			x.call1(b, e.key)
		}
		return s
	}, true},
	"each_value": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		for _, e := range slices.Clone(s.(*hash).list) {
			x.call1(b, e.value)
		}
		return s
	}, true},
	"delete": {1, 1, func(x *exec, s any, a []any, b *proc) any {
		v, ok := x.thaw(s).delete(x, a[0])
		if !ok && b != nil {
			return x.call1(b, a[0])
		}
		return v
	}, false},
	"select": selecting(true), "filter": selecting(true), "reject": selecting(false),
	"select!": narrowing(true, true), "filter!": narrowing(true, true), "keep_if": narrowing(true, false),
	"reject!": narrowing(false, true), "delete_if": narrowing(false, false),
	"find_all": enumerableMethods["select"],
	"merge":    {0, -1, func(x *exec, s any, a []any, b *proc) any { return x.merge(x.copyHash(s.(*hash)), a, b) }, false},
	"merge!":   {0, -1, func(x *exec, s any, a []any, b *proc) any { return x.merge(x.thaw(s), a, b) }, false},
	"update":   {0, -1, func(x *exec, s any, a []any, b *proc) any { return x.merge(x.thaw(s), a, b) }, false},
	"to_h": {0, 0, func(x *exec, s any, a []any, b *proc) any {
		if b != nil {
			return enumerableMethods["to_h"].fn(x, s, a, b)
		}
		return s
	}, false},
	"to_hash": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"invert": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		out := &hash{}
		for _, e := range s.(*hash).list {
			out.set(x, e.value, e.key)
		}
		return out
	}, false},
	"transform_values": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		out := x.copyHash(s.(*hash))
		for i := range out.list {
			out.list[i].value = x.call1(b, out.list[i].value)
		}
		return out
	}, true},
	"transform_values!": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		h := x.thaw(s)
		for i := 0; i < len(h.list); i++ { //nolint:intrange // the block may change its length
			v := x.call1(b, h.list[i].value)
			if i < len(h.list) {
				h.list[i].value = v
			}
		}
		return s
	}, true},
	"transform_keys": {0, 1, func(x *exec, s any, a []any, b *proc) any { return x.transformKeys(s.(*hash), a, b) }, false},
	"transform_keys!": {0, 1, func(x *exec, s any, a []any, b *proc) any {
		x.thaw(s).replaceWith(x.transformKeys(s.(*hash), a, b))
		return s
	}, false},
	"clear": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { x.thaw(s).replaceWith(&hash{}); return s }, false},
	"replace": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		h := x.thaw(s)
		h.replaceWith(&hash{})
		return x.merge(h, a, nil)
	}, false},
	"shift": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		h := x.thaw(s)
		if len(h.list) == 0 {
			return nil
		}
		e := h.list[0]
		h.delete(x, e.key)
		return x.array([]any{e.key, e.value})
	}, false},
	"compact": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.compactHash(s.(*hash)) }, false},
	"compact!": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		h := x.thaw(s)
		n := len(h.list)
		h.replaceWith(x.compactHash(h))
		if n == len(h.list) {
			return nil
		}
		return s
	}, false},
	"slice": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		out := &hash{}
		for _, k := range a {
			if v, ok := s.(*hash).get(x, k); ok {
				out.set(x, k, v)
			}
		}
		return out
	}, false},
	"except": {0, -1, func(x *exec, s any, a []any, _ *proc) any {
		out := x.copyHash(s.(*hash))
		for _, k := range a {
			out.delete(x, k)
		}
		return out
	}, false},
	"any?": {0, 1, func(x *exec, s any, a []any, b *proc) any {
		for _, e := range slices.Clone(s.(*hash).list) {
			if b == nil || truthy(x.pair(b, e.key, e.value)) {
				return true
			}
		}
		return false
	}, false},
	"count": {0, 0, func(x *exec, s any, _ []any, b *proc) any {
		n := int64(0)
		for _, e := range slices.Clone(s.(*hash).list) {
			if b == nil || truthy(x.pair(b, e.key, e.value)) {
				n++
			}
		}
		return n
	}, false},
	"sort_by":  {0, 0, func(x *exec, s any, _ []any, b *proc) any { return &array{v: x.sortedBy(x.items(s), b)} }, true},
	"default":  {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*hash).def }, false},
	"default=": {1, 1, func(x *exec, s any, a []any, _ *proc) any { x.thaw(s).def = a[0]; return a[0] }, false},
}

func (x *exec) compactHash(h *hash) *hash {
	out := &hash{}
	for _, e := range h.list {
		if e.value != nil {
			out.set(x, e.key, e.value)
		}
	}
	return out
}

func (x *exec) transformKeys(h *hash, args []any, b *proc) *hash {
	var names *hash
	if len(args) > 0 {
		names, _ = args[0].(*hash)
	}
	out := &hash{}
	for _, e := range slices.Clone(h.list) {
		k := e.key
		if names != nil {
			if to, ok := names.get(x, k); ok {
				out.set(x, to, e.value)
				continue
			}
		}
		if b != nil {
			k = x.call1(b, k)
		}
		out.set(x, k, e.value)
	}
	return out
}
