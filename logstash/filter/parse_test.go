package filter

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// A filterCase is what filters make of an event.
type filterCase struct {
	name, config, in, want string
}

func runFilterCases(t *testing.T, cases []filterCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			filters, err := setUp(t, "filter { "+c.config+" }", ECSDisabled)
			if err != nil {
				t.Fatal(err)
			}
			// Twice, for what a filter keeps from one event to the next.
			for range 2 {
				got := plain(t, run(t, filters, c.in).AppendJSON(nil))
				if d := cmp.Diff(plain(t, []byte(c.want)), got); d != "" {
					t.Errorf("(-want +got)\n%s", d)
				}
			}
		})
	}
}

// slowText takes ^(?<z>a+)+$ longer than anyone can wait.
var slowText = strings.Repeat("a", 40) + "!"

func TestGrok(t *testing.T) {
	runFilterCases(t, []filterCase{
		{"no match at all is a failure", `grok { }`, `{"message":"x"}`, `{"message":"x","tags":["_grokparsefailure"]}`},
		{"a match that takes too many steps has a tag of its own", `grok { match => { "message" => "^(?<z>a+)+$" } timeout_millis => 1 add_tag => ["ok"] }`,
			`{"message":"` + slowText + `"}`, `{"message":"` + slowText + `","tags":["_groktimeout"]}`},
		{"the tag of the timeout can be chosen, for the whole event too",
			`grok { match => { "message" => ["^x", "^(?<z>a+)+$", "(?<all>.*)"] } timeout_millis => 2 timeout_scope => "event" tag_on_timeout => "slow" }`,
			`{"message":"` + slowText + `"}`, `{"message":"` + slowText + `","tags":["slow"]}`},
		{"captures before a timeout stay", `grok { match => { "a" => "(?<x>1)" "b" => "^(?<z>a+)+$" } break_on_match => false timeout_millis => 1 }`,
			`{"a":"1","b":"` + slowText + `"}`, `{"a":"1","x":"1","b":"` + slowText + `","tags":["_groktimeout"]}`},
		{"definitions win over shipped patterns", `grok { pattern_definitions => { "WORD" => "[0-9]{2}" } match => { "message" => "%{WORD:w}" } }`,
			`{"message":"ab 1234"}`, `{"message":"ab 1234","w":"12"}`},
		{"parts that took no part become null if empty ones are kept", `grok { match => { "message" => "(?<a>x)?(?<b>y*)(?<c>z)?" } keep_empty_captures => true overwrite => ["c"] }`,
			`{"message":"x","c":"old"}`, `{"message":"x","a":"x","b":"","c":null}`},
		{"an empty part that is cast is 0", `grok { match => { "message" => "%{DATA:i:int},%{DATA:f:float},%{DATA:s}$" } }`,
			`{"message":",,"}`, `{"message":",,","i":0,"f":0.0}`},
		{"large and odd numbers", `grok { match => { "message" => "%{NOTSPACE:a:int} %{NOTSPACE:b:int} %{NOTSPACE:c:float} %{NOTSPACE:d:float}" } }`,
			`{"message":"123456789012345678901234567890 -1_000x 1_0.5e-3z .5"}`,
			`{"message":"123456789012345678901234567890 -1_000x 1_0.5e-3z .5","a":123456789012345678901234567890,"b":-1000,"c":0.0105,"d":0.5}`},
		{"a target with brackets, and names with brackets", `grok { match => { "message" => "%{WORD:a} %{WORD:[b][c]}" } target => "[x][y]" }`,
			`{"message":"1 2"}`, `{"message":"1 2","x":{"y":{"a":"1","b":{"c":"2"}}}}`},
		{"overwrite goes by the name as it is written", `grok { match => { "message" => "%{WORD:[a]} %{WORD:b}" } overwrite => ["a", "b"] }`,
			`{"message":"1 2","a":"x","b":["y"]}`, `{"message":"1 2","a":["x","1"],"b":"2"}`},
		{"what cannot be set is a failure, what was set before stays", `grok { match => { "message" => "%{WORD:a} %{WORD:[b][c]}" } }`,
			`{"message":"1 2","b":"text"}`, `{"message":"1 2","a":"1","b":"text","tags":["_grokparsefailure"]}`},
		{"and the next field is tried", `grok { match => { "message" => "%{WORD:[b][c]}" "other" => "%{WORD:d}" } }`,
			`{"message":"1","other":"2","b":"text"}`, `{"message":"1","other":"2","b":"text","d":"2"}`},
		{"a name that is no reference is a failure", `grok { match => { "message" => "%{WORD:a[b}" } }`, `{"message":"1"}`, `{"message":"1","tags":["_grokparsefailure"]}`},
		{"a number cannot be a tag", `grok { match => { "message" => "%{INT:tags:int}" } }`, `{"message":"1","tags":["x"]}`, `{"message":"1","tags":["x","_grokparsefailure"]}`},
		{"@timestamp is neither text nor list", `grok { match => { "message" => "%{WORD:@timestamp}" } add_tag => ["ok"] }`,
			`{"message":"x","@timestamp":"2020-01-01T00:00:00.000Z"}`, `{"message":"x","@timestamp":"2020-01-01T00:00:00.000Z","tags":["ok"]}`},
		{"metadata can be matched and filled", `grok { match => { "[@metadata][in]" => "%{WORD:[@metadata][out]}" } } grok { match => { "[@metadata][out]" => "(?<x>.*)" } }`,
			`{"@metadata":{"in":"hello there"}}`, `{"x":"hello"}`},
		{"lists and maps are matched as Ruby prints them", `grok { match => { "m" => "(?<map>.*)" "l" => "(?<list>.+)" } break_on_match => false }`,
			`{"m":{"a":[1,null,"x\"y"],"b":2.5e30},"l":[[1,true],{"c":"é\n"}]}`,
			`{"m":{"a":[1,null,"x\"y"],"b":2.5e30},"l":[[1,true],{"c":"é\n"}],"map":"{\"a\"=>[1, nil, \"x\\\"y\"], \"b\"=>2.5e+30}","list":["[1, true]","{\"c\"=>\"é\\n\"}"]}`},
		{"a list is matched as it was at first", `grok { match => { "l" => "%{WORD:l}" } }`, `{"l":["a","b"]}`, `{"l":["a","b","a","b"]}`},
		{"an empty list never matches", `grok { match => { "l" => ".*" } }`, `{"l":[]}`, `{"l":[],"tags":["_grokparsefailure"]}`},
		{"with break_on_match false the last field counts too", `grok { match => { "a" => "(?<x>1)" "b" => "(?<y>2)" } break_on_match => false add_field => { "ok" => "%{x}" } }`,
			`{"a":"1","b":"3"}`, `{"a":"1","b":"3","x":"1","ok":"1"}`},
	})
}

