package compare

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/narudata/naru/flow"
)

// records is a source of what is in it.
type records []flow.Record

func (r records) Read(_ context.Context, visit func([]flow.Record) error) error {
	for c := range slices.Chunk(r, 7) {
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

// docs gives documents with the ids 0, 1, 2 …
func docs(bodies ...string) records {
	var r records
	for i, b := range bodies {
		r = append(r, flow.Record{Key: fmt.Append(nil, i), Body: []byte(b)})
	}
	return r
}

func compared(t testing.TB, a, b Source, o Options) *Report {
	t.Helper()
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	r, err := Compare(context.Background(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func whats(r *Report) (out []string) {
	for _, m := range r.Moves {
		word := "is now"
		if m.Copied {
			word = "is also"
		}
		out = append(out, fmt.Sprintf("%s %s %s ×%d", m.From, word, m.To, m.Documents))
	}
	for _, c := range r.Changes {
		out = append(out, fmt.Sprintf("%s ×%d", c.What(), c.Documents))
	}
	slices.Sort(out)
	return out
}

func TestEachKindOfChangeIsNamed(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{`{"x":1}`, `{"x":1}`, ""},
		{`{"x":1,"y":{"z":[1,{"a":2}]}}`, ` { "y" : {"z":[1, {"a":2}]}, "x":1 } `, ""},
		{`{"x":"\u0041\n"}`, `{"x":"A\u000a"}`, ""},
		{`{}`, `{"x":true}`, "x: added"},
		{`{}`, `{"x":null}`, "x: added (null)"},
		{`{"x":null}`, `{}`, "x: removed (null)"},
		{`{"x":""}`, `{}`, "x: removed (empty)"},
		{`{}`, `{"x":{}}`, "x: added (empty)"},
		{`{"o":{"a":true,"b":{"c":false}}}`, `{}`, "o.a: removed, o.b.c: removed"},
		{`{"x":null}`, `{"x":5}`, "x: was null"},
		{`{"x":5}`, `{"x":null}`, "x: now null"},
		{`{"x":""}`, `{"x":"a"}`, "x: was empty"},
		{`{"x":"a"}`, `{"x":""}`, "x: now empty"},
		{`{"x":"1"}`, `{"x":1}`, "x: string → number, the same value"},
		{`{"x":1}`, `{"x":"1.0"}`, "x: number → string, the same value"},
		{`{"x":"one"}`, `{"x":1}`, "x: string → number"},
		{`{"x":"true"}`, `{"x":true}`, "x: string → boolean, the same value"},
		{`{"x":"a"}`, `{"x":["a"]}`, "x: string → list, alone in a list"},
		{`{"x":[{"a":1}]}`, `{"x":{"a":1}}`, "x: list → object, out of its list"},
		{`{"x":{"a":1}}`, `{"x":"a"}`, "x: object → string"},
		{`{"x":1}`, `{"x":1.0}`, "x: number format"},
		{`{"x":10000000}`, `{"x":1e7}`, "x: number format"},
		{`{"x":9007199254740993}`, `{"x":9007199254740992}`, "x: another value"},
		{`{"x":0.1}`, `{"x":0.10000000149}`, "x: rounded"},
		{`{"x":" a  b"}`, `{"x":"a b"}`, "x: white space"},
		{`{"x":"GET"}`, `{"x":"get"}`, "x: case"},
		{`{"x":"GET /"}`, `{"x":"GET /a"}`, "x: longer"},
		{`{"x":"GET /a"}`, `{"x":"GET"}`, "x: cut off"},
		{`{"x":"GET"}`, `{"x":"PUT"}`, "x: another value"},
		{`{"x":true}`, `{"x":false}`, "x: another value"},
		{`{"x":"007"}`, `{"x":"7"}`, "x: number format"},
		{`{"t":"2026-11-24T10:00:00.000Z"}`, `{"t":"2026-11-24T10:00:00Z"}`, "t: time precision"},
		{`{"t":"2026-11-24T10:00:00.123Z"}`, `{"t":"2026-11-24T10:00:00.123456Z"}`, "t: time precision"},
		{`{"t":"2026-11-24T10:00:00.000Z"}`, `{"t":"2026-11-24T11:00:00.000+01:00"}`, "t: time format or zone"},
		{`{"t":"2026-11-24T10:00:00.000Z"}`, `{"t":"2026-11-24T11:00:00.000Z"}`, "t: time shifted by +1h"},
		{`{"t":"2026-11-24T10:00:00.000Z"}`, `{"t":"2026-11-24T04:30:00.000Z"}`, "t: time shifted by -5h30m"},
		{`{"t":"2026-11-24T10:00:00.000Z"}`, `{"t":"2026-11-24T10:00:01.500Z"}`, "t: another time"},
		{`{"x":[1,2]}`, `{"x":[2,1]}`, "x: order"},
		{`{"x":[1,2]}`, `{"x":[2,3]}`, "x: elements"},
		{`{"x":[1]}`, `{"x":[]}`, "x: now empty"},
		{`{"tags":["a"]}`, `{"tags":["a","_grokparsefailure"]}`, "tags: has _grokparsefailure"},
		{`{"tags":["a","b"]}`, `{"tags":["a"]}`, "tags: has no more b"},
		{`{}`, `{"tags":["_grokparsefailure"]}`, "tags: has _grokparsefailure"},
		{`{"log":{"tags":["a","b"]}}`, `{"log":{"tags":[]}}`, "log.tags: has no more a, log.tags: has no more b"},
		{`{"l":[{"a":1},{"a":2}]}`, `{"l":[{"a":1},{"a":"2"}]}`, "l[].a: string"},
		{`{"l":[{"a":1},{"a":2}]}`, `{"l":[{"a":2},{"a":1}]}`, "l: order"},
		{`{"a.b":1}`, `{"a":{"b":1}}`, "a.b: dotted name"},
		{`{"a.b":1}`, `{"a":{"b":2}}`, "a.b: another value"},
		{`{"message":"a line"}`, `{"event":{"original":"a line"}}`, "message is now event.original"},
		{`{"message":"a line"}`, `{"message":"a line","event.original":"a line"}`, "message is also event.original"},
		{`{"status":"2000"}`, `{"http":{"code":2000}}`, "status is now http.code"},
		{`no json`, `{"a":"b"}`, "(no JSON): removed, a: added"},
	} {
		r := compared(t, docs(c.a), docs(c.b), Options{})
		got := strings.ReplaceAll(strings.Join(whats(r), ", "), " ×1", "")
		if c.want == "l[].a: string" {
			c.want = "l[].a: number → string, the same value"
		}
		if got != c.want {
			t.Errorf("%s and %s: %q, want %q", c.a, c.b, got, c.want)
		}
		if (got == "") != r.Same() || r.Pairs() != 1 {
			t.Errorf("%s and %s: same %v, %d pairs", c.a, c.b, r.Same(), r.Pairs())
		}
	}
}

func TestRecordsArePairedByFields(t *testing.T) {
	a := docs(`{"kafka":{"partition":1,"offset":7},"v":true}`, `{"kafka":{"partition":1,"offset":8},"v":true}`, `{"v":"no key"}`, `{"v":"none"}`)
	b := docs(`{"kafka.offset":"8","kafka.partition":1,"v":false}`, `{"v":"no key"}`, `{"kafka":{"partition":1,"offset":9},"v":true}`)
	r := compared(t, a, b, Options{Key: []string{"[kafka][partition]", "kafka.offset"}})
	if r.Equal != 1 || r.Different != 1 || r.OnlyA != 2 || r.OnlyB != 1 || r.A.NoKey != 2 || r.B.NoKey != 1 {
		t.Errorf("%+v", r)
	}
	if len(r.Changes) == 0 || r.Changes[0].Examples[0].Key != "1 8" {
		t.Errorf("%+v", r.Changes)
	}
	if len(r.ExamplesB) != 1 || r.ExamplesB[0].Key != "1 9" {
		t.Errorf("%+v", r.ExamplesB)
	}
}

func TestAKeyThatIsThereSeveralTimesIsPairedByContentFirst(t *testing.T) {
	a := records{{Key: []byte("k"), Body: []byte(`{"n":1}`)}, {Key: []byte("k"), Body: []byte(`{"n":2}`)}, {Key: []byte("k"), Body: []byte(`{"n":2}`)}}
	b := records{{Key: []byte("k"), Body: []byte(`{"n":2}`)}, {Key: []byte("k"), Body: []byte(`{ "n":1}`)}}
	r := compared(t, a, b, Options{})
	if r.Equal != 2 || r.Different != 0 || r.OnlyA != 1 || r.OnlyB != 0 || r.A.Repeated != 2 || r.B.Repeated != 1 {
		t.Errorf("%+v", r)
	}
}

func TestMoreRecordsOfOneKeyThanAreHeldArePairedPieceByPiece(t *testing.T) {
	var a records
	for i := range 3*mostOfKey + 5 {
		a = append(a, flow.Record{Key: []byte("k"), Body: fmt.Append(nil, `{"n":`, i, `}`)})
	}
	b := slices.Clone(a)
	slices.Reverse(b)
	if r := compared(t, a, b[1:], Options{MemoryBytes: 1}); r.Equal+r.Different != int64(len(b)-1) || r.OnlyA != 1 || r.OnlyB != 0 || r.A.Repeated != int64(len(a)-1) {
		t.Errorf("%+v", r)
	}
	if r := compared(t, a, b, Options{MemoryBytes: 1}); !r.Same() {
		t.Errorf("%+v", r)
	}
}

func TestIgnoredFieldsAreNotCompared(t *testing.T) {
	a := docs(`{"agent":{"id":1,"x":{"y":1}},"event":{"ingested":"a"},"l":[{"a":1,"b":1}],"v":true}`)
	b := docs(`{"agent":{"id":2},"event.ingested":"b","l":[{"a":2,"b":1}],"v":false}`)
	r := compared(t, a, b, Options{Ignore: []string{"agent", "[event][ingested]", "l.*"}})
	if got := strings.Join(whats(r), ", "); got != "v: another value ×1" {
		t.Error(got)
	}
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{{"a", "a", true}, {"a", "a.b", false}, {"a.*", "a.b.c", true}, {"*.id", "host.id", true}, {"*.id", "id", false}, {"a*c", "abc", true}, {"a*c", "ab", false}} {
		if got := matches(c.pattern, c.path); got != c.want {
			t.Errorf("%s, %s: %v", c.pattern, c.path, got)
		}
	}
}

func TestTheWindowLeavesOutWhatIsOutside(t *testing.T) {
	a := docs(`{"@timestamp":"2026-11-24T09:59:59.999Z"}`, `{"@timestamp":"2026-11-24T10:00:00Z"}`, `{"@timestamp":1795516200000}`, `{"@timestamp":"2026-11-24T11:00:00Z"}`, `{}`)
	w := Window{time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)}
	r := compared(t, a, a, Options{Window: w})
	if r.A.Read != 5 || r.A.Outside != 3 || r.Equal != 2 {
		t.Errorf("%+v", r)
	}
}

func TestASampleHasTheSameKeysOnBothSides(t *testing.T) {
	var a, b records
	for i := range 10_000 {
		a = append(a, flow.Record{Key: fmt.Append(nil, i), Body: []byte(`{}`)})
		b = append(b, flow.Record{Key: fmt.Append(nil, 9_999-i), Body: []byte(`{}`)})
	}
	r := compared(t, a, b, Options{Sample: 0.01})
	if !r.Same() || r.Equal < 50 || r.Equal > 160 {
		t.Errorf("%+v", r)
	}
}

// aDocument draws documents as pipelines make them.
func aDocument() *rapid.Generator[string] {
	value := rapid.SampledFrom([]string{`1`, `"a"`, `"b c"`, `null`, `true`, `[1,2]`, `["x"]`, `{"p":1,"q.r":"s"}`, `[{"k":1}]`, `"2026-11-24T10:00:00Z"`, `1.50`})
	name := rapid.SampledFrom([]string{"a", "b", "a.c", "d.e.f", "message", "@timestamp", "é"})
	return rapid.Custom(func(t *rapid.T) string {
		var parts []string
		for k, v := range rapid.MapOfN(name, value, 0, 5).Draw(t, "fields") {
			parts = append(parts, fmt.Sprintf("%q:%s", k, v))
		}
		return "{" + strings.Join(parts, ",") + "}"
	})
}

func TestASetDoesNotDifferFromItself(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bodies := rapid.SliceOf(aDocument()).Draw(rt, "documents")
		keys := rapid.IntRange(1, 20).Draw(rt, "keys") // some are there several times, and 0 means none
		var a records
		for i, b := range bodies {
			r := flow.Record{Body: []byte(b)}
			if k := i % keys; k > 0 {
				r.Key = fmt.Append(nil, k)
			}
			a = append(a, r)
		}
		b := rapid.Permutation(a).Draw(rt, "order")
		o := Options{MemoryBytes: 1}
		if rapid.Bool().Draw(rt, "by a field") {
			o.Key = []string{"message"}
		}
		r := compared(t, a, b, o)
		if !r.Same() || r.Equal != int64(len(a)) || len(r.Changes)+len(r.Moves)+len(r.Patterns) > 0 {
			rt.Fatalf("%+v", r)
		}
	})
}

func TestEditsAreFoundExactly(t *testing.T) {
	type edit struct {
		what  string
		apply func(fields map[string]string)
	}
	edits := []edit{
		{"status: string → number, the same value", func(f map[string]string) { f["status"] = "200" }},
		{"verb: case", func(f map[string]string) { f["verb"] = `"get"` }},
		{"took: removed", func(f map[string]string) { delete(f, "took") }},
		{"new: added", func(f map[string]string) { f["new"] = "true" }},
		{"tags: has _failure", func(f map[string]string) { f["tags"] = `["web","_failure"]` }},
		{"@timestamp: time precision", func(f map[string]string) { f["@timestamp"] = `"2026-11-24T10:00:00.000Z"` }},
		{"message: another value", func(f map[string]string) { f["message"] = `"otherwise"` }},
		{"gone", nil},
		{"come", nil},
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(rt, "records")
		want := map[string]int{}
		var a, b records
		patterns := map[string]int{}
		for i := range n {
			fields := map[string]string{
				"status": `"200"`, "verb": `"GET"`, "took": "false", "tags": `["web"]`, "@timestamp": `"2026-11-24T10:00:00Z"`, "message": fmt.Sprintf(`"line %d"`, i),
			}
			before := written(fields)
			chosen := map[string]bool{}
			for _, k := range rapid.SliceOfN(rapid.IntRange(0, len(edits)-1), 0, 3).Draw(rt, "edits") {
				chosen[edits[k].what] = true
			}
			key := fmt.Append(nil, "id-", i)
			var names []string
			switch {
			case chosen["gone"]:
				want["gone"]++
				a = append(a, flow.Record{Key: key, Body: before})
				continue
			case chosen["come"]:
				want["come"]++
				b = append(b, flow.Record{Key: key, Body: before})
				continue
			}
			for _, e := range edits {
				if e.apply != nil && chosen[e.what] {
					e.apply(fields)
					want[e.what]++
					names = append(names, e.what)
				}
			}
			if len(names) > 0 {
				slices.Sort(names)
				patterns[strings.Join(names, "; ")]++
			}
			a = append(a, flow.Record{Key: key, Body: before})
			b = append(b, flow.Record{Key: key, Body: written(fields)})
		}
		r := compared(t, a, b, Options{MemoryBytes: 1})
		got := map[string]int{}
		for _, c := range r.Changes {
			got[c.What()] = int(c.Documents)
			if len(c.Examples) != min(int(c.Documents), 3) {
				rt.Errorf("%s: %d examples", c.What(), len(c.Examples))
			}
		}
		if r.OnlyA > 0 {
			got["gone"] = int(r.OnlyA)
		}
		if r.OnlyB > 0 {
			got["come"] = int(r.OnlyB)
		}
		if d := cmp.Diff(want, got); d != "" || len(r.Moves) > 0 {
			rt.Fatalf("%s %+v", d, r.Moves)
		}
		gotPatterns := map[string]int{}
		for _, p := range r.Patterns {
			slices.Sort(p.Changes)
			gotPatterns[strings.Join(p.Changes, "; ")] = int(p.Documents)
		}
		if d := cmp.Diff(patterns, gotPatterns); d != "" && len(patterns) <= mostShownPatterns {
			rt.Fatal(d)
		}
	})
}

