package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/narudata/naru/flow"
)

// line is the stream of all requests: those that wait to be read, and those that wait until they are safe.
type line struct {
	port   int32
	ready  chan struct{} // has room for one
	closed chan struct{}

	mu      sync.Mutex // guards what follows
	waiting []*parcel
	on      []*parcel // read
	first   uint64    // the number of the first one of them
	over    bool      // nothing new is taken
}

// A parcel is one request.
type parcel struct {
	body, meta []byte
	done       chan error // has room for one
}

var errStopped = errors.New("the pipeline has stopped")

func newLine(port int32) *line {
	return &line{port: port, ready: make(chan struct{}, 1), closed: make(chan struct{})}
}

// put lets a request wait; false: the source stops.
func (l *line) put(p *parcel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.waiting = append(l.waiting, p)
	l.wake()
	return true
}

func (l *line) wake() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// takeBack takes a request back that was not read.
func (l *line) takeBack(p *parcel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, p)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// refuse ends the taking. What was not read is refused.
func (l *line) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, p := range l.waiting {
		p.done <- errStopped
	}
	l.waiting = nil
	l.wake()
}

func (l *line) stopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// Wait implements stream.Stream.
func (l *line) Wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		some, over := len(l.waiting) > 0, l.over
		l.mu.Unlock()
		switch {
		case some:
			return nil
		case over:
			return io.EOF
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		select {
		case <-l.ready:
		case <-ctx.Done():
		}
	}
}

// Read implements stream.Stream. A request is a record.
func (l *line) Read(_ context.Context, b *flow.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.waiting) && (n == 0 || !b.Full()) {
		p := l.waiting[n]
		b.Records = append(b.Records, flow.Record{Port: l.port, Body: b.Copy(p.body), Meta: b.Copy(p.meta)})
		p.body, p.meta = nil, nil
		n++
	}
	l.on = append(l.on, l.waiting[:n]...)
	l.waiting = slices.Delete(l.waiting, 0, n)
	b.Next = strconv.AppendUint(nil, l.first+uint64(len(l.on)), 10)
	return nil
}

// Ack implements stream.Stream: the clients are answered.
func (l *line) Ack(_ context.Context, next flow.Position) error {
	upTo, err := strconv.ParseUint(string(next), 10, 64)
	if err != nil {
		return fmt.Errorf("position %q: %w", next, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.on) && l.first < upTo {
		l.on[n].done <- nil
		l.first++
		n++
	}
	l.on = slices.Delete(l.on, 0, n)
	return nil
}

// Close implements stream.Stream.
func (l *line) Close() error {
	l.refuse()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.on {
		p.done <- errStopped
	}
	l.on = nil
	close(l.closed)
	return nil
}
