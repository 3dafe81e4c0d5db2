package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/kafka"
)

func newKafkaCopyCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "copy GROUP NEW",
		short: "give a new group the offsets of another one",
		long: `Commits for the group NEW the offsets that GROUP has now, so that a second version of a
pipeline begins where the running one is. GROUP is not touched, and may go on reading. NEW
must have no members, and no offsets of its own (--overwrite): otherwise nothing is done.
Start the second version soon: the first one does not wait for it.`,
		examples: []example{
			{"naru kafka groups copy indexer indexer-v2 --brokers kafka-1:9092", "before the second version is started"},
			{"naru kafka groups copy indexer indexer-v2 --topic orders --plan --brokers kafka-1:9092", "only look"},
		},
		exits: []exit{{exitOK, "the offsets are committed, or shown"}, {exitFailed, "nothing was committed; standard error says why"}},
	})
	cmd.Args = exactArgs("GROUP", "NEW")
	var f kafkaFlags
	f.add(cmd)
	var o kafka.CopyOptions
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Topics, "topic", nil, "only offsets of the topic `NAME`; repeatable")
	flags.BoolVar(&o.Overwrite, "overwrite", false, "NEW may have offsets; they are lost")
	flags.BoolVar(&o.Plan, "plan", false, "say what would be committed, commit nothing")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		admin, err := f.admin(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer admin.Close()
		r, err := admin.CopyOffsets(cmd.Context(), args[0], args[1], o)
		if err != nil {
			return err
		}
		return c.print(output, r, func(w io.Writer, width int) error { return writeCopied(w, width, r) })
	}
	return cmd
}

func writeCopied(w io.Writer, width int, r *kafka.CopyReport) error {
	t := table{columns: []column{
		{title: "TOPIC", shrink: true}, {title: "PARTITION", right: true}, {title: "OFFSET", right: true}, {title: "BEFORE", right: true, optional: true},
		{title: "TO READ", right: true}, {title: "DELETED", right: true, optional: true},
	}}
	deleted := int64(0)
	for _, p := range r.Partitions {
		before, left := "-", "-"
		if p.Before >= 0 {
			before = count(p.Before)
		}
		if p.End >= 0 {
			left = count(max(0, p.End-p.Offset-p.Deleted))
		}
		deleted += p.Deleted
		t.row(printable(p.Topic), fmt.Sprint(p.Partition), count(p.Offset), before, left, count(p.Deleted))
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	word := "has now"
	if !r.Committed {
		word = "would get"
	}
	fmt.Fprintf(w, "\n%s %s the offsets of %s in %s.\n", printable(r.To), word, printable(r.From), plural(int64(len(r.Partitions)), "partition"))
	if deleted > 0 {
		fmt.Fprintf(w, "%s that %s has not read are deleted already: retention was faster.\n", plural(deleted, "offset"), printable(r.From))
	}
	return nil
}
