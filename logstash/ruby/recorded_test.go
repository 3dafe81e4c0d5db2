package ruby_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/logstash/ruby"
)

// recorded reads cases: code, a line with what JRuby 9.4 says of it ("=> " and inspect, or "!! " and the exception), a blank line.
func recorded(t *testing.T, name string) (cases [][2]string) {
	t.Helper()
	in, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(in), "\n\n") {
		lines := strings.Split(strings.TrimRight(block, "\n"), "\n")
		if len(lines) < 2 {
			continue
		}
		n := len(lines) - 1
		cases = append(cases, [2]string{strings.Join(lines[:n], "\n"), lines[n]})
	}
	return cases
}

func TestResultsAreThoseThatJRubyGives(t *testing.T) {
	defer func(old *time.Location) { time.Local = old }(time.Local)
	time.Local = time.UTC
	for _, c := range recorded(t, "jruby.txt") {
		got := result(c[0])
		if got != c[1] {
			t.Errorf("%s\n got %s\nwant %s", c[0], got, c[1])
		}
	}
}

func result(code string) string {
	p, err := ruby.Compile(code, ruby.Options{})
	if err != nil {
		return "refused: " + err.Error()
	}
	text, err := p.Inspect(ruby.Env{})
	if exc, ok := errors.AsType[*ruby.Exception](err); ok {
		first, _, _ := strings.Cut(exc.Message, "\n")
		return "!! " + exc.Class + ": " + first
	}
	return "=> " + text
}
