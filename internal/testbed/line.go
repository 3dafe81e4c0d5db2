package testbed

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Line is one document as a server shows it, in the form all comparisons use.
type Line struct {
	Index   string
	Type    string // empty for `_doc`, the type of an index without types
	ID      string
	Routing string // empty: none
	Source  []byte // `_source`, a newline between its tokens replaced by a space; nil: the index does not keep it
}

func (l Line) String() string {
	source := "absent"
	if l.Source != nil {
		source = fmt.Sprintf("%.400q (%d bytes)", l.Source, len(l.Source))
	}
	return fmt.Sprintf("%s type %q id %q routing %q source %s", l.Index, l.Type, l.ID, l.Routing, source)
}

func (l Line) compare(o Line) int {
	return cmp.Or(strings.Compare(l.Index, o.Index), strings.Compare(l.Type, o.Type), strings.Compare(l.ID, o.ID),
		strings.Compare(l.Routing, o.Routing), bytes.Compare(l.Source, o.Source))
}

func (l Line) equal(o Line) bool {
	return l.Index == o.Index && l.Type == o.Type && l.ID == o.ID && l.Routing == o.Routing &&
		bytes.Equal(l.Source, o.Source) && (l.Source == nil) == (o.Source == nil)
}

// shownDifferences is how many documents of an index Diff shows.
const shownDifferences = 5

// Diff says what is wrong in got, by index: documents that are missing, too many or not byte for byte the same. It
// is empty when got equals want. An index without documents equals an absent one. Both are sorted by it.
func Diff(want, got map[string][]Line) string {
	var out strings.Builder
	names := map[string]bool{}
	for name := range want {
		names[name] = true
	}
	for name := range got {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		diffIndex(&out, name, want[name], got[name])
	}
	return out.String()
}

func diffIndex(out *strings.Builder, name string, want, got []Line) {
	slices.SortFunc(want, Line.compare)
	slices.SortFunc(got, Line.compare)
	differ := 0
	say := func(format string, args ...any) {
		if differ < shownDifferences {
			fmt.Fprintf(out, format, args...)
		}
		differ++
	}
	same := func(a, b Line) bool { return a.Type == b.Type && a.ID == b.ID && a.Routing == b.Routing }
	w, g := want, got
	for len(w) > 0 || len(g) > 0 {
		switch {
		case len(w) > 0 && len(g) > 0 && w[0].equal(g[0]):
			w, g = w[1:], g[1:]
		case len(w) > 0 && len(g) > 0 && same(w[0], g[0]):
			say("  differs: want %v\n           got  %v\n%s", w[0], g[0], where(w[0].Source, g[0].Source))
			w, g = w[1:], g[1:]
		case len(g) == 0 || len(w) > 0 && w[0].compare(g[0]) < 0:
			say("  missing: %v\n", w[0])
			w = w[1:]
		default:
			say("  too many: %v\n", g[0])
			g = g[1:]
		}
	}
	if differ > 0 {
		fmt.Fprintf(out, "  index %s: %d documents wanted, %d read, %d differences\n", name, len(want), len(got), differ)
	}
}

// where shows the first byte at which two sources differ, with what surrounds it.
func where(want, got []byte) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	around := func(p []byte) []byte { return p[min(len(p), max(0, at-30)):min(len(p), at+30)] }
	return fmt.Sprintf("           from byte %d: want …%q… got …%q…\n", at, around(want), around(got))
}
