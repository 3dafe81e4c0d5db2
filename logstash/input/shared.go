package input

import (
	"bytes"
	"context"
	"io"
)

// Shared is a stream that one run goes on reading where another one has stopped: standard input, when a pipeline is loaded
// anew. One run at a time may use it.
type Shared struct {
	blocks chan []byte
	left   []byte // what is read, and taken by no run
	err    error  // what the stream ended with
}

// Share makes a Shared of a stream, which is read by a goroutine that ends with the stream.
func Share(in io.Reader) *Shared {
	s := &Shared{blocks: make(chan []byte)}
	go func() {
		defer close(s.blocks)
		room := make([]byte, blockBytes)
		for s.err == nil {
			var n int
			if n, s.err = in.Read(room); n > 0 {
				s.blocks <- bytes.Clone(room[:n])
			}
		}
	}()
	return s
}

// Read implements io.Reader.
func (s *Shared) Read(room []byte) (int, error) { return s.read(context.Background(), room) }

// read reads into room, until ctx is done.
func (s *Shared) read(ctx context.Context, room []byte) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if len(s.left) == 0 {
		select {
		case block, ok := <-s.blocks:
			if !ok {
				return 0, s.err
			}
			s.left = block
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	n := copy(room, s.left)
	s.left = s.left[n:]
	return n, nil
}

// giveBack puts what was read and not used before what is read next.
func (s *Shared) giveBack(rest []byte) {
	s.left = append(bytes.Clone(rest), s.left...)
}
