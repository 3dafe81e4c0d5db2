package cli

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	lumber "github.com/elastic/go-lumber/client/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
)

// freePort gives a port that nobody listens at now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// load sends numbered events, each until it is acknowledged.
type load struct {
	t    *testing.T
	over chan struct{} // closed: begin nothing new

	beats, http string // addresses
	dir         string // of files
	kafka       []string

	sent [4]atomic.Int64 // by beats, file, http and Kafka: the events below this number are acknowledged
}

// Poisoned events are refused by the target for good.
const poisonEvery = 97

func eventOf(source string, n int64) string {
	id, number := fmt.Sprintf("%s-%d", source, n), strconv.FormatInt(n, 10)
	if n%poisonEvery == 0 {
		id, number = id+"-poison", `{"no":"number"}`
	}
	return fmt.Sprintf(`{"id":%q,"source":%q,"n":%s,"text":%q}`, id, source, number, strings.Repeat("x", int(n%80)))
}

func (l *load) going() bool {
	select {
	case <-l.over:
		return false
	default:
		return true
	}
}

// overBeats sends windows, each again on a new connection until it is acknowledged.
func (l *load) overBeats() {
	var client *lumber.SyncClient
	for l.going() {
		from := l.sent[0].Load()
		var window []any
		for n := from; n < from+40; n++ {
			window = append(window, map[string]any{"message": eventOf("beats", n), "@metadata": map[string]any{"beat": "filebeat"}})
		}
		for acked := false; !acked; {
			var err error
			if client == nil {
				if client, err = lumber.SyncDial(l.beats, lumber.Timeout(5*time.Second), lumber.CompressionLevel(3)); err != nil {
					client = nil
					time.Sleep(20 * time.Millisecond)
					continue
				}
			}
			if _, err = client.Send(window); err != nil {
				_ = client.Close() // naru was killed
				client = nil
				continue
			}
			acked = true
		}
		l.sent[0].Add(40)
	}
	if client != nil {
		_ = client.Close()
	}
}

// intoFiles writes lines, a few at a time and not always whole ones, and rotates.
func (l *load) intoFiles(random *rand.Rand) {
	path := filepath.Join(l.dir, "app.log")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			l.t.Error(err)
		}
		return f
	}
	f := open()
	for rotated := 0; l.going(); {
		line := eventOf("file", l.sent[1].Load()) + "\n"
		cut := random.IntN(len(line))
		for _, part := range []string{line[:cut], line[cut:]} {
			if _, err := io.WriteString(f, part); err != nil {
				l.t.Error(err)
				return
			}
		}
		if l.sent[1].Add(1)%700 == 0 {
			rotated++
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, rotated)); err != nil {
				l.t.Error(err)
			}
			_ = f.Close()
			f = open()
		}
		time.Sleep(300 * time.Microsecond)
	}
	_ = f.Close()
}

// overHTTP posts events until they are taken.
func (l *load) overHTTP() {
	for l.going() {
		var body bytes.Buffer
		from := l.sent[2].Load()
		for n := from; n < from+20; n++ {
			body.WriteString(eventOf("http", n) + "\n")
		}
		for {
			request, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, "http://"+l.http+"/", bytes.NewReader(body.Bytes()))
			if err != nil {
				l.t.Error(err)
				return
			}
			request.Header.Set("Content-Type", "application/x-ndjson")
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				if l.t.Context().Err() != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
				continue
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		l.sent[2].Add(20)
		time.Sleep(10 * time.Millisecond) // a queue that grows without end says nothing
	}
}

// overKafka produces records.
func (l *load) overKafka() {
	client, err := kgo.NewClient(kgo.SeedBrokers(l.kafka...), kgo.DefaultProduceTopic("events"))
	if err != nil {
		l.t.Error(err)
		return
	}
	defer client.Close()
	for l.going() {
		var records []*kgo.Record
		from := l.sent[3].Load()
		for n := from; n < from+50; n++ {
			records = append(records, kgo.StringRecord(eventOf("kafka", n)))
		}
		if err := client.ProduceSync(l.t.Context(), records...).FirstErr(); err != nil {
			l.t.Error(err)
			return
		}
		l.sent[3].Add(50)
		time.Sleep(10 * time.Millisecond)
	}
}

// A chaosTarget is a cluster that a pipeline writes to, and brokers that it reads from.
type chaosTarget struct {
	url      string
	brokers  []string
	ids      func(index string) map[string]bool
	disturb  func(random *rand.Rand) // something of it fails for a moment
	kills    int                     // of each four disturbances, those that kill naru
	patience time.Duration
}

func TestAPipelineThatIsKilledAgainAndAgainLosesNothing(t *testing.T) {
	seed := number(t, "NARU_TEST_SEED", rand.Uint64())
	fake := osfake.Start(t, osfake.Options{Hook: osfake.Any(
		osfake.Sometimes(seed, 0.03, osfake.Passing, "bulk"), osfake.Pressed(seed, 0.03),
	)})
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Close()
	for _, index := range []string{"byid", "noid"} { // with a mapping, or the first poisoned event would make one
		put(t, fake.URL()+"/"+index, `{"mappings":{"properties":{"n":{"type":"long"}}}}`)
	}
	chaos(t, seed, number(t, "NARU_TEST_SECONDS", 6), chaosTarget{
		url: fake.URL(), brokers: brokers.ListenAddrs(), kills: 3, patience: time.Minute,
		ids: func(index string) map[string]bool {
			ids := map[string]bool{}
			for id := range fake.Documents(index) {
				ids[id] = true
			}
			return ids
		},
		disturb: func(random *rand.Rand) {
			fake.StopNode(0)
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			fake.StartNode(0)
		},
	})
}

