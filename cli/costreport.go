package cli

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/estate/cost"
)

// A document is what several formats print: headings, texts, tables and lists.
type document struct {
	title  string
	blocks []block
}

// A block is one of them.
type block struct {
	heading string
	text    string
	table   *docTable
	list    []item
}

type docTable struct {
	titles []string
	right  []bool
	rows   [][]string
}

// An item of a list has lines below it.
type item struct {
	text  string
	lines []string
}

func (d *document) heading(text string) { d.blocks = append(d.blocks, block{heading: text}) }
func (d *document) line(format string, args ...any) {
	d.blocks = append(d.blocks, block{text: fmt.Sprintf(format, args...)})
}

func (d *document) text(w io.Writer, width int) error {
	if d.title != "" {
		fmt.Fprintln(w, d.title)
	}
	for _, b := range d.blocks {
		switch {
		case b.heading != "":
			fmt.Fprintf(w, "\n%s\n", b.heading)
		case b.text != "":
			wrap(w, "", b.text, width)
		case b.table != nil:
			t := table{}
			for i, title := range b.table.titles {
				t.columns = append(t.columns, column{title: title, right: b.table.right[i], shrink: !b.table.right[i]})
			}
			for _, row := range b.table.rows {
				t.row(row...)
			}
			var text strings.Builder
			if err := t.write(&text, width); err != nil {
				return err
			}
			out := text.String()
			if strings.Join(b.table.titles, "") == "" { // a table without titles
				_, out, _ = strings.Cut(out, "\n")
			}
			if _, err := io.WriteString(w, out); err != nil {
				return err
			}
		}
		for i, x := range b.list {
			wrap(w, fmt.Sprintf("%2d. ", i+1), x.text, width)
			for _, line := range x.lines {
				wrap(w, "    ", line, width)
			}
		}
	}
	return nil
}

