package event

import "fmt"

// A container is what a part of a reference is looked up in: a map or a list.
type container struct {
	m    *Fields
	list *node
}

func containerOf(v Value) (container, bool) {
	switch v.kind {
	case Map:
		return container{m: &v.node.m}, true
	case List:
		return container{list: v.node}, true
	default:
		return container{}, false
	}
}

func (c container) get(p *part) Value {
	if c.m != nil {
		if i := c.m.find(p.key, p.mark); i >= 0 {
			return c.m.entries[i].Value
		}
		return Value{}
	}
	if i, ok := p.within(c.list); ok {
		return c.list.list[i]
	}
	return Value{}
}

// within gives the element that p is of a list.
func (p *part) within(list *node) (int, bool) {
	i := p.index
	if i < 0 {
		i += len(list.list)
	}
	return i, p.isInt && i >= 0 && i < len(list.list)
}

// root gives what the path of r begins at.
func (e *Event) root(r *Ref) container {
	if r.where >= atMetadata {
		return container{m: &e.meta.m}
	}
	return container{m: &e.data}
}

// parent gives what the last part of r is looked up in; false if it is not there.
func (e *Event) parent(r *Ref) (container, bool) {
	c := e.root(r)
	for i := range r.path {
		var ok bool
		if c, ok = containerOf(c.get(&r.path[i])); !ok {
			return container{}, false
		}
	}
	return c, true
}

// setBelow is Set for a reference with a path. What is not there is made at the end, as one value, so that nothing has changed
// if that fails.
func (e *Event) setBelow(r *Ref, v Value) error {
	c := e.root(r)
	if v.node == &e.meta {
		v = v.Clone()
	}
	for i := range r.path {
		p := &r.path[i]
		next := c.get(p)
		if !next.there() {
			return c.set(r, p, e.nested(r.path[i+1:], &r.last, v))
		}
		var ok bool
		if c, ok = containerOf(next); !ok {
			return fmt.Errorf("set %s: %q is %s: %w", r, p.key, next.kind, ErrWay)
		}
		if v.node != nil && next.node == v.node {
			v = v.Clone() // a value cannot be inside of itself
		}
	}
	return c.set(r, &r.last, v)
}

// Place gives where the value is that r refers to, with the maps on the way to it. If there is none, it is made: it is Absent then,
// and must be set. It is valid until the next change of the event.
//
// It is nil where that does not go, and Get and Set know what does: if something on the way is no map, and for @timestamp, tags
// and @metadata, which not all values can be in.
func (e *Event) Place(r *Ref) *Value {
	switch r.where {
	case atTop:
		return e.data.place(r.last.key, r.last.mark)
	case belowTop, belowMetadata:
	default:
		return nil
	}
	m := e.root(r).m
	for i := range r.path {
		p := &r.path[i]
		at := m.find(p.key, p.mark)
		if at < 0 {
			made := m.add(p.key, p.mark)
			made.kind, made.node = Map, e.arena.node()
			m = &made.node.m
			continue
		}
		next := &m.entries[at].Value
		if next.kind != Map {
			return nil
		}
		m = &next.node.m
	}
	return m.place(r.last.key, r.last.mark)
}

// nested wraps v into the maps that a path names.
func (e *Event) nested(path []part, last *part, v Value) Value {
	m := e.arena.mapValue()
	*m.node.m.add(last.key, last.mark) = v
	for i := len(path) - 1; i >= 0; i-- {
		outer := e.arena.mapValue()
		*outer.node.m.add(path[i].key, path[i].mark) = m
		m = outer
	}
	return m
}

func (c container) set(r *Ref, p *part, v Value) error {
	if c.m != nil {
		*c.m.place(p.key, p.mark) = v
		return nil
	}
	if !p.isInt {
		return nil // as the original does: the value is lost
	}
	n := len(c.list.list)
	if p.index < -n || p.index >= mostElements {
		return fmt.Errorf("set %s: element %d of a list of %d: %w", r, p.index, n, ErrIndex)
	}
	if i, ok := p.within(c.list); ok {
		c.list.list[i] = v
		return nil
	}
	for len(c.list.list) < p.index {
		c.list.list = append(c.list.list, hole)
	}
	c.list.list = append(c.list.list, v)
	return nil
}
