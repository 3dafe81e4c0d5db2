package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// pipe reads a source by hand: a test says when something is read and acknowledged.
type pipe struct {
	t    *testing.T
	s    *Requests
	line stream.Stream
	ctx  context.Context //nolint:containedctx // of the run
	stop context.CancelFunc
	done chan error
	once sync.Once
}

func open(t *testing.T, c Listen) *pipe {
	t.Helper()
	c.Address = "127.0.0.1:0"
	s, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, s: s, done: make(chan error, 1)}
	p.ctx, p.stop = context.WithCancel(t.Context())
	opened := make(chan stream.Stream, 1)
	go func() { p.done <- s.Run(p.ctx, func(l stream.Stream) { opened <- l }) }()
	p.line = <-opened
	t.Cleanup(p.close)
	return p
}

// close ends the run as an engine does that stops hard.
func (p *pipe) close() {
	p.once.Do(func() {
		p.stop()
		if err := p.line.Close(); err != nil {
			p.t.Error(err)
		}
		if err := <-p.done; err != nil {
			p.t.Error(err)
		}
	})
}

func (p *pipe) read() *flow.Batch {
	p.t.Helper()
	var b flow.Batch
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(p.line.Wait(ctx), p.line.Read(ctx, &b)); err != nil {
		p.t.Fatal(err)
	}
	return &b
}

func (p *pipe) ack(b *flow.Batch) {
	p.t.Helper()
	if err := p.line.Ack(p.t.Context(), b.Next); err != nil {
		p.t.Error(err)
	}
}

