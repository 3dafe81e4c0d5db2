package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/syntax"
	"github.com/narudata/naru/migrate/compare"
)

func newLogstashDiffCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "diff OLD NEW --input FILE",
		short: "take the same lines through two versions of a pipeline, and say how the events differ",
		long: `Takes each line of FILE through the filters of both configurations, and compares the
events field by field, as naru diff does. OLD and NEW are files, folders or patterns. Lines
are read with the codec of the first input (or the one that --as names). Inputs and outputs
themselves are not touched; which outputs get an event is compared as the field @outputs,
by their ids or names. The time of processing is the same for both.

Events are paired by the number of their line, and, if several come of one, by their order.`,
		examples: []example{
			{"naru logstash diff pipeline.conf pipeline-2.conf --input sample.log", "before a change is switched on"},
			{"naru logstash diff conf.d new.d --input sample.log -o markdown", "for a merge request"},
		},
		exits: diffExits,
	})
	cmd.Args = exactArgs("OLD", "NEW")
	f := &diffFlags{timeField: "@timestamp", pairedBy: "line"}
	f.addCommon(cmd)
	f.progress.value = "none"
	var p isolatedFlags
	p.addLanguage(cmd)
	p.addInput(cmd)
	input := cmd.Flags().String("input", "", "the `FILE` with the lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if *input == "" {
			return errors.New("say which lines: --input FILE")
		}
		o, err := f.options()
		if err != nil {
			return err
		}
		now := time.Now()
		var sides [2]compare.Source
		for i, path := range args {
			files, err := syntax.ReadFiles(path)
			if err != nil {
				return err
			}
			read, compile := p.options(c)
			compile.Now = func() time.Time { return now }
			pipeline, problems := logstash.ReadIsolated(files, read, compile)
			for _, e := range problems.Errors {
				writeProblem(c.Stderr, "", e)
			}
			if pipeline == nil {
				return fmt.Errorf("%s is wrong: %s", path, plural(int64(len(problems.Errors)), "error"))
			}
			defer func() { err = errors.Join(err, pipeline.Close()) }()
			sides[i] = &passage{pipeline, p.input, *input}
		}
		return c.showDiff(cmd.Context(), f, o, sides, args[0], args[1])
	}
	return cmd
}

// A passage is what a pipeline makes of the lines of a file.
type passage struct {
	pipeline    *logstash.Isolated
	input, file string
}

var _ compare.Source = (*passage)(nil)

// Read implements compare.Source. The key of a record is the number of its line, with that of the event behind it from the
// second on.
func (p *passage) Read(ctx context.Context, visit func([]flow.Record) error) (err error) {
	const together = 500 // lines
	file, err := os.Open(p.file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	b := &flow.Batch{}
	line, events := int64(0), 0
	through, err := p.pipeline.Passage(p.input, func(event []byte) {
		key := strconv.AppendInt(nil, line, 10)
		if events++; events > 1 {
			key = strconv.AppendInt(append(key, '#'), int64(events), 10)
		}
		b.Records = append(b.Records, flow.Record{Key: b.Copy(key), Body: b.Copy(event)})
	})
	if err != nil {
		return err
	}
	give := func() error {
		err := visit(b.Records)
		b.Reset()
		return err
	}
	err = eachLine(file, func(text []byte) error {
		line++
		events = 0
		if err := through.Line(b.Copy(text)); err != nil {
			return err
		}
		if line%together != 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return give()
	})
	if err != nil {
		return err
	}
	through.End()
	return give()
}
