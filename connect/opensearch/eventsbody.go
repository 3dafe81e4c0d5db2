package opensearch

import (
	"io"
	"net"
	"sync/atomic"
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

// A wholeConn writes a wholeBody at once. net/http hands it over behind a limit.
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
	}
	return io.Copy(onlyWriter{c.Conn}, r)
}

// onlyWriter hides what else a connection can do.
type onlyWriter struct{ io.Writer }
