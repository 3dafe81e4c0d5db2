package input

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/connect/kafka"
)

func kafkaCluster(t *testing.T) (brokers string, write func(...*kgo.Record)) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.ClusterID("c1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return c.ListenAddrs()[0], func(recs ...*kgo.Record) {
		t.Helper()
		for _, r := range recs {
			r.Topic, r.Timestamp = "t", time.UnixMilli(1_700_000_000_123)
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// common are options that make a test quick.
const common = `heartbeat_interval_ms => 50 auto_commit_interval_ms => 20 fetch_max_wait_ms => 50 auto_offset_reset => earliest`

func TestKafkaEventsSayWhereTheyComeFrom(t *testing.T) {
	brokers, write := kafkaCluster(t)
	write(
		&kgo.Record{Key: []byte("k"), Value: []byte(`{"a":1}`), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}, {Key: "bad", Value: []byte{255}}, {Key: "nil"}, {Key: "[", Value: []byte("y")}}},
		&kgo.Record{Value: []byte("no json")},
		&kgo.Record{Key: []byte("gone")},
	)
	meta := func(offset int, rest string) string {
		return fmt.Sprintf(`{"kafka":{"topic":"t","consumer_group":"g","partition":0,"offset":%d,%s,"timestamp":1700000000123,"id":"c1:t:0:%d"`, offset, rest, offset)
	}
	for _, c := range []struct {
		decorate     string
		events, meta []string
	}{
		{"none", []string{`{"message":"{\"a\":1}"}`, `{"message":"no json"}`, `{"message":""}`}, []string{`{}`, `{}`, `{}`}},
		{"basic", nil, []string{meta(0, `"key":"k"`) + "}}", meta(1, `"key":null`) + "}}", meta(2, `"key":"gone"`) + `,"tombstone":true}}`}},
		{"extended", nil, []string{meta(0, `"key":"k"`) + `,"headers":{"h":"x"}}}`, meta(1, `"key":null`) + "}}", meta(2, `"key":"gone"`) + `,"tombstone":true}}`}},
	} {
		t.Run(c.decorate, func(t *testing.T) {
			r := runInput(t, fmt.Sprintf(`kafka { bootstrap_servers => "%s" topics => "t" group_id => "g" decorate_events => %s %s }`, brokers, c.decorate, common), setting{})
			r.ack = false
			r.got(3)
			r.mu.Lock()
			defer r.mu.Unlock()
			if c.events != nil {
				var got []string
				for _, e := range r.events {
					got = append(got, withoutTimes(e))
				}
				if d := cmp.Diff(c.events, got); d != "" {
					t.Error(d)
				}
			}
			if d := cmp.Diff(c.meta, r.meta); d != "" {
				t.Error(d)
			}
		})
	}
}

func withoutTimes(text string) string {
	text, _, _ = strings.Cut(text, `,"@`)
	if !strings.HasSuffix(text, "}") {
		text += "}"
	}
	return text
}

func TestKafkaDecodesBySchema(t *testing.T) {
	brokers, write := kafkaCluster(t)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "me" || password != "it's" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/schemas/ids/7" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error_code":40403,"message":"none"}`)
			return
		}
		fmt.Fprint(w, `{"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"},{\"name\":\"n\",\"type\":[\"null\",\"int\"]}]}"}`)
	}))
	defer registry.Close()
	write(
		&kgo.Record{Value: []byte{0, 0, 0, 0, 7, 2, 'x', 2, 10}},
		&kgo.Record{Value: []byte("no schema")},
		&kgo.Record{Value: []byte{0, 0, 0, 0, 9, 2}},
	)
	r := runInput(t, fmt.Sprintf(`kafka { bootstrap_servers => "%s" topics => "t" group_id => "s" schema_registry_url => "%s" schema_registry_key => me
		schema_registry_secret => "it's" %s }`, brokers, registry.URL, common), setting{})
	r.got(3)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, want := range []string{`"a":"x","n":5`, `"message":"no schema","tags":["_schemafailure"]`, `"tags":["_schemafailure"]`} {
		if !strings.Contains(r.events[i], want) {
			t.Errorf("got %s, want %s", r.events[i], want)
		}
	}
}

func TestJAASConfigurationsAreRead(t *testing.T) {
	for text, want := range map[string]map[string]string{
		`org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p\"; =";`:              {"username": "u", "password": `p"; =`},
		"x.ScramLoginModule   required\n username='a b'\n password=p ;":                                                 {"username": "a b", "password": "p"},
		`software.amazon.msk.auth.iam.IAMLoginModule required awsProfileName="dev";`:                                    {"awsProfileName": "dev"},
		`software.amazon.msk.auth.iam.IAMLoginModule required;`:                                                         {},
		`org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId = "i" clientSecret="s";`: {"clientId": "i", "clientSecret": "s"},
	} {
		got, err := parseJAAS(text)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", text, err, d)
		}
	}
	for _, bad := range []string{"", "x", "x required", `x required a="b"`, `x wanted a="b";`, `x required a;`, `x required a=;`, `x required "a"="b";`, `x required a="b;`} {
		if got, err := parseJAAS(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
	got, err := parseJAASFile("// of Kafka\nOther { y required a=\"b\"; };\nKafkaClient {\n x.PlainLoginModule required\n username=\"u\" password=\"p;\";\n};\n")
	if d := cmp.Diff(map[string]string{"username": "u", "password": "p;"}, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
}

func FuzzJAAS(f *testing.F) {
	f.Add(`x.PlainLoginModule required username="u" password='p';`)
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = parseJAAS(text)
		_, _ = parseJAASFile(text)
	})
}

