package opensearch

import (
	"context"
	"sync"
	"time"
)

// pace adapts how many requests are under way, and how large they are, to what the target takes. Both grow by
// steps as long as all goes well, and are halved when it says that it is too much (additive increase,
// multiplicative decrease).
//
// More requests than the target works on only wait there, and take its memory and naru's. How many wait is told by the
// time that requests take, as in TCP Vegas: of n requests that take t for a byte, where t0 is what it takes when nothing
// waits, n·(1-t0/t) wait. The number of requests is kept where a few do, so that the target never runs dry.
type pace struct {
	mu      sync.Mutex
	limit   float64 // requests under way; guarded by mu, like all that follows
	most    float64
	running int
	size    int // bytes of a request
	maxSize int
	cut     time.Time     // when it was last halved
	usual   time.Duration // a request's time, smoothed
	best    float64       // seconds a byte takes when nothing waits; 0: not known
	since   time.Time     // when best was last looked for anew
	recent  float64       // seconds a byte takes now, smoothed
	wake    chan struct{} // closed and renewed when a place may be free
	held    string        // why nothing may be sent now; "" otherwise
}

const (
	minRequest   = 64 << 10
	startRequest = 2 << 20
	// startRequests is how many are under way at first.
	startRequests = 2
	// slowRequest is the time beyond which a request is too large: a node that takes so long may be
	// garbage-collecting, and what is lost with a cut connection is more.
	slowRequest = 15 * time.Second

	// Requests are added while fewer than fewWait wait at the target, and taken away when more than manyWait do.
	fewWait, manyWait = 1.5, 3
	// leastTold is the size of a request whose time tells something: the fixed part of it no longer matters.
	leastTold = 256 << 10
	// anew is how often the time that a byte takes when nothing waits is found out anew, with few requests: documents
	// and clusters change.
	anew = 5 * time.Minute
)

func newPace(most, maxSize int) *pace {
	return &pace{limit: min(startRequests, float64(most)), most: float64(most), size: min(startRequest, maxSize), maxSize: maxSize, wake: make(chan struct{})}
}

// acquire waits for a place, and gives how large a request may be. Every acquire has its release.
func (p *pace) acquire(ctx context.Context) (size int, err error) {
	for {
		p.mu.Lock()
		if p.held == "" && p.running < max(1, int(p.limit)) {
			p.running++
			size = p.size
			p.mu.Unlock()
			return size, nil
		}
		wake := p.wake
		p.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// outcome is how a request went.
type outcome int

const (
	went     outcome = iota // well
	refused                 // it was too much for now
	tooLarge                // 413
	broke                   // for another reason; says nothing about the pace
)

// release gives the place back and learns from how the request went.
func (p *pace) release(o outcome, bytes int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	switch o {
	case went:
		if p.usual == 0 {
			p.usual = took
		}
		p.usual += (took - p.usual) / 8
		switch {
		case took > slowRequest:
			p.halveSize(bytes)
		case p.running+1 < int(p.limit): // it was not in use to the full
		default:
			switch waiting := p.waiting(bytes, took); {
			case waiting < fewWait:
				p.limit = min(p.most, p.limit+1/max(1, p.limit))
			case waiting > manyWait:
				p.limit = max(min(startRequests, p.most), p.limit-1/p.limit)
			}
		}
		if bytes >= p.size*3/4 && took < slowRequest/5 {
			p.size = min(p.maxSize, p.size+p.size/8)
		}
	case refused:
		p.halve()
	case tooLarge:
		p.maxSize = max(minRequest, bytes/2)
		p.size = min(p.size, p.maxSize)
	case broke:
	}
	p.signal()
}

// waiting learns from the time that a request took, and estimates how many wait at the target.
func (p *pace) waiting(bytes int, took time.Duration) float64 {
	if bytes < leastTold {
		return 0
	}
	now := took.Seconds() / float64(bytes)
	if p.recent == 0 {
		p.recent = now
	}
	p.recent += (now - p.recent) / 4
	switch now := time.Now(); {
	case p.best == 0:
		p.best, p.since = p.recent, now
	case p.recent < p.best:
		p.best = p.recent
	case now.Sub(p.since) > anew:
		p.best, p.limit = 0, min(p.limit, startRequests)
	}
	if p.best == 0 {
		return 0
	}
	return p.limit * (1 - p.best/p.recent)
}

// halve halves the requests under way, at most once for those that were under way together.
func (p *pace) halve() {
	if time.Since(p.cut) < max(p.usual, 100*time.Millisecond) {
		return
	}
	p.cut = time.Now()
	p.limit = max(1, p.limit/2)
	if p.limit == 1 {
		p.halveSize(p.size)
	}
}

func (p *pace) halveSize(bytes int) {
	p.size = max(minRequest, min(p.size, bytes/2))
}

func (p *pace) signal() {
	close(p.wake)
	p.wake = make(chan struct{})
}

// hold stops all requests that are not under way yet; why "" lets them go.
func (p *pace) hold(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = why
	p.signal()
}

// strained is told by the guard that the target is under strain.
func (p *pace) strained() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halve()
}

// State is what naru does to the target at a moment, for people to see.
type State struct {
	Running int           `json:"running"` // requests under way
	Limit   int           `json:"limit"`
	Size    int           `json:"size"` // of a request, in bytes
	Usual   time.Duration `json:"usual"`
	Held    string        `json:"held,omitempty"` // why nothing is sent
}

func (p *pace) state() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{p.running, int(p.limit), p.size, p.usual, p.held}
}
