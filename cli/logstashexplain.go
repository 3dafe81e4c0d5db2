package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/syntax"
)

// isolatedFlags name one pipeline, for commands that look at what it does to events.
type isolatedFlags struct {
	logstashSettings
	path, text string
	input      string
}

func (f *isolatedFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.path, "path.config", "f", "", "the configuration: a `FILE`, a folder, or a pattern")
	flags.StringVarP(&f.text, "config.string", "e", "", "the configuration as `TEXT`")
	f.addLanguage(cmd)
}

// addInput adds the flag that says how lines are read.
func (f *isolatedFlags) addInput(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.input, "as", "", "read lines as the input with this `ID` or name does; without it, as the first one")
}

// files reads the configuration.
func (f *isolatedFlags) files() ([]syntax.File, error) {
	switch {
	case f.path != "" && f.text != "":
		return nil, errors.New("-f and -e are both given: one pipeline has one configuration")
	case f.text != "":
		return []syntax.File{{Name: "config_string", Text: []byte(f.text)}}, nil
	case f.path != "":
		return syntax.ReadFiles(f.path)
	}
	return nil, errors.New("no configuration is given: -f FILE or -e TEXT")
}

// isolated compiles the pipeline without its inputs and outputs.
func (f *isolatedFlags) isolated(c *common) (*logstash.Isolated, error) {
	files, err := f.files()
	if err != nil {
		return nil, err
	}
	read, compile := f.options(c)
	p, problems := logstash.ReadIsolated(files, read, compile)
	for _, e := range problems.Errors {
		writeProblem(c.Stderr, "", e)
	}
	if p == nil {
		return nil, fmt.Errorf("the configuration is wrong: %s", plural(int64(len(problems.Errors)), "error"))
	}
	return p, nil
}

// logstashTools are the commands that look at what a pipeline does to events.
func logstashTools(c *common) []*cobra.Command {
	return []*cobra.Command{newLogstashExplainCommand(c), newLogstashTestCommand(c), newLogstashDiffCommand(c), newLogstashProfileCommand(c), newLogstashGraphCommand(c), newLogstashCompileCommand(c)}
}

func newLogstashExplainCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "explain -f FILE",
		short: "take events through a pipeline of Logstash, and say what each step does",
		long: `Takes events through a pipeline, one plugin after the other, and says for each step
which condition held, which grok patterns were tried, what changed, and how long it
took. Events are given with --event as JSON, or as lines on standard input, which are
read with the codec of the pipeline's input. Inputs and outputs themselves are not
touched: nothing is read or written.`,
		examples: []example{
			{`naru logstash explain -f pipeline.conf --event '{"message":"a line"}'`, "an event as JSON"},
			{"tail -1 access.log | naru logstash explain -f pipeline.conf", "a line, as the input reads it"},
			{"naru logstash explain -f pipeline.conf -o json <line.txt", "the same for a script"},
		},
		exits: []exit{
			{exitOK, "explained"},
			{exitFailed, "the configuration is wrong, or the event is no JSON"},
		},
	})
	cmd.Args = exactArgs()
	var f isolatedFlags
	f.add(cmd)
	f.addInput(cmd)
	events := cmd.Flags().StringArray("event", nil, "an event as a `JSON` object; may be given several times")
	output := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) (err error) {
		p, err := f.isolated(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.Close()) }()
		x, err := p.Explainer(f.input)
		if err != nil {
			return err
		}
		for _, e := range *events {
			if err := x.Event(e); err != nil {
				return err
			}
		}
		if len(*events) == 0 {
			if err := eachLine(c.Stdin, func(line []byte) error { return x.Line(string(line)) }); err != nil {
				return err
			}
		}
		out := x.End()
		if len(out.Events) == 0 {
			return errors.New("there is no event: give --event JSON, or lines on standard input")
		}
		return c.print(output, out, func(w io.Writer, width int) error { return writeExplanation(w, width, &out) })
	}
	return cmd
}

// mostLine is how long a line may be, in bytes.
const mostLine = 64 << 20

// eachLine gives the lines of a stream until f fails; each is valid until the next one.
func eachLine(r io.Reader, f func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mostLine)
	for lines.Scan() {
		if err := f(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read lines: %w", err)
	}
	return nil
}

// mostCell is how wide a field or a value is in a table; -o json has the whole of it.
const mostCell = 76

