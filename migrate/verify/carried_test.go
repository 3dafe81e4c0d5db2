package verify

import (
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func of(index string, records ...flow.Record) []flow.Record {
	for i := range records {
		records[i].Index = index
	}
	return records
}

// tallied is what a flow that delivered the records would say.
func tallied(recs []flow.Record) map[string]flow.Tally {
	tallies := map[string]flow.Tally{}
	for i := range recs {
		var h flow.Hasher
		h.Add(&recs[i])
		t := tallies[recs[i].Index]
		t.Add(flow.Tally{Read: 1, Delivered: 1, Bytes: int64(len(recs[i].Body)), Digest: h.Sum})
		tallies[recs[i].Index] = t
	}
	return tallies
}

func states(r Report) map[string]State {
	out := map[string]State{}
	for _, g := range r.Groups {
		out[g.Name] = g.State
	}
	return out
}

func TestWhatOnlyBHasIsIgnoredWhenTold(t *testing.T) {
	for _, c := range []struct {
		what        string
		a, b        []flow.Record
		state       State
		differences int
	}{
		{"the same", recs("1", "2"), recs("2", "1"), Equal, 0},
		{"more in B", recs("1", "2"), recs("1", "2", "3", "4"), Within, 0},
		{"an id more often in B", recs("1"), recs("1", "1"), Within, 0},
		{"another body", recs("1 - {}", "2"), recs(`1 - {"a":1}`, "2", "3"), Differ, 1},
		{"another routing", recs("1 r", "2"), recs("1 s", "2", "3"), Differ, 1},
		{"missing in B", recs("1", "2"), recs("1", "3", "4"), Differ, 1},
		{"an id more often in A", recs("1", "1"), recs("1", "2", "3"), Differ, 1},
		{"only in B", nil, recs("1"), Within, 0},
		{"only in A", recs("1"), nil, OnlyInA, 0},
	} {
		r := compare(t, source(2, c.a...), source(3, c.b...), Options{Extra: IgnoreExtra})
		if len(r.Groups) != 1 || r.Groups[0].State != c.state || len(r.Groups[0].Differences) != c.differences || r.Equal != (c.state == Equal || c.state == Within) {
			t.Errorf("%s: %+v", c.what, r)
		}
		if c.state != Within {
			continue
		}
		if r := compare(t, source(2, c.a...), source(3, c.b...), Options{}); r.Equal {
			t.Errorf("%s, and it counts: %+v", c.what, r)
		}
	}
}

func TestARecordOfAnotherIndexIsNotWithinB(t *testing.T) {
	b := source(1, recs("1", "2")...)
	b.Pieces[0].Records[0].Index = "other"
	r := compare(t, source(1, recs("1")...), b, Options{Extra: IgnoreExtra})
	if r.Equal || r.Groups[0].State != Differ {
		t.Errorf("%+v", r)
	}
}

// counted is a source that says how many records it has.
func counted(parts int, recs ...flow.Record) *flowtest.Feed {
	f := source(parts, recs...)
	n := map[string]int64{}
	for _, r := range recs {
		n[r.Index]++
	}
	for name, n := range n {
		f.About = append(f.About, flow.Group{Name: name, Records: n, Grade: flow.Lossless})
	}
	return f
}

func TestCountsAreComparedWithoutReading(t *testing.T) {
	a := counted(1, append(append(of("x", recs("1", "2")...), of("y", recs("1")...)...), of("z", recs("1")...)...)...)
	b := counted(1, append(append(of("x", recs("8", "9")...), of("y", recs("1", "2")...)...), of("w", recs("1")...)...)...)
	r, err := Counts(t.Context(), a, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := states(r); s["x"] != Equal || s["y"] != Differ || s["z"] != OnlyInA || s["w"] != OnlyInB || r.Equal {
		t.Errorf("%v", s)
	}
	if r, err = Counts(t.Context(), a, b, Options{Extra: IgnoreExtra, Indices: flow.Patterns{"-z"}}); err != nil || !r.Equal {
		t.Errorf("%+v %v", r, err)
	}
	for _, f := range []*flowtest.Feed{a, b} {
		if opened, _ := f.Readers(); opened > 0 {
			t.Errorf("%d parts were read", opened)
		}
	}
	a.About[0].Records = -1
	if r, err = Counts(t.Context(), a, a, Options{}); err != nil || r.Complete {
		t.Errorf("a number that is not known: %+v %v", r, err)
	}
}

func TestACarryIntoWhatWasThereIsSettledByIdsOnlyWhereItMustBe(t *testing.T) {
	same, more := of("same", recs("1", "2")...), of("more", recs("1", "2")...)
	a := counted(1, append(same, more...)...)
	b := counted(1, append(of("same", recs("2", "1")...), append(of("more", recs("1", "2", "3")...), of("unasked", recs("1")...)...)...)...)
	want := tallied(append(same, more...))
	r, err := CompareCarried(t.Context(), want, a, b, Options{Extra: IgnoreExtra})
	if err != nil {
		t.Fatal(err)
	}
	if s := states(r); !r.Equal || s["same"] != Equal || s["more"] != Within {
		t.Errorf("%+v", r)
	}
	if opened, _ := a.Readers(); opened != 1 { // that of "more"; what B has beside lies in buckets of its own
		t.Errorf("%d parts of the source were read", opened)
	}
	if r, err = CompareCarried(t.Context(), want, a, b, Options{}); err != nil || r.Equal || states(r)["unasked"] != OnlyInB {
		t.Errorf("%+v %v", r, err)
	}
	changed := counted(1, append(of("same", recs("2", `1 - {"a":1}`)...), of("more", recs("1")...)...)...)
	r, err = CompareCarried(t.Context(), want, a, changed, Options{Extra: IgnoreExtra})
	if err != nil {
		t.Fatal(err)
	}
	if s := states(r); r.Equal || s["same"] != Differ || s["more"] != Differ {
		t.Errorf("%+v", r)
	}
	for _, g := range r.Groups {
		if len(g.Differences) != 1 {
			t.Errorf("%+v", g)
		}
	}
}

// Records that the sink refused may be missing, in any number up to theirs: they may have been carried again since.
func TestDeadLettersMayBeMissingAndMayHaveArrivedSince(t *testing.T) {
	all := of("x", recs("1", "2", "3", "4", "5")...)
	a := counted(1, all...)
	want := tallied(all[:3]) // the last two are dead
	x := want["x"]
	x.Read, x.Dead = 5, 2
	want["x"] = x
	for _, c := range []struct {
		what  string
		b     []flow.Record
		equal bool
	}{
		{"as the flow left it", recs("1", "2", "3"), true},
		{"one was carried again", recs("1", "2", "3", "5"), true},
		{"both were", recs("1", "2", "3", "4", "5"), true},
		{"there were others before", recs("1", "2", "3", "8", "9"), true},
		{"one more is missing", recs("1", "2", "8", "9"), false},
		{"one has another body", recs(`1 - {"a":1}`, "2", "3", "4", "5"), false},
		{"one has another body, and others are missing", recs(`1 - {"a":1}`, "2", "3", "8"), false},
	} {
		r, err := CompareCarried(t.Context(), want, a, counted(1, of("x", c.b...)...), Options{Extra: IgnoreExtra})
		if err != nil {
			t.Fatal(err)
		}
		if r.Equal != c.equal || c.equal && len(r.Groups[0].Differences) > 0 {
			t.Errorf("%s: %+v", c.what, r)
		}
	}
}
