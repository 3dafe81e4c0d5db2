package filter

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"
)

// database writes a database that has a record for a network, and gives the option.
func database(t *testing.T, kind, network string, record mmdbtype.Map) string {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Insert(netipx.PrefixIPNet(netip.MustParsePrefix(network)), record); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), kind+".mmdb")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return ` database => "` + name + `" `
}

func geoNames(code, codeName, name string) mmdbtype.Map {
	return mmdbtype.Map{mmdbtype.String(codeName): mmdbtype.String(code), "names": mmdbtype.Map{"en": mmdbtype.String(name), "de": mmdbtype.String("anders")}}
}

func cityRecord() mmdbtype.Map {
	return mmdbtype.Map{
		"city":         mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Milton")}},
		"continent":    geoNames("NA", "code", "North America"),
		"country":      geoNames("US", "iso_code", "United States"),
		"subdivisions": mmdbtype.Slice{geoNames("XX", "iso_code", "Outer"), geoNames("WA", "iso_code", "Washington")},
		"postal":       mmdbtype.Map{"code": mmdbtype.String("98354")},
		"location": mmdbtype.Map{"latitude": mmdbtype.Float64(47.2513), "longitude": mmdbtype.Float64(-122.3149),
			"metro_code": mmdbtype.Uint16(819), "time_zone": mmdbtype.String("America/Los_Angeles")},
	}
}

