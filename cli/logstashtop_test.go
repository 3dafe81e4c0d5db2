package cli

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow/queue"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/monitor"
)

// reportAt is a report some seconds after the beginning, of a pipeline with a steady flow.
func reportAt(s int64) *monitor.Report {
	began := time.Unix(1_800_000_000, 0)
	at := began.Add(time.Duration(s) * time.Second)
	return &monitor.Report{
		Time: at, Began: began, Address: "127.0.0.1:9600",
		Pipelines: []monitor.PipelineReport{{
			ID: "main", Run: "r", State: monitor.Running, Status: "yellow", Workers: 2, Lags: map[string]int64{"k": 1500},
			Queues: map[string]queue.Stats{"k": {Events: 12, Bytes: 3000, Oldest: at.Add(-75 * time.Second)}},
			Figures: logstash.Figures{
				Started: began, In: 100 * s, Out: 80 * s, Dropped: 10 * s, Lost: 1, Busy: time.Duration(s) * time.Second,
				Inputs:  []logstash.InputFigures{{ID: "k", Name: "kafka", Messages: 100 * s, Bytes: 5000 * s, Streams: 3, Blocked: time.Duration(s) * 250 * time.Millisecond, Codec: time.Duration(s) * 10 * time.Millisecond}},
				Filters: []logstash.FilterFigures{{ID: "g", Name: "grok", In: 100 * s, Dropped: 10 * s, Time: time.Duration(s) * 30 * time.Millisecond}},
				Outputs: []logstash.OutputFigures{{ID: "o", Name: "opensearch", Events: 90*s + 10, Waiting: 10, Writes: 2 * s, Time: time.Duration(s) * 20 * time.Millisecond, Dead: 4, Retries: 6, Failures: 2}},
			},
		}},
	}
}

func TestAViewIsTheDifferenceOfTwoReports(t *testing.T) {
	lag := int64(1500)
	want := &topView{
		Time: time.Unix(1_800_000_020, 0), Address: "127.0.0.1:9600", Uptime: 20 * time.Second,
		Pipelines: []topPipeline{{
			Pipeline: "main", State: "RUNNING", Status: "yellow", In: 100, Out: 80, Busy: 0.5, Waiting: 10, Queued: 12, Bytes: 3000, Age: 75 * time.Second,
			Dropped: 200, Retries: 6, Dead: 5,
		}},
		Inputs:  []topInput{{Pipeline: "main", Plugin: "k", Name: "kafka", Messages: 100, Bytes: 5000, Streams: 3, Blocked: 0.25, Lag: &lag}},
		Outputs: []topOutput{{Pipeline: "main", Plugin: "o", Name: "opensearch", Events: 90, Latency: 10 * time.Millisecond, Waiting: 10, Failures: 2, Retries: 6, Dead: 4}},
		Plugins: []topPlugin{
			{Pipeline: "main", Plugin: "g", Name: "grok", Share: 0.75, Each: 300 * time.Microsecond, Events: 100, Dropped: 10},
			{Pipeline: "main", Plugin: "k", Name: "codec of kafka", Share: 0.25, Each: 100 * time.Microsecond, Events: 100},
			{Pipeline: "main", Plugin: "o", Name: "codec of opensearch", Events: 90},
		},
	}
	if diff := cmp.Diff(want, viewOf(reportAt(10), reportAt(20))); diff != "" {
		t.Error(diff)
	}
	// Of another run there is no difference: it is since the run began.
	other := reportAt(10)
	other.Pipelines[0].Run = "q"
	if got := viewOf(other, reportAt(20)).Pipelines[0]; got.In != 100 {
		t.Errorf("%+v", got)
	}
	// A clock that stands still, and plugins that are others, are no reason to fail.
	other = reportAt(20)
	other.Pipelines[0].Figures.Filters = nil
	viewOf(other, reportAt(20))
	viewOf(reportAt(20), reportAt(20))
	viewOf(reportAt(20), &monitor.Report{})
}

