package network

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed/certs"
)

// engine reads the streams of a source as the real one does, and keeps all it got.
type engine struct {
	stop context.CancelFunc
	done chan error

	mu      sync.Mutex // guards what follows
	records []flow.Record
	streams int
	ended   int
	changed chan struct{}
}

func start(t *testing.T, s stream.Source) *engine {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	e := &engine{stop: stop, done: make(chan error, 1), changed: make(chan struct{})}
	var feeds sync.WaitGroup
	go func() {
		err := s.Run(ctx, func(s stream.Stream) {
			e.note(func() { e.streams++ })
			feeds.Go(func() { e.carry(ctx, t, s) })
		})
		feeds.Wait()
		e.done <- err
	}()
	t.Cleanup(func() {
		stop()
		<-e.done
	})
	return e
}

func (e *engine) note(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *engine) carry(ctx context.Context, t *testing.T, s stream.Stream) {
	for {
		err := s.Wait(ctx)
		if err == nil {
			var b flow.Batch
			err = s.Read(ctx, &b)
			e.note(func() {
				for _, r := range b.Records {
					r.Body = bytes.Clone(r.Body)
					e.records = append(e.records, r)
				}
			})
			if aerr := s.Ack(ctx, b.Next); aerr != nil {
				t.Error(aerr)
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				t.Error(err)
			}
			break
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	e.note(func() { e.ended++ })
}

// until waits until what is asked for holds.
func (e *engine) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		e.mu.Lock()
		ok, changed := holds(), e.changed
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			e.mu.Lock()
			defer e.mu.Unlock()
			t.Fatalf("%s never came: %d streams, %d ended, %d records", what, e.streams, e.ended, len(e.records))
		}
	}
}

func (e *engine) got(n int) func() bool  { return func() bool { return len(e.records) >= n } }
func (e *engine) over(n int) func() bool { return func() bool { return e.ended >= n } }
func (e *engine) texts() (texts []string) {
	for _, r := range e.records {
		texts = append(texts, string(r.Body))
	}
	return texts
}

