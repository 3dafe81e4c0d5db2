package option

import (
	"testing"
	"time"

	"github.com/narudata/naru/logstash/event"
)

func fromJSON(t *testing.T, text string) *event.Event {
	t.Helper()
	v, err := event.ParseJSON([]byte(text), event.JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := event.FromMap(v)
	e.RemoveField("@version")
	e.RemoveField("@timestamp")
	return e
}

func TestCommonOptionsRunInTheirOrder(t *testing.T) {
	for _, c := range []struct{ options, in, want string }{
		{`remove_tag => ["t_new"] add_tag => ["t_%{f}", "t_new"] remove_field => ["f"] add_field => { "f" => "F" }`,
			`{"m":1}`, `{"m":1,"tags":["t_%{f}"]}`},
		{`add_field => { "s" => "2" "l" => "c" "n" => "x" "o" => "y" }`,
			`{"s":"1","l":["a","b"],"n":5}`, `{"s":["1","2"],"l":["a","b","c"],"n":[5,"x"],"o":"y"}`},
		{`add_field => { "s" => "2" "l" => "c" "n" => "x" "o" => "y" }`,
			`{"s":null,"l":[],"n":false,"o":{"k":1}}`, `{"s":["2"],"l":["c"],"n":[false,"x"],"o":[["k",1],"y"]}`},
		{`add_field => { "v" => ["a", "b-%{m}"] }`, `{"m":1}`, `{"m":1,"v":["a","b-1"]}`},
		{`add_field => { "%{k}" => 1 "[x][%{k}]" => 2.50 }`, `{"k":"a"}`, `{"k":"a","a":"1","x":{"a":"2.5"}}`},
		{`add_field => { "tags" => "y" }`, `{"tags":["x"]}`, `{"tags":["x","y"]}`},
		{`add_tag => ["x","x"]`, `{"tags":["x"]}`, `{"tags":["x","x","x"]}`},
		{`add_tag => ["a","%{tags}"]`, `{"tags":["x"]}`, `{"tags":["x","a","x"]}`},
		{`remove_tag => ["x","zz"]`, `{"tags":["x","y","x"]}`, `{"tags":["y"]}`},
		{`remove_tag => ["x"]`, `{"tags":"x"}`, `{"tags":[]}`},
		{`remove_tag => ["x"]`, `{"m":1}`, `{"m":1}`},
		{`remove_field => ["%{v}", "[o][k]"]`, `{"v":"d","d":1,"o":{"k":1}}`, `{"v":"d","o":{}}`},
	} {
		p, problems := decode(t, c.options, Env{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		e := fromJSON(t, c.in)
		if err := p.Matched(e); err != nil {
			t.Errorf("%s: %v", c.options, err)
		}
		if got := string(e.AppendJSON(nil)); got != c.want {
			t.Errorf("%s of %s:\n got %s\nwant %s", c.options, c.in, got, c.want)
		}
	}
}

func TestCommonOptionsEndAtTheFirstThatFails(t *testing.T) {
	p, _ := decode(t, `add_field => { "[s][x]" => "v" "b" => "w" } add_tag => ["after"]`, Env{})
	e := fromJSON(t, `{"s":"text"}`)
	if err := p.Matched(e); err == nil {
		t.Error("no error")
	}
	if got := string(e.AppendJSON(nil)); got != `{"s":"text"}` {
		t.Errorf("got %s", got)
	}
}

func TestCommonOptionsWithoutReferencesAllocateNothing(t *testing.T) {
	p, _ := decode(t, `add_field => { "b" => "w" "[c][d]" => "x" } remove_field => ["b", "c"] remove_tag => ["a"]`, Env{})
	e := event.NewAt(time.Unix(0, 0))
	if n := testing.AllocsPerRun(100, func() {
		if err := p.Matched(e); err != nil {
			t.Fatal(err)
		}
	}); n > 2 { // the map c
		t.Errorf("%v allocations", n)
	}
}
