package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An echo is a process that writes what its standard input has.
type echo struct {
	*exec.Cmd
	in io.Closer
}

// echoing starts a pipeline of standard input with path.data, and waits until it has written an event.
func echoing(t *testing.T, data string) echo {
	t.Helper()
	cmd := naru(t, nil, "logstash", "--api.enabled=false", "--path.data", data, "-e", "filter { }")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "begun\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return echo{cmd, in}
}

func TestTwoProcessesDoNotShareAPathData(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	config := filepath.Join(dir, "filebeat.yml")
	text := fmt.Sprintf("filebeat.inputs:\n- type: filestream\n  id: a\n  paths: [%q]\noutput.console: {}\n", filepath.Join(dir, "*.log"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	first := echoing(t, data)
	others := map[string][]string{
		"logstash":    {"logstash", "--api.enabled=false", "--path.data", data, "-e", "filter { }"},
		"logstash -r": {"logstash", "--api.enabled=false", "--path.data", data, "-r", "-f", filepath.Join(dir, "a.conf")},
		"agent":       {"agent", "--path.data", data, "-c", config, "--once"},
	}
	if err := os.WriteFile(filepath.Join(dir, "a.conf"), []byte("filter { }"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("path.data: %s is in use by process %d", data, first.Process.Pid)
	for name, args := range others {
		cmd := naru(t, nil, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if status := exitOf(t, cmd); status != exitFailed || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit status %d, said %q, want %q", name, status, stderr.String(), want)
		}
	}
	// -t runs nothing.
	if status := exitOf(t, naru(t, nil, append(others["logstash"], "-t")...)); status != exitOK {
		t.Errorf("-t: exit status %d", status)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second := echoing(t, data) // the lock of the one that died is none
	_ = second.in.Close()
	if err := second.Wait(); err != nil {
		t.Error(err)
	}
	if status := exitOf(t, naru(t, nil, others["agent"]...)); status != exitOK {
		t.Errorf("the agent after the others: exit status %d", status)
	}
}

func TestWhatOnlyFiltersStandardInputNeedsNoFolderOfItsOwn(t *testing.T) {
	state := t.TempDir()
	start := func() (*exec.Cmd, io.Closer) {
		cmd := naru(t, []string{"XDG_STATE_HOME=" + state}, "logstash", "--api.enabled=false", "-e", "filter { }")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, in
	}
	a, inA := start()
	b, inB := start()
	_, _ = inA.Close(), inB.Close()
	for _, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(state); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
