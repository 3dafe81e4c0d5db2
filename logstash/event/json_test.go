package event

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestJSONIsReadAndPrinted(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{}`, `{}`}, {`[]`, `[]`}, {` { "a" : [ 1 , 2.0 ] , "b" : null } `, `{"a":[1,2.0],"b":null}`}, {"\r\n\t true", "true"}, {"false", "false"},
		{`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`}, // the last one, in the place of the first
		{`{"":{"":[]}}`, `{"":{"":[]}}`},
		{"0", "0"}, {"-0", "0"}, {"-12", "-12"}, {"9223372036854775807", "9223372036854775807"}, {"-9223372036854775808", "-9223372036854775808"},
		{"9223372036854775808", "9223372036854775808"}, {"123456789012345678901", "123456789012345678901"}, {"999999999999999999", "999999999999999999"},
		{"1.0", "1.0"}, {"1.5e3", "1500.0"}, {"1E7", "1.0E7"}, {"1e-5", "1.0E-5"}, {"1e400", `"Infinity"`}, {"-1e400", `"-Infinity"`}, {"1e-400", "0.0"}, {"-0.0", "-0.0"},
		{`"a\"b\\c\/d\b\f\n\r\t"`, `"a\"b\\c/d\b\f\n\r\t"`}, {`"\u0000\u001f\u007f\u0080"`, "\"\\u0000\\u001F\u007f\u0080\""},
		{`"\u00e4\u20AC\ud83d\ude00"`, `"ä€😀"`}, {`"ä€😀\n"`, `"ä€😀\n"`},
		{`"\ud83d"`, `"?"`}, {`"\ude00x"`, `"?x"`}, {`"\ud83d\ud83d\ude00"`, `"?😀"`}, {`"\ud83d\u0041"`, `"?A"`}, {`"\ud83d\n"`, `"?\n"`}, {`"\ud83dä"`, `"?ä"`},
		{`{"a\u0062":"long enough for several words of eight bytes, \\ and then some more"}`, `{"ab":"long enough for several words of eight bytes, \\ and then some more"}`},
	} {
		v, err := ParseJSON([]byte(c.in), JSONOptions{})
		if got := string(AppendJSON(nil, v)); err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", c.in, got, err, c.want)
		}
	}
}

// The right sides were printed by java.math.BigDecimal of OpenJDK 17.
func TestDecimalsKeepTheirText(t *testing.T) {
	for in, want := range map[string]string{
		"1.10": "1.10", "1e3": "1E+3", "100E-1": "10.0", "1.5E300": "1.5E+300", "0.00000001": "1E-8", "-0.0": "0.0", "0.0000001": "1E-7", "1E+3": "1E+3",
		"-1.50": "-1.50", "0e5": "0E+5", "0.000000": "0.000000", "1.0E-7": "1.0E-7", "12345.678e2": "1234567.8", "0E-7": "0E-7", "-0e3": "0E+3", "12.3456789000": "12.3456789000",
	} {
		v, err := ParseJSON([]byte("["+in+",7]"), JSONOptions{Decimals: true})
		if got := string(AppendJSON(nil, v)); err != nil || got != "["+want+",7]" {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"1e2147483649", "1e-99999999999999999999"} {
		if _, err := ParseJSON([]byte(in), JSONOptions{Decimals: true}); !errors.Is(err, ErrJSON) {
			t.Errorf("%s: %v, want ErrJSON", in, err)
		}
	}
}

func TestInvalidJSONIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{``, "at byte 0: the text ends where a value is expected"},
		{`   `, "at byte 3: the text ends"},
		{`{`, `at byte 1: the text ends where a member's name`},
		{`{"a"`, `at byte 4: the text ends where ":"`},
		{`{"a":`, "at byte 5: the text ends where a value"},
		{`{"a":1`, `at byte 6: the text ends where "," or "}"`},
		{`{"a":1,}`, `at byte 7: found "}" where a member's name`},
		{`{'a':1}`, `at byte 1: found "'"`},
		{`{a:1}`, `at byte 1: found "a"`},
		{`{"a" 1}`, `at byte 5: found "1"`},
		{`{"a":1 "b":2}`, `at byte 7: found "\""`},
		{`[1,]`, `at byte 3: found "]" where a value`},
		{`[1 2]`, `at byte 3: found "2"`},
		{`[`, "at byte 1"}, {`]`, "at byte 0"}, {`[}`, "at byte 1"},
		{`"abc`, "at byte 4: the text ends where the end of a string"},
		{"\"a\nb\"", `at byte 2: found "\n" where an escaped control character`},
		{`"\x"`, `at byte 2: found "x" where an escape`}, {`"\`, "at byte 2"}, {`"\u12`, "at byte 5"}, {`"\u12g4"`, "at byte 5"}, {`"\ud83d\u"`, "at byte 9"}, {`"\ud83d\u12`, "at byte 11"},
		{`01`, "at byte 0: a number begins with 0"}, {`-`, "at byte 1"}, {`-a`, "at byte 1"}, {`1.`, "at byte 2"}, {`1.e5`, "at byte 2"}, {`.5`, "at byte 0"}, {`1e`, "at byte 2"}, {`1e+`, "at byte 3"}, {`+1`, "at byte 0"}, {`[-01]`, "at byte 2"},
		{`NaN`, "at byte 0"}, {`[Infinity]`, "at byte 1"}, {`[-Infinity]`, "at byte 2"}, {`tru`, "at byte 0"}, {`truex`, "at byte 4"}, {`nul`, "at byte 0"}, {`[truex]`, "at byte 5"}, {`1x`, "at byte 1"},
		{`{} x`, `at byte 3: found "x" where the end`}, {`1 2`, "at byte 2"}, {"\v1", "at byte 0"}, {"\ufeff1", "at byte 0"}, {`// x`, "at byte 0"},
		{strings.Repeat("[", 1001) + strings.Repeat("]", 1001), "at byte 1000: more than 1000"},
		{strings.Repeat("1", MaxNumber+1), "a number has more than"},
	} {
		_, err := ParseJSON([]byte(c.in), JSONOptions{})
		if !errors.Is(err, ErrJSON) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: %v, want %q", c.in, err, c.want)
		}
	}
	if _, err := ParseJSON([]byte(strings.Repeat("[", 1000)+strings.Repeat("]", 1000)), JSONOptions{}); err != nil {
		t.Errorf("1000 lists inside of each other: %v", err)
	}
}

