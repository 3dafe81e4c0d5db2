package ruby

import (
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
)

// read gives a value of an event to the program: lists and maps are copied, strings are shared. at is where it is.
func (x *exec) read(v event.Value, at *event.Value, level int) any {
	if level > mostLevels {
		x.raise(classArgumentError, "the event is nested too deeply")
	}
	switch v.Kind() {
	case event.Bool:
		return v.Bool()
	case event.Int:
		return v.Int()
	case event.Float:
		return v.Float()
	case event.BigInt:
		return v.Big()
	case event.Decimal:
		if d, ok := parseDecimal(v.Text()); ok {
			return d
		}
		return x.str(v.Text())
	case event.String:
		s := v.Str()
		x.alloc(64)
		if x.keeps {
			s = strings.Clone(s)
		}
		return &str{s: s, field: at, run: x.run}
	case event.Time:
		return &timestamp{v.Time()}
	case event.List:
		list := v.List()
		out := x.room(len(list))
		for i := range list {
			out = append(out, x.read(list[i], &list[i], level+1))
		}
		return &array{v: out}
	case event.Map:
		return x.readFields(v.Map(), level)
	}
	return nil
}

func (x *exec) readFields(f *event.Fields, level int) *hash {
	entries := f.Entries()
	x.alloc(64 * len(entries))
	h := &hash{list: make([]entry, 0, len(entries))}
	for i := range entries {
		key := entries[i].Key
		if x.keeps {
			key = strings.Clone(key)
		}
		h.list = append(h.list, entry{&str{s: key, frozen: true}, x.read(entries[i].Value, &entries[i].Value, level+1)})
	}
	return h
}

// write gives a value of the program to an event, as a copy.
func (x *exec) write(v any, level int) event.Value {
	if level > mostLevels {
		x.raise(classArgumentError, "the value is nested too deeply")
	}
	switch v := v.(type) {
	case nil:
		return event.NullValue
	case bool:
		return event.BoolValue(v)
	case int64:
		return event.IntValue(v)
	case float64:
		return event.FloatValue(v)
	case *str:
		v.buf = nil // what is appended from now on must not be seen
		return event.StringValue(v.s)
	case symbol:
		return event.StringValue(string(v))
	case *timestamp:
		return event.TimeValue(v.t)
	case *timeValue:
		return event.TimeValue(v.t)
	case *decimal:
		return event.DecimalValue(v.java())
	case *array:
		x.step(len(v.v))
		x.alloc(64 * len(v.v))
		list := make([]event.Value, len(v.v))
		for i, e := range v.v {
			list[i] = x.write(e, level+1)
		}
		return event.ListValue(list)
	case *hash:
		m := event.MapValue()
		x.writeFields(m.Map(), v, level)
		return m
	}
	if isNumber(v) {
		return event.BigValue(bigOf(v))
	}
	x.raise(classConverterError, "Missing Converter handling for full class name="+className(v))
	return event.Value{}
}

func (x *exec) writeFields(f *event.Fields, h *hash, level int) {
	x.step(len(h.list))
	x.alloc(96 * len(h.list))
	for _, e := range h.list {
		f.Set(x.toS(e.key), x.write(e.value, level+1))
	}
}

// ref gives the reference that an argument is.
func (x *exec) ref(v any) *event.Ref {
	s, ok := v.(*str)
	if !ok {
		x.raise(classTypeError, "wrong argument type "+className(v)+" (expected String)")
	}
	r, err := x.Refs.Get(s.s)
	if err != nil {
		x.raise(classRuntimeError, err.Error())
	}
	return r
}

func onEvent(min, max int, f func(x *exec, e *event.Event, a []any) any) builtin {
	return builtin{min, max, func(x *exec, s any, a []any, _ *proc) any { return f(x, s.(*eventObject).e, a) }, false}
}

func (x *exec) setTimestamp(e *event.Event, v any) {
	t, ok := v.(*timestamp)
	if !ok {
		x.raise(classTypeError, "wrong argument type "+className(v)+" (expected LogStash::Timestamp)")
	}
	e.SetTimestamp(t.t)
}

func cloneEvent(x *exec, e *event.Event, _ []any) any {
	x.alloc(1024)
	if x.New == nil {
		return &eventObject{e.Clone()}
	}
	c := x.New()
	e.CopyTo(c)
	return &eventObject{c}
}

