package filter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/event"
)

// A geoKind is a kind of database.
type geoKind uint8

const (
	geoCity geoKind = 1 << iota
	geoCountry
	geoDomain
	geoASN
	geoISP
	geoEnterprise
	geoAnonymous
)

// geoKinds are the kinds, by what the type of a database contains; the first counts.
var geoKinds = []struct {
	contains string
	kind     geoKind
}{
	{"City", geoCity}, {"Country", geoCountry}, {"GeoIP2-Domain", geoDomain}, {"GeoLite2-ASN", geoASN},
	{"GeoIP2-ISP", geoISP}, {"Enterprise", geoEnterprise}, {"GeoIP2-Anonymous-IP", geoAnonymous},
}

func geoKindOf(databaseType string) (geoKind, error) {
	names := make([]string, len(geoKinds))
	for i, k := range geoKinds {
		if strings.Contains(databaseType, k.contains) {
			return k.kind, nil
		}
		names[i] = k.contains
	}
	return 0, fmt.Errorf("the database is of the type %q: expected one of %s", databaseType, strings.Join(names, ", "))
}

// A geoRecord is what databases have for a network, all kinds together.
type geoRecord struct {
	City         geoPlace   `maxminddb:"city"`
	Continent    geoPlace   `maxminddb:"continent"`
	Country      geoPlace   `maxminddb:"country"`
	Subdivisions []geoPlace `maxminddb:"subdivisions"`
	Postal       struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"postal"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		MetroCode *uint32  `maxminddb:"metro_code"`
		TimeZone  string   `maxminddb:"time_zone"`
	} `maxminddb:"location"`
	Traits geoTraits `maxminddb:"traits"`

	// What other databases have at the top, Enterprise has in Traits.
	ASN          *uint32 `maxminddb:"autonomous_system_number"`
	ASName       string  `maxminddb:"autonomous_system_organization"`
	ISP          string  `maxminddb:"isp"`
	Organization string  `maxminddb:"organization"`
	Domain       string  `maxminddb:"domain"`
	Anonymous    bool    `maxminddb:"is_anonymous"`
	VPN          bool    `maxminddb:"is_anonymous_vpn"`
	Hosting      bool    `maxminddb:"is_hosting_provider"`
	PublicProxy  bool    `maxminddb:"is_public_proxy"`
	Residential  bool    `maxminddb:"is_residential_proxy"`
	Tor          bool    `maxminddb:"is_tor_exit_node"`
}

type geoPlace struct {
	Code    string `maxminddb:"code"`
	ISOCode string `maxminddb:"iso_code"`
	Names   struct {
		English string `maxminddb:"en"`
	} `maxminddb:"names"`
}

type geoTraits struct {
	ASN         *uint32 `maxminddb:"autonomous_system_number"`
	ASName      string  `maxminddb:"autonomous_system_organization"`
	Anonymous   bool    `maxminddb:"is_anonymous"`
	VPN         bool    `maxminddb:"is_anonymous_vpn"`
	Hosting     bool    `maxminddb:"is_hosting_provider"`
	PublicProxy bool    `maxminddb:"is_public_proxy"`
	Residential bool    `maxminddb:"is_residential_proxy"`
	Tor         bool    `maxminddb:"is_tor_exit_node"`
}

// A geoAnswer is what was found for an address.
type geoAnswer struct {
	geoRecord
	ip      netip.Addr
	network netip.Prefix
}

func (a *geoAnswer) subdivision() *geoPlace {
	if n := len(a.Subdivisions); n > 0 {
		return &a.Subdivisions[n-1] // the most specific
	}
	return &geoPlace{}
}

// A geoField is a field that can be asked for.
type geoField struct {
	option         string // its name in the option fields
	legacy, schema string // where it goes, parts separated by points; "" is nowhere
	in, byDefault  geoKind
	value          func(a *geoAnswer) event.Value // Absent if it is not known
}

