package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

// rec is a record of the index "i": "id", "id routing" or "id routing body"; a routing of - is none.
func rec(text string) flow.Record {
	r := flow.Record{Index: "i"}
	f := strings.Fields(text)
	r.Key = []byte(f[0])
	r.Body = []byte(`{}`)
	if len(f) > 1 && f[1] != "-" {
		r.Routing = []byte(f[1])
	}
	if len(f) > 2 {
		r.Body = []byte(f[2])
	}
	return r
}

// source puts records into parts of their index, by turns.
func source(parts int, recs ...flow.Record) *flowtest.Feed {
	f := new(flowtest.Feed)
	byIndex := map[string][]*flowtest.Piece{}
	seen := map[string]int{}
	for _, r := range recs {
		if byIndex[r.Index] == nil {
			for p := range parts {
				byIndex[r.Index] = append(byIndex[r.Index], &flowtest.Piece{Part: flow.Part{ID: fmt.Sprintf("%s/%d", r.Index, p), Group: r.Index}})
			}
		}
		p := byIndex[r.Index][seen[r.Index]%parts]
		seen[r.Index]++
		p.Records = append(p.Records, r)
	}
	for _, name := range slices.Sorted(maps.Keys(byIndex)) {
		for _, p := range byIndex[name] {
			f.Pieces = append(f.Pieces, *p)
		}
	}
	return f
}

func recs(texts ...string) []flow.Record {
	var out []flow.Record
	for _, t := range texts {
		out = append(out, rec(t))
	}
	return out
}

