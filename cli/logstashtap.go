package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash/monitor"
)

func newTapCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "tap PIPELINE --at PLUGIN",
		short: "show events before and after a plugin of a running pipeline",
		long: `Asks a naru logstash that runs for samples of the events that come to one plugin, and
shows what became of them: of an input, the message and the event that its codec made; of
a filter, what it changed, dropped or made; of an output, the record that is written. All
fields are there, @metadata, too. PIPELINE may be left out where there is one only. PLUGIN
is what its option id says, or its name if there is one of that name only.

The pipeline is not held up: what is not read in time is left out, and counted.`,
		examples: []example{
			{"naru tap main --at grok", "ten events before and after the filter grok"},
			{"naru tap --at my_output -n 0 -o json | jq .record", "all records of an output, until Ctrl-C"},
		},
		exits: []exit{
			{exitOK, "as many as asked for are shown, the pipeline has ended, or it was interrupted"},
			{exitFailed, "there is no such pipeline or plugin, or nothing answers"},
		},
	})
	cmd.Args = cobra.MaximumNArgs(1)
	var api apiFlags
	api.add(cmd)
	flags := cmd.Flags()
	at := flags.String("at", "", "the `PLUGIN`: its id, or its name")
	n := flags.IntP("number", "n", 10, "end after `N` samples; 0: go on")
	rate := flags.Int("rate", 100, "take at most `N` samples a second, up to 1000")
	all := flags.Bool("all", false, "show fields that are not changed, too")
	format := &choice{value: "text", of: []string{"text", "json"}}
	flags.VarP(format, "output", "o", "print samples as `FORMAT` text or json, one a line")
	complete(cmd, "output", format.of...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *at == "" {
			return errors.New("--at PLUGIN is missing: its id, or its name")
		}
		if *n < 0 || *rate < 1 {
			return errors.New("-n is a number from 0 on, --rate one from 1 on")
		}
		client, err := api.client(c)
		if err != nil {
			return err
		}
		q := url.Values{"at": {*at}, "rate": {strconv.Itoa(*rate)}}
		if len(args) == 1 {
			q.Set("pipeline", args[0])
		}
		if *n > 0 {
			q.Set("n", strconv.Itoa(*n))
		}
		out := tapPrinter{w: c.Stdout, json: format.value == "json", all: *all, coloured: c.coloured(c.Stdout)}
		return c.tap(cmd.Context(), client, q, &out)
	}
	return cmd
}

// mostTapLine bounds a line of /naru/tap.
const mostTapLine = 64 << 20

// tap prints samples until there are no more, or it is interrupted.
func (c *common) tap(ctx context.Context, client *apiClient, q url.Values, out *tapPrinter) error {
	ctx, _, release := c.untilSignal(ctx)
	defer release()
	body, err := client.get(ctx, "naru/tap", q)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer body.Close() //nolint:errcheck // it is only read
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, mostTapLine)
	missed, n := int64(0), 0
	for lines.Scan() {
		line := lines.Bytes()
		var s monitor.TapLine
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("a sample cannot be read: %w", err)
		}
		if err := out.sample(line, &s); err != nil {
			return err
		}
		missed = s.Missed
		n++
	}
	if missed > 0 {
		fmt.Fprintf(c.Stderr, "%s came too fast and were left out\n", plural(missed, "sample"))
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the samples end early: %w", err)
	}
	if want, _ := strconv.Atoi(q.Get("n")); n < want && ctx.Err() == nil {
		fmt.Fprintln(c.Stderr, "the pipeline has ended")
	}
	return nil
}

// A tapPrinter prints samples.
type tapPrinter struct {
	w        io.Writer
	json     bool
	all      bool
	coloured bool
}

// Colours of a diff.
const (
	red, green, yellow, faint, bold = "31", "32", "33", "2", "1"
)

