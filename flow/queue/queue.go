// Package queue keeps events on the disk between a source that cannot be read again (a socket) and its pipeline. What is in
// the queue outlasts a crash of the machine; it is removed once the pipeline has acknowledged it. The queue is bounded: when
// it is full, or its disk is, the source waits. Nothing is dropped.
//
// Events that wait to be written at the same time are made durable together, by one fsync. They are written in frames with
// checksums, into segment files, which are deleted as a whole (format.go has the layout). After a crash the queue ends with
// the last whole frame. Damaged bytes in the middle are told of with their file and offset, and moved aside; what comes after
// them is found again.
//
// Acknowledgements are durable within a second or so, and at once when only the process dies: after a power cut some events
// come twice.
package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// Options are how a queue works. The zero value is good.
type Options struct {
	// SegmentBytes is the size of a file at which the next one is begun; 0: 64 MiB. It is at most a quarter of MaxBytes.
	SegmentBytes int64
	// MaxBytes bounds the size of all segments; 0: 1 GiB. One record that is larger gets through when it is alone.
	MaxBytes    int64
	Compression Compression
	// Grace is how long events that are read and find no room are kept waiting once Feed's context is done; 0: 5 s.
	Grace time.Duration
	Log   *slog.Logger // nil: nothing is logged
}

// A Queue is an open one. Its methods are called concurrently.
type Queue struct {
	o      Options
	disk   disk
	log    *slog.Logger
	unlock io.Closer

	inlet  inlet
	stop   chan struct{} // closed by Close
	ended  chan struct{} // the committer has ended
	more   chan struct{} // holds one: there is more to read
	freed  chan struct{} // holds one: something was acknowledged
	commit committer     // of the goroutine that writes

	mu       sync.Mutex // guards what follows
	segments []*segment // oldest first; the last one is written to
	bytes    int64      // of all segments
	acked    uint64     // everything before it is acknowledged
	given    uint64     // everything before it is read
	end      uint64     // everything before it is durable
	ages     ages
	saver    checkpoint
	reading  bool // a stream is open
	finished bool // nothing more will come
	closed   bool
	stats    Stats
	reported map[string]bool // damage that is told of
}

// A segment is one of the files.
type segment struct {
	segmentName
	begun   time.Time
	size    int64 // up to here it can be read; guarded by Queue.mu
	emptied int   // how often it was cut back to its header; guarded by Queue.mu
	keep    bool  // it has damage that could not be moved aside; guarded by Queue.mu
}

// Stats are figures of a queue, since it was opened where they count.
type Stats struct {
	Bytes    int64     `json:"bytes"`    // of all segments
	MaxBytes int64     `json:"maxBytes"` // their bound
	Segments int       `json:"segments"` // files
	Events   int64     `json:"events"`   // not acknowledged
	Oldest   time.Time `json:"oldest"`   // about when the oldest of these came, to a second or, if it was there before, when its segment was begun; zero: none

	Appended int64 `json:"appended"` // events made durable
	Acked    int64 `json:"acked"`    // events acknowledged
	Writes   int64 `json:"writes"`   // calls that write events
	Syncs    int64 `json:"syncs"`    // calls that make events durable

	Waiting      bool          `json:"waiting,omitempty"` // events wait because the queue or the disk is full, or the disk fails
	Why          string        `json:"why,omitempty"`     // why they wait
	WaitedFor    time.Duration `json:"waitedFor"`         // all the time that they did
	TornBytes    int64         `json:"tornBytes"`         // cut off the end when the queue was opened: never said to be safe
	DamagedBytes int64         `json:"damagedBytes"`      // could not be read, and were moved aside
	LostEvents   int64         `json:"lostEvents"`        // are missing; after a power cut also such as were never said to be safe
}

// What the methods of a queue say.
var (
	ErrClosed = errors.New("the queue is closed")
	ErrInUse  = errors.New("the queue is in use by another process")
	// ErrTooLarge is of a record that no frame can hold; it is permanent.
	ErrTooLarge = errors.New("the record is too large for the queue")
)

// Open opens the queue in a directory, and makes it if there is none. It looks through the last segment and cuts off what was
// being written when the process or the machine died. One process at a time can have it open.
func Open(dir string, o Options) (*Queue, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	lock, err := lock(folder(dir).path("lock"))
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", dir, err)
	}
	q, err := open(folder(dir), o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open queue %s: %w", dir, err), lock.Close())
	}
	q.unlock = lock
	return q, nil
}

