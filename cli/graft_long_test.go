//go:build servers

package cli

import (
	"crypto/sha256"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/migrate/graft"
	"github.com/narudata/naru/migrate/graft/rules"
	"github.com/narudata/naru/migrate/restore"
)

// graftPairs are the pairs of servers that docs/graft.md promises, with the indices that are refused, each by a rule.
var graftPairs = []struct {
	fixture, server string
	refused         map[string]string
}{
	{"graft68", "os13", nil},
	{"graft717", "os13", map[string]string{"counted": "doc-count-field"}},
	{"graft717", "os219", map[string]string{"counted": "doc-count-field"}},
	{"graft84", "os219", map[string]string{"counted": "doc-count-field", "dotted": "subobjects-conflict", "synthetic": "source-synthetic"}},
	{"graft84", "os3", map[string]string{"counted": "doc-count-field", "synthetic": "source-synthetic"}},
	{"graft811", "os219", map[string]string{"bloomed": "postings-format", "counted": "doc-count-field", "dotted": "subobjects-conflict",
		"synthetic": "source-synthetic", "tsdb": "index-mode"}},
	{"graft811", "os3", map[string]string{"bloomed": "postings-format", "counted": "doc-count-field", "synthetic": "source-synthetic", "tsdb": "index-mode"}},
}

// TestServersRestoreGrafts: for each pair documents with versions and sequence numbers, and the answers to questions about each
// field type, are those of the source; then the indices are used. NARU_TARGETS lists some of the targets by comma.
func TestServersRestoreGrafts(t *testing.T) {
	for _, pair := range graftPairs {
		if names := os.Getenv("NARU_TARGETS"); names != "" && !slices.Contains(strings.Split(names, ","), pair.server) {
			continue
		}
		t.Run(pair.fixture+" in "+pair.server, func(t *testing.T) {
			b := newGraftBench(t, pair.server, pair.fixture)
			from := filepath.Join(b.repos, pair.fixture)
			before := hashes(t, from)
			want := testbed.GraftTruth(t, pair.fixture)["snap-2"].Indices
			code := exitOK
			if len(pair.refused) > 0 {
				code = exitPartial
			}
			r := b.run(t, code, "graft", from, filepath.Join(b.repos, "to"), "--snapshot", "snap-2", "--restore", b.node.URL, "--templates", "yes", "--check-on-startup")
			if r.Verification == nil || !r.Verification.Verified {
				t.Errorf("verification: %+v", r.Verification)
			}
			for _, x := range r.Plan.Newest() {
				rule, refused := pair.refused[x.Name]
				if refused == x.Lane.Grafted() || refused && !slices.ContainsFunc(x.Refusals, func(f rules.Refusal) bool { return f.Rule == rule }) {
					t.Errorf("%s is %s: %+v", x.Name, x.Lane, x.Refusals)
				}
			}
			b.restoredLike(t, r, want)
			if after := hashes(t, from); !maps.Equal(before, after) {
				t.Error("the source repository has changed")
			}
		})
	}
}

