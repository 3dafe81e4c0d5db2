package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestEventsGoToTheTopicsThatRulesName(t *testing.T) {
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs-shop", "critical"))
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Close()
	dir := t.TempDir()
	log := filepath.Join(dir, "a.log")
	appendTo(t, log, "one\nCRITICAL two\n")
	c := loaded(t, fmt.Sprintf(`
filebeat.inputs: [{type: log, paths: ['%s'], fields: {topic: logs-shop}}]
output.kafka:
  hosts: ['%s']
  topic: '%%{[fields.topic]}'
  topics: [{topic: critical, when.contains.message: CRITICAL}]
  key: '%%{[log.file.path]}'
  codec.format.string: '%%{[message]}'
  headers: [{key: from, value: agent}]
`, log, brokers.ListenAddrs()[0]))
	if err := c.Run(t.Context(), Options{Data: filepath.Join(dir, "data"), Once: true}); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers.ListenAddrs()...), kgo.ConsumeTopics("logs-shop", "critical"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got := map[string]string{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(got) < 2 && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			got[r.Topic] = string(r.Value)
			if string(r.Key) != log || len(r.Headers) != 1 || r.Headers[0].Key != "from" {
				t.Errorf("key %s, headers %v", r.Key, r.Headers)
			}
		})
	}
	if got["logs-shop"] != "one" || got["critical"] != "CRITICAL two" {
		t.Errorf("topics have %v", got)
	}
}
