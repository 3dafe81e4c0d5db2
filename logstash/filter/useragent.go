package filter

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// UserAgent makes fields of what a browser says of itself: its name and version, the system, the device.
//
// Of a list the first text counts. A missing or empty source does nothing; what is not known is "Other".
//
// Source: useragent.rb and org.logstash.uaparser of logstash-filter-useragent 3.3.
//
// Differences:
//   - The definitions that are used without regexes are those of ua-parser/uap-core that naru was built with; they know newer
//     browsers than a Logstash of the same age may.
//   - A source that is no text is left alone, with a warning; the original stops for a number.
type UserAgent struct {
	option.Common
	Source       *event.Ref `ls:"source,required" doc:"the field with the text"`
	Target       string     `ls:"target" doc:"the field that gets the fields; without it, they are at the top of the event, or in user_agent with the Elastic Common Schema"`
	Regexes      string     `ls:"regexes" doc:"a file with definitions in the form of ua-parser (regexes.yaml), instead of those that naru has"`
	Prefix       string     `ls:"prefix" doc:"what is put in front of the names of the fields; not with the Elastic Common Schema"`
	LRUCacheSize int64      `ls:"lru_cache_size" default:"100000" doc:"how many texts are kept with what was found, those last used"`
	ECS          string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether fields have names of the Elastic Common Schema; that of the pipeline if not given"`
}

type userAgent struct {
	*UserAgent
	where  string
	parser func() (*uaParser, error)
	cache  *lru[*uaClient]
	drop   bool // the source
	fields uaFields
}

// uaFields are where what was found goes; nil is nowhere.
type uaFields struct {
	name, device, version     *event.Ref
	parts                     [3]*event.Ref
	systemParts               [3]*event.Ref
	systemVersion, systemName *event.Ref
	legacySystem, systemFull  *event.Ref
}

// Setup implements Plugin.
func (u *UserAgent) Setup(s *Setup) (Filter, error) {
	f := &userAgent{UserAgent: u, where: s.Where, parser: builtInAgents}
	if u.LRUCacheSize < 1 {
		return nil, option.Errorf("lru_cache_size", "it must be at least 1")
	}
	f.cache = newLRU[*uaClient](int(u.LRUCacheSize), 0)
	if u.Regexes != "" {
		name := u.Regexes
		if !filepath.IsAbs(name) {
			name = filepath.Join(s.Dir, name)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, option.Errorf("regexes", "%w", err)
		}
		parser, err := newUAParser(text)
		if err != nil {
			return nil, option.Errorf("regexes", "%s: %w", u.Regexes, err)
		}
		f.parser = func() (*uaParser, error) { return parser, nil }
	}
	ecs := s.ecs(u.ECS)
	if u.Prefix != "" && ecs.named("", "ecs") != "" {
		s.Log.Warn("prefix has no effect with the Elastic Common Schema", "filter", s.Where)
	}
	f.drop = u.Target != "" && u.Target == u.Source.Source()
	var err error
	f.fields, err = newUAFields(s, u, ecs)
	return f, err
}

func newUAFields(s *Setup, u *UserAgent, ecs ECS) (f uaFields, err error) {
	target := u.Target
	if target == "" {
		target = ecs.named("", "[user_agent]")
	}
	if target != "" && !isOnePart(target) {
		target = "[" + target + "]"
	}
	const metadata = "[@metadata][filter][user_agent]"
	at := func(legacy, schema string) *event.Ref {
		name := ecs.named(target+"["+u.Prefix+legacy+"]", target+schema)
		if strings.HasPrefix(schema, metadata) {
			name = ecs.named(name, schema)
		}
		r, refErr := s.Style.Parse(name)
		if refErr != nil && err == nil {
			err = option.Errorf("target", "%w", refErr)
		}
		return r
	}
	f.name = at("name", "[name]")
	f.device = at("device", "[device][name]")
	f.version = at("version", "[version]")
	for i, part := range []string{"major", "minor", "patch"} {
		f.parts[i] = at(part, metadata+"[version]["+part+"]")
		f.systemParts[i] = at("os_"+part, metadata+"[os][version]["+part+"]")
	}
	f.systemVersion = at("os_version", "[os][version]")
	f.systemName = at("os_name", "[os][name]")
	f.systemFull = at("os_full", "[os][full]")
	if ecs.named("legacy", "") != "" {
		f.legacySystem = at("os", "")
	}
	return f, err
}

// isOnePart reports that a text is one name in brackets.
func isOnePart(s string) bool {
	inner, ok := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	return ok && closed && inner != "" && !strings.ContainsAny(inner, "[]")
}

// Filter implements Filter.
func (f *userAgent) Filter(x *Context, e *event.Event) {
	v := e.Get(f.Source)
	if v.Kind() == event.List {
		list := v.List()
		if len(list) == 0 {
			return
		}
		v = list[0]
	}
	if v.Nil() || v.Kind() == event.String && v.Str() == "" {
		return
	}
	if v.Kind() != event.String {
		x.Log.Warn("useragent needs a text", "filter", f.where, "field", f.Source.String(), "type", v.Kind().String())
		return
	}
	client, err := f.client(v.Str())
	if err != nil {
		x.Log.Error("useragent has no definitions", "filter", f.where, "error", err)
		return
	}
	if f.drop {
		e.Remove(f.Source)
	}
	if f.set(x, e, client) {
		succeed(x, f.where, &f.Common, e)
	}
}

// client finds out what an agent is, or knows it.
func (f *userAgent) client(agent string) (*uaClient, error) {
	if c, ok := f.cache.get(agent, time.Time{}); ok {
		return c, nil
	}
	parser, err := f.parser()
	if err != nil {
		return nil, err
	}
	c := parser.parse(agent)
	f.cache.put(strings.Clone(agent), c, time.Time{})
	return c, nil
}

// set sets the fields.
func (f *userAgent) set(x *Context, e *event.Event, c *uaClient) bool {
	ok := true
	put := func(r *event.Ref, s *string) {
		if ok && r != nil && s != nil {
			ok = set(x, f.where, e, r, event.StringValue(*s))
		}
	}
	to := &f.fields
	put(to.name, &c.browser.family)
	put(to.device, &c.device)
	for i, r := range to.parts {
		put(r, c.browser.parts[i])
	}
	put(to.version, c.version)
	for i, r := range to.systemParts {
		put(r, c.system.parts[i])
	}
	put(to.systemVersion, c.systemVersion)
	put(to.systemName, &c.system.family)
	put(to.legacySystem, &c.system.family)
	put(to.systemFull, &c.systemFull)
	return ok
}
