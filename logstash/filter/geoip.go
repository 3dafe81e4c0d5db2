package filter

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// GeoIP makes fields of what a database in MaxMind's format has for an address: the place, the network's owner.
//
// Of a list the first address counts. Where there is nothing for an address, the target is an empty map if there was none,
// and the event gets tag_on_failure; so it is for what is no address.
//
// Source: geoip.rb and org.logstash.filters.geoip of logstash-filter-geoip 7.3.
//
// Differences:
//   - database must be given: Logstash downloads GeoLite2 databases itself and takes new ones, naru does neither.
//   - A name of a host is no address; the original asks DNS for it.
//   - A database of a kind that is not known is an error of the configuration.
//   - A source that is neither a text nor a list is a failed lookup; the original stops.
type GeoIP struct {
	option.Common
	Source              *event.Ref `ls:"source,required" doc:"the field with the address"`
	Database            string     `ls:"database" doc:"the file with the database (.mmdb): City, Country, ASN, ISP, Domain, Enterprise or Anonymous-IP; needed"`
	Target              string     `ls:"target" doc:"the field that gets the fields; without it geoip, or with the Elastic Common Schema what the source is in: client of [client][ip]"`
	Fields              []string   `ls:"fields" doc:"which fields are set; without it those that are usual for the database"`
	TagOnFailure        []string   `ls:"tag_on_failure" default:"_geoip_lookup_failure" doc:"the tags of an event whose address is not found"`
	DefaultDatabaseType string     `ls:"default_database_type" default:"City" enum:"City|ASN" doc:"has no effect: which database Logstash downloads"`
	CacheSize           int64      `ls:"cache_size" default:"1000" doc:"has no effect: the database is in memory"`
	ECS                 string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether fields have names of the Elastic Common Schema; that of the pipeline if not given"`
}

type geoIP struct {
	*GeoIP
	where    string
	database *maxminddb.Reader
	kind     geoKind
	target   *event.Ref
	fields   []geoTarget
}

type geoTarget struct {
	*geoField
	to *event.Ref // nil: nowhere
}

// geoObjects are what the Elastic Common Schema has places of.
var geoObjects = []string{"client", "destination", "host", "observer", "server", "source"}

// Setup implements Plugin.
func (g *GeoIP) Setup(s *Setup) (Filter, error) {
	legacy := s.ecs(g.ECS).named("", "ecs") == ""
	target := g.Target
	if target == "" && legacy {
		target = "geoip"
	} else if target == "" {
		above, ok := strings.CutSuffix(g.Source.Source(), "[ip]")
		if !ok || above == "" {
			return nil, option.Errorf("target", "with the Elastic Common Schema it is needed, unless source is a field ip of another, as [client][ip]")
		}
		target = above
	}
	if name := strings.Trim(target, "[]"); !legacy && !slices.Contains(geoObjects, name) {
		s.Log.Warn("the Elastic Common Schema has no places of this field", "filter", s.Where, "target", target, "expected", geoObjects)
	}
	if g.Database == "" {
		return nil, errors.New("database is needed: naru does not download one as Logstash does; name a file in MaxMind's format, GeoLite2-City.mmdb say")
	}
	name := g.Database
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.Dir, name)
	}
	f := &geoIP{GeoIP: g, where: s.Where}
	var err error
	if f.target, err = s.Style.Parse(target); err != nil {
		return nil, option.Errorf("target", "%w", err)
	}
	if f.database, err = maxminddb.Open(name); err != nil {
		return nil, option.Errorf("database", "%s: %w", g.Database, err)
	}
	if err := f.setFields(s, target, legacy); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *geoIP) setFields(s *Setup, target string, legacy bool) error {
	var err error
	if f.kind, err = geoKindOf(f.database.Metadata.DatabaseType); err != nil {
		return option.Errorf("database", "%s: %w", f.Database, err)
	}
	fields, err := geoFieldsOf(f.kind, f.Fields, legacy)
	if err != nil {
		return option.Errorf("fields", "%w", err)
	}
	for _, field := range fields {
		t := geoTarget{geoField: field}
		name := field.schema
		if legacy {
			name = field.legacy
		}
		if name != "" {
			if t.to, err = s.Style.Parse("[" + target + "][" + strings.ReplaceAll(name, ".", "][") + "]"); err != nil {
				return option.Errorf("target", "%w", err)
			}
		}
		f.fields = append(f.fields, t)
	}
	return nil
}

// Close lets go of the database.
func (f *geoIP) Close() error { return f.database.Close() }

// Filter implements Filter.
func (f *geoIP) Filter(x *Context, e *event.Event) {
	if f.lookUp(x, e) {
		succeed(x, f.where, &f.Common, e)
		return
	}
	for _, tag := range f.TagOnFailure {
		e.Tag(tag)
	}
}

// lookUp sets the fields. It reports that there was something to set.
func (f *geoIP) lookUp(x *Context, e *event.Event) bool {
	v := e.Get(f.Source)
	if list := v.List(); len(list) > 0 {
		v = list[0]
	}
	if v.Kind() != event.String || strings.TrimSpace(v.Str()) == "" {
		return false
	}
	answer := geoAnswer{}
	found := f.find(x, v.Str(), &answer)
	if e.Get(f.target).Nil() && !set(x, f.where, e, f.target, event.MapValue()) {
		return false
	}
	if !found {
		return false
	}
	some := false
	for _, field := range f.fields {
		value := field.value(&answer)
		if !value.Is() {
			continue
		}
		some = true
		if field.to != nil && !set(x, f.where, e, field.to, value) {
			return false
		}
	}
	return some
}

// find looks for a text in the database.
func (f *geoIP) find(x *Context, text string, answer *geoAnswer) bool {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if text, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	answer.ip = ip.WithZone("").Unmap()
	if answer.ip.Is6() && f.database.Metadata.IPVersion == 4 {
		return false
	}
	result := f.database.Lookup(answer.ip)
	if err := result.Err(); err != nil || !result.Found() {
		if err != nil {
			x.Log.Error("the database of addresses cannot be read", "filter", f.where, "error", err)
		}
		return false
	}
	if err := result.Decode(&answer.geoRecord); err != nil {
		x.Log.Error("the database of addresses cannot be read", "filter", f.where, "error", err)
		return false
	}
	answer.network = result.Prefix()
	// An address of a city database without a place has nothing at all.
	return f.kind != geoCity || answer.Location.Latitude != nil || answer.Location.Longitude != nil
}
