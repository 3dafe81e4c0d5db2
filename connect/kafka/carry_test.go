package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

// marking writes "out-" before values, and refuses those that are in bad.
type marking struct {
	bad   string
	pause time.Duration
}

func (m marking) Process(_ context.Context, b *flow.Batch) error {
	time.Sleep(m.pause)
	var failures flow.Failures
	for i := range b.Records {
		r := &b.Records[i]
		if m.bad != "" && string(r.Body) == m.bad {
			failures = append(failures, flow.Failure{Index: i, Err: flow.Permanent(errors.New("refused"))})
			continue
		}
		r.Body = append([]byte("out-"), r.Body...)
	}
	if len(failures) > 0 {
		return failures
	}
	return nil
}

// committedCounts reads a topic up to its end as readers of committed records see it: value → how often.
func committedCounts(t testing.TB, brokers []string, topic string) map[string]int {
	t.Helper()
	books := &ledger{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := (&engine{to: books, maxRecords: 1000}).run(ctx, &Range{Config: Config{Brokers: brokers}, Topics: []string{topic}}); err != nil {
		t.Fatal(err)
	}
	if books.seen == nil {
		return map[string]int{}
	}
	return books.seen
}

func TestACarryDeliversOnceAndBuriesWhatIsRefused(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(3, "in"), kfake.SeedTopics(2, "out", "dead"))
	produce(t, c.ListenAddrs(), "in", 0, 500)
	client := newClient(t, c.ListenAddrs())
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Value: []byte(strings.Repeat("x", 9000)), Key: []byte("large"), Headers: []kgo.RecordHeader{{Key: "own", Value: []byte("1")}}}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	carry := &Carry{
		From: *quick(c.ListenAddrs(), "in"), To: Writing{Topic: "out", BatchBytes: 8000}, ID: "c", DeadTopic: "dead", MaxRecords: 100,
		Stages: []flow.Stage{marking{bad: "77"}},
	}
	// The dead letter of the large record would be as large.
	carry.DeadTopic = "dead"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- carry.Run(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
	}
	cancel()
	if err == nil || !strings.Contains(err.Error(), "deadTopic") {
		t.Errorf("a dead letter that cannot be written: %v", err)
	}

	carry.To.BatchBytes = 0
	carry.Stages = []flow.Stage{marking{bad: "77"}, toNoTopic{}}
	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- carry.Run(ctx) }()
	for end := time.Now().Add(20 * time.Second); len(committedCounts(t, c.ListenAddrs(), "out"))+len(committedCounts(t, c.ListenAddrs(), "dead")) < 501; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("out has %d, dead %d", len(committedCounts(t, c.ListenAddrs(), "out")), len(committedCounts(t, c.ListenAddrs(), "dead")))
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	got := committedCounts(t, c.ListenAddrs(), "out")
	for i := range 500 {
		if want := map[bool]int{true: 1}[i != 77]; got[fmt.Sprint("out-", i)] != want {
			t.Errorf("%d is there %d times", i, got[fmt.Sprint("out-", i)])
		}
	}
	reasons := map[string]string{}
	for _, recs := range readAll(t, c.ListenAddrs(), "dead", 2, kgo.FetchIsolationLevel(kgo.ReadCommitted())) {
		for _, r := range recs {
			for _, h := range r.Headers {
				reasons[string(r.Key)+" "+h.Key] = string(h.Value)
			}
		}
	}
	if reasons["k77 "+DeadReason] != "refused" || !strings.Contains(reasons["large "+DeadReason], "a name has 1 to 249") || reasons["large own"] != "1" ||
		reasons["large "+DeadTopic] != "in" {
		t.Errorf("got %v", reasons)
	}
	offsets := committed(t, c.ListenAddrs(), "g")
	sum := int64(0)
	for _, n := range offsets {
		sum += n
	}
	if sum < 501 {
		t.Errorf("committed %v", offsets)
	}
}

// toNoTopic sends large records to a topic that cannot be.
type toNoTopic struct{}

func (toNoTopic) Process(_ context.Context, b *flow.Batch) error {
	for i := range b.Records {
		if len(b.Records[i].Body) > 5000 {
			b.Records[i].Index = "no such topic"
		}
	}
	return nil
}

func TestWhatIsWrongWithACarryIsSaid(t *testing.T) {
	from := *quick([]string{"k:1"}, "in")
	for want, c := range map[string]*Carry{
		"id is missing":       {From: from},
		"need acks all":       {From: from, ID: "x", To: Writing{Acks: "leader"}},
		"no name of a topic":  {From: from, ID: "x", DeadTopic: "a b"},
		"brokers is missing":  {ID: "x"},
		"must not read what":  {From: func() Group { g := from; g.ReadUncommitted = true; return g }(), ID: "x"},
		"must not be negativ": {From: from, ID: "x", MaxRecords: -1},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// carryChild says that this process is one that is to be killed.
const carryChild = "NARU_TEST_CARRY"

// TestCarryChild is the process that killCarry kills.
func TestCarryChild(t *testing.T) {
	brokers := os.Getenv(carryChild)
	if brokers == "" {
		return // it is for killCarry only
	}
	g := *quick([]string{brokers}, "in")
	g.Group, g.Instance = "carry", "carry-0"
	c := &Carry{From: g, To: Writing{Topic: "out"}, ID: "carry-0", MaxRecords: 150, Stages: []flow.Stage{marking{pause: 20 * time.Millisecond}}}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// killCarry carries n records by processes that are killed in the middle, again and again, and checks that each result is there
// exactly once.
func killCarry(t *testing.T, k *testbed.Kafka, n int) {
	t.Helper()
	brokers := []string{k.Plain}
	addTopics(t, brokers, map[string]int32{"in": 3, "out": 3})
	produce(t, brokers, "in", 0, n)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test
	admin := kadm.NewClient(newClient(t, brokers))
	kills := 0
	for end := time.Now().Add(2 * time.Minute); ; {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCarryChild$")
		child.Env = append(os.Environ(), carryChild+"="+k.Plain)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(1000+random.IntN(1200)) * time.Millisecond)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		kills++
		at, err := admin.FetchOffsets(t.Context(), "carry")
		if err != nil {
			continue // it died before there was a group
		}
		sum := int64(0)
		at.Each(func(o kadm.OffsetResponse) { sum += max(o.At, 0) })
		if sum == int64(n) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d records are carried after %d kills", sum, n, kills)
		}
	}
	// What the last one left open is ended as the next one would do it.
	last := newClient(t, brokers, kgo.TransactionalID("carry-0"))
	if err := last.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := last.ProduceSync(t.Context(), &kgo.Record{Topic: "out", Value: []byte("last")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := last.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for i := range n {
		want[fmt.Sprint("out-", i)] = 1
	}
	if d := cmp.Diff(want, committedCounts(t, brokers, "out")); d != "" {
		t.Errorf("after %d kills: %.2000s", kills, d)
	}
	all := 0
	ends, err := admin.ListEndOffsets(t.Context(), "out")
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { all += int(o.Offset) })
	t.Logf("%d kills; the log has %d records, markers and aborted ones among them", kills, all)
}
