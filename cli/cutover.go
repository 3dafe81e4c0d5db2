package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/migrate/cutover"
)

func newCutoverCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "cutover CLUSTER|FLOW.yaml ALIAS=PATTERN…",
		short: "point aliases at other indices, all at once",
		long: `Gives each ALIAS exactly the indices that match its PATTERN, and takes it from all
others, in one request that the cluster does as one: no reader sees an alias that is half
switched. PATTERN may have several patterns with commas; one that begins with - or !
excludes. Filters and routing go over to the new indices; what took the writes is
followed by the last index by name. Indices are not deleted, so the same command with the
old pattern goes back. With a flow file, CLUSTER is the one of its sink. Nothing is
switched if an index is missing, closed or not readable.`,
		examples: []example{
			{"naru cutover https://node-1:9200 'logs=logs-v2-*' --plan", "what would be switched"},
			{"naru cutover https://node-1:9200 'logs=logs-v2-*' users=users-v2 --yes", "two aliases, in the same instant"},
			{"naru cutover flow.yaml logs=logs-2019", "where naru run carried to"},
		},
		exits: []exit{
			{exitOK, "switched, or it was so already"},
			{exitFailed, "nothing was switched: something is in the way, or nobody said yes"},
			{exitDifference, "--plan: it is not so yet"},
		},
	})
	cmd.Args = cobra.ArbitraryArgs
	var access accessFlags
	access.add(cmd)
	output := outputFlag(cmd)
	var plan, yes bool
	cmd.Flags().BoolVar(&plan, "plan", false, "say what would be switched, and switch nothing")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "switch without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return errors.New("want CLUSTER ALIAS=PATTERN…, like https://node-1:9200 'logs=logs-v2-*'")
		}
		wanted, err := aliasesOf(args[1:])
		if err != nil {
			return err
		}
		at, err := c.clusterOf(args[0], &access)
		if err != nil {
			return err
		}
		return c.cutover(cmd.Context(), at, wanted, plan, yes, output)
	}
	return cmd
}

// aliasesOf reads ALIAS=PATTERN.
func aliasesOf(args []string) (map[string]string, error) {
	wanted := map[string]string{}
	for _, arg := range args {
		alias, pattern, ok := strings.Cut(arg, "=")
		if _, twice := wanted[alias]; !ok || alias == "" || pattern == "" || twice {
			return nil, fmt.Errorf("%s: want ALIAS=PATTERN, each alias once", arg)
		}
		wanted[alias] = pattern
	}
	return wanted, nil
}

// clusterOf is the cluster at an address, or the one that a flow file's sink writes.
func (c *common) clusterOf(arg string, flags *accessFlags) (*connect.Access, error) {
	if isCluster(arg) {
		access := flags.to(arg)
		return &access, nil
	}
	if !isYAML(arg) && arg != "-" {
		return nil, fmt.Errorf("%s: want the address of a cluster, like https://node-1:9200, or a flow file", arg)
	}
	f, err := c.readFlow(arg)
	if err != nil {
		return nil, err
	}
	if f.Sink.OpenSearch == nil {
		return nil, fmt.Errorf("%s carries to %s, which has no aliases", arg, f.Sink)
	}
	return &f.Sink.OpenSearch.Access, nil
}

func (c *common) cutover(ctx context.Context, at *connect.Access, wanted map[string]string, plan, yes bool, output *choice) error {
	client, err := at.Connect(ctx, c.Getenv)
	if err != nil {
		return err
	}
	p, err := cutover.New(ctx, client, wanted)
	if err != nil {
		return err
	}
	show := func() error {
		return c.print(output, p, func(w io.Writer, width int) error { return writeCutover(w, width, p) })
	}
	switch {
	case plan || p.Changes() == 0:
		if !plan {
			c.leaveAliases(p)
		}
		if err := show(); err != nil || p.Changes() == 0 {
			return err
		}
		return &exitError{code: exitDifference}
	case output.value == "table":
		if err := show(); err != nil {
			return err
		}
	}
	if !yes {
		if err := c.sayYes(fmt.Sprintf("\nSwitch %s of %s?", plural(int64(p.Changes()), "alias"), printable(p.Cluster))); err != nil {
			return err
		}
	}
	if err := p.Apply(ctx, client); err != nil {
		return err
	}
	c.leaveAliases(p)
	if output.value != "table" {
		return show()
	}
	_, err = fmt.Fprintf(c.Stdout, "\nSwitched %s.\n", plural(int64(p.Changes()), "alias"))
	return err
}

// sayYes asks somebody at a terminal whether to go on.
func (c *common) sayYes(question string) error {
	in, ok := c.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return errors.New("nobody is there to say yes: add --yes")
	}
	fmt.Fprintf(c.Stderr, "%s Type yes: ", question)
	line, err := bufio.NewReader(c.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// leaveAliases notes what was switched.
func (env *Env) leaveAliases(p *cutover.Plan) {
	if env.ending != nil {
		env.ending.Aliases = p.Aliases()
	}
}

func writeCutover(w io.Writer, width int, p *cutover.Plan) error {
	fmt.Fprintf(w, "cluster %s\n\n", printable(p.Cluster))
	t := table{columns: []column{{title: "ALIAS"}, {title: "NAMES NOW", shrink: true}, {title: "IS TO NAME", shrink: true}, {title: "WRITES GO TO", optional: true}}}
	for _, s := range p.Switches {
		from := someNames(s.From, defaultRows)
		switch {
		case s.Done:
			from = "the same"
		case len(s.From) == 0:
			from = "nothing"
		}
		t.row(printable(s.Alias), printable(from), printable(someNames(s.To, defaultRows)), printable(s.Writes))
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	if p.Changes() == 0 {
		fmt.Fprintln(w, "\nNothing is to be switched.")
	}
	return nil
}
