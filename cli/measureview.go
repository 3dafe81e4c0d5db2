package cli

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/cost"
	"github.com/narudata/naru/estate/measure"
)

// heading says which apply the numbers are of, and how they were taken.
func (r *numbersResult) heading() []string {
	lines := []string{fmt.Sprintf("Apply %s of %s%s, by %s", r.Apply, printable(r.Environment), commitText(r.Commit), printable(r.By))}
	if r.Numbers == nil {
		return append(lines, "It was not measured.")
	}
	look := r.shown()
	if b := r.Before; b != nil {
		lines = append(lines, "before: "+windowText(b))
	}
	if look != nil {
		when := "right after it"
		if after := time.Duration(look.After); after >= time.Minute {
			when = elapsed(after) + " later"
		}
		lines = append(lines, fmt.Sprintf("after:  %s, %s (look %d of %d)", windowText(&look.Window), when, r.Look, r.Looks))
	}
	switch {
	case r.Before != nil && r.Before.Idle:
		lines = append(lines, "Nothing was indexed or searched, so there was nothing to measure.")
	case look == nil && r.Before != nil:
		lines = append(lines, fmt.Sprintf("Nothing was measured after it yet: naru env measure %s", r.Apply))
	}
	for _, note := range r.Notes {
		lines = append(lines, "note: "+printable(note))
	}
	return lines
}

func windowText(w *measure.Window) string {
	text := fmt.Sprintf("%s in %s, from %s UTC", plural(int64(w.Samples), "sample"), elapsed(w.To.Sub(w.From)), w.From.Format(time.DateTime))
	if w.Cut {
		text += ", stopped"
	}
	if len(w.Gaps) > 0 {
		text += "; gaps: " + printable(strings.Join(w.Gaps, "; "))
	}
	return text
}

// levels are what there was and is, without a verdict.
func (r *numbersResult) levels() []string {
	look := r.shown()
	if look == nil || r.Before == nil {
		return nil
	}
	a, b := r.Before.Levels, look.Levels
	lines := []string{
		fmt.Sprintf("documents  %s → %s", count(a.Documents), count(b.Documents)),
		fmt.Sprintf("index size  %s → %s", cost.Bytes(a.Stored), cost.Bytes(b.Stored)),
		fmt.Sprintf("nodes  %d → %d", a.Nodes, b.Nodes),
	}
	if a.Currency != "" || b.Currency != "" {
		lines = append(lines, fmt.Sprintf("cost  %.2f → %.2f %s a month", a.Monthly, b.Monthly, b.Currency))
	}
	return lines
}

