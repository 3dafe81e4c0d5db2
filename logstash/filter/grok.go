package filter

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/grok"
	"github.com/narudata/naru/logstash/pattern/regex"
	"github.com/narudata/naru/logstash/syntax"
)

// Grok matches fields with patterns whose parts have names, and makes fields of these parts.
//
// A missing field is matched as an empty text, other values as Ruby prints them, lists element by element. What a field has
// already stays: a text becomes a list with the new one, and a value that is neither text nor list keeps the new one out.
// With break_on_match => false the last pattern decides whether the event is matched, as in the original.
//
// Source: grok.rb of logstash-filter-grok 4.4.
//
// Differences:
//   - timeout_millis is a number of steps, 10,000 for a millisecond and no more than 50 million, so that what is given up is
//     the same on every machine; 0 is no limit. With timeout_scope => event, time counts between one pattern and the next.
//   - Files of patterns_dir whose names end in ~ are not read.
//   - A folder of patterns_dir that does not exist gives a warning.
type Grok struct {
	option.Common
	Match              option.Hash `ls:"match" doc:"which field is matched by which pattern, or patterns"`
	PatternsDir        []string    `ls:"patterns_dir" doc:"folders with files of more patterns: a name, a blank and the pattern on each line"`
	PatternsFilesGlob  string      `ls:"patterns_files_glob" default:"*" doc:"which files of these folders"`
	PatternDefinitions option.Hash `ls:"pattern_definitions" doc:"more patterns, by name"`
	BreakOnMatch       bool        `ls:"break_on_match" default:"true" doc:"whether the first pattern that matches is the last one to be tried"`
	NamedCapturesOnly  bool        `ls:"named_captures_only" default:"true" doc:"whether only parts with names become fields; if not, others are named by their pattern"`
	KeepEmptyCaptures  bool        `ls:"keep_empty_captures" default:"false" doc:"whether empty parts become fields, too; parts that took no part become null"`
	Target             string      `ls:"target" doc:"the field that new fields are put into"`
	Overwrite          []string    `ls:"overwrite" doc:"fields that are replaced"`
	TagOnFailure       []string    `ls:"tag_on_failure" default:"_grokparsefailure" doc:"the tags of an event that is not matched"`
	TimeoutMillis      float64     `ls:"timeout_millis" default:"30000" doc:"the limit of a match, see Differences"`
	TimeoutScope       string      `ls:"timeout_scope" default:"pattern" enum:"pattern|event" doc:"what the limit is for: each pattern, or all that are tried on a text"`
	TagOnTimeout       string      `ls:"tag_on_timeout" default:"_groktimeout" doc:"the tag of an event whose match was given up"`
	ECS                string      `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which set of patterns there is: with names of the Elastic Common Schema, or the older ones (disabled)"`
}

// grokFilter is the filter, with what one worker needs.
type grokFilter struct {
	*Grok
	fields []grokField
	limit  time.Duration // of all patterns on a text; 0 for none
	where  string

	match   regex.Match
	observe func(PatternTry)
}

// A PatternTry is a pattern that was tried on a text.
type PatternTry struct {
	Field   string
	Pattern string // as it stands in the configuration
	Matched bool
	Skipped bool // a text that every match has is not there
	Err     error
	Steps   int // that the match took: how often it had to go back
	Bytes   int // of the text
	Took    time.Duration
}

// A PatternObserver is a filter that can tell which patterns it tries, for those who explain and measure pipelines. It is
// one worker's, as Fork gives it.
type PatternObserver interface {
	Filter
	// Observe makes the filter call f after each try; nil ends it.
	Observe(f func(PatternTry))
}

type grokField struct {
	name     string
	ref      *event.Ref
	patterns []grokPattern
}

// A grokPattern is a pattern with the fields that it fills.
type grokPattern struct {
	*grok.Pattern
	literal  string // every match contains it; asked first where there are several patterns
	captures []grokCapture
}

type grokCapture struct {
	grok.Capture
	ref       *event.Ref
	err       error // why there is no ref
	overwrite bool
}

var _ PatternObserver = (*grokFilter)(nil)

// hasReference is how the original knows that target is a reference with brackets.
var hasReference = regexp.MustCompile(`\[.*?\]`)

