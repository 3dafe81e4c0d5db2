//go:build servers

package kafka

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

// TestServersOfKafka runs against each version what depends on the broker.
func TestServersOfKafka(t *testing.T) {
	for _, version := range testbed.KafkaVersions {
		t.Run(version, func(t *testing.T) {
			ok, missing := testbed.CanStartKafka(t, version)
			testbed.Need(t, ok, missing)
			k := testbed.StartKafka(t, version, testbed.KafkaOptions{TLS: true})
			addTopics(t, []string{k.Plain}, map[string]int32{"classic": 6, "range": 6, "consumer": 6, "login": 1, "small": 1, "restart": 3, "t": 8, "one": 1})
			t.Run("Logins", func(t *testing.T) { logins(t, k) })
			for name, change := range map[string]func(*Group){
				"classic": func(*Group) {}, "range": func(g *Group) { g.Assignors = []string{"range"} }, "consumer": func(g *Group) { g.Protocol = "consumer" },
			} {
				t.Run("Rebalances/"+name, func(t *testing.T) {
					shuffle(t, []string{k.Plain}, func() *Group {
						g := quick([]string{k.Plain}, name)
						g.Group = "g-" + name
						change(g)
						return g
					}, name, 10, 500)
				})
			}
			t.Run("ARouteIsKeptBesideATopicOfOnePartition", func(t *testing.T) { keepRoute(t, []string{k.Plain}, "one") })
			t.Run("ACanaryTakesItsShareAndNothingIsLostOrDoubled", func(t *testing.T) { release(t, []string{k.Plain}) })
			t.Run("ABatchThatIsTooLargeForItsTopicIsSplit", func(t *testing.T) { tooLarge(t, k) })
			t.Run("ACarryThatIsKilledDeliversOnce", func(t *testing.T) { killCarry(t, k, 10_000) })
			t.Run("ABrokerThatDiesAndComesBackLosesNothing", func(t *testing.T) { restart(t, k) })
		})
	}
}

// logins writes and reads by each way of saying who one is.
func logins(t *testing.T, k *testbed.Kafka) {
	in := func(name string) string { return filepath.Join(k.Dir, name) }
	sasl := func(mechanism string) *SASL {
		return &SASL{Mechanism: mechanism, Username: testbed.KafkaUser, Password: testbed.KafkaPassword}
	}
	for name, c := range map[string]Config{
		"plain":              {Brokers: []string{k.SASL}, SASL: sasl(Plain)},
		"scram 256":          {Brokers: []string{k.SASL}, SASL: sasl(SCRAM256)},
		"scram 512":          {Brokers: []string{k.SASL}, SASL: sasl(SCRAM512)},
		"scram with TLS":     {Brokers: []string{k.SASLTLS}, SASL: sasl(SCRAM512), TLS: &TLS{CAFile: in("ca.pem")}},
		"PKCS #12":           {Brokers: []string{k.SASLTLS}, SASL: sasl(SCRAM512), TLS: &TLS{CAFile: in("trust.p12"), CAPassword: "changeit"}},
		"JKS":                {Brokers: []string{k.SASLTLS}, SASL: sasl(SCRAM512), TLS: &TLS{CAFile: in("trust.jks")}},
		"client certificate": {Brokers: []string{k.TLS}, TLS: &TLS{CAFile: in("ca.pem"), CertFile: in("client.p12"), CertPassword: "changeit"}},
		"no name checked":    {Brokers: []string{k.SASLTLS}, SASL: sasl(Plain), TLS: &TLS{CAFile: in("ca.pem"), InsecureServerName: true, ServerName: "elsewhere"}},
	} {
		p, err := (&Sink{Config: c, Writing: Writing{Topic: "login"}}).Open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := p.Write(t.Context(), []flow.Record{{Body: []byte(name)}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]Config{
		"wrong password":          {Brokers: []string{k.SASL}, SASL: &SASL{Mechanism: SCRAM512, Username: "naru", Password: "x"}},
		"wrong authority":         {Brokers: []string{k.SASLTLS}, SASL: sasl(Plain), TLS: &TLS{}},
		"wrong name":              {Brokers: []string{k.SASLTLS}, SASL: sasl(Plain), TLS: &TLS{CAFile: in("ca.pem"), ServerName: "elsewhere"}},
		"without a certificate":   {Brokers: []string{k.TLS}, TLS: &TLS{CAFile: in("ca.pem")}},
		"nobody is there to hear": {Brokers: []string{"127.0.0.1:1"}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if client, err := c.Connect(ctx); err == nil {
			client.Close()
			t.Errorf("%s: no error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
		cancel()
	}
}

// tooLarge writes batches that a topic does not take, though each record of them would do.
func tooLarge(t *testing.T, k *testbed.Kafka) {
	admin := kadm.NewClient(newClient(t, []string{k.Plain}))
	most := "5000"
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &most}}, "small"); err != nil {
		t.Fatal(err)
	}
	p := newProducer(t, []string{k.Plain}, Writing{Topic: "small"})
	var recs []flow.Record
	for i := range 20 {
		recs = append(recs, flow.Record{Body: fmt.Appendf(nil, "%02000d", i)})
	}
	recs = append(recs, flow.Record{Body: make([]byte, 8000)}, flow.Record{Body: fmt.Appendf(nil, "%02000d", 20)})
	err := p.Write(t.Context(), recs)
	f, ok := err.(flow.Failures) //nolint:errorlint // what Write gives
	if !ok || len(f) != 1 || f[0].Index != 20 || !flow.IsPermanent(f[0].Err) {
		t.Errorf("got %v", err)
	}
	for i, r := range readAll(t, []string{k.Plain}, "small", 21)[0] {
		if n := number(t, r); n != i {
			t.Errorf("record %d is number %d", i, n)
		}
	}
}

// restart kills the broker while a group reads and a sink writes.
func restart(t *testing.T, k *testbed.Kafka) {
	books := &ledger{}
	g := quick([]string{k.Plain}, "restart")
	g.Group = "restart"
	m := start(&engine{to: books, maxRecords: 20, inFlight: 2}, g)
	p := newProducer(t, []string{k.Plain}, Writing{Topic: "restart"})
	done := make(chan error, 1)
	const n = 4000
	go func() {
		for i := 0; i < n; i += 20 {
			var recs []flow.Record
			for j := i; j < i+20; j++ {
				recs = append(recs, flow.Record{Key: fmt.Append(nil, j), Body: fmt.Append(nil, j)})
			}
			for recs != nil {
				err := p.Write(t.Context(), recs)
				f, ok := err.(flow.Failures) //nolint:errorlint // what Write gives
				if err != nil && !ok {
					done <- err
					return
				}
				var again []flow.Record
				for _, x := range f {
					again = append(again, recs[x.Index])
				}
				recs = again
			}
			time.Sleep(2 * time.Millisecond)
		}
		done <- nil
	}()
	books.waitFor(t, 300, 30*time.Second)
	k.Kill(t)
	time.Sleep(time.Second)
	k.Restart(t)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	books.waitFor(t, n, 2*time.Minute)
	m.end(t)
	t.Logf("%d records were delivered more than once", books.check(t, n))
	if total := len(flatten(readAll(t, []string{k.Plain}, "restart", n))); total != n {
		t.Errorf("the topic has %d records", total)
	}
}

func flatten(parts map[int32][]*kgo.Record) (all []*kgo.Record) {
	for _, recs := range parts {
		all = append(all, recs...)
	}
	return all
}
