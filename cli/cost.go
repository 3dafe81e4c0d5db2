package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/cost"
)

func newCostCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "cost",
		short: "say what environments take, what they will take, and what could be saved",
		long: `Looks at the clusters of declared environments and counts storage, shards, nodes and
brokers: what there is, what that needs, and what it will need once indices are as
templates and policies have them and topics as full as their retention lets them be. What
is declared and not applied yet is compared, and so is a --what-if. Savings come with
their arithmetic, the largest first. Each number of the rules can be set (sizing.yaml
beside base/ and overlays/, or --sizing; --constants lists them with their sources). Money
comes with a price file only (prices.yaml there, or --prices). docs/cost.md has the rules
and the format.`,
		examples: []example{
			{"naru cost -f estate", "all environments"},
			{"naru cost -f estate -e prod --what-if replicas=0@30d", "what if logs had no replicas after 30 days?"},
			{"naru cost -f estate -e prod --what-if 'codec=zstd,retention=14d:web-*' -o markdown", "two changes, for a pull request"},
			{"naru cost --daily 50GiB --retention 30d --replicas 1 --nodes 3", "without a cluster"},
			{"naru cost --constants", "the numbers of the rules, and where they come from"},
		},
		exits: []exit{
			{exitOK, "counted"},
			{exitFailed, "the directory has mistakes, or a cluster cannot be asked"},
			{exitDifference, "what is declared goes beyond the limits of env.yaml"},
		},
	})
	cmd.Args = exactArgs()
	var f costFlags
	f.add(cmd)
	output := numbersOutputFlag(cmd)
	cmd.Flags().Lookup("output").Usage = "print the result as `FORMAT` table, json, yaml, markdown or html"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		constants, err := f.constants()
		if err != nil {
			return err
		}
		switch {
		case f.list:
			return c.printConstants(output, constants)
		case f.daily != "":
			return c.printSource(output, &f, constants)
		case f.dir == "":
			return errors.New("-f DIR is missing: the folder with base/ and overlays/ (or --daily SIZE, for an estimate without a cluster)")
		}
		return c.cost(cmd.Context(), &f, constants, output)
	}
	return cmd
}

// costFlags are those of `naru cost`.
type costFlags struct {
	estateFlags
	prices, sizing, whatIf string
	list, explain          bool
	daily, retention       string
	replicas, nodes        int
	managed                bool
}

func (f *costFlags) add(cmd *cobra.Command) {
	f.estateFlags.add(cmd)
	flags := cmd.Flags()
	flags.Lookup("env").Usage = "only the environment `ENV`"
	flags.StringVar(&f.prices, "prices", "", "count money by the prices in `FILE`")
	flags.StringVar(&f.sizing, "sizing", "", "take the numbers of the rules from `FILE`, those that it names")
	flags.StringVar(&f.whatIf, "what-if", "", "say what `CHANGES` would make of it: replicas=N@AGE, retention=AGE, codec=NAME, shards=N, rollover=SIZE, each with :PATTERN")
	flags.BoolVar(&f.list, "constants", false, "list the numbers of the rules, and where they come from")
	flags.BoolVar(&f.explain, "explain", false, "show the arithmetic of each number that is needed")
	flags.StringVar(&f.daily, "daily", "", "without a cluster: so much source a day, a `SIZE` like 50GiB")
	flags.StringVar(&f.retention, "retention", "30d", "with --daily: kept for `AGE`")
	flags.IntVar(&f.replicas, "replicas", 1, "with --daily: `N` replicas")
	flags.IntVar(&f.nodes, "nodes", 3, "with --daily: on `N` data nodes")
	flags.BoolVar(&f.managed, "managed", false, "with --daily: of a cloud's service, which keeps a part of each disk")
}

func (f *costFlags) constants() (*cost.Constants, error) {
	if f.sizing == "" {
		return nil, nil
	}
	return cost.ReadConstants(f.sizing)
}

// environmentCost is one environment in the result of `naru cost`.
type environmentCost struct {
	Environment string         `json:"environment"`
	Error       string         `json:"error,omitempty"`
	Estimate    *cost.Estimate `json:"estimate,omitempty"`
}

// cost counts the environments that the flags ask for.
func (c *common) cost(ctx context.Context, f *costFlags, constants *cost.Constants, output *choice) error {
	names, err := estate.Environments(f.dir)
	if err != nil {
		return err
	}
	if f.env != "" {
		names = []string{f.env}
	}
	var rules []cost.Rule
	if f.whatIf != "" {
		if rules, err = cost.ParseRules(f.whatIf); err != nil {
			return fmt.Errorf("--what-if: %w", err)
		}
	}
	var prices *cost.Prices
	if f.prices != "" {
		if prices, err = cost.ReadPrices(f.prices); err != nil {
			return err
		}
	}
	list := make([]environmentCost, len(names))
	var failed error
	over := false
	for i, name := range names {
		list[i].Environment = name
		d, err := estate.Read(ctx, f.dir, name, c.Getenv)
		if err != nil {
			return err // a mistake of the directory
		}
		if prices != nil {
			d.Costs.Prices = prices
		}
		if constants != nil {
			d.Costs.Constants = constants
		}
		if list[i].Estimate, err = estimateOf(ctx, c, d, rules); err != nil {
			if ctx.Err() != nil {
				return err
			}
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
			list[i].Error = err.Error()
			continue
		}
		over = over || len(list[i].Estimate.Limits) > 0
	}
	if failed != nil && !slices.ContainsFunc(list, func(e environmentCost) bool { return e.Estimate != nil }) {
		return failed
	}
	doc := costDocument(list, f.explain)
	switch output.value {
	case "markdown":
		err = doc.markdown(c.Stdout)
	case "html":
		err = doc.html(c.Stdout)
	default:
		err = c.print(output, list, doc.text)
	}
	switch {
	case err != nil || failed != nil:
		return errors.Join(err, failed)
	case over:
		return &exitError{code: exitDifference}
	}
	return nil
}

