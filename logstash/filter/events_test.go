package filter

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

// A change is a configuration, the event that goes in, and those that come out.
type change struct {
	config, in string
	want       []string
}

func expectAll(t *testing.T, ecs ECS, changes []change) {
	t.Helper()
	for _, c := range changes {
		expect(t, "filter { "+c.config+" }", ecs, []string{c.in}, c.want)
	}
}

func TestJSONSetsWhatItCan(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`json { source => "m" }`, `{"m":"{\"a\":1,\"b[\":2,\"c\":3}"}`, []string{`{"m":"{\"a\":1,\"b[\":2,\"c\":3}","a":1,"tags":["_jsonparsefailure"]}`}},
		{`json { source => "m" }`, `{"m":"{\"tags\":{\"k\":1}}"}`, []string{`{"m":"{\"tags\":{\"k\":1}}","tags":["_jsonparsefailure"]}`}},
		{`json { source => "m" }`, `{"m":"{\"@metadata\":{\"x\":1}}"}`, []string{`{"m":"{\"@metadata\":{\"x\":1}}"}`}},
		{`json { source => "m" }`, `{"m":"{\"@metadata\":5,\"z\":1}"}`, []string{`{"m":"{\"@metadata\":5,\"z\":1}","tags":["_jsonparsefailure"]}`}},
		{`json { source => "m" }`, `{"m":"{\"@timestamp\":{\"a\":[1,\"b\"]}}"}`, []string{`{"m":"{\"@timestamp\":{\"a\":[1,\"b\"]}}","_@timestamp":"{\"a\"=>[1, \"b\"]}","tags":["_timestampparsefailure"]}`}},
		{`json { source => "m" }`, `{"m":"{\"@timestamp\":null}"}`, []string{`{"m":"{\"@timestamp\":null}"}`}},
		{`json { source => "m" target => "t" skip_on_invalid_json => true add_tag => "ok" }`, `{"m":""}`, []string{`{"m":"","t":null,"tags":["ok"]}`}},
		{`json { source => "m" skip_on_invalid_json => true }`, `{"m":"[1]"}`, []string{`{"m":"[1]","tags":["_jsonparsefailure"]}`}},
		{`json { source => "m" skip_on_invalid_json => true }`, `{"m":5}`, []string{`{"m":5}`}},
		{`json { source => "m" target => "[s][x]" }`, `{"m":"1","s":"t"}`, []string{`{"m":"1","s":"t","tags":["_jsonparsefailure"]}`}},
		{`json { source => "m" add_field => { "[m][x]" => "1" } }`, `{"m":"{}"}`, []string{`{"m":"{}","tags":["_jsonparsefailure"]}`}},
		{`json { source => "m" }`, `{"m":false}`, []string{`{"m":false}`}},
		{`json { source => "m" target => "m" } mutate { convert => { "m" => "string" } }`, `{"m":"1.10"}`, []string{`{"m":"0.11e1"}`}},
	})
}

func TestJSONEncodeWritesAnyValue(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`json_encode { source => "m" }`, `{"m":{"a":[1,2.0,null,"x\"ä"]}}`, []string{`{"m":"{\"a\":[1,2.0,null,\"x\\\"ä\"]}"}`}},
		{`json_encode { source => "m" target => "t" }`, `{}`, []string{`{"t":"null"}`}},
		{`json_encode { source => "m" target => "[m][x]" }`, `{"m":1}`, []string{`{"m":1,"tags":["_jsongeneratefailure"]}`}},
	})
}

func TestSplitEmitsPartsInOrder(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`split { terminator => " " }`, `{"message":" a  b "}`, []string{`{"message":"a"}`, `{"message":"b"}`}},
		{`split { terminator => " " }`, `{"message":" a"}`, []string{`{"message":" a"}`}},
		{`split { terminator => "" }`, `{"message":"äb"}`, []string{`{"message":"ä"}`, `{"message":"b"}`}},
		{`split { field => "l" }`, `{"l":["a",null,"",{"k":[1]}]}`, []string{`{"l":"a"}`, `{"l":{"k":[1]}}`}},
		{`split { field => "l" target => "[x][y]" }`, `{"l":"a,b\nc"}`, []string{`{"l":"a,b\nc","x":{"y":"a,b"}}`, `{"l":"a,b\nc","x":{"y":"c"}}`}},
		{`split { field => "tags" }`, `{"tags":["a","b"]}`, []string{`{"tags":"a"}`, `{"tags":"b"}`}},
		{`split { } split { terminator => "," add_tag => "two" }`, `{"message":"a,b\nc"}`, []string{`{"message":"a","tags":["two"]}`, `{"message":"b","tags":["two"]}`, `{"message":"c"}`}},
	})
}

