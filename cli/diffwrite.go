package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/migrate/compare"
)

// A difference is the result of `naru diff`.
type difference struct {
	A      string    `json:"place_a"`
	B      string    `json:"place_b"`
	Sample string    `json:"sample,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	*compare.Report

	pairedBy string // instead of the key
}

// inWindow says which times were compared; "" for all.
func (d *difference) inWindow() string {
	out := ""
	if !d.Since.IsZero() {
		out += " from " + d.Since.UTC().Format(time.RFC3339)
	}
	if !d.Until.IsZero() {
		out += " until " + d.Until.UTC().Format(time.RFC3339)
	}
	return out
}

// keyed says what to do if no document has a key.
func (d *difference) keyed() error {
	for _, s := range []struct {
		name string
		sum  *compare.Sum
	}{{d.A, &d.Report.A}, {d.B, &d.Report.B}} {
		if s.sum.Compared > 0 && s.sum.NoKey == s.sum.Compared && !d.Same() {
			return fmt.Errorf("no document of %s has %s: say what pairs those of both, --key event.id, or --key _line for files in the same order",
				s.name, strings.Join(d.Key, ","))
		}
	}
	return nil
}

// A diffRow is a way in which a field differs, as it is shown.
type diffRow struct {
	Field, What string
	Documents   int64
	Share       float64
	Examples    []compare.Example
}

// rows are the ways in which fields differ, the most frequent first; limit is how many: 0, all.
func (d *difference) rows(limit int) (rows []diffRow, hidden int) {
	for i := range d.Moves {
		m := &d.Moves[i]
		what := "renamed: " + m.To
		if m.Copied {
			what = "copied to " + m.To
		}
		if m.Converted {
			what += ", of another type"
		}
		rows = append(rows, diffRow{m.From, what, m.Documents, m.Share, m.Examples})
	}
	for i := range d.Changes {
		c := &d.Changes[i]
		rows = append(rows, diffRow{c.Field, changeText(c), c.Documents, c.Share, c.Examples})
	}
	slices.SortStableFunc(rows, func(a, b diffRow) int { return cmp.Compare(b.Documents, a.Documents) })
	if limit > 0 && len(rows) > limit {
		rows, hidden = rows[:limit], len(rows)-limit
	}
	return rows, hidden
}

// changeText says what happened to the field.
func changeText(c *compare.Change) string {
	switch {
	case c.Kind == compare.Added || c.Kind == compare.Removed:
		if c.Class != "" {
			return string(c.Kind) + ", " + c.Class
		}
		return string(c.Kind)
	case c.Class == "":
		return string(c.Kind)
	}
	return c.Class
}

// exampleText is an example in one line.
func exampleText(e *compare.Example) string {
	switch {
	case e.Before == "":
		return e.After
	case e.After == "", e.Before == e.After:
		return e.Before
	}
	return e.Before + " → " + e.After
}

func percentOf(share float64) string {
	switch {
	case share > 0 && share < 0.001:
		return "<0.1 %"
	case share > 0.999 && share < 1:
		return ">99.9 %"
	}
	return fmt.Sprintf("%.1f %%", share*100)
}

// counts are the rows of the table that sums up.
func (d *difference) counts() []struct {
	Name      string
	Documents int64
} {
	return []struct {
		Name      string
		Documents int64
	}{{"equal", d.Equal}, {"different", d.Different}, {"only in A", d.OnlyA}, {"only in B", d.OnlyB}}
}

// notes say what was not compared, or not as one would think.
func (d *difference) notes() (out []string) {
	if d.Sample != "" {
		out = append(out, "This is a sample: "+d.Sample+" of the keys.")
	}
	for _, s := range []struct {
		name string
		sum  *compare.Sum
	}{{"A", &d.Report.A}, {"B", &d.Report.B}} {
		say := func(n int64, format string, args ...any) {
			if n > 0 {
				out = append(out, plural(n, "document")+" of "+s.name+" "+fmt.Sprintf(format, args...))
			}
		}
		say(s.sum.Outside, "were not compared: their time is not%s.", d.inWindow())
		say(s.sum.NoKey, "had no key (%s) and were paired by their whole content.", strings.Join(d.Key, ", "))
		say(s.sum.Repeated, "had a key that another one had before.")
		say(s.sum.NoJSON, "were no JSON objects.")
		say(s.sum.NoBody, "had no content.")
	}
	if d.Hidden {
		out = append(out, "There are more kinds of changes than are told apart: some are summed up.")
	}
	for i := range d.Changes {
		if c := &d.Changes[i]; c.Class == "another time" && c.Share == 1 {
			out = append(out, c.Field+" differs in every pair: if it is when an event was processed, leave it out with --ignore "+c.Field+".")
		}
	}
	return out
}

// verdict is the first sentence of a report.
func (d *difference) verdict() string {
	window := d.inWindow()
	if d.Same() {
		return fmt.Sprintf("No difference in %s%s.", plural(d.Equal, "document"), window)
	}
	return fmt.Sprintf("%s of %s differ%s; %s only in A, %s only in B.", count(d.Different), plural(d.Pairs(), "pair"), window, count(d.OnlyA), count(d.OnlyB))
}

func (d *difference) keyText() string { return cmp.Or(d.pairedBy, strings.Join(d.Key, ", ")) }

// table writes the report for a terminal.
func (d *difference) table(limit int) func(w io.Writer, width int) error {
	return func(w io.Writer, width int) error {
		fmt.Fprintf(w, "A  %s, %s\nB  %s, %s\n", printable(d.A), plural(d.Report.A.Read, "document"), printable(d.B), plural(d.Report.B.Read, "document"))
		fmt.Fprintf(w, "paired by %s\n\n", d.keyText())
		t := table{columns: []column{{title: ""}, {title: "DOCUMENTS", right: true}, {title: "SHARE", right: true}}}
		total := d.Pairs() + d.OnlyA + d.OnlyB
		for _, c := range d.counts() {
			t.row(c.Name, count(c.Documents), percentOf(ratio(c.Documents, total)))
		}
		if err := t.write(w, width); err != nil {
			return err
		}
		if err := d.writeFields(w, width, limit); err != nil {
			return err
		}
		d.writePatterns(w, width, limit)
		for _, s := range []struct {
			title string
			n     int64
			list  []compare.Single
		}{{"ONLY IN A", d.OnlyA, d.ExamplesA}, {"ONLY IN B", d.OnlyB, d.ExamplesB}} {
			if s.n == 0 {
				continue
			}
			fmt.Fprintf(w, "\n%s: %s\n", s.title, plural(s.n, "document"))
			for i := range s.list {
				fmt.Fprintf(w, "  %s\n", fitted(printable(s.list[i].Key)+"  "+printable(s.list[i].Document), width-2))
			}
		}
		if notes := d.notes(); len(notes) > 0 {
			fmt.Fprintln(w)
			for _, n := range notes {
				wrap(w, "note: ", n, proseWidth(width))
			}
		}
		_, err := fmt.Fprintf(w, "\n%s\n", d.verdict())
		return err
	}
}

func ratio(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// fitted cuts a line that is too long; a width of 0 or less cuts nothing that people would read.
func fitted(s string, width int) string {
	if width <= 0 {
		width = 240
	}
	runes := []rune(s)
	if cellWidth(s) <= width {
		return s
	}
	for cellWidth(string(runes)) > width-1 {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

func (d *difference) writeFields(w io.Writer, width, limit int) error {
	rows, hidden := d.rows(limit)
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprint(w, "\nFIELDS, of all pairs\n")
	t := table{columns: []column{{title: "FIELD", shrink: true}, {title: "WHAT", shrink: true}, {title: "DOCUMENTS", right: true}, {title: "SHARE", right: true}}}
	for i := range rows {
		t.row(printable(rows[i].Field), printable(rows[i].What), count(rows[i].Documents), percentOf(rows[i].Share))
	}
	if hidden > 0 {
		t.note = fmt.Sprintf("… and %s more; --all shows them", count(int64(hidden)))
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprint(w, "\nEXAMPLES\n")
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(w, "  %s  %s\n", printable(r.Field), printable(r.What))
		for k := range r.Examples {
			e := &r.Examples[k]
			fmt.Fprintf(w, "    %s\n", fitted(printable(cut(e.Key, 40))+"  "+printable(exampleText(e)), width-4))
		}
	}
	return nil
}

// fewPatterns is how many patterns are shown without --all.
const fewPatterns = 10

func (d *difference) writePatterns(w io.Writer, width, limit int) {
	if len(d.Patterns) == 0 {
		return
	}
	shown := d.Patterns
	if limit > 0 {
		shown = shown[:min(len(shown), fewPatterns)]
	}
	fmt.Fprint(w, "\nTOGETHER, in one document\n")
	for i := range shown {
		p := &shown[i]
		fmt.Fprintf(w, "  %s, %s of all pairs, like %s\n", plural(p.Documents, "document"), percentOf(p.Share), printable(cut(p.Example, 60)))
		for k, line := range p.Changes {
			if k == fewPatterns && limit > 0 && len(p.Changes) > k+1 {
				fmt.Fprintf(w, "    and %s more\n", plural(int64(len(p.Changes)-k), "change"))
				break
			}
			fmt.Fprintf(w, "    %s\n", fitted(printable(line), width-4))
		}
	}
	if more := len(d.Patterns) - len(shown); more > 0 {
		fmt.Fprintf(w, "  … and %s more\n", plural(int64(more), "combination"))
	}
}
