package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/narudata/naru/estate"
)

func newApplyCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "apply [PLAN]",
		short: "make a cluster what Git declares",
		long: `Does what a plan says, in the order in which objects depend on each other, and
nothing else. The plan is a file of "naru plan --out", or is made now and shown before
it is applied. If the cluster has moved since the plan was made, nothing is changed. Each
change leaves a record in the cluster's index .naru-estate: what, by which commit, when,
by whom, and what was there before; --undo brings that back. An apply that is cut short
has its rest in the next plan. The cluster is measured for a while before and after; an
interrupt in the second while ends it, and keeps what there is. A cluster in which nothing
happens is not waited for.`,
		examples: []example{
			{"naru apply -f estate -e dev", "shows the plan and asks"},
			{"naru apply -f estate -e dev --yes", "does not ask"},
			{"naru apply prod.plan", "exactly the plan that was looked at"},
			{"naru apply -f estate -e prod --measure 5m", "measured for five minutes before and after"},
			{"naru apply -f estate -e prod --undo 20261124-101500-a1b2c3", "back to what was before that apply"},
		},
		exits: []exit{
			{exitOK, "all is applied, or there was nothing to do"},
			{exitFailed, "nothing was changed: the plan has problems, the cluster moved, or nobody said yes"},
			{exitPartial, "it was begun, then a change failed; the next plan has the rest"},
			{exitInterrupted, "interrupted between two changes; the next plan has the rest"},
		},
	})
	cmd.Args = cobra.MaximumNArgs(1)
	var f estateFlags
	f.add(cmd)
	output := &choice{value: "table", of: []string{"table", "json", "yaml"}}
	cmd.Flags().VarP(output, "output", "o", "print what was done as `FORMAT` table, json or yaml")
	complete(cmd, "output", output.of...)
	var m measureFlags
	m.add(cmd)
	var yes bool
	var undo string
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "apply without asking")
	cmd.Flags().StringVar(&undo, "undo", "", "bring back what was there before the apply `ID`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a := applying{common: c, f: &f, m: m, yes: yes, output: output}
		p, target, err := a.plan(cmd.Context(), undo, args)
		defer target.Close()
		if err != nil {
			return err
		}
		return a.apply(cmd.Context(), target, p)
	}
	return cmd
}

// applying is one run of `naru apply`, or of `naru drift --repair`.
type applying struct {
	*common
	f      *estateFlags
	m      measureFlags // zero: nothing is measured
	yes    bool
	saved  bool // the plan was looked at before
	output *choice
}

// plan reads the plan, or makes it.
func (a *applying) plan(ctx context.Context, undo string, args []string) (*estate.Plan, *estate.Target, error) {
	switch {
	case len(args) == 1 && (a.f.dir != "" || a.f.env != "" || undo != ""):
		return nil, nil, errors.New("a plan file says all that is to be done: leave -f, -e and --undo out")
	case len(args) == 1:
		p, err := estate.ReadPlan(args[0])
		if err != nil {
			return nil, nil, err
		}
		a.saved = true
		target, err := p.Connect(ctx, a.Getenv)
		return p, target, err
	case undo != "":
		d, target, err := a.f.open(ctx, a.common)
		if err != nil {
			return nil, nil, err
		}
		p, err := estate.NewUndo(ctx, target, d, undo, time.Now())
		return p, target, err
	}
	return a.f.plan(ctx, a.common)
}

// appliedResult is what `naru apply` prints.
type appliedResult struct {
	Plan  *estate.Plan    `json:"plan"`
	Apply *estate.Applied `json:"apply,omitempty"`
}

// apply shows the plan, asks, and applies it.
func (a *applying) apply(ctx context.Context, target *estate.Target, p *estate.Plan) error {
	people := a.output.value == "table"
	if !people || len(p.Changes) == 0 {
		if len(p.Changes) == 0 {
			return a.print(a.output, appliedResult{Plan: p}, func(w io.Writer, width int) error { return writeEstatePlan(w, width, p, false) })
		}
	} else if err := writeEstatePlan(a.Stdout, a.columns(a.Stdout), p, false); err != nil {
		return err
	}
	if p.Problems() == 0 && !a.saved && !a.yes {
		if err := a.agree(p); err != nil {
			return err
		}
	}
	ctx, stop, release := a.heed(ctx)
	defer release()
	applier := estate.Applier{Target: target, By: estate.Who(), Now: time.Now, Stop: stop}
	if people {
		applier.Step = func(done int, ch *estate.Change) {
			fmt.Fprintf(a.Stderr, "%d/%d  %s %s\n", done, len(p.Changes), ch.Action, printable(ch.Key.String()))
		}
	}
	m, err := a.m.measuring(a.common, p.Measure, a.f.dir, p.Environment, stop)
	if err != nil {
		return err
	}
	run, err := m.Apply(ctx, &applier, p)
	if run != nil {
		perr := a.print(a.output, appliedResult{p, run}, func(w io.Writer, _ int) error { return writeApplied(w, p, run) })
		err = errors.Join(err, perr)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, estate.ErrStopped), ctx.Err() != nil:
		return &exitError{exitInterrupted, err}
	case run != nil:
		return &exitError{exitPartial, err}
	}
	return err
}

// agree asks whether to go on.
func (a *applying) agree(p *estate.Plan) error {
	in, ok := a.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return errors.New("nobody is there to say yes: add --yes, or apply a plan file")
	}
	fmt.Fprintf(a.Stderr, "\nApply this to %s (%s)? Type yes: ", p.Environment, printable(p.Cluster.Name))
	line, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("not applied; nothing was changed")
	}
	return nil
}

func writeApplied(w io.Writer, p *estate.Plan, run *estate.Applied) error {
	verb := map[string]string{"undo": "Undone", "repair": "Repaired"}[run.What]
	if verb == "" {
		verb = "Applied"
	}
	if run.Done < run.Changes {
		fmt.Fprintf(w, "\n%s %d of %s, as apply %s.\n", verb, run.Done, plural(int64(run.Changes), "change"), run.ID)
		return nil
	}
	fmt.Fprintf(w, "\n%s %s to %s, as apply %s.\n", verb, plural(int64(run.Done), "change"), printable(p.Environment), run.ID)
	if n := run.Numbers; n != nil {
		wrap(w, "Measured: ", printable(n.Summary()), proseWidth(0))
		if n.Last() != nil {
			fmt.Fprintf(w, "All numbers: naru env numbers %s -f DIR -e %s\n", run.ID, printable(p.Environment))
		}
	}
	if run.What != "undo" {
		fmt.Fprintf(w, "To take it back: naru apply -f DIR -e %s --undo %s\n", printable(p.Environment), run.ID)
	}
	return nil
}
