package codec

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

const cefHead = "CEF:0|security|threatmanager|1.0|100|trojan successfully stopped|10|"

func TestCEFMessagesBecomeEvents(t *testing.T) {
	const legacy = `"cefVersion":"0","deviceVendor":"security","deviceProduct":"threatmanager","deviceVersion":"1.0","deviceEventClassId":"100","name":"trojan successfully stopped","severity":"10"`
	const schema = `"cef":{"version":"0","name":"trojan successfully stopped"},"observer":{"vendor":"security","product":"threatmanager","version":"1.0"},"event":{"code":"100","severity":"10"}`
	for _, c := range []struct{ name, options, in, want string }{
		{"the header alone", `ecs_compatibility => disabled`, cefHead, `{` + legacy + `}`},
		{"keys get their names", `ecs_compatibility => disabled`, cefHead + "src=10.0.0.192 dst=12.121.122.82 spt=1232", `{` + legacy + `,"sourceAddress":"10.0.0.192","destinationAddress":"12.121.122.82","sourcePort":"1232"}`},
		{"fields of the schema", ``, cefHead + "src=10.0.0.192 spt=1232 cs15=x dvchost=h", ``},
		{"a host as device", `device => host`, cefHead + "dvc=1.2.3.4 dvchost=h deviceExternalId=i", ``},
		{"names, and names of before", `ecs_compatibility => disabled`, cefHead + "destinationPort=53 destinationLatitude=1.5 dlat=2.5", `{` + legacy + `,"destinationPort":"53","destinationLatitude":"1.5","destinationGeoLatitude":"2.5"}`},
		{"values with blanks, pipes and equal signs", `ecs_compatibility => disabled`, cefHead + `moo=this|has a pipe zoo=this =has = equals\=  ad.nn=TEST x`, `{` + legacy + `,"moo":"this|has a pipe","zoo":"this =has = equals=","ad.nn":"TEST x"}`},
		{"escapes", `ecs_compatibility => disabled`, `CEF:0|a\|b|c\\|1\x|100|n|10|msg=a\=b\nc\rd\\e\f`, `{"cefVersion":"0","deviceVendor":"a|b","deviceProduct":"c\\","deviceVersion":"1\\x","deviceEventClassId":"100","name":"n","severity":"10","message":"a=b\nc\rd\\e\\f"}`},
		{"keys with an index", `ecs_compatibility => disabled`, cefHead + "foo[0]=a foo[1]=b", `{` + legacy + `,"foo":{"0":"a","1":"b"}}`},
		{"what has no key", `ecs_compatibility => disabled`, cefHead + "no keys here", `{"message":"` + cefHead + `no keys here","tags":["_cefparsefailure"]}`},
		{"an empty value", `ecs_compatibility => disabled`, cefHead + "a= b=1", `{` + legacy + `,"a":"","b":"1"}`},
		{"the last of equal keys counts", `ecs_compatibility => disabled`, cefHead + "a=1 b=2 a=3", `{` + legacy + `,"a":"3","b":"2"}`},
		{"behind a header of syslog", `ecs_compatibility => disabled`, "<14>Jan 02 host " + cefHead, `{"syslog":"<14>Jan 02 host","cefVersion":"0",` + legacy[len(`"cefVersion":"0",`):] + `}`},
		{"in quotes", `ecs_compatibility => disabled`, `"` + cefHead + `a=1"`, `{` + legacy + `,"a":"1"}`},
		{"the message as it was", `ecs_compatibility => disabled raw_data_field => "raw"`, cefHead + "\n", `{"raw":"` + cefHead + `\n",` + legacy + `}`},
		{"no CEF", ``, "this is not cef", `{"message":"this is not cef","tags":["_cefparsefailure"]}`},
		{"too few header fields", ``, "a|b|c", `{"message":"a|b|c","tags":["_cefparsefailure"]}`},
		{"several lines", ``, cefHead + "a=1\nx=2", `{"message":"` + cefHead + `a=1\nx=2","tags":["_cefparsefailure"]}`},
		{"a field that cannot be", ``, cefHead + "cef=1 cs1=x", `{"message":"` + cefHead + `cef=1 cs1=x","tags":["_cefparsefailure"]}`},
		{"what is not UTF-8", ``, cefHead + "a=\xe9", `{"message":"` + cefHead + `a=\\xE9","tags":["_cefparsefailure"]}`},
		{"no time", ``, cefHead + "start=yesterday", `{"message":"` + cefHead + `start=yesterday","tags":["_cefparsefailure"]}`},
	} {
		switch c.name {
		case "fields of the schema":
			c.want = `{"cef":{"version":"0","name":"trojan successfully stopped","device_custom_string_15":{"value":"x"}},"observer":{"vendor":"security","product":"threatmanager","version":"1.0","hostname":"h"},"event":{"code":"100","severity":"10"},"source":{"ip":"10.0.0.192","port":"1232"}}`
		case "a host as device":
			c.want = `{` + schema + `,"host":{"ip":"1.2.3.4","name":"h","id":"i"}}`
		}
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff([]string{c.want}, decoded(t, made(t, "cef { "+c.options+" }", false), c.in)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTimesInCEFAreTimesWithTheSchema(t *testing.T) {
	now := time.Date(2026, 12, 30, 12, 0, 0, 0, time.UTC)
	berlin, err := cefZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	clock := &cefClock{berlin}
	for _, c := range []struct{ text, zone, want string }{
		{"1577836800000", "", "2020-01-01T00:00:00Z"},
		{"1577836800123.456789", "", "2020-01-01T00:00:00.123456789Z"},
		{"Sep 19 2020 08:26:10", "", "2020-09-19T06:26:10Z"},
		{"Sep 19 2020 08:26:10", "America/New_York", "2020-09-19T12:26:10Z"},
		{"Sep 19 2020 08:26:10.123", "", "2020-09-19T06:26:10.123Z"},
		{"Sep 19 2020 08:26:10.123456789 UTC", "America/New_York", "2020-09-19T08:26:10.123456789Z"},
		{"Sep 19 2020 08:26:10 EST", "", "2020-09-19T13:26:10Z"},
		{"Sep 19 2020 08:26:10 GMT+02:00", "", "2020-09-19T06:26:10Z"},
		{"Sep 19 2020 08:26:10 Asia/Tokyo", "", "2020-09-18T23:26:10Z"},
		{"Dec 31 08:26:10 UTC", "", "2026-12-31T08:26:10Z"},
		{"Jan 01 08:26:10 UTC", "", "2027-01-01T08:26:10Z"},
		{"Jan 03 08:26:10 UTC", "", "2026-01-03T08:26:10Z"},
	} {
		got, err := clock.parse(c.text, c.zone, now)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != c.want {
			t.Errorf("%s in %s is %s, not %s: %v", c.text, c.zone, got.UTC().Format(time.RFC3339Nano), c.want, err)
		}
	}
	if got, err := clock.parse("Dec 31 08:26:10 UTC", "", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)); err != nil || got.Year() != 2025 {
		t.Errorf("December seen in January is %s: %v", got, err)
	}
	for _, text := range []string{"", "0123", "1.2.3", "1.", "Sep 19", "Sep 19 2020 08:26:10 Nowhere/Land", "19 Sep 2020 08:26:10", "9999999999999999999999"} {
		if got, err := clock.parse(text, "", now); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
	d, ok := made(t, `cef { }`, false).(Decoder)
	if !ok {
		t.Fatal("it does not decode")
	}
	s := newStream()
	s.x.Emit = func(e *event.Event) { s.events = append(s.events, string(e.AppendJSON(nil))) }
	d.Decode(&s.x, []byte(cefHead+"dtz=America/New_York rt=Sep 19 2020 08:26:10 end=1577836800000 start="))
	for _, want := range []string{`"@timestamp":"2020-09-19T12:26:10.000Z"`, `"end":"2020-01-01T00:00:00.000Z"`, `"start":null`, `"timezone":"America/New_York"`} {
		if !strings.Contains(s.events[0], want) {
			t.Errorf("%s has no %s", s.events[0], want)
		}
	}
}

func TestEventsAreWrittenAsCEF(t *testing.T) {
	for _, c := range []struct{ options, in, want string }{
		{``, `{}`, `CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|`},
		{`vendor => "%{v}" product => "p\q" version => "" severity => "%{s}" name => "%{n}" delimiter => "\r\n"`, `{"v":"a|b","s":"10.0","n":"x\r\ny"}`, `CEF:0|a\|b|p\\q|1.0|Logstash|x y|10|` + "\r\n"},
		{`severity => "11"`, `{}`, `CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|`},
		{`severity => "5.5"`, `{}`, `CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|`},
		{`fields => ["[source][ip]","f_o.o","missing","n","l","[message]"]`, `{"source":{"ip":"1.2.3.4"},"f_o.o":"a=b\\c\nd","n":1.5,"l":["x",{"y":1}],"message":"m"}`,
			`CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|sourceAddress=1.2.3.4 foo=a\=b\\c\nd n=1.5 l=["x",{"y":1}] message=m`},
		{`fields => ["[source][ip]","sourcePort"] reverse_mapping => true`, `{"source":{"ip":"1.2.3.4"},"sourcePort":80}`, `CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|src=1.2.3.4 spt=80`},
		{`fields => ["sourceAddress"] reverse_mapping => true ecs_compatibility => disabled`, `{"sourceAddress":"1.2.3.4"}`, `CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|src=1.2.3.4`},
		{`fields => ["[source][registered_domain]"]`, `{"source":{"registered_domain":"d"}}`, `CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|sourceDnsDomain=d`},
	} {
		encoder, ok := made(t, "cef { "+c.options+" }", false).(Encoder)
		if !ok {
			t.Fatal("it does not encode")
		}
		v, err := event.ParseJSON([]byte(c.in), event.JSONOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(encoder.Encode(nil, event.FromMap(v))); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.options, got, c.want)
		}
	}
}

func TestCEFRefusesOptionsThatCannotWork(t *testing.T) {
	for options, word := range map[string]string{
		`default_timezone => "Nowhere/Land"`: "default_timezone",
		`device => "router"`:                 "observer",
		`fields => ["[a"]`:                   "fields",
	} {
		if got := refusedCodec(t, "cef { "+options+" }"); !strings.Contains(got, word) {
			t.Errorf("%s: %s does not mention %s", options, got, word)
		}
	}
	if d, ok := made(t, `cef { delimiter => "\r\n" }`, true).(Decoder); !ok || d.Delimiter() != "\r\n" {
		t.Error("the delimiter is not that of the option")
	}
}

func FuzzCEFIsReadOrTagged(f *testing.F) {
	for _, seed := range []string{cefHead + "src=10.0.0.192 dst=1 a=b c", `CEF:0|a\|b|c\\|1|2|3|4|x[0]=\=`, "<1> CEF:1|||||||rt=1 end=Sep 19 2020 08:26:10 UTC"} {
		f.Add([]byte(seed))
	}
	config := made(f, "cef { }", false)
	f.Fuzz(func(t *testing.T, in []byte) {
		if n := len(decoded(t, config, string(in))); n != 1 {
			t.Fatalf("%d events", n)
		}
	})
}
