package input

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/network"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed/certs"
	"github.com/narudata/naru/logstash/event"
)

func (r *running) addr() net.Addr { return r.source.(interface{ Addr() net.Addr }).Addr() }

func TestTCPSaysWhoSentAnEvent(t *testing.T) {
	for ecs, want := range map[string][2]string{
		"disabled": {`{"message":"a","@version":"1","host":"127.0.0.1","port":PORT}`, `{"ip_address":"127.0.0.1"}`},
		"v8":       {`{"message":"a","@version":"1","event":{"original":"a"}}`, `{"input":{"tcp":{"source":{"name":"127.0.0.1","ip":"127.0.0.1","port":PORT}}}}`},
	} {
		r := runInput(t, `tcp { port => 0 host => "127.0.0.1" dns_reverse_lookup_enabled => false }`, setting{ecs: ecs})
		c := connect(t, "tcp", r.addr())
		write(t, c, "a\nb\n")
		events, meta := r.got(2)
		port := fmt.Sprint(c.LocalAddr().(*net.TCPAddr).Port)
		for i := range want {
			want[i] = strings.ReplaceAll(want[i], "PORT", port)
		}
		if diff := cmp.Diff(want, [2]string{without(events[0], "@timestamp"), meta[0]}); diff != "" {
			t.Errorf("%s: %s", ecs, diff)
		}
	}
}

func TestTCPDoesNotReplaceWhatAnEventSays(t *testing.T) {
	r := runInput(t, `tcp { port => 0 host => "127.0.0.1" codec => json_lines dns_reverse_lookup_enabled => false proxy_protocol => true }`, setting{})
	c := connect(t, "tcp", r.addr())
	write(t, c, "PROXY TCP4 192.0.2.9 192.0.2.1 4711 514\r\n"+`{"host":"mine","port":null}`+"\n")
	events, meta := r.got(1)
	if diff := cmp.Diff(`{"host":"mine","port":"4711","@version":"1","proxy_host":"192.0.2.1","proxy_port":"514"}`, without(events[0], "@timestamp")); diff != "" {
		t.Error(diff)
	}
	if meta[0] != `{"ip_address":"192.0.2.9"}` {
		t.Error(meta[0])
	}
}

func TestTCPWithMutualTLSSaysTheSubject(t *testing.T) {
	a := certs.New(t)
	a.Issue(t, "server")
	p := a.Issue(t, "client")
	r := runInput(t, `tcp { port => 0 host => "127.0.0.1" dns_reverse_lookup_enabled => false ssl_enabled => true ssl_certificate => "server.pem" ssl_key => "server.key"
		ssl_certificate_authorities => ["ca.pem"] }`, setting{dir: a.Dir})
	pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Cert)
	c := tls.Client(connect(t, "tcp", r.addr()), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	write(t, c, "a\n")
	events, _ := r.got(1)
	if !strings.Contains(events[0], `"sslsubject":"CN=client,O=naru"`) {
		t.Error(events[0])
	}
}

