package codec

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// A stream decodes messages, one after another, and keeps the events.
type stream struct {
	x      Context
	events []string
}

func newStream() *stream {
	s := &stream{}
	s.x = Context{New: func() *event.Event { return new(event.Event) }, Now: time.Unix(0, 0), Log: slog.New(slog.DiscardHandler)}
	s.x.Emit = func(e *event.Event) {
		e.RemoveField("@version")
		e.RemoveField("@timestamp")
		s.events = append(s.events, string(e.AppendJSON(nil)))
	}
	return s
}

// refusedCodec gives the error of options that cannot work.
func refusedCodec(t *testing.T, text string) string {
	t.Helper()
	config, err := syntax.Parse("a.conf", []byte("filter { "+text+" }"))
	if err != nil {
		t.Fatal(err)
	}
	for p := range syntax.Plugins(config.Statements(syntax.Filter)) {
		plugin := Table()[p.Name]()
		for _, problem := range option.Decode(p, plugin, option.Env{}) {
			return problem.Error()
		}
		_, err = plugin.Setup(&Setup{Log: slog.New(slog.DiscardHandler)})
	}
	if err == nil {
		t.Fatalf("%s is taken", text)
	}
	return err.Error()
}

func TestLinesThatBelongTogetherAreOneEvent(t *testing.T) {
	for _, c := range []struct {
		name, options string
		messages      []string
		want          []string
	}{
		{"those that begin with a blank, to the line before", `pattern => "^\s" what => "previous"`,
			[]string{"hello world", "   second line", "another first line"},
			[]string{`{"message":"hello world\n   second line","tags":["multiline"]}`, `{"message":"another first line"}`}},
		{"in one message", `pattern => "^\s" what => "previous"`, []string{"a\n b\nc\n\n"},
			[]string{`{"message":"a\n b","tags":["multiline"]}`, `{"message":"c"}`}},
		{"those that end in a backslash, to the line behind", `pattern => "\\$" what => "next"`,
			[]string{`a \`, `b \`, `c`, `d`, `e \`},
			[]string{`{"message":"a \\\nb \\\nc","tags":["multiline"]}`, `{"message":"d"}`, `{"message":"e \\"}`}},
		{"those that do not begin with a time", `pattern => "^%{TIMESTAMP_ISO8601} " negate => true what => "previous"`,
			[]string{"2026-01-02 03:04:05 one", "two", "", "three", "2026-01-02 03:04:06 four"},
			[]string{`{"message":"2026-01-02 03:04:05 one\ntwo\nthree","tags":["multiline"]}`, `{"message":"2026-01-02 03:04:06 four"}`}},
		{"an empty line within a message stays", `pattern => "^x" negate => true what => "previous"`, []string{"x\n\ny"},
			[]string{`{"message":"x\n\ny","tags":["multiline"]}`}},
		{"another tag", `pattern => "^\s" what => "previous" multiline_tag => "joined"`, []string{"a", " b"}, []string{`{"message":"a\n b","tags":["joined"]}`}},
		{"no tag", `pattern => "^\s" what => "previous" multiline_tag => ""`, []string{"a", " b"}, []string{`{"message":"a\n b"}`}},
		{"more than max_lines, previous", `pattern => "^-" what => "previous" max_lines => 2`, []string{"a", "-1", "-2", "-3"},
			[]string{`{"message":"a\n-1\n-2","tags":["multiline","multiline_codec_max_lines_reached"]}`, `{"message":"-3"}`}},
		{"more than max_lines, next", `pattern => "^-" what => "next" max_lines => 2`, []string{"-1", "-2", "-3", "-4"},
			[]string{`{"message":"-1\n-2\n-3","tags":["multiline","multiline_codec_max_lines_reached"]}`, `{"message":"-4"}`}},
		{"max_bytes", `pattern => "^-" what => "previous" max_bytes => 8`, []string{"aaaa", "-bbb", "-c"},
			[]string{`{"message":"aaaa\n-bbb","tags":["multiline","multiline_codec_max_bytes_reached"]}`, `{"message":"-c"}`}},
		{"a charset", `pattern => "^\s" what => "previous" charset => "ISO-8859-1"`, []string{"\xe4", " \xf6"}, []string{`{"message":"ä\n ö","tags":["multiline"]}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			made := made(t, "multiline { ecs_compatibility => disabled "+c.options+" }", true)
			forker, ok := made.(Forker)
			if !ok {
				t.Fatal("streams share their lines")
			}
			d, ok := forker.Fork().(Flusher)
			if !ok {
				t.Fatal("nothing is flushed")
			}
			s := newStream()
			for _, m := range c.messages {
				in := []byte(m)
				d.Decode(&s.x, in)
				clear(in) // what is held must not be part of it
			}
			d.Flush(&s.x)
			d.Flush(&s.x)
			if d := cmp.Diff(c.want, s.events); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTheOriginalIsKeptWithTheSchema(t *testing.T) {
	d, _ := made(t, `multiline { pattern => "^\s" what => "previous" }`, true).(Flusher)
	s := newStream()
	d.Decode(&s.x, []byte("a\n b"))
	d.Flush(&s.x)
	if want := []string{`{"message":"a\n b","event":{"original":"a\n b"},"tags":["multiline"]}`}; !cmp.Equal(want, s.events) {
		t.Errorf("%v", s.events)
	}
}

func TestLinesThatAreFarApartInTimeDoNotBelongTogether(t *testing.T) {
	d, _ := made(t, `multiline { pattern => "^\s" what => "previous" auto_flush_interval => 2 ecs_compatibility => disabled }`, true).(Flusher)
	s := newStream()
	d.Decode(&s.x, []byte("a"))
	s.x.Now = time.Unix(2, 0)
	d.Decode(&s.x, []byte(" b"))
	s.x.Now = time.Unix(5, 0)
	d.Decode(&s.x, []byte(" c"))
	d.Flush(&s.x)
	if want := []string{`{"message":"a\n b","tags":["multiline"]}`, `{"message":" c"}`}; !cmp.Equal(want, s.events) {
		t.Errorf("%v", s.events)
	}
}

func TestMultilineHasPatternsOfFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("START begin[0-9]+\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := `patterns_dir => "` + dir + `" pattern => "^%{START}" negate => true what => "previous"`
	d, _ := made(t, "multiline { "+options+" ecs_compatibility => disabled }", true).(Flusher)
	s := newStream()
	d.Decode(&s.x, []byte("begin1\nx\nbegin2"))
	d.Flush(&s.x)
	if want := []string{`{"message":"begin1\nx","tags":["multiline"]}`, `{"message":"begin2"}`}; !cmp.Equal(want, s.events) {
		t.Errorf("%v", s.events)
	}
}

func TestMultilineRefusesOptionsThatCannotWork(t *testing.T) {
	for options, word := range map[string]string{
		`what => "previous"`:                                  "pattern",
		`pattern => "a" what => "before"`:                     "previous",
		`pattern => "%{NOSUCHPATTERN}" what => "previous"`:    "NOSUCHPATTERN",
		`pattern => "a(" what => "previous"`:                  "pattern",
		`pattern => "a" what => "previous" charset => "none"`: "charset",
	} {
		if got := refusedCodec(t, "multiline { "+options+" }"); !strings.Contains(got, word) {
			t.Errorf("%s: %s does not mention %s", options, got, word)
		}
	}
}
