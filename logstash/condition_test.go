package logstash

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/syntax"
)

// compileText compiles a configuration; problems are what is wrong with it.
func compileText(t testing.TB, text string) (*Pipeline, Problems) {
	t.Helper()
	return Read([]syntax.File{{Name: "a.conf", Text: []byte(text)}}, syntax.Options{}, Options{
		Log: slog.New(slog.DiscardHandler),
		Lookup: func(name string) (string, bool) {
			v, ok := map[string]string{"BLUE": "blue", "NUMBER": "5"}[name]
			return v, ok
		},
	})
}

func eventOf(t testing.TB, text string) *event.Event {
	t.Helper()
	v, err := event.ParseJSON([]byte(text), event.JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return event.FromMap(v)
}

// passes says what a condition makes of an event: yes, no, or lost.
func passes(t testing.TB, cond, in string) string {
	t.Helper()
	p, problems := compileText(t, "filter { if "+cond+` { mutate { add_tag => "yes" } } }`)
	if err := problems.Err(); err != nil {
		return err.Error()
	}
	answer := "lost"
	p.NewWorker().Run(eventOf(t, in), func(e *event.Event) {
		answer = "no"
		if e.HasTag("yes") {
			answer = "yes"
		}
	})
	return answer
}

func TestConditionsMeanWhatTheyMeanInLogstash(t *testing.T) {
	for _, c := range []struct{ cond, in, want string }{
		{`[a] == "${BLUE}"`, `{"a":"blue"}`, "yes"},
		{`[a] == "x${BLUE}"`, `{"a":"xblue"}`, "no"}, // a variable must be all of the text
		{`[a] == "x${BLUE}"`, `{"a":"x${BLUE}"}`, "yes"},
		{`[a] in ["${BLUE}", "red"]`, `{"a":"blue"}`, "yes"},
		{`[a] in ["1.0", "x"]`, `{"a":1.0}`, "yes"},
		{`[a] in ["true", "x"]`, `{"a":true}`, "yes"},
		{`[a] in ["", "x"]`, `{"a":null}`, "yes"},
		{`[a] in ["", "x"]`, `{}`, "no"},
		{`[a] in ["x,y", "x"]`, `{"a":["x","y"]}`, "no"},
		{`[a] in 123`, `{"a":"2"}`, "yes"},
		{`5 in [a]`, `{"a":[1,5]}`, "yes"},
		{`5 in [a]`, `{"a":["5"]}`, "no"},
		{`5 in [a]`, `{"a":5}`, "no"},
		{`"a" in [b]`, `{"b":5}`, "no"},
		{`[a] in [b]`, `{"a":1,"b":1}`, "yes"},
		{`[a] in [b]`, `{"b":[null]}`, "no"},
		{`[a] in [b]`, `{"a":null,"b":[null]}`, "yes"},
		{`"a" in "abc"`, `{}`, "no"},
		{`"a" in "a"`, `{}`, "yes"},
		{`"text"`, `{}`, "yes"},
		{`"false"`, `{}`, "no"},
		{`0`, `{}`, "yes"},
		{`[a] > 1 or [b]`, `{"b":1}`, "lost"},
		{`[b] or [a] > 1`, `{"b":1}`, "yes"},
		{`[b] and [a] > 1`, `{"b":1}`, "lost"},
		{`!([a] > 1)`, `{}`, "lost"},
		{`[a] > 1 xor [b]`, `{"b":1}`, "lost"},
		{`1 < [a]`, `{"a":2}`, "yes"},
		{`1 >= [a]`, `{"a":2}`, "no"},
		{`[a] < [b]`, `{"a":1,"b":2}`, "yes"},
		{`[a] < [b]`, `{"a":1,"b":"2"}`, "lost"},
		{`[a] == [[1,2],3]`, `{"a":1}`, "yes"},
		{`[a] != 1`, `{}`, "yes"},
		{`"x" =~ /x/`, `{}`, "yes"},
		{`[a] !~ "^b"`, `{"a":"ab"}`, "yes"},
		{`[@metadata][x] == 1`, `{"@metadata":{"x":1}}`, "yes"},
	} {
		if got := passes(t, c.cond, c.in); got != c.want {
			t.Errorf("if %s of %s: %s, want %s", c.cond, c.in, got, c.want)
		}
	}
}

func TestConditionsThatLogstashCannotCompileAreRefused(t *testing.T) {
	for _, c := range []struct{ cond, want string }{
		{`[a] == []`, "empty list"},
		{`[a] == /x/`, "use =~"},
		{`["a","b"] == [x]`, "cannot have a list on its left"},
		{`["a","b"] in [x]`, "cannot look for a list"},
		{`"a" and [b]`, "and joins fields and comparisons"},
		{`!("a")`, "before a field or a comparison"},
		{`sprintf("x") == "y"`, "no calls"},
		{`/x/`, "alone is no condition"},
		{`5 =~ /x/`, "have a field on the left"},
		{`[a] =~ /(/`, "a.conf:1:"},
		{`1 < "2"`, "cannot compare an integer with a string"},
		{`[a] in /x/`, "use =~"},
		{`[a] == "${NOPE}"`, "cannot evaluate ${NOPE}"},
		{`[a] == { "b" => 1 }`, "expected"},
	} {
		if got := passes(t, c.cond, `{}`); !strings.Contains(got, c.want) {
			t.Errorf("if %s: %s; want %s", c.cond, got, c.want)
		}
	}
}

func TestWhatIsAlwaysTheSameIsWarnedOf(t *testing.T) {
	for _, cond := range []string{`"a" == "b"`, `1 < 2`, `"x"`, `"a" in "ab"`, `[a] == ["x","y"]`, `[a] in ["x"]`} {
		_, problems := compileText(t, "filter { if "+cond+" { drop { } } }")
		if len(problems.Warnings) != 1 || problems.Warnings[0].Source == "" {
			t.Errorf("if %s: %v", cond, problems.Warnings)
		}
	}
}

func TestConditionsAllocateNothing(t *testing.T) {
	p, problems := compileText(t, `filter {
		if [a] == "x" and [n] > 1 or "t" in [tags] { drop { } }
		else if [message] =~ /(\d+) of (\d+)/ and [b][c] in ["p", "q"] and [f] in ["1.5", "2"] { drop { } }
		else if ![a] or [n] in [5, 6] { drop { } }
	}`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	e := eventOf(t, `{"a":"y","n":7,"tags":["s"],"message":"it is 5 of 6","b":{"c":"r"},"f":5}`)
	w, out := p.NewWorker(), func(*event.Event) {}
	w.Run(e, out)
	if n := testing.AllocsPerRun(100, func() { w.Run(e, out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if e.Cancelled() {
		t.Error("a condition holds that should not")
	}
}

func FuzzConditionsNeitherPanicNorHang(f *testing.F) {
	for _, seed := range []string{`[a] == 5`, `[a] in ["x","y"] and ![b]`, `[a] =~ /x+/ or 1 < [n]`, `"a" in [tags] nand [x][y]`, `[a] == [[1],"x"]`} {
		f.Add(seed, `{"a":"x","tags":["a"]}`)
	}
	f.Fuzz(func(t *testing.T, cond, in string) {
		v, err := event.ParseJSON([]byte(in), event.JSONOptions{})
		if err != nil {
			return
		}
		p, _ := compileText(t, "filter { if "+cond+" { drop { } } }")
		if p == nil {
			return
		}
		p.NewWorker().Run(event.FromMap(v), func(*event.Event) {})
	})
}
