package filter

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/pattern/regex"
)

func TestMutateConvertsWhatRubyTakesForNumbers(t *testing.T) {
	for _, c := range []struct{ kind, in, want string }{
		{"integer", `"-0x1A"`, `-26`},
		{"integer", `"0x1.8"`, ``},
		{"integer", `"0x1.8p3"`, `12`},
		{"integer", `"0x1p3"`, ``},
		{"integer", `"0xzz"`, ``},
		{"integer", `"1.5e3"`, `1500`},
		{"integer", `"1e30"`, `1000000000000000000000000000000`},
		{"integer", `"one"`, ``},
		{"integer", `"1e"`, ``},
		{"integer", `"\u0000 12 \n"`, `12`},
		{"integer", `"1e300"`, "1" + strings.Repeat("0", 300)},
		{"integer", `-3.99`, `-3`},
		{"integer", `[null,"2",true]`, `[null,2,1]`},
		{"integer", `[["1"]]`, ``},
		{"integer", `[{"a":1}]`, ``},
		{"integer_eu", `"1.234,9"`, `1234`},
		{"integer_eu", `12.7`, `12`},
		{"float", `"1e5"`, `100000.0`},
		{"float", `"1e+"`, `1.0`},
		{"float", `"1."`, ``},
		{"float", `"1.e5"`, ``},
		{"float", `"."`, ``},
		{"float", `"1_000.5"`, `1000.5`},
		{"float", `"1__0"`, ``},
		{"float", `"_1"`, ``},
		{"float", `"-0x1A"`, `-26.0`},
		{"float", `"-.5"`, `-0.5`},
		{"float", `"NaN"`, ``},
		{"float", `123456789012345678901234567890`, `1.2345678901234568E29`},
		{"float_eu", `"1.234,5"`, `1234.5`},
		{"float_eu", `false`, `0.0`},
		{"boolean", `"1x0"`, `true`},
		{"boolean", `"TRUE"`, `true`},
		{"boolean", `"so\nyes"`, `true`},
		{"boolean", `"true "`, `"true "`},
		{"boolean", `[1,"f",{"a":1}]`, `[true,false,{"a":1}]`},
		{"string", `1e20`, `"1.0e+20"`},
		{"string", `[[1,"x"],{"a":null}]`, `["[1, \"x\"]","{\"a\"=>nil}"]`},
	} {
		want := `{"v":` + c.want + `}`
		if c.want == "" {
			want = `{"v":` + c.in + `,"tags":["_mutate_error"]}`
		}
		expect(t, `filter { mutate { convert => { "v" => "`+c.kind+`" } } }`, ECSDisabled, []string{`{"v":` + c.in + `}`}, []string{want})
	}
}

func TestMutateReplacesAsRubyDoes(t *testing.T) {
	for _, c := range []struct{ pattern, with, in, want string }{
		{`(a)(b)?`, `<\2\1>`, "abxa", "<ba>x<a>"},
		{`(?<first>\w)\w+`, `\k<first>.`, "john doe", "j. d."},
		{`b`, "[\\`|\\'|\\&|\\\\]", "abc", `a[a|c|b|\]c`},
		{``, `-`, "aä", "-a-ä-"},
		{`x*`, `-`, "axb", "-a--b-"},
		{`$`, `!`, "a", "a!"},
		{`a`, `\q\ `, "a", `\q\ `},
		{`.`, `x`, "", ""},
		{`ä`, `ae`, "xäyä", "xaeyae"},
	} {
		config := `filter { mutate { gsub => ["v", '` + c.pattern + `', "` + c.with + `"] } }`
		if strings.Contains(c.with, `"`) {
			t.Fatal("the case cannot be written")
		}
		ch, err := newChain(t, config, t.TempDir(), ECSDisabled, event.None)
		if err != nil {
			t.Fatalf("%s: %v", config, err)
		}
		e := event.New()
		if err := e.SetField("v", event.StringValue(c.in)); err != nil {
			t.Fatal(err)
		}
		ch.from(0, e)
		if got := e.GetField("v").Str(); got != c.want {
			t.Errorf("%q with %q for %q: %q, not %q", c.in, c.with, c.pattern, got, c.want)
		}
	}
}

