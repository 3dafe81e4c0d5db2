package syntax

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recorded is a case of testdata/cases.
type recorded struct {
	name, config, kind string
	line, column       int
	mentions           []string
}

func cases(t testing.TB) []recorded {
	t.Helper()
	files, err := filepath.Glob("testdata/cases/*/*.txt")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	var out []recorded
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c := recorded{name: filepath.ToSlash(strings.TrimPrefix(f, "testdata/cases/"))}
		_, rest, _ := strings.Cut(string(text), "-- config --\n")
		c.config, rest, _ = strings.Cut(rest, "\n-- ")
		if rest, ok := strings.CutPrefix(rest, "error --\n"); ok {
			for line := range strings.Lines(rest) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				switch key {
				case "kind":
					c.kind = value
				case "line":
					c.line, _ = strconv.Atoi(value)
				case "column":
					c.column, _ = strconv.Atoi(value)
				case "mentions":
					c.mentions = strings.Fields(value)
				}
			}
		}
		out = append(out, c)
	}
	return out
}

func TestRecordedConfigurationsAreReadOrRefusedAsByLogstash(t *testing.T) {
	// What of the other errors can be seen without knowing the plugins.
	ours := []string{"syntax/err_big_integer.txt", "syntax/err_duplicate_hash_key.txt", "syntax/err_quoted_plugin_name.txt", "conditionals/err_mixed_xor.txt"}
	refused := 0
	for _, c := range cases(t) {
		_, err := Parse("main.conf", []byte(c.config))
		if c.kind != "syntax" && !slices.Contains(ours, c.name) {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		errs, ok := errors.AsType[Errors](err)
		if !ok {
			t.Errorf("%s: %v is no Errors", c.name, err)
			continue
		}
		refused++
		if len(errs) != 1 {
			t.Errorf("%s: more than one error:\n%v", c.name, errs)
		}
		if e := errs[0]; c.kind == "syntax" && (e.Pos.Line != c.line || e.Pos.Column != c.column || len(e.Expected) == 0) {
			t.Errorf("%s: %v; Logstash reports %d:%d", c.name, e, c.line, c.column)
		}
		for _, m := range c.mentions {
			if !strings.Contains(err.Error(), m) {
				t.Errorf("%s: %v does not mention %s", c.name, err, m)
			}
		}
	}
	if refused != 22 {
		t.Errorf("%d cases were refused", refused)
	}
}

func TestErrorsSayWhatWasExpectedWhatWasFoundAndWhatToDo(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`filter { mutate { add_tag ["x"] } }`, `1:27: expected "=>" after "add_tag", found "["`},
		{`filter { mutate { add_tag = "x" } }`, `1:27: expected "=>" after "add_tag", found "="; write "=>" between a name and its value`},
		{`filter { if [a] = 1 { } }`, `1:17: expected one of "in", "not in", "==", "!=", "<=", ">=", "<", ">", "=~", "!~", "and", "or", "xor", "nand" or "{", found "="; write "==" to compare`},
		{`filter { if [a] == 1 && [b] { } }`, `1:22: expected one of "and", "or", "xor", "nand" or "{" after "1", found "&"; write "and" and "or"`},
		{`filter { if [a] == true { } }`, `1:25: expected "(" after "true", found "{"; a word is no value in a condition: write "true" for the string, or the field alone to ask if it is true`},
		{`filter { mutate { add_tag => ["a"], id => "b" } }`, `1:35: expected one of white space or "}", found ","; options have white space between them, no comma`},
		{`filter { mutate { add_tag => ["a" "b"] } }`, `1:35: expected one of "," or "]", found a double quote; the elements of a list have commas between them`},
		{`filter { mutate { rename => { "a" => "b", "c" => "d" } } }`, `1:41: expected one of a key or "}", found ","; the entries of a hash have no comma between them`},
		{`filter { mutate { rename => { a => "b" } } }`, `1:32: expected one of a letter or a digit after "a", found " "; a word without quotes has at least two characters: write "a"`},
		{`filter { mutate { id => x } }`, `1:27: expected "{" after "x", found "}"; a word without quotes has at least two characters: write "x"`},
		{`filter { mutate { add_tag => "x } }`, `1:36: expected a closing quote, found the end of the file; the string that begins at 1:30 is not closed`},
		{`filter { mutate { id => "C:\" } }`, `1:34: expected a closing quote, found the end of the file; the string that begins at 1:25 is not closed: a backslash before a quote keeps it open`},
		{"filter { mutate { id => \"a }\nruby { code => \"b\" } }", `2:17: expected one of white space or "}", found "b"; the string that begins at 1:25 ends only here: is a quote missing?`},
		{`filter { mutate { id => "x" }`, `1:30: expected one of a plugin, "if" or "}", found the end of the file; the "{" of filter at 1:1 is not closed`},
		{"filter { mutate { }\noutput { stdout { } }\n", `2:17: expected "=>" after "stdout", found "{"; "output" at 2:1 begins a section: is a "}" missing before it?`},
		{`filter { if [a[b]] { } }`, `1:15: expected one of "]", a letter or a digit after "a", found "["; each part of a field has brackets of its own: [a][b]`},
		{`filter { "mutate" { } }`, `1:10: the name of a plugin has no quotes: write mutate`},
		{`filter { mutate { add_field => { 1 => "x" } } }`, `1:34: a number cannot be a key: write "1"`},
		{`filter { mutate { add_field => { "b" => 9223372036854775808 } } }`, `1:41: the number 9223372036854775808 does not fit in 64 bits; put it in quotes to keep its text`},
		{`filter { mutate { add_field => { "b" => 08 } } }`, `1:41: 08 is no number: a leading zero means octal; remove it or put the number in quotes`},
		{`filter { mutate { add_field => { "b" => 1. } } }`, `1:41: 1. is no number: a digit is missing after the point`},
		{`filter { mutate { add_field => { aa => 1 "aa" => 2 aa => 3 aa => 4 } } }`, `1:52: the key aa is in this hash twice; the hash begins at 1:32`},
		{`filter { if [a] { } else { id => "x" } }`, `1:28: after "else" there are plugins in the braces, not options`},
		{"filter { } # conf\n$x", `2:1: expected one of "input", "filter" or "output", found "$"`},
		{`filter { if [a] xor [b] xor [c] { } }`, `1:17: xor cannot stand beside another operator: put it and its two sides in parentheses`},
		{"\uFEFFfilter { }", `1:1: expected one of "input", "filter" or "output", found a byte order mark: save the file without one`},
		{"filter { }\n# gr\xfc\xdfe\n", `2:5: the file is not encoded in UTF-8: the byte 0xfc here`},
	} {
		_, err := Parse("", []byte(c.src))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.src, err, c.want)
		}
	}
}

