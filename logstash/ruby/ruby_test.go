package ruby_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/ruby"
)

var params = []string{"event", "new_event_block"}

func fromJSON(t *testing.T, text string) *event.Event {
	t.Helper()
	v, err := event.ParseJSON([]byte(text), event.JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return event.FromMap(v)
}

func TestCodeReadsAndChangesEvents(t *testing.T) {
	for _, c := range []struct{ code, in, want string }{
		{`event.set("b", event.get("a") + 1)`, `{"a":1}`, `"b":2`},
		{`event.set("[x][y]", event.get("[a][0]"))`, `{"a":["u"]}`, `"x":{"y":"u"}`},
		{`event.remove("a"); event.tag("t")`, `{"a":1}`, `"tags":["t"]`},
		{`event.get("a") << "x"`, `{"a":"s"}`, `"a":"sx"`},
		{`event.get("a").each { |s| s.upcase! }`, `{"a":["s","t"]}`, `"a":["S","T"]`},
		{`event.get("a") << "x"`, `{"a":["s"]}`, `"a":["s"]`},
		{`h = event.get("h"); h["k"] = 2; event.set("g", h)`, `{"h":{"k":1}}`, `"h":{"k":1},"@version":"1"`},
		{`s = "a"; event.set("b", s); s << "b"; s << "c"`, `{}`, `"b":"a"`},
		{`event.set("j", event.get("h").to_json)`, `{"h":{"k":[1,null,2.5]}}`, `"j":"{\"k\":[1,null,2.5]}"`},
		{`event.set("t", event.get("@timestamp").time.utc.strftime("%Y-%m-%d"))`, `{"@timestamp":"2024-02-29T01:02:03Z"}`, `"t":"2024-02-29"`},
		{`event.timestamp = LogStash::Timestamp.at(0)`, `{}`, `"@timestamp":"1970-01-01T00:00:00.000Z"`},
		{`event.to_hash.each { |k, v| event.set(k.upcase, v) if v.is_a?(Integer) }`, `{"a":1,"b":"x"}`, `"A":1`},
		{`event.set("s", event.sprintf("%{a}-%{b}"))`, `{"a":1,"b":"x"}`, `"s":"1-x"`},
		{`event.set("d", event.get("d") * 2)`, `{"d":12345678901234567890}`, `"d":24691357802469135780`},
	} {
		p, err := ruby.Compile(c.code, ruby.Options{Params: params})
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		e := fromJSON(t, c.in)
		if err := p.Run(ruby.Env{}, e, ruby.Block{}); err != nil {
			t.Errorf("%s: %v", c.code, err)
		}
		if got := string(e.AppendJSON(nil)); !strings.Contains(got, c.want) {
			t.Errorf("%s of %s gives %s, without %s", c.code, c.in, got, c.want)
		}
	}
}

func TestWhatIsNotThereIsRefusedAtItsPlaceWithAnotherWay(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"x = 1\n  File.read('a')", "2:3: File: the code of a filter has no access"},
		{`event["a"] = 1`, `1:6: event[…] = … was removed in Logstash 5; write event.set("a", …)`},
		{`v = event["a"]`, `1:10: event["a"] was removed in Logstash 5; write event.get("a")`},
		{`event.get("a").gsubb("x", "y")`, "1:16: the method gsubb is not known; did you mean gsub?"},
		{`eval("1")`, "1:1: eval: code cannot be made at run time"},
		{"`ls`", "1:1: commands of the system cannot be run"},
		{`require "net/http"`, "1:1: the library net/http is not there"},
		{`sleep 1`, "1:1: sleep: a filter that sleeps holds up the whole pipeline; use the filter throttle"},
		{"class A\nend", "1:1: classes cannot be made; use hashes and methods (def)"},
		{`ENV["HOME"]`, `write "${NAME}" into the code`},
		{"if true\n  x = 1\n", `3:1: "end" is missing: that of "if" at 1:1`},
		{`event.set("a", 1`, `expected ")", found the end of the code`},
		{`event.set(\"a\", 1)`, "1:11: a backslash outside of a string"},
		{`foo + 1`, "1:1: there is no variable and no method foo"},
		{`x = [1, (next)]`, "next inside of another expression"},
		{`"a" =~ /(/`, "the regular expression is not valid"},
	} {
		_, err := ruby.Compile(c.code, ruby.Options{Params: params})
		if err == nil {
			t.Errorf("%s is accepted", c.code)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.code, err, c.want)
		}
	}
}

func TestARunEndsWhenItsBudgetIsSpentAndCannotRescueThat(t *testing.T) {
	for _, code := range []string{
		"while true do end", "loop { }", "loop { begin; loop { }; rescue Exception; end }", "def f; f; rescue Exception; f; end; f",
		`s = "x"; loop { s = s + s }`, `a = [1]; loop { a = a + a }`, `"x" * 10**12`, "(1..10**12).to_a", "[0] * 10**12", "2 ** 10**9",
		"a = []; a << a; a.flatten", "1.step(2, 0) { }", `"%999999999d" % 1`, "h = {}; i = 0; loop { h[i] = i; i += 1 }",
	} {
		p, err := ruby.Compile(code, ruby.Options{Steps: 1_000_000, Memory: 64 << 20})
		if err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		if err := p.Run(ruby.Env{}); err == nil && code != "2 ** 10**9" {
			t.Errorf("%s ends without an exception", code)
		}
	}
}

func TestVariablesOfAStateAreKeptAndRunsDoNotRace(t *testing.T) {
	state := ruby.NewState()
	first, err := ruby.Compile("@n = 0; def add(x) @n += x end", ruby.Options{State: state})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Run(ruby.Env{}); err != nil {
		t.Fatal(err)
	}
	p, err := ruby.Compile("add(2)", ruby.Options{State: state})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if err := p.Run(ruby.Env{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last, err := ruby.Compile("@n", ruby.Options{State: state})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := last.Inspect(ruby.Env{}); got != "800" {
		t.Errorf("@n is %s, want 800", got)
	}
}

func TestNewEventsAreGivenToThePipeline(t *testing.T) {
	p, err := ruby.Compile(`event.get("a").each { |v| new_event_block.call(LogStash::Event.new("v" => v)) }; event.cancel`, ruby.Options{Params: params})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	e := fromJSON(t, `{"a":[1,"x"]}`)
	err = p.Run(ruby.Env{Emit: func(e *event.Event) { got = append(got, e.GetField("v").Text()) }}, e, ruby.Block{})
	if err != nil || !e.Cancelled() || strings.Join(got, ",") != "1,x" {
		t.Errorf("emitted %v, cancelled %v, %v", got, e.Cancelled(), err)
	}
}
