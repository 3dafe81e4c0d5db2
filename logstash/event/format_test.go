package event

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestReferencesInTextsAreReplaced(t *testing.T) {
	const at = `"@timestamp":"2021-01-03T15:04:05.678Z"`
	for _, c := range []struct{ name, in, format, want string }{
		{"types", `{"i":7,"f":2.50,"t":true,"s":"str","l":["a",1,null],"m":{"k":[1,2]},"n":null,"big":123456789012345678901}`,
			"%{i}|%{f}|%{t}|%{s}|%{l}|%{m}|%{n}|%{big}|", `7|2.5|true|str|a,1,|{"k":[1,2]}|%{n}|123456789012345678901|`},
		{"floats print the Java way", `{"a":1.0,"b":10000000.0,"c":0.0001,"d":1e20,"e":-0.5}`,
			"%{a} %{b} %{c} %{d} %{e}", "1.0 1.0E7 1.0E-4 1.0E20 -0.5"},
		{"a missing field stays, nothing is the epoch second", `{"a":{"b":1},"@timestamp":"2011-11-11T11:11:11.110Z"}`,
			"<%{nope}> <%{[a][nope]}> <%{}> <%{ a }>", "<%{nope}> <%{[a][nope]}> <1321009871> <%{ a }>"},
		{"epoch", `{"@timestamp":"2001-09-09T01:46:40.250Z"}`, "%{+%s} %{+%ms} %{+} %{+%}", "1000000000 %4640 1000000000 1000000000"},
		{"maps inside of lists print the Java way", `{"l":[{"k":"v"},2],"m":{"k":"v"},"mm":{"a":[{"b":1.5}]}}`,
			"%{l} %{m} %{mm}", `{k=v},2 {"k":"v"} {"a":[{"b":1.5}]}`},
		{"elements", `{"rows":[{"cells":[1]},{"cells":[2,{"x":null}]}]}`,
			"%{[rows][1][cells]} / %{[rows][0]}", `2,{x=null} / {"cells":[1]}`},
		{"lists inside of lists and maps", `{"l":[[1,[2,null]],{"a":[3,[4]],"@":null},[]]}`, "<%{l}>", `<1,2,,{@=null, a=[3, [4]]},>`},
		{"an empty list is empty", `{"l":[],"m":{}}`, "<%{l}><%{m}>", "<><{}>"},
		{"members print in the order of a HashMap", `{"m":{"b":1,"a":2,"z":3,"y":{"q":1,"p":2}}}`, "%{m}", `{"a":2,"y":{"p":2,"q":1},"b":1,"z":3}`},
		{"dates", `{` + at + `}`, "%{+YYYY.MM.dd} %{+xxxx.ww} %{+DDD} %{+HH:mm:ss.SSS} %{+hh a} %{+MMM MMMM E EEEE} %{+yyyy'T'MM} %{+Z} %{+yy}",
			"2021.01.03 2020.53 003 15:04:05.678 03 PM Jan January Sun Sunday 2021T01 +0000 21"},
		{"dates of java.time", `{"@timestamp":"2020-12-31T12:00:00.123456Z"}`,
			"%{{uuuu-MM-dd}} %{{yyyy-MM-dd}} %{{YYYY-'W'ww}} %{{HH:mm:ss.nnn}} %{{ss.SSSSSS}} %{{xxx}}",
			"2020-12-31 2020-12-31 2021-W01 12:00:00.123456000 00.123456 +00:00"},
		{"a timestamp", `{"@timestamp":"2020-02-29T23:59:59Z"}`, "at %{@timestamp}", "at 2020-02-29T23:59:59.000Z"},
		{"a timestamp to the microsecond", `{"@timestamp":"2020-02-29T23:59:59.120034Z"}`, "%{@timestamp}", "2020-02-29T23:59:59.120034Z"},
		{"not closed", `{"a":"b"}`, "x %{a", "x %{a"},
		{"one inside of another", `{"a":"b","b":"never"}`, "%{%{a}}", "%{%{a}}"},
		{"a percent sign", `{"a":"b"}`, "100% sure %{a}", "100% sure b"},
		{"two percent signs", `{"a":"b"}`, "%%{a}", "%b"},
		{"in braces", `{"a":"b"}`, "{%{a}}", "{b}"},
		{"a brace that closes nothing", `{"a":"b"}`, "}%{a}}", "}b}"},
		{"a second brace that is not closed", `{"a":"b"}`, "%{{a}x", "%{{a}x"},
		{"what a value has is not replaced", `{"tpl":"%{secret}","secret":"s"}`, "%{tpl}", "%{secret}"},
		{"metadata", `{"@metadata":{"a":"1","b":{"c":"2"}}}`, "%{[@metadata][a]}%{[@metadata][b][c]} %{[@metadata][x]} %{[@metadata][b]}", `12 %{[@metadata][x]} {"c":"2"}`},
		{"nothing", `{}`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := decoded(t, c.in)
			f := ParseFormat(c.format)
			got, err := f.Text(e)
			if err != nil || got != c.want {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
			appended, err := f.Append([]byte("<"), e)
			if err != nil || string(appended) != "<"+c.want {
				t.Errorf("Append: %q, %v", appended, err)
			}
			if f.String() != c.format || f.Err() != nil {
				t.Errorf("String %q, Err %v", f, f.Err())
			}
		})
	}
}