func TestSeveralErrorsOfAFileAreReportedAtOnce(t *testing.T) {
	src := `input { stdin { codec => json, id => "i" } }
filter {
  mutate { add_tag ["x"] }
  if [a] = 1 {
    mutate { rename => { "a" => "b", "c" => "d" } }
    mutate { add_tag => "fine" }
  } else if [b] == true {
    drop { }
  } else {
    grok { match -> { } }
  }
  date { match => ["a" "b"] }
}
filters { mutate { } }
output {
  stdout { codec => rubydebug }
  "file" { path => "x" }
  if [a] { file { path = "x" }
}
output { null { } }
`
	c, err := Parse("all.conf", []byte(src))
	errs, _ := errors.AsType[Errors](err)
	var got []string
	for _, e := range errs {
		got = append(got, fmt.Sprintf("%d:%d", e.Pos.Line, e.Pos.Column))
	}
	want := []string{"1:30", "3:20", "4:10", "5:36", "7:25", "10:18", "12:24", "14:7", "17:3", "18:24", "20:15"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s%v", diff, err)
	}
	var names []string
	for _, s := range c.Sections {
		for p := range Plugins(s.Body) {
			names = append(names, p.Name)
		}
	}
	if diff := cmp.Diff([]string{"mutate", "drop", "stdout", "file", "null"}, names); diff != "" {
		t.Errorf("what could be read (-want +got):\n%s", diff)
	}
}

