package files

import (
	"errors"
	"os"
	"time"
)

// recognize gives the known file that the open one is, or nil: it is none of them. A known file that cannot exist any more,
// as another one has its inode, is forgotten.
func (s *Source) recognize(path string, fd *os.File, st state) (*file, error) {
	switch s.c.Identity {
	case ByPath:
		if g := s.last[path]; g != nil {
			return g, nil
		}
		return s.byImport(fd, st)
	case ByContent:
		h, err := readHead(fd, 0, s.c.FingerprintBytes, s.room)
		if err != nil {
			return nil, err
		}
		if g := s.byHead[h]; g != nil {
			if g.at {
				return nil, errTwice
			}
			return g, nil
		}
		// Others are known by their ID or path, as they were taken over from another program.
		for _, g := range []*file{s.byID[st.id], s.last[path]} {
			if g != nil && !g.at && g.head.Bytes == 0 && (g.id == st.id || g.id == (ID{})) {
				if ok, err := s.isStill(g, path, fd, st); err != nil || ok {
					return g, err
				}
			}
		}
		return s.byImport(fd, st)
	}
	if g := s.byID[st.id]; g != nil {
		ok, err := s.isStill(g, path, fd, st)
		if err != nil || ok {
			return g, err
		}
		s.drop(g)
	}
	g := s.last[path]
	if g == nil || g.at {
		return s.byImport(fd, st)
	}
	switch {
	case g.id == (ID{}) && g.head.Bytes == 0: // known by its path alone
		if ok, err := s.isStill(g, path, fd, st); err != nil || ok {
			return g, err
		}
	case g.id.Inode == st.id.Inode:
		// The same inode of another device: devices get new numbers when a machine starts.
		if ok, err := s.isStill(g, path, fd, st); err != nil || ok {
			return g, err
		}
	default:
		// Another inode: a network's file system may change it, and what replaces files by copies of themselves. Only much
		// content of its own tells that from a new file that begins like the old one.
		if ok, err := s.isCopy(g, fd, st); err != nil || ok {
			return g, err
		}
	}
	return s.byImport(fd, st)
}

// errTwice says that a file has the content of another one that is there, too.
var errTwice = errors.New("the file begins with the same bytes as another one, and files are known by them: it is not read")

// byImport finds what is known by content alone.
func (s *Source) byImport(fd *os.File, st state) (*file, error) {
	for shape := range s.shapes {
		if shape.From+shape.Bytes > st.size {
			continue
		}
		h, err := readHead(fd, shape.From, shape.Bytes, s.room)
		if err != nil {
			return nil, err
		}
		if g := s.byHead[h]; g != nil && !g.at && (g.kind != plain || st.size >= g.read.Offset) {
			if g.id == (ID{}) && s.c.Identity != ByContent {
				s.unhead(h) // from now on it has an ID
			}
			return g, nil
		}
	}
	return nil, nil
}

// isStill reports that a file with a known one's inode is it. A file that was truncated is, and is found out when it is read.
func (s *Source) isStill(g *file, path string, fd *os.File, st state) (bool, error) {
	head, err := hasHead(fd, g.head, s.room)
	if err != nil {
		return false, err
	}
	if head == different {
		return false, nil
	}
	if g.kind != plain {
		return head == same || path == g.path || g.path == "" || rotatedName(path, g.path), nil
	}
	if st.size < g.read.Offset {
		return false, nil
	}
	tail, err := hasBefore(fd, g.read)
	if err != nil {
		return false, err
	}
	if tail == different {
		return false, nil
	}
	if head == same || tail == same || g.read.Offset == 0 {
		return true, nil
	}
	return path == g.path || g.path == "" || rotatedName(path, g.path), nil
}

// isCopy reports that a file with another inode has what a known one had, beyond doubt.
func (s *Source) isCopy(g *file, fd *os.File, st state) (bool, error) {
	if g.kind != plain || g.head.Bytes < s.c.FingerprintBytes || g.read.Offset < g.head.Bytes+tailBytes || st.size < g.read.Offset {
		return false, nil
	}
	if g.fd != nil {
		if old, err := statFile(g.fd); err == nil && old.links > 0 {
			return false, nil // the old one still is somewhere
		}
	}
	s.mu.Lock()
	busy := g.busy()
	s.mu.Unlock()
	if busy {
		return false, nil
	}
	head, err := hasHead(fd, g.head, s.room)
	if err != nil || head != same {
		return false, err
	}
	tail, err := hasBefore(fd, g.read)
	return tail == same, err
}

// newFile makes a file of one that is not known. nil without error: it waits, as it is too short to be known by its content.
// strange: neither its path nor its inode was ever seen.
func (s *Source) newFile(path string, fd *os.File, st state, strange bool, now time.Time) (*file, error) {
	h, err := readHead(fd, 0, s.c.FingerprintBytes, s.room)
	if err != nil {
		return nil, err
	}
	if s.c.Identity == ByContent && h.Bytes < s.c.FingerprintBytes {
		return nil, nil
	}
	f := &file{path: path, id: st.id, head: h, name: path, meta: []byte(path), kind: compressionOf(s.c.Compressed, path, fd), touched: now}
	old := s.c.IgnoreOlder > 0 && now.UnixNano()-st.mtime > int64(s.c.IgnoreOlder)
	// What came while nobody looked, as a log that was rotated, is new.
	atEnd := strange && s.c.StartAt == End && s.c.Mode == Tail && !s.born && (s.since == 0 || st.mtime < s.since)
	switch {
	case f.kind != plain:
		f.finished = old || atEnd
		f.whole, f.size = st.size, st.size
		f.done = f.finished
		f.noted = f.finished // nothing of it was read
	case old || atEnd:
		if f.read, err = positionAt(fd, st.size); err != nil {
			return nil, err
		}
		f.finished, f.whole = s.c.Mode == Read, st.size
	}
	f.seen, f.acked, f.lastSeen = f.read.Offset, f.read, now
	s.mu.Lock()
	f.key = s.nextKey
	s.nextKey++
	s.fresh = true
	s.soil(f)
	s.mu.Unlock()
	s.enter(f)
	return f, nil
}

// refreshHead makes sure that a file that has grown begins as it did (a truncated one is read anew), and takes more of its
// beginning into what it is known by. false: it cannot be read.
func (s *Source) refreshHead(f *file, now time.Time) bool {
	v, err := hasHead(f.fd, f.head, s.room)
	if err != nil {
		s.readFailed(f, now, err)
		return false
	}
	if v == different {
		s.truncated(f, f.state)
	}
	if f.head.From != 0 || f.head.Bytes >= s.c.FingerprintBytes || f.state.size <= f.head.Bytes {
		return true
	}
	h, err := readHead(f.fd, 0, s.c.FingerprintBytes, s.room)
	if err != nil {
		s.readFailed(f, now, err)
		return false
	}
	s.mu.Lock()
	f.head = h
	s.soil(f)
	s.mu.Unlock()
	if s.c.Identity == ByContent && h.Bytes == s.c.FingerprintBytes && s.byHead[h] == nil {
		s.byHead[h] = f
		s.shapes[Head{Bytes: h.Bytes}]++
	}
	return true
}
