package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/migrate/verify"
)

func newVerifyCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "verify A B | FLOW.yaml",
		short: "compare two places, document by document",
		long: `Reads every document of A and of B and compares counts and digests of index, id,
routing and source for each index, whatever the order; where these differ, it names the
documents that do. A and B are snapshot repositories, archives, or clusters
(https://host:9200). What A's documents go through on their way (--sample, --mask) is
done to them first. --snapshot is for each of the two that is a repository.

With a flow file, A is its source and B what its sink has. What a cluster has beside
what was carried is then ignored, and documents that it refused may be missing.`,
		examples: []example{
			{"naru verify /backups/es /archive", "is the archive what the latest snapshot is?"},
			{"naru verify /backups/es /test -i 'logs-*' --sample 1%", "the same for a sample"},
			{"naru verify /archive-2023 /archive-copy -o json", "two archives"},
			{"naru verify /archive https://node-1:9200 --extra ignore", "is all of the archive in the cluster, whatever else is there?"},
			{"naru verify /archive https://node-1:9200 --counts", "a first look, in seconds"},
			{"naru verify flow.yaml", "has everything arrived that naru run carried?"},
		},
		exits: []exit{
			{exitOK, "they hold the same documents"},
			{exitFailed, "one of them cannot be read, or the arguments are wrong"},
			{exitMismatch, "they differ; the tables say where"},
			{exitPartial, "what could be read is the same, but something could not be read"},
			{exitInterrupted, "interrupted"},
		},
	})
	cmd.Args = flowFileOr("A", "B")
	choose := addSourceFlags(cmd)
	run := &runFlags{progress: progressChoice(), output: outputFlag(cmd)}
	flags := cmd.Flags()
	flags.BoolVar(&run.all, "all", false, "show every index, however many there are")
	how := compareFlags{extra: choice{value: "report", of: []string{"report", "ignore"}}}
	flags.Var(&how.extra, "extra", "`report` what only B has as a difference, or ignore it: is all of A in B?")
	flags.BoolVar(&how.counts, "counts", false, "compare the numbers of documents only, without reading any")
	complete(cmd, "extra", how.extra.of...)
	flags.IntVar(&run.workers, "workers", 0, "read `N` parts at a time; 0: one per processor")
	flags.Var(&run.progress, "progress", "show progress on standard error as `HOW` auto, bar, line, json or none")
	complete(cmd, "progress", run.progress.of...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			for _, name := range append([]string{"extra", "counts"}, sourceFlagNames...) {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s is for A and B; a flow file says itself what is carried", name)
				}
			}
			f, err := c.readFlow(args[0])
			if err != nil {
				return err
			}
			return c.verifyFlow(cmd.Context(), f, run)
		}
		return c.verify(cmd.Context(), choose, &how, run, args[0], args[1])
	}
	return cmd
}

// compareFlags say what is compared, and what a difference is.
type compareFlags struct {
	extra  choice
	counts bool
}

func (c *common) verify(ctx context.Context, choose *sourceFlags, how *compareFlags, run *runFlags, nameA, nameB string) (err error) {
	if how.counts && choose.sample != "" {
		return errors.New("--counts does not know how many documents a --sample has: leave one of them out")
	}
	stages, err := choose.stages()
	if err != nil {
		return err
	}
	built, err := connect.OpenStages(stages, c.Getenv)
	if err != nil {
		return err
	}
	a, closeA, err := c.openSide(ctx, choose, nameA)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeA()) }()
	b, closeB, err := c.openSide(ctx, choose, nameB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeB()) }()
	if choose.snapshot != "" && !isRepository(nameA) && !isRepository(nameB) {
		return errors.New("--snapshot is for snapshot repositories, and neither of the two is one")
	}
	p := newReadBack(nil)
	w := c.watch(ctx, p.snapshot, run.progress.value)
	messages := *c
	messages.Stderr = w
	o := verify.Options{Indices: choose.indices, Stages: built, Workers: run.workers, Progress: p.add, Log: messages.log()}
	if how.extra.value == "ignore" {
		o.Extra = verify.IgnoreExtra
	}
	compare := verify.Compare
	if how.counts {
		compare = verify.Counts
	}
	report, err := compare(ctx, a, b, o)
	w.stop()
	if err != nil {
		return err
	}
	return c.compared(&comparison{A: nameA, B: nameB, counts: how.counts, Report: report}, run)
}

