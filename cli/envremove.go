package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/clone"
)

func newEnvRemoveCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "rm",
		short: "take the clones of an environment away",
		long: `Deletes what naru env clone made in an environment: indices and data streams that bear
the clone's mark, its templates, pipelines and policies, its record. Nothing else is
touched. With --declared also goes what naru apply made there; what it adopted or changed
is given up with it.`,
		examples: []example{
			{"naru env rm -f estate -e staging", "shows what goes and asks"},
			{"naru env rm -f estate -e pr-7 --declared --yes", "the whole environment, as far as naru made it"},
		},
		exits: []exit{
			{exitOK, "it is gone, or there was nothing"},
			{exitFailed, "nothing was deleted, or not all; the same command goes on"},
		},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	f.add(cmd)
	output := outputFlag(cmd)
	var yes, declared, plan bool
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&declared, "declared", false, "delete also what naru apply made")
	cmd.Flags().BoolVar(&plan, "plan", false, "say what would go, delete nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := f.read(cmd.Context(), c); err != nil {
			return err
		}
		r := removing{common: c, output: output, yes: yes, plan: plan, wanted: func(*clone.Record) bool { return true }}
		return r.remove(cmd.Context(), f.dir, []string{f.env}, declared)
	}
	return cmd
}

func newEnvExpireCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "expire",
		short: "take those clones away whose time is over",
		long: `Deletes, like naru env rm, the clones of one environment or all whose --ttl has passed,
without asking. It is meant to be run at intervals, by cron say.`,
		examples: []example{
			{"naru env expire -f estate", "in all environments"},
			{"naru env expire -f estate -e pr-7 --plan", "what would go"},
		},
		exits: []exit{
			{exitOK, "those whose time is over are gone, or there are none"},
			{exitFailed, "a cluster cannot be asked, or something could not be deleted; the others were seen to"},
		},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	f.add(cmd)
	output := outputFlag(cmd)
	var plan bool
	cmd.Flags().BoolVar(&plan, "plan", false, "say what would go, delete nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names := []string{f.env}
		if f.env == "" {
			var err error
			if names, err = estate.Environments(f.dir); err != nil {
				return err
			}
		}
		now := time.Now()
		r := removing{common: c, output: output, yes: true, plan: plan, wanted: func(x *clone.Record) bool { return x.Expired(now) }}
		return r.remove(cmd.Context(), f.dir, names, false)
	}
	return cmd
}

// removing is one run of `naru env rm` or `naru env expire`.
type removing struct {
	*common
	output    *choice
	yes, plan bool
	wanted    func(*clone.Record) bool
}

// removed is what happens to one clone.
type removed struct {
	Environment string `json:"environment"`
	*clone.Removal
	Gone  bool   `json:"gone"` // it was taken away now
	Keeps bool   `json:"keeps,omitempty"`
	Error string `json:"error,omitempty"`
}

func (r *removing) remove(ctx context.Context, dir string, environments []string, declared bool) error {
	list := []*removed{}
	var errs []error
	for _, environment := range environments {
		found, err := r.in(ctx, dir, environment)
		list = append(list, found...)
		if err != nil {
			if len(environments) > 1 {
				err = fmt.Errorf("%s: %w", environment, err)
			}
			errs = append(errs, err)
		}
	}
	if len(list) > 0 || len(errs) == 0 && !declared {
		errs = append(errs, r.print(r.output, list, func(w io.Writer, width int) error { return writeRemoved(w, width, list) }))
	}
	if err := errors.Join(errs...); err != nil || !declared {
		return err
	}
	return r.undeclare(ctx, dir, environments[0])
}

