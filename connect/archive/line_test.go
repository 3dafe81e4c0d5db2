package archive

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

func TestALineIsWrittenAsOthersWriteJSON(t *testing.T) {
	for want, p := range map[string]rec{
		`{"_index":"i","_id":"1","_source":{"a":1}}`:                              {"i", "", "1", "-", `{"a":1}`},
		`{"_index":"i","_type":"t","_id":"1","_routing":"r"}`:                     {"i", "t", "1", "r", "-"},
		`{"_index":"i","_id":"","_routing":"","_source": [ ] }`:                   {"i", "", "", "", " [ ] "},
		`{"_index":"한","_id":"\"\\/\n\r\t\b\f\u0000\u001f` + "\x7f\u2028😀" + `"}`: {"한", "", "\"\\/\n\r\t\b\f\x00\x1f\x7f\u2028😀", "-", "-"},
		`{"_index":"i","_id":"a` + "\uFFFD" + `b","_id_base64":"Yf9i"}`:           {"i", "", "a\xffb", "-", "-"},
		`{"_index":"i","_id":"` + "\uFFFD" + `"}`:                                 {"i", "", "\uFFFD", "-", "-"},
	} {
		var out bytes.Buffer
		must(t, Stream(&out).Write(t.Context(), records([]rec{p})))
		if diff := cmp.Diff(want+"\n", out.String()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestLinesAreReadInAnyForm(t *testing.T) {
	for text, want := range map[string]rec{
		`{"_index":"i","_id":"1","_source":{"a":1}}`:                                          {"i", "", "1", "-", `{"a":1}`},
		` { "_source":{"_id":"x"},"_routing" : "r" , "_id" : "1" , "_index":"i" , "x":[{}]} `: {"i", "", "1", "r", `{"_id":"x"}`},
		`{"_index":"\u0069","_id":"\ud83d\ude00\ud83d","_type":"\/"}`:                         {"i", "/", "😀\uFFFD", "-", "-"},
		`{"_index":"i","_id":"?","_id_base64":"/w==","_source":"}"}`:                          {"i", "", "\xff", "-", `"}"`},
		`{"_index":"i","_id":"1","_id":"2","_source":null}`:                                   {"i", "", "2", "-", `null`},
	} {
		l := &lines{buf: []byte(text + "\n"), eof: true}
		var b flow.Batch
		if err := l.read(&b); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, plainRec(&b.Records[0])); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
	for _, text := range []string{
		``, `[]`, `{}`, `{"_index":"i"}`, `{"_id":"1"}`, `{"_index":"i","_id":1}`, `{"_index":"i","_id":"1"}}`, `{"_index":"i","_id":"1",}`,
		`{"_index":"i","_id":"1"`, `{"_index":"i","_id":"\x"}`, `{"_index":"i","_id":"1","_source":{}`, `{"_index":"i","_id":"1","_source":}`,
		`{"_index":"i","_id":"1","_id_base64":"?"}`, `{"_index":"i" "_id":"1"}`,
	} {
		l := &lines{buf: []byte(text + "\n"), eof: true}
		if err := l.read(new(flow.Batch)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{
		`{"_index":"i","_type":"t","_id":"1","_routing":"r","_source":{"a":[1,"}\\\""]}}`,
		`{"_index":"\u00e4","_id":"\ud83d\ude00","_id_base64":"/w==","x":null}`,
		`{"_source":" ","_id":"","_index":""}`,
		`{"_index":"i","_id":"1","_source":{"a":"\`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.IndexByte(text, '\n') >= 0 {
			return
		}
		l := &lines{buf: append(bytes.Clone(text), '\n'), eof: true}
		var b flow.Batch
		err := l.read(&b)
		if err != nil {
			// What a strict parser takes for such a line, this one takes.
			var strict struct {
				Index, ID, Type, Routing *string
			}
			var m map[string]json.RawMessage
			if utf8.Valid(text) && json.Unmarshal(text, &m) == nil && json.Unmarshal(m["_index"], &strict.Index) == nil && strict.Index != nil &&
				json.Unmarshal(m["_id"], &strict.ID) == nil && strict.ID != nil && len(m) == 2 && bytes.Count(text, []byte(`"_i`)) == 2 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		// What was read is written so that it is read again.
		again := &lines{eof: true}
		again.buf = append(append(new(envelope).appendHead(nil, &b.Records[0]), b.Records[0].Body...), "}\n"...)
		var c flow.Batch
		if err := again.read(&c); err != nil {
			t.Fatalf("%q is written as %q: %v", text, again.buf, err)
		}
		if diff := cmp.Diff(plainRec(&b.Records[0]), plainRec(&c.Records[0])); diff != "" {
			t.Fatalf("%q is written as %q:\n%s", text, again.buf, diff)
		}
	})
}

func FuzzRecordsRoundTrip(f *testing.F) {
	f.Add("i", "t", []byte("id"), []byte("r"), []byte(`{"a":1}`))
	f.Add("\xff", "", []byte("\x00\xff\"\\"), []byte(nil), []byte(` "}" `))
	f.Fuzz(func(t *testing.T, index, typ string, key, routing, body []byte) {
		r := flow.Record{Index: index, Type: typ, Key: key, Routing: routing, Body: body}
		var out bytes.Buffer
		err := Stream(&out).Write(t.Context(), []flow.Record{r})
		if err != nil {
			if json.Valid(body) && bytes.IndexByte(body, '\n') < 0 {
				t.Fatalf("%q is refused: %v", body, err)
			}
			return
		}
		if body == nil || json.Valid(body) {
			if !json.Valid(out.Bytes()) {
				t.Fatalf("%q is not JSON", out.Bytes())
			}
		}
		for _, last := range []bool{false, true} {
			l := &lines{buf: bytes.Clone(out.Bytes()), eof: true, line: line{sourceLast: last}}
			var b flow.Batch
			if err := l.read(&b); err != nil {
				t.Fatalf("%q: %v", out.Bytes(), err)
			}
			if diff := cmp.Diff(plainRec(&r), plainRec(&b.Records[0])); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestALongLineDoesNotPinItsMemory(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Config{Dir: dir, Format: NDJSON})
	big := rec{"i", "", "big", "-", `"` + strings.Repeat("x", 40<<20) + `"`}
	small := logs(3000)
	for i := range small {
		small[i].Index = "i"
	}
	must(t, write(s, "p", append([]rec{small[0], big}, small[1:]...)...))
	must(t, s.Finish(t.Context()))
	src, err := OpenSource(t.Context(), dir)
	must(t, err)
	defer src.Close()
	for p := range src.Parts(t.Context()) {
		r, err := src.Open(t.Context(), p, nil)
		must(t, err)
		b := &flow.Batch{MaxRecords: 500}
		for range 3 {
			must(t, r.Read(t.Context(), b))
			b.Reset()
		}
		if c := cap(r.(*reader).rows.(*lines).buf); c > 1<<20 {
			t.Errorf("a buffer of %d bytes is kept", c)
		}
		must(t, r.Close())
	}
}
