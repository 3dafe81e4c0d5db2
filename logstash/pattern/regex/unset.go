package regex

// Groups that a match may leave out get their old places back when what they are in is tried in vain; that costs an entry on the
// stack for each mark. Where a group is in an alternative or an option that is passed once only, the other ways unset it instead:
// whatever was tried before, a match either goes through the group, and marks it, or through one of these.

// mostUnset is how many groups an alternation may have so that its branches unset those of the others.
const mostUnset = 8

// findUnset gives the groups that other ways unset.
func findUnset(root *node, loose, refd map[int]bool) map[int]bool {
	times, undone := map[int]int{}, map[int]bool{}
	var visit func(n *node, often bool)
	visit = func(n *node, often bool) {
		switch n.kind {
		case nCapture:
			times[n.group]++
			undone[n.group] = undone[n.group] || often
		case nAhead, nBehind, nCond:
			often = true
		case nRepeat:
			often = often || n.max != 1
		case nAlt:
			often = often || len(groupsOf(n, nil)) > mostUnset
		default: // the other nodes
		}
		for _, s := range n.subs {
			visit(s, often)
		}
	}
	visit(root, false)
	out := map[int]bool{}
	for g, n := range times {
		if n == 1 && loose[g] && !refd[g] && !undone[g] {
			out[g] = true
		}
	}
	return out
}

// groupsOf gives the groups of n that are among some, or all of them.
func groupsOf(n *node, some map[int]bool) (groups []int32) {
	n.walk(func(n *node) {
		if n.kind == nCapture && (some == nil || some[n.group]) {
			groups = append(groups, int32(n.group)) //nolint:gosec // they are few
		}
	})
	return groups
}

// unsetOf adds an instruction before next that unsets the groups of nodes.
func (c *compiler) unsetOf(nodes []*node, but int, next int32) int32 {
	if next == 0 || len(c.unset) == 0 {
		return next
	}
	var groups []int32
	for i, n := range nodes {
		if i != but {
			groups = append(groups, groupsOf(n, c.unset)...)
		}
	}
	if len(groups) == 0 {
		return next
	}
	return c.add(instruction{op: opUnset, more: &operands{refs: groups}, next: next}, c.ahead[next])
}
