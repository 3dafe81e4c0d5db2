package logstash

import (
	"cmp"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/pattern/regex"
	"github.com/narudata/naru/logstash/syntax"
)

// A Profile says what the time of a pipeline goes into.
type Profile struct {
	Events   int64             `json:"events"`      // that came in
	Measured int64             `json:"measured"`    // of them
	Time     time.Duration     `json:"nanoseconds"` // of all steps and of decoding; an estimate, as these are
	Steps    []ProfiledStep    `json:"steps"`       // in the order of the text
	Decoding time.Duration     `json:"nanoseconds_decoding"`
	Patterns []ProfiledPattern `json:"patterns"` // the most expensive first
	Findings []Finding         `json:"findings"`
}

// A ProfiledStep is what a condition or a plugin costs. Time is an estimate: the mean of those that were measured, for all.
type ProfiledStep struct {
	At        string        `json:"at"`
	Kind      string        `json:"kind"` // if, else if, filter
	Condition string        `json:"condition,omitempty"`
	Plugin    string        `json:"plugin,omitempty"`
	ID        string        `json:"id,omitempty"`
	Events    int64         `json:"events"`         // that came by
	Held      int64         `json:"held,omitempty"` // of a condition: for how many it was true
	Each      time.Duration `json:"nanoseconds_each"`
	Time      time.Duration `json:"nanoseconds"`
	Share     float64       `json:"share"` // of all time, from 0 to 1
}

// A ProfiledPattern is what a pattern costs. Tried, Matched, Skipped and GaveUp are of the events that were looked at for
// patterns; Time is an estimate for all.
type ProfiledPattern struct {
	At        string        `json:"at"` // of the filter
	ID        string        `json:"id,omitempty"`
	Field     string        `json:"field"`
	Pattern   string        `json:"pattern"`
	Tried     int64         `json:"tried"`
	Matched   int64         `json:"matched"`
	Skipped   int64         `json:"skipped"` // a text that every match has was not there
	GaveUp    int64         `json:"gave_up"` // it took too many steps
	EachMatch time.Duration `json:"nanoseconds_match"`
	EachFail  time.Duration `json:"nanoseconds_fail"`
	// Steps are how often a match had to go back, in the mean; those of failures without the ones that were given up.
	StepsMatch float64       `json:"steps_match"`
	StepsFail  float64       `json:"steps_fail"`
	Bytes      float64       `json:"bytes"` // of the texts, in the mean
	Time       time.Duration `json:"nanoseconds"`
	Share      float64       `json:"share"`
}

// warmup is how many events of each step are measured before it is only one of some; the very first is never measured, as
// programs of patterns are made then.
const warmup = 100

// A Profiler takes events through a pipeline and measures some of them. Every event counts for how many came by; how long a
// step takes is measured for a random part, so that measuring hardly changes what it measures: half of that for plugins and
// conditions, the other half for patterns. What reading the clock costs is taken off. It is not safe for concurrent use.
type Profiler struct {
	i     *Isolated
	w     *Worker
	in    *Input
	feed  *feed
	rare  int // one event of so many is measured
	rand  *rand.Rand
	clock time.Duration // what a measurement of nothing measures

	filters []measured // of each instruction
	tries   map[tryKey]*triedPattern
	order   []tryKey
	at      syntax.Pos // of the filter that tries patterns

	events, looked int64
	mode           mode      // of the line that is being decoded
	begun          time.Time // when its decoding began, if that is measured
	decoding       samples
}

// measured is what is known of an instruction.
type measured struct {
	visits, held int64
	took         samples
	observed     int64 // visits that patterns were looked at in
}

// samples are times that were measured. A few that are far above all others are not counted: the process was not running.
type samples struct {
	n   int64
	sum time.Duration
	top [3]time.Duration // the longest, in falling order
}

func (s *samples) add(d time.Duration) {
	s.n++
	s.sum += d
	for i := range s.top {
		if d > s.top[i] {
			d, s.top[i] = s.top[i], d
		}
	}
}

// mean gives the mean, in nanoseconds.
func (s *samples) mean() float64 {
	n, sum := s.n, s.sum
	if n > warmup/2 {
		for _, d := range s.top {
			n, sum = n-1, sum-d
		}
		usual := float64(sum) / float64(n)
		for _, d := range s.top {
			if float64(d) < 100*max(usual, 100) {
				n, sum = n+1, sum+d
			}
		}
	}
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}