func TestTimeoutsAreBudgets(t *testing.T) {
	for millis, want := range map[float64]int{0: math.MaxInt, -1: math.MaxInt, 1: 10_000, 0.5: 5000, 1e-9: 1, 30_000: regex.DefaultSteps, 1e300: regex.DefaultSteps} {
		if got := stepsOf(millis); got != want {
			t.Errorf("%v ms are %d steps, want %d", millis, got, want)
		}
	}
}

func TestGrokReadsPatternsOfFolders(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.pat": "ONE 1\nWORD [a-c]+\n", "b.txt": "TWO 2\n", "c.pat": "# nothing\nONE one\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := func(glob, pattern string) string {
		return `filter { grok { patterns_dir => ["` + dir + `", "/no/such/folder"] patterns_files_glob => "` + glob + `" match => { "message" => "` + pattern + `" } } }`
	}
	filters, err := setUp(t, config("*.pat", "%{ONE:x} %{WORD:w}"), ECSDisabled)
	if err != nil {
		t.Fatal(err)
	}
	e := run(t, filters, `{"message":"1 one abcd"}`)
	if x, w := e.GetField("x").Str(), e.GetField("w").Str(); x != "one" || w != "abc" {
		t.Errorf("x=%q w=%q: the last file, and folders before shipped patterns, win", x, w)
	}
	if _, err := setUp(t, config("*.pat", "%{TWO}"), ECSDisabled); err == nil || !strings.Contains(err.Error(), "%{TWO}") {
		t.Errorf("a file that the glob leaves out is read: %v", err)
	}
	if _, err := setUp(t, config("*", "%{TWO}"), ECSDisabled); err != nil {
		t.Error(err)
	}
}