// reading acknowledges whatever comes, and gives it at the end.
func (p *pipe) reading() (records func() []flow.Record) {
	var mu sync.Mutex
	var all []flow.Record
	go func() {
		for p.line.Wait(p.ctx) == nil {
			var b flow.Batch
			if p.line.Read(p.ctx, &b) != nil {
				return
			}
			mu.Lock()
			all = append(all, b.Records...)
			mu.Unlock()
			_ = p.line.Ack(p.ctx, b.Next)
		}
	}()
	return func() []flow.Record {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func (p *pipe) url() string { return "http://" + p.s.Addr().String() }

type answer struct {
	status int
	text   string
	header http.Header
	err    error
}

func (p *pipe) request(method, path, text string, header ...string) answer {
	return p.send(context.Background(), method, path, strings.NewReader(text), header...)
}

func (p *pipe) send(ctx context.Context, method, path string, body io.Reader, header ...string) answer {
	r, err := http.NewRequestWithContext(ctx, method, p.url()+path, body)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, string(text), res.Header, err}
}

func TestAClientIsAnsweredWhenWhatItSentIsSafe(t *testing.T) {
	p := open(t, Listen{Port: 5, Status: 201, Header: http.Header{"X-Thanks": {"yes"}}})
	answers := make(chan answer, 1)
	go func() {
		answers <- p.request("PUT", "/a/b?c=d", "hello", "X-Mine", "1", "Content-Type", "text/x", "User-Agent", "test")
	}()
	b := p.read()
	select {
	case a := <-answers:
		t.Fatalf("answered %d before anything was safe", a.status)
	case <-time.After(50 * time.Millisecond):
	}
	p.ack(b)
	a := <-answers
	if a.err != nil || a.status != 201 || a.text != "ok" || a.header.Get("X-Thanks") != "yes" {
		t.Errorf("%+v", a)
	}
	r, err := ParseRequest(b.Records[0].Meta)
	want := Request{
		Remote: "127.0.0.1", Method: "PUT", Target: "/a/b?c=d", Version: "HTTP/1.1", Host: p.s.Addr().String(),
		Header: []Field{{"Accept-Encoding", "gzip"}, {"Content-Length", "5"}, {"Content-Type", "text/x"}, {"User-Agent", "test"}, {"X-Mine", "1"}},
	}
	if diff := cmp.Diff(want, r); diff != "" || err != nil || string(b.Records[0].Body) != "hello" || b.Records[0].Port != 5 {
		t.Errorf("%v, %+v: %s", err, b.Records, diff)
	}
}

func TestPasswordsAreChecked(t *testing.T) {
	p := open(t, Listen{User: "u", Password: "p", Realm: "R"})
	records := p.reading()
	for _, c := range []struct {
		header string
		status int
		asked  string
	}{
		{"", 401, `Basic realm="R"`},
		{"Basic dTpw", 200, ""}, // u:p
		{"Basic dTpx", 401, ""}, // u:q
		{"Bearer x", 401, ""},
		{"Basic !", 401, ""},
	} {
		var header []string
		if c.header != "" {
			header = []string{"Authorization", c.header}
		}
		if a := p.request("POST", "/", "x", header...); a.status != c.status || a.header.Get("WWW-Authenticate") != c.asked {
			t.Errorf("%q: %+v", c.header, a)
		}
	}
	if got := records(); len(got) != 1 || bytes.Contains(got[0].Meta, []byte("Authorization")) {
		t.Errorf("%d records, %v", len(got), got)
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func TestBodiesAreDecompressedAndBounded(t *testing.T) {
	p := open(t, Listen{MaxBody: 100_000, Kind: func(s string) byte { return byte('0' + len(s)%10) }})
	records := p.reading()
	fits := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name   string
		body   io.Reader
		header []string
		status int
	}{
		{"empty", strings.NewReader(""), nil, 200},
		{"fits", strings.NewReader(fits), nil, 200},
		{"fits, without a length", io.MultiReader(strings.NewReader(fits)), []string{"Content-Type", "Text/X; charset=y"}, 200},
		{"too long", strings.NewReader(fits + "x"), nil, 413},
		{"too long, without a length", io.MultiReader(strings.NewReader(fits + "x")), nil, 413},
		{"compressed", strings.NewReader(zipped(fits)), []string{"Content-Encoding", "gzip"}, 200},
		{"compressed and too long", strings.NewReader(zipped(fits + "x")), []string{"Content-Encoding", "gzip"}, 413},
		{"broken", strings.NewReader(zipped(fits)[:50]), []string{"Content-Encoding", "gzip"}, 400},
		{"not compressed", strings.NewReader("hello"), []string{"Content-Encoding", "gzip"}, 400},
		{"not compressed", strings.NewReader("hello"), []string{"Content-Encoding", "deflate"}, 400},
	} {
		before := len(records())
		a := p.send(t.Context(), "POST", "/", c.body, c.header...)
		if a.err != nil || a.status != c.status {
			t.Errorf("%s: %d %v", c.name, a.status, a.err)
			continue
		}
		got := records()[before:]
		if a.status != 200 {
			if len(got) > 0 {
				t.Errorf("%s: came through", c.name)
			}
			continue
		}
		want := "0"
		if c.name != "empty" {
			want = "0" + fits
		}
		if len(c.header) > 0 && c.header[0] == "Content-Type" {
			want = "6" + fits
		}
		if len(got) != 1 || string(got[0].Body) != want {
			t.Errorf("%s: %d records", c.name, len(got))
		}
		if r, err := ParseRequest(got[0].Meta); err != nil || fmt.Sprint(r.Header) == "" || strings.Contains(fmt.Sprint(r.Header), "Content-Encoding") {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
	if n := p.s.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

func TestTooMuchAtATimeIsRefused(t *testing.T) {
	p := open(t, Listen{MaxPending: 2, MaxBody: 1 << 20, Memory: 1 << 20})
	answers := make(chan answer, 2)
	for range 2 {
		go func() { answers <- p.request("POST", "/", "x") }()
	}
	var batches []*flow.Batch
	for n := 0; n < 2; {
		b := p.read()
		batches = append(batches, b)
		n += len(b.Records)
	}
	if a := p.request("POST", "/", "x"); a.status != 429 {
		t.Errorf("one too many: %+v", a)
	}
	for _, b := range batches {
		p.ack(b)
	}
	for range 2 {
		if a := <-answers; a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
	// One body takes almost all the memory that there is for them.
	go func() { answers <- p.request("POST", "/", strings.Repeat("x", 1000<<10)) }()
	b := p.read()
	if a := p.request("POST", "/", strings.Repeat("y", 200<<10)); a.status != 429 {
		t.Errorf("no room: %d", a.status)
	}
	p.ack(b)
	if a := <-answers; a.status != 200 {
		t.Errorf("%+v", a)
	}
}

func TestAClientThatIsGoneLeavesNothingBehindUnlessItIsOnItsWay(t *testing.T) {
	p := open(t, Listen{MaxPending: 1})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan answer, 1)
	go func() { gone <- p.send(ctx, "POST", "/", strings.NewReader("never read")) }()
	if err := p.line.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-gone
	answers := make(chan answer, 1)
	go func() {
		for {
			a := p.request("POST", "/", "second")
			if a.status == 429 {
				continue // the server has not noticed yet
			}
			answers <- a
			return
		}
	}()
	var b *flow.Batch
	for b == nil || len(b.Records) == 0 {
		b = p.read()
	}
	if string(b.Records[0].Body) == "never read" {
		t.Skip("the client's end was noticed late") // it may happen, and is right
	}
	if len(b.Records) != 1 || string(b.Records[0].Body) != "second" {
		t.Errorf("got %v", b.Records)
	}
	p.ack(b)
	if a := <-answers; a.status != 200 {
		t.Errorf("%+v", a)
	}
}

func TestWhenItStopsWhatIsNotSafeIsRefused(t *testing.T) {
	p := open(t, Listen{})
	read, unread := make(chan answer, 1), make(chan answer, 1)
	go func() { read <- p.request("POST", "/", "one") }()
	b := p.read()
	go func() { unread <- p.request("POST", "/", "two") }()
	if err := p.line.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.stop() // drain
	if a := <-unread; a.status != 503 {
		t.Errorf("what nobody has read: %+v", a)
	}
	if err := p.line.Wait(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the stop: %v", err)
	}
	p.ack(b)
	if a := <-read; a.status != 200 {
		t.Errorf("what was delivered during the stop: %+v", a)
	}
	p.close()
	if _, err := net.Dial("tcp", p.s.Addr().String()); err == nil {
		t.Error("it still listens")
	}
	// A hard stop gives up what was read.
	p = open(t, Listen{})
	go func() { read <- p.request("POST", "/", "one") }()
	p.read()
	p.close()
	if a := <-read; a.status != 503 {
		t.Errorf("what was given up: %+v", a)
	}
}

func TestAClientThatStallsIsLetGo(t *testing.T) {
	p := open(t, Listen{Stall: 50 * time.Millisecond, MaxPending: 1})
	p.reading()
	for _, text := range []string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "POST / HT"} {
		c, err := net.Dial("tcp", p.s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		got, err := io.ReadAll(c)
		if err != nil || len(text) > 20 && !strings.HasPrefix(string(got), "HTTP/1.1 408") {
			t.Errorf("%q, %v", got, err)
		}
	}
	if a := p.request("POST", "/", "x"); a.status != 200 {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestManyClientsAtATimeAreAllAnswered(t *testing.T) {
	p := open(t, Listen{})
	records := p.reading()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for j := range 20 {
				if a := p.request("POST", "/", fmt.Sprintf("%d/%d", i, j)); a.status != 200 {
					t.Errorf("%+v", a)
				}
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, r := range records() {
		seen[string(r.Body)] = true
	}
	if len(seen) != 400 {
		t.Errorf("%d different bodies", len(seen))
	}
}

// FuzzParseRequest: no Meta breaks it.
func FuzzParseRequest(f *testing.F) {
	r, err := http.NewRequest(http.MethodPost, "http://h/x", nil)
	if err != nil {
		f.Fatal(err)
	}
	r.RequestURI = "/x"
	r.Header.Set("A", "b")
	f.Add(appendMeta(nil, r, "1.2.3.4", 3, false))
	f.Fuzz(func(t *testing.T, meta []byte) {
		got, err := ParseRequest(meta)
		if err == nil && len(got.Header) > len(meta) {
			t.Error("more fields than bytes")
		}
	})
}
