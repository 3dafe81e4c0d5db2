package syntax

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse holds the parser against the grammar, and prints and reads back what it accepts.
func FuzzParse(f *testing.F) {
	for _, c := range cases(f) {
		f.Add([]byte(c.config))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse("f", src)
		errs, _ := errors.AsType[Errors](err)
		for i, e := range errs {
			if e.Pos.Line < 1 || e.Pos.Column < 1 || e.Pos.Offset > len(src) || i > 0 && errs[i-1].Pos.Offset > e.Pos.Offset {
				t.Fatalf("errors: %v", err)
			}
			_ = e.Caret()
		}
		if !utf8.Valid(src) {
			if err == nil {
				t.Fatal("not UTF-8, and accepted")
			}
			return
		}
		if len(src) < 2000 { // the grammar's interpreter is slow
			agrees(t, string(src))
		}
		if err != nil {
			return
		}
		again, err := Parse("f", []byte(c.Print()))
		if err != nil {
			t.Fatalf("printed: %v\n%s", err, c.Print())
		}
		if diff := cmp.Diff(c.Sections, again.Sections, ignorePos); diff != "" {
			t.Fatalf("printed (-before +after):\n%s", diff)
		}
	})
}
