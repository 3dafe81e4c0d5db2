package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/narudata/naru/flow"
)

// quick gives a group whose rebalances do not take long.
func quick(brokers []string, topics ...string) *Group {
	return &Group{
		Config: Config{Brokers: brokers}, Group: "g", Topics: topics,
		HeartbeatInterval: 50 * time.Millisecond, SessionTimeout: 6 * time.Second, RebalanceTimeout: 10 * time.Second, CommitInterval: 20 * time.Millisecond,
		Reading: Reading{FetchMaxWait: 50 * time.Millisecond},
	}
}

func committed(t testing.TB, brokers []string, group string) map[string]int64 {
	t.Helper()
	offsets, err := kadm.NewClient(newClient(t, brokers)).FetchOffsets(t.Context(), group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		t.Fatal(err)
	}
	out := map[string]int64{}
	offsets.Each(func(o kadm.OffsetResponse) { out[fmt.Sprintf("%s/%d", o.Topic, o.Partition)] = o.At })
	return out
}

func TestRecordsComeWithAllThatKafkaTellsOfThem(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"), kfake.ClusterID("c1"))
	client := newClient(t, c.ListenAddrs())
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for _, r := range []*kgo.Record{
		{Key: []byte("k"), Value: []byte("v"), Timestamp: at, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h", Value: nil}, {Key: "", Value: []byte{}}}},
		{Key: []byte{}, Value: []byte{}, Timestamp: at},
		{Key: nil, Value: nil, Timestamp: at},
	} {
		r.Topic = "t"
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	books := &ledger{keep: true}
	g := quick(c.ListenAddrs(), "t")
	g.Port = 7
	m := start(&engine{to: books, maxRecords: 10}, g)
	books.waitFor(t, 2, 10*time.Second)
	m.end(t)

	type seen struct {
		Index, Key, Body, ID string
		NilKey, NilBody      bool
		Version              int64
		Port                 int32
		Time                 time.Time
		Meta                 Meta
		Headers              []Header
	}
	var got []seen
	for _, r := range books.all {
		meta, err := ParseMeta(r.Meta)
		if err != nil {
			t.Fatal(err)
		}
		s := seen{r.Index, string(r.Key), string(r.Body), meta.ID(), r.Key == nil, r.Body == nil, r.Version, r.Port, r.Time.UTC(), meta, nil}
		for h := range meta.Headers() {
			s.Headers = append(s.Headers, h)
		}
		got = append(got, s)
		if id := string(Identity(r.Meta)); id != string(appendPrefix(nil, "c1", "t", 0)) {
			t.Errorf("identity %q", id)
		}
	}
	want := []seen{
		{"t", "k", "v", "c1:t:0:0", false, false, 1, 7, at, Meta{Cluster: "c1", Topic: "t", Offset: 0, Timestamp: at, Key: []byte("k")}, []Header{{"h", []byte("1")}, {"h", nil}, {"", []byte{}}}},
		{"t", "", "", "c1:t:0:1", false, false, 2, 7, at, Meta{Cluster: "c1", Topic: "t", Offset: 1, Timestamp: at, Key: []byte{}}, nil},
		{"t", "", "", "c1:t:0:2", true, true, 3, 7, at, Meta{Cluster: "c1", Topic: "t", Offset: 2, Timestamp: at, Tombstone: true}, nil},
	}
	if d := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".headers" || p.Last().String() == ".count" }, cmp.Ignore())); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]int64{"t/0": 3}, committed(t, c.ListenAddrs(), "g")); d != "" {
		t.Error(d)
	}
}

func TestNothingIsCommittedBeforeItIsAcknowledged(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 100)
	books := &ledger{}
	m := start(&engine{to: books, maxRecords: 10, hold: true}, quick(c.ListenAddrs(), "t"))
	books.waitFor(t, 100, 10*time.Second)
	time.Sleep(200 * time.Millisecond) // several intervals of commits
	m.end(t)
	if got := committed(t, c.ListenAddrs(), "g"); len(got) > 0 {
		t.Errorf("committed: %v", got)
	}
	again := &ledger{}
	m = start(&engine{to: again, maxRecords: 10}, quick(c.ListenAddrs(), "t"))
	again.waitFor(t, 100, 10*time.Second)
	m.end(t)
	again.check(t, 100)
	if d := cmp.Diff(map[string]int64{"t/0": 100}, committed(t, c.ListenAddrs(), "g")); d != "" {
		t.Error(d)
	}
}

func TestRebalancesUnderLoadLoseAndDoubleNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Group)
	}{
		{"cooperative-sticky", func(*Group) {}},
		{"range", func(g *Group) { g.Assignors = []string{"range"} }},
		{"consumer protocol", func(g *Group) { g.Protocol = "consumer" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newCluster(t, kfake.SeedTopics(6, "t"), kfake.BrokerConfigs(map[string]string{"group.consumer.heartbeat.interval.ms": "100"}))
			shuffle(t, k.ListenAddrs(), func() *Group {
				g := quick(k.ListenAddrs(), "t")
				c.change(g)
				if testing.Verbose() {
					g.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
				}
				return g
			}, "t", 12, 600)
		})
	}
}

