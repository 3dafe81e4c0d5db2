package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash"
)

func newLogstashProfileCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "profile -f FILE --input LINES",
		short: "say what the time of a pipeline of Logstash goes into",
		long: `Takes lines through the filters of a pipeline, on one processor, and says what each
plugin, each condition and each grok pattern costs, and why the expensive ones are:
patterns that fail late as they are not anchored, that go back and forth, or that run
out of steps. All events are counted; how long a step takes is measured for one event of
--sample, so that measuring changes little. Inputs and outputs are not touched.`,
		examples: []example{
			{"naru logstash profile -f pipeline.conf --input access.log", "a table"},
			{"zcat access.log.gz | naru logstash profile -f pipeline.conf -o json", "the same for a script"},
		},
		exits: []exit{
			{exitOK, "measured"},
			{exitFailed, "the configuration is wrong, or the lines cannot be read"},
		},
	})
	cmd.Args = exactArgs()
	var f isolatedFlags
	f.add(cmd)
	f.addInput(cmd)
	input := cmd.Flags().String("input", "-", "the `FILE` with lines; -: standard input")
	sample := cmd.Flags().Int("sample", 10, "measure one event of `N`")
	all := cmd.Flags().Bool("all", false, "show every step, however many there are")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if *sample < 1 {
			return fmt.Errorf("--sample is a number from 1 on, not %d", *sample)
		}
		p, err := f.isolated(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.Close()) }()
		lines := c.Stdin
		if *input != "-" {
			file, err := os.Open(*input)
			if err != nil {
				return fmt.Errorf("read lines: %w", err)
			}
			defer file.Close() //nolint:errcheck // it was only read
			lines = file
		}
		x, err := p.Profiler(f.input, *sample)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		err = eachLine(lines, func(line []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return x.Line(line)
		})
		if err != nil {
			return err
		}
		out := x.Profile()
		if out.Events == 0 {
			return errors.New("there is no event: give --input FILE, or lines on standard input")
		}
		limit := defaultRows
		if *all {
			limit = 0
		}
		return c.print(output, out, func(w io.Writer, width int) error { return writeProfile(w, width, limit, out) })
	}
	return cmd
}

func writeProfile(w io.Writer, width, limit int, p *logstash.Profile) error {
	fmt.Fprintf(w, "%s, %s each: %s events/s on one processor; %s measured\n\n", plural(p.Events, "event"),
		nanos(p.Time/time.Duration(p.Events)), count(rate(p.Events, p.Time)), count(p.Measured))
	steps := table{columns: []column{
		{title: "SHARE", right: true}, {title: "AT"}, {title: "STEP", shrink: true}, {title: "EVENTS", right: true},
		{title: "TRUE", right: true, optional: true}, {title: "EACH", right: true}, {title: "TIME", right: true},
	}}
	at := shortPlaces(func(yield func(string) bool) {
		for i := range p.Steps {
			if !yield(p.Steps[i].At) {
				return
			}
		}
	})
	order := make([]int, len(p.Steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.Steps[b].Time, p.Steps[a].Time) })
	hidden, hiddenTime := 0, time.Duration(0)
	for n, i := range order {
		s := &p.Steps[i]
		if limit > 0 && n >= limit {
			hidden++
			hiddenTime += s.Time
			continue
		}
		name, held := s.Plugin, ""
		if s.ID != "" {
			name += " " + printable(s.ID)
		}
		if s.Condition != "" {
			name, held = s.Kind+" "+printable(s.Condition), count(s.Held)
		}
		each := nanos(s.Each)
		if s.Events == 0 {
			each = "-"
		}
		steps.row(sharePercent(s.Share), at(s.At), cut(name, mostCell), count(s.Events), held, each, nanos(s.Time))
	}
	if hidden > 0 {
		steps.row(sharePercent(shareOf(hiddenTime, p.Time)), "", fmt.Sprintf("… %d more", hidden), "", "", "", nanos(hiddenTime))
		steps.note = "--all shows every step."
	}
	steps.row(sharePercent(shareOf(p.Decoding, p.Time)), "", "(decoding)", count(p.Events), "", nanos(p.Decoding/time.Duration(p.Events)),
		nanos(p.Decoding))
	if err := steps.write(w, width); err != nil {
		return err
	}
	if len(p.Patterns) > 0 {
		fmt.Fprintln(w)
		if err := patternTable(p, at, limit).write(w, width); err != nil {
			return err
		}
	}
	if len(p.Findings) > 0 {
		fmt.Fprintln(w, "\nEXPENSIVE")
	}
	for _, f := range p.Findings {
		fmt.Fprintf(w, "  %s at %s: %s\n", sharePercent(f.Share), at(f.At), cut(printable(f.What), mostCell))
		for _, r := range f.Reasons {
			wrap(w, "    ", printable(r), proseWidth(width))
		}
	}
	return nil
}

func patternTable(p *logstash.Profile, at func(string) string, limit int) *table {
	t := &table{columns: []column{
		{title: "SHARE", right: true}, {title: "AT"}, {title: "PATTERN", shrink: true}, {title: "TRIED", right: true},
		{title: "MATCHED", right: true}, {title: "SKIPPED", right: true, optional: true}, {title: "GAVE UP", right: true, optional: true},
		{title: "A MATCH", right: true}, {title: "A FAILURE", right: true}, {title: "BACK", right: true, optional: true},
	}}
	for i := range p.Patterns {
		if limit > 0 && i >= limit {
			t.note = "--all shows every pattern."
			break
		}
		x := &p.Patterns[i]
		match, fail := "-", "-"
		if x.Matched > 0 {
			match = nanos(x.EachMatch)
		}
		if x.Tried > x.Matched {
			fail = nanos(x.EachFail)
		}
		back := max(x.StepsMatch, x.StepsFail)
		t.row(sharePercent(x.Share), at(x.At), cut(printable(x.Pattern), mostCell), count(x.Tried), count(x.Matched), count(x.Skipped),
			count(x.GaveUp), match, fail, short(int64(back+0.5)))
	}
	return t
}

func shareOf(part, all time.Duration) float64 {
	if all <= 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// sharePercent writes a share: 12.3 %.
func sharePercent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
