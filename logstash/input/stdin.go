package input

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// Stdin reads standard input.
//
// Source: LogStash::Inputs::Stdin of logstash-input-stdin 3.4.
//
// Differences:
//   - The host is not set.
type Stdin struct {
	Options
	ECSCompatibility string `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*Stdin) Traits() Traits { return Traits{Codec: "line", Bytes: true} }

// Setup implements Plugin.
func (i *Stdin) Setup(*Setup) (Input, error) { return i, nil }

// Open implements Input.
func (i *Stdin) Open(r *Run) (stream.Source, error) {
	in := r.Stdin
	if in == nil {
		in = bytes.NewReader(nil)
	}
	delimiter := r.Delimiter
	if len(delimiter) == 0 {
		delimiter = []byte("\n")
	}
	return one{func() stream.Stream { return newLines(in, delimiter, r.Port) }}, nil
}

// one is a source of one stream.
type one struct{ stream func() stream.Stream }

// Run implements stream.Source.
func (o one) Run(_ context.Context, open func(stream.Stream)) error {
	s := newClosing(o.stream())
	open(s)
	<-s.closed
	return s.failed
}

// closing tells that a stream is closed, and what it has failed with.
type closing struct {
	stream.Stream
	failed error // read once it is closed
	closed chan struct{}
}

func newClosing(s stream.Stream) *closing { return &closing{Stream: s, closed: make(chan struct{})} }

// Wait implements stream.Stream.
func (c *closing) Wait(ctx context.Context) error {
	err := c.Stream.Wait(ctx)
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		c.failed = err
	}
	return err
}

// Close implements stream.Stream.
func (c *closing) Close() error {
	defer close(c.closed)
	return c.Stream.Close()
}

// blockBytes is how much is read of a stream of bytes at a time.
const blockBytes = 64 << 10

// lines cuts bytes into messages. A block that was read becomes a batch of all the messages that end in it; what is left
// begins the next one.
type lines struct {
	delimiter []byte
	port      int32

	shared *Shared
	own    *reading
	rest   []byte // read, and not ended by a delimiter
	room   []byte // what is read into; rest and what came
	block  []byte // what came of the last Wait, delimiters and all; nil: nothing
	err    error  // what the input ended with
}

func newLines(in io.Reader, delimiter []byte, port int32) *lines {
	l := &lines{delimiter: delimiter, port: port}
	if s, ok := in.(*Shared); ok {
		l.shared = s
	} else {
		l.own = startReading(in)
	}
	return l
}

// Wait implements stream.Stream: it reads until a message has ended.
func (l *lines) Wait(ctx context.Context) error {
	if l.block != nil {
		return nil
	}
	if l.err != nil {
		return l.end()
	}
	size := blockBytes
	for {
		size = max(size, 2*len(l.rest))
		if cap(l.room) < size {
			l.room = make([]byte, size)
		}
		room := l.room[:size]
		at := copy(room, l.rest)
		n, err := l.read(ctx, room[at:])
		if ctx.Err() != nil && n == 0 {
			if l.shared != nil {
				l.shared.giveBack(l.rest)
				l.rest = nil
				return context.Cause(ctx)
			}
			l.room = nil // perhaps it is still written to
			err = io.EOF // what was begun is a message
		}
		got := room[:at+n]
		from := max(0, at-len(l.delimiter)+1)
		last := bytes.LastIndex(got[from:], l.delimiter)
		end := 0
		switch {
		case err != nil:
			l.err, end = err, len(got)
		case last >= 0:
			end = from + last + len(l.delimiter)
		}
		if end == 0 && l.err == nil {
			l.rest = append(l.rest[:0], got...)
			continue
		}
		l.block = got[:end]
		l.rest = append(l.rest[:0], got[end:]...)
		if len(l.block) == 0 {
			l.block = nil
			return l.end()
		}
		return nil
	}
}

func (l *lines) end() error {
	if errors.Is(l.err, io.EOF) {
		return io.EOF
	}
	return l.err
}

func (l *lines) read(ctx context.Context, room []byte) (int, error) {
	if l.shared != nil {
		return l.shared.read(ctx, room)
	}
	return l.own.read(ctx, room)
}

// Read implements stream.Stream.
func (l *lines) Read(_ context.Context, b *flow.Batch) error {
	text := b.Copy(l.block)
	l.block = nil
	for len(text) > 0 {
		end := bytes.Index(text, l.delimiter)
		if end < 0 {
			b.Records = append(b.Records, flow.Record{Port: l.port, Body: text})
			break
		}
		b.Records = append(b.Records, flow.Record{Port: l.port, Body: text[:end:end]})
		text = text[end+len(l.delimiter):]
	}
	return nil
}

// Ack implements stream.Stream.
func (*lines) Ack(context.Context, flow.Position) error { return nil }

// Close implements stream.Stream.
func (l *lines) Close() error {
	if l.own != nil {
		close(l.own.ask)
	}
	return nil
}

// reading reads in a goroutine of its own, so that nobody has to wait for a terminal that says nothing. The goroutine ends
// with the read that it is in.
type reading struct {
	ask  chan []byte
	got  chan int
	fail chan error
}

func startReading(in io.Reader) *reading {
	r := &reading{ask: make(chan []byte), got: make(chan int, 1), fail: make(chan error, 1)}
	go func() {
		for room := range r.ask {
			n, err := in.Read(room)
			r.fail <- err
			r.got <- n
		}
	}()
	return r
}

// read reads into room. When ctx is done it gives up, and room may still be written to.
func (r *reading) read(ctx context.Context, room []byte) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	r.ask <- room
	select {
	case n := <-r.got:
		return n, <-r.fail
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}
