package archive

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/narudata/naru/flow"
)

// Stream gives a sink that writes records to w as lines, in the form of the lines of an archive. Each call of
// w.Write is given whole lines. An error of w is Permanent, and stays: nothing is written after it. Closing
// the sink does not close w.
func Stream(w io.Writer) flow.Sink { return &stream{w: w} }

type stream struct {
	mu  sync.Mutex // guards what follows
	w   io.Writer
	buf []byte
	env envelope
	err error
}

const (
	streamBytes = 64 << 10 // lines are written together up to this size
	streamKeep  = 1 << 20  // a larger buffer is not kept
)

// Write implements flow.Sink. A record whose body is not one line of JSON is a Permanent failure.
func (s *stream) Write(ctx context.Context, recs []flow.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var failures flow.Failures
	for i := range recs {
		if s.err != nil {
			break
		}
		r := &recs[i]
		if r.Body != nil && !isOneValue(r.Body) {
			failures = append(failures, flow.Failure{Index: i, Err: flow.Permanent(errBody)})
			continue
		}
		s.buf = append(append(s.env.appendHead(s.buf, r), r.Body...), '}', '\n')
		if len(s.buf) >= streamBytes {
			s.flush()
		}
	}
	s.flush()
	if s.err != nil {
		return s.err
	}
	if failures != nil {
		return failures
	}
	return nil
}

func (s *stream) flush() {
	if s.err == nil && len(s.buf) > 0 {
		if _, err := s.w.Write(s.buf); err != nil {
			s.err = flow.Permanent(fmt.Errorf("write records: %w", err))
		}
	}
	s.buf = s.buf[:0]
	if cap(s.buf) > streamKeep {
		s.buf = nil
	}
}

// Close implements flow.Sink.
func (s *stream) Close(ctx context.Context) error { return nil }
