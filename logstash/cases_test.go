package logstash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/syntax"
)

// A recorded is a case that a real Logstash 8.19 was asked: a configuration, events, and what came out.
//
//	# one line: what the case shows
//	# options: ecs=v8 raw year unordered escapes escape_style=percent wrap env:NAME=value
//	-- file NAME --            extra files; @DIR@ in the configuration is their folder
//	-- config --               filter sections
//	-- input --                an event on each line, as JSON; with the option raw a line of text
//	-- output --               an event on each line
//	-- output-config-order --  the same where entries of hashes run as they are written (as they do here)
//	-- output-newer-plugins -- the same with newer versions of some plugins
//	-- error --                instead of input and output: the configuration is refused
type recorded struct {
	options  map[string]string
	files    map[string]string
	config   string
	input    []string
	outputs  [][]string // the recorded one, then the variants
	failure  map[string]string
	mentions []string
}

var sectionLine = regexp.MustCompile(`^-- (config|input|output|output-config-order|output-newer-plugins|error|file (\S+)) --$`)

func readCase(t *testing.T, path string) *recorded {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := &recorded{options: map[string]string{}, files: map[string]string{}}
	section, lines := "", []string{}
	flush := func() {
		body := strings.Join(lines, "\n")
		switch {
		case section == "config":
			c.config = body
		case section == "input":
			c.input = withoutEmpty(lines)
		case strings.HasPrefix(section, "output"):
			c.outputs = append(c.outputs, withoutEmpty(lines))
		case section == "error":
			c.failure = map[string]string{}
			for _, l := range lines {
				if key, value, ok := strings.Cut(l, ": "); ok {
					c.failure[key] = value
				}
			}
		case section != "":
			c.files[strings.TrimPrefix(section, "file ")] = body + "\n"
		}
	}
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\n"), "\n") {
		if m := sectionLine.FindStringSubmatch(line); m != nil {
			flush()
			section, lines = m[1], nil
			continue
		}
		if section != "" {
			lines = append(lines, line)
			continue
		}
		if options, ok := strings.CutPrefix(line, "# options:"); ok {
			for o := range strings.FieldsSeq(options) {
				key, value, _ := strings.Cut(o, "=")
				c.options[key] = value
			}
		}
	}
	flush()
	if c.failure != nil {
		c.mentions = strings.Fields(c.failure["mentions"])
	}
	return c
}

func withoutEmpty(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "" })
}

func (c *recorded) has(option string) bool {
	_, ok := c.options[option]
	return ok
}

// run compiles the case's configuration, and runs its input: without workers, each event in a batch of its own. It gives the
// output, and what is wrong with the configuration.
func (c *recorded) run(t *testing.T, workers int) (output string, problems Problems) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range c.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(c.config, "@DIR@", dir)
	if c.failure == nil || c.has("wrap") {
		codec := "json_lines"
		if c.has("raw") {
			codec = "line"
		}
		text += fmt.Sprintf("\ninput { stdin { codec => %s } }\noutput { stdout { codec => json_lines } }\n", codec)
	}
	style, err := event.ParseEscapeStyle(c.option("escape_style", "none"))
	if err != nil {
		t.Fatal(err)
	}
	p, problems := Read([]syntax.File{{Name: "case.conf", Text: []byte(text)}}, syntax.Options{SupportEscapes: c.has("escapes")}, Options{
		ECS: filter.ECS(c.option("ecs", "disabled")), EscapeStyle: style, Dir: dir, Log: slog.New(slog.DiscardHandler),
		Lookup: func(name string) (string, bool) {
			v, ok := c.options["env:"+name]
			return v, ok
		},
	})
	if p == nil {
		return "", problems
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	if workers == 0 {
		return strings.ReplaceAll(strings.Join(batched(t, p, c.input, 1), "\n"), dir, "@DIR@"), problems
	}
	var in, out bytes.Buffer
	for _, line := range c.input {
		in.WriteString(line + "\n")
	}
	if _, err := p.Run(t.Context(), RunOptions{Stdin: &in, Stdout: &out, Workers: workers}); err != nil {
		t.Error(err)
	}
	return strings.ReplaceAll(out.String(), dir, "@DIR@"), problems
}

func (c *recorded) option(name, otherwise string) string {
	if v, ok := c.options[name]; ok {
		return v
	}
	return otherwise
}

