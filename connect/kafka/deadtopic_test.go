package kafka

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/narudata/naru/flow"
)

// failing answers a request with an error of authorization.
func failing(t testing.TB) func(kmsg.Request) (kmsg.Response, error, bool) {
	t.Helper()
	return func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind()
		if r, ok := resp.(*kmsg.DescribeLogDirsResponse); ok {
			r.ErrorCode = 31 // CLUSTER_AUTHORIZATION_FAILED
			return r, nil, true
		}
		return nil, nil, false
	}
}

// recordsOf reads what is in a topic.
func recordsOf(t testing.TB, brokers []string, topic string) []flow.Record {
	t.Helper()
	r, err := (&Range{Config: Config{Brokers: brokers}, Topics: []string{topic}}).Replay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []flow.Record
	for _, s := range r.Spans {
		err := r.each(t.Context(), s, func(b *flow.Batch) error {
			for _, x := range b.Records {
				x.Body, x.Key, x.Meta = slices.Clone(x.Body), slices.Clone(x.Key), slices.Clone(x.Meta)
				out = append(out, x)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func letters(t testing.TB, d DeadLetters) []DeadLetter {
	t.Helper()
	var out []DeadLetter
	if err := d.Each(t.Context(), func(l *DeadLetter) error { x := *l; out = append(out, x); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestADeadLetterKnowsWhereItWasAndGoesBackThereOnlySoOften(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "orders", "dead"), kfake.ClusterID("c1"))
	write(t, c.ListenAddrs(), kgo.NoCompression(),
		&kgo.Record{Topic: "orders", Key: []byte("k1"), Value: []byte("v1"), Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("x")}}},
		&kgo.Record{Topic: "orders", Key: []byte("k2")})
	config := Config{Brokers: c.ListenAddrs()}
	dead, err := (&DeadTopicConfig{Config: config, Topic: "dead", Pipeline: "main"}).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close() //nolint:errcheck // read below
	for round := 1; round <= 2; round++ {
		var recs []flow.Record
		for _, r := range recordsOf(t, c.ListenAddrs(), "orders") {
			if r.Version > int64(2*(round-1)) { // those that came since
				recs = append(recs, r)
			}
		}
		if len(recs) != 2 {
			t.Fatalf("round %d: %d records", round, len(recs))
		}
		recs[0].Index, recs[0].Key = "orders-2026", []byte("an id of a document")
		if err := dead.Bury(t.Context(), recs, []error{errors.New("mapper_parsing_exception"), errors.New(strings.Repeat("long ", 1000))}); err != nil {
			t.Fatal(err)
		}
		got := letters(t, DeadLetters{Config: config, Topic: "dead"})
		if len(got) != 2 {
			t.Fatalf("round %d: %d open letters", round, len(got))
		}
		a, b := got[0], got[1]
		if a.Reason != "mapper_parsing_exception" || a.Topic != "orders" || a.From != fmt.Sprint("0:", 2*(round-1)) || a.Index != "orders-2026" || a.Pipeline != "main" || a.Count != round ||
			string(a.Meta.Key) != "k1" || string(a.Record.Body) != "v1" || time.Since(a.At) > time.Minute || a.Done {
			t.Errorf("round %d: %+v", round, a)
		}
		if b.Record.Body != nil || !b.Meta.Tombstone || len(b.Reason) > 2100 || b.Index != "" {
			t.Errorf("round %d: %+v", round, b)
		}
		names := []string{}
		for h := range a.Meta.Headers() {
			names = append(names, h.Name)
		}
		if names[0] != "trace" || len(names) != 10 {
			t.Errorf("headers %q", names)
		}
		r, err := (&Redrive{DeadLetters: DeadLetters{Config: config, Topic: "dead"}, Limit: 2}).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if round == 1 && (r.Driven != 2 || r.By["orders"] != 2 || r.TooOften != 0) || round == 2 && (r.Driven != 0 || r.TooOften != 2) {
			t.Errorf("round %d: %+v", round, r)
		}
		if left := letters(t, DeadLetters{Config: config, Topic: "dead"}); len(left) != 0 {
			t.Errorf("round %d: %d letters are open", round, len(left))
		}
	}
	back := recordsOf(t, c.ListenAddrs(), "orders")
	m, err := ParseMeta(back[2].Meta)
	if err != nil || string(back[2].Key) != "k1" || string(back[2].Body) != "v1" || back[3].Body != nil {
		t.Fatal(back, err)
	}
	names := []string{}
	for h := range m.Headers() {
		names = append(names, h.Name+"="+string(h.Value))
	}
	if !slices.Equal(names, []string{"trace=x", DeadCount + "=1"}) {
		t.Errorf("headers of a record that came back: %q", names)
	}
	if all := letters(t, DeadLetters{Config: config, Topic: "dead", Done: true}); len(all) != 4 || !all[0].Done {
		t.Errorf("%d letters, done or not", len(all))
	}
	if one := letters(t, DeadLetters{Config: config, Topic: "dead", Letter: "0:1"}); len(one) != 1 || one[0].Offset != 1 {
		t.Errorf("%+v", one)
	}
}

func TestADeadLetterTopicMustBeThere(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	_, err := (&DeadTopicConfig{Config: Config{Brokers: c.ListenAddrs()}, Topic: "dead"}).Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "kafka-topics.sh --create") {
		t.Error(err)
	}
}

func TestARecordOfNoTopicCanBeADeadLetter(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "dead"))
	config := Config{Brokers: c.ListenAddrs()}
	dead, err := (&DeadTopicConfig{Config: config, Topic: "dead"}).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close() //nolint:errcheck // read below
	if err := dead.Bury(t.Context(), []flow.Record{{Index: "logs", Key: []byte("id"), Body: []byte("{}")}}, []error{errors.New("no")}); err != nil {
		t.Fatal(err)
	}
	l := letters(t, DeadLetters{Config: config, Topic: "dead"})[0]
	if l.Topic != "" || l.From != "" || l.Index != "logs" || string(l.Meta.Key) != "id" || l.Count != 1 {
		t.Errorf("%+v", l)
	}
	r, err := (&Redrive{DeadLetters: DeadLetters{Config: config, Topic: "dead"}}).Run(t.Context())
	if err != nil || r.NoTopic != 1 || r.Driven != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestAReplayGoesOnWhereItWasWithTheSameEnds(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"), kfake.ClusterID("c1"))
	produce(t, c.ListenAddrs(), "t", 0, 100)
	of := &Range{Config: Config{Brokers: c.ListenAddrs()}, Topics: []string{"t"}, From: Offset(10)}
	r, err := of.Replay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	produce(t, c.ListenAddrs(), "t", 100, 5) // too late
	part := flow.Part{}
	for p, err := range r.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		part = p
	}
	read := func(from flow.Position, most int) (got []string, next flow.Position, over bool) {
		x, err := r.Open(t.Context(), part, from)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}()
		for {
			b := flow.Batch{MaxRecords: 7}
			err := x.Read(t.Context(), &b)
			for i := range b.Records {
				got = append(got, string(b.Records[i].Body))
			}
			next = slices.Clone(b.Next)
			if err == io.EOF { //nolint:errorlint // the contract
				return got, next, true
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) >= most {
				return got, next, false
			}
		}
	}
	first, at, over := read(nil, 30)
	if over || first[0] != "10" {
		t.Fatal(first, over)
	}
	rest, _, over := read(at, 1000)
	if !over || len(first)+len(rest) != 90 || rest[0] != fmt.Sprint(10+len(first)) || rest[len(rest)-1] != "99" {
		t.Errorf("%d and %d records, from %s to %s", len(first), len(rest), rest[0], rest[len(rest)-1])
	}
	if !strings.Contains(r.Identity(), "c1") || !strings.Contains(r.Identity(), "t/0:10-100") {
		t.Error(r.Identity())
	}
}

