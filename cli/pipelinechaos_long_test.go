//go:build servers

package cli

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/internal/testbed"
)

// TestServersAPipelineIsKilledWhileItsServersAreRestarted is the same with a real OpenSearch and a real Kafka, which are killed
// and started again, too.
func TestServersAPipelineIsKilledWhileItsServersAreRestarted(t *testing.T) {
	const version = "4.4.0"
	ok, missing := testbed.CanStart(t, "os219")
	testbed.Need(t, ok, missing)
	ok, missing = testbed.CanStartKafka(t, version)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, "os219", testbed.Options{HeapMB: 768})
	kafka := testbed.StartKafka(t, version, testbed.KafkaOptions{})
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Plain))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 4, 1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	for _, index := range []string{"byid", "noid"} {
		node.Call(t, http.MethodPut, "/"+index, map[string]any{
			"settings": map[string]any{"number_of_shards": 2, "number_of_replicas": 0},
			"mappings": map[string]any{"properties": map[string]any{"n": map[string]any{"type": "long"}}},
		})
	}
	chaos(t, number(t, "NARU_TEST_SEED", rand.Uint64()), number(t, "NARU_TEST_SECONDS", 60), chaosTarget{
		url: node.URL, brokers: []string{kafka.Plain}, kills: 2, patience: 3 * time.Minute,
		ids: func(index string) map[string]bool {
			node.Call(t, http.MethodPost, "/"+index+"/_refresh", nil)
			ids := map[string]bool{}
			for _, l := range node.Dump(t, index) {
				ids[l.ID] = true
			}
			return ids
		},
		disturb: func(random *rand.Rand) {
			if random.IntN(2) == 0 {
				node.Kill(t)
				time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
				node.Restart(t)
			} else {
				kafka.Kill(t)
				time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
				kafka.Restart(t)
			}
		},
	})
}
