package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/format/tree"
)

func parse(tb testing.TB, s string) tree.Object {
	tb.Helper()
	o, err := tree.ObjectFromJSON([]byte(s))
	if err != nil {
		tb.Fatalf("%s: %v", s, err)
	}
	return o
}

func text(tb testing.TB, v any) string {
	tb.Helper()
	b, err := tree.AppendJSON(nil, v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func target(tb testing.TB, s string) Target {
	tb.Helper()
	t, err := ParseTarget(s)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// ids of the servers that created indices.
const (
	es5, es68, es717, es84, es9 = "5061699", "6082399", "7172999", "8040399", "9000000"
	os13, os219, os38           = "135248527", "136408327", "137287827"
)

// lucene8 and lucene9 are segments as Elasticsearch 7.17 and 8.4 write them.
func lucene8() Segment {
	return Segment{Name: "_0", Codec: "Lucene87", Lucene: "8.11.1", MinVersion: "8.11.1", Created: 8, Postings: []string{"Lucene84"}, DocValues: []string{"Lucene80"}}
}

func lucene9() Segment {
	return Segment{Name: "_0", Codec: "Lucene92", Lucene: "9.3.0", MinVersion: "9.3.0", Created: 9, Postings: []string{"Lucene90"}, DocValues: []string{"Lucene90"}}
}

func segmentOf(created string) Segment {
	switch created {
	case es68:
		return Segment{Name: "_0", Codec: "Lucene70", Lucene: "7.7.3", MinVersion: "7.7.3", Created: 7, Postings: []string{"Lucene50"}, DocValues: []string{"Lucene70"}}
	case es717, os13:
		return lucene8()
	}
	return lucene9()
}

// A judged is an index and what the rules should say of it.
type judged struct {
	name    string // a sentence
	to      string
	created string
	setting string // members of the settings, beside index.version.created
	body    string // members of the body
	mapping string // of the type _doc
	types   string // instead of mapping: by type
	segment func(s *Segment)
	twoHop  bool

	openSearch bool // took the snapshot

	shows string // a rule that changes nothing

	changes, repairs, refusals []string // ids of rules, with what they are about
	plugins                    []string
	becomes                    string // the mapping; "": as it was
}

func (j *judged) index(tb testing.TB) *Index {
	tb.Helper()
	settings := `"index.version.created":"` + j.created + `"`
	if j.setting != "" {
		settings += "," + j.setting
	}
	body := `{"settings":{` + settings + `}`
	if j.body != "" {
		body += "," + j.body
	}
	b := parse(tb, body+"}")
	types := j.types
	if types == "" {
		types = `{"_doc":` + cmp2(j.mapping, "{}") + `}`
	}
	m := parse(tb, types)
	s := segmentOf(j.created)
	if j.segment != nil {
		j.segment(&s)
	}
	return &Index{Name: "i", Body: &b, Mappings: &m, Segments: []Segment{s}, TwoHop: j.twoHop, OpenSearch: j.openSearch}
}

func cmp2(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func said(v Verdict) (changes, repairs, refusals []string) {
	for _, c := range v.Changes {
		changes = append(changes, c.Rule+": "+c.Where)
	}
	for _, r := range v.Repairs {
		repairs = append(repairs, r.Rule+": "+r.Field)
	}
	for _, r := range v.Refusals {
		refusals = append(refusals, r.Rule+": "+r.Where)
	}
	return changes, repairs, refusals
}

func (j *judged) check(t *testing.T) {
	i := j.index(t)
	before := text(t, *i.Mappings)
	v := target(t, j.to).Index(i)
	changes, repairs, refusals := said(v)
	for _, d := range []struct {
		what      string
		got, want []string
	}{
		{"changes", changes, j.changes}, {"repairs", repairs, j.repairs}, {"refusals", refusals, j.refusals}, {"plugins", v.Plugins, j.plugins},
	} {
		if diff := cmp.Diff(d.want, d.got, ignoreCreated(j)...); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.what, diff)
		}
	}
	if len(refusals) == 0 && j.types == "" {
		want := before
		if j.becomes != "" {
			want = `{"_doc":` + text(t, parse(t, j.becomes)) + `}`
		}
		if got := text(t, *i.Mappings); got != want {
			t.Errorf("the mapping becomes\n%s, not\n%s", got, want)
		}
	}
	again(t, target(t, j.to), i, v)
}

// ignoreCreated leaves the change of index.version.created out of what is compared, where it is not what is shown.
func ignoreCreated(j *judged) []cmp.Option {
	if slices.ContainsFunc(j.changes, func(c string) bool { return strings.Contains(c, createdSetting) }) {
		return nil
	}
	return []cmp.Option{cmp.Transformer("created", func(s []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(s), func(c string) bool { return strings.HasSuffix(c, createdSetting) && strings.HasPrefix(c, "created-as") }), "\n")
	})}
}

