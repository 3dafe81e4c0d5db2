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

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
)

func newExplainCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "explain FROM TO | FLOW.yaml",
		short: "say what a carry would do, and write nothing",
		long: `Reads the metadata at FROM and says what a carry would do: indices, parts that are
read on their own, documents and bytes, how whole each index can be read and why,
what would be written, and what a crash in the middle would cost. Writes nothing.`,
		examples: []example{
			{"naru explain /backups/es parquet:/archive", "what naru carry would do"},
			{"naru explain flow.yaml -o json", "what naru run would do"},
		},
		exits: []exit{
			{exitOK, "every document can be carried whole"},
			{exitFailed, "the source cannot be read, or the arguments are wrong"},
			{exitPartial, "something cannot be carried whole: the table says what"},
		},
	})
	cmd.Args = flowFileOr("FROM", "TO")
	choose := addSourceFlags(cmd)
	run := &runFlags{output: outputFlag(cmd)}
	cmd.Flags().BoolVar(&run.all, "all", false, "show every index, however many there are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			for _, name := range sourceFlagNames {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s is for FROM and TO; a flow file says it itself", name)
				}
			}
			f, err := c.readFlow(args[0])
			if err != nil {
				return err
			}
			return c.explain(cmd.Context(), f, run)
		}
		f, err := choose.flow(args[0], args[1])
		if err != nil {
			return err
		}
		return c.explain(cmd.Context(), f, run)
	}
	return cmd
}

// sourceFlagNames are the flags that a flow file makes superfluous.
var sourceFlagNames = []string{"index", "snapshot", "sample", "by", "mask", "mask-key-file"}

// flowFileOr takes one flow file, or the named arguments.
func flowFileOr(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && (isYAML(args[0]) || args[0] == "-") {
			return nil
		}
		return exactArgs(names...)(cmd, args)
	}
}

// A plan is what a carry would do.
type plan struct {
	From     string             `json:"from"`
	To       string             `json:"to"`
	Stages   []string           `json:"stages,omitempty"`
	Delivery string             `json:"delivery"` // transactional, at least once
	Means    string             `json:"delivery_means"`
	Writes   string             `json:"writes"`
	Indices  []indexPlan        `json:"indices"`
	Total    indexPlan          `json:"total"`
	Failed   []flow.PartFailure `json:"failed_parts,omitempty"` // cannot be planned
	Notes    []string           `json:"notes,omitempty"`

	identity string // what the carry is called in a ledger; "": a stage cannot be opened here
	snapshot string // the one that is read, if it is one
}

type indexPlan struct {
	Index     string `json:"index,omitempty"`
	Parts     int    `json:"parts"`
	Documents int64  `json:"documents"`
	AtMost    bool   `json:"at_most,omitempty"` // children of nested documents are among them
	Bytes     int64  `json:"stored_bytes"`      // to read, as the source stores them
	Verdict   string `json:"verdict"`
	Why       string `json:"why,omitempty"`
}

