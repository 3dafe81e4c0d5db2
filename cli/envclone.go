package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/clone"
	"github.com/narudata/naru/estate/cost"
)

// cloneFlags say what a clone is to be.
type cloneFlags struct {
	dir    string
	o      clone.Options
	sample string
	budget string
	ttl    string
	yes    bool
	run    *runFlags
}

func newEnvCloneCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "clone FROM TO",
		short: "make an environment a small, masked copy of another one",
		long: `Copies the structure of the environment FROM to the cluster of TO in full: component and
index templates, ingest pipelines, ISM policies, and indices and data streams with their
mappings, settings and aliases. Of the documents it carries a sample, masked, within a
budget. With --by all documents of one value are in the sample, or none, in every index.
Equal values have equal masks everywhere; the key is in NARU_MASK_KEY or a file. The plan
is shown first. Nothing is written into an index that the clone did not make. The same
command goes on where it was, by any number of processes, and says when all is done.
NARU_USERNAME_ENV and NARU_PASSWORD_ENV are for one environment's cluster alone, like
NARU_PASSWORD_PROD.`,
		examples: []example{
			{"naru env clone prod staging -f estate --sample 1% --by trace.id --mask user.email,client.ip", "whole traces, without people"},
			{"naru env clone prod pr-7 -f estate --budget 50GiB --ttl 7d --replicas 0", "as much as fits, for a week"},
			{"naru env clone prod staging -f estate --sample 1% --plan", "what would be done"},
			{"naru env clone prod try -f estate --sample 5% --prefix try- -i 'logs-*'", "into the same cluster"},
		},
		exits: []exit{
			{exitOK, "the clone is complete, and was compared; or was before"},
			{exitFailed, "nothing was begun, or it was stopped by an error or its budget; the same command goes on"},
			{exitMismatch, "what arrived is not what was read"},
			{exitPartial, "done, but something could not be carried whole: the report says what"},
			{exitInterrupted, "interrupted; the same command goes on"},
		},
	})
	cmd.Args = exactArgs("FROM", "TO")
	f := &cloneFlags{}
	flags := cmd.Flags()
	flags.StringVarP(&f.dir, "dir", "f", "", "the declared environments are in `DIR`: base/ and overlays/ENV/")
	flags.StringSliceVarP((*[]string)(&f.o.Indices), "index", "i", nil, "only indices and data streams that match `PATTERN` (logs-*); one that begins with - or ! excludes, the last that matches decides; repeatable")
	flags.StringVar(&f.sample, "sample", "", "only `RATE` of the documents (1%), always the same ones")
	flags.StringVar(&f.o.By, "by", "", "sample by the value of `FIELD` (trace.id): all documents with one value, or none; those without it by their ids")
	flags.StringSliceVar(&f.o.Mask, "mask", nil, "replace the values of `FIELD` by a keyed hash; the key is in NARU_MASK_KEY; repeatable")
	flags.StringVar(&f.o.KeyFile, "mask-key-file", "", "read the key for --mask from `FILE`")
	flags.StringVar(&f.budget, "budget", "", "take at most `BYTES` (50GiB) on TO's disks, with all copies; the rate is lowered to fit")
	flags.StringVar(&f.ttl, "ttl", "", "the clone is to vanish after a `TIME` 7d, 12h: an ISM policy deletes its indices, naru env expire the rest")
	flags.StringVar(&f.o.Prefix, "prefix", "", "begin the names of the clone's indices and aliases with `TEXT`; needed in the same cluster")
	flags.IntVar(&f.o.Replicas, "replicas", -1, "the clone's indices have `N` replicas; -1: as many as those of FROM")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	f.run = addRunFlags(cmd)
	if err := cmd.MarkFlagDirname("dir"); err != nil {
		panic("BUG: " + err.Error())
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.parse(); err != nil {
			return err
		}
		x := &cloning{common: c, f: f}
		return x.clone(cmd.Context(), args[0], args[1])
	}
	return cmd
}

// parse reads the flags that are texts.
func (f *cloneFlags) parse() error {
	if f.sample != "" {
		if err := f.o.Rate.UnmarshalText([]byte(f.sample)); err != nil {
			return fmt.Errorf("--sample: %w", err)
		}
	}
	if f.budget != "" {
		n, err := cost.ParseBytes(f.budget)
		if err != nil {
			return fmt.Errorf("--budget: %w", err)
		}
		f.o.Budget = int64(n)
	}
	if f.ttl != "" {
		d, err := daysOrDuration(f.ttl)
		if err != nil {
			return fmt.Errorf("--ttl: %w", err)
		}
		f.o.TTL = d
	}
	return nil
}

// daysOrDuration reads 7d, 36h, 90m.
func daysOrDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	if digits, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		if _, err := fmt.Sscanf(digits+"$", "%g$", &n); err == nil && n > 0 && n < 36500 {
			return time.Duration(n * float64(day)).Round(time.Second), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q: want a time like 7d, 36h or 90m", text)
	}
	return d, nil
}

