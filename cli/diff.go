package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
	"github.com/narudata/naru/migrate/compare"
	"github.com/narudata/naru/migrate/verify"
)

// usuallyIgnored are fields that say when and by which run of an agent or a pipeline an event was processed: they differ
// between two runs over the same events, and nobody wants to know.
var usuallyIgnored = []string{"event.ingested", "agent.ephemeral_id"}

// diffFlags say what is compared, and how it is shown.
type diffFlags struct {
	kafka            kafkaFlags
	access           accessFlags
	key, ignore      []string
	allFields        bool
	sample           string
	since, until     string
	timeField        string
	examples, memory int
	temp             string
	all              bool
	output, progress choice

	pairedBy string // what the keys are, if the command makes them
}

// addCommon adds the flags that also commands have that make both sides themselves.
func (f *diffFlags) addCommon(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.ignore, "ignore", nil, "do not compare the `FIELD`, and what is in it: agent, *.id; repeatable")
	flags.BoolVar(&f.allFields, "all-fields", false, "compare also "+strings.Join(usuallyIgnored, " and "))
	flags.IntVar(&f.examples, "examples", 3, "show `N` examples of each difference")
	flags.IntVar(&f.memory, "memory", 256, "sort records in `MIB` mebibytes of memory; what does not fit goes into temporary files")
	flags.StringVar(&f.temp, "temp-dir", "", "put temporary files into `DIR`; the default is the system's")
	flags.BoolVar(&f.all, "all", false, "show every change, however many there are")
	f.output = choice{value: "table", of: []string{"table", "json", "markdown", "html"}}
	flags.VarP(&f.output, "output", "o", "print the result as `FORMAT` table, json, markdown or html")
	complete(cmd, "output", f.output.of...)
}

func (f *diffFlags) add(cmd *cobra.Command) {
	f.kafka.add(cmd)
	f.access.add(cmd)
	flags := cmd.Flags()
	flags.StringSliceVarP(&f.key, "key", "k", nil, "pair records by the value of `FIELD`; several together, by comma. _line is the line of a file; the default is _id")
	flags.StringVar(&f.sample, "sample", "", "compare only a `RATE` of the records, like 1%: the same keys on both sides, and in every run")
	flags.StringVar(&f.since, "since", "", "only records from `TIME` on, 2026-11-24T10:00Z, or a duration ago (2h)")
	flags.StringVar(&f.until, "until", "", "only records before `TIME`")
	flags.StringVar(&f.timeField, "time-field", "@timestamp", "the `FIELD` that --since and --until are about")
	f.addCommon(cmd)
	f.progress = progressChoice()
	flags.Var(&f.progress, "progress", "show progress on standard error as `HOW` auto, bar, line, json or none")
	complete(cmd, "progress", f.progress.of...)
}

var diffExits = []exit{
	{exitOK, "there is no difference"},
	{exitFailed, "one of them cannot be read, or the arguments are wrong"},
	{exitDifference, "there are differences; the tables say which"},
	{exitInterrupted, "interrupted"},
}

func newDiffCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "diff A B",
		short: "say how the documents of two places differ, field by field",
		long: `Reads A and B once, pairs their documents by _id or by --key, and says which fields are
new, gone, renamed, of another type or of another value, how often, with examples. A and B
are indices (https://node-1:9200/logs-*, by names, patterns or aliases), files of JSON
lines or folders of them (also gzip, zstd; - is standard input), archives, snapshot
repositories, or topics (topic:NAME). Documents with no key are paired by their whole
content. event.ingested and agent.ephemeral_id are not compared.

Memory is bounded by --memory (the process takes about three times that), whatever the
size of A and B; the rest goes into temporary files, a quarter of the JSON or less. A field
that is gone where another one came with the same value is shown as renamed.`,
		examples: []example{
			{"naru diff https://node-1:9200/logs-2026.11.24 https://node-1:9200/shadow-2026.11.24", "a pipeline's output and that of its next version"},
			{"naru diff old.ndjson new.ndjson --key event.id", "two runs over the same input"},
			{"naru diff old.ndjson new.ndjson --key kafka.topic,kafka.partition,kafka.offset", "paired by where events come from"},
			{"naru diff https://node-1:9200/logs https://node-1:9200/shadow --since 2h --sample 1% -o html >diff.html", "a page to send around"},
		},
		exits: diffExits,
	})
	cmd.Args = exactArgs("A", "B")
	f := &diffFlags{}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.diff(cmd.Context(), f, args[0], args[1]) }
	return cmd
}

// options are what the flags ask for.
func (f *diffFlags) options() (o compare.Options, err error) {
	o = compare.Options{Key: f.key, Ignore: slices.Clone(f.ignore), TimeField: f.timeField, MemoryBytes: f.memory << 20, Dir: f.temp, Examples: f.examples}
	if !f.allFields {
		o.Ignore = append(o.Ignore, usuallyIgnored...)
	}
	if f.memory < 1 || f.memory > 1<<20 {
		return o, fmt.Errorf("--memory %d: want at least 1", f.memory)
	}
	if f.examples < 1 || f.examples > 1000 {
		return o, fmt.Errorf("--examples %d: want 1 to 1000", f.examples)
	}
	if f.sample != "" {
		s := &stage.Sample{}
		if err := s.Rate.UnmarshalText([]byte(f.sample)); err != nil {
			return o, fmt.Errorf("--sample: %w", err)
		}
		if err := s.Validate(); err != nil {
			return o, fmt.Errorf("--sample: %w", err)
		}
		o.Sample = float64(s.Rate)
	}
	now := time.Now()
	if o.Window.Since, err = moment("since", f.since, now); err != nil {
		return o, err
	}
	if o.Window.Until, err = moment("until", f.until, now); err != nil {
		return o, err
	}
	if !o.Window.Since.IsZero() && !o.Window.Until.IsZero() && !o.Window.Since.Before(o.Window.Until) {
		return o, errors.New("--since is not before --until: nothing is in between")
	}
	return o, nil
}

