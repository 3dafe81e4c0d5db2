package stream

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/narudata/naru/flow"
)

// A Counter is a number that several goroutines change.
type Counter struct{ n atomic.Int64 }

// Get reads it.
func (c *Counter) Get() int64 { return c.n.Load() }

func (c *Counter) set(n int64)       { c.n.Store(n) }
func (c *Counter) add(n int64) int64 { return c.n.Add(n) }

// Add adds to it.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// A token stands for a batch until everything that came of it is safe.
type token struct {
	feed    *feed // nil: nobody is told
	next    flow.Position
	records int
	waits   Counter // what must be settled before it is
}

func newToken(f *feed) *token {
	t := &token{feed: f}
	t.waits.set(1)
	return t
}

// settle notes that one of the things that the token waits for is safe.
func (t *token) settle() {
	if t.waits.add(-1) == 0 && t.feed != nil {
		t.feed.settled()
	}
}

func (t *token) done() bool { return t.waits.Get() <= 0 }

// A feed reads one stream, and acknowledges what was delivered of it.
type feed struct {
	*run
	s      Stream
	input  int
	number uint64

	mu     sync.Mutex // guards what follows
	tokens []*token   // of what is not acknowledged, in the order it was read
	read   bool       // to its end
	wake   chan struct{}
}

// open begins to read a stream.
func (r *run) open(input int, s Stream) {
	f := &feed{run: r, s: s, input: input, number: uint64(r.numbers.add(1)), wake: make(chan struct{}, 1)} //nolint:gosec // counts from 1
	r.o.Stats.Inputs[input].Streams.add(1)
	r.feeds.Add(2)
	go func() {
		defer r.feeds.Done()
		f.acknowledge()
	}()
	go func() {
		defer r.feeds.Done()
		f.carry()
	}()
}

// carry reads until the stream ends or the pipe drains.
func (f *feed) carry() {
	defer func() {
		f.mu.Lock()
		f.read = true
		f.mu.Unlock()
		f.settled()
	}()
	for f.batch() {
	}
	if f.holds {
		// Whatever is held back of the stream is given now.
		j, err := f.pool.take(f.ctx, f.input, &f.o.Stats.Inputs[f.input].Blocked)
		if err != nil {
			return
		}
		j.input, j.stream, j.ended = f.input, f.number, true
		j.token = f.add(nil, 0)
		f.put(j)
	}
}

// batch reads one; it reports that there may be more.
func (f *feed) batch() bool {
	if err := f.s.Wait(f.reading); err != nil {
		f.ending(err)
		return false
	}
	j, err := f.pool.take(f.reading, f.input, &f.o.Stats.Inputs[f.input].Blocked)
	if err != nil {
		return false
	}
	j.input, j.stream = f.input, f.number
	j.batch.MaxRecords, j.batch.MaxBytes = f.o.MaxRecords, f.o.MaxBytes
	err = f.s.Read(f.reading, &j.batch)
	n := len(j.batch.Records)
	if err != nil && !errors.Is(err, io.EOF) {
		// What was read in the same call may be half of something.
		j.batch.Reset()
		f.pool.put(j)
		f.ending(err)
		return false
	}
	f.pool.reweigh(j)
	f.o.Stats.Inputs[f.input].read(n, &j.batch)
	j.token = f.add(j.batch.Next, n)
	if n > 0 {
		f.put(j)
	} else {
		t := j.token
		f.pool.put(j)
		t.settle()
	}
	return err == nil
}

func (f *feed) ending(err error) {
	if !errors.Is(err, io.EOF) && f.reading.Err() == nil {
		f.o.Log.Warn("a stream has ended with an error", "input", f.Sources[f.input].ID, "error", err)
	}
}

// add begins to wait for a batch.
func (f *feed) add(next flow.Position, records int) *token {
	t := newToken(f)
	t.next, t.records = append(flow.Position(nil), next...), records
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens = append(f.tokens, t)
	return t
}

// settled tells the acknowledging goroutine to look.
func (f *feed) settled() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// acknowledge tells the stream what is safe, and closes it once everything is, or the pipe has stopped.
func (f *feed) acknowledge() {
	defer func() {
		f.o.Stats.Inputs[f.input].Streams.add(-1)
		if err := f.s.Close(); err != nil {
			f.o.Log.Warn("a stream cannot be closed", "input", f.Sources[f.input].ID, "error", err)
		}
	}()
	for {
		select {
		case <-f.wake:
		case <-f.ctx.Done():
			f.untilRead()
			return
		}
		next, records, over := f.safe()
		if len(next) > 0 {
			if err := f.s.Ack(f.ctx, next); err != nil && f.ctx.Err() == nil {
				f.o.Log.Warn("what was delivered cannot be acknowledged", "input", f.Sources[f.input].ID, "error", err)
			}
		}
		f.o.Stats.Inputs[f.input].Acknowledged.add(int64(records))
		if over {
			return
		}
	}
}

// safe takes what is safe without a gap; over says that everything is.
func (f *feed) safe() (next flow.Position, records int, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.tokens) && f.tokens[n].done() {
		if len(f.tokens[n].next) > 0 {
			next = f.tokens[n].next
		}
		records += f.tokens[n].records
		n++
	}
	clear(f.tokens[:n])
	f.tokens = f.tokens[n:]
	return next, records, f.read && len(f.tokens) == 0
}

// untilRead waits until the stream is not read any more.
func (f *feed) untilRead() {
	for {
		f.mu.Lock()
		over := f.read
		f.mu.Unlock()
		if over {
			return
		}
		<-f.wake
	}
}