func TestEventsThatSplitMakesShareNothing(t *testing.T) {
	expect(t, `filter { split { field => "l" target => "i" } mutate { replace => { "[o][k]" => "%{i}" } } }`, ECSDisabled,
		[]string{`{"l":["a","b"],"o":{"k":"x"}}`}, []string{`{"l":["a","b"],"i":"a","o":{"k":"a"}}`, `{"l":["a","b"],"i":"b","o":{"k":"b"}}`})
}

func TestClonesAreNamedByTypeOrTag(t *testing.T) {
	config := `clone { clones => ["a","b"] add_field => { "c" => "%{type}" } }`
	expectAll(t, ECSDisabled, []change{{config, `{"type":"o","tags":"x"}`, []string{`{"type":"o","tags":"x"}`, `{"type":"a","tags":"x","c":"a"}`, `{"type":"b","tags":"x","c":"b"}`}}})
	expectAll(t, ECSv8, []change{{config, `{"tags":"x"}`, []string{`{"tags":"x"}`, `{"tags":["x","a"],"c":"%{type}"}`, `{"tags":["x","b"],"c":"%{type}"}`}}})
	expectAll(t, ECSv8, []change{{`clone { clones => ["a"] ecs_compatibility => disabled }`, `{}`, []string{`{}`, `{"type":"a"}`}}})
	expectAll(t, ECSv8, []change{{`clone { clones => ["a"] }`, `{"tags":["a"]}`, []string{`{"tags":["a"]}`, `{"tags":["a","a"]}`}}})
}

func TestTruncateCutsWholeCharacters(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`truncate { length_bytes => 0 }`, `{"a":"x","@version":"1"}`, []string{`{"a":"","@version":""}`}},
		{`truncate { fields => "a" length_bytes => 3 add_tag => "cut" }`, `{"a":"aä€"}`, []string{`{"a":"aä","tags":["cut"]}`}},
		{`truncate { fields => "a" length_bytes => 1 }`, `{"a":"€"}`, []string{`{"a":""}`}},
		{`truncate { fields => "a" length_bytes => -1 }`, `{"a":"x"}`, []string{`{"a":null}`}},
		{`truncate { fields => ["a","[b][c]"] length_bytes => 1 }`, `{"a":{"k":"xy","l":["xy",["xy"],{"m":"xy"}]},"b":{"c":"xy","d":"xy"}}`, []string{`{"a":{"k":"x","l":["x",["xy"],{"m":"xy"}]},"b":{"c":"x","d":"xy"}}`}},
		{`truncate { fields => [] length_bytes => 1 }`, `{"a":"xy"}`, []string{`{"a":"xy"}`}},
	})
}

func TestPruneLooksAtNamesAndValues(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`prune { }`, `{"%{x}":1,"a":2}`, []string{`{"a":2}`}},
		{`prune { whitelist_names => ["a"] blacklist_names => ["b"] }`, `{"a":1,"ab":2,"c":3,"@version":"1"}`, []string{`{"a":1}`}},
		{`prune { whitelist_values => { "a" => "^x" "n" => "5" } }`, `{"a":["x1","y","x2"],"n":5,"m":1}`, []string{`{"a":["x1","x2"],"n":5,"m":1}`}},
		{`prune { whitelist_values => { "a" => "^x" } }`, `{"a":["y"],"b":1}`, []string{`{"b":1}`}},
		{`prune { blacklist_values => { "a" => "x" "b" => "." } }`, `{"a":["x","y"],"b":false}`, []string{`{"a":["y"],"b":false}`}},
		{`prune { interpolate => true blacklist_names => ["^%{p}"] whitelist_values => { "%{k}" => "%{p}" } }`, `{"p":"s_","k":"v","s_1":1,"v":"no"}`, []string{`{"p":"s_","k":"v"}`}},
		{`prune { interpolate => true blacklist_names => ["%{p}"] }`, `{"p":"("}`, []string{`{"p":"("}`}},
	})
	if got := refuses(t, `filter { prune { blacklist_names => ["("] } }`); !strings.Contains(got, "blacklist_names") {
		t.Error(got)
	}
}

