package web

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// A statusError is why a body cannot be read, as the status of the answer.
type statusError int

func (s statusError) Error() string { return http.StatusText(int(s)) }

// body is the body of a request. What it takes is counted until it is free.
type body struct {
	of       *Requests
	data     []byte // reserved bytes, and the body
	reserved int
	counted  int64
}

// count takes room for n more bytes.
func (b *body) count(n int64) error {
	if b.of.bytes.Add(n) > b.of.Memory {
		b.of.bytes.Add(-n)
		return statusError(http.StatusTooManyRequests)
	}
	b.counted += n
	return nil
}

func (b *body) free() {
	b.of.bytes.Add(-b.counted)
	b.counted = 0
}

// firstRead is how much room a body has at first where its length is not known, or said to be more.
const firstRead = 64 << 10

// read reads a body, and decompresses it; it says whether it did. A client that says more than it sends gets no more room than
// for what it has sent.
func (b *body) read(w http.ResponseWriter, r *http.Request) (decoded bool, err error) {
	if r.ContentLength > b.of.MaxBody {
		w.Header().Set("Connection", "close")
		return false, statusError(http.StatusRequestEntityTooLarge)
	}
	src := io.Reader(&stalling{r.Body, http.NewResponseController(w), b.of.Stall})
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "gzip", "x-gzip":
		decoded = true
		if src, err = gzip.NewReader(src); err != nil {
			return false, statusOf(err)
		}
	case "deflate", "x-deflate":
		decoded = true
		if src, err = zlib.NewReader(src); err != nil {
			return false, statusOf(err)
		}
	}
	if b.of.Kind != nil {
		b.reserved = 1
	}
	room := int64(firstRead)
	if r.ContentLength >= 0 && !decoded {
		room = min(room, r.ContentLength+1)
	}
	if err := b.grow(room + int64(b.reserved)); err != nil {
		return false, err
	}
	b.data = b.data[:b.reserved]
	for {
		if len(b.data) == cap(b.data) {
			more := min(int64(cap(b.data)), b.of.MaxBody+1-int64(len(b.data)-b.reserved))
			if r.ContentLength >= 0 && !decoded {
				more = min(more, r.ContentLength+1-int64(len(b.data)-b.reserved))
			}
			if err := b.grow(max(1, more)); err != nil {
				return false, err
			}
		}
		n, err := src.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if int64(len(b.data)-b.reserved) > b.of.MaxBody {
			w.Header().Set("Connection", "close")
			return false, statusError(http.StatusRequestEntityTooLarge)
		}
		if errors.Is(err, io.EOF) {
			return decoded, nil
		}
		if err != nil {
			return false, statusOf(err)
		}
	}
}

// grow makes room for n more bytes.
func (b *body) grow(n int64) error {
	if err := b.count(n); err != nil {
		return err
	}
	before := cap(b.data)
	b.data = slices.Grow(b.data, int(n))
	more := int64(cap(b.data)-before) - n // as the allocator has it
	b.of.bytes.Add(more)
	b.counted += more
	return nil
}

func statusOf(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return statusError(http.StatusRequestTimeout)
	}
	return errors.Join(statusError(http.StatusBadRequest), err)
}

// stalling gives up when nothing comes for a while.
type stalling struct {
	io.Reader
	control  *http.ResponseController
	patience time.Duration
}

// Read implements io.Reader.
func (s *stalling) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(s.patience))
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		_ = s.control.SetReadDeadline(time.Time{}) // the answer may take long
	}
	return n, err
}
