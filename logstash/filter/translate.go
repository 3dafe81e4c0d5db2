package filter

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// Translate looks a field up in a dictionary, and sets another field to what it finds.
//
// A key is the whole value (exact), a regular expression that matches it (exact and regex: the first that does), or a part of
// it that is replaced (exact is false). Values that are no text count as Ruby prints them, a list by its first element. With
// iterate_on all elements of a list are looked up: those of the field itself, or the source inside of each of them. The
// target is left alone if it is there, unless override says otherwise. The common options are run if something was found, or
// if the target is the source.
//
// Keys of a YAML file must be texts: 200 without quotes is a number, and matches nothing.
//
// Source: logstash-filter-translate 3.4, Ruby's Psych.
//
// Differences:
//   - a file is read again by the first event after refresh_interval, and not in the background;
//   - the entries of dictionary are in the order they are written; Logstash has them in that of a Java HashMap;
//   - dates and symbols in a YAML file are texts; Logstash makes objects of them that an event cannot hold;
//   - a file that is not there any more when it is read again is warned of each time.
type Translate struct {
	option.Common
	Source           *event.Ref  `ls:"source" doc:"the field that is looked up"`
	Field            *event.Ref  `ls:"field,deprecated" instead:"use source" doc:"the older name of source"`
	Target           *event.Ref  `ls:"target" doc:"the field that gets what was found; translation, or the source with the schema, if not given"`
	Destination      *event.Ref  `ls:"destination,deprecated" instead:"use target" doc:"the older name of target"`
	Override         *bool       `ls:"override" doc:"whether a target that is there is replaced; true if it is the source, false otherwise"`
	Dictionary       option.Hash `ls:"dictionary" doc:"what is translated to what"`
	DictionaryPath   string      `ls:"dictionary_path,path" doc:"a file with the dictionary: .yml, .yaml, .json, or .csv"`
	CodePointLimit   *int64      `ls:"yaml_dictionary_code_point_limit" doc:"how many characters a YAML file may have; 134217728 if not given"`
	YAMLLoadStrategy string      `ls:"yaml_load_strategy" default:"one_shot" enum:"one_shot|streaming" doc:"how values of a YAML file get their types: as Ruby's Psych, or numbers, true, false and null only (streaming)"`
	RefreshInterval  float64     `ls:"refresh_interval" default:"300" doc:"after how many seconds the file is read again; 0 for never. If it is 300 or less, the file is only read if it has changed"`
	RefreshBehaviour string      `ls:"refresh_behaviour" default:"merge" enum:"merge|replace" doc:"whether keys that are not in the file any more stay when it is read again"`
	Exact            bool        `ls:"exact" default:"true" doc:"whether a key is the whole value; each part of the value that is a key is replaced otherwise"`
	Regex            bool        `ls:"regex" default:"false" doc:"whether keys are regular expressions, if exact is true"`
	Fallback         *string     `ls:"fallback" doc:"what the target gets if nothing is found; it may refer to fields"`
	IterateOn        string      `ls:"iterate_on" doc:"the list whose elements are looked up"`
	ECS              string      `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether the target is the source (with the schema) or translation; that of the pipeline if not given"`
}

type translate struct {
	*Translate
	where          string
	source, target *event.Ref
	iterateOn      *event.Ref
	override       bool
	inPlace        bool // the target is the source
	fallback       *event.Format
	memory         *dictionary
	file           *refreshed[dictionary]
	// The ways below an element of iterate_on.
	list, inSource, inTarget string
	update                   func(f *translate, x *Context, e *event.Event, d *dictionary) (bool, error)
	own                      *translateOwn
}

// translateOwn is what each worker has for itself.
type translateOwn struct {
	match regex.Match
	room  textRoom
}

