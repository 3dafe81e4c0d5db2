package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/migrate/graft"
	"github.com/narudata/naru/migrate/graft/rules"
)

// writePlan writes what can be grafted and why not.
func writePlan(w io.Writer, width int, f *graftFlags, p *graft.Plan) error {
	rows := p.Indices
	several := len(p.Snapshots) > 1
	fmt.Fprintf(w, "%s for OpenSearch %s: %s", printable(p.From), p.Target, plural(int64(len(p.Snapshots)), "snapshot"))
	if !several && len(p.Snapshots) == 1 {
		fmt.Fprintf(w, " (%s, %s, by %s)", printable(p.Snapshots[0].Name), p.Snapshots[0].State, cmp.Or(p.Snapshots[0].Version, "an unknown server"))
	}
	fmt.Fprint(w, "\n\n")
	if len(rows) == 0 {
		fmt.Fprintln(w, "No index is in it.")
		return nil
	}
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "SNAPSHOT", shrink: true, optional: true}, {title: "LIVE", right: true},
		{title: "SIZE", right: true}, {title: "SHARDS", right: true}, {title: "CREATED BY", shrink: true},
		{title: "LUCENE", optional: true}, {title: "LANE"},
	}}
	shown := some(len(rows), f.limit(), func(i int) bool { return !rows[i].Lane.Grafted() && rows[i].Lane != graft.Left },
		func(i int) int64 { return rows[i].Bytes })
	var total, rest graft.Index
	add := func(x *graft.Index, name, lane string) {
		from := ""
		if several {
			from = x.Snapshot
		}
		if x.Closed {
			lane += " (closed)"
		}
		t.row(printable(name), printable(from), count(x.Live), size(x.Bytes), count(int64(x.Shards)), x.Created, luceneRange(x.Lucene), lane)
	}
	sumIndex := func(to, x *graft.Index) {
		to.Live += x.Live
		to.Bytes += x.Bytes
		to.Shards += x.Shards
	}
	for i := range rows {
		sumIndex(&total, &rows[i])
		if _, ok := slices.BinarySearch(shown, i); ok {
			add(&rows[i], rows[i].Name, string(rows[i].Lane))
		} else {
			sumIndex(&rest, &rows[i])
		}
	}
	if hidden := len(rows) - len(shown); hidden > 0 {
		add(&rest, t.more(hidden), "")
	}
	if len(rows) > 1 {
		add(&total, "total", "")
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n", lanes(p))
	writeVerdicts(w, width, f, p)
	return nil
}

// luceneRange names the oldest and the newest version.
func luceneRange(versions []string) string {
	switch len(versions) {
	case 0:
		return ""
	case 1:
		return versions[0]
	}
	return versions[0] + " to " + versions[len(versions)-1]
}

// lanes counts the indices of each lane, and what they weigh.
func lanes(p *graft.Plan) string {
	var parts []string
	for _, lane := range []graft.Lane{graft.Graft, graft.Repair, graft.Reindex, graft.Blocked, graft.Left} {
		n, bytes := int64(0), int64(0)
		for _, x := range p.Newest() {
			if x.Lane == lane {
				n++
				bytes += x.Bytes
			}
		}
		if n == 0 {
			continue
		}
		part := fmt.Sprintf("%s: %s", lane, plural(n, "index"))
		if lane != graft.Left {
			part += " of " + size(bytes)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ") + "."
}

// writeVerdicts writes the reasons, those that are alike as one.
func writeVerdicts(w io.Writer, width int, f *graftFlags, p *graft.Plan) {
	var refused, ways, repairs, plugins, missing, partial, lost []string
	changes := make(map[string]map[string]bool) // rule and what is done → indices
	note := func(what, name string) {
		if changes[what] == nil {
			changes[what] = make(map[string]bool)
		}
		changes[what][name] = true
	}
	for i := range p.Indices {
		x := &p.Indices[i]
		name := printable(x.Name)
		if len(p.Snapshots) > 1 {
			name += " in " + printable(x.Snapshot)
		}
		for _, r := range x.Refusals {
			why := fmt.Sprintf("[%s] %s: %s", r.Rule, printable(r.Where), printable(r.Why))
			if strings.HasPrefix(r.Where, "segment ") { // alike in many segments
				why = fmt.Sprintf("[%s] %s", r.Rule, printable(r.Why))
			}
			refused = append(refused, why+"\x00"+name)
			if r.Way != "" {
				ways = append(ways, printable(r.Way)+"\x00"+name)
			}
		}
		if !x.Lane.Grafted() {
			if x.Lane == graft.Reindex && x.Source == flow.Partial {
				partial = append(partial, "fields are left out of the _source: reindexing carries what is there\x00"+name)
			}
			continue
		}
		for _, r := range x.Repairs {
			repairs = append(repairs, fmt.Sprintf("[%s] field %s: %s (%s)\x00%s", r.Rule, printable(r.Field), printable(r.Why), r.How, name))
		}
		for _, plugin := range x.Plugins {
			plugins = append(plugins, "the nodes of OpenSearch must have "+printable(plugin)+"\x00"+name)
		}
		if len(x.Missing) > 0 {
			missing = append(missing, fmt.Sprintf("%s of %s not in the snapshot; the others are restored with --partial\x00%s",
				plural(int64(len(x.Missing)), "shard"), count(int64(x.Shards)), name))
		}
		for _, ch := range x.Changes {
			if ch.Rule == rules.Unsearchable {
				lost = append(lost, fmt.Sprintf("%s: %s\x00%s", printable(ch.What), printable(ch.Why), name+" "+printable(ch.Where)))
				continue
			}
			note(changed(&ch, f.wide), name)
		}
	}
	for i := range p.Snapshots {
		s := &p.Snapshots[i]
		for _, ch := range s.Cluster {
			note(changed(&ch, f.wide), "cluster metadata of "+printable(s.Name))
		}
	}
	writeReasons(w, width, "NOT GRAFTED", refused, f.limit())
	writeReasons(w, width, "WHAT FREES THEM", ways, f.limit())
	writeReasons(w, width, "NOT SEARCHABLE AFTERWARDS, BUT IN THE DOCUMENTS", lost, f.limit())
	writeReasons(w, width, "REINDEXED IN PART", partial, f.limit())
	writeReasons(w, width, "REPAIRED AFTER THE RESTORE", repairs, f.limit())
	writeReasons(w, width, "NEEDED", plugins, f.limit())
	writeReasons(w, width, "SHARDS MISSING", missing, f.limit())
	var all []string
	for _, what := range slices.Sorted(maps.Keys(changes)) {
		for _, name := range slices.Sorted(maps.Keys(changes[what])) {
			all = append(all, what+"\x00"+name)
		}
	}
	title := "CHANGES OF METADATA"
	if !f.wide && len(all) > 0 {
		title += " (--wide says why)"
	}
	writeReasons(w, width, title, all, f.limit())
}

// changed says what was changed; of fields, which are many, only what became of them.
func changed(ch *rules.Change, wide bool) string {
	switch {
	case wide:
		return fmt.Sprintf("[%s] %s: %s. %s", ch.Rule, printable(ch.Where), printable(ch.What), printable(ch.Why))
	case strings.HasPrefix(ch.Where, "field "):
		return fmt.Sprintf("[%s] %s", ch.Rule, printable(ch.What))
	}
	return fmt.Sprintf("[%s] %s: %s", ch.Rule, printable(ch.Where), printable(ch.What))
}
