// Package network has sources that listen: TCP, whose connections are streams, and UDP. What they gave cannot be asked for
// again, so they are volatile: something has to keep it before it is theirs no more.
package network

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/flow/stream"
)

// TCP says how messages are read from connections, each of which is a stream. The zero value of all but Address works.
type TCP struct {
	Address string // host:port
	// Dial: connect to the address instead of listening there, and again when the connection ends.
	Dial    bool
	TLS     *tls.Config // nil: none
	Framing Framing
	// MaxMessage bounds a message, in bytes; longer ones are cut into several. 0: 16 MiB.
	MaxMessage int
	// Begun bounds what all connections together keep of messages that have begun and not ended, in bytes. Beyond it messages
	// are cut as if they were too long. 0: 256 MiB.
	Begun         int64
	KeepAlive     bool          // probe connections that are silent
	ProxyProtocol bool          // connections begin with a header of the PROXY protocol, version 1, before or inside of TLS
	Handshake     time.Duration // how long TLS and that header may take; 0: 10 s
	Idle          time.Duration // a connection that is silent for so long is closed; 0: never
	LookUp        bool          // ask the DNS for names of peers
	Port          int32         // of the records
	Log           *slog.Logger  // nil: nowhere

	resolver *net.Resolver // of tests
}

const (
	defaultMaxMessage = 16 << 20
	defaultBegun      = 256 << 20
	defaultHandshake  = 10 * time.Second
)

// A Server is the source of a TCP that listens, or connects.
type Server struct {
	TCP
	listener net.Listener // nil: it connects
	begun    atomic.Int64
	names    nameCache
	streams  sync.WaitGroup
}

var _ stream.Volatile = (*Server)(nil)

// Open listens, so that a port that is taken is known at once.
func (c TCP) Open() (*Server, error) {
	c.MaxMessage = cmp.Or(c.MaxMessage, defaultMaxMessage)
	c.Begun = cmp.Or(c.Begun, defaultBegun)
	c.Handshake = cmp.Or(c.Handshake, defaultHandshake)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{TCP: c}
	if c.Dial {
		return s, nil
	}
	l, err := c.listenConfig().Listen(context.Background(), "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", c.Address, err)
	}
	s.listener = l
	return s, nil
}

func (c *TCP) keepAlive() time.Duration {
	if c.KeepAlive {
		return 0 // the default
	}
	return -1
}

func (c *TCP) listenConfig() *net.ListenConfig { return &net.ListenConfig{KeepAlive: c.keepAlive()} }

// Addr is where it listens; nil if it connects.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Volatile implements stream.Volatile.
func (*Server) Volatile() bool { return true }

// Close gives the address back, for those that do not call Run.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	return s.listener.Close()
}

// Run implements stream.Source.
func (s *Server) Run(ctx context.Context, open func(stream.Stream)) error {
	defer s.streams.Wait()
	if s.Dial {
		s.dial(ctx, open)
		return nil
	}
	return s.accept(ctx, open)
}

func (s *Server) accept(ctx context.Context, open func(stream.Stream)) error {
	defer context.AfterFunc(ctx, func() { _ = s.listener.Close() })()
	for failures := 0; ; {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			failures = 0
			s.streams.Add(1)
			open(newConnection(s, conn, nil))
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept connections at %s: %w", s.Address, err)
		default:
			// Too many open files, say: it passes when connections end.
			failures++
			s.Log.Warn("a connection cannot be accepted", "address", s.Address, "error", err)
			if !sleep(ctx, backoff(failures, 5*time.Millisecond, time.Second)) {
				_ = s.listener.Close()
				return nil
			}
		}
	}
}

// dial keeps one connection.
func (s *Server) dial(ctx context.Context, open func(stream.Stream)) {
	d := net.Dialer{Timeout: s.Handshake, KeepAlive: s.keepAlive()}
	for failures := 0; ctx.Err() == nil; {
		conn, err := d.DialContext(ctx, "tcp", s.Address)
		if err == nil {
			c := newConnection(s, conn, make(chan struct{}))
			s.streams.Add(1)
			open(c)
			// What comes after its end has to come after what was read of it.
			<-c.closed
			if c.got {
				failures = 0
				continue
			}
			err = errNothing
		}
		failures++
		if ctx.Err() == nil && failures&(failures-1) == 0 {
			s.Log.Warn("there is no connection to read from, trying again", "address", s.Address, "error", err, "failures", failures)
		}
		sleep(ctx, backoff(failures, 500*time.Millisecond, 30*time.Second))
	}
}

var errNothing = errors.New("the connection has ended without any message")

// backoff is a random time up to a bound that doubles, and never less than half of it.
func backoff(failures int, first, most time.Duration) time.Duration {
	bound := first
	for i := 1; i < failures && bound < most; i++ {
		bound *= 2
	}
	bound = min(bound, most)
	return bound/2 + rand.N(bound/2+1) //nolint:gosec // spreads clients, keeps no secret
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
