package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestJSONWithoutALineFeedIsReturnedAsItIs(t *testing.T) {
	for _, src := range []string{`{}`, ` {"a":1}`, "\t{\"a\": \"한글 😀\"}\r", `{ "a" : 1.0, "b":"\n" } `, "{\"a\":1 // to the end\r}"} {
		in := []byte(src)
		out, err := OneLine(nil, in)
		if err != nil || &out[0] != &in[0] || string(out) != src {
			t.Errorf("%q: %q, %v", src, out, err)
		}
	}
}

func TestALineFeedBetweenTokensBecomesASpace(t *testing.T) {
	for src, want := range map[string]string{
		"{\n}":                               "{ }",
		"{ \"a\" : 1,\n\t\"b\":\r\n2}\n":     "{ \"a\" : 1, \t\"b\":\r 2} ",
		"\n\n{\"a\":1}":                      "  {\"a\":1}",
		"{\"a\\\"\":\n\"\\\\\"}":             "{\"a\\\"\": \"\\\\\"}",
		"{\"url\":\"http://x/*\",\n\"b\":1}": "{\"url\":\"http://x/*\", \"b\":1}",
		"{\"a\":1, // one\n\"b\":2}":         "{\"a\":1,  \"b\":2}",
		"{\"a\":1, //\n//\n\"b\":2}":         "{\"a\":1,   \"b\":2}",
		"{\"a\":1 // \"quoted\r,\n\"b\":2}":  "{\"a\":1 // \"quoted\r, \"b\":2}",
		"{/* // \n \" */\"a\":1\n}":          "{/* //   \" */\"a\":1 }",
		"// first\n{\"a\":1}":                " {\"a\":1}",
		"{\"a\":\"line\nline\"\n}":           "{\"a\":\"line\\nline\" }",
		"\xef\xbb\xbf{\"a\":\n1}":            "{\"a\": 1}",
		"{}\n// the end":                     "{} // the end",
		"{\"a\":\"//\n\"}":                   "{\"a\":\"//\\n\"}",
	} {
		in := []byte(src)
		out, err := OneLine(nil, in)
		if err != nil || string(out) != want {
			t.Errorf("%q becomes %q, want %q, %v", src, out, want, err)
		}
		if string(in) != src {
			t.Errorf("%q was changed", src)
		}
	}
}

func TestAByteOrderMarkIsLeftOut(t *testing.T) {
	out, err := OneLine(nil, []byte("\xef\xbb\xbf{\"a\":1}"))
	if err != nil || string(out) != `{"a":1}` {
		t.Errorf("%q, %v", out, err)
	}
}

func TestWhatCannotBeUnderstoodIsAnError(t *testing.T) {
	for _, src := range []string{
		"", "text", "\x00", "\xef\xbb\xbf", "   ", "{\"a\":\n\"b", "{\n/* no end", "{\n/ }", "{\"a\\\n\":1}",
		":)\n", ":)\n\x01\xfa", "\xbf\x61", "\xa1\xa0\x00", "\xd9\xd9\xf7", "---\n? [a]\n: b\n", "---\na: *nothing\n",
		"---\n- a\nb: c\n", "---\na: .inf\n",
	} {
		if out, err := OneLine(nil, []byte(src)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %q, %v", src, out, err)
		}
	}
}

func TestEveryFormatIsPrintedAsTheServersPrintIt(t *testing.T) {
	cbor := "\xbf\x64name\x64flat\x61n\x07\x62ok\xf5\xff"
	for what, src := range map[string]string{
		"yaml":           "---\nname: flat\nn: 7\nok: true\n",
		"cbor streamed":  cbor,
		"cbor described": "\xd9\xd9\xf7" + cbor,
		"cbor":           "\xa3" + cbor[1:len(cbor)-1],
		"smile":          ":)\n\x01\xfa\x83name\x43flat\x80n\xce\x81ok\x23\xfb",
	} {
		out, err := OneLine(nil, []byte(src))
		if err != nil || string(out) != `{"name":"flat","n":7,"ok":true}` {
			t.Errorf("%s: %q, %v", what, out, err)
		}
	}
}

func TestJSONOfOneLineAllocatesNothing(t *testing.T) {
	src := []byte(`{"message":"GET /index.html","bytes":1234}`)
	broken := []byte("{\"message\":\"GET /index.html\",\n\"bytes\":1234}")
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { _, _ = OneLine(dst, src) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = OneLine(dst, broken) }); n != 0 {
		t.Errorf("%v allocations with a line feed", n)
	}
}

func FuzzOneLine(f *testing.F) {
	for _, s := range []string{
		`{"a":1}`, "{\n\"a\":\"b\\\"\"\n}", "{\"a\":1//c\n}", "{/*\n*/}", "---\na: [1, {b: c}]\n", "\xbf\x61a\x01\xff",
		":)\n\x01\xfa\x80a\xc2\xfb", "\xef\xbb\xbf{\n}", "{\"a\":\"x\ny\"}", "---\n- 0x1F\n- 1_0.5\n- !!binary aGk=\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		out, err := OneLine(nil, src)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("unmarked error: %v", err)
			}
			if formatOf(src) == formatJSON && json.Valid(bytes.TrimPrefix(src, byteOrderMark)) {
				t.Fatalf("valid JSON refused: %v", err)
			}
			return
		}
		if bytes.IndexByte(out, '\n') >= 0 {
			t.Fatalf("more than one line: %q", out)
		}
		if formatOf(src) == formatJSON {
			sameJSON(t, bytes.TrimPrefix(src, byteOrderMark), out)
		} else if !json.Valid(out) {
			t.Fatalf("not JSON: %q", out)
		}
	})
}

// sameJSON checks that the line means what the source means, where encoding/json reads the source.
func sameJSON(t *testing.T, src, line []byte) {
	if !json.Valid(src) {
		return
	}
	var a, b bytes.Buffer
	if err := json.Compact(&a, src); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&b, line); err != nil {
		t.Fatalf("%q became %q: %v", src, line, err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Fatalf("%q became %q", src, line)
	}
	if want := bytes.ReplaceAll(src, []byte("\n"), []byte(" ")); !bytes.Equal(want, line) {
		t.Fatalf("%q became %q: more than line feeds changed", src, line)
	}
}

func BenchmarkOneLine(b *testing.B) {
	line := []byte(`{"message":"` + strings.Repeat("GET /index.html ", 20) + `","bytes":1234,"host":"web-1"}`)
	pretty := bytes.ReplaceAll(line, []byte(`,"`), []byte(",\n  \""))
	for name, src := range map[string][]byte{"AsItIs": line, "LineFeeds": pretty} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			dst := make([]byte, 0, 4096)
			for b.Loop() {
				if _, err := OneLine(dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
