package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lumberlog "github.com/elastic/go-lumber/log"
	"github.com/elastic/go-lumber/server"
	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/internal/testbed/proc"
)

// quiet is the log of the server of others, which tells of each connection.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}
func (quiet) Print(...any)          {}

func TestMain(m *testing.M) {
	lumberlog.Logger = quiet{}
	os.Exit(m.Run())
}

// loaded reads a configuration that must run.
func loaded(t *testing.T, text string) *Config {
	t.Helper()
	name := filepath.Join(t.TempDir(), "filebeat.yml")
	put := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(name, text)
	c, err := Load(name, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Worst(); w == filebeat.Wrong || w == filebeat.Unsupported {
		t.Fatalf("%v", c.Problems)
	}
	return c
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// once runs an agent until all that is there is read, and gives the messages of its console.
func once(t *testing.T, text, data, registry string) []string {
	t.Helper()
	var out bytes.Buffer
	err := loaded(t, text).Run(t.Context(), Options{Data: data, Stdout: &out, Once: true, Filebeat: registry, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var e struct{ Message string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got = append(got, e.Message)
	}
	slices.Sort(got)
	return got
}

func TestARegistryOfFilebeatIsTakenOverAndNoLineIsReadTwiceOrMissed(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	appendTo(t, at("a.log"), "a1\na2\na3\n")
	appendTo(t, at("b.log"), "b1\nb2\n")
	appendTo(t, at("rotated.log.1"), "r1\nr2\n") // Filebeat knew it as rotated.log
	appendTo(t, at("new.log"), "n1\n")
	registry := at("beat/registry/filebeat")
	if err := os.MkdirAll(registry, 0o700); err != nil {
		t.Fatal(err)
	}
	inode := func(name string) (uint64, uint64) {
		info, err := os.Stat(at(name))
		if err != nil {
			t.Fatal(err)
		}
		ino, dev, ok := proc.Inode(info)
		if !ok {
			t.Skip("this system has no inodes")
		}
		return ino, dev
	}
	var ops string
	state := func(n int, input, name, source string, offset int) {
		ino, dev := inode(name)
		key, value := fmt.Sprintf("filestream::%s::native::%d-%d", input, ino, dev), fmt.Sprintf(`{"cursor":{"offset":%d},"ttl":-1,"updated":[1,1701686520],"meta":{"source":%q,"identifier_name":"native"}}`, offset, source)
		if input == "" {
			key = fmt.Sprintf("filebeat::logs::native::%d-%d", ino, dev)
			value = fmt.Sprintf(`{"source":%q,"offset":%d,"ttl":-1,"type":"log","FileStateOS":{"inode":%d,"device":%d},"identifier_name":"native"}`, source, offset, ino, dev)
		}
		ops += fmt.Sprintf("{\"op\":\"set\",\"id\":%d}\n{\"k\":%q,\"v\":%s}\n", n, key, value)
	}
	state(1, "in", "a.log", at("a.log"), 3)
	state(2, "in", "a.log", at("a.log"), 6)
	state(3, "in", "rotated.log.1", at("rotated.log"), 3)
	state(4, "", "b.log", at("b.log"), 3)
	state(5, "other", "new.log", at("new.log"), 3) // of another input: this one never read it
	appendTo(t, filepath.Join(registry, "log.json"), ops)
	appendTo(t, filepath.Join(registry, "meta.json"), `{"version":"1"}`)

	config := func(kind, id string) string {
		return fmt.Sprintf("filebeat.inputs: [{type: %s, id: %s, paths: ['%s/*.log*']}]\noutput.console: {}\n", kind, id, dir)
	}
	data := at("naru")
	if diff := cmp.Diff([]string{"a3", "b1", "b2", "n1", "r2"}, once(t, config("filestream", "in"), data, at("beat"))); diff != "" {
		t.Errorf("filestream: %s", diff)
	}
	appendTo(t, at("a.log"), "a4\n")
	if diff := cmp.Diff([]string{"a4"}, once(t, config("filestream", "in"), data, at("beat"))); diff != "" {
		t.Errorf("the registry is taken over once only: %s", diff)
	}
	if diff := cmp.Diff([]string{"a1", "a2", "a3", "a4", "b2", "n1", "r1", "r2"}, once(t, config("log", ""), at("naru2"), at("beat"))); diff != "" {
		t.Errorf("log: %s", diff)
	}
	taken, torn, err := ReadTaken(at("beat"))
	if err != nil || torn || len(taken) != 4 {
		t.Errorf("taken %+v, %t, %v", taken, torn, err)
	}
}

func TestAnInputWhosePathsChangeGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, filepath.Join(dir, "a.log"), "a1\n")
	config := "filebeat.inputs: [{type: log, paths: ['%s/%s']}]\noutput.console: {}\n"
	data := filepath.Join(dir, "data")
	if diff := cmp.Diff([]string{"a1"}, once(t, fmt.Sprintf(config, dir, "a.log"), data, "")); diff != "" {
		t.Error(diff)
	}
	appendTo(t, filepath.Join(dir, "a.log"), "a2\n")
	if diff := cmp.Diff([]string{"a2"}, once(t, fmt.Sprintf(config, dir, "*.log"), data, "")); diff != "" {
		t.Error(diff)
	}
}

// received is a server of the Lumberjack protocol, which others wrote.
type received struct {
	mu       sync.Mutex
	messages []string
	events   []map[string]any
}

func (r *received) serve(t *testing.T, address string) (stop func()) {
	t.Helper()
	var l net.Listener
	var err error
	for range 100 {
		if l, err = net.Listen("tcp", address); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.NewWithListener(l, server.V2(true))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for b := s.Receive(); b != nil; b = s.Receive() {
			r.mu.Lock()
			for _, e := range b.Events {
				m, _ := e.(map[string]any)
				text, _ := m["message"].(string)
				r.messages = append(r.messages, text)
				r.events = append(r.events, m)
			}
			r.mu.Unlock()
			b.ACK()
		}
	})
	return sync.OnceFunc(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
}

func (r *received) distinct() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int{}
	for _, m := range r.messages {
		out[m]++
	}
	return out
}

func TestAReceiverThatIsAwayForAWhileGetsEverything(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, level := range []int{0, 3} {
		log := filepath.Join(dir, fmt.Sprintf("a%d.log", level))
		r := &received{}
		c := loaded(t, fmt.Sprintf(`
filebeat.inputs: [{type: log, paths: ['%s'], backoff: 100ms, fields: {team: shop}, pipeline: p-1}]
output.logstash: {hosts: ['%s'], bulk_max_size: 100, compression_level: %d, backoff: {init: 10ms, max: 100ms}}
`, log, address, level))
		drain, ran := make(chan struct{}), make(chan error, 1)
		go func() {
			ran <- c.Run(t.Context(), Options{Data: filepath.Join(dir, fmt.Sprint(level)), Drain: drain})
		}()
		const n = 900
		wait := func(want int) {
			t.Helper()
			for end := time.Now().Add(30 * time.Second); len(r.distinct()) < want; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d of %d events are there", len(r.distinct()), want)
				}
			}
		}
		for i := range n {
			appendTo(t, log, fmt.Sprintf("line %d\n", i))
			if i == n/3 { // nobody listens until now
				stop := r.serve(t, address)
				wait(n/3 + 1)
				stop()
			}
		}
		stop := r.serve(t, address)
		wait(n)
		close(drain)
		if err := <-ran; err != nil {
			t.Fatal(err)
		}
		stop()
		for i := range n {
			if r.distinct()[fmt.Sprintf("line %d", i)] == 0 {
				t.Fatalf("line %d is lost", i)
			}
		}
		e := r.events[0]
		meta, _ := e["@metadata"].(map[string]any)
		if meta["beat"] != "filebeat" || meta["version"] != Version || meta["pipeline"] != "p-1" || meta["naru_id"] != nil {
			t.Errorf("@metadata %v", meta)
		}
		text := fmt.Sprint(e)
		for _, want := range []string{"fields:map[team:shop]", "input:map[type:log]", "ecs:map[version:8.0.0]", "offset:0", "path:" + log, "type:filebeat"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s is not in %s", want, text)
			}
		}
	}
}

func TestAPeerThatIsNoReceiverIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all sync.WaitGroup
	for _, answer := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n", "2A\x00\x00\x00\xff", ""} {
		all.Go(func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var b [16]byte
			_, _ = c.Read(b[:])
			_, _ = c.Write([]byte(answer))
			_ = c.Close()
		})
		s, err := Lumber{Hosts: []string{l.Addr().String()}, Timeout: time.Second}.Open(discardLog())
		if err != nil {
			t.Fatal(err)
		}
		err = s.Write(t.Context(), someRecords("x"))
		if err == nil {
			t.Errorf("%q counts as an acknowledgement", answer)
		}
		if strings.HasPrefix(answer, "HTTP") && !strings.Contains(err.Error(), "beats input") {
			t.Errorf("%v", err)
		}
		all.Wait()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAStalledReceiverIsLeftAndAStopDoesNotWaitForIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := Lumber{Hosts: []string{l.Addr().String()}, Timeout: 50 * time.Millisecond}.Open(discardLog())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), someRecords("x")); err == nil {
		t.Error("nothing was acknowledged, and nothing is said of it")
	}
	s, err = Lumber{Hosts: []string{l.Addr().String()}, Timeout: time.Minute}.Open(discardLog())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Write(ctx, someRecords("x")); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestWhatIsSentAgainToOpenSearchIsThereOnce(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	dir := t.TempDir()
	log := filepath.Join(dir, "a.log")
	for i := range 100 {
		appendTo(t, log, fmt.Sprintf("same text, %d\n", i/10)) // ten lines each are equal
	}
	config := fmt.Sprintf(`
filebeat.inputs: [{type: log, paths: ['%s']}]
output.elasticsearch: {hosts: ['%s'], index: 'logs-%%{+yyyy}', indices: [{index: nines, when.contains.message: ' 9'}]}
setup.template.enabled: false
`, log, fake.URL())
	data := filepath.Join(dir, "data")
	run := func() {
		t.Helper()
		var figures *stream.Stats
		err := loaded(t, config).Run(t.Context(), Options{Data: data, Once: true, Started: func(s *stream.Stats) { figures = s }})
		if err != nil {
			t.Fatal(err)
		}
		if n := figures.Inputs[0].Acknowledged.Get(); n != 100 {
			t.Fatalf("%d lines are read and acknowledged, want 100", n)
		}
	}
	run()
	year := "logs-" + time.Now().UTC().Format("2006")
	if a, b := len(fake.Documents(year)), len(fake.Documents("nines")); a != 90 || b != 10 {
		t.Fatalf("%d and %d documents, want 90 and 10", a, b)
	}
	// As after a crash before positions were saved: the registry is as it was before anything was read.
	names, err := filepath.Glob(filepath.Join(data, "registry", "*.id"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	registry := strings.TrimSuffix(names[0], ".id")
	text, err := os.ReadFile(registry)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if kept = append(kept, line); len(kept) == 5 { // the file, and that nothing of it is delivered
			break
		}
	}
	if err := os.WriteFile(registry, []byte(strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	run()
	if a, b := len(fake.Documents(year)), len(fake.Documents("nines")); a != 90 || b != 10 {
		t.Errorf("%d and %d documents after they were sent again, want 90 and 10\n%s", a, b, kept)
	}
}