// compared prints a comparison, and gives the status that it stands for.
func (c *common) compared(out *comparison, run *runFlags) error {
	c.leaveComparison(out)
	if err := c.print(run.output, out, func(w io.Writer, width int) error { return out.write(w, width, run.limit()) }); err != nil {
		return err
	}
	if code := out.code(); code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// isRepository reports that arg names a snapshot repository.
func isRepository(arg string) bool {
	p, err := sourcePlace(arg)
	return err == nil && p.kind == kindSnapshot
}

// openSide opens one of the two places. An archive that is not complete is read as far as it is.
func (c *common) openSide(ctx context.Context, choose *sourceFlags, arg string) (flow.Source, func() error, error) {
	side := *choose
	if !isRepository(arg) {
		side.snapshot = ""
	}
	config, err := side.source(arg)
	if err != nil {
		return nil, nil, err
	}
	source, closer, err := config.Open(ctx, c.Getenv)
	if err == nil || config.Archive == nil {
		return source, closer, err
	}
	committed, closer, cerr := config.Archive.OpenCommitted(ctx)
	if cerr != nil {
		return nil, nil, err
	}
	fmt.Fprintf(c.Stderr, "note: %s is not complete; what is committed so far is compared\n", arg)
	return committed, closer, nil
}

// A comparison is the result of `naru verify`.
type comparison struct {
	A string `json:"place_a"`
	B string `json:"place_b"`
	verify.Report

	counts bool // nothing was read
}

// agrees reports that there is nothing wrong with a group.
func agrees(g *verify.Group) bool { return g.State == verify.Equal || g.State == verify.Within }

// within reports that B has more than A.
func (r *comparison) within() bool {
	return slices.ContainsFunc(r.Groups, func(g verify.Group) bool { return g.State == verify.Within })
}

func (r *comparison) code() int {
	switch {
	case r.Equal:
		return exitOK
	case slices.ContainsFunc(r.Groups, func(g verify.Group) bool { return !agrees(&g) && g.State != verify.Unread }):
		return exitMismatch
	}
	return exitPartial
}

func (r *comparison) write(w io.Writer, width, limit int) error {
	fmt.Fprintf(w, "A  %s\nB  %s\n\n", printable(r.A), printable(r.B))
	if len(r.Groups) == 0 {
		_, err := fmt.Fprintln(w, "There is nothing to compare: neither has an index that matches.")
		return err
	}
	if err := writeGroups(w, width, limit, r.Groups, "A", "B"); err != nil {
		return err
	}
	switch {
	case r.counts && r.Equal:
		fmt.Fprintf(w, "\nThe numbers of documents agree in %s. No document was read.\n", plural(int64(len(r.Groups)), "index"))
	case r.counts && r.code() == exitPartial:
		fmt.Fprint(w, "\nThe numbers that are known agree, but not all are.\n")
	case r.Equal && r.within():
		fmt.Fprintf(w, "\nAll %s documents of A in %s are in B, with their ids, routing and sources, byte for byte. B has more.\n",
			count(r.Report.A.Records), plural(int64(len(r.Groups)), "index"))
	case r.Equal:
		fmt.Fprintf(w, "\nEqual: %s documents in %s, with their ids, routing and sources, byte for byte.\n",
			count(r.Report.A.Records), plural(int64(len(r.Groups)), "index"))
	case r.code() == exitMismatch:
		fmt.Fprint(w, "\nA and B differ.\n")
	default:
		fmt.Fprint(w, "\nWhat could be read is equal, but not everything could be read.\n")
	}
	writeDifferences(w, width, r.Groups, limit)
	writeUnread(w, width, r.Failed, limit, "A", "B")
	return nil
}

// writeGroups writes a row for each index.
func writeGroups(w io.Writer, width, limit int, groups []verify.Group, a, b string) error {
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "IN " + a, right: true}, {title: "IN " + b, right: true},
		{title: "SIZE " + a, right: true}, {title: "SIZE " + b, right: true}, {title: "REFUSED", right: true, optional: true}, {title: "RESULT"},
	}}
	add := func(g *verify.Group, name, state string) {
		t.row(printable(name), count(g.A.Records), count(g.B.Records), size(g.A.Bytes), size(g.B.Bytes), count(g.Refused), state)
	}
	rows := some(len(groups), limit, func(i int) bool { return groups[i].State != verify.Equal },
		func(i int) int64 { return groups[i].A.Records })
	var total, rest verify.Group
	different := int64(0)
	for i := range groups {
		g := &groups[i]
		into := []*verify.Group{&total}
		if _, shown := slices.BinarySearch(rows, i); shown {
			add(g, g.Name, string(g.State))
		} else {
			into = append(into, &rest)
			if !agrees(g) {
				different++
			}
		}
		for _, t := range into {
			t.A.Records += g.A.Records
			t.A.Bytes += g.A.Bytes
			t.B.Records += g.B.Records
			t.B.Bytes += g.B.Bytes
			t.Refused += g.Refused
		}
	}
	if hidden := len(groups) - len(rows); hidden > 0 {
		state := "all equal"
		if different > 0 {
			state = count(different) + " not equal"
		}
		add(&rest, t.more(hidden), state)
	}
	if len(groups) > 1 {
		add(&total, "total", "")
	}
	return t.write(w, width)
}

