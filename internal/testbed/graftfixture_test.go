package testbed

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryGraftFixtureHasItsRepositoriesAndItsTruth(t *testing.T) {
	for _, name := range GraftFixtures {
		t.Run(name, func(t *testing.T) {
			dir := Fixture(t, name)
			for _, repo := range []string{"main", "parts"} {
				if _, err := os.Stat(filepath.Join(dir, repo, "index.latest")); err != nil {
					t.Error(err)
				}
			}
			truth := GraftTruth(t, name)
			if got, want := slices.Sorted(maps.Keys(truth)), []string{"half", "parts", "snap-1", "snap-2"}; !slices.Equal(got, want) {
				t.Fatalf("snapshots %v, want %v", got, want)
			}
			for snapshot, s := range truth {
				if want := map[bool]string{true: "PARTIAL", false: "SUCCESS"}[snapshot == "half"]; s.State != want {
					t.Errorf("%s is %s", snapshot, s.State)
				}
				lines := Truth(t, name, snapshot)
				for index, ix := range s.Indices {
					if index != "half" && (len(ix.Documents) == 0 || len(ix.Answers) == 0 || ix.Why == "") {
						t.Errorf("%s, %s: %d documents, %d answers, %q", snapshot, index, len(ix.Documents), len(ix.Answers), ix.Why)
					}
					if index != "half" && len(lines[index]) != len(ix.Documents) {
						t.Errorf("%s, %s: Truth has %d lines for %d documents", snapshot, index, len(lines[index]), len(ix.Documents))
					}
				}
				var cluster struct{ Indices map[string]json.RawMessage }
				if err := json.Unmarshal(s.Cluster, &cluster); err != nil || len(cluster.Indices) != len(s.Indices) {
					t.Errorf("%s: the state of %d indices of %d (%v)", snapshot, len(cluster.Indices), len(s.Indices), err)
				}
			}
			if types := truth["snap-2"].Indices["types"]; len(types.Answers) < 100 {
				t.Errorf("types has %d answers", len(types.Answers))
			}
		})
	}
}

func TestAnswersAreComparedWithoutWhatPasses(t *testing.T) {
	one, err := normal([]byte(`{"took":3,"hits":{"total":2,"max_score":1.5,"hits":[{"_index":"a","_id":"2","_score":1.50001},{"_index":"a","_id":"1","_score":1.5}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	other, err := normal([]byte(`{"took":9,"hits":{"total":2,"max_score":1.5,"hits":[{"_index":"b","_id":"1","_score":1.5},{"_index":"b","_id":"2","_score":1.5}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c := CompareAnswers(Answers{"q": one}, Answers{"q": other, "new": one}, 2); len(c.Equal) != 1 || c.String() != "" {
		t.Errorf("%s and %s: %+v", one, other, c)
	}
	for name, got := range map[string]Answers{"refused": {}, "another hit": {"q": json.RawMessage(strings.Replace(string(one), `"2"`, `"3"`, 1))}} {
		if c := CompareAnswers(Answers{"q": one}, got, 2); len(c.Wrong) != 1 {
			t.Errorf("%s is not seen: %+v", name, c)
		}
	}
}

func TestAnEngineDifferenceExcusesNoMoreThanItSays(t *testing.T) {
	answer := func(value string) Answers {
		return Answers{"percentiles": json.RawMessage(`{"aggregations":{"a":{"values":{"50.0":` + value + `}}}}`)}
	}
	if c := CompareAnswers(answer("100"), answer("101"), 2); len(c.Excused) != 1 || len(c.Wrong) != 0 {
		t.Errorf("%+v", c)
	}
	if c := CompareAnswers(answer("100"), answer("200"), 2); len(c.Wrong) != 1 {
		t.Errorf("%+v", c)
	}
	if c := CompareAnswers(answer("100"), answer(`"100"`), 2); len(c.Wrong) != 1 {
		t.Errorf("%+v", c)
	}
	scored := func(score string) Answers {
		return Answers{"match": json.RawMessage(`{"hits":{"hits":[{"_id":"1","_score":` + score + `}]}}`)}
	}
	if c := CompareAnswers(scored("2.2"), scored("1"), 2); len(c.Wrong) != 1 {
		t.Errorf("%+v", c)
	}
	if c := CompareAnswers(scored("2.2"), scored("1"), 3); len(c.Excused) != 1 {
		t.Errorf("%+v", c)
	}
	nanos := func(text string) Answers { return Answers{"date_nanos docvalues": json.RawMessage(`["` + text + `"]`)} }
	if c := CompareAnswers(nanos("2023-05-01T12:00:01.001234567Z"), nanos("2023-05-01T12:00:01.001Z"), 2); len(c.Excused) != 1 {
		t.Errorf("%+v", c)
	}
	if c := CompareAnswers(nanos("2023-05-01T12:00:01.001234567Z"), nanos("2023-05-01T12:00:01.002Z"), 2); len(c.Wrong) != 1 {
		t.Errorf("%+v", c)
	}
}

func TestADifferentVersionIsSeen(t *testing.T) {
	want := map[string]Version{"1": {1, 2, 1, "r", `{"a":1}`}}
	for name, got := range map[string]map[string]Version{
		"missing": {}, "too many": {"1": want["1"], "2": want["1"]}, "version": {"1": {2, 2, 1, "r", `{"a":1}`}},
		"seq_no": {"1": {1, 3, 1, "r", `{"a":1}`}}, "term": {"1": {1, 2, 2, "r", `{"a":1}`}}, "routing": {"1": {1, 2, 1, "", `{"a":1}`}}, "source": {"1": {1, 2, 1, "r", `{"a": 1}`}},
	} {
		if DiffVersions(want, got) == "" {
			t.Errorf("%s is not seen", name)
		}
	}
	if diff := DiffVersions(want, maps.Clone(want)); diff != "" {
		t.Error(diff)
	}
}
