package beats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/lumberjack"
)

// conn is the stream of a connection.
type conn struct {
	s      *Source
	c      net.Conn
	remote string // for messages
	meta   []byte // of its records

	// What follows is the reader's.

	first    [lumberjack.MostHead]byte // the buffer of a connection that waits for a frame
	buf      []byte                    // buf[r:w] is received, and not taken
	r, w     int
	pooled   *[]byte              // buf, if it is from the pool
	reserved int64                // of Source.receiving, for the frame that is being received
	begun    time.Time            // when the frame in front began to come; zero: not known yet
	inflater *lumberjack.Inflater // of the compressed frame that is being read; nil: none is
	inflates int                  // its length in buf
	scratch  []byte
	window   window // that is being received; its size is 0 before the first one
	bytes    uint64 // of all events that were read
	err      error  // what the stream has ended with

	acks
}

var _ stream.Stream = (*conn)(nil)

func newConn(s *Source, c net.Conn, peer Peer) *conn {
	n := &conn{s: s, c: c, remote: c.RemoteAddr().String(), meta: peer.AppendMeta(nil)}
	n.buf = n.first[:]
	n.acks.init(n)
	return n
}

// Buffers are for frames that are not large; larger ones are made when they are needed, and kept in the pool if they are not
// giants.
const (
	bufferBytes   = 16 << 10
	mostKeptBytes = 256 << 10
)

var (
	buffers   = sync.Pool{New: func() any { b := make([]byte, bufferBytes); return &b }}
	inflaters = sync.Pool{New: func() any { return new(lumberjack.Inflater) }}
)

// errWoken says that a wait was ended because of something else than the connection.
var errWoken = errors.New("woken")

// Wait implements stream.Stream: it receives until there is an event in the buffer.
func (c *conn) Wait(ctx context.Context) error {
	if c.err == nil {
		err := c.receive(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.err = err
	}
	c.drop()
	return c.err
}

// wake ends a read that is going on.
func (c *conn) wake() { _ = c.c.SetReadDeadline(time.Unix(1, 0)) }

// receive reads until a frame with events is complete.
func (c *conn) receive(ctx context.Context) error {
	if err := c.roomy(ctx); err != nil || c.inflater != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.wake)
	defer stop()
	for {
		f, size, ok, err := c.next()
		if err == nil && c.w > c.r {
			err = c.reserve(ctx, f, size)
		}
		switch {
		case err != nil || ok:
			return err
		case c.w == c.r:
			err = c.idle(ctx)
		default:
			err = c.fill(ctx, size)
		}
		if err != nil {
			return err
		}
	}
}

// next gives the frame with events in front of the buffer, and takes what is none off before. If none is complete it is not
// ok, and size is how many bytes there must be to know more.
func (c *conn) next() (f lumberjack.Frame, size int, ok bool, err error) {
	for {
		f, size, ok, err = c.s.c.Limits.Cut(c.buf[c.r:c.w])
		switch {
		case err != nil:
			return f, 0, false, c.broken(err)
		case !ok:
			return f, size, false, nil
		case f.Kind == lumberjack.Window:
			c.take(size)
			if err := c.begin(f); err != nil {
				return f, 0, false, err
			}
		case f.Kind == lumberjack.Ack:
			return f, 0, false, c.broken(fmt.Errorf("%w: a client sends no acknowledgements", lumberjack.ErrFrame))
		case c.window.size == 0:
			return f, 0, false, c.broken(fmt.Errorf("%w: a %s frame comes before any window", lumberjack.ErrFrame, f.Kind))
		default:
			return f, size, true, nil
		}
	}
}

// broken says of whom, and perhaps why, there is something that is no frame.
func (c *conn) broken(err error) error {
	hint := ""
	if in := c.buf[c.r:c.w]; errors.Is(err, lumberjack.ErrFrame) && c.bytes == 0 && len(in) > 0 {
		switch in[0] {
		case 0x16:
			hint = ": it looks like TLS, which is not enabled here"
		case 'G', 'P', 'H', 'O', 'D', 'C':
			hint = ": it looks like HTTP"
		}
	}
	return fmt.Errorf("client %s: %w%s", c.remote, err, hint)
}

