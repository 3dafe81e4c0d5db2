package graft_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/migrate/graft"
	"github.com/narudata/naru/migrate/graft/rules"
)

// target parses a version of OpenSearch.
func target(t *testing.T, version string) rules.Target {
	t.Helper()
	v, err := rules.ParseTarget(version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// copied is a copy of a fixture's main repository, which may be changed.
func copied(t *testing.T, fixture string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "from")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(testbed.Fixture(t, fixture), "main"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// planned plans for the repository at dir.
func planned(t *testing.T, dir string, c graft.Config) *graft.Plan {
	t.Helper()
	if c.Target == (rules.Target{}) {
		c.Target = target(t, "2.19")
	}
	p, err := c.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func writerAt(t *testing.T, dir string) blob.Writer {
	t.Helper()
	w, err := blob.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// tree gives the hash of each file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// documents reads what naru finds in a snapshot of a repository.
func documents(t *testing.T, store blob.Store, name string) map[string][]testbed.Line {
	t.Helper()
	repo, err := snapshot.ReadRepository(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Config{Snapshot: name}.Read(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := testbed.Drain(t.Context(), s, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// comparable leaves out what is not the same on both sides: the index that keeps no documents, and the names of mapping
// types, which OpenSearch 2 does not have.
func comparable(lines map[string][]testbed.Line, target string) map[string][]testbed.Line {
	lines = maps.Clone(lines)
	delete(lines, "nosource")
	if target >= "2" {
		for index, some := range lines {
			some = slices.Clone(some)
			for i := range some {
				some[i].Type = ""
			}
			slices.SortFunc(some, func(a, b testbed.Line) int { return strings.Compare(a.ID, b.ID) })
			lines[index] = some
		}
	}
	return lines
}

func TestTheViewHasTheDocumentsOfTheSource(t *testing.T) {
	for _, c := range []struct{ fixture, target string }{{"es68", "1.3"}, {"es710", "2.19"}, {"es717", "2.19"}, {"os13", "2.19"}, {"os219", "3.8"}} {
		t.Run(c.fixture+" for "+c.target, func(t *testing.T) {
			from := filepath.Join(testbed.Fixture(t, c.fixture), "main")
			p := planned(t, from, graft.Config{Snapshot: "*", Target: target(t, c.target)})
			view, err := p.View(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range p.Snapshots {
				want := testbed.Truth(t, c.fixture, s.Name)
				left := 0
				for _, x := range p.Indices {
					if x.Snapshot == s.Name && !x.Lane.Grafted() {
						delete(want, x.Name)
						left++
					}
				}
				if s.Grafted == 0 || s.Grafted+left != s.Indices {
					t.Errorf("snapshot %s: %d of %d indices are grafted, and %d are not", s.Name, s.Grafted, s.Indices, left)
				}
				if diff := testbed.Diff(comparable(want, c.target), comparable(documents(t, view, s.Name), c.target)); diff != "" {
					t.Errorf("snapshot %s: %s", s.Name, diff)
				}
			}
		})
	}
}

func TestWhatIsWrittenSharesTheDataAndLeavesTheSourceAsItIs(t *testing.T) {
	from := copied(t, "es717")
	before := tree(t, from)
	to := filepath.Join(t.TempDir(), "to")
	p := planned(t, from, graft.Config{Snapshot: "*"})
	w, err := p.Write(t.Context(), writerAt(t, to), graft.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if w.Linked.Blobs == 0 || w.Streamed.Blobs != 0 || w.CopiedThere.Blobs != 0 || w.Metadata.Blobs == 0 || w.Nothing || w.Shards != w.OfShards {
		t.Errorf("written: %+v", w)
	}
	if diff := cmp.Diff(before, tree(t, from)); diff != "" {
		t.Errorf("the source has changed: %s", diff)
	}
	for name, hash := range tree(t, to) {
		isData := strings.HasPrefix(filepath.Base(name), "__")
		if isData && before[name] != hash {
			t.Errorf("data blob %s is not that of the source", name)
		}
		if a, b := stat(t, from, name), stat(t, to, name); isData && !os.SameFile(a, b) {
			t.Errorf("%s was copied", name)
		}
	}
	again, err := p.Write(t.Context(), writerAt(t, to), graft.Options{})
	if err != nil || !again.Nothing || again.Bytes() != 0 || again.Kept.Blobs != w.Linked.Blobs {
		t.Errorf("the second run: %+v, %v", again, err)
	}
	for _, name := range []string{"snap-1", "snap-2", "snap-3"} {
		store, err := blob.OpenDir(to)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close() //nolint:errcheck // only read
		if diff := testbed.Diff(comparable(testbed.Truth(t, "es717", name), "2.19"), comparable(documents(t, store, name), "2.19")); diff != "" {
			t.Errorf("snapshot %s: %s", name, diff)
		}
	}
}

func TestEveryBlobThatTheMetadataNameIsThere(t *testing.T) {
	for _, c := range []struct{ fixture, target string }{{"es68", "1.3"}, {"es717", "2.19"}, {"os219", "3.8"}} {
		from := filepath.Join(testbed.Fixture(t, c.fixture), "main")
		to := filepath.Join(t.TempDir(), "to")
		p := planned(t, from, graft.Config{Snapshot: "*", Target: target(t, c.target)})
		if _, err := p.Write(t.Context(), writerAt(t, to), graft.Options{}); err != nil {
			t.Fatal(err)
		}
		repo, err := snapshot.ReadRepository(t.Context(), writerAt(t, to))
		if err != nil {
			t.Fatal(err)
		}
		chosen, err := repo.Chosen(t.Context(), snapshot.Config{Snapshot: "*"})
		if err != nil {
			t.Fatal(err)
		}
		files := 0
		for i := range chosen {
			for _, ref := range chosen[i].Indices {
				meta, err := repo.Index(t.Context(), chosen[i].Ref, ref)
				if err != nil {
					t.Fatal(err)
				}
				for n := range meta.Shards {
					sh, err := repo.Shard(t.Context(), &chosen[i].Selected, ref, n)
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range sh.Files {
						for k := range f.Parts() {
							name := filepath.Join(sh.Dir, f.Part(k))
							if stat(t, to, name) == nil && !strings.HasPrefix(f.Name, "v__") {
								t.Errorf("%s: %s (%s) of %s is not there", c.fixture, name, f.Physical, ref.Name)
							}
							files++
						}
					}
				}
			}
		}
		if files < 100 {
			t.Errorf("%s: %d files", c.fixture, files)
		}
	}
}

func stat(t *testing.T, dir, name string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return info
}

var errCrash = errors.New("crash")

// crashing is a writer that does so many calls that change something, and then none.
type crashing struct {
	blob.Writer
	left atomic.Int64
}

func (c *crashing) may() error {
	if c.left.Add(-1) < 0 {
		return errCrash
	}
	return nil
}

func (c *crashing) Put(ctx context.Context, name string, b []byte) error {
	if err := c.may(); err != nil {
		return err
	}
	return c.Writer.Put(ctx, name, b)
}

func (c *crashing) Replace(ctx context.Context, name string, b []byte) error {
	if err := c.may(); err != nil {
		return err
	}
	return c.Writer.Replace(ctx, name, b)
}

func (c *crashing) Take(ctx context.Context, from blob.Store, name string, size int64) (blob.How, error) {
	if err := c.may(); err != nil {
		return 0, err
	}
	return c.Writer.Take(ctx, from, name, size)
}

func (c *crashing) Remove(ctx context.Context, names ...string) error {
	if err := c.may(); err != nil {
		return err
	}
	return c.Writer.Remove(ctx, names...)
}

func (c *crashing) Sync(ctx context.Context) error {
	if err := c.may(); err != nil {
		return err
	}
	return c.Writer.Sync(ctx)
}

// atEachStep calls do with a writer that dies after 0, 1, 2, … calls, until it does not die any more.
func atEachStep(t *testing.T, dir func(step int) string, do func(step int, w blob.Writer) error) {
	t.Helper()
	for step := 0; ; step++ {
		w := &crashing{Writer: writerAt(t, dir(step))}
		w.left.Store(int64(step))
		err := do(step, w)
		if err == nil {
			if step < 10 {
				t.Fatalf("it took %d steps only", step)
			}
			return
		}
		if !errors.Is(err, errCrash) {
			t.Fatalf("step %d: %v", step, err)
		}
	}
}

func TestACrashLeavesNoHalfRepositoryAndTheNextRunCompletesIt(t *testing.T) {
	from := copied(t, "es717")
	whole := filepath.Join(t.TempDir(), "whole")
	p := planned(t, from, graft.Config{Snapshot: "*", Indices: []string{"best", "joined", "shut"}})
	if _, err := p.Write(t.Context(), writerAt(t, whole), graft.Options{}); err != nil {
		t.Fatal(err)
	}
	want := tree(t, whole)
	root := t.TempDir()
	dir := func(step int) string { return filepath.Join(root, fmt.Sprint(step)) }
	atEachStep(t, dir, func(step int, w blob.Writer) error {
		_, err := p.Write(t.Context(), w, graft.Options{})
		if err == nil {
			return nil
		}
		// A server sees what index-N lists.
		if repo, err := snapshot.ReadRepository(t.Context(), w); err == nil {
			if got := tree(t, dir(step)); !subset(want, got, "index.latest", "naru-graft.json") {
				t.Errorf("step %d: index-%d is there, and not all that it lists: %s", step, repo.Generation, cmp.Diff(want, got))
			}
		}
		if _, err := p.Write(t.Context(), writerAt(t, dir(step)), graft.Options{}); err != nil {
			t.Errorf("step %d, the next run: %v", step, err)
		}
		if diff := cmp.Diff(want, tree(t, dir(step))); diff != "" {
			t.Errorf("step %d, after the next run: %s", step, diff)
		}
		return err
	})
}

// subset reports that got has all that want has, but for some names.
func subset(want, got map[string]string, but ...string) bool {
	for name, hash := range want {
		if got[name] != hash && !slices.Contains(but, name) {
			return false
		}
	}
	return true
}

func TestMoreOfTheSourceIsAddedInANewGeneration(t *testing.T) {
	from := copied(t, "es717")
	to := filepath.Join(t.TempDir(), "to")
	first := planned(t, from, graft.Config{Indices: []string{"best"}})
	one, err := first.Write(t.Context(), writerAt(t, to), graft.Options{})
	if err != nil {
		t.Fatal(err)
	}
	second := planned(t, from, graft.Config{Snapshot: "*"})
	two, err := second.Write(t.Context(), writerAt(t, to), graft.Options{})
	if err != nil || two.Generation != one.Generation+1 || two.Kept.Blobs != one.Linked.Blobs {
		t.Fatalf("%+v after %+v, %v", two, one, err)
	}
	if _, err := os.Stat(filepath.Join(to, fmt.Sprintf("index-%d", one.Generation))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old generation is left: %v", err)
	}
	store := writerAt(t, to)
	for _, name := range []string{"snap-1", "snap-2", "snap-3"} {
		if diff := testbed.Diff(comparable(testbed.Truth(t, "es717", name), "2.19"), comparable(documents(t, store, name), "2.19")); diff != "" {
			t.Errorf("snapshot %s: %s", name, diff)
		}
	}
}

func TestWhatOthersHaveWrittenIsLeftAlone(t *testing.T) {
	from := copied(t, "es717")
	p := planned(t, from, graft.Config{})
	write := func(dir string) error {
		_, err := p.Write(t.Context(), writerAt(t, dir), graft.Options{})
		return err
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, graft.ErrOthers) {
			t.Errorf("%s: %v", what, err)
		}
	}
	theirs := copied(t, "es710")
	before := tree(t, theirs)
	refused("another repository", write(theirs))
	if diff := cmp.Diff(before, tree(t, theirs)); diff != "" {
		t.Errorf("another repository was changed: %s", diff)
	}
	used := filepath.Join(t.TempDir(), "used")
	if err := write(used); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(used, "index-99"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	before = tree(t, used)
	refused("one that a server writes into", write(used))
	if diff := cmp.Diff(before, tree(t, used)); diff != "" {
		t.Errorf("a repository that a server writes into was changed: %s", diff)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if _, err := planned(t, theirs, graft.Config{}).Write(t.Context(), writerAt(t, elsewhere), graft.Options{}); err != nil {
		t.Fatal(err)
	}
	refused("one that was written for another source", write(elsewhere))
	if err := write(from); err == nil {
		t.Error("the source itself was written to")
	}
	if _, err := planned(t, from, graft.Config{Target: target(t, "2.9")}).Write(t.Context(), writerAt(t, filepath.Join(t.TempDir(), "x")), graft.Options{}); err != nil {
		t.Error(err)
	}
}

func TestADamagedIndexIsBlockedAndTheOthersAreGrafted(t *testing.T) {
	from := copied(t, "es717")
	metas, err := filepath.Glob(filepath.Join(from, "indices", "*", "meta-*.dat"))
	if err != nil || len(metas) == 0 {
		t.Fatal(err)
	}
	b, err := os.ReadFile(metas[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(metas[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	p := planned(t, from, graft.Config{Snapshot: "*"})
	blocked, grafted := 0, 0
	for _, x := range p.Indices {
		if x.Lane == graft.Blocked {
			blocked++
			if len(x.Refusals) != 1 || !strings.Contains(x.Refusals[0].Why, filepath.Base(metas[0])) {
				t.Errorf("%s is blocked for %+v", x.Name, x.Refusals)
			}
		} else if x.Lane.Grafted() {
			grafted++
		}
	}
	if blocked == 0 || grafted == 0 {
		t.Fatalf("%d blocked, %d grafted", blocked, grafted)
	}
	if _, err := p.Write(t.Context(), writerAt(t, filepath.Join(t.TempDir(), "to")), graft.Options{}); err != nil {
		t.Error(err)
	}
}

func TestAMissingDataBlobStopsTheWriting(t *testing.T) {
	from := copied(t, "es717")
	p := planned(t, from, graft.Config{})
	data, err := filepath.Glob(filepath.Join(from, "indices", "*", "*", "__*"))
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "to")
	for _, name := range data { // of whichever index is written
		if err := os.Truncate(name, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Write(t.Context(), writerAt(t, to), graft.Options{}); !errors.Is(err, blob.ErrSize) {
		t.Errorf("truncated data: %v", err)
	}
	if names, err := filepath.Glob(filepath.Join(to, "index*")); err != nil || len(names) > 0 {
		t.Errorf("there is %v, %v", names, err)
	}
}

func TestSystemIndicesAreLeftOutUnlessTheyAreAskedFor(t *testing.T) {
	from := filepath.Join(testbed.Fixture(t, "os219"), "main")
	p := planned(t, from, graft.Config{Snapshot: "*", Target: target(t, "2.19")})
	stream := 0
	for _, x := range p.Indices {
		if strings.HasPrefix(x.Name, ".") {
			if x.DataStream == "" {
				t.Errorf("%s is %s", x.Name, x.Lane)
			} else {
				stream++
			}
		}
	}
	if stream == 0 {
		t.Error("no index of a data stream")
	}
	some := planned(t, from, graft.Config{Snapshot: "*", Indices: []string{"ds-web"}})
	if len(some.Indices) == 0 {
		t.Error("the data stream cannot be chosen by its name")
	}
	for _, x := range some.Indices {
		if x.DataStream != "ds-web" {
			t.Errorf("%s is chosen", x.Name)
		}
	}
}

func TestTheProgressIsToldOfEachShard(t *testing.T) {
	from := copied(t, "es717")
	var mu sync.Mutex
	var told []int
	c := graft.Config{Snapshot: "*", Progress: func(done, of int) {
		mu.Lock()
		defer mu.Unlock()
		if done < 1 || done > of {
			t.Errorf("%d of %d", done, of)
		}
	}}
	p := planned(t, from, c)
	w, err := p.Write(t.Context(), writerAt(t, filepath.Join(t.TempDir(), "to")), graft.Options{Progress: func(w graft.Written) { told = append(told, w.Shards) }})
	if err != nil || len(told) != w.OfShards || !slices.IsSorted(told) {
		t.Errorf("told %v of %d, %v", told, w.OfShards, err)
	}
}
