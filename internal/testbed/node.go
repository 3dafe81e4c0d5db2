package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/narudata/naru/internal/testbed/proc"
)

// Servers lists the servers that Start knows, each with its version in search/pom.xml. A name may be followed by
// @VERSION for another version of the same generation, if its jars can be had: "es7@7.3.2".
var Servers = []string{"es56", "es68", "es710", "es717", "es84", "es811", "es8", "os13", "os29", "os219", "os3"}

// OlderServers are more versions, with file formats that none of Servers writes or between those that they write.
var OlderServers = []string{"es50@5.0.2", "es60@6.0.1", "es6@6.5.4", "es7@7.0.1", "es7@7.6.2", "es7@7.9.3", "es84@8.7.1", "os29@2.0.0", "os30@3.0.0"}

// How long the steps of Start may take.
const (
	buildPatience = 15 * time.Minute // downloads about 60 MB of jars the first time
	startPatience = 3 * time.Minute
	stopPatience  = 15 * time.Second
)

// Options of a node; the zero value works.
type Options struct {
	HeapMB   int               // 512 if zero
	Settings map[string]string // of the node, as in elasticsearch.yml
}

// A Node is a running server on the loopback interface, alone in its cluster.
type Node struct {
	URL        string
	Repo       string // its path.repo: snapshot repositories go below
	OpenSearch bool   // else Elasticsearch
	Version    string // "7.17.29"
	Major      int
	Minor      int

	client      http.Client
	home        string                          // its data and configuration
	answers     func(ctx context.Context) error // more that it takes to be ready; nil: nothing
	args        []string                        // of the script
	environment []string
	pid         int // 0: it does not run
	ended       chan error
	tether      io.Closer
}

// CanStart reports whether this machine has what Start needs for the named server, and what is missing if not.
func CanStart(tb testing.TB, name string) (ok bool, missing string) {
	tb.Helper()
	check := exec.CommandContext(tb.Context(), script(tb), name)
	check.Env = append(os.Environ(), "CHECK=1", "NARU_CACHE="+Cache(tb))
	out, err := check.CombinedOutput()
	if err != nil {
		return false, fmt.Sprintf("%s(%v)", out, err)
	}
	return true, ""
}

func script(tb testing.TB) string {
	return filepath.Join(Root(tb), "internal", "testbed", "search", "node.sh")
}

// Start starts the named server with a data folder and a path.repo of its own. It waits until the server answers;
// the test fails with the end of the server's log when it does not. The server is stopped when the test ends, and
// ends by itself should the test's process die. Servers wait for the disk a lot: where /dev/shm has a few hundred MB,
// TMPDIR=/dev/shm makes tests quicker.
func Start(tb testing.TB, name string, o Options) *Node {
	tb.Helper()
	n := newNode(tb, name, o)
	n.start(tb)
	return n
}

// newNode makes all that a node needs, and does not start it.
func newNode(tb testing.TB, name string, o Options) *Node {
	tb.Helper()
	environment := append(os.Environ(), "HEAP="+strconv.Itoa(max(o.HeapMB, 512))+"m", "NARU_CACHE="+Cache(tb))
	build, cancel := context.WithTimeout(tb.Context(), buildPatience)
	defer cancel()
	prepare := exec.CommandContext(build, script(tb), name)
	prepare.Env = append(environment, "PREPARE=1")
	if out, err := prepare.CombinedOutput(); err != nil {
		tb.Fatalf("download and build %s: %v\n%s", name, err, tail(out))
	}

	dir := tb.TempDir()
	n := &Node{Repo: filepath.Join(dir, "repo"), home: filepath.Join(dir, "node"), environment: append(environment, "TETHER=1")}
	ports, err := FreePorts(2)
	if err != nil {
		tb.Fatal(err)
	}
	n.URL = "http://127.0.0.1:" + ports[0]
	n.args = []string{name, ports[0], n.home, n.Repo, "transport.port=" + ports[1]}
	for k, v := range o.Settings {
		n.args = append(n.args, k+"="+v)
	}
	return n
}

// start starts the node for the first time, until the test ends, and asks what it is.
func (n *Node) start(tb testing.TB) {
	tb.Helper()
	tb.Cleanup(n.end)
	n.launch(tb)

	var info struct {
		Version struct{ Number, Distribution string }
	}
	if err := json.Unmarshal(n.Call(tb, "GET", "/", nil), &info); err != nil {
		tb.Fatal(err)
	}
	n.Version, n.OpenSearch = info.Version.Number, info.Version.Distribution == "opensearch"
	if _, err := fmt.Sscanf(n.Version, "%d.%d.", &n.Major, &n.Minor); err != nil {
		tb.Fatalf("%s calls itself %q: %v", n.args[0], n.Version, err)
	}
}