// unbuilt gives the first filter of the case that is not built in yet; "" if there are all.
func (c *recorded) unbuilt() string {
	config, err := syntax.Parse("case.conf", []byte(c.config))
	if err != nil {
		return ""
	}
	built := filter.Table()
	for p := range syntax.Plugins(config.Statements(syntax.Filter)) {
		if built[p.Name] == nil && slices.Contains(shipped[syntax.Filter], p.Name) {
			return p.Name
		}
	}
	return ""
}

// differs says how an output differs from all that are right; "" if it is one of them.
func (c *recorded) differs(t *testing.T, output string) string {
	t.Helper()
	var got []any
	for line := range strings.Lines(output) {
		got = append(got, decoded(t, line))
	}
	difference := ""
	for _, lines := range c.outputs {
		var want []any
		for _, line := range lines {
			if c.has("year") {
				line = strings.ReplaceAll(line, "$YEAR-", time.Now().UTC().Format("2006-"))
			}
			want = append(want, plain(t, line))
		}
		if c.has("unordered") {
			for _, list := range [][]any{want, got} {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
		if reflect.DeepEqual(got, want) {
			return ""
		}
		if difference == "" {
			difference = compared(want, got)
		}
	}
	return difference
}

func compared(want, got []any) string {
	if len(want) != len(got) {
		return fmt.Sprintf("%d events, want %d\n got %v\nwant %v", len(got), len(want), got, want)
	}
	for i := range want {
		if !reflect.DeepEqual(want[i], got[i]) {
			return fmt.Sprintf("event %d\n got %v\nwant %v", i+1, got[i], want[i])
		}
	}
	return ""
}

// decoded decodes an event that came out, without what changes from run to run: @version "1" and a @timestamp of now.
func decoded(t *testing.T, line string) any {
	t.Helper()
	v := plain(t, line)
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("no event: %s", line)
	}
	if m["@version"] == "1" {
		delete(m, "@version")
	}
	if s, ok := m["@timestamp"].(string); ok {
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil && time.Since(at).Abs() < 48*time.Hour {
			delete(m, "@timestamp")
		}
	}
	return m
}

// plain decodes JSON. Numbers become texts that tell their kind and value: 1 is not 1.0, but 1.0E7 is 10000000.0.
func plain(t *testing.T, line string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return numbers(v)
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		r, ok := new(big.Rat).SetString(v.String())
		if !ok {
			return "number " + v.String()
		}
		if strings.ContainsAny(v.String(), ".eE") {
			return "float " + r.RatString()
		}
		return "integer " + r.RatString()
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

func TestRecordedCasesComeOutAsInLogstash(t *testing.T) {
	passed, all, waiting := map[string]int{}, map[string]int{}, map[string][]string{}
	err := filepath.WalkDir("testdata/cases", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txt" {
			return err
		}
		area := filepath.Base(filepath.Dir(path))
		all[area]++
		c := readCase(t, path)
		if f := c.unbuilt(); f != "" {
			waiting[f] = append(waiting[f], area+"/"+d.Name())
			return nil
		}
		if t.Run(strings.TrimSuffix(area+"/"+d.Name(), ".txt"), func(t *testing.T) { c.check(t) }) {
			passed[area]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for area, n := range all {
		t.Logf("%s: %d of %d", area, passed[area], n)
	}
	for f, cases := range waiting {
		t.Logf("wait for the filter %s: %s", f, strings.Join(cases, " "))
	}
}

// check runs the case, event by event, with one worker and with two.
func (c *recorded) check(t *testing.T) {
	if c.failure != nil {
		_, problems := c.run(t, 1)
		if problems.Err() == nil {
			t.Fatalf("no error; Logstash says %s", c.failure["logstash"])
		}
		message := problems.Err().Error()
		for _, word := range c.mentions {
			if !strings.Contains(strings.ToLower(message), strings.ToLower(word)) {
				t.Errorf("the error lacks %q: %s", word, message)
			}
		}
		if line := c.failure["line"]; line != "" && !strings.Contains(message, "case.conf:"+line+":") {
			t.Errorf("the error is not in line %s: %s", line, message)
		}
		return
	}
	for workers := range 3 {
		output, problems := c.run(t, workers)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		if difference := c.differs(t, output); difference != "" {
			t.Fatalf("with %d workers: %s", workers, difference)
		}
	}
}
