package grok

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/narudata/naru/logstash/pattern/regex"
)

func TestTheShippedSetsAreWhole(t *testing.T) {
	for name, want := range map[string]int{"legacy": 317, "ecs": 361} {
		set := map[string]*Set{"legacy": Legacy(), "ecs": ECS()}[name]
		if got := len(set.Names()); got != want {
			t.Errorf("%s has %d patterns, want %d", name, got, want)
		}
		longest := 0
		for _, n := range set.Names() {
			p, err := set.Compile("%{"+n+":x}", Options{NamedOnly: true})
			if err != nil {
				t.Errorf("%s: %s: %v", name, n, err)
				continue
			}
			longest = max(longest, len(p.Regexp.String()))
		}
		if longest > maxExpanded/4 {
			t.Errorf("%s: a pattern expands to %d bytes, near to the most of %d", name, longest, maxExpanded)
		}
	}
}

func TestReferencesAreReplaced(t *testing.T) {
	set := new(Set).Extend()
	set.Add("# a comment\n\nINT [0-9]+\n  # indented\n\tTWO   %{INT:a}-%{INT}  \nEMPTY\nCR x\r\nLAST")
	for _, c := range []struct {
		name, pattern, named, all string
	}{
		{"a plain expression stays", `^a{2}%b`, `^a{2}%b`, `^a{2}%b`},
		{"a reference without a field captures only if asked", "%{INT}", "(?:[0-9]+)", "(?<INT>[0-9]+)"},
		{"a field names the group", "%{INT:x}", "(?<INT:x>[0-9]+)", "(?<INT:x>[0-9]+)"},
		{"a cast is part of the name", "%{INT:[a][b]:int}", "(?<INT:[a][b]:int>[0-9]+)", "(?<INT:[a][b]:int>[0-9]+)"},
		{"patterns refer to others", "%{TWO}", "(?:(?<INT:a>[0-9]+)-(?:[0-9]+)  )", "(?<TWO>(?<INT:a>[0-9]+)-(?<INT>[0-9]+)  )"},
		{"what follows the name is ignored", "%{INT:x y!}", "(?<INT:x>[0-9]+)", "(?<INT:x>[0-9]+)"},
		{"a name without a pattern is empty", "a%{EMPTY:e}", "a(?<EMPTY:e>)", "a(?<EMPTY:e>)"},
		{"a carriage return ends a line", "%{CR}", "(?:x)", "(?<CR>x)"},
		{"a definition", "%{NEW:n=[a-z]{1,3}}%{NEW}", "(?<NEW:n>[a-z]{1,3})(?:[a-z]{1,3})", "(?<NEW:n>[a-z]{1,3})(?<NEW>[a-z]{1,3})"},
		{"a definition with a backslash goes to the last brace of the line", `%{D:n=\d+}, %{INT:m}.`, `(?<D:n>\d+}, %{INT:m).`, `(?<D:n>\d+}, %{INT:m).`},
		{"an unclosed brace is no reference", "%{INT", "%{INT", "%{INT"},
		{"a strange name is no reference", "%{-}%{%{INT}", "%{-}%{(?:[0-9]+)", "%{-}%{(?<INT>[0-9]+)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for namedOnly, want := range map[bool]string{true: c.named, false: c.all} {
				got, err := set.Expand(c.pattern, namedOnly)
				if err != nil || got != want {
					t.Errorf("Expand(%q, %v) = %q, %v; want %q", c.pattern, namedOnly, got, err, want)
				}
			}
		})
	}
	if _, ok := set.Get("LAST"); ok {
		t.Error("a last line of a name only defines it")
	}
}

func TestErrorsNameWhatWasMeant(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"%{IPORHOTS:x}", `grok pattern %{IPORHOTS:x} is not defined: did you mean "IPORHOST"?`},
		{"%{ZZZZZZZZZZZZZZZZZZZZZZZZZZZZ}", "grok pattern %{ZZZZZZZZZZZZZZZZZZZZZZZZZZZZ} is not defined"},
		{"(?<a>[a-z", `grok pattern "(?<a>[a-z": `},
		{"%{INT:a}[a-z", `grok pattern "%{INT:a}[a-z": `},
		{"%{LOOP:x=%{LOOP}}", "does one contain itself?"},
		{"%{LOOP:x=%{LOOP} and %{LOOP} and more of the same}", "does one contain itself?"},
	} {
		_, err := Legacy().Compile(c.pattern, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.pattern, err, c.want)
		}
	}
	if _, ok := Legacy().Get("LOOP"); ok {
		t.Error("a definition in a pattern has changed the set")
	}
}

