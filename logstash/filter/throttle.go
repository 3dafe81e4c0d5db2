package filter

import (
	"strconv"
	"strings"
	"sync"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Throttle counts the events of a key in periods of time, and marks those before or after a count.
//
// The common options run for the events that are too many or too few: add_tag marks them, a drop behind it drops them.
// Periods are told by @timestamp; they begin with the first event of a key.
//
// Source: LogStash::Filters::Throttle of logstash-filter-throttle 4.0.
type Throttle struct {
	option.Common
	Key         *event.Format `ls:"key,required" doc:"what the events that are counted together have in common: a text with references"`
	BeforeCount int64         `ls:"before_count" default:"-1" doc:"events before this one in a period are marked; -1: none"`
	AfterCount  int64         `ls:"after_count" default:"-1" doc:"events after this one in a period are marked; -1: none"`
	Period      *event.Format `ls:"period" default:"60" doc:"how many seconds a period is long; a text with references"`
	MaxAge      int64         `ls:"max_age" default:"3600" doc:"how many seconds of a key's time its counts are kept"`
	MaxCounters int64         `ls:"max_counters" default:"100000" doc:"above so many counts max_age is lowered; -1: never"`

	mu   sync.Mutex // guards keys and age
	keys map[string]*slots
	age  int64
}

// slots are the counts of a key by the seconds at which their periods begin.
type slots struct {
	created, latest int64
	counts          map[int64]int64
}

// Setup implements Plugin.
func (t *Throttle) Setup(*Setup) (Filter, error) {
	t.keys, t.age = map[string]*slots{}, t.MaxAge
	return t, nil
}

// Filter implements Filter.
func (t *Throttle) Filter(x *Context, e *event.Event) {
	key, err := t.Key.Text(e)
	period, err2 := t.Period.Text(e)
	at, ok := e.Timestamp()
	if err != nil || err2 != nil || !ok {
		x.Log.Warn("an event without @timestamp cannot be counted", "filter", "throttle")
		return
	}
	seconds := leadingSeconds(period)
	if seconds == 0 {
		seconds = 60
	}
	count := t.count(key, at.Unix(), seconds)
	if t.BeforeCount != -1 && count < t.BeforeCount || t.AfterCount != -1 && count > t.AfterCount {
		succeed(x, "throttle", &t.Common, e)
	}
}

// leadingSeconds gives the number that a text begins with; 0 if it begins with none.
func leadingSeconds(s string) int64 {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[end] == '-') {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (t *Throttle) count(key string, epoch, period int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.keys[key]
	if s == nil {
		s = &slots{created: epoch, latest: epoch, counts: map[int64]int64{}}
		t.keys[strings.Clone(key)] = s
	}
	s.latest = max(s.latest, epoch)
	into := (epoch - s.created) % period
	if into != 0 && (into < 0) != (period < 0) {
		into += period
	}
	slot := epoch - into
	s.counts[slot]++
	count := s.counts[slot]
	latest := slot
	for begin := range s.counts {
		latest = max(latest, begin)
	}
	for begin := range s.counts {
		if begin < latest-t.age {
			delete(s.counts, begin)
		}
	}
	return count
}

// Flush implements Flusher: keys that are too old are forgotten, and max_age is adapted to the number of counts.
func (t *Throttle) Flush(x *Context, _ bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	latest := int64(0)
	for _, s := range t.keys {
		latest = max(latest, s.latest)
	}
	total := int64(0)
	for key, s := range t.keys {
		if s.latest < latest-t.age {
			delete(t.keys, key)
		} else {
			total += int64(len(s.counts))
		}
	}
	if t.MaxCounters == -1 {
		return
	}
	const least, most, below, step = 5, 100, 80, 5 // percent
	switch {
	case total > t.MaxCounters && t.age > t.MaxAge*least/100:
		t.age -= t.MaxAge * step / 100
		x.Log.Warn("throttle has more counts than max_counters and lowers max_age", "counts", total, "max_age", t.age)
	case t.age < t.MaxAge*most/100 && total < t.MaxCounters*below/100:
		t.age += t.MaxAge * step / 100
		x.Log.Warn("throttle raises max_age again", "counts", total, "max_age", t.age)
	}
}