func writeNumbers(w io.Writer, width int, r *numbersResult) error {
	for _, line := range r.heading() {
		wrap(w, "", line, width)
	}
	look := r.shown()
	if look == nil {
		return nil
	}
	fmt.Fprintln(w)
	t := table{columns: []column{
		{title: "METRIC"}, {title: "BEFORE", right: true}, {title: "AFTER", right: true}, {title: "CHANGE", right: true}, {title: "95 % INTERVAL", right: true},
		{title: "VERDICT"}, {title: "P95 BEFORE", right: true}, {title: "P95 AFTER", right: true}, {title: "BEFORE│AFTER"},
	}}
	for i := range look.Comparisons {
		x := &look.Comparisons[i]
		t.row(x.Metric, value(x.Before.Median, x.Unit, x.Before.N), value(x.After.Median, x.Unit, x.After.N), measuredChange(x), measuredInterval(x), string(x.Verdict),
			value(x.Before.P95, x.Unit, x.Before.N), value(x.After.P95, x.Unit, x.After.N), sparks(r.Before.Values[x.Metric], look.Values[x.Metric], sparkWidth))
	}
	if !t.fits(width) { // a narrow terminal
		for _, drop := range []string{"P95 BEFORE", "P95 AFTER"} {
			i := slices.IndexFunc(t.columns, func(c column) bool { return c.title == drop })
			t.columns = slices.Delete(t.columns, i, i+1)
			for j := range t.rows {
				t.rows[j] = slices.Delete(t.rows[j], i, i+1)
			}
		}
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, line := range r.levels() {
		fmt.Fprintln(w, line)
	}
	return nil
}

// value writes a number with its unit; "-" if there was none.
func value(v float64, unit string, n int) string {
	if n == 0 {
		return "-"
	}
	text := digits(v)
	switch unit {
	case "1/s":
		return text + "/s"
	case "":
		return text
	}
	return text + " " + unit
}

// digits writes three digits of v, and thousands with commas.
func digits(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 1000:
		return count(int64(math.Round(v)))
	case v == 0:
		return "0"
	case abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func signed(v float64) string {
	text := digits(math.Abs(v))
	switch {
	case text == "0":
		return "0"
	case v < 0:
		return "-" + text
	}
	return "+" + text
}

func measuredChange(c *measure.Comparison) string {
	switch {
	case c.Before.N == 0 || c.After.N == 0:
		return "-"
	case c.Percent == nil:
		return signed(c.Change)
	}
	return signed(c.Percent.Change) + " %"
}

func measuredInterval(c *measure.Comparison) string {
	switch {
	case c.Verdict == measure.TooFew || c.Before.N == 0 || c.After.N == 0:
		return "-"
	case c.Percent == nil:
		return signed(c.Low) + " … " + signed(c.High)
	}
	return signed(c.Percent.Low) + " … " + signed(c.Percent.High) + " %"
}

const sparkWidth = 12 // of one window

var sparkLetters = []rune("▁▂▃▄▅▆▇█")

// sparks draws two series on one scale, each with at most width letters, a bar between them.
func sparks(before, after []float64, width int) string {
	a, b := thinned(before, width), thinned(after, width)
	all := slices.Concat(a, b)
	if len(all) == 0 {
		return ""
	}
	low, high := slices.Min(all), slices.Max(all)
	draw := func(values []float64) string {
		var s strings.Builder
		for _, v := range values {
			i := 0
			if high > low {
				i = int((v - low) / (high - low) * float64(len(sparkLetters)-1))
			}
			s.WriteRune(sparkLetters[i])
		}
		return s.String()
	}
	return draw(a) + "│" + draw(b)
}

// thinned is the means of at most n equal runs of values.
func thinned(values []float64, n int) []float64 {
	if len(values) <= n {
		return values
	}
	out := make([]float64, n)
	for i := range out {
		run := values[i*len(values)/n : (i+1)*len(values)/n]
		for _, v := range run {
			out[i] += v / float64(len(run))
		}
	}
	return out
}

func writeNumbersMarkdown(w io.Writer, r *numbersResult) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### naru: what apply %s did to %s\n\n", markdown(r.Apply), markdown(r.Environment))
	for _, line := range r.heading()[1:] {
		fmt.Fprintf(&b, "- %s\n", markdown(line))
	}
	if look := r.shown(); look != nil {
		b.WriteString("\n| | before | after | change | 95 % interval | | |\n|---|--:|--:|--:|--:|---|---|\n")
		for i := range look.Comparisons {
			x := &look.Comparisons[i]
			verdict := string(x.Verdict)
			if x.Verdict == measure.Better || x.Verdict == measure.Worse {
				verdict = "**" + verdict + "**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | `%s` |\n", markdown(x.Metric), value(x.Before.Median, x.Unit, x.Before.N), value(x.After.Median, x.Unit, x.After.N),
				measuredChange(x), measuredInterval(x), verdict, sparks(r.Before.Values[x.Metric], look.Values[x.Metric], sparkWidth))
		}
		b.WriteString("\n")
		for _, line := range r.levels() {
			fmt.Fprintf(&b, "- %s\n", markdown(line))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// A dot is a value in a picture of 300 by 40.
type dot struct{ X, Y float64 }

// picture places the values of two windows, the first in the left half.
func picture(before, after []float64) (left, right []dot) {
	all := slices.Concat(before, after)
	if len(all) == 0 {
		return nil, nil
	}
	low, high := slices.Min(all), slices.Max(all)
	place := func(values []float64, from float64) []dot {
		out := make([]dot, len(values))
		for i, v := range values {
			y := 20.0
			if high > low {
				y = 37 - 34*(v-low)/(high-low)
			}
			out[i] = dot{math.Round(10*(from+140*(float64(i)+0.5)/float64(len(values)))) / 10, math.Round(10*y) / 10}
		}
		return out
	}
	return place(before, 5), place(after, 155)
}

type pictured struct {
	*measure.Comparison
	Left, Right []dot
}

// Pictures are the comparisons of the look that is shown, with their pictures.
func (r *numbersResult) Pictures() []pictured {
	look := r.shown()
	if look == nil {
		return nil
	}
	out := make([]pictured, len(look.Comparisons))
	for i := range out {
		c := &look.Comparisons[i]
		left, right := picture(r.Before.Values[c.Metric], look.Values[c.Metric])
		out[i] = pictured{c, left, right}
	}
	return out
}

// Lines and Levels are for the page.
func (r *numbersResult) Lines() []string  { return r.heading() }
func (r *numbersResult) Levels() []string { return r.levels() }

var numbersPage = template.Must(template.New("numbers").Funcs(template.FuncMap{
	"value": value, "change": measuredChange, "interval": measuredInterval,
	"class": func(v measure.Verdict) string { return strings.ReplaceAll(string(v), " ", "-") },
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>naru: numbers of {{.Apply}}</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884 } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
small { opacity: .7 } svg { width: 300px; height: 40px } circle { fill: currentColor; opacity: .7 } line { stroke: #8888 }
.better::before { content: "▲ "; color: #2a2 } .worse::before { content: "▼ "; color: #c33 } .better, .worse { font-weight: 600 }
.too-noisy, .too-few-samples, .no-change { opacity: .7 }
</style></head><body>
<h1>What apply {{.Apply}} did to {{.Environment}}</h1>
{{range .Lines}}<p>{{.}}</p>
{{end}}{{if .Pictures}}<table><thead><tr><th>metric<th class="n">before<th class="n">after<th class="n">change<th class="n">95 % interval<th>verdict<th>before | after</thead><tbody>
{{range .Pictures}}<tr><td>{{.Metric}}<br><small>{{.About}}</small><td class="n">{{value .Before.Median .Unit .Before.N}}<td class="n">{{value .After.Median .Unit .After.N}}<td class="n">{{change .Comparison}}<td class="n">{{interval .Comparison}}<td class="{{class .Verdict}}">{{.Verdict}}<td><svg viewBox="0 0 300 40" role="img"><title>{{.Metric}}</title><line x1="150" x2="150" y1="0" y2="40"/>{{range .Left}}<circle cx="{{.X}}" cy="{{.Y}}" r="2"/>{{end}}{{range .Right}}<circle cx="{{.X}}" cy="{{.Y}}" r="2"/>{{end}}</svg>
{{end}}</tbody></table>
{{end}}{{with .Levels}}<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>{{end}}
</body></html>
`))

// measuredText is an apply's numbers in a few words; "": it was not measured.
func measuredText(a *estate.Applied) string {
	if a.Numbers == nil {
		return ""
	}
	return printable(a.Numbers.Summary())
}