// in takes the wanted clones of one environment away.
func (r *removing) in(ctx context.Context, dir, environment string) (list []*removed, err error) {
	side, err := r.sideOf(ctx, dir, environment)
	if err != nil {
		return nil, err
	}
	defer side.Close()
	records, err := clone.Records(ctx, side)
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		if !r.wanted(record) {
			list = append(list, &removed{Environment: environment, Removal: &clone.Removal{Record: record, Indices: []string{}, Objects: []clone.Object{}}, Keeps: true})
			continue
		}
		x, err := clone.NewRemoval(ctx, side, record, time.Now())
		if err != nil {
			return list, err
		}
		list = append(list, &removed{Environment: environment, Removal: x})
	}
	if r.plan {
		return list, nil
	}
	going := 0
	for _, x := range list {
		if !x.Keeps {
			going++
		}
	}
	if going > 0 && !r.yes {
		if err := writeRemoved(r.Stderr, r.columns(r.Stderr), list); err != nil {
			return nil, err
		}
		if err := r.sayYes(fmt.Sprintf("Delete this in %s (%s)?", environment, printable(side.Search.Info().Name))); err != nil {
			return nil, err
		}
	}
	for _, x := range list {
		if x.Keeps {
			continue
		}
		if err := x.Remove(ctx, side, time.Now); err != nil {
			x.Error = err.Error()
			return list, fmt.Errorf("the clone %s of %s: %w; the same command goes on", x.Record.ID, x.Record.Of, err)
		}
		x.Gone = true
	}
	return list, nil
}

// undeclare deletes what was applied to the environment, by a plan for one that declares nothing.
func (r *removing) undeclare(ctx context.Context, dir, environment string) error {
	f := estateFlags{dir: dir, env: environment}
	d, err := f.read(ctx, r.common)
	if err != nil {
		return err
	}
	clone.Authorize(d, r.Getenv)
	target, err := d.Connect(ctx, r.Getenv)
	if err != nil {
		return err
	}
	defer target.Close()
	d.Objects = map[estate.Key]*estate.Declared{}
	o, err := estate.Observe(ctx, target, d)
	if err != nil {
		return err
	}
	p, err := estate.NewPlan(ctx, target, d, o, false, time.Now())
	if err != nil {
		return err
	}
	if len(p.Changes) == 0 {
		fmt.Fprintf(r.Stderr, "nothing of %s was applied by naru\n", printable(environment))
		return nil
	}
	if r.plan {
		return r.print(r.output, p, func(w io.Writer, width int) error { return writeEstatePlan(w, width, p, false) })
	}
	a := applying{common: r.common, f: &f, yes: r.yes, output: r.output}
	return a.apply(ctx, target, p)
}

func writeRemoved(w io.Writer, width int, list []*removed) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "There is no clone.")
		return err
	}
	t := table{columns: []column{
		{title: "ENVIRONMENT", shrink: true}, {title: "CLONE OF", shrink: true}, {title: "BEGAN (UTC)"}, {title: "UNTIL (UTC)"}, {title: "INDICES", right: true},
		{title: "OBJECTS", right: true}, {title: "SIZE", right: true}, {title: "STATE"},
	}}
	for _, x := range list {
		until, state := "", "to go"
		if !x.Record.Until.IsZero() {
			until = x.Record.Until.UTC().Format("2006-01-02 15:04")
		}
		switch {
		case x.Error != "":
			state = "failed"
		case x.Gone:
			state = "gone"
		case x.Keeps:
			state = "stays"
		}
		indices, objects := count(int64(len(x.Indices))), count(int64(len(x.Objects)))
		if x.Keeps {
			indices, objects = count(int64(len(x.Record.Made))), ""
		}
		t.row(printable(x.Environment), printable(x.Record.Of), x.Record.Began.UTC().Format("2006-01-02 15:04"), until, indices, objects, bytesOf(x.Bytes), state)
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	for _, x := range list {
		if len(x.Indices) > 0 {
			wrap(w, "  ", printable(strings.Join(x.Indices, ", ")), proseWidth(width))
		}
		for _, left := range x.Left {
			wrap(w, "note: ", "it stays: "+printable(left), proseWidth(width))
		}
	}
	return nil
}