func TestAPartitionIsGivenAwayOnlyWhenWhatWasReadIsDelivered(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 2000)
	books := &ledger{}
	slow := start(&engine{to: books, maxRecords: 100, inFlight: 2, delay: func() time.Duration { return 100 * time.Millisecond }}, quick(c.ListenAddrs(), "t"))
	books.waitFor(t, 100, 10*time.Second)
	other := start(&engine{to: books, maxRecords: 100}, quick(c.ListenAddrs(), "t"))
	books.waitFor(t, 2000, 20*time.Second)
	other.end(t)
	slow.end(t)
	if n := books.check(t, 2000); n > 0 {
		t.Errorf("%d records came twice", n)
	}
}

func TestAStalledDeliveryHoldsARebalanceUpOnlyAsLongAsTheGroupAllows(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 100)
	g := quick(c.ListenAddrs(), "t")
	g.RebalanceTimeout = 2 * time.Second
	books := &ledger{}
	release := make(chan struct{})
	stalled := start(&engine{to: books, maxRecords: 10, delay: func() time.Duration { <-release; return 0 }}, g)
	time.Sleep(500 * time.Millisecond)
	h := quick(c.ListenAddrs(), "t")
	h.RebalanceTimeout = 2 * time.Second
	other := start(&engine{to: books, maxRecords: 10}, h)
	books.waitFor(t, 50, 10*time.Second) // the partition that it got
	before := committed(t, c.ListenAddrs(), "g")
	close(release) // late acknowledgements do not move what the other one has committed
	stalled.end(t)
	books.waitFor(t, 100, 10*time.Second)
	other.end(t)
	books.check(t, 100)
	after := committed(t, c.ListenAddrs(), "g")
	for at, n := range before {
		if after[at] < n {
			t.Errorf("%s: committed %d, and then %d", at, n, after[at])
		}
	}
}

func TestMemoryIsBoundedWhenNobodyReads(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(4, "t"))
	client := newClient(t, c.ListenAddrs(), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchMaxBytes(64<<10))
	big := make([]byte, 10_000)
	for i := range 3000 {
		client.Produce(t.Context(), &kgo.Record{Topic: "t", Value: fmt.Append(big[:9000:9000], i)}, nil)
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := quick(c.ListenAddrs(), "t")
	g.MemoryBytes, g.FetchMaxBytes, g.PartitionBytes = 1<<20, 256<<10, 64<<10
	r := newReader(&g.Reading, "c", nil)
	m := &member{reader: r, g: g}
	var opened []*partition
	for i := range int32(4) {
		p := newPartition(r, tp{"t", i})
		r.opened(p)
		opened = append(opened, p)
	}
	options, err := g.Options()
	if err != nil {
		t.Fatal(err)
	}
	from := map[int32]kgo.Offset{}
	for i := range int32(4) {
		from[i] = kgo.NewOffset().AtStart()
	}
	if m.client, err = kgo.NewClient(append(append(options, g.bounds()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": from}))...); err != nil {
		t.Fatal(err)
	}
	defer m.client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
	defer cancel()
	if err := m.poll(ctx); err != nil {
		t.Fatal(err)
	}
	if held := r.held.Load(); held < 1<<20 || held > 6<<20 { // the first answer is compressed more than anyone could know
		t.Errorf("%d bytes wait, wanted a little more than %d", held, 1<<20)
	}

	// One that is read gets records although the others hold all there is.
	read := 0
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.poll(ctx) }()
	for read < 700 {
		if err := opened[2].Wait(ctx); err != nil {
			t.Fatalf("after %d records: %v", read, err)
		}
		var b flow.Batch
		if err := opened[2].Read(ctx, &b); err != nil {
			t.Fatal(err)
		}
		read += len(b.Records)
		if held := r.held.Load(); held > 8<<20 {
			t.Fatalf("%d bytes wait", held)
		}
	}
	cancel()
	<-done
	sum := 0
	for _, p := range opened {
		sum += p.held
	}
	if int64(sum) != r.held.Load() {
		t.Errorf("%d bytes are accounted for, %d are there", r.held.Load(), sum)
	}
}

func TestAGroupThatBeginsAtTheEndMissesNothingAfterwards(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 10)
	g := quick(c.ListenAddrs(), "t")
	g.Start = Latest
	first := start(&engine{to: &ledger{}}, g)
	for end := time.Now().Add(10 * time.Second); len(committed(t, c.ListenAddrs(), "g")) < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the beginning is not committed")
		}
	}
	first.end(t)
	produce(t, c.ListenAddrs(), "t", 0, 100) // nobody reads
	books := &ledger{}
	g = quick(c.ListenAddrs(), "t")
	g.Start = Latest
	m := start(&engine{to: books, maxRecords: 10}, g)
	books.waitFor(t, 100, 10*time.Second)
	m.end(t)
	if n := books.check(t, 100); n > 0 {
		t.Errorf("%d twice", n)
	}
}

