package regex

import (
	"strings"
	"testing"
)

func TestReplaceFollowsRubysGsub(t *testing.T) {
	for _, c := range []struct{ pattern, in, replacement, want string }{
		{`/`, "/a/b", "_", "_a_b"},
		{`(\w+)@(\w+)`, "me@home, you@work", `\2 at \1`, "home at me, work at you"},
		{`[aeiou]`, "hello", `<\0>`, "h<e>ll<o>"},
		{`[aeiou]`, "hello", `<\&>`, "h<e>ll<o>"},
		{`b*`, "abc", "-", "-a--c-"},
		{`(?<n>l)(?<n>x)?`, "hello", `[\k<n>]`, "he[l][l]o"},
		{`(?<n>l)(?<n>x)?`, "lx", `[\k<n>]`, "[x]"},
		{`(l)`, "ale", `\k<1>\1`, "alle"},
		{`l`, "ale", "(\\`|\\')", "a(a|e)e"},
		{`l`, "ale", `\\0\q\`, `a\0\q\e`},
		{`(x)?l`, "ale", `<\1>`, "a<>e"},
		{`l`, "ale", `\3\k<`, `a\k<e`},
		{`$`, "a\nb", ";", "a;\nb;"},
		{``, "é中", "-", "-é-中-"},
		{`z`, "ale", "-", "ale"},
	} {
		var m Match
		got, _, err := compiled(t, c.pattern, "").Replace([]byte(">"), []byte(c.in), []byte(c.replacement), &m)
		if err != nil || string(got) != ">"+c.want {
			t.Errorf("%q in %q by %q: %q, %v, want %q", c.pattern, c.in, c.replacement, got, err, c.want)
		}
	}
	var m Match
	if got, _, err := compiled(t, `l`, "").Replace([]byte(">"), []byte("ale"), []byte(`\k<n>`), &m); string(got) != ">" || err == nil || !strings.Contains(err.Error(), "n") {
		t.Errorf("a group that does not exist: %q, %v", got, err)
	}
}
