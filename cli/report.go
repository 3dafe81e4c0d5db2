package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/flow"
)

// States of a carry and of an index in it.
const (
	stateDone        = "done"
	stateEarlier     = "done before" // nothing was left for this run
	statePartial     = "partial"     // done, but something could not be carried whole
	stateFailed      = "failed"      // parts could not be read
	stateInterrupted = "interrupted"
	stateTaken       = "elsewhere" // another process has what is left
	stateStopped     = "stopped"   // by an error
	stateNotBegun    = "not begun"
	stateMismatch    = "mismatch" // the verification found a difference
)

// A carryReport is the result of a carry, as -o json prints it.
type carryReport struct {
	From         string             `json:"from"`
	To           string             `json:"to"`
	State        string             `json:"state"`
	Indices      []indexReport      `json:"indices"`
	Total        indexReport        `json:"total"`
	Run          runReport          `json:"run"`
	Failed       []flow.PartFailure `json:"failed_parts,omitempty"`
	DeadLetters  []flow.Reason      `json:"dead_letters,omitempty"`
	Notes        []string           `json:"notes,omitempty"`
	Verification *verification      `json:"verification,omitempty"`
	Error        string             `json:"error,omitempty"`
	Nothing      bool               `json:"nothing_to_do,omitempty"` // earlier runs had done it all
	Next         []string           `json:"next,omitempty"`
}

