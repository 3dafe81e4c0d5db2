package event

import (
	"strings"
	"testing"
	"time"
)

const nestedLine = `{"@metadata":{"beat":"filebeat","version":"8"},"log":{"file":{"path":"/a\tb"},"offset":7},"host":{"name":"web","ip":["::1","10.0.0.1",{"x":[]}]},"tags":["a"]}`

// nested reads an event in an arena and sets more in it.
func nested(t testing.TB, e *Event, refs [3]*Ref) {
	t.Helper()
	e.Reset()
	if err := e.ParseJSON(nestedBytes, JSONOptions{}); err != nil {
		t.Fatal(err)
	}
	e.SetTimestamp(epoch)
	e.Complete(epoch)
	for _, r := range refs {
		if err := e.Set(r, StringValue("set")); err != nil {
			t.Fatal(err)
		}
	}
	e.Tag("b")
}

var nestedBytes = []byte(nestedLine)

var epoch = time.Unix(1.7e9, 0)

func nestedRefs(t testing.TB) [3]*Ref {
	return [3]*Ref{ref(t, "[a][b][c]"), ref(t, "[log][level]"), ref(t, "[@metadata][x][y]")}
}

func TestAnArenaNeedsNothingNewForTheNextBatch(t *testing.T) {
	var a Arena
	e, c, refs := a.Event(), a.Event(), nestedRefs(t)
	want := ""
	batch := func() {
		nested(t, e, refs)
		e.CopyTo(c)
		a.Release()
	}
	batch()
	nested(t, e, refs)
	want = string(e.AppendJSON(nil)) + string(AppendJSON(nil, e.GetField("@metadata")))
	plain := &Event{}
	nested(t, plain, refs)
	if got := string(plain.AppendJSON(nil)) + string(AppendJSON(nil, plain.GetField("@metadata"))); got != want {
		t.Errorf("in an arena %s, without one %s", want, got)
	}
	e.CopyTo(c)
	if got := string(c.AppendJSON(nil)) + string(AppendJSON(nil, c.GetField("@metadata"))); got != want {
		t.Errorf("a copy is %s, want %s", got, want)
	}
	a.Release()
	if n := testing.AllocsPerRun(100, batch); n > 0 {
		t.Errorf("%v allocations for each batch", n)
	}
}

func TestAnArenaLetsListsBeThatItWasGiven(t *testing.T) {
	given := []Value{StringValue("x"), StringValue("y")}
	var a Arena
	e := a.Event()
	for range 3 {
		e.Reset()
		if err := e.ParseJSON([]byte(`{"list":["a","b","c"]}`), JSONOptions{}); err != nil {
			t.Fatal(err)
		}
		e.GetField("list").SetList(given)
		a.Release()
	}
	if given[0].Str() != "x" || given[1].Str() != "y" {
		t.Errorf("the list is %v", given)
	}
}

func TestWhatIsKeptOfASpoiledArenaIsSeen(t *testing.T) {
	a := Arena{Spoil: true}
	e := a.Event()
	nested(t, e, nestedRefs(t))
	kept := []Value{e.GetField("log"), e.GetField("host"), e.GetField("host").Map().Get("ip"), e.GetField("tags"), e.GetField("a")}
	text, owned := e.GetField("log").Map().Get("file").Map().Get("path").Str(), e.GetField("log").Own()
	before := string(AppendJSON(nil, owned))
	a.Release()
	for _, v := range kept {
		if got := string(AppendJSON(nil, v)); !strings.Contains(got, Spoiled) {
			t.Errorf("kept: %s", got)
		}
	}
	if text != "####" {
		t.Errorf("a text with an escape that was kept is %q", text)
	}
	if got := string(AppendJSON(nil, owned)); got != before {
		t.Errorf("what is owned is %s, was %s", got, before)
	}
}

func TestAnArenaDoesNotKeepWhatIsVeryLarge(t *testing.T) {
	var a Arena
	in := []byte(`[` + strings.Repeat(`{"a":"\n","b":[1]},`, 3*keptNodes) + `{"l":[` + strings.Repeat(`"\t",`, 1e6) + `1]}]`)
	if _, err := ParseJSON(in, JSONOptions{Arena: &a}); err != nil {
		t.Fatal(err)
	}
	a.Release()
	if n := len(a.chunks); n > keptNodes/chunkNodes || cap(a.chunks) > 2*n || cap(a.text) > keptText {
		t.Errorf("it keeps %d chunks and %d bytes of texts", n, cap(a.text))
	}
	for range keptNodes {
		if n := a.node(); cap(n.list) > keptMembers || cap(n.m.entries) > keptMembers {
			t.Fatal("a node keeps a large list")
		}
	}
}
