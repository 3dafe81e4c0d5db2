package joda

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// names are the texts of a locale as java.text.DateFormatSymbols gives them.
type names struct {
	months, shortMonths     []string // January first
	weekdays, shortWeekdays []string // Monday first
	halfdays, eras          []string
	utc                     []string // the long name of UTC alone

	monthTable, weekdayTable, halfdayTable, eraTable *nameTable
}

// localeData has a line for each set of names: the tags that have it, separated by spaces, then, separated by tabs,
// months, short months, weekdays, short weekdays, halves of the day, eras, separated by bars, and the long name of UTC.
// It was printed by Java 17, whose names are those of CLDR 39 (Unicode licence).  The tag "und" is the root locale.
//
//go:embed data/locales.txt
var localeData string

var localeLines = sync.OnceValue(func() map[string]string {
	lines := make(map[string]string)
	for line := range strings.Lines(localeData) {
		tags, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		for _, tag := range strings.Fields(tags) {
			lines[strings.ToLower(tag)] = rest
		}
	}
	return lines
})

var localeCache sync.Map // of *names by line

// localeNames gives the names of a BCP 47 tag, or of the nearest tag that is a part of it.
func localeNames(tag string) *names {
	key := strings.ToLower(strings.ReplaceAll(tag, "_", "-"))
	if key == "" {
		key = "en"
	}
	lines := localeLines()
	line, ok := lines[key]
	for !ok {
		i := strings.LastIndexByte(key, '-')
		if i < 0 {
			line = lines["und"]
			break
		}
		key = key[:i]
		line, ok = lines[key]
	}
	language, _, _ := strings.Cut(key, "-")
	if n, ok := localeCache.Load(language + "\t" + line); ok {
		return n.(*names)
	}
	n := makeNames(line, language)
	localeCache.Store(language+"\t"+line, n)
	return n
}

func makeNames(line, language string) *names {
	var lists [7][]string
	for i, column := range strings.Split(line, "\t") {
		if i < len(lists) {
			lists[i] = strings.Split(column, "|")
		}
	}
	n := &names{months: lists[0], shortMonths: lists[1], weekdays: lists[2], shortWeekdays: lists[3], halfdays: lists[4], eras: lists[5], utc: lists[6]}
	var cases unicode.SpecialCase
	if language == "tr" || language == "az" {
		cases = unicode.TurkishCase
	}
	n.monthTable = newNameTable(n.months, n.shortMonths, 1, nil, cases)
	n.weekdayTable = newNameTable(n.weekdays, n.shortWeekdays, 1, nil, cases)
	n.halfdayTable = newNameTable(n.halfdays, n.halfdays, 0, nil, cases)
	var more map[string]int32
	if language == "en" {
		more = map[string]int32{"BCE": 0, "bce": 0, "CE": 1, "ce": 1}
	}
	n.eraTable = newNameTable(n.eras, n.eras, 0, more, cases)
	return n
}

// nameTable finds the longest name that a text begins with.  As in Joda-Time a name matches as it is written, all in
// lower case or all in upper case; other mixtures do not.
type nameTable struct {
	names []name // by their first three bytes, longer ones first
	index [256]nameRange
	short bool // some name has fewer than three bytes: all are tried
}

type name struct {
	text  string
	value int32
}

// nameRange is the names that share their first three bytes; key is those bytes, or 0 for a free place.
type nameRange struct {
	key        uint32
	start, end uint16
}

func newNameTable(long, short []string, first int32, more map[string]int32, cases unicode.SpecialCase) *nameTable {
	// Joda-Time looks no further than the longest of the long names (in UTF-16 units).
	most := 0
	for _, s := range long {
		most = max(most, utf16Len(s))
	}
	if more != nil {
		most = 3
	}
	values := make(map[string]int32)
	spellings := func(s string) []string {
		return []string{s, strings.ToLowerSpecial(cases, s), strings.ToUpperSpecial(cases, s)}
	}
	for _, list := range [][]string{long, short} { // the short name wins, and the first of equal ones
		for i := len(list) - 1; i >= 0; i-- {
			for _, s := range spellings(list[i]) {
				values[s] = first + int32(i)
			}
		}
	}
	for s, v := range more {
		values[s] = v
	}
	t := &nameTable{}
	for s, v := range values {
		if s != "" && utf16Len(s) <= most {
			t.names = append(t.names, name{s, v})
			t.short = t.short || len(s) < 3
		}
	}
	slices.SortFunc(t.names, func(a, b name) int {
		if !t.short {
			if c := strings.Compare(a.text[:3], b.text[:3]); c != 0 {
				return c
			}
		}
		if c := len(b.text) - len(a.text); c != 0 {
			return c
		}
		return strings.Compare(a.text, b.text)
	})
	if t.short {
		return t
	}
	for i, n := range t.names {
		slot := t.find(key3(n.text[0], n.text[1], n.text[2]))
		if slot.key == 0 {
			*slot = nameRange{key: key3(n.text[0], n.text[1], n.text[2]), start: uint16(i)}
		}
		slot.end = uint16(i + 1)
	}
	return t
}

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

func key3(a, b, c byte) uint32 { return uint32(a) | uint32(b)<<8 | uint32(c)<<16 }

// find gives the place of a key, or the free place where it would be.  There are far fewer names than places.
func (t *nameTable) find(key uint32) *nameRange {
	for h := uint8(key * 0x9E3779B1 >> 24); ; h++ {
		if r := &t.index[h]; r.key == key || r.key == 0 {
			return r
		}
	}
}

// match gives the value of the longest name at a position and the position behind it, or -1.
func (t *nameTable) match(text []byte, pos int) (int32, int) {
	rest := text[pos:]
	if !t.short {
		if len(rest) < 3 {
			return 0, -1
		}
		r := t.find(key3(rest[0], rest[1], rest[2]))
		// The first three bytes are those of the key; the fourth tells most longer names apart.
		for i := int(r.start); i < int(r.end); i++ {
			n := &t.names[i]
			if len(n.text) == 3 || len(n.text) <= len(rest) && rest[3] == n.text[3] && string(rest[4:len(n.text)]) == n.text[4:] {
				return n.value, pos + len(n.text)
			}
		}
		return 0, -1
	}
	for i := range t.names {
		n := &t.names[i]
		if len(n.text) <= len(rest) && string(rest[:len(n.text)]) == n.text {
			return n.value, pos + len(n.text)
		}
	}
	return 0, -1
}
