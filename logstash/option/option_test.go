package option

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/syntax"
)

type plugin struct {
	Common
	Name   string          `ls:"name"`
	Mode   string          `ls:"mode" enum:"fast|slow" default:"slow"`
	Modes  []string        `ls:"modes,list" enum:"fast|slow"`
	Texts  []string        `ls:"texts" default:"a,b"`
	Hosts  []string        `ls:"hosts,uri"`
	On     bool            `ls:"on" default:"true"`
	Maybe  *bool           `ls:"maybe"`
	Count  int64           `ls:"count"`
	Ratio  float64         `ls:"ratio"`
	Size   Bytes           `ls:"size"`
	Secret Password        `ls:"secret"`
	Text   *event.Format   `ls:"text"`
	All    []*event.Format `ls:"all"`
	Field  *event.Ref      `ls:"field"`
	Map    Hash            `ls:"map"`
	Codec  Codec           `ls:"codec"`
	Raw    any             `ls:"raw"`
	Old    string          `ls:"old,deprecated" instead:"use name"`
}

func (*plugin) Obsolete() map[string]string { return map[string]string{"gone": "use name"} }

// decode reads the options of one filter.
func decode(t *testing.T, options string, env Env) (*plugin, []string) {
	t.Helper()
	cfg, err := syntax.Parse("a.conf", []byte("filter { thing {\n"+options+"\n} }"))
	if err != nil {
		t.Fatal(err)
	}
	p := &plugin{}
	var messages []string
	for node := range syntax.Plugins(cfg.Statements(syntax.Filter)) {
		for _, problem := range Decode(node, p, env) {
			messages = append(messages, problem.Error())
		}
	}
	return p, messages
}