func TestTCPChecksItsOptions(t *testing.T) {
	a := certs.New(t)
	a.Issue(t, "server")
	s := setting{dir: a.Dir}
	for text, want := range map[string]string{
		`tcp { port => 70000 }`: "port: expected 0 to 65535",
		`tcp { port => 1 ssl_enabled => true ssl_certificate => "server.pem" }`: "ssl_certificate: it needs its key",
		`tcp { port => 1 ssl_enabled => true }`:                                 "ssl_certificate: a server needs",
		`tcp { port => 1 ssl_enabled => true ssl_certificate => "server.pem" ssl_key => "server.key" ssl_client_authentication => optional }`: "ssl_client_authentication: it is optional",
		`tcp { port => 1 ssl_enabled => true ssl_certificate => "server.pem" ssl_key => "server.key" ssl_verification_mode => none }`:         "ssl_verification_mode: it is for mode => client",
		`tcp { port => 1 mode => client ssl_enabled => true ssl_client_authentication => none }`:                                              "ssl_client_authentication: it is for mode => server",
		`tcp { port => 1 ssl_enabled => true ssl_certificate => "server.pem" ssl_key => "server.key" ssl_cipher_suites => ["TLS_NULL"] }`:     "ssl_cipher_suites: naru has none of",
		`udp { port => -1 }`:                                   "port: expected",
		`udp { port => 1 workers => 0 }`:                       "workers: expected 1",
		`syslog { grok_pattern => "%{NOPE}" }`:                 "grok_pattern: ",
		`syslog { syslog_field => "[a" }`:                      "syslog_field: ",
		`syslog { timezone => "Mars/Olympus" }`:                "zone",
		`syslog { grok_pattern => "%{WORD}" rfc5424 => true }`: "rfc5424: there is grok_pattern",
		`heartbeat { interval => -1 }`:                         "interval: expected",
	} {
		if got := wrong(t, text, s); !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestAPortThatIsTakenIsAnErrorOfTheRun(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, name := range []string{"tcp", "syslog"} {
		_, in, err := setUp(t, fmt.Sprintf(`%s { host => "127.0.0.1" port => %d }`, name, l.Addr().(*net.TCPAddr).Port), setting{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Open(&Run{}); err == nil || !strings.Contains(err.Error(), "listen at 127.0.0.1:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUDPSaysTheSendersAddress(t *testing.T) {
	for _, c := range []struct{ options, ecs, want string }{
		{"", "disabled", `{"message":"a\nb","@version":"1","host":"127.0.0.1"}`},
		{"", "v8", `{"message":"a\nb","@version":"1","event":{"original":"a\nb"},"host":{"ip":"127.0.0.1"}}`},
		{`source_ip_fieldname => "from"`, "v8", `{"message":"a\nb","@version":"1","event":{"original":"a\nb"},"from":"127.0.0.1"}`},
		{`codec => json`, "v8", `{"message":"a\nb","tags":["_jsonparsefailure"],"@version":"1","host":{"ip":"127.0.0.1"}}`},
	} {
		r := runInput(t, `udp { port => 0 host => "127.0.0.1" workers => 1 `+c.options+` }`, setting{ecs: c.ecs})
		write(t, connect(t, "udp", r.addr()), "a\nb")
		events, _ := r.got(1)
		if got := without(events[0], "@timestamp"); len(got) != len(c.want) || c.options != "codec => json" && got != c.want {
			t.Errorf("%s: %s", c.options, got)
		}
	}
}

const asa = "<164>Oct 26 15:19:25 1.2.3.4 %ASA-4-106023: Deny udp src DRAC:10.1.2.3/43434"

func TestSyslogMessagesAreTakenApart(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct{ options, ecs, in, want string }{
		{"", "disabled", asa, `{"program":"%ASA-4-106023","message":"Deny udp src DRAC:10.1.2.3/43434","@version":"1","@timestamp":"2026-10-26T15:19:25.000Z","host":"127.0.0.1","priority":164,` +
			`"timestamp":"Oct 26 15:19:25","logsource":"1.2.3.4","severity":4,"facility":20,"facility_label":"local4","severity_label":"Warning"}`},
		{"", "v8", asa, `{"process":{"name":"%ASA-4-106023"},"message":"Deny udp src DRAC:10.1.2.3/43434","@version":"1","@timestamp":"2026-10-26T15:19:25.000Z",` +
			`"host":{"ip":"127.0.0.1","hostname":"1.2.3.4"},"event":{"original":"` + asa + `"},"log":{"syslog":{"priority":164,"severity":{"code":4,"name":"Warning"},` +
			`"facility":{"code":20,"name":"local4"}}},"service":{"type":"system"}}`},
		{"", "disabled", "no syslog", `{"message":"no syslog","@version":"1","@timestamp":"2026-01-02T03:04:05.000Z","host":"127.0.0.1","tags":["_grokparsefailure_sysloginput"],` +
			`"priority":0,"severity":0,"facility":0,"facility_label":"kernel","severity_label":"Emergency"}`},
		{`timezone => "-05:00" use_labels => false`, "disabled", "<13>2003-10-11T22:14:15 host prog[12]: hi",
			`{"message":"hi","@version":"1","@timestamp":"2003-10-12T03:14:15.000Z","host":"127.0.0.1","priority":13,"timestamp8601":"2003-10-11T22:14:15","logsource":"host",` +
				`"program":"prog","pid":"12","severity":5,"facility":1,"timestamp":"2003-10-11T22:14:15"}`},
		{`locale => "en" timezone => "UTC" grok_pattern => "<%{POSINT:priority}>%{DATA:timestamp} - %{GREEDYDATA:message}"`, "disabled", "<1>Dec 01 01:02:03 - x",
			`{"message":"x","@version":"1","@timestamp":"2026-12-01T01:02:03.000Z","host":"127.0.0.1","priority":1,"timestamp":"Dec 01 01:02:03","severity":1,"facility":0,` +
				`"facility_label":"kernel","severity_label":"Alert"}`},
		{`rfc5424 => true`, "disabled", `<165>1 2003-10-11T22:14:15.003Z mymachine evntslog - ID47 [ex@1 a="b"] An event`,
			`{"message":"An event","@version":"1","@timestamp":"2003-10-11T22:14:15.003Z","host":"127.0.0.1","priority":165,"syslog5424_ver":"1",` +
				`"timestamp8601":"2003-10-11T22:14:15.003Z","logsource":"mymachine","program":"evntslog","syslog5424_msgid":"ID47","syslog5424_sd":"[ex@1 a=\"b\"]",` +
				`"severity":5,"facility":20,"timestamp":"2003-10-11T22:14:15.003Z","facility_label":"local4","severity_label":"Notice"}`},
		{`rfc5424 => true`, "v8", `<0>1 2003-10-11T22:14:15.003Z mymachine su 77 - - x`,
			`{"message":"x","@version":"1","@timestamp":"2003-10-11T22:14:15.003Z","host":{"ip":"127.0.0.1","hostname":"mymachine"},` +
				`"event":{"original":"<0>1 2003-10-11T22:14:15.003Z mymachine su 77 - - x"},"log":{"syslog":{"priority":0,"severity":{"code":0,"name":"Emergency"},` +
				`"facility":{"code":0,"name":"kernel"}}},"system":{"syslog":{"version":"1"}},"process":{"name":"su","pid":77},"service":{"type":"system"}}`},
		{`syslog_field => "[in]" codec => json`, "disabled", `{"in":"<13>Oct 26 15:19:25 h p: m","message":"kept"}`,
			`{"in":"<13>Oct 26 15:19:25 h p: m","message":["kept","m"],"@version":"1","@timestamp":"2026-10-26T15:19:25.000Z","host":"127.0.0.1","priority":13,` +
				`"timestamp":"Oct 26 15:19:25","logsource":"h","program":"p","severity":5,"facility":1,"facility_label":"user-level","severity_label":"Notice"}`},
	} {
		_, in, err := setUp(t, `syslog { `+c.options+` }`, setting{ecs: c.ecs, now: now})
		if err != nil {
			t.Fatal(err)
		}
		var e event.Event
		if strings.Contains(c.options, "json") {
			if err := e.Fields().ParseJSON([]byte(c.in), event.JSONOptions{}); err != nil {
				t.Fatal(err)
			}
		} else {
			e.Fields().Set("message", event.StringValue(c.in))
		}
		e.Complete(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		meta := (&network.Peer{Host: "127.0.0.1", IP: "127.0.0.1", Port: 1}).AppendMeta(nil)
		in.(Describer).Describe(&e, &flow.Record{Meta: meta})
		var want event.Event
		if err := want.Fields().ParseJSON([]byte(c.want), event.JSONOptions{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(members(&want), members(&e)); diff != "" {
			t.Errorf("%s %s %s: %s", c.options, c.ecs, c.in, diff)
		}
	}
}

// members gives the fields of an event, each as JSON.
func members(e *event.Event) map[string]string {
	all := map[string]string{}
	var add func(prefix string, f *event.Fields)
	add = func(prefix string, f *event.Fields) {
		for _, m := range f.Entries() {
			if m.Value.Kind() == event.Map {
				add(prefix+"["+m.Key+"]", m.Value.Map())
				continue
			}
			all[prefix+"["+m.Key+"]"] = string(event.AppendJSON(nil, m.Value))
		}
	}
	add("", e.Fields())
	return all
}

func TestSyslogListensWithBothProtocols(t *testing.T) {
	r := runInput(t, `syslog { host => "127.0.0.1" port => 0 timezone => "UTC" }`, setting{})
	addr := r.source.(*volatileBoth).tcp.Addr()
	write(t, connect(t, "udp", addr), asa)
	r.got(1)
	c := connect(t, "tcp", addr)
	write(t, c, asa+"\n")
	r.got(2)
	write(t, c, fmt.Sprintf("%d %s", len(asa)+2, asa+"\nx"))
	events, _ := r.got(3)
	for i, want := range []string{`43434"`, `43434\n"`, `43434\nx"`} {
		if !strings.Contains(events[i], want) || !strings.Contains(events[i], `"priority":164`) {
			t.Error(events[i])
		}
	}
}

// FuzzSyslog: no message breaks the input, and each has a priority.
func FuzzSyslog(f *testing.F) {
	for _, text := range []string{asa, "x", "<165>1 2003-10-11T22:14:15.003Z m e - ID47 [ex@1 a=\"b\"] x", "<99999999999999999999>Oct 26 15:19:25 h p: m", "<1>Feb 30 25:61:61 h p: m"} {
		f.Add(text)
	}
	type set struct {
		in       Describer
		priority *event.Ref
	}
	var sets []set
	for ecs, priority := range map[string]string{"disabled": "priority", "v8": "[log][syslog][priority]"} {
		p := &Syslog{SyslogField: "message", UseLabels: true, RFC5424: true, ServiceType: "system", FacilityLabels: []string{"kernel"}}
		in, err := p.Setup(&Setup{ECS: ecs, Now: time.Now, Log: discard()})
		if err != nil {
			f.Fatal(err)
		}
		sets = append(sets, set{in.(Describer), named(false, priority, "")})
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range sets {
			var e event.Event
			e.Fields().Set("message", event.StringValue(text))
			e.Complete(time.Now())
			s.in.Describe(&e, &flow.Record{})
			if v := e.Get(s.priority); v.Kind() != event.Int || v.Int() < 0 {
				t.Fatalf("priority %v", v)
			}
			if _, err := event.ParseJSON(e.AppendJSON(nil), event.JSONOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkSyslog(b *testing.B) {
	p := &Syslog{SyslogField: "message", UseLabels: true, ServiceType: "system"}
	in, err := p.Setup(&Setup{Now: time.Now, Log: discard()})
	if err != nil {
		b.Fatal(err)
	}
	meta := (&network.Peer{IP: "127.0.0.1"}).AppendMeta(nil)
	b.ReportAllocs()
	var e event.Event
	for b.Loop() {
		e.Reset()
		e.Fields().Set("message", event.StringValue(asa))
		e.Complete(time.Time{})
		in.(Describer).Describe(&e, &flow.Record{Meta: meta})
	}
}

func TestHeartbeatsComeInTime(t *testing.T) {
	now := func() time.Time { return time.Unix(1700000000, 0) }
	for _, c := range []struct{ options, ecs, want string }{
		{"", "disabled", `{"message":"ok","@version":"1"}`},
		{`message => "epoch"`, "disabled", `{"@version":"1","clock":1700000000}`},
		{`message => "epoch"`, "v8", `{"message":"epoch","@version":"1"}`},
		{`sequence => "sequence"`, "v8", `{"message":"ok","@version":"1","event":{"sequence":2}}`},
	} {
		r := runInput(t, `heartbeat { count => 2 interval => 0.01 `+c.options+` }`, setting{ecs: c.ecs, now: now})
		events, _ := r.got(2)
		got := without(events[1], "@timestamp", "host", "name")
		got = strings.Replace(got, `,"host":{}`, "", 1)
		got = strings.Replace(got, `"host":{},`, "", 1)
		if got != c.want {
			t.Errorf("%s: %s", c.options, events[1])
		}
	}
}

func TestTCPConnectsToAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := runInput(t, fmt.Sprintf(`tcp { mode => client host => "127.0.0.1" port => %d codec => plain dns_reverse_lookup_enabled => false }`, l.Addr().(*net.TCPAddr).Port), setting{})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.got(1)
	r.stop()
}