// estimateOf counts one environment, with what is declared there and not applied yet.
func estimateOf(ctx context.Context, c *common, d *estate.Desired, rules []cost.Rule) (*cost.Estimate, error) {
	target, err := d.Connect(ctx, c.Getenv)
	if err != nil {
		return nil, err
	}
	defer target.Close()
	now := time.Now()
	facts, err := d.Facts(ctx, target, now)
	if err != nil {
		return nil, err
	}
	limits := d.Limits
	d.Limits = cost.Limits{} // the estimate looks at them
	var declared *cost.Objects
	o, err := estate.Observe(ctx, target, d)
	if err == nil {
		var p *estate.Plan
		if p, err = estate.NewPlan(ctx, target, d, o, false, now); err == nil {
			declared = p.Objects(facts)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		facts.Missing = append(facts.Missing, "what is declared and not applied yet: "+err.Error())
	}
	return d.Costs.Estimate(facts, declared, rules, limits), nil
}

func (c *common) printConstants(output *choice, k *cost.Constants) error {
	if k == nil {
		k = cost.DefaultConstants()
	}
	list := k.List()
	var doc document
	t := docTable{titles: []string{"CONSTANT", "VALUE", "", "WHAT", "SOURCE"}, right: []bool{false, true, false, false, false}}
	for _, x := range list {
		t.rows = append(t.rows, []string{x.Name, strconv.FormatFloat(x.Value, 'f', -1, 64), x.Unit, x.What, x.Source})
	}
	doc.title = "Constants"
	doc.blocks = append(doc.blocks, block{table: &t})
	switch output.value {
	case "markdown":
		return doc.markdown(c.Stdout)
	case "html":
		return doc.html(c.Stdout)
	}
	return c.print(output, list, func(w io.Writer, _ int) error { return doc.text(w, 0) })
}

// sourceCost is an estimate without a cluster.
type sourceCost struct {
	Source    cost.Bytes `json:"source"`
	Copies    cost.Bytes `json:"copies"`
	Disk      cost.Bytes `json:"disk"`
	DiskHow   string     `json:"disk_how"`
	Primaries int        `json:"primary_shards"`
	Shards    int        `json:"shards"`
}

func (c *common) printSource(output *choice, f *costFlags, k *cost.Constants) error {
	if k == nil {
		k = cost.DefaultConstants()
	}
	daily, err := cost.ParseBytes(f.daily)
	if err != nil {
		return fmt.Errorf("--daily: %w", err)
	}
	rules, err := cost.ParseRules("retention=" + f.retention)
	if err != nil {
		return fmt.Errorf("--retention: %w", err)
	}
	if f.replicas < 0 || f.nodes < 1 {
		return errors.New("--replicas is not negative, and --nodes is at least 1")
	}
	r := sourceCost{Source: cost.Bytes(float64(daily) * rules[0].Days)}
	r.Copies = cost.Source(r.Source, f.replicas, k)
	r.Disk, r.DiskHow = cost.Disk(r.Copies, f.nodes, f.managed, k)
	r.Primaries = cost.Primaries(r.Copies/cost.Bytes(1+f.replicas), true, k)
	r.Shards = r.Primaries * (1 + f.replicas)
	var doc document
	doc.title = fmt.Sprintf("%s of source a day, kept for %s, %s, %s", daily, f.retention, plural(int64(f.replicas), "replica"), plural(int64(f.nodes), "data node"))
	doc.blocks = append(doc.blocks, block{table: &docTable{titles: []string{"", "", ""}, right: []bool{false, true, false}, rows: [][]string{
		{"source", r.Source.String(), fmt.Sprintf("%s × %s", daily, f.retention)},
		{"indices", r.Copies.String(), "with replicas, and what indexing adds"},
		{"disks", r.Disk.String(), r.DiskHow},
		{"primary shards", count(int64(r.Primaries)), "of the size that shards of logs have at most"},
		{"shards", count(int64(r.Shards)), "with replicas"},
	}}})
	switch output.value {
	case "markdown":
		return doc.markdown(c.Stdout)
	case "html":
		return doc.html(c.Stdout)
	}
	return c.print(output, r, doc.text)
}
