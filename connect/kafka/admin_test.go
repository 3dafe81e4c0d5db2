package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

func newAdmin(t testing.TB, brokers []string) *Admin {
	t.Helper()
	a, err := (&Config{Brokers: brokers}).Admin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// write writes records as they are given: to their partition.
func write(t testing.TB, brokers []string, codec kgo.CompressionCodec, recs ...*kgo.Record) {
	t.Helper()
	c := newClient(t, brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec))
	if err := c.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func commit(t testing.TB, brokers []string, group, topic string, offsets map[int32]int64) {
	t.Helper()
	o := kadm.Offsets{}
	for p, at := range offsets {
		o.AddOffset(topic, p, at, -1)
	}
	if err := kadm.NewClient(newClient(t, brokers)).CommitAllOffsets(t.Context(), group, o); err != nil {
		t.Fatal(err)
	}
}

func TestTopicsShowWhatIsInThem(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(3), kfake.SeedTopics(2, "t", "other"))
	old, young := time.UnixMilli(1_760_000_000_000).UTC(), time.UnixMilli(1_760_000_100_000).UTC()
	write(t, c.ListenAddrs(), kgo.ZstdCompression(), &kgo.Record{Topic: "t", Partition: 0, Value: []byte(strings.Repeat("a", 500)), Timestamp: old},
		&kgo.Record{Topic: "t", Partition: 0, Value: []byte(strings.Repeat("b", 500)), Timestamp: young})
	r, err := newAdmin(t, c.ListenAddrs()).Topics(t.Context(), TopicsOptions{Which: Which{Patterns: flow.Patterns{"t"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Topics) != 1 || len(r.Cluster.Brokers) != 3 {
		t.Fatalf("%+v", r)
	}
	x := r.Topics[0]
	if x.Name != "t" || x.Partitions != 2 || x.Records != 2 || !x.Oldest.Equal(old) || !x.Newest.Equal(young) || !slices.Equal(x.Codecs, []string{"zstd"}) || x.Health() != "ok" {
		t.Errorf("%+v", x)
	}
	if p := x.Detail[0]; p.Start != 0 || p.End != 2 || p.Codec != "zstd" {
		t.Errorf("%+v", p)
	}
	if x.Idempotent == nil || !*x.Idempotent {
		t.Error("the batch of an idempotent producer is not seen to be one")
	}
}

func TestATopicThatIsNotThereIsAnError(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	a := newAdmin(t, c.ListenAddrs())
	if _, err := a.Topics(t.Context(), TopicsOptions{Which: Which{Patterns: flow.Patterns{"nope"}}}); err == nil || !strings.Contains(err.Error(), "nope") {
		t.Error(err)
	}
	if _, err := a.Groups(t.Context(), Which{Patterns: flow.Patterns{"nope"}}); err == nil || !strings.Contains(err.Error(), "nope") {
		t.Error(err)
	}
	if r, err := a.Topics(t.Context(), TopicsOptions{Which: Which{Patterns: flow.Patterns{"nope-*"}}}); err != nil || len(r.Topics) != 0 {
		t.Error("a pattern that matches nothing is no error", r, err)
	}
}

func TestLagIsInRecordsAndInTime(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	now := time.Now().Truncate(time.Millisecond)
	var recs []*kgo.Record
	for i := range 10 {
		recs = append(recs, &kgo.Record{Topic: "t", Partition: 0, Value: []byte("v"), Timestamp: now.Add(time.Duration(i-10) * time.Minute)})
	}
	recs = append(recs, &kgo.Record{Topic: "t", Partition: 1, Value: []byte("v"), Timestamp: now})
	write(t, c.ListenAddrs(), kgo.NoCompression(), recs...)
	commit(t, c.ListenAddrs(), "g", "t", map[int32]int64{0: 4, 1: 1})
	a := newAdmin(t, c.ListenAddrs())
	r, err := a.Lag(t.Context(), LagOptions{For: 300 * time.Millisecond, MaxLag: 5, MaxLate: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Lags) != 1 {
		t.Fatalf("%+v", r)
	}
	x := r.Lags[0]
	if x.Lag != 6 || x.Lost != 0 || x.Trend != TrendStands || x.Worst != 0 || x.Skew != 2 || x.CaughtUp != nil {
		t.Errorf("%+v", x)
	}
	// The record at offset 4 is six minutes old; the newest of its partition five minutes younger.
	if x.Late == nil || *x.Late < 360 || *x.Late > 375 || x.Behind == nil || *x.Behind != 300 {
		t.Errorf("late %v behind %v", *x.Late, *x.Behind)
	}
	if len(r.Findings) != 2 {
		t.Errorf("findings: %q", r.Findings)
	}
	if p := x.Partitions[1]; p.Lag != 0 || p.Late != nil {
		t.Errorf("%+v", p)
	}
}

func TestRecordsThatAreDeletedBeforeTheyAreReadAreLost(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 20)
	commit(t, c.ListenAddrs(), "g", "t", map[int32]int64{0: 5})
	o := kadm.Offsets{}
	o.AddOffset("t", 0, 12, -1)
	if _, err := kadm.NewClient(newClient(t, c.ListenAddrs())).DeleteRecords(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	a := newAdmin(t, c.ListenAddrs())
	r, err := a.Lag(t.Context(), LagOptions{For: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if x := r.Lags[0]; x.Lost != 7 || x.Lag != 8 || len(r.Findings) != 1 || !strings.Contains(r.Findings[0], "7 records were deleted") {
		t.Errorf("%+v %q", x, r.Findings)
	}
	d, err := a.Doctor(t.Context(), DoctorOptions{For: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if d.Worst() != Critical || !slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Check == "lost-unread" && f.Severity == Critical }) {
		t.Errorf("%+v", d.Findings)
	}
}

func TestRetentionThatReachesUnreadRecordsIsForeseen(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	adm := kadm.NewClient(newClient(t, c.ListenAddrs()))
	ms := "3600000"
	if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "retention.ms", Value: &ms}}, "t"); err != nil {
		t.Fatal(err)
	}
	write(t, c.ListenAddrs(), kgo.NoCompression(), &kgo.Record{Topic: "t", Value: []byte("v"), Timestamp: time.Now().Add(-50 * time.Minute)})
	commit(t, c.ListenAddrs(), "g", "t", map[int32]int64{0: 0})
	a := newAdmin(t, c.ListenAddrs())
	for _, warn := range []time.Duration{5 * time.Minute, time.Hour} {
		r, err := a.Lag(t.Context(), LagOptions{For: 50 * time.Millisecond, WarnLoss: warn})
		if err != nil {
			t.Fatal(err)
		}
		if left := r.Lags[0].Retention; left == nil || *left < 590 || *left > 600 {
			t.Fatalf("retention in %v, want about ten minutes", left)
		}
		if got, want := len(r.Findings) > 0, warn == time.Hour; got != want {
			t.Errorf("with %s: %q", warn, r.Findings)
		}
	}
}

func TestAGroupThatReadsFasterThanIsWrittenCatchesUp(t *testing.T) {
	lag := func(consumed, produced float64) *TopicLag {
		x := &TopicLag{}
		x.add(&PartitionLag{Lag: 100, Consumed: consumed, Produced: produced, Committed: 1, End: 101})
		x.finish()
		return x
	}
	for _, c := range []struct {
		consumed, produced float64
		trend              string
		seconds            float64 // -1: never
	}{{30, 10, TrendCatching, 5}, {10, 30, TrendGrows, -1}, {10, 10, TrendSteady, -1}, {0, 0, TrendStands, -1}, {0, 1, TrendGrows, -1}} {
		x := lag(c.consumed, c.produced)
		if x.Trend != c.trend || (x.CaughtUp == nil) != (c.seconds < 0) || x.CaughtUp != nil && *x.CaughtUp != c.seconds {
			t.Errorf("%v: %+v", c, x)
		}
	}
	left := 10.0
	x := lag(30, 10)
	if x.Retention = &left; x.endangered(time.Minute) {
		t.Error("it will have caught up in 5 s, and nothing goes before 10 s")
	}
	if left = 3; !x.endangered(time.Minute) {
		t.Error("it will not have caught up in 3 s")
	}
}

func TestGroupsShowTheirMembers(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(4, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 8)
	member := newClient(t, c.ListenAddrs(), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ClientID("rdkafka"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if fetches := member.PollFetches(t.Context()); fetches.Err() != nil {
		t.Fatal(fetches.Err())
	}
	r, err := newAdmin(t, c.ListenAddrs()).Groups(t.Context(), Which{})
	if err != nil {
		t.Fatal(err)
	}
	g := r.Groups[0]
	if g.Name != "g" || g.Kind != ClassicGroup || g.State != "Stable" || len(g.Members) != 1 || g.Partitions != 4 || g.Idle != 0 {
		t.Fatalf("%+v", g)
	}
	m := g.Members[0]
	if m.ClientID != "rdkafka" || m.Partitions != 4 || !slices.Equal(m.Assigned["t"], []int{0, 1, 2, 3}) || m.Library != LibraryRdkafka || m.Because == "" {
		t.Errorf("%+v", m)
	}
}

func TestLibrariesAreGuessedAndSaidToBe(t *testing.T) {
	for _, c := range []struct{ protocol, client, want string }{
		{"RoundRobinAssigner", "orders-app", LibraryKafkaJS}, {"range", "kafkajs", LibraryKafkaJS}, {"range", "rdkafka", LibraryRdkafka}, {"range", "sarama", "sarama"},
		{"range", "consumer-billing-1", "Java"}, {"cooperative-sticky", "kgo", "franz-go"}, {"range", "kafka-python-2.0.2", "kafka-python"},
		{"range", "host@prog (github.com/segmentio/kafka-go)", "segmentio/kafka-go"}, {"range", "orders-app", ""},
	} {
		library, why := guessLibrary(&GroupReport{Kind: ClassicGroup, Protocol: c.protocol}, &GroupMember{ClientID: c.client})
		if library != c.want || (why == "") != (c.want == "") {
			t.Errorf("%v: %q because %q", c, library, why)
		}
	}
}

// The partitions of 2000 keys, as clients of each kind have put 10,000 records with them into six partitions of a real broker.
func TestPartitionersPutKeysWhereTheirClientsDo(t *testing.T) {
	want := map[string][]int{
		Murmur2: {1745, 1710, 1795, 1530, 1680, 1540}, CRC32: {1650, 1805, 1665, 1710, 1695, 1475}, FNV1a: {1590, 1650, 1750, 1760, 1660, 1590},
	}
	got := map[string][]int{Murmur2: make([]int, 6), CRC32: make([]int, 6), FNV1a: make([]int, 6)}
	for i := range 2000 {
		for name, p := range partitionOf(fmt.Append(nil, "key-", i), 6) {
			got[name][p] += 5
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeysOfTwoPartitionersAreSeen(t *testing.T) {
	record := func(key string, by string) *kgo.Record {
		return &kgo.Record{Key: []byte(key), Partition: int32(partitionOf([]byte(key), 6)[by])}
	}
	var one, two []*kgo.Record
	for i := range 300 {
		key := fmt.Sprint("key-", i%100)
		one = append(one, record(key, Murmur2))
		two = append(two, record(key, []string{Murmur2, CRC32, Murmur2}[i/100]))
	}
	one = append(one, &kgo.Record{Partition: 3})
	a, b := spreadOf(one, 6), spreadOf(two, 6)
	if f := a.finding(); f != nil || a.Shares[Murmur2] != 1 || a.Keyless != 1 {
		t.Errorf("one partitioner: %+v %+v", a, f)
	}
	f := b.finding()
	if f == nil || f.Severity != Warning || b.Scattered == 0 || b.Shares[CRC32] < 0.2 || b.Shares[Murmur2] < 0.5 || f.Guessed == "" || !strings.Contains(f.What, "crc32") {
		t.Errorf("two partitioners: %+v %+v", b, f)
	}
}

func TestTheHeadOfABatchIsReadAlsoIfTheRestIsCutOff(t *testing.T) {
	b := make([]byte, 61)
	binary.BigEndian.PutUint64(b, 100)
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], 4|8|0x20)
	binary.BigEndian.PutUint32(b[23:], 9)
	binary.BigEndian.PutUint64(b[27:], 1000)
	binary.BigEndian.PutUint64(b[35:], 2000)
	binary.BigEndian.PutUint64(b[43:], 77)
	binary.BigEndian.PutUint32(b[57:], 10)
	h, ok := readHead(b)
	want := batchHead{Offset: 100, LastOffset: 109, Codec: "zstd", AppendTime: true, Control: true, First: time.UnixMilli(1000).UTC(), Max: time.UnixMilli(2000).UTC(), ProducerID: 77, Records: 10}
	if !ok || h != want {
		t.Errorf("%+v", h)
	}
	for n := range b {
		if _, ok := readHead(b[:n]); ok {
			t.Errorf("%d bytes are a head", n)
		}
	}
}

func FuzzReadHead(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x00", 16) + "\x02" + strings.Repeat("\xff", 60)))
	f.Add([]byte(strings.Repeat("\x00", 16) + "\x01" + strings.Repeat("\xff", 20)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := readHead(b); ok && (len(b) < 26 || h.Codec == "") {
			t.Errorf("%d bytes: %+v", len(b), h)
		}
	})
}

func TestDoctorSeesGroupsWithoutMembersAndCodecs(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t", "quiet"))
	write(t, c.ListenAddrs(), kgo.SnappyCompression(), &kgo.Record{Topic: "t", Value: []byte(strings.Repeat("a", 500))})
	commit(t, c.ListenAddrs(), "gone", "t", map[int32]int64{0: 0})
	member := newClient(t, c.ListenAddrs(), kgo.ConsumerGroup("js"), kgo.ConsumeTopics("t"), kgo.ClientID("kafkajs"))
	polled, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	member.PollFetches(polled)
	d, err := newAdmin(t, c.ListenAddrs()).Doctor(t.Context(), DoctorOptions{For: 50 * time.Millisecond, Keys: true})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Finding{}
	for _, f := range d.Findings {
		found[f.Check] = f
	}
	if f := found["nobody-reads"]; !slices.Contains(f.Subjects, "gone in t") {
		t.Errorf("%+v", d.Findings)
	}
	if f := found["codec"]; f.Severity != Warning || !slices.Contains(f.Subjects, "js in t") || !strings.Contains(f.What, "snappy") || !strings.Contains(f.Guessed, "KafkaJS") {
		t.Errorf("%+v", f)
	}
	for _, f := range d.Findings {
		if f.Why == "" || f.Fix == "" || f.What == "" || len(f.Subjects) == 0 {
			t.Errorf("a finding without a reason or a remedy: %+v", f)
		}
	}
}

func TestWhatMayNotBeAskedIsSaid(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.ControlKey(35, failing(t)) // DescribeLogDirs
	r, err := newAdmin(t, c.ListenAddrs()).Topics(t.Context(), TopicsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Topics[0].Bytes != -1 || !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "sizes on disk are not known") }) {
		t.Errorf("%+v %q", r.Topics, r.Notes)
	}
}

func TestATransactionThatIsOpenForTooLongIsFound(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	writer := newClient(t, c.ListenAddrs(), kgo.TransactionalID("tx"), kgo.TransactionTimeout(time.Minute))
	if err := writer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	a := newAdmin(t, c.ListenAddrs())
	for _, later := range []time.Duration{time.Second, 20 * time.Minute} {
		l, err := a.look(t.Context(), Which{}, new(Notes))
		if err != nil {
			t.Fatal(err)
		}
		e := &examination{Admin: a, look: l, named: map[string]*Finding{}}
		if e.topics, err = a.topics(t.Context(), l, 0); err != nil {
			t.Fatal(err)
		}
		l.at = time.Now().Add(later)
		e.transactions(t.Context())
		found := map[string]string{}
		for _, f := range e.named {
			found[f.Check] = strings.Join(f.Subjects, ",") + " " + f.Severity
		}
		want := map[string]string{}
		if later > time.Minute {
			want = map[string]string{"hanging-transaction": "tx critical", "blocked-readers": "t critical"}
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("after %s: %s %q", later, diff, l.notes.Lines())
		}
	}
}