func TestDeDotRenames(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`de_dot { recursive => true }`, `{"a.b":{"c.d":{"e.f":1}}}`, []string{`{"a_b":{"c_d":{"e_f":1}}}`}},
		{`de_dot { nested => true }`, `{"a.b":1,"a":"x"}`, []string{`{"a.b":1,"a":"x","tags":["_de_dot_error"]}`}},
		{`de_dot { nested => true add_tag => "done" }`, `{"a.b":1,"a.c":2}`, []string{`{"a":{"b":1,"c":2},"tags":["done"]}`}},
		{`de_dot { fields => ["[a.b][c]"] }`, `{"a.b":{"c":1,"d":2}}`, []string{`{"a_b":{"c":1}}`}},
		{`de_dot { fields => ["x.y"] }`, `{"a.b":1}`, []string{`{"a.b":1}`}},
	})
	if got := refuses(t, `filter { de_dot { separator => "." } }`); !strings.Contains(got, "separator") {
		t.Error(got)
	}
}

func TestUUIDsAreRandomAndKept(t *testing.T) {
	c, err := newChain(t, `filter { uuid { target => "u" } uuid { target => "v" overwrite => true } }`, t.TempDir(), ECSDisabled, event.None)
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, e := range c.change(t, `{"u":"mine","v":"mine"}`, `{"u":null}`, `{}`) {
		u, v := e.GetField("u").Str(), e.GetField("v").Str()
		if u != "mine" && !form.MatchString(u) || !form.MatchString(v) || seen[u] || seen[v] {
			t.Errorf("%s and %s", u, v)
		}
		seen[u], seen[v] = true, true
	}
	if !seen["mine"] {
		t.Error("the identifier that was there is gone")
	}
}

func TestURLDecodeReadsCharsets(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`urldecode { }`, `{"message":"%E4%zz%4"}`, []string{`{"message":"\\xE4%zz%4"}`}},
		{`urldecode { }`, `{"x":1}`, []string{`{"x":1,"message":null}`}},
		{`urldecode { charset => "ISO-8859-1" }`, `{"message":"%E4%80"}`, []string{`{"message":"ä\u0080"}`}},
		{`urldecode { charset => "Windows-1252" }`, `{"message":"%80%81"}`, []string{`{"message":"€\ufffd"}`}},
		{`urldecode { charset => "UTF-16LE" }`, `{"message":"%e4%00%61%00"}`, []string{`{"message":"äa"}`}},
		{`urldecode { charset => "US-ASCII" }`, `{"message":"a%e4"}`, []string{`{"message":"a\ufffd"}`}},
		{`urldecode { field => "[s][x]" add_tag => "always" }`, `{"s":"t"}`, []string{`{"s":"t","tags":["_urldecodefailure","always"]}`}},
		{`urldecode { all_fields => true }`, `{"tags":["%41"],"a":{"b":["%42"]}}`, []string{`{"tags":["A"],"a":{"b":["B"]}}`}},
	})
	if got := refuses(t, `filter { urldecode { charset => "EBCDIC" } }`); !strings.Contains(got, "ISO-8859-15") {
		t.Error(got)
	}
}

