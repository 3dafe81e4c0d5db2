package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

func newProducer(t testing.TB, brokers []string, w Writing) *Producer {
	t.Helper()
	p, err := (&Sink{Config: Config{Brokers: brokers}, Writing: w}).Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// readAll gives n records of a topic, by partition.
func readAll(t testing.TB, brokers []string, topic string, n int, options ...kgo.Opt) map[int32][]*kgo.Record {
	t.Helper()
	c := newClient(t, brokers, append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.FetchMaxWait(100 * time.Millisecond)}, options...)...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := map[int32][]*kgo.Record{}
	for got := 0; got < n; {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records came", got, n)
		}
		f.EachRecord(func(r *kgo.Record) { out[r.Partition] = append(out[r.Partition], r); got++ })
	}
	return out
}

func TestRecordsAreWrittenAsTheyAre(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "a", "b"))
	p := newProducer(t, c.ListenAddrs(), Writing{Topic: "a"})
	at := time.UnixMilli(1_700_000_000_123)
	headers := AppendHeaders(nil, []Header{{"x", []byte("1")}, {"x", nil}})
	if err := p.Write(t.Context(), []flow.Record{
		{Key: []byte("k"), Body: []byte("v"), Meta: headers, Time: at},
		{Index: "b", Body: []byte("to b"), Meta: []byte("of another source")},
		{Key: []byte("k"), Body: nil, Time: at},
		{Key: []byte{}, Body: []byte{}, Time: at},
	}); err != nil {
		t.Fatal(err)
	}
	type rec struct {
		K, V             string
		NilK, NilV, Time bool
		H                []kgo.RecordHeader
	}
	var got []rec
	for _, r := range readAll(t, c.ListenAddrs(), "a", 3)[0] {
		got = append(got, rec{string(r.Key), string(r.Value), r.Key == nil, r.Value == nil, r.Timestamp.Equal(at), r.Headers})
	}
	want := []rec{{"k", "v", false, false, true, []kgo.RecordHeader{{Key: "x", Value: []byte("1")}, {Key: "x"}}}, {"k", "", false, true, true, nil}, {"", "", false, false, true, nil}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if r := readAll(t, c.ListenAddrs(), "b", 1)[0][0]; string(r.Value) != "to b" || r.Headers != nil || time.Since(r.Timestamp) > time.Minute {
		t.Errorf("got %+v", r)
	}
}

