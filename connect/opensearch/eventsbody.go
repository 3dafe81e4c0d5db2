package opensearch

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/narudata/naru/flow"
)

// A wholeBody is a request's body that is written to the connection as it lies in memory, where that can be: net/http copies
// it in pieces of 32 KiB otherwise.
type wholeBody struct {
	b    []byte
	at   int
	sent *atomic.Bool // set once all of b was read, and none of it will be again
}

// Read implements io.Reader.
func (w *wholeBody) Read(p []byte) (int, error) {
	if w.at >= len(w.b) {
		return 0, io.EOF
	}
	n := copy(p, w.b[w.at:])
	w.advance(n)
	return n, nil
}

func (w *wholeBody) advance(n int) {
	if w.at += n; w.at >= len(w.b) {
		w.sent.Store(true)
	}
}

// Close implements io.Closer.
func (*wholeBody) Close() error { return nil }

// lent are records whose bodies are a request's body, as they lie in memory. net/http may read a request's body after it has
// given the answer, or given up; the records are somebody else's by then. So they are taken back, and not before nobody reads them.
type lent struct {
	mu   sync.RWMutex // held for reading by who reads recs
	recs []flow.Record
	back bool
}

// errTakenBack ends a request that is still being sent when its records are taken back. The server gets less than it was promised.
var errTakenBack = errors.New("the request was given up before all of it was sent")

// takeBack waits until nobody reads the records. Requests that go on must have been cancelled.
func (l *lent) takeBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recs, l.back = nil, true
}

// A lentBody reads them, once.
type lentBody struct {
	of   *lent
	next int    // record
	rest []byte // of the one before it
}

// Read implements io.Reader.
func (b *lentBody) Read(p []byte) (n int, err error) {
	b.of.mu.RLock()
	defer b.of.mu.RUnlock()
	if b.of.back {
		return 0, errTakenBack
	}
	for n < len(p) {
		if len(b.rest) == 0 {
			if b.next == len(b.of.recs) {
				break
			}
			b.rest = b.of.recs[b.next].Body
			b.next++
		}
		m := copy(p[n:], b.rest)
		n, b.rest = n+m, b.rest[m:]
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// writeTo writes what is left of them.
func (b *lentBody) writeTo(c net.Conn) (int64, error) {
	b.of.mu.RLock()
	defer b.of.mu.RUnlock()
	if b.of.back {
		return 0, errTakenBack
	}
	buffers := append(make(net.Buffers, 0, 1+len(b.of.recs)-b.next), b.rest)
	for _, r := range b.of.recs[b.next:] {
		buffers = append(buffers, r.Body)
	}
	b.rest, b.next = nil, len(b.of.recs)
	return buffers.WriteTo(c)
}

// Close implements io.Closer.
func (*lentBody) Close() error { return nil }

// A wholeConn writes a wholeBody and a lentBody at once. net/http hands them over behind a limit, which is their size.
type wholeConn struct{ net.Conn }

// ReadFrom implements io.ReaderFrom.
func (c wholeConn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if body, ok := limited.R.(*wholeBody); ok {
			rest := body.b[body.at:]
			if int64(len(rest)) > limited.N {
				rest = rest[:limited.N]
			}
			n, err := c.Write(rest)
			limited.N -= int64(n)
			body.advance(n)
			return int64(n), err
		}
		if body, ok := limited.R.(*lentBody); ok {
			n, err := body.writeTo(c.Conn)
			limited.N -= n
			return n, err
		}
	}
	return io.Copy(onlyWriter{c.Conn}, r)
}

// onlyWriter hides what else a connection can do.
type onlyWriter struct{ io.Writer }
