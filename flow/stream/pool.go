package stream

import (
	"context"
	"slices"
	"sync"
)

// A pool has the jobs that are not on their way, and bounds those that are.
type pool struct {
	limit int64 // of bytes
	most  int   // of jobs on their way
	keep  int   // of those that are not, however large

	mu      sync.Mutex // guards what follows
	idle    []*job     // what was used last is used next; a job's weight is what it keeps
	spare   int64      // weight of idle
	alive   int
	weight  int64
	shares  []int // of alive, those of each input
	waiting []*waiter
}

// A waiter wants a job for an input.
type waiter struct {
	input   int
	granted chan struct{}
}

func newPool(limit int64, most, keep, inputs int) *pool {
	return &pool{limit: limit, most: most, keep: keep, shares: make([]int, inputs)}
}

func newJob() *job { return &job{input: -1, processed: make(chan struct{}, 1)} }

// take gives an empty job to an input, once there is room for one. Of the inputs that wait the one is next that has the
// fewest on their way: a flood at one does not hold up the others. blocked counts the waiting.
func (p *pool) take(ctx context.Context, input int, blocked *Clock) (*job, error) {
	p.mu.Lock()
	if !p.room() || len(p.waiting) > 0 {
		w := &waiter{input, make(chan struct{})}
		p.waiting = append(p.waiting, w)
		p.grant()
		p.mu.Unlock()
		blocked.begin()
		defer blocked.end()
		select {
		case <-w.granted:
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			if i := slices.Index(p.waiting, w); i >= 0 {
				p.waiting = slices.Delete(p.waiting, i, i+1)
			} else {
				p.give(input, -1)
			}
			return nil, context.Cause(ctx)
		}
		p.mu.Lock()
	} else {
		p.give(input, 1)
	}
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return newJob(), nil
	}
	j := p.idle[last]
	p.idle[last], p.idle = nil, p.idle[:last]
	p.spare -= j.weight
	j.weight = 0
	return j, nil
}

func (p *pool) room() bool { return p.alive == 0 || p.weight < p.limit && p.alive < p.most }

func (p *pool) give(input, n int) {
	p.alive += n
	p.shares[input] += n
}

// grant lets those go on that there is room for.
func (p *pool) grant() {
	for len(p.waiting) > 0 && p.room() {
		next := 0
		for i, w := range p.waiting {
			if p.shares[w.input] < p.shares[p.waiting[next].input] {
				next = i
			}
		}
		w := p.waiting[next]
		p.waiting = slices.Delete(p.waiting, next, next+1)
		p.give(w.input, 1)
		close(w.granted)
	}
}

// recordWeight is about what a record weighs beside its bytes.
const recordWeight = 200

// reweigh counts what a job has now.
func (p *pool) reweigh(j *job) {
	if j.input < 0 {
		return
	}
	w := int64(j.batch.Bytes()) + int64(cap(j.batch.Records))*recordWeight
	p.mu.Lock()
	p.weight += w - j.weight
	p.mu.Unlock()
	j.weight = w
}

// put takes a job back.
func (p *pool) put(j *job) {
	input, weight := j.input, j.weight
	j.batch.Reset()
	for i := range j.room {
		clear(j.room[i])
	}
	clear(j.parts)
	clear(j.frees)
	*j = job{batch: j.batch, parts: j.parts, room: j.room, frees: j.frees[:0], processed: j.processed, input: -1}
	if input < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weight -= weight
	p.give(input, -1)
	// One that is thrown away is made anew soon, where sinks write several batches together.
	if kept := int64(j.batch.Kept()); len(p.idle) < p.keep || p.weight+p.spare+kept <= p.limit+p.limit/4 {
		j.weight = kept
		p.spare += kept
		p.idle = append(p.idle, j)
	}
	p.grant()
}
