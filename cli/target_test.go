package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/internal/testbed"
)

func TestEveryFixtureArrivesInARealOpenSearch(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	carriesEveryFixture(t, "os219")
}

// unreadable are the indices of the fixtures of which there are only ids.
var unreadable = []string{"nosource", "synthetic"}

// carriesEveryFixture carries every fixture into a real server, compares, and carries again.
func carriesEveryFixture(t *testing.T, server string) {
	ok, missing := testbed.CanStart(t, server)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, server, testbed.Options{HeapMB: 768})
	t.Run("shared ids", func(t *testing.T) {
		a := &arrival{fixture: "es56", snapshot: killSnapshot, node: node, repo: filepath.Join(testbed.Fixture(t, "es56"), "main"), dir: t.TempDir()}
		a.shared(t)
	})
	for _, fixture := range testbed.Fixtures {
		for _, s := range []struct{ repo, snapshot string }{{"main", killSnapshot}, {"alt", "snap-alt"}} {
			t.Run(fixture+"-"+s.snapshot, func(t *testing.T) {
				a := &arrival{fixture: fixture, snapshot: s.snapshot, node: node, repo: filepath.Join(testbed.Fixture(t, fixture), s.repo), dir: t.TempDir()}
				a.test(t)
			})
		}
	}
}

// An arrival is a fixture's snapshot carried into a node.
type arrival struct {
	fixture, snapshot, repo string
	dir                     string // where naru runs
	node                    *testbed.Node
	truth                   map[string][]testbed.Line
	cluster                 truthCluster
	notes                   string
}

// truthCluster is what of testbed.TruthCluster is compared.
type truthCluster struct {
	Indices map[string]struct {
		Aliases  map[string]map[string]any `json:"aliases"`
		Mappings map[string]any            `json:"mappings"`
		Settings struct {
			Index map[string]any `json:"index"`
		} `json:"settings"`
	} `json:"indices"`
}

