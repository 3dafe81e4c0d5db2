package beats

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// A pipeline reads the streams of a source as the engine does: each in a goroutine of its own, acknowledged by another one in
// the order of its batches, as soon as they may be.
type pipeline struct {
	t       testing.TB
	source  *Source
	log     *journal
	drain   context.CancelFunc
	done    chan struct{}
	records int  // most of a batch; 0: no bound
	stuck   bool // each stream gives one batch, which is thrown away, and is read no more
	shared  flow.Batch

	mu      sync.Mutex // guards what follows
	changed sync.Cond
	blocked bool
	read    int      // bytes
	bodies  []string // delivered
	metas   []string
	ended   []error // of streams
}

// journal is a log that can be read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// start runs a source until the test ends.
func start(t testing.TB, c Config, with ...func(*pipeline)) *pipeline {
	t.Helper()
	c.Host = "127.0.0.1"
	p := &pipeline{t: t, log: new(journal), done: make(chan struct{})}
	p.changed.L = &p.mu
	for _, w := range with {
		w(p)
	}
	log := slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if p.source, err = Listen(c, 7, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.drain = cancel
	go func() {
		defer close(p.done)
		if err := p.source.Run(ctx, func(s stream.Stream) { p.open(ctx, s) }); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		p.block(false)
		cancel()
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			t.Error("the source does not end")
		}
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return p
}

func (p *pipeline) addr() string { return p.source.Addr().String() }

// block holds everything up, or lets it go.
func (p *pipeline) block(b bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = b
	p.changed.Broadcast()
}

// once reads a batch of a stream, which waits for more to be read until the end.
func (p *pipeline) once(ctx context.Context, s stream.Stream) {
	if err := s.Wait(ctx); err == nil {
		p.mu.Lock()
		p.shared.Reset()
		p.shared.MaxRecords = p.records
		if err := s.Read(ctx, &p.shared); err != nil {
			p.t.Errorf("Read: %v", err)
		}
		p.read += p.shared.Bytes()
		p.mu.Unlock()
		<-ctx.Done()
	}
	_ = s.Close()
}

// open reads a stream.
func (p *pipeline) open(ctx context.Context, s stream.Stream) {
	if p.stuck {
		go p.once(ctx, s)
		return
	}
	positions := make(chan flow.Position, 16)
	batches := make(chan *flow.Batch, 16)
	go func() {
		defer close(batches)
		for {
			if err := s.Wait(ctx); err != nil {
				p.mu.Lock()
				if ctx.Err() == nil {
					p.ended = append(p.ended, err)
				}
				p.changed.Broadcast()
				p.mu.Unlock()
				return
			}
			b := &flow.Batch{MaxRecords: p.records}
			if err := s.Read(ctx, b); err != nil {
				p.t.Errorf("Read: %v", err)
				return
			}
			p.mu.Lock()
			p.read += b.Bytes()
			p.mu.Unlock()
			batches <- b
		}
	}()
	go func() {
		defer close(positions)
		for b := range batches {
			p.mu.Lock()
			for p.blocked {
				p.changed.Wait()
			}
			for _, r := range b.Records {
				if r.Port != 7 {
					p.t.Errorf("port %d", r.Port)
				}
				p.bodies, p.metas = append(p.bodies, string(r.Body)), append(p.metas, string(r.Meta))
			}
			p.changed.Broadcast()
			p.mu.Unlock()
			if len(b.Next) > 0 {
				positions <- b.Next
			}
		}
	}()
	go func() {
		for next := range positions {
			if err := s.Ack(context.Background(), next); err != nil && !errors.Is(err, errGone) {
				p.t.Errorf("Ack: %v", err)
			}
		}
		if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			p.t.Errorf("Close: %v", err)
		}
	}()
}

// until waits until something holds.
func (p *pipeline) until(what string, holds func() bool) {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		p.mu.Lock()
		ok := holds()
		p.mu.Unlock()
		switch {
		case ok:
			return
		case time.Now().After(end):
			p.t.Fatalf("it never is so: %s\n%s", what, p.log.String())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// delivered waits until so many events are.
func (p *pipeline) delivered(n int) []string {
	p.t.Helper()
	p.until("events are delivered", func() bool { return len(p.bodies) >= n })
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.bodies)
}

// end waits until a stream has ended, and gives what with.
func (p *pipeline) end() error {
	p.t.Helper()
	p.until("a stream ends", func() bool { return len(p.ended) > 0 })
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.ended[0]
	p.ended = p.ended[1:]
	return err
}

// dial connects to the source without a client library.
func (p *pipeline) dial() net.Conn {
	p.t.Helper()
	c, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", p.addr())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t testing.TB, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// acked reads what a client is told: so many acknowledgements as texts, "2:17".
func acked(t testing.TB, c net.Conn, n int) []string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	var out []string
	for range n {
		var b [6]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			t.Fatalf("after %q: %v", out, err)
		}
		out = append(out, string(b[0])+":"+ackText(b[:]))
	}
	return out
}

// quiet reports that a client is told nothing for a while.
func quiet(t testing.TB, c net.Conn, d time.Duration) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	var b [6]byte
	if n, err := c.Read(b[:]); n > 0 || !isTimeout(err) {
		t.Fatalf("it is told %q, %v", b[:n], err)
	}
}
