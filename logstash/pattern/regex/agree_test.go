package regex

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// script makes a pattern and a text of choices, so that a fuzzer that changes bytes changes them. It keeps to what
// regexp2 and Ruby agree on: texts in ASCII that do not end in a newline, no back-reference into its own group, no
// unlimited repetition of what can be empty, no \Z, no {,n} and {n}+, possessive quantifiers as atomic groups.
type script struct {
	choices []byte
	groups  int
}

func (s *script) below(n int) int {
	if len(s.choices) == 0 {
		return 0
	}
	c := s.choices[0]
	s.choices = s.choices[1:]
	return int(c) % n
}

func (s *script) of(options ...string) string { return options[s.below(len(options))] }

// alternatives gives a pattern and whether it can be empty.
func (s *script) alternatives(depth int) (string, bool) {
	var out []string
	empty := false
	for range 1 + s.below(3) {
		seq, e := "", true
		for range 1 + s.below(3) {
			item, ie := s.item(depth)
			seq += item
			e = e && ie
		}
		out = append(out, seq)
		empty = empty || e
	}
	return strings.Join(out, "|"), empty
}

func (s *script) item(depth int) (string, bool) {
	atom, empty := s.atom(depth)
	switch s.below(8) {
	case 0:
		if !empty {
			return s.of(atom+"*", atom+"*?", "(?>"+atom+"*)"), true
		}
	case 1:
		if !empty {
			return s.of(atom+"+", atom+"+?", "(?>"+atom+"+)"), false
		}
	case 2:
		return s.of(atom+"?", atom+"??", "(?>"+atom+"?)"), true
	case 3:
		return s.of(atom+"{2}", atom+"{1,2}", atom+"{1,3}?"), empty
	}
	return atom, empty
}

func (s *script) atom(depth int) (string, bool) {
	kinds := 6
	if depth > 0 {
		kinds = 13
	}
	switch s.below(kinds) {
	case 0, 1:
		return s.of("a", "b", "c", "ab", "-", "1", `\.`, " "), false
	case 2:
		return s.of(`\w`, `\d`, `\s`, `\S`, `\W`, `\D`, "."), false
	case 3:
		return s.of("[ab]", "[^a]", `[\w-]`, `[^\d ]`, "[a-c1]", `[^\-a]`), false
	case 4:
		return s.of("a", "[a-z]"), false
	case 5:
		return "(?:" + s.of("^", "$", `\b`, `\B`, `\A`, `\z`, `\G`) + ")", true
	case 6, 7:
		in, empty := s.alternatives(depth - 1)
		return "(?:" + in + ")", empty
	case 8:
		before := s.groups
		in, empty := s.alternatives(depth - 1)
		if s.groups > before { // groups are numbered from the outside in
			return "(?:" + in + ")", empty
		}
		s.groups++
		return "(" + in + ")", empty
	case 9:
		in, empty := s.alternatives(depth - 1)
		return "(?>" + in + ")", empty
	case 10:
		in, _ := s.alternatives(depth - 1)
		return "(?:" + s.of("(?=", "(?!") + in + "))", true
	case 11:
		return "(?:" + s.of("(?<=", "(?<!") + s.of("a", "ab", "[ab]", "a|b", ".", `\d\w`) + "))", true
	}
	if s.groups > 0 {
		return `\` + fmt.Sprint(1+s.below(s.groups)), true
	}
	return "b", false
}

func (s *script) text() string {
	var b strings.Builder
	for range s.below(12) {
		b.WriteString(s.of("a", "b", "c", "ab", "1", "-", " ", ".", "\n", "A", "aa"))
	}
	return strings.TrimRight(b.String(), "\n")
}

// agree compares the two engines; compared is false where one of them gave up.
func agree(t *testing.T, choices []byte) (compared, found bool) {
	s := &script{choices: choices}
	o := Options{Multiline: s.below(2) == 1, IgnoreCase: s.below(4) == 1, Steps: 20_000}
	text := s.text()
	pattern, _ := s.alternatives(3)
	flags := regexp2.Multiline
	if o.Multiline {
		flags |= regexp2.Singleline
	}
	if o.IgnoreCase {
		flags |= regexp2.IgnoreCase
	}
	other, err := regexp2.Compile(pattern, flags)
	if err != nil {
		t.Fatalf("regexp2 refuses %q: %v", pattern, err)
	}
	other.MatchTimeout = time.Second
	re, err := Compile(pattern, o)
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	want := "-"
	m, err := other.FindStringMatch(text)
	if err != nil {
		return false, false // it ran out of time
	}
	if m != nil {
		var b strings.Builder
		for i, g := range m.Groups() {
			if i > 0 {
				b.WriteByte(' ')
			}
			if len(g.Captures) == 0 {
				b.WriteString("-1,-1")
			} else {
				fmt.Fprintf(&b, "%d,%d", g.RuneIndex, g.RuneIndex+g.RuneLength)
			}
		}
		want = b.String()
	}
	var mine Match
	got := places(re, text, &mine)
	if got == ErrBudget.Error() {
		return false, false
	}
	if got != want {
		t.Errorf("%q (m %t, i %t) on %q: %s, regexp2 finds %s", pattern, o.Multiline, o.IgnoreCase, text, got, want)
	}
	return true, m != nil
}

func TestMatchesAreThoseOfRegexp2(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	compared, found := 0, 0
	for range 5000 {
		choices := make([]byte, 20+r.IntN(60))
		for i := range choices {
			choices[i] = byte(r.Uint32())
		}
		c, f := agree(t, choices)
		if c {
			compared++
		}
		if f {
			found++
		}
	}
	if compared < 4500 || found < 1000 {
		t.Errorf("of 5000 pairs %d were compared, %d matched", compared, found)
	}
}

func FuzzMatchesAreThoseOfRegexp2(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add([]byte{1, 0, 5, 3, 2, 1, 0, 9, 8, 12, 4, 200, 31, 8, 77, 10, 6, 11})
	f.Fuzz(func(t *testing.T, choices []byte) { agree(t, choices) })
}

// FuzzCompile holds that no pattern and no text does harm, and that a match is within the text.
func FuzzCompile(f *testing.F) {
	for _, c := range recordedCases(f, "testdata/joni.txt")[:200] {
		f.Add(c.pattern, []byte(c.text), c.options)
	}
	f.Fuzz(func(t *testing.T, pattern string, text []byte, letters string) {
		o := options(letters)
		o.Steps = 2000
		re, err := Compile(pattern, o)
		if err != nil {
			return
		}
		var m Match
		last := 0
		for m, err := range re.All(text, &m) {
			if err != nil {
				return
			}
			for g := range re.NumGroups() + 1 {
				begin, end, ok := m.Group(g)
				if ok && (begin < 0 || end > len(text) || g == 0 && (begin > end || end < last)) {
					t.Fatalf("%q on %q: group %d is at %d,%d", pattern, text, g, begin, end)
				}
				if g == 0 {
					last = end
				}
			}
		}
	})
}