// sideOf reads an environment and connects to its cluster.
func (c *common) sideOf(ctx context.Context, dir, environment string) (clone.Side, error) {
	f := estateFlags{dir: dir, env: environment}
	d, err := f.read(ctx, c)
	if err != nil {
		return clone.Side{}, err
	}
	clone.Authorize(d, c.Getenv)
	d.Kafka, d.Dashboards = nil, nil // a clone has none of them
	t, err := d.Connect(ctx, c.Getenv)
	return clone.Side{Desired: d, Target: t}, err
}

// cloning is one run of `naru env clone`.
type cloning struct {
	*common
	f *cloneFlags
}

// cloneReport is what `naru env clone` prints as JSON.
type cloneReport struct {
	Plan  *clone.Plan  `json:"plan"`
	Carry *carryReport `json:"carry,omitempty"`
}

func (x *cloning) clone(ctx context.Context, from, to string) error {
	var sides [2]clone.Side
	for i, environment := range []string{from, to} {
		side, err := x.sideOf(ctx, x.f.dir, environment)
		if err != nil {
			return err
		}
		defer side.Close()
		sides[i] = side
	}
	p, err := clone.NewPlan(ctx, sides[0], sides[1], x.f.o, x.Getenv, time.Now())
	if err != nil {
		return err
	}
	report := cloneReport{Plan: p}
	people := x.f.run.output.value == "table"
	show := func() error {
		if people {
			return writeClonePlan(x.Stdout, x.columns(x.Stdout), p, sides, x.f.run.limit())
		}
		return nil
	}
	if done := p.Record.Done; !done.IsZero() && len(p.Problems) == 0 {
		return x.print(x.f.run.output, report, func(w io.Writer, width int) error { return writeCloneDone(w, width, p, sides[1].Dir) })
	}
	if err := show(); err != nil {
		return err
	}
	if x.f.run.plan || len(p.Problems) > 0 {
		if !people {
			if err := x.print(x.f.run.output, report, nil); err != nil {
				return err
			}
		}
		if n := len(p.Problems); n > 0 {
			return &exitError{exitFailed, fmt.Errorf("nothing was begun: %s", p.Problems[0])}
		}
		return nil
	}
	if !x.f.yes {
		if err := x.sayYes(fmt.Sprintf("Clone %s into %s (%s)?", from, to, printable(p.To.Name))); err != nil {
			return err
		}
	}
	return x.carryOut(ctx, &report, sides)
}

// carryOut makes the structure, carries the documents and ends the clone.
func (x *cloning) carryOut(ctx context.Context, report *cloneReport, sides [2]clone.Side) error {
	p := report.Plan
	run := clone.Run{Plan: p, From: sides[0], To: sides[1], Now: time.Now, Step: func(what string) { fmt.Fprintln(x.Stderr, printable(what)) }}
	beginning, stop, release := x.heed(ctx)
	run.Stop = stop
	err := run.Begin(beginning)
	release()
	switch {
	case errors.Is(err, estate.ErrStopped), err != nil && beginning.Err() != nil:
		return &exitError{exitInterrupted, errors.New("interrupted before any document was carried; the same command goes on")}
	case err != nil:
		return err
	}
	if len(p.Indices) == 0 {
		return run.Finish(ctx, 0)
	}
	f := p.Flow(sides[0], sides[1])
	result, flowErr, err := x.carried(ctx, f, x.f.run)
	if err != nil {
		return err
	}
	report.Carry = result
	again := fmt.Sprintf("naru env rm -f %s -e %s   # takes it away", quote(sides[1].Dir), quote(p.Environment))
	result.Next = []string{again}
	complete := slices.Contains([]string{stateDone, stateEarlier, statePartial}, result.State)
	if complete {
		if err := run.Finish(ctx, result.Total.Delivered); err != nil {
			return err
		}
	} else {
		result.Next = append([]string{"the same command goes on where this one was"}, result.Next...)
	}
	result.Notes = append(p.Notes[:len(p.Notes):len(p.Notes)], result.Notes...)
	if err := x.print(x.f.run.output, report, func(w io.Writer, width int) error {
		if err := result.write(w, width, x.f.run.limit()); err != nil {
			return err
		}
		if complete {
			_, err = fmt.Fprintf(w, "\n%s\n", cloneEnd(p))
		}
		return err
	}); err != nil {
		return err
	}
	switch code := result.code(); code {
	case exitOK:
		return nil
	case exitFailed:
		return &exitError{code, flowErr}
	default:
		return &exitError{code: code}
	}
}

func bytesOf(n int64) string { return cost.Bytes(n).String() }

