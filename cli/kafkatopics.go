package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/kafka"
)

func newKafkaTopicsCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "topics [PATTERN]...",
		short: "list topics: copies, sizes, retention, age, rate, codecs",
		long: `Lists the topics whose names match a PATTERN (orders-*; !x excludes), or all of them:
partitions and copies, what is missing of these, size on disk with all copies, offsets
between start and end, retention, the age of the oldest record, how long ago the newest
is, records written a second (two samples, --for apart), the codecs of the newest batch of
each partition. Records are end less start: fewer are there where a topic is compacted, or
written in transactions.`,
		examples: []example{
			{"naru kafka topics --brokers kafka-1:9092", "all topics"},
			{"naru kafka topics 'orders-*' --partitions --brokers kafka-1:9092", "some, with their partitions"},
			{"naru kafka topics --for 0s -o json --brokers kafka-1:9092", "without rates, for a script"},
		},
		exits: []exit{
			{exitOK, "listed"}, {exitFailed, "the cluster cannot be asked, or has no such topic"},
			{exitDifference, "listed, and some partitions are offline or under-replicated"},
		},
	})
	var f kafkaFlags
	var which whichFlags
	f.add(cmd)
	which.add(cmd)
	output := outputFlag(cmd)
	interval := cmd.Flags().Duration("for", 2*time.Second, "measure rates for `DURATION`; 0s: no rates")
	partitions := cmd.Flags().Bool("partitions", false, "show each partition")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := which.which(args)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		admin, err := f.admin(ctx, c)
		if err != nil {
			return err
		}
		defer admin.Close()
		r, err := admin.Topics(ctx, kafka.TopicsOptions{Which: w, For: *interval})
		if err != nil {
			return err
		}
		now := time.Now()
		if err := c.print(output, r, func(w io.Writer, width int) error { return writeTopics(w, width, r, now, *partitions) }); err != nil {
			return err
		}
		for i := range r.Topics {
			if len(r.Topics[i].Offline) > 0 || len(r.Topics[i].UnderReplicated) > 0 {
				return &exitError{code: exitDifference}
			}
		}
		return nil
	}
	return cmd
}

func writeTopics(w io.Writer, width int, r *kafka.TopicsReport, now time.Time, partitions bool) error {
	if len(r.Topics) == 0 {
		fmt.Fprintln(w, "No topic: nothing matched, or there is none.")
		writeList(w, "NOT KNOWN", r.Notes)
		return nil
	}
	t := table{columns: []column{
		{title: "TOPIC", shrink: true}, {title: "PARTS", right: true}, {title: "COPIES", right: true}, {title: "MIN ISR", right: true},
		{title: "HEALTH"}, {title: "RECORDS", right: true}, {title: "SIZE", right: true}, {title: "RATE/s", right: true}, {title: "KEPT"},
		{title: "OLDEST", right: true}, {title: "NEWEST", right: true}, {title: "CODEC"}, {title: "SKEW", right: true, optional: true},
	}}
	for i := range r.Topics {
		x := &r.Topics[i]
		skew := ""
		if x.LeaderSkew > 1 {
			skew = fmt.Sprintf("%.1f", x.LeaderSkew)
		}
		bytes := "-"
		if x.Bytes >= 0 {
			bytes = size(x.Bytes)
		}
		t.row(printable(x.Name), count(int64(x.Partitions)), count(int64(x.Replicas)), known(x.MinISR), x.Health(), short(x.Records), bytes,
			perSecond(x.PerSecond), kept(x), ago(now, x.Oldest), ago(now, x.Newest), orDash(strings.Join(x.Codecs, ",")), skew)
	}
	t.narrow(width, "OLDEST", "MIN ISR", "SKEW", "KEPT", "RATE/s")
	if err := t.write(w, width); err != nil {
		return err
	}
	if partitions {
		for i := range r.Topics {
			if err := writePartitions(w, width, &r.Topics[i], now); err != nil {
				return err
			}
		}
	}
	fmt.Fprintln(w)
	writeBrokers(w, &r.Cluster)
	writeList(w, "NOT KNOWN", r.Notes)
	return nil
}

func writePartitions(w io.Writer, width int, x *kafka.TopicReport, now time.Time) error {
	fmt.Fprintf(w, "\n%s\n", printable(x.Name))
	t := table{columns: []column{
		{title: "  PARTITION", right: true}, {title: "LEADER", right: true}, {title: "COPIES"}, {title: "IN SYNC"}, {title: "START", right: true},
		{title: "END", right: true}, {title: "SIZE", right: true}, {title: "RATE/s", right: true}, {title: "NEWEST", right: true}, {title: "CODEC", optional: true}, {title: "ERROR", optional: true},
	}}
	for _, p := range x.Detail {
		bytes, leader := "-", "none"
		if p.Bytes >= 0 {
			bytes = size(p.Bytes)
		}
		if p.Leader >= 0 {
			leader = fmt.Sprint(p.Leader)
		}
		t.row(fmt.Sprint(p.Partition), leader, ids(p.Replicas), ids(p.InSync), known(p.Start), known(p.End), bytes, perSecond(p.PerSecond), ago(now, p.Newest), p.Codec, p.Error)
	}
	return t.write(w, width)
}

// writeBrokers says in a line what the cluster is made of.
func writeBrokers(w io.Writer, c *kafka.ClusterReport) {
	fmt.Fprintf(w, "Cluster %s, %s:", printable(orDash(c.ID)), plural(int64(len(c.Brokers)), "broker"))
	for i, b := range c.Brokers {
		if i > 0 {
			fmt.Fprint(w, ";")
		}
		fmt.Fprintf(w, " %d %s leads %d of %d", b.ID, printable(b.Address), b.Leaders, b.Replicas)
		if b.Bytes >= 0 {
			fmt.Fprintf(w, ", %s", size(b.Bytes))
		}
	}
	fmt.Fprintln(w, ".")
}

// kept says how long a topic keeps records: 7d, 7d or 1 GB, for ever, compact.
func kept(x *kafka.TopicReport) string {
	var out []string
	if strings.Contains(x.CleanupPolicy, "compact") {
		out = append(out, "compact")
	}
	if strings.Contains(x.CleanupPolicy, "delete") {
		if x.RetentionMs >= 0 {
			out = append(out, long(time.Duration(min(x.RetentionMs, 1<<43))*time.Millisecond))
		}
		if x.RetentionBytes >= 0 {
			out = append(out, size(x.RetentionBytes)+"/part")
		}
		if len(out) == 0 {
			return "for ever"
		}
	}
	return orDash(strings.Join(out, " "))
}

func ids(list []int32) string {
	var out []string
	for _, n := range list {
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, ",")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// known is a number; a negative one is not known.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return count(n)
}
