package output

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

func TestACodecThatAGroupMayNotReadIsToldBeforeTheFirstRecord(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	member, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumerGroup("js"), kgo.ConsumeTopics("t"), kgo.ClientID("kafkajs"))
	if err != nil {
		t.Fatal(err)
	}
	defer member.CloseAllowingRebalance()
	polled, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	member.PollFetches(polled)
	for codec, warned := range map[string]int{"none": 0, "gzip": 0, "snappy": 1, "zstd": 1} {
		var log bytes.Buffer
		o := mustBulk(t, fmt.Sprintf(`kafka { bootstrap_servers => "%s" topic_id => "t" compression_type => %s }`, c.ListenAddrs()[0], codec), "disabled")
		s := openBulk(t, o, slog.New(slog.NewTextHandler(&log, nil)))
		for range 2 {
			if err := s.Write(t.Context(), []flow.Record{{Index: "t", Body: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(log.String(), "may not be able to read"); n != warned || warned > 0 && !strings.Contains(log.String(), "js") {
			t.Errorf("%s: %d warnings: %s", codec, n, log.String())
		}
	}
}
