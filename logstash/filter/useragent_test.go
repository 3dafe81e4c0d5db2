package filter

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/narudata/naru/logstash/event"
)

const (
	chromeOnLinux = "Mozilla/5.0 (X11; Linux i686) AppleWebKit/537.31 (KHTML, like Gecko) Chrome/26.0.1410.63 Safari/537.31"
	outlookOnMac  = "MacOutlook/16.12.0.180401 (Intelx64 Mac OS X Version 10.12.6 (build 16G29))"
	explorerVista = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)"
	edgeWindows81 = "Mozilla/5.0 (Windows NT 6.3; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246"
	iPhone        = "Mozilla/5.0 (iPhone; CPU iPhone OS 5_1_1 like Mac OS X) AppleWebKit/534.46 (KHTML, like Gecko) Version/5.1 Mobile/9B206 Safari/7534.48.3"
)

func TestUserAgentsAreKnown(t *testing.T) {
	for _, c := range []struct{ agent, legacy, schema, metadata string }{
		{chromeOnLinux,
			`{"name":"Chrome","device":"Other","major":"26","minor":"0","patch":"1410","version":"26.0.1410.63","os_name":"Linux","os":"Linux","os_full":"Linux"}`,
			`{"name":"Chrome","device":{"name":"Other"},"version":"26.0.1410.63","os":{"name":"Linux","full":"Linux"}}`,
			`{"version":{"major":"26","minor":"0","patch":"1410"}}`},
		{outlookOnMac,
			`{"name":"MacOutlook","device":"Mac","major":"16","minor":"12","patch":"0","version":"16.12.0.180401","os_major":"10","os_minor":"12","os_patch":"6","os_version":"10.12.6","os_name":"Mac OS X","os":"Mac OS X","os_full":"Mac OS X 10.12.6"}`,
			`{"name":"MacOutlook","device":{"name":"Mac"},"version":"16.12.0.180401","os":{"version":"10.12.6","name":"Mac OS X","full":"Mac OS X 10.12.6"}}`,
			`{"version":{"major":"16","minor":"12","patch":"0"},"os":{"version":{"major":"10","minor":"12","patch":"6"}}}`},
		{explorerVista,
			`{"name":"IE","device":"Other","major":"7","minor":"0","version":"7.0","os_major":"Vista","os_version":"Vista","os_name":"Windows","os":"Windows","os_full":"Windows Vista"}`,
			`{"name":"IE","device":{"name":"Other"},"version":"7.0","os":{"version":"Vista","name":"Windows","full":"Windows Vista"}}`,
			`{"version":{"major":"7","minor":"0"},"os":{"version":{"major":"Vista"}}}`},
		{edgeWindows81,
			`{"name":"Edge","device":"Other","major":"12","minor":"246","version":"12.246","os_major":"8","os_minor":"1","os_version":"8.1","os_name":"Windows","os":"Windows","os_full":"Windows 8.1"}`,
			`{"name":"Edge","device":{"name":"Other"},"version":"12.246","os":{"version":"8.1","name":"Windows","full":"Windows 8.1"}}`,
			`{"version":{"major":"12","minor":"246"},"os":{"version":{"major":"8","minor":"1"}}}`},
		{iPhone,
			`{"name":"Mobile Safari","device":"iPhone","major":"5","minor":"1","version":"5.1","os_major":"5","os_minor":"1","os_patch":"1","os_version":"5.1.1","os_name":"iOS","os":"iOS","os_full":"iOS 5.1.1"}`,
			`{"name":"Mobile Safari","device":{"name":"iPhone"},"version":"5.1","os":{"version":"5.1.1","name":"iOS","full":"iOS 5.1.1"}}`,
			`{"version":{"major":"5","minor":"1"},"os":{"version":{"major":"5","minor":"1","patch":"1"}}}`},
		{"nothing that is known",
			`{"name":"Other","device":"Other","os_name":"Other","os":"Other","os_full":"Other"}`,
			`{"name":"Other","device":{"name":"Other"},"os":{"name":"Other","full":"Other"}}`, `null`},
	} {
		in := `{"m":` + strconv.Quote(c.agent) + `}`
		const options = `source => "m" target => "ua" remove_field => "m"`
		if got, want := filtered(t, mustFilter(t, "useragent", options, ECSDisabled), in), `{"ua":`+c.legacy+`}`; got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.agent, got, want)
		}
		e := filteredEvent(t, mustFilter(t, "useragent", options, ECSv8), in)
		if got, want := string(e.AppendJSON(nil)), `{"ua":`+c.schema+`}`; got != want {
			t.Errorf("%s with the schema:\n got %s\nwant %s", c.agent, got, want)
		}
		r, err := event.ParseRef("[@metadata][filter][user_agent]")
		if err != nil {
			t.Fatal(err)
		}
		if got := string(event.AppendJSON(nil, e.Get(r))); got != c.metadata {
			t.Errorf("%s with the schema has the metadata\n%s, not\n%s", c.agent, got, c.metadata)
		}
	}
}

