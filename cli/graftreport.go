package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/migrate/graft"
	"github.com/narudata/naru/migrate/restore"
)

// A graftReport is the result of a graft, as -o json prints it.
type graftReport struct {
	Plan         *graft.Plan      `json:"plan"`
	To           string           `json:"to,omitempty"`
	State        string           `json:"state"`
	Written      graft.Written    `json:"written"`
	Restore      *restore.Report  `json:"restore,omitempty"`
	Templates    []restore.Placed `json:"templates,omitempty"`
	Verification *verification    `json:"verification,omitempty"`
	Carry        *carryReport     `json:"carry,omitempty"` // what was carried document by document
	Taken        []string         `json:"taken,omitempty"` // not carried: the cluster has others of these names
	Seconds      graftSeconds     `json:"seconds"`
	Notes        []string         `json:"notes,omitempty"`
	Next         []string         `json:"next,omitempty"`
}

// graftSeconds is what took how long.
type graftSeconds struct {
	Write   float64 `json:"write"` // and planning
	Restore float64 `json:"restore,omitempty"`
	Verify  float64 `json:"verify,omitempty"`
	Total   float64 `json:"total"`
}

// finish judges.
func (r *graftReport) finish(started time.Time) {
	r.Seconds.Total = time.Since(started).Seconds()
	whole := !slices.ContainsFunc(r.Plan.Newest(), func(x graft.Index) bool {
		carried := x.Lane == graft.Reindex && r.Carry != nil && !slices.Contains(r.Taken, x.Name)
		return !x.Lane.Grafted() && x.Lane != graft.Left && !carried || len(x.Missing) > 0
	})
	r.State = stateDone
	switch {
	case r.Verification != nil && !r.Verification.Verified, r.Restore != nil && r.differs():
		r.State = stateMismatch
	case !whole, r.Restore != nil && !r.Restore.Right():
		r.State = statePartial
	}
	if r.Carry != nil && worse(r.Carry.code(), r.code()) {
		r.State = r.Carry.State
	}
}

// worse reports that a is the exit status to be told rather than b.
func worse(a, b int) bool {
	order := []int{exitOK, exitPartial, exitMismatch, exitInterrupted, exitFailed}
	return slices.Index(order, a) > slices.Index(order, b)
}

// differs reports that a check of a restored index failed.
func (r *graftReport) differs() bool {
	return slices.ContainsFunc(r.Restore.Indices, func(o restore.Outcome) bool {
		return slices.ContainsFunc(o.Checks, func(c restore.Check) bool { return c.Result == restore.Differs })
	})
}

func (r *graftReport) code() int {
	switch r.State {
	case stateDone, stateEarlier:
		return exitOK
	case stateMismatch:
		return exitMismatch
	case stateInterrupted:
		return exitInterrupted
	case stateStopped:
		return exitFailed
	}
	return exitPartial
}

func (r *graftReport) write(w io.Writer, width int, f *graftFlags) error {
	if r.Restore == nil {
		if err := writePlan(w, width, f, r.Plan); err != nil {
			return err
		}
	} else if err := r.writeRestored(w, width, f); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, line := range r.summary() {
		wrap(w, "", line, proseWidth(width))
	}
	if r.Restore != nil {
		writeVerdicts(w, width, f, r.Plan)
		r.writeTroubles(w, width, f.limit())
	}
	writeReasons(w, width, "TEMPLATES, PIPELINES, SCRIPTS", placed(r.Templates), f.limit())
	if v := r.Verification; v != nil && !v.Verified {
		fmt.Fprint(w, "\nNOT WHAT IS IN THE SNAPSHOT\n")
		if err := writeGroups(w, width, f.limit(), v.Different, "SNAPSHOT", "CLUSTER"); err != nil {
			return err
		}
		writeDifferences(w, width, v.Different, f.limit())
		writeUnread(w, width, v.Failed, f.limit(), "the snapshot", "the cluster")
	}
	if r.Carry != nil {
		fmt.Fprint(w, "\nCARRIED DOCUMENT BY DOCUMENT\n")
		if err := r.Carry.write(w, width, f.limit()); err != nil {
			return err
		}
	}
	writeList(w, "NOTES", r.Notes)
	writeList(w, "NEXT", r.Next)
	return nil
}

