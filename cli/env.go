package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
)

func newEnvCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "env",
		short: "declared environments: what there are, what was applied",
		long: `A directory in Git declares environments: base/ for all, overlays/ENV/ over it for
one. See also naru plan, naru apply and naru drift.`,
		examples: []example{
			{"naru env ls -f estate", "the environments"},
			{"naru env log -f estate -e prod", "what was applied, when, by whom"},
			{"naru env numbers 20261124-101500-a1b2c3 -f estate -e prod", "what an apply did, by numbers"},
		},
		exits: []exit{{exitOK, "it worked"}, {exitFailed, "it did not; standard error says why"}},
	})
	return parent(cmd, newEnvListCommand(c), newEnvShowCommand(c), newEnvRenderCommand(c), newEnvLogCommand(c), newEnvNumbersCommand(c), newEnvMeasureCommand(c), newEnvCloneCommand(c), newEnvRemoveCommand(c), newEnvExpireCommand(c))
}

func newEnvShowCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "show",
		short: "print what an environment declares, overlays and variables applied",
		long: `Prints each object of an environment with its body as it would be sent. No cluster is
asked.`,
		examples: []example{{"naru env show -f estate -e prod -o yaml", "all bodies"}},
		exits:    []exit{{exitOK, "printed"}, {exitFailed, "the directory has mistakes"}},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	f.add(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d, err := f.read(cmd.Context(), c)
		if err != nil {
			return err
		}
		type object struct {
			estate.Key
			Files []string    `json:"files"`
			Body  estate.Body `json:"body"`
		}
		list := []object{}
		for _, o := range d.List() {
			list = append(list, object{o.Key, o.Files, o.Body})
		}
		return c.print(output, list, func(w io.Writer, width int) error {
			t := table{columns: []column{{title: "KIND"}, {title: "NAME", shrink: true}, {title: "FILES", shrink: true}}}
			for _, o := range list {
				files := o.Files[0]
				for _, more := range o.Files[1:] {
					files += " + " + more
				}
				t.row(string(o.Kind), printable(o.Name), printable(files))
			}
			return t.write(w, width)
		})
	}
	return cmd
}

// logged is an apply in a list.
type logged struct {
	estate.Applied
	Measured string `json:"measured,omitempty"`
}

func newEnvLogCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "log",
		short: "list what was applied to an environment, the last first",
		long: `Lists the applies that the cluster's records have for it: when, by whom, by
which commit, and how far. The id is what naru apply --undo takes.`,
		examples: []example{{"naru env log -f estate -e prod", "what was applied"}},
		exits:    []exit{{exitOK, "listed"}, {exitFailed, "the directory has mistakes, or the cluster cannot be asked"}},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	f.add(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d, target, err := f.open(cmd.Context(), c)
		defer target.Close()
		if err != nil {
			return err
		}
		history, err := estate.History(cmd.Context(), target, d)
		if err != nil {
			return err
		}
		list := make([]logged, len(history))
		for i := range history {
			list[i] = logged{history[i], measuredText(&history[i])}
			list[i].Numbers = nil // naru env numbers prints them
		}
		return c.print(output, list, func(w io.Writer, width int) error {
			if len(list) == 0 {
				_, err := fmt.Fprintln(w, "Nothing was applied yet.")
				return err
			}
			t := table{columns: []column{
				{title: "APPLY"}, {title: "WHAT"}, {title: "WHEN (UTC)"}, {title: "DONE", right: true}, {title: "COMMIT", optional: true},
				{title: "BY", shrink: true}, {title: "STATE", shrink: true}, {title: "MEASURED", shrink: true, optional: true},
			}}
			for i := range list {
				a := &list[i]
				state := "done"
				switch {
				case a.Failed != "":
					state = "failed: " + a.Failed
				case a.Finished.IsZero():
					state = "under way, or cut short"
				case a.Undoes != "":
					state = "done, of " + a.Undoes
				}
				t.row(a.ID, a.What, a.Started.Format(time.DateTime), fmt.Sprintf("%d/%d", a.Done, a.Changes), a.Commit.Short(), printable(a.By), printable(state), a.Measured)
			}
			return t.write(w, width)
		})
	}
	return cmd
}
