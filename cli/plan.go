package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
)

// estateFlags say which declared environment is meant.
type estateFlags struct {
	dir, env string
	askAll   bool
}

func (f *estateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.dir, "dir", "f", "", "the declared environments are in `DIR`: base/ and overlays/ENV/")
	cmd.Flags().StringVarP(&f.env, "env", "e", "", "the environment `ENV`: a folder of overlays/")
	err := errors.Join(
		cmd.MarkFlagDirname("dir"),
		cmd.RegisterFlagCompletionFunc("env", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			names, _ := estate.Environments(f.dir)
			return names, cobra.ShellCompDirectiveNoFileComp
		}))
	if err != nil {
		panic("BUG: " + err.Error())
	}
}

var errNoDir = errors.New("-f DIR is missing: the folder with base/ and overlays/")

// read reads what is declared.
func (f *estateFlags) read(ctx context.Context, c *common) (*estate.Desired, error) {
	switch {
	case f.dir == "":
		return nil, errNoDir
	case f.env == "":
		names, err := estate.Environments(f.dir)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("-e ENV is missing: one of %s", strings.Join(names, ", "))
	}
	return estate.Read(ctx, f.dir, f.env, c.Getenv)
}

// open reads what is declared and connects to its cluster.
func (f *estateFlags) open(ctx context.Context, c *common) (*estate.Desired, *estate.Target, error) {
	d, err := f.read(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	target, err := d.Connect(ctx, c.Getenv)
	return d, target, err
}

// plan makes the plan.
func (f *estateFlags) plan(ctx context.Context, c *common) (*estate.Plan, *estate.Target, error) {
	d, target, err := f.open(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	o, err := estate.Observe(ctx, target, d)
	if err != nil {
		return nil, nil, err
	}
	p, err := estate.NewPlan(ctx, target, d, o, f.askAll, time.Now())
	return p, target, err
}

func newPlanCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "plan",
		short: "say what an environment's systems lack to be what Git declares",
		long: `Compares what DIR declares for an environment, what was applied last, and what is
there: of OpenSearch index and component templates, ISM and snapshot policies, ingest
pipelines, aliases, roles and their mappings, cluster settings; of Kafka topics, ACLs,
quotas and where groups begin; of OpenSearch Dashboards saved objects. Each change comes
with what it means, its risk, and whether it can be undone. What a system adds or
rewrites by itself is no difference. Nothing is changed; nobody else's object is ever
touched: one that is there already is first adopted as it is.`,
		examples: []example{
			{"naru plan -f estate -e prod", "what would be changed"},
			{"naru plan -f estate -e prod --out prod.plan && naru apply prod.plan", "exactly what was shown"},
			{"naru plan -f estate -e prod -o markdown", "for a pull request"},
		},
		exits: []exit{
			{exitOK, "the cluster has what is declared"},
			{exitFailed, "the directory has mistakes, or the cluster cannot be asked"},
			{exitDifference, "there are changes; they are printed"},
		},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	f.add(cmd)
	output := planOutputFlag(cmd)
	var out string
	var all bool
	cmd.Flags().BoolVar(&f.askAll, "ask-all", false, "ask the cluster about every template and pipeline that changes, however many there are")
	cmd.Flags().StringVar(&out, "out", "", "write the plan to `FILE`, for `naru apply FILE`")
	cmd.Flags().BoolVar(&all, "all", false, "show every field, however many there are")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, target, err := f.plan(cmd.Context(), c)
		defer target.Close()
		if err != nil {
			return err
		}
		if out != "" {
			if err := writePlanFile(out, p); err != nil {
				return err
			}
		}
		if err := c.printPlan(output, p, all); err != nil {
			return err
		}
		if len(p.Changes) > 0 {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

// planOutputFlag adds -o to cmd, with the formats of plans.
func planOutputFlag(cmd *cobra.Command) *choice {
	c := &choice{value: "table", of: []string{"table", "json", "yaml", "markdown", "html"}}
	cmd.Flags().VarP(c, "output", "o", "print the plan as `FORMAT` table, json, yaml, markdown or html")
	complete(cmd, "output", c.of...)
	return c
}

func (c *common) printPlan(format *choice, p *estate.Plan, all bool) error {
	switch format.value {
	case "markdown":
		return writePlanMarkdown(c.Stdout, p)
	case "html":
		return writePlanHTML(c.Stdout, p)
	}
	return c.print(format, p, func(w io.Writer, width int) error { return writeEstatePlan(w, width, p, all) })
}

// writePlanFile writes a plan for `naru apply`: whole, or not at all.
func writePlanFile(name string, p *estate.Plan) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".naru-plan-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the plan: %w", err), os.Remove(f.Name()))
	}
	return nil
}
