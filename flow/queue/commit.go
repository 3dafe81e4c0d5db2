package queue

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A committer writes what waits and makes it durable. It is one goroutine, so that what comes while it waits for the disk
// is written together.
type committer struct {
	*Queue
	file    file // of seg
	seg     *segment
	written int64  // bytes of seg that are whole and durable
	next    uint64 // the sequence number of the next event
	number  uint64 // of the next segment
	suspect bool   // what comes after written in the file is not known: the next event begins a new one

	packer packer
	packed []byte

	waitingSince time.Time // zero: nothing waits; guarded by Queue.mu
	told         time.Time // when the log was told last that something waits
}

// Pauses of the committer.
const (
	idleFor   = time.Second            // until a segment of which nothing is needed is emptied
	firstWait = 100 * time.Millisecond // after a failed write; doubled for each one after it
	mostWait  = 5 * time.Second
	tellEvery = 30 * time.Second
)

// emptyAt is the size from which on a segment of which nothing is needed is emptied.
const emptyAt = 64 << 10

// errFull says that the queue has reached its bound.
var errFull = errors.New("the queue is full")

func (c *committer) run() {
	defer close(c.ended)
	idle := time.NewTimer(idleFor)
	defer idle.Stop()
	for {
		if g := c.inlet.take(); g != nil {
			g.err = c.write(g)
			close(g.done)
			c.inlet.recycle(g)
			idle.Reset(idleFor)
			continue
		}
		select {
		case <-c.inlet.kick:
		case <-idle.C:
			c.tidy()
			idle.Reset(idleFor)
		case <-c.stop:
			if g := c.inlet.take(); g != nil {
				g.err = c.write(g)
				close(g.done)
			}
			c.tidy()
			return
		}
	}
}

// tidy does what has time until there is nothing else to do.
func (c *committer) tidy() {
	c.mu.Lock()
	err := c.saver.save(c.acked, true)
	empty := c.acked == c.end && c.written > emptyAt
	c.mu.Unlock()
	if err == nil && empty {
		err = c.empty()
	}
	if err != nil {
		c.log.Warn("queue cannot be tidied up", "err", err)
	}
}

// empty cuts the segment back to its header, as everything in it is acknowledged. A stream is at its end then.
func (c *committer) empty() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acked != c.end {
		return nil
	}
	if c.seg.keep {
		c.suspect = true // a new segment is begun, and this one moved aside
		return nil
	}
	// What the new end of the file is known by after a crash.
	if err := c.saver.save(c.acked, true); err != nil {
		return err
	}
	if err := c.file.Truncate(segmentHeader); err != nil {
		return err
	}
	c.bytes -= c.seg.size - segmentHeader
	c.written, c.seg.size = segmentHeader, segmentHeader
	c.seg.emptied++
	return nil
}

// emptied makes room after a failed write, if the segment can be emptied. It reports that it was.
func (c *committer) emptied() bool {
	if c.written <= segmentHeader {
		return false
	}
	before := c.written
	if err := c.empty(); err != nil {
		c.log.Warn("queue segment cannot be emptied", "err", err)
	}
	return c.written < before
}

// write makes a group durable. It tries until it can, or the queue is closed.
func (c *committer) write(g *group) error {
	buf, err := c.seal(g)
	if err != nil {
		return err
	}
	failures := 0
	for frames := g.frames; len(frames) > 0; {
		n, err := c.some(buf, frames)
		frames = frames[n:]
		if n > 0 {
			failures = 0
			c.goesOn()
		}
		if err == nil {
			continue
		}
		c.waits(err)
		if failures++; c.emptied() {
			continue
		}
		pause := firstWait << min(failures-1, 10)
		timer := time.NewTimer(min(pause, mostWait))
		select {
		case <-timer.C:
		case <-c.freed:
		case <-c.stop:
			timer.Stop()
			c.goesOn()
			return fmt.Errorf("%w, and there was no room: %w", ErrClosed, err)
		}
		timer.Stop()
	}
	return nil
}

// seal compresses the payloads of a group, numbers its events and gives its bytes, in which the headers are missing.
func (c *committer) seal(g *group) ([]byte, error) {
	buf := g.buf
	if c.o.Compression != Uncompressed {
		c.packed = c.packed[:0]
		if cap(c.packed) > 2*pendingBytes {
			c.packed = nil
		}
		buf = c.packed
	}
	next := c.next
	for i := range g.frames {
		p := &g.frames[i]
		raw := g.buf[p.start+frameHeader : p.end]
		f := frame{first: next, count: p.count, raw: uint32(len(raw))}
		if c.o.Compression != Uncompressed {
			p.start = len(buf)
			buf = append(buf, make([]byte, frameHeader)...)
			var err error
			if buf, f.code, err = c.packer.pack(buf, raw, c.o.Compression); err != nil {
				return nil, fmt.Errorf("compress events: %w", err)
			}
			p.end = len(buf)
		}
		stored := buf[p.start+frameHeader : p.end]
		f.stored, f.sum = uint32(len(stored)), checksum(stored)
		p.frame = f
		next = f.end()
	}
	if c.o.Compression != Uncompressed {
		c.packed = buf
	}
	c.next = next
	return buf, nil
}