// take takes so many bytes off the buffer.
func (c *conn) take(n int) {
	c.r += n
	c.begun = time.Time{}
	if c.reserved > 0 {
		c.s.receiving.Release(c.reserved)
		c.reserved = 0
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
}

// drop gives all buffers back.
func (c *conn) drop() {
	if c.inflater != nil {
		c.inflater.Close()
		inflaters.Put(c.inflater)
		c.inflater = nil
	}
	c.r, c.w = 0, 0
	c.take(0)
	c.give()
	c.scratch = nil
}

// give gives the buffer, which is empty, back.
func (c *conn) give() {
	if c.pooled != nil {
		if cap(c.buf) <= mostKeptBytes {
			*c.pooled = c.buf
			buffers.Put(c.pooled)
		}
		c.pooled = nil
	}
	c.buf = c.first[:]
}

// idle waits for the first bytes of a frame, with no other room than for them.
func (c *conn) idle(ctx context.Context) error {
	c.give()
	for {
		wait := c.s.c.InactivityTimeout
		var until time.Time
		if wait >= 0 {
			until = c.lately().Add(wait)
			if c.awaited() {
				until = time.Now().Add(wait) // it waits for us, not we for it
			}
		}
		err := c.read(ctx, until)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if c.awaited() || time.Since(c.lately()) < wait {
				continue
			}
			c.s.log.Debug("a client that sends nothing is disconnected", "client", c.remote, "after", wait)
			return io.EOF
		case errors.Is(err, io.EOF):
			c.gone.Store(true)
			return io.EOF
		case errors.Is(err, syscall.ECONNRESET):
			c.gone.Store(true)
			c.s.log.Debug("a client has reset its connection", "client", c.remote)
			return io.EOF
		}
		return err
	}
}

// inflaterBytes is about what an inflater takes.
const inflaterBytes = 128 << 10

// weight is what a frame counts for in Source.receiving: 0 if it fits into a usual buffer.
func (c *conn) weight(f lumberjack.Frame, size int) int64 {
	n := int64(0)
	if size > bufferBytes {
		n = int64(size)
	}
	if f.Kind == lumberjack.Compressed && size > lumberjack.MostHead { // it is known how long it is
		n += inflaterBytes
	}
	return min(n, c.s.c.MaxReceiving)
}

// reserve waits until there is room for the frame in front of the buffer. A connection has room for one frame at a time, so
// none waits for another one's while it keeps its own.
func (c *conn) reserve(ctx context.Context, f lumberjack.Frame, size int) error {
	n := c.weight(f, size)
	if n == 0 || c.reserved > 0 {
		return nil
	}
	if err := c.s.receiving.Acquire(ctx, n); err != nil {
		return errWoken
	}
	c.reserved = n
	c.begun = time.Time{} // it did not come because it was not read
	return nil
}

// tryReserve reserves if that needs no waiting.
func (c *conn) tryReserve(f lumberjack.Frame, size int) bool {
	if c.reserved > 0 {
		return true
	}
	n := c.weight(f, size)
	if !c.s.receiving.TryAcquire(n) {
		return false
	}
	c.reserved = n
	return true
}

// slowest is how many bytes of a frame must come in a second, in the long run.
const slowest = 1 << 10