func TestKafkaOptionsBecomeThoseOfAGroup(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"trust.p12", "jaas.conf"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`KafkaClient { x required username="f" password="g"; };`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	jaas := `'x.ScramLoginModule required username="u" password="p";'`
	_, in, err := setUp(t, `kafka { bootstrap_servers => "a:1, SASL_SSL://b:2" topics => ["x","y"] group_id => "g" group_instance_id => "i" client_id => "c" client_rack => "r"
		auto_offset_reset => "by_duration:P1DT2H" partition_assignment_strategy => "org.apache.kafka.clients.consumer.StickyAssignor,round_robin"
		security_protocol => SASL_SSL sasl_mechanism => "SCRAM-SHA-512" sasl_jaas_config => `+jaas+` ssl_truststore_location => "trust.p12" ssl_truststore_password => "q"
		ssl_endpoint_identification_algorithm => "" isolation_level => read_committed max_poll_interval_ms => 60000 session_timeout_ms => 20000 consumer_threads => 3
		fetch_max_bytes => 1000000 max_partition_fetch_bytes => 5000 fetch_min_bytes => 10 request_timeout_ms => 5000 }`, setting{dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	g := in.(*kafkaInput).template
	g.Getenv = nil
	want := kafka.Group{
		Config: kafka.Config{
			Brokers: []string{"a:1", "b:2"}, ClientID: "c", Rack: "r", RequestTimeout: 5 * time.Second,
			TLS:  &kafka.TLS{CAFile: filepath.Join(dir, "trust.p12"), CAPassword: "q", InsecureServerName: true},
			SASL: &kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: "u", Password: "p"},
		},
		Reading: kafka.Reading{FetchMinBytes: 10, FetchMaxWait: 500 * time.Millisecond, FetchMaxBytes: 1_000_000, PartitionBytes: 5000, MetadataMaxAge: 5 * time.Minute},
		Group:   "g", Topics: []string{"x", "y"}, Instance: "i", Protocol: "classic", Start: kafka.Ago(26 * time.Hour), Assignors: []string{"sticky", "roundrobin"},
		SessionTimeout: 20 * time.Second, HeartbeatInterval: 3 * time.Second, RebalanceTimeout: time.Minute, CommitInterval: 5 * time.Second,
	}
	if d := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", g)); d != "" && fmt.Sprintf("%+v %+v", want.Reading, *want.SASL) != fmt.Sprintf("%+v %+v", g.Reading, *g.SASL) {
		t.Error(d)
	}
	if d := cmp.Diff(want.Topics, g.Topics); d != "" || g.Start != want.Start || g.RebalanceTimeout != time.Minute || string(g.SASL.Password) != "p" || string(g.TLS.CAPassword) != "q" {
		t.Errorf("got %+v", g)
	}
	if _, in, err = setUp(t, `kafka { security_protocol => SASL_PLAINTEXT sasl_mechanism => PLAIN jaas_path => "jaas.conf" }`, setting{dir: dir}); err != nil {
		t.Fatal(err)
	}
	g = in.(*kafkaInput).template
	if g.SASL.Username != "f" || g.Start != kafka.Latest || !g.ReadUncommitted || g.Assignors != nil || g.Group != "logstash" {
		t.Errorf("got %+v", g)
	}
}

func TestWhatIsWrongWithAKafkaInputIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		`bootstrap_servers => "a"`:                                                      "bootstrap_servers",
		`bootstrap_servers => ","`:                                                      "bootstrap_servers",
		`consumer_threads => 0`:                                                         "consumer_threads",
		`auto_offset_reset => "middle"`:                                                 "auto_offset_reset",
		`auto_offset_reset => "by_duration:5"`:                                          "auto_offset_reset",
		`partition_assignment_strategy => "mine"`:                                       "partition_assignment_strategy",
		`group_protocol => consumer session_timeout_ms => 5000`:                         "group_protocol",
		`value_deserializer_class => "my.Deserializer"`:                                 "value_deserializer_class",
		`security_protocol => SASL_SSL`:                                                 "sasl_mechanism",
		`security_protocol => SASL_SSL sasl_mechanism => PLAIN sasl_jaas_config => "x"`: "sasl_jaas_config",
		`security_protocol => SASL_SSL sasl_mechanism => PLAIN sasl_jaas_config => "x required a=b;"`:                  "sasl_jaas_config",
		`security_protocol => SASL_SSL sasl_mechanism => "AWS_MSK_IAM" sasl_jaas_config => "x required awsRoleArn=b;"`: "awsRoleArn",
		`security_protocol => SASL_SSL sasl_mechanism => "OAUTHBEARER"`:                                                "sasl_oauthbearer_token_endpoint_url",
		`security_protocol => SASL_SSL sasl_mechanism => "MAGIC"`:                                                      "MAGIC",
		`security_protocol => SSL ssl_endpoint_identification_algorithm => "x"`:                                        "ssl_endpoint_identification_algorithm",
		`topics_pattern => "("`:                                        "pattern",
		`schema_registry_url => "ftp://x"`:                             "schema_registry_url",
		`schema_registry_url => "http://x" schema_registry_key => "k"`: "schema_registry_secret",
		`schema_registry_url => "http://x" topics_pattern => "k"`:      "topics_pattern",
		`heartbeat_interval_ms => 20000`:                               "heartbeatInterval",
		`fetch_max_bytes => 3000000000`:                                "fetch_max_bytes",
	} {
		if _, _, err := setUp(t, "kafka { "+text+" }", setting{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", text, want, err)
		}
	}
}
