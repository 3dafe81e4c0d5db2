package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
)

func newKafkaLagCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "lag [GROUP]...",
		short: "say how far groups are behind, in records and in time, and whether they get there",
		long: `Measures groups twice, --for apart. LAG is records unread; LATE how old the oldest of
them is: the timestamp of the record at the committed offset, by this machine's clock;
BEHIND how far that timestamp is from the newest in the partition. READ/s and WRITTEN/s are
how the committed offsets and the ends moved. CAUGHT UP is when the lag is gone if it goes
on like this. LOSS IN is when retention may reach unread records; LOST are those that it has
reached. Clients commit every few seconds: with a short --for, READ/s is rough.`,
		examples: []example{
			{"naru kafka lag --brokers kafka-1:9092", "all groups"},
			{"naru kafka lag indexer --partitions --for 30s --brokers kafka-1:9092", "one of them, partition by partition"},
			{"naru kafka lag --max-seconds 300 --warn-retention 24h --brokers kafka-1:9092", "an alarm: the exit status is 2"},
			{"naru kafka lag --watch --brokers kafka-1:9092", "again and again"},
		},
		exits: []exit{
			{exitOK, "measured"}, {exitFailed, "the cluster cannot be asked, or has no such group"},
			{exitDifference, "a lag is beyond --max-lag or --max-seconds, or records were or will be lost"}, {exitInterrupted, "interrupted"},
		},
	})
	var f kafkaFlags
	f.add(cmd)
	output := outputFlag(cmd)
	var o kafka.LagOptions
	var topics []string
	var maxSeconds float64
	flags := cmd.Flags()
	flags.StringSliceVarP(&topics, "topic", "t", nil, "only topics that match `PATTERN`; repeatable")
	flags.DurationVar(&o.For, "for", 10*time.Second, "measure for `DURATION`")
	flags.Int64Var(&o.MaxLag, "max-lag", 0, "exit with 2 if a group has more than `N` unread records in a topic")
	flags.Float64Var(&maxSeconds, "max-seconds", 0, "exit with 2 if an unread record is older than `N` seconds")
	flags.DurationVar(&o.WarnLoss, "warn-retention", time.Hour, "exit with 2 if retention may delete unread records within `DURATION`")
	partitions := flags.Bool("partitions", false, "show each partition")
	watch := flags.Bool("watch", false, "measure again and again, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if o.Which, err = (&whichFlags{internal: true}).which(args); err != nil {
			return err
		}
		o.Topics, o.MaxLate = flow.Patterns(topics), time.Duration(maxSeconds*float64(time.Second))
		if err := o.Topics.Validate(); err != nil {
			return err
		}
		if o.For <= 0 {
			return fmt.Errorf("--for %s: rates take a while to measure; want a second or more", o.For)
		}
		ctx, interrupted, release := c.untilSignal(cmd.Context())
		defer release()
		admin, err := f.admin(ctx, c)
		if err != nil {
			return err
		}
		defer admin.Close()
		show := func(r *kafka.LagReport) error {
			if *watch && output.value == "json" {
				return json.NewEncoder(c.Stdout).Encode(r)
			}
			if *watch && output.value == "table" {
				fmt.Fprintf(c.Stdout, "%s\n", r.At.Format(time.TimeOnly+"Z"))
			}
			if *watch && output.value == "yaml" {
				fmt.Fprintln(c.Stdout, "---")
			}
			return c.print(output, r, func(w io.Writer, width int) error { return writeLag(w, width, r, *partitions, *watch) })
		}
		err = lagAgain(ctx, admin, o, *watch, show)
		if interrupted() {
			return &exitError{code: exitInterrupted}
		}
		return err
	}
	return cmd
}

// lagAgain measures once, or until ctx is done.
func lagAgain(ctx context.Context, admin *kafka.Admin, o kafka.LagOptions, again bool, show func(*kafka.LagReport) error) error {
	for {
		r, err := admin.Lag(ctx, o)
		if err != nil {
			return err
		}
		if err := errors.Join(show(r), ctx.Err()); err != nil {
			return err
		}
		if again {
			continue
		}
		if len(r.Findings) > 0 {
			return &exitError{code: exitDifference}
		}
		return nil
	}
}

