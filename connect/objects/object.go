package objects

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/sized"
)

// object is a stream: the lines of an object. Lines that begin with "#Version: " or "#Fields: ", as the logs of CloudFront have
// them, are no records: they say something of those that follow.
type object struct {
	of    *Objects
	o     blob.Object
	over  func(complete bool)
	ends  bool // lines have their ends
	meta  []byte
	about Origin

	from  io.ReadCloser // nil: it is not open
	lines *bufio.Reader
	n     uint64
	end   atomic.Uint64 // the position that is its end; 0: not known yet
	err   error
	bad   bool // it was read as far as possible
	safe  bool // all of it
}

// Origin is what a record's Meta says of where it came from. The strings are parts of the Meta.
type Origin struct {
	Name            string // of the object
	Size            int64
	Modified        time.Time
	ETag, Class     string
	Version, Fields string // what lines before said; empty: none did
}

// appendMeta appends the Meta of a record: texts, each an uvarint length and bytes, in the order of Origin, numbers in decimal, the time
// in nanoseconds since 1970.
func (o *Origin) appendMeta(dst []byte) []byte {
	for _, s := range []string{o.Name, strconv.FormatInt(o.Size, 10), strconv.FormatInt(o.Modified.UnixNano(), 10), o.ETag, o.Class, o.Version, o.Fields} {
		dst = sized.Append(dst, s)
	}
	return dst
}

var errMeta = errors.New("this says of no object")

// ParseOrigin reads the Meta of a record.
func ParseOrigin(meta []byte) (Origin, error) {
	var texts [7]string
	r := sized.Reader{Left: meta}
	for i := range texts {
		texts[i] = r.Text()
	}
	size, err := strconv.ParseInt(texts[1], 10, 64)
	nanos, nerr := strconv.ParseInt(texts[2], 10, 64)
	if err != nil || nerr != nil || !r.Done() {
		return Origin{}, errMeta
	}
	return Origin{texts[0], size, time.Unix(0, nanos).UTC(), texts[3], texts[4], texts[5], texts[6]}, nil
}

func newObject(s *Objects, o blob.Object, over func(bool)) *object {
	return &object{of: s, o: o, over: over, about: Origin{Name: o.Name, Size: o.Size, Modified: o.Modified, ETag: o.ETag, Class: o.Class}}
}

// Wait implements stream.Stream: it opens the object.
func (x *object) Wait(ctx context.Context) error {
	switch {
	case x.err != nil:
		return x.ending()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case x.from != nil:
		return nil
	}
	from, err := x.of.Store.Open(ctx, x.o.Name, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		x.err = io.EOF // somebody was faster
		return io.EOF
	}
	if err != nil {
		x.err = fmt.Errorf("read %s: %w", x.o.Name, err)
		return x.ending()
	}
	x.from, x.lines, x.ends = from, bufio.NewReaderSize(from, 256<<10), x.of.KeepEnds
	if x.of.Gzip != nil && x.of.Gzip(x.o.Name) {
		z, err := gzip.NewReader(x.lines)
		if err != nil {
			x.failed(err)
			return x.ending()
		}
		x.lines, x.ends = bufio.NewReaderSize(z, 256<<10), false
	}
	return nil
}

// failed notes why it cannot be read on. What is damaged will be when it is read again, too: it is done.
func (x *object) failed(err error) {
	corrupt := flate.CorruptInputError(0)
	if errors.As(err, &corrupt) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, blob.ErrChanged) {
		x.bad = true
		x.of.Log.Error("an object is damaged: it was read as far as possible, and stays where it is", "object", x.o.Name, "error", err)
		x.end.Store(x.n)
		x.err = io.EOF
		return
	}
	x.err = fmt.Errorf("read %s: %w", x.o.Name, err)
}

func (x *object) ending() error {
	if errors.Is(x.err, io.EOF) {
		return io.EOF
	}
	return x.err
}

// Read implements stream.Stream.
func (x *object) Read(ctx context.Context, b *flow.Batch) error {
	if x.err != nil {
		return x.ending()
	}
	for !b.Full() && ctx.Err() == nil {
		line, err := x.line(b)
		if len(line) > 0 || err == nil {
			x.put(b, line)
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			x.end.Store(x.n)
			x.err = io.EOF
			break
		}
		if err != nil {
			if x.failed(err); x.bad {
				break
			}
			return x.err
		}
	}
	b.Next = strconv.AppendUint(nil, x.n, 10)
	return nil // the end comes by itself, so that the last batch is acknowledged
}

// line reads a line into the batch, with its end.
func (x *object) line(b *flow.Batch) ([]byte, error) {
	part, err := x.lines.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return b.Copy(part), err
	}
	line := bytes.Clone(part)
	for errors.Is(err, bufio.ErrBufferFull) && len(line) < x.of.MaxLine {
		part, err = x.lines.ReadSlice('\n')
		line = append(line, part...)
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil // a piece of it
	}
	return b.Copy(line), err
}

// put makes a record of a line.
func (x *object) put(b *flow.Batch, line []byte) {
	x.n++
	text := bytes.TrimSuffix(line, []byte("\n"))
	for mark, into := range map[string]*string{"#Version: ": &x.about.Version, "#Fields: ": &x.about.Fields} {
		if said, ok := bytes.CutPrefix(text, []byte(mark)); ok {
			*into, x.meta = string(bytes.TrimSpace(said)), nil
			return
		}
	}
	if x.meta == nil {
		x.meta = x.about.appendMeta(nil)
	}
	if x.ends {
		text = line
	}
	b.Records = append(b.Records, flow.Record{Port: x.of.Port, Body: text, Meta: x.meta})
}

// Ack implements stream.Stream.
func (x *object) Ack(_ context.Context, next flow.Position) error {
	n, err := strconv.ParseUint(string(next), 10, 64)
	if err != nil {
		return fmt.Errorf("position %q: %w", next, err)
	}
	end := x.end.Load()
	x.safe = n == end && end > 0 // the end is known before the batch that has it is read on
	return nil
}

// Close implements stream.Stream.
func (x *object) Close() error {
	var err error
	if x.from != nil {
		err = x.from.Close()
	}
	if x.bad && (x.safe || x.n == 0) {
		if derr := x.of.ledger.done(&x.o, true, false); derr != nil {
			x.of.Log.Error("it cannot be noted that an object is done: it will be read again", "object", x.o.Name, "error", derr)
		}
	}
	go x.over(x.safe && !x.bad) // what becomes of it takes its time
	return err
}
