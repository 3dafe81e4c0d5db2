package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/narudata/naru/flow"
)

// frameBytes is how much is a frame, but for a record that is larger. It is what a reader holds in memory.
const frameBytes = 256 << 10

// pendingBytes is how much may wait to be written; beyond it, who appends waits.
const pendingBytes = 4 << 20

// An inlet collects what the next write will have.
type inlet struct {
	frameBytes int
	kick       chan struct{} // holds one: something is there

	mu     sync.Mutex    // guards what follows
	next   *group        // nil: nothing
	spare  *group        // one whose buffers are free
	room   chan struct{} // closed and renewed when next is taken
	closed bool
}

// A group is what is written and made durable together.
type group struct {
	buf    []byte // frames, each with room for its header
	frames []piece
	events int

	done chan struct{} // closed when it is durable, or never will be
	err  error         // valid then
}

// A piece is a frame in the buffer of a group.
type piece struct {
	start, end int
	count      uint32
	frame      frame
}

// put adds records to what is written next, waiting until there is room. The group tells when they are durable; nil: there
// were none. recs may be changed when put returns.
func (in *inlet) put(ctx context.Context, recs []flow.Record) (*group, error) {
	if len(recs) == 0 {
		return nil, nil
	}
	for i := range recs {
		if n := sizeOf(&recs[i]); n > maxFrame {
			return nil, flow.Permanent(fmt.Errorf("%w: %d bytes", ErrTooLarge, n))
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		if in.closed {
			return nil, ErrClosed
		}
		if in.next == nil || len(in.next.buf) < pendingBytes {
			break
		}
		room := in.room
		in.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
		in.mu.Lock()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	if in.next == nil {
		if in.next, in.spare = in.spare, nil; in.next == nil {
			in.next = new(group)
		}
		in.next.done = make(chan struct{})
	}
	for i := range recs {
		in.next.add(&recs[i], in.frameBytes)
	}
	poke(in.kick)
	return in.next, nil
}

func (g *group) add(r *flow.Record, frameBytes int) {
	last := len(g.frames) - 1
	if last < 0 || g.frames[last].end-g.frames[last].start+sizeOf(r) > frameBytes {
		start := len(g.buf)
		g.buf = append(g.buf, make([]byte, frameHeader)...)
		g.frames = append(g.frames, piece{start: start})
		last++
	}
	g.buf = appendRecord(g.buf, r)
	g.frames[last].end = len(g.buf)
	g.frames[last].count++
	g.events++
}

// take gives what is to be written; nil: nothing. What it gave before is free again.
func (in *inlet) take() *group {
	in.mu.Lock()
	defer in.mu.Unlock()
	g := in.next
	if g != nil {
		in.next = nil
		close(in.room)
		in.room = make(chan struct{})
	}
	return g
}

// recycle takes the buffers of a group whose waiters were told.
func (in *inlet) recycle(g *group) {
	if cap(g.buf) > 2*pendingBytes {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.spare = &group{buf: g.buf[:0], frames: slices.Delete(g.frames, 0, len(g.frames))}
}

func (in *inlet) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	close(in.room)
	in.room = make(chan struct{})
}
