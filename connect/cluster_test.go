package connect

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed"
)

func client(t *testing.T, fake *osfake.Server) *opensearch.Client {
	t.Helper()
	c, err := opensearch.Target{URLs: fake.URLs}.Connect(t.Context(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// carry carries a fixture's snapshot into the fake.
func carry(t *testing.T, fake *osfake.Server, name, snap string, o opensearch.Options) (flow.Report, []opensearch.Prepared) {
	t.Helper()
	src, err := snapshot.Config{URL: filepath.Join(testbed.Fixture(t, name), "main"), Snapshot: snap, Indices: flow.Patterns{"-nosource", "-synthetic"}}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	sink := opensearch.NewSink(client(t, fake), o)
	report, err := flow.Run(t.Context(), flow.Flow{Source: src, Sink: sink}, flow.Options{BatchRecords: 100})
	if err = errors.Join(err, sink.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	return report, sink.Prepared()
}

// wantTruth fails unless the fake has exactly what the server had.
func wantTruth(t *testing.T, fake *osfake.Server, name, snap string) {
	t.Helper()
	want := testbed.Truth(t, name, snap)
	got := map[string][]testbed.Line{}
	for index, lines := range want {
		if index == "nosource" || index == "synthetic" {
			delete(want, index)
			continue
		}
		for i := range lines {
			lines[i].Type = "" // there are none any more
		}
		for id, d := range fake.Documents(index) {
			got[index] = append(got[index], testbed.Line{Index: index, ID: id, Routing: d.Routing, Source: d.Source})
		}
	}
	if diff := testbed.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASnapshotArrivesWholeHoweverTroubledTheTarget(t *testing.T) {
	for _, version := range []osfake.Version{osfake.OpenSearch2, osfake.OpenSearch3, osfake.Elasticsearch7, osfake.Elasticsearch8} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			seed := flowtest.Seed(t)
			fake := osfake.Start(t, osfake.Options{Version: version, Nodes: 3,
				Hook: osfake.Any(osfake.Sometimes(seed, 0.2, osfake.Passing, "bulk"), osfake.Pressed(seed, 0.1), osfake.Above(120_000))})
			report, _ := carry(t, fake, "es717", "snap-2", opensearch.Options{RequestBytes: 400_000, Wait: 2 * time.Millisecond, Guard: opensearch.Guard{Every: 50 * time.Millisecond}})
			if !report.Complete() {
				t.Errorf("not complete: %+v", report.Failed)
			}
			wantTruth(t, fake, "es717", "snap-2")
		})
	}
}

func TestASecondRunAddsNothingAndSaysSo(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	first, _ := carry(t, fake, "os219", "snap-2", opensearch.Options{})
	second, _ := carry(t, fake, "os219", "snap-2", opensearch.Options{})
	if first.Total.Tally.There != 0 || second.Total.Tally.There != first.Total.Tally.Delivered || second.Total.Tally.Delivered != first.Total.Tally.Delivered {
		t.Errorf("first %+v\nsecond %+v", first.Total.Tally, second.Total.Tally)
	}
	wantTruth(t, fake, "os219", "snap-2")
	for id, d := range fake.Documents("best") {
		if d.Version != 1 {
			t.Errorf("document %s was written %d times", id, d.Version)
		}
	}
}
