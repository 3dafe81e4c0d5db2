package filter

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// KV finds keys and values, as in "a=1 b=two", and makes fields of them.
//
// An event is matched if there was a pair, or a default. Of equal keys the values become a list. White space round the
// splitter is lenient unless said otherwise: "a= b=1" gives a the value "b=1".
//
// Source: kv.rb of logstash-filter-kv 4.7.
//
// Differences:
//   - timeout_millis is a number of steps, 10,000 for a millisecond and no more than 50 million, so that what ends is the
//     same on every machine; 0 is no limit. Only texts with backslashes, and patterns, can need many.
//   - recursive goes no deeper than 1,000 levels: what is deeper is an error (tag_on_failure).
type KV struct {
	option.Common
	Source               *event.Ref      `ls:"source" default:"message" doc:"the field with the pairs: a text or a list of texts"`
	Target               *event.Ref      `ls:"target" doc:"the field that gets all pairs as a map, instead of what it had; without it, keys become fields of the event"`
	FieldSplit           string          `ls:"field_split" default:" " doc:"the characters between pairs, as in the brackets of a regular expression"`
	FieldSplitPattern    *string         `ls:"field_split_pattern" doc:"what stands between pairs, as a regular expression, instead of field_split"`
	ValueSplit           string          `ls:"value_split" default:"=" doc:"the characters between a key and its value, as in the brackets of a regular expression"`
	ValueSplitPattern    *string         `ls:"value_split_pattern" doc:"what stands between a key and its value, as a regular expression, instead of value_split"`
	Whitespace           string          `ls:"whitespace" default:"lenient" enum:"strict|lenient" doc:"whether blanks round the value splitter belong to it (lenient)"`
	IncludeBrackets      bool            `ls:"include_brackets" default:"true" doc:"whether (), [] and <> quote values as \"\" and '' do"`
	Prefix               *event.Format   `ls:"prefix" doc:"what is put in front of each key"`
	IncludeKeys          []*event.Format `ls:"include_keys" doc:"the only keys that are taken; all if empty"`
	ExcludeKeys          []*event.Format `ls:"exclude_keys" doc:"keys that are not taken"`
	DefaultKeys          option.Hash     `ls:"default_keys" doc:"values of keys that the text does not have"`
	AllowDuplicateValues bool            `ls:"allow_duplicate_values" default:"true" doc:"whether a key may have the same value several times; if not, a text that is contained in the only value so far counts as the same"`
	AllowEmptyValues     bool            `ls:"allow_empty_values" default:"false" doc:"whether keys with an empty value are taken"`
	Recursive            bool            `ls:"recursive" default:"false" doc:"whether values that contain pairs become maps of these"`
	TrimKey              string          `ls:"trim_key" doc:"characters to cut from both ends of keys, as in the brackets of a regular expression"`
	TrimValue            string          `ls:"trim_value" doc:"characters to cut from both ends of values"`
	RemoveCharKey        string          `ls:"remove_char_key" doc:"characters to remove everywhere from keys"`
	RemoveCharValue      string          `ls:"remove_char_value" doc:"characters to remove everywhere from values"`
	TransformKey         string          `ls:"transform_key" enum:"lowercase|uppercase|capitalize" doc:"the case that keys get"`
	TransformValue       string          `ls:"transform_value" enum:"lowercase|uppercase|capitalize" doc:"the case that values get"`
	TimeoutMillis        float64         `ls:"timeout_millis" default:"30000" doc:"the limit of the search, see Differences"`
	TagOnTimeout         string          `ls:"tag_on_timeout" default:"_kv_filter_timeout" doc:"the tag of an event whose search was given up"`
	TagOnFailure         []string        `ls:"tag_on_failure" default:"_kv_filter_error" doc:"the tags of an event whose pairs cannot be set"`
	ECS                  string          `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"has no effect: the keys are what they are"`
}

// kv is the filter, with what one worker needs.
type kv struct {
	*KV
	pairs                               *pairScanner
	trimKey, trimValue, dropKey, dropIn *cutter
	limit                               time.Duration
	where                               string

	match   regex.Match
	found   event.Fields
	room    textRoom
	include []string
	exclude []string
}

// mostNested is how many levels of pairs within pairs are followed.
const mostNested = 1000

var errNested = errors.New("pairs within pairs are nested too deeply")

