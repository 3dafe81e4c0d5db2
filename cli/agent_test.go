package cli

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAnAgentThatIsKilledAgainAndAgainLosesAndTearsNothing: events of two lines are written to a log that is rotated; the agent
// sends them to naru logstash, which writes them to a file. Both are killed again and again, the receiver stays down a while.
func TestAnAgentThatIsKilledAgainAndAgainLosesAndTearsNothing(t *testing.T) {
	seed := number(t, "NARU_TEST_SEED", rand.Uint64())
	seconds := number(t, "NARU_TEST_SECONDS", 6)
	t.Logf("NARU_TEST_SECONDS=%d NARU_TEST_SEED=%d", seconds, seed)
	random := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	logs, out := filepath.Join(dir, "logs"), filepath.Join(dir, "out.ndjson")
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	pipeline, config := filepath.Join(dir, "p.conf"), filepath.Join(dir, "filebeat.yml")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(pipeline, fmt.Sprintf(`input { beats { host => "127.0.0.1" port => %d } } output { file { path => %q codec => json_lines } }`, port, out))
	write(config, fmt.Sprintf(`
filebeat.inputs:
  - type: filestream
    id: app
    paths: ["%s/app.log*"]
    backoff.init: 100ms
    prospector.scanner.check_interval: 100ms
    parsers:
      - multiline: {pattern: '^\[', negate: true, match: after, timeout: 6s}
output.logstash:
  hosts: ["127.0.0.1:%d"]
  bulk_max_size: 300
  backoff: {init: 50ms, max: 500ms}
`, logs, port))
	var stderr seen
	start := func(args ...string) *exec.Cmd {
		cmd := naru(t, nil, args...)
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	receive := func() *exec.Cmd { return start("logstash", "-f", pipeline, "--path.data", filepath.Join(dir, "ls")) }
	collect := func() *exec.Cmd { return start("agent", "-c", config, "--path.data", filepath.Join(dir, "agent")) }
	kill := func(cmd *exec.Cmd) {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}

	over := make(chan struct{})
	var writing sync.WaitGroup
	written := 0
	writing.Go(func() { written = writeRotating(t, filepath.Join(logs, "app.log"), seed, over) })
	receiver, collector := receive(), collect()
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		if random.IntN(4) == 0 {
			kill(receiver)
			time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
			receiver = receive()
			continue
		}
		kill(collector)
		collector = collect()
	}
	close(over)
	writing.Wait()

	var got map[string]int
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if got = messages(t, out); len(got) >= written {
			break
		}
	}
	for _, cmd := range []*exec.Cmd{collector, receiver} {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	doubled := 0
	for n := range written {
		m := message(n)
		switch got[m] {
		case 0:
			t.Errorf("event %d of %d is lost\n%s", n, written, tail(stderr.String(), 2000))
			return
		case 1:
		default:
			doubled++
		}
		delete(got, m)
	}
	for m := range got {
		t.Errorf("an event that nobody wrote, torn or joined wrongly: %.200q", m)
		break
	}
	t.Logf("%d events, %d came twice or more", written, doubled)
}

func message(n int) string {
	return fmt.Sprintf("[%d] head %s\n  trace of %d", n, strings.Repeat("x", n%50), n)
}

// writeRotating writes events in pieces, and renames the file now and then.
func writeRotating(t *testing.T, path string, seed uint64, over <-chan struct{}) (written int) {
	random := rand.New(rand.NewPCG(seed, 2))
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() { f.Close() }()
	for rotation := 0; ; {
		select {
		case <-over:
			return written
		default:
		}
		if written > 0 && random.IntN(40) == 0 {
			rotation++
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, rotation)); err != nil {
				t.Error(err)
			}
			if f, err = os.Create(path); err != nil {
				t.Error(err)
				return written
			}
		}
		var text string
		for range 1 + random.IntN(50) {
			text += message(written) + "\n"
			written++
		}
		cut := random.IntN(len(text))
		for _, piece := range []string{text[:cut], text[cut:]} {
			if _, err := f.WriteString(piece); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
		}
	}
}

// messages counts the messages of a file of events. Its last line may be half written.
func messages(t *testing.T, path string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	got := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var e struct {
			Message string `json:"message"`
		}
		if json.Unmarshal([]byte(line), &e) == nil {
			got[e.Message]++
		}
	}
	return got
}
