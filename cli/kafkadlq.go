package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
)

func newKafkaDLQCommand(c *common) *cobra.Command {
	return parent(newCommand(page{
		use:   "dlq",
		short: "look into a dead-letter topic, and drive its records again",
		long: `A record in a dead-letter topic is as it was, with headers that say why it is there:
naru.dead.reason, .topic, .partition, .offset, .cluster, .index, .pipeline, .time, and
.count, how often it has died. redrive writes records to where they were; how far it got is
kept as the offsets of a group without members, naru-redrive.TOPIC. A record that has died
--limit times is left, so that nothing goes round for ever. Into an index: naru kafka
replay TOPIC https://host:9200/INDEX.`,
		examples: []example{
			{"naru kafka dlq ls orders-dead --brokers kafka-1:9092", "which reasons there are"},
			{"naru kafka dlq show orders-dead 0:17 --brokers kafka-1:9092", "one record, whole"},
			{"naru kafka dlq redrive orders-dead --brokers kafka-1:9092", "once the reason is mended"},
		},
		exits: []exit{{exitOK, "done"}, {exitFailed, "the topic cannot be read, or the arguments are wrong"}},
	}), newKafkaDLQListCommand(c), newKafkaDLQShowCommand(c), newKafkaDLQRedriveCommand(c))
}

// deadReasonRow is why records of a topic are dead.
type deadReasonRow struct {
	Topic    string    `json:"topic"`
	Index    string    `json:"index,omitempty"`
	Pipeline string    `json:"pipeline,omitempty"`
	Reason   string    `json:"reason"`
	Letters  int64     `json:"letters"`
	Done     int64     `json:"done"`
	Most     int       `json:"most"` // times that one of them has died
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Letter   string    `json:"letter"`  // address of the latest
	Example  string    `json:"example"` // its whole reason
}

func newKafkaDLQListCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "ls TOPIC",
		short: "list the records of a dead-letter topic by reason",
		long: `Counts the records of a dead-letter topic by the topic they were in and the reason;
reasons that differ only in numbers and quoted values are one. Records that were driven
again are not counted, unless --done is given.`,
		examples: []example{{"naru kafka dlq ls orders-dead --brokers kafka-1:9092", "what is open"}},
		exits:    []exit{{exitOK, "listed, or there is none"}, {exitFailed, "the topic cannot be read"}},
	})
	cmd.Args = exactArgs("TOPIC")
	var f kafkaFlags
	f.add(cmd)
	output := outputFlag(cmd)
	d := kafka.DeadLetters{}
	cmd.Flags().StringVar(&d.Reason, "reason", "", "only records with `TEXT` in their reason")
	cmd.Flags().BoolVar(&d.Done, "done", false, "also those that were driven again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		config, err := f.connection(c)
		if err != nil {
			return err
		}
		d.Config, d.Topic = *config, args[0]
		at := map[deadReasonRow]int{}
		rows := deadReasons{}
		err = d.Each(cmd.Context(), func(l *kafka.DeadLetter) error {
			reason := cmp.Or(l.Reason, "no reason: the header "+kafka.DeadReason+" is missing")
			key := deadReasonRow{Topic: l.Topic, Index: l.Index, Pipeline: l.Pipeline, Reason: flow.ReasonOf(reason, string(l.Record.Key))}
			i, ok := at[key]
			if !ok {
				const most = 10_000
				if len(rows) >= most {
					return errors.New("there are more than 10,000 reasons: choose some by --reason")
				}
				i = len(rows)
				at[key] = i
				rows = append(rows, key)
			}
			r := &rows[i]
			r.Letters++
			if l.Done {
				r.Done++
			}
			r.Most = max(r.Most, l.Count)
			if r.First.IsZero() || !l.At.IsZero() && l.At.Before(r.First) {
				r.First = l.At
			}
			if !l.At.Before(r.Last) {
				r.Last, r.Letter, r.Example = l.At, l.Address(), reason
			}
			return nil
		})
		if err != nil {
			return err
		}
		slices.SortStableFunc(rows, func(a, b deadReasonRow) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Reason, b.Reason))
		})
		return c.print(output, rows, rows.write)
	}
	return cmd
}

type deadReasons []deadReasonRow