// fill receives some more of a frame that takes so many bytes.
func (c *conn) fill(ctx context.Context, need int) error {
	c.grow(need)
	now := time.Now()
	if c.begun.IsZero() {
		c.begun = now
	}
	until := now.Add(c.s.c.StallTimeout)
	if last := c.begun.Add(c.s.c.StallTimeout + time.Duration(need/slowest)*time.Second); last.Before(until) {
		until = last
	}
	err := c.read(ctx, until)
	switch {
	case err == nil, errors.Is(err, errWoken):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("client %s: it has sent %d bytes of a frame of %d or more, and is too slow", c.remote, c.w-c.r, need)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	c.gone.Store(true)
	return fmt.Errorf("client %s: the connection ends inside of a frame: %w", c.remote, err)
}

// grow makes room for so many bytes from c.r on: at once for small frames, and as they come for others, whose length is only
// a claim.
func (c *conn) grow(need int) {
	have := c.w - c.r
	room := max(bufferBytes, min(need, 2*have))
	if room > len(c.buf) {
		old := c.buf[c.r:c.w]
		if c.pooled == nil {
			c.pooled, _ = buffers.Get().(*[]byte)
			c.buf = *c.pooled
		}
		if room > len(c.buf) {
			c.buf = make([]byte, room)
		}
		c.r, c.w = 0, copy(c.buf, old)
	} else if c.r > 0 && len(c.buf)-c.r < room {
		c.r, c.w = 0, copy(c.buf, c.buf[c.r:c.w])
	}
}

// read receives what there is into the buffer, which has room. An error comes behind the bytes that came with it.
func (c *conn) read(ctx context.Context, until time.Time) error {
	if err := c.c.SetReadDeadline(until); err != nil {
		return err
	}
	// Whoever wants to wake it sets another deadline, perhaps before the one above.
	if ctx.Err() != nil || c.failed() != nil {
		return c.woken(ctx)
	}
	n, err := c.c.Read(c.buf[c.w:])
	c.w += n
	switch {
	case n > 0:
		c.active()
		return nil
	case err == nil:
		return nil
	case ctx.Err() != nil || c.failed() != nil:
		return c.woken(ctx)
	}
	return err
}

func (c *conn) woken(ctx context.Context) error {
	if ctx.Err() != nil {
		return errWoken
	}
	return c.failed()
}

// What a batch gets at most if it says nothing itself.
const (
	mostRecords = 4096
	mostBytes   = 4 << 20
)

// moment is how long Read waits for more of what is not compressed.
const moment = 2 * time.Millisecond

// Read implements stream.Stream: it gives the events that are in the buffer, and what comes in the next moment, if the window
// goes on. What is wrong with a frame is told by the next Wait, so that what stood before it counts.
func (c *conn) Read(ctx context.Context, b *flow.Batch) error {
	before, over, most := len(b.Records), false, c.bytes+c.left()
	for !over && c.err == nil && !b.Full() && len(b.Records)-before < mostRecords && b.Bytes() < mostBytes && c.bytes < most {
		if c.inflater != nil {
			c.err = c.inflated(b)
			continue
		}
		f, size, ok, err := c.next()
		switch {
		case err != nil:
			c.err = err
		case !ok && (c.window.events == c.window.size || size > bufferBytes || !c.brief(ctx)):
			over = true
		case !ok:
		case f.Kind == lumberjack.Compressed && !c.tryReserve(f, size):
			over = true // Wait waits for it
		case f.Kind == lumberjack.Compressed:
			c.err = c.inflate(f, size)
		default:
			c.event(b, f)
			c.take(size)
		}
	}
	if len(b.Records) > before {
		b.Next = c.position()
	}
	return nil
}

// brief waits a moment for more of a window. It reports that something came.
func (c *conn) brief(ctx context.Context) bool {
	c.grow(bufferBytes)
	had := c.w
	return c.read(ctx, time.Now().Add(moment)) == nil && c.w > had
}

// inflate begins to read a compressed frame.
func (c *conn) inflate(f lumberjack.Frame, size int) error {
	c.inflater, _ = inflaters.Get().(*lumberjack.Inflater)
	c.inflates = size
	if err := c.inflater.Open(f.Body, &c.s.c.Limits); err != nil {
		return c.broken(err)
	}
	return nil
}

// inflated gives the next event of the compressed frame.
func (c *conn) inflated(b *flow.Batch) error {
	f, err := c.inflater.Next()
	switch {
	case errors.Is(err, io.EOF):
		c.inflater.Close()
		inflaters.Put(c.inflater)
		c.inflater = nil
		c.take(c.inflates)
	case err != nil:
		return c.broken(err)
	case f.Kind == lumberjack.Window:
		return c.begin(f)
	case f.Kind.Event():
		c.event(b, f)
	default:
		return c.broken(fmt.Errorf("%w: a client sends no acknowledgements", lumberjack.ErrFrame))
	}
	return nil
}

// event makes a record of an event.
func (c *conn) event(b *flow.Batch, f lumberjack.Frame) {
	r := flow.Record{Port: c.s.port, Meta: c.meta}
	if f.Kind == lumberjack.Data {
		c.scratch = lumberjack.AppendObject(c.scratch[:0], f)
		r.Body = b.Copy(c.scratch)
	} else {
		r.Body = b.Copy(f.Body)
	}
	b.Records = append(b.Records, r)
	c.bytes += uint64(len(r.Body))
	c.count(f)
}

// lingering is how long a connection that is closed here is read on for, so that its client gets the last acknowledgements
// and not a reset.
const (
	lingering      = time.Second
	lingeringBytes = 16 << 20
)

// Close implements stream.Stream.
func (c *conn) Close() error {
	c.drop()
	c.acks.stop()
	if c.gone.Load() || c.failed() != nil {
		err := c.c.Close()
		c.s.leave()
		return err
	}
	go func() {
		defer c.s.leave()
		if half, ok := c.c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_ = c.c.SetReadDeadline(time.Now().Add(lingering))
			_, _ = io.CopyBuffer(io.Discard, io.LimitReader(readOnly{c.c}, lingeringBytes), make([]byte, 4<<10))
		}
		_ = c.c.Close()
	}()
	return nil
}

// readOnly hides all but Read.
type readOnly struct{ io.Reader }
