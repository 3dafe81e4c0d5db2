package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/lumberjack"
)

// Lumber sends events to Logstash, or to naru, by the Lumberjack protocol.
type Lumber struct {
	Hosts       []string      // with a port; a host that is there twice has twice as many connections
	Balance     bool          // all hosts are sent to, not one of them
	Workers     int           // for each host that is sent to; 0: 1
	Pipelining  int           // batches on their way for each worker, each in a connection of its own; 0: 2
	BulkMax     int           // events of a window; 0: 2048
	Compression int           // level, 0 (none) to 9
	Timeout     time.Duration // without a word of the other side; 0: 30 s
	TTL         time.Duration // of a connection; 0: no end
	Backoff     flow.Retry
	TLS         *TLS
}

// Open gives the sink. It does not connect.
func (c Lumber) Open(log *slog.Logger) (stream.Sink, error) {
	if c.Workers <= 0 {
		c.Workers = 1
	}
	if c.Pipelining <= 0 {
		c.Pipelining = 2
	}
	if c.BulkMax <= 0 {
		c.BulkMax = 2048
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	configs := map[string]*tls.Config{}
	if c.TLS != nil {
		for _, h := range c.Hosts {
			name, _, err := net.SplitHostPort(h)
			if err != nil {
				return stream.Sink{}, err
			}
			if configs[h], err = c.TLS.Config(name); err != nil {
				return stream.Sink{}, err
			}
		}
	}
	n := c.Workers * c.Pipelining
	if c.Balance {
		n *= len(c.Hosts)
	}
	s := &lumber{c: c, log: log, tls: configs, host: rand.IntN(len(c.Hosts))} //nolint:gosec // which one comes first is no secret
	return stream.Sink{Sink: s, InFlight: min(n, 64), MaxRecords: c.BulkMax, Retry: c.Backoff}, nil
}

// lumber is the sink: each Write has a connection of its own while it lasts.
type lumber struct {
	c   Lumber
	log *slog.Logger
	tls map[string]*tls.Config

	mu   sync.Mutex // guards what follows
	free []*lumberConn
	host int // the one that is next, or in use
}

type lumberConn struct {
	net.Conn
	host        string
	since       time.Time
	reader      *bufio.Reader
	deflate     lumberjack.Deflater
	frames, out []byte
}

var _ flow.Sink = (*lumber)(nil)

// Write implements flow.Sink: it returns when the other side has acknowledged all of recs, or says which it has not.
func (s *lumber) Write(ctx context.Context, recs []flow.Record) error {
	done := 0
	for done < len(recs) {
		n := min(len(recs)-done, s.c.BulkMax)
		acked, err := s.window(ctx, recs[done:done+n])
		done += acked
		if err != nil {
			if done == 0 {
				return err
			}
			var left flow.Failures
			for i := done; i < len(recs); i++ {
				left = append(left, flow.Failure{Index: i, Err: err})
			}
			return left
		}
	}
	return nil
}

// window sends a window; acked is how many of its events the other side has.
func (s *lumber) window(ctx context.Context, recs []flow.Record) (acked int, err error) {
	c, err := s.take(ctx)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // it ends all the same
	acked, err = c.send(recs, &s.c)
	if !stop() && err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		s.broken(c)
		return acked, fmt.Errorf("logstash %s: %w", c.host, err)
	}
	s.put(c)
	return acked, nil
}

// maxWindowBytes bounds what is sent before an acknowledgement, before compression.
const maxWindowBytes = 1 << 30

