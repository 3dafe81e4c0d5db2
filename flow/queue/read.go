package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// Run implements stream.Source: one stream, which begins with what is not acknowledged. Its Ack frees the disk. If the disk
// cannot be read, the stream ends and another one is opened after a while. One Run at a time.
func (q *Queue) Run(ctx context.Context, open func(stream.Stream)) error {
	q.mu.Lock()
	was := q.reading
	q.reading = true
	q.mu.Unlock()
	if was {
		return errors.New("the queue is being read already")
	}
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.reading = false
	}()
	for {
		s := &reading{q: q, closed: make(chan struct{})}
		q.mu.Lock()
		q.given = q.acked
		s.pos = q.acked
		q.mu.Unlock()
		open(s)
		<-s.closed
		if s.failed == nil || ctx.Err() != nil {
			return nil
		}
		q.log.Warn("queue cannot be read, and is tried again", "err", s.failed)
		again := time.NewTimer(time.Second)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil
		}
	}
}

// reading is the stream of a queue.
type reading struct {
	q      *Queue
	once   sync.Once
	closed chan struct{}
	failed error // valid once it is closed

	pos     uint64 // the sequence number of the next event
	seg     *segment
	emptied int // as of seg
	file    file
	off     int64 // in seg, of the next frame
	scan    scanner
	packer  packer
	room    []byte // for a payload that was compressed

	frame   frame  // that is being given
	frameAt int64  // its offset
	rest    []byte // of its payload
	names   names
}

// Bounds of a batch that has none.
const (
	mostRecords = 4096
	mostBytes   = 1 << 20
)

// Wait implements stream.Stream.
func (s *reading) Wait(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.q.mu.Lock()
		there, finished, closed := s.q.end > s.pos, s.q.finished, s.q.closed
		s.q.mu.Unlock()
		switch {
		case closed:
			return ErrClosed
		case there:
			return nil
		case finished:
			return io.EOF
		}
		select {
		case <-s.q.more:
		case <-ctx.Done():
		}
	}
}

// Read implements stream.Stream.
func (s *reading) Read(ctx context.Context, b *flow.Batch) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	before := s.pos
	var err error
	for !full(b) {
		if len(s.rest) == 0 {
			var more bool
			if more, err = s.open(); !more {
				break
			}
		}
		s.give(b)
	}
	if s.pos != before {
		s.q.mu.Lock()
		s.q.given = max(s.q.given, s.pos)
		s.q.mu.Unlock()
		b.Next = position(s.pos)
	}
	if err != nil {
		s.failed = err
	}
	return err
}

func full(b *flow.Batch) bool {
	return b.Full() || b.MaxRecords == 0 && len(b.Records) >= mostRecords || b.MaxBytes == 0 && b.Bytes() >= mostBytes
}

// give adds the next record of the frame to b.
func (s *reading) give(b *flow.Batch) {
	record, rest, err := cutRecord(s.rest)
	if err == nil {
		var r flow.Record
		if err = decodeRecord(b.Copy(record), &s.names, &r); err == nil {
			b.Records = append(b.Records, r)
			s.pos++
		}
	}
	if s.rest = rest; err != nil || (len(rest) == 0) != (s.pos == s.frame.end()) {
		// The checksum is right: another program has written it.
		s.q.damage(s.seg, s.file, s.frameAt, s.off, int64(s.frame.end()-s.pos))
		s.rest, s.pos = nil, s.frame.end()
	}
}

