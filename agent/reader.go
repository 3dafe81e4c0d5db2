package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/narudata/naru/connect/files"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// A Step is one thing that is done with the lines of a file, before anything else: one of its fields is set.
type Step struct {
	Container *Container
	Multiline *Multiline
	JSON      *JSON // before a Multiline, whose lines are then texts in objects
}

// Reading says how lines are made of what is in files.
type Reading struct {
	Encoding Encoding
	Steps    []Step
	Patience time.Duration // how long lines that may go on are held back without another; 0: 5 s
	MaxBytes int           // of what is joined; the rest is left out; 0: 10 MiB
	MaxHeld  int           // bytes that are held back, of all files; 0: 32 MiB
}

func (r Reading) withDefaults() Reading {
	if r.Patience <= 0 {
		r.Patience = 5 * time.Second
	}
	if r.MaxBytes <= 0 {
		r.MaxBytes = 10 << 20
	}
	if r.MaxHeld <= 0 {
		r.MaxHeld = 32 << 20
	}
	return r
}

// piecePatience is how long the pieces of a container's line wait for the others, which follow at once.
const piecePatience = 10 * time.Second

// A lineSource makes lines of what a files.Source gives, whose records must have keys. A record has the text for a Body, and
// a line's meta (line.appendMeta).
type lineSource struct {
	*files.Source
	reading Reading
	now     func() time.Time
}

// Run implements stream.Source.
func (s *lineSource) Run(ctx context.Context, open func(stream.Stream)) error {
	return s.Source.Run(ctx, func(inner stream.Stream) { open(newLineStream(inner, s.reading, s.now)) })
}

// A lineStream is the lines of all files of an input. What it holds back is not acknowledged: after a crash, or a stop, it is
// read again, and joined as if nothing had happened.
type lineStream struct {
	stream.Stream
	r   Reading
	now func() time.Time

	states   map[uint64]*held // of files of which something is held back
	heldSize int
	reads    uint64 // calls of Read
	nexts    []mark // of reads that are not safe to be acknowledged
	next     []byte // what is
	ending   bool   // the inner stream has no more
	ended    bool   // and all is given
	rows     []flow.Record
	batch    *flow.Batch // that is being filled
	at       time.Time   // of the read
	port     int32
}

type mark struct {
	read uint64
	next flow.Position
}

// held is what is held back of a file.
type held struct {
	parts []part
}

// A part is what a step holds back, of one stream of a container.
type part struct {
	l       line
	lines   int // 0: nothing is held back
	last    bool
	since   uint64 // the read that the first of it came with
	touched time.Time
}

func newLineStream(inner stream.Stream, r Reading, now func() time.Time) *lineStream {
	return &lineStream{Stream: inner, r: r.withDefaults(), now: now, states: map[uint64]*held{}}
}

