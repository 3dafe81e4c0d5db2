package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/migrate/compare"
)

var configs = regexp.MustCompile("(?s)```logstash\n(.*?)```")

// documented gives the configurations of docs/shadow.md, for a topic and a cluster of a test.
func documented(t *testing.T, brokers []string, node string) (v1, v2 string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(kafkaHome, "..", "docs", "shadow.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := configs.FindAllStringSubmatch(string(page), -1)
	if len(found) != 2 {
		t.Fatalf("%d configurations in docs/shadow.md", len(found))
	}
	here := strings.NewReplacer("kafka-1:9092", strings.Join(brokers, ","), "https://node-1:9200", node, `"earliest"`, `"earliest" auto_commit_interval_ms => 50`)
	return here.Replace(found[0][1]), here.Replace(found[1][1])
}

// running starts a pipeline; stop ends it as SIGTERM does.
func running(t *testing.T, name, config string) (stop func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 2)
	var out, messages seen
	env := Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &messages, Getenv: func(string) string { return "" }, Columns: func(io.Writer) int { return 0 },
		Interrupts: func() (<-chan os.Signal, func()) { return signals, func() {} },
	}
	status := make(chan int, 1)
	go func() {
		status <- Main(t.Context(), env, []string{"logstash", "-f", file, "--path.data", filepath.Join(filepath.Dir(file), "data"), "--api.enabled=false"})
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s says: %s%s", name, out.String(), messages.String())
		}
	})
	return func() {
		t.Helper()
		signals <- syscall.SIGTERM
		select {
		case got := <-status:
			if got != exitOK {
				t.Errorf("%s: exit status %d: %s", name, got, messages.String())
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s does not end: %s", name, messages.String())
		}
	}
}

func within20s(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestASecondVersionReadsBesideTheFirstIsComparedAndTakesOver(t *testing.T) {
	b := newKafkaBench(t, "web")
	cluster := osfake.Start(t, osfake.Options{})
	v1, v2 := documented(t, b.brokers, cluster.URL())
	hour := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	said := 0
	say := func(n int, at time.Time) {
		for range n {
			status := []string{"200", "404", "none"}[said%3]
			value, err := json.Marshal(map[string]any{"message": fmt.Sprintf("10.0.0.%d GET /page/%d %s", said, said, status), "@timestamp": at})
			if err != nil {
				t.Fatal(err)
			}
			b.write(&kgo.Record{Topic: "web", Partition: int32(said % 3), Value: value, Timestamp: at.Add(time.Duration(said) * time.Second)})
			said++
		}
	}
	const real, shadow = "logs-2026.11.24", "shadow-logs-2026.11.24"
	has := func(index string, n int) func() bool {
		return func() bool { return slices.Contains(cluster.Indices(), index) && len(cluster.Documents(index)) == n }
	}
	say(30, hour)
	stop1 := running(t, "v1", v1)
	within20s(t, "the first version has 30 documents", has(real, 30))
	within20s(t, "its offsets are committed", func() bool {
		return cmp.Equal(b.offsets("web-to-opensearch"), map[string]int64{"web/0": 10, "web/1": 10, "web/2": 10})
	})

	// The second version begins where the first one is.
	b.naru(exitOK, "groups", "copy", "web-to-opensearch", "web-to-opensearch-v2")
	say(30, hour.Add(time.Hour))
	stop2 := running(t, "v2", v2)
	within20s(t, "the second version has 30 documents", has(shadow, 30))
	within20s(t, "the first version has all", has(real, 60))

	var out, messages seen
	diff := func(want int, args ...string) string {
		t.Helper()
		out, messages = seen{}, seen{}
		env := Env{
			Stdin: strings.NewReader(""), Stdout: &out, Stderr: &messages, Getenv: func(string) string { return "" }, Columns: func(io.Writer) int { return 0 },
			Interrupts: func() (<-chan os.Signal, func()) { return nil, func() {} },
		}
		if got := Main(t.Context(), env, append([]string{"diff", cluster.URL() + "/logs-*", cluster.URL() + "/shadow-logs-*"}, args...)); got != want {
			t.Fatalf("naru diff %v: exit status %d, want %d\n%s%s", args, got, want, out.String(), messages.String())
		}
		return out.String()
	}
	for _, window := range [][]string{
		{"--time-field", "kafka.timestamp", "--since", "2026-11-24T11:00Z"}, // milliseconds: chosen by naru
		{"--since", "2026-11-24T11:00Z"},                                    // a date: chosen by the cluster
	} {
		for _, key := range []string{"_id", "kafka.topic,kafka.partition,kafka.offset"} {
			var r compare.Report
			if err := json.Unmarshal([]byte(diff(exitDifference, append(window, "--key", key, "-o", "json")...)), &r); err != nil {
				t.Fatal(err)
			}
			got := map[string]int64{}
			for _, m := range r.Moves {
				got[m.From+" is now "+m.To] = m.Documents
			}
			for _, c := range r.Changes {
				got[c.What()] = c.Documents
			}
			// A third of the lines has no number for a status.
			want := map[string]int64{"clientip is now source.ip": 20, "verb: case": 20, "status: string → number, the same value": 20}
			if d := cmp.Diff(want, got); d != "" || r.Equal != 10 || r.Different != 20 || r.OnlyA != 0 || r.OnlyB != 0 {
				t.Errorf("%v by %s: %d equal, %d different, %d and %d alone\n%s", window, key, r.Equal, r.Different, r.OnlyA, r.OnlyB, d)
			}
		}
	}
	if text := diff(exitDifference, "--ignore", "clientip,source.ip,verb,status"); !strings.Contains(text, "0 of 30 pairs differ; 30 only in A, 0 only in B.") {
		t.Errorf("what the first version has read before:\n%s", text)
	}

	// The switch: the new filters, with the group and the index of the first version.
	stop1()
	say(15, hour.Add(2*time.Hour))
	stop3 := running(t, "v1", strings.NewReplacer("web-to-opensearch-v2", "web-to-opensearch", "shadow-logs-", "logs-").Replace(v2))
	within20s(t, "all documents are there", has(real, 75))
	stop3()
	stop2()
	forms := map[string]int{}
	for _, d := range cluster.Documents(real) {
		var doc map[string]any
		if err := json.Unmarshal(d.Source, &doc); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(doc)) {
			if name == "clientip" || name == "source" {
				forms[name]++
			}
		}
	}
	if d := cmp.Diff(map[string]int{"clientip": 40, "source": 10}, forms); d != "" {
		t.Errorf("the first version up to the switch, the second one from there on: %s", d)
	}
}