func (t *tapPrinter) in(style, text string) string {
	if !t.coloured {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (t *tapPrinter) sample(line []byte, s *monitor.TapLine) error {
	if t.json {
		_, err := t.w.Write(append(bytes.TrimSpace(line), '\n'))
		return err
	}
	var b strings.Builder
	head := fmt.Sprintf("%s  %s  %s %s", s.Time.Format("15:04:05.000"), printable(s.Pipeline), s.Name, printable(s.Plugin))
	if s.Took > 0 {
		head += "  " + nanos(s.Took)
	}
	b.WriteString(t.in(bold, head) + "\n")
	switch s.Kind {
	case "input":
		if s.Message != nil {
			b.WriteString("  " + t.in(faint, "message read: ") + printable(*s.Message) + "\n")
		}
		t.fields(&b, nil, s.After)
	case "output":
		t.record(&b, s)
	default:
		t.filter(&b, s)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (t *tapPrinter) filter(b *strings.Builder, s *monitor.TapLine) {
	switch {
	case s.Dropped:
		b.WriteString("  " + t.in(red, "dropped") + "\n")
		for _, f := range flatten(s.Before) {
			t.line(b, red, "-", f.path, f.value)
		}
	case s.Before != nil:
		t.fields(b, s.Before, s.After)
	}
	for i, e := range s.Emitted {
		b.WriteString("  " + t.in(green, fmt.Sprintf("made, %d of %d", i+1, len(s.Emitted))) + "\n")
		t.fields(b, s.Before, e)
	}
}

func (t *tapPrinter) record(b *strings.Builder, s *monitor.TapLine) {
	if s.Error != "" {
		b.WriteString("  " + t.in(red, "cannot be written: ") + printable(s.Error) + "\n")
	}
	if s.Record == nil || t.all {
		t.fields(b, nil, s.Before)
	}
	if r := s.Record; r != nil {
		for _, f := range []struct{ name, value string }{{"index", r.Index}, {"id", r.ID}, {"routing", r.Routing}} {
			if f.value != "" {
				fmt.Fprintf(b, "  %s %s\n", t.in(faint, f.name), printable(f.value))
			}
		}
		if r.Version > 0 {
			fmt.Fprintf(b, "  %s %d\n", t.in(faint, "version"), r.Version)
		}
		for line := range strings.Lines(r.Body) {
			b.WriteString("  " + printable(strings.TrimSuffix(line, "\n")) + "\n")
		}
	} else if s.Error == "" {
		b.WriteString("  " + t.in(faint, "nothing is written of it") + "\n")
	}
}

func (t *tapPrinter) line(b *strings.Builder, style, sign, path, value string) {
	b.WriteString(t.in(style, "  "+sign+" "+printable(path)+"  "+printable(value)) + "\n")
}

// fields prints how an event differs from what it was before; nil: it was not.
func (t *tapPrinter) fields(b *strings.Builder, before, after json.RawMessage) {
	old := map[string]string{}
	was := flatten(before)
	for _, f := range was {
		old[f.path] = f.value
	}
	same := 0
	seen := map[string]bool{}
	for _, f := range flatten(after) {
		seen[f.path] = true
		v, there := old[f.path]
		switch {
		case before == nil:
			t.line(b, "0", " ", f.path, f.value)
		case !there:
			t.line(b, green, "+", f.path, f.value)
		case v != f.value:
			t.line(b, yellow, "~", f.path, v+" → "+f.value)
		case t.all:
			t.line(b, faint, " ", f.path, f.value)
		default:
			same++
		}
	}
	for _, f := range was {
		if !seen[f.path] {
			t.line(b, red, "-", f.path, f.value)
		}
	}
	if same > 0 && !bytes.Equal(before, after) {
		b.WriteString(t.in(faint, fmt.Sprintf("    %s as before", plural(int64(same), "field"))) + "\n")
	} else if same > 0 && before != nil {
		b.WriteString(t.in(faint, "    nothing changed: "+plural(int64(same), "field")) + "\n")
	}
}

// A flatField is a field of an event, by its path: name, or [a][b].
type flatField struct{ path, value string }

// flatten gives the fields of a JSON object in its order, those of objects within by their paths. What is no object is one
// field without a path.
func flatten(raw json.RawMessage) []flatField {
	if len(raw) == 0 {
		return nil
	}
	var out []flatField
	var walk func(path []string, raw json.RawMessage)
	walk = func(path []string, raw json.RawMessage) {
		d := json.NewDecoder(bytes.NewReader(raw))
		first, err := d.Token()
		if err != nil || first != json.Delim('{') || !d.More() {
			out = append(out, flatField{pathOf(path), string(raw)})
			return
		}
		for d.More() {
			key, err := d.Token()
			name, ok := key.(string)
			var value json.RawMessage
			if err != nil || !ok || d.Decode(&value) != nil {
				return
			}
			walk(append(slices.Clone(path), name), value)
		}
	}
	walk(nil, raw)
	return out
}

func pathOf(path []string) string {
	if len(path) == 1 {
		return path[0]
	}
	var b strings.Builder
	for _, p := range path {
		b.WriteString("[" + p + "]")
	}
	return b.String()
}
