package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/flow"
)

// lines reads the records of a compressed file of lines.
type lines struct {
	z          *zstd.Decoder
	buf        []byte // what is decompressed and not yet read is buf[start:]
	start      int
	eof        bool
	line       line
	scratch    []byte
	index, typ name
}

const (
	lineBuffer = 256 << 10
	// lineLimit bounds a line, for a length that no document has.
	lineLimit = 1<<31 - 1
)

func openLines(r io.Reader) (*lines, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return nil, err
	}
	return &lines{z: z, buf: make([]byte, 0, lineBuffer), line: line{sourceLast: true}}, nil
}

// next gives the next line without its line break, valid until the following call.
func (l *lines) next() ([]byte, error) {
	searched := 0
	for {
		if i := bytes.IndexByte(l.buf[l.start+searched:], '\n'); i >= 0 {
			b := l.buf[l.start : l.start+searched+i]
			l.start += searched + i + 1
			return b, nil
		}
		searched = len(l.buf) - l.start
		if l.eof {
			if searched > 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, io.EOF
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more behind what is unread, in a larger buffer if need be.
func (l *lines) fill() error {
	unread := len(l.buf) - l.start
	if unread >= lineLimit {
		return fmt.Errorf("a line of more than %d bytes", lineLimit)
	}
	switch {
	case unread == cap(l.buf):
		larger := make([]byte, unread, 2*cap(l.buf))
		copy(larger, l.buf[l.start:])
		l.buf = larger
	case unread < lineBuffer/2 && cap(l.buf) > 8<<20:
		l.buf = append(make([]byte, 0, lineBuffer), l.buf[l.start:]...) // one long line does not pin its memory
	case l.start > 0:
		copy(l.buf[:unread], l.buf[l.start:])
		l.buf = l.buf[:unread]
	}
	l.start = 0
	n, err := l.z.Read(l.buf[unread:cap(l.buf)])
	l.buf = l.buf[:unread+n]
	if errors.Is(err, io.EOF) {
		l.eof = true
		return nil
	}
	return err
}

func (l *lines) skip(ctx context.Context, n int64) error {
	for i := range n {
		if i%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if _, err := l.next(); err != nil {
			return err
		}
	}
	return nil
}

func (l *lines) read(b *flow.Batch) error {
	text, err := l.next()
	if err != nil {
		return err
	}
	if err := l.line.parse(text); err != nil {
		return err
	}
	r, err := l.record(b)
	if err != nil {
		return err
	}
	b.Records = append(b.Records, r)
	return nil
}

// record makes a record of the parsed line.
func (l *lines) record(b *flow.Batch) (r flow.Record, err error) {
	p := &l.line
	if l.scratch, err = appendField(l.scratch[:0], p.index, p.index64); err != nil {
		return r, err
	}
	r.Index = l.index.of(l.scratch)
	if p.typ != nil {
		if l.scratch, err = appendField(l.scratch[:0], p.typ, p.typ64); err != nil {
			return r, err
		}
		r.Type = l.typ.of(l.scratch)
	}
	if l.scratch, err = appendField(l.scratch[:0], p.key, p.key64); err != nil {
		return r, err
	}
	r.Key = b.Copy(l.scratch)
	if p.routing != nil {
		if l.scratch, err = appendField(l.scratch[:0], p.routing, p.routing64); err != nil {
			return r, err
		}
		r.Routing = b.Copy(l.scratch)
	}
	if p.body != nil {
		r.Body = b.Copy(p.body)
	}
	return r, nil
}

func (l *lines) close() { l.z.Close() }
