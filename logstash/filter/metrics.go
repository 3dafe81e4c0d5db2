package filter

import (
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Metrics counts events and measures values of theirs, and tells the figures from time to time in an event of its own.
//
// The event has the name of the host in message, and for every name of meter and timer a field with these in it:
//
//   - count: how many events there were since the start, or since all was cleared.
//   - rate_1m, rate_5m and rate_15m: events in a second, as averages in which the older ones weigh less and less.
//   - min, max and mean of a timer's values, and stddev, the square root of their standard deviation.
//   - p1, p5 and so on: percentiles of a timer's values. After 1028 values they are those of a sample of the latest minutes.
//
// Rates change in steps of five seconds, so they are 0 for the first ones. The common options run for the event that is made,
// not for those that are counted: add_tag marks it. Values below 0 are not counted.
//
// Source: LogStash::Filters::Metrics of logstash-filter-metrics 4.0, and metriks 0.9.9 for its figures.
//
// Differences:
//   - A name that is one of a meter and of a timer has the fields of the timer; Logstash stops the pipeline.
//   - A name that cannot be a field is left out, with a warning; Logstash stops the pipeline.
//   - Values too large for a number are not counted.
//   - The rates of a name that has not come for a whole clear_interval begin anew; in Logstash they rise slowly.
type Metrics struct {
	option.Common
	Meter           []*event.Format `ls:"meter" doc:"names under which events are counted: texts with references"`
	Timer           option.Hash     `ls:"timer" doc:"names under which values are measured, and the values: texts with references"`
	FlushInterval   float64         `ls:"flush_interval" default:"5" doc:"every how many seconds an event is made; a multiple of 5"`
	ClearInterval   float64         `ls:"clear_interval" default:"-1" doc:"every how many seconds all is forgotten when an event is made; a multiple of 5; -1: never"`
	IgnoreOlderThan float64         `ls:"ignore_older_than" default:"0" doc:"events whose @timestamp is older than so many seconds are not counted; 0: all are"`
	Rates           []int64         `ls:"rates" default:"1,5,15" doc:"over how many minutes rates are made: 1, 5 and 15"`
	Percentiles     []float64       `ls:"percentiles" default:"1,5,10,90,95,99,100" doc:"which percentiles of a timer's values are made, from 0 to 100"`

	timers      []timed
	percentiles []string // the names of their fields
	host        string

	mu                       sync.Mutex // guards what follows
	meters, measures         *figures
	sinceFlush, sinceCleared float64 // seconds, in steps of five
}

// timed is an entry of the option timer.
type timed struct{ name, value *event.Format }

// figures are what is kept for names, in the order in which they came.
type figures struct {
	byName map[string]*figure
	order  []*figure
	// before are those of the time before all was cleared: who comes again goes on with the steps of its rates.
	before map[string]*figure
}

// figure is what is kept for a name.
type figure struct {
	name   string
	rates  rates
	values *measured // nil for a meter
}

// Setup implements Plugin.
func (m *Metrics) Setup(s *Setup) (Filter, error) {
	var wrong problems
	for _, minutes := range m.Rates {
		if minutes != 1 && minutes != 5 && minutes != 15 {
			wrong = append(wrong, errors.New("expected 1, 5 or 15 minutes, found "+strconv.FormatInt(minutes, 10)))
		}
	}
	errs := []error{wrong.of("rates")}
	wrong = nil
	for _, p := range m.Percentiles {
		text := strconv.FormatFloat(p, 'f', -1, 64)
		if p < 0 || p > 100 {
			wrong = append(wrong, errors.New("expected a number from 0 to 100, found "+text))
		}
		m.percentiles = append(m.percentiles, "p"+text)
	}
	errs = append(errs, wrong.of("percentiles"))
	wrong = nil
	for _, p := range m.Timer {
		switch p.Value.(type) {
		case string, int64, float64:
			m.timers = append(m.timers, timed{s.Style.ParseFormat(p.Key), s.Style.ParseFormat(option.Text(p.Value))})
		default:
			wrong = append(wrong, errors.New("expected one value for "+strconv.Quote(p.Key)+", found "+option.Text(p.Value)))
		}
	}
	if err := errors.Join(append(errs, wrong.of("timer"))...); err != nil {
		return nil, err
	}
	m.meters, m.measures = &figures{byName: map[string]*figure{}}, &figures{byName: map[string]*figure{}}
	m.host, _ = os.Hostname()
	return m, nil
}

// Filter implements Filter.
func (m *Metrics) Filter(x *Context, e *event.Event) {
	now := x.Now()
	if m.IgnoreOlderThan > 0 {
		at, ok := e.Timestamp()
		if !ok {
			x.Log.Warn("an event without @timestamp is not counted, for nobody knows how old it is", "filter", "metrics")
			return
		}
		if now.Sub(at).Seconds() > m.IgnoreOlderThan {
			return
		}
	}
	for _, f := range m.Meter {
		if name, ok := m.text(x, e, f); ok {
			m.mu.Lock()
			m.meters.of(name, now, false).rates.mark(now)
			m.mu.Unlock()
		}
	}
	for _, t := range m.timers {
		text, ok := m.text(x, e, t.value)
		if !ok {
			continue
		}
		value := metricValue(text)
		if name, ok := m.text(x, e, t.name); ok {
			m.mu.Lock()
			if f := m.measures.of(name, now, true); value >= 0 && !math.IsInf(value, 0) {
				f.rates.mark(now)
				f.values.add(value, now)
			}
			m.mu.Unlock()
		}
	}
}

// text evaluates a format. The text is in the scratch of the worker.
func (m *Metrics) text(x *Context, e *event.Event, f *event.Format) ([]byte, bool) {
	out, err := f.Append(x.Buf[:0], e)
	x.Buf = out
	if err != nil {
		x.Log.Warn("a name or a value of a metric cannot be made", "filter", "metrics", "format", f.String(), "error", err)
		return nil, false
	}
	return out, true
}

// of gives what is kept for a name; it is made if there is nothing yet.
func (f *figures) of(name []byte, now time.Time, timer bool) *figure {
	if have := f.byName[string(name)]; have != nil {
		return have
	}
	made := f.before[string(name)]
	if made == nil {
		made = &figure{name: string(name)}
		made.clear(now, timer)
	}
	f.byName[made.name] = made
	f.order = append(f.order, made)
	return made
}

func (f *figure) clear(now time.Time, timer bool) {
	f.rates = rates{ticked: now}
	if timer {
		f.values = &measured{begun: now}
	}
}

// clear forgets all.
func (f *figures) clear(now time.Time) {
	for _, each := range f.order {
		each.clear(now, each.values != nil)
	}
	f.byName, f.before, f.order = map[string]*figure{}, f.byName, nil
}

// Flush implements Flusher: it is called every five seconds, and makes an event when its time has come and there is anything.
func (m *Metrics) Flush(x *Context, _ bool) {
	e := m.event(x)
	if e == nil {
		return
	}
	succeed(x, "metrics", &m.Common, e)
	x.Emit(e)
}

func (m *Metrics) event(x *Context) *event.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	const step = 5
	m.sinceFlush += step
	m.sinceCleared += step
	if m.sinceFlush < m.FlushInterval || len(m.meters.order)+len(m.measures.order) == 0 {
		return nil
	}
	m.sinceFlush = 0
	now := x.Now()
	e := x.New()
	e.Reset()
	e.Complete(now)
	_ = e.SetField("message", event.StringValue(m.host))
	for _, f := range m.meters.order {
		m.describe(x, e, f, now)
	}
	for _, f := range m.measures.order {
		m.describe(x, e, f, now)
	}
	if m.ClearInterval > 0 && m.sinceCleared >= m.ClearInterval {
		m.sinceCleared = 0
		m.meters.clear(now)
		m.measures.clear(now)
	}
	return e
}