func TestCapturesKeepTheOrderOfTheNames(t *testing.T) {
	p, err := Legacy().Compile(`%{INT:b:int} (?<a>x) %{INT:b:int} %{WORD:[c][d]:float} %{WORD:w:string}`, Options{NamedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []Capture{{"b", 1, Int}, {"b", 3, Text}, {"a", 2, Text}, {"[c][d]", 4, Float}, {"w", 5, Text}}
	if d := cmp.Diff(want, p.Captures); d != "" {
		t.Error(d)
	}
}

func TestAPatternThatIsInUseIsCompiledOnce(t *testing.T) {
	expression := "only in this test, " + t.Name()
	use := func() {
		first, err := Legacy().Compile(expression, Options{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := ECS().Compile(expression, Options{NamedOnly: true})
		if err != nil || again.Regexp != first.Regexp {
			t.Errorf("it was compiled again (%v)", err)
		}
		if other, err := Legacy().Compile(expression, Options{Steps: 5}); err != nil || other.Regexp == first.Regexp {
			t.Errorf("another budget is another expression (%v)", err)
		}
	}
	use()
	for range 100 {
		runtime.GC()
		compiled.mu.Lock()
		_, kept := compiled.known[cacheKey{expression, 0}]
		compiled.mu.Unlock()
		if !kept {
			return
		}
		time.Sleep(time.Millisecond) // cleanups run beside
	}
	t.Error("it is kept without use")
}

// slowReference is the expression of findReference, tried alternative by alternative.
func slowReference(s string) (reference, bool) {
	for begin := range len(s) {
		if !strings.HasPrefix(s[begin:], "%{") {
			continue
		}
		name := begin + 2
		for name < len(s) && isName(s[name]) {
			name++
		}
		for ; name > begin+2; name-- {
			ends := []int{name}
			if name < len(s) && s[name] == ':' {
				for f := name + 1; f < len(s) && isField(s[f]); f++ {
					ends = append([]int{f + 1}, ends...)
				}
			}
			for _, end := range ends {
				r := reference{begin: begin, group: s[begin+2 : end], name: s[begin+2 : name]}
				close := func(at int) bool {
					i := strings.IndexByte(s[at:], '}')
					r.end = at + i + 1
					return i >= 0
				}
				if end < len(s) && s[end] == '=' {
					dead := map[int]bool{}
					if slowDefinition(s, end+1, false, dead, func(at int) bool {
						r.definition, r.defined = s[end+1:at], true
						return close(at)
					}) {
						return r, true
					}
					r.definition, r.defined = "", false
				}
				if close(end) {
					return r, true
				}
			}
		}
	}
	return reference{}, false
}

func slowDefinition(s string, at int, some bool, dead map[int]bool, then func(int) bool) bool {
	if at >= len(s) {
		return some && then(at)
	}
	if dead[at] {
		return false
	}
	next := func(to int) bool { return slowDefinition(s, to, true, dead, then) }
	end := at
	for end < len(s) && !strings.ContainsRune(`{}\`, rune(s[end])) {
		end++
	}
	for ; end > at; end-- {
		if next(end) {
			return true
		}
	}
	if s[at] == '\\' {
		end = at + 1
		for end < len(s) && s[end] != '\n' {
			end++
		}
		for ; end > at+1; end-- {
			if next(end) {
				return true
			}
		}
	}
	if s[at] == '{' {
		if end := balanced(s, at); end > 0 && next(end) {
			return true
		}
	}
	if some && then(at) {
		return true
	}
	dead[at] = true
	return false
}

func TestReferencesAreFoundAsTheExpressionOfTheOriginalFindsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"%{", "%{A", "{", "}", `\`, "=", ":", "A", "b", "-", "!", "\n", `\d`}), 0, 14).Draw(t, "text"), "")
		got, ok := findReference(s)
		want, found := slowReference(s)
		if ok != found || got != want {
			t.Errorf("%q: %+v %v, want %+v %v", s, got, ok, want, found)
		}
	})
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"%{IP:client}", `%{A:b=\d{2}}`, "%{A:b=%{A}}", "%{A=x}%{A}", "(?<x>%{COMBINEDAPACHELOG})", "%{A:b={}{}}\n}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		out, err := Legacy().Expand(pattern, true)
		if err != nil {
			return
		}
		if len(out) > maxExpanded+len(pattern) {
			t.Errorf("%d bytes from %d", len(out), len(pattern))
		}
		if _, ok := findReference(out); ok {
			t.Errorf("%q: a reference is left in %q", pattern, out)
		}
	})
}

func BenchmarkCompileCombinedApacheLog(b *testing.B) {
	set := Legacy()
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		if _, err := set.Compile("%{COMBINEDAPACHELOG}", Options{NamedOnly: true, Steps: n}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileWhatIsInUse(b *testing.B) {
	set := Legacy()
	p, err := set.Compile("%{COMBINEDAPACHELOG}", Options{NamedOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.Compile("%{COMBINEDAPACHELOG}", Options{NamedOnly: true}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.KeepAlive(p)
}

func BenchmarkCombinedApacheLog(b *testing.B) {
	p, err := Legacy().Compile("%{COMBINEDAPACHELOG}", Options{NamedOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	line := []byte(`203.0.113.77 - frank [12/May/2024:10:11:12 +0000] "GET /api/v1/items?id=48213&full=true HTTP/1.1" 200 51234 "https://www.example.com/start/page.html" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"`)
	var m regex.Match
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.Regexp.Match(line, 0, &m); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
