package testbed

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestEveryFixtureHasItsRepositoriesAndItsTruth(t *testing.T) {
	for _, name := range Fixtures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := Fixture(t, name)
			for _, repo := range []string{"main", "alt"} {
				if _, err := os.Stat(filepath.Join(dir, repo, "index.latest")); err != nil {
					t.Error(err)
				}
			}
			for _, snapshot := range []string{"snap-1", "snap-2", "snap-3", "snap-alt"} {
				truth := Truth(t, name, snapshot)
				if len(truth["best"]) != 600 {
					t.Errorf("%s has %d documents in `best`, want 600", snapshot, len(truth["best"]))
				}
				if state := TruthCluster(t, name, snapshot); len(state) < 1000 {
					t.Errorf("%s: cluster state of %d bytes", snapshot, len(state))
				}
			}
		})
	}
}

func TestATruthLineHasTheBytesTheServerGave(t *testing.T) {
	truth := Truth(t, "es717", "snap-2")
	byID := map[string]Line{}
	for _, line := range truth["formats"] {
		byID[line.ID] = line
	}
	if got, want := string(byID["json"].Source), `{ "name" : "flat",   "n": 7, "ok":true }`; got != want {
		t.Errorf("source %q, want %q", got, want)
	}
	for _, line := range truth["nosource"] {
		if line.Source != nil {
			t.Fatalf("%v: an index that keeps no source has one", line)
		}
	}
	if routed := truth["kitchen"]; routed[0].Type != "" || routed[0].Index != "kitchen" {
		t.Errorf("%v", routed[0])
	}
	if typed := truth["typed"]; typed[0].Type != "event" {
		t.Errorf("%v: want the type event", typed[0])
	}
}

func TestFixturesAreUnpackedOnceByManyAtTheSameTime(t *testing.T) {
	t.Setenv("NARU_CACHE", t.TempDir())
	dirs := make([]string, 4)
	var wg sync.WaitGroup
	for i := range dirs {
		wg.Go(func() { dirs[i] = Fixture(t, "es68") })
	}
	wg.Wait()
	for _, dir := range dirs {
		if dir != dirs[0] {
			t.Errorf("unpacked into %s and %s", dirs[0], dir)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(dirs[0]))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestADifferenceIsFoundInEveryField(t *testing.T) {
	line := Line{"i", "t", "1", "r", []byte(`{"a":1}`)}
	all := func(lines ...Line) map[string][]Line { return map[string][]Line{"i": lines} }
	for name, changed := range map[string]Line{
		"type":             {"i", "u", "1", "r", []byte(`{"a":1}`)},
		"id":               {"i", "t", "2", "r", []byte(`{"a":1}`)},
		"routing":          {"i", "t", "1", "", []byte(`{"a":1}`)},
		"source":           {"i", "t", "1", "r", []byte(`{"a":2}`)},
		"absent source":    {"i", "t", "1", "r", nil},
		"document's index": {"j", "t", "1", "r", []byte(`{"a":1}`)},
	} {
		if Diff(all(line), all(changed)) == "" {
			t.Errorf("another %s is not seen", name)
		}
	}
	for name, got := range map[string]map[string][]Line{"missing": all(), "doubled": all(line, line), "no index": {}} {
		if Diff(all(line), got) == "" {
			t.Errorf("%s is not seen", name)
		}
	}
	if d := Diff(map[string][]Line{"i": {line}, "empty": nil}, all(line)); d != "" {
		t.Errorf("equal, but: %s", d)
	}
}
