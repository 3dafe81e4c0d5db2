package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
	"sync"
)

// AheadConfig bounds what is read ahead. Its zero value works.
type AheadConfig struct {
	PageBytes   int   // how much is asked for at a time; 0: 1 MiB
	Pages       int   // how many pages each reader is given ahead of it, and how many are kept behind; 0: 8
	MemoryBytes int64 // bound of the pages of all readers, who share it evenly; 0: 64 MiB
}

// Ahead is a Store over one that takes its time to answer. What is read through InOrder is fetched in pages, and
// once a reader takes one page after the other, the next ones are fetched beside each other before it asks. All
// else goes through as it is.
type Ahead struct {
	Store
	page  int
	pages int

	most int // pages that may exist

	mu    sync.Mutex
	made  int      // guarded by mu: pages that exist
	idle  [][]byte // guarded by mu: those among them that nobody uses
	views int      // guarded by mu: that are open
}

var _ Closer = (*Ahead)(nil)

// NewAhead wraps a store, which it closes if that can be closed.
func NewAhead(s Store, c AheadConfig) *Ahead {
	if c.PageBytes <= 0 {
		c.PageBytes = 1 << 20
	}
	if c.Pages <= 0 {
		c.Pages = 8
	}
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = 64 << 20
	}
	return &Ahead{Store: s, page: c.PageBytes, pages: c.Pages, most: int(c.MemoryBytes / int64(c.PageBytes))}
}

// Close closes the store.
func (a *Ahead) Close() error {
	if c, ok := a.Store.(Closer); ok {
		return c.Close()
	}
	return nil
}

// buffer gives a page to fill to a view that has that many, or nil if there is no room for one.
func (a *Ahead) buffer(have int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if have > 0 && have >= a.most/max(1, a.views) {
		return nil
	}
	if n := len(a.idle); n > 0 {
		b := a.idle[n-1]
		a.idle = a.idle[:n-1]
		return b
	}
	if a.made >= a.most {
		return nil
	}
	a.made++
	return make([]byte, a.page)
}

func (a *Ahead) giveBack(b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.idle = append(a.idle, b[:a.page])
}

// InOrder gives a view of a store for one reader of a few blobs, each mostly in order. If the store is an Ahead,
// the view reads ahead; otherwise it is the store itself. Closing the view ends what is under way, and leaves the
// store open.
func InOrder(s Store) Closer {
	if a, ok := s.(*Ahead); ok {
		v := &inOrder{Ahead: a, pages: make(map[pageKey]*page)}
		v.ctx, v.cancel = context.WithCancel(context.Background())
		a.mu.Lock()
		a.views++
		a.mu.Unlock()
		return v
	}
	return plain{s}
}

// Expect says of a view that the beginnings of these blobs will be read soon, so that they are fetched beside each
// other. To other stores it does nothing.
func Expect(s Store, names ...string) {
	v, ok := s.(*inOrder)
	if !ok {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, name := range names {
		key := pageKey{name, 0}
		if v.closed || v.pages[key] != nil || len(v.behind) > v.Ahead.pages {
			continue
		}
		p := v.fetch(key, len(v.behind))
		if p == nil {
			return
		}
		p.touched = true
		v.behind = append(v.behind, p)
	}
}

type plain struct{ Store }

func (plain) Close() error { return nil }

// inOrder is a view that reads ahead. It keeps pages that were read, as long as there is room: small blobs are read
// piece by piece, and files twice, for their checksum and for what is in them.
type inOrder struct {
	*Ahead
	ctx    context.Context // ends with the view
	cancel context.CancelFunc
	wg     sync.WaitGroup // of the fetches

	mu     sync.Mutex // guards what follows, and the pages' fields but for what done guards
	pages  map[pageKey]*page
	behind []*page // those that were touched, the least recently touched first
	run    run
	closed bool
}

type pageKey struct {
	name string
	n    int64 // from n × the page's size on
}

// A page is a piece of a blob.
type page struct {
	key     pageKey
	cancel  context.CancelFunc
	buf     []byte
	uses    int  // by the view's map, the fetch, and readers; the buffer goes back with the last
	touched bool // a reader wanted it

	done chan struct{} // closed when what follows is set
	data []byte        // of buf; shorter than a page: the blob ends here
	size int64         // of the whole blob; -1: not known
	err  error
}

// A run is pages of one blob, read one after the other.
type run struct {
	name   string
	last   int64 // the last page that was touched
	length int   // how many were touched before it
	size   int64 // of the blob; -1: not known
}

// Open implements Store.
func (v *inOrder) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if n < 0 || off < 0 {
		return v.Store.Open(ctx, name, off, n)
	}
	r := &pagesReader{view: v, ctx: ctx, name: name, off: off, left: n}
	if err := r.turn(); err != nil {
		return nil, err
	}
	return r, nil
}

