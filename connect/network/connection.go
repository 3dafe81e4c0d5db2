package network

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/flow"
)

// roomBytes is how much is read of a connection at a time.
const roomBytes = 64 << 10

// rooms are what is read into; a connection has one only while it is read.
var rooms = sync.Pool{New: func() any { return new([roomBytes]byte) }}

// grace is how long a read waits for more when there is something, and how long the last one waits when the source stops.
const grace = 2 * time.Millisecond

// connection is a stream. While it is silent it has the beginning of a message, if there is one, and nothing more.
type connection struct {
	of     *Server
	raw    net.Conn // what deadlines are set on
	conn   net.Conn // what is read: raw, or TLS over it
	split  splitter
	meta   []byte // of all its records; nil: it is not set up yet
	begun  []byte // a message that has not ended, or one byte that was read to learn that there is something
	fresh  bool   // there is something to read, or to give
	end    error  // why nothing will come any more
	got    bool   // a message
	closed chan struct{}

	watched context.Context //nolint:containedctx // the last one that Wait had, to watch it once
	unwatch func() bool
	cut     atomic.Bool // it is over
}

func newConnection(s *Server, conn net.Conn, closed chan struct{}) *connection {
	return &connection{of: s, raw: conn, conn: conn, split: splitter{Framing: s.Framing, max: s.MaxMessage}, closed: closed}
}

// watch ends reads when ctx is done. All waits of an engine have the same context, so this is done once.
func (c *connection) watch(ctx context.Context) {
	if c.watched == ctx { //nolint:govet // the very same one
		return
	}
	if c.unwatch != nil {
		c.unwatch()
	}
	c.watched = ctx
	c.cut.Store(false)
	c.unwatch = context.AfterFunc(ctx, func() {
		c.cut.Store(true)
		_ = c.raw.SetReadDeadline(time.Now().Add(grace))
	})
}

// deadline bounds the next read.
func (c *connection) deadline(d time.Duration) {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	_ = c.raw.SetReadDeadline(t)
	if c.cut.Load() {
		_ = c.raw.SetReadDeadline(time.Now().Add(grace))
	}
}

