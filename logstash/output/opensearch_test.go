package output

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed/certs"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// setUpBulk sets an output up of the text of its plugin.
func setUpBulk(t testing.TB, text, ecs string, log *slog.Logger) (Output, error) {
	t.Helper()
	config, err := syntax.Parse("test.conf", []byte("output { "+text+" }"))
	if err != nil {
		t.Fatal(err)
	}
	var plugin *syntax.Plugin
	for found := range syntax.Plugins(config.Statements(syntax.Output)) {
		plugin = found
	}
	p := Table()[plugin.Name]()
	for _, problem := range option.Decode(plugin, p, option.Env{Section: syntax.Output, Dir: t.TempDir()}) {
		if !problem.Warning {
			return nil, problem
		}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return p.Setup(&Setup{ECS: ecs, Log: log, Now: time.Now, Where: "test.conf:1:1", Getenv: func(string) string { return "" }})
}

func mustBulk(t testing.TB, text, ecs string) Output {
	t.Helper()
	o, err := setUpBulk(t, text, ecs, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func openBulk(t testing.TB, o Output, log *slog.Logger) stream.Sink {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s, err := o.Open(&Run{ID: "out", Pipeline: "main", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func eventOf(t testing.TB, text string) *event.Event {
	t.Helper()
	v, err := event.ParseJSON([]byte(text), event.JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := event.FromMap(v)
	e.RemoveField("@version")
	e.SetTimestamp(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	return e
}

const stamp = `,"@timestamp":"2026-03-04T05:06:07.000Z"`

func TestAnEventBecomesTheLinesOfItsOperation(t *testing.T) {
	for _, c := range []struct{ output, ecs, event, want string }{
		{`opensearch {}`, "disabled", `{"a":1}`, `{"index":{"_index":"logstash-2026.03.04"}}|{"a":1` + stamp + `}|`},
		{`opensearch {}`, "v8", `{"a":1}`, `{"index":{"_index":"ecs-logstash-2026.03.04"}}|{"a":1` + stamp + `}|`},
		{`opensearch { index => "x-%{a}" action => create }`, "disabled", `{"a":"B\"c"}`, `{"create":{"_index":"x-B\"c"}}|{"a":"B\"c"` + stamp + `}|`},
		{`opensearch { index => "x-%{none}" }`, "disabled", `{}`, `{"index":{"_index":"x-%{none}"}}|{` + stamp[1:] + `}|`},
		{`opensearch { index => 'x' document_id => "%{id}" routing => "%{[r][s]}" pipeline => "%{p}" version => "%{v}" version_type => external }`, "disabled",
			`{"id":7,"r":{"s":"q"},"p":"","v":3}`,
			`{"index":{"_index":"x","_id":"7","routing":"q","version":3,"version_type":"external"}}|{"id":7,"r":{"s":"q"},"p":"","v":3` + stamp + `}|`},
		{`opensearch { index => 'x' action => "%{do}" document_id => "%{id}" }`, "disabled", `{"do":"delete","id":1}`, `{"delete":{"_index":"x","_id":"1"}}|`},
		{`opensearch { index => 'x' action => "%{do}" document_id => "%{id}" doc_as_upsert => true }`, "disabled", `{"do":"update","id":1}`,
			`{"update":{"_index":"x","_id":"1","retry_on_conflict":1}}|{"doc":{"do":"update","id":1` + stamp + `},"doc_as_upsert":true}|`},
		{`opensearch { index => 'x' action => update document_id => 1 retry_on_conflict => 5 upsert => '{ "n": "%{id}" }' }`, "disabled", `{"id":1}`,
			`{"update":{"_index":"x","_id":"1","retry_on_conflict":5}}|{"doc":{"id":1` + stamp + `},"upsert":{"n":"1"}}|`},
		{`opensearch { index => 'x' action => update document_id => 1 script => "ctx._source.n += params.event.id" scripted_upsert => true }`, "disabled", `{"id":1}`,
			`{"update":{"_index":"x","_id":"1","retry_on_conflict":1}}|{"script":{"source":"ctx._source.n += params.event.id","lang":"painless","params":{"event":{"id":1` + stamp + `}}},"scripted_upsert":true,"upsert":{}}|`},
		{`opensearch { index => 'x' action => update document_id => 1 script => 's' script_type => indexed script_var_name => 'e' doc_as_upsert => true }`, "disabled", `{}`,
			`{"update":{"_index":"x","_id":"1","retry_on_conflict":1}}|{"script":{"id":"s","params":{"e":{` + stamp[1:] + `}}},"upsert":{` + stamp[1:] + `}}|`},
		{`opensearch { index => 'x' join_field => 'j' parent => "%{p}" }`, "disabled", `{"j":"child","p":"1"}`,
			`{"index":{"_index":"x","routing":"1"}}|{"j":{"name":"child","parent":"1"},"p":"1"` + stamp + `}|`},

		{`elasticsearch {}`, "disabled", `{"@metadata":{"_ingest_document":{"id":"i","index":"n","pipeline":"p","routing":"r","version":4,"version_type":"external"}}}`,
			`{"index":{"_index":"n","_id":"i","routing":"r","pipeline":"p","version":4,"version_type":"external"}}|{` + stamp[1:] + `}|`},
		{`elasticsearch { index => 'x' document_id => 9 pipeline => own }`, "disabled", `{"@metadata":{"_ingest_document":{"id":"i","index":"n","pipeline":"p"}}}`,
			`{"index":{"_index":"x","_id":"9","pipeline":"own"}}|{` + stamp[1:] + `}|`},
		{`elasticsearch { index => 'x' }`, "disabled", `{"@metadata":{"target_ingest_pipeline":"for-%{a}"},"a":"b"}`,
			`{"index":{"_index":"x","pipeline":"for-b"}}|{"a":"b"` + stamp + `}|`},
		{`opensearch { index => 'x' }`, "disabled", `{"@metadata":{"target_ingest_pipeline":"p"},"a":"b"}`, `{"index":{"_index":"x"}}|{"a":"b"` + stamp + `}|`},
		{`elasticsearch { ilm_rollover_alias => al }`, "disabled", `{"@metadata":{"_ingest_document":{"index":"n"}}}`, `{"index":{"_index":"al"}}|{` + stamp[1:] + `}|`},
		{`elasticsearch { ilm_enabled => true }`, "v8", `{}`, `{"index":{"_index":"ecs-logstash"}}|{` + stamp[1:] + `}|`},
		{`elasticsearch { index => "x-%{n}" dlq_on_failed_indexname_interpolation => false }`, "disabled", `{}`, `{"index":{"_index":"x-%{n}"}}|{` + stamp[1:] + `}|`},

		{`elasticsearch {}`, "v8", `{"a":1}`, `{"create":{"_index":"logs-generic-default"}}|{"a":1` + stamp + `,"data_stream":{"type":"logs","dataset":"generic","namespace":"default"}}|`},
		{`elasticsearch {}`, "v8", `{"data_stream":{"type":"metrics","dataset":"d"}}`,
			`{"create":{"_index":"metrics-d-default"}}|{"data_stream":{"type":"metrics","dataset":"d","namespace":"default"}` + stamp + `}|`},
		{`elasticsearch { data_stream_auto_routing => false data_stream_dataset => own }`, "v1", `{"data_stream":{"type":"metrics","dataset":"d"}}`,
			`{"create":{"_index":"logs-own-default"}}|{"data_stream":{"type":"logs","dataset":"own","namespace":"default"}` + stamp + `}|`},
		{`elasticsearch { data_stream => true data_stream_sync_fields => false routing => 'r' }`, "v8", `{"a":1}`,
			`{"create":{"_index":"logs-generic-default","routing":"r"}}|{"a":1` + stamp + `}|`},
		{`elasticsearch { manage_template => false action => create }`, "v8", `{"data_stream":"text"}`,
			`{"create":{"_index":"logs-generic-default"}}|{` + stamp[1:] + `,"data_stream":{"type":"logs","dataset":"generic","namespace":"default"}}|`},
	} {
		e := eventOf(t, c.event)
		before := string(e.AppendJSON(nil))
		var r flow.Record
		f := mustBulk(t, c.output, c.ecs).Former(nil)
		for range 2 {
			dst, err := f.Form([]byte("before"), &r, e)
			if err != nil {
				t.Errorf("%s of %s: %v", c.output, c.event, err)
			}
			if diff := cmp.Diff(strings.ReplaceAll(c.want, "|", "\n"), string(r.Body)); diff != "" || !strings.HasPrefix(string(dst), "before{") {
				t.Errorf("%s of %s:\n%s", c.output, c.event, diff)
			}
		}
		var was, is map[string]any
		if json.Unmarshal([]byte(before), &was) != nil || json.Unmarshal(e.AppendJSON(nil), &is) != nil || !cmp.Equal(was, is) {
			t.Errorf("%s changed the event: %s became %s", c.output, before, e.AppendJSON(nil))
		}
	}
}

func TestAnEventThatNoOperationCanBeMadeOfIsADeadLetterWithAReason(t *testing.T) {
	for _, c := range []struct{ output, event, want string }{
		{`elasticsearch { index => "x-%{none}" }`, `{"a":1}`, "reference to a field"},
		{`opensearch { index => 'x' action => "%{do}" document_id => 1 }`, `{"do":"upsert"}`, `no action "upsert"`},
		{`opensearch { index => 'x' version => "%{v}" }`, `{"v":"one"}`, `the version "one"`},
		{`opensearch { index => 'x' version => "%{v}" }`, `{}`, `the version "%{v}"`},
		{`opensearch { index => 'x' action => update document_id => 1 upsert => "%{u}" }`, `{"u":"{"}`, `upsert is no JSON`},
	} {
		e := eventOf(t, c.event)
		var r flow.Record
		_, err := mustBulk(t, c.output, "disabled").Former(nil).Form(nil, &r, e)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v", c.output, c.event, err)
		}
		if string(r.Body) != string(e.AppendJSON(nil)) {
			t.Errorf("%s of %s: the letter is %s", c.output, c.event, r.Body)
		}
	}
}

func TestTheIndexOfADayIsFoundAgainForEachDay(t *testing.T) {
	for _, pattern := range []string{"x-%{+yyyy.MM.dd}", "x-%{+YYYY.MM.dd.HH}", "x-%{+xxxx.ww}", "x-%{+yyyy.MM.dd}-%{+HH}", "x-%{+mm}", "x-%{{yyyy.MM.dd}}", "x-%{+yyyy'a'}", "x"} {
		f := event.ParseFormat(pattern)
		n := newIndexName(f)
		for i := range 2000 {
			e := event.New()
			e.SetTimestamp(time.Unix(int64(i*7919*13)%(40*86400)-86400*20, 0))
			want, err := f.Text(e)
			got, again := n.append(nil, e)
			if err != nil || again != nil || string(got) != `"`+want+`"` {
				t.Fatalf("%s of %v: %s, want %s (%v, %v)", pattern, i, got, want, err, again)
			}
		}
	}
}

func TestWrongOptionsAreFoundBeforeAnythingRuns(t *testing.T) {
	for _, c := range []struct{ output, want string }{
		{`opensearch { action => upsert }`, "action: expected one of"},
		{`opensearch { action => "" }`, "action: expected one of"},
		{`opensearch { action => update }`, "document_id"},
		{`opensearch { version_type => external }`, "needs the option version"},
		{`opensearch { version_type => external version => 1 action => create }`, "takes no external version"},
		{`opensearch { doc_as_upsert => true scripted_upsert => true }`, "scripted_upsert"},
		{`opensearch { parent => 'p' }`, "join_field"},
		{`opensearch { script_type => file }`, "scripts in files"},
		{`opensearch { hosts => "ftp://x" }`, "hosts"},
		{`opensearch { hosts => "http://x" ssl => true }`, "ssl is true"},
		{`opensearch { hosts => "https://u:p@x" user => 'u' password => other }`, "another one"},
		{`opensearch { user => 'u' }`, "come together"},
		{`opensearch { hosts => "http://x/a" path => 'b' }`, "path"},
		{`opensearch { tls_key => "k" }`, "no file"},
		{`opensearch { auth_type => { type => kerberos } }`, "aws_iam"},
		{`opensearch { auth_type => { type => aws_iam service_name => s3 } }`, "es or aoss"},
		{`opensearch { auth_type => { typ => aws_iam } }`, `no "typ"`},
		{`opensearch { data_stream => true }`, "no option"},
		{`opensearch { timeout => 0 }`, "timeout"},
		{`elasticsearch { cacert => "x" }`, "ssl_certificate_authorities"},
		{`elasticsearch { api_key => "a:b" }`, "anyone can read it"},
		{`elasticsearch { api_key => "a" hosts => "https://x" }`, "id:key"},
		{`elasticsearch { api_key => "a:b" user => 'u' password => 'p' }`, "give one of"},
		{`elasticsearch { cloud_id => "x:eA==" }`, "cloud_id"},
		{`elasticsearch { cloud_id => "x:YSRi" hosts => "x" }`, "give one of"},
		{`elasticsearch { cloud_auth => "nocolon" }`, "name:password"},
		{`elasticsearch { dlq_custom_codes => [404] }`, "anyway"},
		{`elasticsearch { dlq_custom_codes => [409] }`, "no failure"},
		{`elasticsearch { data_stream => true }`, "need ECS"},
		{`elasticsearch { data_stream => true index => 'x' ecs_compatibility => v8 }`, "do not have the options index"},
		{`elasticsearch { data_stream => false data_stream_type => logs ecs_compatibility => v8 }`, "go to no data stream"},
		{`elasticsearch { index => 'x' data_stream_namespace => 'n' ecs_compatibility => v8 }`, "data_stream_namespace"},
		{`elasticsearch { data_stream_dataset => "a b" ecs_compatibility => v8 }`, "data_stream_dataset"},
		{`elasticsearch { compression_level => 1 http_compression => true }`, "give one of"},
		{`elasticsearch { ca_trusted_fingerprint => "12" }`, "64 hexadecimal digits"},
	} {
		if _, err := setUpBulk(t, c.output, "disabled", nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.output, err, c.want)
		}
	}
}

func TestHostsAreReadAsLogstashReadsThem(t *testing.T) {
	for _, c := range []struct {
		output string
		want   []string
	}{
		{`opensearch {}`, []string{"http://127.0.0.1:9200"}},
		{`opensearch { hosts => ["a", "b:9201", "//c", "http://d", "[::1]:9200"] }`, []string{"http://a:9200", "http://b:9201", "http://c:9200", "http://d:9200", "http://[::1]:9200"}},
		{`opensearch { hosts => "a b" ssl => true path => "/es/" }`, []string{"https://a:9200/es/", "https://b:9200/es/"}},
		{`opensearch { hosts => "https://u:p%2F@a:443/x?y=z" }`, []string{"https://u:p%2F@a:443/x?y=z"}},
		{`elasticsearch { cloud_id => "label:ZXUtd2VzdC0xLmF3cy5mb3VuZC5pbyRhYmMkZGVm" cloud_auth => "u:p" }`, []string{"https://abc.eu-west-1.aws.found.io:443"}},
		{`elasticsearch { cloud_id => "ZXguY29tOjkyNDMkYWJjOjEyMyRkZWY=" }`, []string{"https://abc.ex.com:123"}},
	} {
		b, _ := mustBulk(t, c.output, "disabled").(*bulkOutput)
		if !slices.Equal(b.endpoint.URLs, c.want) {
			t.Errorf("%s: %q", c.output, b.endpoint.URLs)
		}
	}
	b, _ := mustBulk(t, `elasticsearch { api_key => "id:key" hosts => "https://x" }`, "disabled").(*bulkOutput)
	if b.endpoint.APIKey != "aWQ6a2V5" || b.events.Compression != 1 {
		t.Errorf("%+v", b.endpoint)
	}
	b, _ = mustBulk(t, `opensearch { auth_type => { type => aws_iam region => 'r' aws_access_key_id => 'a' aws_secret_access_key => 's' service_name => aoss } hosts => "https://x:443" }`, "disabled").(*bulkOutput)
	if b.endpoint.AWS.Service != "aoss" || b.endpoint.AWS.AccessKey != "a" {
		t.Errorf("%+v", b.endpoint)
	}
}

// form makes the records of events.
func form(t testing.TB, o Output, events ...string) []flow.Record {
	t.Helper()
	f := o.Former(nil)
	recs := make([]flow.Record, len(events))
	for i, text := range events {
		if _, err := f.Form(nil, &recs[i], eventOf(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	return recs
}

func TestAnOutputInstallsItsTemplateBeforeTheFirstEventAndOnlyIfThereIsNone(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.json")
	if err := os.WriteFile(own, []byte(`{"index_patterns":["own-*"],"template":{"settings":{"number_of_shards":1}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "old.json")
	if err := os.WriteFile(old, []byte(`{"index_patterns":["own-*"],"settings":{"number_of_shards":1},"mappings":{"properties":{"a":{"type":"long"}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options string
		plugin  string
		version osfake.Version
		want    []string // requests that change something
	}{
		{``, "opensearch", osfake.OpenSearch2, []string{"PUT /_template/logstash", "POST /_bulk"}},
		{`legacy_template => false`, "opensearch", osfake.OpenSearch2, []string{"PUT /_index_template/logstash", "POST /_bulk"}},
		{`manage_template => false`, "opensearch", osfake.OpenSearch2, []string{"POST /_bulk"}},
		{`template => "` + own + `" template_name => mine legacy_template => false`, "opensearch", osfake.OpenSearch2, []string{"PUT /_index_template/mine", "POST /_bulk"}},
		{``, "elasticsearch", osfake.OpenSearch2, []string{"PUT /_index_template/logstash", "POST /_bulk"}},
		{``, "elasticsearch", osfake.Elasticsearch7, []string{"PUT /_template/logstash", "POST /_bulk"}},
		{``, "elasticsearch", osfake.Elasticsearch8, []string{"PUT /_index_template/logstash", "POST /_bulk"}},
		{`template => "` + old + `" template_name => mine`, "elasticsearch", osfake.OpenSearch2, []string{"PUT /_template/mine", "POST /_bulk"}},
		{`template => "` + own + `" template_name => mine`, "elasticsearch", osfake.OpenSearch2, []string{"PUT /_index_template/mine", "POST /_bulk"}},
		{`template => "` + old + `" template_name => mine`, "elasticsearch", osfake.Elasticsearch8, []string{"PUT /_template/mine", "POST /_bulk"}},
		{`template => "` + own + `" template_name => mine`, "elasticsearch", osfake.Elasticsearch7, []string{"PUT /_index_template/mine", "POST /_bulk"}},
		{`template_api => legacy`, "elasticsearch", osfake.Elasticsearch8, []string{"PUT /_template/logstash", "POST /_bulk"}},
		{`ecs_compatibility => v8 index => 'x'`, "elasticsearch", osfake.OpenSearch2, []string{"PUT /_index_template/ecs-logstash", "POST /_bulk"}},
		{`ilm_rollover_alias => al`, "elasticsearch", osfake.OpenSearch2, []string{"PUT /_index_template/al", "PUT /<al-{now/d}-000001>", "POST /_bulk"}},
	} {
		fake := osfake.Start(t, osfake.Options{Version: c.version})
		o := mustBulk(t, c.plugin+` { hosts => "`+fake.URL()+`" `+c.options+` }`, "disabled")
		changes := func() (all []string) {
			for _, r := range fake.Requests() {
				if r.Method != http.MethodGet && r.Method != http.MethodHead {
					all = append(all, r.Method+" "+r.Path)
				}
			}
			return all
		}
		for run := range 2 {
			s := openBulk(t, o, nil)
			for range 2 {
				if err := s.Write(t.Context(), form(t, o, `{"a":1}`)); err != nil && !strings.Contains(err.Error(), "invalid_index_name") {
					t.Errorf("%s { %s }: %v", c.plugin, c.options, err)
				}
			}
			if run == 0 && !slices.Equal(changes()[:len(c.want)], c.want) {
				t.Errorf("%s { %s }: %q, want %q", c.plugin, c.options, changes(), c.want)
			}
		}
		templates := 0
		for _, change := range changes() {
			if strings.Contains(change, "template/") {
				templates++
			}
		}
		if templates > 1 {
			t.Errorf("%s { %s }: the template was installed %d times", c.plugin, c.options, templates)
		}
	}
}

func TestATargetThatRefusesATemplateStopsElasticsearchAndNotOpenSearch(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if strings.Contains(r.API, "template") && r.Method == http.MethodPut {
			return osfake.Forbidden
		}
		return osfake.Fault{}
	}})
	var logged bytes.Buffer
	for plugin, stops := range map[string]bool{"opensearch": false, "elasticsearch": true} {
		o, err := setUpBulk(t, plugin+` { hosts => "`+fake.URL()+`" }`, "disabled", slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		err = openBulk(t, o, nil).Write(t.Context(), form(t, o, `{"a":1}`))
		if stops != flow.IsPermanent(err) || !stops && err != nil {
			t.Errorf("%s: %v", plugin, err)
		}
	}
	if !strings.Contains(logged.String(), "events are written without it") {
		t.Errorf("%s", &logged)
	}
}

func TestARolloverAliasGetsItsPolicyOnElasticsearch(t *testing.T) {
	for _, c := range []struct {
		options string
		policy  bool // it is there
		want    []string
		err     string
	}{
		{`ilm_rollover_alias => "al"`, false, []string{"PUT /_index_template/al", "PUT /<al-{now/d}-000001>", "PUT /_ilm/policy/logstash-policy", "POST /_bulk"}, ""},
		{`ilm_enabled => true ilm_pattern => "000001" ilm_policy => "mine"`, true, []string{"PUT /_index_template/logstash", "PUT /<logstash-000001>", "POST /_bulk"}, ""},
		{`ilm_rollover_alias => "al" ilm_policy => "mine"`, false, []string{"PUT /_index_template/al", "PUT /<al-{now/d}-000001>"}, "there is no policy mine"},
	} {
		var changes []string
		var template map[string]any
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			switch {
			case r.Method == http.MethodHead, r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/_ilm/") && !c.policy:
				w.WriteHeader(http.StatusNotFound)
				return
			case r.Method == http.MethodGet:
				_, _ = io.WriteString(w, `{"version":{"number":"8.17.3"}}`)
				return
			case strings.HasPrefix(r.URL.Path, "/_index_template/"):
				if err := json.Unmarshal(body, &template); err != nil {
					t.Error(err)
				}
			}
			changes = append(changes, r.Method+" "+r.URL.Path)
			_, _ = io.WriteString(w, `{"errors":false,"items":[{"index":{"status":201}}]}`)
		}))
		o := mustBulk(t, `elasticsearch { hosts => "`+server.URL+`" `+c.options+` }`, "disabled")
		err := openBulk(t, o, nil).Write(t.Context(), form(t, o, `{"a":1}`))
		if c.err == "" && err != nil || c.err != "" && (!flow.IsPermanent(err) || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v", c.options, err)
		}
		if !slices.Equal(changes, c.want) {
			t.Errorf("%s: %q, want %q", c.options, changes, c.want)
		}
		inner, _ := template["template"].(map[string]any)
		settings, _ := inner["settings"].(map[string]any)
		if settings["index.lifecycle.rollover_alias"] == nil || settings["index.lifecycle.name"] == nil {
			t.Errorf("%s: the template has %v", c.options, settings)
		}
		server.Close()
	}
}

func TestATargetThatIsAwayAtTheStartIsWaitedFor(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	o := mustBulk(t, `opensearch { hosts => "`+fake.URL()+`" index => 'x' resurrect_delay => 0.01 }`, "disabled")
	fake.StopNode(0)
	s := openBulk(t, o, nil)
	recs := form(t, o, `{"a":1}`, `{"a":2}`)
	if err := s.Write(t.Context(), recs); err == nil || flow.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	fake.StartNode(0)
	time.Sleep(20 * time.Millisecond)
	if err := s.Write(t.Context(), recs); err != nil {
		t.Error(err)
	}
	if n := len(fake.Documents("x")); n != 2 {
		t.Errorf("%d documents", n)
	}
}

func TestADeadLetterOfAnOutputIsADocument(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: osfake.Poison(func(id string) bool { return id == "2" })})
	o := mustBulk(t, `opensearch { hosts => "`+fake.URL()+`" index => 'x' document_id => "%{id}" routing => 'r' }`, "disabled")
	s := openBulk(t, o, nil)
	recs := form(t, o, `{"id":1}`, `{"id":2}`, `{"id":3}`)
	fs, _ := errors.AsType[flow.Failures](s.Write(t.Context(), recs))
	if len(fs) != 1 || fs[0].Index != 1 || !flow.IsPermanent(fs[0].Err) {
		t.Fatalf("%v", fs)
	}
	dead := s.Dead(recs[1])
	if got := fmt.Sprintf("%s %s %s %s", dead.Index, dead.Key, dead.Routing, dead.Body); got != `x 2 r {"id":2`+stamp+`}` {
		t.Errorf("%s", got)
	}
}

func BenchmarkFormingAnEvent(b *testing.B) {
	o := mustBulk(b, `opensearch {}`, "disabled")
	f := o.Former(nil)
	e := eventOf(b, `{"message":"`+strings.Repeat("GET /a/b ", 22)+`","clientip":"192.0.2.1","ident":"-","auth":"-","verb":"GET","request":"/index.html","httpversion":"1.1","response":"200","bytes":"5316","referrer":"\"http://example.com/\"","agent":"Mozilla/5.0 (X11; Linux x86_64)"}`)
	var r flow.Record
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = f.Form(dst[:0], &r, e); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(r.Body)))
}

func TestATargetIsWrittenToByTLSOnlyIfItIsTrusted(t *testing.T) {
	a := certs.New(t)
	a.Issue(t, "server")
	a.Issue(t, "client")
	pair, err := tls.LoadX509KeyPair(filepath.Join(a.Dir, "server.pem"), filepath.Join(a.Dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(a.Dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	block, _ := pem.Decode(text)
	sum := sha256.Sum256(block.Bytes)
	pair.Certificate = append(pair.Certificate, block.Bytes) // the server shows its authority, too
	var bytes, shown atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		bytes.Add(n)
		shown.Store(int64(len(r.TLS.PeerCertificates)))
		_, _ = io.WriteString(w, `{"errors":false,"items":[{"index":{"status":201}}]}`)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()

	in := func(name string) string { return `"` + filepath.Join(a.Dir, name) + `"` }
	large := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		options string
		trusted bool
	}{
		{`elasticsearch { HOSTS }`, false},
		{`elasticsearch { HOSTS ssl_certificate_authorities => [` + in("ca.pem") + `] compression_level => 0 }`, true},
		{`elasticsearch { HOSTS ssl_certificate_authorities => ` + in("ca.pem") + ` ssl_certificate => ` + in("client.pem") + ` ssl_key => ` + in("client.key") + ` }`, true},
		{`elasticsearch { HOSTS ssl_verification_mode => none }`, true},
		{`elasticsearch { HOSTS ca_trusted_fingerprint => "` + hex.EncodeToString(sum[:]) + `" }`, true},
		{`elasticsearch { HOSTS ca_trusted_fingerprint => "` + strings.Repeat("00", 32) + `" }`, false},
		{`opensearch { HOSTS }`, false},
		{`opensearch { HOSTS cacert => ` + in("ca.pem") + ` }`, true},
		{`opensearch { HOSTS cacert => ` + in("ca.pem") + ` tls_certificate => ` + in("client.pem") + ` tls_key => ` + in("client.key") + ` }`, true},
		{`opensearch { HOSTS ssl_certificate_verification => false }`, true},
	} {
		bytes.Store(0)
		shown.Store(0)
		o := mustBulk(t, strings.ReplaceAll(c.options, "HOSTS", `manage_template => false hosts => "`+server.URL+`"`), "disabled")
		err := openBulk(t, o, nil).Write(t.Context(), form(t, o, `{"a":"`+large+`"}`))
		if c.trusted != (err == nil) || flow.IsPermanent(err) || c.trusted != (bytes.Load() > 0) {
			t.Errorf("%s: %v, %d bytes", c.options, err, bytes.Load())
		}
		if mutual := strings.Contains(c.options, "client.pem"); mutual != (shown.Load() > 0) {
			t.Errorf("%s: %d certificates were shown", c.options, shown.Load())
		}
	}
}