func (d *document) markdown(w io.Writer) error {
	var b strings.Builder
	if d.title != "" {
		fmt.Fprintf(&b, "### %s\n\n", markdown(d.title))
	}
	for _, x := range d.blocks {
		switch {
		case x.heading != "":
			fmt.Fprintf(&b, "\n#### %s\n\n", markdown(x.heading))
		case x.text != "":
			fmt.Fprintf(&b, "%s\n\n", markdown(x.text))
		case x.table != nil:
			for _, t := range x.table.titles {
				fmt.Fprintf(&b, "| %s ", markdown(strings.ToLower(t)))
			}
			b.WriteString("|\n")
			for _, right := range x.table.right {
				b.WriteString(map[bool]string{true: "|--:", false: "|---"}[right])
			}
			b.WriteString("|\n")
			for _, row := range x.table.rows {
				for _, cell := range row {
					fmt.Fprintf(&b, "| %s ", markdown(cell))
				}
				b.WriteString("|\n")
			}
			b.WriteString("\n")
		}
		for i, x := range x.list {
			fmt.Fprintf(&b, "%d. %s\n", i+1, markdown(x.text))
			for _, line := range x.lines {
				fmt.Fprintf(&b, "   - %s\n", markdown(line))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *document) html(w io.Writer) error {
	type cell struct {
		Text  string
		Right bool
	}
	type row []cell
	type section struct {
		Heading, Text string
		Titles        row
		Rows          []row
		List          []struct {
			Text  string
			Lines []string
		}
	}
	page := struct {
		Title    string
		Sections []section
	}{Title: d.title}
	for _, b := range d.blocks {
		s := section{Heading: b.heading, Text: b.text}
		if b.table != nil {
			for i, t := range b.table.titles {
				s.Titles = append(s.Titles, cell{strings.ToLower(t), b.table.right[i]})
			}
			for _, r := range b.table.rows {
				cells := row{}
				for i, text := range r {
					cells = append(cells, cell{text, b.table.right[i]})
				}
				s.Rows = append(s.Rows, cells)
			}
		}
		for _, x := range b.list {
			s.List = append(s.List, struct {
				Text  string
				Lines []string
			}{x.text, x.lines})
		}
		page.Sections = append(page.Sections, s)
	}
	return documentPage.Execute(w, page)
}

var documentPage = template.Must(template.New("document").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>naru: {{.Title}}</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .6rem 0 }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem; border-bottom: 1px solid #8884 }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } li ul { opacity: .8; font-size: .92rem } h2 { margin-top: 2rem; font-size: 1.1rem }
</style></head><body>
{{with .Title}}<h1>{{.}}</h1>{{end}}
{{range .Sections}}{{with .Heading}}<h2>{{.}}</h2>
{{end}}{{with .Text}}<p>{{.}}</p>
{{end}}{{if .Rows}}<table><thead><tr>{{range .Titles}}<th{{if .Right}} class="n"{{end}}>{{.Text}}{{end}}</thead><tbody>
{{range .Rows}}<tr>{{range .}}<td{{if .Right}} class="n"{{end}}>{{.Text}}{{end}}
{{end}}</tbody></table>
{{end}}{{with .List}}<ol>{{range .}}<li>{{.Text}}{{with .Lines}}<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>{{end}}</li>
{{end}}</ol>{{end}}{{end}}</body></html>
`))

// costDocument is what `naru cost` prints for people.
func costDocument(list []environmentCost, explain bool) *document {
	d := &document{title: "What it takes"}
	if len(list) > 1 {
		d.blocks = append(d.blocks, block{table: summaryTable(list)})
	}
	for _, e := range list {
		if e.Estimate == nil {
			d.heading(printable(e.Environment))
			d.line("It could not be looked at: %s", printable(e.Error))
			continue
		}
		d.environment(e.Estimate, explain)
	}
	return d
}

func summaryTable(list []environmentCost) *docTable {
	money := slices.ContainsFunc(list, func(e environmentCost) bool { return e.Estimate != nil && e.Estimate.Have.Money != nil })
	t := &docTable{titles: []string{"ENVIRONMENT", "STORED", "DISKS", "SHARDS", "DATA NODES", "BROKERS", "COULD BE SAVED"}, right: []bool{false, true, true, true, true, true, true}}
	if money {
		t.titles, t.right = append(t.titles, "A MONTH"), append(t.right, true)
	}
	for _, e := range list {
		row := []string{printable(e.Environment), "-", "-", "-", "-", "-", "-"}
		if x := e.Estimate; x != nil {
			row = []string{printable(e.Environment), x.Have.Stored.String(), x.Have.Disk.String(), count(int64(x.Have.Shards)), count(int64(x.Have.Nodes)), count(int64(x.Have.Brokers)), largest(x.Suggestions)}
			if money {
				row = append(row, moneyText(x.Have.Money))
			}
		} else if money {
			row = append(row, "-")
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// largest is what the first suggestion saves.
func largest(all []cost.Suggestion) string {
	if len(all) == 0 {
		return "-"
	}
	return saving(&all[0], "") + " (" + all[0].What + ")"
}

func moneyText(m *cost.Money) string {
	if m == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f %s", m.Monthly, m.Currency)
}

func saving(s *cost.Suggestion, currency string) string {
	var parts []string
	if s.Monthly > 0 && currency != "" {
		parts = append(parts, fmt.Sprintf("%.2f %s a month", s.Monthly, currency))
	}
	if s.Nodes > 0 {
		parts = append(parts, plural(int64(s.Nodes), "node"))
	}
	if s.Bytes > 0 {
		parts = append(parts, s.Bytes.String())
	}
	if s.Shards > 0 {
		parts = append(parts, plural(int64(s.Shards), "shard"))
	}
	if len(parts) == 0 {
		return "nothing yet"
	}
	return strings.Join(parts, ", ")
}

func (d *document) environment(e *cost.Estimate, explain bool) {
	d.heading(fmt.Sprintf("%s: cluster %s, %s, %s UTC", printable(e.Environment), printable(e.Cluster), e.Version, e.At.Format(time.DateTime)))
	t := &docTable{titles: []string{"", "THERE IS", "NEEDED NOW", "NEEDED LATER"}, right: []bool{false, true, true, true}}
	add := func(what string, cells ...string) { t.rows = append(t.rows, append([]string{what}, cells...)) }
	add("indices, all copies", e.Have.Stored.String(), e.Now.Copies.String(), e.Steady.Copies.String())
	add("disks of data nodes", e.Have.Disk.String(), e.Now.Need.Disk.String(), e.Steady.Need.Disk.String())
	add("shards", count(int64(e.Have.Shards)), count(int64(e.Now.Shards)), count(int64(e.Steady.Shards)))
	add("data nodes", count(int64(e.Have.Nodes)), fmt.Sprintf("%d, by %s", e.Now.Need.Nodes, e.Now.Need.By), fmt.Sprintf("%d, by %s", e.Steady.Need.Nodes, e.Steady.Need.By))
	if e.Have.Managers > 0 {
		n := count(int64(e.Have.Managers))
		add("cluster managers", n, n, n)
	}
	if e.Now.Kafka != nil {
		add("topics, all copies", e.Have.Kafka.String(), e.Now.Kafka.Stored.String(), e.Steady.Kafka.Stored.String())
		add("brokers", count(int64(e.Have.Brokers)), count(int64(e.Now.Kafka.Brokers)), count(int64(e.Steady.Kafka.Brokers)))
	}
	if e.Have.Money != nil {
		add("a month", moneyText(e.Have.Money), moneyText(e.Now.Money), moneyText(e.Steady.Money))
	}
	d.blocks = append(d.blocks, block{table: t})
	if m := e.Have.Money; m != nil {
		d.line("Prices of %s, %s.", printable(m.Valid), printable(m.Source))
		for _, missing := range m.Missing {
			d.line("Not in it: %s.", printable(missing))
		}
	} else {
		d.line("No money without a price file: see docs/cost.md.")
	}
	for _, m := range e.Missing {
		d.line("Not known: %s", printable(m))
	}
	for _, x := range e.Limits {
		d.line("! limits.%s: %s", x.Limit, printable(x.Text))
	}
	if explain {
		d.explain(e)
	}
	d.families(e)
	if e.Plan != nil {
		d.difference("What is declared and not applied yet makes of it", e.Plan)
	}
	if e.WhatIf != nil {
		d.difference("What "+printable(e.WhatIf.What)+" would make of it", e.WhatIf)
	}
	d.suggestions(e)
}

// explain shows the arithmetic of what is needed.
func (d *document) explain(e *cost.Estimate) {
	for _, x := range []struct {
		when string
		of   *cost.State
		have *cost.Money
	}{{"now", &e.Now, e.Have.Money}, {"later", &e.Steady, nil}} {
		d.heading("How that is counted: " + x.when)
		t := &docTable{titles: []string{"", "", ""}, right: []bool{false, true, false}}
		t.rows = append(t.rows, []string{"disks", x.of.Need.Disk.String(), x.of.Need.DiskHow})
		for _, p := range x.of.Need.Parts {
			t.rows = append(t.rows, []string{"data nodes by " + p.What, fmt.Sprintf("%.2f", p.Need), p.How})
		}
		if x.of.Kafka != nil {
			for _, p := range x.of.Kafka.Need.Parts {
				t.rows = append(t.rows, []string{"brokers by " + p.What, fmt.Sprintf("%.2f", p.Need), p.How})
			}
		}
		if x.of.Money != nil {
			for _, l := range x.of.Money.Lines {
				t.rows = append(t.rows, []string{"a month: " + l.What, fmt.Sprintf("%.2f", l.Amount), l.How})
			}
		}
		if x.have != nil {
			for _, l := range x.have.Lines {
				t.rows = append(t.rows, []string{"there is: " + l.What, fmt.Sprintf("%.2f", l.Amount), l.How})
			}
		}
		d.blocks = append(d.blocks, block{table: t})
	}
}

const familiesShown = 25

func (d *document) families(e *cost.Estimate) {
	d.heading("Where it is")
	t := &docTable{titles: []string{"FAMILY", "INDICES", "SHARDS", "A SHARD", "ALL COPIES", "A DAY", "KEPT", "LATER", "HOW"}, right: []bool{false, true, true, true, true, true, true, true, false}}
	for i := range e.Families {
		if i == familiesShown {
			d.line("The largest %d of %d.", familiesShown, len(e.Families))
			break
		}
		x := &e.Families[i]
		day, kept := "-", "-"
		if x.Growth != nil {
			day = x.Growth.Likely.String()
		}
		if x.Life.Retention > 0 {
			kept = fmt.Sprintf("%gd", math.Round(10*x.Life.Retention)/10)
		}
		t.rows = append(t.rows, []string{printable(x.Name), count(int64(x.Now.Indices)), count(int64(x.Now.Shards)), x.Average.String(), x.Now.Copies.String(), day, kept, x.Steady.Copies.String(), x.Steady.How})
	}
	d.blocks = append(d.blocks, block{table: t})
}

func (d *document) difference(title string, x *cost.Difference) {
	d.heading(title)
	t := &docTable{titles: []string{"", "NOW", "WOULD BE", "LATER", "WOULD BE"}, right: []bool{false, true, true, true, true}}
	row := func(what string, of func(*cost.State) string) {
		t.rows = append(t.rows, []string{what, of(&x.Before), of(&x.After), of(&x.SteadyBefore), of(&x.SteadyAfter)})
	}
	row("indices, all copies", func(s *cost.State) string { return s.Copies.String() })
	row("disks that it needs", func(s *cost.State) string { return s.Need.Disk.String() })
	row("shards", func(s *cost.State) string { return count(int64(s.Shards)) })
	row("data nodes that it needs", func(s *cost.State) string { return count(int64(s.Need.Nodes)) })
	if x.Before.Kafka != nil {
		row("topics, all copies", func(s *cost.State) string { return s.Kafka.Stored.String() })
		row("brokers that it needs", func(s *cost.State) string { return count(int64(s.Kafka.Brokers)) })
	}
	if x.Before.Money != nil {
		row("a month, of what it needs", func(s *cost.State) string { return moneyText(s.Money) })
	}
	d.blocks = append(d.blocks, block{table: t})
	for i := range x.Families {
		if i == familiesShown {
			break
		}
		f := &x.Families[i]
		d.line("%s: now %s → %s; later %s → %s (%s)", printable(f.Name), f.Before.Copies, f.After.Copies, f.From.Copies, f.To.Copies, f.To.How)
	}
}

func (d *document) suggestions(e *cost.Estimate) {
	d.heading("What could be saved")
	if len(e.Suggestions) == 0 {
		d.line("Nothing that the rules know of.")
		return
	}
	currency := ""
	if e.Have.Money != nil {
		currency = e.Have.Money.Currency
	}
	var list []item
	for i := range e.Suggestions {
		s := &e.Suggestions[i]
		x := item{text: fmt.Sprintf("%s: %s. Saves %s", printable(s.Where), s.What, saving(s, currency))}
		for _, how := range s.How {
			x.lines = append(x.lines, "= "+printable(how))
		}
		x.lines = append(x.lines, "→ "+printable(s.Do))
		if s.Beware != "" {
			x.lines = append(x.lines, "! "+s.Beware)
		}
		list = append(list, x)
	}
	d.blocks = append(d.blocks, block{list: list})
	d.line("Savings may be of the same bytes: they do not add up.")
}