// geoFields are the fields, in the order in which they are set.
//
// Source: org.logstash.filters.geoip.Field, Database and GeoIPFilter.
var geoFields = []geoField{
	{"AUTONOMOUS_SYSTEM_NUMBER", "asn", "as.number", geoASN | geoISP | geoEnterprise, geoASN | geoISP,
		func(a *geoAnswer) event.Value { return geoNumber(first(a.ASN, a.Traits.ASN)) }},
	{"AUTONOMOUS_SYSTEM_ORGANIZATION", "as_org", "as.organization.name", geoASN | geoISP | geoEnterprise, geoASN | geoISP,
		func(a *geoAnswer) event.Value {
			if a.ASName == "" {
				return geoText(a.Traits.ASName)
			}
			return geoText(a.ASName)
		}},
	{"CITY_NAME", "city_name", "geo.city_name", geoCity | geoEnterprise, geoCity | geoEnterprise,
		func(a *geoAnswer) event.Value { return geoText(a.City.Names.English) }},
	{"COUNTRY_NAME", "country_name", "geo.country_name", geoCity | geoCountry | geoEnterprise, geoCity | geoCountry | geoEnterprise,
		func(a *geoAnswer) event.Value { return geoText(a.Country.Names.English) }},
	{"CONTINENT_CODE", "continent_code", "geo.continent_code", geoCity, geoCity,
		func(a *geoAnswer) event.Value { return geoText(a.Continent.Code) }},
	{"CONTINENT_NAME", "continent_name", "geo.continent_name", geoCity | geoCountry | geoEnterprise, geoCountry | geoEnterprise,
		func(a *geoAnswer) event.Value { return geoText(a.Continent.Names.English) }},
	{"COUNTRY_CODE2", "country_code2", "geo.country_iso_code", geoCity | geoCountry | geoEnterprise, geoCity | geoCountry | geoEnterprise,
		func(a *geoAnswer) event.Value { return geoText(a.Country.ISOCode) }},
	{"COUNTRY_CODE3", "country_code3", "", geoCity, geoCity,
		func(a *geoAnswer) event.Value { return geoText(a.Country.ISOCode) }}, // of two letters, too
	{"DOMAIN", "domain", "domain", geoDomain, geoDomain,
		func(a *geoAnswer) event.Value {
			if a.Domain == "" {
				return event.NullValue
			}
			return geoText(a.Domain)
		}},
	{"IP", "ip", "ip", ^geoDomain, ^(geoDomain | geoAnonymous),
		func(a *geoAnswer) event.Value { return event.StringValue(javaAddress(a.ip)) }},
	{"ISP", "isp", "mmdb.isp", geoISP, geoISP,
		func(a *geoAnswer) event.Value { return geoText(a.ISP) }},
	{"POSTAL_CODE", "postal_code", "geo.postal_code", geoCity, geoCity,
		func(a *geoAnswer) event.Value { return geoText(a.Postal.Code) }},
	{"DMA_CODE", "dma_code", "mmdb.dma_code", geoCity, geoCity,
		func(a *geoAnswer) event.Value { return geoNumber(a.Location.MetroCode) }},
	{"REGION_NAME", "region_name", "geo.region_name", geoCity | geoEnterprise, geoCity | geoEnterprise,
		func(a *geoAnswer) event.Value { return geoText(a.subdivision().Names.English) }},
	{"REGION_CODE", "region_code", "geo.region_code", geoCity, 0,
		func(a *geoAnswer) event.Value { return geoText(a.subdivision().ISOCode) }},
	{"REGION_ISO_CODE", "region_iso_code", "geo.region_iso_code", geoCity | geoEnterprise, geoCity | geoEnterprise,
		func(a *geoAnswer) event.Value {
			if a.Country.ISOCode == "" || a.subdivision().ISOCode == "" {
				return event.Value{}
			}
			return event.StringValue(a.Country.ISOCode + "-" + a.subdivision().ISOCode)
		}},
	{"TIMEZONE", "timezone", "geo.timezone", geoCity | geoEnterprise, geoCity,
		func(a *geoAnswer) event.Value { return geoText(a.Location.TimeZone) }},
	{"LOCATION", "location", "geo.location", geoCity | geoEnterprise, geoCity | geoEnterprise,
		func(a *geoAnswer) event.Value {
			if a.Location.Latitude == nil || a.Location.Longitude == nil {
				return event.Value{}
			}
			v := event.MapValue()
			v.Map().Set("lat", event.FloatValue(*a.Location.Latitude))
			v.Map().Set("lon", event.FloatValue(*a.Location.Longitude))
			return v
		}},
	{"LATITUDE", "latitude", "geo.location.lat", geoCity, geoCity,
		func(a *geoAnswer) event.Value { return geoFloat(a.Location.Latitude) }},
	{"LONGITUDE", "longitude", "geo.location.lon", geoCity, geoCity,
		func(a *geoAnswer) event.Value { return geoFloat(a.Location.Longitude) }},
	{"ORGANIZATION", "organization", "mmdb.organization", geoISP, geoISP,
		func(a *geoAnswer) event.Value { return geoText(a.Organization) }},
	{"NETWORK", "network", "ip_traits.network", geoASN | geoEnterprise, 0,
		func(a *geoAnswer) event.Value {
			return event.StringValue(fmt.Sprintf("%s/%d", javaAddress(a.network.Addr()), a.network.Bits()))
		}},
	{"HOSTING_PROVIDER", "hosting_provider", "ip_traits.hosting_provider", geoEnterprise | geoAnonymous, geoAnonymous,
		func(a *geoAnswer) event.Value { return event.BoolValue(a.Hosting || a.Traits.Hosting) }},
	{"TOR_EXIT_NODE", "tor_exit_node", "ip_traits.tor_exit_node", geoEnterprise | geoAnonymous, geoAnonymous,
		func(a *geoAnswer) event.Value { return event.BoolValue(a.Tor || a.Traits.Tor) }},
	{"ANONYMOUS_VPN", "anonymous_vpn", "ip_traits.anonymous_vpn", geoEnterprise | geoAnonymous, geoAnonymous,
		func(a *geoAnswer) event.Value { return event.BoolValue(a.VPN || a.Traits.VPN) }},
	{"ANONYMOUS", "anonymous", "ip_traits.anonymous", geoEnterprise | geoAnonymous, geoAnonymous,
		func(a *geoAnswer) event.Value { return event.BoolValue(a.Anonymous || a.Traits.Anonymous) }},
	{"PUBLIC_PROXY", "public_proxy", "ip_traits.public_proxy", geoEnterprise | geoAnonymous, geoAnonymous,
		func(a *geoAnswer) event.Value { return event.BoolValue(a.PublicProxy || a.Traits.PublicProxy) }},
	{"RESIDENTIAL_PROXY", "residential_proxy", "ip_traits.residential_proxy", geoEnterprise | geoAnonymous, geoAnonymous,
		func(a *geoAnswer) event.Value { return event.BoolValue(a.Residential || a.Traits.Residential) }},
}

