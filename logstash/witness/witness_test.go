package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

func id(partition int32, offset int64) string { return fmt.Sprintf("c:t:%d:%d", partition, offset) }

// made lets a witness see records of a partition, each of which became one.
func made(w *Witness, partition int32, from, to int64, size int) {
	w.Read("t", partition, from, to, false)
	for o := from; o < to; o++ {
		w.Made(id(partition, o), 0, "kafka", &flow.Record{Index: "out", Body: fmt.Appendf(nil, `{"o":%d,"pad":%q}`, o, strings.Repeat("x", size))})
	}
}

func delivered(to int64) []Span {
	return []Span{{Topic: "t", Partition: 0, From: 0, To: to}, {Topic: "t", Partition: 1, From: 0, To: to}}
}

func keeping(bytes int) *Witness {
	w := &Witness{Bytes: bytes}
	w.Keep(true)
	return w
}

func TestWhatIsKeptOfBothIsPairedAndWhatIsMissingIsSeen(t *testing.T) {
	a, b := keeping(0), keeping(0)
	made(a, 0, 0, 100, 1)
	made(b, 0, 50, 120, 1)
	made(b, 1, 0, 9, 1)
	p := Pair([]*Report{a.Report("v1", 0)}, []*Report{b.Report("v2", 0)}, delivered(90), 1000)
	if p.Records != 40 || len(p.A) != 40 || len(p.B) != 40 || string(p.A[0].Key) != "t:0:89 kafka:0" {
		t.Errorf("%d records, %d and %d documents, the first is %s", p.Records, len(p.A), len(p.B), p.A[0].Key)
	}
	if p := Pair([]*Report{a.Report("v1", 0)}, []*Report{b.Report("v2", 0)}, delivered(90), 7); p.Records != 7 || len(p.B) != 7 {
		t.Errorf("at most 7: %d, %d", p.Records, len(p.B))
	}
	// Records that the canary has read, and made nothing of.
	drops := keeping(0)
	drops.Read("t", 0, 0, 100, true)
	if p := Pair([]*Report{a.Report("v1", 0)}, []*Report{drops.Report("v2", 0)}, delivered(90), 1000); p.Records != 90 || len(p.A) != 90 || len(p.B) != 0 {
		t.Errorf("all is dropped: %d records, %d and %d documents", p.Records, len(p.A), len(p.B))
	}
}

func TestAPartitionThatWasAwayHasAGap(t *testing.T) {
	w := keeping(0)
	w.Read("t", 0, 10, 20, true)
	w.Read("t", 0, 20, 30, false)
	w.Read("t", 0, 80, 90, true) // another process had it
	if d := cmp.Diff([]Span{{Topic: "t", Partition: 0, From: 80, To: 90}}, w.Report("v1", 0).Spans); d != "" {
		t.Error(d)
	}
	other := keeping(0)
	other.Read("t", 0, 30, 80, true)
	whole := keeping(0)
	whole.Read("t", 0, 0, 100, true)
	p := Pair([]*Report{w.Report("v1", 0), other.Report("v1", 0)}, []*Report{whole.Report("v2", 0)}, delivered(100), 1000)
	if p.Records != 60 {
		t.Errorf("two processes of one version have read %d records, want 60", p.Records)
	}
}

func TestWhatWasReadAgainIsThereOnce(t *testing.T) {
	w := keeping(0)
	w.Read("t", 0, 0, 2, true)
	for _, text := range []string{"first", "again"} {
		w.Made(id(0, 1), 0, "file", &flow.Record{Body: []byte(text)})
	}
	r := w.Report("v1", 0)
	p := Pair([]*Report{r}, []*Report{r, r}, delivered(2), 10)
	if len(p.A) != 1 || len(p.B) != 1 || !strings.Contains(string(p.A[0].Body), "again") {
		t.Errorf("%d and %d: %s", len(p.A), len(p.B), p.A[0].Body)
	}
}

func TestMemoryIsBoundedAndBothKeepTheSameRecords(t *testing.T) {
	const bytes = 1 << 20
	small, large := keeping(bytes), keeping(8*bytes)
	for from := int64(0); from < 20_000; from += 100 {
		made(small, 0, from, from+100, 300)
		made(large, 0, from, from+100, 300)
	}
	if small.bytes > bytes || large.bytes > 8*bytes || small.level <= large.level {
		t.Errorf("%d bytes of level %d, and %d of level %d", small.bytes, small.level, large.bytes, large.level)
	}
	p := Pair([]*Report{small.Report("v1", 0)}, []*Report{large.Report("v2", 0)}, delivered(20_000), 1<<40)
	if p.Records < 1000 || int64(len(p.A)) != p.Records || len(p.A) != len(p.B) {
		t.Errorf("level %d: %d records, %d and %d documents", p.Level, p.Records, len(p.A), len(p.B))
	}
	for i := range p.A {
		if string(p.A[i].Body) != string(p.B[i].Body) {
			t.Fatalf("%s and %s", p.A[i].Body, p.B[i].Body)
		}
	}
	// A report is bounded, too.
	if r := large.Report("v2", bytes/4); r.Level <= large.level || len(r.Made)*(overhead+300) > bytes/2 {
		t.Errorf("%d of level %d", len(r.Made), r.Level)
	}
}