func TestMutateFailsForWhatRubyRaises(t *testing.T) {
	for _, c := range []struct{ config, in, want string }{
		{`strip => "v"`, `{"v":["a ",1]}`, `{"v":["a ",1],"tags":["_mutate_error"]}`},
		{`gsub => ["v", "(a)", "\k<no>"]`, `{"v":"a"}`, `{"v":"a","tags":["_mutate_error"]}`},
		{`gsub => ["v", "(a)", "\k<no>"]`, `{"v":"b"}`, `{"v":"b"}`},
		{`gsub => ["v", "%{p}", ""]`, `{"v":"b","p":"("}`, `{"v":"b","p":"(","tags":["_mutate_error"]}`},
		{`uppercase => "a["`, `{"v":"b"}`, `{"v":"b","tags":["_mutate_error"]}`},
		{`rename => { "v" => "a[" }`, `{"v":"b"}`, `{"tags":["_mutate_error"]}`},
		{`rename => { "v" => "tags" }`, `{"v":5}`, `{"tags":["_mutate_error"]}`},
		{`copy => { "v" => "[s][x]" } add_tag => "no"`, `{"v":5,"s":"t"}`, `{"v":5,"s":"t","tags":["_mutate_error"]}`},
		{`merge => { "tags" => "n" }`, `{"tags":["a"],"n":1}`, `{"tags":["a","_mutate_error"],"n":1}`},
		{`split => { "v" => 5 }`, `{"v":"a5b"}`, `{"v":"a5b","tags":["_mutate_error"]}`},
		{`replace => { "v" => "%{a[}" }`, `{"v":"b"}`, `{"v":"b","tags":["_mutate_error"]}`},
	} {
		expect(t, `filter { mutate { `+c.config+` } }`, ECSDisabled, []string{c.in}, []string{c.want})
	}
}

