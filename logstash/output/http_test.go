package output

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed/certs"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// writing is an output of a test.
type writing struct {
	t      *testing.T
	out    Output
	former Former
	sink   flow.Sink
}

func setUpOutput(t *testing.T, text, dir string) (Plugin, Output, error) {
	t.Helper()
	cfg, err := syntax.Parse("test.conf", []byte("output { "+text+" }"))
	if err != nil {
		t.Fatal(err)
	}
	for node := range syntax.Plugins(cfg.Statements(syntax.Output)) {
		p := Table()[node.Name]()
		if problems := option.Decode(node, p, option.Env{Section: syntax.Output, Dir: dir}); len(problems) > 0 {
			t.Fatal(problems)
		}
		out, err := p.Setup(&Setup{Dir: dir, Log: slog.New(slog.DiscardHandler), Now: time.Now, Where: "test.conf:1:10", Getenv: func(string) string { return "" }})
		return p, out, err
	}
	t.Fatal("there is no output")
	return nil, nil, nil
}

func openOutput(t *testing.T, text, dir string) *writing {
	t.Helper()
	p, out, err := setUpOutput(t, text, dir)
	if err != nil {
		t.Fatal(err)
	}
	name := p.Common().Codec.Name
	if name == "" {
		name = p.DefaultCodec()
	}
	c := codec.Table()[name]()
	if problems := option.Decode(&syntax.Plugin{Name: name}, c, option.Env{Title: name}); len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := c.Setup(&codec.Setup{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &writing{t: t, out: out, former: out.Former(made.(codec.Encoder))}
	s, err := out.Open(&Run{Data: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.sink = s.Sink
	return w
}

// write forms and writes events (JSON). Those that cannot be formed give the error.
func (w *writing) write(events ...string) error {
	w.t.Helper()
	var recs []flow.Record
	for _, text := range events {
		var e event.Event
		if err := e.Fields().ParseJSON([]byte(text), event.JSONOptions{}); err != nil {
			w.t.Fatal(err)
		}
		var r flow.Record
		if _, err := w.former.Form(nil, &r, &e); err != nil {
			return err
		}
		recs = append(recs, r)
	}
	return w.sink.Write(w.t.Context(), recs)
}

func TestHTTPSendsEventsInAllFormats(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		user, password, _ := r.BasicAuth()
		got = append(got, fmt.Sprintf("%s %s %s|%s|%s%s: %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("X-A"), user, password, body))
	}))
	defer s.Close()
	events := []string{`{"a":"x y","b":[1,"&"]}`, `{"a":"z","b":{"c":null}}`}
	for _, c := range []struct {
		options string
		want    []string
	}{
		{`http_method => post url => "URL/%{a}" headers => { "X-A" => "<%{a}>" "content-type" => "no" }`,
			[]string{`POST /x%20y application/json|<x y>|: {"a":"x y","b":[1,"&"]}`, `POST /z application/json|<z>|: {"a":"z","b":{"c":null}}`}},
		{`http_method => put url => "URL/" format => json_batch user => "u" password => "p" headers => ["X-A","<%{a}>"]`,
			[]string{`PUT / application/json|<%{a}>|up: [{"a":"x y","b":[1,"&"]},{"a":"z","b":{"c":null}}]`}},
		{`http_method => patch url => "URL/" format => form content_type => "text/form"`,
			[]string{`PATCH / text/form||: a=x+y&b=1%2C%26`, `PATCH / text/form||: a=z&b=%7B%22c%22%3Anull%7D`}},
		{`http_method => post url => "URL/" format => message message => "it is %{a}"`, []string{`POST / text/plain||: it is x y`, `POST / text/plain||: it is z`}},
		{`http_method => post url => "URL/" mapping => { "k" => "<%{a}>" "l" => ["%{a}", { "m" => "%{[b][0]}" }] }`,
			[]string{`POST / application/json||: {"k":"<x y>","l":["x y",{"m":"1"}]}`, `POST / application/json||: {"k":"<z>","l":["z",{"m":"%{[b][0]}"}]}`}},
	} {
		got = nil
		w := openOutput(t, "http { "+strings.ReplaceAll(c.options, "URL", s.URL)+" }", "")
		if err := w.write(events...); err != nil {
			t.Errorf("%s: %v", c.options, err)
		}
		if err := w.sink.Close(t.Context()); err != nil {
			t.Error(err)
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.options, diff)
		}
	}
}

func TestHTTPTellsWhatCanBeTriedAgain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := 0
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		if status == 302 {
			w.Header().Set("Location", "/200")
		}
		w.WriteHeader(status)
	}))
	defer s.Close()
	for _, c := range []struct {
		options, status string
		want            string
	}{
		{"", "200", "done"}, {"", "503", "again"}, {"", "429", "again"}, {"", "400", "dead"}, {"", "501", "dead"}, {"", "302", "done"},
		{"follow_redirects => false", "302", "dead"},
		{"retry_failed => false", "503", "dead"},
		{"retryable_codes => [400]", "400", "again"}, {"retryable_codes => [400]", "503", "dead"},
		{"ignorable_codes => [404]", "404", "done"}, {"ignorable_codes => [404]", "200", "done"},
	} {
		w := openOutput(t, fmt.Sprintf(`http { http_method => post url => "%s/%%{s}" %s }`, s.URL, c.options), "")
		err := w.write(`{"s":"` + c.status + `"}`)
		got := "done"
		if failed, ok := errors.AsType[flow.Failures](err); ok {
			if got = "again"; flow.IsPermanent(failed[0].Err) {
				got = "dead"
			}
		}
		if got != c.want {
			t.Errorf("%s %s: %s, %v", c.options, c.status, got, err)
		}
	}
}

