package filter

import (
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/ruby"
)

// Aggregate gathers what several events of one task say into a map, and puts it into the last event or an event of its own.
//
// The filters of a pipeline that have the same task_id share their maps. One event at a time is in any of them. Options of
// timeouts can be given to one filter of each task_id only.
//
// Source: LogStash::Filters::Aggregate of logstash-filter-aggregate 2.10.
//
// Differences:
//   - The code is the part of Ruby that the filter ruby has.
//   - Maps in aggregate_maps_path are JSON, not Ruby's Marshal: files of Logstash cannot be read, and symbols and times in
//     maps come back as strings.
//   - An event without the field of timeout_timestamp_field gets the tag _aggregateexception; Logstash stops the pipeline.
type Aggregate struct {
	option.Common
	TaskID            string          `ls:"task_id,required" doc:"what the events of a task have in common: a text with references"`
	Code              string          `ls:"code,required" doc:"code that runs for each event, with the variables event, map, map_meta and new_event_block"`
	MapAction         string          `ls:"map_action" default:"create_or_update" enum:"create|update|create_or_update" doc:"whether the map has to be new, has to be there, or may be either"`
	EndOfTask         bool            `ls:"end_of_task" default:"false" doc:"whether the map is removed after the code"`
	MapsPath          string          `ls:"aggregate_maps_path" doc:"file that keeps the maps while the pipeline is stopped"`
	Timeout           *float64        `ls:"timeout" doc:"seconds after which a map is removed (1800 unless given)"`
	InactivityTimeout *float64        `ls:"inactivity_timeout" doc:"seconds after the last event of a task after which its map is removed"`
	TimeoutCode       string          `ls:"timeout_code" doc:"code that runs for an event made of a map, which is the variable event"`
	PushOnTimeout     bool            `ls:"push_map_as_event_on_timeout" default:"false" doc:"whether a map becomes an event when its time is over"`
	PushPrevious      bool            `ls:"push_previous_map_as_event" default:"false" doc:"whether the oldest map becomes an event when another one is made"`
	TimestampField    *event.Ref      `ls:"timeout_timestamp_field" doc:"field whose time counts for timeouts, instead of the clock"`
	TaskIDField       *event.Ref      `ls:"timeout_task_id_field" doc:"field of an event made of a map that gets the task's id"`
	TimeoutTags       []*event.Format `ls:"timeout_tags" doc:"tags of an event made of a map"`
	WarningThreshold  int64           `ls:"map_count_warning_threshold" default:"5000" doc:"how many maps there may be without a warning; 0: any number"`

	id           *event.Format
	code, onTime *ruby.Program
	maps         *aggregateMaps
	mine         *tasks
	log          *slog.Logger
	sinceWarning int64
	path         string
}

const defaultAggregateTimeout = 1800

var namesField = regexp.MustCompile(`%\{.+\}`)

