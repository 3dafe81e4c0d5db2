package filter

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

func TestCSVNamesAndConvertsColumns(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`csv { }`, `{"message":5}`, []string{`{"message":5,"tags":["_csvparsefailure"]}`}},
		{`csv { }`, `{"message":"\n"}`, []string{`{"message":"\n"}`}},
		{`csv { skip_empty_rows => true add_tag => "no" }`, `{"message":""}`, []string{`{"message":"","tags":["_csvskippedemptyfield"]}`}},
		{`csv { quote_char => "" }`, `{"message":"a"}`, []string{`{"message":"a","tags":["_csvparsefailure"]}`}},
		{`csv { quote_char => "\x00" }`, `{"message":"a\"b,c"}`, []string{`{"message":"a\"b,c","column1":"a\"b","column2":"c"}`}},
		{`csv { target => "t" columns => ["a","[b][c]"] }`, `{"message":"1,2"}`, []string{`{"message":"1,2","t":{"a":"1","b":{"c":"2"}}}`}},
		{`csv { target => "[t][u]" columns => ["a["] }`, `{"message":"1,2"}`, []string{`{"message":"1,2","tags":["_csvparsefailure"]}`}},
		{`csv { columns => ["a","b"] convert => { "a" => "boolean" } }`, `{"message":" TRUE,x"}`, []string{`{"message":" TRUE,x","a":true,"b":"x"}`}},
		{`csv { columns => ["a","b"] convert => { "b" => "boolean" } }`, `{"message":"x,"}`, []string{`{"message":"x,","a":"x","tags":["_csvparsefailure"]}`}},
		{`csv { convert => { "column1" => "integer" "column2" => "float" } }`, `{"message":"0x10,1_0.5"}`, []string{`{"message":"0x10,1_0.5","column1":16,"column2":10.5}`}},
		{`csv { separator => "||" }`, `{"message":"a|b||c"}`, []string{`{"message":"a|b||c","column1":"a|b","column2":"c"}`}},
	})
	if got := refuses(t, `filter { csv { convert => { "a" => "int" } } }`); !strings.Contains(got, "convert") {
		t.Error(got)
	}
}

