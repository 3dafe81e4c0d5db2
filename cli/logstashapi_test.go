package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/narudata/naru/internal/testbed/certs"
	"github.com/narudata/naru/logstash/monitor"
)

// process is a naru that runs in the test.
type process struct {
	stdout, stderr seen
	signals        chan os.Signal
	status         chan int
	dir            string // of its settings
}

// begin runs naru with variables of the environment.
func begin(t *testing.T, variables map[string]string, args ...string) *process {
	t.Helper()
	p := &process{signals: make(chan os.Signal, 1), status: make(chan int, 1)}
	env := Env{
		Stdin: strings.NewReader(""), Stdout: &p.stdout, Stderr: &p.stderr,
		Getenv:     func(name string) string { return variables[name] },
		Columns:    func(io.Writer) int { return 0 },
		Interrupts: func() (<-chan os.Signal, func()) { return p.signals, func() {} },
	}
	go func() { p.status <- Main(t.Context(), env, args) }()
	return p
}

// end waits until it has ended.
func (p *process) end(t *testing.T) int {
	t.Helper()
	select {
	case status := <-p.status:
		return status
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not end: %s", p.stderr.String())
		return -1
	}
}

// run runs naru to its end.
func run(t *testing.T, variables map[string]string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	p := begin(t, variables, args...)
	status = p.end(t)
	return p.stdout.String(), p.stderr.String(), status
}

const watched = `
input { generator { id => "gen" message => "10.0.0.7 hello" } }
filter {
  grok { id => "words" match => { "message" => "%{IP:ip} %{WORD:word}" } }
  mutate { id => "less" remove_field => ["message"] add_field => { "[@metadata][m]" => "1" } }
}
output { null { id => "nowhere" } }
`

// watchedLogstash runs a pipeline with an API at a free port, and gives the port's address.
func watchedLogstash(t *testing.T, settings string, variables map[string]string, more ...string) (p *process, address string) {
	t.Helper()
	dir := t.TempDir()
	port := freePort(t)
	for name, text := range map[string]string{
		"logstash.yml":  "path.data: " + filepath.Join(dir, "data") + "\napi.http.port: " + strconv.Itoa(port) + "\n" + settings,
		"pipelines.yml": "- pipeline.id: main\n  path.config: " + filepath.Join(dir, "main.conf") + "\n",
		"main.conf":     watched,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p = begin(t, variables, append([]string{"logstash", "--path.settings", dir}, more...)...)
	p.dir = dir
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 1000 {
		var d net.Dialer
		if c, err := d.DialContext(t.Context(), "tcp", address); err == nil {
			_ = c.Close()
			return p, address
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the API does not come up: %s", p.stderr.String())
	return nil, ""
}

// stop ends it as a supervisor does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signals <- syscall.SIGTERM
	if status := p.end(t); status != exitOK {
		t.Errorf("exit status %d: %s", status, p.stderr.String())
	}
}

func TestRunningPipelinesAreSeen(t *testing.T) {
	p, address := watchedLogstash(t, "", nil)
	url := "http://" + address
	out, _, status := run(t, nil, "top", "--url", url, "--once", "--interval", "300ms")
	for _, want := range []string{"naru logstash at " + address, "main      RUNNING", "generator gen", "grok words", "null nowhere", "codec of generator gen"} {
		if status != exitOK || !strings.Contains(out, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, out)
		}
	}
	out, _, _ = run(t, nil, "top", "--url", url, "--once", "-o", "json", "--interval", "300ms")
	var v topView
	if err := json.Unmarshal([]byte(out), &v); err != nil || len(v.Pipelines) != 1 || v.Pipelines[0].In <= 0 || v.Plugins[0].Share <= 0 || v.Pipelines[0].Busy <= 0 {
		t.Errorf("%v %s", err, out)
	}
	out, _, status = run(t, nil, "tap", "main", "--at", "words", "-n", "2", "--url", url)
	if status != exitOK || strings.Count(out, "grok words") != 2 || !strings.Contains(out, `  + ip  "10.0.0.7"`) || !strings.Contains(out, "fields as before") {
		t.Errorf("status %d:\n%s", status, out)
	}
	out, _, status = run(t, nil, "tap", "--at", "less", "-n", "1", "--all", "--url", url)
	for _, want := range []string{`  - message  "10.0.0.7 hello"`, `  + [@metadata][m]  "1"`, `    ip  "10.0.0.7"`} {
		if status != exitOK || !strings.Contains(out, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, out)
		}
	}
	out, _, _ = run(t, nil, "tap", "--at", "gen", "-n", "3", "-o", "json", "--url", url)
	var s monitor.TapLine
	first, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(first), &s); err != nil || strings.Count(out, "\n") != 3 || s.Message == nil || *s.Message != "10.0.0.7 hello" {
		t.Errorf("%v\n%s", err, out)
	}
	if _, stderr, status := run(t, nil, "tap", "--at", "word", "--url", url); status != exitFailed || !strings.Contains(stderr, `did you mean "words"?`) {
		t.Errorf("status %d: %s", status, stderr)
	}
	endless := begin(t, nil, "tap", "--at", "words", "-n", "0", "--url", url)
	endless.stdout.await(t, "grok words")
	top := begin(t, nil, "top", "--interval", "100ms", "--url", url, "-o", "json")
	top.stdout.await(t, "}\n{")
	top.signals <- os.Interrupt
	if status := top.end(t); status != exitOK {
		t.Errorf("top: %d %s", status, top.stderr.String())
	}
	p.stop(t)
	if status := endless.end(t); status != exitOK && status != exitFailed {
		t.Errorf("tap: %d %s", status, endless.stderr.String())
	}
}