// again checks that what was rewritten is not changed again.
func again(t *testing.T, to Target, i *Index, first Verdict) {
	t.Helper()
	if !first.OK() {
		return
	}
	if i.TwoHop {
		i.Segments = slices.Clone(i.Segments)
		for n := range i.Segments { // as they are rewritten
			i.Segments[n].MinVersion, i.Segments[n].Created = "9.0.0", 9
		}
	}
	body, mappings := text(t, *i.Body), text(t, *i.Mappings)
	v := to.Index(i)
	if changed := slices.DeleteFunc(slices.Clone(v.Changes), func(c Change) bool { return c.What == "kept" }); len(changed) > 0 {
		t.Errorf("what was rewritten is changed again: %v", changed)
	}
	if !v.OK() {
		t.Errorf("what was rewritten is refused: %v", v.Refusals)
	}
	if b, m := text(t, *i.Body), text(t, *i.Mappings); b != body || m != mappings {
		t.Errorf("what was rewritten is rewritten again:\n%s\n%s\nbecomes\n%s\n%s", body, mappings, b, m)
	}
}

func TestIndicesAreJudgedAndRewritten(t *testing.T) {
	for _, j := range judgedIndices {
		t.Run(strings.ReplaceAll(j.name, " ", "_"), j.check)
	}
}

