package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
)

// marks are how a plan marks what it does, without colour.
var marks = map[estate.Action]string{
	estate.Create: "+", estate.Update: "~", estate.Delete: "-", estate.Adopt: "=", estate.Forget: ".",
}

// fieldsShown is how many fields of an object are shown without --all.
const fieldsShown = 20

// writeEstatePlan writes a plan for people.
func writeEstatePlan(w io.Writer, width int, p *estate.Plan, all bool) error {
	title := "Plan for " + p.Environment
	switch p.What {
	case "undo":
		title = "Undo of " + p.Undoes + " on " + p.Environment
	case "repair":
		title = "Repair of " + p.Environment
	}
	fmt.Fprintf(w, "%s, estate %s\n", printable(title), printable(p.Estate))
	fmt.Fprintf(w, "cluster %s, %s at %s\n", printable(p.Cluster.Name), p.Cluster.Version, printable(strings.Join(p.Target.URLs, ", ")))
	if p.Kafka != nil {
		fmt.Fprintf(w, "kafka %s at %s\n", printable(p.Cluster.Kafka), printable(strings.Join(p.Kafka.Brokers, ", ")))
	}
	if p.Dashboards != nil {
		fmt.Fprintf(w, "dashboards at %s\n", printable(p.Dashboards.URL))
	}
	if p.Commit.ID != "" {
		dirty := ""
		if p.Commit.Dirty {
			dirty = ", and changes that are not committed"
		}
		wrap(w, "", fmt.Sprintf("commit %s by %s: %s%s", p.Commit.Short(), printable(p.Commit.Author), printable(p.Commit.Subject), dirty), width)
	}
	fmt.Fprintln(w)
	limit := fieldsShown
	if all {
		limit = 0
	}
	for i := range p.Changes {
		writeChange(w, width, &p.Changes[i], limit)
	}
	for _, note := range p.Notes {
		wrap(w, "note: ", printable(note), proseWidth(width))
	}
	_, err := fmt.Fprintln(w, p.Summary())
	if n := p.Problems(); n > 0 {
		_, err = fmt.Fprintf(w, "%s cannot be applied as it stands: see the lines that begin with !\n", plural(int64(n), "change"))
	} else if p.What == "apply" && p.Approval != "" {
		_, err = fmt.Fprintf(w, "Approval of this by an Environment in Kubernetes: naru.dev/approve-plan=%s\n", p.Approval)
	}
	return err
}

func writeChange(w io.Writer, width int, ch *estate.Change, limit int) {
	line := fmt.Sprintf("%s %s  %s", marks[ch.Action], ch.Action, printable(ch.Key.String()))
	if ch.Risk != estate.NoRisk {
		line += "  risk " + string(ch.Risk)
	}
	fmt.Fprintln(w, line)
	if ch.Problem != "" {
		wrap(w, "  ! ", printable(ch.Problem), width)
	}
	writeFields(w, width, ch.Fields, limit)
	for _, e := range ch.Effects {
		wrap(w, "    → ", printable(e), width)
	}
	if ch.Irreversible != "" {
		wrap(w, "    → ", "an undo does not bring back "+printable(ch.Irreversible), width)
	}
	if len(ch.Files) > 0 {
		wrap(w, "      ", printable(strings.Join(ch.Files, " + ")), width)
	}
	fmt.Fprintln(w)
}

// writeFields writes the differences, at most limit of them; 0: all.
func writeFields(w io.Writer, width int, fields []estate.Field, limit int) {
	for i, f := range fields {
		if limit > 0 && i == limit {
			fmt.Fprintf(w, "    and %s more fields (--all)\n", count(int64(len(fields)-limit)))
			return
		}
		fmt.Fprintf(w, "    %s  %s\n", printable(orWhole(f.Path)), fieldChange(&f, width))
		if f.Means != "" {
			wrap(w, "      ", printable(f.Means), width)
		}
	}
}

func orWhole(path string) string {
	if path == "" {
		return "(all of it)"
	}
	return path
}

// fieldChange writes from → to, each cut to what a line can hold.
func fieldChange(f *estate.Field, width int) string {
	room := 60
	if width == 0 {
		room = 400
	}
	from, to := jsonText(f.From, room), jsonText(f.To, room)
	switch {
	case f.From == nil:
		return "+ " + to
	case f.To == nil:
		return "- " + from
	}
	return from + " → " + to
}

// jsonText is a value as it is read best: a list of texts by what is in it.
func jsonText(raw json.RawMessage, room int) string {
	return cut(printable(string(raw)), room)
}

// orderOfRisk sorts changes for readers of a pull request: what wants most care first.
func orderOfRisk(changes []estate.Change) []estate.Change {
	weight := map[estate.Risk]int{estate.High: 3, estate.Medium: 2, estate.Low: 1}
	out := slices.Clone(changes)
	slices.SortStableFunc(out, func(a, b estate.Change) int { return weight[b.Risk] - weight[a.Risk] })
	return out
}
