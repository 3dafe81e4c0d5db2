package cli

import (
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

// inCell makes a text safe in a cell of a Markdown table.
func inCell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "&", "&amp;").Replace(printable(s))
}

// asCode is a text as code in a cell of a Markdown table.
func asCode(s string) string {
	s = strings.ReplaceAll(printable(s), "|", `\|`)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// markdown writes the report for a merge request.
func (d *difference) markdown(w io.Writer, limit int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", inCell(d.verdict()))
	fmt.Fprintf(&b, "- A: %s, %s\n- B: %s, %s\n- paired by %s\n\n", asCode(d.A), plural(d.Report.A.Read, "document"), asCode(d.B), plural(d.Report.B.Read, "document"), asCode(d.keyText()))
	b.WriteString("| | documents | share |\n|---|--:|--:|\n")
	total := d.Pairs() + d.OnlyA + d.OnlyB
	for _, c := range d.counts() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Name, count(c.Documents), percentOf(ratio(c.Documents, total)))
	}
	if rows, hidden := d.rows(limit); len(rows) > 0 {
		b.WriteString("\n### Fields\n\n| field | what | documents | share of pairs | for example |\n|---|---|--:|--:|---|\n")
		for i := range rows {
			r := &rows[i]
			example := ""
			if len(r.Examples) > 0 {
				example = asCode(exampleText(&r.Examples[0])) + " in " + asCode(r.Examples[0].Key)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", asCode(r.Field), inCell(r.What), count(r.Documents), percentOf(r.Share), example)
		}
		if hidden > 0 {
			fmt.Fprintf(&b, "\n… and %s more.\n", count(int64(hidden)))
		}
	}
	if len(d.Patterns) > 0 {
		b.WriteString("\n### Together, in one document\n\n")
		for i := range d.Patterns[:min(len(d.Patterns), fewPatterns)] {
			p := &d.Patterns[i]
			fmt.Fprintf(&b, "- %s (%s), like %s: %s\n", plural(p.Documents, "document"), percentOf(p.Share), asCode(p.Example), inCell(strings.Join(p.Changes, "; ")))
		}
	}
	for i, list := range [][]string{singles(d, false), singles(d, true)} {
		if len(list) > 0 {
			fmt.Fprintf(&b, "\n### Only in %c, for example\n\n", "AB"[i])
			for _, s := range list {
				fmt.Fprintf(&b, "- %s\n", asCode(s))
			}
		}
	}
	if notes := d.notes(); len(notes) > 0 {
		b.WriteString("\n")
		for _, n := range notes {
			fmt.Fprintf(&b, "> %s\n", inCell(n))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// singles are the examples of what only one side has, in lines.
func singles(d *difference, ofB bool) (out []string) {
	list := d.ExamplesA
	if ofB {
		list = d.ExamplesB
	}
	for _, s := range list {
		out = append(out, s.Key+"  "+s.Document)
	}
	return out
}

// html writes the report as one page that loads nothing.
func (d *difference) html(w io.Writer, limit int) error {
	rows, hidden := d.rows(limit)
	return diffPage().Execute(w, map[string]any{
		"D": d, "Verdict": d.verdict(), "Counts": d.counts(), "Total": d.Pairs() + d.OnlyA + d.OnlyB, "Rows": rows, "Hidden": hidden,
		"Patterns": d.Patterns[:min(len(d.Patterns), fewPatterns)], "Notes": d.notes(), "OnlyA": singles(d, false), "OnlyB": singles(d, true),
		"Key": d.keyText(), "At": time.Now().UTC().Format(time.RFC3339),
	})
}

func diffPage() *template.Template {
	return template.Must(template.New("diff").Funcs(template.FuncMap{
		"count": count, "percent": percentOf, "ratio": ratio, "hundred": func(f float64) float64 { return f * 100 },
	}).Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>naru diff</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
.bar { display: inline-block; height: .6rem; background: #4a7bd0; vertical-align: middle; min-width: 1px }
del { color: #b3261e; text-decoration: none } ins { color: #1b7f3b; text-decoration: none }
summary { cursor: pointer } small { opacity: .7 }
@media (prefers-color-scheme: dark) { del { color: #ff8a80 } ins { color: #7ddc9a } }
</style>
<h1>{{.Verdict}}</h1>
<p>A <code>{{.D.A}}</code>, {{count .D.Report.A.Read}} documents<br>B <code>{{.D.B}}</code>, {{count .D.Report.B.Read}} documents<br>paired by <code>{{.Key}}</code></p>
<table>
<tr><th></th><th class="n">documents</th><th class="n">share</th><th style="width:40%"></th></tr>
{{- range .Counts}}
<tr><td>{{.Name}}</td><td class="n">{{count .Documents}}</td><td class="n">{{percent (ratio .Documents $.Total)}}</td><td><span class="bar" style="width:{{printf "%.1f" (ratio .Documents $.Total | hundred)}}%"></span></td></tr>
{{- end}}
</table>
{{- if .Rows}}
<h2>Fields</h2>
<table>
<tr><th>field</th><th>what</th><th class="n">documents</th><th class="n">share of pairs</th></tr>
{{- range .Rows}}
<tr><td><code>{{.Field}}</code></td><td><details><summary>{{.What}}</summary>
{{- range .Examples}}<div><small><code>{{.Key}}</code></small>{{if .Before}} <del><code>{{.Before}}</code></del>{{end}}{{if .After}} <ins><code>{{.After}}</code></ins>{{end}}</div>{{end -}}
</details></td><td class="n">{{count .Documents}}</td><td class="n">{{percent .Share}}</td></tr>
{{- end}}
</table>
{{- if .Hidden}}<p>… and {{.Hidden}} more.</p>{{end}}
{{- end}}
{{- if .Patterns}}
<h2>Together, in one document</h2>
<ul>
{{- range .Patterns}}
<li>{{count .Documents}} documents ({{percent .Share}}), like <code>{{.Example}}</code><ul>{{range .Changes}}<li>{{.}}</li>{{end}}</ul></li>
{{- end}}
</ul>
{{- end}}
{{- if .OnlyA}}
<h2>Only in A</h2>
<ul>{{range .OnlyA}}<li><code>{{.}}</code></li>{{end}}</ul>
{{- end}}
{{- if .OnlyB}}
<h2>Only in B</h2>
<ul>{{range .OnlyB}}<li><code>{{.}}</code></li>{{end}}</ul>
{{- end}}
{{- range .Notes}}
<p><small>{{.}}</small></p>
{{- end}}
<p><small>naru diff, {{.At}}</small></p>
</html>
`))
}
