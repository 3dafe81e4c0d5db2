package opensearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

type seen struct {
	Index, Type, ID string
	Routing, Source *string
	Version         int64
	Sort            string
}

func pointer(s string) *string { return &s }

// hitsOf reads all hits of an answer.
func hitsOf(r io.Reader) (a *answer, all []seen, err error) {
	a = newAnswer(r)
	var h hit
	for {
		if err := a.next(&h); err != nil {
			if err == io.EOF { //nolint:errorlint // next gives it as it is
				err = nil
			}
			return a, all, err
		}
		s := seen{Index: string(h.index), Type: string(h.typ), ID: string(h.id), Version: h.version, Sort: string(h.sort)}
		if h.routing != nil {
			s.Routing = pointer(string(h.routing))
		}
		if h.source != nil {
			s.Source = pointer(string(h.source))
		}
		all = append(all, s)
	}
}

const fromServer = `{"pit_id":"y8ab=","took":187,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":3,"relation":"eq"},"max_score":null,"hits":[` +
	`{"_index":"logs","_type":"event","_id":"1","_version":4,"_score":null,"_routing":"r\"1","_source":{ "a":"}\\\"", /* ] */ "b":[1,{}]` + "\n" + ` } ,"sort":[0]},` +
	`{"_index":"logs","_id":"\uac00\/2","_score":null,"_source":{},"fields":{"x":["]"]},"sort":[4294967296,1]} , {"_index":"logs","_id":"3","_score":null,"sort":[2]}]},"aggregations":{}}`