func TestRecordsBecomeDocuments(t *testing.T) {
	meta := func(key []byte, value []byte, headers ...kgo.RecordHeader) []byte {
		b, _ := appendRecord(appendPrefix(nil, "c1", "t", 3), &kgo.Record{Key: key, Value: value, Offset: 17, Timestamp: time.UnixMilli(1000), Headers: headers})
		return b
	}
	batch := func() *flow.Batch {
		b := &flow.Batch{}
		for _, v := range []struct{ key, value []byte }{
			{[]byte("k"), []byte("{\n \"a\": 1\n}")}, {[]byte("k"), []byte("a text")}, {[]byte("k"), []byte("\xff")}, {nil, []byte("{}")}, {[]byte("k"), nil},
		} {
			b.Records = append(b.Records, flow.Record{Index: "t", Key: v.key, Body: v.value, Version: 18, Time: time.UnixMilli(1000), Meta: meta(v.key, v.value, kgo.RecordHeader{Key: "h", Value: []byte("x")})})
		}
		return b
	}
	b := batch()
	if err := (&Documents{Index: "i"}).Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range b.Records {
		got = append(got, fmt.Sprintf("%s %s %d %s", r.Index, r.Key, r.Version, r.Body))
	}
	want := []string{
		`i c1:t:3:17 0 {"a":1}`, `i c1:t:3:17 0 {"@timestamp":"1970-01-01T00:00:01Z","message":"a text"}`,
		`i c1:t:3:17 0 {"@timestamp":"1970-01-01T00:00:01Z","message_base64":"/w=="}`, `i c1:t:3:17 0 {}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	b = batch()
	err := (&Documents{ByKey: true, Deletes: true, Field: "kafka"}).Process(t.Context(), b)
	failures, ok := errors.AsType[flow.Failures](err)
	if !ok || len(failures) != 1 || failures[0].Index != 3 || len(b.Records) != 5 {
		t.Fatal(err, len(b.Records))
	}
	if r := b.Records[4]; r.Body != nil || r.Version != 18 || string(r.Key) != "k" || r.Index != "t" {
		t.Errorf("a tombstone: %+v", r)
	}
	if got, want := string(b.Records[0].Body), `{"a":1,"kafka":{"headers":{"h":"x"},"key":"k","offset":17,"partition":3,"timestamp":"1970-01-01T00:00:01Z","topic":"t"}}`; got != want {
		t.Errorf("%s", got)
	}
	if b = batch(); (&Documents{Field: "k"}).Process(t.Context(), b) != nil || !strings.HasPrefix(string(b.Records[3].Body), `{"k":{`) {
		t.Errorf("%s", b.Records[3].Body)
	}
}
