package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/connect/opensearch/osfake"
)

// A kafkaBench is a cluster with what the commands of naru kafka are asked about.
type kafkaBench struct {
	t       *testing.T
	brokers []string
	client  *kgo.Client
	env     map[string]string
}

func newKafkaBench(t *testing.T, topics ...string) *kafkaBench {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("c1"), kfake.SeedTopics(3, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kafkaBenchAt(t, c.ListenAddrs())
}

func kafkaBenchAt(t *testing.T, brokers []string) *kafkaBench {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.GzipCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	t.Chdir(t.TempDir())
	return &kafkaBench{t: t, brokers: brokers, client: client, env: map[string]string{"NARU_KAFKA_BROKERS": strings.Join(brokers, ",")}}
}

// write writes records and waits until they are safe.
func (b *kafkaBench) write(recs ...*kgo.Record) {
	b.t.Helper()
	if err := b.client.ProduceSync(b.t.Context(), recs...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *kafkaBench) commit(group, topic string, offsets ...int64) {
	b.t.Helper()
	o := kadm.Offsets{}
	for p, at := range offsets {
		o.AddOffset(topic, int32(p), at, -1)
	}
	if err := kadm.NewClient(b.client).CommitAllOffsets(b.t.Context(), group, o); err != nil {
		b.t.Fatal(err)
	}
}

// environment is what commands run in, with this standard output.
func (b *kafkaBench) environment(stdout io.Writer) Env {
	return Env{
		Stdin: strings.NewReader(""), Stdout: stdout, Stderr: io.Discard, Getenv: func(name string) string { return b.env[name] },
		Columns: func(io.Writer) int { return 0 }, Interrupts: func() (<-chan os.Signal, func()) { return nil, func() {} },
	}
}

// naru runs a command and wants its exit status.
func (b *kafkaBench) naru(want int, args ...string) (stdout, stderr string) {
	b.t.Helper()
	var out, messages bytes.Buffer
	env := b.environment(&out)
	env.Stderr = &messages
	if got := Main(b.t.Context(), env, append([]string{"kafka"}, args...)); got != want {
		b.t.Fatalf("naru kafka %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &messages)
	}
	return out.String(), messages.String()
}

var (
	kafkaPorts = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	kafkaTimes = regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`)
	kafkaSizes = regexp.MustCompile(` {2,}[0-9.]+ [kM]?B`)
)

// tidied leaves out what differs from run to run.
func tidied(s string) string {
	s = kafkaPorts.ReplaceAllString(s, "127.0.0.1:PORT")
	s = times.ReplaceAllString(s, "in TIME (RATE documents/s)")
	return kafkaTimes.ReplaceAllString(s, "TIME")
}

// days is a time so long ago that what is said of it does not change while a test runs.
func days(n int) time.Time { return time.Now().Add(-time.Duration(n)*24*time.Hour - 90*time.Minute) }

func TestTablesOfKafka(t *testing.T) {
	b := newKafkaBench(t, "orders", "quiet", "__of_its_own")
	for p := range int32(2) {
		for i := range 20 {
			b.write(&kgo.Record{Topic: "orders", Partition: p, Key: fmt.Append(nil, "k", i), Value: []byte(`{"order":1}` + strings.Repeat(" ", 300)), Timestamp: days(4 - i/10)})
		}
	}
	b.commit("indexer", "orders", 20, 3)
	b.commit("done", "orders", 20, 20, 0)
	topics, _ := b.naru(exitOK, "topics", "--for", "0s")
	groups, _ := b.naru(exitOK, "groups")
	lag, _ := b.naru(exitDifference, "lag", "--partitions", "--for", "100ms", "--max-lag", "10")
	doctor, _ := b.naru(exitDifference, "doctor", "--for", "100ms")
	t.Chdir(kafkaHome)
	golden(t, "kafka-topics.golden", kafkaSizes.ReplaceAllString(tidied(topics), "  SIZE"))
	golden(t, "kafka-groups.golden", tidied(groups))
	golden(t, "kafka-lag.golden", tidied(lag))
	golden(t, "kafka-doctor.golden", tidied(doctor))
}

// kafkaHome is where the tests of the package run.
var kafkaHome = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

func TestTablesOfKafkaFitTheTerminal(t *testing.T) {
	b := newKafkaBench(t, "orders")
	b.write(&kgo.Record{Topic: "orders", Value: []byte("v"), Timestamp: days(4)})
	b.commit("indexer", "orders", 0)
	b.env["COLUMNS"] = "80"
	for _, command := range [][]string{{"topics", "--for", "0s"}, {"groups"}, {"lag", "--for", "50ms"}} {
		out, _ := b.naru(exitOK, command...)
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "Cluster ") {
				break
			}
			if cellWidth(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("%q: %d columns: %s", command, cellWidth(line), line)
			}
		}
	}
}

func TestLagIsSaidToMachines(t *testing.T) {
	b := newKafkaBench(t, "t")
	b.write(&kgo.Record{Topic: "t", Value: []byte("v"), Timestamp: days(1)})
	b.commit("g", "t", 0)
	out, _ := b.naru(exitOK, "lag", "g", "--for", "50ms", "-o", "json")
	var r struct {
		Lags []struct {
			Group       string
			Lag         int64
			LateSeconds float64 `json:"late_seconds"`
			Trend       string
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Lags) != 1 || r.Lags[0].Lag != 1 || r.Lags[0].LateSeconds < 86400 || r.Lags[0].Trend != "stands" {
		t.Error(out)
	}
	b.naru(exitDifference, "lag", "g", "--for", "50ms", "--max-seconds", "3600")
	b.naru(exitOK, "lag", "g", "--for", "50ms", "--max-seconds", "200000")
}

func TestMistakesWithKafkaAreSaid(t *testing.T) {
	b := newKafkaBench(t, "t")
	b.write(&kgo.Record{Topic: "t", Value: []byte("v")})
	file := filepath.Join(t.TempDir(), "kafka.yaml")
	if err := os.WriteFile(file, []byte("broker: [127.0.0.1:9092]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"topics", "nope"}, "no topic of that name"},
		{[]string{"groups", "nope"}, "no group of that name"},
		{[]string{"topics", "--config", file}, `kafka.yaml:1:1: unknown key "broker"; did you mean "brokers"?`},
		{[]string{"topics", "--brokers", "nowhere"}, "want a host and a port"},
		{[]string{"lag", "--for", "0s"}, "rates take a while"},
		{[]string{"replay", "t", "https://127.0.0.1:1"}, "say which index"},
		{[]string{"replay", "t", "topic:t"}, "is what is read"},
		{[]string{"replay", "t", "topic:nope"}, "make it first"},
		{[]string{"replay", "t", "topic:x", "--id", "key"}, "a topic has none"},
		{[]string{"replay", "t", "ndjson:x", "--id", "key"}, "is for an index"},
		{[]string{"replay", "t", "ndjson:x", "--from", "yesterday"}, "--from: "},
		{[]string{"replay", "t", "ndjson:x", "--from", "2h", "--from-offset", "3"}, "not both"},
		{[]string{"replay", "nope", "ndjson:x"}, "nope"},
		{[]string{"dlq", "show", "t", "x"}, "want PARTITION:OFFSET"},
		{[]string{"dlq", "show", "t", "0:99"}, "has no record at 0:99"},
		{[]string{"dlq", "redrive", "t", "--to", "t"}, "is the dead-letter topic itself"},
		{[]string{"lagg"}, `did you mean "lag"?`},
	} {
		_, stderr := b.naru(exitFailed, c.args...)
		if !strings.Contains(stderr, c.want) {
			t.Errorf("%q: want %q in %s", c.args, c.want, stderr)
		}
	}
	delete(b.env, "NARU_KAFKA_BROKERS")
	if _, stderr := b.naru(exitFailed, "topics"); !strings.Contains(stderr, "say which cluster") {
		t.Error(stderr)
	}
}

func TestAReplayIntoAnIndexIsThereOnceHoweverOftenItIsDone(t *testing.T) {
	b := newKafkaBench(t, "t")
	for p := range int32(3) {
		for i := range 50 {
			b.write(&kgo.Record{Topic: "t", Partition: p, Key: fmt.Append(nil, "key-", p, "-", i%10), Value: fmt.Appendf(nil, `{"n":%d}`, i)})
		}
		b.write(&kgo.Record{Topic: "t", Partition: p, Key: fmt.Append(nil, "key-", p, "-0")}) // deletes it
	}
	fake := osfake.Start(t, osfake.Options{})
	out, _ := b.naru(exitOK, "replay", "t", fake.URL()+"/events")
	if docs := fake.Documents("events"); len(docs) != 150 || string(docs["c1:t:2:49"].Source) != `{"n":49}` {
		t.Fatalf("%d documents\n%s", len(docs), out)
	}
	if !strings.Contains(out, "3 records without a value were dropped") {
		t.Error(out)
	}
	if out, _ := b.naru(exitOK, "replay", "t", fake.URL()+"/events"); !strings.Contains(out, "Done already") {
		t.Error(out)
	}
	if out, _ := b.naru(exitOK, "replay", "t", fake.URL()+"/events", "--again"); !strings.Contains(out, "WERE THERE") || len(fake.Documents("events")) != 150 {
		t.Error(out)
	}
	// The state of the keys: the last of each, and none that was deleted.
	for range 2 {
		b.naru(exitOK, "replay", "t", fake.URL()+"/state", "--id", "key", "--again")
		docs := fake.Documents("state")
		if len(docs) != 27 || string(docs["key-1-9"].Source) != `{"n":49}` {
			t.Fatalf("%d documents, %s", len(docs), docs["key-1-9"].Source)
		}
	}
}

func TestAReplayLeavesGroupsAlone(t *testing.T) {
	b := newKafkaBench(t, "t", "copy")
	for i := range 30 {
		b.write(&kgo.Record{Topic: "t", Partition: int32(i % 3), Key: fmt.Append(nil, i), Value: fmt.Append(nil, i), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}}})
	}
	b.commit("g", "t", 1, 2, 3)
	b.naru(exitOK, "replay", "t", "topic:copy", "--from-offset", "4", "--to-offset", "9")
	out, _ := b.naru(exitOK, "topics", "copy", "--for", "0s", "-o", "json")
	if !strings.Contains(out, `"records": 15`) {
		t.Error(out)
	}
	if groups, _ := b.naru(exitOK, "groups", "-o", "json"); strings.Count(groups, `"group":`) != 1 {
		t.Error(groups)
	}
	lag, _ := b.naru(exitOK, "lag", "g", "--for", "50ms", "-o", "json")
	if !strings.Contains(lag, `"lag": 24`) {
		t.Error(lag)
	}
	shown, _ := b.naru(exitOK, "replay", "copy", "ndjson:-", "--source-field", "k", "--from-offset", "0", "--to-offset", "1")
	if !strings.Contains(shown, `"headers":{"h":"x"}`) || !strings.Contains(shown, `"message":"`) {
		t.Error(shown)
	}
}

func TestADeadLetterTopicIsLookedIntoAndDrivenAgain(t *testing.T) {
	b := newKafkaBench(t, "orders", "dead")
	for i := range 4 {
		b.write(&kgo.Record{Topic: "dead", Key: fmt.Append(nil, "k", i), Value: []byte(`{"n":1}`), Headers: []kgo.RecordHeader{
			{Key: "naru.dead.reason", Value: fmt.Appendf(nil, "field [n%d] is no number", i%2)}, {Key: "naru.dead.topic", Value: []byte("orders")}, {Key: "naru.dead.partition", Value: []byte("0")},
			{Key: "naru.dead.offset", Value: fmt.Append(nil, i)}, {Key: "naru.dead.time", Value: []byte("2026-11-24T10:00:00Z")}, {Key: "naru.dead.count", Value: []byte(map[bool]string{true: "3", false: "1"}[i == 3])},
		}})
	}
	ls, _ := b.naru(exitOK, "dlq", "ls", "dead")
	if !strings.Contains(ls, "field [nN] is no number") || !strings.Contains(ls, "4 letters") || !strings.Contains(ls, "×3") {
		t.Error(ls)
	}
	show, _ := b.naru(exitOK, "dlq", "show", "dead", "0:1")
	if !strings.Contains(show, "topic     orders 0:1") || !strings.Contains(show, `{"n":1}`) || !strings.Contains(show, "key       k1") {
		t.Error(show)
	}
	again, _ := b.naru(exitPartial, "dlq", "redrive", "dead")
	if !strings.Contains(again, "3 of 4 records were driven again") || !strings.Contains(again, "1 have died too often") {
		t.Error(again)
	}
	if again, _ := b.naru(exitOK, "dlq", "redrive", "dead"); !strings.Contains(again, "Nothing was left") {
		t.Error(again)
	}
	if ls, _ := b.naru(exitOK, "dlq", "ls", "dead"); !strings.Contains(ls, "There are no dead letters.") {
		t.Error(ls)
	}
	if topics, _ := b.naru(exitOK, "topics", "orders", "--for", "0s", "-o", "json"); !strings.Contains(topics, `"records": 3`) {
		t.Error(topics)
	}
}

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-20T10:00Z": "2026-11-20T10:00:00Z", "2026-11-20T10:00:30Z": "2026-11-20T10:00:30Z", "2026-11-20": "2026-11-20T00:00:00Z", "2026-11-20 10:00": "2026-11-20T10:00:00Z",
		"2026-11-20T10:00+09:00": "2026-11-20T01:00:00Z", "2h": "2h0m0s", "2d": "48h0m0s", "": "",
	} {
		b, err := bound("from", text, -1)
		if err != nil {
			t.Error(text, err)
			continue
		}
		if got := b.String(); got != want && !(text == "" && b.IsZero()) {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	for d, want := range map[time.Duration]string{45 * time.Second: "45s", 90 * time.Minute: "1h30m", 47 * time.Hour: "47h00m", 50 * time.Hour: "2d2h", 7 * 24 * time.Hour: "7d", 60 * 24 * time.Hour: "60d", 900 * 24 * time.Hour: "2y"} {
		if got := long(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
