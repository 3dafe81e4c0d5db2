package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

// rec is a flow.Record that can be compared.
type rec struct {
	Index, Type, Key string
	Routing, Body    string // "-": none
}

func plainRec(r *flow.Record) rec {
	p := rec{Index: r.Index, Type: r.Type, Key: string(r.Key), Routing: "-", Body: "-"}
	if r.Routing != nil {
		p.Routing = string(r.Routing)
	}
	if r.Body != nil {
		p.Body = string(r.Body)
	}
	return p
}

func (p rec) record() flow.Record {
	r := flow.Record{Index: p.Index, Type: p.Type, Key: []byte(p.Key)}
	if p.Routing != "-" {
		r.Routing = []byte(p.Routing)
	}
	if p.Body != "-" {
		r.Body = []byte(p.Body)
	}
	return r
}

func records(ps []rec) []flow.Record {
	rs := make([]flow.Record, len(ps))
	for i, p := range ps {
		rs[i] = p.record()
	}
	return rs
}

func sorted(ps []rec) []rec {
	ps = slices.Clone(ps)
	slices.SortFunc(ps, func(a, b rec) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return ps
}

// readAll reads a source to its end, in batches of n records.
func readAll(t testing.TB, src *Source, n int) []rec {
	t.Helper()
	var all []rec
	for p, err := range src.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, readPart(t, src, p, nil, n)...)
	}
	return all
}

func readPart(t testing.TB, src *Source, p flow.Part, from flow.Position, n int) []rec {
	t.Helper()
	r, err := src.Open(t.Context(), p, from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []rec
	b := &flow.Batch{MaxRecords: n}
	for {
		err := r.Read(t.Context(), b)
		for i := range b.Records {
			all = append(all, plainRec(&b.Records[i]))
		}
		b.Reset()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// write writes and commits records through a branch, with one checkpoint.
func write(s *Sink, part string, ps ...rec) error {
	ctx := context.Background()
	w, err := s.Branch(ctx)
	if err != nil {
		return err
	}
	b := w.(*Branch)
	if err := b.Write(ctx, records(ps)); err != nil {
		return errors.Join(err, b.Close(ctx))
	}
	if err := b.Commit(ctx, []flow.Checkpoint{{Part: part, Done: true, Tally: flow.Tally{Read: int64(len(ps))}}}); err != nil {
		return errors.Join(err, b.Close(ctx))
	}
	return b.Close(ctx)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openTest(t testing.TB, cfg Config) *Sink {
	t.Helper()
	s, err := OpenSink(cfg)
	must(t, err)
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// tree lists the files under dir, but for the lock and the temporary directory.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			if name != filepath.FromSlash(lockName) {
				names = append(names, filepath.ToSlash(name))
			}
		}
		return err
	}))
	return names
}

var awkward = []rec{
	{"logs", "", "1", "-", `{"a":1}`},
	{"logs", "", "2", "", `{"a":"` + strings.Repeat("x", 5000) + `"}`},
	{"logs", "event", "quote\" back\\slash \n\r\t\b\f \x01\x1f\x7f", "r/\u2028", ` {"a" : [1, "}\\\"{"]}  `},
	{"logs", "_doc", "한국어/키 😀", "한", `{"한":"국","e":"\ud83d\ude00"}`},
	{"logs", "", "", "-", `{}`},
	{"logs", "", "no-source", "-", "-"},
	{".ds-logs-000001", "", "3", "-", `{"@timestamp":"2024-01-01T00:00:00.000Z"}`},
	{"a%b", "", "4", "-", `{"n":-0.0}`},
	{"..", "", "5", "-", `{"n":123456789012345678901234567890}`},
	{"한국어-로그", "", "6", "-", `{"a.b":{"c":null}}`},
	{strings.Repeat("인덱스", 85), "", "7", "-", `[1]`},
	{"", "", "8", "-", `null`},
	{"manifest.json", "", "9", "-", `{"_id":"not the id","_source":{}}`},
	{"_dead", "", "10", "-", `{"t":true}`},
}