func TestWhatFollowsTheValueMayBeLetBe(t *testing.T) {
	for in, ok := range map[string]bool{`{"a":1} x`: true, `{"a":1}x`: true, `1 x`: true, `1x`: false, `truex`: false} {
		if _, err := ParseJSON([]byte(in), JSONOptions{Trailing: true}); (err == nil) != ok {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestAnObjectIsReadIntoFields(t *testing.T) {
	e := NewAt(noon)
	if err := e.Fields().ParseJSON([]byte(` {"a":{"b":1}} `), JSONOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := string(e.AppendJSON(nil)); got != `{"a":{"b":1}}` {
		t.Errorf("%s", got)
	}
	for _, in := range []string{"[]", "", "{", "{}}", `{"a":}`} {
		if err := e.Fields().ParseJSON([]byte(in), JSONOptions{}); !errors.Is(err, ErrJSON) {
			t.Errorf("%s: %v, want ErrJSON", in, err)
		}
	}
}

func TestStringsWithoutEscapesArePartsOfTheInput(t *testing.T) {
	in := []byte(`{"plain":"text","escaped":"te\u0078t"}`)
	v, err := ParseJSON(in, JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	copy(in[strings.Index(string(in), `"text"`)+1:], "next")
	if v.Map().Get("plain").Str() != "next" || v.Map().Get("escaped").Str() != "text" {
		t.Errorf("%s", AppendJSON(nil, v))
	}
}

func TestWhatIsPrintedReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(4).Draw(t, "value")
		text := AppendJSON([]byte("  "), v)
		if !json.Valid(text) {
			t.Fatalf("%s is no JSON", text)
		}
		again, err := ParseJSON(text, JSONOptions{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !Equal(v, again) {
			t.Fatalf("%s reads %s", text, AppendJSON(nil, again))
		}
	})
}

func TestStringsAreEscapedWhereverTheyNeedIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("abcdefghijklmnopqrstuvwxyz\"\\\n\x00\x1f\x7fä€😀!"))).Draw(t, "text")
		text := AppendJSON(nil, StringValue(s))
		var got string
		if err := json.Unmarshal(text, &got); err != nil || got != s {
			t.Fatalf("%q prints %s: %q, %v", s, text, got, err)
		}
	})
	for in, want := range map[string]string{"\xff": `"` + "\uFFFD" + `"`, "a\xc3": `"a` + "\uFFFD" + `"`, "\xe2\x82\"": `"` + "\uFFFD\uFFFD" + `\""`, "\uFFFD": `"` + "\uFFFD" + `"`} {
		if got := string(AppendJSON(nil, StringValue(in))); got != want {
			t.Errorf("%q prints %s, want %s", in, got, want)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e3,"x\u00e4\ud83d\ude00",true,null],"b":{}}`, `[1e400,123456789012345678901]`, `"\ud83d\ud83d"`, `{"a":1} x`, `[[[`, `01`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		kept := string(in)
		v, err := ParseJSON(in, JSONOptions{})
		valid := json.Valid(in)
		if (err == nil) != valid && strings.Count(kept, "[")+strings.Count(kept, "{") <= MaxDepth && len(in) <= MaxNumber {
			t.Fatalf("%q: %v, encoding/json says %t", in, err, valid)
		}
		if err != nil && !errors.Is(err, ErrJSON) {
			t.Fatalf("%v is no ErrJSON", err)
		}
		if string(in) != kept {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		text := AppendJSON(nil, v)
		if !json.Valid(text) {
			t.Fatalf("%q prints %s", in, text)
		}
		again, err := ParseJSON(text, JSONOptions{})
		if err != nil {
			t.Fatalf("%q prints %s: %v", in, text, err)
		}
		if utf8.Valid(in) && !strings.Contains(string(text), "Infinity") && !Equal(v, again) {
			t.Fatalf("%q prints %s, which reads %s", in, text, AppendJSON(nil, again))
		}
		compareJSON(t, in, v)
		decimals, err := ParseJSON(in, JSONOptions{Decimals: true})
		if err == nil && !json.Valid(AppendJSON(nil, decimals)) {
			t.Fatalf("%q prints %s", in, AppendJSON(nil, decimals))
		}
	})
}

// compareJSON holds a value against what encoding/json reads, as far as they mean the same.
func compareJSON(t *testing.T, in []byte, v Value) {
	if strings.Contains(strings.ToLower(string(in)), `\ud`) || !utf8.Valid(in) {
		return // halves of pairs
	}
	decoder := json.NewDecoder(strings.NewReader(string(in)))
	decoder.UseNumber()
	var want any
	if err := decoder.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if !same(v, want) {
		t.Fatalf("%q is %s, encoding/json reads %v", in, AppendJSON(nil, v), want)
	}
}

func same(v Value, want any) bool {
	switch w := want.(type) {
	case nil:
		return v.Kind() == Null
	case bool:
		return v.Kind() == Bool && v.Bool() == w
	case string:
		return v.Kind() == String && v.Str() == w
	case json.Number:
		if !strings.ContainsAny(w.String(), ".eE") {
			n, ok := new(big.Int).SetString(w.String(), 10)
			return ok && Equal(v, BigValue(n))
		}
		f, err := w.Float64()
		return v.Kind() == Float && (v.Float() == f || err != nil && math.IsInf(v.Float(), 0))
	case []any:
		if v.Kind() != List || len(v.List()) != len(w) {
			return false
		}
		for i := range w {
			if !same(v.List()[i], w[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		if v.Kind() != Map || v.Map().Len() != len(w) {
			return false
		}
		for _, e := range v.Map().Entries() {
			if member, ok := w[e.Key]; !ok || !same(e.Value, member) {
				return false
			}
		}
		return true
	}
	return false
}