func TestValuesAreCoerced(t *testing.T) {
	for _, c := range []struct {
		options string
		got     func(p *plugin) any
		want    any
	}{
		{`name => "x"`, func(p *plugin) any { return p.Name }, "x"},
		{`name => bare`, func(p *plugin) any { return p.Name }, "bare"},
		{`name => 5`, func(p *plugin) any { return p.Name }, "5"},
		{`name => 3.50`, func(p *plugin) any { return p.Name }, "3.5"},
		{`name => ["x"]`, func(p *plugin) any { return p.Name }, "x"},
		{``, func(p *plugin) any { return p.Mode }, "slow"},
		{`mode => "fast"`, func(p *plugin) any { return p.Mode }, "fast"},
		{`mode => ["fast"]`, func(p *plugin) any { return p.Mode }, "fast"},
		{`modes => ["fast","slow"]`, func(p *plugin) any { return p.Modes }, []string{"fast", "slow"}},
		{``, func(p *plugin) any { return p.Texts }, []string{"a", "b"}},
		{`texts => []`, func(p *plugin) any { return p.Texts }, []string{}},
		{`texts => "one"`, func(p *plugin) any { return p.Texts }, []string{"one"}},
		{`texts => ["a", 1, 2.0]`, func(p *plugin) any { return p.Texts }, []string{"a", "1", "2.0"}},
		{`texts => "a" texts => "a"`, func(p *plugin) any { return p.Texts }, []string{"a"}},
		{`texts => "a" texts => "b" texts => "c"`, func(p *plugin) any { return p.Texts }, []string{"a", "b", "c"}},
		{`texts => ["a"] texts => ["b"] texts => "c"`, func(p *plugin) any { return p.Texts }, []string{"a", "b", "c"}},
		{`texts => "a" texts => ["b"]`, func(p *plugin) any { return p.Texts }, []string{"a", `["b"]`}},
		{`hosts => ["a b", "c"]`, func(p *plugin) any { return p.Hosts }, []string{"a", "b", "c"}},
		{``, func(p *plugin) any { return p.On }, true},
		{`on => false`, func(p *plugin) any { return p.On }, false},
		{`on => "false"`, func(p *plugin) any { return p.On }, false},
		{``, func(p *plugin) any { return p.Maybe == nil }, true},
		{`maybe => false`, func(p *plugin) any { return *p.Maybe }, false},
		{`count => 5`, func(p *plugin) any { return p.Count }, int64(5)},
		{`count => "5"`, func(p *plugin) any { return p.Count }, int64(5)},
		{`count => "-5"`, func(p *plugin) any { return p.Count }, int64(-5)},
		{`count => 5.0`, func(p *plugin) any { return p.Count }, int64(5)},
		{`ratio => "5.0"`, func(p *plugin) any { return p.Ratio }, 5.0},
		{`ratio => 1`, func(p *plugin) any { return p.Ratio }, 1.0},
		{`size => "10 MiB"`, func(p *plugin) any { return p.Size }, Bytes(10 << 20)},
		{`size => "10mb"`, func(p *plugin) any { return p.Size }, Bytes(10_000_000)},
		{`size => "1.5KiB"`, func(p *plugin) any { return p.Size }, Bytes(1536)},
		{`size => 77`, func(p *plugin) any { return p.Size }, Bytes(77)},
		{`size => "7b"`, func(p *plugin) any { return p.Size }, Bytes(7)},
		{`text => "%{a}"`, func(p *plugin) any { return p.Text.String() }, "%{a}"},
		{`field => "[a][b]"`, func(p *plugin) any { return p.Field.String() }, "[a][b]"},
		{`field => ""`, func(p *plugin) any { return p.Field == nil }, true},
		{`map => { "a" => 1 b2 => ["x"] }`, func(p *plugin) any { return p.Map }, Hash{{"a", int64(1)}, {"b2", []any{"x"}}}},
		{`map => { bb => "1" "bb" => "2" }`, func(p *plugin) any { return p.Map }, Hash{{"bb", "2"}}},
		{`map => ["a","1","b","2","a","3"]`, func(p *plugin) any { return p.Map }, Hash{{"a", []any{"1", "3"}}, {"b", "2"}}},
		{`map => { "a" => "1" "b" => "x" } map => { "b" => "y" "c" => 3 }`, func(p *plugin) any { return p.Map },
			Hash{{"a", "1"}, {"b", []any{"x", "y"}}, {"c", int64(3)}}},
		{`map => { "a" => ["1"] } map => { "a" => ["1","2"] } map => { "a" => "2" }`, func(p *plugin) any { return p.Map },
			Hash{{"a", []any{"1", "1", "2"}}}},
		{`map => []`, func(p *plugin) any { return p.Map }, Hash{}},
		{`codec => "json"`, func(p *plugin) any { return p.Codec.Name }, "json"},
		{`codec => json { }`, func(p *plugin) any { return p.Codec.Plugin != nil }, true},
		{`raw => ["a", { "b" => 1 }]`, func(p *plugin) any { return p.Raw }, []any{"a", Hash{{"b", int64(1)}}}},
		{`id => "me"`, func(p *plugin) any { return p.ID }, "me"},
		{``, func(p *plugin) any { return p.EnableMetric }, true},
	} {
		p, problems := decode(t, c.options, Env{})
		for _, problem := range problems {
			if !strings.Contains(problem, "without brackets before") {
				t.Errorf("%s: %s", c.options, problem)
			}
		}
		if diff := cmp.Diff(c.want, c.got(p)); diff != "" {
			t.Errorf("%s: %s", c.options, diff)
		}
	}
}

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	for _, c := range []struct{ options, want string }{
		{`nam => "x"`, `a.conf:2:1: thing filter has no option "nam": did you mean "name"?`},
		{`codecs => "x"`, `did you mean "codec"?`},
		{`workers => 2`, "it is one of outputs"},
		{`gone => 1`, "a.conf:2:1: gone of thing filter is obsolete and does nothing any more: use name"},
		{`type => "x"`, "if [type] =="},
		{`old => "x"`, "a.conf:2:1: old of thing filter is deprecated: use name"},
		{`name => ["a","b"]`, `a.conf:2:9: name of thing filter must be one value (string), not ["a", "b"]`},
		{`name => { "a" => "b" }`, `must be a string, not {"a"=>"b"}`},
		{`mode => "fasst"`, `must be one of fast, slow, not "fasst": did you mean "fast"?`},
		{`modes => ["fast","no"]`, "must be one of"},
		{`on => "yes"`, "must be a boolean (true or false), not \"yes\""},
		{`on => 1`, "must be a boolean"},
		{`count => "many"`, `must be a number, not "many"`},
		{`count => "05"`, "must be a number"},
		{`count => "5.00"`, "must be a number"},
		{`count => "1e3"`, "must be a number"},
		{`count => 1.5`, "must be a number without a fraction"},
		{`size => "ten"`, "must be a size"},
		{`field => "[a"`, "must be a field"},
		{`map => ["a","b","c"]`, "this list has 3 elements"},
		{`map => "a"`, "must be a hash"},
		{`texts => { "a" => "b" }`, "must be a list"},
		{`texts => ["a"] texts => { "b" => 1 }`, "was given as a list before"},
		{`name => "${NOPE}"`, "cannot evaluate ${NOPE}"},
		{`count => "${NOPE}"`, "cannot evaluate ${NOPE}"},
		{`codec => json { } codec => line { }`, "a plugin has one codec"},
		{`text => "%{[a}"`, "fails for every event"},
	} {
		_, problems := decode(t, c.options, Env{})
		if len(problems) != 1 || !strings.Contains(problems[0], c.want) {
			t.Errorf("%s: got %q, want %q", c.options, problems, c.want)
		}
	}
}