// Setup implements Plugin.
func (t *Translate) Setup(s *Setup) (Filter, error) {
	f := &translate{Translate: t, where: s.Where, own: new(translateOwn)}
	if err := errors.Join(t.setDictionary(s, f), t.setFields(s, f)); err != nil {
		return nil, err
	}
	if t.Fallback != nil {
		f.fallback = s.Style.ParseFormat(*t.Fallback)
	}
	switch t.IterateOn {
	case "":
		f.update = (*translate).single
		return f, nil
	case f.source.Source():
		f.update = (*translate).elements
	default:
		f.update = (*translate).inElements
		f.list, f.inSource, f.inTarget = bracketed(t.IterateOn), bracketed(f.source.Source()), bracketed(f.target.Source())
	}
	var err error
	if f.iterateOn, err = s.Style.Parse(t.IterateOn); err != nil {
		return nil, option.Errorf("iterate_on", "%w", err)
	}
	return f, nil
}

// setFields finds out what is translated to where.
func (t *Translate) setFields(s *Setup, f *translate) error {
	f.source, f.target = t.Source, t.Target
	if t.Field != nil {
		if t.Source != nil {
			return option.Errorf("field", "it is the older name of source: remove it")
		}
		f.source = t.Field
	}
	if f.source == nil {
		return option.Errorf("source", "translate needs a source")
	}
	if t.Destination != nil {
		if t.Target != nil {
			return option.Errorf("destination", "it is the older name of target: remove it")
		}
		f.target = t.Destination
	}
	if f.target == nil {
		var err error
		if f.target, err = s.Style.Parse(s.ecs(t.ECS).named("translation", f.source.Source())); err != nil {
			return option.Errorf("target", "%w", err)
		}
	}
	f.inPlace = f.source.Source() == f.target.Source()
	f.override = f.inPlace
	if t.Override != nil {
		if f.inPlace && !*t.Override {
			return option.Errorf("override", "false has no effect where the target is the source: remove it")
		}
		f.override = *t.Override
	}
	return nil
}

// setDictionary reads the dictionary.
func (t *Translate) setDictionary(s *Setup, f *translate) error {
	if t.DictionaryPath == "" {
		f.memory = newDictionary(t.Exact, t.Regex)
		for _, p := range t.Dictionary {
			f.memory.set(p.Key, optionValue(p.Value))
		}
		if err := f.memory.compile(); err != nil {
			return option.Errorf("dictionary", "%w", err)
		}
		return nil
	}
	if len(t.Dictionary) > 0 {
		return option.Errorf("dictionary_path", "give either dictionary or dictionary_path")
	}
	file := &dictionaryFile{
		path: t.DictionaryPath, exact: t.Exact, regex: t.Regex,
		replace: t.RefreshBehaviour == "replace", onlyChanged: t.RefreshInterval <= 300,
		streaming: t.YAMLLoadStrategy == "streaming", mostRunes: 134_217_728,
	}
	file.warnKey = func(line int, key string) {
		s.Log.Warn("a key of a dictionary is no text and matches nothing: put it in quotes", "filter", s.Where, "file", file.path, "line", line, "key", key)
	}
	if !filepath.IsAbs(file.path) {
		file.path = filepath.Join(s.Dir, file.path)
	}
	switch format := formatOf(file.path); {
	case format == "":
		return option.Errorf("dictionary_path", "expected a file .yml, .yaml, .json or .csv, found %s", t.DictionaryPath)
	case t.CodePointLimit == nil:
	case format != "yaml":
		return option.Errorf("yaml_dictionary_code_point_limit", "it is for YAML files only: remove it")
	case *t.CodePointLimit <= 0:
		return option.Errorf("yaml_dictionary_code_point_limit", "expected a positive number, found %d", *t.CodePointLimit)
	default:
		file.mostRunes = int(*t.CodePointLimit)
	}
	f.file = &refreshed[dictionary]{every: seconds(t.RefreshInterval), load: file.load}
	if err := f.file.first(s.Now()); err != nil {
		return option.Errorf("dictionary_path", "%w", err)
	}
	return nil
}

// bracketed writes a field with brackets.
func bracketed(field string) string {
	if strings.HasPrefix(field, "[") && strings.HasSuffix(field, "]") {
		return field
	}
	return "[" + field + "]"
}

