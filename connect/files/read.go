package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// blockBytes is how much is read of a file at a time.
const blockBytes = 256 << 10

// lines is the stream of a source.
type lines struct {
	s         *Source
	delimiter []byte
	max       int // bytes of a line

	plain, packed window
	current       *file // whose turn it is; it is reading
	budget        int64 // bytes of its turn that are left
	unpacking     *file // the compressed file that is under way: one at a time, as each takes memory
	fd            *os.File
	meta          []byte
	key           []byte // of its records; nil unless they have one
	other         bool   // the next turn is a compressed file's, if there is one

	ends     []int
	advances []advance // of the batch that is being filled
	given    struct{ lines, bytes int64 }

	closing sync.Once
	closed  chan struct{}
}

var _ stream.Stream = (*lines)(nil)

func newLines(s *Source) *lines {
	return &lines{s: s, delimiter: []byte(s.c.Delimiter), max: s.c.MaxLineBytes, closed: make(chan struct{})}
}

// Wait implements stream.Stream.
func (l *lines) Wait(ctx context.Context) error {
	for {
		if l.current != nil {
			return nil
		}
		s := l.s
		s.mu.Lock()
		ready, starving := !s.ready.empty() || !s.packed.empty() || l.unpacking != nil, s.starving
		end := !ready && s.c.Once && s.started && s.unfinished == 0
		s.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case ready:
			return nil
		case end:
			return io.EOF
		case starving:
			tell(s.kick)
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// room is what a batch may still take.
type room struct{ records, bytes int }

func (l *lines) room(b *flow.Batch, before int) room {
	r := room{l.s.o.MaxRecords - before, l.s.o.MaxBytes}
	if b.MaxRecords > 0 {
		r.records = b.MaxRecords - len(b.Records)
	}
	if b.MaxBytes > 0 {
		r.bytes = b.MaxBytes - b.Bytes()
	}
	return r
}

// Read implements stream.Stream.
func (l *lines) Read(_ context.Context, b *flow.Batch) error {
	r := l.room(b, len(b.Records))
	for r.records > 0 && r.bytes > 0 {
		f := l.pick()
		if f == nil {
			break
		}
		l.turn(f, b, &r)
	}
	l.book(b)
	return nil
}

// pick gives the file whose turn it is.
func (l *lines) pick() *file {
	if l.current != nil {
		return l.current
	}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	var f *file
	packed := l.unpacking != nil || !s.packed.empty()
	switch {
	case packed && (l.other || s.ready.empty()):
		if f = l.unpacking; f == nil {
			f = s.packed.pop()
		}
	case !s.ready.empty():
		f = s.ready.pop()
	default:
		return nil
	}
	l.other = !l.other
	if f.kind != plain {
		l.unpacking = f
	}
	f.queued, f.reading = false, true
	l.current, l.budget, l.fd, l.meta = f, s.c.TurnBytes, f.fd, f.meta
	if l.budget < 0 {
		l.budget = 1 << 62
	}
	if l.key = nil; s.o.Keys {
		l.key = binary.BigEndian.AppendUint64(nil, f.key)
	}
	return f
}

// release ends a file's turn. again: it has more to read.
func (l *lines) release(f *file, again bool) {
	s := l.s
	l.current = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	f.reading = false
	switch {
	case again && f.kind == plain:
		f.queued = true
		s.ready.push(f)
	case again:
		f.queued = true // it is l.unpacking
	case f.kind != plain:
		l.unpacking = nil
		l.packed.drop()
	}
	if f.finished || f.damaged {
		s.settleFile(f)
	}
}

// turn reads a file until the batch is full, its turn is over or it has no more.
func (l *lines) turn(f *file, b *flow.Batch, r *room) {
	w := &l.plain
	if f.kind != plain {
		w = &l.packed
	} else {
		f.finished = false
	}
	if w.file != f || w.life != f.life {
		w.start(f)
		if f.kind == plain && f.partial() > blockBytes && !f.final && !f.skipping && l.barren(f, w) {
			w.drop()
			l.release(f, false)
			return
		}
	}
	for {
		if l.cut(f, w, b, r) {
			return // the batch is full; the turn goes on with the next one
		}
		// A line that is longer than a turn is read to its end, or to the bound of lines: the next turn would begin it anew.
		if l.budget <= 0 && (f.kind != plain || f.skipping || w.base+int64(w.lo) > w.from.Offset) {
			if f.kind == plain {
				w.drop()
			}
			l.release(f, true)
			return
		}
		var n int
		var err error
		if f.kind == plain {
			n, err = w.load(l.fd)
		} else {
			n, err = l.unpack(f, w)
		}
		l.budget -= int64(n)
		if err == nil && n > 0 {
			continue
		}
		l.end(f, w, b, r, err)
		return
	}
}

// end is where a file has no more, or cannot be read: err says why.
func (l *lines) end(f *file, w *window, b *flow.Batch, r *room, err error) {
	s := l.s
	eof := err == nil || errors.Is(err, io.EOF)
	switch {
	case errors.Is(err, errChanged):
		s.mu.Lock()
		f.suspect = true
		s.mu.Unlock()
	case eof && f.kind == plain:
		f.seen = max(f.read.Offset, w.base+int64(w.hi))
		if f.final {
			l.last(f, w, b, r)
			s.mu.Lock()
			f.final = false
			s.mu.Unlock()
		}
	case eof:
		l.last(f, w, b, r)
		l.closeUnpacker(f)
	case f.kind == plain:
		s.readFailed(f, s.now(), err)
		s.mu.Lock()
		f.reopen = true
		s.mu.Unlock()
	default:
		l.unpackFailed(f, err)
	}
	w.drop()
	l.release(f, false)
}

// last gives a line without delimiter at the end of a file, which is complete then if its kind says so.
func (l *lines) last(f *file, w *window, b *flow.Batch, r *room) {
	rest := w.buf[w.lo:w.hi]
	if len(rest) > 0 {
		if !f.skipping {
			l.record(b, r, b.Copy(rest), w.base+int64(w.lo), f.kind != plain)
		}
		w.lo, f.skipping = w.hi, false
		l.advance(f, w)
	}
	if l.s.c.Mode == Read || f.kind != plain {
		f.finished, f.whole = true, f.read.Offset
		if f.kind != plain {
			f.whole = l.s.sizeOf(f, l.fd)
		}
		l.done(f)
	}
	f.seen = max(f.seen, f.read.Offset)
}

// record appends a record.
func (l *lines) record(b *flow.Batch, r *room, line []byte, offset int64, packed bool) {
	if l.trims(packed) && len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	b.Records = append(b.Records, flow.Record{Body: line, Version: offset, Key: l.key, Meta: l.meta, Port: l.s.o.Port})
	l.given.lines++
	l.given.bytes += int64(len(line))
	r.records--
	r.bytes -= len(line)
}

func (l *lines) trims(packed bool) bool {
	return l.s.c.TrimCR == Always || packed && l.s.c.TrimCR == InCompressed
}

// cut makes records of the lines that are in the window. true: the batch is full; false: there are no more whole lines.
func (l *lines) cut(f *file, w *window, b *flow.Batch, r *room) bool {
	d := l.delimiter
	for {
		if r.records <= 0 || r.bytes <= 0 {
			return true
		}
		data := w.buf[w.lo:w.hi]
		if f.skipping {
			if !l.skip(f, w, data) {
				return false
			}
			continue
		}
		if w.within(d) && bytes.HasPrefix(data, d) {
			// The line was given already, as it was cut or did not go on.
			w.lo, w.scanned = w.lo+len(d), 0
			l.advance(f, w)
			continue
		}
		ends := l.ends[:0]
		at, from := 0, w.scanned
		more, long := false, false
		for len(ends) < r.records && at < r.bytes {
			i := index(data[at+from:], d)
			if i < 0 {
				from = max(0, len(data)-at-len(d)+1)
				more, long = true, len(data)-at >= l.max+len(d)
				break
			}
			if i += from; i > l.max {
				long = true
				break
			}
			from = 0
			at += i + len(d)
			ends = append(ends, at)
		}
		l.ends = ends
		if len(ends) > 0 {
			l.give(f, w, b, r, data[:at], ends)
		}
		w.lo, w.scanned = w.lo+at, 0
		if len(ends) > 0 {
			l.advance(f, w)
		}
		switch {
		case long:
			if r.records > 0 && r.bytes > 0 {
				l.long(f, w, b, r)
			}
		case more:
			w.scanned = from
			return false
		}
	}
}

// give makes records of a piece of a file and the ends of the lines in it. The piece is copied as a whole.
func (l *lines) give(f *file, w *window, b *flow.Batch, r *room, data []byte, ends []int) {
	text := b.Copy(data)
	trim := l.trims(f.kind != plain)
	start, offset := 0, w.base+int64(w.lo)
	for _, end := range ends {
		line := text[start : end-len(l.delimiter) : end-len(l.delimiter)]
		if trim && len(line) > 0 && line[len(line)-1] == '\r' {
			line = line[:len(line)-1]
		}
		b.Records = append(b.Records, flow.Record{Body: line, Version: offset + int64(start), Key: l.key, Meta: l.meta, Port: l.s.o.Port})
		start = end
	}
	l.given.lines += int64(len(ends))
	l.given.bytes += int64(len(data) - len(ends)*len(l.delimiter))
	r.records -= len(ends)
	r.bytes -= len(data)
}

// index is bytes.Index, fast for one byte.
func index(b, d []byte) int {
	if len(d) == 1 {
		return bytes.IndexByte(b, d[0])
	}
	return bytes.Index(b, d)
}

// long deals with a line that is longer than it may be.
func (l *lines) long(f *file, w *window, b *flow.Batch, r *room) {
	within := w.within(l.delimiter)
	if !within {
		l.s.stats.longLines.Add(1)
		l.complain(f, w)
	}
	if l.s.c.LongLines == Skip && !within {
		f.skipping = true
		return
	}
	piece := w.buf[w.lo : w.lo+l.max]
	// Not within a character, if it is one.
	for back := 1; back < utf8.UTFMax; back++ {
		if c := piece[len(piece)-back]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(piece[len(piece)-back:]) {
				piece = piece[:len(piece)-back]
			}
			break
		}
	}
	l.record(b, r, b.Copy(piece), w.base+int64(w.lo), false)
	w.lo, w.scanned = w.lo+len(piece), 0
	l.advance(f, w)
}

func (l *lines) complain(f *file, w *window) {
	s := l.s
	s.mu.Lock()
	now := s.now()
	quiet := now.Sub(f.complained) < time.Minute
	if !quiet {
		f.complained = now
	}
	s.mu.Unlock()
	if !quiet {
		s.log.Warn("a line is longer than it may be", "path", string(l.meta), "offset", w.base+int64(w.lo), "max", l.max, "then", s.c.LongLines)
	}
}

// skip leaves out what there is of a line; false: it goes on behind the window.
func (l *lines) skip(f *file, w *window, data []byte) bool {
	i := index(data, l.delimiter)
	if i < 0 {
		w.lo, w.scanned = max(w.lo, w.hi-len(l.delimiter)+1), 0
		f.read = w.position() // but nothing to acknowledge: after a crash the line is left out from its beginning
		return false
	}
	w.lo, w.scanned = w.lo+i+len(l.delimiter), 0
	f.skipping = false
	l.s.stats.skipped.Add(1)
	l.advance(f, w)
	return true
}

// barren looks at what has come behind a long line that had no end; true: it still has none, and is not too long.
func (l *lines) barren(f *file, w *window) bool {
	if f.partial() > int64(l.max) {
		return false
	}
	keep := len(l.delimiter) - 1
	room := w.scratch()
	for at := f.seen - int64(keep); ; {
		n, err := l.fd.ReadAt(room, at)
		if n > 0 && index(room[:n], l.delimiter) >= 0 || err != nil && !errors.Is(err, io.EOF) {
			return false
		}
		end := at + int64(n)
		if end-f.read.Offset > int64(l.max) {
			return false
		}
		if err != nil {
			if end < f.seen {
				return false
			}
			f.seen = end
			return true
		}
		at = end - int64(keep)
	}
}

// advance notes that the batch has the file up to where the window begins.
func (l *lines) advance(f *file, w *window) {
	f.read = w.position()
	f.seen = max(f.seen, f.read.Offset)
	a := advance{file: f, life: f.life, to: f.read}
	if f.kind != plain {
		a.to.Before = Before{}
	}
	if i := len(l.advances) - 1; i >= 0 && l.advances[i].file == f && l.advances[i].life == f.life {
		l.advances[i] = a
		return
	}
	l.advances = append(l.advances, a)
}

// done notes that the batch has the file to its end.
func (l *lines) done(f *file) {
	to := f.read
	if f.kind != plain {
		to.Before = Before{}
	}
	l.advances = append(l.advances, advance{file: f, life: f.life, to: to, done: true, size: f.whole})
}

// book keeps what acknowledging the batch will mean.
func (l *lines) book(b *flow.Batch) {
	s := l.s
	s.stats.lines.Add(l.given.lines)
	s.stats.bytes.Add(l.given.bytes)
	l.given.lines, l.given.bytes = 0, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(l.advances) > 0 || len(b.Records) > 0 {
		s.seq++
		var kept []advance
		if n := len(s.spare); n > 0 {
			kept, s.spare = s.spare[n-1], s.spare[:n-1]
		}
		for i := range l.advances {
			l.advances[i].file.pending++
		}
		s.flying = append(s.flying, flight{s.seq, append(kept, l.advances...)})
		clear(l.advances)
		l.advances = l.advances[:0]
	}
	b.Next = binary.BigEndian.AppendUint64(nil, s.seq)
}

// Ack implements stream.Stream. Positions are saved some time later.
func (l *lines) Ack(_ context.Context, next flow.Position) error { return l.s.ack(next) }

// Close implements stream.Stream.
func (l *lines) Close() error {
	l.closing.Do(func() {
		if f := l.unpacking; f != nil {
			l.closeUnpacker(f)
		}
		close(l.closed)
	})
	return nil
}