// Wait implements stream.Stream.
func (s *lineStream) Wait(ctx context.Context) error {
	if s.ended {
		return io.EOF
	}
	due, ok := s.due()
	if !ok {
		return s.Stream.Wait(ctx)
	}
	left := due.Sub(s.now())
	if left <= 0 {
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	err := s.Stream.Wait(limited)
	switch {
	case errors.Is(err, io.EOF):
		s.ending = true
		return nil // Read gives what is held back first
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		return nil
	}
	return err
}

// due is when something that is held back has waited long enough.
func (s *lineStream) due() (first time.Time, ok bool) {
	for _, h := range s.states {
		for i := range h.parts {
			if p := &h.parts[i]; p.lines > 0 {
				if t := p.touched.Add(s.patience(i)); !ok || t.Before(first) {
					first, ok = t, true
				}
			}
		}
	}
	return first, ok
}

// patience is that of the step that a part belongs to: each step has one for each stream.
func (s *lineStream) patience(part int) time.Duration {
	if s.r.Steps[part/len(streams)].Container != nil {
		return piecePatience
	}
	return s.r.Patience
}

// Read implements stream.Stream.
func (s *lineStream) Read(ctx context.Context, b *flow.Batch) error {
	before := len(b.Records)
	err := s.Stream.Read(ctx, b)
	end := errors.Is(err, io.EOF) || err == nil && s.ending
	if err != nil && !end {
		return err
	}
	s.reads++
	s.nexts = append(s.nexts, mark{s.reads, bytes.Clone(b.Next)})
	s.rows = append(s.rows[:0], b.Records[before:]...)
	b.Records = b.Records[:before]
	s.batch, s.at = b, s.now()
	for i := range s.rows {
		s.row(&s.rows[i])
	}
	clear(s.rows)
	s.flush(func(i int, p *part) bool { return end || s.at.Sub(p.touched) >= s.patience(i) })
	s.settle()
	b.Next = s.next
	s.batch = nil
	s.ended = end
	if end {
		return io.EOF
	}
	return nil
}

// row takes a record of the files.
func (s *lineStream) row(r *flow.Record) {
	l := line{path: r.Meta, offset: r.Version, body: r.Body}
	if len(r.Key) == 8 {
		l.file = binary.BigEndian.Uint64(r.Key)
	}
	s.port = r.Port
	l.body = bytes.TrimSuffix(s.r.Encoding.decode(l.body, l.offset == 0), []byte("\r"))
	s.step(0, &l)
}

// step gives a line to a step.
func (s *lineStream) step(i int, l *line) {
	if i == len(s.r.Steps) {
		s.give(l)
		return
	}
	switch c := &s.r.Steps[i]; {
	case c.Container != nil:
		s.container(i, c.Container, l)
	case c.Multiline != nil:
		s.multiline(i, c.Multiline, l)
	default:
		c.JSON.text(l)
		s.step(i+1, l)
	}
}

// give appends a record.
func (s *lineStream) give(l *line) {
	b := s.batch
	n := 18 + 10 + len(l.path) + len(l.fields)
	meta := l.appendMeta(b.Alloc(n)[:0])
	b.Records = append(b.Records, flow.Record{Body: l.body, Meta: meta, Version: l.offset, Port: s.port})
}

// part gives what a step holds back of a line's file and stream.
func (s *lineStream) part(step int, l *line) *part {
	h := s.states[l.file]
	if h == nil {
		h = &held{parts: make([]part, len(s.r.Steps)*len(streams))}
		s.states[l.file] = h
	}
	return &h.parts[step*len(streams)+int(l.stream)]
}

func (s *lineStream) container(i int, c *Container, l *line) {
	partial, ok := c.cut(l)
	if !ok {
		l.flags |= unread
		s.step(i+1, l)
		return
	}
	if c.Stream != 0 && l.stream != c.Stream {
		return
	}
	h := s.states[l.file]
	if !partial && (h == nil || h.parts[i*len(streams)+int(l.stream)].lines == 0) {
		s.step(i+1, l)
		return
	}
	p := s.part(i, l)
	s.join(p, l, "", 0)
	if !partial || s.heldSize > s.r.MaxHeld {
		s.release(i, p)
	}
}

func (s *lineStream) multiline(i int, m *Multiline, l *line) {
	stream := l.stream
	l.stream = 0 // those of both streams are one sequence
	p := s.part(i, l)
	l.stream = stream
	v, matched := m.judge(l.body, p.lines, p.last)
	if v == begins || v == isAlone {
		s.release(i, p)
	}
	if v == isAlone {
		s.step(i+1, l)
		return
	}
	between := "\n"
	if m.Bare {
		between = ""
	}
	s.join(p, l, between, m.MaxLines)
	p.last = matched
	if v == ends || s.heldSize > s.r.MaxHeld {
		s.release(i, p)
	}
}

// join adds a line to what is held back.
func (s *lineStream) join(p *part, l *line, between string, most int) {
	p.touched = s.at
	p.lines++
	if p.lines == 1 {
		p.l = *l
		p.l.path, p.l.fields = bytes.Clone(l.path), bytes.Clone(l.fields)
		p.since = s.reads
		p.l.body = append(make([]byte, 0, 2*len(l.body)), l.body...)
		s.heldSize += len(l.body) + len(l.path) + len(l.fields)
		return
	}
	if between != "" || most > 0 {
		p.l.flags |= joined
	}
	p.l.flags |= l.flags & truncated
	if most > 0 && p.lines > most {
		p.l.flags |= truncated
		return
	}
	room := s.r.MaxBytes - len(p.l.body) - len(between)
	if room <= 0 {
		p.l.flags |= truncated
		return
	}
	body := l.body
	if len(body) > room {
		body, p.l.flags = body[:room], p.l.flags|truncated
		body = bytes.ToValidUTF8(body, nil)
	}
	p.l.body = append(append(p.l.body, between...), body...)
	s.heldSize += len(between) + len(body)
}

// release gives what is held back to the next step.
func (s *lineStream) release(i int, p *part) {
	if p.lines == 0 {
		return
	}
	l := p.l
	s.heldSize -= len(l.body) + len(l.path) + len(l.fields)
	*p = part{}
	s.step(i+1, &l)
}

// flush releases what is to be, and forgets files of which nothing is held back.
func (s *lineStream) flush(now func(i int, p *part) bool) {
	if len(s.states) == 0 {
		return
	}
	var due []uint64
	for key, h := range s.states {
		holds := false
		for i := range h.parts {
			if p := &h.parts[i]; p.lines > 0 {
				holds = true
				if now(i, p) {
					due = append(due, key)
					break
				}
			}
		}
		if !holds {
			delete(s.states, key)
		}
	}
	slices.Sort(due) // so that the same is the same
	for _, key := range due {
		h := s.states[key]
		holds := false
		for i := range h.parts {
			p := &h.parts[i]
			if p.lines > 0 && now(i, p) {
				s.release(i/len(streams), p)
			}
			holds = holds || p.lines > 0
		}
		if !holds {
			delete(s.states, key)
		}
	}
}

// settle finds what may be acknowledged: the reads of which nothing is held back, nor of those before.
func (s *lineStream) settle() {
	oldest := s.reads + 1
	for _, h := range s.states {
		for i := range h.parts {
			if p := &h.parts[i]; p.lines > 0 {
				oldest = min(oldest, p.since)
			}
		}
	}
	n := 0
	for n < len(s.nexts) && s.nexts[n].read < oldest {
		s.next = s.nexts[n].next
		n++
	}
	s.nexts = slices.Delete(s.nexts, 0, n)
}
