package flow

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Report is what a Run leaves in the books. It counts what is saved, not what was on its way.
type Report struct {
	Groups []GroupReport `json:"groups"` // by name
	Total  GroupReport   `json:"total"`
	Failed []PartFailure `json:"failed,omitempty"`
	// Reasons of the dead letters of this run, the most frequent first. Of a flow that stopped, there may be
	// some that were buried and not saved; the tallies count those that were.
	Reasons []Reason      `json:"dead_letters,omitempty"`
	Planned bool          `json:"planned"`           // all parts of the source were seen
	Drained bool          `json:"drained,omitempty"` // the flow was told to drain and left something undone
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Complete reports that nothing is left to do: every part is done, by this run or an earlier one.
func (r *Report) Complete() bool {
	return r.Planned && !r.Drained && r.Total.Done == r.Total.Parts
}

// A GroupReport is the books of one group, or of all.
type GroupReport struct {
	Name     string `json:"name,omitempty"`
	Grade    Grade  `json:"grade,omitempty"` // as the source describes it
	Why      string `json:"why,omitempty"`
	Expected int64  `json:"expected"` // records, as the source describes it; -1: not known
	Parts    int    `json:"parts"`
	Done     int    `json:"done"`              // of the parts, also those done by earlier runs
	Earlier  int    `json:"earlier,omitempty"` // of the parts done, those done by earlier runs
	Failed   int    `json:"failed,omitempty"`
	Taken    int    `json:"taken,omitempty"` // another worker has them
	Tally    Tally  `json:"tally"`           // by this run and earlier ones, of the parts that this run came to
	Run      Tally  `json:"run"`             // by this run
}

func (g *GroupReport) add(o *GroupReport) {
	if g.Expected < 0 || o.Expected < 0 {
		g.Expected = -1
	} else {
		g.Expected += o.Expected
	}
	g.Parts += o.Parts
	g.Done += o.Done
	g.Earlier += o.Earlier
	g.Failed += o.Failed
	g.Taken += o.Taken
	g.Tally.Add(o.Tally)
	g.Run.Add(o.Run)
}

// A PartFailure says why a part could not be carried to its end.
type PartFailure struct {
	Part  string `json:"part"`
	Group string `json:"group"`
	Error string `json:"error"`
	Err   error  `json:"-"`
}

// outcome is how a part ended in this run.
type outcome int

const (
	outcomeLeft outcome = iota // drained, or the flow stopped
	outcomeDone
	outcomeEarlier // done by an earlier run
	outcomeTaken
	outcomeFailed
)

// books collect the report.
type books struct {
	mu      sync.Mutex // guards what follows
	groups  map[string]*GroupReport
	failed  []PartFailure
	reasons reasons
}

func (b *books) describe(groups []Group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range groups {
		r := b.group(g.Name)
		r.Grade, r.Why, r.Expected = g.Grade, g.Why, g.Records
	}
}

// group gives the books of a group, new ones at first. b.mu is held.
func (b *books) group(name string) *GroupReport {
	r := b.groups[name]
	if r == nil {
		if b.groups == nil {
			b.groups = make(map[string]*GroupReport)
		}
		r = &GroupReport{Name: name, Expected: -1}
		b.groups[name] = r
	}
	return r
}

// seen enters a part that was planned.
func (b *books) seen(p *Part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.group(p.Group).Parts++
}

// settle enters how a part ended, what earlier runs did of it and what this run did and saved.
func (b *books) settle(p *Part, earlier, run Tally, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(p.Group)
	g.Tally.Add(earlier)
	g.Tally.Add(run)
	g.Run.Add(run)
	switch o {
	case outcomeDone:
		g.Done++
	case outcomeEarlier:
		g.Done++
		g.Earlier++
	case outcomeTaken:
		g.Taken++
	case outcomeFailed:
		g.Failed++
	case outcomeLeft:
	}
}

// carried enters what this run did and saved of a part that it comes back to.
func (b *books) carried(p *Part, run Tally) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(p.Group)
	g.Run.Add(run)
}

func (b *books) fail(p *Part, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = append(b.failed, PartFailure{p.ID, p.Group, err.Error(), err})
}

func (b *books) buried(recs []Record, why []error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range recs {
		b.reasons.add(&recs[i], why[i])
	}
}

// report closes the books.
func (b *books) report() Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := Report{Groups: make([]GroupReport, 0, len(b.groups)), Failed: b.failed, Reasons: b.reasons.list()}
	for _, name := range slices.Sorted(maps.Keys(b.groups)) {
		r.Groups = append(r.Groups, *b.groups[name])
		r.Total.add(b.groups[name])
	}
	slices.SortStableFunc(r.Failed, func(x, y PartFailure) int {
		return cmp.Or(cmp.Compare(x.Group, y.Group), cmp.Compare(x.Part, y.Part))
	})
	return r
}
