package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/opensearch"
)

// ledgerFlags say where a cluster's ledger is.
type ledgerFlags struct {
	access accessFlags
	index  string
	carry  string
}

func addLedgerFlags(cmd *cobra.Command) *ledgerFlags {
	f := &ledgerFlags{}
	f.access.add(cmd)
	cmd.Flags().StringVar(&f.index, "ledger", opensearch.DefaultLedgerIndex, "the `INDEX` that keeps the checkpoints")
	cmd.Flags().StringVar(&f.carry, "carry", "", "the carry whose name has the `TEXT` in it; needed if there are several")
	return f
}

// open connects to the cluster, and finds the carry that is meant.
func (f *ledgerFlags) open(ctx context.Context, c *common, address string) (*opensearch.Client, string, error) {
	if !isCluster(address) {
		return nil, "", fmt.Errorf("%s: give the address of the cluster that is carried into, like https://node-1:9200", address)
	}
	access := f.access.to(address)
	client, err := access.Connect(ctx, c.Getenv)
	if err != nil {
		return nil, "", err
	}
	all, err := opensearch.Carries(ctx, client, f.index)
	if err != nil {
		return nil, "", err
	}
	var found []string
	for _, name := range all {
		if strings.Contains(name, f.carry) {
			found = append(found, name)
		}
	}
	switch {
	case len(all) == 0:
		return nil, "", fmt.Errorf("%s knows of no carry in index %s; one appears when naru carry has begun", address, f.index)
	case len(found) == 0:
		return nil, "", fmt.Errorf("no carry has %q in its name; there are:\n%s", f.carry, carries(all))
	case len(found) > 1 && f.carry != "":
		return nil, "", fmt.Errorf("several carries have %q in their names; say more of one of:\n%s", f.carry, carries(found))
	}
	return client, found[0], nil
}

func carries(names []string) string { return "  " + strings.Join(names, "\n  ") }

func newStatusCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "status CLUSTER",
		short: "show how far a carry into a cluster is, from anywhere",
		long: `Reads the checkpoints that the workers of a carry keep in the cluster they carry
into: how much has arrived of each index, who works on what, how fast. Of several
carries the latest is shown, or the one that --carry names.`,
		examples: []example{
			{"naru status https://node-1:9200", "now"},
			{"naru status https://node-1:9200 --watch 10s", "again and again"},
		},
		exits: []exit{{exitOK, "shown"}, {exitFailed, "the cluster cannot be asked, or knows of no carry"}, {exitInterrupted, "interrupted"}},
	})
	cmd.Args = exactArgs("CLUSTER")
	f, output := addLedgerFlags(cmd), outputFlag(cmd)
	var every time.Duration
	var all bool
	cmd.Flags().DurationVar(&every, "watch", 0, "look again every `TIME` (10s), and show rates")
	cmd.Flags().BoolVar(&all, "all", false, "show every index, however many there are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		client, name, err := f.open(ctx, c, args[0])
		if err != nil {
			return err
		}
		limit := defaultRows
		if all {
			limit = 0
		}
		var before *opensearch.Status
		for {
			now, err := opensearch.StatusOf(ctx, client, f.index, name, before)
			if err != nil {
				return err
			}
			page := statusPage{Status: now, before: before}
			if err := c.print(output, page, func(w io.Writer, width int) error { return page.write(w, width, limit) }); err != nil {
				return err
			}
			if every <= 0 {
				return nil
			}
			before = now
			select {
			case <-time.After(every):
			case <-ctx.Done():
				return ctx.Err()
			}
			fmt.Fprintln(c.Stdout)
		}
	}
	return cmd
}

// statusPage is what `naru status` prints.
type statusPage struct {
	*opensearch.Status
	before *opensearch.Status
}

