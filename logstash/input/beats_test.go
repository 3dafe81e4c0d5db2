package input

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-lumber/client/v2"
	"github.com/google/go-cmp/cmp"

	lumber "github.com/narudata/naru/connect/beats"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// A lumberInput is an input of the protocol that is set up, with a decoder for one worker.
type lumberInput struct {
	in      Input
	decoder codec.Decoder
	now     time.Time
	events  []string // metadata and fields as JSON, without @version
}

// newLumberInput sets an input up; its problems are text.
func newLumberInput(t testing.TB, config, ecs string, log *slog.Logger) (*lumberInput, string) {
	t.Helper()
	cfg, err := syntax.Parse("test.conf", []byte("input { "+config+" }"))
	if err != nil {
		t.Fatal(err)
	}
	for node := range syntax.Plugins(cfg.Statements(syntax.Input)) {
		p := Table()[node.Name]()
		for _, problem := range option.Decode(node, p, option.Env{Section: syntax.Input}) {
			if !problem.Warning {
				return nil, problem.Error()
			}
		}
		in, err := p.Setup(&Setup{ECS: ecs, Log: log, Now: time.Now, Where: "test.conf:1:9"})
		if err != nil {
			return nil, err.Error()
		}
		name := p.Common().Codec.Name
		if name == "" {
			name = p.Traits().Codec
		}
		plugin := codec.Table()[name]()
		from := p.Common().Codec.Plugin
		if from == nil {
			from = &syntax.Plugin{Name: name}
		}
		if problems := option.Decode(from, plugin, option.Env{}); len(problems) > 0 {
			t.Fatal(problems)
		}
		made, err := plugin.Setup(&codec.Setup{ECS: ecs, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		of, _ := made.(codec.Decoder)
		l := &lumberInput{in: in, decoder: of, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		if d, ok := in.(Decoder); ok {
			l.decoder = d.Decoder(of)
		}
		l.decoder, _ = l.decoder.(codec.Forker).Fork().(codec.Decoder)
		return l, ""
	}
	t.Fatal("there is no input")
	return nil, ""
}

// decode gives the events of a record.
func (l *lumberInput) decode(r flow.Record) []string {
	l.events = nil
	x := &codec.Context{New: func() *event.Event { return new(event.Event) }, Now: l.now, Log: slog.New(slog.DiscardHandler)}
	x.Emit = func(e *event.Event) {
		if d, ok := l.in.(Describer); ok {
			d.Describe(e, &r)
		}
		e.Fields().Delete("@version")
		meta := event.MapValue()
		for _, m := range e.Metadata().Entries() {
			meta.Map().Set(m.Key, m.Value)
		}
		l.events = append(l.events, string(event.AppendJSON(nil, meta))+" "+string(e.AppendJSON(nil)))
	}
	l.decoder.Decode(x, r.Body)
	return l.events
}

var silent = slog.New(slog.DiscardHandler)

func TestDocumentsOfBeatsBecomeEvents(t *testing.T) {
	plain := lumber.Peer{Address: "192.0.2.7"}
	known := lumber.Peer{Address: "192.0.2.7", TLS: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Verified: true, Subject: "CN=web1"}
	const tag, ip, now = `"tags":["beats_input_codec_plain_applied"]`, `"ip_address":"192.0.2.7"`, `"@timestamp":"2026-01-02T03:04:05.000Z"`
	for _, c := range []struct {
		name, options, ecs string
		peer               lumber.Peer
		document           string
		want               []string
	}{
		{"filebeat", ``, "disabled", plain,
			`{"@timestamp":"2025-05-06T07:08:09.123Z","@metadata":{"beat":"filebeat","type":"_doc","version":"8.19.0"},"message":"a b","host":{"name":"h"},"log":{"offset":5}}`,
			[]string{`{"beat":"filebeat","type":"_doc","version":"8.19.0",` + ip + `} {"@timestamp":"2025-05-06T07:08:09.123Z","message":"a b","host":{"name":"h"},"log":{"offset":5},` + tag + `}`}},
		{"ECS", ``, "v8", plain, `{"message":"m","@metadata":{"beat":"filebeat"}}`,
			[]string{`{"beat":"filebeat","input":{"beats":{"host":{"ip":"192.0.2.7"}}}} {"message":"m",` + now + `,"event":{"original":"m"},` + tag + `}`}},
		{"ECS and an event of its own", ``, "v8", plain, `{"event":{"kind":"k"},"message":"m"}`,
			[]string{`{"input":{"beats":{"host":{"ip":"192.0.2.7"}}}} {"event":{"kind":"k","original":"m"},"message":"m",` + now + `,` + tag + `}`}},
		{"ECS and an event that is a text", ``, "v8", plain, `{"event":"e","message":"m"}`,
			[]string{`{"input":{"beats":{"host":{"ip":"192.0.2.7"}}}} {"event":"e","message":"m",` + now + `,` + tag + `}`}},
		{"tags of its own", ``, "disabled", plain, `{"message":"m","tags":["x"]}`, []string{`{` + ip + `} {"message":"m","tags":["x","beats_input_codec_plain_applied"],` + now + `}`}},
		{"no message", ``, "disabled", plain, `{"metric":1.5}`, []string{`{` + ip + `} {"metric":1.5,` + now + `,"tags":["beats_input_raw_event"]}`}},
		{"null message", ``, "disabled", plain, `{"message":null}`, []string{`{` + ip + `} {"message":null,` + now + `,"tags":["beats_input_raw_event"]}`}},
		{"line", ``, "disabled", plain, `{"line":"l","file":"/f","host":"h"}`, []string{`{` + ip + `} {"message":"l",` + now + `,"file":"/f","host":"h",` + tag + `}`}},
		{"message that is a number", ``, "disabled", plain, `{"message":5,"a":1}`, []string{`{` + ip + `} {"message":"5",` + now + `,"a":1,` + tag + `}`}},
		{"enrich none", `enrich => none`, "disabled", known, `{"message":"m"}`, []string{`{} {"message":"m",` + now + `}`}},
		{"include_codec_tag", `include_codec_tag => false`, "disabled", plain, `{"message":"m"}`, []string{`{` + ip + `} {"message":"m",` + now + `}`}},
		{"codec json", `codec => json`, "disabled", plain, `{"message":"{\"a\":1,\"o\":{\"x\":1,\"y\":1}}","@timestamp":"2025-05-06T07:08:09Z","o":{"y":2},"tags":["t"]}`,
			[]string{`{` + ip + `} {"a":1,"o":{"x":1,"y":2},"@timestamp":"2025-05-06T07:08:09.000Z","tags":["t","beats_input_codec_json_applied"]}`}},
		{"codec json, several events", `codec => json`, "disabled", plain, `{"message":"[{\"a\":1},{\"a\":2}]","o":{"y":[2]},"@metadata":{"m":{"k":1}}}`, []string{
			`{"m":{"k":1},` + ip + `} {"a":1,` + now + `,"o":{"y":[2]},"tags":["beats_input_codec_json_applied"]}`,
			`{"m":{"k":1},` + ip + `} {"a":2,` + now + `,"o":{"y":[2]},"tags":["beats_input_codec_json_applied"]}`}},
		{"codec json, bad message", `codec => json`, "disabled", plain, `{"message":"{","a":1}`,
			[]string{`{` + ip + `} {"message":"{",` + now + `,"tags":["_jsonparsefailure","beats_input_codec_json_applied"],"a":1}`}},
		{"bad @timestamp", ``, "disabled", plain, `{"message":"m","@timestamp":"yesterday"}`, []string{`{` + ip + `} {"message":"m",` + now + `,` + tag + `}`}},
		{"bad @timestamp without message", ``, "disabled", plain, `{"@timestamp":"yesterday"}`,
			[]string{`{` + ip + `} {` + now + `,"tags":["_timestampparsefailure","beats_input_raw_event"],"_@timestamp":"yesterday"}`}},
		{"no JSON", ``, "disabled", plain, "{\"message\":\"m\xff", []string{`{` + ip + `} {"message":"{\"message\":\"m` + "\uFFFD" + `",` + now + `,"tags":["_jsonparsefailure"]}`}},
		{"no object", ``, "v8", plain, `[1]`, []string{`{"input":{"beats":{"host":{"ip":"192.0.2.7"}}}} {"message":"[1]",` + now + `,"tags":["_jsonparsefailure"]}`}},
		{"bad metadata", ``, "disabled", plain, `{"message":"m","@metadata":1}`, []string{`{` + ip + `} {"message":"{\"message\":\"m\",\"@metadata\":1}",` + now + `,"tags":["_jsonparsefailure"]}`}},
		{"metadata in the way", ``, "v8", plain, `{"message":"m","@metadata":{"input":"x"}}`, []string{`{"input":"x"} {"message":"m",` + now + `,"event":{"original":"m"},` + tag + `}`}},
		{"add_hostname", `add_hostname => true`, "disabled", plain, `{"message":"m","beat":{"hostname":"h"}}`, []string{`{` + ip + `} {"message":"m","beat":{"hostname":"h"},` + now + `,` + tag + `,"host":"h"}`}},
		{"add_hostname with a host", `add_hostname => true`, "disabled", plain, `{"message":"m","beat":{"hostname":"h"},"host":"x"}`,
			[]string{`{` + ip + `} {"message":"m","beat":{"hostname":"h"},"host":"x",` + now + `,` + tag + `}`}},
		{"peer", `PEER`, "disabled", known, `{"message":"m"}`,
			[]string{`{` + ip + `,"tls_peer":{"status":"verified","protocol":"TLSv1.3","subject":"CN=web1","cipher_suite":"TLS_AES_128_GCM_SHA256"}} {"message":"m",` + now + `,` + tag + `}`}},
		{"peer, ECS", `PEER`, "v1", known, `{"message":"m"}`,
			[]string{`{"input":{"beats":{"host":{"ip":"192.0.2.7"},"tls":{"version_protocol":"TLSv1.3","client":{"subject":"CN=web1"},"cipher":"TLS_AES_128_GCM_SHA256"}}},"tls_peer":{"status":"verified"}} {"message":"m",` + now + `,"event":{"original":"m"},` + tag + `}`}},
		{"no peer", `PEER`, "disabled", plain, `{"message":"m"}`, []string{`{` + ip + `,"tls_peer":{"status":"unverified"}} {"message":"m",` + now + `,` + tag + `}`}},
	} {
		files := keys(t)
		config := `beats { port => 0 ` + strings.ReplaceAll(c.options, "PEER", files.options+` ssl_client_authentication => optional enrich => all`) + ` }`
		l, problem := newLumberInput(t, config, c.ecs, silent)
		if problem != "" {
			t.Errorf("%s: %s", c.name, problem)
			continue
		}
		for range 2 { // nothing stays of the one before
			got := l.decode(flow.Record{Body: []byte(c.document), Meta: c.peer.AppendMeta(nil)})
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s: %s", c.name, d)
			}
		}
	}
}

// keyFiles are certificates in files.
type keyFiles struct {
	dir     string
	options string // of an input that uses them
	roots   *x509.CertPool
	client  tls.Certificate
}

// keys makes an authority, a server's certificate for 127.0.0.1, and a client's.
func keys(t testing.TB) *keyFiles {
	t.Helper()
	k := &keyFiles{dir: t.TempDir(), roots: x509.NewCertPool()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(k.dir, name)
		must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(err)
	ca, err = x509.ParseCertificate(der)
	must(err)
	k.roots.AddCert(ca)
	authority := write("ca.pem", "CERTIFICATE", der)
	sign := func(name string) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}, ca, &key.PublicKey, caKey)
		must(err)
		return der, key
	}
	der, key := sign("server")
	certificate := write("server.pem", "CERTIFICATE", der)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	own := write("server.key", "PRIVATE KEY", pkcs8)
	der, key = sign("web1")
	k.client = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	k.options = `ssl_enabled => true ssl_certificate => "` + certificate + `" ssl_key => "` + own + `" ssl_certificate_authorities => ["` + authority + `"]`
	return k
}