func TestVariablesAreReplacedInAllValues(t *testing.T) {
	env := Env{Lookup: func(name string) (string, bool) {
		v, ok := map[string]string{"A": "x", "LIST": `["p", 'q']`, "QUOTED": `"y"`, "EMPTY": ""}[name]
		return v, ok
	}}
	for _, c := range []struct {
		options string
		want    any
	}{
		{`raw => "${A}"`, "x"},
		{`raw => "<${A}/${B:none}/${EMPTY}>"`, "<x/none/>"},
		{`raw => ["${A}", { "k" => "${A}${A}" }]`, []any{"x", Hash{{"k", "xx"}}}},
		{`raw => "${QUOTED}"`, `"y"`},
		{`raw => '"${A}z"'`, "xz"},
		{`raw => '["${A}", "k"]'`, []any{"x", "k"}},
		{`raw => "${1X} $A ${A"`, "${1X} $A ${A"},
	} {
		p, problems := decode(t, c.options, env)
		if len(problems) > 0 {
			t.Errorf("%s: %s", c.options, problems)
		}
		if diff := cmp.Diff(c.want, p.Raw); diff != "" {
			t.Errorf("%s: %s", c.options, diff)
		}
	}
}

func TestARequiredOptionMustBeThere(t *testing.T) {
	type needy struct {
		Source *event.Ref `ls:"source,required"`
	}
	cfg, err := syntax.Parse("a.conf", []byte("filter { json { } }"))
	if err != nil {
		t.Fatal(err)
	}
	for node := range syntax.Plugins(cfg.Statements(syntax.Filter)) {
		problems := Decode(node, &needy{}, Env{})
		if len(problems) != 1 || problems[0].Error() != "a.conf:1:10: json filter needs the option source (a field reference)" {
			t.Errorf("got %v", problems)
		}
	}
}

func TestAPasswordDoesNotPrint(t *testing.T) {
	p, _ := decode(t, `secret => "hush"`, Env{})
	if p.Secret.String() != "***" || string(p.Secret) != "hush" {
		t.Errorf("it prints as %s", p.Secret)
	}
}
