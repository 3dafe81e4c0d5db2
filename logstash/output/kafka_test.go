package output

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
)

// asLine is a codec that writes events as JSON.
type asLine struct{ codec.Encoder }

func (asLine) Encode(dst []byte, e *event.Event) []byte { return e.AppendJSON(dst) }

func TestEventsBecomeRecordsOfKafka(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "web-access", "web-error"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := mustBulk(t, fmt.Sprintf(`kafka { bootstrap_servers => "%s" topic_id => "web-%%{kind}" message_key => "%%{[u][id]}" message_headers => { "env" => "prod" "kind" => "%%{kind}" }
		compression_type => gzip }`, c.ListenAddrs()[0]), "disabled")
	f := o.Former(asLine{})
	var recs []flow.Record
	var dst []byte
	for _, text := range []string{`{"kind":"access","u":{"id":7}}`, `{"kind":"error"}`, `{"kind":"access","u":{"id":8},"@metadata":{"kafka":{"tombstone":true}}}`, `{"kind":"no such!"}`} {
		r := flow.Record{Key: []byte("of the event before"), Meta: []byte("too")}
		if dst, err = f.Form(dst, &r, eventOf(t, text)); err != nil {
			t.Fatal(err)
		}
		recs = append(recs, r)
	}
	s := openBulk(t, o, nil)
	if !s.InOrder {
		t.Error("records are not written in order")
	}
	var failures flow.Failures
	if err := s.Write(t.Context(), recs); !errors.As(err, &failures) || len(failures) != 1 || failures[0].Index != 3 || !flow.IsPermanent(failures[0].Err) {
		t.Errorf("got %v", err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("web-access", "web-error"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := map[string][]string{}
	zipped := false
	for n := 0; n < 3 && ctx.Err() == nil; {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			n++
			value := string(r.Value)
			if r.Value == nil {
				value = "(none)"
			}
			var headers []string
			for _, h := range r.Headers {
				headers = append(headers, h.Key+"="+string(h.Value))
			}
			got[r.Topic] = append(got[r.Topic], string(r.Key)+" "+value+" "+strings.Join(headers, " "))
			zipped = zipped || r.Attrs.CompressionType() == 1 // of a batch that it makes smaller
		})
	}
	if !zipped {
		t.Error("nothing is compressed")
	}
	want := map[string][]string{
		"web-access": {`7 {"kind":"access","u":{"id":7}` + stamp + `} env=prod kind=access`, `8 (none) env=prod kind=access`},
		"web-error":  {`%{[u][id]} {"kind":"error"` + stamp + `} env=prod kind=error`},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAKafkaOutputWithoutAKeyHasNone(t *testing.T) {
	o := mustBulk(t, `kafka { topic_id => "fixed" acks => "1" partitioner => round_robin linger_ms => 0 }`, "disabled")
	var r flow.Record
	if _, err := o.Former(asLine{}).Form(nil, &r, eventOf(t, `{"a":1}`)); err != nil || r.Index != "fixed" || r.Key != nil || r.Meta != nil {
		t.Errorf("got %+v, %v", r, err)
	}
	w := o.(*kafkaOutput).sink.Writing
	if w.Acks != "leader" || w.Partitioner != "roundrobin" || w.Compression != "none" || w.BatchBytes != 1<<20 {
		t.Errorf("got %+v", w)
	}
}

func TestFormingARecordOfKafkaAllocatesNothing(t *testing.T) {
	o := mustBulk(t, `kafka { topic_id => "web-%{kind}" message_key => "%{id}" message_headers => { "env" => "prod" } }`, "disabled")
	f, e := o.Former(asLine{}), eventOf(t, `{"kind":"access","id":"7"}`)
	dst := make([]byte, 0, 1000)
	var r flow.Record
	if n := testing.AllocsPerRun(100, func() {
		if _, err := f.Form(dst[:0], &r, e); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhatIsWrongWithAKafkaOutputIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		``:                                      "topic_id",
		`topic_id => "t" partitioner => mine`:   "partitioner",
		`topic_id => "t" retries => -1`:         "retries",
		`topic_id => "t" max_request_size => 5`: "max_request_size",
		`topic_id => "t" compression_type => brotli`:    "compression_type",
		`topic_id => "t" acks => "2"`:                   "acks",
		`topic_id => "t" value_serializer => "x.Y"`:     "value_serializer",
		`topic_id => "t" linger_ms => -1`:               "linger_ms",
		`topic_id => "t" security_protocol => SASL_SSL`: "sasl_mechanism",
		`topic_id => "t" bootstrap_servers => "kafka"`:  "bootstrap_servers",
	} {
		if _, err := setUpBulk(t, "kafka { "+text+" }", "disabled", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", text, want, err)
		}
	}
}
