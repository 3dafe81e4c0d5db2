package archive

import (
	"encoding/base64"
	"errors"

	"github.com/narudata/naru/flow"
)

// Lines are compressed in frames that stand alone: as long as a frame has not reached frameBytes, a record is
// added to it; a record that would bring it over maxFrame goes on in the next. windowBytes is what a reader of
// a frame needs in memory at most.
const (
	frameBytes  = 1 << 20
	maxFrame    = frameBytes + 256<<10
	windowBytes = 2 << 20

	maxSpare = 8 // frame buffers that a branch keeps for reuse
)

var errBody = errors.New("the body is not one line of JSON")

// An ndjsonFile writes lines in compressed frames.
type ndjsonFile struct {
	b   *Branch
	f   *file
	buf []byte // the frame so far; its capacity is bounded by maxFrame but for a long head
	env envelope
}

func (w *ndjsonFile) write(r *flow.Record) (refused, err error) {
	if r.Body != nil && !isOneValue(r.Body) {
		return errBody, nil
	}
	if err := w.begin(); err != nil {
		return nil, err
	}
	w.buf = w.env.appendHead(w.buf, r)
	if err := w.append(r.Body); err != nil {
		return nil, err
	}
	w.buf = append(w.buf, '}', '\n')
	return nil, nil
}

// writeDead writes a dead letter: as a record, with the reason behind.
func (w *ndjsonFile) writeDead(r *flow.Record, reason string) error {
	if err := w.begin(); err != nil {
		return err
	}
	whole := *r
	exact := r.Body == nil || isOneValue(r.Body)
	if !exact {
		whole.Body = nil
	}
	w.buf = w.env.appendHead(w.buf, &whole)
	if err := w.append(whole.Body); err != nil {
		return err
	}
	if !exact {
		w.buf = append(w.buf, `,"_source_base64":"`...)
		for body := r.Body; len(body) > 0; {
			const step = 3 << 16 // whole groups of three, so that the pieces join
			n := min(step, len(body))
			if err := w.append(base64.StdEncoding.AppendEncode(nil, body[:n])); err != nil {
				return err
			}
			body = body[n:]
		}
		w.buf = append(w.buf, '"')
	}
	w.buf = appendMember(w.buf, "reason", reason)
	w.buf = append(w.buf, '}', '\n')
	return nil
}

// begin makes room for a line.
func (w *ndjsonFile) begin() error {
	if len(w.buf) >= frameBytes {
		return w.endFrame()
	}
	if w.buf == nil {
		if n := len(w.b.spare); n > 0 {
			w.buf = w.b.spare[n-1][:0]
			w.b.spare = w.b.spare[:n-1]
		}
	}
	return nil
}

// append adds p to the frame, and ends frames that are full.
func (w *ndjsonFile) append(p []byte) error {
	for len(w.buf)+len(p) > maxFrame {
		n := max(0, maxFrame-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if err := w.endFrame(); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, p...)
	return nil
}

func (w *ndjsonFile) settle() error { return nil }

func (w *ndjsonFile) held() int64 { return int64(cap(w.buf)) }

// flush ends the frame and lets its buffer go.
func (w *ndjsonFile) flush() error {
	err := w.endFrame()
	if cap(w.buf) > 0 && cap(w.buf) <= 2*maxFrame && len(w.b.spare) < maxSpare {
		w.b.spare = append(w.b.spare, w.buf)
	}
	w.buf = nil
	return err
}

func (w *ndjsonFile) finish() error { return w.flush() }

func (w *ndjsonFile) endFrame() error {
	if len(w.buf) == 0 {
		return nil
	}
	w.b.packed = w.b.zstd.EncodeAll(w.buf, w.b.packed[:0])
	w.buf = w.buf[:0]
	_, err := w.f.Write(w.b.packed)
	return err
}