func TestAnArchiveGivesBackEveryRecordByteForByte(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		t.Run(format, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "archive")
			want := slices.Clone(awkward)
			if format == NDJSON { // Parquet's text cannot hold these
				want = append(want,
					rec{"logs", "", "bad \xff\xfe id", "\x80", `{"a":"` + "\xff" + `"}`},
					rec{"bad\xffindex", "bad\xfftype", "x", "-", `{}`},
					rec{"logs", "", "really \uFFFD", "-", `{}`})
			}
			big := rec{"logs", "", "big", "-", `{"a":"` + strings.Repeat("0123456789", 700_000) + `"}`}
			want = append(want, big, rec{"logs", "", "after", "-", `{}`})
			s := openTest(t, Config{Dir: dir, Format: format})
			must(t, s.Prepare(t.Context(), []flow.Group{
				{Name: "logs", Records: 7, Grade: flow.Partial, Why: "for a reason", Meta: json.RawMessage(`{"mappings":{"properties":{"a":{"type":"keyword"}}}}`)},
				{Name: "empty", Grade: flow.Lossless, Meta: json.RawMessage(`{"mappings":{},"settings":{"x":1}}`)},
			}))
			must(t, write(s, "p", want...))
			if _, err := OpenSource(t.Context(), dir); !errors.Is(err, ErrIncomplete) {
				t.Errorf("an archive without a manifest opens with %v", err)
			}
			early, err := OpenCommitted(t.Context(), dir)
			must(t, err)
			if diff := cmp.Diff(sorted(want), sorted(readAll(t, early, 3))); diff != "" {
				t.Errorf("committed:\n%s", diff)
			}
			must(t, early.Close())
			must(t, s.Finish(t.Context()))
			must(t, s.Close(t.Context()))

			src, err := OpenSource(t.Context(), dir)
			must(t, err)
			defer src.Close()
			for _, n := range []int{1, 2, 1000} {
				if diff := cmp.Diff(sorted(want), sorted(readAll(t, src, n))); diff != "" {
					t.Fatalf("batches of %d:\n%s", n, diff)
				}
			}
			var h flow.Hasher
			var bytes int64
			for _, r := range records(want) {
				h.Add(&r)
				bytes += int64(len(r.Body))
			}
			m := src.Manifest()
			if m.Totals.Records != int64(len(want)) || m.Totals.Digest != h.Sum || m.Totals.BodyBytes != bytes || m.Totals.Bodiless != 1 {
				t.Errorf("totals %+v; want %d records, %d bytes, digest %s", m.Totals, len(want), bytes, h.Sum)
			}
			groups, err := src.Groups(t.Context())
			must(t, err)
			at := slices.IndexFunc(groups, func(g flow.Group) bool { return g.Name == "logs" })
			if g := groups[at]; g.Grade != flow.Partial || g.Why != "for a reason" || !strings.Contains(string(g.Meta), "keyword") {
				t.Errorf("group %+v", g)
			}
			at = slices.IndexFunc(groups, func(g flow.Group) bool { return g.Name == "empty" })
			if g := groups[at]; g.Records != 0 || !strings.Contains(string(g.Meta), "settings") {
				t.Errorf("group %+v", g)
			}
			for _, name := range tree(t, dir) {
				if strings.HasPrefix(name, tmpDir) {
					t.Errorf("%s is left over", name)
				}
			}
		})
	}
}

func TestReadingGoesOnFromAnyPosition(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, Config{Dir: dir, Format: format})
			var want []rec
			w, err := s.Branch(t.Context())
			must(t, err)
			b := w.(*Branch)
			for i := range 300 {
				r := rec{"i", "", fmt.Sprint(i), "-", fmt.Sprintf(`{"n":%d,"pad":%q}`, i, strings.Repeat("x", i%10*1000))}
				want = append(want, r)
				must(t, b.Write(t.Context(), records([]rec{r})))
				if i%70 == 0 {
					must(t, b.open["i"].w.flush()) // frames and row groups
				}
			}
			must(t, b.Commit(t.Context(), nil))
			must(t, s.Finish(t.Context()))
			src, err := OpenSource(t.Context(), dir)
			must(t, err)
			defer src.Close()
			for p := range src.Parts(t.Context()) {
				for from := 0; from <= 300; from += 7 {
					got := readPart(t, src, p, fmt.Append(nil, from), 11)
					if diff := cmp.Diff(want[from:], got, cmp.Transformer("", func(r []rec) []rec { return append([]rec{}, r...) })); diff != "" {
						t.Fatalf("from %d:\n%s", from, diff)
					}
				}
				for _, bad := range []string{"301", "-1", "x", "99999999999999999999"} {
					if _, err := src.Open(t.Context(), p, flow.Position(bad)); !flow.IsPermanent(err) {
						t.Errorf("position %q: %v", bad, err)
					}
				}
			}
		})
	}
}

