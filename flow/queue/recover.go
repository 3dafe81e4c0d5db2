package queue

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// recover finds out what is in the directory, and makes it good to go on with.
func (q *Queue) recover() error {
	var found, damaged bool
	var err error
	if q.saver, found, damaged, err = openCheckpoint(q.disk); err != nil {
		return err
	}
	sizes, err := q.disk.list()
	if err != nil {
		return err
	}
	for name, size := range sizes {
		n, ok := parseSegmentName(name)
		if ok {
			q.segments = append(q.segments, &segment{segmentName: n, size: size})
		}
	}
	slices.SortFunc(q.segments, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.String(), b.String()))
	})
	q.acked = q.saver.saved
	if len(q.segments) > 0 {
		first := q.segments[0].first
		switch {
		case !found && (damaged || first > 0 || len(q.segments) > 1):
			q.log.Warn("queue does not know what is acknowledged, as its checkpoint cannot be read: events may come twice")
			q.acked = first
		case !found:
			q.acked = first
		case damaged:
			q.log.Warn("queue has one checkpoint that cannot be read, and takes the other one: events may come twice")
		case q.acked < first:
			q.log.Warn("queue begins later than its checkpoint: events were acknowledged and that could not be saved, or files are missing",
				"checkpoint", q.acked, "first", first)
		}
		q.acked = max(q.acked, first)
	}
	for i, s := range q.segments {
		if err := q.check(s, i == len(q.segments)-1); err != nil {
			return err
		}
		q.bytes += s.size
		q.commit.number = s.number + 1
	}
	if err := q.last(); err != nil {
		return err
	}
	for i, s := range q.segments {
		end := q.end
		if i+1 < len(q.segments) {
			end = q.segments[i+1].first
		}
		q.ages.add(end, s.begun)
	}
	q.ages.forget(q.acked)
	q.given = q.acked
	if !found {
		// Both slots are written: later there may be no room on the disk.
		q.saver.generation++
		if _, err := q.saver.file.WriteAt(appendSlot(nil, q.saver.generation, q.acked), int64(q.saver.generation%2)*slotAt); err != nil {
			return fmt.Errorf("write the checkpoint: %w", err)
		}
	}
	q.saver.generation++
	if _, err := q.saver.file.WriteAt(appendSlot(nil, q.saver.generation, q.acked), int64(q.saver.generation%2)*slotAt); err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	q.saver.saved = q.acked
	if err := errors.Join(q.saver.save(q.acked, true), q.disk.sync()); err != nil {
		return err
	}
	if err := q.free(); err != nil {
		q.log.Warn("queue segment cannot be deleted", "err", err)
	}
	return nil
}

// check reads the header of a segment.
func (q *Queue) check(s *segment, last bool) error {
	f, err := q.disk.open(s.String())
	if err != nil {
		return err
	}
	var b [segmentHeader]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("read %s: %w", s, err), f.Close())
	}
	s.begun, err = parseSegmentHeader(b[:n], s.segmentName)
	if !errors.Is(err, ErrCorrupt) {
		return errors.Join(err, f.Close())
	}
	// All that matters is in the name.
	s.begun, err = time.Now(), nil
	if s.size > segmentHeader {
		q.log.Error("queue segment has a damaged header, which is mended", "file", s.String())
		q.stats.DamagedBytes += segmentHeader
	}
	if last || s.size > segmentHeader {
		if _, err = f.WriteAt(appendSegmentHeader(nil, s.segmentName, s.begun), 0); err == nil {
			err = f.Sync()
		}
		s.size = max(s.size, segmentHeader)
	}
	return errors.Join(err, f.Close())
}