// List implements Store.
func (v *inOrder) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return v.Store.List(ctx, dir)
}

// Close implements Closer.
func (v *inOrder) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	v.cancel()
	for _, p := range v.pages {
		v.forget(p)
	}
	v.behind = nil
	v.mu.Unlock()
	v.wg.Wait()
	v.Ahead.mu.Lock()
	v.Ahead.views--
	v.Ahead.mu.Unlock()
	return nil
}

// touch gives a page that a reader wants, which it must let go; nil if there is no room. fresh: it was not there, nor
// on its way. The pages after it are fetched if it comes in order. until is the last page of the range that the
// reader wants.
func (v *inOrder) touch(key pageKey, until int64) (p *page, fresh bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, false, fs.ErrClosed
	}
	switch {
	case v.run.name == key.name && v.run.last == key.n:
	case v.run.name == key.name && v.run.last+1 == key.n:
		v.run.last++
		v.run.length++
	default: // elsewhere
		size := int64(-1)
		if v.run.name == key.name {
			size = v.run.size
		}
		v.run = run{name: key.name, last: key.n, size: size}
		v.dropUntouched(key)
	}
	if p = v.pages[key]; p == nil {
		fresh = true
		if p = v.fetch(key, 0); p == nil {
			return nil, false, nil
		}
	}
	p.uses++
	if i := slices.Index(v.behind, p); i >= 0 {
		v.behind = slices.Delete(v.behind, i, i+1)
	}
	p.touched = true
	v.behind = append(v.behind, p)
	if len(v.behind) > v.Ahead.pages+1 {
		v.forget(v.behind[0])
	}
	v.fetchAhead(until)
	return p, fresh, nil
}

// fetchAhead fetches the pages that will be wanted: none for a single read, more the longer it goes on in order,
// and the rest of the range that is read.
func (v *inOrder) fetchAhead(until int64) {
	n := int64(0)
	if v.run.length > 0 {
		n = int64(min(v.Ahead.pages, 2<<min(v.run.length, 20)))
	}
	if v.run.size >= 0 { // else the range may reach far behind the end
		n = max(n, min(int64(v.Ahead.pages), until-v.run.last))
	}
	for k := v.run.last + 1; k <= v.run.last+n; k++ {
		if v.run.size >= 0 && k*int64(v.page) >= v.run.size {
			return
		}
		key := pageKey{v.run.name, k}
		if v.pages[key] == nil && v.fetch(key, 1) == nil {
			return
		}
	}
}

// fetch begins to fetch a page that is not there. nil: there is no room for it, and none when all pages that were
// read are forgotten but for the last few.
func (v *inOrder) fetch(key pageKey, last int) *page {
	buf := v.buffer(len(v.pages))
	for buf == nil && len(v.behind) > last {
		v.forget(v.behind[0])
		buf = v.buffer(len(v.pages))
	}
	if buf == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(v.ctx)
	p := &page{key: key, cancel: cancel, buf: buf, uses: 2, done: make(chan struct{}), size: -1}
	v.pages[key] = p
	v.wg.Go(func() {
		v.fill(ctx, p)
		cancel()
		close(p.done)
		v.mu.Lock()
		defer v.mu.Unlock()
		if p.err != nil {
			v.forget(p) // whoever wants it tries anew
		} else if v.run.name == key.name && p.size >= 0 {
			v.run.size = p.size
		}
		v.letGo(p)
	})
	return p
}

