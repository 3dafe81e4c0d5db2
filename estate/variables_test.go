package estate_test

import (
	"testing"

	"github.com/narudata/naru/estate"
)

func TestOnlyVariablesThatAreDeclaredAreReplacedInOthersTexts(t *testing.T) {
	vars := map[string]any{"topic": "logs", "list": []any{"a"}, "flag": true}
	for s, want := range map[string]any{
		"${topic}": "logs", "${TOPIC}": "${TOPIC}", "a ${topic} ${TOPIC} $${topic} $${TOPIC} ${TOPIC:x} ${topic:x}": "a logs ${TOPIC} ${topic} $${TOPIC} ${TOPIC:x} ${topic:x}",
		"x-${flag}": "x-true", "$${topic}": "${topic}", "$${X}": "$${X}", "$": "$", "${": "${", "\x00${topic}": "\x00logs", "$$$${topic}": "$$$${topic}"[:2] + "${topic}",
	} {
		got, err := estate.InKnown(vars, s)
		if err != nil || got != want {
			t.Errorf("%q: %v, not %v (%v)", s, got, want, err)
		}
	}
	if _, err := estate.InKnown(vars, "x ${list}"); err == nil {
		t.Error("a list is a part of a text")
	}
}

func FuzzEscapedTextsStandForThemselves(f *testing.F) {
	for _, s := range []string{"${a}", "$${a}", "$$${a}", "${ENV:x}", "$$$$${a}${b}", "${a${b}}", "{}$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := estate.In(map[string]any{"a": "x", "b": 1}, estate.Escaped(s))
		if err != nil || got != s {
			t.Errorf("%q became %v (%v)", s, got, err)
		}
		if got, err := estate.InKnown(nil, s); err != nil || got != s {
			t.Errorf("nothing is declared, and %q became %v (%v)", s, got, err)
		}
	})
}