func open(d disk, o Options) (*Queue, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 30
	}
	o.SegmentBytes = max(min(o.SegmentBytes, o.MaxBytes/4), segmentHeader+1)
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch o.Compression {
	case Uncompressed, S2, Zstd:
	default:
		return nil, fmt.Errorf("compression %q is not known: s2, zstd or none", o.Compression)
	}
	q := &Queue{
		o: o, disk: d, log: o.Log,
		stop: make(chan struct{}), ended: make(chan struct{}), more: make(chan struct{}, 1), freed: make(chan struct{}, 1),
		reported: make(map[string]bool),
	}
	q.inlet.frameBytes = int(min(frameBytes, o.SegmentBytes))
	q.inlet.room = make(chan struct{})
	q.inlet.kick = make(chan struct{}, 1)
	q.commit.Queue = q
	if err := q.recover(); err != nil {
		if q.commit.file != nil {
			err = errors.Join(err, q.commit.file.Close())
		}
		return nil, errors.Join(err, q.saver.close())
	}
	go q.commit.run()
	return q, nil
}

// Append makes records durable, in their order. When it returns nil they are safe. It waits while the queue or its disk is
// full, until ctx is done or the queue is closed; then the records may be in the queue or not.
func (q *Queue) Append(ctx context.Context, recs []flow.Record) error {
	g, err := q.inlet.put(ctx, recs)
	if err != nil || g == nil {
		return err
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Finish says that nothing more will be appended before the queue is opened again: its stream ends when all is read.
func (q *Queue) Finish() {
	q.mu.Lock()
	q.finished = true
	q.mu.Unlock()
	poke(q.more)
}

// Stats gives the figures of the moment.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Bytes, s.MaxBytes, s.Segments = q.bytes, q.o.MaxBytes, len(q.segments)
	s.Events = int64(q.end - q.acked)
	s.Oldest = q.ages.oldest()
	if since := q.commit.waitingSince; !since.IsZero() {
		s.WaitedFor += time.Since(since)
	}
	return s
}

// Close writes what was appended and waits for nothing else: what finds no room is not acknowledged. A stream of the queue
// ends with ErrClosed.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	q.mu.Unlock()
	q.inlet.close()
	close(q.stop)
	poke(q.more)
	<-q.ended
	q.mu.Lock()
	defer q.mu.Unlock()
	err := errors.Join(q.saver.save(q.acked, true), q.saver.close(), q.commit.file.Close())
	if q.unlock != nil {
		err = errors.Join(err, q.unlock.Close())
	}
	return err
}

// poke makes sure that a channel that holds one does.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ack frees what is before next, and saves that. q.mu is held.
func (q *Queue) ack(next uint64) error {
	if next <= q.acked {
		return nil
	}
	if next > q.given {
		return fmt.Errorf("acknowledge %d events: only %d were read", next, q.given)
	}
	q.stats.Acked += int64(next - q.acked)
	q.acked = next
	q.ages.forget(next)
	free := len(q.segments) > 1 && q.segments[1].first <= next
	err := q.saver.save(next, free)
	if free {
		// Also if the checkpoint could not be saved: on a full disk nothing else may make room for it.
		err = errors.Join(err, q.free())
	}
	poke(q.freed)
	return err
}

// free deletes the segments of which everything is acknowledged. q.mu is held.
func (q *Queue) free() error {
	var errs []error
	for len(q.segments) > 1 && q.segments[1].first <= q.acked {
		s := q.segments[0]
		name := s.String()
		err := q.discard(s)
		if err != nil {
			// It is deleted when the queue is opened the next time, if not before.
			errs = append(errs, fmt.Errorf("delete %s: %w", name, err))
		}
		q.bytes -= s.size
		q.segments = q.segments[1:]
	}
	return errors.Join(errs...)
}

func (q *Queue) discard(s *segment) error {
	if s.keep {
		return q.disk.rename(s.String(), s.String()+damagedSuffix)
	}
	return q.disk.remove(s.String())
}

// ages say when events came, to a second or so.
type ages []age

type age struct {
	end  uint64 // of the events before it, the last one came then
	came time.Time
}

// mostAges bounds the list; beyond it, times become coarser.
const mostAges = 4096

func (a *ages) add(end uint64, now time.Time) {
	l := *a
	if n := len(l); n > 0 && (now.Sub(l[n-1].came) < time.Second || n >= mostAges) {
		l[n-1].end = end
		return
	}
	*a = append(l, age{end, now})
}

func (a *ages) forget(acked uint64) {
	n := 0
	for n < len(*a) && (*a)[n].end <= acked {
		n++
	}
	*a = (*a)[n:]
}

func (a ages) oldest() time.Time {
	if len(a) == 0 {
		return time.Time{}
	}
	return a[0].came
}

// position is what the stream's batches have in Next: the sequence number of the next event.
func position(next uint64) flow.Position {
	var b [8]byte
	for i := range b {
		b[i] = byte(next >> (56 - 8*i))
	}
	return b[:]
}

func parsePosition(p flow.Position) (uint64, error) {
	if len(p) != 8 {
		return 0, fmt.Errorf("a position in a queue has 8 bytes, not %d", len(p))
	}
	var n uint64
	for _, c := range p {
		n = n<<8 | uint64(c)
	}
	if n > math.MaxInt64 {
		return 0, fmt.Errorf("no position in a queue: %d", n)
	}
	return n, nil
}

var _ stream.Source = (*Queue)(nil)