func TestWithoutCommitsStartNoneIsAnError(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	g := quick(c.ListenAddrs(), "t")
	g.Start = None
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := (&engine{to: &ledger{}}).run(ctx, g); err == nil || !strings.Contains(err.Error(), "has committed no offset") {
		t.Errorf("got %v", err)
	}
}

func TestTopicsThatMatchAPatternAreRead(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "logs-a", "logs-b", "xlogs-c", "logs-d-not"))
	books := &ledger{}
	for i, topic := range []string{"logs-a", "logs-b", "xlogs-c", "logs-d-not"} {
		produce(t, c.ListenAddrs(), topic, i, 1)
	}
	g := quick(c.ListenAddrs())
	g.Pattern = "logs-[a-z]"
	m := start(&engine{to: books}, g)
	books.waitFor(t, 2, 10*time.Second)
	m.end(t)
	books.check(t, 2)
}

func TestAStaticMemberComesBackToItsPartitions(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	books := &ledger{}
	for i := range 3 {
		produce(t, c.ListenAddrs(), "t", i*10, 10)
		g := quick(c.ListenAddrs(), "t")
		g.Instance = "naru-0"
		m := start(&engine{to: books, maxRecords: 3}, g)
		books.waitFor(t, (i+1)*10, 10*time.Second)
		m.end(t)
	}
	if n := books.check(t, 30); n > 0 {
		t.Errorf("%d records came twice", n)
	}
}

// losing has the group take everything away from the member that sends the next heartbeat after lose is set.
func losing(c *kfake.Cluster) (lose *atomic.Bool) {
	lose = new(atomic.Bool)
	c.ControlKey(int16(kmsg.Heartbeat), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if !lose.CompareAndSwap(true, false) {
			return nil, nil, false
		}
		answer, ok := req.ResponseKind().(*kmsg.HeartbeatResponse)
		if !ok {
			return nil, nil, false
		}
		answer.ErrorCode = kerr.UnknownMemberID.Code
		return answer, nil, true
	})
	return lose
}

func TestAPartitionThatComesBackGoesOnBehindWhatWasDelivered(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 20)
	lose := losing(c)
	books := &ledger{}
	first := start(&engine{to: books}, quick(c.ListenAddrs(), "t"))
	books.waitFor(t, 20, 10*time.Second)
	first.end(t) // which commits
	g := quick(c.ListenAddrs(), "t")
	g.CommitInterval = time.Hour // what is delivered is not committed when the group takes the partitions away
	m := start(&engine{to: books}, g)
	produce(t, c.ListenAddrs(), "t", 20, 80)
	books.waitFor(t, 100, 10*time.Second)
	lose.Store(true)
	for deadline := time.Now().Add(10 * time.Second); lose.Load(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there was no heartbeat")
		}
	}
	produce(t, c.ListenAddrs(), "t", 100, 100)
	books.waitFor(t, 200, 20*time.Second)
	m.end(t)
	if n := books.check(t, 200); n > 0 {
		t.Errorf("%d records came twice", n)
	}
	if d := cmp.Diff(map[string]int64{"t/0": 100, "t/1": 100}, committed(t, c.ListenAddrs(), "g")); d != "" {
		t.Error(d)
	}
}

func TestWhatIsAcknowledgedAfterAPartitionWasLostDoesNotCount(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 100)
	lose := losing(c)
	books := &ledger{}
	release := make(chan struct{})
	held := &engine{to: books, maxRecords: 10, inFlight: 1, delay: func() time.Duration { <-release; return 0 }}
	m := start(held, quick(c.ListenAddrs(), "t"))
	time.Sleep(500 * time.Millisecond)
	lose.Store(true)
	time.Sleep(500 * time.Millisecond)
	if lose.Load() {
		t.Fatal("there was no heartbeat")
	}
	close(release)
	books.waitFor(t, 100, 10*time.Second)
	m.end(t)
	if n := books.check(t, 100); n == 0 {
		t.Error("nothing came again, so nothing was lost")
	}
	if d := cmp.Diff(map[string]int64{"t/0": 100}, committed(t, c.ListenAddrs(), "g")); d != "" {
		t.Error(d)
	}
}

// Members that know range only come and go beside those that offer cooperative-sticky, too: the group changes from one way to
// the other under load. Nothing is lost. At such a change members keep what others are given at once, so records may come
// twice.
func TestMembersOfOtherKindsLoseNothing(t *testing.T) {
	k := newCluster(t, kfake.SeedTopics(6, "t"))
	var n atomic.Int32
	doubled := comeAndGo(t, k.ListenAddrs(), func() *Group {
		g := quick(k.ListenAddrs(), "t")
		g.Assignors = []string{"cooperative-sticky", "range"}
		if n.Add(1)%2 == 0 {
			g.Assignors = []string{"range"}
		}
		return g
	}, "t", 12, 600)
	t.Logf("%d records were delivered more than once", doubled)
}
