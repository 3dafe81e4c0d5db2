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
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/flow"
)

func newDLQCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "dlq",
		short: "look at what could not be delivered, and carry it again",
		long: `Records that a carry could not deliver are dead letters: whole, each with the reason.
Those of a carry into a cluster are in the directory naru-dead, those of an archive in
its folder _dead. DIR is the one, or the archive.`,
		examples: []example{
			{"naru dlq ls naru-dead", "which reasons there are"},
			{"naru dlq show naru-dead id-17", "one of them, whole"},
			{"naru dlq redrive naru-dead https://node-1:9200", "once the reason is mended"},
		},
		exits: []exit{{exitOK, "done"}, {exitFailed, "the letters cannot be read, or the arguments are wrong"}},
	})
	cmd.AddCommand(newDLQListCommand(c), newDLQShowCommand(c), newDLQRedriveCommand(c))
	return cmd
}

// letterFlags choose dead letters.
type letterFlags struct {
	indices []string
	reason  string
	done    bool
}

func (f *letterFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&f.indices, "index", "i", nil, "only letters of indices that match `PATTERN` (logs-*; !x or -x excludes); repeatable")
	cmd.Flags().StringVar(&f.reason, "reason", "", "only letters with `TEXT` in their reason")
}

func (f *letterFlags) options(letter string) archive.DeadOptions {
	return archive.DeadOptions{Indices: f.indices, Reason: f.reason, Address: letter, Done: f.done}
}

func newDLQListCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "ls DIR",
		short: "list dead letters by index and reason",
		long: `Counts the dead letters in DIR by index and reason; reasons that differ only in ids,
numbers and quoted values are one. Letters that were carried again are not counted,
unless --done is given.`,
		examples: []example{{"naru dlq ls naru-dead", "what is open"}, {"naru dlq ls /archive --done -o json", "of an archive, all of them"}},
		exits:    []exit{{exitOK, "listed, or there are none"}, {exitFailed, "the letters cannot be read"}},
	})
	cmd.Args = exactArgs("DIR")
	f, output := &letterFlags{}, outputFlag(cmd)
	f.add(cmd)
	cmd.Flags().BoolVar(&f.done, "done", false, "also those that were carried again")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		d, err := archive.OpenDead(args[0], f.options(""))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		list, err := listLetters(cmd.Context(), d)
		if err != nil {
			return err
		}
		return c.print(output, list, list.write)
	}
	return cmd
}

// letterReason is why letters of an index are dead.
type letterReason struct {
	Index   string `json:"index"`
	Reason  string `json:"reason"`
	Letters int64  `json:"letters"`
	Done    int64  `json:"done"` // of them, carried again
	Letter  string `json:"letter"`
	ID      string `json:"id"`
	Example string `json:"example"` // the whole reason of that letter
}

type letterReasons []letterReason

func listLetters(ctx context.Context, d *archive.DeadLetters) (letterReasons, error) {
	const most = 10_000 // reasons; whatever they are, a list stays a list
	at := map[[2]string]int{}
	list := letterReasons{}
	for l, err := range d.Letters(ctx) {
		if err != nil {
			return nil, err
		}
		reason := flow.ReasonOf(l.Reason, string(l.Key))
		key := [2]string{l.Index, reason}
		i, ok := at[key]
		if !ok && len(list) >= most {
			key[1] = "other reasons"
			i, ok = at[key]
		}
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, letterReason{Index: l.Index, Reason: key[1], Letter: l.Address, ID: readable(l.Key), Example: l.Reason})
		}
		list[i].Letters++
		if l.Done {
			list[i].Done++
		}
	}
	slices.SortStableFunc(list, func(a, b letterReason) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Reason, b.Reason))
	})
	return list, nil
}

func readable(b []byte) string { return strings.ToValidUTF8(string(b), string(utf8.RuneError)) }

func (l letterReasons) write(w io.Writer, width int) error {
	if len(l) == 0 {
		_, err := fmt.Fprintln(w, "There are no dead letters.")
		return err
	}
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "LETTERS", right: true}, {title: "DONE", right: true, optional: true}, {title: "ID, FOR EXAMPLE", shrink: true},
	}}
	for _, r := range l {
		done := ""
		if r.Done > 0 {
			done = count(r.Done)
		}
		t.row(printable(r.Index), count(r.Letters), done, printable(r.ID))
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprint(w, "\nREASONS\n")
	for _, r := range l {
		fmt.Fprintf(w, "  %s  %s\n", printable(r.Index), plural(r.Letters, "letter"))
		wrap(w, "    ", printable(r.Reason), width)
	}
	return nil
}

func newDLQShowCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "show DIR LETTER",
		short: "show a dead letter with its record",
		long: `Shows the letter of the address LETTER (as dlq ls -o json gives it), or all letters of
records with that id, whether they were carried again or not.`,
		examples: []example{{"naru dlq show naru-dead id-17", "by the id of its record"}},
		exits:    []exit{{exitOK, "shown"}, {exitFailed, "there is no such letter, or the letters cannot be read"}},
	})
	cmd.Args = exactArgs("DIR", "LETTER")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		d, err := archive.OpenDead(args[0], archive.DeadOptions{Address: args[1], Done: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		const most = 100
		shown := shownLetters{}
		for l, err := range d.Letters(cmd.Context()) {
			if err != nil {
				return err
			}
			if len(shown) == most {
				fmt.Fprintf(c.Stderr, "note: there are more than %d letters of that id\n", most)
				break
			}
			shown = append(shown, newShownLetter(&l))
		}
		if len(shown) == 0 {
			return fmt.Errorf("%s: there is no letter %q, nor one of a record with that id; see naru dlq ls %s -o json", args[0], args[1], quote(args[0]))
		}
		return c.print(output, shown, shown.write)
	}
	return cmd
}

// shownLetter is a letter as it is shown.
type shownLetter struct {
	Letter     string    `json:"letter"`
	Index      string    `json:"index"`
	Type       string    `json:"type,omitempty"`
	ID         string    `json:"id"`
	Routing    *string   `json:"routing,omitempty"`
	Version    int64     `json:"version,omitempty"`
	Reason     string    `json:"reason"`
	ReasonType string    `json:"reason_type,omitempty"`
	At         time.Time `json:"at,omitzero"`
	Done       bool      `json:"done"`
	Source     *string   `json:"source"` // as it is, be it JSON or not; null: the record has none
}

type shownLetters []shownLetter

func newShownLetter(l *archive.Letter) shownLetter {
	s := shownLetter{
		Letter: l.Address, Index: l.Index, Type: l.Type, ID: readable(l.Key), Version: l.Version,
		Reason: l.Reason, ReasonType: l.ReasonType, At: l.At, Done: l.Done,
	}
	if l.Routing != nil {
		routing := readable(l.Routing)
		s.Routing = &routing
	}
	if l.Body != nil {
		source := readable(l.Body)
		s.Source = &source
	}
	return s
}

func (l shownLetters) write(w io.Writer, width int) error {
	for i, s := range l {
		if i > 0 {
			fmt.Fprintln(w)
		}
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "%-8s %s\n", name, value)
			}
		}
		line("letter", printable(s.Letter))
		line("index", printable(s.Index))
		line("type", printable(s.Type))
		line("id", printable(s.ID))
		if s.Routing != nil {
			line("routing", printable(*s.Routing))
		}
		if s.Version > 0 {
			line("version", fmt.Sprint(s.Version))
		}
		if !s.At.IsZero() {
			line("at", s.At.Format(time.RFC3339))
		}
		if s.Done {
			line("done", "it was carried again")
		}
		line("reason", printable(s.Reason))
		if s.Source == nil {
			line("source", "none")
			continue
		}
		if _, err := fmt.Fprintf(w, "source\n%s\n", printable(*s.Source)); err != nil {
			return err
		}
	}
	return nil
}

func newDLQRedriveCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "redrive DIR TO",
		short: "carry dead letters again",
		long: `Carries the dead letters in DIR to TO, a cluster or a new archive. What arrives is done,
and the same command does not carry it again; what is refused once more is a letter of
today, with its reason. It may be interrupted at any time.`,
		examples: []example{
			{"naru dlq redrive naru-dead https://node-1:9200", "all of them"},
			{"naru dlq redrive naru-dead https://node-1:9200 -i 'logs-*' --reason 'limit of total fields'", "those with a reason that is mended"},
		},
		exits: carryExits,
	})
	cmd.Args = exactArgs("DIR", "TO")
	f, access, letter := &letterFlags{}, &accessFlags{}, ""
	f.add(cmd)
	access.add(cmd)
	cmd.Flags().StringVar(&letter, "letter", "", "only the letter of this `ADDRESS`, or those of records with this id")
	run := addRunFlags(cmd)
	cmd.Flags().Lookup("verify").Hidden = true // the letters that have arrived are only some of what is there
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := sinkPlace(args[1])
		if err != nil {
			return err
		}
		if p.kind == kindArchive {
			return fmt.Errorf("%s is an archive; carry dead letters into a new one: ndjson:DIR or parquet:DIR", args[1])
		}
		source := connect.Source{DeadLetters: &connect.DeadLetters{Dir: args[0], Indices: f.indices, Reason: f.reason, Letter: letter}}
		if err := source.DeadLetters.Validate(); err != nil {
			return err
		}
		sink := connect.Sink{OpenSearch: &connect.ClusterSink{Access: access.to(p.path)}}
		if p.kind != kindCluster {
			if sink, err = connect.SinkAt(p.kind, p.path); err != nil {
				return err
			}
		}
		run.verify = false
		again := &connect.Flow{Source: source, Sink: sink}
		if run.plan {
			return c.explain(cmd.Context(), again, run)
		}
		return c.carry(cmd.Context(), again, run)
	}
	return cmd
}
