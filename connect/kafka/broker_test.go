package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/narudata/naru/internal/testbed"
)

// startBroker starts a real Kafka with topics.
func startBroker(t testing.TB, version string, topics map[string]int32) *testbed.Kafka {
	t.Helper()
	ok, missing := testbed.CanStartKafka(t, version)
	testbed.Need(t, ok, missing)
	k := testbed.StartKafka(t, version, testbed.KafkaOptions{})
	addTopics(t, []string{k.Plain}, topics)
	return k
}

func addTopics(t testing.TB, brokers []string, topics map[string]int32) {
	t.Helper()
	admin := kadm.NewClient(newClient(t, brokers))
	for name, partitions := range topics {
		if r, err := admin.CreateTopic(t.Context(), partitions, 1, nil, name); err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
	}
}

// TestARealBroker is what of a real Kafka belongs to the usual tests; TestServersOfKafka has the rest.
func TestARealBroker(t *testing.T) {
	k := startBroker(t, testbed.KafkaVersions[0], map[string]int32{"classic": 6, "consumer": 6, "t": 8, "one": 1})
	t.Run("RebalancesUnderLoadLoseAndDoubleNothing", func(t *testing.T) {
		shuffle(t, []string{k.Plain}, func() *Group { return quick([]string{k.Plain}, "classic") }, "classic", 8, 500)
	})
	t.Run("RebalancesByTheBrokerLoseAndDoubleNothing", func(t *testing.T) {
		shuffle(t, []string{k.Plain}, func() *Group {
			g := quick([]string{k.Plain}, "consumer")
			g.Group, g.Protocol = "g848", "consumer"
			return g
		}, "consumer", 8, 500)
	})
	t.Run("ARouteIsKeptBesideATopicOfOnePartition", func(t *testing.T) { keepRoute(t, []string{k.Plain}, "one") })
	t.Run("ACanaryTakesItsShareAndNothingIsLostOrDoubled", func(t *testing.T) { release(t, []string{k.Plain}) })
	t.Run("ACarryThatIsKilledDeliversOnce", func(t *testing.T) { killCarry(t, k, 4000) })
}
