package regex

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func options(letters string) (o Options) {
	o.Multiline = strings.Contains(letters, "m")
	o.IgnoreCase = strings.Contains(letters, "i")
	o.Extended = strings.Contains(letters, "x")
	return o
}

// places describes the first match as testdata/joni.txt does.
func places(re *Regexp, in string, m *Match) string {
	ok, err := re.Match([]byte(in), 0, m)
	switch {
	case err != nil:
		return err.Error()
	case !ok:
		return "-"
	}
	var b strings.Builder
	for g := range re.NumGroups() + 1 {
		begin, end, _ := m.Group(g)
		if g > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d,%d", begin, end)
	}
	return b.String()
}

type recorded struct {
	options, pattern, text, want string
	line                         int
}

func recordedCases(t testing.TB, file string) (out []recorded) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			t.Fatalf("%s:%d: %d fields", file, n, len(f))
		}
		pattern, err := strconv.Unquote(f[1])
		if err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		subject, err := strconv.Unquote(f[2])
		if err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		out = append(out, recorded{f[0], pattern, subject, f[3], n})
	}
	return out
}

func TestRecordedMatchesOfTheOriginalAreFound(t *testing.T) {
	var m Match // one for all, as callers have it
	cases := append(recordedCases(t, "testdata/joni.txt"), recordedCases(t, "testdata/grok.txt")...)
	if len(cases) < 500 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		got := "error"
		if re, err := Compile(c.pattern, options(c.options)); err == nil {
			got = places(re, c.text, &m)
		}
		if got != c.want {
			t.Errorf("line %d: [%s] %q on %q: %s, want %s", c.line, c.options, c.pattern, c.text, got, c.want)
		}
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	for _, c := range []struct {
		pattern string
		offset  int
		word    string
	}{
		{`ab(c`, 2, "parenthesis"},
		{`a)`, 1, "unmatched )"},
		{`é[b-a]`, 5, "empty range"},
		{`(?<=a+)b`, 0, "look-behind"},
		{`x(?~abc)`, 1, "absent"},
		{`(?<x>a\g<x>?)`, 6, "recursion"},
		{`a\X`, 1, `\X`},
		{`(?<n>a)\k<n+1>`, 7, "level"},
		{`\p{Nothing}`, 0, "Nothing"},
		{`(?<n>a)\k<m>`, 7, "<m>"},
		{`a{2,1}`, 1, "smaller"},
		{strings.Repeat("(", 1000) + strings.Repeat(")", 1000), 250, "nested"},
		{`(?:(?:(?:(?:a{1,9}b){1,99999}){1,99999}){1,999}){2}(`, 51, "parenthesis"},
	} {
		_, err := Compile(c.pattern, Options{})
		se, ok := errors.AsType[*SyntaxError](err)
		if !ok || se.Offset != c.offset || !strings.Contains(se.Reason, c.word) {
			t.Errorf("%.40q: %v, want offset %d and %q", c.pattern, err, c.offset, c.word)
		}
	}
}

func TestNamedGroupsAreListedWithTheirNumbers(t *testing.T) {
	re := compiled(t, `(?<b>x)(y)(?<a>z)(?<b>w)`, "")
	want := []Name{{"b", []int{1, 3}}, {"a", []int{2}}}
	if d := cmp.Diff(want, re.Names()); d != "" || re.NumGroups() != 3 {
		t.Errorf("%d groups, names %s", re.NumGroups(), d)
	}
}

func compiled(t testing.TB, pattern, letters string) *Regexp {
	t.Helper()
	re, err := Compile(pattern, options(letters))
	if err != nil {
		t.Fatal(err)
	}
	return re
}

func TestAllFindsWhatScanFinds(t *testing.T) {
	for _, c := range []struct {
		pattern, in string
		want        []string
	}{
		{`a+`, "aab aé a", []string{"0,2", "4,5", "8,9"}},
		{`a*`, "baé", []string{"0,0", "1,2", "2,2", "4,4"}},
		{`^`, "a\nb\n", []string{"0,0", "2,2"}},
		{`\Ga`, "aab", []string{"0,1", "1,2"}},
		{`(?<=a)b`, "abb", []string{"1,2"}},
		{``, "中", []string{"0,0", "3,3"}},
	} {
		var got []string
		var m Match
		for m, err := range compiled(t, c.pattern, "").All([]byte(c.in), &m) {
			if err != nil {
				t.Fatal(err)
			}
			begin, end, _ := m.Group(0)
			got = append(got, fmt.Sprintf("%d,%d", begin, end))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q on %q: %v, want %v", c.pattern, c.in, got, c.want)
		}
	}
}