var eventMethods = table{
	"get": onEvent(1, 1, func(x *exec, e *event.Event, a []any) any {
		r := x.ref(a[0])
		v := e.Get(r)
		if v.Kind() == event.String && r.Top() {
			return x.read(v, e.Fields().At(r.Name()), 0)
		}
		return x.read(v, nil, 0)
	}),
	"set": onEvent(2, 2, func(x *exec, e *event.Event, a []any) any {
		r := x.ref(a[0])
		if r.Top() && r.Name() == "@timestamp" {
			x.setTimestamp(e, a[1])
			return a[1]
		}
		if err := e.Set(r, x.write(a[1], 0)); err != nil {
			x.raise(classRuntimeError, err.Error())
		}
		return a[1]
	}),
	"remove":     onEvent(1, 1, func(x *exec, e *event.Event, a []any) any { return x.read(e.Remove(x.ref(a[0])), nil, 0) }),
	"include?":   onEvent(1, 1, func(x *exec, e *event.Event, a []any) any { return e.Includes(x.ref(a[0])) }),
	"cancel":     onEvent(0, 0, func(_ *exec, e *event.Event, _ []any) any { e.Cancel(); return true }),
	"uncancel":   onEvent(0, 0, func(_ *exec, e *event.Event, _ []any) any { e.Uncancel(); return false }),
	"cancelled?": onEvent(0, 0, func(_ *exec, e *event.Event, _ []any) any { return e.Cancelled() }),
	"tag":        onEvent(1, 1, func(x *exec, e *event.Event, a []any) any { e.Tag(strings.Clone(x.text(a[0]))); return nil }),
	"clone":      onEvent(0, 0, cloneEvent),
	"dup":        onEvent(0, 0, cloneEvent),
	"to_hash":    onEvent(0, 0, func(x *exec, e *event.Event, _ []any) any { return x.readFields(e.Fields(), 0) }),
	"to_hash_with_metadata": onEvent(0, 0, func(x *exec, e *event.Event, _ []any) any {
		h := x.readFields(e.Fields(), 0)
		if e.Metadata().Len() > 0 {
			h.set(x, newStr("@metadata"), x.readFields(e.Metadata(), 1))
		}
		return h
	}),
	"to_json": onEvent(0, -1, func(x *exec, e *event.Event, _ []any) any { return x.str(string(e.AppendJSON(nil))) }),
	"sprintf": onEvent(1, 1, func(x *exec, e *event.Event, a []any) any {
		text, err := event.ParseFormat(x.toS(a[0])).Text(e)
		if err != nil {
			x.raise(classRuntimeError, err.Error())
		}
		return x.str(text)
	}),
	"timestamp": onEvent(0, 0, func(_ *exec, e *event.Event, _ []any) any {
		if t, ok := e.Timestamp(); ok {
			return &timestamp{t}
		}
		return nil
	}),
	"timestamp=": onEvent(1, 1, func(x *exec, e *event.Event, a []any) any { x.setTimestamp(e, a[0]); return a[0] }),
	"overwrite": onEvent(1, 1, func(x *exec, e *event.Event, a []any) any {
		o, ok := a[0].(*eventObject)
		if !ok {
			x.raise(classTypeError, "wrong argument type "+className(a[0])+" (expected LogStash::Event)")
		}
		if o.e != e {
			o.e.CopyTo(e)
		}
		return &eventObject{e}
	}),
}

// newEvent is LogStash::Event.new.
func (x *exec) newEvent(args []any) any {
	var e *event.Event
	x.alloc(1024)
	if x.New != nil {
		e = x.New()
		e.Reset()
	} else {
		e = &event.Event{}
	}
	if len(args) > 0 && args[0] != nil {
		h, ok := args[0].(*hash)
		if !ok {
			x.raise(classTypeError, "wrong argument type "+className(args[0])+" (expected Hash)")
		}
		x.writeFields(e.Fields(), h, 0)
	}
	e.Complete(x.now())
	return &eventObject{e}
}

// parseJSON is JSON.parse.
func (x *exec) parseJSON(text string, symbols bool) any {
	x.step(len(text) / 8)
	x.alloc(4 * len(text))
	v, err := event.ParseJSON([]byte(text), event.JSONOptions{})
	if err != nil {
		x.raise(classJSONError, err.Error())
	}
	out := x.read(v, nil, 0)
	if symbols {
		out = x.symbolize(out)
	}
	return out
}