// last looks through the last segment, cuts off what is not whole at its end, and lets the committer go on with it; without
// any it begins one.
func (q *Queue) last() error {
	q.end = q.acked
	q.commit.next = q.acked
	if len(q.segments) == 0 {
		return q.commit.roll(q.acked)
	}
	s := q.segments[len(q.segments)-1]
	q.end = max(q.end, s.first)
	f, err := q.disk.open(s.String())
	if err != nil {
		return err
	}
	q.commit.file, q.commit.seg = f, s
	scan := &scanner{name: s.segmentName, from: f, size: s.size}
	good := int64(segmentHeader)
	for off := good; off < s.size; {
		fr, st, err := scan.frame(off)
		if err != nil {
			return err
		}
		if st != whole {
			var found bool
			if off, fr, found, err = scan.next(off); err != nil {
				return err
			}
			if !found {
				break
			}
		}
		off += fr.size()
		good = off
		q.end = max(q.end, fr.end())
	}
	if good < s.size {
		if err := q.cut(scan, good); err != nil {
			return err
		}
	}
	// What a process that died wrote last may not be on the disk yet.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s, err)
	}
	s.size = good
	q.commit.written, q.commit.next = good, q.end
	return nil
}

// cut cuts off the end of the last segment from good on.
func (q *Queue) cut(scan *scanner, good int64) error {
	s, f := q.commit.seg, q.commit.file
	fr, st, err := scan.frame(good)
	if err != nil {
		return err
	}
	zeros, err := scan.zeros(good)
	if err != nil {
		return err
	}
	n := s.size - good
	if st == torn || zeros {
		q.log.Warn("queue ends with a frame that is not whole, which is cut off: it was never said to be safe", "file", s.String(), "offset", good, "bytes", n)
		q.stats.TornBytes += n
	} else {
		lost := int64(0)
		if st == broken && fr.end() > q.acked {
			lost = int64(fr.end() - max(q.acked, fr.first))
		}
		q.damage(s, f, good, s.size, lost)
		if s.keep {
			q.commit.suspect = true // nothing is written behind them
			return nil
		}
	}
	if err := f.Truncate(good); err != nil {
		return fmt.Errorf("cut %s back to %d bytes: %w", s, good, err)
	}
	return nil
}

const damagedSuffix = ".damaged"

// damage tells of damaged bytes of a segment, from off to end, and copies them to a file of their own. If that fails, the
// segment is kept as a whole when it is done.
func (q *Queue) damage(s *segment, from io.ReaderAt, off, end, lost int64) {
	name := fmt.Sprintf("%s.%012x%s", s, off, damagedSuffix)
	q.mu.Lock()
	known := q.reported[name]
	q.reported[name] = true
	if !known {
		q.stats.DamagedBytes += end - off
		q.stats.LostEvents += lost
	}
	q.mu.Unlock()
	if known {
		return
	}
	if end == off {
		q.log.Error("events of the queue are missing", "file", s.String(), "offset", off, "events", lost)
		return
	}
	q.log.Error("queue is damaged: bytes that cannot be read are moved aside, and what follows them is read", "file", s.String(), "offset", off,
		"bytes", end-off, "events", lost, "to", name)
	if err := q.aside(name, from, off, end); err != nil {
		q.log.Error("damaged bytes of the queue cannot be moved aside: the file is kept", "file", s.String(), "err", err)
		q.mu.Lock()
		s.keep = true
		q.mu.Unlock()
	}
}

// aside copies bytes to a file of that name, unless it has them.
func (q *Queue) aside(name string, from io.ReaderAt, off, end int64) error {
	sizes, err := q.disk.list()
	if err != nil {
		return err
	}
	if size, ok := sizes[name]; ok {
		if size == end-off {
			return nil
		}
		if err := q.disk.remove(name); err != nil {
			return err
		}
	}
	f, err := q.disk.create(name)
	if err != nil {
		return err
	}
	buf := make([]byte, windowBytes)
	for at := off; at < end && err == nil; {
		n := int(min(int64(len(buf)), end-at))
		if _, err = from.ReadAt(buf[:n], at); err == nil || errors.Is(err, io.EOF) {
			_, err = f.WriteAt(buf[:n], at-off)
		}
		at += int64(n)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		return q.disk.sync()
	}
	return errors.Join(err, q.disk.remove(name))
}
