package compare

import (
	"bytes"
	"strings"
)

// A Kind is what happened to a field.
type Kind string

// The kinds.
const (
	Added   Kind = "added"   // only B has it
	Removed Kind = "removed" // only A has it
	Changed Kind = "changed" // both have it, with values of the same type, or null
	Type    Kind = "type"    // both have it, with values of two types
)

// A difference is one of a pair of documents.
type difference struct {
	path   string // names with dots between them; [] behind a list in whose elements it is
	kind   Kind
	class  string
	before *node // nil: added
	after  *node // nil: removed
}

// A walk finds the differences between two documents.
type walk struct {
	skip  func(path string) bool
	found []difference
}

// documents compares two objects.
func (w *walk) documents(a, b *node) []difference {
	w.found = w.found[:0]
	w.objects(a, b, "")
	return w.found
}

func (w *walk) note(path string, k Kind, class string, before, after *node) {
	w.found = append(w.found, difference{path, k, class, before, after})
}

func (w *walk) objects(a, b *node, path string) {
	i, j := 0, 0
	for i < len(a.members) || j < len(b.members) {
		switch {
		case j == len(b.members) || i < len(a.members) && a.members[i].name < b.members[j].name:
			w.single(a.members[i].node, join(path, a.members[i].name), Removed)
			i++
		case i == len(a.members) || b.members[j].name < a.members[i].name:
			w.single(b.members[j].node, join(path, b.members[j].name), Added)
			j++
		default:
			w.pair(a.members[i].node, b.members[j].node, join(path, a.members[i].name))
			i++
			j++
		}
	}
}

// single notes what only one side has: each field in it.
func (w *walk) single(n *node, path string, k Kind) {
	if w.skip(path) {
		return
	}
	if n.kind == object && len(n.members) > 0 {
		for _, m := range n.members {
			w.single(m.node, join(path, m.name), k)
		}
		return
	}
	if n.kind == list && len(n.items) > 0 && isTags(path) && words(n.items) {
		none := &node{kind: list, raw: []byte("[]")}
		if k == Removed {
			w.elements(path, n, none, n.items, nil)
		} else {
			w.elements(path, none, n, nil, n.items)
		}
		return
	}
	class := ""
	switch {
	case n.kind == null:
		class = classNull
	case n.kind == text && len(n.raw) == 2, n.kind == list && len(n.items) == 0, n.kind == object:
		class = classEmpty
	}
	if k == Removed {
		w.note(path, k, class, n, nil)
	} else {
		w.note(path, k, class, nil, n)
	}
}

func (w *walk) pair(a, b *node, path string) {
	if w.skip(path) {
		return
	}
	if a.dotted != b.dotted {
		before := len(w.found)
		w.values(a, b, path)
		if len(w.found) == before {
			w.note(path, Changed, classNesting, a, b)
		}
		return
	}
	w.values(a, b, path)
}

func (w *walk) values(a, b *node, path string) {
	if a.raw != nil && bytes.Equal(a.raw, b.raw) {
		return
	}
	switch {
	case a.kind != b.kind:
		if class, typed := typeClass(a, b); typed {
			w.note(path, Type, class, a, b)
		} else {
			w.note(path, Changed, class, a, b)
		}
	case a.kind == object:
		w.objects(a, b, path)
	case a.kind == list:
		w.lists(a, b, path)
	case a.kind == text && a.text() == b.text(): // other escapes
	default:
		w.note(path, Changed, class(a, b), a, b)
	}
}

// mostElements is how many elements of a list of strings may come or go for each to be a difference of its own.
const mostElements = 4

func (w *walk) lists(a, b *node, path string) {
	gone, come := listDifference(a, b)
	switch {
	case len(gone) == 0 && len(come) == 0:
		for i := range a.items {
			if !bytes.Equal(a.items[i].json(), b.items[i].json()) {
				w.note(path, Changed, classOrder, a, b)
				return
			}
		}
		return
	case len(a.items) == 0 && !isTags(path):
		w.note(path, Changed, classWasEmpty, a, b)
		return
	case len(b.items) == 0 && !isTags(path):
		w.note(path, Changed, classNowEmpty, a, b)
		return
	}
	if len(a.items) == len(b.items) {
		inside := false
		for i := range a.items {
			inside = inside || a.items[i].kind == object && b.items[i].kind == object
		}
		if inside {
			for i := range a.items {
				w.values(a.items[i], b.items[i], path+"[]")
			}
			return
		}
	}
	if len(gone)+len(come) <= mostElements && words(gone) && words(come) {
		w.elements(path, a, b, gone, come)
		return
	}
	w.note(path, Changed, classElements, a, b)
}

func (w *walk) elements(path string, a, b *node, gone, come []*node) {
	for _, n := range gone {
		w.note(path, Changed, classHasNot+n.text(), a, b)
	}
	for _, n := range come {
		w.note(path, Changed, classHas+n.text(), a, b)
	}
}

// isTags reports that a field is a list of tags: one without any is the same as none.
func isTags(path string) bool { return path == "tags" || strings.HasSuffix(path, ".tags") }

// words reports that all are short strings.
func words(ns []*node) bool {
	for _, n := range ns {
		if n.kind != text || len(n.raw) > 64 {
			return false
		}
	}
	return true
}
