package graft_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/bucket"
	"github.com/narudata/naru/migrate/graft"
)

// at is the URL of a prefix in a bucket of the server.
func at(s *bucket.Server, name, prefix string) string {
	return "s3://" + name + "/" + prefix + "?endpoint=" + s.URL + "&region=" + bucket.Region + "&path-style=true"
}

func TestInS3DataAreCopiedByTheServerWhateverItsTroubles(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	root := copied(t, "es717")
	s.PutDir(t, "es", root)
	trouble := bucket.NewTrouble(rand.Uint64(), 0.05)
	s.Trouble(trouble)
	from := at(s, bucket.Name, "es")
	p := planned(t, from, graft.Config{Snapshot: "*"})
	for place, want := range map[string]func(w graft.Written) bool{
		at(s, bucket.Name, "os"):            func(w graft.Written) bool { return w.CopiedThere.Blobs > 0 && w.Streamed.Blobs == 0 },
		at(s, bucket.Other, "os"):           func(w graft.Written) bool { return w.CopiedThere.Blobs > 0 && w.Streamed.Blobs == 0 },
		filepath.Join(t.TempDir(), "local"): func(w graft.Written) bool { return w.CopiedThere.Blobs == 0 && w.Streamed.Blobs > 0 },
	} {
		to := writerAt(t, place)
		w, err := p.Write(t.Context(), to, graft.Options{})
		if err != nil {
			t.Fatalf("%s: %v", place, err)
		}
		if !want(w) || w.Nothing {
			t.Errorf("%s: %+v", place, w)
		}
		again, err := p.Write(t.Context(), to, graft.Options{})
		if err != nil || !again.Nothing {
			t.Errorf("%s, the second run: %+v, %v", place, again, err)
		}
		if diff := testbed.Diff(comparable(testbed.Truth(t, "es717", "snap-2"), "2.19"), comparable(documents(t, to, "snap-2"), "2.19")); diff != "" {
			t.Errorf("%s: %s", place, diff)
		}
	}
	local := planned(t, root, graft.Config{})
	w, err := local.Write(t.Context(), writerAt(t, at(s, bucket.Name, "uploaded")), graft.Options{})
	if err != nil || w.Streamed.Blobs == 0 {
		t.Errorf("from a directory: %+v, %v", w, err)
	}
}

func TestTwinsInS3AreTakenBack(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	root := copied(t, "es717")
	before := tree(t, root)
	s.PutDir(t, "es", root)
	place := at(s, bucket.Name, "es")
	to := writerAt(t, place)
	if _, err := planned(t, place, graft.Config{}).Twin(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	documents(t, to, "snap-3"+graft.TwinSuffix)
	if _, err := graft.Undo(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	left := s.Stored(t, bucket.Name, "es/")
	for name, b := range left {
		if want, err := os.ReadFile(filepath.Join(root, name)); err != nil || !bytes.Equal(want, b) {
			t.Errorf("%s has changed: %v", name, err)
		}
	}
	if len(left) != len(before) {
		t.Errorf("%d blobs are left of %d", len(left), len(before))
	}
}