func TestOptionsOfBeatsAreChecked(t *testing.T) {
	files := keys(t)
	without := strings.Replace(files.options, "ssl_enabled => true", "", 1)
	for _, c := range []struct{ config, want string }{
		{`beats { }`, "needs the option port"},
		{`beats { port => 70000 }`, "port: expected 0 to 65535"},
		{`beats { port => 1 codec => multiline { pattern => "x" what => previous } }`, "multiline cannot be used here"},
		{`beats { port => 1 enrich => [all, none] }`, "stand alone"},
		{`beats { port => 1 enrich => [codec_metadata] include_codec_tag => true }`, "enrich is given, too"},
		{`beats { port => 1 enrich => [codec_metadata] ssl_peer_metadata => true }`, "enrich is given, too"},
		{`beats { port => 1 enrich => [everything] }`, "everything"},
		{`beats { port => 1 ssl_enabled => true }`, "ssl_certificate: a server needs a certificate"},
		{`beats { port => 1 ssl_enabled => true ssl => false }`, "ssl: ssl_enabled says something else"},
		{`beats { port => 1 ` + files.options + ` ssl_client_authentication => none }`, "it must be optional or required"},
		{`beats { port => 1 ` + files.options + ` ssl_verify_mode => peer ssl_client_authentication => required }`, "ssl_verify_mode"},
		{`beats { port => 1 ` + files.options + ` tls_min_version => 1.2 ssl_supported_protocols => ["TLSv1.2"] }`, "tls_min_version"},
		{`beats { port => 1 ` + files.options + ` tls_min_version => 1.3 tls_max_version => 1.2 }`, "tls_max_version"},
		{`beats { port => 1 ` + files.options + ` cipher_suites => ["a"] ssl_cipher_suites => ["b"] }`, "cipher_suites"},
		{`beats { port => 1 ` + files.options + ` ssl_cipher_suites => ["TLS_NONSENSE"] }`, "TLS_NONSENSE"},
		{`beats { port => 1 client_inactivity_timeout => -1 }`, "client_inactivity_timeout"},
		{`beats { port => 1 congestion_threshold => 5 }`, "obsolete"},
		{`lumberjack { port => 1 }`, "needs the option ssl_certificate"},

		{`beats { port => 5044 }`, ""},
		{`elastic_agent { port => 5044 host => "127.0.0.1" executor_threads => 4 event_loop_threads => 2 client_inactivity_timeout => 0 }`, ""},
		{`beats { port => 5044 ` + files.options + ` ssl_supported_protocols => ["TLSv1.3"] ssl_client_authentication => required ssl_handshake_timeout => 500 enrich => [ssl_peer_metadata] }`, ""},
		{`beats { port => 5044 ssl => true ` + without + ` ssl_verify_mode => force_peer tls_min_version => 1 tls_max_version => 1.2 cipher_suites => ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"] ssl_peer_metadata => true }`, ""},
		{`beats { port => 5044 ssl_verify_mode => none }`, ""},
	} {
		_, problem := newLumberInput(t, c.config, "disabled", silent)
		if (problem == "") != (c.want == "") || !strings.Contains(problem, c.want) {
			t.Errorf("%s\n got %q\nwant %q", c.config, problem, c.want)
		}
	}
}