// Fork implements Forker.
func (f *translate) Fork() Filter {
	forked := *f
	forked.own = new(translateOwn)
	return &forked
}

// Filter implements Filter.
func (f *translate) Filter(x *Context, e *event.Event) {
	d := f.memory
	if f.file != nil {
		d = f.file.get(x, f.where)
	}
	found, err := f.update(f, x, e, d)
	if err == nil && found {
		err = f.Matched(e)
	}
	if err != nil {
		x.Log.Error("translate failed", "filter", f.where, "error", err)
	}
}

// single looks up one field.
func (f *translate) single(x *Context, e *event.Event, d *dictionary) (bool, error) {
	if !f.override && e.Includes(f.target) || !e.Includes(f.source) {
		return false, nil
	}
	v := e.Get(f.source)
	if v.Kind() == event.List {
		if v = event.NullValue; len(e.Get(f.source).List()) > 0 {
			v = e.Get(f.source).List()[0]
		}
	}
	if found, ok := d.lookup(x, rubyText(v), f.own); ok {
		return true, e.Set(f.target, found)
	}
	if f.fallback == nil {
		return f.inPlace, nil
	}
	text, err := f.fallbackOf(x, e)
	if err != nil {
		return false, err
	}
	return true, e.Set(f.target, text)
}

func (f *translate) fallbackOf(x *Context, e *event.Event) (event.Value, error) {
	var err error
	if x.Buf, err = f.fallback.Append(x.Buf[:0], e); err != nil {
		return event.Value{}, err
	}
	return event.StringValue(f.own.room.keep(x.Buf)), nil
}

// elements looks up the elements of a list; the target gets a list of what was found.
func (f *translate) elements(x *Context, e *event.Event, d *dictionary) (bool, error) {
	if !f.override && e.Includes(f.target) || !e.Includes(f.iterateOn) {
		return false, nil
	}
	source := rubyArray(e.Get(f.iterateOn))
	other := event.NullValue
	if f.fallback != nil {
		var err error
		if other, err = f.fallbackOf(x, e); err != nil {
			return false, err
		}
	}
	any := false
	out := make([]event.Value, len(source))
	for i, v := range source {
		found, ok := d.lookup(x, rubyText(v), f.own)
		if !ok {
			found = other
		}
		out[i] = found
		any = any || !found.Nil() && (found.Kind() != event.Bool || found.Bool())
	}
	return any || f.inPlace, e.Set(f.target, event.ListValue(out))
}

// inElements looks up a field inside of each element of a list.
func (f *translate) inElements(x *Context, e *event.Event, d *dictionary) (bool, error) {
	if !e.Includes(f.iterateOn) {
		return false, nil
	}
	any := false
	for i := range rubyArray(e.Get(f.iterateOn)) {
		source, err := f.element(x, i, f.inSource)
		if err != nil {
			return false, err
		}
		v := e.Get(source)
		if v.Nil() {
			continue
		}
		found, ok := d.lookup(x, rubyText(v), f.own)
		if !ok {
			if f.fallback == nil {
				continue
			}
			if found, err = f.fallbackOf(x, e); err != nil {
				return false, err
			}
		}
		target, err := f.element(x, i, f.inTarget)
		if err != nil {
			return false, err
		}
		if err := e.Set(target, found); err != nil {
			return false, err
		}
		any = true
	}
	return any || f.inPlace, nil
}

// element gives the reference to a field inside of an element.
func (f *translate) element(x *Context, i int, way string) (*event.Ref, error) {
	x.Buf = append(append(x.Buf[:0], f.list...), '[')
	x.Buf = append(append(strconv.AppendInt(x.Buf, int64(i), 10), ']'), way...)
	return x.Refs.Get(textOf(x.Buf))
}

// rubyArray is Array(v) of Ruby.
func rubyArray(v event.Value) []event.Value {
	if v.Kind() != event.Map {
		return listOf(v)
	}
	var pairs []event.Value
	for _, m := range v.Map().Entries() {
		pairs = append(pairs, event.ListValue([]event.Value{event.StringValue(m.Key), m.Value}))
	}
	return pairs
}
