package network

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/narudata/naru/flow"
)

// Send says how the bodies of records are written to a server, one after the other. What is written is in the hands of the
// kernel; TCP does not tell whether the server has read it.
type Send struct {
	Address string
	TLS     *tls.Config   // nil: none
	Timeout time.Duration // of connecting, with TLS; 0: 30 s
	Log     *slog.Logger  // nil: nowhere
}

// Sender is the sink of a Send. One Write at a time.
type Sender struct {
	Send
	conn net.Conn      // nil: there is none
	gone chan struct{} // closed when the server has closed the connection
	room []byte
}

var _ flow.Sink = (*Sender)(nil)

// Open makes the sink. It connects with the first Write.
func (s Send) Open() *Sender {
	s.Timeout = cmp.Or(s.Timeout, 30*time.Second)
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return &Sender{Send: s}
}

// writeBytes is how much is written at a time.
const writeBytes = 256 << 10

// Write implements flow.Sink. If the connection breaks, what was not written wholly has failed, and is written again, from its
// beginning, to the next connection.
func (s *Sender) Write(ctx context.Context, recs []flow.Record) error {
	if err := s.connect(ctx); err != nil {
		return fmt.Errorf("connect to %s: %w", s.Address, err)
	}
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Now()) })()
	for first := 0; first < len(recs); {
		s.room = s.room[:0]
		end := first
		for end < len(recs) && (end == first || len(s.room)+len(recs[end].Body) <= writeBytes) {
			s.room = append(s.room, recs[end].Body...)
			end++
		}
		if n, err := s.conn.Write(s.room); err != nil {
			err = fmt.Errorf("write to %s: %w", s.Address, err)
			s.drop()
			var failed flow.Failures
			for i := first; i < len(recs); i++ {
				if n -= len(recs[i].Body); n < 0 || i >= end {
					failed = append(failed, flow.Failure{Index: i, Err: err})
				}
			}
			if len(failed) == 0 {
				return nil
			}
			return failed
		}
		first = end
	}
	return nil
}

// connect sees to it that there is a connection that the server has not closed.
func (s *Sender) connect(ctx context.Context) error {
	if s.conn != nil {
		select {
		case <-s.gone:
			s.drop()
		default:
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	var err error
	if s.TLS != nil {
		s.conn, err = (&tls.Dialer{Config: s.TLS}).DialContext(ctx, "tcp", s.Address)
	} else {
		s.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", s.Address)
	}
	if err != nil {
		s.conn = nil
		return err
	}
	s.gone = make(chan struct{})
	go func(conn net.Conn, gone chan struct{}) {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn) // ends with the connection
	}(s.conn, s.gone)
	return nil
}

func (s *Sender) drop() {
	_ = s.conn.Close()
	<-s.gone
	s.conn = nil
}

// Close implements flow.Sink. It gives the server a second to take what was written.
func (s *Sender) Close(ctx context.Context) error {
	if s.conn == nil {
		return nil
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		if t, ok := s.conn.(*tls.Conn); ok {
			if tcp, ok := t.NetConn().(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		select {
		case <-s.gone:
		case <-ctx.Done():
		}
	}
	s.drop()
	return nil
}

// Serve says how the bodies of records are written to all clients that have connected.
type Serve struct {
	Address string
	TLS     *tls.Config   // nil: none
	Stall   time.Duration // a client that takes nothing for so long is cut off; 0: 10 s
	Log     *slog.Logger  // nil: nowhere
}

// Broadcast is the sink of a Serve. What is written while there is no client, nobody gets.
type Broadcast struct {
	Serve
	listener net.Listener
	accepts  sync.WaitGroup
	over     chan struct{} // closed by Close

	mu      sync.Mutex // guards clients
	clients map[net.Conn]bool
}

var _ flow.Sink = (*Broadcast)(nil)

// Open listens.
func (s Serve) Open() (*Broadcast, error) {
	s.Stall = cmp.Or(s.Stall, 10*time.Second)
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", s.Address, err)
	}
	b := &Broadcast{Serve: s, listener: l, over: make(chan struct{}), clients: map[net.Conn]bool{}}
	b.accepts.Go(b.accept)
	return b, nil
}

// Addr is where it listens.
func (b *Broadcast) Addr() net.Addr { return b.listener.Addr() }

// pause waits, or until the sink is closed.
func (b *Broadcast) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.over:
	}
}