type tryKey struct {
	at             syntax.Pos
	field, pattern string
}

type triedPattern struct {
	tried, matched, skipped, gaveUp int64
	tookMatch, tookFail             samples
	stepsMatch, stepsFail           int64
	bytes                           int64
}

// mode is what is measured of an event.
type mode uint8

const (
	onlyCount mode = iota
	clockSteps
	watchPatterns
)

// Profiler makes a profiler that measures one event of rare; lines are read as the input with an id or a name reads them.
func (i *Isolated) Profiler(input string, rare int) (*Profiler, error) {
	in, err := i.input(input)
	if err != nil {
		return nil, err
	}
	p := &Profiler{
		i: i, w: i.Pipeline.NewWorker(), in: in, rare: max(rare, 1), rand: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // which events are measured is no secret
		clock: clockCost(), tries: map[tryKey]*triedPattern{},
	}
	p.w.x.Log = slog.New(slog.DiscardHandler) // patterns that are given up are counted
	p.filters = make([]measured, len(p.w.p.filters))
	p.feed = i.newFeed(p.w, in, p.run)
	return p, nil
}

// clockCost gives what is measured between two looks at the clock: the median of many.
func clockCost() time.Duration {
	costs := make([]time.Duration, 1001)
	for i := range costs {
		start := time.Now()
		costs[i] = time.Since(start)
	}
	slices.Sort(costs)
	return costs[len(costs)/2]
}

// Line takes a line through the pipeline.
func (p *Profiler) Line(text []byte) error {
	if err := p.i.readable(p.in); err != nil {
		return err
	}
	p.mode = p.choose()
	if p.mode == clockSteps {
		p.begun = time.Now()
	}
	p.feed.line(text)
	p.w.EndBatch()
	return nil
}

// run takes an event through the filters, and then those that were made of it.
func (p *Profiler) run(e *event.Event) {
	m := p.mode
	if !p.begun.IsZero() {
		if p.events > 0 {
			p.decoding.add(max(0, time.Since(p.begun)-p.clock))
		}
		p.begun = time.Time{}
	}
	p.events++
	if m != onlyCount {
		p.looked++
	}
	if m == watchPatterns {
		p.observe(true)
		defer p.observe(false)
	}
	p.walk(e, 0, m)
	for n := len(p.w.waiting); n > 0; n = len(p.w.waiting) {
		next := p.w.waiting[n-1]
		p.w.waiting = p.w.waiting[:n-1]
		p.walk(next.e, next.at, m)
	}
}

// choose chooses what is measured of the next line.
func (p *Profiler) choose() mode {
	if p.events > 2*warmup && p.rand.IntN(p.rare) != 0 {
		return onlyCount
	}
	if p.rand.IntN(2) == 0 {
		return watchPatterns
	}
	return clockSteps
}

func (p *Profiler) observe(on bool) {
	for _, f := range p.w.filters {
		if o, ok := f.(filter.PatternObserver); ok {
			if on {
				o.Observe(p.tried)
			} else {
				o.Observe(nil)
			}
		}
	}
}

func (p *Profiler) walk(e *event.Event, at int, m mode) {
	program := p.w.p.filters
	for at < len(program) && !e.Cancelled() {
		in, of := &program[at], &p.filters[at]
		switch in.do {
		case call:
			at++
			of.visits++
			p.call(in, of, e, m)
			if len(p.w.emitted) > 0 {
				p.w.queue(at)
			}
		case branch:
			of.visits++
			if p.holds(in, of, e, m) {
				of.held++
				at++
			} else {
				at = in.to
			}
		case jump:
			at = in.to
		}
	}
}

func (p *Profiler) call(in *instruction, of *measured, e *event.Event, m mode) {
	f := p.w.filters[in.plugin]
	if m == watchPatterns {
		p.at = in.pos
		of.observed++
	}
	if m != clockSteps || of.visits == 1 {
		f.Filter(&p.w.x, e)
		return
	}
	start := time.Now()
	f.Filter(&p.w.x, e)
	of.took.add(max(0, time.Since(start)-p.clock))
}

func (p *Profiler) holds(in *instruction, of *measured, e *event.Event, m mode) bool {
	if m != clockSteps || of.visits == 1 {
		return p.w.holds(in, e)
	}
	start := time.Now()
	yes := p.w.holds(in, e)
	of.took.add(max(0, time.Since(start)-p.clock))
	return yes
}