func TestOutputsCheckTheirOptions(t *testing.T) {
	for text, want := range map[string]string{
		`http { url => "x" http_method => post }`:                                             "url: ",
		`http { url => "http://x" http_method => post format => message }`:                    "message: format => message needs it",
		`http { url => "http://x" http_method => post user => "u" }`:                          "user: it needs password",
		`http { url => "http://x" http_method => post pool_max => 0 }`:                        "pool_max: expected 1",
		`http { url => "http://x" http_method => post proxy => { "port" => 1 } }`:             "proxy: ",
		`http { url => "http://x" http_method => post ssl_keystore_password => "x" }`:         "ssl_keystore_password: there is no",
		`tcp { host => "x" port => 1 mode => server ssl_enabled => true }`:                    "ssl_certificate: a server needs",
		`tcp { host => "x" port => 1 ssl_enabled => true ssl_client_authentication => none }`: "ssl_client_authentication: it is for mode => server",
		`tcp { host => "x" port => 1 reconnect_interval => -1 }`:                              "reconnect_interval: expected",
		`tcp { host => "x" port => 100000 }`:                                                  "port: expected",
		`udp { host => "x" port => "none" }`:                                                  "port: expected",
	} {
		if _, _, err := setUpOutput(t, text, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTCPWritesToAServerWithTLS(t *testing.T) {
	a := certs.New(t)
	a.Issue(t, "server")
	server := openOutput(t, `tcp { mode => server host => "127.0.0.1" port => 0 codec => json_lines ssl_enabled => true ssl_certificate => "server.pem" ssl_key => "server.key" }`, a.Dir)
	defer server.sink.Close(t.Context())
	addr := server.sink.(interface{ Addr() net.Addr }).Addr()
	// A naru that reads would do: here it is another output, whose connection only has to stand.
	client := openOutput(t, fmt.Sprintf(`tcp { host => "localhost" port => %d codec => json_lines ssl_enabled => true ssl_certificate_authorities => "ca.pem" }`, addr.(*net.TCPAddr).Port), a.Dir)
	if err := client.write(`{"a":1}`); err != nil {
		t.Error(err)
	}
	if err := client.sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
	stranger := openOutput(t, fmt.Sprintf(`tcp { host => "localhost" port => %d ssl_enabled => true }`, addr.(*net.TCPAddr).Port), a.Dir)
	if err := stranger.write(`{"a":1}`); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}

func TestTCPAndUDPWriteWhatTheCodecMakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := openOutput(t, fmt.Sprintf(`tcp { host => "127.0.0.1" port => %d codec => json_lines }`, l.Addr().(*net.TCPAddr).Port), "")
	if err := w.write(`{"a":1}`, `{"a":2}`); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	one, _ := r.ReadString('\n')
	two, _ := r.ReadString('\n')
	if one+two != "{\"a\":1}\n{\"a\":2}\n" {
		t.Errorf("got %q", one+two)
	}
	c.Close()
	if err := w.sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w = openOutput(t, `udp { host => "127.0.0.1" port => "%{port}" }`, "")
	if err := w.write(fmt.Sprintf(`{"port":%d}`, p.LocalAddr().(*net.UDPAddr).Port)); err != nil {
		t.Error(err)
	}
	room := make([]byte, 100)
	n, _, err := p.ReadFrom(room)
	if err != nil || !strings.HasPrefix(string(room[:n]), `{"port":`) {
		t.Errorf("%q, %v", room[:n], err)
	}
	if err := w.write(`{"port":"x"}`); err == nil {
		t.Error("x is no port")
	}
}
