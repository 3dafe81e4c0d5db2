package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/cost"
	"github.com/narudata/naru/estate/measure"
)

// measureFlags say how an apply is measured.
type measureFlags struct {
	length time.Duration
	told   func() bool // that the length was
	prices string
}

func (f *measureFlags) add(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.length, "measure", measure.DefaultWindow, "measure the cluster for `DURATION` before and after; 0: do not (unless told: `measure` of env.yaml)")
	cmd.Flags().StringVar(&f.prices, "prices", "", "with what is measured, note the cost by the prices in `FILE`")
	f.told = func() bool { return cmd.Flags().Changed("measure") }
}

// measuring is how to measure, by the flags over the environment's settings.
// dir, if there is one, may have a price file.
func (f *measureFlags) measuring(c *common, s measure.Settings, dir, environment string, stop <-chan struct{}) (*estate.Measuring, error) {
	if f.told == nil { // a command that has no such flags
		s.Off = true
	} else if f.told() {
		if f.length < 0 || f.length > measure.LongestWindow {
			return nil, fmt.Errorf("--measure %s is not between 0s and %s", f.length, measure.LongestWindow)
		}
		s.Before, s.After, s.Off = measure.Duration(f.length), measure.Duration(f.length), f.length == 0
	}
	m := &estate.Measuring{Settings: s, Stop: stop, Step: c.measureStep()}
	prices, err := pricesOf(dir, f.prices)
	if err != nil {
		return nil, err
	}
	if prices != nil {
		m.Cost = func(x *measure.Sample) (float64, string) {
			return prices.Held(environment, len(x.Nodes), cost.Bytes(x.Stored)), prices.Currency
		}
	}
	return m, nil
}

// pricesOf reads the price file that was named, or that of the directory, if there is one.
func pricesOf(dir, file string) (*cost.Prices, error) {
	if file != "" {
		return cost.ReadPrices(file)
	}
	if dir == "" {
		return nil, nil
	}
	prices, err := cost.ReadPrices(filepath.Join(dir, "prices.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return prices, err
}

// measureStep tells of samples: in one line that changes on a terminal, elsewhere by a line for each window.
func (c *common) measureStep() func(when string, taken, of int) {
	terminal := c.Columns(c.Stderr) > 0
	said := ""
	return func(when string, taken, of int) {
		switch {
		case terminal:
			end := ""
			if taken >= of {
				end = "\n"
			}
			fmt.Fprintf(c.Stderr, "\rmeasuring %s: %d of %d samples \x1b[K%s", when, taken, of, end)
		case said != when:
			said = when
			fmt.Fprintf(c.Stderr, "measuring %s: %d samples\n", when, of)
		}
	}
}

func newEnvNumbersCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "numbers APPLY",
		short: "print what an apply did to the cluster, by numbers before and after",
		long: `Prints what was measured before and after an apply: the rate of ingest, times of
queries and of indexing, rejections, lag, heap and so on; medians, the change with its
95 % interval, and what may be said of it: better, worse, no change, too noisy or too few
samples. naru env log has the ids; docs/numbers.md says how the verdicts are reached.`,
		examples: []example{
			{"naru env numbers 20261124-101500-a1b2c3 -f estate -e prod", "the latest look"},
			{"naru env numbers 20261124-101500-a1b2c3 -f estate -e prod -o html > numbers.html", "a page with pictures"},
		},
		exits: []exit{{exitOK, "printed"}, {exitFailed, "there is no such apply, or the cluster cannot be asked"}},
	})
	cmd.Args = exactArgs("APPLY")
	var f estateFlags
	f.add(cmd)
	output := numbersOutputFlag(cmd)
	look := cmd.Flags().Int("look", 0, "print look `N`, counted from 1, the one right after the apply; 0: the latest")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d, target, err := f.open(cmd.Context(), c)
		defer target.Close()
		if err != nil {
			return err
		}
		run, err := estate.Find(cmd.Context(), target, d, args[0])
		if err != nil {
			return err
		}
		return c.printNumbers(output, run, *look)
	}
	return cmd
}

func newEnvMeasureCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "measure APPLY",
		short: "measure once more what an apply did, an hour or a day later",
		long: `Takes samples of the cluster for a while, compares them with those from before the
apply, adds the result to the apply's record, and prints it. The record keeps the first
look and the last five.`,
		examples: []example{
			{"naru env measure 20261124-101500-a1b2c3 -f estate -e prod", "for as long as before the apply"},
			{"naru env measure 20261124-101500-a1b2c3 -f estate -e prod --for 5m", "longer: less noise"},
		},
		exits: []exit{
			{exitOK, "measured; also if you stopped it, with what there was"},
			{exitFailed, "there is no such apply, it was not measured before, or the cluster cannot be asked"},
			{exitInterrupted, "interrupted before there was anything to compare"},
		},
	})
	cmd.Args = exactArgs("APPLY")
	var f estateFlags
	f.add(cmd)
	output := numbersOutputFlag(cmd)
	length := cmd.Flags().Duration("for", 0, "measure for `DURATION`; 0: as long as before the apply")
	prices := cmd.Flags().String("prices", "", "note the cost by the prices in `FILE`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *length < 0 || *length > measure.LongestWindow {
			return fmt.Errorf("--for %s is not between 0s and %s", *length, measure.LongestWindow)
		}
		d, target, err := f.open(cmd.Context(), c)
		defer target.Close()
		if err != nil {
			return err
		}
		ctx, stop, release := c.heed(cmd.Context())
		defer release()
		flags := measureFlags{prices: *prices, told: func() bool { return false }}
		m, err := flags.measuring(c, d.Measure, d.Dir, d.Environment, stop)
		if err != nil {
			return err
		}
		m.After = measure.Duration(*length)
		run, _, err := m.Look(ctx, target, d, args[0])
		switch {
		case errors.Is(err, measure.ErrStopped), ctx.Err() != nil:
			return &exitError{exitInterrupted, cmp.Or(err, context.Cause(ctx))}
		case err != nil:
			return err
		}
		return c.printNumbers(output, run, 0)
	}
	return cmd
}

func numbersOutputFlag(cmd *cobra.Command) *choice {
	c := &choice{value: "table", of: []string{"table", "json", "yaml", "markdown", "html"}}
	cmd.Flags().VarP(c, "output", "o", "print the numbers as `FORMAT` table, json, yaml, markdown or html")
	complete(cmd, "output", c.of...)
	return c
}

// numbersResult is what is printed of an apply's numbers.
type numbersResult struct {
	Apply       string        `json:"apply"`
	Environment string        `json:"environment"`
	Commit      estate.Commit `json:"commit,omitzero"`
	By          string        `json:"by"`
	Finished    time.Time     `json:"finished,omitzero"`
	Look        int           `json:"look"`
	Looks       int           `json:"looks"`
	*measure.Numbers
}

// shown is the look that is printed; nil: there is none.
func (r *numbersResult) shown() *measure.Look {
	if r.Numbers == nil || r.Look == 0 {
		return nil
	}
	return &r.Numbers.Looks[r.Look-1]
}

func (c *common) printNumbers(format *choice, run *estate.Applied, look int) error {
	r := &numbersResult{Apply: run.ID, Environment: run.Environment, Commit: run.Commit, By: run.By, Finished: run.Finished, Numbers: run.Numbers}
	if run.Numbers != nil {
		r.Looks = len(run.Numbers.Looks)
	}
	if look < 0 || look > r.Looks {
		return fmt.Errorf("there is no look %d: apply %s has %d", look, run.ID, r.Looks)
	}
	if r.Look = look; look == 0 {
		r.Look = r.Looks
	}
	switch format.value {
	case "markdown":
		return writeNumbersMarkdown(c.Stdout, r)
	case "html":
		return numbersPage.Execute(c.Stdout, r)
	}
	return c.print(format, r, func(w io.Writer, width int) error { return writeNumbers(w, width, r) })
}