func TestAFrameFitsItsScreen(t *testing.T) {
	r := reportAt(20)
	p := &r.Pipelines[0]
	for range 40 {
		p.Figures.Filters = append(p.Figures.Filters, logstash.FilterFigures{ID: "a_filter_with_a_name_that_is_long", Name: "mutate"})
	}
	p.ID = "한글\x1b[2J"
	for _, size := range [][2]int{{120, 40}, {80, 24}, {40, 10}, {20, 4}, {10, 2}, {1, 1}} {
		width, height := size[0], size[1]
		frame := topFrame(viewOf(nil, r), "", width, height)
		lines := strings.Split(frame, "\r\n")
		if len(lines) != height {
			t.Errorf("%d lines on %d", len(lines), height)
		}
		for _, line := range lines {
			if plain := plainText(line); cellWidth(plain) > width {
				t.Errorf("%d columns on %d: %q", cellWidth(plain), width, plain)
			}
		}
		if strings.Contains(frame, "\x1b[2J") {
			t.Error("a name of a pipeline clears the screen")
		}
	}
	if frame := topFrame(viewOf(nil, r), "gone", 80, 24); !strings.Contains(frame, "no answer: gone") || !strings.Contains(frame, "not shown: 32 plugins") {
		t.Errorf("%q", frame)
	}
}

// plainText removes what terminals are told.
func plainText(s string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(s, "\x1b[") {
		if i := strings.IndexAny(part, "mKJHhl"); i >= 0 && (b.Len() > 0 || strings.HasPrefix(s, "\x1b[")) {
			part = part[i+1:]
		}
		b.WriteString(part)
	}
	return b.String()
}

func TestTablesShareTheLinesOfAScreen(t *testing.T) {
	for _, c := range []struct {
		needs []int
		lines int
		want  []int
	}{
		{[]int{1, 2, 3}, 100, []int{1, 2, 3}}, {[]int{10, 10}, 10, []int{3, 3}}, {[]int{1, 0, 30}, 12, []int{1, 0, 7}},
		{[]int{5, 5}, 5, []int{3, 0}}, {[]int{5}, 0, []int{0}}, {[]int{5}, -3, []int{0}},
	} {
		if got := fitRows(c.needs, c.lines); cmp.Diff(c.want, got) != "" {
			t.Errorf("%v on %d: %v", c.needs, c.lines, got)
		}
	}
}

func TestADiffOfAnEventIsReadable(t *testing.T) {
	var b strings.Builder
	p := tapPrinter{w: &b}
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	for _, s := range []logstash.Sample{
		{
			Kind: "filter", Plugin: "f", Name: "mutate", Took: 1500, Before: raw(`{"a":1,"b":{"c":"x","d":[1]},"gone":null,"same":{}}`),
			After: raw(`{"a":2,"b":{"c":"x","d":[1,2]},"same":{},"new":"\u001b[2J"}`),
		},
		{Kind: "filter", Plugin: "f", Name: "drop", Before: raw(`{"a":1}`), Dropped: true},
		{Kind: "filter", Plugin: "f", Name: "split", Before: raw(`{"a":[1,2]}`), After: raw(`{"a":[1,2]}`), Emitted: []json.RawMessage{raw(`{"a":1}`)}},
		{Kind: "filter", Plugin: "f", Name: "metrics", Emitted: []json.RawMessage{raw(`{"m":1}`)}},
		{Kind: "output", Plugin: "o", Name: "opensearch", Before: raw(`{"a":1}`), Record: &logstash.SampleRecord{Index: "i", ID: "7", Version: 3, Body: "{\"a\":1}\nb\x1b[2J"}},
		{Kind: "output", Plugin: "o", Name: "null", Before: raw(`"an event of 9 bytes: too large to be shown"`)},
	} {
		s.Time = at
		if err := p.sample(nil, &monitor.TapLine{Pipeline: "main", Sample: s}); err != nil {
			t.Fatal(err)
		}
	}
	const want = `03:04:05.006  main  mutate f  1.50 µs
  ~ a  1 → 2
  ~ [b][d]  [1] → [1,2]
  + new  "\u001b[2J"
  - gone  null
    2 fields as before

03:04:05.006  main  drop f
  dropped
  - a  1

03:04:05.006  main  split f
    nothing changed: 1 field
  made, 1 of 1
  ~ a  [1,2] → 1

03:04:05.006  main  metrics f
  made, 1 of 1
    m  1

03:04:05.006  main  opensearch o
  index i
  id 7
  version 3
  {"a":1}
  b\x1b[2J

03:04:05.006  main  null o
      "an event of 9 bytes: too large to be shown"
  nothing is written of it

`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	p.coloured = true
	if err := p.sample(nil, &monitor.TapLine{Sample: logstash.Sample{Kind: "filter", Before: raw(`{}`), After: raw(`{"a":1}`)}}); err != nil || !strings.Contains(b.String(), "\x1b[32m  + a  1\x1b[0m") {
		t.Errorf("%v %q", err, b.String())
	}
}