func (p statusPage) write(w io.Writer, width, limit int) error {
	fmt.Fprintf(w, "carry    %s\nstarted  %s\nstate    %s\n", printable(p.Carry), p.Started.Local().Format(time.DateTime), p.state())
	perSecond, how := p.rate()
	if how != "" {
		fmt.Fprintf(w, "rate     %s documents/s%s\n", count(perSecond), how)
	}
	if left := p.Records - p.Total.Read; p.Records >= 0 && left > 0 {
		about := ""
		if perSecond > 0 {
			about = ", about " + elapsed(time.Duration(left/perSecond)*time.Second)
		}
		fmt.Fprintf(w, "left     %s of %s%s\n", count(left), plural(p.Records, "document"), about)
	}
	fmt.Fprintln(w)
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "DOCUMENTS", right: true, optional: true}, {title: "PARTS", right: true}, {title: "DONE", right: true}, {title: "DELIVERED", right: true},
		{title: "WERE THERE", right: true, optional: true}, {title: "DEAD", right: true, optional: true}, {title: "SIZE", right: true},
	}}
	add := func(name string, g *opensearch.GroupStatus) {
		expected := ""
		if g.Records >= 0 {
			expected = count(g.Records)
		}
		t.row(printable(name), expected, count(int64(g.Parts)), count(int64(g.Done)), count(g.Tally.Delivered), count(g.Tally.There), count(g.Tally.Dead), size(g.Tally.Bytes))
	}
	rows := some(len(p.Groups), limit, func(i int) bool { return p.Groups[i].Done != p.Groups[i].Parts }, func(i int) int64 { return p.Groups[i].Tally.Delivered })
	for _, i := range rows {
		add(p.Groups[i].Name, &p.Groups[i])
	}
	if len(p.Groups) > 1 {
		add("total of "+plural(int64(len(p.Groups)), "index"), &opensearch.GroupStatus{Records: p.Records, Parts: p.Parts, Done: p.Done, Tally: p.Total})
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	if len(p.Workers) > 0 {
		fmt.Fprint(w, "\nWORKERS\n")
	}
	for _, worker := range p.Workers {
		alive := "working"
		if !worker.Alive {
			alive = "silent since " + worker.Updated.Local().Format(time.DateTime)
		}
		parts := worker.Parts[:min(len(worker.Parts), 4)]
		more := ""
		if n := len(worker.Parts) - len(parts); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		wrap(w, "  ", fmt.Sprintf("%s  %s on %s%s", printable(worker.Name), alive, cmp.Or(strings.Join(parts, ", "), "nothing"), more), width)
	}
	writeFailures(w, width, "FAILED PARTS", p.Failed, limit)
	writeDead(w, "DEAD LETTERS", p.Reasons)
	return nil
}

// state says in a few words what is going on.
func (p statusPage) state() string {
	switch {
	case p.Paused:
		return "paused: naru resume lets it go on"
	case p.Taken > 0 && !slices.ContainsFunc(p.Workers, func(w opensearch.WorkerStatus) bool { return w.Alive }):
		return "nobody is working: the same naru carry goes on"
	case p.Taken > 0:
		return "running"
	case p.Done == p.Parts && p.Records >= 0 && p.Total.Read >= p.Records && len(p.Failed) == 0:
		return "done"
	}
	return "nothing is under way: the same naru carry goes on, or says that all is done"
}

// rate is how many documents a second are read, since the page before or, without one, since the carry began, and which
// of the two; "": there is nothing to measure.
func (p statusPage) rate() (perSecond int64, how string) {
	switch {
	case p.before != nil:
		return rate(p.Total.Read-p.before.Total.Read, p.At.Sub(p.before.At)), " since the last look"
	case p.Taken > 0 && !p.Paused && p.Total.Read > 0 && p.At.Sub(p.Started) >= time.Second:
		return rate(p.Total.Read, p.At.Sub(p.Started)), " since it began"
	}
	return 0, ""
}

func newPauseCommand(c *common) *cobra.Command {
	return newSwitchCommand(c, true, page{
		use:   "pause CLUSTER",
		short: "have the workers of a carry stop reading, until it is resumed",
		long: `Tells every worker of a carry, wherever it runs, to finish what it has in hand and
wait. They go on when it is resumed.`,
		examples: []example{{"naru pause https://node-1:9200", "the latest carry"}},
	}, "paused; the workers finish what they have in hand. Next: naru resume")
}

func newResumeCommand(c *common) *cobra.Command {
	return newSwitchCommand(c, false, page{
		use:      "resume CLUSTER",
		short:    "have the workers of a paused carry go on",
		long:     "Lets the workers of a carry that was paused go on.",
		examples: []example{{"naru resume https://node-1:9200", "the latest carry"}},
	}, "resumed")
}

func newSwitchCommand(c *common, paused bool, p page, done string) *cobra.Command {
	p.exits = []exit{{exitOK, "the workers will heed it within seconds"}, {exitFailed, "the cluster cannot be asked, or knows of no such carry"}}
	cmd := newCommand(p)
	cmd.Args = exactArgs("CLUSTER")
	f := addLedgerFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, name, err := f.open(cmd.Context(), c, args[0])
		if err != nil {
			return err
		}
		if err := opensearch.SetPaused(cmd.Context(), client, f.index, name, paused); err != nil {
			if errors.Is(err, opensearch.ErrNoCarry) {
				return fmt.Errorf("%w: it has just been removed", err)
			}
			return err
		}
		_, err = fmt.Fprintf(c.Stdout, "%s: %s\n", name, done)
		return err
	}
	return cmd
}
