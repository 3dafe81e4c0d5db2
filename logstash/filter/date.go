package filter

import (
	"fmt"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/joda"
)

// Date reads a time from a field, and sets @timestamp, or another field, to it.
//
// The formats are tried in turn, until one is that of the whole text. A missing field is no failure.
//
// Source: org.logstash.filters.DateFilter of logstash-filter-date 3.1.
//
// Differences:
//   - Without locale, names of months and weekdays are English, whatever the host's language is.
//   - A target that cannot be set is a failure (tag_on_failure); the original stops.
type Date struct {
	option.Common
	Match        []string      `ls:"match" doc:"the field, and the formats that its text may have: patterns of Joda-Time, ISO8601, UNIX, UNIX_MS, TAI64N"`
	Target       string        `ls:"target" default:"@timestamp" doc:"the field that gets the time"`
	Timezone     *event.Format `ls:"timezone" doc:"the zone of texts that name none; without it, that of the host"`
	Locale       string        `ls:"locale" doc:"the language of names, as in de or en-US"`
	TagOnFailure []string      `ls:"tag_on_failure" default:"_dateparsefailure" doc:"the tags of an event whose text has none of the formats"`
}

// date is the filter, with what one worker needs.
type date struct {
	*Date
	source  *event.Ref
	target  *event.Ref // nil is @timestamp
	parsers []dateParser
	dynamic bool // the zone has references

	where string
	zones map[string]*joda.Zone // by name; nil for a name that is none
}

type dateParser struct {
	*joda.Parser
	numeric bool // it does not look at zones
}

// mostZones is how many names of zones are kept.
const mostZones = 1000

// Setup implements Plugin.
func (d *Date) Setup(s *Setup) (Filter, error) {
	if len(d.Match) < 2 {
		return nil, option.Errorf("match", "expected a field and at least one format, found %q", d.Match)
	}
	f := &date{Date: d, where: s.Where}
	var err error
	if f.source, err = s.Style.Parse(d.Match[0]); err != nil {
		return nil, option.Errorf("match", "%w", err)
	}
	if d.Target != "@timestamp" {
		if f.target, err = s.Style.Parse(d.Target); err != nil {
			return nil, option.Errorf("target", "%w", err)
		}
	}
	zone := joda.ZoneOf(time.Local)
	if d.Timezone != nil {
		if name := d.Timezone.String(); strings.Contains(name, "%{") {
			f.dynamic = true
		} else if zone, err = joda.LoadZone(name); err != nil {
			return nil, option.Errorf("timezone", "%w", err)
		}
	}
	if strings.Contains(d.Locale, "_") {
		s.Log.Warn("the date filter takes BCP 47 tags for locales: en-US, not en_US", "filter", s.Where, "locale", d.Locale)
	}
	o := joda.Options{Locale: strings.ReplaceAll(d.Locale, "_", "-"), Zone: zone, Clock: s.Now}
	for _, format := range d.Match[1:] {
		p, err := joda.NewParser(format, o)
		if err != nil {
			return nil, option.Errorf("match", "date format %q: %w", format, err)
		}
		f.parsers = append(f.parsers, dateParser{p, format == "UNIX" || format == "UNIX_MS" || format == "TAI64N"})
	}
	return f, nil
}

// Fork implements Forker.
func (f *date) Fork() Filter {
	own := *f
	own.zones = nil
	return &own
}

// Filter implements Filter.
func (f *date) Filter(x *Context, e *event.Event) {
	v := e.Get(f.source)
	if v.Nil() {
		return
	}
	for _, p := range f.parsers {
		t, err := f.parse(p, v, e)
		if err != nil {
			continue
		}
		if f.target == nil {
			e.SetTimestamp(t)
		} else if e.Set(f.target, event.TimeValue(t)) != nil {
			continue
		}
		if err := f.Matched(e); err != nil {
			x.Log.Warn("what date adds cannot be set", "filter", f.where, "error", err)
		}
		return
	}
	for _, tag := range f.TagOnFailure {
		e.Tag(tag)
	}
}

// parse reads a value with one format.
func (f *date) parse(p dateParser, v event.Value, e *event.Event) (time.Time, error) {
	switch v.Kind() {
	case event.String:
		if !f.dynamic || p.numeric {
			return p.Parse(bytesOf(v.Str()))
		}
		zone, err := f.zone(e)
		if err != nil {
			return time.Time{}, err
		}
		return p.ParseIn(bytesOf(v.Str()), zone)
	case event.Int:
		return p.ParseInt(v.Int())
	case event.Float:
		return p.ParseFloat(v.Float())
	case event.Decimal:
		return p.ParseDecimal(v.Text())
	default:
		return time.Time{}, joda.ErrKind
	}
}

// zone gives the zone that the event names.
func (f *date) zone(e *event.Event) (*joda.Zone, error) {
	name, err := f.Timezone.Text(e)
	if err != nil {
		return nil, err
	}
	z, known := f.zones[name]
	if !known {
		if z, err = joda.LoadZone(name); err != nil {
			z = nil
		}
		if f.zones == nil {
			f.zones = map[string]*joda.Zone{}
		}
		if len(f.zones) < mostZones {
			f.zones[strings.Clone(name)] = z
		}
	}
	if z == nil {
		return nil, fmt.Errorf("no time zone is called %q", name)
	}
	return z, nil
}