// restoredLike wants each restored index to be as the source's was, and to live on.
func (b *graftBench) restoredLike(t *testing.T, r *graftReport, want map[string]testbed.GraftIndex) {
	lanes := make(map[string]graft.Lane)
	for _, x := range r.Plan.Newest() {
		lanes[x.Name] = x.Lane
	}
	used := make(map[string]map[string]testbed.Version)
	equal, excused := 0, map[string]string{}
	for name, ix := range want {
		if !lanes[name].Grafted() || ix.Special {
			continue
		}
		if ix.Closed {
			b.node.Call(t, "POST", "/"+name+"/_open", nil)
			b.node.WaitGreen(t, name)
		}
		if lanes[name] == graft.Graft {
			if diff := testbed.DiffVersions(ix.Documents, b.node.Versions(t, name)); diff != "" {
				t.Errorf("%s (%s):\n%s", name, ix.Why, diff)
			}
		}
		c := testbed.CompareAnswers(ix.Answers, b.node.Ask(t, name, testbed.GraftQuestions(name)), b.node.Major)
		if len(c.Wrong) > 0 {
			t.Errorf("answers of %s (%s):\n%s", name, ix.Why, c)
		}
		equal += len(c.Equal)
		for q, why := range c.Excused {
			excused[name+": "+q] = why
		}
		if keepsSources(ix) && ix.Stream == "" && len(ix.Documents) >= 4 {
			used[name] = testbed.UseIt(t, b.node, name)
		}
	}
	if equal < 100 || len(used) < 5 {
		t.Errorf("%d answers were compared, %d indices used", equal, len(used))
	}
	t.Logf("%d answers are equal, %d differ as engines do: %v", equal, len(excused), excused)
	if slices.ContainsFunc(r.Plan.Newest(), func(x graft.Index) bool { return x.DataStream == testbed.GraftStream && x.Lane.Grafted() }) {
		testbed.UseStream(t, b.node, testbed.GraftStream)
	}
	b.node.Restart(t)
	for name, documents := range used {
		b.node.WaitGreen(t, name)
		if diff := testbed.DiffVersions(documents, b.node.Versions(t, name)); diff != "" {
			t.Errorf("%s after a restart:\n%s", name, diff)
		}
	}
}

// keepsSources reports that documents of the index have their sources.
func keepsSources(ix testbed.GraftIndex) bool {
	for _, d := range ix.Documents {
		return d.Source != ""
	}
	return false
}

// TestServersLiveWithTwins: Elasticsearch restores its snapshots while twins are beside them, keeps the data of a twin when
// the original is deleted, and takes snapshots once it has looked at the repository anew.
func TestServersLiveWithTwins(t *testing.T) {
	for _, server := range testbed.Asked("es717", "es84") {
		t.Run(server, func(t *testing.T) {
			ok, missing := testbed.CanStart(t, server)
			testbed.Need(t, ok, missing)
			node := testbed.Start(t, server, testbed.Options{HeapMB: 768})
			repo := filepath.Join(node.Repo, "own")
			register := map[string]any{"type": "fs", "settings": map[string]any{"location": repo}}
			for i := range 200 {
				node.Call(t, "PUT", "/a/_doc/"+string(rune('a'+i%26))+strings.Repeat("x", i/26), map[string]any{"n": i})
			}
			node.Call(t, "POST", "/a/_refresh", nil)
			node.Call(t, "PUT", "/_snapshot/own", register)
			node.Call(t, "PUT", "/_snapshot/own/one?wait_for_completion=true", nil)
			if out, err := naru(t, nil, "graft", repo, "--in-place", "--target", "2.19").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			restored := func(snapshot, as string) {
				t.Helper()
				node.Call(t, "POST", "/_snapshot/own/"+snapshot+"/_restore?wait_for_completion=true", map[string]any{
					"indices": "a", "rename_pattern": "a", "rename_replacement": as, "include_aliases": false})
				if n := node.Count(t, as, nil); n != 200 {
					t.Errorf("%s as %s: %d documents", snapshot, as, n)
				}
			}
			restored("one", "before")
			if status, reply, err := node.Send(t.Context(), "PUT", "/_snapshot/own/two?wait_for_completion=true", "application/json", nil); err != nil || status < 400 {
				t.Errorf("a snapshot before it has looked anew: %d %s %v", status, reply, err)
			}
			node.Call(t, "DELETE", "/_snapshot/own", nil)
			node.Call(t, "PUT", "/_snapshot/own", register)
			restored("one", "again")
			node.Call(t, "DELETE", "/_snapshot/own/one", nil)
			out, err := naru(t, nil, "carry", repo, "ndjson:"+t.TempDir(), "--snapshot", "one-opensearch", "-i", "a", "--progress", "none").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Verified: 200 documents") {
				t.Errorf("the twin of a snapshot that was deleted: %v\n%s", err, out)
			}
			node.Call(t, "PUT", "/_snapshot/own/three?wait_for_completion=true", nil)
			if out, err := naru(t, nil, "graft", repo, "--undo").CombinedOutput(); err == nil || !strings.Contains(string(out), "written after") {
				t.Errorf("undo under a newer generation: %v\n%s", err, out)
			}
		})
	}
}

