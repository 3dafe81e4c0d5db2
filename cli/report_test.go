package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/migrate/verify"
)

// golden compares got with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update writes it):\n%s", path, diff)
	}
}

func group(name string, records int64, grade flow.Grade, why string) flow.GroupReport {
	t := flow.Tally{Read: records, Delivered: records, Bytes: records * 400}
	return flow.GroupReport{Name: name, Grade: grade, Why: why, Expected: records, Parts: 4, Done: 4, Tally: t, Run: t}
}

// totalled fills in the total as the engine does.
func totalled(r flow.Report) *flow.Report {
	for _, g := range r.Groups {
		t := &r.Total
		t.Expected += g.Expected
		t.Parts += g.Parts
		t.Done += g.Done
		t.Earlier += g.Earlier
		t.Failed += g.Failed
		t.Taken += g.Taken
		t.Tally.Add(g.Tally)
		t.Run.Add(g.Run)
	}
	return &r
}

// trouble is a report with everything that can go wrong, among very many indices.
func trouble() *flow.Report {
	r := flow.Report{Planned: true, Elapsed: 83 * time.Minute}
	for i := range 3000 {
		r.Groups = append(r.Groups, group(fmt.Sprintf("logs-2019.%04d", i), int64(1000*(i%97)), flow.Lossless, ""))
	}
	nothing := group("nosource", 20, flow.Unreadable, "_source.enabled: false")
	nothing.Tally.Bodiless = 20
	broken := group("broken-한국어", 5_000_000, flow.Lossless, "")
	broken.Done, broken.Failed, broken.Tally.Read, broken.Tally.Delivered = 3, 1, 4_000_000, 4_000_000
	refused := group("refused", 1000, flow.Lossless, "")
	refused.Tally.Dead, refused.Tally.Delivered = 7, 993
	sampled := group("sampled", 1000, flow.Lossless, "")
	sampled.Tally.Dropped, sampled.Tally.Delivered = 990, 10
	r.Groups = append(r.Groups, broken, nothing, refused, sampled)
	r.Failed = []flow.PartFailure{{Part: "broken-한국어/0/_7k", Group: "broken-한국어", Error: "blob indices/x/0/__y: corrupt: checksum is 1, should be 2"}}
	r.Reasons = []flow.Reason{{Message: "mask: not JSON at byte N", Count: 7, SampleIndex: "refused", SampleID: "a\x1b[2J"}}
	return totalled(r)
}

func text(t *testing.T, c *carryReport, width, limit int) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.write(&b, width, limit); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAReportOfThousandsOfIndicesShowsTroubleAndFitsTheScreen(t *testing.T) {
	c := newCarryReport("snapshot:/backups", "parquet:/archive", trouble(), nil)
	if c.code() != exitPartial || c.State != stateFailed {
		t.Errorf("state %s, exit status %d", c.State, c.code())
	}
	got := text(t, c, 80, 10)
	for line := range strings.Lines(got) {
		if n := cellWidth(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	golden(t, "report-trouble.golden", got)
	if all := text(t, c, 80, 0); strings.Count(all, "\n") < 3000 {
		t.Error("--all does not show all")
	}
}

func TestTheStateSaysHowItEnded(t *testing.T) {
	whole := func() flow.Report {
		return flow.Report{Planned: true, Elapsed: time.Second, Groups: []flow.GroupReport{group("a", 10, flow.Lossless, "")}}
	}
	for _, c := range []struct {
		name   string
		change func(r *flow.Report)
		err    error
		state  string
		code   int
	}{
		{"done", func(*flow.Report) {}, nil, stateDone, exitOK},
		{"nothing to do", func(r *flow.Report) { r.Groups[0].Earlier = 4 }, nil, stateEarlier, exitOK},
		{"no index at all", func(r *flow.Report) { r.Groups = nil }, nil, stateDone, exitOK},
		{"interrupted", func(r *flow.Report) { r.Drained, r.Groups[0].Done = true, 2 }, nil, stateInterrupted, exitInterrupted},
		{"failed", func(r *flow.Report) {
			r.Groups[0].Done, r.Groups[0].Failed, r.Failed = 3, 1, []flow.PartFailure{{Part: "p"}}
		}, nil, stateFailed, exitPartial},
		{"elsewhere", func(r *flow.Report) { r.Groups[0].Done, r.Groups[0].Taken = 3, 1 }, nil, stateTaken, exitPartial},
		{"partial", func(r *flow.Report) { r.Groups[0].Grade = flow.Partial }, nil, statePartial, exitPartial},
		{"dead letters", func(r *flow.Report) { r.Groups[0].Tally.Dead = 1 }, nil, statePartial, exitPartial},
		{"without source", func(r *flow.Report) { r.Groups[0].Tally.Bodiless = 1 }, nil, statePartial, exitPartial},
		{"stopped", func(*flow.Report) {}, errors.New("no space left on device"), stateStopped, exitFailed},
	} {
		r := whole()
		c.change(&r)
		got := newCarryReport("a", "b", totalled(r), c.err)
		if got.State != c.state || got.code() != c.code {
			t.Errorf("%s: state %q, exit status %d; want %q, %d", c.name, got.State, got.code(), c.state, c.code)
		}
		if s := got.summary(); s == "" || c.err != nil && !strings.Contains(s, c.err.Error()) {
			t.Errorf("%s: %q", c.name, s)
		}
	}
}

func TestAMismatchOutweighsAllElse(t *testing.T) {
	r := flow.Report{Planned: true, Groups: []flow.GroupReport{group("a", 10, flow.Lossless, ""), group("b", 5, flow.Lossless, "")}}
	c := newCarryReport("a", "b", totalled(r), nil)
	c.verified(&verification{Documents: 14, Indices: 2, Different: []verify.Group{{
		Name: "a", State: verify.Differ, A: verify.Sum{Records: 10, Bytes: 4000}, B: verify.Sum{Records: 9, Bytes: 3600},
	}}})
	if c.code() != exitMismatch {
		t.Errorf("exit status %d", c.code())
	}
	golden(t, "report-mismatch.golden", text(t, c, 80, 40))
}