func listen(t *testing.T, c TCP) *Server {
	t.Helper()
	if c.Address == "" {
		c.Address = "127.0.0.1:0"
	}
	s, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t *testing.T, s interface{ Addr() net.Addr }) net.Conn {
	t.Helper()
	c, err := net.Dial(s.Addr().Network(), s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

var lines = Framing{Delimiter: []byte("\n")}

func TestMessagesAreCutWhereverTheirBytesAreCut(t *testing.T) {
	s := listen(t, TCP{Framing: lines, Port: 7})
	e := start(t, s)
	c := dial(t, s)
	for _, part := range []string{"one\ntw", "o", "\n\nthr", "ee\nfo"} {
		send(t, c, part)
		time.Sleep(5 * time.Millisecond)
	}
	e.until(t, "four lines", e.got(4))
	c.Close() // in the middle of a message, which is one
	e.until(t, "the end", e.over(1))
	if diff := cmp.Diff([]string{"one", "two", "", "three", "fo"}, e.texts()); diff != "" {
		t.Error(diff)
	}
	p, err := ParsePeer(e.records[0].Meta)
	if err != nil || p.IP != "127.0.0.1" || p.Host != p.IP || p.Port == 0 || e.records[0].Port != 7 {
		t.Errorf("%+v, %v, port %d", p, err, e.records[0].Port)
	}
}

func TestLargeMessagesComeWholeUpToTheBound(t *testing.T) {
	s := listen(t, TCP{Framing: lines, MaxMessage: 1 << 20})
	e := start(t, s)
	c := dial(t, s)
	fits, tooLong := strings.Repeat("a", 1<<20), strings.Repeat("b", 2<<20+5)
	go func() {
		send(t, c, fits+"\n"+tooLong+"\nlast\n")
		c.Close()
	}()
	e.until(t, "the end", e.over(1))
	var sizes []int
	for _, r := range e.records {
		sizes = append(sizes, len(r.Body))
	}
	if diff := cmp.Diff([]int{1 << 20, 1 << 20, 1 << 20, 5, 4}, sizes); diff != "" {
		t.Error(diff)
	}
	if n := s.begun.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

func TestAllConnectionsTogetherAreBounded(t *testing.T) {
	s := listen(t, TCP{Framing: lines, Begun: 1 << 20})
	e := start(t, s)
	var all []net.Conn
	endless := strings.Repeat("x", 300<<10)
	for range 8 {
		c := dial(t, s)
		all = append(all, c)
		send(t, c, endless)
	}
	e.until(t, "pieces of messages that never end", e.got(1))
	for _, c := range all {
		send(t, c, "\n")
		c.Close()
	}
	e.until(t, "the end", e.over(8))
	total := 0
	for _, r := range e.records {
		total += len(r.Body)
	}
	if want := 8 * len(endless); total != want {
		t.Errorf("%d bytes came, %d were sent", total, want)
	}
}

func TestSilentConnectionsTakeLittleMemory(t *testing.T) {
	s := listen(t, TCP{Framing: lines})
	e := start(t, s)
	const n = 400
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		send(t, dial(t, s), fmt.Sprintf("hello %d\nhalf a mess", i))
	}
	e.until(t, "all hellos", e.got(n))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / n; each > 48<<10 {
		t.Errorf("a silent connection takes %d bytes (with the client's end)", each)
	}
}

func TestTheSubjectOfACertificateIsKnown(t *testing.T) {
	a := certs.New(t)
	server, client := a.Issue(t, "server"), a.Issue(t, "client")
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	pair := func(p certs.Pair) []tls.Certificate {
		c, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{c}
	}
	conf := &tls.Config{Certificates: pair(server), ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	for _, header := range []string{"outside", "inside", "none"} {
		s := listen(t, TCP{Framing: lines, TLS: conf, ProxyProtocol: header != "none"})
		e := start(t, s)
		raw := dial(t, s)
		if header == "outside" {
			send(t, raw, "PROXY TCP4 192.0.2.9 192.0.2.1 4711 514\r\n")
		}
		c := tls.Client(raw, &tls.Config{RootCAs: pool, Certificates: pair(client), ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if header == "inside" {
			send(t, c, "PROXY TCP4 192.0.2.9 192.0.2.1 4711 514\r\n")
		}
		send(t, c, "a\nb")
		c.Close()
		e.until(t, "the end", e.over(1))
		if diff := cmp.Diff([]string{"a", "b"}, e.texts()); diff != "" {
			t.Fatal(header, diff)
		}
		p, err := ParsePeer(e.records[0].Meta)
		if err != nil || p.Subject != "CN=client,O=naru" || header != "none" && (p.IP != "192.0.2.9" || p.ProxyIP != "192.0.2.1" || p.ProxyPort != 514) {
			t.Errorf("%s: %+v, %v", header, p, err)
		}
		// Who shows no certificate is not heard, and holds nobody up.
		bare := tls.Client(dial(t, s), &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if header != "none" {
			continue
		}
		_, _ = io.WriteString(bare, "secret\n")
		e.until(t, "the end of the stranger", e.over(2))
		if len(e.records) != 2 {
			t.Errorf("a stranger was heard: %q", e.texts())
		}
	}
}

func TestAHeaderOfTheProxyProtocolComesFirst(t *testing.T) {
	for header, want := range map[string]*Peer{
		"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n":  {Host: "2001:db8::1", IP: "2001:db8::1", Port: 1, ProxyIP: "2001:db8::2", ProxyPort: 65535},
		"PROXY UNKNOWN ffff:f...f:ffff whatever\r\n":      {Host: "127.0.0.1", IP: "127.0.0.1"},
		"PROXY TCP4 1.2.3.4 1.2.3.4 70000 1\r\n":          nil,
		"PROXY TCP4 one two 1 2\r\n":                      nil,
		"PROXY TCP4\r\n":                                  nil,
		"GET / HTTP/1.1\r\n":                              nil,
		"PROXY " + strings.Repeat("x", 200) + "\r\n":      nil,
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 and no line feed": nil,
	} {
		s := listen(t, TCP{Framing: lines, ProxyProtocol: true})
		e := start(t, s)
		c := dial(t, s)
		_, _ = io.WriteString(c, header+"hello\n")
		_ = c.(*net.TCPConn).CloseWrite()
		e.until(t, "the end", e.over(1))
		if want == nil {
			if len(e.records) > 0 {
				t.Errorf("%q: got %q", header, e.texts())
			}
			continue
		}
		if len(e.records) != 1 || string(e.records[0].Body) != "hello" {
			t.Errorf("%q: got %q", header, e.texts())
			continue
		}
		got, err := ParsePeer(e.records[0].Meta)
		if want.Port == 0 {
			got.Port = 0
		}
		if diff := cmp.Diff(*want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", header, err, diff)
		}
	}
}

func TestAPeerThatStallsInTheHandshakeOrIsSilentIsLetGo(t *testing.T) {
	a := certs.New(t)
	p := a.Issue(t, "server")
	pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := listen(t, TCP{Framing: lines, TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, Handshake: 50 * time.Millisecond})
	e := start(t, s)
	send(t, dial(t, s), "\x16\x03\x01\x02")
	e.until(t, "the end", e.over(1))
	s = listen(t, TCP{Framing: lines, Idle: 50 * time.Millisecond})
	e = start(t, s)
	send(t, dial(t, s), "a\nbegun")
	e.until(t, "the end", e.over(1))
	if diff := cmp.Diff([]string{"a", "begun"}, e.texts()); diff != "" {
		t.Error(diff)
	}
}

func TestWhenTheSourceStopsConnectionsAreClosedAndThePortIsFree(t *testing.T) {
	s := listen(t, TCP{Framing: lines})
	e := start(t, s)
	c := dial(t, s)
	send(t, c, "one\n")
	e.until(t, "a line", e.got(1))
	e.stop()
	e.until(t, "the end", e.over(1))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
	again := listen(t, TCP{Address: s.Addr().String()})
	again.Close()
	if _, err := (TCP{Address: "127.0.0.1:99999"}).Open(); err == nil {
		t.Error("there is no such port")
	}
}

func TestAClientConnectsAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := listen(t, TCP{Address: l.Addr().String(), Dial: true, Framing: lines})
	e := start(t, s)
	for i := range 3 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		send(t, c, fmt.Sprintf("%d\n", i))
		c.Close()
	}
	e.until(t, "all lines", e.got(3))
	if diff := cmp.Diff([]string{"0", "1", "2"}, e.texts()); diff != "" {
		t.Error(diff)
	}
}

func TestNamesOfPeersAreAskedForOnce(t *testing.T) {
	asked := 0
	r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked++
		return nil, errors.New("no DNS here")
	}}
	var names nameCache
	for range 3 {
		if got := names.lookUp(t.Context(), r, "192.0.2.77"); got != "192.0.2.77" {
			t.Errorf("got %q", got)
		}
	}
	before := asked
	names.lookUp(t.Context(), r, "192.0.2.77")
	if asked != before || before == 0 {
		t.Errorf("asked %d, then %d times", before, asked)
	}
}

func TestPacketsAreMessages(t *testing.T) {
	p, err := UDP{Address: "127.0.0.1:0", ReceiveBuffer: 1 << 20, MaxPacket: 1000, Readers: 2}.Open()
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, p)
	c := dial(t, p)
	var want []string
	for i := range 200 {
		text := fmt.Sprintf("message %d", i)
		want = append(want, text)
		send(t, c, text)
		if i%20 == 0 {
			e.until(t, "some packets", e.got(i/2))
		}
	}
	send(t, c, strings.Repeat("x", 2000))
	want = append(want, strings.Repeat("x", 1000))
	e.until(t, "all packets", e.got(len(want)))
	got := e.texts()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	peer, err := ParsePeer(e.records[0].Meta)
	if err != nil || peer.IP != "127.0.0.1" || int(peer.Port) != c.LocalAddr().(*net.UDPAddr).Port {
		t.Errorf("%+v, %v", peer, err)
	}
	e.stop()
	e.until(t, "the end", e.over(1))
}

func TestPacketsWaitInABoundedQueue(t *testing.T) {
	p, err := UDP{Address: "127.0.0.1:0", Queue: 10}.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	opened := make(chan stream.Stream, 1)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, func(s stream.Stream) { opened <- s }) }()
	s := <-opened
	c := dial(t, p)
	for range 50 {
		send(t, c, "x")
	}
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		n := len(p.queue)
		p.mu.Unlock()
		if n == 10 {
			break
		}
		if n > 10 || time.Now().After(deadline) {
			t.Fatalf("%d packets wait", n)
		}
	}
	// What waits when the source stops can still be read.
	stop()
	var b flow.Batch
	if err := errors.Join(s.Wait(ctx), s.Read(ctx, &b)); err != nil || len(b.Records) != 10 {
		t.Errorf("%d records, %v", len(b.Records), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestKernelsListOfSocketsIsRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the list")
	}
	name := filepath.Join(t.TempDir(), "udp")
	text := `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            
  442: 00000000:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 28381 2 0000000000000000 42         
`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, ok := drops(name, "28381"); !ok || n != 42 {
		t.Errorf("%d, %t", n, ok)
	}
	if _, ok := drops(name, "28382"); ok {
		t.Error("there is no such socket")
	}
}