func (c *lumberConn) send(recs []flow.Record, o *Lumber) (acked int, err error) {
	c.frames = c.frames[:0]
	for i := range recs {
		if len(recs[i].Body) > lumberjack.DefaultEvent*8 || len(c.frames) > maxWindowBytes {
			return 0, errors.New("events are too large for a window")
		}
		c.frames = lumberjack.AppendJSON(c.frames, uint32(i+1), recs[i].Body)
	}
	c.out = lumberjack.AppendWindow(c.out[:0], lumberjack.V2, uint32(len(recs))) //nolint:gosec // bounded by BulkMax
	if o.Compression > 0 {
		c.deflate.Level = o.Compression
		if c.out, err = c.deflate.Append(c.out, lumberjack.V2, c.frames); err != nil {
			return 0, err
		}
	} else {
		c.out = append(c.out, c.frames...)
	}
	// A receiver that is busy reads late, but tells that it is alive only once it has the window.
	if err := c.SetDeadline(time.Now().Add(o.Timeout)); err != nil {
		return 0, err
	}
	for rest := c.out; len(rest) > 0; {
		n := min(len(rest), 64<<10)
		if _, err := c.Write(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
		if err := c.SetDeadline(time.Now().Add(o.Timeout)); err != nil {
			return 0, err
		}
	}
	const keep = 4 << 20
	if cap(c.frames) > keep || cap(c.out) > keep {
		c.frames, c.out = nil, nil
	}
	for acked < len(recs) {
		var head [6]byte
		if _, err := io.ReadFull(c.reader, head[:]); err != nil {
			return acked, err
		}
		if head[1] != byte(lumberjack.Ack) || head[0] != lumberjack.V2 && head[0] != lumberjack.V1 {
			return acked, fmt.Errorf("expected an acknowledgement, found %q: is it the port of a beats input?", head[:2])
		}
		n := binary.BigEndian.Uint32(head[2:])
		if uint64(n) > uint64(len(recs)) {
			return acked, fmt.Errorf("%d events are acknowledged of %d", n, len(recs))
		}
		acked = max(acked, int(n)) // 0: it is at work
		if err := c.SetDeadline(time.Now().Add(o.Timeout)); err != nil {
			return acked, err
		}
	}
	return acked, c.SetDeadline(time.Time{})
}

// take gives a connection that nobody uses, or makes one.
func (s *lumber) take(ctx context.Context) (*lumberConn, error) {
	s.mu.Lock()
	var old []*lumberConn
	for len(s.free) > 0 {
		c := s.free[0]
		s.free = s.free[1:]
		if s.c.TTL > 0 && time.Since(c.since) > s.c.TTL {
			old = append(old, c)
			continue
		}
		s.mu.Unlock()
		s.closeAll(old)
		return c, nil
	}
	host := s.c.Hosts[s.host%len(s.c.Hosts)]
	if s.c.Balance {
		s.host++
	}
	s.mu.Unlock()
	s.closeAll(old)
	c, err := s.dial(ctx, host)
	if err != nil {
		s.leave(host)
		return nil, fmt.Errorf("logstash: %w", err)
	}
	return c, nil
}

func (s *lumber) dial(ctx context.Context, host string) (*lumberConn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if config := s.tls[host]; config != nil {
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secured
	}
	return &lumberConn{Conn: conn, host: host, since: time.Now(), reader: bufio.NewReaderSize(conn, 512)}, nil
}

// leave goes on with another host, if there is one.
func (s *lumber) leave(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.c.Balance && s.c.Hosts[s.host%len(s.c.Hosts)] == host {
		s.host++
	}
}

func (s *lumber) put(c *lumberConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, c)
}

// broken closes a connection, and those that lie idle to the same host: they are likely to be broken, too.
func (s *lumber) broken(c *lumberConn) {
	all := []*lumberConn{c}
	s.mu.Lock()
	kept := s.free[:0]
	for _, f := range s.free {
		if f.host == c.host {
			all = append(all, f)
		} else {
			kept = append(kept, f)
		}
	}
	s.free = kept
	s.mu.Unlock()
	s.closeAll(all)
	s.leave(c.host)
}

func (s *lumber) closeAll(all []*lumberConn) {
	for _, c := range all {
		if err := c.Close(); err != nil {
			s.log.Debug("a connection cannot be closed", "host", c.host, "error", err)
		}
	}
}

// Close implements flow.Sink.
func (s *lumber) Close(context.Context) error {
	s.mu.Lock()
	all := s.free
	s.free = nil
	s.mu.Unlock()
	s.closeAll(all)
	return nil
}