// Setup implements Plugin.
func (k *KV) Setup(s *Setup) (Filter, error) {
	if k.ValueSplit == "" {
		return nil, option.Errorf("value_split", "it must have at least one character")
	}
	if k.FieldSplitPattern != nil && *k.FieldSplitPattern == "" {
		return nil, option.Errorf("field_split_pattern", "it must not be empty")
	}
	if k.ValueSplitPattern != nil && *k.ValueSplitPattern == "" {
		return nil, option.Errorf("value_split_pattern", "it must not be empty")
	}
	f := &kv{KV: k, limit: limitOf(k.TimeoutMillis), where: s.Where}
	var err error
	f.pairs, err = newPairScanner(splitting{
		field: k.FieldSplit, value: k.ValueSplit, fieldPattern: k.FieldSplitPattern, valuePattern: k.ValueSplitPattern,
		lenient: k.Whitespace != "strict", brackets: k.IncludeBrackets, steps: stepsOf(k.TimeoutMillis),
	})
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name, class string
		trim        bool
		to          **cutter
	}{
		{"trim_key", k.TrimKey, true, &f.trimKey},
		{"trim_value", k.TrimValue, true, &f.trimValue},
		{"remove_char_key", k.RemoveCharKey, false, &f.dropKey},
		{"remove_char_value", k.RemoveCharValue, false, &f.dropIn},
	} {
		if c.class == "" {
			continue
		}
		if *c.to, err = newCutter(c.class, c.trim); err != nil {
			return nil, option.Errorf(c.name, "%w", err)
		}
	}
	return f, nil
}

// Fork implements Forker.
func (f *kv) Fork() Filter {
	own := *f
	own.match, own.found, own.room, own.include, own.exclude = regex.Match{}, event.Fields{}, textRoom{}, nil, nil
	return &own
}

// Filter implements Filter.
func (f *kv) Filter(x *Context, e *event.Event) {
	if err := f.filter(x, e); err != nil {
		if errors.Is(err, regex.ErrBudget) || errors.Is(err, errSlow) {
			x.Log.Warn("kv gives up a text that takes too many steps", "filter", f.where)
			e.Tag(f.TagOnTimeout)
			return
		}
		x.Log.Warn("kv cannot set what it found", "filter", f.where, "error", err)
		for _, tag := range f.TagOnFailure {
			e.Tag(tag)
		}
	}
}

func (f *kv) filter(x *Context, e *event.Event) error {
	into := &f.found
	var target event.Value
	if f.Target != nil && len(f.DefaultKeys) == 0 {
		target = event.MapValue()
		into = target.Map()
	} else {
		into.Reset()
	}
	switch v := e.Get(f.Source); v.Kind() {
	case event.Absent, event.Null:
	case event.String:
		if err := f.parse(x, e, v.Str(), into, 0); err != nil {
			return err
		}
	case event.List:
		for _, element := range v.List() {
			if element.Kind() != event.String {
				continue
			}
			if err := f.parse(x, e, element.Str(), into, 0); err != nil {
				return err
			}
		}
	default:
		x.Log.Warn("kv needs a text or a list of texts", "filter", f.where, "type", v.Kind().String())
	}
	if len(f.DefaultKeys) > 0 {
		target = event.MapValue()
		merged := target.Map()
		for _, d := range f.DefaultKeys {
			merged.Set(d.Key, optionValue(d.Value))
		}
		for _, p := range into.Entries() {
			merged.Set(p.Key, p.Value)
		}
		into = merged
	}
	if into.Len() == 0 {
		return nil
	}
	if f.Target != nil {
		if err := e.Set(f.Target, target); err != nil {
			return err
		}
	} else {
		for _, p := range into.Entries() {
			if err := setNamed(x, e, p.Key, p.Value); err != nil {
				return err
			}
		}
	}
	return f.Matched(e)
}

// setNamed sets the field that a name, found in an event, refers to.
func setNamed(x *Context, e *event.Event, name string, v event.Value) error {
	if x.Refs.Style == event.None && strings.IndexByte(name, '[') < 0 && strings.IndexByte(name, ']') < 0 {
		return e.SetField(name, v)
	}
	r, err := x.Refs.Get(name)
	if err != nil {
		return err
	}
	return e.Set(r, v)
}