// summary says in sentences what was done.
func (r *graftReport) summary() []string {
	var out []string
	n := r.Plan.Grafts()
	if n == 0 {
		return []string{"Nothing can be grafted, and nothing was written."}
	}
	s := &r.Written
	switch {
	case s.Nothing:
		out = append(out, fmt.Sprintf("%s was written before, and is complete: nothing to do.", printable(r.To)))
	case s.Metadata.Blobs > 0 || s.Generation > 0 || s.OfShards > 0:
		parts := []string{plural(s.Metadata.Blobs, "blob") + " of metadata, " + size(s.Metadata.Bytes) + ", written"}
		for _, x := range []struct {
			c    graft.Count
			what string
		}{{s.Linked, "linked"}, {s.CopiedThere, "copied by S3"}, {s.Streamed, "copied through naru"}, {s.Kept, "there before"}} {
			if x.c.Blobs > 0 {
				parts = append(parts, fmt.Sprintf("%s of data, %s, %s", plural(x.c.Blobs, "blob"), size(x.c.Bytes), x.what))
			}
		}
		out = append(out, fmt.Sprintf("%s for OpenSearch %s: %s, in %s.", printable(r.To), r.Plan.Target, strings.Join(parts, "; "),
			seconds(r.Seconds.Write)))
	}
	if r.Restore != nil {
		done := r.Restore.Count(restore.Restored)
		line := fmt.Sprintf("%s restored %s in %s", r.Restore.Cluster, plural(int64(done), "index"), seconds(r.Seconds.Restore))
		if there := r.Restore.Count(restore.WasThere); there > 0 {
			line += fmt.Sprintf("; %s restored before", plural(int64(there), "index"))
		}
		out = append(out, line+".")
	}
	if v := r.Verification; v != nil {
		if v.Verified {
			out = append(out, fmt.Sprintf("Verified: %s documents in %s are, byte for byte, what the segments of the snapshot hold (%s).",
				count(v.Documents), plural(int64(v.Indices), "index"), seconds(v.Seconds)))
		} else {
			out = append(out, fmt.Sprintf("NOT VERIFIED: %s of %s differ from the segments of the snapshot.",
				count(int64(len(v.Different))), plural(int64(v.Indices), "index")))
		}
	}
	return out
}

func seconds(s float64) string { return elapsed(time.Duration(s * float64(time.Second))) }

// writeRestored writes a row for each index that was to be restored.
func (r *graftReport) writeRestored(w io.Writer, width int, f *graftFlags) error {
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "SNAPSHOT", shrink: true, optional: true}, {title: "LIVE", right: true}, {title: "SIZE", right: true},
		{title: "TOOK", right: true, optional: true}, {title: "LANE"}, {title: "CHECKS", optional: true}, {title: "RESULT"},
	}}
	outcomes := make(map[string]*restore.Outcome, len(r.Restore.Indices))
	for i := range r.Restore.Indices {
		outcomes[r.Restore.Indices[i].Index] = &r.Restore.Indices[i]
	}
	rows := r.Plan.Newest()
	troubled := func(i int) bool {
		o := outcomes[rows[i].Name]
		return rows[i].Lane != graft.Left && (o == nil || !o.Right())
	}
	shown := some(len(rows), f.limit(), troubled, func(i int) int64 { return rows[i].Bytes })
	var rest graft.Index
	for i := range rows {
		x := &rows[i]
		if _, ok := slices.BinarySearch(shown, i); !ok {
			rest.Live += x.Live
			rest.Bytes += x.Bytes
			continue
		}
		from, took, checks, result := "", "", "", "-"
		if len(r.Plan.Snapshots) > 1 {
			from = x.Snapshot
		}
		if o := outcomes[x.Name]; o != nil {
			result = string(o.State)
			if o.Took > 0 {
				took = elapsed(o.Took)
			}
			checks = checked(o)
		}
		t.row(printable(x.Name), printable(from), count(x.Live), size(x.Bytes), took, string(x.Lane), checks, result)
	}
	if hidden := len(rows) - len(shown); hidden > 0 {
		t.row(t.more(hidden), "", count(rest.Live), size(rest.Bytes), "", "", "", "")
	}
	return t.write(w, width)
}

// checked says what the checks of an index found.
func checked(o *restore.Outcome) string {
	n := 0
	for _, c := range o.Checks {
		if c.Result == restore.Differs {
			return "FAILED: " + c.Name
		}
		if c.Result == restore.Holds {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return plural(int64(n), "check") + " ok"
}

// writeTroubles lists what went wrong with indices, and what else there is to say of them.
func (r *graftReport) writeTroubles(w io.Writer, width, limit int) {
	var failed, notes []string
	for i := range r.Restore.Indices {
		o := &r.Restore.Indices[i]
		name := printable(o.Index)
		if o.State != restore.Restored && o.State != restore.WasThere {
			failed = append(failed, fmt.Sprintf("%s: %s\x00%s", o.State, printable(o.Why), name))
		}
		for _, c := range o.Checks {
			if c.Result == restore.Differs {
				failed = append(failed, fmt.Sprintf("check %s failed: %s\x00%s", c.Name, printable(c.Found), name))
			}
		}
		for _, p := range o.Repaired {
			if !p.Done {
				failed = append(failed, fmt.Sprintf("repair of %s is not done: %s\x00%s", printable(p.Field), printable(p.Problem), name))
			} else {
				notes = append(notes, fmt.Sprintf("field %s was repaired\x00%s (%s)", printable(p.Field), name, plural(p.Updated, "document")))
			}
		}
		for _, note := range o.Notes {
			notes = append(notes, printable(note)+"\x00"+name)
		}
	}
	for _, note := range r.Restore.Notes {
		notes = append(notes, printable(note)+"\x00"+"the cluster")
	}
	writeReasons(w, width, "NOT RIGHT", failed, limit)
	writeReasons(w, width, "RESTORED", notes, limit)
}

// placed says what became of templates and the like.
func placed(all []restore.Placed) []string {
	var out []string
	for _, p := range all {
		if p.Fate == restore.BuiltIn {
			continue
		}
		what := string(p.Fate)
		if p.Why != "" {
			what += ": " + printable(p.Why)
		}
		out = append(out, fmt.Sprintf("%s, %s\x00%s", p.Kind, what, printable(p.Name)))
	}
	return out
}