func TestSourcesAreCutOutByteForByte(t *testing.T) {
	want := []seen{
		{"logs", "event", "1", pointer(`r"1`), pointer(`{ "a":"}\\\"", /* ] */ "b":[1,{}]` + "\n } "), 4, "[0]"},
		{"logs", "", "가/2", nil, pointer("{}"), 0, "[4294967296,1]"},
		{"logs", "", "3", nil, nil, 0, "[2]"},
	}
	for name, r := range map[string]io.Reader{
		"at once":      strings.NewReader(fromServer),
		"byte by byte": iotest.OneByteReader(strings.NewReader(fromServer)),
		"halves":       iotest.HalfReader(strings.NewReader(fromServer)),
		"with the end": iotest.DataErrReader(strings.NewReader(fromServer)),
	} {
		a, got, err := hitsOf(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if a.context != "y8ab=" || a.total != 3 || a.shards.Total != 1 || a.shards.Failed != 0 {
			t.Errorf("%s: %q %d %+v", name, a.context, a.total, a.shards)
		}
	}
}

func TestAnAnswerThatIsCutIsAnError(t *testing.T) {
	for n := range len(fromServer) {
		if _, _, err := hitsOf(strings.NewReader(fromServer[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestATrailingLineCommentCannotHideWhatTheServerWrote(t *testing.T) {
	text := `{"hits":{"hits":[{"_index":"i","_id":"1","_source":{} // x},{"_index":"i","_id":"2","_source":{"a":` + "\n" + `1}}]}}`
	if _, got, err := hitsOf(strings.NewReader(text)); !errors.Is(err, errAnswer) || len(got) > 0 {
		t.Errorf("%v %v", got, err)
	}
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{}`, `{"hits":[]}`, `{"hits":{}}`, `{"hits":{"hits":{}}}`, `{"hits":{"hits":[1]}}`, `{"hits":{"hits":[{}]}}`,
		`{"hits":{"hits":[{"_index":"i","_source":{}}]}}`, `{"hits":{"hits":[{"_index":"i","_id":1}]}}`, `{"hits":{"hits":[{"_index":"i","_id":"1","_source":7}]}}`,
		`{"hits":{"hits":[{"_index":"i","_id":"1"}{"_index":"i","_id":"2"}]}}`, `{"hits":{"hits":[],"hits":[]}}`, `{"hits":{"hits":[]},"hits":{"hits":[]}}`,
		`{"hits":{"hits":[{"_index":"i","_id":"1","_version":"x"}]}}`, `<html>`, `{"_shards":[],"hits":{"hits":[]}}`,
	} {
		if _, got, err := hitsOf(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %v and no error", text, got)
		}
	}
}

func TestMemoryFollowsTheLargestHitAndIsGivenBack(t *testing.T) {
	giant := `{"a":"` + strings.Repeat("x", 20<<20) + `"}`
	small := `,{"_index":"i","_id":"2","_source":{"a":"` + strings.Repeat("y", 1000) + `"},"sort":[2]}`
	text := `{"hits":{"hits":[{"_index":"i","_id":"1","_source":` + giant + `,"sort":[1]}` + strings.Repeat(small, 20_000) + `]}}`
	a := newAnswer(strings.NewReader(text))
	var h hit
	if err := a.next(&h); err != nil || string(h.source) != giant {
		t.Fatalf("%d bytes, %v", len(h.source), err)
	}
	if cap(a.buf) > 80<<20 {
		t.Errorf("a hit of %d bytes takes %d", len(giant), cap(a.buf))
	}
	n := 0
	for ; ; n++ {
		if err := a.next(&h); err == io.EOF { //nolint:errorlint // next gives it as it is
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != 20_000 || cap(a.buf) > 8<<20 {
		t.Errorf("%d hits; %d bytes are still held", n, cap(a.buf))
	}
}

// FuzzAnswer compares what is cut out with what encoding/json finds in the same answer. Where encoding/json accepts
// the answer, so must the scanner, with the same hits.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(fromServer))
	f.Add([]byte(`{"hits":{"hits":[]}}`))
	f.Add([]byte(`{"_scroll_id":"x","hits":{"total":1,"hits":[{"_index":"i","_id":"1","_source":{"a":1 // c` + "\n" + `}}]}}`))
	f.Add([]byte("{\"hits\":{\"hits\":[{\"_index\":\"i\",\"_id\":\"1\",\"_source\":\xef\xbb\xbf{}}]}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, got, err := hitsOf(bytes.NewReader(text))
		slow, again, errSlow := hitsOf(iotest.OneByteReader(bytes.NewReader(text)))
		if diff := cmp.Diff(got, again); diff != "" || (err == nil) != (errSlow == nil) || a.context != slow.context || a.total != slow.total {
			t.Fatalf("it depends on how the answer comes: %v, %v\n%s", err, errSlow, diff)
		}
		var plain struct {
			Hits struct {
				Hits []struct {
					Index   *string         `json:"_index"`
					ID      *string         `json:"_id"`
					Routing *string         `json:"_routing"`
					Source  json.RawMessage `json:"_source"`
				}
			}
		}
		if err != nil || json.Unmarshal(text, &plain) != nil || repeated(text) {
			return
		}
		if len(got) != len(plain.Hits.Hits) {
			t.Fatalf("%d hits, encoding/json finds %d", len(got), len(plain.Hits.Hits))
		}
		for i, want := range plain.Hits.Hits {
			source := ""
			if got[i].Source != nil {
				source = strings.Trim(*got[i].Source, " \n\t\r")
			}
			if string(want.Source) == "null" {
				want.Source = nil
			}
			if want.Index == nil || want.ID == nil || *want.Index != valid(got[i].Index) || *want.ID != valid(got[i].ID) || source != string(want.Source) {
				t.Fatalf("hit %d: %+v, encoding/json finds %s", i, got[i], text)
			}
		}
	})
}

func valid(s string) string { return strings.ToValidUTF8(string([]rune(s)), "\uFFFD") }

// repeated reports that a name is there twice in an object, or in another case: encoding/json does not tell these
// apart as servers do.
func repeated(text []byte) bool {
	lower := bytes.ToLower(text)
	for _, name := range []string{`"_index"`, `"_id"`, `"_source"`, `"_routing"`, `"hits"`} {
		if bytes.Count(text, []byte(name)) != bytes.Count(lower, []byte(name)) || bytes.Count(text, []byte(name)) > 2 {
			return true
		}
	}
	return bytes.ContainsAny(text, "\\") || bytes.Contains(text, []byte("\xef\xbb\xbf"))
}

func BenchmarkAnswer(b *testing.B) {
	var text bytes.Buffer
	text.WriteString(`{"hits":{"hits":[`)
	for i := range 5000 {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(`{"_index":"logs","_id":"x7Gh3JkBq1","_score":null,"_source":{"@timestamp":"2024-05-01T10:11:12.123Z","level":"INFO","host":{"name":"web-1","ip":"10.0.0.1"},"message":"` + strings.Repeat("quick brown fox ", 20) + `"},"sort":[12345]}`)
	}
	text.WriteString(`]}}`)
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	var h hit
	for b.Loop() {
		a := newAnswer(bytes.NewReader(text.Bytes()))
		for {
			if err := a.next(&h); err == io.EOF { //nolint:errorlint // next gives it as it is
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}