func TestAByteThatIsNotUTF8IsACharacterOfItsOwn(t *testing.T) {
	for _, c := range []struct{ pattern, in, want string }{
		{`^.$`, "\xff", "0,1"},
		{`^..$`, "\xe9\xa9", "0,2"},
		{`[^a]+`, "a\xffb\xc3", "1,4"},
		{`\S+x`, "\xe4\xb8x", "0,3"},
		{`\p{L}|b`, "\xc3b", "1,2"},
		{`(?<=.)b`, "\xf0\x9fb", "2,3"},
	} {
		var m Match
		if got := places(compiled(t, c.pattern, ""), c.in, &m); got != c.want {
			t.Errorf("%q on %q: %s, want %s", c.pattern, c.in, got, c.want)
		}
	}
}

func TestAPatternThatExplodesEndsByItsBudget(t *testing.T) {
	in := []byte(strings.Repeat("a", 64) + "!")
	for _, pattern := range []string{`^(a+)+$`, `^(?:a|aa)+$`, `(x?a)*?(a*)*[bc]`, `(a*)*\1\z`} {
		re, err := Compile(pattern, Options{Steps: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		var m Match
		start := time.Now()
		if ok, err := re.Match(in, 0, &m); ok || !errors.Is(err, ErrBudget) {
			t.Errorf("%s: %v, %v", pattern, ok, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s took %v", pattern, d)
		}
	}
}

func TestAMatchAllocatesNothing(t *testing.T) {
	re := compiled(t, `^(?<a>\S+) (?:(?<b>\d+)|-) "(?<c>(?:\\.|[^"\\])*)"$`, "m")
	in := []byte(`host 12345 "say \"hi\" to é"`)
	var m Match
	n := testing.AllocsPerRun(100, func() {
		if ok, err := re.Match(in, 0, &m); !ok || err != nil {
			t.Fatal(ok, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAFirstTryThatIsGivenUpLeavesNothingBehind(t *testing.T) {
	// At the b it takes more than firstTry steps, and is given up with the group set.
	re := compiled(t, `(?:(b)|c)?(?:a|aa)*? zz`, "")
	var m Match
	in := "b" + strings.Repeat("a", 20) + "x" + strings.Repeat("a", 3) + " zz"
	if got := places(re, in, &m); got != "22,28 -1,-1" {
		t.Errorf("%q: %s", in, got)
	}
}

func TestNoPatternTakesLongToCompile(t *testing.T) {
	var words []string
	for i := range 3000 {
		words = append(words, fmt.Sprintf("[a-z]%d", i*7919%3000))
	}
	for _, pattern := range []string{
		`((((a{0,9}){0,9}){0,9}){0,9}b){0,9}`,
		`(?:(?:(?:(?:a{1,9}b){1,99999}){1,99999}){1,999}){2}`,
		`(((((((a*b*)*c*)*d*)*e*)*f*)*g*)*h*)*`,
		strings.Repeat("(?:a?|", 200) + strings.Repeat(")+", 200),
		"a" + strings.Repeat("{2}", 100),
		strings.Repeat("(", 200) + "a" + strings.Repeat("?){3}", 200),
		strings.Join(words, "|"),
	} {
		start := time.Now()
		re, err := Compile(pattern, Options{})
		if err == nil {
			err = re.ready()
		}
		if err != nil {
			t.Errorf("%.40q: %v", pattern, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.40q takes %v", pattern, d)
		}
	}
	if _, err := Compile("a"+strings.Repeat("{2}", 101), Options{}); err == nil {
		t.Error("a hundred and one quantifiers in a row are taken")
	}
}

func TestALongTextIsBoundedByTheBudgetToo(t *testing.T) {
	long := []byte(strings.Repeat("a", 1<<20))
	for _, pattern := range []string{`\S+[0-9]`, `[^"]*["x]["y]`, `a*?[0-9]`, `(?:a|b)*[0-9]`} {
		re, err := Compile(pattern, Options{Steps: 1_000_000})
		if err != nil {
			t.Fatal(err)
		}
		var m Match
		start := time.Now()
		if ok, err := re.Match(long, 0, &m); ok || !errors.Is(err, ErrBudget) {
			t.Errorf("%s: %v, %v", pattern, ok, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v", pattern, d)
		}
	}
}

func TestOnePatternIsUsedByManyGoroutines(t *testing.T) {
	re := compiled(t, `(?<a>a+)(?:b|(?<c>c))`, "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var m Match
			for range 100 {
				if got := places(re, "xaac", &m); got != "1,4 1,3 3,4" {
					t.Error(got)
				}
			}
		})
	}
	wg.Wait()
}
