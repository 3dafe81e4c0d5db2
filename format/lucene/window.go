package lucene

// lookahead is how many bytes a decoder is given at first; more than nearly every chunk takes.
const lookahead = 64 << 10

// A window reads a file in order through one buffer.
type window struct {
	f    File
	off  int64 // in the file, of what comes after the buffer
	end  int64
	size int // bytes to read at a time
	buf  []byte
	r    int // buf[r:] is not yet taken
}

// peek gives at least n bytes from the current place on, or all that there are.
func (w *window) peek(n int) ([]byte, error) {
	if len(w.buf)-w.r >= n || w.off == w.end {
		return w.buf[w.r:], nil
	}
	keep := len(w.buf) - w.r
	need := max(n, w.size) - keep
	if rest := w.end - w.off; int64(need) > rest {
		need = int(rest)
	}
	if cap(w.buf) < keep+need {
		buf := make([]byte, keep, max(keep+need, int(min(int64(w.size), w.end-w.off+int64(keep)))))
		copy(buf, w.buf[w.r:])
		w.buf = buf
	} else {
		copy(w.buf[:keep], w.buf[w.r:])
	}
	w.r = 0
	w.buf = w.buf[:keep+need]
	if err := readFull(w.f, w.off, w.buf[keep:]); err != nil {
		w.buf = w.buf[:keep]
		return nil, err
	}
	w.off += int64(need)
	return w.buf, nil
}

// skip takes n bytes of what peek gave.
func (w *window) skip(n int) { w.r += n }
