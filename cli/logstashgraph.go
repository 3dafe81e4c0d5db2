package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/syntax"
)

func newLogstashGraphCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "graph -f FILE",
		short: "draw a pipeline of Logstash: its plugins and conditions",
		long: `Draws the plugins of a configuration, its conditions, and the ways that events take: as
text of Mermaid, which wikis and forges show as a picture, or as an SVG that stands
alone. Only the text is read: plugins need not be built into naru. Passwords and the
like are left out.`,
		examples: []example{
			{"naru logstash graph -f pipeline.conf", "a flowchart for a page in a wiki"},
			{"naru logstash graph -f conf.d -o svg >pipeline.svg", "a picture"},
		},
		exits: []exit{
			{exitOK, "drawn"},
			{exitFailed, "the configuration cannot be read"},
		},
	})
	cmd.Args = exactArgs()
	var f isolatedFlags
	flags := cmd.Flags()
	flags.StringVarP(&f.path, "path.config", "f", "", "the configuration: a `FILE`, a folder, or a pattern")
	flags.StringVarP(&f.text, "config.string", "e", "", "the configuration as `TEXT`")
	format := choice{value: "mermaid", of: []string{"mermaid", "svg"}}
	flags.VarP(&format, "output", "o", "draw it as `FORMAT` mermaid or svg")
	complete(cmd, "output", format.of...)
	cmd.RunE = func(*cobra.Command, []string) error {
		files, err := f.files()
		if err != nil {
			return err
		}
		config, err := syntax.ParseAll(files)
		var wrong syntax.Errors
		if errors.As(err, &wrong) {
			for _, e := range wrong {
				writeProblem(c.Stderr, "", e)
			}
			return fmt.Errorf("the configuration is wrong: %s", plural(int64(len(wrong)), "error"))
		} else if err != nil {
			return err
		}
		g := logstash.NewGraph(config)
		text := g.Mermaid()
		if format.value == "svg" {
			text = g.SVG()
		}
		_, err = io.WriteString(c.Stdout, text)
		return err
	}
	return cmd
}
