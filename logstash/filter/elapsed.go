package filter

import (
	"os"
	"sync"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Elapsed measures the time between two events of a task, one with a start tag and one with an end tag.
//
// Source: LogStash::Filters::Elapsed of logstash-filter-elapsed 4.1.
type Elapsed struct {
	option.Common
	StartTag  string     `ls:"start_tag,required" doc:"tag of events that begin a task"`
	EndTag    string     `ls:"end_tag,required" doc:"tag of events that end a task"`
	IDField   *event.Ref `ls:"unique_id_field,required" doc:"field that names the task"`
	Timeout   float64    `ls:"timeout" default:"1800" doc:"seconds after which a task without an end is given up, with an event that says so"`
	NewEvent  bool       `ls:"new_event_on_match" default:"false" doc:"whether the time goes into an event of its own instead of the one that ends the task"`
	KeepStart string     `ls:"keep_start_event" default:"first" enum:"first|last" doc:"which of several events that begin a task counts"`

	mu     sync.Mutex // guards starts, order
	starts map[string]*started
	order  []*started
	host   string
}

// started is a task that has begun.
type started struct {
	id   event.Value
	at   time.Time
	age  float64 // seconds, in steps of five
	gone bool
}

// Setup implements Plugin.
func (l *Elapsed) Setup(*Setup) (Filter, error) {
	l.starts = map[string]*started{}
	l.host, _ = os.Hostname()
	return l, nil
}

// Filter implements Filter.
func (l *Elapsed) Filter(x *Context, e *event.Event) {
	id := e.Get(l.IDField)
	at, ok := e.Timestamp()
	if id.Nil() || !ok {
		return
	}
	key := string(event.AppendJSON(nil, id))
	switch {
	case e.HasTag(l.StartTag):
		succeed(x, "elapsed", &l.Common, e)
		l.mu.Lock()
		defer l.mu.Unlock()
		old := l.starts[key]
		if old != nil && l.KeepStart == "first" {
			return
		}
		if old != nil {
			old.at, old.age = at, 0
			return
		}
		s := &started{id: id.Own(), at: at}
		l.starts[key] = s
		l.order = append(l.order, s)
	case e.HasTag(l.EndTag):
		succeed(x, "elapsed", &l.Common, e)
		l.mu.Lock()
		s := l.starts[key]
		if s != nil {
			s.gone = true
			delete(l.starts, key)
		}
		l.mu.Unlock()
		if s == nil {
			e.Tag("elapsed_end_without_start")
			return
		}
		seconds := event.FloatValue(float64(at.UnixMicro()-s.at.UnixMicro()) / 1e6)
		if !l.NewEvent {
			l.describe(x, e, "elapsed_match", seconds, s)
			return
		}
		made := l.event(x)
		l.describe(x, made, "elapsed_match", seconds, s)
		succeed(x, "elapsed", &l.Common, made)
		x.Emit(made)
	}
}

func (l *Elapsed) event(x *Context) *event.Event {
	e := x.New()
	e.Reset()
	e.Complete(x.Now())
	_ = e.SetField("host", event.StringValue(l.host))
	return e
}

func (l *Elapsed) describe(x *Context, e *event.Event, tag string, seconds event.Value, s *started) {
	e.Tag("elapsed")
	e.Tag(tag)
	_ = e.SetField("elapsed_time", seconds)
	set(x, "elapsed", e, l.IDField, s.id.Clone())
	_ = e.SetField("elapsed_timestamp_start", event.TimeValue(s.at))
}

// Flush implements Flusher: it is called every five seconds, and gives up the tasks that are too old.
func (l *Elapsed) Flush(x *Context, _ bool) {
	l.mu.Lock()
	var late []*started
	kept := l.order[:0]
	for _, s := range l.order {
		if s.gone {
			continue
		}
		if s.age += 5; s.age < l.Timeout {
			kept = append(kept, s)
			continue
		}
		delete(l.starts, string(event.AppendJSON(nil, s.id)))
		late = append(late, s)
	}
	clear(l.order[len(kept):])
	l.order = kept
	l.mu.Unlock()
	for _, s := range late {
		e := l.event(x)
		l.describe(x, e, "elapsed_expired_error", event.IntValue(int64(s.age)), s)
		succeed(x, "elapsed", &l.Common, e)
		x.Emit(e)
	}
}
