package regex

import (
	"slices"
	"unicode/utf8"
)

// factor puts what alternatives begin with before them: ab|ac becomes a(?:b|c), so that a is tried once. It keeps the
// order in which matches are found: what is put before them can match in one way only, and an alternative passes
// others only if no text begins both.
func factor(branches []*node) []*node {
	var (
		out   []*node
		first []symbols // of out
		heads []*node
		rests [][][]*node // of each head's branches
	)
	for _, b := range branches {
		head, rest := splitHead(b)
		f := firstOf(b, anySymbol(), 0)
		at := -1
		if head != nil {
			for i := len(out) - 1; i >= 0; i-- {
				if heads[i] != nil && sameHead(heads[i], head) {
					at = i
					break
				}
				if !first[i].disjoint(f) {
					break
				}
			}
		}
		if at >= 0 {
			rests[at] = append(rests[at], rest)
			first[at] = first[at].or(f)
			continue
		}
		out, first, heads, rests = append(out, b), append(first, f), append(heads, head), append(rests, [][]*node{rest})
	}
	for i, r := range rests {
		if len(r) == 1 {
			continue
		}
		tails := make([]*node, len(r))
		for j, t := range r {
			tails[j] = joined(&node{kind: nCat, subs: slices.Clone(t)})
		}
		out[i] = joined(&node{kind: nCat, subs: []*node{heads[i], merged(&node{kind: nAlt, subs: tails})}})
	}
	return out
}

// splitHead gives what n begins with, if that is one character or a run that can match in one way only, and the rest.
func splitHead(n *node) (head *node, rest []*node) {
	items := []*node{n}
	if n.kind == nCat {
		items = n.subs
	}
	for range 8 { // as deep as sequences are repeated
		if len(items) == 0 {
			return nil, nil
		}
		head, rest = items[0], items[1:]
		switch head.kind {
		case nCat:
			items = slices.Concat(head.subs, rest)
			continue
		case nChar:
			_, w := utf8.DecodeRune(head.text)
			if w < len(head.text) {
				rest = slices.Concat([]*node{{kind: nChar, text: head.text[w:], offset: head.offset}}, rest)
				head = &node{kind: nChar, text: head.text[:w], offset: head.offset}
			}
			return head, rest
		case nSet:
			return head, rest
		case nRepeat:
			set, simple := head.sub().simple()
			if !simple {
				if head.min != head.max || head.min < 1 || head.sub().any(func(n *node) bool { return n.kind == nCapture }) {
					return nil, nil
				}
				less := *head
				less.min--
				less.max--
				after := []*node{head.sub(), &less}
				if less.max == 0 {
					after = after[:1]
				}
				items = slices.Concat(after, rest)
				continue
			}
			if head.min == head.max {
				return head, rest
			}
			if head.lazy || len(rest) == 0 || len(set) == 0 {
				return nil, nil
			}
			next := joined(&node{kind: nCat, subs: rest})
			if next.nullable() || !firstOf(head.sub(), symbols{}, 0).disjoint(firstOf(next, symbols{}, 0)) {
				return nil, nil
			}
			return head, rest
		default: // nothing that can be put before
		}
		return nil, nil
	}
	return nil, nil
}

// sameHead tells whether two heads match the same.
func sameHead(a, b *node) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case nChar:
		return string(a.text) == string(b.text)
	case nSet:
		return slices.Equal(a.set, b.set)
	case nRepeat:
		x, ok := a.sub().simple()
		y, also := b.sub().simple()
		return ok && also && slices.Equal(x, y) && a.min == b.min && a.max == b.max && a.lazy == b.lazy
	default: // no heads
	}
	return false
}
