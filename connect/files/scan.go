package files

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// restore makes files of what the registry knows. They are gone until they are found.
func (s *Source) restore(entries []Entry, fresh bool) {
	now := s.now()
	for _, e := range entries {
		s.nextKey = max(s.nextKey, e.Key+1)
		f := &file{
			path: e.Path, name: e.Path, meta: []byte(e.Path), id: e.ID, gone: e.Seen, key: e.Key, head: e.Head, read: e.Position, seen: e.Offset,
			finished: e.Done, whole: e.Size, acked: e.Position, done: e.Done, noted: e.Noted, size: e.Size, imported: e.Imported, lastSeen: e.Seen, changed: now, touched: now,
		}
		if e.Archive {
			f.kind = gzipped // or another one: it is looked at again when it is found
		}
		if !fresh {
			s.since = max(s.since, e.Seen.Add(-s.c.SaveInterval-time.Minute).UnixNano())
		}
		s.enter(f)
	}
}

// enter makes a file known.
func (s *Source) enter(f *file) {
	s.files[f] = struct{}{}
	if f.path != "" {
		if old := s.last[f.path]; old == nil || !old.at {
			s.last[f.path] = f
		}
	}
	if f.id != (ID{}) && s.c.Identity != ByPath {
		s.byID[f.id] = f
	}
	if h := f.head; h.Bytes > 0 && (s.c.Identity == ByContent && h.Bytes == s.c.FingerprintBytes || f.id == (ID{})) {
		s.byHead[h] = f
		s.shapes[Head{From: h.From, Bytes: h.Bytes}]++
	}
}

