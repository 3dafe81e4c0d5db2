package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
)

func someProgress(started time.Time) flow.Snapshot {
	groups := []flow.GroupProgress{
		{Name: "logs-1", Parts: 2, Done: 2, Records: 1000, ExpectedRecords: 1000, Bytes: 5000, ExpectedBytes: 5000},
		{Name: "logs-2", Parts: 2, Records: 500, EarlierRecords: 100, ExpectedRecords: 3000, Bytes: 2500, EarlierBytes: 500, ExpectedBytes: 15000, Dead: 3, Failed: 1},
		{Name: "empty"},
	}
	s := flow.Snapshot{Started: started, Groups: groups}
	for _, g := range groups {
		t := &s.Total
		t.Records += g.Records
		t.EarlierRecords += g.EarlierRecords
		t.ExpectedRecords += g.ExpectedRecords
		t.Bytes += g.Bytes
		t.EarlierBytes += g.EarlierBytes
		t.ExpectedBytes += g.ExpectedBytes
		t.Dead += g.Dead
		t.Failed += g.Failed
	}
	return s
}

func TestAProgressLineSaysHowFarHowFastAndHowLongStill(t *testing.T) {
	now := time.Now()
	got := progressLine(someProgress(now.Add(-10*time.Second)), "", now)
	want := "1,500 documents of 4,000 (37%), 2 of 3 indices done, 140 documents/s, 18s left, 3 dead letters, 1 part failed"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := progressLine(flow.Snapshot{}, "", now); got != "" {
		t.Errorf("before it starts there is a line: %s", got)
	}
}

func TestProgressSaysWhyNothingIsWrittenForNow(t *testing.T) {
	const closed = "the window 22:00-06:00 is closed until 2026-03-01T22:00:00Z"
	now := time.Now()
	got := progressLine(someProgress(now.Add(-10*time.Second)), closed, now)
	want := "1,500 documents of 4,000 (37%), 2 of 3 indices done, 140 documents/s, 3 dead letters, 1 part failed, waiting: " + closed
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var out strings.Builder
	w := waiting{w: &out}
	for second := range 200 { // a heap that is too full now and then
		why := ""
		if second%10 < 5 {
			why = fmt.Sprintf("the heap of node n1 is %d%% full", 95+second%5)
		}
		w.tell(why, now.Add(time.Duration(second)*time.Second))
	}
	if n := strings.Count(out.String(), "waiting: the heap of node n1 is "); n < 3 || n > 4 {
		t.Errorf("it is said %d times:\n%s", n, out.String())
	}
	out.Reset()
	w = waiting{w: &out}
	for second := range 900 {
		w.tell(closed, now.Add(time.Duration(second)*time.Second))
	}
	if got, want := out.String(), strings.Repeat("waiting: "+closed+"\n", 2); got != want {
		t.Errorf("in a quarter of an hour it says\n%s", got)
	}
}

// safe is a buffer that two goroutines may use.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func testEnv(stderr io.Writer, columns int) *common {
	return &common{Env: Env{
		Stdout: io.Discard, Stderr: stderr, Getenv: func(string) string { return "" },
		Columns: func(io.Writer) int { return columns },
	}}
}

func runFeed(t *testing.T, p *flow.Progress, groups int) {
	t.Helper()
	s := &countingSource{groups: groups, perGroup: 50, wait: time.Millisecond}
	_, err := flow.Run(t.Context(), flow.Flow{Source: s, Sink: discard{}}, flow.Options{Workers: 12, BatchRecords: 5, Progress: p})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBarsAreFewWhateverTheNumberOfIndices(t *testing.T) {
	out := &safe{}
	c := testEnv(out, 100)
	p := new(flow.Progress)
	w := c.watch(t.Context(), p.Snapshot, "auto")
	runFeed(t, p, 100)
	time.Sleep(2 * barInterval)
	fmt.Fprintln(w, "a message in between")
	time.Sleep(2 * barInterval)
	w.stop()
	fmt.Fprintln(w, "a message after")
	text := out.String()
	for _, want := range []string{"total", "━", "a message in between\n", "a message after\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in what was drawn:\n%q", want, text)
		}
	}
	// The cursor goes up by as many lines as there are bars.
	for _, up := range strings.Split(text, "\x1b[")[1:] {
		var n int
		if _, err := fmt.Sscanf(up, "%dA", &n); err == nil && n > slots+1 {
			t.Errorf("%d bars at a time", n)
		}
	}
}

func TestProgressAsJSONEndsWithTheLastState(t *testing.T) {
	out := &safe{}
	c := testEnv(out, 0)
	p := new(flow.Progress)
	w := c.watch(t.Context(), p.Snapshot, "json")
	runFeed(t, p, 3)
	w.stop()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last progressEvent
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Total.Records != 150 || last.Time.IsZero() || len(last.Groups) != 3 {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
}

func TestNoProgressIsQuiet(t *testing.T) {
	out := &safe{}
	c := testEnv(out, 0)
	p := new(flow.Progress)
	w := c.watch(context.Background(), p.Snapshot, "none")
	runFeed(t, p, 1)
	w.stop()
	if out.String() != "" {
		t.Errorf("%q", out.String())
	}
}
