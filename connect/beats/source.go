// Package beats takes in events from Beats, Elastic Agent and whoever else speaks the Lumberjack protocol: a listener whose
// connections are streams. A window, or the part of it that is safe, is acknowledged to its client by Ack, and by nothing
// else; until then the client is told every few seconds that somebody is at work. A client whose connection ends sends again
// what was not acknowledged.
//
// A connection that waits holds no buffers. What is half received is bounded for each connection and for all of them
// together; events that were received, and not acknowledged, are bounded for each connection.
package beats

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/lumberjack"
)

// A Config says where to listen, and what clients may do. The zero Config listens at a free port of all addresses.
type Config struct {
	Host string `json:"host,omitempty" doc:"the address to listen at; the default is all of them"`
	Port int    `json:"port" doc:"the port to listen at; 0 takes a free one"`
	// TLS encrypts connections; nil: they are plain.
	TLS *tls.Config `json:"-"`

	HandshakeTimeout  time.Duration `json:"handshakeTimeout,omitempty" doc:"how long a client may take for the TLS handshake; the default is 10s"`
	InactivityTimeout time.Duration `json:"inactivityTimeout,omitempty" doc:"when a client that sends nothing, and waits for nothing, is disconnected; the default is 60s, less than 0 is never"`
	StallTimeout      time.Duration `json:"stallTimeout,omitempty" doc:"when a client that has sent half of a frame is disconnected; the default is 60s"`
	WriteTimeout      time.Duration `json:"writeTimeout,omitempty" doc:"how long a client may take to accept an acknowledgement; the default is 10s"`
	KeepAlive         time.Duration `json:"keepAlive,omitempty" doc:"how often clients that wait for an acknowledgement are told that it is being worked on; the default is 5s, less than 0 is never"`

	MaxConnections    int   `json:"maxConnections,omitempty" doc:"connections at a time; more are refused; the default is 10000"`
	MaxUnacknowledged int64 `json:"maxUnacknowledged,omitempty" doc:"bytes of events that one client may have in the pipeline before nothing more is read of it; the default is 32 MiB"`
	MaxReceiving      int64 `json:"maxReceiving,omitempty" doc:"bytes of large frames that are being received, all clients together; the default is 256 MiB"`
	// Limits bound what clients send; zeros are the defaults of the format.
	Limits lumberjack.Limits `json:"-"`
}

func (c Config) withDefaults() Config {
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, 10*time.Second)
	c.InactivityTimeout = cmp.Or(c.InactivityTimeout, time.Minute)
	c.StallTimeout = cmp.Or(c.StallTimeout, time.Minute)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.KeepAlive = cmp.Or(c.KeepAlive, 5*time.Second)
	c.MaxConnections = cmp.Or(c.MaxConnections, 10_000)
	c.MaxUnacknowledged = cmp.Or(c.MaxUnacknowledged, 32<<20)
	c.MaxReceiving = cmp.Or(c.MaxReceiving, 256<<20)
	return c
}

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	switch {
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("port: expected 0 to 65535, found %d", c.Port)
	case c.MaxConnections < 0:
		return fmt.Errorf("maxConnections: expected 0 or more, found %d", c.MaxConnections)
	case c.MaxUnacknowledged < 0:
		return fmt.Errorf("maxUnacknowledged: expected 0 or more, found %d", c.MaxUnacknowledged)
	case c.MaxReceiving < 0:
		return fmt.Errorf("maxReceiving: expected 0 or more, found %d", c.MaxReceiving)
	case c.HandshakeTimeout < 0 || c.StallTimeout < 0 || c.WriteTimeout < 0:
		return errors.New("handshakeTimeout, stallTimeout, writeTimeout: expected 0 or more")
	}
	return nil
}

// A Source is a listener.
type Source struct {
	c         Config
	port      int32
	log       *slog.Logger
	listener  net.Listener
	receiving *semaphore.Weighted // MaxReceiving

	mu       sync.Mutex // guards what follows
	open     int        // connections
	refusing bool       // it is said that there are too many
	all      sync.WaitGroup
}

var _ stream.Source = (*Source)(nil)

// Listen takes the port. The source gives records with the given flow.Record.Port: a JSON object for a Body (what version 2
// of the protocol gives for one is not checked), and a Peer for Meta.
func Listen(c Config, port int32, log *slog.Logger) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, fmt.Errorf("listen for beats: %w", err)
	}
	return &Source{c: c, port: port, log: log, listener: l, receiving: semaphore.NewWeighted(c.MaxReceiving)}, nil
}

// Addr is the address that it listens at.
func (s *Source) Addr() net.Addr { return s.listener.Addr() }

// Close gives the port back. Run does that, too, when it ends.
func (s *Source) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Accepting fails for a while where there are no file descriptors, say.
const (
	firstPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// Run implements stream.Source.
func (s *Source) Run(ctx context.Context, open func(stream.Stream)) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	defer func() { _ = s.Close() }()
	s.log.Info("listening for beats", "address", s.Addr().String(), "tls", s.c.TLS != nil)
	pause := firstPause
	for ctx.Err() == nil {
		c, err := s.listener.Accept()
		switch {
		case err == nil:
			pause = firstPause
			s.accepted(ctx, c, open)
		case errors.Is(err, net.ErrClosed):
			<-ctx.Done() // whoever closed it wants an end
		default:
			s.log.Error("a connection cannot be accepted: it is tried again", "error", err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, mostPause)
		}
	}
	s.all.Wait()
	return nil
}

// accepted makes a stream of a connection.
func (s *Source) accepted(ctx context.Context, c net.Conn, open func(stream.Stream)) {
	if !s.enter() {
		_ = c.Close()
		return
	}
	s.all.Go(func() {
		peer, secured, err := s.secure(ctx, c)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Warn("a client's TLS handshake has failed", "client", c.RemoteAddr().String(), "error", err)
			}
			_ = c.Close()
			s.leave()
			return
		}
		s.log.Debug("a client has connected", "client", c.RemoteAddr().String())
		open(newConn(s, secured, peer))
	})
}

// enter counts a connection, if there may be one more.
func (s *Source) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.c.MaxConnections {
		if !s.refusing {
			s.log.Warn("connections are refused: there are as many as there may be", "connections", s.open)
			s.refusing = true
		}
		return false
	}
	s.open++
	s.all.Add(1)
	return true
}

// leave takes a connection off the count.
func (s *Source) leave() {
	s.mu.Lock()
	s.open--
	s.refusing = s.refusing && s.open >= s.c.MaxConnections*9/10
	s.mu.Unlock()
	s.all.Done()
}

// secure does the TLS handshake, if there is one to do.
func (s *Source) secure(ctx context.Context, c net.Conn) (Peer, net.Conn, error) {
	peer := Peer{Address: address(c.RemoteAddr())}
	if s.c.TLS == nil {
		return peer, c, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.c.HandshakeTimeout, fmt.Errorf("it took longer than %s", s.c.HandshakeTimeout))
	defer cancel()
	t := tls.Server(c, s.c.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		if header, ok := errors.AsType[tls.RecordHeaderError](err); ok && (header.RecordHeader[0] == '1' || header.RecordHeader[0] == '2') {
			return peer, nil, errors.New("the client does not encrypt: enable TLS there (ssl.enabled: true)")
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return peer, nil, err
	}
	peer.secured(t.ConnectionState())
	return peer, t, nil
}