// Setup implements Plugin.
func (g *Grok) Setup(s *Setup) (Filter, error) {
	set, err := g.set(s)
	if err != nil {
		return nil, err
	}
	f := &grokFilter{Grok: g, where: s.Where}
	if g.TimeoutScope == "event" {
		f.limit = limitOf(g.TimeoutMillis)
	}
	var wrong problems
	for _, m := range g.Match {
		field := grokField{name: m.Key}
		if field.ref, err = s.Style.Parse(m.Key); err != nil {
			wrong = append(wrong, err)
			continue
		}
		patterns, ok := texts(m.Value)
		if !ok {
			wrong = append(wrong, fmt.Errorf("%s: expected a pattern, or a list of patterns", m.Key))
			continue
		}
		for _, text := range patterns {
			p, err := set.Compile(text, grok.Options{NamedOnly: g.NamedCapturesOnly, Steps: stepsOf(g.TimeoutMillis)})
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			field.patterns = append(field.patterns, g.pattern(s, p, len(patterns) > 1))
		}
		f.fields = append(f.fields, field)
	}
	if err := wrong.of("match"); err != nil {
		return nil, err
	}
	return f, nil
}

// set gives the patterns that may be referred to: those that are shipped, those of the folders, the definitions. The last
// with a name wins.
func (g *Grok) set(s *Setup) (*grok.Set, error) {
	base := grok.Legacy()
	switch ecs := ECS(g.ECS); {
	case ecs == "" && s.ECS != "" && s.ECS != ECSDisabled, ecs == ECSv1, ecs == ECSv8:
		base = grok.ECS()
	}
	if len(g.PatternsDir) == 0 && len(g.PatternDefinitions) == 0 {
		return base, nil
	}
	set := base.Extend()
	for _, dir := range g.PatternsDir {
		at := dir
		if !filepath.IsAbs(at) {
			at = filepath.Join(s.Dir, at)
		}
		if info, err := os.Stat(at); err == nil && info.IsDir() {
			at = path.Join(filepath.ToSlash(at), g.PatternsFilesGlob)
		}
		files, err := syntax.ReadFiles(at)
		if errors.Is(err, os.ErrNotExist) {
			s.Log.Warn("no file with grok patterns is there", "filter", s.Where, "patterns_dir", dir)
		} else if err != nil {
			return nil, option.Errorf("patterns_dir", "%w", err)
		}
		for _, f := range files {
			set.Add(string(f.Text))
		}
	}
	for _, d := range g.PatternDefinitions {
		text, ok := d.Value.(string)
		if !ok {
			return nil, option.Errorf("pattern_definitions", "%s: expected a pattern", d.Key)
		}
		set.Define(d.Key, text)
	}
	return set, nil
}

// pattern adds to a pattern what is known of the fields that it fills.
func (g *Grok) pattern(s *Setup, p *grok.Pattern, several bool) grokPattern {
	target := g.Target
	if target != "" && !hasReference.MatchString(target) {
		target = "[" + strings.TrimSpace(target) + "]"
	}
	out := grokPattern{Pattern: p}
	if several {
		if literal := p.Regexp.Literal(); len(literal) > 1 {
			out.literal = literal
		}
	}
	for _, c := range p.Captures {
		name := c.Field
		if target != "" {
			name = target + "[" + c.Field + "]"
		}
		ref, err := s.Style.Parse(name)
		if err != nil {
			s.Log.Warn("a name in a grok pattern is no field reference: what it matches fails", "filter", s.Where, "error", err)
		}
		out.captures = append(out.captures, grokCapture{c, ref, err, slices.Contains(g.Overwrite, c.Field)})
	}
	return out
}

// texts gives the texts of a value that is one, or a list of them.
func texts(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, true
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			out = append(out, s)
		}
		return out, true
	}
	return nil, false
}

// Fork implements Forker.
func (f *grokFilter) Fork() Filter {
	own := *f
	own.match = regex.Match{}
	return &own
}

// Observe implements PatternObserver.
func (f *grokFilter) Observe(observe func(PatternTry)) { f.observe = observe }

