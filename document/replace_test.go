package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func replacer(t testing.TB, paths ...string) *Replacer {
	p, err := ParsePaths(paths)
	if err != nil {
		t.Fatal(err)
	}
	return &Replacer{Paths: p, Replace: func(dst []byte, v Value) ([]byte, error) {
		if v.Kind == Null {
			return append(dst, v.Raw...), nil
		}
		return append(dst, 'X'), nil
	}}
}

func TestAPathIsFoundHoweverItIsSpelt(t *testing.T) {
	for _, c := range []struct{ paths, src, want string }{
		{"user.email", `{"user":{"email":"a","id":1}}`, `{"user":{"email":X,"id":1}}`},
		{"user.email", `{"user.email":"a","user":2}`, `{"user.email":X,"user":2}`},
		{"a.b.c", `{"a.b":{"c":1},"a":{"b.c":2,"b":{"c":3,"d":4}}}`, `{"a.b":{"c":X},"a":{"b.c":X,"b":{"c":X,"d":4}}}`},
		{"user.email", `{"user":[{"email":"a"},[{"email":["b",["c",7]]}],{"id":1}]}`, `{"user":[{"email":X},[{"email":[X,[X,X]]}],{"id":1}]}`},
		{"user", `{"user":{"email":"a","tags":["b",{"c":true}]},"users":1}`, `{"user":{"email":X,"tags":[X,{"c":X}]},"users":1}`},
		{"user", `{"user.name":"a","user":null}`, `{"user.name":X,"user":null}`},
		{"user.*", `{"user":{"a":1,"b":{"c":2}},"user2":{"a":1}}`, `{"user":{"a":X,"b":{"c":X}},"user2":{"a":1}}`},
		{"*.email", `{"email":1,"a":{"email":2,"b":{"email":3}},"c.email.d":4}`, `{"email":1,"a":{"email":X,"b":{"email":X}},"c.email.d":X}`},
		{"*", `{"a":1,"b":[{"c":"d"}]}`, `{"a":X,"b":[{"c":X}]}`},
		{"us*l", `{"user":{"email":1,"name":2},"usl":3}`, `{"user":{"email":X,"name":2},"usl":X}`},
		{"na\"me", `{"na\"me":1}`, `{"na\"me":X}`},
		{"name", `{"n\u0061me":1,"\u006Eame":2}`, `{"n\u0061me":X,"\u006Eame":X}`},
		{"😀", `{"\ud83d\ude00":1,"\ud83d":2,"\ud83dx":3}`, `{"\ud83d\ude00":X,"\ud83d":2,"\ud83dx":3}`},
		{"a", `{"a":1,"a":2}`, `{"a":X,"a":X}`},
		{"a", ` { "a" : 1 , "b":[ ] } `, ` { "a" : X , "b":[ ] } `},
		{"a", `{"a":{},"b":{"a":1}}`, `{"a":{},"b":{"a":1}}`},
		{"a", `[{"a":1},{"b":1}]`, `[{"a":X},{"b":1}]`},
		{"user.email", `{"user":{"name":"x"},"email":"y","useremail":1}`, `{"user":{"name":"x"},"email":"y","useremail":1}`},
	} {
		src := []byte(c.src)
		out, n, err := replacer(t, c.paths).Apply(nil, src)
		if err != nil || string(out) != c.want {
			t.Errorf("%s in %s: %s, %v; want %s", c.paths, c.src, out, err, c.want)
			continue
		}
		if n == 0 && &out[0] != &src[0] {
			t.Errorf("%s in %s: copied, though nothing was replaced", c.paths, c.src)
		}
	}
}

