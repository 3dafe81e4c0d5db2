package flow

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Progress is what a running flow has done so far, for whoever wants to draw it: Run fills it, Snapshot may
// be called at any time. It is live: what it shows delivered may not be saved yet; a Report is about what is
// saved. The zero value is ready; it is for one Run.
type Progress struct {
	started atomic.Int64 // Unix nanoseconds; 0: not yet
	planned atomic.Bool

	mu     sync.Mutex // guards the map and the slice; the counters are atomic
	groups map[string]*counters
	order  []*counters
}

// counters are one group's.
type counters struct {
	name string

	parts, done, failed, taken    atomic.Int64
	records, bytes                atomic.Int64 // read, in all runs
	earlierRecords, earlierBytes  atomic.Int64 // of these, by earlier runs
	delivered, dead, bodyBytes    atomic.Int64 // in all runs
	describedRecords, seenRecords atomic.Int64
	describedBytes, seenBytes     atomic.Int64

	hasRecords, hasBytes, described atomic.Bool
}

// A Snapshot is the progress at one moment.
type Snapshot struct {
	Started time.Time       `json:"started"`
	Planned bool            `json:"planned"` // all parts are known; before, totals may still grow
	Total   GroupProgress   `json:"total"`
	Groups  []GroupProgress `json:"groups"` // as described by the source, then as they came
}

// A GroupProgress is how far a group is.
type GroupProgress struct {
	Name   string `json:"name"`
	Parts  int64  `json:"parts"` // known so far
	Done   int64  `json:"done"`  // of these; also those done by earlier runs
	Failed int64  `json:"failed,omitempty"`
	Taken  int64  `json:"taken,omitempty"` // another worker has them

	Records         int64 `json:"records"`          // read, by this run and earlier ones
	EarlierRecords  int64 `json:"earlier_records"`  // of these, by earlier ones: subtract for a rate
	ExpectedRecords int64 `json:"expected_records"` // described by the source, or of the parts known so far; -1: not known
	Bytes           int64 `json:"bytes"`            // work done, in the measure of Part.Bytes
	EarlierBytes    int64 `json:"earlier_bytes"`
	ExpectedBytes   int64 `json:"expected_bytes"`

	Delivered int64 `json:"delivered"`
	Dead      int64 `json:"dead,omitempty"`
	BodyBytes int64 `json:"body_bytes"` // delivered, by this run and earlier ones
}

// Snapshot gives the progress so far.
func (p *Progress) Snapshot() Snapshot {
	s := Snapshot{Planned: p.planned.Load()}
	if ns := p.started.Load(); ns != 0 {
		s.Started = time.Unix(0, ns)
	}
	p.mu.Lock()
	order := slices.Clone(p.order)
	p.mu.Unlock()
	s.Groups = make([]GroupProgress, len(order))
	for i, c := range order {
		g := c.snapshot()
		s.Groups[i] = g
		t := &s.Total
		t.Parts += g.Parts
		t.Done += g.Done
		t.Failed += g.Failed
		t.Taken += g.Taken
		t.Records += g.Records
		t.EarlierRecords += g.EarlierRecords
		if g.ExpectedRecords < 0 || t.ExpectedRecords < 0 {
			t.ExpectedRecords = -1
		} else {
			t.ExpectedRecords += g.ExpectedRecords
		}
		t.Bytes += g.Bytes
		t.EarlierBytes += g.EarlierBytes
		t.ExpectedBytes += g.ExpectedBytes
		t.Delivered += g.Delivered
		t.Dead += g.Dead
		t.BodyBytes += g.BodyBytes
	}
	return s
}

func (c *counters) snapshot() GroupProgress {
	g := GroupProgress{
		Name: c.name, Parts: c.parts.Load(), Done: c.done.Load(), Failed: c.failed.Load(), Taken: c.taken.Load(),
		Records: c.records.Load(), EarlierRecords: c.earlierRecords.Load(), ExpectedRecords: c.seenRecords.Load(),
		Bytes: c.bytes.Load(), EarlierBytes: c.earlierBytes.Load(), ExpectedBytes: c.seenBytes.Load(),
		Delivered: c.delivered.Load(), Dead: c.dead.Load(), BodyBytes: c.bodyBytes.Load(),
	}
	if c.hasRecords.Load() {
		g.ExpectedRecords = c.describedRecords.Load()
	} else if c.described.Load() && g.Parts == 0 {
		g.ExpectedRecords = -1
	}
	if c.hasBytes.Load() {
		g.ExpectedBytes = c.describedBytes.Load()
	}
	return g
}

// describe enters what the source said of its groups beforehand.
func (p *Progress) describe(groups []Group) {
	for _, g := range groups {
		c := p.group(g.Name)
		c.described.Store(true)
		if g.Records >= 0 {
			c.describedRecords.Store(g.Records)
			c.hasRecords.Store(true)
		}
		if g.Bytes > 0 {
			c.describedBytes.Store(g.Bytes)
			c.hasBytes.Store(true)
		}
	}
}

// group gives a group's counters, new ones at first.
func (p *Progress) group(name string) *counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.groups[name]
	if c == nil {
		if p.groups == nil {
			p.groups = make(map[string]*counters)
		}
		c = &counters{name: name}
		p.groups[name] = c
		p.order = append(p.order, c)
	}
	return c
}

// seen enters a part that was planned.
func (c *counters) seen(p *Part) {
	c.parts.Add(1)
	c.seenRecords.Add(max(0, p.Records))
	c.seenBytes.Add(max(0, p.Bytes))
}

// advance enters what happened to a batch, or (earlier) what earlier runs did.
func (c *counters) advance(t *Tally) {
	c.records.Add(t.Read)
	c.delivered.Add(t.Delivered)
	c.dead.Add(t.Dead)
	c.bodyBytes.Add(t.Bytes)
}

// share is the work done of a part of which that many records are read.
func share(p *Part, read int64) int64 {
	if p.Records <= 0 || p.Bytes <= 0 {
		return 0
	}
	if read >= p.Records {
		return p.Bytes
	}
	return int64(float64(p.Bytes) * float64(read) / float64(p.Records))
}

// earlier enters what earlier runs did of a part.
func (c *counters) earlier(p *Part, cp *Checkpoint) {
	c.advance(&cp.Tally)
	c.earlierRecords.Add(cp.Tally.Read)
	bytes := share(p, cp.Tally.Read)
	if cp.Done {
		bytes = max(0, p.Bytes)
	}
	c.bytes.Add(bytes)
	c.earlierBytes.Add(bytes)
}
