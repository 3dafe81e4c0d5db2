package regex

import "bytes"

// Replace appends in to dst with each match replaced, as Ruby's gsub does, and says how many there were. In the
// replacement \0 and \& stand for the match, \1 to \9 and \k<name> for groups (numbers only if none has a name), \+ for the
// last one that took part, \` and \' for what is before and behind the match, and \\ for a backslash; any other backslash is
// itself. A group that took no part is empty. The error is
// Match's, or names a group that does not exist; dst is then returned as it was.
func (re *Regexp) Replace(dst, in, replacement []byte, m *Match) (out []byte, count int, err error) {
	out, done := dst, 0
	for found, err := range re.All(in, m) {
		if err != nil {
			return dst, 0, err
		}
		begin, end, _ := found.Group(0)
		out = append(out, in[done:begin]...)
		if out, err = re.expand(out, in, replacement, found); err != nil {
			return dst, 0, err
		}
		done = end
		count++
	}
	return append(out, in[done:]...), count, nil
}

// expand appends the replacement of one match.
func (re *Regexp) expand(dst, in, replacement []byte, m *Match) ([]byte, error) {
	begin, end, _ := m.Group(0)
	for {
		i := bytes.IndexByte(replacement, '\\')
		if i < 0 || i == len(replacement)-1 {
			return append(dst, replacement...), nil
		}
		dst = append(dst, replacement[:i]...)
		c := replacement[i+1]
		rest := replacement[i+2:]
		switch {
		case c >= '1' && c <= '9':
			if len(re.names) == 0 { // beside named groups numbers mean nothing
				dst = append(dst, m.Bytes(in, int(c-'0'))...)
			}
		case c == '+':
			dst = append(dst, re.lastGroup(in, m)...)
		case c == '0' || c == '&':
			dst = append(dst, in[begin:end]...)
		case c == '`':
			dst = append(dst, in[:begin]...)
		case c == '\'':
			dst = append(dst, in[end:]...)
		case c == '\\':
			dst = append(dst, '\\')
		case c == 'k' && bytes.HasPrefix(rest, []byte("<")) && bytes.IndexByte(rest, '>') > 0:
			closing := bytes.IndexByte(rest, '>')
			group, ok := re.groupNamed(string(rest[1:closing]), m)
			if !ok {
				return nil, &SyntaxError{Pattern: re.source, Reason: "undefined group name reference in the replacement: " + string(rest[1:closing])}
			}
			dst = append(dst, m.Bytes(in, group)...)
			rest = rest[closing+1:]
		default:
			dst = append(dst, '\\', c)
		}
		replacement = rest
	}
}

// lastGroup gives what the last group took that took part.
func (re *Regexp) lastGroup(in []byte, m *Match) []byte {
	for g := re.groups; g > 0; g-- {
		if b := m.Bytes(in, g); b != nil {
			return b
		}
	}
	return nil
}

// groupNamed gives the group of a name or a number; of several with one name the last that took part.
func (re *Regexp) groupNamed(name string, m *Match) (group int, ok bool) {
	for _, n := range re.names {
		if n.Name != name {
			continue
		}
		for _, g := range n.Groups {
			if _, _, took := m.Group(g); took || !ok {
				group, ok = g, true
			}
		}
		return group, ok
	}
	for _, c := range []byte(name) {
		if c < '0' || c > '9' {
			return 0, false
		}
		group = min(group*10+int(c-'0'), maxGroups)
	}
	return group, name != "" && group <= re.groups
}