func TestKeysGoWhereOtherClientsPutThem(t *testing.T) {
	// How many of 10 000 records with the keys key-0 to key-1999 are in which of 6 partitions, as counted for the Java client,
	// and for librdkafka.
	for name, want := range map[string][]int{
		"murmur2": {1745, 1710, 1795, 1530, 1680, 1540},
		"crc32":   {1650, 1805, 1665, 1710, 1695, 1475},
	} {
		c := newCluster(t, kfake.SeedTopics(6, "t"))
		p := newProducer(t, c.ListenAddrs(), Writing{Topic: "t", Partitioner: name})
		recs := make([]flow.Record, 10_000)
		for i := range recs {
			recs[i] = flow.Record{Key: fmt.Append(nil, "key-", i%2000), Body: fmt.Append(nil, i)}
		}
		if err := p.Write(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
		got := make([]int, 6)
		for partition, recs := range readAll(t, c.ListenAddrs(), "t", len(recs)) {
			got[partition] = len(recs)
			if !slices.IsSortedFunc(recs, func(a, b *kgo.Record) int { return number(t, a) - number(t, b) }) {
				t.Errorf("%s: partition %d is out of order", name, partition)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func number(t testing.TB, r *kgo.Record) int {
	t.Helper()
	n, err := strconv.Atoi(string(r.Value))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheCodecIsTheOneThatWasChosen(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "none", "gzip", "snappy", "lz4", "zstd"))
	for i, codec := range Codecs {
		w := Writing{Compression: codec}
		if codec == CodecNone {
			w.Compression = ""
		}
		p := newProducer(t, c.ListenAddrs(), w)
		if err := p.Write(t.Context(), []flow.Record{{Index: string(codec), Body: bytes.Repeat([]byte("x"), 5000)}}); err != nil {
			t.Fatal(err)
		}
		if r := readAll(t, c.ListenAddrs(), string(codec), 1)[0][0]; int(r.Attrs.CompressionType()) != i {
			t.Errorf("%s: compression type %d", codec, r.Attrs.CompressionType())
		}
	}
}

func TestRecordsThatKafkaNeverTakesAreDeadLetters(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	p := newProducer(t, c.ListenAddrs(), Writing{BatchBytes: 10_000})
	err := p.Write(t.Context(), []flow.Record{
		{Index: "t", Body: []byte("0")}, {Index: "t", Body: make([]byte, 20_000)}, {Index: "", Body: []byte("x")},
		{Index: "no such topic!", Body: []byte("x")}, {Index: "t", Body: []byte("1")},
	})
	var f flow.Failures
	if !errors.As(err, &f) || len(f) != 3 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{"larger than batchBytes", "has no topic", "a name has 1 to 249"} {
		if f[i].Index != i+1 || !flow.IsPermanent(f[i].Err) || !strings.Contains(f[i].Err.Error(), want) {
			t.Errorf("record %d: permanent %t: %v", f[i].Index, flow.IsPermanent(f[i].Err), f[i].Err)
		}
	}
	if got := readAll(t, c.ListenAddrs(), "t", 2)[0]; len(got) != 2 {
		t.Errorf("%d records", len(got))
	}
}

func TestATopicThatDoesNotExistIsWaitedForOrNot(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"), kfake.AllowAutoTopicCreation())
	for _, dead := range []string{"retry", "dead"} {
		p := newProducer(t, c.ListenAddrs(), Writing{UnknownTopic: dead})
		var f flow.Failures
		err := p.Write(t.Context(), []flow.Record{{Index: "later", Body: []byte("0")}, {Index: "t", Body: []byte("0")}})
		if !errors.As(err, &f) || len(f) != 1 || f[0].Index != 0 || flow.IsPermanent(f[0].Err) != (dead == "dead") {
			t.Errorf("%s: %v", dead, err)
		}
	}
	p := newProducer(t, c.ListenAddrs(), Writing{CreateTopics: true})
	if err := p.Write(t.Context(), []flow.Record{{Index: "made", Body: []byte("0")}}); err != nil {
		t.Errorf("a topic is not made: %v", err)
	}
}

func TestAWriteEndsWhenThereIsNoMoreTimeAndNobodyAnswers(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	p := newProducer(t, c.ListenAddrs(), Writing{Topic: "t"})
	if err := p.Write(t.Context(), []flow.Record{{Body: []byte("0")}}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := p.Write(ctx, []flow.Record{{Body: []byte("1")}}); err == nil {
		t.Error("written to nobody")
	}
	if took := time.Since(began); took > 3*stopPatience {
		t.Errorf("it took %v", took)
	}
}

func TestWhatIsWrongWithAConfigurationIsSaid(t *testing.T) {
	ok := Config{Brokers: []string{"k:9092"}}
	for want, c := range map[string]interface{ Validate() error }{
		"brokers is missing":         &Config{},
		`broker "kafka"`:             &Config{Brokers: []string{"kafka"}},
		"mechanism is missing":       &SASL{},
		`mechanism "GSSAPI"`:         &SASL{Mechanism: "GSSAPI"},
		"needs tokenFile":            &SASL{Mechanism: OAuthBearer},
		"no username":                &SASL{Mechanism: MSKIAM, Username: "x"},
		`compression "brotli"`:       &Sink{Config: ok, Writing: Writing{Compression: "brotli"}},
		`acks "2"`:                   &Sink{Config: ok, Writing: Writing{Acks: "2"}},
		`partitioner "x"`:            &Sink{Config: ok, Writing: Writing{Partitioner: "x"}},
		"batchBytes 5":               &Sink{Config: ok, Writing: Writing{BatchBytes: 5}},
		`unknownTopic "drop"`:        &Sink{Config: ok, Writing: Writing{UnknownTopic: "drop"}},
		"group is missing":           &Group{Config: ok, Topics: []string{"t"}},
		"either topics or a pattern": &Group{Config: ok, Group: "g"},
		"pattern: ":                  &Group{Config: ok, Group: "g", Pattern: "("},
		`protocol "share"`:           &Group{Config: ok, Group: "g", Topics: []string{"t"}, Protocol: "share"},
		`assignor "x"`:               &Group{Config: ok, Group: "g", Topics: []string{"t"}, Assignors: []string{"x"}},
		"heartbeatInterval must be":  &Group{Config: ok, Group: "g", Topics: []string{"t"}, HeartbeatInterval: time.Minute},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestMetaOfForeignBytesIsAnError(t *testing.T) {
	whole := AppendHeaders(nil, []Header{{"a", []byte("b")}})
	if _, err := ParseMeta(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := ParseMeta(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are no error", n, len(whole))
		}
	}
	if _, err := ParseMeta(append(slices.Clone(whole), 0)); err == nil {
		t.Error("more bytes are no error")
	}
}

func FuzzParseMeta(f *testing.F) {
	f.Add(AppendHeaders(nil, []Header{{"a", []byte("b")}, {"", nil}}))
	rec := &kgo.Record{Key: []byte("k"), Offset: 77, Headers: []kgo.RecordHeader{{Key: "h"}}, Timestamp: time.UnixMilli(5)}
	whole, _ := appendRecord(appendPrefix(nil, "c", "t", 3), rec)
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		Identity(b)
		m, err := ParseMeta(b)
		if err != nil {
			return
		}
		n := 0
		for range m.Headers() {
			n++
		}
		if uint64(n) != m.count || n > len(b) {
			t.Errorf("%d headers of %d", n, m.count)
		}
	})
}
