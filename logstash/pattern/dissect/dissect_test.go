package dissect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTextsAreCutAtTheDelimiters(t *testing.T) {
	for _, c := range []struct {
		name, mapping, text string
		want                []string // nil: it does not match
	}{
		{"the last field takes the rest", "%{a} [%{b}] %{c}", "x [y] z [w] v", []string{"x", "y", "z [w] v"}},
		{"empty values", "%{a} [%{b}] %{c}", "x [] ", []string{"x", "", ""}},
		{"a missing delimiter", "%{a} [%{b}] %{c}", "x y z", nil},
		{"an empty text", "%{a}", "", nil},
		{"a single field", "%{a}", "x y", []string{"x y"}},
		{"a text in front is at the start", "<%{a}>%{b}", "<1>x", []string{"1", "x"}},
		{"a text in front is not found later", "<%{a}>%{b}", " <1>x", nil},
		{"a text in front of the only field", "id=%{a}", "id=7", []string{"7"}},
		{"a delimiter behind the last field", "%{a};", "x;y", []string{"x", "y"}},
		{"a delimiter behind the last field is required", "%{a};", "x", nil},
		{"the text begins with a delimiter: it is not passed", "%{a},%{b},%{c}", ",y,z", []string{"", "", ",y,z"}},
		{"and another one may be found behind", "%{a},%{b};%{c}", ",x;y", []string{"", ",x", "y"}},
		{"with a text in front it is passed", "-%{a},%{b},%{c}", "-,y,z", []string{"", "y", "z"}},
		{"repeated delimiters", "%{a->} %{b}", "x    y z", []string{"x", "y z"}},
		{"repeated delimiters at the start", "%{a->} %{b}", "   y", []string{"", "y"}},
		{"repeated delimiters of several bytes", "%{a->}--%{b}", "x-----y", []string{"x", "-y"}},
		{"nothing between two fields never matches", "%{a}%{b}", "xy", nil},
		{"letters of several bytes", "%{a}→%{b}☃☃%{c}", "zäö→ß☃☃w", []string{"zäö", "ß", "w"}},
		{"a closing brace may be part of a delimiter between fields", "%{a} } %{b}.} x", "p } q x", []string{"p", "q", ""}},
		{"only what is behind the last closing brace counts", "%{a}.} x", "q xr", []string{"q", "r"}},
		{"a mapping without fields", "x}", "x}", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Compile(c.mapping)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := p.Cut(nil, c.text)
			if ok != (c.want != nil) {
				t.Fatalf("matches: %v", ok)
			}
			if d := cmp.Diff(c.want, got); ok && d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFieldsSayWhatIsDoneWithThem(t *testing.T) {
	p, err := Compile("%{+d/3}.%{+d/2->}, %{&k/x} %{?s->}%{}-%{->}:%{n->/1}|%{+d}")
	if err != nil {
		t.Fatal(err)
	}
	want := []Field{
		{Append, "d", " "}, {Append, "d", "."}, {Indirect, "k/x", ", "}, {Skip, "s", " "}, {Skip, "", " "},
		{Normal, "", "-"}, {Normal, "n", ":"}, {Append, "d", "|"},
	}
	if d := cmp.Diff(want, p.Fields()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{5, 6, 7, 1, 0, 2}, p.Order()); d != "" {
		t.Error(d)
	}
}

func TestSuffixesAreCutFromNames(t *testing.T) {
	for field, want := range map[string]string{
		"a": "a", "a->": "a", "a/1": "a", "a/12->": "a", "a->/12": "a", "a/123": "a/123", "a->/3->": "a->", "->->": "->", "/3": "", "->/3": "",
		"": "", "a\nb->": "a\nb->", "/": "/", "a/": "a/", "a/x": "a/x",
	} {
		if name, suffix := cutSuffix(field); name != want || name+suffix != field && suffix != "" {
			t.Errorf("%q: name %q, suffix %q, want %q", field, name, suffix, want)
		}
	}
}

func TestBadMappingsAreRefused(t *testing.T) {
	for mapping, want := range map[string]string{
		"abc":         "has no field",
		"%{a":         "has no field",
		"%{+&a} %{b}": "cannot both",
		"%{&+a}":      "cannot both",
		"%{+}":        "no name",
		"%{&->}":      "no name",
		"%{x}%{+/2}":  "no name",
	} {
		if _, err := Compile(mapping); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", mapping, err, want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("%{a} [%{+b/2}] %{c->}, %{&d};", "x [y] z,,, w;")
	f.Add("<%{?a->}>%{->}", "<<<<>>")
	f.Fuzz(func(t *testing.T, mapping, text string) {
		p, err := Compile(mapping)
		if err != nil {
			return
		}
		values, ok := p.Cut(nil, text)
		if !ok {
			return
		}
		if len(values) != len(p.Fields()) {
			t.Fatalf("%d values of %d fields", len(values), len(p.Fields()))
		}
		rest := text
		for _, v := range values {
			i := strings.Index(rest, v)
			if i < 0 {
				t.Fatalf("%q is not in what is left, %q", v, rest)
			}
			rest = rest[i:]
		}
	})
}

func BenchmarkCutSixFields(b *testing.B) {
	p, err := Compile("%{ts} [%{level}] %{logger} - %{host}: %{code}, %{text}")
	if err != nil {
		b.Fatal(err)
	}
	text := "2024-05-12T10:11:12.123Z [INFO] org.example.shop.Cart - web-01.example.com: 200, " + strings.Repeat("some words ", 8)
	var values []string
	b.ReportAllocs()
	for b.Loop() {
		var ok bool
		if values, ok = p.Cut(values, text); !ok {
			b.Fatal("no match")
		}
	}
}
