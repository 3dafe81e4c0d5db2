package kafka

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// group is members of versions as a leader sees them, for divide.
type group struct {
	members []routeMember
	topics  map[string]int32
}

// apply lets a plan come true at once, and gives how many partitions went from one member to another.
func (g *group) apply(plan map[tp]string, generation int32) (moved int) {
	had := map[tp]string{}
	for i := range g.members {
		for _, at := range g.members[i].owned {
			had[at] = g.members[i].id
		}
		g.members[i].owned, g.members[i].generation = nil, generation
	}
	for at, id := range plan {
		if was, ok := had[at]; ok && was != id {
			moved++
		}
		for i := range g.members {
			if g.members[i].id == id {
				g.members[i].owned = append(g.members[i].owned, at)
			}
		}
	}
	return moved
}

func (g *group) side(hash string) (n, partitions int, counts []int) {
	for _, m := range g.members {
		if m.hash == hash {
			n++
			partitions += len(m.owned)
			counts = append(counts, len(m.owned))
		}
	}
	slices.Sort(counts)
	return n, partitions, counts
}

func TestDividingGivesEachVersionItsShareAndMovesNothingInVain(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		g := group{topics: map[string]int32{}}
		all := 0
		reads := map[string]bool{}
		for i := range rapid.IntRange(1, 3).Draw(r, "topics") {
			n := rapid.IntRange(1, 9).Draw(r, "partitions")
			g.topics[fmt.Sprint("t", i)], reads[fmt.Sprint("t", i)] = int32(n), true //nolint:gosec // small
			all += n
		}
		next := 0
		generation := int32(1)
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0, 1:
				hash := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "hash")
				g.members = append(g.members, routeMember{id: fmt.Sprintf("m%02d", next), hash: hash, topics: reads})
				next++
			case 2:
				if len(g.members) > 0 {
					i := rapid.IntRange(0, len(g.members)-1).Draw(r, "who")
					g.members = slices.Delete(g.members, i, i+1)
				}
			}
			route := &Route{Stable: "a", Canary: "b", Weight: rapid.SampledFrom([]int{0, 1, 10, 25, 50, 75, 99, 100}).Draw(r, "weight")}
			if len(g.members) == 0 {
				continue
			}
			generation++
			plan := divide(route, g.members, g.topics)
			g.apply(plan, generation)
			stables, ofStable, sc := g.side("a")
			canaries, ofCanary, cc := g.side("b")
			_, ofOthers, _ := g.side("c")
			want := route.CanaryShare(all)
			switch {
			case canaries == 0 || route.Weight == 0:
				want = 0
			case stables == 0:
				want = all
			}
			if ofCanary != want || ofOthers != 0 {
				r.Fatalf("%d %% of %d: the canary has %d, others %d", route.Weight, all, ofCanary, ofOthers)
			}
			if rest := all - want; stables > 0 && ofStable != rest {
				r.Fatalf("the stable version has %d of %d", ofStable, rest)
			}
			for _, counts := range [][]int{sc, cc} {
				if len(counts) > 0 && counts[len(counts)-1]-counts[0] > 1 {
					r.Fatalf("uneven: %v", counts)
				}
			}
			generation++
			if again := divide(route, g.members, g.topics); len(again) != len(plan) {
				r.Fatal("asked again, the plan is another one")
			} else if n := g.apply(again, generation); n > 0 {
				r.Fatalf("asked again, %d partitions move", n)
			}
		}
	})
}

func TestAChangeOfWeightMovesWhatItMustAndNoMore(t *testing.T) {
	reads := map[string]bool{"t": true}
	g := group{topics: map[string]int32{"t": 12}}
	for _, m := range []struct{ id, hash string }{{"a1", "a"}, {"a2", "a"}, {"a3", "a"}, {"b1", "b"}, {"b2", "b"}} {
		g.members = append(g.members, routeMember{id: m.id, hash: m.hash, topics: reads})
	}
	generation := int32(0)
	for _, x := range []struct{ weight, moved int }{{0, 0}, {25, 3}, {25, 0}, {50, 3}, {100, 6}, {50, 6}, {0, 6}} {
		generation++
		plan := divide(&Route{Stable: "a", Canary: "b", Weight: x.weight}, g.members, g.topics)
		if moved := g.apply(plan, generation); moved != x.moved {
			t.Errorf("at %d %%: %d partitions moved, want %d", x.weight, moved, x.moved)
		}
	}
}

func TestATopicThatOneVersionReadsIsThatVersions(t *testing.T) {
	g := group{topics: map[string]int32{"old": 2, "both": 4, "new": 2}, members: []routeMember{
		{id: "a1", hash: "a", topics: map[string]bool{"old": true, "both": true}},
		{id: "b1", hash: "b", topics: map[string]bool{"new": true, "both": true}},
	}}
	for weight, want := range map[int]map[string]int{0: {"a1": 6}, 50: {"a1": 4, "b1": 4}, 100: {"a1": 2, "b1": 6}} {
		got := map[string]int{}
		for _, id := range divide(&Route{Stable: "a", Canary: "b", Weight: weight}, g.members, g.topics) {
			got[id]++
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d %%: %s", weight, d)
		}
	}
}

func TestOfSeveralTopicsTheCanaryHasItsShareOfEach(t *testing.T) {
	reads := map[string]bool{"x": true, "y": true, "z": true}
	g := group{topics: map[string]int32{"x": 8, "y": 4, "z": 4}, members: []routeMember{
		{id: "a1", hash: "a", topics: reads}, {id: "b1", hash: "b", topics: reads},
	}}
	got := map[string]int{}
	for at, id := range divide(&Route{Stable: "a", Canary: "b", Weight: 25}, g.members, g.topics) {
		if id == "b1" {
			got[at.topic]++
		}
	}
	if d := cmp.Diff(map[string]int{"x": 2, "y": 1, "z": 1}, got); d != "" {
		t.Error(d)
	}
}
