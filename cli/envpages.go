package cli

import (
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
)

// writePlanMarkdown writes a plan for a pull request: what it does first, the fields folded.
func writePlanMarkdown(w io.Writer, p *estate.Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### naru plan: %s\n\n", markdown(p.Environment))
	fmt.Fprintf(&b, "%s\n\nCluster %s (%s), estate %s", markdown(p.Summary()), markdown(p.Cluster.Name), markdown(p.Cluster.Version), markdown(p.Estate))
	if p.Commit.ID != "" {
		fmt.Fprintf(&b, ", commit `%s`", p.Commit.Short())
	}
	b.WriteString(".\n")
	if len(p.Changes) == 0 {
		_, err := io.WriteString(w, b.String())
		return err
	}
	b.WriteString("\n| | object | risk | what it means |\n|---|---|---|---|\n")
	changes := orderOfRisk(p.Changes)
	for i := range changes {
		ch := &changes[i]
		var means []string
		if ch.Problem != "" {
			means = append(means, "**cannot be applied:** "+markdown(ch.Problem))
		}
		for _, e := range ch.Effects {
			means = append(means, markdown(e))
		}
		if len(ch.Effects) == 0 {
			for _, f := range ch.Fields {
				if m := markdown(f.Means); m != "" && !slices.Contains(means, m) {
					means = append(means, m)
				}
			}
		}
		if ch.Irreversible != "" {
			means = append(means, "**an undo does not bring back** "+markdown(ch.Irreversible))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", ch.Action, codeCell(ch.Key.String()), ch.Risk, strings.Join(means, "<br>"))
	}
	for i := range changes {
		ch := &changes[i]
		if len(ch.Fields) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n<details><summary>%s: %s</summary>\n\n| field | is | will be | |\n|---|---|---|---|\n", markdown(ch.Key.String()), plural(int64(len(ch.Fields)), "field"))
		for _, f := range ch.Fields {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", codeCell(orWhole(f.Path)), codeCell(jsonText(f.From, 300)), codeCell(jsonText(f.To, 300)), markdown(f.Means))
		}
		b.WriteString("\n</details>\n")
	}
	if p.What == "apply" && p.Problems() == 0 {
		fmt.Fprintf(&b, "\nApproval of this by an Environment in Kubernetes: `naru.dev/approve-plan=%s`\n", p.Approval)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var escapeMarkdown = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "\n", " ", "\r", " ")

// markdown makes a text stand for itself, in a cell of a table too.
func markdown(s string) string { return escapeMarkdown.Replace(printable(s)) }

// codeCell is a text as code in a cell of a table.
func codeCell(s string) string {
	if s == "" {
		return ""
	}
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "&#124;", "`", "&#96;").Replace(printable(s))
	return "<code>" + s + "</code>"
}

// writePlanHTML writes a plan as a page that needs nothing else.
func writePlanHTML(w io.Writer, p *estate.Plan) error {
	return planPage.Execute(w, struct {
		*estate.Plan
		Sorted []estate.Change
	}{p, orderOfRisk(p.Changes)})
}

var planPage = template.Must(template.New("plan").Funcs(template.FuncMap{
	"text": func(b []byte) string { return jsonText(b, 2000) },
	"mark": func(a estate.Action) string { return marks[a] },
	"path": orWhole,
	"join": func(l []string) string { return strings.Join(l, " + ") },
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>naru plan: {{.Environment}}</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8884 }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere }
section { border: 1px solid #8886; border-radius: .4rem; margin: 1rem 0; padding: .6rem 1rem }
h2 { font-size: 1rem; margin: 0 } .risk { float: right } .high { border-left: .4rem solid #c33 }
.medium { border-left: .4rem solid #c90 } .low, .none { border-left: .4rem solid #5a5 } .problem { color: #c33; font-weight: 600 }
footer, .files { opacity: .7; font-size: .85rem }
</style></head><body>
<h1>naru plan: {{.Environment}}</h1>
<p>{{.Summary}}</p>
<p>Cluster {{.Cluster.Name}} ({{.Cluster.Version}}), estate {{.Estate}}{{with .Commit.ID}}, commit <code>{{$.Commit.Short}}</code> by {{$.Commit.Author}}: {{$.Commit.Subject}}{{end}}</p>
{{range .Sorted}}<section class="{{.Risk}}"><h2>{{mark .Action}} {{.Action}} <code>{{.Key}}</code><span class="risk">risk: {{.Risk}}</span></h2>
{{with .Problem}}<p class="problem">Cannot be applied: {{.}}</p>{{end}}
{{if .Effects}}<ul>{{range .Effects}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{with .Irreversible}}<p><strong>An undo does not bring back</strong> {{.}}.</p>{{end}}
{{if .Fields}}<table><thead><tr><th>field<th>is<th>will be<th>means</thead><tbody>
{{range .Fields}}<tr><td><code>{{path .Path}}</code><td><code>{{text .From}}</code><td><code>{{text .To}}</code><td>{{.Means}}
{{end}}</tbody></table>{{end}}
{{with .Files}}<p class="files">{{join .}}</p>{{end}}</section>
{{end}}{{if and .Approval (not .Problems) (eq .What "apply")}}<p>Approval of this by an Environment in Kubernetes: <code>naru.dev/approve-plan={{.Approval}}</code></p>
{{end}}<footer>Plan made {{.Made.Format "2006-01-02 15:04:05"}} UTC</footer>
</body></html>
`))
