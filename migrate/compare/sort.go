package compare

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

// A sorter brings the records of one side into the order of their keys, in bounded memory: what does not fit is written to
// files in runs, which are merged. Records with the same key are in the order of their bytes, so that the order in which they
// were read does not matter.
//
// A run is, compressed with S2, for each record:
//
//	length of the key (uvarint) | key | length of the rest (uvarint) | rest
type sorter struct {
	dir    string
	budget int // bytes of records and what is kept for each

	mu     sync.Mutex // guards what follows
	chunks [][]byte   // what records are copied into
	free   [][]byte
	items  []item
	used   int
	runs   []*os.File
}

type item struct{ key, rest []byte }

func (a item) compare(b item) int {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c
	}
	return bytes.Compare(a.rest, b.rest)
}

const (
	chunkBytes = 1 << 20
	itemBytes  = 96 // of an item in a slice that grows
	mostRuns   = 48 // files of a side; as many are merged into one when there are so many
	runBuffer  = 64 << 10
	leastRoom  = 2 * chunkBytes
	mostRecord = 1 << 30 // bytes of a key or a document
)

func newSorter(dir string, budget int) *sorter {
	return &sorter{dir: dir, budget: max(budget, leastRoom)}
}

// add copies a record: its key, and two pieces that make up the rest. It is called concurrently.
func (s *sorter) add(key, rest, more []byte) error {
	n := len(key) + len(rest) + len(more)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used > 0 && s.used+n+itemBytes > s.budget {
		if err := s.spill(); err != nil {
			return err
		}
	}
	at := s.room(n)
	at = append(append(append(at, key...), rest...), more...)
	s.chunks[len(s.chunks)-1] = s.chunks[len(s.chunks)-1][:len(s.chunks[len(s.chunks)-1])+n]
	s.items = append(s.items, item{at[:len(key):len(key)], at[len(key):]})
	s.used += n + itemBytes
	return nil
}

// room gives an empty slice with room for n bytes at the end of the last chunk.
func (s *sorter) room(n int) []byte {
	if last := len(s.chunks) - 1; last >= 0 {
		c := s.chunks[last]
		if cap(c)-len(c) >= n {
			return c[len(c) : len(c) : len(c)+n]
		}
	}
	var c []byte
	if len(s.free) > 0 && n <= chunkBytes {
		c = s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
	} else {
		c = make([]byte, 0, max(n, chunkBytes))
	}
	s.chunks = append(s.chunks, c)
	return c[0:0:n]
}

// spill writes what there is in memory as a run.
func (s *sorter) spill() error {
	slices.SortFunc(s.items, item.compare)
	w, err := s.newRun()
	if err != nil {
		return err
	}
	for _, it := range s.items {
		if err := w.write(it); err != nil {
			return err
		}
	}
	if err := w.finish(s); err != nil {
		return err
	}
	clear(s.items)
	s.items, s.used = s.items[:0], 0
	for _, c := range s.chunks {
		if cap(c) == chunkBytes {
			s.free = append(s.free, c[:0])
		}
	}
	s.chunks = s.chunks[:0]
	if len(s.runs) >= mostRuns {
		return s.merge()
	}
	return nil
}

// merge makes one run of all.
func (s *sorter) merge() error {
	old := s.runs
	s.runs = nil
	w, err := s.newRun()
	if err != nil {
		s.runs = old
		return err
	}
	in, err := newMerged(old, nil)
	if err == nil {
		for in.next() {
			if err = w.write(in.item); err != nil {
				break
			}
		}
		err = errors.Join(err, in.err)
	}
	if err == nil {
		err = w.finish(s)
	} else {
		err = errors.Join(err, w.file.Close())
	}
	for _, f := range old {
		err = errors.Join(err, f.Close())
	}
	return err
}

// sorted gives all records in order. Nothing may be added any more.
func (s *sorter) sorted() (*merged, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(s.items, item.compare)
	s.free = nil
	return newMerged(s.runs, s.items)
}

// close closes the files, which are gone then.
func (s *sorter) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.runs {
		errs = append(errs, f.Close())
	}
	s.runs, s.items, s.chunks, s.free = nil, nil, nil, nil
	return errors.Join(errs...)
}

type runWriter struct {
	file *os.File
	to   *s2.Writer
	buf  *bufio.Writer
	head []byte
}

