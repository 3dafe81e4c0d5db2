package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// setUp makes filters of the filter sections of a configuration.
func setUp(t testing.TB, text string, ecs ECS) ([]Filter, error) {
	t.Helper()
	config, err := syntax.Parse("test.conf", []byte(text))
	if err != nil {
		return nil, err
	}
	var out []Filter
	for p := range syntax.Plugins(config.Statements(syntax.Filter)) {
		plugin := Table()[p.Name]()
		for _, problem := range option.Decode(p, plugin, option.Env{Dir: t.TempDir()}) {
			if !problem.Warning {
				err = errors.Join(err, problem)
			}
		}
		if err != nil {
			return nil, err
		}
		f, err := plugin.Setup(&Setup{ECS: ecs, Log: slog.New(slog.DiscardHandler), Now: time.Now, Where: p.Pos.String()})
		if err != nil {
			return nil, err
		}
		if c, ok := f.(Closer); ok {
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		if forker, ok := f.(Forker); ok {
			f = forker.Fork()
		}
		out = append(out, f)
	}
	return out, nil
}

func newContext() *Context {
	return &Context{Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// run makes an event of a JSON object, and gives it to filters.
func run(t testing.TB, filters []Filter, in string) *event.Event {
	t.Helper()
	v, err := event.ParseJSON([]byte(in), event.JSONOptions{})
	if err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	e := event.FromMap(v)
	x := newContext()
	for _, f := range filters {
		if !e.Cancelled() {
			f.Filter(x, e)
		}
	}
	return e
}

// plain decodes an event's JSON: numbers as texts that show their kind; without @version and a @timestamp of now.
func plain(t testing.TB, text []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if m["@version"] == "1" {
		delete(m, "@version")
	}
	if s, ok := m["@timestamp"].(string); ok {
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil && time.Since(at).Abs() < 48*time.Hour {
			delete(m, "@timestamp")
		}
	}
	return numbers(m).(map[string]any)
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
		return "number " + v.String()
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// A recorded case has sections, each behind a line "-- name --".
func sections(text string) map[string]string {
	out := map[string]string{}
	name := ""
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "-- "); ok && strings.HasSuffix(n, " --") {
			name = strings.TrimSuffix(n, " --")
			continue
		}
		out[name] += line
	}
	return out
}

func TestFiltersDoWhatLogstashDid(t *testing.T) {
	local := time.Local
	time.Local = time.UTC // where the cases were recorded
	t.Cleanup(func() { time.Local = local })
	ran := 0
	for _, area := range []string{"grok", "date", "dissect", "kv"} {
		files, err := filepath.Glob("../testdata/cases/" + area + "/*.txt")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no cases: %v", area, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(area+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
				ran++
				runCase(t, sections(string(text)))
			})
		}
	}
	if ran < 100 {
		t.Errorf("only %d cases were run", ran)
	}
}

func runCase(t *testing.T, c map[string]string) {
	options := strings.Fields(c[""])
	ecs := ECSDisabled
	if slices.Contains(options, "ecs=v8") {
		ecs = ECSv8
	}
	config, failing := c["config"], c["error"]
	filters, err := setUp(t, config, ecs)
	if failing != "" {
		if err == nil {
			t.Fatal("the configuration is taken")
		}
		for line := range strings.Lines(failing) {
			for word := range strings.SplitSeq(strings.TrimPrefix(line, "mentions:"), ",") {
				if strings.HasPrefix(line, "mentions:") && !strings.Contains(err.Error(), strings.TrimSpace(word)) {
					t.Errorf("%v does not mention %s", err, word)
				}
			}
		}
		t.Log(err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimRight(strings.ReplaceAll(c["output"], "$YEAR", strconv.Itoa(time.Now().UTC().Year())), "\n"), "\n")
	byConfig := want
	if c["output-config-order"] != "" {
		byConfig = strings.Split(strings.TrimRight(c["output-config-order"], "\n"), "\n")
	}
	for i, in := range strings.Split(strings.TrimRight(c["input"], "\n"), "\n") {
		got := plain(t, run(t, filters, in).AppendJSON(nil))
		if cmp.Equal(plain(t, []byte(byConfig[i])), got) {
			continue
		}
		if d := cmp.Diff(plain(t, []byte(want[i])), got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", in, d)
		}
	}
}