// tried is told of the patterns that a filter tries.
func (p *Profiler) tried(t filter.PatternTry) {
	key := tryKey{p.at, t.Field, t.Pattern}
	of := p.tries[key]
	if of == nil {
		of = &triedPattern{}
		p.tries[key] = of
		p.order = append(p.order, key)
		return // the first time, when the pattern's program is made
	}
	took := max(0, t.Took-p.clock)
	of.tried++
	of.bytes += int64(t.Bytes)
	switch {
	case t.Skipped:
		of.skipped++
		of.tookFail.add(took)
	case errors.Is(t.Err, regex.ErrBudget):
		of.gaveUp++
		of.tookFail.add(took)
	case t.Matched:
		of.matched++
		of.tookMatch.add(took)
		of.stepsMatch += int64(t.Steps)
	default:
		of.tookFail.add(took)
		of.stepsFail += int64(t.Steps)
	}
}

// Profile gives what was measured.
func (p *Profiler) Profile() *Profile {
	out := &Profile{
		Events: p.events, Measured: p.looked, Decoding: time.Duration(p.decoding.mean() * float64(p.events)),
		Steps: []ProfiledStep{}, Patterns: []ProfiledPattern{}, Findings: []Finding{},
	}
	out.Time = out.Decoding
	scale := map[syntax.Pos]float64{} // from what was looked at for patterns to all
	for at := range p.w.p.filters {
		in, of := &p.w.p.filters[at], &p.filters[at]
		if in.do == jump {
			continue
		}
		s := p.step(in, of)
		out.Time += s.Time
		out.Steps = append(out.Steps, s)
		if of.observed > 0 {
			scale[in.pos] = float64(of.visits) / float64(of.observed)
		}
	}
	for i := range out.Steps {
		out.Steps[i].Share = share(out.Steps[i].Time, out.Time)
	}
	for _, key := range p.order {
		x := p.pattern(key, scale[key.at])
		x.Share = share(x.Time, out.Time)
		out.Patterns = append(out.Patterns, x)
	}
	slices.SortStableFunc(out.Patterns, func(a, b ProfiledPattern) int { return cmp.Compare(b.Time, a.Time) })
	out.find()
	return out
}

func share(part, all time.Duration) float64 {
	if all <= 0 {
		return 0
	}
	return min(1, float64(part)/float64(all))
}

func (p *Profiler) step(in *instruction, of *measured) ProfiledStep {
	s := ProfiledStep{At: in.pos.String(), Events: of.visits, Held: of.held}
	if in.do == branch {
		where := p.i.arms[in.pos]
		s.Kind, s.Condition = where.word, where.cond
	} else {
		s.Kind, s.Plugin = "filter", p.w.p.Plugins[in.plugin].Name
		s.ID = p.id(in.pos)
	}
	each := of.took.mean()
	s.Each, s.Time = time.Duration(each), time.Duration(each*float64(of.visits))
	return s
}

// id gives the id that the configuration gives to a plugin; "" if it does not.
func (p *Profiler) id(pos syntax.Pos) string {
	if of := p.i.plugins[pos].plugin; of != nil && of.Attribute("id") != nil {
		for i := range p.w.p.Plugins {
			if p.w.p.Plugins[i].Pos == pos {
				return p.w.p.Plugins[i].ID
			}
		}
	}
	return ""
}

func (p *Profiler) pattern(key tryKey, scale float64) ProfiledPattern {
	of := p.tries[key]
	x := ProfiledPattern{
		At: key.at.String(), ID: p.id(key.at), Field: key.field, Pattern: key.pattern,
		Tried: of.tried, Matched: of.matched, Skipped: of.skipped, GaveUp: of.gaveUp,
		EachMatch: time.Duration(of.tookMatch.mean()), EachFail: time.Duration(of.tookFail.mean()),
		Time: time.Duration((of.tookMatch.mean()*float64(of.tookMatch.n) + of.tookFail.mean()*float64(of.tookFail.n)) * scale),
	}
	if of.matched > 0 {
		x.StepsMatch = float64(of.stepsMatch) / float64(of.matched)
	}
	if failed := of.tried - of.matched - of.skipped - of.gaveUp; failed > 0 {
		x.StepsFail = float64(of.stepsFail) / float64(failed)
	}
	if of.tried > 0 {
		x.Bytes = float64(of.bytes) / float64(of.tried)
	}
	return x
}