func TestDatesWithoutATimestampAreEmpty(t *testing.T) {
	e := New()
	e.RemoveField("@timestamp")
	for _, text := range []string{"%{+YYYY}", "%{}", "%{+%s}", "%{{yyyy}}", "%{+bbbb}", "%{{bogus}}"} {
		if got, err := ParseFormat("[" + text + "]").Text(e); got != "[]" || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if got, _ := ParseFormat("%{@timestamp}").Text(e); got != "%{@timestamp}" {
		t.Errorf("%q", got)
	}
}

func TestTheTimeOfDay(t *testing.T) {
	got, err := ParseFormat("%{{TIME_NOW}}").Text(&Event{})
	if at, ok := ParseTimestamp(got); err != nil || !ok || time.Since(at).Abs() > time.Minute {
		t.Errorf("%q, %v", got, err)
	}
}

func TestIllegalTextsFailWhenTheyAreEvaluated(t *testing.T) {
	for _, c := range []struct {
		text string
		err  error
	}{
		{"a %{[a} b", ErrSyntax},
		{"%{a[b]}", ErrSyntax},
		{"%{+bbbb}", ErrFormat},
		{"%{{bogus}}", ErrFormat},
		{"x%{{a}", ErrFormat}, // the original looks behind the end
	} {
		f := ParseFormat(c.text)
		if !errors.Is(f.Err(), c.err) {
			t.Errorf("%q: Err %v, want %v", c.text, f.Err(), c.err)
		}
		if out, err := f.Append([]byte("kept"), New()); !errors.Is(err, c.err) || string(out) != "kept" {
			t.Errorf("%q: %q, %v, want %v", c.text, out, err, c.err)
		}
		if _, err := f.Text(New()); !errors.Is(err, c.err) {
			t.Errorf("%q: Text: %v, want %v", c.text, err, c.err)
		}
	}
}

func TestTextsWithoutReferencesAreStatic(t *testing.T) {
	for text, static := range map[string]bool{"": true, "plain": true, "100%": true, "%{a": true, "%{a}": false, "x%{a}": false, "%{+YYYY}": false, "%{}": false} {
		if got, ok := ParseFormat(text).Static(); ok != static || ok && got != text {
			t.Errorf("%q: %q, %t", text, got, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a%{\[\]+ ]{0,20}`).Draw(t, "text") // nothing closes
		if got, err := ParseFormat(text).Text(New()); got != text || err != nil {
			t.Fatalf("%q gives %q, %v", text, got, err)
		}
	})
}

func TestReferencesInTextsAreUnescaped(t *testing.T) {
	e := &Event{}
	e.Fields().Set("a[0]", IntValue(1))
	if got, err := Percent.ParseFormat("%{a%5B0%5D}").Text(e); got != "1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	refs := Ampersand.ParseFormat("%{a&#91;0&#93;} %{[b][c]} %{+YYYY}").Refs()
	if len(refs) != 2 || refs[0].Name() != "a[0]" || refs[1].String() != "[b][c]" {
		t.Errorf("refers to %v", refs)
	}
}

func FuzzParseFormat(f *testing.F) {
	for _, s := range []string{"%{a} %{[b][c]}", "%{+YYYY.MM.dd}", "%{{yyyy}}", "%{", "%{%{a}}", "%{{a}", "%{}", "%{+%s}"} {
		f.Add(s)
	}
	e := decoded(f, `{"a":"x","b":{"c":[1,{"d":null}]}}`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, style := range []EscapeStyle{None, Percent, Ampersand} {
			p := style.ParseFormat(s)
			out, err := p.Append([]byte("kept"), e)
			text, textErr := p.Text(e)
			if (err == nil) != (textErr == nil) || !strings.HasPrefix(string(out), "kept") || err == nil && string(out) != "kept"+text && !strings.Contains(s, "TIME_NOW") {
				t.Fatalf("Append gives %q, %v, Text %q, %v", out, err, text, textErr)
			}
			if err != nil && !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrFormat) {
				t.Fatalf("error %v", err)
			}
		}
	})
}