func TestWorkersShareDetectedColumns(t *testing.T) {
	c, err := newChain(t, `filter { csv { autodetect_column_names => true skip_header => true } }`, t.TempDir(), ECSDisabled, event.None)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	out := map[string]int{}
	for range 4 {
		forker, ok := c.filters[0].(Forker)
		if !ok {
			t.Fatalf("%T", c.filters[0])
		}
		f := forker.Fork()
		wg.Go(func() {
			x := newContext()
			for i := range 200 {
				e := event.New()
				in := "name,,age"
				if i > 0 {
					in = "ann,x,30"
				}
				e.Fields().Set("message", event.StringValue(in))
				f.Filter(x, e)
				mu.Lock()
				if e.Cancelled() {
					out["dropped"]++
				} else {
					out[e.GetField("name").Text()+e.GetField("column2").Text()+e.GetField("age").Text()]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	// One worker's first line had the names, and those of the others are equal to them.
	if out["dropped"] != 4 || out["annx30"] != 796 {
		t.Error(out)
	}
}

func TestFingerprintsAreThoseOfTheFunctions(t *testing.T) {
	at := `"@timestamp":"2020-01-02T03:04:05Z"`
	for _, c := range []struct{ config, in, want string }{
		{`source => "m" method => MD5`, `{"m":"a"}`, `"0cc175b9c0f1b6a831c399e269772661"`},
		{`source => "m" method => MD5`, `{"m":["a",1,null]}`, `["0cc175b9c0f1b6a831c399e269772661","c4ca4238a0b923820dcc509a6f75849b","d41d8cd98f00b204e9800998ecf8427e"]`},
		{`source => "m" method => SHA256`, `{"m":{"b":{"c":2},"a":1}}`, `"09c88fa1aec4090781f53b87c2347fb4005919bcb6bd7277bd68b665d4ab7f93"`},
		{`source => "m" method => SHA512 key => "secret" base64encode => true`, `{"m":"v"}`, `"0HG4LDUZpqKpfdhL4moeVOQZuLULuf6p+UKcTkmzeYLViOvxNwsk5msFlSj+6QrHcbWCkRQ54kp3wgv0kto5/w=="`},
		{`concatenate_all_fields => true`, `{"b":[1,"y",{"z":2,"k":null}],"a":"x",` + at + `}`, `"5a2cbcd18ac136b1048f4992336d25a13c8a1b26"`},
		{`source => "m" method => MURMUR3`, `{"m":"123.123.123.123"}`, `4013733395`},
		{`source => "m" method => MURMUR3`, `{"m":123}`, `823512154`},
		{`source => "m" method => MURMUR3_128`, `{"m":"123.123.123.123"}`, `"41cbc4056eed401d091dfbeabf7ea9e0"`},
		{`source => "m" method => MURMUR3_128 base64encode => true`, `{"m":"123.123.123.123"}`, `"QcvEBW7tQB0JHfvqv36p4A=="`},
		{`source => "m" method => IPV4_NETWORK key => 24`, `{"m":["10.1.2.3","2001:db8::1","1.2.3.4/8"]}`, `["10.1.2.0","2001:d00::","1.0.0.0"]`},
		{`source => ["b","a"] method => PUNCTUATION`, `{"b":"x+y-§","a":5}`, `"+-§"`},
	} {
		c2, err := newChain(t, `filter { fingerprint { `+c.config+` target => "f" } }`, t.TempDir(), ECSDisabled, event.None)
		if err != nil {
			t.Fatal(err)
		}
		got := event.AppendJSON(nil, c2.change(t, c.in)[0].GetField("f"))
		if string(got) != c.want {
			t.Errorf("%s of %s: %s, not %s", c.config, c.in, got, c.want)
		}
	}
	expectAll(t, ECSv8, []change{{`fingerprint { method => MD5 }`, `{"message":"a"}`, []string{`{"message":"a","event":{"hash":"0cc175b9c0f1b6a831c399e269772661"}}`}}})
	expectAll(t, ECSDisabled, []change{
		{`fingerprint { source => "m" method => IPV4_NETWORK key => 24 }`, `{"m":"x"}`, []string{`{"m":"x"}`}},
		{`fingerprint { source => "none" add_tag => "done" }`, `{"m":"x"}`, []string{`{"m":"x","tags":["done"]}`}},
	})
	if got := refuses(t, `filter { fingerprint { method => IPV4_NETWORK } }`); !strings.Contains(got, "key") {
		t.Error(got)
	}
}

// Vectors of MurmurHash3 that other implementations have, too.
func TestMurmurHashesAreThoseOfTheReference(t *testing.T) {
	for in, want := range map[string]uint32{"": 0, "test": 0xba6bd213, "Hello, world!": 0xc0363e43, "The quick brown fox jumps over the lazy dog": 0x2e4ff723} {
		if got := murmur32([]byte(in)); got != want {
			t.Errorf("%q: %#x, not %#x", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"": "00000000000000000000000000000000",
		"The quick brown fox jumps over the lazy dog": "6c1b07bc7bbc4be347939ac4a93c437a",
	} {
		sum := murmur128([]byte(in), 0)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%q: %s, not %s", in, got, want)
		}
	}
}

func TestTranslateFollowsItsOptions(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`translate { source => "a" dictionary => { "1" => 5 } add_tag => "found" }`, `{"a":[1,2]}`, []string{`{"a":[1,2],"translation":5,"tags":["found"]}`}},
		{`translate { source => "a" dictionary => { "" => "none" } }`, `{"a":null}`, []string{`{"a":null,"translation":"none"}`}},
		{`translate { field => "a" destination => "b" dictionary => { "1" => "x" } }`, `{"a":"1"}`, []string{`{"a":"1","b":"x"}`}},
		{`translate { source => "a" target => "a" dictionary => { "1" => "x" } add_tag => "run" }`, `{"a":"2"}`, []string{`{"a":"2","tags":["run"]}`}},
		{`translate { source => "a" target => "a" dictionary => { "1" => "x" } add_tag => "run" }`, `{"b":"2"}`, []string{`{"b":"2"}`}},
		{`translate { source => "a" exact => false dictionary => { "ab" => "1" "a" => "2" "" => "-" } }`, `{"a":"aabc"}`, []string{`{"a":"aabc","translation":"21-c-"}`}},
		{`translate { source => "a" exact => false regex => true dictionary => { "." => "!" } }`, `{"a":"a.b"}`, []string{`{"a":"a.b","translation":"a!b"}`}},
		{`translate { source => "a" regex => true dictionary => { "^x" => "1" "x" => ["2"] } }`, `{"a":"yx"}`, []string{`{"a":"yx","translation":["2"]}`}},
		{`translate { source => "a" target => "[s][t]" dictionary => { "1" => "x" } add_tag => "no" }`, `{"a":"1","s":"text"}`, []string{`{"a":"1","s":"text"}`}},
		{`translate { source => "a" fallback => "" dictionary => { "1" => "x" } }`, `{"a":"2"}`, []string{`{"a":"2","translation":""}`}},
		{`translate { iterate_on => "l" source => "[k][v]" target => "t" fallback => "%{f}" dictionary => { "1" => "x" } }`, `{"f":"F","l":[{"k":{"v":1}},{"k":{"v":2}},{"n":1}]}`,
			[]string{`{"f":"F","l":[{"k":{"v":1},"t":"x"},{"k":{"v":2},"t":"F"},{"n":1}]}`}},
		{`translate { iterate_on => "l" source => "l" dictionary => { "1" => "x" } add_tag => "no" }`, `{"l":["2"]}`, []string{`{"l":["2"],"translation":[null]}`}},
	})
	expectAll(t, ECSv8, []change{{`translate { source => "a" dictionary => { "1" => "x" } }`, `{"a":"1"}`, []string{`{"a":"x"}`}}})
	for config, word := range map[string]string{
		`dictionary => { "a" => "b" }`:                                        "source",
		`source => "a" field => "b"`:                                          "field",
		`source => "a" target => "b" destination => "c"`:                      "destination",
		`source => "a" target => "a" override => false`:                       "override",
		`source => "a" regex => true dictionary => { "(" => "b" }`:            "dictionary",
		`source => "a" dictionary_path => "none.yml"`:                         "dictionary_path",
		`source => "a" dictionary => { "a" => "b" } refresh_behaviour => "x"`: "merge",
	} {
		if got := refuses(t, `filter { translate { `+config+` } }`); !strings.Contains(got, word) {
			t.Errorf("%s: %q does not mention %s", config, got, word)
		}
	}
}

func TestTranslatedValuesAreCopies(t *testing.T) {
	expect(t, `filter { translate { source => "a" target => "b" dictionary => { "1" => ["x"] } } mutate { uppercase => "b" add_field => { "b" => "y" } } }`, ECSDisabled,
		[]string{`{"a":"1"}`, `{"a":"1"}`}, []string{`{"a":"1","b":["X","y"]}`, `{"a":"1","b":["X","y"]}`})
}

func TestDictionariesAreReadFromFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"d.yml":     "\ufeffa: 1\n200: number\n'200': text\nb: &b {x: [yes, 1.5, ~]}\nc: *b\n<<: {m: merged}\n",
		"d.json":    `{"a":1.10,"b":{"c":null}}`,
		"d.csv":     "\ufeffa,\"x \"\"y\"\"\"\n\nb\nc,1,2\n",
		"plain.txt": "a",
		"bad.yml":   "a: [",
		"deep.yml":  "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\ni: [*h,*h,*h,*h,*h,*h,*h,*h,*h]\n",
		"nokey.yml": "1: a",
		"list.yml":  "- a",
		"list.json": "[1]",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	translated := func(options string, keys ...string) string {
		c, err := newChain(t, `filter { translate { source => "k" target => "v" `+options+` } }`, dir, ECSDisabled, event.None)
		if err != nil {
			return "refused: " + err.Error()
		}
		var out []string
		for _, k := range keys {
			out = append(out, string(event.AppendJSON(nil, c.change(t, fmt.Sprintf(`{"k":%q}`, k))[0].GetField("v"))))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct{ options, want string }{
		{`dictionary_path => "d.yml"`, `1 "text" {"x":[true,1.5,null]} {"x":[true,1.5,null]} "merged" null`},
		{`dictionary_path => "d.yml" yaml_load_strategy => "streaming"`, `1 "text" {"x":["yes",1.5,null]} {"x":["yes",1.5,null]} null null`},
		{`dictionary_path => "d.json"`, `1.10 null {"c":null} null null null`},
		{`dictionary_path => "d.csv"`, `"x \"y\"" null null "1" null null`},
		{`dictionary_path => "list.yml"`, `null null null null null null`},
	} {
		if got := translated(c.options, "a", "200", "b", "c", "m", "none"); got != c.want {
			t.Errorf("%s: %s, not %s", c.options, got, c.want)
		}
	}
	for options, word := range map[string]string{
		`dictionary_path => "plain.txt"`:                                     ".yml",
		`dictionary_path => "bad.yml"`:                                       "bad.yml",
		`dictionary_path => "deep.yml"`:                                      "references",
		`dictionary_path => "nokey.yml" regex => true`:                       "quotes",
		`dictionary_path => "list.json"`:                                     "object",
		`dictionary_path => "d.yml" yaml_dictionary_code_point_limit => 5`:   "code_point_limit",
		`dictionary_path => "d.csv" yaml_dictionary_code_point_limit => 500`: "code_point_limit",
		`dictionary_path => "d.csv" dictionary => { "a" => "b" }`:            "dictionary",
	} {
		if got := translated(options); !strings.HasPrefix(got, "refused") || !strings.Contains(got, word) {
			t.Errorf("%s: %s does not mention %s", options, got, word)
		}
	}
}

// A dictionary is read again when it is time, and the old one is used if that fails.
func TestDictionariesAreReadAgain(t *testing.T) {
	for _, c := range []struct{ behaviour, want string }{
		{"merge", `"old" null; "old" null; "old" "new"; "old" "new"`},
		{"replace", `"old" null; "old" null; null "new"; null "new"`},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "d.yml")
		write := func(text string, changed time.Time) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, changed, changed); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		write("a: old", start)
		ch, err := newChain(t, `filter { translate { source => "k" target => "v" dictionary_path => "d.yml" refresh_interval => 60 refresh_behaviour => "`+c.behaviour+`" } }`, dir, ECSDisabled, event.None)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		look := func(after time.Duration) {
			ch.x.Now = func() time.Time { return start.Add(after) }
			var pair []string
			for _, k := range []string{"a", "b"} {
				pair = append(pair, string(event.AppendJSON(nil, ch.change(t, `{"k":"`+k+`"}`)[0].GetField("v"))))
			}
			got = append(got, strings.Join(pair, " "))
		}
		look(0)
		write("b: new", start.Add(time.Second))
		look(30 * time.Second)
		look(120 * time.Second)
		write("b: [", start.Add(2*time.Second))
		look(240 * time.Second)
		if d := cmp.Diff(c.want, strings.Join(got, "; ")); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.behaviour, d)
		}
	}
}

