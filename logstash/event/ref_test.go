package event

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAReferenceIsCutIntoItsParts(t *testing.T) {
	for _, c := range []struct {
		text string
		keys []string
	}{
		{"name", []string{"name"}},
		{"a.b", []string{"a.b"}}, // dots are no path
		{"", []string{""}},
		{" a ", []string{" a "}},
		{"[a]", []string{"a"}},
		{"[a][b]", []string{"a", "b"}},
		{"[a.b][c d]", []string{"a.b", "c d"}},
		{"[[a][b]][c]", []string{"a", "b", "c"}},
		{"[[a]]", []string{"a"}},
		{"[[[a]]][b]", []string{"a", "b"}},
		{"[a][[b][c]]", []string{"a", "b", "c"}},
		{"@metadata", []string{"@metadata"}},
		{"[@metadata][x]", []string{"@metadata", "x"}},
		{"[l][-1]", []string{"l", "-1"}},
		{"[a,b]", []string{"a,b"}},
	} {
		r, err := ParseRef(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got := r.Keys(); !slices.Equal(got, c.keys) {
			t.Errorf("%q: parts %q, want %q", c.text, got, c.keys)
		}
		if want := "[" + strings.Join(c.keys, "][") + "]"; r.String() != want || r.Source() != c.text || r.Name() != c.keys[len(c.keys)-1] {
			t.Errorf("%q: String %q, Source %q, Name %q", c.text, r, r.Source(), r.Name())
		}
		if r.Metadata() != (c.keys[0] == "@metadata") || r.Top() != (len(c.keys) == 1 && c.keys[0] != "@metadata") {
			t.Errorf("%q: Metadata %t, Top %t", c.text, r.Metadata(), r.Top())
		}
	}
}

func TestIllegalReferencesAreRefused(t *testing.T) {
	for _, text := range []string{
		"[", "]", "[]", "[a", "a]", "a[b]", "[a]b", "[a]b[c]", "[a[b]]", "[[a]b]", "[a]]", "[a][", "[a][]", "[[]]", "[a] [b]", "x[]", "[[a][b]", "[a]]["} {
		if r, err := ParseRef(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, %v, want ErrSyntax", text, r, err)
		}
	}
}

func TestPartsAreUnescapedByTheStyle(t *testing.T) {
	for _, c := range []struct {
		style EscapeStyle
		text  string
		keys  []string
	}{
		{None, "weird%5Bname%5D&#91;", []string{"weird%5Bname%5D&#91;"}},
		{Percent, "weird%5Bname%5D", []string{"weird[name]"}},
		{Percent, "[top][x%5B0%5D]", []string{"top", "x[0]"}},
		{Percent, "%5b", []string{"%5b"}}, // only upper-case digits
		{Percent, "100%", []string{"100%"}},
		{Percent, "100%%5B%5", []string{"100%[%5"}},
		{Percent, "a+b", []string{"a+b"}},
		{Percent, "a+b%5B", []string{"a b["}}, // what java.net.URLDecoder does
		{Percent, "%FF", []string{"\uFFFD"}},
		{Percent, "%C3%A4", []string{"ä"}},
		{Ampersand, "weird&#91;name&#93;", []string{"weird[name]"}},
		{Ampersand, "[a&#91;][b]", []string{"a[", "b"}},
		{Ampersand, "&#9;&#&#x41;&amp;&#91", []string{"&#9;&#&#x41;&amp;&#91"}}, // two digits at least
		{Ampersand, "&#128512;!", []string{"😀!"}},
		{Ampersand, "&&#65;", []string{"&A"}},
	} {
		r, err := c.style.Parse(c.text)
		if err != nil {
			t.Errorf("%s %q: %v", c.style, c.text, err)
		} else if got := r.Keys(); !slices.Equal(got, c.keys) {
			t.Errorf("%s %q: %q, want %q", c.style, c.text, got, c.keys)
		}
		if s, err := ParseEscapeStyle(c.style.String()); s != c.style || err != nil {
			t.Errorf("style %s: %v, %v", c.style, s, err)
		}
	}
	for _, text := range []string{"&#1114112;", "&#99999999999;"} {
		if _, err := Ampersand.Parse(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, want ErrSyntax", text, err)
		}
	}
	if _, err := ParseEscapeStyle("backslash"); err == nil {
		t.Error("an unknown style is taken")
	}
}

func TestReferencesMadeAtRunTimeAreParsedOnce(t *testing.T) {
	var refs Refs
	a, err := refs.Get("[a][b]")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := refs.Get("[a][b]"); a != b {
		t.Error("the second Get gives another reference")
	}
	if _, err := refs.Get("[a"); !errors.Is(err, ErrSyntax) {
		t.Errorf("%v, want ErrSyntax", err)
	}
	line := []byte("name")
	r, _ := refs.Get(textOf(line))
	copy(line, "xxxx")
	if again, _ := refs.Get("name"); r.Name() != "name" || again != r {
		t.Error("the reference changes with the input that it came from")
	}
	percent := Refs{Style: Percent}
	if r, err := percent.Get("%5B"); err != nil || r.Name() != "[" {
		t.Errorf("%v, %v", r, err)
	}
}

func TestWhatAReferencePrintsIsTheSameReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.StringMatching(`[^\[\]]{1,6}`), 1, 4).Draw(t, "keys")
		r := newRef("", keys)
		again, err := ParseRef(r.String())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(keys, again.Keys()); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"a", "[a][b]", "[[a][b]][c]", "[a]b", "[a%5B]", "&#91;", "[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, style := range []EscapeStyle{None, Percent, Ampersand} {
			r, err := style.Parse(s)
			if (err != nil) != errors.Is(err, ErrSyntax) {
				t.Fatalf("%v is no ErrSyntax", err)
			}
			if err != nil || style != None {
				continue
			}
			again, err := ParseRef(r.String())
			if s == "" {
				continue // "[]" is illegal
			}
			if err != nil || !slices.Equal(again.Keys(), r.Keys()) {
				t.Fatalf("%q prints %q: %v, %v", s, r, again, err)
			}
		}
	})
}