// newRun makes a file without a name, where the system allows it: nothing is left of it, however the process ends.
func (s *sorter) newRun() (*runWriter, error) {
	f, err := os.CreateTemp(s.dir, "run-*")
	if err != nil {
		return nil, spillError(s.dir, err)
	}
	_ = os.Remove(f.Name()) // else with the folder
	to := s2.NewWriter(f, s2.WriterBlockSize(runBuffer), s2.WriterConcurrency(1))
	return &runWriter{file: f, to: to, buf: bufio.NewWriterSize(to, runBuffer)}, nil
}

func (w *runWriter) write(it item) error {
	w.head = binary.AppendUvarint(w.head[:0], uint64(len(it.key)))
	w.head = append(w.head, it.key...)
	w.head = binary.AppendUvarint(w.head, uint64(len(it.rest)))
	_, err := w.buf.Write(w.head)
	if err == nil {
		_, err = w.buf.Write(it.rest)
	}
	if err != nil {
		return errors.Join(spillError(w.file.Name(), err), w.file.Close())
	}
	return nil
}

func (w *runWriter) finish(s *sorter) error {
	err := w.buf.Flush()
	if err == nil {
		err = w.to.Close()
	}
	if err == nil {
		_, err = w.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(spillError(s.dir, err), w.file.Close())
	}
	s.runs = append(s.runs, w.file)
	return nil
}

func spillError(where string, err error) error {
	return fmt.Errorf("keep records that do not fit into memory in %s (another folder, more memory or a sample may help): %w", where, err)
}

// merged gives the records of several runs in order.
type merged struct {
	item item // valid until next
	err  error
	heap cursors
}

// A cursor is at a record of a run, or of what is in memory.
type cursor struct {
	item   item
	memory []item
	in     *bufio.Reader
	buf    []byte
}

func newMerged(runs []*os.File, memory []item) (*merged, error) {
	m := &merged{}
	add := func(c *cursor) error {
		ok, err := c.next()
		if ok {
			m.heap = append(m.heap, c)
		}
		return err
	}
	for _, f := range runs {
		r := s2.NewReader(f, s2.ReaderMaxBlockSize(runBuffer), s2.ReaderAllocBlock(runBuffer))
		if err := add(&cursor{in: bufio.NewReaderSize(r, runBuffer)}); err != nil {
			return nil, err
		}
	}
	if err := add(&cursor{memory: memory}); err != nil {
		return nil, err
	}
	heap.Init(&m.heap)
	return m, nil
}

// next goes to the next record; false at the end, or with err.
func (m *merged) next() bool {
	if m.item.key != nil { // the one before is used up
		c := m.heap[0]
		ok, err := c.next()
		switch {
		case err != nil:
			m.err = err
			return false
		case ok:
			heap.Fix(&m.heap, 0)
		default:
			heap.Pop(&m.heap)
		}
	}
	if len(m.heap) == 0 {
		m.item = item{}
		return false
	}
	m.item = m.heap[0].item
	return true
}

func (c *cursor) next() (bool, error) {
	if c.in == nil {
		if len(c.memory) == 0 {
			return false, nil
		}
		c.item, c.memory = c.memory[0], c.memory[1:]
		return true, nil
	}
	n, err := binary.ReadUvarint(c.in)
	if err == io.EOF { //nolint:errorlint // itself: between two records
		return false, nil
	}
	c.buf = c.buf[:0]
	key, err := c.piece(n, err)
	if err == nil {
		n, err = binary.ReadUvarint(c.in)
	}
	rest, err := c.piece(n, err)
	if err != nil {
		return false, fmt.Errorf("read records back: %w", err)
	}
	c.item = item{c.buf[:key:key], c.buf[key : key+rest]}
	return true, nil
}

// piece appends n bytes to the buffer.
func (c *cursor) piece(n uint64, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	if n > mostRecord {
		return 0, errors.New("a length makes no sense: the file has changed")
	}
	from := len(c.buf)
	c.buf = slices.Grow(c.buf, int(n))[:from+int(n)]
	_, err = io.ReadFull(c.in, c.buf[from:])
	return int(n), err
}

// cursors are a heap.
type cursors []*cursor

func (h cursors) Len() int           { return len(h) }
func (h cursors) Less(i, j int) bool { return h[i].item.compare(h[j].item) < 0 }
func (h cursors) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *cursors) Push(x any) {
	if c, ok := x.(*cursor); ok {
		*h = append(*h, c)
	}
}

// Pop implements heap.Interface.
func (h *cursors) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