func writeDifferences(w io.Writer, width int, groups []verify.Group, limit int) {
	shown, hidden := 0, 0
	for i := range groups {
		g := &groups[i]
		if len(g.Differences) == 0 && g.Unexamined == 0 {
			continue
		}
		if limit > 0 && shown == limit {
			hidden++
			continue
		}
		if shown == 0 {
			fmt.Fprint(w, "\nDIFFERENCES\n")
		}
		shown++
		for _, d := range g.Differences {
			ids := make([]string, len(d.IDs))
			for n, id := range d.IDs {
				ids[n] = printable(cut(id, 100))
			}
			more := ""
			if d.Records > int64(len(ids)) {
				more = ", …"
			}
			fmt.Fprintf(w, "  %s  %s: %s\n", printable(g.Name), d.Kind, plural(d.Records, "document"))
			wrap(w, "    ids ", strings.Join(ids, ", ")+more, width)
		}
		if g.Unexamined > 0 {
			fmt.Fprintf(w, "  %s  %s were not compared one by one\n", printable(g.Name), plural(g.Unexamined, "document"))
		}
	}
	if hidden > 0 {
		fmt.Fprintf(w, "  and %s more (--all)\n", plural(int64(hidden), "index"))
	}
}

// writeUnread lists what could not be read of the sides called a and b.
func writeUnread(w io.Writer, width int, failed []verify.Failure, limit int, a, b string) {
	names := map[verify.Side]string{verify.A: a, verify.B: b}
	parts := make([]flow.PartFailure, len(failed))
	for i, f := range failed {
		parts[i] = flow.PartFailure{Part: cmp.Or(f.Part, f.Group) + " in " + names[f.Side], Group: f.Group, Error: f.Error}
	}
	writeFailures(w, width, "COULD NOT BE READ", parts, limit)
}

// A verification is what reading back showed, at the end of a carry.
type verification struct {
	Verified  bool             `json:"verified"` // what is there is what the source gave
	Documents int64            `json:"documents"`
	Indices   int              `json:"indices"`
	Seconds   float64          `json:"seconds"`
	Different []verify.Group   `json:"different,omitempty"` // a: what was delivered, b: what was read back
	Failed    []verify.Failure `json:"failed,omitempty"`
}

