package beats

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-lumber/client/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/format/lumberjack"
)

func ackText(b []byte) string   { return strconv.Itoa(int(binary.BigEndian.Uint32(b[2:]))) }
func isTimeout(err error) bool  { return errors.Is(err, os.ErrDeadlineExceeded) }
func object(n int) string       { return fmt.Sprintf(`{"n":%d}`, n) }
func event(n int) any           { return map[string]int{"n": n} }
func document(n int) []byte     { return []byte(object(n)) }
func frame(seq, n int) []byte   { return lumberjack.AppendJSON(nil, uint32(seq), document(n)) }
func windowOf(n int) []byte     { return lumberjack.AppendWindow(nil, lumberjack.V2, uint32(n)) }
func list(from, n int) []string { return texts(from, n, object) }

func texts(from, n int, text func(int) string) []string {
	var out []string
	for i := range n {
		out = append(out, text(from+i))
	}
	return out
}

func events(from, n int) []any {
	var out []any
	for i := range n {
		out = append(out, event(from+i))
	}
	return out
}

// packed gives a window of events as one compressed frame.
func packed(t testing.TB, from, n int) []byte {
	t.Helper()
	var frames []byte
	for i := range n {
		frames = append(frames, frame(i+1, from+i)...)
	}
	b, err := new(lumberjack.Deflater).Append(windowOf(n), lumberjack.V2, frames)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAClientThatOthersWroteDeliversItsEvents(t *testing.T) {
	for _, level := range []int{0, 3} {
		for _, records := range []int{0, 1, 100} {
			t.Run(fmt.Sprint("level ", level, ", batches of ", records), func(t *testing.T) {
				p := start(t, Config{}, func(p *pipeline) { p.records = records })
				c, err := v2.SyncDial(p.addr(), v2.CompressionLevel(level), v2.Timeout(10*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				total := 0
				for _, n := range []int{1, 2, 300, 3000} {
					if got, err := c.Send(events(total, n)); err != nil || got != n {
						t.Fatal(got, err)
					}
					total += n
				}
				if d := cmp.Diff(list(0, total), p.delivered(total)); d != "" {
					t.Error(d)
				}
				for _, m := range p.metas {
					if got := ParsePeer([]byte(m)); got != (Peer{Address: "127.0.0.1"}) {
						t.Fatal(got)
					}
				}
			})
		}
	}
}

func TestAClientMaySendWindowsBeforeTheFirstIsAcknowledged(t *testing.T) {
	p := start(t, Config{}, func(p *pipeline) { p.records, p.blocked = 7, true })
	c, err := v2.AsyncDial(p.addr(), 20, v2.CompressionLevel(3), v2.Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan string, 100)
	for i := range 10 {
		if err := c.Send(func(seq uint32, err error) { results <- fmt.Sprint(seq, err) }, events(i*50, 50)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case r := <-results:
		t.Fatalf("acknowledged before it is delivered: %s", r)
	case <-time.After(100 * time.Millisecond):
	}
	p.block(false)
	for range 10 {
		if r := <-results; r != "50 <nil>" {
			t.Error(r)
		}
	}
	_ = c.Close()
	if d := cmp.Diff(list(0, 500), p.delivered(500)); d != "" {
		t.Error(d)
	}
}

func TestNothingIsAcknowledgedBeforeItIsSafeAndPartsAsSoonAsTheyAre(t *testing.T) {
	p := start(t, Config{}, func(p *pipeline) { p.records, p.blocked = 4, true })
	c := p.dial()
	send(t, c, packed(t, 0, 10))
	quiet(t, c, 100*time.Millisecond)
	p.block(false)
	for want := []string{"2:4", "2:8", "2:10"}; ; {
		got := acked(t, c, 1)[0] // a later one covers those before
		if i := slices.Index(want, got); i < 0 {
			t.Fatalf("acknowledged %s, not one of %q", got, want)
		} else if want = want[i+1:]; len(want) == 0 {
			break
		}
	}
	quiet(t, c, 50*time.Millisecond)
}

func TestClientsOfVersion1GetOneAcknowledgementForAWindow(t *testing.T) {
	p := start(t, Config{KeepAlive: 20 * time.Millisecond}, func(p *pipeline) { p.records, p.blocked = 1, true })
	c := p.dial()
	b := lumberjack.AppendWindow(nil, lumberjack.V1, 3)
	for i := range 5 { // the window is announced once, and the sequence goes on
		b = lumberjack.AppendData(b, uint32(i+1), []lumberjack.Pair{{Key: "line", Value: "text " + strconv.Itoa(i)}, {Key: "file", Value: "/a"}})
	}
	send(t, c, b)
	quiet(t, c, 100*time.Millisecond)
	p.block(false)
	if d := cmp.Diff([]string{"1:3"}, acked(t, c, 1)); d != "" {
		t.Error(d)
	}
	quiet(t, c, 50*time.Millisecond)
	send(t, c, lumberjack.AppendData(nil, 6, []lumberjack.Pair{{Key: "line", Value: "text 5"}}))
	if d := cmp.Diff([]string{"1:6"}, acked(t, c, 1)); d != "" {
		t.Error(d)
	}
	got := p.delivered(6)
	if got[0] != `{"line":"text 0","file":"/a"}` || got[5] != `{"line":"text 5"}` {
		t.Errorf("%q", got)
	}
}

func TestABlockedPipelineKeepsItsClientAlive(t *testing.T) {
	p := start(t, Config{KeepAlive: 30 * time.Millisecond, InactivityTimeout: 500 * time.Millisecond}, func(p *pipeline) { p.blocked = true })
	c, err := v2.SyncDial(p.addr(), v2.CompressionLevel(3), v2.Timeout(400*time.Millisecond)) // it hears something, or gives up
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.AfterFunc(1500*time.Millisecond, func() { p.block(false) })
	if n, err := c.Send(events(0, 20)); n != 20 || err != nil {
		t.Fatal(n, err)
	}
	if n := len(p.delivered(20)); n != 20 {
		t.Errorf("%d events", n)
	}
}

func TestSignsOfLifeEndWithTheWindow(t *testing.T) {
	p := start(t, Config{KeepAlive: 20 * time.Millisecond}, func(p *pipeline) { p.blocked = true })
	c := p.dial()
	send(t, c, packed(t, 0, 2))
	if d := cmp.Diff([]string{"2:0", "2:0", "2:0"}, acked(t, c, 3)); d != "" {
		t.Error(d)
	}
	p.block(false)
	for acked(t, c, 1)[0] != "2:2" {
	}
	quiet(t, c, 100*time.Millisecond)
}

func TestAnEmptyWindowIsAnsweredAtOnce(t *testing.T) {
	p := start(t, Config{})
	c := p.dial()
	send(t, c, windowOf(0))
	if d := cmp.Diff([]string{"2:0"}, acked(t, c, 1)); d != "" {
		t.Error(d)
	}
	send(t, c, packed(t, 0, 1))
	if d := cmp.Diff([]string{"2:1"}, acked(t, c, 1)); d != "" {
		t.Error(d)
	}
}

func TestAWindowThatEndsEarlyIsAcknowledged(t *testing.T) {
	for _, version := range []byte{lumberjack.V1, lumberjack.V2} {
		p := start(t, Config{})
		c := p.dial()
		send(t, c, slices.Concat(lumberjack.AppendWindow(nil, version, 9), frame(1, 0), frame(2, 1)))
		p.delivered(2)
		time.Sleep(20 * time.Millisecond)
		send(t, c, slices.Concat(lumberjack.AppendWindow(nil, version, 9), lumberjack.AppendWindow(nil, version, 1), frame(1, 2)))
		var got []string
		for len(got) == 0 || got[len(got)-1] != string(version)+":1" || len(got) == 1 {
			got = append(got, acked(t, c, 1)...)
		}
		if !slices.Contains(got, string(version)+":2") {
			t.Errorf("%q", got)
		}
		if d := cmp.Diff(list(0, 3), p.delivered(3)); d != "" {
			t.Error(d)
		}
	}
}

func TestAConnectionThatEndsInsideOfAFrameGivesNoHalfEvents(t *testing.T) {
	whole := packed(t, 0, 100)
	plain := slices.Concat(windowOf(3), frame(1, 0), frame(2, 1), frame(3, 2))
	for _, b := range [][]byte{whole, plain} {
		for _, cut := range []int{1, 5, 6, 8, 11, 12, 20, 23, 30, 40, len(b) - 1} {
			p := start(t, Config{})
			c := p.dial()
			send(t, c, b[:cut])
			_ = c.(*net.TCPConn).CloseWrite()
			err := p.end()
			for _, body := range p.bodies {
				if !strings.HasSuffix(body, "}") {
					t.Errorf("half an event: %q", body)
				}
			}
			if inside := cut != 6 && (&b[0] == &whole[0] || cut != 23 && cut != 40); inside != errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut at %d: %v", cut, err)
			}
			if &b[0] == &whole[0] && len(p.bodies) > 0 {
				t.Errorf("cut at %d: %d events of a compressed frame that is not complete", cut, len(p.bodies))
			}
		}
	}
}

func TestAClientWhoseConnectionIsCutSendsAgainAndNothingIsLost(t *testing.T) {
	p := start(t, Config{KeepAlive: 50 * time.Millisecond}, func(p *pipeline) { p.records = 10 })
	acknowledged := 0
	for round := 0; acknowledged < 1000; round++ {
		if round > 500 {
			t.Fatal("no end")
		}
		raw := p.dial()
		c, err := v2.NewSyncClientWithConn(&dying{Conn: raw, after: 300 + round*97%4000}, v2.CompressionLevel(round%2*3), v2.Timeout(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for acknowledged < 1000 {
			n, err := c.Send(events(acknowledged, min(50, 1000-acknowledged)))
			acknowledged += n
			if err != nil {
				break
			}
		}
		_ = c.Close()
	}
	seen := map[string]int{}
	for _, b := range p.delivered(1000) {
		seen[b]++
	}
	for _, want := range list(0, 1000) {
		if seen[want] == 0 {
			t.Errorf("%s is lost", want)
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d different events", len(seen))
	}
}

// dying is a connection that is cut after so many bytes were sent.
type dying struct {
	net.Conn
	after int
}

func (d *dying) Write(b []byte) (int, error) {
	n, err := d.Conn.Write(b[:min(len(b), d.after)])
	if d.after -= n; d.after <= 0 && err == nil {
		_ = d.Conn.Close()
		err = net.ErrClosed
	}
	return n, err
}

func TestADrainDeliversAndAcknowledgesWhatWasRead(t *testing.T) {
	p := start(t, Config{}, func(p *pipeline) { p.blocked = true })
	c := p.dial()
	send(t, c, packed(t, 0, 10))
	time.Sleep(100 * time.Millisecond) // it is read
	p.drain()
	send(t, c, packed(t, 10, 10)) // nobody reads it, and it is in the way of the end
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr()); err == nil {
		t.Error("new connections are still accepted")
	}
	select {
	case <-p.done:
		t.Fatal("it ended before what was read is delivered")
	case <-time.After(50 * time.Millisecond):
	}
	p.block(false)
	if d := cmp.Diff([]string{"2:10"}, acked(t, c, 1)); d != "" {
		t.Error(d)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client does not see an orderly end: %v", err)
	}
	_ = c.Close()
	<-p.done
	if d := cmp.Diff(list(0, 10), p.bodies); d != "" {
		t.Error(d)
	}
}

func TestADrainWakesStreamsThatWaitWhereverTheyDo(t *testing.T) {
	p := start(t, Config{})
	idle, half := p.dial(), p.dial()
	_ = idle
	send(t, half, packed(t, 0, 10)[:20])
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	p.drain()
	<-p.done
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestClientsThatAreSilentAreDisconnected(t *testing.T) {
	p := start(t, Config{InactivityTimeout: 100 * time.Millisecond, StallTimeout: 100 * time.Millisecond})
	p.dial()
	if err := p.end(); err != io.EOF { //nolint:errorlint // it must not be wrapped
		t.Errorf("idle: %v", err)
	}
	send(t, p.dial(), packed(t, 0, 10)[:20])
	if err := p.end(); err == nil || !strings.Contains(err.Error(), "too slow") {
		t.Errorf("stalled: %v", err)
	}
	c := p.dial() // a byte from time to time is not enough either
	go func() {
		for b := packed(t, 0, 10); len(b) > 0; b = b[1:] {
			if _, err := c.Write(b[:1]); err != nil {
				return
			}
			time.Sleep(30 * time.Millisecond)
		}
	}()
	if err := p.end(); err == nil || !strings.Contains(err.Error(), "too slow") {
		t.Errorf("slow: %v", err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	bomb, err := new(lumberjack.Deflater).Append(windowOf(1<<20), lumberjack.V2, slices.Concat(slices.Repeat(frame(1, 1), 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n":                   "looks like HTTP",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03": "looks like TLS",
		string(frame(1, 1)):                        "before any window",
		string(lumberjack.AppendAck(nil, '2', 1)):  "no acknowledgements",
		string(windowOf(1 << 30)):                  "beyond the limit",
		string(bomb):                               "beyond the limit",
	} {
		p := start(t, Config{Limits: lumberjack.Limits{Inflated: 1 << 20}})
		c := p.dial()
		_, _ = c.Write([]byte(in))
		if err := p.end(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "127.0.0.1:") {
			t.Errorf("%q: %v", in[:min(len(in), 20)], err)
		}
	}
}

func TestConnectionsBeyondTheBoundAreRefused(t *testing.T) {
	p := start(t, Config{MaxConnections: 2})
	first, second := p.dial(), p.dial()
	send(t, first, packed(t, 0, 1))
	send(t, second, packed(t, 1, 1))
	acked(t, first, 1)
	acked(t, second, 1)
	third := p.dial()
	_ = third.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a third connection: %v", err)
	}
	if !strings.Contains(p.log.String(), "connections are refused") {
		t.Error("the log does not say so")
	}
	_ = first.Close()
	_ = p.end()
	for range 100 { // a place becomes free in a moment
		c := p.dial()
		_, _ = c.Write(packed(t, 2, 1))
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if n, _ := c.Read(make([]byte, 6)); n == 6 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("no place is free when a client has gone")
}

func TestAClientMayHaveOnlySoMuchInThePipeline(t *testing.T) {
	p := start(t, Config{MaxUnacknowledged: 10_000}, func(p *pipeline) { p.blocked = true })
	c := p.dial()
	var b []byte
	for i := range 100 {
		b = append(b, packed(t, i*100, 100)...)
	}
	go func() { _, _ = c.Write(b) }()
	time.Sleep(200 * time.Millisecond)
	p.mu.Lock()
	if p.read < 10_000 || p.read > 10_020 {
		t.Errorf("%d bytes were read", p.read)
	}
	p.mu.Unlock()
	p.block(false)
	var got []string
	for len(got) < 100 {
		got = append(got, acked(t, c, 1)...)
	}
	if d := cmp.Diff(list(0, 10_000), p.delivered(10_000)); d != "" {
		t.Error(d)
	}
}

func TestLargeFramesOfAllClientsTogetherAreBounded(t *testing.T) {
	p := start(t, Config{MaxReceiving: 300_000})
	large := strings.Repeat("x", 200_000)
	text := func(n int) string { return fmt.Sprintf(`{"n":%d,"x":%q}`, n, large) }
	var clients []net.Conn
	for i := range 8 {
		c := p.dial()
		clients = append(clients, c)
		go func() {
			b := lumberjack.AppendJSON(windowOf(1), 1, []byte(text(i)))
			half := len(b) / 2
			_, _ = c.Write(b[:half]) // a while later
			time.Sleep(20 * time.Millisecond)
			_, _ = c.Write(b[half:])
		}()
	}
	for _, c := range clients {
		if d := cmp.Diff([]string{"2:1"}, acked(t, c, 1)); d != "" {
			t.Error(d)
		}
	}
	got := p.delivered(8)
	slices.Sort(got)
	if d := cmp.Diff(texts(0, 8, text), got); d != "" {
		t.Error("the events are not those that were sent")
	}
	for _, c := range clients {
		_ = c.Close()
		_ = p.end()
	}
	if !p.source.receiving.TryAcquire(300_000) {
		t.Error("what was reserved is not given back")
	}
}

func TestCompressedFramesBeyondTheBoundWaitForEachOther(t *testing.T) {
	p := start(t, Config{MaxReceiving: 150_000}, func(p *pipeline) { p.records = 10 })
	var clients []net.Conn
	for i := range 8 {
		c := p.dial()
		clients = append(clients, c)
		go func() {
			for n, b := 0, slices.Concat(packed(t, i*1000, 200), packed(t, i*1000+200, 200)); len(b) > 0; b = b[n:] {
				n = min(3, len(b)) // the length comes in pieces, too
				if len(b) < 1500 {
					n = min(100, len(b))
				}
				_, _ = c.Write(b[:n])
			}
		}()
	}
	for _, c := range clients {
		for ends := 0; ends < 2; {
			if acked(t, c, 1)[0] == "2:200" {
				ends++
			}
		}
		_ = c.Close()
		_ = p.end()
	}
	if n := len(p.delivered(3200)); n != 3200 {
		t.Errorf("%d events", n)
	}
	if !p.source.receiving.TryAcquire(150_000) {
		t.Error("what was reserved is not given back")
	}
}

func TestAClientThatOnlyHasSentIsAcknowledged(t *testing.T) {
	p := start(t, Config{}, func(p *pipeline) { p.blocked = true })
	c := p.dial()
	send(t, c, packed(t, 0, 5))
	_ = c.(*net.TCPConn).CloseWrite()
	if err := p.end(); err != io.EOF { //nolint:errorlint // it must not be wrapped
		t.Error(err)
	}
	p.block(false)
	if d := cmp.Diff([]string{"2:5"}, acked(t, c, 1)); d != "" {
		t.Error(d)
	}
}

func TestAClientThatTakesNoAcknowledgementsIsGivenUp(t *testing.T) {
	p := start(t, Config{WriteTimeout: 100 * time.Millisecond})
	c := p.dial()
	_ = c.SetWriteDeadline(time.Now().Add(60 * time.Second))
	b := slices.Repeat(windowOf(0), 10_000)
	for {
		if _, err := c.Write(b); err != nil {
			break
		}
	}
	if err := p.end(); !errors.Is(err, errGone) {
		t.Error(err)
	}
}

func TestAThousandConnectionsTakeLittleMemory(t *testing.T) {
	const n = 1000
	for name, c := range map[string]struct {
		secure  bool
		blocked bool // with half of a window read
		most    int64
	}{"plain": {false, false, 40 << 10}, "TLS": {true, false, 120 << 10}, "blocked": {false, true, 200 << 10}} {
		t.Run(name, func(t *testing.T) {
			server, client := Config{}, (*tls.Config)(nil)
			if c.secure {
				ca := newAuthority(t)
				server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "127.0.0.1")}}
				client = &tls.Config{RootCAs: ca.pool}
			}
			p := start(t, server, func(p *pipeline) { p.records, p.stuck = 1, c.blocked })
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range n {
				c := p.dial()
				if client != nil {
					c = tls.Client(c, &tls.Config{RootCAs: client.RootCAs, ServerName: "127.0.0.1"})
				}
				if p.stuck {
					send(t, c, packed(t, 100*i, 100))
					continue
				}
				send(t, c, packed(t, i, 1))
				acked(t, c, 1)
			}
			time.Sleep(500 * time.Millisecond)
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&after)
			each := (int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)) / n
			t.Logf("%d bytes of heap and stacks for a connection, both of its ends and the driver's goroutines included", each)
			if each > c.most {
				t.Errorf("%d bytes for a connection", each)
			}
		})
	}
}