func TestAddressesAreFoundInNetworks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "n.txt"), []byte("10.0.0.0/8\nnone\n\n2001:db8::/32\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config, in string
		want       bool
	}{
		{`address => "%{a}" network => "10.0.0.0/8"`, `{"a":"10.1.2.3"}`, true},
		{`address => "%{a}" network => "10.0.0.0/255.0.0.0"`, `{"a":"10.1.2.3"}`, true},
		{`address => "%{a}" network => "10.0.0.0/8"`, `{"a":"11.1.2.3"}`, false},
		{`address => "%{a}" network => "10.0.0.0/8"`, `{"a":"::ffff:10.1.2.3"}`, false},
		{`address => "%{a}" network => ["192.168.0.0/16, 10.0.0.0/8"]`, `{"a":"10.1.2.3"}`, true},
		{`address => "%{a}" network => ["%{n}", "x"]`, `{"a":"10.1.2.3","n":"1.1.1.1, 10.1.2.0/24"}`, true},
		{`address => ["%{a}","10.0.0.1"] network => "10.0.0.0/8"`, `{"a":"nonsense"}`, true},
		{`address => "10.0.0.0/7" network => "10.0.0.0/8"`, `{}`, false},
		{`address_field => "[a][b]" network => "::/0"`, `{"a":{"b":["1.1.1.1","::1"]}}`, true},
		{`address_field => "a" network => "0.0.0.0/0"`, `{"a":5}`, false},
		{`address_field => "a" network => "0.0.0.0/0"`, `{}`, false},
		{`address_field => "a" network_path => "n.txt"`, `{"a":"2001:db8:1::1"}`, true},
		{`address_field => "a" network_path => "n.txt" separator => ","`, `{"a":"10.1.1.1"}`, false},
	} {
		ch, err := newChain(t, `filter { cidr { `+c.config+` add_tag => "in" } }`, dir, ECSDisabled, event.None)
		if err != nil {
			t.Fatalf("%s: %v", c.config, err)
		}
		if got := ch.change(t, c.in)[0].HasTag("in"); got != c.want {
			t.Errorf("%s for %s: %v", c.config, c.in, got)
		}
	}
	for config, word := range map[string]string{
		`network => "::/0" network_path => "n.txt"`: "network_path",
		`address => "::1" address_field => "a"`:     "address_field",
	} {
		if _, err := newChain(t, `filter { cidr { `+config+` } }`, dir, ECSDisabled, event.None); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// A network of a set contains what one of its members contains.
func FuzzNetworks(f *testing.F) {
	f.Add("10.0.0.0/8,::/0", "10.1.1.1")
	f.Add("1.2.3.4/255.255.0.0,[::1]", "1.2.9.9/24")
	f.Fuzz(func(t *testing.T, list, address string) {
		a, err := parseNetwork(address)
		if err != nil {
			return
		}
		var set networks
		want := false
		for s := range strings.SplitSeq(list, ",") {
			p, err := parseNetwork(s)
			if err != nil {
				continue
			}
			set.add(p)
			want = want || p.Bits() <= a.Bits() && p.Contains(a.Addr())
		}
		if got := set.contain(a); got != want {
			t.Errorf("%s in %s: %v, not %v", address, list, got, want)
		}
		if a != netip.PrefixFrom(a.Masked().Addr(), a.Bits()) {
			t.Errorf("%s is not masked: %s", address, a)
		}
	})
}

func FuzzYAMLDictionary(f *testing.F) {
	f.Add("a: 1\n'b': [x, {c: ~}]\n")
	f.Add("a: &a {x: 1}\n<<: *a\nb: *a")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		for _, streaming := range []bool{false, true} {
			file := &dictionaryFile{exact: true, streaming: streaming, mostRunes: 1 << 20, warnKey: func(int, string) {}}
			d := newDictionary(true, false)
			if err := file.parseYAML(d, []byte(text)); err != nil {
				continue
			}
			for _, key := range d.keys {
				if v, ok := d.lookup(nil, key, nil); !ok || len(event.AppendJSON(nil, v)) == 0 {
					t.Errorf("%q is lost", key)
				}
			}
		}
	})
}

func BenchmarkCSV(b *testing.B) {
	c, err := newChain(b, `filter { csv { columns => ["time","host","user","action","status","bytes"] convert => { "bytes" => "integer" } } }`, b.TempDir(), ECSDisabled, event.None)
	if err != nil {
		b.Fatal(err)
	}
	text := event.StringValue(`2020-01-02T03:04:05Z,web-1,"Ann, B.",login,ok,1234`)
	e := event.New()
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		e.Fields().Set("message", text)
		c.filters[0].Filter(c.x, e)
	}
}

func BenchmarkTranslate(b *testing.B) {
	c, err := newChain(b, `filter { translate { source => "status" target => "text" dictionary => { "200" => "ok" "404" => "not found" } fallback => "other" } }`, b.TempDir(), ECSDisabled, event.None)
	if err != nil {
		b.Fatal(err)
	}
	e := event.New()
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		e.Fields().Set("status", event.StringValue("404"))
		c.filters[0].Filter(c.x, e)
	}
}