// openWritten opens what a carry wrote.
func (c *common) openWritten(ctx context.Context, f *connect.Flow, r *flow.Report) (flow.Source, func() error, error) {
	if s := f.Sink.OpenSearch; s != nil {
		names := make([]string, len(r.Groups))
		for i := range r.Groups {
			names[i] = r.Groups[i].Name
		}
		return s.Written(ctx, c.Getenv, names)
	}
	written := connect.Archive{Dir: f.Sink.Dir()}
	if !r.Complete() {
		return written.OpenCommitted(ctx)
	}
	return written.Open(ctx)
}

// verifyWritten reads back what a carry wrote and compares it with what the source gave. A cluster may have had
// documents before: where it has more, what the carry was given is read again to tell these apart.
func (c *common) verifyWritten(ctx context.Context, f *connect.Flow, opened *connect.Opened, r *flow.Report, run *runFlags) (_ *verification, err error) {
	source, closer, err := c.openWritten(ctx, f, r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	want := make(map[string]flow.Tally, len(r.Groups))
	expected := make(map[string]int64, len(r.Groups))
	for i := range r.Groups {
		g := &r.Groups[i]
		if r.Complete() || g.Tally.Delivered > 0 {
			want[g.Name], expected[g.Name] = g.Tally, g.Tally.Delivered
		}
	}
	p := newReadBack(expected)
	w := c.watch(ctx, p.snapshot, run.progress.value)
	defer w.stop()
	started := time.Now()
	o := verify.Options{Workers: run.workers, Progress: p.add}
	var report verify.Report
	if f.Sink.OpenSearch != nil {
		o.Extra, o.Stages = verify.IgnoreExtra, opened.Stages
		report, err = verify.CompareCarried(ctx, want, opened.Source, source, o)
	} else {
		report, err = verify.CompareTallies(ctx, want, source, o)
	}
	if err != nil {
		return nil, err
	}
	documents := report.B.Records
	if report.Equal { // B may have more
		documents = 0
		for _, g := range report.Groups {
			documents += expected[g.Name]
		}
	}
	v := &verification{
		Verified: report.Equal, Documents: documents, Indices: len(report.Groups),
		Seconds: time.Since(started).Seconds(), Failed: report.Failed,
	}
	for _, g := range report.Groups {
		if !agrees(&g) {
			v.Different = append(v.Different, g)
		}
	}
	return v, nil
}

func (v *verification) sentence() string {
	if v.Verified {
		return fmt.Sprintf("Verified: %s documents in %s were read back, and are what was read.",
			count(v.Documents), plural(int64(v.Indices), "index"))
	}
	return fmt.Sprintf("NOT VERIFIED: %s of %s read back differ from what was read.",
		count(int64(len(v.Different))), plural(int64(v.Indices), "index"))
}

// A readBack counts what a comparison has read, as progress.
type readBack struct {
	started time.Time

	mu     sync.Mutex // guards groups
	groups map[string]*flow.GroupProgress
}

// newReadBack expects that many records of each index; nil: it is not known.
func newReadBack(expected map[string]int64) *readBack {
	p := &readBack{started: time.Now(), groups: map[string]*flow.GroupProgress{}}
	for name, n := range expected {
		p.groups[name] = &flow.GroupProgress{Name: name, Parts: 1, ExpectedRecords: n}
	}
	return p
}

func (p *readBack) add(s verify.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[s.Group]
	if g == nil {
		g = &flow.GroupProgress{Name: s.Group, Parts: 1, ExpectedRecords: -1}
		p.groups[s.Group] = g
	}
	g.Records += int64(s.Records)
	g.BodyBytes += int64(s.Bytes)
	if g.ExpectedRecords >= 0 && g.Records >= g.ExpectedRecords {
		g.Done = 1
	}
}

func (p *readBack) snapshot() flow.Snapshot {
	s := flow.Snapshot{Started: p.started}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(p.groups)) {
		g := p.groups[name]
		s.Groups = append(s.Groups, *g)
		t := &s.Total
		t.Parts += g.Parts
		t.Done += g.Done
		t.Records += g.Records
		t.BodyBytes += g.BodyBytes
		if g.ExpectedRecords < 0 || t.ExpectedRecords < 0 {
			t.ExpectedRecords = -1
		} else {
			t.ExpectedRecords += g.ExpectedRecords
		}
	}
	return s
}