func (l deadReasons) write(w io.Writer, width int) error {
	if len(l) == 0 {
		_, err := fmt.Fprintln(w, "There are no dead letters.")
		return err
	}
	t := table{columns: []column{
		{title: "FROM TOPIC", shrink: true}, {title: "INDEX", shrink: true, optional: true}, {title: "PIPELINE", shrink: true, optional: true}, {title: "LETTERS", right: true}, {title: "DONE", right: true, optional: true}, {title: "DIED", right: true},
		{title: "FIRST"}, {title: "LAST"}, {title: "LATEST"},
	}}
	for _, r := range l {
		t.row(orDash(printable(r.Topic)), printable(r.Index), printable(r.Pipeline), count(r.Letters), count(r.Done), fmt.Sprintf("×%d", r.Most), stamp(r.First), stamp(r.Last), r.Letter)
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprint(w, "\nREASONS\n")
	for _, r := range l {
		fmt.Fprintf(w, "  %s  %s\n", orDash(printable(r.Topic)), plural(r.Letters, "letter"))
		wrap(w, "    ", printable(r.Reason), width)
	}
	return nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// shownDead is a dead letter as it is shown.
type shownDead struct {
	Letter   string      `json:"letter"`
	Topic    string      `json:"topic,omitempty"`
	From     string      `json:"from,omitempty"`
	Index    string      `json:"index,omitempty"`
	Pipeline string      `json:"pipeline,omitempty"`
	At       time.Time   `json:"at,omitzero"`
	Count    int         `json:"count"`
	Done     bool        `json:"done"`
	Reason   string      `json:"reason"`
	Time     time.Time   `json:"timestamp,omitzero"`
	Key      *string     `json:"key"`
	Headers  [][2]string `json:"headers,omitempty"`
	Value    *string     `json:"value"` // null: a tombstone
}

func newKafkaDLQShowCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:      "show TOPIC PARTITION:OFFSET",
		short:    "show a record of a dead-letter topic",
		long:     "Shows the record at that place in the dead-letter topic, with what its headers say.",
		examples: []example{{"naru kafka dlq show orders-dead 0:17 --brokers kafka-1:9092", "partition 0, offset 17"}},
		exits:    []exit{{exitOK, "shown"}, {exitFailed, "there is no such record"}},
	})
	cmd.Args = exactArgs("TOPIC", "PARTITION:OFFSET")
	var f kafkaFlags
	f.add(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		config, err := f.connection(c)
		if err != nil {
			return err
		}
		d := kafka.DeadLetters{Config: *config, Topic: args[0], Letter: args[1]}
		var shown *shownDead
		if err := d.Each(cmd.Context(), func(l *kafka.DeadLetter) error { shown = showDead(l); return nil }); err != nil {
			return err
		}
		if shown == nil {
			return fmt.Errorf("%s has no record at %s; naru kafka dlq ls %s shows where some are", args[0], args[1], args[0])
		}
		return c.print(output, shown, shown.write)
	}
	return cmd
}

func showDead(l *kafka.DeadLetter) *shownDead {
	s := &shownDead{
		Letter: l.Address(), Topic: l.Topic, From: l.From, Index: l.Index, Pipeline: l.Pipeline, At: l.At, Count: l.Count, Done: l.Done, Reason: l.Reason, Time: l.Meta.Timestamp,
	}
	if l.Meta.Key != nil {
		key := readable(l.Meta.Key)
		s.Key = &key
	}
	if l.Record.Body != nil {
		value := readable(l.Record.Body)
		s.Value = &value
	}
	for h := range l.Meta.Headers() {
		s.Headers = append(s.Headers, [2]string{h.Name, readable(h.Value)})
	}
	return s
}

func (s *shownDead) write(w io.Writer, _ int) error {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-9s %s\n", name, printable(value))
		}
	}
	line("letter", s.Letter)
	if s.Topic != "" {
		line("topic", s.Topic+" "+s.From)
	}
	line("index", s.Index)
	line("pipeline", s.Pipeline)
	if !s.At.IsZero() {
		line("died", fmt.Sprintf("%s, %s", s.At.UTC().Format(time.RFC3339), howOften(s.Count)))
	}
	if s.Done {
		line("done", "it was driven again")
	}
	line("reason", s.Reason)
	if !s.Time.IsZero() {
		line("timestamp", s.Time.Format(time.RFC3339Nano))
	}
	if s.Key != nil {
		line("key", *s.Key)
	}
	for _, h := range s.Headers {
		line("header", h[0]+": "+h[1])
	}
	if s.Value == nil {
		line("value", "none: a tombstone")
		return nil
	}
	_, err := fmt.Fprintf(w, "value\n%s\n", printable(*s.Value))
	return err
}

