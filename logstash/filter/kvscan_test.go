package filter

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// pairsOf gives all pairs of a text, each as "key=value@end".
func pairsOf(t interface{ Fatal(...any) }, s *pairScanner, text string, byHand bool) []string {
	var m regex.Match
	c := s.scan(text, &m, 0)
	c.byHand = c.byHand && byHand
	var out []string
	for {
		p, ok, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		out = append(out, p.key+"\x01"+p.value)
		if len(out) > len(text) {
			t.Fatal("more pairs than bytes")
		}
	}
}

func TestPairsCutByHandAreThoseOfTheExpression(t *testing.T) {
	alphabet := []string{"a", "b", "=", "=", " ", " ", ",", ":", `"`, `"`, `\`, `\`, "'", "(", ")", "[", "]", "<", ">", "\n", "ü", "&", "\t"}
	var scanners []*pairScanner
	for _, o := range []splitting{
		{field: " ", value: "="},
		{field: ",", value: "="},
		{field: ", ", value: "=:"},
		{field: "&?;", value: "="},
		{field: `\n`, value: ":"},
		{field: `\s`, value: "="},
		{field: `"`, value: "="},
		{field: ",", value: `'`},
		{field: "=", value: "="},
		{field: "a-b", value: ":"},
		{field: " ", value: "= "},
	} {
		for i := range 4 {
			o.lenient, o.brackets = i&1 == 0, i&2 == 0
			s, err := newPairScanner(o)
			if err != nil {
				t.Fatal(err)
			}
			if !s.byHand && !(o.lenient && strings.Contains(o.value, " ")) {
				t.Errorf("%+v is not cut by hand", o)
			}
			if s.byHand {
				scanners = append(scanners, s)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 24).Draw(t, "text"), "")
		for _, s := range scanners {
			got, want := pairsOf(t, s, text, true), pairsOf(t, s, text, false)
			if strings.Join(got, "\x02") != strings.Join(want, "\x02") {
				t.Errorf("%s: %q: by hand %q, by the expression %q", s.expression, text, got, want)
			}
		}
	})
}

func TestClassesThatMayHaveMoreThanASCIIAreLeftToTheExpression(t *testing.T) {
	for _, class := range []string{"", "^a", "é", `\W`, `\x41`, `\u00e9`, "[a]", "a&&b", `\p{L}`, "b-a", `a\`, "a]"} {
		if _, ok := asciiClass(class); ok {
			t.Errorf("%q is taken for a plain class", class)
		}
	}
	set, ok := asciiClass(`a-c\]\-\t.`)
	if !ok {
		t.Fatal("not plain")
	}
	var got []byte
	for b, in := range set {
		if in {
			got = append(got, byte(b))
		}
	}
	if string(got) != "\t-.]abc" {
		t.Errorf("%q", got)
	}
}

func FuzzPairs(f *testing.F) {
	f.Add("a=1 b=\"x y\" c=(d e)", ' ', true)
	f.Add(`a\ b=c\=d "\\\\\\`, ',', false)
	f.Fuzz(func(t *testing.T, text string, split rune, lenient bool) {
		s, err := newPairScanner(splitting{field: string(split), value: "=", lenient: lenient, brackets: true, steps: 100_000})
		if err != nil {
			return
		}
		var m regex.Match
		c := s.scan(text, &m, 0)
		for n := 0; ; n++ {
			p, ok, err := c.next()
			if !ok || err != nil {
				return
			}
			if n > len(text) || !strings.Contains(text, p.key) || !strings.Contains(text, p.value) {
				t.Fatalf("%d: %+v of %q", n, p, text)
			}
		}
	})
}
