package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of its own in memory, which is soon full.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a full disk takes a file system of its own, which only root mounts: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes into a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// counted gives how often each message is in a file of JSON lines. A line that is none fails the test, but for a last one that is
// being written.
func counted(t *testing.T, path string) map[string]int {
	t.Helper()
	messages := map[string]int{}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e struct{ Message string }
		if !strings.HasSuffix(line, "\n") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q in %s: %v", line, path, err)
		}
		messages[e.Message]++
	}
	return messages
}

// TestAFullDiskLosesNothing fills the disk that has the queue, the registry of files and what an output writes, kills the pipeline
// while it is full, and makes room again.
func TestAFullDiskLosesNothing(t *testing.T) {
	disk, dir := smallDisk(t, "32m"), t.TempDir()
	web := freePort(t)
	conf, log, out, ballast := filepath.Join(dir, "a.conf"), filepath.Join(dir, "a.log"), filepath.Join(disk, "out.jsonl"), filepath.Join(disk, "ballast")
	text := fmt.Sprintf(`input {
		http { host => "127.0.0.1" port => %d codec => "line" }
		file { path => %q start_position => "beginning" stat_interval => 0.05 sincedb_write_interval => 0.05 }
	}
	filter { prune { whitelist_names => ["^message$"] } }
	output { file { path => %q codec => json_lines } }`, web, log, out)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr seen
	start := func() *exec.Cmd {
		cmd := naru(t, nil, "logstash", "-f", conf, "--api.enabled=false", "--path.data", filepath.Join(disk, "data"))
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	wait := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within two minutes\n%s", what, stderr.String())
			}
		}
	}
	cmd := start()

	// One client sends event after event, each until it is acknowledged; a program writes lines.
	var acked, lines atomic.Int64
	over := make(chan struct{})
	var all sync.WaitGroup
	ended := func() bool {
		select {
		case <-over:
			return true
		default:
			return false
		}
	}
	pad := strings.Repeat("x", 2000)
	all.Go(func() {
		client := &http.Client{Timeout: 2 * time.Second}
		for !ended() {
			resp, err := client.Post(fmt.Sprintf("http://127.0.0.1:%d", web), "text/plain", strings.NewReader(fmt.Sprintf("web-%d %s", acked.Load(), pad))) //nolint:noctx // a test
			if err == nil {
				_ = resp.Body.Close()
			}
			if err != nil || resp.StatusCode != http.StatusOK {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			acked.Add(1)
			time.Sleep(5 * time.Millisecond) // so that the disk is full of the ballast, not of events
		}
	})
	all.Go(func() {
		f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		for !ended() {
			if _, err := fmt.Fprintf(f, "log-%d %s\n", lines.Load(), pad); err != nil {
				t.Error(err)
				return
			}
			lines.Add(1)
			time.Sleep(10 * time.Millisecond)
		}
	})
	wait("events are written", func() bool { return len(counted(t, out)) > 50 && acked.Load() > 20 && lines.Load() > 20 })

	fill(t, ballast)
	wait("the full disk is said", func() bool { return strings.Contains(stderr.String(), syscall.ENOSPC.Error()) })
	before := lines.Load()
	wait("lines are written meanwhile", func() bool { return lines.Load() > before+20 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	cmd = start() // on a full disk
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	before = lines.Load()
	wait("more lines are written", func() bool { return lines.Load() > before+20 })
	select {
	case err := <-exited: // that is right, too, if it says why
		t.Logf("it does not start on a full disk: %v", err)
		cmd = nil
	default:
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if cmd == nil {
		cmd = start()
		go func() { exited <- cmd.Wait() }()
	}
	sent := acked.Load()
	wait("events are taken again", func() bool { return acked.Load() > sent+20 })
	close(over)
	all.Wait()
	web1, log1 := acked.Load(), lines.Load()
	missing := func() (n int) {
		got := counted(t, out)
		for i := range web1 {
			if got[fmt.Sprintf("web-%d %s", i, pad)] == 0 {
				n++
			}
		}
		for i := range log1 {
			if got[fmt.Sprintf("log-%d %s", i, pad)] == 0 {
				n++
			}
		}
		return n
	}
	wait("everything arrives", func() bool { return missing() == 0 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("%v\n%s", err, stderr.String())
	}
	if text, err := os.ReadFile(out); err != nil || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("the last line is torn: %v", err)
	}
	doubled := 0
	for _, n := range counted(t, out) {
		doubled += n - 1
	}
	t.Logf("%d events by HTTP, %d lines, %d doubled", web1, log1, doubled)
}