func TestAnAPIForOthersNeedsAPassword(t *testing.T) {
	secret := map[string]string{apiUsername: "ops", apiPassword: "Secret123"}
	for name, c := range map[string]struct {
		settings  string
		variables map[string]string
		args      []string
		want      string
	}{
		"another host":     {"api.http.host: 0.0.0.0\n", nil, nil, "set api.auth.type: basic"},
		"by a flag":        {"", nil, []string{"--api.http.host", "::"}, "set api.auth.type: basic"},
		"auth off":         {"api.http.host: 0.0.0.0\napi.auth.type: none\n", secret, nil, "needs a password"},
		"no password":      {"api.auth.type: basic\napi.auth.basic.username: a\n", nil, nil, "api.auth.basic.password"},
		"a kind":           {"api.auth.type: digest\n", nil, nil, "basic or none"},
		"weak":             {"api.auth.type: basic\napi.auth.basic.username: a\napi.auth.basic.password: short\napi.auth.basic.password_policy.mode: ERROR\n", nil, nil, "at least 8"},
		"no certificate":   {"api.ssl.enabled: true\n", nil, nil, "api.ssl.certificate"},
		"a JKS":            {"api.ssl.enabled: true\napi.ssl.keystore.path: a.jks\n", nil, nil, "keytool"},
		"a port":           {"", nil, []string{"--api.http.port", "x"}, "9600-9700"},
		"an unknown":       {"api.http.hosts: x\n", nil, nil, "did you mean api.http.host?"},
		"neither true nor": {"api.enabled: maybe\n", nil, nil, "true or false"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "logstash.yml"), []byte(c.settings), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"logstash", "--path.settings", dir, "-e", "input { stdin { } } output { null { } }"}, c.args...)
		if _, stderr, status := run(t, c.variables, args...); status != exitFailed || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d, no %q in %s", name, status, c.want, stderr)
		}
	}
	p, address := watchedLogstash(t, "", secret)
	url := "http://" + address
	if _, stderr, status := run(t, nil, "top", "--once", "--url", url); status != exitFailed || !strings.Contains(stderr, apiPassword) {
		t.Errorf("status %d: %s", status, stderr)
	}
	if out, stderr, status := run(t, secret, "top", "--once", "--interval", "100ms", "--url", url); status != exitOK || !strings.Contains(out, "RUNNING") {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
	if _, stderr, status := run(t, secret, "top", "--once", "--url", "http://ops:Secret123@"+address); status != exitFailed || !strings.Contains(stderr, "no password in a flag") || strings.Contains(stderr, "Secret123") {
		t.Errorf("status %d: %s", status, stderr)
	}
	p.stop(t)
	if text := p.stderr.String(); strings.Contains(text, "Secret123") {
		t.Errorf("the password is shown: %s", text)
	}
}

func TestAPageOfAnotherNameIsNotAnswered(t *testing.T) {
	p, address := watchedLogstash(t, "", nil)
	for host, want := range map[string]int{"evil.example": http.StatusForbidden, "localhost": http.StatusOK} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/naru/figures", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", host, resp.StatusCode)
		}
	}
	p.stop(t)
}

