package opensearch

import (
	"context"
	"sync"
	"time"
)

// pace adapts how many requests are under way, and how large they are, to what the target takes. Both grow by
// steps as long as all goes well, and are halved when it says that it is too much (additive increase,
// multiplicative decrease).
type pace struct {
	mu      sync.Mutex
	limit   float64 // requests under way; guarded by mu, like all that follows
	most    float64
	running int
	size    int // bytes of a request
	maxSize int
	cut     time.Time     // when it was last halved
	usual   time.Duration // a request's time, smoothed
	wake    chan struct{} // closed and renewed when a place may be free
	held    string        // why nothing may be sent now; "" otherwise
}

const (
	minRequest   = 64 << 10
	startRequest = 2 << 20
	// slowRequest is the time beyond which a request is too large: a node that takes so long may be
	// garbage-collecting, and what is lost with a cut connection is more.
	slowRequest = 15 * time.Second
)

func newPace(most, maxSize int) *pace {
	return &pace{limit: min(2, float64(most)), most: float64(most), size: min(startRequest, maxSize), maxSize: maxSize, wake: make(chan struct{})}
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
		case p.running+1 >= int(p.limit): // it was in use to the full
			p.limit = min(p.most, p.limit+1/max(1, p.limit))
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