// drop makes a file unknown, here and in the registry.
func (s *Source) drop(f *file) {
	if _, ok := s.files[f]; !ok {
		return
	}
	s.closeFile(f)
	delete(s.files, f)
	delete(s.away, f)
	if s.at[f.path] == f {
		delete(s.at, f.path)
		s.stats.files.Add(-1)
	}
	if s.last[f.path] == f {
		delete(s.last, f.path)
	}
	if s.byID[f.id] == f {
		delete(s.byID, f.id)
	}
	if s.byHead[f.head] == f {
		s.unhead(f.head)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.lost = true
	s.forget = append(s.forget, f.key)
	s.settleFile(f)
}

func (s *Source) unhead(h Head) {
	delete(s.byHead, h)
	shape := Head{From: h.From, Bytes: h.Bytes}
	if s.shapes[shape]--; s.shapes[shape] == 0 {
		delete(s.shapes, shape)
	}
}

// settleFile notes that nothing more is to come of a file, for sources that end. mu is held.
func (s *Source) settleFile(f *file) {
	if f.counted {
		f.counted = false
		s.unfinished--
		tell(s.wake)
	}
}

// discover looks for files that are not known at their paths.
func (s *Source) discover(now time.Time) {
	s.discovered = now
	type candidate struct {
		path  string
		state state
	}
	var all []candidate
	s.find.find(func(path string) {
		if _, ok := s.at[path]; ok {
			return
		}
		if st, plain, err := statPath(path); err == nil && plain {
			all = append(all, candidate{path, st})
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.trouble(now, err)
		}
	}, func(err error) { s.trouble(now, err) })
	slices.SortFunc(all, func(a, b candidate) int {
		order := 0
		if s.c.SortBy == ByTime {
			order = cmp.Compare(a.state.mtime, b.state.mtime)
		}
		if order == 0 {
			order = strings.Compare(a.path, b.path)
		}
		if s.c.Descending {
			return -order
		}
		return order
	})
	for _, c := range all {
		s.meet(c.path, c.state, now)
	}
}

// trouble logs what keeps files from being found, not too often.
func (s *Source) trouble(now time.Time, err error) {
	s.stats.failures.Add(1)
	if now.Sub(s.troubled) > time.Minute {
		s.troubled = now
		s.log.Warn("files cannot be looked at", "error", err)
	}
}

// meet takes up a path that leads to a file which is not known to be there.
func (s *Source) meet(path string, st state, now time.Time) {
	if old := s.at[path]; old != nil {
		if old.id == st.id {
			return
		}
		s.leave(old, now)
	}
	if g := s.byID[st.id]; g != nil && g.at && g.path != path {
		if other, _, err := statPath(g.path); err == nil && other.id == st.id {
			return // a second name of the same file
		}
		s.leave(g, now)
	}
	if g := s.byID[st.id]; g != nil && g.fd != nil && s.c.Identity != ByContent {
		s.attach(g, path, st, now) // it is open, so nothing else can have its inode
		s.observe(g, st, now)
		return
	}
	fd, err := os.Open(path) // for a moment, also beyond MaxOpen
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.trouble(now, err)
		}
		return // it comes again with the next look
	}
	s.stats.open.Add(1)
	if opened, err := statFile(fd); err != nil || opened.id != st.id {
		s.trouble(now, errors.Join(err, s.closeHandle(fd)))
		s.vacant[path] = now
		return
	}
	strange := s.last[path] == nil && s.byID[st.id] == nil
	f, err := s.recognize(path, fd, st)
	if err == nil && f == nil {
		f, err = s.newFile(path, fd, st, strange, now)
	}
	if err != nil || f == nil {
		if err = errors.Join(err, s.closeHandle(fd)); err != nil {
			s.trouble(now, err)
		}
		return
	}
	s.attach(f, path, st, now)
	if kind := compressionOf(s.c.Compressed, path, fd); kind != f.kind {
		s.mu.Lock()
		if (kind == plain) != (f.kind == plain) && !f.busy() {
			f.read, f.seen, f.acked, f.finished, f.done = Position{}, 0, Position{}, false, false // positions of another kind
			s.soil(f)
		}
		if !f.busy() {
			f.kind = kind
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	switch {
	case f.busy():
	case f.kind != plain && f.finished && f.whole != st.size:
		f.finished = false // more was packed into it
	case f.kind == plain && f.imported && s.c.Mode == Read && st.size > 0 && st.size == f.read.Offset:
		f.finished, f.whole, f.done, f.noted, f.size = true, st.size, true, true, st.size // the other program was through with it
	}
	old := f.fd
	f.fd = fd
	if !s.started && s.c.Once && !f.finished {
		f.counted = true
		s.unfinished++
	}
	s.mu.Unlock()
	if old != nil {
		if err := s.closeHandle(old); err != nil {
			s.trouble(now, err)
		}
	}
	if s.stats.open.Load() > int64(s.c.MaxOpen) && !s.makeRoom() {
		s.closeFile(f)
	}
	s.observe(f, st, now)
	if !s.born && f.kind == plain && f.fd != nil && f.seen >= st.size && !f.final {
		s.closeFile(f) // nothing to read: it need not be open
	}
}

// attach notes that a path leads to a file.
func (s *Source) attach(f *file, path string, st state, now time.Time) {
	if f.path != path && f.path != "" {
		f.moved = true
	}
	if s.byID[f.id] == f && f.id != st.id {
		delete(s.byID, f.id)
	}
	delete(s.away, f)
	delete(s.vacant, path)
	if s.last[f.path] == f {
		delete(s.last, f.path)
	}
	f.path, f.at, f.gone, f.deleted, f.state, f.changed = path, true, time.Time{}, false, st, now
	s.at[path], s.last[path] = f, f
	if s.c.Identity != ByPath {
		s.byID[st.id] = f
	}
	s.stats.files.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.name != path || f.id != st.id {
		f.name, f.meta = path, []byte(path)
		s.soil(f)
	}
	f.id = st.id
	if f.done && !f.noted && s.o.Completed != nil {
		s.completing = append(s.completing, f)
	}
}

// leave notes that no path leads to a file any more. If it is open it is read to its end.
func (s *Source) leave(f *file, now time.Time) {
	if !f.at {
		return
	}
	delete(s.at, f.path)
	f.at = false
	f.changed = now
	s.stats.files.Add(-1)
	s.stats.rotated.Add(1)
	s.vacant[f.path] = now
	s.mu.Lock()
	open, noted := f.fd != nil, f.noted
	s.mu.Unlock()
	if open {
		s.away[f] = struct{}{}
		return
	}
	f.deleted = noted // it was deleted because it was complete
	s.part(f, now)
}

// part notes that a file is neither at a path nor open.
func (s *Source) part(f *file, now time.Time) {
	delete(s.away, f)
	f.gone = now
	s.mu.Lock()
	s.settleFile(f)
	f.lastSeen = now
	s.soil(f)
	s.mu.Unlock()
}

// poll asks all files for their state.
func (s *Source) poll(now time.Time) {
	s.idle = s.idle[:0]
	s.mu.Lock()
	s.starving = false
	s.mu.Unlock()
	for path, f := range s.at {
		st, regular, err := statPath(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && !regular:
			s.leave(f, now)
		case err != nil:
			s.trouble(now, err)
		case st.id != f.id:
			s.leave(f, now)
			s.meet(path, st, now)
		default:
			s.observe(f, st, now)
		}
	}
	for f := range s.away {
		st, err := statFile(f.fd)
		if err != nil {
			s.trouble(now, err)
			s.closeFile(f)
			s.part(f, now)
			continue
		}
		f.deleted = st.links == 0
		s.observe(f, st, now)
	}
	for path, since := range s.vacant {
		if _, ok := s.at[path]; ok || now.Sub(since) > 2*s.c.DiscoverInterval || s.c.Once {
			delete(s.vacant, path)
			continue
		}
		if st, plain, err := statPath(path); err == nil && plain {
			s.meet(path, st, now)
		}
	}
	s.mu.Lock()
	starving := s.starving
	s.mu.Unlock()
	if starving && now.Sub(s.crowded) > time.Minute {
		s.crowded = now
		s.log.Warn("more files have something to read than may be open: they are read in turns", "max", s.c.MaxOpen)
	}
}

// observe looks at the state of a file, and lets the stream have it if there is something to do.
func (s *Source) observe(f *file, st state, now time.Time) {
	s.mu.Lock()
	busy, suspect, reopen := f.busy(), f.suspect, f.reopen
	s.mu.Unlock()
	if busy {
		f.state = st
		return
	}
	// Until it is queued again the file is the scan's alone.
	touched := st.size != f.state.size || st.mtime != f.state.mtime
	if touched {
		f.changed = now
	}
	f.state = st
	if reopen {
		f.reopen = false
		if f.at {
			s.closeFile(f)
		}
	}
	if f.kind != plain {
		s.observeArchive(f, touched, now)
		return
	}
	if suspect || st.size < f.seen || touched && st.size == f.seen && f.seen > 0 {
		if !s.check(f, st, now) {
			return
		}
	}
	switch {
	case st.size > f.seen:
		if s.opened(f, now) && s.refreshHead(f, now) {
			s.want(f)
		}
	default:
		s.atEnd(f, now)
	}
}

// observeArchive is observe for compressed files.
func (s *Source) observeArchive(f *file, touched bool, now time.Time) {
	if touched && (f.finished || f.damaged) {
		f.damaged = false
		if f.finished && f.state.size != f.whole {
			f.finished = false
		}
	}
	if f.finished || f.damaged {
		s.atEnd(f, now)
		return
	}
	if s.opened(f, now) && s.refreshHead(f, now) {
		s.want(f)
	}
}

// check makes sure that a file still has what was read of it; what was truncated begins anew. false: that could not be said.
func (s *Source) check(f *file, st state, now time.Time) bool {
	if !s.opened(f, now) {
		return false
	}
	v, err := hasBefore(f.fd, f.read)
	if err != nil {
		s.readFailed(f, now, err)
		return false
	}
	if v == unknown {
		v = same
		if st.size < f.read.Offset {
			v = different
		}
	}
	if v == same {
		// A size that is too small, but has what was read: it is an old one (of a network's file system). Only what was looked
		// at behind the position may be gone.
		f.seen = min(f.seen, max(st.size, f.read.Offset))
		f.suspect = false
		if st.size == f.seen {
			f.seen = f.read.Offset // look at the partial line again
		}
		return true
	}
	s.truncated(f, st)
	return true
}

// truncated makes a file begin anew.
func (s *Source) truncated(f *file, st state) {
	s.stats.truncated.Add(1)
	unread := int64(0)
	if f.read.Offset < f.seen {
		unread = f.seen - f.read.Offset
		s.stats.lost.Add(unread)
	}
	s.log.Info("a file was truncated: it is read from its beginning", "path", f.path, "position", f.read.Offset, "size", st.size, "unread", unread)
	if s.byHead[f.head] == f {
		s.unhead(f.head)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.life++
	if s.o.Keys {
		s.forget = append(s.forget, f.key)
		f.key, s.fresh = s.nextKey, true
		s.nextKey++
	}
	f.read, f.seen, f.skipping, f.finished, f.final, f.suspect = Position{}, 0, false, false, false, false
	f.acked, f.done, f.noted, f.size, f.imported = Position{}, false, false, 0, false
	f.head = Head{}
	s.soil(f)
}

// opened opens a file, unless it is; false: it cannot be now.
func (s *Source) opened(f *file, now time.Time) bool {
	if f.fd != nil {
		return true
	}
	if !f.at {
		return false
	}
	fd, err := s.openPath(f.path)
	if fd == nil {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.readFailed(f, now, err)
		}
		return false
	}
	if st, err := statFile(fd); err != nil || st.id != f.id {
		if err = errors.Join(err, s.closeHandle(fd)); err != nil {
			s.readFailed(f, now, err)
		}
		return false // it was replaced a moment ago: the next look sees it
	}
	s.mu.Lock()
	f.fd = fd
	s.mu.Unlock()
	return true
}

// openPath opens a path if one more file may be open; nil without error: not now.
func (s *Source) openPath(path string) (*os.File, error) {
	if s.stats.open.Load() >= int64(s.c.MaxOpen) && !s.makeRoom() {
		s.mu.Lock()
		s.starving = true
		s.mu.Unlock()
		return nil, nil
	}
	fd, err := os.Open(path)
	if err != nil {
		if tooMany(err) {
			s.mu.Lock()
			s.starving = true
			s.mu.Unlock()
		}
		return nil, err
	}
	s.stats.open.Add(1)
	return fd, nil
}

// makeRoom closes a file that need not be open.
func (s *Source) makeRoom() bool {
	if len(s.idle) == 0 {
		for f := range s.files {
			if f.at && f.fd != nil {
				s.idle = append(s.idle, f)
			}
		}
		slices.SortFunc(s.idle, func(a, b *file) int { return b.changed.Compare(a.changed) })
	}
	for len(s.idle) > 0 {
		f := s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
		s.mu.Lock()
		ok := f.at && f.fd != nil && !f.busy()
		s.mu.Unlock()
		if ok {
			s.closeFile(f)
			return true
		}
	}
	return false
}

func (s *Source) closeHandle(fd *os.File) error {
	s.stats.open.Add(-1)
	return fd.Close()
}

// closeFile closes a file, if it is open.
func (s *Source) closeFile(f *file) {
	s.mu.Lock()
	fd := f.fd
	f.fd = nil
	u := f.unpack
	if u != nil && !f.busy() {
		f.unpack = nil
	}
	s.mu.Unlock()
	if fd == nil {
		return
	}
	if u != nil {
		u.close()
	}
	if err := s.closeHandle(fd); err != nil {
		s.log.Warn("a file cannot be closed", "path", f.path, "error", err)
	}
}

// readFailed logs that a file cannot be read, not too often.
func (s *Source) readFailed(f *file, now time.Time, err error) {
	s.stats.failures.Add(1)
	if now.Sub(f.warned) > 5*time.Minute {
		f.warned = now
		s.log.Warn("a file cannot be read: it is tried again", "path", f.path, "error", err)
	}
}

// want lets the stream have a file, which is open.
func (s *Source) want(f *file) {
	s.mu.Lock()
	f.queued = true
	if f.kind == plain {
		s.ready.push(f)
	} else {
		s.packed.push(f)
	}
	s.mu.Unlock()
	tell(s.wake)
}

// atEnd decides what becomes of a file that has nothing more to read.
func (s *Source) atEnd(f *file, now time.Time) {
	quiet := now.Sub(f.changed)
	partial := f.kind == plain && f.partial() > 0
	if f.kind == plain && !f.finished {
		last := false
		switch {
		case s.c.Mode == Read:
			last = quiet >= s.c.ScanInterval || now.UnixNano()-f.state.mtime > int64(2*s.c.ScanInterval)
		case !partial:
		case f.moved || !f.at:
			last = quiet >= s.c.CloseRemoved
		}
		if partial && s.c.PartialAfter > 0 && quiet >= s.c.PartialAfter {
			last = true
		}
		if last && s.opened(f, now) {
			f.final = true
			s.want(f)
			return
		}
	}
	after := s.c.CloseInactive
	if f.deleted {
		after = s.c.CloseRemoved
	}
	if f.finished || f.damaged {
		after = 0
	}
	if f.fd != nil && quiet >= after {
		s.closeFile(f)
	}
	if !f.at && f.fd == nil {
		s.part(f, now)
	}
}

// sweep forgets files that are gone, and notes from time to time that others are there.
func (s *Source) sweep(now time.Time) {
	for f := range s.files {
		if f.deleted && !f.gone.IsZero() {
			s.mu.Lock()
			settled := f.pending == 0 && !f.busy()
			s.mu.Unlock()
			if settled {
				s.drop(f)
			}
		}
	}
	if now.Sub(s.swept) < min(time.Minute, s.c.Expire/4) {
		return
	}
	s.swept = now
	var gone []*file
	for f := range s.files {
		switch {
		case f.at || f.gone.IsZero():
			if now.Sub(f.touched) > s.c.Expire/8 {
				f.touched = now
				s.mu.Lock()
				f.lastSeen = now
				s.soil(f)
				s.mu.Unlock()
			}
		case now.Sub(f.gone) > s.c.Expire:
			s.drop(f)
		default:
			gone = append(gone, f)
		}
	}
	if over := len(gone) - s.c.MaxGone; over > 0 {
		slices.SortFunc(gone, func(a, b *file) int { return a.gone.Compare(b.gone) })
		for _, f := range gone[:over] {
			s.drop(f)
		}
	}
}