// Wait implements stream.Stream.
func (c *connection) Wait(ctx context.Context) error {
	if c.fresh {
		return nil
	}
	if c.end != nil {
		return io.EOF
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.watch(ctx)
	if c.meta == nil {
		if err := c.setUp(ctx); err != nil {
			if ctx.Err() == nil {
				c.of.Log.Warn("a connection cannot be set up", "peer", c.raw.RemoteAddr(), "error", err)
			}
			c.end = err
			return io.EOF
		}
	}
	c.deadline(c.of.Idle)
	var one [1]byte
	n, err := c.conn.Read(one[:])
	if n > 0 {
		c.begin(one[:])
		c.fresh = true
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.ended(err)
	if len(c.begun) > 0 {
		c.fresh = true // the last message
		return nil
	}
	return io.EOF
}

// begin keeps bytes that are no message yet.
func (c *connection) begin(b []byte) {
	before := cap(c.begun)
	c.begun = append(c.begun, b...)
	c.of.begun.Add(int64(cap(c.begun) - before))
}

func (c *connection) ended(err error) {
	if err == nil {
		err = io.ErrNoProgress
	}
	c.end = err
	if !errors.Is(err, io.EOF) {
		c.of.Log.Info("a connection has ended", "peer", c.raw.RemoteAddr(), "error", err)
	}
}

// setUp does what comes before messages: TLS, the header of a proxy.
func (c *connection) setUp(ctx context.Context) error {
	peer := Peer{}
	if a, ok := c.raw.RemoteAddr().(*net.TCPAddr); ok {
		addr := a.AddrPort()
		peer.IP, peer.Port = addr.Addr().Unmap().WithZone("").String(), addr.Port()
	}
	ctx, cancel := context.WithTimeout(ctx, c.of.Handshake)
	defer cancel()
	c.deadline(c.of.Handshake)
	header := c.of.ProxyProtocol
	if header && c.of.TLS != nil {
		// Proxies send it before the TLS of whom they pass on, Logstash expects it inside.
		var one [1]byte
		if _, err := io.ReadFull(c.conn, one[:]); err != nil {
			return err
		}
		c.conn = &prefixed{c.conn, one[:]}
		if one[0] == proxyMark[0] {
			if err := c.proxied(&peer); err != nil {
				return err
			}
			header = false
		}
	}
	if c.of.TLS != nil {
		var t *tls.Conn
		if c.of.Dial {
			conf := c.of.TLS.Clone()
			if conf.ServerName == "" {
				conf.ServerName, _, _ = net.SplitHostPort(c.of.Address)
			}
			t = tls.Client(c.conn, conf)
		} else {
			t = tls.Server(c.conn, c.of.TLS)
		}
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		c.conn = t
		if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
			peer.Subject = certs[0].Subject.String()
		}
	}
	if header {
		if err := c.proxied(&peer); err != nil {
			return err
		}
	}
	peer.Host = peer.IP
	if c.of.LookUp {
		peer.Host = c.of.names.lookUp(ctx, c.of.resolver, peer.IP)
	}
	c.meta = peer.AppendMeta(nil)
	return nil
}

func (c *connection) proxied(p *Peer) error {
	header, err := readProxyHeader(c.conn)
	if err != nil {
		return err
	}
	return p.proxied(header)
}

// Read implements stream.Stream: it reads once, and gives the messages that have ended.
func (c *connection) Read(_ context.Context, b *flow.Batch) error {
	c.fresh = false
	if c.end == nil {
		c.deadline(grace)
	}
	data, room := c.fill()
	rest := c.messages(b, data)
	c.keep(rest)
	if room != nil {
		rooms.Put(room)
	}
	if c.end != nil && len(c.begun) == 0 {
		return io.EOF
	}
	return nil
}

// fill reads, and gives what there is. It is in a room that has to be given back, or in c.begun.
func (c *connection) fill() (data []byte, room *[roomBytes]byte) {
	if len(c.begun) < roomBytes/2 {
		room, _ = rooms.Get().(*[roomBytes]byte)
		n := copy(room[:], c.begun)
		return room[:n+c.read(room[n:])], room
	}
	before := cap(c.begun)
	c.begun = slices.Grow(c.begun, roomBytes)
	c.of.begun.Add(int64(cap(c.begun) - before))
	n := len(c.begun)
	return c.begun[:n+c.read(c.begun[n:cap(c.begun)])], nil
}

// read reads once, if more can come.
func (c *connection) read(room []byte) int {
	if c.end != nil {
		return 0
	}
	n, err := c.conn.Read(room)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.ended(err)
	}
	return n
}

// messages puts the messages of data into the batch, and gives the rest.
func (c *connection) messages(b *flow.Batch, data []byte) []byte {
	for len(data) > 0 {
		message, n := c.split.next(data, c.end != nil)
		if n == 0 {
			if len(data) < roomBytes || c.of.begun.Load() <= c.of.Begun {
				break
			}
			// All connections together keep too much.
			message, n = c.split.cut(data)
		}
		if message != nil {
			c.got = true
			b.Records = append(b.Records, flow.Record{Port: c.of.Port, Body: b.Copy(message), Meta: c.meta})
		}
		data = data[n:]
	}
	return data
}

// keep keeps the beginning of a message, in no more memory than it needs.
func (c *connection) keep(rest []byte) {
	before := cap(c.begun)
	switch {
	case len(rest) == 0:
		c.begun = nil
	case len(rest) >= roomBytes/2 && cap(c.begun) >= len(rest) && &rest[0] == &c.begun[:1][0]:
		c.begun = rest // it grows where it is
	default:
		c.begun = append(make([]byte, 0, len(rest)), rest...)
	}
	c.of.begun.Add(int64(cap(c.begun) - before))
}

// Ack implements stream.Stream.
func (*connection) Ack(context.Context, flow.Position) error { return nil }

// Close implements stream.Stream.
func (c *connection) Close() error {
	defer c.of.streams.Done()
	if c.unwatch != nil {
		c.unwatch()
	}
	c.of.begun.Add(-int64(cap(c.begun)))
	c.begun = nil
	if c.conn != c.raw {
		_ = c.raw.SetDeadline(time.Now().Add(time.Second))
		_ = c.conn.Close() // tells the peer, which may be gone already
	}
	err := c.raw.Close()
	if c.closed != nil {
		close(c.closed)
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