// A tmux is a server of one session.
type tmux struct {
	t      *testing.T
	socket string
}

func (x *tmux) do(args ...string) string {
	x.t.Helper()
	out, err := exec.CommandContext(x.t.Context(), "tmux", append([]string{"-S", x.socket, "-f", "/dev/null"}, args...)...).CombinedOutput() //nolint:gosec // a fixed program
	if err != nil {
		x.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// await waits until the screen is as it should be, and gives it.
func (x *tmux) await(what string, ok func(screen string) bool) string {
	x.t.Helper()
	screen := ""
	for range 400 {
		if screen = x.do("capture-pane", "-p"); ok(screen) {
			return screen
		}
		time.Sleep(25 * time.Millisecond)
	}
	x.t.Fatalf("%s never comes:\n%s", what, screen)
	return ""
}

// TestTopOnATerminal looks at naru top on a terminal: it shows pipelines, follows the size, and gives the terminal back.
func TestTopOnATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux")
	}
	naru, err := exec.LookPath("naru")
	if err != nil {
		t.Fatal(err)
	}
	p, address := watchedLogstash(t, "", nil)
	x := &tmux{t, filepath.Join(t.TempDir(), "s")}
	x.do("new-session", "-d", "-x", "100", "-y", "24", "env", "PS1=ready> ", "sh")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", x.socket, "kill-server").Run() }) //nolint:gosec,noctx // after the test's context
	has := func(texts ...string) func(string) bool {
		return func(screen string) bool {
			for _, text := range texts {
				if !strings.Contains(screen, text) {
					return false
				}
			}
			return true
		}
	}
	x.await("the shell", has("ready>"))
	lines := func(screen string) int { return strings.Count(strings.TrimRight(screen, "\n"), "\n") + 1 }
	for _, key := range []string{"q", "C-c"} {
		x.do("send-keys", naru+" top --interval 200ms --url http://"+address, "Enter")
		screen := x.await("the screen", has("naru logstash at "+address, "RUNNING", "grok words", "q: quit"))
		if strings.Contains(screen, "ready>") || lines(screen) != 24 {
			t.Errorf("the other screen is not taken: %d lines\n%s", lines(screen), screen)
		}
		first, _, _ := strings.Cut(screen, "\n")
		x.await("the next second", func(screen string) bool {
			head, _, _ := strings.Cut(screen, "\n")
			return head != first && strings.Contains(head, "naru logstash")
		})
		x.do("resize-window", "-x", "60", "-y", "12")
		screen = x.await("a smaller frame", func(screen string) bool {
			return lines(screen) == 12 && strings.HasPrefix(strings.Split(screen, "\n")[11], " q: quit")
		})
		for line := range strings.Lines(screen) {
			if cellWidth(strings.TrimSuffix(line, "\n")) > 60 {
				t.Errorf("a line of %d columns: %q", cellWidth(line), line)
			}
		}
		x.do("resize-window", "-x", "100", "-y", "24")
		x.await("the frame", has("codec of generator gen", "q: quit"))
		x.do("send-keys", key)
		x.await("the shell again", func(screen string) bool {
			return strings.Contains(screen, "ready>") && !strings.Contains(screen, "q: quit")
		})
		x.do("send-keys", "echo status $?", "Enter")
		x.await("the status", has("status 0"))
		x.do("send-keys", "clear", "Enter")
		x.await("an empty screen", func(screen string) bool { return strings.TrimSpace(screen) == "ready>" })
	}
	// A server that goes away is said to be gone, and top goes on.
	x.do("send-keys", naru+" top --interval 200ms --url http://"+address, "Enter")
	x.await("the screen", has("RUNNING"))
	p.stop(t)
	x.await("the trouble", has("no answer", "RUNNING"))
	x.do("send-keys", "q")
	x.await("the shell", has("ready>"))
}
