package kafka

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/narudata/naru/flow"
)

func TestBehindIsWhatGroupsHaveNotRead(t *testing.T) {
	brokers := newCluster(t, kfake.SeedTopics(1, "a", "b")).ListenAddrs()
	a := newAdmin(t, brokers)
	if got, err := a.Behind(t.Context(), Which{}); err != nil || len(got) > 0 {
		t.Errorf("no groups: %v, %v", got, err)
	}
	produce(t, brokers, "a", 0, 10)
	produce(t, brokers, "b", 0, 4)
	commit(t, brokers, "indexer", "a", map[int32]int64{0: 3})
	commit(t, brokers, "indexer", "b", map[int32]int64{0: 4})
	commit(t, brokers, "other", "a", map[int32]int64{0: 99}) // behind the end: the topic was cut
	commit(t, brokers, "indexer.naru-route", "a", map[int32]int64{0: 0})
	for patterns, want := range map[string]map[string]int64{"*": {"indexer": 7, "other": 0}, "ind*": {"indexer": 7}, "none": {}} {
		got, err := a.Behind(t.Context(), Which{Patterns: flow.Patterns{patterns}})
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, not %v (%v)", patterns, got, want, err)
		}
	}
}