func TestMutateMergesFieldsOneAfterAnother(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"d":["a"],"x":"b","y":["c"]}`, `{"d":["a","b","c"],"x":"b","y":["c"]}`},
		{`{"d":"a","x":"b","y":"c"}`, `{"d":["a","c"],"x":"b","y":"c"}`}, // each time from the text
		{`{"d":{"k":1},"x":{"l":2},"y":{"k":3}}`, `{"d":{"k":3,"l":2},"x":{"l":2},"y":{"k":3}}`},
		{`{"x":"b"}`, `{"d":[],"x":"b"}`},
	} {
		expect(t, `filter { mutate { merge => { "d" => ["x","y"] } } }`, ECSDisabled, []string{c.in}, []string{c.want})
	}
	expect(t, `filter { mutate { merge => { "d" => "d" } } }`, ECSDisabled, []string{`{"d":[[1]]}`}, []string{`{"d":[[1],[1]]}`})
}

func TestMutateChangesTheCaseOfAllLetters(t *testing.T) {
	expect(t, `filter { mutate { uppercase => "u" lowercase => "l" capitalize => ["c","d"] } }`, ECSDisabled,
		[]string{`{"u":"ŉ ﬃ ǆ ΐ","l":"İΣ ΑΣ","c":"ǆAB","d":"ßA"}`},
		[]string{`{"u":"\u02bcN FFI \u01c4 \u0399\u0308\u0301","l":"i\u0307σ ασ","c":"\u01c5ab","d":"Ssa"}`})
}

func TestMutateTakesCompiledPatternsOfFieldsAgain(t *testing.T) {
	c, err := newChain(t, `filter { mutate { gsub => ["v", "%{p}", "%{q}"] } }`, t.TempDir(), ECSDisabled, event.None)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := c.filters[0].(*mutation)
	if !ok {
		t.Fatalf("%T", c.filters[0])
	}
	for range 3 {
		c.change(t, `{"v":"abc","p":"b","q":"x"}`, `{"v":"abc","p":"[ab]","q":"x"}`)
	}
	if got := c.out[1].GetField("v").Str(); got != "xxc" || len(m.own.needles) != 2 {
		t.Errorf("%q, with %d patterns kept", got, len(m.own.needles))
	}
}

func TestMutateRefusesWhatCannotBeSetUp(t *testing.T) {
	for config, word := range map[string]string{
		`convert => { "a" => "int" }`:       "integer_eu",
		`gsub => ["a", "b"]`:                "three",
		`gsub => ["a", "(", "b"]`:           "gsub",
		`convert => ["a", "float", "a", 1]`: "convert",
	} {
		if got := refuses(t, `filter { mutate { `+config+` } }`); !strings.Contains(got, word) {
			t.Errorf("%s: %q does not mention %s", config, got, word)
		}
	}
}

// A gsub without groups is a loop over searches: what is between matches stays.
func FuzzGsub(f *testing.F) {
	f.Add("a", "xay", "b")
	f.Add("(a)(b)?", "aab", `\2\1\0`)
	f.Add("", "äö", "-")
	f.Add(`\b`, "a b", `\\`)
	f.Fuzz(func(t *testing.T, pattern, in, with string) {
		n, err := compileNeedle(pattern)
		if err != nil || len(in) > 1000 {
			return
		}
		var m regex.Match
		out, found, err := n.replaceAll([]byte("kept"), in, with, &m)
		if err != nil {
			return
		}
		if !strings.HasPrefix(string(out), "kept") {
			t.Fatalf("what was there before is gone: %q", out)
		}
		if !found {
			if string(out) != "kept" {
				t.Fatalf("nothing was found and %q came out", out)
			}
			return
		}
		if n.text != nil && !strings.Contains(with, `\`) {
			if want := strings.ReplaceAll(in, pattern, with); string(out[4:]) != want {
				t.Fatalf("%q, not %q", out[4:], want)
			}
		}
		same, _, err := n.replaceAll(nil, in, `\0`, &m)
		if err != nil || string(same) != in {
			t.Fatalf("%q replaced by itself is %q (%v)", in, same, err)
		}
	})
}

func FuzzConversionsOfTexts(f *testing.F) {
	for _, s := range []string{"", "1,234.5", "-0x1a", "1e3", "1e999999999", "0x", "+", "1_0", "١", "0x1p99999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := event.StringValue(s)
		if n, err := toInteger(v); err == nil && n.Kind() != event.Int && n.Kind() != event.BigInt {
			t.Errorf("%q as an integer is %s", s, n.Kind())
		}
		if n, err := toFloat(v); err == nil && n.Kind() != event.Float {
			t.Errorf("%q as a float is %s", s, n.Kind())
		}
		if !utf8.ValidString(s) {
			return
		}
		for _, change := range []func([]byte, string) []byte{appendUpper, appendLower, appendCapitalized} {
			if out := change(nil, s); !utf8.Valid(out) {
				t.Errorf("%q becomes %q", s, out)
			}
		}
	})
}

func BenchmarkMutateOfTwentyOperations(b *testing.B) {
	c, err := newChain(b, `filter { mutate {
		rename => { "a" => "b" "b" => "a" "none" => "x" }
		update => { "s1" => "new" "missing" => "x" }
		replace => { "s2" => "fixed" "s3" => "%{a}-%{n}" }
		convert => { "n" => "integer" "f" => "float" "t" => "string" "q" => "boolean" }
		gsub => ["p", "/", "_", "m", "[aeiou]", "x"]
		uppercase => ["u"] lowercase => ["l"] capitalize => ["c"] strip => ["s1"]
		copy => { "u" => "u2" "n" => "n2" }
		remove_field => ["u2", "n2"]
	} }`, b.TempDir(), ECSDisabled, event.None)
	if err != nil {
		b.Fatal(err)
	}
	e := c.change(b, `{"a":"va","s1":"text","s2":"text","s3":"x","n":"12","f":"1.5","t":"text","q":"true","p":"path","m":"dry","u":"WORD","l":"word","c":"Word"}`)[0]
	f := c.filters[0]
	b.ReportAllocs()
	for b.Loop() {
		f.Filter(c.x, e)
	}
}