func TestUserAgentFieldsAreWhereTheyShouldBe(t *testing.T) {
	in := `{"m":` + strconv.Quote(explorerVista) + `}`
	for _, c := range []struct {
		options string
		ecs     ECS
		want    string
	}{
		{`source => "m" remove_field => ["m","major","minor","os","os_major","os_full","os_version","version"]`, ECSDisabled, `{"name":"IE","device":"Other","os_name":"Windows"}`},
		{`source => "m" prefix => "x_" remove_field => ["m","x_major","x_minor","x_os","x_os_major","x_os_full","x_os_version","x_version"]`, ECSDisabled, `{"x_name":"IE","x_device":"Other","x_os_name":"Windows"}`},
		{`source => "m" remove_field => ["m","[user_agent][os]"]`, ECSv8, `{"user_agent":{"name":"IE","device":{"name":"Other"},"version":"7.0"}}`},
		{`source => "m" ecs_compatibility => v1 remove_field => ["m","[user_agent][os]"]`, ECSDisabled, `{"user_agent":{"name":"IE","device":{"name":"Other"},"version":"7.0"}}`},
		{`source => "m" target => "[a][b]" remove_field => ["m","[a][b][os]"]`, ECSv8, `{"a":{"b":{"name":"IE","device":{"name":"Other"},"version":"7.0"}}}`},
		{`source => "m" target => "m" remove_field => ["[m][os]"]`, ECSv8, `{"m":{"name":"IE","device":{"name":"Other"},"version":"7.0"}}`},
	} {
		if got := filtered(t, mustFilter(t, "useragent", c.options, c.ecs), in); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.options, got, c.want)
		}
	}
}

func TestAUserAgentThatIsNoneIsLeftAlone(t *testing.T) {
	f := mustFilter(t, "useragent", `source => "m" add_tag => "ok" target => "ua"`, ECSv8)
	for _, in := range []string{`{}`, `{"m":null}`, `{"m":""}`, `{"m":[]}`, `{"m":[""]}`, `{"m":17}`, `{"m":{"a":1}}`} {
		if got := filtered(t, f, in); got != in {
			t.Errorf("%s became %s", in, got)
		}
	}
	if e := filteredEvent(t, f, `{"m":["`+explorerVista+`","other"]}`); !e.HasTag("ok") || !e.GetField("ua").Is() {
		t.Errorf("of a list, the first is not looked at: %s", e.AppendJSON(nil))
	}
}