// geoFieldsOf gives the fields of a database: those that are named, or the usual ones.
func geoFieldsOf(kind geoKind, names []string, legacy bool) ([]*geoField, error) {
	wanted := map[string]bool{}
	for _, n := range names {
		upper := strings.ToUpper(n)
		if !slices.ContainsFunc(geoFields, func(f geoField) bool { return f.option == upper }) {
			all := make([]string, len(geoFields))
			for i := range geoFields {
				all[i] = strings.ToLower(geoFields[i].option)
			}
			return nil, fmt.Errorf("there is no %q: expected some of %s", n, strings.Join(all, ", "))
		}
		wanted[upper] = true
	}
	var out []*geoField
	for i := range geoFields {
		f := &geoFields[i]
		use := wanted[f.option]
		if len(wanted) == 0 {
			use = f.byDefault&kind != 0
			if legacy && kind == geoCity && strings.HasPrefix(f.option, "REGION_") {
				use = f.option != "REGION_ISO_CODE" // region_code is the older one
			}
		}
		if use && f.in&kind != 0 {
			out = append(out, f)
		}
	}
	return out, nil
}

func first(a, b *uint32) *uint32 {
	if a != nil {
		return a
	}
	return b
}

func geoText(s string) event.Value {
	if s == "" {
		return event.Value{}
	}
	return event.StringValue(s)
}

func geoNumber(n *uint32) event.Value {
	if n == nil {
		return event.Value{}
	}
	return event.IntValue(int64(*n))
}

func geoFloat(f *float64) event.Value {
	if f == nil {
		return event.Value{}
	}
	return event.FloatValue(*f)
}

// javaAddress prints an address as java.net.InetAddress: version 6 with all its groups.
func javaAddress(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	var b []byte
	groups := ip.As16()
	for i := 0; i < len(groups); i += 2 {
		if i > 0 {
			b = append(b, ':')
		}
		b = fmt.Appendf(b, "%x", uint16(groups[i])<<8|uint16(groups[i+1])) //nolint:gosec // there are 16 of them
	}
	return string(b)
}