func TestEveryRuleIsShownByATest(t *testing.T) {
	shown := make(map[string]bool)
	for _, j := range judgedIndices {
		if j.shows != "" {
			shown[j.shows] = true
		}
		for _, list := range [][]string{j.changes, j.repairs, j.refusals} {
			for _, s := range list {
				rule, _, _ := strings.Cut(s, ":")
				shown[rule] = true
			}
		}
	}
	for _, j := range judgedClusters {
		for _, s := range j.changes {
			rule, _, _ := strings.Cut(s, ":")
			shown[rule] = true
		}
	}
	listed := make(map[string]bool)
	for _, r := range All() {
		if listed[r.ID] {
			t.Errorf("the rule %s is listed twice", r.ID)
		}
		if r.Title == "" || r.Why == "" {
			t.Errorf("the rule %s says nothing", r.ID)
		}
		listed[r.ID] = true
		if !shown[r.ID] {
			t.Errorf("no test shows the rule %s", r.ID)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if !listed[id] {
			t.Errorf("the rule %s is not listed", id)
		}
	}
}

func TestTargetsAreThoseWhoseLuceneIsKnown(t *testing.T) {
	all := Targets()
	if len(all) != len(luceneOf) || all[0] != (Target{1, 0}) || all[len(all)-1] != (Target{3, 8}) {
		t.Errorf("targets are %v", all)
	}
	for in, want := range map[string]string{"2.19": "2.19", "2.19.5": "2.19", "1.0": "1.0", "3.8": "3.8"} {
		if got, err := ParseTarget(in); err != nil || got.String() != want {
			t.Errorf("%s gives %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "2", "2.20", "3.9", "4.0", "2.x", "2.-1", "7.17", "2.19.5.1", "2.+1x"} {
		if got, err := ParseTarget(in); err == nil {
			t.Errorf("%q gives %v", in, got)
		}
	}
}

func TestWhatIsMissingIsRefusedNotReadAsEmpty(t *testing.T) {
	to := target(t, "2.19")
	if v := to.Index(&Index{}); v.OK() {
		t.Error("an index without metadata is taken")
	}
	body, mappings := tree.Object{}, tree.Object{}
	if v := to.Index(&Index{Body: &body, Mappings: &mappings}); v.OK() {
		t.Error("an index without settings is taken")
	}
}

func TestBloomFiltersHaveAWayOutUnlessSomethingElseIsInTheWay(t *testing.T) {
	for _, c := range []struct {
		postings string
		free     bool
	}{{"Lucene90", true}, {"ES812Postings", false}} {
		j := judged{to: "2.19", created: es84, segment: func(s *Segment) { s.Postings = []string{"ES87BloomFilter", c.postings} }}
		v := target(t, j.to).Index(j.index(t))
		if len(v.Refusals) == 0 || (v.Refusals[0].Way != "") != c.free {
			t.Errorf("with %s: %v", c.postings, v.Refusals)
		}
	}
}

func FuzzIndex(f *testing.F) {
	for _, j := range judgedIndices {
		i := j.index(f)
		f.Add(text(f, *i.Body), text(f, *i.Mappings), uint8(len(Targets())-1), j.twoHop)
	}
	f.Fuzz(func(t *testing.T, body, mappings string, n uint8, twoHop bool) {
		b, err := tree.ObjectFromJSON([]byte(body))
		if err != nil {
			return
		}
		m, err := tree.ObjectFromJSON([]byte(mappings))
		if err != nil {
			return
		}
		all := Targets()
		to := all[int(n)%len(all)]
		clone, cloneOfMappings := tree.Clone(b).(tree.Object), tree.Clone(m).(tree.Object)
		i := &Index{Name: "i", Body: &b, Mappings: &m, Segments: []Segment{segmentOf(es717)}, TwoHop: twoHop}
		v := to.Index(i)
		same := to.Index(&Index{Name: "i", Body: &clone, Mappings: &cloneOfMappings, Segments: i.Segments, TwoHop: twoHop})
		if diff := cmp.Diff(v, same); diff != "" {
			t.Errorf("the same index is judged otherwise: %s", diff)
		}
		again(t, to, i, v)
	})
}

func FuzzCluster(f *testing.F) {
	for _, j := range judgedClusters {
		f.Add(j.meta, uint8(23))
	}
	f.Fuzz(func(t *testing.T, meta string, n uint8) {
		o, err := tree.ObjectFromJSON([]byte(meta))
		if err != nil {
			return
		}
		all := Targets()
		to := all[int(n)%len(all)]
		if v := to.Cluster(&o); !v.OK() {
			t.Errorf("refused: %v", v.Refusals)
		}
		before := text(t, o)
		v := to.Cluster(&o)
		if got := text(t, o); got != before {
			t.Errorf("rewritten again:\n%s\n%s", before, got)
		}
		for _, c := range v.Changes {
			if c.What != "kept" {
				t.Errorf("changed again: %v", c)
			}
		}
	})
}

func ExampleTarget_Index() {
	body, _ := tree.ObjectFromJSON([]byte(`{"settings":{"index.version.created":"8040399"}}`))
	mappings, _ := tree.ObjectFromJSON([]byte(`{"_doc":{"properties":{"labels":{"type":"flattened"}}}}`))
	to, _ := ParseTarget("2.19")
	v := to.Index(&Index{Name: "logs", Body: &body, Mappings: &mappings})
	for _, c := range v.Changes {
		fmt.Printf("%s: %s\n", c.Where, c.What)
	}
	for _, r := range v.Repairs {
		fmt.Printf("%s: %s\n", r.Field, r.How)
	}
	// Output:
	// setting index.version.created: 8040399 becomes 136217827 (OpenSearch 2.0.0)
	// field labels: flattened becomes flat_object
	// labels: update-by-query
}
