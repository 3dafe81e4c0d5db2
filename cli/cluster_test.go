package cli

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
)

// clusterFlow writes a flow file from repo into the cluster, saving often.
func clusterFlow(t *testing.T, repo string, urls []string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flow.yaml")
	text := fmt.Sprintf("source: {snapshot: {url: %q, snapshot: %s, indices: ['-nosource']}}\nsink: {opensearch: {urls: [%s]}}\noptions: {saveInterval: 60ms, workers: 2}\n",
		repo, killSnapshot, strings.Join(urls, ", "))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantArrived fails unless the cluster has exactly what the fixture's server had, each document written once.
func wantArrived(t *testing.T, fake *osfake.Server, name string) {
	t.Helper()
	want := testbed.Truth(t, name, killSnapshot)
	delete(want, "nosource")
	got := map[string][]testbed.Line{}
	for index, lines := range want {
		for i := range lines {
			lines[i].Type = ""
		}
		for id, d := range fake.Documents(index) {
			got[index] = append(got[index], testbed.Line{Index: index, ID: id, Routing: d.Routing, Source: d.Source})
			if d.Version != 1 {
				t.Errorf("%s/%s was written %d times", index, id, d.Version)
			}
		}
	}
	if diff := testbed.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// empty removes all indices, the ledger too.
func empty(t *testing.T, fake *osfake.Server) {
	t.Helper()
	for _, index := range append(slices.Collect(maps.Keys(testbed.Truth(t, "os29", killSnapshot))), ".naru") {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, fake.URLs[0]+"/"+index, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Four processes work on the same carry; two of them are killed at random points, again and again, while the cluster has
// troubles of its own. NARU_TEST_KILLS says how often to kill, NARU_TEST_SEED when.
func TestProcessesSideBySideThatAreKilledLoseAndDoubleNothing(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "os29"), "main")
	kills := number(t, "NARU_TEST_KILLS", 10)
	seed := number(t, "NARU_TEST_SEED", rand.Uint64())
	t.Logf("NARU_TEST_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 7))
	fake := osfake.Start(t, osfake.Options{Nodes: 2, Hook: osfake.Any(osfake.Sometimes(seed, 0.02, osfake.Passing, "bulk"), osfake.Pressed(seed, 0.02))})
	flow := clusterFlow(t, repo, fake.URLs)
	started := time.Now()
	if out, err := naru(t, crawl, "run", flow, "--progress", "none").CombinedOutput(); codeOf(t, err) != exitPartial {
		t.Fatalf("the first run: %v\n%s", err, out)
	}
	takes := time.Since(started) / 3
	wantArrived(t, fake, "os29")
	for killed := uint64(0); killed < kills; {
		empty(t, fake)
		var all []*exec.Cmd
		outputs := make([]strings.Builder, 4)
		for i := range outputs {
			cmd := naru(t, crawl, "run", flow, "--progress", "none")
			cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, cmd)
		}
		for _, victim := range all[:2] {
			kill := time.AfterFunc(time.Duration(rng.Float64()*float64(takes)), func() { _ = victim.Process.Kill() })
			_ = victim.Wait()
			kill.Stop()
			if victim.ProcessState.ExitCode() == -1 {
				killed++
			}
		}
		for i, cmd := range all[2:] {
			// The others take over what the dead ones had, and see the end.
			if err := cmd.Wait(); err == nil || codeOf(t, err) != exitPartial {
				t.Fatalf("a process that was spared: %v\n%s", err, outputs[i+2].String())
			}
		}
		wantArrived(t, fake, "os29")
		if t.Failed() {
			t.Fatalf("after %d kills", killed)
		}
	}
	// What is done is done: nothing is written again.
	before := fake.Count("bulk")
	out, _ := naru(t, nil, "run", flow, "--progress", "none").CombinedOutput()
	if !strings.Contains(string(out), "Nothing was left to carry") {
		t.Errorf("the last run:\n%s", out)
	}
	t.Logf("%d bulk requests before the last run, %d after", before, fake.Count("bulk"))
}

// A carry is paused from elsewhere, waits, and goes on when it is resumed.
func TestACarryIsPausedAndResumedFromElsewhere(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "os29"), "main")
	fake := osfake.Start(t, osfake.Options{})
	cmd := naru(t, []string{"NARU_TEST_WAIT=150ms"}, "run", clusterFlow(t, repo, fake.URLs), "--progress", "none")
	stderr := lineWriter{lines: make(chan string, 16)}
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for fake.Count("bulk") < 3 {
		if err := pause(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := naru(t, nil, "pause", fake.URLs[0]).CombinedOutput(); err != nil || !strings.Contains(string(out), "naru resume") {
		t.Fatalf("pause: %v\n%s", err, out)
	}
	says := func(want string) {
		t.Helper()
		select {
		case line := <-stderr.lines:
			if !strings.Contains(line, want) {
				t.Fatalf("standard error says %q, want %q", line, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("standard error does not say %q", want)
		}
	}
	says("paused: what was on its way is saved")
	arrived := func() (n int) {
		for index := range testbed.Truth(t, "os29", killSnapshot) {
			n += len(fake.Documents(index))
		}
		return n
	}
	before := arrived()
	if err := pause(t.Context(), 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if after := arrived(); after != before {
		t.Errorf("%d documents arrived while it was paused", after-before)
	}
	if out, err := naru(t, nil, "status", fake.URLs[0]).CombinedOutput(); err != nil || !strings.Contains(string(out), "state    paused") {
		t.Errorf("status: %v\n%s", err, out)
	}
	if out, err := naru(t, nil, "resume", fake.URLs[0]).CombinedOutput(); err != nil {
		t.Fatalf("resume: %v\n%s", err, out)
	}
	says("resumed")
	if code := codeOf(t, cmd.Wait()); code != exitPartial {
		t.Errorf("exit status %d", code)
	}
	wantArrived(t, fake, "os29")
}

// A carry whose cluster is gone ends soon after it is told to, with what was saved; the same command carries the rest.
func TestACarryThatIsToldToStopWhileItsClusterIsGoneEndsSoon(t *testing.T) {
	repo := filepath.Join(testbed.Fixture(t, "os29"), "main")
	fake := osfake.Start(t, osfake.Options{})
	flow := clusterFlow(t, repo, fake.URLs)
	cmd := naru(t, []string{"NARU_TEST_WAIT=100ms", "NARU_TEST_RECORDS=20"}, "run", flow, "--progress", "none")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for fake.Count("bulk") < 5 {
		if err := pause(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	fake.StopNode(0)
	if err := pause(t.Context(), 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := codeOf(t, cmd.Wait()); code != exitInterrupted {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(told); took > 15*time.Second {
		t.Errorf("it ended after %v", took)
	}
	for _, want := range []string{"Interrupted: ", "Left unfinished: nothing got on for ", "is carried again from the last", "the same command goes on where this one was"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	fake.StartNode(0)
	if again, err := naru(t, nil, "run", flow, "--progress", "none").CombinedOutput(); codeOf(t, err) != exitPartial {
		t.Errorf("the same command: %v\n%s", err, again)
	}
	wantArrived(t, fake, "os29")
}