// Setup implements Plugin.
func (a *Aggregate) Setup(s *Setup) (Filter, error) {
	a.log = s.Log
	if !namesField.MatchString(a.TaskID) {
		return nil, option.Errorf("task_id", "expected a text with a reference like %%{field}, found %q", a.TaskID)
	}
	a.id = event.ParseFormat(a.TaskID)
	var err error
	params := []string{"event", "map", "map_meta", "new_event_block"}
	if a.code, err = ruby.Compile(a.Code, ruby.Options{Params: params, Keeps: true}); err != nil {
		return nil, option.Errorf("code", "%w", err)
	}
	if a.TimeoutCode != "" {
		if a.onTime, err = ruby.Compile(a.TimeoutCode, ruby.Options{Params: []string{"event"}}); err != nil {
			return nil, option.Errorf("timeout_code", "%w", err)
		}
	}
	if limit := value(a.Timeout, defaultAggregateTimeout); a.InactivityTimeout != nil && *a.InactivityTimeout > limit {
		return nil, option.Errorf("inactivity_timeout", "expected at most the timeout, %v seconds, found %v", limit, *a.InactivityTimeout)
	}
	a.maps = s.Shared.Of("aggregate", func() any { return &aggregateMaps{tasks: map[string]*tasks{}} }).(*aggregateMaps)
	a.maps.mu.Lock()
	defer a.maps.mu.Unlock()
	a.mine = a.maps.of(a.TaskID)
	if a.Timeout != nil || a.InactivityTimeout != nil || a.onTime != nil || a.PushOnTimeout || a.PushPrevious || a.TimestampField != nil || a.TaskIDField != nil || len(a.TimeoutTags) > 0 {
		if a.mine.owner != nil {
			return nil, option.Errorf("task_id", "another aggregate filter with %q has options of timeouts: give all of them to one filter", a.TaskID)
		}
		a.mine.owner = a
	}
	if a.MapsPath == "" {
		return a, nil
	}
	if a.maps.saver != nil {
		return nil, option.Errorf("aggregate_maps_path", "another aggregate filter has this option: give it to one only")
	}
	a.maps.saver = a
	if a.path = a.MapsPath; !filepath.IsAbs(a.path) {
		a.path = filepath.Join(s.Dir, a.path)
	}
	if err := a.maps.load(a.path); err != nil {
		return nil, option.Errorf("aggregate_maps_path", "%w", err)
	}
	return a, nil
}

func value(f *float64, other float64) float64 {
	if f == nil {
		return other
	}
	return *f
}

// owner gives the filter whose options of timeouts hold for the maps.
func (a *Aggregate) owner() *Aggregate {
	if a.mine.owner == nil {
		a.mine.owner = a
	}
	return a.mine.owner
}

func (a *Aggregate) timeouts() (timeout, inactivity float64) {
	timeout = value(a.Timeout, defaultAggregateTimeout)
	return timeout, value(a.InactivityTimeout, timeout)
}

// Filter implements Filter.
func (a *Aggregate) Filter(x *Context, e *event.Event) {
	id, err := a.id.Text(e)
	if err != nil || id == a.TaskID {
		return
	}
	ok, made := a.run(x, e, strings.Clone(id))
	if ok {
		succeed(x, "aggregate", &a.Common, e)
	}
	if made != nil {
		x.Emit(made)
	}
}

// run runs the code with the map of the event's task. What it makes of a map goes behind the event.
func (a *Aggregate) run(x *Context, e *event.Event, id string) (ok bool, made *event.Event) {
	a.maps.mu.Lock()
	defer a.maps.mu.Unlock()
	a.warnOfMany()
	now := x.Now()
	at := now
	if a.TimestampField != nil {
		field := e.Get(a.TimestampField)
		if field.Kind() != event.Time {
			e.Tag("_aggregateexception")
			return false, nil
		}
		at = field.Time()
		made = a.expire(x, id, at)
	}
	m := a.mine.get(id)
	if m == nil {
		if a.MapAction == "update" {
			return false, made
		}
		if a.PushPrevious && a.mine.order.Len() > 0 {
			previous := a.mine.first()
			made = a.event(x, previous)
		}
		m = &ruby.Element{TaskID: id, Map: ruby.NewMap(), Created: at, CreatedBehind: int64(now.Sub(at).Seconds())}
		a.mine.add(m)
	} else if a.MapAction == "create" {
		return false, made
	}
	m.Last, m.LastBehind = at, int64(now.Sub(at).Seconds())
	if err := a.code.Run(env(x), e, m.Map, m, ruby.Block{}); err != nil {
		a.log.Error("aggregate exception occurred", "error", err)
		e.Tag("_aggregateexception")
	} else {
		ok = true
	}
	if a.EndOfTask {
		a.mine.remove(id)
	}
	if m.Timeout == nil && m.Inactivity == nil {
		return ok, made
	}
	if owner := a.owner(); value(m.Timeout, 1) == 0 || value(m.Inactivity, 1) == 0 {
		a.mine.remove(id)
		made = nil
		if owner.PushOnTimeout {
			made = a.event(x, m)
		}
	} else {
		a.mine.often = true
		made = nil
	}
	return ok, made
}