func (x *exec) symbolize(v any) any {
	switch v := v.(type) {
	case *array:
		for i := range v.v {
			v.v[i] = x.symbolize(v.v[i])
		}
	case *hash:
		for i := range v.list {
			v.list[i] = entry{symbol(x.toS(v.list[i].key)), x.symbolize(v.list[i].value)}
		}
		v.index = nil
	}
	return v
}

// jsonText is to_json.
func (x *exec) jsonText(v any) string {
	out := event.AppendJSON(nil, x.jsonValue(v, 0))
	x.alloc(len(out))
	return string(out)
}

// jsonValue is write, but what has no JSON is its text.
func (x *exec) jsonValue(v any, level int) event.Value {
	if level > mostLevels {
		x.raise(classArgumentError, "nesting of 100 is too deep")
	}
	switch v := v.(type) {
	case *array:
		list := make([]event.Value, len(v.v))
		for i, e := range v.v {
			list[i] = x.jsonValue(e, level+1)
		}
		return event.ListValue(list)
	case *hash:
		m := event.MapValue()
		for _, e := range v.list {
			m.Map().Set(x.toS(e.key), x.jsonValue(e.value, level+1))
		}
		return m
	case *timeValue:
		return event.StringValue(v.String())
	case *eventObject:
		m := event.MapValue()
		for _, f := range v.e.Fields().Entries() {
			m.Map().Set(f.Key, f.Value)
		}
		return m
	}
	switch kindOf(v) {
	case kRange, kRegexp, kMatch, kClass, kException, kProc, kEnumerator, kLogger, kElement, kMain, kDecimal:
		return event.StringValue(x.toS(v))
	}
	return x.write(v, level)
}

// Event makes an event of a Map, as LogStash::Event.new does. It is added to e, which must be empty.
func (m *Map) Event(e *event.Event, now time.Time) error {
	x := &exec{steps: DefaultSteps, memory: DefaultMemory}
	_, exc := x.try(func(x *exec) any {
		x.writeFields(e.Fields(), m.hash, 0)
		return nil
	})
	e.Complete(now)
	if exc != nil {
		return &Exception{Class: exc.class.name, Message: exc.text()}
	}
	return nil
}

// Value gives a copy of a Map as a value of events.
func (m *Map) Value() (event.Value, error) {
	x := &exec{steps: DefaultSteps, memory: DefaultMemory}
	v := event.MapValue()
	if _, exc := x.try(func(x *exec) any { x.writeFields(v.Map(), m.hash, 0); return nil }); exc != nil {
		return event.Value{}, &Exception{Class: exc.class.name, Message: exc.text()}
	}
	return v, nil
}

// MapOf makes a Map of a map of events. It keeps nothing of v.
func MapOf(v event.Value) *Map {
	x := &exec{steps: DefaultSteps, memory: DefaultMemory, keeps: true}
	if v.Kind() != event.Map {
		return NewMap()
	}
	return &Map{hash: x.readFields(v.Map(), 0)}
}

// An Element is what the filter aggregate knows of a map: map_meta of its code.
type Element struct {
	TaskID              string
	Map                 *Map
	Created, Last       time.Time
	Timeout, Inactivity *float64 // seconds, set by the code; nil: those of the filter
	CreatedBehind       int64    // seconds that the clock was ahead of Created
	LastBehind          int64    // … of Last
}

func seconds(x *exec, v any) *float64 {
	if v == nil {
		return nil
	}
	f := floatOf(x.number(v, int64(0)))
	return &f
}

func given(f *float64) any {
	if f == nil {
		return nil
	}
	if *f == float64(int64(*f)) {
		return int64(*f)
	}
	return *f
}

var elementMethods = table{
	"task_id":             {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*Element).TaskID) }, false},
	"map":                 {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*Element).Map.hash }, false},
	"creation_timestamp":  {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return &timeValue{s.(*Element).Created} }, false},
	"lastevent_timestamp": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return &timeValue{s.(*Element).Last} }, false},
	"timeout":             {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return given(s.(*Element).Timeout) }, false},
	"inactivity_timeout":  {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return given(s.(*Element).Inactivity) }, false},
	"timeout=":            {1, 1, func(x *exec, s any, a []any, _ *proc) any { s.(*Element).Timeout = seconds(x, a[0]); return a[0] }, false},
	"inactivity_timeout=": {1, 1, func(x *exec, s any, a []any, _ *proc) any { s.(*Element).Inactivity = seconds(x, a[0]); return a[0] }, false},
}
