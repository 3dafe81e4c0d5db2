package archive

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// componentBytes bounds a path component; file systems allow 255 bytes. A longer name goes on in a directory
// below, and its component ends with more.
const (
	componentBytes = 200
	more           = "%+"
)

// DirName gives the directory, relative to the archive and slash-separated, for the records of an index. It
// is safe for any name, different for different names, and undone by IndexName: letters and digits of any
// script, '-', '_' and '.' stay; other bytes become %XX, as do a first '.' or '_' (directories that begin so
// are hidden, or naru's own), a last '.', and the first byte of names that mean something else on some system.
// The empty name is "%". A name of more than 200 bytes takes several components, all but the last ending in
// "%+".
func DirName(index string) string {
	if index == "" {
		return "%"
	}
	var b strings.Builder
	line := 0 // where the current component begins
	put := func(s string) {
		if b.Len()-line+len(s) > componentBytes {
			b.WriteString(more + "/")
			line = b.Len()
		}
		b.WriteString(s)
	}
	reserved := isReserved(index)
	for i := 0; i < len(index); {
		r, n := utf8.DecodeRuneInString(index[i:])
		c := index[i : i+n]
		first, last := b.Len() == line || i == 0, i+n == len(index)
		switch {
		case r == utf8.RuneError && n <= 1,
			first && (reserved && i == 0 || c == "." || c == "_"),
			last && c == ".",
			!unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' && r != '.':
			for j := range n {
				put(fmt.Sprintf("%%%02X", c[j]))
			}
		default:
			// A component of the rest must not begin with a '.' or '_' either.
			if b.Len()-line+n > componentBytes && (c == "." || c == "_") {
				c = fmt.Sprintf("%%%02X", c[0])
			}
			put(c)
		}
		i += n
	}
	return b.String()
}

// IndexName undoes DirName.
func IndexName(dir string) (string, error) {
	if dir == "%" {
		return "", nil
	}
	rest := strings.ReplaceAll(dir, more+"/", "")
	var b strings.Builder
	for {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			break
		}
		if len(after) < 2 {
			return "", fmt.Errorf("directory %q: %%%s is no escape", dir, after)
		}
		raw, err := hex.DecodeString(after[:2])
		if err != nil {
			return "", fmt.Errorf("directory %q: %%%s is no escape", dir, after[:2])
		}
		b.WriteByte(raw[0])
		rest = after[2:]
	}
	if index := b.String(); DirName(index) == dir {
		return index, nil
	}
	return "", fmt.Errorf("directory %q: no index gives this name", dir)
}

// isReserved reports names that a file of the archive has, or that Windows gives to devices.
func isReserved(index string) bool {
	base, _, _ := strings.Cut(strings.ToLower(index), ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	if len(base) == 4 && (base[:3] == "com" || base[:3] == "lpt") && base[3] >= '0' && base[3] <= '9' {
		return true
	}
	return strings.EqualFold(index, manifestName)
}
