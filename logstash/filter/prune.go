package filter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// Prune removes fields by their names and values. It looks at the fields at the top of the event, @timestamp and @version
// among them, and not inside of them. Of a list those elements are removed whose values say so; the field if that is all.
//
// Source: logstash-filter-prune 3.0.
//
// Differences:
//   - values that are no text are matched as Ruby prints them; Logstash fails for them;
//   - with interpolate, a pattern that is none for an event's values matches nothing; Logstash fails for it.
type Prune struct {
	option.Common
	Interpolate     bool        `ls:"interpolate" default:"false" doc:"whether names and patterns may refer to fields"`
	WhitelistNames  []string    `ls:"whitelist_names" doc:"patterns of names: fields that match none of them are removed"`
	BlacklistNames  []string    `ls:"blacklist_names" default:"%\\{[^}]+\\}" doc:"patterns of names: fields that match one of them are removed"`
	WhitelistValues option.Hash `ls:"whitelist_values" doc:"which field must match which pattern, or is removed"`
	BlacklistValues option.Hash `ls:"blacklist_values" doc:"which field is removed if it matches which pattern"`
}

type prune struct {
	*Prune
	where                          string
	whitelistNames, blacklistNames []*prunePattern
	whitelistValues                []pruneValue
	blacklistValues                []pruneValue
	match                          regex.Match // each worker has its own
	remove                         []string
	known                          map[string]*regex.Regexp // patterns that were made of events
}

// A prunePattern is a pattern that may refer to fields.
type prunePattern struct {
	format *event.Format
	re     *regex.Regexp // of this event
}

type pruneValue struct {
	name    *event.Format
	pattern *prunePattern
}

// Setup implements Plugin.
func (p *Prune) Setup(s *Setup) (Filter, error) {
	f := &prune{Prune: p, where: s.Where}
	var problems []error
	compile := func(name, text string) *prunePattern {
		pattern := &prunePattern{format: s.Style.ParseFormat(text)}
		if !p.Interpolate {
			var err error
			if pattern.re, err = regex.Compile(text, regex.Options{}); err != nil {
				problems = append(problems, option.Errorf(name, "%w", err))
			}
		}
		return pattern
	}
	for _, text := range p.WhitelistNames {
		f.whitelistNames = append(f.whitelistNames, compile("whitelist_names", text))
	}
	for _, text := range p.BlacklistNames {
		f.blacklistNames = append(f.blacklistNames, compile("blacklist_names", text))
	}
	for _, c := range p.WhitelistValues {
		f.whitelistValues = append(f.whitelistValues, pruneValue{s.Style.ParseFormat(c.Key), compile("whitelist_values", option.Text(c.Value))})
	}
	for _, c := range p.BlacklistValues {
		f.blacklistValues = append(f.blacklistValues, pruneValue{s.Style.ParseFormat(c.Key), compile("blacklist_values", option.Text(c.Value))})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return f, nil
}

// Fork implements Forker. With interpolate the patterns are each worker's own.
func (f *prune) Fork() Filter {
	own := *f
	own.match, own.remove, own.known = regex.Match{}, nil, nil
	own.whitelistNames, own.blacklistNames = forkPatterns(f.whitelistNames), forkPatterns(f.blacklistNames)
	own.whitelistValues, own.blacklistValues = forkValues(f.whitelistValues), forkValues(f.blacklistValues)
	return &own
}

func forkPatterns(patterns []*prunePattern) []*prunePattern {
	own := slices.Clone(patterns)
	for i, p := range own {
		own[i] = &prunePattern{p.format, p.re}
	}
	return own
}

func forkValues(values []pruneValue) []pruneValue {
	own := slices.Clone(values)
	for i, v := range own {
		own[i].pattern = &prunePattern{v.pattern.format, v.pattern.re}
	}
	return own
}

// Filter implements Filter.
func (f *prune) Filter(x *Context, e *event.Event) {
	if f.Interpolate {
		f.interpolate(x, e)
	}
	f.remove = f.remove[:0]
	if len(f.whitelistNames) > 0 || len(f.blacklistNames) > 0 {
		for _, m := range e.Fields().Entries() {
			if len(f.whitelistNames) > 0 && !f.any(f.whitelistNames, m.Key) || f.any(f.blacklistNames, m.Key) {
				f.remove = append(f.remove, m.Key)
			}
		}
	}
	for _, v := range f.whitelistValues {
		f.byValue(x, e, v, false)
	}
	for _, v := range f.blacklistValues {
		f.byValue(x, e, v, true)
	}
	for _, name := range f.remove {
		e.RemoveField(name)
	}
	succeed(x, f.where, &f.Common, e)
}

// interpolate compiles the patterns for an event.
func (f *prune) interpolate(x *Context, e *event.Event) {
	for _, p := range f.whitelistNames {
		f.compile(x, e, p)
	}
	for _, p := range f.blacklistNames {
		f.compile(x, e, p)
	}
	for _, v := range f.whitelistValues {
		f.compile(x, e, v.pattern)
	}
	for _, v := range f.blacklistValues {
		f.compile(x, e, v.pattern)
	}
}

func (f *prune) compile(x *Context, e *event.Event, p *prunePattern) {
	text, err := p.format.Text(e)
	if err == nil {
		p.re, err = f.pattern(text)
	}
	if err != nil {
		p.re = nil
		x.Log.Warn("a pattern of prune is none for an event", "filter", f.where, "error", err)
	}
}

func (f *prune) pattern(text string) (*regex.Regexp, error) {
	if re, ok := f.known[text]; ok {
		return re, nil
	}
	text = string([]byte(text)) // it may be a part of the input
	re, err := regex.Compile(text, regex.Options{})
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", text, err)
	}
	if f.known == nil || len(f.known) >= mostNeedles {
		f.known = map[string]*regex.Regexp{}
	}
	f.known[text] = re
	return re, nil
}

func (f *prune) any(patterns []*prunePattern, text string) bool {
	return slices.ContainsFunc(patterns, func(p *prunePattern) bool { return f.matches(p, text) })
}

func (f *prune) matches(p *prunePattern, text string) bool {
	if p.re == nil {
		return false
	}
	ok, err := p.re.Match(bytesOf(text), 0, &f.match)
	return ok && err == nil
}

// byValue removes a field, or elements of it, whose values match (or do not).
func (f *prune) byValue(x *Context, e *event.Event, v pruneValue, matching bool) {
	name := v.name.String()
	if f.Interpolate {
		var err error
		if name, err = v.name.Text(e); err != nil {
			x.Log.Warn("a name of prune is none for an event", "filter", f.where, "error", err)
			return
		}
	}
	at := e.Fields().At(name)
	if at == nil || at.Nil() || at.Kind() == event.Bool && !at.Bool() || slices.Contains(f.remove, name) {
		return
	}
	if at.Kind() != event.List {
		if f.matches(v.pattern, rubyText(*at)) == matching {
			f.remove = append(f.remove, name)
		}
		return
	}
	list := at.List()
	if len(list) == 0 {
		return
	}
	left := make([]event.Value, 0, len(list))
	for _, element := range list {
		if f.matches(v.pattern, rubyText(element)) != matching {
			left = append(left, element)
		}
	}
	if len(left) == 0 {
		f.remove = append(f.remove, name)
	} else if len(left) < len(list) {
		*at = event.ListValue(left)
	}
}