// explain says what carry would do with f.
func (c *common) explain(ctx context.Context, f *connect.Flow, run *runFlags) (err error) {
	source, closeSource, err := f.Source.Open(ctx, c.Getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	p, err := newPlan(ctx, f, source)
	if err != nil {
		return err
	}
	if stages, err := connect.OpenStages(f.Stages, c.Getenv); err == nil {
		p.identity = f.Identity(source, stages)
	}
	c.leavePlan(p)
	err = c.print(run.output, p, func(w io.Writer, width int) error { return p.write(w, width, run.limit()) })
	if err == nil && (len(p.Failed) > 0 || p.Total.Verdict != string(flow.Lossless)) {
		err = &exitError{code: exitPartial}
	}
	return err
}

func newPlan(ctx context.Context, f *connect.Flow, source flow.Source) (*plan, error) {
	p := &plan{From: f.Source.String(), To: f.Sink.String(), Notes: notes(source), Indices: []indexPlan{}}
	if s, ok := source.(*snapshot.Source); ok {
		if read := s.Snapshots(); len(read) == 1 {
			p.snapshot = read[0].Snapshot.Name
		}
	}
	p.Delivery, p.Means, p.Writes = f.Sink.Promise()
	for _, s := range f.Stages {
		p.Stages = append(p.Stages, s.String())
	}
	byName := map[string]*indexPlan{}
	index := func(name string) *indexPlan {
		if byName[name] == nil {
			byName[name] = &indexPlan{Index: name}
		}
		return byName[name]
	}
	if d, ok := source.(flow.Describer); ok {
		groups, err := d.Groups(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe the source: %w", err)
		}
		for _, g := range groups {
			i := index(g.Name)
			i.Verdict, i.Why, i.AtMost = string(g.Grade), g.Why, g.Records < 0
		}
	}
	for part, err := range source.Parts(ctx) {
		if err != nil && part.ID == "" && part.Group == "" {
			return nil, fmt.Errorf("plan parts: %w", err)
		}
		i := index(part.Group)
		i.Parts++
		i.Documents += max(0, part.Records)
		i.Bytes += part.Bytes
		if err != nil {
			p.Failed = append(p.Failed, flow.PartFailure{Part: part.ID, Group: part.Group, Error: err.Error(), Err: err})
		}
	}
	p.Total.Verdict = string(flow.Lossless)
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		i := byName[name]
		p.Indices = append(p.Indices, *i)
		p.Total.Parts += i.Parts
		p.Total.Documents += i.Documents
		p.Total.Bytes += i.Bytes
		p.Total.AtMost = p.Total.AtMost || i.AtMost
		if i.Verdict != "" && i.Verdict != string(flow.Lossless) {
			p.Total.Verdict = string(flow.Partial)
		}
	}
	return p, nil
}

func (p *plan) write(w io.Writer, width, limit int) error {
	fmt.Fprintf(w, "from      %s\n", p.From)
	for _, s := range p.Stages {
		fmt.Fprintf(w, "stage     %s\n", s)
	}
	fmt.Fprintf(w, "to        %s\n", p.To)
	wrap(w, "writes    ", p.Writes, proseWidth(width))
	wrap(w, "delivery  ", p.Delivery+": "+p.Means, proseWidth(width))
	fmt.Fprintln(w)
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "PARTS", right: true}, {title: "DOCUMENTS", right: true},
		{title: "STORED", right: true}, {title: "VERDICT"},
	}}
	add := func(i *indexPlan, name string) {
		documents := count(i.Documents)
		if i.AtMost {
			documents = "≤ " + documents
		}
		t.row(printable(name), count(int64(i.Parts)), documents, size(i.Bytes), cmp.Or(i.Verdict, "-"))
	}
	rows := some(len(p.Indices), limit, func(i int) bool { return p.Indices[i].Verdict != string(flow.Lossless) },
		func(i int) int64 { return p.Indices[i].Documents })
	rest := p.Total
	for _, n := range rows {
		i := &p.Indices[n]
		add(i, i.Index)
		rest.Parts -= i.Parts
		rest.Documents -= i.Documents
		rest.Bytes -= i.Bytes
	}
	if hidden := len(p.Indices) - len(rows); hidden > 0 {
		rest.Verdict = ""
		add(&rest, t.more(hidden))
	}
	if len(p.Indices) == 0 {
		fmt.Fprintln(w, "No index: nothing matched, or there is nothing.")
		return nil
	}
	if len(p.Indices) > 1 {
		add(&p.Total, "total")
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	var reasons []string
	for i := range p.Indices {
		if x := &p.Indices[i]; x.Verdict != "" && x.Verdict != string(flow.Lossless) {
			reasons = append(reasons, reason(x.Verdict, x.Why, x.Index))
		}
	}
	writeReasons(w, width, "NOT LOSSLESS", reasons, limit)
	writeFailures(w, width, "CANNOT BE PLANNED", p.Failed, limit)
	writeList(w, "NOTES", p.Notes)
	if strings.Contains(strings.Join(p.Stages, " "), "sample") {
		fmt.Fprintln(w, "\nDOCUMENTS is what is read; the sample is what is written of them.")
	}
	return nil
}
