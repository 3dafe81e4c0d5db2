package regex

import (
	"slices"
	"testing"
)

// has tells whether a program has an instruction.
func (p *program) has(ops ...op) bool {
	return slices.ContainsFunc(p.code, func(i instruction) bool { return slices.Contains(ops, i.op) })
}

func TestPlacesThatAlwaysHoldAreNoInstructions(t *testing.T) {
	for pattern, always := range map[string]bool{
		`a \bb`:                true,
		`a\b b`:                true,
		`\d+\b\.`:              true,
		`\w+\b "`:              true,
		`/\b\w`:                true,
		`/\b(?:[Jj]an|[Ff]eb)`: true,
		`a\Bb`:                 true,
		` \B-`:                 true,
		`\ba`:                  false, // anything may stand before
		`(?:a|-)\bb`:           false,
		`a*\bb`:                false,
		`(?:a-)*\bb`:           false,
		`-(?:a-)*\bb`:          true,
		`é\bb`:                 false, // it is no edge
		`\S\bb`:                false,
		`-\b.`:                 false,
		` (?<![0-9.])\d`:       true,
		`[0-9:](?<![0-9])\d`:   false,
		`\S(?<!\\)"`:           false,
		`é(?<![a-z])x`:         true,
		`é(?<![à-ü])x`:         false,
		`a(?<=[a-z])x`:         true,
		`(?:a|1)(?<=[a-z])x`:   false,
		`a*(?<=a)x`:            false,
		`\d(?![0-9]) `:         true,
		`\d(?!<[0-9])[0-9]`:    true,
		`\d(?![0-9])`:          false,
		`\d(?![0-9])[0-9a]`:    false,
		`\d(?!$)a`:             false,
		`(?>\d(?![0-9])) `:     false, // an atomic group does not know what follows
	} {
		re, err := Compile(pattern, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := re.ready(); err != nil {
			t.Fatal(err)
		}
		if re.prog.has(opWordEdge, opNoWordEdge, opBehindIs, opAheadIs, opNotStart) == always {
			t.Errorf("%s: it always holds: %t", pattern, always)
		}
	}
}

func TestGroupsThatOtherWaysLeaveOutAreUnset(t *testing.T) {
	for _, c := range []struct {
		pattern, text, want string
		unset               bool
	}{
		{`(?:(a)b|a(c))`, "ac", "0,2 -1,-1 1,2", true},
		{`(?:(a)?ab|(a+))c`, "aac", "0,3 -1,-1 0,2", true},
		{`x*(?:(a)|a)??ab`, "xxab", "0,4 -1,-1", true},
		{`(?:x(?:(a)|b)|xa(c))$`, "xac", "0,3 -1,-1 2,3", true},
		{`(?:(a)|b)+`, "ab", "0,2 0,1", false},   // a group in a loop keeps its last place
		{`(?:(a)|b){2}`, "ab", "0,2 0,1", false}, // as in the original
		{`(?=(a)|b)a`, "a", "0,1 0,1", false},
		{`(?:(a)|b)\1?`, "aa", "0,2 0,1", false},
	} {
		re, err := Compile(c.pattern, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var m Match
		if got := places(re, c.text, &m); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.pattern, c.text, got, c.want)
		}
		if re.prog.has(opUnset) != c.unset || re.prog.has(opMarkUndo) == c.unset {
			t.Errorf("%s: groups are unset by other ways: %t", c.pattern, !c.unset)
		}
	}
}