func TestMalformedJSONIsAnErrorWhereverItIs(t *testing.T) {
	for _, src := range []string{
		``, ` `, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{"a":1}}`, `{"a":1} x`,
		`[1,]`, `[1`, `[1 2]`, `{"b":tru}`, `{"b":nul}`, `{"b":NaN}`, `{"b":01}`, `{"b":-}`, `{"b":1.}`, `{"b":.5}`, `{"b":1e}`, `{"b":+1}`,
		`{"b":"\x"}`, `{"b":"\u12"}`, `{"b":"\u12g4"}`, "{\"b\":\"\n\"}", `{"b":"`, `{"b":"\`, `{"b":"\"}`, `{"b`, `{"a":1}//`, "{\"b\":\"\x00\"}",
		strings.Repeat("[", maxReplaceDepth+1) + strings.Repeat("]", maxReplaceDepth+1),
	} {
		if out, _, err := replacer(t, "a").Apply(nil, []byte(src)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40s: %s, %v", src, out, err)
		}
	}
}

func TestAnErrorOfTheReplacementNamesThePath(t *testing.T) {
	p, _ := ParsePaths([]string{"a.b"})
	boom := errors.New("boom")
	r := &Replacer{Paths: p, Replace: func([]byte, Value) ([]byte, error) { return nil, boom }}
	if _, _, err := r.Apply(nil, []byte(`{"a":[{"b":1}]}`)); !errors.Is(err, boom) || !strings.Contains(err.Error(), "a.b") {
		t.Errorf("%v", err)
	}
}

func TestAValueIsHandedOverWithItsKindAndText(t *testing.T) {
	p, _ := ParsePaths([]string{"*"})
	var got []string
	r := &Replacer{Paths: p, Replace: func(dst []byte, v Value) ([]byte, error) {
		got = append(got, string("0bns"[v.Kind])+string(v.AppendText(nil)))
		return append(dst, v.Raw...), nil
	}}
	src := `{"a":"q\"\\\/\b\f\n\r\t한\ud55c\ud83d\ude00\ud800","b":[-1.5e3,true,false,null]}`
	out, n, err := r.Apply(nil, []byte(src))
	if err != nil || n != 5 || string(out) != src {
		t.Errorf("%s, %d, %v", out, n, err)
	}
	want := []string{"sq\"\\/\b\f\n\r\t한한😀\uFFFD", "n-1.5e3", "btrue", "bfalse", "0null"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnEmptyPathIsAnError(t *testing.T) {
	if _, err := ParsePaths([]string{"a", ""}); err == nil {
		t.Error("no error")
	}
}

func TestAStarMatchesAsARegularExpressionWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*.")), 1, 6, -1).Draw(t, "pattern")
		path := rapid.StringOfN(rapid.RuneFrom([]rune("ab.")), 1, 8, -1).Draw(t, "path")
		if got, want := matches(pattern, []byte(path)), slow(pattern, path); got != want {
			t.Fatalf("%s on %s: %v", pattern, path, got)
		}
	})
}

func slow(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		for i := range len(s) + 1 {
			if slow(pattern[1:], s[i:]) {
				return true
			}
		}
		return false
	}
	return s != "" && s[0] == pattern[0] && slow(pattern[1:], s[1:])
}

// FuzzReplace compares with encoding/json: the same texts are JSON, and no text of a masked field is left.
func FuzzReplace(f *testing.F) {
	for _, s := range []string{
		`{"a":1}`, `{"secret":"x","b":{"secret":["y",{"z":2}]}}`, `{"b.secret":1}`, `{"\u0073ecret":"\ud83d\ude00"}`, `[1,[{"secret":null}]]`,
		`{"secret":{"deep":[true,false,-1.5E+10]}}`, ` { } `, `{"a":"\"secret\":1"}`, `{"secret`, `{"a":01}`,
	} {
		f.Add([]byte(s))
	}
	p, err := ParsePaths([]string{"secret", "b.secret"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r := &Replacer{Paths: p, Replace: func(dst []byte, v Value) ([]byte, error) {
			v.AppendText(nil)
			return append(dst, `"masked"`...), nil
		}}
		out, _, err := r.Apply(nil, src)
		if valid := json.Valid(src); valid != (err == nil) {
			t.Fatalf("valid is %v, the error %v", valid, err)
		}
		if err != nil {
			return
		}
		var v any
		d := json.NewDecoder(bytes.NewReader(out))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%q became %q: %v", src, out, err)
		}
		m, _ := v.(map[string]any)
		b, _ := m["b"].(map[string]any)
		for _, secret := range []any{m["secret"], m["b.secret"], b["secret"]} {
			checkMasked(t, secret)
		}
	})
}

func checkMasked(t *testing.T, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for _, v := range v {
			checkMasked(t, v)
		}
	case []any:
		for _, v := range v {
			checkMasked(t, v)
		}
	default:
		if v != "masked" {
			t.Fatalf("%v was left", v)
		}
	}
}

func BenchmarkReplace(b *testing.B) {
	src := []byte(`{"message":"` + strings.Repeat("GET /index.html ", 20) + `","bytes":1234,"user":{"email":"a@b.c","id":12345},"host":"web-1"}`)
	r := replacer(b, "user.email", "host")
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	dst := make([]byte, 0, 4096)
	for b.Loop() {
		if _, _, err := r.Apply(dst, src); err != nil {
			b.Fatal(err)
		}
	}
}
