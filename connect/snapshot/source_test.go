package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed"
)

func TestASnapshotIsASourceThatKeepsTheContract(t *testing.T) {
	url := filepath.Join(testbed.Fixture(t, "os219"), "main")
	var want []flow.Record
	for index, lines := range testbed.Truth(t, "os219", "snap-2") {
		if !(flow.Patterns{"kitchen", "churn", "best"}).Match(index) {
			continue
		}
		for _, l := range lines {
			r := flow.Record{Index: l.Index, Type: l.Type, Key: []byte(l.ID), Body: l.Source}
			if l.Routing != "" {
				r.Routing = []byte(l.Routing)
			}
			want = append(want, r)
		}
	}
	flowtest.Source(t, func(t *testing.T) flow.Source {
		src, err := Config{URL: url, Snapshot: "snap-2", Indices: flow.Patterns{"kitchen", "churn", "best"}, PartBytes: 16 << 10, Window: 1 << 13}.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		})
		return src
	}, want)
}

func TestMistakesAreToldWithWhatToDo(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "es717"), "main")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"no such path":        {Config{URL: filepath.Join(repo, "nothing")}, "no such file"},
		"a file":              {Config{URL: file}, "give the directory that holds index.latest"},
		"another folder":      {Config{URL: t.TempDir()}, "holds index-N, index.latest, snap-*.dat and indices/"},
		"unknown scheme":      {Config{URL: "gopher://x"}, "give a path, a file:// URL or an s3:// URL"},
		"unknown snapshot":    {Config{URL: repo, Snapshot: "snap-9"}, "it has snap-1, snap-2, snap-3"},
		"no snapshot matches": {Config{URL: repo, Snapshot: "weekly-*"}, "it has snap-1, snap-2, snap-3"},
		"no index matches":    {Config{URL: repo, Indices: flow.Patterns{"nothing-*"}}, "no index of snapshot snap-3 matches nothing-*"},
		"bad pattern":         {Config{URL: repo, Indices: flow.Patterns{"[x"}}, `pattern "[x"`},
	} {
		_, err := c.config.Open(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func TestAFileURLIsAPath(t *testing.T) {
	src, err := Config{URL: "file://" + filepath.Join(testbed.Fixture(t, "es717"), "main")}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if got := src.Snapshots()[0].Snapshot.Name; got != "snap-3" {
		t.Errorf("the latest snapshot is %s, want snap-3", got)
	}
}

func TestAPositionOfAnotherPartIsRefused(t *testing.T) {
	src, err := Config{URL: filepath.Join(testbed.Fixture(t, "es717"), "main"), Snapshot: "snap-2", Indices: flow.Patterns{"best"}}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for part, err := range src.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []flow.Position{{0xff}, {1}, {1, 2, 3}, {0xff, 0xff, 0x7f, 1}} {
			r, err := src.Open(t.Context(), part, at)
			if err == nil {
				err = r.Read(t.Context(), &flow.Batch{})
			}
			if err == nil || !flow.IsPermanent(err) {
				t.Errorf("position %x: %v", []byte(at), err)
			}
		}
	}
}

func TestAPartialSnapshotSaysWhichShardIsNotThere(t *testing.T) {
	src, err := Config{URL: filepath.Join(testbed.Fixture(t, "es717"), "main"), Snapshot: "snap-2", Indices: flow.Patterns{"kitchen"}}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for i := range src.indices {
		src.indices[i].from.Snapshot.Failures = append(src.indices[i].from.Snapshot.Failures, failure("kitchen", 1, "IndexShardSnapshotFailedException[primary shard is not allocated]\n\tat x"))
	}
	var failed []string
	for part, err := range src.Parts(t.Context()) {
		if err != nil {
			if !errors.Is(err, errNotThere) || !flow.IsPermanent(err) || !strings.HasSuffix(err.Error(), "primary shard is not allocated]") {
				t.Errorf("%s: %v", part.ID, err)
			}
			failed = append(failed, part.ID)
		} else if !strings.HasPrefix(part.ID, "kitchen/0/") {
			t.Errorf("part %s", part.ID)
		}
	}
	if len(failed) != 1 || failed[0] != "kitchen/1" {
		t.Errorf("failed %q", failed)
	}
	groups, err := src.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g := groups[0]; g.Grade != flow.Partial || !strings.Contains(g.Why, "shard 1 is not in the snapshot") {
		t.Errorf("%s: %s", g.Grade, g.Why)
	}
}
