package opensearch_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

func TestARealServerIsReadByteForByte(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	readsWhatIsThere(t, "os219", testbed.Recipe{Indices: 8, Rounds: 2, Documents: 150, Large: 3})
}

func readsWhatIsThere(t *testing.T, name string, recipe testbed.Recipe) {
	ok, missing := testbed.CanStart(t, name)
	testbed.Need(t, ok, missing)
	recipe.Seed = rand.Uint64() % 1e9
	if text := os.Getenv("NARU_SEED"); text != "" {
		var err error
		if recipe.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("NARU_SEED: %v", err)
		}
	}
	t.Logf("NARU_SEED=%d", recipe.Seed)
	node := testbed.Start(t, name, testbed.Options{HeapMB: 768})
	taken := testbed.Write(t, node, recipe)
	last := taken[len(taken)-1]
	c := dial(t, node.URL)
	for name := range last.Truth { // closed ones have been seen to be said so; now they are to be read
		s := open(t, c, opensearch.SourceOptions{Indices: flow.Patterns{name}})
		if _, failed := drain(t, s); len(failed) > 0 {
			if !strings.Contains(fmt.Sprint(failed), "is closed") {
				t.Fatal(failed)
			}
			node.Call(t, "POST", "/"+name+"/_open", nil)
			node.Call(t, "GET", "/_cluster/health/"+name+"?wait_for_status=green&timeout=60s", nil)
		}
	}
	saysWhatIsRed(t, node, c)
	rng := rand.New(rand.NewPCG(recipe.Seed, 1))
	for _, page := range []int{0, 100 << 10} {
		s := open(t, c, opensearch.SourceOptions{PageBytes: page})
		got, err := testbed.Drain(t.Context(), s, rng)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		groups, err := s.Groups(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if last.Bodiless[g.Name] {
				if g.Grade == flow.Lossless {
					t.Errorf("%s keeps no documents and is graded %s", g.Name, g.Grade)
				}
				for i := range got[g.Name] { // what a server makes up is not what was written
					got[g.Name][i].Source = nil
				}
			}
		}
		if diff := testbed.Diff(last.Truth, got); diff != "" {
			t.Errorf("%s (%s, NARU_SEED=%d), pages of %d bytes:\n%s", name, node.Version, recipe.Seed, page, diff)
		}
	}
}

// saysWhatIsRed makes an index whose shards no node may have.
func saysWhatIsRed(t *testing.T, node *testbed.Node, c *opensearch.Client) {
	t.Helper()
	node.Call(t, "PUT", "/red?wait_for_active_shards=0", map[string]any{"settings": map[string]any{
		"number_of_shards": 2, "number_of_replicas": 0, "index.routing.allocation.require._name": "nobody"}})
	defer node.Call(t, "DELETE", "/red", nil)
	s := open(t, c, opensearch.SourceOptions{Indices: flow.Patterns{"red"}})
	if groups, err := s.Groups(t.Context()); err != nil || len(groups) != 1 || groups[0].Records != -1 {
		t.Errorf("%+v %v", groups, err)
	}
	got, failed := drain(t, s)
	if len(got) > 0 || len(failed) != 2 || !strings.Contains(fmt.Sprint(failed["red/1"]), "the index is red") {
		t.Errorf("%d records, %v", len(got), failed)
	}
}