// A runReport is what this run alone did.
type runReport struct {
	Documents int64   `json:"documents"`
	Bytes     int64   `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	PerSecond int64   `json:"documents_per_second"`
}

// An indexReport is the books of an index, over this run and earlier ones.
type indexReport struct {
	Index         string `json:"index,omitempty"`
	Documents     int64  `json:"documents"` // what there is to read
	Delivered     int64  `json:"delivered"`
	There         int64  `json:"already_there"`  // of those delivered
	WithoutSource int64  `json:"without_source"` // of those delivered
	DeadLettered  int64  `json:"dead_lettered"`
	Dropped       int64  `json:"dropped"` // by a stage: not in the sample
	Bytes         int64  `json:"bytes"`   // of the sources delivered
	Verdict       string `json:"verdict"`
	Why           string `json:"why,omitempty"`
	State         string `json:"state"`
	Parts         int    `json:"parts"`
	PartsDone     int    `json:"parts_done"`
	PartsFailed   int    `json:"parts_failed,omitempty"`
	Digest        string `json:"digest"`
}

func newIndexReport(g *flow.GroupReport, r *flow.Report) indexReport {
	i := indexReport{
		Index: g.Name, Documents: max(g.Expected, g.Tally.Read), Delivered: g.Tally.Delivered, There: g.Tally.There,
		WithoutSource: g.Tally.Bodiless, DeadLettered: g.Tally.Dead, Dropped: g.Tally.Dropped, Bytes: g.Tally.Bytes,
		Verdict: string(g.Grade), Why: g.Why, Parts: g.Parts, PartsDone: g.Done, PartsFailed: g.Failed,
		Digest: g.Tally.Digest.String(),
	}
	switch {
	case g.Failed > 0:
		i.State = stateFailed
	case g.Done == g.Parts && (r.Planned || g.Parts > 0 && g.Expected >= 0 && g.Tally.Read >= g.Expected):
		i.State = stateDone
	case g.Parts == 0:
		i.State = stateNotBegun
	case g.Taken > 0 && g.Taken+g.Done == g.Parts:
		i.State = stateTaken
	default:
		i.State = stateInterrupted
	}
	return i
}

// newCarryReport turns a flow's report into what people ask of it. err is what stopped the flow, if anything did.
func newCarryReport(from, to string, r *flow.Report, err error) *carryReport {
	c := &carryReport{From: from, To: to, Failed: r.Failed, DeadLetters: r.Reasons, Indices: []indexReport{}}
	whole, documents := true, int64(0)
	for i := range r.Groups {
		g := newIndexReport(&r.Groups[i], r)
		whole = whole && (g.Verdict == "" || g.Verdict == string(flow.Lossless)) && g.DeadLettered == 0 && g.WithoutSource == 0
		c.Indices = append(c.Indices, g)
		documents += g.Documents
	}
	c.Total = newIndexReport(&r.Total, r)
	c.Total.Documents = documents
	c.Total.Index, c.Total.Verdict, c.Total.Why = "", verdicts(c.Indices), ""
	c.Run = runReport{
		Documents: r.Total.Run.Read, Bytes: r.Total.Run.Bytes, Seconds: r.Elapsed.Seconds(),
		PerSecond: rate(r.Total.Run.Read, r.Elapsed),
	}
	c.Nothing = r.Total.Parts > 0 && r.Total.Earlier == r.Total.Parts
	switch {
	case err != nil:
		c.State, c.Error = stateStopped, err.Error()
	case r.Drained:
		c.State = stateInterrupted
	case len(r.Failed) > 0:
		c.State = stateFailed
	case r.Total.Taken > 0:
		c.State = stateTaken
	case !whole:
		c.State = statePartial
	case c.Nothing:
		c.State = stateEarlier
	default:
		c.State = stateDone
	}
	return c
}

// verified takes over what reading back showed.
func (c *carryReport) verified(v *verification) {
	c.Verification = v
	if !v.Verified {
		c.State = stateMismatch
	}
}

// verdicts sums up: the worst there is.
func verdicts(indices []indexReport) string {
	worst := string(flow.Lossless)
	for _, i := range indices {
		if i.Verdict != "" && i.Verdict != string(flow.Lossless) {
			return string(flow.Partial)
		}
	}
	return worst
}

// code is the exit status that the report stands for.
func (c *carryReport) code() int {
	switch c.State {
	case stateDone, stateEarlier:
		return exitOK
	case stateInterrupted:
		return exitInterrupted
	case stateMismatch:
		return exitMismatch
	case stateStopped:
		return exitFailed
	}
	return exitPartial
}

// troubled reports that an index has something that a reader must see.
func (i *indexReport) troubled() bool {
	return i.State != stateDone || i.Verdict != string(flow.Lossless) && i.Verdict != "" || i.DeadLettered > 0 || i.WithoutSource > 0
}

// write writes the report as text; limit bounds the rows of each list, 0: all.
func (c *carryReport) write(w io.Writer, width, limit int) error {
	if len(c.Indices) == 0 {
		fmt.Fprintln(w, "No index: nothing matched, or there is nothing.")
	} else {
		t := c.table(limit, wideColumns, (*indexReport).wide)
		if !t.fits(width) {
			t = c.table(limit, narrowColumns, (*indexReport).narrow)
			if last := t.rows[len(t.rows)-1]; len(c.Indices) > 1 {
				last[len(last)-1] = "" // the total has several of these, and no room for them
			}
		}
		if err := t.write(w, width); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for line := range strings.SplitSeq(c.summary(), "\n") {
		wrap(w, "", line, proseWidth(width))
	}
	c.writeWhy(w, width, limit)
	writeFailures(w, width, "FAILED PARTS", c.Failed, limit)
	writeDead(w, "DEAD LETTERS OF THIS RUN", c.DeadLetters)
	if v := c.Verification; v != nil && !v.Verified {
		fmt.Fprint(w, "\nNOT WHAT WAS READ\n")
		if err := writeGroups(w, width, limit, v.Different, "FLOW", "TARGET"); err != nil {
			return err
		}
		writeUnread(w, width, v.Failed, limit, "the flow", "the target")
	}
	writeList(w, "NOTES", c.Notes)
	writeList(w, "NEXT", c.Next)
	return nil
}

// wideColumns are the columns where there is room.
func wideColumns() []column {
	return []column{
		{title: "INDEX", shrink: true}, {title: "DOCUMENTS", right: true}, {title: "DELIVERED", right: true}, {title: "WERE THERE", right: true, optional: true},
		{title: "NO SOURCE", right: true, optional: true}, {title: "DEAD", right: true, optional: true},
		{title: "DROPPED", right: true, optional: true}, {title: "SIZE", right: true}, {title: "VERDICT"}, {title: "STATE"},
	}
}

func (i *indexReport) wide(name, state string) []string {
	return []string{
		printable(name), count(i.Documents), count(i.Delivered), count(i.There), count(i.WithoutSource), count(i.DeadLettered),
		count(i.Dropped), size(i.Bytes), cmp.Or(i.Verdict, "-"), state,
	}
}

// narrowColumns are the columns where there is not.
func narrowColumns() []column {
	return []column{
		{title: "INDEX", shrink: true}, {title: "DOCUMENTS", right: true}, {title: "DELIVERED", right: true},
		{title: "SIZE", right: true}, {title: "RESULT"}, {title: "OF THESE", optional: true},
	}
}

func (i *indexReport) narrow(name, state string) []string {
	result := state
	if state == stateDone && i.Verdict != "" {
		result = i.Verdict
	}
	var of []string
	for _, n := range []struct {
		n    int64
		what string
	}{{i.There, "were there"}, {i.WithoutSource, "no source"}, {i.DeadLettered, "dead"}, {i.Dropped, "dropped"}} {
		if n.n > 0 {
			of = append(of, short(n.n)+" "+n.what)
		}
	}
	return []string{printable(name), short(i.Documents), short(i.Delivered), size(i.Bytes), result, strings.Join(of, ", ")}
}

// table has a row for each index that is shown, one for the others, and the total.
func (c *carryReport) table(limit int, columns func() []column, cells func(i *indexReport, name, state string) []string) *table {
	t := &table{columns: columns()}
	rows := some(len(c.Indices), limit, func(i int) bool { return c.Indices[i].troubled() },
		func(i int) int64 { return c.Indices[i].Documents })
	for _, n := range rows {
		i := &c.Indices[n]
		t.row(cells(i, i.Index, i.State)...)
	}
	if hidden := len(c.Indices) - len(rows); hidden > 0 {
		rest, troubled := c.rest(rows)
		state := "all done"
		if troubled > 0 {
			state = count(troubled) + " not"
		}
		t.row(cells(&rest, t.more(hidden), state)...)
	}
	if len(c.Indices) > 1 {
		t.row(cells(&c.Total, "total", c.State)...)
	}
	return t
}

// rest sums up the indices that rows leaves out.
func (c *carryReport) rest(rows []int) (sum indexReport, troubled int64) {
	for i := range c.Indices {
		if _, shown := slices.BinarySearch(rows, i); shown {
			continue
		}
		x := &c.Indices[i]
		sum.Documents += x.Documents
		sum.Delivered += x.Delivered
		sum.There += x.There
		sum.WithoutSource += x.WithoutSource
		sum.DeadLettered += x.DeadLettered
		sum.Dropped += x.Dropped
		sum.Bytes += x.Bytes
		if x.troubled() {
			troubled++
		}
	}
	return sum, troubled
}

// summary says in a few lines how it ended, what this run did, and whether that was verified.
func (c *carryReport) summary() string {
	ended := map[string]string{
		stateEarlier:     "Done already by an earlier run.",
		stateDone:        "Done: everything has arrived whole.",
		statePartial:     "Done, but not everything could be carried whole.",
		stateFailed:      plural(int64(len(c.Failed)), "part") + " could not be read; the rest has arrived.",
		stateInterrupted: fmt.Sprintf("Interrupted: %s of %s documents have arrived.", count(c.Total.Delivered+c.Total.Dropped), count(c.Total.Documents)),
		stateTaken:       "Another process has the rest.",
		stateMismatch:    "What arrived is not what was read: see below.",
		stateStopped:     "Stopped: " + c.Error,
	}[c.State]
	did := fmt.Sprintf("This run: %s documents, %s in %s (%s documents/s).", count(c.Run.Documents), size(c.Run.Bytes),
		elapsed(time.Duration(c.Run.Seconds*float64(time.Second))), count(c.Run.PerSecond))
	if c.Nothing {
		did = "Nothing was left to carry, nothing was added."
	}
	if c.State == stateInterrupted && c.Error != "" {
		ended += "\nLeft unfinished: " + c.Error
	}
	lines := ended + "\n" + did
	if c.Verification != nil {
		lines += "\n" + c.Verification.sentence()
	}
	return lines
}

// writeWhy says what the verdicts mean, indices with the same reason together.
func (c *carryReport) writeWhy(w io.Writer, width, limit int) {
	var reasons []string
	for i := range c.Indices {
		x := &c.Indices[i]
		if x.Verdict != "" && x.Verdict != string(flow.Lossless) {
			reasons = append(reasons, reason(x.Verdict, x.Why, x.Index))
		}
	}
	writeReasons(w, width, "NOT LOSSLESS", reasons, limit)
}

// reason is a line for writeReasons.
func reason(verdict, why, index string) string {
	return verdict + ": " + printable(cmp.Or(why, "the source does not say why")) + "\x00" + printable(index)
}

// writeReasons writes reasons, those that are alike as one.
func writeReasons(w io.Writer, width int, title string, reasons []string, limit int) {
	if len(reasons) == 0 {
		return
	}
	slices.Sort(reasons)
	fmt.Fprintf(w, "\n%s\n", title)
	for len(reasons) > 0 {
		why, _, _ := strings.Cut(reasons[0], "\x00")
		var names []string
		for len(reasons) > 0 {
			other, name, _ := strings.Cut(reasons[0], "\x00")
			if other != why {
				break
			}
			if len(names) == 0 || names[len(names)-1] != name {
				names = append(names, name)
			}
			reasons = reasons[1:]
		}
		wrap(w, "  ", why, width)
		wrap(w, "    ", someNames(names, limit), width)
	}
}

// someNames lists names, of very many the first ones.
func someNames(names []string, limit int) string {
	const few = 5
	if limit > 0 && len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %s more", count(int64(len(names)-few)))
	}
	return strings.Join(names, ", ")
}

func writeFailures(w io.Writer, width int, title string, failed []flow.PartFailure, limit int) {
	if len(failed) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for n, f := range failed {
		if limit > 0 && n == limit {
			fmt.Fprintf(w, "  and %s more (--all)\n", count(int64(len(failed)-n)))
			return
		}
		fmt.Fprintf(w, "  %s\n", printable(f.Part))
		for line := range strings.SplitSeq(f.Error, "\n") {
			wrap(w, "    ", printable(strings.TrimSpace(line)), width)
		}
	}
}

func writeDead(w io.Writer, title string, reasons []flow.Reason) {
	if len(reasons) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, r := range reasons {
		fmt.Fprintf(w, "  %s × %s\n    for example %s/%s\n", count(r.Count), printable(r.Message), printable(r.SampleIndex), printable(r.SampleID))
	}
}

func writeList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, l := range lines {
		fmt.Fprintf(w, "  %s\n", l)
	}
}