// open reads the next frame that has something to give; false: there is none yet.
func (s *reading) open() (bool, error) {
	for {
		limit, more, err := s.place()
		if !more {
			return false, err
		}
		if s.off >= s.scan.size {
			s.missing(limit)
			continue
		}
		f, st, err := s.scan.header(s.off)
		if err != nil {
			return false, err
		}
		if st == whole && f.end() <= s.pos {
			s.off += f.size()
			continue
		}
		if st == whole && f.first >= limit {
			s.missing(limit)
			continue
		}
		var payload []byte
		if st == whole {
			payload, st, err = s.scan.payload(s.off, &f)
			if err != nil {
				return false, err
			}
			if st == whole {
				if payload, err = s.packer.unpack(s.room, payload, &f); err != nil {
					st = broken
				} else if f.code != codeNone && cap(payload) <= 2*frameBytes {
					s.room = payload
				}
			}
		}
		if st != whole {
			if err := s.skip(limit); err != nil {
				return false, err
			}
			continue
		}
		if f.first > s.pos {
			s.missing(min(f.first, limit))
			if s.pos == limit {
				continue
			}
		}
		s.frame, s.frameAt, s.rest = f, s.off, payload
		s.off += f.size()
		// What is acknowledged of it is not given again.
		for at := f.first; at < s.pos && err == nil; at++ {
			_, s.rest, err = cutRecord(s.rest)
		}
		if err != nil || len(s.rest) == 0 {
			s.q.damage(s.seg, s.file, s.frameAt, s.off, int64(f.end()-s.pos))
			s.rest, s.pos = nil, f.end()
			continue
		}
		return true, nil
	}
}

// place goes to the segment that has the next event. The segment has those before limit. more is false if there is nothing to
// read yet.
func (s *reading) place() (limit uint64, more bool, err error) {
	q := s.q
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return 0, false, ErrClosed
	}
	if s.pos >= q.end {
		q.mu.Unlock()
		return 0, false, nil
	}
	i := 0
	for i+1 < len(q.segments) && q.segments[i+1].first <= s.pos {
		i++
	}
	limit = q.end
	if i+1 < len(q.segments) {
		limit = q.segments[i+1].first
	}
	seg := q.segments[i]
	size, emptied := seg.size, seg.emptied
	q.mu.Unlock()
	if seg != s.seg {
		s.leave()
		f, err := q.disk.open(seg.String())
		if err != nil {
			return 0, false, err
		}
		s.seg, s.file, s.off, s.emptied = seg, f, segmentHeader, emptied
		s.scan.over(seg.segmentName, f)
	}
	if emptied != s.emptied {
		s.off, s.emptied = segmentHeader, emptied
		s.scan.forget()
	}
	s.scan.size = size
	return limit, true, nil
}

// missing goes on at next: what is before it is not there.
func (s *reading) missing(next uint64) {
	if next > s.pos {
		s.q.damage(s.seg, s.file, s.off, s.off, int64(next-s.pos))
		s.pos = next
	}
}

// skip goes to the next whole frame.
func (s *reading) skip(limit uint64) error {
	at, f, found, err := s.scan.next(s.off)
	if err != nil {
		return err
	}
	next := limit
	if found {
		next = min(next, f.first)
	}
	if next > s.pos {
		s.q.damage(s.seg, s.file, s.off, at, int64(next-s.pos))
		s.pos = next
	} else {
		s.q.log.Debug("queue segment has bytes that cannot be read where nothing is needed", "file", s.seg.String(), "offset", s.off, "bytes", at-s.off)
	}
	s.off = at
	return nil
}

func (s *reading) leave() {
	if s.file != nil {
		if err := s.file.Close(); err != nil {
			s.q.log.Debug("queue segment does not close", "err", err) // it was only read
		}
	}
	s.seg, s.file = nil, nil
}

// Ack implements stream.Stream.
func (s *reading) Ack(_ context.Context, next flow.Position) error {
	n, err := parsePosition(next)
	if err != nil {
		return err
	}
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	if s.q.closed {
		return ErrClosed
	}
	if err := s.q.ack(n); err != nil {
		return fmt.Errorf("acknowledge events of the queue: %w", err)
	}
	return nil
}

// Close implements stream.Stream.
func (s *reading) Close() error {
	s.once.Do(func() {
		s.leave()
		s.rest, s.scan.buf, s.room = nil, nil, nil
		close(s.closed)
	})
	return nil
}
