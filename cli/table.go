package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A table is text in columns. Columns whose cells are all blank (or "0") may be left out, and the names give
// way where a terminal is narrow.
type table struct {
	columns []column
	rows    [][]string
	note    string // a last line: what the table does not show
}

type column struct {
	title    string
	right    bool // numbers
	shrink   bool // may be cut in the middle to fit the width
	optional bool // left out when every cell is blank, "0" or "-"
}

// row adds a row; it has a cell for each column.
func (t *table) row(cells ...string) {
	if len(cells) != len(t.columns) {
		panic(fmt.Sprintf("BUG: %d cells in a table of %d columns", len(cells), len(t.columns)))
	}
	t.rows = append(t.rows, cells)
}

const (
	narrowest = 12 // a name is not cut below it
	legible   = 20 // nor, if a narrower table can be had, below it
)

// fits reports that the table can be written within width columns with names that can be read.
func (t *table) fits(width int) bool {
	shown, widths, total := t.layout()
	for _, i := range shown {
		if t.columns[i].shrink {
			total -= max(0, widths[i]-legible)
		}
	}
	return width == 0 || total <= width
}

// layout gives the columns that are shown, how wide they are, and how wide that is together.
func (t *table) layout() (shown, widths []int, total int) {
	for i, c := range t.columns {
		if !c.optional || slices.ContainsFunc(t.rows, func(r []string) bool { return r[i] != "" && r[i] != "0" && r[i] != "-" }) {
			shown = append(shown, i)
		}
	}
	widths = make([]int, len(t.columns))
	total = 2 * (len(shown) - 1)
	for _, i := range shown {
		widths[i] = cellWidth(t.columns[i].title)
		for _, r := range t.rows {
			widths[i] = max(widths[i], cellWidth(r[i]))
		}
		total += widths[i]
	}
	return shown, widths, total
}

// write writes the table within width columns; 0: as wide as it is.
func (t *table) write(w io.Writer, width int) error {
	shown, widths, total := t.layout()
	for width > 0 && total > width { // the widest of those that may give way
		widest := -1
		for _, i := range shown {
			if t.columns[i].shrink && widths[i] > narrowest && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		total--
	}
	var b strings.Builder
	line := func(cell func(i int) string) {
		start := b.Len()
		for n, i := range shown {
			if n > 0 {
				b.WriteString("  ")
			}
			text := cut(cell(i), widths[i])
			pad := strings.Repeat(" ", widths[i]-cellWidth(text))
			if t.columns[i].right {
				text = pad + text
			} else {
				text += pad
			}
			b.WriteString(text)
		}
		trimmed := strings.TrimRight(b.String()[start:], " ")
		rest := b.String()[:start]
		b.Reset()
		b.WriteString(rest)
		b.WriteString(trimmed)
		b.WriteByte('\n')
	}
	line(func(i int) string { return t.columns[i].title })
	for _, r := range t.rows {
		line(func(i int) string { return r[i] })
	}
	if t.note != "" {
		b.WriteString(t.note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cut shortens s to width columns by an ellipsis in its middle: the ends of index names differ.
func cut(s string, width int) string {
	if cellWidth(s) <= width {
		return s
	}
	runes := []rune(s)
	head, tail := len(runes)/2, len(runes)/2
	for head > 0 && cellWidth(string(runes[:head]))+cellWidth(string(runes[tail:]))+1 > width {
		if head >= len(runes)-tail {
			head--
		} else {
			tail++
		}
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// cellWidth is how many columns s takes on a terminal: East Asian wide letters take two.
func cellWidth(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
			r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 ||
			r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd) {
			n++
		}
	}
	return n
}

// wrap writes text behind first, in lines of at most width columns that break at spaces; the lines after the
// first begin with as many spaces as first has columns. A width of 0 breaks nothing.
func wrap(w io.Writer, first, text string, width int) {
	indent := cellWidth(first)
	line := first
	fresh := true
	for word := range strings.SplitSeq(text, " ") {
		if !fresh && width > 0 && cellWidth(line)+1+cellWidth(word) > width {
			fmt.Fprintln(w, line)
			line, fresh = strings.Repeat(" ", indent), true
		}
		if !fresh {
			line += " "
		}
		line, fresh = line+word, false
	}
	fmt.Fprintln(w, line)
}

// proseWidth is how wide sentences are on an output of that width.
func proseWidth(width int) int {
	if width == 0 {
		return defaultColumns
	}
	return min(width, defaultColumns)
}

// printable makes a foreign name safe to print: control characters are written as Go writes them.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError }) {
		q := fmt.Sprintf("%q", s)
		return q[1 : len(q)-1]
	}
	return s
}

// more names the row that stands for those that are not shown.
func (t *table) more(hidden int) string {
	t.note = "--all shows every index."
	return "… " + count(int64(hidden)) + " more"
}

// defaultRows is how many rows a table has where the user did not ask for --all.
const defaultRows = 40

// some chooses which of n rows to show: all of them, or at most limit, those first for which urgent holds, then
// the heaviest. The indices come in ascending order.
func some(n, limit int, urgent func(i int) bool, weight func(i int) int64) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	if limit <= 0 || n <= limit {
		return rows
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		ua, ub := urgent(a), urgent(b)
		switch {
		case ua != ub && ua:
			return -1
		case ua != ub:
			return 1
		case weight(a) > weight(b):
			return -1
		case weight(a) < weight(b):
			return 1
		}
		return 0
	})
	rows = rows[:limit]
	slices.Sort(rows)
	return rows
}