// TestServersTakeTheSecondHop: an index of Elasticsearch 7 comes to OpenSearch 3 by way of OpenSearch 2.
func TestServersTakeTheSecondHop(t *testing.T) {
	two := newGraftBench(t, "os219", "es717")
	if r := two.run(t, exitOK, "graft", filepath.Join(two.repos, "es717"), filepath.Join(two.repos, "to"), "--snapshot", "snap-2", "--restore", two.node.URL); r.State != stateDone {
		t.Fatalf("the first hop is %s", r.State)
	}
	hops := []string{"best", "churn", "formats", "joined", "logs-2019", "merged", "sorted"}
	for _, index := range append([]string{"kitchen"}, hops...) {
		two.node.Call(t, "POST", "/"+index+"/_upgrade", nil)
	}
	own := filepath.Join(two.repos, "own")
	two.node.Call(t, "PUT", "/_snapshot/own", map[string]any{"type": "fs", "settings": map[string]any{"location": own}})
	two.node.Call(t, "PUT", "/_snapshot/own/hop?wait_for_completion=true", map[string]any{"indices": "best,churn,excluded,formats,joined,kitchen,logs-2019,merged,sorted"})

	three := newGraftBench(t, "os3")
	if err := os.CopyFS(filepath.Join(three.repos, "own"), os.DirFS(own)); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(three.repos, "own")
	if r := three.run(t, exitPartial, "graft", from, filepath.Join(three.repos, "no"), "--restore", three.node.URL); r.Restore != nil {
		t.Error("it is restored without the flag")
	}
	r := three.run(t, exitPartial, "graft", from, filepath.Join(three.repos, "to"), "--two-hop", "--restore", three.node.URL, "--check-on-startup")
	if r.Restore.Count(restore.Restored) != len(hops) || !r.Verification.Verified {
		t.Errorf("%+v, %+v", r.Restore, r.Verification)
	}
	for _, x := range r.Plan.Newest() {
		why := map[string]string{"kitchen": "nested-marker", "excluded": "lucene-older"} // nested fields; never written anew
		if rule := why[x.Name]; rule != "" && !slices.ContainsFunc(x.Refusals, func(f rules.Refusal) bool { return f.Rule == rule }) {
			t.Errorf("%s is %s: %+v", x.Name, x.Lane, x.Refusals)
		}
	}
	three.compare(t, "es717", "snap-2", "born-later", "churn-other", "excluded", "kitchen", "typed")
	for _, index := range hops {
		testbed.UseIt(t, three.node, index)
	}
}

// TestServersRestoreWhatAPartialSnapshotHas: shards that are missing are said, and left out when asked.
func TestServersRestoreWhatAPartialSnapshotHas(t *testing.T) {
	b := newGraftBench(t, "os219", "graft717")
	from, to := filepath.Join(b.repos, "graft717"), filepath.Join(b.repos, "to")
	args := []string{"graft", from, to, "--snapshot", "half", "-i", "half", "--restore", b.node.URL, "--verify=false"}
	r := b.run(t, exitPartial, args...)
	if x := r.Plan.Newest()[0]; len(x.Missing) == 0 || r.Restore.Count(restore.Failed) != 1 {
		t.Errorf("%+v, %+v", x, r.Restore)
	}
	r = b.run(t, exitPartial, append(args, "--partial", "--ignore-setting", "index.routing.allocation.*")...)
	if r.Restore.Count(restore.Restored) != 1 || b.node.Count(t, "half", nil) == 0 {
		t.Errorf("%+v", r.Restore)
	}
}

// hashes gives the hash of each file below dir.
func hashes(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	out := make(map[string][32]byte)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
