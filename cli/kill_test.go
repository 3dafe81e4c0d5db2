package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/internal/testbed"
)

// killSnapshot is carried by the tests that kill: 15 indices in 35 parts.
const killSnapshot = "snap-2"

// crawl makes naru slow enough to be hit.
var crawl = []string{"NARU_TEST_WAIT=3ms", "NARU_TEST_RECORDS=20"}

// naru is the command, as the test binary has it.
func naru(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "naru", args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// exitOf runs cmd and gives its exit status; -1: it was killed.
func exitOf(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	if err := cmd.Run(); err != nil {
		return codeOf(t, err)
	}
	return exitOK
}

// codeOf gives the exit status that err, of a command that was run, stands for.
func codeOf(t *testing.T, err error) int {
	t.Helper()
	status, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatal(err)
	}
	return status.ExitCode()
}

// flowFile writes a flow file from repo into an archive that commits often.
func flowFile(t *testing.T, repo, format, dir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flow.yaml")
	text := fmt.Sprintf("source: {snapshot: {url: %q, snapshot: %s}}\nsink: {%s: {dir: %q, fileBytes: 20000}}\noptions: {saveInterval: 60ms, workers: 3}\n",
		repo, killSnapshot, format, dir)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// printed gives every document that naru finds at from, sorted.
func printed(t *testing.T, from string, flags ...string) []string {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := naru(t, nil, append([]string{"carry", from, "ndjson:-", "--progress", "none"}, flags...)...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if code := exitOf(t, cmd); code != exitOK && code != exitPartial {
		t.Fatalf("carry %s ndjson:-: exit status %d\n%s", from, code, stderr.String())
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// archived counts the lines in the files of an NDJSON archive, whatever its books say.
func archived(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "*.ndjson.zst"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zstd.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		z.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n += bytes.Count(text, []byte("\n"))
	}
	return n
}

// number reads a number from the environment.
func number(t *testing.T, name string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// NARU_TEST_KILLS says how often to kill for each format, NARU_TEST_SEED when.
func TestKillNineAtRandomPointsLosesAndDoublesNothing(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "os29"), "main")
	want := printed(t, repo, "--snapshot", killSnapshot)
	kills := number(t, "NARU_TEST_KILLS", 15)
	seed := number(t, "NARU_TEST_SEED", rand.Uint64())
	t.Logf("NARU_TEST_SEED=%d", seed)
	for n, format := range []string{"ndjson", "parquet"} {
		t.Run(format, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			dir := filepath.Join(t.TempDir(), "archive")
			flow := flowFile(t, repo, format, dir)
			whole := func() {
				if code := exitOf(t, naru(t, nil, "run", flow, "--progress", "none")); code != exitPartial {
					t.Fatalf("the last run: exit status %d", code)
				}
				if format == "ndjson" {
					if got := archived(t, dir); got != len(want) {
						t.Errorf("%d lines in the archive, %d documents in the repository", got, len(want))
					}
				}
				if diff := cmp.Diff(want, printed(t, dir)); diff != "" {
					t.Errorf("the archive is not what the repository is:\n%.2000s", diff)
				}
				verify := naru(t, nil, "verify", repo, dir, "--snapshot", killSnapshot)
				if out, err := verify.CombinedOutput(); err != nil {
					t.Errorf("verify: %v\n%s", err, out)
				}
			}
			started := time.Now()
			if code := exitOf(t, naru(t, crawl, "run", flow, "--progress", "none")); code != exitPartial {
				t.Fatalf("the first run: exit status %d", code)
			}
			takes := time.Since(started)
			whole()
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			for killed, runs := uint64(0), uint64(0); killed < kills; runs++ {
				if runs > 20*kills {
					t.Fatalf("in %d runs only %d could be killed", runs, killed)
				}
				cmd := naru(t, crawl, "run", flow, "--progress", "none")
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				kill := time.AfterFunc(time.Duration(rng.Float64()*float64(takes)), func() { _ = cmd.Process.Kill() })
				err := cmd.Wait()
				kill.Stop()
				if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
					killed++
					continue
				}
				if code := cmd.ProcessState.ExitCode(); code != exitPartial {
					t.Fatalf("run %d: %v", runs, err)
				}
				whole() // it got through: begin anew
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			whole()
		})
	}
}

func TestTheFirstInterruptDrainsAndTheSameCommandGoesOn(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "os29"), "main")
	dir := filepath.Join(t.TempDir(), "archive")
	args := []string{"carry", repo, "ndjson:" + dir, "--snapshot", killSnapshot, "--workers", "1", "--progress", "none"}
	var stdout, stderr bytes.Buffer
	cmd := naru(t, []string{"NARU_TEST_WAIT=20ms", "NARU_TEST_RECORDS=5"}, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	interruptOnce(t, cmd, dir, 300*time.Millisecond)
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("exit status %d\n%s%s", code, stdout.String(), stderr.String())
	}
	if !strings.Contains(stderr.String(), "interrupt: finishing what is on its way; the same command goes on later (once more: stop at once)\n") {
		t.Errorf("standard error says %q", stderr.String())
	}
	if !strings.Contains(stdout.String(), "Interrupted: ") || !strings.Contains(stdout.String(), "the same command goes on where this one was") {
		t.Errorf("the report says %s", stdout.String())
	}
	if n := archived(t, dir); n == 0 {
		t.Error("nothing was saved")
	}
	out, _ := naru(t, nil, args...).CombinedOutput()
	if want := printed(t, repo, "--snapshot", killSnapshot); !cmp.Equal(want, printed(t, dir)) {
		t.Errorf("the archive is not what the repository is:\n%s", out)
	}
}

func TestTheSecondInterruptStopsAtOnceAndTheSameCommandGoesOn(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "os29"), "main")
	dir := filepath.Join(t.TempDir(), "archive")
	args := []string{"carry", repo, "parquet:" + dir, "--snapshot", killSnapshot, "--workers", "1", "--progress", "none"}
	var stderr lineWriter
	stderr.lines = make(chan string, 16)
	cmd := naru(t, []string{"NARU_TEST_WAIT=1m", "NARU_TEST_DEAF=1s"}, args...)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(dir, ".naru", "journal"))
	if err := pause(t.Context(), 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"finishing what is on its way", "stopping at once"} {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if line := <-stderr.lines; !strings.Contains(line, want) {
			t.Fatalf("standard error says %q, want %q", line, want)
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("exit status %d", code)
	}
	out, _ := naru(t, nil, args...).CombinedOutput()
	if want := printed(t, repo, "--snapshot", killSnapshot); !cmp.Equal(want, printed(t, dir)) {
		t.Errorf("the archive is not what the repository is:\n%s", out)
	}
}

// interruptOnce starts cmd, interrupts it a while after it has begun to write to dir, and waits for its end.
func interruptOnce(t *testing.T, cmd *exec.Cmd, dir string, after time.Duration) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(dir, ".naru", "journal"))
	if err := pause(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// waitFor waits until a file is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for range 1000 {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if err := pause(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s does not appear", path)
}

// lineWriter sends each line it is given.
type lineWriter struct {
	rest  []byte
	lines chan string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w.lines <- string(line)
		w.rest = rest
	}
}