func writeLag(w io.Writer, width int, r *kafka.LagReport, partitions, brief bool) error {
	if len(r.Lags) == 0 {
		fmt.Fprintln(w, "No group with an offset: nothing matched, or there is none.")
		writeList(w, "NOT KNOWN", r.Notes)
		return nil
	}
	t := table{columns: []column{
		{title: "GROUP", shrink: true}, {title: "TOPIC", shrink: true}, {title: "STATE"}, {title: "LAG", right: true}, {title: "LATE", right: true}, {title: "BEHIND", right: true},
		{title: "READ/s", right: true}, {title: "WRITTEN/s", right: true}, {title: "CAUGHT UP", right: true}, {title: "LOSS IN", right: true},
		{title: "LOST", right: true, optional: true}, {title: "WORST", optional: true}, {title: "NO OFFSET", right: true, optional: true},
	}}
	for i := range r.Lags {
		x := &r.Lags[i]
		worst := ""
		if x.Lag > 0 && len(x.Partitions) > 1 && x.Skew >= 1.5 {
			worst = fmt.Sprintf("p%d ×%.1f", x.Worst, x.Skew)
		}
		t.row(printable(x.Group), printable(x.Topic), x.State, short(x.Lag), spanOfLag(x.Lag, x.Late), spanOfLag(x.Lag, x.Behind), perSecond(x.Consumed), perSecond(x.Produced),
			reached(x), span(x.Retention), count(x.Lost), worst, count(int64(x.Uncommitted)))
	}
	t.narrow(width, "WORST", "NO OFFSET", "BEHIND", "STATE", "WRITTEN/s")
	if err := t.write(w, width); err != nil {
		return err
	}
	if partitions {
		for i := range r.Lags {
			if err := writePartitionLag(w, width, &r.Lags[i]); err != nil {
				return err
			}
		}
	}
	if len(r.Findings) > 0 {
		fmt.Fprint(w, "\nFINDINGS\n")
		for _, f := range r.Findings {
			wrap(w, "  ", printable(f), width)
		}
	}
	if !brief {
		writeList(w, "NOT KNOWN", r.Notes)
	}
	if brief {
		fmt.Fprintln(w)
	}
	return nil
}

// reached is when the lag is gone: 12m, or how it goes on.
func reached(x *kafka.TopicLag) string {
	switch x.Trend {
	case kafka.TrendCatching:
		return "in " + span(x.CaughtUp)
	case kafka.TrendNone:
		return "yes"
	}
	return x.Trend
}

func spanOfLag(lag int64, seconds *float64) string {
	if lag == 0 {
		return "-"
	}
	return span(seconds)
}

func writePartitionLag(w io.Writer, width int, x *kafka.TopicLag) error {
	fmt.Fprintf(w, "\n%s in %s\n", printable(x.Group), printable(x.Topic))
	t := table{columns: []column{
		{title: "  PARTITION", right: true}, {title: "COMMITTED", right: true}, {title: "START", right: true}, {title: "END", right: true}, {title: "LAG", right: true}, {title: "LATE", right: true}, {title: "BEHIND", right: true},
		{title: "READ/s", right: true}, {title: "WRITTEN/s", right: true}, {title: "LOSS IN", right: true}, {title: "LOST", right: true, optional: true}, {title: "READER", shrink: true},
	}}
	for i := range x.Partitions {
		p := &x.Partitions[i]
		t.row(fmt.Sprint(p.Partition), known(p.Committed), known(p.Start), known(p.End), count(p.Lag), spanOfLag(p.Lag, p.Late), spanOfLag(p.Lag, p.Behind), perSecond(p.Consumed), perSecond(p.Produced),
			span(p.Retention), count(p.Lost), orDash(printable(strings.TrimSpace(p.Member))))
	}
	return t.write(w, width)
}
