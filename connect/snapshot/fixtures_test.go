package snapshot

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

// fixtures are the repositories of real servers: name, and snapshot → repository.
var fixtures = []string{"es56", "es68", "es710", "es717", "es8", "os13", "os29", "os219", "os3"}

func snapshotsOf(name string) map[string]string {
	s := map[string]string{"snap-1": "main", "snap-2": "main", "snap-3": "main", "snap-alt": "alt"}
	if slices.Contains([]string{"os29", "os219", "os3"}, name) {
		s["snap-zstd"] = "zstd"
	}
	return s
}

func TestEveryFixtureEqualsItsTruthByteForByte(t *testing.T) {
	for _, name := range fixtures {
		for snap, repo := range snapshotsOf(name) {
			t.Run(name+"/"+snap, func(t *testing.T) {
				t.Parallel()
				want := testbed.Truth(t, name, snap)
				for i := range want["synthetic"] {
					want["synthetic"][i].Source = nil // the server makes it up from doc values
				}
				url := filepath.Join(testbed.Fixture(t, name), repo)
				for _, partBytes := range []int64{0, 4 << 10} {
					src, err := Config{URL: url, Snapshot: snap, PartBytes: partBytes, Window: 1 << 12}.Open(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					seed := rand.Uint64()
					got, err := testbed.Drain(t.Context(), src, rand.New(rand.NewPCG(seed, 0)))
					if err != nil {
						t.Fatalf("parts of %d bytes, seed %d: %v", partBytes, seed, err)
					}
					if diff := testbed.Diff(want, got); diff != "" {
						t.Errorf("parts of %d bytes:\n%s", partBytes, diff)
					}
					if err := src.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func TestGroupsGradeWhatAnIndexCanGive(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := Config{URL: filepath.Join(testbed.Fixture(t, name), "main"), Snapshot: "snap-2"}.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			groups, err := src.Groups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := testbed.Truth(t, name, "snap-2")
			var names []string
			for _, g := range groups {
				names = append(names, g.Name)
				grade := map[string]string{
					"nosource":  "not readable: _source.enabled: false",
					"synthetic": "not readable: synthetic _source",
					"excluded":  "partial: _source.excludes",
				}[g.Name]
				if grade == "" {
					grade = "lossless: "
				}
				if got := fmt.Sprintf("%s: %s", g.Grade, g.Why); got != grade {
					t.Errorf("%s is %q, want %q", g.Name, got, grade)
				}
				if g.Records >= 0 && g.Records != int64(len(want[g.Name])) || g.Records < 0 && g.Name != "kitchen" {
					t.Errorf("%s promises %d records, has %d", g.Name, g.Records, len(want[g.Name]))
				}
			}
			if w := slices.Sorted(maps.Keys(want)); !slices.Equal(names, w) {
				t.Errorf("groups %q, want %q", names, w)
			}
		})
	}
}

func TestAPatternOfSnapshotsTakesEachIndexFromTheNewestThatHasIt(t *testing.T) {
	src, err := Config{URL: filepath.Join(testbed.Fixture(t, "es717"), "main"), Snapshot: "snap-*"}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	got, err := testbed.Drain(t.Context(), src, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]testbed.Line{}
	for _, snap := range []string{"snap-1", "snap-2", "snap-3"} { // the later ones replace
		maps.Copy(want, testbed.Truth(t, "es717", snap))
	}
	if diff := testbed.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// only is one part of a source.
type only struct {
	flow.Source
	part flow.Part
}

func (o only) Parts(context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) { yield(o.part, nil) }
}