// put sends a body.
func put(t *testing.T, url, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, answer.Status)
	}
}

// chaos runs a pipeline under load from all sides, kills it and disturbs what it works with, and looks that every event that
// was acknowledged to its sender is there.
func chaos(t *testing.T, seed, seconds uint64, target chaosTarget) {
	t.Logf("NARU_TEST_SECONDS=%d NARU_TEST_SEED=%d", seconds, seed)
	random := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	beats, web := freePort(t), freePort(t)
	conf := filepath.Join(dir, "chaos.conf")
	text := fmt.Sprintf(`input {
		beats { host => "127.0.0.1" port => %d }
		file { path => "%s/*.log*" start_position => "beginning" stat_interval => 0.05 discover_interval => 1 }
		http { host => "127.0.0.1" port => %d additional_codecs => { "application/x-ndjson" => "json_lines" } }
		kafka { bootstrap_servers => "%s" topics => ["events"] group_id => "naru" group_instance_id => "naru-0" auto_offset_reset => "earliest" codec => json session_timeout_ms => 6000 }
	}
	filter {
		if ![id] { json { source => "message" remove_field => ["message"] } }
		mutate { remove_field => ["event", "http", "url", "user_agent", "host", "log", "ecs"] }
	}
	output {
		opensearch { hosts => ["%s"] index => "byid" document_id => "%%{id}" manage_template => false retry_initial_interval => 1 }
		opensearch { hosts => ["%s"] index => "noid" manage_template => false retry_initial_interval => 1 }
	}`, beats, filepath.Join(dir, "logs"), web, strings.Join(target.brokers, ","), target.url, target.url)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	var stderr seen
	start := func() *exec.Cmd {
		cmd := naru(t, nil, "logstash", "-f", conf, "--path.data", filepath.Join(dir, "data"))
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	cmd := start()
	l := &load{
		t: t, over: make(chan struct{}), dir: filepath.Join(dir, "logs"), kafka: target.brokers,
		beats: fmt.Sprintf("127.0.0.1:%d", beats), http: fmt.Sprintf("127.0.0.1:%d", web),
	}
	var senders sync.WaitGroup
	senders.Go(l.overBeats)
	senders.Go(func() { l.intoFiles(rand.New(rand.NewPCG(seed, 2))) })
	senders.Go(l.overHTTP)
	senders.Go(l.overKafka)
	kills := 0
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		time.Sleep(time.Duration(200+random.IntN(1200)) * time.Millisecond)
		switch n := random.IntN(4); {
		case n >= target.kills:
			target.disturb(random)
		default:
			kills++
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			cmd = start()
		}
	}
	close(l.over)
	senders.Wait()

	want := map[string]bool{}
	poison := map[string]bool{}
	for i, source := range []string{"beats", "file", "http", "kafka"} {
		for n := range l.sent[i].Load() {
			id := fmt.Sprintf("%s-%d", source, n)
			if n%poisonEvery == 0 {
				poison[id+"-poison"] = true
			} else {
				want[id] = true
			}
		}
	}
	for deadline := time.Now().Add(target.patience); len(target.ids("byid")) < len(want) && time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v; what it said last: %s", err, tail(stderr.String(), 60_000))
	}
	late.Stop()
	docs := target.ids("byid")
	missing := 0
	for id := range want {
		if !docs[id] {
			if missing++; missing < 10 {
				t.Errorf("%s is lost", id)
			}
		}
	}
	if missing > 0 || len(docs) != len(want) {
		t.Errorf("%d of %d events are lost; there are %d documents", missing, len(want), len(docs))
		t.Log(tail(stderr.String(), 6000))
	}
	without := len(target.ids("noid"))
	if without < len(want) {
		t.Errorf("without ids there are %d documents of %d events", without, len(want))
	}
	dead := deadIDs(t, filepath.Join(dir, "data", "dead", "main"))
	notDead := 0
	for id := range poison {
		if !dead[id] {
			if notDead++; notDead < 10 {
				t.Errorf("%s is no dead letter", id)
			}
		}
	}
	t.Logf("%d kills; beats %d, file %d, http %d, kafka %d events; %d dead letters; without ids %d came twice", kills,
		l.sent[0].Load(), l.sent[1].Load(), l.sent[2].Load(), l.sent[3].Load(), len(dead), without-len(want))
}

// deadIDs gives the ids of the dead letters in a store.
func deadIDs(t *testing.T, dir string) map[string]bool {
	t.Helper()
	source, err := archive.OpenDead(dir, archive.DeadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	ids := map[string]bool{}
	lines, err := testbed.Drain(t.Context(), source, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range lines {
		for _, l := range index {
			ids[l.ID] = true
		}
	}
	return ids
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