func TestThePortOfTheAPIIsTheFirstFreeOne(t *testing.T) {
	var conf net.ListenConfig
	taken, err := conf.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()                      //nolint:errcheck // it is only there
	port := taken.Addr().(*net.TCPAddr).Port //nolint:errcheck,forcetypeassert // of TCP
	c := &common{Env: Env{Stderr: io.Discard, Getenv: func(string) string { return "" }}}
	for ports, want := range map[string]bool{fmt.Sprint(port): false, fmt.Sprintf("%d-%d", port, min(port+200, 65535)): true, "0": true} {
		a := &logstashAPI{host: "127.0.0.1", ports: ports}
		l, err := a.listen(t.Context())
		if (err == nil) != want {
			t.Errorf("%s: %v", ports, err)
		}
		if err == nil {
			_ = l.Close()
		}
	}
	nothing := func() monitor.Node { return monitor.Node{} }
	var said seen
	c.Stderr = &said
	if stop, err := (&logstashAPI{enabled: true, host: "127.0.0.1", ports: fmt.Sprint(port)}).serve(c, nothing); err != nil || !strings.Contains(said.String(), "there is no API") {
		t.Errorf("%v: %s", err, said.String())
	} else {
		stop()
	}
	if _, err := (&logstashAPI{enabled: true, host: "127.0.0.1", ports: fmt.Sprint(port), asked: true}).serve(c, nothing); err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "a", "1-", "-1", "9700-9600", "70000", "1-70000"} {
		if _, _, err := portRange(text); err == nil {
			t.Errorf("%q is a range", text)
		}
	}
}

func TestTheAPIIsEncryptedIfAskedFor(t *testing.T) {
	authority := certs.New(t)
	server := authority.Issue(t, "naru")
	p, address := watchedLogstash(t, "api.ssl.enabled: true\napi.ssl.certificate: "+server.CertFile+"\napi.ssl.key: "+server.KeyFile+"\n", nil)
	out, stderr, status := run(t, nil, "top", "--once", "--interval", "100ms", "--url", "https://"+address, "--ca-file", authority.File)
	if status != exitOK || !strings.Contains(out, "RUNNING") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if _, stderr, status := run(t, nil, "top", "--once", "--url", "https://"+address); status != exitFailed || !strings.Contains(stderr, "certificate") {
		t.Errorf("status %d: %s", status, stderr)
	}
	p.stop(t)
}

func TestALogstashIsToldFromANaru(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"path":%q,"status":404,"error":{"message":"Not Found"}}`, r.URL.Path)
	}))
	defer s.Close()
	if _, stderr, status := run(t, nil, "top", "--once", "--url", s.URL); status != exitFailed || !strings.Contains(stderr, "is a Logstash") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// TestReloadsAreCountedAndNoEventIsForgotten loads a pipeline anew, well and badly, and looks at the sums.
func TestReloadsAreCountedAndNoEventIsForgotten(t *testing.T) {
	p, address := watchedLogstash(t, "", nil, "-r", "--config.reload.interval", "50ms")
	type answer struct {
		Events  struct{ In int64 }
		Reloads struct{ Successes, Failures int64 }
		Status  string
	}
	stats := func() (a answer) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/_node/stats", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it is only read
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	write := func(text string) {
		t.Helper()
		next := filepath.Join(p.dir, "next~")
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(p.dir, "main.conf")); err != nil {
			t.Fatal(err)
		}
	}
	last := int64(0)
	until := func(ok func(a answer) bool) {
		t.Helper()
		for range 1000 {
			a := stats()
			if a.Events.In < last {
				t.Fatalf("%d events after %d", a.Events.In, last)
			}
			last = a.Events.In
			if ok(a) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("it never comes: %s", p.stderr.String())
	}
	until(func(a answer) bool { return a.Events.In > 10_000 })
	write(strings.Replace(watched, "hello", "hallo", 1))
	until(func(a answer) bool { return a.Reloads.Successes == 1 })
	write("nonsense")
	until(func(a answer) bool { return a.Reloads.Failures == 1 })
	before := last
	until(func(a answer) bool { return a.Events.In > before && a.Status == "green" })
	p.stop(t)
}
