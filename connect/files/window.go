package files

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// A window is the part of a file that lines are cut of: what is at buf[lo:hi] comes next. Before it are the last bytes that
// were cut, up to tailBytes, or all there were.
type window struct {
	file    *file
	life    uint32
	from    Position // where reading began
	primed  bool     // something is read
	buf     []byte
	base    int64 // offset in the file of buf[0]
	lo, hi  int
	scanned int // behind lo: there is no delimiter before that
}

// errChanged says that what stands before a position is not what stood there.
var errChanged = errors.New("the file has changed before the position")

// drop forgets what was read. A buffer that grew for a long line is let go of.
func (w *window) drop() {
	buf := w.buf
	if len(buf) > 4*blockBytes {
		buf = nil
	}
	*w = window{buf: buf}
}

// start begins at the position of a file.
func (w *window) start(f *file) {
	w.drop()
	w.file, w.life, w.from = f, f.life, f.read
	w.base = f.read.Offset
}

func (w *window) scratch() []byte {
	if len(w.buf) < blockBytes {
		w.buf = make([]byte, blockBytes)
	}
	return w.buf[:blockBytes]
}

// load reads more of a plain file. It gives how much, and at the end of the file 0 and nil.
func (w *window) load(fd *os.File) (int, error) {
	if !w.primed {
		w.scratch()
		keep := w.from.Before.Bytes
		w.base = w.from.Offset - int64(keep)
		n, err := fd.ReadAt(w.buf, w.base)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if n < keep || keep > 0 && before(w.buf[:keep]) != w.from.Before {
			return 0, errChanged
		}
		w.primed, w.lo, w.hi = true, keep, n
		return n - keep, nil
	}
	w.makeRoom()
	// The last bytes are read once more: the file may have been truncated and have grown since.
	var last [tailBytes]byte
	keep := copy(last[:], w.buf[max(0, w.hi-tailBytes):w.hi])
	from := w.hi - keep
	n, err := fd.ReadAt(w.buf[from:], w.base+int64(from))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n < keep || !bytes.Equal(w.buf[from:w.hi], last[:keep]) {
		return 0, errChanged
	}
	w.hi = from + n
	return n - keep, nil
}

// makeRoom moves what is left to the beginning of the buffer, and makes it larger if it is full.
func (w *window) makeRoom() {
	if w.buf == nil {
		w.scratch()
	}
	if from := w.lo - min(w.lo, tailBytes); from > 0 {
		copy(w.buf, w.buf[from:w.hi])
		w.base, w.lo, w.hi = w.base+int64(from), w.lo-from, w.hi-from
	}
	if w.hi > len(w.buf)/2 {
		bigger := make([]byte, 2*len(w.buf))
		copy(bigger, w.buf[:w.hi])
		w.buf = bigger
	}
}

// position gives where the window begins.
func (w *window) position() Position {
	return Position{Offset: w.base + int64(w.lo), Before: before(w.buf[:w.lo])}
}

// within reports that what comes next is the rest of a line.
func (w *window) within(delimiter []byte) bool {
	return w.lo >= len(delimiter) && w.base+int64(w.lo) > 0 && !bytes.HasSuffix(w.buf[:w.lo], delimiter)
}
