package files

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// The lines of a registry file. Each save is a group of lines that a line with their CRC ends, so that a group counts as a
// whole or not at all:
//
//	naru files 1
//	+ KEY DEVICE INODE FROM BYTES SHA256 FLAGS "PATH"   what file it is; the path is quoted as in Go
//	= KEY OFFSET BYTES CRC32C SEEN SIZE FLAGS           where it stands: 32 bits in hexadecimal, unix seconds
//	- KEY                                               it is forgotten
//	. CRC32C                                            of all bytes of the group before this line
//
// Flags of +: a archive, i imported, or "."; of =: d done, n noted, or ".". A group whose CRC is wrong is left out (what it
// said is read again); lines behind the last group are a save that was cut off.

const registryMagic = "naru files 1\n"

// maxRegistryLine bounds a line of a registry.
const maxRegistryLine = 1 << 20

// flags gives the letters that are set, or "." for none.
func flags(a bool, letterA string, b bool, letterB string) string {
	switch {
	case a && b:
		return letterA + letterB
	case a:
		return letterA
	case b:
		return letterB
	}
	return "."
}

// appendFile appends the line that says what file an entry is.
func (e *Entry) appendFile(dst []byte) []byte {
	dst = fmt.Appendf(dst, "+ %d %d %d %d %d ", e.Key, e.ID.Device, e.ID.Inode, e.Head.From, e.Head.Bytes)
	dst = hex.AppendEncode(dst, e.Head.Sum[:])
	dst = append(dst, ' ')
	dst = append(dst, flags(e.Archive, "a", e.Imported, "i")...)
	dst = append(dst, ' ')
	dst = strconv.AppendQuote(dst, e.Path)
	return append(dst, '\n')
}

// appendPosition appends the line that says where an entry stands.
func (e *Entry) appendPosition(dst []byte) []byte {
	dst = append(dst, "= "...)
	dst = strconv.AppendUint(dst, e.Key, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, e.Offset, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(e.Before.Bytes), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(e.Before.Sum), 16)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, max(0, e.Seen.Unix()), 10) // 0: not known
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, e.Size, 10)
	dst = append(dst, ' ')
	dst = append(dst, flags(e.Done, "d", e.Noted, "n")...)
	return append(dst, '\n')
}

func appendGone(dst []byte, key uint64) []byte {
	dst = strconv.AppendUint(append(dst, "- "...), key, 10)
	return append(dst, '\n')
}

// endGroup ends the group that is dst[from:].
func endGroup(dst []byte, from int) []byte {
	return fmt.Appendf(dst, ". %08x\n", crc32.Checksum(dst[from:], castagnoli))
}

// parsed is what the text of a registry says.
type parsed struct {
	entries map[uint64]Entry
	good    int64 // up to the end of the last group
	groups  int
	damaged int // groups that were left out
}

// parseRegistry reads the text of a registry. It takes what it can: only a text that is no registry at all is an error.
func parseRegistry(text []byte) (parsed, error) {
	p := parsed{entries: map[uint64]Entry{}}
	if !bytes.HasPrefix(text, []byte(registryMagic)) {
		if bytes.HasPrefix([]byte(registryMagic), text) {
			return p, nil // cut off in its first line
		}
		return p, fmt.Errorf("it begins with %q, not %q: it is no registry of naru's", text[:min(len(text), 20)], registryMagic)
	}
	p.good = int64(len(registryMagic))
	group := text[p.good:] // from its first byte on
	at := 0
	for {
		n := bytes.IndexByte(group[at:], '\n')
		if n < 0 {
			return p, nil
		}
		line := group[at : at+n]
		if len(line) != 10 || line[0] != '.' {
			at += n + 1
			continue
		}
		sum, err := strconv.ParseUint(string(line[2:]), 16, 32)
		if err != nil || line[1] != ' ' || uint32(sum) != crc32.Checksum(group[:at], castagnoli) || !p.apply(group[:at]) {
			p.damaged++
		} else {
			p.groups++
		}
		p.good += int64(at + n + 1)
		group = group[at+n+1:]
		at = 0
	}
}

// apply enters the lines of a group; false: one of them is not understood, and nothing is entered.
func (p *parsed) apply(group []byte) bool {
	type change struct {
		key  uint64
		e    Entry
		what byte
	}
	var all []change
	for line := range bytes.Lines(group) {
		if len(line) < 4 || len(line) > maxRegistryLine || line[1] != ' ' {
			return false
		}
		c := change{what: line[0]}
		var ok bool
		switch rest := string(line[2 : len(line)-1]); c.what {
		case '+':
			c.e, ok = parseFile(rest)
		case '=':
			c.e, ok = parsePosition(rest)
		case '-':
			key, err := strconv.ParseUint(rest, 10, 64)
			c.e.Key, ok = key, err == nil
		}
		if !ok || c.e.Key == 0 {
			return false
		}
		c.key = c.e.Key
		all = append(all, c)
	}
	for _, c := range all {
		old, there := p.entries[c.key]
		switch c.what {
		case '+':
			c.e.Position, c.e.Seen, c.e.Size, c.e.Done, c.e.Noted = old.Position, old.Seen, old.Size, old.Done, old.Noted
			p.entries[c.key] = c.e
		case '=':
			if there { // else what file it is was in a damaged group
				old.Position, old.Seen, old.Size, old.Done, old.Noted = c.e.Position, c.e.Seen, c.e.Size, c.e.Done, c.e.Noted
				p.entries[c.key] = old
			}
		case '-':
			delete(p.entries, c.key)
		}
	}
	return true
}

func parseFile(s string) (Entry, bool) {
	var e Entry
	f := strings.SplitN(s, " ", 8)
	if len(f) != 8 {
		return e, false
	}
	path, err := strconv.Unquote(f[7])
	ok := err == nil && numbers(f[:3], &e.Key, &e.ID.Device, &e.ID.Inode) && signed(f[3:5], &e.Head.From, &e.Head.Bytes)
	if n, err := hex.Decode(e.Head.Sum[:], []byte(f[5][:min(len(f[5]), 64)])); err != nil || n != len(e.Head.Sum) || len(f[5]) != 64 {
		ok = false
	}
	if e.Head.Bytes > maxHead {
		ok = false
	}
	e.Path = path
	e.Archive, e.Imported = strings.Contains(f[6], "a"), strings.Contains(f[6], "i")
	return e, ok
}

func parsePosition(s string) (Entry, bool) {
	var e Entry
	f := strings.Split(s, " ")
	if len(f) != 7 {
		return e, false
	}
	var n, seen int64
	sum, err := strconv.ParseUint(f[3], 16, 32)
	ok := err == nil && numbers(f[:1], &e.Key) && signed([]string{f[1], f[2], f[4], f[5]}, &e.Offset, &n, &seen, &e.Size) && n <= tailBytes
	e.Before = Before{Bytes: int(n), Sum: uint32(sum)}
	if seen > 0 {
		e.Seen = time.Unix(seen, 0)
	}
	e.Done, e.Noted = strings.Contains(f[6], "d"), strings.Contains(f[6], "n")
	return e, ok
}

func numbers(texts []string, into ...*uint64) bool {
	for i, t := range texts {
		n, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			return false
		}
		*into[i] = n
	}
	return true
}

// signed reads numbers from 0 on.
func signed(texts []string, into ...*int64) bool {
	for i, t := range texts {
		n, err := strconv.ParseInt(t, 10, 64)
		if err != nil || n < 0 {
			return false
		}
		*into[i] = n
	}
	return true
}
