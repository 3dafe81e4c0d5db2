package queue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// Bounds of what a feed holds in memory: it reads so many streams at a time, into batches of so much.
const (
	feedBatches = 32
	feedRecords = 1024
	feedBytes   = 1 << 20
)

// feedAhead is how many batches of a stream may wait to be durable.
const feedAhead = 16

// Feed runs a source into the queue: what its streams give is appended, and acknowledged to them once it is durable. It
// returns when the source has: with nil when it has ended or ctx is done. Several sources may be fed at a time.
//
// When ctx is done nothing more is read; what was read is still made durable and acknowledged, for as long as Options.Grace if
// there is no room.
func (q *Queue) Feed(ctx context.Context, src stream.Source) error {
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	writing, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	ended := make(chan struct{})
	var grace sync.WaitGroup
	grace.Go(func() {
		select {
		case <-reading.Done():
		case <-ended:
			return
		}
		t := time.NewTimer(q.o.Grace)
		defer t.Stop()
		select {
		case <-t.C:
			giveUp(errNoRoom)
		case <-ended:
		}
	})
	f := &feed{q: q, log: q.log, reading: reading, writing: writing, batches: make(chan *flow.Batch, feedBatches)}
	for range feedBatches {
		f.batches <- nil // made when it is needed
	}
	err := src.Run(reading, func(s stream.Stream) { f.streams.Go(func() { f.carry(s) }) })
	stopReading()
	f.streams.Wait()
	close(ended)
	grace.Wait()
	if f.givenUp > 0 {
		q.log.Warn("events were read and found no room in the queue before the end: they are not acknowledged", "events", f.givenUp)
	}
	return err
}

var errNoRoom = errors.New("the queue had no room in time")

type feed struct {
	q       *Queue
	log     *slog.Logger
	reading context.Context // until nothing more is read
	writing context.Context // until what was read is given up
	batches chan *flow.Batch
	streams sync.WaitGroup

	mu      sync.Mutex
	givenUp int // events; guarded by mu
}

// carry appends what a stream gives to the queue, until it has ended.
func (f *feed) carry(s stream.Stream) {
	t := &tickets{f: f, s: s, room: make(chan struct{}, feedAhead)}
	for f.read(s, t) {
	}
	t.all.Wait()
	if err := s.Close(); err != nil {
		f.log.Warn("stream does not close", "err", err)
	}
}

// read appends a batch. It reports whether the stream goes on.
func (f *feed) read(s stream.Stream, t *tickets) bool {
	if err := s.Wait(f.reading); err != nil {
		f.ends(err)
		return false
	}
	// A place in the queue comes before the memory: while there is none, most streams hold none.
	select {
	case t.room <- struct{}{}:
	case <-f.writing.Done():
		return false
	}
	var b *flow.Batch
	select {
	case b = <-f.batches:
	case <-f.reading.Done():
		<-t.room
		return false
	}
	if b == nil {
		b = &flow.Batch{MaxRecords: feedRecords, MaxBytes: feedBytes}
	}
	defer func() {
		b.Reset()
		f.batches <- b
	}()
	rerr := s.Read(f.reading, b)
	g, err := f.q.inlet.put(f.writing, b.Records)
	if err != nil {
		<-t.room
		f.giveUp(len(b.Records), err)
		return false
	}
	t.add(ticket{g, slices.Clone(b.Next), len(b.Records)})
	if rerr != nil {
		f.ends(rerr)
		return false
	}
	return !t.failed()
}

// ends logs what a stream has ended with, if that was not to be expected.
func (f *feed) ends(err error) {
	if err != io.EOF && f.reading.Err() == nil { //nolint:errorlint // itself: a wrapped one is a connection that broke
		f.log.Warn("stream ends", "err", err)
	}
}

func (f *feed) giveUp(events int, err error) {
	if errors.Is(err, errNoRoom) || errors.Is(err, ErrClosed) {
		f.mu.Lock()
		f.givenUp += events
		f.mu.Unlock()
		return
	}
	f.log.Error("events cannot be kept in the queue: their stream is closed and they are not acknowledged", "events", events, "err", err)
}

// tickets are the batches of a stream that are not acknowledged. They are acknowledged in their order, by a goroutine that
// lives while there are any.
type tickets struct {
	f    *feed
	s    stream.Stream
	room chan struct{} // holds one for each ticket
	all  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	list    []ticket
	running bool
	lost    bool // one was not made durable: none after it is acknowledged
}

type ticket struct {
	group  *group // nil: no events
	next   flow.Position
	events int
}

// durable waits until the events are, or never will be.
func (t *ticket) durable(ctx context.Context) error {
	if t.group == nil {
		return nil
	}
	select {
	case <-t.group.done:
		return t.group.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// is reports that the events are durable.
func (t *ticket) is() bool {
	if t.group == nil {
		return true
	}
	select {
	case <-t.group.done:
		return t.group.err == nil
	default:
		return false
	}
}

func (t *tickets) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

func (t *tickets) add(next ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, next)
	if !t.running {
		t.running = true
		t.all.Go(t.run)
	}
}

func (t *tickets) run() {
	for {
		t.mu.Lock()
		if len(t.list) == 0 {
			t.running = false
			t.mu.Unlock()
			return
		}
		first := t.list[0]
		t.mu.Unlock()
		err := first.durable(t.f.writing)

		t.mu.Lock()
		done := 1
		next := first.next
		for err == nil && done < len(t.list) && t.list[done].is() {
			if t.list[done].next != nil {
				next = t.list[done].next
			}
			done++
		}
		lost := t.lost || err != nil
		t.lost = lost
		events := 0
		for _, one := range t.list[:done] {
			events += one.events
		}
		t.list = slices.Delete(t.list, 0, done)
		t.mu.Unlock()
		switch {
		case lost:
			if err == nil {
				err = errNoRoom
			}
			t.f.giveUp(events, err)
		case next != nil:
			if err := t.s.Ack(t.f.writing, next); err != nil {
				t.f.log.Warn("stream cannot be told that its events are safe: they may come again", "err", err)
			}
		}
		for range done {
			<-t.room
		}
	}
}

// Before is a source that keeps what sources give in the queue. It ends when all of them have ended by themselves, or one has
// failed, and what they gave is read; what is still in the queue when ctx is done stays there.
func (q *Queue) Before(sources ...stream.Source) stream.Source {
	return &before{q, slices.Clone(sources)}
}

type before struct {
	q       *Queue
	sources []stream.Source
}

// Run implements stream.Source.
func (b *before) Run(ctx context.Context, open func(stream.Stream)) error {
	b.q.mu.Lock()
	b.q.finished = false
	b.q.mu.Unlock()
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(b.sources))
	var feeds, all sync.WaitGroup
	for i, src := range b.sources {
		feeds.Go(func() {
			if errs[i] = b.q.Feed(feeding, src); errs[i] != nil {
				stop()
			}
		})
	}
	all.Go(func() {
		feeds.Wait()
		if ctx.Err() == nil {
			b.q.Finish()
		}
	})
	err := b.q.Run(ctx, open)
	stop()
	all.Wait()
	return errors.Join(errors.Join(errs...), err)
}