func howOften(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func newKafkaDLQRedriveCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "redrive TOPIC",
		short: "write the records of a dead-letter topic to where they were",
		long: `Writes the records that are there now to the topics that their headers name, or to --to,
with their keys and headers; their timestamps are now, as old ones might be past retention.
The same command goes on behind what was driven. With --reason or --letter nothing is kept
of that: what it drives, a later run without them drives once more. If it dies in between,
some records are there twice.`,
		examples: []example{
			{"naru kafka dlq redrive orders-dead --brokers kafka-1:9092", "all that are open"},
			{"naru kafka dlq redrive orders-dead --letter 0:17 --to orders-test --brokers kafka-1:9092", "one of them, to try"},
		},
		exits: []exit{
			{exitOK, "all were driven, or there is none"}, {exitFailed, "stopped by an error; the same command goes on"},
			{exitPartial, "some were left: they died too often, or it is not known where they were"},
		},
	})
	cmd.Args = exactArgs("TOPIC")
	var f kafkaFlags
	f.add(cmd)
	output := outputFlag(cmd)
	d := kafka.Redrive{}
	codec := "none"
	flags := cmd.Flags()
	flags.StringVar(&d.To, "to", "", "write all of them to `TOPIC`")
	flags.StringVar(&d.Reason, "reason", "", "only records with `TEXT` in their reason")
	flags.StringVar(&d.Letter, "letter", "", "only the record at `PARTITION:OFFSET`")
	flags.BoolVar(&d.Done, "all", false, "also those that were driven before")
	flags.IntVar(&d.Limit, "limit", 3, "leave records that have died `N` times")
	flags.StringVar(&codec, "compression", codec, "write with the `CODEC` none, gzip, snappy, lz4 or zstd")
	complete(cmd, "compression", "none", "gzip", "snappy", "lz4", "zstd")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		config, err := f.connection(c)
		if err != nil {
			return err
		}
		if d.Limit < 1 {
			return fmt.Errorf("--limit %d: want 1 or more", d.Limit)
		}
		if err := d.Codec.UnmarshalText([]byte(codec)); err != nil {
			return fmt.Errorf("--compression: %w", err)
		}
		d.Config, d.Topic = *config, args[0]
		ctx, interrupted, release := c.untilSignal(cmd.Context())
		defer release()
		r, err := d.Run(ctx)
		if err != nil {
			if interrupted() {
				return &exitError{exitInterrupted, errors.New("interrupted; the same command goes on")}
			}
			return err
		}
		if err := c.print(output, r, func(w io.Writer, width int) error { return writeRedriven(w, width, r) }); err != nil {
			return err
		}
		if r.TooOften > 0 || r.NoTopic > 0 {
			return &exitError{code: exitPartial}
		}
		return nil
	}
	return cmd
}

func writeRedriven(w io.Writer, width int, r *kafka.Redriven) error {
	if r.Read == 0 {
		_, err := fmt.Fprintln(w, "Nothing was left to drive.")
		return err
	}
	t := table{columns: []column{{title: "TO TOPIC", shrink: true}, {title: "RECORDS", right: true}}}
	for _, topic := range sortedKeys(r.By) {
		t.row(printable(topic), count(r.By[topic]))
	}
	if len(r.By) > 0 {
		if err := t.write(w, width); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s of %s records were driven again.\n", count(r.Driven), count(r.Read))
	if r.TooOften > 0 {
		fmt.Fprintf(w, "%s have died too often and were left (--limit).\n", count(r.TooOften))
	}
	if r.NoTopic > 0 {
		fmt.Fprintf(w, "%s do not say which topic they were in and were left: --to TOPIC.\n", count(r.NoTopic))
	}
	if r.Skipped > 0 {
		fmt.Fprintf(w, "%s have another reason.\n", count(r.Skipped))
	}
	return nil
}
