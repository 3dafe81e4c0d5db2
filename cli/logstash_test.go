package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is an output that can be waited on.
type seen struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (s *seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the output has a text.
func (s *seen) await(t *testing.T, text string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(s.String(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q never comes; there is %q", text, s.String())
}

func TestAPipelineWhoseFileChangesIsLoadedAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.conf")
	write := func(tag string) {
		t.Helper()
		next := file + "~" // as editors do it: never half a file
		text := `filter { mutate { add_tag => "` + tag + `" } }`
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	in, feed := io.Pipe()
	say := func(text string) {
		t.Helper()
		if _, err := io.WriteString(feed, text); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr seen
	signals := make(chan os.Signal, 1)
	env := Env{
		Stdin: in, Stdout: &stdout, Stderr: &stderr,
		Getenv:     func(string) string { return "" },
		Columns:    func(io.Writer) int { return 0 },
		Interrupts: func() (<-chan os.Signal, func()) { return signals, func() {} },
	}
	status := make(chan int, 1)
	go func() {
		status <- Main(t.Context(), env, []string{"logstash", "-f", file, "-r", "--config.reload.interval", "20ms", "-w", "1"})
	}()

	say("{\"a\":1}\n{\"a\"")
	stdout.await(t, `"tags":["first"]`)
	write("second") // half a message is read already: the next run has it
	for i := range 1000 {
		if i == 0 {
			say(":2}\n")
		} else {
			say("{\"a\":3}\n")
		}
		if strings.Contains(stdout.String(), "second") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stdout.await(t, `"tags":["second"]`)
	stdout.await(t, `{"a":2,`)
	write(`" } nonsense { } mutate { add_tag => "`)
	stderr.await(t, "what runs goes on")
	say("{\"a\":4}\n")
	stdout.await(t, `{"a":4,`)
	if text := stdout.String(); strings.Contains(text, "jsonparsefailure") {
		t.Errorf("a message was cut: %s", text)
	}
	signals <- os.Interrupt
	select {
	case got := <-status:
		if got != exitInterrupted {
			t.Errorf("exit status %d: %s", got, stderr.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}