func TestGrokNamesEveryBadPattern(t *testing.T) {
	_, err := setUp(t, `filter { grok { match => { "a" => ["%{IPV5:x}", "("] "[b" => "x" "c" => 5 } } }`, ECSDisabled)
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{`%{IPV5:x} is not defined: did you mean "IPV`, "parenthesis", `"[b"`, "c: expected a pattern"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %s", err, want)
		}
	}
}

func TestGrokHasTheSetThatTheOptionNames(t *testing.T) {
	for ecs, want := range map[string]string{"disabled": "program", "v1": "process", "v8": "process"} {
		filters, err := setUp(t, `filter { grok { match => { "message" => "%{SYSLOGPROG}" } ecs_compatibility => "`+ecs+`" } }`, ECSv8)
		if err != nil {
			t.Fatal(err)
		}
		if e := run(t, filters, `{"message":"cron[1]"}`); !e.GetField(want).Is() {
			t.Errorf("%s: no field %s", ecs, want)
		}
	}
}

func TestGrokTellsWhichPatternsItTries(t *testing.T) {
	filters, err := setUp(t, `filter { grok { match => { "message" => ["id=%{INT:id}", "%{WORD:w} there", "%{GREEDYDATA:all}"] } } }`, ECSDisabled)
	if err != nil {
		t.Fatal(err)
	}
	var tries []PatternTry
	filters[0].(PatternObserver).Observe(func(p PatternTry) {
		if p.Took < 0 {
			t.Errorf("took %v", p.Took)
		}
		p.Took = 0
		tries = append(tries, p)
	})
	run(t, filters, `{"message":"hello there"}`)
	want := []PatternTry{{Field: "message", Pattern: "id=%{INT:id}", Skipped: true, Bytes: 11}, {Field: "message", Pattern: "%{WORD:w} there", Matched: true, Bytes: 11}}
	if d := cmp.Diff(want, tries); d != "" {
		t.Error(d)
	}
}

