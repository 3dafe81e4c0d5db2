package beats

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lumberjack"
)

// A window is so many events that a client waits for an acknowledgement of.
type window struct {
	number  uint64 // of the connection's windows, from 1 on
	version byte
	size    uint32 // events it should have
	events  uint32 // that were read
	last    uint32 // the highest sequence of them
	acked   uint32 // the last sequence that was acknowledged
	over    bool   // no more events come
}

// acks are the windows of a connection that are not acknowledged yet, and what is told the client of them.
type acks struct {
	c    *conn
	gone atomic.Bool // there is nobody any more to tell

	mu      sync.Mutex // guards what follows
	pending []window
	given   position    // of the last event that was read
	sure    position    // of the last event that is safe
	at      time.Time   // when the client last heard or said something
	wrote   time.Time   // when it last heard something
	failure error       // of a write
	alive   *time.Timer // tells the client that somebody is at work; nil: never
	closed  bool
	room    chan struct{} // has room for one: something was acknowledged

	writing sync.Mutex // guards writes
}

func (a *acks) init(c *conn) {
	a.c, a.at, a.room = c, time.Now(), make(chan struct{}, 1)
}

// A position is that of an event: its window, which one of the window it is, its sequence, and the bytes of all events up to
// it; numbers of 8, 4, 4 and 8 bytes.
const positionBytes = 8 + 4 + 4 + 8

type position struct {
	window           uint64
	events, sequence uint32
	bytes            uint64
}

func (p position) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, p.window)
	dst = binary.BigEndian.AppendUint32(dst, p.events)
	dst = binary.BigEndian.AppendUint32(dst, p.sequence)
	return binary.BigEndian.AppendUint64(dst, p.bytes)
}

// parsePosition reads a position; none is the beginning.
func parsePosition(b []byte) (position, error) {
	if len(b) == 0 {
		return position{}, nil
	}
	if len(b) != positionBytes {
		return position{}, fmt.Errorf("%d bytes are no position of a connection", len(b))
	}
	return position{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint64(b[16:])}, nil
}

// begin begins a window. One of no events is answered at once; one that should have more events than came before the next
// one is taken for complete.
func (c *conn) begin(f lumberjack.Frame) error {
	if w := &c.window; w.events < w.size && w.events > 0 {
		c.s.log.Warn("a client begins a window before the one before is complete", "client", c.remote, "events", w.events, "expected", w.size)
		w.over = true
		c.publish()
	}
	if f.N == 0 {
		c.window.size, c.window.events = 0, 0
		return c.write(lumberjack.AppendAck(nil, f.Version, 0))
	}
	c.window = window{number: c.window.number + 1, version: f.Version, size: f.N}
	c.publish()
	return nil
}

// count counts an event to the window. Clients that announce a window only once go on with another one of the same size.
func (c *conn) count(f lumberjack.Frame) {
	w := &c.window
	if w.events == w.size {
		*w = window{number: w.number + 1, version: w.version, size: w.size}
		c.publish()
	}
	w.events++
	w.last = max(w.last, f.N)
	if w.events == w.size {
		w.over = true
		c.publish()
	}
}

// position is that of the last event that was read. The windows are known to Ack from now on.
func (c *conn) position() flow.Position {
	c.publish()
	p := position{c.window.number, c.window.events, c.window.last, c.bytes}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = p
	return p.append(nil)
}

// publish makes what the reader knows of its window known to Ack.
func (c *conn) publish() {
	c.mu.Lock()
	n := len(c.pending)
	var late []byte
	switch {
	case n > 0 && c.pending[n-1].number == c.window.number:
		c.window.acked = c.pending[n-1].acked
		c.pending[n-1] = c.window
		if c.window.over {
			late = c.settle(nil)
		}
	default:
		c.pending = append(c.pending, c.window)
	}
	c.schedule()
	c.mu.Unlock()
	if len(late) > 0 {
		_ = c.write(late) // the reader sees that it failed
	}
}

