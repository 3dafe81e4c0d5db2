package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/narudata/naru/logstash/event"
)

const accessLine = `203.0.113.77 - frank [12/May/2024:10:11:12 +0000] "GET /api/v1/items?id=48213&full=true HTTP/1.1" 200 51234 "https://www.example.com/start/page.html" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"`

// benchmark runs filters on an event that has the fields given, over and over.
func benchmark(b *testing.B, config string, fields ...string) *event.Event {
	b.Helper()
	filters, err := setUp(b, config, ECSDisabled)
	if err != nil {
		b.Fatal(err)
	}
	x := newContext()
	e := event.New()
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		for i := 0; i < len(fields); i += 2 {
			if err := e.SetField(fields[i], event.StringValue(fields[i+1])); err != nil {
				b.Fatal(err)
			}
		}
		for _, f := range filters {
			f.Filter(x, e)
		}
	}
	if tags := e.Tags(); tags != nil {
		b.Fatal(tags)
	}
	return e
}

func BenchmarkGrokCombinedApacheLog(b *testing.B) {
	benchmark(b, `filter { grok { match => { "message" => "%{COMBINEDAPACHELOG}" } } }`, "message", accessLine)
}

func BenchmarkGrokThenDate(b *testing.B) {
	benchmark(b, `filter { grok { match => { "message" => "%{COMBINEDAPACHELOG}" } } date { match => [ "timestamp", "dd/MMM/yyyy:HH:mm:ss Z" ] } }`, "message", accessLine)
}

func BenchmarkGrokTheLastOfTwentyPatterns(b *testing.B) {
	var patterns []string
	for i := range 20 {
		patterns = append(patterns, fmt.Sprintf(`"^%%{SYSLOGTIMESTAMP:ts} %%{HOSTNAME:host} event-%02d: %%{GREEDYDATA:text}"`, i))
	}
	benchmark(b, `filter { grok { match => { "message" => [`+strings.Join(patterns, ", ")+`] } } }`, "message", "May 12 10:11:12 web-01.example.com event-19: something happened")
}

func BenchmarkDate(b *testing.B) {
	for name, c := range map[string][2]string{
		"joda": {"dd/MMM/yyyy:HH:mm:ss Z", "12/May/2024:10:11:12 +0000"},
		"iso":  {"ISO8601", "2024-05-12T10:11:12.123Z"},
		"unix": {"UNIX_MS", "1715508672123"},
	} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, `filter { date { match => [ "t", "`+c[0]+`" ] } }`, "t", c[1])
		})
	}
}

func BenchmarkDissectSixFields(b *testing.B) {
	benchmark(b, `filter { dissect { mapping => { "message" => "%{ts} [%{level}] %{logger} - %{host}: %{code}, %{text}" } } }`,
		"message", "2024-05-12T10:11:12.123Z [INFO] org.example.shop.Cart - web-01.example.com: 200, "+strings.Repeat("some words ", 8))
}

func BenchmarkKV(b *testing.B) {
	for name, c := range map[string][2]string{
		"firewall":  {``, `srcip=10.1.2.3 dstip=192.0.2.9 srcport=49152 dstport=443 proto=6 action="accept" policy="to the net" bytes=5123 sent=77 device=[fw-01]`},
		"query":     {`field_split => "&"`, `id=48213&full=true&page=3&size=50&sort=name&order=asc&filter=none&lang=en&theme=dark&x=1`},
		"backslash": {``, `srcip=10.1.2.3 path=C:\\Windows srcport=49152 dstport=443 proto=6 action="accept" policy="to the net" bytes=5123 sent=77 device=[fw-01]`},
	} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, `filter { kv { `+c[0]+` } }`, "message", c[1])
		})
	}
}

func BenchmarkGrokCombinedApacheLogWithECS(b *testing.B) {
	benchmark(b, `filter { grok { match => { "message" => "%{COMBINEDAPACHELOG}" } ecs_compatibility => "v8" } }`, "message", accessLine)
}
