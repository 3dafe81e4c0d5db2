package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash"
)

func newLogstashCompileCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "compile -f FILE",
		short: "show the flow that a pipeline of Logstash becomes",
		long: `Compiles a configuration and shows what of it runs: a source for each input, a program
of filters for each event, a program that chooses outputs. An event begins at 0 and goes
from one instruction to the next; "unless" goes on at another if the condition does not
hold. Inputs and outputs need not be built into naru.`,
		examples: []example{
			{"naru logstash compile -f pipeline.conf", "the program"},
			{"naru logstash compile -f conf.d -o json", "for a script"},
		},
		exits: []exit{{exitOK, "shown"}, {exitFailed, "the configuration is wrong"}},
	})
	cmd.Args = exactArgs()
	var f isolatedFlags
	f.add(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) (err error) {
		p, err := f.isolated(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.Close()) }()
		l := p.Listing()
		return c.print(output, l, func(w io.Writer, width int) error { return writeListing(w, width, &l) })
	}
	return cmd
}

func writeListing(w io.Writer, width int, l *logstash.Listing) error {
	t := table{columns: []column{{title: "AT", right: true}, {title: "STEP", shrink: true}, {title: "PLACE", shrink: true}}}
	for _, s := range l.Sources {
		t.row("", "source "+printable(s.Name), s.Place)
	}
	program := func(kind string, steps []logstash.Instruction) {
		for _, s := range steps {
			t.row(count(int64(s.At)), kind+" "+instruction(&s), s.Place)
		}
	}
	program("filter", l.Filters)
	program("output", l.Outputs)
	if err := t.write(w, width); err != nil {
		return err
	}
	if l.Workers > 0 {
		fmt.Fprintf(w, "\nA filter sees all events, so there is %s.\n", plural(int64(l.Workers), "worker"))
	}
	return nil
}

func instruction(s *logstash.Instruction) string {
	switch {
	case s.Call != "":
		return printable(s.Call)
	case s.If != "":
		return fmt.Sprintf("unless %s: go on at %d", printable(s.If), s.To)
	}
	return fmt.Sprintf("go on at %d", s.To)
}
