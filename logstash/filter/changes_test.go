package filter

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// A chain is filters one after another.
type chain struct {
	filters []Filter
	x       *Context
	out     []*event.Event
}

// newChain makes filters of the filter sections of a configuration, for one worker.
func newChain(t testing.TB, config, dir string, ecs ECS, style event.EscapeStyle) (*chain, error) {
	t.Helper()
	parsed, err := syntax.Parse("test.conf", []byte(config))
	if err != nil {
		return nil, err
	}
	c := &chain{x: newContext()}
	c.x.Refs.Style = style
	c.x.New = func() *event.Event { return new(event.Event) }
	for p := range syntax.Plugins(parsed.Statements(syntax.Filter)) {
		plugin := Table()[p.Name]()
		for _, problem := range option.Decode(p, plugin, option.Env{Dir: dir, Style: style}) {
			if !problem.Warning {
				err = errors.Join(err, problem)
			}
		}
		if err != nil {
			return nil, err
		}
		f, err := plugin.Setup(&Setup{ECS: ecs, Dir: dir, Style: style, Log: slog.New(slog.DiscardHandler), Now: time.Now, Where: p.Pos.String()})
		if err != nil {
			return nil, err
		}
		if closer, ok := f.(Closer); ok {
			t.Cleanup(func() {
				if err := closer.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		if forker, ok := f.(Forker); ok {
			f = forker.Fork()
		}
		c.filters = append(c.filters, f)
	}
	return c, nil
}

// from runs an event through the filters from one on. Those that a filter emits go on behind it, after it.
func (c *chain) from(i int, e *event.Event) {
	var later []func()
	for ; i < len(c.filters) && !e.Cancelled(); i++ {
		next := i + 1
		c.x.Emit = func(made *event.Event) { later = append(later, func() { c.from(next, made) }) }
		c.filters[i].Filter(c.x, e)
	}
	if !e.Cancelled() {
		c.out = append(c.out, e)
	}
	for _, run := range later {
		run()
	}
}

// change gives what comes out for one event after another.
func (c *chain) change(t testing.TB, lines ...string) []*event.Event {
	t.Helper()
	c.out = nil
	for _, in := range lines {
		v, err := event.ParseJSON([]byte(in), event.JSONOptions{})
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		c.from(0, event.FromMap(v))
	}
	return c.out
}

func linesOf(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

// printed gives events as their JSON, to compare them with lines of JSON.
func decoded(t testing.TB, events []*event.Event) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, e := range events {
		out = append(out, plain(t, e.AppendJSON(nil)))
	}
	return out
}

func decodedLines(t testing.TB, lines ...string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, line := range lines {
		if line != "" {
			out = append(out, plain(t, []byte(line)))
		}
	}
	return out
}

// expect runs lines through a configuration and compares what comes out.
func expect(t *testing.T, config string, ecs ECS, in, want []string) {
	t.Helper()
	c, err := newChain(t, config, t.TempDir(), ecs, event.None)
	if err != nil {
		t.Fatalf("%s: %v", config, err)
	}
	if d := cmp.Diff(decodedLines(t, want...), decoded(t, c.change(t, in...))); d != "" {
		t.Errorf("%s: (-want +got)\n%s", config, d)
	}
}

// refuses sets up a configuration that is wrong, and gives the error's text.
func refuses(t *testing.T, config string) string {
	t.Helper()
	_, err := newChain(t, config, t.TempDir(), ECSDisabled, event.None)
	if err == nil {
		t.Fatalf("%s: it is taken", config)
	}
	return err.Error()
}

func TestFieldsChangeAsTheyDidInLogstash(t *testing.T) {
	ran := 0
	for _, area := range []string{"mutate", "json", "csv", "other", "common-options", "fieldref"} {
		files, err := filepath.Glob("../testdata/cases/" + area + "/*.txt")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no cases: %v", area, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := sections(string(text))
			if !runsHere(c["config"]) {
				continue // with conditions: the tests of whole pipelines have it
			}
			ran++
			t.Run(area+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runRecorded(t, c) })
		}
	}
	if ran < 100 {
		t.Errorf("only %d cases were run", ran)
	}
}

func runsHere(config string) bool {
	parsed, err := syntax.Parse("test.conf", []byte(config))
	if err != nil {
		return true
	}
	for _, s := range parsed.Statements(syntax.Filter) {
		p, ok := s.(*syntax.Plugin)
		if !ok || Table()[p.Name] == nil {
			return false
		}
	}
	return true
}

func runRecorded(t *testing.T, c map[string]string) {
	dir := t.TempDir()
	for name, text := range c {
		if file, ok := strings.CutPrefix(name, "file "); ok {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	options := strings.Fields(c[""])
	ecs, style := ECSDisabled, event.None
	if slices.Contains(options, "ecs=v8") {
		ecs = ECSv8
	}
	for _, o := range options {
		if name, ok := strings.CutPrefix(o, "escape_style="); ok {
			var err error
			if style, err = event.ParseEscapeStyle(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	ch, err := newChain(t, strings.ReplaceAll(c["config"], "@DIR@", dir), dir, ecs, style)
	if c["error"] != "" {
		if err == nil {
			t.Fatal("the configuration is taken")
		}
		for line := range strings.Lines(c["error"]) {
			if words, ok := strings.CutPrefix(line, "mentions:"); ok {
				for word := range strings.SplitSeq(words, ",") {
					if !strings.Contains(err.Error(), strings.TrimSpace(word)) {
						t.Errorf("%v does not mention %s", err, word)
					}
				}
			}
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got := decoded(t, ch.change(t, linesOf(c["input"])...))
	want := decodedLines(t, linesOf(c["output"])...)
	if other := c["output-config-order"]; other != "" && cmp.Equal(decodedLines(t, linesOf(other)...), got) {
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