func TestSyslogPriTakesOddPriorities(t *testing.T) {
	for in, want := range map[string]string{
		`["12x"]`:               `{"c":1,"s":4,"f":"user-level","v":"warning"}`,
		`[]`:                    `{"c":0,"s":0,"f":"kernel","v":"emergency"}`,
		`3.9`:                   `{"c":0,"s":3,"f":"kernel","v":"error"}`,
		`false`:                 `{"c":1,"s":5,"f":"user-level","v":"notice"}`,
		`-1`:                    `{"c":-1,"s":7,"f":"local7","v":"debug"}`,
		`-1000`:                 `{"c":-125,"s":0,"v":"emergency"}`,
		`99999999999999999999`:  `{"c":12499999999999999999,"s":7,"tags":["_syslogpriparsefailure"]}`,
		`-99999999999999999999`: `{"c":-12500000000000000000,"s":1,"v":"alert"}`,
		`{"a":1}`:               `{"tags":["_syslogpriparsefailure"]}`,
		`"192"`:                 `{"c":24,"s":0,"tags":["_syslogpriparsefailure"]}`,
	} {
		expect(t, `filter { syslog_pri { } mutate { rename => { "syslog_facility_code" => "c" "syslog_severity_code" => "s" "syslog_facility" => "f" "syslog_severity" => "v" } remove_field => "syslog_pri" } }`,
			ECSDisabled, []string{`{"syslog_pri":` + in + `}`}, []string{want})
	}
	expectAll(t, ECSDisabled, []change{
		{`syslog_pri { use_labels => false }`, `{"syslog_pri":999}`, []string{`{"syslog_pri":999,"syslog_facility_code":124,"syslog_severity_code":7}`}},
		{`syslog_pri { facility_labels => ["a","b"] severity_labels => ["x"] }`, `{"syslog_pri":9}`, []string{`{"syslog_pri":9,"syslog_facility_code":1,"syslog_severity_code":1,"syslog_facility":"b"}`}},
	})
}

// JSON of any kind leaves an event that can be printed, and read again as the same.
func FuzzJSONFilter(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"[a][b]":{"c":[1.10,null]}}`, `{"@timestamp":"2020-01-01","tags":["x"]}`, ` `, `[`, `{"a":"\ud83d\ude00"}`} {
		f.Add(s)
	}
	c, err := newChain(f, `filter { json { source => "m" remove_field => "m" } json { source => "m" target => "t" } }`, f.TempDir(), ECSDisabled, event.None)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := event.New()
		if err := e.SetField("m", event.StringValue(s)); err != nil {
			t.Fatal(err)
		}
		c.from(0, e)
		out := e.AppendJSON(nil)
		v, err := event.ParseJSON(out, event.JSONOptions{Decimals: true})
		if err != nil {
			t.Fatalf("%q gives %s: %v", s, out, err)
		}
		if again := event.AppendJSON(nil, v); !cmp.Equal(out, again) {
			t.Fatalf("%s becomes %s", out, again)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("a\nb", "\n")
	f.Add(" a  b ", " ")
	f.Add("äö", "")
	f.Add("abab", "ab")
	f.Fuzz(func(t *testing.T, s, terminator string) {
		emitted := 0
		x := newContext()
		x.New = func() *event.Event { return new(event.Event) }
		x.Emit = func(e *event.Event) {
			if part := e.GetField("message").Str(); part == "" || !strings.Contains(s, part) {
				t.Errorf("%q is no part of %q", part, s)
			}
			emitted++
		}
		r, err := event.ParseRef("message")
		if err != nil {
			t.Fatal(err)
		}
		e := event.New()
		if err := e.SetField("message", event.StringValue(s)); err != nil {
			t.Fatal(err)
		}
		(&split{Split: &Split{Field: r, Terminator: terminator}}).Filter(x, e)
		if !e.Cancelled() && emitted > 0 {
			t.Errorf("%d events of %q, and the original stays", emitted, s)
		}
		if e.Cancelled() && terminator != "" && terminator != " " {
			want := 0
			for part := range strings.SplitSeq(s, terminator) {
				if part != "" {
					want++
				}
			}
			if emitted != want {
				t.Errorf("%d events of %q at %q, not %d", emitted, s, terminator, want)
			}
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	c, err := newChain(b, `filter { json { source => "m" } }`, b.TempDir(), ECSDisabled, event.None)
	if err != nil {
		b.Fatal(err)
	}
	var m strings.Builder
	for i := range 15 {
		fmt.Fprintf(&m, `,"field%d":"value %d"`, i, i)
	}
	text := event.StringValue("{" + m.String()[1:] + "}")
	e := event.New()
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		e.Fields().Set("m", text)
		c.filters[0].Filter(c.x, e)
	}
}
