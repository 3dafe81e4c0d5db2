package filter

import (
	"errors"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// JSON reads a text as JSON. Without a target it must be an object, whose members become fields: a name with brackets is a
// reference to a field inside of others, existing fields are replaced, tags are replaced, and @timestamp is read as a time.
// Numbers with a fraction or an exponent keep their digits (1.10 stays 1.10).
//
// A field that is missing, null or false is passed over. A text of blanks only is null. If a member cannot be set, those
// before it stay, and the event gets the tags of tag_on_failure.
//
// Source: logstash-filter-json 3.2, jrjackson.
//
// Differences:
//   - a source that is no field reference is an error of the configuration; Logstash tags every event;
//   - several values one behind the other are invalid; Logstash takes the last;
//   - objects and lists of more than 1,000 levels are invalid, and so are numbers of more than 10,000 bytes.
type JSON struct {
	option.Common
	Source            *event.Ref `ls:"source,required" doc:"the field that has the JSON"`
	Target            *event.Ref `ls:"target" doc:"the field that gets the value; the root of the event if there is none"`
	TagOnFailure      []string   `ls:"tag_on_failure" default:"_jsonparsefailure" doc:"the tags of an event whose text is no JSON, or no object where one is needed"`
	ECS               string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"has no effect: the fields are those of the JSON"`
	SkipOnInvalidJSON bool       `ls:"skip_on_invalid_json" default:"false" doc:"whether invalid JSON is passed over without a tag"`
}

type jsonFilter struct {
	*JSON
	where   string
	members event.Fields // of the object that is read; each worker has its own
}

// Setup implements Plugin.
func (j *JSON) Setup(s *Setup) (Filter, error) { return &jsonFilter{JSON: j, where: s.Where}, nil }

// Fork implements Forker.
func (f *jsonFilter) Fork() Filter { return &jsonFilter{JSON: f.JSON, where: f.where} }

// Errors of json.
var (
	errInvalidJSON = errors.New("no JSON") // passed over if skip_on_invalid_json says so
	errNoObject    = errors.New("only an object can become fields: give a target")
)

// Filter implements Filter.
func (f *jsonFilter) Filter(x *Context, e *event.Event) {
	source := e.Get(f.Source)
	if source.Nil() || source.Kind() == event.Bool && !source.Bool() {
		return
	}
	err := f.read(x, e, source)
	if err == nil {
		err = f.Matched(e)
	}
	if err == nil || f.SkipOnInvalidJSON && errors.Is(err, errInvalidJSON) {
		return
	}
	x.Log.Warn("json cannot use a text", "filter", f.where, "source", f.Source.String(), "error", err)
	for _, tag := range f.TagOnFailure {
		e.Tag(tag)
	}
}

func (f *jsonFilter) read(x *Context, e *event.Event, source event.Value) error {
	if source.Kind() != event.String {
		return errors.Join(errInvalidJSON, errors.New("it is "+source.Kind().String()))
	}
	options := event.JSONOptions{Decimals: true, Arena: e.Arena()}
	text := strings.TrimLeft(source.Str(), " \t\r\n")
	if f.Target == nil && strings.HasPrefix(text, "{") {
		if err := f.members.ParseJSON(bytesOf(text), options); err != nil {
			return errors.Join(errInvalidJSON, err)
		}
		return f.spread(x, e)
	}
	v := event.NullValue
	if text != "" {
		var err error
		if v, err = event.ParseJSON(bytesOf(text), options); err != nil {
			return errors.Join(errInvalidJSON, err)
		}
	}
	if f.Target == nil {
		return errNoObject
	}
	return e.Set(f.Target, v)
}

// spread makes fields of the members of the object that was read.
func (f *jsonFilter) spread(x *Context, e *event.Event) error {
	given := f.members.Delete("@timestamp")
	for _, m := range f.members.Entries() {
		if err := setNamed(x, e, m.Key, m.Value); err != nil {
			return err
		}
	}
	if given.Nil() || given.Kind() == event.Bool && !given.Bool() {
		return nil
	}
	if t, ok := event.ParseTimestamp(given.Str()); ok && given.Kind() == event.String {
		e.SetTimestamp(t)
		return nil
	}
	e.SetTimestamp(x.Now())
	e.Tag("_timestampparsefailure")
	return e.SetField("_@timestamp", event.StringValue(rubyText(given)))
}