func TestPeersThatAreNoneAreErrors(t *testing.T) {
	whole := (&Peer{"name", "1.2.3.4", 5, "6.7.8.9", 10, "CN=x"}).AppendMeta(nil)
	for i := range whole {
		if p, err := ParsePeer(whole[:i]); err == nil {
			t.Errorf("the first %d bytes are %+v", i, p)
		}
	}
	if _, err := ParsePeer(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("a byte too many")
	}
	if p, err := ParsePeer(whole); err != nil || p != (Peer{"name", "1.2.3.4", 5, "6.7.8.9", 10, "CN=x"}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// dripping is a connection that sends a few bytes at a time.
type dripping struct{ net.Conn }

func (d dripping) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i += 20 {
		if _, err := d.Conn.Write(p[i:min(i+20, len(p))]); err != nil {
			return i, err
		}
		time.Sleep(2 * grace)
	}
	return len(p), nil
}

func TestRecordsOfTLSThatComeInPiecesAreRead(t *testing.T) {
	a := certs.New(t)
	p := a.Issue(t, "server")
	pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := listen(t, TCP{Framing: lines, TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}})
	e := start(t, s)
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	c := tls.Client(dripping{dial(t, s)}, &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("a line of text, number %d", i))
		send(t, c, want[i]+"\n")
	}
	e.until(t, "all lines", e.got(len(want)))
	if diff := cmp.Diff(want, e.texts()); diff != "" {
		t.Error(diff)
	}
	c.Close()
	e.until(t, "the end", e.over(1))
}
