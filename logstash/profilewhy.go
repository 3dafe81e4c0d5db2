package logstash

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Finding names what is expensive, and why.
type Finding struct {
	At      string   `json:"at"`
	What    string   `json:"what"` // the pattern, the condition or the plugin
	Share   float64  `json:"share"`
	Reasons []string `json:"reasons"`
}

const (
	// dear is the share of all time from which on a pattern is expensive; a step is from twice of it.
	dear = 0.1
	// seldom is the share of matches below which a pattern is tried in vain.
	seldom = 0.05
	// back is how many steps for each byte of a text are more than a pattern needs that knows where its parts end.
	back = 1.5
)

// find names the expensive patterns and steps.
func (p *Profile) find() {
	for i := range p.Patterns {
		x := &p.Patterns[i]
		if x.GaveUp == 0 && x.Share < dear {
			continue
		}
		p.Findings = append(p.Findings, Finding{x.At, fmt.Sprintf("[%s] %s", strings.Trim(x.Field, "[]"), x.Pattern), x.Share, x.reasons()})
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Share < 2*dear || p.patternsOf(s.At) > s.Time*6/10 {
			continue // or its patterns are named
		}
		what := s.Plugin
		if s.Condition != "" {
			what = s.Kind + " " + s.Condition
		}
		why := fmt.Sprintf("it runs for %s, and takes %d ns each time", quantity(s.Events, "event"), s.Each.Nanoseconds())
		if tried := p.patternsOf(s.At); tried > 0 {
			why += fmt.Sprintf(": %.0f %% for its patterns, the rest for the fields that it sets", 100*share(tried, s.Time))
		}
		p.Findings = append(p.Findings, Finding{s.At, what, s.Share, []string{why}})
	}
	slices.SortStableFunc(p.Findings, func(a, b Finding) int { return cmp.Compare(b.Share, a.Share) })
}

// patternsOf is what the patterns of a filter take.
func (p *Profile) patternsOf(at string) time.Duration {
	var all time.Duration
	for i := range p.Patterns {
		if p.Patterns[i].At == at {
			all += p.Patterns[i].Time
		}
	}
	return all
}

func quantity(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// reasons says why a pattern is expensive.
func (x *ProfiledPattern) reasons() []string {
	var out []string
	if x.GaveUp > 0 {
		out = append(out, fmt.Sprintf("catastrophic: %d of %d tries ran out of steps; %s", x.GaveUp, x.Tried, splitAdvice(x.Pattern)))
	}
	failed := x.Tried - x.Matched - x.Skipped - x.GaveUp
	late := failed > 0 && x.StepsFail > max(2, x.Bytes/10)
	if late && !anchored(x.Pattern) {
		out = append(out, fmt.Sprintf("it is not anchored and fails late: %d of %d tries fail, after %.0f steps on %.0f bytes, as a match may begin at any place; begin it with ^ if it does at the start of the line",
			failed, x.Tried, x.StepsFail, x.Bytes))
	} else if late && x.StepsFail > back*x.Bytes {
		out = append(out, fmt.Sprintf("it fails late: %d of %d tries fail, after going back %.0f times on %.0f bytes; %s",
			failed, x.Tried, x.StepsFail, x.Bytes, splitAdvice(x.Pattern)))
	}
	if x.Matched > 0 && x.StepsMatch > back*x.Bytes {
		out = append(out, fmt.Sprintf("it goes back a lot: %.0f times on %.0f bytes to match; %s", x.StepsMatch, x.Bytes, splitAdvice(x.Pattern)))
	}
	if failed > 0 && float64(x.Matched) < seldom*float64(x.Tried) {
		out = append(out, fmt.Sprintf("it matches %d of %d texts: put it behind patterns that match more often, or ask for a word of it before, with if",
			x.Matched, x.Tried))
	}
	if len(out) == 0 {
		out = append(out, fmt.Sprintf("nothing is wrong with it: it takes %d ns for a match, on %.0f bytes", x.EachMatch.Nanoseconds(), x.Bytes))
	}
	return out
}

var (
	anchor = regexp.MustCompile(`^(?:\(\?[a-z<>:=]*|\()*(?:\^|\\A|\\G)`)
	// nested is a repetition of what ends in a repetition.
	nested = regexp.MustCompile(`[+*]\)(?:[+*]|\{\d)`)
	// anything is a part of a pattern that takes everything.
	anything = regexp.MustCompile(`%\{(?:GREEDYDATA|DATA|GREEDYMULTILINE)\b|\.[*+]`)
)

// anchored reports that a pattern can only match at the start of a line.
func anchored(pattern string) bool { return anchor.MatchString(strings.TrimSpace(pattern)) }

// splitAdvice says what makes a text fit a pattern in many ways.
func splitAdvice(pattern string) string {
	if found := nested.FindString(pattern); found != "" {
		return "a repetition inside of a repetition, as …" + found + ", can share a text out in many ways: leave one of them away, or make the inner one atomic, (?>…)"
	}
	if n := len(anything.FindAllString(pattern, -1)); n > 1 {
		return fmt.Sprintf("it has %d parts that take anything (.*, DATA, GREEDYDATA), which share a text out in many ways: say what they may consist of, as [^\"]* or %%{NOTSPACE}", n)
	}
	return "its parts can share a text out in many ways: say what they may consist of, as [^\"]* or %{NOTSPACE}, or use dissect"
}
