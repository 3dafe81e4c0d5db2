package files

import (
	"os"
	"time"
)

// A file is one that is known: read, waited for, or gone and not yet forgotten. The scan owns it but while it is queued or
// reading: then the stream has what stands under "position".
type file struct {
	// Of the scan alone.
	path    string // the last one that led to it
	at      bool   // path leads to it now
	moved   bool   // it had another path before
	deleted bool   // no path leads to it any more
	id      ID
	state   state
	changed time.Time // when its state last changed
	gone    time.Time // since when it is neither at a path nor open
	touched time.Time // when its being there was last noted in the registry
	warned  time.Time

	// Guarded by Source.mu.
	key     uint64
	meta    []byte // path, as records have it; replaced, never changed
	name    string // path, as the registry has it
	fd      *os.File
	head    Head
	life    uint32 // counts what the file was, as it was truncated
	queued  bool
	reading bool
	final   bool // the next end of the file is the end of what it holds
	suspect bool // what stands before the position has changed
	reopen  bool // reading failed
	pending int  // advances on their way
	dirty   bool // the registry is behind
	lost    bool // forgotten: the registry has nothing of it

	// The position: what comes next, and the end of what was looked at.
	read     Position
	seen     int64
	skipping bool  // within a line that is left out
	finished bool  // it is complete, and all of it was given
	whole    int64 // then: its size in bytes
	kind     compression
	unpack   *unpacker
	damaged  bool // it cannot be unpacked as it is
	counted  bool // among Source.unfinished

	// Guarded by Source.mu: what the registry is told.
	acked    Position
	done     bool
	noted    bool
	size     int64
	imported bool
	lastSeen time.Time

	complained time.Time // that Options.Completed fails; guarded by Source.mu
}

// entry gives what the registry is told. Source.mu is held.
func (f *file) entry() Entry {
	e := Entry{
		Key: f.key, ID: f.id, Path: f.name, Head: f.head, Position: f.acked, Seen: f.lastSeen,
		Done: f.done, Noted: f.noted, Archive: f.kind != plain, Size: f.size, Imported: f.imported,
	}
	return e
}

// busy reports that the stream has the file. Source.mu is held.
func (f *file) busy() bool { return f.queued || f.reading }

// partial is how many bytes of a line that has not ended there are.
func (f *file) partial() int64 { return f.seen - f.read.Offset }

// queue is a queue of files.
type queue struct {
	files []*file
	first int
}

func (q *queue) push(f *file) { q.files = append(q.files, f) }

func (q *queue) empty() bool { return q.first == len(q.files) }

func (q *queue) pop() *file {
	f := q.files[q.first]
	q.files[q.first] = nil
	q.first++
	switch {
	case q.first == len(q.files):
		q.files, q.first = q.files[:0], 0
	case q.first > 1024 && q.first > len(q.files)/2:
		n := copy(q.files, q.files[q.first:])
		clear(q.files[n:])
		q.files, q.first = q.files[:n], 0
	}
	return f
}
