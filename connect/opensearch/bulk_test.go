package opensearch

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/narudata/naru/flow"
)

func TestAnActionIsTwoLinesWithTheSourceAsItIs(t *testing.T) {
	for _, c := range []struct {
		rec  flow.Record
		want string
	}{
		{flow.Record{Index: "logs", Key: []byte("1"), Body: []byte(`{ "a" : 1.0 }`)},
			`{"create":{"_index":"logs","_id":"1"}}` + "\n" + `{ "a" : 1.0 }` + "\n"},
		{flow.Record{Index: "logs", Key: []byte("1"), Routing: []byte("r"), Version: 7, Body: []byte(`{}`)},
			`{"index":{"_index":"logs","_id":"1","routing":"r","version":7,"version_type":"external_gte"}}` + "\n{}\n"},
		{flow.Record{Index: "logs", Body: []byte(`{}`)}, `{"create":{"_index":"logs"}}` + "\n{}\n"},
		{flow.Record{Index: "한", Key: []byte("a\"b\\c\n\x01한"), Body: []byte(`{}`)},
			`{"create":{"_index":"한","_id":"a\"b\\c\u000a\u0001한"}}` + "\n{}\n"},
	} {
		if got := string(appendAction(nil, &c.rec, c.rec.Index)); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func FuzzString(f *testing.F) {
	f.Add("a\"b\\c\n\x01\x7f한😀")
	f.Add("\xff\xc3")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.Count(want, "\ufffd") == strings.Count(s, "\ufffd") && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func TestAnAnswerSaysOfEachRecordWhatBecameOfIt(t *testing.T) {
	items, err := readItems([]byte(`{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":200}}]}`), 2)
	if err != nil || items != nil {
		t.Errorf("all well: %v, %v", items, err)
	}
	items, err = readItems([]byte(`{"errors":true,"items":[{"create":{"status":201}},
		{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[1]: version conflict"}}},
		{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse field [n]","caused_by":{"type":"x","reason":"For input string: \"a\""}}}},
		{"create":{"status":429,"error":{"type":"rejected_execution_exception","reason":"queue"}}},
		{"create":{"status":403,"error":{"type":"cluster_block_exception","reason":"index [a] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"}}},
		{"create":{"status":403,"error":{"type":"cluster_block_exception","reason":"index [a] blocked by: [FORBIDDEN/8/index write (api)];"}}}]}`), 6)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		there, permanent, fine bool
		text                   string
	}{
		{fine: true}, {there: true}, {permanent: true, text: `failed to parse field [n]: For input string: "a"`}, {text: "queue"}, {text: "read-only"}, {permanent: true, text: "index write"},
	} {
		err := items[i].verdict()
		switch {
		case want.fine != (err == nil), want.there != errors.Is(err, flow.ErrThere), want.permanent != flow.IsPermanent(err):
			t.Errorf("item %d: %v", i, err)
		case err != nil && !strings.Contains(err.Error(), want.text):
			t.Errorf("item %d: %v, want %q", i, err, want.text)
		}
	}
}

func TestAnAnswerThatDoesNotAddUpIsAnError(t *testing.T) {
	for _, answer := range []string{
		``, `{}`, `{"errors":false}`, `{"errors":false,"items":[{"create":{"status":201}}]}`,
		`{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}},{"create":{"status":201}}]}`,
		`{"errors":false,"items":[{"create":{"status":201}},{}]}`, `{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400}}]}`,
		`{"errors":false,"items":[{"create":{"status":201}},{"create":{"sta`,
	} {
		if items, err := readItems([]byte(answer), 2); err == nil {
			t.Errorf("%s: %v", answer, items)
		}
	}
}

func FuzzItems(f *testing.F) {
	f.Add([]byte(`{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409,"error":{"type":"t","reason":"r"}}}]}`), 2)
	f.Add([]byte(`{"errors":false,"items":[{"create":{"status":201}}]}`), 1)
	f.Fuzz(func(t *testing.T, answer []byte, n int) {
		if n < 1 || n > 100 {
			return
		}
		items, err := readItems(answer, n)
		if err == nil && items != nil && len(items) != n {
			t.Errorf("%d items, not %d", len(items), n)
		}
		for _, it := range items {
			_ = it.verdict()
		}
	})
}
