package lumberjack

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// An Inflater gives the frames of compressed frames, one compressed frame after the other. It has room for a few frames,
// however many there are. The zero Inflater is ready; it is not safe for concurrent use.
type Inflater struct {
	limits *Limits
	src    bytes.Reader
	z      io.ReadCloser
	buf    []byte // what is inflated; buf[at:] is not given yet
	at     int
	total  int64
	end    bool // nothing more can be inflated
}

// inflateBytes is how much is inflated at a time.
const inflateBytes = 32 << 10

// keepInflated is how large a buffer an Inflater keeps.
const keepInflated = 256 << 10

// Open begins to read the body of a compressed frame, which must not change until Next has given io.EOF or an error.
func (i *Inflater) Open(body []byte, l *Limits) error {
	i.limits, i.at, i.total, i.end = l, 0, 0, false
	i.src.Reset(body)
	if cap(i.buf) == 0 || cap(i.buf) > keepInflated {
		i.buf = make([]byte, 0, inflateBytes)
	}
	i.buf = i.buf[:0]
	if r, ok := i.z.(zlib.Resetter); ok {
		if err := r.Reset(&i.src, nil); err != nil {
			return fmt.Errorf("%w: a compressed frame: %w", ErrFrame, err)
		}
		return nil
	}
	z, err := zlib.NewReader(&i.src)
	if err != nil {
		return fmt.Errorf("%w: a compressed frame: %w", ErrFrame, err)
	}
	i.z = z
	return nil
}

// Close forgets what Open was given, and keeps its own room.
func (i *Inflater) Close() {
	i.src.Reset(nil)
	i.end, i.buf, i.at = true, i.buf[:0], 0
}

// Next gives the next frame, valid until the next call; io.EOF after the last one. Compressed frames do not stand inside of
// one another.
func (i *Inflater) Next() (Frame, error) {
	for {
		f, size, ok, err := i.limits.Cut(i.buf[i.at:])
		switch {
		case len(i.buf) == i.at: // whatever Cut says of nothing
			if i.end {
				return f, io.EOF
			}
			size = inflateBytes
		case err != nil:
			return f, err
		case len(i.buf)-i.at >= headBytes && f.Kind == Compressed:
			return f, fmt.Errorf("%w: a compressed frame inside of another one", ErrFrame)
		case ok:
			i.at += size
			return f, nil
		case i.end:
			return f, fmt.Errorf("%w: a compressed frame ends inside of a %s frame", ErrFrame, f.Kind)
		}
		if err := i.inflate(size); err != nil {
			return f, err
		}
	}
}

// inflate makes room for a frame of so many bytes, and reads into it. A length that is not kept takes no more room than twice
// of what is there.
func (i *Inflater) inflate(size int) error {
	left := len(i.buf) - i.at
	if room := max(inflateBytes, min(size, 2*left)); i.at > 0 || room > cap(i.buf) {
		to := i.buf[:0]
		if room > cap(i.buf) {
			to = make([]byte, 0, room)
		}
		i.buf, i.at = append(to, i.buf[i.at:]...), 0
	}
	for len(i.buf) < cap(i.buf) {
		n, err := i.z.Read(i.buf[len(i.buf):cap(i.buf)])
		i.buf = i.buf[:len(i.buf)+n]
		i.total += int64(n)
		if most := cmp.Or(i.limits.Inflated, DefaultInflated); i.total > most {
			return fmt.Errorf("%w: a compressed frame has more than %d bytes", ErrLimit, most)
		}
		switch {
		case errors.Is(err, io.EOF):
			i.end = true
			if n := i.src.Len(); n > 0 {
				return fmt.Errorf("%w: %d bytes follow the end of what is compressed", ErrFrame, n)
			}
			return nil
		case err != nil:
			return fmt.Errorf("%w: a compressed frame: %w", ErrFrame, err)
		}
	}
	return nil
}
