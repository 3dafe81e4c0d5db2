package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash/monitor"
)

func newTopCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "top",
		short: "show what running pipelines do: events, queues, plugins, lag",
		long: `Asks a naru logstash that runs, again and again, and shows for each pipeline how many
events come and go, what waits, what was tried again and what is dead; the filters and
codecs that take most of the time, inputs with their connections and their lag in Kafka,
outputs with how long a write takes. q or Ctrl-C ends it. Where standard output is no
terminal there are tables, one after the other.`,
		examples: []example{
			{"naru top", "look at the naru logstash of this machine"},
			{"naru top --url https://logs-1:9600 --ca-file ca.pem", "at another one"},
			{"naru top --once -o json", "one look, for a script"},
		},
		exits: []exit{{exitOK, "shown, or ended by q or Ctrl-C"}, {exitFailed, "nothing answers"}},
	})
	cmd.Args = exactArgs()
	var api apiFlags
	api.add(cmd)
	flags := cmd.Flags()
	once := flags.Bool("once", false, "show what one interval brings, and end")
	interval := flags.Duration("interval", time.Second, "how often to look")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval < 100*time.Millisecond {
			return fmt.Errorf("--interval is at least 100ms, not %v", *interval)
		}
		client, err := api.client(c)
		if err != nil {
			return err
		}
		ctx, _, release := c.untilSignal(cmd.Context())
		defer release()
		t := &topper{c: c, client: client, interval: *interval}
		if screen, ok := newScreen(c); ok && !*once && output.value == "table" {
			return t.watch(ctx, screen)
		}
		return t.print(ctx, output, *once)
	}
	return cmd
}

// A topper looks at a naru logstash.
type topper struct {
	c        *common
	client   *apiClient
	interval time.Duration
	last     *monitor.Report
}

// look asks once, and gives what there was since the last time; from the first time on, since the start.
func (t *topper) look(ctx context.Context) (*topView, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := t.client.get(ctx, "naru/figures", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close() //nolint:errcheck // it is only read
	var r monitor.Report
	if err := json.NewDecoder(body).Decode(&r); err != nil {
		return nil, fmt.Errorf("the answer cannot be read: %w", err)
	}
	v := viewOf(t.last, &r)
	t.last = &r
	return v, nil
}

// print writes a view for each interval, or the first one.
func (t *topper) print(ctx context.Context, format *choice, once bool) error {
	if _, err := t.look(ctx); err != nil {
		return unlessOver(ctx, err)
	}
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for first := true; ; first = false {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		v, err := t.look(ctx)
		if err != nil {
			return unlessOver(ctx, err)
		}
		if err := t.write(v, format, once, first); err != nil || once {
			return err
		}
	}
}

func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func (t *topper) write(v *topView, format *choice, once, first bool) error {
	if format.value == "json" && !once { // a line for each
		e := json.NewEncoder(t.c.Stdout)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	if !first {
		sep := "\n"
		if format.value == "yaml" {
			sep = "---\n"
		}
		if _, err := io.WriteString(t.c.Stdout, sep); err != nil {
			return err
		}
	}
	return t.c.print(format, v, func(w io.Writer, width int) error {
		if _, err := fmt.Fprintln(w, v.headline()); err != nil {
			return err
		}
		for _, s := range v.sections() {
			if len(s.table.rows) == 0 {
				continue
			}
			fmt.Fprintln(w)
			if err := s.table.write(w, width); err != nil {
				return err
			}
		}
		return nil
	})
}