func TestDate(t *testing.T) {
	runFilterCases(t, []filterCase{
		{"numbers go to the formats that take them", `date { match => ["t", "yyyy", "ISO8601", "UNIX_MS"] target => "o" }`, `{"t":1000000000123}`, `{"t":1000000000123,"o":"2001-09-09T01:46:40.123Z"}`},
		{"neither lists nor maps nor truth are dates", `date { match => ["t", "UNIX"] target => "o" }`, `{"t":[1]}`, `{"t":[1],"tags":["_dateparsefailure"]}`},
		{"null is as good as nothing", `date { match => ["t", "UNIX"] add_tag => ["ok"] }`, `{"t":null}`, `{"t":null}`},
		{"a zone of the event does not matter to numbers", `date { match => ["t", "UNIX"] timezone => "%{tz}" target => "o" }`, `{"t":"5","tz":"Mars"}`, `{"t":"5","tz":"Mars","o":"1970-01-01T00:00:05.000Z"}`},
		{"a zone of the event for ISO8601", `date { match => ["t", "ISO8601"] timezone => "%{[z][n]}" target => "o" }`, `{"t":"2020-06-01T00:00:00","z":{"n":"Europe/Berlin"}}`, `{"t":"2020-06-01T00:00:00","z":{"n":"Europe/Berlin"},"o":"2020-05-31T22:00:00.000Z"}`},
		{"a target that cannot be set is a failure", `date { match => ["t", "UNIX"] target => "[t][u]" }`, `{"t":"5"}`, `{"t":"5","tags":["_dateparsefailure"]}`},
		{"a locale with an underscore", `date { match => ["t", "d MMMM yyyy"] locale => "de_DE" timezone => "UTC" target => "o" }`, `{"t":"5 Dezember 2020"}`, `{"t":"5 Dezember 2020","o":"2020-12-05T00:00:00.000Z"}`},
		{"tags of failures may be none", `date { match => ["t", "UNIX"] tag_on_failure => [] }`, `{"t":"x"}`, `{"t":"x"}`},
		{"the field is removed after success only", `date { match => ["t", "UNIX"] target => "o" remove_field => ["t"] }`, `{"t":"5"}`, `{"o":"1970-01-01T00:00:05.000Z"}`},
	})
	for config, want := range map[string]string{
		`date { match => ["t", "UNIX"] timezone => "Mars/Base" }`: "timezone",
		`date { match => ["[t", "UNIX"] }`:                        "match",
		`date { match => ["t", "UNIX"] target => "[o" }`:          "target",
		`date { }`: "match",
	} {
		if _, err := setUp(t, "filter { "+config+" }", ECSDisabled); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

func TestDissect(t *testing.T) {
	runFilterCases(t, []filterCase{
		{"an empty mapping is left out", `dissect { mapping => { "message" => "" } add_tag => ["ok"] }`, `{"message":"x"}`, `{"message":"x"}`},
		{"appending to null fails, and ends it all", `dissect { mapping => { "message" => "%{a} %{+b}" "m" => "%{c} %{d}" } convert_datatype => { "n" => "int" } }`,
			`{"message":"1 2","b":null,"m":"3 4","n":"5"}`, `{"message":"1 2","a":"1","b":null,"m":"3 4","n":"5","tags":["_dissectfailure"]}`},
		{"appending to numbers and lists prints them as Java does", `dissect { mapping => { "message" => "%{+n} %{+l} %{+m}" } }`,
			`{"message":"1 2 3","n":1.0e20,"l":[1,"x",null],"m":{"k":true}}`, `{"message":"1 2 3","n":"1.0E20 1","l":"[1, x, null] 2","m":"{k=true} 3"}`},
		{"a name may be what Java prints of a list, or of null", `dissect { mapping => { "message" => "%{&n} %{&l}" } }`,
			`{"message":"1 2","n":null,"l":["x"]}`, `{"message":"1 2","n":null,"l":["x"],"null":"1","x":"2"}`},
		{"a name that is no reference fails", `dissect { mapping => { "message" => "%{?k} %{&k}" } add_tag => ["ok"] }`, `{"message":"[x y"}`, `{"message":"[x y","tags":["_dissectfailure"]}`},
		{"a name with brackets is a reference", `dissect { mapping => { "message" => "%{?k} %{&k}" } }`, `{"message":"[x][y] z"}`, `{"message":"[x][y] z","x":{"y":"z"}}`},
		{"large numbers keep all digits", `dissect { convert_datatype => { "a" => "int" "b" => "FLOAT" "c" => "int" "d" => "int" } }`,
			`{"a":"123456789012345678901234567890.9","b":"1.10","c":"1e999999999","d":"-0.5e1"}`,
			`{"a":123456789012345678901234567890,"b":1.10,"c":"1e999999999","d":-5,"tags":["_dataconversionuncoercible_c_int"]}`},
		{"what fails in the common options is a failure", `dissect { mapping => { "message" => "%{a} %{b}" } add_field => { "[a][c]" => "x" } }`,
			`{"message":"1 2"}`, `{"message":"1 2","a":"1","b":"2","tags":["_dissectfailure"]}`},
	})
}

func TestKV(t *testing.T) {
	runFilterCases(t, []filterCase{
		{"a text within the only value counts as a duplicate", `kv { source => "m" allow_duplicate_values => false }`, `{"m":"a=abc a=b a=d a=d"}`, `{"m":"a=abc a=b a=d a=d","a":["abc","d"]}`},
		{"defaults come with a target too", `kv { source => "m" target => "t" default_keys => { "a" => 1 "b" => ["x", "y"] } }`, `{"m":"a=2","t":"old"}`, `{"m":"a=2","t":{"a":"2","b":["x","y"]}}`},
		{"defaults alone are a match", `kv { source => "m" default_keys => ["a", "b"] add_tag => ["ok"] }`, `{"n":1}`, `{"n":1,"a":"b","tags":["ok"]}`},
		{"keys with brackets are references", `kv { source => "m" }`, `{"m":"[a][b]=1 c=2"}`, `{"m":"[a][b]=1 c=2","a":{"b":"1"},"c":"2"}`},
		{"within a target they are not", `kv { source => "m" target => "[@metadata][x]" } kv { source => "[@metadata][x][[a][b]]" }`, `{"m":"[a][b]=1"}`, `{"m":"[a][b]=1"}`},
		{"a key that is no reference is an error", `kv { source => "m" add_tag => ["ok"] }`, `{"m":"a=1 b]=2 c=3"}`, `{"m":"a=1 b]=2 c=3","a":"1","tags":["_kv_filter_error"]}`},
		{"so is @timestamp", `kv { source => "m" tag_on_failure => ["x", "y"] }`, `{"m":"@timestamp=1"}`, `{"m":"@timestamp=1","tags":["x","y"]}`},
		{"tags can be set", `kv { source => "m" }`, `{"m":"tags=a tags=b","tags":["old"]}`, `{"m":"tags=a tags=b","tags":["a","b"]}`},
		{"keys are compared after they were cut and before the prefix", `kv { source => "m" trim_key => "_" prefix => "p." include_keys => ["a"] }`, `{"m":"_a_=1 p.a=2"}`, `{"m":"_a_=1 p.a=2","p.a":"1"}`},
		{"keys that are excluded may be named by fields", `kv { source => "m" exclude_keys => ["%{no}"] }`, `{"m":"a=1 b=2","no":"a"}`, `{"m":"a=1 b=2","no":"a","b":"2"}`},
		{"each line has ends to trim", `kv { source => "m" field_split => "," trim_value => "x" }`, `{"m":"a=xbx\nxcx"}`, `{"m":"a=xbx\nxcx","a":"b\nc"}`},
		{"classes may be any of Ruby's", `kv { source => "m" remove_char_value => "[:digit:]é" remove_char_key => "\s" field_split => "," }`, `{"m":"a b=1é2x"}`, `{"m":"a b=1é2x","ab":"x"}`},
		{"case is that of Unicode", `kv { source => "m" transform_key => "capitalize" transform_value => "uppercase" }`, `{"m":"éTÉ=straße"}`, `{"m":"éTÉ=straße","Été":"STRASSE"}`},
		{"case may be lower, too", `kv { source => "m" transform_key => "lowercase" transform_value => "lowercase" }`, `{"m":"A=B"}`, `{"m":"A=B","a":"b"}`},
		{"pairs within pairs", `kv { source => "m" recursive => true field_split => ";" allow_duplicate_values => false }`, `{"m":"a=b=c=d;a=b"}`, `{"m":"a=b=c=d;a=b","a":{"b":{"c":"d"}}}`},
		{"pairs nested too deeply are an error", `kv { source => "m" recursive => true }`, `{"m":"` + strings.Repeat("a=", 1100) + `b"}`, `{"m":"` + strings.Repeat("a=", 1100) + `b","tags":["_kv_filter_error"]}`},
		{"patterns may match nothing", `kv { source => "m" field_split_pattern => "x*" value_split_pattern => "=" }`, `{"m":"a=1"}`, `{"m":"a=1"}`},
		{"groups in patterns count as values", `kv { source => "m" value_split_pattern => "(=|:)" field_split => " " }`, `{"m":"a=1 b:2"}`, `{"m":"a=1 b:2","a":"=","b":":"}`},
		{"backslashes that lead nowhere end by the budget", `kv { source => "m" timeout_millis => 1 }`, `{"m":"a=\"` + strings.Repeat(`\\`, 80) + `"}`, `{"m":"a=\"` + strings.Repeat(`\\`, 80) + `","tags":["_kv_filter_timeout"]}`},
		{"elements of a list that are no texts are passed by", `kv { source => "m" }`, `{"m":["a=1",5,null,["b=2"],{"c":"=3"},"a=2"]}`, `{"m":["a=1",5,null,["b=2"],{"c":"=3"},"a=2"],"a":["1","2"]}`},
		{"many keys", `kv { source => "m" target => "t" field_split => "," }`, `{"m":"` + manyPairs() + `"}`, `{"m":"` + manyPairs() + `","t":` + manyMembers() + `}`},
	})
	for config, want := range map[string]string{
		`kv { value_split => "" }`:                      "value_split",
		`kv { field_split => "" }`:                      "field_split",
		`kv { field_split_pattern => "" }`:              "field_split_pattern",
		`kv { value_split_pattern => "(" }`:             "value_split_pattern",
		`kv { trim_key => "z-a" }`:                      "trim_key",
		`kv { transform_value => "upper" }`:             "transform_value",
		`kv { value_split => "9" field_split => "-1" }`: "field_split",
	} {
		if _, err := setUp(t, "filter { "+config+" }", ECSDisabled); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

func manyPairs() string {
	var b strings.Builder
	for _, x := range "abcdefghij" {
		for _, y := range "abcdefghij" {
			b.WriteString(string(x) + string(y) + "=" + string(y) + ",")
		}
	}
	return b.String()
}

func manyMembers() string {
	return `{"` + strings.NewReplacer("=", `":"`, ",", `","`).Replace(strings.TrimSuffix(manyPairs(), ",")) + `"}`
}

func TestNumbersAndTextsAreRubys(t *testing.T) {
	for in, want := range map[string]string{
		"12abc": "12", "": "0", "x1": "0", " \t-7": "-7", "+5": "5", "1_000": "1000", "1__0": "1", "_1": "0", "1_": "1", "99999999999999999999": "99999999999999999999", "- 1": "0",
	} {
		if got := rubyInt(in).Text(); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]float64{
		"2.5kg": 2.5, "": 0, ".5": 0.5, "5.": 5, "1e3": 1000, "1e": 1, "1e-2x": 0.01, "1.5.5": 1.5, "-1_0.2_5": -10.25, "0x1A": 0, "x": 0, "1e+2": 100,
	} {
		if got := rubyFloat(in).Float(); got != want {
			t.Errorf("%q is %v, want %v", in, got, want)
		}
	}
	for want, v := range map[string]event.Value{
		"": event.NullValue, "1.0": event.FloatValue(1), "1.0e+16": event.FloatValue(1e16), "123456789.125": event.FloatValue(123456789.125), "1.5e-05": event.FloatValue(1.5e-5),
		"0.0001": event.FloatValue(1e-4), "0.11e1": event.DecimalValue("1.10"), "-0.15e-2": event.DecimalValue("-0.0015"), "0.1e4": event.DecimalValue("1E+3"), "0.0": event.DecimalValue("0.00"),
		"true": event.BoolValue(true), "[\"a#{b\", \"\\u0000\\e\", \"\u200b\"]": event.StringsValue(`a#{b`, "\x00\x1b", "\u200b"),
	} {
		want = strings.ReplaceAll(want, `a#{`, `a\#{`)
		if got := rubyText(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDecimalsAreJavas(t *testing.T) {
	for in, want := range map[string]string{
		"1.10": "1.10", "1e3": "1E+3", "-12.5E2": "-1.25E+3", "0.000001": "0.000001", "0.0000001": "1E-7", "12e-9": "1.2E-8", ".5": "0.5", "5.": "5", "+7": "7", "0e2": "0E+2", "-0.0": "0.0", "100e-2": "1.00",
	} {
		if d, ok := parseDecimal(in); !ok || d.String() != want {
			t.Errorf("%q is %v, want %s", in, d, want)
		}
	}
	for _, in := range []string{"", ".", "-", "1 ", "1_0", "0x1", "e5", "1e", "1e99999999999", "--1", "1.2.3", "NaN"} {
		if d, ok := parseDecimal(in); ok {
			t.Errorf("%q is taken for %v", in, d)
		}
	}
}

func TestWorkersShareWhatIsCompiled(t *testing.T) {
	filters, err := setUp(t, `filter {
		grok { match => { "message" => ["none %{IP:ip}", "%{WORD:k}=%{INT:n:int} %{GREEDYDATA:rest}"] } }
		kv { source => "rest" transform_key => "uppercase" recursive => true }
		dissect { mapping => { "rest" => "%{+A} %{last}" } }
		date { match => ["n", "UNIX"] timezone => "%{k}" target => "at" }
		date { match => ["message", "yyyy", "'a='H 'b=1' 'c=2'"] timezone => "%{zone}" target => "at" }
	}`, ECSDisabled)
	if err != nil {
		t.Fatal(err)
	}
	var workers sync.WaitGroup
	for range 4 {
		own := make([]Filter, len(filters))
		for i, f := range filters {
			own[i] = f.(Forker).Fork()
		}
		workers.Go(func() {
			x := newContext()
			for range 200 {
				e := event.New()
				for name, text := range map[string]string{"message": "a=5 b=1 c=2", "zone": "Asia/Tokyo"} {
					if err := e.SetField(name, event.StringValue(text)); err != nil {
						t.Error(err)
					}
				}
				for _, f := range own {
					f.Filter(x, e)
				}
				if n, c, a := e.GetField("n").Int(), e.GetField("C").Str(), e.GetField("A").Str(); n != 5 || c != "2" || a != "b=1" {
					t.Errorf("n=%d C=%q A=%q", n, c, a)
				}
			}
		})
	}
	workers.Wait()
}

func FuzzParsingFilters(f *testing.F) {
	f.Add("a=1 b=\"x\\\" y\" c", "x,y")
	f.Add("[a][b]=1 [c=2 @timestamp=3 tags=4", "<5>;")
	filters, err := setUp(f, `filter {
		kv { target => "k" recursive => true timeout_millis => 1 trim_key => "_" remove_char_value => "x" transform_value => "capitalize" }
		kv { field_split => ",;" value_split => ":=" prefix => "%{other}" whitespace => "strict" allow_empty_values => true allow_duplicate_values => false timeout_millis => 1 }
		dissect { mapping => { "message" => "%{a->} %{+b/2},%{?c}=%{&c}" "other" => "<%{+b}>%{&a};" } convert_datatype => { "a" => "int" "b" => "float" } }
		grok { match => { "message" => ["%{COMBINEDAPACHELOG}", "%{DATA:[x][y]:int} %{GREEDYDATA:tags}"] "other" => "%{NUMBER:n:float}" } break_on_match => false keep_empty_captures => true timeout_millis => 1 }
		date { match => ["message", "ISO8601", "UNIX", "UNIX_MS", "TAI64N", "MMM d yyyy HH:mm:ss.SSS Z", "EEE, d MMMM yy hh:mm a ZZZ"] timezone => "%{other}" }
	}`, ECSDisabled)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message, other string) {
		e := event.New()
		for name, text := range map[string]string{"message": message, "other": other} {
			if err := e.SetField(name, event.StringValue(text)); err != nil {
				t.Fatal(err)
			}
		}
		x := newContext()
		for _, filter := range filters {
			filter.Filter(x, e)
		}
		if !e.GetField("message").Is() && !strings.Contains(message+other, "message") {
			t.Error("the message is gone")
		}
	})
}
