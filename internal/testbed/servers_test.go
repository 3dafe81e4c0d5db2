package testbed_test

import (
	"context"
	"errors"
	"fmt"
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
