package kafka

import (
	"context"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

// tp names a partition.
type tp struct {
	topic     string
	partition int32
}

// A partition is the stream of one partition, from when it was assigned until it is taken away. What was fetched waits in it
// until it is read.
type partition struct {
	of     *reader
	tp     tp
	prefix []byte // of the Meta of its records
	end    int64  // the offset to end at; math.MaxInt64: none
	signal chan struct{}
	// unmarked leaves out the markers of transactions, which are of use only to who reads up to an end.
	unmarked bool

	mu     sync.Mutex // guards what follows
	chunks [][]*kgo.Record
	held   int   // bytes of chunks
	over   bool  // nothing more will come of it: taken away, or read to the end
	gone   bool  // what is acknowledged now does not count any more
	wanted bool  // Wait waits
	read   int64 // the offset behind what was read or passed over; < 0: nothing yet
	given  mark  // behind what was read by the engine last; next < 0: nothing yet
	acked  mark  // behind what is safe; next < 0: nothing yet
	saved  int64 // what was committed last; < 0: nothing yet
	begun  bool  // something was fetched
	first  int64 // where reading begins: the offset that was fetched first, if something was; < 0: it is not known yet
	trail  trail // of what is not acknowledged
	moved  chan struct{}
	closed bool
}

func newPartition(of *reader, at tp) *partition {
	return &partition{
		of: of, tp: at, prefix: appendPrefix(nil, of.cluster, at.topic, at.partition), end: math.MaxInt64, signal: make(chan struct{}, 1),
		given: mark{next: -1}, acked: mark{next: -1}, saved: -1, first: -1, read: -1, trail: newTrail(), moved: make(chan struct{}),
	}
}

// weight is what a record that waits holds of memory, more or less.
func weight(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value) + recordOverhead
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// recordOverhead is what a fetched record needs beside its bytes.
const recordOverhead = 200

// push adds what was fetched, and gives its weight. It takes nothing if the partition is over.
func (p *partition) push(recs []*kgo.Record) int {
	size := 0
	for _, r := range recs {
		size += weight(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || len(recs) == 0 {
		return 0
	}
	p.trail.fetched(recs)
	if p.unmarked {
		recs = slices.DeleteFunc(recs, func(r *kgo.Record) bool {
			marker := r.Attrs.IsControl()
			if marker {
				size -= weight(r)
			}
			return marker
		})
		if len(recs) == 0 {
			return 0
		}
	}
	if !p.begun {
		p.begun, p.first = true, recs[0].Offset
	}
	p.chunks = append(p.chunks, recs)
	p.held += size
	p.wake()
	return size
}

// wake lets Wait look again.
func (p *partition) wake() {
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

// finish ends the stream: what waits is not read any more. It gives the weight of that.
func (p *partition) finish(gone bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := p.held
	p.over, p.gone, p.chunks, p.held = true, p.gone || gone, nil, 0
	p.wake()
	p.changed()
	return held
}

// changed wakes those who wait for acknowledgements; p.mu is held.
func (p *partition) changed() {
	close(p.moved)
	p.moved = make(chan struct{})
}

// settled reports that all that was read is acknowledged, or that this will not happen any more; if not, moved is closed when
// there is something new.
func (p *partition) settled() (ok bool, moved <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || p.gone || p.acked.next >= p.given.next, p.moved
}

// waitSettled waits for that.
func (p *partition) waitSettled(ctx context.Context) bool {
	for {
		ok, moved := p.settled()
		if ok {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// startAt says that reading begins there, and that this is to be committed.
func (p *partition) startAt(at mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given.next < 0 {
		p.given, p.acked = at, at
	}
}

// Wait implements stream.Stream.
func (p *partition) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		over, ready := p.over, len(p.chunks) > 0
		p.wanted = !ready
		var first []byte
		if ready {
			first = p.chunks[0][0].Value
		}
		p.mu.Unlock()
		switch {
		case over:
			return io.EOF
		case ready:
			if err := p.of.understand(ctx, p, first); err != nil {
				return err
			}
			if p.isOver() {
				return io.EOF
			}
			return nil
		}
		select {
		case <-p.signal:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *partition) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// Read implements stream.Stream.
func (p *partition) Read(_ context.Context, b *flow.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, taken, last := len(b.Records), 0, mark{next: -1}
	for len(p.chunks) > 0 && !b.Full() && !p.over {
		chunk, i := p.chunks[0], 0
		for ; i < len(chunk) && !b.Full(); i++ {
			r := chunk[i]
			if r.Offset >= p.end {
				p.over = true
				break
			}
			if taken > 0 && !p.of.understood(r.Value) {
				break // Wait asks for its schema
			}
			taken += weight(r)
			last = mark{r.Offset + 1, r.LeaderEpoch}
			if !r.Attrs.IsControl() {
				p.add(b, r)
			}
			r.Recycle()
		}
		if i < len(chunk) {
			p.chunks[0] = chunk[i:]
			break
		}
		p.chunks[0] = nil
		p.chunks = p.chunks[1:]
	}
	if last.next >= 0 {
		p.read = last.next
		b.Next = last.position()
		if len(b.Records) > before {
			p.given = last
		}
		if last.next >= p.end {
			p.over = true
		}
	}
	p.held -= taken
	if p.over {
		taken, p.held, p.chunks = taken+p.held, 0, nil
	}
	p.of.took(taken)
	if p.over {
		return io.EOF
	}
	return nil
}

// add appends a record whose bytes are copied: one record does not keep all that was fetched with it.
func (p *partition) add(b *flow.Batch, r *kgo.Record) {
	body := len(r.Value)
	room := b.Alloc(len(p.prefix) + recordSize(r) + body)
	meta, key := appendRecord(append(room[:0], p.prefix...), r)
	rec := flow.Record{
		Index: p.tp.topic, Port: p.of.port, Meta: meta[:len(meta):len(meta)], Version: r.Offset + 1, Time: r.Timestamp,
	}
	if r.Value != nil {
		at := len(room) - body
		copy(room[at:], r.Value)
		rec.Body = room[at:len(room):len(room)]
	}
	if r.Key != nil {
		rec.Key = meta[key-len(r.Key) : key : key]
	}
	b.Records = append(b.Records, rec)
}

// Ack implements stream.Stream. What it says is committed soon.
func (p *partition) Ack(_ context.Context, next flow.Position) error {
	at, err := parseMark(next)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.next <= p.acked.next {
		return nil
	}
	p.trail.acknowledged(at.next)
	p.acked = at // if the partition is gone, too: see member.left
	p.changed()
	return nil
}

// Close implements stream.Stream.
func (p *partition) Close() error {
	p.mu.Lock()
	p.closed = true
	p.changed()
	p.mu.Unlock()
	p.of.took(p.finish(false))
	p.of.closed(p)
	return nil
}

// beyond gives what is safe, if that is more than what is committed, and if nobody has set that back.
func (p *partition) beyond(committed int64) (mark, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked, p.saved >= 0 && committed >= p.saved && committed < p.acked.next
}

// uncommitted gives what is acknowledged and not committed.
func (p *partition) uncommitted() (mark, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked, !p.gone && p.acked.next > p.saved && p.acked.next >= 0
}

// committed notes that everything before next is.
func (p *partition) committed(next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved = max(p.saved, next)
}