// running opens the source, and decodes and acknowledges what comes.
func (l *lumberInput) running(t *testing.T) (address string, events <-chan string) {
	t.Helper()
	s, err := l.in.Open(&Run{Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	source, ok := s.(*lumber.Source)
	if !ok {
		t.Fatalf("%T", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, done := make(chan string, 1000), make(chan error, 1)
	go func() {
		done <- source.Run(ctx, func(s stream.Stream) {
			go func() {
				b := new(flow.Batch)
				for s.Wait(ctx) == nil {
					b.Reset()
					if err := s.Read(ctx, b); err != nil {
						t.Error(err)
					}
					for _, r := range b.Records {
						for _, e := range l.decode(r) {
							out <- e
						}
					}
					if err := s.Ack(ctx, b.Next); err != nil {
						t.Error(err)
					}
				}
				_ = s.Close()
			}()
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return source.Addr().String(), out
}

func TestABeatWithACertificateDeliversEvents(t *testing.T) {
	files := keys(t)
	l, problem := newLumberInput(t, `beats { port => 0 host => "127.0.0.1" `+files.options+` ssl_client_authentication => required enrich => all }`, "disabled", silent)
	if problem != "" {
		t.Fatal(problem)
	}
	address, events := l.running(t)
	dial := func(client *tls.Config) (int, error) {
		d := tls.Dialer{Config: client}
		c, err := v2.SyncDialWith(func(network, address string) (net.Conn, error) { return d.DialContext(t.Context(), network, address) }, address, v2.CompressionLevel(3), v2.Timeout(5*time.Second))
		if err != nil {
			return 0, err
		}
		defer c.Close()
		return c.Send([]any{map[string]any{"message": "m", "@timestamp": "2025-05-06T07:08:09.5Z", "@metadata": map[string]string{"beat": "filebeat"}}})
	}
	if _, err := dial(&tls.Config{RootCAs: files.roots}); err == nil {
		t.Error("a client without a certificate is taken")
	}
	if n, err := dial(&tls.Config{RootCAs: files.roots, Certificates: []tls.Certificate{files.client}, MaxVersion: tls.VersionTLS12}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	want := `{"beat":"filebeat","ip_address":"127.0.0.1","tls_peer":{"status":"verified","protocol":"TLSv1.2","subject":"CN=web1","cipher_suite":"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}}`
	if got := <-events; !strings.HasPrefix(got, want) || !strings.Contains(got, `"@timestamp":"2025-05-06T07:08:09.500Z"`) {
		t.Error(got)
	}
}

func TestAPortOfBeatsThatIsTakenIsAnErrorOfTheRun(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	l, problem := newLumberInput(t, `beats { host => "127.0.0.1" port => `+port+` }`, "disabled", silent)
	if problem != "" {
		t.Fatal(problem)
	}
	if _, err := l.in.Open(&Run{Log: silent}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"message":"m","@timestamp":"2025-05-06T07:08:09.123Z","@metadata":{"beat":"filebeat"},"tags":["a"],"host":{"name":"h"}}`))
	f.Add([]byte(`{"line":5,"tags":{},"@timestamp":7,"@version":{}}`))
	f.Add([]byte(`{"message":{"message":[]},"@metadata":null}`))
	l, problem := newLumberInput(f, `beats { port => 0 }`, "v8", silent)
	if problem != "" {
		f.Fatal(problem)
	}
	meta := (&lumber.Peer{Address: "192.0.2.1"}).AppendMeta(nil)
	f.Fuzz(func(t *testing.T, in []byte) {
		events := l.decode(flow.Record{Body: in, Meta: meta})
		if len(events) != 1 || !strings.Contains(events[0], `"@timestamp":"`) || !strings.Contains(events[0], `"tags":[`) {
			t.Errorf("%q became %q", in, events)
		}
	})
}