func TestARecordThatTheFormatCannotKeepFailsAlone(t *testing.T) {
	bad := map[string][]string{
		NDJSON: {"", "{", `{"a":1}}`, "{\"a\":\n1}", `"x`, `{"a":1} {"b":2}`, "   "},
	}
	bad[Parquet] = append(slices.Clone(bad[NDJSON]), "{\"a\":\"\xff\"}", `{"a"}`, `{"a":1,}`)
	for format, bodies := range bad {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, Config{Dir: dir, Format: format})
			must(t, s.Prepare(t.Context(), []flow.Group{{Name: "i", Meta: json.RawMessage(`{"mappings":{"properties":{"a":{"type":"keyword"}}}}`)}}))
			var ps []rec
			for i, body := range bodies {
				ps = append(ps, rec{"i", "", fmt.Sprint("bad", i), "-", body}, rec{"i", "", fmt.Sprint("good", i), "-", "{}"})
			}
			w, err := s.Branch(t.Context())
			must(t, err)
			b := w.(*Branch)
			err = b.Write(t.Context(), append(records(ps), flow.Record{Index: "only", Body: []byte("{")}))
			failures, ok := errors.AsType[flow.Failures](err)
			if !ok || len(failures) != len(bodies)+1 {
				t.Fatalf("got %v, want %d failures", err, len(bodies)+1)
			}
			var dead []flow.Record
			var why []error
			for i, f := range failures[:len(bodies)] {
				if f.Index != 2*i || !flow.IsPermanent(f.Err) {
					t.Errorf("failure %+v", f)
				}
				dead = append(dead, ps[f.Index].record())
				why = append(why, f.Err)
			}
			must(t, b.Bury(t.Context(), dead, why))
			must(t, b.Commit(t.Context(), nil))
			must(t, s.Finish(t.Context()))
			src, err := OpenSource(t.Context(), dir)
			must(t, err)
			defer src.Close()
			if got := readAll(t, src, 10); len(got) != len(bodies) {
				t.Errorf("%d records are in the archive, want %d", len(got), len(bodies))
			}
			m := src.Manifest()
			if m.Dead.Records != int64(len(bodies)) || len(m.Dead.Files) != 1 || m.Totals.Records != int64(len(bodies)) {
				t.Fatalf("dead letters %+v", m.Dead)
			}
			for i, text := range deadLines(t, dir, m.Dead.Files[0]) {
				var l struct {
					Index  string          `json:"_index"`
					ID     string          `json:"_id"`
					Exact  []byte          `json:"_source_base64"`
					Source json.RawMessage `json:"_source"`
					Reason string          `json:"reason"`
				}
				if err := json.Unmarshal(text, &l); err != nil && !strings.Contains(bodies[i], "\xff") && l.Source == nil {
					if !isOneValue([]byte(bodies[i])) {
						t.Errorf("%s: %v", text, err)
					}
					continue
				}
				if got := string(l.Exact) + string(l.Source); l.ID != fmt.Sprint("bad", i) || got != bodies[i] && !strings.Contains(bodies[i], "\xff") || l.Reason == "" {
					t.Errorf("dead letter %s holds %q, want %q", text, got, bodies[i])
				}
			}
		})
	}
}

func deadLines(t *testing.T, dir string, f File) [][]byte {
	t.Helper()
	r, err := os.Open(filepath.Join(dir, f.Path))
	must(t, err)
	defer r.Close()
	l, err := openLines(r)
	must(t, err)
	defer l.close()
	var all [][]byte
	for {
		text, err := l.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		all = append(all, bytes.Clone(text))
	}
}

// logs makes documents like those of a web server's log, of about 400 bytes.
func logs(n int) []rec {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("GET POST PUT cart user search snapshot primary shard cluster logout timeout latency node reset request cache query payment queue")
	word := func() string { return words[r.IntN(len(words))] }
	all := make([]rec, n)
	for i := range all {
		ts := fmt.Sprintf("2019-%02d-%02dT%02d:%02d:%02d.%03dZ", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000))
		ip := fmt.Sprintf("%d.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
		path := fmt.Sprintf("/%s/%s?id=%d&q=%s", word(), word(), r.IntN(1e6), word())
		bytes := r.IntN(100000)
		body := fmt.Sprintf(`{"@timestamp":%q,"clientip":%q,"verb":"GET","request":%q,"response":200,"bytes":%d,"agent":"curl/7.52.0","host":"web-%d","took_ms":%.3f,"message":"%s - - [%s] \"GET %s HTTP/1.1\" 200 %d \"-\" \"curl/7.52.0\"","tags":[%q,%q]}`,
			ts, ip, path, bytes, r.IntN(20), r.Float64()*100, ip, ts, path, bytes, word(), word())
		all[i] = rec{"logs-2019", "", fmt.Sprintf("-1A8CaIBvTmhOG3I%08x", r.Uint32()), "-", body}
	}
	return all
}

const logMeta = `{"mappings":{"properties":{"@timestamp":{"type":"date"},"clientip":{"type":"ip"},"verb":{"type":"keyword"},"request":{"type":"keyword"},"response":{"type":"short"},"bytes":{"type":"long"},"agent":{"type":"keyword"},"host":{"type":"keyword"},"took_ms":{"type":"double"},"message":{"type":"text"},"tags":{"type":"keyword"}}}}`