func (v *inOrder) fill(ctx context.Context, p *page) {
	off := p.key.n * int64(v.page)
	var r io.ReadCloser
	r, p.err = v.Store.Open(ctx, p.key.name, off, int64(v.page))
	if p.err != nil {
		return
	}
	if s, ok := r.(interface{ Size() int64 }); ok {
		p.size = s.Size()
	}
	n, err := io.ReadFull(r, p.buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
		if n > 0 {
			p.size = off + int64(n)
		}
	}
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	p.data, p.err = p.buf[:n], err
}

// forget takes a page out of the view.
func (v *inOrder) forget(p *page) {
	if v.pages[p.key] != p {
		return
	}
	delete(v.pages, p.key)
	if i := slices.Index(v.behind, p); i >= 0 {
		v.behind = slices.Delete(v.behind, i, i+1)
	}
	if p.uses == 2 { // by the view and the fetch; or by the view and a reader of what is there
		p.cancel()
	}
	v.letGo(p)
}

// letGo ends one use of a page.
func (v *inOrder) letGo(p *page) {
	if p.uses--; p.uses == 0 {
		v.giveBack(p.buf)
		p.buf, p.data = nil, nil
	}
}

// dropUntouched ends the fetches of pages that nobody came for, but for one that is wanted now.
func (v *inOrder) dropUntouched(wanted pageKey) {
	for key, p := range v.pages {
		if !p.touched && key != wanted {
			v.forget(p)
		}
	}
}

// pagesReader reads a range through a view's pages.
type pagesReader struct {
	view *inOrder
	ctx  context.Context
	name string
	off  int64
	left int64

	now    *page
	data   []byte        // of now, not yet read
	direct io.ReadCloser // once there is no room for pages, or a page could not be read
	ended  bool
}

// turn goes to the page that holds off, and waits for it.
func (r *pagesReader) turn() error {
	size := int64(r.view.page)
	k := r.off / size
	until := k
	if r.left > 0 {
		until = (r.off + min(r.left, int64(r.view.Ahead.pages)*size) - 1) / size
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	p, fresh, err := r.view.touch(pageKey{r.name, k}, until)
	if err != nil {
		return err
	}
	if p == nil {
		return r.past()
	}
	select {
	case <-p.done:
	case <-r.ctx.Done():
		r.letGo(p)
		return r.ctx.Err()
	}
	if err := p.err; err != nil {
		r.letGo(p)
		if fresh && r.view.ctx.Err() == nil {
			return err
		}
		return r.past() // it failed before it was wanted
	}
	r.now, r.data = p, p.data
	skip := min(r.off-k*size, int64(len(p.data)))
	r.data = r.data[skip:]
	r.ended = int64(len(p.data)) < size
	return nil
}

// past reads the rest past the pages.
func (r *pagesReader) past() error {
	direct, err := r.view.Store.Open(r.ctx, r.name, r.off, r.left)
	if err == nil {
		r.direct = direct
	}
	return err
}

func (r *pagesReader) letGo(p *page) {
	r.view.mu.Lock()
	defer r.view.mu.Unlock()
	r.view.letGo(p)
}

// Read implements io.Reader.
func (r *pagesReader) Read(p []byte) (int, error) {
	for r.left > 0 {
		if r.direct != nil {
			n, err := r.direct.Read(p)
			r.off, r.left = r.off+int64(n), r.left-int64(n)
			return n, err
		}
		if len(r.data) > 0 {
			n := copy(p[:min(int64(len(p)), r.left)], r.data)
			r.data = r.data[n:]
			r.off, r.left = r.off+int64(n), r.left-int64(n)
			return n, nil
		}
		if r.ended {
			break
		}
		if r.now != nil {
			r.letGo(r.now)
			r.now = nil
		}
		if err := r.turn(); err != nil {
			r.ended, r.data = true, nil
			return 0, err
		}
	}
	return 0, io.EOF
}

// Close implements io.Closer.
func (r *pagesReader) Close() error {
	if r.now != nil {
		r.letGo(r.now)
		r.now, r.data = nil, nil
	}
	r.ended = true
	if r.direct != nil {
		return r.direct.Close()
	}
	return nil
}