func TestAPlaceIsFoundInACityDatabase(t *testing.T) {
	db := database(t, "GeoLite2-City", "216.160.83.56/29", cityRecord())
	const legacy = `{"geoip":{"city_name":"Milton","country_name":"United States","continent_code":"NA","country_code2":"US","country_code3":"US","ip":"216.160.83.58","postal_code":"98354","dma_code":819,"region_name":"Washington","region_code":"WA","timezone":"America/Los_Angeles","location":{"lat":47.2513,"lon":-122.3149},"latitude":47.2513,"longitude":-122.3149}}`
	const schema = `{"client":{"ip":"216.160.83.58","geo":{"city_name":"Milton","country_name":"United States","continent_code":"NA","country_iso_code":"US","postal_code":"98354","region_name":"Washington","region_iso_code":"US-WA","timezone":"America/Los_Angeles","location":{"lat":47.2513,"lon":-122.3149}},"mmdb":{"dma_code":819}}}`
	const apart = `{"client":{"geo":{"city_name":"Milton","location":{"lat":47.2513,"lon":-122.3149}},"ip":"216.160.83.58"}}`
	for _, c := range []struct {
		name, options string
		ecs           ECS
		in, want      string
	}{
		{"legacy names", `source => "a" remove_field => "a"`, ECSDisabled, `{"a":"216.160.83.58"}`, legacy},
		{"the first of a list", `source => "a" remove_field => "a"`, ECSDisabled, `{"a":["216.160.83.58","x"]}`, legacy},
		{"a version 4 address as version 6", `source => "a" remove_field => "a"`, ECSDisabled, `{"a":"::ffff:216.160.83.58"}`, legacy},
		{"the schema, next to the source", `source => "[client][ip]"`, ECSv8, `{"client":{"ip":"216.160.83.58"}}`, schema},
		{"the schema, in a target", `source => "a" target => "client" fields => ["location","city_name","ip"] remove_field => "a"`, ECSv8, `{"a":"216.160.83.58"}`, apart},
		{"a target in another", `source => "a" target => "[x][y]" fields => ["CITY_NAME", "ip"] remove_field => "a"`, ECSDisabled, `{"a":"216.160.83.58"}`, `{"x":{"y":{"city_name":"Milton","ip":"216.160.83.58"}}}`},
		{"some fields", `source => "a" fields => ["region_iso_code","continent_name"] remove_field => "a"`, ECSDisabled, `{"a":"216.160.83.58","geoip":{"b":1}}`, `{"geoip":{"b":1,"continent_name":"North America","region_iso_code":"US-WA"}}`},
		{"a field that the schema does not have", `source => "a" target => "host" fields => "country_code3" add_tag => "ok" remove_field => "a"`, ECSv8, `{"a":"216.160.83.58"}`, `{"host":{},"tags":["ok"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := filtered(t, mustFilter(t, "geoip", db+c.options, c.ecs), c.in); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestOtherDatabasesHaveTheirFields(t *testing.T) {
	anonymous := mmdbtype.Map{"is_anonymous": mmdbtype.Bool(true), "is_tor_exit_node": mmdbtype.Bool(true)}
	asn := mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(1221), "autonomous_system_organization": mmdbtype.String("Telstra")}
	isp := mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(1221), "autonomous_system_organization": mmdbtype.String("Telstra"), "isp": mmdbtype.String("I"), "organization": mmdbtype.String("O")}
	enterprise := cityRecord()
	enterprise["traits"] = mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(7), "is_anonymous_vpn": mmdbtype.Bool(true)}
	for _, c := range []struct {
		kind, network, ip string
		record            mmdbtype.Map
		options           string
		ecs               ECS
		want              string
	}{
		{"GeoLite2-Country", "2001:db8::/32", "2001:db8::1", mmdbtype.Map{"country": geoNames("KR", "iso_code", "South Korea"), "continent": geoNames("AS", "code", "Asia")}, "", ECSDisabled,
			`{"country_name":"South Korea","continent_name":"Asia","country_code2":"KR","ip":"2001:db8:0:0:0:0:0:1"}`},
		{"GeoLite2-ASN", "1.128.0.0/11", "1.128.3.4", asn, "", ECSDisabled, `{"asn":1221,"as_org":"Telstra","ip":"1.128.3.4"}`},
		{"GeoLite2-ASN", "1.128.0.0/11", "1.128.3.4", asn, `fields => ["autonomous_system_number","network","city_name"]`, ECSv8, `{"as":{"number":1221},"ip_traits":{"network":"1.128.0.0/11"}}`},
		{"GeoLite2-ASN", "2001:db8::/32", "[2001:db8::1]", asn, `fields => "network"`, ECSDisabled, `{"network":"2001:db8:0:0:0:0:0:0/32"}`},
		{"GeoIP2-ISP", "1.128.0.0/11", "1.128.3.4", isp, "", ECSv8, `{"as":{"number":1221,"organization":{"name":"Telstra"}},"ip":"1.128.3.4","mmdb":{"isp":"I","organization":"O"}}`},
		{"GeoIP2-Domain", "1.2.0.0/16", "1.2.3.4", mmdbtype.Map{"domain": mmdbtype.String("maxmind.com")}, "", ECSDisabled, `{"domain":"maxmind.com"}`},
		{"GeoIP2-Domain", "1.2.0.0/16", "1.2.3.4", mmdbtype.Map{}, "", ECSDisabled, `{"domain":null}`},
		{"GeoIP2-Anonymous-IP", "1.2.0.0/16", "1.2.3.4", anonymous, "", ECSDisabled, `{"hosting_provider":false,"tor_exit_node":true,"anonymous_vpn":false,"anonymous":true,"public_proxy":false,"residential_proxy":false}`},
		{"GeoIP2-Enterprise", "1.2.0.0/16", "1.2.3.4", enterprise, "", ECSDisabled, `{"city_name":"Milton","country_name":"United States","continent_name":"North America","country_code2":"US","ip":"1.2.3.4","region_name":"Washington","region_iso_code":"US-WA","location":{"lat":47.2513,"lon":-122.3149}}`},
		{"GeoIP2-Enterprise", "1.2.0.0/16", "1.2.3.4", enterprise, `fields => ["AUTONOMOUS_SYSTEM_NUMBER","anonymous_vpn","anonymous"]`, ECSv8, `{"as":{"number":7},"ip_traits":{"anonymous_vpn":true,"anonymous":false}}`},
	} {
		db := database(t, c.kind, c.network, c.record)
		f := mustFilter(t, "geoip", db+c.options+` source => "a" target => "source" remove_field => "a"`, c.ecs)
		if got, want := filtered(t, f, `{"a":"`+c.ip+`"}`), `{"source":`+c.want+`}`; got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.kind, got, want)
		}
	}
}

func TestAnAddressThatIsNotFoundIsTagged(t *testing.T) {
	db := database(t, "GeoLite2-City", "216.160.83.56/29", cityRecord())
	f := mustFilter(t, "geoip", db+`source => "a" add_tag => "ok"`, ECSDisabled)
	const tags = `"tags":["_geoip_lookup_failure"]}`
	for in, want := range map[string]string{
		`{"a":"1.2.3.4"}`:                 `{"a":"1.2.3.4","geoip":{},` + tags,
		`{"a":"2001:db8::1"}`:             `{"a":"2001:db8::1","geoip":{},` + tags,
		`{"a":"localhost"}`:               `{"a":"localhost","geoip":{},` + tags,
		`{"a":"[::1"}`:                    `{"a":"[::1","geoip":{},` + tags,
		`{"a":"1.2.3.4","geoip":{"b":1}}`: `{"a":"1.2.3.4","geoip":{"b":1},` + tags,
		`{"a":" "}`:                       `{"a":" ",` + tags,
		`{"a":[]}`:                        `{"a":[],` + tags,
		`{"a":17}`:                        `{"a":17,` + tags,
		`{}`:                              `{` + tags,
	} {
		if got := filtered(t, f, in); got != want {
			t.Errorf("%s became %s, not %s", in, got, want)
		}
	}
	nowhere := cityRecord()
	delete(nowhere, "location")
	f = mustFilter(t, "geoip", database(t, "GeoLite2-City", "1.2.3.0/24", nowhere)+`source => "a" tag_on_failure => ["x","y"]`, ECSDisabled)
	if got, want := filtered(t, f, `{"a":"1.2.3.4"}`), `{"a":"1.2.3.4","geoip":{},"tags":["x","y"]}`; got != want {
		t.Errorf("without a place: %s, not %s", got, want)
	}
}

func TestGeoIPRefusesOptionsThatCannotWork(t *testing.T) {
	refused(t, "geoip", `source => "a"`, ECSDisabled, "database", "does not download")
	refused(t, "geoip", `source => "a" database => "/nowhere.mmdb"`, ECSDisabled, "database", "nowhere")
	db := database(t, "GeoLite2-City", "1.2.3.0/24", cityRecord())
	refused(t, "geoip", db+`source => "a"`, ECSv8, "target")
	refused(t, "geoip", db+`source => "[ip]"`, ECSv8, "target")
	refused(t, "geoip", db+`source => "a" fields => ["town"]`, ECSDisabled, "fields", "town", "city_name")
	refused(t, "geoip", db+`source => "a" target => "[a"`, ECSDisabled, "target")
	refused(t, "geoip", database(t, "Something", "1.2.3.0/24", cityRecord())+`source => "a"`, ECSDisabled, "Something", "GeoLite2-ASN")
	name := filepath.Join(t.TempDir(), "bad.mmdb")
	if err := os.WriteFile(name, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "geoip", `source => "a" database => "`+name+`"`, ECSDisabled, "database", "bad.mmdb")
}
