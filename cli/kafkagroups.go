package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/kafka"
)

func newKafkaGroupsCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "groups [PATTERN]...",
		short: "list consumer groups with their members",
		long: `Lists the groups whose names match a PATTERN, or all of them: state, kind (classic,
consumer as of KIP-848, share as of KIP-932), how partitions are assigned, who
coordinates, topics, partitions with a committed offset. --members shows who is in them, on
which host, and what each reads. Which client library a member uses is not told by the
protocol: it is guessed from the names of assignors and client ids, and marked with ?.`,
		examples: []example{
			{"naru kafka groups --brokers kafka-1:9092", "all groups"},
			{"naru kafka groups indexer --members --brokers kafka-1:9092", "who reads what"},
		},
		exits: []exit{{exitOK, "listed"}, {exitFailed, "the cluster cannot be asked, or has no such group"}},
	})
	cmd.AddCommand(newKafkaCopyCommand(c))
	var f kafkaFlags
	f.add(cmd)
	output := outputFlag(cmd)
	members := cmd.Flags().Bool("members", false, "show each member")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := (&whichFlags{internal: true}).which(args)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		admin, err := f.admin(ctx, c)
		if err != nil {
			return err
		}
		defer admin.Close()
		r, err := admin.Groups(ctx, w)
		if err != nil {
			return err
		}
		return c.print(output, r, func(w io.Writer, width int) error { return writeGroupList(w, width, r, *members) })
	}
	return cmd
}

func writeGroupList(w io.Writer, width int, r *kafka.GroupsReport, members bool) error {
	if len(r.Groups) == 0 {
		fmt.Fprintln(w, "No group: nothing matched, or there is none.")
		writeList(w, "NOT KNOWN", r.Notes)
		return nil
	}
	t := table{columns: []column{
		{title: "GROUP", shrink: true}, {title: "KIND"}, {title: "STATE"}, {title: "ASSIGNOR", shrink: true}, {title: "MEMBERS", right: true}, {title: "IDLE", right: true, optional: true},
		{title: "TOPICS", shrink: true}, {title: "PARTS", right: true}, {title: "COMMITTED", right: true}, {title: "COORDINATOR", right: true}, {title: "CLIENT"}, {title: "ERROR", optional: true},
	}}
	for i := range r.Groups {
		g := &r.Groups[i]
		t.row(printable(g.Name), g.Kind, g.State, orDash(printable(g.Protocol)), count(int64(len(g.Members))), count(int64(g.Idle)), orDash(printable(joined(g.Topics, 3))),
			count(int64(g.Partitions)), count(int64(g.Committed)), fmt.Sprint(g.Coordinator), orDash(libraries(g)), g.Error)
	}
	t.narrow(width, "COORDINATOR", "CLIENT", "COMMITTED", "ASSIGNOR")
	if err := t.write(w, width); err != nil {
		return err
	}
	if members {
		for i := range r.Groups {
			if err := writeMembers(w, width, &r.Groups[i]); err != nil {
				return err
			}
		}
	}
	writeList(w, "NOT KNOWN", r.Notes)
	return nil
}

func libraries(g *kafka.GroupReport) string {
	var out []string
	for _, m := range g.Members {
		if m.Library != "" && !slices.Contains(out, m.Library+"?") {
			out = append(out, m.Library+"?")
		}
	}
	return strings.Join(out, ",")
}

func writeMembers(w io.Writer, width int, g *kafka.GroupReport) error {
	if len(g.Members) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", printable(g.Name))
	t := table{columns: []column{
		{title: "  CLIENT ID", shrink: true}, {title: "HOST"}, {title: "INSTANCE", optional: true}, {title: "CLIENT", optional: true}, {title: "PARTS", right: true}, {title: "READS", shrink: true}, {title: "MEMBER", shrink: true},
	}}
	for _, m := range g.Members {
		var reads []string
		for _, topic := range sortedKeys(m.Assigned) {
			reads = append(reads, printable(topic)+":"+ranges(m.Assigned[topic]))
		}
		library := ""
		if m.Library != "" {
			library = m.Library + "?"
		}
		t.row("  "+printable(m.ClientID), printable(m.Host), printable(m.Instance), library, count(int64(m.Partitions)), orDash(strings.Join(reads, " ")), printable(m.ID))
	}
	return t.write(w, width)
}

// ranges writes ascending numbers as 0-3,7.
func ranges(list []int) string {
	var out []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if j == i {
			out = append(out, fmt.Sprint(list[i]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", list[i], list[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ",")
}
