package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/narudata/naru/connect/snapshot"
	format "github.com/narudata/naru/format/snapshot"
)

// indexOf opens a repository and finds an index in it.
func indexOf(ts *testscript.TestScript, dir, name string) (*snapshot.Repository, *format.IndexRef) {
	repo, err := snapshot.OpenRepository(context.Background(), dir)
	ts.Check(err)
	i := slices.IndexFunc(repo.Indices, func(i format.IndexRef) bool { return i.Name == name })
	if i < 0 {
		ts.Fatalf("%s has no index %s", dir, name)
	}
	return repo, &repo.Indices[i]
}

// damage copies a repository and flips bits in the largest blob of an index: damage FROM TO INDEX.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: damage FROM TO INDEX")
	}
	to := ts.MkAbs(args[1])
	ts.Check(os.CopyFS(to, os.DirFS(ts.MkAbs(args[0]))))
	_, index := indexOf(ts, to, args[2])
	largest, size := "", int64(0)
	ts.Check(filepath.WalkDir(filepath.Join(to, "indices", index.ID), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && strings.HasPrefix(d.Name(), "__") && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	}))
	flipIn(ts, largest)
}

// flip flips bits in the first file that matches: flip PATTERN.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip PATTERN")
	}
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	flipIn(ts, names[0])
}

func flipIn(ts *testscript.TestScript, path string) {
	b, err := os.ReadFile(path)
	ts.Check(err)
	for i := 200; i < len(b); i += 1000 {
		b[i] ^= 4
	}
	ts.Check(os.Chmod(path, 0o600))
	ts.Check(os.WriteFile(path, b, 0o600))
}

// blobOf copies the first blob of a shard whose name matches: blob REPO PATTERN FILE.
func blobOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: blob REPO PATTERN FILE")
	}
	names, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "indices", "*", "0", args[1]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("no blob matches %s", args[1])
	}
	slices.Sort(names)
	b, err := os.ReadFile(names[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o600))
}

// unpack writes the files of an index's shard 0 as Lucene has them, its commit also as "segments":
// unpack REPO SNAPSHOT INDEX FOLDER.
func unpack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: unpack REPO SNAPSHOT INDEX FOLDER")
	}
	repo, index := indexOf(ts, ts.MkAbs(args[0]), args[2])
	selected, err := repo.Select(context.Background(), args[1])
	ts.Check(err)
	dir := filepath.Join(ts.MkAbs(args[0]), "indices", index.ID, strconv.Itoa(0))
	b, err := os.ReadFile(filepath.Join(dir, "snap-"+selected[0].Ref.UUID+".dat"))
	ts.Check(err)
	shard, err := format.ReadShard(b)
	ts.Check(err)
	to := ts.MkAbs(args[3])
	ts.Check(os.MkdirAll(to, 0o755))
	for _, f := range shard.Files {
		data := f.Meta
		if !f.Inline() {
			data = nil
			for k := range f.Parts() {
				part, err := os.ReadFile(filepath.Join(dir, f.Part(k)))
				ts.Check(err)
				data = append(data, part...)
			}
		}
		ts.Check(os.WriteFile(filepath.Join(to, f.Physical), data, 0o600))
		if strings.HasPrefix(f.Physical, "segments_") {
			ts.Check(os.WriteFile(filepath.Join(to, "segments"), data, 0o600))
		}
	}
}