func (a *arrival) test(t *testing.T) {
	a.empty(t)
	a.truth = testbed.Truth(t, a.fixture, a.snapshot)
	for _, index := range unreadable {
		delete(a.truth, index)
	}
	if a.fixture == "es56" {
		delete(a.truth, "typed") // documents that share ids: a test of its own
	}
	if err := json.Unmarshal(testbed.TruthCluster(t, a.fixture, a.snapshot), &a.cluster); err != nil {
		t.Fatal(err)
	}
	want := exitOK
	if _, ok := a.truth["excluded"]; ok {
		want = exitPartial
	}
	first := a.carry(t, want)
	a.notes = strings.Join(first.Notes, "\n")
	if first.Verification == nil || first.Nothing || first.Total.Delivered != first.Total.Documents || first.Total.There != 0 || first.Total.DeadLettered != 0 {
		t.Errorf("the first run: %+v, verification %+v", first.Total, first.Verification)
	}
	a.compare(t)
	a.routed(t)
	for index := range a.truth {
		a.restored(t, index)
	}
	before := a.writes(t)
	if again := a.carry(t, want); !again.Nothing || again.Run.Documents != 0 {
		t.Errorf("the second run: %+v", again)
	}
	if after := a.writes(t); after != before {
		t.Errorf("%d documents were written, after the second run %d", before, after)
	}
	verify := naru(t, nil, append([]string{"verify", a.repo, a.node.URL, "--snapshot", a.snapshot, "--progress", "none"}, a.choice()...)...)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// shared carries what cannot arrive: documents whose ids another type's documents have, and ids without documents. None of
// them is taken to be there.
func (a *arrival) shared(t *testing.T) {
	a.empty(t)
	truth := testbed.Truth(t, a.fixture, a.snapshot)
	a.truth = map[string][]testbed.Line{"typed": truth["typed"], "nosource": truth["nosource"]}
	byID := map[string][]testbed.Line{}
	for _, l := range truth["typed"] {
		byID[l.ID] = append(byID[l.ID], l)
	}
	dead := int64(len(truth["typed"]) - len(byID) + len(truth["nosource"]))
	first := a.carry(t, exitPartial)
	if first.Total.Delivered != int64(len(byID)) || first.Total.DeadLettered != dead || first.Total.There != 0 {
		t.Errorf("%d ids in typed, %d dead letters wanted: %+v", len(byID), dead, first.Total)
	}
	if again := a.carry(t, exitPartial); !again.Nothing || again.Total.DeadLettered != dead {
		t.Errorf("the second run: %+v", again.Total)
	}
	out, err := naru(t, nil, "dlq", "ls", filepath.Join(a.dir, "naru-dead")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "of different mapping types") {
		t.Errorf("dlq ls: %v\n%s", err, out)
	}
	answer := map[string]any{}
	for id, lines := range byID {
		if err := json.Unmarshal(a.node.Call(t, "GET", "/typed/_source/"+id, nil), &answer); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		clear(answer)
		if !slices.ContainsFunc(lines, func(l testbed.Line) bool { return sameJSON(l.Source, got) }) {
			t.Errorf("typed/%s is %s, which is none of %v", id, got, lines)
		}
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
}

// empty removes all indices, the ledger too.
func (a *arrival) empty(t *testing.T) {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(a.node.Call(t, "GET", "/_settings?expand_wildcards=all", nil), &all); err != nil {
		t.Fatal(err)
	}
	for index := range all {
		a.node.Call(t, "DELETE", "/"+url.PathEscape(index), nil)
	}
}

// choice chooses the indices in the truth.
func (a *arrival) choice() (flags []string) {
	for _, index := range slices.Sorted(maps.Keys(a.truth)) {
		flags = append(flags, "-i", index)
	}
	return flags
}

func (a *arrival) carry(t *testing.T, want int) *carryReport {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := naru(t, nil, append([]string{"carry", a.repo, a.node.URL, "--snapshot", a.snapshot, "--progress", "none", "-o", "json"}, a.choice()...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.dir, &stdout, &stderr
	if code := exitOf(t, cmd); code != want {
		t.Fatalf("exit status %d, want %d\n%s%s", code, want, stdout.String(), stderr.String())
	}
	report := new(carryReport)
	if err := json.Unmarshal(stdout.Bytes(), report); err != nil {
		t.Fatal(err)
	}
	return report
}

// compare compares what is on the node with the truth, document by document, each written once.
func (a *arrival) compare(t *testing.T) {
	t.Helper()
	client, err := opensearch.Target{URLs: []string{a.node.URL}}.Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	source, err := opensearch.NewSource(t.Context(), client, opensearch.SourceOptions{Indices: slices.Sorted(maps.Keys(a.truth))})
	if err != nil {
		t.Fatal(err)
	}
	got, err := testbed.Drain(t.Context(), source, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	for _, lines := range a.truth {
		for i := range lines {
			lines[i].Type = ""
		}
	}
	if diff := testbed.Diff(a.truth, got); diff != "" {
		t.Error(diff)
	}
	var answer struct {
		Hits struct {
			Hits []struct {
				Index   string `json:"_index"`
				ID      string `json:"_id"`
				Version int    `json:"_version"`
			}
		}
	}
	// There are fewer than 10,000 documents in a fixture.
	names := strings.Join(slices.Sorted(maps.Keys(a.truth)), ",")
	if err := json.Unmarshal(a.node.Call(t, "POST", "/"+names+"/_search?version=true&_source=false&size=10000", nil), &answer); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, lines := range a.truth {
		total += len(lines)
	}
	if len(answer.Hits.Hits) != total {
		t.Errorf("a search finds %d documents of %d", len(answer.Hits.Hits), total)
	}
	for _, h := range answer.Hits.Hits {
		if h.Version != 1 {
			t.Errorf("%s/%s was written %d times", h.Index, h.ID, h.Version)
		}
	}
}

// routed looks up every document that has a routing, with it and without: it lies on the shard that its routing
// says, and so mostly not on the one that its id says.
func (a *arrival) routed(t *testing.T) {
	t.Helper()
	type document struct {
		Index   string `json:"_index"`
		ID      string `json:"_id"`
		Routing string `json:"routing,omitempty"`
	}
	var with, without []document
	several := false
	for index, lines := range a.truth {
		for _, l := range lines {
			if l.Routing != "" {
				with = append(with, document{index, l.ID, l.Routing})
				without = append(without, document{index, l.ID, ""})
				several = several || fmt.Sprint(a.cluster.Indices[index].Settings.Index["number_of_shards"]) != "1"
			}
		}
	}
	if len(with) == 0 {
		return
	}
	found := func(documents []document) int {
		var answer struct{ Docs []struct{ Found bool } }
		if err := json.Unmarshal(a.node.Call(t, "POST", "/_mget?_source=false", map[string]any{"docs": documents}), &answer); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, d := range answer.Docs {
			if d.Found {
				n++
			}
		}
		return n
	}
	if n := found(with); n != len(with) {
		t.Errorf("%d documents of %d are found by their routing", n, len(with))
	}
	if n := found(without); several && n == len(with) {
		t.Errorf("all %d documents with a routing are found without it", n)
	}
}

// restored fails unless the index has the settings, aliases and fields that it had where it came from, but for what
// the report says.
func (a *arrival) restored(t *testing.T, index string) {
	t.Helper()
	type state struct {
		Aliases  map[string]map[string]any `json:"aliases"`
		Mappings map[string]any            `json:"mappings"`
		Settings struct {
			Index map[string]any `json:"index"`
		} `json:"settings"`
	}
	var answer map[string]state
	if err := json.Unmarshal(a.node.Call(t, "GET", "/"+url.PathEscape(index), nil), &answer); err != nil {
		t.Fatal(err)
	}
	got, want := answer[index], a.cluster.Indices[index]
	if meta, ok := got.Mappings["_meta"]; ok && strings.Contains(fmt.Sprint(meta), "naru") {
		t.Errorf("%s: _meta is still %v", index, meta)
	}
	for key, standard := range map[string]any{"number_of_shards": "1", "number_of_replicas": "1", "refresh_interval": nil} {
		w := want.Settings.Index[key]
		if w == nil {
			w = standard
		}
		if g := got.Settings.Index[key]; fmt.Sprint(g) != fmt.Sprint(w) {
			t.Errorf("%s: %s is %v, was %v", index, key, g, w)
		}
	}
	for _, key := range []string{"sort", "codec", "analysis", "max_result_window"} {
		if diff := cmp.Diff(want.Settings.Index[key], got.Settings.Index[key]); diff != "" && !a.said(index, key) {
			t.Errorf("%s: setting %s: %s", index, key, diff)
		}
	}
	if diff := cmp.Diff(want.Aliases, got.Aliases); diff != "" {
		t.Errorf("%s: aliases: %s", index, diff)
	}
	fields := map[string]string{}
	if fieldsOf(want.Mappings, "", fields); len(fields) == 0 { // by type
		for _, m := range want.Mappings {
			if m, ok := m.(map[string]any); ok {
				fieldsOf(m, "", fields)
			}
		}
	}
	there := map[string]string{}
	fieldsOf(got.Mappings, "", there)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != there[name] && !a.said(index, name) {
			t.Errorf("%s: field %s is %q, was %q, and the report does not say so:\n%s", index, name, there[name], fields[name], a.notes)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if fields[name] == "" && !a.said(index, name) {
			t.Errorf("%s: field %s is %q, and was none", index, name, there[name])
		}
	}
}

// said reports that a note names both the index and the thing.
func (a *arrival) said(index, thing string) bool {
	return slices.ContainsFunc(strings.Split(a.notes, "\n"), func(note string) bool {
		return strings.Contains(note, index) && strings.Contains(note, thing)
	})
}

// fieldsOf flattens a mapping: the type of each field by its path.
func fieldsOf(mapping map[string]any, prefix string, into map[string]string) {
	for _, below := range []string{"properties", "fields"} {
		all, _ := mapping[below].(map[string]any)
		for name, v := range all {
			field, ok := v.(map[string]any)
			if !ok {
				continue
			}
			typ, _ := field["type"].(string)
			if typ == "" {
				typ = "object"
			}
			into[prefix+name] = typ
			fieldsOf(field, prefix+name+".", into)
		}
	}
}

// writes is how often a document was written to the node's indices, the ledger's left out.
func (a *arrival) writes(t *testing.T) (n int64) {
	t.Helper()
	var answer struct {
		Indices map[string]struct {
			Primaries struct {
				Indexing struct {
					Total int64 `json:"index_total"`
				}
			}
		}
	}
	if err := json.Unmarshal(a.node.Call(t, "GET", "/_stats/indexing?expand_wildcards=all", nil), &answer); err != nil {
		t.Fatal(err)
	}
	for index := range a.truth {
		n += answer.Indices[index].Primaries.Indexing.Total
	}
	return n
}