// moment reads a time, or a duration ago. Without a zone it is UTC.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	text := s
	if days, ok := strings.CutSuffix(s, "d"); ok {
		text = days + "h"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("--%s %q: want a time like 2026-11-24T10:00Z, or a duration ago like 2h", flag, s)
	}
	if text != s {
		d *= 24
	}
	return now.Add(-d), nil
}

func (c *common) diff(ctx context.Context, f *diffFlags, nameA, nameB string) (err error) {
	o, err := f.options()
	if err != nil {
		return err
	}
	if nameA == "-" && nameB == "-" {
		return errors.New("standard input can only be one of the two")
	}
	var sides [2]compare.Source
	var closers [2]func() error
	for i, name := range []string{nameA, nameB} {
		if sides[i], closers[i], err = c.openDiffSide(ctx, f, &o, name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closers[i]()) }()
	}
	return c.showDiff(ctx, f, o, sides, nameA, nameB)
}

// showDiff compares two sides and prints the report.
func (c *common) showDiff(ctx context.Context, f *diffFlags, o compare.Options, sides [2]compare.Source, nameA, nameB string) error {
	ctx, interrupted, release := c.untilSignal(ctx)
	defer release()
	p := newReadBack(nil)
	w := c.watch(ctx, p.snapshot, f.progress.value)
	o.Progress = func(s compare.Side, records, bytes int) {
		p.add(verify.Progress{Group: s.String(), Records: records, Bytes: bytes})
	}
	report, err := compare.Compare(ctx, sides[0], sides[1], o)
	w.stop()
	if interrupted() {
		return &exitError{code: exitInterrupted}
	}
	if err != nil {
		return err
	}
	out := &difference{A: nameA, B: nameB, Sample: f.sample, Since: o.Window.Since, Until: o.Window.Until, Report: report, pairedBy: f.pairedBy}
	if report.A.Read == 0 && report.B.Read == 0 {
		return fmt.Errorf("there is nothing to compare: neither %s nor %s has a document%s", nameA, nameB, out.inWindow())
	}
	if err := out.keyed(); err != nil {
		return err
	}
	limit := defaultRows
	if f.all {
		limit = 0
	}
	switch f.output.value {
	case "markdown":
		err = out.markdown(c.Stdout, limit)
	case "html":
		err = out.html(c.Stdout, limit)
	default:
		err = c.print(&f.output, out, out.table(limit))
	}
	if err == nil && !report.Same() {
		err = &exitError{code: exitDifference}
	}
	return err
}

// openDiffSide opens one of the two places.
func (c *common) openDiffSide(ctx context.Context, f *diffFlags, o *compare.Options, arg string) (compare.Source, func() error, error) {
	none := func() error { return nil }
	if name, ok := strings.CutPrefix(arg, "topic:"); ok {
		return c.openTopic(ctx, f, name)
	}
	if isCluster(arg) {
		at := strings.LastIndex(arg, "/")
		if host := strings.Index(arg, "://"); at <= host+2 || arg[at+1:] == "" {
			return nil, nil, fmt.Errorf("%s: say which index: %s/INDEX", arg, strings.TrimSuffix(arg, "/"))
		}
		access := f.access.to(arg[:at])
		client, err := access.Connect(ctx, c.Getenv)
		if err != nil {
			return nil, nil, err
		}
		return compare.Cluster(ctx, client, arg[at+1:], o.TimeField, o.Window, c.log())
	}
	if arg == "-" {
		return &compare.Lines{Stdin: c.Stdin}, none, nil
	}
	p, err := split(arg)
	if err != nil {
		return nil, nil, err
	}
	plain := p.kind == "" || p.kind == kindNDJSON
	if plain && !blob.Remote(p.path) {
		info, err := os.Stat(p.path)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: there is no such file or folder%s", p.path, neighbour(p.path))
		}
		kind := ""
		if info.IsDir() {
			if kind, err = look(p.path); err != nil {
				return nil, nil, err
			}
		}
		if kind == "" {
			lines, err := compare.LinesAt(p.path)
			return lines, none, err
		}
	}
	source, closer, err := c.openSide(ctx, &sourceFlags{access: f.access}, arg)
	if err != nil {
		return nil, nil, err
	}
	return &compare.Flow{Source: source}, closer, nil
}

// openTopic opens what is in a topic now. Its documents have ids of where they are from.
func (c *common) openTopic(ctx context.Context, f *diffFlags, name string) (compare.Source, func() error, error) {
	config, err := f.kafka.connection(c)
	if err != nil {
		return nil, nil, err
	}
	r := &kafka.Range{Config: *config, Topics: []string{name}}
	source, err := r.Replay(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &compare.Flow{Source: source, Stages: []flow.Stage{&kafka.Documents{}}}, func() error { return nil }, nil
}