// expire removes the map of a task whose time was over when an event came.
func (a *Aggregate) expire(x *Context, id string, at time.Time) *event.Event {
	m := a.mine.get(id)
	if m == nil {
		return nil
	}
	timeout, inactivity := a.timeouts()
	if !m.Created.Before(ago(at, value(m.Timeout, timeout))) && !m.Last.Before(ago(at, value(m.Inactivity, inactivity))) {
		return nil
	}
	a.mine.remove(id)
	if a.PushPrevious || a.PushOnTimeout {
		return a.event(x, m)
	}
	return nil
}

func ago(t time.Time, seconds float64) time.Time {
	return t.Add(-time.Duration(seconds * float64(time.Second)))
}

// event makes an event of a map.
func (a *Aggregate) event(x *Context, m *ruby.Element) *event.Event {
	e := x.New()
	e.Reset()
	if err := m.Map.Event(e, x.Now()); err != nil {
		a.log.Error("the map of a task cannot become an event", "task", m.TaskID, "error", err)
		e.Tag("_aggregateexception")
	}
	if a.TaskIDField != nil {
		set(x, "aggregate", e, a.TaskIDField, event.StringValue(m.TaskID))
	}
	for _, f := range a.TimeoutTags {
		if tag, err := f.Text(e); err == nil {
			e.AddTag(tag)
		}
	}
	if a.onTime != nil {
		if err := a.onTime.Run(env(x), e); err != nil {
			a.log.Error("aggregate exception occurred", "error", err)
			e.Tag("_aggregateexception")
		}
	}
	return e
}

// warnOfMany warns that there are many maps: at once, and then each time that a fifth of the threshold of events has come.
func (a *Aggregate) warnOfMany() {
	if a.WarningThreshold == 0 {
		return
	}
	n := int64(a.mine.order.Len())
	if n < a.WarningThreshold {
		a.sinceWarning = 0
		return
	}
	if a.sinceWarning == 0 {
		a.log.Warn("aggregate has many maps in memory", "task_id", a.TaskID, "maps", n, "threshold", a.WarningThreshold)
	}
	a.sinceWarning = (a.sinceWarning + 1) % max(1, a.WarningThreshold/5)
}

// Flush implements Flusher: it removes the maps whose time is over.
func (a *Aggregate) Flush(x *Context, final bool) {
	for _, e := range a.expired(x, final) {
		if final {
			e.Tag("_aggregatefinalflush")
		}
		x.Emit(e)
	}
}

func (a *Aggregate) expired(x *Context, final bool) (made []*event.Event) {
	a.maps.mu.Lock()
	defer a.maps.mu.Unlock()
	if a.owner() != a {
		return nil
	}
	now := x.Now()
	timeout, inactivity := a.timeouts()
	if due := a.mine.flushed.IsZero() || a.mine.flushed.Before(ago(now, inactivity/2)); !due && !final && !a.mine.often {
		return nil
	}
	var next = a.mine.order.Front()
	for p := next; p != nil; p = next {
		next = p.Next()
		m := p.Value.(*ruby.Element)
		created := m.Created.Add(time.Duration(m.CreatedBehind) * time.Second)
		last := m.Last.Add(time.Duration(m.LastBehind) * time.Second)
		if !created.Before(ago(now, value(m.Timeout, timeout))) && !last.Before(ago(now, value(m.Inactivity, inactivity))) {
			continue
		}
		a.mine.remove(m.TaskID)
		if a.PushPrevious || a.PushOnTimeout {
			made = append(made, a.event(x, m))
		}
	}
	if a.mine.order.Len() == 0 {
		a.mine.often = false
	}
	if final && a.PushPrevious && a.mine.order.Len() > 0 {
		made = append(made, a.event(x, a.mine.first()))
	}
	a.mine.flushed = now
	return made
}

// Close implements Closer: it saves the maps.
func (a *Aggregate) Close() error {
	if a.path == "" {
		return nil
	}
	a.maps.mu.Lock()
	defer a.maps.mu.Unlock()
	return a.maps.save(a.path)
}