// Filter implements Filter.
func (f *grokFilter) Filter(x *Context, e *event.Event) {
	matched := false
	for i := range f.fields {
		field := &f.fields[i]
		ok, err := f.matchField(field, e)
		if errors.Is(err, regex.ErrBudget) || errors.Is(err, errSlow) {
			x.Log.Warn("grok gives up a match that takes too many steps", "filter", f.where, "field", field.name)
			e.Tag(f.TagOnTimeout)
			return
		}
		if err != nil {
			x.Log.Warn("grok cannot set what it matched", "filter", f.where, "field", field.name, "error", err)
			continue
		}
		if ok {
			matched = true
			if f.BreakOnMatch {
				break
			}
		}
	}
	if matched {
		if err := f.Matched(e); err != nil {
			x.Log.Warn("what grok adds cannot be set", "filter", f.where, "error", err)
		}
		return
	}
	for _, tag := range f.TagOnFailure {
		e.Tag(tag)
	}
}

// matchField tries the patterns of a field on its value, or on each element.
func (f *grokFilter) matchField(field *grokField, e *event.Event) (bool, error) {
	v := e.Get(field.ref)
	if v.Kind() != event.List {
		return f.matchText(field, rubyText(v), e)
	}
	any := false
	for _, element := range slices.Clone(v.List()) { // captures may change it
		ok, err := f.matchText(field, rubyText(element), e)
		if err != nil {
			return false, err
		}
		any = any || ok
	}
	return any, nil
}

// matchText tries the patterns on a text. It says how the last that was tried did.
func (f *grokFilter) matchText(field *grokField, text string, e *event.Event) (matched bool, err error) {
	var until time.Time
	if f.limit > 0 && len(field.patterns) > 1 {
		until = time.Now().Add(f.limit)
	}
	for i := range field.patterns {
		p := &field.patterns[i]
		if i > 0 && !until.IsZero() && time.Now().After(until) {
			return false, errSlow
		}
		if f.observe == nil {
			matched, err = f.try(p, text)
		} else {
			matched, err = f.observed(field, p, text)
		}
		if err != nil {
			return false, err
		}
		if !matched {
			continue
		}
		if err := f.capture(p, text, e); err != nil {
			return false, err
		}
		if f.BreakOnMatch {
			return true, nil
		}
	}
	return matched, nil
}

// try tries a pattern on a text.
func (f *grokFilter) try(p *grokPattern, text string) (bool, error) {
	if p.skips(text) {
		return false, nil
	}
	return p.Regexp.Match(bytesOf(text), 0, &f.match)
}

// skips reports that a text that every match has is not there.
func (p *grokPattern) skips(text string) bool {
	return p.literal != "" && !strings.Contains(text, p.literal)
}

// observed is try for those who want to know.
func (f *grokFilter) observed(field *grokField, p *grokPattern, text string) (bool, error) {
	start := time.Now()
	matched, err := f.try(p, text)
	took := time.Since(start)
	t := PatternTry{Field: field.name, Pattern: p.Source, Matched: matched, Skipped: p.skips(text), Err: err, Bytes: len(text), Took: took}
	if !t.Skipped {
		t.Steps = p.Regexp.Spent(&f.match)
	}
	f.observe(t)
	return matched, err
}

// capture sets the fields that a match has.
func (f *grokFilter) capture(p *grokPattern, text string, e *event.Event) error {
	for i := range p.captures {
		c := &p.captures[i]
		begin, end, ok := f.match.Group(c.Group)
		if !f.KeepEmptyCaptures && (!ok || begin == end && c.Cast == grok.Text) {
			continue
		}
		if c.err != nil {
			return c.err
		}
		v := event.NullValue
		if ok {
			switch c.Cast {
			case grok.Int:
				v = rubyInt(text[begin:end])
			case grok.Float:
				v = rubyFloat(text[begin:end])
			default:
				v = event.StringValue(text[begin:end])
			}
		}
		if at := e.Place(c.ref); at != nil && (c.overwrite || at.Nil()) {
			*at = v
			continue
		}
		if err := c.set(e, v); err != nil {
			return err
		}
	}
	return nil
}

// set sets a field that a match has, with what the field has already.
func (c *grokCapture) set(e *event.Event, v event.Value) error {
	if !c.overwrite {
		switch old := e.Get(c.ref); old.Kind() {
		case event.Absent, event.Null:
		case event.List:
			list := old.List()
			v = event.ListValue(append(list[:len(list):len(list)], v))
		case event.String:
			v = event.ListValue([]event.Value{old, v})
		default:
			return nil // what is neither text nor list stays as it is
		}
	}
	return e.Set(c.ref, v)
}
