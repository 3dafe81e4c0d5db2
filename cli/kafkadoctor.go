package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
)

func newKafkaDoctorCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "doctor",
		short: "say what is wrong with a Kafka cluster, its topics and groups, why it matters, and what to do",
		long: `Looks at copies, brokers, configurations, timestamps, groups, lag, codecs, how keys are
spread, transactions and security. Each finding says what it is, why it matters and what to
do. What is not known but guessed is said: the protocol tells neither which library a
client is made of nor when a group lost its last member. What could not be looked at, for
want of a permission, is listed. Nothing is changed.`,
		examples: []example{
			{"naru kafka doctor --brokers kafka-1:9092", "everything"},
			{"naru kafka doctor -t 'orders-*' -g indexer --for 30s --brokers kafka-1:9092", "some topics and a group, with a longer look at them"},
			{"naru kafka doctor --fail-on critical -o json --brokers kafka-1:9092", "for an alarm"},
		},
		exits: []exit{
			{exitOK, "nothing as grave as --fail-on was found"}, {exitFailed, "the cluster cannot be asked"},
			{exitDifference, "something was found"}, {exitInterrupted, "interrupted"},
		},
	})
	cmd.Args = exactArgs()
	var f kafkaFlags
	var which whichFlags
	f.add(cmd)
	which.add(cmd)
	output := outputFlag(cmd)
	var topics, groups []string
	o := kafka.DoctorOptions{}
	failOn := choice{value: kafka.Warning, of: []string{kafka.Critical, kafka.Warning, kafka.Info}}
	flags := cmd.Flags()
	flags.StringSliceVarP(&topics, "topic", "t", nil, "only topics that match `PATTERN`; repeatable")
	flags.StringSliceVarP(&groups, "group", "g", nil, "only groups that match `PATTERN`; repeatable")
	flags.DurationVar(&o.For, "for", 6*time.Second, "watch groups and ends for `DURATION`; consumers commit every five seconds or so")
	flags.DurationVar(&o.WarnLoss, "warn-retention", 24*time.Hour, "say if retention may delete unread records within `DURATION`")
	flags.IntVar(&o.MaxPartitions, "max-partitions", 4000, "say if a broker has copies of more than `N` partitions")
	flags.BoolVar(&o.Keys, "keys", true, "read the newest records of each partition to see how keys are spread")
	flags.Var(&failOn, "fail-on", "exit with 2 for findings that are at least `SEVERITY` critical, warning or info")
	complete(cmd, "fail-on", failOn.of...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if o.Topics, err = which.which(topics); err != nil {
			return err
		}
		if o.Groups = (kafka.Which{Patterns: flow.Patterns(groups), Internal: true}); o.Groups.Patterns.Validate() != nil {
			return o.Groups.Patterns.Validate()
		}
		if o.For <= 0 {
			return fmt.Errorf("--for %s: want a second or more", o.For)
		}
		ctx, interrupted, release := c.untilSignal(cmd.Context())
		defer release()
		admin, err := f.admin(ctx, c)
		if err != nil {
			return err
		}
		defer admin.Close()
		d, err := admin.Doctor(ctx, o)
		if interrupted() {
			return &exitError{code: exitInterrupted}
		}
		if err != nil {
			return err
		}
		if err := c.print(output, d, func(w io.Writer, width int) error { return writeDiagnosis(w, width, d) }); err != nil {
			return err
		}
		if worst := d.Worst(); worst != "" && slices.Index(failOn.of, worst) <= slices.Index(failOn.of, failOn.value) {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

func writeDiagnosis(w io.Writer, width int, d *kafka.Diagnosis) error {
	prose := proseWidth(width)
	for _, f := range d.Findings {
		fmt.Fprintf(w, "%s  %s\n", strings.ToUpper(f.Severity), f.Check)
		wrap(w, "  ", printable(someNames(f.Subjects, 1)), prose)
		wrap(w, "  What:  ", printable(f.What), prose)
		wrap(w, "  Why:   ", f.Why, prose)
		wrap(w, "  Do:    ", f.Fix, prose)
		if f.Guessed != "" {
			wrap(w, "  Guess: ", printable(f.Guessed), prose)
		}
		fmt.Fprintln(w)
	}
	sum := "Nothing was found."
	if len(d.Findings) > 0 {
		sum = summary(d) + "."
	}
	wrap(w, "", fmt.Sprintf("%s Looked at %s and %s of cluster %s (%s): %s.", sum, plural(int64(d.Topics), "topic"), plural(int64(d.Groups), "group"),
		printable(orDash(d.Cluster.ID)), plural(int64(len(d.Cluster.Brokers)), "broker"), strings.Join(d.Checked, ", ")), prose)
	writeList(w, "NOT KNOWN", d.Notes)
	return nil
}

// summary counts findings by severity.
func summary(d *kafka.Diagnosis) string {
	var out []string
	for _, s := range []string{kafka.Critical, kafka.Warning, kafka.Info} {
		n := 0
		for _, f := range d.Findings {
			if f.Severity == s {
				n++
			}
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(out, ", ")
}
