package restore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	connect "github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/migrate/restore"
)

// A place is a fixture copied to where the node may read it.
type place struct {
	fixture, dir string
	repo         restore.Repository
	indices      map[string]restore.Index // of snap-2
}

func takePlace(t *testing.T, node *testbed.Node, fixture, name string) *place {
	t.Helper()
	p := &place{fixture: fixture, dir: filepath.Join(node.Repo, name), indices: map[string]restore.Index{}}
	if err := os.CopyFS(p.dir, os.DirFS(filepath.Join(testbed.Fixture(t, fixture), "main"))); err != nil {
		t.Fatal(err)
	}
	p.repo = restore.Repository{Name: name, Type: "fs", Settings: map[string]any{"location": p.dir}}
	s, err := connect.Config{URL: p.dir, Snapshot: "snap-2"}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for info, err := range s.Inspect(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		var meta struct {
			Settings map[string]any
			Mappings map[string]mapping
		}
		if err := json.Unmarshal(info.Meta, &meta); err != nil {
			t.Fatal(err)
		}
		x := restore.Index{Name: info.Name, Snapshot: info.Snapshot, Shards: info.Shards, Bytes: info.Bytes, Closed: info.Closed, Live: info.Live}
		if strings.HasPrefix(x.Name, ".ds-") {
			x.DataStream = "ds-web"
		}
		if _, err := fmt.Sscan(fmt.Sprint(meta.Settings["index.creation_date"]), &x.Created); err != nil {
			t.Fatalf("%v in %s", err, info.Meta)
		}
		for _, m := range meta.Mappings {
			x.Nested = append(x.Nested, m.nested("")...)
		}
		p.indices[x.Name] = x
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

type mapping struct {
	Type       string
	Properties map[string]mapping
}

func (m mapping) nested(path string) (paths []string) {
	for name, p := range m.Properties {
		if p.Type == "nested" {
			paths = append(paths, path+name)
		}
		paths = append(paths, p.nested(path+name+".")...)
	}
	return paths
}

func (p *place) all() []restore.Index {
	var list []restore.Index
	for _, name := range slices.Sorted(maps.Keys(p.indices)) {
		list = append(list, p.indices[name])
	}
	return list
}

func outcomes(r *restore.Report) map[string]*restore.Outcome {
	all := map[string]*restore.Outcome{}
	for i := range r.Indices {
		all[r.Indices[i].Index] = &r.Indices[i]
	}
	return all
}

func told(r any) string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// equal compares what the node has of indices with the fixture's truth; names in the cluster have a prefix.
func (p *place) equal(t *testing.T, c *opensearch.Client, prefix string, names []string) {
	t.Helper()
	truth, want := testbed.Truth(t, p.fixture, "snap-2"), map[string][]testbed.Line{}
	var patterns []string
	for _, name := range names {
		patterns = append(patterns, prefix+name)
		lines := truth[name]
		for i := range lines {
			lines[i].Index, lines[i].Type = prefix+name, ""
			if name == "nosource" || name == "excluded" { // made up or cut by the server
				lines[i].Source = nil
			}
		}
		want[prefix+name] = lines
	}
	s, err := opensearch.NewSource(t.Context(), c, opensearch.SourceOptions{Indices: patterns})
	if err != nil {
		t.Fatal(err)
	}
	got, err := testbed.Drain(t.Context(), s, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, lines := range got {
		for i := range lines { // before OpenSearch 2 and Elasticsearch 8 they have types
			lines[i].Type = ""
		}
	}
	for _, bare := range []string{prefix + "nosource", prefix + "excluded"} {
		for i := range got[bare] {
			got[bare][i].Source = nil
		}
	}
	if diff := testbed.Diff(want, got); diff != "" {
		t.Errorf("%s, restored as %s*:\n%s", p.fixture, prefix, diff)
	}
}

func spoil(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0xff
	if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, b, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// folder is an index's in the repository.
func (p *place) folder(t *testing.T, index string) string {
	t.Helper()
	repo, err := connect.OpenRepository(t.Context(), p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range repo.Indices {
		if ref.Name == index {
			return filepath.Join(p.dir, "indices", ref.ID)
		}
	}
	t.Fatalf("no index %s", index)
	return ""
}

func TestARealNodeRestoresWhatItCanAndSaysWhatItCannot(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	ok, missing := testbed.CanStart(t, "os219")
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, "os219", testbed.Options{})
	c, err := opensearch.Target{URLs: []string{node.URL}}.Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	own := takePlace(t, node, "os219", "own")
	quick := restore.Options{Poll: 200 * time.Millisecond, Patience: 20 * time.Second}

	node.Call(t, "PUT", "/sorted/_doc/1?refresh=true", `{"mine":true}`)
	lacking := own.indices["best"]
	lacking.Plugins = []string{"analysis-icu"}
	own.indices["best"] = lacking
	mended := own.indices["kitchen"]
	mended.Repairs = []restore.Repair{{Kind: restore.UpdateByQuery, Field: "title", Why: "for the test"}}
	own.indices["kitchen"] = mended
	report, err := restore.Run(t.Context(), c, own.repo, own.all(), quick)
	if err != nil {
		t.Fatal(err)
	}
	found := outcomes(&report)
	var whole []string
	for name, x := range own.indices {
		out := found[name]
		switch name {
		case "best":
			if out.State != restore.Failed || !strings.Contains(out.Why, "needs the plugin analysis-icu; without it: node n1") {
				t.Errorf("without its plugin: %s", told(out))
			}
			continue
		case "sorted":
			if out.State != restore.Skipped || !strings.Contains(out.Why, "already") {
				t.Errorf("the name is taken: %s", told(out))
			}
			continue
		case "shut":
			if !strings.Contains(fmt.Sprint(out.Notes), "it is closed, as it was") {
				t.Errorf("closed: %s", told(out))
			}
		case "logs-2019":
			if want := []string{"all-logs", "logs-errors", "logs-routed"}; !slices.Equal(out.Aliases, want) {
				t.Errorf("aliases %q, want %q", out.Aliases, want)
			}
		case "kitchen":
			if len(out.Repaired) != 1 || !out.Repaired[0].Done || out.Repaired[0].Before || out.Repaired[0].Updated == 0 {
				t.Errorf("repair: %s", told(out))
			}
			if !strings.Contains(told(out.Checks), `"nested comments"`) {
				t.Errorf("nested: %s", told(out))
			}
		}
		if out.State != restore.Restored || !out.Right() || out.Bytes != x.Bytes || len(out.Checks) < 2 {
			t.Errorf("%s of %d bytes: %s", name, x.Bytes, told(out))
		}
		if name != "shut" {
			whole = append(whole, name)
		}
	}
	own.equal(t, c, "", whole)
	if text := string(node.Call(t, "GET", "/sorted/_search", nil)); !strings.Contains(text, `"mine":true`) {
		t.Errorf("what was there is not: %s", text)
	}
	if text := string(node.Call(t, "GET", "/_data_stream/ds-web", nil)); !strings.Contains(text, ".ds-ds-web-000001") {
		t.Errorf("data stream: %s", text)
	}
	if text := string(node.Call(t, "GET", "/_snapshot/own", nil)); !strings.Contains(text, `"readonly":"true"`) {
		t.Errorf("registered as %s", text)
	}

	t.Run("a second run adds nothing, also after the node has started again", func(t *testing.T) {
		const all = "/_cat/indices?h=index,uuid,docs.count,status&s=index&expand_wildcards=all"
		was := string(node.Call(t, "GET", all, nil))
		for _, restart := range []bool{false, true} {
			if restart {
				node.Restart(t)
				node.Call(t, "GET", "/_cluster/health?wait_for_status=yellow&wait_for_no_initializing_shards=true&timeout=30s", nil)
			}
			report, err := restore.Run(t.Context(), c, own.repo, own.all(), quick)
			if err != nil || report.Registered {
				t.Fatal(err, told(report))
			}
			for name, out := range outcomes(&report) {
				if want := map[string]restore.State{"best": restore.Failed, "sorted": restore.Skipped}[name]; want != "" {
					if out.State != want {
						t.Errorf("%s: %s", name, told(out))
					}
				} else if out.State != restore.WasThere || !out.Right() {
					t.Errorf("%s: %s", name, told(out))
				}
			}
			if out := outcomes(&report)["kitchen"]; len(out.Repaired) != 1 || !out.Repaired[0].Before {
				t.Errorf("repaired before: %s", told(out))
			}
			if is := string(node.Call(t, "GET", all, nil)); is != was {
				t.Errorf("before:\n%s\nafter:\n%s", was, is)
			}
		}
	})

	t.Run("damaged indices do not keep the others from being restored", func(t *testing.T) {
		spoilt := takePlace(t, node, "os219", "spoilt")
		for _, file := range glob(t, spoilt.folder(t, "churn"), "meta-*") {
			spoil(t, file)
		}
		data := glob(t, spoilt.folder(t, "kitchen"), "0/__*")
		slices.SortFunc(data, func(a, b string) int { return int(size(t, a) - size(t, b)) })
		spoil(t, data[len(data)-1])
		o := quick
		o.Rename = func(name string) string { return "spoilt-" + name }
		o.Unregister = true
		list := slices.DeleteFunc(spoilt.all(), func(x restore.Index) bool {
			return !slices.Contains([]string{"churn", "kitchen", "joined", "formats"}, x.Name)
		})
		report, err := restore.Run(t.Context(), c, spoilt.repo, list, o)
		if err != nil {
			t.Fatal(err)
		}
		found := outcomes(&report)
		if out := found["churn"]; out.State != restore.Failed || out.Deleted || !strings.Contains(out.Why, "checksum failed") {
			t.Errorf("its metadata are damaged: %s", told(out))
		}
		if out := found["kitchen"]; out.State != restore.Failed || !out.Deleted || !strings.HasPrefix(out.Why, "shard 0: CorruptIndexException[checksum failed") {
			t.Errorf("its data are damaged: %s", told(out))
		}
		for _, name := range []string{"joined", "formats"} {
			if !found[name].Right() {
				t.Errorf("%s: %s", name, told(found[name]))
			}
		}
		if text := string(node.Call(t, "GET", "/_cat/indices?h=index,health", nil)); strings.Contains(text, "red") || strings.Contains(text, "spoilt-kitchen") {
			t.Errorf("what is broken is still there:\n%s", text)
		}
		spoilt.equal(t, c, "spoilt-", []string{"joined", "formats"})
		if text := string(node.Call(t, "GET", "/_snapshot", nil)); strings.Contains(text, "spoilt") || !report.Unregistered {
			t.Errorf("still registered: %s", text)
		}
	})

	for _, fixture := range []string{"os13", "es710"} {
		t.Run("checked from end to end, out of "+fixture, func(t *testing.T) {
			old := takePlace(t, node, fixture, "from-"+fixture)
			o := quick
			o.Rename = func(name string) string { return fixture + "-" + name }
			one := 1
			o.CheckOnStartup, o.Replicas = true, &one
			list := slices.DeleteFunc(old.all(), func(x restore.Index) bool { return x.DataStream != "" })
			report, err := restore.Run(t.Context(), c, old.repo, list, o)
			if err != nil {
				t.Fatal(err)
			}
			var open []string
			for name, out := range outcomes(&report) {
				if out.State != restore.Restored || !out.Right() || !strings.Contains(told(out.Checks), "CheckIndex found nothing") {
					t.Errorf("%s: %s", name, told(out))
				}
				if name == "shut" {
					continue
				}
				open = append(open, name)
				if !strings.Contains(told(out.Checks), "yellow: 1 replicas need 2 data nodes, there are 1") {
					t.Errorf("%s: %s", name, told(out))
				}
			}
			settings := string(node.Call(t, "GET", "/"+fixture+"-*/_settings?flat_settings=true&expand_wildcards=all", nil))
			if strings.Contains(settings, "check_on_startup") || !strings.Contains(settings, `"index.number_of_replicas":"1"`) {
				t.Errorf("settings: %s", settings)
			}
			old.equal(t, c, fixture+"-", open)
		})
	}

	t.Run("an interrupted restore goes on and is picked up", func(t *testing.T) {
		slow := takePlace(t, node, "os219", "slow")
		o := quick
		o.Rename = func(name string) string { return "slow-" + name }
		o.MaxBytesPerSec = 200_000 // of 800,000
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o.Progress = func(p restore.Progress) {
			if p.Bytes > 0 {
				cancel()
			}
		}
		list := []restore.Index{slow.indices["logs-2019"]}
		report, err := restore.Run(ctx, c, slow.repo, list, o)
		if !errors.Is(err, context.Canceled) || report.Indices[0].State != restore.UnderWay {
			t.Fatal(err, told(report))
		}
		o.Progress = nil
		report, err = restore.Run(t.Context(), c, slow.repo, list, o)
		if out := report.Indices[0]; err != nil || out.State != restore.WasThere || !out.Right() || out.Bytes != list[0].Bytes {
			t.Error(err, told(report))
		}
		slow.equal(t, c, "slow-", []string{"logs-2019"})
	})

	t.Run("what cannot be registered is said with what to do", func(t *testing.T) {
		elsewhere := own.repo
		elsewhere.Settings = map[string]any{"location": filepath.Join(node.Repo, "spoilt")}
		if _, err := restore.Run(t.Context(), c, elsewhere, own.all(), quick); err == nil || !strings.Contains(err.Error(), "give another name") {
			t.Errorf("another place under a name that is taken: %v", err)
		}
		outside := restore.Repository{Name: "outside", Type: "fs", Settings: map[string]any{"location": "/nowhere/at/all"}}
		if _, err := restore.Run(t.Context(), c, outside, own.all(), quick); err == nil || !strings.Contains(err.Error(), "one of path.repo in the configuration") {
			t.Errorf("outside of path.repo: %v", err)
		}
		nothing := restore.Repository{Name: "nothing", Type: "fs", Settings: map[string]any{"location": filepath.Join(node.Repo, "nothing")}}
		if _, err := restore.Run(t.Context(), c, nothing, own.all(), quick); err == nil || !strings.Contains(err.Error(), "every node must reach it") {
			t.Errorf("no folder: %v", err)
		}
		if text := string(node.Call(t, "GET", "/_snapshot", nil)); strings.Contains(text, "outside") || strings.Contains(text, "nothing") {
			t.Errorf("still registered: %s", text)
		}
	})

	t.Run("templates and pipelines are put where there are none", func(t *testing.T) {
		meta := glob(t, own.dir, "meta-*.dat")
		b, err := os.ReadFile(meta[0])
		if err != nil {
			t.Fatal(err)
		}
		blob, err := snapshot.OpenBlob(snapshot.MetadataCodec, b)
		if err != nil {
			t.Fatal(err)
		}
		node.Call(t, "PUT", "/_ingest/pipeline/empty", `{"processors":[{"set":{"field":"mine","value":1}}]}`)
		for again, fate := range []restore.Fate{restore.Put, restore.Same} {
			placed, err := restore.Templates(t.Context(), c, blob.Body, quick)
			if err != nil || len(placed) < 6 {
				t.Fatal(err, told(placed))
			}
			for _, p := range placed {
				want := fate
				if p.Name == "empty" {
					want = restore.Left
				}
				if p.Fate != want {
					t.Errorf("time %d: %s", again+1, told(p))
				}
			}
		}
	})
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s in %s: %v", pattern, dir, err)
	}
	return files
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
