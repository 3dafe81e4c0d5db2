package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

func recordsOf(texts ...string) []flow.Record {
	var recs []flow.Record
	for _, text := range texts {
		recs = append(recs, flow.Record{Body: []byte(text)})
	}
	return recs
}

func TestASenderConnectsAgainWhenItsServerIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := Send{Address: l.Addr().String()}.Open()
	for i := range 3 {
		if err := s.Write(t.Context(), recordsOf(fmt.Sprintf("%d\n", i), "x\n")); err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != fmt.Sprintf("%d\nx\n", i) {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
		<-s.gone // the next write must not go to a connection that the server has closed
	}
	if err := s.Write(t.Context(), recordsOf("last")); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(c)
		c.Close()
		done <- string(text)
	}()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-done; got != "last" {
		t.Errorf("got %q", got)
	}
	l.Close()
	if err := s.Write(t.Context(), recordsOf("x")); err == nil || flow.IsPermanent(err) {
		t.Errorf("without a server: %v", err)
	}
}

func TestWhatWasNotWrittenWhollyHasFailed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := Send{Address: l.Addr().String()}.Open()
	var recs []flow.Record
	body := []byte(strings.Repeat("x", 1<<20))
	for range 64 {
		recs = append(recs, flow.Record{Body: body})
	}
	if err := s.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = s.Write(ctx, recs) // nobody reads
	failed, ok := errors.AsType[flow.Failures](err)
	if !ok || len(failed) == 0 || failed[len(failed)-1].Index != 63 {
		t.Fatalf("%d failures, %v", len(failed), ok)
	}
	for i, f := range failed {
		if f.Index != failed[0].Index+i || flow.IsPermanent(f.Err) {
			t.Fatalf("%+v", f)
		}
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, c)
	if whole := int(n >> 20); whole < failed[0].Index {
		t.Errorf("%d records came, %d are said to be written", whole, failed[0].Index)
	}
}

func TestAllClientsGetWhatIsBroadcast(t *testing.T) {
	b, err := Serve{Address: "127.0.0.1:0", Stall: 100 * time.Millisecond}.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Write(t.Context(), recordsOf("nobody hears this\n")); err != nil {
		t.Error(err)
	}
	var all []net.Conn
	for range 3 {
		all = append(all, dial(t, b))
	}
	for {
		b.mu.Lock()
		n := len(b.clients)
		b.mu.Unlock()
		if n == 3 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	all[2].Close()
	if err := b.Write(t.Context(), recordsOf("one\n", "two\n")); err != nil {
		t.Error(err)
	}
	for _, c := range all[:2] {
		r := bufio.NewReader(c)
		one, _ := r.ReadString('\n')
		two, _ := r.ReadString('\n')
		if one+two != "one\ntwo\n" {
			t.Errorf("got %q", one+two)
		}
	}
	// One that does not read is cut off, and does not hold up for ever.
	began := time.Now()
	big := recordsOf(strings.Repeat("x", 32<<20))
	go func() { _, _ = io.Copy(io.Discard, all[0]) }()
	if err := b.Write(t.Context(), big); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	b.mu.Lock()
	n := len(b.clients)
	b.mu.Unlock()
	if n != 1 {
		t.Errorf("%d clients are left", n)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDatagramsGoToTheirPorts(t *testing.T) {
	a, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	p, err := Datagrams{Host: "127.0.0.1", Retries: 1, Pause: time.Millisecond}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	port := []byte(fmt.Sprint(a.LocalAddr().(*net.UDPAddr).Port))
	err = p.Write(t.Context(), []flow.Record{{Key: port, Body: []byte("one")}, {Key: port, Body: make([]byte, 70000)}, {Key: []byte("none"), Body: []byte("x")}})
	failed, ok := errors.AsType[flow.Failures](err)
	if !ok || len(failed) != 2 || failed[0].Index != 1 || !flow.IsPermanent(failed[0].Err) || !flow.IsPermanent(failed[1].Err) {
		t.Errorf("%v", err)
	}
	room := make([]byte, 100)
	n, _, err := a.ReadFrom(room)
	if diff := cmp.Diff("one", string(room[:n])); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
