package flow

import (
	"slices"
	"testing"
)

func TestPatternsChooseNamesInOrder(t *testing.T) {
	names := []string{"logs-1", "logs-2", ".kibana", "shop"}
	for _, c := range []struct {
		patterns Patterns
		want     []string
	}{
		{nil, names},
		{Patterns{"logs-*"}, []string{"logs-1", "logs-2"}},
		{Patterns{"logs-*", "-logs-2"}, []string{"logs-1"}},
		{Patterns{"!.*"}, []string{"logs-1", "logs-2", "shop"}},
		{Patterns{"-.*", "-shop"}, []string{"logs-1", "logs-2"}},
		{Patterns{"*", "-*", "shop"}, []string{"shop"}},
		{Patterns{"logs-[2-9]", "nothing"}, []string{"logs-2"}},
	} {
		var got []string
		for _, n := range names {
			if c.patterns.Match(n) {
				got = append(got, n)
			}
		}
		if err := c.patterns.Validate(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.patterns, got, err, c.want)
		}
	}
}

func TestAMalformedPatternIsAnError(t *testing.T) {
	for _, p := range []string{"", "-", "!", "logs-[1"} {
		if err := (Patterns{p}).Validate(); err == nil {
			t.Errorf("%q: no error", p)
		}
	}
}