func (b *Broadcast) accept() {
	for failures := 0; ; {
		conn, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failures++
			b.Log.Warn("a client cannot be accepted", "address", b.Address, "error", err)
			b.pause(backoff(failures, 5*time.Millisecond, time.Second))
			continue
		}
		failures = 0
		b.accepts.Go(func() { b.welcome(conn) })
	}
}

// welcome adds a client, and reads what it says until it leaves.
func (b *Broadcast) welcome(conn net.Conn) {
	if b.TLS != nil {
		t := tls.Server(conn, b.TLS)
		ctx, cancel := context.WithTimeout(context.Background(), b.Stall)
		defer cancel()
		if err := t.HandshakeContext(ctx); err != nil {
			b.Log.Warn("a client cannot be accepted", "peer", conn.RemoteAddr(), "error", err)
			_ = conn.Close()
			return
		}
		conn = t
	}
	b.mu.Lock()
	over := b.clients == nil
	if !over {
		b.clients[conn] = true
	}
	b.mu.Unlock()
	if !over {
		_, _ = io.Copy(io.Discard, conn)
	}
	b.leave(conn)
}

func (b *Broadcast) leave(conn net.Conn) {
	b.mu.Lock()
	delete(b.clients, conn)
	b.mu.Unlock()
	_ = conn.Close()
}

// Write implements flow.Sink. A client that cannot be written to is cut off.
func (b *Broadcast) Write(_ context.Context, recs []flow.Record) error {
	n := 0
	for i := range recs {
		n += len(recs[i].Body)
	}
	text := make([]byte, 0, n)
	for i := range recs {
		text = append(text, recs[i].Body...)
	}
	b.mu.Lock()
	all := make([]net.Conn, 0, len(b.clients))
	for c := range b.clients {
		all = append(all, c)
	}
	b.mu.Unlock()
	var writers sync.WaitGroup
	for _, c := range all {
		writers.Go(func() {
			if err := b.write(c, text); err != nil {
				b.Log.Warn("a client is cut off", "peer", c.RemoteAddr(), "error", err)
				b.leave(c)
			}
		})
	}
	writers.Wait()
	return nil
}

// write writes piece by piece, so that a client that is slow, and not at a stand, is waited for.
func (b *Broadcast) write(c net.Conn, text []byte) error {
	for len(text) > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(b.Stall))
		n, err := c.Write(text[:min(len(text), 64<<10)])
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// Close implements flow.Sink.
func (b *Broadcast) Close(context.Context) error {
	err := b.listener.Close()
	b.mu.Lock()
	all := b.clients
	b.clients = nil
	b.mu.Unlock()
	for c := range all {
		_ = c.Close()
	}
	b.accepts.Wait()
	return err
}

// Datagrams says how the bodies of records are sent as packets of UDP, each to the port that its Key is the number of.
type Datagrams struct {
	Host    string
	Retries int           // how often a packet that cannot be sent is tried again; then it has failed for good
	Pause   time.Duration // before each further try
}

// Packeter is the sink of Datagrams.
type Packeter struct {
	Datagrams
	conn *net.UDPConn
}

var _ flow.Sink = (*Packeter)(nil)

// Open makes the sink.
func (d Datagrams) Open() (*Packeter, error) {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	return &Packeter{d, conn}, nil
}

// Write implements flow.Sink.
func (p *Packeter) Write(ctx context.Context, recs []flow.Record) error {
	var failed flow.Failures
	for i := range recs {
		if err := p.send(ctx, &recs[i]); err != nil {
			failed = append(failed, flow.Failure{Index: i, Err: err})
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

func (p *Packeter) send(ctx context.Context, r *flow.Record) error {
	to := net.JoinHostPort(p.Host, string(r.Key))
	for tries := 0; ; tries++ {
		addr, err := net.ResolveUDPAddr("udp", to)
		if err == nil {
			_, err = p.conn.WriteToUDP(r.Body, addr)
		}
		switch dns := (*net.DNSError)(nil); {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EMSGSIZE):
			return flow.Permanent(fmt.Errorf("a packet of %d bytes is too long: %w", len(r.Body), err))
		case errors.As(err, &dns) && dns.IsTemporary, tries < p.Retries:
			if !sleep(ctx, p.Pause) {
				return context.Cause(ctx)
			}
		default:
			return flow.Permanent(fmt.Errorf("send to %s: %w", to, err))
		}
	}
}

// Close implements flow.Sink.
func (p *Packeter) Close(context.Context) error { return p.conn.Close() }