// settle appends the acknowledgements of all that is safe, if it was not acknowledged before. Clients of version 1 take any
// acknowledgement for one of the whole window, so they get no other. The caller holds mu.
func (a *acks) settle(dst []byte) []byte {
	p := a.sure
	for len(a.pending) > 0 {
		w := &a.pending[0]
		if w.number > p.window || w.number == p.window && !(w.over && p.events == w.events) {
			break
		}
		if w.events > 0 && (w.version == lumberjack.V1 || w.acked != w.last || w.last == 0) {
			dst = lumberjack.AppendAck(dst, w.version, w.last)
		}
		a.pending = a.pending[1:]
	}
	// A sequence that does not count the window's events says nothing of those before it.
	if len(a.pending) > 0 {
		w := &a.pending[0]
		if w.number == p.window && w.version == lumberjack.V2 && p.sequence == p.events && p.sequence > w.acked {
			w.acked = p.sequence
			dst = lumberjack.AppendAck(dst, w.version, p.sequence)
		}
	}
	return dst
}

// Ack implements stream.Stream: every window that is safe is acknowledged, and of the one behind them the part that is.
func (c *conn) Ack(_ context.Context, next flow.Position) error {
	p, err := parsePosition(next)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.sure = p
	out := c.settle(make([]byte, 0, 32))
	c.mu.Unlock()
	select {
	case c.room <- struct{}{}:
	default:
	}
	return c.write(out)
}

var errGone = errors.New("the client is gone: it will send again what was not acknowledged")

// write tells the client something. It fails once; after that there is nobody to tell.
func (a *acks) write(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	failed := a.failure
	a.mu.Unlock()
	if failed != nil {
		return nil
	}
	err := a.c.c.SetWriteDeadline(time.Now().Add(a.c.s.c.WriteTimeout))
	if err == nil {
		_, err = a.c.c.Write(out)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = time.Now()
	a.wrote = a.at
	if err != nil {
		a.failure = fmt.Errorf("client %s: acknowledge: %w: %w", a.c.remote, errGone, err)
		a.c.wake()
		select {
		case a.room <- struct{}{}:
		default:
		}
	}
	a.schedule()
	return a.failure
}

// schedule sees to it that there are signs of life as long as a window of version 2 is not acknowledged. The caller holds mu.
func (a *acks) schedule() {
	every := a.c.s.c.KeepAlive
	if every < 0 || a.closed || a.failure != nil {
		return
	}
	waits := len(a.pending) > 0 && a.pending[len(a.pending)-1].version == lumberjack.V2
	switch {
	case !waits && a.alive != nil:
		a.alive.Stop()
		a.alive = nil
	case waits && a.alive == nil:
		a.alive = time.AfterFunc(every, a.sign)
	}
}

// sign gives a sign of life, unless the client has just been told something.
func (a *acks) sign() {
	every := a.c.s.c.KeepAlive
	a.mu.Lock()
	if a.alive == nil || a.closed || a.failure != nil {
		a.mu.Unlock()
		return
	}
	quiet := time.Since(a.wrote)
	if quiet < every {
		a.alive.Reset(every - quiet)
		a.mu.Unlock()
		return
	}
	a.alive.Reset(every)
	a.mu.Unlock()
	_ = a.write(lumberjack.AppendAck(nil, lumberjack.V2, 0)) // whoever writes an acknowledgement sees that it failed
}

// stop ends the signs of life.
func (a *acks) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.alive != nil {
		a.alive.Stop()
	}
}

// failed gives why nothing can be written any more.
func (a *acks) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// active notes that the client has sent something.
func (a *acks) active() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = time.Now()
}

// lately is when something was last sent, in either direction.
func (a *acks) lately() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// behind is how many bytes of events are not safe yet. The caller holds mu.
func (a *acks) behind() uint64 { return a.given.bytes - a.sure.bytes }

// left is how many bytes of events may be read before others are safe. It is more than 0 once roomy has returned.
func (a *acks) left() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := uint64(a.c.s.c.MaxUnacknowledged) //nolint:gosec // Validate sees to it that it is not negative
	return most - min(a.behind(), most)
}

// awaited reports that the client has sent events that are not acknowledged.
func (a *acks) awaited() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.behind() > 0
}

// roomy waits until the client may send more events. One that cannot be told of them will send them again: there is no use in
// reading more of it.
func (a *acks) roomy(ctx context.Context) error {
	for {
		if err := a.failed(); err != nil {
			return err
		}
		if a.left() > 0 {
			return nil
		}
		select {
		case <-a.room:
		case <-ctx.Done():
			return errWoken
		}
	}
}