// launch starts the server's process and waits until it answers.
func (n *Node) launch(tb testing.TB) {
	tb.Helper()
	server := exec.Command(script(tb), n.args...)
	server.Env = n.environment
	proc.Group(server)
	log := &serverLog{started: make(chan struct{})}
	server.Stdout, server.Stderr = log, log
	tether, err := server.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	n.tether, n.pid, n.ended = tether, server.Process.Pid, make(chan error, 1)
	ended := n.ended
	go func() { ended <- server.Wait() }()
	select {
	case <-log.started:
	case err := <-ended:
		ended <- err
		tb.Fatalf("%s ended before it was ready: %v\n%s", n.args[0], err, log.tail())
	case <-time.After(startPatience):
		tb.Fatalf("%s is not ready after %v\n%s", n.args[0], startPatience, log.tail())
	}
	if n.answers == nil {
		return
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startPatience)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for last := n.answers(ctx); last != nil; last = n.answers(ctx) {
		select {
		case <-again.C:
		case err := <-ended:
			ended <- err
			tb.Fatalf("%s ended before it was ready: %v\n%s", n.args[0], err, log.tail())
		case <-ctx.Done():
			tb.Fatalf("%s is not ready after %v: %v\n%s", n.args[0], startPatience, last, log.tail())
		}
	}
}

// end stops the process, if there is one.
func (n *Node) end() {
	if n.pid == 0 {
		return
	}
	stop(n.pid, n.ended)
	n.pid = 0
	n.tether.Close()
}

// Kill ends the server at once, as a crash does (kill -9). Restart starts it again.
func (n *Node) Kill(tb testing.TB) {
	tb.Helper()
	if err := proc.SignalGroup(n.pid, syscall.SIGKILL); err != nil {
		tb.Fatal(err)
	}
	<-n.ended
	n.pid = 0
	n.tether.Close()
}

// Restart stops the server, if it runs, and starts it again with what it has and at the same address.
func (n *Node) Restart(tb testing.TB) {
	tb.Helper()
	n.end()
	n.launch(tb)
}

// stop ends the process group of pid, which Wait will report on ended.
func stop(pid int, ended <-chan error) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := proc.SignalGroup(pid, signal); errors.Is(err, syscall.ESRCH) {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(stopPatience):
		}
	}
}

// FreePorts finds n ports of the loopback interface that nobody listens at.
func FreePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

// Call sends body (nil, bytes, a string, or what is to be JSON) and returns the reply; anything but success fails
// the test.
func (n *Node) Call(tb testing.TB, method, path string, body any) []byte {
	tb.Helper()
	status, reply, err := n.Send(tb.Context(), method, path, "application/json", body)
	if err == nil && status >= 300 {
		err = fmt.Errorf("status %d: %.1000s", status, reply)
	}
	if err != nil {
		tb.Fatalf("%s %s: %v", method, path, err)
	}
	return reply
}

// Send is Call for what a server may refuse.
func (n *Node) Send(ctx context.Context, method, path, contentType string, body any) (status int, reply []byte, err error) {
	r, err := n.do(ctx, method, path, contentType, body)
	if err != nil {
		return 0, nil, err
	}
	reply, err = io.ReadAll(r.Body)
	return r.StatusCode, reply, errors.Join(err, r.Body.Close())
}

func (n *Node) do(ctx context.Context, method, path, contentType string, body any) (*http.Response, error) {
	var content []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		content = b
	case string:
		content = []byte(b)
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, n.URL+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	return n.client.Do(req)
}

// A serverLog keeps the end of what a server says, and sees the line by which Launch.java says that it is ready.
type serverLog struct {
	started chan struct{}

	mu    sync.Mutex // guards the rest
	text  []byte
	ready bool
}

// logKept is how much of a server's log is kept, in bytes.
const logKept = 64 << 10

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if !l.ready && bytes.Contains(append([]byte("\n"), l.text...), []byte("\nstarted http=")) {
		l.ready = true
		close(l.started)
	}
	if len(l.text) > 2*logKept {
		l.text = append([]byte(nil), l.text[len(l.text)-logKept:]...)
	}
	return len(p), nil
}

func (l *serverLog) tail() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tail(l.text)
}

func tail(text []byte) []byte {
	const shown = 6000
	return bytes.Clone(text[max(0, len(text)-shown):])
}