func compare(t *testing.T, a, b flow.Source, o Options) Report {
	t.Helper()
	r, err := Compare(t.Context(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// differences prints what a group's differences are.
func differences(g *Group) []string {
	var out []string
	for _, d := range g.Differences {
		out = append(out, fmt.Sprintf("%s: %d %v", d.Kind, d.Records, d.IDs))
	}
	return out
}

func TestEveryKindOfDifferenceIsFound(t *testing.T) {
	same := recs("s1", "s2 r", `s3 - {"a":1}`)
	for _, c := range []struct {
		what string
		a, b []flow.Record
		want []string
	}{
		{"missing", recs("x", "y"), recs("y"), []string{"missing in B: 1 [x]"}},
		{"added", recs("y"), recs("y", "x"), []string{"missing in A: 1 [x]"}},
		{"another body", recs("x - 1"), recs("x - 2"), []string{"other body: 1 [x]"}},
		{"routing only", recs("x r1 1"), recs("x r2 1"), []string{"other routing: 1 [x]"}},
		{"no routing", recs("x r1 1"), recs("x - 1"), []string{"other routing: 1 [x]"}},
		{"body and routing", recs("x r1 1"), recs("x r2 2"), []string{"other body, routing: 1 [x]"}},
		{"swapped bodies", recs("x - 1", "y - 2"), recs("x - 2", "y - 1"), []string{"other body: 2 [x y]"}},
		{"swapped ids and counts", recs("x - 1", "y - 1"), recs("x - 1", "z - 1"), []string{"missing in B: 1 [y]", "missing in A: 1 [z]"}},
		{"twice in B", recs("x - 1"), recs("x - 1", "x - 1"), []string{"fewer in A: 1 [x]"}},
		{"three times in A", recs("x - 1", "x - 1", "x - 1"), recs("x - 1"), []string{"fewer in B: 2 [x]"}},
		{"twice, one changed", recs("x - 1", "x - 1"), recs("x - 1", "x - 2"), []string{"other body: 1 [x]"}},
		{"twice, both changed", recs("x r 1", "x - 2"), recs("x - 1", "x - 3"), []string{"other body: 1 [x]", "other routing: 1 [x]"}},
		{"no body", []flow.Record{{Index: "i", Key: []byte("x")}}, recs("x - 1"), []string{"other body: 1 [x]"}},
		{"empty body is not none", []flow.Record{{Index: "i", Key: []byte("x")}}, []flow.Record{{Index: "i", Key: []byte("x"), Body: []byte{}}}, []string{"other body: 1 [x]"}},
		{"empty routing is not none", []flow.Record{{Index: "i", Key: []byte("x"), Routing: []byte{}}}, []flow.Record{{Index: "i", Key: []byte("x")}}, []string{"other routing: 1 [x]"}},
		{"many at once", recs("m1", "m2", "b - 1", "d - 1"), recs("n", "b - 2", "d - 1", "d - 1"),
			[]string{"missing in B: 2 [m1 m2]", "missing in A: 1 [n]", "fewer in A: 1 [d]", "other body: 1 [b]"}},
	} {
		for _, memory := range []int64{0, 1, 400} { // without buckets, too, and in many passes
			a, b := source(2, append(slices.Clone(same), c.a...)...), source(3, append(slices.Clone(c.b), same...)...)
			r := compare(t, a, b, Options{MemoryBytes: memory, MaxPasses: 1000})
			if len(r.Groups) != 1 || r.Groups[0].State != Differ || r.Equal || !r.Complete {
				t.Errorf("%s: %+v", c.what, r)
				continue
			}
			if memory == 1 {
				if r.Groups[0].Unexamined == 0 {
					t.Errorf("%s: all was examined in one byte of memory", c.what)
				}
				continue
			}
			if diff := gocmp.Diff(c.want, differences(&r.Groups[0])); diff != "" || r.Groups[0].Unexamined != 0 {
				t.Errorf("%s with %d bytes: %d unexamined (-want +got)\n%s", c.what, memory, r.Groups[0].Unexamined, diff)
			}
		}
	}
}

func TestEqualSourcesAreReadOnceAndEqualWhateverTheirOrderAndParts(t *testing.T) {
	all := flowtest.NewFeed(6, 3, 500).All()
	turned := slices.Clone(all)
	slices.Reverse(turned)
	r := compare(t, source(1, all...), source(4, turned...), Options{})
	if !r.Equal || !r.Complete || r.Passes != 1 || r.A != r.B || r.A.Records != 3000 || len(r.Groups) != 3 {
		t.Errorf("%+v", r)
	}
	if want := flowtest.Digest(all); r.A.Digest != want {
		t.Errorf("the digest is %v, want %v", r.A.Digest, want)
	}
}

func TestAGroupIsOnlyOnOneSide(t *testing.T) {
	a, b := source(1, recs("x", "y")...), source(1)
	b.About = []flow.Group{{Name: "empty-in-b"}}
	b.Pieces = append(b.Pieces, flowtest.Piece{Part: flow.Part{ID: "o/0", Group: "o"}, Records: []flow.Record{{Index: "o", Key: []byte("k")}}})
	a.About = []flow.Group{{Name: "empty-in-a"}, {Name: "i"}, {Name: "known"}}
	a.Pieces = append(a.Pieces, flowtest.Piece{Part: flow.Part{ID: "known/0", Group: "known"}, Records: []flow.Record{{Index: "known", Key: []byte("k")}}})
	b.About = append(b.About, flow.Group{Name: "known"})
	r := compare(t, a, b, Options{})
	got := map[string]State{}
	for _, g := range r.Groups {
		got[g.Name] = g.State
	}
	want := map[string]State{"i": OnlyInA, "o": OnlyInB, "empty-in-a": Equal, "empty-in-b": Equal, "known": Differ}
	if diff := gocmp.Diff(want, got); diff != "" || r.Equal {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOnlyTheChosenIndicesAreCompared(t *testing.T) {
	f := flowtest.NewFeed(4, 4, 10)
	r := compare(t, f, source(1, f.Pieces[1].Records...), Options{Indices: flow.Patterns{"index-1"}})
	if !r.Equal || len(r.Groups) != 1 || r.Groups[0].Name != "index-1" {
		t.Errorf("%+v", r)
	}
	if opened, open := f.Readers(); opened != 1 || open != 0 {
		t.Errorf("%d parts were opened, %d are open", opened, open)
	}
}

func TestAPartThatCannotBeReadLeavesItsGroupUnread(t *testing.T) {
	all := flowtest.NewFeed(4, 2, 50).All()
	a, b := source(2, all...), source(2, all...)
	broken := flow.Permanent(errors.New("blob __x: checksum"))
	b.Pieces[1].Broken = broken
	r := compare(t, a, &failing{Feed: b, part: "index-1/0", after: 10, err: broken}, Options{})
	if r.Equal || r.Complete {
		t.Errorf("%+v", r)
	}
	for _, g := range r.Groups {
		if g.State != Unread {
			t.Errorf("%s is %s", g.Name, g.State)
		}
	}
	var failed []string
	for _, f := range r.Failed {
		failed = append(failed, fmt.Sprintf("%s %s %s: %s", f.Side, f.Group, f.Part, f.Error))
		if !errors.Is(f.Err, broken) {
			t.Errorf("%v", f.Err)
		}
	}
	want := []string{"B index-0 index-0/1: blob __x: checksum", "B index-1 index-1/0: blob __x: checksum"}
	if diff := gocmp.Diff(want, failed); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAPartThatFailsOnlyTheSecondTimeLeavesTheDifferenceUnexamined(t *testing.T) {
	a, b := source(1, recs("x", "y")...), source(1, recs("x")...)
	r := compare(t, a, &failing{Feed: b, part: "i/0", from: 2, err: flow.Permanent(errors.New("gone"))}, Options{})
	if r.Equal || r.Complete || len(r.Failed) != 1 || r.Groups[0].State != Differ || r.Groups[0].Unexamined != 1 {
		t.Errorf("%+v", r)
	}
}

func TestAnErrorThatPassesIsTriedAgainFromWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := flowtest.NewFeed(2, 1, 100).All()
		b := source(1, all...)
		b.Step = 7
		r := compare(t, source(1, all...), &failing{Feed: b, part: "index-0/0", after: 50, times: retries, err: errors.New("reset")}, Options{})
		if !r.Equal || !r.Complete {
			t.Errorf("%+v", r)
		}
		r = compare(t, source(1, all...), &failing{Feed: b, part: "index-0/0", after: 50, times: retries + 1, err: errors.New("reset")}, Options{})
		if r.Complete || r.Groups[0].State != Unread {
			t.Errorf("%+v", r)
		}
	})
}

// failing is a feed one part of which fails.
type failing struct {
	*flowtest.Feed
	part  string
	after int // records
	from  int // the opening from which on it fails; 0: at once
	times int // 0: always
	err   error

	opened, failed, read int
}

func (f *failing) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r, err := f.Feed.Open(ctx, p, from)
	if err != nil || p.ID != f.part {
		return r, err
	}
	f.opened++
	if f.opened < f.from {
		return r, nil
	}
	if from == nil {
		f.read = 0
	}
	return &failingReader{Reader: r, f: f}, nil
}

type failingReader struct {
	flow.Reader
	f *failing
}

func (r *failingReader) Read(ctx context.Context, b *flow.Batch) error {
	if r.f.read >= r.f.after && (r.f.times == 0 || r.f.failed < r.f.times) {
		r.f.failed++
		b.Records = append(b.Records, flow.Record{Index: "i", Key: []byte("half a batch")})
		return r.f.err
	}
	if r.f.after > 0 {
		b.MaxRecords = max(1, r.f.after-r.f.read)
		defer func() { b.MaxRecords = batchRecords }()
	}
	err := r.Reader.Read(ctx, b)
	r.f.read += len(b.Records)
	return err
}

func TestASourceThatCannotSayWhatItHoldsIsAnError(t *testing.T) {
	b := source(1, recs("x")...)
	b.Pieces = append([]flowtest.Piece{{Broken: errors.New("no index-N")}}, b.Pieces...)
	if _, err := Compare(t.Context(), source(1, recs("x")...), b, Options{}); err == nil || err.Error() != "B: no index-N" {
		t.Errorf("%v", err)
	}
}

func TestAnEndedContextIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := flowtest.NewFeed(8, 2, 5000)
	_, err := Compare(ctx, f, f, Options{Progress: func(Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, open := f.Readers(); open != 0 {
		t.Errorf("%d readers are open", open)
	}
}

// odd keeps records with an odd last digit of the id, upper-cases bodies, and refuses the id "bad".
type odd struct{}

func (odd) Process(_ context.Context, b *flow.Batch) error {
	kept := b.Records[:0]
	var fs flow.Failures
	for _, r := range b.Records {
		if r.Key[len(r.Key)-1]%2 == 1 || string(r.Key) == "bad" {
			r.Body = []byte(strings.ToUpper(string(r.Body)))
			if string(r.Key) == "bad" {
				fs = append(fs, flow.Failure{Index: len(kept), Err: errors.New("bad")})
			}
			kept = append(kept, r)
		}
	}
	b.Records = kept
	if fs != nil {
		return fs
	}
	return nil
}

func TestStagesApplyToA(t *testing.T) {
	a := source(2, recs("k1 - a", "k2 - b", "k3 - c", "bad - x", "k5 - e")...)
	r := compare(t, a, source(1, recs("k1 - A", "k3 - C", "k5 - E")...), Options{Stages: []flow.Stage{odd{}}})
	if !r.Equal || r.A.Records != 3 || r.Groups[0].Refused != 1 {
		t.Errorf("%+v", r)
	}
	r = compare(t, a, source(1, recs("k1 - A", "k3 - x", "k5 - E")...), Options{Stages: []flow.Stage{odd{}}})
	if diff := gocmp.Diff([]string{"other body: 1 [k3]"}, differences(&r.Groups[0])); diff != "" || r.Groups[0].Refused != 1 {
		t.Errorf("%+v\n%s", r, diff)
	}
}

// holding keeps the records of each part until it is flushed.
type holding struct{ recs []flow.Record }

func (*holding) Fork() flow.Stage { return &holding{} }
func (h *holding) Held() int      { return len(h.recs) }
func (h *holding) Process(_ context.Context, b *flow.Batch) error {
	for _, r := range b.Records {
		h.recs = append(h.recs, flowtest.Clone(r))
	}
	b.Records = b.Records[:0]
	return nil
}
func (h *holding) Flush(_ context.Context, b *flow.Batch) error {
	b.Records, h.recs = append(b.Records, h.recs...), nil
	return nil
}

func TestAStageThatHoldsRecordsIsFlushedAtTheEndOfEachPart(t *testing.T) {
	all := recs("k1 - a", "k2 - b", "k3 - c")
	r := compare(t, source(2, all...), source(1, recs("k1 - A", "k3 - C")...), Options{Stages: []flow.Stage{&holding{}, odd{}, &holding{}}})
	if !r.Equal || r.A.Records != 2 {
		t.Errorf("%+v", r)
	}
}

type broken struct{}

func (broken) Process(context.Context, *flow.Batch) error { return errors.New("no key") }

func TestAStageThatDoesNotWorkIsAnError(t *testing.T) {
	f := flowtest.NewFeed(2, 2, 10)
	if _, err := Compare(t.Context(), f, f, Options{Stages: []flow.Stage{broken{}}}); err == nil || !strings.Contains(err.Error(), "no key") {
		t.Errorf("%v", err)
	}
}

func TestTalliesAreComparedWithWhatIsRead(t *testing.T) {
	f := flowtest.NewFeed(4, 2, 100)
	want := map[string]flow.Tally{}
	for _, p := range f.Pieces {
		t := want[p.Group]
		t.Add(flow.Tally{Read: 120, Delivered: 100, Dead: 20, Bytes: int64(bodyBytes(p.Records)), Digest: flowtest.Digest(p.Records)})
		want[p.Group] = t
	}
	tallies := func(change func(map[string]flow.Tally)) Report {
		m := maps.Clone(want)
		change(m)
		r, err := CompareTallies(t.Context(), m, f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := tallies(func(map[string]flow.Tally) {}); !r.Equal || r.A != r.B || r.A.Records != 400 || r.Passes != 1 {
		t.Errorf("%+v", r)
	}
	r := tallies(func(m map[string]flow.Tally) {
		x := m["index-1"]
		x.Digest.Lo++
		m["index-1"] = x
		m["lost"] = flow.Tally{Delivered: 1}
		m["empty"] = flow.Tally{Read: 5, Dead: 5}
	})
	got := map[string]State{}
	for _, g := range r.Groups {
		got[g.Name] = g.State
	}
	if diff := gocmp.Diff(map[string]State{"index-0": Equal, "index-1": Differ, "lost": OnlyInA, "empty": Equal}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r = tallies(func(m map[string]flow.Tally) { delete(m, "index-0") })
	if r.Equal || r.Groups[0].State != OnlyInB {
		t.Errorf("%+v", r)
	}
}

func TestExamplesAreFewAndTheCountsAreAll(t *testing.T) {
	var a []flow.Record
	for i := range 5000 {
		a = append(a, rec(fmt.Sprintf("id-%d - 1", i)))
	}
	var before []Difference
	for _, memory := range []int64{0, 100 << 10, 20 << 10} {
		r := compare(t, source(3, a...), source(2, a[:10]...), Options{Examples: 3, MemoryBytes: memory, MaxPasses: 1000})
		g := r.Groups[0]
		if len(g.Differences) != 1 || g.Differences[0].Records != 4990 || len(g.Differences[0].IDs) != 3 || g.Unexamined != 0 {
			t.Fatalf("%d bytes: %+v", memory, g)
		}
		if memory > 0 && r.Passes < 4 {
			t.Errorf("%d bytes: %d passes", memory, r.Passes)
		}
		if before != nil {
			if diff := gocmp.Diff(before, g.Differences); diff != "" {
				t.Errorf("%d bytes: other examples\n%s", memory, diff)
			}
		}
		before = g.Differences
	}
}

func TestWhatThePassesDoNotReachIsReportedAsUnexamined(t *testing.T) {
	var a []flow.Record
	for i := range 5000 {
		a = append(a, rec(fmt.Sprintf("id-%d - 1", i)))
	}
	r := compare(t, source(3, a...), source(2, a[:10]...), Options{MemoryBytes: 50 << 10, MaxPasses: 2})
	g := r.Groups[0]
	if n := g.Differences[0].Records; n == 0 || n >= 4990 || g.Unexamined < 4990-n || g.Unexamined > 5010-n {
		t.Errorf("%+v", g)
	}
	r = compare(t, source(3, a...), source(2, a[:10]...), Options{MaxPasses: -1})
	if r.Passes != 1 || r.Groups[0].State != Differ || r.Groups[0].Differences != nil {
		t.Errorf("%+v", r)
	}
}

func TestRecordsOfAnotherIndexDiffer(t *testing.T) {
	a, b := source(1, recs("x")...), source(1, recs("x")...)
	b.Pieces[0].Records[0].Index = "j"
	r := compare(t, a, b, Options{})
	if diff := gocmp.Diff([]string{"other index: 1 []"}, differences(&r.Groups[0])); diff != "" {
		t.Errorf("%s", diff)
	}
}

func TestTheReportIsJSON(t *testing.T) {
	r := compare(t, source(1, recs("x - 1", "y")...), source(1, recs("x - 2", "y")...), Options{})
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"groups":[{"name":"i","state":"differ","a":{"records":2,`, `"differences":[{"kind":"other body","records":1,"ids":["x"]}]`, `"equal":false,"complete":true`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// TestComparisonsAgreeWithAModel compares random multisets under random memory with what comparing all records
// by hand gives.
func TestComparisonsAgreeWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		record := rapid.Custom(func(t *rapid.T) flow.Record {
			return rec(fmt.Sprintf("%d %s %d", rapid.IntRange(0, 8).Draw(t, "id"), rapid.SampledFrom([]string{"-", "r"}).Draw(t, "routing"), rapid.IntRange(0, 2).Draw(t, "body")))
		})
		draw := func(name string) []flow.Record {
			out := rapid.SliceOfN(record, 1, 12).Draw(t, name)
			for i := range out {
				out[i].Index = rapid.SampledFrom([]string{"i", "j"}).Draw(t, "index")
			}
			return out
		}
		a, b := draw("a"), draw("b")
		o := Options{MemoryBytes: rapid.SampledFrom([]int64{0, 2 << 10, 600}).Draw(t, "memory"), MaxPasses: 1000}
		r, err := Compare(context.Background(), source(rapid.IntRange(1, 3).Draw(t, "parts"), a...), source(1, b...), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range r.Groups {
			onlyA, onlyB, idsA, idsB := model(a, b, g.Name)
			if (g.State == Equal) != (onlyA == 0 && onlyB == 0) {
				t.Fatalf("%s is %s, the model has %d and %d left", g.Name, g.State, onlyA, onlyB)
			}
			if g.State != Differ {
				continue
			}
			n := map[Kind]int{}
			changed := 0
			for _, d := range g.Differences {
				n[d.Kind] = int(d.Records)
				if slices.Contains([]Kind{BodyDiffers, RoutingDiffers, BothDiffer}, d.Kind) {
					changed += int(d.Records)
				}
			}
			if g.Unexamined > 0 {
				continue // one id takes more than the memory
			}
			if n[MissingInB]+n[FewerInB]+changed != onlyA || n[MissingInA]+n[FewerInA]+changed != onlyB || n[MissingInB] != idsA || n[MissingInA] != idsB {
				t.Fatalf("%s: %v, the model has %d and %d left, %d and %d of them of ids that the other has not", g.Name, g.Differences, onlyA, onlyB, idsA, idsB)
			}
		}
	})
}

// model gives how many records of a group each side has beyond the other, and how many of these have an id
// that the other has not.
func model(a, b []flow.Record, group string) (onlyA, onlyB, idsA, idsB int) {
	count := func(recs []flow.Record) (all map[string]int, ids map[string]bool) {
		all, ids = map[string]int{}, map[string]bool{}
		for _, r := range recs {
			if r.Index == group {
				all[fmt.Sprintf("%s/%s/%s", r.Key, r.Routing, r.Body)]++
				ids[string(r.Key)] = true
			}
		}
		return all, ids
	}
	inA, haveA := count(a)
	inB, haveB := count(b)
	beyond := func(x, y map[string]int, have map[string]bool) (n, missing int) {
		for k, c := range x {
			if d := max(0, c-y[k]); d > 0 {
				n += d
				if id, _, _ := strings.Cut(k, "/"); !have[id] {
					missing += d
				}
			}
		}
		return n, missing
	}
	onlyA, idsA = beyond(inA, inB, haveB)
	onlyB, idsB = beyond(inB, inA, haveA)
	return onlyA, onlyB, idsA, idsB
}

func TestFoldingKeepsTheSums(t *testing.T) {
	fine, coarse := &group{bits: 6}, &group{bits: 2}
	for _, g := range []*group{fine, coarse} {
		g.buckets = [2][]bucket{make([]bucket, 1<<g.bits), make([]bucket, 1<<g.bits)}
		for i := range uint64(1000) {
			id := i * 0x9e3779b97f4a7c15
			b := &g.buckets[i%2][id>>(64-g.bits)]
			b.records++
			b.ids += int64(i)
			b.digest.Merge(flow.Digest{Hi: id, Lo: i})
		}
	}
	fine.fold(2)
	if diff := gocmp.Diff(coarse.buckets, fine.buckets, gocmp.AllowUnexported(bucket{})); diff != "" {
		t.Error(diff)
	}
}

func TestSplittingCoversEveryHashOnce(t *testing.T) {
	for _, s := range []span{{nil, 0, ^uint64(0), [2]int64{1000, 77}, 1 << 20}, {nil, 1 << 60, 1<<60 + 1<<52 - 1, [2]int64{5, 0}, 3000}} {
		parts := split([]span{s}, 1000)
		next, n := s.lo, int64(0)
		for _, p := range parts {
			if p.lo != next || p.hi < p.lo || p.bytes > 1000 {
				t.Fatalf("%+v after %x", p, next)
			}
			next, n = p.hi+1, n+p.both()
		}
		if next != s.hi+1 || n != s.both() {
			t.Errorf("ends at %x with %d records", next, n)
		}
	}
}

func TestFailuresAreSorted(t *testing.T) {
	if cmp.Compare(A, B) >= 0 || compareFailures(Failure{Side: A, Part: "z"}, Failure{Side: B, Part: "a"}) >= 0 {
		t.Error("A does not come first")
	}
}