func TestOneMistakeIsOneError(t *testing.T) {
	for _, src := range []string{
		"filter { if [a] = 1 { mutate { } } else { drop { } } }",
		"filter { if { mutate { } } else { drop { } } }",
		"filter { if [a] == 1\n mutate { add_tag => [\"x\"] }\n}\noutput { stdout { } }",
		"filter { mutate { add_tag => [\"oops] }\n grok { match => { \"m\" => \"x\" } } }\noutput { stdout { } }",
		"filter { mutate { } } }\noutput { stdout { } }",
		"filter { mutate { x => y } \n if [a] { drop { } } }\n",
		"filter { if [a] =~ /\"{/ and [b] == x { drop { } } mutate { } }",
		"filter { mutate { code => 'a\n  b'\n x => = }\n ruby { } }\noutput { stdout { } }",
		"filter {\n mutate { }\n\noutput { stdout { } }",
		"fitler { mutate { } }\noutput { stdout { } }",
	} {
		_, err := Parse("f", []byte(src))
		if errs, _ := errors.AsType[Errors](err); len(errs) != 1 {
			t.Errorf("%s\n%v", src, err)
		}
	}
}

func TestCaretPointsAtTheCharacter(t *testing.T) {
	_, err := Parse("f", []byte("filter {\r\n\tmutate { \"größe\" = 1 }\r\n}\r\n"))
	errs, _ := errors.AsType[Errors](err)
	if len(errs) != 1 {
		t.Fatal(err)
	}
	want := "\tmutate { \"größe\" = 1 }\n\t                 ^"
	if got := errs[0].Caret(); got != want || errs[0].Pos != (Pos{"f", 2, 19, 30}) {
		t.Errorf("%+v\n%s\nwant\n%s", errs[0].Pos, got, want)
	}
	if got := (Error{Message: "m"}).Caret(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestPositionsAreThoseOfTheFileThatANodeIsIn(t *testing.T) {
	files := []File{
		{"1.conf", []byte("# no line end at the end")},
		{"2.conf", []byte("filter {\n  mutate { }\n")}, // goes on in the next one
		{"empty.conf", nil},
		{"3.conf", []byte("  drop { } }\noutput { stdout { codec => json } }")},
		{"4.conf", []byte("input { stdin { a = 1 } }\nfilter { clone { } }")},
	}
	c, err := ParseAll(files)
	if err == nil || !strings.HasPrefix(err.Error(), `4.conf:1:19: expected "=>"`) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	var got []string
	for p := range Plugins(c.Statements(Filter)) {
		got = append(got, fmt.Sprintf("%s %v+%d to %v", p.Name, p.Pos, p.Pos.Offset, p.End))
	}
	want := []string{"mutate 2.conf:2:3+11 to 2.conf:2:12", "drop 3.conf:1:3+2 to 3.conf:1:10", "clone 4.conf:2:10+35 to 4.conf:2:18"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	codec := c.Statements(Output)[0].(*Plugin).Attribute("codec").Value
	e := c.ErrorAt(codec.At(), "unknown codec %s", "json")
	if e.Error() != "3.conf:2:28: unknown codec json" || e.Source != "output { stdout { codec => json } }" {
		t.Errorf("%v, %q", e, e.Source)
	}
	if c.Statements(Output)[0].(*Plugin).Attribute("none") != nil {
		t.Error("an attribute that is not there")
	}
}

// show prints a condition with all of its parentheses.
func show(c Cond) string {
	switch c := c.(type) {
	case *Logic:
		return "(" + show(c.Left) + " " + string(c.Op) + " " + show(c.Right) + ")"
	case *Not:
		return "!" + show(c.Cond)
	}
	return Print(c)
}

func condOf(t *testing.T, src string) (Cond, *Config) {
	t.Helper()
	c, err := Parse("f", []byte("filter { if "+src+" { } }"))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return c.Sections[0].Body[0].(*Branch).Arms[0].Cond, c
}

func TestOperatorsGroupAsLogstashCompilesThem(t *testing.T) {
	for src, want := range map[string]string{
		"[a] or [b] and [c]":                 "([a] or ([b] and [c]))",
		"[a] and [b] or [c]":                 "(([a] and [b]) or [c])",
		"[a] and [b] and [c]":                "([a] and ([b] and [c]))",
		"[a] or [b] or [c]":                  "([a] or ([b] or [c]))",
		"[a] and [b] or [c] and [d]":         "(([a] and [b]) or ([c] and [d]))",
		"[a] and [b] and [c] or [d]":         "([a] and (([b] and [c]) or [d]))",
		"[a] and [b] and [c] and [d] or [e]": "([a] and ([b] and (([c] and [d]) or [e])))",
		"([a] and [b] and [c]) or [d]":       "(([a] and ([b] and [c])) or [d])",
		"[a] xor [b]":                        "([a] xor [b])",
		"([a] xor [b]) nand [c]":             "(([a] xor [b]) nand [c])",
		"! ([a] or ![b])and[c]":              "(!([a] or ![b]) and [c])",
	} {
		c, cfg := condOf(t, src)
		if got := show(c); got != want {
			t.Errorf("%s is %s, not %s", src, got, want)
		}
		// An or after two ands is where it differs from what one reads.
		if differs := strings.Contains(src, "[c] or [d]") && !strings.Contains(src, "(") || strings.Contains(src, "[d] or [e]"); differs != (len(cfg.Warnings) == 1) {
			t.Errorf("%s: warnings %v", src, cfg.Warnings)
		}
	}
}

func TestOperandsAreTriedInTheOrderOfTheGrammar(t *testing.T) {
	for src, want := range map[string]string{
		`[a] in ["x"]`:         `*syntax.In *syntax.Selector`,
		`[a] in ["x", "y"]`:    `*syntax.In *syntax.Array`,
		`[a] not  in [1]`:      `*syntax.In *syntax.Selector`,
		`[a] in []`:            `*syntax.In *syntax.Array`,
		`[a] in [[bb]]`:        `*syntax.In *syntax.Array`,
		`[a] in [ {aa => 1} ]`: `*syntax.In *syntax.Selector`,
		`[a]in[b]`:             `*syntax.In *syntax.Selector`,
		`[a] == "b"`:           `*syntax.Compare *syntax.String`,
		`"x" != -1.5`:          `*syntax.Compare *syntax.Number`,
		`[a] >= upper("x", 1)`: `*syntax.Compare *syntax.Call`,
		`[a] == /x\/"/`:        `*syntax.Compare *syntax.Regexp`,
		`[a] !~ "b"`:           `*syntax.Match *syntax.String`,
		`[a] =~ /[{"]/`:        `*syntax.Match *syntax.Regexp`,
		`"a"`:                  `*syntax.Truth *syntax.String`,
		`([a])`:                `*syntax.Truth *syntax.Selector`,
		`[ a ][-1]`:            `*syntax.Truth *syntax.Selector`,
	} {
		c, _ := condOf(t, src)
		var right Value
		switch c := c.(type) {
		case *In:
			right = c.List
			if c.Negated != strings.Contains(src, "not") {
				t.Errorf("%s: negated %t", src, c.Negated)
			}
		case *Compare:
			right = c.Right
		case *Match:
			right = c.Pattern
			if c.Negated != strings.Contains(src, "!~") {
				t.Errorf("%s: negated %t", src, c.Negated)
			}
		case *Truth:
			right = c.Value
		}
		if got := fmt.Sprintf("%T %T", c, right); got != want {
			t.Errorf("%s is %s, not %s", src, got, want)
		}
	}
}

func TestAListWithOneStringWarns(t *testing.T) {
	_, cfg := condOf(t, `[a] not in [ 'x' ]`)
	if len(cfg.Warnings) != 1 || cfg.Warnings[0].Pos.Column != 24 {
		t.Errorf("%v", cfg.Warnings)
	}
	if _, cfg = condOf(t, `[a] in [b] and "x" in [c] and [d] in ["x", "y"]`); cfg.Warnings != nil {
		t.Errorf("%v", cfg.Warnings)
	}
}

func TestValuesKeepWhatWasWritten(t *testing.T) {
	src := `output { x { a1 => "say \"hi\"" 'b-2' => 'it\'s\n' c3 => [ -7, 3.50, 017, ww, { "k" => [] kk=>{} } ] d4 => json { cc => "\n" } e5 => 9223372036854775807 } }`
	for _, escapes := range []bool{false, true} {
		c, err := Options{SupportEscapes: escapes}.Parse("f", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		a := c.Sections[0].Body[0].(*Plugin).Attributes
		want := []Value{&String{Raw: `"say \"hi\""`, Value: `say \"hi\"`}, &String{Raw: `'it\'s\n'`, Value: `it\'s\n`}}
		codec := `\n`
		if escapes {
			want = []Value{&String{Raw: `"say \"hi\""`, Value: `say "hi"`}, &String{Raw: `'it\'s\n'`, Value: "it's\n"}}
			codec = "\n"
		}
		want = append(want,
			&Array{Values: []Value{
				&Number{Raw: "-7", Int: -7}, &Number{Raw: "3.50", IsFloat: true, Float: 3.5}, &Number{Raw: "017", Int: 15}, &Bareword{Text: "ww"},
				&Hash{Entries: []*Entry{{Key: &String{Raw: `"k"`, Value: "k"}, Value: &Array{}}, {Key: &Bareword{Text: "kk"}, Value: &Hash{}}}},
			}},
			&Plugin{Name: "json", Attributes: []*Attribute{{Name: "cc", Value: &String{Raw: `"\n"`, Value: codec}}}},
			&Number{Raw: "9223372036854775807", Int: 1<<63 - 1},
		)
		var got []Value
		for _, one := range a {
			got = append(got, one.Value)
		}
		if diff := cmp.Diff(want, got, ignorePos); diff != "" {
			t.Errorf("escapes %t (-want +got):\n%s", escapes, diff)
		}
		if a[1].Name != "b-2" || !a[1].Quoted || a[0].Quoted {
			t.Errorf("names: %+v", a[1])
		}
	}
}

func TestEscapesAreThoseOfLogstash(t *testing.T) {
	for in, want := range map[string]string{
		``: ``, `a`: `a`, `\n\r\t\0`: "\n\r\t\x00", `\"\'\\`: `"'\`, `\q\d`: `\q\d`, `\\n`: `\n`, `a\`: `a\`, `\é`: `\é`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("%s: %q, not %q", in, got, want)
		}
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	for name, src := range map[string]string{
		"arrays":     "filter { x { aa => " + strings.Repeat("[", 1e5),
		"hashes":     "filter { x { aa => " + strings.Repeat("{aa=>", 1e5),
		"plugins":    "filter { x { aa => " + strings.Repeat("b{aa=>", 1e5),
		"groups":     "filter { if " + strings.Repeat("(", 1e5),
		"negations":  "filter { if " + strings.Repeat("!(", 1e5),
		"calls":      "filter { if " + strings.Repeat("aa(", 1e5),
		"blocks":     "filter { " + strings.Repeat("if [a] { ", 1e5),
		"selections": "filter { if " + strings.Repeat("[a][b", 1e5),
	} {
		_, err := Parse("f", []byte(src))
		if err == nil || name != "selections" && !strings.Contains(err.Error(), "nested more than 400 levels deep") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	if _, err := Parse("f", []byte("filter { "+strings.Repeat("if [a] { ", 390)+strings.Repeat("} ", 391))); err != nil {
		t.Error(err)
	}
}

func TestTimeGrowsWithTheLengthOnly(t *testing.T) {
	for name, part := range map[string]string{
		"unclosed strings":   "filter { x { aa => \"\\\" } }\n",
		"wrong plugins":      "filter { x { aa = 1 } }\n",
		"missing braces":     "filter { x { aa => 1 }\n",
		"wrong conditions":   "filter { if [a] = 1 { x { } } }\n",
		"half selectors":     "filter { if [" + strings.Repeat("a", 50) + ", } }\n",
		"comments":           "#\r# x\n",
		"commas":             "filter { if [a] in [ 1, 2 , } }\n",
		"else without end":   "filter { else if [a] { } else if [b] = }\n",
		"nested codecs":      "filter { x { aa => b { cc => d { ee => f { gg => ",
		"unclosed regexps":   "filter { if [a] =~ /x { } }\n",
		"words at the start": "filters\n",
	} {
		src := []byte(strings.Repeat(part, 1<<20/len(part)))
		begin := time.Now()
		_, err := Parse("f", src)
		if took := time.Since(begin); took > 5*time.Second || err == nil {
			t.Errorf("%s: %v, error %.80v", name, took, err)
		}
	}
}
