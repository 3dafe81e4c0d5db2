package queue

import (
	"bytes"
	"fmt"
	"io"
)

// windowBytes is how much is read from the disk at a time, if no frame is larger.
const windowBytes = 64 << 10

// A scanner reads frames of one segment.
type scanner struct {
	name segmentName
	from io.ReaderAt
	size int64 // bytes beyond it are not looked at

	at  int64 // of buf in the file
	buf []byte
}

// over begins anew with another segment, or with one that was changed.
func (s *scanner) over(name segmentName, from io.ReaderAt) {
	s.name, s.from, s.size = name, from, 0
	s.forget()
}

func (s *scanner) forget() {
	s.at, s.buf = 0, s.buf[:0]
	if cap(s.buf) > 2*frameBytes {
		s.buf = nil
	}
}

// bytes gives n bytes at off, valid until the next call; fewer if the segment ends before.
func (s *scanner) bytes(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), max(s.size-off, 0)))
	if off >= s.at && off+int64(n) <= s.at+int64(len(s.buf)) {
		return s.buf[off-s.at:][:n], nil
	}
	want := int(min(int64(max(n, windowBytes)), s.size-off))
	if cap(s.buf) < want || cap(s.buf) > 2*frameBytes && want <= frameBytes {
		s.buf = make([]byte, 0, want)
	}
	s.buf = s.buf[:0]
	got, err := s.from.ReadAt(s.buf[:want], off)
	if got < want {
		if err == io.EOF { //nolint:errorlint // of ReaderAt
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %s at %d: %w", s.name, off, err)
	}
	s.at, s.buf = off, s.buf[:want]
	return s.buf[:n], nil
}

// A state is what stands at a place of a segment.
type state int

const (
	whole  state = iota
	broken       // the header of a frame that is there in its length, with another payload
	torn         // the beginning of a frame
	noise        // no frame
)

// header reads the header of a frame. It is not broken: only the payload can tell.
func (s *scanner) header(off int64) (frame, state, error) {
	b, err := s.bytes(off, frameHeader)
	if err != nil {
		return frame{}, noise, err
	}
	if len(b) < frameHeader {
		if len(b) < len(frameMagic) && bytes.HasPrefix([]byte(frameMagic), b) || bytes.HasPrefix(b, []byte(frameMagic)) {
			return frame{}, torn, nil
		}
		return frame{}, noise, nil
	}
	f, ok := parseFrameHeader(b, s.name.salt)
	switch {
	case !ok:
		return frame{}, noise, nil
	case f.size() > s.size-off:
		return f, torn, nil
	}
	return f, whole, nil
}

// payload reads the stored payload of the frame that header gave, valid until the next call of a method.
func (s *scanner) payload(off int64, f *frame) ([]byte, state, error) {
	b, err := s.bytes(off+frameHeader, int(f.stored))
	if err != nil {
		return nil, noise, err
	}
	if checksum(b) != f.sum {
		return nil, broken, nil
	}
	return b, whole, nil
}

// frame reads a frame.
func (s *scanner) frame(off int64) (frame, state, error) {
	f, st, err := s.header(off)
	if err == nil && st == whole {
		_, st, err = s.payload(off, &f)
	}
	return f, st, err
}

// next finds the first whole frame behind off, where there is none. found is false if there is none up to the end.
func (s *scanner) next(off int64) (at int64, f frame, found bool, err error) {
	f, st, err := s.header(off)
	switch {
	case err != nil:
		return 0, frame{}, false, err
	case st == torn && f.size() > frameHeader:
		return s.size, frame{}, false, nil // the checksum of its header vouches for its length
	case st == whole:
		off += f.size()
	default:
		off++
	}
	for off < s.size {
		b, err := s.bytes(off, windowBytes)
		if err != nil {
			return 0, frame{}, false, err
		}
		i := bytes.Index(b, []byte(frameMagic))
		if i < 0 {
			// It may begin with the last bytes.
			if off += int64(len(b)) - int64(len(frameMagic)) + 1; s.size-off < int64(len(frameMagic)) {
				break
			}
			continue
		}
		off += int64(i)
		f, st, err := s.frame(off)
		switch {
		case err != nil:
			return 0, frame{}, false, err
		case st == whole:
			return off, f, true, nil
		case st == broken:
			off += f.size()
		default:
			off++
		}
	}
	return s.size, frame{}, false, nil
}

// zeros reports that a segment has nothing but zeros from off on.
func (s *scanner) zeros(off int64) (bool, error) {
	for off < s.size {
		b, err := s.bytes(off, windowBytes)
		if err != nil {
			return false, err
		}
		if len(bytes.TrimLeft(b, "\x00")) > 0 {
			return false, nil
		}
		off += int64(len(b))
	}
	return true, nil
}
