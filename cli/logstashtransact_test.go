package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestAPipelineInTransactionsGivesEachResultOnceAlsoWhenItIsKilled(t *testing.T) {
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "in", "even", "odd", "dead"))
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Close()
	address := strings.Join(brokers.ListenAddrs(), ",")
	conf := filepath.Join(t.TempDir(), "a.conf")
	text := fmt.Sprintf(`input { kafka { bootstrap_servers => "%[1]s" topics => ["in"] group_id => "g" group_instance_id => "one" auto_offset_reset => "earliest" codec => json } }
		filter { if [n] > 1999 { drop { } } mutate { add_field => { "seen" => "%%{n}" } } ruby { code => "event.set('to', event.get('n').odd? ? 'odd' : 'even')" } }
		output { kafka { bootstrap_servers => "%[1]s" topic_id => "%%{to}" codec => json message_key => "%%{n}" } }`, address)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(brokers.ListenAddrs()...), kgo.DefaultProduceTopic("in"))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	const events = 2000
	send := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			value := fmt.Sprintf(`{"n":%d}`, n)
			if n%500 == 499 {
				value = `{"n":"not a number"}` // a condition cannot be evaluated for it
			}
			producer.Produce(t.Context(), kgo.StringRecord(value), nil)
		}
		if err := producer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"logstash", "-f", conf, "--kafka.transactional.id", "copy-1", "--kafka.dead-letter-topic", "dead"}
	send(0, events/2)
	cmd := naru(t, nil, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1200 * time.Millisecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	send(events/2, events)
	var stderr seen
	cmd = naru(t, nil, args...)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(brokers.ListenAddrs()...), kgo.ConsumeTopics("even", "odd", "dead"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	got := map[string]int{}
	for deadline := time.Now().Add(30 * time.Second); total(got) < events && time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		fetches := consumer.PollFetches(ctx)
		cancel()
		fetches.EachRecord(func(r *kgo.Record) { got[r.Topic+"/"+string(r.Key)]++ })
	}
	late := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	defer late.Stop()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, stderr.String())
	}
	dead := 0
	for key, n := range got {
		if strings.HasPrefix(key, "dead/") {
			dead += n
		} else if n != 1 {
			t.Errorf("%s came %d times", key, n)
		}
	}
	if len(got) < events-4 || dead != 4 || got["odd/7"] != 1 || got["even/8"] != 1 {
		t.Errorf("%d results, %d dead letters: %s", total(got), dead, tail(stderr.String(), 3000))
	}
}

func total(of map[string]int) int {
	n := 0
	for _, k := range of {
		n += k
	}
	return n
}

func TestTransactionsAreForPipelinesFromKafkaToKafka(t *testing.T) {
	for text, why := range map[string]string{
		`input { stdin { } } output { kafka { topic_id => "t" } }`:                                                           "for the input kafka",
		`input { kafka { } } output { stdout { } }`:                                                                          "cannot take part",
		`input { kafka { } } output { kafka { topic_id => "t" bootstrap_servers => "other:9092" } }`:                         "within one cluster",
		`input { kafka { } stdin { } } output { kafka { topic_id => "t" } }`:                                                 "one input",
		`input { kafka { codec => multiline { pattern => "^ " what => "previous" } } } output { kafka { topic_id => "t" } }`: "keeps some for later",
	} {
		var stderr seen
		cmd := naru(t, nil, "logstash", "-e", text, "--kafka.transactional.id", "x")
		cmd.Stderr = &stderr
		if code := exitOf(t, cmd); code != exitFailed || !strings.Contains(stderr.String(), why) {
			t.Errorf("%s: %d, %s", text, code, stderr.String())
		}
	}
}

func TestDeadLettersOfAPipelineGoToATopicWithTheirReasons(t *testing.T) {
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "in", "dead"))
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Close()
	address := strings.Join(brokers.ListenAddrs(), ",")
	var stdout, stderr seen
	cmd := naru(t, nil, "logstash", "--path.data", t.TempDir(), "--kafka.dead-letter-topic", "dead", "--pipeline.id", "web", "-e", fmt.Sprintf(
		`input { stdin { codec => json_lines } } filter { if [n] > 5 { drop { } } } output { kafka { bootstrap_servers => "%s" topic_id => "in" codec => json } }`, address))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("{\"n\":1}\n{\"n\":\"x\"}\n"), &stdout, &stderr
	if code := exitOf(t, cmd); code != exitOK {
		t.Fatalf("%d: %s", code, stderr.String())
	}
	var out seen
	list := naru(t, nil, "kafka", "dlq", "ls", "dead", "--brokers", address)
	list.Stdout, list.Stderr = &out, &out
	if code := exitOf(t, list); code != exitOK || !strings.Contains(out.String(), "cannot be evaluated") || !strings.Contains(out.String(), "web") {
		t.Errorf("%d: %s", code, out.String())
	}
}
