package filter

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/ruby"
)

// aggregateMaps are the maps of all aggregate filters of a pipeline, by the pattern of their task_id.
type aggregateMaps struct {
	mu    sync.Mutex // guards all, and is held while code runs
	tasks map[string]*tasks
	saver *Aggregate // which has aggregate_maps_path
}

// tasks are the maps of one pattern, in the order they were made.
type tasks struct {
	order   *list.List // of *ruby.Element
	places  map[string]*list.Element
	owner   *Aggregate // the filter that has the options of timeouts
	flushed time.Time
	often   bool // some map has a timeout of its own
}

func (m *aggregateMaps) of(pattern string) *tasks {
	t := m.tasks[pattern]
	if t == nil {
		t = &tasks{order: list.New(), places: map[string]*list.Element{}}
		m.tasks[pattern] = t
	}
	return t
}

func (t *tasks) get(id string) *ruby.Element {
	if p := t.places[id]; p != nil {
		return p.Value.(*ruby.Element)
	}
	return nil
}

func (t *tasks) add(e *ruby.Element) { t.places[e.TaskID] = t.order.PushBack(e) }

func (t *tasks) remove(id string) {
	if p := t.places[id]; p != nil {
		t.order.Remove(p)
		delete(t.places, id)
	}
}

// first removes the oldest map.
func (t *tasks) first() *ruby.Element {
	e := t.order.Front().Value.(*ruby.Element)
	t.remove(e.TaskID)
	return e
}

// load reads maps that save wrote, and removes the file.
func (m *aggregateMaps) load(path string) error {
	in, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	v, err := event.ParseJSON(in, event.JSONOptions{})
	if err != nil || v.Kind() != event.Map {
		return fmt.Errorf("%s holds no maps of this filter: %w", path, err)
	}
	for _, pattern := range v.Map().Entries() {
		for _, saved := range pattern.Value.List() {
			f := saved.Map()
			if f == nil {
				continue
			}
			e := &ruby.Element{TaskID: f.Get("task_id").Text(), Map: ruby.MapOf(f.Get("map"))}
			e.Created, _ = event.ParseTimestamp(f.Get("created").Str())
			e.Last, _ = event.ParseTimestamp(f.Get("last").Str())
			m.of(pattern.Key).add(e)
		}
	}
	return os.Remove(path)
}

// save writes all maps as JSON; no file if there are none.
func (m *aggregateMaps) save(path string) error {
	out := event.MapValue()
	for pattern, t := range m.tasks {
		var saved []event.Value
		for p := t.order.Front(); p != nil; p = p.Next() {
			e := p.Value.(*ruby.Element)
			v, err := e.Map.Value()
			if err != nil {
				return fmt.Errorf("the map of task %s: %w", e.TaskID, err)
			}
			one := event.MapValue()
			one.Map().Set("task_id", event.StringValue(e.TaskID))
			one.Map().Set("created", event.TimeValue(e.Created))
			one.Map().Set("last", event.TimeValue(e.Last))
			one.Map().Set("map", v)
			saved = append(saved, one)
		}
		if len(saved) > 0 {
			out.Map().Set(pattern, event.ListValue(saved))
		}
	}
	if out.Map().Len() == 0 {
		return nil
	}
	return os.WriteFile(path, event.AppendJSON(nil, out), 0o600)
}
