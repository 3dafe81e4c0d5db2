package stream

import (
	"sync"
	"time"

	"github.com/narudata/naru/flow"
)

// Stats are the figures of a pipe that runs, made by NewStats. They may be read at any time; Run fills them.
type Stats struct {
	Inputs  []InputStats
	Outputs []OutputStats

	Started   time.Time
	Processed Counter // records that stages took
	Made      Counter // records that stages made of them
	Failed    Counter // dead letters of stages
}

// InputStats are the figures of a source.
type InputStats struct {
	ID           string
	Streams      Counter // open now
	Records      Counter // read
	Bytes        Counter // of their bodies
	Acknowledged Counter // of the records
	Blocked      Clock   // while a stream of it had something to give and there was no room for it
}

// OutputStats are the figures of a sink. In the end Records = Delivered + There + Dead.
type OutputStats struct {
	ID        string
	Records   Counter // that came to it
	Bytes     Counter // of their bodies
	Delivered Counter // by Write
	There     Counter // of these, what was there already (flow.ErrThere)
	Dead      Counter // refused for good, and kept
	Retries   Counter // records that were written again
	Writes    Counter // those that have ended
	Failures  Counter // of these, writes that failed, in whole or in part
	Partly    Counter // of these, those of which a part was taken or refused by itself
	Writing   Counter // writes on their way now
	Waiting   Counter // records that wait to be written, or are being
	Nanos     Counter // that writes took, added up
}

// NewStats makes the figures of a pipe, all zero.
func NewStats(p Pipe) *Stats {
	s := &Stats{Started: time.Now(), Inputs: make([]InputStats, len(p.Sources)), Outputs: make([]OutputStats, len(p.Sinks))}
	for i := range p.Sources {
		s.Inputs[i].ID = p.Sources[i].ID
	}
	for i := range p.Sinks {
		s.Outputs[i].ID = p.Sinks[i].ID
	}
	return s
}

func (s *InputStats) read(n int, b *flow.Batch) {
	s.Records.add(int64(n))
	bytes := 0
	for i := range b.Records {
		bytes += len(b.Records[i].Body)
	}
	s.Bytes.add(int64(bytes))
}

// A Clock counts the time in which something is so: while at least one of those who look at it says so.
type Clock struct {
	mu    sync.Mutex // guards what follows
	who   int
	since time.Time // if who > 0
	total time.Duration
}

// Get gives the time until now.
func (c *Clock) Get() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.who > 0 {
		return c.total + time.Since(c.since)
	}
	return c.total
}

func (c *Clock) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.who++; c.who == 1 {
		c.since = time.Now()
	}
}

func (c *Clock) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.who--; c.who == 0 {
		c.total += time.Since(c.since)
	}
}