func TestUserAgentsCanBeDefinedInAFile(t *testing.T) {
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "regexes.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return `source => "m" target => "ua" remove_field => "m" regexes => "` + name + `"`
	}
	const good = `
user_agent_parsers:
  - regex: 'ABC([\\0-9]+)'
    family_replacement: 'ABC ($1)'
  - regex: '(Fix)ed/(\d+)\.(\d*)\.(\d+)'
    v1_replacement: '9'
os_parsers:
  - regex: 'CatOS OH-HAI=/\^\.\^\\='
    os_replacement: 'CatOS 9000'
  - regex: '(Sys) (\d)(\d)'
    os_v1_replacement: '$3'
    os_v2_replacement: 'two'
device_parsers:
  - regex: 'CashPhone-([\$0-9]+)\.(\d+)\.(\d+)'
    device_replacement: 'CashPhone $1 $9'
  - regex: 'deVice (x)?'
    regex_flag: 'i'
`
	f := mustFilter(t, "useragent", write(good), ECSDisabled)
	for in, want := range map[string]string{
		`ABC12\\34 (CashPhone-$9.0.1 CatOS OH-HAI=/^.^\\=)`: `{"ua":{"name":"ABC (12\\34)","device":"CashPhone $9","os_name":"CatOS 9000","os":"CatOS 9000","os_full":"CatOS 9000"}}`,
		`Fixed/1..3 Sys 12 DEVICE x`:                        `{"ua":{"name":"Fix","device":"x","major":"9","patch":"3","version":"9","os_major":"2","os_minor":"two","os_version":"2.two","os_name":"Sys","os":"Sys","os_full":"Sys 2.two"}}`,
		`device `:                                           `{"ua":{"name":"Other","device":"Other","os_name":"Other","os":"Other","os_full":"Other"}}`,
	} {
		if got := filtered(t, f, `{"m":"`+in+`"}`); got != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
	refused(t, "useragent", write("user_agent_parsers:\n  - family_replacement: 'a'"), ECSv8, "regexes", "number 1", "user_agent_parsers")
	refused(t, "useragent", write("user_agent_parsers:\n  - regex: 'a'"), ECSv8, "os_parsers")
	refused(t, "useragent", write("a: ["), ECSv8, "regexes")
	refused(t, "useragent", write("user_agent_parsers:\n  - regex: 'a('\nos_parsers: []\ndevice_parsers: []"), ECSv8, "number 1")
	refused(t, "useragent", write("user_agent_parsers: []\nos_parsers:\n  - regex: '(a)'\n    os_v1_replacement: '$2'\ndevice_parsers: []"), ECSv8, "$2")
	refused(t, "useragent", `source => "m" regexes => "/nowhere/regexes.yaml"`, ECSv8, "regexes", "nowhere")
	refused(t, "useragent", `source => "m" lru_cache_size => 0`, ECSv8, "lru_cache_size")
	refused(t, "useragent", `source => "m" target => "[a"`, ECSv8, "target")
}

func TestACachedUserAgentIsNotLookedUpAgain(t *testing.T) {
	f, ok := mustFilter(t, "useragent", `source => "m" target => "ua" lru_cache_size => 2`, ECSv8).(*userAgent)
	if !ok {
		t.Fatal("another filter")
	}
	looked := 0
	parser := f.parser
	f.parser = func() (*uaParser, error) { looked++; return parser() }
	for _, m := range []string{"a", "b", "a", "c", "a", "b"} { // b is gone when c has come
		filtered(t, f, `{"m":"`+m+`"}`)
	}
	if looked != 4 {
		t.Errorf("looked %d times, not 4", looked)
	}
}

func TestACacheForgetsWhatIsOldOrLeastUsed(t *testing.T) {
	now := time.Unix(0, 0)
	c := newLRU[int](2, time.Minute)
	c.put("a", 1, now)
	c.put("b", 2, now)
	c.put("a", 3, now.Add(30*time.Second))
	c.put("c", 4, now)
	for _, want := range []struct {
		key   string
		at    time.Duration
		value int
		ok    bool
	}{{"a", time.Minute, 3, true}, {"b", 0, 0, false}, {"c", time.Minute, 4, true}, {"c", 61 * time.Second, 0, false}, {"a", 91 * time.Second, 0, false}} {
		if v, ok := c.get(want.key, now.Add(want.at)); v != want.value || ok != want.ok {
			t.Errorf("%s after %s: %d %t", want.key, want.at, v, ok)
		}
	}
	none := newLRU[int](0, 0)
	none.put("a", 1, now)
	if _, ok := none.get("a", now); ok {
		t.Error("a cache without room keeps something")
	}
}

func BenchmarkAUserAgentThatIsNotKnownYet(b *testing.B) {
	parser, err := builtInAgents()
	if err != nil {
		b.Fatal(err)
	}
	agents := []string{chromeOnLinux, outlookOnMac, explorerVista, edgeWindows81, iPhone, "nothing that is known"}
	for _, a := range agents {
		parser.parse(a)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		parser.parse(agents[i%len(agents)])
	}
}

func BenchmarkAUserAgentThatIsKnown(b *testing.B) {
	f := mustFilter(b, "useragent", `source => "m" target => "ua"`, ECSv8)
	e := event.NewAt(time.Unix(0, 0))
	if err := e.SetField("m", event.StringValue(chromeOnLinux)); err != nil {
		b.Fatal(err)
	}
	x := newContext()
	b.ReportAllocs()
	for b.Loop() {
		f.Filter(x, e)
	}
}
