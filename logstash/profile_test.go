package logstash

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/logstash/syntax"
)

func isolated(t *testing.T, config string) *Isolated {
	t.Helper()
	p, problems := ReadIsolated([]syntax.File{{Name: "a.conf", Text: []byte(config)}}, syntax.Options{}, Options{ECS: "disabled"})
	if p == nil {
		t.Fatal(problems.Err())
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func profileOf(t *testing.T, config string, rare int, lines func(i int) string) *Profile {
	t.Helper()
	unspoiled(t)
	x, err := isolated(t, config).Profiler("", rare)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if err := x.Line([]byte(lines(i))); err != nil {
			t.Fatal(err)
		}
	}
	return x.Profile()
}

func TestAProfileCountsEveryEventAndMeasuresSome(t *testing.T) {
	p := profileOf(t, `filter {
		split { }
		if [message] == "a" { mutate { add_tag => ["x"] } } else { drop { } }
	}`, 10, func(int) string { return "a\nb" })
	if p.Events != 2000 || p.Measured < 250 || p.Measured > 800 {
		t.Errorf("%d events, %d measured", p.Events, p.Measured)
	}
	want := []int64{2000, 4000, 2000, 2000} // split; and the condition, for each of its events
	for i, s := range p.Steps {
		if s.Events != want[i] {
			t.Errorf("%s %s: %d events, want %d", s.Condition, s.Plugin, s.Events, want[i])
		}
	}
	if p.Steps[1].Held != 2000 {
		t.Errorf("the condition held %d times, want 2000", p.Steps[1].Held)
	}
	total := p.Decoding
	for _, s := range p.Steps {
		total += s.Time
	}
	if total != p.Time || p.Time <= 0 {
		t.Errorf("the steps add up to %v, not to %v", total, p.Time)
	}
}

func TestExpensivePatternsAreNamedWithTheReason(t *testing.T) {
	for name, c := range map[string]struct{ pattern, line, reason string }{
		"nested repetitions": {`^(a+)+$`, strings.Repeat("a", 40) + "b", "catastrophic: "},
		"no anchor":          {`%{WORD:a} %{NUMBER:b}$`, strings.Repeat("word ", 100), "not anchored and fails late"},
		"many unknown parts": {`^%{DATA:a}x%{DATA:b}x%{DATA:c}y$`, strings.Repeat("x", 60), "3 parts that take anything"},
		"in vain":            {`^%{WORD:a} %{NUMBER:b}$`, "word word", "matches 0 of "},
		"nothing wrong":      {`%{COMBINEDAPACHELOG}`, `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 20 "-" "x"`, "nothing is wrong with it"},
	} {
		t.Run(name, func(t *testing.T) {
			p := profileOf(t, fmt.Sprintf("filter { grok { match => { message => '%s' } timeout_millis => 0.1 } }", c.pattern), 10,
				func(int) string { return c.line })
			for _, f := range p.Findings {
				if strings.Contains(f.What, c.pattern) && strings.Contains(strings.Join(f.Reasons, "\n"), c.reason) {
					return
				}
			}
			t.Errorf("no finding says %q: %+v\n%+v", c.reason, p.Findings, p.Patterns)
		})
	}
}

func TestAFewSamplesOfAProcessThatDidNotRunAreLeftOut(t *testing.T) {
	var s samples
	for range 1000 {
		s.add(200 * time.Nanosecond)
	}
	s.add(10 * time.Millisecond)
	if got := s.mean(); got != 200 {
		t.Errorf("the mean is %v ns, want 200", got)
	}
	for range 20 { // often enough to be the filter's own
		s.add(10 * time.Millisecond)
	}
	if got := s.mean(); got < 100_000 {
		t.Errorf("the mean is %v ns: what happens often counts", got)
	}
}

func TestAnchorsAreSeen(t *testing.T) {
	for pattern, want := range map[string]bool{
		`^%{IP}`: true, `\A%{IP}`: true, `(?:^a|b)`: true, `(?<x>^a)`: true, `(?m)^a`: false, `%{IP}$`: false, `[^a]`: false, ` ^a`: true,
	} {
		if got := anchored(pattern); got != want {
			t.Errorf("anchored(%s) is %t", pattern, got)
		}
	}
}