// writeExplanation writes a table with a row for each step, and below it rows for what the step did.
func writeExplanation(w io.Writer, width int, x *logstash.Explanation) error {
	t := table{columns: []column{
		{title: "EVENT", right: true, optional: true}, {title: "AT"}, {title: "STEP", shrink: true}, {title: "RESULT", shrink: true},
		{title: "TOOK", right: true},
	}}
	short := shortPlaces(func(yield func(string) bool) {
		for i := range x.Steps {
			if !yield(x.Steps[i].At) {
				return
			}
		}
	})
	for i := range x.Steps {
		s := &x.Steps[i]
		number := ""
		if len(x.Events) > 1 && s.Event > 0 {
			number = fmt.Sprint(s.Event)
		}
		indent := strings.Repeat("  ", s.Depth)
		took := nanos(s.Took)
		if s.Kind == "output" {
			took = ""
		}
		t.row(number, short(s.At), indent+stepName(s), stepResult(s), took)
		below := func(step, result, took string) {
			t.row("", "", indent+"  "+cut(step, mostCell), cut(result, mostCell), took)
		}
		for _, p := range s.Patterns {
			below("["+printable(strings.Trim(p.Field, "[]"))+"] "+printable(p.Pattern), p.Result, nanos(p.Took))
		}
		for _, ch := range s.Changes {
			below(changeName(ch), changeResult(ch), "")
		}
		if s.Tags != nil {
			for _, tag := range s.Tags.Added {
				below("+ tag", printable(tag), "")
			}
			for _, tag := range s.Tags.Removed {
				below("- tag", printable(tag), "")
			}
		}
		for _, n := range s.Notes {
			below("!", printable(n), "")
		}
	}
	if len(x.Steps) == 0 {
		fmt.Fprintln(w, "The pipeline has no filters and no outputs: events stay as they are.")
	} else if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, e := range x.Events {
		first := "result  "
		if len(x.Events) > 1 {
			first = fmt.Sprintf("event %d, of %s  ", e.Number, printable(e.From))
		}
		if e.After == nil {
			fmt.Fprintf(w, "%sdropped at %s\n", first, short(e.Dropped))
			continue
		}
		fmt.Fprintf(w, "%s%s\n", first, printable(string(e.After)))
	}
	return nil
}

// shortPlaces leaves the file out of places if there is only one.
func shortPlaces(places iter.Seq[string]) func(at string) string {
	files := map[string]bool{}
	for at := range places {
		file, _ := splitPlace(at)
		files[file] = true
	}
	return func(at string) string {
		if _, place := splitPlace(at); len(files) == 1 {
			return place
		}
		return printable(at)
	}
}

// splitPlace cuts file:line:column before the line.
func splitPlace(at string) (file, place string) {
	for i, colons := len(at)-1, 0; i >= 0; i-- {
		if at[i] == ':' {
			if colons++; colons == 2 {
				return at[:i], at[i+1:]
			}
		}
	}
	return "", at
}

func stepName(s *logstash.Step) string {
	if s.Condition != "" {
		return s.Kind + " " + printable(s.Condition)
	}
	name := s.Plugin
	if s.ID != "" {
		name += " " + printable(s.ID)
	}
	switch s.Kind {
	case "output":
		return "output " + name
	case "flush":
		return name + ", at the end"
	}
	return name
}

func stepResult(s *logstash.Step) string {
	switch {
	case s.Drops && s.Holds != nil:
		return "cannot be evaluated: the event is lost"
	case s.Holds != nil:
		return map[bool]string{true: "true", false: "false"}[*s.Holds]
	case s.Kind == "output":
		return "gets the event"
	}
	var parts []string
	if s.Drops {
		parts = append(parts, "drops the event")
	}
	if n := len(s.Makes); n > 0 {
		numbers := make([]string, n)
		for i, m := range s.Makes {
			numbers[i] = fmt.Sprint(m)
		}
		parts = append(parts, "makes event "+strings.Join(numbers, ", "))
	}
	changed := len(s.Changes)
	if s.Tags != nil {
		changed++
	}
	if matched := slices.ContainsFunc(s.Patterns, func(p logstash.ExplainedTry) bool { return p.Result == "matched" }); matched {
		parts = append(parts, "matched")
	} else if len(s.Patterns) > 0 {
		parts = append(parts, "no pattern matched")
	}
	if changed == 0 && len(parts) == 0 {
		parts = append(parts, "nothing changed")
	} else if changed > 0 {
		parts = append(parts, plural(int64(changed), "change"))
	}
	return strings.Join(parts, "; ")
}

func changeName(c logstash.Change) string {
	switch {
	case c.Before == nil:
		return "+ " + printable(c.Field)
	case c.After == nil:
		return "- " + printable(c.Field)
	}
	return "~ " + printable(c.Field)
}

func changeResult(c logstash.Change) string {
	before, after := printable(string(c.Before)), printable(string(c.After))
	switch {
	case c.Before == nil:
		return after
	case c.After == nil:
		return "was " + before
	case before == after: // a string that became a time, for one
		return after + ", of another type"
	}
	return before + " → " + after
}

// nanos writes a short duration with three digits: 840 ns, 12.3 µs, 4.56 ms, 1.20 s.
func nanos(d time.Duration) string {
	v, unit := float64(d.Nanoseconds()), "ns"
	for _, next := range []string{"µs", "ms", "s"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, next
	}
	digits := 2
	switch {
	case unit == "ns" || v >= 99.95:
		digits = 0
	case v >= 9.995:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, v, unit)
}
