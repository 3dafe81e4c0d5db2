package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
)

func newRunCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "run FLOW.yaml",
		short: "carry what a flow file says",
		long: `Runs the flow that a YAML file describes: a source, stages, a sink, and options. It
is the same as naru carry in every respect; a file can be reviewed, kept, and say
more. An unknown key is an error with its line. - reads standard input.`,
		examples: []example{
			{"naru run flow.yaml", "carry, verify, report"},
			{"naru run flow.yaml --plan", "what would be done"},
		},
		exits: carryExits,
	})
	cmd.Long += "\n\n" + flowFileExample
	cmd.Args = exactArgs("FLOW.yaml")
	run := addRunFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := c.readFlow(args[0])
		if err != nil {
			return err
		}
		if run.plan {
			return c.explain(cmd.Context(), f, run)
		}
		return c.carry(cmd.Context(), f, run)
	}
	return cmd
}

const flowFileExample = `  source: {snapshot: {url: /backups/es, snapshot: latest, indices: [logs-*]}}
  stages:
    - sample: {rate: 1%}
    - mask: {fields: [user.email]}
  sink: {parquet: {dir: /archive}}`

// flowFileBytes is more than any flow file has.
const flowFileBytes = 1 << 20

// readFlow reads a flow file; "-" is standard input.
func (c *common) readFlow(path string) (*connect.Flow, error) {
	in, name := c.Stdin, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: there is no such file%s", path, neighbour(path))
		}
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read
		in, name = f, path
	}
	data, err := io.ReadAll(io.LimitReader(in, flowFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > flowFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes; is it a flow file?", name, flowFileBytes)
	}
	f := new(connect.Flow)
	if err := connect.Decode(name, data, f); err != nil {
		return nil, err
	}
	return f, nil
}
