package stream

import (
	"context"
	"sync"
)

// A pool has the jobs that are not on their way, and bounds those that are.
type pool struct {
	limit int64 // of bytes
	most  int   // of jobs on their way
	keep  int   // of those that are not

	mu      sync.Mutex // guards what follows
	idle    []*job
	alive   int
	weight  int64
	waiting []chan struct{}
}

func newPool(limit int64, most, keep int) *pool { return &pool{limit: limit, most: most, keep: keep} }

func newJob() *job { return &job{input: -1, processed: make(chan struct{}, 1)} }

// take gives an empty job, once there is room for one.
func (p *pool) take(ctx context.Context) (*job, error) {
	for {
		p.mu.Lock()
		if p.alive == 0 || p.weight < p.limit && p.alive < p.most {
			p.alive++
			var j *job
			if last := len(p.idle) - 1; last >= 0 {
				j, p.idle = p.idle[last], p.idle[:last]
			}
			p.mu.Unlock()
			if j == nil {
				j = newJob()
			}
			return j, nil
		}
		room := make(chan struct{})
		p.waiting = append(p.waiting, room)
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
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
	pooled := j.input >= 0
	weight := j.weight
	j.batch.Reset()
	for i := range j.room {
		clear(j.room[i])
	}
	clear(j.parts)
	clear(j.frees)
	*j = job{batch: j.batch, parts: j.parts, room: j.room, frees: j.frees[:0], processed: j.processed, input: -1}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !pooled {
		return
	}
	p.weight -= weight
	p.alive--
	if len(p.idle) < p.keep {
		p.idle = append(p.idle, j)
	}
	for _, w := range p.waiting {
		close(w)
	}
	p.waiting = p.waiting[:0]
}
