//go:build servers

package estate_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/internal/testbed"
)

// TestServersShowTheEffectOfAnApplyUnderLoad writes steadily by an alias into an index that is refreshed twenty times a second. The
// apply has the template refresh four times a minute, and the alias gets a new index by it, as a rollover makes one.
func TestServersShowTheEffectOfAnApplyUnderLoad(t *testing.T) {
	for _, name := range testbed.Asked("os219") {
		ok, missing := testbed.CanStart(t, name)
		testbed.Need(t, ok, missing)
		b := benchAt(t, testbed.Start(t, name, testbed.Options{HeapMB: 1024}).URL)
		template := `{"index_patterns": ["load-*"], "template": {"settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": %q}}}`
		b.file("base/index-templates/load.json", fmt.Sprintf(template, "50ms"))
		b.apply(b.plan())
		b.send("PUT", "/load-1", `{"aliases": {"load": {}}}`)
		b.file("base/index-templates/load.json", fmt.Sprintf(template, "15s"))

		stop, ended := make(chan struct{}), make(chan struct{})
		ctx := context.WithoutCancel(t.Context())
		body := []byte(strings.Repeat("{\"index\":{}}\n{\"message\":\"a line of a log that says something or other\"}\n", 100))
		go func() {
			defer close(ended)
			tick := time.NewTicker(40 * time.Millisecond) // as fast before as after: what changes is what it costs
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				if _, err := b.client.Do(ctx, opensearch.Request{Method: http.MethodPost, Path: "/load/_bulk", Type: "application/x-ndjson", Body: body}); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		t.Cleanup(func() { close(stop); <-ended })
		time.Sleep(5 * time.Second) // the JVM warms up

		m := estate.Measuring{Settings: measure.Settings{Before: measure.Duration(20 * time.Second), After: measure.Duration(20 * time.Second), Every: measure.Duration(500 * time.Millisecond)}}
		rolled := false
		m.Step = func(when string, taken, _ int) {
			if when == "after" && !rolled { // what a rollover does
				rolled = true
				b.send("PUT", "/load-2", `{}`)
				b.send("POST", "/_aliases", `{"actions": [{"remove": {"index": "load-1", "alias": "load"}}, {"add": {"index": "load-2", "alias": "load"}}]}`)
			}
		}
		run, err := m.Apply(t.Context(), &estate.Applier{Target: b.target(), By: "tester", Now: time.Now}, b.plan())
		if err != nil {
			t.Fatal(err)
		}
		look := run.Numbers.Last()
		if look == nil {
			t.Fatalf("%+v", run.Numbers)
		}
		verdicts := map[string]measure.Comparison{}
		for _, c := range look.Comparisons {
			verdicts[c.Metric] = c
			t.Logf("%-14s %10.4g → %10.4g %-6s p %.2g, corrected %.2g, autocorrelation %.2f: %s", c.Metric, c.Before.Median, c.After.Median, c.Unit, c.P, c.Q, c.Auto, c.Verdict)
		}
		if v := verdicts["refresh"]; v.Verdict != measure.Lower || v.Percent.Change > -50 {
			t.Errorf("refreshing 300 times less often: %+v", v)
		}
		if v := verdicts["ingest"]; v.Verdict == measure.Better || v.Before.N < 20 {
			t.Errorf("as much is written as before: %+v", v)
		}

		// A later look at the same load; and nothing was done in between, so what was lower stays so.
		d, _ := b.observe()
		later, l, err := (&estate.Measuring{Settings: measure.Settings{After: measure.Duration(10 * time.Second), Every: m.Every}}).Look(t.Context(), b.target(), d, run.ID)
		if err != nil || len(later.Numbers.Looks) != 2 {
			t.Fatalf("%+v, %v", later, err)
		}
		for _, c := range l.Comparisons {
			if c.Metric == "refresh" && c.Verdict != measure.Lower {
				t.Errorf("later: %+v", c)
			}
		}
		if history, err := estate.History(t.Context(), b.target(), d); err != nil || len(history) != 2 || len(history[0].Numbers.Looks) != 2 {
			t.Errorf("%+v, %v", history, err)
		}
	}
}
