package files

import (
	"errors"
	"os"
)

// unpack reads more of what a compressed file holds.
func (l *lines) unpack(f *file, w *window) (int, error) {
	if f.unpack == nil {
		if l.s.c.Verify && f.read.Offset == 0 {
			if err := verify(l.fd, f.kind); err != nil {
				return 0, err
			}
		}
		u, err := unpack(l.fd, f.kind, f.read.Offset)
		if err != nil {
			return 0, err
		}
		l.s.mu.Lock()
		f.unpack = u
		l.s.mu.Unlock()
	}
	w.makeRoom()
	n, err := f.unpack.fill(w.buf[w.hi:])
	w.hi += n
	return n, err
}

// unpackFailed notes that a compressed file cannot be unpacked. It is tried again when it has changed: perhaps it is still
// being written.
func (l *lines) unpackFailed(f *file, err error) {
	s := l.s
	l.closeUnpacker(f)
	f.damaged = !errors.Is(err, errOther)
	s.stats.damaged.Add(1)
	if !f.damaged { // it is read from its beginning
		s.mu.Lock()
		f.life++
		f.read, f.seen, f.acked, f.done = Position{}, 0, Position{}, false
		s.soil(f)
		s.mu.Unlock()
	}
	s.log.Warn("a compressed file cannot be read to its end; it is tried again when it has changed", "path", string(l.meta), "position", f.read.Offset, "error", err)
}

func (l *lines) closeUnpacker(f *file) {
	l.s.mu.Lock()
	u := f.unpack
	f.unpack = nil
	l.s.mu.Unlock()
	if u != nil {
		u.close()
	}
}

// sizeOf gives the size of an open file, or of what was last seen of it.
func (s *Source) sizeOf(f *file, fd *os.File) int64 {
	if st, err := statFile(fd); err == nil {
		return st.size
	}
	return f.whole
}
