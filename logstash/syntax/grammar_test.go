package syntax

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pieces is what texts are edited with: the terminals of the grammar, and what people write instead.
var pieces = []string{
	"{", "}", "[", "]", "(", ")", "=>", "->", "=", "==", "!=", "<=", ">=", "<", ">", "=~", "!~", "!", ",", ".", "-", ":", "&&",
	"\"", "'", "/", "\\", "\\\"", "\\'", "#", "# c\n", "#\r", "\r", "\r\n", "\n", " ", "\t",
	"in", "not in", "not ", "and", "or", "xor", "nand", "if", "else", "else if", "elseif", "input", "filter", "output",
	"a", "ab", "a-b", "_", "1", "-1", "1.", "2.5", "true", "\"x\"", "'y'", "\"it's\"", "/re/", "[a]", "[a][b]", "[\"x\"]", "[1,2]",
	"{ }", "{ aa => 1 }", "mutate", "mutate { }", "x1(\"a\")", "if [a] {", "} else {", "} else if \"x\" in [t] {", "é", "\x00",
}

// agrees holds the parser against the grammar.
func agrees(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, src string) {
	t.Helper()
	ok, far := pegParse(src)
	_, err := Parse("f", []byte(src))
	syntax := firstOfSyntax(err)
	switch {
	case ok && syntax != nil:
		t.Fatalf("refuses %q: %v", src, syntax)
	case !ok && syntax == nil:
		t.Fatalf("accepts %q (%v); the grammar stops at %d", src, err, far)
	case !ok && syntax.Pos.Offset != far:
		t.Fatalf("%q: the error is at %d, not at %d: %v", src, syntax.Pos.Offset, far, syntax)
	}
}

func firstOfSyntax(err error) *Error {
	errs, _ := errors.AsType[Errors](err)
	for _, e := range errs {
		if e.Expected != nil {
			return &e
		}
	}
	return nil
}

func TestEditedConfigurationsFailWhereTheGrammarSays(t *testing.T) {
	var texts []string
	for _, c := range cases(t) {
		texts = append(texts, c.config)
	}
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SampledFrom(texts).Draw(t, "text")
		for range rapid.IntRange(1, 3).Draw(t, "edits") {
			at := rapid.IntRange(0, len(src)).Draw(t, "at")
			cut := rapid.IntRange(0, min(3, len(src)-at)).Draw(t, "cut")
			piece := rapid.OneOf(rapid.Just(""), rapid.SampledFrom(pieces)).Draw(t, "piece")
			src = src[:at] + piece + src[at+cut:]
		}
		agrees(t, strings.ToValidUTF8(src, "?"))
	})
}

func TestConditionsAndBodiesFailWhereTheGrammarSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		soup := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), rapid.SampledFrom([]string{"", " "}).Draw(t, "between"))
		frame := rapid.SampledFrom([][2]string{
			{"filter { if ", " { mutate { } } }"}, {"filter { if [a] == 1 { ", " } }"}, {"filter { mutate { ", " } }"},
			{"filter { mutate { aa => ", " } }"}, {"filter { mutate { aa => { \"k\" => 1 ", " } } }"}, {"", ""}, {"filter { ", " }"},
		}).Draw(t, "frame")
		agrees(t, frame[0]+soup+frame[1])
	})
}

func TestTheGrammarOfTheTestsAgreesWithTheRecordedErrors(t *testing.T) {
	for _, c := range cases(t) {
		ok, far := pegParse(c.config)
		if ok != (c.kind != "syntax") {
			t.Errorf("%s: accepted: %t", c.name, ok)
		}
		if p := (&parser{src: c.config, lines: lineStarts(c.config)}).at(far); !ok && (p.Line != c.line || p.Column != c.column) {
			t.Errorf("%s: %v instead of %d:%d", c.name, p, c.line, c.column)
		}
	}
}

func lineStarts(s string) (out []int) {
	for i := range len(s) {
		if s[i] == '\n' {
			out = append(out, i+1)
		}
	}
	return out
}
