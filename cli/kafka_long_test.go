//go:build servers

package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
)

// TestServersOfKafkaTakeEveryCommand asks brokers of several ages.
func TestServersOfKafkaTakeEveryCommand(t *testing.T) {
	for _, version := range testbed.KafkaVersions {
		t.Run(version, func(t *testing.T) {
			ok, missing := testbed.CanStartKafka(t, version)
			testbed.Need(t, ok, missing)
			b := kafkaBenchAt(t, []string{testbed.StartKafka(t, version, testbed.KafkaOptions{}).Plain})
			b.ages(t)
		})
	}
}

func (b *kafkaBench) ages(t *testing.T) {
	adm := kadm.NewClient(b.client)
	for _, topic := range []string{"orders", "copy", "dead"} {
		if r, err := adm.CreateTopic(t.Context(), 3, 1, nil, topic); err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
	}
	for p := range int32(3) {
		var recs []*kgo.Record
		for i := range 400 {
			recs = append(recs, &kgo.Record{Topic: "orders", Partition: p, Key: fmt.Append(nil, "k", i), Value: fmt.Appendf(nil, `{"n":%d}`, i), Timestamp: time.Now().Add(-time.Hour)})
		}
		b.write(recs...)
	}
	b.commit("indexer", "orders", 400, 100, 50)
	cut := kadm.Offsets{}
	cut.AddOffset("orders", 2, 70, -1)
	if _, err := adm.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}

	var topics kafka.TopicsReport
	b.json(t, exitOK, &topics, "topics", "--for", "100ms")
	if len(topics.Notes) > 0 || len(topics.Topics) != 3 {
		t.Errorf("%+v", topics)
	}
	if x := topics.Topics[2]; x.Name != "orders" || x.Records != 1130 || x.Bytes <= 0 || len(x.Codecs) != 1 || x.Codecs[0] != "gzip" || x.CleanupPolicy != "delete" || x.RetentionMs != 604800000 ||
		x.Newest.IsZero() || time.Since(x.Oldest) < time.Hour || x.MinISR != 1 {
		t.Errorf("%+v", x)
	}
	var lag kafka.LagReport
	b.json(t, exitDifference, &lag, "lag", "--for", "1s")
	if x := lag.Lags[0]; x.Lag != 630 || x.Lost != 20 || x.Late == nil || *x.Late < 3600 || *x.Late > 3700 || x.Retention == nil || x.Trend != kafka.TrendStands || len(lag.Notes) > 0 {
		t.Errorf("%+v %q", x, lag.Notes)
	}
	var d kafka.Diagnosis
	b.json(t, exitDifference, &d, "doctor", "--for", "1s")
	checks := map[string]bool{}
	for _, f := range d.Findings {
		checks[f.Check] = true
	}
	for _, want := range []string{"lost-unread", "nobody-reads", "partitioners", "no-authorizer", "no-quotas"} {
		if !checks[want] {
			t.Errorf("doctor does not find %s: %v", want, checks)
		}
	}
	if len(d.Notes) > 0 {
		t.Errorf("%q", d.Notes)
	}

	fake := osfake.Start(t, osfake.Options{})
	b.naru(exitOK, "replay", "orders", fake.URL()+"/again", "--from", "2h")
	if n := len(fake.Documents("again")); n != 1130 {
		t.Errorf("%d documents", n)
	}
	b.naru(exitOK, "replay", "orders", "topic:copy", "--from-offset", "390", "--compression", "zstd")
	b.json(t, exitOK, &topics, "topics", "copy", "--for", "0s")
	if x := topics.Topics[0]; x.Records != 30 {
		t.Errorf("%+v", x)
	}
	b.write(&kgo.Record{Topic: "dead", Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: kafka.DeadTopic, Value: []byte("copy")}, {Key: kafka.DeadReason, Value: []byte("no")}}})
	if out, _ := b.naru(exitOK, "dlq", "redrive", "dead"); !strings.Contains(out, "1 of 1 records were driven again") {
		t.Error(out)
	}
	if out, _ := b.naru(exitOK, "dlq", "ls", "dead"); !strings.Contains(out, "There are no dead letters") {
		t.Error(out)
	}
	var groups kafka.GroupsReport
	b.json(t, exitOK, &groups, "groups")
	if len(groups.Groups) != 2 || len(groups.Notes) > 0 { // indexer, and how far dead was driven again
		t.Errorf("%+v", groups)
	}
}

func (b *kafkaBench) json(t *testing.T, want int, into any, args ...string) {
	t.Helper()
	out, _ := b.naru(want, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatal(err)
	}
}