// parse puts the pairs of a text into a map.
func (f *kv) parse(x *Context, e *event.Event, text string, into *event.Fields, depth int) error {
	if depth > mostNested {
		return errNested
	}
	var err error
	if depth == 0 && len(f.IncludeKeys) > 0 {
		if f.include, err = appendTexts(f.include[:0], f.IncludeKeys, e); err != nil {
			return err
		}
	}
	if depth == 0 && len(f.ExcludeKeys) > 0 {
		if f.exclude, err = appendTexts(f.exclude[:0], f.ExcludeKeys, e); err != nil {
			return err
		}
	}
	for scan := f.pairs.scan(text, &f.match, f.limit); ; {
		p, ok, err := scan.next()
		if !ok || err != nil {
			return err
		}
		if p.value == "" && !f.AllowEmptyValues {
			continue
		}
		key, err := f.tidy(x, p.key, f.trimKey, f.dropKey, f.TransformKey)
		if err != nil {
			return err
		}
		if len(f.IncludeKeys) > 0 && !slices.Contains(f.include, key) || len(f.ExcludeKeys) > 0 && slices.Contains(f.exclude, key) {
			continue
		}
		if f.Prefix != nil {
			if key, err = f.prefixed(x, e, key); err != nil {
				return err
			}
		}
		value, err := f.tidy(x, p.value, f.trimValue, f.dropIn, f.TransformValue)
		if err != nil {
			return err
		}
		known := into.At(key)
		if !f.AllowDuplicateValues && known != nil && includes(*known, value) {
			continue
		}
		v := event.StringValue(value)
		if f.Recursive {
			inner := event.MapValue()
			if err := f.parse(x, e, value, inner.Map(), depth+1); err != nil {
				return err
			}
			if inner.Map().Len() > 0 {
				v = inner
			}
		}
		switch {
		case known == nil:
			into.Set(key, v)
		case known.Kind() == event.List:
			known.Append(v)
		default:
			*known = event.ListValue([]event.Value{*known, v})
		}
	}
}

func appendTexts(dst []string, formats []*event.Format, e *event.Event) ([]string, error) {
	for _, f := range formats {
		text, ok := f.Static()
		if !ok {
			var err error
			if text, err = f.Text(e); err != nil {
				return dst, err
			}
		}
		dst = append(dst, text)
	}
	return dst, nil
}

func (f *kv) prefixed(x *Context, e *event.Event, key string) (string, error) {
	if text, ok := f.Prefix.Static(); ok {
		if text == "" {
			return key, nil
		}
		x.Buf = append(x.Buf[:0], text...)
	} else {
		var err error
		if x.Buf, err = f.Prefix.Append(x.Buf[:0], e); err != nil {
			return "", err
		}
	}
	x.Buf = append(x.Buf, key...)
	return f.room.keep(x.Buf), nil
}

// includes is include? of Ruby: of a text, of a list, or of the keys of a map.
func includes(v event.Value, text string) bool {
	switch v.Kind() {
	case event.String:
		return strings.Contains(v.Str(), text)
	case event.List:
		return slices.ContainsFunc(v.List(), func(e event.Value) bool { return e.Kind() == event.String && e.Str() == text })
	case event.Map:
		return v.Map().Get(text).Is()
	default:
		return false
	}
}

// tidy does to a key or a value what the options say.
func (f *kv) tidy(x *Context, s string, trim, drop *cutter, transform string) (string, error) {
	var err error
	if trim != nil {
		if s, err = trim.cut(s, &f.match); err != nil {
			return s, err
		}
	}
	if drop != nil {
		if s, err = drop.cut(s, &f.match); err != nil {
			return s, err
		}
	}
	switch transform {
	case "lowercase":
		x.Buf = appendLower(x.Buf[:0], s)
	case "uppercase":
		x.Buf = appendUpper(x.Buf[:0], s)
	case "capitalize":
		x.Buf = appendCapitalized(x.Buf[:0], s)
	default:
		return s, nil
	}
	if string(x.Buf) == s {
		return s, nil
	}
	return f.room.keep(x.Buf), nil
}

// A cutter removes the characters of a class from the ends of a text's lines, or everywhere.
type cutter struct {
	re    *regex.Regexp
	trim  bool
	plain bool
	set   byteSet
}

func newCutter(class string, trim bool) (*cutter, error) {
	pattern := "[" + class + "]"
	if trim {
		pattern = "^[" + class + "]+|[" + class + "]+$"
	}
	re, err := regex.Compile(pattern, regex.Options{})
	if err != nil {
		return nil, err
	}
	c := &cutter{re: re, trim: trim}
	c.set, c.plain = asciiClass(class)
	return c, nil
}

func (c *cutter) cut(s string, m *regex.Match) (string, error) {
	if c.plain && c.trim && strings.IndexByte(s, '\n') < 0 {
		for s != "" && c.set[s[0]] {
			s = s[1:]
		}
		for s != "" && c.set[s[len(s)-1]] {
			s = s[:len(s)-1]
		}
		return s, nil
	}
	if c.plain && !c.trim {
		i := 0
		for i < len(s) && !c.set[s[i]] {
			i++
		}
		if i == len(s) {
			return s, nil
		}
	}
	var out []byte
	last := 0
	for found, err := range c.re.All(bytesOf(s), m) {
		if err != nil {
			return s, err
		}
		begin, end, _ := found.Group(0)
		out = append(out, s[last:begin]...)
		last = end
	}
	if last == 0 {
		return s, nil
	}
	return string(append(out, s[last:]...)), nil
}
