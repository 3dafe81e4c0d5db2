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
		"state    running", "rate     500 documents/s", "left     15,000 documents, about 30s", "logs-1", "WERE THERE", "5,990",
		"pod-1  working on logs-2/0/_a", "pod-2  silent since ", "FAILED PARTS", "indices/x/2/__y", "DEAD LETTERS", "10 × mapper_parsing_exception",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
