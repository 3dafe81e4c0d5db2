package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
)

func TestAStatusSaysWhatIsDoneWhoWorksAndWhatFailed(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := &opensearch.Status{At: at.Add(-10 * time.Second), Total: flow.Tally{Read: 1000}}
	p := statusPage{before: before, Status: &opensearch.Status{
		Carry: "snapshot repository s3://backups/es, snapshot nightly", At: at, Started: at.Add(-time.Hour), Parts: 8, Done: 5, Taken: 2,
		Total: flow.Tally{Read: 6000, Delivered: 5990, Dead: 10, Bytes: 1 << 20}, Records: 21000,
		Groups: []opensearch.GroupStatus{
			{Name: "logs-1", Records: 6000, Parts: 5, Done: 5, Tally: flow.Tally{Read: 5000, Delivered: 5000, There: 7}},
			{Name: "logs-2", Records: 15000, Parts: 3, Tally: flow.Tally{Read: 1000, Delivered: 990, Dead: 10}},
		},
		Workers: []opensearch.WorkerStatus{
			{Name: "pod-1", Alive: true, Parts: []string{"logs-2/0/_a"}, Updated: at},
			{Name: "pod-2", Parts: []string{"logs-2/1/_b"}, Updated: at.Add(-5 * time.Minute)},
		},
		Failed:  []flow.PartFailure{{Part: "logs-2/2/_c", Group: "logs-2", Error: "blob indices/x/2/__y: corrupt"}},
		Reasons: []flow.Reason{{Message: "mapper_parsing_exception: failed to parse field [n]", Count: 10, SampleIndex: "logs-2", SampleID: "77"}},
	}}
	var out strings.Builder
	if err := p.write(&out, 100, defaultRows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"state    running", "rate     500 documents/s since the last look", "left     15,000 of 21,000 documents, about 30s",
		"DOCUMENTS", "logs-1", "WERE THERE", "5,990",
		"pod-1  working on logs-2/0/_a", "pod-2  silent since ", "FAILED PARTS", "indices/x/2/__y", "DEAD LETTERS", "10 × mapper_parsing_exception",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestAStatusSaysWhatIsGoingOn(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	status := func(change func(s *opensearch.Status)) statusPage {
		s := &opensearch.Status{At: at, Started: at.Add(-100 * time.Second), Parts: 4, Done: 2, Taken: 1, Records: 1000, Total: flow.Tally{Read: 500},
			Workers: []opensearch.WorkerStatus{{Name: "pod-1", Alive: true, Parts: []string{"logs/0/_a"}}}}
		change(s)
		return statusPage{Status: s}
	}
	for _, c := range []struct {
		what   string
		change func(s *opensearch.Status)
		want   []string
	}{
		{"running", func(*opensearch.Status) {}, []string{"state    running\n", "rate     5 documents/s since it began\n", "left     500 of 1,000 documents, about 1m40s\n"}},
		{"paused", func(s *opensearch.Status) { s.Paused = true }, []string{"state    paused: naru resume lets it go on\n", "left     500 of 1,000 documents\n"}},
		{"dead", func(s *opensearch.Status) { s.Workers[0].Alive = false }, []string{"state    nobody is working: the same naru carry goes on\n"}},
		{"left", func(s *opensearch.Status) { s.Taken, s.Workers = 0, nil }, []string{"state    nothing is under way: the same naru carry goes on, or says that all is done\n", "left     500 of"}},
		{"done", func(s *opensearch.Status) { s.Taken, s.Workers, s.Done, s.Total.Read = 0, nil, 4, 1000 }, []string{"state    done\n"}},
		{"failed", func(s *opensearch.Status) {
			s.Taken, s.Workers, s.Done, s.Total.Read = 0, nil, 4, 1000
			s.Failed = []flow.PartFailure{{Part: "logs/1/_b", Error: "corrupt"}}
		}, []string{"state    nothing is under way: the same naru carry goes on, or says that all is done\n"}},
	} {
		var out strings.Builder
		if err := status(c.change).write(&out, 100, defaultRows); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", c.what, want, out.String())
			}
		}
		if c.what == "done" && (strings.Contains(out.String(), "left ") || strings.Contains(out.String(), "rate ")) {
			t.Errorf("done, and there is more:\n%s", out.String())
		}
	}
}