func TestWhatIsOldGoesFirst(t *testing.T) {
	now := time.Unix(0, 0)
	w := &Witness{Bytes: 100_000, Now: func() time.Time { return now }}
	w.Keep(true)
	for from := int64(0); from < 1000; from += 10 {
		now = now.Add(30 * time.Second)
		made(w, 0, from, from+10, 1000)
	}
	r := w.Report("v1", 0)
	if r.Level != 0 || len(r.Spans) != 1 || r.Spans[0].To != 1000 || r.Spans[0].From < 900 || int64(len(r.Made)) != 1000-r.Spans[0].From {
		t.Errorf("level %d, %v, %d", r.Level, r.Spans, len(r.Made))
	}
	w.Keep(false)
	made(w, 0, 1000, 1100, 10)
	if r := w.Report("v1", 0); r.Keeps || len(r.Made)+len(r.Spans) > 0 {
		t.Errorf("it keeps %d of %v", len(r.Made), r.Spans)
	}
	var none *Witness
	none.Keep(true)
	made(none, 0, 0, 10, 1)
	if r := none.Report("", 0); r.Keeps {
		t.Error("nothing keeps")
	}
}

func TestRecordsThatAreNoJSONAreCompared(t *testing.T) {
	for _, c := range []struct {
		r    flow.Record
		want string
	}{
		{flow.Record{Index: "out", Key: []byte("k"), Body: []byte(`{"a":1}`)}, `{"@output":{"name":"o","to":"out","key":"k"},"a":1}`},
		{flow.Record{Body: []byte("a line\n")}, `{"@output":{"name":"o"},"message":"a line"}`},
		{flow.Record{Body: []byte("[1]")}, `{"@output":{"name":"o"},"message":"[1]"}`},
		{flow.Record{Body: []byte("null")}, `{"@output":{"name":"o"},"message":"null"}`},
		{flow.Record{Body: []byte{0, 0xff}, Meta: []byte{0xfe}}, `{"@output":{"name":"o","headers":"fe"},"bytes":"00ff"}`},
		{flow.Record{}, `{"@output":{"name":"o"},"tombstone":true}`},
	} {
		if got := string(document(&entry{output: "o", record: c.r})); got != c.want {
			t.Errorf("%q: %s, want %s", c.r.Body, got, c.want)
		}
	}
}

func TestIDsOfOtherFormsAreNotKept(t *testing.T) {
	w := keeping(0)
	w.Read("t", 0, 0, 10, true)
	for _, wrong := range []string{"", "x", "c:t:0", "c:t:0:-1", "c:t:x:1", "c:t:9999999999:1", "c:u:0:1"} {
		w.Made(wrong, 0, "o", &flow.Record{})
	}
	if n := len(w.Report("v1", 0).Made); n > 0 {
		t.Errorf("%d are kept", n)
	}
}

func TestAProcessThatLiesOrKnowsNothingIsAnError(t *testing.T) {
	for answer, want := range map[string]string{
		"404": "keeps nothing", "401": "401", `{"level":99}`: "level 99", "{": "unexpected EOF", `{"hash":"` + strings.Repeat("x", 2<<20): "longer than",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			switch answer {
			case "404":
				w.WriteHeader(http.StatusNotFound)
			case "401":
				w.WriteHeader(http.StatusUnauthorized)
			default:
				_, _ = w.Write([]byte(answer))
			}
		}))
		req, err := NewRequest(t.Context(), server.URL, "u", "p")
		if err != nil {
			t.Fatal(err)
		}
		_, err = Ask(server.Client(), req, 1000)
		if err == nil || !strings.Contains(err.Error(), want) || (answer == "404") != errors.Is(err, ErrNone) {
			t.Errorf("%.20q: %v", answer, err)
		}
		server.Close()
	}
}

func FuzzReports(f *testing.F) {
	f.Add([]byte(`{"level":3,"spans":[{"topic":"t","partition":0,"from":-5,"to":90}],"made":[{"topic":"t","offset":1,"document":{}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Report
		if json.Unmarshal(text, &r) != nil || r.Level < 0 || r.Level > mostLevel {
			return
		}
		p := Pair([]*Report{&r}, []*Report{&r}, delivered(1000), 100)
		if p.Records > 100 || len(p.A) != len(p.B) {
			t.Errorf("%d records, %d and %d", p.Records, len(p.A), len(p.B))
		}
	})
}