// writeClonePlan writes what would be done, for people.
func writeClonePlan(w io.Writer, width int, p *clone.Plan, sides [2]clone.Side, limit int) error {
	fmt.Fprintf(w, "Clone of %s into %s\n", printable(p.Of), printable(p.Environment))
	for i, name := range []string{"from", "to  "} {
		c := sides[i].Search
		fmt.Fprintf(w, "%s cluster %s, %s at %s\n", name, printable(c.Info().Name), c.Info(), printable(c.String()))
	}
	if p.Begun {
		wrap(w, "", fmt.Sprintf("goes on with the clone %s of %s", p.Record.ID, p.Record.Began.Format(time.DateTime)), proseWidth(width))
	}
	fmt.Fprintln(w)
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "AS", shrink: true, optional: true}, {title: "DOCUMENTS", right: true}, {title: "SIZE", right: true},
		{title: "SAMPLE", right: true}, {title: "COPIES", right: true}, {title: "TAKES", right: true}, {title: "BY", optional: true},
	}}
	var documents, bytes int64
	for i, x := range p.Indices {
		documents, bytes = documents+max(x.Documents, 0), bytes+x.Bytes
		if limit > 0 && i >= limit {
			continue
		}
		by := p.Record.By
		if !x.Whole {
			by = ""
			if p.Record.By != "" {
				by = "ids"
			}
		}
		as := ""
		if x.As != x.Name {
			as = printable(x.As)
		}
		docs := count(x.Documents)
		if x.Documents < 0 {
			docs = "?"
		}
		t.row(printable(x.Name), as, docs, bytesOf(x.Bytes), "~"+count(x.Sampled), count(x.Copies), "~"+bytesOf(x.Takes), printable(by))
	}
	if hidden := len(p.Indices) - len(t.rows); hidden > 0 {
		t.row(t.more(hidden), "", "", "", "", "", "", "")
	}
	if len(p.Indices) > 1 {
		t.row("total", "", count(documents), bytesOf(bytes), "~"+count(p.Documents), "", "~"+bytesOf(p.Bytes), "")
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprintln(w)
	prose := proseWidth(width)
	wrap(w, "", "Sample: "+sampleText(p)+".", prose)
	for _, m := range p.Masked {
		what := strings.Join(m.Fields, ", ")
		if what == m.Field {
			what = ""
		} else if what != "" {
			what = " (" + what + ")"
		}
		in := "in " + plural(int64(m.Indices), "index")
		if m.Unnamed > 0 {
			in += fmt.Sprintf(", and where it stands in %s whose mappings do not name all fields", plural(int64(m.Unnamed), "index"))
		}
		wrap(w, "", fmt.Sprintf("Masked: %s%s, %s.", printable(m.Field), printable(what), in), prose)
	}
	if len(p.Structure) > 0 {
		wrap(w, "", "Structure: "+structureText(p.Structure)+".", prose)
	}
	for _, o := range p.Structure {
		if o.Action == "there" && o.Why != "it is the same" {
			wrap(w, "", fmt.Sprintf("  %s stays: %s", printable(o.Key.String()), printable(o.Why)), prose)
		}
	}
	if until := p.Record.Until; !until.IsZero() {
		fmt.Fprintf(w, "It vanishes after %s UTC.\n", until.UTC().Format("2006-01-02 15:04"))
	}
	if len(p.Unmasked) > 0 {
		wrap(w, "warning: ", "these look like personal data and are not masked: "+printable(strings.Join(p.Unmasked, ", ")), prose)
	}
	if len(p.FreeTexts) > 0 {
		wrap(w, "warning: ", "anything may stand in free text, which is not masked: "+printable(strings.Join(p.FreeTexts, ", ")), prose)
	}
	if len(p.Masked) > 0 {
		wrap(w, "note: ", "ids and routing values are not masked", prose)
	}
	for _, n := range p.Notes {
		wrap(w, "note: ", printable(n), prose)
	}
	for _, problem := range p.Problems {
		wrap(w, "! ", printable(problem), prose)
	}
	return nil
}

func sampleText(p *clone.Plan) string {
	r := p.Record
	text := r.Rate.String() + " of the documents"
	if r.Rate == 1 {
		return "all documents"
	}
	if r.By != "" {
		return text + ", all of one " + printable(r.By) + " or none"
	}
	return text + ", by their ids"
}

func structureText(objects []clone.Object) string {
	var order []string
	n := map[string]int64{}
	for _, o := range objects {
		if n[o.Action] == 0 {
			order = append(order, o.Action)
		}
		n[o.Action]++
	}
	for i, action := range order {
		verb := "to " + action
		if action == "there" {
			verb = "there already"
		}
		order[i] = fmt.Sprintf("%s %s", count(n[action]), verb)
	}
	return strings.Join(order, ", ")
}

func writeCloneDone(w io.Writer, width int, p *clone.Plan, dir string) error {
	r := p.Record
	wrap(w, "", fmt.Sprintf("The clone %s of %s in %s is complete since %s UTC: %s documents in %s. %s To make it anew: naru env rm -f %s -e %s, then this command.",
		r.ID, printable(p.Of), printable(p.Environment), r.Done.UTC().Format("2006-01-02 15:04"), count(r.Documents), plural(int64(len(r.Made)), "index"), cloneEnd(p),
		quote(dir), quote(p.Environment)), proseWidth(width))
	return nil
}

// cloneEnd says when a clone vanishes.
func cloneEnd(p *clone.Plan) string {
	if p.Record.Until.IsZero() {
		return "It stays until it is taken away."
	}
	return "It vanishes after " + p.Record.Until.UTC().Format("2006-01-02 15:04") + " UTC."
}