// describe puts what is kept for a name into an event. What is wrong with its name is told once.
func (m *Metrics) describe(x *Context, e *event.Event, f *figure, now time.Time) {
	ok := true
	put := func(key string, v event.Value) {
		if !ok {
			return
		}
		r, err := x.Refs.Style.Parse("[" + f.name + "][" + key + "]")
		if err == nil {
			err = e.Set(r, v)
		}
		if ok = err == nil; !ok {
			x.Log.Warn("the name of a metric cannot be a field", "filter", "metrics", "name", f.name, "error", err)
		}
	}
	f.rates.tick(now)
	put("count", event.IntValue(f.rates.count))
	for i, minutes := range rateMinutes {
		for _, wanted := range m.Rates {
			if wanted == minutes {
				put("rate_"+strconv.FormatInt(minutes, 10)+"m", event.FloatValue(f.rates.perSecond[i]))
				break
			}
		}
	}
	if f.values == nil {
		return
	}
	put("min", event.FloatValue(f.values.least))
	put("max", event.FloatValue(f.values.most))
	put("stddev", event.FloatValue(math.Sqrt(f.values.deviation())))
	put("mean", event.FloatValue(f.values.mean()))
	sorted := f.values.sorted()
	for i, p := range m.Percentiles {
		put(m.percentiles[i], event.FloatValue(quantile(sorted, p/100)))
	}
}

// metricValue gives the number that a text begins with, as to_f of Ruby; 0 if it begins with none.
func metricValue(text []byte) float64 {
	s := strings.TrimLeft(string(text), " \t\n\v\f\r")
	at := signEnd(s, 0)
	end := digitsEnd(s, at)
	if end < len(s) && s[end] == '.' {
		if fraction := digitsEnd(s, end+1); fraction > end+1 {
			end = fraction
		}
	}
	if end > at && end < len(s) && s[end]|0x20 == 'e' {
		from := signEnd(s, end+1)
		if exponent := digitsEnd(s, from); exponent > from {
			end = exponent
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s[:end], "_", ""), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return f
}

// signEnd gives the place behind a sign that may be at a place.
func signEnd(s string, at int) int {
	if at < len(s) && (s[at] == '-' || s[at] == '+') {
		at++
	}
	return at
}

// digitsEnd gives the place behind the digits at a place. A single underscore may be between two.
func digitsEnd(s string, at int) int {
	isDigit := func(i int) bool { return i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9' }
	end := at
	for isDigit(end) || end > at && end < len(s) && s[end] == '_' && isDigit(end-1) && isDigit(end+1) {
		end++
	}
	return end
}
