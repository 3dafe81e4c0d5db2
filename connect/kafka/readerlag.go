package kafka

import "sync"

// A Lag tells how many records the readers that have it have still to deliver. Its zero value is good; several readers may
// have the same one.
type Lag struct {
	mu      sync.Mutex // guards readers
	readers map[*reader]bool
}

// Records is the number of records between what is acknowledged and the ends of the partitions, as they were when they were
// fetched last: while a partition is not read, as what was read of it waits, its end moves on unseen. ok says that a partition
// was fetched already.
func (l *Lag) Records() (n int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.readers {
		behind, known := r.behind()
		n, ok = n+behind, ok || known
	}
	return n, ok
}

// join adds a reader until leave is called.
func (l *Lag) join(r *reader) (leave func()) {
	if l == nil {
		return func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == nil {
		l.readers = map[*reader]bool{}
	}
	l.readers[r] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.readers, r)
	}
}

func (r *reader) behind() (n int64, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		if behind, ok := p.behind(); ok {
			n, known = n+behind, true
		}
	}
	return n, known
}

// ends notes where the partition ends.
func (p *partition) ends(high int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.high = max(p.high, high)
}

func (p *partition) behind() (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.high <= 0 {
		return 0, false
	}
	from := p.first
	if p.acked.next >= 0 {
		from = p.acked.next
	}
	if from < 0 {
		return 0, true // nothing came: it is at the end
	}
	return max(min(p.high, p.end)-from, 0), true
}
