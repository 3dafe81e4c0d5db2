package graft_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/migrate/graft"
)

// names of the snapshots in a repository.
func names(t *testing.T, dir string) []string {
	t.Helper()
	repo, err := snapshot.ReadRepository(t.Context(), writerAt(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range repo.Snapshots {
		out = append(out, s.Name)
	}
	slices.Sort(out)
	return out
}

func TestTwinsAreAddedBesideWhatIsThereAndTakenBack(t *testing.T) {
	from := copied(t, "es717")
	before := tree(t, from)
	p := planned(t, from, graft.Config{Snapshot: "*"})
	w, err := p.Twin(t.Context(), writerAt(t, from))
	if err != nil || w.Metadata.Blobs == 0 || w.Linked.Blobs+w.Streamed.Blobs+w.CopiedThere.Blobs != 0 {
		t.Fatalf("%+v, %v", w, err)
	}
	want := []string{"snap-1", "snap-1-opensearch", "snap-2", "snap-2-opensearch", "snap-3", "snap-3-opensearch"}
	if diff := cmp.Diff(want, names(t, from)); diff != "" {
		t.Errorf("snapshots: %s", diff)
	}
	if !subset(before, tree(t, from), "index.latest") {
		t.Error("something that was there has changed")
	}
	store := writerAt(t, from)
	for _, name := range []string{"snap-1", "snap-2", "snap-3"} {
		truth := comparable(testbed.Truth(t, "es717", name), "2.19")
		if diff := testbed.Diff(truth, comparable(documents(t, store, name), "2.19")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := testbed.Diff(truth, comparable(documents(t, store, name+graft.TwinSuffix), "2.19")); diff != "" {
			t.Errorf("the twin of %s: %s", name, diff)
		}
	}
	with := tree(t, from)
	if again, err := planned(t, from, graft.Config{Snapshot: "*"}).Twin(t.Context(), writerAt(t, from)); err != nil || !again.Nothing {
		t.Errorf("the second run: %+v, %v", again, err)
	}
	if _, err := planned(t, from, graft.Config{Target: target(t, "2.9")}).Twin(t.Context(), writerAt(t, from)); err == nil {
		t.Error("twins are added for another version too")
	}
	if diff := cmp.Diff(with, tree(t, from)); diff != "" {
		t.Errorf("the second run changed: %s", diff)
	}
	n, err := graft.Undo(t.Context(), writerAt(t, from))
	if err != nil || int64(n) != w.Metadata.Blobs {
		t.Errorf("%d removed, %v", n, err)
	}
	if diff := cmp.Diff(before, tree(t, from)); diff != "" {
		t.Errorf("the repository is not what it was: %s", diff)
	}
	if _, err := graft.Undo(t.Context(), writerAt(t, from)); err == nil {
		t.Error("taken back twice")
	}
}

func TestACrashWhileTwinsAreAddedOrTakenBackCanBeUndone(t *testing.T) {
	original := copied(t, "es717")
	before := tree(t, original)
	root := t.TempDir()
	dir := func(step int) string {
		d := filepath.Join(root, fmt.Sprint(step))
		if _, err := os.Stat(d); errors.Is(err, fs.ErrNotExist) {
			if err := os.CopyFS(d, os.DirFS(original)); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	config := graft.Config{Indices: []string{"best", "joined"}}
	visible := func(step int) {
		// Whichever index-N counts, all that it lists is there.
		for _, name := range names(t, dir(step)) {
			documents(t, writerAt(t, dir(step)), name)
		}
	}
	atEachStep(t, dir, func(step int, w blob.Writer) error {
		_, err := planned(t, dir(step), config).Twin(t.Context(), w)
		visible(step)
		if err == nil {
			return nil
		}
		if step%2 == 0 {
			if _, err := planned(t, dir(step), config).Twin(t.Context(), writerAt(t, dir(step))); err != nil {
				t.Errorf("step %d, the next run: %v", step, err)
			}
			if !slices.Contains(names(t, dir(step)), "snap-3-opensearch") {
				t.Errorf("step %d, the next run: the twin is not there", step)
			}
		}
		if len(tree(t, dir(step))) > len(before) {
			if _, err := graft.Undo(t.Context(), writerAt(t, dir(step))); err != nil {
				t.Errorf("step %d, undo: %v", step, err)
			}
		}
		if diff := cmp.Diff(before, tree(t, dir(step))); diff != "" {
			t.Errorf("step %d, after undo: %s", step, diff)
		}
		return err
	})
	root = t.TempDir()
	added := copied(t, "es717")
	if _, err := planned(t, added, config).Twin(t.Context(), writerAt(t, added)); err != nil {
		t.Fatal(err)
	}
	original = added
	for step := 0; ; step++ {
		w := &crashing{Writer: writerAt(t, dir(step))}
		w.left.Store(int64(step))
		_, err := graft.Undo(t.Context(), w)
		if err == nil {
			if step < 4 {
				t.Errorf("undo took %d steps only", step)
			}
			break
		}
		visible(step)
		if _, err := graft.Undo(t.Context(), writerAt(t, dir(step))); err != nil {
			t.Errorf("step %d of undo, again: %v", step, err)
		}
		if diff := cmp.Diff(before, tree(t, dir(step))); diff != "" {
			t.Errorf("step %d of undo, again: %s", step, diff)
		}
	}
}

func TestWhatAServerWroteMeanwhileIsNotTouched(t *testing.T) {
	from := copied(t, "es717")
	p := planned(t, from, graft.Config{})
	theirs := filepath.Join(from, fmt.Sprintf("index-%d", p.Generation+1))
	content, err := os.ReadFile(filepath.Join(from, fmt.Sprintf("index-%d", p.Generation)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(theirs, content, 0o600); err != nil {
		t.Fatal(err)
	}
	before := tree(t, from)
	if _, err := p.Twin(t.Context(), writerAt(t, from)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("added beside the server's: %v", err)
	}
	if _, err := graft.Undo(t.Context(), writerAt(t, from)); err != nil {
		t.Errorf("undo: %v", err)
	}
	if diff := cmp.Diff(before, tree(t, from)); diff != "" {
		t.Errorf("changed: %s", diff)
	}

	from = copied(t, "es717")
	p = planned(t, from, graft.Config{})
	if _, err := p.Twin(t.Context(), writerAt(t, from)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, fmt.Sprintf("index-%d", p.Generation+2)), content, 0o600); err != nil {
		t.Fatal(err)
	}
	before = tree(t, from)
	if _, err := graft.Undo(t.Context(), writerAt(t, from)); err == nil || !strings.Contains(err.Error(), "written after") {
		t.Errorf("undo under a newer generation: %v", err)
	}
	if diff := cmp.Diff(before, tree(t, from)); diff != "" {
		t.Errorf("changed: %s", diff)
	}
}
