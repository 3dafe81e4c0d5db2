package verify

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/narudata/naru/flow"
)

// Counts compares how many records the sources say that they have, by group, without reading one. The report has
// neither bytes nor digests: a group with the same number on both sides is Equal as far as that goes, and Unread if a
// side does not know its number. With IgnoreExtra it is enough that B has as many.
func Counts(ctx context.Context, a, b flow.Source, o Options) (Report, error) {
	o.defaults()
	r := Report{Groups: []Group{}, Equal: true, Complete: true}
	var counts [2]map[string]int64
	for side, source := range []flow.Source{a, b} {
		var err error
		if counts[side], err = described(ctx, source); err != nil {
			return Report{}, err
		}
	}
	names := maps.Clone(counts[A])
	maps.Copy(names, counts[B])
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !o.Indices.Match(name) {
			continue
		}
		n, inA := counts[A][name]
		m, inB := counts[B][name]
		g := Group{Name: name, A: Sum{Records: max(n, 0)}, B: Sum{Records: max(m, 0)}}
		switch {
		case n < 0 || m < 0:
			g.State = Unread
		case n == m:
			g.State = Equal
		case m > n && o.Extra == IgnoreExtra:
			g.State = Within
		case !inB:
			g.State = OnlyInA
		case !inA:
			g.State = OnlyInB
		default:
			g.State = Differ
		}
		r.Groups = append(r.Groups, g)
		r.A.add(g.A)
		r.B.add(g.B)
		r.Equal = r.Equal && (g.State == Equal || g.State == Within)
		r.Complete = r.Complete && g.State != Unread
	}
	return r, nil
}

// described gives the numbers of records that a source names; -1: it does not know.
func described(ctx context.Context, source flow.Source) (map[string]int64, error) {
	d, ok := source.(flow.Describer)
	if !ok {
		return nil, errors.New("a source does not say how many records it has; compare them one by one")
	}
	groups, err := d.Groups(ctx)
	if err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	counts := make(map[string]int64, len(groups))
	for _, g := range groups {
		counts[g.Name] = g.Records
	}
	return counts, nil
}

// CompareCarried says whether what a flow delivered from a is in b, in three steps, each only for the groups that the
// one before has not settled: counts, where b knows them; digests, for which b is read once; and records, for which the
// groups that differ are read on both sides. With IgnoreExtra, b may have had records before.
//
// want is what the flow delivered, by group; o.Stages what the records of a went through. Dead letters were not
// delivered, and may have been since: with IgnoreExtra, a group may lack as many records as there were of them, if all
// others are the same.
func CompareCarried(ctx context.Context, want map[string]flow.Tally, a, b flow.Source, o Options) (Report, error) {
	settled, rest := map[string]flow.Tally{}, map[string]bool{}
	counts := map[string]int64{}
	if _, ok := b.(flow.Describer); ok {
		var err error
		if counts, err = described(ctx, b); err != nil {
			return Report{}, err
		}
	}
	for name, t := range want {
		if !o.Indices.Match(name) {
			continue
		}
		if n, ok := counts[name]; ok && n >= 0 && n != t.Delivered {
			rest[name] = true // the digests cannot be the same
			continue
		}
		settled[name] = t
	}
	first := o
	first.Indices = nil
	r, err := CompareTallies(ctx, settled, chosen{b, func(name string) bool {
		_, asked := settled[name]
		return o.Indices.Match(name) && (asked || !rest[name] && o.Extra != IgnoreExtra)
	}}, first)
	if err != nil {
		return Report{}, err
	}
	for _, g := range r.Groups {
		if g.State == Differ || g.State == OnlyInA {
			rest[g.Name] = true
		}
	}
	if len(rest) == 0 {
		return r, nil
	}
	only := func(name string) bool { return rest[name] }
	second := o
	second.Indices = nil
	again, err := Compare(ctx, chosen{a, only}, chosen{b, only}, second)
	if err != nil {
		return Report{}, err
	}
	if o.Extra == IgnoreExtra {
		for i := range again.Groups {
			g := &again.Groups[i]
			if lacks, only := g.lacks(); g.State == Differ && only && lacks+g.Refused <= want[g.Name].Dead {
				g.State, g.Differences = Within, nil
			}
		}
	}
	return join(r, again), nil
}

// lacks gives how many of A's records B has not, and reports that this is the only difference.
func (g *Group) lacks() (n int64, only bool) {
	for _, d := range g.Differences {
		if d.Kind != MissingInB && d.Kind != FewerInB {
			return 0, false
		}
		n += d.Records
	}
	return n, len(g.Differences) > 0 && g.Unexamined == 0
}

// join puts the groups of b in the place of those of a, or beside them.
func join(a, b Report) Report {
	byName := map[string]Group{}
	for _, r := range []Report{a, b} {
		for _, g := range r.Groups {
			byName[g.Name] = g
		}
	}
	out := Report{Groups: []Group{}, Equal: true, Complete: true, Passes: a.Passes + b.Passes, Failed: append(a.Failed, b.Failed...)}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		g := byName[name]
		out.Groups = append(out.Groups, g)
		out.A.add(g.A)
		out.B.add(g.B)
		out.Equal = out.Equal && (g.State == Equal || g.State == Within)
		out.Complete = out.Complete && g.State != Unread
	}
	if len(out.Failed) > 0 {
		out.Equal, out.Complete = false, false
	}
	return out
}
