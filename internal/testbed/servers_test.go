package testbed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

func TestARealServersSnapshotIsReadByteForByte(t *testing.T) {
	readsWhatIsWritten(t, "os219", testbed.Recipe{Indices: 8, Rounds: 3, Documents: 120, Large: 3})
}

func readsWhatIsWritten(t *testing.T, name string, recipe testbed.Recipe) {
	ok, missing := testbed.CanStart(t, name)
	testbed.Need(t, ok, missing)
	recipe.Seed = seed(t)
	t.Logf("NARU_SEED=%d", recipe.Seed)
	node := testbed.Start(t, name, testbed.Options{HeapMB: 768})
	for _, taken := range testbed.Write(t, node, recipe) {
		wrong := ""
		got, err := read(t.Context(), taken, rand.New(rand.NewPCG(recipe.Seed, 1)))
		if err != nil {
			wrong = err.Error()
		} else {
			wrong = testbed.Diff(taken.Truth, got)
		}
		if wrong != "" {
			kept := keep(t, taken, fmt.Sprintf("%s-%d", name, recipe.Seed))
			t.Errorf("%s %s (%s, NARU_SEED=%d, kept in %s):\n%s", name, taken.Snapshot, node.Version, recipe.Seed, kept, wrong)
		}
	}
	saysWhatIsNotInASnapshot(t, node)
	readsPastChunksOfChildren(t, node)
}

