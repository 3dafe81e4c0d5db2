package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
)

func newDriftCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "drift",
		short: "say what somebody changed since it was applied",
		long: `Compares what the records in the cluster say was applied with what is there now,
whatever Git says by now: which objects and fields differ, and since which apply, commit
and time they were known to be right. --repair puts back those that env.yaml lists under
drift.repair, as they were applied, and no others.`,
		examples: []example{
			{"naru drift -f estate -e prod", "who changed what by hand?"},
			{"naru drift -f estate -e prod --repair --yes", "in a cron job: put back what may be put back"},
		},
		exits: []exit{
			{exitOK, "all is as it was applied, or was put back"},
			{exitFailed, "the directory has mistakes, or the cluster cannot be asked or refuses"},
			{exitDifference, "something differs, and was not put back"},
			{exitPartial, "a repair was begun, then a change failed"},
			{exitInterrupted, "interrupted"},
		},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	f.add(cmd)
	output := outputFlag(cmd)
	var repair, yes bool
	cmd.Flags().BoolVar(&repair, "repair", false, "put back what env.yaml lists under drift.repair")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "repair without asking")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		d, target, err := f.open(ctx, c)
		defer target.Close()
		if err != nil {
			return err
		}
		o, err := estate.Observe(ctx, target, d)
		if err != nil {
			return err
		}
		drifted := estate.FindDrift(d, o)
		left := len(drifted)
		result := driftResult{Estate: d.Estate, Environment: d.Environment, Drifted: drifted}
		if result.Drifted == nil {
			result.Drifted = []estate.Drifted{}
		}
		var p *estate.Plan
		if repair {
			p = estate.NewRepair(d, o, drifted, time.Now())
			left -= len(p.Changes)
		}
		mends := p != nil && len(p.Changes) > 0
		if mends && output.value != "table" {
			// what is printed is one document: what was done
		} else if err := c.print(output, &result, func(w io.Writer, width int) error { return result.write(w, width) }); err != nil {
			return err
		}
		if mends {
			a := applying{common: c, f: &f, yes: yes, output: output}
			if err := a.apply(ctx, target, p); err != nil {
				return err
			}
		}
		if left > 0 {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

// driftResult is what `naru drift` prints.
type driftResult struct {
	Estate      string           `json:"estate"`
	Environment string           `json:"environment"`
	Drifted     []estate.Drifted `json:"drifted"`
}

func (r *driftResult) write(w io.Writer, width int) error {
	if len(r.Drifted) == 0 {
		_, err := fmt.Fprintln(w, "No drift: all is as it was applied.")
		return err
	}
	for i := range r.Drifted {
		x := &r.Drifted[i]
		what := "changed"
		switch {
		case x.Pending:
			what = "unfinished"
		case x.Gone:
			what = "deleted"
		}
		fmt.Fprintf(w, "%s  %s\n", printable(x.Key.String()), what)
		if x.Pending {
			wrap(w, "    ", "an apply was cut short at it: `naru plan` has the rest", proseWidth(width))
		}
		if !x.Applied.IsZero() {
			since := "some time after " + x.Applied.Format(time.DateTime)
			if !x.Changed.IsZero() {
				since = "since " + x.Changed.Format(time.DateTime)
			}
			wrap(w, "    ", fmt.Sprintf("%s UTC; as applied by %s%s (apply %s)", since, printable(x.By), commitText(x.Commit), x.Apply), proseWidth(width))
		}
		if x.Repair && !x.Pending {
			fmt.Fprintln(w, "    --repair puts it back")
		}
		writeFields(w, width, x.Fields, 0)
	}
	fmt.Fprintf(w, "\n%s.\n", plural(int64(len(r.Drifted)), "object")+" not as applied")
	return nil
}

func commitText(c estate.Commit) string {
	if c.ID == "" {
		return ""
	}
	return ", commit " + c.Short()
}