// some makes as many of the frames durable as the segment and the queue have room for, at least one if there is no error,
// and says how many. They are next to each other in buf.
func (c *committer) some(buf []byte, frames []piece) (int, error) {
	if c.suspect || c.written >= c.o.SegmentBytes {
		if err := c.roll(frames[0].frame.first); err != nil {
			return 0, err
		}
	}
	n, err := c.fit(frames)
	if err != nil {
		return 0, err
	}
	for i := range frames[:n] {
		putFrameHeader(buf[frames[i].start:], &frames[i].frame, c.seg.salt)
	}
	bytes := buf[frames[0].start:frames[n-1].end]
	if err := c.put(bytes); err != nil {
		return 0, err
	}
	last := &frames[n-1].frame
	c.written += int64(len(bytes))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seg.size = c.written
	c.bytes += int64(len(bytes))
	c.end = last.end()
	c.stats.Appended += int64(last.end() - frames[0].frame.first)
	c.ages.add(c.end, time.Now())
	poke(c.more)
	return n, nil
}

// fit says how many of the frames there is room for.
func (c *committer) fit(frames []piece) (int, error) {
	c.mu.Lock()
	room := c.o.MaxBytes - c.bytes
	alone := c.acked == c.end
	c.mu.Unlock()
	if alone && room < int64(frames[0].end-frames[0].start) && c.written > segmentHeader {
		if err := c.empty(); err != nil {
			return 0, err
		}
		if c.suspect {
			return 0, c.roll(frames[0].frame.first)
		}
		room = c.o.MaxBytes - segmentHeader
	}
	n, at := 0, c.written
	for n < len(frames) {
		size := int64(frames[n].end - frames[n].start)
		if n > 0 && at >= c.o.SegmentBytes || size > room && (n > 0 || !alone) {
			break
		}
		n++
		at += size
		room -= size
	}
	if n == 0 {
		return 0, errFull
	}
	return n, nil
}

// put writes bytes at the end of the segment and makes them durable, or leaves the segment as it was.
func (c *committer) put(bytes []byte) error {
	c.count(func(s *Stats) { s.Writes++ })
	if _, err := c.file.WriteAt(bytes, c.written); err != nil {
		if terr := c.file.Truncate(c.written); terr != nil {
			c.suspect = true
		}
		return fmt.Errorf("write to %s: %w", c.seg, err)
	}
	c.count(func(s *Stats) { s.Syncs++ })
	if err := c.file.Sync(); err != nil {
		// What a failed sync has left on the disk cannot be known, not even by another sync: the events are written anew,
		// to another file.
		c.suspect = true
		return fmt.Errorf("sync %s: %w", c.seg, errors.Join(err, c.file.Truncate(c.written)))
	}
	return nil
}

// roll begins a new segment.
func (c *committer) roll(first uint64) error {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return err
	}
	number := c.number
	c.number++ // also if it comes to nothing: what is left of it must not be taken for the next one
	s := &segment{segmentName: segmentName{number, first, binary.LittleEndian.Uint64(salt[:])}, begun: time.Now(), size: segmentHeader}
	name := s.String()
	f, err := c.disk.create(name)
	if err != nil {
		return fmt.Errorf("begin %s: %w", name, err)
	}
	_, err = f.WriteAt(appendSegmentHeader(nil, s.segmentName, s.begun), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = c.disk.sync()
	}
	if err != nil {
		return fmt.Errorf("begin %s: %w", name, errors.Join(err, f.Close(), c.disk.remove(name)))
	}
	if c.file != nil {
		if err := c.file.Close(); err != nil {
			c.log.Warn("queue segment does not close", "file", c.seg.String(), "err", err) // all of it is synced
		}
	}
	c.file, c.seg, c.written, c.suspect = f, s, segmentHeader, false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.segments = append(c.segments, s)
	c.bytes += segmentHeader
	if err := c.free(); err != nil {
		c.log.Warn("queue segment cannot be deleted", "err", err)
	}
	return nil
}

func (c *committer) count(change func(s *Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.stats)
}

// waits notes that events wait, and why.
func (c *committer) waits(err error) {
	c.mu.Lock()
	if c.waitingSince.IsZero() {
		c.waitingSince = time.Now()
	}
	c.stats.Waiting, c.stats.Why = true, err.Error()
	since := c.waitingSince
	c.mu.Unlock()
	if time.Since(c.told) < tellEvery {
		return
	}
	c.told = time.Now()
	if errors.Is(err, errFull) {
		c.log.Warn("queue is full: its sources wait until what it has is delivered", "maxBytes", c.o.MaxBytes, "for", time.Since(since).Round(time.Second))
	} else {
		c.log.Warn("queue cannot write: its sources wait, and it is tried again", "err", err, "for", time.Since(since).Round(time.Second))
	}
}

// goesOn notes that nothing waits.
func (c *committer) goesOn() {
	c.mu.Lock()
	since := c.waitingSince
	if !since.IsZero() {
		c.stats.WaitedFor += time.Since(since)
		c.stats.Waiting, c.stats.Why = false, ""
		c.waitingSince = time.Time{}
	}
	c.mu.Unlock()
	if !since.IsZero() && time.Since(since) >= time.Second {
		c.log.Info("queue takes events again", "after", time.Since(since).Round(time.Millisecond))
	}
}