// readsPastChunksOfChildren has the node index documents with so many nested children that whole chunks of stored fields
// have only children, which store nothing.
func readsPastChunksOfChildren(t *testing.T, node *testbed.Node) {
	t.Helper()
	typ := "_doc"
	nested := map[string]any{"properties": map[string]any{"c": map[string]any{"type": "nested"}}}
	mappings := any(nested)
	if !node.OpenSearch && node.Major < 7 {
		if node.Major < 6 {
			typ = "doc"
		}
		mappings = map[string]any{typ: nested}
	}
	child := strings.Repeat(`{"a":1},`, 9000)
	want := map[string][]testbed.Line{}
	for _, codec := range []string{"default", "best_compression", "zstd", "zstd_no_dict"} {
		index := "children-" + strings.ReplaceAll(codec, "_", "-")
		status, reply, err := node.Send(t.Context(), "PUT", "/"+index, "application/json", map[string]any{
			"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "codec": codec}, "mappings": mappings})
		if err != nil {
			t.Fatal(err)
		}
		if status >= 300 {
			if !strings.HasPrefix(codec, "zstd") {
				t.Fatalf("%s: %s", index, reply)
			}
			continue // not every server has it
		}
		for id, n := range map[string]int{"few": 3, "many": 9000, "more": 5000, "none": 0} {
			body := json.RawMessage(fmt.Sprintf(`{"id":%q,"c":[%s]}`, id, strings.TrimSuffix(child[:8*n], ",")))
			node.Call(t, "PUT", "/"+index+"/"+typ+"/"+id, body)
		}
		node.Call(t, "POST", "/"+index+"/_forcemerge?max_num_segments=1", nil)
		want[index] = node.Dump(t, index)
		if len(want[index]) != 4 {
			t.Fatalf("%s has %d documents", index, len(want[index]))
		}
	}
	repo := filepath.Join(node.Repo, "children")
	node.Call(t, "PUT", "/_snapshot/children", map[string]any{"type": "fs", "settings": map[string]any{"location": repo}})
	node.Call(t, "PUT", "/_snapshot/children/all?wait_for_completion=true", map[string]any{"indices": "children-*"})
	for _, partBytes := range []int64{0, 1} {
		src, err := snapshot.Config{URL: repo, PartBytes: partBytes}.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := testbed.Drain(t.Context(), src, rand.New(rand.NewPCG(1, 2)))
		if err = errors.Join(err, src.Close()); err != nil {
			t.Error(err)
		} else if diff := testbed.Diff(want, got); diff != "" {
			t.Errorf("%s, parts of %d bytes:\n%s", node.Version, partBytes, diff)
		}
	}
}

// saysWhatIsNotInASnapshot has the node take a snapshot of an index of which one shard has nowhere to be: it is
// PARTIAL. What is there is read, and the shard that is not is named.
func saysWhatIsNotInASnapshot(t *testing.T, node *testbed.Node) {
	t.Helper()
	node.Call(t, "PUT", "/half?wait_for_active_shards=0&timeout=2s", map[string]any{"settings": map[string]any{
		"number_of_shards": 2, "number_of_replicas": 0, "routing.allocation.total_shards_per_node": 1}})
	typ := "_doc"
	if !node.OpenSearch && node.Major < 6 {
		typ = "doc"
	}
	arrived := 0
	for i := range 12 {
		path := fmt.Sprintf("/half/%s/%d?timeout=300ms&routing=%d", typ, i, i)
		status, _, err := node.Send(t.Context(), "PUT", path, "application/json", map[string]any{"n": i})
		if err != nil {
			t.Fatal(err)
		}
		if status < 300 {
			arrived++
		}
	}
	if arrived == 0 || arrived == 12 {
		t.Fatalf("%d of 12 documents arrived: the index is not half there", arrived)
	}
	repo := filepath.Join(node.Repo, "half")
	node.Call(t, "PUT", "/_snapshot/half", map[string]any{"type": "fs", "settings": map[string]any{"location": repo}})
	node.Call(t, "PUT", "/_snapshot/half/half?wait_for_completion=true", map[string]any{"indices": "half", "partial": true})
	src, err := snapshot.Config{URL: repo}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if state := src.Snapshots()[0].Snapshot.State; state != "PARTIAL" {
		t.Errorf("the snapshot is %s", state)
	}
	groups, err := src.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g := groups[0]; g.Grade != flow.Partial || !strings.Contains(g.Why, "not in the snapshot") {
		t.Errorf("graded %s: %s", g.Grade, g.Why)
	}
	read, failed := 0, 0
	for part, err := range src.Parts(t.Context()) {
		if err != nil {
			failed++
			if !flow.IsPermanent(err) || !strings.Contains(err.Error(), "not in the snapshot") {
				t.Errorf("part %s: %v", part.ID, err)
			}
			continue
		}
		r, err := src.Open(t.Context(), part, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b flow.Batch
		if err := r.Read(t.Context(), &b); err != io.EOF { //nolint:errorlint // a reader returns it itself
			t.Errorf("part %s: %v", part.ID, err)
		}
		read += len(b.Records)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if failed != 1 || read != arrived {
		t.Errorf("%d parts failed, %d of %d documents were read", failed, read, arrived)
	}
}

// read is naru's side: parts and windows of random sizes, so that segments are cut anywhere.
func read(ctx context.Context, taken testbed.Taken, rng *rand.Rand) (lines map[string][]testbed.Line, err error) {
	src, err := snapshot.Config{
		URL:       taken.Repo,
		Snapshot:  taken.Snapshot,
		PartBytes: []int64{0, 4 << 10, 100 << 10}[rng.IntN(3)],
		Window:    []int{0, 4 << 10, 64 << 10}[rng.IntN(3)],
	}.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	groups, err := src.Groups(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if taken.Bodiless[g.Name] != (g.Grade == flow.Unreadable) {
			return nil, fmt.Errorf("%s is graded %s (%s); that it keeps no source is %v", g.Name, g.Grade, g.Why, taken.Bodiless[g.Name])
		}
	}
	return testbed.Drain(ctx, src, rng)
}

func seed(t *testing.T) uint64 {
	text := os.Getenv("NARU_SEED")
	if text == "" {
		return rand.Uint64() % 1e9
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("NARU_SEED: %v", err)
	}
	return n
}

// keep copies a repository that was not read rightly, with the truth beside it: the seed alone does not bring the same
// segments back.
func keep(t *testing.T, taken testbed.Taken, name string) string {
	dir := filepath.Join(testbed.Root(t), ".cache", "failed", name)
	repo := filepath.Join(dir, filepath.Base(taken.Repo))
	if err := os.RemoveAll(repo); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(repo, os.DirFS(taken.Repo)); err != nil {
		t.Fatal(err)
	}
	var truth strings.Builder
	for _, index := range slices.Sorted(maps.Keys(taken.Truth)) {
		for _, line := range taken.Truth[index] {
			fmt.Fprintf(&truth, "%q %q %q %q %s\n", line.Index, line.Type, line.ID, line.Routing, line.Source)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, taken.Snapshot+".txt"), []byte(truth.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return repo
}