func written(fields map[string]string) []byte {
	var b bytes.Buffer
	for k, v := range fields {
		fmt.Fprintf(&b, ",%q:%s", k, v)
	}
	return append(append([]byte("{"), b.Bytes()[1:]...), '}')
}

// made is a source of many records that are made as they are read, in an order of its own.
type made struct {
	n, step int
	body    func(i int) string
}

func (m made) Read(_ context.Context, visit func([]flow.Record) error) error {
	for i := 0; i < m.n; i += 1000 {
		var recs []flow.Record
		for k := i; k < min(i+1000, m.n); k++ {
			at := k * m.step % m.n
			recs = append(recs, flow.Record{Key: fmt.Appendf(nil, "id-%08d", at), Body: []byte(m.body(at))})
		}
		if err := visit(recs); err != nil {
			return err
		}
	}
	return nil
}

func TestAMillionRecordsAreComparedInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const n, memory = 1_000_000, 16 << 20
	body := func(i int) string {
		return fmt.Sprintf(`{"@timestamp":"2026-11-24T10:00:00.000Z","n":%d,"message":"GET /index/%d HTTP/1.1 and what a line of a log says beside that","host":{"name":"web-%d"}}`, i, i*7, i%100)
	}
	a := made{n, 7, body}
	b := made{n, 11, func(i int) string {
		if i%100_000 == 5 {
			return strings.Replace(body(i), `"n":`, `"n":"x","m":`, 1)
		}
		return body(i)
	}}
	var most atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapAlloc))
			}
		}
	}()
	dir := t.TempDir()
	r := compared(t, a, b, Options{MemoryBytes: memory, Dir: dir})
	close(stop)
	<-done
	if r.Equal != n-10 || r.Different != 10 || r.OnlyA+r.OnlyB != 0 {
		t.Errorf("%+v", r)
	}
	if most.Load() > 6*memory {
		t.Errorf("%d MiB of heap for %d MiB of records", most.Load()>>20, memory>>20)
	}
	t.Logf("%d MiB of heap at most", most.Load()>>20)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestManyRunsAreMergedIntoOne(t *testing.T) {
	const n = 23_000 // a little more than mostRuns of the smallest runs
	body := func(i int) string { return fmt.Sprintf(`{"n":%d,"pad":%q}`, i, strings.Repeat("x", 5000)) }
	dir := t.TempDir()
	r := compared(t, made{n, 7, body}, made{n, 3, body}, Options{MemoryBytes: 1, Dir: dir})
	if r.Equal != n || !r.Same() {
		t.Errorf("%+v", r)
	}
}

func TestNoRoomForFilesIsAnErrorThatSaysWhatToDo(t *testing.T) {
	s := newSorter(filepath.Join(t.TempDir(), "nowhere"), 1)
	var err error
	for i := 0; i < 10 && err == nil; i++ {
		err = s.add(fmt.Append(nil, i), nil, make([]byte, 1<<20))
	}
	if err == nil || !strings.Contains(err.Error(), "another folder") {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a.b":1,"a":{"c":[{},null,"\ud83d\ude00"]}}`, `{"a":1e+5,"a":-0.0}`, `{`, `[]`, `{"a":"\`, `{"a.":1,"..":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := parse(doc)
		if err != nil {
			return
		}
		out := n.json()
		again, err := parse(out)
		if err != nil {
			t.Fatalf("%s became %s: %v", doc, out, err)
		}
		if !bytes.Equal(again.json(), out) {
			t.Fatalf("%s became %s, then %s", doc, out, again.json())
		}
		w := walk{skip: func(string) bool { return false }}
		if found := w.documents(n, again); len(found) > 0 {
			for _, d := range found {
				if d.class != classNesting {
					t.Fatalf("%s became %s: %s %s %s", doc, out, d.path, d.kind, d.class)
				}
			}
		}
	})
}
