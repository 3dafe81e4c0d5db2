package syntax

import (
	"errors"
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

func lookup(name string) (string, bool) {
	v, ok := map[string]string{"A": "1", "A.B": "dotted", "EMPTY": "", "_x": "${A}"}[name]
	return v, ok
}

func TestVariablesAreReplaced(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain $A ${": "plain $A ${", "${A}": "1", "<${A}/${A.B}>": "<1/dotted>", "${NONE:x y}": "x y", "${NONE:}": "",
		"${EMPTY:x}": "", "${1X}": "${1X}", "$ {A}": "$ {A}", "${A B}": "${A B}", "${_x}": "${A}", "${NONE:${A}}": "${A}",
		"${-${A}": "${-1", "$${A}}": "$1}", "${NONE:a:b\n}": "a:b\n", "${}": "${}", "${:x}": "${:x}", "${A${A.B}": "${Adotted",
	} {
		if got, err := Expand(in, lookup); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestAVariableWithoutAValueIsNamed(t *testing.T) {
	_, err := Expand("a ${A} ${NARU_NONE}", lookup)
	undefined, ok := errors.AsType[*UndefinedError](err)
	if !ok || undefined.Name != "NARU_NONE" || undefined.Reference != "${NARU_NONE}" {
		t.Errorf("%v", err)
	}
}

func TestVariablesAreFoundAsByTheExpressionOfLogstash(t *testing.T) {
	re := regexp.MustCompile(`\${([a-zA-Z_.][a-zA-Z0-9_.]*)(:([^}]*))?}`)
	known := func(name string) (string, bool) { return "<" + name + ">", true }
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("${}:aA.1_- é"))).Draw(t, "text")
		want := re.ReplaceAllString(s, "<$1>")
		if got, err := Expand(s, known); got != want || err != nil {
			t.Fatalf("%q: %q, %v; want %q", s, got, err, want)
		}
	})
}
